// SPDX-License-Identifier: GPL-2.0-or-later
// qube-domain: what the manager wants of the toolstack. One call, one operation of libxl.
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxl.h>
#include <libxl_utils.h>
#include <xentoollog.h>

/*
 * A window of 16384 x 6144 has 98304 pages, with two buffers twice that; a frame of the table holds 512 entries.
 * They are allocated when they are used.
 */
#define GRANT_FRAMES 1024
#define DISKS_MAX    8
/* In place of libxl's default, which takes longer than libxl waits where all is slow. */
#define BLOCK_SCRIPT "/usr/lib/qubes/block"

static libxl_ctx *context;

/* libxl has said why, line by line; this is what it was about. */
static int failed(const char *what, uint32_t domain, int rc)
{
	fprintf(stderr, "qube-domain: domain %u could not be %s (libxl error %d)\n", domain, what,
		rc);
	return 1;
}

static int domain_of(const char *text, uint32_t *ret_domain)
{
	char *rest;
	unsigned long number = strtoul(text, &rest, 10);

	if (rest == text || *rest || number == 0 || number >= 0x7ff0) {
		fprintf(stderr, "qube-domain: %s is no domain\n", text);
		return -1;
	}
	*ret_domain = (uint32_t)number;
	return 0;
}

static bool exists(uint32_t domain)
{
	libxl_dominfo info;
	bool found;

	libxl_dominfo_init(&info);
	found = libxl_domain_info(context, &info, domain) == 0;
	libxl_dominfo_dispose(&info);
	return found;
}

/* DEVICE,VDEV,r|w */
static int add_disk(libxl_device_disk *disk, char *text)
{
	const char *device = strsep(&text, ","), *name = strsep(&text, ","), *mode = text;

	if (!name || !mode || (strcmp(mode, "r") != 0 && strcmp(mode, "w") != 0))
		return -1;
	libxl_device_disk_init(disk);
	disk->pdev_path = strdup(device);
	disk->vdev = strdup(name);
	disk->backend = LIBXL_DISK_BACKEND_PHY;
	disk->format = LIBXL_DISK_FORMAT_RAW;
	disk->readwrite = *mode == 'w';
	disk->is_cdrom = 0;
	if (!access(BLOCK_SCRIPT, X_OK))
		disk->script = strdup(BLOCK_SCRIPT);
	return disk->pdev_path && disk->vdev ? 0 : -1;
}

static int set_disks(libxl_domain_config *config, int count, char **texts)
{
	config->disks = calloc((size_t)count, sizeof(*config->disks));
	if (count && !config->disks)
		return -1;
	for (int i = 0; i < count; i++) {
		char *copy = strdup(texts[i]);

		if (!copy || add_disk(&config->disks[i], copy)) {
			fprintf(stderr,
				"qube-domain: %s: a disk is DEVICE,VDEV,r or DEVICE,VDEV,w\n",
				texts[i]);
			free(copy);
			return -1;
		}
		free(copy);
		config->num_disks++;
	}
	return 0;
}

/* 0: it is none of these numbers. */
static unsigned long long number_of(const char *text, unsigned long long least,
				    unsigned long long most, const char *what)
{
	unsigned long long number;
	char *rest;

	errno = 0;
	number = strtoull(text, &rest, 10);
	if (*text >= '0' && *text <= '9' && !*rest && !errno && number >= least && number <= most)
		return number;
	fprintf(stderr, "qube-domain: %s: %s is a number from %llu to %llu\n", text, what, least,
		most);
	return 0;
}

/* create NAME MEMORY VCPUS KERNEL INITRAMFS OPTIONS [DISK…]: paused; prints the domain's number. */
static int create(int count, char **words)
{
	libxl_domain_config config;
	libxl_domain_build_info *build = &config.b_info;
	unsigned long long memory;
	uint32_t domain = 0;
	int rc = -1, vcpus;

	if (count < 6 || count > 6 + DISKS_MAX)
		return 2;
	memory = number_of(words[1], 1, 1ull << 30, "MIB");
	vcpus = (int)number_of(words[2], 1, 128, "VCPUS");
	if (!memory || !vcpus)
		return 2;
	libxl_domain_config_init(&config);
	config.c_info.type = LIBXL_DOMAIN_TYPE_PVH;
	config.c_info.name = strdup(words[0]);
	libxl_uuid_generate(&config.c_info.uuid);
	libxl_domain_build_info_init_type(build, LIBXL_DOMAIN_TYPE_PVH);
	build->max_memkb = build->target_memkb = memory * 1024;
	build->max_vcpus = vcpus;
	build->kernel = strdup(words[3]);
	build->ramdisk = strdup(words[4]);
	build->cmdline = strdup(words[5]);
	build->max_grant_frames = GRANT_FRAMES;
	config.on_poweroff = config.on_reboot = config.on_crash = config.on_watchdog =
		LIBXL_ACTION_ON_SHUTDOWN_DESTROY;
	if (!libxl_cpu_bitmap_alloc(context, &build->avail_vcpus, vcpus)) {
		libxl_bitmap_set_none(&build->avail_vcpus);
		for (int i = 0; i < vcpus; i++)
			libxl_bitmap_set(&build->avail_vcpus, i);
		if (!set_disks(&config, count - 6, words + 6))
			rc = libxl_domain_create_new(context, &config, &domain, NULL, NULL);
	}
	libxl_domain_config_dispose(&config);
	if (rc) {
		fprintf(stderr, "qube-domain: there is no domain for %s (libxl error %d)\n",
			words[0], rc);
		return 1;
	}
	printf("%u\n", domain);
	return 0;
}

static int unpause(uint32_t domain)
{
	int rc = libxl_domain_unpause(context, domain, NULL);

	return rc ? failed("unpaused", domain, rc) : 0;
}

static int end(uint32_t domain)
{
	int rc = libxl_domain_shutdown(context, domain, NULL);

	return rc ? failed("told to shut down", domain, rc) : 0;
}

static int destroy(uint32_t domain)
{
	int rc = exists(domain) ? libxl_domain_destroy(context, domain, NULL) : 0;

	return rc ? failed("destroyed", domain, rc) : 0;
}

/* Prints why it ended, returns when it has: a domain that has shut down is still there, to be destroyed. */
static int await_end(uint32_t domain)
{
	libxl_evgen_domain_death *generator = NULL;
	libxl_event *event;
	bool over = false;
	int rc;

	if (!exists(domain))
		return 0;
	rc = libxl_evenable_domain_death(context, domain, 0, &generator);
	if (rc)
		return exists(domain) ? failed("watched", domain, rc) : 0;
	while (!over) {
		rc = libxl_event_wait(context, &event, LIBXL_EVENTMASK_ALL, NULL, NULL);
		if (rc)
			return failed("watched", domain, rc);
		over = event->domid == domain && (event->type == LIBXL_EVENT_TYPE_DOMAIN_DEATH ||
						  event->type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN);
		if (over && event->type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN)
			puts(libxl_shutdown_reason_to_string(
				event->u.domain_shutdown.shutdown_reason));
		libxl_event_free(context, event);
	}
	libxl_evdisable_domain_death(context, generator);
	return 0;
}

static const struct operation {
	const char *name;
	int (*run)(uint32_t domain);
} operations[] = {
	{"destroy", destroy},
	{"shutdown", end},
	{"unpause", unpause},
	{"wait", await_end},
};

static int dispatch(int argc, char **argv)
{
	uint32_t domain;

	if (argc > 1 && !strcmp(argv[1], "create"))
		return create(argc - 2, argv + 2);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]) && argc == 3; i++)
		if (!strcmp(argv[1], operations[i].name))
			return domain_of(argv[2], &domain) ? 2 : operations[i].run(domain);
	return 2;
}

int main(int argc, char **argv)
{
	xentoollog_logger_stdiostream *logger =
		xtl_createlogger_stdiostream(stderr, XTL_ERROR, XTL_STDIOSTREAM_HIDE_PROGRESS);
	int status;

	if (!logger || libxl_ctx_alloc(&context, LIBXL_VERSION, 0, (xentoollog_logger *)logger)) {
		fprintf(stderr, "qube-domain: libxl does not start; is this dom0?\n");
		return 1;
	}
	status = dispatch(argc, argv);
	if (status == 2)
		fprintf(stderr, "usage: qube-domain create NAME MIB VCPUS KERNEL INITRAMFS OPTIONS "
				"[DEVICE,VDEV,r|w]…\n"
				"       qube-domain unpause|shutdown|destroy|wait DOMAIN\n");
	libxl_ctx_free(context);
	xtl_logger_destroy((xentoollog_logger *)logger);
	return status;
}
