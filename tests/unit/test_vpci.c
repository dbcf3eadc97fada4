// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of vPCI for the hardware domain: config access, command register, BARs, overlaps, steps.
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

#include <cmocka.h>

#include <arch/hvm_io.h>
#include <arch/machine.h>
#include <arch/vpci.h>
#include <bulkhead/errno.h>

#include "../../hypervisor/arch/x86/vpci/vpci_priv.h"
#include "fake_pci.h"

#define DEV    sbdf_make(0, 0, 3, 0)
#define DEV2   sbdf_make(0, 0, 4, 0)
#define BAR(n) (0x10 + (n)*4)

static struct domain *d;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_pci_reset();
	d = fake_domain(true, 2);
	fake_run_as(d->vcpus[0]);
	assert_int_equal(vpci_domain_init(d), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vpci_domain_finish(d);
	fake_domain_free(d);
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(fake_irqs_attached, 0);
	assert_int_equal(fake_irqs_mapped, 0);
	assert_int_equal(fake_p2m_batches, 0);
	return 0;
}

static struct fake_function *known(sbdf_t s)
{
	struct fake_function *f = fake_pci_function(s);

	fake_pci_know(f);
	return f;
}

static void assign(struct fake_function *f)
{
	assert_int_equal(vpci_assign(&f->pci, d), 0);
}

static void set_command(sbdf_t s, uint32_t value)
{
	guest_conf_write(s, PCI_COMMAND, 2, value);
}

/* ---- Access ---- */

static void test_passes_through_what_has_no_handler(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	assign(f);
	assert_int_equal(guest_conf_read(DEV, PCI_VENDOR, 4), 0x12348086);
	assert_int_equal(guest_conf_read(DEV, 0x2c, 4), 0xabcd1af4);
	assert_int_equal(guest_conf_read(DEV, 0x2e, 2), 0xabcd);
	assert_int_equal(guest_conf_read(DEV, 0x2d, 1), 0x1a);
	guest_conf_write(DEV, 0x3c, 1, 0x0b);
	assert_int_equal(fake_pci_get(f, 0x3c, 1), 0x0b);
	assert_int_equal(guest_conf_read(sbdf_make(0, 0, 9, 0), PCI_VENDOR, 4), 0xffffffff);
}

static void test_address_port(void **state)
{
	(void)state;
	guest_out(0xcf8, 4, 0xffffffff);
	assert_int_equal(guest_in(0xcf8, 4), 0x80fffffc);
	/* Not enabled: the data port answers for nothing. */
	known(DEV);
	guest_out(0xcf8, 4, sbdf_bdf(DEV) << 8);
	assert_int_equal(guest_in(0xcfc, 4), 0xffffffff);
	assert_int_equal(guest_in(0xcfc, 2), 0xffff);
	guest_out(0xcfc, 4, 0);
	/* Smaller accesses are the chipset's, if the domain may have them. */
	assert_int_equal(fake_port_count, 0);
	guest_out(0xcf9, 1, 6);
	assert_int_equal(fake_port_count, 0);
	hvm_port_allow(d, 0xcf9, 0xcf9, true);
	guest_out(0xcf9, 1, 6);
	assert_int_equal(fake_port_count, 1);
	assert_int_equal(fake_port_log[0].port, 0xcf9);
	assert_int_equal(fake_port_log[0].value, 6);
	assert_int_equal(guest_in(0xcf9, 1), 6);
	assert_int_equal(guest_in(0xcf8, 4), sbdf_bdf(DEV) << 8);
}

static void test_access_of_several_registers(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_set(f, PCI_STATUS, 2, 0x8010);
	assign(f);
	/* Command (handler) and status (plain) in one access, as Linux restores them. */
	guest_conf_write(DEV, PCI_COMMAND, 4, 0x80000004);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 4);
	assert_int_equal(fake_pci_get(f, PCI_STATUS, 2), 0x0010);
	assert_int_equal(guest_conf_read(DEV, PCI_COMMAND, 4), 0x00100004);
	/* Half a handler's register. */
	guest_conf_write(DEV, PCI_COMMAND + 1, 1, 4);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 0x0404);
	assert_int_equal(guest_conf_read(DEV, PCI_COMMAND + 1, 1), 4);
}

static void test_ecam(void **state)
{
	struct fake_function *f = known(sbdf_make(0, 2, 3, 1));
	uint64_t base = 0xe0000000, at = base + (2 << 20) + (3 << 15) + (1 << 12);

	(void)state;
	fake_pci_set(f, 0x100, 4, 0xdeadbeef);
	fake_pci_mask(f, 0x104, 4, ~0U);
	assign(f);
	assert_int_equal(vpci_ecam_add(d, base, 0, 0, 15), 0);
	assert_int_equal(guest_read(at, 4), 0x12348086);
	assert_int_equal(guest_read(at + 0x100, 4), 0xdeadbeef);
	assert_int_equal(guest_read(at + 0x2c, 8), 0x00000000abcd1af4 | 0);
	guest_write(at + 0x100, 8, 0x1122334455667788);
	assert_int_equal(fake_pci_get(f, 0x104, 4), 0x11223344);
	guest_write(at + 0x105, 1, 0xaa);
	assert_int_equal(fake_pci_get(f, 0x104, 4), 0x1122aa44);
	/* Across the end of a function: the next one has nothing. */
	assert_int_equal(guest_read(at + 0xffc, 8), 0xffffffff00000000);
	/* Misaligned, as nobody does it. */
	assert_int_equal(guest_read(at + 1, 4), 0x00123480);
	/* The same window again, part of it, and one that collides. */
	assert_int_equal(vpci_ecam_add(d, base, 0, 0, 15), 0);
	assert_int_equal(vpci_ecam_add(d, base, 0, 4, 7), 0);
	assert_int_equal(vpci_ecam_add(d, base, 1, 0, 15), -EEXIST);
	assert_int_equal(vpci_ecam_add(d, base + 4096, 0, 0, 15), -EINVAL);
	assert_int_equal(vpci_ecam_add(d, base, 0, 3, 2), -EINVAL);
	/* A second segment is another space. */
	assert_int_equal(vpci_ecam_add(d, 0xd0000000, 1, 0, 0), 0);
	assert_int_equal(guest_read(0xd0000000, 4), 0xffffffff);
}

static void test_ecam_window_that_was_mapped(void **state)
{
	(void)state;
	fake_p2m_put(0xe0000, 0x1000, 0xe0000, P2M_MMIO);
	assert_int_equal(vpci_ecam_add(d, 0xe0000000, 0, 0, 15), 0);
	assert_true(fake_p2m_empty(0xe0000, 0x1000));
}

/* Memory of the domain has references: a window does not take it out of the map. */
static void test_ecam_window_over_memory(void **state)
{
	(void)state;
	fake_p2m_put(0xe0000, 0x800, 0xe0000, P2M_MMIO);
	fake_p2m_put(0xe0fff, 1, 0x77, P2M_GRANT_RW);
	assert_int_equal(vpci_ecam_add(d, 0xe0000000, 0, 0, 15), -EBUSY);
	assert_true(fake_p2m_is(0xe0000, 0x800, 0xe0000, P2M_MMIO));
	assert_true(fake_p2m_is(0xe0fff, 1, 0x77, P2M_GRANT_RW));
	/* Not there: nothing traps. */
	assert_int_equal(vpci_ecam_add(d, 0xe0000000, 0, 0, 14), 0);
	assert_true(fake_p2m_empty(0xe0000, 0x800));
	assert_true(fake_p2m_is(0xe0fff, 1, 0x77, P2M_GRANT_RW));
}

/* What the domain has put where a part of a BAR could not be mapped stays there when the BAR goes. */
static void test_memory_amid_a_bar(void **state)
{
	(void)state;
	fake_p2m_put(0xe0200, 0x100, 0xe0200, P2M_MMIO);
	fake_p2m_put(0xe0301, 1, 0x77, P2M_RAM);
	fake_p2m_put(0xe0302, 0xfe, 0xe0302, P2M_MMIO);
	vpci_clear(d, 0xe0200, 0x200);
	assert_true(fake_p2m_is(0xe0301, 1, 0x77, P2M_RAM));
	assert_true(fake_p2m_empty(0xe0200, 0x101));
	assert_true(fake_p2m_empty(0xe0302, 0xfe));
}

static void test_hidden_devices(void **state)
{
	struct fake_function *f = known(DEV), *g = known(sbdf_make(0, 0, 4, 0));

	(void)state;
	f->pci.hidden = g->pci.hidden = true;
	fake_pci_set(g, PCI_HEADER_TYPE, 1, PCI_HEADER_MULTI);
	fake_pci_mask(f, 0x40, 4, ~0U);
	assert_int_equal(vpci_assign(&f->pci, d), -EPERM);
	assert_int_equal(guest_conf_read(DEV, PCI_VENDOR, 4), 0xffffffff);
	assert_int_equal(guest_conf_read(DEV, PCI_COMMAND, 2), 0xffff);
	guest_conf_write(DEV, 0x40, 4, 5);
	assert_int_equal(fake_pci_get(f, 0x40, 4), 0);
	/* Function 0 of several leads to the others, but nothing can be done with it. */
	assert_int_equal(guest_conf_read(g->pci.sbdf, PCI_VENDOR, 4), 0xfffe8086);
	assert_int_equal(guest_conf_read(g->pci.sbdf, PCI_HEADER_TYPE, 1), PCI_HEADER_MULTI);
	assert_int_equal(guest_conf_read(g->pci.sbdf, PCI_CLASS_BASE, 1), 0xff);
	assert_int_equal(guest_conf_read(g->pci.sbdf, BAR(0), 4), 0);
	assert_int_equal(guest_conf_read(g->pci.sbdf, PCI_CAP_POINTER, 1), 0);
}

static void test_unknown_devices_are_reached_raw(void **state)
{
	struct fake_function *f = fake_pci_function(DEV);

	(void)state;
	fake_pci_bar32(f, 0, 0x1000, 0xf0000000);
	assert_int_equal(guest_conf_read(DEV, PCI_VENDOR, 4), 0x12348086);
	assert_int_equal(guest_size_bar(DEV, BAR(0)), 0xfffff000);
	/* Once known and another domain's, they are not. */
	fake_pci_know(f);
	struct domain *other = fake_domain(false, 1);

	assert_int_equal(vpci_domain_init(other), 0);
	assert_int_equal(vpci_assign_at(&f->pci, other, sbdf_make(0, 0, 1, 0)), 0);
	assert_int_equal(guest_conf_read(DEV, PCI_VENDOR, 4), 0xffffffff);
	guest_conf_write(DEV, 0x3c, 1, 7);
	assert_int_equal(fake_pci_get(f, 0x3c, 1), 0);
	vpci_domain_finish(other);
	hardware_domain = NULL;
	fake_domain_free(other);
	hardware_domain = d;
	assert_int_equal(guest_conf_read(DEV, PCI_VENDOR, 4), 0x12348086);
}

/* Nobody has checked its addresses: it must not come to answer at that of the IOMMU, or of memory. */
static void test_unassigned_devices_do_not_move(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_bar32(f, 0, 0x1000, 0xf0000000);
	fake_pci_rom(f, 0x30, 0x1000, 0xf0010000);
	fake_pci_mask(f, PCI_COMMAND, 2, 0x407);
	assign(f);
	guest_conf_write(DEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vpci_deassign(&f->pci);
	/* It decodes as before, so it stays; bus mastering went with the assignment. */
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	guest_conf_write(DEV, BAR(0), 4, 0xfed90000);
	guest_conf_write(DEV, 0x30, 4, 0xfed90001);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xf0000000);
	assert_int_equal(fake_pci_get(f, 0x30, 4) & ~1U, 0xf0010000);
	/* As Linux sizes BARs: decoding goes, and does not come back. */
	guest_conf_write(DEV, PCI_COMMAND, 2, 0x400);
	assert_int_equal(guest_size_bar(DEV, BAR(0)), 0xfffff000);
	guest_conf_write(DEV, BAR(0), 4, 0xfed90000);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xfed90000);
	guest_conf_write(DEV, PCI_COMMAND, 2, 0x407);
	guest_conf_write(DEV, PCI_COMMAND, 1, 7);
	guest_conf_write(DEV, PCI_COMMAND, 4, 7);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2) & 7, 0);
	guest_conf_write(DEV, PCI_COMMAND, 2, 0x400);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 0x400);
	/* Assigned again, at a place where it may be, it is switched on. */
	guest_conf_write(DEV, BAR(0), 4, 0xf0000000);
	assign(f);
	guest_conf_write(DEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(fake_p2m_is(0xf0000, 1, 0xf0000, P2M_MMIO));
}

/* The numbers and windows of a bridge are no addresses of its own. */
static void test_unassigned_bridges_are_numbered(void **state)
{
	struct fake_function *f = fake_pci_function(DEV);

	(void)state;
	fake_pci_set(f, PCI_HEADER_TYPE, 1, PCI_HEADER_BRIDGE);
	fake_pci_set(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	fake_pci_mask(f, 0x10, 4, ~0U);
	fake_pci_mask(f, 0x18, 4, ~0U);
	fake_pci_mask(f, 0x38, 4, ~0U);
	guest_conf_write(DEV, 0x18, 4, 0x00030201);
	assert_int_equal(fake_pci_get(f, 0x18, 4), 0x00030201);
	guest_conf_write(DEV, 0x10, 4, 0xfed90000);
	guest_conf_write(DEV, 0x38, 4, 0xfed90001);
	assert_int_equal(fake_pci_get(f, 0x10, 4), 0);
	assert_int_equal(fake_pci_get(f, 0x38, 4), 0);
}

static void test_assigned_once(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	assign(f);
	assert_int_equal(vpci_assign(&f->pci, d), -EEXIST);
	vpci_deassign(&f->pci);
	vpci_deassign(&f->pci);
	assert_null(f->pci.vpci);
	assign(f);
}

/* ---- BARs ---- */

static void test_bar_sizes(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_bar32(f, 0, 0x2000, 0xf0000000);
	fake_pci_io(f, 1, 0x20, 0xc000);
	fake_pci_bar64(f, 2, 0x400000000, 0x800000000);
	fake_pci_bar32(f, 5, 0x10, 0xf0002000);
	fake_pci_rom(f, 0x30, 0x10000, 0xf0100000);
	fake_pci_set(f, PCI_COMMAND, 2, 3);
	assign(f);
	/* Found without a trace, and with decoding off in between. */
	assert_int_equal(f->bar_writes_while_decoding, 0);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xf0000000);
	assert_int_equal(fake_pci_get(f, BAR(3), 4), 8);
	assert_int_equal(fake_pci_get(f, 0x30, 4), 0xf0100000);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 3);
	/* As Linux sizes them: decoding off, all at once, decoding on. */
	set_command(DEV, 0);
	assert_int_equal(guest_size_bar(DEV, BAR(0)), 0xffffe000);
	assert_int_equal(guest_size_bar(DEV, BAR(1)), 0x0000ffe1);
	assert_int_equal(guest_size_bar(DEV, BAR(2)), 0x0000000c);
	assert_int_equal(guest_size_bar(DEV, BAR(3)), 0xfffffffc);
	assert_int_equal(guest_size_bar(DEV, BAR(4)), 0);
	assert_int_equal(guest_size_bar(DEV, BAR(5)), 0xfffffff0);
	guest_conf_write(DEV, 0x30, 4, 0xfffff800);
	assert_int_equal(guest_conf_read(DEV, 0x30, 4), 0xffff0000);
	guest_conf_write(DEV, 0x30, 4, 0xf0100000);
	set_command(DEV, 3);
	assert_int_equal(f->bar_writes_while_decoding, 0);
	assert_true(fake_p2m_is(0xf0000, 3, 0xf0000, P2M_MMIO));
	assert_true(fake_p2m_is(0x800000, 0x400, 0x800000, P2M_MMIO));
	assert_true(fake_p2m_empty(0xf0100, 16)); /* the ROM is not enabled */
}

static void test_sizing_while_decoding(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_bar32(f, 0, 0x4000, 0xf0000000);
	fake_pci_bar64(f, 2, 0x10000, 0xf1000000);
	fake_pci_set(f, PCI_COMMAND, 2, 2);
	assign(f);
	assert_true(fake_p2m_is(0xf0000, 4, 0xf0000, P2M_MMIO));
	/* Linux leaves decoding on for some bridges; the device must not notice. */
	assert_int_equal(guest_size_bar(DEV, BAR(0)), 0xffffc000);
	assert_int_equal(guest_size_bar(DEV, BAR(2)), 0xffff000c);
	assert_int_equal(guest_size_bar(DEV, BAR(3)), 0xffffffff);
	assert_int_equal(f->bar_writes_while_decoding, 0);
	assert_true(fake_p2m_is(0xf0000, 4, 0xf0000, P2M_MMIO));
	assert_int_equal(guest_conf_read(DEV, BAR(0), 4), 0xf0000000);
	set_command(DEV, 6);
	assert_int_equal(f->bar_writes_while_decoding, 0);
}

static void test_bar_moves_when_decoding_is_off(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_bar64(f, 0, 0x4000, 0xf0000000);
	fake_pci_set(f, PCI_COMMAND, 2, 2);
	assign(f);
	/* A write with decoding on waits. */
	guest_conf_write(DEV, BAR(0), 4, 0xf4000000);
	assert_int_equal(guest_conf_read(DEV, BAR(0), 4), 0xf400000c);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xf000000c);
	assert_true(fake_p2m_is(0xf0000, 4, 0xf0000, P2M_MMIO));
	assert_true(fake_p2m_empty(0xf4000, 4));
	/* The bus master bit alone does not make it effective. */
	set_command(DEV, 6);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xf000000c);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 6);
	set_command(DEV, 4);
	assert_true(fake_p2m_empty(0xf0000, 4));
	guest_conf_write(DEV, BAR(0), 4, 0x10000000);
	guest_conf_write(DEV, BAR(1), 4, 0x20);
	set_command(DEV, 6);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0x1000000c);
	assert_int_equal(fake_pci_get(f, BAR(1), 4), 0x20);
	assert_true(fake_p2m_is(0x2010000, 4, 0x2010000, P2M_MMIO));
	assert_int_equal(f->bar_writes_while_decoding, 0);
	vpci_deassign(&f->pci);
	assert_true(fake_p2m_empty(0x2010000, 4));
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2) & PCI_COMMAND_MASTER, 0);
}

static void test_32_bit_bar_moves_while_decoding(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_bar32(f, 0, 0x4000, 0xf0000000);
	fake_pci_set(f, PCI_COMMAND, 2, 2);
	assign(f);
	/* Sized and moved in one go, as Linux does with a device that comes back. */
	assert_int_equal(guest_size_bar(DEV, BAR(0)), 0xffffc000);
	assert_int_equal(f->bar_writes_while_decoding, 0);
	guest_conf_write(DEV, BAR(0), 4, 0xf4000000);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xf4000000);
	assert_true(fake_p2m_empty(0xf0000, 4));
	assert_true(fake_p2m_is(0xf4000, 4, 0xf4000, P2M_MMIO));
	/* To where it may not be, and away from there. */
	guest_conf_write(DEV, BAR(0), 4, 0x00100000);
	assert_true(fake_p2m_empty(0xf4000, 4));
	assert_int_equal(fake_log_lines, 1);
	guest_conf_write(DEV, BAR(0), 4, 0xf8000000);
	assert_true(fake_p2m_is(0xf8000, 4, 0xf8000, P2M_MMIO));
	assert_int_equal(f->bar_writes_while_decoding, 3);
	/* Less than a page further. */
	fake_pci_bar32(f, 1, 0x100, 0xf9000000);
	vpci_deassign(&f->pci);
	assign(f);
	guest_conf_write(DEV, BAR(1), 4, 0xf9000200);
	assert_int_equal(fake_pci_get(f, BAR(1), 4), 0xf9000200);
	assert_true(fake_p2m_is(0xf9000, 1, 0xf9000, P2M_MMIO));
}

static void test_rom(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_rom(f, 0x30, 0x10000, 0xf0100000);
	fake_pci_set(f, PCI_COMMAND, 2, 2);
	assign(f);
	assert_true(fake_p2m_empty(0xf0100, 16));
	guest_conf_write(DEV, 0x30, 4, 0xf0100001);
	assert_true(fake_p2m_is(0xf0100, 16, 0xf0100, P2M_MMIO));
	assert_int_equal(fake_pci_get(f, 0x30, 4), 0xf0100001);
	set_command(DEV, 0);
	assert_true(fake_p2m_empty(0xf0100, 16));
	set_command(DEV, 2);
	assert_true(fake_p2m_is(0xf0100, 16, 0xf0100, P2M_MMIO));
	/* Moved while enabled. */
	guest_conf_write(DEV, 0x30, 4, 0xf0300001);
	assert_true(fake_p2m_empty(0xf0100, 16));
	assert_true(fake_p2m_is(0xf0300, 16, 0xf0300, P2M_MMIO));
	guest_conf_write(DEV, 0x30, 4, 0xf0300000);
	assert_true(fake_p2m_empty(0xf0300, 16));
	assert_int_equal(fake_pci_get(f, 0x30, 4) & 1, 0);
	/* Enabled while decoding is off. */
	set_command(DEV, 0);
	guest_conf_write(DEV, 0x30, 4, 0xf0200001);
	assert_true(fake_p2m_empty(0xf0200, 16));
	set_command(DEV, 2);
	assert_true(fake_p2m_is(0xf0200, 16, 0xf0200, P2M_MMIO));
	assert_int_equal(fake_pci_get(f, 0x30, 4), 0xf0200001);
	set_command(DEV, 0);
	guest_conf_write(DEV, 0x30, 4, 0);
	assert_int_equal(fake_pci_get(f, 0x30, 4), 0xf0200000);
}

static void test_bridge(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_set(f, PCI_HEADER_TYPE, 1, PCI_HEADER_BRIDGE);
	fake_pci_bar32(f, 0, 0x1000, 0xf0000000);
	fake_pci_set(f, PCI_PRIMARY_BUS, 4, 0x00020100);
	fake_pci_mask(f, PCI_PRIMARY_BUS, 4, 0x00ffffff);
	fake_pci_mask(f, 0x20, 4, 0xfff0fff0);
	fake_pci_rom(f, 0x38, 0x800, 0xf0001000);
	fake_pci_set(f, PCI_COMMAND, 2, 2);
	assign(f);
	assert_true(fake_p2m_is(0xf0000, 1, 0xf0000, P2M_MMIO));
	/* Bus numbers and windows are where type 0 has BARs. */
	guest_conf_write(DEV, PCI_PRIMARY_BUS, 4, 0x00030200);
	assert_int_equal(fake_pci_get(f, PCI_PRIMARY_BUS, 4), 0x00030200);
	guest_conf_write(DEV, 0x20, 4, 0xe000e000);
	assert_int_equal(guest_conf_read(DEV, 0x20, 4), 0xe000e000);
	guest_conf_write(DEV, 0x38, 4, 0xf0001001);
	assert_true(fake_p2m_is(0xf0001, 1, 0xf0001, P2M_MMIO));
}

static void test_malformed_bars(void **state)
{
	struct fake_function *f = known(DEV), *g = known(DEV2);

	(void)state;
	/* The upper half of a 64-bit BAR would be the CardBus pointer; reserved type; all bits writable. */
	fake_pci_set(f, BAR(5), 4, 0xf0000004);
	fake_pci_mask(f, BAR(5), 4, 0xfff00000);
	fake_pci_set(f, BAR(0), 4, 0xf1000006);
	fake_pci_mask(f, BAR(0), 4, 0xfff00000);
	fake_pci_set(f, BAR(1), 4, 0x80000000);
	fake_pci_mask(f, BAR(1), 4, 0x80000000);
	fake_pci_set(f, PCI_COMMAND, 2, 2);
	assign(f);
	assert_true(fake_p2m_empty(0xf0000, 0x100));
	assert_true(fake_p2m_empty(0xf1000, 0x100));
	/* 2 GiB up to 4 GiB: the message window is among them. */
	assert_true(fake_p2m_empty(0x80000, 0x100));
	assert_int_equal(fake_log_lines, 1);
	/* A header that does not exist. */
	fake_pci_set(g, PCI_HEADER_TYPE, 1, 5);
	fake_pci_bar32(g, 0, 0x1000, 0xf0000000);
	fake_pci_set(g, PCI_COMMAND, 2, 2);
	assign(g);
	assert_true(fake_p2m_empty(0xf0000, 1));
}

static void test_decode_after_a_reset_of_the_device(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_bar64(f, 0, 0x4000, 0x1f0000000);
	fake_pci_set(f, PCI_COMMAND, 2, 6);
	assign(f);
	fake_pci_lose_state(f);
	/* Linux finds the BARs unchanged (it reads ours) and restores the command register. */
	assert_int_equal(guest_conf_read(DEV, BAR(0), 4), 0xf000000c);
	assert_int_equal(guest_conf_read(DEV, PCI_COMMAND, 2), 0);
	set_command(DEV, 6);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xf000000c);
	assert_int_equal(fake_pci_get(f, BAR(1), 4), 1);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 6);
	assert_int_equal(f->bar_writes_while_decoding, 0);
	assert_true(fake_p2m_is(0x1f0000, 4, 0x1f0000, P2M_MMIO));
}

static void test_resizable_bar(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_cap(f, 0x40, PCI_CAP_ID_PCIE, 0);
	fake_pci_ext_cap(f, 0x100, 0x0b, 0x140);
	fake_pci_ext_cap(f, 0x140, 0x15, 0);
	fake_pci_set(f, 0x148, 4, 1 << 5 | 0);
	fake_pci_mask(f, 0x148, 4, 0x3f00);
	fake_pci_bar64(f, 0, 0x1000000, 0x800000000);
	fake_pci_set(f, PCI_COMMAND, 2, 2);
	assert_int_equal(vpci_ecam_add(d, 0xe0000000, 0, 0, 0), 0);
	assign(f);
	/* Not while it decodes. */
	guest_write(0xe0000000 + (3 << 15) + 0x148, 4, 0x0500);
	assert_int_equal(fake_pci_get(f, 0x148, 4), 1 << 5);
	set_command(DEV, 0);
	fake_pci_bar64(f, 0, 0x2000000, 0x800000000);
	guest_write(0xe0000000 + (3 << 15) + 0x148, 4, 0x0500);
	assert_int_equal(guest_read(0xe0000000 + (3 << 15) + 0x148, 4), 0x0520);
	set_command(DEV, 2);
	assert_true(fake_p2m_is(0x800000, 0x2000, 0x800000, P2M_MMIO));
	assert_int_equal(guest_size_bar(DEV, BAR(0)), 0xfe00000c);
}

static void test_extended_capability_loop(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_cap(f, 0x40, PCI_CAP_ID_PCIE, 0x40);
	fake_pci_ext_cap(f, 0x100, 1, 0x200);
	fake_pci_ext_cap(f, 0x200, 2, 0x100);
	assign(f);
}

/* ---- What may not be mapped ---- */

static void refused(uint32_t address, uint32_t size)
{
	struct fake_function *f = known(DEV);
	unsigned lines = fake_log_lines;

	fake_pci_bar32(f, 0, size, address);
	fake_pci_bar32(f, 1, 0x1000, 0xf8000000);
	/* By the firmware. */
	fake_pci_set(f, PCI_COMMAND, 2, 2);
	assign(f);
	assert_true(fake_p2m_empty(address >> 12, size >> 12));
	assert_int_equal(fake_log_lines, lines + 1);
	/* The others of the device are. */
	assert_true(fake_p2m_is(0xf8000, 1, 0xf8000, P2M_MMIO));
	/* Said once. */
	set_command(DEV, 0);
	set_command(DEV, 2);
	assert_int_equal(fake_log_lines, lines + 1);
	/* And repaired by a better address. */
	set_command(DEV, 0);
	guest_conf_write(DEV, BAR(0), 4, 0xf4000000);
	set_command(DEV, 2);
	assert_true(fake_p2m_is(0xf4000, size >> 12, 0xf4000, P2M_MMIO));
}

static void test_bar_over_ram(void **state)
{
	(void)state;
	refused(0x00100000, 0x1000);
}
static void test_bar_over_image(void **state)
{
	(void)state;
	machine_map.nr = 1;
	machine_map.r[0] = (struct memmap_region){0x10000000, 0x20000000, MEMMAP_RAM};
	refused(0x18000000, 0x1000);
}
static void test_bar_over_ioapic(void **state)
{
	(void)state;
	ioapic_count = 1;
	ioapics[0].paddr = 0xfec00000;
	refused(0xfec00000, 0x4000);
}
static void test_bar_over_msi_window(void **state)
{
	(void)state;
	refused(0xfee00000, 0x1000);
}
static void test_bar_over_iommu(void **state)
{
	(void)state;
	fake_iommu_page = 0xfed90;
	refused(0xfed80000, 0x20000);
}
static void test_bar_over_ecam(void **state)
{
	(void)state;
	fake_ecam_page = 0xe0007;
	refused(0xe0000000, 0x10000);
}
/* The real device stays where it was, with decoding off as well as on. */
static void not_moved(uint32_t address)
{
	struct fake_function *f = known(DEV);

	fake_pci_bar32(f, 0, 0x20000, 0xf0000000);
	assign(f);
	guest_conf_write(DEV, BAR(0), 4, address);
	set_command(DEV, 2);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xf0000000);
	assert_int_equal(guest_conf_read(DEV, BAR(0), 4), address);
	assert_int_equal(fake_p2m_changes, 0);
	assert_int_equal(fake_log_lines, 1);
	guest_conf_write(DEV, BAR(0), 4, 0xf4000000);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xf4000000);
	assert_true(fake_p2m_is(0xf4000, 32, 0xf4000, P2M_MMIO));
	guest_conf_write(DEV, BAR(0), 4, address);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xf4000000);
	assert_true(fake_p2m_empty(0xf4000, 32));
	assert_true(fake_p2m_empty(address >> 12, 32));
	set_command(DEV, 0);
	guest_conf_write(DEV, BAR(0), 4, 0xf4000000);
	set_command(DEV, 2);
	assert_true(fake_p2m_is(0xf4000, 32, 0xf4000, P2M_MMIO));
}

static void test_bar_does_not_move_over_ram(void **state)
{
	(void)state;
	machine_map.nr = 1;
	machine_map.r[0] = (struct memmap_region){0x10000000, 0x20000000, MEMMAP_RAM};
	not_moved(0x1ffe0000);
}
static void test_bar_does_not_move_over_ioapic(void **state)
{
	(void)state;
	ioapic_count = 1;
	ioapics[0].paddr = 0xfec00000;
	not_moved(0xfec00000);
}
static void test_bar_does_not_move_over_msi_window(void **state)
{
	(void)state;
	not_moved(0xfeee0000);
}
static void test_bar_does_not_move_over_iommu(void **state)
{
	(void)state;
	fake_iommu_page = 0xfed90;
	not_moved(0xfed80000);
}
static void test_bar_does_not_move_over_ecam(void **state)
{
	(void)state;
	fake_ecam_page = 0xe0007;
	not_moved(0xe0000000);
}

static void test_moved_while_nobodys(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_iommu_page = 0xfed90;
	fake_pci_bar32(f, 0, 0x20000, 0xf0000000);
	fake_pci_mask(f, PCI_COMMAND, 2, 7);
	guest_conf_write(DEV, BAR(0), 4, 0xfed80000);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xfed80000);
	assign(f);
	set_command(DEV, 6);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 4);
	assert_int_equal(guest_conf_read(DEV, PCI_COMMAND, 2), 4);
	assert_int_equal(fake_p2m_changes, 0);
	set_command(DEV, 6);
	assert_int_equal(fake_log_lines, 1);
	guest_conf_write(DEV, BAR(0), 4, 0xf0000000);
	set_command(DEV, 6);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 6);
	assert_int_equal(fake_pci_get(f, BAR(0), 4), 0xf0000000);
	assert_true(fake_p2m_is(0xf0000, 32, 0xf0000, P2M_MMIO));
}

static void test_rom_moved_while_nobodys(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_iommu_page = 0xfed90;
	fake_pci_rom(f, 0x30, 0x10000, 0xfed90000);
	assign(f);
	set_command(DEV, 2);
	guest_conf_write(DEV, 0x30, 4, 0xfed90001);
	assert_int_equal(fake_pci_get(f, 0x30, 4), 0xfed90000);
	assert_int_equal(fake_p2m_changes, 0);
	guest_conf_write(DEV, 0x30, 4, 0xf0100001);
	assert_int_equal(fake_pci_get(f, 0x30, 4), 0xf0100001);
	assert_true(fake_p2m_is(0xf0100, 16, 0xf0100, P2M_MMIO));
}

static void test_bar_grows_over_iommu(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_iommu_page = 0x801800;
	fake_pci_cap(f, 0x40, PCI_CAP_ID_PCIE, 0);
	fake_pci_ext_cap(f, 0x100, 0x15, 0);
	fake_pci_set(f, 0x108, 4, 1 << 5 | 0);
	fake_pci_mask(f, 0x108, 4, 0x3f00);
	fake_pci_bar64(f, 0, 0x1000000, 0x800000000);
	fake_pci_set(f, PCI_COMMAND, 2, 2);
	assert_int_equal(vpci_ecam_add(d, 0xe0000000, 0, 0, 0), 0);
	assign(f);
	set_command(DEV, 0);
	fake_pci_bar64(f, 0, 0x2000000, 0x800000000);
	guest_write(0xe0000000 + (3 << 15) + 0x108, 4, 0x0500);
	set_command(DEV, 2);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 0);
	guest_conf_write(DEV, BAR(1), 4, 9);
	set_command(DEV, 2);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 2);
	assert_true(fake_p2m_is(0x900000, 0x2000, 0x900000, P2M_MMIO));
}

static void test_bar_over_memory_of_the_domain(void **state)
{
	(void)state;
	fake_p2m_put(0xf0003, 1, 0x999, P2M_FOREIGN);
	struct fake_function *f = known(DEV);

	fake_pci_bar32(f, 0, 0x8000, 0xf0000000);
	assign(f);
	set_command(DEV, 2);
	assert_int_equal(fake_log_lines, 1);
	assert_true(fake_p2m_empty(0xf0000, 3));
	assert_true(fake_p2m_is(0xf0003, 1, 0x999, P2M_FOREIGN));
	set_command(DEV, 0);
	assert_true(fake_p2m_is(0xf0003, 1, 0x999, P2M_FOREIGN));
}

static void test_bar_at_the_end_of_the_address_space(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_bar64(f, 0, 0x4000, 0);
	assign(f);
	guest_conf_write(DEV, BAR(0), 4, ~0U);
	guest_conf_write(DEV, BAR(1), 4, ~0U);
	set_command(DEV, 2);
	assert_int_equal(fake_p2m_changes, 0);
	assert_int_equal(fake_log_lines, 1);
}

/* ---- Overlaps ---- */

static void test_small_bars_share_a_page(void **state)
{
	struct fake_function *f = known(DEV), *g = known(DEV2);

	(void)state;
	fake_pci_bar32(f, 0, 0x800, 0xf0000000);
	fake_pci_bar32(f, 1, 0x400, 0xf0000c00);
	fake_pci_bar32(g, 0, 0x400, 0xf0000800);
	assign(f);
	assign(g);
	set_command(DEV, 2);
	set_command(DEV2, 2);
	assert_true(fake_p2m_is(0xf0000, 1, 0xf0000, P2M_MMIO));
	set_command(DEV, 0);
	assert_true(fake_p2m_is(0xf0000, 1, 0xf0000, P2M_MMIO));
	set_command(DEV2, 0);
	assert_true(fake_p2m_empty(0xf0000, 1));
}

static void test_overlap_in_the_middle(void **state)
{
	struct fake_function *f = known(DEV), *g = known(DEV2);

	(void)state;
	/* What dom0 makes of them for a moment while it moves things round. */
	fake_pci_bar32(f, 0, 0x100000, 0xf0000000);
	fake_pci_bar32(g, 0, 0x2000, 0xf0008000);
	fake_pci_bar32(g, 1, 0x1000, 0xf0009000);
	assign(f);
	assign(g);
	set_command(DEV, 2);
	set_command(DEV2, 2);
	set_command(DEV, 0);
	assert_true(fake_p2m_empty(0xf0000, 8));
	assert_true(fake_p2m_is(0xf0008, 2, 0xf0008, P2M_MMIO));
	assert_true(fake_p2m_empty(0xf000a, 0xf6));
	vpci_deassign(&g->pci);
	assert_true(fake_p2m_empty(0xf0000, 0x100));
}

/* ---- Steps ---- */

static void test_large_bar_in_superpages(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_bar64(f, 0, 16ULL << 30, 0x1000000000);
	assign(f);
	fake_p2m_changes = 0;
	set_command(DEV, 2);
	assert_int_equal(fake_p2m_changes, 16);
	assert_true(fake_p2m_is(0x1000000, 1, 0x1000000, P2M_MMIO));
	assert_true(fake_p2m_is(0x13fffff, 1, 0x13fffff, P2M_MMIO));
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 2);
	set_command(DEV, 0);
	assert_int_equal(fake_p2m_changes, 32);
	assert_true(fake_p2m_empty(0x1000000, 1));
	/* The second time there is little to look at. */
	set_command(DEV, 2);
	assert_int_equal(guest_deferred_steps, 0);
	assert_true(fake_p2m_is(0x1000000, 1, 0x1000000, P2M_MMIO));
}

static void test_large_bar_in_steps(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	/* Every page is looked at before any is mapped: that takes steps, and the guest waits for the last. */
	fake_pci_bar32(f, 0, 0x10000000, 0xc0000000);
	fake_pci_bar32(f, 1, 0x100000, 0xf0100000);
	assign(f);
	fake_p2m_changes = fake_p2m_max_step = 0;
	set_command(DEV, 2);
	assert_true(guest_deferred_steps >= 3);
	assert_int_equal(fake_p2m_changes, 128 + 256);
	assert_true(fake_p2m_max_step <= 128 + 256);
	assert_true(fake_p2m_is(0xc0000, 0x10000, 0xc0000, P2M_MMIO));
	assert_true(fake_p2m_is(0xf0100, 0x100, 0xf0100, P2M_MMIO));
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 2);
}

static void test_command_takes_effect_after_the_mapping(void **state)
{
	struct fake_function *f = known(DEV);
	struct vcpu *v = d->vcpus[0];
	uint64_t value = 0x2;

	(void)state;
	/* 8 GiB: nobody looks at that in one step. */
	fake_pci_bar64(f, 0, 0x200000000, 0x40000000000);
	assign(f);
	guest_out(0xcf8, 4, 0x80000000U | sbdf_bdf(DEV) << 8 | PCI_COMMAND);
	assert_int_equal(hvm_port_access(v, 0xcfc, 2, true, &value), 0);
	assert_non_null(v->arch.deferred);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 0);
	/* Another vCPU changes the same registers: it has to wait, and helps. */
	fake_run_as(d->vcpus[1]);
	guest_conf_write(DEV, BAR(1), 4, 0x999);
	assert_true(guest_deferred_steps > 0);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 2);
	/* The first finds its work done. */
	assert_true(v->arch.deferred(v));
	v->arch.deferred = NULL;
	assert_int_equal(guest_conf_read(DEV, BAR(1), 4), 0x998);
	assert_int_equal(fake_pci_get(f, BAR(1), 4), 0x400);
}

static void test_device_is_taken_while_it_is_being_mapped(void **state)
{
	struct fake_function *f = known(DEV);
	struct vcpu *v = d->vcpus[0];
	uint64_t value = 0x2;

	(void)state;
	fake_pci_bar32(f, 0, 0x80000, 0xf0080000);
	fake_pci_bar32(f, 1, 0x80000, 0xf0180000);
	fake_pci_bar64(f, 2, 0x200000000, 0x40000000000);
	assign(f);
	guest_out(0xcf8, 4, 0x80000000U | sbdf_bdf(DEV) << 8 | PCI_COMMAND);
	assert_int_equal(hvm_port_access(v, 0xcfc, 2, true, &value), 0);
	assert_non_null(v->arch.deferred);
	assert_true(fake_p2m_is(0xf0080, 0x80, 0xf0080, P2M_MMIO));
	vpci_deassign(&f->pci);
	assert_true(fake_p2m_empty(0xf0080, 0x80));
	assert_true(fake_p2m_empty(0xf0180, 0x80));
	assert_true(fake_p2m_empty(0x40000000, 1));
	assert_true(v->arch.deferred(v));
	v->arch.deferred = NULL;
}

static void test_out_of_memory_for_tables(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_bar32(f, 0, 0x8000, 0xf0000000);
	assign(f);
	fake_p2m_fail_after = 3;
	set_command(DEV, 2);
	fake_p2m_fail_after = -1;
	assert_int_equal(fake_log_lines, 1);
	set_command(DEV, 0);
	assert_true(fake_p2m_empty(0xf0000, 8));
	set_command(DEV, 2);
	assert_true(fake_p2m_is(0xf0000, 8, 0xf0000, P2M_MMIO));
}

static void test_out_of_heap(void **state)
{
	struct fake_function *f = known(DEV);

	(void)state;
	fake_pci_bar32(f, 0, 0x8000, 0xf0000000);
	fake_pci_msi(f, 0x50, 0x60, 0, true, false);
	fake_pci_msix(f, 0x60, 0, 4, 0, 0x1000, 0, 0x2000);
	for (int n = 0; n < 3; n++) {
		fake_heap_fail_after = n;
		assert_int_equal(vpci_assign(&f->pci, d), -ENOMEM);
		assert_null(f->pci.vpci);
	}
	fake_heap_fail_after = -1;
	assign(f);
	/* No memory to emulate the table: then its BAR stays away. */
	fake_heap_fail_after = 0;
	set_command(DEV, 2);
	fake_heap_fail_after = -1;
	assert_true(fake_p2m_empty(0xf0000, 8));
	assert_int_equal(fake_log_lines, 1);
}

/* ---- Virtual functions ---- */

static struct fake_function *physical_function(void)
{
	struct fake_function *f = known(DEV);

	fake_pci_cap(f, 0x40, PCI_CAP_ID_PCIE, 0);
	fake_pci_ext_cap(f, 0x100, 0x10, 0);
	fake_pci_mask(f, 0x108, 2, 0x1f);
	fake_pci_mask(f, 0x110, 2, 0xffff);
	fake_pci_set(f, 0x114, 2, 0x80);
	fake_pci_set(f, 0x116, 2, 2);
	/* VF BAR 0: 64 bits, 16 KiB for each. */
	fake_pci_set(f, 0x124, 4, 0xf200000c);
	fake_pci_mask(f, 0x124, 4, 0xffffc000);
	fake_pci_mask(f, 0x128, 4, 0xffffffff);
	fake_pci_bar32(f, 0, 0x1000, 0xf0000000);
	return f;
}

static void test_virtual_functions(void **state)
{
	struct fake_function *f = physical_function(), *vf, *stranger;
	sbdf_t second = {DEV.v + 0x80 + 2};

	(void)state;
	assign(f);
	assert_int_equal(fake_pci_get(f, 0x124, 4), 0xf200000c);
	fake_pci_set(f, 0x108, 2, 0x9);
	fake_pci_set(f, 0x110, 2, 2);
	vf = known(second);
	fake_pci_set(vf, PCI_VENDOR, 4, 0xffffffff);
	fake_pci_mask(vf, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assign(vf);
	assert_true(fake_p2m_is(0xf2004, 4, 0xf2004, P2M_MMIO));
	assert_true(fake_p2m_empty(0xf2000, 4));
	assert_true(fake_p2m_empty(0xf2008, 4));
	/* Its own registers are as the device has them. */
	assert_int_equal(guest_conf_read(second, BAR(0), 4), 0);
	guest_conf_write(second, PCI_COMMAND, 2, 6);
	assert_int_equal(fake_pci_get(vf, PCI_COMMAND, 2), 4);
	assert_true(fake_p2m_is(0xf2004, 4, 0xf2004, P2M_MMIO));
	/* In the gap of the stride: just a device. */
	stranger = known((sbdf_t){DEV.v + 0x80 + 1});
	assign(stranger);
	assert_true(fake_p2m_empty(0xf2000, 4));
	vpci_deassign(&vf->pci);
	assert_true(fake_p2m_empty(0xf2000, 16));
}

static void test_virtual_function_bars_of_a_running_device(void **state)
{
	struct fake_function *f = physical_function();

	(void)state;
	fake_pci_set(f, 0x108, 2, 0x9);
	fake_pci_set(f, 0x110, 2, 2);
	assign(f);
	assert_int_equal(fake_pci_get(f, 0x108, 2), 0x9);
	assert_int_equal(fake_pci_get(f, 0x124, 4), 0xf200000c);
	assign(known((sbdf_t){DEV.v + 0x80}));
	assert_true(fake_p2m_is(0xf2000, 4, 0xf2000, P2M_MMIO));
}

/* ---- The end of a domain while handlers are at work on other CPUs ---- */

static struct hvm_io_region *busy[8];
static unsigned busy_count, busy_ended;

static bool registered(const struct hvm_io_table *t, const struct hvm_io_region *r)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->regions[i] == r)
			return true;
	return false;
}

/* Somebody waits for a handler: one whose region nobody can find any more comes to its end. */
static void end_one_handler(void)
{
	for (unsigned i = 0; i < busy_count; i++) {
		if (!busy[i] || registered(&d->arch.io.mmio, busy[i]) ||
		    registered(&d->arch.io.ports, busy[i]))
			continue;
		assert_int_equal(busy[i]->users, 1);
		busy[i]->users = 0;
		busy[i] = NULL;
		busy_ended++;
		return;
	}
	fail_msg("a wait for a handler that can still be called");
}

static void keep_busy(struct hvm_io_table *t)
{
	for (unsigned i = 0; i < t->count; i++) {
		busy[busy_count++] = t->regions[i];
		t->regions[i]->users = 1;
	}
}

static void test_the_end_waits_for_handlers(void **state)
{
	struct fake_function *f;

	(void)state;
	assert_int_equal(vpci_ecam_add(d, 0xb0000000, 0, 0, 255), 0);
	f = known(DEV);
	fake_pci_bar32(f, 0, 0x4000, 0xf0000000);
	fake_pci_msix(f, 0x60, 0, 4, 0, 0x1000, 0, 0x2000);
	assign(f);
	set_command(DEV, PCI_COMMAND_MEMORY);
	busy_count = busy_ended = 0;
	/* The table's pages, the ECAM window, and the ports of both kinds. */
	keep_busy(&d->arch.io.mmio);
	keep_busy(&d->arch.io.ports);
	assert_true(busy_count >= 4);
	fake_relax = end_one_handler;
	vpci_domain_finish(d);
	fake_relax = NULL;
	assert_int_equal(busy_ended, busy_count);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_passes_through_what_has_no_handler),
		T(test_address_port),
		T(test_access_of_several_registers),
		T(test_ecam),
		T(test_ecam_window_that_was_mapped),
		T(test_ecam_window_over_memory),
		T(test_memory_amid_a_bar),
		T(test_hidden_devices),
		T(test_unknown_devices_are_reached_raw),
		T(test_unassigned_devices_do_not_move),
		T(test_unassigned_bridges_are_numbered),
		T(test_assigned_once),
		T(test_bar_sizes),
		T(test_sizing_while_decoding),
		T(test_bar_moves_when_decoding_is_off),
		T(test_32_bit_bar_moves_while_decoding),
		T(test_rom),
		T(test_bridge),
		T(test_malformed_bars),
		T(test_decode_after_a_reset_of_the_device),
		T(test_resizable_bar),
		T(test_extended_capability_loop),
		T(test_bar_over_ram),
		T(test_bar_over_image),
		T(test_bar_over_ioapic),
		T(test_bar_over_msi_window),
		T(test_bar_over_iommu),
		T(test_bar_over_ecam),
		T(test_bar_does_not_move_over_ram),
		T(test_bar_does_not_move_over_ioapic),
		T(test_bar_does_not_move_over_msi_window),
		T(test_bar_does_not_move_over_iommu),
		T(test_bar_does_not_move_over_ecam),
		T(test_moved_while_nobodys),
		T(test_rom_moved_while_nobodys),
		T(test_bar_grows_over_iommu),
		T(test_bar_over_memory_of_the_domain),
		T(test_bar_at_the_end_of_the_address_space),
		T(test_small_bars_share_a_page),
		T(test_overlap_in_the_middle),
		T(test_large_bar_in_superpages),
		T(test_large_bar_in_steps),
		T(test_command_takes_effect_after_the_mapping),
		T(test_device_is_taken_while_it_is_being_mapped),
		T(test_out_of_memory_for_tables),
		T(test_out_of_heap),
		T(test_virtual_functions),
		T(test_virtual_function_bars_of_a_running_device),
		T(test_the_end_waits_for_handlers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
