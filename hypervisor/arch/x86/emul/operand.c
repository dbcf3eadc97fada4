/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operands of emulated instructions: registers, segmentation, memory. */
#include <bulkhead/errno.h>

#include "decode.h"
#include "emul.h"

void emul_start(struct emul *e, struct insn_ctx *ctx, const struct insn_ops *ops,
		const struct insn *insn)
{
	e->ctx = ctx;
	e->ops = ops;
	e->insn = insn;
	e->rflags = ctx->rflags;
	__builtin_memcpy(e->gpr, ctx->gpr, sizeof(e->gpr));
}

void emul_commit(const struct emul *e)
{
	__builtin_memcpy(e->ctx->gpr, e->gpr, sizeof(e->gpr));
	e->ctx->rflags = e->rflags;
}

uint64_t emul_get_reg(const struct emul *e, unsigned int reg, unsigned int size)
{
	return e->gpr[reg & 15] & emul_mask(size);
}

void emul_set_reg(struct emul *e, unsigned int reg, unsigned int size, uint64_t value)
{
	uint64_t mask = emul_mask(size);

	/* Four bytes clear the upper half, one and two leave the rest alone (APM 1, 3.1.2.3). */
	if (size == 4)
		e->gpr[reg & 15] = (uint32_t)value;
	else
		e->gpr[reg & 15] = (e->gpr[reg & 15] & ~mask) | (value & mask);
}

static bool is_high_byte(const struct emul *e, unsigned int reg, unsigned int size)
{
	return size == 1 && reg >= 4 && reg < 8 && !(e->insn->prefixes & INSN_PFX_REX);
}

uint64_t emul_get_operand_reg(const struct emul *e, unsigned int reg, unsigned int size)
{
	if (is_high_byte(e, reg, size))
		return e->gpr[reg - 4] >> 8 & 0xff;
	return emul_get_reg(e, reg, size);
}

void emul_set_operand_reg(struct emul *e, unsigned int reg, unsigned int size, uint64_t value)
{
	if (is_high_byte(e, reg, size))
		e->gpr[reg - 4] = (e->gpr[reg - 4] & ~0xff00ULL) | (value & 0xff) << 8;
	else
		emul_set_reg(e, reg, size, value);
}

/* The exceptions that emulation itself finds carry an error code of zero or none. */
int emul_raise(struct insn_ctx *ctx, uint8_t vector, bool has_error)
{
	ctx->fault = (struct insn_fault){.vector = vector, .has_error = has_error};
	return -EFAULT;
}

uint64_t emul_offset(const struct emul *e)
{
	const struct insn *insn = e->insn;
	uint64_t offset = (uint64_t)insn->disp;

	if (insn->rip_relative)
		offset += insn_next_rip(insn, e->ctx->rip);
	if (insn->base != INSN_NO_REG)
		offset += e->gpr[insn->base & 15];
	if (insn->index != INSN_NO_REG)
		offset += e->gpr[insn->index & 15] << (insn->scale & 3);
	return offset & emul_mask(insn->addr_size);
}

bool emul_is_canonical(const struct insn_ctx *ctx, uint64_t linear)
{
	unsigned int shift = ctx->linear_bits == 57 ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(linear << shift) >> shift) == linear;
}

/* May the segment be accessed in this way? Type and limit (APM 2, 4.8 and 4.12). */
static bool segment_allows(const struct insn_ctx *ctx, const struct insn_segment *segment,
			   uint64_t offset, uint64_t size, bool write)
{
	uint64_t last = offset + size - 1;
	bool code = segment->attr & INSN_ATTR_CODE;

	if (!ctx->real_mode) {
		if (!(segment->attr & INSN_ATTR_PRESENT))
			return false;
		/* Code is never written; the same bit means readable for code and writable for data. */
		if (write && code)
			return false;
		if ((write || code) && !(segment->attr & INSN_ATTR_WRITE))
			return false;
		if (!code && segment->attr & INSN_ATTR_EXPAND_DOWN)
			return offset > segment->limit &&
			       last <= (segment->attr & INSN_ATTR_BIG ? UINT32_MAX : UINT16_MAX);
	}
	return last <= segment->limit;
}

/* The linear address of an access of 1 to 2^32 bytes at an offset of at most 32 bits or, in 64-bit mode, any. */
int emul_linear(struct emul *e, enum insn_seg seg, uint64_t offset, uint64_t size, bool write,
		uint64_t *ret_linear)
{
	struct insn_ctx *ctx = e->ctx;
	const struct insn_segment *segment = &ctx->seg[seg];
	uint64_t linear;

	if (insn_is_64((enum insn_mode)e->insn->mode)) {
		linear = offset + (seg >= INSN_FS ? segment->base : 0);
		if (emul_is_canonical(ctx, linear) && emul_is_canonical(ctx, linear + size - 1) &&
		    linear + size > linear) {
			*ret_linear = linear;
			return 0;
		}
	} else if (segment_allows(ctx, segment, offset, size, write)) {
		linear = (uint32_t)(segment->base + offset);
		if (linear + size <= 1ULL << 32) {
			*ret_linear = linear;
			return 0;
		}
	}
	return emul_raise(ctx, seg == INSN_SS ? INSN_VECTOR_SS : INSN_VECTOR_GP, true);
}

/* XCHG with memory locks the bus without being told. */
static bool is_locked(const struct insn *insn)
{
	return insn->prefixes & INSN_PFX_LOCK ||
	       (insn->map == INSN_MAP_1BYTE && (insn->opcode & 0xfe) == 0x86);
}

static int locate(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size,
		  enum insn_access access, struct insn_mem *ret_mem)
{
	bool write = access == INSN_ACCESS_WRITE || access == INSN_ACCESS_MODIFY;
	uint64_t linear;
	int rc = emul_linear(e, seg, offset, size, write, &linear);

	if (rc)
		return rc;
	*ret_mem = (struct insn_mem){
		.linear = linear,
		.size = (uint8_t)size,
		.seg = (uint8_t)seg,
		.access = (uint8_t)access,
		.locked = is_locked(e->insn),
	};
	return 0;
}

int emul_probe(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size)
{
	struct insn_mem mem;
	int rc = locate(e, seg, offset, size, INSN_ACCESS_WRITE, &mem);

	if (rc || !e->ops->probe_write)
		return rc;
	return e->ops->probe_write(e->ctx, &mem);
}

int emul_load(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size,
	      enum insn_access access, void *buf)
{
	struct insn_mem mem;
	int rc = locate(e, seg, offset, size, access, &mem);

	return rc ? rc : e->ops->read(e->ctx, &mem, buf);
}

int emul_store(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size,
	       const void *buf)
{
	struct insn_mem mem;
	int rc = locate(e, seg, offset, size, INSN_ACCESS_WRITE, &mem);

	return rc ? rc : e->ops->write(e->ctx, &mem, buf);
}

/* x86 is little-endian: the first bytes of a number are its low ones. */
int emul_read(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size,
	      enum insn_access access, uint64_t *ret_value)
{
	uint64_t value = 0;
	int rc = emul_load(e, seg, offset, size, access, &value);

	if (!rc)
		*ret_value = value;
	return rc;
}

int emul_write(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size,
	       uint64_t value)
{
	return emul_store(e, seg, offset, size, &value);
}

int emul_read_rm(struct emul *e, unsigned int size, enum insn_access access, uint64_t *ret_value)
{
	if (e->insn->has_mem)
		return emul_read(e, (enum insn_seg)e->insn->seg, emul_offset(e), size, access,
				 ret_value);
	*ret_value = emul_get_operand_reg(e, e->insn->rm, size);
	return 0;
}

int emul_write_rm(struct emul *e, unsigned int size, uint64_t value)
{
	if (e->insn->has_mem)
		return emul_write(e, (enum insn_seg)e->insn->seg, emul_offset(e), size, value);
	emul_set_operand_reg(e, e->insn->rm, size, value);
	return 0;
}

int emul_replace(struct emul *e, uint64_t offset, unsigned int size, const void *old,
		 const void *new_value)
{
	struct insn_mem mem;
	int rc = locate(e, (enum insn_seg)e->insn->seg, offset, size, INSN_ACCESS_WRITE, &mem);

	if (rc)
		return rc;
	if (mem.locked && e->ops->cmpxchg)
		return e->ops->cmpxchg(e->ctx, &mem, old, new_value);
	return e->ops->write(e->ctx, &mem, new_value);
}

int emul_replace_rm(struct emul *e, unsigned int size, uint64_t old, uint64_t value)
{
	if (e->insn->has_mem)
		return emul_replace(e, emul_offset(e), size, &old, &value);
	emul_set_operand_reg(e, e->insn->rm, size, value);
	return 0;
}
