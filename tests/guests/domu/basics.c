// SPDX-License-Identifier: GPL-2.0-or-later
// A guest that shows that it is one: its command line, its console, its clock, its rights.
#include "domu.h"
#include <xen/errno.h>
#include <xen/sysctl.h>

GUEST_TEST(words)
{
	uint64_t answer = domu_number("answer", 0);

	CHECK(answer, "the command line is not there");
	domu_mailbox()->to_dom0[0] = answer;
}

GUEST_TEST(clock)
{
	uint64_t then = time_now();

	domu_sleep(1000000);
	CHECK(time_now() >= then + 1000000, "%lu ns have passed", time_now() - then);
}

/* It goes by, whatever it does to caches; of INVD tests/guests/strict.c has to do. */
GUEST_TEST(caches)
{
	__asm__ volatile("wbinvd" : : : "memory");
	__asm__ volatile("wbinvd" : : : "memory");
}

GUEST_TEST(rights)
{
	struct xen_domctl d = {.cmd = XEN_DOMCTL_pausedomain,
			       .interface_version = XEN_DOMCTL_INTERFACE_VERSION};
	struct xen_sysctl s = {.cmd = XEN_SYSCTL_physinfo,
			       .interface_version = XEN_SYSCTL_INTERFACE_VERSION};
	long result = hypercall2(__HYPERVISOR_domctl, ADDRESS(&d), 0);

	CHECK(result == -XEN_EPERM, "domctl gives %ld", result);
	result = hypercall2(__HYPERVISOR_sysctl, ADDRESS(&s), 0);
	CHECK(result == -XEN_EPERM, "sysctl gives %ld", result);
}
