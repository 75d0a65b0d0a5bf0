/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much a program may hand to the next, and how large a file may be that programs share through
 * their mappings. Run on nodes by tests/net/limits; on the host, too, all must be so.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define STRING_MAX 131071 /* without the zero: 32 pages with it */

extern char **environ;

/* Runs a program with so many arguments of so many bytes; what posix_spawn() says. */
static int hand_over(size_t length, size_t count, int is_environment)
{
	char **list = calloc(count + 2, sizeof(*list));
	char *none[] = {"true", NULL};
	int status = 0, ret;
	pid_t pid;

	list[0] = "x=";
	for (size_t i = 1; i <= count; i++) {
		list[i] = malloc(length + 1);
		memset(list[i], 'x', length);
		list[i][length] = '\0';
	}
	ret = posix_spawn(&pid, "/bin/true", NULL, NULL, is_environment ? none : list,
			  is_environment ? list : none);
	if (!ret)
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	for (size_t i = 1; i <= count; i++)
		free(list[i]);
	free(list);
	return ret;
}

static void test_arguments(void)
{
	for (int is_environment = 0; is_environment < 2; is_environment++) {
		CHECK(hand_over(STRING_MAX, 1, is_environment) == 0);
		CHECK(hand_over(STRING_MAX + 1, 1, is_environment) == E2BIG);
		/* All together, with the pointers: a quarter of the stack. */
		CHECK(hand_over(STRING_MAX, 15, is_environment) == 0);
		CHECK(hand_over(STRING_MAX, 16, is_environment) == E2BIG);
		CHECK(hand_over(1, 200000, is_environment) == 0);
		CHECK(hand_over(1, 220000, is_environment) == E2BIG);
	}
}

/* What is written through one mapping is in the file and in another process. */
static void test_large_mapping(int fd, size_t size)
{
	int status = 0;
	char byte = 0;
	char *memory;

	CHECK(fd >= 0 && ftruncate(fd, 1) == 0 && pwrite(fd, "begin", 5, 0) == 5);
	CHECK(!ftruncate(fd, (off_t)size));
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED);
	if (memory == MAP_FAILED)
		return;
	CHECK(!memcmp(memory, "begin", 6));
	if (!fork()) {
		memory[size - 1] = 'c';
		memory[size / 2] = 'm';
		_exit(0);
	}
	CHECK(wait(&status) > 0 && !status);
	CHECK(memory[size - 1] == 'c' && memory[size / 2] == 'm' && memory[size / 2 + 1] == 0);
	CHECK(pread(fd, &byte, 1, (off_t)size - 1) == 1 && byte == 'c');
	CHECK(pwrite(fd, "w", 1, 8192) == 1 && memory[8192] == 'w');
	CHECK(lseek(fd, 0, SEEK_END) == (off_t)size);
	CHECK(!munmap(memory, size));
	close(fd);
}

static void test_sharing(void)
{
	test_large_mapping(open("/var/tmp/large", O_RDWR | O_CREAT | O_TRUNC, 0600), 5 << 20);
	CHECK(!unlink("/var/tmp/large"));
	test_large_mapping(shm_open("/backhop-limits", O_RDWR | O_CREAT, 0600), (16 << 20) + 100);
	CHECK(!shm_unlink("/backhop-limits"));
	test_large_mapping(memfd_create("large", 0), 20 << 20);
}

int main(void)
{
	test_arguments();
	test_sharing();
	return checks_end();
}
