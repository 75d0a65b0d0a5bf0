/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A feed: the course of one node of a run, and all that came to it from outside, so that the node
 * can run again without the others (sim_alone.c). replayer/node_feed.c writes it while the whole
 * runs; the simulator takes from it what the other nodes would have given, and replayer/rerun.c
 * compares with it.
 *
 * A feed is a sequence of records, each a type (u8) and varints:
 *
 * VALUE: a number that the run gave the node and that depends on the others, in the order in which
 * it got them: see bh_sim_outside().
 *
 * FRAME: length and bytes of the frame of the RX event that comes next.
 *
 * EVENT: kind, what its number and its time are more than those of the one before, cause, packet,
 * value, hash, node + 1 (0: none), device + 1, hop, length. All events of the node, and last the
 * one that ended the recording, whosever it is.
 */
#ifndef BH_SIMULATOR_FEED_H
#define BH_SIMULATOR_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "common/cursor.h"
#include "common/error.h"
#include "common/event.h"

struct bh_feed;

struct bh_fed_event {
	struct bh_event event;
	const uint8_t *frame; /* of an RX, event.length bytes; or NULL */
	int is_last;
};

/* --- writing; may be called inside a node: it only appends --- */

struct bh_feed_writer {
	struct bh_buffer *buffer;
	uint64_t event, vtime_ns; /* of the event before */
};

void bh_feed_write_value(struct bh_feed_writer *writer, uint64_t value);
void bh_feed_write_frame(struct bh_feed_writer *writer, const void *data, size_t length);
void bh_feed_write_event(struct bh_feed_writer *writer, const struct bh_event *event);

/* --- reading --- */

/* Checks all of it, whoever made it. bytes must outlive the feed. */
struct bh_error *bh_feed_open(const void *bytes, size_t length, uint32_t node,
			      struct bh_feed **feed_ret);
/* Takes NULL. */
void bh_feed_close(struct bh_feed *feed);

uint32_t bh_feed_node(const struct bh_feed *feed);
/* The event that comes next; NULL: the last one has begun. */
const struct bh_fed_event *bh_feed_next(const struct bh_feed *feed);
/* The one that has begun last; NULL: none has, or more have than were recorded. */
const struct bh_fed_event *bh_feed_now(const struct bh_feed *feed);
/* The next one begins. Values before it that nobody took are passed. */
void bh_feed_advance(struct bh_feed *feed);
/* The next value before the next event; if there is none, the one given. */
uint64_t bh_feed_value(struct bh_feed *feed, uint64_t otherwise);

/* Numbers of the events, ascending; wherever the feed is. */
const uint64_t *bh_feed_numbers(const struct bh_feed *feed, size_t *count_ret);

#endif
