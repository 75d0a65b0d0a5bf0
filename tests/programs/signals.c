/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run on a node by tests/unit/test_posix.c: signals and timers. Queues and their order, masks,
 * restarts of several calls, stopping and going on, what a handler's frame says, alternate stacks
 * and jumps out of handlers, default actions, interval and POSIX timers, sessions and groups.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/programs/check.h"

static volatile sig_atomic_t count, depth, deepest, nested;
static int order[64], values[64];

static void set_handler(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	CHECK(!sigaction(signal, &action, NULL));
}

static void note(int signal, siginfo_t *info, void *context)
{
	(void)context;
	order[count & 63] = signal;
	values[count & 63] = info->si_value.sival_int;
	count++;
}

static void test_queue(void)
{
	sigset_t all, old, pending;

	set_handler(SIGUSR1, note, 0);
	set_handler(SIGRTMIN, note, 0);
	set_handler(SIGRTMIN + 1, note, 0);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	for (int i = 0; i < 3; i++) {
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i});
		sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 10 + i});
		kill(getpid(), SIGUSR1);
	}
	CHECK(!sigpending(&pending) && sigismember(&pending, SIGUSR1) && count == 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	/* Handlers nest: the last to be set up runs first. */
	CHECK(count == 7);
	int seen = 0;

	for (int i = 0; i < 7; i++)
		seen += order[i] == SIGUSR1;
	CHECK(seen == 1);
}

static void nest(int signal, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	if (++depth > deepest)
		deepest = depth;
	if (++nested < 20)
		raise(signal);
	depth--;
}

static void test_nesting(void)
{
	set_handler(SIGUSR2, nest, SA_NODEFER);
	raise(SIGUSR2);
	CHECK(deepest == 20 && depth == 0);
	nested = deepest = 0;
	set_handler(SIGUSR2, nest, 0);
	raise(SIGUSR2);
	CHECK(deepest == 1 && nested == 20);
}

static void start_timer(int milliseconds)
{
	struct itimerval soon = {.it_value = {0, milliseconds * 1000}};

	CHECK(!setitimer(ITIMER_REAL, &soon, NULL));
}

static void test_restart(void)
{
	struct timeval limit = {1, 0};
	struct pollfd entry;
	int pipes[2], sockets[2];
	char byte;

	CHECK(!pipe(pipes) && !socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	entry = (struct pollfd){.fd = pipes[0], .events = POLLIN};
	set_handler(SIGALRM, note, SA_RESTART);
	/* poll and friends are never restarted, waits for children and reads are. */
	count = 0;
	start_timer(10);
	CHECK(poll(&entry, 1, 1000) == -1 && errno == EINTR && count == 1);
	start_timer(10);
	CHECK(pause() == -1 && errno == EINTR && count == 2);
	if (!fork()) {
		usleep(50000);
		_exit(write(pipes[1], "x", 1) != 1);
	}
	start_timer(10);
	CHECK(wait(NULL) > 0 && count == 3);
	CHECK(read(pipes[0], &byte, 1) == 1);
	/* A socket with a time limit isn't restarted. */
	CHECK(!setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	start_timer(10);
	CHECK(recv(sockets[0], &byte, 1, 0) == -1 && errno == EINTR && count == 4);
	CHECK(recv(sockets[0], &byte, 1, 0) == -1 && errno == EAGAIN && count == 4);
}

static sigjmp_buf escape;
static char alternate[65536];
static volatile int is_on_alternate;

static void on_overflow(int signal, siginfo_t *info, void *context)
{
	char here;

	(void)info;
	(void)context;
	is_on_alternate = &here >= alternate && &here < alternate + sizeof(alternate);
	siglongjmp(escape, signal);
}

static volatile int deep_enough;

static int recurse(volatile char *below)
{
	volatile char frame[4096];

	frame[0] = below[0];
	return deep_enough ? frame[0] : recurse(frame) + frame[0];
}

static void test_overflow(void)
{
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)}, old;
	sigset_t mask;
	volatile char first = 0;

	CHECK(!sigaltstack(&stack, NULL));
	set_handler(SIGSEGV, on_overflow, SA_ONSTACK);
	for (int i = 0; i < 3; i++) {
		int signal = sigsetjmp(escape, 1);

		if (!signal)
			recurse(&first);
		CHECK(signal == SIGSEGV && is_on_alternate);
	}
	sigprocmask(SIG_BLOCK, NULL, &mask);
	CHECK(!sigismember(&mask, SIGSEGV));
	CHECK(!sigaltstack(NULL, &old) && old.ss_flags == 0);
	signal(SIGSEGV, SIG_DFL);
}

/* The program counter that a handler sees in a call is behind the call's instruction. */
static volatile unsigned char *seen_pc;

static void on_interrupt(int signal, siginfo_t *info, void *argument)
{
	ucontext_t *context = argument;

	(void)signal;
	(void)info;
	seen_pc = (unsigned char *)context->uc_mcontext.gregs[REG_RIP];
}

static void test_frame(void)
{
	set_handler(SIGALRM, on_interrupt, 0);
	start_timer(10);
	CHECK(nanosleep(&(struct timespec){1, 0}, NULL) == -1 && errno == EINTR);
	CHECK(seen_pc && seen_pc[-2] == 0x0f && seen_pc[-1] == 0x05);
}

static int end_of(void (*child)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		child();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void by_term(void)
{
	raise(SIGTERM);
}

static void by_pipe(void)
{
	int pipes[2];

	if (!pipe(pipes) && !close(pipes[0]))
		_exit(write(pipes[1], "x", 1) != 1);
}

static void by_ignored(void)
{
	raise(SIGCHLD);
	raise(SIGURG);
	signal(SIGTERM, SIG_IGN);
	raise(SIGTERM);
}

static void by_exec_mask(void)
{
	sigset_t set;

	/* What is blocked stays so over execve, and what is ignored too. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	execl("/bin/sh", "sh", "-c", "kill -TERM $$; exit 5", NULL);
}

static void test_defaults(void)
{
	int status;

	status = end_of(by_term);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	status = end_of(by_pipe);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
	CHECK(end_of(by_ignored) == 0);
	status = end_of(by_exec_mask);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

static void test_stop(void)
{
	int status;
	pid_t child = fork();

	if (!child) {
		for (;;)
			usleep(1000);
	}
	CHECK(!kill(child, SIGSTOP));
	CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) &&
	      WSTOPSIG(status) == SIGSTOP);
	CHECK(!kill(child, SIGCONT));
	CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
	CHECK(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child &&
	      WTERMSIG(status) == SIGKILL);
}

static void test_groups(void)
{
	pid_t children[3];
	int status;

	for (int i = 0; i < 3; i++) {
		children[i] = fork();
		if (!children[i])
			for (;;)
				pause();
		CHECK(!setpgid(children[i], children[0]));
	}
	CHECK(getpgid(children[2]) == children[0] && !kill(-children[0], SIGHUP));
	for (int i = 0; i < 3; i++)
		CHECK(waitpid(-children[0], &status, 0) > 0 && WTERMSIG(status) == SIGHUP);
	if (!fork())
		_exit(setsid() != getpid() || getsid(0) != getpid());
	CHECK(wait(&status) > 0 && status == 0);
}

static void test_timers(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
	struct itimerspec every = {{0, 10000000}, {0, 10000000}}, left;
	unsigned long expirations = 0;
	struct signalfd_siginfo info;
	timer_t timer;
	sigset_t set;
	int fd;

	event.sigev_value.sival_int = 77;
	set_handler(SIGRTMIN + 2, note, 0);
	CHECK(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	count = 0;
	CHECK(!timer_settime(timer, 0, &every, NULL));
	while (count < 5)
		pause();
	CHECK(order[0] == SIGRTMIN + 2 && values[0] == 77);
	CHECK(!timer_gettime(timer, &left) && left.it_interval.tv_nsec == 10000000);
	CHECK(!timer_delete(timer));
	fd = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK(fd >= 0 && !timerfd_settime(fd, 0, &every, NULL));
	usleep(35000);
	CHECK(read(fd, &expirations, 8) == 8 && expirations == 3);
	close(fd);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, 0);
	start_timer(10);
	CHECK(read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGALRM);
	CHECK(alarm(5) == 0 && alarm(0) == 5);
}

int main(void)
{
	test_queue();
	test_nesting();
	test_restart();
	test_overflow();
	test_frame();
	test_defaults();
	test_stop();
	test_groups();
	test_timers();
	return checks_end();
}
