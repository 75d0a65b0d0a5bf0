/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that processes of a node share (MAP_SHARED). Node memory is private to the simulator's
 * process, so that a fork of it is a checkpoint: two programs see the same bytes because the bytes
 * lie at one address, which is the same for all processes of the node, and stay there whoever has
 * the CPU. Anonymous memory lies between BH_SHARED_BASE and BH_SHARED_END; a file of the node's
 * memory (tmpfs, memfd_create) is used where the node's kernel has its pages.
 *
 * Called by memory.c for the calls about memory, and by regions.c, which counts who uses what.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "posix/internal.h"

/* As long as a region of a process refers to it. */
struct bh_shared {
	unsigned int references;
	struct bh_posix_node *node;
	uint64_t start, end;
	void *file;			/* the kernel's, if the memory is a file's */
	struct bh_shared *next, **link; /* anonymous ones, by address; of all nodes */
};

_Static_assert(BH_SHARED_BASE == BH_SHARED_START && BH_SHARED_END == BH_SHARED_LIMIT,
	       "the debugger's view");

static void unlink_shared(struct bh_shared *shared)
{
	if (!shared->link)
		return;
	*shared->link = shared->next;
	if (shared->next)
		shared->next->link = shared->link;
}

void bh_shared_keep(struct bh_shared *shared)
{
	if (shared)
		shared->references++;
}

void bh_shared_release(struct bh_shared *shared)
{
	if (!shared || --shared->references)
		return;
	unlink_shared(shared);
	if (!shared->file)
		munmap((void *)shared->start, shared->end - shared->start);
	else if (!shared->node->is_ending)
		bh_posix_node_image(shared->node)->shared_release(shared->file);
	free(shared);
}

/* The lowest free range of the shared addresses. */
static int take_addresses(struct bh_posix *posix, struct bh_shared *shared, uint64_t length)
{
	struct bh_shared **link = &posix->shared;
	uint64_t start = BH_SHARED_BASE;

	for (; *link && (*link)->start - start < length; link = &(*link)->next)
		start = (*link)->end;
	if (BH_SHARED_END - start < length)
		return -ENOMEM;
	start = bh_posix_node_place(shared->node, start);
	for (link = &posix->shared; *link && (*link)->start < start; link = &(*link)->next)
		;
	shared->start = start;
	shared->end = start + length;
	shared->next = *link;
	shared->link = link;
	if (shared->next)
		shared->next->link = &shared->next;
	*link = shared;
	return 0;
}

static int add_region(struct bh_mm *mm, struct bh_shared *shared, int prot)
{
	struct bh_region region = {
		.start = shared->start, .end = shared->end, .prot = prot, .shared = shared};

	return bh_regions_insert(mm, &region);
}

/* Readable and writable for all: protection belongs to pages, which have several users here. */
static int map_host(const struct bh_shared *shared, int prot)
{
	if (mmap((void *)shared->start, shared->end - shared->start, prot | PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
		 0) == (void *)shared->start)
		return 0;
	return -ENOMEM;
}

long bh_shared_map_anonymous(struct bh_mm *mm, uint64_t length, int prot)
{
	struct bh_shared *shared = calloc(1, sizeof(*shared));
	uint64_t start;
	int ret;

	if (!shared)
		return -ENOMEM;
	shared->node = mm->node;
	ret = take_addresses(mm->node->posix, shared, length);
	if (!ret)
		ret = map_host(shared, prot);
	/* From here on the region's reference is the only one. */
	start = shared->start;
	if (!ret)
		ret = add_region(mm, shared, prot);
	if (ret) {
		shared->references = 1;
		bh_shared_release(shared);
		return ret;
	}
	return (long)start;
}

/* The memory at address is that of the kernel's file. */
static long add_file(struct bh_mm *mm, long address, uint64_t length, void *file, int prot)
{
	struct bh_shared *shared;
	int ret;

	/* What a process has already, it has twice now: at the same place. */
	ret = bh_regions_remove(mm, (uint64_t)address, (uint64_t)address + length);
	shared = ret ? NULL : calloc(1, sizeof(*shared));
	if (!shared) {
		bh_posix_node_image(mm->node)->shared_release(file);
		return -ENOMEM;
	}
	shared->node = mm->node;
	shared->start = (uint64_t)address;
	shared->end = (uint64_t)address + length;
	shared->file = file;
	ret = add_region(mm, shared, prot);
	if (ret) {
		shared->references = 1;
		bh_shared_release(shared);
	}
	return ret ? ret : address;
}

long bh_shared_map_file(struct bh_mm *mm, int fd, uint64_t length, uint64_t offset, int prot)
{
	void *file;
	long address = bh_posix_node_image(mm->node)->shared_map(fd, length, offset, &file);

	return address < 0 ? address : add_file(mm, address, length, file, prot);
}

/* --- System V --- */

long bh_memory_shmat(struct bh_task *task, const struct pt_regs *regs)
{
	unsigned long length;
	long address;
	void *file;

	if (regs->si) {
		bh_posix_node_log(task->node, "shmat at an address of the program's choice "
					      "refused: EINVAL");
		return -EINVAL;
	}
	address = bh_posix_node_image(task->node)
			  ->shared_attach((int)regs->di, (int)regs->dx, &length, &file);
	return address < 0 ? address
			   : add_file(task->mm, address, length, file, PROT_READ | PROT_WRITE);
}

long bh_memory_shmdt(struct bh_task *task, const struct pt_regs *regs)
{
	const struct bh_region *region = bh_regions_at(task->mm, regs->di);

	if (!region || !region->shared || !region->shared->file ||
	    region->shared->start != regs->di)
		return -EINVAL;
	return bh_regions_remove(task->mm, region->shared->start, region->shared->end);
}
