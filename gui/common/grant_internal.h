/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a transport of shared pages has to do, for grant.c. */
#ifndef GUI_GRANT_INTERNAL_H
#define GUI_GRANT_INTERNAL_H

#include "grant.h"

/* Each transport's structures begin with these. */
struct gui_grants {
	const struct gui_grants_ops *ops;
	int peer;
};

struct gui_maps {
	const struct gui_maps_ops *ops;
	int owner;
	uint64_t max_pages, used_pages;
};

struct gui_grants_ops {
	void (*destroy)(struct gui_grants *grants);
	int (*attach)(struct gui_grants *grants);
	/* Allocates the structure, whose head is struct gui_buffer. */
	int (*buffer_create)(struct gui_grants *grants, uint32_t pages,
			     struct gui_buffer **ret_buffer);
	void (*buffer_destroy)(struct gui_grants *grants, struct gui_buffer *buffer);
};

struct gui_maps_ops {
	void (*destroy)(struct gui_maps *maps);
	int (*fd)(const struct gui_maps *maps);
	void (*receive)(struct gui_maps *maps);
	int (*map)(struct gui_maps *maps, const uint32_t *refs, uint32_t pages, void **ret_data);
	void (*unmap)(struct gui_maps *maps, void *data, uint32_t pages);
};

struct vchan_uri;
int gui_local_grants(const struct vchan_uri *uri, int peer, struct gui_grants **ret_grants);
int gui_local_maps(const struct vchan_uri *uri, int owner, struct gui_maps **ret_maps);
int gui_xen_grants(struct gui_grants **ret_grants);
int gui_xen_maps(struct gui_maps **ret_maps);

#endif
