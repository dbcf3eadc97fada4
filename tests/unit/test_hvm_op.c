// SPDX-License-Identifier: GPL-2.0-or-later
// hvm_op: who may set and read which parameter, their limits, and the small operations.
// links: hypervisor/common/hvm_op.c hypervisor/common/page_owner.c hypervisor/common/pod.c
// links: hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c
#include "domain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <xen/hvm/hvm_op.h>

#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/hvm.h>

static struct domain *d0, *d1;
static unsigned flushes, callbacks, vectors;
static uint64_t callback;
static int compat; /* last event_set_compat(), -1: none */

int arch_vcpu_set_upcall_vector(struct vcpu *v, uint8_t vector)
{
	vectors = v->id << 8 | vector;
	return 0;
}

void arch_domain_set_callback(struct domain *d, uint64_t via)
{
	/* It looks at what goes away when the domain dies. */
	assert_true(spin_is_locked(&d->lock));
	callback = via;
	callbacks++;
}

void arch_domain_flush_guest_tlb(struct domain *d)
{
	(void)d;
	flushes++;
}

void event_set_compat(struct domain *d, bool is32)
{
	(void)d;
	compat = is32;
}

static int setup(void **state)
{
	(void)state;
	fixture_init();
	d0 = fixture_domain(0, 1);
	d1 = fixture_domain(1, 2);
	fixture_ram(d1, 0, 8);
	fixture_run(d1);
	flushes = callbacks = vectors = 0;
	compat = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_domain_free(d0);
	fixture_domain_free(d1);
	fixture_finish();
	return 0;
}

static int64_t call(uint64_t op, void *arg, size_t size)
{
	return fixture_call(hypercall_hvm_op, op, arg, size);
}

static int64_t set(domid_t dom, uint32_t index, uint64_t value)
{
	struct xen_hvm_param op = {.domid = dom, .index = index, .value = value};

	return call(HVMOP_set_param, &op, sizeof(op));
}

static int64_t get(domid_t dom, uint32_t index, uint64_t *value)
{
	struct xen_hvm_param op = {.domid = dom, .index = index, .value = 0xbad};
	int64_t rc = call(HVMOP_get_param, &op, sizeof(op));

	*value = op.value;
	return rc;
}

static bool in(uint32_t x, const uint8_t *list, size_t n)
{
	return memchr(list, (int)x, n) != NULL;
}

static const uint8_t guest_sets[] = {0, 15, 37, 19, 34, 2, 18, 36};
static const uint8_t guest_gets[] = {0, 15, 37, 19, 34, 1, 2, 17, 18, 35, 36};
static const uint8_t deprecated[] = {4, 13, 20, 21, 22, 23, 24, 25, 26, 30};

/* A value that the parameter accepts. */
static uint64_t good_value(uint32_t index)
{
	switch (index) {
	case HVM_PARAM_VIRIDIAN:
	case HVM_PARAM_NR_IOREQ_SERVER_PAGES:
		return 1;
	case HVM_PARAM_VM86_TSS_SIZED:
		return 200ULL << 32;
	default:
		return 0;
	}
}

static void rights(void **state)
{
	uint64_t v;

	(void)state;
	for (uint32_t i = 0; i < HVM_NR_PARAMS; i++) {
		bool dep = in(i, deprecated, sizeof(deprecated));

		assert_int_equal(set(DOMID_SELF, i, good_value(i)),
				 dep					 ? -EINVAL
				 : in(i, guest_sets, sizeof(guest_sets)) ? 0
									 : -EPERM);
		assert_int_equal(get(DOMID_SELF, i, &v), dep ? -EINVAL
							 : in(i, guest_gets, sizeof(guest_gets))
								 ? 0
								 : -EPERM);
		assert_int_equal(set(0, i, good_value(i)), -EPERM);
		assert_int_equal(get(0, i, &v), -EPERM);
	}
	fixture_run(d0);
	for (uint32_t i = 0; i < HVM_NR_PARAMS; i++) {
		int want = in(i, deprecated, sizeof(deprecated)) ? -EINVAL : 0;

		assert_int_equal(set(1, i, good_value(i)), want);
		assert_int_equal(get(1, i, &v), want);
	}
	assert_int_equal(set(1, HVM_NR_PARAMS, 0), -EINVAL);
	assert_int_equal(get(1, UINT32_MAX, &v), -EINVAL);
	assert_int_equal(set(9, 1, 0), -ESRCH);
	assert_int_equal(get(9, 1, &v), -ESRCH);
}

static void values(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t value;
		int64_t rc;
	} cases[] = {
		{HVM_PARAM_STORE_PFN, 0xfeffd, 0},
		{HVM_PARAM_TIMER_MODE, 3, 0},
		{HVM_PARAM_TIMER_MODE, 4, -EINVAL},
		{HVM_PARAM_VIRIDIAN, 2, -EINVAL},
		{HVM_PARAM_VIRIDIAN, 1 | 1U << 20, -EINVAL},
		{HVM_PARAM_VIRIDIAN, 0, -EINVAL},
		{HVM_PARAM_VIRIDIAN, 5, 0},
		{HVM_PARAM_ACPI_S_STATE, 0, 0},
		{HVM_PARAM_ACPI_S_STATE, 1, -EINVAL},
		{HVM_PARAM_ACPI_IOPORTS_LOCATION, 1, 0},
		{HVM_PARAM_ACPI_IOPORTS_LOCATION, 2, -EINVAL},
		{HVM_PARAM_ALTP2M, 0, 0},
		{HVM_PARAM_ALTP2M, 4, -EINVAL},
		{HVM_PARAM_MCA_CAP, 0, 0},
		{HVM_PARAM_MCA_CAP, 2, -EINVAL},
		{HVM_PARAM_TRIPLE_FAULT_REASON, SHUTDOWN_MAX, 0},
		{HVM_PARAM_TRIPLE_FAULT_REASON, SHUTDOWN_MAX + 1, -EINVAL},
		{HVM_PARAM_NR_IOREQ_SERVER_PAGES, 0, -EINVAL},
		{HVM_PARAM_NR_IOREQ_SERVER_PAGES, 65, -EINVAL},
		{HVM_PARAM_NR_IOREQ_SERVER_PAGES, 8, 0},
		{HVM_PARAM_X87_FIP_WIDTH, 4, 0},
		{HVM_PARAM_X87_FIP_WIDTH, 8, 0},
		{HVM_PARAM_X87_FIP_WIDTH, 5, -EINVAL},
		{HVM_PARAM_VM86_TSS, 1ULL << 32, -EINVAL},
		{HVM_PARAM_VM86_TSS_SIZED, 103ULL << 32, -EINVAL},
	};
	uint64_t v;

	(void)state;
	fixture_run(d0);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(set(1, cases[i].index, cases[i].value), cases[i].rc);
		if (!cases[i].rc) {
			assert_int_equal(get(1, cases[i].index, &v), 0);
			assert_int_equal(v, cases[i].value);
		}
	}
	assert_int_equal(fixture_crashes, 0);
	/* A guest that does the last two to itself is not fit to go on. */
	fixture_run(d1);
	assert_int_equal(set(DOMID_SELF, HVM_PARAM_VM86_TSS, 1ULL << 32), -EINVAL);
	assert_int_equal(fixture_crashes, 1);
}

static void once(void **state)
{
	static const uint8_t params[] = {5, 6, 32};
	uint64_t v;

	(void)state;
	fixture_run(d0);
	for (unsigned i = 0; i < sizeof(params); i++) {
		assert_int_equal(set(1, params[i], 0), 0);
		assert_int_equal(set(1, params[i], 7), 0);
		assert_int_equal(set(1, params[i], 7), 0);
		assert_int_equal(set(1, params[i], 8), -EEXIST);
		assert_int_equal(set(1, params[i], 0), -EEXIST);
		assert_int_equal(get(1, params[i], &v), 0);
		assert_int_equal(v, 7);
	}
	assert_int_equal(set(1, HVM_PARAM_VIRIDIAN, 1), 0);
	assert_int_equal(set(1, HVM_PARAM_VIRIDIAN, 3), -EEXIST);
	assert_int_equal(set(1, HVM_PARAM_NR_IOREQ_SERVER_PAGES, 8), 0);
	assert_int_equal(set(1, HVM_PARAM_NR_IOREQ_SERVER_PAGES, 9), -EEXIST);
}

static void vm86_tss(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(set(DOMID_SELF, HVM_PARAM_VM86_TSS, 0xfe000), 0);
	assert_int_equal(get(DOMID_SELF, HVM_PARAM_VM86_TSS, &v), 0);
	assert_int_equal(v, 0xfe000);
	assert_int_equal(get(DOMID_SELF, HVM_PARAM_VM86_TSS_SIZED, &v), 0);
	assert_int_equal(v, 128ULL << 32 | 0xfe000);
	assert_int_equal(set(DOMID_SELF, HVM_PARAM_VM86_TSS_SIZED, 0xffffffffULL << 32 | 0x1000),
			 0);
	assert_int_equal(get(DOMID_SELF, HVM_PARAM_VM86_TSS_SIZED, &v), 0);
	assert_int_equal(v, (104ULL + 32 + 8192 + 1) << 32 | 0x1000);
	assert_int_equal(set(DOMID_SELF, HVM_PARAM_VM86_TSS, 0), 0);
	assert_int_equal(get(DOMID_SELF, HVM_PARAM_VM86_TSS_SIZED, &v), 0);
	assert_int_equal(v, 0);
}

static void callback_irq(void **state)
{
	struct xen_hvm_param op = {.domid = DOMID_SELF, .value = 2ULL << 56 | 0x33};
	uint64_t v;

	(void)state;
	assert_int_equal(set(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, 2ULL << 56 | 0xf3), 0);
	assert_true(callback == (2ULL << 56 | 0xf3));
	assert_int_equal(callbacks, 1);
	assert_int_equal(compat, 0);
	assert_int_equal(get(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, &v), 0);
	assert_true(v == callback);
	/* The layout of shared_info is that of the caller, when it speaks for itself. */
	assert_int_equal(fixture_call_list(hypercall_hvm_op, HVMOP_set_param, &op, sizeof(op), 0,
					   true),
			 0);
	assert_int_equal(compat, 1);
	compat = -1;
	fixture_run(d0);
	assert_int_equal(set(1, HVM_PARAM_CALLBACK_IRQ, 1), 0);
	assert_int_equal(callbacks, 3);
	assert_int_equal(compat, -1);
}

static void upcall_vector(void **state)
{
	struct xen_hvm_evtchn_upcall_vector op = {.vcpu = 1, .vector = 0xf3};

	(void)state;
	assert_int_equal(call(HVMOP_set_evtchn_upcall_vector, &op, sizeof(op)), 0);
	assert_int_equal(vectors, 1 << 8 | 0xf3);
	op.vector = 0x0f;
	assert_int_equal(call(HVMOP_set_evtchn_upcall_vector, &op, sizeof(op)), -EINVAL);
	op.vector = 0x10;
	op.vcpu = 2;
	assert_int_equal(call(HVMOP_set_evtchn_upcall_vector, &op, sizeof(op)), -ENOENT);
	op.vcpu = UINT32_MAX;
	assert_int_equal(call(HVMOP_set_evtchn_upcall_vector, &op, sizeof(op)), -ENOENT);
	assert_int_equal(vectors, 1 << 8 | 0xf3);
}

static uint16_t mem_type(uint64_t pfn)
{
	struct xen_hvm_get_mem_type op = {.domid = DOMID_SELF, .pfn = pfn, .mem_type = 99};

	assert_int_equal(call(HVMOP_get_mem_type, &op, sizeof(op)), 0);
	return op.mem_type;
}

static void get_mem_type(void **state)
{
	struct xen_hvm_get_mem_type op = {.domid = 0};
	mfn_t m = fixture_mfn(d1, 3);

	(void)state;
	assert_int_equal(mem_type(3), HVMMEM_ram_rw);
	assert_int_equal(p2m_set(d1, gfn_from(3), m, 0, P2M_RAM_RO), 0);
	assert_int_equal(mem_type(3), HVMMEM_ram_ro);
	assert_int_equal(mem_type(100), HVMMEM_mmio_dm);
	assert_int_equal(mem_type(UINT64_MAX), HVMMEM_mmio_dm);
	assert_int_equal(p2m_set(d1, gfn_from(100), m, 0, P2M_MMIO), 0);
	assert_int_equal(mem_type(100), HVMMEM_mmio_dm);
	assert_int_equal(p2m_set(d1, gfn_from(101), d1->shared_info_mfn, 0, P2M_SPECIAL), 0);
	assert_int_equal(mem_type(101), HVMMEM_ram_rw);
	assert_int_equal(call(HVMOP_get_mem_type, &op, sizeof(op)), -EPERM);
	op.domid = 9;
	assert_int_equal(call(HVMOP_get_mem_type, &op, sizeof(op)), -ESRCH);
}

static void small_operations(void **state)
{
	static const uint8_t none[] = {2,  3,  4,  6,  7,  8,  11, 12, 13,
				       14, 16, 17, 18, 19, 20, 21, 22, 26};
	struct xen_hvm_pagetable_dying dying = {.domid = DOMID_SELF};
	struct xen_hvm_get_time now;
	struct hypercall hc = {.args = {HVMOP_flush_tlbs, 0}};
	uint64_t arg[2] = {0};

	(void)state;
	for (unsigned i = 0; i < sizeof(none); i++)
		assert_int_equal(call(none[i], arg, sizeof(arg)), -ENOSYS);
	assert_int_equal(call(HVMOP_altp2m, arg, sizeof(arg)), -EOPNOTSUPP);
	assert_int_equal(hypercall_hvm_op(&hc), 0);
	assert_int_equal(flushes, 1);
	assert_int_equal(call(HVMOP_flush_tlbs, arg, 0), -EINVAL);
	assert_int_equal(flushes, 1);
	hc.args[0] = HVMOP_guest_request_vm_event;
	assert_int_equal(hypercall_hvm_op(&hc), 0);
	assert_int_equal(call(HVMOP_guest_request_vm_event, arg, 0), -EINVAL);
	assert_int_equal(call(HVMOP_pagetable_dying, &dying, sizeof(dying)), -EINVAL);
	dying.domid = 0;
	assert_int_equal(call(HVMOP_pagetable_dying, &dying, sizeof(dying)), -EOPNOTSUPP);
	dying.domid = 9;
	assert_int_equal(call(HVMOP_pagetable_dying, &dying, sizeof(dying)), -ESRCH);
	fake_now = 123456789;
	assert_int_equal(call(HVMOP_get_time, &now, sizeof(now)), 0);
	assert_int_equal(now.now, 123456789);
	hc.args[1] = FIXTURE_FAULT;
	for (unsigned op = 0; op < 26; op++) {
		hc.args[0] = op;
		if (op == HVMOP_set_param || op == HVMOP_get_param || op == HVMOP_pagetable_dying ||
		    op == HVMOP_get_time || op == HVMOP_get_mem_type ||
		    op == HVMOP_set_evtchn_upcall_vector)
			assert_int_equal(hypercall_hvm_op(&hc), -EFAULT);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(rights),	 T(values),	   T(once),	    T(vm86_tss),
		T(callback_irq), T(upcall_vector), T(get_mem_type), T(small_operations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
