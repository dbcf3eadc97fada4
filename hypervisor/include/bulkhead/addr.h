/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address and frame types. One-member structs, so that a machine frame is never taken for a guest's. */
#ifndef BULKHEAD_ADDR_H
#define BULKHEAD_ADDR_H

#include <bulkhead/compiler.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1UL << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))
#define ORDER_4K   0
#define ORDER_2M   9
#define ORDER_1G   18

typedef struct {
	uint64_t n;
} mfn_t; /* machine frame number */
typedef struct {
	uint64_t n;
} gfn_t; /* guest frame number */
typedef struct {
	uint64_t a;
} paddr_t; /* machine physical address */
typedef struct {
	uint64_t a;
} gaddr_t; /* guest physical address */

#define INVALID_FRAME (~0ULL)

static inline mfn_t mfn_from(uint64_t n)
{
	return (mfn_t){n};
}
static inline uint64_t mfn_raw(mfn_t m)
{
	return m.n;
}
static inline mfn_t mfn_add(mfn_t m, uint64_t n)
{
	return (mfn_t){m.n + n};
}
static inline bool mfn_eq(mfn_t a, mfn_t b)
{
	return a.n == b.n;
}
static inline mfn_t mfn_invalid(void)
{
	return (mfn_t){INVALID_FRAME};
}
static inline bool mfn_is_invalid(mfn_t m)
{
	return m.n == INVALID_FRAME;
}
static inline gfn_t gfn_from(uint64_t n)
{
	return (gfn_t){n};
}
static inline uint64_t gfn_raw(gfn_t g)
{
	return g.n;
}
static inline gfn_t gfn_add(gfn_t g, uint64_t n)
{
	return (gfn_t){g.n + n};
}
static inline bool gfn_eq(gfn_t a, gfn_t b)
{
	return a.n == b.n;
}
static inline gfn_t gfn_invalid(void)
{
	return (gfn_t){INVALID_FRAME};
}
static inline bool gfn_is_invalid(gfn_t g)
{
	return g.n == INVALID_FRAME;
}
static inline paddr_t paddr_from(uint64_t a)
{
	return (paddr_t){a};
}
static inline uint64_t paddr_raw(paddr_t p)
{
	return p.a;
}
static inline gaddr_t gaddr_from(uint64_t a)
{
	return (gaddr_t){a};
}
static inline uint64_t gaddr_raw(gaddr_t g)
{
	return g.a;
}
static inline paddr_t mfn_to_paddr(mfn_t m)
{
	return (paddr_t){m.n << PAGE_SHIFT};
}
static inline mfn_t paddr_to_mfn(paddr_t p)
{
	return (mfn_t){p.a >> PAGE_SHIFT};
}
static inline gaddr_t gfn_to_gaddr(gfn_t g)
{
	return (gaddr_t){g.n << PAGE_SHIFT};
}
static inline gfn_t gaddr_to_gfn(gaddr_t g)
{
	return (gfn_t){g.a >> PAGE_SHIFT};
}

#endif
