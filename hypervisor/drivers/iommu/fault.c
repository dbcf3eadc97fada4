// SPDX-License-Identifier: GPL-2.0-or-later
// What all IOMMUs do with a refused request: tell about it in bounded quantity, and stop a device that storms.

#include <bulkhead/log.h>
#include <bulkhead/pci.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/time.h>

#include "driver.h"

#define WINDOW		(1 * NSEC_PER_SEC)
#define LINES_IN_WINDOW 10
#define STORM_FAULTS	1000 /* of one source in a window */
#define SOURCES		16   /* observed at a time */

static struct {
	spinlock_t lock;
	uint64_t window_start;
	unsigned lines, suppressed;
	struct source {
		sbdf_t sbdf;
		unsigned faults;
	} sources[SOURCES];
	unsigned source_count;
} state = {.lock = SPINLOCK_INIT};

/* Count within this window, of all faults of the source; a crowd of sources shares the last slot. */
static unsigned count_source(sbdf_t s)
{
	unsigned i;

	for (i = 0; i < state.source_count; i++)
		if (sbdf_eq(state.sources[i].sbdf, s))
			return ++state.sources[i].faults;
	if (i == SOURCES)
		i = SOURCES - 1;
	else
		state.source_count++;
	state.sources[i] = (struct source){.sbdf = s, .faults = 1};
	return 1;
}

static void new_window(uint64_t now)
{
	if (now - state.window_start < WINDOW)
		return;
	if (state.suppressed)
		log_warn("IOMMU fault: %u more were not shown\n", state.suppressed);
	state.window_start = now;
	state.lines = state.suppressed = state.source_count = 0;
}

/* The id may be that of a bridge which speaks for conventional devices below it. */
static void stop_source(sbdf_t source)
{
	struct pci_dev *dev;

	if (pci_find(source))
		pci_stop_dma(source);
	LIST_FOR_EACH (dev, &pci_devices, struct pci_dev, link)
		if (sbdf_eq(dev->dma_alias, source) && !sbdf_eq(dev->sbdf, source))
			pci_stop_dma(dev->sbdf);
}

static bool take_line(void)
{
	if (state.lines < LINES_IN_WINDOW) {
		state.lines++;
		return true;
	}
	state.suppressed++;
	return false;
}

void iommu_report_fault(const struct iommu_fault *f)
{
	static const char *const what[] = {
		[IOMMU_DMA_READ] = "DMA read",
		[IOMMU_DMA_WRITE] = "DMA write",
		[IOMMU_INTERRUPT] = "interrupt",
		[IOMMU_DMA_OTHER] = "request",
	};
	unsigned long flags = spin_lock_irqsave(&state.lock);
	bool show, storm;

	new_window(time_now());
	storm = count_source(f->source) == STORM_FAULTS;
	show = take_line();
	spin_unlock_irqrestore(&state.lock, flags);

	if (show)
		log_warn("IOMMU fault: %s %u: %s by " SBDF_FMT
			 " at 0x%llx refused: reason %u (%s)\n",
			 f->driver, f->unit, what[f->access], SBDF_ARG(f->source),
			 (unsigned long long)f->address, f->reason, f->text);
	if (storm) {
		log_err("IOMMU fault: %s %u: too many by " SBDF_FMT
			": its bus mastering is switched off\n",
			f->driver, f->unit, SBDF_ARG(f->source));
		stop_source(f->source);
	}
}

void iommu_report_overflow(const char *driver, unsigned unit)
{
	unsigned long flags = spin_lock_irqsave(&state.lock);
	bool show;

	new_window(time_now());
	show = take_line();
	spin_unlock_irqrestore(&state.lock, flags);
	if (show)
		log_warn("IOMMU fault: %s %u: more faults than it can record\n", driver, unit);
}
