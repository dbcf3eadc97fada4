/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Save records of vCPUs: header, registers, memory types. The toolstack starts guests by them. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/exit.h>
#include <arch/hvm_context.h>
#include <arch/mtrr.h>
#include <arch/time.h>
#include <arch/vcpu.h>
#include <arch/time.h>
#include <arch/vendor.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

#include <xen/hvm/save.h>

_Static_assert(sizeof(struct hvm_save_descriptor) == 8, "ABI");
_Static_assert(sizeof(struct hvm_save_header) == 24, "ABI");
_Static_assert(sizeof(struct hvm_hw_cpu) == 1032, "ABI");
_Static_assert(sizeof(struct hvm_hw_mtrr) == 240, "ABI");
_Static_assert(sizeof(struct hvm_hw_cpu) <= HVM_CONTEXT_RECORD_MAX, "the largest record");

#define MSR_SYSENTER_CS	   0x174
#define MSR_SYSENTER_ESP   0x175
#define MSR_SYSENTER_EIP   0x176
#define MSR_PAT		   0x277
#define MSR_MTRR_CAP	   0xfe
#define MSR_MTRR_VAR	   0x200
#define MSR_MTRR_DEF	   0x2ff
#define MSR_STAR	   0xc0000081
#define MSR_LSTAR	   0xc0000082
#define MSR_CSTAR	   0xc0000083
#define MSR_SFMASK	   0xc0000084
#define MSR_KERNEL_GS_BASE 0xc0000102

static const uint16_t fixed_msrs[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
				      0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
_Static_assert(ARRAY_SIZE(fixed_msrs) == NUM_FIXED_MSR, "ABI");

static uint64_t vendor_msr(struct vcpu *v, uint32_t msr)
{
	uint64_t value = 0;

	(void)vendor->msr_read(v, msr, &value);
	return value;
}

/* ---- Registers ---- */

static void save_gprs(const struct vcpu *v, struct hvm_hw_cpu *c)
{
	const union guest_gprs *g = &v->arch.gprs;

	c->rax = g->rax;
	c->rbx = g->rbx;
	c->rcx = g->rcx;
	c->rdx = g->rdx;
	c->rbp = g->rbp;
	c->rsi = g->rsi;
	c->rdi = g->rdi;
	c->rsp = g->rsp;
	c->r8 = g->r8;
	c->r9 = g->r9;
	c->r10 = g->r10;
	c->r11 = g->r11;
	c->r12 = g->r12;
	c->r13 = g->r13;
	c->r14 = g->r14;
	c->r15 = g->r15;
	c->rip = v->arch.rip;
	c->rflags = v->arch.rflags;
}

static void load_gprs(struct vcpu *v, const struct hvm_hw_cpu *c)
{
	v->arch.gprs = (union guest_gprs){
		.rax = c->rax,
		.rcx = c->rcx,
		.rdx = c->rdx,
		.rbx = c->rbx,
		.rsp = c->rsp,
		.rbp = c->rbp,
		.rsi = c->rsi,
		.rdi = c->rdi,
		.r8 = c->r8,
		.r9 = c->r9,
		.r10 = c->r10,
		.r11 = c->r11,
		.r12 = c->r12,
		.r13 = c->r13,
		.r14 = c->r14,
		.r15 = c->r15,
	};
	v->arch.rip = c->rip;
	v->arch.rflags = c->rflags | X86_EFLAGS_FIXED;
}

#define SAVE_SEGMENT(name, id)    \
 do {                             \
  vendor->get_segment(v, id, &s); \
  c->name##_sel = s.sel;          \
  c->name##_limit = s.limit;      \
  c->name##_base = s.base;        \
  c->name##_arbytes = s.attr;     \
 } while (0)

static void save_segments(struct vcpu *v, struct hvm_hw_cpu *c)
{
	struct segment s;

	SAVE_SEGMENT(cs, SEG_CS);
	SAVE_SEGMENT(ds, SEG_DS);
	SAVE_SEGMENT(es, SEG_ES);
	SAVE_SEGMENT(fs, SEG_FS);
	SAVE_SEGMENT(gs, SEG_GS);
	SAVE_SEGMENT(ss, SEG_SS);
	SAVE_SEGMENT(tr, SEG_TR);
	SAVE_SEGMENT(ldtr, SEG_LDTR);
	vendor->get_segment(v, SEG_GDTR, &s);
	c->gdtr_base = s.base;
	c->gdtr_limit = s.limit;
	vendor->get_segment(v, SEG_IDTR, &s);
	c->idtr_base = s.base;
	c->idtr_limit = s.limit;
}

/* Files of old have the attributes as VMX does, with a gap between bits 8 and 12. */
static uint16_t attributes(uint32_t ar)
{
	if ((ar & 0xf000) && !(ar & 0x0f00))
		ar = (ar & 0xff) | (ar >> 4 & 0xf00);
	return (uint16_t)(ar & 0xfff);
}

#define LOAD_SEGMENT(name, id)                                                        \
 do {                                                                                 \
  const struct segment s = {c->name##_base, c->name##_limit, (uint16_t)c->name##_sel, \
			    attributes(c->name##_arbytes)};                           \
  vendor->set_segment(v, id, &s);                                                     \
 } while (0)

static void load_segments(struct vcpu *v, const struct hvm_hw_cpu *c)
{
	const struct segment gdtr = {c->gdtr_base, c->gdtr_limit, 0, 0};
	const struct segment idtr = {c->idtr_base, c->idtr_limit, 0, 0};

	LOAD_SEGMENT(cs, SEG_CS);
	LOAD_SEGMENT(ds, SEG_DS);
	LOAD_SEGMENT(es, SEG_ES);
	LOAD_SEGMENT(fs, SEG_FS);
	LOAD_SEGMENT(gs, SEG_GS);
	LOAD_SEGMENT(ss, SEG_SS);
	LOAD_SEGMENT(tr, SEG_TR);
	LOAD_SEGMENT(ldtr, SEG_LDTR);
	vendor->set_segment(v, SEG_GDTR, &gdtr);
	vendor->set_segment(v, SEG_IDTR, &idtr);
}

static void save_system(struct vcpu *v, struct hvm_hw_cpu *c)
{
	uint64_t dr[8];

	c->cr0 = vendor->get_cr(v, 0);
	c->cr2 = vendor->get_cr(v, 2);
	c->cr3 = vendor->get_cr(v, 3);
	c->cr4 = vendor->get_cr(v, 4);
	vendor->get_debug(v, dr);
	c->dr0 = dr[0];
	c->dr1 = dr[1];
	c->dr2 = dr[2];
	c->dr3 = dr[3];
	c->dr6 = dr[6];
	c->dr7 = dr[7];
	c->sysenter_cs = vendor_msr(v, MSR_SYSENTER_CS);
	c->sysenter_esp = vendor_msr(v, MSR_SYSENTER_ESP);
	c->sysenter_eip = vendor_msr(v, MSR_SYSENTER_EIP);
	c->shadow_gs = vendor_msr(v, MSR_KERNEL_GS_BASE);
	c->msr_star = vendor_msr(v, MSR_STAR);
	c->msr_lstar = vendor_msr(v, MSR_LSTAR);
	c->msr_cstar = vendor_msr(v, MSR_CSTAR);
	c->msr_syscall_mask = vendor_msr(v, MSR_SFMASK);
	c->msr_efer = vendor->get_efer(v);
	c->msr_tsc_aux = v->arch.tsc_aux;
	c->tsc = tsc_now() + v->domain->arch.tsc_offset;
	if (v->arch.inject.valid) {
		c->pending_vector = v->arch.inject.vector;
		c->pending_type = v->arch.inject.type & 7;
		c->pending_error_valid = v->arch.inject.has_error;
		c->pending_valid = 1;
		c->error_code = v->arch.inject.error;
	}
}

static void load_system(struct vcpu *v, const struct hvm_hw_cpu *c)
{
	const uint64_t dr[8] = {c->dr0, c->dr1, c->dr2, c->dr3, 0, 0, c->dr6, c->dr7};

	vendor->set_cr(v, 0, c->cr0 | X86_CR0_ET);
	vendor->set_cr(v, 2, c->cr2);
	vendor->set_cr(v, 3, c->cr3);
	vendor->set_cr(v, 4, c->cr4);
	vendor->set_efer(v, c->msr_efer);
	vendor->set_debug(v, dr);
	(void)vendor->msr_write(v, MSR_SYSENTER_CS, c->sysenter_cs);
	(void)vendor->msr_write(v, MSR_SYSENTER_ESP, c->sysenter_esp);
	(void)vendor->msr_write(v, MSR_SYSENTER_EIP, c->sysenter_eip);
	(void)vendor->msr_write(v, MSR_KERNEL_GS_BASE, c->shadow_gs);
	(void)vendor->msr_write(v, MSR_STAR, c->msr_star);
	(void)vendor->msr_write(v, MSR_LSTAR, c->msr_lstar);
	(void)vendor->msr_write(v, MSR_CSTAR, c->msr_cstar);
	(void)vendor->msr_write(v, MSR_SFMASK, c->msr_syscall_mask);
	v->arch.tsc_aux = (uint32_t)c->msr_tsc_aux;
	v->arch.inject = (struct pending_event){
		.valid = c->pending_valid,
		.vector = c->pending_vector,
		.type = c->pending_type,
		.has_error = c->pending_error_valid,
		.error = c->error_code,
	};
}

/* A vCPU that is down has no state to speak of. */
static int64_t cpu_save(struct vcpu *v, void *buf)
{
	struct hvm_hw_cpu *c = buf;

	if (READ_ONCE(v->pause_flags) & VPF_DOWN)
		return -ENOENT;
	memset(c, 0, sizeof(*c));
	save_gprs(v, c);
	save_segments(v, c);
	save_system(v, c);
	memcpy(c->fpu_regs, v->arch.fpu, sizeof(c->fpu_regs));
	c->flags = XEN_X86_FPU_INITIALISED;
	return sizeof(*c);
}

/* What the CPU would refuse at entry (APM vol. 2, 15.5.1) is refused here. */
static bool cpu_valid(const struct vcpu *v, const struct hvm_hw_cpu *c)
{
	if (!guest_crs_ok(v, c->cr0 | X86_CR0_ET, c->cr4, c->msr_efer) ||
	    (c->flags & ~XEN_X86_FPU_INITIALISED) || (c->dr6 >> 32) || (c->dr7 >> 32))
		return false;
	/* Vectors of exceptions end at 31; type 1 does not exist. */
	return !c->pending_valid ||
	       (c->pending_type != 1 && c->pending_type <= 4 &&
		(c->pending_type != 3 || (c->pending_vector < 32 && c->pending_vector != 2)));
}

static int cpu_load(struct vcpu *v, const void *buf, size_t size)
{
	struct hvm_hw_cpu c;

	if (size != sizeof(c))
		return -EINVAL;
	memcpy(&c, buf, sizeof(c));
	if (!cpu_valid(v, &c))
		return -EINVAL;
	load_gprs(v, &c);
	load_system(v, &c);
	load_segments(v, &c);
	if (c.flags & XEN_X86_FPU_INITIALISED)
		vcpu_fpu_load(v, c.fpu_regs);
	else
		vcpu_fpu_reset(v);
	v->arch.started = true;
	v->arch.sipi_wait = v->arch.sipi_pending = false;
	vcpu_clear_flag(v, VPF_DOWN);
	return 0;
}

/* ---- Memory types ---- */

static int64_t mtrr_save(struct vcpu *v, void *buf)
{
	struct hvm_hw_mtrr *m = buf;

	memset(m, 0, sizeof(*m));
	(void)mtrr_msr_read(v, MSR_PAT, &m->msr_pat_cr);
	(void)mtrr_msr_read(v, MSR_MTRR_CAP, &m->msr_mtrr_cap);
	/* The record has the two enable bits where the register does, too. */
	(void)mtrr_msr_read(v, MSR_MTRR_DEF, &m->msr_mtrr_def_type);
	for (unsigned i = 0; i < ARRAY_SIZE(m->msr_mtrr_var); i++)
		(void)mtrr_msr_read(v, MSR_MTRR_VAR + i, &m->msr_mtrr_var[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(fixed_msrs); i++)
		(void)mtrr_msr_read(v, fixed_msrs[i], &m->msr_mtrr_fixed[i]);
	return sizeof(*m);
}

static int mtrr_load(struct vcpu *v, const void *buf, size_t size)
{
	struct hvm_hw_mtrr m;
	int bad = 0;

	if (size != sizeof(m))
		return -EINVAL;
	memcpy(&m, buf, sizeof(m));
	if ((m.msr_mtrr_cap & 0xff) > MTRR_VCNT)
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(m.msr_mtrr_var); i++)
		bad |= mtrr_msr_write(v, MSR_MTRR_VAR + i, m.msr_mtrr_var[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(fixed_msrs); i++)
		bad |= mtrr_msr_write(v, fixed_msrs[i], m.msr_mtrr_fixed[i]);
	bad |= mtrr_msr_write(v, MSR_MTRR_DEF, m.msr_mtrr_def_type);
	bad |= mtrr_msr_write(v, MSR_PAT, m.msr_pat_cr);
	if (bad)
		return -EINVAL;
	(void)vendor->msr_write(v, MSR_PAT, v->arch.pat);
	return 0;
}

/* ---- Files ---- */

static const struct record_type {
	uint16_t code;
	uint16_t size;
	int64_t (*save)(struct vcpu *v, void *buf);
	int (*load)(struct vcpu *v, const void *buf, size_t size);
} types[] = {
	{HVM_SAVE_CODE(CPU), sizeof(struct hvm_hw_cpu), cpu_save, cpu_load},
	{HVM_SAVE_CODE(MTRR), sizeof(struct hvm_hw_mtrr), mtrr_save, mtrr_load},
};

static const struct record_type *find_type(uint32_t code)
{
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		if (types[i].code == code)
			return &types[i];
	}
	return NULL;
}

static void fill_header(struct hvm_save_header *h)
{
	uint32_t regs[4];

	cpuid_count(1, 0, regs);
	*h = (struct hvm_save_header){
		.magic = HVM_FILE_MAGIC,
		.version = HVM_FILE_VERSION,
		.changeset = ~0ULL, /* none */
		.cpuid = regs[0],
		.gtsc_khz = (uint32_t)tsc_khz,
	};
}

size_t hvm_context_size(const struct domain *d)
{
	size_t each = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		each += sizeof(struct hvm_save_descriptor) + types[i].size;
	/* Header and end. */
	return 2 * sizeof(struct hvm_save_descriptor) + sizeof(struct hvm_save_header) +
	       d->max_vcpus * each;
}

static char *put_descriptor(char *p, uint16_t code, unsigned instance, size_t size)
{
	const struct hvm_save_descriptor desc = {code, (uint16_t)instance, (uint32_t)size};

	memcpy(p, &desc, sizeof(desc));
	return p + sizeof(desc);
}

size_t hvm_context_save(struct domain *d, void *buf)
{
	struct hvm_save_header h;
	char *p = put_descriptor(buf, HVM_SAVE_CODE(HEADER), 0, sizeof(h));
	struct vcpu *v;
	unsigned i;

	fill_header(&h);
	memcpy(p, &h, sizeof(h));
	p += sizeof(h);
	for (unsigned t = 0; t < ARRAY_SIZE(types); t++) {
		DOMAIN_FOR_EACH_VCPU (d, v, i) {
			int64_t n = types[t].save(v, p + sizeof(struct hvm_save_descriptor));

			if (n >= 0)
				p = put_descriptor(p, types[t].code, i, (size_t)n) + n;
		}
	}
	p = put_descriptor(p, HVM_SAVE_CODE(END), 0, 0);
	return (size_t)(p - (char *)buf);
}

int64_t hvm_context_save_one(struct domain *d, uint32_t type, uint32_t instance, void *buf)
{
	const struct record_type *t = find_type(type);

	if (type == HVM_SAVE_CODE(HEADER)) {
		fill_header(buf);
		return sizeof(struct hvm_save_header);
	}
	if (!t)
		return -EINVAL;
	if (instance >= d->max_vcpus || !d->vcpus[instance])
		return -ENOENT;
	return t->save(d->vcpus[instance], buf);
}

static int load_header(const char *p, size_t size, size_t *ret_used)
{
	struct hvm_save_descriptor desc;
	struct hvm_save_header h;

	if (size < sizeof(desc) + sizeof(h))
		return -ENODATA;
	memcpy(&desc, p, sizeof(desc));
	memcpy(&h, p + sizeof(desc), sizeof(h));
	if (desc.typecode != HVM_SAVE_CODE(HEADER) || desc.length != sizeof(h) ||
	    h.magic != HVM_FILE_MAGIC || h.version != HVM_FILE_VERSION)
		return -EINVAL;
	*ret_used = sizeof(desc) + sizeof(h);
	return 0;
}

int hvm_context_load(struct domain *d, const void *buf, size_t size)
{
	const char *p = buf;
	size_t at;
	int ret = load_header(p, size, &at);

	while (!ret) {
		struct hvm_save_descriptor desc;
		const struct record_type *t;

		if (size - at < sizeof(desc))
			return -ENODATA;
		memcpy(&desc, p + at, sizeof(desc));
		at += sizeof(desc);
		if (desc.typecode == HVM_SAVE_CODE(END))
			return 0;
		t = find_type(desc.typecode);
		if (!t || desc.length > size - at || desc.instance >= d->max_vcpus ||
		    !d->vcpus[desc.instance])
			return -EINVAL;
		ret = t->load(d->vcpus[desc.instance], p + at, desc.length);
		at += desc.length;
	}
	return ret;
}
