/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers: the published generator, independent streams, fair draws. */
#include "simulator/rng.h"

#include <stdio.h>
#include <string.h>

static int test_count, failure_count;

static void check(int is_ok, const char *text)
{
	printf("%s %d - %s\n", is_ok ? "ok" : "not ok", ++test_count, text);
	failure_count += !is_ok;
}

static void test_generator(void)
{
	/* First outputs of xoshiro256** from the state 1, 2, 3, 4, as its authors' code gives. */
	static const uint64_t expected[] = {11520u, 0u, 1509978240u, 1215971899390074240u};
	struct bh_rng rng = {{1, 2, 3, 4}};
	int is_ok = 1;

	for (size_t i = 0; i < 4; i++)
		is_ok &= bh_rng_next(&rng) == expected[i];
	check(is_ok, "the generator is xoshiro256**");
}

static uint64_t first_of(uint64_t seed, const char *purpose, const char *name)
{
	struct bh_rng rng;

	bh_rng_init(&rng, seed, purpose, name);
	return bh_rng_next(&rng);
}

static void test_streams(void)
{
	uint64_t first = first_of(7, "loss", "a:eth0 b:eth0");

	check(first == first_of(7, "loss", "a:eth0 b:eth0"), "equal words give equal numbers");
	check(first != first_of(8, "loss", "a:eth0 b:eth0"), "another seed gives others");
	check(first != first_of(7, "entropy", "a:eth0 b:eth0"), "another purpose gives others");
	check(first != first_of(7, "loss", "b:eth0 a:eth0"), "the other direction gives others");
	check(first_of(0, "", "") != first_of(0, "", "x"), "empty words are words");
}

static void test_draws(void)
{
	struct bh_rng rng;
	unsigned int counts[10] = {0};
	unsigned char bytes[19], zero[19] = {0};
	int is_fair = 1;

	bh_rng_init(&rng, 1, "test", "draws");
	for (int i = 0; i < 100000; i++)
		counts[bh_rng_below(&rng, 10)]++;
	for (int i = 0; i < 10; i++)
		is_fair &= counts[i] > 9600 && counts[i] < 10400;
	check(is_fair, "100000 draws below 10 are spread evenly");
	check(bh_rng_below(&rng, 1) == 0, "below 1 there is only 0");
	memset(bytes, 0, sizeof(bytes));
	bh_rng_fill(&rng, bytes, 17);
	check(memcmp(bytes, zero, 17) != 0 && bytes[17] == 0 && bytes[18] == 0,
	      "fill writes as much as it is told");
}

int main(void)
{
	test_generator();
	test_streams();
	test_draws();
	printf("1..%d\n", test_count);
	return failure_count > 0;
}
