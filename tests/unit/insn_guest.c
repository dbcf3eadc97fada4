/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest for tests of the instruction emulator: memory, ports and vector registers that record accesses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "insn_guest.h"

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

bool same_access(const struct access *a, const struct access *b)
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

const struct insn_ops plain_ops = {.read = guest_read, .write = guest_write};

const struct insn_ops all_ops = {
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

const struct insn_ops bulk_ops = {
	.read = guest_read,
	.write = guest_write,
	.in = guest_in,
	.out = guest_out,
	.bulk = guest_bulk,
	.step_done = guest_step_done,
};

void guest_init(struct guest *guest, enum insn_mode mode)
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

int emulate(struct guest *guest, const struct insn_ops *ops, const char *bytes, unsigned int n)
{
	struct insn insn;

	assert_int_equal(insn_decode(&insn, (const uint8_t *)bytes, n,
				     (enum insn_mode)guest->ctx.mode),
			 0);
	assert_int_equal(insn.length, n);
	return insn_emulate(&guest->ctx, ops, &insn);
}

uint64_t peek(const struct guest *guest, uint64_t linear, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, guest->memory + (linear - MEMORY_BASE), size);
	return value;
}

void poke(struct guest *guest, uint64_t linear, unsigned int size, uint64_t value)
{
	memcpy(guest->memory + (linear - MEMORY_BASE), &value, size);
}

void expect_fault(const struct guest *guest, int rc, uint8_t vector)
{
	assert_int_equal(rc, -EFAULT);
	assert_int_equal(guest->ctx.fault.vector, vector);
	assert_true(guest->ctx.fault.has_error);
	assert_int_equal(guest->ctx.fault.error, 0);
	assert_int_equal(guest->ctx.rip, 0x1000);
}
