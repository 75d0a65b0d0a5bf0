/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes the scenario parser. With libFuzzer:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -DBH_LIBFUZZER -I. -D_GNU_SOURCE \
 *     tests/fuzz/fuzz_scenario.c common/{error,event,frame_filter,hash,suggest}.c \
 *     simulator/{scenario*,units,shell_words,yaml_tree,name_table}.c -lyaml -lxxhash -lpcap
 * Without it, main() runs each file given, and with `--seconds N` mutates them for N seconds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "simulator/rng.h"
#include "simulator/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct bh_scenario *scenario = NULL;
	struct bh_error *error =
		bh_scenario_parse_yaml((const char *)bytes, length, "f", &scenario);

	/* Either a sentence with its place, or a scenario that can be run. */
	if (error && error->code == BH_ERR_INPUT && strncmp(error->message, "f:", 2) != 0)
		abort();
	if (!error && (scenario->node_count == 0 || scenario->stop_ns == 0 || !scenario->name))
		abort();
	for (size_t i = 0; !error && i < scenario->link_count * 2; i++)
		if (scenario->links[i / 2].end[i % 2].node >= scenario->node_count)
			abort();
	bh_error_free(error);
	bh_scenario_destroy(scenario);
	return 0;
}

#ifndef BH_LIBFUZZER
#define LENGTH_MAX 8192u

struct corpus {
	uint8_t *bytes[64];
	size_t length[64];
	size_t count;
};

static void load(struct corpus *corpus, const char *path)
{
	FILE *stream = fopen(path, "re");
	uint8_t *bytes = malloc(LENGTH_MAX);

	if (!stream || !bytes || corpus->count == 64) {
		fprintf(stderr, "fuzz_scenario: can't load %s\n", path);
		exit(2);
	}
	corpus->bytes[corpus->count] = bytes;
	corpus->length[corpus->count++] = fread(bytes, 1, LENGTH_MAX, stream);
	fclose(stream);
}

/* Copies a piece of one document over a piece of another, or changes single bytes. */
static size_t mutate(const struct corpus *corpus, struct bh_rng *rng, uint8_t *bytes)
{
	static const char specials[] = "{}[]:,-#&*!|>'\"%@`~\n\t \\0?<=";
	size_t base = bh_rng_below(rng, corpus->count);
	size_t other = bh_rng_below(rng, corpus->count);
	size_t length = corpus->length[base];

	memcpy(bytes, corpus->bytes[base], length);
	for (uint64_t i = bh_rng_below(rng, 6) + 1; i > 0 && length > 1; i--) {
		size_t at = bh_rng_below(rng, length),
		       from = bh_rng_below(rng, corpus->length[other]);
		size_t size = bh_rng_below(rng, 24) + 1;

		switch (bh_rng_below(rng, 4)) {
		case 0:
			bytes[at] = (uint8_t)bh_rng_next(rng);
			break;
		case 1:
			bytes[at] = (uint8_t)specials[bh_rng_below(rng, sizeof(specials) - 1)];
			break;
		case 2:
			length = at;
			break;
		default:
			if (at + size <= length && from + size <= corpus->length[other])
				memcpy(bytes + at, corpus->bytes[other] + from, size);
		}
	}
	return length;
}

int main(int argc, char **argv)
{
	struct corpus corpus = {.count = 0};
	time_t end = 0;
	uint8_t *bytes = malloc(LENGTH_MAX);
	struct bh_rng rng;
	unsigned long runs = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			end = time(NULL) + atoi(argv[++i]);
		else
			load(&corpus, argv[i]);
	}
	if (!bytes || corpus.count == 0) {
		fprintf(stderr, "usage: fuzz_scenario [--seconds N] FILE…\n");
		return 2;
	}
	for (size_t i = 0; i < corpus.count; i++)
		LLVMFuzzerTestOneInput(corpus.bytes[i], corpus.length[i]);
	bh_rng_init(&rng, 1, "fuzz", "scenario");
	for (; time(NULL) < end; runs++) {
		size_t length = mutate(&corpus, &rng, bytes);

		LLVMFuzzerTestOneInput(bytes, length);
	}
	printf("%lu mutations of %zu documents\n", runs, corpus.count);
	for (size_t i = 0; i < corpus.count; i++)
		free(corpus.bytes[i]);
	free(bytes);
	return 0;
}
#endif
