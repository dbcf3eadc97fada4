// SPDX-License-Identifier: GPL-2.0-or-later
// Evaluation: the first rule that matches decides.
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A call with its parties looked up once, so that matching a rule touches little memory. */
struct call {
	const struct policy_request *request;
	const struct world *world;
	uint32_t hash;
	const struct world_qube *source;
	struct policy_token target;	      /* POLICY_UUID has become POLICY_NAME */
	const struct world_qube *target_qube; /* for POLICY_NAME and POLICY_ADMINVM */
	const struct world_qube
		*dispvm_template; /* what @dispvm or @dispvm:NAME stands for, or NULL */
};

const char *policy_action_name(enum policy_action action)
{
	static const char *const names[] = {
		[POLICY_DENY] = "deny", [POLICY_ASK] = "ask", [POLICY_ALLOW] = "allow"};

	return names[action];
}

__attribute__((format(printf, 2, 3))) static void deny(struct policy_answer *answer,
						       const char *format, ...)
{
	va_list args;

	answer->action = POLICY_DENY;
	va_start(args, format);
	vsnprintf(answer->reason, sizeof(answer->reason), format, args);
	va_end(args);
}

static const struct world_qube *default_dispvm(const struct call *call)
{
	const struct world_qube *qube = world_find(call->world, call->source->default_dispvm);

	return qube && qube->template_for_dispvms ? qube : NULL;
}

/* What a caller may ask for, or a rule redirects to, made into a qube that exists. False: refused. */
static bool set_target(struct call *call, const struct policy_token *token,
		       struct policy_answer *answer)
{
	call->target = *token;
	call->target_qube = call->dispvm_template = NULL;
	switch (token->kind) {
	case POLICY_NAME:
	case POLICY_UUID:
		call->target_qube = token->kind == POLICY_NAME
					    ? world_find(call->world, token->value)
					    : world_find_uuid(call->world, token->value);
		if (!call->target_qube) {
			deny(answer, "there is no qube %.60s", token->value);
			return false;
		}
		call->target = (struct policy_token){POLICY_NAME, call->target_qube->name};
		if (world_is_admin(call->target_qube))
			call->target.kind = POLICY_ADMINVM;
		return true;
	case POLICY_ADMINVM:
		call->target_qube = world_find(call->world, "dom0");
		return true;
	case POLICY_DISPVM:
		call->dispvm_template = default_dispvm(call);
		return true;
	case POLICY_DISPVM_NAME:
		call->dispvm_template = world_find(call->world, token->value);
		if (!call->dispvm_template || !call->dispvm_template->template_for_dispvms) {
			deny(answer, "%.40s is no template of disposables", token->value);
			return false;
		}
		return true;
	default:
		return true;
	}
}

static bool qube_matches(const struct policy_token *token, const struct world_qube *qube)
{
	switch (token->kind) {
	case POLICY_NAME:
		return !strcmp(qube->name, token->value);
	case POLICY_UUID:
		return *qube->uuid && !strcmp(qube->uuid, token->value);
	case POLICY_ADMINVM:
		return world_is_admin(qube);
	case POLICY_TAG:
		return world_has_tag(qube, token->value);
	case POLICY_TYPE:
		return !strcmp(qube->type, token->value);
	default:
		return false;
	}
}

static bool source_matches(const struct policy_token *token, const struct call *call)
{
	const struct world_qube *template;

	switch (token->kind) {
	case POLICY_ANY:
		return true;
	case POLICY_ANYVM:
		return !world_is_admin(call->source);
	case POLICY_DISPVM_NAME:
		return !strcmp(call->source->template, token->value);
	case POLICY_DISPVM_TAG:
		template = world_find(call->world, call->source->template);
		return template && template->template_for_dispvms &&
		       world_has_tag(template, token->value);
	default:
		return qube_matches(token, call->source);
	}
}

static bool target_matches(const struct policy_token *token, const struct call *call)
{
	switch (token->kind) {
	case POLICY_ANY:
		return true;
	case POLICY_ANYVM:
		return call->target.kind != POLICY_ADMINVM;
	case POLICY_DEFAULT:
	case POLICY_DISPVM:
		return call->target.kind == token->kind;
	case POLICY_DISPVM_NAME:
		return call->dispvm_template && !strcmp(call->dispvm_template->name, token->value);
	case POLICY_DISPVM_TAG:
		return call->dispvm_template && world_has_tag(call->dispvm_template, token->value);
	default:
		return call->target_qube && qube_matches(token, call->target_qube);
	}
}

static bool matches_but_target(const struct policy *policy, size_t index, const struct call *call)
{
	const struct policy_rule *rule = &policy->rules[index];
	uint32_t hash = policy->hashes[index];

	return (!hash || hash == call->hash) &&
	       (!rule->service || !strcmp(rule->service, call->request->service)) &&
	       (!rule->argument || !strcmp(rule->argument, call->request->argument)) &&
	       source_matches(&rule->source, call);
}

static void write_target(char *ret_text, const struct call *call)
{
	if (call->target.kind == POLICY_ADMINVM)
		strcpy(ret_text, "@adminvm");
	else if (call->dispvm_template)
		snprintf(ret_text, POLICY_TARGET_SIZE, "@dispvm:%.40s",
			 call->dispvm_template->name);
	else if (call->target_qube)
		snprintf(ret_text, POLICY_TARGET_SIZE, "%.40s", call->target_qube->name);
	else
		ret_text[0] = '\0'; /* @default stands for no qube: callers have excluded it */
}

static bool resolve(struct call *call, const struct policy_token *redirect,
		    struct policy_answer *answer)
{
	if (redirect->kind != POLICY_NOTHING && !set_target(call, redirect, answer))
		return false;
	if (call->target.kind == POLICY_DEFAULT) {
		deny(answer, "neither the caller nor the rule says which qube gets the call");
		return false;
	}
	if (call->target.kind == POLICY_DISPVM && !call->dispvm_template) {
		deny(answer, "%.40s has no default template of disposables", call->source->name);
		return false;
	}
	return true;
}

/*
 * The choices of a question. Each qube, and each template of disposables, is a candidate; the first rule
 * that has it among its targets says whether it can be chosen. A rule with target= offers that one instead
 * of its own targets.
 */
static const struct policy_token *offered_by(const struct policy_rule *rule)
{
	return rule->action != POLICY_DENY && rule->redirect.kind != POLICY_NOTHING
		       ? &rule->redirect
		       : &rule->target;
}

/* The caller's default template is meant too when a rule speaks of @dispvm alone. */
static bool same_dispvm(const struct policy_token *rule_target, const struct call *call)
{
	const struct world_qube *own = default_dispvm(call);

	return rule_target->kind == POLICY_DISPVM && own && own == call->dispvm_template;
}

static bool choosable(const struct policy *policy, struct call *call,
		      const struct policy_token *candidate)
{
	struct policy_answer ignored;

	if (!set_target(call, candidate, &ignored))
		return false;
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct policy_token *offered = offered_by(&policy->rules[i]);

		if (matches_but_target(policy, i, call) &&
		    (target_matches(offered, call) || same_dispvm(offered, call)))
			return policy->rules[i].action != POLICY_DENY;
	}
	return false;
}

static bool add_choice(struct policy_answer *answer, const struct call *call)
{
	char(*grown)[POLICY_TARGET_SIZE];
	size_t count = answer->choice_count;

	if (!(count & (count - 1))) {
		grown = realloc(answer->choices, (count ? count * 2 : 1) * sizeof(*grown));
		if (!grown)
			return false;
		answer->choices = grown;
	}
	write_target(answer->choices[count], call);
	answer->choice_count++;
	return true;
}

static bool collect_choices(const struct policy *policy, struct call call,
			    struct policy_answer *answer)
{
	for (size_t i = 0; i < world_count(call.world); i++) {
		const struct world_qube *qube = world_at(call.world, i);
		struct policy_token name = {POLICY_NAME, qube->name};
		struct policy_token dispvm = {POLICY_DISPVM_NAME, qube->name};

		if (qube != call.source && choosable(policy, &call, &name) &&
		    !add_choice(answer, &call))
			return false;
		if (qube->template_for_dispvms && choosable(policy, &call, &dispvm) &&
		    !add_choice(answer, &call))
			return false;
	}
	return true;
}

static bool is_choice(const struct policy_answer *answer, const char *target)
{
	for (size_t i = 0; i < answer->choice_count; i++)
		if (!strcmp(answer->choices[i], target))
			return true;
	return false;
}

static void prepare_question(const struct policy *policy, struct call *call,
			     struct policy_answer *answer)
{
	const struct policy_rule *rule = answer->rule;
	struct policy_answer ignored;
	char text[POLICY_TARGET_SIZE];
	bool good;

	if (rule->redirect.kind != POLICY_NOTHING)
		good = resolve(call, &rule->redirect, answer) && add_choice(answer, call);
	else
		good = collect_choices(policy, *call, answer);
	if (!good || !answer->choice_count) {
		if (answer->action != POLICY_DENY)
			deny(answer, "there is no qube to choose from");
		return;
	}
	/* What the rule preselects; else, as the user has to confirm it, what the caller asked for. */
	if (rule->default_target.kind != POLICY_NOTHING
		    ? !resolve(call, &rule->default_target, &ignored)
		    : call->target.kind == POLICY_DEFAULT ||
			      (call->target.kind == POLICY_DISPVM && !call->dispvm_template))
		return;
	write_target(text, call);
	if (is_choice(answer, text))
		strcpy(answer->default_target, text);
}

static void apply(const struct policy *policy, struct call *call, struct policy_answer *answer)
{
	const struct policy_rule *rule = answer->rule;

	answer->notify = rule->notify;
	if (rule->action == POLICY_DENY) {
		deny(answer, "a rule says deny");
		return;
	}
	answer->action = rule->action;
	if (rule->action == POLICY_ASK) {
		prepare_question(policy, call, answer);
		if (answer->action == POLICY_ASK)
			snprintf(answer->reason, sizeof(answer->reason), "a rule says ask");
	} else if (resolve(call, &rule->redirect, answer)) {
		write_target(answer->target, call);
		snprintf(answer->reason, sizeof(answer->reason), "a rule says allow");
	}
}

static bool look_up(const struct world *world, const struct policy_request *request,
		    struct call *ret_call, struct policy_answer *answer)
{
	const char *fix, *wrong, *asked = *request->target ? request->target : "@default";
	struct policy_token target;

	*ret_call = (struct call){.request = request, .world = world};
	ret_call->hash = policy_hash(request->service);
	ret_call->source = world_find(world, request->source);
	if (!ret_call->source) {
		deny(answer, "there is no qube %.40s", request->source);
		return false;
	}
	wrong = policy_token_parse(asked, POLICY_INTENDED, &target, &fix);
	if (wrong) {
		deny(answer, "the target that was asked for: %s", wrong);
		return false;
	}
	return set_target(ret_call, &target, answer);
}

void policy_evaluate(const struct policy *policy, const struct world *world,
		     const struct policy_request *request, struct policy_answer *ret_answer)
{
	struct call call;

	*ret_answer = (struct policy_answer){.action = POLICY_DENY, .notify = true};
	if (policy->broken) {
		deny(ret_answer, "the policy has errors: see qrexec-policy check");
		return;
	}
	if (!look_up(world, request, &call, ret_answer))
		return;
	for (size_t i = 0; i < policy->rule_count; i++)
		if (matches_but_target(policy, i, &call) &&
		    target_matches(&policy->rules[i].target, &call)) {
			ret_answer->rule = &policy->rules[i];
			apply(policy, &call, ret_answer);
			return;
		}
	deny(ret_answer, "no rule matches");
}

void policy_trace(const struct policy *policy, const struct world *world,
		  const struct policy_request *request, policy_seen_fn *seen, void *ctx)
{
	struct policy_answer ignored;
	struct call call;
	const char *column;

	if (!look_up(world, request, &call, &ignored))
		return;
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct policy_rule *rule = &policy->rules[i];

		if (rule->service && strcmp(rule->service, request->service) != 0)
			continue;
		column = rule->argument && strcmp(rule->argument, request->argument) ? "argument"
			 : !source_matches(&rule->source, &call)		     ? "source"
			 : !target_matches(&rule->target, &call)		     ? "target"
										     : NULL;
		seen(ctx, rule, column);
		if (!column)
			return;
	}
}

void policy_answer_finish(struct policy_answer *answer)
{
	free(answer->choices);
	answer->choices = NULL;
	answer->choice_count = 0;
}

bool policy_choose(struct policy_answer *answer, const char *target)
{
	if (answer->action != POLICY_ASK || !is_choice(answer, target))
		return false;
	snprintf(answer->target, sizeof(answer->target), "%s", target);
	answer->action = POLICY_ALLOW;
	return true;
}
