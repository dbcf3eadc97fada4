// SPDX-License-Identifier: GPL-2.0-or-later
// The renderer that renders nothing. wlroots wants one to turn client buffers into textures; ours are only locks.
#include "renderer.h"

#include <stdlib.h>

#include <drm_fourcc.h>
#include <wlr/render/interface.h>
#include <wlr/types/wlr_buffer.h>
#include <wlr/types/wlr_surface.h>

struct texture {
	struct wlr_texture base;
	struct wlr_buffer *source; /* locked; NULL once it was released */
	bool opaque;
};

static bool texture_is_opaque(struct wlr_texture *base)
{
	struct texture *texture = wl_container_of(base, texture, base);

	return texture->opaque;
}

static void texture_release(struct texture *texture)
{
	struct wlr_buffer *source = texture->source;

	texture->source = NULL;
	wlr_buffer_unlock(source);
}

static void texture_destroy(struct wlr_texture *base)
{
	struct texture *texture = wl_container_of(base, texture, base);

	texture_release(texture);
	free(texture);
}

static const struct wlr_texture_impl texture_impl = {
	.is_opaque = texture_is_opaque,
	.destroy = texture_destroy,
};

static struct wlr_texture *texture_from_buffer(struct wlr_renderer *renderer,
					       struct wlr_buffer *buffer)
{
	struct texture *texture;
	uint32_t format;
	size_t stride;
	void *data;

	(void)renderer;
	if (!wlr_buffer_begin_data_ptr_access(buffer, WLR_BUFFER_DATA_PTR_ACCESS_READ, &data,
					      &format, &stride))
		return NULL;
	wlr_buffer_end_data_ptr_access(buffer);
	texture = calloc(1, sizeof(*texture));
	if (!texture)
		return NULL;
	wlr_texture_init(&texture->base, &texture_impl, (uint32_t)buffer->width,
			 (uint32_t)buffer->height);
	texture->opaque = format == DRM_FORMAT_XRGB8888;
	texture->source = wlr_buffer_lock(buffer);
	return &texture->base;
}

static const uint32_t *shm_formats(struct wlr_renderer *renderer, size_t *length)
{
	static const uint32_t formats[] = {DRM_FORMAT_ARGB8888, DRM_FORMAT_XRGB8888};

	(void)renderer;
	*length = sizeof(formats) / sizeof(formats[0]);
	return formats;
}

static uint32_t render_buffer_caps(struct wlr_renderer *renderer)
{
	(void)renderer;
	return WLR_BUFFER_CAP_DATA_PTR;
}

/* wlroots insists on these; nothing calls them, as no output is ever rendered. */
static void no_begin(struct wlr_renderer *renderer, uint32_t width, uint32_t height)
{
	(void)renderer;
	(void)width;
	(void)height;
}

static void no_clear(struct wlr_renderer *renderer, const float color[static 4])
{
	(void)renderer;
	(void)color;
}

static void no_scissor(struct wlr_renderer *renderer, struct wlr_box *box)
{
	(void)renderer;
	(void)box;
}

static bool no_texture(struct wlr_renderer *renderer, struct wlr_texture *texture,
		       const struct wlr_fbox *box, const float matrix[static 9], float alpha)
{
	(void)renderer;
	(void)texture;
	(void)box;
	(void)matrix;
	(void)alpha;
	return false;
}

static void no_quad(struct wlr_renderer *renderer, const float color[static 4],
		    const float matrix[static 9])
{
	(void)renderer;
	(void)color;
	(void)matrix;
}

static void destroy(struct wlr_renderer *renderer)
{
	free(renderer);
}

static const struct wlr_renderer_impl renderer_impl = {
	.begin = no_begin,
	.clear = no_clear,
	.scissor = no_scissor,
	.render_subtexture_with_matrix = no_texture,
	.render_quad_with_matrix = no_quad,
	.get_shm_texture_formats = shm_formats,
	.get_render_buffer_caps = render_buffer_caps,
	.texture_from_buffer = texture_from_buffer,
	.destroy = destroy,
};

struct wlr_renderer *renderer_create(void)
{
	struct wlr_renderer *renderer = calloc(1, sizeof(*renderer));

	if (renderer)
		wlr_renderer_init(renderer, &renderer_impl);
	return renderer;
}

void renderer_destroy(struct wlr_renderer *renderer)
{
	wlr_renderer_destroy(renderer);
}

static struct texture *texture_of(struct wlr_surface *surface)
{
	struct wlr_texture *base = wlr_surface_get_texture(surface);
	struct texture *texture;

	if (!base)
		return NULL;
	return wl_container_of(base, texture, base);
}

bool renderer_pixels_begin(struct wlr_surface *surface, struct renderer_pixels *ret_pixels)
{
	struct texture *texture = texture_of(surface);
	uint32_t format;
	size_t stride;
	void *data;

	if (!texture || !texture->source)
		return false;
	if (!wlr_buffer_begin_data_ptr_access(texture->source, WLR_BUFFER_DATA_PTR_ACCESS_READ,
					      &data, &format, &stride))
		return false;
	*ret_pixels = (struct renderer_pixels){.data = data,
					       .stride = stride,
					       .width = texture->source->width,
					       .height = texture->source->height,
					       .opaque = texture->opaque};
	return true;
}

void renderer_pixels_end(struct wlr_surface *surface)
{
	wlr_buffer_end_data_ptr_access(texture_of(surface)->source);
}

void renderer_release(struct wlr_surface *surface)
{
	struct texture *texture = texture_of(surface);

	if (texture)
		texture_release(texture);
}
