/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replay engine: see engine.h. This file has its life, what it tells of the position, and
 * seeking; the movements are in engine_move.c. Called by gdb_server.c, cli/ and tests.
 */
#include "replayer/engine.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cache.h"
#include "common/last_words.h"
#include "common/suggest.h"
#include "kernel-lib/node.h"
#include "posix/posix.h"
#include "replayer/confine.h"
#include "replayer/engine_internal.h"
#include "snapshots/snapshot.h"

/* Why the tracee gave up: written there, read from here. */
static struct {
	uint32_t code;
	char message[512];
} tracee_failure;

/* --- in the tracee --- */

static struct bh_error *run_confined(struct bh_rerun *rerun)
{
	const struct bh_confine_config confine = {.result_fd = STDERR_FILENO, .allow_fork = 1};

	BH_TRY(bh_confine(&confine));
	return bh_rerun_run(rerun);
}

static void __attribute__((noreturn)) end_tracee(const struct bh_error *error)
{
	if (error) {
		tracee_failure.code = error->code;
		snprintf(tracee_failure.message, sizeof(tracee_failure.message), "%s",
			 error->message);
	}
	_exit(error ? 1 : 0);
}

static void run_tracee(void *arg)
{
	struct bh_replay *replay = arg;
	struct bh_error *error = bh_rerun_prepare(replay->rerun);

	end_tracee(error ? error : run_confined(replay->rerun));
}

/* --- in one that is made of a snapshot --- */

static void run_snapshot(void *arg, size_t number)
{
	const struct bh_replay *replay = arg;

	bh_snapshot_restore(replay->snapshots, number, bh_trace_path(replay->trace));
	end_tracee(bh_error_new(BH_ERR_MACHINE, "the snapshot can't be restored"));
}

static struct bh_error *run_restored(struct bh_sim *sim, struct bh_inputs *inputs)
{
	const struct bh_rerun_origin origin = {sim, inputs, bh_gate.event};
	struct bh_rerun_config config = {.diverged = bh_gate_trap};
	struct bh_rerun *rerun;
	struct bh_trace *trace;

	bh_last_words_set(NULL, NULL);
	bh_gate.stop_event = bh_gate.event + 1;
	BH_TRY(bh_trace_open_for_replay(bh_snapshot_message, &trace));
	config.trace = trace;
	BH_TRY(bh_rerun_create_from(&config, &origin, &rerun));
	return run_confined(rerun);
}

void bh_replay_restored(void *arg, struct bh_sim *sim, struct bh_inputs *inputs)
{
	end_tracee(run_restored(sim, inputs));
}

/* Called by the tracer at the first stop; replay is the tracee's copy, at the same address. */
static long describe_nodes(long arg)
{
	struct bh_replay *replay = (struct bh_replay *)arg;
	struct bh_sim *sim = bh_rerun_sim(replay->rerun);
	size_t count = bh_sim_node_count(sim);

	if (count != replay->node_count)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct bh_node *node = bh_sim_node(sim, (uint32_t)i);
		if (!node)
			continue;
		replay->nodes[i].facts = (struct bh_node_facts){
			.base = bh_node_base(node),
			.boot = (uintptr_t)bh_node_boot_record(node),
			.saved_stack = (uintptr_t)bh_node_saved_stack(node),
			.image_path = (uintptr_t)bh_image_path(bh_node_image(node)),
		};
	}
	return 0;
}

/* --- reading the tracee --- */

struct bh_copy *bh_engine_copy(struct bh_replay *replay)
{
	return replay->branch ? replay->branch : bh_timeline_copy(replay->timeline);
}

size_t bh_engine_read(struct bh_replay *replay, uint64_t address, void *bytes_ret, size_t length)
{
	return bh_tracee_read(bh_engine_copy(replay)->tracee, address, bytes_ret, length);
}

uint64_t bh_engine_u64(struct bh_replay *replay, uint64_t address)
{
	uint64_t value = 0;

	return bh_engine_read(replay, address, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

uint32_t bh_engine_u32(struct bh_replay *replay, uint64_t address)
{
	uint32_t value = 0;

	return bh_engine_read(replay, address, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

void bh_engine_moved(struct bh_replay *replay)
{
	replay->move++;
}

const struct bh_gate *bh_engine_gate(struct bh_replay *replay)
{
	if (replay->gate_move != replay->move) {
		const struct bh_gate *gate = bh_copy_gate(bh_engine_copy(replay));

		replay->gate = gate ? *gate : (struct bh_gate){.node = BH_NO_NODE};
		replay->gate_move = replay->move;
	}
	return &replay->gate;
}

struct bh_replay_node *bh_engine_node(struct bh_replay *replay, uint64_t node)
{
	return node < replay->node_count ? &replay->nodes[node] : NULL;
}

/* --- life --- */

/* The simulator's own stack: the one on which main() runs, in the tracer as in the tracee. */
static struct bh_error *find_stack(struct bh_replay *replay)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned long start, end;

	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &start, &end) == 2) {
			/* It may grow by the usual limit. */
			replay->stack_high = end;
			replay->stack_low = end - (64ul << 20);
		}
	}
	if (maps)
		fclose(maps);
	if (!replay->stack_high)
		return bh_error_new(BH_ERR_MACHINE,
				    "cannot read /proc/self/maps; is /proc mounted?");
	return NULL;
}

static uint64_t find_divergence(void *arg, struct bh_copy *copy)
{
	struct bh_rerun_report report;

	if (bh_tracee_read(copy->tracee, (uintptr_t)&bh_rerun_report, &report, sizeof(report)) !=
	    sizeof(report))
		return 0;
	return report.diverged ? report.compared + 1 : 0;
}

static struct bh_error *explain_exit(void *arg, struct bh_copy *copy)
{
	__typeof__(tracee_failure) failure = {0};

	(void)arg;
	bh_tracee_read(copy->tracee, (uintptr_t)&tracee_failure, &failure, sizeof(failure));
	failure.message[sizeof(failure.message) - 1] = 0;
	if (!failure.message[0])
		return NULL;
	return bh_error_new(failure.code == BH_ERR_MACHINE || failure.code == BH_ERR_INPUT ||
					    failure.code == BH_ERR_NOMEM
				    ? (enum bh_error_code)failure.code
				    : BH_ERR_INTERNAL,
			    "%s", failure.message);
}

static int is_program(uint64_t address)
{
	return bh_posix_is_program_address(address);
}

/* Those of the recorder, if there are any. */
static struct bh_error *open_snapshots(struct bh_replay *replay, struct bh_timeline *timeline)
{
	char *folder = bh_cache_folder(BH_SNAPSHOT_FOLDER);
	uint8_t key[16];

	bh_trace_key(replay->trace, key);
	if (folder && !replay->feed && bh_trace_path(replay->trace) &&
	    bh_trace_is_complete(replay->trace))
		replay->snapshots = bh_snapshot_file_open(folder, key);
	free(folder);
	for (size_t i = 0; replay->snapshots && i < bh_snapshot_count(replay->snapshots); i++)
		BH_TRY(bh_timeline_add_snapshot(timeline,
						bh_snapshot_label(replay->snapshots, i) + 1,
						bh_snapshot_cost_ns(replay->snapshots, i)));
	return NULL;
}

/* Numbers of the events that there are, if they aren't all. */
static const uint64_t *own_events(const struct bh_replay *replay, size_t *count_ret)
{
	*count_ret = 0;
	return replay->feed ? bh_feed_numbers(bh_node_feed_get(replay->feed), count_ret) : NULL;
}

static struct bh_error *start(struct bh_replay *replay)
{
	size_t event_count;
	const uint64_t *events = own_events(replay, &event_count);
	const struct bh_rerun_config rerun = {
		.trace = replay->trace,
		.feed = replay->feed ? bh_node_feed_get(replay->feed) : NULL,
		.find_kernel = replay->find_kernel,
		.find_kernel_arg = replay->find_kernel_arg,
		.diverged = bh_gate_trap,
	};
	const struct bh_timeline_config timeline = {
		.run = run_tracee,
		.run_snapshot = run_snapshot,
		.run_arg = replay,
		.after_fork = bh_posix_after_fork,
		.is_program = is_program,
		.last_event = bh_trace_event_count(replay->trace),
		.events = events,
		.event_count = event_count,
		.find_divergence = find_divergence,
		.explain_exit = explain_exit,
		.arg = replay,
	};
	long result = 0;

	if (!timeline.last_event)
		return bh_error_new(BH_ERR_INPUT,
				    "the trace has no events: there is nothing to replay");
	BH_TRY(find_stack(replay));
	BH_TRY(bh_rerun_create(&rerun, &replay->rerun));
	BH_TRY(bh_engine_open_kernels(replay));
	BH_TRY(bh_tracee_pin(replay->former_cpus, sizeof(replay->former_cpus)));
	replay->is_pinned = 1;
	BH_TRY(bh_timeline_create(&timeline, &replay->timeline));
	struct bh_tracee *tracee = bh_timeline_copy(replay->timeline)->tracee;
	BH_TRY(bh_tracee_call(tracee, describe_nodes, (long)replay, &result));
	size_t size = replay->node_count * sizeof(*replay->nodes);
	if (result || bh_engine_read(replay, (uintptr_t)replay->nodes, replay->nodes, size) != size)
		return bh_error_new(BH_ERR_INTERNAL, "the replay's nodes can't be read");
	BH_TRY(bh_engine_place_kernels(replay));
	return open_snapshots(replay, replay->timeline);
}

/* Its number, by its name. */
static struct bh_error *find_node(struct bh_replay *replay, const char *node)
{
	const char **names = calloc(replay->node_count + 1, sizeof(*names));
	struct bh_error *error = NULL;

	if (!names)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < replay->node_count; i++) {
		names[i] = replay->nodes[i].name;
		if (!strcmp(names[i], node))
			replay->only_node = (uint32_t)i;
	}
	if (replay->only_node == BH_NO_NODE) {
		const char *near = bh_suggest(node, names, replay->node_count);
		error = bh_error_new(BH_ERR_INPUT,
				     "the recorded run has no node \"%s\"%s%s; `backhop info` on "
				     "the trace says how many there are and `backhop events` names "
				     "them",
				     node, near ? ", but " : "", near ? near : "");
	}
	free(names);
	return error;
}

static struct bh_error *choose_node(struct bh_replay *replay,
				    const struct bh_replay_options *options)
{
	if (!options->node)
		return NULL;
	BH_TRY(find_node(replay, options->node));
	if (bh_trace_program(replay->trace))
		return bh_error_new(
			BH_ERR_INPUT,
			"the scenario is a program, whose functions deal with all nodes "
			"while they run: replay the whole run, without --node");
	if (!bh_trace_event_count(replay->trace))
		return NULL;
	return bh_node_feed_create(replay->trace, replay->only_node, options, &replay->feed);
}

static struct bh_error *create(const struct bh_trace *trace,
			       const struct bh_replay_options *options,
			       struct bh_replay **replay_ret)
{
	struct bh_replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	replay->trace = trace;
	replay->find_kernel = options->find_kernel;
	replay->find_kernel_arg = options->find_kernel_arg;
	replay->move = 1;
	replay->only_node = BH_NO_NODE;
	replay->node_count = bh_trace_node_count(trace);
	replay->nodes = calloc(replay->node_count + 1, sizeof(*replay->nodes));
	replay->runs = calloc(replay->node_count + 1, sizeof(*replay->runs));
	struct bh_error *error =
		replay->nodes && replay->runs ? NULL : bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (size_t i = 0; !error && i < replay->node_count; i++)
		replay->nodes[i].name = bh_trace_node_name(trace, i);
	if (!error)
		error = choose_node(replay, options);
	if (!error)
		error = start(replay);
	if (error) {
		bh_replay_destroy(replay);
		return error;
	}
	*replay_ret = replay;
	return NULL;
}

struct bh_error *bh_replay_create(const struct bh_trace *trace,
				  struct bh_error *(*find_kernel)(void *arg, const char *version,
								  char **path_ret),
				  void *find_kernel_arg, struct bh_replay **replay_ret)
{
	const struct bh_replay_options options = {
		.find_kernel = find_kernel,
		.find_kernel_arg = find_kernel_arg,
	};

	return create(trace, &options, replay_ret);
}

struct bh_error *bh_replay_create_alone(const struct bh_trace *trace,
					const struct bh_replay_options *options,
					struct bh_replay **replay_ret)
{
	return create(trace, options, replay_ret);
}

void bh_replay_destroy(struct bh_replay *replay)
{
	if (!replay)
		return;
	bh_copy_destroy(replay->branch);
	bh_timeline_destroy(replay->timeline);
	bh_snapshot_file_close(replay->snapshots);
	bh_engine_close_kernels(replay);
	bh_rerun_destroy(replay->rerun);
	bh_node_feed_destroy(replay->feed);
	if (replay->is_pinned)
		sched_setaffinity(0, sizeof(replay->former_cpus), (cpu_set_t *)replay->former_cpus);
	free(replay->nodes);
	free(replay->list.threads);
	free(replay->list.tasks);
	free(replay->former_list.threads);
	free(replay->former_list.tasks);
	free(replay->runs);
	free(replay->images);
	free(replay->image_paths);
	free(replay->breakpoints);
	free(replay->divergence);
	free(replay);
}

int bh_replay_work_ahead(struct bh_replay *replay, int (*is_wanted)(void *arg), void *arg)
{
	int is_done = 1;

	bh_timeline_set_poll(replay->timeline, is_wanted, arg);
	/* What fails here (a fork, for lack of memory) fails again when the user goes there. */
	struct bh_error *error = bh_timeline_work_ahead(replay->timeline, &is_done);
	bh_timeline_set_poll(replay->timeline, NULL, NULL);
	if (error)
		is_done = 1;
	bh_error_free(error);
	return !is_done;
}

void bh_replay_set_poll(struct bh_replay *replay, int (*poll)(void *arg), void *arg)
{
	replay->poll = poll;
	replay->poll_arg = arg;
}

/* --- the position --- */

struct bh_position bh_replay_position(const struct bh_replay *replay)
{
	return bh_timeline_position(replay->timeline);
}

/* The getters are const for their callers: what they cache isn't part of the state. */
static struct bh_replay *unconst(const struct bh_replay *replay)
{
	return (struct bh_replay *)(uintptr_t)replay;
}

uint64_t bh_replay_vtime_ns(const struct bh_replay *replay)
{
	return bh_engine_gate(unconst(replay))->vtime_ns;
}

uint32_t bh_replay_node(const struct bh_replay *replay)
{
	return (uint32_t)bh_engine_gate(unconst(replay))->node;
}

uint64_t bh_replay_node_boot(const struct bh_replay *replay, uint32_t node)
{
	return node < replay->node_count ? replay->nodes[node].facts.boot : 0;
}

uint64_t bh_replay_packet(const struct bh_replay *replay)
{
	return bh_engine_gate(unconst(replay))->packet;
}

uint64_t bh_replay_thread(const struct bh_replay *replay)
{
	return bh_engine_running_thread(unconst(replay));
}

const struct bh_trace *bh_replay_trace(const struct bh_replay *replay)
{
	return replay->trace;
}

struct bh_error *bh_replay_find_kernel(void *replay, const char *version, char **path_ret)
{
	const struct bh_replay *finder = replay;

	return finder->find_kernel(finder->find_kernel_arg, version, path_ret);
}

size_t bh_replay_read(struct bh_replay *replay, uint64_t address, void *bytes_ret, size_t length)
{
	return bh_copy_read(bh_engine_copy(replay), address, bytes_ret, length);
}

struct bh_error *bh_replay_fp_registers(struct bh_replay *replay,
					struct user_fpregs_struct *registers_ret)
{
	return bh_tracee_fp_registers(bh_engine_copy(replay)->tracee, registers_ret);
}

size_t bh_replay_snapshot_count(const struct bh_replay *replay)
{
	return replay->snapshots ? bh_snapshot_count(replay->snapshots) : 0;
}

/* --- one node alone --- */

static const char *node_name(const struct bh_replay *replay, uint32_t node)
{
	return node < replay->node_count ? replay->nodes[node].name : "the simulator";
}

uint32_t bh_replay_only_node(const struct bh_replay *replay)
{
	return replay->only_node;
}

/* How many of its events come before this one. */
static size_t own_before(const struct bh_replay *replay, uint64_t event)
{
	size_t count;
	const uint64_t *events = own_events(replay, &count);

	return bh_event_numbers_before(events, count, event);
}

int bh_replay_has_event(const struct bh_replay *replay, uint64_t event)
{
	size_t count, at = own_before(replay, event);
	const uint64_t *events = own_events(replay, &count);

	return !events || (at < count && events[at] == event);
}

struct bh_error *bh_replay_check_event(const struct bh_replay *replay, uint64_t number)
{
	size_t count, at = own_before(replay, number);
	const uint64_t *events = own_events(replay, &count);
	struct bh_event event;

	if (bh_replay_has_event(replay, number))
		return NULL;
	BH_TRY(bh_trace_event(replay->trace, number, &event));
	char before[48] = "";

	if (at)
		snprintf(before, sizeof(before), "events %llu and",
			 (unsigned long long)events[at - 1]);
	return bh_error_new(
		BH_ERR_INPUT,
		"event %llu lies on %s, and only %s is replayed (nearest: %s %llu); open the "
		"replay without --node to go there",
		(unsigned long long)number, node_name(replay, event.node),
		replay->nodes[replay->only_node].name, at ? before : "its first event,",
		(unsigned long long)events[at < count ? at : count - 1]);
}

struct bh_error *bh_replay_place(const struct bh_replay *replay, const char *text,
				 struct bh_position *position)
{
	size_t count, at = own_before(replay, position->event);
	const uint64_t *events = own_events(replay, &count);

	/* An event, a hop, or the failure, which is an event, too. */
	if (!text[strspn(text, "0123456789.:")] || !strcmp(text, "failure"))
		return bh_replay_check_event(replay, position->event);
	if (!bh_replay_has_event(replay, position->event))
		*position = (struct bh_position){events[at < count ? at : count - 1], 0, 0};
	return NULL;
}

/* --- divergence --- */

const char *bh_replay_divergence(const struct bh_replay *replay)
{
	struct bh_replay *writable = unconst(replay);
	struct bh_rerun_report report;
	char field[32] = "";

	if (bh_engine_read(writable, (uintptr_t)&bh_rerun_report, &report, sizeof(report)) !=
		    sizeof(report) ||
	    !report.diverged)
		return NULL;
	struct bh_divergence *divergence = &report.divergence;
	bh_engine_read(writable, (uintptr_t)divergence->field, field, sizeof(field) - 1);
	divergence->recorded[sizeof(divergence->recorded) - 1] = 0;
	divergence->replayed[sizeof(divergence->replayed) - 1] = 0;
	free(writable->divergence);
	int length =
		divergence->field == bh_rerun_unreadable
			? asprintf(&writable->divergence,
				   "the trace is damaged behind event %llu; `backhop info` on it "
				   "says where",
				   (unsigned long long)divergence->event - 1)
			: asprintf(&writable->divergence,
				   "event %llu (%s): %s was %s when recorded, is %s in the replay",
				   (unsigned long long)divergence->event,
				   node_name(replay, divergence->node), field, divergence->recorded,
				   divergence->replayed);
	if (length < 0)
		writable->divergence = NULL;
	return writable->divergence;
}

const struct bh_scenario *bh_replay_scenario(const struct bh_replay *replay)
{
	return bh_rerun_scenario(replay->rerun);
}
