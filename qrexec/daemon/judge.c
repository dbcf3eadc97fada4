// SPDX-License-Identifier: GPL-2.0-or-later
// What the policy says to a call. Both the policy and the list of qubes are read anew: a change counts at once.
#define _GNU_SOURCE
#include "broker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct world *broker_world(void)
{
	unsigned int line;
	struct world *world = world_load(broker.qubes, &line);

	if (!world)
		broker_log("%s:%u: %s", broker.qubes, line, strerror(errno));
	return world;
}

/* Keeps what outlives the policy. */
static bool keep_rule(struct call *call)
{
	const struct policy_rule *rule = call->answer.rule;

	call->notify = call->answer.notify;
	call->autostart = rule && rule->autostart;
	call->answer.rule = NULL;
	memcpy(call->target, call->answer.target, sizeof(call->target));
	if (!rule || !rule->user)
		return true;
	call->user = strdup(rule->user);
	return call->user != NULL;
}

bool judge(struct call *call, struct world *world)
{
	char name[SERVICE_NAME_MAX + 1];
	struct policy_request request = {broker.name, name, NULL, call->trigger.target};
	struct policy *policy = policy_create();
	bool good = false;

	call->answer = (struct policy_answer){.action = POLICY_DENY, .notify = true};
	if (policy && policy_split_service(call->service, name, sizeof(name), &request.argument)) {
		policy_load(policy, broker.policy_dirs, broker.policy_dir_count, broker.legacy_dir,
			    NULL, NULL);
		policy_evaluate(policy, world, &request, &call->answer);
		broker_log("%s to %s: %s: %s%s%s", call->service, call->trigger.target,
			   policy_action_name(call->answer.action), call->answer.reason,
			   *call->answer.target ? ": " : "", call->answer.target);
		good = keep_rule(call) && call->answer.action != POLICY_DENY;
	}
	policy_destroy(policy);
	return good;
}
