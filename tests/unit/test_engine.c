/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replay engine on a real recorded run: random walks of k moves forward and k back restore
 * every register and the state digest, across instructions, ticks, events and nodes; breakpoints,
 * watchpoints, threads and the ends of history. Then walks and breakpoints of one node alone.
 *
 * Most walks compare registers and position at each state; of every DIGEST_WALKS-th all of memory
 * is compared too, which takes a hundred times as long.
 *
 * test_engine [TRACE [SEED [WALKS]]]; without a trace it records examples/blackhole.yaml with
 * $BACKHOP, and is skipped if there is no such program. Kernel images are kernel-VERSION in
 * $BACKHOP_KERNEL_DIR or $BUILD.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "replayer/engine_internal.h"
#include "replayer/probe.h"
#include "replayer/timeline_internal.h"
#include "tests/unit/recorded_run.h"

#define MOVES_MAX 12
/* Walks from one place, before the next is chosen; most are short, so that thousands can be done.
 */
#define WALKS_PER_PLACE	 20
#define DIGEST_WALKS	 16
#define SHORT_MOVES	 3
#define WALK_BREAKPOINTS 4

static struct bh_replay *replay;
static uint64_t last_event;

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare_double(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

/* --- figures --- */

struct figures {
	const char *name;
	double values[8192];
	size_t count;
};

static struct figures reverse_steps = {.name = "reverse step"};
static struct figures forward_steps = {.name = "forward step"};
static struct figures goto_times = {.name = "goto a random event"};
static struct figures stop_times = {.name = "continue to the next breakpoint"};
static struct figures back_times = {.name = "reverse-continue to a breakpoint"};
static struct figures digest_times = {.name = "state digest"};

static void add_figure(struct figures *figures, double start_us)
{
	if (figures->count < sizeof(figures->values) / sizeof(*figures->values))
		figures->values[figures->count++] = now_us() - start_us;
}

static void print_figures(struct figures *figures)
{
	if (!figures->count)
		return;
	qsort(figures->values, figures->count, sizeof(double), compare_double);
	printf("# %s: median %.0f us, p99 %.0f us, max %.0f us of %zu\n", figures->name,
	       figures->values[figures->count / 2], figures->values[figures->count * 99 / 100],
	       figures->values[figures->count - 1], figures->count);
}

/* --- states --- */

struct state {
	struct bh_position position;
	struct user_regs_struct registers;
	struct user_fpregs_struct fp;
	uint64_t digest, thread, vtime_ns;
};

static int with_digest = 1;
/* Decided about inside the replayed process: always a hit. */
static const struct bh_probe_condition always;

static void take_state(struct state *state)
{
	memset(state, 0, sizeof(*state));
	state->position = bh_replay_position(replay);
	must(bh_replay_registers(replay, 0, &state->registers));
	state->registers.orig_rax = 0;
	must(bh_replay_fp_registers(replay, &state->fp));
	if (with_digest) {
		double start_us = now_us();
		must(bh_replay_state_digest(replay, &state->digest));
		add_figure(&digest_times, start_us);
	}
	state->thread = bh_replay_thread(replay);
	state->vtime_ns = bh_replay_vtime_ns(replay);
}

static void print_state(const char *what, const struct state *state)
{
	printf("# %s: (%lu,%lu,%lu) pc %llx sp %llx thread %lx vtime %lu digest %016lx\n", what,
	       state->position.event, state->position.tick, state->position.instruction,
	       state->registers.rip, state->registers.rsp, state->thread, state->vtime_ns,
	       state->digest);
}

static int same_state(const struct state *expected, const char *what)
{
	struct state now;

	take_state(&now);
	if (!memcmp(&now.position, &expected->position, sizeof(now.position)) &&
	    !memcmp(&now.registers, &expected->registers, sizeof(now.registers)) &&
	    !memcmp(&now.fp.xmm_space, &expected->fp.xmm_space, sizeof(now.fp.xmm_space)) &&
	    now.digest == expected->digest && now.thread == expected->thread &&
	    now.vtime_ns == expected->vtime_ns)
		return 1;
	printf("# %s leads to another state\n", what);
	print_state("expected", expected);
	print_state("found", &now);
	const unsigned long long *a = (void *)&expected->registers, *b = (void *)&now.registers;
	for (size_t i = 0; i < sizeof(now.registers) / sizeof(*a); i++) {
		if (a[i] != b[i])
			printf("# register %zu: %llx and %llx\n", i, a[i], b[i]);
	}
	return 0;
}

static void seek_to(struct bh_position position)
{
	struct bh_stop stop;

	must(bh_replay_seek(replay, position, &stop));
	if (stop.reason == BH_STOP_DIVERGED)
		printf("# diverged: %s\n", bh_replay_divergence(replay));
}

/* A random place: the beginning of an event, or some ticks and instructions into one. */
static void seek_somewhere(void)
{
	struct bh_position position = {1 + choose(last_event), 0, 0};
	double start_us = now_us();

	seek_to(position);
	add_figure(&goto_times, start_us);
	if (choose(3)) {
		position.tick = choose(1ull << choose(16));
		position.instruction = choose(1ull << choose(9));
		seek_to(position);
	}
}

/* --- walks --- */

static uint64_t some_function(void);

/* Planted while walks go on: continue stops there, in whatever node that is. */
static uint64_t walk_breakpoints[WALK_BREAKPOINTS];

static int is_at_breakpoint(const struct state *state)
{
	for (size_t i = 0; i < WALK_BREAKPOINTS; i++) {
		if (walk_breakpoints[i] == state->registers.rip)
			return 1;
	}
	return 0;
}

enum kind { STEP, SEEK, CONTINUE };

/* One move forward. */
static enum kind move_forward(int *is_end_ret)
{
	struct bh_position position = bh_replay_position(replay);
	struct bh_stop stop = {0};
	enum kind kind = SEEK;

	*is_end_ret = 0;
	switch (choose(10)) {
	case 0: /* some ticks on, or the next event */
		position.tick += 1 + choose(30);
		position.instruction = choose(4);
		seek_to(position);
		break;
	case 1:
		position.event += 1 + choose(5);
		position.tick = position.instruction = 0;
		seek_to(position);
		break;
	case 2:
	case 3: {
		double start_us = now_us();
		must(bh_replay_continue(replay, BH_FORWARD, &stop));
		add_figure(&stop_times, start_us);
		kind = CONTINUE;
		break;
	}
	default: {
		double start_us = now_us();
		must(bh_replay_step(replay, 0, BH_FORWARD, &stop));
		add_figure(&forward_steps, start_us);
		*is_end_ret = stop.reason != BH_STOP_STEP;
		return STEP;
	}
	}
	*is_end_ret |= bh_replay_position(replay).event >= last_event;
	return kind;
}

/* From the state behind a move to the one before it, by the same kind of move if that can be. */
static const char *move_back(enum kind kind, const struct state *before, const struct state *behind)
{
	struct bh_stop stop;
	double start_us = now_us();

	/* A step that changed the thread is not undone by a step of the new one, and continuing
	 * backwards leads to where a breakpoint is. */
	if (kind == STEP && before->thread == behind->thread) {
		must(bh_replay_step(replay, 0, BH_BACKWARD, &stop));
		add_figure(&reverse_steps, start_us);
		return "stepping back";
	}
	if (kind == CONTINUE && is_at_breakpoint(before)) {
		must(bh_replay_continue(replay, BH_BACKWARD, &stop));
		add_figure(&back_times, start_us);
		return "continuing back";
	}
	seek_to(before->position);
	return "seeking back";
}

static int walk(struct bh_position from)
{
	static struct state states[MOVES_MAX + 1];
	enum kind kinds[MOVES_MAX];
	size_t count = 0, wanted = 1 + choose(choose(4) ? SHORT_MOVES : MOVES_MAX - 1);
	int is_end = 0;

	if (memcmp(&from, &(struct bh_position[1]){bh_replay_position(replay)}[0], sizeof(from)))
		seek_to(from);
	take_state(&states[0]);
	while (count < wanted && !is_end && states[count].position.event < last_event) {
		kinds[count] = move_forward(&is_end);
		take_state(&states[++count]);
	}
	while (count-- > 0) {
		const char *what = move_back(kinds[count], &states[count], &states[count + 1]);
		if (!same_state(&states[count], what))
			return 0;
	}
	return 1;
}

static void plant_for_walks(void)
{
	for (size_t i = 0; i < WALK_BREAKPOINTS; i++) {
		walk_breakpoints[i] = some_function();
		must(bh_replay_breakpoint_insert(replay, walk_breakpoints[i], NULL, NULL));
		bh_replay_breakpoint_explain(replay, walk_breakpoints[i], &always);
	}
}

static void test_walks(unsigned int walks)
{
	unsigned int done = 0, start_seed = seed;
	struct bh_position from = {1, 0, 0};

	plant_for_walks();
	while (done < walks) {
		if (done % WALKS_PER_PLACE == 0) {
			seek_somewhere();
			from = bh_replay_position(replay);
		}
		with_digest = done % DIGEST_WALKS == 0;
		if (!walk(from))
			break;
		done++;
	}
	with_digest = 1;
	for (size_t i = 0; i < WALK_BREAKPOINTS; i++)
		bh_replay_breakpoint_remove(replay, walk_breakpoints[i]);
	if (done < walks)
		printf("# walk %u failed; repeat with seed %u\n", done, start_seed);
	printf("# %u walks\n", done);
	check(done == walks,
	      "random walks: k moves forward and k back restore registers and digest");
}

/* --- breakpoints --- */

static int only_event_multiple_of_3(void *arg, struct bh_replay *at)
{
	(*(int *)arg)++;
	return bh_replay_position(at).event % 3 == 0;
}

/* The address of a function that is entered somewhere near here, or 0. */
static uint64_t some_function(void)
{
	struct bh_position position;
	struct user_regs_struct registers;

	for (int tries = 0; tries < 50; tries++) {
		position = (struct bh_position){1 + choose(last_event), 1 + choose(20), 0};
		seek_to(position);
		if (memcmp(&position, &(struct bh_position[1]){bh_replay_position(replay)}[0],
			   sizeof(position)) != 0)
			continue;
		must(bh_replay_registers(replay, 0, &registers));
		return registers.rip - 5;
	}
	return 0;
}

#define HITS_MAX 6

static int test_breakpoint(uint64_t address, bh_replay_condition condition, int *asked)
{
	static struct state hits[HITS_MAX];
	size_t count = 0;
	struct bh_stop stop;
	int is_ok = 1;

	must(bh_replay_breakpoint_insert(replay, address, condition, asked));
	if (!condition)
		bh_replay_breakpoint_explain(replay, address, &always);
	seek_to((struct bh_position){1 + choose(last_event), 0, 0});
	for (;;) {
		double start_us = now_us();
		must(bh_replay_continue(replay, BH_FORWARD, &stop));
		if (stop.reason != BH_STOP_BREAKPOINT)
			break;
		add_figure(&stop_times, start_us);
		take_state(&hits[count]);
		if (hits[count].registers.rip != address) {
			print_state("stopped elsewhere", &hits[count]);
			is_ok = 0;
		}
		if (++count == HITS_MAX)
			break;
	}
	/* At the last hit, that one isn't met again; at the end of history it is. */
	if (count && stop.reason == BH_STOP_BREAKPOINT)
		count--;
	while (count-- > 0 && is_ok) {
		double start_us = now_us();
		must(bh_replay_continue(replay, BH_BACKWARD, &stop));
		add_figure(&back_times, start_us);
		is_ok = stop.reason == BH_STOP_BREAKPOINT && stop.address == address &&
			same_state(&hits[count], "reverse-continue");
		if (stop.reason != BH_STOP_BREAKPOINT)
			printf("# reverse-continue stopped for reason %d\n", (int)stop.reason);
	}
	bh_replay_breakpoint_remove(replay, address);
	return is_ok;
}

static void test_breakpoints(void)
{
	int is_ok = 1, is_ok_conditional = 1, asked = 0;

	for (int i = 0; i < 12 && is_ok && is_ok_conditional; i++) {
		uint64_t address = some_function();
		if (!address)
			continue;
		is_ok = test_breakpoint(address + 5 * choose(2), NULL, NULL);
		is_ok_conditional = test_breakpoint(address, only_event_multiple_of_3, &asked);
	}
	check(is_ok, "breakpoints: reverse-continue meets the same hits in the other order");
	check(is_ok_conditional && asked, "breakpoints with a condition likewise");
}

/* --- working ahead --- */

static int never(void *arg)
{
	return 0;
}

static void test_work_ahead(void)
{
	struct state before;
	int rounds = 0, is_done = 0;

	seek_to((struct bh_position){last_event / 3, 2, 3});
	take_state(&before);
	while (!is_done && rounds++ < 100000)
		is_done = !bh_replay_work_ahead(replay, never, NULL);
	check(same_state(&before, "working ahead"),
	      "working ahead comes to an end and leaves the position and the state alone");
	check(is_done && rounds > 1 && !bh_replay_work_ahead(replay, never, NULL),
	      "and then there is nothing left to do");
}

/* --- watchpoints --- */

static void test_watchpoints(void)
{
	int is_ok = 1, tested = 0;

	for (int i = 0; i < 10 && is_ok; i++) {
		struct bh_stop stop;
		struct user_regs_struct registers;
		uint64_t before, after;
		struct state behind;
		seek_to((struct bh_position){1 + choose(last_event), 1 + choose(10), 0});
		must(bh_replay_registers(replay, 0, &registers));
		uint64_t address = (registers.rsp - 8) & ~7ull;
		if (bh_replay_watch_insert(replay, address, 8, BH_WATCH_WRITE))
			break;
		must(bh_replay_continue(replay, BH_FORWARD, &stop));
		if (stop.reason == BH_STOP_WATCHPOINT) {
			tested++;
			take_state(&behind);
			bh_replay_read(replay, address, &after, 8);
			must(bh_replay_continue(replay, BH_BACKWARD, &stop));
			is_ok = stop.reason == BH_STOP_WATCHPOINT && stop.address == address;
			bh_replay_read(replay, address, &before, 8);
			must(bh_replay_step(replay, 0, BH_FORWARD, &stop));
			is_ok = is_ok && same_state(&behind, "a step over the watched write");
			if (!is_ok)
				printf("# watch %lx: %lx, then %lx, reason %d\n", address, before,
				       after, (int)stop.reason);
		}
		bh_replay_watch_remove(replay, address, 8, BH_WATCH_WRITE);
	}
	check(is_ok && tested, "a watchpoint is met again backwards, before its write");
}

/* --- threads and images --- */

static void test_threads(void)
{
	const struct bh_replay_thread *threads;
	const struct bh_replay_image *images;
	struct user_regs_struct registers;
	size_t count, image_count, readable = 0, running = 0;

	seek_to((struct bh_position){last_event, 0, 0});
	must(bh_replay_threads(replay, &threads, &count));
	for (size_t i = 0; i < count; i++) {
		struct bh_error *error = bh_replay_registers(replay, threads[i].id, &registers);
		uint8_t byte;
		if (!error && bh_replay_read(replay, registers.rip, &byte, 1) == 1)
			readable++;
		else
			printf("# thread %s (%lx): pc %llx\n", threads[i].name, threads[i].id,
			       error ? 0 : registers.rip);
		bh_error_free(error);
		running += threads[i].is_running != 0;
		if (i < 12)
			printf("# thread %lx %s pc %llx%s\n", threads[i].id, threads[i].name,
			       registers.rip, threads[i].is_running ? " has the CPU" : "");
	}
	check(count > 3 && readable == count && running == 1,
	      "every thread has registers, and one has the CPU");
	must(bh_replay_images(replay, &images, &image_count));
	size_t kernels = 0;
	for (size_t i = 0; i < image_count; i++) {
		uint8_t magic[4];
		kernels += images[i].is_kernel &&
			   bh_replay_read(replay, images[i].base, magic, 4) == 4 &&
			   !memcmp(magic, "\177ELF", 4) && images[i].dynamic && images[i].build_id;
	}
	check(kernels == bh_trace_node_count(bh_replay_trace(replay)),
	      "every node has a kernel image");
}

#define LIST_PLACES 12
#define LIST_BYTES  16384

/* Names and numbers of all threads at a place; the running one has a star. */
static void describe_threads(struct bh_position place, char text_ret[LIST_BYTES])
{
	const struct bh_replay_thread *threads;
	size_t count, length = 0;

	seek_to(place);
	must(bh_replay_threads(replay, &threads, &count));
	text_ret[0] = 0;
	for (size_t i = 0; i < count && length < LIST_BYTES - 100; i++)
		length += (size_t)snprintf(text_ret + length, LIST_BYTES - length, "%lx %s%s%s\n",
					   threads[i].id, threads[i].name,
					   threads[i].is_active ? "" : " waits",
					   threads[i].is_running ? " *" : "");
}

/* What the list of threads is made of depends on where the replay was before; what it says must
 * not. The first places lie in the boot and in the starts of programs. */
static void test_thread_lists(void)
{
	static char first[LIST_PLACES][LIST_BYTES], again[LIST_BYTES];
	struct bh_position places[LIST_PLACES];
	int is_ok = 1, is_varied = 0;

	for (int i = 0; i < LIST_PLACES; i++) {
		places[i] = (struct bh_position){1 + choose(last_event), i % 3 * 100, i % 2 * 10};
		if (i < 3)
			places[i] = (struct bh_position){2 + (unsigned int)i, 1000, 5};
		describe_threads(places[i], first[i]);
		places[i] = bh_replay_position(replay);
	}
	for (int round = 0; round < 4 * LIST_PLACES; round++) {
		size_t i = choose(LIST_PLACES);
		describe_threads(places[i], again);
		if (is_ok && strcmp(first[i], again)) {
			printf("# at event %lu %zu bytes at first, now %zu\n", places[i].event,
			       strlen(first[i]), strlen(again));
			is_ok = 0;
		}
		is_varied |= strcmp(first[0], again) != 0;
	}
	check(is_ok && is_varied, "the threads of a place are the same whatever the way there");
}

#define THREAD_STEPS 24

/* Steps of one thread back over the place where it got the CPU, and forward again. */
static int test_switch(uint64_t thread, struct bh_stop *stop)
{
	static struct state states[THREAD_STEPS + 1];
	int count = 0, others = 0;

	take_state(&states[0]);
	while (count < THREAD_STEPS) {
		must(bh_replay_step(replay, thread, BH_BACKWARD, stop));
		if (stop->reason == BH_STOP_BEGIN)
			return 1;
		if (stop->thread != thread)
			return 0;
		take_state(&states[++count]);
		others += states[count].position.event != states[count - 1].position.event;
	}
	while (count-- > 0) {
		must(bh_replay_step(replay, thread, BH_FORWARD, stop));
		if (stop->thread != thread || !same_state(&states[count], "a thread's step"))
			return 0;
	}
	printf("# thread %lx: %d steps back and forward, over %d switches\n", thread, THREAD_STEPS,
	       others);
	return 1;
}

static void test_thread_steps(void)
{
	int is_ok = 1;

	for (int i = 0; i < 8 && is_ok; i++) {
		const struct bh_replay_thread *threads;
		struct bh_stop stop;
		size_t count;
		seek_to((struct bh_position){last_event / 2 + choose(last_event / 2), choose(10),
					     0});
		must(bh_replay_threads(replay, &threads, &count));
		uint64_t thread = threads[choose(count)].id;
		must(bh_replay_step(replay, thread, BH_FORWARD, &stop));
		if (stop.reason == BH_STOP_END)
			continue;
		is_ok = stop.reason == BH_STOP_STEP && stop.thread == thread &&
			test_switch(thread, &stop);
		if (!is_ok)
			printf("# thread %lx: reason %d, thread %lx\n", thread, (int)stop.reason,
			       stop.thread);
	}
	check(is_ok, "a thread is stepped over the time in which it hasn't the CPU, both ways");
}

static void test_ends(void)
{
	struct bh_stop stop;

	must(bh_replay_continue(replay, BH_BACKWARD, &stop));
	check(stop.reason == BH_STOP_BEGIN && bh_replay_position(replay).event == 1,
	      "backwards history has a beginning");
	must(bh_replay_step(replay, 0, BH_BACKWARD, &stop));
	check(stop.reason == BH_STOP_BEGIN, "and nothing before it");
	double start_us = now_us();
	must(bh_replay_continue(replay, BH_FORWARD, &stop));
	check(stop.reason == BH_STOP_END && bh_replay_position(replay).event == last_event,
	      "forwards it has an end");
	printf("# from beginning to end: %.0f ms\n", (now_us() - start_us) / 1e3);
}

/* --- stops on the way --- */

#define STOP_PLACES 16

/* In a process of its own, so that the replay has the same memory to begin with. */
static void __attribute__((noreturn))
take_digests(const struct bh_trace *trace, int stops_at_all, int pipe_end)
{
	uint64_t digest, event = 1;

	must(bh_replay_create(trace, find_kernel, NULL, &replay));
	for (unsigned int i = 0; i < STOP_PLACES; i++) {
		uint64_t place = 1 + last_event * (i + 1) / (STOP_PLACES + 1);
		for (; stops_at_all && event < place; event++)
			seek_to((struct bh_position){event, 0, 0});
		seek_to((struct bh_position){place, 0, 0});
		must(bh_replay_state_digest(replay, &digest));
		if (write(pipe_end, &digest, sizeof(digest)) != sizeof(digest))
			_exit(1);
	}
	bh_replay_destroy(replay);
	_exit(0);
}

/* Where the replay stopped before shows nowhere: not in a register that a function saves, nor in
 * what it leaves on a stack. */
static void test_stops(const struct bh_trace *trace)
{
	uint64_t digests[2][STOP_PLACES] = {{0}};
	int pipe_ends[2], is_ok = 1;

	fflush(stdout);
	for (int stops_at_all = 0; stops_at_all < 2; stops_at_all++) {
		if (pipe(pipe_ends))
			abort();
		if (!fork())
			take_digests(trace, stops_at_all, pipe_ends[1]);
		close(pipe_ends[1]);
		for (unsigned int i = 0; i < STOP_PLACES; i++)
			is_ok = is_ok && read(pipe_ends[0], &digests[stops_at_all][i], 8) == 8;
		close(pipe_ends[0]);
		wait(NULL);
	}
	for (unsigned int i = 0; i < STOP_PLACES; i++)
		if (digests[0][i] != digests[1][i]) {
			printf("# place %u: %016lx, and %016lx after stops at all events\n", i,
			       digests[0][i], digests[1][i]);
			is_ok = 0;
		}
	check(is_ok, "a state is the same whether or not the replay stopped on the way to it");
}

/* --- start --- */

/* The walks again where only one node is there, whose events don't follow one another. */
static void test_alone(const struct bh_trace *trace, const char *node, unsigned int walks)
{
	const struct bh_replay_options options = {
		.find_kernel = find_kernel, .node = node, .cache_folder = "engine-run/feeds"};

	printf("# %s alone\n", node);
	must(bh_replay_create_alone(trace, &options, &replay));
	test_walks(walks);
	test_breakpoints();
	bh_replay_destroy(replay);
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : record_example("engine-run", "blackhole.yaml");
	const char *kernels = getenv("BACKHOP_KERNELS");
	/* A kernel with debug.config runs several times as many instructions for each event. */
	unsigned int walks = kernels && strstr(kernels, "-debug") ? 200 : 2000;
	struct bh_trace *trace;
	int status;

	if (argc > 3)
		walks = (unsigned int)strtoul(argv[3], NULL, 0);
	seed = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : (unsigned int)time(NULL);
	printf("# seed %u\n", seed);
	must(bh_trace_open(path, &trace));
	last_event = bh_trace_event_count(trace);
	test_stops(trace);
	double start_us = now_us();
	must(bh_replay_create(trace, find_kernel, NULL, &replay));
	printf("# started in %.0f ms, %lu events\n", (now_us() - start_us) / 1e3, last_event);
	check(bh_replay_position(replay).event == 1, "the replay stands at event 1");
	/* Searches look at two pieces at a time, however short they are. */
	replay->timeline->config.ahead_ns = 1;
	test_work_ahead();
	test_ends();
	test_walks(walks);
	test_breakpoints();
	test_watchpoints();
	test_threads();
	test_thread_lists();
	test_thread_steps();
	print_figures(&forward_steps);
	print_figures(&reverse_steps);
	print_figures(&goto_times);
	print_figures(&stop_times);
	print_figures(&back_times);
	print_figures(&digest_times);
	bh_replay_destroy(replay);
	if (argc < 2)
		test_alone(trace, "r2", walks / 5);
	check(waitpid(-1, &status, __WALL) == -1 && errno == ECHILD, "no process is left");
	bh_trace_close(trace);
	printf("1..%d\n", test_number);
	return failures != 0;
}
