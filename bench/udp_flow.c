/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One end of a UDP flow, for bench/run's udp-chain: an ordinary dynamic executable that runs both
 * as a program on a simulated node and on the host (in network namespaces, the baseline).
 *
 *   udp_flow send ADDRESS PORT COUNT BYTES   sends COUNT datagrams back to back
 *   udp_flow sink PORT COUNT                 receives until COUNT have come or none came for 5 s;
 *                                            prints how many and the seconds it took; exits 1 if
 *                                            one is missing
 *
 * Before the flow the sender sends one datagram that the sink answers, so that every neighbour on
 * the way is resolved: a kernel keeps only few packets for a neighbour that is not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static int fail(const char *what)
{
	fprintf(stderr, "udp_flow: %s: %s\n", what, strerror(errno));
	return 2;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int run_send(const char *address, int port, long count, size_t bytes)
{
	static char payload[65000];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return fail("socket");
	if (bytes > sizeof(payload) || inet_pton(AF_INET, address, &to.sin_addr) != 1) {
		errno = EINVAL;
		return fail(address);
	}
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return fail("connect");
	if (send(fd, "hello", 5, 0) < 0 || recv(fd, payload, sizeof(payload), 0) < 0)
		return fail("the sink does not answer");
	for (long i = 0; i < count; i++) {
		while (send(fd, payload, bytes, 0) < 0) {
			if (errno != ENOBUFS)
				return fail("send");
		}
	}
	return 0;
}

static int run_sink(int port, long count)
{
	static char payload[65536];
	struct sockaddr_in self = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	struct timeval timeout = {.tv_sec = 5};
	int buffer_bytes = 1 << 30;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in peer;
	socklen_t peer_size = sizeof(peer);
	long received = 0;

	if (fd < 0)
		return fail("socket");
	/* Where the limit may be passed, pass it: a full buffer is not what is measured. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(buffer_bytes));
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0)
		return fail("bind");
	if (recvfrom(fd, payload, 5, 0, (struct sockaddr *)&peer, &peer_size) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    sendto(fd, "hello", 5, 0, (struct sockaddr *)&peer, peer_size) < 0)
		return fail("no hello");

	double start_s = now_s();
	while (received < count && recv(fd, payload, sizeof(payload), 0) >= 0)
		received++;
	printf("{\"received\": %ld, \"wall_s\": %.6f}\n", received, now_s() - start_s);
	return received == count ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "send"))
		return run_send(argv[2], atoi(argv[3]), atol(argv[4]), (size_t)atol(argv[5]));
	if (argc == 4 && !strcmp(argv[1], "sink"))
		return run_sink(atoi(argv[2]), atol(argv[3]));
	fprintf(stderr, "usage: udp_flow send ADDRESS PORT COUNT BYTES | sink PORT COUNT\n");
	return 2;
}
