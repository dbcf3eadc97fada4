/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of the instructions that a hypervisor intercepts. */
#include <arch/insn.h>

#include "decode.h"

static enum insn_kind classify_1byte(const struct insn *insn)
{
	switch (insn->opcode) {
	case 0x6c:
	case 0x6d:
		return INSN_INS;
	case 0x6e:
	case 0x6f:
		return INSN_OUTS;
	case 0x90:
		/* With REX.B it exchanges RAX and R8, F3 or not. */
		return insn->pp == INSN_PP_F3 && !(insn->rex & INSN_REX_B) ? INSN_PAUSE
									   : INSN_OTHER;
	case 0x9c:
		return INSN_PUSHF;
	case 0x9d:
		return INSN_POPF;
	case 0xcc:
		return INSN_INT3;
	case 0xcd:
		return INSN_INTN;
	case 0xce:
		return INSN_INTO;
	case 0xcf:
		return INSN_IRET;
	case 0xe4:
	case 0xe5:
	case 0xec:
	case 0xed:
		return INSN_IN;
	case 0xe6:
	case 0xe7:
	case 0xee:
	case 0xef:
		return INSN_OUT;
	case 0xf1:
		return INSN_ICEBP;
	case 0xf4:
		return INSN_HLT;
	case 0xfa:
		return INSN_CLI;
	case 0xfb:
		return INSN_STI;
	default:
		return INSN_OTHER;
	}
}

/* 0F 00: the selectors of the local descriptor table and of the task. */
static enum insn_kind classify_group6(const struct insn *insn)
{
	static const uint8_t kinds[8] = {INSN_SLDT, INSN_STR, INSN_LLDT, INSN_LTR};

	return (enum insn_kind)kinds[insn->reg & 7];
}

static enum insn_kind classify_group7_register(const struct insn *insn)
{
	/* In the order of the ModRM byte, from C0 on. */
	static const uint8_t kinds[64] = {
		[0x01] = INSN_VMCALL, [0x02] = INSN_VMLAUNCH, [0x03] = INSN_VMRESUME,
		[0x04] = INSN_VMXOFF, [0x08] = INSN_MONITOR,  [0x09] = INSN_MWAIT,
		[0x10] = INSN_XGETBV, [0x11] = INSN_XSETBV,   [0x14] = INSN_VMFUNC,
		[0x18] = INSN_VMRUN,  [0x19] = INSN_VMMCALL,  [0x1a] = INSN_VMLOAD,
		[0x1b] = INSN_VMSAVE, [0x1c] = INSN_STGI,     [0x1d] = INSN_CLGI,
		[0x1e] = INSN_SKINIT, [0x1f] = INSN_INVLPGA,  [0x38] = INSN_SWAPGS,
		[0x39] = INSN_RDTSCP, [0x3a] = INSN_MONITORX, [0x3b] = INSN_MWAITX,
		[0x3d] = INSN_RDPRU,  [0x3e] = INSN_INVLPGB,  [0x3f] = INSN_TLBSYNC,
	};

	switch (insn->modrm >> 3 & 7) {
	case 4:
		return INSN_SMSW;
	case 6:
		return INSN_LMSW;
	case 0:
	case 1:
	case 2:
		/* 66, F3 and F2 make other instructions of these. */
		if (insn->pp != INSN_PP_NONE)
			return INSN_OTHER;
		break;
	case 3:
		/* Prefixes are ignored. F3 or F2 VMMCALL is VMGEXIT, the same outside an encrypted guest. */
		break;
	case 7:
		/* MCOMMIT, PSMASH, PVALIDATE and their like. */
		if ((insn->pp == INSN_PP_F3 || insn->pp == INSN_PP_F2) && (insn->modrm & 2))
			return INSN_OTHER;
		break;
	default:
		return INSN_OTHER;
	}
	return (enum insn_kind)kinds[insn->modrm & 0x3f];
}

/* 0F 01: system tables, the machine status word, and much that came later. */
static enum insn_kind classify_group7(const struct insn *insn)
{
	static const uint8_t kinds[8] = {
		INSN_SGDT, INSN_SIDT,  INSN_LGDT, INSN_LIDT,
		INSN_SMSW, INSN_OTHER, INSN_LMSW, INSN_INVLPG,
	};

	if (!insn->has_mem)
		return classify_group7_register(insn);
	return (enum insn_kind)kinds[insn->reg & 7];
}

/* 0F C7: random numbers, VMX pointers, supervisor state. */
static enum insn_kind classify_group9(const struct insn *insn)
{
	static const uint8_t vmx[4] = {INSN_VMPTRLD, INSN_VMCLEAR, INSN_VMXON, INSN_OTHER};
	bool plain = insn->pp == INSN_PP_NONE;

	switch (insn->reg & 7) {
	case 3:
		return insn->has_mem && plain ? INSN_XRSTORS : INSN_OTHER;
	case 5:
		return insn->has_mem && plain ? INSN_XSAVES : INSN_OTHER;
	case 6:
		if (insn->has_mem)
			return (enum insn_kind)vmx[insn->pp];
		return plain || insn->pp == INSN_PP_66 ? INSN_RDRAND : INSN_OTHER;
	case 7:
		if (insn->has_mem)
			return plain ? INSN_VMPTRST : INSN_OTHER;
		if (insn->pp == INSN_PP_F3)
			return INSN_RDPID;
		return plain || insn->pp == INSN_PP_66 ? INSN_RDSEED : INSN_OTHER;
	default:
		return INSN_OTHER;
	}
}

static enum insn_kind classify_0f(const struct insn *insn)
{
	switch (insn->opcode) {
	case 0x00:
		return classify_group6(insn);
	case 0x01:
		return classify_group7(insn);
	case 0x06:
		return INSN_CLTS;
	case 0x08:
		return INSN_INVD;
	case 0x09:
		return insn->pp == INSN_PP_F3 ? INSN_WBNOINVD : INSN_WBINVD;
	case 0x0b:
		return INSN_UD2;
	case 0x20:
		return INSN_MOV_FROM_CR;
	case 0x21:
		return INSN_MOV_FROM_DR;
	case 0x22:
		return INSN_MOV_TO_CR;
	case 0x23:
		return INSN_MOV_TO_DR;
	case 0x30:
		return INSN_WRMSR;
	case 0x31:
		return INSN_RDTSC;
	case 0x32:
		return INSN_RDMSR;
	case 0x33:
		return INSN_RDPMC;
	case 0x78:
		return insn->pp == INSN_PP_NONE ? INSN_VMREAD : INSN_OTHER;
	case 0x79:
		return insn->pp == INSN_PP_NONE ? INSN_VMWRITE : INSN_OTHER;
	case 0xa2:
		return INSN_CPUID;
	case 0xaa:
		return INSN_RSM;
	case 0xc7:
		return classify_group9(insn);
	default:
		return INSN_OTHER;
	}
}

static enum insn_kind classify_0f38(const struct insn *insn)
{
	if (insn->pp != INSN_PP_66 || !insn->has_mem)
		return INSN_OTHER;
	switch (insn->opcode) {
	case 0x80:
		return INSN_INVEPT;
	case 0x81:
		return INSN_INVVPID;
	case 0x82:
		return INSN_INVPCID;
	default:
		return INSN_OTHER;
	}
}

enum insn_kind insn_classify(const struct insn *insn)
{
	if (insn->encoding != INSN_LEGACY)
		return INSN_OTHER;
	switch (insn->map) {
	case INSN_MAP_1BYTE:
		return classify_1byte(insn);
	case INSN_MAP_0F:
		return classify_0f(insn);
	case INSN_MAP_0F38:
		return classify_0f38(insn);
	default:
		return INSN_OTHER;
	}
}
