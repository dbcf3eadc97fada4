// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the setup header of a Linux bzImage.
#include <errno.h>

#include <bulkhead/bytes.h>

#include "bzimage.h"

/* Offsets and versions: Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header". */
#define SETUP_SECTS	 0x1f1
#define BOOT_FLAG	 0x1fe
#define HEADER_MAGIC	 0x202
#define PROTOCOL_VERSION 0x206
#define PAYLOAD_OFFSET	 0x248
#define PAYLOAD_LENGTH	 0x24c
#define HEADER_END	 0x250

#define VERSION_WITH_PAYLOAD 0x0208
#define SECTOR		     512
#define DEFAULT_SETUP_SECTS  4

bool bzimage_detect(const uint8_t *buf, size_t size)
{
	return size >= HEADER_MAGIC + 4 && memcmp(buf + HEADER_MAGIC, "HdrS", 4) == 0 &&
	       load_u16(buf + BOOT_FLAG) == 0xaa55;
}

int bzimage_find_payload(const uint8_t *buf, size_t size, struct bzimage_payload *ret_payload,
			 const char **ret_reason)
{
	uint64_t start, length;
	uint32_t sects;

	if (!bzimage_detect(buf, size)) {
		*ret_reason = "not a bzImage";
		return -EINVAL;
	}
	if (size < HEADER_END || load_u16(buf + PROTOCOL_VERSION) < VERSION_WITH_PAYLOAD) {
		*ret_reason = "the boot protocol is older than 2.08 (Linux 2.6.26)";
		return -EINVAL;
	}
	sects = buf[SETUP_SECTS] ? buf[SETUP_SECTS] : DEFAULT_SETUP_SECTS;
	start = (uint64_t)(sects + 1) * SECTOR + load_u32(buf + PAYLOAD_OFFSET);
	length = load_u32(buf + PAYLOAD_LENGTH);
	if (length == 0) {
		*ret_reason = "the bzImage has no payload";
		return -EINVAL;
	}
	if (start > size || length > size - start) {
		*ret_reason = "the bzImage is truncated";
		return -EINVAL;
	}
	ret_payload->data = buf + start;
	ret_payload->size = length;
	return 0;
}
