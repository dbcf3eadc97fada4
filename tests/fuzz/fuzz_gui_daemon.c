// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: the stream of an agent, through the checks of headers into the daemon's window model. The first byte
// is the agent's minor version, the second chooses settings; then come messages, between which the user acts.
// links: gui/daemon/model.c gui/daemon/messages.c gui/daemon/text.c qrexec/lib/characters.c gui/common/protocol.c gui/common/grant.c
// links: gui/common/grant_local.c gui/common/map_local.c gui/common/grant_xen.c vchan/uri.c tests/unit/gui_notes.c
// libs: -lxengnttab
#include <stdlib.h>
#include <string.h>

#include "../unit/gui_notes.h"

/* What the user does to some window, chosen by the message that came before. */
static void act(struct notes *notes, uint32_t choice)
{
	struct window *window = model_find(&notes->model, choice % 8);
	struct rect rect = {(int32_t)(choice & 63), 5, choice % 300 + 1, choice % 200 + 1};
	struct gui_key key = {GUI_EVENT_PRESS, 0, 0, 0, choice & 255};
	uint8_t keys[32] = {0};

	if (!window || window->id == GUI_WINDOW_SCREEN)
		return;
	switch (choice >> 8 & 7) {
	case 0:
		model_user_place(&notes->model, window, &rect);
		break;
	case 1:
		model_user_state(&notes->model, window, choice >> 11);
		break;
	case 2:
		model_user_copy(&notes->model, window);
		break;
	case 3:
		model_user_break(&notes->model);
		break;
	case 4:
		model_user_focus(&notes->model, window, choice & 1, 0, 3, keys);
		break;
	default:
		model_user_key(&notes->model, window, &key);
		break;
	}
}

static size_t one_message(struct notes *notes, const uint8_t *data, size_t size)
{
	struct gui_header untrusted, header;
	uint8_t *body;
	int rc;

	if (size < sizeof(untrusted))
		return 0;
	memcpy(&untrusted, data, sizeof(untrusted));
	if (gui_header_check(notes->model.version, GUI_AGENT, &untrusted, &header))
		return 0;
	size -= sizeof(untrusted);
	if (header.length > size)
		return 0;
	/* Exactly as long, so that reading beyond it is seen. */
	body = malloc(header.length + !header.length);
	if (!body)
		return 0;
	if (header.length)
		memcpy(body, data + sizeof(untrusted), header.length);
	rc = model_message(&notes->model, &header, body);
	if (rc && !notes->model.problem)
		abort();
	free(body);
	return rc ? 0 : sizeof(untrusted) + header.length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct notes notes;
	size_t at = 2, used;

	if (size < 2)
		return 0;
	notes_init(&notes);
	notes.model.version = GUI_VERSION(1, data[0] % 9);
	notes.model.limits.fullscreen = data[1] & 1;
	notes.model.limits.utf8_titles = data[1] & 2;
	notes.model.limits.override_allowed = !(data[1] & 4);
	while ((used = one_message(&notes, data + at, size - at)) > 0) {
		at += used;
		act(&notes, (uint32_t)data[at - 1] | (uint32_t)data[at - used] << 8 |
				    (uint32_t)data[at - used + 4] << 3);
	}
	notes_finish(&notes);
	return 0;
}
