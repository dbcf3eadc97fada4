/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xen's devices and XenStore inside one process: each thread says which domain it is. For tests that are linked with FAKE_XEN_WRAP. */
#ifndef TEST_FAKE_XEN_H
#define TEST_FAKE_XEN_H

#include <stdbool.h>

#include <stdint.h>

/* Starts XenStore in a thread, with an empty tree and the domains 0 to 3; $XENSTORED_PATH is set by become(). */
void fake_xen_start(void);
void fake_xen_stop(void);

/* Opens of devices by this thread are now made by that domain. */
void fake_xen_become(int domain);

/* What the kernel does for a process that ends: notices of mappings, ports. The process's own view stays usable. */
void fake_xen_kill_process(int domain);
/* The same without the kernel: only ports are closed, and XenStore says that the domain is gone. */
void fake_xen_kill_domain(int domain);

/* Direct access to the tree: NULL if there is no such node. The text is valid until the next call. */
const char *fake_xen_value(const char *path);
const char *fake_xen_permissions(const char *path); /* "n1 r2" */
void fake_xen_set(const char *path, const char *value);

/* How many watches an unprivileged domain may have; event channel notifications sent so far, over all. */
void fake_xen_limit_watches(int limit);
/* As XenStore 4.17: it tells dom0 alone which domains there are. */
void fake_xen_hide_domains(void);
/* Watches that a domain has now; timers that were set to look again and again, over all. */
int fake_xen_watches(int domain);
unsigned long fake_xen_timers(void);
unsigned long fake_xen_notifications(void);
/* Grants and ports that exist: to find leaks. */
int fake_xen_resources(void);
/* Maps the page of a grant, as the one who granted it has it. */
void *fake_xen_page(uint32_t ref);

#endif
