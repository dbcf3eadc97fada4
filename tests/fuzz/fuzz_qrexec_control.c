// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: what a qube sends to its daemon on the control channel, up to the decision of a policy. Whatever it sends, the daemon stays
// within its tables, and answers each request with an ident of that request.
// links: tests/fuzz/fake_vchan.c qrexec/daemon/calls.c qrexec/daemon/ports.c qrexec/daemon/helper.c qrexec/daemon/question.c
// links: qrexec/daemon/judge.c qrexec/lib/channel.c qrexec/lib/endpoint.c qrexec/lib/rate.c qrexec/lib/socket.c qrexec/lib/wire.c qrexec/policy/eval.c qrexec/policy/load.c
// links: qrexec/policy/parse.c qrexec/policy/tokens.c qrexec/policy/world.c
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../qrexec/daemon/broker.h"
#include "fake_vchan.h"

struct broker broker;
static char place[] = "/dev/shm/fuzz-qrexec.XXXXXX", policies[64], qubes[64];

void broker_log(const char *format, ...)
{
	(void)format;
}

/* Services of dom0 are somebody else's business: this child is the call. */
int service_serve(const struct service_call *call, const struct service_dirs *dirs, int domain,
		  int port, bool just_exec)
{
	(void)call;
	(void)dirs;
	(void)just_exec;
	return domain < 0 || port < WIRE_DATA_PORT;
}

static void leave(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", place);
	if (system(command))
		perror(place);
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(text, file) < 0 || fclose(file))
		abort();
}

static void prepare(void)
{
	char path[128];

	if (!mkdtemp(place))
		abort();
	atexit(leave);
	signal(SIGCHLD, SIG_IGN);
	snprintf(policies, sizeof(policies), "%s/policy", place);
	snprintf(qubes, sizeof(qubes), "%s/qubes", place);
	mkdir(policies, 0700);
	put(qubes,
	    "work class=AppVM domid=1\nvault class=AppVM domid=2\ndvm class=AppVM template_for_dispvms=yes\n");
	snprintf(path, sizeof(path), "%s/50.policy", policies);
	put(path,
	    "test.A * work vault allow\ntest.B * work @anyvm ask\ntest.C * * @dispvm:dvm allow\n"
	    "test.D +x work @default allow target=vault user=me\n");
	broker = (struct broker){.domain = 1,
				 .name = "work",
				 .user = "user",
				 .socket_dir = place,
				 .qubes = qubes,
				 .legacy_dir = place,
				 .prompt = "/nonexistent",
				 .starter = "/nonexistent",
				 .policy_dirs = {policies},
				 .policy_dir_count = 1};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_header header = {0};
	uint8_t *body = NULL;
	int rc;

	if (!broker.name)
		prepare();
	if (!size)
		return 0;
	if (channel_init(&broker.control,
			 fake_vchan_open(data + 1, size - 1, 1 + (size_t)data[0] * 16), -1))
		return 0;
	do {
		rc = channel_receive(&broker.control, &header, &body);
		if (rc > 0)
			rc = calls_handle_control(&header, body) ? -1 : 1;
	} while (rc > 0);
	/* Nothing can be started here, so nothing is under way. */
	for (size_t i = 0; i < MAX_CALLS; i++)
		if (broker.calls[i].state != CALL_FREE)
			abort();
	channel_finish(&broker.control);
	memset(broker.ports, 0, sizeof(broker.ports));
	return 0;
}
