/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x86 domains and vCPUs: life, start states, switches, events, time. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/exit.h>
#include <arch/hvm_io.h>
#include <arch/legacy.h>
#include <arch/mtrr.h>
#include <arch/platform.h>
#include <arch/time.h>
#include <arch/vcpu.h>
#include <arch/vendor.h>
#include <arch/vioapic.h>
#include <arch/vlapic.h>
#include <arch/vpci.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hvm.h>
#include <bulkhead/log.h>
#include <bulkhead/p2m.h>
#include <bulkhead/string.h>

#include <xen/hvm/hvm_vcpu.h>

#define MSR_TSC_AUX	    0xc0000103
#define CALLBACK_TYPE_SHIFT 56
#define CALLBACK_VECTOR	    2

#define FXSAVE_SIZE 512
#define FX_MXCSR    24
#define MXCSR_ALL   0xffffU /* every CPU with 64-bit mode has these (SDM vol. 1 10.2.3) */

const struct vendor_ops *vendor;

/* ---- Domains ---- */

int arch_domain_init(struct domain *d, const struct domain_config *cfg)
{
	static uint64_t last_serial;
	int err;

	d->arch.serial = __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED);
	d->arch.emulation_flags = cfg->emulation_flags;
	d->arch.misc_flags = cfg->misc_flags;
	d->arch.tsc_offset = d->hardware ? 0 : -tsc_now();
	d->hvm_params[HVM_PARAM_TRIPLE_FAULT_REASON] = SHUTDOWN_reboot;
	err = hvm_io_init(d);
	if (!err)
		err = vendor->domain_init(d);
	if (!err)
		err = cpuid_domain_init(d);
	if (!err && d->hardware)
		err = legacy_ports_init(d);
	return err;
}

int arch_domain_release(struct domain *d)
{
	vpci_domain_finish(d);
	vioapic_finish(d);
	return 0;
}

void arch_domain_finish(struct domain *d)
{
	vpci_domain_finish(d);
	vioapic_finish(d);
	legacy_ports_finish(d);
	cpuid_domain_finish(d);
	vendor->domain_finish(d);
	hvm_io_finish(d);
}

/* ---- vCPUs ---- */

void vcpu_fpu_reset(struct vcpu *v)
{
	uint16_t *fcw = v->arch.fpu;
	uint32_t *mxcsr = (uint32_t *)((char *)v->arch.fpu + 24);
	uint64_t *xstate_bv = (uint64_t *)((char *)v->arch.fpu + 512);

	memset(v->arch.fpu, 0, cpu_info.xsave_size);
	*fcw = 0x37f;
	*mxcsr = 0x1f80;
	if (cpu_has(CPU_XSAVE))
		*xstate_bv = 3; /* so that the values above are loaded */
	v->arch.xcr0 = 1;
}

void vcpu_fpu_load(struct vcpu *v, const void *fxsave)
{
	char *area = v->arch.fpu;
	uint32_t mxcsr;

	vcpu_fpu_reset(v);
	memcpy(area, fxsave, FXSAVE_SIZE);
	/* Reserved bits would fault when they are loaded. */
	memcpy(&mxcsr, area + FX_MXCSR, sizeof(mxcsr));
	mxcsr &= MXCSR_ALL;
	memcpy(area + FX_MXCSR, &mxcsr, sizeof(mxcsr));
}

int arch_vcpu_init(struct vcpu *v)
{
	int err;

	v->arch.fpu = heap_alloc(MAX(cpu_info.xsave_size, (uint32_t)PAGE_SIZE));
	if (!v->arch.fpu)
		return -ENOMEM;
	vcpu_fpu_reset(v);
	v->arch.walk.gfn = INVALID_FRAME;
	v->arch.spec_ctrl = cpu_spec_ctrl();
	err = vlapic_init(v);
	if (!err)
		err = vendor->vcpu_init(v);
	if (err)
		return err;
	mtrr_vcpu_init(v);
	v->arch.sipi_wait = v->id != 0;
	arch_vcpu_time_update(v);
	return 0;
}

void arch_vcpu_finish(struct vcpu *v)
{
	if (v->arch.vlapic)
		vlapic_finish(v);
	vendor->vcpu_finish(v);
	heap_free(v->arch.fpu);
	v->arch.fpu = NULL;
}

bool arch_vcpu_is_initialised(const struct vcpu *v)
{
	return v->arch.started;
}

static void set_seg(struct vcpu *v, enum guest_seg seg, uint16_t sel, uint64_t base, uint32_t limit,
		    uint16_t attr)
{
	const struct segment s = {base, limit, sel, attr};

	vendor->set_segment(v, seg, &s);
}

/* Registers after INIT (SDM vol. 3A 9.1.1), then started at vector:0000. On the vCPU's own CPU. */
static void start_real_mode(struct vcpu *v)
{
	uint8_t vector = v->arch.sipi_vector;

	memset(&v->arch.gprs, 0, sizeof(v->arch.gprs));
	v->arch.gprs.rdx = cpu_info.family << 8;
	v->arch.rip = 0;
	v->arch.rflags = X86_EFLAGS_FIXED;
	vendor->set_cr(v, 0, X86_CR0_ET | X86_CR0_NW | X86_CR0_CD);
	vendor->set_cr(v, 3, 0);
	vendor->set_cr(v, 4, 0);
	vendor->set_efer(v, 0);
	for (enum guest_seg s = SEG_ES; s <= SEG_GS; s++)
		set_seg(v, s, 0, 0, 0xffff, 0x093);
	set_seg(v, SEG_CS, (uint16_t)(vector << 8), (uint64_t)vector << 12, 0xffff, 0x09b);
	set_seg(v, SEG_GDTR, 0, 0, 0xffff, 0);
	set_seg(v, SEG_IDTR, 0, 0, 0xffff, 0);
	set_seg(v, SEG_LDTR, 0, 0, 0xffff, 0x082);
	set_seg(v, SEG_TR, 0, 0, 0xffff, 0x08b);
	vendor->init(v);
	vlapic_init_reset(v);
	v->arch.inject.valid = false;
	v->arch.nmi_pending = v->arch.nmi_blocked = false;
	v->arch.sipi_pending = false;
	/* The reset took an upcall that was waiting; its pending flag would keep every further one away. */
	if (READ_ONCE(v->info->evtchn_upcall_pending))
		arch_event_upcall(v);
}

void vcpu_start_pvh(struct vcpu *v, uint32_t entry, uint32_t start_info)
{
	memset(&v->arch.gprs, 0, sizeof(v->arch.gprs));
	v->arch.gprs.rbx = start_info;
	v->arch.rip = entry;
	v->arch.rflags = X86_EFLAGS_FIXED;
	vendor->set_cr(v, 0, X86_CR0_PE | X86_CR0_ET);
	vendor->set_cr(v, 3, 0);
	vendor->set_cr(v, 4, 0);
	vendor->set_efer(v, 0);
	/* Flat 4 GiB, accessed and present (pvh.pandoc: "CPU state"). */
	for (enum guest_seg s = SEG_ES; s <= SEG_GS; s++)
		set_seg(v, s, 0, 0, 0xffffffff, 0xc93);
	set_seg(v, SEG_CS, 0, 0, 0xffffffff, 0xc9b);
	set_seg(v, SEG_TR, 0, 0, 0x67, 0x08b);
	set_seg(v, SEG_LDTR, 0, 0, 0, 0x082);
	set_seg(v, SEG_GDTR, 0, 0, 0, 0);
	set_seg(v, SEG_IDTR, 0, 0, 0, 0);
	v->arch.started = true;
	v->arch.sipi_wait = false;
}

static bool attributes_ok(const struct vcpu_hvm_x86_32 *r)
{
	return !((r->cs_ar | r->ds_ar | r->ss_ar | r->es_ar | r->tr_ar) & 0xf000);
}

/* Attributes of the ABI are those of SVM: descriptor bits 47:40 and 55:52. */
static int set_context32(struct vcpu *v, const struct vcpu_hvm_x86_32 *r)
{
	uint64_t efer = r->efer & X86_EFER_LME ? r->efer | X86_EFER_LMA : r->efer;

	if (!attributes_ok(r) || ((r->efer & X86_EFER_LME) && !(r->cr0 & X86_CR0_PG)) ||
	    !guest_crs_ok(v, r->cr0 | X86_CR0_ET, r->cr4, efer))
		return -EINVAL;
	v->arch.gprs = (union guest_gprs){.rax = r->eax,
					  .rcx = r->ecx,
					  .rdx = r->edx,
					  .rbx = r->ebx,
					  .rsp = r->esp,
					  .rbp = r->ebp,
					  .rsi = r->esi,
					  .rdi = r->edi};
	v->arch.rip = r->eip;
	v->arch.rflags = r->eflags | X86_EFLAGS_FIXED;
	vendor->set_cr(v, 0, r->cr0 | X86_CR0_ET);
	vendor->set_cr(v, 3, r->cr3);
	vendor->set_cr(v, 4, r->cr4);
	vendor->set_efer(v, efer);
	set_seg(v, SEG_CS, 0, r->cs_base, r->cs_limit, r->cs_ar);
	set_seg(v, SEG_DS, 0, r->ds_base, r->ds_limit, r->ds_ar);
	set_seg(v, SEG_SS, 0, r->ss_base, r->ss_limit, r->ss_ar);
	set_seg(v, SEG_ES, 0, r->es_base, r->es_limit, r->es_ar);
	set_seg(v, SEG_TR, 0, r->tr_base, r->tr_limit, r->tr_ar);
	return 0;
}

static int set_context64(struct vcpu *v, const struct vcpu_hvm_x86_64 *r)
{
	if (!(r->cr0 & X86_CR0_PG) || !(r->cr4 & X86_CR4_PAE) || !(r->efer & X86_EFER_LME) ||
	    !guest_crs_ok(v, r->cr0 | X86_CR0_ET, r->cr4, r->efer | X86_EFER_LMA))
		return -EINVAL;
	v->arch.gprs = (union guest_gprs){.rax = r->rax,
					  .rcx = r->rcx,
					  .rdx = r->rdx,
					  .rbx = r->rbx,
					  .rsp = r->rsp,
					  .rbp = r->rbp,
					  .rsi = r->rsi,
					  .rdi = r->rdi};
	v->arch.rip = r->rip;
	v->arch.rflags = r->rflags | X86_EFLAGS_FIXED;
	vendor->set_cr(v, 0, r->cr0 | X86_CR0_ET);
	vendor->set_cr(v, 3, r->cr3);
	vendor->set_cr(v, 4, r->cr4);
	vendor->set_efer(v, r->efer | X86_EFER_LMA);
	set_seg(v, SEG_CS, 0, 0, 0xffffffff, 0xa9b);
	set_seg(v, SEG_DS, 0, 0, 0xffffffff, 0xc93);
	set_seg(v, SEG_SS, 0, 0, 0xffffffff, 0xc93);
	set_seg(v, SEG_ES, 0, 0, 0xffffffff, 0xc93);
	set_seg(v, SEG_TR, 0, 0, 0x67, 0x08b);
	return 0;
}

int arch_vcpu_set_hvm_context(struct vcpu *v, const void *ctx)
{
	const struct vcpu_hvm_context *c = ctx;
	int err;

	if (v->arch.started)
		return -EEXIST;
	if (c->pad)
		return -EINVAL;
	if (c->mode == VCPU_HVM_MODE_32B)
		err = set_context32(v, &c->cpu_regs.x86_32);
	else if (c->mode == VCPU_HVM_MODE_64B)
		err = set_context64(v, &c->cpu_regs.x86_64);
	else
		err = -EINVAL;
	if (!err) {
		v->arch.started = true;
		v->arch.sipi_wait = false;
	}
	return err;
}

void vcpu_init_ipi(struct vcpu *v)
{
	__atomic_store_n(&v->arch.sipi_wait, true, __ATOMIC_SEQ_CST);
	vcpu_set_flag(v, VPF_DOWN);
}

void vcpu_startup_ipi(struct vcpu *v, uint8_t vector)
{
	/* Only the first one after INIT counts (SDM vol. 3A 9.4). */
	if (!__atomic_exchange_n(&v->arch.sipi_wait, false, __ATOMIC_SEQ_CST))
		return;
	v->arch.sipi_vector = vector;
	v->arch.started = true;
	__atomic_store_n(&v->arch.sipi_pending, true, __ATOMIC_SEQ_CST);
	/* INIT may have met it in HLT. */
	vcpu_clear_flag(v, VPF_DOWN | VPF_BLOCKED);
}

void vcpu_nmi(struct vcpu *v)
{
	WRITE_ONCE(v->arch.nmi_pending, true);
	vcpu_kick(v);
}

void arch_vcpu_nmi(struct vcpu *v)
{
	vcpu_nmi(v);
}

/* ---- Running ---- */

static void fpu_save(struct vcpu *v)
{
	if (!cpu_has(CPU_XSAVE)) {
		__asm__ volatile("fxsave64 (%0)" ::"r"(v->arch.fpu) : "memory");
		return;
	}
	xsetbv(0, cpu_info.xcr0_mask);
	__asm__ volatile("xsave64 (%0)" ::"r"(v->arch.fpu), "a"(~0U), "d"(~0U) : "memory");
}

/* An instruction of the hypervisor's takes the place of the last one of whoever ran before. */
static void fpu_forget_pointers(void)
{
	static const int32_t zero;

	/* No exception may be pending, and a register must be free for what is loaded. */
	__asm__ volatile("fnclex; ffree %%st(7); fildl %0" ::"m"(zero));
}

static void fpu_load(struct vcpu *v)
{
	if (cpu_keeps_fp_pointers())
		fpu_forget_pointers();
	if (!cpu_has(CPU_XSAVE)) {
		__asm__ volatile("fxrstor64 (%0)" ::"r"(v->arch.fpu) : "memory");
		return;
	}
	xsetbv(0, cpu_info.xcr0_mask);
	__asm__ volatile("xrstor64 (%0)" ::"r"(v->arch.fpu), "a"(~0U), "d"(~0U) : "memory");
	xsetbv(0, v->arch.xcr0);
}

uint32_t vcpu_pkru(const struct vcpu *v)
{
	(void)v;
	return rdpkru();
}

void arch_vcpu_switch(struct vcpu *prev, struct vcpu *next)
{
	struct cpu *c = this_cpu();

	if (!prev->is_idle) {
		/* Emulated CPUs let a guest write XCR0 without an exit. */
		if (cpu_has(CPU_XSAVE))
			prev->arch.xcr0 = xgetbv(0);
		fpu_save(prev);
		vendor->save(prev);
	}
	if (next->is_idle)
		return;
	/* Predictions trained by one domain must not steer another. */
	if (c->arch.last_domain != next->domain->arch.serial) {
		cpu_guest_switch_barrier();
		c->arch.last_domain = next->domain->arch.serial;
	}
	fpu_load(next);
	if (cpu_has(CPU_RDTSCP))
		wrmsr(MSR_TSC_AUX, next->arch.tsc_aux);
	vendor->load(next);
}

void arch_vcpu_runstate_update(struct vcpu *v)
{
	(void)v;
}

void arch_vcpu_run(struct vcpu *v)
{
	if (v->arch.sipi_pending)
		start_real_mode(v);
	if (v->arch.deferred) {
		arch_irq_enable();
		if (v->arch.deferred(v))
			v->arch.deferred = NULL;
		return;
	}
	/* What this CPU took from a domain, its CPUs and devices can no longer reach. */
	ASSERT(!p2m_in_batch());
	vendor->run(v);
}

void arch_cpu_idle(void)
{
	/* STI takes effect after the next instruction: no interrupt slips in between. */
	__asm__ volatile("sti; hlt" ::: "memory");
}

bool arch_vcpu_has_work(struct vcpu *v)
{
	bool interrupts = v->arch.rflags & X86_EFLAGS_IF;

	/* A start-up IPI that came while the halt was on its way must not be lost in it. */
	if (READ_ONCE(v->arch.sipi_pending) || v->arch.inject.valid || v->arch.deferred ||
	    (v->arch.nmi_pending && !v->arch.nmi_blocked))
		return true;
	return interrupts && (v->arch.upcall_pending_legacy || vlapic_deliverable(v) >= 0);
}

/* ---- Events ---- */

void arch_event_upcall(struct vcpu *v)
{
	uint64_t via = v->domain->arch.callback_via;

	if (v->arch.upcall_vector) {
		vlapic_set_irq(v, v->arch.upcall_vector, false);
		return;
	}
	if (via >> CALLBACK_TYPE_SHIFT == CALLBACK_VECTOR)
		WRITE_ONCE(v->arch.upcall_pending_legacy, true);
	vcpu_kick(v);
}

int arch_vcpu_set_upcall_vector(struct vcpu *v, uint8_t vector)
{
	WRITE_ONCE(v->arch.upcall_vector, vector);
	if (READ_ONCE(v->info->evtchn_upcall_pending))
		arch_event_upcall(v);
	return 0;
}

void arch_domain_set_callback(struct domain *d, uint64_t via)
{
	struct vcpu *v;
	unsigned i;

	d->arch.callback_via = via;
	DOMAIN_FOR_EACH_VCPU (d, v, i) {
		if (READ_ONCE(v->info->evtchn_upcall_pending))
			arch_event_upcall(v);
	}
}

void arch_domain_flush_guest_tlb(struct domain *d)
{
	vendor->tlb_flush(d); /* a new ASID has neither kind of translation */
}

/* ---- Time ---- */

void arch_vcpu_time_update(struct vcpu *v)
{
	struct vcpu_time_info *t = &v->info->time;
	struct vcpu_time_info copy;

	/*
	 * The clock is linear in the TSC since boot, so one set of numbers is right for ever. The guest's TSC is the machine's
	 * plus an offset.
	 */
	copy = (struct vcpu_time_info){
		.version = (t->version | 1) + 1,
		.tsc_timestamp = tsc_boot + v->domain->arch.tsc_offset,
		.system_time = 0,
		.tsc_to_system_mul = tsc_scale.mul,
		.tsc_shift = tsc_scale.shift,
		.flags = tsc_reliable ? XEN_PVCLOCK_TSC_STABLE_BIT : 0,
	};
	/* Odd while it changes (xen.h, struct vcpu_time_info). */
	WRITE_ONCE(t->version, copy.version - 1);
	barrier();
	t->tsc_timestamp = copy.tsc_timestamp;
	t->system_time = copy.system_time;
	t->tsc_to_system_mul = copy.tsc_to_system_mul;
	t->tsc_shift = copy.tsc_shift;
	t->flags = copy.flags;
	barrier();
	WRITE_ONCE(t->version, copy.version);
	if (v->time_info_gva && v == current_vcpu())
		(void)guest_copy_to(v->time_info_gva, &copy, sizeof(copy));
}

uint64_t arch_cpu_physid(unsigned cpu)
{
	return (uint64_t)cpu_table[cpu]->arch.apic_id | (uint64_t)arch_cpu_acpi_uid(cpu) << 32;
}
