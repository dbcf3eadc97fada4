// SPDX-License-Identifier: GPL-2.0-or-later
// qvm-copy, qvm-move, qvm-copy-to-vm, qvm-move-to-vm: files and directories to another qube.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/call.h"
#include "../lib/link.h"
#include "../lib/stream.h"
#include "../service/qfile.h"

#define RING	    (1u << 20)
#define PROGRESS_MS 100
#define MIB	    (1024.0 * 1024.0)

static struct options {
	const char *name;	/* of this program */
	bool move, with_target; /* as its name says */
	bool all_names, no_progress, ignore_links;
} options;

static int usage(FILE *to, int code)
{
	fprintf(to, "usage: %s [OPTION]… %sFILE…\n", options.name,
		options.with_target ? "QUBE " : "");
	fputs("  --allow-all-names  also names that are not readable text\n"
	      "  --ignore-symlinks  leave symbolic links out\n"
	      "  --no-progress      do not show how far it is\n"
	      "  -h, --help         print this\n",
	      to);
	return code;
}

static void show(struct qfile_sender *sender, bool last)
{
	static long long next;
	long long now = now_ms();

	if (now < next && !last)
		return;
	next = now + PROGRESS_MS;
	fprintf(stderr, "\r%.1f of %.1f MiB%s", (double)sender->bytes / MIB,
		(double)sender->total / MIB, last ? "\n" : "");
}

static void progress(struct qfile_sender *sender)
{
	show(sender, false);
}

static const char *explain(int error)
{
	switch (error) {
	case EEXIST:
		return "there is a file or directory of this name already";
	case EILSEQ:
		return "the name is not readable text; --allow-all-names sends it";
	case ENOLINK:
		return "the link leads out of what is copied; --ignore-symlinks leaves links out";
	case EDQUOT:
		return "the other qube does not take so much";
	case QFILE_TRUNCATED:
	case EREMOTEIO:
		return "the data ended early";
	case EBADMSG:
		return "the checksums differ: the copy is not good";
	case EINVAL:
		return "not a file, directory or link that can be sent";
	case ENODATA:
		return "the file became shorter while it was read";
	case ECANCELED:
	case EPIPE:
		return "the other qube ended the transfer";
	default:
		return strerror(error);
	}
}

static int failed(const char *what, int error)
{
	fprintf(stderr, "%s: %s%s%s\n", options.name, what, *what ? ": " : "", explain(error));
	return 1;
}

/* In dom0 there is no agent, but a daemon for each qube. */
static int open_call(const char *target, struct call_channel *ret_call)
{
	const char *service = options.all_names ? "qubes.Filecopy+allow-all-names"
						: "qubes.Filecopy";
	const char *agent = getenv("QREXEC_AGENT_SOCKET");
	char command[128];

	if (options.with_target && !agent && access(CALL_AGENT_SOCKET, F_OK)) {
		snprintf(command, sizeof(command), "DEFAULT:QUBESRPC %s dom0", service);
		return call_execute(NULL, target, command, false, STREAM_RING, RING, ret_call);
	}
	return call_service(NULL, target, service, STREAM_RING, RING, ret_call);
}

/* What is there can be sent; this is found out before anybody is asked. */
static int look(char **files, struct qfile_sender *sender)
{
	for (char **file = files; *file; file++) {
		if (faccessat(AT_FDCWD, *file, F_OK, AT_SYMLINK_NOFOLLOW))
			return failed(*file, errno);
		if (sender->progress)
			sender->total += qfile_size(*file);
	}
	return 0;
}

static int send_all(struct qfile_sender *sender, char **files)
{
	char where[256];
	int rc = 0;

	for (; *files && !rc; files++)
		rc = qfile_send(sender, *files);
	/* A problem of this end: the other one must not take what it has for complete. */
	if (rc && rc != -ECANCELED && rc != -EPIPE)
		return failed(sender->path, -rc);
	rc = qfile_finish(sender, where, sizeof(where));
	if (sender->progress)
		show(sender, true);
	if (rc)
		return failed(where, rc < 0 ? -rc : rc);
	if (options.move && qfile_remove_sent(sender, stderr))
		return 1;
	return 0;
}

static int run(const char *target, char **files)
{
	struct qfile_sender sender = {.ignore_links = options.ignore_links,
				      .keep_list = options.move};
	struct call_channel call;
	struct link link;
	int rc;

	if (!options.no_progress && isatty(STDERR_FILENO))
		sender.progress = progress;
	rc = look(files, &sender);
	if (rc)
		return rc;
	rc = open_call(target, &call);
	if (rc == -EACCES) {
		fprintf(stderr, "%s: request refused\n", options.name);
		return WIRE_EXIT_REFUSED;
	}
	if (rc)
		return failed("qrexec", -rc);
	rc = link_open(&link, call.vchan, false);
	sender.link = &link;
	rc = rc ? failed("qrexec", -rc) : send_all(&sender, files);
	qfile_sender_finish(&sender);
	call_finish(&call);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"allow-all-names", no_argument, NULL, 'a'},
					      {"ignore-symlinks", no_argument, NULL, 'i'},
					      {"no-progress", no_argument, NULL, 'n'},
					      {"without-progress", no_argument, NULL, 'n'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	const char *target = "@default";
	int option;

	options.name = basename(argv[0]);
	options.move = !strncmp(options.name, "qvm-move", 8);
	options.with_target = strstr(options.name, "-to-vm") != NULL;
	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		if (option == 'a')
			options.all_names = true;
		else if (option == 'i')
			options.ignore_links = true;
		else if (option == 'n')
			options.no_progress = true;
		else
			return usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
	if (options.with_target && optind < argc)
		target = argv[optind++];
	if (optind >= argc)
		return usage(stderr, 2);
	signal(SIGPIPE, SIG_IGN);
	return run(target, argv + optind);
}
