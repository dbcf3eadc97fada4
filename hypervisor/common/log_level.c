/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of log levels, for the command line and the hypervisor file system. */
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

/* For the way back, the first name of a level is the one. */
static const struct {
	const char *name;
	enum log_level level;
} names[] = {{"debug", LOG_DEBUG},  {"all", LOG_DEBUG}, {"info", LOG_INFO},
	     {"warning", LOG_WARN}, {"error", LOG_ERR}, {"none", LOG_ERR}};

int log_level_parse(const char *value, enum log_level *ret_level)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i].name);

		if (!strncmp(value, names[i].name, n) && (!value[n] || value[n] == '/')) {
			*ret_level = names[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
	unsigned i = 0;

	while (i < ARRAY_SIZE(names) - 1 && names[i].level != level)
		i++;
	return names[i].name;
}
