// SPDX-License-Identifier: GPL-2.0-or-later
// What the prompt is asked: any bytes are a question with texts that can be shown, or none.
// links: desktop/prompt/question.c
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../desktop/prompt/question.h"

static void need_plain(const char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct question q;
	size_t index;

	if (question_parse((const char *)data, size, &q))
		return 0;
	need_plain(q.source);
	need_plain(q.service);
	need_plain(q.argument);
	need_plain(q.resolution);
	need_plain(q.target);
	for (size_t i = 0; i < q.target_count; i++) {
		need_plain(q.targets[i]);
		question_label(&q, q.targets[i]);
	}
	if (!question_default(&q, &index) && index >= q.target_count)
		abort();
	question_finish(&q);
	return 0;
}
