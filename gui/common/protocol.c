// SPDX-License-Identifier: GPL-2.0-or-later
// The table of messages, and what a header may say.
#include "protocol.h"

#include <errno.h>

#define FIRST	 124u
#define NEVER	 0xffffffffu /* not sent by this side */
#define VARIABLE 0xfffffffeu

/* Lengths of bodies by sender, in the order of the numbers. */
static const struct message {
	const char *name;
	uint32_t agent, daemon;
} messages[] = {
	[GUI_KEYPRESS - FIRST] = {"KEYPRESS", NEVER, sizeof(struct gui_key)},
	[GUI_BUTTON - FIRST] = {"BUTTON", NEVER, sizeof(struct gui_button)},
	[GUI_MOTION - FIRST] = {"MOTION", NEVER, sizeof(struct gui_motion)},
	[GUI_CROSSING - FIRST] = {"CROSSING", NEVER, sizeof(struct gui_crossing)},
	[GUI_FOCUS - FIRST] = {"FOCUS", NEVER, sizeof(struct gui_focus)},
	[GUI_RESIZE - FIRST] = {"RESIZE", NEVER, 8},
	[GUI_CREATE - FIRST] = {"CREATE", sizeof(struct gui_create), NEVER},
	[GUI_DESTROY - FIRST] = {"DESTROY", 0, 0},
	[GUI_MAP - FIRST] = {"MAP", sizeof(struct gui_map), sizeof(struct gui_map)},
	[GUI_UNMAP - FIRST] = {"UNMAP", 0, NEVER},
	[GUI_CONFIGURE -
		FIRST] = {"CONFIGURE", sizeof(struct gui_configure), sizeof(struct gui_configure)},
	[GUI_MFNDUMP - FIRST] = {"MFNDUMP", VARIABLE, NEVER},
	[GUI_SHMIMAGE - FIRST] = {"SHMIMAGE", sizeof(struct gui_damage), NEVER},
	[GUI_CLOSE - FIRST] = {"CLOSE", NEVER, 0},
	[GUI_EXECUTE - FIRST] = {"EXECUTE", NEVER, 255},
	[GUI_CLIPBOARD_REQ - FIRST] = {"CLIPBOARD_REQ", NEVER, 0},
	[GUI_CLIPBOARD_DATA - FIRST] = {"CLIPBOARD_DATA", VARIABLE, VARIABLE},
	[GUI_WMNAME - FIRST] = {"WMNAME", sizeof(struct gui_wmname), NEVER},
	[GUI_KEYMAP_NOTIFY - FIRST] = {"KEYMAP_NOTIFY", NEVER, sizeof(struct gui_keymap)},
	[GUI_DOCK - FIRST] = {"DOCK", 0, NEVER},
	[GUI_WINDOW_HINTS - FIRST] = {"WINDOW_HINTS", sizeof(struct gui_hints), NEVER},
	[GUI_WINDOW_FLAGS -
		FIRST] = {"WINDOW_FLAGS", sizeof(struct gui_flags), sizeof(struct gui_flags)},
	[GUI_WMCLASS - FIRST] = {"WMCLASS", sizeof(struct gui_wmclass), NEVER},
	[GUI_WINDOW_DUMP - FIRST] = {"WINDOW_DUMP", VARIABLE, NEVER},
	[GUI_CURSOR - FIRST] = {"CURSOR", sizeof(struct gui_cursor), NEVER},
	[GUI_WINDOW_DUMP_ACK - FIRST] = {"WINDOW_DUMP_ACK", NEVER, 0},
};

#define MESSAGES (sizeof(messages) / sizeof(messages[0]))

static const struct message *lookup(uint32_t type)
{
	uint32_t index = type - FIRST;

	return index < MESSAGES ? &messages[index] : NULL;
}

const char *gui_type_name(uint32_t type)
{
	const struct message *message = lookup(type);

	return message ? message->name : "unknown";
}

uint32_t gui_version_choose(uint32_t agent, uint32_t daemon)
{
	if (GUI_MAJOR(agent) != GUI_MAJOR(daemon))
		return 0;
	return agent < daemon ? agent : daemon;
}

bool gui_version_acceptable(uint32_t chosen, uint32_t own)
{
	return GUI_MAJOR(chosen) == GUI_MAJOR(own) && chosen >= GUI_SINCE_NEGOTIATION &&
	       chosen <= own;
}

uint32_t gui_clipboard_max(uint32_t version)
{
	return gui_has(version, GUI_SINCE_LARGE_CLIP) ? GUI_CLIPBOARD_MAX : GUI_CLIPBOARD_OLD;
}

static int check_clipboard(uint32_t version, enum gui_side from, struct gui_header *header)
{
	uint32_t max = gui_clipboard_max(version);

	if (from == GUI_AGENT && !gui_has(version, GUI_SINCE_WINDOW_DUMP)) {
		header->length = header->window;
		header->window = GUI_WINDOW_SCREEN;
	}
	if (from == GUI_AGENT && gui_has(version, GUI_SINCE_LARGE_CLIP))
		max = GUI_CLIPBOARD_BIG;
	return header->length <= max ? 0 : -EMSGSIZE;
}

/* The images of agents before 1.2 are frames by number: only a daemon with all rights could map those. */
static int check_variable(uint32_t version, enum gui_side from, struct gui_header *header)
{
	switch (header->type) {
	case GUI_CLIPBOARD_DATA:
		return check_clipboard(version, from, header);
	case GUI_WINDOW_DUMP:
		if (header->length < sizeof(struct gui_dump) || header->length > GUI_BODY_MAX ||
		    header->length % sizeof(uint32_t))
			return -EPROTO;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

int gui_header_check(uint32_t version, enum gui_side from,
		     const struct gui_header *untrusted_header, struct gui_header *ret_header)
{
	struct gui_header header = *untrusted_header;
	const struct message *message = lookup(header.type);
	uint32_t length = NEVER;
	int rc = 0;

	if (message)
		length = from == GUI_AGENT ? message->agent : message->daemon;
	if (length == NEVER)
		return from == GUI_DAEMON ? -ENOENT : -EPROTO;
	if (length == VARIABLE)
		rc = check_variable(version, from, &header);
	else if (from == GUI_AGENT && !gui_has(version, GUI_SINCE_LENGTHS))
		header.length = length;
	else if (header.length != length)
		rc = -EPROTO;
	if (!rc)
		*ret_header = header;
	return rc;
}

uint32_t gui_pages_of_image(uint32_t width, uint32_t height)
{
	uint64_t bytes = (uint64_t)width * height * 4;

	if (!width || !height || width > GUI_MAX_WIDTH || height > GUI_MAX_HEIGHT)
		return 0;
	return (uint32_t)((bytes + GUI_PAGE_SIZE - 1) / GUI_PAGE_SIZE);
}

uint32_t gui_screen_mem(uint32_t width, uint32_t height)
{
	return (uint32_t)((uint64_t)width * height * 4 / 1024 + 1);
}
