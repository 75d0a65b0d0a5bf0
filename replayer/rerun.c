/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a trace again and compares every event: see rerun.h. Called by verify.c and the engine's
 * tracee. The recorded events are unpacked a chunk at a time, ahead of the run and between its
 * events, because the observer runs on small stacks inside nodes.
 */
#include "replayer/rerun.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "posix/inputs.h"
#include "simulator/feed.h"

#define KERNEL_IMAGE_MAX (1ul << 30)

/* The next chunk is unpacked when fewer recorded events than this are left in the current one. */
#define EVENTS_AHEAD 8192u

struct bh_rerun_report bh_rerun_report;
const char bh_rerun_unreadable[] = "trace";

/* Recorded events, consecutive from first on. */
struct window {
	struct bh_event *events; /* BH_TRACE_CHUNK_EVENTS of them */
	uint64_t first;
	size_t count;
};

struct bh_rerun {
	struct bh_rerun_config config;
	struct bh_rerun_listener listener; /* all NULL if nobody listens */
	struct bh_scenario *scenario;
	struct bh_build *build; /* NULL if the scenario is no program */
	struct bh_rerun_terminal *terminal;
	struct bh_inputs *inputs;
	struct bh_sim *sim;
	struct window now, next;
	uint64_t recorded_count;
	/* The run stopped after this event, before its time: it had nothing left to do, and then it
	 * stops there by itself, or the recording was interrupted. 0: it ran its full time. */
	uint64_t stopped_at;
	int is_taken_over;	/* sim and scenario are another process's */
	int is_left;		/* the listener has seen enough */
	struct bh_error *error; /* of an observer */
};

/* --- comparing --- */

static const struct bh_event *window_find(const struct window *window, uint64_t number)
{
	if (number < window->first || number - window->first >= window->count)
		return NULL;
	return &window->events[number - window->first];
}

static struct bh_error *window_load(struct bh_rerun *rerun, struct window *window, uint64_t number)
{
	window->count = 0;
	BH_TRY(bh_trace_decode_chunk(rerun->config.trace, number, window->events, &window->count));
	window->first = window->events[0].event;
	return NULL;
}

static void diverge(struct bh_rerun *rerun, uint64_t event, uint32_t node, const char *field)
{
	bh_rerun_report.divergence.event = event;
	bh_rerun_report.divergence.node = node;
	bh_rerun_report.divergence.field = field;
	bh_rerun_report.diverged = 1;
	if (rerun->config.diverged)
		rerun->config.diverged();
	if (rerun->config.over)
		rerun->config.over(rerun->config.over_arg);
}

/* Where the next recorded events are damaged the run can't be compared any more. Who steps through
 * it is told where it happens; who only runs it gets the error. */
static struct bh_error *window_load_running(struct bh_rerun *rerun, uint64_t number)
{
	struct bh_error *error = window_load(rerun, &rerun->next, number);

	if (error && rerun->config.diverged && !bh_rerun_report.diverged)
		diverge(rerun, bh_rerun_report.compared + 1, BH_NO_NODE, bh_rerun_unreadable);
	return error;
}

/* The recorded event of this number, which exists; NULL only when the trace can't be unpacked. */
static const struct bh_event *recorded_event(struct bh_rerun *rerun, uint64_t number)
{
	const struct bh_event *event = window_find(&rerun->now, number);

	if (event)
		return event;
	if (!window_find(&rerun->next, number)) {
		rerun->error = window_load_running(rerun, number);
		if (rerun->error)
			return NULL;
	}
	struct window window = rerun->now;
	rerun->now = rerun->next;
	rerun->next = window;
	rerun->next.count = 0;
	return window_find(&rerun->now, number);
}

#define RECORDED  bh_rerun_report.divergence.recorded
#define REPLAYED  bh_rerun_report.divergence.replayed
#define TEXT_SIZE sizeof(bh_rerun_report.divergence.recorded)

/* The replay looked at a file that the recording did not look at. Non-zero if so. */
static int compare_inputs(struct bh_rerun *rerun, uint64_t event, uint32_t node)
{
	const char *path = bh_inputs_missing(rerun->inputs);

	if (!path)
		return 0;
	snprintf(RECORDED, TEXT_SIZE, "not looked at");
	snprintf(REPLAYED, TEXT_SIZE, "%.*s", (int)TEXT_SIZE - 1, path);
	diverge(rerun, event, node, "input");
	return 1;
}

enum format { DECIMAL, HEX, KIND, NODE, DEVICE };

static void value_format(char *text_ret, enum format format, uint64_t value)
{
	if (format == KIND && bh_event_kind_name((unsigned int)value))
		snprintf(text_ret, TEXT_SIZE, "%s", bh_event_kind_name((unsigned int)value));
	else if ((format == NODE && value == BH_NO_NODE) ||
		 (format == DEVICE && value == BH_NO_DEVICE))
		snprintf(text_ret, TEXT_SIZE, "none");
	else if (format == HEX)
		snprintf(text_ret, TEXT_SIZE, "%016" PRIx64, value);
	else
		snprintf(text_ret, TEXT_SIZE, "%" PRIu64, value);
}

static void compare_fields(struct bh_rerun *rerun, const struct bh_event *recorded,
			   const struct bh_event *replayed)
{
	const struct {
		const char *field;
		enum format format;
		uint64_t recorded, replayed;
	} fields[] = {
		{"kind", KIND, recorded->kind, replayed->kind},
		{"node", NODE, recorded->node, replayed->node},
		{"vtime_ns", DECIMAL, recorded->vtime_ns, replayed->vtime_ns},
		{"cause", DECIMAL, recorded->cause, replayed->cause},
		{"packet", DECIMAL, recorded->packet, replayed->packet},
		{"hop", DECIMAL, recorded->hop, replayed->hop},
		{"device", DEVICE, recorded->device, replayed->device},
		{"length", DECIMAL, recorded->length, replayed->length},
		{"value", HEX, recorded->value, replayed->value},
		{"hash", HEX, recorded->hash, replayed->hash},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i].recorded == fields[i].replayed)
			continue;
		/* What a file's absence leads to is a worse explanation than the absence. */
		if (compare_inputs(rerun, recorded->event, replayed->node))
			return;
		value_format(RECORDED, fields[i].format, fields[i].recorded);
		value_format(REPLAYED, fields[i].format, fields[i].replayed);
		diverge(rerun, recorded->event, recorded->node, fields[i].field);
		return;
	}
}

/* With what the event that has just begun is compared. NULL: with nothing, see recorded_event(). */
static const struct bh_event *recorded_now(struct bh_rerun *rerun, uint64_t number)
{
	struct bh_feed *feed = rerun->config.feed;

	return feed ? &bh_feed_now(feed)->event : recorded_event(rerun, number);
}

/* Up to this event all that runs here is found to be equal. */
static uint64_t compared_up_to(const struct bh_rerun *rerun, uint64_t number)
{
	const struct bh_feed *feed = rerun->config.feed;
	const struct bh_fed_event *next = feed ? bh_feed_next(feed) : NULL;

	return next ? next->event.event - 1 : number;
}

static int events_are_equal(const struct bh_event *a, const struct bh_event *b)
{
	return a->vtime_ns == b->vtime_ns && a->cause == b->cause && a->packet == b->packet &&
	       a->value == b->value && a->hash == b->hash && a->node == b->node &&
	       a->device == b->device && a->hop == b->hop && a->length == b->length &&
	       a->kind == b->kind;
}

/* Nothing that the replay does from here on is compared. */
static int is_over(const struct bh_rerun *rerun)
{
	return bh_rerun_report.diverged || rerun->error || rerun->is_left ||
	       (bh_rerun_report.events >= rerun->recorded_count &&
		!bh_trace_is_complete(rerun->config.trace));
}

static void observe_event(void *arg, const struct bh_event *event)
{
	struct bh_rerun *rerun = arg;

	if (is_over(rerun))
		return;
	bh_rerun_report.events = event->event;
	if (event->event > rerun->recorded_count) {
		snprintf(RECORDED, TEXT_SIZE, "end of the run");
		snprintf(REPLAYED, TEXT_SIZE, "%s", bh_event_kind_name(event->kind));
		diverge(rerun, event->event, event->node, "kind");
		return;
	}
	const struct bh_event *recorded = recorded_now(rerun, event->event);
	if (!recorded)
		return;
	if (!events_are_equal(recorded, event))
		compare_fields(rerun, recorded, event);
	else
		bh_rerun_report.compared = compared_up_to(rerun, event->event);
	if (rerun->listener.event && !bh_rerun_report.diverged)
		rerun->listener.event(rerun->listener.arg, event);
	if (event->event == rerun->recorded_count && !bh_rerun_report.diverged &&
	    !compare_inputs(rerun, event->event, event->node) && rerun->config.over)
		rerun->config.over(rerun->config.over_arg);
}

static void observe_frame(void *arg, const struct bh_event *event, void *data, size_t length)
{
	struct bh_rerun *rerun = arg;

	if (event->event == rerun->config.plant_event && length)
		((uint8_t *)data)[length - 1] ^= 1;
}

static void observe_sent(void *arg, const struct bh_event *event, const void *data, size_t length,
			 uint64_t lineage)
{
	const struct bh_rerun *rerun = arg;

	if (!is_over(rerun))
		rerun->listener.sent(rerun->listener.arg, event, data, length, lineage);
}

static void observe_dropped(void *arg, const struct bh_event *event, uint64_t lineage)
{
	const struct bh_rerun *rerun = arg;

	if (!is_over(rerun))
		rerun->listener.dropped(rerun->listener.arg, event, lineage);
}

static void observe_arrived(void *arg, uint32_t node, const void *data, size_t length)
{
	const struct bh_rerun *rerun = arg;

	if (!is_over(rerun))
		rerun->listener.arrived(rerun->listener.arg, node, data, length);
}

static void observe_outside(void *arg, uint32_t node, uint64_t value)
{
	const struct bh_rerun *rerun = arg;

	if (!is_over(rerun))
		rerun->listener.outside(rerun->listener.arg, node, value);
}

static int observe_between(void *arg)
{
	struct bh_rerun *rerun = arg;
	uint64_t next = rerun->now.first + rerun->now.count;

	if (is_over(rerun))
		return 1;
	if (compare_inputs(rerun, bh_rerun_report.events, BH_NO_NODE))
		return 1;
	if (rerun->listener.between && rerun->listener.between(rerun->listener.arg)) {
		rerun->is_left = 1;
		return 1;
	}
	if (!rerun->config.feed && !rerun->next.count && next <= rerun->recorded_count &&
	    bh_rerun_report.events + EVENTS_AHEAD >= next)
		rerun->error = window_load_running(rerun, next);
	return rerun->error || bh_rerun_report.events == rerun->stopped_at;
}

/* --- building the run from the trace --- */

static struct bh_error *scenario_read(struct bh_rerun *rerun)
{
	const struct bh_trace *trace = rerun->config.trace;
	const struct bh_trace_input *input = NULL;

	for (size_t i = 0; !input && i < bh_trace_input_count(trace); i++)
		if (bh_trace_input(trace, i)->role == BH_TRACE_SCENARIO)
			input = bh_trace_input(trace, i);
	if (!input)
		return bh_error_new(BH_ERR_INPUT, "the trace ends before its scenario: it is too "
						  "short to be run again");
	BH_TRY(bh_scenario_parse_yaml(input->text, input->text_size, input->name,
				      &rerun->scenario));
	rerun->scenario->seed = bh_trace_seed(trace);
	if (bh_trace_program(trace))
		BH_TRY(bh_rerun_program_build(bh_trace_program(trace), input, &rerun->build));
	if (rerun->scenario->node_count != bh_trace_node_count(trace))
		return bh_error_new(BH_ERR_INPUT,
				    "the trace has %zu nodes, its scenario %zu: it "
				    "was made by another version of backhop",
				    bh_trace_node_count(trace), rerun->scenario->node_count);
	return NULL;
}

static struct bh_error *image_check(struct bh_rerun *rerun, const struct bh_trace_input *input)
{
	const struct bh_rerun_config *config = &rerun->config;
	uint8_t hash[16];
	size_t length;
	char *path;

	struct bh_error *error = config->find_kernel(config->find_kernel_arg, input->name, &path);
	if (error) {
		/* What was recorded, for who looks for it elsewhere. */
		struct bh_error *full = bh_error_new(
			error->code,
			"%s (the run was recorded with build-id %s, which its recorder has)",
			error->message, input->build_id ? input->build_id : "unknown");
		bh_error_free(error);
		return full;
	}
	error = bh_file_hash(path, "a kernel image", KERNEL_IMAGE_MAX, hash, &length);
	if (!error && memcmp(hash, input->hash, sizeof(hash)))
		error = bh_error_new(BH_ERR_INPUT,
				     "%s: not the kernel image that the run was recorded with "
				     "(build-id %s): put that one there, from who recorded the "
				     "run or by `make kernels` in that version of backhop, or "
				     "record the run again",
				     path, input->build_id ? input->build_id : "unknown");
	free(path);
	return error;
}

/* A file that isn't as it was: which one is wanted, and where there may be one. */
static struct bh_error *file_fault(const struct bh_trace_input *input, const char *what)
{
	char hex[2 * sizeof(input->hash) + 1];

	for (size_t i = 0; i < sizeof(input->hash); i++)
		snprintf(hex + 2 * i, 3, "%02x", input->hash[i]);
	return bh_error_new(
		BH_ERR_INPUT,
		"%s: %s: put the recorded contents back (%" PRIu64 " bytes, XXH3-128 %s%s%s; of a "
		"Debian package's file: `apt install PACKAGE=VERSION`, old versions are on "
		"snapshot.debian.org), or record the run again",
		input->name, what, input->size, hex, input->build_id ? ", build-id " : "",
		input->build_id ? input->build_id : "");
}

static struct bh_input input_convert(const struct bh_trace_input *from)
{
	struct bh_input input = {
		.path = (char *)from->name,
		.kind = from->kind,
		.mode = from->mode,
		.size = from->size,
		.number = from->number,
		.was_read = from->was_read,
		.text = (char *)from->text,
		.text_size = from->text_size,
	};

	memcpy(input.hash, from->hash, sizeof(input.hash));
	return input;
}

/* Adds a recorded input and, if the run read its contents, reads and checks them now. */
static struct bh_error *file_add(struct bh_rerun *rerun, const struct bh_trace_input *from)
{
	const struct bh_input input = input_convert(from);

	BH_TRY(bh_inputs_add(rerun->inputs, &input));
	if (from->kind != BH_INPUT_FILE || !from->was_read)
		return NULL;
	int status = bh_inputs_read(rerun->inputs, bh_inputs_lookup(rerun->inputs, from->name));
	if (!status)
		return NULL;
	if (status == -ESTALE)
		return file_fault(from, "has changed since the run was recorded");
	char what[128];

	snprintf(what, sizeof(what),
		 "the recorded run read this file, but here it cannot be read (%s)",
		 strerror(-status));
	return file_fault(from, what);
}

static struct bh_error *inputs_check(struct bh_rerun *rerun)
{
	const struct bh_trace *trace = rerun->config.trace;

	BH_TRY(bh_inputs_create_recorded(&rerun->inputs));
	for (size_t i = 0; i < bh_trace_input_count(trace); i++) {
		const struct bh_trace_input *input = bh_trace_input(trace, i);

		if (input->role == BH_TRACE_KERNEL)
			BH_TRY(image_check(rerun, input));
		else if (input->role == BH_TRACE_FILE)
			BH_TRY(file_add(rerun, input));
	}
	return NULL;
}

/* For the terminal, which asks at most for the event that comes next. */
static const struct bh_event *find_recorded(void *arg, uint64_t number)
{
	struct bh_rerun *rerun = arg;

	if (rerun->config.feed)
		return &bh_feed_next(rerun->config.feed)->event;
	return number <= rerun->recorded_count ? recorded_event(rerun, number) : NULL;
}

static struct bh_error *plan_check(struct bh_rerun *rerun)
{
	const struct bh_trace *trace = rerun->config.trace;
	uint64_t plant = rerun->config.plant_event;
	struct bh_event event;

	if (plant) {
		BH_TRY(bh_trace_event(trace, plant, &event));
		if (event.kind != BH_EVENT_TX)
			return bh_error_new(BH_ERR_INPUT,
					    "event %" PRIu64 " is of kind %s, but a fault can only "
					    "be planted in the frame of a tx",
					    plant, bh_event_kind_name(event.kind));
	}
	if (!rerun->recorded_count)
		return NULL;
	BH_TRY(bh_trace_event(trace, rerun->recorded_count, &event));
	if (event.kind == BH_EVENT_STOP &&
	    (rerun->terminal || event.vtime_ns < rerun->scenario->stop_ns))
		rerun->stopped_at = rerun->recorded_count - 1;
	if (rerun->config.feed) {
		/* The feed ends it. */
		rerun->stopped_at = 0;
		return NULL;
	}
	return window_load(rerun, &rerun->now, bh_rerun_report.events + 1);
}

static struct bh_error *allocate(const struct bh_rerun_config *config, struct bh_rerun **rerun_ret)
{
	struct bh_rerun *rerun = calloc(1, sizeof(*rerun));

	if (!rerun)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	memset(&bh_rerun_report, 0, sizeof(bh_rerun_report));
	rerun->config = *config;
	if (config->listener)
		rerun->listener = *config->listener;
	rerun->recorded_count = bh_trace_event_count(config->trace);
	rerun->now.events = calloc(BH_TRACE_CHUNK_EVENTS, sizeof(*rerun->now.events));
	rerun->next.events = calloc(BH_TRACE_CHUNK_EVENTS, sizeof(*rerun->next.events));
	if (!rerun->now.events || !rerun->next.events) {
		bh_rerun_destroy(rerun);
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	*rerun_ret = rerun;
	return NULL;
}

struct bh_error *bh_rerun_create(const struct bh_rerun_config *config, struct bh_rerun **rerun_ret)
{
	struct bh_rerun *rerun;

	BH_TRY(allocate(config, &rerun));
	struct bh_error *error = scenario_read(rerun);

	if (!error)
		error = bh_rerun_terminal_create(config->trace, find_recorded, rerun,
						 &rerun->terminal);
	if (!error)
		error = plan_check(rerun);
	if (!error)
		error = inputs_check(rerun);
	if (error) {
		bh_rerun_destroy(rerun);
		return error;
	}
	*rerun_ret = rerun;
	return NULL;
}

static struct bh_sim_observer make_observer(struct bh_rerun *rerun)
{
	return (struct bh_sim_observer){
		.arg = rerun,
		.event = observe_event,
		.frame = rerun->config.plant_event ? observe_frame : NULL,
		.sent = rerun->listener.sent ? observe_sent : NULL,
		.dropped = rerun->listener.dropped ? observe_dropped : NULL,
		.arrived = rerun->listener.arrived ? observe_arrived : NULL,
		.outside = rerun->listener.outside ? observe_outside : NULL,
		.between = observe_between,
	};
}

struct bh_error *bh_rerun_prepare(struct bh_rerun *rerun)
{
	const struct bh_sim_config config = {
		.scenario = rerun->scenario,
		.build = rerun->build,
		.terminal = bh_rerun_terminal_get(rerun->terminal),
		.inputs = rerun->inputs,
		.feed = rerun->config.feed,
		.find_kernel = rerun->config.find_kernel,
		.find_kernel_arg = rerun->config.find_kernel_arg,
		.observer = make_observer(rerun),
	};

	return bh_sim_create(&config, &rerun->sim);
}

/* What the recorded run looks at later, and earlier: the table knows that already. */
static struct bh_error *inputs_take_over(struct bh_rerun *rerun)
{
	const struct bh_trace *trace = rerun->config.trace;

	bh_inputs_become_recorded(rerun->inputs);
	for (size_t i = 0; i < bh_trace_input_count(trace); i++) {
		const struct bh_trace_input *from = bh_trace_input(trace, i);
		const struct bh_input input = input_convert(from);

		if (from->role == BH_TRACE_FILE)
			BH_TRY(bh_inputs_add_rest(rerun->inputs, &input));
	}
	return NULL;
}

struct bh_error *bh_rerun_create_from(const struct bh_rerun_config *config,
				      const struct bh_rerun_origin *origin,
				      struct bh_rerun **rerun_ret)
{
	struct bh_rerun *rerun;

	BH_TRY(allocate(config, &rerun));
	rerun->is_taken_over = 1;
	rerun->sim = origin->sim;
	rerun->inputs = origin->inputs;
	/* It isn't changed. */
	rerun->scenario = (struct bh_scenario *)(uintptr_t)bh_sim_scenario(origin->sim);
	BH_TRY(plan_check(rerun));
	BH_TRY(inputs_take_over(rerun));
	bh_rerun_report.events = bh_rerun_report.compared = origin->event;
	const struct bh_sim_observer observer = make_observer(rerun);

	BH_TRY(bh_sim_take_over(rerun->sim, &observer));
	*rerun_ret = rerun;
	return NULL;
}

/* The run ended, but the recording went on. */
static void compare_end(struct bh_rerun *rerun)
{
	uint64_t missing = bh_rerun_report.events + 1;

	/* A node alone ends with the last event of its feed. */
	if (rerun->config.feed || is_over(rerun) || missing > rerun->recorded_count)
		return;
	const struct bh_event *recorded = recorded_event(rerun, missing);
	if (!recorded)
		return;
	snprintf(RECORDED, TEXT_SIZE, "%s", bh_event_kind_name(recorded->kind));
	snprintf(REPLAYED, TEXT_SIZE, "end of the run");
	diverge(rerun, missing, recorded->node, "kind");
}

struct bh_error *bh_rerun_run(struct bh_rerun *rerun)
{
	const struct bh_sim_result *result;

	if (!rerun->sim)
		BH_TRY(bh_rerun_prepare(rerun));
	BH_TRY(rerun->is_taken_over ? bh_sim_go_on(rerun->sim, &result)
				    : bh_sim_run(rerun->sim, &result));
	compare_end(rerun);
	bh_rerun_report.finished = 1;
	struct bh_error *error = rerun->error;
	rerun->error = NULL;
	return error;
}

void bh_rerun_destroy(struct bh_rerun *rerun)
{
	if (!rerun)
		return;
	bh_sim_destroy(rerun->sim);
	bh_inputs_destroy(rerun->inputs);
	bh_scenario_destroy(rerun->scenario);
	bh_build_destroy(rerun->build);
	bh_rerun_terminal_destroy(rerun->terminal);
	bh_error_free(rerun->error);
	free(rerun->now.events);
	free(rerun->next.events);
	free(rerun);
}

struct bh_sim *bh_rerun_sim(const struct bh_rerun *rerun)
{
	return rerun->sim;
}

const struct bh_scenario *bh_rerun_scenario(const struct bh_rerun *rerun)
{
	return rerun->scenario;
}
