/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single characters that make the hypervisor print its state to its log (`xl debug-keys`). */
#ifndef BULKHEAD_DEBUG_KEYS_H
#define BULKHEAD_DEBUG_KEYS_H

#include <bulkhead/compiler.h>

/* An unknown key is said to be so in the log. Not in interrupt context. */
void debug_key(char key);

#endif
