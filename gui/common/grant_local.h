/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local transport of shared pages: what its two ends say to each other, and where they meet. */
#ifndef GUI_GRANT_LOCAL_H
#define GUI_GRANT_LOCAL_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LOCAL_MAGIC "bh-grant" /* 8 bytes, without the terminator */

enum local_op {
	LOCAL_ADD = 1,	  /* with one descriptor: a memfd of that many pages, sealed */
	LOCAL_REMOVE = 2, /* the daemon may forget the buffer; its mappings stay */
};

struct local_message {
	char magic[8];
	uint32_t op;
	uint32_t buffer; /* 1 … LOCAL_BUFFER_MAX */
	uint32_t pages;
	uint32_t reserved; /* 0 */
};
_Static_assert(sizeof(struct local_message) == 24, "one message of the socket");

#define LOCAL_BUFFER_MAX 32767u

/* A room for the control message with one descriptor. */
union local_control {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

struct vchan_uri;
/*
 * The address of the socket for the pages that `owner` grants to `peer`. *ret_directory is to be closed when
 * the address has been used. 0 or -errno.
 */
int local_address(const struct vchan_uri *uri, int owner, int peer, struct sockaddr_un *ret_address,
		  int *ret_directory);

#endif
