// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of platform_op and physdev_op.
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/fake_x86.c tests/unit/fake_pci.c hypervisor/arch/x86/hvm/hvm_io.c
// links: hypervisor/arch/x86/hypercall_platform.c hypervisor/arch/x86/hypercall_platform_cpu.c
// links: hypervisor/arch/x86/hypercall_physdev.c hypervisor/arch/x86/vpci/policy.c
// links: hypervisor/arch/x86/vpci/vpci.c hypervisor/arch/x86/vpci/access.c hypervisor/arch/x86/vpci/bars.c
// links: hypervisor/arch/x86/vpci/header.c hypervisor/arch/x86/vpci/map.c hypervisor/arch/x86/vpci/trap.c
// links: hypervisor/arch/x86/vpci/message.c hypervisor/arch/x86/vpci/msi.c hypervisor/arch/x86/vpci/msix.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arch/platform.h>
#include <arch/vpci.h>
#include <bulkhead/control.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/iommu.h>
#include <bulkhead/time.h>

#include <xen/physdev.h>
#include <xen/platform.h>

#include "fake_pci.h"

static struct domain *dom0, *domu;

/* ---- What the calls reach ---- */

static uint8_t memory[0x4000];
#define OP  0x100UL /* the structure */
#define BUF 0x1000UL

int guest_copy_from(void *dst, uint64_t gva, size_t len)
{
	if (gva > sizeof(memory) || len > sizeof(memory) - gva)
		return -EFAULT;
	memcpy(dst, memory + gva, len);
	return 0;
}

int guest_copy_to(uint64_t gva, const void *src, size_t len)
{
	if (gva > sizeof(memory) || len > sizeof(memory) - gva)
		return -EFAULT;
	memcpy(memory + gva, src, len);
	return 0;
}

/* RAM is below this; above it are the devices, if nothing has them yet. */
#define RAM_END 0x80000000UL

static bool devices_taken;

bool arch_iomem_grantable(uint64_t first_mfn, uint64_t nr)
{
	return nr && !devices_taken && first_mfn >= RAM_END >> PAGE_SHIFT;
}

static uint64_t set_sec, set_system_time;
static uint32_t set_nsec;
static unsigned wallclock_updates;

void time_set_wallclock(uint64_t sec, uint32_t nsec, uint64_t system_time)
{
	set_sec = sec;
	set_nsec = nsec;
	set_system_time = system_time;
}

void domain_wallclock_update_all(void)
{
	wallclock_updates++;
}

bool may_system(const struct domain *caller)
{
	return caller == dom0;
}

cpumask_t cpu_online;
unsigned cpu_count;
static struct cpu cpus[3];
static struct vcpu idle[3];

void cpu_call_all(void (*fn)(void *arg), void *arg)
{
	struct cpu *here = fake_this_cpu;

	for (unsigned i = 0; i < cpu_count; i++) {
		fake_this_cpu = cpu_table[i];
		fn(arg);
	}
	fake_this_cpu = here;
}

uint64_t arch_cpu_physid(unsigned cpu)
{
	return cpu * 4 | (uint64_t)(cpu + 100) << 32;
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *ret_info)
{
	memset(ret_info, 0, sizeof(*ret_info));
	ret_info->time[RUNSTATE_running] = 1000 + (uint64_t)(v - idle);
}

static uint64_t msr_written;
int wrmsr_safe(uint32_t msr, uint64_t v)
{
	if (msr != 0xc8d)
		return -EFAULT;
	msr_written = v;
	return 0;
}

static bool screen;
bool arch_dom0_console_info(struct dom0_vga_console_info *ret_info)
{
	if (!screen)
		return false;
	ret_info->video_type = XEN_VGATYPE_VESA_LFB;
	ret_info->u.vesa_lfb.width = 1024;
	ret_info->u.vesa_lfb.ext_lfb_base = 7;
	return true;
}

static bool have_iommu;
static int assign_error;
static struct pci_dev *assigned_dev;

bool iommu_present(void)
{
	return have_iommu;
}

int iommu_assign(struct pci_dev *dev, struct domain *d)
{
	assigned_dev = dev;
	if (d && assign_error)
		return assign_error;
	dev->owner = d;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_pci_reset();
	memset(memory, 0, sizeof(memory));
	dom0 = fake_domain(true, 1);
	domu = fake_domain(false, 1);
	domu->id = 5;
	fake_run_as(dom0->vcpus[0]);
	assert_int_equal(vpci_domain_init(dom0), 0);
	wallclock_updates = 0;
	screen = false;
	have_iommu = true;
	assign_error = 0;
	assigned_dev = NULL;
	memset(&cpu_online, 0, sizeof(cpu_online));
	cpu_count = 3;
	for (unsigned i = 0; i < 3; i++) {
		if (i)
			cpu_table[i] = &cpus[i];
		cpu_table[i]->id = i;
		cpu_table[i]->idle = &idle[i];
		cpumask_set(&cpu_online, i);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vpci_domain_finish(dom0);
	fake_domain_free(domu);
	fake_domain_free(dom0);
	assert_int_equal(fake_heap_live, 0);
	return 0;
}

/* ---- platform_op ---- */

static struct xen_platform_op *op(uint32_t cmd)
{
	struct xen_platform_op *p = (void *)(memory + OP);

	memset(p, 0, sizeof(*p));
	p->cmd = cmd;
	p->interface_version = XENPF_INTERFACE_VERSION;
	return p;
}

static int64_t platform(void)
{
	struct hypercall hc = {.nr = 7, .args = {OP}};

	return hypercall_platform_op(&hc);
}

static int64_t platform_cmd(uint32_t cmd)
{
	op(cmd);
	return platform();
}

static void test_platform_who_and_how(void **state)
{
	struct hypercall hc = {.nr = 7, .args = {sizeof(memory)}};

	(void)state;
	assert_int_equal(hypercall_platform_op(&hc), -EFAULT);
	op(XENPF_get_cpuinfo)->interface_version = 0x03000000;
	assert_int_equal(platform(), -EACCES);
	fake_run_as(domu->vcpus[0]);
	assert_int_equal(platform(), -EACCES);
	assert_int_equal(platform_cmd(XENPF_get_cpuinfo), -EPERM);
}

static void test_platform_not_there(void **state)
{
	static const uint32_t cmds[] = {XENPF_add_memtype,
					XENPF_del_memtype,
					XENPF_read_memtype,
					XENPF_microcode_update,
					XENPF_platform_quirk,
					XENPF_efi_runtime_call,
					XENPF_enter_acpi_sleep,
					XENPF_change_freq,
					XENPF_cpu_hotadd,
					XENPF_mem_hotadd,
					65,
					0};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cmds); i++)
		assert_int_equal(platform_cmd(cmds[i]), -ENOSYS);
}

static void test_platform_settime(void **state)
{
	struct xen_platform_op *p = op(XENPF_settime64);

	(void)state;
	p->u.settime64.secs = 0x123456789;
	p->u.settime64.nsecs = 5;
	p->u.settime64.system_time = 77;
	assert_int_equal(platform(), 0);
	assert_int_equal(set_sec, 0x123456789);
	assert_int_equal(set_nsec, 5);
	assert_int_equal(set_system_time, 77);
	assert_int_equal(wallclock_updates, 1);
	p->u.settime64.mbz = 1;
	assert_int_equal(platform(), -EINVAL);
	assert_int_equal(wallclock_updates, 1);
	p = op(XENPF_settime32);
	p->u.settime32.secs = 100;
	p->u.settime32.nsecs = 3500000000U;
	p->u.settime32.system_time = 9;
	assert_int_equal(platform(), 0);
	assert_int_equal(set_sec, 103);
	assert_int_equal(set_nsec, 500000000);
	assert_int_equal(set_system_time, 9);
}

static void test_platform_firmware_info(void **state)
{
	static const struct {
		uint32_t type;
		int64_t want;
	} cases[] = {{XEN_FW_DISK_INFO, -ESRCH},
		     {XEN_FW_DISK_MBR_SIGNATURE, -ESRCH},
		     {XEN_FW_VBEDDC_INFO, -ESRCH},
		     {XEN_FW_EFI_INFO, -ENOSYS},
		     {XEN_FW_KBD_SHIFT_FLAGS, -ESRCH},
		     {0, -EINVAL},
		     {6, -EINVAL}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		op(XENPF_firmware_info)->u.firmware_info.type = cases[i].type;
		assert_int_equal(platform(), cases[i].want);
	}
}

static void test_platform_dom0_console(void **state)
{
	const struct dom0_vga_console_info *info = (void *)&op(0)->u;

	(void)state;
	assert_int_equal(platform_cmd(64), -ENODATA);
	screen = true;
	assert_int_equal(platform_cmd(64), sizeof(*info));
	assert_int_equal(info->video_type, XEN_VGATYPE_VESA_LFB);
	assert_int_equal(info->u.vesa_lfb.width, 1024);
	assert_int_equal(info->u.vesa_lfb.ext_lfb_base, 7);
}

static void test_platform_cpuinfo(void **state)
{
	struct xenpf_pcpuinfo *info = &op(0)->u.pcpu_info;

	(void)state;
	op(XENPF_get_cpuinfo);
	info->xen_cpuid = 2;
	assert_int_equal(platform(), 0);
	assert_int_equal(info->max_present, 2);
	assert_int_equal(info->flags, XEN_PCPU_FLAGS_ONLINE);
	assert_int_equal(info->apic_id, 8);
	assert_int_equal(info->acpi_id, 102);
	info->xen_cpuid = 3;
	assert_int_equal(platform(), 0);
	assert_int_equal(info->flags, XEN_PCPU_FLAGS_INVALID);
	assert_int_equal(info->max_present, 2);
	info->xen_cpuid = ~0U;
	assert_int_equal(platform(), 0);
	assert_int_equal(info->flags, XEN_PCPU_FLAGS_INVALID);
}

static void test_platform_cpu_version(void **state)
{
	struct xenpf_pcpu_version *info = &op(0)->u.pcpu_version;

	(void)state;
	op(XENPF_get_cpu_version);
	info->xen_cpuid = 1;
	assert_int_equal(platform(), 0);
	assert_int_equal(info->max_present, 2);
	op(XENPF_get_cpu_version);
	info->xen_cpuid = 9;
	info->family = 99;
	assert_int_equal(platform(), 0);
	assert_int_equal(info->family, 0);
}

static void test_platform_cpu_online(void **state)
{
	(void)state;
	op(XENPF_cpu_online)->u.cpu_ol.cpuid = 1;
	assert_int_equal(platform(), 0);
	op(XENPF_cpu_online)->u.cpu_ol.cpuid = 3;
	assert_int_equal(platform(), -EINVAL);
	op(XENPF_cpu_offline)->u.cpu_ol.cpuid = 1;
	assert_int_equal(platform(), -EOPNOTSUPP);
	op(XENPF_cpu_offline)->u.cpu_ol.cpuid = ~0U;
	assert_int_equal(platform(), -EINVAL);
}

static void test_platform_core_parking(void **state)
{
	struct xenpf_core_parking *p = &op(0)->u.core_parking;

	(void)state;
	op(XENPF_core_parking);
	p->type = XEN_CORE_PARKING_GET;
	p->idle_nums = 9;
	assert_int_equal(platform(), 0);
	assert_int_equal(p->idle_nums, 0);
	p->type = XEN_CORE_PARKING_SET;
	assert_int_equal(platform(), 0);
	p->idle_nums = 1;
	assert_int_equal(platform(), -EOPNOTSUPP);
	p->type = 3;
	assert_int_equal(platform(), -EINVAL);
}

static void test_platform_pminfo(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < 5; type++) {
		op(XENPF_set_processor_pminfo)->u.set_pminfo.type = type;
		assert_int_equal(platform(), type == XEN_PM_TX || type == 4 ? -EINVAL : -ENOSYS);
	}
}

static void test_platform_idle_time(void **state)
{
	struct xenpf_getidletime *p = &op(0)->u.getidletime;
	uint64_t *times = (uint64_t *)(void *)(memory + BUF);

	(void)state;
	op(XENPF_getidletime);
	fake_now = 4711;
	memory[0x800] = 0x2e; /* CPUs 1, 2, 3 and 5 */
	memory[0x801] = 0xff;
	memset(times, 0xff, 128);
	set_xen_guest_handle_raw(p->cpumap_bitmap, (void *)0x800);
	set_xen_guest_handle_raw(p->idletime, (void *)BUF);
	p->cpumap_nr_cpus = 5;
	assert_int_equal(platform(), 0);
	assert_int_equal(p->now, 4711);
	assert_int_equal(memory[0x800] & 0x1f, 0x06);
	assert_int_equal(memory[0x801], 0xff);
	assert_int_equal(times[0], ~0ULL);
	assert_int_equal(times[1], 1001);
	assert_int_equal(times[2], 1002);
	assert_int_equal(times[3], 0);
	assert_int_equal(times[4], ~0ULL);
	set_xen_guest_handle_raw(p->idletime, (void *)sizeof(memory));
	memory[0x800] = 1;
	assert_int_equal(platform(), -EFAULT);
	p->cpumap_nr_cpus = ~0U;
	set_xen_guest_handle_raw(p->cpumap_bitmap, (void *)sizeof(memory));
	assert_int_equal(platform(), -EFAULT);
}

static int64_t resources(uint32_t cpu, uint32_t count)
{
	struct xenpf_resource_op *p = &op(XENPF_resource_op)->u.resource_op;

	p->cpu = cpu;
	p->nr_entries = count;
	set_xen_guest_handle_raw(p->entries, (void *)BUF);
	return platform();
}

static void test_platform_resources(void **state)
{
	xenpf_resource_entry_t *e = (void *)(memory + BUF);

	(void)state;
	assert_int_equal(resources(0, 0), 0);
	assert_int_equal(resources(0, 4), -EINVAL);
	fake_msr_set(0xc8e, 0x1234);
	fake_now = 99;
	e[0].u.cmd = XEN_RESOURCE_OP_MSR_WRITE;
	e[0].idx = 0xc8d;
	e[0].val = 0x55;
	e[1].idx = 0xc8e;
	e[2].idx = 0x10;
	assert_int_equal(resources(1, 3), 3);
	assert_int_equal(msr_written, 0x55);
	assert_int_equal(e[1].val, 0x1234);
	assert_int_equal(e[2].val, 99);
	assert_int_equal(resources(3, 3), -ENODEV);
	assert_int_equal(resources(~0U, 3), -ENODEV);
	/* The first error ends it, and stands in its entry. */
	e[0].u.cmd = XEN_RESOURCE_OP_MSR_READ;
	e[0].idx = 0x10;
	e[1].idx = 0x1b;
	assert_int_equal(resources(1, 3), 1);
	assert_int_equal(e[1].u.ret, -EACCES);
	e[1].idx = 0x100000010;
	e[1].u.ret = 0;
	assert_int_equal(resources(1, 3), 1);
	assert_int_equal(e[1].u.ret, -EINVAL);
	e[0].u.cmd = 7;
	assert_int_equal(resources(1, 3), 0);
	assert_int_equal(e[0].u.ret, -EOPNOTSUPP);
	e[0].u.cmd = XEN_RESOURCE_OP_MSR_WRITE;
	assert_int_equal(resources(1, 1), 0);
	assert_int_equal(e[0].u.ret, -EPERM);
	e[0].u.cmd = XEN_RESOURCE_OP_MSR_READ;
	e[0].rsvd = 1;
	assert_int_equal(resources(1, 1), 0);
	assert_int_equal(e[0].u.ret, -EINVAL);
	/* A register that the machine has not. */
	e[0].rsvd = 0;
	e[0].u.cmd = XEN_RESOURCE_OP_MSR_READ;
	e[0].idx = 0xc8d;
	assert_int_equal(resources(1, 1), 0);
	assert_int_equal(e[0].u.ret, -EFAULT);
}

static void test_platform_symbols_of_an_image_without(void **state)
{
	struct xenpf_symdata *p = &op(0)->u.symdata;

	(void)state;
	op(XENPF_get_symbol);
	assert_int_equal(platform(), 0);
	assert_int_equal(p->symnum, 0);
	p->symnum = 1;
	assert_int_equal(platform(), -ERANGE);
}

/* ---- physdev_op ---- */

static int64_t physdev(uint64_t cmd, const void *arg, size_t size)
{
	struct hypercall hc = {.nr = 33, .args = {cmd, OP}};

	memcpy(memory + OP, arg, size);
	return hypercall_physdev_op(&hc);
}

static int64_t add(sbdf_t s, uint32_t flags, sbdf_t physfn)
{
	const struct physdev_pci_device_add a = {
		.seg = (uint16_t)sbdf_seg(s),
		.bus = (uint8_t)sbdf_bus(s),
		.devfn = (uint8_t)s.v,
		.flags = flags,
		.physfn = {(uint8_t)sbdf_bus(physfn), (uint8_t)physfn.v},
	};

	return physdev(PHYSDEVOP_pci_device_add, &a, sizeof(a));
}

static int64_t take_away(sbdf_t s)
{
	const struct physdev_pci_device r = {
		.seg = (uint16_t)sbdf_seg(s),
		.bus = (uint8_t)sbdf_bus(s),
		.devfn = (uint8_t)s.v,
	};

	return physdev(PHYSDEVOP_pci_device_remove, &r, sizeof(r));
}

static void test_physdev_not_there(void **state)
{
	static const unsigned cmds[] = {4,  5,	6,  7,	8,  9,	10, 11, 12, 13, 14, 15, 16,
					17, 18, 19, 20, 21, 22, 23, 27, 28, 30, 31, 32, ~0U};
	struct hypercall hc = {.nr = 33};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cmds); i++) {
		hc.args[0] = cmds[i];
		assert_int_equal(hypercall_physdev_op(&hc), -ENOSYS);
	}
	fake_run_as(domu->vcpus[0]);
	for (unsigned cmd = 24; cmd < 30; cmd++) {
		hc.args[0] = cmd;
		assert_int_equal(hypercall_physdev_op(&hc), -ENOSYS);
	}
}

static void test_physdev_faults(void **state)
{
	static const unsigned cmds[] = {24, 25, 26, 29};
	struct hypercall hc = {.nr = 33, .args = {0, sizeof(memory)}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cmds); i++) {
		hc.args[0] = cmds[i];
		assert_int_equal(hypercall_physdev_op(&hc), -EFAULT);
	}
	/* The optional array behind the structure is not read. */
	hc.args[0] = PHYSDEVOP_pci_device_add;
	hc.args[1] = sizeof(memory) - 12;
	assert_int_equal(hypercall_physdev_op(&hc), -ENODEV);
}

static void test_physdev_add(void **state)
{
	sbdf_t s = sbdf_make(0, 2, 3, 1);
	struct fake_function *f = fake_pci_function(s);

	(void)state;
	fake_pci_bar32(f, 0, 0x1000, 0xf0000000);
	fake_pci_set(f, PCI_COMMAND, 2, 2);
	assert_int_equal(add(sbdf_make(0, 9, 9, 0), 0, s), -ENODEV);
	assert_int_equal(add(s, 0, s), 0);
	assert_ptr_equal(f->pci.owner, dom0);
	assert_non_null(f->pci.vpci);
	assert_true(fake_p2m_is(0xf0000, 1, 0xf0000, P2M_MMIO));
	/* Known already: that is fine. */
	assert_int_equal(add(s, XEN_PCI_DEV_PXM, s), 0);
	assert_int_equal(take_away(s), 0);
	assert_null(f->pci.owner);
	assert_null(f->pci.vpci);
	assert_true(fake_p2m_empty(0xf0000, 1));
	assert_int_equal(add(s, 0, s), 0);
	assert_ptr_equal(f->pci.owner, dom0);
}

static void test_physdev_add_that_fails(void **state)
{
	sbdf_t s = sbdf_make(0, 2, 3, 1);
	struct fake_function *f = fake_pci_function(s);

	(void)state;
	assign_error = -EBUSY;
	assert_int_equal(add(s, 0, s), -EBUSY);
	assert_null(f->pci.vpci);
	assign_error = 0;
	fake_heap_fail_after = 0;
	assert_int_equal(add(s, 0, s), -ENOMEM);
	fake_heap_fail_after = -1;
	assert_null(f->pci.owner);
	/* Hidden: nothing to do, as for a device that is there. */
	f->pci.hidden = true;
	assert_int_equal(add(s, 0, s), 0);
	assert_null(f->pci.vpci);
	assert_int_equal(take_away(s), -EBUSY);
	f->pci.hidden = false;
	f->pci.owner = domu;
	assert_int_equal(take_away(s), -EBUSY);
	f->pci.owner = NULL;
	assert_int_equal(take_away(sbdf_make(0, 9, 9, 0)), -ENODEV);
}

static void test_physdev_add_without_iommu(void **state)
{
	sbdf_t s = sbdf_make(0, 2, 3, 1);
	struct fake_function *f = fake_pci_function(s);

	(void)state;
	have_iommu = false;
	assert_int_equal(add(s, 0, s), 0);
	assert_null(assigned_dev);
	assert_non_null(f->pci.vpci);
	assert_int_equal(take_away(s), 0);
	assert_null(assigned_dev);
}

static void test_physdev_add_virtual_function(void **state)
{
	sbdf_t s = sbdf_make(0, 2, 0, 0), v = sbdf_make(0, 2, 0, 1);
	struct fake_function *f = fake_pci_function(s), *vf = fake_pci_function(v);

	(void)state;
	fake_pci_cap(f, 0x40, PCI_CAP_ID_PCIE, 0);
	fake_pci_ext_cap(f, 0x100, 0x10, 0);
	fake_pci_mask(f, 0x108, 2, 0x1f);
	fake_pci_set(f, 0x108, 2, 9);
	fake_pci_set(f, 0x110, 2, 1);
	fake_pci_set(f, 0x114, 2, 1);
	fake_pci_set(f, 0x124, 4, 0xf2000000);
	fake_pci_mask(f, 0x124, 4, 0xffffc000);
	fake_pci_set(vf, PCI_VENDOR, 4, 0xffffffff);
	/* The physical function comes along if it is not known yet. */
	assert_int_equal(add(v, XEN_PCI_DEV_VIRTFN, s), 0);
	assert_non_null(f->pci.vpci);
	assert_non_null(vf->pci.vpci);
	assert_true(fake_p2m_is(0xf2000, 4, 0xf2000, P2M_MMIO));
	assert_int_equal(add(v, XEN_PCI_DEV_VIRTFN, sbdf_make(0, 9, 9, 0)), -ENODEV);
	assert_ptr_equal(vf->pci.physfn, &f->pci);
	/* Its IOMMU unit is found by this: so nothing changes as long as the device is in use. */
	fake_pci_know(fake_pci_function(sbdf_make(0, 7, 0, 0)));
	assert_int_equal(add(v, XEN_PCI_DEV_VIRTFN, sbdf_make(0, 7, 0, 0)), 0);
	assert_ptr_equal(vf->pci.physfn, &f->pci);
}

static void test_physdev_mmcfg(void **state)
{
	struct physdev_pci_mmcfg_reserved m = {
		.address = 0xe0000000,
		.end_bus = 15,
	};

	(void)state;
	fake_pci_know(fake_pci_function(sbdf_make(0, 1, 0, 0)));
	/* Not reserved: not used. */
	assert_int_equal(physdev(PHYSDEVOP_pci_mmcfg_reserved, &m, sizeof(m)), 0);
	assert_int_equal(guest_read(0xe0100000, 4), 0xffffffff);
	m.flags = XEN_PCI_MMCFG_RESERVED;
	assert_int_equal(physdev(PHYSDEVOP_pci_mmcfg_reserved, &m, sizeof(m)), 0);
	assert_int_equal(guest_read(0xe0100000, 4), 0x12348086);
	assert_int_equal(physdev(PHYSDEVOP_pci_mmcfg_reserved, &m, sizeof(m)), 0);
	/* What is known already, or a part of it, is in use, and rightly so. */
	devices_taken = true;
	assert_int_equal(physdev(PHYSDEVOP_pci_mmcfg_reserved, &m, sizeof(m)), 0);
	m.start_bus = 1;
	assert_int_equal(physdev(PHYSDEVOP_pci_mmcfg_reserved, &m, sizeof(m)), 0);
	devices_taken = false;
	m.start_bus = 16;
	assert_int_equal(physdev(PHYSDEVOP_pci_mmcfg_reserved, &m, sizeof(m)), -EINVAL);
	m.end_bus = 16;
	m.address = 0xd0000001;
	assert_int_equal(physdev(PHYSDEVOP_pci_mmcfg_reserved, &m, sizeof(m)), -EINVAL);
}

/* Through configuration cycles dom0 would read and write all the memory of the machine. */
static void test_physdev_mmcfg_over_memory(void **state)
{
	struct physdev_pci_mmcfg_reserved m = {
		.address = 0x40000000,
		.segment = 1,
		.end_bus = 15,
		.flags = XEN_PCI_MMCFG_RESERVED,
	};
	unsigned count = 0, seg, first, last;
	uint64_t base;

	(void)state;
	while (pci_ecam_get(count, &base, &seg, &first, &last))
		count++;
	assert_int_equal(physdev(PHYSDEVOP_pci_mmcfg_reserved, &m, sizeof(m)), -EPERM);
	assert_false(pci_ecam_get(count, &base, &seg, &first, &last));
	/* What counts is where its buses are, not where bus 0 would be. */
	m.address = RAM_END - (1UL << 20);
	assert_int_equal(physdev(PHYSDEVOP_pci_mmcfg_reserved, &m, sizeof(m)), -EPERM);
	m.start_bus = 1;
	assert_int_equal(physdev(PHYSDEVOP_pci_mmcfg_reserved, &m, sizeof(m)), 0);
}

static void test_physdev_debug_port(void **state)
{
	const struct physdev_dbgp_op p = {.op = PHYSDEVOP_DBGP_RESET_PREPARE,
					  .bus = PHYSDEVOP_DBGP_BUS_PCI};

	(void)state;
	assert_int_equal(physdev(PHYSDEVOP_dbgp_op, &p, sizeof(p)), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_platform_who_and_how),
		T(test_platform_not_there),
		T(test_platform_settime),
		T(test_platform_firmware_info),
		T(test_platform_dom0_console),
		T(test_platform_cpuinfo),
		T(test_platform_cpu_version),
		T(test_platform_cpu_online),
		T(test_platform_core_parking),
		T(test_platform_pminfo),
		T(test_platform_idle_time),
		T(test_platform_resources),
		T(test_platform_symbols_of_an_image_without),
		T(test_physdev_not_there),
		T(test_physdev_faults),
		T(test_physdev_add),
		T(test_physdev_add_that_fails),
		T(test_physdev_add_without_iommu),
		T(test_physdev_add_virtual_function),
		T(test_physdev_mmcfg),
		T(test_physdev_mmcfg_over_memory),
		T(test_physdev_debug_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
