/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opcode maps: which opcodes exist and what follows them (APM 3, appendix A; SDM 2, appendix A). */
#include "decode.h"

/* Short names, for the tables only. */
#define oo 0
#define Ib IMM_1
#define Iw IMM_2
#define Iz IMM_Z
#define Iv IMM_V
#define Ob IMM_OFFSET
#define Ap (IMM_FAR | OPCODE_NOT_64)
#define En (IMM_2_1 | OPCODE_DEFAULT64)
#define M_ OPCODE_MODRM
#define ML (OPCODE_MODRM | OPCODE_LOCK)
#define MP (OPCODE_MODRM | OPCODE_PICKY)
#define MR (OPCODE_MODRM | OPCODE_REGISTERS | OPCODE_PICKY | OPCODE_NATIVE)
#define MN (OPCODE_MODRM | OPCODE_NATIVE)
#define Mb (OPCODE_MODRM | IMM_1)
#define Mz (OPCODE_MODRM | IMM_Z)
#define LP (OPCODE_MODRM | OPCODE_LOCK | OPCODE_PICKY)
#define Lb (OPCODE_MODRM | OPCODE_LOCK | IMM_1)
#define Lz (OPCODE_MODRM | OPCODE_LOCK | IMM_Z)
#define G3 (OPCODE_MODRM | OPCODE_LOCK | IMM_TEST)
#define n6 OPCODE_NOT_64
#define d6 OPCODE_DEFAULT64
#define br OPCODE_BRANCH
#define Jb (IMM_1 | OPCODE_BRANCH)
#define Jz (IMM_Z | OPCODE_BRANCH)
#define uu OPCODE_UNDEFINED

/* clang-format off */
static const uint16_t map_1byte[256] = {
	/* 00 */ ML, ML, M_, M_, Ib, Iz, n6, n6, ML, ML, M_, M_, Ib, Iz, n6, uu,
	/* 10 */ ML, ML, M_, M_, Ib, Iz, n6, n6, ML, ML, M_, M_, Ib, Iz, n6, n6,
	/* 20 */ ML, ML, M_, M_, Ib, Iz, uu, n6, ML, ML, M_, M_, Ib, Iz, uu, n6,
	/* 30 */ ML, ML, M_, M_, Ib, Iz, uu, n6, M_, M_, M_, M_, Ib, Iz, uu, n6,
	/* 40 */ oo, oo, oo, oo, oo, oo, oo, oo, oo, oo, oo, oo, oo, oo, oo, oo,
	/* 50 */ d6, d6, d6, d6, d6, d6, d6, d6, d6, d6, d6, d6, d6, d6, d6, d6,
	/* 60 */ n6, n6, MP|n6, M_, uu, uu, uu, uu, Iz|d6, Mz, Ib|d6, Mb, oo, oo, oo, oo,
	/* 70 */ Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb,
	/* 80 */ Lb, Lz, Lb|n6, Lb, M_, M_, ML, ML, M_, M_, M_, M_, MP, MP, MP, MP|d6,
	/* 90 */ oo, oo, oo, oo, oo, oo, oo, oo, oo, oo, Ap, oo, d6, d6, oo, oo,
	/* a0 */ Ob, Ob, Ob, Ob, oo, oo, oo, oo, Ib, Iz, oo, oo, oo, oo, oo, oo,
	/* b0 */ Ib, Ib, Ib, Ib, Ib, Ib, Ib, Ib, Iv, Iv, Iv, Iv, Iv, Iv, Iv, Iv,
	/* c0 */ Mb, Mb, Iw|br, br, MP|n6, MP|n6, MP|Ib, MP|Iz, En, d6, Iw, oo, oo, Ib, n6, oo,
	/* d0 */ M_, M_, M_, M_, Ib|n6, Ib|n6, n6, oo, M_, MP, MP, MP, M_, MP, MP, MP,
	/* e0 */ Jb, Jb, Jb, Jb, Ib, Ib, Ib, Ib, Jz, Jz, Ap, Jb, oo, oo, oo, oo,
	/* f0 */ uu, oo, uu, uu, oo, oo, G3, G3, oo, oo, oo, oo, oo, oo, LP, LP,
};

static const uint16_t map_0f[256] = {
	/* 00 */ MP, MP, M_, M_, uu, oo, oo, oo, oo, oo, uu, oo, uu, M_, oo, uu,
	/* 10 */ M_, M_, M_, MP, M_, M_, M_, MP, M_, M_, M_, M_, M_, M_, M_, M_,
	/* 20 */ MR, MR, MR, MR, uu, uu, uu, uu, M_, M_, M_, MP, M_, M_, M_, M_,
	/* 30 */ oo, oo, oo, oo, oo, oo, uu, oo, uu, uu, uu, uu, uu, uu, uu, uu,
	/* 40 */ M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_,
	/* 50 */ MP, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_,
	/* 60 */ M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_,
	/* 70 */ Mb, MP|Ib, MP|Ib, MP|Ib, M_, M_, M_, oo, MN|IMM_EXTRQ, MN, uu, uu, M_, M_, M_, M_,
	/* 80 */ Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz,
	/* 90 */ M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_,
	/* a0 */ d6, d6, oo, M_, Mb, M_, MP, MP, d6, d6, oo, ML, Mb, M_, MP, M_,
	/* b0 */ ML, ML, MP, ML, MP, MP, M_, M_, M_, M_, Lb|OPCODE_PICKY, ML, M_, M_, M_, M_,
	/* c0 */ ML, ML, Mb, MP, Mb, MP|Ib, Mb, LP, oo, oo, oo, oo, oo, oo, oo, oo,
	/* d0 */ M_, M_, M_, M_, M_, M_, M_, MP, M_, M_, M_, M_, M_, M_, M_, M_,
	/* e0 */ M_, M_, M_, M_, M_, M_, M_, MP, M_, M_, M_, M_, M_, M_, M_, M_,
	/* f0 */ MP, M_, M_, M_, M_, M_, M_, MP, M_, M_, M_, M_, M_, M_, M_, M_,
};
/* clang-format on */

/* The other maps: bit 31 of the first word is opcode 00, bit 0 of the last one opcode FF. */
struct opcode_set {
	uint32_t row[8];
};

static const struct opcode_set set_0f38 = {
	{0xfff08d0e, 0xfcf0fdff, 0xc0000000, 0x00000000, 0xe0000000, 0x00000000, 0x00fd009f,
	 0x0000c6fc},
};

static const struct opcode_set set_0f3a = {
	{0x00ff0f00, 0xe0000000, 0xe8000000, 0xf0000000, 0x00000000, 0x00000000, 0x000b0001,
	 0x00008000},
};

static const struct opcode_set set_vex1 = {
	{0x0000ff00, 0x00ff0000, 0x6f30ffff, 0xffffff0f, 0x0000f0c0, 0x00020000, 0x2e00ffff,
	 0xfffffffe},
};

static const struct opcode_set set_vex2 = {
	{0xffff13ee, 0xfcffffff, 0xc750f0ea, 0x000020c0, 0x000af3ff, 0x03ffc3ff, 0x001d303f,
	 0xffff3700},
};

static const struct opcode_set set_vex3 = {
	{0xeeff0fc4, 0xe000f0c0, 0xeaf8000f, 0xf0ff00ff, 0x00000000, 0x00000000, 0x00030003,
	 0x00008000},
};

static const struct opcode_set set_evex1 = {
	{0x0000ff00, 0x00ff0000, 0x00004fff, 0xfffffef3, 0x00000000, 0x00000000, 0x2e007eff,
	 0xffff7efe},
};

static const struct opcode_set set_evex2 = {
	{0x881cfeff, 0xfffcffff, 0xbf0ffcf0, 0x3e80f7ff, 0x10f5f3ff, 0xf3ff0fff, 0x0bbd000f,
	 0x00000000},
};

static const struct opcode_set set_evex3 = {
	{0xdcf10ff7, 0xf70000f3, 0x3800cf00, 0x0300f000, 0x00000000, 0x00000000, 0x20030000,
	 0x00000000},
};

static const struct opcode_set set_evex5 = {
	{0x0000c004, 0x002f0000, 0x000040ff, 0x000200fe, 0x00000000, 0x00000000, 0x00000000,
	 0x00000000},
};

static const struct opcode_set set_evex6 = {
	{0x00001000, 0x000c0000, 0x300f0300, 0x00000000, 0x000003ff, 0x03ff03ff, 0x00000300,
	 0x00000000},
};

static const struct opcode_set set_xop8 = {
	{0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x07030703, 0x32000200, 0xf00f0000,
	 0x000f0000},
};

static const struct opcode_set set_xop9 = {
	{0x60002000, 0x00000000, 0x00000000, 0x00000000, 0xf000fff0, 0x00000000, 0x73107310,
	 0x70000000},
};

static const struct opcode_set set_xopa = {
	{0x0000a000, 0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x00000000,
	 0x00000000},
};

static bool opcode_in(const struct opcode_set *set, uint8_t opcode)
{
	return set->row[opcode >> 5] >> (31 - (opcode & 31)) & 1;
}

static const struct opcode_set *opcode_set_of(const struct insn *insn)
{
	static const struct opcode_set *const vex[] = {NULL, &set_vex1, &set_vex2, &set_vex3};
	static const struct opcode_set *const evex[] = {NULL, &set_evex1, &set_evex2, &set_evex3,
							NULL, &set_evex5, &set_evex6};

	switch (insn->encoding) {
	case INSN_LEGACY:
		return insn->map == INSN_MAP_0F38 ? &set_0f38 : &set_0f3a;
	case INSN_VEX:
		return insn->map < sizeof(vex) / sizeof(vex[0]) ? vex[insn->map] : NULL;
	case INSN_EVEX:
		return insn->map < sizeof(evex) / sizeof(evex[0]) ? evex[insn->map] : NULL;
	case INSN_XOP:
		switch (insn->map) {
		case INSN_MAP_XOP8:
			return &set_xop8;
		case INSN_MAP_XOP9:
			return &set_xop9;
		case INSN_MAP_XOPA:
			return &set_xopa;
		default:
			return NULL;
		}
	default:
		return NULL;
	}
}

/* The immediate of an opcode that is not in a table: the map decides, map 1 of VEX and EVEX keeps that of 0F. */
static uint16_t opcode_set_immediate(const struct insn *insn)
{
	switch (insn->map) {
	case INSN_MAP_0F:
		return map_0f[insn->opcode] & OPCODE_IMM_MASK;
	case INSN_MAP_0F3A:
	case INSN_MAP_XOP8:
		return IMM_1;
	case INSN_MAP_XOPA:
		return IMM_4;
	default:
		return IMM_NONE;
	}
}

/* All attributes of an opcode; wants encoding, map and opcode of insn. */
uint16_t opcode_attributes(const struct insn *insn)
{
	const struct opcode_set *set;
	uint16_t immediate;

	if (insn->encoding == INSN_LEGACY && insn->map == INSN_MAP_1BYTE)
		return map_1byte[insn->opcode];
	if (insn->encoding == INSN_LEGACY && insn->map == INSN_MAP_0F)
		return map_0f[insn->opcode];

	set = opcode_set_of(insn);
	if (!set || !opcode_in(set, insn->opcode))
		return OPCODE_UNDEFINED;
	/* VZEROUPPER and VZEROALL have no operands. */
	if (insn->encoding == INSN_VEX && insn->map == INSN_MAP_0F && insn->opcode == 0x77)
		return 0;

	immediate = opcode_set_immediate(insn);
	/* VMREAD's opcode: its EVEX namesakes have no immediate. */
	if (immediate == IMM_EXTRQ)
		immediate = IMM_NONE;
	return OPCODE_MODRM | immediate;
}

/* The x87 operations that do not exist: a bit per ModRM.reg for memory, per ModRM.rm for registers. */
static bool x87_defined(const struct insn *insn)
{
	static const uint8_t no_memory[8] = {0, 0x02, 0, 0x50, 0, 0x20, 0, 0};
	static const uint8_t no_register[8][8] = {
		[1] = {[2] = 0xfe, [4] = 0xcc, [5] = 0x80},
		[2] = {[4] = 0xff, [5] = 0xfd, [6] = 0xff, [7] = 0xff},
		[3] = {[4] = 0xe0, [7] = 0xff},
		[5] = {[6] = 0xff, [7] = 0xff},
		[6] = {[3] = 0xfd},
		[7] = {[4] = 0xfe, [7] = 0xff},
	};
	unsigned int escape = insn->opcode & 7, reg = insn->reg & 7;

	if (insn->has_mem)
		return !(no_memory[escape] >> reg & 1);
	return !(no_register[escape][reg] >> (insn->rm & 7) & 1);
}

static bool modrm_defined_1byte(const struct insn *insn)
{
	unsigned int reg = insn->reg & 7;

	switch (insn->opcode) {
	case 0x62: /* BOUND */
	case 0x8d: /* LEA */
	case 0xc4: /* LES */
	case 0xc5: /* LDS */
		return insn->has_mem;
	case 0x8c: /* MOV from a segment register */
		return reg <= INSN_GS;
	case 0x8e:
		return reg <= INSN_GS && reg != INSN_CS;
	case 0x8f: /* POP */
		return reg == 0;
	case 0xc6: /* MOV; XABORT and XBEGIN */
	case 0xc7:
		return reg == 0 || insn->modrm == 0xf8;
	case 0xfe: /* INC, DEC */
		return reg <= 1;
	case 0xff: /* far calls and jumps have no register form */
		return reg == 3 || reg == 5 ? insn->has_mem : reg != 7;
	default:
		return x87_defined(insn);
	}
}

/* 0F 01 with registers: a few dozen instructions without operands. */
static bool group7_defined(const struct insn *insn)
{
	bool mode64 = insn_is_64(insn->mode);

	switch (insn->modrm) {
	case 0xc6:
	case 0xc7:
	case 0xd2:
	case 0xd3:
	case 0xeb:
		return false;
	case 0xcd:
	case 0xce:
	case 0xec: /* user interrupts */
	case 0xed:
	case 0xf8: /* SWAPGS */
		return mode64;
	default:
		return true;
	}
}

static bool modrm_defined_0f(const struct insn *insn)
{
	unsigned int reg = insn->reg & 7;

	switch (insn->opcode) {
	case 0x00:
		return reg <= 5;
	case 0x01:
		return insn->has_mem || group7_defined(insn);
	case 0x20: /* MOV from and to control registers */
	case 0x22:
		return insn->reg == 8 || (insn->reg <= 4 && insn->reg != 1);
	case 0x21: /* and debug registers */
	case 0x23:
		return insn->reg <= 7;
	case 0x13:
	case 0x17:
	case 0x2b:
	case 0xb2:
	case 0xb4:
	case 0xb5:
	case 0xc3:
	case 0xe7:
	case 0xf0:
		return insn->has_mem;
	case 0x50:
	case 0xc5:
	case 0xd7:
	case 0xf7:
		return !insn->has_mem;
	case 0x71: /* vector shifts by an immediate */
	case 0x72:
		return !insn->has_mem && (reg == 2 || reg == 4 || reg == 6);
	case 0x73:
		return !insn->has_mem && (reg == 2 || reg == 3 || reg >= 6);
	case 0xa6: /* VIA's cryptography */
		return !insn->has_mem && reg <= 2 && (insn->rm & 7) == 0;
	case 0xa7:
		return !insn->has_mem && reg <= 5 && (insn->rm & 7) == 0;
	case 0xae: /* the bases of FS and GS */
		return insn->has_mem || reg > 3 || insn_is_64(insn->mode);
	case 0xba: /* bit tests with an immediate */
		return reg >= 4;
	case 0xc7:
		return insn->has_mem ? reg != 0 && reg != 2 : reg >= 6;
	default:
		return true;
	}
}

/* For opcodes with OPCODE_PICKY: does the instruction exist with this ModRM byte? */
bool opcode_modrm_defined(const struct insn *insn)
{
	return insn->map == INSN_MAP_1BYTE ? modrm_defined_1byte(insn) : modrm_defined_0f(insn);
}

/* For opcodes with OPCODE_LOCK and a memory operand: the group members that modify it (APM 3, 1.2.5). */
bool opcode_lock_legal(const struct insn *insn)
{
	unsigned int reg = insn->reg & 7;

	if (insn->map == INSN_MAP_1BYTE) {
		switch (insn->opcode) {
		case 0x80:
		case 0x81:
		case 0x82:
		case 0x83:
			return reg != 7;
		case 0xf6:
		case 0xf7:
			return reg == 2 || reg == 3;
		case 0xfe:
		case 0xff:
			return reg <= 1;
		default:
			return true;
		}
	}
	switch (insn->opcode) {
	case 0xba:
		return reg >= 5;
	case 0xc7:
		return reg == 1;
	default:
		return true;
	}
}
