// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: the command line and the values with a syntax. The input is a command line.
// links: hypervisor/common/cmdline.c hypervisor/common/cmdline_values.c
#include <stdlib.h>

#include <bulkhead/cmdline.h>
#include <bulkhead/string.h>

static bool flag;
static uint16_t number;
static uint64_t bytes;
static char text[12];

static void require(bool condition)
{
	if (!condition)
		abort();
}

static int parse_dom0_mem(const char *value)
{
	struct cmdline_dom0_mem mem;
	int rc = cmdline_parse_dom0_mem(value, &mem);

	if (rc == 0)
		require(cmdline_dom0_mem_bytes(&mem, UINT64_C(4) << 30) <= UINT64_C(4) << 30);
	return rc;
}

static int parse_com(const char *value)
{
	struct cmdline_com com;
	int rc = cmdline_parse_com(value, &com);

	if (rc == 0)
		require(com.data_bits >= 5 && com.data_bits <= 8 && com.stop_bits >= 1 &&
			com.stop_bits <= 2);
	return rc;
}

static int parse_list(const char *value)
{
	char item[16];
	int rc;

	while ((rc = cmdline_next_item(&value, item, sizeof(item))) > 0)
		if (cmdline_item_bool(item, "verbose") >= 0)
			require(strstr(item, "verbose") != NULL);
	return rc;
}

CMDLINE_BOOL("flag", flag);
CMDLINE_UINT("number", number);
CMDLINE_SIZE("bytes", bytes);
CMDLINE_STRING("text", text);
CMDLINE_CUSTOM("dom0_mem", parse_dom0_mem);
CMDLINE_CUSTOM("com1", parse_com);
CMDLINE_CUSTOM("iommu", parse_list);

static void on_problem(void *ctx, enum cmdline_problem problem, const char *word)
{
	(void)problem;
	require(strlen(word) < CMDLINE_MAX_WORD);
	++*(unsigned int *)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct cmdline_param table[] = {
		cmdline_param_flag,	  cmdline_param_number,		cmdline_param_bytes,
		cmdline_param_text,	  cmdline_param_parse_dom0_mem, cmdline_param_parse_com,
		cmdline_param_parse_list,
	};
	unsigned int reported = 0;
	char *line = malloc(size + 1);

	require(line != NULL);
	memcpy(line, data, size);
	line[size] = '\0';
	require(cmdline_parse(line, table, table + sizeof(table) / sizeof(table[0]), on_problem,
			      &reported) == reported);
	require(strnlen(text, sizeof(text)) < sizeof(text));
	(void)cmdline_after_separator(line);
	free(line);
	return 0;
}
