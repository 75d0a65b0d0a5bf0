/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Searching for breakpoints and watchpoints in both directions: see timeline.h. Called by engine.c.
 *
 * History is run through in pieces (search_piece.c); only the hit that is reported is resolved to
 * an exact position (search_hit.c).
 *
 * Backwards: from the last checkpoint before here run forward as far as here and take the last hit;
 * none: the same from the checkpoint before, up to this one; and so on. Where there is another CPU,
 * the piece before the one that is searched runs there meanwhile, up to its first stop or its end.
 */
#include <stdlib.h>

#include "replayer/search_internal.h"

static enum bh_found found_from(enum bh_arrival arrival)
{
	switch (arrival) {
	case BH_ARRIVED_INTERRUPT:
		return BH_FOUND_INTERRUPT;
	case BH_ARRIVED_DIVERGED:
		return BH_FOUND_DIVERGED;
	case BH_ARRIVED_EXITING:
		return BH_FOUND_EXITING;
	default:
		return BH_FOUND_NOTHING;
	}
}

static struct bh_error *report_hit(const struct bh_search_piece *piece, int before_access,
				   struct bh_find *find_ret)
{
	enum bh_arrival arrival;

	BH_TRY(bh_search_resolve(piece, before_access, &arrival));
	*find_ret =
		(struct bh_find){found_from(arrival), piece->hit.address, piece->hit.watch_hits};
	if (arrival == BH_ARRIVED)
		find_ret->found = piece->hit.address ? BH_FOUND_BREAKPOINT : BH_FOUND_WATCH;
	return NULL;
}

/* A run was held in the middle of nowhere: to an exact position before that. */
static struct bh_error *go_back(struct bh_search_piece *piece, struct bh_position origin)
{
	struct bh_timeline *timeline = piece->timeline;
	int (*poll)(void *arg) = timeline->poll;
	enum bh_arrival arrival;

	timeline->poll = NULL;
	struct bh_error *error = bh_timeline_seek(timeline, origin, &arrival);
	timeline->poll = poll;
	return error;
}

/* Where a search ends that finds nothing. */
static enum bh_found found_at_limit(const struct bh_search_piece *piece)
{
	return piece->search->limit_event ? BH_FOUND_LIMIT : BH_FOUND_NOTHING;
}

static struct bh_error *search_forward(struct bh_search_piece *piece, struct bh_find *find_ret)
{
	struct bh_timeline *timeline = piece->timeline;
	struct bh_position limit = {piece->search->limit_event, 0, 0};

	*find_ret = (struct bh_find){.found = BH_FOUND_NOTHING};
	if (bh_timeline_is_at_end(timeline))
		return NULL;
	piece->skip_planted = 1;
	BH_TRY(bh_search_run(piece, limit.event ? limit : bh_timeline_end(timeline)));
	if (piece->has_hit)
		return report_hit(piece, 0, find_ret);
	find_ret->found =
		piece->arrival == BH_ARRIVED ? found_at_limit(piece) : found_from(piece->arrival);
	if (find_ret->found == BH_FOUND_INTERRUPT && !timeline->current->is_exact)
		return go_back(piece, piece->anchor);
	return NULL;
}

/*
 * Where the next piece of a search backwards begins: the checkpoint before limit, at first. Each
 * piece costs a fork and the copying of the pages that the run writes, however short it is, so
 * after a while pieces become as long as what lies between two checkpoints of a run forwards, that
 * this is the same share of the time. On a longer way they may be an eighth of it, which is the
 * most that is run in vain.
 */
static uint64_t piece_ns(const struct bh_copy *base, uint64_t way_ns)
{
	uint64_t share_ns = way_ns / 8;
	uint64_t spacing_ns = bh_timeline_spacing(base->cost_ns, base->pages);

	if (share_ns > BH_CHECKPOINT_RUN_MAX_NS)
		share_ns = BH_CHECKPOINT_RUN_MAX_NS;
	if (spacing_ns > way_ns / 2)
		spacing_ns = way_ns / 2;
	return share_ns > spacing_ns ? share_ns : spacing_ns;
}

static struct bh_copy *choose_base(const struct bh_checkpoints *checkpoints,
				   struct bh_position limit, uint64_t limit_ns, uint64_t way_ns)
{
	struct bh_copy *base = bh_checkpoints_find(checkpoints, limit, 1), *earlier;

	while (base && base->cost_ns + piece_ns(base, way_ns) > limit_ns &&
	       (earlier = bh_checkpoints_find(checkpoints, base->position, 1)))
		base = earlier;
	return base;
}

/* Nothing was found on the way to there. */
static struct bh_error *arrive_at_first(struct bh_search_piece *piece, struct bh_position first,
					struct bh_find *find_ret)
{
	enum bh_arrival arrival;

	BH_TRY(bh_timeline_seek(piece->timeline, first, &arrival));
	find_ret->found = arrival == BH_ARRIVED ? found_at_limit(piece) : found_from(arrival);
	return NULL;
}

/* To where a piece begins: its checkpoint, or the limit of the search if that is behind it. */
static struct bh_error *begin_piece(struct bh_search_piece *piece, struct bh_copy *base,
				    struct bh_position first)
{
	enum bh_arrival arrival = BH_ARRIVED;

	if (bh_position_compare(base->position, first) < 0)
		BH_TRY(bh_timeline_seek(piece->timeline, first, &arrival));
	else
		BH_TRY(bh_timeline_restore(piece->timeline, base));
	piece->arrival = arrival;
	return NULL;
}

/* A piece that runs on another CPU. */
struct ahead {
	struct bh_copy *copy; /* NULL: there is none */
	struct bh_position start;
	uint64_t start_ns; /* cost of coming to start */
	struct bh_limits limits;
};

/* A search backwards: from limit on nothing was found. */
struct way_back {
	struct bh_position origin, first, limit;
	uint64_t origin_ns, limit_ns;
	struct ahead ahead; /* what comes next */
};

static struct bh_copy *next_base(const struct bh_timeline *timeline, const struct way_back *way)
{
	return choose_base(&timeline->checkpoints, way->limit, way->limit_ns,
			   way->origin_ns > way->limit_ns ? way->origin_ns - way->limit_ns : 0);
}

/* Lets the piece before way's limit run. Not with watchpoints, for which what lies at the beginning
 * of the piece is looked at, nor if a snapshot must be restored for it, which takes time here. */
static struct bh_error *send_ahead(struct bh_search_piece *piece, struct way_back *way)
{
	const struct bh_timeline *timeline = piece->timeline;
	struct bh_copy *base = next_base(timeline, way);
	struct ahead *ahead = &way->ahead;
	size_t snapshot;

	if (!base || piece->search->watch_dr7 ||
	    bh_timeline_wants_snapshot(timeline, way->limit, &snapshot) || base->is_counting ||
	    base->position.tick || base->position.instruction ||
	    base->position.event >= way->limit.event ||
	    bh_position_compare(base->position, way->first) < 0)
		return NULL;
	ahead->start = base->position;
	ahead->start_ns = base->cost_ns;
	BH_TRY(bh_copy_fork(base, &ahead->copy));
	if (!bh_tracee_send_away(ahead->copy->tracee))
		return bh_error_new(BH_ERR_MACHINE, "there is no other CPU");
	ahead->limits.stop_event = way->limit.event;
	return bh_search_send(piece, ahead->copy, &ahead->limits);
}

static void forget_ahead(struct way_back *way)
{
	bh_copy_destroy(way->ahead.copy);
	way->ahead.copy = NULL;
}

/* What ran ahead becomes the current piece. */
static void take_ahead(struct bh_search_piece *piece, struct way_back *way)
{
	struct bh_timeline *timeline = piece->timeline;

	way->limit = way->ahead.start;
	way->limit_ns = way->ahead.start_ns;
	bh_timeline_set_current(timeline, way->ahead.copy);
	way->ahead.copy = NULL;
	bh_timeline_set_base(timeline);
	bh_tracee_call_back(timeline->current->tracee);
	piece->is_running = 1;
	piece->running = way->ahead.limits;
	piece->arrival = BH_ARRIVED;
}

/* Searches the next piece, which then is behind way's limit. is_done_ret: there is none. */
static struct bh_error *search_next(struct bh_search_piece *piece, struct way_back *way,
				    int *is_done_ret)
{
	struct bh_timeline *timeline = piece->timeline;
	struct bh_position limit = way->limit;
	uint64_t limit_ns = way->limit_ns;

	*is_done_ret = 0;
	if (way->ahead.copy) {
		take_ahead(piece, way);
	} else {
		BH_TRY(bh_timeline_use_snapshot(timeline, limit));
		struct bh_copy *base = next_base(timeline, way);
		*is_done_ret = !base || bh_position_compare(limit, way->first) <= 0;
		if (*is_done_ret)
			return NULL;
		way->limit = base->position;
		way->limit_ns = base->cost_ns;
		BH_TRY(begin_piece(piece, base, way->first));
	}
	piece->skip_planted = 0;
	if (limit_ns > way->limit_ns + timeline->config.ahead_ns) {
		struct bh_error *error = send_ahead(piece, way);
		/* It works without, one piece after the other. */
		if (error)
			forget_ahead(way);
		bh_error_free(error);
	}
	return piece->arrival == BH_ARRIVED ? bh_search_run(piece, limit) : NULL;
}

static struct bh_error *search_way_back(struct bh_search_piece *piece, struct way_back *way,
					struct bh_find *find_ret)
{
	int is_done;

	do {
		BH_TRY(search_next(piece, way, &is_done));
		if (is_done)
			return arrive_at_first(piece, way->first, find_ret);
	} while (piece->arrival == BH_ARRIVED && !piece->has_hit);
	forget_ahead(way);
	find_ret->found = found_from(piece->arrival);
	if (piece->arrival == BH_ARRIVED_INTERRUPT)
		return go_back(piece, way->origin);
	return piece->has_hit ? report_hit(piece, 1, find_ret) : NULL;
}

static struct bh_error *search_backward(struct bh_search_piece *piece, struct bh_find *find_ret)
{
	const struct bh_timeline *timeline = piece->timeline;
	struct way_back way = {
		.origin = timeline->position,
		.limit = timeline->position,
		.first.event = piece->search->limit_event ? piece->search->limit_event : 1,
		.origin_ns = timeline->current->cost_ns,
		.limit_ns = timeline->current->cost_ns,
	};

	piece->wants_last = 1;
	*find_ret = (struct bh_find){.found = BH_FOUND_NOTHING};
	struct bh_error *error = search_way_back(piece, &way, find_ret);
	forget_ahead(&way);
	return error;
}

static struct bh_error *search_from_here(struct bh_timeline *timeline,
					 const struct bh_search *search,
					 enum bh_direction direction, struct bh_find *find_ret)
{
	struct bh_search_piece piece = {.timeline = timeline, .search = search};
	enum bh_arrival arrival;

	if (!timeline->current->is_exact || timeline->current->is_over)
		BH_TRY(bh_timeline_seek(timeline, timeline->position, &arrival));
	piece.ordinals = calloc(2 * search->address_count + 2, sizeof(*piece.ordinals));
	piece.planted = piece.ordinals + search->address_count + 1;
	if (!piece.ordinals)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	struct bh_error *error = bh_probe_set_fill(timeline->probes, &timeline->space,
						   search->addresses, search->conditions,
						   search->address_count, direction == BH_BACKWARD);
	if (!error)
		error = direction == BH_FORWARD ? search_forward(&piece, find_ret)
						: search_backward(&piece, find_ret);
	bh_copy_disarm(timeline->current);
	free(piece.ordinals);
	return error;
}

struct bh_error *bh_timeline_search(struct bh_timeline *timeline, const struct bh_search *search,
				    enum bh_direction direction, struct bh_find *find_ret)
{
	int was_quick = bh_timeline_quicken(timeline, 1);
	struct bh_error *error = search_from_here(timeline, search, direction, find_ret);

	bh_timeline_quicken(timeline, was_quick);
	return error;
}
