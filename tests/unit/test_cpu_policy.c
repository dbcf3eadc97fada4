// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of what guests see of the CPU, on machines that CPUID and MSRs of the test make up: features, sizes, MSRs.
// cflags: -include hypervisor/arch/x86/include/arch/cpu.h -include hypervisor/arch/x86/include/arch/domain.h
// links: hypervisor/arch/x86/cpu_policy.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The CPU, in place of the functions of <arch/cpu.h>. */
static struct fake_leaf {
	uint32_t leaf, sub, r[4];
} leaves[64];
static unsigned leaf_count;
static uint64_t host_cr4, host_xcr0, guest_xcr0;
static struct {
	uint32_t msr;
	uint64_t value;
} written[8];
static unsigned writes;
static struct cpu *this_one;

static inline void test_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	memset(r, 0, 16);
	for (unsigned i = 0; i < leaf_count; i++)
		if (leaves[i].leaf == leaf && leaves[i].sub == sub)
			memcpy(r, leaves[i].r, 16);
}
static inline uint64_t test_read_cr4(void)
{
	return host_cr4;
}
static inline void test_write_cr4(uint64_t v)
{
	host_cr4 = v;
}
static inline void test_xsetbv(uint32_t i, uint64_t v)
{
	assert_int_equal(i, 0);
	host_xcr0 = v;
}
static inline uint64_t test_xgetbv(uint32_t i)
{
	assert_int_equal(i, 0);
	return guest_xcr0;
}
static inline uint64_t test_rdmsr(uint32_t msr)
{
	(void)msr;
	return 0;
}
static inline void test_wrmsr(uint32_t msr, uint64_t value)
{
	assert_true(writes < ARRAY_SIZE(written));
	written[writes].msr = msr;
	written[writes++].value = value;
}
static inline struct cpu *test_this_cpu(void)
{
	return this_one;
}
#define cpuid_count   test_cpuid
#define read_cr4      test_read_cr4
#define write_cr4     test_write_cr4
#define xsetbv	      test_xsetbv
#define xgetbv	      test_xgetbv
#define rdmsr	      test_rdmsr
#define wrmsr	      test_wrmsr
#define arch_this_cpu test_this_cpu

#include "../../hypervisor/arch/x86/cpufeature.c"
#undef MSR_SPEC_CTRL
#undef MSR_PRED_CMD
#undef MSR_PAT
#undef MSR_EFER
#undef SPEC_CTRL_IBRS
#undef SPEC_CTRL_STIBP
#include "../../hypervisor/arch/x86/cpuid.c"
#include "../../hypervisor/arch/x86/msr.c"

#include <arch/cpu_policy.h>

#define XCR0_ALL 0x2e7UL

uint64_t tsc_khz = 2000000, tsc_boot;
bool tsc_reliable;

uint64_t tsc_now(void)
{
	return 12345;
}
struct tsc_scale tsc_scale = {.mul = 0x80000000, .shift = -1};
static struct domain dom;
static struct vcpu vcpu;
static struct cpu cpu;
static uint64_t cr0, cr4, efer, apic_base, vendor_msr;
static bool compat_set, compat;
static uint8_t page[PAGE_SIZE];
static uint64_t page_at;
static char report[256];

/* ---- What the files under test call ---- */

void *heap_alloc(size_t size)
{
	return calloc(1, size);
}

void heap_free(void *p)
{
	free(p);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	vsnprintf(report, sizeof(report), fmt, ap);
	va_end(ap);
}

void log_guest(const struct domain *d, enum log_level level, const char *fmt, ...)
{
	(void)d, (void)level, (void)fmt;
}

int vlapic_msr_read(struct vcpu *v, uint32_t msr, uint64_t *ret_value)
{
	(void)v;
	*ret_value = apic_base;
	return msr == 0x1b ? 0 : -EINVAL;
}

int vlapic_msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)v, (void)msr, (void)value;
	return -EINVAL;
}

uint32_t vlapic_id(struct vcpu *v)
{
	return v->id * 2;
}

bool mtrr_owns_msr(uint32_t msr)
{
	return msr == MSR_PAT;
}

int mtrr_msr_read(struct vcpu *v, uint32_t msr, uint64_t *ret_value)
{
	(void)msr;
	*ret_value = v->arch.pat;
	return 0;
}

int mtrr_msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	v->arch.pat = value;
	return 0;
}

int rdmsr_safe(uint32_t msr, uint64_t *ret_value)
{
	*ret_value = 0x1234567800000000UL | msr;
	return msr == 0xdead ? -EFAULT : 0;
}

int wrmsr_safe(uint32_t msr, uint64_t value)
{
	test_wrmsr(msr, value);
	return 0;
}

void event_set_compat(struct domain *d, bool on)
{
	assert_ptr_equal(d, &dom);
	compat_set = true;
	compat = on;
}

int guest_phys_copy_to(struct domain *d, gaddr_t dst, const void *src, size_t len)
{
	assert_ptr_equal(d, &dom);
	if (gaddr_raw(dst) >= 0x100000)
		return -EFAULT;
	page_at = gaddr_raw(dst) & PAGE_MASK;
	memcpy(page + (gaddr_raw(dst) & ~PAGE_MASK), src, len);
	return 0;
}

static uint64_t get_cr(struct vcpu *v, unsigned cr)
{
	(void)v;
	return cr == 0 ? cr0 : cr4;
}

static uint64_t get_efer(struct vcpu *v)
{
	(void)v;
	return efer;
}

static void set_efer(struct vcpu *v, uint64_t value)
{
	(void)v;
	efer = value;
}

static int own_read(struct vcpu *v, uint32_t msr, uint64_t *ret_value)
{
	(void)v;
	*ret_value = vendor_msr;
	return msr == MSR_DEBUGCTL || msr == MSR_PAT ? 0 : -ENOENT;
}

static int own_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)v;
	if (msr != MSR_DEBUGCTL && msr != MSR_PAT)
		return -ENOENT;
	vendor_msr = value;
	return 0;
}

static const struct vendor_ops ops = {.get_cr = get_cr,
				      .get_efer = get_efer,
				      .set_efer = set_efer,
				      .msr_read = own_read,
				      .msr_write = own_write};
const struct vendor_ops *vendor = &ops;

/* ---- Machines ---- */

static uint32_t *leaf(uint32_t number, uint32_t sub)
{
	for (unsigned i = 0; i < leaf_count; i++)
		if (leaves[i].leaf == number && leaves[i].sub == sub)
			return leaves[i].r;
	assert_true(leaf_count < ARRAY_SIZE(leaves));
	leaves[leaf_count] = (struct fake_leaf){.leaf = number, .sub = sub};
	return leaves[leaf_count++].r;
}

static void set(uint32_t number, uint32_t sub, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	uint32_t *r = leaf(number, sub);

	r[0] = a;
	r[1] = b;
	r[2] = c;
	r[3] = d;
}

static void set_vendor(const char *name)
{
	uint32_t *r = leaf(0, 0);

	memcpy(&r[1], name, 4);
	memcpy(&r[3], name + 4, 4);
	memcpy(&r[2], name + 8, 4);
}

/* A CPU that has every feature there is, or none of the leaves beyond the oldest. */
static void machine_with_all(void)
{
	leaf_count = 0;
	set(0, 0, 0x20, 0, 0, 0);
	set_vendor("AuthenticAMD");
	set(1, 0, 0x00a20f12, 0xff08ffff, ~0U, ~0U);
	set(7, 0, 2, ~0U, ~0U, ~0U);
	set(7, 1, ~0U, ~0U, ~0U, ~0U);
	set(6, 0, ~0U, ~0U, ~0U, ~0U);
	set(0xd, 0, 0x2ff, 0xaaaa, 2696, 0);
	set(0xd, 1, ~0U, 0xaaaa, ~0U, 0);
	set(0xd, 2, 256, 576, 0, 0);
	set(0xd, 3, 64, 960, 0, 0); /* MPX: guests do not get it */
	set(0xd, 4, 64, 1024, 0, 0);
	set(0xd, 5, 64, 1088, 0, 0);
	set(0xd, 6, 512, 1152, 2, 0);
	set(0xd, 7, 1024, 1664, 2, 0);
	set(0xd, 9, 8, 2688, 0, 0);
	set(0x80000000, 0, 0x80000023, 0, 0, 0);
	set(0x80000001, 0, 0, 0, ~0U, ~0U);
	set(0x80000007, 0, ~0U, ~0U, ~0U, ~0U);
	set(0x80000008, 0, 0x3934, ~0U, ~0U, ~0U);
	set(0x8000000a, 0, 1, 0x8000, 0, ~0U);
	set(0x80000021, 0, ~0U, ~0U, ~0U, ~0U);
	set(0x80000023, 0, ~0U, ~0U, ~0U, ~0U);
}

static void machine_of_old(void)
{
	leaf_count = 0;
	set(0, 0, 1, 0, 0, 0);
	set_vendor("GenuineIntel");
	set(1, 0, 0x000006f0, 0, 1, 0x0783fbff);
	/* What a CPU answers beyond its last leaf is not to be looked at. */
	set(7, 0, 1, ~0U, ~0U, ~0U);
	set(0xd, 0, 7, 832, 832, 0);
	set(0x80000000, 0, 0x80000001, 0, 0, 0);
	set(0x80000001, 0, 0, 0, 1, 0x20100800);
	set(0x80000008, 0, 0x3030, ~0U, 0, 0);
}

/* Takes over what the leaves say, and makes a domain. */
static void boot(void)
{
	memset(features, 0, sizeof(features));
	memset(&cpu_info, 0, sizeof(cpu_info));
	cpu_detect();
	cpuid_domain_finish(&dom);
	memset(&dom, 0, sizeof(dom));
	dom.id = 7;
	dom.max_vcpus = 4;
	assert_int_equal(cpuid_domain_init(&dom), 0);
	vcpu = (struct vcpu){.id = 3, .domain = &dom};
	vcpu.arch.spec_ctrl = cpu_spec_ctrl();
	cpu.current = &vcpu;
	this_one = &cpu;
	cr0 = cr4 = efer = 0;
	apic_base = BIT(11);
	writes = 0;
	guest_xcr0 = 1;
	compat_set = false;
}

static int setup(void **state)
{
	(void)state;
	machine_with_all();
	boot();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cpuid_domain_finish(&dom);
	return 0;
}

static const uint32_t *ask(uint32_t number, uint32_t sub)
{
	static uint32_t r[4];

	memset(r, 0x55, sizeof(r));
	guest_cpuid(&vcpu, number, sub, r);
	return r;
}

static void expect_bits(uint32_t value, uint32_t on, uint32_t off)
{
	assert_int_equal(value & on, on);
	assert_int_equal(value & off, 0);
}

/* ---- CPUID ---- */

static void features_are_allowed_one_by_one(void **state)
{
	(void)state;
	/* No MONITOR, DTES64, VMX, TM2, CNXT, PDCM, PCID at the least of TSC deadline; always x2APIC and "hypervisor". */
	expect_bits(ask(1, 0)[ECX],
		    BIT32(0) | BIT32(13) | BIT32(21) | BIT32(26) | BIT32(28) | BIT32(31),
		    BIT32(2) | BIT32(3) | BIT32(4) | BIT32(5) | BIT32(8) | BIT32(10) | BIT32(15) |
			    BIT32(24) | BIT32(27));
	/* No DS, ACPI, TM, PBE. */
	expect_bits(ask(1, 0)[EDX], 0x0f8bfbff, BIT32(21) | BIT32(22) | BIT32(29) | BIT32(31));
	/* FSGSBASE SMEP SMAP; no TSC_ADJUST, SGX, HLE, RTM, PQM, MPX, PQE, PT. */
	expect_bits(ask(7, 0)[EBX], BIT32(0) | BIT32(7) | BIT32(20),
		    BIT32(1) | BIT32(2) | BIT32(4) | BIT32(11) | BIT32(12) | BIT32(14) | BIT32(15) |
			    BIT32(25));
	/* UMIP PKU RDPID; no WAITPKG, CET, LA57, SGX_LC, PKS. */
	expect_bits(ask(7, 0)[ECX], BIT32(2) | BIT32(3) | BIT32(22),
		    BIT32(4) | BIT32(5) | BIT32(7) | BIT32(16) | BIT32(30) | BIT32(31));
	/* IBRS STIBP L1D_FLUSH SSBD; no CET_IBT, ARCH_CAPABILITIES, CORE_CAPABILITIES. */
	expect_bits(ask(7, 0)[EDX], BIT32(26) | BIT32(27) | BIT32(28) | BIT32(31),
		    BIT32(20) | BIT32(29) | BIT32(30));
	assert_int_equal(ask(7, 0)[EAX], 1);
	expect_bits(ask(0x80000001, 0)[ECX], BIT32(0) | BIT32(8),
		    BIT32(2) | BIT32(3) | BIT32(10) | BIT32(12) | BIT32(13) | BIT32(15) |
			    BIT32(23) | BIT32(29));
	expect_bits(ask(0x80000001, 0)[EDX], BIT32(11) | BIT32(20) | BIT32(26) | BIT32(29), 0);
	/* Of power management the invariant TSC only; no SVM leaf. */
	assert_int_equal(ask(0x80000007, 0)[EDX], BIT32(8));
	assert_int_equal(ask(0x80000007, 0)[EAX] | ask(0x80000007, 0)[EBX], 0);
	assert_int_equal(ask(0x8000000a, 0)[EAX] | ask(0x8000000a, 0)[EDX], 0);
	/* Addresses: 52 bits there, 48 here. */
	assert_int_equal(ask(0x80000008, 0)[EAX], 0x3030);
	expect_bits(ask(0x80000008, 0)[EBX], BIT32(12) | BIT32(14) | BIT32(15) | BIT32(24),
		    BIT32(3) | BIT32(25));
}

static void what_the_machine_lacks(void **state)
{
	(void)state;
	machine_of_old();
	boot();
	assert_int_equal(ask(0, 0)[EAX], 1);
	/* Emulated, so it is there. */
	expect_bits(ask(1, 0)[ECX], BIT32(21) | BIT32(31), BIT32(26));
	assert_int_equal(ask(7, 0)[EBX] | ask(7, 0)[ECX] | ask(7, 0)[EDX], 0);
	assert_int_equal(ask(0xd, 0)[EAX] | ask(0xd, 0)[EBX] | ask(0xd, 0)[ECX], 0);
	assert_int_equal(ask(0x80000008, 0)[EAX], 0);
	assert_int_equal(guest_xcr0_mask(&vcpu), 0);
	assert_int_equal(policy_spec_ctrl_mask(dom.arch.policy), 0);
	assert_false(policy_has_ibpb(dom.arch.policy));
	assert_int_equal(cpu_info.phys_bits, 36);
	assert_int_equal(cpu_info.xsave_size, 512);
	assert_false(dom.arch.policy->amd);
}

static void leaves_beyond_the_last(void **state)
{
	(void)state;
	assert_int_equal(ask(0, 0)[EAX], 0xd);
	assert_int_equal(ask(0xe, 0)[EAX] | ask(0x20, 0)[EAX], 0);
	assert_int_equal(ask(0x80000000, 0)[EAX], 0x80000021);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(ask(0x80000022, 0)[i], 0);
		assert_int_equal(ask(0x80000023, 0)[i], 0);
		assert_int_equal(ask(0xffffffff, 0)[i], 0);
		assert_int_equal(ask(0x7fffffff, 0)[i], 0);
		assert_int_equal(ask(7, 2)[i], 0);
		assert_int_equal(ask(4, CPU_POLICY_CACHES)[i], 0);
		assert_int_equal(ask(0xd, 63)[i], 0);
		assert_int_equal(ask(0xd, ~0U)[i], 0);
	}
}

static void bits_that_follow_the_state(void **state)
{
	(void)state;
	assert_int_equal(ask(1, 0)[EBX] >> 24, 6);
	assert_int_equal(ask(1, 0)[EBX] >> 16 & 0xff, 8);
	cr4 = X86_CR4_OSXSAVE | X86_CR4_PKE;
	expect_bits(ask(1, 0)[ECX], BIT32(27), 0);
	expect_bits(ask(7, 0)[ECX], BIT32(4), 0);
	expect_bits(ask(7, 1)[ECX], 0, BIT32(4));
	expect_bits(ask(1, 0)[EDX], BIT32(9), 0);
	apic_base = 0;
	expect_bits(ask(1, 0)[EDX], 0, BIT32(9));
	expect_bits(ask(0x80000001, 0)[EDX], 0, BIT32(9));
}

static void topology(void **state)
{
	(void)state;
	assert_int_equal(ask(0xb, 0)[EAX], 1);
	assert_int_equal(ask(0xb, 0)[ECX], 0x100);
	assert_int_equal(ask(0xb, 0)[EDX], 6);
	/* Ids 0 to 7 take three bits. */
	assert_int_equal(ask(0xb, 1)[EAX], 3);
	assert_int_equal(ask(0xb, 1)[EBX], 4);
	assert_int_equal(ask(0xb, 1)[ECX], 0x201);
	assert_int_equal(ask(0xb, 2)[EAX] | ask(0xb, 2)[EBX], 0);
	assert_int_equal(ask(0xb, 2)[ECX], 2);
}

static void xen_leaves(void **state)
{
	(void)state;
	assert_memory_equal(&ask(0x40000000, 0)[EBX], "XenVMMXenVMM", 12);
	assert_int_equal(ask(0x40000000, 0)[EAX], 0x40000005);
	assert_int_equal(ask(0x40000001, 0)[EAX], 4 << 16 | 17);
	assert_int_equal(ask(0x40000002, 0)[EAX], 1);
	assert_int_equal(ask(0x40000002, 0)[EBX], 0x40000000);
	dom.arch.tsc_offset = 0x123456789abcdef0;
	tsc_reliable = false;
	assert_int_equal(ask(0x40000003, 0)[EAX] & 2, 0);
	tsc_reliable = true;
	assert_int_equal(ask(0x40000003, 0)[EAX] & 2, 2);
	assert_int_equal(ask(0x40000003, 1)[EAX], 0x9abcdef0);
	assert_int_equal(ask(0x40000003, 1)[EBX], 0x12345678);
	assert_int_equal(ask(0x40000003, 1)[ECX], 0x80000000);
	assert_int_equal(ask(0x40000003, 1)[EDX], 0xff);
	assert_int_equal(ask(0x40000003, 2)[EAX], 2000000);
	assert_int_equal(ask(0x40000004, 0)[EBX], 3);
	assert_int_equal(ask(0x40000004, 0)[ECX], 7);
	assert_int_equal(ask(0x40000006, 0)[EAX] | ask(0x400000ff, 0)[EAX], 0);
}

/* ---- XSAVE ---- */

static void xsave_sizes(void **state)
{
	(void)state;
	assert_int_equal(cpu_info.xsave_size, 2696);
	assert_int_equal(guest_xcr0_mask(&vcpu), XCR0_ALL);
	assert_int_equal(ask(0xd, 0)[EAX], XCR0_ALL);
	assert_int_equal(ask(0xd, 0)[EDX], 0);
	assert_int_equal(ask(0xd, 0)[ECX], 2696);
	/* The size follows XCR0: it is read from the CPU, where the guest may have written it without an exit. */
	assert_int_equal(ask(0xd, 0)[EBX], 576);
	guest_xcr0 = 7;
	assert_int_equal(ask(0xd, 0)[EBX], 832);
	guest_xcr0 = 0x203;
	assert_int_equal(ask(0xd, 0)[EBX], 2696);
	guest_xcr0 = 0xe7;
	assert_int_equal(ask(0xd, 0)[EBX], 2688);
	/* XSAVEOPT, XSAVEC, XGETBV1; no XSAVES, no XFD. */
	assert_int_equal(ask(0xd, 1)[EAX], 7);
	assert_int_equal(ask(0xd, 1)[ECX] | ask(0xd, 1)[EDX], 0);
	assert_int_equal(ask(0xd, 2)[EAX], 256);
	assert_int_equal(ask(0xd, 2)[EBX], 576);
	/* States that guests do not get. */
	assert_int_equal(ask(0xd, 3)[EAX] | ask(0xd, 4)[EAX] | ask(0xd, 8)[EAX], 0);
}

static void xsave_sizes_compacted(void **state)
{
	(void)state;
	guest_xcr0 = 3;
	assert_int_equal(ask(0xd, 1)[EBX], 576);
	guest_xcr0 = 0x203;
	assert_int_equal(ask(0xd, 1)[EBX], 576 + 8);
	/* A state that is aligned, behind one whose size is no multiple of 64. */
	leaf(0xd, 5)[0] = 8;
	boot();
	guest_xcr0 = 0xe7;
	assert_int_equal(ask(0xd, 1)[EBX], 576 + 256 + 64 + 512 + 1024);
	guest_xcr0 = 0x2e7;
	assert_int_equal(ask(0xd, 1)[EBX], 576 + 256 + 64 + 512 + 1024 + 8);
	/* Without XSAVEC there is no such size. */
	leaf(0xd, 1)[0] = 1;
	boot();
	guest_xcr0 = 0x2e7;
	assert_int_equal(ask(0xd, 1)[EAX], 1);
	assert_int_equal(ask(0xd, 1)[EBX], 0);
}

/* Of another vCPU than the one that runs, the value that was saved counts. */
static void xsave_of_another(void **state)
{
	(void)state;
	cpu.current = NULL;
	guest_xcr0 = 7;
	vcpu.arch.xcr0 = 0x203;
	assert_int_equal(ask(0xd, 0)[EBX], 2696);
}

static void levelling_takes_states_away(void **state)
{
	struct cpu_policy max, p;

	(void)state;
	cpu_policy_max(&max);
	p = max;
	p.basic[1][ECX] &= ~BIT32(28); /* AVX */
	cpu_policy_level(&p, &max);
	assert_int_equal(p.xcr0_mask, 0x203);
	assert_int_equal(p.xsave[0][EAX], 0x203);
	assert_int_equal(p.xsave[0][ECX], 2696);
	assert_int_equal(p.xsave[2][EAX] | p.xsave[5][EAX], 0);
	expect_bits(p.features[0][EBX], 0, BIT32(5) | BIT32(16));
	p.features[0][ECX] &= ~BIT32(3); /* PKU */
	cpu_policy_level(&p, &max);
	assert_int_equal(p.xcr0_mask, 3);
	assert_int_equal(p.xsave[0][ECX], 576);
	assert_int_equal(policy_cr4_mask(&p) & X86_CR4_PKE, 0);
	p.basic[1][ECX] &= ~BIT32(26); /* XSAVE */
	cpu_policy_level(&p, &max);
	assert_int_equal(p.xcr0_mask | p.xsave[0][EAX] | p.xsave[0][ECX] | p.xsave[1][EAX], 0);
	assert_int_equal(policy_cr4_mask(&p) & X86_CR4_OSXSAVE, 0);
}

/* ---- Control registers ---- */

static void control_register_masks(void **state)
{
	(void)state;
	assert_int_equal(policy_cr4_mask(dom.arch.policy),
			 0x1ff | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_UMIP |
				 X86_CR4_FSGSBASE | X86_CR4_PCIDE | X86_CR4_OSXSAVE | X86_CR4_SMEP |
				 X86_CR4_SMAP | X86_CR4_PKE);
	assert_int_equal(policy_efer_mask(dom.arch.policy),
			 X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NX | X86_EFER_FFXSR);
	machine_of_old();
	boot();
	assert_int_equal(policy_cr4_mask(dom.arch.policy),
			 0x1ff | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	assert_int_equal(policy_efer_mask(dom.arch.policy),
			 X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NX);
}

static void efer_writes(void **state)
{
	(void)state;
	assert_int_equal(guest_wrmsr(&vcpu, MSR_EFER, X86_EFER_SVME), -EINVAL);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_EFER, BIT(15)), -EINVAL);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_EFER, X86_EFER_LME | X86_EFER_NX), 0);
	assert_int_equal(efer, X86_EFER_LME | X86_EFER_NX);
	cr0 = X86_CR0_PG;
	efer |= X86_EFER_LMA;
	assert_int_equal(guest_wrmsr(&vcpu, MSR_EFER, X86_EFER_NX), -EINVAL);
	/* LMA is the CPU's. */
	assert_int_equal(guest_wrmsr(&vcpu, MSR_EFER, X86_EFER_LME | X86_EFER_SCE), 0);
	assert_int_equal(efer, X86_EFER_LME | X86_EFER_LMA | X86_EFER_SCE);
}

/* ---- Speculation ---- */

/* Bits of the two vendors' leaves, and what SPEC_CTRL has with them. */
static void spec_ctrl(void **state)
{
	static const struct {
		uint32_t intel, amd;
		uint64_t mask;
		bool ibpb;
	} all[] = {
		{0, 0, 0, false},
		{BIT32(26), 0, 1, true},
		{BIT32(27), 0, 2, false},
		{BIT32(31), 0, 4, false},
		{BIT32(26) | BIT32(27) | BIT32(31), 0, 7, true},
		{0, BIT32(12), 0, true},
		{0, BIT32(14), 1, false},
		{0, BIT32(15), 2, false},
		{0, BIT32(24), 4, false},
		{0, BIT32(12) | BIT32(14) | BIT32(15) | BIT32(24), 7, true},
		{0, BIT32(16) | BIT32(17) | BIT32(18) | BIT32(25) | BIT32(26), 0, false},
	};
	uint64_t value;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		leaf(7, 0)[EDX] = all[i].intel;
		leaf(0x80000008, 0)[EBX] = all[i].amd;
		boot();
		assert_int_equal(policy_spec_ctrl_mask(dom.arch.policy), all[i].mask);
		for (uint64_t v = 0; v < 16; v++) {
			int ret = guest_wrmsr(&vcpu, 0x48, v);

			assert_int_equal(ret, all[i].mask && !(v & ~all[i].mask) ? 0 : -EINVAL);
			if (!ret)
				assert_int_equal(vcpu.arch.spec_ctrl, v);
		}
		assert_int_equal(guest_wrmsr(&vcpu, 0x48, BIT(63)), -EINVAL);
		assert_int_equal(guest_rdmsr(&vcpu, 0x48, &value), all[i].mask ? 0 : -EINVAL);
		/* It is loaded with the guest, not now. */
		assert_int_equal(writes, 0);

		assert_int_equal(guest_wrmsr(&vcpu, 0x49, 1), all[i].ibpb ? 0 : -EINVAL);
		assert_int_equal(writes, all[i].ibpb);
		assert_int_equal(guest_wrmsr(&vcpu, 0x49, 0), all[i].ibpb ? 0 : -EINVAL);
		assert_int_equal(guest_wrmsr(&vcpu, 0x49, 2), -EINVAL);
		assert_int_equal(guest_rdmsr(&vcpu, 0x49, &value), -EINVAL);
		assert_int_equal(writes, all[i].ibpb);
	}
}

static void flush_command(void **state)
{
	(void)state;
	assert_int_equal(guest_wrmsr(&vcpu, 0x10b, 1), 0);
	assert_int_equal(writes, 1);
	assert_int_equal(written[0].msr, 0x10b);
	assert_int_equal(guest_wrmsr(&vcpu, 0x10b, 3), -EINVAL);
	leaf(7, 0)[EDX] &= ~BIT32(28);
	boot();
	assert_int_equal(guest_wrmsr(&vcpu, 0x10b, 1), -EINVAL);
	assert_int_equal(writes, 0);
}

/* What the hypervisor itself runs with. */
static void own_protection(void **state)
{
	(void)state;
	/* Automatic IBRS in place of the bit in SPEC_CTRL. */
	assert_int_equal(cpu_spec_ctrl(), 2);
	cpu_enable_features();
	assert_int_equal(host_cr4 & (X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_UMIP | X86_CR4_PKE |
				     X86_CR4_OSXSAVE),
			 X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_UMIP | X86_CR4_PKE |
				 X86_CR4_OSXSAVE);
	assert_int_equal(host_xcr0, 0x2ff);
	assert_int_equal(writes, 4);
	assert_int_equal(written[0].msr, 0x277);
	assert_int_equal(written[1].msr, 0xc0011029);
	assert_int_equal(written[1].value, 0x12345678c001102b); /* what was there stays */
	assert_int_equal(written[2].msr, 0xc0000080);
	assert_int_equal(written[2].value, BIT(21));
	assert_int_equal(written[3].msr, 0x48);
	assert_int_equal(written[3].value, 2);
	cpu_report();
	assert_non_null(strstr(report, "SMEP, SMAP, UMIP, AutoIBRS, IBRS, STIBP, IBPB"));
	leaf(0x80000021, 0)[EAX] = 0;
	boot();
	assert_int_equal(cpu_spec_ctrl(), 3);
	cpu_guest_switch_barrier();
	assert_int_equal(writes, 1);
	assert_int_equal(written[0].msr, 0x49);

	machine_of_old();
	boot();
	host_cr4 = 0;
	cpu_enable_features();
	assert_int_equal(host_cr4 & (X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_UMIP | X86_CR4_PKE |
				     X86_CR4_OSXSAVE),
			 0);
	/* The memory types only: the other MSRs do not exist. */
	assert_int_equal(writes, 1);
	cpu_guest_switch_barrier();
	assert_int_equal(writes, 1);
	cpu_report();
	assert_non_null(strstr(report, "not offered by this CPU: SMEP"));
}

/* AMD's first 64-bit CPUs do not have the register. */
static void lfence_of_the_first(void **state)
{
	(void)state;
	machine_of_old();
	set_vendor("AuthenticAMD");
	leaf(1, 0)[EAX] = 0x00000f51;
	boot();
	cpu_enable_features();
	assert_int_equal(writes, 1);
	assert_int_equal(written[0].msr, 0x277);
}

/* What a guest has taught the CPU about returns. */
static void barrier_at_exits(void **state)
{
	static const struct {
		uint32_t signature;
		bool later; /* SRSO_NO in place of BTC_NO; both are bit 29 of their leaves */
	} all[] = {
		{0x00600f20, false}, /* family 15h */
		{0x00800f12, false}, /* 17h */
		{0x00a20f12, true},  /* 19h */
		{0x00b40f40, true},  /* 1Ah */
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		uint32_t *own = all[i].later ? &leaf(0x80000021, 0)[EAX]
					     : &leaf(0x80000008, 0)[EBX];
		uint32_t *other = all[i].later ? &leaf(0x80000008, 0)[EBX]
					       : &leaf(0x80000021, 0)[EAX];

		leaf(1, 0)[EAX] = all[i].signature;
		*own = *other = ~0U;
		boot();
		assert_false(cpu_needs_exit_barrier());
		*other &= ~BIT32(29);
		boot();
		assert_false(cpu_needs_exit_barrier());
		*own &= ~BIT32(29);
		boot();
		assert_true(cpu_needs_exit_barrier());
		/* There is no other means. */
		leaf(0x80000008, 0)[EBX] &= ~BIT32(12);
		leaf(7, 0)[EDX] &= ~BIT32(26);
		boot();
		assert_false(cpu_needs_exit_barrier());
		leaf(7, 0)[EDX] |= BIT32(26);
	}
	leaf(1, 0)[EAX] = 0x00100f42; /* 10h */
	leaf(0x80000008, 0)[EBX] = ~BIT32(29);
	boot();
	assert_false(cpu_needs_exit_barrier());
	leaf(1, 0)[EAX] = 0x00a20f12;
	leaf(0x80000021, 0)[EAX] = 0;
	set_vendor("GenuineIntel");
	boot();
	assert_false(cpu_needs_exit_barrier());
}

static void x87_pointers(void **state)
{
	(void)state;
	assert_false(cpu_keeps_fp_pointers());
	leaf(0x80000008, 0)[EBX] &= ~BIT32(2);
	boot();
	assert_true(cpu_keeps_fp_pointers());
	set_vendor("HygonGenuine");
	boot();
	assert_true(cpu_keeps_fp_pointers());
	set_vendor("GenuineIntel");
	boot();
	assert_false(cpu_keeps_fp_pointers());
}

/* ---- Other MSRs ---- */

static void unknown_msrs(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(guest_rdmsr(&vcpu, 0x12345, &value), -EINVAL);
	assert_int_equal(guest_wrmsr(&vcpu, 0x12345, 0), -EINVAL);
	/* For domains that ask for it, 0 in place of the fault where the machine has something. */
	dom.arch.misc_flags = XEN_X86_MSR_RELAXED;
	assert_int_equal(guest_rdmsr(&vcpu, 0x12345, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(guest_rdmsr(&vcpu, 0xdead, &value), -EINVAL);
	assert_int_equal(guest_wrmsr(&vcpu, 0x12345, 0), -EINVAL);
}

static void vendors_registers(void **state)
{
	static const uint32_t amd[] = {0xc0010004, MSR_AMD_HWCR, MSR_AMD_VM_CR,
				       MSR_AMD_INT_PENDING};
	uint64_t value;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(amd); i++)
		assert_int_equal(guest_rdmsr(&vcpu, amd[i], &value), 0);
	assert_int_equal(guest_rdmsr(&vcpu, MSR_FEATURE_CONTROL, &value), -EINVAL);
	assert_int_equal(guest_rdmsr(&vcpu, MSR_MISC_ENABLE, &value), -EINVAL);
	/* Where memory is the hardware domain may know. */
	assert_int_equal(guest_rdmsr(&vcpu, MSR_AMD_TOP_MEM, &value), -EINVAL);
	dom.hardware = true;
	assert_int_equal(guest_rdmsr(&vcpu, MSR_AMD_TOP_MEM, &value), 0);
	assert_int_equal(value, 0x1234567800000000UL | MSR_AMD_TOP_MEM);

	set_vendor("GenuineIntel");
	boot();
	for (unsigned i = 0; i < ARRAY_SIZE(amd); i++) {
		assert_int_equal(guest_rdmsr(&vcpu, amd[i], &value), -EINVAL);
		assert_int_equal(guest_wrmsr(&vcpu, amd[i], 0), -EINVAL);
	}
	assert_int_equal(guest_rdmsr(&vcpu, MSR_FEATURE_CONTROL, &value), 0);
	assert_int_equal(value, 1);
	assert_int_equal(guest_rdmsr(&vcpu, MSR_MISC_ENABLE, &value), 0);
	expect_bits((uint32_t)value, BIT32(11) | BIT32(12), BIT32(18));
}

static void small_registers(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(guest_wrmsr(&vcpu, MSR_TSC_AUX, BIT(32)), -EINVAL);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_TSC_AUX, 77), 0);
	assert_int_equal(guest_rdmsr(&vcpu, MSR_TSC_AUX, &value), 0);
	assert_int_equal(value, 77);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_DEBUGCTL, 0x40), -EINVAL);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_DEBUGCTL, 0x3f), 0);
	assert_int_equal(vendor_msr, 0x3f);
	assert_int_equal(guest_rdmsr(&vcpu, MSR_MCG_CAP, &value), 0);
	assert_int_equal(value, MCE_BANKS);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_MC0_CTL, ~0UL), 0);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_MC0_CTL + 1, 1), -EINVAL);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_MC0_CTL + 1, 0), 0);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_MISC_FEATURES, 1), -EINVAL);
	/* The clock of the ABI hangs on the TSC: accepted, and nothing happens. */
	assert_int_equal(guest_wrmsr(&vcpu, MSR_TSC, 12345), 0);
	assert_int_equal(dom.arch.tsc_offset, 0);
	/* That of the boot CPU, on all CPUs. */
	dom.arch.tsc_offset = 1000;
	assert_int_equal(guest_rdmsr(&vcpu, MSR_TSC, &value), 0);
	assert_int_equal(value, tsc_now() + 1000);
	dom.arch.tsc_offset = 0;
	assert_int_equal(guest_wrmsr(&vcpu, MSR_PAT, 0x0006040600060406), 0);
	assert_int_equal(vendor_msr, 0x0006040600060406);
}

static void hypercall_page(void **state)
{
	static const uint8_t code[] = {0xb8, 29, 0, 0, 0, 0x0f, 0x01, 0xd9, 0xc3, 0xcc};

	(void)state;
	assert_int_equal(guest_wrmsr(&vcpu, MSR_HYPERCALL, 0x5001), -EINVAL);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_HYPERCALL, 0x200000), -EINVAL);
	assert_false(compat_set);
	assert_int_equal(guest_wrmsr(&vcpu, MSR_HYPERCALL, 0x5000), 0);
	assert_int_equal(page_at, 0x5000);
	assert_memory_equal(page + 29 * 32, code, sizeof(code));
	/* That of iret is none. */
	assert_int_equal(page[23 * 32], 0x0f);
	assert_int_equal(page[23 * 32 + 1], 0x0b);
	assert_true(compat_set && compat);
	efer = X86_EFER_LMA;
	assert_int_equal(guest_wrmsr(&vcpu, MSR_HYPERCALL, 0x5000), 0);
	assert_false(compat);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(features_are_allowed_one_by_one),
		T(what_the_machine_lacks),
		T(leaves_beyond_the_last),
		T(bits_that_follow_the_state),
		T(topology),
		T(xen_leaves),
		T(xsave_sizes),
		T(xsave_sizes_compacted),
		T(xsave_of_another),
		T(levelling_takes_states_away),
		T(control_register_masks),
		T(efer_writes),
		T(spec_ctrl),
		T(flush_command),
		T(own_protection),
		T(lfence_of_the_first),
		T(barrier_at_exits),
		T(x87_pointers),
		T(unknown_msrs),
		T(vendors_registers),
		T(small_registers),
		T(hypercall_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
