/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Characters in texts of qubes: which there are, and which deceive. */
#ifndef QREXEC_CHARACTERS_H
#define QREXEC_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Decodes one character of UTF-8 (RFC 3629), of `size` bytes at most: shortest form only, no surrogates. Its length, or 0: it is none,
 * and *ret_character is untouched.
 */
size_t character_decode(const char *untrusted_text, size_t size, uint32_t *ret_character);

/* What shows nothing, changes how its neighbours look, or has no agreed look: a text could pretend to be another one. */
bool character_deceptive(uint32_t character);

#endif
