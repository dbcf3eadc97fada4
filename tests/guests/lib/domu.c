// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's side: its PV console, its command line, and the page of words that it shares with dom0.
#include "domu.h"
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/sched.h>
#include <xen/arch-x86/hvm/start_info.h>

#define WAIT 1000000ull /* ns between two looks at what another domain writes */

static struct xencons_interface *console;
static evtchn_port_t console_port;

/* What the start info says, read once: a toolstack puts it into memory that the kernel may use for something else. */
static char command[2 * DOMU_COMMAND_MAX];
static bool start_info_read, is_dom0;

static void read_start_info(void)
{
	const struct hvm_start_info *info =
		(const struct hvm_start_info *)(uintptr_t)guest_start_info_address;
	const char *from = (const char *)(uintptr_t)info->cmdline_paddr;

	if (start_info_read)
		return;
	for (unsigned int i = 0; from && from[i] && i + 1 < sizeof(command); i++)
		command[i] = from[i];
	is_dom0 = info->flags & SIF_INITDOMAIN;
	start_info_read = true;
}

bool guest_is_dom0(void)
{
	read_start_info();
	return is_dom0;
}

static uint64_t get_param(uint32_t index)
{
	struct xen_hvm_param op = {.domid = DOMID_SELF, .index = index};

	return hypercall2(__HYPERVISOR_hvm_op, HVMOP_get_param, ADDRESS(&op)) ? 0 : op.value;
}

void domu_sleep(uint64_t time)
{
	struct sched_poll poll = {.timeout = time_now() + time};

	hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, ADDRESS(&poll));
}

/* The clock is not there yet when the first line is printed: the CPU is given away in another way. */
static void wait_for_room(void)
{
	struct evtchn_send op = {.port = console_port};

	event_op(EVTCHNOP_send, &op);
	hypercall2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

/* Into the ring that dom0 reads (xen/io/console.h). */
void domu_write(const char *text, int length)
{
	struct evtchn_send op;
	XENCONS_RING_IDX at;

	if (!console) {
		console = (struct xencons_interface *)(uintptr_t)(get_param(HVM_PARAM_CONSOLE_PFN) *
								  PAGE_BYTES);
		console_port = (evtchn_port_t)get_param(HVM_PARAM_CONSOLE_EVTCHN);
	}
	at = console->out_prod;
	for (int i = 0; i < length; i++) {
		while (at - __atomic_load_n(&console->out_cons, __ATOMIC_ACQUIRE) >=
		       sizeof(console->out)) {
			__atomic_store_n(&console->out_prod, at, __ATOMIC_RELEASE);
			wait_for_room();
		}
		console->out[MASK_XENCONS_IDX(at++, console->out)] = text[i];
	}
	__atomic_store_n(&console->out_prod, at, __ATOMIC_RELEASE);
	op.port = console_port;
	event_op(EVTCHNOP_send, &op);
}

/* Behind the word and what follows it up to the next space; NULL: it is not there. */
static const char *find(const char *name)
{
	uint64_t length = strlen(name);
	const char *at = command;

	read_start_info();
	while (*at) {
		if (!memcmp(at, name, length))
			return at + length;
		while (*at && *at != ' ')
			at++;
		while (*at == ' ')
			at++;
	}
	return NULL;
}

uint64_t domu_number(const char *name, uint64_t otherwise)
{
	const char *at = find(name);
	uint64_t value = 0;

	if (!at || *at++ != '=')
		return otherwise;
	while (*at >= '0' && *at <= '9')
		value = value * 10 + (uint64_t)(*at++ - '0');
	return value;
}

bool domu_has_word(const char *word)
{
	const char *end = find(word);

	return end && (*end == ' ' || !*end);
}

uint64_t domu_take_word(unsigned int word)
{
	while (!domu_mailbox()->to_guest[word])
		domu_sleep(WAIT);
	return domu_mailbox()->to_guest[word];
}
