/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * send ADDRESS: sends two datagrams to the discard port there, by way of functions of its own.
 * tests/gdb/backtrace-program looks at the stack while the driver has them, tests/gdb/sendto goes
 * from here to where they arrive and back.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static __attribute__((noinline)) long send_one(int fd, const struct sockaddr_in *to)
{
	long sent = sendto(fd, "data", 4, 0, (const struct sockaddr *)to, sizeof(*to));

	/* Not a tail call: this function stays on the stack. */
	return sent == 4 ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 2 || fd < 0 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	/* The first waits for the address to be resolved, the second is sent at once. */
	if (send_one(fd, &to))
		return 1;
	usleep(100000);
	if (send_one(fd, &to))
		return 1;
	/* It is still there when the datagram arrives. */
	usleep(50000);
	return 0;
}
