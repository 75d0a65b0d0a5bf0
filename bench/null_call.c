/* SPDX-License-Identifier: GPL-2.0-or-later */
/* null_call COUNT: makes so many system calls that do next to nothing. For bench/run syscall. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc == 2 ? atol(argv[1]) : 0;

	while (count-- > 0)
		getppid();
	return argc != 2;
}
