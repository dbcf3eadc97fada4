// SPDX-License-Identifier: GPL-2.0-or-later
// Words of the policy language: what names a qube, a service, an argument.
#include "internal.h"

#include <string.h>

#define IN(column) (1u << (column))

static const struct exact {
	const char *text;
	enum policy_kind kind;
	unsigned int columns;
} exacts[] = {
	{"*", POLICY_ANY, IN(POLICY_SOURCE) | IN(POLICY_TARGET)},
	{"@anyvm", POLICY_ANYVM, IN(POLICY_SOURCE) | IN(POLICY_TARGET)},
	{"@adminvm", POLICY_ADMINVM, ~0u},
	{"dom0", POLICY_ADMINVM, ~0u},
	{"@default", POLICY_DEFAULT, IN(POLICY_TARGET) | IN(POLICY_INTENDED)},
	{"@dispvm", POLICY_DISPVM, IN(POLICY_TARGET) | IN(POLICY_REDIRECT) | IN(POLICY_INTENDED)},
};

/* The longer prefix stands before the one that it begins with. */
static const struct prefix {
	const char *text;
	enum policy_kind kind;
	unsigned int columns;
} prefixes[] = {
	{"@dispvm:@tag:", POLICY_DISPVM_TAG, IN(POLICY_SOURCE) | IN(POLICY_TARGET)},
	{"@dispvm:", POLICY_DISPVM_NAME, ~0u},
	{"@tag:", POLICY_TAG, IN(POLICY_SOURCE) | IN(POLICY_TARGET)},
	{"@type:", POLICY_TYPE, IN(POLICY_SOURCE) | IN(POLICY_TARGET)},
	{"uuid:", POLICY_UUID, ~0u},
};

static const char *const columns_fix[] = {
	[POLICY_SOURCE] =
		"a source is a name, uuid:…, *, @anyvm, @adminvm, @tag:…, @type:… or @dispvm:…",
	[POLICY_TARGET] =
		"a target is *, @anyvm, @adminvm, @default, @dispvm, a name, uuid:…, @tag:…, …",
	[POLICY_REDIRECT] =
		"write one qube here: a name, uuid:…, @adminvm, @dispvm or @dispvm:NAME",
	[POLICY_INTENDED] = "ask for a name, uuid:…, @adminvm, @default, @dispvm or @dispvm:NAME",
};

static bool only(const char *text, const char *extra)
{
	for (; *text; text++)
		if (!(*text >= 'a' && *text <= 'z') && !(*text >= 'A' && *text <= 'Z') &&
		    !(*text >= '0' && *text <= '9') && !strchr(extra, *text))
			return false;
	return true;
}

static const char *check_value(enum policy_kind kind, const char *value, const char **ret_fix)
{
	if (kind == POLICY_DISPVM_NAME && !world_name_valid(value)) {
		*ret_fix = "write the name of a disposable template behind @dispvm:";
		return "not the name of a qube";
	}
	if (!*value || !only(value, "_.-")) {
		*ret_fix = "use letters, digits and _ . - only";
		return "the part behind the colon is empty or has other characters";
	}
	return NULL;
}

const char *policy_token_parse(const char *text, enum policy_column column,
			       struct policy_token *ret_token, const char **ret_fix)
{
	const char *wrong;

	*ret_fix = columns_fix[column];
	for (size_t i = 0; i < sizeof(exacts) / sizeof(exacts[0]); i++)
		if (!strcmp(text, exacts[i].text)) {
			if (!(exacts[i].columns & IN(column)))
				return "this word is not allowed in this place";
			*ret_token = (struct policy_token){exacts[i].kind, ""};
			return NULL;
		}
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t length = strlen(prefixes[i].text);

		if (strncmp(text, prefixes[i].text, length))
			continue;
		if (!(prefixes[i].columns & IN(column)))
			return "this word is not allowed in this place";
		wrong = check_value(prefixes[i].kind, text + length, ret_fix);
		if (!wrong)
			*ret_token = (struct policy_token){prefixes[i].kind, text + length};
		return wrong;
	}
	if (text[0] == '@')
		return "unknown @ word";
	if (!world_name_valid(text)) {
		*ret_fix =
			"names start with a letter and have at most 31 of letters, digits and _ . -";
		return "not the name of a qube";
	}
	*ret_token = (struct policy_token){POLICY_NAME, text};
	return NULL;
}

const char *policy_service_check(const char *service, const char *argument, const char **ret_fix)
{
	bool any_service = !strcmp(service, "*"), any_argument = !strcmp(argument, "*");

	if (!any_service && (!*service || !only(service, "_.-"))) {
		*ret_fix =
			"write the service alone, and its argument as +ARGUMENT in the next column";
		return "the service has characters other than letters, digits and _ . -";
	}
	if (any_argument)
		return NULL;
	if (argument[0] != '+') {
		*ret_fix = "write * for every argument, + for none, or +ARGUMENT";
		return "the argument does not start with +";
	}
	if (any_service) {
		*ret_fix = "write * as the argument, or name the service";
		return "an argument without a service";
	}
	if (!only(argument, "_.-+")) {
		*ret_fix = "use letters, digits and _ . - + only: callers cannot send others";
		return "the argument has other characters";
	}
	return NULL;
}

/* FNV-1a; never 0, which stands for any service. */
uint32_t policy_hash(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash ? hash : 1;
}

bool policy_split_service(const char *text, char *ret_name, size_t name_size,
			  const char **ret_argument)
{
	size_t length = strcspn(text, "+");
	const char *fix;

	if (!length || length >= name_size)
		return false;
	memcpy(ret_name, text, length);
	ret_name[length] = '\0';
	*ret_argument = text[length] ? text + length : "+";
	return strcmp(ret_name, "*") != 0 && !policy_service_check(ret_name, *ret_argument, &fix);
}
