// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of vPCI for domains other than the hardware domain: what they see, may write and can map.
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/fake_x86.c tests/unit/fake_pci.c hypervisor/arch/x86/hvm/hvm_io.c
// links: hypervisor/arch/x86/vpci/vpci.c hypervisor/arch/x86/vpci/access.c hypervisor/arch/x86/vpci/bars.c
// links: hypervisor/arch/x86/vpci/header.c hypervisor/arch/x86/vpci/map.c hypervisor/arch/x86/vpci/trap.c
// links: hypervisor/arch/x86/vpci/message.c hypervisor/arch/x86/vpci/msi.c
// links: hypervisor/arch/x86/vpci/msix.c hypervisor/arch/x86/vpci/policy.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arch/hvm_io.h>
#include <arch/vpci.h>
#include <bulkhead/errno.h>

#include "fake_pci.h"

#define HOST	  sbdf_make(0, 0, 3, 2)
#define DEV	  sbdf_make(0, 0, 1, 0) /* where the guest sees it */
#define BAR(n)	  (0x10 + (n)*4)
#define HOST_BAR  0xf0000000U
#define GUEST_BAR 0xc0000000U

static struct domain *dom0, *d;
static struct fake_function *f;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_pci_reset();
	dom0 = fake_domain(true, 1);
	d = fake_domain(false, 2);
	fake_run_as(d->vcpus[0]);
	assert_int_equal(vpci_domain_init(dom0), 0);
	assert_int_equal(vpci_domain_init(d), 0);
	f = fake_pci_function(HOST);
	fake_pci_know(f);
	fake_pci_set(f, PCI_HEADER_TYPE, 1, PCI_HEADER_MULTI);
	fake_pci_bar64(f, 0, 0x4000, HOST_BAR);
	fake_pci_io(f, 2, 0x20, 0xc000);
	fake_pci_rom(f, 0x30, 0x10000, 0xf0100000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vpci_domain_finish(d);
	vpci_domain_finish(dom0);
	fake_domain_free(d);
	fake_domain_free(dom0);
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(fake_irqs_attached, 0);
	return 0;
}

static void assign(void)
{
	assert_int_equal(vpci_assign_at(&f->pci, d, DEV), 0);
}

static uint32_t rd(unsigned reg, unsigned size)
{
	return guest_conf_read(DEV, reg, size);
}

static void wr(unsigned reg, unsigned size, uint32_t value)
{
	guest_conf_write(DEV, reg, size, value);
}

static void test_header(void **state)
{
	(void)state;
	fake_pci_set(f, PCI_COMMAND, 2, 7);
	assign();
	assert_int_equal(rd(PCI_VENDOR, 4), 0x12348086);
	assert_int_equal(rd(0x08, 4), 0x02000001);
	assert_int_equal(rd(0x2c, 4), 0xabcd1af4);
	/* Not one of several functions, and not where it really is. */
	assert_int_equal(rd(PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(guest_conf_read(HOST, PCI_VENDOR, 4), 0xffffffff);
	/* It begins switched off. */
	assert_int_equal(rd(PCI_COMMAND, 2), 0);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), PCI_COMMAND_INTX_OFF);
	/* A line for notes, no pin. */
	wr(0x3c, 1, 0x0b);
	assert_int_equal(rd(0x3c, 1), 0x0b);
	assert_int_equal(fake_pci_get(f, 0x3c, 1), 0);
	assert_int_equal(rd(0x3d, 1), 0);
	/* Neither ROM nor ports. */
	wr(0x30, 4, 0xfffff800);
	assert_int_equal(rd(0x30, 4), 0);
	assert_int_equal(fake_pci_get(f, 0x30, 4), 0xf0100000);
	assert_int_equal(guest_size_bar(DEV, BAR(2)), 0);
	assert_int_equal(fake_pci_get(f, BAR(2), 4), 0xc001);
}

static void test_command_bits(void **state)
{
	(void)state;
	assign();
	wr(PCI_COMMAND, 2, 0xffff);
	assert_int_equal(rd(PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2),
			 PCI_COMMAND_INTX_OFF | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	wr(PCI_COMMAND, 2, 0);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), PCI_COMMAND_INTX_OFF);
}

static void test_status_is_cleared_by_ones(void **state)
{
	(void)state;
	fake_pci_set(f, PCI_STATUS, 2, 0xc100);
	assign();
	wr(PCI_STATUS, 2, 0x4000);
	assert_int_equal(rd(PCI_STATUS, 2), 0x8100);
	/* One byte of it: the other bits of that byte are not cleared by being written back. */
	wr(PCI_STATUS + 1, 1, 0x80);
	assert_int_equal(rd(PCI_STATUS, 2), 0x0100);
}

static void test_bar(void **state)
{
	(void)state;
	assign();
	assert_int_equal(rd(BAR(0), 4), 0xc);
	assert_int_equal(rd(BAR(1), 4), 0);
	assert_int_equal(guest_size_bar(DEV, BAR(0)), 0xffffc00c);
	assert_int_equal(guest_size_bar(DEV, BAR(1)), 0xffffffff);
	wr(BAR(0), 4, GUEST_BAR);
	wr(PCI_COMMAND, 2, 2);
	assert_true(fake_p2m_is(GUEST_BAR >> 12, 4, HOST_BAR >> 12, P2M_MMIO));
	assert_true(fake_p2m_empty(HOST_BAR >> 12, 4));
	/* The device stays where it is. */
	assert_int_equal(fake_pci_get(f, BAR(0), 4), HOST_BAR | 0xc);
	assert_int_equal(f->bar_writes_while_decoding, 0);
	wr(PCI_COMMAND, 2, 0);
	assert_true(fake_p2m_empty(GUEST_BAR >> 12, 4));
	/* Above 4 GiB. */
	wr(BAR(1), 4, 0x12);
	wr(PCI_COMMAND, 2, 2);
	assert_true(fake_p2m_is(0x12c0000, 4, HOST_BAR >> 12, P2M_MMIO));
	/* After a reset by whatever way it is put back to the host's address. */
	fake_pci_lose_state(f);
	wr(PCI_COMMAND, 2, 2);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), HOST_BAR | 0xc);
	vpci_deassign(&f->pci);
	assert_true(fake_p2m_empty(0x12c0000, 4));
}

static void test_bar_over_memory_of_the_guest(void **state)
{
	(void)state;
	fake_p2m_put(0x100, 0x10, 0x500, P2M_RAM);
	assign();
	wr(BAR(0), 4, 0x100000);
	wr(PCI_COMMAND, 2, 2);
	assert_true(fake_p2m_is(0x100, 0x10, 0x500, P2M_RAM));
	assert_int_equal(fake_log_lines, 1);
	wr(PCI_COMMAND, 2, 0);
	assert_true(fake_p2m_is(0x100, 0x10, 0x500, P2M_RAM));
}

static void test_bar_smaller_than_a_page(void **state)
{
	(void)state;
	/* A neighbour that belongs to somebody else may be in the rest of the page. */
	fake_pci_bar32(f, 3, 0x100, 0xf2000000);
	assign();
	wr(BAR(0), 4, GUEST_BAR);
	wr(BAR(3), 4, 0xd0000000);
	wr(PCI_COMMAND, 2, 2);
	assert_true(fake_p2m_is(GUEST_BAR >> 12, 4, HOST_BAR >> 12, P2M_MMIO));
	assert_true(fake_p2m_empty(0xd0000, 1));
	assert_int_equal(fake_log_lines, 1);
}

static void test_bridges_are_refused(void **state)
{
	(void)state;
	fake_pci_set(f, PCI_HEADER_TYPE, 1, PCI_HEADER_BRIDGE);
	fake_pci_set(f, BAR(0), 4, 0);
	fake_pci_set(f, BAR(1), 4, 0);
	assert_int_equal(vpci_assign_at(&f->pci, d, DEV), -EINVAL);
	assert_null(f->pci.vpci);
}

static void test_two_devices_at_one_place(void **state)
{
	struct fake_function *g = fake_pci_function(sbdf_make(0, 5, 0, 0));

	(void)state;
	fake_pci_know(g);
	assign();
	assert_int_equal(vpci_assign_at(&g->pci, d, DEV), -EEXIST);
	assert_int_equal(vpci_assign_at(&f->pci, d, sbdf_make(0, 0, 2, 0)), -EEXIST);
}

static void test_ports_of_the_chipset(void **state)
{
	(void)state;
	assert_int_equal(guest_in(0xcf9, 1), 0xff);
	guest_out(0xcf9, 1, 6);
	assert_int_equal(fake_port_count, 0);
}

/* ---- Capabilities ---- */

static void with_capabilities(void)
{
	fake_pci_cap(f, 0x40, 0x01, 0x50); /* power management: hidden */
	fake_pci_set(f, 0x44, 4, 0x8);
	fake_pci_mask(f, 0x44, 4, 0x3);
	fake_pci_msi(f, 0x50, 0x70, 2, true, true);
	fake_pci_cap(f, 0x70, 0x13, 0x80); /* advanced features: hidden */
	fake_pci_cap(f, 0x80, PCI_CAP_ID_PCIE, 0xc0);
	fake_pci_set(f, 0x82, 2, 2);
	fake_pci_set(f, 0x84, 4, 0x10008002);
	fake_pci_mask(f, 0x88, 2, 0xffff);
	f->write1[0x8a] = 0x0f;
	fake_pci_set(f, 0x8a, 2, 5);
	fake_pci_mask(f, 0x90, 2, 0xffff);
	fake_pci_cap(f, 0xc0, 0x09, 0xd0);
	fake_pci_set(f, 0xc2, 1, 8);
	fake_pci_set(f, 0xc4, 4, 0x11223344);
	fake_pci_mask(f, 0xc4, 4, 0xffffffff);
	fake_pci_msix(f, 0xd0, 0, 128, 0, 0x1000, 0, 0x2000);
}

static void test_capability_list(void **state)
{
	static const uint8_t want[][2] = {{0x50, PCI_CAP_ID_MSI},
					  {0x80, PCI_CAP_ID_PCIE},
					  {0xc0, 0x09},
					  {0xd0, PCI_CAP_ID_MSIX}};
	unsigned pos;

	(void)state;
	with_capabilities();
	assign();
	pos = rd(PCI_CAP_POINTER, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(pos, want[i][0]);
		assert_int_equal(rd(pos, 1), want[i][1]);
		pos = rd(pos + 1, 1);
	}
	assert_int_equal(pos, 0);
	/* The pointers cannot be written, what is hidden not at all. */
	wr(PCI_CAP_POINTER, 1, 0x40);
	assert_int_equal(rd(PCI_CAP_POINTER, 1), 0x50);
	wr(0x44, 4, 3);
	assert_int_equal(fake_pci_get(f, 0x44, 4), 8);
	assert_int_equal(rd(0x40, 4), 0);
	assert_int_equal(rd(0x44, 4), 0);
}

static void test_capability_contents(void **state)
{
	(void)state;
	with_capabilities();
	assign();
	/* PCI Express: no function reset; attributes of requests yes, payload size and error reporting no. */
	assert_int_equal(rd(0x82, 2), 2);
	assert_int_equal(rd(0x84, 4), 0x00008002);
	wr(0x88, 2, 0xffff);
	assert_int_equal(fake_pci_get(f, 0x88, 2), 0x7810);
	wr(0x8a, 2, 4);
	assert_int_equal(fake_pci_get(f, 0x8a, 2), 1);
	wr(0x90, 2, 0xffff);
	assert_int_equal(fake_pci_get(f, 0x90, 2), 0);
	/* Vendor's own: to look at. */
	assert_int_equal(rd(0xc4, 4), 0x11223344);
	wr(0xc4, 4, 0);
	assert_int_equal(fake_pci_get(f, 0xc4, 4), 0x11223344);
	assert_int_equal(rd(0xc8, 4), 0);
	/* MSI: pending bits. */
	fake_pci_set(f, 0x64, 4, 0x2);
	assert_int_equal(rd(0x64, 4), 2);
	assert_int_equal(rd(0xd4, 4), 0x1000);
}

static void test_no_extended_space(void **state)
{
	struct vpci *p = d->arch.vpci;

	(void)state;
	fake_pci_cap(f, 0x40, PCI_CAP_ID_PCIE, 0);
	fake_pci_ext_cap(f, 0x100, 1, 0);
	fake_pci_mask(f, 0x104, 4, 0xffffffff);
	assert_non_null(p);
	assert_int_equal(vpci_ecam_add(d, 0xe0000000, 0, 0, 0), 0);
	assign();
	assert_int_equal(guest_read(0xe0000000 + (1 << 15) + 0x100, 4), 0);
	guest_write(0xe0000000 + (1 << 15) + 0x104, 4, 5);
	assert_int_equal(fake_pci_get(f, 0x104, 4), 0);
	assert_int_equal(guest_read(0xe0000000 + (1 << 15), 4), 0x12348086);
	assert_int_equal(guest_read(0xe0000000 + (3 << 15) + (2 << 12), 4), 0xffffffff);
}

static void test_capability_list_with_a_loop(void **state)
{
	(void)state;
	fake_pci_cap(f, 0x40, 0x09, 0x50);
	fake_pci_set(f, 0x42, 1, 8);
	fake_pci_msi(f, 0x50, 0x40, 0, true, false);
	assign();
	assert_int_equal(rd(PCI_CAP_POINTER, 1), 0x40);
	assert_int_equal(rd(0x41, 1), 0x50);
	assert_int_equal(rd(0x51, 1), 0);
}

static void test_capability_that_points_to_itself(void **state)
{
	(void)state;
	fake_pci_cap(f, 0x40, 0x01, 0x40);
	assign();
	assert_int_equal(rd(PCI_CAP_POINTER, 1), 0);
}

static void test_capability_in_the_header(void **state)
{
	(void)state;
	f->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	f->config[PCI_CAP_POINTER] = 0x10;
	assign();
	assert_int_equal(rd(PCI_CAP_POINTER, 1), 0);
}

static void test_two_msi_capabilities(void **state)
{
	(void)state;
	fake_pci_msi(f, 0x50, 0x80, 0, true, false);
	fake_pci_msi(f, 0x80, 0, 0, true, false);
	assign();
	assert_int_equal(rd(PCI_CAP_POINTER, 1), 0x50);
	assert_int_equal(rd(0x51, 1), 0);
	wr(0x82, 2, 1);
	assert_int_equal(fake_pci_get(f, 0x82, 2) & 1, 0);
}

static void test_overlapping_capabilities(void **state)
{
	(void)state;
	/* MSI's data and MSI-X's control in one place: the device is not given, rather than given with a hole. */
	fake_pci_msi(f, 0x50, 0x58, 0, true, false);
	fake_pci_cap(f, 0x58, PCI_CAP_ID_MSIX, 0);
	assert_int_equal(vpci_assign_at(&f->pci, d, DEV), -EEXIST);
	assert_null(f->pci.vpci);
}

static void test_capability_at_the_end(void **state)
{
	(void)state;
	fake_pci_cap(f, 0xfc, PCI_CAP_ID_PCIE, 0);
	assign();
	assert_int_equal(rd(PCI_CAP_POINTER, 1), 0xfc);
	assert_int_equal(rd(0xfc, 2), PCI_CAP_ID_PCIE);
}

static void test_capability_of_the_vendor_at_the_end(void **state)
{
	(void)state;
	fake_pci_cap(f, 0xf8, 0x09, 0);
	fake_pci_set(f, 0xfa, 1, 0xff);
	fake_pci_set(f, 0xfc, 4, 0x99);
	assign();
	assert_int_equal(rd(0xfc, 4), 0x99);
}

/* ---- Interrupts ---- */

static void test_msix_of_a_guest(void **state)
{
	uint64_t table = GUEST_BAR + 0x1000;
	uint32_t address, data;

	(void)state;
	with_capabilities();
	assign();
	wr(BAR(0), 4, GUEST_BAR);
	wr(PCI_COMMAND, 2, 6);
	assert_true(fake_p2m_is(GUEST_BAR >> 12, 1, HOST_BAR >> 12, P2M_MMIO));
	assert_true(fake_p2m_empty((GUEST_BAR >> 12) + 1, 2));
	assert_true(fake_p2m_is((GUEST_BAR >> 12) + 3, 1, (HOST_BAR >> 12) + 3, P2M_MMIO));
	wr(0xd2, 2, 0x8000);
	/* As many vectors as the policy gives, not one more. */
	for (unsigned i = 0; i < 70; i++) {
		guest_write(table + i * 16, 4, 0xfee02000);
		guest_write(table + i * 16 + 8, 4, 0x30 + i);
		guest_write(table + i * 16 + 12, 4, 0);
	}
	assert_int_equal(fake_irqs_attached, 64);
	assert_int_equal(fake_log_lines, 6);
	memcpy(&address, &f->memory[0x1000], 4);
	memcpy(&data, &f->memory[0x1008], 4);
	assert_true(fake_message(address, data));
	assert_ptr_equal(fake_deliveries[0].d, d);
	assert_int_equal(fake_deliveries[0].m.dest, 2);
	assert_int_equal(fake_deliveries[0].m.vector, 0x30);
	/* What is left of the address space behind the last entry is the device's. */
	memcpy(&address, &f->memory[0x1000 + 65 * 16 + 12], 4);
	assert_int_equal(address & 1, 1);
}

static void test_virtual_function_of_a_guest(void **state)
{
	struct fake_function *pf = fake_pci_function(sbdf_make(0, 7, 0, 0)), *vf;

	(void)state;
	fake_pci_know(pf);
	fake_pci_cap(pf, 0x40, PCI_CAP_ID_PCIE, 0);
	fake_pci_ext_cap(pf, 0x100, 0x10, 0);
	fake_pci_mask(pf, 0x108, 2, 0x1f);
	fake_pci_set(pf, 0x114, 2, 1);
	fake_pci_set(pf, 0x116, 2, 1);
	fake_pci_set(pf, 0x11a, 2, 0x5678);
	fake_pci_set(pf, 0x124, 4, 0xf2000000);
	fake_pci_mask(pf, 0x124, 4, 0xffffc000);
	assert_int_equal(vpci_assign(&pf->pci, dom0), 0);
	fake_pci_set(pf, 0x108, 2, 9);
	fake_pci_set(pf, 0x110, 2, 4);
	vf = fake_pci_function(sbdf_make(0, 7, 0, 3));
	fake_pci_know(vf);
	fake_pci_set(vf, PCI_VENDOR, 4, 0xffffffff);
	fake_pci_mask(vf, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(vpci_assign_at(&vf->pci, d, DEV), 0);
	assert_int_equal(rd(PCI_VENDOR, 4), 0x56788086);
	/* To the guest it is a device with BARs and a memory enable bit. */
	assert_int_equal(guest_size_bar(DEV, BAR(0)), 0xffffc000);
	wr(BAR(0), 4, GUEST_BAR);
	assert_true(fake_p2m_empty(GUEST_BAR >> 12, 4));
	wr(PCI_COMMAND, 2, 6);
	assert_int_equal(rd(PCI_COMMAND, 2), 6);
	assert_int_equal(fake_pci_get(vf, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	assert_true(fake_p2m_is(GUEST_BAR >> 12, 4, 0xf2008, P2M_MMIO));
	wr(PCI_COMMAND, 2, 0);
	assert_true(fake_p2m_empty(GUEST_BAR >> 12, 4));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_header),
		T(test_command_bits),
		T(test_status_is_cleared_by_ones),
		T(test_bar),
		T(test_bar_over_memory_of_the_guest),
		T(test_bar_smaller_than_a_page),
		T(test_bridges_are_refused),
		T(test_two_devices_at_one_place),
		T(test_ports_of_the_chipset),
		T(test_capability_list),
		T(test_capability_contents),
		T(test_no_extended_space),
		T(test_capability_list_with_a_loop),
		T(test_capability_that_points_to_itself),
		T(test_capability_in_the_header),
		T(test_two_msi_capabilities),
		T(test_overlapping_capabilities),
		T(test_capability_at_the_end),
		T(test_capability_of_the_vendor_at_the_end),
		T(test_msix_of_a_guest),
		T(test_virtual_function_of_a_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
