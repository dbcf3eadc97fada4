/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text in fields of fixed size. */
#ifndef AGENT_TEXT_H
#define AGENT_TEXT_H

#include <stddef.h>

/*
 * Copies UTF-8 into a field of `size` bytes, always with a terminator, never with half a character at its end.
 * Bytes that are no UTF-8 end the copy.
 */
void text_copy(char *field, size_t size, const char *text);

#endif
