/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program that sends the icons of windows: it is told of each window that is shown. */
#ifndef AGENT_ICONS_H
#define AGENT_ICONS_H

struct agent;
struct window;

/*
 * Starts it, with the displays in the environment. When it ends it is started anew and told of all windows, some
 * times in a row. Without it there are no icons: what goes wrong is logged.
 */
void icons_start(struct agent *agent, const char *program);
/* The daemon has come: a program that was given up is tried again. */
void icons_connected(struct agent *agent);
/* A line: the window's number, that of its X11 window (0: a Wayland client's), and its class. */
void icons_tell(struct agent *agent, const struct window *window);
void icons_finish(struct agent *agent);

#endif
