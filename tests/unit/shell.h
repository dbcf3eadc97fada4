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

#endif
