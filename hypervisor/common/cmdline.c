// SPDX-License-Identifier: GPL-2.0-or-later
// Splits the hypervisor's command line into words and applies them to the table of parameters.
#include <bulkhead/cmdline.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/*
 * Takes the next word of *line, without its quoting. Returns false at the end of the line.
 * GRUB 2 quotes arguments with blanks and puts a backslash before quotes and backslashes.
 */
static bool next_word(const char **line, char *word, size_t size, bool *ret_too_long)
{
	const char *p = *line;
	size_t len = 0;
	char quote = '\0';

	while (is_blank(*p))
		p++;
	if (*p == '\0')
		return false;
	*ret_too_long = false;
	for (; *p != '\0' && (quote || !is_blank(*p)); p++) {
		char c = *p;

		if (quote ? c == quote : (c == '"' || c == '\'')) {
			quote = quote ? '\0' : c;
			continue;
		}
		if (c == '\\' && p[1] != '\0' && strchr("\\\"' ", p[1]))
			c = *++p;
		if (len + 1 < size)
			word[len++] = c;
		else
			*ret_too_long = true;
	}
	word[len] = '\0';
	*line = p;
	return true;
}

static char fold(char c)
{
	return c == '_' ? '-' : c;
}

/* Compares the first len characters of word with the whole of name. */
static bool name_is(const char *word, size_t len, const char *name)
{
	size_t i;

	for (i = 0; i < len && name[i] != '\0'; i++)
		if (fold(word[i]) != fold(name[i]))
			return false;
	return i == len && name[i] == '\0';
}

static void store_uint(const struct cmdline_param *param, uint64_t value)
{
	memcpy(param->var, &value, param->size);
}

static int apply_uint(const struct cmdline_param *param, const char *value)
{
	uint64_t max, v;
	int rc;

	max = param->size >= sizeof(max) ? UINT64_MAX : (UINT64_C(1) << (8 * param->size)) - 1;
	rc = cmdline_parse_uint(value, max, &v);
	if (rc == 0)
		store_uint(param, v);
	return rc;
}

/* value is NULL for a word without '='. */
static int apply(const struct cmdline_param *param, const char *value, bool negated)
{
	uint64_t bytes;
	bool on = true;
	int rc = 0;

	if (negated &&
	    (value || (param->type != CMDLINE_TYPE_BOOL && param->type != CMDLINE_TYPE_CUSTOM)))
		return -EINVAL;
	switch (param->type) {
	case CMDLINE_TYPE_BOOL:
		if (value)
			rc = cmdline_parse_bool(value, &on);
		if (rc == 0)
			*(bool *)param->var = on && !negated;
		return rc;
	case CMDLINE_TYPE_UINT:
		return value ? apply_uint(param, value) : -EINVAL;
	case CMDLINE_TYPE_SIZE:
		rc = value ? cmdline_parse_size(value, &bytes) : -EINVAL;
		if (rc == 0)
			store_uint(param, bytes);
		return rc;
	case CMDLINE_TYPE_STRING:
		if (!value || strlen(value) >= param->size)
			return -EINVAL;
		memcpy(param->var, value, strlen(value) + 1);
		return 0;
	case CMDLINE_TYPE_CUSTOM:
		return param->custom(negated ? "no" : value ? value : "");
	}
	return -EINVAL;
}

/* Applies the word to all parameters of that name; returns how many there are. */
static unsigned int apply_all(const struct cmdline_param *first, const struct cmdline_param *end,
			      const char *name, size_t len, const char *value, bool negated,
			      int *ret_rc)
{
	unsigned int nr = 0;

	for (const struct cmdline_param *p = first; p < end; p++) {
		int rc;

		if (!name_is(name, len, p->name))
			continue;
		nr++;
		rc = apply(p, value, negated);
		if (rc)
			*ret_rc = rc;
	}
	return nr;
}

unsigned int cmdline_parse(const char *line, const struct cmdline_param *first,
			   const struct cmdline_param *end, cmdline_report_fn report, void *ctx)
{
	unsigned int problems = 0;
	char word[CMDLINE_MAX_WORD];
	bool too_long;

	while (next_word(&line, word, sizeof(word), &too_long) && strcmp(word, "--") != 0) {
		const char *eq = strchr(word, '=');
		const char *value = eq ? eq + 1 : NULL;
		size_t len = eq ? (size_t)(eq - word) : strlen(word);
		unsigned int nr;
		int rc = 0;

		if (too_long) {
			report(ctx, CMDLINE_TOO_LONG, word);
			problems++;
			continue;
		}
		nr = apply_all(first, end, word, len, value, false, &rc);
		if (nr == 0 && len > 3 && name_is(word, 3, "no-"))
			nr = apply_all(first, end, word + 3, len - 3, value, true, &rc);
		if (nr > 0 && rc == 0)
			continue;
		report(ctx, nr ? CMDLINE_BAD_VALUE : CMDLINE_UNKNOWN, word);
		problems++;
	}
	return problems;
}

const char *cmdline_after_separator(const char *line)
{
	char word[3];
	bool too_long;

	while (next_word(&line, word, sizeof(word), &too_long)) {
		if (too_long || strcmp(word, "--") != 0)
			continue;
		while (is_blank(*line))
			line++;
		return line;
	}
	return NULL;
}
