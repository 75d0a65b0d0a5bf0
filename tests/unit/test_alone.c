/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One node of a recorded run without the others: fed with what it got from them, it does what it
 * did, to the end of the run, and is in the same state at the same places.
 *
 * test_alone [TRACE...]; without a trace it records alone.yaml with $BACKHOP, and is skipped if
 * there is no such program. Kernel images are kernel-VERSION in $BACKHOP_KERNEL_DIR or $BUILD.
 */
#include <stdlib.h>
#include <string.h>

#include "replayer/confined_run.h"
#include "replayer/node_feed.h"
#include "tests/unit/recorded_run.h"

static char cache[4200];

static const struct bh_replay_options *options_for(const char *node)
{
	static struct bh_replay_options options;

	options = (struct bh_replay_options){
		.find_kernel = find_kernel, .node = node, .cache_folder = cache};
	return &options;
}

/* --- whole runs --- */

/* Every event of the node is compared, so its digest is the recorded one. */
static void run_alone(const struct bh_trace *trace, uint32_t node)
{
	const char *name = bh_trace_node_name(trace, node);
	struct bh_divergence divergence = {0};
	struct bh_confined_run run = {0};
	struct bh_node_feed *feed = NULL;
	size_t count = 0;
	int found = 0;

	must(bh_node_feed_create(trace, node, options_for(name), &feed));
	const struct bh_rerun_config config = {
		.trace = trace,
		.find_kernel = find_kernel,
		.over = bh_confined_run_over,
		.feed = bh_node_feed_get(feed),
	};

	bh_feed_numbers(config.feed, &count);
	must(bh_rerun_create(&config, &run.rerun));
	must(bh_confined_run(&run, bh_trace_node_count(trace), &found, &divergence));
	if (found)
		printf("# %s diverges at event %lu: %s was %s, is %s\n", name, divergence.event,
		       divergence.field, divergence.recorded, divergence.replayed);
	char what[256];

	snprintf(what, sizeof(what), "%s of %s alone does what it did: %zu events", name,
		 bh_trace_scenario_name(trace), count);
	check(!found, what);
	bh_rerun_destroy(run.rerun);
	bh_node_feed_destroy(feed);
}

static void run_each_alone(const char *path)
{
	struct bh_trace *trace;

	must(bh_trace_open(path, &trace));
	for (uint32_t node = 0; node < bh_trace_node_count(trace); node++)
		run_alone(trace, node);
	bh_trace_close(trace);
}

/* --- damage --- */

/* The same feed with a bit of the payload of one of its frames changed, or without its values. */
static void copy_feed(struct bh_feed *feed, struct bh_buffer *buffer, int without_values)
{
	struct bh_feed_writer writer = {.buffer = buffer};
	const struct bh_fed_event *next;
	uint8_t frame[2048];
	unsigned int frames = 0;
	uint64_t value;

	for (; (next = bh_feed_next(feed)); bh_feed_advance(feed)) {
		while ((value = bh_feed_value(feed, UINT64_MAX)) != UINT64_MAX)
			if (!without_values)
				bh_feed_write_value(&writer, value);
		if (next->frame && next->event.length <= sizeof(frame)) {
			memcpy(frame, next->frame, next->event.length);
			if (++frames == 20 && !without_values)
				frame[next->event.length - 1] ^= 1;
			bh_feed_write_frame(&writer, frame, next->event.length);
		}
		bh_feed_write_event(&writer, &next->event);
	}
}

static void test_wrong_feed(const struct bh_trace *trace, uint32_t node, int without_values,
			    const char *what)
{
	struct bh_node_feed *right = NULL;
	struct bh_divergence divergence;
	struct bh_feed *wrong = NULL;
	struct bh_confined_run run = {0};
	struct bh_buffer buffer = {0};
	int found = 0;

	must(bh_node_feed_create(trace, node, options_for(NULL), &right));
	copy_feed(bh_node_feed_get(right), &buffer, without_values);
	must(bh_feed_open(buffer.bytes, buffer.length, node, &wrong));
	const struct bh_rerun_config config = {
		.trace = trace,
		.find_kernel = find_kernel,
		.over = bh_confined_run_over,
		.feed = wrong,
	};

	must(bh_rerun_create(&config, &run.rerun));
	must(bh_confined_run(&run, bh_trace_node_count(trace), &found, &divergence));
	check(found && divergence.node == node, what);
	bh_rerun_destroy(run.rerun);
	bh_feed_close(wrong);
	bh_node_feed_destroy(right);
	bh_buffer_free(&buffer);
}

/* Reads all of it, if it is one. */
static int is_feed(const uint8_t *bytes, size_t length)
{
	struct bh_feed *feed = NULL;
	struct bh_error *error = bh_feed_open(bytes, length, 3, &feed);
	int is_ok = !error;

	for (; is_ok && bh_feed_next(feed); bh_feed_advance(feed))
		bh_feed_value(feed, 0);
	bh_error_free(error);
	bh_feed_close(feed);
	return is_ok;
}

/* Of a small one, cut everywhere and damaged in every byte, in memory that ends where it does. */
static void test_damage(void)
{
	const struct bh_event events[] = {
		{.event = 7, .kind = BH_EVENT_BOOT, .node = 3, .device = BH_NO_DEVICE},
		{.event = 9, .kind = BH_EVENT_RX, .node = 3, .cause = 8, .packet = 8, .length = 5},
		{.event = 12, .vtime_ns = 900, .kind = BH_EVENT_STOP, .node = BH_NO_NODE},
	};
	struct bh_buffer buffer = {0};
	struct bh_feed_writer writer = {.buffer = &buffer};
	struct bh_feed *feed;
	size_t count, opened = 0;

	bh_feed_write_event(&writer, &events[0]);
	bh_feed_write_value(&writer, 1ull << 40);
	bh_feed_write_frame(&writer, "hello", 5);
	bh_feed_write_value(&writer, 17);
	bh_feed_write_event(&writer, &events[1]);
	bh_feed_write_event(&writer, &events[2]);
	must(bh_feed_open(buffer.bytes, buffer.length, 3, &feed));
	const uint64_t *numbers = bh_feed_numbers(feed, &count);

	check(count == 3 && numbers[0] == 7 && numbers[1] == 9 && numbers[2] == 12,
	      "a feed has the events that were written");
	bh_feed_advance(feed);
	const struct bh_fed_event *next = bh_feed_next(feed);

	check(bh_feed_now(feed)->event.event == 7 && next->event.packet == 8 &&
		      !memcmp(next->frame, "hello", 5) && bh_feed_value(feed, 0) == 1ull << 40 &&
		      bh_feed_value(feed, 0) == 17 && bh_feed_value(feed, 5) == 5,
	      "with their frames, and the values between");
	bh_feed_advance(feed);
	check(bh_feed_next(feed)->is_last && bh_feed_next(feed)->event.node == BH_NO_NODE,
	      "and the event that ended the recording");
	bh_feed_close(feed);
	for (size_t i = 0; i < buffer.length; i++) {
		uint8_t *cut = malloc(i + 1);

		memcpy(cut, buffer.bytes, i);
		opened += (size_t)is_feed(cut, i);
		free(cut);
		for (unsigned int bit = 0; bit < 8; bit++) {
			buffer.bytes[i] ^= (uint8_t)(1u << bit);
			opened += (size_t)is_feed(buffer.bytes, buffer.length);
			buffer.bytes[i] ^= (uint8_t)(1u << bit);
		}
	}
	check(opened < buffer.length * 9, "a damaged one is read or refused");
	bh_buffer_free(&buffer);
}

/* --- the state --- */

#define PLACES	      8
#define TICKS_AT_MOST 40
#define STEPS	      4
#define HITS_MAX      8
#define DATA_BYTES    (16u << 20)

/* Data of the kernel of the node: all its variables that are on no stack or heap. */
static uint8_t *read_data(struct bh_replay *replay, uint32_t node, size_t *length_ret)
{
	const struct bh_replay_image *images;
	uint8_t *bytes = calloc(1, DATA_BYTES);
	size_t count;

	must(bh_replay_images(replay, &images, &count));
	*length_ret = 0;
	for (size_t i = 0; bytes && i < count; i++)
		if (images[i].is_kernel && images[i].node == node && images[i].size <= DATA_BYTES)
			*length_ret = bh_replay_read(replay, images[i].base, bytes, images[i].size);
	return bytes;
}

static int is_same_data(struct bh_replay *whole, struct bh_replay *alone, uint32_t node)
{
	size_t lengths[2];
	uint8_t *data[2] = {read_data(whole, node, &lengths[0]),
			    read_data(alone, node, &lengths[1])};
	int is_same = lengths[0] && lengths[0] == lengths[1] && data[0] && data[1] &&
		      !memcmp(data[0], data[1], lengths[0]);

	free(data[0]);
	free(data[1]);
	return is_same;
}

static int is_same_state(struct bh_replay *whole, struct bh_replay *alone, uint32_t node)
{
	struct bh_position a = bh_replay_position(whole), b = bh_replay_position(alone);
	struct user_regs_struct left, right;

	must(bh_replay_registers(whole, 0, &left));
	must(bh_replay_registers(alone, 0, &right));
	int is_same = a.event == b.event && a.tick == b.tick && a.instruction == b.instruction &&
		      left.rip == right.rip && left.rsp == right.rsp && left.rbp == right.rbp &&
		      bh_replay_vtime_ns(whole) == bh_replay_vtime_ns(alone) &&
		      bh_replay_packet(whole) == bh_replay_packet(alone) &&
		      bh_replay_thread(whole) == bh_replay_thread(alone) &&
		      is_same_data(whole, alone, node);

	if (!is_same)
		printf("# %lu:%lu:%lu with pc %llx, alone %lu:%lu:%lu with %llx\n", a.event, a.tick,
		       a.instruction, left.rip, b.event, b.tick, b.instruction, right.rip);
	return is_same;
}

/* Some steps forward and back lead to the same state, of which a digest has all. */
static int is_restored(struct bh_replay *alone)
{
	uint64_t before, after;
	struct bh_stop stop;

	must(bh_replay_state_digest(alone, &before));
	for (int i = 0; i < STEPS; i++)
		must(bh_replay_step(alone, 0, BH_FORWARD, &stop));
	for (int i = 0; i < STEPS; i++)
		must(bh_replay_step(alone, 0, BH_BACKWARD, &stop));
	must(bh_replay_state_digest(alone, &after));
	return before == after;
}

/* From the beginning or the end, where a breakpoint stops; how often. */
static size_t find_hits(struct bh_replay *replay, enum bh_direction direction,
			struct bh_position *hits_ret)
{
	size_t count = 0;
	struct bh_stop stop;

	must(bh_replay_seek(replay,
			    (struct bh_position){direction == BH_FORWARD ? 0 : UINT64_MAX, 0, 0},
			    &stop));
	while (count < HITS_MAX) {
		must(bh_replay_continue(replay, direction, &stop));
		if (stop.reason != BH_STOP_BREAKPOINT)
			break;
		hits_ret[count++] = bh_replay_position(replay);
	}
	return count;
}

static int is_same_position(struct bh_position a, struct bh_position b)
{
	return a.event == b.event && a.tick == b.tick && a.instruction == b.instruction;
}

/* As often and at the same places, from the beginning forwards and from the end backwards. */
static void compare_hits(struct bh_replay *whole, struct bh_replay *alone, uint64_t address,
			 const char *name)
{
	struct bh_position here[HITS_MAX], there[HITS_MAX];
	int is_ok = 1;
	char what[128];

	must(bh_replay_breakpoint_insert(whole, address, NULL, NULL));
	must(bh_replay_breakpoint_insert(alone, address, NULL, NULL));
	for (int backward = 0; backward < 2; backward++) {
		enum bh_direction direction = backward ? BH_BACKWARD : BH_FORWARD;
		size_t count = find_hits(whole, direction, there);

		is_ok &= count && count == find_hits(alone, direction, here);
		for (size_t i = 0; is_ok && i < count; i++)
			is_ok = is_same_position(here[i], there[i]);
	}
	bh_replay_breakpoint_remove(whole, address);
	bh_replay_breakpoint_remove(alone, address);
	snprintf(what, sizeof(what), "%s meets the same breakpoints alone, and backwards", name);
	check(is_ok, what);
}

static void compare_states(const struct bh_trace *trace, uint32_t node)
{
	const char *name = bh_trace_node_name(trace, node);
	int is_same = 1, is_back = 1, compared = 0;
	struct bh_replay *whole, *alone;
	uint64_t function = 0;
	char what[128];

	must(bh_replay_create(trace, find_kernel, NULL, &whole));
	must(bh_replay_create_alone(trace, options_for(name), &alone));
	for (int i = 0; compared < PLACES && i < 100 * PLACES; i++) {
		struct bh_position position = {1 + choose(bh_trace_event_count(trace)),
					       1 + choose(TICKS_AT_MOST), 0};
		struct user_regs_struct registers;
		struct bh_stop stop;

		if (!bh_replay_has_event(alone, position.event))
			continue;
		must(bh_replay_seek(alone, position, &stop));
		/* The event has fewer ticks. */
		if (!is_same_position(bh_replay_position(alone), position))
			continue;
		must(bh_replay_seek(whole, position, &stop));
		is_same &= is_same_state(whole, alone, node);
		if (compared % 4 == 0)
			is_back &= is_restored(alone);
		must(bh_replay_registers(whole, 0, &registers));
		function = registers.rip;
		compared++;
	}
	snprintf(what, sizeof(what), "%s is in the same state alone at %d places", name, compared);
	check(is_same && compared > PLACES / 2, what);
	snprintf(what, sizeof(what), "%s is restored by as many steps back", name);
	check(is_back, what);
	compare_hits(whole, alone, function, name);
	bh_replay_destroy(whole);
	bh_replay_destroy(alone);
}

static void test_place(const struct bh_trace *trace)
{
	struct bh_position position = {1, 0, 0};
	struct bh_replay *alone;
	struct bh_error *error;
	struct bh_stop stop;

	must(bh_replay_create_alone(trace, options_for("client"), &alone));
	check(bh_replay_snapshot_count(alone) == 0, "snapshots of all nodes aren't used");
	error = bh_replay_place(alone, "1", &position);
	check(error && strstr(error->message, "lies on server"),
	      "a place on another node is refused");
	bh_error_free(error);
	must(bh_replay_place(alone, "0s", &position));
	check(position.event > 1 && bh_replay_has_event(alone, position.event),
	      "a time leads to the node's next event");
	must(bh_replay_seek(alone, (struct bh_position){1, 5, 3}, &stop));
	check(is_same_position(bh_replay_position(alone), position),
	      "so does any position of another node");
	bh_replay_destroy(alone);
}

int main(int argc, char **argv)
{
	const char *folder = getenv("TMPDIR"), *source = getenv("SOURCE");
	struct bh_trace *trace;
	char path[4096];

	snprintf(cache, sizeof(cache), "%s/alone-feeds", folder ? folder : ".");
	for (int i = 1; i < argc; i++)
		run_each_alone(argv[i]);
	if (argc > 1)
		goto out;
	test_damage();
	snprintf(path, sizeof(path), "%s/tests/unit/alone.yaml", source ? source : ".");
	record_scenario("alone", path);
	run_each_alone("alone/trace.bht");
	must(bh_trace_open("alone/trace.bht", &trace));
	test_wrong_feed(trace, 0, 0, "a frame that isn't what came is found out");
	test_wrong_feed(trace, 1, 1, "and so are lost numbers");
	compare_states(trace, 0);
	compare_states(trace, 1);
	test_place(trace);
	bh_trace_close(trace);
out:
	printf("1..%d\n", test_number);
	return failures != 0;
}
