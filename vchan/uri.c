// SPDX-License-Identifier: LGPL-2.1-or-later
// Which transport to use: "xen:" or "local:DIRECTORY?domain=N", as an argument or from the environment.
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_DIRECTORY "/run/vchan"

static int parse_domain(const char *text, int *ret_domain)
{
	char *end;
	long value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || *end || value > (long)VCHAN_DOMAIN_MAX)
		return -EINVAL;
	*ret_domain = (int)value;
	return 0;
}

static int set_directory(struct vchan_uri *uri, const char *text, size_t length)
{
	if (length >= sizeof(uri->directory) || length == 0)
		return -EINVAL;
	memcpy(uri->directory, text, length);
	uri->directory[length] = 0;
	return 0;
}

static int parse_local(const char *text, struct vchan_uri *uri)
{
	static const char key[] = "domain=";
	const char *query = strchr(text, '?');
	size_t length = query ? (size_t)(query - text) : strlen(text);

	if (query) {
		if (strncmp(query + 1, key, sizeof(key) - 1))
			return -EINVAL;
		if (parse_domain(query + sizeof(key), &uri->domain))
			return -EINVAL;
	}
	return length ? set_directory(uri, text, length) : 0;
}

int vchan_uri_parse(const char *text, struct vchan_uri *ret_uri)
{
	/* Not for programs that run with more rights than their caller: it would choose their peers. */
	const char *domain = secure_getenv("VCHAN_DOMAIN");
	const char *directory = secure_getenv("VCHAN_SOCKET_DIR");
	struct vchan_uri uri = {.domain = -1};
	int rc;

	if (!text)
		text = secure_getenv("LIBVCHAN_URI");
	if (!text || !*text)
		text = domain && *domain ? "local:" : "xen:";
	if (!strcmp(text, "xen:")) {
		*ret_uri = uri;
		return 0;
	}
	if (strncmp(text, "local:", 6))
		return -EINVAL;
	uri.local = true;
	if (!directory || !*directory)
		directory = DEFAULT_DIRECTORY;
	rc = set_directory(&uri, directory, strlen(directory));
	if (!rc && domain && *domain)
		rc = parse_domain(domain, &uri.domain);
	if (!rc)
		rc = parse_local(text + 6, &uri);
	if (!rc && uri.domain < 0)
		rc = -EINVAL;
	if (!rc)
		*ret_uri = uri;
	return rc;
}
