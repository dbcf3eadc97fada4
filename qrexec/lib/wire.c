// SPDX-License-Identifier: GPL-2.0-or-later
// Messages of qrexec: decoders, which check and copy, and encoders. x86 and the wire are little-endian.
#include "wire.h"

#include <errno.h>
#include <string.h>

struct layout_v2 {
	char service[64], target[32], ident[WIRE_IDENT_SIZE];
};
struct layout_v3 {
	char target[WIRE_TARGET_SIZE], ident[WIRE_IDENT_SIZE];
};
struct layout_v4 {
	char source[WIRE_TARGET_SIZE], target[WIRE_TARGET_SIZE], ident[WIRE_IDENT_SIZE];
};
struct layout_exec {
	uint32_t domain, port;
};

_Static_assert(sizeof(struct wire_header) == 8, "header");
_Static_assert(sizeof(struct layout_v2) == 128, "request of version 2");
_Static_assert(sizeof(struct layout_v3) == 96, "request of version 3");
_Static_assert(sizeof(struct layout_v4) == 160, "request of version 4");
_Static_assert(sizeof(struct layout_exec) == 8, "exec record");
_Static_assert(sizeof(struct layout_v4) + WIRE_SERVICE_MAX + 1 <= WIRE_BODY_MAX, "limits");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire is little-endian");

int wire_negotiate(uint32_t own, uint32_t untrusted_peer)
{
	uint32_t version = untrusted_peer < own ? untrusted_peer : own;

	return version < WIRE_VERSION_MIN ? -EPROTO : (int)version;
}

size_t wire_chunk_max(int version)
{
	return version < 3 ? WIRE_CHUNK_MAX_V2 : WIRE_CHUNK_MAX;
}

size_t wire_body_max(uint32_t type)
{
	switch (type) {
	case WIRE_HELLO:
		return sizeof(uint32_t);
	case WIRE_SERVICE_REFUSED:
		return WIRE_IDENT_SIZE;
	case WIRE_TRIGGER_SERVICE:
		return sizeof(struct layout_v2);
	case WIRE_TRIGGER_SERVICE3:
		return sizeof(struct layout_v3) + WIRE_SERVICE_MAX + 1;
	case WIRE_TRIGGER_SERVICE4:
		return sizeof(struct layout_v4) + WIRE_SERVICE_MAX + 1;
	case WIRE_EXEC_CMDLINE:
	case WIRE_JUST_EXEC:
	case WIRE_SERVICE_CONNECT:
	case WIRE_CONNECTION_TERMINATED:
		return WIRE_BODY_MAX;
	default:
		return 0;
	}
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static void clean(char *text, const char *extra)
{
	for (; *text; text++)
		if (!is_alnum(*text) && !strchr(extra, *text))
			*text = '_';
}

/* A field of fixed size: it has to end within it. */
static bool take_field(char *ret_text, const char *field, size_t size)
{
	size_t length = strnlen(field, size);

	if (length == size)
		return false;
	memset(ret_text, 0, size);
	memcpy(ret_text, field, length);
	return true;
}

static bool ident_valid(const char *ident)
{
	for (; *ident; ident++)
		if (!is_alnum(*ident) && !strchr("_-. ", *ident))
			return false;
	return true;
}

/* A text to the end of the body: its only NUL is the last byte. */
static bool is_text(const char *text, size_t length)
{
	return length && memchr(text, '\0', length) == text + length - 1;
}

int wire_decode_hello(const void *body, size_t length, uint32_t *ret_version)
{
	if (length != sizeof(*ret_version))
		return -EBADMSG;
	memcpy(ret_version, body, length);
	return 0;
}

int wire_decode_exit_code(const void *body, size_t length, int *ret_code)
{
	int32_t code;

	if (length != sizeof(code))
		return -EBADMSG;
	memcpy(&code, body, length);
	*ret_code = code;
	return 0;
}

int wire_decode_exec(const void *body, size_t length, struct wire_exec *ret_exec)
{
	const char *text = (const char *)body + sizeof(struct layout_exec);
	struct layout_exec fixed;

	if (length < sizeof(fixed) || length > WIRE_BODY_MAX)
		return -EBADMSG;
	memcpy(&fixed, body, sizeof(fixed));
	/* Peers send CONNECTION_TERMINATED without a text, not even an empty one. */
	if (length == sizeof(fixed))
		text = "";
	else if (!is_text(text, length - sizeof(fixed)))
		return -EBADMSG;
	*ret_exec = (struct wire_exec){fixed.domain, fixed.port, text};
	return 0;
}

int wire_decode_ident(const void *body, size_t length, char ret_ident[WIRE_IDENT_SIZE])
{
	char ident[WIRE_IDENT_SIZE];

	if (length != sizeof(ident) || !take_field(ident, body, sizeof(ident)) ||
	    !ident_valid(ident))
		return -EBADMSG;
	memcpy(ret_ident, ident, sizeof(ident));
	return 0;
}

/* The service of a request, cleaned in place: what the policy has no word for becomes "_". */
static int finish_trigger(struct wire_trigger *trigger, char *service, size_t length)
{
	if (!is_text(service, length) || length > WIRE_SERVICE_MAX + 1 ||
	    !ident_valid(trigger->ident))
		return -EBADMSG;
	if (!*service || *service == '+')
		return -EBADMSG;
	clean(service, "_-.+");
	clean(trigger->target, "_-.@:");
	clean(trigger->source, "_-.@:");
	trigger->service = service;
	return 0;
}

static int decode_v2(void *body, size_t length, struct wire_trigger *trigger)
{
	struct layout_v2 *fixed = body;
	char target[sizeof(fixed->target)];

	if (length != sizeof(*fixed) || !take_field(target, fixed->target, sizeof(target)) ||
	    !take_field(trigger->ident, fixed->ident, sizeof(fixed->ident)) ||
	    strnlen(fixed->service, sizeof(fixed->service)) == sizeof(fixed->service))
		return -EBADMSG;
	memcpy(trigger->target, target, sizeof(target));
	return finish_trigger(trigger, fixed->service, strlen(fixed->service) + 1);
}

static int decode_v3(void *body, size_t length, struct wire_trigger *trigger)
{
	struct layout_v3 *fixed = body;

	if (length <= sizeof(*fixed) ||
	    !take_field(trigger->target, fixed->target, sizeof(fixed->target)) ||
	    !take_field(trigger->ident, fixed->ident, sizeof(fixed->ident)))
		return -EBADMSG;
	return finish_trigger(trigger, (char *)(fixed + 1), length - sizeof(*fixed));
}

static int decode_v4(void *body, size_t length, struct wire_trigger *trigger)
{
	struct layout_v4 *fixed = body;

	if (length <= sizeof(*fixed) ||
	    !take_field(trigger->source, fixed->source, sizeof(fixed->source)) ||
	    !take_field(trigger->target, fixed->target, sizeof(fixed->target)) ||
	    !take_field(trigger->ident, fixed->ident, sizeof(fixed->ident)))
		return -EBADMSG;
	return finish_trigger(trigger, (char *)(fixed + 1), length - sizeof(*fixed));
}

int wire_decode_trigger(uint32_t type, void *body, size_t length, struct wire_trigger *ret_trigger)
{
	struct wire_trigger trigger = {0};
	int rc = -EBADMSG;

	if (type == WIRE_TRIGGER_SERVICE)
		rc = decode_v2(body, length, &trigger);
	else if (type == WIRE_TRIGGER_SERVICE3)
		rc = decode_v3(body, length, &trigger);
	else if (type == WIRE_TRIGGER_SERVICE4)
		rc = decode_v4(body, length, &trigger);
	if (!rc)
		*ret_trigger = trigger;
	return rc;
}

int wire_encode_exec(const struct wire_exec *exec, void *body, size_t size)
{
	struct layout_exec fixed = {exec->domain, exec->port};
	size_t text = strlen(exec->text) + 1, length = sizeof(fixed) + text;

	if (length > size || length > WIRE_BODY_MAX)
		return -EMSGSIZE;
	memcpy(body, &fixed, sizeof(fixed));
	memcpy((char *)body + sizeof(fixed), exec->text, text);
	return (int)length;
}

static bool put_field(char *field, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (length >= size)
		return false;
	memset(field, 0, size);
	memcpy(field, text, length + 1);
	return true;
}

int wire_encode_ident(const char *ident, void *body, size_t size)
{
	if (size < WIRE_IDENT_SIZE || !put_field(body, WIRE_IDENT_SIZE, ident))
		return -EMSGSIZE;
	return WIRE_IDENT_SIZE;
}

static int append_service(void *body, size_t size, size_t fixed, const char *service)
{
	size_t length = strlen(service) + 1;

	if (length > WIRE_SERVICE_MAX + 1 || fixed + length > size)
		return -EMSGSIZE;
	memcpy((char *)body + fixed, service, length);
	return (int)(fixed + length);
}

static int encode_v2(const struct wire_trigger *trigger, void *body, size_t size)
{
	struct layout_v2 fixed = {0};

	if (size < sizeof(fixed) ||
	    !put_field(fixed.service, sizeof(fixed.service), trigger->service) ||
	    !put_field(fixed.target, sizeof(fixed.target), trigger->target) ||
	    !put_field(fixed.ident, sizeof(fixed.ident), trigger->ident))
		return -EMSGSIZE;
	memcpy(body, &fixed, sizeof(fixed));
	return sizeof(fixed);
}

int wire_encode_trigger(int version, const struct wire_trigger *trigger, uint32_t *ret_type,
			void *body, size_t size)
{
	struct layout_v4 v4;
	struct layout_v3 v3;

	if (!put_field(v4.source, sizeof(v4.source), trigger->source) ||
	    !put_field(v4.target, sizeof(v4.target), trigger->target) ||
	    !put_field(v4.ident, sizeof(v4.ident), trigger->ident))
		return -EMSGSIZE;
	if (*trigger->source) {
		if (version < 4 || size < sizeof(v4))
			return -EMSGSIZE;
		*ret_type = WIRE_TRIGGER_SERVICE4;
		memcpy(body, &v4, sizeof(v4));
		return append_service(body, size, sizeof(v4), trigger->service);
	}
	if (version < 3) {
		*ret_type = WIRE_TRIGGER_SERVICE;
		return encode_v2(trigger, body, size);
	}
	if (size < sizeof(v3))
		return -EMSGSIZE;
	*ret_type = WIRE_TRIGGER_SERVICE3;
	memcpy(v3.target, v4.target, sizeof(v3.target));
	memcpy(v3.ident, v4.ident, sizeof(v3.ident));
	memcpy(body, &v3, sizeof(v3));
	return append_service(body, size, sizeof(v3), trigger->service);
}
