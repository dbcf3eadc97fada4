/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grant tables: the hypercall, and the operations on a table as a whole. */
#include "grant_internal.h"

struct setup_table_32 {
	uint16_t dom;
	uint32_t nr_frames;
	int16_t status;
	uint32_t frame_list;
};
_Static_assert(sizeof(struct gnttab_setup_table) == 24, "ABI");
_Static_assert(sizeof(struct setup_table_32) == 16, "ABI");
_Static_assert(offsetof(struct gnttab_setup_table, status) ==
		       offsetof(struct setup_table_32, status),
	       "the status is at one place in both");
_Static_assert(sizeof(struct gnttab_query_size) == 16, "one layout for all callers");
_Static_assert(sizeof(struct gnttab_swap_grant_ref) == 12, "one layout for all callers");

/* A domain whose table the caller may look at; GNTST_*. */
static int find(struct domain *caller, domid_t id, struct domain **ret_d)
{
	struct domain *d = domain_get_by_id(id);

	if (!d)
		return GNTST_bad_domain;
	if (!may_target(caller, d)) {
		domain_put(d);
		return GNTST_permission_denied;
	}
	*ret_d = d;
	return GNTST_okay;
}

/* Writes the list of gfns at which the frames are mapped. */
static int write_frames(struct grant_call *c, struct domain *d, uint64_t list, uint32_t nr)
{
	size_t size = c->hc->compat ? sizeof(uint32_t) : sizeof(uint64_t);
	int rc = GNTST_okay;

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t gfn = gfn_raw(*grant_frame_home(d, i));

		if (guest_copy_to(list + i * size, &gfn, size))
			rc = GNTST_bad_virt_addr;
	}
	return rc;
}

static int setup_table(struct grant_call *c, domid_t dom, uint32_t nr_frames, uint64_t list)
{
	struct domain *d;
	int rc = find(c->caller, dom, &d);

	if (rc != GNTST_okay)
		return rc;
	if (nr_frames > d->grants->max_frames) {
		rc = GNTST_general_error;
	} else {
		spin_lock(&d->grants->lock);
		if (grant_grow(d, nr_frames))
			rc = GNTST_general_error;
		spin_unlock(&d->grants->lock);
	}
	if (rc == GNTST_okay)
		rc = write_frames(c, d, list, nr_frames);
	domain_put(d);
	return rc;
}

static int64_t op_setup_table(struct grant_call *c)
{
	struct gnttab_setup_table op;
	struct setup_table_32 op32;
	int16_t status;

	if (c->count != 1)
		return -EINVAL;
	if (c->hc->compat) {
		if (guest_copy_from(&op32, c->list, sizeof(op32)))
			return -EFAULT;
		status = (int16_t)setup_table(c, op32.dom, op32.nr_frames, op32.frame_list);
	} else {
		if (guest_copy_from(&op, c->list, sizeof(op)))
			return -EFAULT;
		status = (int16_t)setup_table(c, op.dom, op.nr_frames, (uintptr_t)op.frame_list.p);
	}
	return guest_copy_to(c->list + offsetof(struct gnttab_setup_table, status), &status,
			     sizeof(status))
		       ? -EFAULT
		       : 0;
}

static int64_t op_query_size(struct grant_call *c)
{
	struct gnttab_query_size op;
	struct domain *d;

	if (c->count != 1)
		return -EINVAL;
	if (guest_copy_from(&op, c->list, sizeof(op)))
		return -EFAULT;
	op.status = (int16_t)find(c->caller, op.dom, &d);
	if (op.status == GNTST_okay) {
		op.nr_frames = READ_ONCE(d->grants->nr_frames);
		op.max_nr_frames = d->grants->max_frames;
		domain_put(d);
	}
	return guest_copy_to(c->list, &op, sizeof(op)) ? -EFAULT : 0;
}

/* Version 1 is the only one: whoever asks for another keeps it, and is told so. */
static int64_t op_set_version(struct grant_call *c)
{
	struct gnttab_set_version op;
	int64_t rc = 0;

	if (guest_copy_from(&op, c->list, sizeof(op)))
		return -EFAULT;
	if (op.version == 2)
		rc = -ENOSYS;
	else if (op.version != 1)
		rc = -EINVAL;
	op.version = 1;
	return guest_copy_to(c->list, &op, sizeof(op)) ? -EFAULT : rc;
}

static int64_t op_get_version(struct grant_call *c)
{
	struct gnttab_get_version op;
	struct domain *d;
	int rc;

	if (guest_copy_from(&op, c->list, sizeof(op)))
		return -EFAULT;
	rc = find(c->caller, op.dom, &d);
	if (rc != GNTST_okay)
		return rc == GNTST_bad_domain ? -ESRCH : -EPERM;
	domain_put(d);
	op.version = 1;
	return guest_copy_to(c->list, &op, sizeof(op)) ? -EFAULT : 0;
}

static int swap(struct grant_table *gt, uint32_t a, uint32_t b)
{
	struct grant_active *act_a, *act_b;
	struct grant_entry_v1 *entry_a, *entry_b;
	int rc = GNTST_bad_gntref;

	spin_lock(&gt->lock);
	act_a = grant_active_of(gt, a);
	act_b = grant_active_of(gt, b);
	if (act_a && act_b) {
		entry_a = grant_entry_of(gt, a);
		entry_b = grant_entry_of(gt, b);
		rc = GNTST_okay;
		if (a != b &&
		    (act_a->readers || act_a->writers || act_b->readers || act_b->writers)) {
			rc = GNTST_eagain;
		} else if (a != b && entry_a && entry_b) {
			struct grant_entry_v1 tmp = *entry_a;

			*entry_a = *entry_b;
			*entry_b = tmp;
		}
	}
	spin_unlock(&gt->lock);
	return rc;
}

static int64_t op_swap(struct grant_call *c)
{
	struct gnttab_swap_grant_ref op;

	for (uint32_t i = 0; i < c->count; i++) {
		uint64_t addr = c->list + (uint64_t)i * sizeof(op);

		if (i && hypercall_should_yield())
			return grant_restart(c, i, sizeof(op));
		if (guest_copy_from(&op, addr, sizeof(op)))
			return -EFAULT;
		op.status = (int16_t)swap(c->caller->grants, op.ref_a, op.ref_b);
		if (guest_copy_to(addr + offsetof(struct gnttab_swap_grant_ref, status), &op.status,
				  sizeof(op.status)))
			return -EFAULT;
	}
	return 0;
}

int64_t hypercall_grant_table_op(struct hypercall *hc)
{
	uint32_t cmd = (uint32_t)hc->args[0];
	struct grant_call c = {
		.hc = hc,
		.caller = current_domain(),
		.list = hc->args[1],
		.count = (uint32_t)hc->args[2],
	};
	int64_t (*fn)(struct grant_call *);

	switch (cmd) {
	case GNTTABOP_map_grant_ref:
		fn = grant_op_map;
		break;
	case GNTTABOP_unmap_grant_ref:
		fn = grant_op_unmap;
		break;
	case GNTTABOP_setup_table:
		fn = op_setup_table;
		break;
	case GNTTABOP_copy:
		fn = grant_op_copy;
		break;
	case GNTTABOP_query_size:
		fn = op_query_size;
		break;
	case GNTTABOP_set_version:
		fn = op_set_version;
		break;
	case GNTTABOP_get_version:
		fn = op_get_version;
		break;
	case GNTTABOP_swap_grant_ref:
		fn = op_swap;
		break;
	default:
		/* Transfer and replacement make no sense with a p2m, the others are not for HVM callers. */
		return -ENOSYS;
	}
	if ((int32_t)c.count < 0)
		return -EINVAL;
	return fn(&c);
}
