// SPDX-License-Identifier: GPL-2.0-or-later
// qrexec-client-vm: calls a service of another qube.
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

static int problem(const char *target, int error)
{
	if (error == EACCES) {
		fprintf(stderr, "qrexec-client-vm: request refused\n");
		return WIRE_EXIT_REFUSED;
	}
	fprintf(stderr, "qrexec-client-vm: %s: %s%s\n", *target ? target : "@default",
		strerror(error),
		error == ENOENT || error == ECONNREFUSED ? " (does qrexec-agent run here?)" : "");
	return WIRE_EXIT_PROBLEM;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"socket", required_argument, NULL, 's'},
					      {"no-filter", no_argument, NULL, 'F'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	struct stream stream = {.to_local = STDOUT_FILENO,
				.from_local = STDIN_FILENO,
				.err_local = -1,
				.pid = -1};
	struct call_channel call;
	const char *path = NULL;
	struct terminal terminal = {-1, -1};
	bool filter = true;
	int option, rc;

	while ((option = getopt_long(argc, argv, "+s:h", longs, NULL)) == 's' || option == 'F')
		if (option == 's')
			path = optarg;
		else
			filter = false;
	if (option != -1 || argc - optind < 2) {
		fputs("usage: qrexec-client-vm [--socket PATH] [--no-filter] TARGET SERVICE[+ARGUMENT] "
		      "[PROGRAM [ARGUMENT]…]\n",
		      option == 'h' ? stdout : stderr);
		return option == 'h' ? 0 : WIRE_EXIT_PROBLEM;
	}
	signal(SIGPIPE, SIG_IGN);
	rc = call_service(path, argv[optind], argv[optind + 1], STREAM_RING, STREAM_RING, &call);
	if (rc)
		return problem(argv[optind], -rc);
	stream.vchan = call.vchan;
	rc = argv[optind + 2] ? service_spawn_local(argv + optind + 2, &stream) : 0;
	if (filter)
		terminal_guard(&terminal);
	if (!rc)
		rc = stream_run(&stream);
	call_finish(&call);
	terminal_finish(&terminal);
	return rc;
}
