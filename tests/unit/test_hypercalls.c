// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the hypercall table, multicall, xen_version, console_io, vm_assist and the wall clock.
// links: hypervisor/common/hypercall_table.c hypervisor/common/multicall.c
// links: hypervisor/common/hypercall_version.c hypervisor/common/hypercall_console.c
// links: hypervisor/common/hypercall_misc.c hypervisor/common/wallclock.c
// links: hypervisor/common/page_owner.c hypervisor/common/pod.c hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c
#include "domain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/console.h>
#include <bulkhead/errno.h>
#include <bulkhead/init.h>
#include <bulkhead/log.h>
#include <bulkhead/time.h>

#include <xen/features.h>
#include <xen/version.h>

static struct domain *dom0, *domu;

const char *hypervisor_cmdline = "dom0_mem=512M loglvl=all";

/* ---- What the calls reach ---- */

static char console_out[4096];
static size_t console_len;
static const char *console_in;

void console_write_guest(const char *s, size_t len)
{
	assert_true(console_len + len < sizeof(console_out));
	memcpy(console_out + console_len, s, len);
	console_len += len;
	console_out[console_len] = '\0';
}

size_t console_read(char *buf, size_t size)
{
	size_t n = strnlen(console_in, size);

	memcpy(buf, console_in, n);
	console_in += n;
	return n;
}

static char guest_log[2048];

void log_guest(const struct domain *d, enum log_level level, const char *fmt, ...)
{
	size_t used = strlen(guest_log);
	va_list ap;

	(void)level;
	used += (size_t)snprintf(guest_log + used, sizeof(guest_log) - used, "d%u:", d->id);
	va_start(ap, fmt);
	vsnprintf(guest_log + used, sizeof(guest_log) - used, fmt, ap);
	va_end(ap);
}

static uint64_t wallclock_sec;
static uint32_t wallclock_nsec;

void time_wallclock_base(uint64_t *ret_sec, uint32_t *ret_nsec)
{
	*ret_sec = wallclock_sec;
	*ret_nsec = wallclock_nsec;
}

/* A handler to look into: the real one is not linked, and its slot would be empty. */
static struct hypercall seen;
static unsigned seen_calls;
static int restarts_wanted;

int64_t hypercall_memory_op(struct hypercall *hc)
{
	seen = *hc;
	seen_calls++;
	if (restarts_wanted) {
		restarts_wanted--;
		hc->args[0] += 0x40;
		return -ERESTART;
	}
	return (int64_t)(hc->args[0] + hc->args[1] + hc->args[2] + hc->args[3] + hc->args[4]);
}

int64_t hypercall_domctl(struct hypercall *hc)
{
	(void)hc;
	return 1;
}

static int setup(void **state)
{
	(void)state;
	fixture_pair_init(5, &dom0, &domu);
	console_len = 0;
	console_out[0] = guest_log[0] = '\0';
	console_in = "";
	seen_calls = 0;
	restarts_wanted = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_pair_finish(dom0, domu);
	return 0;
}

static int64_t call(unsigned nr, uint64_t a, uint64_t b, uint64_t c)
{
	struct hypercall hc = {.nr = nr, .args = {a, b, c}};

	return hypercall_dispatch(&hc);
}

static int64_t call_compat(unsigned nr, uint64_t a, uint64_t b, uint64_t c)
{
	struct hypercall hc = {.nr = nr, .compat = true, .args = {a, b, c}};

	return hypercall_dispatch(&hc);
}

static void *guest(uint64_t gva)
{
	return fake_guest_memory + gva;
}

/* ---- Table ---- */

static void test_table(void **state)
{
	static const unsigned absent[] = {0,  1,  3,  6,  8,  10, 11, 14, 16, 19, 22, 23, 25, 26,
					  28, 30, 31, 37, 38, 39, 43, 48, 49, 50, 63, 64, 65, ~0U};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
		assert_int_equal(call(absent[i], 0, 0, 0), -ENOSYS);
		assert_int_equal(call_compat(absent[i], 0, 0, 0), -ENOSYS);
	}
	/* Not linked here: an empty slot. */
	assert_int_equal(call(__HYPERVISOR_dm_op, 0, 0, 0), -ENOSYS);
	/* Known to 64-bit callers only. */
	assert_int_equal(call(__HYPERVISOR_domctl, 0, 0, 0), 1);
	assert_int_equal(call_compat(__HYPERVISOR_domctl, 0, 0, 0), -ENOSYS);
	assert_int_equal(call(__HYPERVISOR_memory_op, 1, 2, 3), 6);
	assert_int_equal(call_compat(__HYPERVISOR_memory_op, 1, 2, 3), 6);
	assert_true(seen.compat);
}

static void test_calls_that_are_refused(void **state)
{
	(void)state;
	assert_int_equal(call(__HYPERVISOR_xsm_op, 0, 0, 0), -ENOSYS);
	assert_int_equal(call(__HYPERVISOR_xenpmu_op, 0, 0, 0), -EOPNOTSUPP);
}

static void test_vm_assist(void **state)
{
	(void)state;
	assert_int_equal(call(__HYPERVISOR_vm_assist, VMASST_CMD_enable,
			      VMASST_TYPE_runstate_update_flag, 0),
			 0);
	assert_int_equal(dom0->vm_assist, 1U << VMASST_TYPE_runstate_update_flag);
	assert_int_equal(call(__HYPERVISOR_vm_assist, VMASST_CMD_enable,
			      VMASST_TYPE_writable_pagetables, 0),
			 -EINVAL);
	assert_int_equal(call(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_m2p_strict, 0),
			 -EINVAL);
	assert_int_equal(call(__HYPERVISOR_vm_assist, VMASST_CMD_enable, ~0U, 0), -EINVAL);
	assert_int_equal(call(__HYPERVISOR_vm_assist, 2, VMASST_TYPE_runstate_update_flag, 0),
			 -ENOSYS);
	assert_int_equal(call(__HYPERVISOR_vm_assist, VMASST_CMD_disable,
			      VMASST_TYPE_runstate_update_flag, 0),
			 0);
	assert_int_equal(dom0->vm_assist, 0);
}

/* ---- Multicall ---- */

static struct multicall_entry *entries(unsigned n)
{
	struct multicall_entry *e = guest(FIXTURE_BUF);

	memset(e, 0, n * sizeof(*e));
	for (unsigned i = 0; i < n; i++) {
		e[i].op = __HYPERVISOR_memory_op;
		e[i].result = 0x5555555555555555;
		for (unsigned a = 0; a < 6; a++)
			e[i].args[a] = 100 * i + a;
	}
	return e;
}

static void test_multicall(void **state)
{
	struct multicall_entry *e = entries(3);

	(void)state;
	e[0].args[0] = 0x100000000; /* libxc reads results of more than 32 bits */
	e[1].op = __HYPERVISOR_xsm_op;
	assert_int_equal(call(__HYPERVISOR_multicall, FIXTURE_BUF, 3, 0), 0);
	assert_int_equal(e[0].result, 0x100000000 + 1 + 2 + 3 + 4);
	assert_int_equal((int64_t)e[1].result, -ENOSYS);
	assert_int_equal(e[2].result, 5 * 200 + 10);
	assert_int_equal(seen.args[4], 204);
	/* Arguments of calls that were not interrupted stay. */
	assert_int_equal(e[2].args[0], 200);
	assert_int_equal(call(__HYPERVISOR_multicall, FIXTURE_FAULT, 0, 0), 0);
}

static void test_multicall_counts_32_bits(void **state)
{
	struct multicall_entry *e = entries(2);

	(void)state;
	assert_int_equal(call(__HYPERVISOR_multicall, FIXTURE_BUF, 0x700000001, 0), 0);
	assert_int_equal(seen_calls, 1);
	assert_int_equal(e[1].result, 0x5555555555555555);
}

static void test_multicall_compat(void **state)
{
	uint32_t *w = guest(FIXTURE_BUF);

	(void)state;
	memset(w, 0, 64);
	w[0] = __HYPERVISOR_memory_op;
	w[2] = 0xffffffff; /* a pointer's worth of bits: not extended */
	w[6] = 5;
	w[7] = 0xdead; /* a sixth argument is nobody's */
	w[8] = __HYPERVISOR_domctl;
	assert_int_equal(call_compat(__HYPERVISOR_multicall, FIXTURE_BUF, 2, 0), 0);
	assert_int_equal(seen.args[0], 0xffffffff);
	assert_int_equal(seen.args[4], 5);
	assert_true(seen.compat);
	assert_int_equal(w[1], 4); /* 0xffffffff + 5 */
	assert_int_equal((int32_t)w[9], -ENOSYS);
}

static void test_multicall_in_multicall(void **state)
{
	struct multicall_entry *e = entries(2);

	(void)state;
	e[0].op = __HYPERVISOR_multicall;
	e[0].args[0] = FIXTURE_BUF;
	e[0].args[1] = 2;
	assert_int_equal(call(__HYPERVISOR_multicall, FIXTURE_BUF, 2, 0), 0);
	assert_int_equal((int64_t)e[0].result, -EINVAL);
	assert_int_equal(seen_calls, 1);
}

static void test_multicall_of_no_call(void **state)
{
	struct multicall_entry *e = entries(1);

	(void)state;
	/* The upper half is not cut off. */
	e[0].op = 1ULL << 32 | __HYPERVISOR_memory_op;
	assert_int_equal(call(__HYPERVISOR_multicall, FIXTURE_BUF, 1, 0), 0);
	assert_int_equal((int64_t)e[0].result, -ENOSYS);
	assert_int_equal(seen_calls, 0);
}

static void test_multicall_is_preempted_between_calls(void **state)
{
	struct multicall_entry *e = entries(5);
	struct hypercall hc = {.nr = __HYPERVISOR_multicall, .args = {FIXTURE_BUF, 5}};
	unsigned rounds = 0;
	int64_t ret;

	(void)state;
	fixture_yield_every = 2;
	do {
		ret = hypercall_dispatch(&hc);
		assert_true(++rounds < 10);
	} while (ret == -ERESTART);
	fixture_yield_every = 0;
	assert_int_equal(ret, 0);
	assert_true(rounds > 1);
	assert_int_equal(seen_calls, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(e[i].result, 500 * i + 10);
	/* Each time at least one call was made. */
	fixture_yield_every = 1;
	hc = (struct hypercall){.nr = __HYPERVISOR_multicall, .args = {FIXTURE_BUF, 5}};
	assert_int_equal(hypercall_dispatch(&hc), -ERESTART);
	assert_int_equal(hc.args[0], FIXTURE_BUF + sizeof(*e));
	assert_int_equal(hc.args[1], 4);
	fixture_yield_every = 0;
}

static void test_multicall_is_preempted_within_a_call(void **state)
{
	struct multicall_entry *e = entries(3);
	struct hypercall hc = {.nr = __HYPERVISOR_multicall, .args = {FIXTURE_BUF, 3}};

	(void)state;
	restarts_wanted = 1;
	assert_int_equal(hypercall_dispatch(&hc), -ERESTART);
	assert_int_equal(hc.args[0], FIXTURE_BUF);
	assert_int_equal(hc.args[1], 3);
	assert_int_equal(e[0].args[0], 0x40);
	assert_int_equal(e[0].args[1], 1);
	assert_int_equal(e[0].args[5], 5);
	assert_int_equal(hypercall_dispatch(&hc), 0);
	assert_int_equal(e[0].result, 0x40 + 10);
	/* 32-bit callers: the arguments of theirs. */
	uint32_t *w = guest(FIXTURE_BUF);

	memset(w, 0, 64);
	w[0] = w[8] = __HYPERVISOR_memory_op;
	w[10] = 7;
	hc = (struct hypercall){.nr = __HYPERVISOR_multicall,
				.compat = true,
				.args = {FIXTURE_BUF + 32, 1}};
	restarts_wanted = 1;
	assert_int_equal(hypercall_dispatch(&hc), -ERESTART);
	assert_int_equal(w[10], 0x47);
	assert_int_equal(w[9], 0);
	assert_int_equal(w[2], 0);
}

static void test_multicall_faults(void **state)
{
	uint64_t last = FIXTURE_GUEST_SIZE - sizeof(struct multicall_entry);
	struct multicall_entry *e = guest(last);

	(void)state;
	assert_int_equal(call(__HYPERVISOR_multicall, FIXTURE_FAULT, 1, 0), -EFAULT);
	memset(e, 0, sizeof(*e));
	e->op = __HYPERVISOR_memory_op;
	assert_int_equal(call(__HYPERVISOR_multicall, last, 2, 0), -EFAULT);
	assert_int_equal(seen_calls, 1);
}

/* ---- xen_version ---- */

static int64_t version(unsigned cmd, uint64_t gva)
{
	return call(__HYPERVISOR_xen_version, cmd, gva, 0);
}

static void test_version(void **state)
{
	char *text = guest(FIXTURE_BUF);
	struct xen_compile_info *info = guest(FIXTURE_BUF);

	(void)state;
	assert_int_equal(version(XENVER_version, 0), 0x40011);
	memset(text, 0xff, 2048);
	assert_int_equal(version(XENVER_extraversion, FIXTURE_BUF), 0);
	assert_string_equal(text, "-bulkhead");
	for (unsigned i = 9; i < 16; i++)
		assert_int_equal(text[i], 0);
	assert_int_equal((uint8_t)text[16], 0xff);
	assert_int_equal(version(XENVER_capabilities, FIXTURE_BUF), 0);
	assert_string_equal(text, "hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ");
	assert_int_equal(text[1023], 0);
	assert_int_equal((uint8_t)text[1024], 0xff);
	assert_int_equal(version(XENVER_compile_info, FIXTURE_BUF), 0);
	assert_true(strlen(info->compiler) > 3);
	assert_true(memchr(info->compiler, 0, sizeof(info->compiler)) != NULL);
	assert_int_equal(version(XENVER_changeset, FIXTURE_BUF), 0);
	assert_string_equal(text, "");
	assert_int_equal(version(XENVER_pagesize, 0), 4096);
	assert_int_equal(version(XENVER_pagesize, FIXTURE_BUF), -EINVAL);
	assert_int_equal(version(11, FIXTURE_BUF), -ENOSYS);
	assert_int_equal(version(XENVER_extraversion, FIXTURE_FAULT), -EFAULT);
	memcpy(dom0->handle, "0123456789abcdef", 16);
	assert_int_equal(version(XENVER_guest_handle, FIXTURE_BUF), 0);
	assert_memory_equal(text, "0123456789abcdef", 16);
}

static void test_version_platform_parameters(void **state)
{
	uint8_t *p = guest(FIXTURE_BUF);

	(void)state;
	memset(p, 0xff, 16);
	assert_int_equal(version(XENVER_platform_parameters, FIXTURE_BUF), 0);
	assert_int_equal(p[7], 0);
	assert_int_equal(p[8], 0xff);
	memset(p, 0xff, 16);
	assert_int_equal(call_compat(__HYPERVISOR_xen_version, XENVER_platform_parameters,
				     FIXTURE_BUF, 0),
			 0);
	assert_int_equal(p[3], 0);
	assert_int_equal(p[4], 0xff);
}

static void test_version_features(void **state)
{
	struct xen_feature_info *info = guest(FIXTURE_BUF);
	uint32_t common = 1U << 0 | 1U << 2 | 1U << 8 | 1U << 9 | 1U << 13 | 1U << 16;

	(void)state;
	info->submap_idx = 0;
	assert_int_equal(version(XENVER_get_features, FIXTURE_BUF), 0);
	assert_int_equal(info->submap, common | 1U << XENFEAT_dom0);
	fixture_run(domu);
	assert_int_equal(version(XENVER_get_features, FIXTURE_BUF), 0);
	assert_int_equal(info->submap, common);
	info->submap_idx = 1;
	assert_int_equal(version(XENVER_get_features, FIXTURE_BUF), -EINVAL);
	assert_int_equal(version(XENVER_get_features, FIXTURE_FAULT), -EFAULT);
}

static void test_version_privileged_parts(void **state)
{
	char *text = guest(FIXTURE_BUF);

	(void)state;
	assert_int_equal(version(XENVER_commandline, FIXTURE_BUF), 0);
	assert_string_equal(text, hypervisor_cmdline);
	/* No linker note in this program. */
	assert_int_equal(version(XENVER_build_id, 0), -ENODATA);
	fixture_run(domu);
	assert_int_equal(version(XENVER_commandline, FIXTURE_BUF), 0);
	assert_string_equal(text, "<denied>");
	assert_int_equal(version(XENVER_build_id, 0), -EPERM);
	assert_int_equal(version(XENVER_extraversion, FIXTURE_BUF), 0);
	assert_string_equal(text, "-bulkhead");
}

static void test_version_long_command_line(void **state)
{
	static char line[3000];
	char *text = guest(FIXTURE_BUF);

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	hypervisor_cmdline = line;
	memset(text, 0xff, 1025);
	assert_int_equal(version(XENVER_commandline, FIXTURE_BUF), 0);
	assert_int_equal(strlen(text), 1023);
	assert_int_equal((uint8_t)text[1024], 0xff);
	hypervisor_cmdline = "dom0_mem=512M loglvl=all";
}

/* ---- console_io ---- */

static int64_t console(unsigned cmd, uint64_t count, uint64_t gva)
{
	return call(__HYPERVISOR_console_io, cmd, count, gva);
}

static int64_t say(const char *text)
{
	memcpy(guest(FIXTURE_BUF), text, strlen(text));
	return console(CONSOLEIO_write, strlen(text), FIXTURE_BUF);
}

static void test_console_of_dom0(void **state)
{
	static char long_text[1000];

	(void)state;
	assert_int_equal(say("hello\r\n\033[1m"), 0);
	assert_string_equal(console_out, "hello\r\n\033[1m");
	console_len = 0;
	for (unsigned i = 0; i < sizeof(long_text) - 1; i++)
		long_text[i] = (char)('a' + i % 26);
	assert_int_equal(say(long_text), 0);
	assert_string_equal(console_out, long_text);
	assert_int_equal(console(CONSOLEIO_write, 0, FIXTURE_FAULT), 0);
	assert_int_equal(console(CONSOLEIO_write, 1, FIXTURE_FAULT), -EFAULT);
	assert_int_equal(console(2, 1, FIXTURE_BUF), -ENOSYS);
}

static void test_console_write_is_preempted(void **state)
{
	struct hypercall hc = {.nr = __HYPERVISOR_console_io,
			       .args = {CONSOLEIO_write, 1000, FIXTURE_BUF}};
	unsigned rounds = 0;
	int64_t ret;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		((char *)guest(FIXTURE_BUF))[i] = (char)('a' + i % 26);
	fixture_yield_every = 1;
	do {
		ret = hypercall_dispatch(&hc);
		assert_true(++rounds < 20);
	} while (ret == -ERESTART);
	fixture_yield_every = 0;
	assert_int_equal(ret, 0);
	assert_int_equal(rounds, 8);
	assert_int_equal(console_len, 1000);
	assert_memory_equal(console_out, guest(FIXTURE_BUF), 1000);
}

static void test_console_of_others_goes_to_the_log(void **state)
{
	(void)state;
	fixture_run(domu);
	assert_int_equal(say("hel"), 0);
	assert_string_equal(guest_log, "");
	assert_int_equal(say("lo\r\nwor\033[2Jld\n\n\tx\377\200\n"), 0);
	assert_string_equal(guest_log, "d5:hello\nd5:wor[2Jld\nd5:\nd5:\tx\n");
	assert_string_equal(console_out, "");
}

static void test_console_long_lines_are_cut(void **state)
{
	char text[300];

	(void)state;
	fixture_run(domu);
	memset(text, 'x', sizeof(text));
	text[250] = '\0';
	assert_int_equal(say(text), 0);
	assert_int_equal(say("\n"), 0);
	assert_int_equal(strlen(guest_log), 250 + 3 * strlen("d5:\n"));
	/* Formats are not interpreted. */
	guest_log[0] = '\0';
	assert_int_equal(say("%s%n%x\n"), 0);
	assert_string_equal(guest_log, "d5:%s%n%x\n");
}

static void test_console_read(void **state)
{
	static char text[400];

	(void)state;
	console_in = "abc";
	assert_int_equal(console(CONSOLEIO_read, 16, FIXTURE_BUF), 3);
	assert_memory_equal(guest(FIXTURE_BUF), "abc", 3);
	assert_int_equal(console(CONSOLEIO_read, 16, FIXTURE_BUF), 0);
	memset(text, 'y', sizeof(text) - 1);
	console_in = text;
	assert_int_equal(console(CONSOLEIO_read, 300, FIXTURE_BUF), 300);
	assert_int_equal(console(CONSOLEIO_read, 300, FIXTURE_BUF), 99);
	assert_int_equal(console(CONSOLEIO_read, 0x80000000, FIXTURE_BUF), -E2BIG);
	console_in = "z";
	assert_int_equal(console(CONSOLEIO_read, 1, FIXTURE_FAULT), -EFAULT);
	fixture_run(domu);
	assert_int_equal(console(CONSOLEIO_read, 16, FIXTURE_BUF), -EPERM);
}

/* ---- Wall clock ---- */

static void test_wallclock(void **state)
{
	shared_info_t *s = domu->shared_info;

	(void)state;
	wallclock_sec = 0x123456789;
	wallclock_nsec = 999999999;
	domain_wallclock_update(domu);
	assert_int_equal(s->wc_sec, 0x23456789);
	assert_int_equal(s->xen_wc_sec_hi, 1);
	assert_int_equal(s->wc_nsec, 999999999);
	assert_int_equal(s->wc_version & 1, 0);
	assert_true(s->wc_version >= 2);
	/* Each has an offset of its own. */
	domu->time_offset_seconds = -0x23456789;
	wallclock_nsec = 5;
	domain_wallclock_update_all();
	assert_int_equal(s->wc_sec, 0);
	assert_int_equal(s->xen_wc_sec_hi, 1);
	assert_int_equal(s->wc_nsec, 5);
	assert_int_equal(dom0->shared_info->wc_sec, 0x23456789);
	/* A guest that wrote nonsense gets an even version all the same. */
	s->wc_version = ~0U;
	domain_wallclock_update(domu);
	assert_int_equal(s->wc_version, 0);
}

/* 32-bit guests look for it elsewhere: 2304 and 2340 are the offsets that the headers give with -m32. */
static void test_wallclock_of_32_bits(void **state)
{
	uint32_t *w = (uint32_t *)(void *)((char *)domu->shared_info + 2304);

	(void)state;
	wallclock_sec = 0x123456789;
	wallclock_nsec = 7;
	domu->shared_info_32 = true;
	domain_wallclock_update(domu);
	assert_true(w[0] >= 2 && w[0] % 2 == 0);
	assert_int_equal(w[1], 0x23456789);
	assert_int_equal(w[2], 7);
	assert_int_equal(w[9], 1);
	assert_int_equal(domu->shared_info->wc_version, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_table),
		T(test_calls_that_are_refused),
		T(test_vm_assist),
		T(test_multicall),
		T(test_multicall_counts_32_bits),
		T(test_multicall_compat),
		T(test_multicall_in_multicall),
		T(test_multicall_of_no_call),
		T(test_multicall_is_preempted_between_calls),
		T(test_multicall_is_preempted_within_a_call),
		T(test_multicall_faults),
		T(test_version),
		T(test_version_platform_parameters),
		T(test_version_features),
		T(test_version_privileged_parts),
		T(test_version_long_command_line),
		T(test_console_of_dom0),
		T(test_console_write_is_preempted),
		T(test_console_of_others_goes_to_the_log),
		T(test_console_long_lines_are_cut),
		T(test_console_read),
		T(test_wallclock),
		T(test_wallclock_of_32_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
