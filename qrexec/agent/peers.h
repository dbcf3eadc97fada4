/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other qubes that calls of this one are with: one watch for each, whose news reaches the processes of all its calls. */
#ifndef QREXEC_PEERS_H
#define QREXEC_PEERS_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

/* Calls with more qubes at once have watches of their own. */
#define MAX_PEERS 32

/*
 * A call with that domain begins. The result is for libvchan_end_from() in a process of the call, and stays open until
 * each such call has ended by peer_leave(); -1: there is nothing to pass on, and nothing to end.
 */
int peer_join(uint32_t domain);
void peer_leave(uint32_t domain);

/* For poll(): fills MAX_PEERS entries. peers_polled() takes what it said; `gone` is called for domains that ended. */
void peers_collect(struct pollfd p[MAX_PEERS]);
void peers_polled(const struct pollfd p[MAX_PEERS], void (*gone)(uint32_t domain));

#endif
