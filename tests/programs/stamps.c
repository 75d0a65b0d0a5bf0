/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stamps and limits of time that sockets have, and interval timers. Run on nodes by
 * tests/net/stamps; on the host, too, all must be so.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

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
	test_stamps(SO_TIMESTAMP, SCM_TIMESTAMP);
	test_stamps(SO_TIMESTAMPNS, SCM_TIMESTAMPNS);
	test_limits_of_time();
	return checks_end();
}
