/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine's local APICs, xAPIC or x2APIC (SDM vol. 3A chapter 11). */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/traps.h>
#include <bulkhead/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/time.h>
#include <bulkhead/timer.h>

#define MSR_APIC_BASE	 0x1b
#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_X2	 BIT(10)
#define MSR_X2APIC	 0x800

#define REG_ID		  0x20
#define REG_TPR		  0x80
#define REG_EOI		  0xb0
#define REG_SVR		  0xf0
#define REG_ESR		  0x280
#define REG_ICR_LOW	  0x300
#define REG_ICR_HIGH	  0x310
#define REG_LVT_TIMER	  0x320
#define REG_LVT_THERMAL	  0x330
#define REG_LVT_PERF	  0x340
#define REG_LVT_LINT0	  0x350
#define REG_LVT_LINT1	  0x360
#define REG_LVT_ERROR	  0x370
#define REG_TIMER_COUNT	  0x380
#define REG_TIMER_CURRENT 0x390
#define REG_TIMER_DIVIDE  0x3e0

#define SVR_ENABLE  0x100
#define LVT_MASKED  0x10000
#define LVT_NMI	    0x400
#define ICR_PENDING 0x1000
#define DIVIDE_BY_1 0xb

bool apic_x2 __ro_after_init;
static volatile uint8_t *page __ro_after_init;
static bool up, stopping;

static uint32_t apic_read(unsigned reg)
{
	if (apic_x2)
		return (uint32_t)rdmsr(MSR_X2APIC + (reg >> 4));
	return mmio_read32(page + reg);
}

static void apic_write(unsigned reg, uint32_t v)
{
	if (apic_x2)
		wrmsr(MSR_X2APIC + (reg >> 4), v);
	else
		mmio_write32(page + reg, v);
}

int apic_init(uint64_t paddr)
{
	uint32_t r[4];

	cpuid_count(1, 0, r);
	if (!(r[3] & BIT32(9)))
		return -ENODEV;
	/* The firmware's choice stands once it is x2APIC: there is no way back without a reset (SDM 11.12.5). */
	apic_x2 = (r[2] & BIT32(21)) != 0;
	if (!apic_x2) {
		page = mmio_map(paddr, PAGE_SIZE);
		if (!page)
			return -ENOMEM;
	}
	apic_cpu_init();
	up = true;
	return 0;
}

void apic_cpu_init(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	if (!(base & APIC_BASE_ENABLE))
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	if (apic_x2 && !(base & APIC_BASE_X2))
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2);
	apic_write(REG_TPR, 0);
	apic_write(REG_LVT_TIMER, LVT_MASKED);
	apic_write(REG_LVT_THERMAL, LVT_MASKED);
	apic_write(REG_LVT_PERF, LVT_MASKED);
	apic_write(REG_LVT_LINT0, LVT_MASKED);
	apic_write(REG_LVT_LINT1, LVT_NMI);
	apic_write(REG_LVT_ERROR, VECTOR_ERROR);
	apic_write(REG_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	apic_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(REG_TIMER_COUNT, 0);
	apic_write(REG_LVT_TIMER, VECTOR_TIMER);
	apic_eoi();
}

void apic_block_devices(bool block)
{
	/* Vectors up to those of this class wait (SDM vol. 3A 11.8.3.1). */
	apic_write(REG_TPR, block ? IRQ_VECTOR_LAST & 0xf0 : 0);
}

uint32_t apic_id_self(void)
{
	uint32_t id = apic_read(REG_ID);

	return apic_x2 ? id : id >> 24;
}

void apic_eoi(void)
{
	apic_write(REG_EOI, 0);
}

void apic_ipi(uint32_t apic_id, uint32_t icr_low)
{
	unsigned long irq = arch_irq_save();

	if (apic_x2) {
		/* The MSR write is not serialising: what we stored before must be visible first (SDM 11.12.3). */
		arch_mb();
		wrmsr(MSR_X2APIC + (REG_ICR_LOW >> 4), (uint64_t)apic_id << 32 | icr_low);
	} else {
		while (apic_read(REG_ICR_LOW) & ICR_PENDING)
			arch_cpu_relax();
		apic_write(REG_ICR_HIGH, apic_id << 24);
		apic_write(REG_ICR_LOW, icr_low);
	}
	arch_irq_restore(irq);
}

void apic_send_vector(unsigned cpu, uint8_t vector)
{
	apic_ipi(cpu_table[cpu]->arch.apic_id, APIC_ICR_ASSERT | vector);
}

void apic_stop_others(void)
{
	if (!up || cpu_count < 2)
		return;
	stopping = true;
	for (unsigned i = 0; i < cpu_count; i++) {
		if (i != cpu_id())
			apic_ipi(cpu_table[i]->arch.apic_id, APIC_ICR_ASSERT | APIC_ICR_NMI);
	}
	time_delay_us(1000);
}

void apic_nmi(void)
{
	if (stopping) {
		for (;;)
			__asm__ volatile("cli; hlt");
	}
}

void apic_timer_set(uint32_t count)
{
	apic_write(REG_TIMER_COUNT, count);
}

uint32_t apic_timer_current(void)
{
	return apic_read(REG_TIMER_CURRENT);
}

void apic_error_interrupt(void)
{
	apic_write(REG_ESR, 0);
	log_warn("APIC: error status 0x%02x on CPU %u\n", apic_read(REG_ESR), cpu_id());
}
