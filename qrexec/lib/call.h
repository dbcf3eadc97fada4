/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The caller's side of a call: asking for it, and the channel that its data takes. */
#ifndef QREXEC_CALL_H
#define QREXEC_CALL_H

#include "channel.h"

#define CALL_AGENT_SOCKET "/run/qubes/qrexec-agent"
#define CALL_DAEMON_DIR	  "/run/qubes"

struct call_channel {
	struct channel control; /* lasts as long as the call: its end frees the port */
	libvchan_t *vchan;
};

/*
 * A program of a qube calls a service: 0, -EACCES if that is refused, or another -errno. The rings have these
 * sizes at least. NULL for the agent's socket: $QREXEC_AGENT_SOCKET, or else the usual place.
 */
int call_service(const char *agent_socket, const char *target, const char *service,
		 size_t read_ring, size_t write_ring, struct call_channel *ret_call);
/* dom0 has a qube execute "USER:COMMAND". NULL for the directory of the daemons' sockets: the usual one. */
int call_execute(const char *daemon_dir, const char *qube, const char *command, bool just_exec,
		 size_t read_ring, size_t write_ring, struct call_channel *ret_call);
void call_finish(struct call_channel *call);

#endif
