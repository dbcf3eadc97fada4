/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The display as a console, until dom0 takes it: VGA text or a linear framebuffer. */
#ifndef ARCH_VIDEO_H
#define ARCH_VIDEO_H

#include <arch/multiboot2.h>
#include <bulkhead/compiler.h>

/* ---- What boot calls, in this order (video.c) ---- */

/* Notes what the boot loader set up; dom0 is told of it, whether there is a console on it or not. */
void video_detect(const struct mb2_info *info);
/* Registers the console; the display's memory is reached by the boot loader's identity map at first. */
void video_console_init(void);
/* The identity map is gone: maps the display's memory for good. */
void video_console_remap(void);
/* The display is dom0's from now on. It is not touched again, not even by a panic: dom0 may have moved it or changed its mode. */
void video_console_release(void);

/* ---- Text: rows of characters, what is on the screen of them, control characters (video_text.c; pure) ---- */

#define TEXT_MAX_COLUMNS 240
#define TEXT_MAX_ROWS	 90

struct text_screen {
	unsigned columns, rows;
	unsigned row,
		column;	 /* of the next character; column == columns: it goes to the next line */
	unsigned top;	 /* index of the first line: scrolling moves this */
	unsigned escape; /* within an escape sequence: they are swallowed */
	/* Shows n characters from (row, column) on. */
	void (*draw)(void *ctx, unsigned row, unsigned column, const uint8_t *s, unsigned n);
	void *ctx;
	uint8_t cells[TEXT_MAX_ROWS][TEXT_MAX_COLUMNS]; /* line i is at (top + i) % rows */
	uint8_t shown[TEXT_MAX_ROWS][TEXT_MAX_COLUMNS]; /* row i of the screen */
};

/* An empty screen, as the display is to be by now. Larger sizes are cut to the limits. */
void text_init(struct text_screen *t, unsigned columns, unsigned rows,
	       void (*draw)(void *ctx, unsigned row, unsigned column, const uint8_t *s, unsigned n),
	       void *ctx);
void text_put(struct text_screen *t, const char *s, size_t len);
/* Draws what differs from what is on the screen: after a burst of lines that scrolls just once. */
void text_refresh(struct text_screen *t);

/* ---- Linear framebuffers (video_fb.c; pure but for the memory at `base`) ---- */

#define FONT_WIDTH	8
#define FONT_HEIGHT	16
#define FONT_FIRST	0x20
#define FONT_CHARACTERS 95

extern const uint8_t console_font[FONT_CHARACTERS]
				 [FONT_HEIGHT]; /* the highest bit is the leftmost pixel */

struct framebuffer {
	volatile uint8_t *base; /* NULL: not mapped */
	uint32_t pitch, width, height;
	unsigned bytes; /* of a pixel */
	unsigned scale; /* pixels of the screen for one of the font, in both directions */
	uint32_t ink, paper;
};

/* False: a kind of framebuffer that is not supported. `base` stays NULL. */
bool fb_init(struct framebuffer *fb, const struct mb2_framebuffer *info);
unsigned fb_columns(const struct framebuffer *fb);
unsigned fb_rows(const struct framebuffer *fb);
void fb_clear(struct framebuffer *fb);
void fb_draw(struct framebuffer *fb, unsigned row, unsigned column, const uint8_t *s, unsigned n);

#endif
