/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains that stop themselves: shutdown, suspend and resume, crash, watchdog. */
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

#include "domain_internal.h"

#define SHUTDOWN_CODE_NONE (~0U)

/* Guards the shutdown state and watchdogs of all domains; below the domain lock, above the scheduler. Interrupts are off
 * under it. It is never held for long, and rarely taken. */
static spinlock_t shutdown_lock = SPINLOCK_INIT;

/* The part of a shutdown that takes locks of event channels: from the main loop. Holds a reference. */
static void shutdown_notify(struct work *w)
{
	struct domain *d = CONTAINER_OF(w, struct domain, shutdown_work);

	if (READ_ONCE(d->shut_down)) {
		uint32_t port = READ_ONCE(d->suspend_port);

		/* First of three messages to the toolstack, see domain.c; who saves the domain has its own channel. */
		if (READ_ONCE(d->shutdown_code) == SHUTDOWN_suspend && port)
			event_send(d, port);
		else
			event_send_hwdom_virq(VIRQ_DOM_EXC);
	}
	domain_put(d);
}

void domain_set_shutdown_code(struct domain *d, unsigned reason)
{
	unsigned long flags = spin_lock_irqsave(&shutdown_lock);

	if (d->shutdown_code == SHUTDOWN_CODE_NONE)
		d->shutdown_code = reason;
	spin_unlock_irqrestore(&shutdown_lock, flags);
}

void domain_shutdown(struct domain *d, unsigned reason)
{
	unsigned long flags;
	struct vcpu *v;
	unsigned i;

	domain_set_shutdown_code(d, reason);
	if (d->hardware)
		arch_machine_shutdown(d->shutdown_code);

	flags = spin_lock_irqsave(&shutdown_lock);
	if (!d->shutting_down) {
		d->shutting_down = true;
		DOMAIN_FOR_EACH_VCPU (d, v, i)
			vcpu_set_flag(v, VPF_DYING);
		d->shut_down = true;
		domain_get(d);
		if (!work_queue(&d->shutdown_work))
			domain_put(d);
	}
	spin_unlock_irqrestore(&shutdown_lock, flags);
}

void domain_resume(struct domain *d)
{
	unsigned long flags;
	struct vcpu *v;
	unsigned i;

	/* Whoever destroys the domain meanwhile stops its vCPUs either after this, or is seen below. */
	spin_lock(&d->lock);
	flags = spin_lock_irqsave(&shutdown_lock);
	d->shutting_down = d->shut_down = false;
	d->shutdown_code = SHUTDOWN_CODE_NONE;
	if (!READ_ONCE(d->dying)) {
		DOMAIN_FOR_EACH_VCPU (d, v, i)
			vcpu_clear_flag(v, VPF_DYING);
	}
	spin_unlock_irqrestore(&shutdown_lock, flags);
	spin_unlock(&d->lock);
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_guest(d, LOG_ERR, "crashed: %s\n", text);
	domain_shutdown(d, SHUTDOWN_crash);
}

/* ---- Watchdogs ---- */

static void watchdog_expired(void *data)
{
	struct domain *d = data;

	if (READ_ONCE(d->shutting_down) || READ_ONCE(d->dying))
		return;
	log_guest(d, LOG_WARN, "watchdog expired\n");
	domain_shutdown(d, SHUTDOWN_watchdog);
}

/* Under the lock. */
static int watchdog_start(struct domain *d, uint64_t deadline)
{
	for (unsigned i = 0; i < DOMAIN_WATCHDOGS; i++) {
		if (d->watchdog_used & BIT32(i))
			continue;
		d->watchdog_used |= BIT32(i);
		timer_set(&d->watchdog[i], deadline);
		return (int)i + 1;
	}
	return -ENOSPC;
}

/* Under the lock. */
static int watchdog_poke(struct domain *d, unsigned i, bool stop, uint64_t deadline)
{
	if (!(d->watchdog_used & BIT32(i)))
		return -EINVAL;
	if (stop) {
		timer_stop(&d->watchdog[i]);
		d->watchdog_used &= ~BIT32(i);
	} else {
		timer_set(&d->watchdog[i], deadline);
	}
	return 0;
}

int domain_watchdog_set(struct domain *d, uint32_t id, uint32_t seconds)
{
	uint64_t deadline = time_now() + seconds * NSEC_PER_SEC;
	unsigned long flags;
	int ret;

	if (id > DOMAIN_WATCHDOGS)
		return -EINVAL;
	flags = spin_lock_irqsave(&shutdown_lock);
	if (d->dying)
		ret = -EINVAL;
	else if (!id)
		ret = watchdog_start(d, deadline);
	else
		ret = watchdog_poke(d, id - 1, !seconds, deadline);
	spin_unlock_irqrestore(&shutdown_lock, flags);
	return ret;
}

void domain_shutdown_init(struct domain *d)
{
	work_init(&d->shutdown_work, shutdown_notify);
	for (unsigned i = 0; i < DOMAIN_WATCHDOGS; i++)
		timer_init(&d->watchdog[i], watchdog_expired, d, cpu_id());
}
