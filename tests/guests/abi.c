// SPDX-License-Identifier: GPL-2.0-or-later
// The ABI as dom0 sees it before it uses it: CPUID leaves, hypercall page, versions, start information.
#include "guest.h"
#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/features.h>
#include <xen/memory.h>
#include <xen/version.h>

GUEST_TEST(cpuid_signature)
{
	uint32_t regs[4];

	CHECK(guest_xen_leaf == 0x40000000, "the leaves begin at %#x", guest_xen_leaf);
	cpuid(guest_xen_leaf, 0, regs);
	CHECK(regs[0] >= guest_xen_leaf + 4, "the last leaf is %#x", regs[0]);
	cpuid(1, 0, regs);
	CHECK(regs[2] >> 31, "the hypervisor bit of leaf 1 is clear");
}

GUEST_TEST(cpuid_version)
{
	uint32_t regs[4];

	cpuid(guest_xen_leaf + 1, 0, regs);
	VALUE("cpuid version %u.%u", regs[0] >> 16, regs[0] & 0xffff);
	CHECK(regs[0] == (uint32_t)hypercall2(__HYPERVISOR_xen_version, XENVER_version, 0),
	      "CPUID says %#x, the hypercall something else", regs[0]);
}

GUEST_TEST(cpuid_hypercall_leaf)
{
	uint32_t regs[4];

	cpuid(guest_xen_leaf + 2, 0, regs);
	CHECK(regs[0] == 1, "%u hypercall pages", regs[0]);
	CHECK(regs[1] == 0x40000000, "the MSR is %#x", regs[1]);
	VALUE("cpuid features-1 %#x features-2 %#x", regs[2], regs[3]);
}

GUEST_TEST(cpuid_time_leaf)
{
	uint32_t regs[4];

	cpuid(guest_xen_leaf + 3, 0, regs);
	VALUE("cpuid tsc mode %u", regs[1]);
	CHECK(regs[2] > 100000, "the TSC frequency is %u kHz", regs[2]);
	cpuid(guest_xen_leaf + 3, 1, regs);
	CHECK(regs[2] != 0, "the multiplier of the TSC is 0");
}

GUEST_TEST(cpuid_hvm_leaf)
{
	uint32_t regs[4];

	cpuid(guest_xen_leaf + 4, 0, regs);
	VALUE("cpuid hvm features %#x", regs[0]);
	CHECK(regs[0] & XEN_HVM_CPUID_VCPU_ID_PRESENT, "no vCPU ID is given");
	CHECK(regs[1] == 0, "vCPU ID %u", regs[1]);
	CHECK(!(regs[0] & XEN_HVM_CPUID_DOMID_PRESENT) || regs[2] == 0, "domain ID %u", regs[2]);
}

GUEST_TEST(cpuid_no_svm)
{
	uint32_t regs[4];

	cpuid(0x80000001, 0, regs);
	CHECK(!(regs[2] & 4), "SVM is offered to dom0");
	cpuid(1, 0, regs);
	CHECK(!(regs[2] & (1u << 5)), "VMX is offered to dom0");
}

GUEST_TEST(cpuid_x2apic)
{
	uint32_t regs[4];

	cpuid(1, 0, regs);
	CHECK(regs[2] & (1u << 21), "no x2APIC");
	CHECK(regs[3] & (1u << 9), "no APIC");
	cpuid(0xb, 0, regs);
	VALUE("cpuid x2apic id %u", regs[3]);
}

GUEST_TEST(hypercall_page_code)
{
	/* Every entry of 32 bytes is code that moves the number into EAX first (but iret). */
	for (unsigned int i = 0; i < 40; i++) {
		const uint8_t *entry = guest_hypercall_page + i * 32;
		uint32_t number;

		memcpy(&number, entry + 1, sizeof(number));
		CHECK(i == __HYPERVISOR_iret || (entry[0] == 0xb8 && number == i),
		      "entry %u begins with %02x %08x", i, entry[0], number);
	}
}

GUEST_TEST(hypercall_page_unaligned)
{
	/* The low bits of the address choose a page among several: there is one only. */
	CHECK(!wrmsr_safe(0x40000000, ADDRESS(guest_hypercall_page) | 1), "page 1 was accepted");
	CHECK(guest_fault_vector == TRAP_GP, "vector %u", guest_fault_vector);
}

GUEST_TEST(version_numbers)
{
	long version = hypercall2(__HYPERVISOR_xen_version, XENVER_version, 0);

	VALUE("version %ld.%ld", version >> 16, version & 0xffff);
	CHECK(version == (4 << 16 | 17), "%#lx", version);
	CHECK(hypercall2(__HYPERVISOR_xen_version, XENVER_pagesize, 0) == PAGE_BYTES, "page size");
}

GUEST_TEST(version_capabilities)
{
	static xen_capabilities_info_t caps;

	CHECK(hypercall2(__HYPERVISOR_xen_version, XENVER_capabilities, ADDRESS(caps)) == 0,
	      "error");
	CHECK(strstr(caps, "hvm-3.0-x86_64"), "no hvm-3.0-x86_64 in '%s'", caps);
	CHECK(strstr(caps, "hvm-3.0-x86_32"), "no hvm-3.0-x86_32 in '%s'", caps);
}

GUEST_TEST(version_command_line)
{
	static xen_commandline_t line;
	long length = hypercall2(__HYPERVISOR_xen_version, XENVER_commandline, ADDRESS(line));

	CHECK(length >= 0, "error %ld", length);
	CHECK(strstr(line, "dom0_mem"), "no dom0_mem in '%s'", line);
}

GUEST_TEST(version_features)
{
	struct xen_feature_info info = {.submap_idx = 0};

	CHECK(hypercall2(__HYPERVISOR_xen_version, XENVER_get_features, ADDRESS(&info)) == 0,
	      "error");
	VALUE("features %#x", info.submap);
	CHECK(info.submap & (1u << XENFEAT_auto_translated_physmap), "not auto-translated");
	CHECK(info.submap & (1u << XENFEAT_hvm_callback_vector), "no callback vector");
	CHECK(info.submap & (1u << XENFEAT_dom0), "not dom0");
	info.submap_idx = 99;
	CHECK(hypercall2(__HYPERVISOR_xen_version, XENVER_get_features, ADDRESS(&info)) < 0,
	      "submap 99 was accepted");
}

struct e820_entry {
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));

/* Ascending, without overlaps, and with the memory of dom0_mem=256M. */
static void check_map(const struct hvm_memmap_table_entry *map, uint32_t entries)
{
	uint64_t ram = 0, last = 0;

	CHECK(entries > 2, "%u memory map entries", entries);
	for (uint32_t i = 0; i < entries; i++) {
		CHECK(map[i].addr >= last, "entry %u at %#lx overlaps", i, map[i].addr);
		CHECK(map[i].size, "entry %u is empty", i);
		last = map[i].addr + map[i].size;
		if (map[i].type == XEN_HVM_MEMMAP_TYPE_RAM)
			ram += map[i].size;
	}
	CHECK(ram > (250ull << 20) && ram <= (256ull << 20), "%lu KiB of RAM", ram >> 10);
}

GUEST_TEST(start_info)
{
	const struct hvm_start_info *info =
		(const struct hvm_start_info *)(uintptr_t)guest_start_info_address;
	CHECK(info->magic == XEN_HVM_START_MAGIC_VALUE, "magic %#x", info->magic);
	CHECK(info->flags & SIF_INITDOMAIN, "flags %#x", info->flags);
	CHECK(strstr((const char *)(uintptr_t)info->cmdline_paddr, "guest-words"),
	      "the command line is '%s'", (const char *)(uintptr_t)info->cmdline_paddr);
	CHECK(info->rsdp_paddr, "no RSDP");
	CHECK(memcmp((const void *)(uintptr_t)info->rsdp_paddr, "RSD PTR ", 8) == 0,
	      "no RSDP at %#lx", info->rsdp_paddr);
	/* Version 0 ends behind the RSDP's address. */
	if (info->version >= 1)
		check_map((const void *)(uintptr_t)info->memmap_paddr, info->memmap_entries);
}

GUEST_TEST(memory_map)
{
	static struct hvm_memmap_table_entry entries[64];
	static struct e820_entry e820[64];
	struct xen_memory_map op = {.nr_entries = 64};

	set_xen_guest_handle(op.buffer, e820);
	CHECK(hypercall2(__HYPERVISOR_memory_op, XENMEM_memory_map, ADDRESS(&op)) == 0, "error");
	CHECK(op.nr_entries <= 64, "%u entries", op.nr_entries);
	for (uint32_t i = 0; i < op.nr_entries; i++)
		entries[i] = (struct hvm_memmap_table_entry){.addr = e820[i].addr,
							     .size = e820[i].size,
							     .type = e820[i].type};
	check_map(entries, op.nr_entries);
}

static uint8_t table_sum(const uint8_t *table, uint32_t length)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + table[i]);
	return sum;
}

GUEST_TEST(acpi_tables)
{
	const struct hvm_start_info *info =
		(const struct hvm_start_info *)(uintptr_t)guest_start_info_address;
	const uint8_t *rsdp = (const uint8_t *)(uintptr_t)info->rsdp_paddr, *xsdt;
	uint64_t address;
	uint32_t length;
	bool madt = false, mcfg = false, fadt = false;

	CHECK(rsdp[15] >= 2, "RSDP revision %u", rsdp[15]);
	CHECK(table_sum(rsdp, 36) == 0, "wrong sum of the RSDP");
	memcpy(&address, rsdp + 24, sizeof(address));
	xsdt = (const uint8_t *)(uintptr_t)address;
	CHECK(memcmp(xsdt, "XSDT", 4) == 0, "no XSDT at %#lx: %02x %02x %02x %02x", address,
	      xsdt[0], xsdt[1], xsdt[2], xsdt[3]);
	memcpy(&length, xsdt + 4, sizeof(length));
	CHECK(table_sum(xsdt, length) == 0, "wrong sum of the XSDT");
	for (uint32_t at = 36; at + 8 <= length; at += 8) {
		const uint8_t *table;
		uint32_t size;

		memcpy(&address, xsdt + at, sizeof(address));
		table = (const uint8_t *)(uintptr_t)address;
		memcpy(&size, table + 4, sizeof(size));
		CHECK(memcmp(table, "DMAR", 4) != 0 && memcmp(table, "IVRS", 4) != 0,
		      "dom0 sees the IOMMU's table");
		madt |= memcmp(table, "APIC", 4) == 0;
		mcfg |= memcmp(table, "MCFG", 4) == 0;
		fadt |= memcmp(table, "FACP", 4) == 0;
		CHECK(table_sum(table, size) == 0, "wrong sum of %c%c%c%c", table[0], table[1],
		      table[2], table[3]);
	}
	CHECK(madt && mcfg && fadt, "missing: %s%s%s", madt ? "" : "MADT ", mcfg ? "" : "MCFG ",
	      fadt ? "" : "FADT");
}
