// SPDX-License-Identifier: GPL-2.0-or-later
// Two domains, one of which maps what the other one grants.
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

struct domain *back, *front; /* backend maps what frontend grants */

struct domain *grant_domain(domid_t id, uint32_t frames, uint32_t maptrack)
{
	struct domain *d = fixture_domain(id, 1);

	if (grant_domain_init(d, frames, maptrack))
		panic("no memory");
	fixture_ram(d, 0, 64);
	return d;
}

void grant_domain_free(struct domain *d)
{
	d->dying = DOMAIN_DYING;
	while (grant_domain_release_mappings(d))
		;
	grant_domain_finish(d);
	grant_domain_finish(d);
	fixture_domain_free(d);
}

int grant_setup(void **state)
{
	(void)state;
	fixture_init();
	back = grant_domain(1, 4, 4);
	front = grant_domain(2, 4, 4);
	fixture_run(back);
	return 0;
}

int grant_teardown(void **state)
{
	(void)state;
	/* Uses of grants keep the granter, so the one who maps goes first. */
	grant_domain_free(back);
	grant_domain_free(front);
	fixture_finish();
	return 0;
}

struct grant_entry_v1 *entry_at(struct domain *d, uint32_t ref)
{
	mfn_t m;

	assert_int_equal(grant_table_frame(d, ref / 512, false, &m), 0);
	return (struct grant_entry_v1 *)fake_frame(m) + ref % 512;
}

void grant(struct domain *d, uint32_t ref, domid_t to, uint32_t gfn, uint16_t flags)
{
	*entry_at(d, ref) = (struct grant_entry_v1){.flags = GTF_permit_access | flags,
						    .domid = to,
						    .frame = gfn};
}

int64_t gt_call(uint64_t cmd, void *arg, size_t size, uint32_t count)
{
	return fixture_call_list(hypercall_grant_table_op, cmd, arg, size * count, count, false);
}

int16_t map_as(domid_t dom, uint32_t ref, uint64_t gfn, uint32_t flags, uint32_t *handle)
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

int16_t map(uint32_t ref, uint64_t gfn, uint32_t flags, uint32_t *handle)
{
	return map_as(front->id, ref, gfn, flags, handle);
}

int16_t unmap(uint32_t handle, uint64_t gfn)
{
	struct gnttab_unmap_grant_ref op = {.host_addr = gfn << PAGE_SHIFT, .handle = handle};

	assert_int_equal(gt_call(GNTTABOP_unmap_grant_ref, &op, sizeof(op), 1), 0);
	return op.status;
}

uint32_t page_refs(struct domain *d, uint64_t gfn)
{
	return mfn_to_page(fixture_mfn(d, gfn))->count;
}
