/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks of guest page tables (APM vol. 2 chapter 5). */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/guest_walk.h>
#include <arch/p2m.h>
#include <arch/paging.h>
#include <arch/registers.h>
#include <arch/vcpu.h>
#include <arch/vendor.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>

#define PTE32_LARGE_MASK      0xffc00000UL
/* Fields that have to be zero (APM 5.2.3, 5.3.3, 5.3.4). */
#define PTE32_LARGE_RESERVED  BIT(21)
#define PAE_TOP_RESERVED      0x1c6UL /* and bit 5: see walk_pae_or_long */
#define PAE_HIGH_RESERVED     0x7ff0000000000000UL
#define LARGE_RESERVED(shift) ((BIT(shift) - 1) & ~0x1fffUL) /* bit 12 is PAT's */
#define PTE_PKEY_SHIFT	      59
#define PKRU_ACCESS_DISABLE   1U
#define PKRU_WRITE_DISABLE    2U

#define LEVELS_MAX 5
/* Another vCPU changes its tables while they are walked: no more than so often, the guest has only itself to blame. */
#define TRIES	   8

struct walk {
	struct domain *d;
	uint64_t cr0, cr4, efer, cr3;
	bool user, write, fetch;
	bool smap;     /* it must not reach user pages: SMAP holds for this access */
	bool pk;       /* protection keys are on */
	uint32_t pkru; /* if so */
	unsigned size; /* of an entry */

	/* The entries that were used, from the top. */
	unsigned count;
	struct used {
		uint64_t addr, value;
		bool has_accessed;
	} used[LEVELS_MAX];

	uint64_t ret;  /* guest-physical address */
	uint32_t code; /* of the page fault */
};

/* The frame that holds an entry, mapped; NULL if there is none, or it may not be written. Under the p2m lock. */
static void *entry_map(struct domain *d, uint64_t addr, bool write)
{
	enum p2m_type t;
	mfn_t m = p2m_lookup_locked(d, gaddr_to_gfn(gaddr_from(addr)), &t);

	if (mfn_is_invalid(m) || !p2m_type_is_mappable(t) || !mfn_valid(m) ||
	    (write && (t == P2M_RAM_RO || t == P2M_GRANT_RO)))
		return NULL;
	return (char *)window_map(m) + (addr & ~PAGE_MASK);
}

/* Reads an entry, in one access as other vCPUs may write it; it becomes the last one used. False: not present. */
static bool entry_read(struct walk *w, uint64_t addr, bool has_accessed, uint64_t *ret)
{
	void *p = entry_map(w->d, addr, false);

	if (!p)
		return false;
	*ret = w->size == 8 ? __atomic_load_n((uint64_t *)p, __ATOMIC_RELAXED)
			    : __atomic_load_n((uint32_t *)p, __ATOMIC_RELAXED);
	window_unmap(p);
	w->used[w->count++] = (struct used){addr, *ret, has_accessed};
	return *ret & PTE_PRESENT;
}

/* Sets bits of an entry unless it was changed since it was read: then false. */
static bool entry_set(const struct walk *w, const struct used *u, uint64_t bits)
{
	void *p = entry_map(w->d, u->addr, true);
	uint64_t old = u->value;
	uint32_t old32 = (uint32_t)u->value;
	bool done;

	/* In memory that cannot be written they cannot be set; the CPU would fault for ever. */
	if (!p)
		return true;
	if (w->size == 8)
		done = __atomic_compare_exchange_n((uint64_t *)p, &old, old | bits, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	else
		done = __atomic_compare_exchange_n((uint32_t *)p, &old32, old32 | (uint32_t)bits,
						   false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	window_unmap(p);
	return done;
}

/* Accessed in all entries that led there, dirty in the last (5.4.1). False: start over, the tables have changed. */
static bool set_accessed_dirty(const struct walk *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		const struct used *u = &w->used[i];
		uint64_t bits = PTE_ACCESSED;

		if (!u->has_accessed)
			continue;
		if (w->write && i == w->count - 1)
			bits |= PTE_DIRTY;
		if ((u->value & bits) != bits && !entry_set(w, u, bits))
			return false;
	}
	return true;
}

/* ---- Rights ---- */

static int fault(struct walk *w, uint32_t code)
{
	w->code = code | (w->write ? PFEC_WRITE : 0) | (w->user ? PFEC_USER : 0);
	if (w->fetch && ((w->efer & X86_EFER_NX) || (w->cr4 & X86_CR4_SMEP)))
		w->code |= PFEC_FETCH;
	return -EFAULT;
}

/* Checks the rights that all levels together give (5.6); `leaf` is the last entry. */
static int check_rights(struct walk *w, uint64_t rights, bool nx, uint64_t leaf)
{
	bool user_page = rights & PTE_USER, wp = w->user || (w->cr0 & X86_CR0_WP);
	uint32_t key;

	if (w->user && !user_page)
		return fault(w, PFEC_PRESENT);
	if (w->write && !(rights & PTE_WRITE) && wp)
		return fault(w, PFEC_PRESENT);
	if (w->fetch) {
		if (nx || (!w->user && user_page && (w->cr4 & X86_CR4_SMEP)))
			return fault(w, PFEC_PRESENT);
		return 0;
	}
	if (user_page && w->smap)
		return fault(w, PFEC_PRESENT);
	if (user_page && w->pk) {
		key = w->pkru >> (leaf >> PTE_PKEY_SHIFT & 15) * 2;
		if ((key & PKRU_ACCESS_DISABLE) || (w->write && wp && (key & PKRU_WRITE_DISABLE)))
			return fault(w, PFEC_PRESENT | PFEC_PK);
	}
	return 0;
}

/* ---- Formats ---- */

static int walk_legacy(struct walk *w, uint64_t va)
{
	uint64_t pde, pte;
	int err;

	w->size = 4;
	if (!entry_read(w, (w->cr3 & 0xfffff000) + (va >> 22 & 1023) * 4, true, &pde))
		return fault(w, 0);
	if ((pde & PTE_LARGE) && (w->cr4 & X86_CR4_PSE)) {
		if (pde & PTE32_LARGE_RESERVED)
			return fault(w, PFEC_PRESENT | PFEC_RESERVED);
		/* PSE-36: bits 13–20 are address bits 32–39. */
		w->ret = (pde & PTE32_LARGE_MASK) | (pde >> 13 & 0xff) << 32 |
			 (va & ~PTE32_LARGE_MASK & 0xffffffff);
		return check_rights(w, pde, false, 0);
	}
	if (!entry_read(w, (pde & 0xfffff000) + (va >> 12 & 1023) * 4, true, &pte))
		return fault(w, 0);
	err = check_rights(w, pde & pte, false, 0);
	w->ret = (pte & 0xfffff000) | (va & ~PAGE_MASK);
	return err;
}

/* Bits of an entry of this level that have to be zero. */
static uint64_t reserved_bits(const struct walk *w, unsigned level, bool large)
{
	bool lma = w->efer & X86_EFER_LMA;
	uint64_t r = PTE_ADDR & ~(BIT(cpu_info.phys_bits) - 1);

	if (!(w->efer & X86_EFER_NX))
		r |= PTE_NX;
	if (!lma)
		r |= PAE_HIGH_RESERVED;
	if (!lma && level == 3)
		return r | PTE_NX | PAE_TOP_RESERVED;
	if (level > 3 || (level == 3 && !cpu_has(CPU_PDPE1GB)))
		return r | PTE_LARGE;
	return large ? r | LARGE_RESERVED(3 + 9 * level) : r;
}

static int walk_pae_or_long(struct walk *w, uint64_t va)
{
	bool lma = w->efer & X86_EFER_LMA;
	unsigned top = !lma ? 3 : w->cr4 & X86_CR4_LA57 ? 5 : 4;
	uint64_t table = lma ? w->cr3 & PTE_ADDR : w->cr3 & 0xffffffe0, e;
	uint64_t rights = PTE_WRITE | PTE_USER;
	bool nx = false;

	w->size = 8;
	for (unsigned l = top; l >= 1; l--) {
		unsigned shift = 3 + 9 * l;
		uint64_t mask = BIT(shift) - 1;
		/*
		 * The four entries of PAE's top level have no rights and no accessed bit (5.2.3). QEMU 7.2 sets one all
		 * the same, in what is a reserved bit: an entry that the CPU has just used is good enough for us.
		 */
		bool plain = lma || l != 3;
		bool large = plain && (l == 2 || l == 3);

		if (!entry_read(w, table + (va >> shift & (plain ? 511 : 3)) * 8, plain, &e))
			return fault(w, 0);
		large &= !!(e & PTE_LARGE);
		if (e & reserved_bits(w, l, large))
			return fault(w, PFEC_PRESENT | PFEC_RESERVED);
		if (plain) {
			rights &= e;
			nx |= e & PTE_NX;
		}
		if (l == 1 || large) {
			w->ret = (e & PTE_ADDR & ~mask) | (va & mask);
			return check_rights(w, rights, nx, e);
		}
		table = e & PTE_ADDR;
	}
	return -EFAULT; /* not reached: level 1 ends it */
}

static bool canonical(const struct walk *w, uint64_t va)
{
	unsigned unused = w->cr4 & X86_CR4_LA57 ? 7 : 16;

	return !(w->efer & X86_EFER_LMA) || (uint64_t)((int64_t)(va << unused) >> unused) == va;
}

static void load_state(struct vcpu *v, unsigned access, struct walk *w)
{
	unsigned cpl = vendor->get_cpl(v);

	*w = (struct walk){
		.d = v->domain,
		.cr0 = vendor->get_cr(v, 0),
		.user = access & WALK_USER,
		.write = access & WALK_WRITE,
		.fetch = access & WALK_FETCH,
	};
	if (!(w->cr0 & X86_CR0_PG))
		return;
	w->cr3 = vendor->get_cr(v, 3);
	w->cr4 = vendor->get_cr(v, 4);
	w->efer = vendor->get_efer(v);
	/* Of code at CPL 3 a supervisor's access is an implicit one, which the AC flag does not allow (5.6.6). */
	w->smap = (w->cr4 & X86_CR4_SMAP) && !w->user &&
		  (cpl == 3 || !(v->arch.rflags & X86_EFLAGS_AC));
	w->pk = (w->cr4 & X86_CR4_PKE) && (w->efer & X86_EFER_LMA);
	if (w->pk)
		w->pkru = vcpu_pkru(v);
}

int guest_walk(struct vcpu *v, uint64_t va, unsigned access, gaddr_t *ret_gaddr, uint32_t *ret_code)
{
	struct domain *d = v->domain;
	bool settled = false;
	struct walk w;
	int err = 0;

	load_state(v, access, &w);
	if (!(w.cr0 & X86_CR0_PG)) {
		*ret_gaddr = gaddr_from(va & 0xffffffff);
		return 0;
	}
	if (!canonical(&w, va)) {
		err = fault(&w, 0);
		settled = true;
	}
	read_lock(&d->arch.p2m.lock);
	for (unsigned i = 0; i < TRIES && !settled; i++) {
		w.count = 0;
		if (w.cr4 & X86_CR4_PAE)
			err = walk_pae_or_long(&w, va);
		else
			err = walk_legacy(&w, va & 0xffffffff);
		settled = err || set_accessed_dirty(&w);
	}
	read_unlock(&d->arch.p2m.lock);
	if (err)
		*ret_code = w.code;
	else
		*ret_gaddr = gaddr_from(w.ret);
	return err;
}
