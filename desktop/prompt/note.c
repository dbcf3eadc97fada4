// SPDX-License-Identifier: GPL-2.0-or-later
// Notifications of calls, through the session's service for them.
#include "note.h"

#include <libnotify/notify.h>
#include <string.h>

static const char *title_of(const struct question *note)
{
	if (!strcmp(note->resolution, "allow"))
		return "A call was allowed";
	return strcmp(note->resolution, "fail") ? "A call was refused" : "A call has failed";
}

bool note_show(const struct question *note, char **ret_text)
{
	const char *plus = *note->argument ? "+" : "";
	const char *target = *note->target ? note->target : "@default";
	NotifyNotification *notification;
	char *text, *body;
	bool done = false;

	/* A qube has chosen the argument, and how long it is. */
	text = g_strdup_printf("%s: %s: %.100s%s%.100s", note->source, target, note->service, plus,
			       note->argument);
	body = g_markup_escape_text(text, -1);
	if (notify_init("qrexec")) {
		notification = notify_notification_new(title_of(note), body, "dialog-information");
		done = notify_notification_show(notification, NULL);
		g_object_unref(notification);
		notify_uninit();
	}
	g_free(body);
	*ret_text = g_strdup_printf("%s: %s", title_of(note), text);
	g_free(text);
	return done;
}
