/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clipboard between qubes: one text with its origin, in files that all daemons of the user share. */
#ifndef GUI_CLIPBOARD_H
#define GUI_CLIPBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIPBOARD_SOURCE_SIZE 64

struct clipboard {
	int data, source; /* descriptors, open as long as the daemon runs */
};

/* Where the files are, the names of Qubes OS below it: qubes-clipboard.bin and qubes-clipboard.bin.source. */
int clipboard_open(struct clipboard *clipboard, const char *directory);
void clipboard_close(struct clipboard *clipboard);
/* Differs after each change by whomever. 0 is never one. */
uint64_t clipboard_stamp(const struct clipboard *clipboard);

/* Replaces what is there; empty wipes it. 0 or -errno. */
int clipboard_store(struct clipboard *clipboard, const char *source, const char *text,
		    uint32_t length);

/* Where the text came from and how long it is; false: there is none. */
bool clipboard_peek(struct clipboard *clipboard, char ret_source[CLIPBOARD_SOURCE_SIZE],
		    uint32_t *ret_length);

/*
 * Takes the text out, if it still comes from `source`: nothing of it remains in the files. *ret_text is to be
 * freed with clipboard_forget(). 0; -ENODATA: there is nothing, or something else by now; -errno.
 */
int clipboard_take(struct clipboard *clipboard, const char *source, char **ret_text,
		   uint32_t *ret_length);
/* Overwrites and frees. NULL is allowed. */
void clipboard_forget(char *text, uint32_t length);

/* Where the policy is. */
struct clipboard_policy {
	const char *dirs[8];
	size_t count;
	const char *legacy_dir, *qubes;
};

/*
 * Whether the policy lets text of `source` be pasted into `target` (qubes.ClipboardPaste; the user's key is
 * the answer to "ask"). `ret_reason` gets a sentence.
 */
bool clipboard_allowed(const struct clipboard_policy *where, const char *source, const char *target,
		       char *ret_reason, size_t reason_size);

#endif
