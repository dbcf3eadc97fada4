/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvchan: byte streams between two domains over shared memory. The API is frozen. */
#ifndef LIBVCHAN_H
#define LIBVCHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && __GNUC__ >= 4
# define LIBVCHAN_API __attribute__((visibility("default")))
#else
# define LIBVCHAN_API
#endif

/* A descriptor to poll for reading. */
typedef int EVTCHN;

/* What libvchan_is_open() says. */
#define VCHAN_DISCONNECTED 0 /* the peer closed, its process ended, or its domain is gone */
#define VCHAN_CONNECTED	   1
#define VCHAN_WAITING	   2 /* a server without a client so far, or a client without a server */

typedef struct libvchan libvchan_t;

/*
 * Rules for all calls
 *
 * - A channel is (server domain, client domain, port). The server offers it, one client takes it; for the
 *   next client there must be a new server. A new server on the same port replaces an older one.
 * - Calls that fail return NULL or -1 and set errno; nothing is printed, no signal is raised.
 * - A handle may be used by one thread at a time. Different handles are independent.
 * - Bytes that the peer had written before it closed or died can still be read: end of data is
 *   "libvchan_data_ready() is 0 and libvchan_is_open() is VCHAN_DISCONNECTED", asked in the order
 *   is_open, then data_ready; or a read that returns -1 with errno EPIPE.
 * - A child made by fork() must not use the handle; while the child lives without exec() the peer cannot
 *   notice the parent's death, so it should close the descriptors it does not need.
 *
 * Transports
 *
 * "xen:" is the shared-page protocol of Xen over /dev/xen/{gntalloc,gntdev,evtchn,xenbus}. "local:" is the
 * same ring in a memfd, with eventfds, between processes of one Linux host that meet in a directory of
 * Unix sockets; it needs no hypervisor.
 *
 *	LIBVCHAN_URI=xen:
 *	LIBVCHAN_URI=local:/some/directory?domain=3	(this process is domain 3)
 *
 * The directory is created if its parent exists; it defaults to $VCHAN_SOCKET_DIR, else /run/vchan. The own
 * domain defaults to $VCHAN_DOMAIN. Without LIBVCHAN_URI the transport is local if VCHAN_DOMAIN is set, else
 * xen. The functions whose names end in _uri take the same text as an argument instead (NULL: environment).
 *
 * The one difference: over "local:" a client's connection completes when the server makes any call on its
 * handle or waits in one. So one thread that plays both ends uses libvchan_client_init_async().
 */

/*
 * Offers a channel to `domain`. read_min and write_min are the least sizes of the two rings, as the server
 * sees them, in bytes, at most 32 MiB each; with more than 1 MiB only clients that accept it can connect, of this
 * library (libvchan_accept_rings()). Returns at once; the state is VCHAN_WAITING, bytes can be written
 * already. Handles block (see below) unless told otherwise.
 * errno: EINVAL a bad domain, port, size or URI; what the kernel says otherwise.
 */
LIBVCHAN_API libvchan_t *libvchan_server_init(int domain, int port, size_t read_min,
					      size_t write_min);
LIBVCHAN_API libvchan_t *libvchan_server_init_uri(const char *uri, int domain, int port,
						  size_t read_min, size_t write_min);

/* Connects to the server `domain`; waits without limit for it to appear, fails if that domain dies (EPIPE). */
LIBVCHAN_API libvchan_t *libvchan_client_init(int domain, int port);
LIBVCHAN_API libvchan_t *libvchan_client_init_uri(const char *uri, int domain, int port);

/*
 * The same without waiting: when *watch_fd is readable, call libvchan_client_init_async_finish(). That
 * returns 0: connected; >0: call again when the descriptor is readable again; <0: failed. The descriptor is the
 * one that libvchan_fd_for_select() returns, now and later. In every case libvchan_close() frees the handle.
 */
LIBVCHAN_API libvchan_t *libvchan_client_init_async(int domain, int port, EVTCHN *watch_fd);
LIBVCHAN_API libvchan_t *libvchan_client_init_async_uri(const char *uri, int domain, int port,
							EVTCHN *watch_fd);
LIBVCHAN_API int libvchan_client_init_async_finish(libvchan_t *ctrl, bool blocking);
/*
 * Client, before its connection is finished: accepts rings of up to `most` bytes each. Without this call that is 1 MiB, so that a
 * server cannot make a client map more than that. 0; -1: EINVAL a size above 32 MiB or below 1 KiB, or it is a server or connected.
 */
LIBVCHAN_API int libvchan_accept_rings(libvchan_t *ctrl, size_t most);

/*
 * Streams. Blocking: write returns when all bytes are in the ring (size), read when there is at least one
 * byte. Non-blocking: both do what is possible now and return the count, 0 if nothing is.
 * -1: EPIPE the peer is gone (read: and everything was read).
 */
LIBVCHAN_API int libvchan_write(libvchan_t *ctrl, const void *data, size_t size);
LIBVCHAN_API int libvchan_read(libvchan_t *ctrl, void *data, size_t size);

/*
 * All or nothing: the return value is size, or, non-blocking, 0 when there is not enough space or data.
 * -1: EPIPE as above, EMSGSIZE size is larger than the ring.
 */
LIBVCHAN_API int libvchan_send(libvchan_t *ctrl, const void *data, size_t size);
LIBVCHAN_API int libvchan_recv(libvchan_t *ctrl, void *data, size_t size);

/*
 * Transfers without a copy by the library, in two steps: the caller works on the ring itself (so a file can be read into
 * it and written from it), then says how much of it is done. peek shows data, reserve free space: from `least`
 * to `most` bytes. Where there is less than `least`, a handle that blocks waits, and one that does not returns 0
 * and has asked for an event. The bytes are in two pieces, the second one of size 0 unless the ring wraps, and
 * stay where they are until the next call for the same direction. The peer can change them at any time: what is decided from them has to be copied
 * first. A client must not write to what peek returns.
 * consume and commit return 0, or -1: EINVAL more than was shown. peek and reserve return the count, or -1: EPIPE
 * as above, EMSGSIZE `least` is larger than the ring.
 */
struct libvchan_piece {
	void *data;
	size_t size;
};
LIBVCHAN_API int libvchan_peek(libvchan_t *ctrl, struct libvchan_piece pieces[2], size_t least,
			       size_t most);
LIBVCHAN_API int libvchan_consume(libvchan_t *ctrl, size_t size);
LIBVCHAN_API int libvchan_reserve(libvchan_t *ctrl, struct libvchan_piece pieces[2], size_t least,
				  size_t most);
LIBVCHAN_API int libvchan_commit(libvchan_t *ctrl, size_t size);

/*
 * Takes one pending event; sleeps until there is one. An event says only "look again": the peer connected,
 * wrote, read, closed or died. 0, or -1: EPIPE the peer is gone and that was reported before.
 * Interruptions by signals are not reported; to leave early, poll the descriptor instead.
 */
LIBVCHAN_API int libvchan_wait(libvchan_t *ctrl);

/*
 * One descriptor for the life of the handle: readable when libvchan_wait() would not sleep. The peer is asked for
 * events only by calls that find too little: so call libvchan_data_ready(), libvchan_buffer_space() or a
 * transfer that falls short, then poll, then libvchan_wait(), then again from the start. After all events
 * were taken the descriptor is not readable, also when the peer is gone.
 */
LIBVCHAN_API EVTCHN libvchan_fd_for_select(libvchan_t *ctrl);

/* One of the three states; asks the kernel too, so it is slower than a failing read or write. */
LIBVCHAN_API int libvchan_is_open(libvchan_t *ctrl);

/* Bytes that can be read (written) now. Also asks the peer for an event when that changes. */
LIBVCHAN_API int libvchan_data_ready(libvchan_t *ctrl);
LIBVCHAN_API int libvchan_buffer_space(libvchan_t *ctrl);

LIBVCHAN_API void libvchan_set_blocking(libvchan_t *ctrl, bool blocking);

/* Tells the peer and frees everything. NULL is allowed. */
LIBVCHAN_API void libvchan_close(libvchan_t *ctrl);

/*
 * The end of domains. XenStore tells domain 0 of it; other domains learn of the end of those that domain 0 shows them, which
 * is a node that goes with the domain. Over "local:" a socket tells of it, and nothing is to be done.
 *
 * In domain 0: shows that this domain exists, to all. 0 or -1: ENOENT it does not; what XenStore says otherwise.
 */
LIBVCHAN_API int libvchan_domain_show(int domain);
/*
 * In a qube a channel to another qube takes a watch of XenStore, of which a domain has 128. A process with many children that
 * have channels to the same few domains has one watch for each domain, and passes on what it learns:
 * libvchan_domain_watch() returns a descriptor, to be closed by the caller; -1: ENOTSUP the transport is local, ENOENT domain 0 does not
 * show that domain. When it is readable, libvchan_domain_ended() tells: 1 the domain is gone, 0 it is there, -1 errno.
 */
LIBVCHAN_API int libvchan_domain_watch(int domain);
LIBVCHAN_API int libvchan_domain_ended(int fd, int domain);
/*
 * Channels of this process to `domain`, made after this call, learn of its end by a pipe or socket, and take no watch: when there is something
 * to read, the domain is gone (it is not read). When it comes to its end without that, they take a watch. It stays the caller's, open as long as
 * such a channel is. One domain at a time; fd -1: none.
 */
LIBVCHAN_API void libvchan_end_from(int domain, int fd);

/* Counters of one handle since its init, for measurements. */
struct libvchan_stats {
	uint64_t bytes_read, bytes_written;
	uint64_t events_sent;  /* wake-ups of the peer: one hypercall, or one write to an eventfd */
	uint64_t events_taken; /* wake-ups by the peer */
	uint64_t sleeps;       /* times that a call of the library slept */
	uint64_t timeouts;     /* sleeps that ended by the moderation timer, see libvchan(3) */
	uint32_t read_ring, write_ring; /* sizes in bytes; 0 before the rings exist */
};
/* Fills at most `size` bytes of *ret_stats (pass its sizeof). */
LIBVCHAN_API void libvchan_get_stats(const libvchan_t *ctrl, struct libvchan_stats *ret_stats,
				     size_t size);

#ifdef __cplusplus
}
#endif

#endif
