/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Emulation of integer instructions (APM 3, chapter 3). */
#include <bulkhead/errno.h>

#include "decode.h"
#include "emul.h"

/* A comparison or test reads what its relatives modify. */
static enum insn_access access_for(bool modifies)
{
	return modifies ? INSN_ACCESS_MODIFY : INSN_ACCESS_READ;
}

/* ADD to CMP with a register or an immediate: the result goes to r/m. */
static int binary_to_rm(struct emul *e, enum alu_op op, uint64_t operand, unsigned int size)
{
	uint64_t old, value;
	int rc = emul_read_rm(e, size, access_for(op != ALU_CMP), &old);

	if (rc)
		return rc;
	value = alu_binary(op, old, operand & emul_mask(size), size, &e->rflags);
	return op == ALU_CMP ? 0 : emul_replace_rm(e, size, old, value);
}

/* The opcodes below 40. */
static int binary(struct emul *e)
{
	const struct insn *insn = e->insn;
	enum alu_op op = (enum alu_op)(insn->opcode >> 3 & 7);
	unsigned int size = emul_size(insn);
	uint64_t value;
	int rc;

	switch (insn->opcode >> 1 & 3) {
	case 0:
		return binary_to_rm(e, op, emul_get_operand_reg(e, insn->reg, size), size);
	case 1:
		rc = emul_read_rm(e, size, INSN_ACCESS_READ, &value);
		if (rc)
			return rc;
		value = alu_binary(op, emul_get_operand_reg(e, insn->reg, size), value, size,
				   &e->rflags);
		if (op != ALU_CMP)
			emul_set_operand_reg(e, insn->reg, size, value);
		return 0;
	default:
		value = alu_binary(op, emul_get_reg(e, INSN_RAX, size), insn->imm & emul_mask(size),
				   size, &e->rflags);
		if (op != ALU_CMP)
			emul_set_reg(e, INSN_RAX, size, value);
		return 0;
	}
}

static int test(struct emul *e, uint64_t operand, unsigned int size)
{
	uint64_t value;
	int rc = emul_read_rm(e, size, INSN_ACCESS_READ, &value);

	if (!rc)
		alu_binary(ALU_AND, value, operand & emul_mask(size), size, &e->rflags);
	return rc;
}

/* XCHG with memory locks the bus without being told. */
static int exchange(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = emul_size(insn);
	uint64_t old, value = emul_get_operand_reg(e, insn->reg, size), offset;
	int rc;

	if (!insn->has_mem) {
		old = emul_get_operand_reg(e, insn->rm, size);
		emul_set_operand_reg(e, insn->rm, size, value);
		emul_set_operand_reg(e, insn->reg, size, old);
		return 0;
	}
	offset = emul_offset(e);
	rc = emul_read(e, (enum insn_seg)insn->seg, offset, size, INSN_ACCESS_MODIFY, &old);
	if (rc)
		return rc;
	rc = emul_replace(e, offset, size, &old, &value);
	if (rc)
		return rc;
	emul_set_operand_reg(e, insn->reg, size, old);
	return 0;
}

static int load_reg(struct emul *e, unsigned int source_size, unsigned int size, bool is_signed)
{
	uint64_t value;
	int rc = emul_read_rm(e, source_size, INSN_ACCESS_READ, &value);

	if (rc)
		return rc;
	if (is_signed)
		value = emul_sign_extend(value, source_size);
	emul_set_operand_reg(e, e->insn->reg, size, value);
	return 0;
}

static int store_segment(struct emul *e)
{
	const struct insn *insn = e->insn;

	return emul_write_rm(e, insn->has_mem ? 2 : insn->op_size,
			     e->ctx->seg[insn->reg & 7].selector);
}

/* A0 to A3: accumulator and an absolute offset. */
static int move_accumulator(struct emul *e)
{
	unsigned int size = emul_size(e->insn);
	uint64_t value;
	int rc;

	if (e->insn->opcode >= 0xa2)
		return emul_write_rm(e, size, emul_get_reg(e, INSN_RAX, size));
	rc = emul_read_rm(e, size, INSN_ACCESS_READ, &value);
	if (!rc)
		emul_set_reg(e, INSN_RAX, size, value);
	return rc;
}

/* XLAT: AL indexes a table of bytes. */
static int translate(struct emul *e)
{
	const struct insn *insn = e->insn;
	uint64_t value, offset = e->gpr[INSN_RBX] + emul_get_reg(e, INSN_RAX, 1);
	int rc = emul_read(e, (enum insn_seg)insn->seg, offset & emul_mask(insn->addr_size), 1,
			   INSN_ACCESS_READ, &value);

	if (!rc)
		emul_set_reg(e, INSN_RAX, 1, value);
	return rc;
}

/* Width of the stack pointer in bytes. */
static unsigned int stack_width(const struct emul *e)
{
	if (insn_is_64((enum insn_mode)e->insn->mode))
		return 8;
	return e->ctx->seg[INSN_SS].attr & INSN_ATTR_BIG ? 4 : 2;
}

static int push(struct emul *e, uint64_t value)
{
	unsigned int size = e->insn->op_size, width = stack_width(e);
	uint64_t top = (e->gpr[INSN_RSP] - size) & emul_mask(width);
	int rc = emul_write(e, INSN_SS, top, size, value);

	if (!rc)
		emul_set_reg(e, INSN_RSP, width, top);
	return rc;
}

static int pop(struct emul *e, uint64_t *ret_value)
{
	unsigned int size = e->insn->op_size, width = stack_width(e);
	int rc = emul_read(e, INSN_SS, emul_get_reg(e, INSN_RSP, width), size, INSN_ACCESS_READ,
			   ret_value);

	if (!rc)
		emul_set_reg(e, INSN_RSP, width, e->gpr[INSN_RSP] + size);
	return rc;
}

static int push_rm(struct emul *e)
{
	uint64_t value;
	int rc = emul_read_rm(e, e->insn->op_size, INSN_ACCESS_READ, &value);

	return rc ? rc : push(e, value);
}

/* An operand addressed through RSP is found with the value after the pop. */
static int pop_rm(struct emul *e)
{
	uint64_t value;
	int rc = pop(e, &value);

	return rc ? rc : emul_write_rm(e, e->insn->op_size, value);
}

static int pop_reg(struct emul *e, unsigned int reg)
{
	uint64_t value;
	int rc = pop(e, &value);

	if (!rc)
		emul_set_reg(e, reg, e->insn->op_size, value);
	return rc;
}

/* The register in the low bits of the opcode. */
static unsigned int opcode_reg(const struct insn *insn)
{
	return (insn->opcode & 7) | (insn->rex & INSN_REX_B ? 8 : 0);
}

/* Group 2: shifts and rotations. */
static int shift(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = emul_size(insn), count;
	uint64_t old, value;
	int rc;

	if (insn->opcode < 0xd0)
		count = (uint8_t)insn->imm;
	else
		count = insn->opcode < 0xd2 ? 1 : (uint8_t)e->gpr[INSN_RCX];
	rc = emul_read_rm(e, size, INSN_ACCESS_MODIFY, &old);
	if (rc)
		return rc;
	value = alu_shift(insn->reg & 7, old, count, size, &e->rflags);
	return emul_replace_rm(e, size, old, value);
}

/* SHLD, SHRD: 0F A4, A5, AC, AD. */
static int shift_double(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = insn->op_size;
	unsigned int count = insn->opcode & 1 ? (uint8_t)e->gpr[INSN_RCX] : (uint8_t)insn->imm;
	uint64_t old, value;
	int rc = emul_read_rm(e, size, INSN_ACCESS_MODIFY, &old);

	if (rc)
		return rc;
	value = alu_shift_double(insn->opcode < 0xa8, old, emul_get_reg(e, insn->reg, size), count,
				 size, &e->rflags);
	return emul_replace_rm(e, size, old, value);
}

/* Product and dividend of bytes are in AX, of others in rDX and rAX. */
static uint64_t high_half(const struct emul *e, unsigned int size)
{
	return size == 1 ? e->gpr[INSN_RAX] >> 8 & 0xff : emul_get_reg(e, INSN_RDX, size);
}

static void set_halves(struct emul *e, unsigned int size, uint64_t low, uint64_t high)
{
	if (size == 1) {
		emul_set_reg(e, INSN_RAX, 2, low | high << 8);
	} else {
		emul_set_reg(e, INSN_RAX, size, low);
		emul_set_reg(e, INSN_RDX, size, high);
	}
}

static int multiply_divide(struct emul *e)
{
	unsigned int size = emul_size(e->insn), reg = e->insn->reg & 7;
	uint64_t operand, low, high;
	int rc = emul_read_rm(e, size, INSN_ACCESS_READ, &operand);

	if (rc)
		return rc;
	if (reg < 6)
		alu_multiply(reg == 5, emul_get_reg(e, INSN_RAX, size), operand, size, &low, &high,
			     &e->rflags);
	else if (!alu_divide(reg == 7, high_half(e, size), emul_get_reg(e, INSN_RAX, size), operand,
			     size, &low, &high))
		return emul_raise(e->ctx, INSN_VECTOR_DE, false);
	set_halves(e, size, low, high);
	return 0;
}

/* Group 3: TEST NOT NEG MUL IMUL DIV IDIV. */
static int group3(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = emul_size(insn), reg = insn->reg & 7;
	uint64_t old, value;
	int rc;

	if (reg < 2)
		return test(e, insn->imm, size);
	if (reg > 3)
		return multiply_divide(e);
	rc = emul_read_rm(e, size, INSN_ACCESS_MODIFY, &old);
	if (rc)
		return rc;
	if (reg == 2)
		value = ~old & emul_mask(size);
	else
		value = alu_binary(ALU_SUB, 0, old, size, &e->rflags);
	return emul_replace_rm(e, size, old, value);
}

/* Groups 4 and 5: INC and DEC; PUSH. Calls and jumps are not emulated. */
static int group5(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = emul_size(insn), reg = insn->reg & 7;
	uint64_t old, value;
	int rc;

	if (reg == 6)
		return push_rm(e);
	if (reg > 1)
		return -EOPNOTSUPP;
	rc = emul_read_rm(e, size, INSN_ACCESS_MODIFY, &old);
	if (rc)
		return rc;
	value = reg == 0 ? alu_increment(old, size, &e->rflags)
			 : alu_decrement(old, size, &e->rflags);
	return emul_replace_rm(e, size, old, value);
}

/* IMUL with two or three operands. */
static int multiply_reg(struct emul *e, bool immediate)
{
	const struct insn *insn = e->insn;
	unsigned int size = insn->op_size;
	uint64_t operand, other, low, high;
	int rc = emul_read_rm(e, size, INSN_ACCESS_READ, &operand);

	if (rc)
		return rc;
	other = immediate ? insn->imm & emul_mask(size) : emul_get_reg(e, insn->reg, size);
	alu_multiply(true, operand, other, size, &low, &high, &e->rflags);
	emul_set_reg(e, insn->reg, size, low);
	return 0;
}

/* BT BTS BTR BTC: a bit number from a register reaches beyond the operand in memory. */
static int bit_test(struct emul *e, unsigned int op, uint64_t number, bool far_reaching)
{
	const struct insn *insn = e->insn;
	unsigned int size = insn->op_size;
	uint64_t old, value, bit = 1ULL << (number & (8 * size - 1)), offset = 0;
	int rc;

	if (insn->has_mem) {
		offset = emul_offset(e);
		if (far_reaching) {
			/* A signed number; elements of the operand's size are stepped over. */
			int64_t element = (int64_t)emul_sign_extend(number, size) >> 3;

			offset += (uint64_t)element & ~(uint64_t)(size - 1);
			offset &= emul_mask(insn->addr_size);
		}
		rc = emul_read(e, (enum insn_seg)insn->seg, offset, size, access_for(op != 0),
			       &old);
		if (rc)
			return rc;
	} else {
		old = emul_get_reg(e, insn->rm, size);
	}

	e->rflags &= ~(uint64_t)INSN_FLAG_CF;
	if (old & bit)
		e->rflags |= INSN_FLAG_CF;
	if (op == 0)
		return 0;
	if (op == 1)
		value = old | bit;
	else
		value = op == 2 ? old & ~bit : old ^ bit;
	if (insn->has_mem)
		return emul_replace(e, offset, size, &old, &value);
	emul_set_reg(e, insn->rm, size, value);
	return 0;
}

static int bit_scan(struct emul *e, bool reverse)
{
	const struct insn *insn = e->insn;
	uint64_t value;
	int rc;

	/* F3 makes TZCNT and LZCNT of these, on CPUs that have them. */
	if (insn->pp == INSN_PP_F3)
		return -EOPNOTSUPP;
	rc = emul_read_rm(e, insn->op_size, INSN_ACCESS_READ, &value);
	if (rc)
		return rc;
	if (value == 0) {
		e->rflags |= INSN_FLAG_ZF;
		return 0;
	}
	e->rflags &= ~(uint64_t)INSN_FLAG_ZF;
	emul_set_reg(e, insn->reg, insn->op_size,
		     (uint64_t)(reverse ? 63 - __builtin_clzll(value) : __builtin_ctzll(value)));
	return 0;
}

static int compare_exchange(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = emul_size(insn);
	uint64_t old, accumulator = emul_get_reg(e, INSN_RAX, size);
	int rc = emul_read_rm(e, size, INSN_ACCESS_MODIFY, &old);

	if (rc)
		return rc;
	alu_binary(ALU_CMP, accumulator, old, size, &e->rflags);
	if (old == accumulator)
		return emul_replace_rm(e, size, old, emul_get_operand_reg(e, insn->reg, size));
	emul_set_reg(e, INSN_RAX, size, old);
	return 0;
}

/* CMPXCHG8B and CMPXCHG16B. */
static int compare_exchange_pair(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int half = insn->op_size == 8 ? 8 : 4;
	uint64_t offset = emul_offset(e), expected[2], desired[2], old[2] = {0, 0};
	uint8_t old_bytes[16], desired_bytes[16];
	uint64_t linear;
	int rc;

	expected[0] = emul_get_reg(e, INSN_RAX, half);
	expected[1] = emul_get_reg(e, INSN_RDX, half);
	desired[0] = emul_get_reg(e, INSN_RBX, half);
	desired[1] = emul_get_reg(e, INSN_RCX, half);

	rc = emul_linear(e, (enum insn_seg)insn->seg, offset, 2 * half, true, &linear);
	if (rc)
		return rc;
	if (half == 8 && linear & 15)
		return emul_raise(e->ctx, INSN_VECTOR_GP, true);
	rc = emul_load(e, (enum insn_seg)insn->seg, offset, 2 * half, INSN_ACCESS_MODIFY,
		       old_bytes);
	if (rc)
		return rc;
	for (unsigned int i = 0; i < 2; i++)
		__builtin_memcpy(&old[i], old_bytes + half * i, half);

	if (old[0] == expected[0] && old[1] == expected[1]) {
		for (unsigned int i = 0; i < 2; i++)
			__builtin_memcpy(desired_bytes + half * i, &desired[i], half);
		e->rflags |= INSN_FLAG_ZF;
		return emul_replace(e, offset, 2 * half, old_bytes, desired_bytes);
	}
	e->rflags &= ~(uint64_t)INSN_FLAG_ZF;
	emul_set_reg(e, INSN_RAX, half, old[0]);
	emul_set_reg(e, INSN_RDX, half, old[1]);
	return 0;
}

static int exchange_add(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = emul_size(insn);
	uint64_t old, value;
	int rc = emul_read_rm(e, size, INSN_ACCESS_MODIFY, &old);

	if (rc)
		return rc;
	value = alu_binary(ALU_ADD, old, emul_get_operand_reg(e, insn->reg, size), size,
			   &e->rflags);
	/* The register may be part of the address; and as both operands it ends as the sum. */
	if (insn->has_mem) {
		rc = emul_replace_rm(e, size, old, value);
		if (rc)
			return rc;
	}
	emul_set_operand_reg(e, insn->reg, size, old);
	if (!insn->has_mem)
		emul_set_operand_reg(e, insn->rm, size, value);
	return 0;
}

/* A condition that does not hold still reads memory, and four bytes still clear the upper half. */
static int move_conditional(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = insn->op_size;
	uint64_t value;
	int rc = emul_read_rm(e, size, INSN_ACCESS_READ, &value);

	if (rc)
		return rc;
	if (!alu_condition(insn->opcode, e->rflags))
		value = emul_get_reg(e, insn->reg, size);
	emul_set_reg(e, insn->reg, size, value);
	return 0;
}

static uint64_t swap_bytes(uint64_t value, unsigned int size)
{
	return __builtin_bswap64(value) >> (64 - 8 * size);
}

/* MOVBE, both directions. */
static int move_swapped(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = insn->op_size;
	uint64_t value;
	int rc;

	if (insn->opcode & 1)
		return emul_write_rm(e, size, swap_bytes(emul_get_reg(e, insn->reg, size), size));
	rc = emul_read_rm(e, size, INSN_ACCESS_READ, &value);
	if (!rc)
		emul_set_reg(e, insn->reg, size, swap_bytes(value, size));
	return rc;
}

/* MOVNTI, MOVDIRI: stores of four or eight bytes. */
static int store_direct(struct emul *e)
{
	unsigned int size = e->insn->op_size == 8 ? 8 : 4;

	return emul_write_rm(e, size, emul_get_reg(e, e->insn->reg, size));
}

/* Cache line flushes: a trapped page is not cached, so there is nothing to do but to check the address. */
static int flush_line(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int reg = insn->reg & 7;
	uint64_t linear;
	bool flush = (reg == 7 && insn->pp <= INSN_PP_66) || (reg == 6 && insn->pp == INSN_PP_66);

	if (!insn->has_mem || !flush)
		return -EOPNOTSUPP;
	return emul_linear(e, (enum insn_seg)insn->seg, emul_offset(e), 1, false, &linear);
}

/* The first half of the one-byte map, but for the opcodes of binary(). */
static int low_half(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int reg = opcode_reg(insn);

	switch (insn->opcode & 0xf8) {
	case 0x50:
		return push(e, e->gpr[reg]);
	case 0x58:
		return pop_reg(e, reg);
	default:
		break;
	}
	switch (insn->opcode) {
	case 0x63: /* MOVSXD; outside 64-bit mode ARPL */
		if (!insn_is_64((enum insn_mode)insn->mode))
			return -EOPNOTSUPP;
		return load_reg(e, insn->op_size == 2 ? 2 : 4, insn->op_size, true);
	case 0x68:
	case 0x6a:
		return push(e, insn->imm);
	case 0x69:
	case 0x6b:
		return multiply_reg(e, true);
	default:
		return -EOPNOTSUPP;
	}
}

int emul_1byte(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = emul_size(insn);

	if (insn->opcode < 0x40 && (insn->opcode & 7) < 6)
		return binary(e);
	if (insn->opcode < 0x80)
		return low_half(e);

	switch (insn->opcode) {
	case 0x80:
	case 0x81:
	case 0x82:
	case 0x83:
		return binary_to_rm(e, (enum alu_op)(insn->reg & 7), insn->imm, size);
	case 0x84:
	case 0x85:
		return test(e, emul_get_operand_reg(e, insn->reg, size), size);
	case 0x86:
	case 0x87:
		return exchange(e);
	case 0x88:
	case 0x89:
		return emul_write_rm(e, size, emul_get_operand_reg(e, insn->reg, size));
	case 0x8a:
	case 0x8b:
		return load_reg(e, size, size, false);
	case 0x8c:
		return store_segment(e);
	case 0x8d:
		emul_set_reg(e, insn->reg, insn->op_size, emul_offset(e));
		return 0;
	case 0x8f:
		return pop_rm(e);
	case 0xa0:
	case 0xa1:
	case 0xa2:
	case 0xa3:
		return move_accumulator(e);
	case 0xa8:
	case 0xa9:
		alu_binary(ALU_AND, emul_get_reg(e, INSN_RAX, size), insn->imm & emul_mask(size),
			   size, &e->rflags);
		return 0;
	case 0xc0:
	case 0xc1:
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return shift(e);
	case 0xc6:
	case 0xc7:
		if ((insn->reg & 7) != 0) /* XABORT, XBEGIN */
			return -EOPNOTSUPP;
		return emul_write_rm(e, size, insn->imm);
	case 0xd7:
		return translate(e);
	case 0xf6:
	case 0xf7:
		return group3(e);
	case 0xfe:
	case 0xff:
		return group5(e);
	default:
		return emul_port(e);
	}
}

int emul_0f(struct emul *e)
{
	const struct insn *insn = e->insn;
	unsigned int size = insn->op_size;
	uint64_t number;

	switch (insn->opcode & 0xf0) {
	case 0x40:
		return move_conditional(e);
	case 0x90:
		return emul_write_rm(e, 1, alu_condition(insn->opcode, e->rflags));
	default:
		break;
	}
	switch (insn->opcode) {
	case 0x0d: /* prefetches and hints */
	case 0x18:
	case 0x19:
	case 0x1c:
	case 0x1d:
	case 0x1f:
		return 0;
	case 0xa3:
	case 0xab:
	case 0xb3:
	case 0xbb:
		number = emul_get_reg(e, insn->reg, size);
		return bit_test(e, insn->opcode >> 3 & 3, number, true);
	case 0xba:
		return bit_test(e, insn->reg & 3, insn->imm, false);
	case 0xa4:
	case 0xa5:
	case 0xac:
	case 0xad:
		return shift_double(e);
	case 0xae:
		return flush_line(e);
	case 0xaf:
		return multiply_reg(e, false);
	case 0xb0:
	case 0xb1:
		return compare_exchange(e);
	case 0xb6:
	case 0xb7:
	case 0xbe:
	case 0xbf:
		return load_reg(e, insn->opcode & 1 ? 2 : 1, size, insn->opcode >= 0xbe);
	case 0xbc:
	case 0xbd:
		return bit_scan(e, insn->opcode & 1);
	case 0xc0:
	case 0xc1:
		return exchange_add(e);
	case 0xc3:
		return insn->pp == INSN_PP_NONE ? store_direct(e) : -EOPNOTSUPP;
	case 0xc7:
		if (!insn->has_mem || (insn->reg & 7) != 1)
			return -EOPNOTSUPP;
		return compare_exchange_pair(e);
	default:
		return emul_vector(e);
	}
}

int emul_0f38(struct emul *e)
{
	const struct insn *insn = e->insn;

	if (!insn->has_mem)
		return -EOPNOTSUPP;
	switch (insn->opcode) {
	case 0xf0:
	case 0xf1:
		/* With F2 they are CRC32. */
		return insn->pp <= INSN_PP_66 ? move_swapped(e) : -EOPNOTSUPP;
	case 0xf9:
		return insn->pp == INSN_PP_NONE ? store_direct(e) : -EOPNOTSUPP;
	default:
		return emul_vector(e);
	}
}
