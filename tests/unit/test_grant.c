// SPDX-License-Identifier: GPL-2.0-or-later
// Grant tables: error codes, life cycles of mappings and copies, hostile granters, leaks.
// links: hypervisor/common/grant_map.c hypervisor/common/grant_copy.c
// links: hypervisor/common/grant_op.c hypervisor/common/physmap.c hypervisor/common/page_owner.c hypervisor/common/pod.c
// links: hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c
// libs: -Wl,--wrap=p2m_get_page
#include "domain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xen/grant_table.h>

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

static struct domain *back, *front; /* backend maps what frontend grants */

static struct domain *grant_domain(domid_t id, uint32_t frames, uint32_t maptrack)
{
	struct domain *d = fixture_domain(id, 1);

	if (grant_domain_init(d, frames, maptrack))
		panic("no memory");
	fixture_ram(d, 0, 64);
	return d;
}

static void grant_domain_free(struct domain *d)
{
	d->dying = DOMAIN_DYING;
	while (grant_domain_release_mappings(d))
		;
	grant_domain_finish(d);
	grant_domain_finish(d);
	fixture_domain_free(d);
}

static int setup(void **state)
{
	(void)state;
	fixture_init();
	back = grant_domain(1, 4, 4);
	front = grant_domain(2, 4, 4);
	fixture_run(back);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	/* Uses of grants keep the granter, so the one who maps goes first. */
	grant_domain_free(back);
	grant_domain_free(front);
	fixture_finish();
	return 0;
}

static struct grant_entry_v1 *entry_at(struct domain *d, uint32_t ref)
{
	mfn_t m;

	assert_int_equal(grant_table_frame(d, ref / 512, false, &m), 0);
	return (struct grant_entry_v1 *)fake_frame(m) + ref % 512;
}

static void grant(struct domain *d, uint32_t ref, domid_t to, uint32_t gfn, uint16_t flags)
{
	*entry_at(d, ref) = (struct grant_entry_v1){.flags = GTF_permit_access | flags,
						    .domid = to,
						    .frame = gfn};
}

static int64_t gt_call(uint64_t cmd, void *arg, size_t size, uint32_t count)
{
	return fixture_call_list(hypercall_grant_table_op, cmd, arg, size * count, count, false);
}

static int16_t map_as(domid_t dom, uint32_t ref, uint64_t gfn, uint32_t flags, uint32_t *handle)
{
	struct gnttab_map_grant_ref op = {.host_addr = gfn << PAGE_SHIFT,
					  .flags = flags,
					  .ref = ref,
					  .dom = dom};

	assert_int_equal(gt_call(GNTTABOP_map_grant_ref, &op, sizeof(op), 1), 0);
	if (op.status == GNTST_okay) {
		*handle = op.handle;
		assert_int_equal(op.dev_bus_addr, gfn << PAGE_SHIFT);
	}
	return op.status;
}

static int16_t map(uint32_t ref, uint64_t gfn, uint32_t flags, uint32_t *handle)
{
	return map_as(front->id, ref, gfn, flags, handle);
}

static int16_t unmap(uint32_t handle, uint64_t gfn)
{
	struct gnttab_unmap_grant_ref op = {.host_addr = gfn << PAGE_SHIFT, .handle = handle};

	assert_int_equal(gt_call(GNTTABOP_unmap_grant_ref, &op, sizeof(op), 1), 0);
	return op.status;
}

static uint32_t page_refs(struct domain *d, uint64_t gfn)
{
	return mfn_to_page(fixture_mfn(d, gfn))->count;
}

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
	uint32_t h;

	(void)state;
	assert_int_equal(p2m_set(front, gfn_from(5), m, 0, P2M_RAM_RO), 0);
	grant(front, 8, 1, 5, 0);
	assert_int_equal(map(8, 200, GNTMAP_host_map, &h), GNTST_bad_page);
	assert_int_equal(map(8, 200, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_okay);
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

/* ---- Hostile granter ---- */

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
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
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
		T(entry_changes_meanwhile),
		T(header_changes_meanwhile),
		T(granter_scribbles),
		T(copies),
		T(copy_errors),
		T(copy_lists),
		T(copy_compat),
		T(copy_while_mapped),
		T(swaps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
