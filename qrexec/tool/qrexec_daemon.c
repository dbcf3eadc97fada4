// SPDX-License-Identifier: GPL-2.0-or-later
// qrexec-daemon: dom0's end of one qube. Judges the qube's calls by the policy and brings the ends together.
#define _GNU_SOURCE
#include "../daemon/broker.h"
#include "../lib/socket.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* What comes before clients and calls in the list for poll(). */
enum {
	POLL_CONTROL,
	POLL_LISTENER,
	POLL_SIGNALS,
	POLL_FIRST
};

struct broker broker;

void broker_log(const char *format, ...)
{
	static struct rate rate = {.burst = LINES_BURST, .pause = LINES_PAUSE};
	char text[LINE_MAX_SIZE];
	unsigned int refused;
	va_list args;

	if (!rate_take(&rate, now_ms()))
		return;
	refused = rate_refused(&rate);
	if (refused)
		fprintf(stderr, "qrexec-daemon: %s: too many messages, %u were left out\n",
			broker.name, refused);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "qrexec-daemon: %s: %s\n", broker.name, text);
}

static size_t collect(struct pollfd *p)
{
	size_t n = POLL_FIRST;

	p[POLL_CONTROL] = (struct pollfd){channel_fd(&broker.control), POLLIN, 0};
	p[POLL_LISTENER] = (struct pollfd){broker.accepting ? broker.listener : -1, POLLIN, 0};
	p[POLL_SIGNALS] = (struct pollfd){broker.signals, POLLIN, 0};
	for (size_t i = 0; i < MAX_CLIENTS; i++, n++) {
		const struct channel *channel = &broker.clients[i].channel;

		p[n] = (struct pollfd){-1, 0, 0};
		if (broker.clients[i].used)
			p[n] = (struct pollfd){channel_fd(channel), channel_events(channel), 0};
	}
	for (size_t i = 0; i < MAX_CALLS; i++, n++)
		p[n].fd = call_fd(&broker.calls[i], &p[n].events);
	return n;
}

static int serve_control(void)
{
	struct wire_header header = {0};
	uint8_t *body = NULL;
	int rc = channel_flush(&broker.control);

	while (!rc && (rc = channel_receive(&broker.control, &header, &body)) > 0)
		rc = calls_handle_control(&header, body);
	return rc;
}

/* Children have ended. A helper's end is looked at like anything else it says. */
static int serve_signals(void)
{
	struct signalfd_siginfo info;
	int status, rc = 0;
	pid_t pid;

	if (read(broker.signals, &info, sizeof(info)) < 0 && errno != EAGAIN)
		return -errno;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		calls_reaped(pid, status);
	for (size_t i = 0; i < MAX_CALLS && !rc; i++)
		if (broker.calls[i].state == CALL_ASKING || broker.calls[i].state == CALL_STARTING)
			rc = call_serve(&broker.calls[i]);
	return rc;
}

static int turn(void)
{
	static struct pollfd p[POLL_FIRST + MAX_CLIENTS + MAX_CALLS];
	int rc = serve_control(), timeout = -1;

	if (rc)
		return rc;
	/* Once a second is often enough for deadlines; without calls there are none. */
	for (size_t i = 0; i < MAX_CALLS; i++)
		if (broker.calls[i].deadline)
			timeout = 1000;
	if (poll(p, collect(p), timeout) < 0)
		return errno == EINTR ? 0 : -errno;
	channel_polled(&broker.control, p[POLL_CONTROL].revents);
	if (p[POLL_LISTENER].revents)
		clients_accept();
	for (size_t i = 0; i < MAX_CLIENTS && !rc; i++)
		if (p[POLL_FIRST + i].revents)
			rc = client_serve(&broker.clients[i]);
	for (size_t i = 0; i < MAX_CALLS && !rc; i++)
		rc = p[POLL_FIRST + MAX_CLIENTS + i].revents ? call_serve(&broker.calls[i])
							     : call_late(&broker.calls[i]);
	return !rc && p[POLL_SIGNALS].revents ? serve_signals() : rc;
}

static int greet(int seconds)
{
	libvchan_t *vchan = vchan_connect(broker.domain, WIRE_CONTROL_PORT, seconds);
	struct wire_header header = {0};
	uint32_t untrusted_version;
	uint8_t *body = NULL;
	int rc;

	if (!vchan)
		return -errno;
	rc = channel_init(&broker.control, vchan, -1);
	if (!rc)
		rc = channel_receive_wait(&broker.control, seconds ? seconds : 60, &header, &body);
	if (rc <= 0)
		return rc ? rc : -EPROTO;
	if (header.type != WIRE_HELLO || wire_decode_hello(body, header.length, &untrusted_version))
		return -EPROTO;
	rc = wire_negotiate(WIRE_VERSION, untrusted_version);
	return rc < 0 ? rc : channel_send_hello(&broker.control, (uint32_t)rc);
}

static int usage(FILE *to, int status)
{
	fputs("usage: qrexec-daemon [OPTION]… DOMAIN NAME DEFAULT-USER\n"
	      "  -s, --socket-dir DIR   where the sockets of all daemons are (/run/qubes)\n"
	      "  -p, --policy-dir DIR   as of qrexec-policy(1); may be repeated\n"
	      "  -l, --legacy-dir DIR   as of qrexec-policy(1)\n"
	      "  -q, --qubes FILE       the list of qubes (/run/qubes/qubes.list)\n"
	      "  -S, --service-dir DIR  where services of dom0 are; may be repeated\n"
	      "  -C, --config-dir DIR   where their configuration is; may be repeated\n"
	      "  -P, --prompt PROGRAM   asks the user (/usr/lib/qubes/qrexec-prompt)\n"
	      "  -R, --starter PROGRAM  starts qubes (/usr/lib/qubes/qrexec-start-qube)\n"
	      "  -t, --timeout SECONDS  how long the agent may take to appear (60); 0: no limit\n"
	      "  -h, --help             print this\n",
	      to);
	return status;
}

static bool parse_number(const char *text, int max, int *ret_number)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > max)
		return false;
	*ret_number = (int)value;
	return true;
}

static bool take_option(int option, const char *value, int *ret_seconds)
{
	struct service_dirs *dirs = &broker.dirs;

	if (option == 's')
		broker.socket_dir = value;
	else if (option == 'p' && broker.policy_dir_count < SERVICE_DIRS_MAX)
		broker.policy_dirs[broker.policy_dir_count++] = value;
	else if (option == 'l')
		broker.legacy_dir = value;
	else if (option == 'q')
		broker.qubes = value;
	else if (option == 'S' && dirs->count < SERVICE_DIRS_MAX)
		dirs->dirs[dirs->count++] = value;
	else if (option == 'C' && dirs->config_count < SERVICE_DIRS_MAX)
		dirs->configs[dirs->config_count++] = value;
	else if (option == 'P')
		broker.prompt = value;
	else if (option == 'R')
		broker.starter = value;
	else if (option == 't')
		return parse_number(value, 86400, ret_seconds);
	else if (option == 'h')
		exit(usage(stdout, 0));
	else
		return false;
	return true;
}

static bool parse_options(int argc, char **argv, int *ret_seconds)
{
	static const struct option longs[] = {{"socket-dir", required_argument, NULL, 's'},
					      {"policy-dir", required_argument, NULL, 'p'},
					      {"legacy-dir", required_argument, NULL, 'l'},
					      {"qubes", required_argument, NULL, 'q'},
					      {"service-dir", required_argument, NULL, 'S'},
					      {"config-dir", required_argument, NULL, 'C'},
					      {"prompt", required_argument, NULL, 'P'},
					      {"starter", required_argument, NULL, 'R'},
					      {"timeout", required_argument, NULL, 't'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "s:p:l:q:S:C:P:R:t:h", longs, NULL)) != -1)
		if (!take_option(option, optarg, ret_seconds))
			return false;
	if (argc - optind != 3)
		return false;
	broker.name = argv[optind + 1];
	broker.user = argv[optind + 2];
	return parse_number(argv[optind], 0x7fef, &broker.domain) && broker.domain > 0 &&
	       world_name_valid(broker.name);
}

static void set_defaults(void)
{
	struct service_dirs *dirs = &broker.dirs;

	broker.prompt = "/usr/lib/qubes/qrexec-prompt";
	broker.starter = "/usr/lib/qubes/qrexec-start-qube";
	broker.socket_dir = "/run/qubes";
	broker.qubes = "/run/qubes/qubes.list";
	broker.legacy_dir = "/etc/qubes-rpc/policy";
	broker.accepting = true;
	broker.listener = -1;
	broker.note_rate = (struct rate){.burst = NOTES_BURST, .pause = NOTES_PAUSE};
	dirs->count = dirs->config_count = 0;
}

static void default_dirs(void)
{
	struct service_dirs *dirs = &broker.dirs;

	if (!broker.policy_dir_count) {
		broker.policy_dirs[broker.policy_dir_count++] = "/etc/qubes/policy.d";
		broker.policy_dirs[broker.policy_dir_count++] = "/run/qubes/policy.d";
	}
	if (!dirs->count) {
		dirs->dirs[dirs->count++] = "/usr/local/etc/qubes-rpc";
		dirs->dirs[dirs->count++] = "/etc/qubes-rpc";
	}
	if (!dirs->config_count) {
		dirs->configs[dirs->config_count++] = "/usr/local/etc/qubes/rpc-config";
		dirs->configs[dirs->config_count++] = "/etc/qubes/rpc-config";
	}
}

/* Descriptors for all clients and calls; the signal of children as a descriptor. */
static int prepare(void)
{
	struct rlimit limit;
	sigset_t child;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < 4096) {
		limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	broker.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	return broker.signals < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	int seconds = 60, rc;

	set_defaults();
	if (!parse_options(argc, argv, &seconds))
		return usage(stderr, 2);
	default_dirs();
	rc = prepare();
	/* Other qubes that have calls with this one shall notice when it ends. */
	if (!rc && libvchan_domain_show(broker.domain))
		broker_log("cannot be shown in XenStore: %s", strerror(errno));
	if (!rc) {
		rc = greet(seconds);
		if (rc)
			broker_log("there is no channel to the agent of domain %d", broker.domain);
	}
	if (!rc) {
		/*
		 * The socket appears when calls can be taken: programs that start early wait for it. Those of the desktop's
		 * user are members of the group.
		 */
		snprintf(path, sizeof(path), "%s/qrexec.%s", broker.socket_dir, broker.name);
		broker.listener = socket_listen(path, 0660, "qubes");
		rc = broker.listener < 0 ? -errno : 0;
		if (rc)
			broker_log("cannot listen at %s", path);
	}
	while (!rc)
		rc = turn();
	broker_log("%s", strerror(-rc));
	calls_finish();
	if (broker.listener >= 0)
		unlink(path);
	return 1;
}
