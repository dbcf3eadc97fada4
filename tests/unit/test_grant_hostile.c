// SPDX-License-Identifier: GPL-2.0-or-later
// Grant tables: what a hostile granter changes meanwhile.
// links: hypervisor/common/grant_map.c hypervisor/common/grant_copy.c
// links: hypervisor/common/grant_op.c hypervisor/common/physmap.c hypervisor/common/page_owner.c hypervisor/common/pod.c
// links: hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c tests/unit/grant_fixture.c
// libs: -Wl,--wrap=p2m_get_page
#include "grant_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/errno.h>
#include <bulkhead/grant.h>
#include <bulkhead/log.h>
#include <bulkhead/physmap.h>

/* Called before each attempt to change an entry of the guest. */
static void (*on_claim)(void);
#define __atomic_compare_exchange_n(p, e, v, w, s, f) \
 (on_claim ? on_claim() : (void)0, __atomic_compare_exchange_n(p, e, v, w, s, f))
#include "../../hypervisor/common/grant.c"
#undef __atomic_compare_exchange_n

static struct grant_entry_v1 *target;
static unsigned lookups;

/* Called when the frame of a grant was looked up, which is where the entry may change. The linker puts it in between. */
static void (*on_lookup)(void);

static void frame_changes(void)
{
	target->frame = target->frame == 5 ? 6 : 5;
	lookups++;
}

static void frame_changes_once(void)
{
	target->frame = 6;
	on_lookup = NULL;
}

static void permission_goes(void)
{
	target->flags = GTF_invalid;
}

mfn_t __real_p2m_get_page(struct domain *d, gfn_t gfn, bool write, enum p2m_type *ret_type);
mfn_t __wrap_p2m_get_page(struct domain *d, gfn_t gfn, bool write, enum p2m_type *ret_type);
mfn_t __wrap_p2m_get_page(struct domain *d, gfn_t gfn, bool write, enum p2m_type *ret_type)
{
	mfn_t m = __real_p2m_get_page(d, gfn, write, ret_type);

	if (on_lookup)
		on_lookup();
	return m;
}

static void entry_changes_meanwhile(void **state)
{
	uint32_t h, refs5 = page_refs(front, 5), refs6 = page_refs(front, 6);

	(void)state;
	grant(front, 8, 1, 5, 0);
	target = entry_at(front, 8);
	lookups = 0;
	on_lookup = frame_changes;
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_general_error);
	assert_true(lookups > 1 && lookups < 8);
	assert_int_equal(page_refs(front, 5), refs5);
	assert_int_equal(page_refs(front, 6), refs6);
	/* Changed once: what is mapped is what the entry says when it is marked as in use. */
	grant(front, 8, 1, 5, 0);
	on_lookup = frame_changes_once;
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_okay);
	assert_true(mfn_eq(fixture_mfn(back, 200), fixture_mfn(front, 6)));
	assert_int_equal(page_refs(front, 5), refs5);
	assert_int_equal(unmap(h, 200), GNTST_okay);
	assert_int_equal(page_refs(front, 6), refs6);
	grant(front, 8, 1, 5, 0);
	on_lookup = permission_goes;
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_general_error);
	on_lookup = NULL;
	assert_int_equal(page_refs(front, 5), refs5);
	assert_int_equal(front->refs, 1);
}

static unsigned attempts, changes;

static void header_changes(void)
{
	attempts++;
	if (changes) {
		changes--;
		target->flags ^= GTF_PWT;
	}
}

static void becomes_readonly(void)
{
	target->flags |= GTF_readonly;
}

/* Flags and domain are taken together, in a few tries. */
static void header_changes_meanwhile(void **state)
{
	uint32_t h, refs = page_refs(front, 5);

	(void)state;
	grant(front, 8, 1, 5, 0);
	target = entry_at(front, 8);
	on_claim = header_changes;
	changes = 4;
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_okay);
	assert_int_equal(attempts, 5);
	assert_int_equal(unmap(h, 200), GNTST_okay);
	attempts = 0;
	changes = 1000;
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_general_error);
	assert_int_equal(attempts, 5);
	assert_int_equal(entry_at(front, 8)->flags & (GTF_reading | GTF_writing), 0);
	/* What it became is checked again. */
	grant(front, 8, 1, 5, 0);
	on_claim = becomes_readonly;
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_general_error);
	on_claim = NULL;
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access | GTF_readonly);
	assert_int_equal(page_refs(front, 5), refs);
}

/* The granter clears or sets flags behind our back: they are put right with the next change, and counted without them. */
static void granter_scribbles(void **state)
{
	uint32_t h;

	(void)state;
	grant(front, 8, 1, 5, 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_okay);
	*entry_at(front, 8) = (struct grant_entry_v1){0};
	assert_int_equal(unmap(h, 200), GNTST_okay);
	assert_int_equal(entry_at(front, 8)->flags, 0);
	grant(front, 8, 1, 5, GTF_reading | GTF_writing);
	assert_int_equal(map(8, 200, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_okay);
	assert_int_equal(unmap(h, 200), GNTST_okay);
	assert_int_equal(entry_at(front, 8)->flags & (GTF_reading | GTF_writing), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, grant_setup, grant_teardown)
	const struct CMUnitTest tests[] = {
		T(entry_changes_meanwhile),
		T(header_changes_meanwhile),
		T(granter_scribbles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
