/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instruction emulator against the CPU it runs on: the same instruction, registers and memory for both. */
// links: hypervisor/arch/x86/emul/decode.c hypervisor/arch/x86/emul/opcodes.c hypervisor/arch/x86/emul/emulate.c
// links: hypervisor/arch/x86/emul/integer.c hypervisor/arch/x86/emul/string.c hypervisor/arch/x86/emul/vector.c
// links: hypervisor/arch/x86/emul/operand.c hypervisor/arch/x86/emul/alu.c
// cflags: -D_GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <arch/insn.h>

#define WINDOW_SIZE 4096
#define USER32_CS   0x23
#define USER64_CS   0x33
#define USER_DS	    0x2b

#define ARITHMETIC \
 (INSN_FLAG_CF | INSN_FLAG_PF | INSN_FLAG_AF | INSN_FLAG_ZF | INSN_FLAG_SF | INSN_FLAG_OF)

struct state {
	uint64_t gpr[16];
	uint64_t rflags;
	uint8_t vec[16][32];
};

/* Below 2 GiB, so that 32-bit addresses reach all of it. */
struct area {
	uint8_t code[4096];
	struct state in;
	struct state out;
	uint64_t host_rsp;
	uint64_t stack32[64];
	uint8_t pad[2048];
	uint8_t window[WINDOW_SIZE] __attribute__((aligned(64)));
};

static struct area *area;
static uint8_t *low_window; /* reachable with 16 bits; NULL where the host allows no such mapping */
static bool have_avx, have_movbe, have_32bit;

static uint64_t random_state = 0x853c49e6748fea9b;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1d;
}

/* Values at the edges are more interesting than others. */
static uint64_t random_operand(void)
{
	static const uint64_t edges[] = {0,	     1,		 2,
					 0x7f,	     0x80,	 0xff,
					 0x7fff,     0x8000,	 0xffff,
					 0x7fffffff, 0x80000000, 0xffffffff,
					 UINT64_MAX, INT64_MAX,	 (uint64_t)INT64_MIN};
	uint64_t value = random64();

	switch (value & 7) {
	case 0:
		return edges[(value >> 8) % (sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return value >> 8 & 0xff;
	default:
		return random64();
	}
}

/* Code. */

struct emitter {
	uint8_t *pos;
};

static void emit(struct emitter *emitter, const char *bytes, unsigned int n)
{
	memcpy(emitter->pos, bytes, n);
	emitter->pos += n;
}

#define EMIT(emitter, bytes) emit(emitter, bytes, sizeof(bytes) - 1)

static void emit32(struct emitter *emitter, uint32_t value)
{
	memcpy(emitter->pos, &value, 4);
	emitter->pos += 4;
}

static uint32_t address32(const void *p)
{
	return (uint32_t)(uintptr_t)p;
}

/* opcode with a register and an absolute address; ModRM 04 25 is that in 64-bit mode, 05 in 32-bit mode. */
static void emit_reg_mem(struct emitter *emitter, bool mode64, uint8_t opcode, unsigned int reg,
			 const void *p)
{
	if (mode64)
		*emitter->pos++ = reg & 8 ? 0x4c : 0x48;
	*emitter->pos++ = opcode;
	*emitter->pos++ = (uint8_t)((reg & 7) << 3 | (mode64 ? 4 : 5));
	if (mode64)
		*emitter->pos++ = 0x25;
	emit32(emitter, address32(p));
}

/* MOVDQU or VMOVDQU of all vector registers, 64-bit mode; opcode 6F loads, 7F stores. */
static void emit_vectors(struct emitter *emitter, uint8_t opcode, struct state *state)
{
	for (unsigned int i = 0; i < 16; i++) {
		if (have_avx) {
			*emitter->pos++ = 0xc5;
			*emitter->pos++ = i & 8 ? 0x7e : 0xfe;
		} else {
			*emitter->pos++ = 0xf3;
			*emitter->pos++ = i & 8 ? 0x44 : 0x40;
			*emitter->pos++ = 0x0f;
		}
		*emitter->pos++ = opcode;
		*emitter->pos++ = (uint8_t)((i & 7) << 3 | 4);
		*emitter->pos++ = 0x25;
		emit32(emitter, address32(state->vec[i]));
	}
}

static void emit_enter(struct emitter *emitter)
{
	EMIT(emitter, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57"); /* push rbx rbp r12-r15 */
	emit_reg_mem(emitter, true, 0x89, INSN_RSP, &area->host_rsp);
	emit_vectors(emitter, 0x6f, &area->in);
}

static void emit_leave(struct emitter *emitter)
{
	emit_reg_mem(emitter, true, 0x8b, INSN_RSP, &area->host_rsp);
	emit_vectors(emitter, 0x7f, &area->out);
	EMIT(emitter, "\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3"); /* cld, pops, ret */
}

/* PUSH or POP of an absolute address. */
static void emit_stack_mem(struct emitter *emitter, bool mode64, bool pushes, const void *p)
{
	*emitter->pos++ = pushes ? 0xff : 0x8f;
	*emitter->pos++ = (uint8_t)((pushes ? 0x30 : 0) | (mode64 ? 4 : 5));
	if (mode64)
		*emitter->pos++ = 0x25;
	emit32(emitter, address32(p));
}

/* Loads flags and registers, has the instruction run, stores them; RSP last and first. */
static void emit_body(struct emitter *emitter, bool mode64, const uint8_t *bytes, unsigned int n,
		      uint8_t **ret_insn)
{
	unsigned int count = mode64 ? 16 : 8;
	void *stack = &area->stack32[64];

	emit_stack_mem(emitter, mode64, true, &area->in.rflags);
	EMIT(emitter, "\x9d"); /* popf */
	for (unsigned int i = 0; i < count; i++)
		if (i != INSN_RSP)
			emit_reg_mem(emitter, mode64, 0x8b, i, &area->in.gpr[i]);
	emit_reg_mem(emitter, mode64, 0x8b, INSN_RSP, &area->in.gpr[INSN_RSP]);
	*ret_insn = emitter->pos;
	emit(emitter, (const char *)bytes, n);
	for (unsigned int i = 0; i < count; i++)
		emit_reg_mem(emitter, mode64, 0x89, i, &area->out.gpr[i]);
	if (mode64) {
		emit_reg_mem(emitter, true, 0x8b, INSN_RSP, &area->host_rsp);
	} else {
		EMIT(emitter, "\xbc"); /* mov esp, imm32 */
		emit32(emitter, address32(stack));
	}
	EMIT(emitter, "\x9c"); /* pushf */
	emit_stack_mem(emitter, mode64, false, &area->out.rflags);
}

static void build64(const uint8_t *bytes, unsigned int n, uint8_t **ret_insn)
{
	struct emitter emitter = {area->code};

	emit_enter(&emitter);
	emit_body(&emitter, true, bytes, n, ret_insn);
	emit_leave(&emitter);
}

/* A far return into a 32-bit code segment, and a far jump back. */
static void build32(const uint8_t *bytes, unsigned int n, uint8_t **ret_insn)
{
	struct emitter emitter = {area->code};
	uint8_t *target;

	emit_enter(&emitter);
	EMIT(&emitter, "\xb8"); /* mov eax, USER_DS; mov ds, eax; mov es, eax */
	emit32(&emitter, USER_DS);
	EMIT(&emitter, "\x8e\xd8\x8e\xc0");
	EMIT(&emitter, "\xbc"); /* mov esp, stack */
	emit32(&emitter, address32(&area->stack32[64]));
	EMIT(&emitter, "\x6a");
	*emitter.pos++ = USER32_CS;
	EMIT(&emitter, "\x68"); /* push target */
	target = emitter.pos;
	emit32(&emitter, 0);
	EMIT(&emitter, "\x48\xcb"); /* retfq */
	memcpy(target, &(uint32_t){address32(emitter.pos)}, 4);

	emit_body(&emitter, false, bytes, n, ret_insn);
	EMIT(&emitter, "\xea"); /* jmp USER64_CS:next */
	emit32(&emitter, address32(emitter.pos + 6));
	*emitter.pos++ = USER64_CS;
	*emitter.pos++ = 0;
	emit_leave(&emitter);
}

static sigjmp_buf escape;

static void on_signal(int number)
{
	siglongjmp(escape, number);
}

/* Called in every test: cmocka installs handlers of its own, which need a valid stack pointer. */
static void catch_signals(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER};

	for (unsigned int i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		assert_int_equal(sigaction(signals[i], &action, NULL), 0);
}

/* 0, or the signal that the instruction caused. */
static int run_native(void)
{
	int number = sigsetjmp(escape, 0);
	void (*entry)(void);

	if (number)
		return number;
	*(void **)&entry = area->code;
	entry();
	return 0;
}

/* The emulator's side: memory is the window, through the same addresses. */

struct guest {
	struct insn_ctx ctx;
	uint8_t vec[16][32];
};

static bool in_window(uint64_t linear, unsigned int size)
{
	uint64_t window = (uintptr_t)area->window, low = (uintptr_t)low_window;

	if (linear >= window && linear + size <= window + WINDOW_SIZE)
		return true;
	return low_window && linear >= low && linear + size <= low + WINDOW_SIZE;
}

static int guest_read(struct insn_ctx *ctx, const struct insn_mem *mem, void *buf)
{
	(void)ctx;
	if (!in_window(mem->linear, mem->size))
		return -ENXIO;
	memcpy(buf, (const void *)(uintptr_t)mem->linear, mem->size);
	return 0;
}

static int guest_write(struct insn_ctx *ctx, const struct insn_mem *mem, const void *buf)
{
	(void)ctx;
	if (!in_window(mem->linear, mem->size))
		return -ENXIO;
	memcpy((void *)(uintptr_t)mem->linear, buf, mem->size);
	return 0;
}

static int guest_read_vec(struct insn_ctx *ctx, unsigned int reg, void *buf, unsigned int size)
{
	struct guest *guest = ctx->opaque;

	memcpy(buf, guest->vec[reg], size);
	return 0;
}

static int guest_write_vec(struct insn_ctx *ctx, unsigned int reg, const void *buf,
			   unsigned int size, bool zero_upper)
{
	struct guest *guest = ctx->opaque;

	memcpy(guest->vec[reg], buf, size);
	if (zero_upper)
		memset(guest->vec[reg] + size, 0, 32 - size);
	return 0;
}

static const struct insn_ops ops = {
	.read = guest_read,
	.write = guest_write,
	.read_vec = guest_read_vec,
	.write_vec = guest_write_vec,
};

/* What is tested: opcode bytes, and how to choose the rest. */

enum need {
	NEED_MEM = 1, /* only with a memory operand */
	NEED_MOVBE = 2,
	NEED_AVX = 4,
	NEED_16 = 8, /* the opcode's own prefix: no random operand-size prefix */
	ONLY_64 = 16,
	ONLY_32 = 32,
	STRING = 64,
	BIT_OFFSET = 128, /* a register operand moves the address */
	STACK = 256,
	SMALL_CX = 512,
};

struct pattern {
	const char *name;
	const char *bytes; /* without prefixes that are chosen at random */
	uint8_t length;
	int8_t reg; /* ModRM.reg, or -1 for any */
	uint16_t need;
	uint16_t undefined; /* flags that the manual leaves undefined */
};

#define P(name, bytes, reg, need, undefined)           \
 {                                                     \
  name, bytes, sizeof(bytes) - 1, reg, need, undefined \
 }

#define AFTER_LOGIC INSN_FLAG_AF
#define AFTER_MUL   (INSN_FLAG_SF | INSN_FLAG_ZF | INSN_FLAG_AF | INSN_FLAG_PF)
#define AFTER_DIV   ARITHMETIC
#define AFTER_BT    (INSN_FLAG_OF | INSN_FLAG_SF | INSN_FLAG_AF | INSN_FLAG_PF)
#define AFTER_SCAN  (ARITHMETIC & ~INSN_FLAG_ZF)

static const struct pattern patterns[] = {
	P("add mr8", "\x00", -1, 0, 0),
	P("add mr", "\x01", -1, 0, 0),
	P("add rm8", "\x02", -1, 0, 0),
	P("add rm", "\x03", -1, 0, 0),
	P("add al", "\x04", -1, 0, 0),
	P("add eax", "\x05", -1, 0, 0),
	P("or mr8", "\x08", -1, 0, AFTER_LOGIC),
	P("or rm", "\x0b", -1, 0, AFTER_LOGIC),
	P("adc mr8", "\x10", -1, 0, 0),
	P("adc mr", "\x11", -1, 0, 0),
	P("adc rm", "\x13", -1, 0, 0),
	P("sbb mr8", "\x18", -1, 0, 0),
	P("sbb mr", "\x19", -1, 0, 0),
	P("sbb rm", "\x1b", -1, 0, 0),
	P("sbb eax", "\x1d", -1, 0, 0),
	P("and mr", "\x21", -1, 0, AFTER_LOGIC),
	P("and rm8", "\x22", -1, 0, AFTER_LOGIC),
	P("sub mr8", "\x28", -1, 0, 0),
	P("sub mr", "\x29", -1, 0, 0),
	P("sub rm", "\x2b", -1, 0, 0),
	P("xor mr", "\x31", -1, 0, AFTER_LOGIC),
	P("xor rm", "\x33", -1, 0, AFTER_LOGIC),
	P("cmp mr8", "\x38", -1, 0, 0),
	P("cmp mr", "\x39", -1, 0, 0),
	P("cmp rm", "\x3b", -1, 0, 0),
	P("cmp al", "\x3c", -1, 0, 0),
	P("push r", "\x53", -1, STACK, 0),
	P("push sp", "\x54", -1, STACK, 0),
	P("pop r", "\x5e", -1, STACK, 0),
	P("pop sp", "\x5c", -1, STACK, 0),
	P("movsxd", "\x63", -1, ONLY_64, 0),
	P("push iz", "\x68", -1, STACK, 0),
	P("push ib", "\x6a", -1, STACK, 0),
	P("imul iz", "\x69", -1, 0, AFTER_MUL),
	P("imul ib", "\x6b", -1, 0, AFTER_MUL),
	P("add i8", "\x80", 0, 0, 0),
	P("cmp i8", "\x80", 7, 0, 0),
	P("adc iz", "\x81", 2, 0, 0),
	P("sub iz", "\x81", 5, 0, 0),
	P("or ib", "\x83", 1, 0, AFTER_LOGIC),
	P("sbb ib", "\x83", 3, 0, 0),
	P("and ib", "\x83", 4, 0, AFTER_LOGIC),
	P("xor ib", "\x83", 6, 0, AFTER_LOGIC),
	P("test mr8", "\x84", -1, 0, AFTER_LOGIC),
	P("test mr", "\x85", -1, 0, AFTER_LOGIC),
	P("xchg8", "\x86", -1, 0, 0),
	P("xchg", "\x87", -1, 0, 0),
	P("mov mr8", "\x88", -1, 0, 0),
	P("mov mr", "\x89", -1, 0, 0),
	P("mov rm8", "\x8a", -1, 0, 0),
	P("mov rm", "\x8b", -1, 0, 0),
	P("mov cs", "\x8c", 1, 0, 0),
	P("lea", "\x8d", -1, NEED_MEM, 0),
	P("pop m", "\x8f", 0, STACK, 0),
	P("mov al,o", "\xa0", -1, 0, 0),
	P("mov eax,o", "\xa1", -1, 0, 0),
	P("mov o,al", "\xa2", -1, 0, 0),
	P("mov o,eax", "\xa3", -1, 0, 0),
	P("movsb", "\xa4", -1, STRING, 0),
	P("movs", "\xa5", -1, STRING, 0),
	P("cmpsb", "\xa6", -1, STRING, 0),
	P("cmps", "\xa7", -1, STRING, 0),
	P("test al", "\xa8", -1, 0, AFTER_LOGIC),
	P("test eax", "\xa9", -1, 0, AFTER_LOGIC),
	P("stosb", "\xaa", -1, STRING, 0),
	P("stos", "\xab", -1, STRING, 0),
	P("lodsb", "\xac", -1, STRING, 0),
	P("lods", "\xad", -1, STRING, 0),
	P("scasb", "\xae", -1, STRING, 0),
	P("scas", "\xaf", -1, STRING, 0),
	P("rol8 i", "\xc0", 0, 0, 0),
	P("ror i", "\xc1", 1, 0, 0),
	P("rcl8 i", "\xc0", 2, 0, 0),
	P("rcl i", "\xc1", 2, 0, 0),
	P("rcr i", "\xc1", 3, 0, 0),
	P("shl8 i", "\xc0", 4, 0, AFTER_LOGIC),
	P("shl i", "\xc1", 4, 0, AFTER_LOGIC),
	P("shr i", "\xc1", 5, 0, AFTER_LOGIC),
	P("sal i", "\xc1", 6, 0, AFTER_LOGIC),
	P("sar i", "\xc1", 7, 0, AFTER_LOGIC),
	P("rol 1", "\xd1", 0, 0, 0),
	P("ror8 1", "\xd0", 1, 0, 0),
	P("rcl 1", "\xd1", 2, 0, 0),
	P("rcr8 1", "\xd0", 3, 0, 0),
	P("shl 1", "\xd1", 4, 0, AFTER_LOGIC),
	P("shr8 1", "\xd0", 5, 0, AFTER_LOGIC),
	P("sar 1", "\xd1", 7, 0, AFTER_LOGIC),
	P("rol cl", "\xd3", 0, 0, 0),
	P("rcr8 cl", "\xd2", 3, 0, 0),
	P("shl8 cl", "\xd2", 4, 0, AFTER_LOGIC),
	P("sar cl", "\xd3", 7, 0, AFTER_LOGIC),
	P("mov i8", "\xc6", 0, 0, 0),
	P("mov iz", "\xc7", 0, 0, 0),
	P("xlat", "\xd7", -1, STRING, 0),
	P("test i8", "\xf6", 0, 0, AFTER_LOGIC),
	P("test iz", "\xf7", 1, 0, AFTER_LOGIC),
	P("not8", "\xf6", 2, 0, 0),
	P("not", "\xf7", 2, 0, 0),
	P("neg8", "\xf6", 3, 0, 0),
	P("neg", "\xf7", 3, 0, 0),
	P("mul8", "\xf6", 4, 0, AFTER_MUL),
	P("mul", "\xf7", 4, 0, AFTER_MUL),
	P("imul8", "\xf6", 5, 0, AFTER_MUL),
	P("imul", "\xf7", 5, 0, AFTER_MUL),
	P("div8", "\xf6", 6, 0, AFTER_DIV),
	P("div", "\xf7", 6, 0, AFTER_DIV),
	P("idiv8", "\xf6", 7, 0, AFTER_DIV),
	P("idiv", "\xf7", 7, 0, AFTER_DIV),
	P("inc8", "\xfe", 0, 0, 0),
	P("inc", "\xff", 0, 0, 0),
	P("dec8", "\xfe", 1, 0, 0),
	P("dec", "\xff", 1, 0, 0),
	P("push m", "\xff", 6, STACK, 0),
	P("nop", "\x0f\x1f", 0, 0, 0),
	P("cmovo", "\x0f\x40", -1, 0, 0),
	P("cmovae", "\x0f\x43", -1, 0, 0),
	P("cmovbe", "\x0f\x46", -1, 0, 0),
	P("cmovl", "\x0f\x4c", -1, 0, 0),
	P("cmovg", "\x0f\x4f", -1, 0, 0),
	P("setno", "\x0f\x91", -1, 0, 0),
	P("setb", "\x0f\x92", -1, 0, 0),
	P("sete", "\x0f\x94", -1, 0, 0),
	P("sets", "\x0f\x98", -1, 0, 0),
	P("setp", "\x0f\x9a", -1, 0, 0),
	P("setge", "\x0f\x9d", -1, 0, 0),
	P("setle", "\x0f\x9e", -1, 0, 0),
	P("bt", "\x0f\xa3", -1, BIT_OFFSET, AFTER_BT),
	P("bts", "\x0f\xab", -1, BIT_OFFSET, AFTER_BT),
	P("btr", "\x0f\xb3", -1, BIT_OFFSET, AFTER_BT),
	P("btc", "\x0f\xbb", -1, BIT_OFFSET, AFTER_BT),
	P("bt i", "\x0f\xba", 4, 0, AFTER_BT),
	P("bts i", "\x0f\xba", 5, 0, AFTER_BT),
	P("btr i", "\x0f\xba", 6, 0, AFTER_BT),
	P("btc i", "\x0f\xba", 7, 0, AFTER_BT),
	P("bsf", "\x0f\xbc", -1, 0, AFTER_SCAN),
	P("bsr", "\x0f\xbd", -1, 0, AFTER_SCAN),
	P("shld i", "\x0f\xa4", -1, 0, AFTER_LOGIC),
	P("shld cl", "\x0f\xa5", -1, 0, AFTER_LOGIC),
	P("shrd i", "\x0f\xac", -1, 0, AFTER_LOGIC),
	P("shrd cl", "\x0f\xad", -1, 0, AFTER_LOGIC),
	P("imul r", "\x0f\xaf", -1, 0, AFTER_MUL),
	P("cmpxchg8", "\x0f\xb0", -1, 0, 0),
	P("cmpxchg", "\x0f\xb1", -1, 0, 0),
	P("movzx b", "\x0f\xb6", -1, 0, 0),
	P("movzx w", "\x0f\xb7", -1, 0, 0),
	P("movsx b", "\x0f\xbe", -1, 0, 0),
	P("movsx w", "\x0f\xbf", -1, 0, 0),
	P("xadd8", "\x0f\xc0", -1, 0, 0),
	P("xadd", "\x0f\xc1", -1, 0, 0),
	P("movnti", "\x0f\xc3", -1, NEED_MEM | NEED_16, 0),
	P("cmpxchg8b", "\x0f\xc7", 1, NEED_MEM, 0),
	P("movbe rm", "\x0f\x38\xf0", -1, NEED_MEM | NEED_MOVBE, 0),
	P("movbe mr", "\x0f\x38\xf1", -1, NEED_MEM | NEED_MOVBE, 0),
	P("movups rm", "\x0f\x10", -1, NEED_MEM | NEED_16, 0),
	P("movups mr", "\x0f\x11", -1, NEED_MEM | NEED_16, 0),
	P("movlps rm", "\x0f\x12", -1, NEED_MEM | NEED_16, 0),
	P("movlps mr", "\x0f\x13", -1, NEED_MEM | NEED_16, 0),
	P("movhps rm", "\x0f\x16", -1, NEED_MEM | NEED_16, 0),
	P("movhps mr", "\x0f\x17", -1, NEED_MEM | NEED_16, 0),
	P("movaps rm", "\x0f\x28", -1, NEED_MEM | NEED_16, 0),
	P("movaps mr", "\x0f\x29", -1, NEED_MEM | NEED_16, 0),
	P("movntps", "\x0f\x2b", -1, NEED_MEM | NEED_16, 0),
};

/* The same for instructions with a mandatory prefix, which goes before a REX. */
static const struct pattern prefixed[] = {
	P("movss rm", "\xf3\x0f\x10", -1, NEED_MEM, 0),
	P("movss mr", "\xf3\x0f\x11", -1, NEED_MEM, 0),
	P("movsd rm", "\xf2\x0f\x10", -1, NEED_MEM, 0),
	P("movsd mr", "\xf2\x0f\x11", -1, NEED_MEM, 0),
	P("movupd rm", "\x66\x0f\x10", -1, NEED_MEM, 0),
	P("movlpd rm", "\x66\x0f\x12", -1, NEED_MEM, 0),
	P("movhpd mr", "\x66\x0f\x17", -1, NEED_MEM, 0),
	P("movd rm", "\x66\x0f\x6e", -1, NEED_MEM, 0),
	P("movd mr", "\x66\x0f\x7e", -1, NEED_MEM, 0),
	P("movq rm", "\xf3\x0f\x7e", -1, NEED_MEM, 0),
	P("movq mr", "\x66\x0f\xd6", -1, NEED_MEM, 0),
	P("movdqa rm", "\x66\x0f\x6f", -1, NEED_MEM, 0),
	P("movdqa mr", "\x66\x0f\x7f", -1, NEED_MEM, 0),
	P("movdqu rm", "\xf3\x0f\x6f", -1, NEED_MEM, 0),
	P("movdqu mr", "\xf3\x0f\x7f", -1, NEED_MEM, 0),
	P("movntdq", "\x66\x0f\xe7", -1, NEED_MEM, 0),
	P("movntdqa", "\x66\x0f\x38\x2a", -1, NEED_MEM, 0),
	P("lddqu", "\xf2\x0f\xf0", -1, NEED_MEM, 0),
	P("rep movsb", "\xf3\xa4", -1, STRING | SMALL_CX, 0),
	P("repne movs", "\xf2\xa5", -1, STRING | SMALL_CX, 0),
	P("rep stos", "\xf3\xab", -1, STRING | SMALL_CX, 0),
	P("rep lodsb", "\xf3\xac", -1, STRING | SMALL_CX, 0),
	P("rep lods", "\xf3\xad", -1, STRING | SMALL_CX, 0),
	P("repe cmpsb", "\xf3\xa6", -1, STRING | SMALL_CX, 0),
	P("repne cmpsb", "\xf2\xa6", -1, STRING | SMALL_CX, 0),
	P("repe cmps", "\xf3\xa7", -1, STRING | SMALL_CX, 0),
	P("repne scasb", "\xf2\xae", -1, STRING | SMALL_CX, 0),
	P("repe scas", "\xf3\xaf", -1, STRING | SMALL_CX, 0),
};

/* VEX: the second byte's high bit (R) and, where they mean a source, vvvv are chosen at random. */
static const struct pattern vex[] = {
	P("vmovups rm", "\xc5\xf8\x10", -1, NEED_MEM, 0),
	P("vmovups ymm,m", "\xc5\xfc\x10", -1, NEED_MEM, 0),
	P("vmovups m,ymm", "\xc5\xfc\x11", -1, NEED_MEM, 0),
	P("vmovaps ymm,m", "\xc5\xfc\x28", -1, NEED_MEM, 0),
	P("vmovaps m,ymm", "\xc5\xfc\x29", -1, NEED_MEM, 0),
	P("vmovdqu rm", "\xc5\xfa\x6f", -1, NEED_MEM, 0),
	P("vmovdqu ymm,m", "\xc5\xfe\x6f", -1, NEED_MEM, 0),
	P("vmovdqu m,ymm", "\xc5\xfe\x7f", -1, NEED_MEM, 0),
	P("vmovdqa mr", "\xc5\xf9\x7f", -1, NEED_MEM, 0),
	P("vmovntdq m,ymm", "\xc5\xfd\xe7", -1, NEED_MEM, 0),
	P("vmovss rm", "\xc5\xfa\x10", -1, NEED_MEM, 0),
	P("vmovss rm L", "\xc5\xfe\x10", -1, NEED_MEM, 0),
	P("vmovsd mr", "\xc5\xfb\x11", -1, NEED_MEM, 0),
	P("vmovd rm", "\xc5\xf9\x6e", -1, NEED_MEM, 0),
	P("vmovd mr", "\xc5\xf9\x7e", -1, NEED_MEM, 0),
	P("vmovq rm", "\xc4\xe1\xf9\x6e", -1, NEED_MEM | ONLY_64, 0),
	P("vmovq mr", "\xc4\xe1\xf9\x7e", -1, NEED_MEM | ONLY_64, 0),
	P("vmovq2 rm", "\xc5\xfa\x7e", -1, NEED_MEM, 0),
	P("vmovlps rm", "\xc5\xb0\x12", -1, NEED_MEM | ONLY_64, 0),
	P("vmovhps rm", "\xc5\xe8\x16", -1, NEED_MEM, 0),
	P("vmovhps mr", "\xc5\xf8\x17", -1, NEED_MEM, 0),
	P("vlddqu ymm,m", "\xc5\xff\xf0", -1, NEED_MEM, 0),
};

/* One case: registers that make the memory operand lie in the window. */

struct test_case {
	uint8_t bytes[16];
	struct insn insn;
	struct state state;
	uint64_t target;
};

static uint64_t pick_target(const struct insn *insn)
{
	const uint8_t *window = insn->addr_size == 2 && low_window ? low_window : area->window;
	uint64_t offset = 512 + random64() % (WINDOW_SIZE - 1024);

	if (random64() & 1)
		offset &= ~63ULL;
	return (uintptr_t)window + offset;
}

/* Absolute and RIP-relative operands are pointed at the window by changing the instruction. */
static void patch_displacement(struct test_case *test, uint64_t value, unsigned int size)
{
	unsigned int end = test->insn.length - test->insn.imm_size;

	memcpy(test->bytes + end - size, &value, size);
}

static bool aim(struct test_case *test, uint64_t next_rip)
{
	const struct insn *insn = &test->insn;
	uint64_t *gpr = test->state.gpr, rest = test->target - (uint64_t)insn->disp;
	uint64_t mask = insn->addr_size == 8 ? UINT64_MAX : (1ULL << 8 * insn->addr_size) - 1;

	if (!insn->has_mem)
		return true;
	if (!insn->has_modrm) {
		patch_displacement(test, test->target, insn->addr_size);
	} else if (insn->rip_relative) {
		patch_displacement(test, test->target - next_rip, 4);
	} else if (insn->base == INSN_NO_REG && insn->index == INSN_NO_REG) {
		patch_displacement(test, test->target, insn->addr_size == 2 ? 2 : 4);
	} else if (insn->base == INSN_NO_REG || insn->base == insn->index) {
		uint64_t factor = (1ULL << insn->scale) + (insn->base == insn->index);

		/* A multiple: the target gives way. */
		rest &= mask;
		gpr[insn->index] = rest / factor + (random64() & ~mask);
	} else {
		if (insn->index != INSN_NO_REG)
			rest -= gpr[insn->index] << insn->scale;
		/* What lies beyond the address size must not matter. */
		gpr[insn->base] = (rest & mask) | (random64() & ~mask);
	}
	return true;
}

static void aim_string(struct test_case *test, const struct pattern *pattern)
{
	uint64_t *gpr = test->state.gpr;
	uint64_t mask = test->insn.addr_size == 8 ? UINT64_MAX
						  : (1ULL << 8 * test->insn.addr_size) - 1;

	gpr[INSN_RSI] = pick_target(&test->insn);
	gpr[INSN_RDI] = pick_target(&test->insn);
	gpr[INSN_RBX] = pick_target(&test->insn);
	if (!(random64() & 3))
		gpr[INSN_RDI] = gpr[INSN_RSI] + random64() % 8;
	/* With 16-bit addresses, an AMD CPU of family 1Ah was seen to copy in blocks of eight bytes what REP MOVSB
	 * must copy one by one because source and destination overlap. Keep them apart there. */
	if (mask == 0xffff)
		gpr[INSN_RDI] = gpr[INSN_RSI] ^ 0x400;
	gpr[INSN_RSI] |= random64() & ~mask;
	gpr[INSN_RDI] |= random64() & ~mask;
	gpr[INSN_RBX] |= random64() & ~mask;
	/* With a count of zero CPUs differ in what they do to the upper halves. */
	if (pattern->need & SMALL_CX)
		gpr[INSN_RCX] = random64() % 16 + (mask == UINT64_MAX ? 0 : 1);
	if (pattern->need & SMALL_CX && mask == 0xffff)
		gpr[INSN_RCX] |= 0xabcd0000;
	if (random64() & 1)
		test->state.rflags |= INSN_FLAG_DF;
}

static void random_state_fill(struct state *state)
{
	for (unsigned int i = 0; i < 16; i++) {
		state->gpr[i] = random_operand();
		for (unsigned int j = 0; j < 4; j++) {
			uint64_t value = random64();

			memcpy(state->vec[i] + 8 * j, &value, 8);
		}
	}
	state->rflags = 0x202 | (random64() & ARITHMETIC);
}

/* Random prefixes, ModRM, displacement and immediate around a pattern. False: undefined, or not of interest. */
static bool generate(struct test_case *test, const struct pattern *pattern, enum insn_mode mode,
		     bool own_prefixes, bool is_vex)
{
	uint64_t choice = random64();
	unsigned int n = 0, skip = 0;

	for (unsigned int i = 0; i < 16; i++)
		test->bytes[i] = (uint8_t)random64();
	if (!own_prefixes && !is_vex && !(pattern->need & NEED_16) && (choice & 3) == 0)
		test->bytes[n++] = 0x66;
	if ((choice & 0x1c) == 0)
		test->bytes[n++] = 0x67;
	if (!own_prefixes && !is_vex && (choice & 0xe0) == 0)
		test->bytes[n++] = 0xf0;
	if (own_prefixes)
		test->bytes[n++] = (uint8_t)pattern->bytes[skip++];
	if (mode == INSN_MODE_64 && !is_vex && choice & 0x100)
		test->bytes[n++] = 0x40 | (choice >> 9 & 0xf);
	memcpy(test->bytes + n, pattern->bytes + skip, pattern->length - skip);
	if (is_vex && mode == INSN_MODE_64 && choice & 0x2000)
		test->bytes[n + 1] ^= 0x80;
	n += pattern->length - skip;
	if (pattern->reg >= 0)
		test->bytes[n] = (test->bytes[n] & 0xc7) | (uint8_t)(pattern->reg << 3);
	/* Mostly memory. */
	if (test->bytes[n] >= 0xc0 && choice & 0x4000)
		test->bytes[n] &= 0x7f;

	if (insn_decode(&test->insn, test->bytes, 15, mode))
		return false;
	if (pattern->need & NEED_MEM && !test->insn.has_mem)
		return false;
	/* Of the CPU's flat 16-bit addresses only some hosts have memory. */
	if (test->insn.addr_size == 2 && !low_window &&
	    (test->insn.has_mem || pattern->need & (STRING | STACK)) &&
	    !(test->insn.map == INSN_MAP_1BYTE && test->insn.opcode == 0x8d))
		return false;
	return true;
}

/* Flags that are not comparable, beyond those of the pattern: shifts by another number than one. */
static uint64_t undefined_flags(const struct test_case *test, const struct pattern *pattern,
				bool *ret_skip)
{
	const struct insn *insn = &test->insn;
	unsigned int bits = 8 * (insn->opcode & 1 ? insn->op_size : 1), count;
	bool doubles = insn->map == INSN_MAP_0F && (insn->opcode & 0xf6) == 0xa4;
	uint64_t flags = pattern->undefined;

	*ret_skip = false;
	if (doubles)
		bits = 8 * insn->op_size;
	else if (insn->map != INSN_MAP_1BYTE || (insn->opcode & 0xfe) < 0xc0 ||
		 ((insn->opcode & 0xfe) > 0xc0 && (insn->opcode & 0xfc) != 0xd0))
		return flags;

	if (insn->imm_size)
		count = (uint8_t)insn->imm;
	else if (!doubles && insn->opcode < 0xd2)
		count = 1;
	else
		count = (uint8_t)test->state.gpr[INSN_RCX];
	count &= bits == 64 ? 63 : 31;
	if (count == 0)
		return 0;
	if (count != 1)
		flags |= INSN_FLAG_OF;
	if (count >= bits && ((insn->reg & 7) >= 4 || doubles))
		flags |= INSN_FLAG_CF;
	if (doubles && count > bits)
		*ret_skip = true;
	return flags;
}

static const char *describe(const struct test_case *test, const struct pattern *pattern)
{
	static char text[128];
	int n = snprintf(text, sizeof(text), "%s:", pattern->name);

	for (unsigned int i = 0; i < test->insn.length; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %02x", test->bytes[i]);
	return text;
}

static void fill_window(uint8_t *copy)
{
	for (unsigned int i = 0; i < WINDOW_SIZE; i += 8) {
		uint64_t value = random_operand();

		memcpy(copy + i, &value, 8);
	}
	/* Equal runs, for repeated comparisons to go on. */
	if (random64() & 1)
		memset(copy + 256, (int)(random64() & 0xff), WINDOW_SIZE - 512);
}

static void set_windows(const uint8_t *copy)
{
	memcpy(area->window, copy, WINDOW_SIZE);
	if (low_window)
		memcpy(low_window, copy, WINDOW_SIZE);
}

static void guest_init(struct guest *guest, const struct test_case *test, enum insn_mode mode,
		       const uint8_t *rip)
{
	memset(guest, 0, sizeof(*guest));
	guest->ctx.mode = (uint8_t)mode;
	guest->ctx.cpl = 3;
	guest->ctx.linear_bits = 48;
	guest->ctx.rip = (uintptr_t)rip;
	guest->ctx.rflags = test->state.rflags;
	guest->ctx.opaque = guest;
	memcpy(guest->ctx.gpr, test->state.gpr, sizeof(guest->ctx.gpr));
	memcpy(guest->vec, test->state.vec, sizeof(guest->vec));
	for (unsigned int i = 0; i < INSN_NR_SEGS; i++)
		guest->ctx.seg[i] = (struct insn_segment){
			.limit = UINT32_MAX,
			.attr = INSN_ATTR_PRESENT | INSN_ATTR_WRITE | INSN_ATTR_BIG,
			.selector = i == INSN_CS ? (mode == INSN_MODE_64 ? USER64_CS : USER32_CS)
						 : USER_DS,
		};
	guest->ctx.seg[INSN_CS].attr |= INSN_ATTR_CODE;
}

static bool compare_states(const struct test_case *test, const struct pattern *pattern,
			   const struct guest *guest, uint64_t ignored_flags, enum insn_mode mode)
{
	unsigned int count = mode == INSN_MODE_64 ? 16 : 8;
	bool scan = test->insn.map == INSN_MAP_0F && (test->insn.opcode & 0xfe) == 0xbc;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t ours = guest->ctx.gpr[i], theirs = area->out.gpr[i];

		if (mode != INSN_MODE_64) {
			ours = (uint32_t)ours;
			theirs = (uint32_t)theirs;
		}
		/* Scanning zero leaves the destination undefined. */
		if (scan && i == test->insn.reg && area->out.rflags & INSN_FLAG_ZF)
			continue;
		if (ours != theirs) {
			print_error("%s: register %u is %llx, not %llx\n", describe(test, pattern),
				    i, (unsigned long long)ours, (unsigned long long)theirs);
			return false;
		}
	}
	if ((guest->ctx.rflags ^ area->out.rflags) & (ARITHMETIC | INSN_FLAG_DF) & ~ignored_flags) {
		print_error("%s: flags are %llx, not %llx (of %llx)\n", describe(test, pattern),
			    (unsigned long long)guest->ctx.rflags,
			    (unsigned long long)area->out.rflags,
			    (unsigned long long)test->state.rflags);
		return false;
	}
	for (unsigned int i = 0; i < count; i++)
		if (memcmp(guest->vec[i], area->out.vec[i], have_avx ? 32 : 16)) {
			print_error("%s: vector register %u\n", describe(test, pattern), i);
			return false;
		}
	return true;
}

/* The signal that an exception becomes. */
static int signal_of(uint8_t vector)
{
	if (vector == INSN_VECTOR_DE)
		return SIGFPE;
	return vector == INSN_VECTOR_SS ? SIGBUS : SIGSEGV;
}

/* Runs one case in both worlds. False: it left the window, and was not compared. */
static bool run_case(struct test_case *test, const struct pattern *pattern, enum insn_mode mode)
{
	static uint8_t before[WINDOW_SIZE], ours[WINDOW_SIZE], ours_low[WINDOW_SIZE];
	static struct guest guest;
	uint8_t *rip;
	uint64_t ignored;
	bool skip;
	int rc, number;

	random_state_fill(&test->state);
	test->target = pick_target(&test->insn);
	if (pattern->need & STACK)
		test->state.gpr[INSN_RSP] = pick_target(&test->insn);
	if (pattern->need & BIT_OFFSET)
		test->state.gpr[test->insn.reg] = random64() % 2048 - 1024;
	(mode == INSN_MODE_64 ? build64 : build32)(test->bytes, test->insn.length, &rip);
	if (pattern->need & STRING)
		aim_string(test, pattern);
	else if (!aim(test, (uintptr_t)rip + test->insn.length))
		return false;
	if (insn_decode(&test->insn, test->bytes, 15, mode))
		fail_msg("%s: does not decode any more", describe(test, pattern));
	(mode == INSN_MODE_64 ? build64 : build32)(test->bytes, test->insn.length, &rip);
	if (mode != INSN_MODE_64)
		for (unsigned int i = 0; i < 16; i++)
			test->state.gpr[i] = (uint32_t)test->state.gpr[i];
	ignored = undefined_flags(test, pattern, &skip);
	if (skip)
		return false;

	fill_window(before);
	set_windows(before);
	guest_init(&guest, test, mode, rip);
	rc = insn_emulate(&guest.ctx, &ops, &test->insn);
	if (rc == -ENXIO)
		return false;
	if (rc && rc != -EFAULT)
		fail_msg("%s: error %d", describe(test, pattern), rc);
	memcpy(ours, area->window, WINDOW_SIZE);
	if (low_window)
		memcpy(ours_low, low_window, WINDOW_SIZE);

	set_windows(before);
	area->in = test->state;
	number = run_native();
	if (number || rc) {
		if (!number || !rc || number != signal_of(guest.ctx.fault.vector))
			fail_msg("%s: signal %d, error %d, vector %d", describe(test, pattern),
				 number, rc, guest.ctx.fault.vector);
		if (memcmp(guest.ctx.gpr, test->state.gpr, sizeof(guest.ctx.gpr)) ||
		    guest.ctx.rip != (uintptr_t)rip)
			fail_msg("%s: registers changed by a fault", describe(test, pattern));
		if (memcmp(ours, before, WINDOW_SIZE))
			fail_msg("%s: memory changed by a fault", describe(test, pattern));
		return true;
	}
	if (guest.ctx.rip != (uintptr_t)rip + test->insn.length)
		fail_msg("%s: RIP", describe(test, pattern));
	if (memcmp(ours, area->window, WINDOW_SIZE) ||
	    (low_window && memcmp(ours_low, low_window, WINDOW_SIZE)))
		fail_msg("%s: memory differs", describe(test, pattern));
	if (!compare_states(test, pattern, &guest, ignored, mode))
		fail();
	return true;
}

static void run_patterns(const struct pattern *list, unsigned int count, enum insn_mode mode,
			 bool own_prefixes, bool is_vex)
{
	catch_signals();
	for (unsigned int i = 0; i < count; i++) {
		const struct pattern *pattern = &list[i];
		unsigned int compared = 0;

		if ((pattern->need & NEED_MOVBE && !have_movbe) ||
		    (pattern->need & ONLY_64 && mode != INSN_MODE_64))
			continue;
		for (unsigned int round = 0; round < 2000; round++) {
			struct test_case test;

			if (generate(&test, pattern, mode, own_prefixes, is_vex))
				compared += run_case(&test, pattern, mode);
		}
		if (compared < 150)
			fail_msg("%s: only %u cases", pattern->name, compared);
	}
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_native64(void **state)
{
	(void)state;
	run_patterns(patterns, COUNT(patterns), INSN_MODE_64, false, false);
	run_patterns(prefixed, COUNT(prefixed), INSN_MODE_64, true, false);
}

static void test_native64_avx(void **state)
{
	(void)state;
	if (!have_avx)
		skip();
	run_patterns(vex, COUNT(vex), INSN_MODE_64, false, true);
}

static void test_native32(void **state)
{
	(void)state;
	if (!have_32bit)
		skip();
	run_patterns(patterns, COUNT(patterns), INSN_MODE_32, false, false);
	run_patterns(prefixed, COUNT(prefixed), INSN_MODE_32, true, false);
	if (have_avx)
		run_patterns(vex, COUNT(vex), INSN_MODE_32, false, true);
}

static int setup(void **state)
{
	static uint8_t signal_stack[65536];
	stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof(signal_stack)};
	unsigned int a, b, c, d;
	uint8_t *unused;
	void *low;

	(void)state;
	area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (area == MAP_FAILED)
		return -1;
	low = mmap((void *)0x8000, WINDOW_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	low_window = low == (void *)0x8000 ? low : NULL;
	if (sigaltstack(&stack, NULL))
		return -1;
	catch_signals();

	if (__get_cpuid(1, &a, &b, &c, &d)) {
		have_movbe = c & 1u << 22;
		/* The system saves AVX state where OSXSAVE says so and AVX is offered. */
		have_avx = (c & 1u << 27) && (c & 1u << 28);
	}
	/* Not every kernel lets a process run 32-bit code. */
	build32((const uint8_t *)"\x90", 1, &unused);
	area->in.rflags = 0x202;
	area->in.gpr[INSN_RSP] = address32(&area->stack32[64]);
	have_32bit = run_native() == 0;
	print_message("AVX %d, MOVBE %d, 32-bit code %d, 16-bit addresses %d\n", have_avx,
		      have_movbe, have_32bit, low_window != NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native64),
		cmocka_unit_test(test_native64_avx),
		cmocka_unit_test(test_native32),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
