// SPDX-License-Identifier: GPL-2.0-or-later
// Builder of the PVH start information (struct hvm_start_info, version 1).
#ifndef ARCH_START_INFO_H
#define ARCH_START_INFO_H

#include <stddef.h>
#include <stdint.h>

#include <arch/memmap.h>

#define START_INFO_MAX_MODULES 8
#define START_INFO_MAX_CMDLINE 4096

/* All addresses are guest-physical. */
struct start_info_module {
	uint64_t paddr;
	uint64_t size;
	const char *cmdline; /* NULL: none */
};

struct start_info_config {
	uint32_t flags; /* SIF_* */
	const char *cmdline;
	uint64_t rsdp_paddr;
	unsigned int nr_modules;
	struct start_info_module modules[START_INFO_MAX_MODULES];
	const struct memmap *map; /* NULL: none, as Xen 4.17 does for dom0 */
};

/*
 * Bytes that start_info_build() needs for this, a multiple of 8; 0 if a limit above is exceeded.
 */
size_t start_info_size(const struct start_info_config *config);

/*
 * Lays out start_info, module list, memory map and command lines in buf[0, len), which the guest
 * sees at guest-physical address gpa (multiple of 8). The start_info structure comes first, so
 * EBX = gpa. Returns 0, -EINVAL (a limit is exceeded, or gpa is odd or not below 4 GiB) or -ENOSPC;
 * buf is untouched on failure.
 */
int start_info_build(void *buf, size_t len, uint64_t gpa, const struct start_info_config *config);

#endif
