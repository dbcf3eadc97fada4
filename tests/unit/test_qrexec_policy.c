// SPDX-License-Identifier: GPL-2.0-or-later
// The policy engine: every token, action, parameter and directive, and the words for what is wrong.
// links: qrexec/policy/world.c qrexec/policy/tokens.c qrexec/policy/parse.c qrexec/policy/load.c qrexec/policy/eval.c
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../qrexec/policy/policy.h"

static const char qubes[] =
	"# name and properties\n"
	"dom0 class=AdminVM\n"
	"work class=AppVM uuid=11-22 tags=office,trusted default_dispvm=dvm domid=5\n"
	"mail class=AppVM tags=office\n"
	"vault class=StandaloneVM tags=\n"
	"dvm class=AppVM tags=dvms template_for_dispvms=yes\n"
	"\n"
	"dvm2 class=AppVM template_for_dispvms=yes\n"
	"disp1 class=DispVM template=dvm domid=9\n";

struct heard {
	unsigned int count, line;
	char file[200], what[200], fix[200];
};

static void hear(void *ctx, const char *file, unsigned int line, const char *what, const char *fix)
{
	struct heard *heard = ctx;

	if (heard->count++)
		return;
	heard->line = line;
	snprintf(heard->file, sizeof(heard->file), "%s", file);
	snprintf(heard->what, sizeof(heard->what), "%s", what);
	snprintf(heard->fix, sizeof(heard->fix), "%s", fix);
}

static struct world *the_world(void)
{
	unsigned int line;
	struct world *world = world_parse(qubes, sizeof(qubes) - 1, &line);

	assert_non_null(world);
	return world;
}

static struct policy *policy_of(const char *text)
{
	struct policy *policy = policy_create();
	struct heard heard = {0};

	assert_non_null(policy);
	policy_add_text(policy, "text", text, strlen(text), NULL, hear, &heard);
	if (heard.count)
		fail_msg("line %u: %s in: %s", heard.line, heard.what, text);
	return policy;
}

/* "allow TARGET", "ask CHOICE,CHOICE*,…" (* is preselected) or "deny". */
static void decide(const char *text, const char *source, const char *service, const char *target,
		   char *ret, size_t size)
{
	struct policy *policy = policy_of(text);
	struct world *world = the_world();
	struct policy_request request = {.source = source, .target = target};
	struct policy_answer answer;
	char name[64];
	size_t used;

	assert_true(policy_split_service(service, name, sizeof(name), &request.argument));
	request.service = name;
	policy_evaluate(policy, world, &request, &answer);
	assert_true(answer.reason[0]);
	used = (size_t)snprintf(ret, size, "%s", policy_action_name(answer.action));
	if (answer.action == POLICY_ALLOW)
		snprintf(ret + used, size - used, " %s", answer.target);
	for (size_t i = 0; answer.action == POLICY_ASK && i < answer.choice_count; i++)
		used += (size_t)snprintf(ret + used, size - used, "%c%s%s", i ? ',' : ' ',
					 answer.choices[i],
					 strcmp(answer.choices[i], answer.default_target) ? ""
											  : "*");
	policy_answer_finish(&answer);
	world_destroy(world);
	policy_destroy(policy);
}

static void expect(const char *text, const char *source, const char *service, const char *target,
		   const char *wanted)
{
	char got[300];

	decide(text, source, service, target, got, sizeof(got));
	if (strcmp(got, wanted) != 0)
		fail_msg("%s %s %s under \"%s\": %s, not %s", source, service, target, text, got,
			 wanted);
}

static void test_services_and_arguments(void **state)
{
	(void)state;
	expect("s * work mail allow\n", "work", "s", "mail", "allow mail");
	expect("s * work mail allow\n", "work", "s+x", "mail", "allow mail");
	expect("s + work mail allow\n", "work", "s", "mail", "allow mail");
	expect("s + work mail allow\n", "work", "s+x", "mail", "deny");
	expect("s +x work mail allow\n", "work", "s+x", "mail", "allow mail");
	expect("s +x work mail allow\n", "work", "s+y", "mail", "deny");
	expect("s +x work mail allow\n", "work", "s", "mail", "deny");
	expect("s +a+b work mail allow\n", "work", "s+a+b", "mail", "allow mail");
	expect("t * work mail allow\n", "work", "s", "mail", "deny");
	expect("* * work mail allow\n", "work", "s+x", "mail", "allow mail");
	expect("", "work", "s", "mail", "deny");
}

static void test_first_match_decides(void **state)
{
	(void)state;
	expect("s * work mail deny\ns * * * allow\n", "work", "s", "mail", "deny");
	expect("s * * * allow\ns * work mail deny\n", "work", "s", "mail", "allow mail");
	expect(" \t\n# s * * * deny\n  s\t* * *\tallow \r\n", "work", "s", "mail", "allow mail");
	expect("s * * * allow", "work", "s", "vault", "allow vault");
}

static void test_sources(void **state)
{
	static const struct {
		const char *token, *matches, *not ;
	} rows[] = {
		{"work", "work", "mail"},
		{"uuid:11-22", "work", "mail"},
		{"*", "dom0", NULL},
		{"@anyvm", "work", "dom0"},
		{"@adminvm", "dom0", "work"},
		{"dom0", "dom0", "work"},
		{"@tag:office", "mail", "vault"},
		{"@tag:offic", NULL, "mail"},
		{"@type:StandaloneVM", "vault", "work"},
		{"@type:AdminVM", "dom0", "work"},
		{"@dispvm:dvm", "disp1", "dvm"},
		{"@dispvm:dvm2", NULL, "disp1"},
		{"@dispvm:@tag:dvms", "disp1", "dvm"},
	};
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "s * %s * allow\n", rows[i].token);
		if (rows[i].matches)
			expect(text, rows[i].matches, "s", "dvm2", "allow dvm2");
		if (rows[i].not )
			expect(text, rows[i].not, "s", "dvm2", "deny");
	}
	expect("s * * * allow\n", "nobody", "s", "dvm2", "deny");
}

static void test_targets(void **state)
{
	static const struct {
		const char *token, *asked, *answer;
	} rows[] = {
		{"mail", "mail", "allow mail"},
		{"mail", "vault", "deny"},
		{"uuid:11-22", "work", "allow work"},
		{"work", "uuid:11-22", "allow work"},
		{"work", "uuid:33", "deny"},
		{"*", "dom0", "allow @adminvm"},
		{"*", "@dispvm", "allow @dispvm:dvm"},
		{"*", "@default", "deny"},
		{"*", "nobody", "deny"},
		{"@anyvm", "dom0", "deny"},
		{"@anyvm", "@adminvm", "deny"},
		{"@anyvm", "vault", "allow vault"},
		{"@anyvm", "@dispvm", "allow @dispvm:dvm"},
		{"@adminvm", "dom0", "allow @adminvm"},
		{"dom0", "@adminvm", "allow @adminvm"},
		{"dom0", "mail", "deny"},
		{"@dispvm", "@dispvm", "allow @dispvm:dvm"},
		{"@dispvm", "@dispvm:dvm", "deny"},
		{"@dispvm:dvm", "@dispvm:dvm", "allow @dispvm:dvm"},
		{"@dispvm:dvm", "@dispvm", "allow @dispvm:dvm"},
		{"@dispvm:dvm2", "@dispvm", "deny"},
		{"@dispvm:dvm2", "@dispvm:dvm2", "allow @dispvm:dvm2"},
		{"@dispvm:dvm", "dvm", "deny"},
		{"*", "@dispvm:mail", "deny"},
		{"@dispvm:@tag:dvms", "@dispvm", "allow @dispvm:dvm"},
		{"@dispvm:@tag:dvms", "@dispvm:dvm2", "deny"},
		{"@tag:office", "mail", "allow mail"},
		{"@tag:office", "vault", "deny"},
		{"@tag:dvms", "@dispvm:dvm", "deny"},
		{"@type:StandaloneVM", "vault", "allow vault"},
		{"@type:AdminVM", "dom0", "allow @adminvm"},
		/* What a caller cannot ask for. */
		{"*", "@anyvm", "deny"},
		{"*", "@tag:office", "deny"},
		{"*", "*", "deny"},
		{"*", "mail/../x", "deny"},
	};
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "s * work %s allow\n", rows[i].token);
		expect(text, "work", "s", rows[i].asked, rows[i].answer);
	}
	expect("s * mail @dispvm allow\n", "mail", "s", "@dispvm", "deny");
}

static void test_redirection(void **state)
{
	(void)state;
	expect("s * work @default allow target=vault\n", "work", "s", "", "allow vault");
	expect("s * work @default allow target=dom0\n", "work", "s", "@default", "allow @adminvm");
	expect("s * work * allow target=@dispvm\n", "work", "s", "mail", "allow @dispvm:dvm");
	expect("s * mail * allow target=@dispvm\n", "mail", "s", "work", "deny");
	expect("s * work * allow target=@dispvm:dvm2\n", "work", "s", "mail", "allow @dispvm:dvm2");
	expect("s * work * allow target=@dispvm:mail\n", "work", "s", "mail", "deny");
	expect("s * work * allow target=gone\n", "work", "s", "mail", "deny");
	/* The redirected call is not held against later or earlier rules. */
	expect("s * work vault deny\ns * work * allow target=vault\n", "work", "s", "mail",
	       "allow vault");
}

static void test_questions(void **state)
{
	(void)state;
	expect("s * work @default ask target=vault\n", "work", "s", "", "ask vault*");
	expect("s * work mail ask\ns * work vault allow\n", "work", "s", "mail", "ask mail*,vault");
	expect("s * work * ask default_target=vault\ns * * * deny\n", "work", "s", "",
	       "ask disp1,@adminvm,dvm,@dispvm:dvm,dvm2,@dispvm:dvm2,mail,vault*");
	expect("s * work vault deny\ns * work @anyvm ask\n", "work", "s", "mail",
	       "ask disp1,dvm,@dispvm:dvm,dvm2,@dispvm:dvm2,mail*");
	expect("s * work @default ask\n", "work", "s", "", "deny");
	expect("s * work @default ask\ns * work @dispvm allow\n", "work", "s", "",
	       "ask @dispvm:dvm");
	expect("s * work @default ask default_target=gone\ns * work mail allow\n", "work", "s", "",
	       "ask mail");
	expect("s * work @tag:office ask\n", "work", "s", "mail", "ask mail*");
}

static void test_choice(void **state)
{
	struct policy *policy = policy_of("s * work mail ask user=joe autostart=no\n");
	struct world *world = the_world();
	struct policy_request request = {"work", "s", "+", "mail"};
	struct policy_answer answer;

	(void)state;
	policy_evaluate(policy, world, &request, &answer);
	assert_int_equal(answer.action, POLICY_ASK);
	assert_false(policy_choose(&answer, "vault"));
	assert_int_equal(answer.action, POLICY_ASK);
	assert_true(policy_choose(&answer, "mail"));
	assert_int_equal(answer.action, POLICY_ALLOW);
	assert_string_equal(answer.target, "mail");
	assert_string_equal(answer.rule->user, "joe");
	assert_false(answer.rule->autostart);
	assert_false(answer.notify);
	policy_answer_finish(&answer);
	request.target = "vault";
	policy_evaluate(policy, world, &request, &answer);
	assert_true(answer.notify);
	policy_answer_finish(&answer);
	world_destroy(world);
	policy_destroy(policy);
}

static void test_errors_name_line_and_fix(void **state)
{
	static const struct {
		const char *text;
		unsigned int line;
		const char *what, *fix;
	} rows[] = {
		{"s * work mail\n", 1, "too few columns", "service argument source"},
		{"\n\ns * work mail permit\n", 3, "unknown action", "allow, deny or ask"},
		{"s * work mail ALLOW\n", 1, "unknown action", "small letters"},
		{"s x work mail allow\n", 1, "does not start with +", "+ARGUMENT"},
		{"* + work mail allow\n", 1, "argument without a service", "name the service"},
		{"s+x * work mail allow\n", 1, "the service has characters", "next column"},
		{"s +a/b work mail allow\n", 1, "the argument has other characters", "digits"},
		{"s * @default mail allow\n", 1, "not allowed in this place", "a source is"},
		{"s * @dispvm mail allow\n", 1, "not allowed in this place", "a source is"},
		{"s * @foo mail allow\n", 1, "unknown @ word", "a source is"},
		{"s * work @tag: allow\n", 1, "behind the colon", "letters"},
		{"s * work @dispvm:@type:x allow\n", 1, "not the name", "disposable template"},
		{"s * 9work mail allow\n", 1, "not the name of a qube", "start with a letter"},
		{"s * work abcdefghijabcdefghijabcdefghijab allow\n", 1, "not the name", "31"},
		{"s * work @default allow\n", 1, "does not say which qube", "target=QUBE"},
		{"s * work mail allow target=@anyvm\n", 1, "not allowed in this place", "one qube"},
		{"s * work mail allow target=@tag:x\n", 1, "not allowed in this place", "one qube"},
		{"s * work mail allow default_target=mail\n", 1, "does not take", "goes with ask"},
		{"s * work mail deny target=mail\n", 1, "does not take", "allow and ask"},
		{"s * work mail deny user=joe\n", 1, "does not take", "allow and ask"},
		{"s * work mail deny autostart=no\n", 1, "does not take", "allow and ask"},
		{"s * work mail allow notify=maybe\n", 1, "neither yes nor no", "yes or no"},
		{"s * work mail allow autostart=\n", 1, "neither yes nor no", "yes or no"},
		{"s * work mail allow user=a user=b\n", 1, "given twice", "leave one"},
		{"s * work mail allow user=a:b\n", 1, "no valid user name", "name of a user"},
		{"s * work mail allow user\n", 1, "is no parameter", "user="},
		{"s * work mail allow colour=red\n", 1, "unknown parameter", "autostart="},
		{"!include\n", 1, "unknown directive", "!include FILE"},
		{"!include a b\n", 1, "unknown directive", "!include FILE"},
		{"!nonsense\n", 1, "unknown directive", "!compat-4.0"},
		{"!include-service s x f\n", 1, "does not start with +", "+ARGUMENT"},
		{"!include /nonexistent/file\n", 1, "cannot read /nonexistent/file", "relative"},
		{"!include-dir /nonexistent\n", 1, "cannot read /nonexistent", "directory"},
		{"!include name\n", 1, "relative to nothing", "shorten"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy *policy = policy_create();
		struct heard heard = {0};

		assert_int_equal(policy_add_text(policy, "f.policy", rows[i].text,
						 strlen(rows[i].text), NULL, hear, &heard),
				 1);
		assert_string_equal(heard.file, "f.policy");
		assert_int_equal(heard.line, rows[i].line);
		if (!strstr(heard.what, rows[i].what) || !strstr(heard.fix, rows[i].fix))
			fail_msg("%s: \"%s\", fix \"%s\"", rows[i].text, heard.what, heard.fix);
		policy_destroy(policy);
	}
}

static void test_a_broken_policy_refuses(void **state)
{
	struct policy *policy = policy_create();
	struct world *world = the_world();
	struct policy_request request = {"work", "s", "+", "mail"};
	struct policy_answer answer;
	static const char text[] = "s * * * allow\ns * * * alow\n", nul[] = "s * * * allow\n\0\n";

	(void)state;
	assert_int_equal(policy_add_text(policy, "x", text, strlen(text), NULL, NULL, NULL), 1);
	policy_evaluate(policy, world, &request, &answer);
	assert_int_equal(answer.action, POLICY_DENY);
	assert_non_null(strstr(answer.reason, "errors"));
	policy_destroy(policy);
	policy = policy_create();
	assert_int_equal(policy_add_text(policy, "x", nul, sizeof(nul) - 1, NULL, NULL, NULL), 1);
	policy_destroy(policy);
	world_destroy(world);
}

/* A directory that is removed at the end, with files in it. */
struct tree {
	char root[64];
};

static void tree_write(const struct tree *tree, const char *name, const char *text)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", tree->root, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void tree_dir(const struct tree *tree, const char *name, char *ret_path, size_t size)
{
	assert_true(snprintf(ret_path, size, "%s/%s", tree->root, name) < (int)size);
	assert_int_equal(mkdir(ret_path, 0700), 0);
}

static void tree_init(struct tree *tree)
{
	strcpy(tree->root, "/tmp/policy-test-XXXXXX");
	assert_non_null(mkdtemp(tree->root));
}

static void tree_finish(const struct tree *tree)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -r '%s'", tree->root);
	assert_int_equal(system(command), 0);
}

static void decide_from(const char *const *dirs, size_t count, const char *legacy,
			const char *service, const char *target, char *ret, size_t size)
{
	struct policy *policy = policy_create();
	struct world *world = the_world();
	struct heard heard = {0};
	char name[64];
	struct policy_request request = {.source = "work", .service = name, .target = target};
	struct policy_answer answer;

	policy_load(policy, dirs, count, legacy, hear, &heard);
	if (heard.count)
		fail_msg("%s:%u: %s", heard.file, heard.line, heard.what);
	assert_true(policy_split_service(service, name, sizeof(name), &request.argument));
	policy_evaluate(policy, world, &request, &answer);
	snprintf(ret, size, "%s %s", policy_action_name(answer.action),
		 answer.action == POLICY_ALLOW ? answer.target : "");
	policy_answer_finish(&answer);
	world_destroy(world);
	policy_destroy(policy);
}

static void test_directories_and_includes(void **state)
{
	struct tree tree;
	char etc[100], run[100], sub[100], got[100];
	const char *dirs[] = {etc, run};

	(void)state;
	tree_init(&tree);
	tree_dir(&tree, "etc", etc, sizeof(etc));
	tree_dir(&tree, "run", run, sizeof(run));
	tree_dir(&tree, "etc/include", sub, sizeof(sub));
	tree_dir(&tree, "etc/more", sub, sizeof(sub));
	/* The order is that of the names over both directories, capitals and other names aside. */
	tree_write(&tree, "etc/50-b.policy", "s +order work * allow target=vault\n");
	tree_write(&tree, "run/40-a.policy", "s +order work * allow target=mail\n");
	tree_write(&tree, "run/50-b.policy", "s +order2 work * deny\n");
	tree_write(&tree, "etc/README", "not a policy\n");
	tree_write(&tree, "etc/.hidden.policy", "not a policy\n");
	tree_write(&tree, "etc/60.policy",
		   "!include include/one\n!include-dir more\n!include-service t +x include/two\n"
		   "!include-service u * include/two\n");
	tree_write(&tree, "etc/include/one", "s +one work * allow\n");
	tree_write(&tree, "etc/more/9.policy", "s +nine work * allow target=mail\n");
	tree_write(&tree, "etc/more/ignored", "nonsense\n");
	tree_write(&tree, "etc/include/two",
		   "# the old form\n$include:include/three\n"
		   "work $default allow,target=mail\n");
	tree_write(&tree, "etc/include/three", "work vault deny notify=no\n");
	static const struct {
		const char *service, *target, *answer;
	} rows[] = {
		{"s+order", "dvm", "allow mail"},
		{"s+one", "vault", "allow vault"},
		{"s+nine", "vault", "allow mail"},
		{"t+x", "", "allow mail"},
		{"t+y", "", "deny "},
		{"t+x", "vault", "deny "},
		{"u+any", "", "allow mail"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		decide_from(dirs, 2, NULL, rows[i].service, rows[i].target, got, sizeof(got));
		assert_string_equal(got, rows[i].answer);
	}
	tree_finish(&tree);
}

static void test_legacy_directory(void **state)
{
	struct tree tree;
	char etc[100], old[100], got[100];
	const char *dirs[] = {etc};

	(void)state;
	tree_init(&tree);
	tree_dir(&tree, "etc", etc, sizeof(etc));
	tree_dir(&tree, "old", old, sizeof(old));
	tree_write(&tree, "etc/10.policy", "!compat-4.0\n* * * * allow target=mail\n");
	tree_write(&tree, "old/s", "work vault allow\n");
	tree_write(&tree, "old/s+x", "$anyvm $default allow,target=dvm\n");
	tree_write(&tree, "old/s.rpmsave", "nonsense\n");
	decide_from(dirs, 1, old, "s", "vault", got, sizeof(got));
	assert_string_equal(got, "allow vault");
	decide_from(dirs, 1, old, "s", "mail", got, sizeof(got));
	assert_string_equal(got, "deny ");
	decide_from(dirs, 1, old, "s+x", "", got, sizeof(got));
	assert_string_equal(got, "allow dvm");
	/* The file of the service with the argument has the last word on it. */
	decide_from(dirs, 1, old, "s+x", "vault", got, sizeof(got));
	assert_string_equal(got, "deny ");
	decide_from(dirs, 1, old, "other", "vault", got, sizeof(got));
	assert_string_equal(got, "allow mail");
	decide_from(dirs, 1, "/nonexistent", "s", "vault", got, sizeof(got));
	assert_string_equal(got, "allow mail");
	tree_finish(&tree);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *name, *text, *what;
	} rows[] = {
		{"Bad.policy", "", "name is not allowed"},
		{"a b.policy", "", "name is not allowed"},
		{"loop.policy", "!include loop.policy\n", "without end"},
		{"dir.policy", "!include .\n", "Is a directory"},
		{"fan.policy", "!include-dir .\n!include-dir .\n", "without end"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tree tree;
		const char *dirs[] = {tree.root};
		struct policy *policy = policy_create();
		struct heard heard = {0};

		tree_init(&tree);
		tree_write(&tree, rows[i].name, rows[i].text);
		assert_true(policy_load(policy, dirs, 1, NULL, hear, &heard) > 0);
		if (!strstr(heard.what, rows[i].what))
			fail_msg("%s: %s", rows[i].name, heard.what);
		policy_destroy(policy);
		tree_finish(&tree);
	}
	struct policy *policy = policy_create();
	const char *missing[] = {"/nonexistent/policy.d"};

	assert_int_equal(policy_load(policy, missing, 1, NULL, NULL, NULL), 1);
	policy_destroy(policy);
}

static void count_seen(void *ctx, const struct policy_rule *rule, const char *column)
{
	char *text = ctx;

	sprintf(text + strlen(text), "%u:%s ", rule->line, column ? column : "match");
}

static void test_trace(void **state)
{
	struct policy *policy = policy_of("s +x * * deny\ns * mail * deny\ns * work vault deny\n"
					  "t * * * deny\n* * work mail allow\ns * * * deny\n");
	struct world *world = the_world();
	struct policy_request request = {"work", "s", "+", "mail"};
	char text[200] = "";

	(void)state;
	policy_trace(policy, world, &request, count_seen, text);
	assert_string_equal(text, "1:argument 2:source 3:target 5:match ");
	world_destroy(world);
	policy_destroy(policy);
}

static void test_world(void **state)
{
	static const char *const bad[] = {
		"a domid=x\n",
		"a domid=-1\n",
		"a domid=99999\n",
		"9a class=x\n",
		"a template_for_dispvms=1\n",
		"a word\n",
		"a\na\n",
	};
	struct world *world = the_world();
	unsigned int line;

	(void)state;
	assert_int_equal(world_find(world, "work")->domid, 5);
	assert_int_equal(world_find(world, "mail")->domid, -1);
	assert_string_equal(world_find_domid(world, 9)->name, "disp1");
	assert_string_equal(world_find_domid(world, 0)->name, "dom0");
	assert_null(world_find_domid(world, -1));
	assert_null(world_find_uuid(world, ""));
	assert_int_equal(world_count(world), 7);
	world_destroy(world);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(world_parse(bad[i], strlen(bad[i]), &line));
		assert_int_equal(errno, EINVAL);
	}
	world = world_parse("", 0, &line);
	assert_non_null(world_find(world, "dom0"));
	world_destroy(world);
	assert_null(world_load("/nonexistent/list", &line));
	assert_int_equal(errno, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_services_and_arguments),
		cmocka_unit_test(test_first_match_decides),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_redirection),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_errors_name_line_and_fix),
		cmocka_unit_test(test_a_broken_policy_refuses),
		cmocka_unit_test(test_directories_and_includes),
		cmocka_unit_test(test_legacy_directory),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
