/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The instruction emulator at work on a vCPU: MMIO after nested page faults, string I/O, and the memory behind both. */
#include <arch/cpu.h>
#include <arch/exit.h>
#include <arch/guest_walk.h>
#include <arch/hvm_io.h>
#include <arch/p2m.h>
#include <arch/traps.h>
#include <arch/vendor.h>
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/pod.h>
#include <bulkhead/string.h>

/* The port access that an exit was about. */
struct port_exit {
	uint16_t port;
	uint8_t size;
	bool in;
};

/* What stays the same for one instruction, behind insn_ctx.opaque. */
struct emulation {
	struct vcpu *vcpu;
	const struct port_exit *port; /* NULL: none */
	/* Translations already made: an instruction has two operands, a repeated one comes back to their pages. */
	struct translation {
		uint64_t page;	 /* linear */
		unsigned access; /* WALK_* that are known to be allowed; ~0: empty */
		uint64_t gpa;
	} cache[2];
	unsigned next; /* to be replaced */
};

static struct emulation *emulation_of(const struct insn_ctx *ctx)
{
	return ctx->opaque;
}

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
	struct emulation *e = emulation_of(ctx);
	uint64_t page = linear & PAGE_MASK, offset = linear & ~PAGE_MASK;
	unsigned access = walk_flags(ctx, mem);
	struct translation *t;
	uint32_t code;

	for (unsigned i = 0; i < ARRAY_SIZE(e->cache); i++) {
		t = &e->cache[i];
		if (t->page == page && t->access == access) {
			*ret = gaddr_from(t->gpa | offset);
			return 0;
		}
	}
	if (guest_walk(e->vcpu, linear, access, ret, &code)) {
		ctx->fault = (struct insn_fault){.vector = TRAP_PF,
						 .has_error = true,
						 .error = code,
						 .cr2 = linear};
		return -EFAULT;
	}
	t = &e->cache[e->next];
	e->next = (e->next + 1) % ARRAY_SIZE(e->cache);
	*t = (struct translation){page, access, gaddr_raw(*ret) & PAGE_MASK};
	return 0;
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

/* Is this address a device's, the guest's memory, or neither (-EOPNOTSUPP: device memory that the guest reaches without us)? */
static int classify(struct vcpu *v, gaddr_t ga, bool *ret_device, bool *ret_writable)
{
	enum p2m_type t;

	(void)p2m_lookup(v->domain, gaddr_to_gfn(ga), &t);
	if (t == P2M_POD && pod_touch(v->domain, gaddr_to_gfn(ga)))
		t = P2M_RAM;
	*ret_device = vlapic_covers(v, gaddr_raw(ga)) || t == P2M_NONE;
	*ret_writable = t != P2M_RAM_RO && t != P2M_GRANT_RO;
	return *ret_device || p2m_type_is_mappable(t) ? 0 : -EOPNOTSUPP;
}

static int access_piece(struct insn_ctx *ctx, const struct insn_mem *mem, uint64_t linear,
			unsigned size, bool write, void *buf)
{
	struct vcpu *v = emulation_of(ctx)->vcpu;
	bool device, writable;
	gaddr_t ga;
	int err = translate(ctx, mem, linear, &ga);

	if (!err)
		err = classify(v, ga, &device, &writable);
	if (err)
		return err;
	/* The CPU does not fetch code from a device; nor will this, as it would be a read of a register. */
	if (device && mem->access == INSN_ACCESS_FETCH)
		return -EOPNOTSUPP;
	if (device)
		return device_access(v, gaddr_raw(ga), size, write, buf);
	if (write && !writable)
		return 0; /* as ROM: dropped */
	if (write)
		err = guest_phys_copy_to(v->domain, ga, buf, size);
	else
		err = guest_phys_copy_from(buf, v->domain, ga, size);
	/* It was there a moment ago: another vCPU is changing the map. */
	return err ? -ERESTART : 0;
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

/* Compares and exchanges `size` bytes at p, which need no alignment but for 16 of them. True: done. */
static bool exchange(void *p, unsigned size, const void *expected, const void *desired)
{
	uint64_t old[2] = {0}, new[2] = {0};
	bool same;

	memcpy(old, expected, size);
	memcpy(new, desired, size);
	switch (size) {
	case 1:
		__asm__ volatile("lock cmpxchgb %b3, %1"
				 : "=@ccz"(same), "+m"(*(uint8_t *)p), "+a"(old[0])
				 : "q"(new[0])
				 : "memory");
		break;
	case 2:
		__asm__ volatile("lock cmpxchgw %w3, %1"
				 : "=@ccz"(same), "+m"(*(uint16_t *)p), "+a"(old[0])
				 : "r"(new[0])
				 : "memory");
		break;
	case 4:
		__asm__ volatile("lock cmpxchgl %k3, %1"
				 : "=@ccz"(same), "+m"(*(uint32_t *)p), "+a"(old[0])
				 : "r"(new[0])
				 : "memory");
		break;
	case 8:
		__asm__ volatile("lock cmpxchgq %3, %1"
				 : "=@ccz"(same), "+m"(*(uint64_t *)p), "+a"(old[0])
				 : "r"(new[0])
				 : "memory");
		break;
	default:
		__asm__ volatile("lock cmpxchg16b %1"
				 : "=@ccz"(same), "+m"(*(char(*)[16])p), "+a"(old[0]), "+d"(old[1])
				 : "b"(new[0]), "c"(new[1])
				 : "memory");
		break;
	}
	return same;
}

/* On the guest's own memory, against its other vCPUs. The frame stays where it is while the lock is held. */
static int exchange_ram(struct domain *d, gaddr_t ga, unsigned size, const void *expected,
			const void *desired)
{
	unsigned offset = (unsigned)(gaddr_raw(ga) & ~PAGE_MASK);
	int err = -ERESTART;
	enum p2m_type t;
	char *p;
	mfn_t m;

	if (size == 16 && offset % 16)
		return -EOPNOTSUPP; /* #GP of the CPU's own, before anything is emulated */
	read_lock(&d->arch.p2m.lock);
	m = p2m_lookup_locked(d, gaddr_to_gfn(ga), &t);
	if (p2m_type_is_mappable(t) && t != P2M_RAM_RO && t != P2M_GRANT_RO && mfn_valid(m)) {
		p = window_map(m);
		if (exchange(p + offset, size, expected, desired))
			err = 0;
		window_unmap(p);
	}
	read_unlock(&d->arch.p2m.lock);
	return err;
}

static int op_cmpxchg(struct insn_ctx *ctx, const struct insn_mem *mem, const void *expected,
		      const void *desired)
{
	struct vcpu *v = emulation_of(ctx)->vcpu;
	bool device, writable;
	gaddr_t ga;
	int err;

	/* Over the border of two pages there is no atomic access; that one of them is a device's is why we are here. */
	if ((mem->linear & ~PAGE_MASK) + mem->size > PAGE_SIZE)
		return op_write(ctx, mem, desired);
	err = translate(ctx, mem, mem->linear, &ga);
	if (!err)
		err = classify(v, ga, &device, &writable);
	if (err)
		return err;
	/* What a device held was read just now, by this instruction. */
	if (device || !writable)
		return op_write(ctx, mem, desired);
	return exchange_ram(v->domain, ga, mem->size, expected, desired);
}

/* Is this the access that the exit was about? If not, the guest has changed its code, and executes what is there now. */
static bool port_expected(const struct insn_ctx *ctx, uint16_t port, unsigned size, bool in)
{
	const struct port_exit *x = emulation_of(ctx)->port;

	return x->port == port && x->size == size && x->in == in;
}

static int op_in(struct insn_ctx *ctx, uint16_t port, unsigned int size, uint32_t *ret_value)
{
	uint64_t value = 0;
	int err;

	*ret_value = 0;
	if (!port_expected(ctx, port, size, true))
		return -ERESTART;
	err = hvm_port_access(emulation_of(ctx)->vcpu, port, size, false, &value);
	*ret_value = (uint32_t)value;
	return err;
}

static int op_out(struct insn_ctx *ctx, uint16_t port, unsigned int size, uint32_t value)
{
	uint64_t v = value;

	if (!port_expected(ctx, port, size, false))
		return -ERESTART;
	return hvm_port_access(emulation_of(ctx)->vcpu, port, size, true, &v);
}

/*
 * No `bulk`: of what the hypervisor itself emulates nothing is a stream of data, and the translations of a repeated
 * instruction are remembered. No log of accesses that are done (step_done) either: of the devices only configuration space
 * makes a vCPU wait, before it does anything, and its reads have no side effects.
 */
static const struct insn_ops mmio_ops = {.read = op_read,
					 .write = op_write,
					 .cmpxchg = op_cmpxchg,
					 .probe_write = op_probe_write};
static const struct insn_ops port_ops = {.read = op_read,
					 .write = op_write,
					 .cmpxchg = op_cmpxchg,
					 .probe_write = op_probe_write,
					 .in = op_in,
					 .out = op_out};

static void load_context(struct vcpu *v, struct insn_ctx *ctx, struct emulation *e)
{
	static const enum guest_seg map[INSN_NR_SEGS] = {
		[INSN_ES] = SEG_ES, [INSN_CS] = SEG_CS, [INSN_SS] = SEG_SS,
		[INSN_DS] = SEG_DS, [INSN_FS] = SEG_FS, [INSN_GS] = SEG_GS,
	};
	uint64_t efer = vendor->get_efer(v);

	*ctx = (struct insn_ctx){.rip = v->arch.rip, .rflags = v->arch.rflags, .opaque = e};
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

static void raise_fault(struct vcpu *v, const struct insn_fault *f)
{
	if (f->vector == TRAP_PF)
		vcpu_inject_page_fault(v, f->cr2, f->error);
	else if (f->has_error)
		vcpu_inject_exception_error(v, f->vector, f->error);
	else
		vcpu_inject_exception(v, f->vector);
}

/* Could this instruction have accessed memory? Some do without a memory operand: stack, strings, XLAT, MASKMOVQ. */
static bool touches_memory(const struct insn *insn)
{
	static const struct {
		uint8_t first, last;
	} implicit[] = {
		{0x06, 0x07}, {0x0e, 0x0e}, {0x16, 0x17}, {0x1e, 0x1f}, {0x50, 0x61}, {0x68, 0x68},
		{0x6a, 0x6a}, {0x6c, 0x6f}, {0x8f, 0x8f}, {0x9a, 0x9a}, {0x9c, 0x9d}, {0xa4, 0xa7},
		{0xaa, 0xaf}, {0xc2, 0xc3}, {0xc8, 0xcf}, {0xd7, 0xd7}, {0xe8, 0xe8},
	};

	if (insn->has_mem || insn->encoding != INSN_LEGACY)
		return true;
	if (insn->map == INSN_MAP_0F) /* PUSH and POP of FS and GS */
		return (insn->opcode & 0xf6) == 0xa0 || insn->opcode == 0xf7;
	if (insn->map != INSN_MAP_1BYTE)
		return false;
	if (insn->opcode == 0xff) /* CALL and PUSH of a register */
		return (insn->reg & 7) == 2 || (insn->reg & 7) == 6;
	for (unsigned i = 0; i < ARRAY_SIZE(implicit); i++) {
		if (insn->opcode >= implicit[i].first && insn->opcode <= implicit[i].last)
			return true;
	}
	return false;
}

static void not_emulated(struct vcpu *v, const struct insn *insn, uint64_t gpa)
{
	/* This cannot be what the exit was about: the code was changed meanwhile, and the guest executes what is there now. */
	if (!touches_memory(insn))
		return;
	log_guest(
		v->domain, LOG_WARN,
		"vCPU %u at %016lx: access to 0x%lx by an instruction (map %u opcode %02x) that is not emulated\n",
		v->id, v->arch.rip, gpa, insn->map, insn->opcode);
	vcpu_inject_exception(v, TRAP_UD);
}

static void emulate(struct vcpu *v, const struct insn_ops *ops, const struct port_exit *port,
		    uint64_t gpa)
{
	struct emulation e = {.vcpu = v, .port = port, .cache = {{.access = ~0U}, {.access = ~0U}}};
	struct insn insn = {0};
	struct insn_ctx ctx;
	int err;

	load_context(v, &ctx, &e);
	err = insn_fetch(&ctx, ops, &insn);
	if (!err)
		err = insn_emulate(&ctx, ops, &insn);
	/* All, or the iterations that are done, or nothing: the context says it. */
	store_context(v, &ctx);
	switch (err) {
	case 0:
		vendor->clear_shadow(v);
		if (ctx.debug_trap)
			vcpu_inject_step_trap(v);
		break;
	case -ERESTART:
		if (ctx.debug_trap)
			vcpu_inject_step_trap(v);
		break;
	case -EAGAIN:
		break;
	case -EFAULT:
		raise_fault(v, &ctx.fault);
		break;
	case -EINVAL:
		vcpu_inject_exception(v, TRAP_UD);
		break;
	case -E2BIG:
		vcpu_inject_exception_error(v, TRAP_GP, 0);
		break;
	default:
		not_emulated(v, &insn, gpa);
	}
}

void exit_string_port(struct vcpu *v, unsigned port, unsigned size, bool in)
{
	const struct port_exit x = {(uint16_t)port, (uint8_t)size, in};

	emulate(v, &port_ops, &x, port);
}

static void refuse(struct vcpu *v, const struct nested_fault *f, const char *what)
{
	log_guest(v->domain, LOG_WARN, "vCPU %u at %016lx: %s 0x%lx\n", v->id, v->arch.rip, what,
		  f->gpa);
	vcpu_inject_exception_error(v, TRAP_GP, 0);
}

void exit_nested_fault(struct vcpu *v, const struct nested_fault *f)
{
	enum p2m_type t;
	mfn_t m = p2m_lookup(v->domain, gaddr_to_gfn(gaddr_from(f->gpa)), &t);
	bool writable = t != P2M_RAM_RO && t != P2M_GRANT_RO;

	if (t == P2M_POD) {
		pod_fault(v->domain, gaddr_to_gfn(gaddr_from(f->gpa)));
		return;
	}
	/* Another vCPU may have mapped the page meanwhile: the guest tries again. */
	if (!mfn_is_invalid(m) && (!f->write || writable) && !(f->fetch && t == P2M_MMIO))
		return;
	if (f->delivery) {
		/* Its stack or descriptor tables are where no memory is: a CPU could not go on either. */
		log_guest(v->domain, LOG_WARN,
			  "vCPU %u at %016lx: event delivery touches 0x%lx, where no memory is\n",
			  v->id, v->arch.rip, f->gpa);
		exit_triple_fault(v);
	} else if (f->table_walk) {
		/* Page tables can lie in a device's registers as little as code can. */
		refuse(v, f, "page table where no memory is, at");
	} else if (f->fetch) {
		refuse(v, f, "execution where no memory is, at");
	} else if (t == P2M_GRANT_RO && f->write) {
		refuse(v, f, "write to a page granted for reading only, at");
	} else {
		emulate(v, &mmio_ops, NULL, f->gpa);
	}
}
