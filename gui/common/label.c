// SPDX-License-Identifier: GPL-2.0-or-later
// Labels: the colours by which users tell qubes apart.
#include "label.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	int32_t color;
} labels[] = {
	{"red", 0xcc0000},  {"orange", 0xf57900}, {"yellow", 0xedd400}, {"green", 0x73d216},
	{"gray", 0x555555}, {"blue", 0x3465a4},	  {"purple", 0x75507b}, {"black", 0x000000},
};

int32_t label_color(const char *label)
{
	size_t count = sizeof(labels) / sizeof(labels[0]), i;

	if (label[0] >= '1' && label[0] <= '0' + (int)count && !label[1])
		return labels[label[0] - '1'].color;
	for (i = 0; i < count; i++)
		if (!strcmp(labels[i].name, label))
			return labels[i].color;
	return -1;
}
