/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The screen of the GUI domain, as outputs: one for each of its monitors. */
#ifndef AGENT_MONITORS_H
#define AGENT_MONITORS_H

struct agent;
struct wlr_box;

/* One output of a size that is common, until a daemon says what there is. 0 or -errno. */
int monitors_create(struct agent *agent);
void monitors_destroy(struct agent *agent);
/*
 * Follows what the service qubes.SetMonitorLayout writes. Without a directory for it, or with what is no layout, the
 * screen stays what it is; that is logged.
 */
void monitors_follow(struct agent *agent);
/* The daemon's screen is this large: its monitors are those of the last layout if that has this size, else one. */
void monitors_connected(struct agent *agent, int width, int height);
/* All of the screen: where popups have their place. */
void monitors_screen(const struct agent *agent, struct wlr_box *ret_box);

#endif
