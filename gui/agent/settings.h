/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What dom0 says in QubesDB about the agent's business. */
#ifndef AGENT_SETTINGS_H
#define AGENT_SETTINGS_H

struct agent;
struct settings_source;

/*
 * Waits until dom0 has said which domain shows this qube's windows, and returns that. 0, which is dom0, where there
 * is no QubesDB.
 */
int settings_gui_domain(void);
/* The keyboard layout of the user, now and whenever it changes. Nothing happens where there is no QubesDB. */
struct settings_source *settings_follow(struct agent *agent);
void settings_close(struct settings_source *source);

#endif
