/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies to and from guest memory through windows; walks of guest page tables (APM vol. 2 chapter 5). */
#include <arch/cpu.h>
#include <arch/guest_walk.h>
#include <arch/p2m.h>
#include <arch/paging.h>
#include <arch/vendor.h>
#include <bulkhead/domain.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/string.h>

#define PTE32_LARGE_MASK 0xffc00000UL

/* Reads or writes within one guest frame, under the p2m lock. False: no memory there, or not writable. */
static bool access_frame(struct domain *d, gfn_t gfn, unsigned offset, void *buf, size_t len,
			 bool write)
{
	enum p2m_type t;
	mfn_t m;
	char *p;

	m = p2m_lookup_locked(d, gfn, &t);
	if (mfn_is_invalid(m) || !p2m_type_is_mappable(t) || !mfn_valid(m))
		return false;
	if (write && (t == P2M_RAM_RO || t == P2M_GRANT_RO))
		return false;
	p = window_map(m);
	if (write)
		memcpy(p + offset, buf, len);
	else
		memcpy(buf, p + offset, len);
	window_unmap(p);
	return true;
}

static int phys_access(struct domain *d, gaddr_t ga, void *buf, size_t len, bool write)
{
	uint64_t a = gaddr_raw(ga);
	char *b = buf;
	bool ok = true;

	while (len && ok) {
		unsigned offset = (unsigned)(a & ~PAGE_MASK);
		size_t n = MIN(len, PAGE_SIZE - offset);

		read_lock(&d->arch.p2m.lock);
		ok = access_frame(d, gaddr_to_gfn(gaddr_from(a)), offset, b, n, write);
		read_unlock(&d->arch.p2m.lock);
		a += n;
		b += n;
		len -= n;
	}
	return ok ? 0 : -EFAULT;
}

int guest_phys_copy_from(void *dst, struct domain *d, gaddr_t src, size_t len)
{
	return phys_access(d, src, dst, len, false);
}

int guest_phys_copy_to(struct domain *d, gaddr_t dst, const void *src, size_t len)
{
	return phys_access(d, dst, (void *)(uintptr_t)src, len, true);
}

/* One entry of a guest page table. Called under the p2m lock. */
static bool read_entry(struct domain *d, uint64_t addr, unsigned size, uint64_t *ret)
{
	*ret = 0;
	return access_frame(d, gaddr_to_gfn(gaddr_from(addr)), (unsigned)(addr & ~PAGE_MASK), ret,
			    size, false);
}

struct walk_state {
	uint64_t cr0, cr4, efer, cr3;
	bool user, write, fetch;
};

static uint32_t fault_code(const struct walk_state *w, bool present, bool reserved)
{
	return (present ? PFEC_PRESENT : 0) | (w->write ? PFEC_WRITE : 0) |
	       (w->user ? PFEC_USER : 0) | (reserved ? PFEC_RESERVED : 0) |
	       (w->fetch && ((w->efer & X86_EFER_NX) || (w->cr4 & X86_CR4_SMEP)) ? PFEC_FETCH : 0);
}

/* Checks the rights that all levels together give (APM vol. 2 5.6). */
static bool rights_ok(const struct walk_state *w, uint64_t rights, bool nx)
{
	bool user_page = rights & PTE_USER;

	if (w->user && !user_page)
		return false;
	if (w->write && !(rights & PTE_WRITE) && (w->user || (w->cr0 & X86_CR0_WP)))
		return false;
	if (w->fetch && (nx || (!w->user && user_page && (w->cr4 & X86_CR4_SMEP))))
		return false;
	return true;
}

static int walk_legacy(struct domain *d, const struct walk_state *w, uint64_t va, gaddr_t *ret,
		       uint32_t *ret_code)
{
	uint64_t pde, pte, rights;

	if (!read_entry(d, (w->cr3 & PAGE_MASK) + (va >> 22 & 1023) * 4, 4, &pde) ||
	    !(pde & PTE_PRESENT))
		goto absent;
	if ((pde & PTE_LARGE) && (w->cr4 & X86_CR4_PSE)) {
		if (!rights_ok(w, pde, false))
			goto refused;
		/* PSE-36: bits 13–20 are address bits 32–39. */
		*ret = gaddr_from((pde & PTE32_LARGE_MASK) | (pde >> 13 & 0xff) << 32 |
				  (va & ~PTE32_LARGE_MASK));
		return 0;
	}
	if (!read_entry(d, (pde & 0xfffff000) + (va >> 12 & 1023) * 4, 4, &pte) ||
	    !(pte & PTE_PRESENT))
		goto absent;
	rights = pde & pte;
	if (!rights_ok(w, rights, false))
		goto refused;
	*ret = gaddr_from((pte & 0xfffff000) | (va & ~PAGE_MASK));
	return 0;
absent:
	*ret_code = fault_code(w, false, false);
	return -EFAULT;
refused:
	*ret_code = fault_code(w, true, false);
	return -EFAULT;
}

static int walk_pae_or_long(struct domain *d, const struct walk_state *w, uint64_t va, gaddr_t *ret,
			    uint32_t *ret_code)
{
	bool lma = w->efer & X86_EFER_LMA;
	unsigned top = !lma ? 3 : w->cr4 & X86_CR4_LA57 ? 5 : 4;
	uint64_t table = lma ? w->cr3 & PTE_ADDR : w->cr3 & 0xffffffe0,
		 rights = PTE_WRITE | PTE_USER, e = 0;
	bool nx = false;

	for (unsigned l = top; l >= 1; l--) {
		unsigned shift = 3 + 9 * l;
		uint64_t index = va >> shift & (l == 3 && !lma ? 3 : 511);

		if (!read_entry(d, table + index * 8, 8, &e) || !(e & PTE_PRESENT)) {
			*ret_code = fault_code(w, false, false);
			return -EFAULT;
		}
		/* The four entries of PAE's top level have no rights (APM 5.2.3). */
		if (lma || l != 3) {
			rights &= e;
			nx |= (e & PTE_NX) && (w->efer & X86_EFER_NX);
		}
		if (l == 1 || (l <= 3 && (e & PTE_LARGE) && (lma || l == 2))) {
			uint64_t mask = BIT(shift) - 1;

			if (!rights_ok(w, rights, nx)) {
				*ret_code = fault_code(w, true, false);
				return -EFAULT;
			}
			*ret = gaddr_from((e & PTE_ADDR & ~mask) | (va & mask));
			return 0;
		}
		table = e & PTE_ADDR;
	}
	*ret_code = fault_code(w, true, true);
	return -EFAULT;
}

int guest_walk(struct vcpu *v, uint64_t va, unsigned access, gaddr_t *ret_gaddr, uint32_t *ret_code)
{
	struct walk_state w = {
		.cr0 = vendor->get_cr(v, 0),
		.user = access & WALK_USER,
		.write = access & WALK_WRITE,
		.fetch = access & WALK_FETCH,
	};
	struct domain *d = v->domain;
	int err;

	if (!(w.cr0 & X86_CR0_PG)) {
		*ret_gaddr = gaddr_from(va & 0xffffffff);
		return 0;
	}
	w.cr4 = vendor->get_cr(v, 4);
	w.cr3 = vendor->get_cr(v, 3);
	w.efer = vendor->get_efer(v);
	read_lock(&d->arch.p2m.lock);
	if (w.cr4 & X86_CR4_PAE)
		err = walk_pae_or_long(d, &w, va, ret_gaddr, ret_code);
	else
		err = walk_legacy(d, &w, va & 0xffffffff, ret_gaddr, ret_code);
	read_unlock(&d->arch.p2m.lock);
	return err;
}

/* The translations of one hypercall's buffers are nearly always those of the same page: one is remembered. */
void guest_walk_forget(struct vcpu *v)
{
	v->arch.walk.gfn = INVALID_FRAME;
}

static int translate(struct vcpu *v, uint64_t va, bool write, gaddr_t *ret)
{
	struct vcpu_walk_cache *c = &v->arch.walk;
	uint32_t code;

	if (c->gfn == INVALID_FRAME || c->va_page != (va & PAGE_MASK) || (write && !c->writable)) {
		if (guest_walk(v, va, write ? WALK_WRITE : 0, ret, &code))
			return -EFAULT;
		c->va_page = va & PAGE_MASK;
		c->gfn = gfn_raw(gaddr_to_gfn(*ret));
		c->writable = write;
	}
	*ret = gaddr_from(c->gfn << PAGE_SHIFT | (va & ~PAGE_MASK));
	return 0;
}

static int linear_access(uint64_t va, void *buf, size_t len, bool write)
{
	struct vcpu *v = current_vcpu();
	char *b = buf;

	while (len) {
		size_t n = MIN(len, PAGE_SIZE - (va & ~PAGE_MASK));
		gaddr_t ga;

		if (translate(v, va, write, &ga) || phys_access(v->domain, ga, b, n, write))
			return -EFAULT;
		va += n;
		b += n;
		len -= n;
	}
	return 0;
}

int guest_copy_from(void *dst, uint64_t guest_va, size_t len)
{
	return linear_access(guest_va, dst, len, false);
}

int guest_copy_to(uint64_t guest_va, const void *src, size_t len)
{
	return linear_access(guest_va, (void *)(uintptr_t)src, len, true);
}

int guest_clear(uint64_t guest_va, size_t len)
{
	static const char zeros[256];

	while (len) {
		size_t n = MIN(len, sizeof(zeros));

		if (guest_copy_to(guest_va, zeros, n))
			return -EFAULT;
		guest_va += n;
		len -= n;
	}
	return 0;
}

int guest_va_to_gaddr(uint64_t guest_va, bool write, gaddr_t *ret_gaddr)
{
	return translate(current_vcpu(), guest_va, write, ret_gaddr);
}
