// SPDX-License-Identifier: GPL-2.0-or-later
// The wall clock in a domain's shared_info page.

#include <bulkhead/domain.h>
#include <bulkhead/time.h>

void domain_wallclock_update(struct domain *d)
{
	shared_info_t *s;
	uint64_t sec;
	uint32_t nsec, version;

	time_wallclock_base(&sec, &nsec);
	spin_lock(&d->lock);
	sec += (uint64_t)(int64_t)d->time_offset_seconds;
	s = d->shared_info;
	if (s) {
		/*
		 * Readers take an odd version, or one that changed while they read, as a sign to try again.
		 * The guest may write here as it likes; it is only its own clock that gets wrong.
		 */
		version = READ_ONCE(s->wc_version) | 1;
		WRITE_ONCE(s->wc_version, version);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		WRITE_ONCE(s->wc_sec, (uint32_t)sec);
		WRITE_ONCE(s->wc_nsec, nsec);
		WRITE_ONCE(s->xen_wc_sec_hi, (uint32_t)(sec >> 32));
		__atomic_thread_fence(__ATOMIC_RELEASE);
		WRITE_ONCE(s->wc_version, version + 1);
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
