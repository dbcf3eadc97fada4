/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ticket spinlocks, and locks of readers and writers. Locks taken in interrupt handlers are taken with the _irqsave forms
 * everywhere.
 */
#ifndef BULKHEAD_SPINLOCK_H
#define BULKHEAD_SPINLOCK_H

#include <arch/cpu.h>
#include <bulkhead/compiler.h>

/*
 * Lock order: docs/locking.md.
 */
typedef struct {
	uint32_t next, owner;
} spinlock_t;

#define SPINLOCK_INIT \
 {                    \
  0, 0                \
 }

static inline void spin_init(spinlock_t *l)
{
	l->next = l->owner = 0;
}
static inline bool spin_trylock(spinlock_t *l)
{
	uint32_t owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);

	return __atomic_compare_exchange_n(&l->next, &owner, owner + 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}
static inline void spin_lock(spinlock_t *l)
{
	uint32_t ticket;

	/*
	 * CPUs that are threads of an emulator are stopped at any moment. In a queue all others would wait for the very one
	 * whose turn it is; so whoever runs takes the lock.
	 */
	if (arch_cpus_may_stop()) {
		while (!spin_trylock(l))
			arch_cpu_relax();
		return;
	}
	ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
		arch_cpu_relax();
}
static inline void spin_unlock(spinlock_t *l)
{
	__atomic_store_n(&l->owner, l->owner + 1, __ATOMIC_RELEASE);
}
static inline bool spin_is_locked(const spinlock_t *l)
{
	return __atomic_load_n(&l->owner, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&l->next, __ATOMIC_RELAXED);
}
static inline unsigned long spin_lock_irqsave(spinlock_t *l)
{
	unsigned long flags = arch_irq_save();

	spin_lock(l);
	return flags;
}
static inline void spin_unlock_irqrestore(spinlock_t *l, unsigned long flags)
{
	spin_unlock(l);
	arch_irq_restore(flags);
}

/*
 * Any number of readers, or one writer. A writer that waits keeps new readers away: who reads must not take the lock again.
 * Not for interrupt handlers.
 */
typedef struct {
	spinlock_t writers; /* one at a time */
	uint32_t state;	    /* RW_WRITER, and RW_READER for each reader */
} rwlock_t;

#define RW_WRITER 1U
#define RW_READER 2U

static inline void rw_init(rwlock_t *l)
{
	spin_init(&l->writers);
	l->state = 0;
}
static inline void read_lock(rwlock_t *l)
{
	uint32_t s = __atomic_load_n(&l->state, __ATOMIC_RELAXED);

	for (;;) {
		if (s & RW_WRITER) {
			arch_cpu_relax();
			s = __atomic_load_n(&l->state, __ATOMIC_RELAXED);
		} else if (__atomic_compare_exchange_n(&l->state, &s, s + RW_READER, true,
						       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			return;
		}
	}
}
static inline void read_unlock(rwlock_t *l)
{
	__atomic_fetch_sub(&l->state, RW_READER, __ATOMIC_RELEASE);
}
static inline void write_lock(rwlock_t *l)
{
	spin_lock(&l->writers);
	__atomic_fetch_or(&l->state, RW_WRITER, __ATOMIC_ACQUIRE);
	while (__atomic_load_n(&l->state, __ATOMIC_ACQUIRE) != RW_WRITER)
		arch_cpu_relax();
}
static inline void write_unlock(rwlock_t *l)
{
	__atomic_store_n(&l->state, 0, __ATOMIC_RELEASE);
	spin_unlock(&l->writers);
}

#endif
