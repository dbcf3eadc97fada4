// SPDX-License-Identifier: GPL-2.0-or-later
// CRC-32: eight bytes at a time by tables, or 64 by carry-less multiplication.
#include "crc32.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0xedb88320u

static uint32_t table[8][256];

/* What a byte adds with 0 to 7 zero bytes behind it. */
__attribute__((constructor)) static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
}

static uint32_t by_tables(uint32_t crc, const uint8_t *data, size_t size)
{
	for (; size >= 8; data += 8, size -= 8) {
		uint64_t word;

		memcpy(&word, data, 8);
		word ^= crc;
		crc = 0;
		for (int k = 0; k < 8; k++)
			crc ^= table[7 - k][word >> 8 * k & 0xff];
	}
	for (; size; data++, size--)
		crc = crc >> 8 ^ table[0][(crc ^ *data) & 0xff];
	return crc;
}

uint32_t crc32_add_plain(uint32_t crc, const void *data, size_t size)
{
	return ~by_tables(~crc, data, size);
}

#ifdef __x86_64__
# include <immintrin.h>

/*
 * Folding: a block of 128 bits that is N bits ahead of another one is worth the same as its product with x^N mod P, added to
 * that one. The constants are x^(N+32) and x^(N-32) mod P, bit-reflected and shifted by one, for N = 512 and
 * N = 128; see V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", Intel, 2009.
 */
# define FOLD_512_LOW  0x154442bd4
# define FOLD_512_HIGH 0x1c6e41596
# define FOLD_128_LOW  0x1751997d0
# define FOLD_128_HIGH 0x0ccaa009e

__attribute__((target("pclmul,sse4.1"))) static __m128i fold(__m128i ahead, __m128i by, __m128i to)
{
	return _mm_xor_si128(to, _mm_xor_si128(_mm_clmulepi64_si128(ahead, by, 0x00),
					       _mm_clmulepi64_si128(ahead, by, 0x11)));
}

static __m128i load(const uint8_t *data)
{
	return _mm_loadu_si128((const __m128i *)(const void *)data);
}

/* size is a multiple of 64, not 0. The last 128 bits are left to the tables: they stand for all bytes before. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t by_folding(uint32_t crc,
								    const uint8_t *data,
								    size_t size)
{
	const __m128i by_512 = _mm_set_epi64x(FOLD_512_HIGH, FOLD_512_LOW);
	const __m128i by_128 = _mm_set_epi64x(FOLD_128_HIGH, FOLD_128_LOW);
	__m128i lane[4];
	uint8_t rest[16];

	for (int i = 0; i < 4; i++)
		lane[i] = load(data + 16 * i);
	lane[0] = _mm_xor_si128(lane[0], _mm_cvtsi32_si128((int)crc));
	for (data += 64, size -= 64; size; data += 64, size -= 64)
		for (int i = 0; i < 4; i++)
			lane[i] = fold(lane[i], by_512, load(data + 16 * i));
	for (int i = 1; i < 4; i++)
		lane[i] = fold(lane[i - 1], by_128, lane[i]);
	_mm_storeu_si128((__m128i *)(void *)rest, lane[3]);
	return by_tables(0, rest, sizeof(rest));
}

static bool can_fold(void)
{
	return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#else
static uint32_t by_folding(uint32_t crc, const uint8_t *data, size_t size)
{
	return by_tables(crc, data, size);
}

static bool can_fold(void)
{
	return false;
}
#endif

uint32_t crc32_add(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *at = data;
	size_t blocks = size & ~(size_t)63;

	crc = ~crc;
	if (blocks && can_fold()) {
		crc = by_folding(crc, at, blocks);
		at += blocks;
		size -= blocks;
	}
	return ~by_tables(crc, at, size);
}
