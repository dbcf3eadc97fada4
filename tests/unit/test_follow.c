// SPDX-License-Identifier: GPL-2.0-or-later
// What follows the list of qubes: who comes and goes, the children, when a child is tried again, and what ends it.
// links: qrexec/follow/follow.c qrexec/policy/world.c
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../qrexec/follow/follow.h"

#define PAUSE 1000
#define TRIES 3

/* What the owner is asked, a letter and a name each: + comes, - goes, * starts, . ended, ! ended for the last time. */
static char said[512];

static struct owner {
	bool unwilling;
	int start_error, exit_code; /* exit_code < 0: the child stays */
	pid_t pid;		    /* of the last child */
	int status;		    /* of the last child that ended */
	unsigned int owned;
	struct follow *follow;
	const char *const *lists; /* one for each wait, for follow_run(); NULL: SIGTERM */
} owner;

static char dir[] = "/tmp/follow-test-XXXXXX";

static void say(char what, const char *name)
{
	size_t length = strlen(said);

	snprintf(said + length, sizeof(said) - length, "%c%s ", what, name);
}

#define assert_said(text)          \
 do {                              \
  assert_string_equal(said, text); \
  *said = '\0';                    \
 } while (0)

static void comes(void *data, struct follow_qube *qube)
{
	struct owner *o = data;

	assert_null(qube->own);
	qube->own = strdup(qube->name);
	o->owned++;
	say('+', qube->name);
}

static void goes(void *data, struct follow_qube *qube)
{
	struct owner *o = data;

	assert_string_equal(qube->own, qube->name);
	free(qube->own);
	o->owned--;
	say('-', qube->name);
}

static bool wants(void *data, const struct follow_qube *qube)
{
	const struct owner *o = data;

	assert_string_equal(qube->own, qube->name);
	return !o->unwilling;
}

static pid_t start(void *data, struct follow_qube *qube)
{
	struct owner *o = data;

	say('*', qube->name);
	if (o->start_error)
		return o->start_error;
	o->pid = follow_fork();
	if (o->pid)
		return o->pid;
	if (o->exit_code >= 0)
		_exit(o->exit_code);
	for (;;)
		pause();
}

static void ended(void *data, struct follow_qube *qube, int status, bool last)
{
	struct owner *o = data;

	say(last ? '!' : '.', qube->name);
	o->status = status;
	if (last)
		raise(SIGTERM);
}

static const struct follow_calls calls = {comes, goes, wants, start, ended, NULL, -1};
static const struct follow_options options = {"test", dir, PAUSE, TRIES, 0};

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* Puts a list in the place of another, as who keeps the list does. */
static void list(const char *text)
{
	FILE *file = fopen(path_of("next"), "w");
	char *from;

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	from = strdup(path_of("next"));
	assert_int_equal(rename(from, path_of(FOLLOW_LIST)), 0);
	free(from);
}

/* Reads a list; what goes to standard error is returned. */
static const char *read_list(const char *text)
{
	static char message[256];
	int before = dup(STDERR_FILENO);
	FILE *file = tmpfile();
	size_t length;

	assert_non_null(file);
	if (text)
		list(text);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	follow_read(owner.follow);
	fflush(stderr);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	length = fread(message, 1, sizeof(message) - 1, file);
	message[length] = '\0';
	fclose(file);
	return message;
}

static int64_t due(int64_t at)
{
	return follow_start_due(owner.follow, at);
}

/* Waits for the child that was started last, and hands it over. */
static int last_ends(void)
{
	int status;

	assert_int_equal(waitpid(owner.pid, &status, 0), owner.pid);
	follow_ended(owner.follow, owner.pid, status);
	return status;
}

static int setup(void **state)
{
	(void)state;
	*said = '\0';
	owner = (struct owner){.exit_code = -1};
	unlink(path_of(FOLLOW_LIST));
	return follow_create(&owner.follow, &options, &calls, &owner);
}

/* No child is left, nor anything of the owner's. */
static int teardown(void **state)
{
	(void)state;
	follow_destroy(owner.follow);
	return owner.owned || waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD;
}

static void test_comes_and_goes(void **state)
{
	(void)state;
	/* One that has no domain, one that has no colour, and dom0 are none of those that are followed. */
	assert_string_equal(read_list("dom0 class=AdminVM label=black\noff class=AppVM label=red\n"
				      "bare class=AppVM domid=3\nwork label=blue domid=4\n"),
			    "");
	assert_said("+work ");
	assert_int_equal(due(0), -1);
	assert_said("*work ");
	read_list(NULL);
	read_list("work label=blue domid=4\nmail label=red domid=5\n");
	assert_int_equal(due(0), -1);
	assert_said("+mail *mail ");
	read_list("work label=blue domid=4\n");
	assert_said("-mail ");
	/* Who has gone is not told of the end of the child, which was asked to end. */
	assert_int_equal(WTERMSIG(last_ends()), SIGTERM);
	assert_said("");
	read_list("");
	assert_said("-work ");
}

static void test_another_domain_or_label_is_another_qube(void **state)
{
	pid_t first;
	int status;

	(void)state;
	read_list("work label=blue domid=4\n");
	due(0);
	assert_said("+work *work ");
	first = owner.pid;
	read_list("work label=green domid=4\n");
	due(0);
	assert_said("+work -work *work ");
	assert_int_not_equal(owner.pid, first);
	assert_int_equal(waitpid(first, &status, 0), first);
	assert_int_equal(WTERMSIG(status), SIGTERM);
	follow_ended(owner.follow, first, status);
	assert_said("");
	read_list("work label=green domid=5\n");
	due(0);
	assert_said("+work -work *work ");
}

/* It comes back before its child has ended: the next one does not wait for that. */
static void test_comes_back_at_once(void **state)
{
	pid_t first;
	int status;

	(void)state;
	read_list("work label=blue domid=4\n");
	due(0);
	first = owner.pid;
	read_list("");
	read_list("work label=blue domid=4\n");
	due(0);
	assert_said("+work *work -work +work *work ");
	assert_int_equal(waitpid(first, &status, 0), first);
	follow_ended(owner.follow, first, status);
	assert_int_equal(due(PAUSE), -1);
	assert_said("");
}

static void test_damaged_list_changes_nothing(void **state)
{
	(void)state;
	assert_string_equal(read_list(NULL), ""); /* there is none yet */
	read_list("work label=blue domid=4\n");
	assert_said("+work ");
	assert_non_null(strstr(read_list("mail label=red domid=5\nwork domid=x\n"),
			       "/qubes.list:2: Invalid argument\n"));
	unlink(path_of(FOLLOW_LIST));
	assert_string_equal(read_list(NULL), "");
	assert_said("");
	assert_non_null(strstr(read_list("work label=blue domid=4\n"
					 "mail label=red-and-green-and-blue domid=5\n"),
			       "test: mail: unknown label\n"));
	assert_said("");
}

static void test_failed_child_is_tried_again_after_a_pause(void **state)
{
	(void)state;
	owner.exit_code = 3;
	read_list("work label=blue domid=4\n");
	assert_int_equal(due(100), -1); /* its end is awaited, not a time */
	assert_said("+work *work ");
	assert_int_equal(WEXITSTATUS(last_ends()), 3);
	assert_said(".work ");
	assert_int_equal(due(100), PAUSE);
	assert_int_equal(due(100 + PAUSE - 1), 1);
	assert_said("");
	due(100 + PAUSE);
	last_ends();
	assert_said("*work .work ");
	/* One that lasted for longer than the pause comes back at once. */
	due(10 * PAUSE);
	assert_said("*work ");
}

static void test_no_more_tries_than_that(void **state)
{
	sigset_t pending;

	(void)state;
	owner.exit_code = 3;
	read_list("work label=blue domid=4\n");
	for (int i = 0; i < TRIES; i++) {
		due(i * PAUSE);
		last_ends();
	}
	assert_said("+work *work .work *work .work *work !work ");
	assert_int_equal(due(TRIES * PAUSE), -1);
	assert_said("");
	follow_anew(owner.follow);
	assert_int_equal(due(TRIES * PAUSE), -1);
	last_ends();
	assert_said("*work .work ");
	/* What ended() raised is blocked, as follow_run() takes it. */
	sigpending(&pending);
	assert_true(sigismember(&pending, SIGTERM));
	sigemptyset(&pending);
	sigaddset(&pending, SIGTERM);
	assert_int_equal(sigwaitinfo(&pending, NULL), SIGTERM);
}

/* It goes on for ever, but more and more seldom, until one lasts. */
static void test_longer_pauses(void **state)
{
	static const struct follow_options seldom = {"test", dir, PAUSE, 0, 6 * PAUSE};
	static const int64_t pauses[] = {PAUSE, 2 * PAUSE, 4 * PAUSE, 6 * PAUSE, 6 * PAUSE};
	int64_t at = 500;

	(void)state;
	follow_destroy(owner.follow);
	assert_int_equal(follow_create(&owner.follow, &seldom, &calls, &owner), 0);
	owner.exit_code = 3;
	read_list("work label=blue domid=4\n");
	for (size_t i = 0; i < sizeof(pauses) / sizeof(*pauses); i++) {
		due(at);
		last_ends();
		assert_int_equal(due(at), pauses[i]);
		at += pauses[i];
	}
	assert_said("+work *work .work *work .work *work .work *work .work *work .work ");
	/* That one lasts for longer than the longest pause. */
	due(at);
	at += 13 * PAUSE;
	last_ends();
	due(at);
	last_ends();
	assert_int_equal(due(at), PAUSE);
	assert_said("*work .work *work .work ");
	/* What has changed is tried at once, and as often as at first. */
	at += PAUSE;
	due(at);
	last_ends();
	follow_anew(owner.follow);
	due(at);
	last_ends();
	assert_int_equal(due(at), PAUSE);
	*said = '\0';
}

static void test_start_that_fails(void **state)
{
	(void)state;
	owner.start_error = -EAGAIN;
	read_list("work label=blue domid=4\n");
	assert_int_equal(due(0), PAUSE);
	assert_int_equal(due(1), PAUSE - 1);
	assert_int_equal(due(PAUSE), PAUSE);
	assert_int_equal(due(2 * PAUSE), -1);
	assert_said("+work *work *work *work ");
}

static void test_unwilling_owner(void **state)
{
	(void)state;
	owner.unwilling = true;
	read_list("work label=blue domid=4\nmail label=red domid=5\n");
	assert_int_equal(due(0), -1);
	assert_said("+mail +work ");
	owner.unwilling = false;
	due(0);
	assert_said("*work *mail ");
}

static void next_list(void *data)
{
	struct owner *o = data;

	if (*o->lists)
		list(*o->lists++);
	else
		raise(SIGTERM);
}

/* The loop: no list at first, one that comes, one that takes its place; then a signal. */
static void test_run_sees_each_list(void **state)
{
	static const char *const lists[] = {"work label=blue domid=4\n", "mail label=red domid=5\n",
					    "", NULL};
	struct follow_calls own = calls;
	struct follow *follow;

	(void)state;
	own.before_wait = next_list;
	owner.unwilling = true;
	owner.lists = lists;
	assert_int_equal(follow_create(&follow, &options, &own, &owner), 0);
	assert_int_equal(follow_run(follow), 0);
	assert_said("+work +mail -work -mail ");
	follow_destroy(follow);
}

/* The loop takes the ends of children, too, and starts them again. */
static void test_run_takes_the_ends_of_children(void **state)
{
	struct follow_options quick = options;
	struct follow *follow;

	(void)state;
	quick.pause = 1;
	owner.exit_code = 3;
	list("work label=blue domid=4\n");
	assert_int_equal(follow_create(&follow, &quick, &calls, &owner), 0);
	assert_int_equal(follow_run(follow), 0); /* ended() asks for that at last */
	assert_said("+work *work .work *work .work *work !work ");
	assert_int_equal(WEXITSTATUS(owner.status), 3);
	follow_destroy(follow);
	assert_said("-work ");
}

static void test_no_directory(void **state)
{
	struct follow_options other = options;
	struct follow *follow;

	(void)state;
	other.dir = "/nonexistent";
	assert_int_equal(follow_create(&follow, &other, &calls, NULL), -ENOENT);
	other.dir = "/dev/null";
	assert_int_equal(follow_create(&follow, &other, &calls, NULL), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_comes_and_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_domain_or_label_is_another_qube, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_comes_back_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_list_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_child_is_tried_again_after_a_pause,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_more_tries_than_that, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longer_pauses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_that_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unwilling_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_sees_each_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_takes_the_ends_of_children, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_directory, setup, teardown),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path_of(FOLLOW_LIST));
	rmdir(dir);
	return failed;
}
