/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XenStore in a thread, behind one Unix socket per domain. */
#ifndef TEST_FAKE_XENSTORE_H
#define TEST_FAKE_XENSTORE_H

#include "fake_xen.h"

/* A connection of that domain, or -1. */
int fake_xenstore_connect(int domain);
/* Points $XENSTORED_PATH at the domain's socket, for libxenstore. */
void fake_xenstore_name(int domain);
/* The domain is gone: its tree, and watches of @releaseDomain fire for domain 0. */
void fake_xenstore_release(int domain);

#endif
