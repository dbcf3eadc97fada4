// SPDX-License-Identifier: GPL-2.0-or-later
// The prompt without a display: what it is asked, and when an answer counts.
// links: desktop/prompt/question.c desktop/prompt/guard.c
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../desktop/prompt/guard.h"
#include "../../desktop/prompt/question.h"

static int parse(const char *text, struct question *ret_question)
{
	return question_parse(text, strlen(text), ret_question);
}

static void test_question(void **state)
{
	struct question q;
	size_t index = 9;

	(void)state;
	assert_int_equal(
		parse("{\"source\": \"work\", \"service\": \"qubes.Filecopy\", \"argument\": \"\", "
		      "\"requested_target\": \"@default\", \"default_target\": \"vault\", "
		      "\"targets\": [\"x\", \"vault\", \"@dispvm:dvm\"], "
		      "\"labels\": {\"work\": \"red\", \"dvm\": \"gray\"}}\n",
		      &q),
		0);
	assert_string_equal(q.source, "work");
	assert_string_equal(q.service, "qubes.Filecopy");
	assert_string_equal(q.argument, "");
	assert_int_equal(q.target_count, 3);
	assert_string_equal(q.targets[2], "@dispvm:dvm");
	assert_string_equal(question_label(&q, "work"), "red");
	assert_string_equal(question_label(&q, "@dispvm:dvm"), "gray");
	assert_null(question_label(&q, "vault"));
	assert_int_equal(question_default(&q, &index), 0);
	assert_int_equal(index, 1);
	question_finish(&q);
}

static void test_note(void **state)
{
	struct question q;
	size_t index;

	(void)state;
	assert_int_equal(parse("{\"resolution\": \"deny\", \"source\": \"a\", \"service\": \"s\", "
			       "\"argument\": \"x\", \"target\": \"b\"}",
			       &q),
			 0);
	assert_string_equal(q.resolution, "deny");
	assert_string_equal(q.target, "b");
	assert_int_equal(question_default(&q, &index), -ENOENT);
	question_finish(&q);
}

static void test_only_what_can_be_shown(void **state)
{
	struct question q;

	(void)state;
	assert_int_equal(
		parse("{\"source\":\"a\\u0022\\\\b\",\"service\":\"s\\u202ex\\n\\u0000y\"}", &q),
		0);
	assert_string_equal(q.source, "a\"\\b");
	assert_string_equal(q.service, "s_x__y");
	question_finish(&q);
	assert_int_equal(parse("{\"source\":\"\xc3\xa4\x07\",\"service\":\"s\"}", &q), 0);
	assert_string_equal(q.source, "___");
	question_finish(&q);
}

static void test_no_question(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"{}",
		"[]",
		"{\"source\": \"a\"}",
		"{\"source\": \"\", \"service\": \"s\"}",
		"{\"source\": \"a\", \"service\": \"s\"",
		"{\"source\": \"a\", \"service\": \"s\",}",
		"{\"source\": \"a\", \"service\": \"s\"} x",
		"{\"source\": \"a\", \"service\": \"s\", \"source\": \"b\"}",
		"{\"source\": \"a\", \"service\": \"s\", \"other\": \"b\"}",
		"{\"source\": \"a\", \"service\": 1}",
		"{\"source\": \"a\", \"service\": \"s\\q\"}",
		"{\"source\": \"a\", \"service\": \"s\\u12g4\"}",
		"{\"source\": \"a\", \"service\": \"s\\u12",
		"{\"source\": \"a\", \"service\": \"s",
		"{\"source\": \"a\", \"service\": \"s\", \"targets\": \"x\"}",
		"{\"source\": \"a\", \"service\": \"s\", \"targets\": [\"x\",]}",
		"{\"source\": \"a\", \"service\": \"s\", \"targets\": [], \"targets\": []}",
		"{\"source\": \"a\", \"service\": \"s\", \"labels\": {\"x\"}}",
		"{\"source\": \"a\", \"service\": \"s\", \"labels\": {\"x\": }}",
	};
	struct question q;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (parse(texts[i], &q) != -EINVAL)
			fail_msg("%s is taken for a question", texts[i]);
}

static void test_arms_after_a_while(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 1000);
	assert_int_equal(guard_wait(&g, 0), -1);
	assert_false(guard_tick(&g, 100000));
	guard_focus(&g, true, 5000);
	assert_int_equal(guard_wait(&g, 5400), 600);
	assert_false(guard_tick(&g, 5999));
	assert_true(guard_tick(&g, 6000));
	assert_true(guard_press(&g, 6001));
	assert_int_equal(guard_wait(&g, 6001), -1);
}

static void test_early_keys_begin_anew(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 1000);
	guard_focus(&g, true, 0);
	assert_false(guard_press(&g, 999));
	assert_false(guard_press(&g, 1998));
	assert_false(guard_tick(&g, 2997));
	assert_true(guard_press(&g, 2998));
	assert_int_equal(g.lost, 0);
}

static void test_disturbance_disarms(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 1000);
	guard_cover(&g, true, 0);
	guard_focus(&g, true, 0);
	assert_false(guard_tick(&g, 5000));
	guard_cover(&g, false, 5000);
	assert_true(guard_tick(&g, 6000));
	guard_cover(&g, true, 6100);
	assert_false(g.armed);
	assert_false(guard_press(&g, 9000));
	guard_cover(&g, false, 9000);
	assert_false(guard_tick(&g, 9999));
	assert_true(guard_tick(&g, 10000));
	guard_focus(&g, false, 10001);
	assert_false(guard_tick(&g, 20000));
	guard_focus(&g, true, 20000);
	guard_focus(&g, true, 20900);
	assert_true(guard_tick(&g, 21000));
	assert_int_equal(g.lost, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_note),
		cmocka_unit_test(test_only_what_can_be_shown),
		cmocka_unit_test(test_no_question),
		cmocka_unit_test(test_arms_after_a_while),
		cmocka_unit_test(test_early_keys_begin_anew),
		cmocka_unit_test(test_disturbance_disarms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
