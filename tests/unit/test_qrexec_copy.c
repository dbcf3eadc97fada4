// SPDX-License-Identifier: GPL-2.0-or-later
// qvm-copy and qvm-move end to end, what a hostile sender can do, and the checksum.
// links: tests/unit/qrexec_fixture.c tests/unit/shell.c qrexec/lib/crc32.c qrexec/lib/characters.c qrexec/service/qfile_names.c
// libs: -lz
#include "qrexec_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "../../qrexec/lib/crc32.h"
#include "../../qrexec/service/qfile.h"

static const char policy[] = "qubes.Filecopy * work vault ask\nqubes.Filecopy * work @default ask\n"
			     "qubes.Filecopy * vault work deny\nqubes.Pipe * work vault allow\n"
			     "qubes.Raw * work vault allow\n";

/*
 * Both ways to run the service: in the agent (qubes.Filecopy), and as a program behind pipes (qubes.Pipe). The home
 * directory of the qube is $T/home.
 */
static int setup(void **state)
{
	(void)state;
	if (fixture_create())
		return -1;
	write_file("prompt", 0755, "#!/bin/sh\n[ $1 = ask ] && echo allow:vault\n");
	write_file("vault.d/qubes.Filecopy", 0755, "#!/bin/sh\nexec $P/qfile-unpacker \"$@\"\n");
	write_file("vault.d/qubes.Pipe", 0755, "#!/bin/sh\nexec $P/qfile-unpacker \"$@\"\n");
	write_file("vault.d/qubes.Raw", 0755, "#!/bin/sh\nexec $P/qfile-unpacker \"$@\"\n");
	write_file("conf/qubes.Filecopy", 0644, "built-in=filecopy\n");
	sh("mkdir home tree tree/sub tree/empty; printf hello >tree/file; : >tree/none; "
	   "head -c 3000000 /dev/urandom >tree/sub/big; ln -s ../file tree/sub/link; ln -s sub tree/dir; "
	   "chmod 600 tree/file; chmod 755 tree/sub/big; touch -d '2001-02-03 04:05:06.123456789' tree/file; "
	   "touch -d 1999-12-31 tree/empty; chmod 500 tree/empty; ln -s $P/qvm-copy qvm-move; "
	   "ln -s $P/qvm-copy qvm-copy-to-vm; ln -s $P/qvm-copy qvm-move-to-vm; mkfifo fifo");
	setenv("HOME", "", 1);
	sh("printf %s $T");
	setenv("HOME_OF_TEST", out, 1);
	sh("printf %s/home $T");
	setenv("HOME", out, 1);
	return fixture_start(policy);
}

#define COPY                                                                 \
 "cp_() { QREXEC_AGENT_SOCKET=$T/work.agent in_work timeout 300 \"$@\"; }; " \
 "got=$HOME/QubesIncoming/work; wipe() { chmod -R u+rwx $HOME; rm -rf $HOME/QubesIncoming; }; "

static void test_copy(void **state)
{
	(void)state;
	assert_int_equal(sh(COPY "wipe; cp_ $P/qvm-copy tree fifo/../tree/file 2>&1"), 1);
	assert_string_equal(out, "qvm-copy: fifo/../tree/file: Not a directory\n");
	assert_int_equal(sh(COPY
			    "wipe; cp_ $P/qvm-copy tree tree/file 2>&1 && "
			    "diff -r tree $got/tree && cmp tree/file $got/file && "
			    "list() { (cd $1 && find . -printf '%p %y %m %T@ %l\\n' | sort); } && "
			    "list tree >a && list $got/tree >b && diff a b && ls -A $got && "
			    "stat -c %a $HOME/QubesIncoming $got"),
			 0);
	assert_string_equal(out, "file\ntree\n700\n700\n");
}

static void test_names_of_directories(void **state)
{
	(void)state;
	assert_int_equal(sh(COPY
			    "wipe; cd tree; cp_ $P/qvm-copy . ; cd sub; cp_ $P/qvm-copy ../empty/; "
			    "cd ..; ls $got"),
			 0);
	assert_string_equal(out, "empty\ntree\n");
	assert_int_equal(sh(COPY "cp_ $P/qvm-copy / 2>&1"), 1);
	assert_int_equal(sh(COPY "cp_ $P/qvm-copy fifo 2>&1; ls -A $got"), 0);
	assert_string_equal(
		out,
		"qvm-copy: fifo: not a file, directory or link that can be sent\nempty\ntree\n");
}

static void test_nothing_is_overwritten(void **state)
{
	(void)state;
	assert_int_equal(
		sh(COPY
		   "wipe; cp_ $P/qvm-copy tree && echo other >$got/file && "
		   "cp_ $P/qvm-copy tree/none tree/file 2>&1; echo $?; cat $got/file; ls -A $got; "
		   "cp_ $P/qvm-copy tree 2>&1; ls -A $got"),
		0);
	assert_string_equal(
		out, "qvm-copy: file: there is a file or directory of this name already\n1\nother\n"
		     "file\ntree\nqvm-copy: tree: there is a file or directory of this name "
		     "already\nfile\ntree\n");
}

static void test_refused(void **state)
{
	(void)state;
	assert_int_equal(
		sh("QREXEC_AGENT_SOCKET=$T/vault.agent in_vault ./qvm-copy-to-vm work tree 2>&1"),
		126);
	assert_string_equal(out, "qvm-copy-to-vm: request refused\n");
	assert_int_equal(sh("QREXEC_AGENT_SOCKET=$T/nobody in_work $P/qvm-copy tree 2>/dev/null"),
			 1);
}

static void test_move(void **state)
{
	(void)state;
	assert_int_equal(
		sh(COPY "wipe; cp -a tree moved; cp_ ./qvm-move-to-vm vault moved 2>&1; echo $?; "
			"[ ! -e moved ] && diff -r tree $got/moved"),
		0);
	assert_string_equal(out, "0\n");
	/* The target has one already: nothing is removed here. */
	assert_int_equal(sh(COPY "cp -a tree moved; cp_ ./qvm-move moved 2>/dev/null; echo $?; "
				 "diff -r tree moved && rm -r moved"),
			 0);
	assert_string_equal(out, "1\n");
}

static void test_from_dom0(void **state)
{
	(void)state;
	assert_int_equal(
		sh("rm -rf $HOME/QubesIncoming; QREXEC_DAEMON_DIR=$T/run in_dom0 ./qvm-copy-to-vm vault tree && "
		   "diff -r tree $HOME/QubesIncoming/dom0/tree"),
		0);
}

static void test_progress_and_options(void **state)
{
	(void)state;
	assert_int_equal(
		sh(COPY
		   "wipe; ln -s /etc/passwd tree/out; cp_ $P/qvm-copy tree 2>&1; echo $?; "
		   "cp_ $P/qvm-copy --ignore-symlinks tree; echo $?; ls $got/tree; rm tree/out"),
		0);
	assert_string_equal(
		out, "qvm-copy: tree/out: the link leads out of what is copied; --ignore-symlinks "
		     "leaves links out\n1\n0\nempty\nfile\nnone\nsub\n");
	assert_int_equal(
		sh(COPY
		   "wipe; n=$(printf 'a\\033b'); : >\"tree/$n\"; cp_ $P/qvm-copy \"tree/$n\" "
		   "2>/dev/null; echo $?; cp_ $P/qvm-copy --allow-all-names \"tree/$n\"; echo $?; "
		   "[ -e \"$got/$n\" ]; echo $?; rm \"tree/$n\""),
		0);
	assert_string_equal(out, "1\n0\n0\n");
	assert_int_equal(sh(COPY
			    "wipe; cp_ script -qec \"$P/qvm-copy tree\" /dev/null | tail -c 40 | "
			    "tr '\\r' '\\n' | grep . | tail -n 1"),
			 0);
	assert_string_equal(out, "2.9 of 2.9 MiB\n");
}

/* A stream of a sender that is not ours. */
static uint8_t stream[1 << 20];
static size_t length;

static void put(const void *data, size_t size)
{
	memcpy(stream + length, data, size);
	length += size;
}

static void put_entry(const char *name, uint32_t mode, uint64_t size, const char *data)
{
	struct qfile_header h = {.name_length = (uint32_t)strlen(name) + 1,
				 .mode = mode,
				 .length = size};

	put(&h, sizeof(h));
	put(name, h.name_length);
	if (data)
		put(data, strlen(data));
}

static void put_end(void)
{
	struct qfile_header h = {0};

	put(&h, sizeof(h));
}

/* Sends what was put, directly to both kinds of the service. What is answered; -1: they differ. */
static int result(void)
{
	struct qfile_result answer[2];
	static const char *const services[] = {"qubes.Filecopy", "qubes.Pipe"};
	char script[400];
	FILE *file;

	sh("printf %s/stream $T");
	file = fopen(out, "w");
	assert_int_equal(fwrite(stream, 1, length, file), length);
	fclose(file);
	for (int i = 0; i < 2; i++) {
		snprintf(script, sizeof(script), COPY "rm -rf $got; work vault %s <stream",
			 services[i]);
		sh(script);
		memcpy(&answer[i], out, sizeof(answer[i]));
	}
	length = 0;
	return answer[0].error == answer[1].error ? (int)answer[0].error : -1;
}

static int left_over(void)
{
	sh(COPY "find $got -mindepth 1 | wc -l");
	return atoi(out);
}

static void test_hostile_names(void **state)
{
	static const struct {
		const char *name;
		int error;
	} names[] = {
		{"../x", EINVAL},
		{"/x", EINVAL},
		{"a/../x", EINVAL},
		{"..", EINVAL},
		{".", EINVAL},
		{"a//b", EINVAL},
		{"a/", EINVAL},
		{"", EINVAL},
		{"./x", EINVAL},
		{"a/./b", EINVAL},
		{"none/x", ENOENT},
		{".qfile-partial-1-0", EINVAL},
		{"a\nb", EILSEQ},
		{"a\x7f", EILSEQ},
		{"\xff", EILSEQ},
		{"\xe2\x80\xae"
		 "fdp",
		 EILSEQ},
		{"\xc0\xaf", EILSEQ},
		{"\xed\xa0\x80", EILSEQ},
		{"\xc3\xa4\xe4\xb8\xad \xf0\x9f\x98\x80", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		put_entry(names[i].name, S_IFREG | 0644, 1, "x");
		put_end();
		assert_int_equal(result(), names[i].error);
		assert_int_equal(left_over(), names[i].error ? 0 : 1);
	}
	put_entry("a", S_IFREG, 0, NULL);
	stream[length - 1] = 'b'; /* no NUL */
	assert_int_equal(result(), EINVAL);
	put_entry("a", S_IFREG, 0, NULL);
	put_entry("a", S_IFREG, 0, NULL); /* twice */
	put_end();
	assert_int_equal(result(), EEXIST);
	assert_int_equal(left_over(), 0);
}

static void test_hostile_links(void **state)
{
	static const char *const links[][2] = {
		{"d/l", "/etc"},      {"d/l", ".."},	     {"d/l", "../x"}, {"d/l", "a/../.."},
		{"l", "x"},	      {"d/s/l", "../.."},    {"d/l", "s/.."}, {"d/l", ".././x"},
		{"d/s/l", "../../x"}, {"d/s/l", ".//../.."},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		put_entry("d", S_IFDIR | 0755, 0, NULL);
		put_entry("d/s", S_IFDIR | 0755, 0, NULL);
		put_entry(links[i][0], S_IFLNK | 0777, strlen(links[i][1]), links[i][1]);
		assert_int_equal(result(), ENOLINK);
		assert_int_equal(left_over(), 0);
	}
	/* A link is no directory, whatever comes through it. */
	put_entry("d", S_IFDIR | 0755, 0, NULL);
	put_entry("d/l", S_IFLNK | 0777, 1, ".");
	put_entry("d/l/x", S_IFREG | 0644, 1, "x");
	put_end();
	assert_int_equal(result(), ENOTDIR);
	put_entry("d", S_IFDIR | 0755, 0, NULL);
	put_entry("d/s", S_IFDIR | 0755, 0, NULL);
	put_entry("d/l", S_IFLNK | 0777, 1, ".");
	put_entry("d/l/s/x", S_IFREG | 0644, 1, "x");
	assert_int_equal(result(), ELOOP);
	put_entry("d", S_IFDIR | 0755, 0, NULL);
	put_entry("d/l", S_IFLNK | 0777, 1, ".");
	put_entry("d/l", S_IFDIR | 0777, 0, NULL);
	put_end();
	assert_int_equal(result(), EEXIST);
	put_entry("d", S_IFDIR | 0755, 0, NULL);
	put_entry("d/l", S_IFLNK | 0777, 0, "");
	put_end();
	assert_int_equal(result(), EINVAL);
	assert_int_equal(left_over(), 0);
}

static void test_hostile_kinds_and_ends(void **state)
{
	static const uint32_t kinds[] = {S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, 0, 0xffffffff};
	struct qfile_header h = {.name_length = 0xffffffff, .mode = S_IFREG};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		put_entry("x", kinds[i], 0, NULL);
		put_end();
		assert_int_equal(result(), EINVAL);
	}
	put(&h, sizeof(h));
	assert_int_equal(result(), ENAMETOOLONG);
	put_entry("x", S_IFREG, UINT64_MAX, "x");
	assert_int_equal(result(), EDQUOT);
	put_entry("x", S_IFREG, 1ull << 50, "x");
	assert_int_equal(result(), EDQUOT);
	put_entry("x", S_IFREG, 100, "x");
	assert_int_equal(result(), QFILE_TRUNCATED);
	put_entry("x", S_IFREG, 1, "x");
	put("abc", 3);
	assert_int_equal(result(), QFILE_TRUNCATED);
	/* All is there but the end: then it is not known to be all. */
	put_entry("x", S_IFREG, 1, "x");
	assert_int_equal(result(), EREMOTEIO);
	assert_int_equal(left_over(), 0);
	put_entry("d", S_IFDIR | 0755, 1, "x");
	assert_int_equal(result(), EINVAL);
	h = (struct qfile_header){.name_length = 2, .mode = S_IFREG, .mtime_ns = 1000000000};
	put(&h, sizeof(h));
	put("x", 2);
	assert_int_equal(result(), EINVAL);
	assert_int_equal(left_over(), 0);
}

/* Permissions only; a directory that its owner cannot write to. */
static void test_modes(void **state)
{
	(void)state;
	put_entry("s", S_IFREG | 07777, 1, "x");
	put_entry("d", S_IFDIR | 07777, 0, NULL);
	put_entry("d/f", S_IFREG | 0400, 1, "x");
	put_entry("d", S_IFDIR | 07555, 0, NULL);
	put_end();
	assert_int_equal(result(), 0);
	assert_int_equal(sh(COPY "cd $got; stat -c '%n %a' s d d/f; chmod -R u+w ."), 0);
	assert_string_equal(out, "s 777\nd 555\nd/f 400\n");
}

/* Deeper than a path can be, and than a stack would like. */
static void test_deep_tree(void **state)
{
	char name[8200];

	(void)state;
	for (int i = 0; i < 100; i++) {
		memset(name, 'd', (size_t)i * 2 + 1);
		for (int k = 0; k < i; k++)
			name[k * 2 + 1] = '/';
		name[i * 2 + 1] = '\0';
		put_entry(name, S_IFDIR | 0700, 0, NULL);
	}
	assert_int_equal(result(), EREMOTEIO);
	assert_int_equal(left_over(), 0);
}

/* What an unpacker leaves that was killed is hidden, and goes with the next transfer. */
static void test_left_overs(void **state)
{
	(void)state;
	assert_int_equal(
		sh(COPY
		   "wipe; mkdir -p $got/.qfile-partial-1-0/a/b; : >$got/.qfile-partial-1-0/a/b/c; "
		   "chmod 0 $got/.qfile-partial-1-0/a/b; cp_ $P/qvm-copy tree/file; ls -A $got"),
		0);
	assert_string_equal(out, "file\n");
}

static void test_link_rules(void **state)
{
	(void)state;
	assert_int_equal(qfile_check_link("d/l", "x"), 0);
	assert_int_equal(qfile_check_link("d/l", "./x/y"), 0);
	assert_int_equal(qfile_check_link("d/s/l", "../x"), 0);
	assert_int_equal(qfile_check_link("d/s/t/l", "../../x"), 0);
	assert_int_equal(qfile_check_link("d/s/t/l", "../../../x"), -ENOLINK);
	assert_int_equal(qfile_check_link("d/s/l", "x/../y"), -ENOLINK);
	assert_int_equal(qfile_check_link("d/l", "..x"), 0);
	assert_int_equal(qfile_check_link("d/l", "..."), 0);
}

static void test_checksum(void **state)
{
	static uint8_t data[100000];
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
	for (size_t size = 0; size < 600; size++)
		for (size_t at = 0; at < 3; at++) {
			uint32_t wanted = (uint32_t)crc32(7, data + at, (uInt)size);

			assert_int_equal(crc32_add(7, data + at, size), wanted);
			assert_int_equal(crc32_add_plain(7, data + at, size), wanted);
		}
	assert_int_equal(crc32_add(0, data, sizeof(data)), crc32(0, data, sizeof(data)));
	assert_int_equal(crc32_add(crc32_add(0, data, 77777), data + 77777, sizeof(data) - 77777),
			 crc32(0, data, sizeof(data)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_names_of_directories),
		cmocka_unit_test(test_nothing_is_overwritten),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_from_dom0),
		cmocka_unit_test(test_progress_and_options),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_hostile_links),
		cmocka_unit_test(test_hostile_kinds_and_ends),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_deep_tree),
		cmocka_unit_test(test_left_overs),
		cmocka_unit_test(test_link_rules),
		cmocka_unit_test(test_checksum),
	};

	return cmocka_run_group_tests(tests, setup, fixture_stop);
}
