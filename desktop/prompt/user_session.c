// SPDX-License-Identifier: GPL-2.0-or-later
// Enters the session of the user at the screen.
#define _GNU_SOURCE
#include "user_session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../qrexec/lib/service.h"

/* Everybody may make files there: one counts if it is that user's, and not root's, who has no screen. */
static bool is_session(int dir, const char *name)
{
	const struct passwd *user = name[0] == '.' ? NULL : getpwnam(name);
	struct stat st;

	return user && user->pw_uid && !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISREG(st.st_mode) && st.st_uid == user->pw_uid;
}

static int find_user(const char *dir, char *ret_name, size_t size)
{
	DIR *list = opendir(dir);
	const struct dirent *entry;
	int rc = -ENOENT;

	while (list && rc && (entry = readdir(list)))
		if (is_session(dirfd(list), entry->d_name) &&
		    snprintf(ret_name, size, "%s", entry->d_name) < (int)size)
			rc = 0;
	if (list)
		closedir(list);
	return rc;
}

int user_session_enter(const char *dir)
{
	const struct passwd *user;
	char name[64];
	int rc;

	if (geteuid())
		return 0;
	rc = find_user(dir, name, sizeof(name));
	if (rc)
		return rc;
	user = getpwnam(name);
	if (!user || initgroups(name, user->pw_gid) || setgid(user->pw_gid) ||
	    setuid(user->pw_uid) || setenv("HOME", user->pw_dir, 1) || setenv("USER", name, 1) ||
	    setenv("LOGNAME", name, 1) || setenv("SHELL", user->pw_shell, 1))
		return -EPERM;
	if (chdir(user->pw_dir) && chdir("/"))
		return -EPERM;
	service_take_session(dir, name);
	return 0;
}
