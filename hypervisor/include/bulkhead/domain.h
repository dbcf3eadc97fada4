/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains and their virtual CPUs. */
#ifndef BULKHEAD_DOMAIN_H
#define BULKHEAD_DOMAIN_H

#include <arch/domain.h>
#include <bulkhead/abi.h>
#include <bulkhead/cpu.h>
#include <bulkhead/gmap.h>
#include <bulkhead/list.h>
#include <bulkhead/mm.h>
#include <bulkhead/sched.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/timer.h>
#include <bulkhead/work.h>

#define MAX_VCPUS	    128 /* HVM_MAX_VCPUS of the ABI */
#define DOMID_LIMIT	    0x7ff0
#define DOMAIN_CONSOLE_LINE 120

struct evtchn_domain;
struct evtchn_vcpu;
struct grant_table;
struct iommu_domain;
struct sched_vcpu;
struct sched_domain;

/* Populate-on-demand, see pod.h. */
struct pod {
	/* The cache; page_lock guards it. */
	struct page_list singles, blocks; /* frames, and the first ones of blocks of 2 MiB */
	uint64_t frames;
	/* Where to look for zeros next, a gfn, and how often the end was reached in vain. The domain lock guards them. */
	uint64_t sweep_next;
	unsigned sweep_rounds;
};

enum dying_state {
	DOMAIN_ALIVE,
	DOMAIN_DYING, /* destruction has begun; nothing new may start */
	DOMAIN_DEAD, /* all resources given back; a zombie until the last reference, and with it the last frame, is gone */
};

struct domain {
	domid_t id;
	struct list link; /* domain_list, sorted by id; domain_list_lock */
	uint32_t refs;	  /* see domain_get() */
	/* Special frames that it gave up and others still refer to, and 1 while its parts are there. 0: id is free. */
	uint32_t frames_held;
	bool hardware;	 /* dom0: owns the devices */
	bool privileged; /* may call domctl, sysctl, platform_op … */
	domid_t target;	 /* a device model may act on this one; DOMID_INVALID: none */
	uint8_t handle[16];
	uint32_t create_flags; /* XEN_DOMCTL_CDF_* */
	spinlock_t lock;       /* domain lock: guards what follows unless said otherwise */

	unsigned max_vcpus;
	struct vcpu **vcpus; /* max_vcpus pointers; NULL: not created */

	enum dying_state dying;
	bool being_killed;	/* somebody is in domain_kill() (atomic) */
	bool shutting_down;	/* shutdown requested, vCPUs not all stopped */
	bool shut_down;		/* all vCPUs are stopped */
	unsigned shutdown_code; /* SHUTDOWN_*; ~0U: none */
	unsigned pause_count;	/* toolstack and internal pauses (atomic) */
	unsigned toolstack_pauses;
	bool toolstack_paused; /* toolstack_pauses > 0 */
	bool built;	       /* was unpaused once: its CPU policy is fixed */
	uint32_t suspend_port; /* event channel for suspend, 0: none */
	uint32_t vm_assist;    /* bit mask of VMASST_TYPE_* */
	uint32_t evtchn_upcall_flags;

	/* Memory. page_lock guards lists and counts. */
	spinlock_t page_lock;
	struct page_list pages;	   /* PAGE_DOMAIN frames */
	struct page_list specials; /* PAGE_SPECIAL frames */
	uint64_t tot_pages, max_pages, outstanding_pages, foreign_maps;
	struct pod pod;
	struct memory_domain *memory;  /* memory_map.c's; NULL until needed */
	uint64_t physmap_release_next; /* progress of physmap_domain_release(), a gfn */
	struct list gmaps;	       /* long-lived mappings, gmap.c's lock */
	struct gmap *shared_info_map;
	shared_info_t *shared_info; /* mapped */
	mfn_t shared_info_mfn;
	bool shared_info_32; /* it and vcpu_info have their 32-bit layout: see event_set_compat() */

	uint64_t hvm_params[HVM_NR_PARAMS];
	int64_t time_offset_seconds;

	struct evtchn_domain *events;
	struct grant_table *grants;
	struct iommu_domain *iommu; /* NULL: no device access to its memory */
	struct sched_domain *sched;
	struct domain_access *access; /* domctl_access.c's; NULL: none was given */

	char console_line[DOMAIN_CONSOLE_LINE]; /* what it wrote with console_io since '\n' */
	uint8_t console_used;

	uint64_t log_tokens, log_last; /* rate limit of log_guest(); log.c's */
	uint32_t log_dropped;

	/* watchdog timers of SCHEDOP_watchdog */
	struct timer watchdog[2];
	uint32_t watchdog_used; /* bit mask */

	struct work shutdown_work; /* tells the toolstack, from the main loop */
	struct work free_work;

	struct arch_domain arch;
};

struct vcpu {
	unsigned id;
	struct domain *domain;
	unsigned cpu; /* where it runs or ran last */

	/* Scheduling; written by sched.c. */
	unsigned pause_flags; /* VPF_*; atomic reads anywhere */
	unsigned pause_count;
	bool is_running; /* its state is loaded on v->cpu */
	uint64_t exits;	 /* how often it left its guest; written by the CPU that runs it */
	bool is_idle;
	spinlock_t sched_lock;
	struct sched_vcpu *sched;
	cpumask_t hard_affinity, soft_affinity;
	cpumask_t saved_affinity; /* hard affinity while pinned by sched_pin_override() */
	bool pinned;
	struct vcpu_runstate_info runstate;
	uint32_t poll_port; /* SCHEDOP_poll: port waited for (first), 0 none */
	bool polling;
	struct timer poll_timer;

	/*
	 * Guest-visible areas. `info` always points somewhere valid: own vcpu_info, a slot of shared_info, or dummy. Once the
	 * domain dies its own one goes away: of another domain's vCPU it is used under the domain lock, or under that of a
	 * port that is open, as all ports are closed before.
	 */
	vcpu_info_t *info;
	vcpu_info_t dummy_info;
	struct gmap *info_map;
	uint64_t runstate_gva; /* registered runstate area: guest-linear, 0 none */
	bool runstate_compat;
	uint64_t time_info_gva; /* VCPUOP_register_vcpu_time_memory_area, 0 none */

	struct timer singleshot, periodic;
	uint64_t periodic_period, periodic_last;
	spinlock_t periodic_lock;

	struct evtchn_vcpu *events;
	uint32_t virq_to_evtchn[NR_VIRQS]; /* per-vCPU virqs; global ones on vCPU 0 */
	spinlock_t virq_lock;
	bool fpu_initialised;

	struct arch_vcpu arch;
};

extern struct list domain_list;
extern spinlock_t domain_list_lock;
extern struct domain *hardware_domain; /* dom0, NULL before it exists */

static inline struct vcpu *current_vcpu(void)
{
	return this_cpu()->current;
}
static inline struct domain *current_domain(void)
{
	return this_cpu()->current->domain;
}

#define DOMAIN_FOR_EACH_VCPU(d, v, i)       \
 for ((i) = 0; (i) < (d)->max_vcpus; (i)++) \
  if (((v) = (d)->vcpus[i]) == NULL) {      \
  } else

struct domain_config {
	uint32_t flags; /* XEN_DOMCTL_CDF_* */
	unsigned max_vcpus;
	uint32_t max_evtchn_port;
	uint32_t max_grant_frames, max_maptrack_frames;
	uint32_t emulation_flags; /* XEN_X86_EMU_* */
	uint32_t misc_flags;	  /* XEN_X86_MSR_RELAXED */
	const uint8_t *handle;	  /* 16 bytes or NULL */
};

/* Creates a domain, paused, without vCPUs and memory. Domain 0 becomes the hardware domain. 0, -EEXIST (id in use),
 * -ENOMEM, -EINVAL. The caller owns the one reference, which domain_kill() drops. */
int domain_create(domid_t id, const struct domain_config *cfg, struct domain **ret_d);
int vcpu_create(struct domain *d, unsigned id, struct vcpu **ret_v);
/* Destroys by steps; -ERESTART while there is more to do, 0 when the domain is dead. It is a zombie as long as others
 * have a reference to it or to a frame of it (foreign and grant mappings): it is there for the tools, its id is taken. */
int domain_kill(struct domain *d);
/* The guest asked for it (SCHEDOP_shutdown), or it crashed. Any context. The current vCPU does not enter its guest again
 * if it belongs to d. Does not return if d is the hardware domain. */
void domain_shutdown(struct domain *d, unsigned reason);
void domain_resume(struct domain *d);
/* Crash with a message: the fate of a guest that did what it may not. */
void domain_crash(struct domain *d, const char *fmt, ...) __printf(2, 3);

/* Looks up by id and takes a reference (drop with domain_put); NULL if there is none. DOMID_SELF is understood. */
struct domain *domain_get_by_id(domid_t id);
/* First domain with an id >= id; NULL after the last. */
struct domain *domain_get_next(domid_t id);
void domain_get(struct domain *d);
void domain_put(struct domain *d); /* accepts NULL */
/* False: there is such a domain, or frames of a former one are still in use. */
bool domain_id_is_free(domid_t id);
/* For page_owner.c. Whose frame this is that somebody refers to: that keeps it there, no reference is taken. */
struct domain *domain_of_frame(const struct page *pg);
/* One of frames_held less: the last one makes the id free. */
void domain_forget(struct domain *d);

/* SCHEDOP_shutdown_code: the first reason that was given is what the toolstack sees. */
void domain_set_shutdown_code(struct domain *d, unsigned reason);
/* SCHEDOP_watchdog: id 0 starts one (returns its id), seconds 0 stops it. -EINVAL, -ENOSPC. */
#define DOMAIN_WATCHDOGS 2
int domain_watchdog_set(struct domain *d, uint32_t id, uint32_t seconds);

/* Timers that guests set by vcpu_op and set_timer_op. */
void vcpu_timers_init(struct vcpu *v);
void vcpu_timers_finish(struct vcpu *v);
/* It is to run on this CPU; it leaves it: the periodic timer does not tick, and so wake it, while it does not run. */
void vcpu_timers_enter(struct vcpu *v, unsigned cpu);
void vcpu_timers_leave(struct vcpu *v);

/* VCPUOP_register_vcpu_info and the like, also used by arch code. 0, -ENXIO (does not fit into the page), -EINVAL, -ENOMEM. */
int vcpu_register_info(struct vcpu *v, gfn_t gfn, unsigned offset);

/* Writes the wall clock into shared_info: after it was mapped, and whenever the time was set. */
void domain_wallclock_update(struct domain *d);
void domain_wallclock_update_all(void);

/* Who may do what (one function per operation class; XSM style). True: allowed. */
bool may_control(const struct domain *caller, const struct domain *target); /* domctl on target */
bool may_system(const struct domain *caller); /* sysctl, platform_op, console read */
bool may_model(const struct domain *caller,
	       const struct domain *target); /* device model: dm_op, foreign map */

/* Contract with the architecture. */
int arch_domain_init(struct domain *d, const struct domain_config *cfg);
/* Gives back devices, ioreq servers and the like; all vCPUs are stopped, RAM and p2m are still there. -ERESTART while there
 * is more to do. */
int arch_domain_release(struct domain *d);
void arch_domain_finish(
	struct domain *d); /* this and arch_vcpu_finish(): also after a failed init, or none */
int arch_vcpu_init(struct vcpu *v);
/* VCPUOP_initialise: ctx is a struct vcpu_hvm_context, not checked yet. 0, -EINVAL, -EEXIST (was initialised already). */
int arch_vcpu_set_hvm_context(struct vcpu *v, const void *ctx);
bool arch_vcpu_is_initialised(const struct vcpu *v);
/* VCPUOP_send_nmi. Any context. */
void arch_vcpu_nmi(struct vcpu *v);
/* VCPUOP_get_physid: APIC and ACPI id of the CPU. */
uint64_t arch_cpu_physid(unsigned cpu);
void arch_vcpu_finish(struct vcpu *v);
/* The hardware domain shut down: poweroff, reboot or crash of the machine. */
void arch_machine_shutdown(unsigned reason) __noreturn;
/* Fills v->info->time and, where registered, the copy in the guest (pvclock). */
void arch_vcpu_time_update(struct vcpu *v);

#endif
