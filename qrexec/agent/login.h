/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the qube's own rules for users (PAM) say of a program that the agent starts for one. */
#ifndef QREXEC_LOGIN_H
#define QREXEC_LOGIN_H

#include "../lib/service.h"

/* The directory of PAM's files; without a file "qrexec" there, or not as root, nothing is asked. Before any call. */
void login_set_directory(const char *directory);
extern const struct service_login login_pam;

#endif
