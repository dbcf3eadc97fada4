// SPDX-License-Identifier: GPL-2.0-or-later
// qube-menu: the menu of qubes and their applications, at the pointer.
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <gtk/gtk.h>
#include <libnotify/notify.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../gui/common/label.h"
#include "../../qrexec/policy/world.h"
#include "../menu/entries.h"

#define ICON_SIZE 16

static struct menu {
	const char *qubes, *dir, *command;
	GtkWidget *widget;
} menu = {"/run/qubes/qubes.list", "/var/lib/qubes/menus", "qube", NULL};

static void notify(const char *title, const char *body, const char *icon, const char *color)
{
	NotifyNotification *note;

	if (!notify_init("qube"))
		return;
	note = notify_notification_new(title, body, icon);
	if (color)
		notify_notification_set_hint(note, "frcolor", g_variant_new_string(color));
	notify_notification_show(note, NULL);
	g_object_unref(note);
}

/* In the child: runs it to its end, and says what went wrong. */
static void run_and_tell(char **argv)
{
	char *problem = NULL, *body;
	GError *error = NULL;
	int status = 0;

	if (g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL,
			 NULL, NULL, &problem, &status, &error) &&
	    !status)
		_exit(0);
	body = g_markup_escape_text(error		  ? error->message
				    : problem && *problem ? problem
							  : "it has failed",
				    -1);
	fprintf(stderr, "qube-menu: %s %s: %s\n", argv[1], argv[2], body);
	notify(g_strdup_printf("%s %s", argv[1], argv[2]), body, "dialog-error", NULL);
	_exit(1);
}

/* The gui-daemon of the qube lets the window that the user waits for have the keyboard. */
static void expect_window(const char *qube)
{
	char *text = g_strdup_printf("%s %" G_GINT64_FORMAT, qube,
				     g_get_real_time() / G_USEC_PER_SEC);

	gdk_property_change(gdk_get_default_root_window(),
			    gdk_atom_intern("_QUBES_LAUNCHED", FALSE),
			    gdk_atom_intern("STRING", FALSE), 8, GDK_PROP_MODE_REPLACE,
			    (const guchar *)text, (int)strlen(text));
	gdk_display_flush(gdk_display_get_default());
	g_free(text);
}

/* What is started goes on when the menu is gone. */
static void on_item(GtkWidget *item, gpointer unused)
{
	char **argv = g_object_get_data(G_OBJECT(item), "argv");
	const char *starts = g_object_get_data(G_OBJECT(item), "starts");
	pid_t pid;

	(void)unused;
	if (!strcmp(argv[1], "run") && argv[2][0] != '-')
		expect_window(argv[2]);
	pid = fork();
	if (pid == 0 && fork() == 0) {
		setsid();
		/* That takes a while, and nothing is seen of it. */
		if (starts)
			notify(g_object_get_data(G_OBJECT(item), "qube"), starts, "system-run",
			       g_object_get_data(G_OBJECT(item), "color"));
		run_and_tell(argv);
	}
	if (pid == 0)
		_exit(0);
}

static void free_words(gpointer words)
{
	g_strfreev(words);
}

static GtkWidget *with_icon(GtkWidget *item_text, GtkWidget *icon, GtkWidget *item)
{
	GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 8);

	gtk_box_pack_start(GTK_BOX(box), icon, FALSE, FALSE, 0);
	gtk_box_pack_start(GTK_BOX(box), item_text, TRUE, TRUE, 0);
	gtk_label_set_xalign(GTK_LABEL(item_text), 0);
	gtk_container_add(GTK_CONTAINER(item), box);
	return item;
}

/* NULL: the theme has none of that name, or none that can be shown. */
static GtkWidget *icon_of_theme(const char *name)
{
	GdkPixbuf *picture = *name ? gtk_icon_theme_load_icon(gtk_icon_theme_get_default(), name,
							      ICON_SIZE, GTK_ICON_LOOKUP_FORCE_SIZE,
							      NULL)
				   : NULL;
	GtkWidget *image = picture ? gtk_image_new_from_pixbuf(picture) : NULL;

	if (picture)
		g_object_unref(picture);
	return image;
}

static GtkWidget *icon_named(const char *name)
{
	GtkWidget *image = icon_of_theme(name);

	if (!image)
		image = icon_of_theme("application-x-executable");
	return image ? image : gtk_image_new();
}

/* Dom0 need not have an application's own icon: then it is one for its kind. */
static GtkWidget *icon_of_entry(const struct entry *entry)
{
	static const struct {
		const char *category, *icon;
	} kinds[] = {
		{"TerminalEmulator;", "utilities-terminal"},
		{"FileManager;", "system-file-manager"},
		{"TextEditor;", "accessories-text-editor"},
		{"Viewer;", "x-office-document"},
		{"WebBrowser;", "web-browser"},
		{"Settings;", "preferences-system"},
	};
	GtkWidget *image = icon_of_theme(entry->icon);

	for (size_t i = 0; !image && i < G_N_ELEMENTS(kinds); i++)
		if (strstr(entry->categories, kinds[i].category))
			image = icon_of_theme(kinds[i].icon);
	return image ? image : icon_named("");
}

/* A square of the label's colour; hollow when the qube does not run. */
static GtkWidget *icon_of_label(const char *label, bool running)
{
	GdkPixbuf *picture = gdk_pixbuf_new(GDK_COLORSPACE_RGB, TRUE, 8, ICON_SIZE, ICON_SIZE);
	int32_t color = label_color(label);
	GtkWidget *image;

	gdk_pixbuf_fill(picture, (guint32)(color < 0 ? 0xffffff : color) << 8 | 0xff);
	if (!running) {
		GdkPixbuf *inside = gdk_pixbuf_new_subpixbuf(picture, 3, 3, ICON_SIZE - 6,
							     ICON_SIZE - 6);

		gdk_pixbuf_fill(inside, 0);
		g_object_unref(inside);
	}
	image = gtk_image_new_from_pixbuf(picture);
	g_object_unref(picture);
	return image;
}

static GtkWidget *add_item(GtkWidget *to, const char *text, GtkWidget *icon, const char *tip,
			   char **argv)
{
	GtkWidget *item = with_icon(gtk_label_new(text), icon, gtk_menu_item_new());

	if (tip && *tip)
		gtk_widget_set_tooltip_text(item, tip);
	g_object_set_data_full(G_OBJECT(item), "argv", argv, free_words);
	g_signal_connect(item, "activate", G_CALLBACK(on_item), NULL);
	gtk_menu_shell_append(GTK_MENU_SHELL(to), item);
	return item;
}

/* The item starts this qube, or one that is made of it: its user is told so. */
static void says_start(GtkWidget *item, const struct world_qube *qube, bool disposable)
{
	int32_t color = label_color(qube->label);
	const char *text = disposable ? "A disposable of it starts." : "The qube starts.";

	if (!disposable && qube->domid >= 0)
		return;
	g_object_set_data_full(G_OBJECT(item), "starts", g_strdup(text), g_free);
	g_object_set_data_full(G_OBJECT(item), "qube", g_strdup(qube->name), g_free);
	if (color >= 0)
		g_object_set_data_full(G_OBJECT(item), "color", g_strdup_printf("#%06x", color),
				       g_free);
}

/* A list of words, to be freed with g_strfreev(). */
#define WORDS(...) g_strdupv((char **)(uintptr_t)(const char *[]){__VA_ARGS__, NULL})

/* As the argument of qubes.VMExecGUI has words: a dash is two, what is no letter, digit, dot or underscore a dash and two digits. */
static char *encode(const char *word)
{
	GString *text = g_string_new("");

	for (; *word; word++)
		if (g_ascii_isalnum(*word) || *word == '.' || *word == '_')
			g_string_append_c(text, *word);
		else if (*word == '-')
			g_string_append(text, "--");
		else
			g_string_append_printf(text, "-%02X", (unsigned char)*word);
	return g_string_free(text, FALSE);
}

static char **start_command(const char *qube, const struct entry *entry, bool disposable)
{
	char *service, *program, *name, **argv;

	if (!disposable) {
		service = g_strdup_printf("qubes.StartApp+%s", entry->file);
		argv = WORDS(menu.command, "run", qube, "QUBESRPC", service, "dom0");
		g_free(service);
		return argv;
	}
	/* A disposable is there as long as what it was made for. */
	program = encode("/usr/lib/qubes/desktop-run");
	name = encode(entry->file);
	service = g_strdup_printf("qubes.VMExecGUI+%s+run+%s", program, name);
	argv = WORDS(menu.command, "run", "--disposable", qube, "QUBESRPC", service, "dom0");
	g_free(service);
	g_free(program);
	g_free(name);
	return argv;
}

static void add_note(GtkWidget *to, const char *text)
{
	GtkWidget *item = gtk_menu_item_new_with_label(text);

	gtk_widget_set_sensitive(item, FALSE);
	gtk_menu_shell_append(GTK_MENU_SHELL(to), item);
}

static void add_applications(GtkWidget *to, const struct world_qube *qube, const char *owner,
			     bool disposable)
{
	struct entries entries = {0};
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s.list", menu.dir, owner) >= (int)sizeof(path) ||
	    entries_load(path, &entries)) {
		GtkWidget *item = gtk_menu_item_new_with_label(
			"start the template once to fill this");

		gtk_widget_set_sensitive(item, FALSE);
		gtk_menu_shell_append(GTK_MENU_SHELL(to), item);
		return;
	}
	for (size_t i = 0; i < entries.count; i++) {
		const struct entry *entry = &entries.list[i];

		says_start(add_item(to, entry->name, icon_of_entry(entry), entry->comment,
				    start_command(qube->name, entry, disposable)),
			   qube, disposable);
	}
	entries_finish(&entries);
}

static void separator(GtkWidget *to)
{
	gtk_menu_shell_append(GTK_MENU_SHELL(to), gtk_separator_menu_item_new());
}

/* Whose the root is, with the applications: a template's, or the qube's own. */
static const char *owner_of(const struct world *world, const struct world_qube *qube)
{
	const struct world_qube *of = qube;

	/* Of a disposable it is that of the template's template. */
	for (int i = 0; i < 3 && *of->template && world_find(world, of->template); i++)
		of = world_find(world, of->template);
	return of->name;
}

static void add_qube(const struct world *world, const struct world_qube *qube)
{
	GtkWidget *sub = gtk_menu_new(), *item = gtk_menu_item_new();
	const char *owner = owner_of(world, qube);
	bool running = qube->domid >= 0;
	char *text;

	/* What such a qube is for. */
	if (qube->template_for_dispvms) {
		GtkWidget *in_new = gtk_menu_new();
		GtkWidget *head = gtk_menu_item_new_with_label("In a new disposable");

		add_applications(in_new, qube, owner, true);
		gtk_menu_item_set_submenu(GTK_MENU_ITEM(head), in_new);
		gtk_menu_shell_append(GTK_MENU_SHELL(sub), head);
		separator(sub);
	}
	add_applications(sub, qube, owner, false);
	separator(sub);
	if (running) {
		add_item(sub, "Shut down", icon_named("system-shutdown"), NULL,
			 WORDS(menu.command, "shutdown", qube->name));
		add_item(sub, "Kill", icon_named("process-stop"), "What is not saved is lost",
			 WORDS(menu.command, "kill", qube->name));
	} else {
		says_start(add_item(sub, "Start", icon_named("system-run"), NULL,
				    WORDS(menu.command, "start", qube->name)),
			   qube, false);
	}
	text = g_strdup_printf("%s%s", qube->name, running ? "  (runs)" : "");
	with_icon(gtk_label_new(text), icon_of_label(qube->label, running), item);
	g_free(text);
	gtk_menu_item_set_submenu(GTK_MENU_ITEM(item), sub);
	gtk_menu_shell_append(GTK_MENU_SHELL(menu.widget), item);
}

/* First what is used every day. */
static int rank(const struct world_qube *qube)
{
	if (!strcmp(qube->type, "TemplateVM"))
		return 2;
	return qube->template_for_dispvms ? 1 : 0;
}

static void add_qubes(const struct world *world)
{
	for (int ranks = 0; ranks <= 2; ranks++) {
		bool some = false;

		for (size_t i = 0; i < world_count(world); i++) {
			const struct world_qube *qube = world_at(world, i);

			if (world_is_admin(qube) || rank(qube) != ranks)
				continue;
			add_qube(world, qube);
			some = true;
		}
		if (some)
			separator(menu.widget);
	}
}

static void fill(void)
{
	unsigned int line = 0;
	struct world *world = world_load(menu.qubes, &line);

	if (world) {
		add_qubes(world);
	} else {
		fprintf(stderr, "qube-menu: %s:%u: %s\n", menu.qubes, line, strerror(errno));
		add_note(menu.widget, "There is no list of qubes: is qube-manager running?");
	}
	add_item(menu.widget, "Terminal of dom0", icon_named("utilities-terminal"), NULL,
		 WORDS("xterm", "-T", "dom0"));
	world_destroy(world);
}

static gboolean pop_up(gpointer unused)
{
	(void)unused;
	gtk_menu_popup(GTK_MENU(menu.widget), NULL, NULL, NULL, NULL, 0, GDK_CURRENT_TIME);
	return G_SOURCE_REMOVE;
}

static int usage(FILE *to)
{
	fputs("usage: qube-menu [--qubes FILE] [--dir DIR] [--command PROGRAM]\n", to);
	return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"command", required_argument, NULL, 'c'},
					      {"dir", required_argument, NULL, 'd'},
					      {"qubes", required_argument, NULL, 'q'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "c:d:q:h", longs, NULL)) != -1)
		if (option == 'c')
			menu.command = optarg;
		else if (option == 'd')
			menu.dir = optarg;
		else if (option == 'q')
			menu.qubes = optarg;
		else if (option == 'h')
			return usage(stdout);
		else
			return usage(stderr);
	if (optind != argc)
		return usage(stderr);
	if (!gtk_init_check(NULL, NULL)) {
		fprintf(stderr, "qube-menu: the display %s cannot be opened\n",
			getenv("DISPLAY") ? getenv("DISPLAY") : "(none)");
		return 1;
	}
	menu.widget = gtk_menu_new();
	fill();
	gtk_widget_show_all(menu.widget);
	g_signal_connect(menu.widget, "selection-done", G_CALLBACK(gtk_main_quit), NULL);
	/* The key or button that has started this may still hold the pointer. */
	g_timeout_add(50, pop_up, NULL);
	gtk_main();
	return 0;
}
