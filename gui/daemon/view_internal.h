/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the view share. */
#ifndef GUI_VIEW_INTERNAL_H
#define GUI_VIEW_INTERNAL_H

#include <gtk/gtk.h>
#include <gdk/gdkx.h>
#include <X11/Xlib.h>
#include <X11/extensions/XShm.h>

#include "view.h"

/* Two, so that one can be filled while the server reads the other. */
#define PAINT_SEGMENTS 2

struct segment {
	XShmSegmentInfo info;
	size_t size; /* 0: none so far */
	Window busy; /* whose picture the server is still reading; None: free */
};

struct frame;

struct view {
	struct view_options options;
	const struct view_actions *actions;
	void *ctx;
	struct model *model;
	GdkDisplay *display;
	Display *x;
	Window root;
	Visual *visual;
	int depth;
	bool shm;
	int shm_completion; /* type of the event */
	struct segment segments[PAINT_SEGMENTS];
	GC gc;
	GHashTable *by_inner, *by_outer; /* XID to struct frame */
	GQueue dirty;			 /* frames with damage, oldest first */
	Cursor cursors[GUI_CURSOR_END - GUI_CURSOR_FONT];
	GtkWidget *bar; /* the way back from fullscreen */
	struct frame *fullscreen;
	GdkPixbuf *icon;
	guint32 last_time; /* of the user's last event in this qube's windows, X11 time */
	XID idle_counter; /* how long the user has touched nothing; None: the display does not say */
	int xi_opcode;	  /* of the events of the X Input extension; 0: the display has none */
	unsigned int popups;   /* that are shown: presses elsewhere matter */
	struct frame *entered; /* the pointer is in its inner window; NULL: elsewhere */
	uint32_t swallowed;    /* keycode of a shortcut whose release is still to come */
};

/*
 * A window is an outer one, for the window manager; in it, as large, the border, whose background is the frame
 * (GDK would repaint that of the outer one in its own time); in this an inner one with the qube's picture: what
 * the qube draws cannot reach the frame. Around managed windows the frame is outside of the qube's rectangle, in
 * popups and tray icons within it.
 */
struct frame {
	struct view *view;
	struct window *window;
	GdkWindow *outer;
	Window border, inner;
	int margin; /* of outer around the qube's rectangle */
	int inset;  /* of inner within the qube's rectangle */
	bool shown, inner_shown;
	bool popup;   /* counted in view->popups */
	bool placing; /* shown, but the window manager has not said yet that it stands */
	int x, y;     /* of the pointer, last seen */
	cairo_region_t *damage;
	bool queued, in_flight;
	unsigned int inline_run; /* pictures sent since the server last answered */
};

/* Reports a result of the model; errors end the session. */
void view_result(struct view *view, int code);

/* Fits the inner window to the rectangle that the model has. */
void view_place_inner(struct frame *frame);

/* view_paint.c */
int paint_start(struct view *view);
void paint_finish(struct view *view);
void paint_damage(struct frame *frame, const struct rect *rect);
void paint_forget(struct frame *frame);
void paint_flush(struct view *view);
/* True if the event was one of the painter's. */
bool paint_event(struct view *view, const XEvent *event);

/* view_input.c */
void input_start(struct view *view);
void input_finish(struct view *view);
/* A popup is shown (or not any more): whether presses elsewhere are to be heard of. */
void input_popup(struct frame *frame, bool shown);

/* view_bar.c: the fullscreen bar */
void bar_show(struct view *view, struct frame *frame);
void bar_hide(struct view *view);
void bar_raise(struct view *view);
void bar_finish(struct view *view);

/* view_tray.c */
void tray_dock(struct frame *frame);
unsigned int tray_border(enum tray_mode mode);
bool tray_tints(enum tray_mode mode);

/* icon.c */
GdkPixbuf *icon_load(const char *name, uint32_t color);

#endif
