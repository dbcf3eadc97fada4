// SPDX-License-Identifier: GPL-2.0-or-later
// What is left of a process's rights behind the GUI daemon's sandbox: each try in a child of its own.
// links: gui/daemon/sandbox.c
// libs: -lseccomp
#define _GNU_SOURCE
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../gui/daemon/sandbox.h"

static int open_writing(void)
{
	return open("/tmp/test-gui-sandbox", O_RDWR | O_CREAT, 0600);
}

static int open_truncating(void)
{
	return open("/dev/null", O_RDONLY | O_TRUNC);
}

static int open_reading(void)
{
	return open("/proc/self/status", O_RDONLY);
}

static int execute(void)
{
	return (int)syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static int make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int make_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int make_process(void)
{
	return (int)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static int executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -1
		       : 0;
}

static int plain_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -1
		       : 0;
}

static int attach(int flags)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700);
	void *at = id < 0 ? (void *)-1 : shmat(id, NULL, flags);
	int error = errno;

	if (id >= 0)
		shmctl(id, IPC_RMID, NULL);
	errno = error;
	return at == (void *)-1 ? -1 : 0;
}

static int executable_segment(void)
{
	return attach(SHM_EXEC);
}

static int plain_segment(void)
{
	return attach(0);
}

static int trace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int kill_parent(void)
{
	return kill(getppid(), SIGUSR1);
}

static int change_name(void)
{
	return sethostname("x", 1);
}

static int delete_file(void)
{
	return unlink("/tmp/test-gui-sandbox-file");
}

/* 0: it worked; an errno: it did not; 255: the sandbox could not be entered. */
static int try_in_sandbox(int (*act)(void))
{
	pid_t pid = fork();
	int status = 0;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (sandbox_drop_rights() || sandbox_filter_calls())
			_exit(255);
		_exit(act() < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_forbidden(void **state)
{
	(void)state;
	assert_int_equal(try_in_sandbox(open_writing), EPERM);
	assert_int_equal(try_in_sandbox(open_truncating), EPERM);
	assert_int_equal(try_in_sandbox(execute), EPERM);
	assert_int_equal(try_in_sandbox(make_socket), EPERM);
	assert_int_equal(try_in_sandbox(make_unix_socket), EPERM);
	assert_int_equal(try_in_sandbox(make_process), EPERM);
	assert_int_equal(try_in_sandbox(executable_memory), EPERM);
	assert_int_equal(try_in_sandbox(executable_segment), EPERM);
	assert_int_equal(try_in_sandbox(trace), EPERM);
	assert_int_equal(try_in_sandbox(kill_parent), EPERM);
	assert_int_equal(try_in_sandbox(change_name), EPERM);
	assert_int_equal(try_in_sandbox(delete_file), EPERM);
}

static void test_allowed(void **state)
{
	(void)state;
	assert_int_equal(try_in_sandbox(open_reading), 0);
	assert_int_equal(try_in_sandbox(plain_memory), 0);
	assert_int_equal(try_in_sandbox(plain_segment), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
