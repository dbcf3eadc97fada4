// SPDX-License-Identifier: GPL-2.0-or-later
// qrexec-policy: checks the policy, and explains what it says to one call.
#include "../policy/policy.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DIRS 8

struct options {
	const char *dirs[MAX_DIRS];
	size_t dir_count;
	const char *legacy_dir, *qubes;
};

static void usage(FILE *to)
{
	fputs("usage: qrexec-policy [OPTION]… check\n"
	      "       qrexec-policy [OPTION]… explain SOURCE SERVICE[+ARGUMENT] TARGET\n"
	      "  -d, --dir DIR         read *.policy here instead; may be repeated\n"
	      "  -l, --legacy-dir DIR  where !compat-4.0 looks (/etc/qubes-rpc/policy)\n"
	      "  -q, --qubes FILE      the list of qubes (/run/qubes/qubes.list)\n"
	      "  -h, --help            print this\n",
	      to);
}

static void print_problem(void *ctx, const char *file, unsigned int line, const char *what,
			  const char *fix)
{
	(void)ctx;
	if (line)
		fprintf(stderr, "%s:%u: %s\n\tfix: %s\n", file, line, what, fix);
	else
		fprintf(stderr, "%s: %s\n\tfix: %s\n", file, what, fix);
}

static int check(const struct policy *policy, unsigned int problems)
{
	if (problems) {
		fprintf(stderr, "%u problem%s: every call is refused until they are fixed\n",
			problems, problems == 1 ? "" : "s");
		return 1;
	}
	printf("%zu rules, no problems\n", policy_rule_count(policy));
	return 0;
}

static void print_seen(void *ctx, const struct policy_rule *rule, const char *column)
{
	(void)ctx;
	printf("  %s:%u: %s%s\n", rule->file, rule->line, column ? "another " : "matches",
	       column ? column : "");
}

static void print_answer(const struct policy_answer *answer)
{
	printf("%s: %s\n", policy_action_name(answer->action), answer->reason);
	if (answer->rule && answer->rule->line)
		printf("decided by %s:%u\n", answer->rule->file, answer->rule->line);
	else if (answer->rule)
		printf("decided by the end of %s: what it does not allow is refused\n",
		       answer->rule->file);
	if (answer->action == POLICY_DENY || !answer->rule)
		return;
	if (answer->action == POLICY_ALLOW)
		printf("target: %s\n", answer->target);
	if (answer->rule->user)
		printf("user: %s\n", answer->rule->user);
	if (!answer->rule->autostart)
		printf("autostart: no\n");
	for (size_t i = 0; i < answer->choice_count; i++)
		printf("choice: %s%s\n", answer->choices[i],
		       strcmp(answer->choices[i], answer->default_target) ? "" : " (preselected)");
}

static int explain(const struct options *options, const struct policy *policy, char **words)
{
	char name[256];
	struct policy_request request = {.source = words[0], .service = name, .target = words[2]};
	struct policy_answer answer;
	struct world *world;
	unsigned int line;
	int rc;

	if (!policy_split_service(words[1], name, sizeof(name), &request.argument)) {
		fprintf(stderr,
			"qrexec-policy: %s is not a service: use letters, digits, _ . - "
			"and + before the argument\n",
			words[1]);
		return 2;
	}
	world = world_load(options->qubes, &line);
	if (!world) {
		fprintf(stderr, "qrexec-policy: %s:%u: %s\n", options->qubes, line,
			strerror(errno));
		return 2;
	}
	policy_evaluate(policy, world, &request, &answer);
	print_answer(&answer);
	printf("lines for this service, in order:\n");
	policy_trace(policy, world, &request, print_seen, NULL);
	rc = answer.action == POLICY_DENY;
	policy_answer_finish(&answer);
	world_destroy(world);
	return rc;
}

static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {{"dir", required_argument, NULL, 'd'},
					      {"legacy-dir", required_argument, NULL, 'l'},
					      {"qubes", required_argument, NULL, 'q'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "d:l:q:h", longs, NULL)) != -1)
		switch (option) {
		case 'd':
			if (options->dir_count == MAX_DIRS)
				return 2;
			options->dirs[options->dir_count++] = optarg;
			break;
		case 'l':
			options->legacy_dir = optarg;
			break;
		case 'q':
			options->qubes = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return 2;
		}
	if (!options->dir_count) {
		options->dirs[options->dir_count++] = "/etc/qubes/policy.d";
		options->dirs[options->dir_count++] = "/run/qubes/policy.d";
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = {.legacy_dir = "/etc/qubes-rpc/policy",
				  .qubes = "/run/qubes/qubes.list"};
	struct policy *policy;
	unsigned int problems;
	int rc = parse_options(argc, argv, &options), words = argc - optind;

	if (rc || !((words == 1 && !strcmp(argv[optind], "check")) ||
		    (words == 4 && !strcmp(argv[optind], "explain")))) {
		usage(stderr);
		return 2;
	}
	policy = policy_create();
	if (!policy) {
		fprintf(stderr, "qrexec-policy: %s\n", strerror(errno));
		return 2;
	}
	problems = policy_load(policy, options.dirs, options.dir_count, options.legacy_dir,
			       print_problem, NULL);
	if (words == 1)
		rc = check(policy, problems);
	else
		rc = explain(&options, policy, argv + optind + 1);
	policy_destroy(policy);
	return rc;
}
