/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers for the fuzzers and tests that want the same ones at each run (xorshift, G. Marsaglia).
 */
#ifndef BH_TESTS_RANDOM_H
#define BH_TESTS_RANDOM_H

#include <stdint.h>

static uint64_t random_next(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

#endif
