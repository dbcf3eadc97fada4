// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: policy files. The input is a policy; up to a line "--" it is a list of qubes, if it has such a line.
// links: qrexec/policy/world.c qrexec/policy/tokens.c qrexec/policy/parse.c qrexec/policy/load.c qrexec/policy/eval.c
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../qrexec/policy/policy.h"

static const char default_qubes[] =
	"work class=AppVM tags=a,b default_dispvm=dvm uuid=1-2 domid=3\nmail class=AppVM tags=b\n"
	"dvm class=AppVM tags=d template_for_dispvms=yes\ndisp class=DispVM template=dvm\n";

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void on_problem(void *ctx, const char *file, unsigned int line, const char *what,
		       const char *fix)
{
	require(*file && *what && *fix);
	(void)line;
	++*(unsigned int *)ctx;
}

static void on_seen(void *ctx, const struct policy_rule *rule, const char *column)
{
	require(rule->line > 0 || column == NULL);
	if (!column)
		++*(unsigned int *)ctx;
}

static void evaluate(const struct policy *policy, const struct world *world, const char *source,
		     const char *target)
{
	struct policy_request request = {source, "s", "+x", target};
	struct policy_answer answer;
	unsigned int matched = 0;

	policy_trace(policy, world, &request, on_seen, &matched);
	policy_evaluate(policy, world, &request, &answer);
	require(answer.reason[0] && matched <= 1);
	require(answer.action == POLICY_DENY || answer.rule);
	if (answer.action == POLICY_ALLOW)
		require(matched && answer.target[0] && answer.rule->action == POLICY_ALLOW);
	if (answer.action == POLICY_ASK) {
		require(answer.choice_count > 0 && answer.rule->action == POLICY_ASK);
		require(!policy_choose(&answer, "nobody"));
		require(policy_choose(&answer, answer.choices[0]));
	}
	policy_answer_finish(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const parties[] = {"work", "mail", "dom0",	 "disp",
					      "",     "dvm",  "@dispvm", "@dispvm:dvm"};
	const uint8_t *mark = memmem(data, size, "--\n", 3);
	struct policy *policy = policy_create();
	struct world *world = NULL;
	unsigned int line, problems = 0, returned;

	require(policy != NULL);
	if (mark) {
		world = world_parse((const char *)data, (size_t)(mark - data), &line);
		size -= (size_t)(mark + 3 - data);
		data = mark + 3;
	}
	if (!world)
		world = world_parse(default_qubes, sizeof(default_qubes) - 1, &line);
	require(world != NULL);
	/* An include is looked up below a directory that does not exist; absolute paths are left out. */
	if (!memmem(data, size, "!include", 8) || !memchr(data, '/', size)) {
		returned = policy_add_text(policy, "f", (const char *)data, size, "/nonexistent",
					   on_problem, &problems);
		require(returned == problems);
		for (size_t i = 0; i < sizeof(parties) / sizeof(parties[0]); i++)
			for (size_t j = 0; j < sizeof(parties) / sizeof(parties[0]); j++)
				evaluate(policy, world, parties[i], parties[j]);
	}
	world_destroy(world);
	policy_destroy(policy);
	return 0;
}
