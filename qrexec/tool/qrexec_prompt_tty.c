// SPDX-License-Identifier: GPL-2.0-or-later
// qrexec-prompt-tty: asks the user of a terminal whether a call may go on. See docs/qrexec-programs.md.
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX    (1u << 20)
#define TARGETS_MAX 1024

/* The daemon's JSON has no escaped quotes: names are of plain characters. */
static const char *find_member(const char *text, const char *name)
{
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), "\"%s\": ", name);
	at = strstr(text, key);
	return at ? at + strlen(key) : NULL;
}

/* The string that starts here; *ret_end is behind it. NULL: none. */
static char *take_string(const char *at, const char **ret_end)
{
	const char *end = at && *at == '"' ? strchr(at + 1, '"') : NULL;

	if (!end)
		return NULL;
	*ret_end = end + 1;
	return strndup(at + 1, (size_t)(end - at - 1));
}

static char *member(const char *text, const char *name)
{
	const char *end;
	char *value = take_string(find_member(text, name), &end);

	if (!value)
		value = strdup("");
	if (!value)
		exit(1);
	return value;
}

static size_t take_targets(const char *text, char **targets)
{
	const char *at = find_member(text, "targets");
	size_t count = 0;

	if (!at || *at != '[')
		return 0;
	at++;
	while (count < TARGETS_MAX && *at == '"') {
		targets[count] = take_string(at, &at);
		if (!targets[count])
			break;
		count++;
		if (!strncmp(at, ", ", 2))
			at += 2;
	}
	return count;
}

static const char *choose(char *answer, char **targets, size_t count, const char *preselected)
{
	char *end;
	unsigned long number;

	answer[strcspn(answer, "\n")] = '\0';
	if (!strcmp(answer, "y") || !strcmp(answer, "yes"))
		return *preselected ? preselected : NULL;
	number = strtoul(answer, &end, 10);
	if (*answer && !*end && number >= 1 && number <= count)
		return targets[number - 1];
	for (size_t i = 0; i < count; i++)
		if (!strcmp(answer, targets[i]))
			return targets[i];
	return NULL;
}

static int ask(FILE *tty, FILE *keys, const char *text)
{
	static char *targets[TARGETS_MAX];
	char *source = member(text, "source"), *service = member(text, "service"),
	     *argument = member(text, "argument"), *preselected = member(text, "default_target");
	size_t count = take_targets(text, targets);
	const char *chosen = NULL;
	char answer[128];

	fprintf(tty, "\n%s wants to call %s%s%s. Where may it go?\n", source, service,
		*argument ? "+" : "", argument);
	for (size_t i = 0; i < count; i++)
		fprintf(tty, "  %zu  %s\n", i + 1, targets[i]);
	if (*preselected)
		fprintf(tty, "Number or name, y for %s, anything else refuses: ", preselected);
	else
		fprintf(tty, "Number or name, anything else refuses: ");
	fflush(tty);
	if (fgets(answer, sizeof(answer), keys))
		chosen = choose(answer, targets, count, preselected);
	fprintf(tty, "%s%s\n", chosen ? "allowed: " : "refused", chosen ? chosen : "");
	if (chosen)
		printf("allow:%s\n", chosen);
	else
		puts("deny");
	for (size_t i = 0; i < count; i++)
		free(targets[i]);
	free(source);
	free(service);
	free(argument);
	free(preselected);
	return 0;
}

static int notify(FILE *tty, const char *text)
{
	char *source = member(text, "source"), *service = member(text, "service"),
	     *target = member(text, "target"), *resolution = member(text, "resolution");

	fprintf(tty, "\n%s: %s to %s: %s\n", source, service, target, resolution);
	free(source);
	free(service);
	free(target);
	free(resolution);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"tty", required_argument, NULL, 't'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	const char *path = "/dev/tty";
	size_t length;
	char *text;
	FILE *tty, *keys;
	int option, rc = 1;

	while ((option = getopt_long(argc, argv, "t:h", longs, NULL)) == 't')
		path = optarg;
	if (option != -1 || argc - optind != 1 ||
	    (strcmp(argv[optind], "ask") != 0 && strcmp(argv[optind], "notify") != 0)) {
		fputs("usage: qrexec-prompt-tty [--tty PATH] ask|notify\n",
		      option == 'h' ? stdout : stderr);
		return option == 'h' ? 0 : 2;
	}
	text = malloc(TEXT_MAX);
	length = text ? fread(text, 1, TEXT_MAX - 1, stdin) : 0;
	/* For reading first: a terminal that is not there is not made. */
	keys = fopen(path, "re");
	tty = keys ? fopen(path, "ae") : NULL;
	if (tty && keys && text) {
		text[length] = '\0';
		rc = !strcmp(argv[optind], "ask") ? ask(tty, keys, text) : notify(tty, text);
	} else {
		fprintf(stderr, "qrexec-prompt-tty: %s: %s\n", path, strerror(errno));
	}
	if (tty)
		fclose(tty);
	if (keys)
		fclose(keys);
	free(text);
	return rc;
}
