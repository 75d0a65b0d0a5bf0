/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Going to a hit that a run over a piece of history has noted: to its anchor, and from there once
 * more, now counting, to the tick and the instruction. Called by search.c.
 */
#include "replayer/search_internal.h"

struct countdown {
	const struct bh_search_hit *hit;
	uint64_t left;
	int skip_start;
	struct bh_position before; /* the position before the last step */
};

static int is_before_hit(void *arg, struct bh_timeline *timeline, unsigned int watch_hits)
{
	struct countdown *countdown = arg;

	if (countdown->hit->address) {
		if (!countdown->skip_start &&
		    bh_copy_pc(timeline->current) == countdown->hit->address)
			countdown->left--;
	} else if (watch_hits) {
		countdown->left--;
	}
	countdown->skip_start = 0;
	if (countdown->left)
		countdown->before = timeline->position;
	return countdown->left != 0;
}

static struct bh_error *lost_hit(const struct bh_search_hit *hit)
{
	return bh_error_new(BH_ERR_INTERNAL,
			    "hit %llu of %#llx in event %llu was not met again; the replay isn't "
			    "deterministic here",
			    (unsigned long long)hit->ordinal, (unsigned long long)hit->address,
			    (unsigned long long)hit->anchor.event);
}

/* Runs from the anchor to the hit, counting. Gives its tick and its number within that. */
static struct bh_error *find_tick(struct bh_timeline *timeline, const struct bh_search *search,
				  const struct bh_search_hit *hit, uint64_t *tick_ret,
				  uint64_t *left_ret)
{
	struct bh_limits limits = {
		.stop_event = hit->anchor.event + 1,
		.watch_addresses = search->watch_addresses,
		.watch_dr7 = hit->address ? 0 : search->watch_dr7,
		.skip_planted = hit->skip_start,
	};
	struct bh_end end;

	*tick_ret = hit->anchor.tick;
	*left_ret = 0;
	for (uint64_t ordinal = 0; ordinal < hit->ordinal;) {
		BH_TRY(bh_copy_run(timeline->current, &limits, &end));
		limits.skip_planted = end.kind == BH_END_PLANTED;
		if (end.kind != BH_END_PLANTED && end.kind != BH_END_WATCH)
			return lost_hit(hit);
		ordinal++;
		uint64_t tick = timeline->current->position.tick;
		*left_ret = tick == *tick_ret ? *left_ret + 1 : 1;
		*tick_ret = tick;
	}
	return NULL;
}

struct bh_error *bh_search_resolve(const struct bh_search_piece *piece, int before_access,
				   enum bh_arrival *arrival_ret)
{
	struct bh_timeline *timeline = piece->timeline;
	const struct bh_search *search = piece->search;
	const struct bh_search_hit *hit = &piece->hit;
	struct countdown countdown = {.hit = hit, .skip_start = hit->skip_start};
	struct bh_limits limits = {
		.watch_addresses = search->watch_addresses,
		.watch_dr7 = hit->address ? 0 : search->watch_dr7,
	};
	struct bh_position start = hit->anchor;
	uint64_t tick;

	if (hit->is_exact) {
		countdown.before = hit->anchor;
		if (!hit->address)
			countdown.before.instruction--;
		return bh_timeline_seek(timeline, before_access ? countdown.before : hit->anchor,
					arrival_ret);
	}
	BH_TRY(bh_timeline_seek(timeline, start, arrival_ret));
	if (*arrival_ret != BH_ARRIVED)
		return NULL;
	BH_TRY(bh_copy_count(timeline->current, 1));
	BH_TRY(bh_timeline_checkpoint(timeline, BH_CHECKPOINT_EVENT_NS / 2));
	BH_TRY(bh_copy_plant(timeline->current, &hit->address, hit->address ? 1 : 0, NULL));
	BH_TRY(find_tick(timeline, search, hit, &tick, &countdown.left));
	if (tick != start.tick) {
		start = (struct bh_position){start.event, tick, 0};
		countdown.skip_start = 0;
	}
	BH_TRY(bh_timeline_seek(timeline, start, arrival_ret));
	if (*arrival_ret != BH_ARRIVED)
		return NULL;
	BH_TRY(bh_copy_plant(timeline->current, NULL, 0, NULL));
	BH_TRY(bh_copy_count(timeline->current, 1));
	countdown.before = timeline->position;
	/* The position before a watched access is wanted, so that is found step by step. */
	const struct bh_stride stride = {.address = hit->address};
	BH_TRY(bh_timeline_step_while(timeline, is_before_hit, &countdown, &limits,
				      hit->address ? &stride : NULL, arrival_ret));
	if (*arrival_ret == BH_ARRIVED && timeline->position.tick != tick)
		return lost_hit(hit);
	if (*arrival_ret == BH_ARRIVED && before_access && !hit->address)
		return bh_timeline_seek(timeline, countdown.before, arrival_ret);
	return NULL;
}
