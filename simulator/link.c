/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames and links: see link.h. */
#include "simulator/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000u

/* A small frame, an ordinary one, the largest. */
static const struct {
	uint32_t bytes, per_slab;
} size_classes[BH_FRAME_CLASS_COUNT] = {{192, 256}, {2048, 64}, {BH_FRAME_LENGTH_MAX, 4}};

struct bh_frame_slab {
	struct bh_frame_slab *next;
	_Alignas(64) unsigned char bytes[];
};

static size_t frame_stride(unsigned int size_class)
{
	return (sizeof(struct bh_frame) + size_classes[size_class].bytes + 63) / 64 * 64;
}

static int pool_grow(struct bh_frame_pool *pool, unsigned int size_class)
{
	size_t stride = frame_stride(size_class), count = size_classes[size_class].per_slab;
	struct bh_frame_slab *slab =
		aligned_alloc(64, (sizeof(*slab) + count * stride + 63) / 64 * 64);

	if (!slab)
		return 0;
	slab->next = pool->slabs;
	pool->slabs = slab;
	for (size_t i = 0; i < count; i++) {
		struct bh_frame *frame = (struct bh_frame *)(slab->bytes + i * stride);

		frame->size_class = (uint8_t)size_class;
		bh_frame_release(pool, frame);
	}
	return 1;
}

void bh_frame_pool_destroy(struct bh_frame_pool *pool)
{
	while (pool->slabs) {
		struct bh_frame_slab *slab = pool->slabs;

		pool->slabs = slab->next;
		free(slab);
	}
	memset(pool, 0, sizeof(*pool));
}

struct bh_frame *bh_frame_create(struct bh_frame_pool *pool, const void *data, size_t length)
{
	unsigned int size_class = 0;

	assert(length <= BH_FRAME_LENGTH_MAX);
	while (length > size_classes[size_class].bytes)
		size_class++;
	if (!pool->free[size_class] && !pool_grow(pool, size_class))
		return NULL;

	struct bh_frame *frame = pool->free[size_class];

	pool->free[size_class] = frame->next;
	memset(frame, 0, sizeof(*frame));
	frame->size_class = (uint8_t)size_class;
	frame->length = (uint32_t)length;
	memcpy(frame->data, data, length);
	return frame;
}

void bh_frame_release(struct bh_frame_pool *pool, struct bh_frame *frame)
{
	frame->next = pool->free[frame->size_class];
	pool->free[frame->size_class] = frame;
}

/* Frames that have begun by now_ns don't wait any more. */
static void advance_waiting(struct bh_link_direction *direction, uint64_t now_ns)
{
	while (direction->waiting && direction->waiting->start_ns <= now_ns) {
		direction->waiting = direction->waiting->next;
		direction->waiting_count--;
	}
}

static void release_first(struct bh_link_direction *direction, struct bh_frame_pool *pool)
{
	struct bh_frame *frame = direction->first;

	direction->first = frame->next;
	if (!direction->first)
		direction->last = NULL;
	bh_frame_release(pool, frame);
}

/*
 * Sets when the frame begins and arrives. Bits are counted exactly: the part of a nanosecond by
 * which a frame ends later than busy_until_ns is carried to the next one in busy_remainder.
 */
static void occupy_wire(struct bh_link_direction *direction, struct bh_frame *frame,
			uint64_t now_ns)
{
	frame->start_ns = now_ns;
	frame->arrival_ns = now_ns + direction->delay_ns;
	if (direction->rate_bps == 0)
		return;
	if (direction->busy_until_ns < now_ns) {
		direction->busy_until_ns = now_ns;
		direction->busy_remainder = 0;
	}
	frame->start_ns = direction->busy_until_ns;
	/* At most 65600 * 8 * 10^9 and a remainder below 10^15: far from 2^64. */
	uint64_t bits_by_ns = (uint64_t)frame->length * 8 * NS_PER_S + direction->busy_remainder;

	direction->busy_until_ns += bits_by_ns / direction->rate_bps;
	direction->busy_remainder = bits_by_ns % direction->rate_bps;
	frame->arrival_ns =
		direction->busy_until_ns + (direction->busy_remainder > 0) + direction->delay_ns;
}

enum bh_loss_reason bh_link_send(struct bh_link_direction *direction, struct bh_frame_pool *pool,
				 struct bh_frame *frame, uint64_t now_ns)
{
	advance_waiting(direction, now_ns);
	while (direction->first && direction->first->is_lost &&
	       direction->first->start_ns <= now_ns)
		release_first(direction, pool);
	if (direction->rate_bps > 0 && direction->busy_until_ns > now_ns &&
	    direction->waiting_count >= direction->queue_frames) {
		bh_frame_release(pool, frame);
		return BH_LOSS_QUEUE;
	}
	occupy_wire(direction, frame, now_ns);
	frame->is_lost = direction->loss_ppb > 0 &&
			 bh_rng_below(&direction->rng, NS_PER_S) < direction->loss_ppb;
	frame->next = NULL;
	if (direction->last)
		direction->last->next = frame;
	else
		direction->first = frame;
	direction->last = frame;
	if (frame->start_ns > now_ns && direction->waiting_count++ == 0)
		direction->waiting = frame;
	if (frame->is_lost)
		return BH_LOSS_RANDOM;
	if (!direction->first_alive)
		direction->first_alive = frame;
	return BH_LOSS_NONE;
}

struct bh_frame *bh_link_first(const struct bh_link_direction *direction)
{
	return direction->first_alive;
}

struct bh_frame *bh_link_receive(struct bh_link_direction *direction, struct bh_frame_pool *pool)
{
	struct bh_frame *frame = direction->first_alive;

	assert(frame);
	advance_waiting(direction, frame->arrival_ns);
	while (direction->first != frame)
		release_first(direction, pool);
	direction->first = frame->next;
	if (!direction->first)
		direction->last = NULL;
	do {
		direction->first_alive = direction->first_alive->next;
	} while (direction->first_alive && direction->first_alive->is_lost);
	frame->next = NULL;
	return frame;
}

void bh_link_clear(struct bh_link_direction *direction, struct bh_frame_pool *pool)
{
	while (direction->first)
		release_first(direction, pool);
	direction->first_alive = NULL;
	direction->waiting = NULL;
	direction->waiting_count = 0;
}
