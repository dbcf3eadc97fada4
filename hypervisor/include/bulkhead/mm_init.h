/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory set-up at boot, in this order: heap_init, frame table (arch), frames_init, frames_account, frames_add. */
#ifndef BULKHEAD_MM_INIT_H
#define BULKHEAD_MM_INIT_H

#include <bulkhead/addr.h>

#define SCRUB_ORDER 6U /* frames that one step of idle scrubbing cleans: 256 KiB */

/* The first heap chunk: 2 MiB of machine memory, aligned, already mapped at its heap address. */
void heap_init(paddr_t chunk);
/* From now on the heap gives chunks back that nobody uses; after work_cpu_init(). */
void heap_trim_init(void);

void frames_init(void);
/* RAM of the machine, whether free or not: for the totals. */
void frames_account(mfn_t first, uint64_t count);
/* Gives frames (which have descriptors) to the allocator: as dirty ones, unless frames_boot_dirty is false. */
extern bool frames_boot_dirty;
void frames_add(mfn_t first, uint64_t count);
/* Also what nobody has used since boot is to be cleaned in idle time (`bootscrub=idle`). */
void frames_scrub_all(void);
bool frames_dirty(void); /* is there something to clean in idle time? */
/* Cleans one dirty piece; false when there is nothing to do. For the idle loop. */
bool frames_scrub_some(void);

/* Contract with the architecture: map 2 MiB of the heap, writable, NX. Must not allocate. 0 or -ENOMEM. */
int arch_heap_map(paddr_t chunk);
/* The heap has free pages again: set aside what the next arch_heap_map() may need. */
void arch_heap_grown(void);
/* Ends such a mapping; CPUs may still know it until arch_heap_flush(), which needs interrupts on and no lock held. */
void arch_heap_unmap(paddr_t chunk);
void arch_heap_flush(void);

#endif
