/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Debug keys: what the hypervisor prints of its state when asked. */
#include <bulkhead/control.h>
#include <bulkhead/debug_keys.h>
#include <bulkhead/domain.h>
#include <bulkhead/log.h>
#include <bulkhead/p2m.h>

static void key_help(void);

/* Calls fn for each domain in turn, with a reference. */
static void each_domain(void (*fn)(struct domain *d))
{
	struct domain *d;
	unsigned id = 0;

	while (id < DOMID_LIMIT && (d = domain_get_next((domid_t)id)) != NULL) {
		id = d->id + 1U;
		fn(d);
		domain_put(d);
	}
}

static void print_vcpu(struct vcpu *v)
{
	struct domain *d = v->domain;
	unsigned pending, masked;

	spin_lock(&d->lock);
	pending = READ_ONCE(v->info->evtchn_upcall_pending);
	masked = READ_ONCE(v->info->evtchn_upcall_mask);
	spin_unlock(&d->lock);
	log_info("  vCPU %u: CPU %u%s, exits %lu, pause flags 0x%x, upcall pending %u masked %u\n",
		 v->id, READ_ONCE(v->cpu), READ_ONCE(v->is_running) ? " (running)" : "",
		 READ_ONCE(v->exits), READ_ONCE(v->pause_flags), pending, masked);
}

static void print_domain(struct domain *d)
{
	struct vcpu *v;
	unsigned i;

	log_info("domain %u: refs %u, %s%s%s, pauses %u, shutdown code %d\n", d->id,
		 READ_ONCE(d->refs),
		 d->dying == DOMAIN_ALIVE   ? "alive"
		 : d->dying == DOMAIN_DYING ? "dying"
					    : "dead",
		 d->hardware ? ", hardware" : "", d->shut_down ? ", shut down" : "",
		 READ_ONCE(d->pause_count), (int)d->shutdown_code);
	log_info("  pages %lu of at most %lu, %lu special, table pool %lu, foreign maps %lu\n",
		 d->tot_pages, d->max_pages, d->specials.count, p2m_pool_get(d), d->foreign_maps);
	if (p2m_pod_entries(d))
		log_info("  on demand: %lu pages to come, %lu in the cache\n", p2m_pod_entries(d),
			 d->pod.frames);
	DOMAIN_FOR_EACH_VCPU (d, v, i)
		print_vcpu(v);
}

static void key_domains(void)
{
	each_domain(print_domain);
}

static void key_memory(void)
{
	log_info("memory: %lu pages, %lu free, %lu KiB heap, %lu KiB of it in use\n",
		 frames_total(), frames_free_count(), heap_bytes() >> 10, heap_bytes_used() >> 10);
}

static uint64_t ms(uint64_t ns)
{
	return ns / MSEC(1);
}

static void print_runstates(struct domain *d)
{
	struct vcpu *v;
	unsigned i;

	DOMAIN_FOR_EACH_VCPU (d, v, i) {
		struct vcpu_runstate_info r;

		vcpu_runstate_get(v, &r);
		log_info(
			"  d%uv%u: state %d, running %lu ms, runnable %lu, blocked %lu, offline %lu\n",
			d->id, i, r.state, ms(r.time[RUNSTATE_running]),
			ms(r.time[RUNSTATE_runnable]), ms(r.time[RUNSTATE_blocked]),
			ms(r.time[RUNSTATE_offline]));
	}
}

static void key_scheduler(void)
{
	log_info("scheduler: %s, %u CPUs, now %lu ns\n", sched_policy_name(), cpu_count,
		 time_now());
	each_domain(print_runstates);
}

static void print_registers(struct domain *d)
{
	struct vcpu *v;
	unsigned i;

	DOMAIN_FOR_EACH_VCPU (d, v, i)
		arch_vcpu_log(v);
}

static void key_registers(void)
{
	each_domain(print_registers);
}

static const struct {
	char key;
	const char *what;
	void (*fn)(void);
} keys[] = {
	{'h', "this list", key_help},
	{'m', "memory", key_memory},
	{'q', "domains and vCPUs", key_domains},
	{'v', "registers of vCPUs", key_registers},
	{'r', "scheduler and run states", key_scheduler},
};

static void key_help(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		log_info("key '%c': %s\n", keys[i].key, keys[i].what);
}

void debug_key(char key)
{
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].key == key) {
			log_info("'%c' pressed: %s\n", key, keys[i].what);
			keys[i].fn();
			return;
		}
	}
	/* It may be any byte. */
	log_info("debug key 0x%x does nothing; 'h' shows a list\n", (unsigned char)key);
}
