// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of vPCI's MSI and MSI-X, with the sequences that Linux uses.
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

#define DEV  sbdf_make(0, 0, 3, 0)
#define DEV2 sbdf_make(0, 0, 4, 0)

#define MSI   0x50
#define MSIX  0x70
#define BASE  0xf0000000U
#define TABLE 0x1000U
#define PBA   0x1800U /* in the table's last page: other registers are behind it */
#define COUNT 8

#define ENABLE	 0x8000U
#define MASK_ALL 0x4000U

static struct domain *d;
static struct fake_function *f;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_pci_reset();
	d = fake_domain(true, 4);
	for (unsigned i = 0; i < 4; i++)
		d->vcpus[i]->cpu = i;
	fake_run_as(d->vcpus[0]);
	assert_int_equal(vpci_domain_init(d), 0);
	f = fake_pci_function(DEV);
	fake_pci_know(f);
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
	return 0;
}

static void assign(void)
{
	assert_int_equal(vpci_assign(&f->pci, d), 0);
}

static void conf(unsigned reg, unsigned size, uint32_t value)
{
	guest_conf_write(DEV, reg, size, value);
}

static void delivered(unsigned n, uint32_t dest, bool logical, uint8_t mode, uint8_t vector)
{
	const struct vapic_message *m = &fake_deliveries[n].m;

	assert_true(n < fake_delivery_count);
	assert_ptr_equal(fake_deliveries[n].d, d);
	assert_int_equal(m->dest, dest);
	assert_int_equal(m->logical, logical);
	assert_int_equal(m->mode, mode);
	assert_int_equal(m->vector, vector);
}

/* ---- MSI ---- */

/* What the device would send, from its registers; false if MSI is off. */
static bool msi_send(unsigned message)
{
	uint32_t control = fake_pci_get(f, MSI + 2, 2), data;
	uint64_t address = fake_pci_get(f, MSI + 4, 4);

	if (!(control & 1))
		return false;
	if (control & 0x80) {
		address |= (uint64_t)fake_pci_get(f, MSI + 8, 4) << 32;
		data = fake_pci_get(f, MSI + 12, 2);
	} else {
		data = fake_pci_get(f, MSI + 8, 2);
	}
	message &= (1U << (control >> 4 & 7)) - 1;
	return fake_message(address, data | message);
}

static void msi64_enable(uint32_t address, uint32_t data)
{
	conf(MSI + 4, 4, address);
	conf(MSI + 8, 4, 0);
	conf(MSI + 12, 2, data);
	conf(MSI + 2, 2, guest_conf_read(DEV, MSI + 2, 2) | 1);
}

static void test_msi(void **state)
{
	(void)state;
	fake_pci_msi(f, MSI, 0, 0, true, false);
	assign();
	assert_int_equal(guest_conf_read(DEV, PCI_CAP_POINTER, 1), MSI);
	assert_int_equal(guest_conf_read(DEV, MSI, 2), PCI_CAP_ID_MSI);
	assert_int_equal(guest_conf_read(DEV, MSI + 2, 2), 0x80);
	msi64_enable(0xfee04000, 0x31);
	assert_int_equal(guest_conf_read(DEV, MSI + 2, 2), 0x81);
	assert_int_equal(guest_conf_read(DEV, MSI + 4, 4), 0xfee04000);
	assert_int_equal(guest_conf_read(DEV, MSI + 12, 2), 0x31);
	/* The device has the host's message. */
	assert_int_not_equal(fake_pci_get(f, MSI + 4, 4), 0xfee04000);
	assert_int_equal(fake_irqs_attached, 1);
	assert_true(msi_send(0));
	delivered(0, 4, false, 0, 0x31);
	/* On the CPU of the vCPU that it is for. */
	assert_int_equal(fake_message_cpu(0xfee00010, fake_pci_get(f, MSI + 12, 2)), 2);
	conf(MSI + 2, 2, 0x80);
	assert_false(msi_send(0));
	assert_int_equal(fake_irqs_attached, 0);
}

static void test_msi_32_bit_layout(void **state)
{
	(void)state;
	fake_pci_msi(f, MSI, 0, 0, false, false);
	fake_pci_mask(f, MSI + 12, 4, ~0U);
	assign();
	conf(MSI + 4, 4, 0xfee00000);
	conf(MSI + 8, 2, 0x40);
	conf(MSI + 12, 4, 0x12345678); /* behind the capability */
	conf(MSI + 2, 2, 1);
	assert_int_equal(fake_pci_get(f, MSI + 12, 4), 0x12345678);
	assert_true(msi_send(0));
	delivered(0, 0, false, 0, 0x40);
}

static void test_msi_affinity_is_the_guests_only(void **state)
{
	uint32_t data;

	(void)state;
	fake_pci_msi(f, MSI, 0, 0, true, false);
	assign();
	msi64_enable(0xfee00000, 0x31);
	data = fake_pci_get(f, MSI + 12, 2);
	conf(MSI + 4, 4, 0xfee02000);
	conf(MSI + 12, 2, 0x52);
	assert_int_equal(fake_pci_get(f, MSI + 12, 2), data);
	assert_true(msi_send(0));
	delivered(0, 2, false, 0, 0x52);
	/* Written again, enabled as it is: nothing is lost. */
	conf(MSI + 2, 2, 0x81);
	assert_int_equal(fake_irqs_attached, 1);
	assert_true(msi_send(0));
	delivered(1, 2, false, 0, 0x52);
}

static void test_msi_several_messages(void **state)
{
	(void)state;
	fake_pci_msi(f, MSI, 0, 5, true, true);
	assign();
	assert_int_equal(guest_conf_read(DEV, MSI + 2, 2), 0x18a);
	conf(MSI + 2, 2, 3 << 4);
	msi64_enable(0xfee00000, 0x48);
	assert_int_equal(guest_conf_read(DEV, MSI + 2, 2), 0x1bb);
	assert_int_equal(fake_irqs_attached, 8);
	for (unsigned i = 0; i < 8; i++) {
		assert_true(msi_send(i));
		delivered(i, 0, false, 0, (uint8_t)(0x48 + i));
	}
	/* Another number while it is on. */
	conf(MSI + 2, 2, 0x181 | 1 << 4);
	assert_int_equal(fake_irqs_attached, 2);
	assert_true(msi_send(1));
	delivered(8, 0, false, 0, 0x49);
	/* More than was offered. */
	conf(MSI + 2, 2, 0x181 | 7 << 4);
	assert_int_equal(guest_conf_read(DEV, MSI + 2, 2) & 0x70, 0x50);
	assert_int_equal(fake_irqs_attached, 32);
}

static void test_msi_one_message_without_remapping(void **state)
{
	(void)state;
	fake_intremap = false;
	fake_pci_msi(f, MSI, 0, 5, true, false);
	assign();
	assert_int_equal(guest_conf_read(DEV, MSI + 2, 2), 0x80);
	conf(MSI + 2, 2, 3 << 4);
	msi64_enable(0xfee00000, 0x48);
	assert_int_equal(guest_conf_read(DEV, MSI + 2, 2), 0x81);
	assert_int_equal(fake_irqs_attached, 1);
	assert_true(msi_send(3));
	delivered(0, 0, false, 0, 0x48);
}

static void test_msi_mask_bits(void **state)
{
	(void)state;
	fake_pci_msi(f, MSI, 0, 2, true, true);
	assign();
	conf(MSI + 16, 4, 0x2);
	assert_int_equal(fake_pci_get(f, MSI + 16, 4), 2);
	conf(MSI + 2, 2, 2 << 4);
	msi64_enable(0xfee00000, 0x48);
	assert_int_equal(fake_pci_get(f, MSI + 16, 4), 2);
	conf(MSI + 16, 4, 0);
	assert_int_equal(fake_pci_get(f, MSI + 16, 4), 0);
	assert_int_equal(guest_conf_read(DEV, MSI + 16, 4), 0);
}

static void test_msi_without_a_vector(void **state)
{
	(void)state;
	fake_pci_msi(f, MSI, 0, 2, true, false);
	assign();
	conf(MSI + 2, 2, 2 << 4);
	fake_irq_fail_after = 2;
	msi64_enable(0xfee00000, 0x48);
	assert_int_equal(fake_irqs_attached, 0);
	assert_int_equal(fake_pci_get(f, MSI + 2, 2) & 1, 0);
	assert_int_equal(fake_log_lines, 1);
	/* Later there are some. */
	fake_irq_fail_after = -1;
	conf(MSI + 2, 2, 0x81 | 2 << 4);
	assert_true(msi_send(1));
}

static void test_msi_after_a_reset_of_the_device(void **state)
{
	(void)state;
	fake_pci_msi(f, MSI, 0, 0, true, true);
	assign();
	msi64_enable(0xfee00000, 0x48);
	conf(MSI + 16, 4, 1);
	fake_pci_lose_state(f);
	assert_false(msi_send(0));
	/* Linux: off, message, mask, on. */
	conf(MSI + 2, 2, 0x180);
	conf(MSI + 16, 4, 0);
	msi64_enable(0xfee00000, 0x48);
	assert_true(msi_send(0));
	/* And without switching it off first. */
	fake_pci_lose_state(f);
	conf(MSI + 2, 2, 0x181);
	assert_true(msi_send(0));
	assert_int_equal(fake_delivery_count, 2);
}

static void test_msi_left_on_by_the_firmware(void **state)
{
	(void)state;
	fake_pci_msi(f, MSI, 0, 0, true, false);
	fake_pci_set(f, MSI + 2, 2, 0x81);
	assign();
	assert_int_equal(fake_pci_get(f, MSI + 2, 2), 0x80);
	assert_int_equal(guest_conf_read(DEV, MSI + 2, 2), 0x80);
}

/* ---- Messages ---- */

static void send(uint32_t address, uint32_t high, uint32_t data)
{
	conf(MSI + 4, 4, address);
	conf(MSI + 8, 4, high);
	conf(MSI + 12, 2, data);
	assert_true(msi_send(0));
}

static void test_message_decoding(void **state)
{
	(void)state;
	fake_pci_msi(f, MSI, 0, 0, true, false);
	assign();
	msi64_enable(0xfee00000, 0x48);
	send(0xfeeff000, 0, 0x4060); /* fixed, to all */
	delivered(0, 0xff, false, 0, 0x60);
	assert_false(fake_deliveries[0].m.level);
	send(0xfee0300c, 0, 0x0161); /* lowest priority, logical, with the hint */
	delivered(1, 3, true, 1, 0x61);
	send(0xfee0300c, 0, 0x0061); /* fixed, logical, with the hint: one of them */
	delivered(2, 3, true, 1, 0x61);
	send(0xfee03004, 0, 0x0061); /* fixed, logical: all of them */
	delivered(3, 3, true, 0, 0x61);
	send(0xfee03008, 0, 0x0061); /* the hint means nothing for a physical destination */
	delivered(4, 3, false, 0, 0x61);
	send(0xfee00000, 0, 0x0400); /* NMI */
	delivered(5, 0, false, 4, 0);
	send(0xfee01020, 0, 0x0061); /* extended destination: bit 8 */
	delivered(6, 0x101, false, 0, 0x61);
	send(0xfee00000, 0, 0xc061); /* level, asserted */
	delivered(7, 0, false, 0, 0x61);
	assert_true(fake_deliveries[7].m.level);
	assert_int_equal(fake_delivery_count, 8);
	send(0xfee00000, 0, 0x8061); /* level, deasserted: nothing */
	send(0xfee00010, 0, 0x0061); /* a format for remapping that the guest has not */
	send(0xfed00000, 0, 0x0061); /* a write to memory */
	send(0xfee00000, 1, 0x0061);
	assert_int_equal(fake_delivery_count, 8);
}

/* ---- MSI-X ---- */

static void with_msix(void)
{
	fake_pci_bar32(f, 0, 0x4000, BASE);
	fake_pci_msix(f, MSIX, 0, COUNT, 0, TABLE, 0, PBA);
	fake_pci_set(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

static uint32_t hw32(unsigned off)
{
	uint32_t v;

	memcpy(&v, &f->memory[off], 4);
	return v;
}

static void hw32_set(unsigned off, uint32_t v)
{
	memcpy(&f->memory[off], &v, 4);
}

/* The device raises entry i: sends, or sets the pending bit. True: sent and taken. */
static bool msix_raise(unsigned i)
{
	uint32_t control = fake_pci_get(f, MSIX + 2, 2), at = TABLE + i * 16;

	if (!(control & ENABLE) || !(fake_pci_get(f, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY))
		return false;
	if ((control & MASK_ALL) || (hw32(at + 12) & 1)) {
		f->memory[PBA + i / 8] |= (uint8_t)(1U << i % 8);
		return false;
	}
	return fake_message(hw32(at) | (uint64_t)hw32(at + 4) << 32, hw32(at + 8));
}

static uint64_t entry(unsigned i)
{
	return BASE + TABLE + i * 16;
}

static void entry_write(unsigned i, uint32_t address, uint32_t data)
{
	guest_write(entry(i), 4, address);
	guest_write(entry(i) + 4, 4, 0);
	guest_write(entry(i) + 8, 4, data);
}

/* As Linux 6.1 does it: everything masked, then entry by entry, then the function mask goes. */
static void msix_enable(unsigned n)
{
	conf(MSIX + 2, 2, (COUNT - 1) | ENABLE | MASK_ALL);
	for (unsigned i = 0; i < COUNT; i++)
		guest_write(entry(i) + 12, 4, 1);
	for (unsigned i = 0; i < n; i++)
		entry_write(i, 0xfee00000 | i << 13, 0x40 + i);
	conf(MSIX + 2, 2, (COUNT - 1) | ENABLE);
	for (unsigned i = 0; i < n; i++)
		guest_write(entry(i) + 12, 4, 0);
}

static void test_msix(void **state)
{
	(void)state;
	with_msix();
	assign();
	/* All but the page with the table is mapped. */
	assert_true(fake_p2m_is(BASE >> 12, 1, BASE >> 12, P2M_MMIO));
	assert_true(fake_p2m_empty((BASE + TABLE) >> 12, 1));
	assert_true(fake_p2m_is((BASE + TABLE + 0x1000) >> 12, 2, (BASE + TABLE + 0x1000) >> 12,
				P2M_MMIO));
	assert_int_equal(guest_conf_read(DEV, MSIX + 2, 2), COUNT - 1);
	assert_int_equal(guest_conf_read(DEV, MSIX + 4, 4), TABLE);
	assert_int_equal(guest_conf_read(DEV, MSIX + 8, 4), PBA);
	msix_enable(3);
	assert_int_equal(guest_conf_read(DEV, MSIX + 2, 2), ENABLE | (COUNT - 1));
	assert_int_equal(fake_irqs_attached, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(msix_raise(i));
		delivered(i, i * 2, false, 0, (uint8_t)(0x40 + i));
		assert_int_equal(fake_message_cpu(0xfee00010, hw32(TABLE + i * 16 + 8)), i);
	}
	assert_false(msix_raise(3));
	/* What is read is the guest's. */
	assert_int_equal(guest_read(entry(1), 4), 0xfee02000);
	assert_int_equal(guest_read(entry(1), 8), 0xfee02000);
	assert_int_equal(guest_read(entry(1) + 8, 8), 0x41);
	assert_int_equal(guest_read(entry(3) + 8, 8), 1ULL << 32);
	conf(MSIX + 2, 2, COUNT - 1);
	assert_int_equal(fake_irqs_attached, 0);
	assert_false(msix_raise(0));
}

static void test_msix_masked_entry_pends(void **state)
{
	(void)state;
	with_msix();
	assign();
	msix_enable(2);
	guest_write(entry(1) + 12, 4, 1);
	assert_int_equal(hw32(TABLE + 16 + 12) & 1, 1);
	assert_false(msix_raise(1));
	assert_int_equal(fake_delivery_count, 0);
	assert_int_equal(guest_read(BASE + PBA, 8), 2);
	assert_int_equal(guest_read(BASE + PBA, 4), 2);
	/* Pending bits are not the guest's to write. */
	guest_write(BASE + PBA, 4, 0xff);
	assert_int_equal(guest_read(BASE + PBA, 4), 2);
	/* Moved while masked, as Linux does it; the vector of the host is kept. */
	entry_write(1, 0xfee06000, 0x77);
	guest_write(entry(1) + 12, 4, 0);
	assert_int_equal(fake_irqs_attached, 2);
	assert_true(msix_raise(1));
	delivered(0, 6, false, 0, 0x77);
}

static void test_msix_function_mask(void **state)
{
	(void)state;
	with_msix();
	assign();
	msix_enable(1);
	conf(MSIX + 2, 2, ENABLE | MASK_ALL | (COUNT - 1));
	assert_int_equal(guest_conf_read(DEV, MSIX + 2, 2), ENABLE | MASK_ALL | (COUNT - 1));
	assert_false(msix_raise(0));
	conf(MSIX + 2, 2, ENABLE | (COUNT - 1));
	assert_true(msix_raise(0));
}

static void test_msix_rest_of_the_page(void **state)
{
	(void)state;
	with_msix();
	assign();
	/* Registers behind table and pending bits. */
	hw32_set(0x1ff8, 0x55667788);
	assert_int_equal(guest_read(BASE + 0x1ff8, 4), 0x55667788);
	assert_int_equal(guest_read(BASE + 0x1ffa, 2), 0x5566);
	assert_int_equal(guest_read(BASE + 0x1ffb, 1), 0x55);
	guest_write(BASE + 0x1ff0, 8, 0x1122334455667788);
	assert_int_equal(hw32(0x1ff4), 0x11223344);
	guest_write(BASE + 0x1ff1, 1, 0);
	assert_int_equal(hw32(0x1ff0), 0x55660088);
	guest_write(BASE + 0x1ff2, 2, 0xabcd);
	assert_int_equal(hw32(0x1ff0), 0xabcd0088);
	guest_write(BASE + 0x1ff0, 4, 1);
	assert_int_equal(guest_read(BASE + 0x1ff0, 8), 0x1122334400000001);
}

static void test_msix_odd_accesses(void **state)
{
	(void)state;
	with_msix();
	assign();
	entry_write(0, 0xfee00abc, 0x1234);
	assert_int_equal(guest_read(entry(0), 4), 0xfee00abc);
	assert_int_equal(guest_read(entry(0) + 2, 2), 0xfee0);
	assert_int_equal(guest_read(entry(0) + 9, 1), 0x12);
	guest_write(entry(0), 2, 0);
	guest_write(entry(0) + 8, 1, 0);
	guest_write(entry(0) + 2, 4, 0);
	assert_int_equal(guest_read(entry(0), 4), 0xfee00abc);
	assert_int_equal(guest_read(entry(0) + 8, 4), 0x1234);
	/* 8 bytes at once: data and the mask bit. */
	guest_write(entry(0) + 8, 8, 0x4321);
	assert_int_equal(guest_read(entry(0) + 8, 8), 0x4321);
	/* The last entry, and right behind it. */
	guest_write(entry(COUNT - 1) + 8, 4, 0x99);
	assert_int_equal(guest_read(entry(COUNT - 1) + 8, 4), 0x99);
	guest_write(entry(COUNT), 4, 0x77);
	assert_int_equal(hw32(TABLE + COUNT * 16), 0x77);
}

static void test_msix_enabled_before_decoding(void **state)
{
	(void)state;
	with_msix();
	fake_pci_set(f, PCI_COMMAND, 2, 0);
	assign();
	conf(MSIX + 2, 2, ENABLE);
	assert_int_equal(fake_irqs_attached, 0);
	guest_conf_write(DEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	entry_write(0, 0xfee00000, 0x40);
	guest_write(entry(0) + 12, 4, 0);
	assert_true(msix_raise(0));
	/* Decoding goes and comes: the entries are as they were. */
	guest_conf_write(DEV, PCI_COMMAND, 2, 0);
	assert_false(msix_raise(0));
	memset(f->memory, 0, sizeof(f->memory));
	guest_conf_write(DEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(msix_raise(0));
	assert_false(msix_raise(1));
	assert_int_equal(guest_read(entry(0) + 8, 8), 0x40);
}

static void test_msix_bar_moves(void **state)
{
	uint32_t at = 0xf8000000;

	(void)state;
	with_msix();
	assign();
	msix_enable(1);
	guest_conf_write(DEV, PCI_COMMAND, 2, 0);
	assert_true(fake_p2m_empty(BASE >> 12, 4));
	guest_conf_write(DEV, 0x10, 4, at);
	guest_conf_write(DEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(fake_p2m_empty((at + TABLE) >> 12, 1));
	assert_true(fake_p2m_is(at >> 12, 1, at >> 12, P2M_MMIO));
	assert_int_equal(guest_read(at + TABLE + 8, 4), 0x40);
	/* Nothing is left at the old place. */
	assert_int_equal(guest_read(entry(0) + 8, 4), 0xffffffff);
	assert_true(msix_raise(0));
	/* Any CPU may have used the mappings that went. */
	assert_int_equal(fake_local_unmaps, 0);
	/* And back. */
	guest_conf_write(DEV, PCI_COMMAND, 2, 0);
	guest_conf_write(DEV, 0x10, 4, BASE);
	guest_conf_write(DEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(guest_read(entry(0) + 8, 4), 0x40);
}

static void test_msix_bar_moves_while_decoding(void **state)
{
	uint32_t at = 0xf8000000;

	(void)state;
	with_msix();
	assign();
	msix_enable(1);
	guest_conf_write(DEV, 0x10, 4, at);
	assert_true(fake_p2m_empty(BASE >> 12, 4));
	assert_true(fake_p2m_empty((at + TABLE) >> 12, 1));
	assert_true(fake_p2m_is(at >> 12, 1, at >> 12, P2M_MMIO));
	assert_int_equal(guest_read(at + TABLE + 8, 4), 0x40);
	assert_int_equal(guest_read(entry(0) + 8, 4), 0xffffffff);
	assert_true(msix_raise(0));
}

static void test_msix_restored_after_a_reset_of_the_device(void **state)
{
	(void)state;
	with_msix();
	assign();
	msix_enable(2);
	fake_pci_lose_state(f);
	guest_conf_write(DEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	conf(MSIX + 2, 2, ENABLE | MASK_ALL);
	for (unsigned i = 0; i < 2; i++) {
		entry_write(i, 0xfee00000, 0x40 + i);
		guest_write(entry(i) + 12, 4, 0);
	}
	conf(MSIX + 2, 2, ENABLE);
	assert_true(msix_raise(0));
	assert_true(msix_raise(1));
	assert_false(msix_raise(2));
	assert_int_equal(fake_delivery_count, 2);
	assert_int_equal(fake_irqs_attached, 2);
}

static void test_msix_table_in_a_64_bit_bar_and_pba_elsewhere(void **state)
{
	(void)state;
	fake_pci_bar64(f, 0, 0x10000, 0x200000000);
	fake_pci_bar32(f, 2, 0x2000, BASE);
	fake_pci_msix(f, MSIX, 0, 1024, 0, 0x2000, 2, 0x1000);
	fake_pci_set(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	/* The pending bits are in other memory than what the model has: they are not touched here. */
	struct fake_function *g = fake_pci_function(DEV2);

	fake_pci_bar32(g, 0, 0x2000, BASE);
	assign();
	/* 16 KiB of table. */
	assert_true(fake_p2m_is(0x200000, 2, 0x200000, P2M_MMIO));
	assert_true(fake_p2m_empty(0x200002, 4));
	assert_true(fake_p2m_is(0x200006, 10, 0x200006, P2M_MMIO));
	assert_true(fake_p2m_is(BASE >> 12, 1, BASE >> 12, P2M_MMIO));
	assert_true(fake_p2m_empty((BASE >> 12) + 1, 1));
	conf(MSIX + 2, 2, ENABLE);
	guest_write(0x200002000 + 1023 * 16, 4, 0xfee00000);
	guest_write(0x200002000 + 1023 * 16 + 8, 4, 0x66);
	guest_write(0x200002000 + 1023 * 16 + 12, 4, 0);
	assert_true(fake_message(hw32(0x2000 + 1023 * 16), hw32(0x2000 + 1023 * 16 + 8)));
	delivered(0, 0, false, 0, 0x66);
	vpci_deassign(&f->pci);
	assert_true(fake_p2m_empty(0x200000, 16));
	assert_int_equal(guest_read(0x200002000, 4), 0xffffffff);
}

static void test_msix_table_shares_its_page_with_a_neighbour(void **state)
{
	struct fake_function *g = fake_pci_function(DEV2);

	(void)state;
	fake_pci_know(g);
	fake_pci_bar32(f, 0, 0x400, BASE + 0x400);
	fake_pci_msix(f, MSIX, 0, 4, 0, 0x100, 0, 0x200);
	fake_pci_bar32(g, 0, 0x400, BASE);
	fake_pci_set(g, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assign();
	assert_int_equal(vpci_assign(&g->pci, d), 0);
	assert_true(fake_p2m_is(BASE >> 12, 1, BASE >> 12, P2M_MMIO));
	/* The table appears: from now on the page is emulated, for both. The model has the page's memory in f. */
	guest_conf_write(DEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(fake_p2m_empty(BASE >> 12, 1));
	guest_write(BASE + 0x508, 4, 0x1234);
	assert_int_equal(guest_read(BASE + 0x508, 4), 0x1234);
	assert_int_not_equal(hw32(0x508), 0x1234);
	guest_write(BASE + 0x10, 4, 0xabc);
	assert_int_equal(hw32(0x10), 0xabc);
	/* The neighbour goes and comes back meanwhile. */
	guest_conf_write(DEV2, PCI_COMMAND, 2, 0);
	guest_conf_write(DEV2, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(fake_p2m_empty(BASE >> 12, 1));
	guest_conf_write(DEV, PCI_COMMAND, 2, 0);
	assert_true(fake_p2m_is(BASE >> 12, 1, BASE >> 12, P2M_MMIO));
	guest_conf_write(DEV2, PCI_COMMAND, 2, 0);
	assert_true(fake_p2m_empty(BASE >> 12, 1));
}

static void test_msix_out_of_its_bar(void **state)
{
	(void)state;
	fake_pci_bar32(f, 0, 0x1000, BASE);
	fake_pci_msix(f, MSIX, 0, COUNT, 0, 0xff0, 0, 0x800);
	fake_pci_set(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assign();
	assert_true(fake_p2m_is(BASE >> 12, 1, BASE >> 12, P2M_MMIO));
	conf(MSIX + 2, 2, ENABLE);
	assert_int_equal(fake_pci_get(f, MSIX + 2, 2) & ENABLE, 0);
	assert_int_equal(guest_conf_read(DEV, MSIX + 2, 2), COUNT - 1);
}

static void test_msix_in_a_bar_that_is_not_there(void **state)
{
	(void)state;
	fake_pci_bar32(f, 0, 0x1000, BASE);
	fake_pci_io(f, 1, 0x100, 0xc000);
	fake_pci_msix(f, MSIX, 0, COUNT, 0, 0, 7, 0x800);
	assign();
	conf(MSIX + 2, 2, ENABLE);
	assert_int_equal(fake_pci_get(f, MSIX + 2, 2) & ENABLE, 0);
	vpci_deassign(&f->pci);
	fake_pci_set(f, MSIX + 8, 4, 0x801); /* I/O ports */
	assign();
	conf(MSIX + 2, 2, ENABLE);
	assert_int_equal(fake_pci_get(f, MSIX + 2, 2) & ENABLE, 0);
}

static void test_msix_without_vectors(void **state)
{
	(void)state;
	with_msix();
	assign();
	fake_irq_fail_after = 1;
	msix_enable(3);
	assert_int_equal(fake_irqs_attached, 1);
	assert_true(msix_raise(0));
	assert_false(msix_raise(1));
	assert_int_equal(fake_log_lines, 2);
	/* The guest tries again when there are some. */
	fake_irq_fail_after = -1;
	guest_write(entry(1) + 12, 4, 0);
	assert_true(msix_raise(1));
}

static void test_msix_trap_meets_another_region(void **state)
{
	struct hvm_io_region r = {.base = BASE + TABLE, .size = 4096};

	(void)state;
	with_msix();
	fake_pci_bar32(f, 1, 0x1000, 0xf1000000);
	assert_int_equal(hvm_mmio_register(d, &r), 0);
	assign();
	/* The BAR cannot be there; the others can. */
	assert_true(fake_p2m_empty(BASE >> 12, 4));
	assert_true(fake_p2m_is(0xf1000, 1, 0xf1000, P2M_MMIO));
	assert_int_equal(fake_log_lines, 1);
	hvm_mmio_unregister(d, &r);
	guest_conf_write(DEV, PCI_COMMAND, 2, 0);
	guest_conf_write(DEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	msix_enable(1);
	assert_true(msix_raise(0));
}

static void test_device_goes_with_interrupts_on(void **state)
{
	(void)state;
	with_msix();
	fake_pci_msi(f, MSI, MSIX, 0, true, false);
	f->config[PCI_CAP_POINTER] = MSI;
	assign();
	msi64_enable(0xfee00000, 0x48);
	msix_enable(3);
	assert_int_equal(fake_irqs_attached, 4);
	vpci_deassign(&f->pci);
	assert_int_equal(fake_irqs_attached, 0);
	assert_int_equal(fake_irqs_mapped, 0);
	assert_int_equal(fake_pci_get(f, MSI + 2, 2) & 1, 0);
	assert_int_equal(fake_pci_get(f, MSIX + 2, 2) & ENABLE, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_msi),
		T(test_msi_32_bit_layout),
		T(test_msi_affinity_is_the_guests_only),
		T(test_msi_several_messages),
		T(test_msi_one_message_without_remapping),
		T(test_msi_mask_bits),
		T(test_msi_without_a_vector),
		T(test_msi_after_a_reset_of_the_device),
		T(test_msi_left_on_by_the_firmware),
		T(test_message_decoding),
		T(test_msix),
		T(test_msix_masked_entry_pends),
		T(test_msix_function_mask),
		T(test_msix_rest_of_the_page),
		T(test_msix_odd_accesses),
		T(test_msix_enabled_before_decoding),
		T(test_msix_bar_moves),
		T(test_msix_bar_moves_while_decoding),
		T(test_msix_restored_after_a_reset_of_the_device),
		T(test_msix_table_in_a_64_bit_bar_and_pba_elsewhere),
		T(test_msix_table_shares_its_page_with_a_neighbour),
		T(test_msix_out_of_its_bar),
		T(test_msix_in_a_bar_that_is_not_there),
		T(test_msix_without_vectors),
		T(test_msix_trap_meets_another_region),
		T(test_device_goes_with_interrupts_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
