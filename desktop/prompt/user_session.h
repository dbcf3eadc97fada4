/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The session of the user at the screen, for programs that root's daemons start. */
#ifndef PROMPT_USER_SESSION_H
#define PROMPT_USER_SESSION_H

/*
 * Root becomes the user whose session is at the screen, with what programs need of it in the environment; `dir` is where
 * sessions say that they are ready (docs/qrexec-programs.md). Anybody else stays what he is. 0; -ENOENT: nobody has a session;
 * another error if the change fails: then nothing may go on.
 */
int user_session_enter(const char *dir);

#endif
