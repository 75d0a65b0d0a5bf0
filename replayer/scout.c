/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Working ahead: while nobody moves, a copy of its own, the scout, runs on through history and
 * leaves checkpoints, so that later moves find them. The user's copy and position stay as they are.
 * Called by engine.c when the debugger asks for nothing.
 */
#include "replayer/timeline.h"
#include "replayer/timeline_internal.h"

/* The user or an earlier scout came so far. */
static struct bh_copy *furthest(struct bh_timeline *timeline)
{
	return timeline->checkpoints.copies[timeline->checkpoints.count - 1];
}

void bh_timeline_dismiss_scout(struct bh_timeline *timeline)
{
	bh_copy_destroy(timeline->scout);
	timeline->scout = NULL;
}

/* A scout that isn't behind the last checkpoint. */
static struct bh_error *call_scout(struct bh_timeline *timeline)
{
	struct bh_copy *last = furthest(timeline);

	if (timeline->scout && bh_position_compare(timeline->scout->position, last->position) >= 0)
		return NULL;
	bh_timeline_dismiss_scout(timeline);
	BH_TRY(bh_copy_fork(last, &timeline->scout));
	timeline->scout_base_ns = last->cost_ns;
	timeline->scout_faults = bh_tracee_page_faults(timeline->scout->tracee);
	BH_TRY(bh_copy_plant(timeline->scout, NULL, 0, NULL));
	return NULL;
}

static struct bh_error *leave_checkpoint(struct bh_timeline *timeline)
{
	struct bh_copy *scout = timeline->scout;
	uint64_t faults = bh_tracee_page_faults(scout->tracee) - timeline->scout_faults;

	if (scout->cost_ns < timeline->scout_base_ns + bh_timeline_spacing(scout->cost_ns, faults))
		return NULL;
	scout->pages = faults;
	BH_TRY(bh_checkpoints_add(&timeline->checkpoints, scout, timeline->current->cost_ns));
	timeline->scout_base_ns = scout->cost_ns;
	timeline->scout_faults = bh_tracee_page_faults(scout->tracee);
	return NULL;
}

/* One slice. */
static struct bh_error *advance(struct bh_timeline *timeline, int *is_over_ret)
{
	struct bh_copy *scout = timeline->scout;
	struct bh_limits limits = {0};
	struct bh_end end;
	uint64_t from = scout->position.event, start_ns = scout->cost_ns;

	/* The first stop is the next event: before that, counting can't be switched off. */
	limits.stop_event = from + 1;
	if (!scout->position.tick && !scout->position.instruction) {
		BH_TRY(bh_copy_count(scout, 0));
		limits.stop_event = from + timeline->slice_events;
	}
	if (limits.stop_event > timeline->config.last_event)
		limits.stop_event = timeline->config.last_event;
	BH_TRY(bh_copy_run(scout, &limits, &end));
	*is_over_ret = end.kind != BH_END_EVENT || bh_timeline_diverges(timeline, scout);
	if (*is_over_ret)
		return NULL;
	bh_timeline_learn(timeline, scout->position.event - from, scout->cost_ns - start_ns);
	return leave_checkpoint(timeline);
}

struct bh_error *bh_timeline_work_ahead(struct bh_timeline *timeline, int *is_done_ret)
{
	int is_over = 0;

	*is_done_ret = 1;
	if (furthest(timeline)->position.event >= timeline->config.last_event ||
	    timeline->is_scout_over)
		return NULL;
	BH_TRY(call_scout(timeline));
	if (timeline->scout->position.event < timeline->config.last_event)
		BH_TRY(advance(timeline, &is_over));
	timeline->is_scout_over =
		is_over || timeline->scout->position.event >= timeline->config.last_event;
	*is_done_ret = timeline->is_scout_over;
	if (timeline->is_scout_over)
		bh_timeline_dismiss_scout(timeline);
	return NULL;
}
