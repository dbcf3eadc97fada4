// SPDX-License-Identifier: GPL-2.0-or-later
// Virtual local APIC: registers as xAPIC page and x2APIC MSRs, priorities, acceptance and EOI.
#include <arch/mtrr.h>
#include <arch/vlapic.h>
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>
#include <bulkhead/string.h>

#include "vlapic_state.h"

/* Numbers of sections: SDM vol. 3A, chapter 11 (APIC); APM 2, chapter 16 says the same where it says anything. */

#define MSR_APIC_BASE  0x1b
#define MSR_X2APIC     0x800
#define MSR_X2APIC_END 0x840
/* Register number within an MSR number; a mask, so that it holds for the CPU that runs ahead as well. */
#define X2APIC_INDEX   0x3f

#define APIC_BASE_BSP	  BIT(8)
#define APIC_BASE_EXTD	  BIT(10)
#define APIC_BASE_EN	  BIT(11)
#define APIC_BASE_DEFAULT 0xfee00000UL

/* An integrated APIC whose last LVT entry has the number 5: timer, thermal, performance, LINT0, LINT1, error (11.4.8). */
#define LAPIC_VERSION_VALUE (0x14 | 5U << 16)

#define ICR_WRITABLE	  0x000ccfffU
#define SPURIOUS_AT_RESET 0xffU

/*
 * Bits that may be set in a write, by register: others are reserved. In x2APIC mode a reserved bit raises #GP (11.12.1.3), in
 * the page it is dropped. The read-only bits delivery status and remote IRR are tolerated, as software writes back what
 * it read.
 */
static const uint32_t writable_bits[64] = {
	[LAPIC_TPR >> 4] = 0xff,	  [LAPIC_EOI >> 4] = 0,
	[LAPIC_LDR >> 4] = 0xff000000,	  [LAPIC_DFR >> 4] = 0xffffffff,
	[LAPIC_SVR >> 4] = 0x3ff,	  [LAPIC_ESR >> 4] = 0,
	[LAPIC_ICR >> 4] = ICR_WRITABLE,  [LAPIC_ICR2 >> 4] = 0xff000000,
	[LAPIC_LVT_TIMER >> 4] = 0x310ff, [LAPIC_LVT_THERMAL >> 4] = 0x117ff,
	[LAPIC_LVT_PERF >> 4] = 0x117ff,  [LAPIC_LVT_LINT0 >> 4] = 0x1f7ff,
	[LAPIC_LVT_LINT1 >> 4] = 0x1f7ff, [LAPIC_LVT_ERROR >> 4] = 0x110ff,
	[LAPIC_TMICT >> 4] = 0xffffffff,  [LAPIC_TDCR >> 4] = 0xb,
	[LAPIC_SELF_IPI >> 4] = 0xff,
};

#define REG(offset)    (1ULL << ((offset) >> 4))
#define REGS_OF_8(off) (0xffULL << ((off) >> 4))
#define REGS_LVT                                                                               \
 (REG(LAPIC_LVT_TIMER) | REG(LAPIC_LVT_THERMAL) | REG(LAPIC_LVT_PERF) | REG(LAPIC_LVT_LINT0) | \
  REG(LAPIC_LVT_LINT1) | REG(LAPIC_LVT_ERROR))
#define REGS_COMMON                                                              \
 (REG(LAPIC_TPR) | REG(LAPIC_SVR) | REG(LAPIC_ESR) | REG(LAPIC_ICR) | REGS_LVT | \
  REG(LAPIC_TMICT) | REG(LAPIC_TDCR))
#define REGS_STATE (REGS_OF_8(LAPIC_ISR) | REGS_OF_8(LAPIC_TMR) | REGS_OF_8(LAPIC_IRR))

/* Which registers there are (tables 11-1 and 11-6). */
#define X2APIC_READABLE                                                            \
 (REGS_COMMON | REGS_STATE | REG(LAPIC_ID) | REG(LAPIC_VERSION) | REG(LAPIC_PPR) | \
  REG(LAPIC_LDR) | REG(LAPIC_TMCCT))
#define X2APIC_WRITABLE (REGS_COMMON | REG(LAPIC_EOI) | REG(LAPIC_SELF_IPI))
#define XAPIC_READABLE                                                                  \
 (X2APIC_READABLE | REG(LAPIC_APR) | REG(LAPIC_EOI) | REG(LAPIC_RRD) | REG(LAPIC_DFR) | \
  REG(LAPIC_ICR2))
/* The identifier is writable in the page of some models only; here it is not: nothing but the id of the ABI. */
#define XAPIC_WRITABLE \
 (REGS_COMMON | REG(LAPIC_EOI) | REG(LAPIC_LDR) | REG(LAPIC_DFR) | REG(LAPIC_ICR2))
#define XAPIC_READ_ONLY                                                               \
 (REGS_STATE | REG(LAPIC_ID) | REG(LAPIC_VERSION) | REG(LAPIC_APR) | REG(LAPIC_PPR) | \
  REG(LAPIC_RRD) | REG(LAPIC_TMCCT))

/* ---- Pending and in-service vectors ---- */

bool vlapic_raise(struct vlapic *vl, uint8_t vector, bool level)
{
	uint32_t *irr = vlapic_word(vl, vlapic_vector_word(LAPIC_IRR, vector));
	uint32_t *tmr = vlapic_word(vl, vlapic_vector_word(LAPIC_TMR, vector));
	uint32_t mask = BIT32(vector % 32), word = BIT32(vector / 32);

	/* The trigger mode register follows on acceptance into IRR (11.8.4). */
	if (level)
		__atomic_fetch_or(tmr, mask, __ATOMIC_SEQ_CST);
	else if (READ_ONCE(*tmr) & mask)
		__atomic_fetch_and(tmr, ~mask, __ATOMIC_SEQ_CST);
	while (__atomic_fetch_or(irr, mask, __ATOMIC_SEQ_CST) & mask) {
		if (READ_ONCE(vl->offered) != vector)
			return false;
		/* The guest may have taken it: this one follows then. If the vCPU's CPU was faster, IRR is free again. */
		__atomic_store_n(&vl->again, true, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(irr, __ATOMIC_SEQ_CST) & mask) {
			vcpu_kick(vl->vcpu);
			return true;
		}
	}
	__atomic_fetch_or(&vl->irr_words, word, __ATOMIC_SEQ_CST);
	vcpu_kick(vl->vcpu);
	return true;
}

/* The vCPU's own CPU only: the sole one that takes bits out. */
static void irr_clear(struct vlapic *vl, uint8_t vector)
{
	uint32_t *irr = vlapic_word(vl, vlapic_vector_word(LAPIC_IRR, vector));
	uint32_t mask = BIT32(vector % 32), word = BIT32(vector / 32);

	if (__atomic_and_fetch(irr, ~mask, __ATOMIC_SEQ_CST))
		return;
	__atomic_fetch_and(&vl->irr_words, ~word, __ATOMIC_SEQ_CST);
	/* A bit may have come in between the two; who set it has or has not marked the word yet. */
	if (READ_ONCE(*irr))
		__atomic_fetch_or(&vl->irr_words, word, __ATOMIC_SEQ_CST);
}

static void irr_clear_all(struct vlapic *vl)
{
	unsigned n;

	for (n = 0; n < 8; n++) {
		uint32_t *irr = vlapic_word(vl, LAPIC_IRR + 16 * n);

		__atomic_store_n(irr, 0, __ATOMIC_SEQ_CST);
		__atomic_fetch_and(&vl->irr_words, ~BIT32(n), __ATOMIC_SEQ_CST);
		if (READ_ONCE(*irr))
			__atomic_fetch_or(&vl->irr_words, BIT32(n), __ATOMIC_SEQ_CST);
	}
}

static int irr_top(const struct vlapic *vl)
{
	uint32_t words = READ_ONCE(vl->irr_words);

	while (words) {
		unsigned n = 31 - (unsigned)__builtin_clz(words);
		uint32_t w = vlapic_reg(vl, LAPIC_IRR + 16 * n);

		if (w)
			return (int)(32 * n + 31 - (unsigned)__builtin_clz(w));
		words &= ~BIT32(n);
	}
	return -1;
}

static int isr_find_top(const struct vlapic *vl)
{
	int n;

	for (n = 7; n >= 0; n--) {
		uint32_t w = vlapic_reg(vl, LAPIC_ISR + 16 * (unsigned)n);

		if (w)
			return 32 * n + 31 - __builtin_clz(w);
	}
	return -1;
}

/* Task priority, or the class in service if that is higher (11.8.3.1). */
uint8_t vlapic_ppr(const struct vlapic *vl)
{
	uint8_t tpr = (uint8_t)vlapic_reg(vl, LAPIC_TPR);
	int top = READ_ONCE(vl->isr_top);

	if (top < 0 || (tpr & 0xf0) >= (top & 0xf0))
		return tpr;
	return (uint8_t)(top & 0xf0);
}

int vlapic_deliverable(struct vcpu *v)
{
	const struct vlapic *vl = v->arch.vlapic;
	int top;

	if (!vl || READ_ONCE(vl->irr_words) == 0 || !vl->sw_enabled)
		return -1;
	top = irr_top(vl);
	return top >= 0 && (top & 0xf0) > (vlapic_ppr(vl) & 0xf0) ? top : -1;
}

int vlapic_highest_irr(struct vcpu *v)
{
	const struct vlapic *vl = v->arch.vlapic;

	return vl && vl->sw_enabled ? irr_top(vl) : -1;
}

void vlapic_offer(struct vcpu *v, uint8_t vector)
{
	struct vlapic *vl = v->arch.vlapic;

	WRITE_ONCE(vl->again, false);
	/* Who does not see it raised before the guest can take it: the guest sees all that this was about. */
	__atomic_store_n(&vl->offered, vector, __ATOMIC_SEQ_CST);
}

void vlapic_withdraw(struct vcpu *v)
{
	WRITE_ONCE(v->arch.vlapic->offered, 0);
}

void vlapic_accept(struct vcpu *v, uint8_t vector)
{
	struct vlapic *vl = v->arch.vlapic;
	unsigned isr = vlapic_vector_word(LAPIC_ISR, vector),
		 tmr = vlapic_vector_word(LAPIC_TMR, vector);

	irr_clear(vl, vector);
	WRITE_ONCE(vl->offered, 0);
	/* A raise that was for an earlier offer and is late makes one interrupt too many, as a spurious one does no harm. */
	if (__atomic_load_n(&vl->again, __ATOMIC_SEQ_CST)) {
		WRITE_ONCE(vl->again, false);
		vlapic_raise(vl, vector, vlapic_reg(vl, tmr) & BIT32(vector % 32));
	}
	vlapic_put(vl, isr, vlapic_reg(vl, isr) | BIT32(vector % 32));
	if (vector > vl->isr_top)
		WRITE_ONCE(vl->isr_top, vector);
	if (unlikely(READ_ONCE(vl->timer.stalled)))
		vlapic_timer_resume(vl);
}

static void handle_eoi(struct vlapic *vl)
{
	int top = vl->isr_top;
	unsigned vector, isr;

	/* Without an interrupt in service an EOI does nothing. */
	if (top < 0)
		return;
	vector = (unsigned)top;
	isr = vlapic_vector_word(LAPIC_ISR, vector);
	vlapic_put(vl, isr, vlapic_reg(vl, isr) & ~BIT32(vector % 32));
	WRITE_ONCE(vl->isr_top, isr_find_top(vl));
	if (vlapic_reg(vl, vlapic_vector_word(LAPIC_TMR, vector)) & BIT32(vector % 32))
		vioapic_eoi(vl->vcpu->domain, (uint8_t)vector);
}

void vlapic_set_irq(struct vcpu *v, uint8_t vector, bool level)
{
	struct vlapic *vl = vcpu_vlapic(v);

	if (vl && vector >= LAPIC_FIRST_VECTOR)
		vlapic_raise(vl, vector, level);
}

/* ---- Errors and the local vector table ---- */

bool vlapic_raise_lvt(struct vlapic *vl, uint32_t lvt)
{
	uint8_t vector = (uint8_t)lvt;

	if ((lvt & LVT_MASKED) || !READ_ONCE(vl->sw_enabled))
		return true;
	if (vector < LAPIC_FIRST_VECTOR) {
		vlapic_error(vl, ESR_RECEIVED_VECTOR);
		return true;
	}
	return vlapic_raise(vl, vector, false);
}

void vlapic_error(struct vlapic *vl, uint32_t esr_bit)
{
	uint32_t lvt = vlapic_reg(vl, LAPIC_LVT_ERROR);
	uint32_t old = __atomic_fetch_or(&vl->esr_pending, esr_bit, __ATOMIC_SEQ_CST);

	/* An error that waits for its ESR read already has interrupted. An illegal vector in this entry ends here. */
	if ((old & esr_bit) || (uint8_t)lvt < LAPIC_FIRST_VECTOR)
		return;
	vlapic_raise_lvt(vl, lvt);
}

/* While software-disabled all LVT entries are masked (11.4.7.2). */
static void mask_lvts(struct vlapic *vl)
{
	unsigned offset;

	vlapic_timer_write(vl, LAPIC_LVT_TIMER, vlapic_reg(vl, LAPIC_LVT_TIMER) | LVT_MASKED);
	for (offset = LAPIC_LVT_THERMAL; offset <= LAPIC_LVT_ERROR; offset += 16)
		vlapic_put(vl, offset, vlapic_reg(vl, offset) | LVT_MASKED);
}

static void write_svr(struct vlapic *vl, uint32_t value)
{
	bool enable = value & SVR_ENABLED;

	vlapic_put(vl, LAPIC_SVR, value);
	if (enable == vl->sw_enabled)
		return;
	WRITE_ONCE(vl->sw_enabled, enable);
	if (enable)
		vioapic_retry(vl->vcpu->domain);
	else
		mask_lvts(vl);
}

/* ---- Registers ---- */

static uint32_t read_register(struct vlapic *vl, unsigned offset)
{
	switch (offset) {
	case LAPIC_ID:
		return vl->x2apic ? vl->id : vl->id << 24;
	case LAPIC_PPR:
		return vlapic_ppr(vl);
	case LAPIC_TMCCT:
		return vlapic_timer_count(vl);
	default:
		return vlapic_reg(vl, offset);
	}
}

/* The value has no reserved bits any more. */
static void write_register(struct vlapic *vl, unsigned offset, uint32_t value)
{
	switch (offset) {
	case LAPIC_EOI:
		handle_eoi(vl);
		break;
	case LAPIC_DFR:
		/* Bits 27:0 read as ones (11.6.2.2). */
		vlapic_put(vl, offset, value | 0x0fffffff);
		break;
	case LAPIC_SVR:
		write_svr(vl, value);
		break;
	case LAPIC_ESR:
		/* Shows what came up since the last write (11.5.3). */
		vlapic_put(vl, offset, __atomic_exchange_n(&vl->esr_pending, 0, __ATOMIC_SEQ_CST));
		break;
	case LAPIC_ICR:
		vlapic_put(vl, offset, value);
		vlapic_send_ipi(vl, value,
				vl->x2apic ? vlapic_reg(vl, LAPIC_ICR2)
					   : vlapic_reg(vl, LAPIC_ICR2) >> 24);
		break;
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
	case LAPIC_LVT_ERROR:
		value &= ~(LVT_DELIVERY_STATUS | LVT_REMOTE_IRR);
		if (!vl->sw_enabled)
			value |= LVT_MASKED;
		if (offset == LAPIC_LVT_TIMER)
			vlapic_timer_write(vl, offset, value);
		else
			vlapic_put(vl, offset, value);
		break;
	case LAPIC_TMICT:
	case LAPIC_TDCR:
		vlapic_timer_write(vl, offset, value);
		break;
	case LAPIC_SELF_IPI:
		/* A fixed, edge-triggered interrupt with the shorthand "self" (11.12.11). */
		vlapic_send_ipi(vl, value | 1U << 18, 0);
		break;
	default:
		vlapic_put(vl, offset, value);
		break;
	}
}

/* ---- x2APIC MSRs ---- */

static int x2apic_read(struct vlapic *vl, uint32_t msr, uint64_t *ret_value)
{
	unsigned offset = (msr & X2APIC_INDEX) << 4;

	if (!vl->x2apic || !(X2APIC_READABLE & REG(offset)))
		return -EINVAL;
	*ret_value = read_register(vl, offset);
	if (offset == LAPIC_ICR)
		*ret_value |= (uint64_t)vlapic_reg(vl, LAPIC_ICR2) << 32;
	return 0;
}

static int x2apic_write(struct vlapic *vl, uint32_t msr, uint64_t value)
{
	unsigned offset = (msr & X2APIC_INDEX) << 4;
	uint64_t allowed;

	if (!vl->x2apic || !(X2APIC_WRITABLE & REG(offset)))
		return -EINVAL;
	allowed = writable_bits[offset >> 4];
	if (offset == LAPIC_ICR)
		/* One 64-bit register; delivery status is reserved here (11.12.9). */
		allowed = (allowed & ~(uint64_t)LVT_DELIVERY_STATUS) | 0xffffffff00000000;
	if (value & ~allowed)
		return -EINVAL;
	if (offset == LAPIC_ICR)
		vlapic_put(vl, LAPIC_ICR2, (uint32_t)(value >> 32));
	write_register(vl, offset, (uint32_t)value);
	return 0;
}

/* ---- APIC_BASE ---- */

/* Bits 31:16 are the cluster, 15:0 the member, both derived from the id (11.12.10.2). */
static uint32_t x2apic_ldr(uint32_t id)
{
	return (id >> 4) << 16 | BIT32(id & 0xf);
}

static void registers_reset(struct vlapic *vl)
{
	unsigned offset;

	vlapic_timer_reset(vl);
	WRITE_ONCE(vl->sw_enabled, false);
	irr_clear_all(vl);
	memset(vl->regs, 0, LAPIC_IRR);
	memset(vl->regs + LAPIC_ESR, 0, PAGE_SIZE - LAPIC_ESR);
	WRITE_ONCE(vl->isr_top, -1);
	__atomic_store_n(&vl->esr_pending, 0, __ATOMIC_SEQ_CST);
	vlapic_put(vl, LAPIC_VERSION, LAPIC_VERSION_VALUE);
	vlapic_put(vl, LAPIC_DFR, 0xffffffff);
	vlapic_put(vl, LAPIC_SVR, SPURIOUS_AT_RESET);
	for (offset = LAPIC_LVT_TIMER; offset <= LAPIC_LVT_ERROR; offset += 16)
		vlapic_put(vl, offset, LVT_MASKED);
	if (vl->x2apic)
		vlapic_put(vl, LAPIC_LDR, x2apic_ldr(vl->id));
	/* The id in the page is for who saves and restores it. */
	vlapic_put(vl, LAPIC_ID, vl->x2apic ? vl->id : vl->id << 24);
}

static void base_put(struct vlapic *vl, uint64_t value)
{
	vl->base = value;
	WRITE_ONCE(vl->hw_enabled, value & APIC_BASE_EN);
	WRITE_ONCE(vl->x2apic, value & APIC_BASE_EXTD);
}

static int base_write(struct vlapic *vl, uint64_t value)
{
	uint64_t known = APIC_BASE_BSP | APIC_BASE_EXTD | APIC_BASE_EN |
			 (mtrr_phys_mask() & PAGE_MASK);
	bool was_x2 = vl->base & APIC_BASE_EXTD, was_on = vl->base & APIC_BASE_EN;
	bool x2 = value & APIC_BASE_EXTD, on = value & APIC_BASE_EN;

	/* Figure 11-27: no way from disabled to x2APIC, none from x2APIC but to disabled, never EXTD without EN. */
	if ((value & ~known) || (x2 && !on) || (x2 && !was_on) || (was_x2 && on && !x2))
		return -EINVAL;
	base_put(vl, value);
	if (on != was_on) {
		/* What a disabled APIC loses is the state after power-up (11.4.3). */
		registers_reset(vl);
	} else if (x2 != was_x2) {
		/* The other registers keep their contents (11.12.5.1). */
		vlapic_put(vl, LAPIC_ID, vl->id);
		vlapic_put(vl, LAPIC_LDR, x2apic_ldr(vl->id));
		vlapic_put(vl, LAPIC_ICR2, 0);
	}
	return 0;
}

int vlapic_msr_read(struct vcpu *v, uint32_t msr, uint64_t *ret_value)
{
	struct vlapic *vl = v->arch.vlapic;

	if (!vl)
		return -EINVAL;
	if (msr == MSR_APIC_BASE) {
		*ret_value = vl->base;
		return 0;
	}
	if (msr >= MSR_X2APIC && msr < MSR_X2APIC_END)
		return x2apic_read(vl, msr, ret_value);
	return -EINVAL;
}

int vlapic_msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	struct vlapic *vl = v->arch.vlapic;

	if (!vl)
		return -EINVAL;
	if (msr == MSR_APIC_BASE)
		return base_write(vl, value);
	if (msr >= MSR_X2APIC && msr < MSR_X2APIC_END)
		return x2apic_write(vl, msr, value);
	return -EINVAL;
}

/* ---- xAPIC page ---- */

bool vlapic_covers(struct vcpu *v, uint64_t gpa)
{
	const struct vlapic *vl = v->arch.vlapic;

	return vl && vl->hw_enabled && !vl->x2apic && (gpa & PAGE_MASK) == (vl->base & PAGE_MASK);
}

/*
 * Registers are 32 bits wide on boundaries of 16 bytes and are accessed as such (11.4.1). Narrower reads within a register get
 * their part; the 12 bytes behind it read as 0.
 */
int vlapic_mmio_read(struct vcpu *v, uint32_t offset, unsigned size, uint64_t *ret_value)
{
	struct vlapic *vl = v->arch.vlapic;
	unsigned reg = offset & 0xff0, byte = offset & 0xf;
	uint64_t value;

	*ret_value = 0;
	if (!vl || byte >= 4)
		return 0;
	if (reg >= 0x400 || !(XAPIC_READABLE & REG(reg))) {
		vlapic_error(vl, ESR_REGISTER);
		return 0;
	}
	value = (uint64_t)read_register(vl, reg) >> (8 * byte);
	*ret_value = size < 4 ? value & ((1ULL << (8 * size)) - 1) : value;
	return 0;
}

int vlapic_mmio_write(struct vcpu *v, uint32_t offset, unsigned size, uint64_t value)
{
	struct vlapic *vl = v->arch.vlapic;
	unsigned reg = offset & 0xff0;
	uint32_t new_value = (uint32_t)value;

	/* What does not start at a register, or leaves it, has no defined effect: none. */
	if (!vl || (offset & 0xf) != 0)
		return 0;
	if (reg < 0x400 && (XAPIC_READ_ONLY & REG(reg)))
		return 0;
	if (reg >= 0x400 || !(XAPIC_WRITABLE & REG(reg))) {
		vlapic_error(vl, ESR_REGISTER);
		return 0;
	}
	if (size < 4) {
		uint32_t mask = (1U << (8 * size)) - 1;

		new_value = (vlapic_reg(vl, reg) & ~mask) | (new_value & mask);
	}
	new_value &= writable_bits[(reg >> 4) & X2APIC_INDEX];
	if (reg == LAPIC_ICR)
		new_value &= ~LVT_DELIVERY_STATUS;
	write_register(vl, reg, new_value);
	return 0;
}

/* ---- Other ways in ---- */

uint8_t vlapic_get_tpr(struct vcpu *v)
{
	return v->arch.vlapic ? (uint8_t)vlapic_reg(v->arch.vlapic, LAPIC_TPR) : 0;
}

void vlapic_set_tpr(struct vcpu *v, uint8_t tpr)
{
	if (v->arch.vlapic)
		vlapic_put(v->arch.vlapic, LAPIC_TPR, tpr);
}

uint32_t vlapic_id(struct vcpu *v)
{
	return 2 * v->id;
}

bool vlapic_x2apic(struct vcpu *v)
{
	return v->arch.vlapic && v->arch.vlapic->x2apic;
}

/* ---- Life ---- */

void vlapic_reset(struct vcpu *v)
{
	struct vlapic *vl = v->arch.vlapic;

	if (!vl)
		return;
	base_put(vl, APIC_BASE_DEFAULT | APIC_BASE_EN | (v->id == 0 ? APIC_BASE_BSP : 0));
	registers_reset(vl);
}

void vlapic_init_reset(struct vcpu *v)
{
	if (v->arch.vlapic)
		registers_reset(v->arch.vlapic);
}

int vlapic_init(struct vcpu *v)
{
	struct vlapic *vl = heap_alloc(sizeof(*vl));
	int rc;

	if (!vl)
		return -ENOMEM;
	vl->vcpu = v;
	vl->id = vlapic_id(v);
	vl->isr_top = -1;
	rc = -ENOMEM;
	vl->regs = heap_page_alloc();
	if (!vl->regs)
		goto err_free;
	rc = vlapic_timer_init(vl);
	if (rc)
		goto err_page;
	base_put(vl, APIC_BASE_DEFAULT | APIC_BASE_EN | (v->id == 0 ? APIC_BASE_BSP : 0));
	registers_reset(vl);
	/* Messages find it from here on. */
	__atomic_store_n(&v->arch.vlapic, vl, __ATOMIC_RELEASE);
	return 0;

err_page:
	heap_page_free(vl->regs);
err_free:
	heap_free(vl);
	return rc;
}

void vlapic_finish(struct vcpu *v)
{
	struct vlapic *vl = v->arch.vlapic;

	if (!vl)
		return;
	v->arch.vlapic = NULL;
	vlapic_timer_finish(vl);
	heap_page_free(vl->regs);
	heap_free(vl);
}
