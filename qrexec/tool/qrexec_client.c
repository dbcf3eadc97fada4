// SPDX-License-Identifier: GPL-2.0-or-later
// qrexec-client: dom0 runs a command or a service in a qube.
#define _GNU_SOURCE
#include "../lib/call.h"
#include "../lib/service.h"
#include "../lib/terminal.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int problem(const char *qube, int error)
{
	const char *hint = error == ENOENT || error == ECONNREFUSED ? " (is the qube running?)"
			   : error == EPIPE ? " (the daemon or the qube does not take the call)"
					    : "";

	fprintf(stderr, "qrexec-client: %s: %s%s\n", qube, strerror(error), hint);
	return WIRE_EXIT_PROBLEM;
}

static int usage(FILE *to, int status)
{
	fputs("usage: qrexec-client [OPTION]… -d QUBE USER:COMMAND\n"
	      "  -d QUBE               the qube\n"
	      "  -l PROGRAM            has the command's input and output, in place of this terminal\n"
	      "  -e                    do not wait for it\n"
	      "  -s, --socket-dir DIR  where the sockets of the daemons are (/run/qubes)\n"
	      "  --no-error            drop the command's error output\n"
	      "  --no-filter           show control characters of the output on a terminal as they are\n"
	      "  -h, --help            print this\n",
	      to);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"socket-dir", required_argument, NULL, 's'},
					      {"no-error", no_argument, NULL, 'E'},
					      {"no-filter", no_argument, NULL, 'F'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	struct stream stream = {.to_local = STDOUT_FILENO,
				.from_local = STDIN_FILENO,
				.err_local = -1,
				.pid = -1};
	char *program[] = {"/bin/sh", "-c", NULL, NULL};
	const char *dir = NULL, *qube = NULL;
	bool just_exec = false, good = true, filter = true;
	struct terminal terminal = {-1, -1};
	struct call_channel call;
	int option, rc;

	while ((option = getopt_long(argc, argv, "+d:l:es:h", longs, NULL)) != -1)
		switch (option) {
		case 'd':
			qube = optarg;
			break;
		case 'l':
			program[2] = optarg;
			break;
		case 'e':
			just_exec = true;
			break;
		case 's':
			dir = optarg;
			break;
		case 'E':
			stream.no_error = true;
			break;
		case 'F':
			filter = false;
			break;
		case 'h':
			return usage(stdout, 0);
		default:
			good = false;
		}
	if (!good || !qube || argc - optind != 1)
		return usage(stderr, WIRE_EXIT_PROBLEM);
	signal(SIGPIPE, SIG_IGN);
	rc = call_execute(dir, qube, argv[optind], just_exec, STREAM_RING, STREAM_RING, &call);
	if (rc)
		return problem(qube, -rc);
	stream.vchan = call.vchan;
	rc = program[2] ? service_spawn_local(program, &stream) : 0;
	if (filter)
		terminal_guard(&terminal);
	if (!rc)
		rc = stream_run(&stream);
	call_finish(&call);
	terminal_finish(&terminal);
	return rc;
}
