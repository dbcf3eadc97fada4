/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shell scripts as steps of a test of whole programs. */
#ifndef SHELL_H
#define SHELL_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* What the last script wrote. */
extern char out[65536];

/* Runs the prelude and the script in one shell; its output is in `out`, what it returns is the exit status. */
int shell(const char *prelude, const char *script);

/*
 * Makes a directory, $T, and tells scripts where things are: $P programs with the sanitizers (a folder beside the test, "" for its
 * own), $SRC the sources; $U is the user. 0 or -1.
 */
int shell_create(const char *programs);
/* Writes a file below $T. */
void write_file(const char *name, unsigned int mode, const char *text);
/* Removes $T, unless a log in it (*.log, or below log/) has findings of a sanitizer: -1. */
int shell_destroy(void);

#endif
