/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run on a node by tests/unit/test_posix.c: memory that processes share. Anonymous over fork, with
 * locks in it; files in memory, named and not; System V; what a file and its mapping have in
 * common.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/programs/check.h"

#define ROUNDS 50

/* What nginx and Apache have: counters and locks, mapped before the fork. */
struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	sem_t semaphore;
	int turn, sum;
};

static void take_turns(struct shared *shared, int me)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&shared->mutex);
		while (shared->turn != me)
			pthread_cond_wait(&shared->changed, &shared->mutex);
		shared->sum = shared->sum * 3 + me;
		shared->turn = !me;
		pthread_cond_broadcast(&shared->changed);
		pthread_mutex_unlock(&shared->mutex);
	}
}

static void prepare(struct shared *shared)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t changed;

	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->mutex, &mutex);
	pthread_condattr_init(&changed);
	pthread_condattr_setpshared(&changed, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&shared->changed, &changed);
	sem_init(&shared->semaphore, 1, 0);
}

static void test_anonymous(void)
{
	struct shared *shared =
		mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *other;
	int status, private = 1;
	unsigned int sum = 0;

	CHECK(shared != MAP_FAILED);
	prepare(shared);
	other = (char *)shared + (8 << 20) - 1;
	pid_t child = fork();

	if (!child) {
		private = 2;
		*other = 'x';
		sem_post(&shared->semaphore);
		take_turns(shared, 1);
		munmap(shared, 8 << 20);
		_exit(private);
	}
	CHECK(!sem_wait(&shared->semaphore) && *other == 'x' && private == 1);
	take_turns(shared, 0);
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 2);
	for (int i = 0; i < 2 * ROUNDS; i++)
		sum = sum * 3 + (unsigned int)(i & 1);
	CHECK((unsigned int)shared->sum == sum);
	CHECK(!munmap((char *)shared + (4 << 20), 4 << 20));
	shared->sum = 5;
	CHECK(!munmap(shared, 4 << 20));
}

/* A grandchild, whose parent is gone, still has it; and one process more than windows at a time. */
static void test_generations(void)
{
	volatile int *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pipes[2], status;
	char byte;

	CHECK(!pipe(pipes));
	if (!fork()) {
		shared[0] = 1;
		if (!fork()) {
			close(pipes[1]);
			while (read(pipes[0], &byte, 1) == 1)
				;
			shared[1] = shared[0] + 1;
			_exit(0);
		}
		_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0);
	shared[0] = 10;
	close(pipes[0]);
	close(pipes[1]);
	for (int i = 0; i < 100 && !shared[1]; i++)
		usleep(1000);
	CHECK(shared[1] == 11);
	for (int i = 0; i < 100; i++)
		if (!fork()) {
			__atomic_add_fetch(&shared[2], 1, __ATOMIC_SEQ_CST);
			usleep(100000);
			_exit(0);
		}
	while (wait(&status) > 0)
		CHECK(status == 0);
	CHECK(shared[2] == 100);
}

/* The bytes of the file are those of the mapping, in every process. */
static void check_file(int fd, const char *what)
{
	char text[16] = "";
	char *map = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *again;
	int status;

	if (map == MAP_FAILED) {
		printf("%s: no mapping\n", what);
		CHECK(map != MAP_FAILED);
		return;
	}
	CHECK(pwrite(fd, "written", 7, 4090) == 7 && !memcmp(map + 4090, "written", 7));
	if (!fork()) {
		memcpy(map + 4090, "by the child", 12);
		_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(!memcmp(map + 4090, "by the child", 12));
	CHECK(pread(fd, text, 12, 4090) == 12 && !strcmp(text, "by the child"));
	again = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
	CHECK(again != MAP_FAILED && again[0] == map[4096]);
	again[1] = '!';
	CHECK(map[4097] == '!');
	CHECK(!munmap(map, 4096) && again[1] == '!');
	close(fd);
	again[2] = '?';
}

static void test_files(void)
{
	int fd = memfd_create("nothing", MFD_CLOEXEC);
	char block[6000];
	sem_t *semaphore;

	CHECK(fd >= 0 && !ftruncate(fd, 10000));
	check_file(fd, "memfd");
	fd = shm_open("/name", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && !ftruncate(fd, 10000));
	check_file(fd, "shm_open");
	CHECK(!shm_unlink("/name"));
	/* Written bit by bit, so that its pages came one by one. */
	fd = open("/tmp/grown", O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (int i = 0; i < 4; i++) {
		memset(block, 'a' + i, sizeof(block));
		CHECK(write(fd, block, sizeof(block)) == sizeof(block));
		CHECK(open("/tmp/between", O_RDWR | O_CREAT, 0600) >= 0);
	}
	check_file(fd, "a grown file");
	CHECK(!unlink("/tmp/grown") && !unlink("/tmp/between"));
	semaphore = sem_open("/semaphore", O_CREAT, 0600, 0);
	CHECK(semaphore != SEM_FAILED);
	if (!fork())
		_exit(sem_post(semaphore) != 0);
	CHECK(!sem_wait(semaphore) && !sem_unlink("/semaphore"));
	wait(NULL);
}

static void test_large_file(void)
{
	int fd = open("/tmp/large", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct stat status;
	char byte = 1;

	CHECK(!ftruncate(fd, 20 << 20) && !fstat(fd, &status) && status.st_size == 20 << 20);
	CHECK(pread(fd, &byte, 1, 19 << 20) == 1 && byte == 0);
	CHECK(!unlink("/tmp/large"));
}

static void test_system_v(void)
{
	int id = shmget(IPC_PRIVATE, 100000, IPC_CREAT | 0600), status;
	struct shmid_ds description;
	char *memory = shmat(id, NULL, 0);

	CHECK(id >= 0 && memory != (char *)-1);
	if (id < 0 || memory == (char *)-1)
		return;
	strcpy(memory + 70000, "parent");
	pid_t child = fork();

	if (!child) {
		int same = !strcmp(memory + 70000, "parent");

		strcpy(memory + 70000, "child");
		_exit(!same || shmdt(memory));
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(!strcmp(memory + 70000, "child"));
	CHECK(!shmctl(id, IPC_STAT, &description) && description.shm_segsz == 100000);
	CHECK(!shmctl(id, IPC_RMID, NULL) && !shmdt(memory));
}

int main(void)
{
	test_anonymous();
	test_generations();
	test_files();
	test_large_file();
	test_system_v();
	return checks_end();
}
