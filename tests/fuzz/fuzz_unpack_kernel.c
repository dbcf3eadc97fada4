// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: bzImage headers and the containers around compressed kernels.
// links: tools/unpack-kernel/bzimage.c tools/unpack-kernel/decompress.c
// libs: -lz -lbz2 -llzma -lzstd -llz4 -llzo2
#include <stdlib.h>
#include <string.h>

#include "../../tools/unpack-kernel/bzimage.h"
#include "../../tools/unpack-kernel/decompress.h"

/* Small, so that a run is short. */
#define MAX_SIZE ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1), *out = NULL;
	struct bzimage_payload payload;
	const char *reason = NULL;
	size_t out_size;
	int rc;

	if (!copy)
		abort();
	memcpy(copy, data, size);
	/* A bare payload is taken as well: mutations then need not keep the header alive. */
	if (!bzimage_detect(copy, size)) {
		payload.data = copy;
		payload.size = size;
		rc = 0;
	} else {
		rc = bzimage_find_payload(copy, size, &payload, &reason);
	}
	if (rc == 0)
		rc = decompress(payload.data, payload.size, MAX_SIZE, &out, &out_size, &reason);
	if (rc ? reason == NULL : out_size > MAX_SIZE)
		abort();
	free(out);
	free(copy);
	return 0;
}
