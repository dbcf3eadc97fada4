/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving up rights, once everything is open that the daemon needs. */
#ifndef GUI_SANDBOX_H
#define GUI_SANDBOX_H

/*
 * No capabilities and no new ones, no core dumps, no tracing. Before the first thread is started, as all this belongs
 * to threads. 0 or -errno.
 */
int sandbox_drop_rights(void);

/*
 * A system call filter for all threads: no new programs, no new network connections, no files opened for
 * writing. 0 or -errno.
 */
int sandbox_filter_calls(void);

#endif
