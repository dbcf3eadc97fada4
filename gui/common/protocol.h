/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The GUI protocol, version 1.8 and older: messages, lengths, limits. docs/gui-protocol.md explains them. */
#ifndef GUI_PROTOCOL_H
#define GUI_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Everything on the wire is little-endian u32 or i32 without padding, or text, so that on the machines
 * we have a body is read and written by copying the structure.
 */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bodies are copied, not converted");

/* The agent offers the channel at this vchan port, the daemon is the client. */
#define GUI_PORT 6000

#define GUI_VERSION(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))
#define GUI_VERSION_OWN		  GUI_VERSION(1, 8)
#define GUI_MAJOR(version)	  ((version) >> 16)
#define GUI_MINOR(version)	  ((version)&0xffffu)

/* What a version brought, see gui_has(). */
#define GUI_SINCE_WMCLASS     GUI_VERSION(1, 1)
#define GUI_SINCE_WINDOW_DUMP GUI_VERSION(1, 2)
#define GUI_SINCE_CURSOR      GUI_VERSION(1, 3)
#define GUI_SINCE_NEGOTIATION GUI_VERSION(1, 4)
#define GUI_SINCE_DESTROY_ACK GUI_VERSION(1, 5)
#define GUI_SINCE_LENGTHS     GUI_VERSION(1, 6)
#define GUI_SINCE_DUMP_ACK    GUI_VERSION(1, 7)
#define GUI_SINCE_LARGE_CLIP  GUI_VERSION(1, 8)

enum gui_type {
	GUI_KEYPRESS = 124,
	GUI_BUTTON = 125,
	GUI_MOTION = 126,
	GUI_CROSSING = 127,
	GUI_FOCUS = 128,
	GUI_RESIZE = 129, /* obsolete, never sent by us */
	GUI_CREATE = 130,
	GUI_DESTROY = 131,
	GUI_MAP = 132,
	GUI_UNMAP = 133,
	GUI_CONFIGURE = 134,
	GUI_MFNDUMP = 135, /* deprecated, never sent by us, refused by our daemon */
	GUI_SHMIMAGE = 136,
	GUI_CLOSE = 137,
	GUI_EXECUTE = 138, /* unused */
	GUI_CLIPBOARD_REQ = 139,
	GUI_CLIPBOARD_DATA = 140, /* body: text without a terminator */
	GUI_WMNAME = 141,
	GUI_KEYMAP_NOTIFY = 142,
	GUI_DOCK = 143,
	GUI_WINDOW_HINTS = 144,
	GUI_WINDOW_FLAGS = 145,
	GUI_WMCLASS = 146,
	GUI_WINDOW_DUMP = 147,
	GUI_CURSOR = 148,
	GUI_WINDOW_DUMP_ACK = 149,
};

/* Limits that both ends know. */
#define GUI_MAX_WIDTH	  16384u
#define GUI_MAX_HEIGHT	  6144u
#define GUI_PAGE_SIZE	  4096u
#define GUI_MAX_PAGES	  (GUI_MAX_WIDTH * GUI_MAX_HEIGHT * 4u / GUI_PAGE_SIZE)
#define GUI_CLIPBOARD_OLD 65000u		     /* most bytes before 1.8 */
#define GUI_CLIPBOARD_MAX 256000u		     /* most bytes from 1.8 on */
#define GUI_CLIPBOARD_BIG (GUI_CLIPBOARD_MAX + 1u)   /* the agent's sign: there is more than that */
#define GUI_BODY_MAX	  (16u + 4u * GUI_MAX_PAGES) /* the longest body, of a WINDOW_DUMP */
#define GUI_WINDOW_SCREEN 0u /* in CLIPBOARD_*, KEYMAP_NOTIFY, CURSOR: no window */

/* Handshake, without headers: agent u32 version; daemon u32 version if that is >= 1.4; daemon this. */
struct gui_screen {
	uint32_t width, height, depth;
	uint32_t mem; /* KiB of one screen image, see gui_screen_mem() */
};

struct gui_header {
	uint32_t type;
	uint32_t window; /* the agent's number of it; 0 where none */
	uint32_t length; /* of the body, in bytes */
};

struct gui_create {
	int32_t x, y;
	uint32_t width, height;
	uint32_t parent; /* ignored */
	uint32_t override_redirect;
};

struct gui_map {
	uint32_t transient_for; /* window or 0 */
	uint32_t override_redirect;
};

struct gui_configure {
	int32_t x, y;
	uint32_t width, height;
	uint32_t override_redirect; /* ignored by the daemon */
};

/* SHMIMAGE: this rectangle of the window has new contents. */
struct gui_damage {
	int32_t x, y;
	uint32_t width, height;
};

struct gui_wmname {
	char text[128]; /* with a terminator */
};

struct gui_wmclass {
	char class_name[64], instance[64]; /* with terminators */
};

#define GUI_HINT_USER_POSITION (1u << 0)
#define GUI_HINT_POSITION      (1u << 2)
#define GUI_HINT_MIN_SIZE      (1u << 4)
#define GUI_HINT_MAX_SIZE      (1u << 5)
#define GUI_HINT_INCREMENT     (1u << 6)
#define GUI_HINT_BASE_SIZE     (1u << 8)

struct gui_hints {
	uint32_t flags;
	uint32_t min_width, min_height;
	uint32_t max_width, max_height;
	uint32_t width_inc, height_inc;
	uint32_t base_width, base_height;
};

#define GUI_FLAG_FULLSCREEN (1u << 0)
#define GUI_FLAG_ATTENTION  (1u << 1)
#define GUI_FLAG_MINIMIZE   (1u << 2)

struct gui_flags {
	uint32_t set, unset; /* without a common bit */
};

#define GUI_DUMP_GRANTS 0u /* the only type */

/* WINDOW_DUMP: followed by the references of the pages, gui_pages_of_image() or more of them. */
struct gui_dump {
	uint32_t type;
	uint32_t width, height;
	uint32_t
		bpp; /* depth: 24. A pixel has 32 bits: B, G, R, unused; a row has width * 4 bytes */
};

#define GUI_CURSOR_DEFAULT 0u
#define GUI_CURSOR_FONT	   0x100u /* + number of the glyph in X's cursor font */
#define GUI_CURSOR_END	   0x19au /* the first that is none */

struct gui_cursor {
	uint32_t id;
};

/* Values of these are those of X11: keycode = evdev code + 8, state = mask of modifiers and buttons. */
#define GUI_EVENT_PRESS	      2u /* of a key; a button: 4 */
#define GUI_EVENT_RELEASE     3u /* of a key; a button: 5 */
#define GUI_EVENT_BTN_PRESS   4u
#define GUI_EVENT_BTN_RELEASE 5u
#define GUI_EVENT_ENTER	      7u
#define GUI_EVENT_LEAVE	      8u
#define GUI_EVENT_FOCUS_IN    9u
#define GUI_EVENT_FOCUS_OUT   10u
#define GUI_DETAIL_NONLINEAR  3u /* of focus events */

struct gui_key {
	uint32_t type;
	int32_t x, y; /* of the pointer, in the window */
	uint32_t state, keycode;
};

struct gui_button {
	uint32_t type;
	int32_t x, y;
	uint32_t state,
		button; /* 1 left, 2 middle, 3 right, 4..7 wheel up, down, left, right, 8, 9 */
};

struct gui_motion {
	int32_t x, y;
	uint32_t state, is_hint;
};

struct gui_crossing {
	uint32_t type;
	int32_t x, y;
	uint32_t state, mode, detail, focus;
};

struct gui_focus {
	uint32_t type, mode, detail;
};

/* KEYMAP_NOTIFY: bit (keycode & 7) of byte (keycode >> 3) is set while the key is down. */
struct gui_keymap {
	uint8_t keys[32];
};

_Static_assert(sizeof(struct gui_screen) == 16, "protocol 1.8");
_Static_assert(sizeof(struct gui_header) == 12, "protocol 1.8");
_Static_assert(sizeof(struct gui_create) == 24, "protocol 1.8");
_Static_assert(sizeof(struct gui_map) == 8, "protocol 1.8");
_Static_assert(offsetof(struct gui_map, transient_for) == 0, "protocol 1.8");
_Static_assert(sizeof(struct gui_configure) == 20, "protocol 1.8");
_Static_assert(sizeof(struct gui_damage) == 16, "protocol 1.8");
_Static_assert(sizeof(struct gui_wmname) == 128, "protocol 1.8");
_Static_assert(sizeof(struct gui_wmclass) == 128, "protocol 1.8");
_Static_assert(sizeof(struct gui_hints) == 36, "protocol 1.8");
_Static_assert(sizeof(struct gui_flags) == 8, "protocol 1.8");
_Static_assert(sizeof(struct gui_dump) == 16, "protocol 1.8");
_Static_assert(sizeof(struct gui_cursor) == 4, "protocol 1.8");
_Static_assert(sizeof(struct gui_key) == 20, "protocol 1.8");
_Static_assert(sizeof(struct gui_button) == 20, "protocol 1.8");
_Static_assert(sizeof(struct gui_motion) == 16, "protocol 1.8");
_Static_assert(sizeof(struct gui_crossing) == 28, "protocol 1.8");
_Static_assert(sizeof(struct gui_focus) == 12, "protocol 1.8");
_Static_assert(sizeof(struct gui_keymap) == 32, "protocol 1.8");

enum gui_side {
	GUI_AGENT,  /* in the qube */
	GUI_DAEMON, /* in the GUI domain */
};

/* "CREATE" and so on; "unknown" for a number that is no message. */
const char *gui_type_name(uint32_t type);

/* True if a peer of the agreed version knows what came with `since`, one of GUI_SINCE_*. */
static inline bool gui_has(uint32_t version, uint32_t since)
{
	return version >= since;
}

/*
 * The version that two ends speak: the lower minor of the same major. 0: their majors differ. What the agent
 * announced and the daemon answered is checked with gui_version_acceptable().
 */
uint32_t gui_version_choose(uint32_t agent, uint32_t daemon);
/* For the agent: whether it can speak what the daemon chose: at least 1.4, not above its own version. */
bool gui_version_acceptable(uint32_t chosen, uint32_t own);

/*
 * How long the body of a received message is. `version` is the agreed one, `from` who sent it.
 *
 * From an agent of 1.6 or newer, and from a daemon, the header says it and has to be right. Before 1.6
 * agents filled the field with anything where the type implies the length; before 1.2 CLIPBOARD_DATA had
 * the length in the field `window`. Both are undone here: *ret_header has the true length, and the window.
 *
 * 0; -EPROTO: no such message from there, or a wrong length; -EMSGSIZE: CLIPBOARD_DATA above what the
 * version allows; -ENOENT: (from a daemon) an unknown type, to be skipped by its length; -EOPNOTSUPP: MFNDUMP.
 */
int gui_header_check(uint32_t version, enum gui_side from,
		     const struct gui_header *untrusted_header, struct gui_header *ret_header);

/* Most bytes of a CLIPBOARD_DATA, without counting GUI_CLIPBOARD_BIG. */
uint32_t gui_clipboard_max(uint32_t version);

/* Pages of an image; 0 if it is empty or larger than the maximum. */
uint32_t gui_pages_of_image(uint32_t width, uint32_t height);

/* The field mem of struct gui_screen. */
uint32_t gui_screen_mem(uint32_t width, uint32_t height);

#endif
