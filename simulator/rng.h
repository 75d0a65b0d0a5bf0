/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seeded random numbers. There is one generator per purpose and name ("loss" and the two ends of a
 * link, "entropy" and a node), derived from the scenario's seed and these words only, so that
 * adding a node or a link doesn't shift the numbers of another. Used by simulator/.
 */
#ifndef BH_SIMULATOR_RNG_H
#define BH_SIMULATOR_RNG_H

#include <stddef.h>
#include <stdint.h>

struct bh_rng {
	uint64_t state[4];
};

void bh_rng_init(struct bh_rng *rng, uint64_t seed, const char *purpose, const char *name);
uint64_t bh_rng_next(struct bh_rng *rng);
/* Uniform in 0 … bound - 1; bound is not 0. */
uint64_t bh_rng_below(struct bh_rng *rng, uint64_t bound);
void bh_rng_fill(struct bh_rng *rng, void *bytes_ret, size_t length);

#endif
