/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of a process's mapped ranges (posix/regions.c) against a plain array of pages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/internal.h"

#define PAGES 256
#define STEPS 100000

static struct bh_input files[2];

/* What a page has: 0 nothing, else protection + 1 and a file with an offset. */
static struct page {
	int prot;
	const struct bh_input *file;
	uint64_t offset;
} pages[PAGES];

static uint64_t state = 1;

static unsigned int pick(unsigned int limit)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)((state >> 33) % limit);
}

static uint64_t address(unsigned int page)
{
	return 0x10000 + page * BH_PAGE_SIZE;
}

static void change_one(struct bh_mm *mm, unsigned int first, unsigned int end)
{
	int prot = 1 + (int)pick(3);

	switch (pick(3)) {
	case 0: {
		const struct bh_input *file = pick(2) ? &files[pick(2)] : NULL;
		uint64_t offset = file ? address(pick(4)) : 0;
		struct bh_region region = {.start = address(first),
					   .end = address(end),
					   .prot = prot,
					   .file = file,
					   .offset = offset};

		bh_regions_remove(mm, region.start, region.end);
		bh_regions_insert(mm, &region);
		for (unsigned int i = first; i < end; i++)
			pages[i] = (struct page){prot, file,
						 file ? offset + address(i) - address(first) : 0};
		break;
	}
	case 1:
		bh_regions_remove(mm, address(first), address(end));
		memset(&pages[first], 0, (end - first) * sizeof(*pages));
		break;
	default:
		bh_regions_protect(mm, address(first), address(end), prot);
		for (unsigned int i = first; i < end; i++)
			if (pages[i].prot)
				pages[i].prot = prot;
	}
}

static int is_page_right(const struct bh_mm *mm, unsigned int i)
{
	const struct bh_region *region = bh_regions_at(mm, address(i));

	if (!region || !pages[i].prot)
		return !region && !pages[i].prot;
	return region->prot == pages[i].prot && region->file == pages[i].file &&
	       (!region->file || region->offset + (address(i) - region->start) == pages[i].offset);
}

static int is_range_right(const struct bh_mm *mm, unsigned int first, unsigned int end)
{
	int is_free = 1, is_covered = 1;

	for (unsigned int i = first; i < end; i++) {
		is_free &= !pages[i].prot;
		is_covered &= pages[i].prot != 0;
	}
	return is_free == bh_regions_is_free(mm, address(first), address(end)) &&
	       is_covered == bh_regions_is_covered(mm, address(first), address(end));
}

/* The highest free range of length pages in [first, end). */
static uint64_t find_gap(unsigned int length, unsigned int first, unsigned int end)
{
	for (unsigned int start = end - length; start + 1 > first; start--) {
		unsigned int i = start;

		while (i < start + length && !pages[i].prot)
			i++;
		if (i == start + length)
			return address(start);
		if (!start)
			break;
	}
	return 0;
}

static int is_list_right(const struct bh_mm *mm)
{
	for (unsigned int i = 0; i < PAGES; i++)
		if (!is_page_right(mm, i))
			return 0;
	for (size_t i = 0; i < mm->region_count; i++)
		if (mm->regions[i].start >= mm->regions[i].end ||
		    (i && mm->regions[i - 1].end > mm->regions[i].start))
			return 0;
	return 1;
}

int main(void)
{
	struct bh_mm mm = {0};
	int lists = 1, ranges = 1, gaps = 1;

	for (int step = 0; step < STEPS; step++) {
		unsigned int first = pick(PAGES - 1), end = first + 1 + pick(PAGES - first - 1) / 4;
		unsigned int length = 1 + pick(8);

		change_one(&mm, first, end);
		if (step % 50 == 0)
			lists &= is_list_right(&mm);
		first = pick(PAGES / 2);
		end = first + length + pick(PAGES / 2 - length);
		ranges &= is_range_right(&mm, first, first + length);
		gaps &= find_gap(length, first, end) ==
			bh_regions_gap(&mm, length * BH_PAGE_SIZE, address(first), address(end));
	}
	printf("%sok 1 - after each change every page has what it should\n", lists ? "" : "not ");
	printf("%sok 2 - free and covered ranges\n", ranges ? "" : "not ");
	printf("%sok 3 - the highest gap\n", gaps ? "" : "not ");
	printf("1..3\n");
	free(mm.regions);
	return !(lists && ranges && gaps);
}
