/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instruction emulator: repeated string instructions and port I/O. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rep_limit), cmocka_unit_test(test_rep_fault),
		cmocka_unit_test(test_rep_trap),  cmocka_unit_test(test_rep_compare),
		cmocka_unit_test(test_bulk),	  cmocka_unit_test(test_bulk_ranges),
		cmocka_unit_test(test_ports),	  cmocka_unit_test(test_port_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
