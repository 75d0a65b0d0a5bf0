/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What search.c, search_piece.c and search_hit.c share; nobody else's business. */
#ifndef BH_REPLAYER_SEARCH_INTERNAL_H
#define BH_REPLAYER_SEARCH_INTERNAL_H

#include "replayer/timeline.h"
#include "replayer/timeline_internal.h"

struct bh_search_hit {
	struct bh_position anchor;
	int is_exact;	  /* anchor is the hit itself */
	int skip_start;	  /* what is at the anchor is not counted */
	uint64_t address; /* 0: watchpoint */
	unsigned int watch_hits;
	uint64_t ordinal; /* from 1 */
};

/* One run over a piece of history. */
struct bh_search_piece {
	struct bh_timeline *timeline;
	const struct bh_search *search;
	int wants_last; /* else the first hit ends it */
	struct bh_position anchor;
	int skip_start;		  /* of the anchor */
	int skip_planted;	  /* of the next run */
	struct bh_position start; /* of this piece */
	uint64_t *ordinals;	  /* by address, then one for the watchpoints */
	uint64_t *planted;	  /* room for the addresses and one more */
	struct bh_search_hit hit;
	int has_hit;
	enum bh_arrival arrival;
	int is_running; /* current runs already, with these limits: bh_search_send() */
	struct bh_limits running;
};

/* Lets a copy at the beginning of an event run, as current will in bh_search_run(), to its first
 * stop or to limits->stop_event. The rest of limits is set. */
struct bh_error *bh_search_send(struct bh_search_piece *piece, struct bh_copy *copy,
				struct bh_limits *limits);
/* Runs current from where it is up to limit: sets arrival, has_hit and hit. */
struct bh_error *bh_search_run(struct bh_search_piece *piece, struct bh_position limit);

/* Brings current to the piece's hit; for a watchpoint, behind the access or (before_access) before
 * it. */
struct bh_error *bh_search_resolve(const struct bh_search_piece *piece, int before_access,
				   enum bh_arrival *arrival_ret);

#endif
