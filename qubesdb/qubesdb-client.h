/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libqubesdb: reading, changing and watching the entries of a qube. */
#ifndef QUBESDB_CLIENT_H
#define QUBESDB_CLIENT_H

#ifdef __cplusplus
extern "C" {
#endif

#define QUBESDB_API __attribute__((visibility("default")))

typedef struct qdb_handle *qdb_handle_t;

/*
 * Paths have at most 63 characters of A-Z a-z 0-9 _ / . : @ and, not first, -. A path with '/' at the end stands
 * for all entries below it. Values have at most 3071 bytes, none of them NUL.
 * Calls that fail return NULL or 0 and set errno: ENOENT there is no such entry; EPERM the daemon refuses it; EINVAL
 * a path or value that cannot be; EPIPE the daemon is gone; EPROTO it does not speak the protocol.
 * A handle may be used by one thread at a time. What is returned is the caller's, to be freed by free().
 */

/* The database of a qube (in dom0), or with NULL the own one (in a qube). */
QUBESDB_API qdb_handle_t qdb_open(const char *qube);
QUBESDB_API void qdb_close(qdb_handle_t handle);

/* The value, with a NUL behind it. ret_length may be NULL. */
QUBESDB_API char *qdb_read(qdb_handle_t handle, const char *path, unsigned int *ret_length);

/* Paths that begin with a text, sorted, and a NULL. ret_count may be NULL. Each path is to be freed, too. */
QUBESDB_API char **qdb_list(qdb_handle_t handle, const char *prefix, unsigned int *ret_count);

/*
 * The same with values: path, value, path, value, …, NULL, NULL. ret_lengths (may be NULL) gets an array of the
 * values' lengths, ret_count the number of entries.
 */
QUBESDB_API char **qdb_multiread(qdb_handle_t handle, const char *prefix,
				 unsigned int **ret_lengths, unsigned int *ret_count);

/* 1, or 0. */
QUBESDB_API int qdb_write(qdb_handle_t handle, const char *path, const char *value,
			  unsigned int length);
QUBESDB_API int qdb_rm(qdb_handle_t handle, const char *path);

/*
 * An event for each later change below the path; after qdb_unwatch() one that was under way may still come. A path
 * that is watched twice gives two events.
 */
QUBESDB_API int qdb_watch(qdb_handle_t handle, const char *path);
QUBESDB_API int qdb_unwatch(qdb_handle_t handle, const char *path);

/* Waits for an event; the path that was written or removed. */
QUBESDB_API char *qdb_read_watch(qdb_handle_t handle);
/*
 * For poll(): readable when qdb_read_watch() would not wait. Events that came while another call waited for its
 * answer are kept by the handle: the descriptor does not show them; qdb_watch_pending() counts them.
 */
QUBESDB_API int qdb_watch_fd(qdb_handle_t handle);
QUBESDB_API unsigned int qdb_watch_pending(qdb_handle_t handle);

#ifdef __cplusplus
}
#endif

#endif
