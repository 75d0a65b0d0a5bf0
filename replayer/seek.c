/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Going to a position, and one instruction forward or backward. See timeline.h. Called by engine.c
 * and search.c.
 */
#include "replayer/timeline.h"
#include "replayer/timeline_internal.h"

/* Counting slows a run down by about a half: it pays to switch it off for longer ways. */
#define EVENTS_WORTH_UNCOUNTING 16

static struct bh_error *plant_nothing(struct bh_timeline *timeline)
{
	return bh_copy_plant(timeline->current, NULL, 0, NULL);
}

/* Who goes somewhere often goes back from there: the last slice is cut into shorter and shorter
 * ones, with a checkpoint before each. */
#define EVENTS_WORTH_CUTTING 64

static struct bh_error *next_stop(struct bh_timeline *timeline, uint64_t event, uint64_t *stop_ret)
{
	uint64_t left = event - timeline->current->position.event;

	*stop_ret = bh_timeline_slice(timeline, event);
	if (*stop_ret != event || left <= EVENTS_WORTH_CUTTING)
		return NULL;
	*stop_ret = event - left / 8;
	return bh_timeline_checkpoint(timeline, BH_CHECKPOINT_EVENT_NS);
}

struct bh_error *bh_timeline_to_event(struct bh_timeline *timeline, uint64_t event,
				      enum bh_arrival *arrival_ret)
{
	struct bh_limits limits = {0};
	struct bh_end end;

	*arrival_ret = BH_ARRIVED;
	BH_TRY(plant_nothing(timeline));
	if (event - timeline->current->position.event > EVENTS_WORTH_UNCOUNTING)
		BH_TRY(bh_copy_count(timeline->current, 0));
	while (timeline->current->position.event < event) {
		uint64_t from = timeline->current->position.event;
		uint64_t start_ns = timeline->current->cost_ns;
		BH_TRY(next_stop(timeline, event, &limits.stop_event));
		BH_TRY(bh_copy_run(timeline->current, &limits, &end));
		*arrival_ret = bh_timeline_arrival(timeline, &end);
		if (*arrival_ret != BH_ARRIVED || end.kind != BH_END_EVENT)
			return NULL;
		bh_timeline_learn(timeline, timeline->position.event - from,
				  timeline->current->cost_ns - start_ns);
		BH_TRY(bh_timeline_checkpoint_run(timeline));
		if (timeline->current->position.event < event && bh_timeline_poll(timeline)) {
			*arrival_ret = BH_ARRIVED_INTERRUPT;
			return NULL;
		}
	}
	return NULL;
}

/* From an exact position in the event on, to the beginning of a tick. */
static struct bh_error *to_tick(struct bh_timeline *timeline, uint64_t tick,
				enum bh_arrival *arrival_ret)
{
	struct bh_copy *copy = timeline->current;
	struct bh_limits limits = {.stop_event = copy->position.event + 1, .stop_tick = tick};
	struct bh_end end;

	*arrival_ret = BH_ARRIVED;
	if (copy->position.tick >= tick)
		return NULL;
	BH_TRY(bh_copy_run(copy, &limits, &end));
	*arrival_ret = bh_timeline_arrival(timeline, &end);
	if (*arrival_ret == BH_ARRIVED && end.kind != BH_END_TICK)
		*arrival_ret = BH_ARRIVED_EARLIER; /* ran into the next event */
	return NULL;
}

static struct bh_error *step_or_stride(struct bh_timeline *timeline, const struct bh_limits *limits,
				       const struct bh_stride *stride, struct bh_end *end)
{
	uint64_t budget = UINT64_MAX;

	if (!stride)
		return bh_copy_step(timeline->current, limits, end);
	if (stride->instruction)
		budget = stride->instruction - timeline->position.instruction;
	return bh_copy_stride(timeline->current, limits, budget, stride->address, end);
}

struct bh_error *bh_timeline_step_while(struct bh_timeline *timeline,
					int (*keep_on)(void *arg, struct bh_timeline *timeline,
						       unsigned int watch_hits),
					void *arg, const struct bh_limits *limits,
					const struct bh_stride *stride,
					enum bh_arrival *arrival_ret)
{
	struct bh_end end = {0};
	unsigned int steps = 0;
	uint64_t start_ns = timeline->current->cost_ns;

	*arrival_ret = BH_ARRIVED;
	while (keep_on(arg, timeline, end.watch_hits)) {
		BH_TRY(step_or_stride(timeline, limits, stride, &end));
		*arrival_ret = bh_timeline_arrival(timeline, &end);
		if (*arrival_ret != BH_ARRIVED)
			return NULL;
		if (++steps % BH_CHECKPOINT_STEPS)
			continue;
		/* The longer the way already is, the less dense. */
		BH_TRY(bh_timeline_checkpoint(
			timeline,
			BH_CHECKPOINT_EVENT_NS + (timeline->current->cost_ns - start_ns) / 16));
		if (bh_timeline_poll(timeline)) {
			*arrival_ret = BH_ARRIVED_INTERRUPT;
			return NULL;
		}
	}
	return NULL;
}

/* Steps as far as the instruction wanted, or to the last one of its tick. */
static int is_before_instruction(void *arg, struct bh_timeline *timeline, unsigned int watch_hits)
{
	uint64_t wanted = *(const uint64_t *)arg;

	(void)watch_hits;
	return timeline->position.instruction < wanted && !bh_copy_is_at_entry(timeline->current) &&
	       !bh_copy_is_at_gate(timeline->current);
}

static struct bh_error *to_instruction(struct bh_timeline *timeline, uint64_t instruction,
				       enum bh_arrival *arrival_ret)
{
	/* Checkpoints closer and closer to the target: who steps back from it finds one near, and
	 * the next one when these are used up. */
	for (uint64_t back = 32768; back >= 128; back /= 4) {
		uint64_t stage = instruction - back;
		if (instruction < back || timeline->position.instruction + back >= stage)
			continue;
		const struct bh_stride to_stage = {.instruction = stage};
		BH_TRY(bh_timeline_step_while(timeline, is_before_instruction, &stage, NULL,
					      &to_stage, arrival_ret));
		if (*arrival_ret != BH_ARRIVED)
			return NULL;
		BH_TRY(bh_timeline_checkpoint(timeline, 0));
	}
	const struct bh_stride to_end = {.instruction = instruction};
	BH_TRY(bh_timeline_step_while(timeline, is_before_instruction, &instruction, NULL, &to_end,
				      arrival_ret));
	if (*arrival_ret == BH_ARRIVED && timeline->position.instruction < instruction)
		*arrival_ret = BH_ARRIVED_EARLIER;
	return NULL;
}

/* The current copy where it is, or a fork of the best checkpoint. */
static struct bh_error *choose_base(struct bh_timeline *timeline, struct bh_position target)
{
	const struct bh_copy *current = timeline->current;

	if (!current || bh_position_compare(current->position, target) > 0 ||
	    target.event - current->position.event > EVENTS_WORTH_UNCOUNTING)
		BH_TRY(bh_timeline_use_snapshot(timeline, target));
	struct bh_copy *best = bh_checkpoints_find(&timeline->checkpoints, target, 0);

	if (!best)
		return bh_error_new(BH_ERR_INTERNAL, "no checkpoint before event %llu",
				    (unsigned long long)target.event);
	if (current && current->is_exact && !current->is_over &&
	    bh_position_compare(current->position, target) <= 0 &&
	    bh_position_compare(current->position, best->position) >= 0)
		return NULL;
	return bh_timeline_restore(timeline, best);
}

static struct bh_error *seek(struct bh_timeline *timeline, struct bh_position target,
			     enum bh_arrival *arrival_ret)
{
	*arrival_ret = BH_ARRIVED;
	if (target.event < bh_timeline_first_event(timeline))
		target = (struct bh_position){bh_timeline_first_event(timeline), 0, 0};
	if (target.event != bh_timeline_event_from(timeline, target.event))
		target = (struct bh_position){bh_timeline_event_from(timeline, target.event), 0, 0};
	if (target.event >= timeline->config.last_event)
		target = bh_timeline_end(timeline);
	BH_TRY(choose_base(timeline, target));
	if (timeline->current->position.event < target.event) {
		BH_TRY(bh_timeline_to_event(timeline, target.event, arrival_ret));
		if (*arrival_ret != BH_ARRIVED)
			return NULL;
	}
	if (!target.tick && !target.instruction)
		return NULL;
	BH_TRY(plant_nothing(timeline));
	BH_TRY(bh_copy_count(timeline->current, 1));
	BH_TRY(bh_timeline_checkpoint(timeline, BH_CHECKPOINT_EVENT_NS));
	BH_TRY(to_tick(timeline, target.tick, arrival_ret));
	if (*arrival_ret != BH_ARRIVED)
		return NULL;
	BH_TRY(bh_timeline_checkpoint(timeline, BH_CHECKPOINT_EVENT_NS));
	return to_instruction(timeline, target.instruction, arrival_ret);
}

struct bh_error *bh_timeline_seek(struct bh_timeline *timeline, struct bh_position target,
				  enum bh_arrival *arrival_ret)
{
	int was_quick = bh_timeline_quicken(timeline, 1);
	struct bh_error *error = seek(timeline, target, arrival_ret);

	bh_timeline_quicken(timeline, was_quick);
	return error;
}

/* How many ticks an event has: runs it once. */
static struct bh_error *last_tick(struct bh_timeline *timeline, uint64_t event, uint64_t *tick_ret,
				  enum bh_arrival *arrival_ret)
{
	struct bh_position start = {event, 0, 0};
	struct bh_limits limits = {.stop_event = event + 1};
	struct bh_end end;

	BH_TRY(bh_timeline_seek(timeline, start, arrival_ret));
	if (*arrival_ret != BH_ARRIVED)
		return NULL;
	BH_TRY(plant_nothing(timeline));
	BH_TRY(bh_copy_count(timeline->current, 1));
	BH_TRY(bh_timeline_checkpoint(timeline, BH_CHECKPOINT_EVENT_NS / 2));
	BH_TRY(bh_copy_run(timeline->current, &limits, &end));
	*arrival_ret = bh_timeline_arrival(timeline, &end);
	if (*arrival_ret == BH_ARRIVED_DIVERGED && timeline->position.event > event)
		*arrival_ret = BH_ARRIVED; /* that is where we come from */
	*tick_ret = end.ticks;
	return NULL;
}

static int is_inside_tick(void *arg, struct bh_timeline *timeline, unsigned int watch_hits)
{
	(void)arg;
	(void)watch_hits;
	return !bh_copy_is_at_entry(timeline->current) && !bh_copy_is_at_gate(timeline->current);
}

static struct bh_error *step_backward(struct bh_timeline *timeline, enum bh_arrival *arrival_ret)
{
	struct bh_position position = timeline->position;

	if (bh_timeline_is_at_beginning(timeline)) {
		*arrival_ret = BH_ARRIVED_EARLIER;
		return NULL;
	}
	if (position.instruction) {
		position.instruction--;
		return bh_timeline_seek(timeline, position, arrival_ret);
	}
	if (position.tick) {
		position.tick--;
	} else {
		position.event = bh_timeline_event_before(timeline, position.event);
		BH_TRY(last_tick(timeline, position.event, &position.tick, arrival_ret));
		if (*arrival_ret != BH_ARRIVED)
			return NULL;
	}
	/* To the last instruction of that tick. A checkpoint far into it saves steps. */
	struct bh_position bound = {position.event, position.tick, UINT64_MAX};
	const struct bh_copy *best = bh_checkpoints_find(&timeline->checkpoints, bound, 0);
	if (best && best->position.event == position.event && best->position.tick == position.tick)
		position = best->position;
	BH_TRY(bh_timeline_seek(timeline, position, arrival_ret));
	if (*arrival_ret != BH_ARRIVED)
		return NULL;
	BH_TRY(plant_nothing(timeline));
	BH_TRY(bh_copy_count(timeline->current, 1));
	const struct bh_stride any = {0};
	return bh_timeline_step_while(timeline, is_inside_tick, NULL, NULL, &any, arrival_ret);
}

static struct bh_error *step_forward(struct bh_timeline *timeline, enum bh_arrival *arrival_ret)
{
	struct bh_end end;

	*arrival_ret = BH_ARRIVED_EARLIER;
	if (bh_timeline_is_at_end(timeline))
		return NULL;
	BH_TRY(plant_nothing(timeline));
	BH_TRY(bh_copy_count(timeline->current, 1));
	BH_TRY(bh_copy_step(timeline->current, NULL, &end));
	*arrival_ret = bh_timeline_arrival(timeline, &end);
	return NULL;
}

struct bh_error *bh_timeline_step(struct bh_timeline *timeline, enum bh_direction direction,
				  enum bh_arrival *arrival_ret)
{
	int was_quick = bh_timeline_quicken(timeline, 1);
	struct bh_error *error = NULL;

	if (!timeline->current->is_exact)
		error = bh_timeline_seek(timeline, timeline->position, arrival_ret);
	if (!error)
		error = direction == BH_FORWARD ? step_forward(timeline, arrival_ret)
						: step_backward(timeline, arrival_ret);
	bh_timeline_quicken(timeline, was_quick);
	return error;
}
