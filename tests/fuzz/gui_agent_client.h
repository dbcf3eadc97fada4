/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Wayland client in the process of the agent that is fuzzed: two windows and a menu, which stay. */
#ifndef GUI_AGENT_CLIENT_H
#define GUI_AGENT_CLIENT_H

/* Connects by the descriptor; aborts if that fails. */
void client_start(int fd);
/* Sends what it has to say and handles what has arrived; never waits. */
void client_turn(void);
/* The next step of its start: windows when there are the globals, a menu when there are the windows. */
void client_continue(void);

#endif
