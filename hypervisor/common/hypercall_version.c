// SPDX-License-Identifier: GPL-2.0-or-later
// Hypercall xen_version: what hypervisor this is and what it can do.

#include <bulkhead/bytes.h>
#include <bulkhead/domain.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/init.h>
#include <bulkhead/string.h>
#include <bulkhead/version.h>

#include <xen/features.h>
#include <xen/version.h>

/* Without PV guests; libxl and the domain builder look for these words. */
#define CAPABILITIES "hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 "

_Static_assert(sizeof(EXTRAVERSION) <= XEN_EXTRAVERSION_LEN, "ABI: 15 characters and NUL");
_Static_assert(sizeof(struct xen_compile_info) == 144, "ABI");
_Static_assert(sizeof(struct xen_feature_info) == 8, "ABI");

/* The ELF note that the linker writes (bulkhead.lds.S); weak: host tests have none. */
extern const uint8_t build_id_start[] __attribute__((weak));
extern const uint8_t build_id_end[] __attribute__((weak));

#define NOTE_HEADER_SIZE 12
#define NOTE_GNU_BUILDID 3

/* Copies a string with zero padding to a fixed-size field in guest memory. */
static int64_t put_text(uint64_t gva, const char *text, size_t size)
{
	char field[1024] = {0};

	size = MIN(size, sizeof(field));
	memcpy(field, text, strnlen(text, size - 1));
	return guest_copy_to(gva, field, size);
}

static int64_t compile_info(uint64_t gva)
{
	struct xen_compile_info info = {
		.compile_by = COMPILED_BY,
	};

	/* Shortened where it does not fit. */
	snprintf(info.compiler, sizeof(info.compiler), "%.*s", (int)sizeof(info.compiler) - 1,
		 COMPILER_TEXT);
	return guest_copy_to(gva, &info, sizeof(info));
}

static int64_t platform_parameters(const struct hypercall *hc)
{
	/* Start of the hypervisor's area in a PV guest's address space: there are no PV guests. */
	uint64_t none = 0;

	return guest_copy_to(hc->args[1], &none, hc->compat ? 4 : 8);
}

static uint32_t features(const struct domain *d)
{
	uint32_t map = BIT32(XENFEAT_writable_page_tables) |
		       BIT32(XENFEAT_auto_translated_physmap) | BIT32(XENFEAT_hvm_callback_vector) |
		       BIT32(XENFEAT_hvm_safe_pvclock) | BIT32(XENFEAT_memory_op_vnode_supported) |
		       BIT32(XENFEAT_not_direct_mapped);

	if (d->hardware)
		map |= BIT32(XENFEAT_dom0);
	return map;
}

static int64_t get_features(uint64_t gva)
{
	struct xen_feature_info untrusted_info;

	if (guest_copy_from(&untrusted_info, gva, sizeof(untrusted_info)))
		return -EFAULT;
	if (untrusted_info.submap_idx >= XENFEAT_NR_SUBMAPS)
		return -EINVAL;
	untrusted_info.submap = features(current_domain());
	return guest_copy_to(gva, &untrusted_info, sizeof(untrusted_info));
}

/* Finds the description of the note. Its layout is that of ELF notes: three words, name, description. */
static size_t find_build_id(const uint8_t **ret_id)
{
	size_t len = (uintptr_t)build_id_end - (uintptr_t)build_id_start;
	uint32_t name_size, size;

	if (!build_id_start || len < NOTE_HEADER_SIZE)
		return 0;
	name_size = ALIGN_UP(load_u32(build_id_start), 4);
	size = load_u32(build_id_start + 4);
	if (load_u32(build_id_start + 8) != NOTE_GNU_BUILDID || name_size > len || size > len ||
	    NOTE_HEADER_SIZE + name_size + size > len)
		return 0;
	*ret_id = build_id_start + NOTE_HEADER_SIZE + name_size;
	return size;
}

/* Result: bytes of the id; with no buffer, its size. */
static int64_t build_id(uint64_t gva)
{
	const uint8_t *id;
	size_t size;
	uint32_t untrusted_len;

	if (!may_system(current_domain()))
		return -EPERM;
	size = find_build_id(&id);
	if (!size)
		return -ENODATA;
	if (!gva)
		return (int64_t)size;
	if (guest_copy_from(&untrusted_len, gva, sizeof(untrusted_len)))
		return -EFAULT;
	if (!untrusted_len)
		return -EINVAL;
	if (untrusted_len < size)
		return -ENOBUFS;
	if (guest_copy_to(gva + offsetof(struct xen_build_id, buf), id, size))
		return -EFAULT;
	return (int64_t)size;
}

int64_t hypercall_xen_version(struct hypercall *hc)
{
	const struct domain *d = current_domain();
	uint64_t gva = hc->args[1];

	switch ((uint32_t)hc->args[0]) {
	case XENVER_version:
		return ABI_MAJOR << 16 | ABI_MINOR;
	case XENVER_extraversion:
		return put_text(gva, EXTRAVERSION, sizeof(xen_extraversion_t));
	case XENVER_compile_info:
		return compile_info(gva);
	case XENVER_capabilities:
		return put_text(gva, CAPABILITIES, sizeof(xen_capabilities_info_t));
	case XENVER_changeset:
		return put_text(gva, "", sizeof(xen_changeset_info_t));
	case XENVER_platform_parameters:
		return platform_parameters(hc);
	case XENVER_get_features:
		return get_features(gva);
	case XENVER_pagesize:
		return gva ? -EINVAL : (int64_t)PAGE_SIZE;
	case XENVER_guest_handle:
		return guest_copy_to(gva, d->handle, sizeof(d->handle));
	case XENVER_commandline:
		/* How the machine is set up is nobody's business but the toolstack's. */
		return put_text(gva, may_system(d) ? hypervisor_cmdline : "<denied>",
				sizeof(xen_commandline_t));
	case XENVER_build_id:
		return build_id(gva);
	default:
		return -ENOSYS;
	}
}
