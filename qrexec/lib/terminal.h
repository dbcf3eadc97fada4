/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes from another qube and goes to a terminal: it must not control it. */
#ifndef QREXEC_TERMINAL_H
#define QREXEC_TERMINAL_H

#include <stddef.h>
#include <sys/types.h>

/* Replaces all but printable ASCII, tabs and ends of lines by "_": escape sequences, and what a terminal may take for such. */
void terminal_clean(char *untrusted_text, size_t size);

/* Processes that stand between the standard output and error output of this one and its terminal. */
struct terminal {
	pid_t out, err;
};

/*
 * From here on, what goes to standard output and error output is cleaned where they are terminals. Before threads; programs
 * started before have the terminal itself.
 */
void terminal_guard(struct terminal *terminal);
/* Closes both, and waits until all is written. */
void terminal_finish(struct terminal *terminal);

#endif
