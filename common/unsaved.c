/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that snapshots leave out: see unsaved.h. Called by traces/ and snapshots/. */
#include "common/unsaved.h"

#include <stdint.h>
#include <sys/mman.h>

/* In front of each block: the list of all. */
struct head {
	struct head *next;
	size_t size; /* with the head */
};

#define HEAD_BYTES 64u /* a line of the cache, so that the block begins with one */

static struct head *first;

void *bh_unsaved_alloc(size_t size)
{
	size_t whole = (size + HEAD_BYTES + 4095) & ~(size_t)4095;
	struct head *head =
		mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (head == MAP_FAILED)
		return NULL;
	madvise(head, whole, MADV_DONTFORK);
	head->next = first;
	head->size = whole;
	first = head;
	return (uint8_t *)head + HEAD_BYTES;
}

void bh_unsaved_free(void *block)
{
	struct head *head = block ? (struct head *)((uint8_t *)block - HEAD_BYTES) : NULL;
	struct head **link = &first;

	if (!head)
		return;
	while (*link != head)
		link = &(*link)->next;
	*link = head->next;
	munmap(head, head->size);
}

const void *bh_unsaved_block(size_t number, size_t *size_ret)
{
	const struct head *head = first;

	while (head && number--)
		head = head->next;
	if (!head)
		return NULL;
	*size_ret = head->size;
	return head;
}
