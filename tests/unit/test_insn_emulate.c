/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instruction emulator: what its callbacks see, and what a guest sees when they refuse. */
// links: hypervisor/arch/x86/emul/decode.c hypervisor/arch/x86/emul/opcodes.c hypervisor/arch/x86/emul/emulate.c
// links: hypervisor/arch/x86/emul/integer.c hypervisor/arch/x86/emul/string.c hypervisor/arch/x86/emul/vector.c
// links: hypervisor/arch/x86/emul/operand.c hypervisor/arch/x86/emul/alu.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arch/insn.h>

/* A guest with a little memory that starts at linear address MEMORY_BASE, and records of all accesses. */

#define MEMORY_BASE 0x10000ULL
#define MEMORY_SIZE 0x4000
#define NEVER	    UINT32_MAX
#define PENDING	    (-EBUSY) /* this owner's word for "wait for the device" */

struct access {
	char what; /* r w p(robe) c(mpxchg) i(n) o(ut) v(ector read) V(ector write) */
	struct insn_mem mem;
	uint64_t value;
	uint16_t port;
};

struct guest {
	struct insn_ctx ctx;
	uint8_t memory[MEMORY_SIZE];
	uint8_t vec[16][32];
	struct access log[64];
	unsigned int count;
	uint32_t fail_at; /* this access, counted over everything, fails with fail_with */
	int fail_with;
	unsigned int steps; /* calls of step_done() */
	bool lose_race;
	uint32_t bulk_accept; /* iterations that bulk() does; it fails with bulk_error after them */
	int bulk_error;
	struct insn_bulk bulk;
	unsigned int bulk_calls;
	/* Devices that answer later: accesses of this step that are done. */
	bool asynchronous;
	struct {
		struct access access;
		uint8_t data[32];
	} done[8];
	unsigned int done_count, replayed;
};

static struct guest *guest_of(struct insn_ctx *ctx)
{
	return ctx->opaque;
}

static int note(struct guest *guest, const struct access *access)
{
	if (guest->count < 64)
		guest->log[guest->count] = *access;
	if (guest->count++ == guest->fail_at) {
		if (guest->fail_with == -EFAULT)
			guest->ctx.fault = (struct insn_fault){.vector = 14,
							       .has_error = true,
							       .error = 2,
							       .cr2 = access->mem.linear};
		return guest->fail_with;
	}
	return 0;
}

static uint8_t *memory_at(struct guest *guest, const struct insn_mem *mem)
{
	if (mem->linear < MEMORY_BASE || mem->linear + mem->size > MEMORY_BASE + MEMORY_SIZE)
		return NULL;
	return guest->memory + (mem->linear - MEMORY_BASE);
}

static int outside(struct insn_ctx *ctx, const struct insn_mem *mem)
{
	ctx->fault = (struct insn_fault){.vector = 14, .has_error = true, .cr2 = mem->linear};
	return -EFAULT;
}

static bool same_access(const struct access *a, const struct access *b)
{
	return a->what == b->what && a->mem.linear == b->mem.linear && a->mem.size == b->mem.size &&
	       a->mem.access == b->mem.access && a->port == b->port;
}

/* The log that struct insn_ops describes: true if the access is done already, with the data it gave. */
static bool replay(struct guest *guest, const struct access *access, void *data, unsigned int size)
{
	if (!guest->asynchronous || guest->replayed >= guest->done_count)
		return false;
	assert_true(same_access(&guest->done[guest->replayed].access, access));
	if (data)
		memcpy(data, guest->done[guest->replayed].data, size);
	guest->replayed++;
	return true;
}

static int complete(struct guest *guest, const struct access *access, const void *data,
		    unsigned int size)
{
	if (!guest->asynchronous)
		return 0;
	assert_true(guest->done_count < 8);
	guest->done[guest->done_count].access = *access;
	if (data)
		memcpy(guest->done[guest->done_count].data, data, size);
	guest->done_count++;
	return PENDING;
}

static int guest_read(struct insn_ctx *ctx, const struct insn_mem *mem, void *buf)
{
	struct guest *guest = guest_of(ctx);
	struct access access = {.what = 'r', .mem = *mem};
	uint8_t *memory = memory_at(guest, mem);
	int rc;

	if (replay(guest, &access, buf, mem->size))
		return 0;
	rc = note(guest, &access);
	if (rc)
		return rc;
	if (!memory)
		return outside(ctx, mem);
	memcpy(buf, memory, mem->size);
	return complete(guest, &access, buf, mem->size);
}

static int guest_write(struct insn_ctx *ctx, const struct insn_mem *mem, const void *buf)
{
	struct guest *guest = guest_of(ctx);
	struct access access = {.what = 'w', .mem = *mem};
	uint8_t *memory = memory_at(guest, mem);
	int rc;

	memcpy(&access.value, buf, mem->size < 8 ? mem->size : 8);
	if (replay(guest, &access, NULL, 0))
		return 0;
	rc = note(guest, &access);
	if (rc)
		return rc;
	if (!memory)
		return outside(ctx, mem);
	memcpy(memory, buf, mem->size);
	return complete(guest, &access, NULL, 0);
}

static int guest_cmpxchg(struct insn_ctx *ctx, const struct insn_mem *mem, const void *expected,
			 const void *desired)
{
	struct guest *guest = guest_of(ctx);
	struct access access = {.what = 'c', .mem = *mem};
	uint8_t *memory = memory_at(guest, mem);
	int rc = note(guest, &access);

	if (rc)
		return rc;
	if (!memory)
		return outside(ctx, mem);
	if (guest->lose_race || memcmp(memory, expected, mem->size))
		return -ERESTART;
	memcpy(memory, desired, mem->size);
	return 0;
}

static int guest_probe(struct insn_ctx *ctx, const struct insn_mem *mem)
{
	struct guest *guest = guest_of(ctx);
	struct access access = {.what = 'p', .mem = *mem};

	if (guest->asynchronous)
		return 0;
	return note(guest, &access);
}

static int guest_in(struct insn_ctx *ctx, uint16_t port, unsigned int size, uint32_t *ret_value)
{
	struct guest *guest = guest_of(ctx);
	struct access access = {.what = 'i', .mem = {.size = (uint8_t)size}, .port = port};
	int rc;

	if (replay(guest, &access, ret_value, 4))
		return 0;
	rc = note(guest, &access);
	if (rc)
		return rc;
	*ret_value = 0xdeadbeef;
	return complete(guest, &access, ret_value, 4);
}

static int guest_out(struct insn_ctx *ctx, uint16_t port, unsigned int size, uint32_t value)
{
	struct guest *guest = guest_of(ctx);
	struct access access = {.what = 'o',
				.mem = {.size = (uint8_t)size},
				.port = port,
				.value = value};
	int rc;

	if (replay(guest, &access, NULL, 0))
		return 0;
	rc = note(guest, &access);
	return rc ? rc : complete(guest, &access, NULL, 0);
}

static int guest_bulk(struct insn_ctx *ctx, const struct insn_bulk *bulk, uint32_t *ret_done)
{
	struct guest *guest = guest_of(ctx);

	guest->bulk = *bulk;
	guest->bulk_calls++;
	*ret_done = guest->bulk_accept;
	return guest->bulk_error;
}

static void guest_step_done(struct insn_ctx *ctx)
{
	struct guest *guest = guest_of(ctx);

	guest->steps++;
	guest->done_count = 0;
	guest->replayed = 0;
}

static int guest_read_vec(struct insn_ctx *ctx, unsigned int reg, void *buf, unsigned int size)
{
	struct guest *guest = guest_of(ctx);
	int rc = note(guest, &(struct access){.what = 'v', .mem = {.size = (uint8_t)size}});

	if (!rc)
		memcpy(buf, guest->vec[reg], size);
	return rc;
}

static int guest_write_vec(struct insn_ctx *ctx, unsigned int reg, const void *buf,
			   unsigned int size, bool zero_upper)
{
	struct guest *guest = guest_of(ctx);
	int rc = note(guest, &(struct access){.what = 'V', .mem = {.size = (uint8_t)size}});

	if (rc)
		return rc;
	memcpy(guest->vec[reg], buf, size);
	if (zero_upper)
		memset(guest->vec[reg] + size, 0, 32 - size);
	return 0;
}

static const struct insn_ops plain_ops = {.read = guest_read, .write = guest_write};

static const struct insn_ops all_ops = {
	.read = guest_read,
	.write = guest_write,
	.cmpxchg = guest_cmpxchg,
	.probe_write = guest_probe,
	.in = guest_in,
	.out = guest_out,
	.step_done = guest_step_done,
	.read_vec = guest_read_vec,
	.write_vec = guest_write_vec,
};

static const struct insn_ops bulk_ops = {
	.read = guest_read,
	.write = guest_write,
	.in = guest_in,
	.out = guest_out,
	.bulk = guest_bulk,
	.step_done = guest_step_done,
};

static void guest_init(struct guest *guest, enum insn_mode mode)
{
	memset(guest, 0, sizeof(*guest));
	guest->fail_at = NEVER;
	guest->ctx.mode = (uint8_t)mode;
	guest->ctx.linear_bits = 48;
	guest->ctx.rflags = 2;
	guest->ctx.rip = 0x1000;
	guest->ctx.opaque = guest;
	for (unsigned int i = 0; i < MEMORY_SIZE; i++)
		guest->memory[i] = (uint8_t)(i * 7 + (i >> 8));
	for (unsigned int i = 0; i < 16; i++) {
		guest->ctx.gpr[i] = 0x1111111111111111ULL * i;
		memset(guest->vec[i], (int)(0xa0 + i), 32);
	}
	for (unsigned int i = 0; i < INSN_NR_SEGS; i++)
		guest->ctx.seg[i] = (struct insn_segment){
			.limit = mode == INSN_MODE_16 ? 0xffff : UINT32_MAX,
			.attr = INSN_ATTR_PRESENT | INSN_ATTR_WRITE |
				(mode == INSN_MODE_16 ? 0 : INSN_ATTR_BIG),
			.selector = (uint16_t)(8 * i + 0x10),
		};
	guest->ctx.seg[INSN_CS].attr |= INSN_ATTR_CODE;
}

static int emulate(struct guest *guest, const struct insn_ops *ops, const char *bytes,
		   unsigned int n)
{
	struct insn insn;

	assert_int_equal(insn_decode(&insn, (const uint8_t *)bytes, n,
				     (enum insn_mode)guest->ctx.mode),
			 0);
	assert_int_equal(insn.length, n);
	return insn_emulate(&guest->ctx, ops, &insn);
}

#define EMULATE(guest, ops, bytes) emulate(guest, ops, bytes, sizeof(bytes) - 1)

static uint64_t peek(const struct guest *guest, uint64_t linear, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, guest->memory + (linear - MEMORY_BASE), size);
	return value;
}

static void poke(struct guest *guest, uint64_t linear, unsigned int size, uint64_t value)
{
	memcpy(guest->memory + (linear - MEMORY_BASE), &value, size);
}

static void expect_fault(const struct guest *guest, int rc, uint8_t vector)
{
	assert_int_equal(rc, -EFAULT);
	assert_int_equal(guest->ctx.fault.vector, vector);
	assert_true(guest->ctx.fault.has_error);
	assert_int_equal(guest->ctx.fault.error, 0);
	assert_int_equal(guest->ctx.rip, 0x1000);
}

/* Plain accesses. */

static void test_sizes(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RDI] = 0x10020;
	poke(&guest, 0x10020, 8, 0x8877665544332211);

	guest.ctx.gpr[INSN_RAX] = UINT64_MAX;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), 0); /* mov (%rdi),%eax */
	assert_int_equal(guest.ctx.gpr[INSN_RAX], 0x44332211);
	assert_int_equal(guest.ctx.rip, 0x1002);
	assert_int_equal(guest.log[0].mem.size, 4);
	assert_int_equal(guest.log[0].mem.linear, 0x10020);
	assert_int_equal(guest.log[0].mem.seg, INSN_DS);
	assert_int_equal(guest.log[0].mem.access, INSN_ACCESS_READ);

	guest.ctx.gpr[INSN_RAX] = UINT64_MAX;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x66\x8b\x07"), 0);
	assert_int_equal(guest.ctx.gpr[INSN_RAX], 0xffffffffffff2211);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8a\x27"), 0); /* mov (%rdi),%ah */
	assert_int_equal(guest.ctx.gpr[INSN_RAX], 0xffffffffffff1111);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x40\x8a\x27"), 0); /* mov (%rdi),%spl */
	assert_int_equal(guest.ctx.gpr[INSN_RSP], 0x4444444444444411);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x48\x8b\x07"), 0);
	assert_int_equal(guest.ctx.gpr[INSN_RAX], 0x8877665544332211);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x48\x0f\xbe\x47\x07"),
			 0); /* movsbq 7(%rdi),%rax */
	assert_int_equal(guest.ctx.gpr[INSN_RAX], 0xffffffffffffff88);

	guest.count = 0;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\xc7\x07\x01\x00\x00\x80"), 0);
	assert_int_equal(guest.count, 1);
	assert_int_equal(guest.log[0].what, 'w');
	assert_int_equal(guest.log[0].mem.access, INSN_ACCESS_WRITE);
	assert_int_equal(peek(&guest, 0x10020, 8), 0x8877665580000001);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x48\xc7\x07\x01\x00\x00\x80"), 0);
	assert_int_equal(peek(&guest, 0x10020, 8), 0xffffffff80000001);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x66\x8c\x1f"), 0); /* mov %ds,(%rdi) */
	assert_int_equal(peek(&guest, 0x10020, 8), 0xffffffff80000028);
}

/* Which accesses need a writable page, and how many there are. */
static void test_access_kinds(void **state)
{
	static const struct {
		const char *bytes;
		unsigned int length;
		const char *accesses; /* r read, m modify, w write, c compare and exchange */
	} cases[] = {
		{"\x01\x07", 2, "mw"},		      /* add */
		{"\x39\x07", 2, "r"},		      /* cmp */
		{"\x03\x07", 2, "r"},		      /* add from memory */
		{"\x85\x07", 2, "r"},		      /* test */
		{"\xf7\x17", 2, "mw"},		      /* not */
		{"\xf7\x07\x01\x00\x00\x00", 6, "r"}, /* test */
		{"\xff\x07", 2, "mw"},		      /* inc */
		{"\x87\x07", 2, "mc"},		      /* xchg locks */
		{"\xf0\x01\x07", 3, "mc"},	      /* lock add */
		{"\xf0\x0f\xc1\x07", 4, "mc"},	      /* lock xadd */
		{"\x0f\xc1\x07", 3, "mw"},	      /* xadd */
		{"\x0f\xba\x27\x01", 4, "r"},	      /* bt */
		{"\x0f\xba\x2f\x01", 4, "mw"},	      /* bts */
		{"\xf0\x0f\xba\x2f\x01", 5, "mc"},    /* lock bts */
		{"\x0f\x94\x07", 3, "w"},	      /* sete */
		{"\x0f\x44\x07", 3, "r"},	      /* cmove */
		{"\xc1\x27\x01", 3, "mw"},	      /* shl */
		{"\x0f\x18\x07", 3, ""},	      /* prefetch */
		{"\x0f\xae\x3f", 3, ""},	      /* clflush */
		{"\x8d\x07", 2, ""},		      /* lea */
		{"\xff\x37", 2, "rw"},		      /* push */
		{"\x8f\x07", 2, "rw"},		      /* pop */
		{"\xa5", 1, "rw"},		      /* movs */
		{"\xa7", 1, "rr"},		      /* cmps */
		{"\xf0\x0f\xc7\x0f", 4, "m"},	      /* cmpxchg8b of something else */
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static const char names[] = {[INSN_ACCESS_READ] = 'r', [INSN_ACCESS_MODIFY] = 'm'};
		struct guest guest;
		char seen[8] = "";

		guest_init(&guest, INSN_MODE_64);
		guest.ctx.gpr[INSN_RDI] = 0x10100;
		guest.ctx.gpr[INSN_RSI] = 0x10200;
		guest.ctx.gpr[INSN_RSP] = 0x10300;
		assert_int_equal(emulate(&guest, &all_ops, cases[i].bytes, cases[i].length), 0);
		assert_in_range(guest.count, 0, 7);
		for (unsigned int j = 0; j < guest.count; j++) {
			const struct access *access = &guest.log[j];

			seen[j] = access->what == 'r' ? names[access->mem.access] : access->what;
			assert_int_equal(access->mem.locked,
					 strchr(cases[i].accesses, 'c') != NULL ||
						 cases[i].bytes[0] == '\xf0');
		}
		assert_string_equal(seen, cases[i].accesses);
	}
}

static void test_lost_race(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RDI] = 0x10100;
	guest.ctx.rflags |= INSN_FLAG_TF;
	guest.lose_race = true;
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf0\x0f\xc1\x07"), -ERESTART);
	assert_int_equal(guest.ctx.rip, 0x1000);
	assert_int_equal(guest.ctx.gpr[INSN_RAX], 0);
	assert_false(guest.ctx.debug_trap);
	guest.lose_race = false;
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf0\x0f\xc1\x07"), 0);
	assert_int_equal(guest.ctx.rip, 0x1004);
	assert_true(guest.ctx.debug_trap);
}

/* An address register that is also the destination. */
static void test_xadd_address_register(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RDX] = 0x10100;
	poke(&guest, 0x10100, 8, 5);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x48\x0f\xc1\x12"), 0); /* xadd %rdx,(%rdx) */
	assert_int_equal(guest.ctx.gpr[INSN_RDX], 5);
	assert_int_equal(peek(&guest, 0x10100, 8), 0x10105);
}

static void test_flags_of_completion(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RDI] = 0x10100;
	guest.ctx.rflags |= INSN_FLAG_RF;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), 0);
	assert_int_equal(guest.ctx.rflags, 2);
	assert_false(guest.ctx.debug_trap);
	guest.ctx.rflags |= INSN_FLAG_TF;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), 0);
	assert_true(guest.ctx.debug_trap);
	guest.ctx.rflags |= INSN_FLAG_RF;
	guest.fail_at = guest.count;
	guest.fail_with = PENDING;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), PENDING);
	assert_false(guest.ctx.debug_trap);
	assert_true(guest.ctx.rflags & INSN_FLAG_RF);
}

/* Segmentation and canonical addresses. */

static void test_canonical(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RDI] = 0x800000000000;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	guest.ctx.gpr[INSN_RDI] = 0x7ffffffffffd; /* the last byte is beyond */
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	guest.ctx.gpr[INSN_RBP] = 0x800000000000;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x45\x00"), INSN_VECTOR_SS);
	/* An override without effect does not change that; one with effect does. */
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x3e\x8b\x45\x00"), INSN_VECTOR_SS);
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x65\x8b\x45\x00"), INSN_VECTOR_GP);
	/* Around the end of the address space. */
	guest.ctx.gpr[INSN_RDI] = (uint64_t)-2;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	assert_int_equal(guest.count, 0);
	/* Nor is its last byte given to callbacks, so that they can add the size. */
	guest.ctx.gpr[INSN_RDI] = (uint64_t)-4;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	guest.ctx.gpr[INSN_RDI] = (uint64_t)-5;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), -EFAULT);
	assert_int_equal(guest.ctx.fault.vector, 14); /* it reached the callback */

	guest.ctx.linear_bits = 57;
	guest.ctx.gpr[INSN_RDI] = 0x800000000000;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), -EFAULT);
	assert_int_equal(guest.ctx.fault.vector, 14);
	assert_int_equal(guest.ctx.fault.cr2, 0x800000000000);
	guest.ctx.gpr[INSN_RDI] = 0x100000000000000;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
}

static void test_bases64(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	for (unsigned int i = 0; i < INSN_NR_SEGS; i++)
		guest.ctx.seg[i] = (struct insn_segment){.base = 0x100 *
								 (i + 1)}; /* not even present */
	guest.ctx.gpr[INSN_RDI] = 0x10000;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), 0);
	assert_int_equal(guest.log[0].mem.linear, 0x10000);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x64\x8b\x07"), 0);
	assert_int_equal(guest.log[1].mem.linear, 0x10500);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x65\x8b\x07"), 0);
	assert_int_equal(guest.log[2].mem.linear, 0x10600);
	/* The sum with a base wraps at 64 bits, a 32-bit offset before it is added. */
	guest.ctx.seg[INSN_GS].base = 0xffffffff80000000;
	guest.ctx.gpr[INSN_RDI] = 0x80010000;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x65\x8b\x07"), 0);
	assert_int_equal(guest.log[3].mem.linear, 0x10000);
	guest.ctx.seg[INSN_GS].base = 0x10000;
	guest.ctx.gpr[INSN_RDI] = 0xffffffff00000010;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x67\x65\x8b\x07"), 0);
	assert_int_equal(guest.log[4].mem.linear, 0x10010);
}

static void test_limits(void **state)
{
	struct guest guest;
	struct insn_segment *ds, *ss;

	(void)state;
	guest_init(&guest, INSN_MODE_32);
	ds = &guest.ctx.seg[INSN_DS];
	ss = &guest.ctx.seg[INSN_SS];
	ds->base = 0x10000;
	ds->limit = 0xfff;
	guest.ctx.gpr[INSN_RDI] = 0xffc;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), 0);
	assert_int_equal(guest.log[0].mem.linear, 0x10ffc);
	guest.ctx.rip = 0x1000;
	guest.ctx.gpr[INSN_RDI] = 0xffd;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	guest.ctx.gpr[INSN_RDI] = 0xfffffffe; /* wraps */
	ds->limit = UINT32_MAX;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	/* Expand-down: valid above the limit. */
	ds->attr |= INSN_ATTR_EXPAND_DOWN;
	ds->limit = 0xfff;
	guest.ctx.gpr[INSN_RDI] = 0xfff;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	guest.ctx.gpr[INSN_RDI] = 0x1000;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), 0);
	guest.ctx.rip = 0x1000;
	ds->attr &= ~INSN_ATTR_BIG;
	guest.ctx.gpr[INSN_RDI] = 0xfffe;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	/* The stack segment has its own exception. */
	ss->limit = 0xfff;
	guest.ctx.gpr[INSN_RBP] = 0x1000;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x45\x00"), INSN_VECTOR_SS);
	guest.ctx.gpr[INSN_RSP] = 0x1002;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x53"), INSN_VECTOR_SS);
}

static void test_segment_types(void **state)
{
	struct guest guest;
	struct insn_segment *ds;

	(void)state;
	guest_init(&guest, INSN_MODE_32);
	ds = &guest.ctx.seg[INSN_DS];
	guest.ctx.gpr[INSN_RDI] = 0x10000;
	ds->attr = INSN_ATTR_PRESENT; /* read-only data */
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), 0);
	guest.ctx.rip = 0x1000;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x89\x07"), INSN_VECTOR_GP);
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x01\x07"), INSN_VECTOR_GP);
	ds->attr = INSN_ATTR_PRESENT | INSN_ATTR_CODE; /* execute-only */
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	ds->attr |= INSN_ATTR_WRITE; /* readable, never writable */
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), 0);
	guest.ctx.rip = 0x1000;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x89\x07"), INSN_VECTOR_GP);
	ds->attr = INSN_ATTR_WRITE; /* not present: a null selector */
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	assert_int_equal(guest.count, 2);
	/* Real mode has no types, only limits. */
	guest.ctx.real_mode = true;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x89\x07"), 0);
}

static void test_16bit(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_16);
	guest.ctx.real_mode = true;
	guest.ctx.seg[INSN_DS].base = 0x10000;
	guest.ctx.seg[INSN_SS].base = 0x11000;
	guest.ctx.gpr[INSN_RBX] = 0xabcdfff0;
	guest.ctx.gpr[INSN_RSI] = 0xabcd0020;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x40\x10"), 0); /* mov 16(%bx,%si),%ax */
	assert_int_equal(guest.log[0].mem.linear, 0x10020);		  /* wraps at 64 KiB */
	assert_int_equal(guest.log[0].mem.size, 2);
	guest.ctx.gpr[INSN_RBP] = 0x100;
	guest.ctx.gpr[INSN_RDI] = 0x10;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8a\x03"), 0); /* mov (%bp,%di),%al */
	assert_int_equal(guest.log[1].mem.linear, 0x11110);
	assert_int_equal(guest.log[1].mem.seg, INSN_SS);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\xa1\x34\x02"), 0); /* mov 0x234,%ax */
	assert_int_equal(guest.log[2].mem.linear, 0x10234);
	/* A word at FFFF passes the limit. */
	guest.ctx.rip = 0x1000;
	guest.ctx.gpr[INSN_RBX] = 0xffff;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	/* SP alone moves, and wraps. */
	guest.ctx.gpr[INSN_RSP] = 0xabcd0100;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x53"), 0);
	assert_int_equal(guest.ctx.gpr[INSN_RSP], 0xabcd00fe);
	assert_int_equal(guest.log[3].mem.linear, 0x110fe);
	guest.ctx.gpr[INSN_RSP] = 0xabcd0000;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x53"),
			 -EFAULT); /* beyond this guest's memory */
	assert_int_equal(guest.ctx.fault.cr2, 0x20ffe);
	assert_int_equal(guest.ctx.gpr[INSN_RSP], 0xabcd0000);
}

static void test_32bit(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_32);
	/* Linear addresses wrap at 4 GiB between accesses, not within one. */
	guest.ctx.seg[INSN_DS].base = 0xffff0000;
	guest.ctx.gpr[INSN_RDI] = 0x20000;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), 0);
	assert_int_equal(guest.log[0].mem.linear, 0x10000);
	guest.ctx.rip = 0x1000;
	guest.ctx.gpr[INSN_RDI] = 0xfffe;
	expect_fault(&guest, EMULATE(&guest, &plain_ops, "\x8b\x07"), INSN_VECTOR_GP);
	assert_int_equal(guest.count, 1);
	/* EIP wraps too. */
	guest.ctx.seg[INSN_DS].base = 0;
	guest.ctx.gpr[INSN_RDI] = 0x10000;
	guest.ctx.rip = 0xffffffff;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x8b\x07"), 0);
	assert_int_equal(guest.ctx.rip, 1);
}

/* Repetition. */

static void test_rep_limit(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RSI] = 0x10000;
	guest.ctx.gpr[INSN_RDI] = 0x11000;
	guest.ctx.gpr[INSN_RCX] = 25;
	guest.ctx.rep_limit = 10;
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf3\xa5"), -ERESTART);
	assert_int_equal(guest.ctx.gpr[INSN_RCX], 15);
	assert_int_equal(guest.ctx.gpr[INSN_RSI], 0x10028);
	assert_int_equal(guest.ctx.gpr[INSN_RDI], 0x11028);
	assert_int_equal(guest.ctx.rip, 0x1000);
	assert_int_equal(guest.steps, 10);
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf3\xa5"), -ERESTART);
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf3\xa5"), 0);
	assert_int_equal(guest.ctx.gpr[INSN_RCX], 0);
	assert_int_equal(guest.ctx.rip, 0x1002);
	assert_memory_equal(guest.memory, guest.memory + 0x1000, 100);

	/* Nothing to do: done, without an access. */
	guest.count = 0;
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf3\xa5"), 0);
	assert_int_equal(guest.count, 0);
	/* Exactly the limit is done at once. */
	guest.ctx.gpr[INSN_RCX] = 10;
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf3\xaa"), 0);
	/* The limit has a default. */
	guest.ctx.rep_limit = 0;
	guest.ctx.gpr[INSN_RDI] = 0x11000;
	guest.ctx.gpr[INSN_RCX] = INSN_REP_LIMIT + 1;
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf3\xaa"), -ERESTART);
	assert_int_equal(guest.ctx.gpr[INSN_RCX], 1);
}

static void test_rep_fault(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RSI] = 0x10000;
	guest.ctx.gpr[INSN_RDI] = 0x11000;
	guest.ctx.gpr[INSN_RCX] = 8;
	guest.fail_at = 7; /* the write of the fourth iteration */
	guest.fail_with = -EFAULT;
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf3\xa4"), -EFAULT);
	assert_int_equal(guest.ctx.fault.vector, 14);
	assert_int_equal(guest.ctx.fault.cr2, 0x11003);
	assert_int_equal(guest.ctx.gpr[INSN_RCX], 5);
	assert_int_equal(guest.ctx.gpr[INSN_RSI], 0x10003);
	assert_int_equal(guest.ctx.gpr[INSN_RDI], 0x11003);
	assert_int_equal(guest.ctx.rip, 0x1000);
	assert_int_equal(guest.steps, 3);
}

static void test_rep_trap(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RDI] = 0x11000;
	guest.ctx.gpr[INSN_RCX] = 2;
	guest.ctx.rflags |= INSN_FLAG_TF;
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf3\xaa"), -ERESTART);
	assert_true(guest.ctx.debug_trap);
	assert_int_equal(guest.ctx.gpr[INSN_RCX], 1);
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf3\xaa"), 0);
	assert_true(guest.ctx.debug_trap);
	assert_int_equal(guest.ctx.rip, 0x1002);
}

static void test_rep_compare(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	memset(guest.memory, 'x', 16);
	guest.memory[11] = 'y';
	guest.ctx.gpr[INSN_RAX] = 'y';
	guest.ctx.gpr[INSN_RDI] = 0x10000;
	guest.ctx.gpr[INSN_RCX] = 100;
	guest.ctx.rep_limit = 12; /* the comparison that ends it is the last one allowed */
	assert_int_equal(EMULATE(&guest, &all_ops, "\xf2\xae"), 0);
	assert_int_equal(guest.ctx.gpr[INSN_RDI], 0x1000c);
	assert_int_equal(guest.ctx.gpr[INSN_RCX], 88);
	assert_true(guest.ctx.rflags & INSN_FLAG_ZF);
}

static void test_bulk(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RSI] = 0x10000;
	guest.ctx.gpr[INSN_RDI] = 0x11000;
	guest.ctx.gpr[INSN_RCX] = 100;
	guest.bulk_accept = 100;
	assert_int_equal(EMULATE(&guest, &bulk_ops, "\xf3\x64\xa5"),
			 0); /* rep movsl %fs:(%rsi),(%rdi) */
	assert_int_equal(guest.bulk.kind, INSN_BULK_MOVS);
	assert_int_equal(guest.bulk.size, 4);
	assert_int_equal(guest.bulk.count, 100);
	assert_int_equal(guest.bulk.src, 0x10000);
	assert_int_equal(guest.bulk.src_seg, INSN_FS);
	assert_int_equal(guest.bulk.dst, 0x11000);
	assert_int_equal(guest.ctx.gpr[INSN_RCX], 0);
	assert_int_equal(guest.ctx.gpr[INSN_RSI], 0x10190);
	assert_int_equal(guest.ctx.gpr[INSN_RDI], 0x11190);
	assert_int_equal(guest.count, 0);
	assert_int_equal(guest.steps, 1);

	/* Downwards; more than the limit; a part is done, then an error. */
	guest.ctx.rflags |= INSN_FLAG_DF;
	guest.ctx.gpr[INSN_RAX] = 0x1234567890;
	guest.ctx.gpr[INSN_RDI] = 0x12000;
	guest.ctx.gpr[INSN_RCX] = 5000;
	guest.ctx.rep_limit = 1000;
	guest.bulk_accept = 7;
	guest.bulk_error = PENDING;
	guest.ctx.rip = 0x1000;
	assert_int_equal(EMULATE(&guest, &bulk_ops, "\xf3\xab"), PENDING);
	assert_int_equal(guest.bulk.kind, INSN_BULK_STOS);
	assert_int_equal(guest.bulk.count, 1000);
	assert_int_equal(guest.bulk.dst, 0x12000);
	assert_int_equal(guest.bulk.value, 0x34567890);
	assert_true(guest.bulk.down);
	assert_int_equal(guest.ctx.gpr[INSN_RCX], 4993);
	assert_int_equal(guest.ctx.gpr[INSN_RDI], 0x12000 - 28);
	assert_int_equal(guest.ctx.rip, 0x1000);

	/* Declined: one by one. A callback that claims too much is not believed. */
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RDI] = 0x11000;
	guest.ctx.gpr[INSN_RCX] = 4;
	guest.ctx.gpr[INSN_RDX] = 0x1f0;
	assert_int_equal(EMULATE(&guest, &bulk_ops, "\xf3\x6d"), 0);
	assert_int_equal(guest.bulk.kind, INSN_BULK_INS);
	assert_int_equal(guest.bulk.port, 0x1f0);
	assert_int_equal(guest.bulk_calls, 3); /* not for the last one */
	assert_int_equal(guest.count, 8);
	guest.ctx.gpr[INSN_RCX] = 4;
	guest.bulk_accept = 1000;
	assert_int_equal(EMULATE(&guest, &bulk_ops, "\xf3\xaa"), 0);
	assert_int_equal(guest.ctx.gpr[INSN_RCX], 0);
	assert_int_equal(guest.ctx.gpr[INSN_RDI], 0x11014);
}

/* Not offered as a whole: what wraps or meets a limit. */
static void test_bulk_ranges(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_16);
	guest.ctx.seg[INSN_ES].base = 0x10000;
	guest.ctx.gpr[INSN_RDI] = 0xfff8;
	guest.ctx.gpr[INSN_RCX] = 16;
	guest.bulk_accept = 16;
	guest.ctx.rep_limit = 1;
	assert_int_equal(EMULATE(&guest, &bulk_ops, "\xf3\xab"), -EFAULT); /* no memory there */
	guest.ctx.rep_limit = 100;
	assert_int_equal(EMULATE(&guest, &bulk_ops, "\xf3\xab"), -EFAULT);
	assert_int_equal(guest.bulk_calls, 0);
	guest.ctx.gpr[INSN_RDI] = 6;
	guest.ctx.rflags |= INSN_FLAG_DF;
	guest.ctx.gpr[INSN_RCX] = 5; /* 6 4 2 0 FFFE */
	assert_int_equal(EMULATE(&guest, &bulk_ops, "\xf3\xab"), -EFAULT);
	assert_int_equal(guest.ctx.gpr[INSN_RCX], 1);
	assert_int_equal(guest.ctx.gpr[INSN_RDI], 0xfffe);
	assert_int_equal(guest.bulk_calls, 0);

	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RDI] = 0x7ffffffffff8;
	guest.ctx.gpr[INSN_RCX] = 16;
	guest.bulk_accept = 16;
	assert_int_equal(EMULATE(&guest, &bulk_ops, "\xf3\xab"), -EFAULT);
	assert_int_equal(guest.bulk_calls, 0);
	guest.ctx.gpr[INSN_RDI] = (uint64_t)-8;
	assert_int_equal(EMULATE(&guest, &bulk_ops, "\xf3\xab"), -EFAULT);
	assert_int_equal(guest.bulk_calls, 0);
}

/* Ports. */

static void test_ports(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RAX] = UINT64_MAX;
	guest.ctx.gpr[INSN_RDX] = 0x123403f8;
	assert_int_equal(EMULATE(&guest, &all_ops, "\xec"), 0);
	assert_int_equal(guest.ctx.gpr[INSN_RAX], 0xffffffffffffffef);
	assert_int_equal(guest.log[0].port, 0x3f8);
	assert_int_equal(guest.log[0].mem.size, 1);
	assert_int_equal(EMULATE(&guest, &all_ops, "\x66\xe5\xff"), 0);
	assert_int_equal(guest.ctx.gpr[INSN_RAX], 0xffffffffffffbeef);
	assert_int_equal(guest.log[1].port, 0xff);
	assert_int_equal(guest.log[1].mem.size, 2);
	assert_int_equal(EMULATE(&guest, &all_ops, "\x48\xed"), 0); /* REX.W: still four bytes */
	assert_int_equal(guest.ctx.gpr[INSN_RAX], 0xdeadbeef);
	assert_int_equal(guest.log[2].mem.size, 4);
	guest.ctx.gpr[INSN_RAX] = 0x1122334455667788;
	assert_int_equal(EMULATE(&guest, &all_ops, "\xe6\x80"), 0);
	assert_int_equal(guest.log[3].what, 'o');
	assert_int_equal(guest.log[3].port, 0x80);
	assert_int_equal(guest.log[3].value, 0x88);
	assert_int_equal(EMULATE(&guest, &all_ops, "\xef"), 0);
	assert_int_equal(guest.log[4].value, 0x55667788);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\xef"), -EOPNOTSUPP);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\xec"), -EOPNOTSUPP);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x6c"), -EOPNOTSUPP);
	assert_int_equal(EMULATE(&guest, &plain_ops, "\xf3\x6f"), -EOPNOTSUPP);
	assert_int_equal(guest.count, 5);
}

static void test_port_strings(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, INSN_MODE_32);
	guest.ctx.seg[INSN_FS].base = 0x10000;
	guest.ctx.gpr[INSN_RDX] = 0x1f0;
	guest.ctx.gpr[INSN_RSI] = 0x20;
	assert_int_equal(EMULATE(&guest, &all_ops, "\x64\x66\x6f"), 0); /* outsw %fs:(%esi) */
	assert_int_equal(guest.log[0].mem.linear, 0x10020);
	assert_int_equal(guest.log[1].what, 'o');
	assert_int_equal(guest.log[1].value, peek(&guest, 0x10020, 2));
	assert_int_equal(guest.ctx.gpr[INSN_RSI], 0x22);

	/* The device is asked once memory is known to be writable. */
	guest.count = 0;
	guest.ctx.gpr[INSN_RDI] = 0x10100;
	assert_int_equal(EMULATE(&guest, &all_ops, "\x6d"), 0);
	assert_int_equal(guest.log[0].what, 'p');
	assert_int_equal(guest.log[1].what, 'i');
	assert_int_equal(guest.log[2].what, 'w');
	assert_int_equal(peek(&guest, 0x10100, 4), 0xdeadbeef);
	guest.count = 0;
	guest.fail_at = 0;
	guest.fail_with = -EFAULT;
	assert_int_equal(EMULATE(&guest, &all_ops, "\x6d"), -EFAULT);
	assert_int_equal(guest.count, 1);
	assert_int_equal(guest.ctx.gpr[INSN_RDI], 0x10104);
	/* Likewise the segment. */
	guest.count = 0;
	guest.fail_at = NEVER;
	guest.ctx.seg[INSN_ES].attr = INSN_ATTR_PRESENT;
	guest.ctx.rip = 0x1000;
	expect_fault(&guest, EMULATE(&guest, &all_ops, "\x6d"), INSN_VECTOR_GP);
	assert_int_equal(guest.count, 0);
}

/* Vectors. */

static void test_vector(void **state)
{
	struct guest guest;
	uint8_t expected[32];

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	guest.ctx.gpr[INSN_RDI] = 0x10108;
	assert_int_equal(EMULATE(&guest, &plain_ops, "\x0f\x10\x07"), -EOPNOTSUPP);
	assert_int_equal(EMULATE(&guest, &all_ops, "\x0f\x10\x0f"), 0); /* movups (%rdi),%xmm1 */
	assert_memory_equal(guest.vec[1], guest.memory + 0x108, 16);
	assert_int_equal(guest.vec[1][16], 0xa1); /* the upper half stays */
	assert_int_equal(EMULATE(&guest, &all_ops, "\xc5\xf8\x10\x0f"), 0);
	memset(expected, 0, sizeof(expected));
	memcpy(expected, guest.memory + 0x108, 16);
	assert_memory_equal(guest.vec[1], expected, 32);
	guest.ctx.rip = 0x1000;
	guest.count = 0;
	expect_fault(&guest, EMULATE(&guest, &all_ops, "\x0f\x28\x0f"),
		     INSN_VECTOR_GP); /* movaps */
	assert_int_equal(guest.count, 0);
	guest.ctx.gpr[INSN_RDI] = 0x10110;
	assert_int_equal(EMULATE(&guest, &all_ops, "\x0f\x29\x17"), 0);
	assert_int_equal(peek(&guest, 0x10110, 8), 0xa2a2a2a2a2a2a2a2);
	guest.ctx.rip = 0x1000;
	expect_fault(&guest, EMULATE(&guest, &all_ops, "\xc5\xfc\x29\x17"), INSN_VECTOR_GP);
	/* A second source where there is none; 32 bytes where 16 are the most; MMX; registers; EVEX. */
	assert_int_equal(EMULATE(&guest, &all_ops, "\xc5\xf0\x10\x0f"), -EOPNOTSUPP);
	assert_int_equal(EMULATE(&guest, &all_ops, "\xc5\xfd\x6e\x0f"), -EOPNOTSUPP);
	assert_int_equal(EMULATE(&guest, &all_ops, "\x0f\x6f\x0f"), -EOPNOTSUPP);
	assert_int_equal(EMULATE(&guest, &all_ops, "\x0f\x10\xc1"), -EOPNOTSUPP);
	assert_int_equal(EMULATE(&guest, &all_ops, "\x62\xf1\x7c\x48\x10\x0f"), -EOPNOTSUPP);
	/* The owner of the registers may have an exception for the guest: #NM. */
	guest.fail_at = guest.count;
	guest.fail_with = -EFAULT;
	assert_int_equal(EMULATE(&guest, &all_ops, "\x0f\x11\x17"), -EFAULT);
	assert_int_equal(guest.ctx.rip, 0x1000);
}

/* Nothing of these is emulated, and nothing is touched. */
static void test_unsupported(void **state)
{
	static const struct {
		const char *bytes;
		unsigned int length;
	} cases[] = {
		{"\x90", 1},
		{"\xf4", 1},
		{"\xff\x17", 2},
		{"\xff\x27", 2},
		{"\xe8\0\0\0\0", 5},
		{"\xc3", 1},
		{"\xcf", 1},
		{"\x9c", 1},
		{"\x8e\x1f", 2},
		{"\xd9\x07", 2},
		{"\x0f\x01\x1f", 3},
		{"\x0f\x20\xc0", 3},
		{"\x0f\xae\x07", 3},
		{"\x0f\xae\xf8", 3},
		{"\x0f\xc7\xf0", 3},
		{"\xf3\x0f\xbc\x07", 4},
		{"\x0f\x38\x00\x07", 4},
		{"\xf2\x0f\x38\xf1\x07", 5},
		{"\x0f\x3a\x0f\x07\x01", 5},
		{"\xc6\xf8\x01", 3},
		{"\xc7\xf8\0\0\0\0", 6},
		{"\x0f\x0f\x07\x9e", 4},
		{"\xc9", 1},
		{"\x66\x0f\xc3\x07", 4},
		{"\x0f\x58\x07", 3},
		{"\xc5\xf8\x58\x07", 4},
		{"\xcd\x80", 2},
		{"\x0f\xa2", 2},
		{"\x0f\x30", 2},
		{"\x0f\x0b", 2},
		{"\x0f\x05", 2},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest guest;
		struct insn_ctx before;

		guest_init(&guest, INSN_MODE_64);
		guest.ctx.gpr[INSN_RDI] = 0x10100;
		before = guest.ctx;
		assert_int_equal(emulate(&guest, &all_ops, cases[i].bytes, cases[i].length),
				 -EOPNOTSUPP);
		assert_memory_equal(&guest.ctx, &before, sizeof(before));
		assert_int_equal(guest.count, 0);
	}
}

/* Fetching. */

static void test_fetch(void **state)
{
	struct guest guest;
	struct insn insn;

	(void)state;
	guest_init(&guest, INSN_MODE_64);
	/* Ends with the page: the next one is not touched. */
	memcpy(guest.memory + 0xffe, "\x8b\x07\xc7\x84", 4);
	guest.ctx.rip = 0x10ffe;
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), 0);
	assert_int_equal(insn.length, 2);
	assert_int_equal(guest.count, 1);
	assert_int_equal(guest.log[0].mem.size, 2);
	assert_int_equal(guest.log[0].mem.seg, INSN_CS);
	assert_int_equal(guest.log[0].mem.access, INSN_ACCESS_FETCH);
	/* Goes on there. */
	guest.ctx.rip = 0x10fff;
	memcpy(guest.memory + 0xfff, "\x48\xc7\x47\x08\x01\x02\x03\x04", 8);
	guest.count = 0;
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), 0);
	assert_int_equal(insn.length, 8);
	assert_int_equal(guest.count, 2);
	assert_int_equal(guest.log[1].mem.linear, 0x11000);
	/* And that page is missing. */
	guest.count = 0;
	guest.fail_at = 1;
	guest.fail_with = -EFAULT;
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), -EFAULT);
	assert_int_equal(guest.ctx.fault.cr2, 0x11000);
	guest.fail_at = NEVER;
	/* Errors of the decoder. */
	guest.ctx.rip = 0x10800;
	memset(guest.memory + 0x800, 0x66, 16);
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), -E2BIG);
	guest.memory[0x800] = 0x06;
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), -EINVAL);
	guest.ctx.rip = 0x800000000000;
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), -EFAULT);
	assert_int_equal(guest.ctx.fault.vector, INSN_VECTOR_GP);
}

static void test_fetch_segment(void **state)
{
	struct guest guest;
	struct insn insn;

	(void)state;
	guest_init(&guest, INSN_MODE_32);
	guest.ctx.seg[INSN_CS].base = 0x10000;
	guest.ctx.seg[INSN_CS].limit = 0x101;
	guest.ctx.rip = 0x100;
	memcpy(guest.memory + 0x100, "\x8b\x07", 2);
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), 0);
	assert_int_equal(guest.log[0].mem.size, 2);
	/* The limit cuts the instruction. */
	guest.memory[0x101] = 0x87;
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), -EFAULT);
	assert_int_equal(guest.ctx.fault.vector, INSN_VECTOR_GP);
	guest.ctx.rip = 0x102;
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), -EFAULT);
	assert_int_equal(guest.ctx.fault.vector, INSN_VECTOR_GP);
	assert_int_equal(guest.ctx.fault.cr2, 0);
}

/* Properties, for many instructions at once. */

static const struct {
	const char *bytes;
	unsigned int length;
} many[] = {
	{"\x8b\x07", 2},
	{"\x89\x07", 2},
	{"\x01\x07", 2},
	{"\x13\x07", 2},
	{"\x87\x07", 2},
	{"\xff\x07", 2},
	{"\xf7\x1f", 2},
	{"\xf7\x27", 2},
	{"\xff\x37", 2},
	{"\x8f\x07", 2},
	{"\x0f\xc1\x17", 3},
	{"\x0f\xb1\x17", 3},
	{"\x0f\xbb\x17", 3},
	{"\xc1\x07\x03", 3},
	{"\x0f\xa4\x17\x03", 4},
	{"\x0f\x40\x07", 3},
	{"\x0f\x9f\x07", 3},
	{"\x0f\x38\xf0\x07", 4},
	{"\x48\x0f\xc7\x0f", 4},
	{"\x0f\xc7\x0f", 3},
	{"\xa4", 1},
	{"\xa7", 1},
	{"\xab", 1},
	{"\xae", 1},
	{"\xad", 1},
	{"\x6c", 1},
	{"\x6f", 1},
	{"\xe4\x10", 2},
	{"\xef", 1},
	{"\xd7", 1},
	{"\x48\x69\x07\x01\x02\x03\x04", 7},
	{"\xf3\xa5", 2},
	{"\xf3\xab", 2},
	{"\xf3\xa6", 2},
	{"\xf2\xae", 2},
	{"\xf3\x6d", 2},
	{"\xf3\x6e", 2},
	{"\xf3\xac", 2},
	{"\x58", 1},
	{"\x6a\x01", 2},
	{"\x0f\xbc\x07", 3},
	{"\x86\x27", 2},
};

static void many_init(struct guest *guest, unsigned int i)
{
	guest_init(guest, INSN_MODE_64);
	guest->ctx.gpr[INSN_RDI] = 0x10400 + 16 * i;
	guest->ctx.gpr[INSN_RSI] = 0x10800;
	guest->ctx.gpr[INSN_RBX] = 0x10c00;
	guest->ctx.gpr[INSN_RSP] = 0x11000;
	guest->ctx.gpr[INSN_RCX] = 6;
	guest->ctx.gpr[INSN_RDX] = 9;
	memset(guest->memory + 0x400 + 16 * i, 0x5a, 32);
	memset(guest->memory + 0x800, 0x5a, 32);
}

/* Whichever access fails, registers are those before the instruction or, repeated, the iteration. */
static void test_failure_commits_nothing(void **state)
{
	static const int errors[] = {-EFAULT, PENDING};
	unsigned int failures = 0;

	(void)state;
	for (unsigned int i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		for (unsigned int at = 0; at < 20; at++)
			for (unsigned int e = 0; e < 2; e++) {
				bool rep = (many[i].bytes[0] & 0xfe) == 0xf2;
				static struct guest guest, before;
				int rc;

				many_init(&guest, i);
				guest.fail_at = at;
				guest.fail_with = errors[e];
				before = guest;
				rc = emulate(&guest, &all_ops, many[i].bytes, many[i].length);
				if (guest.count <= at) {
					assert_int_equal(rc, 0);
					break;
				}
				assert_int_equal(rc, errors[e]);
				assert_int_equal(guest.ctx.rip, before.ctx.rip);
				failures++;
				if (!rep) {
					assert_memory_equal(guest.ctx.gpr, before.ctx.gpr,
							    sizeof(before.ctx.gpr));
					assert_int_equal(guest.ctx.rflags, before.ctx.rflags);
				} else {
					assert_int_equal(before.ctx.gpr[INSN_RCX] -
								 guest.ctx.gpr[INSN_RCX],
							 guest.steps);
				}
			}
	assert_true(failures > 150);
}

/* Every access is pending once: the end is the same, and devices see each access once. */
static void test_pending_devices(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		static struct guest guest, now;
		struct insn_ops ops = all_ops;
		unsigned int calls = 0;
		int rc;

		ops.cmpxchg = NULL;
		ops.probe_write = NULL;
		many_init(&now, i);
		assert_int_equal(emulate(&now, &ops, many[i].bytes, many[i].length), 0);

		many_init(&guest, i);
		guest.asynchronous = true;
		do {
			guest.replayed = 0;
			rc = emulate(&guest, &ops, many[i].bytes, many[i].length);
			assert_true(++calls < 100);
		} while (rc == PENDING);
		assert_int_equal(rc, 0);
		assert_int_equal(calls, now.count + 1);
		assert_int_equal(guest.count, now.count);
		for (unsigned int j = 0; j < now.count; j++)
			assert_true(same_access(&guest.log[j], &now.log[j]));
		assert_memory_equal(guest.ctx.gpr, now.ctx.gpr, sizeof(now.ctx.gpr));
		assert_int_equal(guest.ctx.rflags, now.ctx.rflags);
		assert_int_equal(guest.ctx.rip, now.ctx.rip);
		assert_memory_equal(guest.memory, now.memory, MEMORY_SIZE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_access_kinds),
		cmocka_unit_test(test_lost_race),
		cmocka_unit_test(test_xadd_address_register),
		cmocka_unit_test(test_flags_of_completion),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_bases64),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_segment_types),
		cmocka_unit_test(test_16bit),
		cmocka_unit_test(test_32bit),
		cmocka_unit_test(test_rep_limit),
		cmocka_unit_test(test_rep_fault),
		cmocka_unit_test(test_rep_trap),
		cmocka_unit_test(test_rep_compare),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_bulk_ranges),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_port_strings),
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_fetch_segment),
		cmocka_unit_test(test_failure_commits_nothing),
		cmocka_unit_test(test_pending_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
