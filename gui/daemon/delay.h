/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input events held back for a random time, so that a qube cannot recognise who is typing. */
#ifndef GUI_DELAY_H
#define GUI_DELAY_H

#include <stddef.h>
#include <stdint.h>

/* Longest body of an input event. */
#define DELAY_BODY_MAX 32

struct delay;

typedef int delay_send_fn(void *ctx, uint32_t type, uint32_t window, const void *body,
			  size_t length);

/* Each event leaves up to max_ms later, in order; `failed` hears of a send that did not work. */
struct delay *delay_create(unsigned int max_ms, delay_send_fn *send,
			   void (*failed)(void *ctx, int code), void *ctx);
/* What waits is lost. NULL is allowed. */
void delay_destroy(struct delay *delay);
int delay_send(struct delay *delay, uint32_t type, uint32_t window, const void *body,
	       size_t length);

#endif
