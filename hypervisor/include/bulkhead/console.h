/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Consoles: output drivers, the ring, input for dom0. */
#ifndef BULKHEAD_CONSOLE_H
#define BULKHEAD_CONSOLE_H

#include <bulkhead/list.h>

struct console_driver {
	struct list link;
	const char *name;
	void (*write)(struct console_driver *drv, const char *s, size_t len); /* any context */
	void (*release)(struct console_driver *drv); /* dom0 takes the device; may be NULL */
};

void console_register(struct console_driver *drv);
/* Output of a guest through console_io; to the drivers and the ring, without prefix. */
void console_write_guest(const char *s, size_t len);
/* Input of the machine's console for dom0: bytes taken out of the receive buffer. */
size_t console_read(char *buf, size_t size);
/*
 * Called by drivers for each received byte, in any context. Three times Ctrl-A switches between dom0 and debug keys: what is
 * for dom0 goes to console_receive().
 */
void console_typed(char c);
/* A byte for dom0; raises VIRQ_CONSOLE. */
void console_receive(char c);
/* Ring for `xl dmesg`: copies from *index (or the oldest byte), advances it. See XEN_SYSCTL_readconsole. */
size_t console_ring_read(char *buf, size_t size, uint32_t *index, bool incremental, bool clear);
/* The display is dom0's from now on: screen drivers let go. */
void console_release_display(void);
/* From a panic: break locks, write synchronously. */
void console_panic_mode(void);

#endif
