/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames, from pools so that a hop costs no allocation: see link.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "simulator/link.h"

/* A small frame, an ordinary one, the largest. */
static const struct {
	uint32_t bytes, per_slab;
} size_classes[BH_FRAME_CLASS_COUNT] = {{192, 256}, {1536, 64}, {BH_FRAME_LENGTH_MAX, 4}};

/* Addresses are reserved by so much, and memory used as slabs come. Few areas hold all frames. */
#define AREA_BYTES (32ul << 20)
#define PAGE	   4096ul

/* In front of an area and behind it is a page without access, so that nothing else's mapping
 * becomes one with its. */
struct bh_frame_area {
	struct bh_frame_area *next;
	unsigned char *start;
	size_t used;
};

struct bh_frame_slab {
	struct bh_frame *frames;
	unsigned char *data;
	size_t size; /* of the data */
	uint32_t in_use, side;
};

static struct bh_frame_area *area_create(void)
{
	struct bh_frame_area *area = calloc(1, sizeof(*area));
	unsigned char *start = mmap(NULL, AREA_BYTES + 2 * PAGE, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area && start != MAP_FAILED &&
	    !mprotect(start + PAGE, AREA_BYTES, PROT_READ | PROT_WRITE)) {
		area->start = start + PAGE;
		madvise(area->start, AREA_BYTES, MADV_HUGEPAGE);
		return area;
	}
	if (start != MAP_FAILED)
		munmap(start, AREA_BYTES + 2 * PAGE);
	free(area);
	return NULL;
}

/* size: whole pages. */
static unsigned char *area_take(struct bh_frame_pool *pool, size_t size)
{
	struct bh_frame_area **at = &pool->areas;

	while (*at && AREA_BYTES - (*at)->used < size)
		at = &(*at)->next;
	if (!*at)
		*at = area_create();
	if (!*at)
		return NULL;
	unsigned char *data = (*at)->start + (*at)->used;

	(*at)->used += size;
	return data;
}

static struct bh_frame_slab *add_slab(struct bh_frame_pool *pool)
{
	if (pool->slab_count == pool->slab_room) {
		uint32_t room = 2 * pool->slab_room + 16;
		struct bh_frame_slab *grown = realloc(pool->slabs, room * sizeof(*grown));

		if (!grown)
			return NULL;
		pool->slabs = grown;
		pool->slab_room = room;
	}
	return &pool->slabs[pool->slab_count];
}

static int pool_grow(struct bh_frame_pool *pool, unsigned int size_class)
{
	size_t stride = (size_classes[size_class].bytes + 63) / 64 * 64;
	uint32_t count = size_classes[size_class].per_slab;
	struct bh_frame_slab *slab = add_slab(pool);

	if (!slab)
		return 0;
	slab->size = (count * stride + PAGE - 1) & ~(PAGE - 1);
	slab->frames = aligned_alloc(64, (count * sizeof(*slab->frames) + 63) / 64 * 64);
	slab->data = slab->frames ? area_take(pool, slab->size) : NULL;
	if (!slab->data) {
		free(slab->frames);
		return 0;
	}
	slab->in_use = 0;
	slab->side = pool->side;
	for (uint32_t i = 0; i < count; i++) {
		struct bh_frame *frame = &slab->frames[i];

		frame->size_class = (uint8_t)size_class;
		frame->slab = pool->slab_count;
		frame->data = slab->data + i * stride;
		frame->next = pool->free[pool->side][size_class];
		pool->free[pool->side][size_class] = frame;
	}
	pool->slab_count++;
	return 1;
}

void bh_frame_pool_destroy(struct bh_frame_pool *pool)
{
	for (uint32_t i = 0; i < pool->slab_count; i++)
		free(pool->slabs[i].frames);
	free(pool->slabs);
	while (pool->areas) {
		struct bh_frame_area *area = pool->areas;

		pool->areas = area->next;
		munmap(area->start - PAGE, AREA_BYTES + 2 * PAGE);
		free(area);
	}
	memset(pool, 0, sizeof(*pool));
}

struct bh_frame *bh_frame_reserve(struct bh_frame_pool *pool, size_t length)
{
	unsigned int size_class = 0;

	assert(length <= BH_FRAME_LENGTH_MAX);
	while (length > size_classes[size_class].bytes)
		size_class++;

	struct bh_frame **free = &pool->free[pool->side][size_class];

	if (!*free && !pool_grow(pool, size_class))
		return NULL;

	struct bh_frame *frame = *free;

	*free = frame->next;
	pool->slabs[frame->slab].in_use++;
	*frame = (struct bh_frame){
		.data = frame->data,
		.length = (uint32_t)length,
		.slab = frame->slab,
		.generation = pool->generation,
		.size_class = (uint8_t)size_class,
	};
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

static int is_frozen(const struct bh_frame_pool *pool, const struct bh_frame *frame)
{
	return pool->is_frozen && frame->generation != pool->generation;
}

void bh_frame_release(struct bh_frame_pool *pool, struct bh_frame *frame)
{
	if (is_frozen(pool, frame)) {
		bh_frame_list_append(&pool->released, frame);
		return;
	}
	struct bh_frame_slab *slab = &pool->slabs[frame->slab];
	struct bh_frame **free = &pool->free[slab->side][frame->size_class];

	slab->in_use--;
	frame->next = *free;
	*free = frame;
}

struct bh_frame *bh_frame_make_writable(struct bh_frame_pool *pool, struct bh_frame *frame)
{
	if (!is_frozen(pool, frame))
		return frame;
	struct bh_frame *copy = bh_frame_copy(pool, frame);

	if (copy)
		bh_frame_release(pool, frame);
	return copy;
}

/* --- frozen --- */

struct bh_frame_memory bh_frame_pool_unused(struct bh_frame_pool *pool, size_t number, size_t size)
{
	struct bh_frame_area **at = &pool->areas;

	while (*at && number--)
		at = &(*at)->next;
	if (!*at)
		*at = area_create();
	if (!*at)
		return (struct bh_frame_memory){NULL, 0};
	size_t left = AREA_BYTES - (*at)->used;

	return (struct bh_frame_memory){(*at)->start + (*at)->used, size < left ? size : left};
}

void bh_frame_pool_freeze(struct bh_frame_pool *pool)
{
	pool->generation++;
	pool->is_frozen = 1;
	pool->side ^= 1;
}

void bh_frame_pool_thaw(struct bh_frame_pool *pool)
{
	struct bh_frame *frame;

	pool->is_frozen = 0;
	while ((frame = bh_frame_list_take(&pool->released)))
		bh_frame_release(pool, frame);
}

struct bh_frame_memory bh_frame_pool_area(const struct bh_frame_pool *pool, size_t number)
{
	const struct bh_frame_area *area = pool->areas;

	while (area && number--)
		area = area->next;
	return area ? (struct bh_frame_memory){area->start, AREA_BYTES}
		    : (struct bh_frame_memory){NULL, 0};
}

struct bh_frame_memory bh_frame_pool_part(const struct bh_frame_pool *pool, uint32_t *slab_io)
{
	struct bh_frame_memory part = {NULL, 0};

	for (; *slab_io < pool->slab_count; ++*slab_io) {
		const struct bh_frame_slab *slab = &pool->slabs[*slab_io];

		if (!slab->in_use)
			continue;
		if (part.size && part.start + part.size != slab->data)
			break;
		if (!part.size)
			part.start = slab->data;
		part.size += slab->size;
	}
	return part;
}

/* --- lists --- */

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
