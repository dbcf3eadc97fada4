// SPDX-License-Identifier: GPL-2.0-or-later
// Shared pages: the choice of the transport, and the limits that all of them have.
#include "grant_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "../../vchan/internal.h"
#include "protocol.h"

int gui_grants_create(const char *uri, int peer, struct gui_grants **ret_grants)
{
	struct gui_grants *grants = NULL;
	struct vchan_uri where;
	int rc = vchan_uri_parse(uri, &where);

	if (!rc && (peer < 0 || peer > (int)VCHAN_DOMAIN_MAX))
		rc = -EINVAL;
	if (!rc)
		rc = where.local ? gui_local_grants(&where, peer, &grants)
				 : gui_xen_grants(&grants);
	if (rc)
		return rc;
	grants->peer = peer;
	*ret_grants = grants;
	return 0;
}

void gui_grants_destroy(struct gui_grants *grants)
{
	if (grants)
		grants->ops->destroy(grants);
}

int gui_grants_attach(struct gui_grants *grants)
{
	return grants->ops->attach(grants);
}

int gui_buffer_create(struct gui_grants *grants, uint32_t pages, struct gui_buffer **ret_buffer)
{
	if (!pages || pages > GUI_MAX_PAGES)
		return -EINVAL;
	return grants->ops->buffer_create(grants, pages, ret_buffer);
}

void gui_buffer_destroy(struct gui_grants *grants, struct gui_buffer *buffer)
{
	if (buffer)
		grants->ops->buffer_destroy(grants, buffer);
}

int gui_maps_create(const char *uri, int owner, uint64_t max_pages, struct gui_maps **ret_maps)
{
	struct gui_maps *maps = NULL;
	struct vchan_uri where;
	int rc = vchan_uri_parse(uri, &where);

	if (!rc && (owner < 0 || owner > (int)VCHAN_DOMAIN_MAX))
		rc = -EINVAL;
	if (!rc)
		rc = where.local ? gui_local_maps(&where, owner, &maps) : gui_xen_maps(&maps);
	if (rc)
		return rc;
	maps->owner = owner;
	maps->max_pages = max_pages;
	maps->used_pages = 0;
	*ret_maps = maps;
	return 0;
}

void gui_maps_destroy(struct gui_maps *maps)
{
	if (maps)
		maps->ops->destroy(maps);
}

int gui_maps_fd(const struct gui_maps *maps)
{
	return maps->ops->fd(maps);
}

void gui_maps_receive(struct gui_maps *maps)
{
	maps->ops->receive(maps);
}

int gui_mapping_create(struct gui_maps *maps, const uint32_t *untrusted_refs, uint32_t pages,
		       struct gui_mapping **ret_mapping)
{
	struct gui_mapping *mapping;
	void *data;
	int rc;

	if (!pages || pages > GUI_MAX_PAGES)
		return -EINVAL;
	if (pages > maps->max_pages - maps->used_pages)
		return -EDQUOT;
	mapping = malloc(sizeof(*mapping));
	if (!mapping)
		return -ENOMEM;
	rc = maps->ops->map(maps, untrusted_refs, pages, &data);
	if (rc) {
		free(mapping);
		return rc;
	}
	mapping->data = data;
	mapping->pages = pages;
	maps->used_pages += pages;
	*ret_mapping = mapping;
	return 0;
}

void gui_mapping_destroy(struct gui_maps *maps, struct gui_mapping *mapping)
{
	if (!mapping)
		return;
	maps->ops->unmap(maps, (void *)(uintptr_t)mapping->data, mapping->pages);
	maps->used_pages -= mapping->pages;
	free(mapping);
}
