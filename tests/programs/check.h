/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For programs that check what they see of Linux themselves, on a node or on the host: a line for
 * each thing that isn't so, and "all as on Linux" if there is none. Include it in one file.
 */
#ifndef BH_TESTS_CHECK_H
#define BH_TESTS_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int failures;

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("line %d: not %s (errno %d)\n", __LINE__, #condition, errno);       \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

static int checks_end(void)
{
	if (!failures)
		printf("all as on Linux\n");
	return failures != 0;
}

#endif
