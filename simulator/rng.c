/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The generator is xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2018), its state is filled by splitmix64: see rng.h for why there are many of them.
 */
#include "simulator/rng.h"

#include <assert.h>
#include <string.h>

#include "common/hash.h"

static uint64_t rotate_left(uint64_t value, unsigned int bits)
{
	return value << bits | value >> (64 - bits);
}

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t mixed = *state += 0x9e3779b97f4a7c15u;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
	return mixed ^ mixed >> 31;
}

void bh_rng_init(struct bh_rng *rng, uint64_t seed, const char *purpose, const char *name)
{
	const uint64_t words[] = {seed, bh_hash64(purpose, strlen(purpose)),
				  bh_hash64(name, strlen(name))};
	uint64_t state = bh_hash64(words, sizeof(words));

	for (size_t i = 0; i < 4; i++)
		rng->state[i] = splitmix64(&state);
}

uint64_t bh_rng_next(struct bh_rng *rng)
{
	uint64_t *s = rng->state;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t bh_rng_below(struct bh_rng *rng, uint64_t bound)
{
	assert(bound > 0);
	/* Draws below this would make small results a little more likely than large ones. */
	uint64_t threshold = -bound % bound;
	uint64_t draw;

	do {
		draw = bh_rng_next(rng);
	} while (draw < threshold);
	return draw % bound;
}

void bh_rng_fill(struct bh_rng *rng, void *bytes_ret, size_t length)
{
	unsigned char *bytes = bytes_ret;

	while (length > 0) {
		uint64_t draw = bh_rng_next(rng);
		size_t part = length < sizeof(draw) ? length : sizeof(draw);

		memcpy(bytes, &draw, part);
		bytes += part;
		length -= part;
	}
}
