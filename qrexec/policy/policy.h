/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy: which qube may call which service of which qube. Loading, evaluation, explanation. */
#ifndef QREXEC_POLICY_H
#define QREXEC_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "world.h"

/* Limits on what a policy may hold: far above real ones, so that a loop of includes ends early. */
#define POLICY_MAX_RULES     1000000
#define POLICY_MAX_FILES     10000
#define POLICY_MAX_DEPTH     16
#define POLICY_MAX_FILE_SIZE (16u << 20)

/* Longest target as a text: "@dispvm:" and a name. */
#define POLICY_TARGET_SIZE 64

enum policy_action {
	POLICY_DENY,
	POLICY_ASK,
	POLICY_ALLOW,
};

enum policy_kind {
	POLICY_NAME,	    /* value: the name of a qube */
	POLICY_UUID,	    /* value: the text behind "uuid:" */
	POLICY_ANY,	    /* * */
	POLICY_ANYVM,	    /* @anyvm */
	POLICY_ADMINVM,	    /* @adminvm, dom0 */
	POLICY_DEFAULT,	    /* @default */
	POLICY_DISPVM,	    /* @dispvm */
	POLICY_DISPVM_NAME, /* @dispvm:NAME, value: NAME */
	POLICY_DISPVM_TAG,  /* @dispvm:@tag:TAG, value: TAG */
	POLICY_TAG,	    /* @tag:TAG */
	POLICY_TYPE,	    /* @type:TYPE */
	POLICY_NOTHING,	    /* not given */
};

struct policy_token {
	enum policy_kind kind;
	const char *value;
};

/* One line of a policy. Texts belong to the policy. */
struct policy_rule {
	const char *service;  /* NULL: * */
	const char *argument; /* NULL: *, else it starts with + */
	struct policy_token source, target;
	enum policy_action action;
	struct policy_token redirect;	    /* target=, or POLICY_NOTHING */
	struct policy_token default_target; /* default_target=, or POLICY_NOTHING */
	const char *user;		    /* user=, or NULL */
	bool notify, autostart;
	const char *file;
	unsigned int line;
};

struct policy;

/* Hears of each problem of a policy: what is wrong, and what to write instead. */
typedef void policy_report_fn(void *ctx, const char *file, unsigned int line, const char *what,
			      const char *fix);

/* NULL: no memory. */
struct policy *policy_create(void);
void policy_destroy(struct policy *policy);

/*
 * Adds all *.policy files of the directories, ordered by name over all of them; includes are looked up in
 * the first one. A missing directory is no problem, except the first. legacy_dir is where !compat-4.0 finds
 * one file per service. Returns the number of problems: a policy that has any refuses every call.
 */
unsigned int policy_load(struct policy *policy, const char *const *dirs, size_t count,
			 const char *legacy_dir, policy_report_fn *report, void *ctx);

/* Adds one text, as if it was the file `name`; include_dir may be NULL. Returns the number of problems. */
unsigned int policy_add_text(struct policy *policy, const char *name, const char *text,
			     size_t length, const char *include_dir, policy_report_fn *report,
			     void *ctx);

size_t policy_rule_count(const struct policy *policy);
const struct policy_rule *policy_rule_at(const struct policy *policy, size_t index);

struct policy_request {
	const char *source;   /* the name of the calling qube */
	const char *service;  /* without the argument */
	const char *argument; /* "+" and the argument; "+" alone when there is none */
	const char *target;   /* as the caller gave it; "" is @default */
};

struct policy_answer {
	enum policy_action action;
	const struct policy_rule *rule;	 /* that decided, or NULL */
	char target[POLICY_TARGET_SIZE]; /* allow: a name, "@adminvm" or "@dispvm:NAME" */
	char reason[200];		 /* one sentence for people */
	bool notify;			 /* the user is to hear of it */
	/* ask: what can be chosen, names and "@dispvm:NAME"; default_target is empty or one of them */
	char (*choices)[POLICY_TARGET_SIZE];
	size_t choice_count;
	char default_target[POLICY_TARGET_SIZE];
};

/* Fills *ret_answer in every case; policy_answer_finish() frees what is in it. No memory means deny. */
void policy_evaluate(const struct policy *policy, const struct world *world,
		     const struct policy_request *request, struct policy_answer *ret_answer);

/*
 * Goes through the rules of the request's service until one matches: `seen` hears of each with the column
 * that differs ("argument", "source" or "target"), NULL for the one that matches.
 */
typedef void policy_seen_fn(void *ctx, const struct policy_rule *rule, const char *column);
void policy_trace(const struct policy *policy, const struct world *world,
		  const struct policy_request *request, policy_seen_fn *seen, void *ctx);

void policy_answer_finish(struct policy_answer *answer);

/*
 * The user chose `target` of an answer to ask. False if it is not one of the choices; else the answer
 * becomes one to allow.
 */
bool policy_choose(struct policy_answer *answer, const char *target);

const char *policy_action_name(enum policy_action action);

/* Splits "NAME+ARG" at the first plus; *ret_argument points into `text`, or to "+". False: not a service. */
bool policy_split_service(const char *text, char *ret_name, size_t name_size,
			  const char **ret_argument);

#endif
