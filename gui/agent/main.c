// SPDX-License-Identifier: GPL-2.0-or-later
// bulkhead-gui-agent: shows the windows of this qube on the screen of the GUI domain.
#include "agent.h"
#include "icons.h"
#include "monitors.h"
#include "settings.h"
#include "shell.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <wlr/util/log.h>
#include <wlr/xwayland.h>

struct session {
	struct agent agent;
	pid_t child; /* the session's program; 0: there is none */
	int status;
};

static const char usage[] =
	"usage: bulkhead-gui-agent [OPTION]... [--] [COMMAND [ARGUMENT]...]\n"
	"Shows the windows of this qube on the screen of the GUI domain; ends with COMMAND.\n"
	"  -d, --domain=N            the GUI domain, instead of what QubesDB says\n"
	"  -k, --keyboard-layout=L   LAYOUT[+VARIANT[+OPTIONS]], instead of what QubesDB says\n"
	"  -s, --socket=NAME         name of the Wayland display (the first that is free)\n"
	"  -u, --uri=URI             transport, see libvchan(3)\n"
	"  -i, --icons=PROGRAM       send icons of windows by it, see gui-icon-sender(8)\n"
	"  -n, --no-x11              without Xwayland\n"
	"  -p, --pages=N             share at most N pages of 4 KiB with the GUI domain\n"
	"      --protocol=1.N        announce an older protocol, 1.4 to 1.8 (for tests)\n"
	"  -v, --verbose             also what wlroots has to say\n"
	"  -h, --help\n";

static int parse_number(const char *text, long low, long high, int *ret_value)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < low || value > high)
		return -EINVAL;
	*ret_value = (int)value;
	return 0;
}

static int parse_protocol(const char *text, uint32_t *ret_version)
{
	int minor;

	if (strncmp(text, "1.", 2) || parse_number(text + 2, GUI_MINOR(GUI_SINCE_NEGOTIATION),
						   GUI_MINOR(GUI_VERSION_OWN), &minor))
		return -EINVAL;
	*ret_version = GUI_VERSION(1, minor);
	return 0;
}

enum {
	OPTION_PROTOCOL = 256
};

static const struct option long_options[] = {
	{"domain", required_argument, NULL, 'd'},
	{"icons", required_argument, NULL, 'i'},
	{"keyboard-layout", required_argument, NULL, 'k'},
	{"socket", required_argument, NULL, 's'},
	{"uri", required_argument, NULL, 'u'},
	{"no-x11", no_argument, NULL, 'n'},
	{"pages", required_argument, NULL, 'p'},
	{"protocol", required_argument, NULL, OPTION_PROTOCOL},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

struct settings {
	struct agent_options options;
	const char *socket, *icons;
	bool verbose, help;
};

static int parse_option(int option, const char *text, struct settings *settings)
{
	switch (option) {
	case 'd':
		return parse_number(text, 0, 0x7fef, &settings->options.peer);
	case 'i':
		settings->icons = text;
		return 0;
	case 'k':
		settings->options.keyboard_layout = text;
		return 0;
	case 's':
		settings->socket = text;
		return 0;
	case 'u':
		settings->options.uri = text;
		return 0;
	case 'n':
		settings->options.xwayland = false;
		return 0;
	case 'p':
		return parse_number(text, 1, INT_MAX, (int *)&settings->options.pages_max);
	case OPTION_PROTOCOL:
		return parse_protocol(text, &settings->options.version);
	case 'v':
		settings->verbose = true;
		return 0;
	case 'h':
		settings->help = true;
		return 0;
	default:
		return -ENOENT;
	}
}

static int parse(int argc, char **argv, struct settings *settings)
{
	int option;

	/* "+": what follows COMMAND is its own. */
	while ((option = getopt_long(argc, argv, "+d:i:k:s:u:np:vh", long_options, NULL)) != -1) {
		int rc = parse_option(option, optarg, settings);

		if (rc == -EINVAL)
			fprintf(stderr, "bulkhead-gui-agent: bad value \"%s\"\n", optarg);
		if (rc)
			return rc;
	}
	return 0;
}

/* Tells the service manager that displays can be opened (sd_notify(3), without its library). */
static void notify_ready(void)
{
	static const char text[] = "READY=1";
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = name ? strlen(name) : 0;
	int fd;

	if (!length || length >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, text, sizeof(text) - 1, MSG_NOSIGNAL, (struct sockaddr *)&address,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		agent_log("cannot tell the service manager: %s", strerror(errno));
	close(fd);
}

static void set_environment(const struct agent *agent)
{
	setenv("WAYLAND_DISPLAY", agent->socket, 1);
	if (agent->shell->xwayland)
		setenv("DISPLAY", agent->shell->xwayland->display_name, 1);
	else
		unsetenv("DISPLAY");
	setenv("XDG_SESSION_TYPE", "wayland", 1);
}

static int run_command(struct session *session, char **command)
{
	pid_t child = fork();

	if (child < 0) {
		agent_log("fork: %s", strerror(errno));
		return -errno;
	}
	if (!child) {
		sigset_t none;

		/* The loop takes signals from a descriptor: they are blocked here. */
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		execvp(command[0], command);
		fprintf(stderr, "bulkhead-gui-agent: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	session->child = child;
	return 0;
}

static int handle_end(int number, void *data)
{
	struct session *session = data;

	(void)number;
	wl_display_terminate(session->agent.display);
	return 0;
}

/* Only for our own child: Xwayland's starter is waited for by wlroots. */
static int handle_child(int number, void *data)
{
	struct session *session = data;
	int status;

	(void)number;
	if (session->child && waitpid(session->child, &status, WNOHANG) == session->child) {
		session->child = 0;
		session->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		wl_display_terminate(session->agent.display);
	}
	return 0;
}

static int handle_stats(int number, void *data)
{
	struct session *session = data;

	(void)number;
	agent_log_stats(&session->agent);
	return 0;
}

static int run(struct session *session, const char *icons, char **command)
{
	struct wl_event_loop *loop = session->agent.loop;
	struct wl_event_source *sources[] = {
		wl_event_loop_add_signal(loop, SIGTERM, handle_end, session),
		wl_event_loop_add_signal(loop, SIGINT, handle_end, session),
		wl_event_loop_add_signal(loop, SIGCHLD, handle_child, session),
		wl_event_loop_add_signal(loop, SIGUSR1, handle_stats, session),
	};
	size_t i;

	set_environment(&session->agent);
	agent_log("Wayland display %s, X11 display %s", getenv("WAYLAND_DISPLAY"),
		  session->agent.shell->xwayland ? getenv("DISPLAY") : "none");
	if (icons)
		icons_start(&session->agent, icons);
	if (*command && run_command(session, command))
		return EXIT_FAILURE;
	notify_ready();
	wl_display_run(session->agent.display);
	if (session->child)
		kill(session->child, SIGTERM);
	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		if (sources[i])
			wl_event_source_remove(sources[i]);
	}
	return session->status;
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.options = {.peer = -1, .xwayland = true, .version = GUI_VERSION_OWN}};
	struct settings_source *source = NULL;
	static struct session session;
	int status;

	if (parse(argc, argv, &settings)) {
		fputs(usage, stderr);
		return EXIT_FAILURE;
	}
	if (settings.help) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	/* A client or the daemon that goes away while it is written to is no reason to end. */
	signal(SIGPIPE, SIG_IGN);
	wlr_log_init(settings.verbose ? WLR_DEBUG : WLR_ERROR, NULL);
	if (settings.options.peer < 0)
		settings.options.peer = settings_gui_domain();
	if (agent_create(&session.agent, &settings.options, settings.socket))
		return EXIT_FAILURE;
	if (!settings.options.keyboard_layout)
		source = settings_follow(&session.agent);
	monitors_follow(&session.agent);
	status = run(&session, settings.icons, argv + optind);
	settings_close(source);
	agent_destroy(&session.agent);
	return status;
}
