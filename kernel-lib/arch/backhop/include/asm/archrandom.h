/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's "hardware" random numbers are the host's seeded ones: a run can be repeated. */
#ifndef _ASM_BACKHOP_ARCHRANDOM_H
#define _ASM_BACKHOP_ARCHRANDOM_H

#include <linux/types.h>

void bh_entropy(void *bytes, size_t len);

static inline size_t __must_check arch_get_random_longs(unsigned long *v, size_t max_longs)
{
	bh_entropy(v, max_longs * sizeof(*v));
	return max_longs;
}

static inline size_t __must_check arch_get_random_seed_longs(unsigned long *v, size_t max_longs)
{
	return arch_get_random_longs(v, max_longs);
}

#endif
