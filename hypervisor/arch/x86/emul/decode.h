/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the opcode tables tell the decoder. */
#ifndef EMUL_DECODE_H
#define EMUL_DECODE_H

#include <arch/insn.h>

/* Attributes of an opcode: bits 0-3 are the kind of its immediate, an enum opcode_imm. */
#define OPCODE_IMM_MASK	 0x000f
#define OPCODE_MODRM	 0x0010
#define OPCODE_NOT_64	 0x0020 /* undefined in 64-bit mode */
#define OPCODE_DEFAULT64 0x0040 /* 64-bit mode: operands are 8 bytes or, with 66, 2 */
#define OPCODE_BRANCH	 0x0080 /* near branch: the same on AMD, always 8 on Intel */
#define OPCODE_LOCK	 0x0100 /* LOCK may be legal; opcode_lock_legal() knows */
#define OPCODE_PICKY	 0x0200 /* some ModRM bytes are undefined; opcode_modrm_defined() knows */
#define OPCODE_REGISTERS 0x0400 /* ModRM.mod is ignored, both operands are registers */
#define OPCODE_NATIVE	 0x0800 /* operands are 8 bytes in 64-bit mode and else 4 */
#define OPCODE_UNDEFINED 0x8000

enum opcode_imm {
	IMM_NONE,
	IMM_1,	    /* one byte */
	IMM_2,	    /* two bytes */
	IMM_2_1,    /* two bytes, then one */
	IMM_1_1,    /* one byte, then one */
	IMM_Z,	    /* operand size, at most four */
	IMM_V,	    /* operand size */
	IMM_4,	    /* four bytes */
	IMM_OFFSET, /* a memory operand: address size */
	IMM_FAR,    /* operand size, at most four, then a selector */
	IMM_TEST,   /* group 3: only TEST has one: a byte for F6, IMM_Z for F7 */
	IMM_EXTRQ,  /* 0F78: IMM_1_1 with 66 or F2, else none */
};

uint16_t opcode_attributes(const struct insn *insn);
bool opcode_modrm_defined(const struct insn *insn);
bool opcode_lock_legal(const struct insn *insn);

static inline bool insn_is_64(enum insn_mode mode)
{
	return mode == INSN_MODE_64 || mode == INSN_MODE_64_AMD;
}

#endif
