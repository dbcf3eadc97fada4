/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The instruction emulator at work on a vCPU: MMIO after nested page faults, string I/O, and the memory behind both. */
#include <arch/cpu.h>
#include <arch/exit.h>
#include <arch/guest_walk.h>
#include <arch/hvm_io.h>
#include <arch/traps.h>
#include <arch/vendor.h>
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/log.h>
#include <bulkhead/p2m.h>
#include <bulkhead/string.h>

static unsigned walk_flags(const struct insn_ctx *ctx, const struct insn_mem *mem)
{
	unsigned f = ctx->cpl == 3 ? WALK_USER : 0;

	if (mem->access == INSN_ACCESS_WRITE || mem->access == INSN_ACCESS_MODIFY)
		f |= WALK_WRITE;
	if (mem->access == INSN_ACCESS_FETCH)
		f |= WALK_FETCH;
	return f;
}

/* Where one piece of an access (within a page) goes. */
static int translate(struct insn_ctx *ctx, const struct insn_mem *mem, uint64_t linear,
		     gaddr_t *ret)
{
	struct vcpu *v = ctx->opaque;
	uint32_t code;

	if (!guest_walk(v, linear, walk_flags(ctx, mem), ret, &code))
		return 0;
	ctx->fault = (struct insn_fault){.vector = TRAP_PF,
					 .has_error = true,
					 .error = code,
					 .cr2 = linear};
	return -EFAULT;
}

static int device_access(struct vcpu *v, uint64_t gpa, unsigned size, bool write, void *buf)
{
	uint64_t value = 0;
	int err;

	/* The emulator's accesses may be wider than a device's: in pieces of 8. */
	while (size) {
		unsigned n = MIN(size, 8U);

		value = 0;
		if (write)
			memcpy(&value, buf, n);
		if (vlapic_covers(v, gpa)) {
			err = write ? vlapic_mmio_write(v, (uint32_t)(gpa & ~PAGE_MASK), n, value)
				    : vlapic_mmio_read(v, (uint32_t)(gpa & ~PAGE_MASK), n, &value);
		} else {
			err = hvm_mmio_access(v, gpa, n, write, &value);
		}
		if (err)
			return err;
		if (!write)
			memcpy(buf, &value, n);
		buf = (char *)buf + n;
		gpa += n;
		size -= n;
	}
	return 0;
}

static int access_piece(struct insn_ctx *ctx, const struct insn_mem *mem, uint64_t linear,
			unsigned size, bool write, void *buf)
{
	struct vcpu *v = ctx->opaque;
	enum p2m_type t;
	gaddr_t ga;
	int err = translate(ctx, mem, linear, &ga);

	if (err)
		return err;
	(void)p2m_lookup(v->domain, gaddr_to_gfn(ga), &t);
	if (vlapic_covers(v, gaddr_raw(ga)) || t == P2M_NONE)
		return device_access(v, gaddr_raw(ga), size, write, buf);
	if (!p2m_type_is_mappable(t))
		return -EOPNOTSUPP; /* device memory that the guest reaches without us */
	if (write && (t == P2M_RAM_RO || t == P2M_GRANT_RO))
		return 0; /* as ROM: dropped */
	if (write)
		return guest_phys_copy_to(v->domain, ga, buf, size) ? -EOPNOTSUPP : 0;
	return guest_phys_copy_from(buf, v->domain, ga, size) ? -EOPNOTSUPP : 0;
}

static int access_memory(struct insn_ctx *ctx, const struct insn_mem *mem, void *buf, bool write)
{
	unsigned first = (unsigned)MIN((uint64_t)mem->size, PAGE_SIZE - (mem->linear & ~PAGE_MASK));
	int err;

	/* A write that crosses into a page which faults must not have written the first one. */
	if (write && first < mem->size) {
		gaddr_t ga;

		err = translate(ctx, mem, mem->linear + first, &ga);
		if (err)
			return err;
	}
	err = access_piece(ctx, mem, mem->linear, first, write, buf);
	if (!err && first < mem->size)
		err = access_piece(ctx, mem, mem->linear + first, mem->size - first, write,
				   (char *)buf + first);
	return err;
}

static int op_read(struct insn_ctx *ctx, const struct insn_mem *mem, void *buf)
{
	return access_memory(ctx, mem, buf, false);
}

static int op_write(struct insn_ctx *ctx, const struct insn_mem *mem, const void *buf)
{
	return access_memory(ctx, mem, (void *)(uintptr_t)buf, true);
}

static int op_probe_write(struct insn_ctx *ctx, const struct insn_mem *mem)
{
	gaddr_t ga;
	int err = translate(ctx, mem, mem->linear, &ga);

	if (!err && ((mem->linear + mem->size - 1) & PAGE_MASK) != (mem->linear & PAGE_MASK))
		err = translate(ctx, mem, mem->linear + mem->size - 1, &ga);
	return err;
}

static int op_in(struct insn_ctx *ctx, uint16_t port, unsigned int size, uint32_t *ret_value)
{
	uint64_t value = 0;
	int err = hvm_port_access(ctx->opaque, port, size, false, &value);

	*ret_value = (uint32_t)value;
	return err;
}

static int op_out(struct insn_ctx *ctx, uint16_t port, unsigned int size, uint32_t value)
{
	uint64_t v = value;

	return hvm_port_access(ctx->opaque, port, size, true, &v);
}

static const struct insn_ops mmio_ops = {.read = op_read,
					 .write = op_write,
					 .probe_write = op_probe_write};
static const struct insn_ops port_ops = {.read = op_read,
					 .write = op_write,
					 .probe_write = op_probe_write,
					 .in = op_in,
					 .out = op_out};

static void load_context(struct vcpu *v, struct insn_ctx *ctx)
{
	static const enum guest_seg map[INSN_NR_SEGS] = {
		[INSN_ES] = SEG_ES, [INSN_CS] = SEG_CS, [INSN_SS] = SEG_SS,
		[INSN_DS] = SEG_DS, [INSN_FS] = SEG_FS, [INSN_GS] = SEG_GS,
	};
	uint64_t efer = vendor->get_efer(v);

	*ctx = (struct insn_ctx){.rip = v->arch.rip, .rflags = v->arch.rflags, .opaque = v};
	memcpy(ctx->gpr, v->arch.gprs.r, sizeof(ctx->gpr));
	for (unsigned i = 0; i < INSN_NR_SEGS; i++) {
		struct segment s;

		vendor->get_segment(v, map[i], &s);
		ctx->seg[i] = (struct insn_segment){s.base, s.limit, s.attr, s.sel};
	}
	ctx->real_mode = !(vendor->get_cr(v, 0) & X86_CR0_PE) || (v->arch.rflags & X86_EFLAGS_VM);
	if ((efer & X86_EFER_LMA) && (ctx->seg[INSN_CS].attr & 0x200))
		ctx->mode = INSN_MODE_64_AMD;
	else
		ctx->mode = ctx->seg[INSN_CS].attr & INSN_ATTR_BIG ? INSN_MODE_32 : INSN_MODE_16;
	ctx->cpl = (uint8_t)vendor->get_cpl(v);
	ctx->linear_bits = vendor->get_cr(v, 4) & X86_CR4_LA57 ? 57 : 48;
}

static void store_context(struct vcpu *v, const struct insn_ctx *ctx)
{
	memcpy(v->arch.gprs.r, ctx->gpr, sizeof(ctx->gpr));
	v->arch.rip = ctx->rip;
	v->arch.rflags = ctx->rflags;
}

static void emulate(struct vcpu *v, const struct insn_ops *ops, uint64_t gpa)
{
	struct insn_ctx ctx;
	struct insn insn = {0};
	int err;

	load_context(v, &ctx);
	err = insn_fetch(&ctx, ops, &insn);
	if (!err)
		err = insn_emulate(&ctx, ops, &insn);
	switch (err) {
	case 0:
		store_context(v, &ctx);
		vendor->clear_shadow(v);
		if (ctx.debug_trap)
			vcpu_inject_exception(v, TRAP_DB);
		return;
	case -ERESTART:
	case -EAGAIN:
		store_context(v, &ctx); /* iterations that are done */
		return;
	case -EFAULT:
		store_context(v, &ctx);
		if (ctx.fault.vector == TRAP_PF)
			vcpu_inject_page_fault(v, ctx.fault.cr2, ctx.fault.error);
		else if (ctx.fault.has_error)
			vcpu_inject_exception_error(v, ctx.fault.vector, ctx.fault.error);
		else
			vcpu_inject_exception(v, ctx.fault.vector);
		return;
	case -EINVAL:
		vcpu_inject_exception(v, TRAP_UD);
		return;
	case -E2BIG:
		vcpu_inject_exception_error(v, TRAP_GP, 0);
		return;
	default:
		log_guest(
			v->domain, LOG_WARN,
			"vCPU %u at %016lx: access to 0x%lx by an instruction (map %u opcode %02x) that is not emulated\n",
			v->id, v->arch.rip, gpa, insn.map, insn.opcode);
		vcpu_inject_exception(v, TRAP_UD);
	}
}

void exit_emulate(struct vcpu *v)
{
	emulate(v, &port_ops, 0);
}

void exit_nested_fault(struct vcpu *v, uint64_t gpa, bool write, bool fetch, bool table_walk)
{
	struct domain *d = v->domain;
	enum p2m_type t;
	mfn_t m = p2m_lookup(d, gaddr_to_gfn(gaddr_from(gpa)), &t);
	bool writable = t != P2M_RAM_RO && t != P2M_GRANT_RO;

	/* Another vCPU may have mapped the page meanwhile: the guest tries again. */
	if (!mfn_is_invalid(m) && (!write || writable) && !(fetch && t == P2M_MMIO))
		return;
	if (fetch || table_walk) {
		/* Neither code nor page tables can lie in a device's registers. */
		log_guest(d, LOG_WARN,
			  "vCPU %u at %016lx: %s at guest address 0x%lx, where no memory is\n",
			  v->id, v->arch.rip, fetch ? "execution" : "page table", gpa);
		vcpu_inject_exception_error(v, TRAP_GP, 0);
		return;
	}
	if (t == P2M_GRANT_RO && write) {
		log_guest(d, LOG_WARN,
			  "vCPU %u at %016lx: write to 0x%lx, granted for reading only\n", v->id,
			  v->arch.rip, gpa);
		vcpu_inject_exception_error(v, TRAP_GP, 0);
		return;
	}
	emulate(v, &mmio_ops, gpa);
}
