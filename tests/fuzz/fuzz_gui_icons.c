// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: the stream of icons of a qube's windows.
// links: gui/icons/stream.c gui/daemon/tint.c
#include <stdlib.h>
#include <string.h>

#include "../../gui/daemon/tint.h"
#include "../../gui/icons/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct icon icon;
	FILE *from;
	int rc;

	if (!size)
		return 0;
	from = fmemopen((void *)(uintptr_t)data, size, "r");
	if (!from)
		return 0;
	while ((rc = icon_read(from, &icon)) > 0) {
		if (!icon.width || !icon.height || icon.width > ICON_SIDE_MAX ||
		    icon.height > ICON_SIDE_MAX)
			abort();
		icon_tint(icon.pixels, (size_t)icon.width * icon.height, 0xcc0000);
	}
	/* The end is one only between two icons. */
	if (rc == 0 && !feof(from))
		abort();
	fclose(from);
	return 0;
}
