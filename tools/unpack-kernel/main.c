// SPDX-License-Identifier: GPL-2.0-or-later
// Entry point of bh-unpack-kernel.
// links: hypervisor/common/elf.c
#include "cli.h"

int main(int argc, char **argv)
{
	return unpack_kernel_cli(argc, argv, stdout, stderr);
}
