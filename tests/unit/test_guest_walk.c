// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of walks of guest page tables: formats, rights, fault codes, accessed and dirty bits, changes meanwhile.
// cflags: -include tests/unit/fake_x86.h
// links: hypervisor/arch/x86/guest_walk.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arch/cpufeature.h>
#include <arch/guest_walk.h>
#include <arch/p2m.h>
#include <arch/paging.h>
#include <arch/registers.h>
#include <arch/vcpu.h>
#include <arch/vendor.h>
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>

#define FRAMES 16
#define ROOT   1
#define RW     (PTE_PRESENT | PTE_WRITE)
#define RWU    (PTE_PRESENT | PTE_WRITE | PTE_USER)
#define A      PTE_ACCESSED
#define D      PTE_DIRTY
/* Different indices at all levels: 1, 2, 3, 4, 5 from the top of five. */
#define VA4    ((2UL << 39) | (3UL << 30) | (4UL << 21) | (5UL << 12) | 0x678)
#define VA5    (VA4 | 1UL << 48)
#define VA3    (VA4 & 0xffffffff)

struct cpu *fake_this_cpu;
bool fake_irqs_off;
static struct page frames[FRAMES];
struct page *frame_table = frames;
uint64_t frame_count = FRAMES;
struct cpu_info cpu_info;

static uint64_t ram[FRAMES][512] __attribute__((aligned(4096)));
static enum p2m_type types[FRAMES];
static struct domain dom;
static struct vcpu vcpu;
static uint64_t cr0, cr3, cr4, efer;
static unsigned cpl, windows;
static uint32_t pkru;
static bool has_1g;
static void (*on_window)(void); /* what another vCPU does meanwhile */
static unsigned window_count;

bool cpu_has(enum cpu_feature f)
{
	return f == CPU_PDPE1GB && has_1g;
}

uint32_t vcpu_pkru(const struct vcpu *v)
{
	assert_ptr_equal(v, &vcpu);
	assert_true(cr4 & X86_CR4_PKE);
	return pkru;
}

static uint64_t get_cr(struct vcpu *v, unsigned cr)
{
	(void)v;
	return cr == 0 ? cr0 : cr == 3 ? cr3 : cr4;
}

static uint64_t get_efer(struct vcpu *v)
{
	(void)v;
	return efer;
}

static unsigned get_cpl(struct vcpu *v)
{
	(void)v;
	return cpl;
}

static const struct vendor_ops ops = {.get_cr = get_cr, .get_efer = get_efer, .get_cpl = get_cpl};
const struct vendor_ops *vendor = &ops;

mfn_t p2m_lookup_locked(struct domain *d, gfn_t gfn, enum p2m_type *ret_type)
{
	assert_true(__atomic_load_n(&d->arch.p2m.lock.state, __ATOMIC_RELAXED));
	if (gfn_raw(gfn) >= FRAMES) {
		*ret_type = P2M_NONE;
		return mfn_invalid();
	}
	*ret_type = types[gfn_raw(gfn)];
	return *ret_type == P2M_NONE ? mfn_invalid() : mfn_from(gfn_raw(gfn));
}

void *window_map(mfn_t m)
{
	windows++;
	window_count++;
	if (on_window)
		on_window();
	return ram[mfn_raw(m)];
}

void window_unmap(const void *p)
{
	assert_non_null(p);
	windows--;
}

static int setup(void **state)
{
	(void)state;
	memset(ram, 0, sizeof(ram));
	for (unsigned i = 0; i < FRAMES; i++) {
		types[i] = P2M_RAM;
		frames[i].state = PAGE_DOMAIN;
	}
	vcpu = (struct vcpu){.domain = &dom};
	cpu_info.phys_bits = 40;
	cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP;
	cr3 = ROOT << 12;
	cr4 = X86_CR4_PAE;
	efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_NX;
	cpl = 0;
	pkru = 0;
	has_1g = true;
	on_window = NULL;
	window_count = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(windows, 0);
	assert_int_equal(dom.arch.p2m.lock.state, 0);
	return 0;
}

/* Four levels to VA4, in frames 1 to 4; the leaf points to address 0x123456000. */
static void build4(uint64_t flags)
{
	ram[1][2] = 2 << 12 | flags;
	ram[2][3] = 3 << 12 | flags;
	ram[3][4] = 4 << 12 | flags;
	ram[4][5] = 0x123456000 | flags;
}

/* PAE tables to VA3: top in frame 1, then 3 and 4. */
static void build3(uint64_t flags)
{
	efer = X86_EFER_NX;
	ram[1][3] = 3 << 12 | PTE_PRESENT;
	ram[3][4] = 4 << 12 | flags;
	ram[4][5] = 0x123456000 | flags;
}

static void build2(uint32_t flags)
{
	uint32_t *top = (uint32_t *)ram[1], *table = (uint32_t *)ram[2];

	efer = 0;
	cr4 = X86_CR4_PSE;
	top[VA3 >> 22] = 2 << 12 | flags;
	table[VA3 >> 12 & 1023] = 0x87654000 | flags;
}

static void good(uint64_t va, unsigned access, uint64_t expected)
{
	uint32_t code = 0xdead;
	gaddr_t ga;

	assert_int_equal(guest_walk(&vcpu, va, access, &ga, &code), 0);
	assert_int_equal(gaddr_raw(ga), expected);
	assert_int_equal(code, 0xdead);
}

static void bad(uint64_t va, unsigned access, uint32_t expected)
{
	gaddr_t ga = gaddr_from(0x55);
	uint32_t code = 0;
	uint64_t before[FRAMES][512];

	memcpy(before, ram, sizeof(ram));
	assert_int_equal(guest_walk(&vcpu, va, access, &ga, &code), -EFAULT);
	assert_int_equal(code, expected);
	assert_int_equal(gaddr_raw(ga), 0x55);
	assert_memory_equal(before, ram, sizeof(ram));
}

/* ---- Formats ---- */

static void no_paging(void **state)
{
	(void)state;
	cr0 = X86_CR0_PE;
	good(0x12345678, WALK_WRITE, 0x12345678);
	good(0x112345678, WALK_WRITE, 0x12345678);
}

static void four_levels(void **state)
{
	(void)state;
	build4(RW);
	good(VA4, 0, 0x123456678);
	/* Where nothing is, at each level. */
	bad(VA4 ^ 1UL << 39, 0, 0);
	bad(VA4 ^ 1UL << 30, WALK_WRITE, PFEC_WRITE);
	bad(VA4 ^ 1UL << 21, WALK_USER, PFEC_USER);
	bad(VA4 ^ 1UL << 12, WALK_FETCH, PFEC_FETCH);
	/* Bits of CR3 that are no address. */
	cr3 |= 0xfff;
	good(VA4, 0, 0x123456678);
}

static void large_pages(void **state)
{
	(void)state;
	build4(RW);
	ram[3][4] = 0x2345600000 | RW | PTE_LARGE;
	good(VA4, 0, 0x2345600000 | (VA4 & 0x1fffff));
	/* Bit 12 is PAT's, not the address's. */
	ram[3][4] |= BIT(12);
	good(VA4, 0, 0x2345600000 | (VA4 & 0x1fffff));
	ram[2][3] = 0x1240000000 | RW | PTE_LARGE;
	good(VA4, 0, 0x1240000000 | (VA4 & 0x3fffffff));
}

static void five_levels(void **state)
{
	(void)state;
	build4(RW);
	ram[5][1] = 1 << 12 | RW;
	cr3 = 5 << 12;
	cr4 |= X86_CR4_LA57;
	good(VA5, 0, 0x123456678);
	assert_true(ram[5][1] & A);
	bad(VA4, 0, 0);
	/* Canonical are 57 bits. */
	bad(VA5 | 1UL << 57, 0, 0);
}

static void canonical(void **state)
{
	(void)state;
	build4(RW);
	bad(VA4 | 1UL << 48, 0, 0);
	bad(VA4 | 1UL << 63, WALK_WRITE, PFEC_WRITE);
	ram[1][0x102] = 2 << 12 | RW;
	good(VA4 | 0xffff800000000000, 0, 0x123456678);
}

static void pae(void **state)
{
	(void)state;
	build3(RW);
	cr3 = ROOT << 12 | 0x18; /* below the 32 bytes of alignment: no address */
	good(VA3, WALK_WRITE, 0x123456678);
	/* The top level has no rights and no accessed bit. */
	assert_int_equal(ram[1][3], 3 << 12 | PTE_PRESENT);
	assert_int_equal(ram[3][4], 4 << 12 | RW | A);
	assert_int_equal(ram[4][5], 0x123456000 | RW | A | D);
	/* One that the emulator has set there is no fault, other reserved bits are. */
	ram[1][3] |= A;
	good(VA3, WALK_WRITE, 0x123456678);
	ram[1][3] |= D;
	bad(VA3, 0, PFEC_PRESENT | PFEC_RESERVED);
	ram[1][3] = 3 << 12 | PTE_PRESENT;
	ram[3][4] = 0x2345600000 | RW | PTE_LARGE;
	good(VA3, 0, 0x2345600000 | (VA3 & 0x1fffff));
	/* Addresses have 32 bits. */
	good(VA3 | 1UL << 32, 0, 0x2345600000 | (VA3 & 0x1fffff));
	/* The table need not be aligned to a page. */
	memcpy(&ram[1][8], &ram[1][0], 32);
	ram[1][3] = 0;
	cr3 = ROOT << 12 | 64;
	good(VA3, 0, 0x2345600000 | (VA3 & 0x1fffff));
}

static void legacy(void **state)
{
	uint32_t *top = (uint32_t *)ram[1], *table = (uint32_t *)ram[2];
	unsigned i = VA3 >> 22, k = VA3 >> 12 & 1023;

	(void)state;
	build2(RW);
	top[i ^ 1] = table[k ^ 1] = 0xffffffff;
	good(VA3, WALK_WRITE, 0x87654678);
	assert_int_equal(top[i], 2 << 12 | RW | A);
	assert_int_equal(table[k], 0x87654000U | RW | A | D);
	/* What is next to an entry of 4 bytes stays as it is. */
	assert_int_equal(top[i ^ 1], 0xffffffff);
	assert_int_equal(table[k ^ 1], 0xffffffff);
	/* 4 MiB, with address bits 32 to 39. */
	top[i] = 0x87400000 | 0x5a << 13 | RW | PTE_LARGE;
	good(VA3, WALK_WRITE, 0x5a87400000 | (VA3 & 0x3fffff));
	assert_int_equal(top[i], 0x87400000U | 0x5a << 13 | RW | PTE_LARGE | A | D);
	bad(VA3, WALK_USER, PFEC_PRESENT | PFEC_USER);
	top[i] |= BIT32(21);
	bad(VA3, 0, PFEC_PRESENT | PFEC_RESERVED);
	/* Without CR4.PSE the bit means nothing. */
	cr4 = 0;
	top[i] = 2 << 12 | RW | PTE_LARGE;
	good(VA3, 0, 0x87654678);
	table[k] = 0;
	bad(VA3, 0, 0);
	top[i] = 0;
	bad(VA3, 0, 0);
}

static void reserved_bits(void **state)
{
	const uint32_t code = PFEC_PRESENT | PFEC_RESERVED;

	(void)state;
	for (unsigned l = 1; l <= 4; l++) {
		build4(RW);
		ram[l][l + 1] |= BIT(40);
		bad(VA4, 0, code);
		cpu_info.phys_bits = 41;
		build4(RW);
		ram[4][5] |= BIT(40);
		good(VA4, 0, 0x10123456678);
		cpu_info.phys_bits = 40;
		/* Bits 52 to 62 are the guest's. */
		build4(RW);
		ram[l][l + 1] |= 0x7ff0000000000000;
		good(VA4, 0, 0x123456678);
		/* NX is reserved while EFER does not allow it. */
		build4(RW);
		ram[l][l + 1] |= PTE_NX;
		good(VA4, 0, 0x123456678);
		efer &= ~X86_EFER_NX;
		bad(VA4, 0, code);
		efer |= X86_EFER_NX;
	}
	build4(RW);
	ram[1][2] |= PTE_LARGE;
	bad(VA4, WALK_WRITE, code | PFEC_WRITE);
	build4(RW);
	ram[3][4] = 0x2345600000 | RW | PTE_LARGE | BIT(13);
	bad(VA4, 0, code);
	ram[2][3] = 0x1240000000 | RW | PTE_LARGE | BIT(29);
	bad(VA4, 0, code);
	ram[2][3] &= ~BIT(29);
	good(VA4, 0, 0x1240000000 | (VA4 & 0x3fffffff));
	has_1g = false;
	bad(VA4, 0, code);
	has_1g = true;

	build3(RW);
	ram[1][3] |= PTE_WRITE;
	bad(VA3, 0, code);
	build3(RW);
	ram[4][5] |= BIT(59);
	bad(VA3, 0, code);
}

/* ---- Rights ---- */

/* All levels have to agree. */
static void write_and_user(void **state)
{
	(void)state;
	for (unsigned l = 1; l <= 4; l++) {
		build4(RWU);
		good(VA4, WALK_WRITE | WALK_USER, 0x123456678);
		ram[l][l + 1] &= ~(uint64_t)PTE_WRITE;
		good(VA4, WALK_USER, 0x123456678);
		bad(VA4, WALK_USER | WALK_WRITE, PFEC_PRESENT | PFEC_USER | PFEC_WRITE);
		bad(VA4, WALK_WRITE, PFEC_PRESENT | PFEC_WRITE);
		/* Only a supervisor's write passes without CR0.WP. */
		cr0 &= ~X86_CR0_WP;
		good(VA4, WALK_WRITE, 0x123456678);
		bad(VA4, WALK_USER | WALK_WRITE, PFEC_PRESENT | PFEC_USER | PFEC_WRITE);
		cr0 |= X86_CR0_WP;

		build4(RWU);
		ram[l][l + 1] &= ~(uint64_t)PTE_USER;
		good(VA4, WALK_WRITE, 0x123456678);
		bad(VA4, WALK_USER, PFEC_PRESENT | PFEC_USER);
	}
}

static void no_execute(void **state)
{
	(void)state;
	for (unsigned l = 1; l <= 4; l++) {
		build4(RWU);
		good(VA4, WALK_FETCH | WALK_USER, 0x123456678);
		ram[l][l + 1] |= PTE_NX;
		bad(VA4, WALK_FETCH | WALK_USER, PFEC_PRESENT | PFEC_USER | PFEC_FETCH);
		good(VA4, WALK_WRITE, 0x123456678);
	}
	/* The bit of the error code says so only where there is such a right. */
	build2(RW);
	bad(VA3, WALK_FETCH | WALK_USER, PFEC_PRESENT | PFEC_USER);
	cr4 |= X86_CR4_SMEP;
	bad(VA3, WALK_FETCH | WALK_USER, PFEC_PRESENT | PFEC_USER | PFEC_FETCH);
}

static void smep(void **state)
{
	(void)state;
	build4(RWU);
	good(VA4, WALK_FETCH, 0x123456678);
	cr4 |= X86_CR4_SMEP;
	bad(VA4, WALK_FETCH, PFEC_PRESENT | PFEC_FETCH);
	good(VA4, WALK_FETCH | WALK_USER, 0x123456678);
	good(VA4, WALK_WRITE, 0x123456678);
	/* One level without the user bit makes it the supervisor's. */
	ram[2][3] &= ~(uint64_t)PTE_USER;
	good(VA4, WALK_FETCH, 0x123456678);
}

static void smap(void **state)
{
	(void)state;
	build4(RWU);
	cr4 |= X86_CR4_SMAP;
	bad(VA4, 0, PFEC_PRESENT);
	bad(VA4, WALK_WRITE, PFEC_PRESENT | PFEC_WRITE);
	good(VA4, WALK_FETCH, 0x123456678);
	good(VA4, WALK_USER | WALK_WRITE, 0x123456678);
	vcpu.arch.rflags = X86_EFLAGS_AC;
	good(VA4, WALK_WRITE, 0x123456678);
	/* At CPL 3 the flag is that of the user; what is accessed for the supervisor then is implicit. */
	cpl = 3;
	bad(VA4, 0, PFEC_PRESENT);
	good(VA4, WALK_USER, 0x123456678);
	build4(RW);
	good(VA4, WALK_WRITE, 0x123456678);
}

static void protection_keys(void **state)
{
	(void)state;
	build4(RWU);
	ram[4][5] |= 5UL << 59;
	/* Of other levels the bits mean nothing. */
	ram[3][4] |= 6UL << 59;
	pkru = ~(3U << 10);
	cr4 |= X86_CR4_PKE;
	good(VA4, WALK_USER | WALK_WRITE, 0x123456678);
	pkru = 1U << 10;
	bad(VA4, WALK_USER, PFEC_PRESENT | PFEC_USER | PFEC_PK);
	bad(VA4, 0, PFEC_PRESENT | PFEC_PK);
	good(VA4, WALK_FETCH | WALK_USER, 0x123456678);
	pkru = 2U << 10;
	good(VA4, WALK_USER, 0x123456678);
	bad(VA4, WALK_USER | WALK_WRITE, PFEC_PRESENT | PFEC_USER | PFEC_WRITE | PFEC_PK);
	bad(VA4, WALK_WRITE, PFEC_PRESENT | PFEC_WRITE | PFEC_PK);
	cr0 &= ~X86_CR0_WP;
	good(VA4, WALK_WRITE, 0x123456678);
	bad(VA4, WALK_USER | WALK_WRITE, PFEC_PRESENT | PFEC_USER | PFEC_WRITE | PFEC_PK);
	/* Supervisor pages have no keys. */
	pkru = ~0U;
	ram[1][2] &= ~(uint64_t)PTE_USER;
	good(VA4, WALK_WRITE, 0x123456678);
	ram[1][2] |= PTE_USER;
	cr4 &= ~X86_CR4_PKE;
	good(VA4, WALK_USER | WALK_WRITE, 0x123456678);
	/* Nor are there any outside of long mode. */
	cr4 |= X86_CR4_PKE;
	build3(RWU);
	good(VA3, WALK_USER, 0x123456678);
}

/* ---- Accessed and dirty ---- */

static void accessed_and_dirty(void **state)
{
	(void)state;
	build4(RW);
	good(VA4, 0, 0x123456678);
	for (unsigned l = 1; l <= 3; l++)
		assert_int_equal(ram[l][l + 1], (l + 1) << 12 | RW | A);
	assert_int_equal(ram[4][5], 0x123456000 | RW | A);
	window_count = 0;
	good(VA4, WALK_WRITE, 0x123456678);
	assert_int_equal(ram[1][2], 2 << 12 | RW | A);
	assert_int_equal(ram[4][5], 0x123456000 | RW | A | D);
	assert_int_equal(window_count, 4 + 1);
	/* What is set already is not written again. */
	window_count = 0;
	good(VA4, WALK_WRITE, 0x123456678);
	assert_int_equal(window_count, 4);

	ram[3][4] = 0x2345600000 | RW | PTE_LARGE;
	good(VA4, WALK_WRITE, 0x2345600000 | (VA4 & 0x1fffff));
	assert_int_equal(ram[3][4], 0x2345600000 | RW | PTE_LARGE | A | D);
}

/* A table in memory that the guest may only read stays as it is, and is good for a translation. */
static void table_that_cannot_be_written(void **state)
{
	(void)state;
	build4(RW);
	types[2] = P2M_RAM_RO;
	types[4] = P2M_GRANT_RO;
	good(VA4, WALK_WRITE, 0x123456678);
	assert_int_equal(ram[1][2], 2 << 12 | RW | A);
	assert_int_equal(ram[2][3], 3 << 12 | RW);
	assert_int_equal(ram[3][4], 4 << 12 | RW | A);
	assert_int_equal(ram[4][5], 0x123456000 | RW);
}

static void table_where_no_memory_is(void **state)
{
	(void)state;
	build4(RW);
	types[3] = P2M_NONE;
	bad(VA4, WALK_WRITE, PFEC_WRITE);
	types[3] = P2M_MMIO;
	bad(VA4, 0, 0);
	types[3] = P2M_RAM;
	ram[2][3] = FRAMES << 12 | RW;
	bad(VA4, 0, 0);
	cr3 = FRAMES << 12;
	bad(VA4, 0, 0);
}

static void remap(void)
{
	/* All four entries have been read; the first one is about to be marked. */
	if (window_count == 5)
		ram[4][5] = 0x777777000 | PTE_PRESENT;
}

/* What was read is not what is there when the bits are set: the translation is the new one. */
static void changed_meanwhile(void **state)
{
	(void)state;
	build4(RW);
	on_window = remap;
	good(VA4, 0, 0x777777678);
	assert_int_equal(ram[4][5], 0x777777000 | PTE_PRESENT | A);
	/* The same, and now it may not be written. */
	build4(RW);
	window_count = 0;
	assert_int_equal(guest_walk(&vcpu, VA4, WALK_WRITE, &(gaddr_t){0}, &(uint32_t){0}),
			 -EFAULT);
	assert_int_equal(ram[4][5], 0x777777000 | PTE_PRESENT);
}

static void flip(void)
{
	ram[4][5] ^= BIT(9);
}

/* A guest that never leaves its tables alone does not keep the CPU here. */
static void changed_all_the_time(void **state)
{
	(void)state;
	build4(RW);
	on_window = flip;
	good(VA4, WALK_WRITE, 0x123456678);
	assert_in_range(window_count, 5, 100);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_paging),
		T(four_levels),
		T(large_pages),
		T(five_levels),
		T(canonical),
		T(pae),
		T(legacy),
		T(reserved_bits),
		T(write_and_user),
		T(no_execute),
		T(smep),
		T(smap),
		T(protection_keys),
		T(accessed_and_dirty),
		T(table_that_cannot_be_written),
		T(table_where_no_memory_is),
		T(changed_meanwhile),
		T(changed_all_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
