// SPDX-License-Identifier: GPL-2.0-or-later
// Shell scripts as steps of a test of whole programs.
#define _GNU_SOURCE
#include "shell.h"

#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char out[65536];

int shell(const char *prelude, const char *script)
{
	char *text;
	size_t got;
	FILE *pipe;
	int status;

	assert_true(asprintf(&text, "%s%s", prelude, script) > 0);
	pipe = popen(text, "r");
	assert_non_null(pipe);
	got = fread(out, 1, sizeof(out) - 1, pipe);
	out[got] = '\0';
	status = pclose(pipe);
	free(text);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

int shell_create(const char *programs)
{
	static char dir[] = "/tmp/shell-test-XXXXXX";
	char self[PATH_MAX], place[2 * PATH_MAX], here[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const struct passwd *me = getpwuid(geteuid());

	if (length < 0 || !me || !getcwd(here, sizeof(here)) || !mkdtemp(dir))
		return -1;
	self[length] = '\0';
	snprintf(place, sizeof(place), "%s/%s", dirname(self), programs);
	setenv("P", place, 1);
	setenv("SRC", here, 1);
	setenv("T", dir, 1);
	setenv("U", me->pw_name, 1);
	return 0;
}

void write_file(const char *name, unsigned int mode, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", getenv("T"), name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

int shell_destroy(void)
{
	if (!shell("cd $T; ", "grep -l 'Sanitizer\\|runtime error' *.log log/* 2>/dev/null")) {
		printf("%s\n", out);
		return -1;
	}
	shell("", "chmod -R u+rwx \"$T\"; rm -r \"$T\"");
	return 0;
}
