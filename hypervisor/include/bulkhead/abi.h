/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest ABI: Xen's public headers from libxen-dev, after the types that they need. */
#ifndef BULKHEAD_ABI_H
#define BULKHEAD_ABI_H

#include <stdint.h>

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/hvm/params.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#endif
