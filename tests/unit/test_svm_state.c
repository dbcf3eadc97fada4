// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the conditions under which VMRUN refuses a state (APM vol. 2 15.5.1): each alone, and the borders of it.
// cflags: -include hypervisor/arch/x86/include/arch/cpu.h -include hypervisor/arch/x86/include/arch/domain.h
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../hypervisor/arch/x86/svm/state.c"

struct cpu_info cpu_info = {.phys_bits = 40};

/* A 64-bit guest that runs. */
static struct vmcb good(void)
{
	return (struct vmcb){
		.intercept4 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL,
		.asid = 1,
		.iopm_pa = 0x1000,
		.msrpm_pa = 0x4000,
		.n_cr3 = BIT(40) - PAGE_SIZE,
		.g_pat = 0x0007040600070406,
		.efer = X86_EFER_SVME | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NX,
		.cr0 = X86_CR0_PG | X86_CR0_PE | X86_CR0_NE,
		.cr4 = X86_CR4_PAE,
		.cr3 = BIT(40) - PAGE_SIZE,
		.dr6 = 0xffff0ff0,
		.dr7 = 0x400,
		.cs.attr = 0x29b,
	};
}

static void fits(const struct vmcb *b)
{
	const char *what = svm_state_problem(b);

	if (what)
		fail_msg("%s", what);
}

static void refused(const struct vmcb *b, const char *word)
{
	const char *what = svm_state_problem(b);

	assert_non_null(what);
	if (!strstr(what, word))
		fail_msg("says: %s", what);
}

static void good_states(void **state)
{
	struct vmcb b = good();

	(void)state;
	fits(&b);
	/* Real mode. */
	b.efer = X86_EFER_SVME;
	b.cr0 = X86_CR0_ET | X86_CR0_NW | X86_CR0_CD;
	b.cr3 = b.cr4 = 0;
	b.cs.attr = 0x9b;
	fits(&b);
	/* Long mode prepared, paging still off. */
	b.efer |= X86_EFER_LME;
	b.cs.attr = 0x69b;
	fits(&b);
	/* 32-bit code in long mode. */
	b = good();
	b.cs.attr = 0x49b;
	fits(&b);
}

static void control_area(void **state)
{
	struct vmcb b = good();

	(void)state;
	b.intercept4 &= ~INTERCEPT_VMRUN;
	refused(&b, "VMRUN");
	b = good();
	b.asid = 0;
	refused(&b, "ASID");
	b = good();
	b.iopm_pa |= 8;
	refused(&b, "aligned");
	b = good();
	b.msrpm_pa = BIT(40);
	refused(&b, "beyond");
	b = good();
	b.n_cr3 = BIT(40);
	refused(&b, "beyond");
	for (unsigned i = 0; i < 8; i++) {
		for (unsigned type = 0; type < 256; type++) {
			b = good();
			b.g_pat = (b.g_pat & ~(0xffUL << 8 * i)) | (uint64_t)type << 8 * i;
			if (type == 2 || type == 3 || type > 7)
				refused(&b, "PAT");
			else
				fits(&b);
		}
	}
}

static void modes(void **state)
{
	struct vmcb b = good();

	(void)state;
	b.efer &= ~X86_EFER_SVME;
	refused(&b, "SVME");
	b = good();
	b.cr4 = 0;
	refused(&b, "PAE");
	b = good();
	b.cr0 &= ~X86_CR0_PE;
	refused(&b, "PE");
	b = good();
	b.cs.attr = 0x69b;
	refused(&b, "CS");
}

static void registers(void **state)
{
	struct vmcb b = good();

	(void)state;
	b.cr0 |= X86_CR0_NW;
	refused(&b, "NW");
	b.cr0 |= X86_CR0_CD;
	fits(&b);
	b = good();
	b.cr0 |= BIT(32);
	refused(&b, "CR0");
	b = good();
	b.cr3 = BIT(40);
	refused(&b, "CR3");
	/* Of 32-bit guests only the lower half counts. */
	b.efer = X86_EFER_SVME;
	b.cs.attr = 0x49b;
	fits(&b);
	b = good();
	b.cr4 |= BIT(32);
	refused(&b, "CR4");
	b = good();
	b.dr6 |= BIT(32);
	refused(&b, "DR6");
	b = good();
	b.dr7 |= BIT(63);
	refused(&b, "DR7");
}

static void events(void **state)
{
	struct vmcb b;

	(void)state;
	for (uint64_t type = 0; type < 8; type++) {
		for (uint64_t vector = 0; vector < 256; vector++) {
			b = good();
			b.event_inject = type << EVENT_TYPE_SHIFT | vector;
			fits(&b); /* not valid: nothing is injected */
			b.event_inject |= EVENT_VALID;
			if (type == 1 || type > 4)
				refused(&b, "type");
			else if (type == EVENT_EXCEPTION && (vector == 2 || vector > 31))
				refused(&b, "exception");
			else
				fits(&b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_states), cmocka_unit_test(control_area),
		cmocka_unit_test(modes),       cmocka_unit_test(registers),
		cmocka_unit_test(events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
