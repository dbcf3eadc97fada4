// SPDX-License-Identifier: GPL-2.0-or-later
// Starting and ending one qube: volumes, domain, database, daemons, in this order and back.
#define _GNU_SOURCE
#include "manager.h"
#include "../../qubesdb/qubesdb-client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Seconds: a qube may boot slowly, and a person may have to save work. */
#define START_LIMIT    600
#define SHUTDOWN_LIMIT 120

/* Waits for a file to be there (or gone), at most so many seconds, while a process lives (0: no matter). */
static bool await_file(const char *path, bool wanted, int seconds, pid_t pid)
{
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/%d", (int)pid);
	for (int i = 0; i < seconds * 10; i++) {
		struct timespec tenth = {0, 100000000};

		if (!access(path, F_OK) == wanted)
			return true;
		if (pid > 0 && access(proc, F_OK))
			return false;
		nanosleep(&tenth, NULL);
	}
	return false;
}

/*
 * Of the kernel of every qube, before the options of its own. A stock kernel checks each of its ciphers against known answers
 * while it starts, more than half of the instructions until its first program; "cryptomgr.notests=0" or "fips=1" among a qube's own
 * options has it do so.
 */
#define KERNEL_OPTIONS "console=hvc0 cryptomgr.notests"

static int create_domain(const struct manager *manager, const struct qube *qube,
			 struct running *running, struct problem *problem)
{
	char kernel[PATH_MAX], initramfs[PATH_MAX], memory[24], vcpus[24], options[300], out[32];
	bool own_root = qube_root_owner(&manager->config, qube) == qube;
	char disks[LOOPS_MAX][64];
	const char *argv[] = {"qube-domain", "create", qube->name, memory,   vcpus,    kernel,
			      initramfs,     options,  disks[0],   disks[1], disks[2], NULL};

	place_of(manager, kernel, "l/kernel/vmlinux");
	place_of(manager, initramfs, "l/kernel/initramfs");
	snprintf(memory, sizeof(memory), "%ld", qube_number(qube, PROP_MEMORY));
	snprintf(vcpus, sizeof(vcpus), "%ld", qube_number(qube, PROP_VCPUS));
	snprintf(options, sizeof(options), KERNEL_OPTIONS " %s", qube_value(qube, PROP_KERNELOPTS));
	for (int i = 0; i < LOOPS_MAX; i++)
		snprintf(disks[i], sizeof(disks[i]), "%s,xvd%c,%c", running->loops[i], 'a' + i,
			 i || own_root ? 'w' : 'r');
	if (process_run(argv, out, sizeof(out), problem))
		return -1;
	running->domain = atoi(out);
	return 0;
}

static void random_text(char *text, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[64];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		memset(bytes, 0, sizeof(bytes));
	for (size_t i = 0; i + 2 < size && i / 2 < sizeof(bytes); i += 2) {
		text[i] = digits[bytes[i / 2] >> 4];
		text[i + 1] = digits[bytes[i / 2] & 15];
		text[i + 2] = '\0';
	}
}

static void zone_of_dom0(char *text, size_t size)
{
	FILE *file = fopen("/etc/timezone", "r");

	snprintf(text, size, "UTC");
	if (!file)
		return;
	if (fgets(text, (int)size, file))
		text[strcspn(text, "\n")] = '\0';
	fclose(file);
}

/* What a qube is told of itself. */
static int fill_database(const struct manager *manager, const struct qube *qube,
			 struct problem *problem)
{
	static const char *const persistence[CLASS_COUNT] = {"full", "rw-only", "full", "none"};
	const struct qube *owner = qube_root_owner(&manager->config, qube);
	char seed[129], zone[64];
	const char *entries[][2] = {
		{"/name", qube->name},
		{"/type", class_name(qube->class)},
		{"/qubes-vm-type", class_name(qube->class)},
		{"/qubes-vm-persistence", persistence[qube->class]},
		{"/qubes-vm-updateable", owner == qube ? "True" : "False"},
		{"/qubes-base-template", owner == qube ? "" : owner->name},
		{"/qubes-timezone", zone},
		{"/qubes-debug-mode", "0"},
		{"/qubes-random-seed", seed},
		{"/default-user", qube_value(qube, PROP_DEFAULT_USER)},
		{"/keyboard-layout", "us"},
		{"/qubes-gui-enabled", "True"},
		{"/qubes-gui-domain-xid", "0"},
	};
	qdb_handle_t qdb = qdb_open(qube->name);
	int rc = 0;

	random_text(seed, sizeof(seed));
	zone_of_dom0(zone, sizeof(zone));
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]) && qdb && !rc; i++)
		if (!qdb_write(qdb, entries[i][0], entries[i][1],
			       (unsigned int)strlen(entries[i][1])))
			rc = -1;
	if (!qdb || rc) {
		problem_set(problem, "the database of %s: %s", qube->name, strerror(errno));
		rc = -1;
	}
	qdb_close(qdb);
	return rc;
}

static int start_database(const struct manager *manager, const struct qube *qube, int domain,
			  struct problem *problem)
{
	char number[16], pid_file[PATH_MAX];
	const char *argv[] = {"qubesdb-daemon", "--socket-dir", manager->places.run,
			      "--background",	"--pid-file",	pid_file,
			      number,		qube->name,	NULL};
	char log[PATH_MAX];
	pid_t pid;

	snprintf(number, sizeof(number), "%d", domain);
	place_of(manager, pid_file, "r/qubesdb.%s.pid", qube->name);
	place_of(manager, log, "o/%s.log", qube->name);
	unlink(pid_file);
	pid = process_start(argv, log, problem);
	if (pid < 0)
		return -1;
	if (!await_file(pid_file, true, START_LIMIT, pid) && access(pid_file, F_OK)) {
		problem_set(problem, "%s: its database does not start; see %s", qube->name, log);
		return -1;
	}
	return fill_database(manager, qube, problem);
}

int start_qrexec(const struct manager *manager, const struct qube *qube, struct running *running,
		 struct problem *problem)
{
	char number[16], limit[16], list[PATH_MAX], log[PATH_MAX], socket[PATH_MAX];
	const char *argv[] = {"qrexec-daemon",
			      "--socket-dir",
			      manager->places.run,
			      "--qubes",
			      list,
			      "--timeout",
			      limit,
			      number,
			      qube->name,
			      qube_value(qube, PROP_DEFAULT_USER),
			      NULL};

	snprintf(number, sizeof(number), "%d", running->domain);
	snprintf(limit, sizeof(limit), "%d", START_LIMIT);
	place_of(manager, list, "r/qubes.list");
	place_of(manager, log, "o/%s.log", qube->name);
	place_of(manager, socket, "r/qrexec.%s", qube->name);
	unlink(socket);
	running->qrexec = process_start(argv, log, problem);
	if (running->qrexec > 0 && !running_save(manager, qube->name, running))
		return 0;
	return -1;
}

static int await_qrexec(const struct manager *manager, const struct qube *qube,
			const struct running *running, struct problem *problem)
{
	char log[PATH_MAX], socket[PATH_MAX];

	place_of(manager, log, "o/%s.log", qube->name);
	place_of(manager, socket, "r/qrexec.%s", qube->name);
	if (await_file(socket, true, START_LIMIT, running->qrexec))
		return 0;
	problem_set(problem, "%s does not take calls; see its console (xl console %s) and %s",
		    qube->name, qube->name, log);
	return -1;
}

static int run_on_domain(const char *what, int domain, struct problem *problem)
{
	char number[16];
	const char *argv[] = {"qube-domain", what, number, NULL};

	snprintf(number, sizeof(number), "%d", domain);
	return process_run(argv, NULL, 0, problem);
}

/* A qube with a root of its own may have other applications than last time. Nothing waits for it. */
static void update_menu(const struct manager *manager, const struct qube *qube)
{
	char dir[PATH_MAX], log[PATH_MAX];
	const char *argv[] = {"qube-menu-update",
			      "--socket-dir",
			      manager->places.run,
			      "--dir",
			      dir,
			      qube->name,
			      NULL};
	struct problem ignored = {""};

	if (qube_root_owner(&manager->config, qube) != qube)
		return;
	place_of(manager, dir, "l/menus");
	place_of(manager, log, "o/%s.log", qube->name);
	process_start(argv, log, &ignored);
}

int job_start(const struct manager *manager, const struct qube *qube, struct problem *problem)
{
	struct running running = {.domain = -1};
	struct problem ignored = {""};
	char path[PATH_MAX];
	int rc = -1;

	place_of(manager, path, "r");
	setenv("QUBESDB_SOCKET_DIR", path, 1);
	/* First of all: whatever happens to this process, what it has made will be found. */
	if (running_save(manager, qube->name, &running)) {
		problem_set(problem, "the state of %s cannot be written", qube->name);
		return -1;
	}
	if (volumes_attach(manager, qube, &running, problem) ||
	    running_save(manager, qube->name, &running))
		goto err_clean;
	if (create_domain(manager, qube, &running, problem) ||
	    running_save(manager, qube->name, &running))
		goto err_clean;
	write_list(manager);
	rc = start_database(manager, qube, running.domain, problem);
	if (!rc)
		rc = run_on_domain("unpause", running.domain, problem);
	if (!rc)
		rc = start_qrexec(manager, qube, &running, problem);
	if (!rc)
		rc = await_qrexec(manager, qube, &running, problem);
	if (!rc) {
		update_menu(manager, qube);
		return 0;
	}
err_clean:
	running_save(manager, qube->name, &running);
	job_clean(manager, qube, &ignored);
	return -1;
}

static void end_database(const struct manager *manager, const char *name)
{
	char path[PATH_MAX];
	int pid = 0;
	FILE *file;

	place_of(manager, path, "r/qubesdb.%s.pid", name);
	file = fopen(path, "r");
	if (!file)
		return;
	if (fscanf(file, "%d", &pid) == 1)
		process_end(pid, "qubesdb-daemon");
	fclose(file);
	/* It removes the file at its end; what is left of one that was killed is removed here. */
	await_file(path, false, 5, pid);
	unlink(path);
}

int job_clean(const struct manager *manager, const struct qube *qube, struct problem *problem)
{
	struct running running;
	char path[PATH_MAX];
	int rc = 0;

	place_of(manager, path, "r/state/%s", qube->name);
	if (!running_load(manager, qube->name, &running)) {
		unlink(path);
		return 0;
	}
	if (running.domain >= 0)
		rc = run_on_domain("destroy", running.domain, problem);
	process_end(running.qrexec, "qrexec-daemon");
	process_end(running.gui, "gui-daemon");
	end_database(manager, qube->name);
	place_of(manager, path, "r/qrexec.%s", qube->name);
	unlink(path);
	/* A domain that is still there has its volumes open. */
	if (!rc) {
		volumes_detach(manager, qube->name, &running);
		running_forget(manager, qube->name);
	}
	return rc;
}

int job_shutdown(const struct manager *manager, const struct qube *qube, struct problem *problem)
{
	struct running running;
	char path[PATH_MAX];

	if (!running_load(manager, qube->name, &running) || running.domain < 0)
		return 0;
	if (run_on_domain("shutdown", running.domain, problem))
		return -1;
	/* The watcher sees its end, and the manager cleans up: then the state is gone. */
	place_of(manager, path, "r/state/%s", qube->name);
	if (await_file(path, false, SHUTDOWN_LIMIT, 0))
		return 0;
	problem_set(problem, "%s has not shut down within %d s; end it with: qube kill %s",
		    qube->name, SHUTDOWN_LIMIT, qube->name);
	return -1;
}
