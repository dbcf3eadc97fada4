/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Serial consoles com1 (0) and com2 (1). */
#ifndef BULKHEAD_SERIAL_H
#define BULKHEAD_SERIAL_H

#include <bulkhead/compiler.h>

/* Sets the UART up as the command line says and makes it a console. False: there is none. */
bool serial_init(unsigned n);
/* Reception by interrupt (else polled): once interrupts and timers work. */
void serial_start_input(void);
/* I/O ports in use, which dom0 must not touch. */
void serial_for_each_port_range(void (*fn)(unsigned first, unsigned last, void *arg), void *arg);

#endif
