/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One connection to the agent of a qube: channel, pages, model, view and clipboard put together. */
#ifndef GUI_SESSION_H
#define GUI_SESSION_H

#include "clipboard.h"
#include "config.h"

/* Codes that the process exits with; a supervisor starts it again after SESSION_LOST. */
enum session_end {
	SESSION_OVER = 0,    /* the qube's domain is gone, or the user's session is */
	SESSION_FAILED = 1,  /* could not start; standard error says why */
	SESSION_DROPPED = 3, /* the agent broke the rules */
	SESSION_LOST = 4,    /* the agent closed the connection */
	SESSION_SILENT = 5,  /* the agent did not come in time */
};

struct session_options {
	const char *uri; /* transport; NULL: from the environment */
	int domain;
	const char *name;
	uint32_t color;
	unsigned int label;
	const char *icon;
	const char *clipboard_dir;
	struct clipboard_policy policy;
	struct config config;
};

/* Initialises GTK and runs until the connection ends. */
enum session_end session_run(const struct session_options *options);

#endif
