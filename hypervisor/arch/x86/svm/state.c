/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The conditions under which VMRUN refuses a guest's state (APM vol. 2 15.5.1), to say which one it was. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <bulkhead/compiler.h>

#include "svm.h"

#define CS_LONG 0x200
#define CS_BIG	0x400

#define HALF_BITS (~0UL << 32)

static const char *control_problem(const struct vmcb *b)
{
	if (!(b->intercept4 & INTERCEPT_VMRUN))
		return "VMRUN is not intercepted";
	if (!b->asid)
		return "ASID 0 is the host's";
	if ((b->iopm_pa | b->msrpm_pa | b->n_cr3) & ~PAGE_MASK)
		return "a table is not aligned";
	if ((b->iopm_pa | b->msrpm_pa | b->n_cr3) >> cpu_info.phys_bits)
		return "a table lies beyond the physical addresses";
	for (unsigned i = 0; i < 8; i++) {
		unsigned type = (unsigned)(b->g_pat >> 8 * i & 0xff);

		if (type == 2 || type == 3 || type > 7)
			return "PAT has a reserved type";
	}
	return NULL;
}

static const char *mode_problem(const struct vmcb *b)
{
	bool paged_long = (b->efer & X86_EFER_LME) && (b->cr0 & X86_CR0_PG);

	if (!(b->efer & X86_EFER_SVME))
		return "EFER.SVME is clear";
	if (paged_long && !(b->cr4 & X86_CR4_PAE))
		return "long mode without CR4.PAE";
	if (paged_long && !(b->cr0 & X86_CR0_PE))
		return "long mode without CR0.PE";
	if (paged_long && (b->cs.attr & CS_LONG) && (b->cs.attr & CS_BIG))
		return "CS is both a 64-bit and a 32-bit segment";
	return NULL;
}

static const char *register_problem(const struct vmcb *b)
{
	if ((b->cr0 & X86_CR0_NW) && !(b->cr0 & X86_CR0_CD))
		return "CR0.NW without CR0.CD";
	if (b->cr0 & HALF_BITS)
		return "CR0 has reserved bits";
	if ((b->efer & X86_EFER_LMA) && b->cr3 >> cpu_info.phys_bits)
		return "CR3 lies beyond the physical addresses";
	if (b->cr4 & HALF_BITS)
		return "CR4 has reserved bits";
	if ((b->dr6 | b->dr7) & HALF_BITS)
		return "DR6 or DR7 have reserved bits";
	return NULL;
}

static const char *event_problem(const struct vmcb *b)
{
	unsigned type = (unsigned)(b->event_inject >> EVENT_TYPE_SHIFT & 7);
	unsigned vector = (unsigned)(b->event_inject & 0xff);

	if (!(b->event_inject & EVENT_VALID))
		return NULL;
	if (type == 1 || type > EVENT_SOFT)
		return "the type of the event is reserved";
	if (type == EVENT_EXCEPTION && (vector == 2 || vector > 31))
		return "the event is no exception";
	return NULL;
}

const char *svm_state_problem(const struct vmcb *b)
{
	const char *what = control_problem(b);

	if (!what)
		what = mode_problem(b);
	if (!what)
		what = register_problem(b);
	if (!what)
		what = event_problem(b);
	return what;
}
