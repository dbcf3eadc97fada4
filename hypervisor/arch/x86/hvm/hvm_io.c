// SPDX-License-Identifier: GPL-2.0-or-later
// Dispatch of trapped accesses to emulated devices: sorted region tables, splitting, port permissions.
#include <arch/cpu.h>
#include <arch/hvm_io.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>
#include <bulkhead/string.h>

/*
 * The I/O permissions map of SVM (APM 2, 15.10.1) has one bit for each port, set to intercept, and bits behind the last port
 * that an access across the end of the port space is checked against.
 */
#define IOPM_BYTES    (3 * PAGE_SIZE)
#define ALLOWED_BYTES (HVM_PORTS / 8)

#define FIRST_CAPACITY 16U

/* Number of regions whose base is at or below addr. */
static unsigned regions_up_to(const struct hvm_io_table *t, uint64_t addr)
{
	unsigned low = 0, high = t->count;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (t->regions[mid]->base <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ---- Registration ---- */

static int table_grow(struct hvm_io_table *t)
{
	unsigned capacity = t->capacity ? 2 * t->capacity : FIRST_CAPACITY;
	struct hvm_io_region **regions = heap_alloc(capacity * sizeof(struct hvm_io_region *));

	if (!regions)
		return -ENOMEM;
	if (t->count)
		memcpy(regions, t->regions, t->count * sizeof(struct hvm_io_region *));
	heap_free(t->regions);
	t->regions = regions;
	t->capacity = capacity;
	return 0;
}

static int table_insert(struct hvm_io_table *t, struct hvm_io_region *r)
{
	unsigned pos = regions_up_to(t, r->base);
	int rc;

	if (pos > 0 && r->base - t->regions[pos - 1]->base < t->regions[pos - 1]->size)
		return -EEXIST;
	if (pos < t->count && t->regions[pos]->base - r->base < r->size)
		return -EEXIST;
	if (t->count == t->capacity) {
		rc = table_grow(t);
		if (rc)
			return rc;
	}
	memmove(&t->regions[pos + 1], &t->regions[pos],
		(t->count - pos) * sizeof(struct hvm_io_region *));
	t->regions[pos] = r;
	t->count++;
	return 0;
}

static bool table_remove(struct hvm_io_table *t, const struct hvm_io_region *r)
{
	unsigned i = regions_up_to(t, r->base);

	if (i == 0 || t->regions[i - 1] != r)
		return false;
	memmove(&t->regions[i - 1], &t->regions[i],
		(t->count - i) * sizeof(struct hvm_io_region *));
	t->count--;
	return true;
}

int hvm_mmio_register(struct domain *d, struct hvm_io_region *r)
{
	int rc;

	if (r->size == 0 || r->base + (r->size - 1) < r->base)
		return -EINVAL;
	spin_lock(&d->arch.io.lock);
	rc = table_insert(&d->arch.io.mmio, r);
	spin_unlock(&d->arch.io.lock);
	return rc;
}

void hvm_mmio_unregister(struct domain *d, struct hvm_io_region *r)
{
	spin_lock(&d->arch.io.lock);
	table_remove(&d->arch.io.mmio, r);
	spin_unlock(&d->arch.io.lock);
}

void hvm_io_region_wait(const struct hvm_io_region *r)
{
	while (__atomic_load_n(&r->users, __ATOMIC_ACQUIRE) != 0)
		arch_cpu_relax();
}

/* ---- Port permissions ---- */

static bool bit_get(const uint8_t *map, unsigned bit)
{
	return map[bit / 8] >> (bit % 8) & 1;
}

static void bit_put(uint8_t *map, unsigned bit, bool value)
{
	uint8_t mask = (uint8_t)(1U << (bit % 8));

	map[bit / 8] = (uint8_t)(value ? map[bit / 8] | mask : map[bit / 8] & ~mask);
}

static void bits_put(uint8_t *map, unsigned first, unsigned last, bool value)
{
	while (first <= last && first % 8 != 0)
		bit_put(map, first++, value);
	if (first <= last) {
		unsigned bytes = (last + 1 - first) / 8;

		memset(&map[first / 8], value ? 0xff : 0, bytes);
		first += 8 * bytes;
	}
	while (first <= last)
		bit_put(map, first++, value);
}

/* Brings the bits of ports first … last in line with permissions and regions. Called with the lock. */
static void intercepts_update(struct domain *d, unsigned first, unsigned last)
{
	const struct hvm_io_table *t = &d->arch.io.ports;
	unsigned port, i;

	for (port = first; port <= last; port++) {
		if (port % 8 == 0 && last - port >= 7) {
			d->arch.io_bitmap[port / 8] = (uint8_t)~d->arch.io.port_allowed[port / 8];
			port += 7;
			continue;
		}
		bit_put(d->arch.io_bitmap, port, !bit_get(d->arch.io.port_allowed, port));
	}
	i = regions_up_to(t, first);
	for (i = i > 0 ? i - 1 : 0; i < t->count && t->regions[i]->base <= last; i++) {
		const struct hvm_io_region *r = t->regions[i];

		bits_put(d->arch.io_bitmap, (unsigned)r->base, (unsigned)(r->base + r->size - 1),
			 true);
	}
}

int hvm_port_register(struct domain *d, struct hvm_io_region *r)
{
	int rc;

	if (r->size == 0 || r->size > HVM_PORTS || r->base > HVM_PORTS - r->size)
		return -EINVAL;
	spin_lock(&d->arch.io.lock);
	rc = table_insert(&d->arch.io.ports, r);
	if (rc == 0)
		intercepts_update(d, (unsigned)r->base, (unsigned)(r->base + r->size - 1));
	spin_unlock(&d->arch.io.lock);
	return rc;
}

void hvm_port_unregister(struct domain *d, struct hvm_io_region *r)
{
	spin_lock(&d->arch.io.lock);
	if (table_remove(&d->arch.io.ports, r))
		intercepts_update(d, (unsigned)r->base, (unsigned)(r->base + r->size - 1));
	spin_unlock(&d->arch.io.lock);
}

void hvm_port_allow(struct domain *d, unsigned first, unsigned last, bool allow)
{
	if (last >= HVM_PORTS)
		last = HVM_PORTS - 1;
	if (first > last)
		return;
	spin_lock(&d->arch.io.lock);
	bits_put(d->arch.io.port_allowed, first, last, allow);
	intercepts_update(d, first, last);
	spin_unlock(&d->arch.io.lock);
}

bool hvm_port_is_allowed(struct domain *d, unsigned port)
{
	return port < HVM_PORTS && bit_get(d->arch.io.port_allowed, port);
}

/* ---- Accesses ---- */

/* What a piece of an access meets: all of it a region, or all of it the same nothing. */
struct piece {
	struct hvm_io_region *region; /* NULL: none; else a user was counted */
	unsigned size;		      /* 1, 2, 4 or 8 */
	bool direct;		      /* the real port */
};

static uint64_t ones(unsigned size)
{
	return size >= 8 ? ~0ULL : (1ULL << (8 * size)) - 1;
}

/* The region that takes an access as a whole. *ret_clear: no region has a part in it. */
static struct hvm_io_region *region_for(const struct hvm_io_table *t, uint64_t addr, unsigned size,
					bool *ret_clear)
{
	unsigned i = regions_up_to(t, addr);

	*ret_clear = false;
	if (i > 0) {
		struct hvm_io_region *r = t->regions[i - 1];
		uint64_t offset = addr - r->base;

		if (offset < r->size)
			return size <= r->size - offset ? r : NULL;
	}
	*ret_clear = i == t->count || t->regions[i]->base - addr >= size;
	return NULL;
}

/* True if the permissions of all the ports are the same; then *ret_allowed is set. */
static bool ports_alike(struct domain *d, uint64_t port, unsigned size, bool *ret_allowed)
{
	bool allowed = hvm_port_is_allowed(d, (unsigned)port);
	unsigned i;

	for (i = 1; i < size; i++) {
		if (hvm_port_is_allowed(d, (unsigned)port + i) != allowed)
			return false;
	}
	*ret_allowed = allowed;
	return true;
}

static struct piece next_piece(struct domain *d, struct hvm_io_table *t, uint64_t addr,
			       unsigned size)
{
	struct piece p = {.size = size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1};

	spin_lock(&d->arch.io.lock);
	for (;; p.size /= 2) {
		bool clear;

		p.region = region_for(t, addr, p.size, &clear);
		if (p.region) {
			__atomic_fetch_add(&p.region->users, 1, __ATOMIC_RELAXED);
			break;
		}
		/* One byte is in a region or it is not: this ends at size 1. */
		if (clear && (t != &d->arch.io.ports || ports_alike(d, addr, p.size, &p.direct)))
			break;
	}
	spin_unlock(&d->arch.io.lock);
	return p;
}

static uint64_t real_port_access(uint16_t port, unsigned size, bool write, uint64_t value)
{
	switch (size) {
	case 1:
		if (!write)
			return inb(port);
		outb(port, (uint8_t)value);
		break;
	case 2:
		if (!write)
			return inw(port);
		outw(port, (uint16_t)value);
		break;
	default:
		if (!write)
			return inl(port);
		outl(port, (uint32_t)value);
		break;
	}
	return 0;
}

static int piece_access(struct vcpu *v, const struct piece *p, uint64_t addr, bool write,
			uint64_t *value)
{
	struct hvm_io_region *r = p->region;
	int rc;

	if (!r) {
		if (p->direct)
			*value = real_port_access((uint16_t)addr, p->size, write, *value);
		else
			*value = ~0ULL;
		return 0;
	}
	if (write)
		rc = r->ops->write(v, r->opaque, addr - r->base, p->size, *value);
	else
		rc = r->ops->read(v, r->opaque, addr - r->base, p->size, value);
	__atomic_fetch_sub(&r->users, 1, __ATOMIC_RELEASE);
	return rc;
}

static int access_split(struct vcpu *v, struct hvm_io_table *t, uint64_t addr, unsigned size,
			bool write, uint64_t *value)
{
	uint64_t result = 0;
	unsigned done = 0;

	while (done < size) {
		struct piece p = next_piece(v->domain, t, addr + done, size - done);
		uint64_t part = write ? (*value >> (8 * done)) & ones(p.size) : ones(p.size);
		int rc = piece_access(v, &p, addr + done, write, &part);

		if (rc)
			return rc;
		result |= (part & ones(p.size)) << (8 * done);
		done += p.size;
	}
	if (!write)
		*value = result;
	return 0;
}

int hvm_mmio_access(struct vcpu *v, uint64_t gpa, unsigned size, bool write, uint64_t *value)
{
	return access_split(v, &v->domain->arch.io.mmio, gpa, MIN(size, 8U), write, value);
}

int hvm_port_access(struct vcpu *v, unsigned port, unsigned size, bool write, uint64_t *value)
{
	return access_split(v, &v->domain->arch.io.ports, port & (HVM_PORTS - 1), MIN(size, 4U),
			    write, value);
}

/* ---- Life of the tables ---- */

int hvm_io_init(struct domain *d)
{
	struct hvm_io_tables *io = &d->arch.io;

	spin_init(&io->lock);
	io->mmio = io->ports = (struct hvm_io_table){0};
	d->arch.io_bitmap = heap_alloc(IOPM_BYTES);
	if (!d->arch.io_bitmap)
		return -ENOMEM;
	io->port_allowed = heap_alloc(ALLOWED_BYTES);
	if (!io->port_allowed) {
		heap_free(d->arch.io_bitmap);
		d->arch.io_bitmap = NULL;
		return -ENOMEM;
	}
	memset(d->arch.io_bitmap, 0xff, IOPM_BYTES);
	return 0;
}

void hvm_io_finish(struct domain *d)
{
	struct hvm_io_tables *io = &d->arch.io;

	heap_free(io->mmio.regions);
	heap_free(io->ports.regions);
	heap_free(io->port_allowed);
	heap_free(d->arch.io_bitmap);
	io->mmio = io->ports = (struct hvm_io_table){0};
	io->port_allowed = NULL;
	d->arch.io_bitmap = NULL;
}
