/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes the trace reader. With libFuzzer:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -DBH_LIBFUZZER -I. -D_GNU_SOURCE \
 *     tests/fuzz/fuzz_trace.c traces/[a-z]*.c \
 *     common/{compress,cursor,error,event,file,hash,unsaved}.c -lzstd -lxxhash
 * Without it, main() runs each file given, and with `--seconds N` mutates them for N seconds; with
 * `--every` it takes each once without its compression, and damages every byte of that.
 *
 * Most mutations die at a checksum, so checksums are made right again before the reader sees the
 * bytes: what is behind them is what needs fuzzing.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fuzz/trace_bytes.h"
#include "traces/trace.h"

static void trace_use(const struct bh_trace *trace, int is_for_replay)
{
	struct bh_event event;
	uint64_t count = bh_trace_event_count(trace);
	size_t total = 0;

	for (size_t i = 0; i < bh_trace_input_count(trace); i++) {
		const struct bh_trace_input *input = bh_trace_input(trace, i);

		total += strlen(input->name) + (input->build_id ? strlen(input->build_id) : 0);
		if (input->text)
			total += ((const char *)input->text)[input->text_size] != 0;
	}
	for (size_t i = 0; i < bh_trace_node_count(trace); i++)
		total += strlen(bh_trace_node_name(trace, i));
	for (uint64_t i = 1; i <= count; i += 1 + i / 7) {
		struct bh_error *error = bh_trace_event(trace, i, &event);

		/* Otherwise opening has checked everything: nothing can be wrong any more. */
		if (error && is_for_replay) {
			bh_error_free(error);
			continue;
		}
		if (error || event.event != i || event.cause >= i)
			abort();
	}
	if (total == SIZE_MAX || (bh_trace_is_complete(trace) != !!bh_trace_summary_json(trace)))
		abort();
}

static void open_and_use(const uint8_t *bytes, size_t size, int is_for_replay)
{
	struct bh_trace *trace = NULL;
	struct bh_error *error = is_for_replay
					 ? bh_trace_open_memory_for_replay(bytes, size, &trace)
					 : bh_trace_open_memory(bytes, size, &trace);

	if (error) {
		bh_error_free(error);
		return;
	}
	trace_use(trace, is_for_replay);
	bh_trace_close(trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size + 1);

	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	for (int is_repaired = 0; is_repaired < 2; is_repaired++) {
		for (int is_for_replay = 0; is_for_replay < 2; is_for_replay++)
			open_and_use(bytes, size, is_for_replay);
		checksums_repair(bytes, size);
	}
	free(bytes);
	return 0;
}

#ifndef BH_LIBFUZZER
#include "tests/random.h"

static void mutate_and_run(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length + 1);

	memcpy(copy, bytes, length);
	for (uint64_t changes = 1 + random_next() % 4; changes && length; changes--) {
		uint64_t bits = random_next();
		size_t at = bits % length;

		if (bits >> 60 < 8)
			copy[at] ^= (uint8_t)(1u << ((bits >> 40) & 7));
		else if (bits >> 60 < 12)
			copy[at] = (uint8_t)(bits >> 40);
		else if (bits >> 60 < 14)
			copy[at] = bits >> 40 & 1 ? 0xff : 0;
		else
			length = at;
	}
	LLVMFuzzerTestOneInput(copy, length);
	free(copy);
}

static void use_damaged(void *arg, uint8_t *bytes, size_t length)
{
	(void)arg;
	LLVMFuzzerTestOneInput(bytes, length);
}

/* Every byte of what the file holds. */
static unsigned long damage_every(const uint8_t *bytes, size_t length)
{
	struct bh_buffer unpacked = {0};
	unsigned long runs;

	trace_unpack(bytes, length, &unpacked);
	runs = trace_damage(unpacked.bytes, unpacked.length, use_damaged, NULL);
	bh_buffer_free(&unpacked);
	return runs;
}

int main(int argc, char **argv)
{
	long seconds = 0;
	unsigned long runs = 0;
	int is_every = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seconds") && i + 1 < argc) {
			seconds = atol(argv[++i]);
			continue;
		}
		if (!strcmp(argv[i], "--every")) {
			is_every = 1;
			continue;
		}
		FILE *file = fopen(argv[i], "rb");
		if (!file) {
			perror(argv[i]);
			return 1;
		}
		static uint8_t bytes[1 << 20];
		size_t length = fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
		LLVMFuzzerTestOneInput(bytes, length);
		if (is_every)
			runs += damage_every(bytes, length);
		for (time_t end = time(NULL) + seconds; time(NULL) < end; runs++)
			mutate_and_run(bytes, length);
	}
	printf("%lu mutations, no crash\n", runs);
	return 0;
}

#endif
