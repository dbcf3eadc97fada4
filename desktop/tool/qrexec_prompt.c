// SPDX-License-Identifier: GPL-2.0-or-later
// qrexec-prompt: asks the user in a window whether a call may go on. See docs/qrexec-programs.md.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <gtk/gtk.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "../prompt/dialog.h"
#include "../prompt/note.h"
#include "../prompt/user_session.h"

#define DELAY_MS  1000
#define TIMEOUT_S 300

struct arguments {
	struct dialog_options dialog;
	const char *session_dir, *verb;
};

static int usage(FILE *to)
{
	fputs("usage: qrexec-prompt [--delay MS] [--timeout S] [--session-dir DIR] ask|notify\n",
	      to);
	return to == stdout ? 0 : 2;
}

static bool number(const char *text, uint32_t max, uint32_t *ret_number)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value > max)
		return false;
	*ret_number = (uint32_t)value;
	return true;
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
	static const struct option longs[] = {{"delay", required_argument, NULL, 'd'},
					      {"timeout", required_argument, NULL, 't'},
					      {"session-dir", required_argument, NULL, 's'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	bool good = true;
	int option;

	while (good && (option = getopt_long(argc, argv, "d:t:s:h", longs, NULL)) != -1)
		if (option == 'd')
			good = number(optarg, 3600000, &arguments->dialog.delay);
		else if (option == 't')
			good = number(optarg, 86400, &arguments->dialog.timeout);
		else if (option == 's')
			arguments->session_dir = optarg;
		else if (option == 'h')
			exit(usage(stdout));
		else
			good = false;
	if (!good || argc - optind != 1)
		return false;
	arguments->verb = argv[optind];
	return !strcmp(arguments->verb, "ask") || !strcmp(arguments->verb, "notify");
}

static int read_question(struct question *ret_question)
{
	char *text = malloc(QUESTION_TEXT_MAX + 1);
	size_t length = text ? fread(text, 1, QUESTION_TEXT_MAX + 1, stdin) : 0;
	int rc = text ? question_parse(text, length, ret_question) : -ENOMEM;

	free(text);
	if (rc)
		fprintf(stderr, "qrexec-prompt: standard input is not understood: %s\n",
			strerror(-rc));
	return rc;
}

/* One question at a time is on the screen: two would lie over one another. Waits for its turn. */
static int await_turn(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/qrexec-prompt.lock", dir ? dir : "/tmp") >=
	    (int)sizeof(path))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		fprintf(stderr, "qrexec-prompt: %s: %s\n", path, strerror(errno));
		return -1;
	}
	return fd;
}

static int ask(const struct question *question, const struct dialog_options *options)
{
	const char *target;

	if (!question->target_count) {
		puts("deny");
		return 0;
	}
	if (await_turn() < 0)
		return 1;
	target = dialog_run(question, options);
	if (target)
		printf("allow:%s\n", target);
	else
		puts("deny");
	return fflush(stdout) ? 1 : 0;
}

static int notify(const struct question *note)
{
	char *text;
	bool shown = note_show(note, &text);

	if (!shown)
		fprintf(stderr, "qrexec-prompt: no notification could be shown. %s\n", text);
	g_free(text);
	return shown ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.dialog = {DELAY_MS, TIMEOUT_S},
				      .session_dir = "/run/qubes/session"};
	struct question question;
	int rc;

	if (!parse(argc, argv, &arguments))
		return usage(stderr);
	/* Root has no screen of its own: with one in the environment it is a test's. */
	rc = getenv("DISPLAY") ? 0 : user_session_enter(arguments.session_dir);
	if (rc) {
		fprintf(stderr, "qrexec-prompt: %s: %s\n", arguments.session_dir,
			rc == -ENOENT ? "nobody has a session on the screen, so nobody can be asked"
				      : strerror(-rc));
		return 1;
	}
	if (read_question(&question))
		return 1;
	if (!strcmp(arguments.verb, "notify")) {
		rc = notify(&question);
		question_finish(&question);
		return rc;
	}
	gdk_set_allowed_backends("x11");
	if (!gtk_init_check(NULL, NULL)) {
		fprintf(stderr, "qrexec-prompt: the display %s cannot be opened\n",
			getenv("DISPLAY") ? getenv("DISPLAY") : "(none)");
		question_finish(&question);
		return 1;
	}
	rc = ask(&question, &arguments.dialog);
	question_finish(&question);
	return rc;
}
