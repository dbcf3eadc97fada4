// SPDX-License-Identifier: GPL-2.0-or-later
// Lays out the PVH start information for a guest kernel.
#include <arch/start_info.h>
#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

#include <xen/arch-x86/hvm/start_info.h>

_Static_assert(sizeof(struct hvm_start_info) == 56, "start_info layout");
_Static_assert(sizeof(struct hvm_modlist_entry) == 32, "module list layout");
_Static_assert(sizeof(struct hvm_memmap_table_entry) == 24, "memory map layout");
_Static_assert((int)MEMMAP_RAM == XEN_HVM_MEMMAP_TYPE_RAM &&
		       (int)MEMMAP_PMEM == XEN_HVM_MEMMAP_TYPE_PMEM,
	       "memory map types are those of the ABI");

/* Offsets of the parts from the start of start_info. */
struct layout {
	size_t modlist;
	size_t memmap;
	size_t strings;
	size_t total;
};

static size_t string_space(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

static int plan(const struct start_info_config *config, struct layout *ret_layout)
{
	unsigned int nr_regions = config->map ? config->map->nr : 0;
	struct layout l;

	if (config->nr_modules > START_INFO_MAX_MODULES || nr_regions > MEMMAP_MAX_REGIONS ||
	    string_space(config->cmdline) > START_INFO_MAX_CMDLINE)
		return -EINVAL;
	l.modlist = sizeof(struct hvm_start_info);
	l.memmap = l.modlist + config->nr_modules * sizeof(struct hvm_modlist_entry);
	l.strings = l.memmap + nr_regions * sizeof(struct hvm_memmap_table_entry);
	l.total = l.strings + string_space(config->cmdline);
	for (unsigned int i = 0; i < config->nr_modules; i++) {
		size_t space = string_space(config->modules[i].cmdline);

		if (space > START_INFO_MAX_CMDLINE)
			return -EINVAL;
		l.total += space;
	}
	l.total = (l.total + 7) & ~(size_t)7;
	*ret_layout = l;
	return 0;
}

size_t start_info_size(const struct start_info_config *config)
{
	struct layout l;

	return plan(config, &l) ? 0 : l.total;
}

/* Appends a string at *pos; returns its guest-physical address, 0 for none. */
static uint64_t put_string(uint8_t *buf, uint64_t gpa, size_t *pos, const char *s)
{
	size_t at = *pos;

	if (!s)
		return 0;
	memcpy(buf + at, s, strlen(s) + 1);
	*pos += strlen(s) + 1;
	return gpa + at;
}

int start_info_build(void *buf, size_t len, uint64_t gpa, const struct start_info_config *config)
{
	struct hvm_start_info si = {
		.magic = XEN_HVM_START_MAGIC_VALUE,
		.version = 1,
		.flags = config->flags,
		.nr_modules = config->nr_modules,
		.rsdp_paddr = config->rsdp_paddr,
	};
	uint8_t *out = buf;
	struct layout l;
	size_t pos;
	int rc;

	rc = plan(config, &l);
	if (rc)
		return rc;
	/* EBX carries the address, and 32-bit kernels follow the pointers before they page. */
	if (gpa % 8 != 0 || gpa > UINT32_MAX || l.total > (UINT64_C(1) << 32) - gpa)
		return -EINVAL;
	if (len < l.total)
		return -ENOSPC;

	memset(out, 0, l.total);
	pos = l.strings;
	si.cmdline_paddr = put_string(out, gpa, &pos, config->cmdline);
	if (config->nr_modules > 0)
		si.modlist_paddr = gpa + l.modlist;
	for (unsigned int i = 0; i < config->nr_modules; i++) {
		const struct start_info_module *m = &config->modules[i];
		struct hvm_modlist_entry e = {
			.paddr = m->paddr,
			.size = m->size,
			.cmdline_paddr = put_string(out, gpa, &pos, m->cmdline),
		};

		memcpy(out + l.modlist + i * sizeof(e), &e, sizeof(e));
	}
	if (config->map && config->map->nr > 0) {
		si.memmap_paddr = gpa + l.memmap;
		si.memmap_entries = config->map->nr;
	}
	for (unsigned int i = 0; i < si.memmap_entries; i++) {
		const struct memmap_region *r = &config->map->r[i];
		struct hvm_memmap_table_entry e = {
			.addr = r->start,
			.size = r->end - r->start,
			.type = r->type,
		};

		memcpy(out + l.memmap + i * sizeof(e), &e, sizeof(e));
	}
	memcpy(out, &si, sizeof(si));
	return 0;
}
