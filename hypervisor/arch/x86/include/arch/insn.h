/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x86 instructions: decoding, naming and emulation; needs nothing else of the hypervisor. */
#ifndef ARCH_INSN_H
#define ARCH_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Decoding.
 *
 * insn_decode() covers every opcode of the maps that a CPU with AVX-512 knows, so that the length of
 * whatever a guest executes is found; emulation covers what reaches memory-mapped registers in practice.
 */

/* An instruction is never longer; the CPU raises #GP for a longer one (APM 3, 1.1). */
#define INSN_MAX_LENGTH 15

/* The code segment's mode. _64_AMD differs from _64 in near branches only: AMD's CPUs honour an
 * operand-size prefix on them, Intel's ignore it (APM 3, "near branches"; SDM 2, Jcc). */
enum insn_mode {
	INSN_MODE_16,
	INSN_MODE_32,
	INSN_MODE_64,
	INSN_MODE_64_AMD,
};

enum insn_encoding {
	INSN_LEGACY,
	INSN_VEX,
	INSN_EVEX,
	INSN_XOP,
	INSN_3DNOW,
};

/* For VEX, EVEX and XOP this is the map field itself. */
enum insn_map {
	INSN_MAP_1BYTE = 0,
	INSN_MAP_0F = 1,
	INSN_MAP_0F38 = 2,
	INSN_MAP_0F3A = 3,
	INSN_MAP_EVEX5 = 5,
	INSN_MAP_EVEX6 = 6,
	INSN_MAP_XOP8 = 8,
	INSN_MAP_XOP9 = 9,
	INSN_MAP_XOPA = 10,
};

/* In the order of their encoding. */
enum insn_seg {
	INSN_ES,
	INSN_CS,
	INSN_SS,
	INSN_DS,
	INSN_FS,
	INSN_GS,
	INSN_NR_SEGS,
};

/* In the order of their encoding. */
enum insn_reg {
	INSN_RAX,
	INSN_RCX,
	INSN_RDX,
	INSN_RBX,
	INSN_RSP,
	INSN_RBP,
	INSN_RSI,
	INSN_RDI,
	INSN_R8,
	INSN_R15 = 15,
	INSN_NR_REGS,
	INSN_NO_REG = 0xff,
};

/* The last of several F2 and F3 prefixes counts; segment overrides that 64-bit mode ignores are not noted. */
#define INSN_PFX_OPSIZE	  0x01
#define INSN_PFX_ADDRSIZE 0x02
#define INSN_PFX_LOCK	  0x04
#define INSN_PFX_REP	  0x08
#define INSN_PFX_REPNE	  0x10
#define INSN_PFX_SEG	  0x20
#define INSN_PFX_REX	  0x40

/* Bits of insn.rex, as in a REX prefix. */
#define INSN_REX_B 0x1
#define INSN_REX_X 0x2
#define INSN_REX_R 0x4
#define INSN_REX_W 0x8

/* The mandatory prefix of a vector instruction, encoded as in VEX.pp. F2 and F3 go before 66. */
enum insn_pp {
	INSN_PP_NONE,
	INSN_PP_66,
	INSN_PP_F3,
	INSN_PP_F2,
};

struct insn {
	uint8_t length;	  /* bytes, 1 to INSN_MAX_LENGTH */
	uint8_t mode;	  /* enum insn_mode */
	uint8_t encoding; /* enum insn_encoding */
	uint8_t map;	  /* enum insn_map */
	uint8_t opcode;	  /* for 3DNow! the byte behind the operands */
	uint8_t prefixes; /* INSN_PFX_* */
	uint8_t rex;	  /* INSN_REX_*, from REX, VEX, EVEX or XOP */
	uint8_t pp;	  /* enum insn_pp */
	uint8_t op_size;  /* 2, 4 or 8: of the operands that are not bytes and not vectors */
	uint8_t addr_size;
	uint8_t vex_vvvv; /* VEX, EVEX, XOP: not inverted; 0 when the field is unused (all ones) */
	uint8_t vex_l;	  /* VEX, EVEX, XOP: 0, 1, 2 for vectors of 16, 32, 64 bytes */
	bool has_modrm;
	uint8_t modrm;
	uint8_t reg; /* ModRM.reg with its extension bit; MOV CRn and DRn: the number n */
	uint8_t rm;  /* ModRM.rm with its extension bit: a register if has_mem is false */

	/* The memory operand, ModRM or moffs: seg:[base + (index << scale) + disp] within addr_size. */
	bool has_mem;
	bool rip_relative; /* disp counts from the next instruction */
	uint8_t seg;   /* enum insn_seg: default or override; string instructions: of the source */
	uint8_t base;  /* enum insn_reg or INSN_NO_REG */
	uint8_t index; /* enum insn_reg or INSN_NO_REG; a vector register for gathers and scatters */
	uint8_t scale; /* 0 to 3 */
	int64_t disp;  /* sign-extended; a moffs is not; EVEX: disp8 without its factor */

	uint8_t imm_size; /* bytes, 0 if there is none; the second one not counted */
	uint64_t imm;	  /* sign-extended */
	uint16_t imm2; /* nesting level of ENTER, selector of a far pointer, second byte of EXTRQ */
};

/*
 * Decodes the instruction at bytes. Of the len bytes no more than INSN_MAX_LENGTH are looked at.
 * -EAGAIN: it goes on behind the last byte given; -EINVAL: undefined opcode or illegal LOCK (#UD);
 * -E2BIG: longer than INSN_MAX_LENGTH (#GP). *ret_insn is untouched on failure.
 */
int insn_decode(struct insn *ret_insn, const uint8_t *bytes, unsigned int len, enum insn_mode mode);

/* The instruction pointer behind the instruction at rip. */
uint64_t insn_next_rip(const struct insn *insn, uint64_t rip);

/*
 * Naming: which of the instructions that a hypervisor intercepts is it? A prefix that changes the
 * meaning makes it another instruction or INSN_OTHER; one that is ignored does not.
 */
enum insn_kind {
	INSN_OTHER,
	INSN_CPUID,
	INSN_RDMSR,
	INSN_WRMSR,
	INSN_RDTSC,
	INSN_RDTSCP,
	INSN_RDPMC,
	INSN_RDPRU,
	INSN_HLT,
	INSN_PAUSE,
	INSN_MONITOR,
	INSN_MWAIT,
	INSN_MONITORX,
	INSN_MWAITX,
	INSN_INVD,
	INSN_WBINVD,
	INSN_WBNOINVD,
	INSN_INVLPG,
	INSN_INVLPGA,
	INSN_INVLPGB,
	INSN_TLBSYNC,
	INSN_INVPCID,
	INSN_XSETBV,
	INSN_XGETBV,
	INSN_XSAVES,
	INSN_XRSTORS,
	INSN_MOV_FROM_CR, /* reg: CR number, rm: general register */
	INSN_MOV_TO_CR,
	INSN_MOV_FROM_DR,
	INSN_MOV_TO_DR,
	INSN_CLTS,
	INSN_LMSW,
	INSN_SMSW,
	INSN_IN,
	INSN_OUT,
	INSN_INS,
	INSN_OUTS,
	INSN_IRET,
	INSN_CLI,
	INSN_STI,
	INSN_PUSHF,
	INSN_POPF,
	INSN_INT3,
	INSN_INTO,
	INSN_INTN, /* imm: vector */
	INSN_ICEBP,
	INSN_RSM,
	INSN_SGDT,
	INSN_SIDT,
	INSN_SLDT,
	INSN_STR,
	INSN_LGDT,
	INSN_LIDT,
	INSN_LLDT,
	INSN_LTR,
	INSN_RDRAND,
	INSN_RDSEED,
	INSN_RDPID,
	INSN_SWAPGS,
	INSN_UD2,
	INSN_VMRUN,
	INSN_VMMCALL,
	INSN_VMLOAD,
	INSN_VMSAVE,
	INSN_STGI,
	INSN_CLGI,
	INSN_SKINIT,
	INSN_VMCALL,
	INSN_VMLAUNCH,
	INSN_VMRESUME,
	INSN_VMXOFF,
	INSN_VMXON,
	INSN_VMFUNC,
	INSN_VMPTRLD,
	INSN_VMPTRST,
	INSN_VMCLEAR,
	INSN_VMREAD,
	INSN_VMWRITE,
	INSN_INVEPT,
	INSN_INVVPID,
};

enum insn_kind insn_classify(const struct insn *insn);

/*
 * Emulation.
 *
 * The caller fills a context with the state of the virtual CPU, has the instruction fetched and decoded, and
 * calls insn_emulate(). Everything the instruction does to registers is in the context afterwards; memory,
 * ports and vector registers are reached through callbacks.
 */

/* Bits of RFLAGS that emulation looks at. */
#define INSN_FLAG_CF 0x0001U
#define INSN_FLAG_PF 0x0004U
#define INSN_FLAG_AF 0x0010U
#define INSN_FLAG_ZF 0x0040U
#define INSN_FLAG_SF 0x0080U
#define INSN_FLAG_TF 0x0100U
#define INSN_FLAG_DF 0x0400U
#define INSN_FLAG_OF 0x0800U
#define INSN_FLAG_RF 0x10000U

/* Attributes: bits 40-47 and 52-55 of a descriptor, side by side, as in a VMCB (APM 2, 15.5.1). */
#define INSN_ATTR_ACCESSED    0x001
#define INSN_ATTR_WRITE	      0x002 /* data: may be written; code: may be read */
#define INSN_ATTR_EXPAND_DOWN 0x004 /* data only */
#define INSN_ATTR_CODE	      0x008
#define INSN_ATTR_PRESENT     0x080
#define INSN_ATTR_BIG	      0x400

struct insn_segment {
	uint64_t base;
	uint32_t limit; /* in bytes, whatever the granularity */
	uint16_t attr;	/* INSN_ATTR_*; not present means unusable */
	uint16_t selector;
};

/* Vectors of the exceptions that emulation raises by itself. */
#define INSN_VECTOR_DE 0
#define INSN_VECTOR_UD 6
#define INSN_VECTOR_SS 12
#define INSN_VECTOR_GP 13

struct insn_fault {
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint64_t cr2; /* page faults only */
};

struct insn_ctx {
	uint64_t gpr[INSN_NR_REGS];
	uint64_t rip;
	uint64_t rflags;
	struct insn_segment seg[INSN_NR_SEGS];
	uint8_t mode;	     /* enum insn_mode */
	uint8_t cpl;	     /* for the callbacks; emulation does not look at it */
	uint8_t linear_bits; /* 48, or 57 with five-level paging */
	bool real_mode;	     /* real or virtual-8086 mode: segments have no types */
	uint32_t
		rep_limit; /* iterations of a string instruction in one call; 0 means INSN_REP_LIMIT */
	void *opaque;	   /* for the callbacks */

	/* Results. */
	struct insn_fault fault; /* what to inject, after -EFAULT */
	bool debug_trap;	 /* after 0 or -ERESTART: RFLAGS.TF asks for a #DB (DR6.BS) now */
};

#define INSN_REP_LIMIT 1024

/* The longest access to memory: one AVX register. */
#define INSN_MAX_ACCESS 32

enum insn_access {
	INSN_ACCESS_READ,
	INSN_ACCESS_MODIFY, /* a read whose page must be writable: the write follows */
	INSN_ACCESS_WRITE,
	INSN_ACCESS_FETCH, /* instruction bytes */
};

/* One access. Its bytes are canonical throughout, and below 4 GiB outside 64-bit mode; linear + size does not wrap
 * (the last byte of the address space is never accessed). They may cross pages. */
struct insn_mem {
	uint64_t linear;
	uint8_t size;
	uint8_t seg;	/* enum insn_seg */
	uint8_t access; /* enum insn_access */
	bool locked;	/* of an instruction that locks the bus */
};

/* Some iterations of a REP INS, OUTS, MOVS or STOS at once. */
enum insn_bulk_kind {
	INSN_BULK_INS,
	INSN_BULK_OUTS,
	INSN_BULK_MOVS,
	INSN_BULK_STOS,
};

struct insn_bulk {
	uint8_t kind; /* enum insn_bulk_kind */
	uint8_t size; /* of one element */
	bool down;    /* addresses descend (RFLAGS.DF) */
	uint8_t src_seg;
	uint16_t port;
	uint32_t count; /* at least 2 */
	uint64_t src;	/* linear address of the first element: OUTS, MOVS */
	uint64_t dst;	/* the same: INS, MOVS, STOS */
	uint64_t value; /* STOS */
};

/*
 * Callbacks. Each returns 0 or a negative errno, which insn_emulate() returns in its turn:
 * -EFAULT after filling ctx->fault means that the guest gets this exception; any other number has the
 * meaning that the callbacks' owner gives to it, such as "wait for the device and emulate again".
 *
 * Emulating an instruction again asks for the same accesses in the same order. So an owner whose
 * devices answer later keeps a log of the device accesses of the current step that are done, and answers from
 * it. It empties the log in step_done(), and when insn_emulate() returns anything but the owner's own "wait".
 */
struct insn_ops {
	int (*read)(struct insn_ctx *ctx, const struct insn_mem *mem, void *buf);
	int (*write)(struct insn_ctx *ctx, const struct insn_mem *mem, const void *buf);

	/* Optional: stores desired if memory still holds expected, atomically; else -ERESTART, and the
	 * guest tries again; for a device it is a write. Called instead of write() by instructions that
	 * lock the bus; size is 1 to 16. */
	int (*cmpxchg)(struct insn_ctx *ctx, const struct insn_mem *mem, const void *expected,
		       const void *desired);

	/* Optional: would write() raise an exception? Called before a device is read for INS. */
	int (*probe_write)(struct insn_ctx *ctx, const struct insn_mem *mem);

	/*
	 * Port I/O; without them such instructions give -EOPNOTSUPP. Emulation does not check IOPL and the
	 * I/O bitmap, the CPU does before it exits. The guest can have changed the instruction since: give
	 * these callbacks on exits for port I/O only, and compare port, size and direction with the exit's.
	 */
	int (*in)(struct insn_ctx *ctx, uint16_t port, unsigned int size, uint32_t *ret_value);
	int (*out)(struct insn_ctx *ctx, uint16_t port, unsigned int size, uint32_t value);

	/* Optional: does the first *ret_done <= count iterations, with the effect of one after the other even
	 * where source and destination overlap; 0 of them means: one by one, please. With an error the
	 * iterations done before it count. */
	int (*bulk)(struct insn_ctx *ctx, const struct insn_bulk *bulk, uint32_t *ret_done);

	/* Optional: an iteration of a repeated string instruction is in the context now. */
	void (*step_done)(struct insn_ctx *ctx);

	/*
	 * Vector registers; without them such instructions give -EOPNOTSUPP. size is 16 or 32. With
	 * zero_upper the rest of the register, up to the widest the guest has, becomes zero.
	 */
	int (*read_vec)(struct insn_ctx *ctx, unsigned int reg, void *buf, unsigned int size);
	int (*write_vec)(struct insn_ctx *ctx, unsigned int reg, const void *buf, unsigned int size,
			 bool zero_upper);
};

/*
 * Fetches through ops->read() and decodes the instruction at ctx->rip; no page is touched that the
 * instruction does not reach. Errors: those of insn_decode() but -EAGAIN, those of ops->read(), and
 * -EFAULT with #GP in ctx->fault for what lies beyond the code segment.
 */
int insn_fetch(struct insn_ctx *ctx, const struct insn_ops *ops, struct insn *ret_insn);

/*
 * Emulates insn.
 *  0            done; registers, RIP and flags are in ctx
 *  -ERESTART    some iterations of a string instruction are done, RIP still points to it; or a locked access
 *               lost against another CPU. Let the guest execute it again.
 *  -EFAULT      ctx->fault is to be injected
 *  -EOPNOTSUPP  no emulation for this instruction
 *  another      from a callback
 * Unless 0 is returned, ctx holds the state before the instruction, or that after the last completed iteration
 * of a string instruction. The caller ends the interrupt shadow after 0.
 */
int insn_emulate(struct insn_ctx *ctx, const struct insn_ops *ops, const struct insn *insn);

#endif
