// SPDX-License-Identifier: GPL-2.0-or-later
// qubesdb-cmd, and by its other names qubesdb-read, -write, -list, -watch, -rm, -multiread.
#define _GNU_SOURCE
#include "../qubesdb-client.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What programs that ask for one entry look at. */
#define EXIT_NO_ENTRY 2

static struct options {
	const char *qube, *fallback;
	bool full_path, raw, quiet, wait, remove;
	long events;
} options = {.events = 1};

static void complain(const char *what, const char *path)
{
	if (!options.quiet)
		fprintf(stderr, "qubesdb: cannot %s %s: %s\n", what, path, strerror(errno));
}

/* Whatever a qube has written cannot drive the terminal, unless asked for. */
static void print_value(const char *value)
{
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (options.raw || (c >= ' ' && c < 0x7f))
			putchar(c);
		else
			printf("\\x%02x", c);
	}
	putchar('\n');
}

/* Waits until there is such an entry. */
static char *await_value(qdb_handle_t qdb, const char *path)
{
	char *value, *event = NULL;

	if (!qdb_watch(qdb, path))
		return NULL;
	while (!(value = qdb_read(qdb, path, NULL)) && errno == ENOENT) {
		free(event);
		event = qdb_read_watch(qdb);
		if (!event)
			break;
	}
	free(event);
	return value;
}

static int read_entries(qdb_handle_t qdb, int count, char **paths)
{
	int status = 0;

	for (int i = 0; i < count; i++) {
		char *value = options.wait ? await_value(qdb, paths[i])
					   : qdb_read(qdb, paths[i], NULL);

		if (!value && errno == ENOENT && options.fallback)
			value = strdup(options.fallback);
		if (!value) {
			if (errno != ENOENT)
				status = 1;
			else if (!status)
				status = EXIT_NO_ENTRY;
			complain("read", paths[i]);
			continue;
		}
		if (options.full_path)
			printf("%s = ", paths[i]);
		print_value(value);
		free(value);
		if (options.remove && !qdb_rm(qdb, paths[i])) {
			complain("remove", paths[i]);
			status = 1;
		}
	}
	return status;
}

static int multiread(qdb_handle_t qdb, int count, char **paths)
{
	int status = 0;

	for (int i = 0; i < count; i++) {
		size_t skip = options.full_path ? 0 : strlen(paths[i]);
		char **list = qdb_multiread(qdb, paths[i], NULL, NULL);

		if (!list) {
			complain("read", paths[i]);
			status = 1;
			continue;
		}
		for (char **at = list; *at; at += 2) {
			printf("%s = ", at[0] + skip);
			print_value(at[1]);
			free(at[0]);
			free(at[1]);
		}
		free(list);
	}
	return status;
}

static int write_entries(qdb_handle_t qdb, int count, char **words)
{
	int status = 0;

	if (count % 2) {
		fprintf(stderr, "qubesdb: %s has no value\n", words[count - 1]);
		return 1;
	}
	for (int i = 0; i < count; i += 2)
		if (!qdb_write(qdb, words[i], words[i + 1], (unsigned int)strlen(words[i + 1]))) {
			complain("write", words[i]);
			status = 1;
		}
	return status;
}

static int remove_entries(qdb_handle_t qdb, int count, char **paths)
{
	int status = 0;

	for (int i = 0; i < count; i++)
		if (!qdb_rm(qdb, paths[i])) {
			complain("remove", paths[i]);
			status = 1;
		}
	return status;
}

static int list_entries(qdb_handle_t qdb, int count, char **paths)
{
	int status = 0;

	for (int i = 0; i < count; i++) {
		size_t skip = options.full_path ? 0 : strlen(paths[i]);
		char **list = qdb_list(qdb, paths[i], NULL);

		if (!list) {
			complain("list", paths[i]);
			status = 1;
			continue;
		}
		for (char **at = list; *at; at++) {
			puts(*at + skip);
			free(*at);
		}
		free(list);
	}
	return status;
}

static int watch(qdb_handle_t qdb, int count, char **paths)
{
	for (int i = 0; i < count; i++)
		if (!qdb_watch(qdb, paths[i])) {
			complain("watch", paths[i]);
			return 1;
		}
	/* A negative count never ends. */
	while (options.events--) {
		char *path = qdb_read_watch(qdb);

		if (!path) {
			complain("watch", paths[0]);
			return 1;
		}
		puts(path);
		fflush(stdout);
		free(path);
	}
	return 0;
}

static const struct command {
	const char *name;
	int (*run)(qdb_handle_t qdb, int count, char **words);
} commands[] = {
	{"list", list_entries}, {"multiread", multiread}, {"read", read_entries},
	{"rm", remove_entries}, {"watch", watch},	  {"write", write_entries},
};

static const struct command *command_named(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int usage(FILE *to)
{
	fputs("usage: qubesdb-read [-d QUBE] [-fqrwx] [-e DEFAULT] PATH…\n"
	      "       qubesdb-multiread [-d QUBE] [-fqr] PREFIX…\n"
	      "       qubesdb-list [-d QUBE] [-fq] PREFIX…\n"
	      "       qubesdb-write [-d QUBE] [-q] PATH VALUE …\n"
	      "       qubesdb-rm [-d QUBE] [-q] PATH…\n"
	      "       qubesdb-watch [-d QUBE] [-q] [-n COUNT] PATH…\n"
	      "       qubesdb-cmd -c COMMAND …\n"
	      "See qubesdb-cmd(1).\n",
	      to);
	return to == stdout ? 0 : 1;
}

static bool parse_options(int argc, char **argv, const struct command **command)
{
	static const struct option longs[] = {{"default", required_argument, NULL, 'e'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "c:d:e:fn:qrwxh", longs, NULL)) != -1)
		switch (option) {
		case 'c':
			if (*command)
				return false;
			*command = command_named(optarg);
			break;
		case 'd':
			options.qube = optarg;
			break;
		case 'e':
			options.fallback = optarg;
			break;
		case 'f':
			options.full_path = true;
			break;
		case 'n':
			options.events = strtol(optarg, &end, 10);
			if (!*optarg || *end) {
				fprintf(stderr, "qubesdb: %s is no number of events\n", optarg);
				return false;
			}
			break;
		case 'q':
			options.quiet = true;
			break;
		case 'r':
			options.raw = true;
			break;
		case 'w':
			options.wait = true;
			break;
		case 'x':
			options.remove = true;
			break;
		case 'h':
			exit(usage(stdout));
		default:
			return false;
		}
	return *command && optind < argc;
}

int main(int argc, char **argv)
{
	const char *dash = strrchr(argv[0], '-');
	const struct command *command = dash ? command_named(dash + 1) : NULL;
	qdb_handle_t qdb;
	int status;

	if (!parse_options(argc, argv, &command))
		return usage(stderr);
	qdb = qdb_open(options.qube);
	if (!qdb) {
		if (!options.quiet)
			fprintf(stderr, "qubesdb: no daemon of %s answers: %s\n",
				options.qube ? options.qube : "this qube", strerror(errno));
		return 1;
	}
	status = command->run(qdb, argc - optind, argv + optind);
	qdb_close(qdb);
	if (fflush(stdout)) {
		perror("qubesdb: standard output");
		return 1;
	}
	return status;
}
