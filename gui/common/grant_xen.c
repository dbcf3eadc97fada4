// SPDX-License-Identifier: GPL-2.0-or-later
// Shared pages over Xen's grant devices, through libxengnttab.
#include "grant_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <xengnttab.h>

#include "protocol.h"

struct xen_grants {
	struct gui_grants base;
	xengntshr_handle *device;
};

struct xen_buffer {
	struct gui_buffer base;
	uint32_t refs[];
};

struct xen_maps {
	struct gui_maps base;
	xengnttab_handle *device;
};

static int code_of(int error, int otherwise)
{
	return error ? -error : otherwise;
}

static void grants_destroy(struct gui_grants *grants)
{
	struct xen_grants *xen = (struct xen_grants *)grants;

	xengntshr_close(xen->device);
	free(xen);
}

/* Whoever comes as the domain's daemon may map what is granted to the domain. */
static int grants_attach(struct gui_grants *grants)
{
	(void)grants;
	return 0;
}

static int buffer_create(struct gui_grants *grants, uint32_t pages, struct gui_buffer **ret_buffer)
{
	struct xen_grants *xen = (struct xen_grants *)grants;
	struct xen_buffer *buffer = malloc(sizeof(*buffer) + (size_t)pages * sizeof(uint32_t));
	int rc;

	if (!buffer)
		return -ENOMEM;
	errno = 0;
	buffer->base.data = xengntshr_share_pages(xen->device, (uint32_t)grants->peer, (int)pages,
						  buffer->refs, 0);
	if (!buffer->base.data) {
		rc = code_of(errno, -ENOSPC);
		free(buffer);
		return rc;
	}
	buffer->base.pages = pages;
	buffer->base.bytes = (size_t)pages * GUI_PAGE_SIZE;
	buffer->base.refs = buffer->refs;
	*ret_buffer = &buffer->base;
	return 0;
}

static void buffer_destroy(struct gui_grants *grants, struct gui_buffer *buffer)
{
	struct xen_grants *xen = (struct xen_grants *)grants;

	xengntshr_unshare(xen->device, buffer->data, buffer->pages);
	free(buffer);
}

static const struct gui_grants_ops grants_ops = {
	.destroy = grants_destroy,
	.attach = grants_attach,
	.buffer_create = buffer_create,
	.buffer_destroy = buffer_destroy,
};

int gui_xen_grants(struct gui_grants **ret_grants)
{
	struct xen_grants *xen = calloc(1, sizeof(*xen));
	int rc;

	if (!xen)
		return -ENOMEM;
	errno = 0;
	xen->device = xengntshr_open(NULL, 0);
	if (!xen->device) {
		rc = code_of(errno, -ENODEV);
		free(xen);
		return rc;
	}
	xen->base.ops = &grants_ops;
	*ret_grants = &xen->base;
	return 0;
}

static void maps_destroy(struct gui_maps *maps)
{
	struct xen_maps *xen = (struct xen_maps *)maps;

	xengnttab_close(xen->device);
	free(xen);
}

static int maps_fd(const struct gui_maps *maps)
{
	(void)maps;
	return -1;
}

static void maps_receive(struct gui_maps *maps)
{
	(void)maps;
}

static int map(struct gui_maps *maps, const uint32_t *refs, uint32_t pages, void **ret_data)
{
	struct xen_maps *xen = (struct xen_maps *)maps;
	void *data;

	errno = 0;
	/* The library only reads the references; its prototype does not say so. */
	data = xengnttab_map_domain_grant_refs(xen->device, pages, (uint32_t)maps->owner,
					       (uint32_t *)(uintptr_t)refs, PROT_READ);
	if (data) {
		*ret_data = data;
		return 0;
	}
	return errno == ENOMEM || errno == ENOSPC ? -errno : -EINVAL;
}

static void unmap(struct gui_maps *maps, void *data, uint32_t pages)
{
	struct xen_maps *xen = (struct xen_maps *)maps;

	xengnttab_unmap(xen->device, data, pages);
}

static const struct gui_maps_ops maps_ops = {
	.destroy = maps_destroy,
	.fd = maps_fd,
	.receive = maps_receive,
	.map = map,
	.unmap = unmap,
};

int gui_xen_maps(struct gui_maps **ret_maps)
{
	struct xen_maps *xen = calloc(1, sizeof(*xen));
	int rc;

	if (!xen)
		return -ENOMEM;
	errno = 0;
	xen->device = xengnttab_open(NULL, 0);
	if (!xen->device) {
		rc = code_of(errno, -ENODEV);
		free(xen);
		return rc;
	}
	xen->base.ops = &maps_ops;
	*ret_maps = &xen->base;
	return 0;
}
