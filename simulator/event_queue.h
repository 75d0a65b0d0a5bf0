/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens next: a binary heap over a fixed set of slots, each of which is either empty or has
 * one time. A slot is a node's timer, a node's next program start, or the first frame on one
 * direction of a link (the frames behind it come later, so they needn't be in the heap). The order
 * is total: time, then the sequence number of scheduling. Used by simulator/sim.c.
 */
#ifndef BH_SIMULATOR_EVENT_QUEUE_H
#define BH_SIMULATOR_EVENT_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#define BH_NO_SLOT SIZE_MAX

struct bh_event_queue;

/* NULL when out of memory; nothing is allocated later. */
struct bh_event_queue *bh_event_queue_create(size_t slot_count);
/* Takes NULL. */
void bh_event_queue_destroy(struct bh_event_queue *queue);

/* Gives the slot this time, in place of the one it had. No two filled slots have the same
 * sequence. */
void bh_event_queue_set(struct bh_event_queue *queue, size_t slot, uint64_t time_ns,
			uint64_t sequence);
/* Empties the slot; it may be empty already. */
void bh_event_queue_clear(struct bh_event_queue *queue, size_t slot);
/* The first slot in order, which stays filled; BH_NO_SLOT if all are empty. */
size_t bh_event_queue_first(const struct bh_event_queue *queue, uint64_t *time_ns_ret);

#endif
