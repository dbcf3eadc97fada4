// SPDX-License-Identifier: GPL-2.0-or-later
// Icons in the colour of their qube.
#include "tint.h"
#include "view_internal.h"

#define ICON_SIZE 48

static unsigned int channel(uint32_t pixel, unsigned int shift)
{
	return pixel >> shift & 0xff;
}

static void tint_pixbuf(GdkPixbuf *pixbuf, uint32_t color)
{
	int width = gdk_pixbuf_get_width(pixbuf), height = gdk_pixbuf_get_height(pixbuf), x, y;
	int channels = gdk_pixbuf_get_n_channels(pixbuf), stride = gdk_pixbuf_get_rowstride(pixbuf);
	guchar *row = gdk_pixbuf_get_pixels(pixbuf), *at;
	uint32_t pixel;

	for (y = 0; y < height; y++, row += stride)
		for (x = 0; x < width; x++) {
			at = row + x * channels;
			pixel = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
			icon_tint(&pixel, 1, color);
			at[0] = (guchar)channel(pixel, 16);
			at[1] = (guchar)channel(pixel, 8);
			at[2] = (guchar)channel(pixel, 0);
		}
}

/* Without an icon of that name: a plain square. */
GdkPixbuf *icon_load(const char *name, uint32_t color)
{
	GdkPixbuf *loaded = NULL, *icon;

	if (name && *name == '/')
		loaded = gdk_pixbuf_new_from_file_at_size(name, ICON_SIZE, ICON_SIZE, NULL);
	else if (name)
		loaded = gtk_icon_theme_load_icon(gtk_icon_theme_get_default(), name, ICON_SIZE,
						  GTK_ICON_LOOKUP_FORCE_SIZE, NULL);
	if (!loaded) {
		icon = gdk_pixbuf_new(GDK_COLORSPACE_RGB, TRUE, 8, ICON_SIZE, ICON_SIZE);
		if (icon)
			gdk_pixbuf_fill(icon, color << 8 | 0xff);
		return icon;
	}
	/* A theme's picture is shared: tint a copy. */
	icon = gdk_pixbuf_copy(loaded);
	g_object_unref(loaded);
	if (icon)
		tint_pixbuf(icon, color);
	return icon;
}
