/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest for tests of the instruction emulator. */
#ifndef TESTS_INSN_GUEST_H
#define TESTS_INSN_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <arch/insn.h>

/* A guest with a little memory that starts at linear address MEMORY_BASE, and records of all accesses. */

#define MEMORY_BASE 0x10000ULL
#define MEMORY_SIZE 0x4000
#define NEVER	    UINT32_MAX
#define PENDING	    (-EBUSY) /* this owner's word for "wait for the device" */

struct access {
	char what; /* r w p(robe) c(mpxchg) i(n) o(ut) v(ector read) V(ector write) */
	struct insn_mem mem;
	uint64_t value;
	uint16_t port;
};

struct guest {
	struct insn_ctx ctx;
	uint8_t memory[MEMORY_SIZE];
	uint8_t vec[16][32];
	struct access log[64];
	unsigned int count;
	uint32_t fail_at; /* this access, counted over everything, fails with fail_with */
	int fail_with;
	unsigned int steps; /* calls of step_done() */
	bool lose_race;
	uint32_t bulk_accept; /* iterations that bulk() does; it fails with bulk_error after them */
	int bulk_error;
	struct insn_bulk bulk;
	unsigned int bulk_calls;
	/* Devices that answer later: accesses of this step that are done. */
	bool asynchronous;
	struct {
		struct access access;
		uint8_t data[32];
	} done[8];
	unsigned int done_count, replayed;
};

extern const struct insn_ops plain_ops; /* memory only */
extern const struct insn_ops all_ops;	/* everything but bulk() */
extern const struct insn_ops bulk_ops;

void guest_init(struct guest *guest, enum insn_mode mode);
int emulate(struct guest *guest, const struct insn_ops *ops, const char *bytes, unsigned int n);
bool same_access(const struct access *a, const struct access *b);
uint64_t peek(const struct guest *guest, uint64_t linear, unsigned int size);
void poke(struct guest *guest, uint64_t linear, unsigned int size, uint64_t value);
/* rc and the context say that the instruction, at its first address, raised vector with a code of zero. */
void expect_fault(const struct guest *guest, int rc, uint8_t vector);

#define EMULATE(guest, ops, bytes) emulate(guest, ops, bytes, sizeof(bytes) - 1)

#endif
