// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI under random devices and random accesses: nothing breaks, nothing forbidden is mapped, nothing is left.
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
#include <arch/machine.h>
#include <arch/vpci.h>
#include <bulkhead/errno.h>

#include "fake_pci.h"

#define DEVICES	 4
#define ECAM	 0xe0000000UL
#define RAM_GFN	 0x80000UL /* RAM of the domain, where BARs like to be */
#define RAM_SIZE 0x40UL
#define LOW	 0x90000000UL
#define STEPS	 400

static uint64_t seed;

/* xorshift64*: the same on every run. */
static uint64_t rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1dULL;
}

static unsigned below(unsigned n)
{
	return (unsigned)((rnd() >> 32) % n);
}

static struct domain *d;
static struct fake_function *fs[DEVICES];

/* Addresses that have something to collide with. */
static uint32_t address(void)
{
	static const uint32_t places[] = {LOW,	      LOW + 0x1000, 0x80000000,	   0x100000,
					  0xfee00000, 0xfec00000,   0xfed90000,	   0xe0000000,
					  0,	      0xfffff000,   LOW + 0x100000};

	return places[below(ARRAY_SIZE(places))] + (below(4) ? 0 : below(0x10000) & ~0xfU);
}

static void random_device(struct fake_function *f)
{
	unsigned caps[] = {0x40, 0x60, 0x90, 0xb0, 0xd0};

	if (!below(8))
		fake_pci_set(f, PCI_HEADER_TYPE, 1, below(4));
	for (unsigned i = 0; i < 6; i++)
		switch (below(5)) {
		case 0:
			fake_pci_bar32(f, i, 16U << below(14), address());
			break;
		case 1:
			fake_pci_io(f, i, 4U << below(6), 0xc000);
			break;
		case 2:
			if (i < 5) {
				fake_pci_bar64(f, i, 0x1000ULL << below(12), address());
				i++;
			}
			break;
		case 3:
			if (!below(6))
				fake_pci_mask(f, 0x10 + i * 4, 4, (uint32_t)rnd());
			break;
		default:
			break;
		}
	if (!below(3))
		fake_pci_rom(f, 0x30, 0x800U << below(8), address());
	for (unsigned i = 0; i < ARRAY_SIZE(caps); i++) {
		uint8_t next = (uint8_t)(below(6) ? (i + 1 < ARRAY_SIZE(caps) ? caps[i + 1] : 0)
						  : below(256));

		switch (below(4)) {
		case 0:
			fake_pci_msi(f, caps[i], next, below(8), below(2), below(2));
			break;
		case 1:
			fake_pci_msix(f, caps[i], next, 1 + below(below(3) ? 32 : 2048), below(8),
				      below(0x4000) & ~7U, below(8), below(0x4000) & ~7U);
			break;
		case 2:
			fake_pci_cap(f, caps[i], PCI_CAP_ID_PCIE, next);
			break;
		default:
			fake_pci_cap(f, caps[i], (uint8_t)below(256), next);
			break;
		}
	}
	if (below(2)) {
		fake_pci_ext_cap(f, 0x100, below(2) ? 0x10 : 0x15, below(2) ? 0x200 : below(4096));
		for (unsigned i = 4; i < 0x40; i += 4)
			fake_pci_set(f, 0x100 + i, 4, (uint32_t)rnd());
		fake_pci_ext_cap(f, 0x200, (uint16_t)(0x10 + below(8)), below(4096));
	}
	fake_pci_set(f, PCI_COMMAND, 2, below(8));
}

static bool entry_is_wrong(uint64_t gfn, uint64_t mfn, unsigned order, enum p2m_type type)
{
	uint64_t pages = 1UL << order, start = mfn << 12, end = (mfn + pages) << 12;

	if (type == P2M_RAM)
		return gfn != mfn - 0x100 + RAM_GFN;
	if (type != P2M_MMIO || (d->hardware && gfn != mfn))
		return true;
	if (mfn < frame_count || (gfn < RAM_GFN + RAM_SIZE && RAM_GFN < gfn + pages))
		return true;
	if ((start < 0xfef00000 && 0xfee00000 < end) || (start < 0xfec01000 && 0xfec00000 < end))
		return true;
	return (start <= 0xfed90000 && 0xfed90000 < end) || (start <= ECAM && ECAM < end);
}

static bool entry_is_mmio(uint64_t gfn, uint64_t mfn, unsigned order, enum p2m_type type)
{
	(void)gfn, (void)mfn, (void)order;
	return type == P2M_MMIO;
}

static sbdf_t place_of(unsigned i)
{
	return sbdf_make(0, 0, i + 1, 0);
}

static void random_access(void)
{
	unsigned i = below(DEVICES), reg, size = 1U << below(3);
	uint64_t value = below(3) ? rnd() : below(2) ? 0 : ~0ULL;

	switch (below(8)) {
	case 0:
		/* What a driver does most of all. */
		guest_conf_write(place_of(i), PCI_COMMAND, 2, below(8));
		break;
	case 1:
		guest_conf_write(place_of(i), 0x10 + below(6) * 4, 4, address());
		break;
	case 2:
		reg = below(256) & ~(size - 1);
		guest_conf_write(place_of(i), reg, size,
				 (uint32_t)value & (size == 4 ? ~0U : (1U << size * 8) - 1));
		break;
	case 3:
		guest_conf_read(place_of(i), below(256) & ~(size - 1), size);
		break;
	case 4:
		guest_write(ECAM + below(DEVICES + 2) * 0x8000 + below(0x1000), 1U << below(4),
			    value);
		break;
	case 5:
		guest_read(ECAM + below(DEVICES + 2) * 0x8000 + below(0x1000), 1U << below(4));
		break;
	case 6:
		guest_write(address() + below(0x8000), 1U << below(4), value);
		break;
	default:
		guest_read(address() + below(0x8000), 1U << below(4));
		break;
	}
	if (!below(50))
		fake_messages_all();
	if (!below(80))
		fake_pci_lose_state(fs[i]);
	if (!below(60))
		fake_p2m_fail_after = (int)below(20);
	else if (!below(4))
		fake_p2m_fail_after = -1;
	if (!below(60))
		fake_heap_fail_after = (int)below(2);
	else if (!below(4))
		fake_heap_fail_after = -1;
	fake_irq_fail_after = below(20) ? -1 : (int)below(3);
}

static void one_life(bool hardware)
{
	struct domain *d0 = NULL;

	fake_reset();
	fake_pci_reset();
	fake_pci_strict = false;
	fake_iommu_page = 0xfed90;
	fake_ecam_page = ECAM >> 12;
	ioapic_count = 1;
	ioapics[0].paddr = 0xfec00000;
	if (!hardware)
		d0 = fake_domain(true, 1);
	d = fake_domain(hardware, 2);
	fake_run_as(d->vcpus[0]);
	assert_int_equal(vpci_domain_init(d), 0);
	assert_int_equal(vpci_ecam_add(d, ECAM, 0, 0, 0), 0);
	fake_p2m_put(RAM_GFN, RAM_SIZE, 0x100, P2M_RAM);
	for (unsigned i = 0; i < DEVICES; i++) {
		fs[i] = fake_pci_function(hardware ? place_of(i) : sbdf_make(0, 7, i, 0));
		fake_pci_know(fs[i]);
		random_device(fs[i]);
		vpci_assign_at(&fs[i]->pci, d, place_of(i));
		assert_int_equal(fs[i]->bar_writes_while_decoding, 0);
	}
	for (unsigned n = 0; n < STEPS; n++) {
		random_access();
		if (n % 16 == 0)
			assert_int_equal(fake_p2m_count(entry_is_wrong), 0);
		if (!below(100)) {
			struct pci_dev *pci = &fs[below(DEVICES)]->pci;

			if (pci->vpci)
				vpci_deassign(pci);
		}
	}
	fake_p2m_fail_after = fake_heap_fail_after = -1;
	vpci_domain_finish(d);
	assert_int_equal(fake_p2m_batches, 0);
	assert_int_equal(fake_irqs_attached, 0);
	assert_int_equal(fake_irqs_mapped, 0);
	fake_domain_free(d);
	fake_domain_free(d0);
	assert_int_equal(fake_heap_live, 0);
}

static void test_random_hardware_domain(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 60; i++) {
		seed = i * 0x9e3779b97f4a7c15ULL;
		one_life(true);
	}
}

static void test_random_guest(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 60; i++) {
		seed = i * 0xbf58476d1ce4e5b9ULL;
		one_life(false);
	}
}

/* Without failing allocations, nothing stays mapped. */
static void test_random_leaves_nothing_mapped(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		seed = i * 0x94d049bb133111ebULL;
		fake_reset();
		fake_pci_reset();
		fake_pci_strict = false;
		d = fake_domain(true, 1);
		fake_run_as(d->vcpus[0]);
		assert_int_equal(vpci_domain_init(d), 0);
		for (unsigned k = 0; k < DEVICES; k++) {
			fs[k] = fake_pci_function(place_of(k));
			fake_pci_know(fs[k]);
			random_device(fs[k]);
			vpci_assign(&fs[k]->pci, d);
		}
		for (unsigned n = 0; n < 200; n++) {
			guest_conf_write(place_of(below(DEVICES)), PCI_COMMAND, 2, below(8));
			guest_conf_write(place_of(below(DEVICES)), 0x10 + below(6) * 4, 4,
					 address());
		}
		for (unsigned k = 0; k < DEVICES; k++)
			vpci_deassign(&fs[k]->pci);
		assert_int_equal(fake_p2m_count(entry_is_mmio), 0);
		vpci_domain_finish(d);
		fake_domain_free(d);
		assert_int_equal(fake_heap_live, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_hardware_domain),
		cmocka_unit_test(test_random_guest),
		cmocka_unit_test(test_random_leaves_nothing_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
