// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI: the MSI capability (PCI Local Bus 3.0, 6.8.1).

#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "vpci_priv.h"

#define MSI_CONTROL	 2
#define MSI_ADDRESS	 4
#define MSI_ADDRESS_HIGH 8
#define MSI_DATA_32	 8
#define MSI_DATA_64	 12
#define MSI_MASK_32	 12
#define MSI_MASK_64	 16

#define CONTROL_ENABLE	  0x0001U
#define CONTROL_OFFERED	  0x000eU /* log2 of the messages that the device can send */
#define CONTROL_ALLOCATED 0x0070U /* log2 of those that software has given it */
#define CONTROL_64	  0x0080U
#define CONTROL_MASKABLE  0x0100U
#define MAX_LOG2	  5

/* The device puts the number of the message into the low bits of the data; so does this for the guest's. */
static void msi_fire(struct irq *irq)
{
	struct vpci_irq *vi = irq->data;
	const struct vpci_msi *msi = &vi->dev->msi;
	uint32_t data = READ_ONCE(msi->data);
	uint32_t low = (1U << READ_ONCE(msi->log2)) - 1;

	vpci_deliver(vi->dev, READ_ONCE(msi->address), (data & ~low) | (vi->index & low));
}

static uint32_t hw_control(const struct vpci_dev *dev)
{
	return vpci_hw_read(dev, dev->msi.pos + MSI_CONTROL, 2);
}

static void hw_disable(struct vpci_dev *dev)
{
	uint32_t control = hw_control(dev);

	if (!(control & CONTROL_ENABLE))
		return;
	vpci_hw_write(dev, dev->msi.pos + MSI_CONTROL, 2, control & ~CONTROL_ENABLE);
	/* The answer to a read pushes messages before it that were sent already (PCIe Base 5.0, 2.4.1). */
	(void)hw_control(dev);
}

static void detach_all(struct vpci_dev *dev)
{
	struct vpci_msi *msi = &dev->msi;

	while (msi->attached)
		vpci_irq_detach(&msi->irqs[--msi->attached]);
}

static int attach_all(struct vpci_dev *dev, struct msi_msg *ret_msg)
{
	struct vpci_msi *msi = &dev->msi;
	unsigned count = 1U << msi->log2, cpu = vpci_target_cpu(dev, msi->address);
	struct irq *irqs[VPCI_MAX_MSI];
	int err;

	while (msi->attached < count) {
		struct vpci_irq *vi = &msi->irqs[msi->attached];

		err = vpci_irq_attach(vi, dev, msi->attached, msi_fire, cpu,
				      count == 1 ? ret_msg : NULL);
		if (err)
			goto err_detach;
		irqs[msi->attached++] = &vi->irq;
	}
	if (count > 1) {
		err = iommu_msi_map_multi(dev->pci, irqs, count, ret_msg);
		if (err)
			goto err_detach;
	}
	return 0;

err_detach:
	detach_all(dev);
	return err;
}

/* Programs the device; it may have been reset since the last time, so that everything is written. */
static void msi_enable(struct vpci_dev *dev)
{
	struct vpci_msi *msi = &dev->msi;
	unsigned pos = msi->pos;
	uint32_t control;
	int err;

	hw_disable(dev);
	if (!msi->attached) {
		err = attach_all(dev, &msi->hw);
		if (err) {
			log_guest(dev->vpci->domain, LOG_WARN,
				  "PCI " SBDF_FMT ": no interrupts for MSI: error %d\n",
				  SBDF_ARG(dev->pci->sbdf), err);
			return;
		}
	}
	vpci_hw_write(dev, pos + MSI_ADDRESS, 4, (uint32_t)msi->hw.address);
	if (msi->is64)
		vpci_hw_write(dev, pos + MSI_ADDRESS_HIGH, 4, (uint32_t)(msi->hw.address >> 32));
	vpci_hw_write(dev, msi->data_reg, 2, msi->hw.data);
	if (msi->maskable)
		vpci_hw_write(dev, msi->mask_reg, 4, msi->mask);
	control = hw_control(dev) & ~CONTROL_ALLOCATED;
	vpci_hw_write(dev, pos + MSI_CONTROL, 2,
		      control | (uint32_t)msi->log2 << 4 | CONTROL_ENABLE);
}

static uint32_t control_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	const struct vpci_msi *msi = &dev->msi;
	uint32_t hw = vpci_hw_read(dev, reg->off, 2) &
		      ~(CONTROL_ENABLE | CONTROL_OFFERED | CONTROL_ALLOCATED);

	return hw | (msi->enabled ? CONTROL_ENABLE : 0) | (uint32_t)msi->max_log2 << 1 |
	       (uint32_t)msi->log2 << 4;
}

static int control_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	struct vpci_msi *msi = &dev->msi;
	uint8_t log2 = (uint8_t)MIN((value & CONTROL_ALLOCATED) >> 4, (uint32_t)msi->max_log2);
	bool enable = value & CONTROL_ENABLE;

	(void)reg;
	if (msi->enabled && (!enable || log2 != msi->log2)) {
		hw_disable(dev);
		detach_all(dev);
	}
	msi->log2 = log2;
	msi->enabled = enable;
	if (enable)
		msi_enable(dev);
	return 0;
}

static uint32_t address_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	return (uint32_t)(dev->msi.address >> reg->arg);
}

/* reg->arg: 0 for the low, 32 for the high half. The host's vector stays where it is. */
static int address_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	uint64_t keep = dev->msi.address & ~(0xffffffffULL << reg->arg);

	if (reg->arg == 0)
		value &= ~3U;
	WRITE_ONCE(dev->msi.address, keep | (uint64_t)value << reg->arg);
	return 0;
}

static uint32_t data_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	(void)reg;
	return dev->msi.data;
}

static int data_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	(void)reg;
	WRITE_ONCE(dev->msi.data, value);
	return 0;
}

static uint32_t mask_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	(void)reg;
	return dev->msi.mask;
}

static int mask_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	dev->msi.mask = value;
	vpci_hw_write(dev, reg->off, 4, value);
	return 0;
}

static int registers(struct vpci_dev *dev)
{
	const struct vpci_msi *msi = &dev->msi;
	unsigned pos = msi->pos;
	int err;

	err = vpci_reg_add(dev, pos + MSI_CONTROL, 2, control_read, control_write, 0);
	if (!err)
		err = vpci_reg_add(dev, pos + MSI_ADDRESS, 4, address_read, address_write, 0);
	if (!err && msi->is64)
		err = vpci_reg_add(dev, pos + MSI_ADDRESS_HIGH, 4, address_read, address_write, 32);
	if (!err)
		err = vpci_reg_add(dev, msi->data_reg, 2, data_read, data_write, 0);
	if (!err && msi->maskable)
		err = vpci_reg_add(dev, msi->mask_reg, 4, mask_read, mask_write, 0);
	return err;
}

int vpci_msi_init(struct vpci_dev *dev)
{
	struct vpci_msi *msi = &dev->msi;
	unsigned pos = pci_find_capability(dev->pci->sbdf, PCI_CAP_ID_MSI), limit;
	uint32_t control;

	if (!pos || !vpci_policy_shows(dev->vpci->policy, PCI_CAP_ID_MSI))
		return 0;
	msi->pos = (uint16_t)pos;
	hw_disable(dev);
	control = hw_control(dev);
	msi->is64 = control & CONTROL_64;
	msi->maskable = control & CONTROL_MASKABLE;
	msi->data_reg = (uint16_t)(pos + (msi->is64 ? MSI_DATA_64 : MSI_DATA_32));
	msi->mask_reg = (uint16_t)(pos + (msi->is64 ? MSI_MASK_64 : MSI_MASK_32));
	/*
	 * Several messages have consecutive data, thus consecutive vectors on one CPU; only remapping makes them
	 * independent. Without it one message is all that is offered.
	 */
	limit = iommu_intremap() ? dev->vpci->policy->max_msi : 1;
	msi->max_log2 = (uint8_t)MIN((control & CONTROL_OFFERED) >> 1, MAX_LOG2);
	while (msi->max_log2 && 1U << msi->max_log2 > limit)
		msi->max_log2--;
	if (msi->maskable)
		msi->mask = vpci_hw_read(dev, msi->mask_reg, 4);
	msi->irqs = heap_alloc(sizeof(*msi->irqs) << msi->max_log2);
	if (!msi->irqs)
		return -ENOMEM;
	return registers(dev);
}

void vpci_msi_finish(struct vpci_dev *dev)
{
	struct vpci_msi *msi = &dev->msi;

	if (!msi->pos)
		return;
	hw_disable(dev);
	detach_all(dev);
	heap_free(msi->irqs);
	msi->irqs = NULL;
}
