// SPDX-License-Identifier: GPL-2.0-or-later
// One watch for each qube that calls are with: XenStore grants a domain 128, and there may be hundreds of calls.
#define _GNU_SOURCE
#include "peers.h"

#include <fcntl.h>
#include <unistd.h>

#include "../../vchan/libvchan.h"

static struct peer {
	unsigned int users; /* 0: free */
	uint32_t domain;
	int watch;   /* -1: it has ended */
	int line[2]; /* has a byte to read, which nobody reads, when it has ended */
} peers[MAX_PEERS];

static struct peer *find(uint32_t domain)
{
	for (size_t i = 0; i < MAX_PEERS; i++)
		if (peers[i].users && peers[i].domain == domain)
			return &peers[i];
	return NULL;
}

static struct peer *add(uint32_t domain)
{
	struct peer *peer = peers;

	while (peer->users)
		if (++peer == peers + MAX_PEERS)
			return NULL;
	*peer = (struct peer){.domain = domain, .watch = libvchan_domain_watch((int)domain)};
	if (peer->watch < 0)
		return NULL;
	if (pipe2(peer->line, O_CLOEXEC | O_NONBLOCK)) {
		close(peer->watch);
		return NULL;
	}
	return peer;
}

int peer_join(uint32_t domain)
{
	struct peer *peer;

	/* Dom0 ends with the machine. */
	if (!domain)
		return -1;
	peer = find(domain);
	if (!peer)
		peer = add(domain);
	if (!peer)
		return -1;
	peer->users++;
	return peer->line[0];
}

static void forget_watch(struct peer *peer)
{
	if (peer->watch >= 0)
		close(peer->watch);
	peer->watch = -1;
}

void peer_leave(uint32_t domain)
{
	struct peer *peer = find(domain);

	if (!peer || --peer->users)
		return;
	forget_watch(peer);
	close(peer->line[0]);
	if (peer->line[1] >= 0)
		close(peer->line[1]);
}

void peers_collect(struct pollfd p[MAX_PEERS])
{
	for (size_t i = 0; i < MAX_PEERS; i++)
		p[i] = (struct pollfd){peers[i].users ? peers[i].watch : -1, POLLIN, 0};
}

void peers_polled(const struct pollfd p[MAX_PEERS], void (*gone)(uint32_t domain))
{
	for (size_t i = 0; i < MAX_PEERS; i++) {
		struct peer *peer = &peers[i];
		uint32_t domain = peer->domain;

		if (!p[i].revents || !peer->users || peer->watch != p[i].fd)
			continue;
		switch (libvchan_domain_ended(peer->watch, (int)domain)) {
		case 0:
			continue;
		case 1:
			/* The pipe is empty: this is the one byte that it ever gets. */
			if (write(peer->line[1], "", 1) == 1)
				gone(domain);
			break;
		default:
			/* Without XenStore nothing will be heard: each call is on its own. */
			close(peer->line[1]);
			peer->line[1] = -1;
		}
		forget_watch(peer);
	}
}
