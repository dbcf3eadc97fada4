/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small XenStore client on the kernel's device: no thread, no transaction that has to succeed. */
#ifndef VCHAN_XS_H
#define VCHAN_XS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vchan_xs {
	int fd;	    /* readable when something was said that nobody has read; -1: closed */
	bool fired; /* a watch fired since this was cleared */
	uint32_t request;
};

/* All return 0 or -errno; the errors of XenStore itself are translated. */
int vchan_xs_open(struct vchan_xs *xs);
void vchan_xs_close(struct vchan_xs *xs);

/* Reads a value into a string; -ENOENT also if it may not be read, -E2BIG if it does not fit. */
int vchan_xs_read(struct vchan_xs *xs, const char *path, char *ret_value, size_t size);
/* The same for a decimal number, -EINVAL if it is none. An empty value is -ENOENT. */
int vchan_xs_read_number(struct vchan_xs *xs, const char *path, uint32_t max, uint32_t *ret_value);
int vchan_xs_write(struct vchan_xs *xs, const char *path, const char *value);
int vchan_xs_mkdir(struct vchan_xs *xs, const char *path);
int vchan_xs_remove(struct vchan_xs *xs, const char *path);
/* Removes a directory, but only if it is empty. */
int vchan_xs_remove_empty(struct vchan_xs *xs, const char *path);
/* Owner `owner`, nothing for others, read for `reader`. New children inherit that. */
int vchan_xs_share(struct vchan_xs *xs, const char *path, int owner, int reader);
/* Everybody may read it; the owner is who calls this, domain 0. */
int vchan_xs_show(struct vchan_xs *xs, const char *path);
int vchan_xs_watch(struct vchan_xs *xs, const char *path);
int vchan_xs_unwatch(struct vchan_xs *xs, const char *path);
/* Whether a domain exists as XenStore sees it. */
int vchan_xs_introduced(struct vchan_xs *xs, int domain, bool *ret_introduced);
/* Reads what has arrived, without sleeping; then `fired` tells. */
int vchan_xs_drain(struct vchan_xs *xs);

#endif
