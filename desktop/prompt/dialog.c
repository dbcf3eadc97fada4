// SPDX-License-Identifier: GPL-2.0-or-later
// The question on the screen: who calls, in the colour of its label, what for, and where it may go.
#include "dialog.h"

#include <gdk/gdkx.h>
#include <gtk/gtk.h>
#include <string.h>

#include "../../gui/common/label.h"
#include "cover.h"
#include "guard.h"

/* Nothing that a qube has chosen makes the window larger. */
#define WIDTH_CHARS  56
#define LIST_HEIGHT  170
#define FILTER_ABOVE 8 /* targets; then a field to look for one is there */

struct dialog {
	const struct question *question;
	struct dialog_options options;
	struct guard guard;
	struct cover *cover;
	GtkWidget *window, *list, *filter, *allow, *deny, *hint, *time;
	guint timer, clock;
	gint64 end;	   /* microseconds; 0: never */
	bool chosen;	   /* by the user, not by the rule */
	guint32 chosen_at; /* the key or click that did it last, by its time */
	const char *answer;
};

static int64_t now_ms(void)
{
	return g_get_monotonic_time() / 1000;
}

/* Of the user's choice or the rule's: GTK selects a row of its own accord when the list gets the focus. */
static bool meant(const struct dialog *dialog, GtkListBoxRow *row)
{
	const char *target = g_object_get_data(G_OBJECT(row), "target");

	return dialog->chosen || !strcmp(target, dialog->question->default_target);
}

static const char *selected(struct dialog *dialog)
{
	GtkListBoxRow *row = gtk_list_box_get_selected_row(GTK_LIST_BOX(dialog->list));

	return row && meant(dialog, row) ? g_object_get_data(G_OBJECT(row), "target") : NULL;
}

/* For programs that watch, as tests do: whether answers count, and how often that has ended. */
static void publish(struct dialog *dialog)
{
	GdkWindow *window = gtk_widget_get_window(dialog->window);
	gulong state[2] = {dialog->guard.armed, dialog->guard.lost};

	if (window)
		gdk_property_change(window, gdk_atom_intern("_QREXEC_PROMPT_ARMED", FALSE),
				    gdk_atom_intern("CARDINAL", FALSE), 32, GDK_PROP_MODE_REPLACE,
				    (const guchar *)state, 2);
}

static gboolean on_timer(gpointer data);

/* Brings what can be pressed in line with whether it counts. */
static void refresh(struct dialog *dialog)
{
	bool armed = guard_tick(&dialog->guard, now_ms());
	int64_t wait = guard_wait(&dialog->guard, now_ms());
	const char *target = selected(dialog), *hint;

	gtk_widget_set_sensitive(dialog->deny, armed);
	gtk_widget_set_sensitive(dialog->allow, armed && target);
	/* Enter allows what the user has chosen, never what was chosen for him. */
	gtk_window_set_default(GTK_WINDOW(dialog->window),
			       armed && target && dialog->chosen ? dialog->allow : NULL);
	hint = armed		       ? (target ? " " : "Choose where it may go.")
	       : dialog->guard.covered ? "Another window covers this question."
	       : !dialog->guard.focus  ? "Click here to answer."
				       : "Wait a moment\xe2\x80\xa6";
	gtk_label_set_text(GTK_LABEL(dialog->hint), hint);
	publish(dialog);
	if (dialog->timer)
		g_source_remove(dialog->timer);
	dialog->timer = wait >= 0 ? g_timeout_add((guint)wait + 1, on_timer, dialog) : 0;
}

static gboolean on_timer(gpointer data)
{
	struct dialog *dialog = data;

	dialog->timer = 0;
	refresh(dialog);
	return G_SOURCE_REMOVE;
}

static void on_cover(void *ctx, bool covered)
{
	struct dialog *dialog = ctx;

	guard_cover(&dialog->guard, covered, now_ms());
	refresh(dialog);
}

static void on_focus(GObject *window, GParamSpec *what, gpointer data)
{
	struct dialog *dialog = data;

	(void)what;
	guard_focus(&dialog->guard, gtk_window_has_toplevel_focus(GTK_WINDOW(window)), now_ms());
	refresh(dialog);
}

/* Keys and buttons before answers count are meant for something else, and go nowhere. */
static void on_event(GdkEvent *event, gpointer data)
{
	struct dialog *dialog = data;

	switch (event->type) {
	case GDK_KEY_PRESS:
	case GDK_BUTTON_PRESS:
	case GDK_TOUCH_BEGIN:
	case GDK_SCROLL:
		if (!guard_press(&dialog->guard, now_ms())) {
			refresh(dialog);
			return;
		}
		break;
	default:
		break;
	}
	gtk_main_do_event(event);
}

static void pass_event(GdkEvent *event, gpointer unused)
{
	(void)unused;
	gtk_main_do_event(event);
}

static void on_answer(GtkWidget *button, gpointer data)
{
	struct dialog *dialog = data;

	if (!guard_tick(&dialog->guard, now_ms()))
		return;
	if (button == dialog->allow)
		dialog->answer = selected(dialog);
	gtk_main_quit();
}

static gboolean on_key(GtkWidget *window, GdkEventKey *event, gpointer data)
{
	(void)window;
	(void)data;
	if (event->keyval != GDK_KEY_Escape)
		return FALSE;
	gtk_main_quit();
	return TRUE;
}

/* Closing is a no; what is on the screen goes later. */
static gboolean on_close(GtkWidget *window, GdkEvent *event, gpointer unused)
{
	(void)window;
	(void)event;
	(void)unused;
	gtk_main_quit();
	return TRUE;
}

static gboolean on_clock(gpointer data)
{
	struct dialog *dialog = data;
	gint64 left = (dialog->end - g_get_monotonic_time() + 999999) / 1000000;
	char text[64];

	if (left <= 0) {
		gtk_main_quit();
		dialog->clock = 0;
		return G_SOURCE_REMOVE;
	}
	g_snprintf(text, sizeof(text), "Refused by itself in %d s", (int)left);
	gtk_label_set_text(GTK_LABEL(dialog->time), text);
	return G_SOURCE_CONTINUE;
}

static void style(GtkWidget *widget, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void style(GtkWidget *widget, const char *format, ...)
{
	GtkCssProvider *provider = gtk_css_provider_new();
	va_list arguments;
	char *css;

	va_start(arguments, format);
	css = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	gtk_css_provider_load_from_data(provider, css, -1, NULL);
	gtk_style_context_add_provider(gtk_widget_get_style_context(widget),
				       GTK_STYLE_PROVIDER(provider),
				       GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
	g_object_unref(provider);
	g_free(css);
}

static GtkWidget *plain_label(const char *text)
{
	GtkWidget *label = gtk_label_new(text);

	gtk_label_set_xalign(GTK_LABEL(label), 0);
	return label;
}

/* A name in the colour of its label, as its windows have it. */
static GtkWidget *badge(const struct question *question, const char *name, const char *text)
{
	const char *label = question_label(question, name);
	int32_t color = label ? label_color(label) : -1;
	GtkWidget *widget = gtk_label_new(text);

	if (color >= 0) {
		int light = ((color >> 16 & 255) * 3 + (color >> 8 & 255) * 6 + (color & 255)) / 10;

		style(widget,
		      "label { background: #%06x; color: %s; font-weight: bold; padding: 4px 8px; }",
		      (unsigned int)color, light > 140 ? "#000" : "#fff");
	} else {
		style(widget, "label { font-weight: bold; padding: 4px 8px; }");
	}
	gtk_label_set_ellipsize(GTK_LABEL(widget), PANGO_ELLIPSIZE_MIDDLE);
	gtk_label_set_xalign(GTK_LABEL(widget), 0);
	return widget;
}

static const char *purpose_of(const char *service)
{
	static const char *const purposes[][2] = {
		{"qubes.ClipboardPaste", "wants to paste a text into"},
		{"qubes.ConnectTCP", "wants to connect to a port of"},
		{"qubes.Filecopy", "wants to copy files to"},
		{"qubes.OpenInVM", "wants to open a file in"},
		{"qubes.OpenURL", "wants to open an address in"},
		{"qubes.StartApp", "wants to start an application in"},
		{"qubes.VMExec", "wants to run a command in"},
		{"qubes.VMExecGUI", "wants to run a command in"},
		{"qubes.VMShell", "wants to run commands in"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(purposes); i++)
		if (!strcmp(purposes[i][0], service))
			return purposes[i][1];
	return "wants to call a service of";
}

/* One line for the service, whatever its argument; all of it can be read by scrolling. */
static GtkWidget *service_line(const struct question *question)
{
	char *text = g_strconcat(question->service, *question->argument ? "+" : "",
				 question->argument, NULL);
	GtkWidget *entry = gtk_entry_new();

	gtk_entry_set_text(GTK_ENTRY(entry), text);
	gtk_editable_set_editable(GTK_EDITABLE(entry), FALSE);
	gtk_widget_set_can_focus(entry, FALSE);
	gtk_entry_set_width_chars(GTK_ENTRY(entry), WIDTH_CHARS);
	gtk_entry_set_max_width_chars(GTK_ENTRY(entry), WIDTH_CHARS);
	atk_object_set_name(gtk_widget_get_accessible(entry), "Service");
	g_free(text);
	return entry;
}

static char *target_text(const char *target)
{
	static const char dispvm[] = "@dispvm:";

	if (!strcmp(target, "@adminvm") || !strcmp(target, "dom0"))
		return g_strdup("dom0 \xe2\x80\x93 the one that rules all others");
	if (!strncmp(target, dispvm, sizeof(dispvm) - 1))
		return g_strdup_printf("a new disposable of %s", target + sizeof(dispvm) - 1);
	return g_strdup(target);
}

static gboolean matches(GtkListBoxRow *row, gpointer data)
{
	struct dialog *dialog = data;
	const char *wanted = dialog->filter ? gtk_entry_get_text(GTK_ENTRY(dialog->filter)) : "";

	return strstr(g_object_get_data(G_OBJECT(row), "target"), wanted) != NULL;
}

static void on_filter(GtkWidget *entry, gpointer data)
{
	struct dialog *dialog = data;
	GtkListBoxRow *row;

	(void)entry;
	gtk_list_box_invalidate_filter(GTK_LIST_BOX(dialog->list));
	/* What is not seen is not chosen. */
	row = gtk_list_box_get_selected_row(GTK_LIST_BOX(dialog->list));
	if (row && !matches(row, dialog))
		gtk_list_box_unselect_all(GTK_LIST_BOX(dialog->list));
	refresh(dialog);
}

/* Enter takes what is chosen; it chooses nothing. */
static bool is_choice(const GdkEvent *event)
{
	switch (event->type) {
	case GDK_KEY_PRESS:
		return event->key.keyval != GDK_KEY_Return &&
		       event->key.keyval != GDK_KEY_KP_Enter &&
		       event->key.keyval != GDK_KEY_ISO_Enter;
	case GDK_BUTTON_PRESS:
	case GDK_BUTTON_RELEASE:
	case GDK_TOUCH_BEGIN:
	case GDK_TOUCH_END:
		return true;
	default:
		return false;
	}
}

static void on_selected(GtkListBox *list, GtkListBoxRow *row, gpointer data)
{
	struct dialog *dialog = data;
	GdkEvent *event = gtk_get_current_event();

	/* What comes of a key or a button is the user's choice. */
	if (row && event && is_choice(event)) {
		dialog->chosen = true;
		dialog->chosen_at = gtk_get_current_event_time();
	}
	if (event)
		gdk_event_free(event);
	/* Neither is what nobody meant shown as chosen. */
	if (row && !meant(dialog, row))
		gtk_list_box_unselect_row(list, row);
	refresh(dialog);
}

/* A click on what was selected already is a choice, too. */
static gboolean on_click(GtkWidget *list, GdkEvent *event, gpointer data)
{
	struct dialog *dialog = data;

	(void)list;
	(void)event;
	dialog->chosen = true;
	refresh(dialog);
	return FALSE;
}

/* Enter in the list, after the key that has chosen; a double click is not enough. */
static void on_activated(GtkListBox *list, GtkListBoxRow *row, gpointer data)
{
	struct dialog *dialog = data;
	GdkEvent *event = gtk_get_current_event();

	(void)list;
	(void)row;
	if (event && event->type == GDK_KEY_PRESS && dialog->chosen &&
	    gtk_get_current_event_time() != dialog->chosen_at)
		on_answer(dialog->allow, dialog);
	if (event)
		gdk_event_free(event);
}

/* The colour before the name: the whole line in it would hide which one is selected. */
static GtkWidget *target_line(const struct question *question, const char *target, const char *text)
{
	GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 8), *name = plain_label(text);

	gtk_label_set_ellipsize(GTK_LABEL(name), PANGO_ELLIPSIZE_MIDDLE);
	gtk_box_pack_start(GTK_BOX(box), badge(question, target, "   "), FALSE, FALSE, 0);
	gtk_box_pack_start(GTK_BOX(box), name, TRUE, TRUE, 0);
	return box;
}

static GtkWidget *target_list(struct dialog *dialog)
{
	const struct question *question = dialog->question;
	GtkWidget *scrolled = gtk_scrolled_window_new(NULL, NULL);
	size_t preselected = question->target_count;

	dialog->list = gtk_list_box_new();
	gtk_list_box_set_activate_on_single_click(GTK_LIST_BOX(dialog->list), FALSE);
	atk_object_set_name(gtk_widget_get_accessible(dialog->list), "Targets");
	(void)question_default(question, &preselected);
	for (size_t i = 0; i < question->target_count; i++) {
		char *text = target_text(question->targets[i]);
		GtkWidget *row = gtk_list_box_row_new();

		gtk_container_add(GTK_CONTAINER(row),
				  target_line(question, question->targets[i], text));
		g_object_set_data(G_OBJECT(row), "target", question->targets[i]);
		gtk_container_add(GTK_CONTAINER(dialog->list), row);
		atk_object_set_name(gtk_widget_get_accessible(row), text);
		if (i == preselected)
			gtk_list_box_select_row(GTK_LIST_BOX(dialog->list), GTK_LIST_BOX_ROW(row));
		g_free(text);
	}
	gtk_list_box_set_filter_func(GTK_LIST_BOX(dialog->list), matches, dialog, NULL);
	gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scrolled), GTK_POLICY_NEVER,
				       GTK_POLICY_ALWAYS);
	gtk_scrolled_window_set_shadow_type(GTK_SCROLLED_WINDOW(scrolled), GTK_SHADOW_IN);
	gtk_widget_set_size_request(scrolled, -1, LIST_HEIGHT);
	gtk_container_add(GTK_CONTAINER(scrolled), dialog->list);
	return scrolled;
}

static GtkWidget *buttons(struct dialog *dialog)
{
	GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 8);

	dialog->time = plain_label(" ");
	dialog->deny = gtk_button_new_with_mnemonic("_Refuse");
	dialog->allow = gtk_button_new_with_mnemonic("_Allow");
	gtk_widget_set_can_default(dialog->allow, TRUE);
	gtk_box_pack_start(GTK_BOX(box), dialog->time, TRUE, TRUE, 0);
	gtk_box_pack_start(GTK_BOX(box), dialog->deny, FALSE, FALSE, 0);
	gtk_box_pack_start(GTK_BOX(box), dialog->allow, FALSE, FALSE, 0);
	g_signal_connect(dialog->deny, "clicked", G_CALLBACK(on_answer), dialog);
	g_signal_connect(dialog->allow, "clicked", G_CALLBACK(on_answer), dialog);
	return box;
}

static void fill(struct dialog *dialog)
{
	const struct question *question = dialog->question;
	GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 8), *list = target_list(dialog);

	gtk_container_set_border_width(GTK_CONTAINER(box), 12);
	gtk_container_add(GTK_CONTAINER(dialog->window), box);
	gtk_box_pack_start(GTK_BOX(box), badge(question, question->source, question->source), FALSE,
			   FALSE, 0);
	gtk_box_pack_start(GTK_BOX(box), plain_label(purpose_of(question->service)), FALSE, FALSE,
			   0);
	if (question->target_count > FILTER_ABOVE) {
		dialog->filter = gtk_search_entry_new();
		atk_object_set_name(gtk_widget_get_accessible(dialog->filter), "Look for a target");
		g_signal_connect(dialog->filter, "changed", G_CALLBACK(on_filter), dialog);
		gtk_box_pack_start(GTK_BOX(box), dialog->filter, FALSE, FALSE, 0);
	}
	gtk_box_pack_start(GTK_BOX(box), list, FALSE, FALSE, 0);
	gtk_box_pack_start(GTK_BOX(box), service_line(question), FALSE, FALSE, 0);
	dialog->hint = plain_label(" ");
	gtk_box_pack_start(GTK_BOX(box), dialog->hint, FALSE, FALSE, 0);
	gtk_box_pack_start(GTK_BOX(box), buttons(dialog), FALSE, FALSE, 0);
}

static void show(struct dialog *dialog)
{
	GtkWindow *window;
	char *title = g_strdup_printf("[dom0] Question of %s", dialog->question->source);

	dialog->window = gtk_window_new(GTK_WINDOW_TOPLEVEL);
	window = GTK_WINDOW(dialog->window);
	gtk_window_set_title(window, title);
	g_free(title);
	gtk_window_set_type_hint(window, GDK_WINDOW_TYPE_HINT_DIALOG);
	gtk_window_set_position(window, GTK_WIN_POS_CENTER_ALWAYS);
	gtk_window_set_resizable(window, FALSE);
	gtk_window_set_keep_above(window, TRUE);
	gtk_window_set_urgency_hint(window, TRUE);
	gtk_window_stick(window);
	fill(dialog);
	g_signal_connect(window, "notify::has-toplevel-focus", G_CALLBACK(on_focus), dialog);
	g_signal_connect(window, "key-press-event", G_CALLBACK(on_key), dialog);
	g_signal_connect(window, "delete-event", G_CALLBACK(on_close), NULL);
	g_signal_connect(dialog->list, "row-selected", G_CALLBACK(on_selected), dialog);
	g_signal_connect(dialog->list, "row-activated", G_CALLBACK(on_activated), dialog);
	g_signal_connect(dialog->list, "button-press-event", G_CALLBACK(on_click), dialog);
	gtk_widget_show_all(dialog->window);
	gtk_widget_grab_focus(dialog->list);
}

const char *dialog_run(const struct question *question, const struct dialog_options *options)
{
	struct dialog dialog = {.question = question, .options = *options};

	guard_init(&dialog.guard, options->delay);
	guard_cover(&dialog.guard, true, now_ms());
	gdk_event_handler_set(on_event, &dialog, NULL);
	show(&dialog);
	dialog.cover = cover_watch(gtk_widget_get_window(dialog.window), on_cover, &dialog);
	refresh(&dialog);
	if (options->timeout) {
		dialog.end = g_get_monotonic_time() + (gint64)options->timeout * 1000000;
		dialog.clock = g_timeout_add(500, on_clock, &dialog);
	}
	gtk_main();
	gdk_event_handler_set(pass_event, NULL, NULL);
	if (dialog.timer)
		g_source_remove(dialog.timer);
	dialog.timer = 0;
	if (dialog.clock)
		g_source_remove(dialog.clock);
	cover_finish(dialog.cover);
	g_signal_handlers_disconnect_by_data(dialog.window, &dialog);
	g_signal_handlers_disconnect_by_data(dialog.list, &dialog);
	gtk_widget_destroy(dialog.window);
	return dialog.answer;
}
