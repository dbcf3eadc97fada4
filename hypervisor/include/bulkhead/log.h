/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log messages of the hypervisor: to the consoles by level, and to the ring that `xl dmesg` reads. */
#ifndef BULKHEAD_LOG_H
#define BULKHEAD_LOG_H

#include <stdarg.h>

#include <bulkhead/compiler.h>

enum log_level {
	LOG_ERR,   /* something is broken; always shown */
	LOG_WARN,  /* something is wrong, work goes on */
	LOG_INFO,  /* normal progress */
	LOG_DEBUG, /* details */
};

extern enum log_level log_threshold;	   /* what is shown on the consoles */
extern enum log_level log_guest_threshold; /* the same of lines that guests cause */
/* Xen's words: "all", "debug", "info", "warning", "error", "none", and "x/y" of which the first half counts. 0 or -EINVAL. */
int log_level_parse(const char *value, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

/*
 * Prints one line (or a part of one: a message without '\n' is continued by the next). Safe in any
 * context, including interrupt handlers and panics. A line caused by a guest goes through log_guest()
 * instead: that is rate limited and subject to guest_loglvl.
 */
void log_msg(enum log_level level, const char *fmt, ...) __printf(2, 3);
void log_vmsg(enum log_level level, const char *fmt, va_list ap) __printf(2, 0);
struct domain;
/* Prefixes "(dN) "; at most so many characters per second and domain, the lines beyond are counted. */
void log_guest(const struct domain *d, enum log_level level, const char *fmt, ...) __printf(3, 4);

#define log_err(...)   log_msg(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_msg(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)

/* Stops the machine: message, registers, backtrace; then reboots, or halts with `noreboot`. */
void panic(const char *fmt, ...) __printf(1, 2) __noreturn;

/* For our own mistakes only: never reachable by a guest, a device or configuration. */
#define BUG() panic("BUG at %s:%d", __FILE__, __LINE__)
#define BUG_ON(cond)                                     \
 do {                                                    \
  if (unlikely(cond))                                    \
   panic("BUG at %s:%d: %s", __FILE__, __LINE__, #cond); \
 } while (0)
#define ASSERT(cond)                                           \
 do {                                                          \
  if (unlikely(!(cond)))                                       \
   panic("assertion at %s:%d: %s", __FILE__, __LINE__, #cond); \
 } while (0)

#endif
