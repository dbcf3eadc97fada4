// SPDX-License-Identifier: GPL-2.0-or-later
// Programs QEMU's edu device from dom0's userspace to copy memory that it may, and memory that it may not, reach.
//
// Registers and their meaning: QEMU docs/specs/edu.txt. The device holds a buffer of 4096 bytes; a transfer
// takes 100 ms.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

enum edu_reg {
	EDU_ID = 0x00,
	EDU_LIVENESS = 0x04,
	EDU_DMA_SRC = 0x80,
	EDU_DMA_DST = 0x88,
	EDU_DMA_COUNT = 0x90,
	EDU_DMA_CMD = 0x98,
};

#define EDU_ID_VALUE   0x010000edu
#define EDU_BUFFER     0x40000u
/* QEMU 7.2 takes a transfer that ends where the buffer of 4096 bytes ends for one out of bounds. */
#define EDU_LENGTH     2048u
#define EDU_CMD_START  1u
#define EDU_CMD_TO_RAM 2u

static volatile uint8_t *bar;

static void die(const char *what)
{
	fprintf(stderr, "dma-attack: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint32_t read32(enum edu_reg reg)
{
	return *(volatile uint32_t *)(bar + reg);
}

static void write32(enum edu_reg reg, uint32_t value)
{
	*(volatile uint32_t *)(bar + reg) = value;
}

static void write64(enum edu_reg reg, uint64_t value)
{
	*(volatile uint64_t *)(bar + reg) = value;
}

static int open_file(const char *device, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device, name);
	fd = open(path, O_RDWR);
	if (fd < 0)
		die(path);
	return fd;
}

static void open_device(const char *device)
{
	uint16_t command;
	int fd = open_file(device, "enable");

	if (write(fd, "1", 1) != 1)
		die("enable");
	close(fd);

	fd = open_file(device, "config");
	if (pread(fd, &command, sizeof(command), 4) != sizeof(command))
		die("read the command register");
	command |= 6; /* memory space, bus master */
	if (pwrite(fd, &command, sizeof(command), 4) != sizeof(command))
		die("write the command register");
	close(fd);

	fd = open_file(device, "resource0");
	bar = mmap(NULL, 1u << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bar == MAP_FAILED)
		die("map resource0");
	close(fd);
}

static int probe(void)
{
	if (read32(EDU_ID) != EDU_ID_VALUE) {
		fprintf(stderr, "dma-attack: identification is %#x\n", read32(EDU_ID));
		return 1;
	}
	/* The liveness register answers with what was written, inverted. */
	write32(EDU_LIVENESS, 0x12345678);
	if (read32(EDU_LIVENESS) != ~0x12345678u) {
		fprintf(stderr, "dma-attack: liveness is %#x\n", read32(EDU_LIVENESS));
		return 1;
	}
	return 0;
}

/* A locked page of our own and its bus address: a PVH dom0's frame numbers are what its devices use. */
static uint8_t *own_page(uint64_t *ret_address)
{
	uint64_t entry;
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (page == MAP_FAILED || fd < 0)
		die("own page");
	page[0] = 1;
	if (pread(fd, &entry, sizeof(entry), (uintptr_t)page / PAGE * 8) != sizeof(entry))
		die("pagemap");
	close(fd);
	if (!(entry >> 63) || !(entry & ((1ull << 55) - 1))) {
		errno = EFAULT;
		die("pagemap says that the page has no frame");
	}
	*ret_address = (entry & ((1ull << 55) - 1)) * PAGE;
	return page;
}

/* One transfer between the device's buffer and a bus address. */
static void transfer(uint64_t address, int to_ram)
{
	write64(EDU_DMA_SRC, to_ram ? EDU_BUFFER : address);
	write64(EDU_DMA_DST, to_ram ? address : EDU_BUFFER);
	write64(EDU_DMA_COUNT, EDU_LENGTH);
	write64(EDU_DMA_CMD, EDU_CMD_START | (to_ram ? EDU_CMD_TO_RAM : 0));
	for (int tries = 0; read32(EDU_DMA_CMD) & EDU_CMD_START; tries++) {
		if (tries > 500) {
			errno = ETIMEDOUT;
			die("transfer");
		}
		usleep(10000);
	}
}

static void fill(uint8_t *page, unsigned int seed)
{
	for (unsigned int i = 0; i < PAGE; i++)
		page[i] = (uint8_t)(i * 7 + (i >> 8) + seed);
}

/* Copies one own page to another through the device. */
static int control(void)
{
	uint64_t from_address, to_address;
	uint8_t *from = own_page(&from_address), *to = own_page(&to_address);

	fill(from, (unsigned int)getpid());
	memset(to, 0, PAGE);
	transfer(from_address, 0);
	transfer(to_address, 1);
	if (memcmp(from, to, EDU_LENGTH) != 0) {
		fprintf(stderr, "dma-attack: the copy between own pages differs\n");
		return 1;
	}
	return 0;
}

/* Lets the device read the target, and shows what it got. */
static int attack_read(uint64_t target)
{
	uint64_t from_address, to_address;
	uint8_t *from = own_page(&from_address), *to = own_page(&to_address);

	memset(from, 0x5a, PAGE);
	memset(to, 0, PAGE);
	transfer(from_address, 0);
	transfer(target, 0);
	transfer(to_address, 1);
	printf("DMA-GOT %#llx ", (unsigned long long)target);
	for (int i = 0; i < 32; i++)
		printf("%02x", to[i]);
	printf("\n");
	return 0;
}

/* Lets the device overwrite the target. */
static int attack_write(uint64_t target)
{
	uint64_t from_address;
	uint8_t *from = own_page(&from_address);

	memset(from, 0xa5, PAGE);
	transfer(from_address, 0);
	transfer(target, 1);
	printf("DMA-WROTE %#llx\n", (unsigned long long)target);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: dma-attack --probe|--control DEVICE\n"
				"       dma-attack --read|--write DEVICE ADDRESS\n");
		return 2;
	}
	open_device(argv[2]);
	if (probe() != 0)
		return 1;
	if (strcmp(argv[1], "--control") == 0)
		return control();
	if (argc == 4 && strcmp(argv[1], "--read") == 0)
		return attack_read(strtoull(argv[3], NULL, 0));
	if (argc == 4 && strcmp(argv[1], "--write") == 0)
		return attack_write(strtoull(argv[3], NULL, 0));
	return 0;
}
