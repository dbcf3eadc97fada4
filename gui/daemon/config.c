// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration file, in libconfig's format: one table of settings, each with its type and range.
#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "../common/protocol.h"

enum kind {
	BOOLEAN,
	NUMBER,
	SIGNED,
	SHORTCUT,
	OVERRIDE,
	TRAY
};

static const struct setting {
	const char *name;
	enum kind kind;
	size_t offset;
	long min, max;
} settings[] = {
	{"allow_fullscreen", BOOLEAN, offsetof(struct config, allow_fullscreen), 0, 1},
	{"allow_utf8_titles", BOOLEAN, offsetof(struct config, allow_utf8_titles), 0, 1},
	{"events_max_delay", NUMBER, offsetof(struct config, events_max_delay), 0, 5000},
	{"frame_width", NUMBER, offsetof(struct config, frame_width), 1, 32},
	{"fullscreen_sequence", SHORTCUT, offsetof(struct config, fullscreen), 0, 0},
	{"keyboard_rest", NUMBER, offsetof(struct config, keyboard_rest), 0, 3600000},
	{"log_level", SIGNED, offsetof(struct config, log_level), 0, 3},
	{"max_clipboard_size", NUMBER, offsetof(struct config, max_clipboard_size), 256,
	 GUI_CLIPBOARD_MAX},
	{"override_redirect", OVERRIDE, offsetof(struct config, override_redirect), 0, 0},
	{"override_redirect_percent", NUMBER, offsetof(struct config, override_percent), 1, 100},
	{"override_redirect_protection", BOOLEAN,
	 offsetof(struct config, override_redirect_protection), 0, 1},
	{"release_sequence", SHORTCUT, offsetof(struct config, release), 0, 0},
	{"secure_copy_sequence", SHORTCUT, offsetof(struct config, copy), 0, 0},
	{"secure_paste_sequence", SHORTCUT, offsetof(struct config, paste), 0, 0},
	{"startup_timeout", NUMBER, offsetof(struct config, startup_timeout), 0, 86400},
	{"trayicon_mode", TRAY, offsetof(struct config, trayicon_mode), 0, 0},
	{"windows_count_limit", NUMBER, offsetof(struct config, windows_count_limit), 1, 10000},
};

static const char *const tray_modes[] = {
	[TRAY_BACKGROUND] = "bg",
	[TRAY_BORDER1] = "border1",
	[TRAY_BORDER2] = "border2",
	[TRAY_TINT] = "tint",
	[TRAY_TINT_BORDER1] = "tint+border1",
	[TRAY_TINT_BORDER2] = "tint+border2",
};

void config_defaults(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->override_redirect = true;
	config->override_redirect_protection = true;
	config->override_percent = 90;
	config_parse_shortcut("Ctrl-Shift-c", &config->copy);
	config_parse_shortcut("Ctrl-Shift-v", &config->paste);
	config_parse_shortcut("Ctrl-Shift-F11", &config->fullscreen);
	config_parse_shortcut("Ctrl-Shift-Escape", &config->release);
	config->windows_count_limit = 500;
	config->trayicon_mode = TRAY_BORDER1;
	config->startup_timeout = 45;
	config->max_clipboard_size = 64000;
	config->frame_width = 3;
	config->keyboard_rest = 5000;
	config->log_level = 1;
}

static unsigned int modifier_of(const char *word, size_t length)
{
	static const struct {
		const char *name;
		unsigned int mask;
	} names[] = {{"shift", 1}, {"ctrl", 4},	  {"control", 4}, {"alt", 8},
		     {"mod1", 8},  {"super", 64}, {"mod4", 64}};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i].name) == length && !strncasecmp(names[i].name, word, length))
			return names[i].mask;
	return 0;
}

bool config_parse_shortcut(const char *text, struct shortcut *ret_shortcut)
{
	struct shortcut shortcut = {.enabled = true};
	const char *end;
	unsigned int mask;

	if (!strcasecmp(text, "none") || !strcasecmp(text, "disable")) {
		*ret_shortcut = (struct shortcut){.enabled = false};
		return true;
	}
	for (; (end = strpbrk(text, "-+")) != NULL && end[1]; text = end + 1) {
		mask = modifier_of(text, (size_t)(end - text));
		if (!mask)
			return false;
		shortcut.modifiers |= mask;
	}
	/* Without a modifier it would take a key away from the qube. */
	if (!*text || strlen(text) >= sizeof(shortcut.key) || !shortcut.modifiers)
		return false;
	strcpy(shortcut.key, text);
	if (!text[1])
		shortcut.key[0] = (char)tolower((unsigned char)text[0]);
	*ret_shortcut = shortcut;
	return true;
}

int32_t config_parse_color(const char *text)
{
	char *end;
	unsigned long value;

	if (!strncasecmp(text, "0x", 2))
		text += 2;
	else if (*text == '#')
		text++;
	if (strlen(text) != 6 || strspn(text, "0123456789abcdefABCDEF") != 6)
		return -1;
	value = strtoul(text, &end, 16);
	return (int32_t)value;
}

static const struct setting *find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (!strcmp(settings[i].name, name))
			return &settings[i];
	return NULL;
}

static bool set_number(struct config *config, const struct setting *setting, long long value)
{
	void *field = (char *)config + setting->offset;

	if (value < setting->min || value > setting->max)
		return false;
	if (setting->kind == BOOLEAN)
		*(bool *)field = value != 0;
	else if (setting->kind == NUMBER)
		*(unsigned int *)field = (unsigned int)value;
	else if (setting->kind == SIGNED)
		*(int *)field = (int)value;
	else
		return false;
	return true;
}

static bool set_text(struct config *config, const struct setting *setting, const char *text)
{
	void *field = (char *)config + setting->offset;
	size_t i;

	switch (setting->kind) {
	case SHORTCUT:
		return config_parse_shortcut(text, field);
	case OVERRIDE:
		*(bool *)field = !strcmp(text, "allow");
		return *(bool *)field || !strcmp(text, "disable") || !strcmp(text, "disabled");
	case TRAY:
		for (i = 0; i < sizeof(tray_modes) / sizeof(tray_modes[0]); i++)
			if (!strcmp(tray_modes[i], text)) {
				*(enum tray_mode *)field = (enum tray_mode)i;
				return true;
			}
		return false;
	default:
		return false;
	}
}

static int problem(char **ret_problem, const config_setting_t *where, const char *path,
		   const char *what)
{
	if (asprintf(ret_problem, "%s:%d: %s %s", path, (int)config_setting_source_line(where),
		     config_setting_name(where), what) < 0)
		*ret_problem = NULL;
	return -EINVAL;
}

static bool apply_one(struct config *config, const struct setting *setting,
		      const config_setting_t *value)
{
	switch (config_setting_type(value)) {
	case CONFIG_TYPE_BOOL:
		return setting->kind == BOOLEAN &&
		       set_number(config, setting, config_setting_get_bool(value));
	case CONFIG_TYPE_INT:
		return setting->kind != BOOLEAN &&
		       set_number(config, setting, config_setting_get_int(value));
	case CONFIG_TYPE_STRING:
		return set_text(config, setting, config_setting_get_string(value));
	default:
		return false;
	}
}

static int apply_group(struct config *config, const char *path, const config_setting_t *group,
		       char **ret_problem)
{
	const struct setting *setting;
	const config_setting_t *value;
	int i;

	if (!group)
		return 0;
	if (!config_setting_is_group(group))
		return problem(ret_problem, group, path, "has to be a group, { … }");
	for (i = 0; i < config_setting_length(group); i++) {
		value = config_setting_get_elem(group, (unsigned int)i);
		setting = find(config_setting_name(value));
		if (!setting)
			return problem(ret_problem, value, path, "is no setting");
		if (!apply_one(config, setting, value))
			return problem(ret_problem, value, path,
				       "has a value of the wrong type or range");
	}
	return 0;
}

int config_load(struct config *config, const char *path, const char *name, char **ret_problem)
{
	const config_setting_t *qubes;
	FILE *from = fopen(path, "re");
	struct stat st;
	config_t file;
	int rc = 0;

	if (!from || fstat(fileno(from), &st) || S_ISDIR(st.st_mode)) {
		rc = from ? -EISDIR : -errno;
		if (from)
			fclose(from);
		if (asprintf(ret_problem, "%s: %s", path, strerror(-rc)) < 0)
			*ret_problem = NULL;
		return rc;
	}
	config_init(&file);
	if (!config_read(&file, from)) {
		rc = -EINVAL;
		if (asprintf(ret_problem, "%s:%d: %s", path, config_error_line(&file),
			     config_error_text(&file)) < 0)
			*ret_problem = NULL;
	}
	if (!rc)
		rc = apply_group(config, path, config_lookup(&file, "global"), ret_problem);
	qubes = config_lookup(&file, "VM");
	/* By member, as a lookup by path would take a dot in the name for a separator. */
	if (!rc && qubes && config_setting_is_group(qubes))
		rc = apply_group(config, path, config_setting_get_member(qubes, name), ret_problem);
	config_destroy(&file);
	fclose(from);
	return rc;
}

static bool assign(struct config *config, const struct setting *setting, const char *value)
{
	char *end;
	long number;

	switch (setting->kind) {
	case BOOLEAN:
		return (!strcmp(value, "true") || !strcmp(value, "false")) &&
		       set_number(config, setting, *value == 't');
	case NUMBER:
	case SIGNED:
		errno = 0;
		number = strtol(value, &end, 10);
		return *value && !*end && !errno && set_number(config, setting, number);
	default:
		return set_text(config, setting, value);
	}
}

int config_set(struct config *config, const char *assignment, char **ret_problem)
{
	const char *value = strchr(assignment, '='), *what = "is not NAME=VALUE";
	const struct setting *setting;
	char name[64];

	if (value && (size_t)(value - assignment) < sizeof(name)) {
		memcpy(name, assignment, (size_t)(value - assignment));
		name[value - assignment] = '\0';
		setting = find(name);
		if (setting && assign(config, setting, value + 1))
			return 0;
		what = setting ? "has a value of the wrong type or range" : "is no setting";
	}
	if (asprintf(ret_problem, "%s: %s", assignment, what) < 0)
		*ret_problem = NULL;
	return -EINVAL;
}
