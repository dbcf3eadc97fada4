// SPDX-License-Identifier: GPL-2.0-or-later
// qube: asks the manager. By its other names (qvm-ls, qvm-start, …) the same.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../qrexec/lib/terminal.h"

#define REQUEST_MAX 65536

static const char *run_dir(void)
{
	const char *dir = secure_getenv("QUBES_RUN_DIR");

	return dir ? dir : "/run/qubes";
}

static int connect_to_manager(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/manager.sock", run_dir()) >=
	    (int)sizeof(address.sun_path)) {
		fprintf(stderr, "qube: %s/manager.sock: %s\n", run_dir(), strerror(ENAMETOOLONG));
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		fprintf(stderr,
			"qube: %s: %s; is qube-manager running, and are you in the group "
			"qubes?\n",
			address.sun_path, strerror(errno));
		return -1;
	}
	return fd;
}

/* Prints what the manager says; the exit code is the manager's. Output goes to `out` if it is not NULL. */
static int follow(int fd, char *out, size_t size)
{
	char message[32768];
	ssize_t length;

	while ((length = recv(fd, message, sizeof(message) - 1, 0)) > 0) {
		message[length] = '\0';
		if (message[0] == 'x')
			return atoi(message + 1);
		if (message[0] == 'o' && out)
			snprintf(out, size, "%.*s", (int)size - 1, message + 1);
		else
			fputs(message + 1, message[0] == 'o' ? stdout : stderr);
	}
	fprintf(stderr, "qube: the manager has gone\n");
	return 1;
}

static int ask(int count, const char *const *words, char *out, size_t size)
{
	char request[REQUEST_MAX];
	size_t length = 0;
	int fd, status;

	for (int i = 0; i < count; i++) {
		size_t more = strlen(words[i]) + 1;

		if (length + more > sizeof(request)) {
			fprintf(stderr, "qube: too much to ask\n");
			return 1;
		}
		memcpy(request + length, words[i], more);
		length += more;
	}
	fd = connect_to_manager();
	if (fd < 0)
		return 1;
	if (send(fd, request, length, MSG_NOSIGNAL) != (ssize_t)length) {
		perror("qube");
		close(fd);
		return 1;
	}
	status = follow(fd, out, size);
	close(fd);
	return status;
}

static int usage(FILE *out)
{
	fputs("usage: qube ls [--json]\n"
	      "       qube create NAME AppVM|TemplateVM|StandaloneVM [PROPERTY=VALUE …]\n"
	      "       qube clone NAME NEW-NAME\n"
	      "       qube remove NAME\n"
	      "       qube start NAME          qube shutdown NAME       qube kill NAME\n"
	      "       qube run [--user USER] [--gui] [--disposable] NAME COMMAND …\n"
	      "       qube prefs [--json] NAME [PROPERTY [VALUE|--default]]\n"
	      "       qube tags [--json] NAME [add|del TAG]\n"
	      "       qube volume [--json] NAME\n"
	      "       qube disposable NAME     qube log NAME\n"
	      "See qube(1).\n",
	      out);
	return out == stdout ? 0 : 2;
}

/* USER:COMMAND, of all words from here on. NULL: out of memory. */
static char *command_of(const char *user, int count, char **words)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "%s:", user);
	for (int i = 0; i < count; i++)
		fprintf(out, "%s%s", i ? " " : "", words[i]);
	return fclose(out) ? NULL : text;
}

/* Calls the command in the qube, which may take our input or has none; returns its exit code. */
static int call(const char *name, const char *command, bool with_input)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int nothing = with_input ? -1 : open("/dev/null", O_RDONLY);

		if (nothing >= 0)
			dup2(nothing, STDIN_FILENO);
		execlp("qrexec-client", "qrexec-client", "--socket-dir", run_dir(), "-d", name,
		       command, NULL);
		fprintf(stderr, "qube: qrexec-client: %s\n", strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Waits until programs of the user find his session. */
static int await_session(const char *name, const char *user)
{
	char *command;
	int status = 1;

	if (asprintf(&command, "%s:QUBESRPC qubes.WaitForSession dom0", user) < 0)
		return 1;
	status = call(name, command, false);
	free(command);
	return status;
}

/* run [--user USER] [--gui] [--disposable] NAME COMMAND…: the command's input, output and exit code are those of qube. */
static int run(int count, char **words)
{
	const char *user = "DEFAULT", *start[] = {"start", NULL}, *kill[] = {"kill", NULL};
	char name[64], *command;
	bool disposable = false, gui = false;
	int at = 1, status;

	for (; at < count && words[at][0] == '-'; at++)
		if (!strcmp(words[at], "--disposable") || !strcmp(words[at], "--dispvm"))
			disposable = true;
		else if (!strcmp(words[at], "--gui"))
			gui = true;
		else if ((!strcmp(words[at], "--user") || !strcmp(words[at], "-u")) &&
			 at + 1 < count)
			user = words[++at];
		else
			return usage(stderr);
	if (count - at < 2 || strlen(words[at]) >= sizeof(name))
		return usage(stderr);
	strcpy(name, words[at]);
	command = command_of(user, count - at - 1, words + at + 1);
	if (!command)
		return 1;
	start[0] = disposable ? "disposable" : "start";
	start[1] = words[at];
	status = ask(2, start, disposable ? name : NULL, sizeof(name));
	name[strcspn(name, "\n")] = '\0';
	if (!status && gui)
		status = await_session(name, user);
	if (!status)
		status = call(name, command, true);
	if (disposable && strcmp(name, words[at]) != 0) {
		kill[1] = name;
		ask(2, kill, NULL, 0);
	}
	free(command);
	return status;
}

/* Lines in it may have come from the qube. */
static int show_log(const char *name)
{
	const char *dir = secure_getenv("QUBES_LOG_DIR");
	struct terminal terminal;
	char path[PATH_MAX];
	int status;
	pid_t pid;

	if (strchr(name, '/')) {
		fprintf(stderr, "qube: %s is no name of a qube\n", name);
		return 1;
	}
	snprintf(path, sizeof(path), "%s/%s.log", dir ? dir : "/var/log/qubes", name);
	if (access(path, R_OK)) {
		fprintf(stderr, "qube: %s: no log of it can be read: %s\n", name, strerror(errno));
		return 1;
	}
	terminal_guard(&terminal);
	pid = fork();
	if (pid == 0) {
		execlp("tail", "tail", "-n", "200", "--", path, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		status = 1;
	terminal_finish(&terminal);
	return status ? 1 : 0;
}

/* Who knows them from elsewhere tries options for what are properties here. */
static bool create_has_option(int count, const char **words)
{
	for (int i = 1; i < count; i++)
		if (*words[i] == '-') {
			fprintf(stderr,
				"qube: create has no option %s: the class comes behind the name, then properties, "
				"as in \"qube create mine AppVM template=debian label=yellow\"\n",
				words[i]);
			return true;
		}
	return false;
}

static int obey(int count, const char **words)
{
	int status;

	if (!count)
		return usage(stderr);
	if (!strcmp(words[0], "--help") || !strcmp(words[0], "help") ||
	    (count > 1 && !strcmp(words[1], "--help")))
		return usage(stdout);
	if (*words[0] == '-')
		return usage(stderr);
	if (!strcmp(words[0], "run"))
		return run(count, (char **)words);
	if (!strcmp(words[0], "create") && create_has_option(count, words))
		return 2;
	if (!strcmp(words[0], "log") && count == 2)
		return show_log(words[1]);
	status = ask(count, words, NULL, 0);
	/* The manager does not know such a command. */
	return status == 2 ? usage(stderr) : status;
}

int main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	const char **words = calloc((size_t)argc + 1, sizeof(*words));
	int count = 0, status;

	if (!words) {
		perror("qube");
		return 1;
	}
	if (!strncmp(base, "qvm-", 4))
		words[count++] = base + 4;
	for (int i = 1; i < argc; i++)
		words[count++] = argv[i];
	status = obey(count, words);
	free(words);
	return status;
}
