// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of PCI configuration access, ECAM windows and the scan.
// links: hypervisor/drivers/pci/config.c hypervisor/drivers/pci/scan.c tests/unit/fake_iommu.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arch/cpu.h>
#include <arch/paging.h>
#include <bulkhead/errno.h>
#include <bulkhead/pci.h>

#include "fake_iommu.h"

#define MCFG  0xb0000000UL
#define MCFG1 0x8000000000UL
#define BUS   (1UL << 20)

/* ---- The machine: functions by number, reached by ports (segment 0) or through mapped buses ---- */

#define FUNCTIONS 64

static struct function {
	uint32_t sbdf;
	uint8_t space[4096];
} functions[FUNCTIONS];
static unsigned function_count;
static unsigned port_accesses, ecam_accesses, maps_live, maps_made;

/* A mapped bus is an object that only says which one it is, at the start of each function's page. */
static struct mapped {
	uint64_t paddr;
	uint8_t *p;
} mapped[512];

static uint8_t *space_of(uint32_t sbdf)
{
	for (unsigned i = 0; i < function_count; i++)
		if (functions[i].sbdf == sbdf)
			return functions[i].space;
	return NULL;
}

static uint8_t *add(unsigned seg, unsigned bus, unsigned dev, unsigned fn)
{
	struct function *f = &functions[function_count++];

	assert_true(function_count <= FUNCTIONS);
	memset(f, 0, sizeof(*f));
	f->sbdf = sbdf_make(seg, bus, dev, fn).v;
	f->space[0] = 0x34;
	f->space[1] = 0x12;
	f->space[2] = (uint8_t)function_count;
	return f->space;
}

static uint8_t *add_bridge(unsigned seg, unsigned bus, unsigned dev, unsigned secondary,
			   unsigned subordinate, int pcie_type)
{
	uint8_t *c = add(seg, bus, dev, 0);

	c[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
	c[PCI_SECONDARY_BUS] = (uint8_t)secondary;
	c[PCI_SUBORDINATE_BUS] = (uint8_t)subordinate;
	if (pcie_type >= 0) {
		c[PCI_STATUS] = PCI_STATUS_CAP_LIST;
		c[PCI_CAP_POINTER] = 0x50;
		c[0x50] = PCI_CAP_ID_PCIE;
		c[0x52] = (uint8_t)(pcie_type << 4 | 2);
	}
	return c;
}

static uint32_t read_space(uint32_t sbdf, unsigned reg, unsigned size)
{
	const uint8_t *c = space_of(sbdf);
	uint32_t v = size == 4 ? ~0U : (1U << size * 8) - 1;

	if (c) {
		v = 0;
		memcpy(&v, c + reg, size);
	}
	return v;
}

uint32_t pci_port_read(unsigned bdf, unsigned reg, unsigned size)
{
	assert_true(reg < 256);
	port_accesses++;
	return read_space(bdf, reg, size);
}

void pci_port_write(unsigned bdf, unsigned reg, unsigned size, uint32_t value)
{
	assert_true(reg < 256);
	port_accesses++;
	if (space_of(bdf))
		memcpy(space_of(bdf) + reg, &value, size);
}

static uint32_t sbdf_at(const volatile void *p, unsigned *ret_reg)
{
	for (unsigned i = 0; i < 512; i++) {
		size_t off = (size_t)((const volatile uint8_t *)p - mapped[i].p);
		uint64_t paddr = mapped[i].paddr + off;

		if (!mapped[i].p || (const volatile uint8_t *)p < mapped[i].p || off >= BUS)
			continue;
		*ret_reg = paddr & 0xfff;
		return paddr >= MCFG1 ? 0x10000 | (uint32_t)((paddr - MCFG1) >> 12)
				      : (uint32_t)((paddr - MCFG) >> 12);
	}
	abort();
}

uint32_t pci_ecam_read(const volatile void *p, unsigned size)
{
	unsigned reg;
	uint32_t s = sbdf_at(p, &reg);

	ecam_accesses++;
	return read_space(s, reg, size);
}

void pci_ecam_write(volatile void *p, unsigned size, uint32_t value)
{
	unsigned reg;
	uint8_t *c = space_of(sbdf_at(p, &reg));

	ecam_accesses++;
	if (c)
		memcpy(c + reg, &value, size);
}

void *mmio_map(uint64_t paddr, size_t len)
{
	assert_int_equal(len, BUS);
	assert_false(fake_irqs_off && paddr < MCFG1);
	for (unsigned i = 0; i < 512; i++)
		if (!mapped[i].p) {
			mapped[i].paddr = paddr;
			mapped[i].p = malloc(BUS);
			maps_live++;
			maps_made++;
			return mapped[i].p;
		}
	return NULL;
}

void mmio_unmap(const volatile void *p, size_t len)
{
	(void)len;
	for (unsigned i = 0; i < 512; i++)
		if (mapped[i].p == p) {
			free(mapped[i].p);
			mapped[i].p = NULL;
			maps_live--;
		}
}

static int setup(void **state)
{
	(void)state;
	function_count = port_accesses = ecam_accesses = 0;
	fake_irqs_off = false;
	fake_pci_forget_devices();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_pci_forget_devices();
	return 0;
}

/* ---- Tests; windows stay known, so their order matters: first without any ---- */

static void by_ports(void **state)
{
	sbdf_t s = sbdf_make(0, 3, 2, 1);
	uint8_t *c = add(0, 3, 2, 1);

	(void)state;
	assert_int_equal(pci_conf_read(s, 0, 2), 0x1234);
	pci_conf_write(s, 4, 2, 0x0407);
	assert_int_equal(c[4] | c[5] << 8, 0x0407);
	assert_int_equal(pci_conf_read(s, 4, 1), 7);
	assert_int_equal(port_accesses, 3);
	/* Nothing there, out of reach, not aligned, no such size. */
	assert_int_equal(pci_conf_read(sbdf_make(0, 3, 2, 2), 0, 4), 0xffffffff);
	assert_int_equal(pci_conf_read(s, 0x100, 4), 0xffffffff);
	assert_int_equal(pci_conf_read(s, 0x100, 2), 0xffff);
	assert_int_equal(pci_conf_read(s, 0x100, 1), 0xff);
	assert_int_equal(pci_conf_read(sbdf_make(1, 3, 2, 1), 0, 4), 0xffffffff);
	port_accesses = 0;
	assert_int_equal(pci_conf_read(s, 2, 4), 0xffffffff);
	assert_int_equal(pci_conf_read(s, 0, 3), 0xffffffff);
	assert_int_equal(pci_conf_read(s, 0x1000, 1), 0xffffffff);
	pci_conf_write(s, 5, 2, 0);
	pci_conf_write(s, 0x400, 4, 0);
	assert_int_equal(port_accesses, 0);
}

static void windows(void **state)
{
	uint64_t base;
	unsigned seg, first, last;

	(void)state;
	assert_int_equal(pci_ecam_add(MCFG + 0x1000, 0, 0, 255), -EINVAL);
	assert_int_equal(pci_ecam_add(MCFG, 0, 5, 4), -EINVAL);
	assert_int_equal(pci_ecam_add(MCFG, 0, 0, 256), -EINVAL);
	assert_int_equal(pci_ecam_add(~0UL << 20, 0, 0, 255), -EINVAL);
	fake_heap_fail_after = 0;
	assert_int_equal(pci_ecam_add(MCFG, 0, 0, 0x7f), -ENOMEM);
	fake_heap_fail_after = -1;
	assert_false(pci_is_ecam(MCFG));
	assert_int_equal(pci_ecam_add(MCFG, 0, 0, 0x7f), 0);
	assert_int_equal(pci_ecam_add(MCFG, 0, 0, 0x7f), -EEXIST);
	assert_int_equal(pci_ecam_add(MCFG, 0, 4, 7), -EEXIST);
	assert_int_equal(pci_ecam_add(MCFG, 0, 0x70, 0x90), -EINVAL);
	assert_int_equal(pci_ecam_add(MCFG + 256 * BUS, 0, 0, 0x7f), -EINVAL);
	assert_int_equal(pci_ecam_add(MCFG1, 1, 0x10, 0x1f), 0);
	/* Not a second name for the functions of a window, nor for a part of them. */
	assert_int_equal(pci_ecam_add(MCFG, 2, 0, 0x7f), -EINVAL);
	assert_int_equal(pci_ecam_add(MCFG - 0x10 * BUS, 2, 0, 0x10), -EINVAL);
	assert_int_equal(pci_ecam_add(MCFG1, 2, 0x1f, 0x20), -EINVAL);
	assert_true(pci_is_ecam(MCFG));
	assert_true(pci_is_ecam(MCFG + 0x80 * BUS - 1));
	assert_false(pci_is_ecam(MCFG + 0x80 * BUS));
	assert_false(pci_is_ecam(MCFG1));
	assert_true(pci_is_ecam(MCFG1 + 0x10 * BUS));
	assert_true(pci_has_ecam(MCFG1, MCFG1 + 0x10 * BUS + 1));
	assert_false(pci_has_ecam(MCFG1, MCFG1 + 0x10 * BUS));
	assert_false(pci_has_ecam(MCFG + 0x80 * BUS, MCFG + 0x81 * BUS));
	assert_true(pci_ecam_get(1, &base, &seg, &first, &last));
	assert_int_equal(base, MCFG1);
	assert_int_equal(seg, 1);
	assert_int_equal(first, 0x10);
	assert_int_equal(last, 0x1f);
	assert_false(pci_ecam_get(2, &base, &seg, &first, &last));
}

static void by_memory(void **state)
{
	sbdf_t s = sbdf_make(0, 3, 2, 1), t = sbdf_make(1, 0x11, 31, 7);
	uint8_t *c = add(0, 3, 2, 1);

	(void)state;
	add(1, 0x11, 31, 7);
	/* In an interrupt handler the bus cannot be mapped, and the ports do as well. */
	fake_irqs_off = true;
	assert_int_equal(pci_conf_read(s, 0, 2), 0x1234);
	assert_int_equal(pci_conf_read(s, 0x100, 4), 0xffffffff);
	assert_int_equal(maps_made, 0);
	fake_irqs_off = false;
	c[0x104] = 0x77;
	assert_int_equal(pci_conf_read(s, 0x104, 1), 0x77);
	assert_int_equal(maps_made, 1);
	pci_conf_write(s, 0x108, 4, 0xcafe);
	assert_int_equal(c[0x108] | c[0x109] << 8, 0xcafe);
	assert_int_equal(maps_made, 1);
	/* Once it is, interrupt handlers use it, too. */
	fake_irqs_off = true;
	assert_int_equal(pci_conf_read(s, 0x104, 1), 0x77);
	fake_irqs_off = false;
	assert_int_equal(pci_conf_read(t, 0, 2), 0x1234);
	assert_int_equal(maps_made, 2);
	/* Outside of any window of segment 1. */
	assert_int_equal(pci_conf_read(sbdf_make(1, 0x20, 0, 0), 0, 2), 0xffff);
}

static void finds_all(void **state)
{
	struct pci_dev *dev;
	uint8_t *c;

	(void)state;
	add(0, 0, 0, 0);
	c = add(0, 0, 2, 0);
	c[PCI_HEADER_TYPE] = PCI_HEADER_MULTI;
	c[PCI_CLASS_BASE] = 1;
	c[PCI_CLASS_SUB] = 8;
	c[PCI_CLASS_IF] = 2;
	c[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	c[PCI_CAP_POINTER] = 0x41; /* the low bits are reserved */
	memcpy(c + 0x40, "\x05\x60\x80\x00", 4);
	memcpy(c + 0x60, "\x11\x80\x40\x00", 4);
	memcpy(c + 0x80, "\x10\x00\x02\x00", 4);
	add(0, 0, 2, 5);
	add(0, 0, 3, 1); /* function 0 is missing: not there */
	add_bridge(0, 0, 4, 1, 3, PCIE_TYPE_ROOT_PORT);
	add_bridge(0, 1, 0, 2, 3, PCIE_TYPE_UPSTREAM);
	add_bridge(0, 2, 1, 3, 3, PCIE_TYPE_DOWNSTREAM);
	add(0, 3, 0, 0);
	add(0, 0x40, 7, 0); /* a root bus of its own */
	add(1, 0x10, 0, 0); /* another segment */
	add(0, 0x90, 0, 0); /* outside of the window, and no bridge leads there */
	assert_int_equal(pci_scan(), 0);
	assert_int_equal(pci_scan(), 0);

	dev = pci_find(sbdf_make(0, 0, 2, 0));
	assert_int_equal(dev->vendor, 0x1234);
	assert_int_equal(dev->class_base, 1);
	assert_int_equal(dev->class_sub, 8);
	assert_int_equal(dev->class_if, 2);
	assert_int_equal(dev->header_type, 0);
	assert_int_equal(dev->cap_msi, 0x40);
	assert_int_equal(dev->cap_msix, 0x60);
	assert_int_equal(dev->cap_pcie, 0x80);
	assert_non_null(pci_find(sbdf_make(0, 0, 2, 5)));
	assert_null(pci_find(sbdf_make(0, 0, 3, 1)));
	dev = pci_find(sbdf_make(0, 3, 0, 0));
	assert_int_equal(sbdf_bdf(dev->bridge->sbdf), 0x208);
	assert_int_equal(sbdf_bdf(dev->bridge->bridge->bridge->sbdf), 0x20);
	assert_int_equal(dev->bridge->bridge->bridge->subordinate_bus, 3);
	assert_true(sbdf_eq(dev->dma_alias, dev->sbdf));
	assert_non_null(pci_find(sbdf_make(0, 0x40, 7, 0)));
	assert_non_null(pci_find(sbdf_make(1, 0x10, 0, 0)));
	assert_null(pci_find(sbdf_make(0, 0x90, 0, 0)));
	assert_int_equal(fake_log_count("PCI: 9 functions\n"), 2);
	/* Buses where nothing is are not mapped. */
	assert_in_range(maps_live, 4, 24);
}

static void broken_bridges(void **state)
{
	uint8_t *c;

	(void)state;
	add(0, 0, 0, 0);
	add_bridge(0, 0, 1, 0, 0, -1);	  /* not set up */
	add_bridge(0, 0, 2, 0, 0xff, -1); /* leads to where it is */
	add_bridge(0, 0, 3, 5, 4, -1);	  /* empty range */
	add_bridge(0, 0, 4, 6, 6, -1);
	add_bridge(0, 6, 0, 6, 6, -1); /* leads to itself */
	add_bridge(0, 6, 1, 2, 9, -1); /* leads back */
	c = add(0, 0, 5, 0);
	c[PCI_STATUS] = PCI_STATUS_CAP_LIST; /* a list without end */
	c[PCI_CAP_POINTER] = 0x40;
	memcpy(c + 0x40, "\x01\x44", 2);
	memcpy(c + 0x44, "\x01\x40", 2);
	c = add(0, 0, 6, 0);
	c[PCI_STATUS] = PCI_STATUS_CAP_LIST; /* a list that points into the header */
	c[PCI_CAP_POINTER] = 0x04;
	c[4] = PCI_CAP_ID_MSI;
	assert_int_equal(pci_scan(), 0);
	assert_int_equal(pci_find(sbdf_make(0, 0, 1, 0))->secondary_bus, 0);
	assert_int_equal(pci_find(sbdf_make(0, 0, 2, 0))->secondary_bus, 0);
	assert_int_equal(pci_find(sbdf_make(0, 0, 3, 0))->secondary_bus, 0);
	assert_int_equal(pci_find(sbdf_make(0, 6, 0, 0))->secondary_bus, 0);
	assert_int_equal(pci_find(sbdf_make(0, 6, 1, 0))->secondary_bus, 0);
	assert_int_equal(pci_find(sbdf_make(0, 0, 5, 0))->cap_msi, 0);
	assert_int_equal(pci_find(sbdf_make(0, 0, 6, 0))->cap_msi, 0);
}

static void requester_ids(void **state)
{
	(void)state;
	/* Root port, PCI Express to PCI bridge, and an old bridge behind that. */
	add_bridge(0, 0, 1, 1, 3, PCIE_TYPE_ROOT_PORT);
	add_bridge(0, 1, 0, 2, 3, PCIE_TYPE_PCI_BRIDGE);
	add(0, 2, 5, 0);
	add_bridge(0, 2, 6, 3, 3, -1);
	add(0, 3, 7, 0);
	/* A conventional bridge on the root bus. */
	add_bridge(0, 0, 0x1e, 4, 5, -1);
	add(0, 4, 1, 0);
	/* PCI to PCI Express, with an express device below. */
	add_bridge(0, 4, 2, 5, 5, PCIE_TYPE_REVERSED);
	add(0, 5, 0, 0);
	add(0, 0, 0, 0);
	assert_int_equal(pci_scan(), 0);
	assert_int_equal(pci_find(sbdf_make(0, 1, 0, 0))->dma_alias.v, 0x100);
	assert_int_equal(pci_find(sbdf_make(0, 2, 5, 0))->dma_alias.v, 0x200);
	assert_int_equal(pci_find(sbdf_make(0, 3, 7, 0))->dma_alias.v, 0x200);
	assert_int_equal(pci_find(sbdf_make(0, 4, 1, 0))->dma_alias.v, 0x1e << 3);
	assert_int_equal(pci_find(sbdf_make(0, 5, 0, 0))->dma_alias.v, 0x1e << 3);
}

static void added_later(void **state)
{
	struct pci_dev *dev = NULL, *again = NULL;
	uint8_t *c;

	(void)state;
	add_bridge(0, 0, 1, 1, 1, PCIE_TYPE_PCI_BRIDGE);
	add(0, 0, 0, 0);
	assert_int_equal(pci_scan(), 0);
	/* A virtual function reads as absent, and is there. */
	assert_int_equal(pci_dev_add(sbdf_make(0, 1, 4, 0), &dev), 0);
	assert_int_equal(dev->vendor, 0xffff);
	assert_int_equal(dev->dma_alias.v, 0x100);
	assert_ptr_equal(dev->bridge, pci_find(sbdf_make(0, 0, 1, 0)));
	assert_int_equal(pci_dev_add(sbdf_make(0, 1, 4, 0), &again), -EEXIST);
	assert_ptr_equal(again, dev);
	fake_heap_fail_after = 0;
	assert_int_equal(pci_dev_add(sbdf_make(0, 1, 5, 0), &dev), -ENOMEM);
	assert_int_equal(pci_scan(), -ENOMEM);
	fake_heap_fail_after = -1;

	c = add(0, 0, 9, 0);
	c[PCI_COMMAND] = 7;
	pci_stop_dma(sbdf_make(0, 0, 9, 0));
	assert_int_equal(c[PCI_COMMAND], 3);
	assert_int_equal(pci_hide(sbdf_make(0, 0, 9, 0)), -ENOENT);
	assert_int_equal(pci_hide(sbdf_make(0, 0, 1, 0)), 0);
	assert_true(pci_find(sbdf_make(0, 0, 1, 0))->hidden);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(by_ports),	   T(windows),	     T(by_memory),   T(finds_all),
		T(broken_bridges), T(requester_ids), T(added_later),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	for (unsigned i = 0; i < 512; i++)
		free(mapped[i].p);
	fake_heap_reset();
	return failed;
}
