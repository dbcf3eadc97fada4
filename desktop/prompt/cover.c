// SPDX-License-Identifier: GPL-2.0-or-later
// Watches the stack of windows. Override-redirect windows, as menus of qubes are, know no window manager: they would lie
// over a question for as long as they like.
#include "cover.h"

#include <X11/Xlib.h>
#include <X11/extensions/shape.h>
#include <gdk/gdkx.h>

/* Milliseconds between two attempts to come to the top: against one who does the same, it is no race. */
#define RAISE_PAUSE 200

struct cover {
	GdkDisplay *display;
	Display *x;
	Window root, window;
	GdkWindow *gdk_root;
	bool covered, shapes;
	guint check, again; /* sources; 0: none */
	gint64 raised;	    /* when, in microseconds */
	void (*changed)(void *ctx, bool covered);
	void *ctx;
};

/* The window, or the frame that the window manager has put around it: the child of the root. */
static Window top_of(struct cover *cover)
{
	Window at = cover->window, root, parent, *children;
	unsigned int count;

	while (XQueryTree(cover->x, at, &root, &parent, &children, &count)) {
		if (children)
			XFree(children);
		if (parent == root || parent == None)
			return at;
		at = parent;
	}
	return None;
}

/* Windows that let the pointer through are the screen of a compositing manager; qubes cannot have such. */
static bool takes_pointer(struct cover *cover, Window window)
{
	XRectangle *rectangles;
	int count = 1, order;

	if (!cover->shapes)
		return true;
	rectangles = XShapeGetRectangles(cover->x, window, ShapeInput, &count, &order);
	if (rectangles)
		XFree(rectangles);
	return count > 0;
}

static bool overlaps(struct cover *cover, Window other, const XWindowAttributes *own,
		     bool *ret_unmanaged)
{
	XWindowAttributes a;

	if (!XGetWindowAttributes(cover->x, other, &a) || a.map_state != IsViewable)
		return false;
	if (a.x >= own->x + own->width + 2 * own->border_width ||
	    a.y >= own->y + own->height + 2 * own->border_width ||
	    a.x + a.width + 2 * a.border_width <= own->x ||
	    a.y + a.height + 2 * a.border_width <= own->y)
		return false;
	*ret_unmanaged = a.override_redirect;
	return takes_pointer(cover, other);
}

/* Windows that know no window manager go where anybody puts them; with others only that manager can help. */
static void uncover(struct cover *cover, Window top, Window other, bool unmanaged)
{
	XWindowChanges below = {.sibling = top, .stack_mode = Below};

	if (unmanaged)
		XConfigureWindow(cover->x, other, CWSibling | CWStackMode, &below);
	else
		XRaiseWindow(cover->x, cover->window);
}

/* As long as it is not on the screen nobody can see what is asked. */
static bool is_covered(struct cover *cover, Window top, bool may_uncover)
{
	Window root, parent, *children = NULL;
	bool above = false, covered = false, unmanaged = false;
	XWindowAttributes own;
	unsigned int count, i;

	if (top == None || !XGetWindowAttributes(cover->x, top, &own) ||
	    own.map_state != IsViewable ||
	    !XQueryTree(cover->x, cover->root, &root, &parent, &children, &count))
		return true;
	/* From the bottom to the top. */
	for (i = 0; i < count; i++) {
		if (above && overlaps(cover, children[i], &own, &unmanaged)) {
			covered = true;
			if (may_uncover)
				uncover(cover, top, children[i], unmanaged);
		}
		above = above || children[i] == top;
	}
	if (children)
		XFree(children);
	return covered || !above;
}

static gboolean check(gpointer data);

static gboolean check_again(gpointer data)
{
	((struct cover *)data)->again = 0;
	return check(data);
}

static gboolean check(gpointer data)
{
	struct cover *cover = data;
	gint64 now = g_get_monotonic_time();
	bool covered, may_uncover = now - cover->raised >= RAISE_PAUSE * 1000;

	cover->check = 0;
	gdk_x11_display_error_trap_push(cover->display);
	covered = is_covered(cover, top_of(cover), may_uncover);
	if (covered && may_uncover)
		cover->raised = now;
	if (covered && !cover->again)
		cover->again = g_timeout_add(RAISE_PAUSE, check_again, cover);
	XSync(cover->x, False);
	gdk_x11_display_error_trap_pop_ignored(cover->display);
	if (covered != cover->covered) {
		cover->covered = covered;
		cover->changed(cover->ctx, covered);
	}
	return G_SOURCE_REMOVE;
}

static GdkFilterReturn on_event(GdkXEvent *xevent, GdkEvent *event, gpointer data)
{
	struct cover *cover = data;
	int type = ((XEvent *)xevent)->type;

	(void)event;
	switch (type) {
	case MapNotify:
	case ConfigureNotify:
	case CirculateNotify:
	case ReparentNotify:
		/* At once: what the user does next is already on its way. */
		if (cover->check)
			g_source_remove(cover->check);
		check(cover);
		break;
	case UnmapNotify:
	case DestroyNotify:
		if (!cover->check)
			cover->check = g_idle_add(check, cover);
		break;
	default:
		break;
	}
	return GDK_FILTER_CONTINUE;
}

struct cover *cover_watch(GdkWindow *window, void (*changed)(void *ctx, bool covered), void *ctx)
{
	struct cover *cover = g_new0(struct cover, 1);
	int base, error;

	cover->display = gdk_window_get_display(window);
	cover->x = GDK_DISPLAY_XDISPLAY(cover->display);
	cover->window = GDK_WINDOW_XID(window);
	cover->gdk_root = gdk_screen_get_root_window(gdk_window_get_screen(window));
	cover->root = GDK_WINDOW_XID(cover->gdk_root);
	cover->shapes = XShapeQueryExtension(cover->x, &base, &error);
	cover->covered = true;
	cover->changed = changed;
	cover->ctx = ctx;
	gdk_window_set_events(cover->gdk_root,
			      gdk_window_get_events(cover->gdk_root) | GDK_SUBSTRUCTURE_MASK);
	gdk_window_add_filter(cover->gdk_root, on_event, cover);
	cover->check = g_idle_add(check, cover);
	return cover;
}

void cover_finish(struct cover *cover)
{
	if (!cover)
		return;
	gdk_window_remove_filter(cover->gdk_root, on_event, cover);
	if (cover->check)
		g_source_remove(cover->check);
	if (cover->again)
		g_source_remove(cover->again);
	g_free(cover);
}
