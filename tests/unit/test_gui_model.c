// SPDX-License-Identifier: GPL-2.0-or-later
// The GUI daemon without a display: the window model against a view that takes notes, settings, the clipboard.
// links: gui/daemon/model.c gui/daemon/messages.c gui/daemon/text.c qrexec/lib/characters.c gui/daemon/config.c gui/daemon/clipboard.c
// links: gui/common/protocol.c gui/common/label.c gui/common/grant.c gui/common/grant_local.c gui/common/map_local.c
// links: gui/common/grant_xen.c vchan/uri.c tests/unit/gui_notes.c
// links: qrexec/policy/eval.c qrexec/policy/load.c qrexec/policy/parse.c qrexec/policy/tokens.c qrexec/policy/world.c
// libs: -lxengnttab -lconfig
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../gui/common/label.h"
#include "../../gui/daemon/clipboard.h"
#include "../../gui/daemon/config.h"
#include "gui_notes.h"

static void clean(const char *from, size_t size, bool utf8, const char *wanted)
{
	char to[64];

	text_clean(to, sizeof(to), from, size, utf8);
	assert_string_equal(to, wanted);
}

static void test_texts(void **state)
{
	char small[4];

	(void)state;
	clean("plain ~!", 8, false, "plain ~!");
	clean("a\x01\x1b\x7f\n\tb", 7, false, "a_____b");
	clean("ends\0here", 9, false, "ends");
	clean("cut here", 3, false, "cut");
	clean("\xc3\xa4", 2, false, "__");
	clean("\xc3\xa4", 2, true, "\xc3\xa4");
	clean("\xc3", 1, true, "_");
	clean("\xc0\xaf\xe0\x80\xaf", 5, true, "_____");	   /* overlong */
	clean("\xed\xa0\x80\xf4\x90\x80\x80", 7, true, "_______"); /* surrogate, beyond Unicode */
	clean("\xe2\x80\xae\xe2\x80\x8b\xef\xbb\xbf", 9, true, "___"); /* direction, invisible */
	/* A mark of direction, a letter without a shape, an empty pattern of Braille. */
	clean("\xd8\x9c\xe3\x85\xa4\xe2\xa0\x80", 8, true, "___");
	clean("\xf0\x9f\x98\x80", 4, true, "\xf0\x9f\x98\x80");
	text_clean(small, sizeof(small), "\xc3\xa4\xc3\xa4", 4, true);
	assert_string_equal(small, "\xc3\xa4"); /* not half a character */
	text_clean(small, 1, "abc", 3, true);
	assert_string_equal(small, "");
}

static void test_rectangles(void **state)
{
	struct rect rect = {-5, -5, 10, 10};

	(void)state;
	assert_true(rect_clip(&rect, 100, 100));
	assert_true(rect.x == 0 && rect.y == 0 && rect.width == 5 && rect.height == 5);
	rect = (struct rect){90, 0, 0xffffffff, 0xffffffff};
	assert_true(rect_clip(&rect, 100, 50));
	assert_true(rect.width == 10 && rect.height == 50);
	rect = (struct rect){INT32_MIN, 0, 0x80000000u, 5};
	assert_false(rect_clip(&rect, 100, 50));
	rect = (struct rect){100, 0, 1, 1};
	assert_false(rect_clip(&rect, 100, 50));
	rect = (struct rect){0, 0, 0, 1};
	assert_false(rect_clip(&rect, 100, 50));
	rect = (struct rect){INT32_MAX, INT32_MAX, 0xffffffff, 0xffffffff};
	assert_false(rect_clip(&rect, 100, 50));
}

static int tell(struct notes *notes, uint32_t type, uint32_t window, const void *body, size_t size)
{
	struct gui_header header = {type, window, (uint32_t)size};
	uint8_t room[512] = {0};

	assert_true(size <= sizeof(room));
	if (size)
		memcpy(room, body, size);
	return model_message(&notes->model, &header, room);
}

static void create(struct notes *notes, uint32_t id, int32_t x, int32_t y, uint32_t width,
		   uint32_t height, bool override)
{
	struct gui_create body = {x, y, width, height, 0, override};
	struct gui_map map = {0, override};

	assert_int_equal(tell(notes, GUI_CREATE, id, &body, sizeof(body)), 0);
	assert_int_equal(tell(notes, GUI_MAP, id, &map, sizeof(map)), 0);
}

static void test_configure(void **state)
{
	struct notes notes;
	struct gui_configure body = {10, 20, 300, 200, 0};
	struct rect moved = {50, 60, 310, 210};
	struct window *window;

	(void)state;
	notes_init(&notes);
	create(&notes, 1, 0, 0, 100, 100, false);
	window = model_find(&notes.model, 1);
	assert_int_equal(tell(&notes, GUI_CONFIGURE, 1, &body, sizeof(body)), 0);
	assert_int_equal(window->rect.width, 300);
	assert_int_equal(notes.sent[GUI_CONFIGURE], 0);
	assert_int_equal(model_user_place(&notes.model, window, &moved), 0);
	assert_int_equal(model_user_place(&notes.model, window, &moved), 0);
	assert_int_equal(notes.sent[GUI_CONFIGURE], 1);
	/* The agent's own wish crosses it: it is told again what holds. */
	assert_int_equal(tell(&notes, GUI_CONFIGURE, 1, &body, sizeof(body)), 0);
	assert_int_equal(notes.sent[GUI_CONFIGURE], 2);
	assert_memory_equal(&window->rect, &moved, sizeof(moved));
	body = (struct gui_configure){50, 60, 310, 210, 0};
	assert_int_equal(tell(&notes, GUI_CONFIGURE, 1, &body, sizeof(body)), 0);
	assert_false(window->configure_pending);
	body.x = 1;
	assert_int_equal(tell(&notes, GUI_CONFIGURE, 1, &body, sizeof(body)), 0);
	assert_int_equal(window->rect.x, 1);
	assert_int_equal(notes.sent[GUI_CONFIGURE], 2);
	/* Limits. */
	body = (struct gui_configure){INT32_MIN, INT32_MAX, INT32_MAX, INT32_MAX, 0};
	assert_int_equal(tell(&notes, GUI_CONFIGURE, 1, &body, sizeof(body)), 0);
	assert_int_equal(window->rect.x, -16384);
	assert_int_equal(window->rect.y, 6144);
	assert_int_equal(window->rect.width, 16384);
	assert_int_equal(window->rect.height, 6144);
	notes_finish(&notes);
}

/* Whatever an agent says, the frame of its window is in sight; whatever the user does, it stays there. */
static void test_in_sight(void **state)
{
	struct gui_configure body = {-100, -100, 1480, 1200, 0};
	struct gui_hints hints = {.flags = GUI_HINT_POSITION};
	struct rect moved = {-200, 900, 300, 200};
	struct gui_map map = {0, 0};
	struct notes notes;
	struct window *window;

	(void)state;
	notes_init(&notes);
	notes.area = (struct rect){3, 28, 994, 969};
	/* Without a wish for a place the window manager looks for one, in its way. */
	create(&notes, 1, -100, 2000, 1480, 500, false);
	window = model_find(&notes.model, 1);
	assert_int_equal(notes.sent[GUI_CONFIGURE], 1);
	assert_memory_equal(&window->rect, &((struct rect){-100, 2000, 994, 500}), sizeof(moved));
	assert_int_equal(model_user_placed(&notes.model, window), 0);
	assert_int_equal(notes.sent[GUI_CONFIGURE], 2);
	assert_memory_equal(&window->rect, &((struct rect){3, 497, 994, 500}), sizeof(moved));
	assert_int_equal(model_user_placed(&notes.model, window), 0);
	assert_int_equal(notes.sent[GUI_CONFIGURE], 2);
	window->configure_pending = false;
	assert_int_equal(tell(&notes, GUI_CONFIGURE, 1, &body, sizeof(body)), 0);
	assert_memory_equal(&window->rect, &notes.area, sizeof(moved));
	assert_int_equal(notes.sent[GUI_CONFIGURE], 3);
	/* The user's place holds, also where the agent makes it smaller; it cannot grow out there. */
	assert_int_equal(model_user_place(&notes.model, window, &moved), 0);
	assert_memory_equal(&window->rect, &moved, sizeof(moved));
	window->configure_pending = false;
	body = (struct gui_configure){-200, 900, 250, 150, 0};
	assert_int_equal(tell(&notes, GUI_CONFIGURE, 1, &body, sizeof(body)), 0);
	assert_int_equal(window->rect.x, -200);
	body.width = 600;
	assert_int_equal(tell(&notes, GUI_CONFIGURE, 1, &body, sizeof(body)), 0);
	assert_memory_equal(&window->rect, &((struct rect){3, 847, 600, 150}), sizeof(moved));
	/* With a wish it is looked at before it is shown. */
	assert_int_equal(tell(&notes, GUI_CREATE, 2, &(struct gui_create){-9, -9, 50, 50, 0, 0},
			      sizeof(struct gui_create)),
			 0);
	assert_int_equal(tell(&notes, GUI_WINDOW_HINTS, 2, &hints, sizeof(hints)), 0);
	assert_int_equal(tell(&notes, GUI_MAP, 2, &map, sizeof(map)), 0);
	assert_memory_equal(&model_find(&notes.model, 2)->rect, &((struct rect){3, 28, 50, 50}),
			    sizeof(moved));
	/* A popup that grows too large becomes a window, for which the same holds. */
	create(&notes, 3, 10, 10, 500, 500, true);
	body = (struct gui_configure){-50, -50, 1100, 1100, 0};
	assert_int_equal(tell(&notes, GUI_CONFIGURE, 3, &body, sizeof(body)), 0);
	assert_false(model_find(&notes.model, 3)->override_redirect);
	assert_memory_equal(&model_find(&notes.model, 3)->rect, &notes.area, sizeof(moved));
	notes_finish(&notes);
}

static void test_popup_area(void **state)
{
	struct notes notes;

	(void)state;
	notes_init(&notes); /* work area 1000 x 1000, 90 % */
	create(&notes, 1, 0, 0, 1000, 900, true);
	assert_true(model_find(&notes.model, 1)->override_redirect);
	create(&notes, 2, 0, 0, 1, 1, true);
	assert_false(model_find(&notes.model, 2)->override_redirect);
	assert_int_equal(notes.warnings, 1);
	assert_int_equal(tell(&notes, GUI_UNMAP, 1, NULL, 0), 0);
	create(&notes, 3, 0, 0, 1000, 901, true);
	assert_false(model_find(&notes.model, 3)->override_redirect);
	create(&notes, 4, -500, 2000, 100, 100, true);
	assert_true(model_find(&notes.model, 4)->override_redirect);
	assert_int_equal(model_find(&notes.model, 4)->rect.x, 0);
	assert_int_equal(model_find(&notes.model, 4)->rect.y, 900);
	assert_int_equal(notes.sent[GUI_CONFIGURE], 1);
	notes_finish(&notes);
}

static void test_tray(void **state)
{
	struct notes notes;
	struct gui_create body = {0, 0, 24, 24, 0, 1};
	struct gui_map map = {0, 1};
	struct gui_configure configure = {5, 5, 500, 500, 0};
	struct window *window;

	(void)state;
	notes_init(&notes);
	assert_int_equal(tell(&notes, GUI_CREATE, 1, &body, sizeof(body)), 0);
	assert_int_equal(tell(&notes, GUI_DOCK, 1, NULL, 0), 0);
	window = model_find(&notes.model, 1);
	assert_true(window->docked && window->mapped && !window->override_redirect);
	assert_int_equal(notes.docks, 1);
	assert_int_equal(tell(&notes, GUI_UNMAP, 1, NULL, 0), 0);
	assert_int_equal(tell(&notes, GUI_MAP, 1, &map, sizeof(map)), 0);
	assert_true(window->mapped && !window->override_redirect);
	assert_int_equal(tell(&notes, GUI_CONFIGURE, 1, &configure, sizeof(configure)), 0);
	assert_int_equal(window->rect.width, 24);
	assert_int_equal(tell(&notes, GUI_DOCK, 1, NULL, 0), 0);
	assert_int_equal(notes.docks, 1);
	/* What is shown already cannot be docked. */
	create(&notes, 2, 0, 0, 10, 10, false);
	assert_int_equal(tell(&notes, GUI_DOCK, 2, NULL, 0), 0);
	assert_false(model_find(&notes.model, 2)->docked);
	notes_finish(&notes);
}

static void test_events(void **state)
{
	struct notes notes;
	struct gui_key key = {GUI_EVENT_PRESS, 0, 0, 0, 38};
	struct gui_button button = {GUI_EVENT_BTN_PRESS, 0, 0, 0, 1};
	struct gui_motion motion = {0, 0, 0, 0};
	struct gui_crossing crossing = {.type = GUI_EVENT_ENTER};
	uint8_t keys[32] = {[5] = 0xff};
	struct window *window;

	(void)state;
	notes_init(&notes);
	create(&notes, 1, 0, 0, 100, 100, false);
	window = model_find(&notes.model, 1);
	/* What is typed elsewhere is not told when only the pointer comes. */
	assert_int_equal(model_user_crossing(&notes.model, window, &crossing, keys), 0);
	assert_int_equal(notes.sent[GUI_KEYMAP_NOTIFY], 0);
	assert_int_equal(notes.sent[GUI_CROSSING], 1);
	assert_int_equal(model_user_focus(&notes.model, window, true, 0, 3, keys), 0);
	assert_int_equal(notes.sent[GUI_KEYMAP_NOTIFY], 1);
	memset(notes.model.pressed, 0, 32);
	assert_int_equal(model_user_key(&notes.model, window, &key), 0);
	assert_int_equal(model_user_button(&notes.model, window, &button), 0);
	key.keycode = 256;
	assert_int_equal(model_user_key(&notes.model, window, &key), 0);
	assert_int_equal(notes.sent[GUI_KEYPRESS], 1);
	/* Congestion: presses and motion are lost, releases are not. */
	notes.queued = MODEL_EVENTS_QUEUE + 1;
	key.keycode = 39;
	assert_int_equal(model_user_key(&notes.model, window, &key), 0);
	assert_int_equal(model_user_motion(&notes.model, window, &motion), 0);
	assert_int_equal(model_user_crossing(&notes.model, window, &crossing, keys), 0);
	assert_int_equal(notes.sent[GUI_KEYPRESS] + notes.sent[GUI_MOTION], 1);
	button.type = GUI_EVENT_BTN_RELEASE;
	assert_int_equal(model_user_button(&notes.model, window, &button), 0);
	assert_int_equal(notes.sent[GUI_BUTTON], 2);
	notes.queued = 0;
	/* Release: the key that is down, and no button. */
	assert_int_equal(model_user_break(&notes.model), 0);
	assert_int_equal(notes.sent[GUI_KEYPRESS], 2);
	assert_int_equal(notes.sent[GUI_BUTTON], 2);
	/* A failure to send comes through. */
	notes.answer = -EPIPE;
	assert_int_equal(model_user_close(&notes.model, window), -EPIPE);
	notes_finish(&notes);
}

static void test_elsewhere(void **state)
{
	struct notes notes;
	struct gui_button button = {GUI_EVENT_BTN_PRESS, 0, 0, 0, 1};
	struct gui_map map = {0, 1};

	(void)state;
	notes_init(&notes);
	create(&notes, 1, 0, 0, 100, 100, false);
	create(&notes, 2, 0, 0, 10, 10, true);
	assert_int_equal(tell(&notes, GUI_MAP, 2, &map, sizeof(map)), 0);
	/* A qube that the user does nothing with hears nothing of other windows. */
	assert_int_equal(model_user_elsewhere(&notes.model), 0);
	assert_int_equal(notes.sent[GUI_FOCUS], 0);
	/* Then once: a popup that stays does not make it a witness. */
	assert_int_equal(model_user_button(&notes.model, model_find(&notes.model, 1), &button), 0);
	assert_int_equal(model_user_elsewhere(&notes.model), 0);
	assert_int_equal(model_user_elsewhere(&notes.model), 0);
	assert_int_equal(notes.sent[GUI_FOCUS], 1);
	/* Without popups there is nothing to end. */
	assert_int_equal(tell(&notes, GUI_UNMAP, 2, NULL, 0), 0);
	assert_int_equal(model_user_button(&notes.model, model_find(&notes.model, 1), &button), 0);
	assert_int_equal(model_user_elsewhere(&notes.model), 0);
	assert_int_equal(notes.sent[GUI_FOCUS], 1);
	notes_finish(&notes);
}

static void test_states(void **state)
{
	struct notes notes;
	struct gui_flags flags = {GUI_FLAG_FULLSCREEN, 0};
	struct window *window;

	(void)state;
	notes_init(&notes);
	create(&notes, 1, 0, 0, 100, 100, false);
	window = model_find(&notes.model, 1);
	assert_int_equal(tell(&notes, GUI_WINDOW_FLAGS, 1, &flags, sizeof(flags)), 0);
	assert_int_equal(notes.state_set, VIEW_MAXIMIZE);
	/* Something else changes first. */
	assert_int_equal(model_user_state(&notes.model, window, 0), 0);
	assert_int_equal(notes.sent[GUI_WINDOW_FLAGS], 0);
	assert_int_equal(model_user_state(&notes.model, window, VIEW_MAXIMIZE), 0);
	assert_int_equal(notes.sent[GUI_WINDOW_FLAGS], 1);
	assert_int_equal(window->state, GUI_FLAG_FULLSCREEN);
	assert_int_equal(model_user_state(&notes.model, window, 0), 0);
	assert_int_equal(window->state, 0);
	/* The user alone: maximised is maximised. */
	assert_int_equal(model_user_state(&notes.model, window, VIEW_MAXIMIZE), 0);
	assert_int_equal(window->state, 0);
	assert_int_equal(notes.sent[GUI_WINDOW_FLAGS], 2);
	flags = (struct gui_flags){0, GUI_FLAG_MINIMIZE};
	notes.state_set = notes.state_unset = 77;
	assert_int_equal(tell(&notes, GUI_WINDOW_FLAGS, 1, &flags, sizeof(flags)), 0);
	assert_int_equal(notes.state_unset, 77); /* not the agent's to undo */
	flags = (struct gui_flags){GUI_FLAG_FULLSCREEN, GUI_FLAG_FULLSCREEN};
	assert_int_equal(tell(&notes, GUI_WINDOW_FLAGS, 1, &flags, sizeof(flags)), -EPROTO);
	notes_finish(&notes);
}

static char place[64];

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", place, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int setup(void **state)
{
	(void)state;
	strcpy(place, "/tmp/test-gui-model.XXXXXX");
	return mkdtemp(place) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", place);
	return system(command);
}

static int load(struct config *config, const char *text, const char *wanted)
{
	char path[128], *problem = NULL;
	int rc;

	write_file("guid.conf", text);
	snprintf(path, sizeof(path), "%s/guid.conf", place);
	config_defaults(config);
	rc = config_load(config, path, "work.a", &problem);
	if (wanted)
		assert_non_null(strstr(problem, wanted));
	free(problem);
	return rc;
}

static void test_config(void **state)
{
	struct config config;
	char *problem = NULL;

	(void)state;
	assert_int_equal(load(&config,
			      "global: {\n allow_fullscreen = true; # yes\n"
			      " secure_copy_sequence = \"Mod4-Shift-C\";\n"
			      " windows_count_limit = 20;\n trayicon_mode = \"tint+border2\";\n"
			      " override_redirect = \"disable\";\n};\n"
			      "VM: { other: { allow_fullscreen = false; }; };\n",
			      NULL),
			 0);
	assert_true(config.allow_fullscreen);
	assert_int_equal(config.windows_count_limit, 20);
	assert_int_equal(config.copy.modifiers, 64 | 1);
	assert_string_equal(config.copy.key, "c");
	assert_string_equal(config.paste.key, "v");
	assert_int_equal(config.trayicon_mode, TRAY_TINT_BORDER2);
	assert_false(config.override_redirect);
	assert_int_equal(load(&config, "", NULL), 0);
	assert_int_equal(config.max_clipboard_size, 64000);
	assert_int_equal(load(&config, "global: { allow_fulscreen = true; };", "is no setting"),
			 -EINVAL);
	assert_int_equal(load(&config, "\nglobal: { allow_fullscreen = 1; };",
			      ":2: allow_fullscreen"),
			 -EINVAL);
	assert_int_equal(load(&config, "global: { max_clipboard_size = 256001; };", "range"),
			 -EINVAL);
	assert_int_equal(load(&config, "global: { secure_copy_sequence = \"c\"; };", "range"),
			 -EINVAL);
	assert_int_equal(load(&config, "global = 5;", "group"), -EINVAL);
	assert_int_equal(load(&config, "global: {", ":1:"), -EINVAL);
	config_defaults(&config);
	assert_int_equal(config_load(&config, "/nowhere/at/all", "x", &problem), -ENOENT);
	assert_string_equal(problem, "/nowhere/at/all: No such file or directory");
	free(problem);
	assert_int_equal(config_load(&config, "/tmp", "x", &problem), -EISDIR);
	assert_string_equal(problem, "/tmp: Is a directory");
	free(problem);
	problem = NULL;
	assert_int_equal(config_set(&config, "windows_count_limit=7", &problem), 0);
	assert_int_equal(config.windows_count_limit, 7);
	assert_int_equal(config_set(&config, "secure_paste_sequence=none", &problem), 0);
	assert_false(config.paste.enabled);
	assert_int_equal(config_set(&config, "windows_count_limit=7x", &problem), -EINVAL);
	free(problem);
	assert_int_equal(label_color("1"), 0xcc0000);
	assert_int_equal(label_color("black"), 0);
	assert_int_equal(label_color("9"), -1);
	assert_int_equal(config_parse_color("0x12abEF"), 0x12abef);
	assert_int_equal(config_parse_color("#12abef"), 0x12abef);
	assert_int_equal(config_parse_color("12abe"), -1);
}

static void test_clipboard(void **state)
{
	struct clipboard clipboard, other;
	char source[CLIPBOARD_SOURCE_SIZE], path[128], *text = NULL;
	uint32_t length = 0;
	FILE *file;

	(void)state;
	assert_int_equal(clipboard_open(&clipboard, "/nowhere/at/all"), -ENOENT);
	assert_int_equal(clipboard_open(&clipboard, place), 0);
	assert_int_equal(clipboard_open(&other, place), 0);
	assert_false(clipboard_peek(&clipboard, source, &length));
	assert_int_equal(clipboard_store(&clipboard, "work", "secret", 6), 0);
	assert_true(clipboard_peek(&other, source, &length));
	assert_string_equal(source, "work");
	assert_int_equal(length, 6);
	/* What was looked at is not what is there any more. */
	assert_int_equal(clipboard_take(&other, "mail", &text, &length), -ENODATA);
	assert_int_equal(clipboard_take(&other, "work", &text, &length), 0);
	assert_memory_equal(text, "secret", 6);
	clipboard_forget(text, length);
	assert_int_equal(clipboard_take(&clipboard, "work", &text, &length), -ENODATA);
	snprintf(path, sizeof(path), "%s/qubes-clipboard.bin", place);
	file = fopen(path, "r");
	assert_int_equal(fgetc(file), EOF);
	fclose(file);
	/* Empty text wipes; a source that is no name counts for nothing. */
	assert_int_equal(clipboard_store(&clipboard, "work", "x", 1), 0);
	assert_int_equal(clipboard_store(&clipboard, "work", "", 0), 0);
	assert_false(clipboard_peek(&clipboard, source, &length));
	write_file("qubes-clipboard.bin", "x");
	write_file("qubes-clipboard.bin.source", "../../etc");
	assert_false(clipboard_peek(&clipboard, source, &length));
	clipboard_close(&clipboard);
	clipboard_close(&other);
}

static void test_clipboard_policy(void **state)
{
	char qubes[96], dir[96], reason[200];
	struct clipboard_policy where = {.count = 1, .legacy_dir = "/nowhere", .qubes = qubes};

	(void)state;
	snprintf(qubes, sizeof(qubes), "%s/qubes.list", place);
	snprintf(dir, sizeof(dir), "%s", place);
	where.dirs[0] = dir;
	write_file("10-a.policy", "qubes.ClipboardPaste * work vault deny\n"
				  "qubes.ClipboardPaste * mail work allow target=vault\n"
				  "qubes.ClipboardPaste * mail vault allow\n"
				  "qubes.ClipboardPaste * @anyvm @anyvm ask\n");
	/* No list of qubes: no. */
	assert_false(clipboard_allowed(&where, "work", "mail", reason, sizeof(reason)));
	write_file("qubes.list", "work domid=1\nmail domid=2\nvault domid=3\n");
	assert_true(clipboard_allowed(&where, "work", "mail", reason, sizeof(reason)));
	assert_false(clipboard_allowed(&where, "work", "vault", reason, sizeof(reason)));
	assert_true(clipboard_allowed(&where, "mail", "vault", reason, sizeof(reason)));
	/* Sent elsewhere by the policy, it is not pasted here. */
	assert_false(clipboard_allowed(&where, "mail", "work", reason, sizeof(reason)));
	assert_false(clipboard_allowed(&where, "nobody", "work", reason, sizeof(reason)));
	write_file("10-a.policy", "qubes.ClipboardPaste * work\n");
	assert_false(clipboard_allowed(&where, "work", "mail", reason, sizeof(reason)));
	assert_non_null(strstr(reason, "qrexec-policy check"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_rectangles),
		cmocka_unit_test(test_configure),
		cmocka_unit_test(test_in_sight),
		cmocka_unit_test(test_popup_area),
		cmocka_unit_test(test_tray),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_states),
		cmocka_unit_test_setup_teardown(test_config, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clipboard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clipboard_policy, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
