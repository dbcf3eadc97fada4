// SPDX-License-Identifier: GPL-2.0-or-later
// PCI configuration space: ECAM windows, and the choice between them and CF8/CFC.

#include <arch/paging.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/pci.h>

#define BUS_BYTES     (1UL << 20) /* PCIe Base 5.0, 7.2.2: 32 devices of 8 functions of 4 KiB */
#define PORT_SPACE    256	  /* bytes of a function that CF8/CFC reaches */
#define EXTENDED      4096
#define MAX_WINDOWS   32
#define BUSES_PER_SEG 256

/*
 * Buses are mapped when they are first used: most of a window's 256 MiB never is, and each mebibyte costs
 * page table memory.
 */
struct ecam {
	uint64_t base; /* of bus 0 */
	unsigned seg, first_bus, last_bus;
	uint8_t **map; /* one pointer per bus, NULL: not mapped yet */
};

static struct ecam windows[MAX_WINDOWS];
static unsigned window_count; /* written under windows_lock, entries below it never change */
static spinlock_t windows_lock = SPINLOCK_INIT;

static struct ecam *window_of(sbdf_t dev)
{
	unsigned n = __atomic_load_n(&window_count, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < n; i++) {
		struct ecam *w = &windows[i];

		if (w->seg == sbdf_seg(dev) && sbdf_bus(dev) >= w->first_bus &&
		    sbdf_bus(dev) <= w->last_bus)
			return w;
	}
	return NULL;
}

/* Address of a function's configuration space, NULL if it cannot be had here and now. */
static uint8_t *function_address(sbdf_t dev)
{
	struct ecam *w = window_of(dev);
	uint8_t *p, *expected = NULL;
	unsigned bus = sbdf_bus(dev);

	if (!w)
		return NULL;
	p = __atomic_load_n(&w->map[bus], __ATOMIC_ACQUIRE);
	if (!p) {
		/* Mappings are not made in interrupt handlers: those use the ports instead. */
		if (!arch_irqs_enabled() && sbdf_seg(dev) == 0)
			return NULL;
		p = mmio_map(w->base + bus * BUS_BYTES, BUS_BYTES);
		if (!p)
			return NULL;
		if (!__atomic_compare_exchange_n(&w->map[bus], &expected, p, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			mmio_unmap(p, BUS_BYTES);
			p = expected;
		}
	}
	return p + ((size_t)(sbdf_bdf(dev) & 0xff) << 12);
}

static bool access_valid(unsigned reg, unsigned size)
{
	return (size == 1 || size == 2 || size == 4) && reg < EXTENDED && !(reg & (size - 1));
}

uint32_t pci_conf_read(sbdf_t dev, unsigned reg, unsigned size)
{
	uint8_t *p;

	if (!access_valid(reg, size))
		return ~0U;
	/* The first 256 bytes of segment 0 need no mapping; but where there is one, it has no lock. */
	p = function_address(dev);
	if (p)
		return pci_ecam_read(p + reg, size);
	if (sbdf_seg(dev) == 0 && reg < PORT_SPACE)
		return pci_port_read(sbdf_bdf(dev), reg, size);
	return size == 4 ? ~0U : (1U << size * 8) - 1;
}

void pci_conf_write(sbdf_t dev, unsigned reg, unsigned size, uint32_t value)
{
	uint8_t *p;

	if (!access_valid(reg, size))
		return;
	p = function_address(dev);
	if (p)
		pci_ecam_write(p + reg, size, value);
	else if (sbdf_seg(dev) == 0 && reg < PORT_SPACE)
		pci_port_write(sbdf_bdf(dev), reg, size, value);
}

static uint64_t window_start(const struct ecam *w)
{
	return w->base + w->first_bus * BUS_BYTES;
}

static uint64_t window_end(const struct ecam *w)
{
	return w->base + (w->last_bus + 1UL) * BUS_BYTES;
}

/* 0: it may be added. The lock is held. */
static int check_against(const struct ecam *w, const struct ecam *n)
{
	if (w->seg == n->seg && n->last_bus >= w->first_bus && n->first_bus <= w->last_bus)
		/* A second, smaller statement about the same window says nothing new. */
		return w->base == n->base && n->first_bus >= w->first_bus &&
				       n->last_bus <= w->last_bus
			       ? -EEXIST
			       : -EINVAL;
	/* The functions of one window would be reached by other names, past what is kept back under theirs. */
	return window_start(n) < window_end(w) && window_start(w) < window_end(n) ? -EINVAL : 0;
}

int pci_ecam_add(uint64_t base, unsigned seg, unsigned first_bus, unsigned last_bus)
{
	struct ecam window = {
		.base = base,
		.seg = seg,
		.first_bus = first_bus,
		.last_bus = last_bus,
	};
	int err = 0;

	if (seg > 0xffff || first_bus > last_bus || last_bus >= BUSES_PER_SEG ||
	    !IS_ALIGNED(base, BUS_BYTES) || base + BUSES_PER_SEG * BUS_BYTES < base)
		return -EINVAL;
	window.map = heap_alloc(BUSES_PER_SEG * sizeof(*window.map));
	if (!window.map)
		return -ENOMEM;
	spin_lock(&windows_lock);
	for (unsigned i = 0; i < window_count && !err; i++)
		err = check_against(&windows[i], &window);
	if (!err && window_count == MAX_WINDOWS)
		err = -ENOMEM;
	if (!err) {
		windows[window_count] = window;
		__atomic_store_n(&window_count, window_count + 1, __ATOMIC_RELEASE);
	}
	spin_unlock(&windows_lock);
	if (err)
		heap_free(window.map);
	return err;
}

bool pci_has_ecam(uint64_t start, uint64_t end)
{
	unsigned n = __atomic_load_n(&window_count, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < n; i++) {
		if (start < window_end(&windows[i]) && end > window_start(&windows[i]))
			return true;
	}
	return false;
}

bool pci_is_ecam(uint64_t paddr)
{
	return pci_has_ecam(paddr, paddr + 1);
}

bool pci_ecam_get(unsigned idx, uint64_t *ret_base, unsigned *ret_seg, unsigned *ret_first_bus,
		  unsigned *ret_last_bus)
{
	if (idx >= __atomic_load_n(&window_count, __ATOMIC_ACQUIRE))
		return false;
	*ret_base = windows[idx].base;
	*ret_seg = windows[idx].seg;
	*ret_first_bus = windows[idx].first_bus;
	*ret_last_bus = windows[idx].last_bus;
	return true;
}
