/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qfile: files and directories as a stream, the payload of qubes.Filecopy. See docs/qfile-protocol.md. */
#ifndef QREXEC_QFILE_H
#define QREXEC_QFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../../vchan/libvchan.h"

struct qfile_header {
	uint32_t name_length; /* with the NUL; 0: the end of the stream */
	uint32_t mode;
	uint64_t length; /* of the data: contents, target of a link, or none */
	uint32_t atime, atime_ns, mtime, mtime_ns;
};
_Static_assert(sizeof(struct qfile_header) == 32, "header");

struct qfile_result {
	uint32_t error; /* errno, or 0 */
	uint32_t pad;
	uint64_t crc; /* of all that was received */
};
_Static_assert(sizeof(struct qfile_result) == 16, "answer");

#define QFILE_NAME_MAX	 16383 /* with the NUL */
#define QFILE_TARGET_MAX 16383
#define QFILE_TRUNCATED	 31415926 /* an error: the stream ended inside an entry */

/* What may be taken: bytes of data, and entries. Above it: EDQUOT. */
struct qfile_limits {
	uint64_t bytes, entries;
	bool all_names; /* also those that people cannot read */
};

/* Whether a name is a path below the directory: no root, no "..", nothing empty. 0, -EINVAL, -EILSEQ (not readable). */
int qfile_check_name(const char *name, bool all_names);
/* Whether a link at `name` with this target cannot lead out of the first component of the name. 0, -ENOLINK, -EINVAL. */
int qfile_check_link(const char *name, const char *target);

/* Where a stream comes from. peek: at least one byte, where it is; 0: the end; -errno. */
struct qfile_source {
	ssize_t (*peek)(void *ctx, struct libvchan_piece pieces[2], size_t most);
	void (*consume)(void *ctx, size_t size);
	void *ctx;
};

/*
 * Unpacks into the open directory, under the final names only when all of it is there. 0 or a positive error, as the
 * sender is told. ret_crc is the sum so far; ret_name (QFILE_NAME_MAX + 1) the entry it came to.
 */
int qfile_unpack(const struct qfile_source *source, int directory,
		 const struct qfile_limits *limits, uint64_t *ret_crc, char *ret_name);

/* Opens (and makes) ~/QubesIncoming/SOURCE. -errno. */
int qfile_open_incoming(const char *source);
/* The limits of the system's configuration, for an open directory. */
void qfile_default_limits(int directory, struct qfile_limits *ret_limits);
/* The answer of a finished unpacking, with its extension; its length. */
#define QFILE_ANSWER_MAX (sizeof(struct qfile_result) + sizeof(uint32_t) + QFILE_NAME_MAX)
size_t qfile_answer(int error, uint64_t crc, const char *name,
		    uint8_t ret_answer[QFILE_ANSWER_MAX]);

/* The service in the process that has the channel. */
struct service_call;
int qfile_builtin(libvchan_t *vchan, const struct service_call *call);

/* Removes an entry of a directory with all that is in it. 0 or -errno. */
int qfile_remove_tree(int directory, const char *name);

/* One entry that was sent, for who wants to remove it afterwards. */
struct qfile_sent {
	char *path;
	dev_t dev;
	ino_t ino;
	mode_t mode;
	off_t size;
	struct timespec mtime;
};

struct link;
struct qfile_sender {
	struct link *link;
	bool ignore_links;
	uint32_t crc;
	uint64_t bytes, total;			       /* sent, and to send */
	void (*progress)(struct qfile_sender *sender); /* or NULL */
	bool keep_list;
	struct qfile_sent *list;
	size_t count, room;
	char path[8192]; /* where it is, for messages */
};

/* Sends one file or directory. 0; -errno, path says where; -ECANCELED: the other end has answered already. */
int qfile_send(struct qfile_sender *sender, const char *path);
/* The end, and the answer: 0, an error of the other end (positive), or -errno (-EBADMSG: checksums differ). */
int qfile_finish(struct qfile_sender *sender, char *ret_name, size_t size);
/* Bytes of files at and below a path. */
uint64_t qfile_size(const char *path);
/* Removes what was sent, if it is still the same. The number of entries that are left. */
size_t qfile_remove_sent(struct qfile_sender *sender, FILE *log);
void qfile_sender_finish(struct qfile_sender *sender);

#endif
