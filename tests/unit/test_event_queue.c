/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event queue against a plain search, over random operations. */
#include "simulator/event_queue.h"

#include <stdio.h>
#include <stdlib.h>

#include "simulator/rng.h"

#define SLOTS	   37u
#define OPERATIONS 200000u

static int test_count, failure_count;

static void check(int is_ok, const char *text)
{
	printf("%s %d - %s\n", is_ok ? "ok" : "not ok", ++test_count, text);
	failure_count += !is_ok;
}

struct model {
	int is_filled;
	uint64_t time_ns, sequence;
};

static size_t model_first(const struct model *slots)
{
	size_t first = BH_NO_SLOT;

	for (size_t i = 0; i < SLOTS; i++) {
		if (!slots[i].is_filled)
			continue;
		if (first == BH_NO_SLOT || slots[i].time_ns < slots[first].time_ns ||
		    (slots[i].time_ns == slots[first].time_ns &&
		     slots[i].sequence < slots[first].sequence))
			first = i;
	}
	return first;
}

static int agrees_with_model(struct bh_event_queue *queue)
{
	struct model slots[SLOTS] = {0};
	struct bh_rng rng;

	bh_rng_init(&rng, 1, "test", "queue");
	for (unsigned int i = 0; i < OPERATIONS; i++) {
		size_t slot = bh_rng_below(&rng, SLOTS);
		uint64_t time_ns = 0;

		if (bh_rng_below(&rng, 3) == 0) {
			slots[slot].is_filled = 0;
			bh_event_queue_clear(queue, slot);
		} else {
			/* Few different times, so that the sequence decides often. */
			slots[slot] = (struct model){1, bh_rng_below(&rng, 8), i};
			bh_event_queue_set(queue, slot, slots[slot].time_ns, i);
		}
		size_t first = bh_event_queue_first(queue, &time_ns);

		if (first != model_first(slots) ||
		    (first != BH_NO_SLOT && time_ns != slots[first].time_ns))
			return 0;
	}
	return 1;
}

int main(void)
{
	struct bh_event_queue *queue = bh_event_queue_create(SLOTS);
	uint64_t time_ns = 0;

	check(queue && bh_event_queue_first(queue, &time_ns) == BH_NO_SLOT, "a new queue is empty");
	bh_event_queue_set(queue, 5, 100, 1);
	bh_event_queue_set(queue, 3, 100, 2);
	bh_event_queue_set(queue, 4, 99, 3);
	check(bh_event_queue_first(queue, &time_ns) == 4 && time_ns == 99, "the earliest is first");
	bh_event_queue_clear(queue, 4);
	check(bh_event_queue_first(queue, &time_ns) == 5,
	      "of equal times the one that was scheduled first");
	bh_event_queue_set(queue, 5, 100, 4);
	check(bh_event_queue_first(queue, &time_ns) == 3, "scheduling again goes behind");
	bh_event_queue_clear(queue, 3);
	bh_event_queue_clear(queue, 3);
	bh_event_queue_clear(queue, 5);
	check(bh_event_queue_first(queue, &time_ns) == BH_NO_SLOT, "clearing twice does no harm");
	check(agrees_with_model(queue), "200000 random operations agree with a plain search");
	bh_event_queue_destroy(queue);
	queue = bh_event_queue_create(0);
	check(queue && bh_event_queue_first(queue, &time_ns) == BH_NO_SLOT,
	      "a queue without slots");
	bh_event_queue_destroy(queue);
	bh_event_queue_destroy(NULL);
	printf("1..%d\n", test_count);
	return failure_count > 0;
}
