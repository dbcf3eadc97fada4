/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VGA text console. */
#include <arch/video.h>
#include <arch/cpu.h>
#include <arch/multiboot2.h>
#include <arch/paging.h>
#include <bulkhead/console.h>
#include <bulkhead/string.h>

#define VGA_TEXT  0xb8000UL
#define COLUMNS	  80U
#define ROWS	  25U
#define ATTRIBUTE 0x0700U

static volatile uint16_t *screen;
static unsigned column;
static struct console_driver driver;

static void scroll(void)
{
	for (unsigned i = 0; i < COLUMNS * (ROWS - 1); i++)
		screen[i] = screen[i + COLUMNS];
	for (unsigned i = 0; i < COLUMNS; i++)
		screen[COLUMNS * (ROWS - 1) + i] = ATTRIBUTE | ' ';
	column = 0;
}

static void text_write(struct console_driver *drv, const char *s, size_t len)
{
	(void)drv;
	for (; screen && len; len--, s++) {
		if (*s == '\n' || column == COLUMNS)
			scroll();
		if (*s >= ' ')
			screen[COLUMNS * (ROWS - 1) + column++] = (uint16_t)(ATTRIBUTE |
									     (uint8_t)*s);
	}
}

static void text_release(struct console_driver *drv)
{
	(void)drv;
	screen = NULL;
}

void video_console_init(const struct mb2_info *info)
{
	if (info->have_framebuffer && info->framebuffer.type != MB2_FB_EGA_TEXT)
		return;
	screen = (volatile uint16_t *)VGA_TEXT;
	driver.name = "vga";
	driver.write = text_write;
	driver.release = text_release;
	scroll();
	console_register(&driver);
}

void video_console_remap(void)
{
	if (screen)
		screen = mmio_map(VGA_TEXT, COLUMNS * ROWS * 2);
}
