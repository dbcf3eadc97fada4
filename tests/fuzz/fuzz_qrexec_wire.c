// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: qrexec messages of both directions. The input is a type (u32) and a body; what is decoded has
// to come out again when it is encoded and decoded once more.
// links: qrexec/lib/wire.c
#include <stdlib.h>
#include <string.h>

#include "../../qrexec/lib/wire.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void try_exec(const void *body, size_t size)
{
	struct wire_exec exec, again;
	char *encoded = malloc(size + 1);
	int length;

	if (!wire_decode_exec(body, size, &exec)) {
		length = wire_encode_exec(&exec, encoded, size + 1);
		/* Without a text, it comes out with an empty one. */
		require(length == (int)size || (size == 8 && length == 9));
		require(!wire_decode_exec(encoded, (size_t)length, &again));
		require(again.domain == exec.domain && again.port == exec.port &&
			!strcmp(again.text, exec.text));
	}
	free(encoded);
}

static void try_ident(const void *body, size_t size)
{
	char ident[WIRE_IDENT_SIZE], encoded[WIRE_IDENT_SIZE], again[WIRE_IDENT_SIZE];

	if (wire_decode_ident(body, size, ident))
		return;
	require(wire_encode_ident(ident, encoded, sizeof(encoded)) == WIRE_IDENT_SIZE);
	require(!wire_decode_ident(encoded, sizeof(encoded), again) && !strcmp(ident, again));
}

static bool plain(const char *text, const char *others)
{
	return text[strspn(text, others)] == '\0';
}

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static void try_trigger(uint32_t type, void *body, size_t size)
{
	struct wire_trigger trigger, again;
	char *encoded = malloc(WIRE_BODY_MAX);
	uint32_t new_type;
	int length;

	require(encoded != NULL);
	if (!wire_decode_trigger(type, body, size, &trigger)) {
		require(plain(trigger.service, ALNUM "_-.+") && *trigger.service != '+');
		require(plain(trigger.target, ALNUM "_-.@:"));
		require(plain(trigger.source, ALNUM "_-.@:"));
		require(plain(trigger.ident, ALNUM "_-. "));
		length = wire_encode_trigger(type == WIRE_TRIGGER_SERVICE ? 2 : 4, &trigger,
					     &new_type, encoded, WIRE_BODY_MAX);
		require(length > 0 &&
			(new_type == type || (type == WIRE_TRIGGER_SERVICE4 && !*trigger.source)));
		require(!wire_decode_trigger(new_type, encoded, (size_t)length, &again));
		require(!strcmp(again.service, trigger.service) &&
			!strcmp(again.target, trigger.target) &&
			!strcmp(again.source, trigger.source) &&
			!strcmp(again.ident, trigger.ident));
	}
	free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t type, version;
	uint8_t *body;
	int code;

	if (size < sizeof(type))
		return 0;
	memcpy(&type, data, sizeof(type));
	size -= sizeof(type);
	/* Of the exact size, so that a read behind the end is seen. */
	body = malloc(size ? size : 1);
	require(body != NULL);
	memcpy(body, data + sizeof(type), size);
	if (!wire_decode_hello(body, size, &version) && wire_negotiate(WIRE_VERSION, version) > 0)
		require(version >= WIRE_VERSION_MIN);
	(void)wire_decode_exit_code(body, size, &code);
	try_exec(body, size);
	try_ident(body, size);
	try_trigger(type, body, size);
	free(body);
	return 0;
}
