// SPDX-License-Identifier: GPL-2.0-or-later
// bh-unpack-kernel: turns a bzImage into the ELF image that the hypervisor loads.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bulkhead/elf.h>

#include "bzimage.h"
#include "cli.h"
#include "decompress.h"
#include "output.h"

struct command {
	const char *in_path;
	char out_path[PATH_MAX];
	char sum_path[PATH_MAX];
	bool quiet;
	FILE *out;
	FILE *err;
};

static const char usage[] =
	"usage: bh-unpack-kernel [-q] IN [OUT]\n"
	"Unpacks the Linux kernel image IN (bzImage or ELF) to the ELF image OUT, checks that it\n"
	"has a PVH entry point, and writes its SHA-256 to OUT.sha256. If OUT is not given, it is\n"
	"IN with vmlinuz replaced by vmlinux in its last part, or with .elf appended.\n"
	"  -q, --quiet    say nothing unless something fails\n"
	"  -h, --help     show this text\n";

static int complain(const struct command *cmd, const char *path, const char *what)
{
	fprintf(cmd->err, "bh-unpack-kernel: %s: %s\n", path, what);
	return UNPACK_FAILED;
}

/* Reads a whole regular file; the caller frees it. */
static int read_file(const char *path, uint8_t **ret_data, size_t *ret_size)
{
	uint8_t *data = NULL;
	size_t used = 0, size;
	struct stat st;
	int fd, rc = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		rc = -errno;
	else if (S_ISDIR(st.st_mode))
		rc = -EISDIR;
	else if (!S_ISREG(st.st_mode))
		rc = -EINVAL;
	else if (st.st_size > (off_t)DECOMPRESS_MAX_SIZE)
		rc = -EFBIG;
	if (rc)
		goto out;
	size = (size_t)st.st_size;
	data = malloc(size ? size : 1);
	if (!data) {
		rc = -ENOMEM;
		goto out;
	}
	while (used < size) {
		ssize_t n = read(fd, data + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = -errno;
			goto out;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	*ret_data = data;
	*ret_size = used;
	data = NULL;
out:
	free(data);
	close(fd);
	return rc;
}

/* Replaces *data by what is packed in it, if it is a bzImage. */
static int unpack(const struct command *cmd, uint8_t **data, size_t *size, const char **ret_format)
{
	struct bzimage_payload payload;
	const char *reason;
	size_t elf_size;
	uint8_t *elf;

	*ret_format = "not compressed";
	if (!bzimage_detect(*data, *size))
		return UNPACK_OK;
	if (bzimage_find_payload(*data, *size, &payload, &reason) ||
	    decompress(payload.data, payload.size, DECOMPRESS_MAX_SIZE, &elf, &elf_size, &reason))
		return complain(cmd, cmd->in_path, reason);
	*ret_format = decompress_format(payload.data, payload.size);
	free(*data);
	*data = elf;
	*size = elf_size;
	return UNPACK_OK;
}

static int write_outputs(const struct command *cmd, const uint8_t *elf, size_t size,
			 char sum[SHA256_TEXT_SIZE])
{
	const char *slash = strrchr(cmd->out_path, '/');
	char line[SHA256_TEXT_SIZE + 2 + PATH_MAX + 1];
	int rc, len;

	rc = output_sha256(elf, size, sum);
	if (rc)
		return complain(cmd, cmd->out_path, "SHA-256 is not available");
	rc = output_write(cmd->out_path, elf, size);
	if (rc)
		return complain(cmd, cmd->out_path, strerror(-rc));
	/* The name is relative, so that "sha256sum -c" works in the directory of the file. */
	len = snprintf(line, sizeof(line), "%s  %s\n", sum, slash ? slash + 1 : cmd->out_path);
	rc = output_write(cmd->sum_path, line, (size_t)len);
	if (rc)
		return complain(cmd, cmd->sum_path, strerror(-rc));
	return UNPACK_OK;
}

static int run(const struct command *cmd)
{
	char sum[SHA256_TEXT_SIZE];
	struct elf_image image;
	enum elf_error error;
	const char *format;
	uint8_t *data = NULL;
	size_t size = 0;
	int rc;

	rc = read_file(cmd->in_path, &data, &size);
	if (rc == -EINVAL)
		return complain(cmd, cmd->in_path, "not a regular file");
	if (rc)
		return complain(cmd, cmd->in_path, strerror(-rc));
	rc = unpack(cmd, &data, &size, &format);
	if (rc)
		goto out;
	if (elf_parse_pvh(data, size, &image, &error)) {
		/* What is wrong with something that was never meant to be one is not of interest. */
		rc = complain(cmd, cmd->in_path,
			      size < 4 || memcmp(data, "\177ELF", 4) != 0
				      ? "neither a kernel of Linux (bzImage) nor an ELF image"
				      : elf_error_text(error));
		goto out;
	}
	rc = write_outputs(cmd, data, size, sum);
	if (rc == UNPACK_OK && !cmd->quiet)
		fprintf(cmd->out, "%s: %zu bytes (%s), PVH entry 0x%x, SHA-256 %s\n", cmd->out_path,
			size, format, image.pvh_entry, sum);
out:
	free(data);
	return rc;
}

/* vmlinuz-6.1 gives vmlinux-6.1; anything else gets .elf. */
static bool default_out_path(const char *in, char *out, size_t size)
{
	static const char packed[] = "vmlinuz";
	const char *slash = strrchr(in, '/');
	const char *name = slash ? slash + 1 : in;
	int n;

	if (strncmp(name, packed, sizeof(packed) - 1) == 0)
		n = snprintf(out, size, "%.*svmlinux%s", (int)(name - in), in,
			     name + sizeof(packed) - 1);
	else
		n = snprintf(out, size, "%s.elf", in);
	return n >= 0 && (size_t)n < size;
}

static int set_paths(struct command *cmd, char **names, int nr)
{
	cmd->in_path = names[0];
	if (nr == 2) {
		if (strlen(names[1]) >= sizeof(cmd->out_path))
			return complain(cmd, names[1], strerror(ENAMETOOLONG));
		strcpy(cmd->out_path, names[1]);
	} else if (!default_out_path(names[0], cmd->out_path, sizeof(cmd->out_path))) {
		return complain(cmd, names[0], strerror(ENAMETOOLONG));
	}
	if (snprintf(cmd->sum_path, sizeof(cmd->sum_path), "%s.sha256", cmd->out_path) >=
	    (int)sizeof(cmd->sum_path))
		return complain(cmd, cmd->out_path, strerror(ENAMETOOLONG));
	/* Such names need quoting in the checksum file, which few readers understand. */
	if (strpbrk(cmd->out_path, "\n\\"))
		return complain(cmd, cmd->out_path, "line breaks and backslashes are not allowed");
	return UNPACK_OK;
}

int unpack_kernel_cli(int argc, char **argv, FILE *out, FILE *err)
{
	static const struct option options[] = {
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct command cmd = {.out = out, .err = err};
	int opt, rc;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
		switch (opt) {
		case 'q':
			cmd.quiet = true;
			break;
		case 'h':
			fputs(usage, out);
			return UNPACK_OK;
		default:
			fputs(usage, err);
			return UNPACK_USAGE;
		}
	}
	if (argc - optind < 1 || argc - optind > 2) {
		fputs(usage, err);
		return UNPACK_USAGE;
	}
	rc = set_paths(&cmd, argv + optind, argc - optind);
	return rc ? rc : run(&cmd);
}
