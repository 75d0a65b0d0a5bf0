/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several processes can see their memory at the same addresses: programs that aren't
 * position-independent all lie at the fixed addresses, and a forked child has its parent's arena.
 * One of them is resident; the memory of the others lies aside. When a task gets the CPU, its
 * process becomes resident: the pages are moved (mremap), nothing is copied.
 *
 * Called by tasks.c at each switch, and by memory.c. Everything else in posix/ may assume that the
 * current task's memory is where its program sees it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "posix/internal.h"

static int is_fixed(uint64_t address)
{
	return address < BH_FIXED_END;
}

static int is_resident(const struct bh_mm *mm, uint64_t address)
{
	const struct bh_posix_node *node = mm->node;

	return is_fixed(address) ? node->posix->fixed_resident == mm
				 : node->arenas[mm->window].resident == mm;
}

/* Where address lies when mm isn't resident. */
static uint64_t place_aside(const struct bh_mm *mm, uint64_t address)
{
	unsigned int slot = mm->aside == BH_NO_SLOT ? mm->window : mm->aside;
	uint64_t arena = bh_arena_address(mm->node, slot);

	return is_fixed(address) ? arena + BH_ARENA_ASIDE + address
				 : arena + (address - bh_mm_base(mm));
}

uint64_t bh_residence_place(const struct bh_mm *mm, uint64_t address)
{
	return is_resident(mm, address) ? address : place_aside(mm, address);
}

static void fail(const struct bh_mm *mm, uint64_t address)
{
	char text[160];
	int length = snprintf(text, sizeof(text),
			      "backhop: node %u: the host refused to move a program's memory at "
			      "0x%llx: %s\n",
			      mm->node->id, (unsigned long long)address, strerror(errno));

	if (write(STDERR_FILENO, text, (size_t)length) < 0)
		abort();
	abort();
}

static void move_range(const struct bh_mm *mm, uint64_t from, uint64_t to, uint64_t length)
{
	if (bh_memory_move(from, length, to))
		fail(mm, from);
}

static void move_all(const struct bh_mm *mm, int fixed, int to_aside)
{
	for (size_t i = 0; i < mm->region_count; i++) {
		const struct bh_region *region = &mm->regions[i];
		uint64_t aside = place_aside(mm, region->start);

		if (region->shared || is_fixed(region->start) != fixed)
			continue;
		move_range(mm, to_aside ? region->start : aside, to_aside ? aside : region->start,
			   region->end - region->start);
	}
}

static void enter_place(struct bh_mm *mm, struct bh_mm **resident, int fixed)
{
	if (*resident == mm)
		return;
	if (*resident)
		move_all(*resident, fixed, 1);
	move_all(mm, fixed, 0);
	*resident = mm;
}

void bh_residence_enter(struct bh_mm *mm)
{
	enter_place(mm, &mm->node->arenas[mm->window].resident, 0);
	if (mm->uses_fixed)
		enter_place(mm, &mm->node->posix->fixed_resident, 1);
}

void bh_residence_leave(struct bh_mm *mm)
{
	if (mm->node->arenas[mm->window].resident == mm)
		mm->node->arenas[mm->window].resident = NULL;
	if (mm->node->posix->fixed_resident == mm)
		mm->node->posix->fixed_resident = NULL;
}

/* --- fork --- */

/* Is the page at address as the file has it? Data that was relocated and then protected is not. */
static int is_as_in_file(const struct bh_region *region, uint64_t address)
{
	uint64_t offset = region->offset + (address - region->start);

	return region->file && offset + BH_PAGE_SIZE <= region->file->size &&
	       !memcmp((const void *)address, region->file->data + offset, BH_PAGE_SIZE);
}

static int is_zero(uint64_t address)
{
	const uint64_t *words = (const uint64_t *)address;

	for (size_t i = 0; i < BH_PAGE_SIZE / sizeof(*words); i++)
		if (words[i])
			return 0;
	return 1;
}

/* A fresh mapping of the region reads as zero, or as the file has it: then there is nothing to do.
 */
static void copy_page(const struct bh_region *region, uint64_t address, uint64_t to)
{
	if (region->is_kept_text ||
	    (region->file ? !is_as_in_file(region, address) : !is_zero(address)))
		memcpy((void *)(to + (address - region->start)), (const void *)address,
		       BH_PAGE_SIZE);
}

#define PAGES_AT_ONCE	512u
#define PAGEMAP_PRESENT (3ull << 62) /* in memory or swapped out */
#define PAGEMAP_FILE	(1ull << 61) /* the file's own page, so not written to */

/*
 * Looks up which pages were ever written to, so that the others need no reading. Not mincore(),
 * which says of a page that is swapped out that it isn't there: it would be lost, and the run would
 * depend on how much memory the host has. Without the host's answer every page is looked at.
 */
static void pages_look_up(int pagemap, uint64_t address, size_t count, uint64_t *entries_ret)
{
	size_t size = count * sizeof(*entries_ret);
	off_t offset = (off_t)(address / BH_PAGE_SIZE * sizeof(*entries_ret));

	if (pagemap < 0 || pread(pagemap, entries_ret, size, offset) != (ssize_t)size)
		for (size_t i = 0; i < count; i++)
			entries_ret[i] = PAGEMAP_PRESENT;
}

static void copy_pages(const struct bh_region *region, uint64_t to, int pagemap)
{
	uint64_t entries[PAGES_AT_ONCE];
	uint64_t address = region->start, end = region->end;

	/* Pages behind the end of a file can't be touched. */
	if (region->file) {
		uint64_t rest = region->file->size > region->offset
					? bh_page_up(region->file->size - region->offset)
					: 0;

		if (end > region->start + rest)
			end = region->start + rest;
	}
	while (address < end) {
		size_t count = (end - address) / BH_PAGE_SIZE;

		if (count > PAGES_AT_ONCE)
			count = PAGES_AT_ONCE;
		pages_look_up(pagemap, address, count, entries);
		for (size_t i = 0; i < count; i++, address += BH_PAGE_SIZE)
			if (entries[i] & PAGEMAP_PRESENT && !(entries[i] & PAGEMAP_FILE))
				copy_page(region, address, to);
	}
}

/* A mapping of the same, at its place aside, as nobody has written to it. */
static int map_same(const struct bh_mm *child, const struct bh_region *region)
{
	uint64_t to = place_aside(child, region->start), length = region->end - region->start;
	int descriptor = -1, flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
	const int prot = PROT_READ | PROT_WRITE;

	if (region->is_kept_text)
		return bh_text_map(child->node->posix, region->text, to, length, prot,
				   region->text_offset)
			       ? -errno
			       : 0;
	if (region->file) {
		descriptor = bh_files_descriptor(child->node, region->file);
		if (descriptor < 0)
			return descriptor;
	} else {
		flags |= MAP_ANONYMOUS;
	}
	return mmap((void *)to, length, prot, flags, descriptor,
		    region->file ? (off_t)region->offset : 0) == MAP_FAILED
		       ? -errno
		       : 0;
}

static int copy_region(const struct bh_mm *child, const struct bh_region *region, int pagemap)
{
	uint64_t to = place_aside(child, region->start), length = region->end - region->start;
	int ret = map_same(child, region);

	if (ret)
		return ret;
	if (!(region->prot & PROT_READ) &&
	    mprotect((void *)region->start, length, region->prot | PROT_READ))
		return -errno;
	copy_pages(region, to, pagemap);
	if (!(region->prot & PROT_READ) && mprotect((void *)region->start, length, region->prot))
		return -errno;
	if (mprotect((void *)to, length, region->prot))
		return -errno;
	return 0;
}

int bh_residence_copy(struct bh_mm *parent, struct bh_mm *child)
{
	/* Opened anew for each fork: the replayer's processes are forked from one another. */
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), ret = 0;

	for (size_t i = 0; i < parent->region_count && !ret; i++) {
		ret = bh_regions_insert(child, &parent->regions[i]);
		if (!ret && !parent->regions[i].shared)
			ret = copy_region(child, &parent->regions[i], pagemap);
	}
	if (pagemap >= 0)
		close(pagemap);
	return ret;
}
