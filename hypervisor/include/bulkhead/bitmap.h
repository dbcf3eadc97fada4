/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bit operations on arrays of unsigned long: plain ones and, with the suffix _atomic, atomic ones. */
#ifndef BULKHEAD_BITMAP_H
#define BULKHEAD_BITMAP_H

#include <bulkhead/compiler.h>

#define BITS_PER_LONG		64
#define BITMAP_LONGS(n)		(((n) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define BITMAP_DECLARE(name, n) unsigned long name[BITMAP_LONGS(n)]

static inline bool bitmap_test(const unsigned long *map, unsigned long bit)
{
	return (READ_ONCE(map[bit / BITS_PER_LONG]) >> (bit % BITS_PER_LONG)) & 1;
}
static inline void bitmap_set(unsigned long *map, unsigned long bit)
{
	map[bit / BITS_PER_LONG] |= 1UL << (bit % BITS_PER_LONG);
}
static inline void bitmap_clear(unsigned long *map, unsigned long bit)
{
	map[bit / BITS_PER_LONG] &= ~(1UL << (bit % BITS_PER_LONG));
}
static inline void bitmap_set_atomic(unsigned long *map, unsigned long bit)
{
	__atomic_fetch_or(&map[bit / BITS_PER_LONG], 1UL << (bit % BITS_PER_LONG),
			  __ATOMIC_SEQ_CST);
}
static inline void bitmap_clear_atomic(unsigned long *map, unsigned long bit)
{
	__atomic_fetch_and(&map[bit / BITS_PER_LONG], ~(1UL << (bit % BITS_PER_LONG)),
			   __ATOMIC_SEQ_CST);
}
static inline bool bitmap_test_and_set_atomic(unsigned long *map, unsigned long bit)
{
	unsigned long mask = 1UL << (bit % BITS_PER_LONG);

	return __atomic_fetch_or(&map[bit / BITS_PER_LONG], mask, __ATOMIC_SEQ_CST) & mask;
}
static inline bool bitmap_test_and_clear_atomic(unsigned long *map, unsigned long bit)
{
	unsigned long mask = 1UL << (bit % BITS_PER_LONG);

	return __atomic_fetch_and(&map[bit / BITS_PER_LONG], ~mask, __ATOMIC_SEQ_CST) & mask;
}
/* First set bit at or after start, or n when there is none. */
static inline unsigned long bitmap_next(const unsigned long *map, unsigned long n,
					unsigned long start)
{
	while (start < n) {
		unsigned long w = READ_ONCE(map[start / BITS_PER_LONG]) >> (start % BITS_PER_LONG);

		if (w) {
			start += (unsigned long)__builtin_ctzl(w);
			return start < n ? start : n;
		}
		start = (start / BITS_PER_LONG + 1) * BITS_PER_LONG;
	}
	return n;
}
/* First clear bit at or after start, or n when there is none. */
static inline unsigned long bitmap_next_clear(const unsigned long *map, unsigned long n,
					      unsigned long start)
{
	while (start < n) {
		unsigned long w = ~READ_ONCE(map[start / BITS_PER_LONG]) >> (start % BITS_PER_LONG);

		if (w) {
			start += (unsigned long)__builtin_ctzl(w);
			return start < n ? start : n;
		}
		start = (start / BITS_PER_LONG + 1) * BITS_PER_LONG;
	}
	return n;
}

#define BITMAP_FOR_EACH(bit, map, n) \
 for ((bit) = bitmap_next(map, n, 0); (bit) < (n); (bit) = bitmap_next(map, n, (bit) + 1))

#endif
