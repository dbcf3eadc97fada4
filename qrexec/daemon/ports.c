// SPDX-License-Identifier: GPL-2.0-or-later
// Data ports. Each pair of domains has numbers of its own, so that no peer can use up those of another one.
#include "broker.h"

#include <signal.h>

static struct data_port *find(int peer, int index)
{
	for (size_t i = 0; i < MAX_PORTS; i++)
		if (broker.ports[i].used && broker.ports[i].peer == peer &&
		    broker.ports[i].index == index)
			return &broker.ports[i];
	return NULL;
}

/* Between two qubes, the daemon of the lower domain uses odd indices and the other one even ones. */
int port_allocate(int peer)
{
	int step = peer ? 2 : 1, index = peer && broker.domain < peer ? 1 : 0;
	struct data_port *free = NULL;

	for (size_t i = 0; i < MAX_PORTS && !free; i++)
		if (!broker.ports[i].used)
			free = &broker.ports[i];
	while (index < WIRE_PORT_COUNT && find(peer, index))
		index += step;
	if (!free || index >= WIRE_PORT_COUNT)
		return -1;
	*free = (struct data_port){true, peer, index, 0};
	return WIRE_DATA_PORT + index;
}

void port_free(uint32_t untrusted_peer, uint32_t untrusted_port)
{
	uint32_t index = untrusted_port - WIRE_DATA_PORT;
	struct data_port *port = NULL;

	if (index < WIRE_PORT_COUNT && untrusted_peer < 0x7ff0)
		port = find((int)untrusted_peer, (int)index);
	if (!port)
		return;
	/* Or a qube could have any number of children here wait for it. SIGTERM ends those that do (service_serve()). */
	if (port->child)
		kill(port->child, SIGTERM);
	else
		port->used = false;
}

void port_set_child(int port, pid_t child)
{
	struct data_port *own = find(0, port - WIRE_DATA_PORT);

	if (own)
		own->child = child;
}

unsigned int port_children(void)
{
	unsigned int count = 0;

	for (size_t i = 0; i < MAX_PORTS; i++)
		count += broker.ports[i].used && broker.ports[i].child;
	return count;
}

void port_reaped(pid_t child)
{
	for (size_t i = 0; i < MAX_PORTS; i++)
		if (broker.ports[i].used && broker.ports[i].child == child)
			broker.ports[i].used = false;
}
