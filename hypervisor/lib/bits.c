/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the compiler calls instead of generating it inline (libgcc is built for user space: red zone). */
#include <bulkhead/compiler.h>

int __popcountdi2(int64_t v);

int __popcountdi2(int64_t v)
{
	uint64_t x = (uint64_t)v;

	x -= x >> 1 & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (int)(x * 0x0101010101010101ULL >> 56);
}
