// SPDX-License-Identifier: GPL-2.0-or-later
// Grant tables: the table and mappings, error codes, life cycles, leaks.
// links: hypervisor/common/grant.c hypervisor/common/grant_map.c hypervisor/common/grant_copy.c
// links: hypervisor/common/grant_op.c hypervisor/common/physmap.c hypervisor/common/page_owner.c hypervisor/common/pod.c
// links: hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c tests/unit/grant_fixture.c
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

/* ---- The table ---- */

static void unknown_calls(void **state)
{
	static const uint8_t none[] = {GNTTABOP_dump_table,
				       GNTTABOP_transfer,
				       GNTTABOP_unmap_and_replace,
				       GNTTABOP_get_status_frames,
				       GNTTABOP_cache_flush,
				       13,
				       200};
	static const uint8_t known[] = {GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref,
					GNTTABOP_setup_table,	GNTTABOP_copy,
					GNTTABOP_query_size,	GNTTABOP_set_version,
					GNTTABOP_get_version,	GNTTABOP_swap_grant_ref};
	uint64_t arg[8] = {0};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(gt_call(none[i], arg, sizeof(arg), 1), -ENOSYS);
	/* The upper half of the command is for continuations that these operations do not have. */
	assert_int_equal(gt_call(GNTTABOP_copy | 1 << 12, arg, sizeof(arg), 1), -ENOSYS);
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
		struct hypercall hc = {.args = {known[i], FIXTURE_FAULT, 1}};

		assert_int_equal(hypercall_grant_table_op(&hc), -EFAULT);
		hc.args[2] = 0x80000000;
		assert_int_equal(hypercall_grant_table_op(&hc), -EINVAL);
	}
	/* Lists may be empty, the others are about one table. */
	assert_int_equal(gt_call(GNTTABOP_map_grant_ref, arg, 0, 0), 0);
	assert_int_equal(gt_call(GNTTABOP_copy, arg, 0, 0), 0);
	assert_int_equal(gt_call(GNTTABOP_setup_table, arg, 24, 2), -EINVAL);
	assert_int_equal(gt_call(GNTTABOP_query_size, arg, 16, 0), -EINVAL);
}

static void init_limits(void **state)
{
	struct domain *d = fixture_domain(5, 1);

	(void)state;
	assert_int_equal(grant_domain_init(d, 0, 0), -EINVAL);
	assert_int_equal(grant_domain_init(d, 4097, 0), -EINVAL);
	assert_int_equal(grant_domain_init(d, 1, 4097), -EINVAL);
	for (int n = 0; n < 6; n++) {
		fake_heap_fail_after = n;
		assert_int_equal(grant_domain_init(d, 1, 1), -ENOMEM);
		assert_null(d->grants);
	}
	fake_heap_fail_after = -1;
	assert_int_equal(grant_domain_init(d, UINT32_MAX, UINT32_MAX), 0);
	assert_int_equal(grant_max_frames(d), 64);
	grant_domain_free(d);
}

static void query_and_setup(void **state)
{
	struct gnttab_query_size q = {.dom = DOMID_SELF};
	struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 3};
	uint64_t *list = (uint64_t *)(fake_guest_memory + FIXTURE_BUF);
	mfn_t m;

	(void)state;
	assert_int_equal(gt_call(GNTTABOP_query_size, &q, sizeof(q), 1), 0);
	assert_int_equal(q.status, GNTST_okay);
	assert_int_equal(q.nr_frames, 1);
	assert_int_equal(q.max_nr_frames, 4);
	q.dom = 2;
	assert_int_equal(gt_call(GNTTABOP_query_size, &q, sizeof(q), 1), 0);
	assert_int_equal(q.status, GNTST_permission_denied);
	q.dom = 7;
	assert_int_equal(gt_call(GNTTABOP_query_size, &q, sizeof(q), 1), 0);
	assert_int_equal(q.status, GNTST_bad_domain);

	/* One frame is mapped, the others nowhere. */
	assert_int_equal(grant_table_frame(back, 1, false, &m), 0);
	assert_int_equal(physmap_set_special(back, gfn_from(100), m, grant_frame_home(back, 1)), 0);
	s.frame_list.p = (void *)FIXTURE_BUF;
	assert_int_equal(gt_call(GNTTABOP_setup_table, &s, sizeof(s), 1), 0);
	assert_int_equal(s.status, GNTST_okay);
	assert_true(list[0] == UINT64_MAX && list[1] == 100 && list[2] == UINT64_MAX);
	q.dom = DOMID_SELF;
	assert_int_equal(gt_call(GNTTABOP_query_size, &q, sizeof(q), 1), 0);
	assert_int_equal(q.nr_frames, 3);
	s.nr_frames = 5;
	assert_int_equal(gt_call(GNTTABOP_setup_table, &s, sizeof(s), 1), 0);
	assert_int_equal(s.status, GNTST_general_error);
	s.nr_frames = 4;
	fake_heap_fail_after = 1;
	assert_int_equal(gt_call(GNTTABOP_setup_table, &s, sizeof(s), 1), 0);
	assert_int_equal(s.status, GNTST_general_error);
	fake_heap_fail_after = -1;
	s.frame_list.p = (void *)FIXTURE_FAULT;
	assert_int_equal(gt_call(GNTTABOP_setup_table, &s, sizeof(s), 1), 0);
	assert_int_equal(s.status, GNTST_bad_virt_addr);
	s.dom = 2;
	assert_int_equal(gt_call(GNTTABOP_setup_table, &s, sizeof(s), 1), 0);
	assert_int_equal(s.status, GNTST_permission_denied);
	s.dom = 9;
	assert_int_equal(gt_call(GNTTABOP_setup_table, &s, sizeof(s), 1), 0);
	assert_int_equal(s.status, GNTST_bad_domain);
}

static void setup_compat(void **state)
{
	struct {
		uint16_t dom;
		uint32_t nr;
		int16_t status;
		uint32_t list;
	} op = {.dom = DOMID_SELF, .nr = 2, .status = 1, .list = FIXTURE_BUF};
	uint32_t *list = (uint32_t *)(fake_guest_memory + FIXTURE_BUF);

	(void)state;
	list[2] = 77;
	assert_int_equal(fixture_call_list(hypercall_grant_table_op, GNTTABOP_setup_table, &op,
					   sizeof(op), 1, true),
			 0);
	assert_int_equal(op.status, GNTST_okay);
	assert_true(list[0] == UINT32_MAX && list[1] == UINT32_MAX && list[2] == 77);
}

static void versions(void **state)
{
	struct gnttab_set_version set = {.version = 1};
	struct gnttab_get_version get = {.dom = DOMID_SELF};

	(void)state;
	assert_int_equal(gt_call(GNTTABOP_set_version, &set, sizeof(set), 1), 0);
	assert_int_equal(set.version, 1);
	set.version = 2;
	assert_int_equal(gt_call(GNTTABOP_set_version, &set, sizeof(set), 1), -ENOSYS);
	assert_int_equal(set.version, 1);
	set.version = 3;
	assert_int_equal(gt_call(GNTTABOP_set_version, &set, sizeof(set), 1), -EINVAL);
	assert_int_equal(set.version, 1);
	assert_int_equal(gt_call(GNTTABOP_get_version, &get, sizeof(get), 1), 0);
	assert_int_equal(get.version, 1);
	get.dom = 2;
	assert_int_equal(gt_call(GNTTABOP_get_version, &get, sizeof(get), 1), -EPERM);
	get.dom = 9;
	assert_int_equal(gt_call(GNTTABOP_get_version, &get, sizeof(get), 1), -ESRCH);
}

static void table_frames(void **state)
{
	mfn_t m0, m, again;

	(void)state;
	assert_int_equal(grant_table_frame(front, 0, false, &m0), 0);
	assert_int_equal(grant_table_frame(front, 3, false, &m), 0);
	assert_int_equal(grant_table_frame(front, 3, false, &again), 0);
	assert_true(mfn_eq(m, again));
	assert_int_equal(grant_table_frame(front, 4, false, &m), -EINVAL);
	assert_int_equal(grant_table_frame(front, UINT32_MAX, false, &m), -EINVAL);
	assert_int_equal(grant_table_frame(front, 0, true, &m), -EINVAL);
	assert_int_equal(mfn_to_page(m0)->state, PAGE_SPECIAL);
	/* Not while dying. */
	assert_int_equal(grant_table_frame(back, 0, false, &m), 0);
	back->dying = DOMAIN_DYING;
	assert_int_equal(grant_table_frame(back, 1, false, &m), -EINVAL);
	back->dying = DOMAIN_ALIVE;
}

/* ---- Mapping ---- */

static void map_and_unmap(void **state)
{
	uint32_t handle, refs = page_refs(front, 5);
	uint32_t *data;

	(void)state;
	grant(front, 8, 1, 5, 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &handle), GNTST_okay);
	assert_int_equal(fixture_type(back, 200), P2M_GRANT_RW);
	data = fixture_page(back, 200);
	*data = 0x1234;
	assert_int_equal(*(uint32_t *)fixture_page(front, 5), 0x1234);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access | GTF_reading | GTF_writing);
	assert_int_equal(page_refs(front, 5), refs + 1);
	assert_int_equal(front->refs, 2);
	/* The wrong handle, the wrong place. */
	assert_int_equal(unmap(handle + 1, 200), GNTST_bad_handle);
	assert_int_equal(unmap(UINT32_MAX, 200), GNTST_bad_handle);
	assert_int_equal(unmap(handle, 201), GNTST_general_error);
	assert_int_equal(unmap(handle, 0), GNTST_okay); /* nothing was asked for */
	assert_int_equal(fixture_type(back, 200), P2M_GRANT_RW);
	assert_int_equal(unmap(handle, 200), GNTST_okay);
	assert_int_equal(fixture_type(back, 200), P2M_NONE);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access);
	assert_int_equal(page_refs(front, 5), refs);
	assert_int_equal(front->refs, 1);
	assert_int_equal(unmap(handle, 200), GNTST_bad_handle);
}

static void readonly(void **state)
{
	uint32_t r1, r2, w;

	(void)state;
	grant(front, 8, 1, 5, GTF_readonly);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &w), GNTST_general_error);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access | GTF_readonly);
	assert_int_equal(map(8, 200, GNTMAP_host_map | GNTMAP_readonly, &r1), GNTST_okay);
	assert_int_equal(fixture_type(back, 200), P2M_GRANT_RO);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access | GTF_readonly | GTF_reading);
	/* In use already: still no right to write. */
	assert_int_equal(map(8, 201, GNTMAP_host_map, &w), GNTST_general_error);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access | GTF_readonly | GTF_reading);
	assert_int_equal(unmap(r1, 200), GNTST_okay);

	/* Readers and a writer: each flag goes with its last user. */
	grant(front, 9, 1, 6, 0);
	assert_int_equal(map(9, 200, GNTMAP_host_map | GNTMAP_readonly, &r1), GNTST_okay);
	assert_int_equal(entry_at(front, 9)->flags, GTF_permit_access | GTF_reading);
	assert_int_equal(map(9, 201, GNTMAP_host_map, &w), GNTST_okay);
	assert_int_equal(map(9, 202, GNTMAP_host_map | GNTMAP_readonly, &r2), GNTST_okay);
	assert_int_equal(entry_at(front, 9)->flags, GTF_permit_access | GTF_reading | GTF_writing);
	assert_int_equal(unmap(r1, 200), GNTST_okay);
	assert_int_equal(unmap(w, 201), GNTST_okay);
	assert_int_equal(entry_at(front, 9)->flags, GTF_permit_access | GTF_reading);
	assert_int_equal(unmap(r2, 202), GNTST_okay);
	assert_int_equal(entry_at(front, 9)->flags, GTF_permit_access);
}

static void map_errors(void **state)
{
	uint32_t h, refs;

	(void)state;
	grant(front, 8, 1, 5, 0);
	refs = page_refs(front, 5);
	assert_int_equal(map(8, 200, 0, &h), GNTST_bad_gntref);
	assert_int_equal(map(8, 200, GNTMAP_readonly, &h), GNTST_bad_gntref);
	assert_int_equal(map(8, 200, GNTMAP_device_map, &h), GNTST_general_error);
	assert_int_equal(map(8, 200, GNTMAP_host_map | GNTMAP_device_map, &h), GNTST_general_error);
	assert_int_equal(map(8, 200, GNTMAP_host_map | GNTMAP_application_map, &h),
			 GNTST_general_error);
	assert_int_equal(map(8, 200, GNTMAP_host_map | GNTMAP_contains_pte, &h),
			 GNTST_general_error);
	assert_int_equal(map(8, 200, GNTMAP_host_map | 1U << 16, &h), GNTST_general_error);
	assert_int_equal(map_as(9, 8, 200, GNTMAP_host_map, &h), GNTST_bad_domain);
	assert_int_equal(map_as(DOMID_SELF, 8, 200, GNTMAP_host_map, &h), GNTST_bad_domain);
	assert_int_equal(map(512, 200, GNTMAP_host_map, &h), GNTST_bad_gntref);
	assert_int_equal(map(UINT32_MAX, 200, GNTMAP_host_map, &h), GNTST_bad_gntref);
	/* Entries that grant nothing, not to us, or not by mapping. */
	assert_int_equal(map(9, 200, GNTMAP_host_map, &h), GNTST_general_error);
	grant(front, 9, 3, 5, 0);
	assert_int_equal(map(9, 200, GNTMAP_host_map, &h), GNTST_general_error);
	grant(front, 9, 1, 5, GTF_sub_page);
	assert_int_equal(map(9, 200, GNTMAP_host_map, &h), GNTST_general_error);
	entry_at(front, 9)->flags = GTF_accept_transfer;
	assert_int_equal(map(9, 200, GNTMAP_host_map, &h), GNTST_general_error);
	entry_at(front, 9)->flags = GTF_transitive;
	assert_int_equal(map(9, 200, GNTMAP_host_map, &h), GNTST_general_error);
	/* No such page. */
	grant(front, 9, 1, 1000, 0);
	assert_int_equal(map(9, 200, GNTMAP_host_map, &h), GNTST_bad_page);
	grant(front, 9, 1, UINT32_MAX, 0);
	assert_int_equal(map(9, 200, GNTMAP_host_map, &h), GNTST_bad_page);
	/* Nowhere to put it. */
	assert_int_equal(map(8, FIXTURE_GFNS, GNTMAP_host_map, &h), GNTST_general_error);
	fixture_p2m_fail = 0;
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_general_error);
	front->dying = DOMAIN_DYING;
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_general_error);
	front->dying = DOMAIN_ALIVE;
	/* None of these has left a trace. */
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access);
	assert_int_equal(page_refs(front, 5), refs);
	assert_int_equal(front->refs, 1);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_okay);
	assert_int_equal(h, 0);
	assert_int_equal(unmap(h, 200), GNTST_okay);
}

static void readonly_memory(void **state)
{
	mfn_t m = fixture_mfn(front, 5);
	uint32_t h, h2;

	(void)state;
	assert_int_equal(p2m_set(front, gfn_from(5), m, 0, P2M_RAM_RO), 0);
	grant(front, 8, 1, 5, 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_bad_page);
	assert_int_equal(map(8, 200, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_okay);
	/* Nor is a use that reads the way to one that writes. */
	assert_int_equal(map(8, 201, GNTMAP_host_map, &h2), GNTST_bad_page);
	assert_int_equal(entry_at(front, 8)->flags & GTF_writing, 0);
	assert_int_equal(unmap(h, 200), GNTST_okay);
	assert_int_equal(p2m_set(front, gfn_from(5), m, 0, P2M_RAM), 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_okay);
	assert_int_equal(map(8, 201, GNTMAP_host_map, &h2), GNTST_okay);
	assert_int_equal(unmap(h2, 201), GNTST_okay);
	assert_int_equal(unmap(h, 200), GNTST_okay);
}

/* A page that somebody else owns cannot be granted on. */
static void no_second_hand(void **state)
{
	struct domain *third = grant_domain(3, 1, 1);
	uint32_t h, h2;

	(void)state;
	grant(front, 8, 1, 5, 0);
	assert_int_equal(map(8, 40, GNTMAP_host_map, &h), GNTST_okay);
	grant(back, 8, 3, 40, 0);
	fixture_run(third);
	assert_int_equal(map_as(1, 8, 200, GNTMAP_host_map, &h2), GNTST_bad_page);
	fixture_run(back);
	assert_int_equal(unmap(h, 40), GNTST_okay);
	/* RAM that was under it has left the p2m, but not the domain. */
	assert_int_equal(fixture_type(back, 40), P2M_NONE);
	assert_int_equal(back->tot_pages, 64);
	grant_domain_free(third);
}

static void own_grant(void **state)
{
	uint32_t h;

	(void)state;
	grant(back, 8, 1, 5, 0);
	assert_int_equal(map_as(1, 8, 200, GNTMAP_host_map, &h), GNTST_okay);
	assert_ptr_equal(fixture_page(back, 200), fixture_page(back, 5));
	assert_int_equal(back->refs, 2);
	assert_int_equal(unmap(h, 200), GNTST_okay);
}

static void only_one_domain_at_a_time(void **state)
{
	struct domain *third = grant_domain(3, 1, 1);
	uint32_t h, h2;

	(void)state;
	grant(front, 8, 1, 5, 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_okay);
	/* The entry is rewritten for another domain while it is in use. */
	grant(front, 8, 3, 6, 0);
	fixture_run(third);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h2), GNTST_general_error);
	/* The old user goes on with the old page. */
	fixture_run(back);
	assert_int_equal(map(8, 201, GNTMAP_host_map, &h2), GNTST_okay);
	assert_true(mfn_eq(fixture_mfn(back, 201), fixture_mfn(front, 5)));
	assert_int_equal(unmap(h, 200), GNTST_okay);
	assert_int_equal(unmap(h2, 201), GNTST_okay);
	fixture_run(third);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h2), GNTST_okay);
	assert_true(mfn_eq(fixture_mfn(third, 200), fixture_mfn(front, 6)));
	assert_int_equal(unmap(h2, 200), GNTST_okay);
	fixture_run(back);
	grant_domain_free(third);
}

/* The granter gives the page back to the hypervisor while it is mapped: it stays until it is unmapped. */
static void page_outlives_its_p2m_entry(void **state)
{
	mfn_t m = fixture_mfn(front, 5);
	struct physmap_batch b;
	uint32_t h;

	(void)state;
	grant(front, 8, 1, 5, 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_okay);
	physmap_begin(&b, front);
	assert_int_equal(physmap_release(&b, gfn_from(5)), 0);
	physmap_end(&b);
	/* It is charged to its owner until nobody uses it: else two domains had as much memory as they like. */
	assert_int_equal(front->tot_pages, 64);
	assert_int_equal(mfn_to_page(m)->state, PAGE_DOMAIN);
	*(uint32_t *)fixture_page(back, 200) = 7;
	assert_int_equal(unmap(h, 200), GNTST_okay);
	assert_int_equal(mfn_to_page(m)->state, PAGE_FREE);
	assert_int_equal(front->tot_pages, 63);
}

/* Only an unmap takes a grant out of the p2m, so that it is never counted for longer than it is mapped. */
static void nothing_replaces_a_grant(void **state)
{
	struct physmap_batch b;
	uint32_t h, h2;
	mfn_t m;

	(void)state;
	grant(front, 8, 1, 5, 0);
	grant(front, 9, 1, 6, 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_okay);
	assert_int_equal(map(9, 200, GNTMAP_host_map, &h2), GNTST_general_error);
	assert_int_equal(entry_at(front, 9)->flags, GTF_permit_access);
	m = fixture_mfn(back, 3);
	physmap_begin(&b, back);
	assert_int_equal(physmap_clear(&b, gfn_from(200)), -EPERM);
	assert_int_equal(physmap_release(&b, gfn_from(200)), -ENXIO);
	assert_int_equal(physmap_set(&b, gfn_from(200), m, P2M_RAM), -ENXIO);
	assert_int_equal(physmap_clear_grant(&b, gfn_from(200), m), -ENOENT);
	physmap_end(&b);
	assert_int_equal(physmap_set_foreign(back, gfn_from(200), front, gfn_from(6)), -ENXIO);
	assert_int_equal(unmap(h, 200), GNTST_okay);
}

static void unmap_that_fails_keeps_the_mapping(void **state)
{
	uint32_t h;

	(void)state;
	grant(front, 8, 1, 5, 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_okay);
	fixture_p2m_fail = 0;
	assert_int_equal(unmap(h, 200), GNTST_general_error);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access | GTF_reading | GTF_writing);
	assert_int_equal(unmap(h, 200), GNTST_okay);
}

static void handles_have_a_quota(void **state)
{
	struct domain *d = grant_domain(4, 1, 0);
	struct gnttab_map_grant_ref *ops = calloc(1025, sizeof(*ops));
	uint32_t h, nr = 1025;

	(void)state;
	grant(front, 8, 1, 5, 0);
	grant(front, 9, 4, 5, 0);
	fixture_run(d);
	assert_int_equal(map(9, 200, GNTMAP_host_map, &h), GNTST_no_space);
	fixture_run(back);
	for (uint32_t i = 0; i < nr; i++)
		ops[i] = (struct gnttab_map_grant_ref){.host_addr = (200UL + i) << PAGE_SHIFT,
						       .flags = GNTMAP_host_map,
						       .ref = 8,
						       .dom = 2};
	/* Four frames of maptrack stand for 1024 handles. */
	fixture_yield_every = 3;
	assert_int_equal(gt_call(GNTTABOP_map_grant_ref, ops, sizeof(*ops), nr), 0);
	assert_true(fixture_restarts > 300);
	for (uint32_t i = 0; i < 1024; i++) {
		assert_int_equal(ops[i].status, GNTST_okay);
		assert_int_equal(ops[i].handle, i);
	}
	assert_int_equal(ops[1024].status, GNTST_no_space);
	assert_int_equal(front->refs, 1025);
	assert_int_equal(unmap(500, 700), GNTST_okay);
	assert_int_equal(map(8, 1500, GNTMAP_host_map, &h), GNTST_okay);
	assert_int_equal(h, 500);
	free(ops);
	fixture_run(back);
	grant_domain_free(d);
}

static void handles_without_memory(void **state)
{
	uint32_t h;

	(void)state;
	grant(front, 8, 1, 5, 0);
	fake_heap_fail_after = 0;
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_no_space);
	fake_heap_fail_after = -1;
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_okay);
	assert_int_equal(unmap(h, 200), GNTST_okay);
}

/* Many at once: one flush for a batch, each with its own result. */
static void unmap_in_batches(void **state)
{
	struct gnttab_unmap_grant_ref ops[100];
	uint32_t h[100];
	unsigned flushes;

	(void)state;
	grant(front, 8, 1, 5, 0);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(map(8, 200 + i, GNTMAP_host_map, &h[i]), GNTST_okay);
		ops[i] = (struct gnttab_unmap_grant_ref){.host_addr = (200UL + i) << PAGE_SHIFT,
							 .handle = h[i]};
	}
	ops[7].handle = 5000;
	ops[8].handle = h[9]; /* twice in one call: the second is in vain */
	ops[8].host_addr = ops[9].host_addr;
	flushes = fixture_flushes;
	fixture_yield_every = 2;
	assert_int_equal(gt_call(GNTTABOP_unmap_grant_ref, ops, sizeof(ops[0]), 100), 0);
	assert_int_equal(fixture_restarts, 1);
	assert_int_equal(fixture_flushes - flushes, 4);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(ops[i].status, i == 7 || i == 9 ? GNTST_bad_handle : GNTST_okay);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access | GTF_reading | GTF_writing);
	assert_int_equal(unmap(h[7], 207), GNTST_okay);
	assert_int_equal(unmap(h[8], 208), GNTST_okay);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access);
	assert_int_equal(front->refs, 1);
}

static void fault_in_the_middle(void **state)
{
	struct gnttab_map_grant_ref op = {.host_addr = 200UL << PAGE_SHIFT,
					  .flags = GNTMAP_host_map,
					  .ref = 8,
					  .dom = 2};
	uint64_t last = FIXTURE_GUEST_SIZE - sizeof(op);
	struct hypercall hc = {.args = {GNTTABOP_map_grant_ref, last, 2}};

	(void)state;
	grant(front, 8, 1, 5, 0);
	memcpy(fake_guest_memory + last, &op, sizeof(op));
	assert_int_equal(hypercall_grant_table_op(&hc), -EFAULT);
	/* The first was done, and was told. */
	memcpy(&op, fake_guest_memory + last, sizeof(op));
	assert_int_equal(op.status, GNTST_okay);
	assert_int_equal(unmap(op.handle, 200), GNTST_okay);
}

/* ---- Death ---- */

static void mapper_dies(void **state)
{
	struct domain *d = grant_domain(4, 1, 4);
	uint32_t h, refs = page_refs(front, 5);
	unsigned steps = 0;

	(void)state;
	grant(front, 8, 4, 5, 0);
	fixture_run(d);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(map(8, 200 + i, GNTMAP_host_map, &h), GNTST_okay);
	assert_int_equal(unmap(100, 300), GNTST_okay);
	assert_int_equal(front->refs, 200);
	fixture_run(back);
	d->dying = DOMAIN_DYING;
	fixture_yield_every = 1;
	while (grant_domain_release_mappings(d) == -ERESTART)
		steps++;
	fixture_yield_every = 0;
	assert_true(steps >= 6);
	assert_int_equal(front->refs, 1);
	assert_int_equal(page_refs(front, 5), refs);
	assert_int_equal(entry_at(front, 8)->flags, GTF_permit_access);
	assert_int_equal(grant_domain_release_mappings(d), 0);
	grant_domain_free(d);
}

static void granter_dies(void **state)
{
	struct domain *d = grant_domain(4, 1, 4);
	mfn_t m = fixture_mfn(d, 5);
	uint32_t h, h2;

	(void)state;
	grant(d, 8, 1, 5, 0);
	assert_int_equal(map_as(4, 8, 200, GNTMAP_host_map, &h), GNTST_okay);
	d->dying = DOMAIN_DYING;
	assert_int_equal(grant_domain_release_mappings(d), 0);
	assert_true(list_empty(&d->gmaps)); /* its shared frames are not mapped any more */
	assert_true(domain_frame_release(d, m));
	assert_int_equal(mfn_to_page(m)->state, PAGE_DOMAIN);
	assert_int_equal(map_as(4, 8, 201, GNTMAP_host_map, &h2), GNTST_general_error);
	*(uint32_t *)fixture_page(back, 200) = 7;
	/* That of the mapping, and that of the frame. */
	assert_int_equal(d->refs, 3);
	assert_int_equal(unmap(h, 200), GNTST_okay);
	assert_int_equal(mfn_to_page(m)->state, PAGE_FREE);
	assert_int_equal(d->refs, 1);
	grant_domain_finish(d);
	assert_int_equal(p2m_clear(d, gfn_from(5), 0), 0);
	fixture_domain_free(d);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, grant_setup, grant_teardown)
	const struct CMUnitTest tests[] = {
		T(unknown_calls),
		T(init_limits),
		T(query_and_setup),
		T(setup_compat),
		T(versions),
		T(table_frames),
		T(map_and_unmap),
		T(readonly),
		T(map_errors),
		T(readonly_memory),
		T(no_second_hand),
		T(own_grant),
		T(only_one_domain_at_a_time),
		T(page_outlives_its_p2m_entry),
		T(nothing_replaces_a_grant),
		T(unmap_that_fails_keeps_the_mapping),
		T(handles_have_a_quota),
		T(handles_without_memory),
		T(unmap_in_batches),
		T(fault_in_the_middle),
		T(mapper_dies),
		T(granter_dies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
