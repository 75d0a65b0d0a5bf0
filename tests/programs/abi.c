/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run on a node by tests/unit/test_posix.c: what a program may expect of Linux on x86-64 in memory,
 * signals and the processor. Prints a line for each thing that isn't so, and exits with 1 then.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

static int failures;
static void *volatile bad = (void *)16;

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("line %d: not %s (errno %d)\n", __LINE__, #condition, errno);       \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

static sigjmp_buf escape;
static volatile sig_atomic_t last_signal, last_code;
static void *volatile last_address, *volatile handler_stack;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	char here;

	(void)context;
	last_signal = signal;
	last_code = info->si_code;
	last_address = info->si_addr;
	handler_stack = &here;
	siglongjmp(escape, 1);
}

static void on_alarm(int signal)
{
	last_signal = signal;
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	CHECK(!sigaction(signal, &action, NULL));
}

static void test_memory(void)
{
	char *map =
		mmap(NULL, 10 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *moved;

	CHECK(map != MAP_FAILED);
	strcpy(map, "here");
	CHECK(!munmap(map + 4096, 4096));
	CHECK(mprotect(map, 3 * 4096, PROT_READ) == -1 && errno == ENOMEM);
	CHECK(mmap(map, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		   0) == MAP_FAILED &&
	      errno == EEXIST);
	CHECK(mmap((void *)0x7f0000000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) == MAP_FAILED &&
	      errno == ENOMEM);
	moved = mremap(map, 4096, 1 << 20, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && !strcmp(moved, "here"));
	CHECK(!madvise(moved, 4096, MADV_DONTNEED) && !moved[0]);
	unsigned char resident[3] = {9, 9, 9};

	CHECK(!mincore(moved, 5000, resident) && resident[0] == 1 && resident[1] == 1);
	CHECK(resident[2] == 9 && mincore((void *)4096, 4096, resident) == -1 && errno == ENOMEM);
	CHECK(mincore(moved, 4096, bad) == -1 && errno == EFAULT);
	CHECK(mremap(moved, 1 << 20, 4096, 0) == moved);
	CHECK(!munmap(moved, 1 << 20));
	char *heap = sbrk(1 << 20);

	CHECK(heap != (void *)-1);
	memset(heap, 7, 1 << 20);
	CHECK(sbrk(-(1 << 20)) == heap + (1 << 20));
	CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED && errno == EBADF);
}

static void test_bad_pointers(void)
{
	int pipes[2];

	CHECK(!pipe(pipes));
	CHECK(write(pipes[1], bad, 4) == -1 && errno == EFAULT);
	CHECK(write(pipes[1], "abcd", 4) == 4);
	CHECK(read(pipes[0], bad, 4) == -1 && errno == EFAULT);
	CHECK(open(bad, O_RDONLY) == -1 && errno == EFAULT);
	CHECK(syscall(SYS_clock_gettime, 0, (void *)"constant") == -1 && errno == EFAULT);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_faults(void)
{
	static char stack[65536];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};

	CHECK(!sigaltstack(&alternate, NULL));
	handle(SIGSEGV, on_fault, SA_ONSTACK);
	handle(SIGFPE, on_fault, 0);
	handle(SIGILL, on_fault, 0);
	if (!sigsetjmp(escape, 1))
		*(volatile int *)bad = 1;
	CHECK(last_signal == SIGSEGV && last_address == (void *)16 && last_code == SEGV_MAPERR);
	CHECK((char *)handler_stack >= stack && (char *)handler_stack < stack + sizeof(stack));
	if (!sigsetjmp(escape, 1))
		*(volatile char *)"constant" = 1;
	CHECK(last_signal == SIGSEGV && last_code == SEGV_ACCERR);
	if (!sigsetjmp(escape, 1))
		((void (*)(void))0x1230)();
	CHECK(last_signal == SIGSEGV && last_address == (void *)0x1230);
	if (!sigsetjmp(escape, 1))
		asm volatile("idivl %0" : : "r"(0), "a"(1), "d"(0));
	CHECK(last_signal == SIGFPE && last_code == FPE_INTDIV);
	if (!sigsetjmp(escape, 1))
		asm volatile("ud2");
	CHECK(last_signal == SIGILL);
	handle(SIGTRAP, on_fault, 0);
	if (!sigsetjmp(escape, 1))
		asm volatile("int3");
	CHECK(last_signal == SIGTRAP);
	signal(SIGSEGV, SIG_DFL);
}

static void test_interruption(void)
{
	struct itimerval soon = {.it_value = {0, 20000}};
	struct timespec pause_time = {1, 0}, rest;
	int pipes[2];
	char byte;
	struct sigaction action = {.sa_handler = on_alarm};

	CHECK(!pipe(pipes));
	CHECK(!sigaction(SIGALRM, &action, NULL));
	CHECK(!setitimer(ITIMER_REAL, &soon, NULL));
	last_signal = 0;
	CHECK(read(pipes[0], &byte, 1) == -1 && errno == EINTR && last_signal == SIGALRM);
	CHECK(!setitimer(ITIMER_REAL, &soon, NULL));
	CHECK(nanosleep(&pause_time, &rest) == -1 && errno == EINTR);
	CHECK(rest.tv_sec == 0 && rest.tv_nsec > 970000000 && rest.tv_nsec <= 980000100);
	action.sa_flags = SA_RESTART;
	CHECK(!sigaction(SIGALRM, &action, NULL));
	if (!fork()) {
		nanosleep(&(struct timespec){0, 100000000}, NULL);
		_exit(write(pipes[1], "x", 1) != 1);
	}
	CHECK(!setitimer(ITIMER_REAL, &soon, NULL));
	last_signal = 0;
	CHECK(read(pipes[0], &byte, 1) == 1 && byte == 'x' && last_signal == SIGALRM);
	CHECK(wait(NULL) > 0);
}

static volatile double in_handler;

static void on_user(int signal, siginfo_t *info, void *argument)
{
	ucontext_t *context = argument;
	volatile double a = 1.5, b = 2.25;

	(void)signal;
	(void)info;
	in_handler = a * b;
	asm volatile("pxor %%xmm7, %%xmm7" : : : "xmm7");
	context->uc_mcontext.gregs[REG_R12] += 1;
}

/* FP and general registers survive a handler; what it writes to its context is loaded. */
static void test_registers(void)
{
	long ret = SYS_kill, pid = getpid();
	uint64_t low, high;

	handle(SIGUSR1, on_user, 0);
	register uint64_t r12 asm("r12") = 41;

	asm volatile("mov $0x123456789abcdef0, %%rcx\n"
		     "movq %%rcx, %%xmm7\n"
		     "movlhps %%xmm7, %%xmm7\n"
		     "syscall\n"
		     "movq %%xmm7, %1\n"
		     "movhlps %%xmm7, %%xmm7\n"
		     "movq %%xmm7, %2\n"
		     : "+a"(ret), "=&r"(low), "=&r"(high), "+r"(r12)
		     : "D"(pid), "S"((long)SIGUSR1)
		     : "rcx", "r11", "xmm7", "memory");
	uint64_t changed = r12;

	CHECK(ret == 0 && low == 0x123456789abcdef0 && high == low);
	CHECK(changed == 42 && in_handler == 3.375);
}

static void test_processor(void)
{
	unsigned int a, b, c, d, leaf = 1;
	uint64_t before, after;

	/* In asm, since a compiler may have called __get_cpuid() long before. */
	asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(0));
	CHECK(c & bit_SSE4_2 && !(c & bit_AVX) && !(c & bit_RDRND) && !(c & bit_OSXSAVE));
	CHECK(!__builtin_cpu_supports("avx2") && __builtin_cpu_supports("sse4.2"));
	before = __rdtsc();
	nanosleep(&(struct timespec){0, 1000}, NULL);
	after = __rdtscp(&a);
	CHECK(after - before >= 1000 && after - before < 100000);
	CHECK(a == 0);
}

static __thread int of_thread = 5;

static void *thread(void *argument)
{
	CHECK(of_thread == 5);
	of_thread = 6;
	return (char *)argument + 1;
}

static void test_threads(void)
{
	pthread_t threads[8];

	for (long i = 0; i < 8; i++)
		CHECK(!pthread_create(&threads[i], NULL, thread, (void *)i));
	for (long i = 0; i < 8; i++) {
		void *result = NULL;

		CHECK(!pthread_join(threads[i], &result));
		CHECK(result == (void *)(i + 1));
	}
	CHECK(of_thread == 5);
}

/* Parent and child have the same addresses and different memory, also while both wait. */
static void test_fork(void)
{
	static volatile int value = 1;
	int *heap = malloc(sizeof(*heap)), status, to_child[2], to_parent[2], got = 0;
	pid_t pid;

	*heap = 10;
	CHECK(!pipe(to_child) && !pipe(to_parent));
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 20; i++) {
			if (read(to_child[0], &got, sizeof(got)) != sizeof(got) || got != i)
				_exit(1);
			value += 100;
			*heap += 1000;
			got = value + *heap;
			if (write(to_parent[1], &got, sizeof(got)) != sizeof(got))
				_exit(2);
		}
		_exit(value == 2001 && *heap == 20010 ? 9 : 3);
	}
	CHECK(pid > 0);
	for (int i = 0; i < 20; i++) {
		value++;
		CHECK(write(to_child[1], &i, sizeof(i)) == sizeof(i));
		CHECK(read(to_parent[0], &got, sizeof(got)) == sizeof(got));
		CHECK(got == 1 + 10 + (i + 1) * 1100);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 9);
	CHECK(value == 21 && *heap == 10);
	free(heap);
}

static void test_refused(void)
{
	CHECK(syscall(SYS_perf_event_open, 0, 0, 0, 0, 0) == -1 && errno == ENOSYS);
	CHECK(syscall(9999) == -1 && errno == ENOSYS);
	CHECK(syscall(400) == -1 && errno == ENOSYS);
}

int main(void)
{
	test_memory();
	test_bad_pointers();
	test_faults();
	test_interruption();
	test_registers();
	test_processor();
	test_threads();
	test_fork();
	test_refused();
	if (!failures)
		printf("all as on Linux\n");
	return failures != 0;
}
