// SPDX-License-Identifier: GPL-2.0-or-later
// Settings from QubesDB: the GUI domain, and the keyboard layout, which may change at any time.
#include "settings.h"
#include "agent.h"
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../qubesdb/qubesdb-client.h"

#define KEY_DOMAIN "/qubes-gui-domain-xid"
#define KEY_LAYOUT "/keyboard-layout"
#define DOMAIN_MAX 0x7fef /* the first reserved domain is 0x7ff0 */

struct settings_source {
	struct agent *agent;
	qdb_handle_t database;
	struct wl_event_source *event;
};

static bool parse_domain(const char *text, int *ret_domain)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < 0 || value > DOMAIN_MAX)
		return false;
	*ret_domain = (int)value;
	return true;
}

int settings_gui_domain(void)
{
	qdb_handle_t database = qdb_open(NULL);
	int domain = 0;

	if (!database)
		return 0;
	if (qdb_watch(database, KEY_DOMAIN)) {
		char *path;

		for (;;) {
			char *text = qdb_read(database, KEY_DOMAIN, NULL);
			bool good = text && parse_domain(text, &domain);

			free(text);
			if (good)
				break;
			path = qdb_read_watch(database);
			if (!path)
				break;
			free(path);
		}
	}
	qdb_close(database);
	return domain;
}

static void apply_layout(struct settings_source *source)
{
	char *layout = qdb_read(source->database, KEY_LAYOUT, NULL);

	if (layout && *layout && input_set_layout(source->agent, layout))
		agent_log("there is no keyboard layout \"%s\"; the old one stays", layout);
	free(layout);
}

static int handle_event(int fd, uint32_t mask, void *data)
{
	struct settings_source *source = data;

	(void)fd;
	(void)mask;
	do {
		char *path = qdb_read_watch(source->database);

		if (!path) {
			/* Its daemon is gone. The layout stays; asking again and again would not bring it back. */
			agent_log(
				"QubesDB: %s; changes of the keyboard layout are not seen any more",
				strerror(errno));
			wl_event_source_remove(source->event);
			source->event = NULL;
			return 0;
		}
		free(path);
	} while (qdb_watch_pending(source->database));
	apply_layout(source);
	return 0;
}

struct settings_source *settings_follow(struct agent *agent)
{
	struct settings_source *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	source->agent = agent;
	source->database = qdb_open(NULL);
	if (!source->database) {
		free(source);
		return NULL;
	}
	if (qdb_watch(source->database, KEY_LAYOUT))
		source->event = wl_event_loop_add_fd(agent->loop, qdb_watch_fd(source->database),
						     WL_EVENT_READABLE, handle_event, source);
	apply_layout(source);
	return source;
}

void settings_close(struct settings_source *source)
{
	if (!source)
		return;
	if (source->event)
		wl_event_source_remove(source->event);
	qdb_close(source->database);
	free(source);
}
