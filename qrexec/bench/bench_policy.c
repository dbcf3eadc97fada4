// SPDX-License-Identifier: GPL-2.0-or-later
// Measures one evaluation of a policy of 10,000 rules. Fails if the median is above the limit.
#include "../policy/policy.h"
#include "samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES	 10000
#define ROUNDS	 1001
#define LIMIT_US 1000.0

/* One of: a rule of another service, or one of the called service whose last column differs. */
static char *make_policy(bool same_service, size_t *ret_length)
{
	char *text = malloc(RULES * 64), *at = text;

	if (!text)
		exit(2);
	for (int i = 0; i < RULES - 1; i++)
		if (same_service)
			at += sprintf(at, "bench.Call * @tag:callers @tag:tag%d deny\n", i % 50);
		else
			at += sprintf(at, "bench.Other%d * work qube%d allow\n", i, i % 100);
	at += sprintf(at, "* * @anyvm @anyvm allow\n");
	*ret_length = (size_t)(at - text);
	return text;
}

static bool measure(const char *name, bool same_service, const struct world *world)
{
	struct policy_request request = {"work", "bench.Call", "+x", "qube7"};
	struct policy *policy = policy_create();
	struct policy_answer answer;
	static double times[ROUNDS];
	size_t length;
	char *text = make_policy(same_service, &length);

	if (!policy || policy_add_text(policy, "bench", text, length, NULL, NULL, NULL))
		exit(2);
	free(text);
	for (int i = 0; i < ROUNDS; i++) {
		double start = now_us();

		policy_evaluate(policy, world, &request, &answer);
		times[i] = now_us() - start;
		if (answer.action != POLICY_ALLOW || answer.rule->line != RULES)
			exit(2);
		policy_answer_finish(&answer);
	}
	qsort(times, ROUNDS, sizeof(times[0]), by_value);
	printf("policy, %d rules, %s: median %.1f us, 99 %% %.1f us (limit %.0f us)\n", RULES, name,
	       times[ROUNDS / 2], times[ROUNDS * 99 / 100], LIMIT_US);
	policy_destroy(policy);
	return times[ROUNDS / 2] <= LIMIT_US;
}

int main(void)
{
	static char list[16384];
	char *at = list + sprintf(list, "work class=AppVM tags=callers,x,y\n");
	struct world *world;
	unsigned int line;
	bool good;

	for (int i = 0; i < 100; i++)
		at += sprintf(at, "qube%d class=AppVM tags=a,b,c,d\n", i);
	world = world_parse(list, (size_t)(at - list), &line);
	if (!world)
		return 2;
	good = measure("of other services", false, world);
	good &= measure("all of the called service", true, world);
	world_destroy(world);
	return good ? 0 : 1;
}
