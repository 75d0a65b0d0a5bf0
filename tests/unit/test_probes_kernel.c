/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Breakpoints inside functions of a real kernel, on a recorded run: at random instructions that the
 * run executes, a condition that is decided in the replayed process finds the same hits as one that
 * is asked for at an int3, in both directions, and leaves the same memory. And how many of an
 * image's instructions can give way to a jump.
 *
 * test_probes_kernel [TRACE [SEED]]; without a trace it records examples/blackhole.yaml with
 * $BACKHOP, and is skipped if there is no such program. Kernel images are kernel-VERSION in
 * $BACKHOP_KERNEL_DIR or $BUILD.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel-lib/image.h"
#include "replayer/code_map.h"
#include "replayer/displace.h"
#include "replayer/engine.h"
#include "replayer/probe.h"
#include "replayer/ticks.h"
#include "tests/unit/recorded_run.h"

#define SAMPLES	      2000
#define ADDRESSES     40
#define STRETCH	      40 /* events */
#define HITS_MAX      4
#define SIDE_BY_SIDE  16
#define INSTRUCTIONS  16384 /* of a function, at most */
#define DIGEST_ROUNDS 6

static struct bh_replay *replay;
static uint64_t last_event;

/* --- the image --- */

static void tell_target(void *map, uint64_t address)
{
	bh_code_map_add_target(map, address);
}

static void tell_targets(void *image, struct bh_code_map *map)
{
	bh_image_pointers(image, tell_target, map);
}

/* A random instruction of the function behind the entry; 0 if it has none. */
static uint64_t some_instruction(struct bh_disassembler *disassembler, const uint8_t *text,
				 uint64_t entry, uint64_t end)
{
	static uint32_t places[INSTRUCTIONS];
	size_t count = 0, length;

	for (uint64_t at = entry + 5; at + 16 < end && count < INSTRUCTIONS; at += length) {
		length = bh_disassembler_length(disassembler, text + at, 15);
		if (!length)
			break;
		if (!bh_is_filler(text + at, length))
			places[count++] = (uint32_t)at;
	}
	return count ? places[choose(count)] : 0;
}

static void test_share(const char *path)
{
	uint8_t room[80];
	struct bh_image *image;
	struct bh_code_map *map;
	size_t size, entry_count, tried = 0, windows = 0, moved = 0;

	must(bh_image_open(path, &image));
	const uint8_t *text = bh_image_text(image, &size);
	const uint32_t *entries = bh_image_patchable_entries(image, &entry_count);
	const struct bh_code_layout layout = {text,	   size,	 entries,
					      entry_count, tell_targets, image};
	must(bh_code_map_create(&layout, &map));
	while (tried < SAMPLES) {
		size_t function = choose(entry_count - 1);
		uint64_t at = some_instruction(bh_code_map_disassembler(map), text,
					       entries[function], entries[function + 1]);
		if (!at)
			continue;
		struct bh_displace_request request = {
			.code = text + at,
			.from = (1ull << 40) + at,
			.to = (1ull << 40) - (16ull << 20),
			.slot = (1ull << 40) - (16ull << 20) - 8,
			.window = bh_code_map_window(map, at),
			.room = room,
			.capacity = sizeof(room),
		};
		struct bh_displaced displaced;
		tried++;
		windows += request.window != 0;
		moved += request.window &&
			 bh_displace(bh_code_map_disassembler(map), &request, &displaced);
	}
	printf("# of %zu random instructions inside functions %.1f %% can give way to a jump (%.1f "
	       "%% have a window)\n",
	       tried, 100.0 * (double)moved / (double)tried,
	       100.0 * (double)windows / (double)tried);
	check(moved * 3 > tried * 2, "most instructions of an image can be probed");
	bh_code_map_destroy(map);
	bh_image_close(image);
}

/* --- the run --- */

/* rax & 7 == value, or never; also of rbx, and of the task's pid: registers 0, 1 and 2 here. */
static uint8_t code[] = {0x26, 0, 0, 0x22, 7, 0x0f, 0x22, 0, 0x13, 0x27};
static const struct bh_probe_code piece = {code, sizeof(code)};
static const uint8_t registers_of_code[] = {BH_PROBE_GENERAL, BH_PROBE_GENERAL + 1, BH_PROBE_TASK};
static struct bh_probe_condition conditions[SIDE_BY_SIDE] = {
	{&piece, 1, registers_of_code, 3, 0, 0}};
static unsigned long asked;

static int condition_holds(void *arg, struct bh_replay *at)
{
	struct user_regs_struct registers;

	(void)arg;
	asked++;
	must(bh_replay_registers(at, 0, &registers));
	const uint64_t values[] = {registers.rax, registers.rbx,
				   (bh_replay_thread(at) & 0xffffff) - 1};
	return (values[code[2]] & code[4]) == code[7];
}

static void choose_condition(void)
{
	code[2] = (uint8_t)choose(3);
	code[4] = choose(2) ? 7 : 1;
	code[7] = (uint8_t)(choose(3) ? choose(code[4] + 1u) : 8); /* 8: never */
}

/* To be decided in the process. */
static void explain(uint64_t address, struct bh_probe_condition *condition)
{
	const struct bh_replay_image *images;
	size_t count;

	*condition = conditions[0];
	must(bh_replay_images(replay, &images, &count));
	for (size_t i = 0; i < count; i++)
		if (images[i].is_kernel && address - images[i].base < images[i].size)
			condition->node = images[i].node;
	condition->boot = bh_replay_node_boot(replay, condition->node);
	bh_replay_breakpoint_explain(replay, address, condition);
}

struct hit {
	struct bh_position position;
	struct user_regs_struct registers;
	uint64_t digest;
};

/* All hits from a place to another, at most HITS_MAX, and the state where that ends. */
static size_t find_hits(struct bh_position from, uint64_t to, enum bh_direction direction,
			int with_digest, struct hit hits_ret[HITS_MAX + 1])
{
	struct bh_stop stop;
	size_t count = 0;

	memset(hits_ret, 0, (HITS_MAX + 1) * sizeof(*hits_ret));
	must(bh_replay_seek(replay, from, &stop));
	do {
		struct hit *hit = &hits_ret[count++];
		must(bh_replay_continue_to(replay, direction, to, &stop));
		hit->position = bh_replay_position(replay);
		must(bh_replay_registers(replay, 0, &hit->registers));
		hit->registers.orig_rax = 0;
		if (with_digest)
			must(bh_replay_state_digest(replay, &hit->digest));
	} while (stop.reason == BH_STOP_BREAKPOINT && count < HITS_MAX + 1);
	return count;
}

/* An instruction of a kernel that the run executes at a place it returns; 0: there was none. */
static uint64_t executed_instruction(struct bh_position *place_ret)
{
	const struct bh_replay_image *images;
	struct user_regs_struct registers;
	struct bh_stop stop;
	size_t count;

	*place_ret = (struct bh_position){1 + choose(last_event), choose(200), choose(40)};
	must(bh_replay_seek(replay, *place_ret, &stop));
	*place_ret = bh_replay_position(replay);
	must(bh_replay_registers(replay, 0, &registers));
	must(bh_replay_images(replay, &images, &count));
	for (size_t i = 0; i < count; i++)
		if (images[i].is_kernel && registers.rip - images[i].base < images[i].size)
			return registers.rip;
	return 0;
}

static int compare_ways(uint64_t address, struct bh_position place, int with_digest, size_t *found)
{
	static struct hit by_probe[HITS_MAX + 1], by_asking[HITS_MAX + 1];
	uint64_t low = place.event > STRETCH ? place.event - STRETCH : 1;
	uint64_t high = place.event + STRETCH < last_event ? place.event + STRETCH : last_event;

	for (int direction = BH_FORWARD; direction <= BH_BACKWARD; direction++) {
		uint64_t to = direction == BH_FORWARD ? high : low;
		struct bh_position from = {direction == BH_FORWARD ? low : high, 0, 0};
		size_t counts[2];
		if (choose(2))
			from = place;
		must(bh_replay_breakpoint_insert(replay, address, condition_holds, NULL));
		counts[0] = find_hits(from, to, direction, with_digest, by_asking);
		explain(address, &conditions[0]);
		counts[1] = find_hits(from, to, direction, with_digest, by_probe);
		bh_replay_breakpoint_remove(replay, address);
		*found += counts[0] - 1;
		if (counts[0] == counts[1] && !memcmp(by_probe, by_asking, sizeof(by_probe)))
			continue;
		printf("# %s from (%lu,%lu,%lu), breakpoint at %#lx: %zu hits asked for, %zu by "
		       "probe\n",
		       direction == BH_FORWARD ? "forward" : "back", from.event, from.tick,
		       from.instruction, address, counts[0], counts[1]);
		return 0;
	}
	return 1;
}

static void test_ways(void)
{
	const char *kernels = getenv("BACKHOP_KERNELS");
	/* A kernel with debug.config runs several times as many instructions for each event. */
	unsigned int addresses = kernels && strstr(kernels, "-debug") ? ADDRESSES / 4 : ADDRESSES;
	size_t found = 0;
	int is_ok = 1;

	for (unsigned int i = 0; i < addresses && is_ok; i++) {
		struct bh_position place;
		uint64_t address = executed_instruction(&place);
		if (!address)
			continue;
		choose_condition();
		is_ok = compare_ways(address, place, i < DIGEST_ROUNDS, &found);
	}
	printf("# %zu hits, %lu times asked\n", found, asked);
	check(is_ok && found > addresses / 4 && asked > found,
	      "inside functions, probes find what int3s find, forwards and backwards");
}

/* At entries, which can always give way: whose task it is, the process itself knows. */
static void test_task(void)
{
	static struct hit hits[HITS_MAX + 1];
	unsigned long before, by_asking = 0, by_probe = 0;

	code[2] = 2;
	code[4] = 7;
	code[7] = 8;
	for (int i = 0; i < 12; i++) {
		struct bh_position place = {1 + choose(last_event - STRETCH), 1, 0};
		struct bh_position from = {place.event, 0, 0};
		struct user_regs_struct registers;
		struct bh_stop stop;
		must(bh_replay_seek(replay, place, &stop));
		struct bh_position here = bh_replay_position(replay);
		if (here.event != place.event || here.tick != place.tick)
			continue;
		must(bh_replay_registers(replay, 0, &registers));
		uint64_t entry = registers.rip - BH_ENTRY_BYTES;
		must(bh_replay_breakpoint_insert(replay, entry, condition_holds, NULL));
		before = asked;
		find_hits(from, place.event + STRETCH, BH_FORWARD, 0, hits);
		by_asking += asked - before;
		explain(entry, &conditions[0]);
		before = asked;
		find_hits(from, place.event + STRETCH, BH_FORWARD, 0, hits);
		by_probe += asked - before;
		bh_replay_breakpoint_remove(replay, entry);
	}
	printf("# asked for a task %lu times, %lu with probes\n", by_asking, by_probe);
	check(by_asking > 20 && by_probe * 2 < by_asking,
	      "a condition on the task is decided in the process");
}

/* The first bytes of all instructions of one stretch, many breakpoints at once, side by side. */
static void test_side_by_side(void)
{
	static struct hit by_probe[HITS_MAX + 1], by_asking[HITS_MAX + 1];
	int is_ok = 1;

	for (int round = 0; round < 6 && is_ok; round++) {
		uint64_t addresses[SIDE_BY_SIDE];
		struct bh_position place, from;
		struct bh_stop stop;
		size_t count = 0;
		if (!executed_instruction(&place))
			continue;
		for (int i = 0; i < SIDE_BY_SIDE; i++) {
			struct user_regs_struct registers;
			must(bh_replay_registers(replay, 0, &registers));
			addresses[count++] = registers.rip;
			must(bh_replay_step(replay, 0, BH_FORWARD, &stop));
		}
		choose_condition();
		from = (struct bh_position){place.event > 20 ? place.event - 20 : 1, 0, 0};
		for (size_t i = 0; i < count; i++)
			must(bh_replay_breakpoint_insert(replay, addresses[i], condition_holds,
							 NULL));
		size_t expected = find_hits(from, place.event + 20, BH_FORWARD, 0, by_asking);
		for (size_t i = 0; i < count; i++)
			explain(addresses[i], &conditions[i]);
		is_ok = find_hits(from, place.event + 20, BH_FORWARD, 0, by_probe) == expected &&
			!memcmp(by_probe, by_asking, sizeof(by_probe));
		for (size_t i = 0; i < count; i++)
			bh_replay_breakpoint_remove(replay, addresses[i]);
	}
	check(is_ok, "so do many side by side");
}

/* --- start --- */

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : record_example("probes-run", "blackhole.yaml");
	struct bh_trace *trace;
	const struct bh_replay_image *images;
	size_t image_count;

	seed = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : (unsigned int)time(NULL);
	printf("# seed %u\n", seed);
	must(bh_trace_open(path, &trace));
	last_event = bh_trace_event_count(trace);
	must(bh_replay_create(trace, find_kernel, NULL, &replay));
	must(bh_replay_images(replay, &images, &image_count));
	test_share(images[0].path);
	test_ways();
	test_task();
	test_side_by_side();
	bh_replay_destroy(replay);
	bh_trace_close(trace);
	printf("1..%d\n", test_number);
	return failures != 0;
}
