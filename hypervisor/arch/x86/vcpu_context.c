/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers of a vCPU in the structure that debuggers and a resumed save use. */
#include <arch/cpu.h>
#include <arch/hvm_context.h>
#include <arch/vcpu.h>
#include <arch/vendor.h>
#include <arch/vlapic.h>
#include <bulkhead/control.h>
#include <bulkhead/domain.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

_Static_assert(sizeof(struct vcpu_guest_context) == 5168, "ABI");

#define MSR_KERNEL_GS_BASE 0xc0000102

static uint16_t selector(struct vcpu *v, enum guest_seg seg, uint64_t *ret_base)
{
	struct segment s;

	vendor->get_segment(v, seg, &s);
	if (ret_base)
		*ret_base = s.base;
	return s.sel;
}

void vcpu_context_get(struct vcpu *v, struct vcpu_guest_context *c)
{
	const union guest_gprs *g = &v->arch.gprs;
	struct cpu_user_regs *r = &c->user_regs;

	memset(c, 0, sizeof(*c));
	memcpy(&c->fpu_ctxt, v->arch.fpu, sizeof(c->fpu_ctxt));
	c->flags = VGCF_I387_VALID;
	if (vendor->get_cpl(v) == 0)
		c->flags |= VGCF_IN_KERNEL;
	if (!(READ_ONCE(v->pause_flags) & VPF_DOWN))
		c->flags |= VGCF_online;
	*r = (struct cpu_user_regs){
		.r15 = g->r15,
		.r14 = g->r14,
		.r13 = g->r13,
		.r12 = g->r12,
		.r11 = g->r11,
		.r10 = g->r10,
		.r9 = g->r9,
		.r8 = g->r8,
		.rbp = g->rbp,
		.rbx = g->rbx,
		.rax = g->rax,
		.rcx = g->rcx,
		.rdx = g->rdx,
		.rsi = g->rsi,
		.rdi = g->rdi,
		.rsp = g->rsp,
	};
	r->rip = v->arch.rip;
	r->rflags = v->arch.rflags;
	r->cs = selector(v, SEG_CS, NULL);
	r->ss = selector(v, SEG_SS, NULL);
	r->ds = selector(v, SEG_DS, NULL);
	r->es = selector(v, SEG_ES, NULL);
	r->fs = selector(v, SEG_FS, &c->fs_base);
	r->gs = selector(v, SEG_GS, &c->gs_base_kernel);
	/* In kernel mode the user's base is the one that is swapped out. */
	(void)vendor->msr_read(v, MSR_KERNEL_GS_BASE, &c->gs_base_user);
	c->ctrlreg[0] = vendor->get_cr(v, 0);
	c->ctrlreg[2] = vendor->get_cr(v, 2);
	c->ctrlreg[3] = vendor->get_cr(v, 3);
	c->ctrlreg[4] = vendor->get_cr(v, 4);
	_Static_assert(sizeof(c->debugreg) == 8 * sizeof(uint64_t), "DR0 to DR7");
	vendor->get_debug(v, (uint64_t *)c->debugreg);
	c->vm_assist = v->domain->vm_assist;
}

void vcpu_context_set(struct vcpu *v, const struct vcpu_guest_context *c)
{
	const struct cpu_user_regs *r = &c->user_regs;
	uint64_t dr[8];

	v->arch.gprs = (union guest_gprs){
		.rax = r->rax,
		.rcx = r->rcx,
		.rdx = r->rdx,
		.rbx = r->rbx,
		.rsp = r->rsp,
		.rbp = r->rbp,
		.rsi = r->rsi,
		.rdi = r->rdi,
		.r8 = r->r8,
		.r9 = r->r9,
		.r10 = r->r10,
		.r11 = r->r11,
		.r12 = r->r12,
		.r13 = r->r13,
		.r14 = r->r14,
		.r15 = r->r15,
	};
	v->arch.rip = r->rip;
	v->arch.rflags = r->rflags | X86_EFLAGS_FIXED;
	for (unsigned i = 0; i < ARRAY_SIZE(dr); i++)
		dr[i] = c->debugreg[i] & 0xffffffff;
	for (unsigned i = 0; i < 4; i++)
		dr[i] = c->debugreg[i];
	vendor->set_debug(v, dr);
	if (c->flags & VGCF_I387_VALID)
		vcpu_fpu_load(v, &c->fpu_ctxt);
	else
		vcpu_fpu_reset(v);
	v->arch.started = true;
	if (c->flags & VGCF_online)
		vcpu_clear_flag(v, VPF_DOWN);
	else
		vcpu_set_flag(v, VPF_DOWN);
}

void arch_vcpu_log(struct vcpu *v)
{
	log_info("d%uv%u: rip %016lx rsp %016lx rflags %06lx cr0 %08lx cr3 %lx cr4 %lx efer %lx\n",
		 v->domain->id, v->id, v->arch.rip, v->arch.gprs.rsp, v->arch.rflags,
		 vendor->get_cr(v, 0), vendor->get_cr(v, 3), vendor->get_cr(v, 4),
		 vendor->get_efer(v));
	log_info(
		"  upcall vector 0x%x, legacy pending %u, highest IRR %d, deliverable %d, TPR 0x%x, NMI pending %u blocked %u\n",
		v->arch.upcall_vector, v->arch.upcall_pending_legacy, vlapic_highest_irr(v),
		vlapic_deliverable(v), vlapic_get_tpr(v), v->arch.nmi_pending, v->arch.nmi_blocked);
}

void vcpu_context_reset(struct vcpu *v)
{
	vcpu_fpu_reset(v);
	v->arch.inject.valid = false;
	v->arch.nmi_pending = v->arch.nmi_blocked = false;
	v->arch.started = v->arch.sipi_pending = false;
	v->arch.sipi_wait = v->id != 0;
}
