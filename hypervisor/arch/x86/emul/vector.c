/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Emulation of plain moves between memory and vector registers (APM 4, MOVxxx). */
#include <bulkhead/errno.h>

#include "emul.h"

enum vector_part {
	PART_ALL,  /* the whole vector */
	PART_LOW,  /* its low bytes; a load clears the others up to 128 bits */
	PART_LOW8, /* its low quadword; a load keeps the high one */
	PART_HIGH8 /* its high quadword; a load keeps the low one */
};

struct vector_move {
	bool store;
	bool aligned;
	uint8_t part; /* enum vector_part */
	uint8_t size; /* in memory; 0 for the length of the vector */
};

#define PP(opcode, pp) ((opcode) << 2 | (pp))

/* The moves of the 0F map that have a memory operand. False for everything else, all of MMX included. */
static bool move_0f(const struct insn *insn, struct vector_move *ret_move)
{
	uint8_t word = insn->rex & INSN_REX_W && insn->op_size == 8 ? 8 : 4;

	switch (PP(insn->opcode, insn->pp)) {
	case PP(0x10, INSN_PP_NONE): /* MOVUPS, MOVUPD */
	case PP(0x10, INSN_PP_66):
	case PP(0x6f, INSN_PP_F3): /* MOVDQU */
	case PP(0xf0, INSN_PP_F2): /* LDDQU */
		*ret_move = (struct vector_move){.part = PART_ALL};
		return true;
	case PP(0x11, INSN_PP_NONE):
	case PP(0x11, INSN_PP_66):
	case PP(0x7f, INSN_PP_F3):
		*ret_move = (struct vector_move){.part = PART_ALL, .store = true};
		return true;
	case PP(0x28, INSN_PP_NONE): /* MOVAPS, MOVAPD */
	case PP(0x28, INSN_PP_66):
	case PP(0x6f, INSN_PP_66): /* MOVDQA */
		*ret_move = (struct vector_move){.part = PART_ALL, .aligned = true};
		return true;
	case PP(0x29, INSN_PP_NONE):
	case PP(0x29, INSN_PP_66):
	case PP(0x2b, INSN_PP_NONE): /* MOVNTPS, MOVNTPD */
	case PP(0x2b, INSN_PP_66):
	case PP(0x7f, INSN_PP_66):
	case PP(0xe7, INSN_PP_66): /* MOVNTDQ */
		*ret_move = (struct vector_move){.part = PART_ALL, .aligned = true, .store = true};
		return true;
	case PP(0x10, INSN_PP_F3): /* MOVSS */
		*ret_move = (struct vector_move){.part = PART_LOW, .size = 4};
		return true;
	case PP(0x11, INSN_PP_F3):
		*ret_move = (struct vector_move){.part = PART_LOW, .size = 4, .store = true};
		return true;
	case PP(0x10, INSN_PP_F2): /* MOVSD */
	case PP(0x7e, INSN_PP_F3): /* MOVQ */
		*ret_move = (struct vector_move){.part = PART_LOW, .size = 8};
		return true;
	case PP(0x11, INSN_PP_F2):
	case PP(0xd6, INSN_PP_66):
		*ret_move = (struct vector_move){.part = PART_LOW, .size = 8, .store = true};
		return true;
	case PP(0x6e, INSN_PP_66): /* MOVD, MOVQ */
		*ret_move = (struct vector_move){.part = PART_LOW, .size = word};
		return true;
	case PP(0x7e, INSN_PP_66):
		*ret_move = (struct vector_move){.part = PART_LOW, .size = word, .store = true};
		return true;
	case PP(0x12, INSN_PP_NONE): /* MOVLPS, MOVLPD */
	case PP(0x12, INSN_PP_66):
		*ret_move = (struct vector_move){.part = PART_LOW8, .size = 8};
		return true;
	case PP(0x13, INSN_PP_NONE):
	case PP(0x13, INSN_PP_66):
		*ret_move = (struct vector_move){.part = PART_LOW8, .size = 8, .store = true};
		return true;
	case PP(0x16, INSN_PP_NONE): /* MOVHPS, MOVHPD */
	case PP(0x16, INSN_PP_66):
		*ret_move = (struct vector_move){.part = PART_HIGH8, .size = 8};
		return true;
	case PP(0x17, INSN_PP_NONE):
	case PP(0x17, INSN_PP_66):
		*ret_move = (struct vector_move){.part = PART_HIGH8, .size = 8, .store = true};
		return true;
	default:
		return false;
	}
}

static bool move_of(const struct insn *insn, struct vector_move *ret_move)
{
	if (!insn->has_mem || (insn->encoding != INSN_LEGACY && insn->encoding != INSN_VEX))
		return false;
	if (insn->map == INSN_MAP_0F38) {
		*ret_move = (struct vector_move){.part = PART_ALL, .aligned = true};
		return insn->opcode == 0x2a && insn->pp == INSN_PP_66; /* MOVNTDQA */
	}
	return insn->map == INSN_MAP_0F && move_0f(insn, ret_move);
}

/* The restrictions of the VEX encoding: a second source only where a load keeps half of a vector, 32 bytes only
 * where a whole one moves; MOVSS and MOVSD ignore the length (SDM 2, 2.3). */
static bool vex_valid(const struct insn *insn, const struct vector_move *move)
{
	bool merges = !move->store && (move->part == PART_LOW8 || move->part == PART_HIGH8);
	bool scalar = insn->opcode == 0x10 || insn->opcode == 0x11;

	if (insn->vex_vvvv && !merges)
		return false;
	return !insn->vex_l || move->part == PART_ALL || scalar;
}

static int load_vector(struct emul *e, const struct vector_move *move, unsigned int length,
		       unsigned int size, const uint8_t *bytes)
{
	const struct insn *insn = e->insn;
	bool vex = insn->encoding == INSN_VEX;
	uint8_t vector[INSN_MAX_ACCESS] = {0};
	int rc;

	if (move->part == PART_LOW8 || move->part == PART_HIGH8) {
		rc = e->ops->read_vec(e->ctx, vex ? insn->vex_vvvv : insn->reg, vector, 16);
		if (rc)
			return rc;
	}
	__builtin_memcpy(vector + (move->part == PART_HIGH8 ? 8 : 0), bytes, size);
	return e->ops->write_vec(e->ctx, insn->reg, vector, length, vex);
}

int emul_vector(struct emul *e)
{
	const struct insn *insn = e->insn;
	enum insn_seg seg = (enum insn_seg)insn->seg;
	uint8_t vector[INSN_MAX_ACCESS] = {0};
	uint64_t offset = emul_offset(e), linear;
	struct vector_move move;
	unsigned int length, size;
	int rc;

	if (!e->ops->read_vec || !e->ops->write_vec || !move_of(insn, &move))
		return -EOPNOTSUPP;
	if (insn->encoding == INSN_VEX && !vex_valid(insn, &move))
		return -EOPNOTSUPP;
	length = insn->encoding == INSN_VEX && insn->vex_l && move.part == PART_ALL ? 32 : 16;
	size = move.size ? move.size : length;

	if (move.aligned) {
		rc = emul_linear(e, seg, offset, size, move.store, &linear);
		if (rc)
			return rc;
		if (linear & (size - 1))
			return emul_raise(e->ctx, INSN_VECTOR_GP, true);
	}
	if (!move.store) {
		rc = emul_load(e, seg, offset, size, INSN_ACCESS_READ, vector);
		return rc ? rc : load_vector(e, &move, length, size, vector);
	}
	rc = e->ops->read_vec(e->ctx, insn->reg, vector, length);
	if (rc)
		return rc;
	return emul_store(e, seg, offset, size, vector + (move.part == PART_HIGH8 ? 8 : 0));
}
