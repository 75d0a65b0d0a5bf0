/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Searching for breakpoints and watchpoints in both directions: see timeline.h. Called by engine.c.
 *
 * A free run doesn't count ticks or instructions, so that it is fast. What it remembers of a hit is
 * an anchor (an exact position before it, usually the beginning of its event) and which hit of that
 * address it was since then. Only the hit that is reported is resolved to an exact position: by
 * going to the anchor once more, now counting.
 *
 * Backwards: from the last checkpoint before here run forward as far as here and take the last hit;
 * none: the same from the checkpoint before, up to this one; and so on.
 */
#include <stdlib.h>
#include <string.h>

#include "replayer/timeline.h"
#include "replayer/timeline_internal.h"

struct hit {
	struct bh_position anchor;
	int is_exact;	  /* anchor is the hit itself */
	int skip_start;	  /* what is at the anchor is not counted */
	uint64_t address; /* 0: watchpoint */
	unsigned int watch_hits;
	uint64_t ordinal; /* from 1 */
};

/* One run over a piece of history. */
struct chunk {
	struct bh_timeline *timeline;
	const struct bh_search *search;
	int wants_last; /* else the first hit ends it */
	struct bh_position anchor;
	int skip_start;		  /* of the anchor */
	int skip_planted;	  /* of the next run */
	struct bh_position start; /* of this piece */
	uint64_t *ordinals;	  /* by address, then one for the watchpoints */
	uint64_t *planted;	  /* room for the addresses and one more */
	struct hit hit;
	int has_hit;
	enum bh_arrival arrival;
};

static void set_anchor(struct chunk *chunk, struct bh_position anchor, int skip_start)
{
	chunk->anchor = anchor;
	chunk->skip_start = skip_start;
	memset(chunk->ordinals, 0, (chunk->search->address_count + 1) * sizeof(*chunk->ordinals));
}

/* Which of the breakpoints; address_count if none. */
static size_t address_index(const struct bh_search *search, uint64_t address)
{
	size_t low = 0, high = search->address_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (search->addresses[middle] == address)
			return middle;
		if (search->addresses[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return search->address_count;
}

/* Is what the breakpoint was set in still, or already, at its address? */
static int has_its_text(const struct chunk *chunk, size_t index)
{
	const uint8_t *const *texts = chunk->search->texts;
	uint8_t bytes[BH_SEARCH_TEXT];

	return !texts || !texts[index] ||
	       (bh_copy_read(chunk->timeline->current, chunk->search->addresses[index], bytes,
			     sizeof(bytes)) == sizeof(bytes) &&
		!memcmp(bytes, texts[index], sizeof(bytes)));
}

static struct bh_error *plant(struct chunk *chunk)
{
	const struct bh_search *search = chunk->search;
	uint64_t extra = search->remap_address;
	size_t count = 0;

	for (size_t i = 0; i < search->address_count; i++) {
		uint64_t address = search->addresses[i];
		if (extra && extra < address)
			chunk->planted[count++] = extra;
		if (extra <= address)
			extra = 0;
		if (address == search->remap_address || has_its_text(chunk, i))
			chunk->planted[count++] = address;
	}
	if (extra)
		chunk->planted[count++] = extra;
	return bh_copy_plant(chunk->timeline->current, chunk->planted, count, NULL);
}

static void fill_limits(const struct chunk *chunk, struct bh_limits *limits)
{
	limits->watch_addresses = chunk->search->watch_addresses;
	limits->watch_dr7 = chunk->search->watch_dr7;
	limits->skip_planted = chunk->skip_planted;
	limits->probes = chunk->timeline->probes;
}

/* Asks whether the stop at the current place counts, and remembers it. Returns non-zero if so. */
static int consider(struct chunk *chunk, uint64_t address, unsigned int watch_hits,
		    uint64_t ordinal)
{
	const struct bh_search *search = chunk->search;

	if (search->accept && !search->accept(search->accept_arg, watch_hits))
		return 0;
	chunk->has_hit = 1;
	chunk->hit = (struct hit){
		.anchor = chunk->anchor,
		.skip_start = chunk->skip_start,
		.address = address,
		.watch_hits = watch_hits,
		.ordinal = ordinal,
	};
	return 1;
}

/* A hit at which the current copy stands exactly. */
static void consider_exact(struct chunk *chunk, uint64_t address, unsigned int watch_hits)
{
	if (consider(chunk, address, watch_hits, 1)) {
		chunk->hit.is_exact = 1;
		chunk->hit.anchor = chunk->timeline->position;
	}
}

/* The last hit that a probe has noted while the copy ran. */
static void take_last(struct chunk *chunk)
{
	struct bh_timeline *timeline = chunk->timeline;
	struct hit hit = {0};
	uint64_t event;

	if (!bh_probe_set_take_last(timeline->probes, timeline->current, &hit.address, &event,
				    &hit.ordinal))
		return;
	/* A piece begins in the middle of an event, or with one. */
	hit.anchor = event == chunk->start.event ? chunk->start : (struct bh_position){event, 0, 0};
	chunk->hit = hit;
	chunk->has_hit = 1;
}

/* Which hit of its address, or of the watchpoints, since the anchor this one is. */
static uint64_t count_hit(struct chunk *chunk, size_t index, uint64_t address)
{
	struct bh_timeline *timeline = chunk->timeline;
	struct bh_limits limits = {0};
	uint64_t visits = 0;

	fill_limits(chunk, &limits);
	if (bh_copy_uses_probes(timeline->current, &limits))
		visits = bh_probe_set_visits(timeline->probes, timeline->current, address);
	return visits ? visits : ++chunk->ordinals[index];
}

/* A stop at a breakpoint or watchpoint that may be a hit. */
static void note_hit(struct chunk *chunk, size_t index, uint64_t address, unsigned int watch_hits)
{
	struct bh_timeline *timeline = chunk->timeline;

	/* Where a probe counts, it needn't be asked before the hit is one. */
	int is_counted =
		address && bh_probe_set_counts(timeline->probes, timeline->current, address);
	uint64_t ordinal = is_counted ? 0 : count_hit(chunk, index, address);

	if (consider(chunk, address, watch_hits, ordinal) && is_counted)
		chunk->hit.ordinal = count_hit(chunk, index, address);
}

/* A PLANTED or WATCH end of a free run. Returns non-zero when the chunk is done. */
static struct bh_error *note_stop(struct chunk *chunk, const struct bh_end *end, int *is_done_ret)
{
	struct bh_timeline *timeline = chunk->timeline;
	const struct bh_search *search = chunk->search;
	struct bh_copy *copy = timeline->current;
	size_t index = search->address_count;
	uint64_t address = 0;

	*is_done_ret = 0;
	timeline->position = copy->position;
	if (copy->position.event != chunk->anchor.event)
		set_anchor(chunk, (struct bh_position){copy->position.event, 0, 0}, 0);
	chunk->skip_planted = end->kind == BH_END_PLANTED;
	if (end->kind == BH_END_PLANTED) {
		address = bh_copy_pc(copy);
		index = address_index(search, address);
		if (address == search->remap_address)
			BH_TRY(plant(chunk));
		if (index == search->address_count)
			return NULL;
	}
	take_last(chunk);
	note_hit(chunk, index, address, end->watch_hits);
	*is_done_ret = chunk->has_hit && !chunk->wants_last;
	if (!*is_done_ret && bh_timeline_poll(timeline)) {
		chunk->arrival = BH_ARRIVED_INTERRUPT;
		*is_done_ret = 1;
	}
	return NULL;
}

/* Ticks need not be counted on the way, which ends as soon as the event does. */
static uint64_t slice_end(const struct bh_timeline *timeline, uint64_t event)
{
	if (timeline->current->is_counting)
		return timeline->current->position.event + 1;
	return bh_timeline_slice(timeline, event);
}

/* To the beginning of event. */
static struct bh_error *run_to_event(struct chunk *chunk, uint64_t event, int *is_done_ret)
{
	struct bh_timeline *timeline = chunk->timeline;
	uint64_t from = timeline->current->position.event;
	uint64_t start_ns = timeline->current->cost_ns;
	struct bh_limits limits = {.stop_event = slice_end(timeline, event)};
	struct bh_end end;

	*is_done_ret = 0;
	while (timeline->current->position.event < event || !timeline->current->is_exact) {
		/* However many stops there are in a slice, it ends where it was to end. */
		if (timeline->current->is_exact) {
			from = timeline->current->position.event;
			start_ns = timeline->current->cost_ns;
			limits.stop_event = slice_end(timeline, event);
		}
		fill_limits(chunk, &limits);
		BH_TRY(bh_copy_run(timeline->current, &limits, &end));
		if (end.kind == BH_END_PLANTED || end.kind == BH_END_WATCH) {
			BH_TRY(note_stop(chunk, &end, is_done_ret));
			if (*is_done_ret)
				return NULL;
			continue;
		}
		take_last(chunk);
		chunk->arrival = bh_timeline_arrival(timeline, &end);
		/* Backwards from where the replay left the trace. */
		if (chunk->arrival == BH_ARRIVED_DIVERGED && chunk->wants_last)
			chunk->arrival = BH_ARRIVED;
		if (chunk->arrival != BH_ARRIVED) {
			*is_done_ret = 1;
			return NULL;
		}
		bh_timeline_learn(timeline, timeline->position.event - from,
				  timeline->current->cost_ns - start_ns);
		BH_TRY(bh_timeline_checkpoint_run(timeline));
		set_anchor(chunk, timeline->position, 0);
		chunk->skip_planted = 0;
		if (timeline->current->position.event >= event)
			return NULL;
		if (bh_timeline_poll(timeline)) {
			chunk->arrival = BH_ARRIVED_INTERRUPT;
			*is_done_ret = 1;
			return NULL;
		}
		if (timeline->current->is_counting) {
			BH_TRY(bh_copy_count(timeline->current, 0));
			BH_TRY(plant(chunk));
		}
	}
	return NULL;
}

/* Inside the last event, to the beginning of tick. */
static struct bh_error *run_to_tick(struct chunk *chunk, struct bh_position limit, int *is_done_ret)
{
	struct bh_timeline *timeline = chunk->timeline;
	struct bh_limits limits = {.stop_event = limit.event + 1, .stop_tick = limit.tick};
	struct bh_end end;

	*is_done_ret = 0;
	while (timeline->current->position.tick < limit.tick || !timeline->current->is_exact) {
		fill_limits(chunk, &limits);
		BH_TRY(bh_copy_run(timeline->current, &limits, &end));
		if (end.kind == BH_END_TICK) {
			timeline->position = timeline->current->position;
			break;
		}
		if (end.kind == BH_END_PLANTED || end.kind == BH_END_WATCH) {
			BH_TRY(note_stop(chunk, &end, is_done_ret));
			if (*is_done_ret)
				return NULL;
			continue;
		}
		chunk->arrival = bh_timeline_arrival(timeline, &end);
		*is_done_ret = 1;
		return NULL;
	}
	chunk->skip_planted = 0;
	return NULL;
}

/* The last steps to the limit; hits are exact here. */
static struct bh_error *step_to(struct chunk *chunk, struct bh_position limit)
{
	struct bh_timeline *timeline = chunk->timeline;
	const struct bh_search *search = chunk->search;
	struct bh_limits limits = {0};
	struct bh_end end;

	fill_limits(chunk, &limits);
	while (bh_position_compare(timeline->position, limit) < 0) {
		uint64_t pc = bh_copy_pc(timeline->current);
		size_t index = address_index(search, pc);
		if (!chunk->skip_planted && index < search->address_count &&
		    has_its_text(chunk, index))
			consider_exact(chunk, pc, 0);
		if (pc == search->remap_address)
			BH_TRY(plant(chunk));
		chunk->skip_planted = 0;
		BH_TRY(bh_copy_step(timeline->current, &limits, &end));
		chunk->arrival = bh_timeline_arrival(timeline, &end);
		if (chunk->arrival != BH_ARRIVED)
			return NULL;
		if (end.watch_hits)
			consider_exact(chunk, 0, end.watch_hits);
	}
	return NULL;
}

/* Runs current from where it is up to limit. */
static struct bh_error *run_chunk(struct chunk *chunk, struct bh_position limit)
{
	struct bh_timeline *timeline = chunk->timeline;
	int is_done = 0;

	chunk->arrival = BH_ARRIVED;
	chunk->has_hit = 0;
	chunk->start = timeline->position;
	set_anchor(chunk, timeline->position, chunk->skip_planted);
	BH_TRY(bh_probe_set_install(timeline->probes, timeline->current));
	if (chunk->search->begin)
		chunk->search->begin(chunk->search->accept_arg);
	BH_TRY(plant(chunk));
	if (timeline->position.event < limit.event) {
		BH_TRY(run_to_event(chunk, limit.event, &is_done));
		if (is_done)
			return NULL;
	}
	if (!limit.tick && !limit.instruction)
		return NULL;
	BH_TRY(bh_copy_count(timeline->current, 1));
	BH_TRY(plant(chunk));
	BH_TRY(run_to_tick(chunk, limit, &is_done));
	if (is_done)
		return NULL;
	return step_to(chunk, limit);
}

/* --- resolving a hit --- */

struct countdown {
	const struct hit *hit;
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

static struct bh_error *lost_hit(const struct hit *hit)
{
	return bh_error_new(BH_ERR_INTERNAL,
			    "hit %llu of %#llx in event %llu was not met again; the replay isn't "
			    "deterministic here",
			    (unsigned long long)hit->ordinal, (unsigned long long)hit->address,
			    (unsigned long long)hit->anchor.event);
}

/* Runs from the anchor to the hit, counting. Gives its tick and its number within that. */
static struct bh_error *find_tick(struct bh_timeline *timeline, const struct bh_search *search,
				  const struct hit *hit, uint64_t *tick_ret, uint64_t *left_ret)
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

/* Brings current to the hit; for a watchpoint, behind the access or (before_access) before it. */
static struct bh_error *resolve(struct bh_timeline *timeline, const struct bh_search *search,
				const struct hit *hit, int before_access,
				enum bh_arrival *arrival_ret)
{
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

static struct bh_error *report_hit(const struct chunk *chunk, int before_access,
				   struct bh_find *find_ret)
{
	enum bh_arrival arrival;

	BH_TRY(resolve(chunk->timeline, chunk->search, &chunk->hit, before_access, &arrival));
	*find_ret =
		(struct bh_find){found_from(arrival), chunk->hit.address, chunk->hit.watch_hits};
	if (arrival == BH_ARRIVED)
		find_ret->found = chunk->hit.address ? BH_FOUND_BREAKPOINT : BH_FOUND_WATCH;
	return NULL;
}

/* A run was held in the middle of nowhere: to an exact position before that. */
static struct bh_error *go_back(struct chunk *chunk, struct bh_position origin)
{
	struct bh_timeline *timeline = chunk->timeline;
	int (*poll)(void *arg) = timeline->poll;
	enum bh_arrival arrival;

	timeline->poll = NULL;
	struct bh_error *error = bh_timeline_seek(timeline, origin, &arrival);
	timeline->poll = poll;
	return error;
}

/* Where a search ends that finds nothing. */
static enum bh_found found_at_limit(const struct chunk *chunk)
{
	return chunk->search->limit_event ? BH_FOUND_LIMIT : BH_FOUND_NOTHING;
}

static struct bh_error *search_forward(struct chunk *chunk, struct bh_find *find_ret)
{
	struct bh_timeline *timeline = chunk->timeline;
	struct bh_position limit = {chunk->search->limit_event, 0, 0};

	*find_ret = (struct bh_find){.found = BH_FOUND_NOTHING};
	if (bh_timeline_is_at_end(timeline))
		return NULL;
	chunk->skip_planted = 1;
	BH_TRY(run_chunk(chunk, limit.event ? limit : bh_timeline_end(timeline)));
	if (chunk->has_hit)
		return report_hit(chunk, 0, find_ret);
	find_ret->found =
		chunk->arrival == BH_ARRIVED ? found_at_limit(chunk) : found_from(chunk->arrival);
	if (find_ret->found == BH_FOUND_INTERRUPT && !timeline->current->is_exact)
		return go_back(chunk, chunk->anchor);
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

static struct bh_copy *choose_piece(const struct bh_checkpoints *checkpoints,
				    struct bh_position limit, uint64_t limit_ns, uint64_t way_ns)
{
	struct bh_copy *base = bh_checkpoints_find(checkpoints, limit, 1), *earlier;

	while (base && base->cost_ns + piece_ns(base, way_ns) > limit_ns &&
	       (earlier = bh_checkpoints_find(checkpoints, base->position, 1)))
		base = earlier;
	return base;
}

/* Nothing was found on the way to there. */
static struct bh_error *arrive_at_first(struct chunk *chunk, struct bh_position first,
					struct bh_find *find_ret)
{
	enum bh_arrival arrival;

	BH_TRY(bh_timeline_seek(chunk->timeline, first, &arrival));
	find_ret->found = arrival == BH_ARRIVED ? found_at_limit(chunk) : found_from(arrival);
	return NULL;
}

/* To where a piece begins: its checkpoint, or the limit of the search if that is behind it. */
static struct bh_error *begin_piece(struct chunk *chunk, struct bh_copy *base,
				    struct bh_position first)
{
	enum bh_arrival arrival = BH_ARRIVED;

	if (bh_position_compare(base->position, first) < 0)
		BH_TRY(bh_timeline_seek(chunk->timeline, first, &arrival));
	else
		BH_TRY(bh_timeline_restore(chunk->timeline, base));
	chunk->arrival = arrival;
	return NULL;
}

static struct bh_error *search_backward(struct chunk *chunk, struct bh_find *find_ret)
{
	struct bh_timeline *timeline = chunk->timeline;
	struct bh_position origin = timeline->position;
	struct bh_position limit = origin;
	struct bh_position first = {chunk->search->limit_event ? chunk->search->limit_event : 1, 0,
				    0};
	uint64_t origin_ns = timeline->current->cost_ns, limit_ns = origin_ns;

	chunk->wants_last = 1;
	*find_ret = (struct bh_find){.found = BH_FOUND_NOTHING};
	for (;;) {
		BH_TRY(bh_timeline_use_snapshot(timeline, limit));
		struct bh_copy *base =
			choose_piece(&timeline->checkpoints, limit, limit_ns,
				     origin_ns > limit_ns ? origin_ns - limit_ns : 0);
		if (!base || bh_position_compare(limit, first) <= 0)
			return arrive_at_first(chunk, first, find_ret);
		struct bh_position next_limit = base->position;
		uint64_t next_limit_ns = base->cost_ns;
		BH_TRY(begin_piece(chunk, base, first));
		chunk->skip_planted = 0;
		if (chunk->arrival == BH_ARRIVED)
			BH_TRY(run_chunk(chunk, limit));
		if (chunk->arrival == BH_ARRIVED_INTERRUPT) {
			find_ret->found = BH_FOUND_INTERRUPT;
			return go_back(chunk, origin);
		}
		if (chunk->has_hit)
			return report_hit(chunk, 1, find_ret);
		if (chunk->arrival != BH_ARRIVED) {
			find_ret->found = found_from(chunk->arrival);
			return NULL;
		}
		limit = next_limit;
		limit_ns = next_limit_ns;
	}
}

static struct bh_error *search_from_here(struct bh_timeline *timeline,
					 const struct bh_search *search,
					 enum bh_direction direction, struct bh_find *find_ret)
{
	struct chunk chunk = {.timeline = timeline, .search = search};
	enum bh_arrival arrival;

	if (!timeline->current->is_exact || timeline->current->is_over)
		BH_TRY(bh_timeline_seek(timeline, timeline->position, &arrival));
	chunk.ordinals = calloc(2 * search->address_count + 2, sizeof(*chunk.ordinals));
	chunk.planted = chunk.ordinals + search->address_count + 1;
	if (!chunk.ordinals)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	struct bh_error *error = bh_probe_set_fill(timeline->probes, &timeline->space,
						   search->addresses, search->conditions,
						   search->address_count, direction == BH_BACKWARD);
	if (!error)
		error = direction == BH_FORWARD ? search_forward(&chunk, find_ret)
						: search_backward(&chunk, find_ret);
	bh_copy_disarm(timeline->current);
	free(chunk.ordinals);
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
