// SPDX-License-Identifier: GPL-2.0-or-later
// PCI configuration accesses as x86 machines do them: ports CF8/CFC and memory.

#include <arch/cpu.h>
#include <bulkhead/pci.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  0x80000000U

/* Address and data port are one resource of the machine; the fault handlers of the IOMMUs use it, too. */
static spinlock_t port_lock = SPINLOCK_INIT;

uint32_t pci_port_read(unsigned bdf, unsigned reg, unsigned size)
{
	uint16_t port = (uint16_t)(CONFIG_DATA + (reg & 3));
	unsigned long flags;
	uint32_t v;

	flags = spin_lock_irqsave(&port_lock);
	outl(CONFIG_ADDRESS, CONFIG_ENABLE | bdf << 8 | (reg & 0xfc));
	v = size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
	spin_unlock_irqrestore(&port_lock, flags);
	return v;
}

void pci_port_write(unsigned bdf, unsigned reg, unsigned size, uint32_t value)
{
	uint16_t port = (uint16_t)(CONFIG_DATA + (reg & 3));
	unsigned long flags;

	flags = spin_lock_irqsave(&port_lock);
	outl(CONFIG_ADDRESS, CONFIG_ENABLE | bdf << 8 | (reg & 0xfc));
	if (size == 1)
		outb(port, (uint8_t)value);
	else if (size == 2)
		outw(port, (uint16_t)value);
	else
		outl(port, value);
	spin_unlock_irqrestore(&port_lock, flags);
}

/*
 * AMD processors want plain moves through the accumulator for memory-mapped configuration space
 * ("MMIO Configuration Coding Requirements" in the BKDGs of families 10h to 16h and the PPR of 17h).
 */
uint32_t pci_ecam_read(const volatile void *p, unsigned size)
{
	uint32_t v = 0;

	if (size == 1)
		__asm__ volatile("movb (%1), %%al" : "+a"(v) : "r"(p) : "memory");
	else if (size == 2)
		__asm__ volatile("movw (%1), %%ax" : "+a"(v) : "r"(p) : "memory");
	else
		__asm__ volatile("movl (%1), %%eax" : "+a"(v) : "r"(p) : "memory");
	return v;
}

void pci_ecam_write(volatile void *p, unsigned size, uint32_t value)
{
	if (size == 1)
		__asm__ volatile("movb %%al, (%1)" ::"a"(value), "r"(p) : "memory");
	else if (size == 2)
		__asm__ volatile("movw %%ax, (%1)" ::"a"(value), "r"(p) : "memory");
	else
		__asm__ volatile("movl %%eax, (%1)" ::"a"(value), "r"(p) : "memory");
}
