/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one node of a recorded run got from outside, so that it can be replayed without the others
 * (simulator/feed.h). A trace doesn't hold it: the whole run is run again once, confined, and what
 * came of it is kept in a cache. Called by engine.c.
 */
#ifndef BH_REPLAYER_NODE_FEED_H
#define BH_REPLAYER_NODE_FEED_H

#include "replayer/engine.h"
#include "simulator/feed.h"
#include "traces/trace.h"

struct bh_node_feed;

/* From the cache, or by running the trace again; BH_ERR_DIVERGED if that differs from the trace. */
struct bh_error *bh_node_feed_create(const struct bh_trace *trace, uint32_t node,
				     const struct bh_replay_options *options,
				     struct bh_node_feed **feed_ret);
/* Takes NULL. */
void bh_node_feed_destroy(struct bh_node_feed *feed);

/* It belongs to feed. */
struct bh_feed *bh_node_feed_get(const struct bh_node_feed *feed);

#endif
