/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a qube learns of the end of another domain: a node that dom0 shows everybody, or a descriptor of a process that knows. */
#ifndef VCHAN_END_H
#define VCHAN_END_H

#include "xs.h"

/* Whether domain 0 shows this domain: 0, -ENOENT it does not (any more), another -errno: not known. */
int vchan_end_look(struct vchan_xs *xs, int domain);
/* An event of XenStore when that changes. */
int vchan_end_watch(struct vchan_xs *xs, int domain);

/* What libvchan_end_from() was told of this domain, or -1. */
int vchan_end_line(int domain);
/* What that descriptor says: 1 the domain is gone, 0 nothing, -1 nobody will say anything any more. */
int vchan_end_told(int line);

#endif
