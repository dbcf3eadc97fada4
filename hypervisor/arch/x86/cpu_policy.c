/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU policies: to and from lists of leaves, feature sets, levelling. */
#include <arch/cpu_policy.h>
#include <bulkhead/bitmap.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

_Static_assert(sizeof(xen_cpuid_leaf_t) == 24, "ABI");
_Static_assert(sizeof(xen_msr_entry_t) == 16, "ABI");

enum {
	EAX,
	EBX,
	ECX,
	EDX
};

#define LEAF_CACHE	4U
#define LEAF_FEATURES	7U
#define LEAF_TOPOLOGY	0xbU
#define LEAF_XSAVE	0xdU
#define LEAF_HV		0x40000000U
#define LEAF_HV2	0x40000100U
#define LEAF_EXT	0x80000000U
#define TOPOLOGY_LEVELS 2 /* subleaves of leaf 0xb that a list has */

/* Bits that the toolstack sets as it likes: they tell how the others count logical processors. */
#define HTT	   BIT32(28) /* 1.EDX */
#define CMP_LEGACY BIT32(1)  /* 0x80000001.ECX */

/* ---- Lists ---- */

struct list_writer {
	xen_cpuid_leaf_t *leaves;
	unsigned room, count;
};

static void put(struct list_writer *w, uint32_t leaf, uint32_t subleaf, const uint32_t r[4])
{
	if (w->count < w->room)
		w->leaves[w->count] = (xen_cpuid_leaf_t){leaf,	 subleaf, r[EAX],
							 r[EBX], r[ECX],  r[EDX]};
	w->count++;
}

/* Up to the highest state, also those in between that are not there. */
static void put_xsave(struct list_writer *w, const struct cpu_policy *p)
{
	for (uint32_t i = 0; i < CPU_POLICY_XSAVE && (i < 2 || p->xcr0_mask >> i); i++)
		put(w, LEAF_XSAVE, i, p->xsave[i]);
}

/*
 * The tools read a list into a structure of their own, and write that to a buffer of the length that they read: so the list
 * has every subleaf that they know, empty or not.
 */

static void put_basic(struct list_writer *w, const struct cpu_policy *p, uint32_t leaf)
{
	static const uint32_t nothing[4];

	switch (leaf) {
	case LEAF_CACHE:
		for (uint32_t i = 0; i < CPU_POLICY_CACHES; i++)
			put(w, leaf, i, p->cache[i]);
		break;
	case LEAF_FEATURES:
		for (uint32_t i = 0; i <= MIN(p->features[0][EAX], 1U); i++)
			put(w, leaf, i, p->features[i]);
		break;
	case LEAF_TOPOLOGY:
		/* It is not of the policy: it follows the number of vCPUs. */
		for (uint32_t i = 0; i < TOPOLOGY_LEVELS; i++)
			put(w, leaf, i, nothing);
		break;
	case LEAF_XSAVE:
		put_xsave(w, p);
		break;
	default:
		put(w, leaf, XEN_CPUID_NO_SUBLEAF, p->basic[leaf]);
	}
}

unsigned cpu_policy_list(const struct cpu_policy *p, xen_cpuid_leaf_t *leaves, unsigned room)
{
	struct list_writer w = {leaves, room, 0};
	/* No limit on the hypervisor's own leaves. */
	static const uint32_t no_limit[4];

	for (uint32_t i = 0; i <= MIN(p->basic[0][EAX], CPU_POLICY_BASIC - 1U); i++)
		put_basic(&w, p, i);
	put(&w, LEAF_HV, XEN_CPUID_NO_SUBLEAF, no_limit);
	put(&w, LEAF_HV2, XEN_CPUID_NO_SUBLEAF, no_limit);
	for (uint32_t i = 0; i < CPU_POLICY_EXTENDED && LEAF_EXT + i <= p->extended[0][EAX]; i++)
		put(&w, LEAF_EXT + i, XEN_CPUID_NO_SUBLEAF, p->extended[i]);
	return w.count;
}

static uint32_t (*find_basic(struct cpu_policy *p, uint32_t leaf, uint32_t subleaf))[4]
{
	switch (leaf) {
	case LEAF_CACHE:
		return subleaf < CPU_POLICY_CACHES ? &p->cache[subleaf] : NULL;
	case LEAF_FEATURES:
		return subleaf < 2 ? &p->features[subleaf] : NULL;
	case LEAF_XSAVE:
		return subleaf < CPU_POLICY_XSAVE ? &p->xsave[subleaf] : NULL;
	default:
		return subleaf == XEN_CPUID_NO_SUBLEAF ? &p->basic[leaf] : NULL;
	}
}

int cpu_policy_take(struct cpu_policy *p, const xen_cpuid_leaf_t *leaf)
{
	uint32_t(*r)[4] = NULL, ext = leaf->leaf - LEAF_EXT;

	if (leaf->leaf == LEAF_TOPOLOGY && leaf->subleaf < TOPOLOGY_LEVELS)
		return 0;
	if ((leaf->leaf == LEAF_HV || leaf->leaf == LEAF_HV2) &&
	    leaf->subleaf == XEN_CPUID_NO_SUBLEAF)
		return 0;
	if (leaf->leaf < CPU_POLICY_BASIC && leaf->leaf != LEAF_TOPOLOGY)
		r = find_basic(p, leaf->leaf, leaf->subleaf);
	else if (ext < CPU_POLICY_EXTENDED && leaf->subleaf == XEN_CPUID_NO_SUBLEAF)
		r = &p->extended[ext];
	if (!r)
		return -ERANGE;
	(*r)[EAX] = leaf->a;
	(*r)[EBX] = leaf->b;
	(*r)[ECX] = leaf->c;
	(*r)[EDX] = leaf->d;
	return 0;
}

/* ---- Features ---- */

/* Words of a feature set, in their order; what this policy does not have is 0. */
static uint32_t *feature_word(struct cpu_policy *p, unsigned i)
{
	switch (i) {
	case 0:
		return &p->basic[1][EDX];
	case 1:
		return &p->basic[1][ECX];
	case 2:
		return &p->extended[1][EDX];
	case 3:
		return &p->extended[1][ECX];
	case 4:
		return &p->xsave[1][EAX];
	case 5:
		return &p->features[0][EBX];
	case 6:
		return &p->features[0][ECX];
	case 7:
		return &p->extended[7][EDX];
	case 8:
		return &p->extended[8][EBX];
	case 9:
		return &p->features[0][EDX];
	case 10:
		return &p->features[1][EAX];
	case 11:
		return &p->extended[0x21][EAX];
	case 12:
		return &p->features[1][EBX];
	case 14:
		return &p->features[1][ECX];
	case 15:
		return &p->features[1][EDX];
	case 18:
		return &p->extended[0x21][ECX];
	default:
		return NULL;
	}
}

void cpu_policy_features(const struct cpu_policy *p, uint32_t ret_words[CPU_FEATURE_WORDS])
{
	struct cpu_policy *q = (struct cpu_policy *)(uintptr_t)p;

	for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++) {
		const uint32_t *w = feature_word(q, i);

		ret_words[i] = w ? *w : 0;
	}
}

struct feature {
	uint8_t word, bit;
};

/* What makes no sense without `on` (SDM vol. 1, 13.1 to 14.8, 15.2). Sorted: what goes takes with it what follows. */
static const struct {
	struct feature on;
	uint8_t word;
	uint32_t bits;
} dependencies[] = {
	{{0, 25}, 0, BIT32(26)},		       /* SSE: SSE2 */
	{{0, 26}, 1, BIT32(0) | BIT32(1) | BIT32(25)}, /* SSE2: SSE3, PCLMULQDQ, AES */
	{{0, 26}, 5, BIT32(29)},		       /* SHA */
	{{0, 26}, 6, BIT32(8)},			       /* GFNI */
	{{1, 0}, 1, BIT32(9)},			       /* SSE3: SSSE3 */
	{{1, 0}, 3, BIT32(6)},			       /* SSE4A */
	{{1, 9}, 1, BIT32(19)},			       /* SSSE3: SSE4.1 */
	{{1, 19}, 1, BIT32(20)},		       /* SSE4.1: SSE4.2 */
	{{1, 26}, 1, BIT32(28)},		       /* XSAVE: AVX */
	{{1, 26}, 4, ~0U},			       /* XSAVEOPT and so on */
	{{1, 26}, 6, BIT32(3)},			       /* PKU */
	{{1, 28}, 1, BIT32(12) | BIT32(29)},	       /* AVX: FMA, F16C */
	{{1, 28}, 3, BIT32(11) | BIT32(16)},	       /* XOP, FMA4 */
	{{1, 28}, 5, BIT32(5)},			       /* AVX2 */
	{{5, 5}, 5, BIT32(16)},			       /* AVX2: AVX512F */
	{{5, 5}, 6, BIT32(9) | BIT32(10)},	       /* VAES, VPCLMULQDQ */
	{{5, 5}, 10, BIT32(4)},			       /* AVX-VNNI */
	{{5, 16}, 5, 0xd0220000U},		       /* AVX512F: DQ IFMA CD BW VL */
	{{5, 16}, 6, 0x00005842U},		       /* VBMI VBMI2 VNNI BITALG VPOPCNTDQ */
	{{5, 16}, 9, BIT32(2) | BIT32(3) | BIT32(8)},  /* 4VNNIW 4FMAPS VP2INTERSECT */
	{{5, 16}, 10, BIT32(5)},		       /* BF16 */
};

static bool has(struct cpu_policy *p, struct feature f)
{
	return *feature_word(p, f.word) >> f.bit & 1;
}

static void level_features(struct cpu_policy *p, const struct cpu_policy *max)
{
	struct cpu_policy *m = (struct cpu_policy *)(uintptr_t)max;

	for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++) {
		uint32_t *w = feature_word(p, i), any = i == 0 ? HTT : i == 3 ? CMP_LEGACY : 0;

		if (w)
			*w &= *feature_word(m, i) | any;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(dependencies); i++) {
		if (!has(p, dependencies[i].on))
			*feature_word(p, dependencies[i].word) &= ~dependencies[i].bits;
	}
}

/* State components (SDM vol. 1, 13.1) that the features left need; their places are those of the machine. */
static void level_xsave(struct cpu_policy *p, const struct cpu_policy *max)
{
	static const struct {
		struct feature on;
		uint64_t states;
	} needs[] = {
		{{1, 26}, 0x3},	 /* x87, SSE */
		{{1, 28}, 0x4},	 /* AVX */
		{{5, 16}, 0xe0}, /* AVX-512 */
		{{6, 3}, 0x200}, /* PKRU */
	};
	uint32_t options = p->xsave[1][EAX];
	uint64_t states = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(needs); i++)
		states |= has(p, needs[i].on) ? needs[i].states : 0;
	p->xcr0_mask = states &= max->xcr0_mask;
	memset(p->xsave, 0, sizeof(p->xsave));
	if (!states)
		return;
	p->xsave[0][EAX] = (uint32_t)states;
	p->xsave[0][EDX] = (uint32_t)(states >> 32);
	p->xsave[0][ECX] = 512 + 64;
	p->xsave[1][EAX] = options;
	for (unsigned i = 2; i < CPU_POLICY_XSAVE; i++) {
		if (!(states >> i & 1))
			continue;
		memcpy(p->xsave[i], max->xsave[i], sizeof(p->xsave[i]));
		p->xsave[0][ECX] = MAX(p->xsave[0][ECX], p->xsave[i][EAX] + p->xsave[i][EBX]);
	}
}

int cpu_policy_check(const struct cpu_policy *p, const struct cpu_policy *max,
		     struct cpu_policy_fault *ret_fault)
{
	struct cpu_policy_fault f = {~0U, ~0U, ~0U};

	if (p->basic[0][EAX] > max->basic[0][EAX]) {
		f.leaf = 0;
	} else if (p->features[0][EAX] > max->features[0][EAX]) {
		f.leaf = LEAF_FEATURES;
		f.subleaf = 0;
	} else if (p->extended[0][EAX] > max->extended[0][EAX]) {
		f.leaf = LEAF_EXT;
	} else {
		return 0;
	}
	*ret_fault = f;
	return -EINVAL;
}

/*
 * Family, names, sizes of caches and numbers of logical processors are the toolstack's to choose. The rest follows from the
 * features, or is the machine's.
 */
void cpu_policy_level(struct cpu_policy *p, const struct cpu_policy *max)
{
	static const uint8_t fixed[] = {3, 5, 6, 8, 9, 0xa, 0xb, 0xc};
	uint32_t phys_bits = p->extended[8][EAX] & 0xff, most = max->extended[8][EAX] & 0xff;

	level_features(p, max);
	level_xsave(p, max);
	/* The local APIC's id is each vCPU's own. */
	p->basic[1][EBX] &= 0x00ffffff;
	for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++)
		memcpy(p->basic[fixed[i]], max->basic[fixed[i]], sizeof(p->basic[0]));
	memcpy(&p->extended[9], &max->extended[9], (0x21 - 9) * sizeof(p->extended[0]));
	p->extended[7][EAX] = max->extended[7][EAX];
	p->extended[7][EBX] = max->extended[7][EBX];
	p->extended[7][ECX] = max->extended[7][ECX];
	p->extended[8][EAX] = (max->extended[8][EAX] & ~0xffU) | MIN(MAX(phys_bits, 32U), most);
	p->extended[8][EDX] = max->extended[8][EDX];
	p->extended[0x21][EBX] = max->extended[0x21][EBX];
	p->extended[0x21][EDX] = max->extended[0x21][EDX];
}
