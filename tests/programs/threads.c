/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run on a node by tests/unit/test_posix.c: threads. Locks and conditions under contention, time
 * limits, cancellation (which unwinds through a system call), thread-specific data and signals,
 * many threads, a thread that forks and one that executes.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/programs/check.h"

#define THREADS 40
#define ROUNDS	200

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static int counter, turn, cleaned_up;
static __thread int mine;

static void *count_up(void *argument)
{
	mine = (int)(long)argument;
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
		if (i % 16 == 0)
			usleep(10);
		pthread_rwlock_rdlock(&lock);
		pthread_rwlock_unlock(&lock);
	}
	return (void *)(long)mine;
}

static void test_many(void)
{
	pthread_t threads[THREADS];
	void *result;

	CHECK(!pthread_barrier_init(&barrier, NULL, THREADS));
	for (long i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, count_up, (void *)i));
	for (long i = 0; i < THREADS; i++)
		CHECK(!pthread_join(threads[i], &result) && result == (void *)i);
	CHECK(counter == THREADS * ROUNDS);
}

static void *play(void *argument)
{
	int me = (int)(long)argument;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != me)
			pthread_cond_wait(&condition, &mutex);
		turn = !me;
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_conditions(void)
{
	struct timespec limit;
	pthread_t other;
	double before;

	CHECK(!pthread_create(&other, NULL, play, (void *)1));
	play(NULL);
	CHECK(!pthread_join(other, NULL));
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 2;
	before = seconds();
	pthread_mutex_lock(&mutex);
	CHECK(pthread_cond_timedwait(&condition, &mutex, &limit) == ETIMEDOUT);
	CHECK(seconds() - before >= 1.99 && seconds() - before < 2.5);
	limit.tv_sec += 1;
	CHECK(!pthread_create(&other, NULL, play, NULL));
	CHECK(pthread_mutex_timedlock(&mutex, &limit) == ETIMEDOUT);
	turn = 0;
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != 1)
			pthread_cond_wait(&condition, &mutex);
		turn = 0;
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
	}
	CHECK(!pthread_join(other, NULL));
}

static void clean_up(void *argument)
{
	cleaned_up += (int)(long)argument;
}

static void *read_for_ever(void *argument)
{
	char byte;
	int fd = *(int *)argument;

	pthread_cleanup_push(clean_up, (void *)1);
	pthread_cleanup_push(clean_up, (void *)2);
	CHECK(read(fd, &byte, 1) == 0);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *wait_for_ever(void *argument)
{
	sem_t semaphore;

	(void)argument;
	sem_init(&semaphore, 0, 0);
	pthread_cleanup_push(clean_up, (void *)4);
	sem_wait(&semaphore);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *compute_for_ever(void *argument)
{
	(void)argument;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pthread_cleanup_push(clean_up, (void *)8);
	for (;;)
		sched_yield();
	pthread_cleanup_pop(0);
	return NULL;
}

static void test_cancellation(void)
{
	static void *(*const functions[])(void *) = {read_for_ever, wait_for_ever,
						     compute_for_ever};
	pthread_t thread;
	void *result;
	int pipes[2];

	CHECK(!pipe(pipes));
	for (int i = 0; i < 3; i++) {
		CHECK(!pthread_create(&thread, NULL, functions[i], pipes));
		usleep(1000);
		CHECK(!pthread_cancel(thread));
		CHECK(!pthread_join(thread, &result) && result == PTHREAD_CANCELED);
	}
	CHECK(cleaned_up == 15);
	close(pipes[0]);
	close(pipes[1]);
}

static volatile sig_atomic_t signalled;
static pthread_t signalled_thread;

static void on_signal(int signal)
{
	signalled = signal;
	signalled_thread = pthread_self();
}

static void *sleep_long(void *argument)
{
	struct timespec rest = {0};

	CHECK(nanosleep(&(struct timespec){100, 0}, &rest) == -1 && errno == EINTR);
	*(double *)argument = (double)rest.tv_sec;
	return NULL;
}

static void test_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread;
	double rest;
	sigset_t set;
	int received;

	sigaction(SIGUSR1, &action, NULL);
	CHECK(!pthread_create(&thread, NULL, sleep_long, &rest));
	usleep(1000);
	CHECK(!pthread_kill(thread, SIGUSR1));
	CHECK(!pthread_join(thread, NULL) && rest >= 99 && signalled == SIGUSR1);
	CHECK(pthread_equal(signalled_thread, thread));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	CHECK(!kill(getpid(), SIGUSR2) && !sigwait(&set, &received) && received == SIGUSR2);
}

static void *fork_one(void *argument)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(syscall(SYS_gettid) == getpid() ? 7 : 1);
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
	return argument;
}

static void *execute(void *argument)
{
	execl("/bin/sh", "sh", "-c", "exit 9", NULL);
	return argument;
}

static void test_processes(void)
{
	pthread_t thread;
	int status;
	pid_t child;

	CHECK(!pthread_create(&thread, NULL, fork_one, NULL) && !pthread_join(thread, NULL));
	child = fork();
	if (!child) {
		/* One of two threads executes: the other is gone, the process stays. */
		pthread_create(&thread, NULL, execute, NULL);
		pause();
	}
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 9);
	child = fork();
	if (!child) {
		pthread_create(&thread, NULL, wait_for_ever, NULL);
		usleep(1000);
		_exit(3);
	}
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
}

int main(void)
{
	test_many();
	test_conditions();
	test_cancellation();
	test_signals();
	test_processes();
	return checks_end();
}
