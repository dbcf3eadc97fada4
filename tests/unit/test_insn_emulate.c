/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instruction emulator: what its callbacks see, and what a guest sees when they refuse. */
// links: hypervisor/arch/x86/emul/decode.c hypervisor/arch/x86/emul/opcodes.c hypervisor/arch/x86/emul/emulate.c
// links: hypervisor/arch/x86/emul/integer.c hypervisor/arch/x86/emul/string.c hypervisor/arch/x86/emul/vector.c
// links: hypervisor/arch/x86/emul/operand.c hypervisor/arch/x86/emul/alu.c tests/unit/insn_guest.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "insn_guest.h"

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
	guest.ctx.rip = (uint64_t)-8; /* seven bytes, then nothing */
	guest.count = 0;
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), -EFAULT);
	assert_int_equal(guest.log[0].mem.size, 7);
	guest.ctx.rip = UINT64_MAX;
	assert_int_equal(insn_fetch(&guest.ctx, &plain_ops, &insn), -EFAULT);
	assert_int_equal(guest.count, 1);
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
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_fetch_segment),
		cmocka_unit_test(test_failure_commits_nothing),
		cmocka_unit_test(test_pending_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
