/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event delivery by the 2-level ABI: pending and mask bits in shared_info, a selector word per vCPU. */
#include "event_internal.h"

/*
 * The bitmaps are arrays of guest longs: 64 of 64 bits, or 32 of 32 bits where the guest is a 32-bit one. Little-endian
 * order makes bit n the same bit in either view; only sizes and the selector differ. The bitmap of pending bits begins
 * at one offset in both layouts, as the vcpu_info slots before it have one size.
 */
#define COMPAT_LONG_BITS 32
#define COMPAT_PORTS	 (COMPAT_LONG_BITS * COMPAT_LONG_BITS)
#define COMPAT_SEL	 4 /* offset of evtchn_pending_sel in a 32-bit vcpu_info */

_Static_assert(offsetof(shared_info_t, evtchn_pending) ==
		       XEN_LEGACY_MAX_VCPUS * sizeof(vcpu_info_t),
	       "layout of shared_info");
_Static_assert(sizeof(vcpu_info_t) == 64, "one size in both layouts");

static uint32_t *pending_bits(const struct domain *d)
{
	return (uint32_t *)(void *)d->shared_info->evtchn_pending;
}

static uint32_t *mask_bits(const struct domain *d)
{
	if (READ_ONCE(d->shared_info_32))
		return pending_bits(d) + COMPAT_PORTS / 32;
	return (uint32_t *)(void *)d->shared_info->evtchn_mask;
}

static bool bit_test(const uint32_t *map, uint32_t bit)
{
	return __atomic_load_n(&map[bit / 32], __ATOMIC_SEQ_CST) & BIT32(bit % 32);
}

static bool bit_set(uint32_t *map, uint32_t bit)
{
	return __atomic_fetch_or(&map[bit / 32], BIT32(bit % 32), __ATOMIC_SEQ_CST) &
	       BIT32(bit % 32);
}

static bool bit_clear(uint32_t *map, uint32_t bit)
{
	return __atomic_fetch_and(&map[bit / 32], ~BIT32(bit % 32), __ATOMIC_SEQ_CST) &
	       BIT32(bit % 32);
}

static uint32_t max_ports(const struct domain *d)
{
	return READ_ONCE(d->shared_info_32) ? COMPAT_PORTS : EVTCHN_2L_NR_CHANNELS;
}

/* Sets the selector bit of a port and notifies, unless the bit was set: then the guest has been told. */
static void select_and_notify(struct domain *d, struct vcpu *v, uint32_t port)
{
	vcpu_info_t *info = __atomic_load_n(&v->info, __ATOMIC_ACQUIRE);
	uint32_t *sel;
	unsigned bit;

	if (READ_ONCE(d->shared_info_32)) {
		sel = (uint32_t *)(void *)((char *)info + COMPAT_SEL);
		bit = port / COMPAT_LONG_BITS;
	} else {
		sel = (uint32_t *)(void *)&info->evtchn_pending_sel;
		bit = port / BITS_PER_LONG;
	}
	if (!bit_set(sel, bit))
		event_upcall(v);
}

/* Order matters: pending bit, mask, selector, upcall, as the guest looks at them in the opposite order. */
static void set_pending(struct domain *d, uint32_t port, struct evtchn *chn)
{
	struct vcpu *v = event_target(d, chn);

	/* The layout may have become the small one with higher ports in use: nowhere to show them. */
	if (port >= max_ports(d) || bit_set(pending_bits(d), port))
		return;
	if (v && !bit_test(mask_bits(d), port))
		select_and_notify(d, v, port);
	event_wake_pollers(d, port);
}

static void clear_pending(struct domain *d, uint32_t port)
{
	if (port < max_ports(d))
		bit_clear(pending_bits(d), port);
}

static void unmask(struct domain *d, uint32_t port, struct evtchn *chn)
{
	struct vcpu *v = event_target(d, chn);

	if (port >= max_ports(d))
		return;
	if (bit_clear(mask_bits(d), port) && v && bit_test(pending_bits(d), port))
		select_and_notify(d, v, port);
}

static bool is_pending(const struct domain *d, uint32_t port)
{
	return port < max_ports(d) && bit_test(pending_bits(d), port);
}

static bool is_busy(const struct domain *d, uint32_t port)
{
	(void)d;
	(void)port;
	return false;
}

const struct event_abi event_abi_2l = {
	.max_ports = max_ports,
	.set_pending = set_pending,
	.clear_pending = clear_pending,
	.unmask = unmask,
	.is_pending = is_pending,
	.is_busy = is_busy,
	.has_priorities = false,
};

bool event_2l_take_pending(struct domain *d, uint32_t port)
{
	return port < max_ports(d) && bit_clear(pending_bits(d), port);
}

void event_vcpu_info_moved(struct vcpu *v)
{
	vcpu_info_t *info = __atomic_load_n(&v->info, __ATOMIC_ACQUIRE);

	/* Events that came while the old area was in use may have set bits there only: let the guest look at all. */
	if (READ_ONCE(v->domain->shared_info_32))
		__atomic_store_n((uint32_t *)(void *)((char *)info + COMPAT_SEL), ~0U,
				 __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&info->evtchn_pending_sel, ~0UL, __ATOMIC_SEQ_CST);
	__atomic_store_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
	arch_event_upcall(v);
}
