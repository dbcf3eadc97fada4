// SPDX-License-Identifier: GPL-2.0-or-later
// qrexec-agent: runs in a qube; executes what dom0 asks for, and passes on the calls of local programs.
#define _GNU_SOURCE
#include "../agent/login.h"
#include "../agent/peers.h"
#include "../lib/call.h"
#include "../lib/service.h"
#include "../lib/socket.h"
#include "../service/qfile.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Calls of local programs, and executions: as many as a daemon has ports, and those that wait for an answer. */
#define MAX_CALLERS    512
#define MAX_EXECUTIONS 768

/* In the process of an execution: what tells of the end of the caller's qube. */
#define LINE_FD 3

/* A local qrexec-client-vm. Its socket stays open as long as its call is. */
struct caller {
	bool used, asked, connected;
	int line; /* of peer_join() */
	unsigned int serial;
	struct wire_exec where;
	struct channel channel;
};

struct execution {
	pid_t pid; /* 0: free */
	int pid_fd, line;
	struct wire_exec where;
};

static struct agent {
	struct channel control;
	int version, listener;
	unsigned int serial;
	struct service_dirs dirs;
	struct caller callers[MAX_CALLERS];
	struct execution executions[MAX_EXECUTIONS];
} agent;

static const struct service_builtin builtins[] = {{"filecopy", qfile_builtin}, {NULL, NULL}};

static int terminated(const struct wire_exec *where)
{
	struct wire_exec message = {where->domain, where->port, ""};

	return channel_send_exec(&agent.control, WIRE_CONNECTION_TERMINATED, &message);
}

static int drop_caller(struct caller *caller)
{
	bool connected = caller->connected;

	channel_finish(&caller->channel);
	if (caller->line >= 0)
		peer_leave(caller->where.domain);
	caller->used = false;
	return connected ? terminated(&caller->where) : 0;
}

/* In the child: it must hold nothing of the agent's, or nobody would notice that the agent died. */
__attribute__((noreturn)) static void execute(char *text, const struct wire_exec *where,
					      bool just_exec, int line)
{
	struct service_call call;

	if (line >= 0 && line != LINE_FD)
		line = dup3(line, LINE_FD, O_CLOEXEC);
	close_range(line >= 0 ? LINE_FD + 1 : LINE_FD, ~0u, 0);
	libvchan_end_from((int)where->domain, line);
	if (!service_parse(text, true, &call))
		_exit(service_fail((int)where->domain, (int)where->port, WIRE_EXIT_PROBLEM));
	_exit(service_serve(&call, &agent.dirs, (int)where->domain, (int)where->port, just_exec));
}

static int start_execution(const struct wire_exec *where, char *text, bool just_exec)
{
	struct execution *execution = NULL;

	for (size_t i = 0; i < MAX_EXECUTIONS && !execution; i++)
		if (!agent.executions[i].pid)
			execution = &agent.executions[i];
	/* The caller notices that nobody connects when dom0 frees the port. */
	if (!execution)
		return terminated(where);
	execution->line = peer_join(where->domain);
	execution->pid = fork();
	if (execution->pid == 0)
		execute(text, where, just_exec, execution->line);
	execution->where = *where;
	execution->pid_fd = execution->pid > 0 ? pidfd_open(execution->pid, 0) : -1;
	if (execution->pid_fd >= 0)
		return 0;
	if (execution->line >= 0)
		peer_leave(where->domain);
	execution->pid = 0;
	return terminated(where);
}

static struct caller *find_caller(const char *ident)
{
	char own[WIRE_IDENT_SIZE];

	for (size_t i = 0; i < MAX_CALLERS; i++) {
		snprintf(own, sizeof(own), "SOCKET%zu-%u", i, agent.callers[i].serial);
		if (agent.callers[i].used && agent.callers[i].asked && !strcmp(own, ident))
			return &agent.callers[i];
	}
	return NULL;
}

static int connect_caller(const struct wire_exec *where)
{
	struct caller *caller = find_caller(where->text);

	/* It has gone meanwhile: the other end learns it from the port. */
	if (!caller || caller->connected)
		return terminated(where);
	caller->connected = true;
	caller->where = (struct wire_exec){where->domain, where->port, ""};
	caller->line = peer_join(where->domain);
	if (channel_send_exec(&caller->channel, WIRE_SERVICE_CONNECT, &caller->where))
		return drop_caller(caller);
	return 0;
}

static int handle_control(const struct wire_header *header, uint8_t *body)
{
	char ident[WIRE_IDENT_SIZE];
	struct caller *caller;
	struct wire_exec exec;

	switch (header->type) {
	case WIRE_EXEC_CMDLINE:
	case WIRE_JUST_EXEC:
	case WIRE_SERVICE_CONNECT:
		if (wire_decode_exec(body, header->length, &exec))
			return -EPROTO;
		if (header->type == WIRE_SERVICE_CONNECT)
			return connect_caller(&exec);
		return start_execution(&exec, (char *)body + 2 * sizeof(uint32_t),
				       header->type == WIRE_JUST_EXEC);
	case WIRE_SERVICE_REFUSED:
		if (wire_decode_ident(body, header->length, ident))
			return -EPROTO;
		caller = find_caller(ident);
		if (caller && !caller->connected) {
			channel_send(&caller->channel, WIRE_SERVICE_REFUSED, body, header->length);
			return drop_caller(caller);
		}
		return 0;
	default:
		return -EPROTO;
	}
}

/* A request of a local program goes on to dom0 with an ident of ours in place of its own. */
static int pass_on(struct caller *caller, const struct wire_header *header, uint8_t *body)
{
	static uint8_t out[WIRE_BODY_MAX];
	struct wire_trigger trigger;
	uint32_t type;
	int length;

	if (caller->asked || wire_decode_trigger(header->type, body, header->length, &trigger))
		return drop_caller(caller);
	snprintf(trigger.ident, sizeof(trigger.ident), "SOCKET%zu-%u",
		 (size_t)(caller - agent.callers), caller->serial);
	length = wire_encode_trigger(agent.version, &trigger, &type, out, sizeof(out));
	if (length < 0)
		return drop_caller(caller);
	caller->asked = true;
	return channel_send(&agent.control, type, out, (size_t)length);
}

static int serve_caller(struct caller *caller)
{
	struct wire_header header = {0};
	uint8_t *body = NULL;
	int rc = channel_flush(&caller->channel);

	if (!rc)
		rc = channel_receive(&caller->channel, &header, &body);
	if (rc > 0)
		return pass_on(caller, &header, body);
	return rc < 0 ? drop_caller(caller) : 0;
}

static void accept_caller(void)
{
	int fd = accept4(agent.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (size_t i = 0; i < MAX_CALLERS; i++)
		if (!agent.callers[i].used) {
			agent.callers[i] = (struct caller){.serial = agent.serial++, .line = -1};
			agent.callers[i].used = !channel_init(&agent.callers[i].channel, NULL, fd);
			return;
		}
	close(fd);
}

static int reap(struct execution *execution)
{
	waitpid(execution->pid, NULL, 0);
	close(execution->pid_fd);
	if (execution->line >= 0)
		peer_leave(execution->where.domain);
	execution->pid = 0;
	return terminated(&execution->where);
}

/* Each has its end of a socket; executions have the pipe. One that does not take it is ending. */
static void tell_callers(uint32_t domain)
{
	for (size_t i = 0; i < MAX_CALLERS; i++) {
		struct caller *caller = &agent.callers[i];

		if (caller->used && caller->line >= 0 && caller->where.domain == domain)
			channel_send_exec(&caller->channel, WIRE_CONNECTION_TERMINATED,
					  &caller->where);
	}
}

static size_t collect(struct pollfd *p)
{
	size_t n = 0;

	p[n++] = (struct pollfd){channel_fd(&agent.control), POLLIN, 0};
	p[n++] = (struct pollfd){agent.listener, POLLIN, 0};
	for (size_t i = 0; i < MAX_CALLERS; i++, n++) {
		p[n] = (struct pollfd){-1, 0, 0};
		if (agent.callers[i].used)
			p[n] = (struct pollfd){channel_fd(&agent.callers[i].channel),
					       channel_events(&agent.callers[i].channel), 0};
	}
	for (size_t i = 0; i < MAX_EXECUTIONS; i++, n++)
		p[n] = (struct pollfd){agent.executions[i].pid ? agent.executions[i].pid_fd : -1,
				       POLLIN, 0};
	peers_collect(p + n);
	return n + MAX_PEERS;
}

static int turn(void)
{
	static struct pollfd p[2 + MAX_CALLERS + MAX_EXECUTIONS + MAX_PEERS];
	struct wire_header header = {0};
	uint8_t *body = NULL;
	int rc = channel_flush(&agent.control);

	while (!rc && (rc = channel_receive(&agent.control, &header, &body)) > 0)
		rc = handle_control(&header, body);
	if (rc < 0)
		return rc;
	if (poll(p, collect(p), -1) < 0)
		return errno == EINTR ? 0 : -errno;
	channel_polled(&agent.control, p[0].revents);
	if (p[1].revents)
		accept_caller();
	for (size_t i = 0; i < MAX_CALLERS && !rc; i++)
		if (p[2 + i].revents)
			rc = serve_caller(&agent.callers[i]);
	for (size_t i = 0; i < MAX_EXECUTIONS && !rc; i++)
		if (p[2 + MAX_CALLERS + i].revents)
			rc = reap(&agent.executions[i]);
	peers_polled(p + 2 + MAX_CALLERS + MAX_EXECUTIONS, tell_callers);
	return rc;
}

/* The agent speaks first, even before anybody is there to hear it. */
static int greet(int port_domain)
{
	libvchan_t *vchan = libvchan_server_init(port_domain, WIRE_CONTROL_PORT, 65536, 65536);
	struct wire_header header = {0};
	uint32_t untrusted_version;
	uint8_t *body = NULL;
	int rc;

	if (!vchan)
		return -errno;
	rc = channel_init(&agent.control, vchan, -1);
	if (!rc)
		rc = channel_send_hello(&agent.control, WIRE_VERSION);
	while (!rc &&
	       (rc = channel_receive_wait(&agent.control, 3600, &header, &body)) == -ETIMEDOUT)
		rc = 0;
	if (rc <= 0)
		return rc ? rc : -EPROTO;
	if (header.type != WIRE_HELLO || wire_decode_hello(body, header.length, &untrusted_version))
		return -EPROTO;
	agent.version = wire_negotiate(WIRE_VERSION, untrusted_version);
	return agent.version < 0 ? agent.version : 0;
}

static void default_dirs(void)
{
	struct service_dirs *dirs = &agent.dirs;

	if (!dirs->count) {
		dirs->dirs[dirs->count++] = "/run/qubes-rpc";
		dirs->dirs[dirs->count++] = "/usr/local/etc/qubes-rpc";
		dirs->dirs[dirs->count++] = "/etc/qubes-rpc";
	}
	if (!dirs->config_count) {
		dirs->configs[dirs->config_count++] = "/run/qubes/rpc-config";
		dirs->configs[dirs->config_count++] = "/usr/local/etc/qubes/rpc-config";
		dirs->configs[dirs->config_count++] = "/etc/qubes/rpc-config";
	}
	/* Each user puts the file of his session there, as in /tmp. */
	if (!mkdir(dirs->session_dir, 01777))
		chmod(dirs->session_dir, 01777);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"socket", required_argument, NULL, 's'},
					      {"service-dir", required_argument, NULL, 'S'},
					      {"config-dir", required_argument, NULL, 'C'},
					      {"session-dir", required_argument, NULL, 'D'},
					      {"pam-dir", required_argument, NULL, 'P'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	const char *path = CALL_AGENT_SOCKET;
	int option, rc;

	agent.dirs.session_dir = "/run/qubes/session";
	agent.dirs.builtins = builtins;
	agent.dirs.login = &login_pam;
	while ((option = getopt_long(argc, argv, "s:S:C:D:P:h", longs, NULL)) != -1)
		if (option == 's') {
			path = optarg;
		} else if (option == 'S' && agent.dirs.count < SERVICE_DIRS_MAX) {
			agent.dirs.dirs[agent.dirs.count++] = optarg;
		} else if (option == 'C' && agent.dirs.config_count < SERVICE_DIRS_MAX) {
			agent.dirs.configs[agent.dirs.config_count++] = optarg;
		} else if (option == 'D') {
			agent.dirs.session_dir = optarg;
		} else if (option == 'P') {
			login_set_directory(optarg);
		} else {
			fputs("usage: qrexec-agent [--socket PATH] [--service-dir DIR]… "
			      "[--config-dir DIR]… [--session-dir DIR] [--pam-dir DIR]\n",
			      option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	if (optind < argc) {
		fprintf(stderr, "qrexec-agent: %s: there are options only, see --help\n",
			argv[optind]);
		return 2;
	}
	default_dirs();
	signal(SIGPIPE, SIG_IGN);
	agent.listener = socket_listen(path, 0666, NULL);
	if (agent.listener < 0) {
		fprintf(stderr, "qrexec-agent: %s: %s\n", path, strerror(errno));
		return 1;
	}
	rc = greet(0);
	if (rc) {
		fprintf(stderr, "qrexec-agent: there is no channel to dom0: %s\n", strerror(-rc));
		return 1;
	}
	while (!rc)
		rc = turn();
	fprintf(stderr, "qrexec-agent: the channel to dom0 ended: %s\n", strerror(-rc));
	return 1;
}
