/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AMD-V: set-up, vCPU state, entry (APM vol. 2 chapter 15). */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/hvm_io.h>
#include <arch/paging.h>
#include <arch/traps.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/string.h>

#include "svm.h"

#define MSR_VM_CR	0xc0010114
#define VM_CR_SVMDIS	BIT(4)
#define MSR_VM_HSAVE_PA 0xc0010117
#define MSR_EFER	0xc0000080
#define MSR_SPEC_CTRL	0x48
#define MSRPM_SIZE	(2 * PAGE_SIZE)

#define DR6_INITIAL 0xffff0ff0UL
#define DR7_INITIAL 0x400UL

/* CPUID 8000_0008 EBX, 8000_000A EDX. */
#define CPUID_INVLPGB BIT32(3)
#define CPUID_RDPRU   BIT32(4)
#define CPUID_MCOMMIT BIT32(8)
#define CPUID_TLBICTL BIT32(24)

/* Instructions that not every CPU has; their intercepts are reserved bits where they do not exist. */
static uint32_t extra_intercept4, extra_intercept5;

bool svm_exit_barrier __ro_after_init; /* entry.S: IBPB at each exit */

static void find_extra_intercepts(void)
{
	uint32_t r[4], svm[4];

	if (cpu_info.max_ext_leaf < 0x8000000a)
		return;
	cpuid_count(0x80000008, 0, r);
	cpuid_count(0x8000000a, 0, svm);
	extra_intercept4 = r[1] & CPUID_RDPRU ? INTERCEPT_RDPRU : 0;
	extra_intercept5 = r[1] & CPUID_MCOMMIT ? INTERCEPT_MCOMMIT : 0;
	if ((r[1] & CPUID_INVLPGB) && (svm[3] & CPUID_TLBICTL))
		extra_intercept5 |= INTERCEPT_INVLPGB | INTERCEPT_INVLPGB_ILLEGAL |
				    INTERCEPT_TLBSYNC;
}

static int svm_probe(const char **ret_why)
{
	if (!cpu_has(CPU_SVM))
		return -ENODEV;
	if (cpu_has(CPU_NPT))
		return 0;
	*ret_why = "this CPU has SVM without nested paging, which is needed";
	return -EOPNOTSUPP;
}

static int svm_cpu_up(void)
{
	struct cpu *c = this_cpu();

	/* Of the ASIDs, number 0 is the host's. */
	if (!cpu_has(CPU_SVM) || !cpu_has(CPU_NPT) || cpu_info.asids < 2)
		return -ENODEV;
	if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS)
		return -EACCES;
	c->arch.svm_host_save = heap_page_alloc();
	c->arch.svm_host_vmcb = heap_page_alloc();
	if (!c->arch.svm_host_save || !c->arch.svm_host_vmcb)
		return -ENOMEM;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | X86_EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, paddr_raw(heap_paddr(c->arch.svm_host_save)));
	/* What VMLOAD brings back after each exit; nothing of it changes later. */
	__asm__ volatile("vmsave %0" ::"a"(paddr_raw(heap_paddr(c->arch.svm_host_vmcb)))
			 : "memory");
	if (c->id == 0) {
		find_extra_intercepts();
		svm_exit_barrier = cpu_needs_exit_barrier();
	}
	c->arch.asid_max = cpu_info.asids - 1;
	c->arch.asid_generation = 1;
	c->arch.asid_next = 1;
	return 0;
}

static void svm_cpu_down(void)
{
	__asm__ volatile("stgi");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~X86_EFER_SVME);
}

/* Two bits per MSR: intercept read, intercept write (15.11). */
static void msr_pass(uint8_t *map, uint32_t msr, bool read, bool write)
{
	unsigned base = msr < 0x2000 ? 0 : msr >= 0xc0010000 ? 0x1000 : 0x800;
	unsigned bit = (msr & 0x1fff) * 2;

	if (read)
		map[base + bit / 8] &= (uint8_t) ~(1U << (bit % 8));
	if (write)
		map[base + bit / 8] &= (uint8_t) ~(2U << (bit % 8));
}

static int svm_domain_init(struct domain *d)
{
	/* Kept by VMLOAD, VMSAVE and VMRUN, so that the guest may have them to itself. */
	static const uint32_t own[] = {0xc0000100, 0xc0000101, 0xc0000102, 0xc0000081, 0xc0000082,
				       0xc0000083, 0xc0000084, 0x174,	   0x175,      0x176};

	d->arch.msr_bitmap = heap_alloc(MSRPM_SIZE);
	if (!d->arch.msr_bitmap)
		return -ENOMEM;
	memset(d->arch.msr_bitmap, 0xff, MSRPM_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
		msr_pass(d->arch.msr_bitmap, own[i], true, true);
	return 0;
}

static void svm_domain_finish(struct domain *d)
{
	heap_free(d->arch.msr_bitmap);
	d->arch.msr_bitmap = NULL;
}

static void reset_segments(struct vmcb *b)
{
	struct vmcb_segment data = {.attr = 0x093, .limit = 0xffff};

	b->es = b->ss = b->ds = b->fs = b->gs = data;
	b->cs = (struct vmcb_segment){.sel = 0xf000,
				      .attr = 0x09b,
				      .limit = 0xffff,
				      .base = 0xffff0000};
	b->gdtr.limit = b->idtr.limit = 0xffff;
	b->ldtr = (struct vmcb_segment){.attr = 0x082, .limit = 0xffff};
	b->tr = (struct vmcb_segment){.attr = 0x08b, .limit = 0xffff};
}

/*
 * What is set while a guest runs, whatever it asks for: with MCE clear a machine check makes the CPU shut down in place of the
 * exit that #MC is (15.12.17), and what looks like the guest's triple fault would have been the machine's last word.
 */
static uint64_t host_cr4(void)
{
	return cpu_has(CPU_MCE) ? X86_CR4_MCE : 0;
}

static int svm_vcpu_init(struct vcpu *v)
{
	struct svm_vcpu *s = heap_alloc(sizeof(*s));
	struct vmcb *b = heap_page_alloc();

	if (!s || !b) {
		heap_free(s);
		heap_page_free(b);
		return -ENOMEM;
	}
	v->arch.svm = s;
	s->vmcb = b;
	s->vmcb_pa = paddr_raw(heap_paddr(b));
	s->last_cpu = ~0U;
	b->intercept3 = INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_INIT |
			INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_INVD | INTERCEPT_HLT |
			INTERCEPT_INVLPGA | INTERCEPT_IOIO | INTERCEPT_MSR | INTERCEPT_TASK_SWITCH |
			INTERCEPT_SHUTDOWN | INTERCEPT_CR0_OTHER;
	b->intercept4 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |
			INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT | INTERCEPT_WBINVD |
			INTERCEPT_MONITOR | INTERCEPT_MWAIT | INTERCEPT_MWAIT_ARMED |
			INTERCEPT_XSETBV | extra_intercept4;
	b->intercept5 = extra_intercept5;
	/*
	 * CR4: features that the policy hides stay off, and MCE, which is the host's, stays on. CR0: emulators let through what VMRUN then refuses. Writes of CR0 and
	 * CR4 are rare; those of TS, MP and CR3 are not, and need no check.
	 */
	b->cr_read = INTERCEPT_READ_CR4;
	b->cr_write = INTERCEPT_WRITE_CR4;
	/* #DB and #AC can recur without end in their own delivery (CVE-2015-5307, CVE-2015-8104); #MC is the host's. */
	b->exceptions = BIT32(TRAP_DB) | BIT32(TRAP_AC) | BIT32(TRAP_MC);
	b->iopm_pa = paddr_raw(heap_paddr(v->domain->arch.io_bitmap));
	b->msrpm_pa = paddr_raw(heap_paddr(v->domain->arch.msr_bitmap));
	b->vintr = VINTR_MASKING;
	b->np_enable = 1;
	b->n_cr3 = paddr_raw(heap_paddr(v->domain->arch.p2m.root));
	b->efer = X86_EFER_SVME;
	b->cr0 = X86_CR0_ET;
	b->cr4 = host_cr4();
	b->dr6 = DR6_INITIAL;
	b->dr7 = DR7_INITIAL;
	b->rflags = X86_EFLAGS_FIXED;
	b->g_pat = 0x0007040600070406;
	reset_segments(b);
	return 0;
}

static void svm_vcpu_finish(struct vcpu *v)
{
	if (!v->arch.svm)
		return;
	heap_page_free(v->arch.svm->vmcb);
	heap_free(v->arch.svm);
	v->arch.svm = NULL;
}

/* DR0–DR3 belong to the guest while it is loaded: the hypervisor sets no breakpoints. */
static void svm_load(struct vcpu *v)
{
	const uint64_t *dr = v->arch.svm->dr;

	/* The guest's TSC goes on as it was, on whatever CPU it was before. */
	v->arch.svm->vmcb->tsc_offset = v->domain->arch.tsc_offset + this_cpu()->arch.tsc_adjust;
	__asm__ volatile("mov %0, %%db0; mov %1, %%db1; mov %2, %%db2; mov %3, %%db3" ::"r"(dr[0]),
			 "r"(dr[1]), "r"(dr[2]), "r"(dr[3]));
}

static void svm_save(struct vcpu *v)
{
	uint64_t *dr = v->arch.svm->dr;

	__asm__ volatile("mov %%db0, %0; mov %%db1, %1; mov %%db2, %2; mov %%db3, %3"
			 : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
}

/* Registers that neutral code does not know; the vCPU is loaded on this CPU (SDM vol. 3A table 9-1, INIT). */
static void svm_init(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;

	memset(s->dr, 0, sizeof(s->dr));
	svm_load(v);
	s->vmcb->dr6 = DR6_INITIAL;
	s->vmcb->dr7 = DR7_INITIAL;
	s->vmcb->cr2 = 0;
	s->vmcb->dbgctl = 0;
	s->vmcb->interrupt_shadow = 0;
	svm_nmi_reset(v);
	s->flush = true;
}

static void svm_tlb_flush(struct domain *d)
{
	uint64_t generation = __atomic_add_fetch(&d->arch.p2m.generation, 1, __ATOMIC_SEQ_CST);
	struct vcpu *v;
	unsigned i;

	/*
	 * Each vCPU takes a new ASID at its next entry. One that is not in guest mode at this look will see the new generation
	 * there, as it says that it enters (in_guest) before it looks at the generation; who is, is made to exit.
	 */
	DOMAIN_FOR_EACH_VCPU (d, v, i) {
		if (v == current_vcpu() || !READ_ONCE(v->is_running))
			continue;
		arch_cpu_kick(READ_ONCE(v->cpu));
		/* Until it has left guest mode (or has entered again, with the new ASID) it may use old entries. */
		while (READ_ONCE(v->is_running) && READ_ONCE(v->arch.in_guest) &&
		       READ_ONCE(v->arch.svm->tlb_generation) < generation)
			arch_cpu_relax();
	}
}

/*
 * Gives the vCPU an ASID of its own on this CPU, or empties the one that it has: a fresh one is empty in the TLB (15.16).
 * Translations of both kinds go at once, as the TLB holds their combination.
 */
static void assign_asid(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;
	struct cpu *c = this_cpu();
	uint64_t generation = __atomic_load_n(&v->domain->arch.p2m.generation, __ATOMIC_SEQ_CST);
	bool mine = s->last_cpu == c->id && s->asid_generation == c->arch.asid_generation;

	s->vmcb->tlb_control = TLB_KEEP;
	if (mine && s->tlb_generation == generation && !s->flush)
		return;
	if (mine && cpu_has(CPU_FLUSH_BY_ASID)) {
		s->vmcb->tlb_control = TLB_FLUSH_GUEST;
	} else {
		if (c->arch.asid_next > c->arch.asid_max) {
			/* All are used up: start over with an empty TLB. */
			c->arch.asid_generation++;
			c->arch.asid_next = 1;
			s->vmcb->tlb_control = TLB_FLUSH_ALL;
		}
		s->vmcb->asid = c->arch.asid_next++;
		s->asid_generation = c->arch.asid_generation;
		s->last_cpu = c->id;
	}
	s->flush = false;
	WRITE_ONCE(s->tlb_generation, generation);
	ASSERT(s->vmcb->asid && s->vmcb->asid <= c->arch.asid_max);
}

static void svm_run(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;
	struct vmcb *b = s->vmcb;
	uint64_t host_spec = cpu_spec_ctrl();

	__asm__ volatile("clgi" ::: "memory");
	WRITE_ONCE(v->arch.in_guest, true);
	arch_mb();
	/* A kick that came before GIF was cleared has left its reason here; a later one ends the guest's run at once. */
	if (READ_ONCE(this_cpu()->softirqs)) {
		WRITE_ONCE(v->arch.in_guest, false);
		__asm__ volatile("stgi" ::: "memory");
		arch_irq_enable();
		return;
	}
	assign_asid(v);
	svm_inject_prepare(v);
	b->rax = v->arch.gprs.rax;
	b->rsp = v->arch.gprs.rsp;
	b->rip = v->arch.rip;
	b->rflags = v->arch.rflags | (s->stepping ? X86_EFLAGS_TF : 0);
	b->clean_bits = 0;
	if (unlikely(v->arch.spec_ctrl != host_spec))
		wrmsr(MSR_SPEC_CTRL, v->arch.spec_ctrl);
	/* The host's IF must be set while the guest runs: with V_INTR_MASKING it gates physical interrupts (15.21.1). */
	arch_irq_enable();
	svm_enter(&v->arch.gprs, s->vmcb_pa, paddr_raw(heap_paddr(this_cpu()->arch.svm_host_vmcb)));
	if (unlikely(v->arch.spec_ctrl != host_spec))
		wrmsr(MSR_SPEC_CTRL, host_spec);
	else
		/* No prediction gets past the write above: what follows would run ahead with the guest's value. */
		speculation_barrier();
	v->arch.gprs.rax = b->rax;
	v->arch.gprs.rsp = b->rsp;
	v->arch.rip = b->rip;
	v->arch.rflags = b->rflags;
	svm_inject_exited(v);
	WRITE_ONCE(v->arch.in_guest, false);
	/* Pending physical interrupts are taken here. */
	__asm__ volatile("stgi" ::: "memory");
	v->exits++;
	svm_handle_exit(v);
}

static struct vmcb_segment *segment_of(struct vmcb *b, enum guest_seg seg)
{
	switch (seg) {
	case SEG_ES:
		return &b->es;
	case SEG_CS:
		return &b->cs;
	case SEG_SS:
		return &b->ss;
	case SEG_DS:
		return &b->ds;
	case SEG_FS:
		return &b->fs;
	case SEG_GS:
		return &b->gs;
	case SEG_LDTR:
		return &b->ldtr;
	case SEG_TR:
		return &b->tr;
	case SEG_GDTR:
		return &b->gdtr;
	default:
		return &b->idtr;
	}
}

static void svm_get_segment(struct vcpu *v, enum guest_seg seg, struct segment *ret_seg)
{
	const struct vmcb_segment *s = segment_of(v->arch.svm->vmcb, seg);

	*ret_seg = (struct segment){s->base, s->limit, s->sel, s->attr};
}

static void svm_set_segment(struct vcpu *v, enum guest_seg seg, const struct segment *s)
{
	*segment_of(v->arch.svm->vmcb, seg) = (struct vmcb_segment){s->sel, s->attr, s->limit,
								    s->base};
	/* CPL is a field of its own (15.5.1). */
	if (seg == SEG_SS)
		v->arch.svm->vmcb->cpl = (uint8_t)(s->attr >> 5 & 3);
}

static uint64_t svm_get_cr(struct vcpu *v, unsigned cr)
{
	const struct vmcb *b = v->arch.svm->vmcb;

	return cr == 0 ? b->cr0 : cr == 2 ? b->cr2 : cr == 3 ? b->cr3 : v->arch.svm->cr4;
}

static void svm_set_cr(struct vcpu *v, unsigned cr, uint64_t value)
{
	struct vmcb *b = v->arch.svm->vmcb;

	if (cr == 0)
		b->cr0 = value;
	else if (cr == 2)
		b->cr2 = value;
	else if (cr == 3)
		b->cr3 = value;
	else
		b->cr4 = (v->arch.svm->cr4 = value) | host_cr4();
	/* Translations depend on these. */
	if (cr != 2)
		v->arch.svm->flush = true;
}

static uint64_t svm_get_efer(struct vcpu *v)
{
	return v->arch.svm->vmcb->efer & ~X86_EFER_SVME;
}

static void svm_set_efer(struct vcpu *v, uint64_t value)
{
	v->arch.svm->vmcb->efer = value | X86_EFER_SVME;
	v->arch.svm->flush = true;
}

static unsigned svm_get_cpl(struct vcpu *v)
{
	return v->arch.svm->vmcb->cpl;
}

static void svm_set_dr6_bits(struct vcpu *v, uint64_t bits)
{
	v->arch.svm->vmcb->dr6 |= bits;
}

static void svm_get_debug(struct vcpu *v, uint64_t ret_dr[8])
{
	for (unsigned i = 0; i < 4; i++)
		ret_dr[i] = v->arch.svm->dr[i];
	ret_dr[4] = ret_dr[5] = 0;
	ret_dr[6] = v->arch.svm->vmcb->dr6;
	ret_dr[7] = v->arch.svm->vmcb->dr7;
}

static void svm_set_debug(struct vcpu *v, const uint64_t dr[8])
{
	for (unsigned i = 0; i < 4; i++)
		v->arch.svm->dr[i] = dr[i];
	v->arch.svm->vmcb->dr6 = dr[6] | DR6_INITIAL;
	v->arch.svm->vmcb->dr7 = dr[7] | DR7_INITIAL;
}

static void svm_clear_shadow(struct vcpu *v)
{
	v->arch.svm->vmcb->interrupt_shadow &= ~SHADOW_ACTIVE;
}

static uint64_t *msr_field(struct vmcb *b, uint32_t msr)
{
	switch (msr) {
	case 0xc0000081:
		return &b->star;
	case 0xc0000082:
		return &b->lstar;
	case 0xc0000083:
		return &b->cstar;
	case 0xc0000084:
		return &b->sfmask;
	case 0xc0000100:
		return &b->fs.base;
	case 0xc0000101:
		return &b->gs.base;
	case 0xc0000102:
		return &b->kernel_gs_base;
	case 0x174:
		return &b->sysenter_cs;
	case 0x175:
		return &b->sysenter_esp;
	case 0x176:
		return &b->sysenter_eip;
	case 0x1d9:
		return &b->dbgctl;
	case 0x277:
		return &b->g_pat;
	default:
		return NULL;
	}
}

static int svm_msr_read(struct vcpu *v, uint32_t msr, uint64_t *ret_value)
{
	const uint64_t *f = msr_field(v->arch.svm->vmcb, msr);

	if (!f)
		return -ENOENT;
	*ret_value = *f;
	return 0;
}

static int svm_msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t *f = msr_field(v->arch.svm->vmcb, msr);

	if (!f)
		return -ENOENT;
	*f = value;
	return 0;
}

static void dump_segment(const char *name, const struct vmcb_segment *s)
{
	log_err("%s %04x base %016lx limit %08x attr %03x\n", name, s->sel, s->base, s->limit,
		s->attr);
}

static void svm_dump(struct vcpu *v)
{
	const struct vmcb *b = v->arch.svm->vmcb;

	log_err("exit 0x%lx info1 %016lx info2 %016lx intinfo %016lx inject %016lx vintr %016lx shadow %lx\n",
		b->exit_code, b->exit_info1, b->exit_info2, b->exit_int_info, b->event_inject,
		b->vintr, b->interrupt_shadow);
	log_err("cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx efer %04lx cpl %u\n", b->cr0, b->cr2,
		b->cr3, v->arch.svm->cr4, b->efer, b->cpl);
	dump_segment("cs", &b->cs);
	dump_segment("ss", &b->ss);
	dump_segment("ds", &b->ds);
	dump_segment("gs", &b->gs);
	dump_segment("tr", &b->tr);
	dump_segment("gdtr", &b->gdtr);
	dump_segment("idtr", &b->idtr);
}

const struct vendor_ops svm_ops = {
	.name = "SVM",
	.probe = svm_probe,
	.cpu_up = svm_cpu_up,
	.cpu_down = svm_cpu_down,
	.vcpu_init = svm_vcpu_init,
	.vcpu_finish = svm_vcpu_finish,
	.domain_init = svm_domain_init,
	.domain_finish = svm_domain_finish,
	.run = svm_run,
	.load = svm_load,
	.save = svm_save,
	.tlb_flush = svm_tlb_flush,
	.get_cr = svm_get_cr,
	.set_cr = svm_set_cr,
	.get_efer = svm_get_efer,
	.set_efer = svm_set_efer,
	.get_segment = svm_get_segment,
	.set_segment = svm_set_segment,
	.get_cpl = svm_get_cpl,
	.set_dr6_bits = svm_set_dr6_bits,
	.init = svm_init,
	.get_debug = svm_get_debug,
	.set_debug = svm_set_debug,
	.clear_shadow = svm_clear_shadow,
	.msr_read = svm_msr_read,
	.msr_write = svm_msr_write,
	.dump = svm_dump,
};
