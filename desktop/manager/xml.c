// SPDX-License-Identifier: GPL-2.0-or-later
// qubes.xml: read against its schema, written so that a crash leaves the old or the new one, never neither.
#define _GNU_SOURCE
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <libxml/tree.h>

#define FORMAT_VERSION "1"

/* The first error of libxml2 is the one that says what is wrong; the others follow from it. */
struct where {
	struct problem *problem;
	const char *path;
	bool told;
};

static void remember(void *context, xmlErrorPtr error)
{
	struct where *where = context;

	if (where->told || !error || !error->message)
		return;
	where->told = true;
	problem_set(where->problem, "%s:%d: %.*s", where->path, error->line,
		    (int)strcspn(error->message, "\n"), error->message);
}

static int validate(xmlDocPtr document, const char *path, const char *schema,
		    struct problem *problem)
{
	struct where where = {problem, path, false}, of_schema = {problem, schema, false};
	xmlRelaxNGParserCtxtPtr parser = xmlRelaxNGNewParserCtxt(schema);
	xmlRelaxNGPtr grammar = NULL;
	xmlRelaxNGValidCtxtPtr checker = NULL;
	int rc = -EINVAL;

	if (parser) {
		xmlRelaxNGSetParserStructuredErrors(parser, remember, &of_schema);
		grammar = xmlRelaxNGParse(parser);
	}
	if (grammar)
		checker = xmlRelaxNGNewValidCtxt(grammar);
	if (checker) {
		xmlRelaxNGSetValidStructuredErrors(checker, remember, &where);
		rc = xmlRelaxNGValidateDoc(checker, document) ? -EINVAL : 0;
	}
	if (rc && !where.told && !of_schema.told)
		problem_set(problem, "%s cannot be checked against %s", path, schema);
	xmlRelaxNGFreeValidCtxt(checker);
	xmlRelaxNGFree(grammar);
	xmlRelaxNGFreeParserCtxt(parser);
	return rc;
}

static bool is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && !strcmp((const char *)node->name, name);
}

static int read_child(xmlNodePtr node, struct qube *qube, struct problem *problem)
{
	char *text = (char *)xmlNodeGetContent(node);
	char *name = (char *)xmlGetProp(node, (const xmlChar *)"name");
	int rc = 0;

	if (!text)
		rc = problem_set(problem, "out of memory");
	else if (is(node, "tag"))
		rc = qube_add_tag(qube, text, problem);
	else if (is(node, "property"))
		/* Relations are checked when all qubes are there. */
		rc = qube_set(NULL, qube, (enum property)property_of(name), text, problem);
	xmlFree(name);
	xmlFree(text);
	return rc;
}

static int read_qube(xmlNodePtr node, struct config *config, struct problem *problem)
{
	char *name = (char *)xmlGetProp(node, (const xmlChar *)"name");
	char *class = (char *)xmlGetProp(node, (const xmlChar *)"class");
	struct qube *qube;
	int rc = config_add(config, name, (enum qube_class)class_of(class), &qube, problem);

	for (xmlNodePtr child = node->children; child && !rc; child = child->next)
		if (child->type == XML_ELEMENT_NODE)
			rc = read_child(child, qube, problem);
	xmlFree(class);
	xmlFree(name);
	return rc;
}

int config_load(struct config *ret_config, const char *path, const char *schema,
		struct problem *problem)
{
	struct where where = {problem, path, false};
	struct config config = {0};
	xmlDocPtr document;
	int rc;

	if (access(path, R_OK)) {
		rc = -errno;
		problem_set(problem, "%s: %s", path, strerror(errno));
		return rc;
	}
	xmlSetStructuredErrorFunc(&where, remember);
	document = xmlReadFile(path, NULL, XML_PARSE_NONET);
	xmlSetStructuredErrorFunc(NULL, NULL);
	if (!document)
		return where.told ? -EINVAL : problem_set(problem, "%s cannot be read", path);
	rc = validate(document, path, schema, problem);
	for (xmlNodePtr node = xmlDocGetRootElement(document)->children; node && !rc;
	     node = node->next)
		if (is(node, "qube"))
			rc = read_qube(node, &config, problem);
	xmlFreeDoc(document);
	if (!rc)
		rc = config_check(&config, problem);
	if (rc)
		config_finish(&config);
	else
		*ret_config = config;
	return rc;
}

static xmlNodePtr child_of(xmlNodePtr parent, const char *name, const char *text)
{
	return xmlNewTextChild(parent, NULL, (const xmlChar *)name, (const xmlChar *)text);
}

static bool set_attribute(xmlNodePtr node, const char *name, const char *value)
{
	return node && xmlNewProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

static bool write_qube(xmlNodePtr root, const struct qube *qube)
{
	xmlNodePtr node = child_of(root, "qube", NULL);
	bool fine = set_attribute(node, "name", qube->name) &&
		    set_attribute(node, "class", class_name(qube->class));

	for (size_t i = 0; i < PROP_COUNT && fine; i++)
		if (qube->values[i] && *qube->values[i])
			fine = set_attribute(child_of(node, "property", qube->values[i]), "name",
					     property_name((enum property)i));
	for (size_t i = 0; i < qube->tag_count && fine; i++)
		fine = child_of(node, "tag", qube->tags[i]) != NULL;
	return fine;
}

static xmlDocPtr document_of(const struct config *config)
{
	xmlDocPtr document = xmlNewDoc((const xmlChar *)"1.0");
	xmlNodePtr root = document ? xmlNewNode(NULL, (const xmlChar *)"qubes") : NULL;
	bool fine = set_attribute(root, "version", FORMAT_VERSION);

	if (root)
		xmlDocSetRootElement(document, root);
	for (size_t i = 0; i < config->count && fine; i++)
		fine = write_qube(root, config->qubes[i]);
	if (fine)
		return document;
	xmlFreeDoc(document);
	return NULL;
}

static int write_file(xmlDocPtr document, const char *path)
{
	xmlChar *text = NULL;
	int length = 0, rc = 0, fd;

	xmlDocDumpFormatMemory(document, &text, &length, 1);
	if (!text)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0 || write(fd, text, (size_t)length) != length || fsync(fd))
		rc = errno ? -errno : -EIO;
	if (fd >= 0 && close(fd) && !rc)
		rc = -errno;
	xmlFree(text);
	return rc;
}

static int sync_directory_of(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

/* path.1 is the newest of the old ones. A link, so that there is a qubes.xml at every moment. */
static void keep_revision(const char *path, unsigned int revisions)
{
	char older[PATH_MAX], newer[PATH_MAX];

	for (unsigned int i = revisions; i > 1; i--) {
		snprintf(older, sizeof(older), "%s.%u", path, i);
		snprintf(newer, sizeof(newer), "%s.%u", path, i - 1);
		rename(newer, older);
	}
	snprintf(newer, sizeof(newer), "%s.1", path);
	if (revisions) {
		unlink(newer);
		if (link(path, newer) && errno != ENOENT)
			perror(newer);
	}
}

int config_save(const struct config *config, const char *path, const char *schema,
		unsigned int revisions, struct problem *problem)
{
	char new_path[PATH_MAX];
	xmlDocPtr document = document_of(config);
	int rc;

	if (!document) {
		problem_set(problem, "out of memory");
		return -ENOMEM;
	}
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	/* What could not be read again is not written. */
	rc = validate(document, new_path, schema, problem);
	if (!rc) {
		rc = write_file(document, new_path);
		if (!rc) {
			keep_revision(path, revisions);
			rc = rename(new_path, path) ? -errno : sync_directory_of(path);
		}
		if (rc) {
			problem_set(problem, "%s: %s", path, strerror(-rc));
			unlink(new_path);
		}
	}
	xmlFreeDoc(document);
	return rc;
}
