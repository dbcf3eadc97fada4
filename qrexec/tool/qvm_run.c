// SPDX-License-Identifier: GPL-2.0-or-later
// qvm-run (dom0) and qvm-run-vm (a qube): a command or a service in another qube.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/call.h"
#include "../lib/stream.h"
#include "../lib/terminal.h"
#include "../lib/words.h"
#include "../policy/world.h"

static struct options {
	const char *name, *user, *starter, *dispvm;
	bool in_qube, pass_io, service, no_shell, autostart, gui, quiet, filter, dispvm_given;
} options = {.user = "DEFAULT", .starter = "/usr/lib/qubes/qrexec-start-qube", .autostart = true};

static int usage(FILE *to, int code)
{
	fprintf(to, "usage: %s [OPTION]… QUBE COMMAND [ARGUMENT]…\n", options.name);
	if (options.in_qube)
		fputs("  -p, --pass-io        take input and output of the command (always so here)\n"
		      "  --dispvm             in a new disposable; then there is no QUBE\n",
		      to);
	else
		fputs("  -p, --pass-io        take input, output and exit code of the command; else only start it\n"
		      "  -u, --user USER      as this user (the default one of the qube)\n"
		      "  --no-autostart       only if the qube runs\n"
		      "  --gui                wait for the session of the user first\n"
		      "  --dispvm[=TEMPLATE]  in a new disposable; then there is no QUBE\n"
		      "  --starter PROGRAM    starts qubes (/usr/lib/qubes/qrexec-start-qube)\n",
		      to);
	fputs("  --no-filter          show control characters of the output on a terminal as they are\n"
	      "  --service            COMMAND is a service, SERVICE[+ARGUMENT]\n"
	      "  --no-shell           run the words of COMMAND, without a shell\n"
	      "  -q, --quiet          say nothing\n"
	      "  -h, --help           print this\n",
	      to);
	return code;
}

static int failed(const char *what, int error)
{
	if (options.quiet)
		return error == EACCES ? WIRE_EXIT_REFUSED : WIRE_EXIT_PROBLEM;
	if (error == EACCES) {
		fprintf(stderr, "%s: request refused\n", options.name);
		return WIRE_EXIT_REFUSED;
	}
	fprintf(stderr, "%s: %s: %s\n", options.name, what,
		error != EHOSTDOWN  ? strerror(error)
		: options.autostart ? "does not run, and could not be started"
				    : "does not run");
	return WIRE_EXIT_PROBLEM;
}

/* All words with spaces between them, as a shell takes them. To be freed. */
static char *join(char *const words[])
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	for (size_t i = 0; words[i]; i++)
		fprintf(to, "%s%s", i ? " " : "", words[i]);
	return fclose(to) ? NULL : text;
}

/* A line for qubes.VMShell: the command has the rest of the input for itself. */
static char *shell_line(const char *command)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fputs("exec /bin/sh -c '", to);
	for (; *command; command++)
		if (*command == '\'')
			fputs("'\\''", to);
		else
			fputc(*command, to);
	fputs("'\n", to);
	return fclose(to) ? NULL : text;
}

static int carry(struct call_channel *call)
{
	struct stream stream = {.vchan = call->vchan,
				.to_local = STDOUT_FILENO,
				.from_local = STDIN_FILENO,
				.err_local = -1,
				.pid = -1};
	struct terminal terminal = {-1, -1};
	int code;

	/* The agent has no error output for it then; another one may say what it likes. */
	if (!options.pass_io) {
		stream.to_local = stream.from_local = -1;
		stream.no_error = true;
	} else if (options.filter) {
		terminal_guard(&terminal);
	}
	code = stream_run(&stream);
	call_finish(call);
	terminal_finish(&terminal);
	return code;
}

/* Runs the program that starts qubes; the first line that it prints. False: it failed. */
static bool run_starter(const char *verb, const char *word, char *ret_line, size_t size)
{
	int pipe[2], status = -1;
	pid_t pid;
	FILE *from;

	if (pipe2(pipe, 0))
		return false;
	pid = fork();
	if (pid == 0) {
		dup2(pipe[1], STDOUT_FILENO);
		close(pipe[0]);
		close(pipe[1]);
		execl(options.starter, options.starter, verb, word, NULL);
		_exit(127);
	}
	close(pipe[1]);
	from = fdopen(pipe[0], "r");
	ret_line[0] = '\0';
	if (from && fgets(ret_line, (int)size, from))
		ret_line[strcspn(ret_line, "\n")] = '\0';
	if (from)
		fclose(from);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* The text for the agent, to be freed. */
static char *command_text(char *const words[])
{
	char *command = options.no_shell ? words_encode("qubes.VMExec", words) : join(words), *text;
	bool service = options.service || options.no_shell;

	if (!command)
		return NULL;
	if (asprintf(&text, service ? "%s:QUBESRPC %s dom0" : "%s:%s", options.user, command) < 0)
		text = NULL;
	free(command);
	return text;
}

static int execute(const char *qube, const char *text)
{
	struct call_channel call;
	char ignored[64];
	int rc = call_execute(NULL, qube, text, !options.pass_io, STREAM_RING, STREAM_RING, &call);

	if ((rc == -ENOENT || rc == -ECONNREFUSED) && options.autostart) {
		if (!run_starter("start", qube, ignored, sizeof(ignored)))
			return failed(qube, EHOSTDOWN);
		rc = call_execute(NULL, qube, text, !options.pass_io, STREAM_RING, STREAM_RING,
				  &call);
	}
	return rc ? failed(qube, rc == -ENOENT ? EHOSTDOWN : -rc) : carry(&call);
}

static int run_from_dom0(const char *qube, char *const words[])
{
	struct options all = options;
	char *text = command_text(words), *wait = NULL;
	int code = WIRE_EXIT_PROBLEM;

	if (options.gui &&
	    asprintf(&wait, "%s:QUBESRPC qubes.WaitForSession dom0", options.user) < 0)
		wait = NULL;
	if (wait) {
		options.pass_io = false;
		code = execute(qube, wait);
		options = all;
	}
	if (text && (!wait || !code))
		code = execute(qube, text);
	free(text);
	free(wait);
	return code;
}

static int run_in_disposable(char *const words[])
{
	char name[64], ignored[64];
	int code;

	if (!run_starter("disposable", options.dispvm ? options.dispvm : "", name, sizeof(name)) ||
	    !world_name_valid(name))
		return failed("disposable", EHOSTDOWN);
	/* It lives as long as the command, so that has to be waited for. */
	options.pass_io = true;
	code = run_from_dom0(name, words);
	run_starter("finish", name, ignored, sizeof(ignored));
	return code;
}

/* In front of the standard input comes a line for the shell: a pipe takes both. */
static bool prepend(const char *line)
{
	int pipe[2];
	pid_t pid;

	if (pipe2(pipe, 0))
		return false;
	pid = fork();
	if (pid == 0) {
		size_t length = strlen(line);
		char data[65536];
		ssize_t n;

		close(pipe[0]);
		close(STDOUT_FILENO);
		if (write(pipe[1], line, length) != (ssize_t)length)
			_exit(1);
		while ((n = read(STDIN_FILENO, data, sizeof(data))) > 0)
			if (write(pipe[1], data, (size_t)n) != n)
				_exit(1);
		_exit(0);
	}
	close(pipe[1]);
	dup2(pipe[0], STDIN_FILENO);
	close(pipe[0]);
	return pid > 0;
}

static int run_from_qube(const char *qube, char *const words[])
{
	char *command = options.no_shell ? words_encode("qubes.VMExec", words) : join(words);
	char *line = command && !options.no_shell && !options.service ? shell_line(command) : NULL;
	struct call_channel call;
	int rc = -ENOMEM;

	if (command && (line || options.no_shell || options.service))
		rc = call_service(NULL, qube, line ? "qubes.VMShell" : command, STREAM_RING,
				  STREAM_RING, &call);
	if (!rc && line && !prepend(line)) {
		call_finish(&call);
		rc = -EAGAIN;
	}
	free(command);
	free(line);
	return rc ? failed(qube, -rc) : carry(&call);
}

static bool take_option(int option)
{
	switch (option) {
	case 'p':
		return options.pass_io = true;
	case 'u':
		options.user = optarg;
		return !options.in_qube;
	case 's':
		return options.service = true;
	case 'n':
		return options.no_shell = true;
	case 'N':
		return !(options.autostart = false);
	case 'a':
		return true;
	case 'g':
		return options.gui = true;
	case 'G':
		return !(options.gui = false);
	case 'd':
		options.dispvm = optarg;
		return options.dispvm_given = true;
	case 'f':
		return !(options.filter = false);
	case 'S':
		options.starter = optarg;
		return true;
	case 'q':
		return options.quiet = true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"pass-io", no_argument, NULL, 'p'},	   {"user", required_argument, NULL, 'u'},
		{"service", no_argument, NULL, 's'},	   {"no-shell", no_argument, NULL, 'n'},
		{"no-autostart", no_argument, NULL, 'N'},  {"no-start", no_argument, NULL, 'N'},
		{"autostart", no_argument, NULL, 'a'},	   {"gui", no_argument, NULL, 'g'},
		{"no-gui", no_argument, NULL, 'G'},	   {"nogui", no_argument, NULL, 'G'},
		{"dispvm", optional_argument, NULL, 'd'},  {"no-filter", no_argument, NULL, 'f'},
		{"starter", required_argument, NULL, 'S'}, {"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},	   {NULL, 0, NULL, 0}};
	const char *qube;
	int option;

	options.name = basename(argv[0]);
	options.in_qube = !strcmp(options.name, "qvm-run-vm");
	options.pass_io = options.in_qube;
	options.filter = true;
	while ((option = getopt_long(argc, argv, "+pu:aqh", longs, NULL)) != -1)
		if (option == 'h')
			return usage(stdout, 0);
		else if (!take_option(option))
			return usage(stderr, 2);
	if (optind >= argc || (argc - optind < 2 && !options.dispvm_given))
		return usage(stderr, 2);
	signal(SIGPIPE, SIG_IGN);
	if (options.dispvm_given && !options.in_qube)
		return run_in_disposable(argv + optind);
	qube = options.dispvm_given ? "@dispvm" : argv[optind++];
	return options.in_qube ? run_from_qube(qube, argv + optind)
			       : run_from_dom0(qube, argv + optind);
}
