// SPDX-License-Identifier: GPL-2.0-or-later
// Messages of qrexec: layouts byte by byte, limits, negotiation, and what decoders refuse.
// links: qrexec/lib/wire.c
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../qrexec/lib/wire.h"

static void test_negotiation(void **state)
{
	(void)state;
	assert_int_equal(wire_negotiate(4, 4), 4);
	assert_int_equal(wire_negotiate(4, 3), 3);
	assert_int_equal(wire_negotiate(3, 4), 3);
	assert_int_equal(wire_negotiate(4, 2), 2);
	assert_int_equal(wire_negotiate(4, 1), -EPROTO);
	assert_int_equal(wire_negotiate(4, 0), -EPROTO);
	assert_int_equal(wire_negotiate(4, 0xffffffff), 4);
	assert_int_equal(wire_chunk_max(2), 4096);
	assert_int_equal(wire_chunk_max(3), 65536);
	assert_int_equal(wire_chunk_max(4), 65536);
}

static void test_limits_by_type(void **state)
{
	(void)state;
	assert_int_equal(wire_body_max(0x300), 4);
	assert_int_equal(wire_body_max(0x203), 32);
	assert_int_equal(wire_body_max(0x210), 128);
	assert_int_equal(wire_body_max(0x212), 96 + 65001);
	assert_int_equal(wire_body_max(0x213), 160 + 65001);
	assert_int_equal(wire_body_max(0x200), 65535);
	assert_int_equal(wire_body_max(0x190), 0);
	assert_int_equal(wire_body_max(0x214), 0);
}

static void test_exec(void **state)
{
	static const char bytes[] = "\x05\0\0\0\x01\x02\0\0user:ls";
	struct wire_exec exec = {5, 513, "user:ls"}, got = {0};
	char body[64];

	(void)state;
	assert_int_equal(wire_encode_exec(&exec, body, sizeof(body)), sizeof(bytes));
	assert_memory_equal(body, bytes, sizeof(bytes));
	assert_int_equal(wire_decode_exec(body, sizeof(bytes), &got), 0);
	assert_int_equal(got.domain, 5);
	assert_int_equal(got.port, 513);
	assert_string_equal(got.text, "user:ls");
	assert_int_equal(wire_encode_exec(&exec, body, sizeof(bytes) - 1), -EMSGSIZE);
	/* No NUL at the end, a NUL within, too short. */
	assert_int_equal(wire_decode_exec(bytes, sizeof(bytes) - 1, &got), -EBADMSG);
	assert_int_equal(wire_decode_exec("\0\0\0\0\0\0\0\0a\0b", 12, &got), -EBADMSG);
	assert_int_equal(wire_decode_exec(bytes, 7, &got), -EBADMSG);
	assert_int_equal(wire_decode_exec(bytes, 8, &got), 0);
	assert_string_equal(got.text, "");
}

static void test_exec_size_limit(void **state)
{
	char *text = malloc(70000), *body = malloc(70000);
	struct wire_exec exec = {0, 0, text}, got;

	(void)state;
	memset(text, 'x', 70000);
	text[65535 - 9] = '\0';
	assert_int_equal(wire_encode_exec(&exec, body, 70000), 65535);
	assert_int_equal(wire_decode_exec(body, 65535, &got), 0);
	text[65535 - 9] = 'x';
	text[65535 - 8] = '\0';
	assert_int_equal(wire_encode_exec(&exec, body, 70000), -EMSGSIZE);
	free(text);
	free(body);
}

static void test_ident(void **state)
{
	char body[33] = {0}, ident[WIRE_IDENT_SIZE];

	(void)state;
	assert_int_equal(wire_encode_ident("SOCKET7", body, 32), 32);
	assert_memory_equal(body, "SOCKET7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
	assert_int_equal(wire_decode_ident(body, 32, ident), 0);
	assert_string_equal(ident, "SOCKET7");
	assert_int_equal(wire_decode_ident(body, 31, ident), -EBADMSG);
	assert_int_equal(wire_decode_ident(body, 33, ident), -EBADMSG);
	memset(body, 'a', 32);
	assert_int_equal(wire_decode_ident(body, 32, ident), -EBADMSG);
	assert_int_equal(wire_encode_ident("12345678901234567890123456789012", body, 32),
			 -EMSGSIZE);
	memset(body, 0, 32);
	strcpy(body, "a/b");
	assert_int_equal(wire_decode_ident(body, 32, ident), -EBADMSG);
	strcpy(body, "a b.c_-");
	assert_int_equal(wire_decode_ident(body, 32, ident), 0);
}

/* Offsets of target, ident and service in each version; where a field is not there, -1. */
static void test_trigger_layouts(void **state)
{
	static const struct {
		int version;
		const char *source;
		uint32_t type;
		int source_at, target_at, ident_at, service_at, length;
	} rows[] = {
		{2, "", 0x210, -1, 64, 96, 0, 128},
		{3, "", 0x212, -1, 0, 64, 96, 96 + 4},
		{4, "", 0x212, -1, 0, 64, 96, 96 + 4},
		{4, "far", 0x213, 0, 64, 128, 160, 160 + 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_trigger trigger = {"", "dst", "id", "s+a"}, got;
		char body[200];
		uint32_t type;

		strcpy(trigger.source, rows[i].source);
		memset(body, 0xff, sizeof(body));
		assert_int_equal(wire_encode_trigger(rows[i].version, &trigger, &type, body,
						     sizeof(body)),
				 rows[i].length);
		assert_int_equal(type, rows[i].type);
		if (rows[i].source_at >= 0)
			assert_string_equal(body + rows[i].source_at, "far");
		assert_string_equal(body + rows[i].target_at, "dst");
		assert_string_equal(body + rows[i].ident_at, "id");
		assert_string_equal(body + rows[i].service_at, "s+a");
		assert_int_equal(wire_decode_trigger(type, body, (size_t)rows[i].length, &got), 0);
		assert_string_equal(got.source, rows[i].source);
		assert_string_equal(got.target, "dst");
		assert_string_equal(got.ident, "id");
		assert_string_equal(got.service, "s+a");
		assert_int_equal(wire_decode_trigger(type, body, (size_t)rows[i].length - 1, &got),
				 -EBADMSG);
		assert_int_equal(wire_encode_trigger(rows[i].version, &trigger, &type, body,
						     (size_t)rows[i].length - 1),
				 -EMSGSIZE);
	}
}

static void test_trigger_cleans_and_refuses(void **state)
{
	static const char *const refused[] = {"", "+a", "+"};
	struct wire_trigger got;
	char body[200] = {0};

	(void)state;
	strcpy(body, "a/b;@tag:x");
	strcpy(body + 64, "id");
	strcpy(body + 96, "s/../x+y z@:\n");
	assert_int_equal(wire_decode_trigger(0x212, body, 96 + strlen(body + 96) + 1, &got), 0);
	assert_string_equal(got.target, "a_b_@tag:x");
	assert_string_equal(got.service, "s_.._x+y_z___");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		strcpy(body + 96, refused[i]);
		assert_int_equal(wire_decode_trigger(0x212, body, 97 + strlen(refused[i]), &got),
				 -EBADMSG);
	}
	strcpy(body + 96, "s");
	memset(body, 'a', 64);
	assert_int_equal(wire_decode_trigger(0x212, body, 98, &got), -EBADMSG);
	assert_int_equal(wire_decode_trigger(0x200, body, 98, &got), -EBADMSG);
}

static void test_trigger_limits(void **state)
{
	char *service = malloc(70000), *body = malloc(70000);
	struct wire_trigger trigger = {"", "dst", "id", service}, got;
	uint32_t type;

	(void)state;
	memset(service, 's', 70000);
	service[65000] = '\0';
	assert_int_equal(wire_encode_trigger(3, &trigger, &type, body, 70000), 96 + 65001);
	assert_int_equal(wire_decode_trigger(type, body, 96 + 65001, &got), 0);
	service[65000] = 's';
	service[65001] = '\0';
	assert_int_equal(wire_encode_trigger(3, &trigger, &type, body, 70000), -EMSGSIZE);
	memcpy(body + 96, service, 65002);
	assert_int_equal(wire_decode_trigger(0x212, body, 96 + 65002, &got), -EBADMSG);
	service[63] = '\0';
	assert_int_equal(wire_encode_trigger(2, &trigger, &type, body, 70000), 128);
	service[63] = 's';
	service[64] = '\0';
	assert_int_equal(wire_encode_trigger(2, &trigger, &type, body, 70000), -EMSGSIZE);
	service[10] = '\0';
	strcpy(trigger.source, "far");
	assert_int_equal(wire_encode_trigger(3, &trigger, &type, body, 70000), -EMSGSIZE);
	free(service);
	free(body);
}

static void test_numbers(void **state)
{
	uint32_t version = 0;
	int code = 0;

	(void)state;
	assert_int_equal(wire_decode_hello("\x03\0\0\0", 4, &version), 0);
	assert_int_equal(version, 3);
	assert_int_equal(wire_decode_hello("\x03\0\0\0", 3, &version), -EBADMSG);
	assert_int_equal(wire_decode_exit_code("\xff\xff\xff\xff", 4, &code), 0);
	assert_int_equal(code, -1);
	assert_int_equal(wire_decode_exit_code("", 0, &code), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_limits_by_type),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_exec_size_limit),
		cmocka_unit_test(test_ident),
		cmocka_unit_test(test_trigger_layouts),
		cmocka_unit_test(test_trigger_cleans_and_refuses),
		cmocka_unit_test(test_trigger_limits),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
