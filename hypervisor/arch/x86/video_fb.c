/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text on a linear framebuffer of 15 to 32 bits per pixel, with a built-in font (tools/font.py). */
#include <arch/video.h>
#include <bulkhead/string.h>

#define GREY	       0xaaU /* of 255 */
#define MAX_BYTES      4U
#define MAX_SCALE      8U
#define MAX_LINE_BYTES (FONT_WIDTH * MAX_SCALE * MAX_BYTES)

/* A colour's share of a pixel, from a value of 8 bits. */
static uint32_t field_value(struct mb2_fb_field f, uint32_t value)
{
	if (f.bits < 8)
		value >>= 8 - f.bits;
	else
		value <<= f.bits - 8;
	return value << f.shift;
}

static bool field_ok(struct mb2_fb_field f, unsigned bpp)
{
	return f.bits > 0 && f.bits <= 16 && f.shift < 32 && f.shift + f.bits <= bpp;
}

bool fb_init(struct framebuffer *fb, const struct mb2_framebuffer *info)
{
	unsigned bytes = (info->bpp + 7U) / 8, scale = 1;

	if (info->type != MB2_FB_RGB || bytes < 2 || bytes > MAX_BYTES ||
	    !field_ok(info->red, info->bpp) || !field_ok(info->green, info->bpp) ||
	    !field_ok(info->blue, info->bpp) || info->pitch / bytes < info->width)
		return false;
	/* Large screens get large letters, so that the text stays readable and within its limits. */
	while (info->width / (FONT_WIDTH * scale) > TEXT_MAX_COLUMNS ||
	       info->height / (FONT_HEIGHT * scale) > TEXT_MAX_ROWS)
		scale++;
	if (scale > MAX_SCALE || info->width < FONT_WIDTH || info->height < FONT_HEIGHT)
		return false;
	*fb = (struct framebuffer){
		.pitch = info->pitch,
		.width = info->width,
		.height = info->height,
		.bytes = bytes,
		.scale = scale,
		.ink = field_value(info->red, GREY) | field_value(info->green, GREY) |
		       field_value(info->blue, GREY),
	};
	return true;
}

unsigned fb_columns(const struct framebuffer *fb)
{
	return fb->width / (FONT_WIDTH * fb->scale);
}

unsigned fb_rows(const struct framebuffer *fb)
{
	return fb->height / (FONT_HEIGHT * fb->scale);
}

/* A word at any address. */
typedef uint64_t __attribute__((aligned(1), may_alias)) unaligned_word;

/* Whole words where possible: the memory is write-combining at best, and uncached at worst. */
static void copy_out(volatile uint8_t *to, const uint8_t *from, unsigned n)
{
	uint64_t word;

	for (; n >= 8; n -= 8, to += 8, from += 8) {
		memcpy(&word, from, 8);
		*(volatile unaligned_word *)to = word;
	}
	for (; n; n--)
		*to++ = *from++;
}

void fb_clear(struct framebuffer *fb)
{
	uint8_t line[MAX_LINE_BYTES];
	unsigned bytes = fb->width * fb->bytes;

	if (!fb->base)
		return;
	memset(line, 0, sizeof(line)); /* black, whatever the fields */
	for (uint32_t y = 0; y < fb->height; y++) {
		volatile uint8_t *p = fb->base + (size_t)y * fb->pitch;

		for (unsigned at = 0; at < bytes; at += MIN(bytes - at, (unsigned)sizeof(line)))
			copy_out(p + at, line, MIN(bytes - at, (unsigned)sizeof(line)));
	}
}

/* One line of a character's pixels, as it is in memory; returns its length. */
static unsigned render(const struct framebuffer *fb, uint8_t bits, uint8_t *line)
{
	unsigned n = 0;

	for (unsigned x = 0; x < FONT_WIDTH; x++) {
		uint32_t pixel = bits >> (FONT_WIDTH - 1 - x) & 1 ? fb->ink : fb->paper;

		for (unsigned i = 0; i < fb->scale; i++, n += fb->bytes)
			memcpy(line + n, &pixel, fb->bytes);
	}
	return n;
}

static void draw_one(struct framebuffer *fb, unsigned row, unsigned column, uint8_t c)
{
	unsigned index = c >= FONT_FIRST && c < FONT_FIRST + FONT_CHARACTERS ? c - FONT_FIRST : 0;
	volatile uint8_t *p = fb->base + (size_t)row * FONT_HEIGHT * fb->scale * fb->pitch +
			      (size_t)column * FONT_WIDTH * fb->scale * fb->bytes;
	uint8_t line[MAX_LINE_BYTES];

	for (unsigned y = 0; y < FONT_HEIGHT; y++) {
		unsigned n = render(fb, console_font[index][y], line);

		for (unsigned i = 0; i < fb->scale; i++, p += fb->pitch)
			copy_out(p, line, n);
	}
}

void fb_draw(struct framebuffer *fb, unsigned row, unsigned column, const uint8_t *s, unsigned n)
{
	if (!fb->base || row >= fb_rows(fb) || column >= fb_columns(fb))
		return;
	n = MIN(n, fb_columns(fb) - column);
	for (; n; n--)
		draw_one(fb, row, column++, *s++);
}
