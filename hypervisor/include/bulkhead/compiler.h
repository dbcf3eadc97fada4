/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compiler attributes and small generic macros. */
#ifndef BULKHEAD_COMPILER_H
#define BULKHEAD_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x)      __builtin_expect(!!(x), 1)
#define unlikely(x)    __builtin_expect(!!(x), 0)
#define __packed       __attribute__((packed))
#define __aligned(n)   __attribute__((aligned(n)))
#define __noreturn     __attribute__((noreturn))
#define __used	       __attribute__((used))
#define __must_check   __attribute__((warn_unused_result))
#define __noinline     __attribute__((noinline))
#define __section(s)   __attribute__((section(s)))
#define __printf(f, a) __attribute__((format(printf, f, a)))

/* Code and data that are freed once dom0 runs. */
#if defined(__STDC_HOSTED__) && __STDC_HOSTED__
# define __init
# define __initdata
#else
# define __init	    __section(".init.text")
# define __initdata __section(".init.data")
#endif
/* Written during boot only; mapped read-only once dom0 runs. */
#if defined(__STDC_HOSTED__) && __STDC_HOSTED__
# define __ro_after_init
#else
# define __ro_after_init __section(".data.ro_after_init")
#endif

#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b)			((a) < (b) ? (a) : (b))
#define MAX(a, b)			((a) > (b) ? (a) : (b))
#define ALIGN_UP(x, a)			(((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a)		((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a)		(((x) & ((__typeof__(x))(a)-1)) == 0)
#define DIV_ROUND_UP(n, d)		(((n) + (d)-1) / (d))
#define BIT(n)				(1UL << (n))
#define BIT32(n)			(1U << (n))

#define barrier()	 __asm__ volatile("" ::: "memory")
/* One access, not torn, not repeated by the compiler: for memory that others write. */
#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#define KiB(n) ((uint64_t)(n) << 10)
#define MiB(n) ((uint64_t)(n) << 20)
#define GiB(n) ((uint64_t)(n) << 30)

#endif
