/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notifications to the user. A thread of their own waits for the desktop's notification service. */
#ifndef GUI_NOTIFY_H
#define GUI_NOTIFY_H

#include <stdint.h>

/* In frames of this colour, 0xRRGGBB. 0, or -errno: then texts only go to standard error. Before rights are dropped. */
int notify_start(uint32_t color);
/* Waits until everything that was said has been handed over. */
void notify_finish(void);

/* Both texts are plain. `urgent` ones stay until they are dismissed. */
void notify_say(const char *title, const char *text, int urgent);

#endif
