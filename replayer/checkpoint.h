/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pool of checkpoints: copies that stand still, in the order of their positions. Their number
 * is bounded; when there are too many, the one goes whose loss costs least: dense around the place
 * where the user is, thinned exponentially with distance. The first one never goes. Called by
 * timeline.c.
 */
#ifndef BH_REPLAYER_CHECKPOINT_H
#define BH_REPLAYER_CHECKPOINT_H

#include "replayer/copy.h"

#define BH_CHECKPOINTS_MAX 32

struct bh_checkpoints {
	struct bh_copy *copies[BH_CHECKPOINTS_MAX + 1];
	size_t count;
};

/* Forks copy, which must be exact, and keeps the fork, unless there is one at this position. */
struct bh_error *bh_checkpoints_add(struct bh_checkpoints *checkpoints, struct bh_copy *copy);
/* The last one at or before position, or strictly before it; NULL if there is none. */
struct bh_copy *bh_checkpoints_find(const struct bh_checkpoints *checkpoints,
				    struct bh_position position, int is_strict);
void bh_checkpoints_clear(struct bh_checkpoints *checkpoints);

#endif
