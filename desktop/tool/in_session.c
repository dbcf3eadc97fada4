// SPDX-License-Identifier: GPL-2.0-or-later
// in-session: runs a program in the session of the user at the screen, for services of dom0, which root starts.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../prompt/user_session.h"

int main(int argc, char **argv)
{
	int rc;

	if (argc < 2) {
		fprintf(stderr, "usage: in-session PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	rc = user_session_enter("/run/qubes/session");
	if (rc) {
		fprintf(stderr, "in-session: %s\n",
			rc == -ENOENT ? "nobody has a session on the screen" : strerror(-rc));
		return 1;
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "in-session: %s: %s\n", argv[1], strerror(errno));
	return 127;
}
