/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the emulator share. */
#ifndef EMUL_EMUL_H
#define EMUL_EMUL_H

#include <arch/insn.h>

/*
 * One instruction being emulated. Registers and flags are changed in the copies here, which reach the context
 * when the instruction, or the iteration of a string instruction, has succeeded.
 */
struct emul {
	struct insn_ctx *ctx;
	const struct insn_ops *ops;
	const struct insn *insn;
	uint64_t gpr[INSN_NR_REGS];
	uint64_t rflags;
};

#define EMUL_ARITHMETIC_FLAGS \
 (INSN_FLAG_CF | INSN_FLAG_PF | INSN_FLAG_AF | INSN_FLAG_ZF | INSN_FLAG_SF | INSN_FLAG_OF)

/* The low size bytes. */
static inline uint64_t emul_mask(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ULL << 8 * size) - 1;
}

static inline uint64_t emul_sign_extend(uint64_t value, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return (uint64_t)((int64_t)(value << shift) >> shift);
}

/* Most opcodes come in pairs: the even one is about bytes. */
static inline unsigned int emul_size(const struct insn *insn)
{
	return insn->opcode & 1 ? insn->op_size : 1;
}

/* operand.c: registers and memory. Sizes are in bytes. */
void emul_start(struct emul *e, struct insn_ctx *ctx, const struct insn_ops *ops,
		const struct insn *insn);
void emul_commit(const struct emul *e);
uint64_t emul_get_reg(const struct emul *e, unsigned int reg, unsigned int size);
void emul_set_reg(struct emul *e, unsigned int reg, unsigned int size, uint64_t value);
/* As emul_get_reg(), but numbers 4 to 7 of a byte mean AH, CH, DH and BH where there is no REX. */
uint64_t emul_get_operand_reg(const struct emul *e, unsigned int reg, unsigned int size);
void emul_set_operand_reg(struct emul *e, unsigned int reg, unsigned int size, uint64_t value);

int emul_raise(struct insn_ctx *ctx, uint8_t vector, bool has_error);
/* Offset of the memory operand in its segment. */
uint64_t emul_offset(const struct emul *e);
bool emul_is_canonical(const struct insn_ctx *ctx, uint64_t linear);
/* Checks an access against its segment and the canonical range. */
int emul_linear(struct emul *e, enum insn_seg seg, uint64_t offset, uint64_t size, bool write,
		uint64_t *ret_linear);
/* What emul_store() would say, as far as that can be known. */
int emul_probe(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size);
int emul_load(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size,
	      enum insn_access access, void *buf);
int emul_store(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size,
	       const void *buf);
int emul_read(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size,
	      enum insn_access access, uint64_t *ret_value);
int emul_write(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int size,
	       uint64_t value);
int emul_read_rm(struct emul *e, unsigned int size, enum insn_access access, uint64_t *ret_value);
int emul_write_rm(struct emul *e, unsigned int size, uint64_t value);
/* Stores what replaces the 1 to 16 bytes that were read; atomically if locked and the callbacks can. */
int emul_replace(struct emul *e, uint64_t offset, unsigned int size, const void *old,
		 const void *new_value);
int emul_replace_rm(struct emul *e, unsigned int size, uint64_t old, uint64_t value);

/* alu.c: arithmetic and its flags; size 1, 2, 4 or 8, operands masked to it. */
enum alu_op {
	ALU_ADD,
	ALU_OR,
	ALU_ADC,
	ALU_SBB,
	ALU_AND,
	ALU_SUB,
	ALU_XOR,
	ALU_CMP, /* the result is that of SUB */
};

uint64_t alu_binary(enum alu_op op, uint64_t a, uint64_t b, unsigned int size, uint64_t *rflags);
uint64_t alu_increment(uint64_t a, unsigned int size, uint64_t *rflags);
uint64_t alu_decrement(uint64_t a, unsigned int size, uint64_t *rflags);
/* op is ModRM.reg of group 2: ROL ROR RCL RCR SHL SHR SHL SAR. */
uint64_t alu_shift(unsigned int op, uint64_t a, unsigned int count, unsigned int size,
		   uint64_t *rflags);
/* SHLD, SHRD: b's bits are shifted in. */
uint64_t alu_shift_double(bool left, uint64_t a, uint64_t b, unsigned int count, unsigned int size,
			  uint64_t *rflags);
void alu_multiply(bool is_signed, uint64_t a, uint64_t b, unsigned int size, uint64_t *ret_low,
		  uint64_t *ret_high, uint64_t *rflags);
/* False for what raises #DE. */
bool alu_divide(bool is_signed, uint64_t high, uint64_t low, uint64_t divisor, unsigned int size,
		uint64_t *ret_quotient, uint64_t *ret_remainder);
/* Does condition code cc, the low four bits of Jcc, hold? */
bool alu_condition(unsigned int cc, uint64_t rflags);

/* integer.c, string.c, vector.c: what insn_emulate() dispatches to. */
int emul_1byte(struct emul *e);
int emul_0f(struct emul *e);
int emul_0f38(struct emul *e);
int emul_port(struct emul *e);
int emul_vector(struct emul *e);
bool emul_is_string(const struct insn *insn);
/* Commits by itself, iteration by iteration. *ret_done: is the whole instruction complete? */
int emul_string(struct emul *e, bool *ret_done);

#endif
