/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A wlroots renderer that renders nothing: it only keeps client buffers until their pixels were taken. */
#ifndef AGENT_RENDERER_H
#define AGENT_RENDERER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wlr_renderer;
struct wlr_surface;

/* Offers wl_shm buffers of the two formats that every compositor has to take, no dmabuf. NULL: no memory. */
struct wlr_renderer *renderer_create(void);
void renderer_destroy(struct wlr_renderer *renderer);

/* What a surface has committed and nobody has taken yet; valid until renderer_release(). */
struct renderer_pixels {
	const uint8_t *data;
	size_t stride;
	int width, height;
	bool opaque; /* the fourth byte of a pixel means nothing */
};

/*
 * Gives access to the buffer that was committed last. False: there is none, it was released already, or its
 * memory is gone. After it renderer_pixels_end() is due.
 */
bool renderer_pixels_begin(struct wlr_surface *surface, struct renderer_pixels *ret_pixels);
void renderer_pixels_end(struct wlr_surface *surface);

/* Gives the buffer back to the client, which may draw into it from now on. */
void renderer_release(struct wlr_surface *surface);

#endif
