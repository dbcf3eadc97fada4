/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the policy engine share. */
#ifndef QREXEC_POLICY_INTERNAL_H
#define QREXEC_POLICY_INTERNAL_H

#include "policy.h"

struct policy_file {
	char *path;
	char *text; /* what the rules of the file point into */
};

struct policy {
	struct policy_rule *rules;
	uint32_t *hashes; /* of the service of each rule; 0: any. The scan reads little else. */
	size_t rule_count;
	struct policy_file *files;
	size_t file_count;
	bool broken;
};

/* Where a token stands decides which ones are allowed there. */
enum policy_column {
	POLICY_SOURCE,
	POLICY_TARGET,
	POLICY_REDIRECT,
	POLICY_INTENDED, /* what a caller may ask for */
};

/* State of one load. */
struct policy_loader {
	struct policy *policy;
	const char *include_dir, *legacy_dir;
	policy_report_fn *report;
	void *ctx;
	unsigned int problems, depth;
};

/* Where the parser is. service is set in files of the old form, which have neither service nor argument. */
struct policy_place {
	const char *file;
	unsigned int line;
	const char *service, *argument;
};

/* NULL, or what is wrong with the text; then *ret_fix says what to do. The token points into the text. */
const char *policy_token_parse(const char *text, enum policy_column column,
			       struct policy_token *ret_token, const char **ret_fix);
const char *policy_service_check(const char *service, const char *argument, const char **ret_fix);
uint32_t policy_hash(const char *text);

void policy_problem(struct policy_loader *loader, const struct policy_place *place,
		    const char *what, const char *fix);
/* Keeps `text` as long as the policy lives; the kept path, or NULL: no room, and `text` stays the caller's. */
const char *policy_keep_file(struct policy *policy, const char *path, char *text);
int policy_add_rule(struct policy *policy, const struct policy_rule *rule);
/* Takes ownership of `text` (of `length` bytes and a NUL) in every case. */
void policy_parse_file(struct policy_loader *loader, const char *path, char *text, size_t length,
		       const char *service, const char *argument);

void policy_include(struct policy_loader *loader, const struct policy_place *place,
		    const char *path, const char *service, const char *argument);
void policy_include_dir(struct policy_loader *loader, const struct policy_place *place,
			const char *path);
void policy_include_legacy(struct policy_loader *loader, const struct policy_place *place);

#endif
