/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node's kernel shows of its programs' memory in /proc/PID: maps, sizes, command line,
 * environment, mem. Called by the image (kernel/proc.c), for any task of the node: its memory may
 * lie aside while a relative has the addresses.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "posix/internal.h"

static const char *name_of(const struct bh_mm *mm, const struct bh_region *region)
{
	uint64_t base = bh_mm_base(mm);

	if (region->file)
		return region->file->path;
	if (region->start >= mm->brk_start && region->start < bh_page_up(mm->brk))
		return "[heap]";
	if (region->start >= base + BH_ARENA_STACK && region->end <= base + BH_ARENA_STACK_TOP)
		return "[stack]";
	return "";
}

int bh_proc_op_region(void *user_host, void *argument, unsigned long index,
		      struct bh_user_region *region_ret)
{
	const struct bh_task *task = argument;
	const struct bh_mm *mm = task->mm;
	const struct bh_region *region;

	if (!mm || index >= mm->region_count)
		return -ENOENT;
	region = &mm->regions[index];
	memset(region_ret, 0, sizeof(*region_ret));
	region_ret->start = region->start;
	region_ret->end = region->end;
	region_ret->prot = (unsigned int)region->prot;
	region_ret->is_shared = region->shared != NULL;
	region_ret->name = name_of(mm, region);
	if (region->file) {
		region_ret->offset = region->offset;
		region_ret->number = bh_files_number(mm->node, region->file);
	}
	return 0;
}

/* Text that was changed when it was mapped (code_sites.c) is shown as it is, not as in its file. */
unsigned long bh_proc_op_access(void *user_host, void *argument, unsigned long address,
				void *buffer, unsigned long length, int is_write)
{
	const struct bh_task *task = argument;
	const struct bh_mm *mm = task->mm;
	unsigned long done = 0;

	while (mm && done < length) {
		const struct bh_region *region = bh_regions_at(mm, address + done);
		unsigned long count = length - done;
		char *there;

		/* What lies in a mapping behind the end of its file can't be touched. */
		if (!region || !(region->prot & (is_write ? PROT_WRITE : PROT_READ)))
			break;
		uint64_t end = region->end;

		if (region->file) {
			uint64_t size = bh_page_up(region->file->size);
			uint64_t backed = size > region->offset ? size - region->offset : 0;

			if (end > region->start + backed)
				end = region->start + backed;
		}
		if (address + done >= end)
			break;
		if (count > end - (address + done))
			count = end - (address + done);
		there = (char *)(region->shared ? address + done
						: bh_residence_place(mm, address + done));
		if (is_write)
			memcpy(there, (char *)buffer + done, count);
		else
			memcpy((char *)buffer + done, there, count);
		done += count;
	}
	return done;
}
