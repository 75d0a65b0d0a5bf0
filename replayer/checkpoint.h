/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pool of checkpoints: copies that stand still, in the order of their positions. Their number
 * is bounded, and so is the memory that they keep, to a quarter of the machine's; when there are
 * too many, the one goes whose loss costs least: dense around the place where the user is, thinned
 * exponentially with distance, but nowhere so thin that a way from the last one before would be
 * longer than a fair share of the run. The first one never goes. Called by timeline.c.
 */
#ifndef BH_REPLAYER_CHECKPOINT_H
#define BH_REPLAYER_CHECKPOINT_H

#include "replayer/copy.h"

#define BH_CHECKPOINTS_MAX 64

struct bh_checkpoints {
	struct bh_copy *copies[BH_CHECKPOINTS_MAX + 1];
	size_t count;
	uint64_t pages_max; /* of all together; 0: not known yet */
};

/* Forks copy, which must be exact, and keeps the fork, unless there is one at this position.
 * user_ns is the cost_ns of the place where the user is. */
struct bh_error *bh_checkpoints_add(struct bh_checkpoints *checkpoints, struct bh_copy *copy,
				    uint64_t user_ns);
/* The last one at or before position, or strictly before it; NULL if there is none. */
struct bh_copy *bh_checkpoints_find(const struct bh_checkpoints *checkpoints,
				    struct bh_position position, int is_strict);
void bh_checkpoints_clear(struct bh_checkpoints *checkpoints);

#endif
