/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The display: what the boot loader left, a console on it until dom0 starts, and what dom0 is told. */
#include <arch/video.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/paging_init.h>
#include <arch/platform.h>
#include <bulkhead/console.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

#define VGA_TEXT	0xb8000UL
#define VGA_TEXT_SIZE	0x8000UL
#define VGA_COLUMNS	80U
#define VGA_ROWS	25U
#define VGA_ATTRIBUTE	0x0700U /* grey on black */
#define VGA_CRTC_INDEX	0x3d4
#define VGA_CURSOR_HIGH 0x0e
#define VGA_CURSOR_LOW	0x0f
#define VGA_FONT_HEIGHT 16
#define EARLY_LIMIT	GiB(4) /* of the boot loader's identity map */

/* Units of dom0_vga_console_info. */
#define LFB_SIZE_SHIFT 16

static enum {
	DISPLAY_NONE,
	DISPLAY_TEXT,
	DISPLAY_FRAMEBUFFER,
} display;
static bool efi;
static struct mb2_framebuffer boot_fb;
static uint16_t cursor_row, cursor_column; /* where the console's text ended, in text mode */

static bool console_on;
static uint64_t early_root; /* CR3 with the identity map; 0: the display is mapped for good */
static struct console_driver driver;
static struct text_screen screen __initdata; /* not touched once the console is off */
static struct framebuffer fb;
static volatile uint16_t *vga;

void video_detect(const struct mb2_info *info)
{
	efi = info->have_efi64;
	if (info->have_framebuffer) {
		boot_fb = info->framebuffer;
	} else if (!efi) {
		/* A PC's firmware leaves it in this state. */
		boot_fb = (struct mb2_framebuffer){.paddr = VGA_TEXT,
						   .pitch = VGA_COLUMNS * 2,
						   .width = VGA_COLUMNS,
						   .height = VGA_ROWS,
						   .bpp = 16,
						   .type = MB2_FB_EGA_TEXT};
	} else {
		return;
	}
	if (boot_fb.type == MB2_FB_EGA_TEXT && boot_fb.paddr == VGA_TEXT &&
	    (uint64_t)boot_fb.pitch * boot_fb.height <= VGA_TEXT_SIZE)
		display = DISPLAY_TEXT;
	else if (boot_fb.type == MB2_FB_RGB)
		display = DISPLAY_FRAMEBUFFER;
}

static uint64_t display_size(void)
{
	return (uint64_t)boot_fb.pitch * boot_fb.height;
}

/* ---- The console ---- */

static void vga_draw(void *ctx, unsigned row, unsigned column, const uint8_t *s, unsigned n)
{
	volatile uint16_t *p = vga + row * (boot_fb.pitch / 2) + column;

	(void)ctx;
	for (; n; n--)
		*p++ = (uint16_t)(VGA_ATTRIBUTE | *s++);
}

static void vga_clear(void)
{
	for (unsigned i = 0; i < boot_fb.pitch / 2 * boot_fb.height; i++)
		vga[i] = VGA_ATTRIBUTE | ' ';
}

static void vga_cursor(void)
{
	unsigned column = MIN(screen.column, screen.columns - 1);
	unsigned at = screen.row * (boot_fb.pitch / 2) + column;

	cursor_row = (uint16_t)screen.row;
	cursor_column = (uint16_t)column;
	outw(VGA_CRTC_INDEX, (uint16_t)(VGA_CURSOR_HIGH | (at & 0xff00)));
	outw(VGA_CRTC_INDEX, (uint16_t)(VGA_CURSOR_LOW | at << 8));
}

static void refresh(void)
{
	text_refresh(&screen);
	if (display == DISPLAY_TEXT)
		vga_cursor();
}

static void framebuffer_draw(void *ctx, unsigned row, unsigned column, const uint8_t *s, unsigned n)
{
	fb_draw(ctx, row, column, s, n);
}

static void console_write(struct console_driver *drv, const char *s, size_t len)
{
	(void)drv;
	if (!console_on)
		return;
	text_put(&screen, s, len);
	/* Between the two maps there is no way to the display. */
	if (!early_root || early_root == read_cr3())
		refresh();
}

static void console_release(struct console_driver *drv)
{
	(void)drv;
	console_on = false;
}

void __init video_console_init(void)
{
	if (display == DISPLAY_TEXT) {
		vga = (volatile uint16_t *)VGA_TEXT;
		vga_clear();
		text_init(&screen, boot_fb.width, boot_fb.height, vga_draw, NULL);
	} else if (display == DISPLAY_FRAMEBUFFER && fb_init(&fb, &boot_fb)) {
		/* One that is still out of reach shows its text later. */
		if (boot_fb.paddr + display_size() <= EARLY_LIMIT)
			fb.base = (volatile uint8_t *)boot_fb.paddr;
		fb_clear(&fb);
		text_init(&screen, fb_columns(&fb), fb_rows(&fb), framebuffer_draw, &fb);
	} else {
		return;
	}
	console_on = true;
	early_root = read_cr3();
	driver.name = "vga";
	driver.write = console_write;
	driver.release = console_release;
	console_register(&driver);
}

static unsigned display_pages(void)
{
	return (unsigned)(((boot_fb.paddr & ~PAGE_MASK) + display_size() + PAGE_SIZE - 1) >>
			  PAGE_SHIFT);
}

void __init video_console_remap(void)
{
	uint64_t offset = boot_fb.paddr & ~PAGE_MASK;
	char *p;

	if (!console_on)
		return;
	p = vmap_contiguous(boot_fb.paddr - offset, display_pages(), PROT_WRITE_COMBINING);
	if (!p) {
		console_on = false;
		log_warn("display: no address space for it; it is not used\n");
		return;
	}
	p += offset;
	early_root = 0;
	if (display == DISPLAY_TEXT) {
		vga = (volatile uint16_t *)p;
	} else {
		bool blank = !fb.base; /* nothing was drawn so far */

		fb.base = (volatile uint8_t *)p;
		if (blank) {
			fb_clear(&fb);
			memset(screen.shown, ' ', sizeof(screen.shown));
		}
	}
	/* This line brings the others with it that could not be shown. */
	log_info("display: %ux%u, %u bits, at 0x%lx\n", boot_fb.width, boot_fb.height, boot_fb.bpp,
		 boot_fb.paddr);
}

void video_console_release(void)
{
	volatile void *p = display == DISPLAY_TEXT ? (volatile void *)vga : fb.base;

	console_release_display();
	if (!p)
		return;
	vga = NULL;
	fb.base = NULL;
	p = (volatile void *)((uintptr_t)p & PAGE_MASK);
	vmap_unmap(p, display_pages());
	/* Of the other CPUs none has looked at it. */
	vmap_free_range(p, display_pages());
}

/* ---- What dom0 is told ---- */

bool arch_dom0_console_info(struct dom0_vga_console_info *ret_info)
{
	struct dom0_vga_console_info info;

	if (display == DISPLAY_NONE || boot_fb.pitch > UINT16_MAX || boot_fb.width > UINT16_MAX ||
	    boot_fb.height > UINT16_MAX)
		return false;
	memset(&info, 0, sizeof(info));
	if (display == DISPLAY_TEXT) {
		info.video_type = XEN_VGATYPE_TEXT_MODE_3;
		info.u.text_mode_3.font_height = VGA_FONT_HEIGHT;
		info.u.text_mode_3.cursor_x = cursor_column;
		info.u.text_mode_3.cursor_y = cursor_row;
		info.u.text_mode_3.rows = (uint16_t)boot_fb.height;
		info.u.text_mode_3.columns = (uint16_t)boot_fb.width;
	} else {
		info.video_type = efi ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
		info.u.vesa_lfb.width = (uint16_t)boot_fb.width;
		info.u.vesa_lfb.height = (uint16_t)boot_fb.height;
		info.u.vesa_lfb.bytes_per_line = (uint16_t)boot_fb.pitch;
		info.u.vesa_lfb.bits_per_pixel = boot_fb.bpp;
		info.u.vesa_lfb.lfb_base = (uint32_t)boot_fb.paddr;
		info.u.vesa_lfb.ext_lfb_base = (uint32_t)(boot_fb.paddr >> 32);
		info.u.vesa_lfb.lfb_size = (uint32_t)((display_size() + BIT(LFB_SIZE_SHIFT) - 1) >>
						      LFB_SIZE_SHIFT);
		info.u.vesa_lfb.red_pos = boot_fb.red.shift;
		info.u.vesa_lfb.red_size = boot_fb.red.bits;
		info.u.vesa_lfb.green_pos = boot_fb.green.shift;
		info.u.vesa_lfb.green_size = boot_fb.green.bits;
		info.u.vesa_lfb.blue_pos = boot_fb.blue.shift;
		info.u.vesa_lfb.blue_size = boot_fb.blue.bits;
	}
	*ret_info = info;
	return true;
}
