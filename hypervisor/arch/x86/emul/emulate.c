/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fetching and emulating one instruction of a guest. */
#include <bulkhead/errno.h>

#include "decode.h"
#include "emul.h"

#define PAGE_BYTES 4096U

/* How many bytes of the instruction may be fetched at rip, as far as the code segment goes, and from where. */
static unsigned int fetchable(const struct insn_ctx *ctx, uint64_t rip, uint64_t *ret_linear)
{
	const struct insn_segment *cs = &ctx->seg[INSN_CS];
	uint64_t left;

	if (insn_is_64((enum insn_mode)ctx->mode)) {
		*ret_linear = rip;
		/* As for data, the last byte of the address space is out of reach. */
		left = emul_is_canonical(ctx, rip) ? UINT64_MAX - rip : 0;
	} else {
		*ret_linear = (uint32_t)(cs->base + rip);
		left = rip <= cs->limit ? cs->limit - rip + 1 : 0;
	}
	return left < INSN_MAX_LENGTH ? (unsigned int)left : INSN_MAX_LENGTH;
}

int insn_fetch(struct insn_ctx *ctx, const struct insn_ops *ops, struct insn *ret_insn)
{
	uint8_t bytes[INSN_MAX_LENGTH];
	unsigned int have = 0;

	/* Two rounds at most: an instruction touches at most two pages. */
	while (have < INSN_MAX_LENGTH) {
		struct insn_mem mem = {.seg = INSN_CS, .access = INSN_ACCESS_FETCH};
		unsigned int max = fetchable(ctx, ctx->rip + have, &mem.linear);
		unsigned int page_left = PAGE_BYTES - (unsigned int)(mem.linear % PAGE_BYTES);
		int rc;

		if (max == 0)
			return emul_raise(ctx, INSN_VECTOR_GP, true);
		if (max > INSN_MAX_LENGTH - have)
			max = INSN_MAX_LENGTH - have;
		mem.size = (uint8_t)(max < page_left ? max : page_left);
		rc = ops->read(ctx, &mem, bytes + have);
		if (rc)
			return rc;
		have += mem.size;
		rc = insn_decode(ret_insn, bytes, have, (enum insn_mode)ctx->mode);
		if (rc != -EAGAIN)
			return rc;
	}
	return -E2BIG; /* not reached: the decoder never asks for more than INSN_MAX_LENGTH */
}

static int dispatch(struct emul *e)
{
	/* Real mode does not know VEX (SDM 2, 2.3.2). */
	if (e->insn->encoding == INSN_VEX && !e->ctx->real_mode)
		return emul_vector(e);
	if (e->insn->encoding != INSN_LEGACY)
		return -EOPNOTSUPP;
	switch (e->insn->map) {
	case INSN_MAP_1BYTE:
		return emul_1byte(e);
	case INSN_MAP_0F:
		return emul_0f(e);
	case INSN_MAP_0F38:
		return emul_0f38(e);
	default:
		return -EOPNOTSUPP;
	}
}

int insn_emulate(struct insn_ctx *ctx, const struct insn_ops *ops, const struct insn *insn)
{
	bool trap = ctx->rflags & INSN_FLAG_TF, done = true;
	struct emul e;
	int rc;

	ctx->debug_trap = false;
	emul_start(&e, ctx, ops, insn);
	if (emul_is_string(insn)) {
		rc = emul_string(&e, &done);
		if (!rc && !done)
			rc = -ERESTART;
	} else {
		rc = dispatch(&e);
		if (!rc)
			emul_commit(&e);
	}

	if (rc && rc != -ERESTART)
		return rc;
	if (!rc) {
		ctx->rip = insn_next_rip(insn, ctx->rip);
		/* A completed instruction ends the effect of RF (APM 2, 3.1.6). */
		ctx->rflags &= ~(uint64_t)INSN_FLAG_RF;
	}
	ctx->debug_trap = trap && (!rc || !done);
	return rc;
}
