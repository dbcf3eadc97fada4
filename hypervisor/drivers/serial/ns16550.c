/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 16550 UARTs at I/O ports: the serial consoles com1 and com2. */
#include <arch/cpu.h>
#include <bulkhead/cmdline.h>
#include <bulkhead/console.h>
#include <bulkhead/errno.h>
#include <bulkhead/irq.h>
#include <bulkhead/log.h>
#include <bulkhead/serial.h>
#include <bulkhead/string.h>
#include <bulkhead/timer.h>

/* Registers (16550D data sheet, table II). */
#define REG_DATA 0
#define REG_IER	 1
#define REG_FCR	 2
#define REG_IIR	 2
#define REG_LCR	 3
#define REG_MCR	 4
#define REG_LSR	 5

#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY  0x20
#define LCR_DLAB       0x80
#define IER_RX	       0x01
#define WRITE_SPINS    200000U
#define POLL_PERIOD    MSEC(20)

struct uart {
	struct console_driver drv;
	uint16_t port;
	uint8_t gsi;
	struct cmdline_com cfg;
	bool configured, present;
	struct timer poll;
};

static struct uart uarts[2] = {{.port = 0x3f8, .gsi = 4}, {.port = 0x2f8, .gsi = 3}};

static int parse_com1(const char *value)
{
	int err = cmdline_parse_com(value, &uarts[0].cfg);

	if (!err)
		uarts[0].configured = true;
	return err;
}
CMDLINE_CUSTOM("com1", parse_com1);

static int parse_com2(const char *value)
{
	int err = cmdline_parse_com(value, &uarts[1].cfg);

	if (!err)
		uarts[1].configured = true;
	return err;
}
CMDLINE_CUSTOM("com2", parse_com2);

static void put_byte(struct uart *u, char c)
{
	/* A UART that never gets ready (flow control, dead hardware) costs a bounded time per byte. */
	for (unsigned i = 0; i < WRITE_SPINS; i++) {
		if (inb(u->port + REG_LSR) & LSR_THR_EMPTY)
			break;
	}
	outb(u->port + REG_DATA, (uint8_t)c);
}

static void uart_write(struct console_driver *drv, const char *s, size_t len)
{
	struct uart *u = CONTAINER_OF(drv, struct uart, drv);

	for (; len; len--, s++) {
		if (*s == '\n')
			put_byte(u, '\r');
		put_byte(u, *s);
	}
}

static uint8_t line_control(const struct cmdline_com *cfg)
{
	uint8_t lcr = (uint8_t)(cfg->data_bits - 5) | (cfg->stop_bits == 2 ? 4 : 0);

	switch (cfg->parity) {
	case 'o':
		return lcr | 0x08;
	case 'e':
		return lcr | 0x18;
	case 'm':
		return lcr | 0x28;
	case 's':
		return lcr | 0x38;
	default:
		return lcr;
	}
}

static bool uart_setup(struct uart *u)
{
	uint32_t base = u->cfg.base_baud ? u->cfg.base_baud : 115200;
	uint8_t lcr;

	if (u->cfg.io_base)
		u->port = (uint16_t)u->cfg.io_base;
	/* Nobody home: reads of all ones. */
	if (inb(u->port + REG_LSR) == 0xff && inb(u->port + REG_LCR) == 0xff)
		return false;
	lcr = u->configured ? line_control(&u->cfg) : 3;
	if (!u->configured || u->cfg.baud) {
		uint16_t divisor = (uint16_t)MAX(1U, base / (u->configured ? u->cfg.baud : 115200));

		outb(u->port + REG_LCR, LCR_DLAB | lcr);
		outb(u->port + REG_DATA, (uint8_t)divisor);
		outb(u->port + REG_IER, (uint8_t)(divisor >> 8));
	}
	outb(u->port + REG_LCR, lcr);
	outb(u->port + REG_IER, 0);
	outb(u->port + REG_FCR, 0x07); /* FIFOs on and empty */
	outb(u->port + REG_MCR, 0x0b); /* DTR, RTS, OUT2 (interrupt gate) */
	return true;
}

static void drain(struct uart *u)
{
	for (unsigned i = 0; i < 64 && (inb(u->port + REG_LSR) & LSR_DATA_READY); i++)
		console_typed((char)inb(u->port + REG_DATA));
}

bool serial_init(unsigned n)
{
	struct uart *u = &uarts[n];

	if (u->present)
		return true;
	if (!uart_setup(u))
		return false;
	u->present = true;
	u->drv.name = n ? "com2" : "com1";
	u->drv.write = uart_write;
	console_register(&u->drv);
	return true;
}

static void rx_interrupt(void *data)
{
	struct uart *u = data;

	inb(u->port + REG_IIR);
	drain(u);
}

static void rx_poll(void *data)
{
	struct uart *u = data;

	drain(u);
	timer_set(&u->poll, time_now() + POLL_PERIOD);
}

void serial_start_input(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(uarts); i++) {
		struct uart *u = &uarts[i];

		if (!u->present)
			continue;
		if (!gsi_bind(u->gsi, false, false, rx_interrupt, u)) {
			gsi_unmask(u->gsi);
			outb(u->port + REG_IER, IER_RX);
			drain(u);
		} else if (!timer_init(&u->poll, rx_poll, u, 0)) {
			log_warn("serial: no interrupt for %s, it is polled\n", u->drv.name);
			timer_set(&u->poll, time_now() + POLL_PERIOD);
		}
	}
}

void serial_for_each_port_range(void (*fn)(unsigned first, unsigned last, void *arg), void *arg)
{
	for (unsigned i = 0; i < ARRAY_SIZE(uarts); i++) {
		if (uarts[i].present)
			fn(uarts[i].port, uarts[i].port + 7U, arg);
	}
}
