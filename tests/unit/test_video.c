// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the display as a console: control characters, scrolling, what is drawn; pixels of all formats.
// links: hypervisor/arch/x86/video_text.c hypervisor/arch/x86/video_fb.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arch/video.h>

#define COLUMNS 10
#define ROWS	4

const uint8_t console_font[FONT_CHARACTERS][FONT_HEIGHT] = {
	['A' - FONT_FIRST] = {0x80, 0x01, 0xa5},
	['B' - FONT_FIRST] = {0xff},
};

/* ---- Text ---- */

static struct text_screen t;
static char screen[ROWS][COLUMNS + 1];
static unsigned drawn, pieces;

static void draw(void *ctx, unsigned row, unsigned column, const uint8_t *s, unsigned n)
{
	assert_ptr_equal(ctx, &t);
	assert_true(n > 0 && row < ROWS && column + n <= COLUMNS);
	memcpy(&screen[row][column], s, n);
	drawn += n;
	pieces++;
}

static int text_setup(void **state)
{
	(void)state;
	text_init(&t, COLUMNS, ROWS, draw, &t);
	memset(screen, ' ', sizeof(screen));
	for (unsigned i = 0; i < ROWS; i++)
		screen[i][COLUMNS] = 0;
	drawn = pieces = 0;
	return 0;
}

static void put(const char *s)
{
	text_put(&t, s, strlen(s));
	text_refresh(&t);
}

/* Rows, without the spaces at their ends. */
static void expect(const char *r0, const char *r1, const char *r2, const char *r3)
{
	const char *rows[] = {r0, r1, r2, r3};

	for (unsigned i = 0; i < ROWS; i++) {
		char line[COLUMNS + 1];
		size_t n = COLUMNS;

		memcpy(line, screen[i], sizeof(line));
		while (n && line[n - 1] == ' ')
			n--;
		line[n] = 0;
		assert_string_equal(line, rows[i]);
	}
}

static void lines(void **state)
{
	(void)state;
	put("one\ntwo\r\nthree");
	expect("one", "two", "three", "");
	put("\n\nfour");
	expect("two", "three", "", "four");
	put("\n\n\n\n\n\nx");
	expect("", "", "", "x");
}

static void wrapping(void **state)
{
	(void)state;
	/* A line that is just full does not begin the next one yet. */
	put("0123456789");
	expect("0123456789", "", "", "");
	put("\nab");
	expect("0123456789", "ab", "", "");
	put("\n0123456789x");
	expect("0123456789", "ab", "0123456789", "x");
}

static void control_characters(void **state)
{
	(void)state;
	put("abc\rX\b\b\bY");
	expect("Ybc", "", "", "");
	put("\n\tz\n12345678\tz");
	expect("Ybc", "        z", "12345678", "z");
	put("\rq\a\x01\x7f");
	expect("Ybc", "        z", "12345678", "q");
}

/* Colours and the like are swallowed, also in pieces; UTF-8 is one mark for a character. */
static void sequences(void **state)
{
	(void)state;
	put("a\x1b[1;31mb\x1b");
	put("[0");
	put("mc\x1b=d\x1b[2J");
	expect("abcd", "", "", "");
	put("\n\xc3\xa4\xe2\x82\xac!");
	expect("abcd",
	       "?"
	       "?!",
	       "", "");
}

/* Only what differs is drawn; a burst is drawn once, as what it ends in. */
static void drawing(void **state)
{
	(void)state;
	put("hello");
	assert_int_equal(drawn, 5);
	text_refresh(&t);
	assert_int_equal(drawn, 5);
	put("\rhallO");
	assert_int_equal(drawn, 7);
	assert_int_equal(pieces, 3);
	expect("hallO", "", "", "");
	drawn = 0;
	for (unsigned i = 0; i < 1000; i++)
		text_put(&t, "\nx", 2);
	text_refresh(&t);
	assert_int_equal(drawn, 3 + 5);
	expect("x", "x", "x", "x");
}

static void largest_screen(void **state)
{
	(void)state;
	text_init(&t, 100000, 100000, draw, &t);
	assert_int_equal(t.columns, TEXT_MAX_COLUMNS);
	assert_int_equal(t.rows, TEXT_MAX_ROWS);
	for (unsigned i = 0; i < TEXT_MAX_COLUMNS * TEXT_MAX_ROWS * 2; i++)
		text_put(&t, "x", 1);
	assert_int_equal(t.row, TEXT_MAX_ROWS - 1);
	assert_int_equal(t.column, TEXT_MAX_COLUMNS);
}

/* ---- Framebuffer ---- */

static struct mb2_framebuffer info_of(uint32_t width, uint32_t height, uint8_t bpp)
{
	struct mb2_framebuffer info = {.width = width,
				       .height = height,
				       .bpp = bpp,
				       .type = MB2_FB_RGB,
				       .red = {16, 8},
				       .green = {8, 8},
				       .blue = {0, 8}};

	if (bpp <= 16) {
		info.red = (struct mb2_fb_field){bpp == 15 ? 10 : 11, 5};
		info.green = (struct mb2_fb_field){5, bpp == 15 ? 5 : 6};
		info.blue = (struct mb2_fb_field){0, 5};
	}
	info.pitch = width * ((bpp + 7U) / 8) + 12;
	return info;
}

static void formats(void **state)
{
	static const struct {
		uint8_t bpp;
		unsigned bytes;
		uint32_t ink;
	} all[] = {{15, 2, 0x56b5}, {16, 2, 0xad55}, {24, 3, 0xaaaaaa}, {32, 4, 0xaaaaaa}};

	(void)state;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct mb2_framebuffer info = info_of(83, 40, all[i].bpp);
		struct framebuffer fb;
		size_t size = info.pitch * info.height;
		uint8_t *mem = malloc(size);

		assert_true(fb_init(&fb, &info));
		assert_null((const void *)fb.base);
		assert_int_equal(fb.bytes, all[i].bytes);
		assert_int_equal(fb.ink, all[i].ink);
		assert_int_equal(fb_columns(&fb), 10);
		assert_int_equal(fb_rows(&fb), 2);
		/* Not mapped: nothing happens. */
		fb_clear(&fb);
		fb_draw(&fb, 0, 0, (const uint8_t *)"A", 1);

		fb.base = mem;
		memset(mem, 0x77, size);
		fb_clear(&fb);
		for (uint32_t y = 0; y < info.height; y++)
			for (uint32_t x = 0; x < info.pitch; x++)
				assert_int_equal(mem[y * info.pitch + x],
						 x < info.width * fb.bytes ? 0 : 0x77);
		/* The last two cells of the last row; what would be beyond is cut off. */
		fb_draw(&fb, 1, 8, (const uint8_t *)"AAAA", 4);
		fb_draw(&fb, 2, 0, (const uint8_t *)"B", 1);
		fb_draw(&fb, 0, 10, (const uint8_t *)"B", 1);
		for (uint32_t y = 0; y < info.height; y++) {
			for (uint32_t x = 0; x < info.width; x++) {
				const uint8_t *font = console_font['A' - FONT_FIRST];
				bool on = y >= 16 && y < 32 && x >= 64 && x < 80 &&
					  (font[y - 16] >> (7 - x % 8) & 1);
				uint32_t pixel = 0;

				memcpy(&pixel, mem + y * info.pitch + x * fb.bytes, fb.bytes);
				assert_int_equal(pixel, on ? fb.ink : 0);
			}
		}
		/* What is no character of the font is a space. */
		fb_draw(&fb, 1, 8, (const uint8_t *)"\x01\xff", 2);
		for (uint32_t x = 0; x < info.width * fb.bytes; x++)
			assert_int_equal(mem[16 * info.pitch + x], 0);
		free(mem);
	}
}

static void large_letters(void **state)
{
	struct mb2_framebuffer info = info_of(3840, 2160, 32);
	struct framebuffer fb;
	size_t size = (size_t)info.pitch * info.height;
	uint8_t *mem = calloc(1, size);

	(void)state;
	assert_true(fb_init(&fb, &info));
	assert_int_equal(fb.scale, 2);
	assert_int_equal(fb_columns(&fb), 240);
	assert_int_equal(fb_rows(&fb), 67);
	fb.base = mem;
	fb_draw(&fb, 66, 239, (const uint8_t *)"B", 1);
	for (unsigned y = 66 * 32; y < 66 * 32 + 4; y++)
		for (unsigned x = 3824; x < 3840; x++) {
			uint32_t pixel;

			memcpy(&pixel, mem + (size_t)y * info.pitch + x * 4, 4);
			assert_int_equal(pixel, y < 66 * 32 + 2 ? fb.ink : 0);
		}
	free(mem);
}

static void refused_framebuffers(void **state)
{
	struct mb2_framebuffer info;
	struct framebuffer fb;

	(void)state;
#define REFUSED(change)              \
 do {                                \
  info = info_of(640, 480, 32);      \
  assert_true(fb_init(&fb, &info));  \
  change;                            \
  assert_false(fb_init(&fb, &info)); \
 } while (0)
	REFUSED(info.type = MB2_FB_INDEXED);
	REFUSED(info.type = MB2_FB_EGA_TEXT);
	REFUSED(info.bpp = 8);
	REFUSED(info.bpp = 40);
	REFUSED(info.bpp = 0);
	REFUSED(info.red.bits = 0);
	REFUSED(info.red.bits = 17);
	REFUSED(info.green.shift = 25);
	REFUSED(info.blue.shift = 255);
	REFUSED(info.pitch = 640 * 4 - 1);
	REFUSED(info.pitch = 0);
	REFUSED(info.width = 7);
	REFUSED(info.height = 15);
	REFUSED((info.width = 100000, info.pitch = 400000));
	REFUSED(info.height = 0xffffffff);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, text_setup)
	const struct CMUnitTest tests[] = {
		T(lines),
		T(wrapping),
		T(control_characters),
		T(sequences),
		T(drawing),
		T(largest_screen),
		cmocka_unit_test(formats),
		cmocka_unit_test(large_letters),
		cmocka_unit_test(refused_framebuffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
