// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of I/O dispatch: region tables, splitting of accesses, port permissions, legacy ports.
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/fake_x86.c hypervisor/arch/x86/hvm/hvm_io.c hypervisor/arch/x86/hvm/legacy_ports.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arch/hvm_io.h>
#include <arch/legacy.h>
#include <bulkhead/errno.h>

#include "fake_x86.h"

static struct domain *dom;
static struct vcpu *v0;

/* A device of bytes; remembers how it was accessed. */
struct device {
	struct hvm_io_region region;
	uint8_t bytes[64];
	struct {
		uint64_t offset;
		unsigned size;
		bool write;
	} log[16];
	unsigned count;
	int result;
};

static void note(struct device *dev, uint64_t offset, unsigned size, bool write)
{
	assert_true(size == 1 || size == 2 || size == 4 || size == 8);
	assert_true(offset + size <= dev->region.size);
	assert_int_equal(dev->region.users, 1);
	assert_true(dev->count < ARRAY_SIZE(dev->log));
	dev->log[dev->count].offset = offset;
	dev->log[dev->count].size = size;
	dev->log[dev->count++].write = write;
}

static int dev_read(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
		    uint64_t *ret_value)
{
	struct device *dev = opaque;

	assert_ptr_equal(v, v0);
	note(dev, offset, size, false);
	if (dev->result)
		return dev->result;
	*ret_value = 0;
	memcpy(ret_value, &dev->bytes[offset], size);
	return 0;
}

static int dev_write(struct vcpu *v, void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct device *dev = opaque;

	assert_ptr_equal(v, v0);
	note(dev, offset, size, true);
	if (dev->result)
		return dev->result;
	memcpy(&dev->bytes[offset], &value, size);
	return 0;
}

static const struct hvm_io_ops dev_ops = {.read = dev_read, .write = dev_write};

static struct device *device(uint64_t base, uint64_t size)
{
	struct device *dev = calloc(1, sizeof(*dev));
	unsigned i;

	dev->region.base = base;
	dev->region.size = size;
	dev->region.ops = &dev_ops;
	dev->region.opaque = dev;
	for (i = 0; i < sizeof(dev->bytes); i++)
		dev->bytes[i] = (uint8_t)(0x10 + i);
	return dev;
}

static uint64_t mmio_r(uint64_t gpa, unsigned size)
{
	uint64_t value = 0x7777777777777777;

	assert_int_equal(hvm_mmio_access(v0, gpa, size, false, &value), 0);
	return value;
}

static void mmio_w(uint64_t gpa, unsigned size, uint64_t value)
{
	uint64_t arg = value;

	assert_int_equal(hvm_mmio_access(v0, gpa, size, true, &arg), 0);
	assert_int_equal(arg, value);
}

static uint64_t port_r(unsigned port, unsigned size)
{
	uint64_t value = 0x7777777777777777;

	assert_int_equal(hvm_port_access(v0, port, size, false, &value), 0);
	return value;
}

static void port_w(unsigned port, unsigned size, uint64_t value)
{
	assert_int_equal(hvm_port_access(v0, port, size, true, &value), 0);
}

static bool intercepted(unsigned port)
{
	return dom->arch.io_bitmap[port / 8] >> (port % 8) & 1;
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	dom = fake_domain(true, 1);
	v0 = dom->vcpus[0];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_domain_free(dom);
	return fake_heap_live == 0 ? 0 : -1;
}

/* ---- Tables ---- */

static void test_overlaps(void **state)
{
	struct device *a = device(0x1000, 0x100), *b = device(0x10ff, 1);

	(void)state;
	assert_int_equal(hvm_mmio_register(dom, &a->region), 0);
	assert_int_equal(hvm_mmio_register(dom, &a->region), -EEXIST);
	assert_int_equal(hvm_mmio_register(dom, &b->region), -EEXIST);
	b->region.base = 0xff0;
	b->region.size = 0x11;
	assert_int_equal(hvm_mmio_register(dom, &b->region), -EEXIST);
	b->region.size = 0x1000;
	assert_int_equal(hvm_mmio_register(dom, &b->region), -EEXIST);
	b->region.size = 0x10;
	assert_int_equal(hvm_mmio_register(dom, &b->region), 0);
	hvm_mmio_unregister(dom, &b->region);
	b->region.base = 0x1100;
	assert_int_equal(hvm_mmio_register(dom, &b->region), 0);
	/* Ports are another space. */
	hvm_mmio_unregister(dom, &a->region);
	hvm_mmio_unregister(dom, &a->region);
	a->region.base = 0x1000;
	assert_int_equal(hvm_port_register(dom, &a->region), 0);
	hvm_port_unregister(dom, &a->region);
	hvm_mmio_unregister(dom, &b->region);
	/* Nothing, and beyond the end. */
	a->region.size = 0;
	assert_int_equal(hvm_mmio_register(dom, &a->region), -EINVAL);
	assert_int_equal(hvm_port_register(dom, &a->region), -EINVAL);
	a->region.base = ~0ULL - 1;
	a->region.size = 3;
	assert_int_equal(hvm_mmio_register(dom, &a->region), -EINVAL);
	assert_int_equal(hvm_port_register(dom, &a->region), -EINVAL);
	a->region.base = 0xffff;
	a->region.size = 2;
	assert_int_equal(hvm_port_register(dom, &a->region), -EINVAL);
	a->region.size = ~0ULL;
	assert_int_equal(hvm_port_register(dom, &a->region), -EINVAL);
	a->region.size = 1;
	assert_int_equal(hvm_port_register(dom, &a->region), 0);
	/* The last bytes of the address space. */
	b->region.base = ~0ULL - 3;
	b->region.size = 4;
	assert_int_equal(hvm_mmio_register(dom, &b->region), 0);
	assert_int_equal(mmio_r(~0ULL - 3, 4), 0x13121110);
	free(a);
	free(b);
}

static void test_many_regions(void **state)
{
	struct device *devs[100];
	unsigned i, order = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		/* Neither ascending nor descending. */
		order = (order + 37) % ARRAY_SIZE(devs);
		devs[order] = device(0x100000 + 0x1000 * order, 0x10);
		devs[order]->bytes[0] = (uint8_t)order;
		assert_int_equal(hvm_mmio_register(dom, &devs[order]->region), 0);
	}
	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		assert_int_equal(mmio_r(0x100000 + 0x1000 * i, 1), i);
		assert_int_equal(mmio_r(0x100000 + 0x1000 * i + 0x10, 1), 0xff);
	}
	for (i = 0; i < ARRAY_SIZE(devs); i += 2)
		hvm_mmio_unregister(dom, &devs[i]->region);
	for (i = 0; i < ARRAY_SIZE(devs); i++)
		assert_int_equal(mmio_r(0x100000 + 0x1000 * i, 1), i % 2 ? i : 0xff);
	for (i = 0; i < ARRAY_SIZE(devs); i++)
		free(devs[i]);
}

static void test_out_of_memory(void **state)
{
	struct domain *d = calloc(1, sizeof(*d));
	struct device *dev = device(0x1000, 1);
	int n;

	(void)state;
	fake_heap_fail_after = 0;
	assert_int_equal(hvm_mmio_register(dom, &dev->region), -ENOMEM);
	assert_int_equal(hvm_port_register(dom, &dev->region), -ENOMEM);
	for (n = 0; n < 2; n++) {
		fake_heap_fail_after = n;
		assert_int_equal(hvm_io_init(d), -ENOMEM);
		assert_null(d->arch.io_bitmap);
	}
	hvm_io_finish(d);
	fake_heap_fail_after = -1;
	free(dev);
	free(d);
}

/* ---- Accesses ---- */

static void test_nobody_home(void **state)
{
	(void)state;
	assert_int_equal(mmio_r(0x5000, 1), 0xff);
	assert_int_equal(mmio_r(0x5000, 2), 0xffff);
	assert_int_equal(mmio_r(0x5000, 4), 0xffffffff);
	assert_int_equal(mmio_r(0x5000, 8), ~0ULL);
	assert_int_equal(mmio_r(~0ULL, 8), ~0ULL);
	mmio_w(0x5000, 8, 1);
	assert_int_equal(port_r(0x80, 1), 0xff);
	assert_int_equal(port_r(0x80, 4), 0xffffffff);
	port_w(0x80, 4, 0);
	assert_int_equal(fake_port_count, 0);
}

static void test_whole_accesses(void **state)
{
	struct device *a = device(0x1000, 0x20);

	(void)state;
	assert_int_equal(hvm_mmio_register(dom, &a->region), 0);
	assert_int_equal(mmio_r(0x1000, 1), 0x10);
	assert_int_equal(mmio_r(0x1002, 2), 0x1312);
	assert_int_equal(mmio_r(0x1004, 4), 0x17161514);
	assert_int_equal(mmio_r(0x1008, 8), 0x1f1e1d1c1b1a1918);
	/* Within one region an access goes to it as it is, aligned or not. */
	assert_int_equal(mmio_r(0x1003, 4), 0x16151413);
	mmio_w(0x101c, 4, 0x44332211);
	assert_int_equal(a->count, 6);
	assert_int_equal(a->log[4].offset, 3);
	assert_int_equal(a->log[4].size, 4);
	assert_true(a->log[5].write);
	assert_int_equal(a->bytes[0x1f], 0x44);
	assert_int_equal(a->region.users, 0);
	hvm_mmio_unregister(dom, &a->region);
	hvm_io_region_wait(&a->region);
	assert_int_equal(mmio_r(0x1000, 1), 0xff);
	free(a);
}

static void test_split_at_borders(void **state)
{
	struct device *a = device(0x1000, 0x10), *b = device(0x1010, 0x10), *c = device(0x1030, 1);

	(void)state;
	assert_int_equal(hvm_mmio_register(dom, &b->region), 0);
	assert_int_equal(hvm_mmio_register(dom, &a->region), 0);
	assert_int_equal(hvm_mmio_register(dom, &c->region), 0);
	/* From nobody into a. */
	assert_int_equal(mmio_r(0xffe, 4), 0x1110ffff);
	assert_int_equal(a->count, 1);
	assert_int_equal(a->log[0].size, 2);
	/* From a into b. */
	assert_int_equal(mmio_r(0x100c, 8), 0x131211101f1e1d1c);
	assert_int_equal(a->log[1].size, 4);
	assert_int_equal(b->log[0].size, 4);
	/* Seven bytes and one. */
	assert_int_equal(mmio_r(0x1009, 8), 0x101f1e1d1c1b1a19);
	assert_int_equal(a->count, 5);
	assert_int_equal(a->log[2].size, 4);
	assert_int_equal(a->log[3].size, 2);
	assert_int_equal(a->log[4].size, 1);
	/* Over a region of one byte. */
	assert_int_equal(mmio_r(0x102e, 4), 0xff10ffff);
	mmio_w(0x102f, 4, 0x44332211);
	assert_int_equal(c->bytes[0], 0x22);
	mmio_w(0x101f, 2, 0x6655);
	assert_int_equal(b->bytes[15], 0x55);
	/* Sizes that no bus has. */
	assert_int_equal(mmio_r(0x1000, 3), 0x121110);
	assert_int_equal(mmio_r(0x100d, 6), 0x1211101f1e1d);
	assert_int_equal(mmio_r(0x1000, 0), 0);
	free(a);
	free(b);
	free(c);
}

static void test_must_wait(void **state)
{
	struct device *a = device(0x1000, 4), *b = device(0x1004, 4);
	uint64_t value = 0x1234;

	(void)state;
	assert_int_equal(hvm_mmio_register(dom, &a->region), 0);
	assert_int_equal(hvm_mmio_register(dom, &b->region), 0);
	b->result = -EAGAIN;
	assert_int_equal(hvm_mmio_access(v0, 0x1000, 8, false, &value), -EAGAIN);
	assert_int_equal(value, 0x1234);
	assert_int_equal(hvm_mmio_access(v0, 0x1004, 4, true, &value), -EAGAIN);
	assert_int_equal(b->region.users, 0);
	b->result = 0;
	assert_int_equal(hvm_mmio_access(v0, 0x1000, 8, false, &value), 0);
	assert_int_equal(value, 0x1312111013121110);
	free(a);
	free(b);
}

/* ---- Ports ---- */

static void test_all_denied_at_first(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 3 * PAGE_SIZE; i++)
		assert_int_equal(dom->arch.io_bitmap[i], 0xff);
	assert_false(hvm_port_is_allowed(dom, 0));
	assert_false(hvm_port_is_allowed(dom, 0xffff));
	assert_false(hvm_port_is_allowed(dom, 0x10000));
}

static void test_allow_ranges(void **state)
{
	static const unsigned edges[][2] = {{0, 0},	    {3, 4},	 {5, 17},
					    {8, 15},	    {7, 8},	 {0x60, 0x64},
					    {0x3f8, 0x3ff}, {1, 0xfffe}, {0xfff9, 0xffff},
					    {0, 0xffff}};
	unsigned i, port;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		hvm_port_allow(dom, edges[i][0], edges[i][1], true);
		for (port = 0; port <= 0xffff; port++) {
			bool in = port >= edges[i][0] && port <= edges[i][1];

			assert_int_equal(intercepted(port), !in);
			assert_int_equal(hvm_port_is_allowed(dom, port), in);
		}
		/* An access across the end of the space is always checked. */
		assert_true(intercepted(0x10000));
		hvm_port_allow(dom, edges[i][0], edges[i][1], false);
		for (port = 0; port <= 0xffff; port++)
			assert_true(intercepted(port));
	}
	/* Nonsense does nothing, the end is cut. */
	hvm_port_allow(dom, 5, 4, true);
	hvm_port_allow(dom, 0x10000, 0x20000, true);
	assert_true(intercepted(5));
	hvm_port_allow(dom, 0xffff, ~0U, true);
	assert_false(intercepted(0xffff));
	assert_true(intercepted(0x10000));
}

static void test_regions_win_over_permissions(void **state)
{
	struct device *a = device(0xcf8, 8);
	unsigned port;

	(void)state;
	assert_int_equal(hvm_port_register(dom, &a->region), 0);
	hvm_port_allow(dom, 0, 0xffff, true);
	for (port = 0xcf0; port < 0xd08; port++)
		assert_int_equal(intercepted(port), port >= 0xcf8 && port < 0xd00);
	assert_int_equal(port_r(0xcf8, 4), 0x13121110);
	hvm_port_allow(dom, 0xcfc, 0xcff, false);
	hvm_port_unregister(dom, &a->region);
	for (port = 0xcf0; port < 0xd08; port++)
		assert_int_equal(intercepted(port), port >= 0xcfc && port < 0xd00);
	assert_int_equal(fake_port_count, 0);
	assert_int_equal(hvm_port_register(dom, &a->region), 0);
	assert_true(intercepted(0xcf8));
	free(a);
}

/* Allowed ports trap nevertheless: string instructions, and accesses that a neighbour makes trap. */
static void test_direct_accesses(void **state)
{
	struct device *a = device(0x102, 1);

	(void)state;
	hvm_port_allow(dom, 0x100, 0x1ff, true);
	hvm_port_allow(dom, 0x10c, 0x10c, false);
	assert_int_equal(hvm_port_register(dom, &a->region), 0);
	port_w(0x120, 1, 0xaa);
	port_w(0x122, 2, 0xbbcc);
	port_w(0x124, 4, 0x11223344);
	assert_int_equal(port_r(0x124, 4), 0x11223344);
	assert_int_equal(port_r(0x123, 1), 0xbb);
	assert_int_equal(fake_port_count, 5);
	assert_int_equal(fake_port_log[1].size, 2);
	assert_int_equal(fake_port_log[2].size, 4);
	/* Real, emulated, real. */
	fake_port_count = 0;
	port_w(0x100, 4, 0x44332211);
	assert_int_equal(fake_port_count, 2);
	assert_int_equal(fake_port_log[0].port, 0x100);
	assert_int_equal(fake_port_log[0].value, 0x2211);
	assert_int_equal(fake_port_log[1].port, 0x103);
	assert_int_equal(fake_port_log[1].value, 0x44);
	assert_int_equal(a->bytes[0], 0x33);
	assert_int_equal(port_r(0x100, 4), 0x44332211);
	/* Real and denied. */
	fake_port_count = 0;
	fake_ports[0x10b] = 0x5a;
	fake_ports[0x10c] = 0x5b;
	fake_ports[0x10d] = 0x5c;
	assert_int_equal(port_r(0x10a, 4), 0x5cff5a00);
	port_w(0x10b, 2, 0);
	assert_int_equal(fake_ports[0x10b], 0);
	assert_int_equal(fake_ports[0x10c], 0x5b);
	/* Across the end. */
	hvm_port_allow(dom, 0xfffe, 0xffff, true);
	fake_ports[0xfffe] = 0x12;
	fake_ports[0xffff] = 0x34;
	fake_ports[0] = 0x99;
	assert_int_equal(port_r(0xfffe, 4), 0xffff3412);
	assert_int_equal(port_r(0xffff, 2), 0xff34);
	free(a);
}

/* ---- Legacy ports ---- */

static int setup_legacy(void **state)
{
	setup(state);
	return legacy_ports_init(dom);
}

static int teardown_legacy(void **state)
{
	legacy_ports_finish(dom);
	legacy_ports_finish(dom);
	return teardown(state);
}

static void test_legacy_permissions(void **state)
{
	static const unsigned denied[] = {0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0x61, 0xa0, 0xa1};
	static const unsigned direct[] = {0x60,	 0x64,	0x80,  0x92,  0xb2,
					  0x3f8, 0x608, 0xcf9, 0xffff};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(denied); i++) {
		assert_true(intercepted(denied[i]));
		port_w(denied[i], 1, 0xff & ~i);
		assert_int_equal(port_r(denied[i], 1), 0xff);
	}
	assert_int_equal(fake_port_count, 0);
	for (i = 0; i < ARRAY_SIZE(direct); i++)
		assert_false(intercepted(direct[i]));
	assert_true(intercepted(0x70));
	assert_true(intercepted(0x71));
	assert_true(intercepted(0xe9));
	assert_false(intercepted(0x72));
}

static void test_cmos(void **state)
{
	(void)state;
	fake_cmos[0x0a] = 0x26;
	fake_cmos[0x32] = 0x20;
	port_w(0x70, 1, 0x8a);
	/* The hypervisor looks at the clock in between. */
	fake_ports[0x70] = 0x32;
	assert_int_equal(port_r(0x71, 1), 0x26);
	assert_int_equal(port_r(0x70, 1), 0x8a);
	/* NMIs stay on. */
	assert_int_equal(fake_port_log[0].port, 0x70);
	assert_int_equal(fake_port_log[0].value, 0x0a);
	port_w(0x71, 1, 0x27);
	assert_int_equal(fake_cmos[0x0a], 0x27);
	/* Both ports in one access. */
	port_w(0x70, 2, 0x5532);
	assert_int_equal(fake_cmos[0x32], 0x55);
	assert_int_equal(port_r(0x70, 2), 0x5532);
	assert_false(fake_irqs_off);
	assert_false(spin_is_locked(&cmos_lock));
}

static void say(const char *s)
{
	while (*s)
		port_w(0xe9, 1, (uint8_t)*s++);
}

static void test_debug_port(void **state)
{
	unsigned i;

	(void)state;
	say("hello, ");
	assert_int_equal(fake_log_lines, 0);
	say("wor\x1b[2Jld\r\n");
	assert_int_equal(fake_log_lines, 1);
	assert_string_equal(fake_log, "hello, wor[2Jld\n");
	/* Empty lines are none; long ones are cut into pieces. */
	say("\n\n");
	assert_int_equal(fake_log_lines, 1);
	for (i = 0; i < 250; i++)
		say("x");
	assert_int_equal(fake_log_lines, 3);
	say("\n");
	assert_int_equal(fake_log_lines, 4);
	assert_int_equal(strlen(fake_log), 51);
	assert_int_equal(port_r(0xe9, 1), 0xff);
	assert_int_equal(fake_port_count, 0);
}

/* Denied ranges outlive a domain: this test is the last one with such ports. */
static void test_legacy_deny(void **state)
{
	unsigned i;

	(void)state;
	assert_int_equal(legacy_deny(0x400, 0x3ff), -EINVAL);
	assert_int_equal(legacy_deny(0xffff, 0x10000), -EINVAL);
	/* Before the domain, and while it is there. */
	assert_int_equal(legacy_deny(0x3f8, 0x3ff), 0);
	assert_int_equal(legacy_ports_init(dom), 0);
	assert_true(intercepted(0x3f8));
	assert_true(intercepted(0x3ff));
	assert_false(intercepted(0x3f7));
	assert_false(intercepted(0x2f8));
	assert_int_equal(legacy_deny(0x2f8, 0x2ff), 0);
	assert_true(intercepted(0x2f8));
	assert_int_equal(port_r(0x2fd, 1), 0xff);
	for (i = 2; i < 16; i++)
		assert_int_equal(legacy_deny(0x1000 + i, 0x1000 + i), 0);
	assert_int_equal(legacy_deny(0x2000, 0x2000), -ENOSPC);
	assert_false(intercepted(0x2000));
	legacy_ports_finish(dom);
}

static void test_legacy_failures(void **state)
{
	struct device *a = device(0xe9, 1), *b = device(0x71, 1);

	(void)state;
	fake_heap_fail_after = 0;
	assert_int_equal(legacy_ports_init(dom), -ENOMEM);
	fake_heap_fail_after = -1;
	assert_int_equal(hvm_port_register(dom, &a->region), 0);
	assert_int_equal(legacy_ports_init(dom), -EEXIST);
	assert_int_equal(hvm_port_register(dom, &b->region), 0);
	assert_int_equal(legacy_ports_init(dom), -EEXIST);
	assert_null(dom->arch.legacy);
	assert_true(intercepted(0x80));
	legacy_ports_finish(dom);
	free(a);
	free(b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define L(name) cmocka_unit_test_setup_teardown(name, setup_legacy, teardown_legacy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_overlaps),
		T(test_many_regions),
		T(test_out_of_memory),
		T(test_nobody_home),
		T(test_whole_accesses),
		T(test_split_at_borders),
		T(test_must_wait),
		T(test_all_denied_at_first),
		T(test_allow_ranges),
		T(test_regions_win_over_permissions),
		T(test_direct_accesses),
		L(test_legacy_permissions),
		L(test_cmos),
		L(test_debug_port),
		T(test_legacy_failures),
		T(test_legacy_deny),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
