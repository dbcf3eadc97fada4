/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this program is, as guests and tools are told. */
#ifndef BULKHEAD_VERSION_H
#define BULKHEAD_VERSION_H

/* The version of the ABI that is implemented, not of this program. */
#define ABI_MAJOR    4
#define ABI_MINOR    17
#define EXTRAVERSION "-bulkhead"
#define COMPILED_BY  "bulkhead"
#define CHANGESET    ""
/* The compiler's own words; no date and no host: builds are to be reproducible. */
#ifdef __clang__
# define COMPILER_TEXT __VERSION__
#else
# define COMPILER_TEXT "gcc " __VERSION__
#endif

#endif
