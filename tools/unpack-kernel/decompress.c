// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel payloads: gzip, bzip2, xz, lzma, zstd, lz4 (legacy frames) and lzo (lzop files).
// libs: -lz -lbz2 -llzma -lzstd -llz4 -llzo2
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <zlib.h>
#include <zstd.h>

#include <bulkhead/bytes.h>

#include "decompress.h"

#define SIZE_TRAILER 4

/* Dictionaries of xz and lzma are allocated as declared; Linux uses at most 128 MiB. */
#define LZMA_MEMORY_LIMIT ((uint64_t)256 << 20)

/* lz4 legacy format: blocks of a compressed size and data, each up to this when unpacked. */
#define LZ4_LEGACY_BLOCK ((size_t)8 << 20)

/* Header flags of lzop files: checksums that come with every block. */
#define LZOP_ADLER32_D	 0x001u
#define LZOP_ADLER32_C	 0x002u
#define LZOP_EXTRA_FIELD 0x040u
#define LZOP_CRC32_D	 0x100u
#define LZOP_CRC32_C	 0x200u
#define LZOP_FILTER	 0x800u

/* Input is consumed from the front; output fills a block of exactly the expected size. */
struct streams {
	const uint8_t *in;
	size_t in_left;
	uint8_t *out;
	size_t out_size;
	size_t out_used;
};

static bool unpack_gzip(struct streams *s)
{
	z_stream z = {
		.next_in = (z_const Bytef *)s->in,
		.avail_in = (uInt)s->in_left,
		.next_out = s->out,
		.avail_out = (uInt)s->out_size,
	};
	int rc;

	/* 16: gzip framing, with its CRC checked. */
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return false;
	rc = inflate(&z, Z_FINISH);
	s->out_used = z.total_out;
	inflateEnd(&z);
	return rc == Z_STREAM_END;
}

static bool unpack_bzip2(struct streams *s)
{
	/* The interface is older than const. */
	bz_stream b = {
		.next_in = (char *)(uintptr_t)s->in,
		.avail_in = (unsigned)s->in_left,
		.next_out = (char *)s->out,
		.avail_out = (unsigned)s->out_size,
	};
	int rc;

	if (BZ2_bzDecompressInit(&b, 0, 0) != BZ_OK)
		return false;
	/* It takes all that it is given, so long as there is room. */
	do
		rc = BZ2_bzDecompress(&b);
	while (rc == BZ_OK && b.avail_in > 0 && b.avail_out > 0);
	/* The end of the stream, with its checksum, may be left when the room is just used up. */
	if (rc == BZ_OK && b.avail_in > 0)
		rc = BZ2_bzDecompress(&b);
	s->out_used = s->out_size - b.avail_out;
	BZ2_bzDecompressEnd(&b);
	return rc == BZ_STREAM_END;
}

static bool run_lzma(struct streams *s, lzma_stream *l, lzma_ret init)
{
	lzma_ret rc = init;

	if (rc == LZMA_OK) {
		l->next_in = s->in;
		l->avail_in = s->in_left;
		l->next_out = s->out;
		l->avail_out = s->out_size;
		do {
			rc = lzma_code(l, LZMA_RUN);
		} while (rc == LZMA_OK && l->avail_in > 0);
		s->out_used = s->out_size - l->avail_out;
	}
	lzma_end(l);
	return rc == LZMA_STREAM_END;
}

static bool unpack_xz(struct streams *s)
{
	lzma_stream l = LZMA_STREAM_INIT;

	return run_lzma(s, &l, lzma_stream_decoder(&l, LZMA_MEMORY_LIMIT, 0));
}

static bool unpack_lzma(struct streams *s)
{
	lzma_stream l = LZMA_STREAM_INIT;

	return run_lzma(s, &l, lzma_alone_decoder(&l, LZMA_MEMORY_LIMIT));
}

static bool unpack_zstd(struct streams *s)
{
	size_t frame = ZSTD_findFrameCompressedSize(s->in, s->in_left);
	size_t n;

	if (ZSTD_isError(frame))
		return false;
	n = ZSTD_decompress(s->out, s->out_size, s->in, frame);
	if (ZSTD_isError(n))
		return false;
	s->out_used = n;
	return true;
}

static bool unpack_lz4(struct streams *s)
{
	s->in += 4;
	s->in_left -= 4;
	while (s->in_left >= 4 && s->out_used < s->out_size) {
		size_t packed = load_u32(s->in);
		size_t room = s->out_size - s->out_used;
		int n;

		s->in += 4;
		s->in_left -= 4;
		if (packed > s->in_left)
			return false;
		if (room > LZ4_LEGACY_BLOCK)
			room = LZ4_LEGACY_BLOCK;
		n = LZ4_decompress_safe((const char *)s->in, (char *)s->out + s->out_used,
					(int)packed, (int)room);
		if (n <= 0)
			return false;
		s->in += packed;
		s->in_left -= packed;
		s->out_used += (size_t)n;
	}
	return true;
}

static bool take(struct streams *s, size_t n, const uint8_t **ret)
{
	if (n > s->in_left)
		return false;
	*ret = s->in;
	s->in += n;
	s->in_left -= n;
	return true;
}

static uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* lzop 1.0x header; returns its flags. */
static bool skip_lzop_header(struct streams *s, uint32_t *ret_flags)
{
	const uint8_t *p;
	unsigned int version;

	/* Magic, three versions, method. */
	if (!take(s, 9 + 6 + 1, &p))
		return false;
	version = (unsigned int)p[9] << 8 | p[10];
	if (version >= 0x0940 && !take(s, 1, &p)) /* level */
		return false;
	if (!take(s, 4, &p))
		return false;
	*ret_flags = load_be32(p);
	if ((*ret_flags & LZOP_FILTER) && !take(s, 4, &p))
		return false;
	/* Mode and time; the high half of the time came with 0.940. */
	if (!take(s, version >= 0x0940 ? 12 : 8, &p))
		return false;
	/* File name and the header's checksum. */
	if (!take(s, 1, &p) || !take(s, (size_t)p[0] + 4, &p))
		return false;
	return !(*ret_flags & LZOP_EXTRA_FIELD);
}

static bool unpack_lzop_block(struct streams *s, uint32_t flags, uint32_t unpacked)
{
	uint32_t packed, want_adler = 0, want_crc = 0;
	uint8_t *out = s->out + s->out_used;
	lzo_uint n = unpacked;
	const uint8_t *p;

	if (unpacked > s->out_size - s->out_used || !take(s, 4, &p))
		return false;
	packed = load_be32(p);
	if (flags & LZOP_ADLER32_D) {
		if (!take(s, 4, &p))
			return false;
		want_adler = load_be32(p);
	}
	if (flags & LZOP_CRC32_D) {
		if (!take(s, 4, &p))
			return false;
		want_crc = load_be32(p);
	}
	/* Checksums of the packed data are there only if packing made it smaller. */
	if (packed < unpacked && (flags & LZOP_ADLER32_C) && !take(s, 4, &p))
		return false;
	if (packed < unpacked && (flags & LZOP_CRC32_C) && !take(s, 4, &p))
		return false;
	if (!take(s, packed, &p))
		return false;
	if (packed == unpacked)
		memcpy(out, p, unpacked);
	else if (packed > unpacked || lzo1x_decompress_safe(p, packed, out, &n, NULL) != LZO_E_OK ||
		 n != unpacked)
		return false;
	if ((flags & LZOP_ADLER32_D) && lzo_adler32(1, out, n) != want_adler)
		return false;
	if ((flags & LZOP_CRC32_D) && lzo_crc32(0, out, n) != want_crc)
		return false;
	s->out_used += unpacked;
	return true;
}

static bool unpack_lzo(struct streams *s)
{
	uint32_t flags, unpacked;
	const uint8_t *p;

	if (lzo_init() != LZO_E_OK || !skip_lzop_header(s, &flags))
		return false;
	for (;;) {
		if (!take(s, 4, &p))
			return false;
		unpacked = load_be32(p);
		if (unpacked == 0)
			return true;
		if (!unpack_lzop_block(s, flags, unpacked))
			return false;
	}
}

static const struct format {
	const char *name;
	uint8_t magic[8];
	size_t magic_size;
	bool (*unpack)(struct streams *s);
} formats[] = {
	{"gzip", {0x1f, 0x8b}, 2, unpack_gzip},
	{"bzip2", {'B', 'Z', 'h'}, 3, unpack_bzip2},
	{"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, unpack_xz},
	{"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, unpack_zstd},
	{"lz4", {0x02, 0x21, 0x4c, 0x18}, 4, unpack_lz4},
	{"lzma", {0x5d, 0, 0}, 3, unpack_lzma},
	{"lzo", {0x89, 'L', 'Z', 'O', 0, 0x0d, 0x0a, 0x1a}, 8, unpack_lzo},
};

static const struct format *find_format(const uint8_t *in, size_t in_size)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (in_size >= formats[i].magic_size + SIZE_TRAILER &&
		    memcmp(in, formats[i].magic, formats[i].magic_size) == 0)
			return &formats[i];
	return NULL;
}

const char *decompress_format(const uint8_t *in, size_t in_size)
{
	const struct format *format = find_format(in, in_size);

	return format ? format->name : NULL;
}

int decompress(const uint8_t *in, size_t in_size, size_t max_size, uint8_t **ret_out,
	       size_t *ret_size, const char **ret_reason)
{
	const struct format *format = find_format(in, in_size);
	struct streams s = {.in = in, .in_left = in_size};

	if (!format) {
		*ret_reason = "the payload has an unknown compression format";
		return -EOPNOTSUPP;
	}
	s.out_size = load_u32(in + in_size - SIZE_TRAILER);
	if (s.out_size == 0) {
		*ret_reason = "the payload is empty";
		return -EINVAL;
	}
	if (s.out_size > max_size || in_size > DECOMPRESS_MAX_SIZE) {
		*ret_reason = "the payload is implausibly large";
		return -E2BIG;
	}
	/* gzip's trailer belongs to its stream, and for lz4 the size would look like a block. */
	if (format->unpack != unpack_gzip)
		s.in_left -= SIZE_TRAILER;
	s.out = malloc(s.out_size);
	if (!s.out) {
		*ret_reason = "out of memory";
		return -ENOMEM;
	}
	if (!format->unpack(&s) || s.out_used != s.out_size) {
		*ret_reason = "the payload is damaged";
		free(s.out);
		return -EINVAL;
	}
	*ret_out = s.out;
	*ret_size = s.out_size;
	return 0;
}
