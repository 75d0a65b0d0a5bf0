/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The indexed heap: see event_queue.h. */
#include "simulator/event_queue.h"

#include <assert.h>
#include <stdlib.h>

struct entry {
	uint64_t time_ns;
	uint64_t sequence;
	size_t slot;
};

struct bh_event_queue {
	size_t slot_count, length;
	size_t *index_of;   /* slot -> index in heap, BH_NO_SLOT if empty */
	struct entry *heap; /* of slot_count entries; heap[0] comes first */
};

struct bh_event_queue *bh_event_queue_create(size_t slot_count)
{
	struct bh_event_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->slot_count = slot_count;
	queue->index_of = calloc(slot_count + 1, sizeof(*queue->index_of));
	queue->heap = calloc(slot_count + 1, sizeof(*queue->heap));
	if (!queue->index_of || !queue->heap) {
		bh_event_queue_destroy(queue);
		return NULL;
	}
	for (size_t slot = 0; slot < slot_count; slot++)
		queue->index_of[slot] = BH_NO_SLOT;
	return queue;
}

void bh_event_queue_destroy(struct bh_event_queue *queue)
{
	if (!queue)
		return;
	free(queue->index_of);
	free(queue->heap);
	free(queue);
}

static int comes_before(const struct entry *a, const struct entry *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->sequence < b->sequence;
}

static void place(struct bh_event_queue *queue, size_t index, const struct entry *entry)
{
	queue->heap[index] = *entry;
	queue->index_of[entry->slot] = index;
}

/* Puts entry where it belongs, starting from the hole at index. */
static void sift(struct bh_event_queue *queue, size_t index, struct entry entry)
{
	while (index > 0 && comes_before(&entry, &queue->heap[(index - 1) / 2])) {
		place(queue, index, &queue->heap[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * index + 1;

		if (child + 1 < queue->length &&
		    comes_before(&queue->heap[child + 1], &queue->heap[child]))
			child++;
		if (child >= queue->length || !comes_before(&queue->heap[child], &entry))
			break;
		place(queue, index, &queue->heap[child]);
		index = child;
	}
	place(queue, index, &entry);
}

void bh_event_queue_set(struct bh_event_queue *queue, size_t slot, uint64_t time_ns,
			uint64_t sequence)
{
	assert(slot < queue->slot_count);
	size_t index = queue->index_of[slot];

	if (index == BH_NO_SLOT)
		index = queue->length++;
	sift(queue, index, (struct entry){time_ns, sequence, slot});
}

void bh_event_queue_clear(struct bh_event_queue *queue, size_t slot)
{
	assert(slot < queue->slot_count);
	size_t index = queue->index_of[slot];

	if (index == BH_NO_SLOT)
		return;
	queue->index_of[slot] = BH_NO_SLOT;
	queue->length--;
	if (index < queue->length)
		sift(queue, index, queue->heap[queue->length]);
}

size_t bh_event_queue_first(const struct bh_event_queue *queue, uint64_t *time_ns_ret)
{
	if (queue->length == 0)
		return BH_NO_SLOT;
	*time_ns_ret = queue->heap[0].time_ns;
	return queue->heap[0].slot;
}
