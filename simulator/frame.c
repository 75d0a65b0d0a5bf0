/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames, from pools so that a hop costs no allocation: see link.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "simulator/link.h"

/* A small frame, an ordinary one, the largest. */
static const struct {
	uint32_t bytes, per_slab;
} size_classes[BH_FRAME_CLASS_COUNT] = {{192, 256}, {1536, 64}, {BH_FRAME_LENGTH_MAX, 4}};

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

struct bh_frame *bh_frame_reserve(struct bh_frame_pool *pool, size_t length)
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
	return frame;
}

struct bh_frame *bh_frame_create(struct bh_frame_pool *pool, const void *data, size_t length)
{
	struct bh_frame *frame = bh_frame_reserve(pool, length);

	if (frame)
		memcpy(frame->data, data, length);
	return frame;
}

struct bh_frame *bh_frame_copy(struct bh_frame_pool *pool, const struct bh_frame *frame)
{
	struct bh_frame *copy = bh_frame_create(pool, frame->data, frame->length);

	if (!copy)
		return NULL;
	copy->queued_ns = frame->queued_ns;
	copy->sequence = frame->sequence;
	copy->cause = frame->cause;
	copy->packet = frame->packet;
	copy->hash = frame->hash;
	copy->hop = frame->hop;
	copy->is_damaged = frame->is_damaged;
	return copy;
}

void bh_frame_release(struct bh_frame_pool *pool, struct bh_frame *frame)
{
	frame->next = pool->free[frame->size_class];
	pool->free[frame->size_class] = frame;
}

void bh_frame_list_append(struct bh_frame_list *list, struct bh_frame *frame)
{
	frame->next = NULL;
	if (list->last)
		list->last->next = frame;
	else
		list->first = frame;
	list->last = frame;
}

struct bh_frame *bh_frame_list_take(struct bh_frame_list *list)
{
	struct bh_frame *frame = list->first;

	if (!frame)
		return NULL;
	list->first = frame->next;
	if (!list->first)
		list->last = NULL;
	frame->next = NULL;
	return frame;
}
