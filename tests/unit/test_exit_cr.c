// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of intercepted accesses to control registers: what the CPU and the policy refuse.
// cflags: -include tests/unit/fake_x86.h
// links: hypervisor/arch/x86/exit_cr.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arch/cpufeature.h>
#include <arch/cpuid.h>
#include <arch/exit.h>
#include <arch/registers.h>
#include <arch/traps.h>
#include <arch/vendor.h>
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>

#define LONG_CR0 (X86_CR0_PE | X86_CR0_ET | X86_CR0_PG)
#define ALL_CR4	 (X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PCIDE | X86_CR4_LA57)

struct cpu *fake_this_cpu;
bool fake_irqs_off;
struct cpu_info cpu_info = {.phys_bits = 40};

static struct domain dom;
static struct vcpu vcpu;
static uint64_t cr[5], efer, cr4_mask;
static uint16_t cs_attr;

uint64_t policy_cr4_mask(const struct cpu_policy *p)
{
	(void)p;
	return cr4_mask;
}

uint64_t policy_efer_mask(const struct cpu_policy *p)
{
	(void)p;
	return X86_EFER_LME | X86_EFER_LMA | X86_EFER_NX;
}

static uint64_t get_cr(struct vcpu *v, unsigned n)
{
	(void)v;
	return cr[n];
}

static void set_cr(struct vcpu *v, unsigned n, uint64_t value)
{
	(void)v;
	cr[n] = value;
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

static void get_segment(struct vcpu *v, enum guest_seg seg, struct segment *ret)
{
	(void)v;
	assert_int_equal(seg, SEG_CS);
	*ret = (struct segment){.attr = cs_attr};
}

static const struct vendor_ops ops = {.get_cr = get_cr,
				      .set_cr = set_cr,
				      .get_efer = get_efer,
				      .set_efer = set_efer,
				      .get_segment = get_segment};
const struct vendor_ops *vendor = &ops;

/* The instruction at RIP, for reads; writes as whole instructions are another test's. */
static struct insn insn;
static enum insn_kind kind;
static int decoded;
static unsigned advanced;

int vcpu_decode(struct vcpu *v, struct insn *ret_insn)
{
	(void)v;
	*ret_insn = insn;
	return decoded;
}

enum insn_kind insn_classify(const struct insn *i)
{
	assert_int_equal(i->length, insn.length);
	return kind;
}

void vcpu_advance(struct vcpu *v, unsigned length)
{
	(void)v;
	advanced += length;
}

void vcpu_inject_exception_error(struct vcpu *v, uint8_t vector, uint32_t error)
{
	(void)v;
	(void)vector;
	(void)error;
	abort();
}

void vlapic_set_tpr(struct vcpu *v, uint8_t value)
{
	(void)v;
	(void)value;
	abort();
}

/* In 64-bit mode, with tables of four levels. */
static int setup(void **state)
{
	(void)state;
	vcpu = (struct vcpu){.domain = &dom};
	cr[0] = LONG_CR0;
	cr[3] = 0x1000;
	cr[4] = X86_CR4_PAE;
	efer = X86_EFER_LME | X86_EFER_LMA;
	cr4_mask = ALL_CR4;
	cs_attr = 0x09b;
	insn = (struct insn){.length = 4, .reg = 4, .rm = 13, .mode = INSN_MODE_64_AMD};
	kind = INSN_MOV_FROM_CR;
	decoded = 0;
	advanced = 0;
	return 0;
}

static void levels_stay_while_they_are_in_use(void **state)
{
	(void)state;
	assert_int_equal(guest_write_cr4(&vcpu, X86_CR4_PAE | X86_CR4_LA57), -EINVAL);
	assert_int_equal(cr[4], X86_CR4_PAE);
	cr[4] |= X86_CR4_LA57;
	assert_int_equal(guest_write_cr4(&vcpu, X86_CR4_PAE), -EINVAL);
	assert_int_equal(cr[4], X86_CR4_PAE | X86_CR4_LA57);
	/* What else is in the register may change. */
	assert_int_equal(guest_write_cr4(&vcpu, X86_CR4_PAE | X86_CR4_LA57 | X86_CR4_PGE), 0);
	assert_int_equal(cr[4], X86_CR4_PAE | X86_CR4_LA57 | X86_CR4_PGE);
}

/* The way that the manuals give: paging off, the bit, paging on. */
static void levels_change_without_paging(void **state)
{
	(void)state;
	assert_int_equal(guest_write_cr0(&vcpu, LONG_CR0 & ~X86_CR0_PG), 0);
	assert_int_equal(efer, X86_EFER_LME);
	assert_int_equal(guest_write_cr4(&vcpu, X86_CR4_PAE | X86_CR4_LA57), 0);
	assert_int_equal(guest_write_cr0(&vcpu, LONG_CR0), 0);
	assert_int_equal(efer, X86_EFER_LME | X86_EFER_LMA);
	assert_int_equal(cr[4], X86_CR4_PAE | X86_CR4_LA57);
}

static void policy_hides_bits(void **state)
{
	(void)state;
	cr4_mask &= ~X86_CR4_LA57;
	assert_int_equal(guest_write_cr0(&vcpu, LONG_CR0 & ~X86_CR0_PG), 0);
	assert_int_equal(guest_write_cr4(&vcpu, X86_CR4_PAE | X86_CR4_LA57), -EINVAL);
	assert_int_equal(cr[4], X86_CR4_PAE);
}

static void long_mode_needs_pae(void **state)
{
	(void)state;
	assert_int_equal(guest_write_cr4(&vcpu, X86_CR4_PGE), -EINVAL);
	assert_int_equal(guest_write_cr0(&vcpu, LONG_CR0 & ~X86_CR0_PG), 0);
	assert_int_equal(guest_write_cr4(&vcpu, X86_CR4_PGE), 0);
	assert_int_equal(guest_write_cr0(&vcpu, LONG_CR0), -EINVAL);
	assert_int_equal(efer, X86_EFER_LME);
}

static void paging_in_64_bit_code(void **state)
{
	(void)state;
	cs_attr |= 0x200;
	assert_int_equal(guest_write_cr0(&vcpu, LONG_CR0 & ~X86_CR0_PG), -EINVAL);
	assert_int_equal(cr[0], LONG_CR0);
}

static void process_identifiers(void **state)
{
	(void)state;
	cr[3] = 0x1001;
	assert_int_equal(guest_write_cr4(&vcpu, X86_CR4_PAE | X86_CR4_PCIDE), -EINVAL);
	cr[3] = 0x1000;
	assert_int_equal(guest_write_cr4(&vcpu, X86_CR4_PAE | X86_CR4_PCIDE), 0);
	/* They keep paging on. */
	assert_int_equal(guest_write_cr0(&vcpu, LONG_CR0 & ~X86_CR0_PG), -EINVAL);
}

static void reads(void **state)
{
	(void)state;
	cr[4] = 0x100000020;
	exit_read_cr4(&vcpu);
	assert_int_equal(vcpu.arch.gprs.r[13], 0x100000020);
	assert_int_equal(advanced, 4);

	insn.mode = INSN_MODE_32;
	insn.rm = 3;
	exit_read_cr4(&vcpu);
	assert_int_equal(vcpu.arch.gprs.rbx, 0x20);
	assert_int_equal(advanced, 8);
}

/* The guest has changed its code since, or the page is gone: nothing happens but what is there now. */
static void reads_of_something_else(void **state)
{
	(void)state;
	kind = INSN_MOV_TO_CR;
	exit_read_cr4(&vcpu);
	kind = INSN_MOV_FROM_CR;
	insn.reg = 3;
	exit_read_cr4(&vcpu);
	insn.reg = 4;
	decoded = -EFAULT;
	exit_read_cr4(&vcpu);
	assert_int_equal(advanced, 0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(vcpu.arch.gprs.r[i], 0);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(levels_stay_while_they_are_in_use),
		T(levels_change_without_paging),
		T(policy_hides_bits),
		T(long_mode_needs_pae),
		T(paging_in_64_bit_code),
		T(process_identifiers),
		T(reads),
		T(reads_of_something_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
