/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of a command as the argument of qubes.VMExec: joined by "+", other bytes than letters, digits, "." and "_" as -HH. */
#ifndef QREXEC_WORDS_H
#define QREXEC_WORDS_H

#include <stddef.h>

/* NAME+WORD+WORD…, to be freed. NULL: no memory. */
char *words_encode(const char *service, char *const words[]);
/* The words, ended by NULL; free the first one and the list. NULL: not understood, or no memory. */
char **words_decode(const char *argument);

#endif
