// SPDX-License-Identifier: GPL-2.0-or-later
// What messages of QubesDB may look like.
#include "wire.h"

#include <errno.h>
#include <string.h>

#define BIT(type) (1u << (type))

static const unsigned int allowed[] = {
	[QDB_LINK] = BIT(QDB_CMD_WRITE) | BIT(QDB_CMD_MULTIREAD) | BIT(QDB_CMD_RM) |
		     BIT(QDB_RESP_OK) | BIT(QDB_RESP_ERROR) | BIT(QDB_RESP_MULTIREAD),
	[QDB_LOCAL] = BIT(QDB_CMD_READ) | BIT(QDB_CMD_WRITE) | BIT(QDB_CMD_MULTIREAD) |
		      BIT(QDB_CMD_LIST) | BIT(QDB_CMD_RM) | BIT(QDB_CMD_WATCH) |
		      BIT(QDB_CMD_UNWATCH),
	[QDB_PROGRAM] = BIT(QDB_RESP_OK) | BIT(QDB_RESP_ERROR_NOENT) | BIT(QDB_RESP_ERROR) |
			BIT(QDB_RESP_READ) | BIT(QDB_RESP_MULTIREAD) | BIT(QDB_RESP_LIST) |
			BIT(QDB_RESP_WATCH),
};

/* The types that carry a value. */
#define WITH_DATA (BIT(QDB_CMD_WRITE) | BIT(QDB_RESP_READ) | BIT(QDB_RESP_MULTIREAD))

static bool character_valid(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '/' || c == '.' || c == ':' || c == '@' || c == '-';
}

bool qdb_path_valid(const char *untrusted_path, size_t size)
{
	size_t length = strnlen(untrusted_path, size < QDB_PATH_SIZE ? size : QDB_PATH_SIZE);

	if (length == size || length == QDB_PATH_SIZE || untrusted_path[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!character_valid(untrusted_path[i]))
			return false;
	return true;
}

bool qdb_path_is_entry(const char *path)
{
	size_t length = strlen(path);

	return length > 0 && path[length - 1] != '/';
}

bool qdb_path_covers(const char *pattern, const char *path)
{
	size_t length = strlen(pattern);

	if (length && pattern[length - 1] == '/')
		return !strncmp(pattern, path, length);
	return !strcmp(pattern, path);
}

int qdb_header_check(const struct qdb_header *untrusted_header, enum qdb_receiver receiver)
{
	if (untrusted_header->type > QDB_RESP_WATCH ||
	    !(allowed[receiver] & BIT(untrusted_header->type)))
		return -EPROTO;
	if (untrusted_header->length > QDB_DATA_MAX ||
	    (untrusted_header->length && !(WITH_DATA & BIT(untrusted_header->type))))
		return -EPROTO;
	return qdb_path_valid(untrusted_header->path, sizeof(untrusted_header->path)) ? 0 : -EINVAL;
}

void qdb_header_set(struct qdb_header *header, enum qdb_type type, const char *path,
		    uint32_t length)
{
	*header = (struct qdb_header){.type = (uint8_t)type, .length = length};
	memcpy(header->path, path, strnlen(path, QDB_PATH_SIZE - 1));
}
