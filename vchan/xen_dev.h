/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xen's devices of a stock Linux kernel: event channels, pages to grant, pages granted by others. */
#ifndef VCHAN_XEN_DEV_H
#define VCHAN_XEN_DEV_H

#include <stddef.h>
#include <stdint.h>

/* All return 0 (or what is said) or -errno. */

/* A descriptor, readable when an event is pending. */
int vchan_evtchn_open(void);
int vchan_evtchn_allocate(int fd, int remote, uint32_t *ret_port);
int vchan_evtchn_bind(int fd, int remote, uint32_t remote_port, uint32_t *ret_port);
int vchan_evtchn_notify(int fd, uint32_t port);
/* Takes a pending event, sleeping for one, and lets the next one in. */
int vchan_evtchn_take(int fd, uint32_t port);

/* What the kernel does when the pages are unmapped, also because the process ends. */
struct vchan_unmap_notice {
	uint32_t offset; /* of the byte to clear, from the start of the pages */
	uint32_t port;	 /* to send an event to */
};

/*
 * Allocates `count` zeroed pages, grants them to `domain` and maps them. They are gone when they are unmapped.
 * notice: NULL for none.
 */
int vchan_pages_grant(int domain, uint32_t count, int peer_writes,
		      const struct vchan_unmap_notice *notice, uint32_t *ret_refs, void **ret_map);
/* Maps `count` pages that `domain` granted, side by side. */
int vchan_pages_map(int domain, const uint32_t *refs, uint32_t count, int writable,
		    const struct vchan_unmap_notice *notice, void **ret_map);

#endif
