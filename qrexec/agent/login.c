// SPDX-License-Identifier: GPL-2.0-or-later
// Sessions of PAM for the programs of calls: whether the account may be used, limits, environment.
#define _GNU_SOURCE
#include "login.h"

#include <errno.h>
#include <limits.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <unistd.h>

#define NAME "qrexec"

/* One call has one process. */
static struct {
	const char *directory;
	pam_handle_t *handle;
} login = {"/etc/pam.d", NULL};

void login_set_directory(const char *directory)
{
	login.directory = directory;
}

/* Nobody is there to answer questions of modules. */
static int converse(int count, const struct pam_message **messages, struct pam_response **ret,
		    void *unused)
{
	(void)count;
	(void)messages;
	(void)ret;
	(void)unused;
	return PAM_CONV_ERR;
}

static void login_close(void)
{
	if (!login.handle)
		return;
	pam_close_session(login.handle, PAM_SILENT);
	pam_setcred(login.handle, PAM_DELETE_CRED | PAM_SILENT);
	pam_end(login.handle, PAM_SUCCESS);
	login.handle = NULL;
}

static int start(const char *user, const char *source)
{
	int rc = pam_acct_mgmt(login.handle, PAM_SILENT);

	if (rc == PAM_SUCCESS)
		rc = pam_set_item(login.handle, PAM_RHOST, source);
	if (rc == PAM_SUCCESS)
		rc = pam_setcred(login.handle, PAM_ESTABLISH_CRED | PAM_SILENT);
	if (rc == PAM_SUCCESS)
		rc = pam_open_session(login.handle, PAM_SILENT);
	if (rc == PAM_SUCCESS)
		return 0;
	fprintf(stderr, "qrexec-agent: %s may not run programs for %s: %s\n", user, source,
		pam_strerror(login.handle, rc));
	pam_end(login.handle, rc);
	login.handle = NULL;
	return -EACCES;
}

static int login_open(const char *user, const char *source)
{
	static const struct pam_conv conversation = {converse, NULL};
	char path[PATH_MAX];

	if (geteuid() ||
	    snprintf(path, sizeof(path), "%s/" NAME, login.directory) >= (int)sizeof(path) ||
	    access(path, F_OK))
		return 0;
	if (pam_start_confdir(NAME, user, &conversation, login.directory, &login.handle) !=
	    PAM_SUCCESS) {
		login.handle = NULL;
		fprintf(stderr, "qrexec-agent: %s is not understood\n", path);
		return -EACCES;
	}
	return start(user, source);
}

static char **login_environment(void)
{
	return login.handle ? pam_getenvlist(login.handle) : NULL;
}

const struct service_login login_pam = {
	.open = login_open,
	.environment = login_environment,
	.close = login_close,
};
