/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Integer arithmetic as the CPU does it, with flags (APM 3, chapter 3). */
#include "emul.h"

static uint64_t sign_bit(unsigned int size)
{
	return 1ULL << (8 * size - 1);
}

/* SF, ZF and PF follow from the result alone. */
static uint64_t result_flags(uint64_t result, unsigned int size)
{
	uint64_t flags = 0;

	if (result == 0)
		flags |= INSN_FLAG_ZF;
	if (result & sign_bit(size))
		flags |= INSN_FLAG_SF;
	if (!__builtin_parity((unsigned int)(result & 0xff)))
		flags |= INSN_FLAG_PF;
	return flags;
}

static void replace_flags(uint64_t *rflags, uint64_t which, uint64_t values)
{
	*rflags = (*rflags & ~which) | (values & which);
}

/* The carries out of every bit of a + b + carry-in are the majority of a, b and the inverted sum. */
static uint64_t add(uint64_t a, uint64_t b, unsigned int carry, unsigned int size, uint64_t *rflags)
{
	uint64_t sum = (a + b + carry) & emul_mask(size);
	uint64_t carries = (a & b) | ((a | b) & ~sum);
	uint64_t flags = result_flags(sum, size) | ((a ^ b ^ sum) & INSN_FLAG_AF);

	if (carries & sign_bit(size))
		flags |= INSN_FLAG_CF;
	if ((a ^ sum) & (b ^ sum) & sign_bit(size))
		flags |= INSN_FLAG_OF;
	replace_flags(rflags, EMUL_ARITHMETIC_FLAGS, flags);
	return sum;
}

static uint64_t subtract(uint64_t a, uint64_t b, unsigned int borrow, unsigned int size,
			 uint64_t *rflags)
{
	uint64_t difference = (a - b - borrow) & emul_mask(size);
	uint64_t borrows = (~a & b) | ((~a | b) & difference);
	uint64_t flags = result_flags(difference, size) | ((a ^ b ^ difference) & INSN_FLAG_AF);

	if (borrows & sign_bit(size))
		flags |= INSN_FLAG_CF;
	if ((a ^ b) & (a ^ difference) & sign_bit(size))
		flags |= INSN_FLAG_OF;
	replace_flags(rflags, EMUL_ARITHMETIC_FLAGS, flags);
	return difference;
}

uint64_t alu_binary(enum alu_op op, uint64_t a, uint64_t b, unsigned int size, uint64_t *rflags)
{
	unsigned int carry = *rflags & INSN_FLAG_CF ? 1 : 0;
	uint64_t result;

	switch (op) {
	case ALU_ADD:
		return add(a, b, 0, size, rflags);
	case ALU_ADC:
		return add(a, b, carry, size, rflags);
	case ALU_SUB:
	case ALU_CMP:
		return subtract(a, b, 0, size, rflags);
	case ALU_SBB:
		return subtract(a, b, carry, size, rflags);
	case ALU_OR:
		result = a | b;
		break;
	case ALU_AND:
		result = a & b;
		break;
	default:
		result = a ^ b;
		break;
	}
	/* CF, OF and (formally undefined) AF are cleared. */
	replace_flags(rflags, EMUL_ARITHMETIC_FLAGS, result_flags(result, size));
	return result;
}

uint64_t alu_increment(uint64_t a, unsigned int size, uint64_t *rflags)
{
	uint64_t carry = *rflags & INSN_FLAG_CF;
	uint64_t result = add(a, 1, 0, size, rflags);

	replace_flags(rflags, INSN_FLAG_CF, carry);
	return result;
}

uint64_t alu_decrement(uint64_t a, unsigned int size, uint64_t *rflags)
{
	uint64_t carry = *rflags & INSN_FLAG_CF;
	uint64_t result = subtract(a, 1, 0, size, rflags);

	replace_flags(rflags, INSN_FLAG_CF, carry);
	return result;
}

/* One step of a shift or rotation: the bit that leaves goes to CF, OF says whether the sign changed. */
static uint64_t shift_once(unsigned int op, uint64_t a, unsigned int size, bool *carry,
			   bool *overflow)
{
	uint64_t sign = sign_bit(size);
	bool out = op & 1 ? a & 1 : (a & sign) != 0;
	uint64_t result = op & 1 ? a >> 1 : (a << 1) & emul_mask(size);
	bool in;

	switch (op) {
	case 0: /* ROL, ROR */
	case 1:
		in = out;
		break;
	case 2: /* RCL, RCR */
	case 3:
		in = *carry;
		break;
	case 7: /* SAR */
		in = (a & sign) != 0;
		break;
	default:
		in = false;
		break;
	}
	if (in)
		result |= op & 1 ? sign : 1;
	*carry = out;
	*overflow = ((result ^ a) & sign) != 0;
	return result;
}

uint64_t alu_shift(unsigned int op, uint64_t a, unsigned int count, unsigned int size,
		   uint64_t *rflags)
{
	bool carry = *rflags & INSN_FLAG_CF, overflow = false;
	uint64_t flags;

	count &= size == 8 ? 63 : 31;
	if (count == 0)
		return a;
	for (unsigned int i = 0; i < count; i++)
		a = shift_once(op, a, size, &carry, &overflow);
	flags = (carry ? INSN_FLAG_CF : 0) | (overflow ? INSN_FLAG_OF : 0);
	/* Rotations leave the other flags alone. */
	if (op < 4)
		replace_flags(rflags, INSN_FLAG_CF | INSN_FLAG_OF, flags);
	else
		replace_flags(rflags, EMUL_ARITHMETIC_FLAGS, flags | result_flags(a, size));
	return a;
}

uint64_t alu_shift_double(bool left, uint64_t a, uint64_t b, unsigned int count, unsigned int size,
			  uint64_t *rflags)
{
	uint64_t sign = sign_bit(size), before = a, flags;
	bool out = false;

	count &= size == 8 ? 63 : 31;
	if (count == 0)
		return a;
	for (unsigned int i = 0; i < count; i++) {
		before = a;
		if (left) {
			out = a & sign;
			a = (a << 1 & emul_mask(size)) | (b & sign ? 1 : 0);
			b = b << 1 & emul_mask(size);
		} else {
			out = a & 1;
			a = a >> 1 | (b & 1 ? sign : 0);
			b >>= 1;
		}
	}
	flags = result_flags(a, size) | (out ? INSN_FLAG_CF : 0);
	if ((a ^ before) & sign)
		flags |= INSN_FLAG_OF;
	replace_flags(rflags, EMUL_ARITHMETIC_FLAGS, flags);
	return a;
}

void alu_multiply(bool is_signed, uint64_t a, uint64_t b, unsigned int size, uint64_t *ret_low,
		  uint64_t *ret_high, uint64_t *rflags)
{
	unsigned int bits = 8 * size;
	uint64_t low, high;
	bool significant;

	if (is_signed) {
		__int128 product = (__int128)(int64_t)emul_sign_extend(a, size) *
				   (int64_t)emul_sign_extend(b, size);

		low = (uint64_t)product & emul_mask(size);
		high = (uint64_t)(product >> bits) & emul_mask(size);
		significant = product != (__int128)(int64_t)emul_sign_extend(low, size);
	} else {
		unsigned __int128 product = (unsigned __int128)a * b;

		low = (uint64_t)product & emul_mask(size);
		high = (uint64_t)(product >> bits) & emul_mask(size);
		significant = high != 0;
	}
	/* The other flags are undefined; they stay. */
	replace_flags(rflags, INSN_FLAG_CF | INSN_FLAG_OF,
		      significant ? INSN_FLAG_CF | INSN_FLAG_OF : 0);
	*ret_low = low;
	*ret_high = high;
}

/* high:low by divisor, where the quotient is known to fit: high < divisor. */
static void divide_long(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *ret_quotient,
			uint64_t *ret_remainder)
{
	for (unsigned int i = 0; i < 64; i++) {
		bool carry = high >> 63;

		high = high << 1 | low >> 63;
		low <<= 1;
		if (carry || high >= divisor) {
			high -= divisor;
			low |= 1;
		}
	}
	*ret_quotient = low;
	*ret_remainder = high;
}

bool alu_divide(bool is_signed, uint64_t high, uint64_t low, uint64_t divisor, unsigned int size,
		uint64_t *ret_quotient, uint64_t *ret_remainder)
{
	bool negative = false, negative_divisor = false;
	uint64_t mask = emul_mask(size), sign = sign_bit(size), quotient, remainder;

	if (is_signed && high & sign) {
		negative = true;
		low = -low & mask;
		high = (~high + (low == 0)) & mask;
	}
	if (is_signed && divisor & sign) {
		negative_divisor = true;
		divisor = -divisor & mask;
	}
	if (high >= divisor) /* the quotient is too large, or the divisor is zero */
		return false;
	if (size < 8) {
		uint64_t dividend = high << 8 * size | low;

		quotient = dividend / divisor;
		remainder = dividend % divisor;
	} else {
		divide_long(high, low, divisor, &quotient, &remainder);
	}
	if (is_signed) {
		if (quotient > (negative != negative_divisor ? sign : sign - 1))
			return false;
		if (negative != negative_divisor)
			quotient = -quotient & mask;
		if (negative)
			remainder = -remainder & mask;
	}
	*ret_quotient = quotient;
	*ret_remainder = remainder;
	return true;
}

bool alu_condition(unsigned int cc, uint64_t rflags)
{
	bool less = !(rflags & INSN_FLAG_SF) != !(rflags & INSN_FLAG_OF);
	bool holds;

	switch (cc >> 1 & 7) {
	case 0:
		holds = rflags & INSN_FLAG_OF;
		break;
	case 1:
		holds = rflags & INSN_FLAG_CF;
		break;
	case 2:
		holds = rflags & INSN_FLAG_ZF;
		break;
	case 3:
		holds = rflags & (INSN_FLAG_CF | INSN_FLAG_ZF);
		break;
	case 4:
		holds = rflags & INSN_FLAG_SF;
		break;
	case 5:
		holds = rflags & INSN_FLAG_PF;
		break;
	case 6:
		holds = less;
		break;
	default:
		holds = less || rflags & INSN_FLAG_ZF;
		break;
	}
	return holds != (cc & 1);
}
