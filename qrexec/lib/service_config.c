// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration of services: small files of keys and values beside the services.
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool parse_bool(const char *value, bool *ret)
{
	static const char *const words[] = {"false", "true", "no", "yes", "0", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(value, words[i])) {
			*ret = i & 1;
			return true;
		}
	return false;
}

static bool parse_text(const char *value, char *ret, size_t size)
{
	size_t length = strlen(value);

	if (length >= 2 && (*value == '"' || *value == '\'') && value[length - 1] == *value) {
		value++;
		length -= 2;
	}
	if (!length || length >= size || strcspn(value, "'\"/ ") < length)
		return false;
	memcpy(ret, value, length);
	ret[length] = '\0';
	return true;
}

static bool take_key(const char *key, const char *value, struct service_config *config)
{
	const struct {
		const char *key;
		bool *value;
	} flags[] = {
		{"wait-for-session", &config->wait_for_session},
		{"skip-service-descriptor", &config->skip_descriptor},
		{"exit-on-client-eof", &config->exit_on_client_eof},
		{"exit-on-service-eof", &config->exit_on_service_eof},
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (!strcmp(key, flags[i].key))
			return parse_bool(value, flags[i].value);
	if (!strcmp(key, "force-user"))
		return parse_text(value, config->user, sizeof(config->user));
	if (!strcmp(key, "built-in"))
		return parse_text(value, config->builtin, sizeof(config->builtin));
	return true;
}

static char *trim(char *text)
{
	size_t length;

	text += strspn(text, " \t\r");
	length = strlen(text);
	while (length && strchr(" \t\r", text[length - 1]))
		text[--length] = '\0';
	return text;
}

static bool take_line(char *line, struct service_config *config)
{
	char *value;

	line = trim(line);
	if (!*line || *line == '#')
		return true;
	value = strchr(line, '=');
	if (!value)
		return false;
	*value++ = '\0';
	return take_key(trim(line), trim(value), config);
}

bool service_config_parse(const char *text, size_t length, struct service_config *ret_config)
{
	struct service_config config = {0};
	char copy[SERVICE_CONFIG_MAX + 1], *rest = copy, *line;

	if (length > SERVICE_CONFIG_MAX || memchr(text, '\0', length))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (!take_line(line, &config))
			return false;
	*ret_config = config;
	return true;
}

/* 1: read; 0: there is none; -1: not readable. */
static int load(const char *path, struct service_config *ret_config)
{
	char text[SERVICE_CONFIG_MAX + 1];
	size_t length = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	do {
		n = read(fd, text + length, sizeof(text) - length);
		length += n > 0 ? (size_t)n : 0;
	} while (n > 0 && length < sizeof(text));
	close(fd);
	return n >= 0 && service_config_parse(text, length, ret_config) ? 1 : -1;
}

bool service_config_load(const struct service_dirs *dirs, const char *full,
			 struct service_config *ret_config)
{
	int lengths[] = {(int)strlen(full), (int)strcspn(full, "+")};
	char path[PATH_MAX];

	*ret_config = (struct service_config){0};
	for (size_t try = 0; try < 2; try++)
		for (size_t i = 0; i < dirs->config_count; i++) {
			int rc;

			if (lengths[try] > SERVICE_NAME_MAX)
				continue;
			if (snprintf(path, sizeof(path), "%s/%.*s", dirs->configs[i], lengths[try],
				     full) >= (int)sizeof(path))
				return false;
			rc = load(path, ret_config);
			if (rc)
				return rc > 0;
		}
	return true;
}
