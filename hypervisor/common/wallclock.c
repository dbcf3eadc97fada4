// SPDX-License-Identifier: GPL-2.0-or-later
// The wall clock in a domain's shared_info page.

#include <bulkhead/domain.h>
#include <bulkhead/time.h>

/* Where 32-bit guests have it: behind two bitmaps of 1024 ports; the upper seconds are the last word of the arch part. */
#define WC_32	     (offsetof(shared_info_t, evtchn_pending) + 2 * 1024 / 8)
#define WC_SEC_HI_32 (WC_32 + 3 * 4 + 6 * 4)

struct wallclock {
	uint32_t *version, *sec, *nsec, *sec_hi;
};

static struct wallclock wallclock_of(const struct domain *d)
{
	shared_info_t *s = d->shared_info;
	uint32_t *w;

	if (!READ_ONCE(d->shared_info_32))
		return (struct wallclock){&s->wc_version, &s->wc_sec, &s->wc_nsec,
					  &s->xen_wc_sec_hi};
	w = (uint32_t *)(void *)((char *)s + WC_32);
	return (struct wallclock){w, w + 1, w + 2, (uint32_t *)(void *)((char *)s + WC_SEC_HI_32)};
}

void domain_wallclock_update(struct domain *d)
{
	struct wallclock w;
	uint64_t sec;
	uint32_t nsec, version;

	time_wallclock_base(&sec, &nsec);
	spin_lock(&d->lock);
	sec += (uint64_t)(int64_t)d->time_offset_seconds;
	if (d->shared_info) {
		w = wallclock_of(d);
		/*
		 * Readers take an odd version, or one that changed while they read, as a sign to try again.
		 * The guest may write here as it likes; it is only its own clock that gets wrong.
		 */
		version = READ_ONCE(*w.version) | 1;
		WRITE_ONCE(*w.version, version);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		WRITE_ONCE(*w.sec, (uint32_t)sec);
		WRITE_ONCE(*w.nsec, nsec);
		WRITE_ONCE(*w.sec_hi, (uint32_t)(sec >> 32));
		__atomic_thread_fence(__ATOMIC_RELEASE);
		WRITE_ONCE(*w.version, version + 1);
	}
	spin_unlock(&d->lock);
}

void domain_wallclock_update_all(void)
{
	struct domain *d;
	unsigned id = 0;

	while (id < DOMID_LIMIT && (d = domain_get_next((domid_t)id)) != NULL) {
		id = d->id + 1U;
		domain_wallclock_update(d);
		domain_put(d);
	}
}
