// SPDX-License-Identifier: GPL-2.0-or-later
// Virtual I/O APICs: registers, redirection entries, pins bound to the machine's.
#include <arch/hvm_io.h>
#include <arch/vioapic.h>
#include <arch/vlapic.h>
#include <bulkhead/bitmap.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/irq.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/nospec.h>

#include "vlapic_state.h"

/* Registers as in Intel's 82093AA data sheet (3.1, 3.2), and the EOI register of version 0x20 (ICH9 data sheet, 13.5.1). */
#define MMIO_SIZE 0x100
#define IOREGSEL  0x00
#define IOWIN	  0x10
#define EOIR	  0x40

#define REG_ID	    0x00
#define REG_VERSION 0x01
#define REG_ARB	    0x02
#define REG_REDTBL  0x10

/* An entry is reached through two of 240 indices. */
#define MAX_PINS ((0x100 - REG_REDTBL) / 2)

#define IOAPIC_VERSION	 0x20
#define EMULATED_PINS	 48
#define EMULATED_ADDRESS 0xfec00000
#define ID_SHIFT	 24
#define ID_BITS		 0xf
#define RTE_MODE(rte)	 ((rte) >> 8 & 7)
#define RTE_LOGICAL	 BIT(11)
#define RTE_PENDING	 BIT(12) /* delivery status: nobody accepted it yet */
#define RTE_ACTIVE_LOW	 BIT(13)
#define RTE_REMOTE_IRR	 BIT(14)
#define RTE_LEVEL	 BIT(15)
#define RTE_MASKED	 BIT(16)
#define RTE_READ_ONLY	 (RTE_PENDING | RTE_REMOTE_IRR)
/* Vector, modes, polarity, trigger, mask; destination with its extension in bits 55:49 (bits 14:8 of the id). */
#define RTE_WRITABLE	 (0x1ffffUL | 0xfffe000000000000UL)

struct vioapic_unit;

struct vioapic_pin {
	struct vioapic_unit *unit;
	uint64_t rte;
	bool line; /* input from emulated devices */
	/* The real pin: guarded by host_lock. */
	bool bound, bound_level, bound_low;
};

/*
 * Two locks, because the real pin is operated through the lock of its interrupt descriptor, and its interrupt handler comes
 * from there: host_lock > descriptor > lock. `host_lock` is taken on behalf of vCPUs only and guards what is done to real
 * pins; mask, trigger mode and polarity of an entry change only with both held.
 */
struct vioapic_unit {
	spinlock_t host_lock;
	spinlock_t lock; /* irqsave */
	struct domain *domain;
	struct hvm_io_region region;
	bool host; /* the pins are those of the machine */
	uint8_t id, index;
	unsigned gsi_base, nr_pins;
	struct vioapic_pin pins[];
};

struct vioapic {
	unsigned count;
	struct vioapic_unit *units[];
};

static unsigned pin_gsi(const struct vioapic_pin *pin)
{
	return pin->unit->gsi_base + (unsigned)(pin - pin->unit->pins);
}

/* ---- Interrupts of pins; with `lock` ---- */

static uint32_t rte_dest(uint64_t rte)
{
	return (uint32_t)(rte >> 56) | (uint32_t)(rte >> 49 & 0x7f) << 8;
}

/* Only fixed and lowest-priority interrupts can be level-triggered in the sense of an EOI (SDM vol. 3A, 11.6.1). */
static bool waits_for_eoi(uint64_t rte)
{
	return (rte & RTE_LEVEL) && RTE_MODE(rte) <= LAPIC_LOWEST;
}

static void pin_deliver(struct vioapic_pin *pin)
{
	bool level = waits_for_eoi(pin->rte);
	struct vapic_message m = {
		.dest = rte_dest(pin->rte),
		.logical = pin->rte & RTE_LOGICAL,
		.mode = (uint8_t)RTE_MODE(pin->rte),
		.vector = (uint8_t)pin->rte,
		.level = level,
	};

	if ((pin->rte & RTE_MASKED) || (pin->rte & RTE_REMOTE_IRR))
		return;
	/* An EOI that comes before remote IRR is set waits for the lock. */
	if (vapic_deliver(pin->unit->domain, &m)) {
		pin->rte &= ~RTE_PENDING;
		if (level)
			pin->rte |= RTE_REMOTE_IRR;
	} else if (level) {
		pin->rte |= RTE_PENDING;
	}
}

/* The real pin has fired; if it is a level-triggered one, it is masked now. Interrupt context. */
static void host_interrupt(void *data)
{
	struct vioapic_pin *pin = data;
	unsigned long flags = spin_lock_irqsave(&pin->unit->lock);

	pin_deliver(pin);
	spin_unlock_irqrestore(&pin->unit->lock, flags);
}

/* ---- Real pins; with `host_lock`, without `lock` ---- */

static void host_bind(struct vioapic_pin *pin, uint64_t rte)
{
	unsigned gsi = pin_gsi(pin);
	bool level = rte & RTE_LEVEL, low = rte & RTE_ACTIVE_LOW;
	int rc;

	if (pin->bound && (pin->bound_level != level || pin->bound_low != low)) {
		gsi_unbind(gsi);
		pin->bound = false;
	}
	if (pin->bound)
		return;
	rc = gsi_bind(gsi, level, low, host_interrupt, pin);
	if (rc) {
		log_guest(pin->unit->domain, LOG_DEBUG, "GSI %u is not available (%d)\n", gsi, rc);
		return;
	}
	pin->bound = true;
	pin->bound_level = level;
	pin->bound_low = low;
	log_guest(pin->unit->domain, LOG_DEBUG, "GSI %u bound: %s, active %s\n", gsi,
		  level ? "level" : "edge", low ? "low" : "high");
}

/* Brings the real pin into the state that the entry asks for. */
static void host_update(struct vioapic_pin *pin)
{
	unsigned long flags;
	uint64_t rte;

	if (!pin->unit->host)
		return;
	flags = spin_lock_irqsave(&pin->unit->lock);
	rte = pin->rte;
	spin_unlock_irqrestore(&pin->unit->lock, flags);

	if (rte & RTE_MASKED) {
		if (pin->bound)
			gsi_mask(pin_gsi(pin));
		return;
	}
	host_bind(pin, rte);
	/*
	 * In service: the EOI opens it. If it goes into service only now, opening it costs one more interrupt, which
	 * pin_deliver() drops, and which leaves the pin masked until the EOI.
	 */
	if (pin->bound && !(rte & RTE_REMOTE_IRR))
		gsi_unmask(pin_gsi(pin));
}

/* ---- EOI ---- */

static void unit_eoi(struct vioapic_unit *unit, uint8_t vector)
{
	BITMAP_DECLARE(open, MAX_PINS) = {0};
	bool any = false;
	unsigned long flags, i;

	flags = spin_lock_irqsave(&unit->lock);
	for (i = 0; i < unit->nr_pins; i++) {
		struct vioapic_pin *pin = &unit->pins[i];

		if (!(pin->rte & RTE_REMOTE_IRR) || (uint8_t)pin->rte != vector)
			continue;
		pin->rte &= ~RTE_REMOTE_IRR;
		if (pin->line)
			pin_deliver(pin);
		if (unit->host) {
			bitmap_set(open, i);
			any = true;
		}
	}
	spin_unlock_irqrestore(&unit->lock, flags);
	if (!any)
		return;

	spin_lock(&unit->host_lock);
	BITMAP_FOR_EACH (i, open, unit->nr_pins)
		host_update(&unit->pins[i]);
	spin_unlock(&unit->host_lock);
}

void vioapic_eoi(struct domain *d, uint8_t vector)
{
	const struct vioapic *vio = d->arch.vioapic;
	unsigned i;

	for (i = 0; vio && i < vio->count; i++)
		unit_eoi(vio->units[i], vector);
}

/* An entry was written, or a local APIC enabled: what is due is done. With `host_lock`. */
static void pin_settle(struct vioapic_pin *pin)
{
	unsigned long flags = spin_lock_irqsave(&pin->unit->lock);

	pin->rte &= ~RTE_PENDING;
	if (pin->line && waits_for_eoi(pin->rte))
		pin_deliver(pin);
	spin_unlock_irqrestore(&pin->unit->lock, flags);
	host_update(pin);
}

void vioapic_retry(struct domain *d)
{
	const struct vioapic *vio = d->arch.vioapic;
	unsigned i, n;

	for (i = 0; vio && i < vio->count; i++) {
		struct vioapic_unit *unit = vio->units[i];

		spin_lock(&unit->host_lock);
		for (n = 0; n < unit->nr_pins; n++) {
			if (READ_ONCE(unit->pins[n].rte) & RTE_PENDING)
				pin_settle(&unit->pins[n]);
		}
		spin_unlock(&unit->host_lock);
	}
}

void vioapic_set_pin(struct domain *d, unsigned gsi, bool level)
{
	const struct vioapic *vio = d->arch.vioapic;
	unsigned i;

	for (i = 0; vio && i < vio->count; i++) {
		struct vioapic_unit *unit = vio->units[i];
		struct vioapic_pin *pin;
		unsigned long flags;
		bool rising;

		if (gsi < unit->gsi_base || gsi - unit->gsi_base >= unit->nr_pins)
			continue;
		pin = &unit->pins[gsi - unit->gsi_base];
		flags = spin_lock_irqsave(&unit->lock);
		rising = level && !pin->line;
		pin->line = level;
		if (rising)
			pin_deliver(pin);
		spin_unlock_irqrestore(&unit->lock, flags);
		return;
	}
}

/* ---- Registers ---- */

/* Of an index that is known to be one of an entry. */
static struct vioapic_pin *pin_at(struct vioapic_unit *unit, unsigned index)
{
	return &unit->pins[index_nospec((index - REG_REDTBL) / 2, unit->nr_pins)];
}

static uint32_t register_read(struct vioapic_unit *unit, unsigned index)
{
	uint64_t rte;

	switch (index) {
	case REG_ID:
	case REG_ARB:
		return (uint32_t)unit->id << ID_SHIFT;
	case REG_VERSION:
		return IOAPIC_VERSION | (unit->nr_pins - 1) << 16;
	default:
		if (index < REG_REDTBL || (index - REG_REDTBL) / 2 >= unit->nr_pins)
			return 0;
		rte = pin_at(unit, index)->rte;
		return (uint32_t)(rte >> (index % 2 != 0 ? 32 : 0));
	}
}

static void entry_write(struct vioapic_unit *unit, unsigned index, uint32_t value)
{
	struct vioapic_pin *pin = pin_at(unit, index);
	uint64_t half = index % 2 != 0 ? 0xffffffff00000000 : 0xffffffff;
	uint64_t bits = index % 2 != 0 ? (uint64_t)value << 32 : value;
	unsigned long flags;

	spin_lock(&unit->host_lock);
	flags = spin_lock_irqsave(&unit->lock);
	half &= RTE_WRITABLE & ~RTE_READ_ONLY;
	pin->rte = (pin->rte & ~half) | (bits & half);
	/* An edge-triggered entry has no remote IRR: software without an EOI register goes through edge to get rid of it. */
	if (!(pin->rte & RTE_LEVEL))
		pin->rte &= ~RTE_REMOTE_IRR;
	spin_unlock_irqrestore(&unit->lock, flags);
	pin_settle(pin);
	spin_unlock(&unit->host_lock);
}

static void register_write(struct vioapic_unit *unit, unsigned index, uint32_t value)
{
	if (index == REG_ID) {
		unit->id = (uint8_t)(value >> ID_SHIFT & ID_BITS);
		return;
	}
	if (index >= REG_REDTBL && (index - REG_REDTBL) / 2 < unit->nr_pins)
		entry_write(unit, index, value);
}

/* The registers have 32 bits, IOREGSEL 8; reads of a part of them get that part, what lies beyond reads as 0. */
static int mmio_read(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
		     uint64_t *ret_value)
{
	struct vioapic_unit *unit = opaque;
	uint64_t value = 0;
	unsigned long flags;

	(void)v;
	flags = spin_lock_irqsave(&unit->lock);
	if ((offset & ~3ULL) == IOREGSEL)
		value = unit->index;
	else if ((offset & ~3ULL) == IOWIN)
		value = register_read(unit, unit->index);
	spin_unlock_irqrestore(&unit->lock, flags);
	value >>= 8 * (offset & 3);
	*ret_value = size < 4 ? value & ((1ULL << (8 * size)) - 1) : value;
	return 0;
}

static int mmio_write(struct vcpu *v, void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct vioapic_unit *unit = opaque;

	(void)v;
	switch (offset) {
	case IOREGSEL:
		WRITE_ONCE(unit->index, (uint8_t)value);
		break;
	case IOWIN:
		/* Doublewords only (data sheet, 3.1.2): a part of an entry would arm half of it. */
		if (size >= 4)
			register_write(unit, READ_ONCE(unit->index), (uint32_t)value);
		break;
	case EOIR:
		unit_eoi(unit, (uint8_t)value);
		break;
	default:
		break;
	}
	return 0;
}

static const struct hvm_io_ops mmio_ops = {
	.read = mmio_read,
	.write = mmio_write,
};

/* ---- Life ---- */

static int unit_create(struct domain *d, const struct ioapic_info *info, bool host)
{
	struct vioapic *vio = d->arch.vioapic;
	unsigned nr = MIN(info->pins, (unsigned)MAX_PINS), i;
	struct vioapic_unit *unit;
	int rc;

	if (nr == 0)
		return 0;
	unit = heap_alloc(sizeof(*unit) + nr * sizeof(unit->pins[0]));
	if (!unit)
		return -ENOMEM;
	spin_init(&unit->host_lock);
	spin_init(&unit->lock);
	unit->domain = d;
	unit->host = host;
	unit->id = info->id & ID_BITS;
	unit->index = 0;
	unit->gsi_base = info->gsi_base;
	unit->nr_pins = nr;
	for (i = 0; i < nr; i++)
		unit->pins[i] = (struct vioapic_pin){.unit = unit, .rte = RTE_MASKED};
	unit->region = (struct hvm_io_region){
		.base = info->paddr,
		.size = MMIO_SIZE,
		.ops = &mmio_ops,
		.opaque = unit,
	};
	rc = hvm_mmio_register(d, &unit->region);
	if (rc) {
		heap_free(unit);
		return rc;
	}
	vio->units[vio->count++] = unit;
	return 0;
}

int vioapic_init(struct domain *d)
{
	static const struct ioapic_info emulated = {
		.id = 1,
		.paddr = EMULATED_ADDRESS,
		.gsi_base = 0,
		.pins = EMULATED_PINS,
	};
	unsigned count = d->hardware ? ioapic_count : 1, i;
	int rc = 0;

	if (count == 0 || (!d->hardware && !(d->arch.emulation_flags & XEN_X86_EMU_IOAPIC)))
		return 0;
	d->arch.vioapic = heap_alloc(sizeof(*d->arch.vioapic) +
				     count * sizeof(struct vioapic_unit *));
	if (!d->arch.vioapic)
		return -ENOMEM;
	for (i = 0; i < count && rc == 0; i++)
		rc = unit_create(d, d->hardware ? &ioapics[i] : &emulated, d->hardware);
	if (rc)
		vioapic_finish(d);
	return rc;
}

static void unit_destroy(struct vioapic_unit *unit)
{
	unsigned i;

	hvm_mmio_unregister(unit->domain, &unit->region);
	hvm_io_region_wait(&unit->region);
	for (i = 0; i < unit->nr_pins; i++) {
		if (unit->pins[i].bound)
			gsi_unbind(pin_gsi(&unit->pins[i]));
	}
	heap_free(unit);
}

void vioapic_finish(struct domain *d)
{
	struct vioapic *vio = d->arch.vioapic;
	unsigned i;

	if (!vio)
		return;
	d->arch.vioapic = NULL;
	for (i = 0; i < vio->count; i++)
		unit_destroy(vio->units[i]);
	heap_free(vio);
}
