/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory of domains as the memory_op hypercall sees it. */
#ifndef BULKHEAD_MEMORY_H
#define BULKHEAD_MEMORY_H

#include <bulkhead/addr.h>

struct domain;

/* Entry of the memory map given by XENMEM_memory_map: the format of BIOS INT 15h, AX=E820h. */
struct memory_map_entry {
	uint64_t base, size;
	uint32_t type; /* 1 RAM, 2 reserved, 3 ACPI, 4 NVS, 5 unusable */
} __packed;
_Static_assert(sizeof(struct memory_map_entry) == 20, "ABI");

#define MEMORY_MAP_MAX 1024

/* Replaces the map of d; a copy is taken. 0, -E2BIG, -ENOMEM. */
int memory_map_set(struct domain *d, const struct memory_map_entry *entries, unsigned nr);
/* Frees what memory_op keeps of a domain; accepts one of which it keeps nothing. */
void memory_domain_finish(struct domain *d);

#endif
