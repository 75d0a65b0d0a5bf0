/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of what a process has mapped: sorted, disjoint ranges in an array. Nothing here touches
 * memory; memory.c, exec.c and residence.c do, by this list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "posix/internal.h"

size_t bh_regions_find(const struct bh_mm *mm, uint64_t address)
{
	size_t low = 0, high = mm->region_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (mm->regions[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct bh_region *bh_regions_at(const struct bh_mm *mm, uint64_t address)
{
	size_t i = bh_regions_find(mm, address);

	return i < mm->region_count && mm->regions[i].start <= address ? &mm->regions[i] : NULL;
}

int bh_regions_is_free(const struct bh_mm *mm, uint64_t start, uint64_t end)
{
	size_t i = bh_regions_find(mm, start);

	return i == mm->region_count || mm->regions[i].start >= end;
}

int bh_regions_is_covered(const struct bh_mm *mm, uint64_t start, uint64_t end)
{
	for (size_t i = bh_regions_find(mm, start); start < end; i++) {
		if (i == mm->region_count || mm->regions[i].start > start)
			return 0;
		start = mm->regions[i].end;
	}
	return 1;
}

static int make_room(struct bh_mm *mm, size_t more)
{
	size_t capacity = mm->region_capacity ? mm->region_capacity * 2 : 64;
	struct bh_region *regions;

	if (mm->region_count + more <= mm->region_capacity)
		return 0;
	regions = realloc(mm->regions, capacity * sizeof(*regions));
	if (!regions)
		return -ENOMEM;
	mm->regions = regions;
	mm->region_capacity = capacity;
	return 0;
}

static void insert_at(struct bh_mm *mm, size_t index, const struct bh_region *region)
{
	bh_shared_keep(region->shared);
	memmove(&mm->regions[index + 1], &mm->regions[index],
		(mm->region_count - index) * sizeof(*mm->regions));
	mm->regions[index] = *region;
	mm->region_count++;
}

static void remove_at(struct bh_mm *mm, size_t index)
{
	struct bh_shared *shared = mm->regions[index].shared;

	mm->region_count--;
	memmove(&mm->regions[index], &mm->regions[index + 1],
		(mm->region_count - index) * sizeof(*mm->regions));
	bh_shared_release(shared);
}

static int can_join(const struct bh_region *low, const struct bh_region *high)
{
	return low->end == high->start && low->prot == high->prot && low->file == high->file &&
	       low->shared == high->shared && low->text == high->text &&
	       (!low->text || low->text_offset + (low->end - low->start) == high->text_offset) &&
	       (!low->file || low->offset + (low->end - low->start) == high->offset);
}

/* Joins the region at index with the one before it, if they are of one kind. */
static void join_before(struct bh_mm *mm, size_t index)
{
	if (index == 0 || index >= mm->region_count ||
	    !can_join(&mm->regions[index - 1], &mm->regions[index]))
		return;
	mm->regions[index - 1].end = mm->regions[index].end;
	remove_at(mm, index);
}

int bh_regions_insert(struct bh_mm *mm, const struct bh_region *region)
{
	size_t index = bh_regions_find(mm, region->start);

	if (make_room(mm, 1))
		return -ENOMEM;
	insert_at(mm, index, region);
	join_before(mm, index + 1);
	join_before(mm, index);
	return 0;
}

/* Afterwards address is no inner point of a region. There is room for one more. */
static void split_at(struct bh_mm *mm, uint64_t address)
{
	size_t index = bh_regions_find(mm, address);
	struct bh_region high;

	if (index == mm->region_count || mm->regions[index].start >= address)
		return;
	high = mm->regions[index];
	high.start = address;
	if (high.file)
		high.offset += address - mm->regions[index].start;
	if (high.text)
		high.text_offset += address - mm->regions[index].start;
	mm->regions[index].end = address;
	insert_at(mm, index + 1, &high);
}

int bh_regions_remove(struct bh_mm *mm, uint64_t start, uint64_t end)
{
	size_t index;

	if (make_room(mm, 2))
		return -ENOMEM;
	split_at(mm, start);
	split_at(mm, end);
	index = bh_regions_find(mm, start);
	while (index < mm->region_count && mm->regions[index].start < end)
		remove_at(mm, index);
	return 0;
}

int bh_regions_protect(struct bh_mm *mm, uint64_t start, uint64_t end, int prot)
{
	size_t index;

	if (make_room(mm, 2))
		return -ENOMEM;
	split_at(mm, start);
	split_at(mm, end);
	for (index = bh_regions_find(mm, start);
	     index < mm->region_count && mm->regions[index].start < end; index++)
		mm->regions[index].prot = prot;
	for (index = bh_regions_find(mm, end); index + 1 > bh_regions_find(mm, start); index--) {
		join_before(mm, index);
		if (index == 0)
			break;
	}
	return 0;
}

int bh_regions_set_text(struct bh_mm *mm, uint64_t start, uint64_t end, const struct bh_text *text,
			uint64_t text_offset, int is_kept)
{
	size_t index;

	if (make_room(mm, 2))
		return -ENOMEM;
	split_at(mm, start);
	split_at(mm, end);
	for (index = bh_regions_find(mm, start);
	     index < mm->region_count && mm->regions[index].start < end; index++) {
		struct bh_region *region = &mm->regions[index];

		region->text = text;
		region->text_offset = text_offset + (region->start - start);
		region->is_kept_text = is_kept;
	}
	return 0;
}

uint64_t bh_regions_gap(const struct bh_mm *mm, uint64_t length, uint64_t low, uint64_t high)
{
	size_t index = bh_regions_find(mm, high - 1);
	uint64_t end = high;

	if (index < mm->region_count && mm->regions[index].start < end)
		end = mm->regions[index].start;
	while (end >= low && end - low >= length) {
		uint64_t start = index ? mm->regions[index - 1].end : 0;

		if (start < low)
			start = low;
		if (end >= start && end - start >= length)
			return end - length;
		if (!index)
			return 0;
		end = mm->regions[--index].start;
	}
	return 0;
}

void bh_regions_destroy(struct bh_mm *mm)
{
	while (mm->region_count)
		remove_at(mm, mm->region_count - 1);
	free(mm->regions);
}
