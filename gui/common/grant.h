/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Window images that the agent shares page by page and the daemon maps read-only. Two transports, one interface. */
#ifndef GUI_GRANT_H
#define GUI_GRANT_H

#include <stddef.h>
#include <stdint.h>

/*
 * The transport is chosen like that of libvchan, by the same text (NULL: from the environment):
 *
 * "xen:" pages come from /dev/xen/gntalloc and are mapped through /dev/xen/gntdev; a reference is a grant
 * reference. Limits: gntalloc.limit pages in the qube (ENOSPC), its grant frames.
 *
 * "local:DIRECTORY?domain=N" a buffer is a memfd, sealed against changes of its size. The daemon listens on a
 * socket DIRECTORY/gui.OWNER.PEER.sock before it connects to the agent (OWNER: the agent's domain, PEER: the
 * daemon's); the agent connects when the channel is up and sends each memfd before the WINDOW_DUMP that names it. A
 * reference is the number of the buffer << GUI_LOCAL_PAGE_BITS | the page. So the daemon never asks and never waits.
 */
#define GUI_LOCAL_PAGE_BITS 17

/* Agent: the source of buffers. Not thread-safe; independent of other ones. */
struct gui_grants;

/*
 * Buffers will be readable by the domain `peer`. 0 or -errno: EINVAL a bad URI, what open() says about
 * /dev/xen/gntalloc. Buffers can be created at once, whether or not there is a peer.
 */
int gui_grants_create(const char *uri, int peer, struct gui_grants **ret_grants);
/* All buffers have to be gone before. NULL is allowed. */
void gui_grants_destroy(struct gui_grants *grants);

/*
 * To be called each time that a daemon has connected (the screen record has arrived), before the first
 * WINDOW_DUMP: makes the buffers that exist known to it. 0 or -errno: ECONNREFUSED, ENOENT the daemon's socket is
 * not there. Nothing to do over "xen:".
 */
int gui_grants_attach(struct gui_grants *grants);

struct gui_buffer {
	void *data;   /* page-aligned, zeroed, readable and writable */
	size_t bytes; /* pages * GUI_PAGE_SIZE */
	uint32_t pages;
	const uint32_t *refs; /* one per page, as WINDOW_DUMP has them */
};

/*
 * 0 or -errno: ENOSPC, ENOMEM there is no more of what it takes (that costs this window, not the session);
 * EINVAL pages is 0 or above GUI_MAX_PAGES. EPIPE is not reported: the loss of the daemon is seen in the channel.
 */
int gui_buffer_create(struct gui_grants *grants, uint32_t pages, struct gui_buffer **ret_buffer);
/*
 * Ends the sharing; what the daemon has mapped stays valid for it. From 1.7 on to be called only after the
 * WINDOW_DUMP_ACK of the *next* dump of that window, or after its DESTROY. NULL is allowed.
 */
void gui_buffer_destroy(struct gui_grants *grants, struct gui_buffer *buffer);

/* Daemon: what maps pages of one qube. */
struct gui_maps;

/*
 * For pages of the domain `owner`. To be called before the channel is connected and before rights are dropped.
 * 0 or -errno. max_pages limits the sum of all mappings.
 */
int gui_maps_create(const char *uri, int owner, uint64_t max_pages, struct gui_maps **ret_maps);
/* All mappings have to be gone before. NULL is allowed. */
void gui_maps_destroy(struct gui_maps *maps);

/* A descriptor to poll for reading, then gui_maps_receive(); -1: there is none. */
int gui_maps_fd(const struct gui_maps *maps);
/* Takes the buffers that have arrived. Never waits. */
void gui_maps_receive(struct gui_maps *maps);

struct gui_mapping {
	const volatile void *data; /* the owner may write at any time: read each byte once */
	uint32_t pages;
};

/*
 * Maps pages in the order of the references. 0 or -errno: EINVAL a reference that is none (also what the
 * hypervisor says of it), EDQUOT above max_pages, ENOMEM. A mapping stays readable whatever its owner does.
 */
int gui_mapping_create(struct gui_maps *maps, const uint32_t *untrusted_refs, uint32_t pages,
		       struct gui_mapping **ret_mapping);
/* NULL is allowed. */
void gui_mapping_destroy(struct gui_maps *maps, struct gui_mapping *mapping);

#endif
