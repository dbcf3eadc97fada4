// SPDX-License-Identifier: GPL-2.0-or-later
// The sub-operations that guests may call, each called once in 32-bit protected mode: as subops.c, but for the control domain's.
#define UNMAPPED 0xf0000000u
#include "subops.h"
