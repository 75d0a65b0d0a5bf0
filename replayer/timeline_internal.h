/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What timeline.c (life), seek.c and search.c share; nobody else's business. */
#ifndef BH_REPLAYER_TIMELINE_INTERNAL_H
#define BH_REPLAYER_TIMELINE_INTERNAL_H

#include "replayer/timeline.h"

/*
 * Free runs leave a checkpoint this often (cost), and go in slices of about a third. Less often
 * when checkpoints are dear, because each makes the run copy the pages it goes on to write: they
 * may cost an eighth of the run. And less often in a long run, because only some are kept.
 */
#define BH_CHECKPOINT_RUN_NS	 40000000ull
#define BH_CHECKPOINT_RUN_MAX_NS 400000000ull
#define BH_CHECKPOINT_FORK_NS	 1000000ull
#define BH_PAGE_COPY_NS		 3000ull
#define BH_SLICE_NS		 12000000ull
/* Inside an event a checkpoint (about 1 ms) is left when getting there took this long. */
#define BH_CHECKPOINT_EVENT_NS 2000000ull
/* Long stretches of single steps leave one this often. */
#define BH_CHECKPOINT_STEPS 256

/* What a piece of a search backwards must cost, so that it pays to search the one before it at the
 * same time. */
#define BH_AHEAD_NS 20000000ull

/* It pays to restore a snapshot that spares so long a way. */
#define BH_SNAPSHOT_WORTH_NS 200000000ull

struct bh_timeline_snapshot {
	uint64_t event, cost_ns;
};

struct bh_timeline {
	struct bh_timeline_config config;
	struct bh_space space;
	struct bh_checkpoints checkpoints;
	struct bh_timeline_snapshot *snapshots;
	size_t snapshot_count;
	struct bh_copy *current;
	struct bh_probe_set *probes; /* of the search that is on */
	struct bh_position position; /* of current, or where it was last known exactly */
	int signal;
	int is_quick;	 /* see bh_timeline_quicken() */
	int is_diverged; /* config.last_event is where the replay left the trace */
	int (*poll)(void *arg);
	void *poll_arg;
	uint64_t polled_ns;    /* host time of the last question */
	uint64_t base_cost_ns; /* current's cost when its way last had a checkpoint */
	uint64_t base_faults;  /* page faults of current at that time */
	uint64_t slice_events; /* events that take about BH_SLICE_NS */
	struct bh_copy *scout; /* see scout.c; or NULL */
	uint64_t scout_base_ns, scout_faults; /* as base_cost_ns and base_faults are of current */
	int is_scout_over;		      /* it came to the end, or as far as it could */
};

/* The numbers of the first event, of the one before an event, and of the first that isn't before
 * it.
 */
uint64_t bh_timeline_first_event(const struct bh_timeline *timeline);
uint64_t bh_timeline_event_before(const struct bh_timeline *timeline, uint64_t event);
uint64_t bh_timeline_event_from(const struct bh_timeline *timeline, uint64_t event);
uint64_t bh_timeline_now_ns(void);
/* While something moves, stops are made as cheap as can be: see bh_tracee_forgo_counter(). Returns
 * what it was before. */
int bh_timeline_quicken(struct bh_timeline *timeline, int is_quick);
/* Asks the poll function now and then; non-zero: stop. */
int bh_timeline_poll(struct bh_timeline *timeline);
void bh_timeline_dismiss_scout(struct bh_timeline *timeline);
/* How far apart checkpoints are to be here, as BH_CHECKPOINT_RUN_NS says. faults: since the last.
 */
uint64_t bh_timeline_spacing(uint64_t cost_ns, uint64_t faults);
/* History ends where the replay leaves the trace: there the first event differs or is missing. Its
 * number; 0: copy didn't leave it. */
uint64_t bh_timeline_diverges(struct bh_timeline *timeline, struct bh_copy *copy);
/* Is the last snapshot before position, number_ret, much nearer than the last checkpoint? */
int bh_timeline_wants_snapshot(const struct bh_timeline *timeline, struct bh_position position,
			       size_t *number_ret);
/* Makes a checkpoint of that one, if so. One that can't be restored is none. */
struct bh_error *bh_timeline_use_snapshot(struct bh_timeline *timeline,
					  struct bh_position position);
/* Makes copy the current one and destroys the former. */
void bh_timeline_set_current(struct bh_timeline *timeline, struct bh_copy *copy);
/* Here current's way has a checkpoint. */
void bh_timeline_set_base(struct bh_timeline *timeline);
/* Makes a fork of the checkpoint the current copy. */
struct bh_error *bh_timeline_restore(struct bh_timeline *timeline, struct bh_copy *checkpoint);
/* Leaves a checkpoint here if the way here from the last one cost more than limit_ns. */
struct bh_error *bh_timeline_checkpoint(struct bh_timeline *timeline, uint64_t limit_ns);
/* The same where the run has just come to an event, as often as the above says. */
struct bh_error *bh_timeline_checkpoint_run(struct bh_timeline *timeline);
/* The next event to stop at on the way to target, so that a slice takes about BH_SLICE_NS. */
uint64_t bh_timeline_slice(const struct bh_timeline *timeline, uint64_t target);
/* After a run of some events that took ns. */
void bh_timeline_learn(struct bh_timeline *timeline, uint64_t events, uint64_t ns);
/* What an end that isn't the one hoped for means. */
enum bh_arrival bh_timeline_arrival(struct bh_timeline *timeline, const struct bh_end *end);

/* Brings current, at an exact position, to the beginning of a later event. */
struct bh_error *bh_timeline_to_event(struct bh_timeline *timeline, uint64_t event,
				      enum bh_arrival *arrival_ret);
/* Steps may be taken many at a time, but not beyond these. */
struct bh_stride {
	uint64_t instruction; /* of the tick; 0: any */
	uint64_t address;     /* 0: none */
};

/* Steps while keep_on returns non-zero (asked before each step), leaving checkpoints; one by
 * one if stride is NULL. */
struct bh_error *bh_timeline_step_while(struct bh_timeline *timeline,
					int (*keep_on)(void *arg, struct bh_timeline *timeline,
						       unsigned int watch_hits),
					void *arg, const struct bh_limits *limits,
					const struct bh_stride *stride,
					enum bh_arrival *arrival_ret);

#endif
