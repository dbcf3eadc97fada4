// SPDX-License-Identifier: GPL-2.0-or-later
// Grant tables: copies and swaps.
// links: hypervisor/common/grant.c hypervisor/common/grant_map.c hypervisor/common/grant_copy.c
// links: hypervisor/common/grant_op.c hypervisor/common/physmap.c hypervisor/common/page_owner.c hypervisor/common/pod.c
// links: hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c tests/unit/grant_fixture.c
#include "grant_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arch/fake.h>
#include <bulkhead/errno.h>
#include <bulkhead/grant.h>
#include <bulkhead/log.h>
#include <bulkhead/physmap.h>

/* What another vCPU does while a copy is under way: when the pages were claimed and become accessible. */
static void (*meanwhile)(void);

void *window_map(mfn_t m)
{
	void (*fn)(void) = meanwhile;

	meanwhile = NULL;
	if (fn)
		fn();
	return fake_frame(m);
}

/* ---- Copy ---- */

static struct gnttab_copy copy_op(bool src_ref, uint64_t src, bool dst_ref, uint64_t dst)
{
	struct gnttab_copy op = {.len = 100};

	op.flags = (src_ref ? GNTCOPY_source_gref : 0) | (dst_ref ? GNTCOPY_dest_gref : 0);
	op.source.domid = src_ref ? 2 : DOMID_SELF;
	op.dest.domid = dst_ref ? 2 : DOMID_SELF;
	if (src_ref)
		op.source.u.ref = (uint32_t)src;
	else
		op.source.u.gmfn = src;
	if (dst_ref)
		op.dest.u.ref = (uint32_t)dst;
	else
		op.dest.u.gmfn = dst;
	return op;
}

static int16_t copy(struct gnttab_copy op)
{
	op.status = 99;
	assert_int_equal(gt_call(GNTTABOP_copy, &op, sizeof(op), 1), 0);
	return op.status;
}

static void copies(void **state)
{
	struct gnttab_copy op;
	char *mine = fixture_page(back, 3), *theirs = fixture_page(front, 5);
	uint32_t refs = page_refs(front, 5);

	(void)state;
	grant(front, 8, 1, 5, GTF_readonly);
	grant(front, 9, 1, 6, 0);
	strcpy(theirs + 10, "from the frontend");
	op = copy_op(true, 8, false, 3);
	op.source.offset = 10;
	op.dest.offset = 4000;
	op.len = 96;
	assert_int_equal(copy(op), GNTST_okay);
	assert_string_equal(mine + 4000, "from the frontend");
	op.len = 97;
	assert_int_equal(copy(op), GNTST_bad_copy_arg);
	op.dest.offset = 0;
	op.source.offset = 4001;
	op.len = 96;
	assert_int_equal(copy(op), GNTST_bad_copy_arg);
	op.len = UINT16_MAX;
	assert_int_equal(copy(op), GNTST_bad_copy_arg);

	strcpy(mine, "from the backend");
	assert_int_equal(copy(copy_op(false, 3, true, 9)), GNTST_okay);
	assert_string_equal(fixture_page(front, 6), "from the backend");
	assert_int_equal(copy(copy_op(false, 3, true, 8)), GNTST_general_error); /* read-only */
	assert_int_equal(copy(copy_op(true, 9, true, 9)), GNTST_okay);
	assert_int_equal(copy(copy_op(false, 3, false, 4)), GNTST_okay);
	assert_string_equal(fixture_page(back, 4), "from the backend");
	/* Within one page, overlapping. */
	op = copy_op(false, 4, false, 4);
	op.dest.offset = 3;
	op.len = 17;
	assert_int_equal(copy(op), GNTST_okay);
	assert_string_equal((char *)fixture_page(back, 4) + 3, "from the backend");

	/* Nothing is in use any more. */
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access | GTF_readonly);
	assert_int_equal(entry_at(front, 9)->flags, GTF_permit_access);
	assert_int_equal(page_refs(front, 5), refs);
	assert_int_equal(front->refs, 1);
	assert_int_equal(back->refs, 1);
}

static void copy_errors(void **state)
{
	struct gnttab_copy op;
	mfn_t m = fixture_mfn(back, 7);

	(void)state;
	grant(front, 8, 1, 5, 0);
	op = copy_op(false, 3, false, 4);
	op.source.domid = 2;
	assert_int_equal(copy(op), GNTST_permission_denied);
	op = copy_op(false, 3, false, 4);
	op.dest.domid = 1;
	assert_int_equal(copy(op), GNTST_permission_denied);
	op = copy_op(true, 8, false, 4);
	op.source.domid = 9;
	assert_int_equal(copy(op), GNTST_bad_domain);
	op = copy_op(false, 3, true, 8);
	op.dest.domid = 9;
	assert_int_equal(copy(op), GNTST_bad_domain);
	assert_int_equal(copy(copy_op(true, 512, false, 4)), GNTST_bad_gntref);
	assert_int_equal(copy(copy_op(true, 9, false, 4)), GNTST_general_error);
	assert_int_equal(copy(copy_op(false, 1000, false, 4)), GNTST_bad_page);
	assert_int_equal(copy(copy_op(true, 8, false, 1000)), GNTST_bad_page);
	assert_int_equal(p2m_set(back, gfn_from(7), m, 0, P2M_RAM_RO), 0);
	assert_int_equal(copy(copy_op(true, 8, false, 7)), GNTST_bad_page);
	assert_int_equal(copy(copy_op(false, 7, true, 8)), GNTST_okay);
	/* Somebody's page that was mapped by force is nobody's to copy. */
	assert_int_equal(physmap_set_foreign(back, gfn_from(300), front, gfn_from(6)), 0);
	assert_int_equal(copy(copy_op(false, 300, false, 4)), GNTST_bad_page);
	{
		struct physmap_batch b;

		physmap_begin(&b, back);
		assert_int_equal(physmap_clear(&b, gfn_from(300)), 0);
		physmap_end(&b);
	}
	/* A sub-page grant is none of version 1: the flag is ignored for copies. */
	grant(front, 9, 1, 5, GTF_sub_page);
	assert_int_equal(copy(copy_op(true, 9, false, 4)), GNTST_okay);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access);
	assert_int_equal(front->refs, 1);
	assert_int_equal(back->refs, 1);
}

/* A mapping that reads is not the way to a copy that writes. */
static void copy_to_readonly_memory(void **state)
{
	mfn_t m = fixture_mfn(front, 5);
	uint32_t h;

	(void)state;
	assert_int_equal(p2m_set(front, gfn_from(5), m, 0, P2M_RAM_RO), 0);
	grant(front, 8, 1, 5, 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_okay);
	assert_int_equal(copy(copy_op(false, 3, true, 8)), GNTST_bad_page);
	assert_int_equal(copy(copy_op(true, 8, false, 3)), GNTST_okay);
	assert_int_equal(unmap(h, 200), GNTST_okay);
}

static void copy_lists(void **state)
{
	struct gnttab_copy ops[20];

	(void)state;
	grant(front, 8, 1, 5, 0);
	for (unsigned i = 0; i < 20; i++) {
		ops[i] = copy_op(true, i == 11 ? 500 : 8, false, 3);
		ops[i].dest.offset = (uint16_t)(i * 100);
		ops[i].status = 99;
	}
	strcpy(fixture_page(front, 5), "x");
	fixture_yield_every = 2;
	assert_int_equal(gt_call(GNTTABOP_copy, ops, sizeof(ops[0]), 20), 0);
	assert_true(fixture_restarts >= 6);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(ops[i].status, i == 11 ? GNTST_general_error : GNTST_okay);
		assert_int_equal(((char *)fixture_page(back, 3))[i * 100], i == 11 ? 0 : 'x');
	}
}

static void copy_compat(void **state)
{
	struct {
		uint32_t src;
		uint16_t src_dom, src_off;
		uint32_t dst;
		uint16_t dst_dom, dst_off;
		uint16_t len, flags;
		int16_t status;
	} ops[3] = {
		{8, 2, 0, 3, DOMID_SELF, 0, 10, GNTCOPY_source_gref, 99},
		{3, DOMID_SELF, 0, 4, DOMID_SELF, 5, 10, 0, 99},
		{3, 2, 0, 4, DOMID_SELF, 5, 10, 0, 99},
	};

	(void)state;
	assert_int_equal(sizeof(ops[0]), 24);
	grant(front, 8, 1, 5, 0);
	strcpy(fixture_page(front, 5), "compat");
	assert_int_equal(fixture_call_list(hypercall_grant_table_op, GNTTABOP_copy, ops,
					   sizeof(ops), 3, true),
			 0);
	assert_int_equal(ops[0].status, GNTST_okay);
	assert_int_equal(ops[1].status, GNTST_okay);
	assert_int_equal(ops[2].status, GNTST_permission_denied);
	assert_string_equal((char *)fixture_page(back, 4) + 5, "compat");
}

static void copy_while_mapped(void **state)
{
	uint32_t h;

	(void)state;
	grant(front, 8, 1, 5, 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_okay);
	/* Copies to it, through the grant and through the mapping (which is read-only). */
	assert_int_equal(copy(copy_op(false, 3, true, 8)), GNTST_okay);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access | GTF_reading);
	assert_int_equal(copy(copy_op(false, 200, false, 3)), GNTST_okay);
	assert_int_equal(copy(copy_op(false, 3, false, 200)), GNTST_bad_page);
	assert_int_equal(unmap(h, 200), GNTST_okay);
}

static uint32_t ending;

static void end_mapping(void)
{
	assert_int_equal(unmap(ending, 200), GNTST_okay);
}

/* The granter was told that the page is its own again: a copy that has begun must neither write nor read it. */
static void unmapped_during_copy(void **state)
{
	char *mine = fixture_page(back, 3), *theirs = fixture_page(front, 5);
	uint32_t refs = page_refs(front, 5);

	(void)state;
	grant(front, 8, 1, 5, 0);
	strcpy(mine, "mine");
	strcpy(theirs, "theirs");
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(map(8, 200, GNTMAP_host_map, &ending), GNTST_okay);
		meanwhile = end_mapping;
		assert_int_equal(copy(i ? copy_op(false, 200, false, 3)
					: copy_op(false, 3, false, 200)),
				 GNTST_bad_page);
		assert_null(meanwhile);
		assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access);
		assert_string_equal(mine, "mine");
		assert_string_equal(theirs, "theirs");
		assert_int_equal(page_refs(front, 5), refs);
		assert_false(spin_is_locked(&back->lock));
	}
	/* While it stays mapped, both ways work. */
	assert_int_equal(map(8, 200, GNTMAP_host_map, &ending), GNTST_okay);
	assert_int_equal(copy(copy_op(false, 3, false, 200)), GNTST_okay);
	assert_string_equal(theirs, "mine");
	end_mapping();
}

/* ---- Swap ---- */

static int16_t swap(uint32_t a, uint32_t b)
{
	struct gnttab_swap_grant_ref op = {.ref_a = a, .ref_b = b, .status = 99};

	assert_int_equal(gt_call(GNTTABOP_swap_grant_ref, &op, sizeof(op), 1), 0);
	return op.status;
}

static void swaps(void **state)
{
	uint32_t h;

	(void)state;
	fixture_run(front);
	grant(front, 8, 1, 5, 0);
	grant(front, 9, 3, 6, GTF_readonly);
	assert_int_equal(swap(8, 512), GNTST_bad_gntref);
	assert_int_equal(swap(512, 8), GNTST_bad_gntref);
	assert_int_equal(swap(8, 8), GNTST_okay);
	assert_int_equal(swap(8, 9), GNTST_okay);
	assert_int_equal(entry_at(front, 8)->domid, 3);
	assert_int_equal(entry_at(front, 8)->frame, 6);
	assert_int_equal(entry_at(front, 9)->domid, 1);
	fixture_run(back);
	assert_int_equal(map(9, 200, GNTMAP_host_map, &h), GNTST_okay);
	fixture_run(front);
	assert_int_equal(swap(8, 9), GNTST_eagain);
	assert_int_equal(swap(9, 8), GNTST_eagain);
	fixture_run(back);
	assert_int_equal(unmap(h, 200), GNTST_okay);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, grant_setup, grant_teardown)
	const struct CMUnitTest tests[] = {
		T(copies),	T(copy_errors),	      T(copy_to_readonly_memory), T(copy_lists),
		T(copy_compat), T(copy_while_mapped), T(unmapped_during_copy),	  T(swaps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
