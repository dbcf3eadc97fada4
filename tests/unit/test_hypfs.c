// SPDX-License-Identifier: GPL-2.0-or-later
// hypfs_op: the tree as its own listings describe it, parameters that can be written, paths and sizes of a hostile caller.
// links: hypervisor/common/hypfs.c hypervisor/common/log_level.c hypervisor/common/page_owner.c hypervisor/common/pod.c
// links: hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c
#include "domain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/errno.h>
#include <bulkhead/grant.h>
#include <bulkhead/log.h>

#include <xen/hypfs.h>

#define PATH (FIXTURE_BUF)
#define DATA (FIXTURE_BUF + 0x1000)

/* What parameters are of. */
uint32_t grant_default_frames, grant_default_maptrack;
enum log_level log_threshold, log_guest_threshold;

static struct domain *dom0, *domu;

static int setup(void **state)
{
	(void)state;
	fixture_pair_init(1, &dom0, &domu);
	grant_default_frames = 64;
	grant_default_maptrack = 1024;
	log_threshold = LOG_WARN;
	log_guest_threshold = LOG_INFO;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_pair_finish(dom0, domu);
	return 0;
}

static char *guest(uint64_t gva)
{
	return (char *)fake_guest_memory + gva;
}

static int64_t op(uint64_t cmd, uint64_t path, uint64_t path_size, uint64_t data, uint64_t size)
{
	struct hypercall hc = {.args = {cmd, path, path_size, data, size}};

	return hypercall_hypfs_op(&hc);
}

static int64_t at(uint64_t cmd, const char *path, uint64_t size)
{
	memcpy(guest(PATH), path, strlen(path) + 1);
	return op(cmd, PATH, strlen(path) + 1, DATA, size);
}

static const struct xen_hypfs_direntry *described(void)
{
	return (const struct xen_hypfs_direntry *)guest(DATA);
}

/* The contents behind the description. */
static const char *read_at(const char *path)
{
	memset(guest(DATA), 0xee, 0x1000);
	assert_int_equal(at(XEN_HYPFS_OP_read, path, 0x1000), 0);
	return guest(DATA) + sizeof(struct xen_hypfs_direntry);
}

static uint32_t number_at(const char *path)
{
	uint32_t value;

	memcpy(&value, read_at(path), sizeof(value));
	assert_int_equal(described()->type, XEN_HYPFS_TYPE_UINT);
	assert_int_equal(described()->content_len, sizeof(value));
	return value;
}

static int64_t write_at(const char *path, const void *data, size_t size)
{
	memcpy(guest(DATA), data, size);
	return at(XEN_HYPFS_OP_write_contents, path, size);
}

static void versions_and_callers(void **state)
{
	(void)state;
	assert_int_equal(op(XEN_HYPFS_OP_get_version, 0, 0, 0, 0), XEN_HYPFS_VERSION);
	for (unsigned i = 1; i < 5; i++) {
		struct hypercall hc = {.args = {XEN_HYPFS_OP_get_version}};

		hc.args[i] = 1;
		assert_int_equal(hypercall_hypfs_op(&hc), -EINVAL);
	}
	assert_int_equal(at(9, "/", 0x1000), -EOPNOTSUPP);
	fixture_run(domu);
	assert_int_equal(op(XEN_HYPFS_OP_get_version, 0, 0, 0, 0), -EPERM);
	assert_int_equal(at(XEN_HYPFS_OP_read, "/", 0x1000), -EPERM);
}

/* Reads a directory and all below it; each listing says of an entry what its own description says. Returns how many. */
static unsigned walk(const char *path)
{
	char listing[0x1000], name[256];
	uint32_t length, done = 0;
	unsigned count = 1;

	memcpy(listing, read_at(path), sizeof(listing) - sizeof(struct xen_hypfs_direntry));
	assert_int_equal(described()->type, XEN_HYPFS_TYPE_DIR);
	length = described()->content_len;
	for (bool last = false; !last;) {
		const struct xen_hypfs_dirlistentry *e =
			(const struct xen_hypfs_dirlistentry *)(listing + done);

		assert_true(done < length);
		snprintf(name, sizeof(name), "%s/%s", strcmp(path, "/") != 0 ? path : "", e->name);
		read_at(name);
		assert_memory_equal(described(), &e->e, sizeof(e->e));
		count += e->e.type == XEN_HYPFS_TYPE_DIR ? walk(name) : 1;
		last = !e->off_next;
		done += e->off_next;
	}
	return count;
}

static void tree(void **state)
{
	(void)state;
	/* Seven directories, four facts of the compiler, three numbers of the version, a changeset, a pool, four parameters. */
	assert_int_equal(walk("/"), 7 + 4 + 3 + 1 + 1 + 4);
	assert_int_equal(number_at("/buildinfo/version/major"), 4);
	assert_int_equal(described()->max_write_len, 0);
	assert_string_equal(read_at("/cpupool/0/sched-gran"), "cpu");
	assert_int_equal(described()->content_len, 4);
	/* A slash at the end is none of a name. */
	assert_string_equal(read_at("/cpupool/0/sched-gran/"), "cpu");
}

static void room(void **state)
{
	const struct xen_hypfs_direntry before = {.content_len = 99};

	(void)state;
	memcpy(guest(DATA), &before, sizeof(before));
	assert_int_equal(at(XEN_HYPFS_OP_read, "/params", sizeof(before) - 1), -EINVAL);
	assert_int_equal(described()->content_len, 99);
	/* With room for the description alone it says how much is needed. */
	assert_int_equal(at(XEN_HYPFS_OP_read, "/cpupool/0/sched-gran", sizeof(before)), -ENOBUFS);
	assert_int_equal(described()->content_len, 4);
	assert_int_equal(at(XEN_HYPFS_OP_read, "/cpupool/0/sched-gran", sizeof(before) + 4), 0);
	assert_int_equal(op(XEN_HYPFS_OP_read, PATH, 22, FIXTURE_FAULT, 0x1000), -EFAULT);
}

static void paths(void **state)
{
	static const char *const absent[] = {"/nothing", "/params/loglvl/more",
					     "/param",	 "/paramsx",
					     "//params", "/params//loglvl"};

	(void)state;
	assert_int_equal(at(XEN_HYPFS_OP_read, "params", 0x1000), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		assert_int_equal(at(XEN_HYPFS_OP_read, absent[i], 0x1000), -ENOENT);
	/* No NUL, one in the middle, no length, too long, not there. */
	memcpy(guest(PATH), "/params", 8);
	assert_int_equal(op(XEN_HYPFS_OP_read, PATH, 7, DATA, 0x1000), -EINVAL);
	memcpy(guest(PATH), "/\0params", 9);
	assert_int_equal(op(XEN_HYPFS_OP_read, PATH, 9, DATA, 0x1000), -EINVAL);
	assert_int_equal(op(XEN_HYPFS_OP_read, PATH, 0, DATA, 0x1000), -EINVAL);
	assert_int_equal(op(XEN_HYPFS_OP_read, PATH, XEN_HYPFS_MAX_PATHLEN + 1, DATA, 0x1000),
			 -EINVAL);
	assert_int_equal(op(XEN_HYPFS_OP_read, PATH, UINT64_MAX, DATA, 0x1000), -EINVAL);
	assert_int_equal(op(XEN_HYPFS_OP_read, FIXTURE_FAULT, 8, DATA, 0x1000), -EFAULT);
}

static void numbers(void **state)
{
	uint32_t value = 128, none = 0, many = GRANT_FRAMES_MAX + 1;
	const char *path = "/params/gnttab_max_frames";

	(void)state;
	assert_int_equal(number_at(path), 64);
	assert_int_equal(described()->max_write_len, 4);
	assert_int_equal(write_at(path, &value, 4), 0);
	assert_int_equal(number_at(path), 128);
	assert_int_equal(write_at(path, &none, 4), -ERANGE);
	assert_int_equal(write_at(path, &many, 4), -ERANGE);
	assert_int_equal(write_at(path, &value, 3), -EDOM);
	assert_int_equal(write_at(path, "12345", 5), -ENOSPC);
	assert_int_equal(op(XEN_HYPFS_OP_write_contents, PATH, strlen(path) + 1, FIXTURE_FAULT, 4),
			 -EFAULT);
	assert_int_equal(number_at(path), 128);
	/* Without any a domain maps nothing of others, but it may have none. */
	assert_int_equal(write_at("/params/gnttab_max_maptrack_frames", &none, 4), 0);
	assert_int_equal(number_at("/params/gnttab_max_maptrack_frames"), 0);
}

static void levels(void **state)
{
	char longest[33];

	(void)state;
	assert_string_equal(read_at("/params/loglvl"), "warning/warning");
	assert_int_equal(write_at("/params/loglvl", "debug", 6), 0);
	assert_int_equal(log_threshold, LOG_DEBUG);
	assert_int_equal(log_guest_threshold, LOG_INFO);
	assert_int_equal(write_at("/params/guest_loglvl", "error", 6), 0);
	assert_string_equal(read_at("/params/guest_loglvl"), "error/error");
	assert_true(write_at("/params/loglvl", "nonsense", 9) < 0);
	assert_int_equal(write_at("/params/loglvl", "debug", 5), -EINVAL); /* no NUL */
	assert_int_equal(write_at("/params/loglvl", "a\0b", 4), -EINVAL);
	assert_int_equal(write_at("/params/loglvl", "", 0), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(write_at("/params/loglvl", longest, 33), -ENOSPC);
	assert_int_equal(write_at("/params/loglvl", longest, 32), -EINVAL);
	assert_string_equal(read_at("/params/loglvl"), "debug/debug");
}

static void read_only(void **state)
{
	(void)state;
	assert_int_equal(write_at("/buildinfo/version/major", "1234", 4), -EACCES);
	assert_int_equal(write_at("/params", "x", 2), -EACCES);
	assert_int_equal(write_at("/", "x", 2), -EACCES);
	assert_int_equal(write_at("/params/nothing", "x", 2), -ENOENT);
}

static void no_memory(void **state)
{
	(void)state;
	fake_heap_fail_after = 0;
	assert_int_equal(at(XEN_HYPFS_OP_read, "/", 0x1000), -ENOMEM);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(versions_and_callers),
		T(tree),
		T(room),
		T(paths),
		T(numbers),
		T(levels),
		T(read_only),
		T(no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
