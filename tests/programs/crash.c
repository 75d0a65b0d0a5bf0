/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Crashes three functions deep: its report is looked at by tests/net/processes. */
#include <stdlib.h>

static __attribute__((noinline)) int innermost(volatile int *nowhere)
{
	*nowhere = 1;
	return *nowhere + 1;
}

static __attribute__((noinline)) int middle(volatile int *nowhere)
{
	return innermost(nowhere) + 1;
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		abort();
	return middle((volatile int *)(long)(argc + 15)) + 1;
}
