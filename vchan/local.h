/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the local transport: its handle, and how the two ends find each other. */
#ifndef VCHAN_LOCAL_H
#define VCHAN_LOCAL_H

#include "internal.h"

#include <sys/types.h>

struct vchan_local {
	struct libvchan base;
	int listener; /* server, until its client is there */
	int socket;   /* to the peer: its end is the peer's end */
	int inotify;  /* client, until there is a server */
	int memfd;
	int event_in, event_out;
	void *map;
	size_t map_size;
	ino_t inode; /* server: of the name in the directory */
	char name[64];
	char directory[4096];
};

/* Size of the memory: the shared page, the left ring's pages, the right ring's. */
static inline size_t vchan_local_size(uint16_t left, uint16_t right)
{
	return VCHAN_PAGE_SIZE * (size_t)(1 + vchan_order_pages(left) + vchan_order_pages(right));
}

/* Server: creates the listening socket, under its name. An older server loses the name. */
int vchan_rendezvous_offer(struct vchan_local *local);
/* Server: removes the name, if it is still its own. */
void vchan_rendezvous_withdraw(struct vchan_local *local);
/* Client: a descriptor that becomes readable when names appear. */
int vchan_rendezvous_watch(struct vchan_local *local);
/* Client: 0 connected, 1 no server yet, -errno. */
int vchan_rendezvous_join(struct vchan_local *local);

/* The one message: server to client, with memory and both event descriptors. */
int vchan_hello_send(const struct vchan_local *local);
/* 0; 1 not there yet; -errno. Takes the descriptors over and checks all of it. */
int vchan_hello_receive(struct vchan_local *local, uint16_t *ret_left, uint16_t *ret_right);

#endif
