// SPDX-License-Identifier: GPL-2.0-or-later
// The bar over a fullscreen window: says whose it is, in the qube's colour, and leads back.
#include "view_internal.h"

static void on_clicked(GtkButton *button, gpointer data)
{
	struct view *view = data;

	(void)button;
	if (view->fullscreen)
		gdk_window_unfullscreen(view->fullscreen->outer);
}

static char *bar_text(const struct view *view)
{
	const struct shortcut *shortcut = &view->options.config->fullscreen;

	if (!shortcut->enabled)
		return g_strdup_printf("[%s] Leave full screen", view->options.name);
	return g_strdup_printf("[%s] Leave full screen (%s%s%s%s%s)", view->options.name,
			       shortcut->modifiers & 4 ? "Ctrl+" : "",
			       shortcut->modifiers & 1 ? "Shift+" : "",
			       shortcut->modifiers & 8 ? "Alt+" : "",
			       shortcut->modifiers & 64 ? "Super+" : "", shortcut->key);
}

static void color_widget(GtkWidget *widget, uint32_t color)
{
	/* Black on light colours, white on dark ones (luminance of BT.601). */
	unsigned int light = (299 * (color >> 16 & 0xff) + 587 * (color >> 8 & 0xff) +
			      114 * (color & 0xff)) /
			     1000;
	char *css = g_strdup_printf("* { background: #%06x; color: %s; border-radius: 0;"
				    " text-shadow: none; border-color: %s; }",
				    color, light > 140 ? "#000" : "#fff",
				    light > 140 ? "#000" : "#fff");
	GtkCssProvider *provider = gtk_css_provider_new();

	gtk_css_provider_load_from_data(provider, css, -1, NULL);
	gtk_style_context_add_provider(gtk_widget_get_style_context(widget),
				       GTK_STYLE_PROVIDER(provider),
				       GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
	g_object_unref(provider);
	g_free(css);
}

static void make_bar(struct view *view)
{
	char *text = bar_text(view);
	GtkWidget *button = gtk_button_new_with_label(text);

	g_free(text);
	view->bar = gtk_window_new(GTK_WINDOW_POPUP);
	gtk_window_set_title(GTK_WINDOW(view->bar), "gui-daemon fullscreen bar");
	gtk_widget_set_can_focus(button, FALSE);
	atk_object_set_description(gtk_widget_get_accessible(button),
				   "Ends the full screen mode of a window of this qube");
	color_widget(button, view->options.color);
	color_widget(gtk_bin_get_child(GTK_BIN(button)), view->options.color);
	g_signal_connect(button, "clicked", G_CALLBACK(on_clicked), view);
	gtk_container_add(GTK_CONTAINER(view->bar), button);
	gtk_widget_show_all(button);
}

void bar_show(struct view *view, struct frame *frame)
{
	GdkMonitor *monitor = gdk_display_get_monitor_at_window(view->display, frame->outer);
	GtkRequisition size;
	GdkRectangle area;

	if (!view->bar)
		make_bar(view);
	view->fullscreen = frame;
	gdk_monitor_get_geometry(monitor, &area);
	gtk_widget_get_preferred_size(view->bar, NULL, &size);
	gtk_window_move(GTK_WINDOW(view->bar), area.x + (area.width - size.width) / 2, area.y);
	gtk_widget_show(view->bar);
	bar_raise(view);
}

void bar_hide(struct view *view)
{
	view->fullscreen = NULL;
	if (view->bar)
		gtk_widget_hide(view->bar);
}

void bar_raise(struct view *view)
{
	if (view->fullscreen && view->bar)
		gdk_window_raise(gtk_widget_get_window(view->bar));
}

void bar_finish(struct view *view)
{
	if (view->bar)
		gtk_widget_destroy(view->bar);
	view->bar = NULL;
	view->fullscreen = NULL;
}
