/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The timeline's life and its economy of checkpoints: see timeline.h. Called by engine.c. */
#include "replayer/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "common/event.h"
#include "common/host_time.h"
#include "replayer/timeline_internal.h"

#define POLL_NS 50000000ull

uint64_t bh_timeline_now_ns(void)
{
	return bh_host_time_ns();
}

int bh_timeline_quicken(struct bh_timeline *timeline, int is_quick)
{
	int former = timeline->is_quick;

	if (is_quick != former)
		bh_tracee_forgo_counter(is_quick);
	timeline->is_quick = is_quick;
	return former;
}

uint64_t bh_timeline_first_event(const struct bh_timeline *timeline)
{
	return timeline->config.events ? timeline->config.events[0] : 1;
}

uint64_t bh_timeline_event_before(const struct bh_timeline *timeline, uint64_t event)
{
	const struct bh_timeline_config *config = &timeline->config;

	if (!config->events)
		return event - 1;
	size_t count = bh_event_numbers_before(config->events, config->event_count, event);

	return config->events[count ? count - 1 : 0];
}

uint64_t bh_timeline_event_from(const struct bh_timeline *timeline, uint64_t event)
{
	const struct bh_timeline_config *config = &timeline->config;

	if (!config->events)
		return event;
	size_t count = bh_event_numbers_before(config->events, config->event_count, event);

	return config->events[count < config->event_count ? count : config->event_count - 1];
}

struct bh_error *bh_timeline_create(const struct bh_timeline_config *config,
				    struct bh_timeline **timeline_ret)
{
	struct bh_timeline *timeline = calloc(1, sizeof(*timeline));

	if (!timeline)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	timeline->config = *config;
	if (!config->ahead_ns)
		timeline->config.ahead_ns = BH_AHEAD_NS;
	timeline->space.after_fork = config->after_fork;
	timeline->space.explain_exit = config->explain_exit;
	timeline->space.explain_arg = config->arg;
	timeline->space.is_sparse = config->events != NULL;
	timeline->slice_events = 64;
	struct bh_error *error = bh_probe_set_create(&timeline->probes);
	if (!error && config->is_program)
		error = bh_blocks_create(config->is_program, &timeline->space.blocks);
	if (!error)
		error = bh_copy_start_at(&timeline->space, config->run, config->run_arg,
					 bh_timeline_first_event(timeline), &timeline->current);
	if (!error) {
		timeline->position = timeline->current->position;
		error = bh_checkpoints_add(&timeline->checkpoints, timeline->current, 0);
	}
	if (error) {
		bh_timeline_destroy(timeline);
		return error;
	}
	*timeline_ret = timeline;
	return NULL;
}

void bh_timeline_destroy(struct bh_timeline *timeline)
{
	if (!timeline)
		return;
	bh_timeline_dismiss_scout(timeline);
	bh_copy_destroy(timeline->current);
	bh_checkpoints_clear(&timeline->checkpoints);
	bh_blocks_destroy(timeline->space.blocks);
	bh_probe_set_destroy(timeline->probes);
	free(timeline->snapshots);
	free(timeline->space.regions);
	free(timeline);
}

struct bh_error *bh_timeline_add_region(struct bh_timeline *timeline, uint64_t base,
					const struct bh_tick_text *text, struct bh_code_map *code)
{
	struct bh_space *space = &timeline->space;
	struct bh_tick_region *regions =
		realloc(space->regions, (space->region_count + 1) * sizeof(*regions));
	size_t at = space->region_count;

	if (!regions)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	space->regions = regions;
	while (at && regions[at - 1].base > base)
		at--;
	memmove(regions + at + 1, regions + at, (space->region_count - at) * sizeof(*regions));
	regions[at] = (struct bh_tick_region){base, text, code};
	space->region_count++;
	return NULL;
}

struct bh_error *bh_timeline_add_snapshot(struct bh_timeline *timeline, uint64_t event,
					  uint64_t cost_ns)
{
	struct bh_timeline_snapshot *grown =
		realloc(timeline->snapshots, (timeline->snapshot_count + 1) * sizeof(*grown));

	if (!grown)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	timeline->snapshots = grown;
	grown[timeline->snapshot_count++] = (struct bh_timeline_snapshot){event, cost_ns};
	return NULL;
}

struct snapshot_run {
	const struct bh_timeline *timeline;
	size_t number;
};

/* In the tracee. */
static void run_snapshot(void *arg)
{
	const struct snapshot_run *run = arg;
	const struct bh_timeline_config *config = &run->timeline->config;

	config->run_snapshot(config->run_arg, run->number);
}

int bh_timeline_wants_snapshot(const struct bh_timeline *timeline, struct bh_position position,
			       size_t *number_ret)
{
	const struct bh_copy *nearest = bh_checkpoints_find(&timeline->checkpoints, position, 1);
	size_t number = timeline->snapshot_count;

	/* Strictly before: who comes to it may want to know what is just before it. */
	while (number && timeline->snapshots[number - 1].event >= position.event)
		number--;
	if (!number-- || !nearest)
		return 0;
	*number_ret = number;
	return timeline->snapshots[number].event > nearest->position.event &&
	       timeline->snapshots[number].cost_ns >= nearest->cost_ns + BH_SNAPSHOT_WORTH_NS;
}

struct bh_error *bh_timeline_use_snapshot(struct bh_timeline *timeline, struct bh_position position)
{
	struct snapshot_run run = {timeline, 0};
	struct bh_copy *copy;

	if (!bh_timeline_wants_snapshot(timeline, position, &run.number))
		return NULL;
	const struct bh_timeline_snapshot *snapshot = &timeline->snapshots[run.number];
	struct bh_error *error =
		bh_copy_start_at(&timeline->space, run_snapshot, &run, snapshot->event, &copy);

	if (error) {
		timeline->snapshot_count = 0;
		bh_error_free(error);
		return NULL;
	}
	copy->cost_ns = snapshot->cost_ns;
	copy->pages = bh_tracee_page_faults(copy->tracee);
	error = bh_checkpoints_add(&timeline->checkpoints, copy, snapshot->cost_ns);
	bh_copy_destroy(copy);
	return error;
}

/* The copies' question during a long run: the same function, the same memory of the last time. */
static int poll_for_copy(void *arg)
{
	return bh_timeline_poll(arg);
}

void bh_timeline_set_poll(struct bh_timeline *timeline, int (*poll)(void *arg), void *arg)
{
	timeline->poll = poll;
	timeline->poll_arg = arg;
	timeline->space.poll = poll_for_copy;
	timeline->space.poll_arg = timeline;
}

int bh_timeline_poll(struct bh_timeline *timeline)
{
	if (!timeline->poll)
		return 0;
	uint64_t now_ns = bh_timeline_now_ns();
	if (now_ns - timeline->polled_ns < POLL_NS)
		return 0;
	timeline->polled_ns = now_ns;
	return timeline->poll(timeline->poll_arg);
}

struct bh_copy *bh_timeline_copy(struct bh_timeline *timeline)
{
	return timeline->current;
}

struct bh_position bh_timeline_position(const struct bh_timeline *timeline)
{
	return timeline->position;
}

struct bh_position bh_timeline_end(const struct bh_timeline *timeline)
{
	return (struct bh_position){timeline->config.last_event, 0, 0};
}

int bh_timeline_is_at_end(const struct bh_timeline *timeline)
{
	return timeline->position.event >= timeline->config.last_event;
}

int bh_timeline_is_at_beginning(const struct bh_timeline *timeline)
{
	return timeline->position.event == bh_timeline_first_event(timeline) &&
	       !timeline->position.tick && !timeline->position.instruction;
}

int bh_timeline_is_diverged(const struct bh_timeline *timeline)
{
	return timeline->is_diverged;
}

int bh_timeline_signal(const struct bh_timeline *timeline)
{
	return timeline->signal;
}

size_t bh_timeline_checkpoint_count(const struct bh_timeline *timeline)
{
	return timeline->checkpoints.count;
}

void bh_timeline_set_current(struct bh_timeline *timeline, struct bh_copy *copy)
{
	bh_copy_destroy(timeline->current);
	timeline->current = copy;
	timeline->position = copy->position;
}

void bh_timeline_set_base(struct bh_timeline *timeline)
{
	timeline->base_cost_ns = timeline->current->cost_ns;
	timeline->base_faults = bh_tracee_page_faults(timeline->current->tracee);
}

struct bh_error *bh_timeline_restore(struct bh_timeline *timeline, struct bh_copy *checkpoint)
{
	struct bh_copy *copy;

	BH_TRY(bh_copy_fork(checkpoint, &copy));
	bh_timeline_set_current(timeline, copy);
	bh_timeline_set_base(timeline);
	return NULL;
}

struct bh_error *bh_timeline_checkpoint(struct bh_timeline *timeline, uint64_t limit_ns)
{
	struct bh_copy *current = timeline->current;

	if (!current->is_exact || current->cost_ns < timeline->base_cost_ns + limit_ns)
		return NULL;
	current->pages = bh_tracee_page_faults(current->tracee) - timeline->base_faults;
	BH_TRY(bh_checkpoints_add(&timeline->checkpoints, current, current->cost_ns));
	bh_timeline_set_base(timeline);
	return NULL;
}

uint64_t bh_timeline_spacing(uint64_t cost_ns, uint64_t faults)
{
	uint64_t spacing_ns = cost_ns / 256;
	uint64_t dear_ns = 8 * (BH_CHECKPOINT_FORK_NS + faults * BH_PAGE_COPY_NS);

	if (spacing_ns < dear_ns)
		spacing_ns = dear_ns;
	if (spacing_ns < BH_CHECKPOINT_RUN_NS)
		spacing_ns = BH_CHECKPOINT_RUN_NS;
	return spacing_ns < BH_CHECKPOINT_RUN_MAX_NS ? spacing_ns : BH_CHECKPOINT_RUN_MAX_NS;
}

struct bh_error *bh_timeline_checkpoint_run(struct bh_timeline *timeline)
{
	const struct bh_copy *current = timeline->current;
	uint64_t faults;

	if (current->cost_ns < timeline->base_cost_ns + BH_CHECKPOINT_RUN_NS)
		return NULL;
	faults = bh_tracee_page_faults(current->tracee) - timeline->base_faults;
	return bh_timeline_checkpoint(timeline, bh_timeline_spacing(current->cost_ns, faults));
}

uint64_t bh_timeline_slice(const struct bh_timeline *timeline, uint64_t target)
{
	uint64_t event = timeline->current->position.event;

	return target - event > timeline->slice_events ? event + timeline->slice_events : target;
}

void bh_timeline_learn(struct bh_timeline *timeline, uint64_t events, uint64_t ns)
{
	uint64_t wanted;

	if (!events)
		return;
	wanted = events * BH_SLICE_NS / (ns + 1) + 1;
	/* Events differ: boot takes milliseconds, a timer a few microseconds. */
	if (wanted > 2 * timeline->slice_events)
		wanted = 2 * timeline->slice_events;
	timeline->slice_events = wanted;
}

uint64_t bh_timeline_diverges(struct bh_timeline *timeline, struct bh_copy *copy)
{
	struct bh_timeline_config *config = &timeline->config;
	uint64_t event = config->find_divergence ? config->find_divergence(config->arg, copy) : 0;

	if (!event)
		return 0;
	if (event < config->last_event)
		config->last_event = event;
	timeline->is_diverged = 1;
	return event;
}

static int has_diverged(struct bh_timeline *timeline)
{
	struct bh_copy *current = timeline->current;
	uint64_t event = bh_timeline_diverges(timeline, current);

	if (!event)
		return 0;
	current->position = (struct bh_position){event, 0, 0};
	current->is_exact = 1;
	timeline->position = current->position;
	return 1;
}

enum bh_arrival bh_timeline_arrival(struct bh_timeline *timeline, const struct bh_end *end)
{
	timeline->position = timeline->current->position;
	switch (end->kind) {
	case BH_END_EXITING:
		timeline->signal = end->signal;
		return BH_ARRIVED_EXITING;
	case BH_END_POLL:
		return BH_ARRIVED_INTERRUPT;
	case BH_END_GATE:
	case BH_END_EVENT:
		if (has_diverged(timeline))
			return BH_ARRIVED_DIVERGED;
		if (end->is_interrupted)
			return BH_ARRIVED_INTERRUPT;
		return BH_ARRIVED;
	default:
		return BH_ARRIVED;
	}
}
