/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Crashes three functions deep, or with "spin" computes there without end: the reports are looked
 * at by tests/net/processes and tests/net/reports. */
#include <stdlib.h>
#include <string.h>

static volatile int is_to_spin;
static volatile unsigned long turns; /* doesn't come round in the time of a test */

static __attribute__((noinline)) int innermost(volatile int *nowhere)
{
	while (is_to_spin)
		turns++;
	*nowhere = 1;
	return *nowhere + 1;
}

static __attribute__((noinline)) int middle(volatile int *nowhere)
{
	return innermost(nowhere) + 1;
}

int main(int argc, char **argv)
{
	is_to_spin = argc > 1 && strcmp(argv[1], "spin") == 0;
	if (argc > 1 && !is_to_spin)
		abort();
	return middle((volatile int *)(long)(argc + 15)) + 1;
}
