// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the command line: words, the parameter table, and values with a syntax.
// links: hypervisor/common/cmdline.c hypervisor/common/cmdline_values.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/cmdline.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

static bool opt_noreboot, opt_flag;
static uint8_t opt_small;
static unsigned int opt_maxcpus;
static uint64_t opt_heap;
static char opt_console[16];
static char last_custom[32];
static unsigned int custom_calls;

static int parse_custom(const char *value)
{
	if (strcmp(value, "refuse") == 0)
		return -EINVAL;
	custom_calls++;
	snprintf(last_custom, sizeof(last_custom), "%s", value);
	return 0;
}

/* The macros must work in a source file as they do in the hypervisor. */
CMDLINE_BOOL("noreboot", opt_noreboot);
CMDLINE_BOOL("some-flag", opt_flag);
CMDLINE_UINT("small", opt_small);
CMDLINE_UINT("maxcpus", opt_maxcpus);
CMDLINE_SIZE("heap_size", opt_heap);
CMDLINE_STRING("console", opt_console);
CMDLINE_CUSTOM("iommu", parse_custom);

struct reports {
	unsigned int nr;
	enum cmdline_problem problem;
	char word[CMDLINE_MAX_WORD];
};

static void on_problem(void *ctx, enum cmdline_problem problem, const char *word)
{
	struct reports *r = ctx;

	r->nr++;
	r->problem = problem;
	snprintf(r->word, sizeof(r->word), "%s", word);
}

static struct reports run(const char *line)
{
	/* Not through the section: ASan puts red zones between its members. */
	const struct cmdline_param table[] = {
		cmdline_param_opt_noreboot, cmdline_param_opt_flag, cmdline_param_opt_small,
		cmdline_param_opt_maxcpus,  cmdline_param_opt_heap, cmdline_param_opt_console,
		cmdline_param_parse_custom,
	};
	struct reports r = {0};
	unsigned int n;

	n = cmdline_parse(line, table, table + sizeof(table) / sizeof(table[0]), on_problem, &r);
	assert_int_equal(n, r.nr);
	return r;
}

static int reset(void **state)
{
	(void)state;
	opt_noreboot = opt_flag = false;
	opt_small = 0;
	opt_maxcpus = 0;
	opt_heap = 0;
	opt_console[0] = last_custom[0] = '\0';
	custom_calls = 0;
	return 0;
}

static void test_words(void **state)
{
	(void)state;
	assert_int_equal(run("").nr, 0);
	assert_int_equal(run("  noreboot\tmaxcpus=4 \n heap_size=2M console=com1,vga ").nr, 0);
	assert_true(opt_noreboot);
	assert_int_equal(opt_maxcpus, 4);
	assert_int_equal(opt_heap, 2u << 20);
	assert_string_equal(opt_console, "com1,vga");
}

static void test_bool_forms(void **state)
{
	(void)state;
	static const struct {
		const char *word;
		bool want;
	} forms[] = {
		{"some-flag", true},	      {"some_flag", true},
		{"no-some-flag", false},      {"some-flag=yes", true},
		{"some-flag=on", true},	      {"some-flag=true", true},
		{"some-flag=1", true},	      {"some-flag=no", false},
		{"some-flag=off", false},     {"some-flag=0", false},
		{"some-flag=false", false},   {"some-flag=enable", true},
		{"some-flag=disable", false},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		opt_flag = !forms[i].want;
		assert_int_equal(run(forms[i].word).nr, 0);
		assert_int_equal(opt_flag, forms[i].want);
	}
}

static void test_name_that_starts_with_no(void **state)
{
	(void)state;
	assert_int_equal(run("no-noreboot").nr, 0);
	assert_false(opt_noreboot);
	assert_int_equal(run("noreboot=off").nr, 0);
	assert_false(opt_noreboot);
}

static void test_last_one_wins(void **state)
{
	(void)state;
	assert_int_equal(run("maxcpus=1 maxcpus=2").nr, 0);
	assert_int_equal(opt_maxcpus, 2);
}

static void test_bad_values_keep_the_old(void **state)
{
	static const char *const words[] = {
		"maxcpus=",
		"maxcpus",
		"maxcpus=4x",
		"maxcpus=4294967296",
		"no-maxcpus",
		"small=256",
		"some-flag=maybe",
		"no-some-flag=1",
		"heap_size=1Q",
		"heap_size=",
		"heap_size=99999999999999G",
		"console",
		"console=0123456789abcdef",
		"no-console",
		"iommu=refuse",
		"maxcpus=0x",
	};

	(void)state;
	opt_maxcpus = 77;
	opt_small = 7;
	opt_flag = true;
	opt_heap = 5;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct reports r = run(words[i]);

		assert_int_equal(r.nr, 1);
		assert_int_equal(r.problem, CMDLINE_BAD_VALUE);
		assert_string_equal(r.word, words[i]);
	}
	assert_int_equal(opt_maxcpus, 77);
	assert_int_equal(opt_small, 7);
	assert_true(opt_flag);
	assert_int_equal(opt_heap, 5);
	assert_string_equal(opt_console, "");
	assert_int_equal(run("small=255").nr, 0);
	assert_int_equal(opt_small, 255);
}

static void test_unknown_are_reported(void **state)
{
	struct reports r = run("maxcpus=3 frobnicate=1 noreboot");

	(void)state;
	assert_int_equal(r.nr, 1);
	assert_int_equal(r.problem, CMDLINE_UNKNOWN);
	assert_string_equal(r.word, "frobnicate=1");
	assert_int_equal(opt_maxcpus, 3);
	assert_true(opt_noreboot);
	assert_int_equal(run("maxcpusx=3 maxcpu=3 no-").nr, 3);
	assert_int_equal(run("= =x").nr, 2);
}

static void test_custom(void **state)
{
	(void)state;
	assert_int_equal(run("iommu=verbose,no-intremap").nr, 0);
	assert_string_equal(last_custom, "verbose,no-intremap");
	assert_int_equal(run("iommu").nr, 0);
	assert_string_equal(last_custom, "");
	assert_int_equal(run("no-iommu").nr, 0);
	assert_string_equal(last_custom, "no");
	assert_int_equal(custom_calls, 3);
}

static void test_quotes(void **state)
{
	(void)state;
	assert_int_equal(run("iommu=\"a b\" maxcpus=2").nr, 0);
	assert_string_equal(last_custom, "a b");
	assert_int_equal(opt_maxcpus, 2);
	assert_int_equal(run("\"iommu=x y\"").nr, 0);
	assert_string_equal(last_custom, "x y");
	assert_int_equal(run("iommu='it\\'s' ").nr, 0);
	assert_string_equal(last_custom, "it's");
	assert_int_equal(run("iommu=a\\\\b\\c").nr, 0);
	assert_string_equal(last_custom, "a\\b\\c");
	assert_int_equal(run("iommu=\"open end").nr, 0);
	assert_string_equal(last_custom, "open end");
}

static void test_separator(void **state)
{
	(void)state;
	assert_int_equal(run("maxcpus=5 -- maxcpus=6 unknown").nr, 0);
	assert_int_equal(opt_maxcpus, 5);
	assert_string_equal(cmdline_after_separator("a --x b --  ro quiet"), "ro quiet");
	assert_string_equal(cmdline_after_separator("--"), "");
	assert_null(cmdline_after_separator("a --- b"));
}

static void test_overlong_word(void **state)
{
	char line[CMDLINE_MAX_WORD + 64];
	struct reports r;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "console=", 8);
	strcpy(line + CMDLINE_MAX_WORD + 8, " maxcpus=9");
	r = run(line);
	assert_int_equal(r.nr, 1);
	assert_int_equal(r.problem, CMDLINE_TOO_LONG);
	assert_int_equal(strlen(r.word), CMDLINE_MAX_WORD - 1);
	assert_int_equal(opt_maxcpus, 9);
}

static void test_numbers(void **state)
{
	uint64_t v = 1;

	(void)state;
	assert_int_equal(cmdline_parse_uint("0", 10, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(cmdline_parse_uint("0x1F", 100, &v), 0);
	assert_int_equal(v, 31);
	assert_int_equal(cmdline_parse_uint("017", 100, &v), 0);
	assert_int_equal(v, 15);
	assert_int_equal(cmdline_parse_uint("18446744073709551615", UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	v = 3;
	assert_int_equal(cmdline_parse_uint("18446744073709551616", UINT64_MAX, &v), -EINVAL);
	assert_int_equal(cmdline_parse_uint("-1", UINT64_MAX, &v), -EINVAL);
	assert_int_equal(cmdline_parse_uint("09", UINT64_MAX, &v), -EINVAL);
	assert_int_equal(cmdline_parse_uint("11", 10, &v), -EINVAL);
	assert_int_equal(cmdline_parse_uint("", 10, &v), -EINVAL);
	assert_int_equal(v, 3);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *s;
		uint64_t want;
	} good[] = {
		{"0", 0},
		{"4", 4096},
		{"4k", 4096},
		{"7B", 7},
		{"3M", 3u << 20},
		{"2g", UINT64_C(2) << 30},
		{"1T", UINT64_C(1) << 40},
		{"0x10M", 16u << 20},
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		v = 99;
		assert_int_equal(cmdline_parse_size(good[i].s, &v), 0);
		assert_true(v == good[i].want);
	}
	v = 99;
	assert_int_equal(cmdline_parse_size("", &v), -EINVAL);
	assert_int_equal(cmdline_parse_size("M", &v), -EINVAL);
	assert_int_equal(cmdline_parse_size("1MB", &v), -EINVAL);
	assert_int_equal(cmdline_parse_size("-1M", &v), -EINVAL);
	assert_int_equal(cmdline_parse_size("16777216T", &v), -EINVAL);
	assert_int_equal(v, 99);
}

static void test_lists(void **state)
{
	const char *list = "one,,three=3,";
	char item[7];

	(void)state;
	assert_int_equal(cmdline_next_item(&list, item, sizeof(item)), 1);
	assert_string_equal(item, "one");
	assert_int_equal(cmdline_next_item(&list, item, sizeof(item)), 1);
	assert_string_equal(item, "");
	assert_int_equal(cmdline_next_item(&list, item, sizeof(item)), -EINVAL);
	list = "three=3,";
	{
		char wide[16];

		assert_int_equal(cmdline_next_item(&list, wide, sizeof(wide)), 1);
		assert_string_equal(cmdline_item_value(wide, "three"), "3");
		assert_null(cmdline_item_value(wide, "thre"));
		assert_int_equal(cmdline_next_item(&list, wide, sizeof(wide)), 0);
	}
	assert_int_equal(cmdline_item_bool("intremap", "intremap"), 1);
	assert_int_equal(cmdline_item_bool("no-intremap", "intremap"), 0);
	assert_int_equal(cmdline_item_bool("intremap=off", "intremap"), 0);
	assert_int_equal(cmdline_item_bool("intremap=on", "intremap"), 1);
	assert_int_equal(cmdline_item_bool("intremap=7", "intremap"), -EINVAL);
	assert_int_equal(cmdline_item_bool("intremaps", "intremap"), -ENOENT);
	assert_int_equal(cmdline_item_bool("no-intremaps", "intremap"), -ENOENT);
}

static uint64_t dom0_bytes(const char *s, uint64_t available)
{
	struct cmdline_dom0_mem mem;

	assert_int_equal(cmdline_parse_dom0_mem(s, &mem), 0);
	return cmdline_dom0_mem_bytes(&mem, available);
}

static void test_dom0_mem(void **state)
{
	const uint64_t mib = 1u << 20, gib = mib << 10;
	struct cmdline_dom0_mem mem;

	(void)state;
	assert_true(dom0_bytes("1024M", 4 * gib) == gib);
	assert_true(dom0_bytes("1048576", 4 * gib) == gib);
	assert_true(dom0_bytes("-512M", 4 * gib) == 4 * gib - 512 * mib);
	assert_true(dom0_bytes("50%", 4 * gib) == 2 * gib);
	assert_true(dom0_bytes("1G+25%", 4 * gib) == 2 * gib);
	assert_true(dom0_bytes("-25%", 4 * gib) == 3 * gib);
	assert_true(dom0_bytes("8G", 4 * gib) == 4 * gib);
	assert_true(dom0_bytes("-8G", 4 * gib) == 0);
	assert_true(dom0_bytes("min:512M,max:1G", 4 * gib) == gib);
	assert_true(dom0_bytes("50%,max:1G", 4 * gib) == gib);
	assert_true(dom0_bytes("10%,min:1G", 4 * gib) == gib);
	assert_true(dom0_bytes("min:512M,1024M,max:1024M", 4 * gib) == gib);

	assert_int_equal(cmdline_parse_dom0_mem("max:2G,1G", &mem), 0);
	assert_true(mem.amount.set && mem.max.set && !mem.min.set);
	assert_true(mem.amount.bytes == gib && mem.max.bytes == 2 * gib);
}

static void test_dom0_mem_errors(void **state)
{
	static const char *const bad[] = {
		"",
		"min:",
		"max:x",
		"100%",
		"1G+",
		"1G+5",
		"1G+100%",
		"5%%",
		"1G,mid:2G",
		"--1G",
		"1G5%",
		"0x10%",
		"min:000000000000000000000000000000000000000000000000000000000000000000000001M",
	};
	struct cmdline_dom0_mem mem = {.amount = {.bytes = 42}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cmdline_parse_dom0_mem(bad[i], &mem), -EINVAL);
	assert_int_equal(mem.amount.bytes, 42);
}

static void test_com(void **state)
{
	struct cmdline_com com;

	(void)state;
	assert_int_equal(cmdline_parse_com("115200,8n1", &com), 0);
	assert_int_equal(com.baud, 115200);
	assert_int_equal(com.data_bits, 8);
	assert_int_equal(com.parity, 'n');
	assert_int_equal(com.stop_bits, 1);
	assert_int_equal(com.where, CMDLINE_COM_LEGACY);
	assert_int_equal(com.io_base, 0);
	assert_false(com.have_irq || com.msi);

	assert_int_equal(cmdline_parse_com("9600/1843200,7e2,0x3f8,4,0:1f.3,2:0.0", &com), 0);
	assert_int_equal(com.baud, 9600);
	assert_int_equal(com.base_baud, 1843200);
	assert_int_equal(com.data_bits, 7);
	assert_int_equal(com.parity, 'e');
	assert_int_equal(com.stop_bits, 2);
	assert_int_equal(com.io_base, 0x3f8);
	assert_true(com.have_irq && com.have_port_bdf && com.have_bridge_bdf);
	assert_int_equal(com.irq, 4);
	assert_int_equal(com.port_bdf, 0x1f << 3 | 3);
	assert_int_equal(com.bridge_bdf, 2 << 8);

	assert_int_equal(cmdline_parse_com("auto,,pci,msi", &com), 0);
	assert_int_equal(com.baud, 0);
	assert_int_equal(com.data_bits, 8);
	assert_int_equal(com.where, CMDLINE_COM_PCI);
	assert_true(com.msi);
}

static void test_com_errors(void **state)
{
	static const char *const bad[] = {
		"",
		",8n1",
		"0",
		"fast",
		"9600,9n1",
		"9600,8x1",
		"9600,8n3",
		"9600,8n",
		"9600,8n1,usb",
		"9600,8n1,0x3f8,99999",
		"9600,,,,1:2",
		"9600,,,,1:32.0",
		"9600,,,,1:2.8",
		"9600,,,,1:2.3,1:2.3,x",
		"9600/0",
		"99999999",
	};
	struct cmdline_com com;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		com.baud = 42;
		assert_int_equal(cmdline_parse_com(bad[i], &com), -EINVAL);
		assert_int_equal(com.baud, 42);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_words, reset),
		cmocka_unit_test_setup(test_bool_forms, reset),
		cmocka_unit_test_setup(test_name_that_starts_with_no, reset),
		cmocka_unit_test_setup(test_last_one_wins, reset),
		cmocka_unit_test_setup(test_bad_values_keep_the_old, reset),
		cmocka_unit_test_setup(test_unknown_are_reported, reset),
		cmocka_unit_test_setup(test_custom, reset),
		cmocka_unit_test_setup(test_quotes, reset),
		cmocka_unit_test_setup(test_separator, reset),
		cmocka_unit_test_setup(test_overlong_word, reset),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_dom0_mem),
		cmocka_unit_test(test_dom0_mem_errors),
		cmocka_unit_test(test_com),
		cmocka_unit_test(test_com_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
