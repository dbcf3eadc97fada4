/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instruction decoder: prefixes, opcode, operands, length (APM 3, chapter 1; SDM 2, chapter 2). */
#include <bulkhead/errno.h>
#include <arch/insn.h>

#include "decode.h"

struct cursor {
	const uint8_t *bytes;
	unsigned int length;
	unsigned int pos;
};

/* The next n bytes, at most 8, as a little-endian number. */
static int take(struct cursor *cursor, unsigned int n, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (cursor->pos + n > INSN_MAX_LENGTH)
		return -E2BIG;
	if (cursor->pos + n > cursor->length)
		return -EAGAIN;
	for (unsigned int i = 0; i < n; i++)
		value |= (uint64_t)cursor->bytes[cursor->pos + i] << (8 * i);
	cursor->pos += n;
	*ret_value = value;
	return 0;
}

static int take_byte(struct cursor *cursor, uint8_t *ret_byte)
{
	uint64_t value;
	int rc = take(cursor, 1, &value);

	if (!rc)
		*ret_byte = (uint8_t)value;
	return rc;
}

static int64_t sign_extend(uint64_t value, unsigned int bytes)
{
	unsigned int shift = 64 - 8 * bytes;

	return (int64_t)(value << shift) >> shift;
}

static int take_signed(struct cursor *cursor, unsigned int n, int64_t *ret_value)
{
	uint64_t value;
	int rc = take(cursor, n, &value);

	if (!rc)
		*ret_value = sign_extend(value, n);
	return rc;
}

static void note_segment(struct insn *insn, enum insn_seg seg)
{
	/* In 64-bit mode only FS and GS have a base, other overrides are without effect (APM 3, 1.2.4). */
	if (insn_is_64(insn->mode) && seg < INSN_FS)
		return;
	insn->prefixes |= INSN_PFX_SEG;
	insn->seg = (uint8_t)seg;
}

/* Is it a legacy prefix? Then it is noted. */
static bool note_prefix(struct insn *insn, uint8_t byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		note_segment(insn, (enum insn_seg)(byte >> 3 & 3));
		return true;
	case 0x64:
	case 0x65:
		note_segment(insn, byte == 0x64 ? INSN_FS : INSN_GS);
		return true;
	case 0x66:
		insn->prefixes |= INSN_PFX_OPSIZE;
		return true;
	case 0x67:
		insn->prefixes |= INSN_PFX_ADDRSIZE;
		return true;
	case 0xf0:
		insn->prefixes |= INSN_PFX_LOCK;
		return true;
	case 0xf2:
		insn->prefixes = (insn->prefixes & ~INSN_PFX_REP) | INSN_PFX_REPNE;
		return true;
	case 0xf3:
		insn->prefixes = (insn->prefixes & ~INSN_PFX_REPNE) | INSN_PFX_REP;
		return true;
	default:
		return false;
	}
}

/* Legacy and REX prefixes; ends with the byte behind them. A REX counts only directly before the opcode. */
static int decode_prefixes(struct insn *insn, struct cursor *cursor, uint8_t *ret_byte)
{
	bool mode64 = insn_is_64(insn->mode);
	uint8_t byte;
	int rc;

	for (;;) {
		rc = take_byte(cursor, &byte);
		if (rc)
			return rc;
		if (mode64 && (byte & 0xf0) == 0x40) {
			insn->prefixes |= INSN_PFX_REX;
			insn->rex = byte & 0xf;
		} else if (note_prefix(insn, byte)) {
			insn->prefixes &= (uint8_t)~INSN_PFX_REX;
			insn->rex = 0;
		} else {
			break;
		}
	}

	if (insn->prefixes & INSN_PFX_REP)
		insn->pp = INSN_PP_F3;
	else if (insn->prefixes & INSN_PFX_REPNE)
		insn->pp = INSN_PP_F2;
	else if (insn->prefixes & INSN_PFX_OPSIZE)
		insn->pp = INSN_PP_66;
	*ret_byte = byte;
	return 0;
}

/* W, vvvv, pp: the last payload byte of VEX and XOP, the second one of EVEX. */
static void note_payload(struct insn *insn, uint8_t payload)
{
	if (payload & 0x80)
		insn->rex |= INSN_REX_W;
	insn->vex_vvvv = ~payload >> 3 & 0xf;
	insn->pp = payload & 3;
}

/* Register extensions, inverted in the high bits of the first payload byte; without effect outside 64-bit mode. */
static void note_extensions(struct insn *insn, uint8_t payload)
{
	if (insn_is_64(insn->mode))
		insn->rex |= ~payload >> 5 & 0x7;
}

static int decode_vex2(struct insn *insn, struct cursor *cursor)
{
	uint8_t payload;
	int rc = take_byte(cursor, &payload);

	if (rc)
		return rc;
	insn->map = INSN_MAP_0F;
	/* This form has R only; W is in the place of R. */
	note_extensions(insn, payload | 0x60);
	note_payload(insn, payload & 0x7f);
	insn->vex_l = payload >> 2 & 1;
	return 0;
}

static int decode_vex3(struct insn *insn, struct cursor *cursor)
{
	uint64_t payload;
	int rc = take(cursor, 2, &payload);

	if (rc)
		return rc;
	insn->map = payload & 0x1f;
	note_extensions(insn, (uint8_t)payload);
	note_payload(insn, (uint8_t)(payload >> 8));
	insn->vex_l = payload >> 10 & 1;
	return 0;
}

static int decode_evex(struct insn *insn, struct cursor *cursor)
{
	uint64_t payload;
	int rc = take(cursor, 3, &payload);

	if (rc)
		return rc;
	/* One bit that must be zero, one that must be one (SDM 2, 2.7.1). */
	if ((payload & 0x08) || !(payload & 0x0400))
		return -EINVAL;
	insn->map = payload & 0x07;
	note_extensions(insn, (uint8_t)payload);
	note_payload(insn, (uint8_t)(payload >> 8));
	insn->vex_l = payload >> 21 & 3;
	return 0;
}

/*
 * C4, C5, 62 and 8F start a new encoding where their old meaning would be undefined: outside 64-bit mode with a
 * register operand, for 8F with a ModRM.reg other than 0.
 */
static enum insn_encoding new_encoding(const struct insn *insn, uint8_t byte, uint8_t next)
{
	bool mode64 = insn_is_64(insn->mode);

	switch (byte) {
	case 0xc4:
	case 0xc5:
		return mode64 || next >= 0xc0 ? INSN_VEX : INSN_LEGACY;
	case 0x62:
		return mode64 || next >= 0xc0 ? INSN_EVEX : INSN_LEGACY;
	case 0x8f:
		return (next & 0x1f) >= INSN_MAP_XOP8 ? INSN_XOP : INSN_LEGACY;
	default:
		return INSN_LEGACY;
	}
}

/* From the byte behind the prefixes to the opcode. */
static int decode_opcode(struct insn *insn, struct cursor *cursor, uint8_t byte)
{
	uint8_t next;
	int rc;

	if (byte == 0xc4 || byte == 0xc5 || byte == 0x62 || byte == 0x8f) {
		rc = take_byte(cursor, &next);
		if (rc)
			return rc;
		cursor->pos--;
		insn->encoding = (uint8_t)new_encoding(insn, byte, next);
	}

	if (insn->encoding != INSN_LEGACY) {
		if (insn->pp != INSN_PP_NONE ||
		    insn->prefixes & (INSN_PFX_OPSIZE | INSN_PFX_LOCK | INSN_PFX_REX))
			return -EINVAL;
		if (insn->encoding == INSN_EVEX)
			rc = decode_evex(insn, cursor);
		else if (byte == 0xc5)
			rc = decode_vex2(insn, cursor);
		else
			rc = decode_vex3(insn, cursor);
		return rc ? rc : take_byte(cursor, &insn->opcode);
	}

	if (byte != 0x0f) {
		insn->opcode = byte;
		return 0;
	}
	rc = take_byte(cursor, &byte);
	if (rc)
		return rc;
	switch (byte) {
	case 0x0f:
		insn->encoding = INSN_3DNOW;
		insn->map = INSN_MAP_0F;
		return 0;
	case 0x38:
		insn->map = INSN_MAP_0F38;
		break;
	case 0x3a:
		insn->map = INSN_MAP_0F3A;
		break;
	default:
		insn->map = INSN_MAP_0F;
		insn->opcode = byte;
		return 0;
	}
	return take_byte(cursor, &insn->opcode);
}

static void decode_sizes(struct insn *insn, uint16_t attributes)
{
	bool opsize = insn->prefixes & INSN_PFX_OPSIZE;
	bool addrsize = insn->prefixes & INSN_PFX_ADDRSIZE;
	uint16_t always; /* attributes that make an operand of eight bytes whatever the prefixes */

	if (!insn_is_64(insn->mode)) {
		bool wide = insn->mode == INSN_MODE_32;

		insn->op_size = wide != opsize ? 4 : 2;
		insn->addr_size = wide != addrsize ? 4 : 2;
		if (attributes & OPCODE_NATIVE)
			insn->op_size = 4;
		return;
	}

	insn->addr_size = addrsize ? 4 : 8;
	always = OPCODE_NATIVE | (insn->mode == INSN_MODE_64 ? OPCODE_BRANCH : 0);
	if (attributes & always || insn->rex & INSN_REX_W)
		insn->op_size = 8;
	else if (opsize)
		insn->op_size = 2;
	else
		insn->op_size = attributes & (OPCODE_DEFAULT64 | OPCODE_BRANCH) ? 8 : 4;
}

/* The memory operand of a 16-bit ModRM byte (APM 3, table 1-10, "16-bit addressing"). */
static int decode_mem16(struct insn *insn, struct cursor *cursor)
{
	static const uint8_t bases[8] = {INSN_RBX, INSN_RBX, INSN_RBP, INSN_RBP,
					 INSN_RSI, INSN_RDI, INSN_RBP, INSN_RBX};
	static const uint8_t indices[8] = {INSN_RSI,	INSN_RDI,    INSN_RSI,	  INSN_RDI,
					   INSN_NO_REG, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG};
	unsigned int mod = insn->modrm >> 6, rm = insn->modrm & 7;

	if (mod == 0 && rm == 6)
		return take_signed(cursor, 2, &insn->disp);
	insn->base = bases[rm];
	insn->index = indices[rm];
	return mod ? take_signed(cursor, mod, &insn->disp) : 0;
}

/* The same for 32 and 64 bits, with the SIB byte. */
static int decode_mem(struct insn *insn, struct cursor *cursor)
{
	unsigned int mod = insn->modrm >> 6, rm = insn->modrm & 7;

	if (rm == 4) {
		uint8_t sib;
		int rc = take_byte(cursor, &sib);

		if (rc)
			return rc;
		insn->scale = sib >> 6;
		insn->index = (sib >> 3 & 7) | (insn->rex & INSN_REX_X ? 8 : 0);
		if (insn->index == INSN_RSP)
			insn->index = INSN_NO_REG;
		rm = sib & 7;
	} else if (mod == 0 && rm == 5) {
		insn->rip_relative = insn_is_64(insn->mode);
	}
	if (mod == 0 && rm == 5)
		return take_signed(cursor, 4, &insn->disp);

	insn->base = (uint8_t)rm | (insn->rex & INSN_REX_B ? 8 : 0);
	return mod ? take_signed(cursor, mod == 1 ? 1 : 4, &insn->disp) : 0;
}

static int decode_modrm(struct insn *insn, struct cursor *cursor, uint16_t attributes)
{
	int rc = take_byte(cursor, &insn->modrm);

	if (rc)
		return rc;
	insn->has_modrm = true;
	insn->reg = (insn->modrm >> 3 & 7) | (insn->rex & INSN_REX_R ? 8 : 0);
	insn->rm = (insn->modrm & 7) | (insn->rex & INSN_REX_B ? 8 : 0);
	if (insn->modrm >= 0xc0 || attributes & OPCODE_REGISTERS)
		return 0;

	insn->has_mem = true;
	rc = insn->addr_size == 2 ? decode_mem16(insn, cursor) : decode_mem(insn, cursor);
	if (rc)
		return rc;
	/* What is addressed through the stack or frame pointer lies in the stack segment. R12 and R13 are
	 * different registers. */
	if (!(insn->prefixes & INSN_PFX_SEG) && (insn->base == INSN_RSP || insn->base == INSN_RBP))
		insn->seg = INSN_SS;
	return 0;
}

static int decode_one_immediate(struct insn *insn, struct cursor *cursor, unsigned int size)
{
	int64_t value;
	int rc = take_signed(cursor, size, &value);

	if (rc)
		return rc;
	insn->imm_size = (uint8_t)size;
	insn->imm = (uint64_t)value;
	return 0;
}

static int decode_second_immediate(struct insn *insn, struct cursor *cursor, unsigned int size)
{
	uint64_t value;
	int rc = take(cursor, size, &value);

	if (!rc)
		insn->imm2 = (uint16_t)value;
	return rc;
}

static int decode_moffs(struct insn *insn, struct cursor *cursor)
{
	uint64_t value;
	int rc = take(cursor, insn->addr_size, &value);

	if (!rc) {
		insn->has_mem = true;
		insn->disp = (int64_t)value;
	}
	return rc;
}

static int decode_immediate(struct insn *insn, struct cursor *cursor, enum opcode_imm kind)
{
	unsigned int z = insn->op_size == 2 ? 2 : 4;
	int rc;

	if (kind == IMM_TEST) {
		if ((insn->reg & 7) > 1)
			return 0;
		kind = insn->opcode == 0xf6 ? IMM_1 : IMM_Z;
	} else if (kind == IMM_EXTRQ) {
		kind = insn->pp == INSN_PP_66 || insn->pp == INSN_PP_F2 ? IMM_1_1 : IMM_NONE;
	}

	switch (kind) {
	case IMM_1:
		return decode_one_immediate(insn, cursor, 1);
	case IMM_2:
		return decode_one_immediate(insn, cursor, 2);
	case IMM_4:
		return decode_one_immediate(insn, cursor, 4);
	case IMM_Z:
		return decode_one_immediate(insn, cursor, z);
	case IMM_V:
		return decode_one_immediate(insn, cursor, insn->op_size);
	case IMM_2_1:
		rc = decode_one_immediate(insn, cursor, 2);
		return rc ? rc : decode_second_immediate(insn, cursor, 1);
	case IMM_1_1:
		rc = decode_one_immediate(insn, cursor, 1);
		return rc ? rc : decode_second_immediate(insn, cursor, 1);
	case IMM_FAR:
		rc = decode_one_immediate(insn, cursor, z);
		return rc ? rc : decode_second_immediate(insn, cursor, 2);
	case IMM_OFFSET:
		return decode_moffs(insn, cursor);
	default:
		return 0;
	}
}

/* LOCK wants a memory operand that is modified. AMD's CPUs also take it as the fourth bit of a control register,
 * the only way to CR8 outside 64-bit mode (APM 3, MOV CRn). */
static int decode_lock(struct insn *insn, uint16_t attributes)
{
	if (!(insn->prefixes & INSN_PFX_LOCK))
		return 0;
	if (attributes & OPCODE_REGISTERS && !(insn->opcode & 1) && insn->reg == 0) {
		insn->reg = 8;
		return 0;
	}
	if (attributes & OPCODE_LOCK && insn->has_mem && opcode_lock_legal(insn))
		return 0;
	return -EINVAL;
}

static int decode_operands(struct insn *insn, struct cursor *cursor)
{
	uint16_t attributes;
	int rc;

	if (insn->encoding == INSN_3DNOW)
		attributes = OPCODE_MODRM;
	else
		attributes = opcode_attributes(insn);
	if (attributes & OPCODE_UNDEFINED || (attributes & OPCODE_NOT_64 && insn_is_64(insn->mode)))
		return -EINVAL;

	decode_sizes(insn, attributes);
	if (attributes & OPCODE_MODRM) {
		rc = decode_modrm(insn, cursor, attributes);
		if (rc)
			return rc;
		if (attributes & OPCODE_PICKY && !opcode_modrm_defined(insn))
			return -EINVAL;
		/* Group 5: calls, jumps and PUSH among INC and DEC. */
		if (insn->map == INSN_MAP_1BYTE && insn->opcode == 0xff) {
			unsigned int reg = insn->reg & 7;

			if (reg == 2 || reg == 4)
				decode_sizes(insn, OPCODE_BRANCH);
			else if (reg == 6)
				decode_sizes(insn, OPCODE_DEFAULT64);
		}
	}
	if (insn->encoding == INSN_3DNOW) {
		rc = take_byte(cursor, &insn->opcode);
		if (rc)
			return rc;
	}
	rc = decode_immediate(insn, cursor, (enum opcode_imm)(attributes & OPCODE_IMM_MASK));
	if (rc)
		return rc;
	return decode_lock(insn, attributes);
}

int insn_decode(struct insn *ret_insn, const uint8_t *bytes, unsigned int len, enum insn_mode mode)
{
	struct cursor cursor = {.bytes = bytes, .length = len};
	struct insn insn = {
		.mode = (uint8_t)mode,
		.seg = INSN_DS,
		.base = INSN_NO_REG,
		.index = INSN_NO_REG,
	};
	uint8_t byte;
	int rc;

	rc = decode_prefixes(&insn, &cursor, &byte);
	if (rc)
		return rc;
	rc = decode_opcode(&insn, &cursor, byte);
	if (rc)
		return rc;
	rc = decode_operands(&insn, &cursor);
	if (rc)
		return rc;
	insn.length = (uint8_t)cursor.pos;
	*ret_insn = insn;
	return 0;
}

uint64_t insn_next_rip(const struct insn *insn, uint64_t rip)
{
	rip += insn->length;
	return insn_is_64(insn->mode) ? rip : (uint32_t)rip;
}
