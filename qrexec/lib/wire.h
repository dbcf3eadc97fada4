/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages of qrexec, versions 2 to 4: layouts, limits, decoders and encoders. See docs/qrexec-protocol.md. */
#ifndef QREXEC_WIRE_H
#define QREXEC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION	   4
#define WIRE_VERSION_MIN   2
#define WIRE_VERSION_LOCAL 3 /* between programs of dom0 */

#define WIRE_CONTROL_PORT 512
#define WIRE_DATA_PORT	  513
#define WIRE_PORT_COUNT	  256

#define WIRE_BODY_MAX	    65535 /* of any message but data */
#define WIRE_CHUNK_MAX	    65536 /* of data, from version 3 on */
#define WIRE_CHUNK_MAX_V2   4096
#define WIRE_SERVICE_MAX    65000
#define WIRE_SERVICE_V2_MAX 63
#define WIRE_TARGET_V2_MAX  31

enum wire_type {
	WIRE_STDIN = 0x190,
	WIRE_STDOUT = 0x191,
	WIRE_STDERR = 0x192,
	WIRE_EXIT_CODE = 0x193,
	WIRE_EXEC_CMDLINE = 0x200,
	WIRE_JUST_EXEC = 0x201,
	WIRE_SERVICE_CONNECT = 0x202,
	WIRE_SERVICE_REFUSED = 0x203,
	WIRE_TRIGGER_SERVICE = 0x210,
	WIRE_CONNECTION_TERMINATED = 0x211,
	WIRE_TRIGGER_SERVICE3 = 0x212,
	WIRE_TRIGGER_SERVICE4 = 0x213,
	WIRE_HELLO = 0x300,
};

/* What a program ends with when the call itself failed. */
#define WIRE_EXIT_PROBLEM   125
#define WIRE_EXIT_REFUSED   126
#define WIRE_EXIT_NOT_FOUND 127

struct wire_header {
	uint32_t type, length;
};

/* EXEC_CMDLINE, JUST_EXEC, SERVICE_CONNECT, CONNECTION_TERMINATED. */
struct wire_exec {
	uint32_t domain, port;
	const char *text; /* NUL-terminated, in the decoded body */
};

#define WIRE_IDENT_SIZE	 32
#define WIRE_TARGET_SIZE 64

/* TRIGGER_SERVICE of all versions, and what is left of SERVICE_REFUSED (its ident). */
struct wire_trigger {
	char source[WIRE_TARGET_SIZE]; /* "" unless a relay says otherwise */
	char target[WIRE_TARGET_SIZE];
	char ident[WIRE_IDENT_SIZE];
	const char *service; /* NAME or NAME+ARGUMENT, NUL-terminated, in the decoded body */
};

/* The version of a channel whose ends have these two; -EPROTO if they have none in common. */
int wire_negotiate(uint32_t own, uint32_t untrusted_peer);
size_t wire_chunk_max(int version);

/* The largest body of a message of the control channel or a socket; 0: no such type there. */
size_t wire_body_max(uint32_t type);

/*
 * Decoders return 0 or -EBADMSG, and change nothing on failure but the body: it is cleaned in place, and
 * its texts are pointed to. Whoever sent it cannot change it meanwhile: it is the receiver's copy.
 */
int wire_decode_hello(const void *body, size_t length, uint32_t *ret_version);
int wire_decode_exec(const void *body, size_t length, struct wire_exec *ret_exec);
int wire_decode_ident(const void *body, size_t length, char ret_ident[WIRE_IDENT_SIZE]);
int wire_decode_trigger(uint32_t type, void *body, size_t length, struct wire_trigger *ret_trigger);
int wire_decode_exit_code(const void *body, size_t length, int *ret_code);

/* Encoders return the length of the body, or -EMSGSIZE if it has no place in `size` or in the layout. */
int wire_encode_exec(const struct wire_exec *exec, void *body, size_t size);
int wire_encode_ident(const char *ident, void *body, size_t size);
/* Takes the oldest type that carries it, of those that `version` has. */
int wire_encode_trigger(int version, const struct wire_trigger *trigger, uint32_t *ret_type,
			void *body, size_t size);

#endif
