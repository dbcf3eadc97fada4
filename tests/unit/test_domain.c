// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the life of domains and vCPUs: creation, lookup, shutdown, destruction.
// links: hypervisor/common/domain.c hypervisor/common/domain_vcpu.c hypervisor/common/shutdown.c
// links: hypervisor/common/hypercall_vcpu.c hypervisor/common/runstate.c hypervisor/common/loop.c
// links: hypervisor/common/sched.c hypervisor/common/sched_fair.c hypervisor/common/sched_fair_ctl.c
// links: hypervisor/common/timer.c hypervisor/common/prioq.c hypervisor/common/softirq.c hypervisor/common/work.c
// links: hypervisor/arch/fake/fake.c hypervisor/common/page_owner.c tests/unit/domain_life.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arch/fake.h>
#include <bulkhead/errno.h>

#include "../../hypervisor/common/domain_internal.h"
#include "domain_life.h"

/* ---- Creation and lookup ---- */

static void create_and_kill(void **state)
{
	struct domain *d = life_domain(5, 2);

	(void)state;
	assert_int_equal(d->id, 5);
	assert_false(d->hardware || d->privileged);
	assert_int_equal(d->pause_count, 1);
	assert_int_equal(d->target, DOMID_INVALID);
	assert_non_null(d->shared_info);
	for (unsigned i = 0; i < 20; i++)
		life_ram(d);
	assert_int_equal(d->tot_pages, 20);
	life_kill(d);
	assert_null(domain_get_by_id(5));
	assert_int_equal(frames_free_count(), LIFE_FRAMES);
}

static void create_errors(void **state)
{
	struct domain_config cfg = {.max_vcpus = 1};
	struct domain *d = life_domain(1, 1), *e = NULL;
	struct vcpu *v = NULL;

	(void)state;
	assert_int_equal(domain_create(1, &cfg, &e), -EEXIST);
	assert_int_equal(domain_create(DOMID_FIRST_RESERVED, &cfg, &e), -EINVAL);
	assert_int_equal(domain_create(DOMID_IDLE, &cfg, &e), -EINVAL);
	cfg.max_vcpus = 0;
	assert_int_equal(domain_create(2, &cfg, &e), -EINVAL);
	cfg.max_vcpus = MAX_VCPUS + 1;
	assert_int_equal(domain_create(2, &cfg, &e), -EINVAL);
	assert_null(e);
	assert_int_equal(vcpu_create(d, 0, &v), -EEXIST);
	assert_int_equal(vcpu_create(d, 1, &v), -EINVAL);
	assert_null(v);
	cfg.max_vcpus = MAX_VCPUS;
	assert_int_equal(domain_create(DOMID_FIRST_RESERVED - 1, &cfg, &e), 0);
}

/* Whatever allocation fails, nothing is left behind; life_finish() and the sanitizer look. */
static void create_without_memory(void **state)
{
	struct domain_config cfg = {.max_vcpus = 2, .max_evtchn_port = 1023};
	unsigned parts, failed = 0;
	struct domain *d = NULL;
	struct vcpu *v = NULL;
	uint64_t frames;
	int ret;

	(void)state;
	for (int n = 0;; n++) {
		unsigned live = fake_heap_live;

		fake_heap_fail_after = n;
		ret = domain_create(3, &cfg, &d);
		fake_heap_fail_after = -1;
		if (!ret)
			break;
		failed++;
		assert_int_equal(ret, -ENOMEM);
		life_loop();
		assert_int_equal(fake_heap_live, live);
		assert_int_equal(life_parts, 0);
		assert_int_equal(frames_free_count(), LIFE_FRAMES);
		assert_null(domain_get_by_id(3));
	}
	assert_true(failed >= 5);
	parts = life_parts;
	frames = frames_free_count();
	for (int n = 0;; n++) {
		unsigned live = fake_heap_live;

		fake_heap_fail_after = n;
		ret = vcpu_create(d, 1, &v);
		fake_heap_fail_after = -1;
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(fake_heap_live, live);
		assert_int_equal(life_parts, parts);
		assert_null(d->vcpus[1]);
	}
	assert_ptr_equal(d->vcpus[1], v);
	assert_int_equal(frames_free_count(), frames);
}

static void create_without_frames(void **state)
{
	struct domain_config cfg = {.max_vcpus = 1};
	struct domain *d = NULL;
	mfn_t all[LIFE_FRAMES];

	(void)state;
	for (unsigned i = 0; i < LIFE_FRAMES; i++)
		all[i] = frames_alloc(0, 0);
	assert_int_equal(domain_create(3, &cfg, &d), -ENOMEM);
	assert_null(d);
	for (unsigned i = 0; i < LIFE_FRAMES; i++)
		frames_free(all[i], 0);
}

static void lookup(void **state)
{
	struct domain *d;
	static const domid_t ids[] = {7, 3, 0, 5};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
		life_domain(ids[i], 1);
	assert_ptr_equal(hardware_domain, domain_get_by_id(0));
	assert_true(hardware_domain->hardware && hardware_domain->privileged);
	domain_put(hardware_domain);
	assert_null(domain_get_by_id(4));
	assert_null(domain_get_by_id(DOMID_IDLE));
	d = domain_get_next(4);
	assert_int_equal(d->id, 5);
	assert_int_equal(d->refs, 2);
	domain_put(d);
	d = domain_get_next(7);
	assert_int_equal(d->id, 7);
	domain_put(d);
	assert_null(domain_get_next(8));
	life_start(d);
	assert_ptr_equal(current_domain(), d);
	assert_ptr_equal(domain_get_by_id(DOMID_SELF), d);
	assert_int_equal(d->refs, 2);
	domain_put(d);
	domain_put(NULL);
}

static void permissions(void **state)
{
	struct domain *dom0 = life_domain(0, 1), *a = life_domain(1, 1), *b = life_domain(2, 1);

	(void)state;
	assert_true(may_system(dom0) && !may_system(a));
	assert_true(may_control(dom0, a) && may_control(dom0, dom0));
	assert_false(may_control(a, b) || may_control(a, a));
	assert_true(may_model(dom0, a) && may_model(dom0, dom0));
	assert_false(may_model(a, b) || may_model(a, a) || may_model(a, dom0));
	a->target = 2;
	assert_true(may_model(a, b));
	assert_false(may_model(b, a) || may_model(a, dom0) || may_control(a, b) || may_system(a));
	/* Not over itself by mistake, either. */
	a->target = 1;
	assert_false(may_model(a, a));
}

/* ---- Destruction ---- */

static void kill_goes_by_steps(void **state)
{
	struct domain *d = life_domain(1, 2);
	unsigned calls = 0;
	int ret;

	(void)state;
	life_start(d);
	for (unsigned i = 0; i < 200; i++)
		life_ram(d);
	domain_pause(d);
	life_loop();
	life_restarts = 3;
	life_yield = true;
	domain_get(d);
	while ((ret = domain_kill(d)) == -ERESTART) {
		calls++;
		assert_int_equal(d->dying, DOMAIN_DYING);
		assert_true(calls < 50);
	}
	assert_int_equal(ret, 0);
	/* Three for each of two steps, and 200 frames in batches. */
	assert_true(calls >= 3 + 3 + 3);
	assert_int_equal(d->dying, DOMAIN_DEAD);
	assert_int_equal(d->tot_pages, 0);
	assert_int_equal(seen.dom_exc, 1);
	/* Dead already. */
	assert_int_equal(domain_kill(d), 0);
	assert_int_equal(seen.dom_exc, 1);

	/* A zombie while somebody has a reference. */
	life_loop();
	assert_ptr_equal(domain_get_by_id(1), d);
	domain_put(d);
	life_loop();
	assert_ptr_equal(domain_get_next(0), d);
	domain_put(d);
	assert_int_equal(seen.dom_exc, 1);
	domain_put(d);
	/* Its last reference is gone: nobody gets a new one, though it is still on the list. */
	assert_null(domain_get_by_id(1));
	life_loop();
	assert_null(domain_get_by_id(1));
	assert_int_equal(seen.dom_exc, 2);
}

/* An id is taken until nobody refers to a frame of the domain that had it. */
static void zombie_of_a_mapped_frame(void **state)
{
	struct domain_config cfg = {.max_vcpus = 1, .max_evtchn_port = 1023};
	struct domain *d = life_domain(1, 1), *e;
	mfn_t m = life_ram(d);

	(void)state;
	life_ram(d);
	/* As a mapping in another domain does. */
	assert_true(page_get(m, d));
	life_kill(d);
	assert_int_equal(mfn_to_page(m)->state, PAGE_DOMAIN);
	assert_int_equal(seen.dom_exc, 1);
	assert_false(domain_id_is_free(1));
	assert_int_equal(domain_create(1, &cfg, &e), -EEXIST);
	/* The tools see it, and what it still has. */
	e = domain_get_by_id(1);
	assert_ptr_equal(e, d);
	assert_int_equal(e->dying, DOMAIN_DEAD);
	assert_int_equal(e->tot_pages, 1);
	assert_ptr_equal(domain_of_frame(mfn_to_page(m)), d);
	domain_put(e);
	life_loop();
	assert_int_equal(seen.dom_exc, 1);

	page_put(m);
	assert_int_equal(mfn_to_page(m)->state, PAGE_FREE);
	life_loop();
	life_loop();
	assert_int_equal(seen.dom_exc, 2);
	assert_true(domain_id_is_free(1));
	assert_int_equal(domain_create(1, &cfg, &e), 0);
	assert_int_equal(e->tot_pages, 0);
}

/* Special frames go last: the domain is gone for the tools, but not its id. */
static void id_of_a_mapped_special_frame(void **state)
{
	struct domain_config cfg = {.max_vcpus = 1, .max_evtchn_port = 1023};
	struct domain *d = life_domain(1, 1), *e;
	mfn_t m = d->shared_info_mfn;

	(void)state;
	assert_true(page_get(m, d));
	life_kill(d);
	assert_int_equal(seen.dom_exc, 2);
	assert_null(domain_get_by_id(1));
	assert_null(domain_get_next(0));
	assert_int_equal(mfn_to_page(m)->state, PAGE_SPECIAL);
	assert_false(domain_id_is_free(1));
	assert_int_equal(domain_create(1, &cfg, &e), -EEXIST);
	page_put(m);
	assert_int_equal(mfn_to_page(m)->state, PAGE_FREE);
	life_loop();
	assert_true(domain_id_is_free(1));
	assert_int_equal(domain_create(1, &cfg, &e), 0);
}

/* What a domain gives up is charged to it as long as others use it. */
static void frame_given_up_while_mapped(void **state)
{
	struct domain *d = life_domain(1, 1);
	mfn_t m = life_ram(d);

	(void)state;
	d->max_pages = 1;
	assert_true(page_get(m, d));
	assert_true(domain_frame_release(d, m));
	assert_false(domain_frame_release(d, m));
	assert_int_equal(d->tot_pages, 1);
	assert_int_equal(domain_frames_alloc(d, 0, 0, &m), -ENOMEM);
	page_put(m);
	assert_int_equal(d->tot_pages, 0);
	assert_int_equal(d->refs, 1);
	life_ram(d);
}

static void target_is_not_inherited(void **state)
{
	struct domain *d = life_domain(1, 1), *model = life_domain(2, 1);

	(void)state;
	model->target = 1;
	assert_true(may_model(model, d));
	life_kill(d);
	assert_false(may_model(model, life_domain(1, 1)));
}

static void kill_stops_what_runs(void **state)
{
	struct domain *d = life_domain(1, 1);
	struct vcpu *v = d->vcpus[0];

	(void)state;
	life_start(d);
	assert_ptr_equal(life_loop(), v);
	timer_set(&v->singleshot, fake_now + 100);
	/* Not by itself. */
	assert_int_equal(domain_kill(d), -EINVAL);
	domain_pause(d);
	assert_true(v->is_running);
	life_loop();
	assert_false(v->is_running);
	assert_int_equal(domain_kill(d), 0);
	life_pass(1000);
	assert_int_equal(seen.timer_virqs, 0);
	assert_null(domain_get_by_id(1));
}

static void no_new_parts_while_dying(void **state)
{
	struct domain *d = life_domain(1, 3);
	struct vcpu *v;
	mfn_t m;

	(void)state;
	life_restarts = 1;
	assert_int_equal(domain_kill(d), -ERESTART);
	assert_int_equal(domain_frames_alloc(d, 0, 0, &m), -ENOMEM);
	assert_int_equal(vcpu_register_info(d->vcpus[0], gfn_from(1), 0), -EINVAL);
	assert_int_equal(domain_watchdog_set(d, 0, 1), -EINVAL);
	assert_int_equal(vcpu_create(d, 2, &v), -EEXIST);
	life_restarts = 0;
	while (domain_kill(d))
		;
}

/* The toolstack may ask twice at one time: the second caller comes back until the first one is through. */
static void two_callers_kill_one_after_the_other(void **state)
{
	struct domain *d = life_domain(1, 3);

	(void)state;
	domain_get(d);
	d->being_killed = true; /* another CPU is at it */
	assert_int_equal(domain_kill(d), -ERESTART);
	assert_int_equal(d->dying, DOMAIN_ALIVE);
	d->being_killed = false;
	life_restarts = 1;
	assert_int_equal(domain_kill(d), -ERESTART);
	assert_false(d->being_killed);
	life_restarts = 0;
	assert_int_equal(domain_kill(d), 0);
	assert_int_equal(domain_kill(d), 0);
	assert_int_equal(d->dying, DOMAIN_DEAD);
	domain_put(d);
}

/* ---- Shutdown ---- */

static void shutdown_stops_and_tells(void **state)
{
	struct domain *d = life_domain(1, 2);

	(void)state;
	life_start(d);
	assert_ptr_equal(current_domain(), d);
	fake_irqs_off = true;
	domain_shutdown(d, SHUTDOWN_reboot);
	/* From any context: nothing that needs locks or interrupts happens yet. */
	assert_true(fake_irqs_off);
	fake_irqs_off = false;
	assert_int_equal(seen.dom_exc, 0);
	assert_true(life_loop()->is_idle);
	assert_int_equal(seen.dom_exc, 1);
	assert_true(d->shut_down && d->shutting_down);
	assert_int_equal(d->shutdown_code, SHUTDOWN_reboot);
	/* The first reason counts, and it is told once. */
	domain_shutdown(d, SHUTDOWN_crash);
	life_loop();
	assert_int_equal(d->shutdown_code, SHUTDOWN_reboot);
	assert_int_equal(seen.dom_exc, 1);
	assert_int_equal(d->refs, 1);
}

static void suspend_and_resume(void **state)
{
	struct domain *d = life_domain(1, 2);

	(void)state;
	life_start(d);
	d->suspend_port = 9;
	domain_shutdown(d, SHUTDOWN_suspend);
	assert_true(life_loop()->is_idle);
	/* Who saves it has a channel; the others are not told. */
	assert_int_equal(seen.sends, 1);
	assert_int_equal(seen.send_port, 9);
	assert_int_equal(seen.dom_exc, 0);
	domain_resume(d);
	assert_false(d->shut_down || d->shutting_down);
	assert_int_equal(d->shutdown_code, ~0U);
	assert_ptr_equal(life_loop()->domain, d);

	/* Without a channel, and for other reasons, it is the virtual interrupt. */
	d->suspend_port = 0;
	domain_shutdown(d, SHUTDOWN_suspend);
	life_loop();
	domain_resume(d);
	life_loop();
	assert_int_equal(seen.dom_exc, 1);
	d->suspend_port = 9;
	domain_shutdown(d, SHUTDOWN_poweroff);
	life_loop();
	assert_int_equal(seen.dom_exc, 2);
	assert_int_equal(seen.sends, 1);
}

/* Resumed before the main loop came to tell: there is nothing to tell. */
static void resume_at_once(void **state)
{
	struct domain *d = life_domain(1, 1);

	(void)state;
	life_start(d);
	domain_shutdown(d, SHUTDOWN_suspend);
	domain_resume(d);
	life_loop();
	assert_int_equal(seen.dom_exc, 0);
	domain_shutdown(d, SHUTDOWN_poweroff);
	life_loop();
	assert_int_equal(seen.dom_exc, 1);
	assert_int_equal(d->refs, 1);
}

static const struct domain *resumed;
static unsigned resumed_unlocked, resumed_vcpus;

void arch_vcpu_runstate_update(struct vcpu *v)
{
	if (v->domain != resumed)
		return;
	resumed_vcpus++;
	resumed_unlocked += !spin_is_locked(&resumed->lock);
}

/* A destruction on another CPU, which takes the domain's lock to stop the vCPUs, is not undone for some of them. */
static void resume_keeps_destruction_out(void **state)
{
	struct domain *d = life_domain(1, 2);

	(void)state;
	life_start(d);
	domain_shutdown(d, SHUTDOWN_suspend);
	assert_true(life_loop()->is_idle);
	resumed = d;
	domain_resume(d);
	resumed = NULL;
	assert_int_equal(resumed_vcpus, 2);
	assert_int_equal(resumed_unlocked, 0);
	assert_false(spin_is_locked(&d->lock));
}

static void no_resume_of_the_dying(void **state)
{
	struct domain *d = life_domain(1, 1);

	(void)state;
	life_start(d);
	domain_pause(d);
	life_loop();
	domain_get(d);
	assert_int_equal(domain_kill(d), 0);
	domain_resume(d);
	domain_unpause(d);
	assert_true(life_loop()->is_idle);
	domain_put(d);
}

static void shutdown_code_is_latched(void **state)
{
	struct domain *d = life_domain(1, 1);

	(void)state;
	life_start(d);
	domain_set_shutdown_code(d, SHUTDOWN_crash);
	assert_false(d->shutting_down);
	domain_shutdown(d, SHUTDOWN_poweroff);
	assert_int_equal(d->shutdown_code, SHUTDOWN_crash);
}

static void crash(void **state)
{
	struct domain *d = life_domain(1, 1);

	(void)state;
	life_start(d);
	domain_crash(d, "did %s", "something");
	assert_true(life_loop()->is_idle);
	assert_int_equal(d->shutdown_code, SHUTDOWN_crash);
	assert_int_equal(seen.dom_exc, 1);
}

static void hardware_domain_takes_the_machine_down(void **state)
{
	struct domain *d = life_domain(0, 1);
	jmp_buf back;

	(void)state;
	fake_shutdown_jmp = &back;
	if (!setjmp(back)) {
		domain_shutdown(d, SHUTDOWN_reboot);
		fail();
	}
	fake_shutdown_jmp = NULL;
	assert_int_equal(fake_machine_shutdown, SHUTDOWN_reboot);
}

static void watchdogs(void **state)
{
	struct domain *d = life_domain(1, 1);

	(void)state;
	life_start(d);
	assert_int_equal(domain_watchdog_set(d, 1, 5), -EINVAL);
	assert_int_equal(domain_watchdog_set(d, 3, 5), -EINVAL);
	assert_int_equal(domain_watchdog_set(d, 0, 5), 1);
	assert_int_equal(domain_watchdog_set(d, 0, 30), 2);
	assert_int_equal(domain_watchdog_set(d, 0, 5), -ENOSPC);
	life_pass(4 * NSEC_PER_SEC);
	assert_int_equal(domain_watchdog_set(d, 1, 5), 0);
	life_pass(4 * NSEC_PER_SEC);
	assert_false(d->shutting_down);
	/* Stopped, and free to be taken again. */
	assert_int_equal(domain_watchdog_set(d, 1, 0), 0);
	assert_int_equal(domain_watchdog_set(d, 1, 0), -EINVAL);
	life_pass(10 * NSEC_PER_SEC);
	assert_false(d->shutting_down);
	assert_int_equal(domain_watchdog_set(d, 0, 1), 1);
	life_pass(NSEC_PER_SEC - 1);
	assert_false(d->shutting_down);
	life_pass(1);
	assert_true(d->shut_down);
	assert_int_equal(d->shutdown_code, SHUTDOWN_watchdog);
	assert_int_equal(seen.dom_exc, 1);
	/* The other one changes nothing any more. */
	life_pass(60 * NSEC_PER_SEC);
	assert_int_equal(seen.dom_exc, 1);
}

/* A watchdog that is set when the domain dies goes with it. */
static void watchdog_of_the_dead(void **state)
{
	struct domain *d = life_domain(1, 1);

	(void)state;
	assert_int_equal(domain_watchdog_set(d, 0, 1), 1);
	life_kill(d);
	life_pass(5 * NSEC_PER_SEC);
	assert_int_equal(seen.dom_exc, 2);
}

static struct domain *waited_for;
static uint32_t refs_then;

static void watchdog_is_through(void)
{
	refs_then = waited_for->refs;
	waited_for->watchdog[0].running = false;
}

/* One that expires on another CPU when the domain dies is waited for while it can still take a reference. */
static void watchdog_expires_while_dying(void **state)
{
	struct domain *d = life_domain(1, 1);

	(void)state;
	assert_int_equal(domain_watchdog_set(d, 0, 1), 1);
	d->watchdog[0].running = true;
	waited_for = d;
	refs_then = 0;
	fake_relax = watchdog_is_through;
	life_kill(d);
	fake_relax = NULL;
	assert_int_not_equal(refs_then, 0);
}

/* ---- vcpu_info ---- */

static void info_places(void **state)
{
	struct domain *d = life_domain(1, XEN_LEGACY_MAX_VCPUS + 1);
	struct vcpu *v = d->vcpus[XEN_LEGACY_MAX_VCPUS];

	(void)state;
	assert_ptr_equal(d->vcpus[3]->info, &d->shared_info->vcpu_info[3]);
	assert_ptr_equal(v->info, &v->dummy_info);
}

static void register_info(void **state)
{
	struct domain *d = life_domain(1, 3);
	mfn_t m = life_ram(d);
	gfn_t gfn = gfn_from(mfn_raw(m));
	struct vcpu *v = d->vcpus[0], *w = d->vcpus[1];
	vcpu_info_t *info;

	(void)state;
	assert_int_equal(vcpu_register_info(v, gfn, PAGE_SIZE - sizeof(*info) + 8), -ENXIO);
	assert_int_equal(vcpu_register_info(v, gfn, ~0U), -ENXIO);
	assert_int_equal(vcpu_register_info(v, gfn, 4), -ENXIO);
	assert_int_equal(vcpu_register_info(v, gfn_from(LIFE_FRAMES), 0), -EINVAL);
	assert_int_equal(seen.moved, 0);

	v->info->evtchn_upcall_pending = 1;
	v->info->arch.cr2 = 77;
	assert_int_equal(vcpu_register_info(v, gfn, PAGE_SIZE - sizeof(*info)), 0);
	info = (void *)((char *)fake_frame(m) + PAGE_SIZE - sizeof(*info));
	assert_ptr_equal(v->info, info);
	assert_int_equal(info->evtchn_upcall_pending, 1);
	assert_int_equal(info->arch.cr2, 77);
	assert_int_equal(seen.moved, 1);
	assert_int_equal(v->arch.time_updates, 1);
	assert_int_equal(mfn_to_page(m)->count, 2);
	assert_int_equal(vcpu_register_info(v, gfn, 0), -EINVAL);

	/* Of another one only while it is down. */
	life_start(d);
	assert_int_equal(vcpu_register_info(w, gfn, 0), -EINVAL);
	vcpu_set_flag(w, VPF_DOWN);
	assert_int_equal(vcpu_register_info(w, gfn, 0), 0);
	/* Of itself at any time. */
	v = d->vcpus[2];
	while (current_vcpu() != v)
		life_pass(MSEC(10));
	assert_int_equal(vcpu_register_info(v, gfn, 64), 0);
}

/* From the dummy nothing is taken along. */
static void register_info_of_a_high_vcpu(void **state)
{
	struct domain *d = life_domain(1, XEN_LEGACY_MAX_VCPUS + 1);
	struct vcpu *v = d->vcpus[XEN_LEGACY_MAX_VCPUS];
	mfn_t m = life_ram(d);

	(void)state;
	v->info->arch.cr2 = 77;
	memset(fake_frame(m), 0xff, PAGE_SIZE);
	assert_int_equal(vcpu_register_info(v, gfn_from(mfn_raw(m)), 128), 0);
	assert_int_equal(v->info->arch.cr2, 0);
	assert_int_equal(v->info->evtchn_upcall_pending, 0);
	assert_int_equal(((uint8_t *)fake_frame(m))[127], 0xff);
	assert_int_equal(((uint8_t *)fake_frame(m))[192], 0xff);
}

static void register_info_without_memory(void **state)
{
	struct domain *d = life_domain(1, 1);
	struct vcpu *v = d->vcpus[0];
	mfn_t m = life_ram(d);

	(void)state;
	fake_heap_fail_after = 0;
	assert_int_equal(vcpu_register_info(v, gfn_from(mfn_raw(m)), 0), -ENOMEM);
	fake_heap_fail_after = -1;
	assert_int_equal(mfn_to_page(m)->count, 1);
	assert_ptr_equal(v->info, &d->shared_info->vcpu_info[0]);
}

/* Somebody else looks at it, and lets go in the first turn of the wait. */
static struct vcpu *looked_at;
static unsigned looks;

static void look_and_unlock(void)
{
	assert_non_null(looked_at->info_map);
	assert_ptr_equal(looked_at->info, looked_at->info_map->ptr);
	if (!looks++)
		spin_unlock(&looked_at->domain->lock);
}

/* Control operations may be at it when the domain dies: it would be unmapped under their hands. */
static void info_goes_under_the_lock(void **state)
{
	struct domain *d = life_domain(1, 1);
	struct vcpu *v = d->vcpus[0];
	mfn_t m = life_ram(d);

	(void)state;
	assert_int_equal(vcpu_register_info(v, gfn_from(mfn_raw(m)), 0), 0);
	looked_at = v;
	looks = 0;
	spin_lock(&d->lock);
	fake_relax = look_and_unlock;
	vcpu_unregister_info(v);
	fake_relax = NULL;
	assert_int_equal(looks, 1);
	assert_null(v->info_map);
	assert_ptr_equal(v->info, &d->shared_info->vcpu_info[0]);
	assert_false(spin_is_locked(&d->lock));
}

/* ---- Pausing ---- */

static void created_while_paused(void **state)
{
	struct domain *d = life_domain(1, 2);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(d->vcpus[i]->pause_flags, VPF_DOWN | VPF_PAUSED);
		vcpu_clear_flag(d->vcpus[i], VPF_DOWN);
	}
	assert_true(life_loop()->is_idle);
	domain_unpause(d);
	assert_ptr_equal(life_loop()->domain, d);
}

/* ---- The main loop ---- */

static unsigned expired;

static void expire(void *unused)
{
	(void)unused;
	expired++;
}

/* The interrupt of a deadline does not come: it is seen before the CPU sleeps, and before it enters a guest. */
static void lost_timer_interrupt(void **state)
{
	struct domain *d;
	struct timer t;

	(void)state;
	timer_init(&t, expire, NULL, 0);
	for (unsigned i = 0; i < 2; i++) {
		if (i) {
			d = life_domain(1, 1);
			life_start(d);
			assert_ptr_equal(life_loop(), d->vcpus[0]);
		}
		expired = 0;
		timer_set(&t, fake_now + 5000);
		assert_int_equal(life_loop()->is_idle, !i);
		assert_int_equal(expired, 0);
		fake_now += 5000;
		assert_int_equal(life_loop()->is_idle, !i);
		assert_int_equal(expired, 1);
		assert_int_equal(life_loop()->is_idle, !i);
		assert_int_equal(expired, 1);
	}
	timer_finish(&t);
}

#define T(name) cmocka_unit_test_setup_teardown(name, life_init, life_finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(create_and_kill),
		T(create_errors),
		T(create_without_memory),
		T(create_without_frames),
		T(lookup),
		T(permissions),
		T(kill_goes_by_steps),
		T(zombie_of_a_mapped_frame),
		T(id_of_a_mapped_special_frame),
		T(frame_given_up_while_mapped),
		T(target_is_not_inherited),
		T(kill_stops_what_runs),
		T(no_new_parts_while_dying),
		T(two_callers_kill_one_after_the_other),
		T(shutdown_stops_and_tells),
		T(suspend_and_resume),
		T(resume_at_once),
		T(resume_keeps_destruction_out),
		T(no_resume_of_the_dying),
		T(shutdown_code_is_latched),
		T(crash),
		T(hardware_domain_takes_the_machine_down),
		T(watchdogs),
		T(watchdog_of_the_dead),
		T(watchdog_expires_while_dying),
		T(info_places),
		T(register_info),
		T(register_info_of_a_high_vcpu),
		T(register_info_without_memory),
		T(info_goes_under_the_lock),
		T(created_while_paused),
		T(lost_timer_interrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
