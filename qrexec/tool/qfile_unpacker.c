// SPDX-License-Identifier: GPL-2.0-or-later
// qfile-unpacker: qubes.Filecopy as a program: a stream on standard input, the answer on standard output.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../service/qfile.h"

struct input {
	uint8_t data[1 << 16];
	size_t at, length;
};

static ssize_t peek(void *ctx, struct libvchan_piece pieces[2], size_t most)
{
	struct input *in = ctx;
	ssize_t n;

	if (in->at == in->length) {
		do
			n = read(STDIN_FILENO, in->data, sizeof(in->data));
		while (n < 0 && errno == EINTR);
		if (n <= 0)
			return n ? -errno : 0;
		in->at = 0;
		in->length = (size_t)n;
	}
	if (most > in->length - in->at)
		most = in->length - in->at;
	pieces[0] = (struct libvchan_piece){in->data + in->at, most};
	pieces[1] = (struct libvchan_piece){in->data, 0};
	return (ssize_t)most;
}

static void consume(void *ctx, size_t size)
{
	((struct input *)ctx)->at += size;
}

static int receive(const char *sender, bool all_names)
{
	static uint8_t answer[QFILE_ANSWER_MAX];
	static char name[QFILE_NAME_MAX + 1];
	static struct input in;
	const struct qfile_source source = {peek, consume, &in};
	struct qfile_limits limits;
	int directory = qfile_open_incoming(sender), error = -directory;
	uint64_t crc = 0;
	size_t length;

	if (directory >= 0) {
		qfile_default_limits(directory, &limits);
		limits.all_names = all_names;
		error = qfile_unpack(&source, directory, &limits, &crc, name);
		close(directory);
	}
	length = qfile_answer(error, crc, name, answer);
	if (write(STDOUT_FILENO, answer, length) != (ssize_t)length || error)
		return 1;
	return 0;
}

int main(int argc, char **argv)
{
	const char *sender = getenv("QREXEC_REMOTE_DOMAIN");

	if (argc > 2 || !sender || (argc == 2 && strcmp(argv[1], "allow-all-names") != 0)) {
		fprintf(stderr,
			"usage: QREXEC_REMOTE_DOMAIN=QUBE qfile-unpacker [allow-all-names]\n");
		return 2;
	}
	umask(077);
	return receive(sender, argc == 2);
}
