// SPDX-License-Identifier: GPL-2.0-or-later
// The architecture that host-side unit tests link in place of a machine.
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arch/fake.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/gmap.h>
#include <bulkhead/grant.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/memory.h>
#include <bulkhead/mm.h>
#include <bulkhead/p2m.h>
#include <bulkhead/physmap.h>
#include <bulkhead/pod.h>
#include <bulkhead/sched.h>
#include <bulkhead/time.h>
#include <bulkhead/timer.h>

#define WEAK __attribute__((weak))

/* ---- CPUs ---- */

struct cpu *fake_this_cpu;
bool fake_irqs_off;
struct cpu *cpu_table[MAX_CPUS];
cpumask_t cpu_online;
unsigned cpu_count;
unsigned fake_kicks[MAX_CPUS];
void (*fake_relax)(void);

void fake_cpus_init(unsigned n)
{
	memset(&cpu_online, 0, sizeof(cpu_online));
	for (unsigned i = 0; i < n; i++) {
		struct cpu *c = calloc(1, sizeof(*c));

		c->self = c;
		c->id = i;
		cpu_table[i] = c;
		cpumask_set(&cpu_online, i);
		fake_programmed[i] = TIME_NEVER;
		fake_kicks[i] = 0;
	}
	cpu_count = n;
	fake_this_cpu = cpu_table[0];
	fake_irqs_off = false;
}

void fake_cpus_finish(void)
{
	for (unsigned i = 0; i < cpu_count; i++) {
		/* What stays for the life of a CPU, which ends here only. */
		heap_free(cpu_table[i]->timers);
		heap_free(cpu_table[i]->work);
		heap_free(cpu_table[i]->sched);
		heap_free(cpu_table[i]->idle);
		free(cpu_table[i]);
		cpu_table[i] = NULL;
	}
	fake_this_cpu = NULL;
	cpu_count = 0;
}

void fake_cpu_enter(unsigned cpu)
{
	fake_this_cpu = cpu_table[cpu];
}

void fake_wait(void)
{
	if (!fake_relax)
		panic("waits for something that nobody will do");
	fake_relax();
}

WEAK void arch_cpu_kick(unsigned cpu)
{
	fake_kicks[cpu]++;
}

WEAK void cpu_call_all(void (*fn)(void *arg), void *arg)
{
	struct cpu *here = fake_this_cpu;

	for (unsigned i = 0; i < cpu_count; i++) {
		fake_cpu_enter(i);
		fn(arg);
	}
	fake_this_cpu = here;
}

WEAK bool hypercall_should_yield(void)
{
	return false;
}

/* ---- Time ---- */

uint64_t fake_now;
uint64_t fake_programmed[MAX_CPUS];
unsigned fake_programs;

WEAK uint64_t time_now(void)
{
	return fake_now;
}

WEAK void time_delay_us(unsigned us)
{
	fake_now += USEC(us);
}

WEAK void arch_timer_program(uint64_t deadline)
{
	fake_programmed[cpu_id()] = deadline;
	fake_programs++;
}

/* ---- Log ---- */

WEAK void log_vmsg(enum log_level level, const char *fmt, va_list ap)
{
	if (level <= LOG_WARN && getenv("FAKE_LOG"))
		vfprintf(stderr, fmt, ap);
}

WEAK void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(level, fmt, ap);
	va_end(ap);
}

WEAK void log_guest(const struct domain *d, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	(void)d;
	va_start(ap, fmt);
	log_vmsg(level, fmt, ap);
	va_end(ap);
}

WEAK void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("panic: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

/* ---- Heap ---- */

unsigned fake_heap_live;
int fake_heap_fail_after = -1;

WEAK void *heap_alloc(size_t size)
{
	if (fake_heap_fail_after == 0)
		return NULL;
	if (fake_heap_fail_after > 0)
		fake_heap_fail_after--;
	fake_heap_live++;
	return size >= PAGE_SIZE ? memset(aligned_alloc(PAGE_SIZE, ALIGN_UP(size, PAGE_SIZE)), 0,
					  ALIGN_UP(size, PAGE_SIZE))
				 : calloc(1, size);
}

WEAK void heap_free(void *p)
{
	fake_heap_live -= p != NULL;
	free(p);
}

WEAK void *heap_page_alloc(void)
{
	return heap_alloc(PAGE_SIZE);
}

WEAK void heap_page_free(void *page)
{
	heap_free(page);
}

/* ---- Frames ---- */

WEAK struct page *frame_table;
WEAK uint64_t frame_count;
static uint8_t *frame_memory;

void fake_frames_init(uint64_t n)
{
	frame_table = calloc(n, sizeof(*frame_table));
	frame_memory = aligned_alloc(PAGE_SIZE, n * PAGE_SIZE);
	memset(frame_memory, 0xa5, n * PAGE_SIZE);
	frame_count = n;
	for (uint64_t i = 0; i < n; i++)
		frame_table[i].state = PAGE_FREE;
}

void fake_frames_finish(void)
{
	free(frame_table);
	free(frame_memory);
	frame_table = NULL;
	frame_count = 0;
}

void *fake_frame(mfn_t m)
{
	return frame_memory + mfn_raw(m) * PAGE_SIZE;
}

static bool block_is_free(uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (frame_table[first + i].state != PAGE_FREE)
			return false;
	return true;
}

/* First fit: a test has few frames. */
WEAK mfn_t frames_alloc(unsigned order, unsigned flags)
{
	uint64_t n = BIT(order);

	for (uint64_t m = 0; m + n <= frame_count; m += n) {
		if (!block_is_free(m, n))
			continue;
		for (uint64_t i = 0; i < n; i++)
			frame_table[m + i].state = PAGE_HEAP;
		if (!(flags & ALLOC_NO_SCRUB))
			memset(fake_frame(mfn_from(m)), 0, n * PAGE_SIZE);
		return mfn_from(m);
	}
	return mfn_invalid();
}

WEAK void frames_free(mfn_t first, unsigned order)
{
	for (uint64_t i = 0; i < BIT(order); i++) {
		struct page *pg = mfn_to_page(mfn_add(first, i));

		memset(pg, 0, sizeof(*pg));
		pg->state = PAGE_FREE;
		memset(fake_frame(mfn_add(first, i)), 0xa5, PAGE_SIZE);
	}
}

WEAK uint64_t frames_free_count(void)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < frame_count; i++)
		n += frame_table[i].state == PAGE_FREE;
	return n;
}

WEAK void page_list_init(struct page_list *l)
{
	l->head = l->tail = PAGE_NIL;
	l->count = 0;
}

WEAK void page_list_add(struct page_list *l, struct page *pg)
{
	uint32_t n = (uint32_t)(pg - frame_table);

	pg->next = PAGE_NIL;
	pg->prev = l->tail;
	if (l->tail == PAGE_NIL)
		l->head = n;
	else
		frame_table[l->tail].next = n;
	l->tail = n;
	l->count++;
}

WEAK void page_list_del(struct page_list *l, struct page *pg)
{
	if (pg->prev == PAGE_NIL)
		l->head = pg->next;
	else
		frame_table[pg->prev].next = pg->next;
	if (pg->next == PAGE_NIL)
		l->tail = pg->prev;
	else
		frame_table[pg->next].prev = pg->prev;
	l->count--;
}

WEAK struct page *page_list_first(const struct page_list *l)
{
	return l->head == PAGE_NIL ? NULL : &frame_table[l->head];
}

WEAK void *window_map(mfn_t m)
{
	return fake_frame(m);
}

WEAK void window_unmap(const void *p)
{
	(void)p;
}

WEAK int gmap_create_mfn(struct domain *d, mfn_t m, enum gmap_kind kind, struct gmap **ret_map)
{
	struct gmap *map;

	if (!page_get(m, d))
		return -EINVAL;
	map = heap_alloc(sizeof(*map));
	if (!map) {
		page_put(m);
		return -ENOMEM;
	}
	map->domain = d;
	map->mfn = m;
	map->kind = kind;
	map->ptr = fake_frame(m);
	list_insert_before(&d->gmaps, &map->link);
	*ret_map = map;
	return 0;
}

WEAK int gmap_create(struct domain *d, gfn_t gfn, enum gmap_kind kind, struct gmap **ret_map)
{
	enum p2m_type t;
	mfn_t m = p2m_lookup(d, gfn, &t);

	return mfn_is_invalid(m) ? -EINVAL : gmap_create_mfn(d, m, kind, ret_map);
}

WEAK void gmap_destroy(struct gmap *map)
{
	if (!map)
		return;
	list_remove(&map->link);
	page_put(map->mfn);
	heap_free(map);
}

/* ---- p2m: every gfn below frame_count is the frame of that number ---- */

WEAK int p2m_init(struct domain *d)
{
	(void)d;
	return 0;
}

WEAK int p2m_release(struct domain *d)
{
	(void)d;
	return 0;
}

WEAK mfn_t p2m_lookup(struct domain *d, gfn_t gfn, enum p2m_type *ret_type)
{
	uint64_t n = gfn_raw(gfn);

	if (n >= frame_count || frame_table[n].owner != d->id ||
	    (frame_table[n].state != PAGE_DOMAIN && frame_table[n].state != PAGE_SPECIAL))
		return mfn_invalid();
	*ret_type = frame_table[n].state == PAGE_DOMAIN ? P2M_RAM : P2M_SPECIAL;
	return mfn_from(n);
}

WEAK void pod_init(struct domain *d)
{
	page_list_init(&d->pod.singles);
	page_list_init(&d->pod.blocks);
}

WEAK int pod_release(struct domain *d)
{
	(void)d;
	return 0;
}

WEAK bool pod_reclaim(struct domain *d, mfn_t mfn)
{
	(void)d;
	(void)mfn;
	return false;
}

WEAK int physmap_domain_release(struct domain *d)
{
	(void)d;
	return 0;
}

WEAK void memory_domain_finish(struct domain *d)
{
	(void)d;
}

WEAK bool iommu_present(void)
{
	return false;
}

WEAK int iommu_domain_init(struct domain *d)
{
	(void)d;
	return -ENODEV;
}

WEAK int iommu_domain_release(struct domain *d)
{
	(void)d;
	return 0;
}

/* ---- Guest memory ---- */

uint8_t *fake_guest_memory;
size_t fake_guest_size;

static void *guest_range(uint64_t va, size_t len)
{
	return va <= fake_guest_size && len <= fake_guest_size - va ? fake_guest_memory + va : NULL;
}

WEAK int guest_copy_from(void *dst, uint64_t guest_va, size_t len)
{
	void *p = guest_range(guest_va, len);

	if (!p)
		return -EFAULT;
	if (len)
		memcpy(dst, p, len);
	return 0;
}

WEAK int guest_copy_to(uint64_t guest_va, const void *src, size_t len)
{
	void *p = guest_range(guest_va, len);

	if (!p)
		return -EFAULT;
	if (len)
		memcpy(p, src, len);
	return 0;
}

WEAK int vcpu_copy_to(struct vcpu *v, uint64_t guest_va, const void *src, size_t len)
{
	(void)v;
	return guest_copy_to(guest_va, src, len);
}

WEAK int guest_clear(uint64_t guest_va, size_t len)
{
	void *p = guest_range(guest_va, len);

	if (!p)
		return -EFAULT;
	if (len)
		memset(p, 0, len);
	return 0;
}

WEAK int guest_va_to_gaddr(uint64_t guest_va, bool write, gaddr_t *ret_gaddr)
{
	(void)write;
	if (!guest_range(guest_va, 1))
		return -EFAULT;
	*ret_gaddr = gaddr_from(guest_va);
	return 0;
}

/* ---- Domains and vCPUs ---- */

/* For tests without domain.c: counts, and nothing is freed. */
WEAK void domain_get(struct domain *d)
{
	d->refs++;
}

WEAK void domain_put(struct domain *d)
{
	d->refs--;
}

WEAK void domain_forget(struct domain *d)
{
	d->frames_held--;
}

WEAK struct domain *domain_of_frame(const struct page *pg)
{
	panic("nobody knows domain %u", pg->owner);
}

bool (*fake_has_work)(struct vcpu *);
unsigned fake_machine_shutdown = ~0U;
void *fake_shutdown_jmp;

WEAK int arch_domain_init(struct domain *d, const struct domain_config *cfg)
{
	(void)d;
	(void)cfg;
	return 0;
}

WEAK int arch_domain_release(struct domain *d)
{
	(void)d;
	return 0;
}

WEAK void arch_domain_finish(struct domain *d)
{
	(void)d;
}

WEAK int arch_vcpu_init(struct vcpu *v)
{
	(void)v;
	return 0;
}

WEAK void arch_vcpu_finish(struct vcpu *v)
{
	(void)v;
}

WEAK int arch_vcpu_set_hvm_context(struct vcpu *v, const void *ctx)
{
	(void)ctx;
	if (v->arch.initialised)
		return -EEXIST;
	v->arch.initialised = true;
	return 0;
}

WEAK bool arch_vcpu_is_initialised(const struct vcpu *v)
{
	return v->arch.initialised;
}

WEAK void arch_vcpu_nmi(struct vcpu *v)
{
	v->arch.nmis++;
}

WEAK uint64_t arch_cpu_physid(unsigned cpu)
{
	return (uint64_t)cpu << 32 | cpu * 2;
}

WEAK void arch_machine_shutdown(unsigned reason)
{
	fake_machine_shutdown = reason;
	if (fake_shutdown_jmp)
		longjmp(*(jmp_buf *)fake_shutdown_jmp, 1);
	panic("machine shut down, reason %u", reason);
}

WEAK void arch_vcpu_time_update(struct vcpu *v)
{
	v->arch.time_updates++;
}

WEAK void arch_vcpu_runstate_update(struct vcpu *v)
{
	(void)v;
}

WEAK bool arch_vcpu_has_work(struct vcpu *v)
{
	return fake_has_work && fake_has_work(v);
}

WEAK void arch_vcpu_switch(struct vcpu *prev, struct vcpu *next)
{
	(void)prev;
	(void)next;
}

WEAK void arch_event_upcall(struct vcpu *v)
{
	v->arch.upcalls++;
	vcpu_kick(v);
}
