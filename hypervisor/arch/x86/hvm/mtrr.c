// SPDX-License-Identifier: GPL-2.0-or-later
// Virtual memory type range registers and page attribute table: kept and validated per vCPU.
#include <arch/cpu.h>
#include <arch/mtrr.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/nospec.h>
#include <bulkhead/string.h>

/* Numbers of sections: SDM vol. 3A, chapter 12 (memory cache control). */

#define MSR_MTRR_CAP	   0xfe
#define MSR_MTRR_VAR_FIRST 0x200
#define MSR_PAT		   0x277
#define MSR_MTRR_DEF	   0x2ff

/* MTRRcap (12.11.1): number of variable ranges, fixed ranges, write-combining type. */
#define CAP_VARIABLE 8
#define CAP_FIXED    BIT(8)
#define CAP_WC	     BIT(10)

#define DEF_FIXED_ENABLED BIT(10)
#define DEF_ENABLED	  BIT(11)
#define DEF_KNOWN	  (0xffUL | DEF_FIXED_ENABLED | DEF_ENABLED)
#define MASK_VALID	  BIT(11)

#define TYPE_UC	      0
#define TYPE_WC	      1
#define TYPE_WT	      4
#define TYPE_WP	      5
#define TYPE_WB	      6
#define TYPE_UC_MINUS 7 /* page attribute table only */

#define MTRR_TYPES \
 (BIT32(TYPE_UC) | BIT32(TYPE_WC) | BIT32(TYPE_WT) | BIT32(TYPE_WP) | BIT32(TYPE_WB))
#define PAT_TYPES (MTRR_TYPES | BIT32(TYPE_UC_MINUS))

/* WB, WT, UC-, UC, twice (table 12-12). */
#define PAT_AT_RESET 0x0007040600070406ULL

static const uint16_t fixed_msrs[] = {
	0x250,							/* 64 KiB each */
	0x258, 0x259,						/* 16 KiB each */
	0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f, /* 4 KiB each */
};
_Static_assert(ARRAY_SIZE(fixed_msrs) == ARRAY_SIZE(((struct arch_vcpu *)0)->mtrr_fixed),
	       "one field for each fixed-range register");
_Static_assert(2 * CAP_VARIABLE == ARRAY_SIZE(((struct arch_vcpu *)0)->mtrr_var),
	       "a base and a mask for each variable range");

/* The machine's registers at boot. */
static __ro_after_init struct {
	bool valid;
	uint64_t def, fixed[ARRAY_SIZE(fixed_msrs)], var[2 * CAP_VARIABLE];
} host;

uint64_t mtrr_phys_mask(void)
{
	/* Every CPU that has long mode has the leaf; bits 7:0 are the width (CPUID 80000008). */
	static uint64_t mask;
	uint64_t m = READ_ONCE(mask);

	if (unlikely(m == 0)) {
		uint32_t regs[4];
		unsigned bits;

		cpuid_count(0x80000008, 0, regs);
		bits = regs[0] & 0xff;
		if (bits < 32 || bits > 52)
			bits = bits < 32 ? 36 : 52;
		m = (1ULL << bits) - 1;
		WRITE_ONCE(mask, m);
	}
	return m;
}

/* ---- Validation ---- */

/* Each of the eight bytes is one of the types. */
static bool types_valid(uint64_t value, unsigned types)
{
	unsigned i;

	for (i = 0; i < 8; i++, value >>= 8) {
		if ((value & 0xff) > TYPE_UC_MINUS || !(types >> (value & 7) & 1))
			return false;
	}
	return true;
}

static bool def_valid(uint64_t value)
{
	return !(value & ~DEF_KNOWN) && types_valid(value & 0xff, MTRR_TYPES);
}

/* Base: type and address; mask: valid bit and address. Bits in between are reserved (12.11.2.3). */
static bool var_valid(unsigned index, uint64_t value)
{
	uint64_t address = mtrr_phys_mask() & PAGE_MASK;

	if (index % 2 != 0)
		return !(value & ~(address | MASK_VALID));
	return !(value & ~(address | 0xff)) && types_valid(value & 0xff, MTRR_TYPES);
}

/* ---- Access ---- */

static int fixed_index(uint32_t msr)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(fixed_msrs); i++) {
		if (fixed_msrs[i] == msr)
			return (int)i;
	}
	return -1;
}

static bool is_variable(uint32_t msr)
{
	return msr >= MSR_MTRR_VAR_FIRST && msr < MSR_MTRR_VAR_FIRST + 2 * CAP_VARIABLE;
}

bool mtrr_owns_msr(uint32_t msr)
{
	return msr == MSR_MTRR_CAP || msr == MSR_PAT || msr == MSR_MTRR_DEF || is_variable(msr) ||
	       fixed_index(msr) >= 0;
}

/* Field of an existing, writable register; NULL if there is none. */
static uint64_t *field_of(struct vcpu *v, uint32_t msr)
{
	int fixed;

	if (is_variable(msr))
		return &v->arch.mtrr_var[index_nospec(msr - MSR_MTRR_VAR_FIRST, 2 * CAP_VARIABLE)];
	if (msr == MSR_PAT)
		return &v->arch.pat;
	if (msr == MSR_MTRR_DEF)
		return &v->arch.mtrr_def;
	fixed = fixed_index(msr);
	return fixed >= 0 ? &v->arch.mtrr_fixed[fixed] : NULL;
}

int mtrr_msr_read(struct vcpu *v, uint32_t msr, uint64_t *ret_value)
{
	const uint64_t *field = field_of(v, msr);

	if (msr == MSR_MTRR_CAP) {
		*ret_value = CAP_VARIABLE | CAP_FIXED | CAP_WC;
		return 0;
	}
	if (!field)
		return -EINVAL;
	*ret_value = *field;
	return 0;
}

int mtrr_msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t *field = field_of(v, msr);
	bool valid;

	if (!field)
		return -EINVAL;
	if (is_variable(msr))
		valid = var_valid(msr - MSR_MTRR_VAR_FIRST, value);
	else if (msr == MSR_MTRR_DEF)
		valid = def_valid(value);
	else
		valid = types_valid(value, msr == MSR_PAT ? PAT_TYPES : MTRR_TYPES);
	if (!valid)
		return -EINVAL;
	*field = value;
	return 0;
}

/* ---- Start values ---- */

void mtrr_boot_init(void)
{
	uint64_t cap;
	unsigned i, ranges;

	if (rdmsr_safe(MSR_MTRR_CAP, &cap) || rdmsr_safe(MSR_MTRR_DEF, &host.def) ||
	    !def_valid(host.def))
		return;
	ranges = (unsigned)(cap & 0xff);
	if (ranges > CAP_VARIABLE) {
		log_debug("mtrr: %u variable ranges, dom0 sees %u\n", ranges, CAP_VARIABLE);
		ranges = CAP_VARIABLE;
	}
	for (i = 0; i < 2 * ranges; i++) {
		/* A register that cannot be read or makes no sense does not become a range. */
		if (rdmsr_safe(MSR_MTRR_VAR_FIRST + i, &host.var[i]) || !var_valid(i, host.var[i]))
			host.var[i] = 0;
	}
	if (cap & CAP_FIXED) {
		for (i = 0; i < ARRAY_SIZE(fixed_msrs); i++) {
			if (rdmsr_safe(fixed_msrs[i], &host.fixed[i]) ||
			    !types_valid(host.fixed[i], MTRR_TYPES))
				host.fixed[i] = 0;
		}
	} else {
		host.def &= ~DEF_FIXED_ENABLED;
	}
	host.valid = true;
}

void mtrr_vcpu_init(struct vcpu *v)
{
	struct arch_vcpu *a = &v->arch;

	memset(a->mtrr_fixed, 0, sizeof(a->mtrr_fixed));
	memset(a->mtrr_var, 0, sizeof(a->mtrr_var));
	a->mtrr_def = DEF_ENABLED | TYPE_WB;
	a->pat = PAT_AT_RESET;
	if (v->domain->hardware && host.valid) {
		a->mtrr_def = host.def;
		memcpy(a->mtrr_fixed, host.fixed, sizeof(host.fixed));
		memcpy(a->mtrr_var, host.var, sizeof(host.var));
	}
}
