/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving up rights, once everything is open that the daemon needs. */
#ifndef GUI_SANDBOX_H
#define GUI_SANDBOX_H

/*
 * No capabilities, no new ones, no core dumps, and a system call filter for all threads: no new programs, no
 * new network connections, no files opened for writing. 0 or -errno.
 */
int sandbox_enter(void);

#endif
