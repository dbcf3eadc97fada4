// SPDX-License-Identifier: GPL-2.0-or-later
// The agent's texts in fields, its copies of rectangles, and layouts of monitors.
// links: gui/agent/text.c gui/agent/pixels.c gui/agent/layout.c
// libs: -lpixman-1
// cflags: -isystem /usr/include/pixman-1
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../gui/agent/layout.h"
#include "../../gui/agent/pixels.h"
#include "../../gui/agent/text.h"

static void check_text(const char *text, size_t size, const char *wanted)
{
	/* On the heap, so that a byte too much is seen. */
	char *field = malloc(size);

	assert_non_null(field);
	memset(field, 'x', size);
	text_copy(field, size, text);
	assert_string_equal(field, wanted);
	/* Nothing of what was there before leaves the qube. */
	for (size_t i = strlen(wanted); i < size; i++)
		assert_int_equal(field[i], 0);
	free(field);
}

static void test_text(void **state)
{
	(void)state;
	check_text("", 1, "");
	check_text("a", 1, "");
	check_text("abc", 4, "abc");
	check_text("abcd", 4, "abc");
	/* No half of a character of two, three, four bytes. */
	check_text("ab\xc3\xa4", 4, "ab");
	check_text("ab\xc3\xa4", 5, "ab\xc3\xa4");
	check_text("\xe2\x82\xac\xe2\x82\xac", 6, "\xe2\x82\xac");
	check_text("\xf0\x9f\x98\x80!", 5, "\xf0\x9f\x98\x80");
	/* What is no UTF-8 ends the text: a lone byte, a cut character, an overlong one, one above U+10FFFF. */
	check_text("a\xff z", 10, "a");
	check_text("a\xa4z", 10, "a");
	check_text("a\xc3", 10, "a");
	check_text("a\xc3(", 10, "a");
	check_text("a\xc0\x80", 10, "a");
	check_text("a\xf5\x80\x80\x80", 10, "a");
}

enum {
	SOURCE_WIDTH = 7,
	SOURCE_HEIGHT = 6,
	WIDTH = 5,
	HEIGHT = 4
};

static void test_pixels(void **state)
{
	uint32_t *source = malloc(sizeof(uint32_t) * SOURCE_WIDTH * SOURCE_HEIGHT);
	uint32_t *target = calloc(WIDTH * HEIGHT, sizeof(uint32_t));
	pixman_box32_t boxes[] = {{0, 0, 2, 1}, {3, 2, 5, 4}};
	pixman_region32_t region;

	(void)state;
	assert_non_null(source);
	assert_non_null(target);
	for (uint32_t i = 0; i < SOURCE_WIDTH * SOURCE_HEIGHT; i++)
		source[i] = i + 1;
	assert_true(pixman_region32_init_rects(&region, boxes, 2));
	assert_int_equal(pixels_copy(target, sizeof(uint32_t) * WIDTH, source,
				     sizeof(uint32_t) * SOURCE_WIDTH, 2, 2, &region),
			 (2 + 4) * 4);
	for (int y = 0; y < HEIGHT; y++) {
		for (int x = 0; x < WIDTH; x++) {
			bool inside = (y < 1 && x < 2) || (y >= 2 && x >= 3);
			uint32_t wanted = (uint32_t)((y + 2) * SOURCE_WIDTH + x + 2) + 1;

			assert_int_equal(target[y * WIDTH + x], inside ? wanted : 0);
		}
	}
	pixman_region32_fini(&region);
	free(source);
	free(target);
}

static void test_pixels_whole(void **state)
{
	uint32_t source[WIDTH * HEIGHT], target[WIDTH * HEIGHT] = {0};
	pixman_region32_t region, none;

	(void)state;
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++)
		source[i] = i * 0x01010101u;
	pixman_region32_init_rect(&region, 0, 0, WIDTH, HEIGHT);
	pixman_region32_init(&none);
	assert_int_equal(pixels_copy(target, sizeof(uint32_t) * WIDTH, source,
				     sizeof(uint32_t) * WIDTH, 0, 0, &none),
			 0);
	assert_int_equal(target[WIDTH * HEIGHT - 1], 0);
	assert_int_equal(pixels_copy(target, sizeof(uint32_t) * WIDTH, source,
				     sizeof(uint32_t) * WIDTH, 0, 0, &region),
			 sizeof(source));
	assert_memory_equal(target, source, sizeof(source));
	pixman_region32_fini(&region);
	pixman_region32_fini(&none);
}

static void test_flatten(void **state)
{
	uint32_t pixels[] = {0xff123456, 0x00000000, 0x80402000,
			     0x00ffffff, 0x00000000, 0x00000000};
	pixman_region32_t region;

	(void)state;
	/* Three columns, two rows: the first row and the middle of the second. */
	pixman_region32_init_rect(&region, 0, 0, 3, 1);
	pixman_region32_union_rect(&region, &region, 1, 1, 1, 1);
	pixels_flatten(pixels, 12, &region);
	assert_int_equal(pixels[0], 0xff123456);
	assert_int_equal(pixels[1], 0xff808080);
	assert_int_equal(pixels[2], 0xff806040);
	assert_int_equal(pixels[3], 0x00ffffff);
	assert_int_equal(pixels[4], 0xff808080);
	assert_int_equal(pixels[5], 0x00000000);
	pixman_region32_fini(&region);
}

static int parse(const char *text, struct layout *layout)
{
	/* On the heap and without an end, so that a byte too much is seen. */
	size_t length = strlen(text);
	char *copy = malloc(length ? length : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, text, length);
	rc = layout_parse(copy, length, layout);
	free(copy);
	return rc;
}

static void test_layout(void **state)
{
	static const char *const wrong[] = {
		"",
		"\n",
		"1920",
		"1920 1080 0",
		"1920 1080 0 0 500",
		"1920 1080 0 0 500 300 1",
		"1920 1080 0 0 x",
		"1920 1080 0 0x",
		"0 1080 0 0",
		"1920 -1 0 0",
		"16385 1080 0 0",
		"1920 1080 9999999 0",
		"1920 1080 99999999999999999999 0",
		"- 1080 0 0",
		"1000 1000 0 0\n1000 1000 15385 0",
		"1000 1000 0 0\nno",
	};
	char many[LAYOUT_MONITORS_MAX * 16 + 32] = "";
	struct layout layout;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memset(&layout, 0x55, sizeof(layout));
		assert_int_equal(parse(wrong[i], &layout), -EINVAL);
		assert_int_equal(layout.count, 0x5555555555555555u);
	}
	assert_int_equal(parse("1920 1080 0 0", &layout), 0);
	assert_int_equal(layout.count, 1);
	assert_int_equal(layout.width, 1920);
	assert_int_equal(layout.height, 1080);
	/* Left of and above the first, with sizes in millimetres, which a screen need not have. */
	assert_int_equal(parse("1920 1080 0 0 510 290\n\n 1280 1024 -1280 -100 0 0 \r\n", &layout),
			 0);
	assert_int_equal(layout.count, 2);
	assert_int_equal(layout.monitors[0].x, 1280);
	assert_int_equal(layout.monitors[0].y, 100);
	assert_int_equal(layout.monitors[1].x, 0);
	assert_int_equal(layout.monitors[1].width, 1280);
	assert_int_equal(layout.width, 3200);
	assert_int_equal(layout.height, 1180);
	for (i = 0; i < LAYOUT_MONITORS_MAX; i++)
		strcat(many, "10 10 0 0\n");
	assert_int_equal(parse(many, &layout), 0);
	assert_int_equal(layout.count, LAYOUT_MONITORS_MAX);
	strcat(many, "10 10 0 0\n");
	assert_int_equal(parse(many, &layout), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	cmocka_unit_test(test_pixels),
		cmocka_unit_test(test_flatten), cmocka_unit_test(test_pixels_whole),
		cmocka_unit_test(test_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
