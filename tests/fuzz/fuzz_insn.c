/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: decodes, names and emulates arbitrary bytes for a guest of arbitrary state. */
// links: hypervisor/arch/x86/emul/decode.c hypervisor/arch/x86/emul/opcodes.c hypervisor/arch/x86/emul/classify.c
// links: hypervisor/arch/x86/emul/emulate.c hypervisor/arch/x86/emul/integer.c hypervisor/arch/x86/emul/string.c
// links: hypervisor/arch/x86/emul/vector.c hypervisor/arch/x86/emul/operand.c hypervisor/arch/x86/emul/alu.c
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arch/insn.h>

/*
 * Input: one byte of options (bits 0-1 mode, 2 real mode, 3 five-level paging, 4 optional callbacks, 5 small
 * limits, 6 data segments that cannot be written, 7 trap flag), one byte that says how callbacks fail, one of
 * flags, one that seeds the registers; then instructions.
 */
#define HEADER	    4
#define MEMORY_SIZE 4096
#define MAX_RUNS    64

struct machine {
	struct insn_ctx ctx;
	uint8_t memory[MEMORY_SIZE];
	uint8_t vec[16][32];
	const uint8_t *code;
	size_t code_size;
	uint8_t failures; /* bit 0-2: every how manieth callback fails; 3-4: how */
	unsigned int calls;
};

#define REQUIRE(condition) \
 do {                      \
  if (!(condition))        \
   abort();                \
 } while (0)

static int answer(struct machine *machine)
{
	static const int errors[] = {-EFAULT, -EBUSY, -ERESTART, -EIO};
	unsigned int period = machine->failures & 7;

	machine->calls++;
	if (period == 0 || machine->calls % (period + 1))
		return 0;
	machine->ctx.fault = (struct insn_fault){.vector = 14, .has_error = true};
	return errors[machine->failures >> 3 & 3];
}

static void check_access(const struct machine *machine, const struct insn_mem *mem,
			 unsigned int max)
{
	REQUIRE(mem->size >= 1 && mem->size <= max);
	REQUIRE(mem->linear + mem->size > mem->linear);
	REQUIRE(mem->seg < INSN_NR_SEGS);
	if (machine->ctx.mode == INSN_MODE_16 || machine->ctx.mode == INSN_MODE_32)
		REQUIRE(mem->linear + mem->size <= 1ULL << 32);
}

static int fuzz_read(struct insn_ctx *ctx, const struct insn_mem *mem, void *buf)
{
	struct machine *machine = ctx->opaque;
	uint8_t *bytes = buf;

	check_access(machine, mem, INSN_MAX_ACCESS);
	for (unsigned int i = 0; i < mem->size; i++) {
		uint64_t at = mem->linear + i;

		if (mem->access == INSN_ACCESS_FETCH)
			bytes[i] = at < machine->code_size ? machine->code[at] : 0x90;
		else
			bytes[i] = machine->memory[at % MEMORY_SIZE];
	}
	return mem->access == INSN_ACCESS_FETCH ? 0 : answer(machine);
}

static int fuzz_write(struct insn_ctx *ctx, const struct insn_mem *mem, const void *buf)
{
	struct machine *machine = ctx->opaque;
	const uint8_t *bytes = buf;
	int rc = answer(machine);

	check_access(machine, mem, INSN_MAX_ACCESS);
	REQUIRE(mem->access == INSN_ACCESS_WRITE);
	for (unsigned int i = 0; i < mem->size && !rc; i++)
		machine->memory[(mem->linear + i) % MEMORY_SIZE] = bytes[i];
	return rc;
}

static int fuzz_cmpxchg(struct insn_ctx *ctx, const struct insn_mem *mem, const void *expected,
			const void *desired)
{
	check_access(ctx->opaque, mem, 16);
	REQUIRE(mem->locked);
	for (unsigned int i = 0; i < mem->size; i++)
		if (((const uint8_t *)expected)[i] !=
		    ((struct machine *)ctx->opaque)->memory[(mem->linear + i) % MEMORY_SIZE])
			return -ERESTART;
	return fuzz_write(ctx, mem, desired);
}

static int fuzz_probe(struct insn_ctx *ctx, const struct insn_mem *mem)
{
	check_access(ctx->opaque, mem, 4);
	return answer(ctx->opaque);
}

static int fuzz_in(struct insn_ctx *ctx, uint16_t port, unsigned int size, uint32_t *ret_value)
{
	REQUIRE(size == 1 || size == 2 || size == 4);
	*ret_value = port * 0x9e3779b9u;
	return answer(ctx->opaque);
}

static int fuzz_out(struct insn_ctx *ctx, uint16_t port, unsigned int size, uint32_t value)
{
	(void)port;
	REQUIRE(size == 1 || size == 2 || size == 4);
	REQUIRE(size == 4 || value >> (8 * size) == 0);
	return answer(ctx->opaque);
}

static int fuzz_bulk(struct insn_ctx *ctx, const struct insn_bulk *bulk, uint32_t *ret_done)
{
	struct machine *machine = ctx->opaque;
	uint64_t span = (uint64_t)(bulk->count - 1) * bulk->size;

	REQUIRE(bulk->count >= 2 && bulk->count <= INSN_REP_LIMIT);
	REQUIRE(bulk->size == 1 || bulk->size == 2 || bulk->size == 4 || bulk->size == 8);
	if (bulk->down) {
		REQUIRE(bulk->src - span <= bulk->src || bulk->kind == INSN_BULK_INS ||
			bulk->kind == INSN_BULK_STOS);
		REQUIRE(bulk->dst - span <= bulk->dst || bulk->kind == INSN_BULK_OUTS);
	} else {
		REQUIRE(bulk->src + span + bulk->size > bulk->src);
		REQUIRE(bulk->dst + span + bulk->size > bulk->dst);
	}
	*ret_done = machine->calls % 3 ? bulk->count / 2 : machine->calls * 1000;
	return answer(machine);
}

static void fuzz_step_done(struct insn_ctx *ctx)
{
	(void)ctx;
}

static int fuzz_read_vec(struct insn_ctx *ctx, unsigned int reg, void *buf, unsigned int size)
{
	struct machine *machine = ctx->opaque;

	REQUIRE(reg < 16 && (size == 16 || size == 32));
	memcpy(buf, machine->vec[reg], size);
	return answer(machine);
}

static int fuzz_write_vec(struct insn_ctx *ctx, unsigned int reg, const void *buf,
			  unsigned int size, bool zero_upper)
{
	struct machine *machine = ctx->opaque;

	(void)zero_upper;
	REQUIRE(reg < 16 && (size == 16 || size == 32));
	memcpy(machine->vec[reg], buf, size);
	return answer(machine);
}

static const struct insn_ops few_ops = {.read = fuzz_read, .write = fuzz_write};

static const struct insn_ops all_ops = {
	.read = fuzz_read,
	.write = fuzz_write,
	.cmpxchg = fuzz_cmpxchg,
	.probe_write = fuzz_probe,
	.in = fuzz_in,
	.out = fuzz_out,
	.bulk = fuzz_bulk,
	.step_done = fuzz_step_done,
	.read_vec = fuzz_read_vec,
	.write_vec = fuzz_write_vec,
};

/* The length is found with exactly its bytes, and with any fewer more are wanted. */
static void check_decoder(const uint8_t *bytes, size_t size, enum insn_mode mode)
{
	unsigned int len = size < 20 ? (unsigned int)size : 20;
	struct insn insn, again;
	int rc = insn_decode(&insn, bytes, len, mode);

	REQUIRE(rc == 0 || rc == -EAGAIN || rc == -EINVAL || rc == -E2BIG);
	REQUIRE(rc != -EAGAIN || len < INSN_MAX_LENGTH);
	if (rc)
		return;
	REQUIRE(insn.length >= 1 && insn.length <= INSN_MAX_LENGTH && insn.length <= len);
	REQUIRE(insn.op_size == 2 || insn.op_size == 4 || insn.op_size == 8);
	REQUIRE(insn.addr_size == 2 || insn.addr_size == 4 || insn.addr_size == 8);
	REQUIRE(insn.seg < INSN_NR_SEGS && insn.reg < 16 && insn.rm < 16);
	REQUIRE(insn.base == INSN_NO_REG || insn.base < INSN_NR_REGS);
	REQUIRE(insn.index == INSN_NO_REG || insn.index < INSN_NR_REGS);
	REQUIRE(insn_classify(&insn) <= INSN_INVVPID);
	REQUIRE(insn_decode(&again, bytes, insn.length - 1u, mode) == -EAGAIN);
	REQUIRE(insn_decode(&again, bytes, insn.length, mode) == 0);
	REQUIRE(again.length == insn.length);
}

static void start(struct machine *machine, const uint8_t *header)
{
	uint64_t seed = (header[3] + 1) * 0x9e3779b97f4a7c15;
	bool small = header[0] & 0x20;

	machine->ctx.mode = header[0] & 3;
	machine->ctx.real_mode = header[0] & 4;
	machine->ctx.linear_bits = header[0] & 8 ? 57 : 48;
	machine->ctx.rep_limit = small ? 3 : 0;
	machine->ctx.rflags = 2 | (header[2] & 0xd5) | (header[2] & 0x2 ? INSN_FLAG_DF : 0) |
			      (header[2] & 0x8 ? INSN_FLAG_OF : 0) |
			      (header[0] & 0x80 ? INSN_FLAG_TF : 0);
	machine->ctx.opaque = machine;
	machine->failures = header[1];
	for (unsigned int i = 0; i < INSN_NR_REGS; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		/* Some small, some negative, some anything. */
		machine->ctx.gpr[i] = seed >> (i * 13 & 63);
		if (seed & 0x100)
			machine->ctx.gpr[i] = -machine->ctx.gpr[i];
	}
	for (unsigned int i = 0; i < INSN_NR_SEGS; i++)
		machine->ctx.seg[i] = (struct insn_segment){
			.base = i >= INSN_FS ? seed << i : 0,
			.limit = small && i != INSN_CS ? 0xffff : UINT32_MAX,
			.attr = INSN_ATTR_PRESENT | (header[0] & 0x40 ? 0 : INSN_ATTR_WRITE) |
				(small ? 0 : INSN_ATTR_BIG) |
				(header[3] & 1 ? INSN_ATTR_EXPAND_DOWN : 0),
		};
	machine->ctx.seg[INSN_CS].attr = INSN_ATTR_PRESENT | INSN_ATTR_WRITE | INSN_ATTR_CODE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine machine;
	const struct insn_ops *ops;

	if (size < HEADER)
		return 0;
	memset(&machine, 0, sizeof(machine));
	start(&machine, data);
	machine.code = data + HEADER;
	machine.code_size = size - HEADER;
	ops = data[0] & 0x10 ? &all_ops : &few_ops;

	for (unsigned int runs = 0; runs < MAX_RUNS && machine.ctx.rip < machine.code_size;
	     runs++) {
		struct insn_ctx before;
		struct insn insn;
		int rc;

		check_decoder(machine.code + machine.ctx.rip, machine.code_size - machine.ctx.rip,
			      (enum insn_mode)machine.ctx.mode);
		if (insn_fetch(&machine.ctx, ops, &insn)) {
			machine.ctx.rip++;
			continue;
		}
		before = machine.ctx;
		rc = insn_emulate(&machine.ctx, ops, &insn);
		if (rc == 0) {
			REQUIRE(machine.ctx.rip == insn_next_rip(&insn, before.rip));
			continue;
		}
		/* What did not succeed changed nothing, but for iterations of a repeated instruction. */
		REQUIRE(machine.ctx.rip == before.rip);
		if (!(insn.prefixes & (INSN_PFX_REP | INSN_PFX_REPNE))) {
			REQUIRE(!memcmp(machine.ctx.gpr, before.gpr, sizeof(before.gpr)));
			REQUIRE(machine.ctx.rflags == before.rflags);
		}
		if (rc != -ERESTART || runs % 4 == 3)
			machine.ctx.rip = insn_next_rip(&insn, before.rip);
	}
	return 0;
}
