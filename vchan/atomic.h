/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only operations used on memory that the peer can write. A test may define VCHAN_STEP to interleave them. */
#ifndef VCHAN_ATOMIC_H
#define VCHAN_ATOMIC_H

#include <stdatomic.h>

#ifndef VCHAN_STEP
# define VCHAN_STEP() ((void)0)
#endif

/*
 * All are sequentially consistent: sleeping is safe only if "I published, then looked whether you sleep" and "I said
 * that I sleep, then looked whether you published" cannot both see the old value. That needs one order of
 * all four accesses; acquire and release do not give it.
 */
#define vchan_load(p)	  (VCHAN_STEP(), atomic_load(p))
#define vchan_store(p, v) (VCHAN_STEP(), atomic_store((p), (v)))
#define vchan_or(p, v)	  (VCHAN_STEP(), atomic_fetch_or((p), (v)))
#define vchan_and(p, v)	  (VCHAN_STEP(), atomic_fetch_and((p), (v)))

#endif
