// SPDX-License-Identifier: GPL-2.0-or-later
// The commands of qube(1), as far as the manager does them.
#define _GNU_SOURCE
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A handler answers with an exit code, or the job that it has begun will. */
#define PENDING (-1)

struct call {
	struct manager *manager;
	int client;
	bool json;
	int count;
	char **words; /* behind the command's name and its options */
	struct problem problem;
};

static int fail(struct call *call)
{
	reply_text(call->client, 'e', "%s\n", call->problem.text);
	return 1;
}

static struct qube *wanted(struct call *call)
{
	struct qube *qube = config_find(&call->manager->config, call->words[0]);

	if (!qube)
		problem_set(&call->problem, "%s: there is no such qube; see qube ls",
			    call->words[0]);
	return qube;
}

static int saved(struct call *call)
{
	return save_config(call->manager, &call->problem) ? fail(call) : 0;
}

/* All texts are printable ASCII: only these two have to be escaped. */
static void json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void json_pair(FILE *out, const char *name, const char *value, const char *end)
{
	json_text(out, name);
	fputs(": ", out);
	json_text(out, value);
	fputs(end, out);
}

static void list_qube(struct call *call, FILE *out, const struct qube *qube, bool first)
{
	const char *state = state_name(qube_state(call->manager, qube));
	struct running running = {.domain = -1};
	char domain[16] = "-";

	if (running_load(call->manager, qube->name, &running) && running.domain >= 0)
		snprintf(domain, sizeof(domain), "%d", running.domain);
	if (!call->json) {
		fprintf(out, "%-20s %-9s %-13s %-7s %-16s %s\n", qube->name, state,
			class_name(qube->class), qube_value(qube, PROP_LABEL),
			*qube_value(qube, PROP_TEMPLATE) ? qube_value(qube, PROP_TEMPLATE) : "-",
			domain);
		return;
	}
	fputs(first ? "{" : ",\n {", out);
	json_pair(out, "name", qube->name, ", ");
	json_pair(out, "state", state, ", ");
	json_pair(out, "class", class_name(qube->class), ", ");
	json_pair(out, "label", qube_value(qube, PROP_LABEL), ", ");
	json_pair(out, "template", qube_value(qube, PROP_TEMPLATE), ", ");
	fprintf(out, "\"domid\": %d}", running.domain);
}

static int send_stream(struct call *call, FILE *out, char **text)
{
	if (fclose(out)) {
		problem_set(&call->problem, "out of memory");
		return fail(call);
	}
	reply_text(call->client, 'o', "%s", *text);
	free(*text);
	return 0;
}

static int command_ls(struct call *call)
{
	const struct config *config = &call->manager->config;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return 1;
	fputs(call->json ? "["
			 : "NAME                 STATE     CLASS         LABEL   TEMPLATE         "
			   "DOMAIN\n",
	      out);
	for (size_t i = 0; i < config->count; i++)
		list_qube(call, out, config->qubes[i], i == 0);
	if (call->json)
		fputs("]\n", out);
	return send_stream(call, out, &text);
}

/* Words NAME=VALUE. */
static int apply(struct call *call, struct qube *qube, int first)
{
	for (int i = first; i < call->count; i++) {
		char *equals = strchr(call->words[i], '=');
		int property;

		if (!equals)
			return problem_set(&call->problem, "%s: not of the form NAME=VALUE",
					   call->words[i]);
		*equals = '\0';
		property = property_of(call->words[i]);
		if (property < 0)
			return problem_set(&call->problem,
					   "there is no property %s; see qube prefs",
					   call->words[i]);
		if (qube_set(NULL, qube, (enum property)property, equals + 1, &call->problem))
			return -EINVAL;
	}
	return config_check(&call->manager->config, &call->problem);
}

/* create NAME CLASS [PROPERTY=VALUE…] */
static int command_create(struct call *call)
{
	struct config *config = &call->manager->config;
	int class = class_of(call->words[1]);
	struct problem ignored = {""};
	struct qube *qube;

	if (class < 0 || class == CLASS_DISPOSABLE) {
		problem_set(&call->problem, "%s: not one of TemplateVM, AppVM, StandaloneVM",
			    call->words[1]);
		return fail(call);
	}
	/* A template's root may be put there before. */
	if (qube_name_valid(call->words[0]) &&
	    volumes_absent(call->manager, call->words[0], false, &call->problem))
		return fail(call);
	if (config_add(config, call->words[0], (enum qube_class) class, &qube, &call->problem))
		return fail(call);
	if (apply(call, qube, 2)) {
		config_remove(config, call->words[0], &ignored);
		return fail(call);
	}
	return saved(call);
}

static bool any_job(enum job_kind kind)
{
	return kind != JOB_WATCH;
}

static bool is_start(enum job_kind kind)
{
	return kind == JOB_START;
}

/* What is being copied may not change meanwhile, nor go. */
static bool unread(struct call *call, const struct qube *qube)
{
	const struct job *job = job_reading(call->manager, qube->name);

	if (!job)
		return true;
	problem_set(&call->problem, "%s is being copied to %s; try again later", qube->name,
		    job->name);
	return false;
}

static bool halted(struct call *call, const struct qube *qube)
{
	struct running running;

	if (!job_find(call->manager, qube->name, any_job) &&
	    !running_load(call->manager, qube->name, &running))
		return true;
	problem_set(&call->problem, "%s is running; shut it down first", qube->name);
	return false;
}

static int command_remove(struct call *call)
{
	const struct qube *qube = wanted(call);

	if (!qube || !halted(call, qube) || !unread(call, qube) ||
	    config_remove(&call->manager->config, call->words[0], &call->problem))
		return fail(call);
	/* First the entry: volumes without a qube are harmless, a qube without volumes is not. */
	if (save_config(call->manager, &call->problem))
		return fail(call);
	volumes_remove(call->manager, call->words[0]);
	return 0;
}

/* A template's root is written by itself, or read by its qubes. */
static bool root_is_free(struct call *call, const struct qube *qube)
{
	const struct config *config = &call->manager->config;
	const struct qube *owner = qube_root_owner(config, qube);

	for (size_t i = 0; i < config->count && owner; i++) {
		const struct qube *other = config->qubes[i];

		if (other == qube || qube_root_owner(config, other) != owner ||
		    (owner != qube && owner != other) ||
		    qube_state(call->manager, other) == STATE_HALTED)
			continue;
		problem_set(&call->problem,
			    "%s: %s is running with the same root; shut it down first", qube->name,
			    other->name);
		return false;
	}
	return true;
}

static int begin(struct call *call, enum job_kind kind, const struct qube *qube,
		 const struct qube *source)
{
	if (job_begin(call->manager, kind, qube, source, call->client, &call->problem))
		return fail(call);
	return PENDING;
}

static int command_start(struct call *call)
{
	const struct qube *qube = wanted(call);
	enum qube_state state;

	if (!qube)
		return fail(call);
	state = qube_state(call->manager, qube);
	if (state == STATE_RUNNING)
		return 0;
	if (state != STATE_HALTED) {
		problem_set(&call->problem, "%s is %s already; try again later", qube->name,
			    state == STATE_STARTING ? "being started" : "being shut down");
		return fail(call);
	}
	if (qube->class == CLASS_DISPOSABLE) {
		problem_set(&call->problem, "%s: a disposable is started once only", qube->name);
		return fail(call);
	}
	if (!unread(call, qube) || !root_is_free(call, qube))
		return fail(call);
	return begin(call, JOB_START, qube, NULL);
}

/* disposable OF: makes and starts one, and prints its name. */
static int command_disposable(struct call *call)
{
	const struct qube *of = wanted(call);
	struct problem ignored = {""};
	struct qube *qube;
	char name[32];
	int number = 1;

	if (!of)
		return fail(call);
	do
		snprintf(name, sizeof(name), "disp%d", number++);
	while (config_find(&call->manager->config, name));
	if (config_clone(&call->manager->config, of, name, CLASS_DISPOSABLE, &qube, &call->problem))
		return fail(call);
	if (qube_set(NULL, qube, PROP_TEMPLATE_FOR_DISPVMS, NULL, &call->problem) ||
	    qube_set(NULL, qube, PROP_AUTOSTART, NULL, &call->problem) ||
	    qube_set(&call->manager->config, qube, PROP_TEMPLATE, of->name, &call->problem) ||
	    !root_is_free(call, qube) || save_config(call->manager, &call->problem)) {
		config_remove(&call->manager->config, name, &ignored);
		return fail(call);
	}
	reply_text(call->client, 'o', "%s\n", name);
	return begin(call, JOB_START, qube, of);
}

static bool is_clean(enum job_kind kind)
{
	return kind == JOB_CLEAN;
}

static int end(struct call *call, enum job_kind kind)
{
	const struct qube *qube = wanted(call);
	struct running running;
	struct job *clean;

	if (!qube)
		return fail(call);
	if (job_find(call->manager, qube->name, is_start)) {
		problem_set(&call->problem, "%s is being started; try again later", qube->name);
		return fail(call);
	}
	/* Its end has begun already: who asks for it, too, hears when nothing is left. */
	clean = job_find(call->manager, qube->name, is_clean);
	if (clean && clean->client < 0) {
		clean->client = call->client;
		return PENDING;
	}
	if (clean) {
		problem_set(&call->problem, "%s is being shut down already", qube->name);
		return fail(call);
	}
	return running_load(call->manager, qube->name, &running) ? begin(call, kind, qube, NULL)
								 : 0;
}

static int command_shutdown(struct call *call)
{
	return end(call, JOB_SHUTDOWN);
}

static int command_kill(struct call *call)
{
	return end(call, JOB_CLEAN);
}

static int command_clone(struct call *call)
{
	const struct qube *source = wanted(call);
	struct problem ignored = {""};
	struct qube *qube;

	if (!source || !halted(call, source))
		return fail(call);
	if (source->class == CLASS_DISPOSABLE) {
		problem_set(&call->problem, "%s: a disposable is not cloned", source->name);
		return fail(call);
	}
	if (qube_name_valid(call->words[1]) &&
	    volumes_absent(call->manager, call->words[1], true, &call->problem))
		return fail(call);
	if (config_clone(&call->manager->config, source, call->words[1], source->class, &qube,
			 &call->problem))
		return fail(call);
	if (volumes_announce_copy(call->manager, call->words[1], &call->problem)) {
		config_remove(&call->manager->config, call->words[1], &ignored);
		return fail(call);
	}
	if (save_config(call->manager, &call->problem))
		return fail(call);
	return begin(call, JOB_COPY, qube, source);
}

static int show_prefs(struct call *call, const struct qube *qube)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return 1;
	if (call->json)
		fputc('{', out);
	for (int i = 0; i < PROP_COUNT; i++) {
		const char *name = property_name((enum property)i);
		const char *value = qube_value(qube, (enum property)i);

		if (call->json)
			json_pair(out, name, value, i + 1 < PROP_COUNT ? ", " : "}\n");
		else
			fprintf(out, "%-22s %c  %s\n", name, qube->values[i] ? '-' : 'D', value);
	}
	return send_stream(call, out, &text);
}

/* prefs NAME [PROPERTY [VALUE]]; --default takes a setting back. */
static int command_prefs(struct call *call)
{
	struct qube *qube = wanted(call);
	const char *value;
	int property;

	if (!qube)
		return fail(call);
	if (call->count == 1)
		return show_prefs(call, qube);
	property = property_of(call->words[1]);
	if (property < 0) {
		problem_set(&call->problem, "there is no property %s; see qube prefs %s",
			    call->words[1], qube->name);
		return fail(call);
	}
	if (call->count == 2) {
		reply_text(call->client, 'o', "%s\n", qube_value(qube, (enum property)property));
		return 0;
	}
	value = strcmp(call->words[2], "--default") != 0 ? call->words[2] : NULL;
	if (property == PROP_TEMPLATE && !halted(call, qube))
		return fail(call);
	if (qube_set(&call->manager->config, qube, (enum property)property, value, &call->problem))
		return fail(call);
	return saved(call);
}

/* Of a template that lies on a disk of its own, that disk. Whether it is there. */
static bool list_volume(const struct call *call, FILE *out, const char *name, const char *path,
			bool first)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	long long size, used;
	struct stat st;

	if (fd < 0)
		return false;
	size = (long long)lseek(fd, 0, SEEK_END);
	used = !fstat(fd, &st) && S_ISREG(st.st_mode) ? (long long)st.st_blocks * 512 : size;
	close(fd);
	if (!call->json) {
		fprintf(out, "%-9s %s %lld %lld\n", name, path, size >> 20, used >> 20);
		return true;
	}
	fputs(first ? "{" : ",\n {", out);
	json_pair(out, "name", name, ", ");
	json_pair(out, "path", path, ", ");
	fprintf(out, "\"size_mib\": %lld, \"used_mib\": %lld}", size >> 20, used >> 20);
	return true;
}

/* Its volumes as files: path, size, what of it is used. */
static int command_volume(struct call *call)
{
	static const char *const names[] = {"root", "private", "volatile"};
	const struct qube *qube = wanted(call);
	char *text = NULL;
	bool first = true;
	size_t size;
	FILE *out;

	if (!qube)
		return fail(call);
	out = open_memstream(&text, &size);
	if (!out)
		return 1;
	fputs(call->json ? "[" : "", out);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct qube *owner = i ? qube : qube_root_owner(&call->manager->config, qube);
		char path[PATH_MAX];

		place_of(call->manager, path, "l/qubes/%s/%s.img", owner->name, names[i]);
		if (list_volume(call, out, names[i], path, first))
			first = false;
	}
	fputs(call->json ? "]\n" : "", out);
	return send_stream(call, out, &text);
}

static int show_tags(struct call *call, const struct qube *qube)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return 1;
	fputs(call->json ? "[" : "", out);
	for (size_t i = 0; i < qube->tag_count; i++) {
		if (call->json) {
			fputs(i ? ", " : "", out);
			json_text(out, qube->tags[i]);
		} else {
			fprintf(out, "%s\n", qube->tags[i]);
		}
	}
	fputs(call->json ? "]\n" : "", out);
	return send_stream(call, out, &text);
}

/* tags NAME [add|del TAG] */
static int command_tags(struct call *call)
{
	struct qube *qube = wanted(call);
	int rc;

	if (!qube)
		return fail(call);
	if (call->count < 3)
		return show_tags(call, qube);
	if (!strcmp(call->words[1], "add")) {
		rc = qube_add_tag(qube, call->words[2], &call->problem);
	} else {
		rc = qube_remove_tag(qube, call->words[2]);
		if (rc)
			problem_set(&call->problem, "%s has no tag %s", qube->name, call->words[2]);
	}
	return rc ? fail(call) : saved(call);
}

static const struct command {
	const char *name;
	int least, most; /* words behind it */
	int (*run)(struct call *call);
} commands[] = {
	{"clone", 2, 2, command_clone},
	{"create", 2, WORDS_MAX, command_create},
	{"disposable", 1, 1, command_disposable},
	{"kill", 1, 1, command_kill},
	{"ls", 0, 0, command_ls},
	{"prefs", 1, 3, command_prefs},
	{"remove", 1, 1, command_remove},
	{"shutdown", 1, 1, command_shutdown},
	{"start", 1, 1, command_start},
	{"tags", 1, 3, command_tags},
	{"volume", 1, 1, command_volume},
};

void command_handle(struct manager *manager, int client, int count, char **words)
{
	struct call call = {.manager = manager, .client = client};
	int status = 2;

	if (count > 1 && !strcmp(words[1], "--json")) {
		call.json = true;
		words[1] = words[0];
		words++;
		count--;
	}
	call.count = count - 1;
	call.words = words + 1;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *command = &commands[i];

		if (count < 1 || strcmp(command->name, words[0]) != 0)
			continue;
		if (call.count < command->least || call.count > command->most)
			break;
		status = command->run(&call);
		if (status != PENDING)
			reply_end(client, status);
		return;
	}
	reply_text(client, 'e', "see qube(1) for what there is and how it is called\n");
	reply_end(client, status);
}
