// SPDX-License-Identifier: GPL-2.0-or-later
// The list of qubes: names, properties, relations, and qubes.xml with its schema and revisions.
// links: desktop/manager/config.c desktop/manager/properties.c desktop/manager/xml.c
// libs: -lxml2
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../desktop/manager/config.h"

static const char schema[] = "desktop/manager/qubes.rng";
static struct config config;
static struct problem problem;
static char dir[] = "/tmp/qubes-xml-XXXXXX", path[64];

static struct qube *add(const char *name, enum qube_class class)
{
	struct qube *qube;

	assert_int_equal(config_add(&config, name, class, &qube, &problem), 0);
	return qube;
}

static void set(struct qube *qube, enum property property, const char *value)
{
	assert_int_equal(qube_set(NULL, qube, property, value, &problem), 0);
}

/* A template, two qubes of it, one of which disposables are made of. */
static int setup(void **state)
{
	struct qube *work, *dvm;

	(void)state;
	strcpy(dir, "/tmp/qubes-xml-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/qubes.xml", dir);
	add("debian", CLASS_TEMPLATE);
	dvm = add("dvm", CLASS_APP);
	set(dvm, PROP_TEMPLATE, "debian");
	set(dvm, PROP_TEMPLATE_FOR_DISPVMS, "yes");
	work = add("work", CLASS_APP);
	set(work, PROP_TEMPLATE, "debian");
	set(work, PROP_LABEL, "blue");
	set(work, PROP_DEFAULT_DISPVM, "dvm");
	set(work, PROP_KERNELOPTS, "a<b&c \"d\"");
	assert_int_equal(qube_add_tag(work, "mail", &problem), 0);
	assert_int_equal(config_check(&config, &problem), 0);
	return 0;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	config_finish(&config);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void test_names(void **state)
{
	(void)state;
	assert_true(qube_name_valid("work"));
	assert_true(qube_name_valid("a-B_9"));
	assert_true(qube_name_valid("a234567890123456789012345678901"));
	assert_false(qube_name_valid("a2345678901234567890123456789012"));
	for (size_t i = 0; i < 9; i++) {
		static const char *const bad[] = {"",	 "dom0", "Domain-0", "9a",  "-a",
						  "a b", "a/b",	 "a.b",	     "none"};

		assert_false(qube_name_valid(bad[i]));
	}
}

static void test_values(void **state)
{
	struct qube *work = config_find(&config, "work");

	(void)state;
	assert_string_equal(qube_value(work, PROP_MEMORY), "400");
	set(work, PROP_MEMORY, "512");
	assert_int_equal(qube_number(work, PROP_MEMORY), 512);
	for (size_t i = 0; i < 7; i++) {
		static const char *const bad[] = {
			"", "1", "x", "512x", " 512", "1e9", "99999999999999999999"};

		assert_int_equal(qube_set(&config, work, PROP_MEMORY, bad[i], &problem), -EINVAL);
		assert_int_equal(qube_number(work, PROP_MEMORY), 512);
	}
	set(work, PROP_MEMORY, NULL);
	assert_int_equal(qube_number(work, PROP_MEMORY), 400);
	assert_int_equal(qube_set(&config, work, PROP_LABEL, "pink", &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "pink"));
	assert_int_equal(qube_set(&config, work, PROP_AUTOSTART, "maybe", &problem), -EINVAL);
	assert_int_equal(qube_set(&config, work, PROP_DEFAULT_USER, "a b", &problem), -EINVAL);
	assert_int_equal(qube_set(&config, work, PROP_KERNELOPTS, "a\nb", &problem), -EINVAL);
	for (int i = 0; i < PROP_COUNT; i++)
		assert_int_equal(property_of(property_name((enum property)i)), i);
}

static void test_relations(void **state)
{
	struct qube *work = config_find(&config, "work"), *other;

	(void)state;
	assert_int_equal(qube_set(&config, work, PROP_TEMPLATE, "dvm", &problem), -EINVAL);
	assert_int_equal(qube_set(&config, work, PROP_TEMPLATE, "absent", &problem), -EINVAL);
	assert_int_equal(qube_set(&config, work, PROP_TEMPLATE, "", &problem), -EINVAL);
	assert_string_equal(qube_value(work, PROP_TEMPLATE), "debian");
	/* Something else's relation is broken by it. */
	assert_int_equal(qube_set(&config, config_find(&config, "dvm"), PROP_TEMPLATE_FOR_DISPVMS,
				  "no", &problem),
			 -EINVAL);
	assert_int_equal(config_remove(&config, "debian", &problem), -EBUSY);
	assert_int_equal(config_remove(&config, "dvm", &problem), -EBUSY);
	assert_int_equal(config_remove(&config, "absent", &problem), -ENOENT);
	assert_int_equal(config_add(&config, "work", CLASS_APP, &other, &problem), -EEXIST);
	assert_int_equal(config_clone(&config, work, "copy", CLASS_APP, &other, &problem), 0);
	assert_string_equal(qube_value(other, PROP_LABEL), "blue");
	assert_int_equal(other->tag_count, 1);
	assert_ptr_equal(qube_root_owner(&config, work), config_find(&config, "debian"));
	other = add("disp1", CLASS_DISPOSABLE);
	set(other, PROP_TEMPLATE, "dvm");
	assert_int_equal(config_check(&config, &problem), 0);
	assert_ptr_equal(qube_root_owner(&config, other), config_find(&config, "debian"));
	assert_int_equal(qube_set(&config, other, PROP_TEMPLATE, "work", &problem), -EINVAL);
	assert_int_equal(config_remove(&config, "copy", &problem), 0);
}

static void test_saved_and_loaded(void **state)
{
	struct config again = {0};
	struct qube *work;

	(void)state;
	assert_int_equal(config_save(&config, path, schema, 3, &problem), 0);
	assert_int_equal(config_load(&again, path, schema, &problem), 0);
	assert_int_equal(again.count, 3);
	work = config_find(&again, "work");
	assert_int_equal(work->class, CLASS_APP);
	for (int i = 0; i < PROP_COUNT; i++)
		assert_string_equal(qube_value(work, (enum property)i),
				    qube_value(config_find(&config, "work"), (enum property)i));
	assert_string_equal(work->tags[0], "mail");
	config_finish(&again);
}

static char *content(const char *name)
{
	static char text[4096];
	FILE *file = fopen(name, "r");

	if (!file)
		return NULL;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static void test_revisions(void **state)
{
	char revision[80];

	(void)state;
	for (int i = 1; i <= 6; i++) {
		char memory[16];

		snprintf(memory, sizeof(memory), "%d", 200 + i);
		set(config_find(&config, "work"), PROP_MEMORY, memory);
		assert_int_equal(config_save(&config, path, schema, 3, &problem), 0);
	}
	assert_non_null(strstr(content(path), ">206<"));
	for (int i = 1; i <= 3; i++) {
		char memory[16];

		snprintf(revision, sizeof(revision), "%s.%d", path, i);
		snprintf(memory, sizeof(memory), ">%d<", 206 - i);
		assert_non_null(strstr(content(revision), memory));
	}
	snprintf(revision, sizeof(revision), "%s.4", path);
	assert_null(content(revision));
	snprintf(revision, sizeof(revision), "%s.new", path);
	assert_null(content(revision));
}

/* A place where nothing can be written: the error says so, and the old file is as it was. */
static void test_save_that_fails(void **state)
{
	(void)state;
	assert_int_equal(config_save(&config, path, schema, 3, &problem), 0);
	assert_true(config_save(&config, "/proc/qubes.xml", schema, 3, &problem) < 0);
	assert_non_null(strstr(problem.text, "/proc/qubes.xml"));
	assert_true(config_save(&config, path, "/nonexistent.rng", 3, &problem) < 0);
	assert_non_null(strstr(content(path), "debian"));
}

static void test_damaged_files(void **state)
{
	static const char *const texts[] = {
		"",
		"<qubes version=\"1\">",
		"<qubes version=\"2\"/>",
		"<qubes version=\"1\"><qube name=\"a\"/></qubes>",
		"<qubes version=\"1\"><qube name=\"a\" class=\"HVM\"/></qubes>",
		"<qubes version=\"1\"><qube name=\"../a\" class=\"TemplateVM\"/></qubes>",
		"<qubes version=\"1\"><qube name=\"dom0\" class=\"TemplateVM\"/></qubes>",
		"<qubes version=\"1\"><qube name=\"a\" class=\"AppVM\"/></qubes>",
		"<qubes version=\"1\"><qube name=\"a\" class=\"AppVM\">"
		"<property name=\"template\">b</property></qube></qubes>",
		"<qubes version=\"1\"><qube name=\"a\" class=\"TemplateVM\">"
		"<property name=\"memory\">7</property></qube></qubes>",
		"<qubes version=\"1\"><qube name=\"a\" class=\"TemplateVM\">"
		"<property name=\"colour\">x</property></qube></qubes>",
		"<qubes version=\"1\"><qube name=\"a\" class=\"TemplateVM\"/>"
		"<qube name=\"a\" class=\"TemplateVM\"/></qubes>",
	};
	struct config again = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *file = fopen(path, "w");

		fputs(texts[i], file);
		fclose(file);
		strcpy(problem.text, "");
		assert_true(config_load(&again, path, schema, &problem) < 0);
		assert_true(strlen(problem.text) > 5);
		assert_int_equal(again.count, 0);
	}
	unlink(path);
	assert_int_equal(config_load(&again, path, schema, &problem), -ENOENT);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), WITH(test_values),    WITH(test_relations),
		WITH(test_saved_and_loaded),  WITH(test_revisions), WITH(test_save_that_fails),
		WITH(test_damaged_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
