/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much a program may hand to the next, how large a file may be that programs share through
 * their mappings, and what stamps and limits of time sockets have. Run on nodes by
 * tests/net/limits; on the host, too, all must be so.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
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

static int64_t now_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

/* When a datagram came: between when it was sent and now, by the clock that the program sees. */
static void test_stamps(int option, int type)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	char byte, control[256];
	struct iovec vector = {&byte, 1};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	socklen_t length = sizeof(address);
	int64_t before, stamp = 0;
	long parts[2];

	CHECK(!bind(fd, (struct sockaddr *)&address, length));
	CHECK(!getsockname(fd, (struct sockaddr *)&address, &length));
	CHECK(!setsockopt(fd, SOL_SOCKET, option, &one, sizeof(one)));
	/* A kernel begins to stamp a little later. */
	usleep(20000);
	before = now_us(CLOCK_REALTIME);
	CHECK(sendto(fd, "x", 1, 0, (struct sockaddr *)&address, length) == 1);
	usleep(20000);
	CHECK(recvmsg(fd, &message, 0) == 1);
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at))
		if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == type) {
			memcpy(parts, CMSG_DATA(at), sizeof(parts));
			stamp = parts[0] * 1000000ll +
				(option == SO_TIMESTAMP ? parts[1] : parts[1] / 1000);
		}
	CHECK(stamp >= before && stamp <= now_us(CLOCK_REALTIME) - 20000);
	close(fd);
}

static void test_limits_of_time(void)
{
	struct timeval limit = {0, 250000}, got;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t length = sizeof(got);
	int64_t before = now_us(CLOCK_MONOTONIC), passed;
	struct itimerval every = {{0, 30000}, {0, 30000}}, left;
	sigset_t set;
	int signal;
	char byte;

	CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	CHECK(!getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &length));
	CHECK(got.tv_usec >= 250000 && got.tv_usec < 270000);
	CHECK(recv(fd, &byte, 1, 0) == -1 && errno == EAGAIN);
	passed = now_us(CLOCK_MONOTONIC) - before;
	CHECK(passed >= 245000 && passed < 2000000);
	close(fd);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	before = now_us(CLOCK_MONOTONIC);
	CHECK(!setitimer(ITIMER_REAL, &every, NULL));
	for (int i = 0; i < 4; i++)
		CHECK(!sigwait(&set, &signal) && signal == SIGALRM);
	passed = now_us(CLOCK_MONOTONIC) - before;
	CHECK(passed >= 119000 && passed < 2000000);
	CHECK(!getitimer(ITIMER_REAL, &left) && left.it_interval.tv_usec == 30000);
	CHECK(left.it_value.tv_usec > 0 && left.it_value.tv_usec <= 30000);
}

int main(void)
{
	test_arguments();
	test_sharing();
	test_stamps(SO_TIMESTAMP, SCM_TIMESTAMP);
	test_stamps(SO_TIMESTAMPNS, SCM_TIMESTAMPNS);
	test_limits_of_time();
	return checks_end();
}
