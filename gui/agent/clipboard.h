/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clipboard of the qube, towards the daemon: text only. */
#ifndef AGENT_CLIPBOARD_H
#define AGENT_CLIPBOARD_H

#include <stddef.h>

struct agent;

/* 0 or -errno. */
int clipboard_create(struct agent *agent);
void clipboard_destroy(struct agent *agent);

/* The user copies from this qube: its text is read and sent. */
void clipboard_requested(struct agent *agent);
/* The user pastes into this qube: the text becomes the selection. */
void clipboard_received(struct agent *agent, const void *text, size_t length);
/* What the owner of X11's clipboard has delivered; NULL: nothing. */
void clipboard_x11_done(struct agent *agent, const char *bytes, size_t length);
/* The daemon is gone: nobody waits for an answer. */
void clipboard_disconnected(struct agent *agent);

#endif
