// SPDX-License-Identifier: GPL-2.0-or-later
// Hypervisor command line: a table of parameters, and parsers for the values with a syntax.
#ifndef BULKHEAD_CMDLINE_H
#define BULKHEAD_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CMDLINE_MAX_WORD 512

enum cmdline_type {
	CMDLINE_TYPE_BOOL,   /* bool: foo, no-foo, foo=yes|on|true|enable|1 or the contrary */
	CMDLINE_TYPE_UINT,   /* unsigned integer of any width, decimal, 0x… or 0… */
	CMDLINE_TYPE_SIZE,   /* uint64_t bytes: suffix B, K, M, G or T; K if there is none */
	CMDLINE_TYPE_STRING, /* char array */
	CMDLINE_TYPE_CUSTOM, /* a function */
};

/*
 * Takes the value ("" if there was no '='; "no" for no-foo) and returns 0, or a negative errno if
 * it makes no sense. It must not change anything then.
 */
typedef int (*cmdline_custom_fn)(const char *value);

struct cmdline_param {
	const char *name;
	enum cmdline_type type;
	uint32_t size; /* of *var */
	union {
		void *var;
		cmdline_custom_fn custom;
	};
};
_Static_assert(sizeof(struct cmdline_param) == 24, "the table is contiguous");

/*
 * Each file declares its parameters; the linker script collects them between these two. The
 * explicit alignment keeps the compiler from spacing them out.
 */
extern const struct cmdline_param cmdline_params_start[], cmdline_params_end[];

#define CMDLINE_ENTRY(id)                             \
 static const struct cmdline_param cmdline_param_##id \
	 __attribute__((used, section(".init.params"), aligned(8)))

/* _Generic refuses variables of another type. */
#define CMDLINE_IF_BOOL(v) _Generic((v), _Bool : &(v))
#define CMDLINE_IF_SIZE(v) _Generic((v), uint64_t : &(v))
#define CMDLINE_IF_UINT(v) \
 _Generic((v), uint8_t : &(v), uint16_t : &(v), uint32_t : &(v), uint64_t : &(v))

#define CMDLINE_BOOL(name_, variable)      \
 CMDLINE_ENTRY(variable) = {               \
	 .name = (name_),                  \
	 .type = CMDLINE_TYPE_BOOL,        \
	 .size = sizeof(variable),         \
	 .var = CMDLINE_IF_BOOL(variable), \
 }
#define CMDLINE_UINT(name_, variable)      \
 CMDLINE_ENTRY(variable) = {               \
	 .name = (name_),                  \
	 .type = CMDLINE_TYPE_UINT,        \
	 .size = sizeof(variable),         \
	 .var = CMDLINE_IF_UINT(variable), \
 }
#define CMDLINE_SIZE(name_, variable)      \
 CMDLINE_ENTRY(variable) = {               \
	 .name = (name_),                  \
	 .type = CMDLINE_TYPE_SIZE,        \
	 .size = sizeof(variable),         \
	 .var = CMDLINE_IF_SIZE(variable), \
 }
#define CMDLINE_STRING(name_, array)  \
 CMDLINE_ENTRY(array) = {             \
	 .name = (name_),             \
	 .type = CMDLINE_TYPE_STRING, \
	 .size = sizeof(array),       \
	 .var = (array),              \
 }
#define CMDLINE_CUSTOM(name_, function) \
 CMDLINE_ENTRY(function) = {            \
	 .name = (name_),               \
	 .type = CMDLINE_TYPE_CUSTOM,   \
	 .custom = (function),          \
 }

enum cmdline_problem {
	CMDLINE_UNKNOWN,   /* no such parameter */
	CMDLINE_BAD_VALUE, /* malformed or out of range; the variable keeps its value */
	CMDLINE_TOO_LONG,  /* a word beyond CMDLINE_MAX_WORD */
};

/* Told of every word that has no effect. The word is NUL-terminated, and cut if it was too long. */
typedef void (*cmdline_report_fn)(void *ctx, enum cmdline_problem problem, const char *word);

/*
 * Applies the words of line to the parameters in [first, end). Words are separated by blanks;
 * quotes and backslashes work as in what GRUB 2 passes on; '-' and '_' are the same in names; a
 * later word overrides an earlier one; "--" ends the line. Returns the number of problems, each
 * of which was reported.
 */
unsigned int cmdline_parse(const char *line, const struct cmdline_param *first,
			   const struct cmdline_param *end, cmdline_report_fn report, void *ctx);

/* What follows the word "--" (arguments for dom0's kernel), or NULL. */
const char *cmdline_after_separator(const char *line);

/* ---- Values; all return 0 or -EINVAL and leave *ret alone on failure ---- */

int cmdline_parse_bool(const char *s, bool *ret);
/* Digits up to the end of the string. */
int cmdline_parse_uint(const char *s, uint64_t max, uint64_t *ret);
int cmdline_parse_size(const char *s, uint64_t *ret);

/*
 * Copies the next item of a comma-separated list to buf and moves *list behind it. Returns 1, 0 at
 * the end of the list, or -EINVAL if the item does not fit.
 */
int cmdline_next_item(const char **list, char *buf, size_t size);

/*
 * Whether an item says name, name=on or so (1), no-name, name=off or so (0), something malformed
 * about name (-EINVAL), or nothing about it (-ENOENT).
 */
int cmdline_item_bool(const char *item, const char *name);

/* Value of an item name=value, or NULL. */
const char *cmdline_item_value(const char *item, const char *name);

/* ---- dom0_mem=[min:<size>,][max:<size>,][<size>] ---- */

/* <size> is [-](<bytes> | <n>% | <bytes>+<n>%); negative: all but that much. */
struct cmdline_memsize {
	bool set;
	bool negative;
	uint8_t percent; /* below 100 */
	uint64_t bytes;
};

struct cmdline_dom0_mem {
	struct cmdline_memsize amount, min, max;
};

int cmdline_parse_dom0_mem(const char *s, struct cmdline_dom0_mem *ret);

/* The size in bytes, given how many there are to distribute. */
uint64_t cmdline_memsize_bytes(const struct cmdline_memsize *size, uint64_t available);

/*
 * The memory for dom0: the amount, or all that is available if none is set, within min and max and
 * never more than available.
 */
uint64_t cmdline_dom0_mem_bytes(const struct cmdline_dom0_mem *mem, uint64_t available);

/* ---- com1=<baud>[/<base-baud>][,<DPS>[,<io-base>|pci|amt[,<irq>|msi[,<bdf>[,<bdf>]]]]] ---- */

enum cmdline_com_where {
	CMDLINE_COM_LEGACY, /* at io_base, or at the usual port if that is 0 */
	CMDLINE_COM_PCI,    /* the first PCI serial card */
	CMDLINE_COM_AMT,    /* the first PCI serial card that is not on bus 0's root */
};

struct cmdline_com {
	uint32_t baud;	    /* 0: leave as the firmware set it ("auto") */
	uint32_t base_baud; /* 0: 115200 */
	uint8_t data_bits;
	char parity; /* n, o, e, m, s */
	uint8_t stop_bits;
	enum cmdline_com_where where;
	uint64_t io_base;
	bool have_irq;
	bool msi;
	uint16_t irq;
	bool have_port_bdf, have_bridge_bdf;
	uint16_t port_bdf, bridge_bdf; /* bus << 8 | device << 3 | function */
};

/* Missing fields: 8n1, legacy port, no interrupt given. */
int cmdline_parse_com(const char *s, struct cmdline_com *ret);

#endif
