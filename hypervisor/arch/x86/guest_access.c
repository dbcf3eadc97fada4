/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies to and from guest memory through windows. */
#include <arch/cpu.h>
#include <arch/guest_walk.h>
#include <arch/p2m.h>
#include <arch/paging.h>
#include <bulkhead/domain.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/pod.h>
#include <bulkhead/string.h>

/* Reads or writes within one guest frame, under the p2m lock. False: no memory there, or not writable; *ret_type is what is. */
static bool access_frame(struct domain *d, gfn_t gfn, unsigned offset, void *buf, size_t len,
			 bool write, enum p2m_type *ret_type)
{
	mfn_t m = p2m_lookup_locked(d, gfn, ret_type);
	enum p2m_type t = *ret_type;
	char *p;

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

		gfn_t gfn = gaddr_to_gfn(gaddr_from(a));
		enum p2m_type t;

		do {
			read_lock(&d->arch.p2m.lock);
			ok = access_frame(d, gfn, offset, b, n, write, &t);
			read_unlock(&d->arch.p2m.lock);
		} while (!ok && t == P2M_POD && pod_touch(d, gfn));
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

static int linear_access(struct vcpu *v, uint64_t va, void *buf, size_t len, bool write)
{
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
	return linear_access(current_vcpu(), guest_va, dst, len, false);
}

int guest_copy_to(uint64_t guest_va, const void *src, size_t len)
{
	return linear_access(current_vcpu(), guest_va, (void *)(uintptr_t)src, len, true);
}

int vcpu_copy_to(struct vcpu *v, uint64_t guest_va, const void *src, size_t len)
{
	/* What is remembered is of its last hypercall: the guest may have changed its tables since. */
	guest_walk_forget(v);
	return linear_access(v, guest_va, (void *)(uintptr_t)src, len, true);
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
