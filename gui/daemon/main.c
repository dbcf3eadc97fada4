// SPDX-License-Identifier: GPL-2.0-or-later
// gui-daemon: shows the windows of one qube. Options, configuration, and a supervisor that connects anew.
#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../qrexec/policy/world.h"
#include "../common/label.h"
#include "session.h"

#define DEFAULT_CONFIG "/etc/qubes/guid.conf"
#define SETTINGS_MAX   32

struct arguments {
	struct session_options session;
	const char *config, *color, *label;
	const char *settings[SETTINGS_MAX];
	int setting_count, verbosity;
	bool once;
};

static void usage(FILE *to)
{
	fputs("usage: gui-daemon -d DOMAIN -N NAME [OPTION]…\n"
	      "  -d, --domain ID          number of the qube's domain\n"
	      "  -N, --name NAME          name of the qube\n"
	      "  -c, --color 0xRRGGBB     colour of its frame; or by the label:\n"
	      "  -l, --label LABEL        1 to 8, or red orange yellow green gray blue purple black\n"
	      "  -i, --icon ICON          of its windows: a name in the icon theme, or a file\n"
	      "  -C, --config FILE        instead of " DEFAULT_CONFIG "\n"
	      "  -o, --set NAME=VALUE     one setting of that file; may be repeated\n"
	      "      --clipboard-dir DIR  where the clipboard between qubes is (/run/qubes)\n"
	      "  -p, --policy-dir DIR     as of qrexec-policy(1); may be repeated\n"
	      "      --legacy-dir DIR     as of qrexec-policy(1)\n"
	      "  -q, --qubes FILE         the list of qubes (/run/qubes/qubes.list)\n"
	      "  -u, --transport URI      xen: or local:DIR?domain=N, as of libvchan(3)\n"
	      "      --once               do not wait for the agent again when it closes\n"
	      "  -v, --verbose            say more; twice: each message\n"
	      "  -h, --help               print this\n",
	      to);
}

static const struct option long_options[] = {
	{"domain", required_argument, NULL, 'd'},
	{"name", required_argument, NULL, 'N'},
	{"color", required_argument, NULL, 'c'},
	{"label", required_argument, NULL, 'l'},
	{"icon", required_argument, NULL, 'i'},
	{"config", required_argument, NULL, 'C'},
	{"set", required_argument, NULL, 'o'},
	{"clipboard-dir", required_argument, NULL, 1},
	{"policy-dir", required_argument, NULL, 'p'},
	{"legacy-dir", required_argument, NULL, 2},
	{"qubes", required_argument, NULL, 'q'},
	{"transport", required_argument, NULL, 'u'},
	{"once", no_argument, NULL, 3},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static bool parse_domain(const char *text, int *ret_domain)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (!*text || *end || value < 0 || value > 0x7fef)
		return false;
	*ret_domain = (int)value;
	return true;
}

static bool take_option(struct arguments *arguments, int option)
{
	struct session_options *session = &arguments->session;

	switch (option) {
	case 'd':
		return parse_domain(optarg, &session->domain);
	case 'N':
		session->name = optarg;
		return world_name_valid(optarg);
	case 'c':
		arguments->color = optarg;
		return config_parse_color(optarg) >= 0;
	case 'l':
		arguments->label = optarg;
		return label_color(optarg) >= 0;
	case 'i':
		session->icon = optarg;
		return true;
	case 'C':
		arguments->config = optarg;
		return true;
	case 'o':
		if (arguments->setting_count == SETTINGS_MAX)
			return false;
		arguments->settings[arguments->setting_count++] = optarg;
		return true;
	case 'p':
		if (session->policy.count == sizeof(session->policy.dirs) / sizeof(char *))
			return false;
		session->policy.dirs[session->policy.count++] = optarg;
		return true;
	case 'q':
		session->policy.qubes = optarg;
		return true;
	case 'u':
		session->uri = optarg;
		return true;
	case 'v':
		arguments->verbosity++;
		return true;
	case 1:
		session->clipboard_dir = optarg;
		return true;
	case 2:
		session->policy.legacy_dir = optarg;
		return true;
	case 3:
		arguments->once = true;
		return true;
	default:
		return false;
	}
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
	struct session_options *session = &arguments->session;
	int option;

	while ((option = getopt_long(argc, argv, "d:N:c:l:i:C:o:p:q:u:vh", long_options, NULL)) >=
	       0) {
		if (option == 'h') {
			usage(stdout);
			exit(0);
		}
		if (!take_option(arguments, option)) {
			if (option != '?')
				fprintf(stderr, "gui-daemon: %s is no value of -%c\n", optarg,
					option);
			return false;
		}
	}
	if (optind < argc || session->domain < 0 || !session->name ||
	    (!arguments->color && !arguments->label)) {
		fputs("gui-daemon: domain, name, and colour or label are needed\n", stderr);
		return false;
	}
	return true;
}

static void fill_defaults(struct arguments *arguments)
{
	struct session_options *session = &arguments->session;
	const char *label = arguments->label;

	if (arguments->color)
		session->color = (uint32_t)config_parse_color(arguments->color);
	else if (label)
		session->color = (uint32_t)label_color(label);
	if (label && label[0] >= '1' && label[0] <= '8')
		session->label = (unsigned int)(label[0] - '0');
	if (!session->policy.count) {
		session->policy.dirs[0] = "/etc/qubes/policy.d";
		session->policy.dirs[1] = "/run/qubes/policy.d";
		session->policy.count = 2;
	}
	if (!session->policy.legacy_dir)
		session->policy.legacy_dir = "/etc/qubes-rpc/policy";
	if (!session->policy.qubes)
		session->policy.qubes = "/run/qubes/qubes.list";
	if (!session->clipboard_dir)
		session->clipboard_dir = "/run/qubes";
}

static bool configure(struct arguments *arguments)
{
	const char *path = arguments->config ? arguments->config : DEFAULT_CONFIG;
	struct config *config = &arguments->session.config;
	char *problem = NULL;
	int rc, i;

	config_defaults(config);
	rc = config_load(config, path, arguments->session.name, &problem);
	if (rc == -ENOENT && !arguments->config) {
		rc = 0;
		free(problem);
		problem = NULL;
	}
	for (i = 0; i < arguments->setting_count && !rc; i++)
		rc = config_set(config, arguments->settings[i], &problem);
	if (rc)
		fprintf(stderr, "gui-daemon: %s\n", problem ? problem : path);
	free(problem);
	config->log_level += arguments->verbosity;
	return !rc;
}

static pid_t child;
static volatile sig_atomic_t ending;

static void pass_on(int signal)
{
	ending = 1;
	if (child > 0)
		kill(child, signal);
}

/* The process that talks to the qube cannot start anything: this one does, and nothing else. */
static int supervise(const struct session_options *options)
{
	struct sigaction action = {.sa_handler = pass_on};
	sigset_t signals;
	int status;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	for (;;) {
		/* Between two processes, and until the new one can be ended, a signal waits. */
		sigprocmask(SIG_BLOCK, &signals, NULL);
		if (ending)
			return SESSION_LOST;
		child = fork();
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			signal(SIGTERM, SIG_DFL);
			signal(SIGINT, SIG_DFL);
			sigprocmask(SIG_UNBLOCK, &signals, NULL);
			exit(session_run(options));
		}
		sigprocmask(SIG_UNBLOCK, &signals, NULL);
		if (child < 0) {
			perror("gui-daemon: fork");
			return SESSION_FAILED;
		}
		while (waitpid(child, &status, 0) < 0)
			if (errno != EINTR)
				return SESSION_FAILED;
		if (WIFSIGNALED(status)) {
			fprintf(stderr, "gui-daemon: %s: ended by signal %d\n", options->name,
				WTERMSIG(status));
			return SESSION_FAILED;
		}
		if (WEXITSTATUS(status) != SESSION_LOST)
			return WEXITSTATUS(status);
	}
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.session = {.domain = -1}};

	/* What whoever started this forgot to close is not for a process that reads what a qube says. */
	close_range(STDERR_FILENO + 1, ~0u, 0);
	if (!parse(argc, argv, &arguments)) {
		usage(stderr);
		return 2;
	}
	fill_defaults(&arguments);
	if (!configure(&arguments))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	if (arguments.once)
		return (int)session_run(&arguments.session);
	return supervise(&arguments.session);
}
