// SPDX-License-Identifier: GPL-2.0-or-later
// vm-exec: the services qubes.VMExec and qubes.VMExecGUI: runs the command that is their argument.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/words.h"

int main(void)
{
	const char *argument = getenv("QREXEC_SERVICE_ARGUMENT");
	char **words = argument ? words_decode(argument) : NULL;
	int code;

	if (!words) {
		fprintf(stderr,
			"vm-exec: the argument is no command: words are joined by +, other bytes than "
			"letters, digits, . and _ are -HH\n");
		return 125;
	}
	execvp(words[0], words);
	code = errno == ENOENT ? 127 : 126;
	fprintf(stderr, "vm-exec: %s: %s\n", words[0], strerror(errno));
	free(words[0]);
	free(words);
	return code;
}
