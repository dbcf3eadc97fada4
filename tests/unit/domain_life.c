// SPDX-License-Identifier: GPL-2.0-or-later
// Real domains on fake hardware.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/domain_access.h>
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/grant.h>
#include <bulkhead/init.h>
#include <bulkhead/mm_init.h>
#include <bulkhead/work.h>

#include "../../hypervisor/common/sched_fair.h"
#include "domain_life.h"

struct life_seen seen;
unsigned life_restarts, life_parts;
bool life_yield;
uint32_t life_pending_port;

static jmp_buf left_loop;

/* ---- Event channels and grant tables ---- */

static int part_init(void **part)
{
	*part = heap_alloc(16);
	if (!*part)
		return -ENOMEM;
	life_parts++;
	return 0;
}

static void part_finish(void **part)
{
	if (*part)
		life_parts--;
	heap_free(*part);
	*part = NULL;
}

int event_domain_init(struct domain *d, uint32_t max_port)
{
	(void)max_port;
	return part_init((void **)&d->events);
}

int event_domain_close(struct domain *d)
{
	assert_non_null(d->events);
	return ++seen.closes <= life_restarts ? -ERESTART : 0;
}

void event_domain_finish(struct domain *d)
{
	part_finish((void **)&d->events);
}

int event_vcpu_init(struct vcpu *v)
{
	return part_init((void **)&v->events);
}

void event_vcpu_finish(struct vcpu *v)
{
	part_finish((void **)&v->events);
}

/* Nothing was given by domctl. */
void domain_access_finish(struct domain *d)
{
	assert_null(d->access);
}

int grant_domain_init(struct domain *d, uint32_t max_frames, uint32_t max_maptrack)
{
	(void)max_frames;
	(void)max_maptrack;
	return part_init((void **)&d->grants);
}

int grant_domain_release_mappings(struct domain *d)
{
	assert_non_null(d->grants);
	return ++seen.releases <= life_restarts ? -ERESTART : 0;
}

void grant_domain_finish(struct domain *d)
{
	part_finish((void **)&d->grants);
}

void event_send_vcpu_virq(struct vcpu *v, unsigned virq)
{
	assert_int_equal(virq, VIRQ_TIMER);
	seen.timer_virqs++;
	seen.timer_vcpu = v;
	vcpu_kick(v);
}

void event_send_hwdom_virq(unsigned virq)
{
	assert_int_equal(virq, VIRQ_DOM_EXC);
	/* It takes locks of event channels. */
	assert_false(fake_irqs_off);
	seen.dom_exc++;
}

int event_send(struct domain *d, uint32_t port)
{
	(void)d;
	assert_false(fake_irqs_off);
	seen.sends++;
	seen.send_port = port;
	return 0;
}

void event_vcpu_info_moved(struct vcpu *v)
{
	(void)v;
	seen.moved++;
}

int event_port_pending(struct domain *d, uint32_t port)
{
	(void)d;
	return port > 100 ? -EINVAL : port == life_pending_port;
}

void domain_wallclock_update(struct domain *d)
{
	(void)d;
}

bool hypercall_should_yield(void)
{
	return life_yield;
}

/* ---- The CPU ---- */

bool frames_dirty(void)
{
	return false;
}

bool frames_scrub_some(void)
{
	fail();
	return false;
}

void arch_vcpu_run(struct vcpu *v)
{
	assert_true(fake_irqs_off);
	assert_int_equal(this_cpu()->softirqs, 0);
	assert_int_equal(v->pause_flags, 0);
	assert_ptr_equal(v, current_vcpu());
	fake_irqs_off = false;
	longjmp(left_loop, 1);
}

void arch_cpu_idle(void)
{
	assert_true(fake_irqs_off);
	assert_int_equal(this_cpu()->softirqs, 0);
	fake_irqs_off = false;
	longjmp(left_loop, 1);
}

struct vcpu *life_loop(void)
{
	if (!setjmp(left_loop))
		cpu_loop();
	return current_vcpu();
}

void life_pass(uint64_t ns)
{
	uint64_t end = fake_now + ns;

	life_loop();
	while (fake_programmed[0] <= end) {
		fake_now = MAX(fake_now, fake_programmed[0]);
		fake_programmed[0] = TIME_NEVER;
		timer_interrupt();
		life_loop();
	}
	fake_now = end;
}

int64_t life_call(hypercall_fn *fn, bool compat, uint64_t a, uint64_t b, uint64_t c)
{
	struct hypercall hc = {.compat = compat, .args = {a, b, c}};

	return fn(&hc);
}

/* ---- Domains ---- */

int life_init(void **state)
{
	(void)state;
	fake_cpus_init(1);
	fake_frames_init(LIFE_FRAMES);
	fake_guest_size = 3 * PAGE_SIZE;
	fake_guest_memory = calloc(1, fake_guest_size);
	fake_now = 1000;
	fake_heap_fail_after = -1;
	memset(&seen, 0, sizeof(seen));
	life_restarts = 0;
	life_yield = false;
	life_pending_port = 0;
	assert_int_equal(timer_cpu_init(0), 0);
	assert_int_equal(work_cpu_init(0), 0);
	assert_int_equal(sched_init(), 0);
	life_loop();
	return 0;
}

int life_finish(void **state)
{
	struct domain *d;

	(void)state;
	fake_heap_fail_after = -1;
	life_restarts = 0;
	life_yield = false;
	/* The last one as well: it runs no more. */
	for (domid_t id = 0; (d = domain_get_next(id)) != NULL;) {
		id = d->id + 1;
		domain_pause(d);
		life_loop();
		if (d->dying != DOMAIN_DEAD)
			assert_int_equal(domain_kill(d), 0);
		domain_put(d);
	}
	hardware_domain = NULL;
	life_loop();
	life_loop();
	assert_true(list_empty(&domain_list));
	assert_int_equal(frames_free_count(), LIFE_FRAMES);
	assert_int_equal(life_parts, 0);
	heap_free(fair_groups[0]);
	fair_groups[0] = NULL;
	fake_cpus_finish();
	fake_frames_finish();
	free(fake_guest_memory);
	fake_guest_memory = NULL;
	fake_guest_size = 0;
	assert_int_equal(fake_heap_live, 0);
	return 0;
}

struct domain *life_domain(domid_t id, unsigned vcpus)
{
	struct domain_config cfg = {.max_vcpus = vcpus, .max_evtchn_port = 1023};
	struct domain *d;
	struct vcpu *v;

	assert_int_equal(domain_create(id, &cfg, &d), 0);
	d->max_pages = LIFE_FRAMES;
	for (unsigned i = 0; i < vcpus; i++)
		assert_int_equal(vcpu_create(d, i, &v), 0);
	return d;
}

void life_start(struct domain *d)
{
	struct vcpu *v;
	unsigned i;

	DOMAIN_FOR_EACH_VCPU (d, v, i) {
		v->arch.initialised = true;
		vcpu_clear_flag(v, VPF_DOWN);
	}
	domain_unpause(d);
	life_loop();
}

void life_kill(struct domain *d)
{
	domain_pause(d);
	life_loop();
	assert_int_equal(domain_kill(d), 0);
	life_loop();
	life_loop();
}

mfn_t life_ram(struct domain *d)
{
	mfn_t m;

	assert_int_equal(domain_frames_alloc(d, 0, 0, &m), 0);
	return m;
}
