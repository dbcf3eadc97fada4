/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A window model with a view that only takes notes, and pages that are ordinary memory. */
#ifndef GUI_NOTES_H
#define GUI_NOTES_H

#include "../../gui/daemon/model.h"

struct notes {
	struct model model;
	unsigned int sent[256]; /* messages to the agent, by type */
	unsigned int windows;	/* that the view has */
	unsigned int warnings, docks, damages, clipboards;
	uint32_t state_set, state_unset;
	struct rect area; /* where managed windows have to be: at first anywhere */
	size_t queued;
	int answer; /* of sending */
};

/* 1.8; a work area and screen of 1000 x 1000, popups up to 90 %, 50 windows, clipboard of 1000 bytes. */
void notes_init(struct notes *notes);
/* Checks that the view has lost all windows. */
void notes_finish(struct notes *notes);

#endif
