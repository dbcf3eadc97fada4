// SPDX-License-Identifier: GPL-2.0-or-later
// The clipboard between qubes: its files, opened once and locked for each use, and the policy.
#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif
#include "clipboard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../qrexec/policy/policy.h"
#include "../common/protocol.h"

#define DATA_NAME   "qubes-clipboard.bin"
#define SOURCE_NAME "qubes-clipboard.bin.source"
#define SERVICE	    "qubes.ClipboardPaste"

int clipboard_open(struct clipboard *clipboard, const char *directory)
{
	/* Shared by the daemons of one group; the directory decides who gets there. */
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (dir < 0)
		return -errno;
	clipboard->data = openat(dir, DATA_NAME, flags, 0660);
	clipboard->source = openat(dir, SOURCE_NAME, flags, 0660);
	if (clipboard->data < 0 || clipboard->source < 0) {
		rc = -errno;
		clipboard_close(clipboard);
	}
	close(dir);
	return rc;
}

void clipboard_close(struct clipboard *clipboard)
{
	if (clipboard->data >= 0)
		close(clipboard->data);
	if (clipboard->source >= 0)
		close(clipboard->source);
	clipboard->data = clipboard->source = -1;
}

uint64_t clipboard_stamp(const struct clipboard *clipboard)
{
	struct stat st;

	/* The source is written with each change, see clipboard_store() and clipboard_take(). */
	if (fstat(clipboard->source, &st))
		return 1;
	return ((uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec) | 1;
}

static int lock(struct clipboard *clipboard)
{
	while (flock(clipboard->data, LOCK_EX))
		if (errno != EINTR)
			return -errno;
	return 0;
}

static void unlock(struct clipboard *clipboard)
{
	flock(clipboard->data, LOCK_UN);
}

/* Overwrites, then cuts: the old bytes are not left in pages of the file system. */
static int replace(int fd, const char *text, size_t length)
{
	static const char zeros[4096];
	struct stat st;
	off_t at;
	size_t part;
	ssize_t count;

	if (fstat(fd, &st))
		return -errno;
	for (at = 0; at < st.st_size; at += (off_t)part) {
		part = (size_t)(st.st_size - at);
		part = part < sizeof(zeros) ? part : sizeof(zeros);
		if (pwrite(fd, zeros, part, at) != (ssize_t)part)
			return -EIO;
	}
	if (ftruncate(fd, 0))
		return -errno;
	count = length ? pwrite(fd, text, length, 0) : 0;
	if (count != (ssize_t)length)
		return count < 0 ? -errno : -ENOSPC;
	return 0;
}

int clipboard_store(struct clipboard *clipboard, const char *source, const char *text,
		    uint32_t length)
{
	int rc = lock(clipboard);

	if (rc)
		return rc;
	/* The source last: as long as there is none, the text is nobody's. */
	rc = replace(clipboard->source, NULL, 0);
	if (!rc)
		rc = replace(clipboard->data, text, length);
	if (!rc && length)
		rc = replace(clipboard->source, source, strlen(source));
	if (rc)
		(void)replace(clipboard->data, NULL, 0);
	unlock(clipboard);
	return rc;
}

static bool read_source(struct clipboard *clipboard, char ret_source[CLIPBOARD_SOURCE_SIZE])
{
	ssize_t count = pread(clipboard->source, ret_source, CLIPBOARD_SOURCE_SIZE - 1, 0);

	if (count <= 0)
		return false;
	ret_source[count] = '\0';
	ret_source[strcspn(ret_source, "\n")] = '\0';
	return world_name_valid(ret_source);
}

static bool read_length(struct clipboard *clipboard, uint32_t *ret_length)
{
	struct stat st;

	if (fstat(clipboard->data, &st) || st.st_size <= 0 || st.st_size > (off_t)GUI_CLIPBOARD_MAX)
		return false;
	*ret_length = (uint32_t)st.st_size;
	return true;
}

bool clipboard_peek(struct clipboard *clipboard, char ret_source[CLIPBOARD_SOURCE_SIZE],
		    uint32_t *ret_length)
{
	bool there;

	if (lock(clipboard))
		return false;
	there = read_source(clipboard, ret_source) && read_length(clipboard, ret_length);
	unlock(clipboard);
	return there;
}

static int take_locked(struct clipboard *clipboard, const char *source, char **ret_text,
		       uint32_t *ret_length)
{
	char now[CLIPBOARD_SOURCE_SIZE], *text;
	uint32_t length;
	ssize_t count;

	if (!read_source(clipboard, now) || strcmp(now, source))
		return -ENODATA;
	if (!read_length(clipboard, &length))
		return -ENODATA;
	text = malloc(length);
	if (!text)
		return -ENOMEM;
	count = pread(clipboard->data, text, length, 0);
	if (count != (ssize_t)length) {
		clipboard_forget(text, length);
		return -EIO;
	}
	*ret_text = text;
	*ret_length = length;
	return 0;
}

int clipboard_take(struct clipboard *clipboard, const char *source, char **ret_text,
		   uint32_t *ret_length)
{
	int rc = lock(clipboard), wiped;

	if (rc)
		return rc;
	rc = take_locked(clipboard, source, ret_text, ret_length);
	if (!rc) {
		wiped = replace(clipboard->data, NULL, 0);
		rc = replace(clipboard->source, NULL, 0);
		rc = rc ? rc : wiped;
		if (rc)
			clipboard_forget(*ret_text, *ret_length);
	}
	unlock(clipboard);
	return rc;
}

void clipboard_forget(char *text, uint32_t length)
{
	if (!text)
		return;
	explicit_bzero(text, length);
	free(text);
}

bool clipboard_allowed(const struct clipboard_policy *where, const char *source, const char *target,
		       char *ret_reason, size_t reason_size)
{
	const struct policy_request request = {.source = source,
					       .service = SERVICE,
					       .argument = "+",
					       .target = target};
	struct policy_answer answer;
	struct policy *policy = policy_create();
	struct world *world;
	unsigned int line = 0, problems;
	bool allowed;

	world = world_load(where->qubes, &line);
	if (!policy || !world) {
		snprintf(ret_reason, reason_size, "%s cannot be read", where->qubes);
		policy_destroy(policy);
		world_destroy(world);
		return false;
	}
	problems = policy_load(policy, where->dirs, where->count, where->legacy_dir, NULL, NULL);
	policy_evaluate(policy, world, &request, &answer);
	/* Redirected to another qube, it is not the one in front of the user. */
	allowed = answer.action == POLICY_ASK ||
		  (answer.action == POLICY_ALLOW && !strcmp(answer.target, target));
	snprintf(ret_reason, reason_size, "%s",
		 problems ? "the policy has errors: run qrexec-policy check" : answer.reason);
	policy_answer_finish(&answer);
	policy_destroy(policy);
	world_destroy(world);
	return allowed;
}
