// SPDX-License-Identifier: GPL-2.0-or-later
// Finding and starting what a call asks for.
#define _GNU_SOURCE
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream.h"
#include "wire.h"

static char *cut(char **rest)
{
	return strsep(rest, " ");
}

static bool parse_service(char *rest, struct service_call *call)
{
	call->full = cut(&rest);
	call->source = cut(&rest);
	call->target_type = cut(&rest);
	call->target = cut(&rest);
	/* No path: what leads out of the directories of services has no place in a name. */
	return call->full && *call->full && *call->full != '+' && *call->full != '.' &&
	       !strchr(call->full, '/') && call->source && *call->source && !rest &&
	       !call->target_type == !call->target;
}

bool service_parse(char *text, bool with_user, struct service_call *ret_call)
{
	static const char rpc[] = "QUBESRPC ", nogui[] = "nogui:";
	struct service_call call = {0};
	char *colon;

	if (with_user) {
		colon = strchr(text, ':');
		if (!colon || colon == text)
			return false;
		*colon = '\0';
		call.user = text;
		text = colon + 1;
		if (!strncmp(text, nogui, sizeof(nogui) - 1))
			text += sizeof(nogui) - 1;
	}
	if (strncmp(text, rpc, sizeof(rpc) - 1) != 0) {
		call.command = text;
		*ret_call = call;
		return *text != '\0';
	}
	if (!parse_service(text + sizeof(rpc) - 1, &call))
		return false;
	*ret_call = call;
	return true;
}

/* Whom to ask for one socket. */
static void set_agent_pid(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getppid());
	setenv("QREXEC_AGENT_PID", pid, 1);
}

static void set_environment(const struct service_call *call)
{
	const char *plus;

	set_agent_pid();
	if (call->command)
		return;
	plus = strchr(call->full, '+');
	setenv("QREXEC_SERVICE_FULL_NAME", call->full, 1);
	setenv("QREXEC_REMOTE_DOMAIN", call->source, 1);
	if (plus)
		setenv("QREXEC_SERVICE_ARGUMENT", plus + 1, 1);
	else
		unsetenv("QREXEC_SERVICE_ARGUMENT");
	if (!call->target)
		return;
	setenv("QREXEC_REQUESTED_TARGET_TYPE", call->target_type, 1);
	setenv(strcmp(call->target_type, "name") ? "QREXEC_REQUESTED_TARGET_KEYWORD"
						 : "QREXEC_REQUESTED_TARGET",
	       call->target, 1);
}

/* Root becomes the user that the call is for; anybody else can be himself only. */
static bool become(const struct passwd *user)
{
	if (user->pw_uid == geteuid())
		return true;
	if (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) ||
	    setuid(user->pw_uid) || setenv("HOME", user->pw_dir, 1) ||
	    setenv("USER", user->pw_name, 1) || setenv("LOGNAME", user->pw_name, 1) ||
	    setenv("SHELL", user->pw_shell, 1))
		return false;
	return !chdir(user->pw_dir) || !chdir("/");
}

__attribute__((noreturn)) static void run_child(const struct service_call *call, const char *path,
						const struct passwd *user,
						const struct service_dirs *dirs)
{
	char **environment = user && dirs->login ? dirs->login->environment() : NULL;
	const char *plus = call->command ? NULL : strchr(call->full, '+');
	const char *shell = user && *user->pw_shell ? user->pw_shell : "/bin/sh";
	char name[64];

	if (user && !become(user))
		_exit(WIRE_EXIT_PROBLEM);
	for (; environment && *environment; environment++)
		putenv(*environment);
	if (user && dirs->session_dir)
		service_take_session(dirs->session_dir, user->pw_name);
	set_environment(call);
	if (!call->command) {
		execl(path, path, plus && plus[1] ? plus + 1 : NULL, NULL);
	} else {
		/* A dash before its name makes it a login shell. */
		snprintf(name, sizeof(name), "-%.60s",
			 strrchr(shell, '/') ? strrchr(shell, '/') + 1 : shell);
		execl(shell, name, "-c", call->command, NULL);
	}
	_exit(errno == ENOENT ? WIRE_EXIT_NOT_FOUND : WIRE_EXIT_PROBLEM);
}

static void close_pair(int pair[2])
{
	if (pair[0] >= 0)
		close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
}

static void default_signals(void)
{
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

/* SIGUSR1 of the program asks for one socket (see stream.h): it waits until the stream reads it, however early it comes. */
static void hold_requests(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(how, &set, NULL);
}

/* Forks with a socket at 0, and pipes at 1 and, if wanted, 2. Returns like fork(): 0 in the child. */
static pid_t fork_with_pipes(bool with_err, struct stream *stream)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
	pid_t pid = -1;

	hold_requests(SIG_BLOCK);
	if (!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) && !pipe2(out, O_CLOEXEC) &&
	    (!with_err || !pipe2(err, O_CLOEXEC)))
		pid = fork();
	if (pid == 0) {
		default_signals();
		hold_requests(SIG_UNBLOCK);
		if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || (with_err && dup2(err[1], 2) < 0))
			_exit(WIRE_EXIT_PROBLEM);
		close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
		return 0;
	}
	if (pid < 0) {
		close_pair(in);
		close_pair(out);
		close_pair(err);
		return -1;
	}
	close(in[0]);
	close(out[1]);
	if (with_err)
		close(err[1]);
	stream->to_local = in[1];
	stream->from_local = out[0];
	stream->err_local = err[0];
	stream->pid = pid;
	return pid;
}

/* Nobody has anything for it or wants anything of it. */
static pid_t fork_alone(void)
{
	pid_t pid = fork();
	int null;

	if (pid)
		return pid;
	default_signals();
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		_exit(WIRE_EXIT_PROBLEM);
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	return 0;
}

int service_spawn_local(char *const argv[], struct stream *stream)
{
	pid_t pid = fork_with_pipes(false, stream);

	if (pid == 0) {
		set_agent_pid();
		execvp(argv[0], argv);
		_exit(errno == ENOENT ? WIRE_EXIT_NOT_FOUND : WIRE_EXIT_PROBLEM);
	}
	return pid < 0 ? WIRE_EXIT_PROBLEM : 0;
}

/* The strings of an entry of passwd(5). */
#define ENTRY_MAX 4096

/* A call on its way to its program. */
struct job {
	const struct service_call *call;
	const struct service_dirs *dirs;
	struct service_config config;
	enum service_kind kind;
	char path[PATH_MAX];
	const struct passwd *user; /* NULL: that of this process; else the entry below */
	struct passwd entry;
	char entry_text[ENTRY_MAX];
	const struct service_builtin *builtin;
};

/* 0, or the exit code of the call that failed: not found, or a problem. */
static int prepare(struct job *job)
{
	const struct service_call *call = job->call;
	const char *user = call->user;
	struct passwd *found;

	if (!call->command) {
		if (!service_find(job->dirs, call->full, &job->kind, job->path, sizeof(job->path)))
			return WIRE_EXIT_NOT_FOUND;
		if (!service_config_load(job->dirs, call->full, &job->config))
			return WIRE_EXIT_PROBLEM;
		if (*job->config.user)
			user = job->config.user;
	}
	if (!user)
		return 0;
	/* An own copy: the next look into the list of users overwrites what getpwnam() returns. */
	if (getpwnam_r(user, &job->entry, job->entry_text, sizeof(job->entry_text), &found) ||
	    !found || (geteuid() && found->pw_uid != geteuid()))
		return WIRE_EXIT_PROBLEM;
	job->user = found;
	for (const struct service_builtin *b = job->dirs->builtins; b && b->name; b++)
		if (!strcmp(b->name, job->config.builtin))
			job->builtin = b;
	return 0;
}

static int start(struct job *job, struct stream *stream, bool just_exec)
{
	int fd;

	if (job->kind == SERVICE_PROGRAM) {
		pid_t pid = just_exec ? fork_alone() : fork_with_pipes(true, stream);

		if (pid == 0)
			run_child(job->call, job->path, job->user, job->dirs);
		return pid < 0 ? WIRE_EXIT_PROBLEM : 0;
	}
	fd = service_connect(job->call, job->kind, job->path, &job->config);
	if (fd < 0)
		return WIRE_EXIT_PROBLEM;
	stream->to_local = fd;
	stream->from_local = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	stream->err_local = stream->pid = -1;
	stream->socket = true;
	stream->exit_on_client_eof = job->config.exit_on_client_eof;
	stream->exit_on_service_eof = job->config.exit_on_service_eof;
	return 0;
}

/* In this process, as the user that the call is for: there is no way back. */
static int run_builtin(struct job *job, libvchan_t *vchan)
{
	if (job->user && !become(job->user))
		return stream_end(vchan, WIRE_EXIT_PROBLEM);
	set_environment(job->call);
	return job->builtin->run(vchan, job->call);
}

/* Commands come from dom0 alone. */
static const char *source_of(const struct service_call *call)
{
	return call->source ? call->source : "dom0";
}

static int serve(struct job *job, libvchan_t *vchan, bool just_exec)
{
	struct stream stream = {.vchan = vchan, .service = true};
	int rc = prepare(job);

	if (!rc && job->config.wait_for_session && job->user && job->dirs->session_dir &&
	    !service_wait_session(job->dirs->session_dir, job->user->pw_name, vchan))
		rc = WIRE_EXIT_PROBLEM;
	if (!rc && job->user && job->dirs->login &&
	    job->dirs->login->open(job->user->pw_name, source_of(job->call)))
		rc = WIRE_EXIT_PROBLEM;
	if (!rc && job->builtin && !just_exec)
		return run_builtin(job, vchan);
	if (!rc)
		rc = start(job, &stream, just_exec);
	if (!rc && just_exec && stream.socket) {
		close(stream.to_local);
		close(stream.from_local);
	}
	rc = rc || just_exec ? stream_end(vchan, rc) : stream_run(&stream);
	if (job->user && job->dirs->login)
		job->dirs->login->close();
	return rc;
}

int service_serve(const struct service_call *call, const struct service_dirs *dirs, int domain,
		  int port, bool just_exec)
{
	libvchan_t *vchan = vchan_connect(domain, port, STREAM_CONNECT_SECONDS);
	struct job *job = calloc(1, sizeof(*job));
	int rc = WIRE_EXIT_PROBLEM;

	/* Who waits for a caller that is gone is ended by SIGTERM; with one, the call ends as calls do. */
	signal(SIGTERM, SIG_IGN);
	if (vchan && job) {
		job->call = call;
		job->dirs = dirs;
		rc = serve(job, vchan, just_exec);
	}
	free(job);
	libvchan_close(vchan);
	return rc;
}

int service_fail(int domain, int port, int exit_code)
{
	libvchan_t *vchan = vchan_connect(domain, port, STREAM_CONNECT_SECONDS);

	if (vchan)
		stream_end(vchan, exit_code);
	libvchan_close(vchan);
	return exit_code;
}
