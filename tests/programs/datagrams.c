/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flow of numbered datagrams, for tests that look at the wire (tests/net):
 *
 *   datagrams send ADDRESS PORT COUNT GAP_US [BYTES]   one after the other, GAP_US apart
 *   datagrams receive PORT [SECONDS]                   until none came for so long (8)
 *
 * The receiver prints how many came, how many different ones, and how many came after a later one;
 * it exits with 1 if one isn't what was sent.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS_MAX 1000000u

static int fail(const char *what)
{
	fprintf(stderr, "datagrams: %s: %s\n", what, strerror(errno));
	return 2;
}

/* The number, over and over. */
static void fill(unsigned char *payload, size_t bytes, uint32_t number)
{
	uint32_t word = htobe32(number);

	for (size_t i = 0; i < bytes; i++)
		payload[i] = ((unsigned char *)&word)[i % 4];
}

static int run_send(const char *address, int port, uint32_t count, long gap_us, size_t bytes)
{
	static unsigned char payload[65000];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct timespec gap = {gap_us / 1000000, gap_us % 1000000 * 1000};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	errno = EINVAL;
	if (bytes > sizeof(payload) || inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return fail(address);
	for (uint32_t number = 0; number < count; number++) {
		fill(payload, bytes, number);
		if (sendto(fd, payload, bytes, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			return fail("sendto");
		if (gap_us > 0)
			nanosleep(&gap, NULL);
	}
	return 0;
}

static int run_receive(int port, long seconds)
{
	static unsigned char payload[65536], wanted[65536], seen[NUMBERS_MAX];
	struct sockaddr_in self = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct timeval timeout = {.tv_sec = seconds};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer_bytes = 1 << 24;
	unsigned int all = 0, different = 0, late = 0;
	uint32_t newest = 0;
	ssize_t length;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(buffer_bytes));
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return fail("bind");
	while ((length = recv(fd, payload, sizeof(payload), 0)) >= 4) {
		uint32_t number;

		memcpy(&number, payload, sizeof(number));
		number = be32toh(number);
		fill(wanted, (size_t)length, number);
		if (number >= NUMBERS_MAX || memcmp(payload, wanted, (size_t)length) != 0) {
			fprintf(stderr, "datagrams: a damaged datagram got through\n");
			return 1;
		}
		all++;
		different += !seen[number]++;
		late += number < newest;
		newest = number > newest ? number : newest;
	}
	printf("%u %u %u\n", all, different, late);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 6 && strcmp(argv[1], "send") == 0)
		return run_send(argv[2], atoi(argv[3]), (uint32_t)atol(argv[4]), atol(argv[5]),
				argc > 6 ? (size_t)atol(argv[6]) : 400);
	if (argc >= 3 && strcmp(argv[1], "receive") == 0)
		return run_receive(atoi(argv[2]), argc > 3 ? atol(argv[3]) : 8);
	fprintf(stderr, "usage: datagrams send ADDRESS PORT COUNT GAP_US [BYTES]\n"
			"       datagrams receive PORT [SECONDS]\n");
	return 2;
}
