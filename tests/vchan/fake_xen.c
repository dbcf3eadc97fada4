// SPDX-License-Identifier: GPL-2.0-or-later
// Event channels and grants of the Linux devices, faked under open, ioctl, mmap, munmap, write and close.
#define _GNU_SOURCE
#include "fake_xen.h"
#include "fake_xenstore.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#define PAGE	    4096u
#define MAX_FILES   1024
#define MAX_PORTS   256
#define MAX_GRANTS  8192
#define MAX_REGIONS 1024
#define MAX_MAPS    1024

enum kind {
	NONE,
	EVTCHN,
	GNTALLOC,
	GNTDEV
};

static struct file {
	enum kind kind;
	int domain;
	int kernel;	 /* EVTCHN: the other end of the socket pair */
	unsigned serial; /* of this open */
} files[MAX_FILES];

static struct port {
	bool used, masked, pending;
	int domain, remote, file;
	uint32_t number, remote_port; /* 0: unbound */
} ports[MAX_PORTS];

static struct grant {
	bool used, writable;
	int domain, to;
	unsigned serial; /* of the open that made it */
	int memory;	 /* a descriptor of our own, for all grants of a call */
	bool closes;	 /* the one that ends it */
	off_t offset;
} grants[MAX_GRANTS];

/* gntdev: what an index stands for. */
static struct map {
	bool used;
	unsigned serial;
	int domain;
	uint32_t count, refs[1100];
} maps[MAX_MAPS];

static struct region {
	uint8_t *start;
	size_t size;
	int domain;
	unsigned serial;
	uint64_t index;
	enum kind kind;
	uint32_t notify_offset, notify_port, action;
} regions[MAX_REGIONS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local int self;
static uint32_t next_port = 5;
static unsigned long notifications, timers;
static unsigned serials;

int __real_open(const char *path, int flags, ...);
int __real___open_2(const char *path, int flags);
int __real_ioctl(int fd, unsigned long request, ...);
void *__real_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *addr, size_t size);
int __real_close(int fd);
ssize_t __real_write(int fd, const void *data, size_t size);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old);

int __wrap_open(const char *path, int flags, ...);
int __wrap___open_2(const char *path, int flags);
int __wrap_ioctl(int fd, unsigned long request, ...);
void *__wrap_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *addr, size_t size);
int __wrap_close(int fd);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old);

void fake_xen_become(int domain)
{
	self = domain;
	fake_xenstore_name(domain);
}

static struct port *find_port(int domain, uint32_t number)
{
	for (int i = 0; i < MAX_PORTS; i++)
		if (ports[i].used && ports[i].domain == domain && ports[i].number == number)
			return &ports[i];
	return NULL;
}

/* The device masks a port when it queues its event; the write of the number unmasks it. */
static void deliver(struct port *p)
{
	if (p->masked) {
		p->pending = true;
		return;
	}
	p->masked = true;
	if (__real_write(files[p->file].kernel, &p->number, sizeof(p->number)) < 0)
		abort();
}

static int notify(int domain, uint32_t number)
{
	struct port *p = find_port(domain, number), *peer;

	if (!p)
		return -ENOTCONN;
	notifications++;
	peer = p->remote_port ? find_port(p->remote, p->remote_port) : NULL;
	if (peer)
		deliver(peer);
	return 0;
}

static int new_port(int fd, int remote, uint32_t remote_port)
{
	for (int i = 0; i < MAX_PORTS; i++) {
		if (ports[i].used)
			continue;
		ports[i] = (struct port){.used = true,
					 .domain = files[fd].domain,
					 .remote = remote,
					 .file = fd,
					 .number = next_port++,
					 .remote_port = remote_port};
		return i;
	}
	return -ENOSPC;
}

static void close_port(struct port *p)
{
	struct port *peer = p->remote_port ? find_port(p->remote, p->remote_port) : NULL;

	if (peer)
		peer->remote_port = 0;
	p->used = false;
}

static int bind_interdomain(int fd, const struct ioctl_evtchn_bind_interdomain *op)
{
	struct port *peer = find_port((int)op->remote_domain, op->remote_port);
	int i;

	if (!peer || peer->remote_port || peer->remote != files[fd].domain)
		return -EINVAL;
	i = new_port(fd, (int)op->remote_domain, op->remote_port);
	if (i < 0)
		return i;
	peer->remote_port = ports[i].number;
	/* Xen marks the new port: something may have been sent before. */
	deliver(&ports[i]);
	return (int)ports[i].number;
}

static int evtchn_ioctl(int fd, unsigned long request, void *arg)
{
	uint32_t *number = arg;
	int i;

	switch (request) {
	case IOCTL_EVTCHN_BIND_UNBOUND_PORT:
		i = new_port(fd, (int)*number, 0);
		return i < 0 ? i : (int)ports[i].number;
	case IOCTL_EVTCHN_BIND_INTERDOMAIN:
		return bind_interdomain(fd, arg);
	case IOCTL_EVTCHN_NOTIFY:
		return notify(files[fd].domain, *number);
	case IOCTL_EVTCHN_UNBIND: {
		struct port *p = find_port(files[fd].domain, *number);

		if (!p)
			return -ENOTCONN;
		close_port(p);
		return 0;
	}
	default:
		return -ENOTTY;
	}
}

static int gntalloc_alloc(int fd, struct ioctl_gntalloc_alloc_gref *op)
{
	off_t end = lseek(fd, 0, SEEK_END);
	uint32_t first = 8;
	int memory;

	while (first < MAX_GRANTS && grants[first].used)
		first++;
	/* Refs of one call lie side by side here, and are never used again: references must be taken from the array. */
	for (uint32_t i = first; i < first + op->count; i++)
		if (i >= MAX_GRANTS || grants[i].used)
			return -ENOSPC;
	if (ftruncate(fd, end + (off_t)op->count * PAGE))
		return -errno;
	memory = fcntl(fd, F_DUPFD_CLOEXEC, 512);
	for (uint32_t i = 0; i < op->count; i++) {
		/* Backwards, to be as scattered as a real table may be. */
		uint32_t ref = first + op->count - 1 - i;

		grants[ref] = (struct grant){.used = true,
					     .writable = op->flags & GNTALLOC_FLAG_WRITABLE,
					     .domain = files[fd].domain,
					     .to = op->domid,
					     .serial = files[fd].serial,
					     .memory = memory,
					     .closes = i == 0,
					     .offset = end + (off_t)i * PAGE};
		op->gref_ids[i] = ref;
	}
	op->index = (uint64_t)end;
	return 0;
}

static struct region *region_of_index(int fd, uint64_t index)
{
	for (int i = 0; i < MAX_REGIONS; i++) {
		struct region *r = &regions[i];

		if (r->start && r->serial == files[fd].serial && index >= r->index &&
		    index < r->index + r->size)
			return r;
	}
	return NULL;
}

static int set_notify(int fd, uint64_t index, uint32_t action, uint32_t number)
{
	struct region *r = region_of_index(fd, index);

	if (!r || !find_port(files[fd].domain, number))
		return -EINVAL;
	r->notify_offset = (uint32_t)(index - r->index);
	r->notify_port = number;
	r->action = action;
	return 0;
}

static int gntalloc_ioctl(int fd, unsigned long request, void *arg)
{
	struct ioctl_gntalloc_unmap_notify *op = arg;

	if (request == IOCTL_GNTALLOC_ALLOC_GREF)
		return gntalloc_alloc(fd, arg);
	if (request == IOCTL_GNTALLOC_DEALLOC_GREF)
		return 0; /* the mapping keeps them */
	if (request == IOCTL_GNTALLOC_SET_UNMAP_NOTIFY)
		return set_notify(fd, op->index, op->action, op->event_channel_port);
	return -ENOTTY;
}

static int gntdev_map(int fd, struct ioctl_gntdev_map_grant_ref *op)
{
	int i = 0;

	while (i < MAX_MAPS && maps[i].used)
		i++;
	if (i == MAX_MAPS || op->count > sizeof(maps[0].refs) / sizeof(maps[0].refs[0]))
		return -ENOMEM;
	maps[i] = (struct map){.used = true,
			       .serial = files[fd].serial,
			       .domain = files[fd].domain,
			       .count = op->count};
	for (uint32_t k = 0; k < op->count; k++)
		maps[i].refs[k] = op->refs[k].ref;
	op->index = (uint64_t)i << 24;
	return 0;
}

static int gntdev_ioctl(int fd, unsigned long request, void *arg)
{
	if (request == IOCTL_GNTDEV_MAP_GRANT_REF)
		return gntdev_map(fd, arg);
	if (request == IOCTL_GNTDEV_SET_UNMAP_NOTIFY) {
		struct ioctl_gntdev_unmap_notify *op = arg;

		return set_notify(fd, op->index, op->action, op->event_channel_port);
	}
	if (request == IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR) {
		struct ioctl_gntdev_get_offset_for_vaddr *op = arg;

		for (int i = 0; i < MAX_REGIONS; i++) {
			if (regions[i].start != (uint8_t *)(uintptr_t)op->vaddr)
				continue;
			op->offset = regions[i].index;
			op->count = (uint32_t)(regions[i].size / PAGE);
			return 0;
		}
		return -EINVAL;
	}
	if (request == IOCTL_GNTDEV_UNMAP_GRANT_REF)
		return 0;
	return -ENOTTY;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;
	int rc;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	if (fd < 0 || fd >= MAX_FILES || files[fd].kind == NONE)
		return __real_ioctl(fd, request, arg);
	pthread_mutex_lock(&lock);
	if (files[fd].kind == EVTCHN)
		rc = evtchn_ioctl(fd, request, arg);
	else if (files[fd].kind == GNTALLOC)
		rc = gntalloc_ioctl(fd, request, arg);
	else
		rc = gntdev_ioctl(fd, request, arg);
	pthread_mutex_unlock(&lock);
	if (rc >= 0)
		return rc;
	errno = -rc;
	return -1;
}

static int open_device(enum kind kind)
{
	int pair[2] = {-1, -1}, fd;

	if (kind == EVTCHN) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
			return -1;
		fd = pair[0];
	} else {
		fd = memfd_create("fake", MFD_CLOEXEC);
	}
	if (fd < 0 || fd >= MAX_FILES)
		abort();
	pthread_mutex_lock(&lock);
	files[fd] =
		(struct file){.kind = kind, .domain = self, .kernel = pair[1], .serial = ++serials};
	pthread_mutex_unlock(&lock);
	return fd;
}

static enum kind device_of(const char *path)
{
	if (!strcmp(path, "/dev/xen/evtchn"))
		return EVTCHN;
	if (!strcmp(path, "/dev/xen/gntalloc"))
		return GNTALLOC;
	return strcmp(path, "/dev/xen/gntdev") ? NONE : GNTDEV;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list list;
	int mode;

	if (device_of(path) != NONE)
		return open_device(device_of(path));
	if (!strcmp(path, "/dev/xen/xenbus"))
		return fake_xenstore_connect(self);
	va_start(list, flags);
	mode = va_arg(list, int);
	va_end(list);
	return __real_open(path, flags, mode);
}

int __wrap___open_2(const char *path, int flags)
{
	return __wrap_open(path, flags, 0);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	struct port *p;
	uint32_t number;

	if (fd < 0 || fd >= MAX_FILES || files[fd].kind != EVTCHN)
		return __real_write(fd, data, size);
	memcpy(&number, data, sizeof(number));
	pthread_mutex_lock(&lock);
	p = find_port(files[fd].domain, number);
	if (p) {
		p->masked = false;
		if (p->pending) {
			p->pending = false;
			deliver(p);
		}
	}
	pthread_mutex_unlock(&lock);
	return (ssize_t)size;
}

static void *map_foreign(const struct map *m, size_t size, int prot, void *where)
{
	uint8_t *start = __real_mmap(where, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (uint32_t i = 0; i < m->count; i++) {
		const struct grant *g = m->refs[i] < MAX_GRANTS ? &grants[m->refs[i]] : NULL;

		if (!g || !g->used || g->to != m->domain || ((prot & PROT_WRITE) && !g->writable) ||
		    __real_mmap(start + (size_t)i * PAGE, PAGE, prot, MAP_SHARED | MAP_FIXED,
				g->memory, g->offset) == MAP_FAILED) {
			__real_munmap(start, size);
			errno = EINVAL;
			return MAP_FAILED;
		}
	}
	return start;
}

void *__wrap_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct region *r = regions;
	void *start;

	if (fd < 0 || fd >= MAX_FILES || files[fd].kind == NONE)
		return __real_mmap(addr, size, prot, flags, fd, offset);
	pthread_mutex_lock(&lock);
	if (files[fd].kind == GNTDEV)
		start = map_foreign(&maps[(uint64_t)offset >> 24], size, prot, addr);
	else
		start = __real_mmap(addr, size, prot, flags, fd, offset);
	while (r->start)
		r++;
	if (start != MAP_FAILED)
		*r = (struct region){.start = start,
				     .size = size,
				     .domain = files[fd].domain,
				     .serial = files[fd].serial,
				     .index = (uint64_t)offset,
				     .kind = files[fd].kind};
	pthread_mutex_unlock(&lock);
	return start;
}

static void give_notice(struct region *r)
{
	if (r->action & UNMAP_NOTIFY_CLEAR_BYTE)
		__atomic_store_n(r->start + r->notify_offset, 0, __ATOMIC_SEQ_CST);
	if (r->action & UNMAP_NOTIFY_SEND_EVENT)
		notify(r->domain, r->notify_port);
	r->action = 0;
}

/* Ends grants (and indices of gntdev) of one open, those at index to index + size. */
static void forget(unsigned serial, uint64_t index, uint64_t size)
{
	for (int i = 0; i < MAX_GRANTS; i++) {
		struct grant *g = &grants[i];

		if (!g->used || g->serial != serial || (uint64_t)g->offset < index ||
		    (uint64_t)g->offset - index >= size)
			continue;
		if (g->closes)
			__real_close(g->memory);
		g->used = false;
	}
	for (int i = 0; i < MAX_MAPS; i++)
		if (maps[i].used && maps[i].serial == serial && (uint64_t)i << 24 >= index &&
		    ((uint64_t)i << 24) - index < size)
			maps[i].used = false;
}

int __wrap_munmap(void *addr, size_t size)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < MAX_REGIONS; i++) {
		struct region *r = &regions[i];

		if (r->start != addr)
			continue;
		if (r->size != size)
			abort(); /* a part would stay */
		give_notice(r);
		forget(r->serial, r->index, r->size);
		r->start = NULL;
	}
	pthread_mutex_unlock(&lock);
	return __real_munmap(addr, size);
}

int __wrap_close(int fd)
{
	bool mapped = false;

	if (fd < 0 || fd >= MAX_FILES || files[fd].kind == NONE)
		return __real_close(fd);
	pthread_mutex_lock(&lock);
	for (int i = 0; i < MAX_PORTS; i++)
		if (ports[i].used && files[fd].kind == EVTCHN && ports[i].file == fd)
			close_port(&ports[i]);
	for (int i = 0; i < MAX_REGIONS; i++)
		mapped |= regions[i].start && regions[i].serial == files[fd].serial;
	if (!mapped && files[fd].kind != EVTCHN)
		forget(files[fd].serial, 0, UINT64_MAX);
	if (files[fd].kernel >= 0)
		__real_close(files[fd].kernel);
	files[fd].kind = NONE;
	pthread_mutex_unlock(&lock);
	return __real_close(fd);
}

/* Nobody waits for seconds here. */
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	struct itimerspec faster = *new;

	if (new->it_interval.tv_sec) {
		timers++;
		faster.it_interval = (struct timespec){0, new->it_interval.tv_sec * 5000000};
		faster.it_value = faster.it_interval;
	}
	return __real_timerfd_settime(fd, flags, &faster, old);
}

void fake_xen_kill_process(int domain)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < MAX_REGIONS; i++)
		if (regions[i].start && regions[i].domain == domain)
			give_notice(&regions[i]);
	for (int i = 0; i < MAX_PORTS; i++)
		if (ports[i].used && ports[i].domain == domain)
			close_port(&ports[i]);
	pthread_mutex_unlock(&lock);
}

void fake_xen_kill_domain(int domain)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < MAX_PORTS; i++)
		if (ports[i].used && ports[i].domain == domain)
			close_port(&ports[i]);
	for (int i = 0; i < MAX_REGIONS; i++)
		if (regions[i].domain == domain)
			regions[i].action = 0;
	pthread_mutex_unlock(&lock);
	fake_xenstore_release(domain);
}

void *fake_xen_page(uint32_t ref)
{
	return __real_mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, grants[ref].memory,
			   grants[ref].offset);
}

unsigned long fake_xen_timers(void)
{
	return timers;
}

unsigned long fake_xen_notifications(void)
{
	return notifications;
}

int fake_xen_resources(void)
{
	int n = 0;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < MAX_PORTS; i++)
		n += ports[i].used;
	for (int i = 0; i < MAX_GRANTS; i++)
		n += grants[i].used;
	for (int i = 0; i < MAX_REGIONS; i++)
		n += regions[i].start != NULL;
	for (int i = 0; i < MAX_MAPS; i++)
		n += maps[i].used;
	pthread_mutex_unlock(&lock);
	return n;
}
