/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The timeline: one current copy of the replayed process that can be brought to any position, in
 * both directions, by going back to a checkpoint and forward again; and the search for breakpoints
 * and watchpoints in both directions. Knows positions, entries and addresses, nothing of nodes,
 * traces or gdb: engine.c adds those, tests/unit/test_engine_lowlevel.c drives it directly.
 */
#ifndef BH_REPLAYER_TIMELINE_H
#define BH_REPLAYER_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "replayer/checkpoint.h"
#include "replayer/copy.h"
#include "replayer/probe.h"

struct bh_timeline;

struct bh_timeline_config {
	void (*run)(void *arg); /* what is replayed, called in the tracee; must not return */
	/* The same from a snapshot on, see bh_timeline_add_snapshot(). */
	void (*run_snapshot)(void *arg, size_t number);
	void *run_arg;
	void (*after_fork)(void); /* see struct bh_space */
	/* Where programs' text is, so that it can be passed by strides; NULL: nowhere. */
	int (*is_program)(uint64_t address);
	uint64_t last_event; /* history ends where this event begins */
	/* The numbers of the events, ascending, if there are others between them that don't happen
	 * here; NULL: from 1 on, all do. */
	const uint64_t *events;
	size_t event_count;
	/* A search backwards runs the next piece on another CPU while it looks at one that costs
	 * more than this. 0: if that pays. */
	uint64_t ahead_ns;
	/* Looks at a copy that stopped at the gate: the first event that isn't as in the trace, or
	 * 0. History ends there. May be NULL. */
	uint64_t (*find_divergence)(void *arg, struct bh_copy *copy);
	/* Says why a tracee that ends before its first event does; NULL if unknown. May be NULL. */
	struct bh_error *(*explain_exit)(void *arg, struct bh_copy *copy);
	void *arg;
};

enum bh_arrival {
	BH_ARRIVED,
	BH_ARRIVED_EARLIER,   /* the target does not exist: at the end of its tick or event */
	BH_ARRIVED_INTERRUPT, /* poll asked to stop; at some exact position on the way */
	BH_ARRIVED_DIVERGED,  /* the replay left the trace here */
	BH_ARRIVED_EXITING,   /* the process ends here: timeline.signal */
};

/* --- searching --- */

#define BH_SEARCH_TEXT 16

struct bh_search {
	const uint64_t *addresses; /* breakpoints, ascending */
	size_t address_count;
	/* As many: what decides about each, or NULL when only accept can tell. NULL: for none. */
	const struct bh_probe_condition *const *conditions;
	/* As many: the first BH_SEARCH_TEXT bytes that must be there, or NULL: whatever there is.
	 * In the course of time several programs may lie at an address. NULL: all are. */
	const uint8_t *const *texts;
	uint64_t watch_addresses[BH_DEBUG_REGISTERS];
	uint64_t watch_dr7;
	/* Asked at each hit, the current copy stands there: is it one? Not about hits that
	 * conditions have decided about in the replayed process. watch_hits is 0 for a breakpoint.
	 * NULL: every hit is. */
	int (*accept)(void *arg, unsigned int watch_hits);
	void *accept_arg;
	/* Called at each new chunk and stop of this debug register, so that accept can keep a
	 * state; may be NULL. */
	void (*begin)(void *arg);
	/* Where the replay passes when memory was mapped anew: there what is planted is looked
	 * after. 0: nowhere. */
	uint64_t remap_address;
	/* Not beyond the beginning of this event; 0: to the end or the beginning. */
	uint64_t limit_event;
};

enum bh_found {
	BH_FOUND_NOTHING,    /* reached the end; backward: the beginning */
	BH_FOUND_LIMIT,	     /* reached the beginning of limit_event */
	BH_FOUND_BREAKPOINT, /* at found.address */
	BH_FOUND_WATCH,	     /* forward: behind the access; backward: before it */
	BH_FOUND_INTERRUPT,
	BH_FOUND_DIVERGED,
	BH_FOUND_EXITING,
};

struct bh_find {
	enum bh_found found;
	uint64_t address;	 /* breakpoint */
	unsigned int watch_hits; /* debug registers */
};

struct bh_error *bh_timeline_create(const struct bh_timeline_config *config,
				    struct bh_timeline **timeline_ret);
void bh_timeline_destroy(struct bh_timeline *timeline);
/* Tells of an image in the tracee; all must be known before the first move. code may be NULL. */
struct bh_error *bh_timeline_add_region(struct bh_timeline *timeline, uint64_t base,
					const struct bh_tick_text *text, struct bh_code_map *code);
/* Tells that run_snapshot(), with the number of the calls before, makes a process that stands at
 * the beginning of this event, which it would otherwise take about cost_ns to come to. Ascending.
 */
struct bh_error *bh_timeline_add_snapshot(struct bh_timeline *timeline, uint64_t event,
					  uint64_t cost_ns);
void bh_timeline_set_poll(struct bh_timeline *timeline, int (*poll)(void *arg), void *arg);

/* Where the current copy is; valid until the next move. */
struct bh_copy *bh_timeline_copy(struct bh_timeline *timeline);
struct bh_position bh_timeline_position(const struct bh_timeline *timeline);
struct bh_position bh_timeline_end(const struct bh_timeline *timeline);
int bh_timeline_is_at_end(const struct bh_timeline *timeline);
int bh_timeline_is_at_beginning(const struct bh_timeline *timeline);
/* The end is where the replay left the trace. */
int bh_timeline_is_diverged(const struct bh_timeline *timeline);
/* The signal of the last BH_ARRIVED_EXITING. */
int bh_timeline_signal(const struct bh_timeline *timeline);

struct bh_error *bh_timeline_seek(struct bh_timeline *timeline, struct bh_position target,
				  enum bh_arrival *arrival_ret);
/* One instruction. Forward at the end and backward at the beginning: BH_ARRIVED_EARLIER, no move.
 */
struct bh_error *bh_timeline_step(struct bh_timeline *timeline, enum bh_direction direction,
				  enum bh_arrival *arrival_ret);
/* Never finds the position it starts from. */
struct bh_error *bh_timeline_search(struct bh_timeline *timeline, const struct bh_search *search,
				    enum bh_direction direction, struct bh_find *find_ret);

/* While nobody moves: leaves checkpoints ahead, for about BH_SLICE_NS. is_done_ret: there is
 * nothing left to do. */
struct bh_error *bh_timeline_work_ahead(struct bh_timeline *timeline, int *is_done_ret);

/* For measurements: checkpoints held, forks made. */
size_t bh_timeline_checkpoint_count(const struct bh_timeline *timeline);

#endif
