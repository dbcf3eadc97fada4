// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI: interrupt messages, from the real device's to the one that the guest's registers describe.

#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/iommu.h>

#include "vpci_priv.h"

/* Address and data of a message: SDM vol. 3A 11.11.1 and 11.11.2. */
#define MSI_ADDRESS_BASE    0xfee00000UL
#define MSI_ADDRESS_MASK    0xfff00000UL
#define MSI_ADDRESS_LOGICAL 0x4UL
#define MSI_ADDRESS_HINT    0x8UL
#define MSI_ADDRESS_REMAP   0x10UL /* format of VT-d's interrupt remapping: the guest has none */
#define MSI_DEST(a)	    ((a) >> 12 & 0xff)
#define MSI_DEST_EXT(a)	    ((a) >> 5 & 0x7f) /* bits 14:8, CPUID leaf 4 bit 5 of the ABI */
#define MSI_DATA_VECTOR(d)  ((uint8_t)(d))
#define MSI_DATA_MODE(d)    ((d) >> 8 & 7)
#define MSI_DATA_ASSERT	    0x4000U
#define MSI_DATA_LEVEL	    0x8000U
#define MODE_FIXED	    0
#define MODE_LOWEST	    1

/* False: the message is not an interrupt. */
static bool decode(uint64_t address, uint32_t data, struct vapic_message *ret)
{
	if (address >> 32 || (address & MSI_ADDRESS_MASK) != MSI_ADDRESS_BASE ||
	    (address & MSI_ADDRESS_REMAP))
		return false;
	*ret = (struct vapic_message){
		.dest = (uint32_t)(MSI_DEST(address) | MSI_DEST_EXT(address) << 8),
		.logical = address & MSI_ADDRESS_LOGICAL,
		.mode = (uint8_t)MSI_DATA_MODE(data),
		.vector = MSI_DATA_VECTOR(data),
		.level = data & MSI_DATA_LEVEL,
	};
	/* With the hint, one of the addressed processors takes it: what lowest priority means. */
	if ((address & MSI_ADDRESS_HINT) && ret->logical && ret->mode == MODE_FIXED)
		ret->mode = MODE_LOWEST;
	return !ret->level || (data & MSI_DATA_ASSERT);
}

/* Interrupt handlers call this: no lock. */
void vpci_deliver(struct vpci_dev *dev, uint64_t address, uint32_t data)
{
	struct vapic_message m;

	if (decode(address, data, &m))
		vapic_deliver(dev->vpci->domain, &m);
}

unsigned vpci_target_cpu(struct vpci_dev *dev, uint64_t address)
{
	struct domain *d = dev->vpci->domain;
	struct vapic_message m;
	struct vcpu *v;
	unsigned i;

	if (!decode(address, 0, &m))
		return cpu_id();
	DOMAIN_FOR_EACH_VCPU (d, v, i) {
		if (vlapic_match(v, m.dest, m.logical))
			return READ_ONCE(v->cpu);
	}
	return cpu_id();
}

int vpci_irq_attach(struct vpci_irq *vi, struct vpci_dev *dev, unsigned index,
		    void (*handler)(struct irq *irq), unsigned cpu, struct msi_msg *ret_msg)
{
	int err;

	vi->dev = dev;
	vi->index = (uint16_t)index;
	vi->irq = (struct irq){.handler = handler, .data = vi};
	err = irq_attach(&vi->irq, cpu);
	if (err)
		return err;
	if (ret_msg) {
		err = iommu_msi_map(dev->pci, &vi->irq, ret_msg);
		if (err) {
			irq_detach(&vi->irq);
			return err;
		}
	}
	vi->attached = true;
	return 0;
}

void vpci_irq_detach(struct vpci_irq *vi)
{
	if (!vi->attached)
		return;
	iommu_irq_free(vi->dev->pci, &vi->irq);
	irq_detach(&vi->irq);
	vi->attached = false;
}
