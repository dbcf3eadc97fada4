// SPDX-License-Identifier: GPL-2.0-or-later
// qrexec-daemon: dom0's end of one qube. Judges the qube's calls by the policy and brings the ends together.
#define _GNU_SOURCE
#include "../lib/channel.h"
#include "../lib/service.h"
#include "../policy/policy.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Local programs that want something of the qube, and calls of the qube that wait for another daemon. */
#define MAX_CLIENTS  128
#define MAX_CALLS    WIRE_PORT_COUNT
#define CALL_SECONDS 60

struct client {
	bool used, greeted;
	struct channel channel;
};

/* A call of the qube, allowed, whose port the daemon of the target has to allocate. */
struct call {
	bool used, greeted;
	long long deadline;
	char ident[WIRE_IDENT_SIZE];
	char *command;
	struct channel channel;
};

static struct broker {
	int domain, listener, ports[WIRE_PORT_COUNT]; /* the other end of each data port, or -1 */
	const char *name, *user, *socket_dir, *qubes, *legacy_dir;
	const char *policy_dirs[SERVICE_DIRS_MAX];
	size_t policy_dir_count;
	struct service_dirs dirs;
	struct channel control;
	struct client clients[MAX_CLIENTS];
	struct call calls[MAX_CALLS];
} broker;

/* Between two qubes, the daemon of the lower domain uses odd indices and the other one even ones. */
static int allocate_port(int peer)
{
	int step = peer ? 2 : 1, first = peer && broker.domain < peer ? 1 : 0;

	for (int i = first; i < WIRE_PORT_COUNT; i += step)
		if (broker.ports[i] < 0) {
			broker.ports[i] = peer;
			return WIRE_DATA_PORT + i;
		}
	return -1;
}

static void free_port(uint32_t untrusted_peer, uint32_t untrusted_port)
{
	uint32_t index = untrusted_port - WIRE_DATA_PORT;

	if (index < WIRE_PORT_COUNT && broker.ports[index] >= 0 &&
	    (uint32_t)broker.ports[index] == untrusted_peer)
		broker.ports[index] = -1;
}

static int refuse(const char *ident)
{
	uint8_t body[WIRE_IDENT_SIZE];
	int length = wire_encode_ident(ident, body, sizeof(body));

	return channel_send(&broker.control, WIRE_SERVICE_REFUSED, body, (size_t)length);
}

static void drop_call(struct call *call)
{
	channel_finish(&call->channel);
	free(call->command);
	call->used = false;
}

/* A service of dom0: the calling qube serves the data channel, a child of ours connects to it. */
static int call_dom0(const struct wire_trigger *trigger)
{
	struct wire_exec where = {0, 0, trigger->ident};
	bool keyword = *trigger->target == '@' || !*trigger->target;
	const char *target = *trigger->target ? trigger->target : "@default";
	struct service_call call = {.full = trigger->service, .source = broker.name};
	int port = allocate_port(0), rc;
	pid_t pid;

	if (port < 0)
		return refuse(trigger->ident);
	call.target_type = keyword ? "keyword" : "name";
	call.target = keyword ? target + 1 : target;
	where.port = (uint32_t)port;
	rc = channel_send_exec(&broker.control, WIRE_SERVICE_CONNECT, &where);
	if (rc)
		return rc;
	pid = fork();
	if (pid == 0) {
		signal(SIGCHLD, SIG_DFL);
		/* Nothing of the daemon's stays open here, or its death would not be noticed. */
		close_range(3, ~0u, 0);
		_exit(service_serve(&call, &broker.dirs, broker.domain, port, false));
	}
	if (pid < 0)
		free_port(0, where.port);
	return 0;
}

static int call_qube(const struct wire_trigger *trigger, const char *target, const char *user)
{
	char path[PATH_MAX];
	struct call *call = NULL;
	int fd = -1;

	for (size_t i = 0; i < MAX_CALLS && !call; i++)
		if (!broker.calls[i].used)
			call = &broker.calls[i];
	if (call && snprintf(path, sizeof(path), "%s/qrexec.%s", broker.socket_dir, target) <
			    (int)sizeof(path))
		fd = socket_connect(path);
	if (fd < 0) {
		fprintf(stderr, "qrexec-daemon: %s: %s does not run\n", broker.name, target);
		return refuse(trigger->ident);
	}
	*call = (struct call){.deadline = now_ms() + CALL_SECONDS * 1000LL};
	memcpy(call->ident, trigger->ident, sizeof(call->ident));
	if (asprintf(&call->command, "%s:QUBESRPC %s %s", user ? user : "DEFAULT", trigger->service,
		     broker.name) < 0) {
		close(fd);
		return refuse(trigger->ident);
	}
	call->used = !channel_init(&call->channel, NULL, fd);
	if (call->used)
		return 0;
	free(call->command);
	return refuse(trigger->ident);
}

/* Read anew for each call: a change of the policy counts at once. */
static bool judge(const struct wire_trigger *trigger, struct policy_answer *ret_answer,
		  struct policy *policy)
{
	char name[SERVICE_NAME_MAX + 1];
	struct policy_request request = {broker.name, name, NULL, trigger->target};
	unsigned int line;
	struct world *world;

	if (!policy_split_service(trigger->service, name, sizeof(name), &request.argument))
		return false;
	world = world_load(broker.qubes, &line);
	if (!world) {
		fprintf(stderr, "qrexec-daemon: %s:%u: %s\n", broker.qubes, line, strerror(errno));
		return false;
	}
	policy_load(policy, broker.policy_dirs, broker.policy_dir_count, broker.legacy_dir, NULL,
		    NULL);
	policy_evaluate(policy, world, &request, ret_answer);
	fprintf(stderr, "qrexec-daemon: %s: %s to %s: %s: %s%s%s\n", broker.name, trigger->service,
		trigger->target, policy_action_name(ret_answer->action), ret_answer->reason,
		*ret_answer->target ? ": " : "", ret_answer->target);
	world_destroy(world);
	return true;
}

static int handle_trigger(const struct wire_trigger *trigger)
{
	struct policy *policy = policy_create();
	struct policy_answer answer = {.action = POLICY_DENY};
	int rc;

	/* A question needs somebody to answer it, and a disposable somebody to make it: else it is no. */
	if (!policy || *trigger->source || !judge(trigger, &answer, policy) ||
	    answer.action != POLICY_ALLOW || !strncmp(answer.target, "@dispvm:", 8))
		rc = refuse(trigger->ident);
	else if (!strcmp(answer.target, "@adminvm"))
		rc = call_dom0(trigger);
	else
		rc = call_qube(trigger, answer.target, answer.rule->user);
	policy_answer_finish(&answer);
	policy_destroy(policy);
	return rc;
}

static int handle_control(const struct wire_header *header, uint8_t *body)
{
	struct wire_trigger trigger;
	struct wire_exec exec;

	switch (header->type) {
	case WIRE_TRIGGER_SERVICE:
	case WIRE_TRIGGER_SERVICE3:
	case WIRE_TRIGGER_SERVICE4:
		if (wire_decode_trigger(header->type, body, header->length, &trigger))
			return -EPROTO;
		return handle_trigger(&trigger);
	case WIRE_CONNECTION_TERMINATED:
		if (wire_decode_exec(body, header->length, &exec))
			return -EPROTO;
		free_port(exec.domain, exec.port);
		return 0;
	default:
		return -EPROTO;
	}
}

/* DEFAULT stands for the user that this daemon was started with. */
static int forward(uint32_t type, const struct wire_exec *where)
{
	struct wire_exec exec = *where;
	char *text = NULL;
	int rc;

	if (!strncmp(where->text, "DEFAULT:", 8)) {
		if (asprintf(&text, "%s%s", broker.user, where->text + 7) < 0)
			return -ENOMEM;
		exec.text = text;
	}
	rc = channel_send_exec(&broker.control, type, &exec);
	free(text);
	return rc;
}

static void drop_client(struct client *client)
{
	channel_finish(&client->channel);
	client->used = false;
}

static int execute(struct client *client, uint32_t type, const struct wire_exec *asked)
{
	struct wire_exec here = {(uint32_t)broker.domain, 0, ""};
	struct wire_exec there = {asked->domain, 0, asked->text};
	int port = asked->domain < 0x7ff0 && (int)asked->domain != broker.domain
			   ? allocate_port((int)asked->domain)
			   : -1;
	int rc;

	if (port < 0) {
		drop_client(client);
		return 0;
	}
	here.port = there.port = (uint32_t)port;
	rc = forward(type, &there);
	if (rc == -EMSGSIZE || rc == -ENOMEM) {
		free_port(asked->domain, there.port);
		drop_client(client);
		return 0;
	}
	if (!rc && channel_send_exec(&client->channel, type, &here))
		drop_client(client);
	return rc;
}

static int serve_client(struct client *client)
{
	struct wire_header header = {0};
	uint32_t untrusted_version;
	struct wire_exec asked;
	uint8_t *body = NULL;
	int rc = channel_flush(&client->channel);

	if (!rc)
		rc = channel_receive(&client->channel, &header, &body);
	if (rc == 0)
		return 0;
	if (rc > 0 && !client->greeted && header.type == WIRE_HELLO &&
	    !wire_decode_hello(body, header.length, &untrusted_version) &&
	    untrusted_version >= WIRE_VERSION_LOCAL) {
		client->greeted = true;
		return serve_client(client);
	}
	if (rc > 0 && client->greeted &&
	    (header.type == WIRE_EXEC_CMDLINE || header.type == WIRE_JUST_EXEC) &&
	    !wire_decode_exec(body, header.length, &asked))
		return execute(client, header.type, &asked);
	drop_client(client);
	return 0;
}

/* The other daemon: its hello, then the port that it has allocated. */
static int serve_call(struct call *call)
{
	struct wire_exec exec = {(uint32_t)broker.domain, 0, call->command};
	struct wire_header header = {0};
	uint32_t untrusted_version;
	uint8_t *body = NULL;
	int rc = channel_flush(&call->channel);

	if (!rc)
		rc = channel_receive(&call->channel, &header, &body);
	if (rc == 0)
		return 0;
	if (rc > 0 && !call->greeted && header.type == WIRE_HELLO &&
	    !wire_decode_hello(body, header.length, &untrusted_version) &&
	    untrusted_version >= WIRE_VERSION_LOCAL &&
	    !channel_send_hello(&call->channel, WIRE_VERSION_LOCAL) &&
	    !channel_send_exec(&call->channel, WIRE_EXEC_CMDLINE, &exec)) {
		call->greeted = true;
		return 0;
	}
	if (rc > 0 && call->greeted && header.type == WIRE_EXEC_CMDLINE &&
	    !wire_decode_exec(body, header.length, &exec)) {
		exec.text = call->ident;
		rc = channel_send_exec(&broker.control, WIRE_SERVICE_CONNECT, &exec);
	} else {
		rc = refuse(call->ident);
	}
	drop_call(call);
	return rc;
}

static void accept_client(void)
{
	int fd = accept4(broker.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (size_t i = 0; i < MAX_CLIENTS; i++) {
		struct client *client = &broker.clients[i];

		if (client->used)
			continue;
		*client = (struct client){0};
		client->used = !channel_init(&client->channel, NULL, fd);
		if (client->used && channel_send_hello(&client->channel, WIRE_VERSION_LOCAL))
			drop_client(client);
		return;
	}
	close(fd);
}

static size_t collect(struct pollfd *p)
{
	size_t n = 0;

	p[n++] = (struct pollfd){channel_fd(&broker.control), POLLIN, 0};
	p[n++] = (struct pollfd){broker.listener, POLLIN, 0};
	for (size_t i = 0; i < MAX_CLIENTS + MAX_CALLS; i++, n++) {
		struct call *call = &broker.calls[i < MAX_CLIENTS ? 0 : i - MAX_CLIENTS];
		struct client *client = &broker.clients[i < MAX_CLIENTS ? i : 0];
		struct channel *channel = i < MAX_CLIENTS ? &client->channel : &call->channel;
		bool used = i < MAX_CLIENTS ? client->used : call->used;

		p[n] = (struct pollfd){-1, 0, 0};
		if (used)
			p[n] = (struct pollfd){channel_fd(channel), channel_events(channel), 0};
	}
	return n;
}

static int serve_control(void)
{
	struct wire_header header = {0};
	uint8_t *body = NULL;
	int rc = channel_flush(&broker.control);

	while (!rc && (rc = channel_receive(&broker.control, &header, &body)) > 0)
		rc = handle_control(&header, body);
	return rc;
}

static int turn(void)
{
	static struct pollfd p[2 + MAX_CLIENTS + MAX_CALLS];
	int rc = serve_control(), timeout = -1;

	if (rc)
		return rc;
	/* Once a second is often enough for deadlines; without calls there are none. */
	for (size_t i = 0; i < MAX_CALLS; i++)
		if (broker.calls[i].used)
			timeout = 1000;
	if (poll(p, collect(p), timeout) < 0)
		return errno == EINTR ? 0 : -errno;
	channel_polled(&broker.control, p[0].revents);
	if (p[1].revents)
		accept_client();
	for (size_t i = 0; i < MAX_CLIENTS && !rc; i++)
		if (p[2 + i].revents)
			rc = serve_client(&broker.clients[i]);
	for (size_t i = 0; i < MAX_CALLS && !rc; i++) {
		struct call *call = &broker.calls[i];

		if (p[2 + MAX_CLIENTS + i].revents) {
			rc = serve_call(call);
		} else if (call->used && now_ms() > call->deadline) {
			rc = refuse(call->ident);
			drop_call(call);
		}
	}
	return rc;
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

static bool parse_options(int argc, char **argv, int *ret_seconds)
{
	static const struct option longs[] = {{"socket-dir", required_argument, NULL, 's'},
					      {"policy-dir", required_argument, NULL, 'p'},
					      {"legacy-dir", required_argument, NULL, 'l'},
					      {"qubes", required_argument, NULL, 'q'},
					      {"service-dir", required_argument, NULL, 'S'},
					      {"timeout", required_argument, NULL, 't'},
					      {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "s:p:l:q:S:t:", longs, NULL)) != -1)
		if (option == 's')
			broker.socket_dir = optarg;
		else if (option == 'p' && broker.policy_dir_count < SERVICE_DIRS_MAX)
			broker.policy_dirs[broker.policy_dir_count++] = optarg;
		else if (option == 'l')
			broker.legacy_dir = optarg;
		else if (option == 'q')
			broker.qubes = optarg;
		else if (option == 'S' && broker.dirs.count < SERVICE_DIRS_MAX)
			broker.dirs.dirs[broker.dirs.count++] = optarg;
		else if (option == 't')
			*ret_seconds = atoi(optarg);
		else
			return false;
	if (argc - optind != 3)
		return false;
	broker.domain = atoi(argv[optind]);
	broker.name = argv[optind + 1];
	broker.user = argv[optind + 2];
	return broker.domain > 0 && world_name_valid(broker.name);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	int seconds = 60, rc;

	broker.socket_dir = "/run/qubes";
	broker.qubes = "/run/qubes/qubes.list";
	broker.legacy_dir = "/etc/qubes-rpc/policy";
	if (!parse_options(argc, argv, &seconds)) {
		fprintf(stderr, "usage: qrexec-daemon [OPTION]… DOMAIN NAME DEFAULT-USER\n");
		return 2;
	}
	if (!broker.policy_dir_count) {
		broker.policy_dirs[broker.policy_dir_count++] = "/etc/qubes/policy.d";
		broker.policy_dirs[broker.policy_dir_count++] = "/run/qubes/policy.d";
	}
	if (!broker.dirs.count)
		broker.dirs = (struct service_dirs){{"/usr/local/etc/qubes-rpc", "/etc/qubes-rpc"},
						    2};
	for (size_t i = 0; i < WIRE_PORT_COUNT; i++)
		broker.ports[i] = -1;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
	rc = greet(seconds);
	if (!rc) {
		/* The socket appears when calls can be taken: programs that start early wait for it. */
		snprintf(path, sizeof(path), "%s/qrexec.%s", broker.socket_dir, broker.name);
		broker.listener = socket_listen(path, 0660);
		rc = broker.listener < 0 ? -errno : 0;
	}
	while (!rc)
		rc = turn();
	fprintf(stderr, "qrexec-daemon: %s: %s\n", broker.name, strerror(-rc));
	if (broker.listener > 0)
		unlink(path);
	return 1;
}
