// SPDX-License-Identifier: GPL-2.0-or-later
// The command bh-unpack-kernel, callable from tests.
#ifndef UNPACK_KERNEL_CLI_H
#define UNPACK_KERNEL_CLI_H

#include <stdio.h>

/* Exit statuses. */
#define UNPACK_OK     0
#define UNPACK_FAILED 1
#define UNPACK_USAGE  2

/* Runs the command; what it says goes to these streams. Returns its exit status. */
int unpack_kernel_cli(int argc, char **argv, FILE *out, FILE *err);

#endif
