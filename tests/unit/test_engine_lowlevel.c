/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replay engine's lower layer (ptrace, copies, ticks, checkpoints, seek, search) on a small
 * deterministic machine of its own: generated functions that begin with the NOP of a kernel
 * image's functions, run event by event through the gate. Every position of a stretch of history is
 * recorded once by stepping through it; seeks, reverse steps and searches must agree with that.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "replayer/timeline.h"
#include "simulator/gate.h"
#include "tests/unit/tap.h"

#define BASE	   0x200000000000ull
#define TEXT_BYTES 0x4000ull
#define DATA	   (BASE + 0x100000)
#define DATA_BYTES 0x2000ull
#define STUBS	   0x200000
#define FUNCTIONS  48
#define EVENTS	   4000
#define BAD_LOAD   0x7fffffff000ull

static uint8_t text[TEXT_BYTES];
static uint32_t entries[FUNCTIONS];

/* --- the machine --- */

static size_t put(size_t at, const char *bytes, size_t count)
{
	memcpy(text + at, bytes, count);
	return at + count;
}

static size_t put64(size_t at, const char *opcode, size_t count, uint64_t value)
{
	at = put(at, opcode, count);
	return put(at, (const char *)&value, 8);
}

/* f(n): hashes n into memory in ways that are awkward for a stepper, and calls smaller functions.
 */
static void generate(void)
{
	size_t at = 0;

	for (unsigned int f = 0; f < FUNCTIONS; f++) {
		entries[f] = (uint32_t)at;
		at = put(at, "\x0f\x1f\x44\x00\x00", 5); /* nopl */
		at = put(at, "\x53\x48\x89\xfb", 4);	 /* push rbx; mov rdi, rbx */
		at = put64(at, "\x48\xb8", 2, 0x9e3779b97f4a7c15ull * (f + 1));
		at = put(at, "\x48\x0f\xaf\xc7", 4);	     /* imul rdi, rax */
		at = put64(at, "\x48\xb9", 2, DATA + 8 * f); /* movabs, rcx */
		at = put(at, "\x48\x01\x01", 3);	     /* add rax, (rcx) */
		/* pushf; popf; pushf; pop rdx; add rdx, 8(rcx) */
		at = put(at, "\x9c\x9d\x9c\x5a\x48\x01\x51\x08", 8);
		if (f % 3 == 1) {
			at = put64(at, "\x48\xbf", 2, DATA + 0x400 + 64 * f); /* movabs, rdi */
			at = put(at, "\xb9\x30\x00\x00\x00\xf3\xaa",
				 7); /* mov $48, ecx; rep stosb */
		}
		if (f % 7 == 5) { /* a load that faults; the handler goes on behind it */
			at = put64(at, "\x48\xb9", 2, BAD_LOAD);
			at = put(at, "\x48\x8b\x11", 3); /* mov (rcx), rdx */
		}
		for (unsigned int call = 0; f && call < 1 + f % 2; call++) {
			int32_t callee = (int32_t)entries[(f * (5 + call)) % f];
			at = put(at, "\x48\x8d\x7b", 3); /* lea 3(rbx), rdi */
			at = put(at, call ? "\x05" : "\x03", 1);
			at = put(at, "\xe8", 1);
			callee -= (int32_t)(at + 4);
			at = put(at, (const char *)&callee, 4);
		}
		at = put(at, "\x48\x31\xd8\x5b\xc3", 5); /* xor rbx, rax; pop rbx; ret */
	}
	if (at > TEXT_BYTES)
		abort();
}

static void skip_bad_load(int signal, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	(void)signal;
	if (info->si_addr != (void *)BAD_LOAD)
		_exit(3);
	user->uc_mcontext.gregs[REG_RIP] += 3;
}

static void run_machine(void *arg)
{
	struct sigaction action = {.sa_sigaction = skip_bad_load, .sa_flags = SA_SIGINFO};
	uint64_t state = 7;
	void *code = mmap((void *)BASE, TEXT_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	(void)arg;
	if (code == MAP_FAILED ||
	    mmap((void *)DATA, DATA_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(2);
	memcpy(code, text, TEXT_BYTES);
	mprotect(code, TEXT_BYTES, PROT_READ | PROT_EXEC);
	sigaction(SIGSEGV, &action, NULL);
	for (uint64_t event = 1; event <= EVENTS; event++) {
		bh_gate.event = event;
		bh_gate.tick = 0;
		bh_gate_pass();
		for (unsigned int call = 0; call < 3 + event % 4; call++) {
			uint64_t (*function)(uint64_t);
			state = state * 6364136223846793005ull + 1442695040888963407ull;
			function =
				(uint64_t(*)(uint64_t))(BASE + entries[(state >> 33) % FUNCTIONS]);
			state ^= function(state & 0xffff);
		}
	}
	_exit(0);
}

/* --- what is compared --- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t count)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < count; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ull;
	return hash;
}

static uint64_t state_hash(struct bh_timeline *timeline)
{
	static uint8_t bytes[TEXT_BYTES];
	struct bh_copy *copy = bh_timeline_copy(timeline);
	struct user_regs_struct registers = *bh_copy_registers(copy);
	uint64_t hash = 0xcbf29ce484222325ull;

	registers.orig_rax = 0;
	hash = mix(hash, &registers, sizeof(registers));
	hash = mix(hash, bytes, bh_copy_read(copy, DATA, bytes, DATA_BYTES));
	bh_copy_read(copy, BASE, bytes, TEXT_BYTES);
	return mix(hash, bytes, TEXT_BYTES);
}

struct moment {
	struct bh_position position;
	uint64_t hash, pc, word; /* word: what lies at the watched address */
};

#define MOMENTS_MAX 60000
static struct moment *moments;
static size_t moment_count;
static uint64_t watched = DATA + 8 * 11;

static void record_moment(struct bh_timeline *timeline)
{
	struct bh_copy *copy = bh_timeline_copy(timeline);

	if (moment_count == MOMENTS_MAX) {
		printf("Bail out! more positions than expected\n");
		exit(1);
	}
	moments[moment_count++] = (struct moment){
		bh_timeline_position(timeline),
		state_hash(timeline),
		bh_copy_pc(copy),
		bh_copy_read_u64(copy, watched),
	};
}

static int is_moment(struct bh_timeline *timeline, const struct moment *moment, const char *what)
{
	struct bh_position position = bh_timeline_position(timeline);

	if (!bh_position_compare(position, moment->position) &&
	    bh_copy_pc(bh_timeline_copy(timeline)) == moment->pc &&
	    state_hash(timeline) == moment->hash)
		return 1;
	printf("# %s: at (%llu,%llu,%llu) pc %#llx, expected (%llu,%llu,%llu) pc %#llx\n", what,
	       (unsigned long long)position.event, (unsigned long long)position.tick,
	       (unsigned long long)position.instruction,
	       (unsigned long long)bh_copy_pc(bh_timeline_copy(timeline)),
	       (unsigned long long)moment->position.event,
	       (unsigned long long)moment->position.tick,
	       (unsigned long long)moment->position.instruction, (unsigned long long)moment->pc);
	return 0;
}

/* --- the tests --- */

static void record_stretch(struct bh_timeline *timeline, uint64_t from, uint64_t to)
{
	struct bh_position start = {from, 0, 0};
	enum bh_arrival arrival;

	must(bh_timeline_seek(timeline, start, &arrival));
	record_moment(timeline);
	while (bh_timeline_position(timeline).event < to) {
		must(bh_timeline_step(timeline, BH_FORWARD, &arrival));
		if (arrival != BH_ARRIVED) {
			printf("# arrival %d in a step\n", (int)arrival);
			break;
		}
		record_moment(timeline);
	}
	printf("# %zu positions in %llu events\n", moment_count, (unsigned long long)(to - from));
}

static void test_seeks(struct bh_timeline *timeline, unsigned int *seed)
{
	enum bh_arrival arrival;
	int is_ok = 1;

	for (int i = 0; i < 150 && is_ok; i++) {
		const struct moment *moment = &moments[(size_t)rand_r(seed) % moment_count];
		if (i % 10 == 9) { /* from far away */
			struct bh_position far = {1 + (uint64_t)rand_r(seed) % EVENTS, 0, 0};
			must(bh_timeline_seek(timeline, far, &arrival));
		}
		must(bh_timeline_seek(timeline, moment->position, &arrival));
		is_ok = arrival == BH_ARRIVED && is_moment(timeline, moment, "seek");
	}
	check(is_ok, "150 random seeks arrive at the recorded state");
}

static int compare_u64(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static void test_walks(struct bh_timeline *timeline, unsigned int *seed)
{
	static uint64_t times[200 * 30];
	size_t count = 0;
	enum bh_arrival arrival;
	int is_ok = 1;

	for (int walk = 0; walk < 60 && is_ok; walk++) {
		size_t steps = 1 + (size_t)rand_r(seed) % 30;
		size_t at = (size_t)rand_r(seed) % (moment_count - steps);
		must(bh_timeline_seek(timeline, moments[at].position, &arrival));
		for (size_t i = 0; i < steps && is_ok; i++) {
			must(bh_timeline_step(timeline, BH_FORWARD, &arrival));
			is_ok = is_moment(timeline, &moments[at + i + 1], "step forward");
		}
		for (size_t i = steps; i-- > 0 && is_ok;) {
			struct timespec before, after;
			clock_gettime(CLOCK_MONOTONIC, &before);
			must(bh_timeline_step(timeline, BH_BACKWARD, &arrival));
			clock_gettime(CLOCK_MONOTONIC, &after);
			times[count++] = (uint64_t)(after.tv_sec - before.tv_sec) * 1000000000ull +
					 (uint64_t)after.tv_nsec - (uint64_t)before.tv_nsec;
			is_ok = is_moment(timeline, &moments[at + i], "step backward");
		}
	}
	check(is_ok, "60 random walks: k steps forward and k back");
	qsort(times, count, sizeof(*times), compare_u64);
	if (count)
		printf("# reverse step: median %.0f us, p99 %.0f us of %zu\n",
		       (double)times[count / 2] / 1e3, (double)times[count * 99 / 100] / 1e3,
		       count);
}

static size_t find_forward(size_t at, uint64_t pc)
{
	for (size_t i = at + 1; i < moment_count; i++) {
		if (moments[i].pc == pc)
			return i;
	}
	return moment_count;
}

static size_t find_backward(size_t at, uint64_t pc)
{
	while (at-- > 0) {
		if (moments[at].pc == pc)
			return at;
	}
	return moment_count;
}

static void test_breakpoints(struct bh_timeline *timeline, unsigned int *seed)
{
	enum bh_arrival arrival;
	struct bh_find find;
	int is_ok = 1;

	for (int i = 0; i < 40 && is_ok; i++) {
		size_t at = moment_count / 4 + (size_t)rand_r(seed) % (moment_count / 2);
		size_t target = moment_count / 4 + (size_t)rand_r(seed) % (moment_count / 2);
		/* At an entry, behind one, and anywhere in the functions. */
		uint64_t pc = moments[target].pc;
		if (i % 4 == 0)
			pc = BASE + entries[(size_t)rand_r(seed) % FUNCTIONS];
		if (i % 4 == 1)
			pc = BASE + entries[(size_t)rand_r(seed) % FUNCTIONS] + 5;
		if (pc < BASE || pc >= BASE + TEXT_BYTES)
			continue;
		struct bh_search search = {.addresses = &pc, .address_count = 1};
		for (int direction = 0; direction < 2 && is_ok; direction++) {
			size_t expected = direction ? find_backward(at, pc) : find_forward(at, pc);
			if (expected == moment_count)
				continue;
			must(bh_timeline_seek(timeline, moments[at].position, &arrival));
			must(bh_timeline_search(timeline, &search,
						direction ? BH_BACKWARD : BH_FORWARD, &find));
			is_ok = find.found == BH_FOUND_BREAKPOINT && find.address == pc &&
				is_moment(timeline, &moments[expected],
					  direction ? "reverse continue" : "continue");
		}
	}
	check(is_ok, "breakpoints are found in both directions, exactly");
}

static void test_watchpoints(struct bh_timeline *timeline, unsigned int *seed)
{
	struct bh_search search = {.watch_addresses = {watched},
				   .watch_dr7 = 1 | 1 << 16 | 2 << 18}; /* write, 8 bytes */
	enum bh_arrival arrival;
	struct bh_find find;
	int is_ok = 1;

	for (int i = 0; i < 20 && is_ok; i++) {
		size_t at = moment_count / 4 + (size_t)rand_r(seed) % (moment_count / 2);
		size_t next = at + 1, last = at;
		while (next < moment_count && moments[next].word == moments[next - 1].word)
			next++;
		while (last > 0 && moments[last].word == moments[last - 1].word)
			last--;
		if (next == moment_count || !last)
			continue;
		must(bh_timeline_seek(timeline, moments[at].position, &arrival));
		must(bh_timeline_search(timeline, &search, BH_FORWARD, &find));
		is_ok = find.found == BH_FOUND_WATCH &&
			is_moment(timeline, &moments[next], "watch");
		must(bh_timeline_seek(timeline, moments[at].position, &arrival));
		must(bh_timeline_search(timeline, &search, BH_BACKWARD, &find));
		is_ok = is_ok && find.found == BH_FOUND_WATCH &&
			is_moment(timeline, &moments[last - 1], "reverse watch");
	}
	check(is_ok, "a watchpoint stops behind the write, backwards before it");
}

static void test_ends(struct bh_timeline *timeline)
{
	struct bh_position beyond = {EVENTS + 10, 0, 0}, none = {100, 1000000, 5};
	uint64_t never = BASE + TEXT_BYTES - 1;
	struct bh_search search = {.addresses = &never, .address_count = 1};
	enum bh_arrival arrival;
	struct bh_find find;

	must(bh_timeline_seek(timeline, beyond, &arrival));
	check(bh_timeline_is_at_end(timeline), "a seek beyond the end stops at the end");
	must(bh_timeline_step(timeline, BH_FORWARD, &arrival));
	check(arrival == BH_ARRIVED_EARLIER, "no step leads past the end");
	must(bh_timeline_search(timeline, &search, BH_BACKWARD, &find));
	check(find.found == BH_FOUND_NOTHING && bh_timeline_is_at_beginning(timeline),
	      "a search that finds nothing ends at the beginning");
	must(bh_timeline_step(timeline, BH_BACKWARD, &arrival));
	check(arrival == BH_ARRIVED_EARLIER, "no step leads before the beginning");
	must(bh_timeline_search(timeline, &search, BH_FORWARD, &find));
	check(find.found == BH_FOUND_NOTHING && bh_timeline_is_at_end(timeline),
	      "and one forward at the end");
	must(bh_timeline_seek(timeline, none, &arrival));
	check(arrival == BH_ARRIVED_EARLIER, "a tick that does not exist is not reached");
}

static int polls;

static int poll_once(void *arg)
{
	(void)arg;
	return ++polls > 2;
}

static void test_interrupt(struct bh_timeline *timeline)
{
	uint64_t often = BASE + entries[0];
	struct bh_search search = {.addresses = &often, .address_count = 1};
	struct bh_position begin = {1, 0, 0};
	enum bh_arrival arrival;
	struct bh_find find;

	must(bh_timeline_seek(timeline, begin, &arrival));
	bh_timeline_set_poll(timeline, poll_once, NULL);
	must(bh_timeline_seek(timeline, bh_timeline_end(timeline), &arrival));
	polls = 0;
	must(bh_timeline_search(timeline, &search, BH_BACKWARD, &find));
	check(find.found == BH_FOUND_BREAKPOINT || find.found == BH_FOUND_INTERRUPT,
	      "a search can be interrupted");
	bh_timeline_set_poll(timeline, NULL, NULL);
}

/* --- histories that end before their time --- */

#define SHORT_EVENTS 400

static volatile uint64_t diverged_at; /* in the tracee */

/* Leaves its trace in event 300: tells at the gate, like the rerun's observer, and goes on. */
static void run_diverging(void *arg)
{
	(void)arg;
	for (uint64_t event = 1; event <= SHORT_EVENTS; event++) {
		bh_gate.event = event;
		if (event == 300) {
			diverged_at = event;
			bh_gate_trap();
		}
		bh_gate_pass();
	}
	_exit(0);
}

static uint64_t find_divergence(void *arg, struct bh_copy *copy)
{
	uint64_t event = 0;

	(void)arg;
	bh_tracee_read(copy->tracee, (uintptr_t)&diverged_at, &event, sizeof(event));
	return event;
}

static void run_crashing(void *arg)
{
	(void)arg;
	for (uint64_t event = 1; event <= SHORT_EVENTS; event++) {
		bh_gate.event = event;
		bh_gate_pass();
		if (event == 200)
			*(volatile int *)arg = 1;
	}
	_exit(0);
}

static void test_divergence(void)
{
	struct bh_timeline_config config = {.run = run_diverging,
					    .last_event = SHORT_EVENTS,
					    .find_divergence = find_divergence};
	struct bh_search search = {.address_count = 0};
	struct bh_timeline *timeline;
	enum bh_arrival arrival;
	struct bh_find find;

	must(bh_timeline_create(&config, &timeline));
	must(bh_timeline_search(timeline, &search, BH_FORWARD, &find));
	check(find.found == BH_FOUND_DIVERGED && bh_timeline_position(timeline).event == 300,
	      "a replay that leaves its trace stops there");
	must(bh_timeline_step(timeline, BH_FORWARD, &arrival));
	check(arrival == BH_ARRIVED_EARLIER && bh_timeline_is_diverged(timeline),
	      "and goes no further");
	must(bh_timeline_step(timeline, BH_BACKWARD, &arrival));
	check(arrival == BH_ARRIVED && bh_timeline_position(timeline).event == 299 &&
		      bh_copy_is_at_gate(bh_timeline_copy(timeline)),
	      "but back from there");
	must(bh_timeline_step(timeline, BH_FORWARD, &arrival));
	check(arrival == BH_ARRIVED_DIVERGED && bh_timeline_position(timeline).event == 300,
	      "and there again");
	bh_timeline_destroy(timeline);
}

static void test_crash(void)
{
	struct bh_timeline_config config = {.run = run_crashing, .last_event = SHORT_EVENTS};
	struct bh_search search = {.address_count = 0};
	struct bh_position before = {150, 0, 0};
	struct bh_timeline *timeline;
	enum bh_arrival arrival;
	struct bh_find find;

	must(bh_timeline_create(&config, &timeline));
	must(bh_timeline_search(timeline, &search, BH_FORWARD, &find));
	check(find.found == BH_FOUND_EXITING && bh_timeline_signal(timeline) == SIGSEGV &&
		      bh_timeline_position(timeline).event == 200,
	      "a process that dies stops with its signal");
	must(bh_timeline_seek(timeline, before, &arrival));
	check(arrival == BH_ARRIVED && bh_timeline_position(timeline).event == 150,
	      "and history before it stays open");
	bh_timeline_destroy(timeline);
}

int main(int argc, char **argv)
{
	unsigned int seed =
		argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 0) : (unsigned int)time(NULL);
	/* Pieces are searched two at a time, however short. */
	struct bh_timeline_config config = {
		.run = run_machine, .last_event = EVENTS, .ahead_ns = 1};
	struct bh_tick_layout layout = {text, 0, TEXT_BYTES, entries, FUNCTIONS, STUBS};
	struct bh_tick_text *tick_text;
	struct bh_timeline *timeline;
	uint8_t cpus[128];

	printf("# seed %u\n", seed);
	generate();
	moments = calloc(MOMENTS_MAX, sizeof(*moments));
	must(bh_tracee_pin(cpus, sizeof(cpus)));
	must(bh_tick_text_create(&layout, &tick_text));
	must(bh_timeline_create(&config, &timeline));
	must(bh_timeline_add_region(timeline, BASE, tick_text, NULL));
	record_stretch(timeline, 2000, 2020);
	check(moment_count > 1000, "a stretch of history is stepped through");
	test_seeks(timeline, &seed);
	test_walks(timeline, &seed);
	test_breakpoints(timeline, &seed);
	test_watchpoints(timeline, &seed);
	test_ends(timeline);
	test_interrupt(timeline);
	printf("# %zu checkpoints\n", bh_timeline_checkpoint_count(timeline));
	bh_timeline_destroy(timeline);
	bh_tick_text_destroy(tick_text);
	free(moments);
	test_divergence();
	test_crash();
	printf("1..%d\n", test_number);
	return failures != 0;
}
