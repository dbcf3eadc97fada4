// SPDX-License-Identifier: GPL-2.0-or-later
// Legacy I/O ports of the hardware domain: direct by default, some denied, CMOS and debug port trapped.
#include <arch/cpu.h>
#include <arch/hvm_io.h>
#include <arch/legacy.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#define PORT_CMOS_INDEX 0x70
#define PORT_CMOS_DATA	0x71
#define PORT_DEBUG	0xe9

/* The top bit of port 0x70 switches NMIs off, which are the hypervisor's. */
#define CMOS_INDEX_BITS 0x7f

#define DEBUG_LINE 100
#define MAX_DENIED 16

struct port_range {
	uint16_t first, last;
};

/*
 * The hypervisor owns interrupt routing and the timer; 0x61 gates the timer's channel 2. There is no 8259 for the hardware
 * domain: its MADT says so, and what it probes must not answer.
 */
static const struct port_range always_denied[] = {
	{0x20, 0x21}, /* 8259, first */
	{0x40, 0x43}, /* 8254 */
	{0x61, 0x61},
	{0xa0, 0xa1}, /* 8259, second */
};

struct legacy_ports {
	struct hvm_io_region cmos, debug;
	spinlock_t line_lock;
	unsigned line_len;
	char line[DEBUG_LINE];
};

spinlock_t cmos_lock = SPINLOCK_INIT;

static spinlock_t denied_lock = SPINLOCK_INIT;
static struct port_range denied[MAX_DENIED];
static unsigned denied_count;

/* ---- CMOS RAM and real-time clock ---- */

static uint8_t cmos_read(struct domain *d)
{
	unsigned long flags = spin_lock_irqsave(&cmos_lock);
	uint8_t value;

	outb(PORT_CMOS_INDEX, READ_ONCE(d->arch.cmos_index) & CMOS_INDEX_BITS);
	value = inb(PORT_CMOS_DATA);
	spin_unlock_irqrestore(&cmos_lock, flags);
	return value;
}

static void cmos_write(struct domain *d, uint8_t value)
{
	unsigned long flags = spin_lock_irqsave(&cmos_lock);

	outb(PORT_CMOS_INDEX, READ_ONCE(d->arch.cmos_index) & CMOS_INDEX_BITS);
	outb(PORT_CMOS_DATA, value);
	spin_unlock_irqrestore(&cmos_lock, flags);
}

/* A word access is one to each of the two ports, the lower first. */
static int cmos_port_read(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
			  uint64_t *ret_value)
{
	uint64_t value = 0;
	unsigned i;

	(void)opaque;
	for (i = 0; i < size; i++) {
		uint8_t byte = offset + i == 0 ? READ_ONCE(v->domain->arch.cmos_index)
					       : cmos_read(v->domain);

		value |= (uint64_t)byte << (8 * i);
	}
	*ret_value = value;
	return 0;
}

static int cmos_port_write(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
			   uint64_t value)
{
	unsigned i;

	(void)opaque;
	for (i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)(value >> (8 * i));

		if (offset + i == 0)
			WRITE_ONCE(v->domain->arch.cmos_index, byte);
		else
			cmos_write(v->domain, byte);
	}
	return 0;
}

static const struct hvm_io_ops cmos_ops = {
	.read = cmos_port_read,
	.write = cmos_port_write,
};

/* ---- Debug port: characters become lines of the log ---- */

static int debug_port_read(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
			   uint64_t *ret_value)
{
	(void)v;
	(void)opaque;
	(void)offset;
	(void)size;
	*ret_value = 0xff;
	return 0;
}

static int debug_port_write(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
			    uint64_t value)
{
	struct legacy_ports *lp = opaque;
	char c = (char)value;
	char line[DEBUG_LINE];
	unsigned len = 0, i;

	(void)offset;
	(void)size;
	/* Nothing but text reaches a terminal. */
	if (c != '\n' && c != '\t' && (c < ' ' || c > '~'))
		return 0;
	spin_lock(&lp->line_lock);
	if (c != '\n')
		lp->line[lp->line_len++] = c;
	if (c == '\n' || lp->line_len == DEBUG_LINE) {
		len = lp->line_len;
		for (i = 0; i < len; i++)
			line[i] = lp->line[i];
		lp->line_len = 0;
	}
	spin_unlock(&lp->line_lock);
	if (len)
		log_guest(v->domain, LOG_INFO, "%.*s\n", (int)len, line);
	return 0;
}

static const struct hvm_io_ops debug_ops = {
	.read = debug_port_read,
	.write = debug_port_write,
};

/* ---- Setup ---- */

int legacy_deny(unsigned first, unsigned last)
{
	int rc = -ENOSPC;

	if (first > last || last >= HVM_PORTS)
		return -EINVAL;
	spin_lock(&denied_lock);
	if (denied_count < MAX_DENIED) {
		denied[denied_count++] = (struct port_range){(uint16_t)first, (uint16_t)last};
		rc = 0;
	}
	if (rc == 0 && hardware_domain && hardware_domain->arch.legacy)
		hvm_port_allow(hardware_domain, first, last, false);
	spin_unlock(&denied_lock);
	return rc;
}

int legacy_ports_init(struct domain *d)
{
	struct legacy_ports *lp = heap_alloc(sizeof(*lp));
	unsigned i;
	int rc;

	if (!lp)
		return -ENOMEM;
	spin_init(&lp->line_lock);
	lp->cmos = (struct hvm_io_region){.base = PORT_CMOS_INDEX,
					  .size = 2,
					  .ops = &cmos_ops,
					  .opaque = lp};
	lp->debug = (struct hvm_io_region){.base = PORT_DEBUG,
					   .size = 1,
					   .ops = &debug_ops,
					   .opaque = lp};
	rc = hvm_port_register(d, &lp->cmos);
	if (rc)
		goto err_free;
	rc = hvm_port_register(d, &lp->debug);
	if (rc)
		goto err_cmos;

	/* Everything else is the hardware domain's: PM1 and GPE blocks, PM timer, reset control, keyboard controller, … */
	spin_lock(&denied_lock);
	hvm_port_allow(d, 0, HVM_PORTS - 1, true);
	for (i = 0; i < ARRAY_SIZE(always_denied); i++)
		hvm_port_allow(d, always_denied[i].first, always_denied[i].last, false);
	for (i = 0; i < denied_count; i++)
		hvm_port_allow(d, denied[i].first, denied[i].last, false);
	d->arch.legacy = lp;
	spin_unlock(&denied_lock);
	return 0;

err_cmos:
	hvm_port_unregister(d, &lp->cmos);
err_free:
	heap_free(lp);
	return rc;
}

void legacy_ports_finish(struct domain *d)
{
	struct legacy_ports *lp = d->arch.legacy;

	if (!lp)
		return;
	d->arch.legacy = NULL;
	hvm_port_unregister(d, &lp->cmos);
	hvm_port_unregister(d, &lp->debug);
	hvm_io_region_wait(&lp->cmos);
	hvm_io_region_wait(&lp->debug);
	heap_free(lp);
}
