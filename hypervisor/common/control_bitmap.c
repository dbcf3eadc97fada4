/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bit maps of any length, as the toolstack passes them to domctl and sysctl. */
#include <bulkhead/control.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/string.h>

_Static_assert(sizeof(struct xenctl_bitmap) == 16, "ABI");

static void clear_from(unsigned long *bits, unsigned from, unsigned to)
{
	for (; from < to; from++)
		bitmap_clear(bits, from);
}

int control_bitmap_get(const struct xenctl_bitmap *from, unsigned long *bits, unsigned nr)
{
	unsigned given = MIN(from->nr_bits, nr);
	unsigned room = (unsigned)BITMAP_LONGS(nr) * BITS_PER_LONG;

	memset(bits, 0, room / 8);
	/* Bit n is bit n % 8 of byte n / 8: as in a little-endian long. */
	if (guest_copy_from(bits, (uintptr_t)from->bitmap.p, DIV_ROUND_UP(given, 8)))
		return -EFAULT;
	clear_from(bits, given, room);
	return 0;
}

int control_bitmap_put(const struct xenctl_bitmap *to, const unsigned long *bits, unsigned nr)
{
	uint64_t gva = (uintptr_t)to->bitmap.p;
	size_t room = DIV_ROUND_UP((size_t)to->nr_bits, 8), have = DIV_ROUND_UP((size_t)nr, 8);
	size_t n = MIN(room, have);
	uint8_t last;

	if (!n)
		return 0;
	/* In the last byte there may be bits that the caller has no room for. */
	last = ((const uint8_t *)bits)[n - 1];
	if (room <= have && to->nr_bits % 8)
		last &= (uint8_t)((1U << to->nr_bits % 8) - 1);
	if (guest_copy_to(gva, bits, n - 1) || guest_copy_to(gva + n - 1, &last, 1))
		return -EFAULT;
	return room > n ? guest_clear(gva + n, room - n) : 0;
}
