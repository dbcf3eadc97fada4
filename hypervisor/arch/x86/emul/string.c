/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Emulation of string instructions and of port I/O (APM 3, "REP prefixes", IN, OUT, INS, OUTS). */
#include <bulkhead/errno.h>

#include "emul.h"

/* The elements of port instructions have at most four bytes, REX.W or not. */
static unsigned int port_size(const struct insn *insn)
{
	unsigned int size = emul_size(insn);

	return size == 8 ? 4 : size;
}

static int port_read(struct emul *e, uint16_t port, unsigned int size, uint32_t *ret_value)
{
	return e->ops->in ? e->ops->in(e->ctx, port, size, ret_value) : -EOPNOTSUPP;
}

static int port_write(struct emul *e, uint16_t port, unsigned int size, uint32_t value)
{
	return e->ops->out ? e->ops->out(e->ctx, port, size, value) : -EOPNOTSUPP;
}

/* IN and OUT: E4 to E7 with an immediate port, EC to EF with DX. */
int emul_port(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = port_size(insn);
	uint16_t port;
	uint32_t value;
	int rc;

	if ((insn->opcode & 0xf4) != 0xe4)
		return -EOPNOTSUPP;
	port = insn->opcode & 8 ? (uint16_t)e->gpr[INSN_RDX] : (uint8_t)insn->imm;
	if (insn->opcode & 2)
		return port_write(e, port, size, (uint32_t)emul_get_reg(e, INSN_RAX, size));
	rc = port_read(e, port, size, &value);
	if (!rc)
		emul_set_reg(e, INSN_RAX, size, value);
	return rc;
}

enum string_op {
	STRING_INS,
	STRING_OUTS,
	STRING_MOVS,
	STRING_CMPS,
	STRING_STOS,
	STRING_LODS,
	STRING_SCAS,
	STRING_NONE,
};

static enum string_op string_op(const struct insn *insn)
{
	if (insn->encoding != INSN_LEGACY || insn->map != INSN_MAP_1BYTE)
		return STRING_NONE;
	switch (insn->opcode & 0xfe) {
	case 0x6c:
		return STRING_INS;
	case 0x6e:
		return STRING_OUTS;
	case 0xa4:
		return STRING_MOVS;
	case 0xa6:
		return STRING_CMPS;
	case 0xaa:
		return STRING_STOS;
	case 0xac:
		return STRING_LODS;
	case 0xae:
		return STRING_SCAS;
	default:
		return STRING_NONE;
	}
}

bool emul_is_string(const struct insn *insn)
{
	return string_op(insn) != STRING_NONE;
}

struct string {
	enum string_op op;
	unsigned int size;
	uint64_t mask; /* of offsets and of the count */
	bool repeated;
	bool down;
	bool has_src; /* seg:[rSI] */
	bool has_dst; /* ES:[rDI] */
};

static struct string string_of(const struct emul *e)
{
	enum string_op op = string_op(e->insn);

	return (struct string){
		.op = op,
		.size = op <= STRING_OUTS ? port_size(e->insn) : emul_size(e->insn),
		.mask = emul_mask(e->insn->addr_size),
		.repeated = e->insn->prefixes & (INSN_PFX_REP | INSN_PFX_REPNE),
		.down = e->rflags & INSN_FLAG_DF,
		.has_src = op == STRING_OUTS || op == STRING_MOVS || op == STRING_CMPS ||
			   op == STRING_LODS,
		.has_dst = op != STRING_OUTS && op != STRING_LODS,
	};
}

/* Moves the pointers past count elements, and counts them. */
static void advance(struct emul *e, const struct string *string, uint32_t count)
{
	unsigned int width = e->insn->addr_size;
	uint64_t step = (uint64_t)count * string->size;

	if (string->down)
		step = -step;
	if (string->has_src)
		emul_set_reg(e, INSN_RSI, width, e->gpr[INSN_RSI] + step);
	if (string->has_dst)
		emul_set_reg(e, INSN_RDI, width, e->gpr[INSN_RDI] + step);
	if (string->repeated)
		emul_set_reg(e, INSN_RCX, width, e->gpr[INSN_RCX] - count);
}

static int string_in(struct emul *e, uint64_t dst, unsigned int size)
{
	uint32_t value;
	int rc;

	if (!e->ops->in)
		return -EOPNOTSUPP;
	/* A device's datum is lost if it turns out later that it cannot be stored. */
	rc = emul_probe(e, INSN_ES, dst, size);
	if (rc)
		return rc;
	rc = port_read(e, (uint16_t)e->gpr[INSN_RDX], size, &value);
	return rc ? rc : emul_write(e, INSN_ES, dst, size, value);
}

/* One element; the pointers stay. */
static int string_element(struct emul *e, const struct string *string)
{
	enum insn_seg seg = (enum insn_seg)e->insn->seg;
	uint64_t src = e->gpr[INSN_RSI] & string->mask, dst = e->gpr[INSN_RDI] & string->mask;
	uint64_t accumulator = emul_get_reg(e, INSN_RAX, string->size), value = 0, other;
	unsigned int size = string->size;
	int rc;

	if (string->op == STRING_OUTS && !e->ops->out)
		return -EOPNOTSUPP;
	if (string->has_src) {
		rc = emul_read(e, seg, src, size, INSN_ACCESS_READ, &value);
		if (rc)
			return rc;
	}
	switch (string->op) {
	case STRING_INS:
		return string_in(e, dst, size);
	case STRING_OUTS:
		return port_write(e, (uint16_t)e->gpr[INSN_RDX], size, (uint32_t)value);
	case STRING_MOVS:
		return emul_write(e, INSN_ES, dst, size, value);
	case STRING_STOS:
		return emul_write(e, INSN_ES, dst, size, accumulator);
	case STRING_LODS:
		emul_set_reg(e, INSN_RAX, size, value);
		return 0;
	case STRING_CMPS:
	case STRING_SCAS:
		rc = emul_read(e, INSN_ES, dst, size, INSN_ACCESS_READ, &other);
		if (rc)
			return rc;
		alu_binary(ALU_CMP, string->op == STRING_CMPS ? value : accumulator, other, size,
			   &e->rflags);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/* The linear address of the first of count elements, if all of them can be accessed without wrapping. */
static bool bulk_range(struct emul *e, const struct string *string, enum insn_seg seg,
		       uint64_t offset, uint32_t count, bool write, uint64_t *ret_first)
{
	uint64_t before = (uint64_t)(count - 1) * string->size, lowest = offset, linear;

	if (string->down) {
		if (offset < before)
			return false;
		lowest = offset - before;
	}
	if (lowest + before + string->size - 1 > string->mask || lowest + before < lowest ||
	    emul_linear(e, seg, lowest, before + string->size, write, &linear))
		return false;
	*ret_first = string->down ? linear + before : linear;
	return true;
}

/* Offers up to limit iterations to the callback; *ret_done of them are done then. */
static int string_bulk(struct emul *e, const struct string *string, uint32_t limit,
		       uint32_t *ret_done)
{
	static const uint8_t kinds[] = {
		[STRING_INS] = INSN_BULK_INS,
		[STRING_OUTS] = INSN_BULK_OUTS,
		[STRING_MOVS] = INSN_BULK_MOVS,
		[STRING_STOS] = INSN_BULK_STOS,
	};
	uint64_t left = e->gpr[INSN_RCX] & string->mask;
	struct insn_bulk bulk = {
		.size = (uint8_t)string->size,
		.down = string->down,
		.src_seg = e->insn->seg,
		.count = left < limit ? (uint32_t)left : limit,
		.port = (uint16_t)e->gpr[INSN_RDX],
		.value = emul_get_reg(e, INSN_RAX, string->size),
	};
	uint32_t done = 0;
	int rc;

	*ret_done = 0;
	if (!e->ops->bulk || !string->repeated || bulk.count < 2 || string->op > STRING_STOS ||
	    string->op == STRING_CMPS || (string->op == STRING_INS && !e->ops->in) ||
	    (string->op == STRING_OUTS && !e->ops->out))
		return 0;
	bulk.kind = kinds[string->op];
	if (string->has_src &&
	    !bulk_range(e, string, (enum insn_seg)e->insn->seg, e->gpr[INSN_RSI] & string->mask,
			bulk.count, false, &bulk.src))
		return 0;
	if (string->has_dst && !bulk_range(e, string, INSN_ES, e->gpr[INSN_RDI] & string->mask,
					   bulk.count, true, &bulk.dst))
		return 0;
	rc = e->ops->bulk(e->ctx, &bulk, &done);
	*ret_done = done < bulk.count ? done : bulk.count;
	return rc;
}

/* Does a comparison end the repetition? REPE goes on while equal, REPNE while not. */
static bool comparison_ends(const struct emul *e, const struct string *string)
{
	bool equal = e->rflags & INSN_FLAG_ZF;

	if (string->op != STRING_CMPS && string->op != STRING_SCAS)
		return false;
	return e->insn->prefixes & INSN_PFX_REP ? !equal : equal;
}

int emul_string(struct emul *e, bool *ret_done)
{
	const struct string string = string_of(e);
	uint32_t limit = e->ctx->rep_limit ? e->ctx->rep_limit : INSN_REP_LIMIT;
	uint32_t done;
	int rc;

	*ret_done = true;
	if (!string.repeated) {
		rc = string_element(e, &string);
		if (!rc) {
			advance(e, &string, 1);
			emul_commit(e);
		}
		return rc;
	}

	/* Every iteration is a place for a debug trap. */
	if (e->rflags & INSN_FLAG_TF)
		limit = 1;
	while (e->gpr[INSN_RCX] & string.mask) {
		if (limit == 0) {
			*ret_done = false;
			return 0;
		}
		rc = string_bulk(e, &string, limit, &done);
		if (!rc && done == 0) {
			rc = string_element(e, &string);
			done = rc ? 0 : 1;
		}
		if (done) {
			advance(e, &string, done);
			limit -= done;
			emul_commit(e);
			if (e->ops->step_done)
				e->ops->step_done(e->ctx);
		}
		if (rc)
			return rc;
		if (comparison_ends(e, &string))
			break;
	}
	return 0;
}
