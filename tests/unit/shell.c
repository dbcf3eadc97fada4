// SPDX-License-Identifier: GPL-2.0-or-later
// Shell scripts as steps of a test of whole programs.
#define _GNU_SOURCE
#include "shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

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
