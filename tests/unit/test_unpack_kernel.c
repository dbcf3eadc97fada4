// SPDX-License-Identifier: GPL-2.0-or-later
// Tests of bh-unpack-kernel: every compression format, damaged images, and the command line.
// links: tools/unpack-kernel/bzimage.c tools/unpack-kernel/decompress.c tools/unpack-kernel/output.c
// links: tools/unpack-kernel/cli.c hypervisor/common/elf.c
// libs: -lz -lbz2 -llzma -lzstd -llz4 -llzo2 -lgcrypt
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <zlib.h>
#include <zstd.h>

#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>

#include <xen/elfnote.h>

#include "../../tools/unpack-kernel/bzimage.h"
#include "../../tools/unpack-kernel/cli.h"
#include "../../tools/unpack-kernel/decompress.h"
#include "../../tools/unpack-kernel/output.h"

/* More than one lz4 block of 8 MiB. */
#define KERNEL_SIZE (9u << 20)
#define BUFFER_SIZE (12u << 20)
#define SETUP_SECTS 3
#define PAYLOAD_AT  ((SETUP_SECTS + 1) * 512u + 0x100)

static uint8_t *kernel, *buffer;
static char dir[] = "/tmp/bh-unpack-test-XXXXXX";

/* An ELF image with one segment and a PVH note; the rest is half repetition, half noise. */
static void make_kernel(uint8_t *b)
{
	uint32_t seed = 1, note = 0x200;
	static const struct {
		uint32_t at, size;
		uint64_t value;
	} fields[] = {
		{16, 2, 2},
		{18, 2, 62},
		{20, 4, 1},
		{24, 8, 0x1000000},
		{32, 8, 64},
		{54, 2, 56},
		{56, 2, 2},
		/* PT_LOAD R E of the whole file to 16 MiB, PT_NOTE */
		{64, 4, 1},
		{68, 4, 5},
		{72, 8, 0},
		{88, 8, 0x1000000},
		{96, 8, KERNEL_SIZE},
		{104, 8, KERNEL_SIZE},
		{112, 8, 4096},
		{120, 4, 4},
		{128, 8, 0x200},
		{152, 8, 20},
		{160, 8, 20},
		{168, 8, 4},
	};

	for (uint32_t i = 0; i < KERNEL_SIZE; i++) {
		seed = seed * 1664525 + 1013904223;
		b[i] = (i & 0x8000) ? (uint8_t)(seed >> 24) : (uint8_t)(i >> 6);
	}
	memset(b, 0, 0x400);
	memcpy(b, "\177ELF\2\1\1", 7);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		memcpy(b + fields[i].at, &fields[i].value, fields[i].size);
	store_u32(b + note, 4);
	store_u32(b + note + 4, 4);
	store_u32(b + note + 8, XEN_ELFNOTE_PHYS32_ENTRY);
	memcpy(b + note + 12, "Xen", 4);
	store_u32(b + note + 16, 0x1000300);
}

static int setup(void **state)
{
	(void)state;
	kernel = malloc(KERNEL_SIZE);
	buffer = malloc(BUFFER_SIZE);
	if (!kernel || !buffer || !mkdtemp(dir))
		return -1;
	make_kernel(kernel);
	return 0;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	free(kernel);
	free(buffer);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* ---- packers: write the payload with its size trailer to out, return its length ---- */

static size_t add_size(uint8_t *out, size_t len)
{
	store_u32(out + len, KERNEL_SIZE);
	return len + 4;
}

static size_t pack_gzip(uint8_t *out)
{
	z_stream z = {.next_in = kernel,
		      .avail_in = KERNEL_SIZE,
		      .next_out = out,
		      .avail_out = BUFFER_SIZE};

	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static size_t pack_bzip2(uint8_t *out)
{
	unsigned len = BUFFER_SIZE;

	assert_int_equal(BZ2_bzBuffToBuffCompress((char *)out, &len, (char *)kernel, KERNEL_SIZE, 9,
						  0, 0),
			 BZ_OK);
	return add_size(out, len);
}

static size_t run_encoder(lzma_stream *l, uint8_t *out)
{
	size_t len;

	l->next_in = kernel;
	l->avail_in = KERNEL_SIZE;
	l->next_out = out;
	l->avail_out = BUFFER_SIZE;
	assert_int_equal(lzma_code(l, LZMA_FINISH), LZMA_STREAM_END);
	len = l->total_out;
	lzma_end(l);
	return add_size(out, len);
}

static size_t pack_xz(uint8_t *out)
{
	/* As Linux does it: the x86 filter before LZMA2, and CRC32. */
	lzma_stream l = LZMA_STREAM_INIT;
	lzma_options_lzma options;
	lzma_filter filters[] = {
		{.id = LZMA_FILTER_X86},
		{.id = LZMA_FILTER_LZMA2, .options = &options},
		{.id = LZMA_VLI_UNKNOWN},
	};

	assert_false(lzma_lzma_preset(&options, 0));
	assert_int_equal(lzma_stream_encoder(&l, filters, LZMA_CHECK_CRC32), LZMA_OK);
	return run_encoder(&l, out);
}

static size_t pack_lzma(uint8_t *out)
{
	lzma_stream l = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	assert_false(lzma_lzma_preset(&options, 0));
	assert_int_equal(lzma_alone_encoder(&l, &options), LZMA_OK);
	return run_encoder(&l, out);
}

static size_t pack_zstd(uint8_t *out)
{
	size_t len = ZSTD_compress(out, BUFFER_SIZE, kernel, KERNEL_SIZE, 1);

	assert_false(ZSTD_isError(len));
	return add_size(out, len);
}

static size_t pack_lz4(uint8_t *out)
{
	const size_t block = 8u << 20;
	size_t len = 4;

	store_u32(out, 0x184c2102);
	for (size_t at = 0; at < KERNEL_SIZE; at += block) {
		size_t n = KERNEL_SIZE - at < block ? KERNEL_SIZE - at : block;
		int packed = LZ4_compress_default((const char *)kernel + at, (char *)out + len + 4,
						  (int)n, (int)(BUFFER_SIZE - len - 4));

		assert_true(packed > 0);
		store_u32(out + len, (uint32_t)packed);
		len += 4 + (size_t)packed;
	}
	return add_size(out, len);
}

static uint8_t *put_be32(uint8_t *p, uint32_t v)
{
	store_u32(p, __builtin_bswap32(v));
	return p + 4;
}

/* As lzop 1.04 writes it, with checksums of the unpacked and of the packed data. */
static size_t pack_lzo_flags(uint8_t *out, uint32_t flags)
{
	static const uint8_t start[] = {0x89, 'L',  'Z',  'O',	0,    0x0d, 0x0a, 0x1a, 0x0a,
					0x10, 0x40, 0x20, 0xa0, 0x09, 0x40, 1,	  5};
	const uint32_t block = 256u << 10;
	uint8_t *work = malloc(LZO1X_1_MEM_COMPRESS), *tmp = malloc(block * 2);
	uint8_t *p = out;

	assert_true(work && tmp && lzo_init() == LZO_E_OK);
	memcpy(p, start, sizeof(start));
	p = put_be32(p + sizeof(start), flags);
	if (flags & 0x800)
		p = put_be32(p, 1);
	memset(p, 0, 12);
	p += 12;
	*p++ = 3;
	memcpy(p, "abc", 3);
	p = put_be32(p + 3, 0x12345678);
	for (uint32_t at = 0; at < KERNEL_SIZE; at += block) {
		uint32_t n = KERNEL_SIZE - at < block ? KERNEL_SIZE - at : block;
		lzo_uint packed;

		assert_int_equal(lzo1x_1_compress(kernel + at, n, tmp, &packed, work), LZO_E_OK);
		p = put_be32(p, n);
		p = put_be32(p, packed < n ? (uint32_t)packed : n);
		if (flags & 0x1)
			p = put_be32(p, lzo_adler32(1, kernel + at, n));
		if (flags & 0x100)
			p = put_be32(p, lzo_crc32(0, kernel + at, n));
		if (packed < n && (flags & 0x2))
			p = put_be32(p, lzo_adler32(1, tmp, packed));
		if (packed < n && (flags & 0x200))
			p = put_be32(p, lzo_crc32(0, tmp, packed));
		memcpy(p, packed < n ? tmp : kernel + at, packed < n ? packed : n);
		p += packed < n ? packed : n;
	}
	p = put_be32(p, 0);
	free(work);
	free(tmp);
	return add_size(out, (size_t)(p - out));
}

static size_t pack_lzo(uint8_t *out)
{
	return pack_lzo_flags(out, 0x03000001);
}

static size_t pack_lzo_all_sums(uint8_t *out)
{
	return pack_lzo_flags(out, 0x03000303);
}

static const struct {
	const char *name;
	size_t (*pack)(uint8_t *out);
} packers[] = {
	{"gzip", pack_gzip}, {"bzip2", pack_bzip2}, {"xz", pack_xz},   {"lzma", pack_lzma},
	{"zstd", pack_zstd}, {"lz4", pack_lz4},	    {"lzo", pack_lzo}, {"lzo", pack_lzo_all_sums},
};
#define NR_PACKERS (sizeof(packers) / sizeof(packers[0]))

/* Turns the payload, already at its place in the buffer, into a bzImage; returns its length. */
static size_t make_bzimage(size_t payload_len)
{
	memset(buffer, 0, PAYLOAD_AT);
	buffer[0x1f1] = SETUP_SECTS;
	store_u16(buffer + 0x1fe, 0xaa55);
	memcpy(buffer + 0x202, "HdrS", 4);
	store_u16(buffer + 0x206, 0x020f);
	store_u32(buffer + 0x248, 0x100);
	store_u32(buffer + 0x24c, (uint32_t)payload_len);
	return PAYLOAD_AT + payload_len;
}

static void test_formats(void **state)
{
	const char *reason = "";

	(void)state;
	for (size_t i = 0; i < NR_PACKERS; i++) {
		size_t len = packers[i].pack(buffer), size;
		uint8_t *out;

		assert_string_equal(decompress_format(buffer, len), packers[i].name);
		if (decompress(buffer, len, DECOMPRESS_MAX_SIZE, &out, &size, &reason))
			fail_msg("%s: %s", packers[i].name, reason);
		assert_int_equal(size, KERNEL_SIZE);
		assert_memory_equal(out, kernel, KERNEL_SIZE);
		free(out);
	}
}

static void expect_bad(const uint8_t *in, size_t len, int want)
{
	uint8_t *exact = malloc(len ? len : 1), *out;
	const char *reason = NULL;
	size_t size;

	assert_non_null(exact);
	memcpy(exact, in, len);
	assert_int_equal(decompress(exact, len, DECOMPRESS_MAX_SIZE, &out, &size, &reason), want);
	assert_non_null(reason);
	free(exact);
}

static void test_damaged_payloads(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_PACKERS; i++) {
		size_t len = packers[i].pack(buffer);
		uint32_t size = load_u32(buffer + len - 4);

		/* The middle is noise in these formats: a checksum or the size tells. */
		if (strcmp(packers[i].name, "lz4") != 0) {
			buffer[len / 2] ^= 1;
			expect_bad(buffer, len, -EINVAL);
			buffer[len / 2] ^= 1;
		}
		store_u32(buffer + len - 4, size + 1);
		expect_bad(buffer, len, -EINVAL);
		store_u32(buffer + len - 4, size - 1);
		expect_bad(buffer, len, -EINVAL);
		store_u32(buffer + len - 4, 0);
		expect_bad(buffer, len, -EINVAL);
		store_u32(buffer + len - 4, (uint32_t)DECOMPRESS_MAX_SIZE + 1);
		expect_bad(buffer, len, -E2BIG);
		/* Cut in the middle, with a plausible size behind. */
		store_u32(buffer + len / 2 - 4, size);
		expect_bad(buffer, len / 2, -EINVAL);
		store_u32(buffer + 20, size);
		expect_bad(buffer, 24, -EINVAL);
	}
	expect_bad((const uint8_t *)"PK\3\4AY&SY12345", 14, -EOPNOTSUPP);
	expect_bad((const uint8_t *)"\x1f\x8b", 2, -EOPNOTSUPP);
	expect_bad((const uint8_t *)"", 0, -EOPNOTSUPP);
}

static void test_setup_header(void **state)
{
	struct bzimage_payload payload;
	const char *reason;
	size_t len;

	(void)state;
	memset(buffer + PAYLOAD_AT, 7, 1000);
	len = make_bzimage(1000);
	assert_int_equal(bzimage_find_payload(buffer, len, &payload, &reason), 0);
	assert_ptr_equal(payload.data, buffer + PAYLOAD_AT);
	assert_int_equal(payload.size, 1000);
	assert_int_equal(bzimage_find_payload(buffer, len - 1, &payload, &reason), -EINVAL);
	assert_string_equal(reason, "the bzImage is truncated");
	assert_int_equal(bzimage_find_payload(buffer, 0x24f, &payload, &reason), -EINVAL);
	assert_int_equal(bzimage_find_payload(buffer, 0x205, &payload, &reason), -EINVAL);
	store_u32(buffer + 0x248, UINT32_MAX);
	assert_int_equal(bzimage_find_payload(buffer, len, &payload, &reason), -EINVAL);
	make_bzimage(0);
	assert_int_equal(bzimage_find_payload(buffer, len, &payload, &reason), -EINVAL);
	make_bzimage(1000);
	store_u16(buffer + 0x206, 0x0207);
	assert_int_equal(bzimage_find_payload(buffer, len, &payload, &reason), -EINVAL);
	make_bzimage(1000);
	buffer[0x1f1] = 0; /* means 4 */
	assert_int_equal(bzimage_find_payload(buffer, len + 512, &payload, &reason), 0);
	assert_ptr_equal(payload.data, buffer + PAYLOAD_AT + 512);
	make_bzimage(1000);
	buffer[0x202] = 'h';
	assert_false(bzimage_detect(buffer, len));
	make_bzimage(1000);
	buffer[0x1fe] = 0;
	assert_false(bzimage_detect(buffer, len));
}

/* ---- command line ---- */

static char said[1024];

static const char *path(const char *name)
{
	static char paths[4][128];
	static unsigned int next;
	char *p = paths[next++ % 4];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static int run(int argc, const char *a, const char *b, const char *c)
{
	char *argv[] = {(char *)"bh-unpack-kernel", (char *)a, (char *)b, (char *)c, NULL};
	FILE *f = fmemopen(said, sizeof(said), "w");
	int rc;

	assert_non_null(f);
	said[0] = '\0';
	argv[argc] = NULL;
	rc = unpack_kernel_cli(argc, argv, f, f);
	fclose(f);
	return rc;
}

static void write_file(const char *name, const void *data, size_t size)
{
	FILE *f = fopen(path(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static size_t read_back(const char *name, void *data, size_t size)
{
	FILE *f = fopen(path(name), "r");
	size_t n;

	if (!f)
		return 0;
	n = fread(data, 1, size, f);
	fclose(f);
	return n;
}

static void test_command(void **state)
{
	char sum[256] = "", hex[SHA256_TEXT_SIZE], want[256];
	size_t len;
	struct stat st;

	(void)state;
	len = make_bzimage(pack_zstd(buffer + PAYLOAD_AT));
	write_file("vmlinuz-test", buffer, len);
	assert_int_equal(run(2, path("vmlinuz-test"), NULL, NULL), UNPACK_OK);
	assert_non_null(strstr(said, "(zstd), PVH entry 0x1000300"));
	assert_int_equal(read_back("vmlinux-test", buffer, BUFFER_SIZE), KERNEL_SIZE);
	assert_memory_equal(buffer, kernel, KERNEL_SIZE);
	assert_int_equal(stat(path("vmlinux-test"), &st), 0);
	assert_int_equal(st.st_mode & 0777 & ~0644u, 0);
	assert_int_equal(st.st_mode & 0400, 0400);

	assert_int_equal(output_sha256(kernel, KERNEL_SIZE, hex), 0);
	snprintf(want, sizeof(want), "%s  vmlinux-test\n", hex);
	(void)read_back("vmlinux-test.sha256", sum, sizeof(sum) - 1);
	assert_string_equal(sum, want);

	/* An ELF image passes through; the other default name; quiet. */
	write_file("image", kernel, KERNEL_SIZE);
	assert_int_equal(run(3, "-q", path("image"), NULL), UNPACK_OK);
	assert_string_equal(said, "");
	assert_int_equal(read_back("image.elf", buffer, BUFFER_SIZE), KERNEL_SIZE);
	assert_int_equal(run(3, path("image"), path("other"), NULL), UNPACK_OK);
	assert_int_equal(read_back("other.sha256", sum, sizeof(sum)), 64 + 2 + 6);
}

static void test_known_digest(void **state)
{
	char hex[SHA256_TEXT_SIZE];

	(void)state;
	/* FIPS 180-2, B.1 */
	assert_int_equal(output_sha256("abc", 3, hex), 0);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_command_errors(void **state)
{
	char old[4] = "";
	size_t len;

	(void)state;
	assert_int_equal(run(1, NULL, NULL, NULL), UNPACK_USAGE);
	assert_int_equal(run(4, "a", "b", "c"), UNPACK_USAGE);
	assert_int_equal(run(3, "--frobnicate", "b", NULL), UNPACK_USAGE);
	assert_int_equal(run(2, "--help", NULL, NULL), UNPACK_OK);
	assert_non_null(strstr(said, "usage:"));
	assert_int_equal(run(2, path("missing"), NULL, NULL), UNPACK_FAILED);
	assert_non_null(strstr(said, "No such file"));
	assert_int_equal(run(2, dir, NULL, NULL), UNPACK_FAILED);
	assert_int_equal(run(2, "/dev/null", NULL, NULL), UNPACK_FAILED);
	assert_non_null(strstr(said, "not a regular file"));
	assert_int_equal(run(3, path("image"), path("a\\b"), NULL), UNPACK_FAILED);
	assert_int_equal(run(3, path("vmlinuz-test"), "/nonexistent/out", NULL), UNPACK_FAILED);

	write_file("empty", "", 0);
	assert_int_equal(run(2, path("empty"), NULL, NULL), UNPACK_FAILED);
	assert_non_null(strstr(said, "nor an ELF image"));

	/* What fails the checks leaves the old output alone, and no temporary file. */
	write_file("kept", "old", 3);
	len = make_bzimage(pack_gzip(buffer + PAYLOAD_AT));
	write_file("short", buffer, len - 1);
	assert_int_equal(run(3, path("short"), path("kept"), NULL), UNPACK_FAILED);
	assert_non_null(strstr(said, "truncated"));
	kernel[0x200 + 8] ^= 0x40; /* no PVH note any more */
	len = make_bzimage(pack_gzip(buffer + PAYLOAD_AT));
	kernel[0x200 + 8] ^= 0x40;
	write_file("no-pvh", buffer, len);
	assert_int_equal(run(3, path("no-pvh"), path("kept"), NULL), UNPACK_FAILED);
	assert_non_null(strstr(said, "no PVH entry note"));
	assert_int_equal(read_back("kept", old, sizeof(old)), 3);
	assert_memory_equal(old, "old", 3);
	assert_int_equal(access(path("kept.sha256"), F_OK), -1);

	/* A directory in the way of the output. */
	assert_int_equal(mkdir(path("dir"), 0755), 0);
	assert_int_equal(run(3, path("image"), path("dir"), NULL), UNPACK_FAILED);
}

static void test_no_temporary_files_left(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command),
		 "test -z \"$(find %s -name '*.[!.][!.][!.][!.][!.][!.]' ! -name '*.sha256')\"",
		 dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_damaged_payloads),
		cmocka_unit_test(test_setup_header),
		cmocka_unit_test(test_known_digest),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_command_errors),
		cmocka_unit_test(test_no_temporary_files_left),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
