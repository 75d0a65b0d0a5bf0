/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a unit test says: a line for each check (Test Anything Protocol). */
#ifndef BH_TESTS_TAP_H
#define BH_TESTS_TAP_H

#include <stdio.h>
#include <stdlib.h>

#include "common/error.h"

static int test_number, failures;

static void check(int is_ok, const char *what)
{
	test_number++;
	failures += !is_ok;
	printf("%s %d - %s\n", is_ok ? "ok" : "not ok", test_number, what);
	fflush(stdout);
}

static void must(struct bh_error *error)
{
	if (error) {
		printf("Bail out! %s\n", error->message);
		exit(1);
	}
}

#endif
