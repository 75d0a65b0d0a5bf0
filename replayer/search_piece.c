/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run over a piece of history, which finds its first hit or its last one. Called by search.c.
 *
 * A free run doesn't count ticks or instructions, so that it is fast. What it remembers of a hit is
 * an anchor (an exact position before it, usually the beginning of its event) and which hit of that
 * address it was since then.
 */
#include <string.h>

#include "replayer/search_internal.h"

static void set_anchor(struct bh_search_piece *piece, struct bh_position anchor, int skip_start)
{
	piece->anchor = anchor;
	piece->skip_start = skip_start;
	memset(piece->ordinals, 0, (piece->search->address_count + 1) * sizeof(*piece->ordinals));
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
static int has_its_text(const struct bh_search_piece *piece, struct bh_copy *copy, size_t index)
{
	const uint8_t *const *texts = piece->search->texts;
	uint8_t bytes[BH_SEARCH_TEXT];

	return !texts || !texts[index] ||
	       (bh_copy_read(copy, piece->search->addresses[index], bytes, sizeof(bytes)) ==
			sizeof(bytes) &&
		!memcmp(bytes, texts[index], sizeof(bytes)));
}

static struct bh_error *plant(struct bh_search_piece *piece, struct bh_copy *copy)
{
	const struct bh_search *search = piece->search;
	uint64_t extra = search->remap_address;
	size_t count = 0;

	for (size_t i = 0; i < search->address_count; i++) {
		uint64_t address = search->addresses[i];
		if (extra && extra < address)
			piece->planted[count++] = extra;
		if (extra <= address)
			extra = 0;
		if (address == search->remap_address || has_its_text(piece, copy, i))
			piece->planted[count++] = address;
	}
	if (extra)
		piece->planted[count++] = extra;
	return bh_copy_plant(copy, piece->planted, count, NULL);
}

static void fill_limits(const struct bh_search_piece *piece, struct bh_limits *limits)
{
	limits->watch_addresses = piece->search->watch_addresses;
	limits->watch_dr7 = piece->search->watch_dr7;
	limits->skip_planted = piece->skip_planted;
	limits->probes = piece->timeline->probes;
}

/* Asks whether the stop at the current place counts, and remembers it. Returns non-zero if so. */
static int consider(struct bh_search_piece *piece, uint64_t address, unsigned int watch_hits,
		    uint64_t ordinal)
{
	const struct bh_search *search = piece->search;

	if (search->accept && !search->accept(search->accept_arg, watch_hits))
		return 0;
	piece->has_hit = 1;
	piece->hit = (struct bh_search_hit){
		.anchor = piece->anchor,
		.skip_start = piece->skip_start,
		.address = address,
		.watch_hits = watch_hits,
		.ordinal = ordinal,
	};
	return 1;
}

/* A hit at which the current copy stands exactly. */
static void consider_exact(struct bh_search_piece *piece, uint64_t address, unsigned int watch_hits)
{
	if (consider(piece, address, watch_hits, 1)) {
		piece->hit.is_exact = 1;
		piece->hit.anchor = piece->timeline->position;
	}
}

/* The last hit that a probe has noted while the copy ran. */
static void take_last(struct bh_search_piece *piece)
{
	struct bh_timeline *timeline = piece->timeline;
	struct bh_search_hit hit = {0};
	uint64_t event;

	if (!bh_probe_set_take_last(timeline->probes, timeline->current, &hit.address, &event,
				    &hit.ordinal))
		return;
	/* A piece begins in the middle of an event, or with one. */
	hit.anchor = event == piece->start.event ? piece->start : (struct bh_position){event, 0, 0};
	piece->hit = hit;
	piece->has_hit = 1;
}

/* Which hit of its address, or of the watchpoints, since the anchor this one is. */
static uint64_t count_hit(struct bh_search_piece *piece, size_t index, uint64_t address)
{
	struct bh_timeline *timeline = piece->timeline;
	struct bh_limits limits = {0};
	uint64_t visits = 0;

	fill_limits(piece, &limits);
	if (bh_copy_uses_probes(timeline->current, &limits))
		visits = bh_probe_set_visits(timeline->probes, timeline->current, address);
	return visits ? visits : ++piece->ordinals[index];
}

/* A stop at a breakpoint or watchpoint that may be a hit. */
static void note_hit(struct bh_search_piece *piece, size_t index, uint64_t address,
		     unsigned int watch_hits)
{
	struct bh_timeline *timeline = piece->timeline;

	/* Where a probe counts, it needn't be asked before the hit is one. */
	int is_counted =
		address && bh_probe_set_counts(timeline->probes, timeline->current, address);
	uint64_t ordinal = is_counted ? 0 : count_hit(piece, index, address);

	if (consider(piece, address, watch_hits, ordinal) && is_counted)
		piece->hit.ordinal = count_hit(piece, index, address);
}

/* A PLANTED or WATCH end of a free run. Returns non-zero when the piece is done. */
static struct bh_error *note_stop(struct bh_search_piece *piece, const struct bh_end *end,
				  int *is_done_ret)
{
	struct bh_timeline *timeline = piece->timeline;
	const struct bh_search *search = piece->search;
	struct bh_copy *copy = timeline->current;
	size_t index = search->address_count;
	uint64_t address = 0;

	*is_done_ret = 0;
	timeline->position = copy->position;
	if (copy->position.event != piece->anchor.event)
		set_anchor(piece, (struct bh_position){copy->position.event, 0, 0}, 0);
	piece->skip_planted = end->kind == BH_END_PLANTED;
	if (end->kind == BH_END_PLANTED) {
		address = bh_copy_pc(copy);
		index = address_index(search, address);
		if (address == search->remap_address)
			BH_TRY(plant(piece, copy));
		if (index == search->address_count)
			return NULL;
	}
	take_last(piece);
	note_hit(piece, index, address, end->watch_hits);
	*is_done_ret = piece->has_hit && !piece->wants_last;
	if (!*is_done_ret && bh_timeline_poll(timeline)) {
		piece->arrival = BH_ARRIVED_INTERRUPT;
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

/* The next stop. */
static struct bh_error *run_on(struct bh_search_piece *piece, struct bh_limits *limits,
			       struct bh_end *end)
{
	struct bh_copy *current = piece->timeline->current;

	if (piece->is_running) {
		piece->is_running = 0;
		*limits = piece->running;
		return bh_copy_run_end(current, limits, end);
	}
	fill_limits(piece, limits);
	return bh_copy_run(current, limits, end);
}

/* To the beginning of event. */
static struct bh_error *run_to_event(struct bh_search_piece *piece, uint64_t event,
				     int *is_done_ret)
{
	struct bh_timeline *timeline = piece->timeline;
	uint64_t from = timeline->current->position.event;
	uint64_t start_ns = timeline->current->cost_ns;
	struct bh_limits limits = {.stop_event = slice_end(timeline, event)};
	struct bh_end end;

	*is_done_ret = 0;
	while (timeline->current->position.event < event || !timeline->current->is_exact) {
		/* However many stops there are in a slice, it ends where it was to end. */
		if (timeline->current->is_exact && !piece->is_running) {
			from = timeline->current->position.event;
			start_ns = timeline->current->cost_ns;
			limits.stop_event = slice_end(timeline, event);
		}
		BH_TRY(run_on(piece, &limits, &end));
		if (end.kind == BH_END_PLANTED || end.kind == BH_END_WATCH) {
			BH_TRY(note_stop(piece, &end, is_done_ret));
			if (*is_done_ret)
				return NULL;
			continue;
		}
		take_last(piece);
		piece->arrival = bh_timeline_arrival(timeline, &end);
		/* Backwards from where the replay left the trace. */
		if (piece->arrival == BH_ARRIVED_DIVERGED && piece->wants_last)
			piece->arrival = BH_ARRIVED;
		if (piece->arrival != BH_ARRIVED) {
			*is_done_ret = 1;
			return NULL;
		}
		bh_timeline_learn(timeline, timeline->position.event - from,
				  timeline->current->cost_ns - start_ns);
		BH_TRY(bh_timeline_checkpoint_run(timeline));
		set_anchor(piece, timeline->position, 0);
		piece->skip_planted = 0;
		if (timeline->current->position.event >= event)
			return NULL;
		if (bh_timeline_poll(timeline)) {
			piece->arrival = BH_ARRIVED_INTERRUPT;
			*is_done_ret = 1;
			return NULL;
		}
		if (timeline->current->is_counting) {
			BH_TRY(bh_copy_count(timeline->current, 0));
			BH_TRY(plant(piece, timeline->current));
		}
	}
	return NULL;
}

/* Inside the last event, to the beginning of tick. */
static struct bh_error *run_to_tick(struct bh_search_piece *piece, struct bh_position limit,
				    int *is_done_ret)
{
	struct bh_timeline *timeline = piece->timeline;
	struct bh_limits limits = {.stop_event = limit.event + 1, .stop_tick = limit.tick};
	struct bh_end end;

	*is_done_ret = 0;
	while (timeline->current->position.tick < limit.tick || !timeline->current->is_exact) {
		fill_limits(piece, &limits);
		BH_TRY(bh_copy_run(timeline->current, &limits, &end));
		if (end.kind == BH_END_TICK) {
			timeline->position = timeline->current->position;
			break;
		}
		if (end.kind == BH_END_PLANTED || end.kind == BH_END_WATCH) {
			BH_TRY(note_stop(piece, &end, is_done_ret));
			if (*is_done_ret)
				return NULL;
			continue;
		}
		piece->arrival = bh_timeline_arrival(timeline, &end);
		*is_done_ret = 1;
		return NULL;
	}
	piece->skip_planted = 0;
	return NULL;
}

/* The last steps to the limit; hits are exact here. */
static struct bh_error *step_to(struct bh_search_piece *piece, struct bh_position limit)
{
	struct bh_timeline *timeline = piece->timeline;
	const struct bh_search *search = piece->search;
	struct bh_limits limits = {0};
	struct bh_end end;

	fill_limits(piece, &limits);
	while (bh_position_compare(timeline->position, limit) < 0) {
		uint64_t pc = bh_copy_pc(timeline->current);
		size_t index = address_index(search, pc);
		if (!piece->skip_planted && index < search->address_count &&
		    has_its_text(piece, timeline->current, index))
			consider_exact(piece, pc, 0);
		if (pc == search->remap_address)
			BH_TRY(plant(piece, timeline->current));
		piece->skip_planted = 0;
		BH_TRY(bh_copy_step(timeline->current, &limits, &end));
		piece->arrival = bh_timeline_arrival(timeline, &end);
		if (piece->arrival != BH_ARRIVED)
			return NULL;
		if (end.watch_hits)
			consider_exact(piece, 0, end.watch_hits);
	}
	return NULL;
}

struct bh_error *bh_search_send(struct bh_search_piece *piece, struct bh_copy *copy,
				struct bh_limits *limits)
{
	BH_TRY(bh_probe_set_install(piece->timeline->probes, copy));
	BH_TRY(plant(piece, copy));
	fill_limits(piece, limits);
	return bh_copy_run_begin(copy, limits);
}

struct bh_error *bh_search_run(struct bh_search_piece *piece, struct bh_position limit)
{
	struct bh_timeline *timeline = piece->timeline;
	int is_done = 0;

	piece->arrival = BH_ARRIVED;
	piece->has_hit = 0;
	piece->start = timeline->position;
	set_anchor(piece, timeline->position, piece->skip_planted);
	if (!piece->is_running) {
		BH_TRY(bh_probe_set_install(timeline->probes, timeline->current));
		if (piece->search->begin)
			piece->search->begin(piece->search->accept_arg);
		BH_TRY(plant(piece, timeline->current));
	}
	if (timeline->position.event < limit.event) {
		BH_TRY(run_to_event(piece, limit.event, &is_done));
		if (is_done)
			return NULL;
	}
	if (!limit.tick && !limit.instruction)
		return NULL;
	BH_TRY(bh_copy_count(timeline->current, 1));
	BH_TRY(plant(piece, timeline->current));
	BH_TRY(run_to_tick(piece, limit, &is_done));
	if (is_done)
		return NULL;
	return step_to(piece, limit);
}
