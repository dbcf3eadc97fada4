// SPDX-License-Identifier: GPL-2.0-or-later
// qube-manager: keeps the list of qubes, starts and ends them, cleans up behind them.
#define _GNU_SOURCE
#include "../manager/manager.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <fcntl.h>
#include <grp.h>
#include <unistd.h>

static volatile sig_atomic_t ending;

static void end(int number)
{
	(void)number;
	ending = 1;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct group *group = getgrnam("qubes");
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || chmod(path, 0660) ||
	    listen(fd, 64))
		return -1;
	if (group && chown(path, (uid_t)-1, group->gr_gid))
		perror(path);
	return fd;
}

static void accept_client(struct manager *manager)
{
	int fd = accept4(manager->listener, NULL, NULL, SOCK_CLOEXEC);

	for (int i = 0; i < CLIENTS_MAX && fd >= 0; i++)
		if (manager->clients[i] < 0) {
			manager->clients[i] = fd;
			return;
		}
	if (fd >= 0)
		close(fd);
}

/* One message: words, each ended by a NUL. */
static void serve_client(struct manager *manager, int client)
{
	static char text[REQUEST_MAX];
	char *words[WORDS_MAX];
	ssize_t length = recv(client, text, sizeof(text), MSG_DONTWAIT);
	int count = 0;

	if (length <= 0 || text[length - 1] != '\0') {
		close(client);
		return;
	}
	for (char *at = text; at < text + length && count < WORDS_MAX; at += strlen(at) + 1)
		words[count++] = at;
	command_handle(manager, client, count, words);
}

static size_t collect(const struct manager *manager, struct pollfd *p, size_t room)
{
	size_t n = 0;

	p[n++] = (struct pollfd){manager->listener, POLLIN, 0};
	for (int i = 0; i < CLIENTS_MAX; i++)
		p[n++] = (struct pollfd){manager->clients[i], POLLIN, 0};
	for (const struct job *job = manager->jobs; job && n < room; job = job->next)
		p[n++] = (struct pollfd){job->pid_fd, POLLIN, 0};
	return n;
}

static void end_job_of(struct manager *manager, int pid_fd)
{
	for (struct job *job = manager->jobs; job; job = job->next)
		if (job->pid_fd == pid_fd) {
			job_ended(manager, job);
			return;
		}
}

static int run(struct manager *manager)
{
	static struct pollfd p[1 + CLIENTS_MAX + 2 * QUBES_MAX];
	size_t count;

	while (!ending) {
		count = collect(manager, p, sizeof(p) / sizeof(p[0]));
		if (poll(p, count, -1) < 0) {
			if (errno == EINTR)
				continue;
			perror("qube-manager: poll");
			return 1;
		}
		/* Jobs first: who asks now gets to know of what has ended. */
		for (size_t i = 1 + CLIENTS_MAX; i < count; i++)
			if (p[i].revents)
				end_job_of(manager, p[i].fd);
		for (int i = 0; i < CLIENTS_MAX; i++)
			if (p[1 + i].revents) {
				int client = manager->clients[i];

				manager->clients[i] = -1;
				serve_client(manager, client);
			}
		if (p[0].revents)
			accept_client(manager);
	}
	return 0;
}

/* What the user's account of a machine begins with. */
static int load(struct manager *manager, struct problem *problem)
{
	char path[PATH_MAX];

	place_of(manager, path, "l/qubes.xml");
	if (access(path, F_OK) && errno == ENOENT)
		return save_config(manager, problem);
	return config_load(&manager->config, path, manager->places.schema, problem);
}

/* Of a list that cannot be read. It is not done without the user, as the last change would be lost. */
static void suggest_older(const struct manager *manager)
{
	char path[PATH_MAX], older[PATH_MAX];

	place_of(manager, path, "l/qubes.xml");
	place_of(manager, older, "l/qubes.xml.1");
	if (!access(older, F_OK))
		fprintf(stderr,
			"qube-manager: repair it, or take what was there before its last change: cp %s %s\n",
			older, path);
}

static int prepare(struct manager *manager, struct problem *problem)
{
	static const char *const directories[] = {"l", "l/qubes", "l/kernel", "r", "r/state", "o"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		place_of(manager, path,
			 directories[i][0] == 'l'   ? "l%s"
			 : directories[i][0] == 'r' ? "r%s"
						    : "o%s",
			 directories[i] + 1);
		if (mkdir(path, 0755) && errno != EEXIST)
			return problem_set(problem, "%s: %s", path, strerror(errno));
	}
	place_of(manager, path, "r/manager.lock");
	manager->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (manager->lock < 0 || flock(manager->lock, LOCK_EX | LOCK_NB))
		return problem_set(problem, "%s: another manager is running", path);
	return 0;
}

static void add_helpers_to_path(void)
{
	const char *old = getenv("PATH");
	char path[4096];

	snprintf(path, sizeof(path), "%s:/usr/lib/qubes:/usr/sbin:/sbin",
		 old ? old : "/usr/bin:/bin");
	setenv("PATH", path, 1);
}

static void autostart(struct manager *manager)
{
	struct problem problem = {""};
	struct running running;

	for (size_t i = 0; i < manager->config.count; i++) {
		const struct qube *qube = manager->config.qubes[i];

		if (qube_flag(qube, PROP_AUTOSTART) && qube->class != CLASS_DISPOSABLE &&
		    !running_load(manager, qube->name, &running) &&
		    job_begin(manager, JOB_START, qube, NULL, -1, &problem))
			fprintf(stderr, "qube-manager: %s\n", problem.text);
	}
}

static int usage(FILE *to)
{
	fputs("usage: qube-manager [--lib DIR] [--run DIR] [--log DIR] [--schema FILE]\n", to);
	return to == stdout ? 0 : 2;
}

static bool parse_options(int argc, char **argv, struct places *places)
{
	static const struct option longs[] = {{"lib", required_argument, NULL, 'l'},
					      {"run", required_argument, NULL, 'r'},
					      {"log", required_argument, NULL, 'o'},
					      {"schema", required_argument, NULL, 's'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "l:r:o:s:h", longs, NULL)) != -1)
		switch (option) {
		case 'l':
			places->lib = optarg;
			break;
		case 'r':
			places->run = optarg;
			break;
		case 'o':
			places->log = optarg;
			break;
		case 's':
			places->schema = optarg;
			break;
		case 'h':
			exit(usage(stdout));
		default:
			return false;
		}
	return optind == argc;
}

int main(int argc, char **argv)
{
	static struct manager manager = {.places = {"/var/lib/qubes", "/run/qubes",
						    "/var/log/qubes",
						    "/usr/share/qubes/qubes.rng"}};
	struct sigaction action = {.sa_handler = end};
	struct problem problem = {""};
	char path[PATH_MAX];
	int status = 1;

	if (!parse_options(argc, argv, &manager.places))
		return usage(stderr);
	for (int i = 0; i < CLIENTS_MAX; i++)
		manager.clients[i] = -1;
	manager.listener = manager.lock = -1;
	manager.pid = getpid();
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	add_helpers_to_path();
	if (prepare(&manager, &problem)) {
		fprintf(stderr, "qube-manager: %s\n", problem.text);
		return 1;
	}
	if (load(&manager, &problem)) {
		fprintf(stderr, "qube-manager: %s\n", problem.text);
		suggest_older(&manager);
		return 1;
	}
	place_of(&manager, path, "r/manager.sock");
	jobs_resume(&manager);
	manager.listener = listen_at(path);
	if (manager.listener < 0) {
		fprintf(stderr, "qube-manager: %s: %s\n", path, strerror(errno));
	} else {
		autostart(&manager);
		status = run(&manager);
		unlink(path);
	}
	/* Qubes go on without it; the watchers are its own. */
	for (struct job *job = manager.jobs; job; job = job->next)
		if (job->kind == JOB_WATCH)
			kill(job->pid, SIGTERM);
	config_finish(&manager.config);
	return status;
}
