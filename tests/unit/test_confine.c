/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a confined replay can still do, and what it can't: each try in a process of its own. */
#include "replayer/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int test_count, failure_count;
static int pipe_fds[2], other_fd;

static void check(int is_ok, const char *text)
{
	printf("%s %d - %s\n", is_ok ? "ok" : "not ok", ++test_count, text);
	failure_count += !is_ok;
}

/* Tries return 0 if they could do it, else errno. */
static int outcome(long result)
{
	return result < 0 ? errno : 0;
}

static int try_read_file(void)
{
	char byte;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : outcome(read(fd, &byte, 1));
}

static int try_memory(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? errno : outcome(mprotect(memory, 4096, PROT_READ));
}

static int try_result(void)
{
	return outcome(write(pipe_fds[1], "x", 1));
}

static int try_other_descriptor(void)
{
	return outcome(write(other_fd, "x", 1));
}

static int try_open_for_writing(void)
{
	return outcome(open("/dev/null", O_WRONLY));
}

static int try_create(void)
{
	return outcome(open("/tmp/backhop-test-confine", O_RDONLY | O_CREAT, 0600));
}

static int try_unlink(void)
{
	return outcome(unlink("/nonexistent/file"));
}

static int try_kill_parent(void)
{
	return outcome(kill(getppid(), 0));
}

static int try_fork(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	return outcome(child);
}

static int try_socket(void)
{
	return outcome(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_exec(void)
{
	return outcome(execl("/bin/true", "true", (char *)NULL));
}

static int try_abort(void)
{
	abort();
}

/* The errno of a try, or 1000 + the signal that it died of; -1: it couldn't be confined. */
static int confined(int (*try)(void), int allow_fork)
{
	int status;
	pid_t child = fork();

	if (!child) {
		const struct bh_confine_config config = {.result_fd = pipe_fds[1],
							 .allow_fork = allow_fork};

		if (bh_confine(&config))
			_exit(255);
		_exit(try());
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	if (WIFSIGNALED(status))
		return 1000 + WTERMSIG(status);
	return WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
}

int main(void)
{
	static const struct {
		int (*try)(void);
		int allow_fork, expected;
		const char *text;
	} tries[] = {
		{try_read_file, 0, 0, "reads files"},
		{try_memory, 0, 0, "maps memory"},
		{try_result, 0, 0, "tells its result"},
		{try_other_descriptor, 0, EPERM, "writes to no other descriptor"},
		{try_open_for_writing, 0, EPERM, "opens nothing for writing"},
		{try_create, 0, EPERM, "creates no file"},
		{try_unlink, 0, EPERM, "removes no file"},
		{try_kill_parent, 0, EPERM, "sends no signal to another process"},
		{try_fork, 0, EPERM, "doesn't fork"},
		{try_fork, 1, 0, "forks if it is allowed to"},
		{try_socket, 0, 1000 + SIGSYS, "is killed for a socket"},
		{try_exec, 0, 1000 + SIGSYS, "is killed for an exec"},
		{try_abort, 0, 1000 + SIGABRT, "can still abort"},
	};

	other_fd = open("/dev/null", O_WRONLY);
	if (pipe(pipe_fds) || other_fd < 0)
		return 1;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		int result = confined(tries[i].try, tries[i].allow_fork);

		if (result != tries[i].expected)
			printf("# %d instead of %d\n", result, tries[i].expected);
		check(result == tries[i].expected, tries[i].text);
	}
	printf("1..%d\n", test_count);
	return failure_count != 0;
}
