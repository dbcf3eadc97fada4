/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of one daemon: gui-daemon.conf(5), with what it says of this qube, and the command line. */
#ifndef GUI_CONFIG_H
#define GUI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A sequence of keys, "Ctrl-Shift-c". */
struct shortcut {
	bool enabled;
	unsigned int modifiers; /* mask of X11: 1 Shift, 4 Control, 8 Alt (Mod1), 64 Super (Mod4) */
	char key[32];		/* name of the keysym, lower case if it is a letter */
};

enum tray_mode {
	TRAY_BACKGROUND, /* "bg": the icon stands on a field of the colour */
	TRAY_BORDER1,	 /* a frame of one pixel */
	TRAY_BORDER2,	 /* of two */
	TRAY_TINT,	 /* the icon itself takes the colour; also "tint+border1", "tint+border2" */
	TRAY_TINT_BORDER1,
	TRAY_TINT_BORDER2,
};

struct config {
	bool allow_fullscreen;
	bool override_redirect; /* "allow" or "disable" */
	bool override_redirect_protection;
	unsigned int override_percent;
	bool allow_utf8_titles;
	struct shortcut copy, paste, fullscreen, release;
	unsigned int windows_count_limit;
	enum tray_mode trayicon_mode;
	unsigned int startup_timeout;  /* seconds */
	uint32_t max_clipboard_size;   /* bytes */
	unsigned int events_max_delay; /* milliseconds */
	unsigned int keyboard_rest;    /* milliseconds; see guid.conf(5) */
	unsigned int frame_width;      /* pixels of the frame around windows */
	int log_level;
};

void config_defaults(struct config *config);

/*
 * Reads `path`: what "global" says, then what "VM" says of the qube `name`. 0; -ENOENT: there is no such
 * file; -EINVAL: then *ret_problem has line and words, to be freed.
 */
int config_load(struct config *config, const char *path, const char *name, char **ret_problem);

/* One setting as a text, "allow_fullscreen=true". 0 or -EINVAL with *ret_problem. */
int config_set(struct config *config, const char *assignment, char **ret_problem);

/* "Ctrl-Shift-c", "none". False: not understood. */
bool config_parse_shortcut(const char *text, struct shortcut *ret_shortcut);

/* "0xRRGGBB" or "#RRGGBB"; -1: not understood. */
int32_t config_parse_color(const char *text);

#endif
