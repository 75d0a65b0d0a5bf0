/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots. Of this process: memory of every kind comes back as it was at each of several moments,
 * and what doesn't fit here and now isn't used. Of a recorded run: wherever a replay that begins at
 * snapshots is, it has the state of one that began at the beginning.
 *
 * test_snapshots [SEED]. Records examples/tcp.yaml by itself; kernel images are kernel-VERSION in
 * $BACKHOP_KERNEL_DIR or $BUILD.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "kernel-lib/node.h"
#include "recorder/recorder.h"
#include "replayer/engine.h"
#include "simulator/scenario.h"
#include "snapshots/snapshot.h"
#include "tests/unit/recorded_run.h"
#include "traces/trace.h"

#define PAGE	     4096ul
#define TRACKED	     ((uint8_t *)0x200000000000ul)
#define TRACKED_TO   0x200000100000ul
#define PLACES	     60
#define NODES	     2
#define MEMORY_SHARE 6		/* of the places, at which all memory is compared */
#define IMAGE_BYTES  0x7a0000ul /* nearly all of it, in whole pieces */
#define PIECE	     65536ul

/* --- of this process --- */

static char folder[] = "snapshots.XXXXXX";
static const uint8_t key[16] = {1, 2, 3};

static struct {
	uint8_t *tracked, *plain, *hidden, *dropped, *file, *unnamed, *frozen;
	char *heap;
	unsigned int round;
} kinds;

static uint8_t *map(void *at, size_t size, int fd)
{
	uint8_t *memory = mmap(
		at, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | (at ? MAP_FIXED_NOREPLACE : 0) | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	if (memory == MAP_FAILED) {
		printf("Bail out! mmap: %s\n", strerror(errno));
		exit(1);
	}
	return memory;
}

static void create_kinds(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/mapped", folder);
	int named = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	int unnamed = memfd_create("test", 0);

	for (int i = 0; i < 4; i++) {
		uint8_t page[PAGE];

		memset(page, 'a' + i, sizeof(page));
		if (write(named, page, sizeof(page)) < 0 || write(unnamed, page, sizeof(page)) < 0)
			exit(1);
	}
	kinds.tracked = map(TRACKED, 16 * PAGE, -1);
	kinds.dropped = map(TRACKED + 32 * PAGE, 4 * PAGE, -1);
	kinds.plain = map(NULL, 64 * PAGE, -1);
	kinds.hidden = map(NULL, 2 * PAGE, -1);
	kinds.file = map(NULL, 4 * PAGE, named);
	kinds.unnamed = map(NULL, 4 * PAGE, unnamed);
	/* With pages around it that make it a mapping of its own. */
	kinds.frozen = map(NULL, 10 * PAGE, -1) + PAGE;
	mprotect(kinds.frozen - PAGE, PAGE, PROT_NONE);
	mprotect(kinds.frozen + 8 * PAGE, PAGE, PROT_NONE);
	kinds.heap = malloc(100);
	memset(kinds.hidden, 'h', PAGE);
	mprotect(kinds.hidden, 2 * PAGE, PROT_NONE);
	memset(kinds.dropped, 'd', 4 * PAGE);
	close(named);
	close(unnamed);
}

/* What memory has in this round, and no other. */
static void write_round(unsigned int round)
{
	kinds.round = round;
	kinds.tracked[round * PAGE] = (uint8_t)(100 + round);
	kinds.plain[0] = (uint8_t)round;
	kinds.plain[(10 + round) * PAGE] = 1;
	kinds.file[2 * PAGE] = (uint8_t)round;
	kinds.unnamed[3 * PAGE] = (uint8_t)round;
	memset(kinds.frozen, 'A' + (int)round, 8 * PAGE);
	sprintf(kinds.heap, "round %u", round);
	if (round == 2) {
		/* Its pages were there in both rounds before. */
		madvise(kinds.dropped, 4 * PAGE, MADV_DONTNEED);
		if (kinds.dropped[PAGE])
			exit(1);
	}
}

/* 0, or which kind isn't as write_round() left it. */
static int read_round(unsigned int round)
{
	char text[32];

	sprintf(text, "round %u", round);
	if (kinds.round != round)
		return 1;
	for (unsigned int i = 0; i < 16; i++)
		if (kinds.tracked[i * PAGE] != (i <= round ? 100 + i : 0))
			return 2;
	if (kinds.plain[0] != round || kinds.plain[(10 + round) * PAGE] != 1 ||
	    kinds.plain[(11 + round) * PAGE])
		return 3;
	if (kinds.file[0] != 'a' || kinds.file[PAGE] != 'b' || kinds.file[2 * PAGE] != round ||
	    kinds.file[2 * PAGE + 1] != 'c')
		return 4;
	if (kinds.unnamed[0] != 'a' || kinds.unnamed[3 * PAGE] != round ||
	    kinds.unnamed[3 * PAGE + 1] != 'd')
		return 5;
	if (strcmp(kinds.heap, text))
		return 6;
	for (int i = 0; i < 4; i++)
		if (kinds.dropped[i * PAGE + 7] != (round < 2 ? 'd' : 0))
			return 7;
	for (unsigned int i = 0; i < 8 * PAGE; i++)
		if (kinds.frozen[i] != (i / PAGE == 2 || i / PAGE >= 5 ? 'A' + round : 0))
			return 10;
	if (mprotect(kinds.hidden, 2 * PAGE, PROT_READ) || kinds.hidden[1] != 'h' ||
	    kinds.hidden[PAGE])
		return 8;
	return 0;
}

/* Takes three; a restored process ends here, with what it found. */
static void take_rounds(struct bh_snapshots *snapshots)
{
	const uint64_t at = (uintptr_t)kinds.frozen;
	const struct bh_snapshot_range memory = {at, at + 8 * PAGE},
				       parts[] = {{at + 2 * PAGE, at + 3 * PAGE},
						  {at + 5 * PAGE, at + 8 * PAGE}};
	const struct bh_snapshot_frozen frozen = {&memory, 1, parts, 2};
	uint64_t cost_ns;

	/* What is written beforehand and changes then. */
	memset(kinds.tracked, 1, 16 * PAGE);
	bh_snapshots_prepare(snapshots, &frozen);
	memset(kinds.tracked, 0, 16 * PAGE);
	for (unsigned int round = 0; round < 3; round++) {
		write_round(round);
		const struct bh_snapshot_moment moment = {10 * round, 1000 * round};

		switch (bh_snapshots_take(snapshots, &moment, &frozen)) {
		case BH_SNAPSHOT_RESTORED:
			if (strcmp(bh_snapshot_message, "from outside"))
				_exit(9);
			_exit(read_round(round));
		case BH_SNAPSHOT_TAKEN:
			break;
		default:
			check(0, "a snapshot is taken");
		}
		while (!bh_snapshots_are_written(snapshots, &cost_ns))
			usleep(1000);
	}
	write_round(3);
	bh_snapshots_finish(snapshots, key);
}

static int restored_status(const struct bh_snapshot_file *file, size_t number)
{
	int status;
	pid_t child = fork();

	if (!child) {
		kinds.tracked[5 * PAGE] = 'x';
		bh_snapshot_restore(file, number, "from outside");
		_exit(99);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static struct bh_snapshot_file *open_own(void)
{
	return bh_snapshot_file_open(folder, key);
}

static char *own_path(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s.snapshots", folder, "01020300000000000000000000000000");
	return path;
}

/* Changes a byte of the file, counted from its end. */
static void damage(off_t from_end)
{
	int fd = open(own_path(), O_RDWR);
	off_t at = lseek(fd, -from_end, SEEK_END);
	uint8_t byte;

	if (pread(fd, &byte, 1, at) == 1) {
		byte ^= 1;
		if (pwrite(fd, &byte, 1, at) != 1)
			exit(1);
	}
	close(fd);
}

static void test_refusals(void)
{
	char mapped[64];
	struct bh_snapshot_file *file;

	chmod(own_path(), 0666);
	check(!open_own(), "a file that others can write to isn't used");
	chmod(own_path(), 0600);
	damage(5);
	check(!open_own(), "a file with a damaged index isn't used");
	damage(5);
	file = open_own();
	check(file != NULL, "it is used when it is whole again");
	snprintf(mapped, sizeof(mapped), "%s/mapped", folder);
	if (truncate(mapped, 3 * (off_t)PAGE))
		exit(1);
	check(file && restored_status(file, 1) == 99,
	      "a process isn't restored when a file that it had mapped has changed");
	bh_snapshot_file_close(file);
	unlink(mapped);
	munmap(kinds.file, 4 * PAGE);
}

static void test_process(void)
{
	const struct bh_snapshots_config config = {.folder = folder,
						   .tracked_start = (uintptr_t)TRACKED,
						   .tracked_end = TRACKED_TO,
						   .max_bytes = 1ull << 30};
	struct bh_snapshots *snapshots = bh_snapshots_create(&config);
	int status;

	if (!snapshots) {
		check(0, "snapshots can be taken");
		return;
	}
	create_kinds();
	take_rounds(snapshots);
	bh_snapshots_destroy(snapshots);
	check(waitpid(-1, &status, 0) == -1 && errno == ECHILD, "no process is left");
	struct bh_snapshot_file *file = open_own();

	check(file && bh_snapshot_count(file) == 3 && bh_snapshot_label(file, 2) == 20 &&
		      bh_snapshot_cost_ns(file, 1) == 1000,
	      "the file tells of three snapshots");
	for (size_t i = 0; file && i < 3; i++) {
		char what[80];
		int found = restored_status(file, i);

		snprintf(what, sizeof(what), "process %zu is as it was (%d)", i, found);
		check(found == 0, what);
	}
	memset(kinds.frozen, 0, 5 * PAGE);
	memset(kinds.frozen + 2 * PAGE, 'A' + 3, PAGE);
	check(read_round(3) == 0, "this process has not changed");
	bh_snapshot_file_close(file);
	test_refusals();
	unlink(own_path());
}

/* --- of a run --- */

static void record(const char *trace)
{
	const char *source = getenv("SOURCE");
	const struct bh_sim_result *result;
	struct bh_recorder *recorder;
	struct bh_scenario *scenario;
	uint8_t *text;
	size_t length;
	char path[4096];

	snprintf(path, sizeof(path), "%s/examples/tcp.yaml", source ? source : ".");
	must(bh_file_read(path, "a scenario", 1 << 20, &text, &length));
	must(bh_scenario_parse_yaml((char *)text, length, path, &scenario));
	const struct bh_recorder_config config = {
		.trace_path = trace,
		.scenario_path = path,
		.scenario_text = text,
		.scenario_size = length,
		.scenario = scenario,
		.find_kernel = find_kernel,
		.restored = bh_replay_restored,
		.snapshot_ns = 5000000,
	};

	must(bh_recorder_create(&config, &recorder));
	must(bh_recorder_run(recorder, &result));
	must(bh_recorder_finish(recorder, "{}"));
	bh_recorder_destroy(recorder);
	_exit(result->failure_count != 0);
}

struct state {
	struct bh_position position;
	uint64_t thread, vtime_ns, packet, pc, sp;
};

static int is_of_simulator(uint64_t word)
{
	return word >= 0x550000000000ul && word < 0x800000000000ul;
}

/* Are the kernels' variables equal, but for where the simulator's own lie? Not their stacks: the
 * simulator runs there, too, and leaves what it worked with. */
static int is_memory_equal(struct bh_replay *left, struct bh_replay *right)
{
	static uint64_t words[2][PIECE / 8];
	int equal = 1;

	for (uint64_t node = 0; node < NODES; node++) {
		for (uint64_t at = 0; at < IMAGE_BYTES; at += PIECE) {
			uint64_t address = BH_NODE_BASE + node * BH_NODE_SPAN + at;

			memset(words, 0, sizeof(words));
			bh_replay_read(left, address, words[0], PIECE);
			bh_replay_read(right, address, words[1], PIECE);
			for (size_t i = 0; i < PIECE / 8; i++) {
				if (words[0][i] == words[1][i] ||
				    (is_of_simulator(words[0][i]) && is_of_simulator(words[1][i])))
					continue;
				printf("# at %lx: %lx and %lx\n", address + 8 * i, words[0][i],
				       words[1][i]);
				equal = 0;
			}
		}
	}
	return equal;
}

/* What is of the simulator alone, whose memory lies elsewhere in another process, is left out. */
static void take_state(struct bh_replay *replay, struct state *state)
{
	struct user_regs_struct registers;

	memset(state, 0, sizeof(*state));
	must(bh_replay_registers(replay, 0, &registers));
	state->position = bh_replay_position(replay);
	state->thread = bh_replay_thread(replay);
	state->vtime_ns = bh_replay_vtime_ns(replay);
	state->packet = bh_replay_packet(replay);
	state->pc = registers.rip;
	state->sp = bh_replay_node(replay) == BH_NO_NODE ? 0 : registers.rsp;
}

static int are_equal(struct bh_replay *left, struct bh_replay *right, struct bh_position position)
{
	struct state states[2];
	struct bh_stop stop;

	must(bh_replay_seek(left, position, &stop));
	must(bh_replay_seek(right, position, &stop));
	take_state(left, &states[0]);
	take_state(right, &states[1]);
	if (!memcmp(&states[0], &states[1], sizeof(states[0])))
		return choose(MEMORY_SHARE) || is_memory_equal(left, right);
	for (int i = 0; i < 2; i++)
		printf("# (%lu,%lu,%lu) thread %lx vtime %lu packet %lu pc %lx sp "
		       "%lx\n",
		       states[i].position.event, states[i].position.tick,
		       states[i].position.instruction, states[i].thread, states[i].vtime_ns,
		       states[i].packet, states[i].pc, states[i].sp);
	return 0;
}

/* Each at places all over the run, in an order that makes either start anew again and again. */
static void compare_runs(const char *trace_path)
{
	struct bh_replay *with, *without;
	struct bh_trace *trace, *in_memory;
	uint8_t *bytes;
	size_t length;
	int equal = 0;

	must(bh_file_read(trace_path, "a trace", 1 << 30, &bytes, &length));
	must(bh_trace_open(trace_path, &trace));
	must(bh_trace_open_memory(bytes, length, &in_memory));
	must(bh_replay_create(trace, find_kernel, NULL, &with));
	must(bh_replay_create(in_memory, find_kernel, NULL, &without));
	uint64_t last = bh_trace_event_count(trace);

	check(bh_replay_snapshot_count(with) >= 3, "the run has snapshots");
	check(bh_replay_snapshot_count(without) == 0, "a trace in memory has none");
	for (int i = 0; i < PLACES; i++) {
		struct bh_position position = {1 + choose(last), 0, 0};

		if (i % 3)
			position.tick = choose(40);
		if (i % 3 == 2)
			position.instruction = choose(60);
		equal += are_equal(with, without, position);
	}
	printf("# %d of %d\n", equal, PLACES);
	check(equal == PLACES, "both are in the same state at all places");
	check(are_equal(with, without, (struct bh_position){last, 0, 0}), "and at the end");
	check(!bh_replay_divergence(with), "nothing differs from the recorded run");
	bh_replay_destroy(with);
	bh_replay_destroy(without);
	bh_trace_close(trace);
	bh_trace_close(in_memory);
	free(bytes);
}

static void test_run(void)
{
	char trace[64], cache[4096], cwd[4000];
	int status;

	if (!getcwd(cwd, sizeof(cwd)))
		exit(1);
	snprintf(cache, sizeof(cache), "%s/%s", cwd, folder);
	setenv("BACKHOP_CACHE", cache, 1);
	snprintf(trace, sizeof(trace), "%s/tcp.bht", folder);
	fflush(stdout);
	pid_t recorder = fork();

	if (!recorder)
		record(trace);
	waitpid(recorder, &status, 0);
	check(!status, "the run passes");
	compare_runs(trace);
	check(waitpid(-1, &status, __WALL) == -1 && errno == ECHILD, "no process is left");
}

int main(int argc, char **argv)
{
	char command[128];

	bh_snapshots_fix_addresses(argv);
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		printf("1..0 # SKIP this machine doesn't let a program fix its addresses\n");
		return 0;
	}
	seed = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 0) : (unsigned int)time(NULL);
	printf("# seed %u\n", seed);
	if (!mkdtemp(folder))
		return 1;
	test_process();
	test_run();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (getenv("KEEP") == NULL && system(command))
		return 1;
	printf("1..%d\n", test_number);
	return failures != 0;
}
