// SPDX-License-Identifier: GPL-2.0-or-later
// Lines of policy files: rules and directives, and what to say of wrong ones.
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Five columns and each parameter once need 10 words; the rest is noticed as too many. */
#define MAX_WORDS 32

void policy_problem(struct policy_loader *loader, const struct policy_place *place,
		    const char *what, const char *fix)
{
	loader->problems++;
	loader->policy->broken = true;
	if (loader->report)
		loader->report(loader->ctx, place->file, place->line, what, fix);
}

int policy_add_rule(struct policy *policy, const struct policy_rule *rule)
{
	size_t count = policy->rule_count;

	if (count >= POLICY_MAX_RULES)
		return -E2BIG;
	/* Both arrays grow whenever the count is a power of two. */
	if (!(count & (count - 1))) {
		size_t room = count ? count * 2 : 1;
		struct policy_rule *rules = realloc(policy->rules, room * sizeof(*rules));
		uint32_t *hashes;

		if (!rules)
			return -ENOMEM;
		policy->rules = rules;
		hashes = realloc(policy->hashes, room * sizeof(*hashes));
		if (!hashes)
			return -ENOMEM;
		policy->hashes = hashes;
	}
	policy->rules[count] = *rule;
	policy->hashes[count] = rule->service ? policy_hash(rule->service) : 0;
	policy->rule_count++;
	return 0;
}

static size_t split(char *line, const char *separators, char **words)
{
	char *save = NULL;
	size_t count = 0;

	for (char *word = strtok_r(line, separators, &save); word && count < MAX_WORDS;
	     word = strtok_r(NULL, separators, &save))
		words[count++] = word;
	return count;
}

static bool parse_yes_no(const char *value, bool *ret)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return false;
	*ret = value[0] == 'y';
	return true;
}

static bool user_valid(const char *user)
{
	for (const char *c = user; *c; c++)
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') &&
		    !(*c >= '0' && *c <= '9') && (c == user || !strchr("-.$", *c)) && *c != '_')
			return false;
	return *user != '\0';
}

enum parameter {
	PARAM_TARGET,
	PARAM_DEFAULT_TARGET,
	PARAM_USER,
	PARAM_NOTIFY,
	PARAM_AUTOSTART,
	PARAM_COUNT,
};

#define ON(action) (1u << (action))

static const struct {
	const char *name;
	unsigned int actions;
	const char *fix;
} parameters[PARAM_COUNT] = {
	[PARAM_TARGET] = {"target", ON(POLICY_ALLOW) | ON(POLICY_ASK),
			  "target= goes with allow and ask"},
	[PARAM_DEFAULT_TARGET] = {"default_target", ON(POLICY_ASK),
				  "default_target= goes with ask; allow takes target="},
	[PARAM_USER] = {"user", ON(POLICY_ALLOW) | ON(POLICY_ASK), "user= goes with allow and ask"},
	[PARAM_NOTIFY] = {"notify", ~0u, ""},
	[PARAM_AUTOSTART] = {"autostart", ON(POLICY_ALLOW) | ON(POLICY_ASK),
			     "autostart= goes with allow and ask"},
};

static const char *set_parameter(struct policy_rule *rule, enum parameter which, const char *value,
				 const char **ret_fix)
{
	switch (which) {
	case PARAM_TARGET:
		return policy_token_parse(value, POLICY_REDIRECT, &rule->redirect, ret_fix);
	case PARAM_DEFAULT_TARGET:
		return policy_token_parse(value, POLICY_REDIRECT, &rule->default_target, ret_fix);
	case PARAM_USER:
		rule->user = value;
		*ret_fix = "write the name of a user that exists in the target";
		return user_valid(value) ? NULL : "user= has no valid user name";
	case PARAM_NOTIFY:
	case PARAM_AUTOSTART:
	default:
		*ret_fix = "write yes or no";
		return parse_yes_no(value, which == PARAM_NOTIFY ? &rule->notify : &rule->autostart)
			       ? NULL
			       : "the value is neither yes nor no";
	}
}

static const char *parse_parameter(struct policy_rule *rule, char *word, unsigned int *seen,
				   const char **ret_fix)
{
	char *value = strchr(word, '=');

	*ret_fix = "write target=, default_target=, user=, notify= or autostart=, without blanks";
	if (!value)
		return "a word behind the action that is no parameter";
	*value++ = '\0';
	for (unsigned int i = 0; i < PARAM_COUNT; i++) {
		if (strcmp(word, parameters[i].name) != 0)
			continue;
		if (*seen & 1u << i) {
			*ret_fix = "leave one of the two";
			return "a parameter is given twice";
		}
		*seen |= 1u << i;
		if (!(parameters[i].actions & ON(rule->action))) {
			*ret_fix = parameters[i].fix;
			return "a parameter that this action does not take";
		}
		return set_parameter(rule, (enum parameter)i, value, ret_fix);
	}
	return "unknown parameter";
}

static const char *parse_action(const char *word, struct policy_rule *rule, const char **ret_fix)
{
	for (int action = POLICY_DENY; action <= POLICY_ALLOW; action++)
		if (!strcmp(word, policy_action_name((enum policy_action)action))) {
			rule->action = (enum policy_action)action;
			rule->notify = action == POLICY_DENY;
			return NULL;
		}
	*ret_fix = "the action is allow, deny or ask, in small letters";
	return "unknown action";
}

/* words: source, target, action, parameters. */
static const char *parse_columns(struct policy_rule *rule, char **words, size_t count,
				 const char **ret_fix)
{
	unsigned int seen = 0;
	const char *wrong = policy_token_parse(words[0], POLICY_SOURCE, &rule->source, ret_fix);

	if (!wrong)
		wrong = policy_token_parse(words[1], POLICY_TARGET, &rule->target, ret_fix);
	if (!wrong)
		wrong = parse_action(words[2], rule, ret_fix);
	for (size_t i = 3; i < count && !wrong; i++)
		wrong = parse_parameter(rule, words[i], &seen, ret_fix);
	if (!wrong && rule->action == POLICY_ALLOW && rule->target.kind == POLICY_DEFAULT &&
	    rule->redirect.kind == POLICY_NOTHING) {
		*ret_fix = "add target=QUBE, or use ask";
		return "allow for @default does not say which qube gets the call";
	}
	return wrong;
}

static void parse_rule(struct policy_loader *loader, const struct policy_place *place, char **words,
		       size_t count)
{
	size_t named = place->service ? 0 : 2;
	struct policy_rule rule = {.redirect = {POLICY_NOTHING, ""},
				   .default_target = {POLICY_NOTHING, ""},
				   .autostart = true,
				   .file = place->file,
				   .line = place->line};
	const char *service = place->service, *argument = place->argument, *wrong, *fix;

	if (count < named + 3) {
		policy_problem(loader, place, "too few columns",
			       place->service ? "write: source target action [parameter=value …]"
					      : "write: service argument source target action "
						"[parameter=value …]");
		return;
	}
	if (!place->service) {
		service = words[0];
		argument = words[1];
	}
	wrong = policy_service_check(service, argument, &fix);
	if (!wrong)
		wrong = parse_columns(&rule, words + named, count - named, &fix);
	if (wrong) {
		policy_problem(loader, place, wrong, fix);
		return;
	}
	rule.service = strcmp(service, "*") ? service : NULL;
	rule.argument = strcmp(argument, "*") ? argument : NULL;
	if (policy_add_rule(loader->policy, &rule))
		policy_problem(loader, place, "too many rules", "look for a file included often");
}

static void parse_directive(struct policy_loader *loader, const struct policy_place *place,
			    char **words, size_t count)
{
	const char *wrong, *fix;

	if (!strcmp(words[0], "!include") && count == 2) {
		policy_include(loader, place, words[1], place->service, place->argument);
	} else if (place->service) {
		policy_problem(loader, place, "unknown directive, or wrong number of words",
			       "files of the old form know !include FILE only");
	} else if (!strcmp(words[0], "!include-dir") && count == 2) {
		policy_include_dir(loader, place, words[1]);
	} else if (!strcmp(words[0], "!include-service") && count == 4) {
		wrong = policy_service_check(words[1], words[2], &fix);
		if (wrong)
			policy_problem(loader, place, wrong, fix);
		else
			policy_include(loader, place, words[3], words[1], words[2]);
	} else if (!strcmp(words[0], "!compat-4.0") && count == 1) {
		policy_include_legacy(loader, place);
	} else {
		policy_problem(loader, place, "unknown directive, or wrong number of words",
			       "write !include FILE, !include-dir DIR, !include-service SERVICE "
			       "ARGUMENT FILE or !compat-4.0");
	}
}

/* The old form: $ for @, commas between parameters, "$include:FILE". It may not grow in place. */
static void modernise(char *line)
{
	static const char old[] = "$include:", new[] = "!include ";

	_Static_assert(sizeof(old) == sizeof(new), "replaced in place");
	if (!strncmp(line, old, sizeof(old) - 1) || !strncmp(line, "@include:", sizeof(old) - 1))
		memcpy(line, new, sizeof(new) - 1);
	for (; *line; line++)
		if (*line == '$')
			*line = '@';
		else if (*line == ',')
			*line = ' ';
}

static void parse_line(struct policy_loader *loader, const struct policy_place *place, char *line)
{
	char *words[MAX_WORDS];
	size_t count;

	line += strspn(line, " \t\r\v\f");
	if (!*line || *line == '#')
		return;
	if (place->service)
		modernise(line);
	count = split(line, " \t\r\v\f", words);
	if (count == 0)
		return;
	if (count == MAX_WORDS)
		policy_problem(loader, place, "too many words in one line",
			       "write one rule a line");
	else if (words[0][0] == '!')
		parse_directive(loader, place, words, count);
	else
		parse_rule(loader, place, words, count);
}

/* The file joins the policy before its rules do: their texts lie in it. */
const char *policy_keep_file(struct policy *policy, const char *path, char *text)
{
	size_t count = policy->file_count;
	struct policy_file *files = policy->files;
	char *copy;

	if (count >= POLICY_MAX_FILES)
		return NULL;
	if (!(count & (count - 1)))
		files = realloc(files, (count ? count * 2 : 1) * sizeof(*files));
	if (!files)
		return NULL;
	policy->files = files;
	copy = strdup(path);
	if (!copy)
		return NULL;
	files[count] = (struct policy_file){copy, text};
	policy->file_count++;
	return copy;
}

void policy_parse_file(struct policy_loader *loader, const char *path, char *text, size_t length,
		       const char *service, const char *argument)
{
	struct policy_place place = {path, 0, service, argument};
	char *next;

	place.file = policy_keep_file(loader->policy, path, text);
	if (!place.file) {
		place.file = path;
		policy_problem(loader, &place, "too many files, or no memory",
			       "look for a file included often");
		free(text);
		return;
	}
	if (memchr(text, '\0', length)) {
		policy_problem(loader, &place, "a NUL byte in the file", "save it as plain text");
		return;
	}
	loader->depth++;
	for (char *line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		place.line++;
		parse_line(loader, &place, line);
	}
	loader->depth--;
}
