// SPDX-License-Identifier: GPL-2.0-or-later
// Calls of the qube: judged, asked about, their target started, then brought together with it.
#define _GNU_SOURCE
#include "broker.h"

#include "../lib/socket.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int refuse(const struct call *call)
{
	uint8_t body[WIRE_IDENT_SIZE];
	int length = wire_encode_ident(call->trigger.ident, body, sizeof(body));

	return channel_send(&broker.control, WIRE_SERVICE_REFUSED, body, (size_t)length);
}

static void notify(const struct call *call, const char *resolution)
{
	const char *target = *call->target ? call->target : call->trigger.target;
	char *text;

	if (!call->notify || access(broker.prompt, X_OK))
		return;
	for (size_t i = 0; i < MAX_NOTES; i++) {
		if (broker.notes[i])
			continue;
		if (!rate_take(&broker.note_rate, now_ms()))
			return;
		text = note_text(resolution, call->service, target);
		if (text)
			broker.notes[i] = helper_run(broker.prompt, "notify", NULL, text);
		if (broker.notes[i] < 0)
			broker.notes[i] = 0;
		free(text);
		return;
	}
}

/* The disposable of a call that came to nothing has no further use. */
static void drop_call(struct call *call)
{
	if (call->disposable && call->state == CALL_CONNECTING)
		helper_run(broker.starter, "finish", call->target, "");
	helper_finish(&call->helper);
	if (call->state == CALL_CONNECTING)
		channel_finish(&call->channel);
	policy_answer_finish(&call->answer);
	free(call->service);
	free(call->user);
	free(call->command);
	*call = (struct call){.state = CALL_FREE};
	broker.accepting = true;
}

static int fail(struct call *call, const char *resolution, const char *why)
{
	int rc = refuse(call);

	if (why)
		broker_log("%s to %s: %s", call->service,
			   *call->target ? call->target : call->trigger.target, why);
	notify(call, resolution);
	drop_call(call);
	return rc;
}

/* A service of dom0: the calling qube serves the data channel, a child of ours connects to it. */
static int call_dom0(struct call *call)
{
	struct wire_exec where = {0, 0, call->trigger.ident};
	const char *asked = call->trigger.target;
	bool keyword = *asked == '@' || !*asked;
	struct service_call service = {.user = call->user,
				       .full = call->service,
				       .source = broker.name};
	int port = port_children() < MAX_SERVED ? port_allocate(0) : -1, rc;
	pid_t pid;

	if (port < 0)
		return fail(call, "fail", "too many calls at once");
	service.target_type = keyword ? "keyword" : "name";
	service.target = !*asked ? "default" : keyword ? asked + 1 : asked;
	where.port = (uint32_t)port;
	rc = channel_send_exec(&broker.control, WIRE_SERVICE_CONNECT, &where);
	if (rc)
		return rc;
	pid = fork();
	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		/* Nothing of the daemon's stays open here, or its death would not be noticed. */
		close_range(3, ~0u, 0);
		_exit(service_serve(&service, &broker.dirs, broker.domain, port, false));
	}
	if (pid < 0)
		port_free(0, where.port);
	else
		port_set_child(port, pid);
	notify(call, "allow");
	drop_call(call);
	return 0;
}

/* The daemon of the target, or -1: it does not run. */
static int connect_target(const char *target)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/qrexec.%s", broker.socket_dir, target) >=
	    (int)sizeof(path))
		return -1;
	return socket_connect(path, SOCK_NONBLOCK);
}

static int connect_call(struct call *call, int fd)
{
	if (asprintf(&call->command, "%s:QUBESRPC %s %s", call->user ? call->user : "DEFAULT",
		     call->service, broker.name) < 0) {
		call->command = NULL;
		close(fd);
		return fail(call, "fail", "no memory");
	}
	call->state = CALL_CONNECTING;
	call->deadline = now_ms() + CONNECT_SECONDS * 1000LL;
	return channel_init(&call->channel, NULL, fd) ? fail(call, "fail", "no memory") : 0;
}

static int start_target(struct call *call, const char *verb, const char *word)
{
	int rc = helper_start(&call->helper, broker.starter, verb, word, "");

	if (rc) {
		broker_log("%s: %s", broker.starter, strerror(-rc));
		return fail(call, "fail", "the target does not run and cannot be started");
	}
	call->state = CALL_STARTING;
	call->deadline = now_ms() + START_SECONDS * 1000LL;
	return 0;
}

static bool room_for_disposable(void)
{
	size_t count = 0;

	for (size_t i = 0; i < MAX_DISPOSABLES; i++)
		count += *broker.disposables[i].name != '\0';
	for (size_t i = 0; i < MAX_CALLS; i++)
		count += broker.calls[i].state != CALL_FREE && broker.calls[i].disposable;
	return count < MAX_DISPOSABLES;
}

/* Allowed, and the target is known: a name, @adminvm, or @dispvm:TEMPLATE. */
static int go(struct call *call)
{
	static const char dispvm[] = "@dispvm:";
	int fd;

	policy_answer_finish(&call->answer);
	if (!strcmp(call->target, "@adminvm"))
		return call_dom0(call);
	if (!strncmp(call->target, dispvm, sizeof(dispvm) - 1)) {
		if (!room_for_disposable())
			return fail(call, "fail", "too many disposables for this qube at once");
		call->disposable = true;
		return start_target(call, "disposable", call->target + sizeof(dispvm) - 1);
	}
	fd = connect_target(call->target);
	if (fd >= 0)
		return connect_call(call, fd);
	if (!call->autostart)
		return fail(call, "fail",
			    "the target does not run, and the rule is against a start");
	return start_target(call, "start", call->target);
}

static int started(struct call *call)
{
	const char *name = call->helper.answer;
	int fd;

	if (call->helper.status)
		return fail(call, "fail", "the target could not be started");
	if (call->disposable) {
		if (!world_name_valid(name))
			return fail(call, "fail", "the disposable has no name");
		snprintf(call->target, sizeof(call->target), "%.31s", name);
	}
	fd = connect_target(call->target);
	if (fd >= 0)
		return connect_call(call, fd);
	if (call->disposable)
		helper_run(broker.starter, "finish", call->target, "");
	return fail(call, "fail", "the target was started, but has no qrexec-daemon");
}

static int ask(struct call *call, const struct world *world)
{
	size_t open = 0;
	char *text;
	int rc;

	for (size_t i = 0; i < MAX_CALLS; i++)
		open += broker.calls[i].state == CALL_ASKING;
	if (open >= MAX_QUESTIONS)
		return fail(call, "deny", "too many open questions");
	text = question_text(call, world);
	rc = text ? helper_start(&call->helper, broker.prompt, "ask", NULL, text) : -ENOMEM;
	free(text);
	if (rc) {
		broker_log("%s: %s", broker.prompt, strerror(-rc));
		return fail(call, "deny", "there is nobody to ask");
	}
	call->state = CALL_ASKING;
	return 0;
}

static int answered(struct call *call)
{
	static const char allow[] = "allow:";
	const char *answer = call->helper.answer;

	/* The user has seen the question: there is nothing to tell. */
	call->notify = false;
	if (call->helper.status || strncmp(answer, allow, sizeof(allow) - 1) != 0 ||
	    !policy_choose(&call->answer, answer + sizeof(allow) - 1))
		return fail(call, "deny", "the user did not allow it");
	memcpy(call->target, call->answer.target, sizeof(call->target));
	broker_log("%s to %s: allowed by the user", call->service, call->target);
	return go(call);
}

/* A request with a source comes from a relay: there are none here. */
static int handle_trigger(const struct wire_trigger *trigger)
{
	struct call *call = NULL, none = {.trigger = *trigger};
	struct world *world;
	bool good;
	int rc;

	for (size_t i = 0; i < MAX_CALLS && !call; i++)
		if (broker.calls[i].state == CALL_FREE)
			call = &broker.calls[i];
	if (!call || *trigger->source)
		return refuse(&none);
	*call = (struct call){.trigger = *trigger, .helper.out = -1, .notify = true};
	call->service = strdup(trigger->service);
	world = broker_world();
	if (!call->service || !world) {
		rc = refuse(call);
		drop_call(call);
		world_destroy(world);
		return rc;
	}
	good = judge(call, world);
	if (!good)
		rc = fail(call, "deny", NULL);
	else if (call->answer.action == POLICY_ASK)
		rc = ask(call, world);
	else
		rc = go(call);
	world_destroy(world);
	return rc;
}

static void remember_disposable(const struct call *call, const struct wire_exec *where)
{
	for (size_t i = 0; i < MAX_DISPOSABLES; i++) {
		struct disposable *d = &broker.disposables[i];

		if (*d->name)
			continue;
		snprintf(d->name, sizeof(d->name), "%.31s", call->target);
		d->domain = where->domain;
		d->port = where->port;
		return;
	}
}

static void call_ended(uint32_t untrusted_domain, uint32_t untrusted_port)
{
	port_free(untrusted_domain, untrusted_port);
	for (size_t i = 0; i < MAX_DISPOSABLES; i++) {
		struct disposable *d = &broker.disposables[i];

		if (!*d->name || d->domain != untrusted_domain || d->port != untrusted_port)
			continue;
		helper_run(broker.starter, "finish", d->name, "");
		d->name[0] = '\0';
	}
}

int calls_handle_control(const struct wire_header *header, uint8_t *body)
{
	struct wire_trigger trigger;
	struct wire_exec exec;

	switch (header->type) {
	case WIRE_TRIGGER_SERVICE:
	case WIRE_TRIGGER_SERVICE3:
	case WIRE_TRIGGER_SERVICE4:
		if (wire_decode_trigger(header->type, body, header->length, &trigger))
			return -EPROTO;
		return handle_trigger(&trigger);
	case WIRE_CONNECTION_TERMINATED:
		if (wire_decode_exec(body, header->length, &exec))
			return -EPROTO;
		call_ended(exec.domain, exec.port);
		return 0;
	default:
		return -EPROTO;
	}
}

/* The other daemon: its hello, then the port that it has allocated. */
static int serve_connection(struct call *call)
{
	struct wire_exec exec = {(uint32_t)broker.domain, 0, call->command};
	struct wire_header header = {0};
	uint32_t untrusted_version;
	uint8_t *body = NULL;
	int rc = channel_flush(&call->channel);

	if (!rc)
		rc = channel_receive(&call->channel, &header, &body);
	if (rc == 0)
		return 0;
	if (rc > 0 && !call->greeted && header.type == WIRE_HELLO &&
	    !wire_decode_hello(body, header.length, &untrusted_version) &&
	    untrusted_version >= WIRE_VERSION_LOCAL &&
	    !channel_send_hello(&call->channel, WIRE_VERSION_LOCAL) &&
	    !channel_send_exec(&call->channel, WIRE_EXEC_CMDLINE, &exec)) {
		call->greeted = true;
		return 0;
	}
	if (rc <= 0 || !call->greeted || header.type != WIRE_EXEC_CMDLINE ||
	    wire_decode_exec(body, header.length, &exec))
		return fail(call, "fail", "the daemon of the target does not take the call");
	exec.text = call->trigger.ident;
	rc = channel_send_exec(&broker.control, WIRE_SERVICE_CONNECT, &exec);
	if (call->disposable)
		remember_disposable(call, &exec);
	call->disposable = false; /* it goes with its call, not with this */
	notify(call, "allow");
	drop_call(call);
	return rc;
}

int call_serve(struct call *call)
{
	switch (call->state) {
	case CALL_ASKING:
		return helper_ended(&call->helper) ? answered(call) : 0;
	case CALL_STARTING:
		return helper_ended(&call->helper) ? started(call) : 0;
	case CALL_CONNECTING:
		return serve_connection(call);
	default:
		return 0;
	}
}

int call_late(struct call *call)
{
	if (call->state == CALL_FREE || !call->deadline || now_ms() <= call->deadline)
		return 0;
	return fail(call, "fail", "the target took too long");
}

void calls_reaped(pid_t pid, int status)
{
	port_reaped(pid);
	for (size_t i = 0; i < MAX_NOTES; i++)
		if (broker.notes[i] == pid)
			broker.notes[i] = 0;
	for (size_t i = 0; i < MAX_CALLS; i++)
		if (broker.calls[i].state != CALL_FREE)
			helper_reaped(&broker.calls[i].helper, pid, status);
}

int call_fd(const struct call *call, short *ret_events)
{
	*ret_events = POLLIN;
	if (call->state == CALL_CONNECTING) {
		*ret_events = channel_events(&call->channel);
		return channel_fd(&call->channel);
	}
	return call->state == CALL_FREE ? -1 : call->helper.out;
}

void calls_finish(void)
{
	for (size_t i = 0; i < MAX_CALLS; i++)
		if (broker.calls[i].state != CALL_FREE)
			drop_call(&broker.calls[i]);
	for (size_t i = 0; i < MAX_DISPOSABLES; i++)
		if (*broker.disposables[i].name)
			helper_run(broker.starter, "finish", broker.disposables[i].name, "");
}
