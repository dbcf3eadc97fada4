// SPDX-License-Identifier: LGPL-2.1-or-later
// Xen's devices of a stock Linux kernel (linux/include/uapi/xen; here from libxen-dev's <xen/sys/…>).
#include "internal.h"
#include "xen_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

static int open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int vchan_evtchn_open(void)
{
	return open_device("/dev/xen/evtchn");
}

static int port_of(int rc, uint32_t *ret_port)
{
	if (rc < 0)
		return -errno;
	*ret_port = (uint32_t)rc;
	return 0;
}

int vchan_evtchn_allocate(int fd, int remote, uint32_t *ret_port)
{
	struct ioctl_evtchn_bind_unbound_port op = {.remote_domain = (unsigned)remote};

	return port_of(ioctl(fd, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &op), ret_port);
}

int vchan_evtchn_bind(int fd, int remote, uint32_t remote_port, uint32_t *ret_port)
{
	struct ioctl_evtchn_bind_interdomain op = {.remote_domain = (unsigned)remote,
						   .remote_port = remote_port};

	return port_of(ioctl(fd, IOCTL_EVTCHN_BIND_INTERDOMAIN, &op), ret_port);
}

int vchan_evtchn_notify(int fd, uint32_t port)
{
	struct ioctl_evtchn_notify op = {.port = port};

	return ioctl(fd, IOCTL_EVTCHN_NOTIFY, &op) ? -errno : 0;
}

int vchan_evtchn_take(int fd, uint32_t port)
{
	uint32_t pending;
	ssize_t n;

	do
		n = read(fd, &pending, sizeof(pending));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n != sizeof(pending) || pending != port)
		return -EPROTO;
	/* The kernel masked the port when it queued the event. */
	return write(fd, &pending, sizeof(pending)) == sizeof(pending) ? 0 : -errno;
}

static int map_pages(int fd, uint64_t offset, uint32_t count, int protection, void **ret_map)
{
	void *map = mmap(NULL, (size_t)count * VCHAN_PAGE_SIZE, protection, MAP_SHARED, fd,
			 (off_t)offset);

	if (map == MAP_FAILED)
		return -errno;
	*ret_map = map;
	return 0;
}

static int grant(int fd, struct ioctl_gntalloc_alloc_gref *op,
		 const struct vchan_unmap_notice *notice, uint32_t *ret_refs, void **ret_map)
{
	struct ioctl_gntalloc_unmap_notify on_unmap = {.action = UNMAP_NOTIFY_CLEAR_BYTE |
								 UNMAP_NOTIFY_SEND_EVENT};
	void *map = NULL;
	int rc;

	if (ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, op))
		return -errno;
	rc = map_pages(fd, op->index, op->count, PROT_READ | PROT_WRITE, &map);
	if (rc)
		return rc;
	if (notice) {
		on_unmap.index = op->index + notice->offset;
		on_unmap.event_channel_port = notice->port;
		if (ioctl(fd, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &on_unmap)) {
			rc = -errno;
			munmap(map, (size_t)op->count * VCHAN_PAGE_SIZE);
			return rc;
		}
	}
	memcpy(ret_refs, op->gref_ids, op->count * sizeof(*ret_refs));
	*ret_map = map;
	return 0;
}

int vchan_pages_grant(int domain, uint32_t count, int peer_writes,
		      const struct vchan_unmap_notice *notice, uint32_t *ret_refs, void **ret_map)
{
	struct ioctl_gntalloc_alloc_gref *op;
	int fd, rc;

	op = calloc(1, sizeof(*op) + count * sizeof(op->gref_ids[0]));
	if (!op)
		return -ENOMEM;
	op->domid = (uint16_t)domain;
	op->flags = peer_writes ? GNTALLOC_FLAG_WRITABLE : 0;
	op->count = count;
	fd = open_device("/dev/xen/gntalloc");
	rc = fd < 0 ? fd : grant(fd, op, notice, ret_refs, ret_map);
	/* The mapping keeps the device open, and with it the grants. */
	if (fd >= 0)
		close(fd);
	free(op);
	return rc;
}

static int map_grants(int fd, struct ioctl_gntdev_map_grant_ref *op, int writable,
		      const struct vchan_unmap_notice *notice, void **ret_map)
{
	struct ioctl_gntdev_unmap_notify on_unmap = {.action = UNMAP_NOTIFY_CLEAR_BYTE |
							       UNMAP_NOTIFY_SEND_EVENT};
	void *map = NULL;
	int rc;

	if (ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, op))
		return -errno;
	rc = map_pages(fd, op->index, op->count, writable ? PROT_READ | PROT_WRITE : PROT_READ,
		       &map);
	if (rc)
		return rc;
	if (notice) {
		on_unmap.index = op->index + notice->offset;
		on_unmap.event_channel_port = notice->port;
		if (ioctl(fd, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &on_unmap)) {
			rc = -errno;
			munmap(map, (size_t)op->count * VCHAN_PAGE_SIZE);
			return rc;
		}
	}
	*ret_map = map;
	return 0;
}

int vchan_pages_map(int domain, const uint32_t *refs, uint32_t count, int writable,
		    const struct vchan_unmap_notice *notice, void **ret_map)
{
	struct ioctl_gntdev_map_grant_ref *op;
	uint32_t i;
	int fd, rc;

	op = calloc(1, sizeof(*op) + count * sizeof(op->refs[0]));
	if (!op)
		return -ENOMEM;
	op->count = count;
	for (i = 0; i < count; i++) {
		op->refs[i].domid = (uint32_t)domain;
		op->refs[i].ref = refs[i];
	}
	fd = open_device("/dev/xen/gntdev");
	rc = fd < 0 ? fd : map_grants(fd, op, writable, notice, ret_map);
	if (fd >= 0)
		close(fd);
	free(op);
	return rc;
}
