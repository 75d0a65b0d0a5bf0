/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes the reader of feeds (simulator/feed.h), which come from a cache, or from a confined
 * process that may have run a stranger's trace. With libFuzzer:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -DBH_LIBFUZZER -I. -D_GNU_SOURCE \
 *     tests/fuzz/fuzz_feed.c simulator/feed.c common/{cursor,error,event,hash}.c -lxxhash
 * Without it, main() mutates a feed for `--seconds N`.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "simulator/feed.h"

#define NODE 3u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* As a replay uses it: all is taken, in order, and what isn't there is asked for, too. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const struct bh_fed_event *next;
	struct bh_feed *feed = NULL;
	struct bh_error *error = bh_feed_open(bytes, length, NODE, &feed);
	uint64_t sum = 0, last = 0;

	bh_error_free(error);
	for (; feed && (next = bh_feed_next(feed)); bh_feed_advance(feed)) {
		for (uint32_t i = 0; next->frame && i < next->event.length; i++)
			sum += next->frame[i];
		for (uint64_t value = 0; value != UINT64_MAX;)
			sum += value = bh_feed_value(feed, UINT64_MAX);
		if (next->event.event <= last || (next->event.node != NODE && !next->is_last))
			abort();
		last = next->event.event;
	}
	bh_feed_close(feed);
	return sum == 1;
}

#ifndef BH_LIBFUZZER
#include "tests/random.h"

static void write_feed(struct bh_buffer *buffer)
{
	struct bh_feed_writer writer = {.buffer = buffer};
	struct bh_event event = {.kind = BH_EVENT_BOOT, .node = NODE, .device = BH_NO_DEVICE};
	uint8_t frame[200] = {0};

	bh_feed_write_value(&writer, 1);
	for (uint64_t i = 0; i < 40; i++) {
		event.event += 1 + i * i;
		event.vtime_ns += i * 1000000;
		event.cause = i ? event.event - 1 : 0;
		bh_feed_write_event(&writer, &event);
		event.kind = i % 2 ? BH_EVENT_TIMER : BH_EVENT_RX;
		event.length = i % 2 ? 0 : (uint32_t)(60 + i);
		event.packet = event.length ? event.cause : 0;
		if (event.length)
			bh_feed_write_frame(&writer, frame, event.length);
		if (i % 5 == 0)
			bh_feed_write_value(&writer, i << 36);
	}
	event = (struct bh_event){.event = event.event + 1,
				  .vtime_ns = event.vtime_ns,
				  .kind = BH_EVENT_STOP,
				  .node = BH_NO_NODE,
				  .device = BH_NO_DEVICE};
	bh_feed_write_event(&writer, &event);
}

/* In memory that ends where the bytes do. */
static void mutate_and_run(const struct bh_buffer *buffer)
{
	size_t length = random_next() % 4 ? buffer->length : random_next() % buffer->length;
	uint8_t *copy = malloc(length + !length);

	memcpy(copy, buffer->bytes, length);
	for (uint64_t changes = random_next() % 4; changes && length; changes--)
		copy[random_next() % length] = (uint8_t)random_next();
	LLVMFuzzerTestOneInput(copy, length);
	free(copy);
}

int main(int argc, char **argv)
{
	long seconds = argc > 2 && !strcmp(argv[1], "--seconds") ? atol(argv[2]) : 1, runs = 0;
	struct bh_buffer buffer = {0};
	struct bh_feed *feed = NULL;

	write_feed(&buffer);
	struct bh_error *error = bh_feed_open(buffer.bytes, buffer.length, NODE, &feed);

	if (error) {
		fprintf(stderr, "fuzz_feed: %s\n", error->message);
		return 1;
	}
	bh_feed_close(feed);
	for (time_t end = time(NULL) + seconds; time(NULL) < end; runs++)
		mutate_and_run(&buffer);
	bh_buffer_free(&buffer);
	printf("%ld mutations, no crash\n", runs);
	return 0;
}

#endif
