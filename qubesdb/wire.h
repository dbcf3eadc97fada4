/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages of QubesDB, on the vchan and on local sockets. See docs/qubesdb-protocol.md. */
#ifndef QUBESDB_WIRE_H
#define QUBESDB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QDB_PORT      111
#define QDB_PATH_SIZE 64   /* with the NUL */
#define QDB_DATA_MAX  3071 /* of one value */

enum qdb_type {
	QDB_CMD_READ,
	QDB_CMD_WRITE,
	QDB_CMD_MULTIREAD,
	QDB_CMD_LIST,
	QDB_CMD_RM,
	QDB_CMD_WATCH,
	QDB_CMD_UNWATCH,
	QDB_RESP_OK,
	QDB_RESP_ERROR_NOENT,
	QDB_RESP_ERROR,
	QDB_RESP_READ,
	QDB_RESP_MULTIREAD,
	QDB_RESP_LIST,
	QDB_RESP_WATCH,
};

struct qdb_header {
	uint8_t type;
	char path[QDB_PATH_SIZE];
	uint8_t zero[3];
	uint32_t length;
};

_Static_assert(sizeof(struct qdb_header) == 72, "layout of the wire");
_Static_assert(offsetof(struct qdb_header, path) == 1, "layout of the wire");
_Static_assert(offsetof(struct qdb_header, length) == 68, "layout of the wire");

/* Who receives a header: the daemon from the other daemon, the daemon from a program, a program. */
enum qdb_receiver {
	QDB_LINK,
	QDB_LOCAL,
	QDB_PROGRAM,
};

/* Allowed characters, NUL-terminated within `size` bytes; the empty path is allowed. */
bool qdb_path_valid(const char *untrusted_path, size_t size);
/* Names one entry: not empty, no '/' at the end. */
bool qdb_path_is_entry(const char *path);
/* Whether what is said of `pattern` (an entry, or a subtree with '/' at the end) holds for this path. */
bool qdb_path_covers(const char *pattern, const char *path);

/*
 * Checks a header that came from outside. 0; -EINVAL: its path cannot be, but it is known where the next
 * message begins; -EPROTO: nothing more can be read from this sender.
 */
int qdb_header_check(const struct qdb_header *untrusted_header, enum qdb_receiver receiver);

/* All bytes of the header are set. The path must fit. */
void qdb_header_set(struct qdb_header *header, enum qdb_type type, const char *path,
		    uint32_t length);

#endif
