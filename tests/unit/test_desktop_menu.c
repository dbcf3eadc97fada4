// SPDX-License-Identifier: GPL-2.0-or-later
// Lists of applications: what a template may say, and what is left of it.
// links: desktop/menu/entries.c
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../desktop/menu/entries.h"

static struct entries parse(const char *text)
{
	struct entries entries;

	assert_int_equal(entries_parse(text, strlen(text), &entries), 0);
	return entries;
}

static void test_list(void **state)
{
	struct entries e = parse(
		"org.xterm.desktop:Name=XTerm\norg.xterm.desktop:Icon=xterm-color\n"
		"files.desktop:Comment=All of them\nfiles.desktop:Name=Files\n"
		"files.desktop:Exec=qubes-desktop-run files\nfiles.desktop:Type=Application");

	(void)state;
	assert_int_equal(e.count, 2);
	assert_string_equal(e.list[0].file, "files");
	assert_string_equal(e.list[0].name, "Files");
	assert_string_equal(e.list[0].comment, "All of them");
	assert_string_equal(e.list[0].icon, "");
	assert_string_equal(e.list[1].file, "org.xterm");
	assert_string_equal(e.list[1].icon, "xterm-color");
	entries_finish(&e);
}

static void test_not_understood(void **state)
{
	static const char *const lines[] = {
		"",
		"\n\n\n",
		"Name=x",
		"x.desktop",
		"x.desktop:",
		"x.desktop:Name",
		".desktop:Name=x",
		".x.desktop:Name=x",
		"-x.desktop:Name=x",
		"../x.desktop:Name=x",
		"a/b.desktop:Name=x",
		"a..b.desktop:Name=x",
		"a b.desktop:Name=x",
		"a;b.desktop:Name=x",
		"a$b.desktop:Name=x",
		"\xc3\xa4.desktop:Name=x",
		"x.desktop:Comment=no name",
		"x.desktop:Name=",
		"x.desktop:name=x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct entries e = parse(lines[i]);

		if (e.count)
			fail_msg("%s is taken for an application", lines[i]);
		entries_finish(&e);
	}
}

static void test_only_what_can_be_shown(void **state)
{
	static const char text[] =
		"a.desktop:Name=<b>\x1b[1m\xe2\x80\xae=&\t\0y\na.desktop:Icon=../../x\n";
	struct entries e;

	(void)state;
	assert_int_equal(entries_parse(text, sizeof(text) - 1, &e), 0);
	assert_int_equal(e.count, 1);
	assert_string_equal(e.list[0].name, "<b>_[1m___=&__y");
	assert_string_equal(e.list[0].icon, "");
	entries_finish(&e);
}

static void test_limits(void **state)
{
	size_t size = ENTRIES_TEXT_MAX + 1, length = 0;
	char *text = malloc(size + 64);
	struct entries e;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < ENTRIES_MAX + 10; i++)
		length += (size_t)snprintf(text + length, 64, "f%d.desktop:Name=n%d\n", i, i);
	assert_int_equal(entries_parse(text, length, &e), 0);
	assert_int_equal(e.count, ENTRIES_MAX);
	entries_finish(&e);
	memset(text, 'x', size);
	memcpy(text, "a.desktop:Name=", 15);
	assert_int_equal(entries_parse(text, size - 1, &e), 0);
	assert_int_equal(strlen(e.list[0].name), ENTRY_TEXT_MAX);
	entries_finish(&e);
	assert_int_equal(entries_parse(text, size, &e), -E2BIG);
	free(text);
}

static void test_written_is_read(void **state)
{
	struct entries
		e = parse(
			"b.desktop:Name=B\na.desktop:Name=a=1\na.desktop:Comment=c\na.desktop:Icon=i\na.desktop:Categories=x;y;\n"),
		again;
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	assert_true(entries_write(&e, to));
	fclose(to);
	assert_string_equal(text, "a.desktop:Name=a=1\na.desktop:Comment=c\na.desktop:Icon=i\n"
				  "a.desktop:Categories=x;y;\nb.desktop:Name=B\n");
	again = parse(text);
	assert_int_equal(again.count, 2);
	assert_memory_equal(again.list, e.list, 2 * sizeof(*e.list));
	entries_finish(&again);
	entries_finish(&e);
	free(text);
	assert_int_equal(entries_load("/nonexistent/list", &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_not_understood),
		cmocka_unit_test(test_only_what_can_be_shown),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_written_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
