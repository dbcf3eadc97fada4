// SPDX-License-Identifier: GPL-2.0-or-later
// What the hostile guest does to its (virtual) machine.
#include "domu/attack.h"

/* ---- Registers ---- */

static uint32_t some_msr(void)
{
	static const uint32_t bases[] = {0x00,	     0x10,	 0x1b,	     0x40,	 0x80,
					 0xc0,	     0xe0,	 0x170,	     0x1a0,	 0x1d0,
					 0x200,	     0x250,	 0x2ff,	     0x300,	 0x400,
					 0x480,	     0x600,	 0x6e0,	     0x800,	 0x830,
					 0x40000000, 0x40000200, 0xc0000080, 0xc0000100, 0xc0010000,
					 0xc0010010, 0xc0010110, 0xc0011000, 0xc0011020};

	if (!attack_below(4))
		return (uint32_t)attack_random();
	return bases[attack_below(sizeof(bases) / sizeof(bases[0]))] + attack_below(32);
}

/* Without these it could not go on: the mode, the APIC, where its descriptors and its code are. */
static bool own_life(uint32_t msr)
{
	return msr == 0xc0000080 || msr == MSR_APIC_BASE || (msr & ~0xffu) == 0x40000000 ||
	       msr == MSR_X2APIC + APIC_ICR;
}

void attack_msr(void)
{
	uint32_t msr = some_msr();
	uint64_t value;

	if (attack_below(2)) {
		rdmsr_safe(msr, &value);
	} else if (!own_life(msr) || !attack_below(200)) {
		value = attack_value();
		if (rdmsr_safe(msr, &value) && attack_below(2))
			value ^= 1ull << attack_below(64);
		wrmsr_safe(msr, value);
	}
}

void attack_control_register(void)
{
	uint64_t old, bit = 1ull << attack_below(33);

	switch (attack_below(5)) {
	case 0:
		__asm__ volatile("movq %%cr0, %0" : "=r"(old));
		__asm__ volatile("movq %0, %%cr0" : : "r"(old ^ bit) : "memory");
		__asm__ volatile("movq %0, %%cr0" : : "r"(old) : "memory");
		break;
	case 1:
		__asm__ volatile("movq %%cr4, %0" : "=r"(old));
		__asm__ volatile("movq %0, %%cr4" : : "r"(old ^ bit) : "memory");
		__asm__ volatile("movq %0, %%cr4" : : "r"(old) : "memory");
		break;
	case 2:
		__asm__ volatile("movq %%cr3, %0" : "=r"(old));
		/* The same table with other attributes, or what is no address at all. */
		__asm__ volatile("movq %0, %%cr3"
				 :
				 : "r"(attack_below(8) ? old ^ (attack_random() & 0x18)
						       : old | attack_random() << 52)
				 : "memory");
		__asm__ volatile("movq %0, %%cr3" : : "r"(old) : "memory");
		break;
	case 3:
		write_cr8(attack_below(2) ? attack_value() : attack_below(16));
		write_cr8(0);
		break;
	default:
		old = attack_value();
		__asm__ volatile("movq %0, %%dr7" : : "r"(old & 0xffff) : "memory");
		__asm__ volatile("movq %0, %%dr7" : : "r"(0x400ul) : "memory");
	}
}

/* ---- Ports and device memory ---- */

void attack_port(void)
{
	static uint8_t buffer[PAGE_BYTES];
	static const uint16_t known[] = {0x20, 0x40, 0x60, 0x70,  0x80,	 0x92,
					 0xa0, 0xe9, 0xf0, 0x3f8, 0xcf8, 0xcfc};
	uint16_t port = attack_below(2) ? known[attack_below(12)] + (uint16_t)attack_below(8)
					: (uint16_t)attack_random();
	uint32_t value = (uint32_t)attack_value();
	uint64_t count = attack_below(64);
	void *at = attack_below(2) ? buffer : attack_address();

	switch (attack_below(8)) {
	case 0:
		__asm__ volatile("outb %%al, %%dx" : : "a"(value), "d"(port));
		break;
	case 1:
		__asm__ volatile("outw %%ax, %%dx" : : "a"(value), "d"(port));
		break;
	case 2:
		__asm__ volatile("outl %%eax, %%dx" : : "a"(value), "d"(port));
		break;
	case 3:
		__asm__ volatile("inb %%dx, %%al" : "+a"(value) : "d"(port));
		break;
	case 4:
		__asm__ volatile("inl %%dx, %%eax" : "+a"(value) : "d"(port));
		break;
	case 5:
		__asm__ volatile("rep insl" : "+D"(at), "+c"(count) : "d"(port) : "memory");
		break;
	case 6:
		__asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(port) : "memory");
		break;
	default:
		__asm__ volatile("std; rep insw; cld"
				 : "+D"(at), "+c"(count)
				 : "d"(port)
				 : "memory");
	}
}

void attack_device_memory(void)
{
	static uint64_t words[8];
	/* Behind the memory, or the APIC's page, which need not be there. */
	uint64_t base = attack_below(2) ? 0xfee00000u : 0x40000000u + attack_below(0x80000000u);
	volatile uint64_t *at = (volatile uint64_t *)(uintptr_t)(base + attack_below(PAGE_BYTES));
	uint64_t value = attack_value(), count = attack_below(16), back;

	switch (attack_below(9)) {
	case 0:
		*at = value;
		break;
	case 1:
		*(volatile uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		back = *at;
		words[0] = back;
		break;
	case 3:
		__asm__ volatile("xchgq %0, (%1)" : "+r"(value) : "r"(at) : "memory");
		break;
	case 4:
		__asm__ volatile("lock cmpxchgl %%ecx, (%0)"
				 :
				 : "r"(at), "a"(value), "c"(value)
				 : "memory");
		break;
	case 5:
		__asm__ volatile("rep movsq" : "+D"(at), "+c"(count) : "S"(words) : "memory");
		break;
	case 6:
		__asm__ volatile("rep stosl" : "+D"(at), "+c"(count) : "a"(value) : "memory");
		break;
	case 7:
		__asm__ volatile("lock btsl %1, (%0)" : : "r"(at), "r"((uint32_t)value) : "memory");
		break;
	default:
		/* To run what a device says. */
		((void (*)(void))(uintptr_t)at)();
	}
}

/* ---- Instructions ---- */

/* Each is followed by a RET. */
static const uint8_t odd[][16] = {
	{0x0f, 0x01, 0xd8, 0xc3},	      /* vmrun */
	{0x0f, 0x01, 0xda, 0xc3},	      /* vmload */
	{0x0f, 0x01, 0xdb, 0xc3},	      /* vmsave */
	{0x0f, 0x01, 0xdc, 0xc3},	      /* stgi */
	{0x0f, 0x01, 0xdd, 0xc3},	      /* clgi */
	{0x0f, 0x01, 0xde, 0xc3},	      /* skinit */
	{0x0f, 0x01, 0xdf, 0xc3},	      /* invlpga */
	{0x0f, 0x01, 0xc1, 0xc3},	      /* vmcall */
	{0x0f, 0x01, 0xd9, 0xc3},	      /* vmmcall */
	{0x0f, 0x01, 0xc2, 0xc3},	      /* vmlaunch */
	{0x0f, 0x01, 0xd4, 0xc3},	      /* vmfunc */
	{0xf3, 0x0f, 0xc7, 0x37, 0xc3},	      /* vmxon (%rdi) */
	{0x0f, 0x01, 0xc8, 0xc3},	      /* monitor */
	{0x0f, 0x01, 0xc9, 0xc3},	      /* mwait */
	{0x0f, 0x01, 0xd1, 0xc3},	      /* xsetbv */
	{0x0f, 0x01, 0xd0, 0xc3},	      /* xgetbv */
	{0x0f, 0x33, 0xc3},		      /* rdpmc */
	{0x0f, 0x01, 0xf9, 0xc3},	      /* rdtscp */
	{0x0f, 0x31, 0xc3},		      /* rdtsc */
	{0x0f, 0xa2, 0xc3},		      /* cpuid */
	{0x0f, 0x08, 0xc3},		      /* invd */
	{0x0f, 0x09, 0xc3},		      /* wbinvd */
	{0x0f, 0x01, 0x3f, 0xc3},	      /* invlpg (%rdi) */
	{0x66, 0x0f, 0x38, 0x82, 0x07, 0xc3}, /* invpcid */
	{0xf1, 0xc3},			      /* icebp */
	{0xcc, 0xc3},			      /* int3 */
	{0x0f, 0x0b, 0xc3},		      /* ud2 */
	{0xcd, 0x80, 0xc3},		      /* int $0x80 */
	{0x0f, 0xaa, 0xc3},		      /* rsm */
	{0x0f, 0x05, 0xc3},		      /* syscall */
	{0x0f, 0x34, 0xc3},		      /* sysenter */
	{0x0f, 0x37, 0xc3},		      /* getsec */
	{0x0f, 0x01, 0x07, 0xc3},	      /* sgdt (%rdi) */
	{0x0f, 0x00, 0xd8, 0xc3},	      /* ltr %ax */
	{0x0f, 0x01, 0xca, 0xc3},	      /* clac */
	{0x0f, 0x01, 0xf8, 0xc3},	      /* swapgs */
	{0x0f, 0x01, 0xe8, 0xc3},	      /* serialize */
	{0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x0f, 0xa2,
	 0xc3}, /* cpuid of 15 bytes */
};

void attack_instruction(void)
{
	static uint8_t scratch[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
	const uint8_t *code = odd[attack_below(sizeof(odd) / sizeof(odd[0]))];
	uint64_t a = attack_value(), c = attack_value(), d = attack_value();
	uint64_t di = ADDRESS(attack_below(2) ? scratch : attack_address());

	/* A hypercall with a random number could be the one that ends it all. */
	if (code[1] == 0x01 && (code[2] == 0xc1 || code[2] == 0xd9))
		a = attack_below(8) ? 17 : 64 + attack_random();
	/* Leaves of CPUID, and numbers of extended registers: small ones have more meaning. */
	else if (attack_below(2))
		a = attack_below(64) | (attack_below(2) ? 0x80000000u : 0x40000000u);
	/* QEMU 7.2 loads a null selector into TR, and itself ends at the next exception. */
	if (code[1] == 0x00 && code[2] == 0xd8)
		a |= 8;
	__asm__ volatile("call *%4"
			 : "+a"(a), "+c"(c), "+d"(d), "+D"(di)
			 : "r"(code)
			 : "rbx", "rsi", "r11", "memory");
}

/* ---- Modes ---- */

/* To 32-bit code and back, there also without paging (and so without long mode), with a hypercall on the way. */
__asm__(".pushsection .data\n"
	"attack_far: .long attack_code32; .word 0x18\n"
	"attack_back: .quad 0\n"
	".popsection\n"
	".pushsection .text\n"
	".globl attack_trip\n"
	"attack_trip:\n"
	"	pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"	movq %rdx, %r8\n"
	"	movl %edi, %eax; movl %esi, %ebx; movl %edx, %ecx; xorl %edx, %edx\n"
	"	xorl %esi, %esi; xorl %ebp, %ebp; movl attack_without_paging, %edi\n"
	"	lcall *attack_far\n"
	"	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
	"	ret\n"
	".code32\n"
	"attack_code32:\n"
	"	testl %edi, %edi\n"
	"	jz 1f\n"
	"	pushl %eax; movl %cr0, %eax; andl $0x7fffffff, %eax; movl %eax, %cr0; popl %eax\n"
	"1:	pushl %edi\n"
	"	vmmcall\n"
	"	popl %edi\n"
	"	testl %edi, %edi\n"
	"	jz 2f\n"
	"	movl %cr0, %eax; orl $0x80000000, %eax; movl %eax, %cr0\n"
	"2:	lret\n"
	".code64\n"
	".popsection\n");
void attack_trip(uint32_t number, uint32_t a, uint32_t b);
uint32_t attack_without_paging;

void attack_mode(void)
{
	static const uint8_t calls[] = {12, 13, 17, 18, 20, 21, 24, 27, 32, 33, 34, 39, 40, 41, 42};
	uint32_t number = attack_below(4) ? calls[attack_below(sizeof(calls))] : attack_below(64);
	uint32_t op = attack_below(24), address = (uint32_t)ADDRESS(attack_address());

	if ((number == 24 && op == 2) || number == 29)
		return;
	attack_without_paging = attack_below(2);
	/* Here the second argument is a length. */
	if (number == 13 || number == 18)
		address &= 63;
	attack_trip(number, op, address);
}

/* ---- Page tables ---- */

static uint64_t tables[3][512] __attribute__((aligned(PAGE_BYTES)));

static uint64_t odd_entry(void)
{
	uint64_t self = ADDRESS(tables[attack_below(3)]);

	switch (attack_below(6)) {
	case 0:
		return attack_random();
	case 1:
		return self | 0x3; /* a table that is its own table */
	case 2:
		return attack_gfn() * PAGE_BYTES | 0x3;
	case 3: /* large, and not aligned or where no memory is: others would have the kernel itself in them */
		return (attack_gfn() | (attack_below(2) ? 2 : 0x40000)) * PAGE_BYTES | 0x83;
	case 4:
		return self | 0x8000000000000063ull;
	default:
		return 0;
	}
}

/* Entries for the window, of which arguments of calls are taken. */
void attack_tables(void)
{
	guest_page_root[ATTACK_WINDOW >> 39 & 511] = attack_below(8) ? ADDRESS(tables[0]) | 0x3
								     : odd_entry();
	for (unsigned int i = 0; i < 16; i++)
		tables[attack_below(3)][attack_below(2) ? 0 : attack_below(512)] = odd_entry();
	__asm__ volatile("movq %%cr3, %%rax; movq %%rax, %%cr3" : : : "rax", "memory");
	if (attack_below(2)) {
		uint32_t value;

		read_safe((void *)(uintptr_t)(ATTACK_WINDOW + attack_below(1u << 30)), &value);
	}
}
