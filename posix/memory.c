/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of programs: mmap and its kin. The node's kernel knows nothing of it; the pages are the
 * host's, private, at addresses that depend only on what the program asked for and in which order.
 * Called by syscalls.c, exec.c and tasks.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "posix/internal.h"

#ifndef MAP_DENYWRITE
#define MAP_DENYWRITE 0x800
#endif
#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

uint64_t bh_arena_address(uint32_t node_id, unsigned int slot)
{
	return BH_ARENA_BASE + ((uint64_t)node_id * BH_ARENA_PER_NODE + slot) * BH_ARENA_SIZE;
}

uint64_t bh_mm_base(const struct bh_mm *mm)
{
	return bh_arena_address(mm->node->id, mm->window);
}

unsigned int bh_mm_slot_take(struct bh_posix_node *node)
{
	for (unsigned int slot = 0; slot < BH_ARENA_PER_NODE; slot++)
		if (!node->slot_users[slot]) {
			node->slot_users[slot] = 1;
			return slot;
		}
	bh_posix_node_log(node, "more than %d processes at a time", BH_ARENA_PER_NODE);
	return BH_NO_SLOT;
}

int bh_mm_create(struct bh_posix_node *node, struct bh_mm **mm_ret)
{
	unsigned int slot = bh_mm_slot_take(node);
	struct bh_mm *mm;

	if (slot == BH_NO_SLOT)
		return -EAGAIN;
	mm = calloc(1, sizeof(*mm));
	if (!mm) {
		node->slot_users[slot]--;
		return -ENOMEM;
	}
	mm->references = 1;
	mm->node = node;
	mm->window = slot;
	mm->aside = BH_NO_SLOT;
	mm->stubs = bh_mm_base(mm) + BH_ARENA_STUBS;
	mm->fixed_stubs = BH_FIXED_BASE;
	*mm_ret = mm;
	return 0;
}

void bh_mm_release(struct bh_mm *mm)
{
	if (!mm || --mm->references)
		return;
	for (size_t i = 0; i < mm->region_count; i++) {
		const struct bh_region *region = &mm->regions[i];

		munmap((void *)bh_residence_place(mm, region->start), region->end - region->start);
	}
	bh_residence_leave(mm);
	mm->node->slot_users[mm->window]--;
	if (mm->aside != BH_NO_SLOT)
		mm->node->slot_users[mm->aside]--;
	free(mm->regions);
	free(mm);
}

int bh_mm_is_in_reach(const struct bh_mm *mm, uint64_t start, uint64_t end)
{
	uint64_t base = bh_mm_base(mm);

	if (start > end)
		return 0;
	return (start >= base && end <= base + BH_ARENA_ASIDE) ||
	       (start >= BH_FIXED_BASE && end <= BH_FIXED_END);
}

/* --- mapping --- */

/* Whoever maps at the fixed addresses becomes their resident first. */
static void claim(struct bh_mm *mm, uint64_t start)
{
	if (start < BH_FIXED_END && !mm->uses_fixed) {
		mm->uses_fixed = 1;
		bh_residence_enter(mm);
	}
}

static int map_host(uint64_t start, uint64_t length, int prot, int descriptor, uint64_t offset)
{
	int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;

	if (descriptor < 0)
		flags |= MAP_ANONYMOUS;
	return mmap((void *)start, length, prot, flags, descriptor, (off_t)offset) == MAP_FAILED
		       ? -errno
		       : 0;
}

static int remember(struct bh_mm *mm, uint64_t start, uint64_t length, int prot,
		    const struct bh_input *file, uint64_t offset)
{
	struct bh_region region = {.start = start,
				   .end = start + length,
				   .prot = prot,
				   .file = file,
				   .offset = file ? offset : 0};
	int ret = bh_regions_remove(mm, start, region.end);

	return ret ? ret : bh_regions_insert(mm, &region);
}

int bh_mm_map_anonymous(struct bh_mm *mm, uint64_t start, uint64_t length, int prot)
{
	int ret;

	claim(mm, start);
	ret = map_host(start, length, prot, -1, 0);
	return ret ? ret : remember(mm, start, length, prot, NULL, 0);
}

int bh_mm_map_copy(struct bh_mm *mm, uint64_t start, uint64_t length, int prot, const void *data,
		   uint64_t size, uint64_t offset)
{
	uint64_t copied = offset < size ? size - offset : 0;
	int ret = bh_mm_map_anonymous(mm, start, length, PROT_READ | PROT_WRITE);

	if (ret)
		return ret;
	memcpy((void *)start, (const char *)data + offset, copied < length ? copied : length);
	if (prot & PROT_EXEC)
		bh_code_sites_change(mm, start, length, PROT_READ | PROT_WRITE, NULL, data, size,
				     offset);
	if (mprotect((void *)start, length, prot))
		return -errno;
	return bh_regions_protect(mm, start, start + length, prot);
}

int bh_mm_map_file(struct bh_mm *mm, uint64_t start, uint64_t length, int prot,
		   const struct bh_input *file, uint64_t offset)
{
	int descriptor = bh_files_descriptor(mm->node, file), ret;
	unsigned long size;
	const void *data;

	ret = bh_files_op_content(mm->node, file, &data, &size);
	if (ret)
		return ret;
	if (descriptor == -ENODEV)
		return bh_mm_map_copy(mm, start, length, prot, data, size, offset);
	if (descriptor < 0)
		return descriptor;
	claim(mm, start);
	ret = map_host(start, length, prot, descriptor, offset);
	if (!ret)
		ret = remember(mm, start, length, prot, file, offset);
	if (!ret && prot & PROT_EXEC)
		bh_code_sites_change(mm, start, length, prot, file, data, size, offset);
	return ret;
}

int bh_mm_unmap(struct bh_mm *mm, uint64_t start, uint64_t end)
{
	if (munmap((void *)start, end - start))
		return -errno;
	return bh_regions_remove(mm, start, end);
}

/* --- the system calls --- */

/* Where a mapping goes: 0 and *start_ret, or -errno. */
static int choose_place(struct bh_mm *mm, uint64_t hint, uint64_t length, int flags,
			uint64_t *start_ret)
{
	uint64_t base = bh_mm_base(mm), start;

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (hint & (BH_PAGE_SIZE - 1))
			return -EINVAL;
		if (!bh_mm_is_in_reach(mm, hint, hint + length))
			return -ENOMEM;
		if (flags & MAP_FIXED_NOREPLACE && !bh_regions_is_free(mm, hint, hint + length))
			return -EEXIST;
		*start_ret = hint;
		return 0;
	}
	hint = bh_page_up(hint);
	if (hint >= base + BH_ARENA_PROGRAM && bh_mm_is_in_reach(mm, hint, hint + length) &&
	    bh_regions_is_free(mm, hint, hint + length)) {
		*start_ret = hint;
		return 0;
	}
	start = bh_regions_gap(mm, length, base + BH_ARENA_PROGRAM, base + BH_ARENA_MAP_TOP);
	if (!start)
		return -ENOMEM;
	*start_ret = start;
	return 0;
}

/* Mapped files that are no host files are copies, so nothing written is seen by others. */
static int map_descriptor(struct bh_task *task, uint64_t start, uint64_t length, int prot,
			  int flags, int fd, uint64_t offset)
{
	const struct bh_user_image_ops *image = bh_posix_node_image(task->node);
	int is_shared = (flags & MAP_TYPE) != MAP_PRIVATE, ret;
	struct bh_user_fd stat;
	struct bh_elf elf;
	const char *why;
	long done;

	ret = image->fd_stat(fd, &stat);
	if (ret)
		return ret;
	if (!stat.is_readable)
		return -EACCES;
	if (!stat.is_regular || (is_shared && prot & PROT_WRITE)) {
		bh_posix_node_log(task->node, "mmap of %s%s refused: ENODEV", stat.path,
				  stat.is_regular ? " for shared writing" : "");
		return -ENODEV;
	}
	if (stat.handle) {
		const struct bh_input *file = stat.handle;

		ret = bh_mm_map_file(task->mm, start, length, prot, file, offset);
		/* The dynamic linker maps a library's whole extent first, at offset 0. */
		if (!ret && !offset && flags & MAP_DENYWRITE && !(flags & MAP_FIXED) &&
		    !bh_elf_parse(file->data, file->size, &elf, &why))
			bh_images_add(task->node, image->pid(), &elf, start - elf.low, stat.path);
		return ret;
	}
	ret = bh_mm_map_anonymous(task->mm, start, length, PROT_READ | PROT_WRITE);
	if (ret)
		return ret;
	done = image->fd_read(fd, (void *)start, length, offset);
	if (done < 0)
		return (int)done;
	if (mprotect((void *)start, length, prot))
		return -errno;
	return bh_regions_protect(task->mm, start, start + length, prot);
}

long bh_memory_mmap(struct bh_task *task, const struct pt_regs *regs)
{
	uint64_t length = bh_page_up(regs->si), start, offset = regs->r9;
	int prot = (int)regs->dx & PROT_ALL, flags = (int)regs->r10, fd = (int)regs->r8;
	int type = flags & MAP_TYPE, ret;

	if (!regs->si || offset & (BH_PAGE_SIZE - 1) ||
	    (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE))
		return -EINVAL;
	if (!length || length > BH_ARENA_SIZE)
		return -ENOMEM;
	if (flags & MAP_32BIT) {
		bh_posix_node_log(task->node, "mmap with MAP_32BIT refused: ENOMEM");
		return -ENOMEM;
	}
	if (!(flags & (MAP_ANONYMOUS | MAP_FIXED)) && type != MAP_PRIVATE) {
		long place = bh_posix_node_image(task->node)->fd_map(fd, length, offset);

		if (place != -ENODEV)
			return place;
	}
	ret = choose_place(task->mm, regs->di, length, flags, &start);
	if (ret)
		return ret;
	if (flags & MAP_ANONYMOUS)
		ret = bh_mm_map_anonymous(task->mm, start, length, prot);
	else
		ret = map_descriptor(task, start, length, prot, flags, fd, offset);
	return ret ? ret : (long)start;
}

/* 0 if [start, start + length) is a range of pages that the program may ask about. */
static int check_range(const struct bh_mm *mm, uint64_t start, uint64_t length)
{
	if (start & (BH_PAGE_SIZE - 1) || !length || start + length < start)
		return -EINVAL;
	return bh_mm_is_in_reach(mm, start, start + length) ? 0 : -ENOMEM;
}

long bh_memory_munmap(struct bh_task *task, const struct pt_regs *regs)
{
	uint64_t start = regs->di, length = bh_page_up(regs->si);
	int ret = check_range(task->mm, start, length);

	/* Memory of the node's kernel that fd_map() gave: it goes when its file is closed. */
	if (start >= BH_NODES_BASE && start < BH_ARENA_BASE)
		return 0;
	if (ret)
		return -EINVAL;
	bh_images_remove(task->node, bh_posix_node_image(task->node)->pid(), start, start + length);
	return bh_mm_unmap(task->mm, start, start + length);
}

/* Text that becomes executable only now is changed now. */
static void patch_new_text(struct bh_mm *mm, uint64_t start, uint64_t end)
{
	size_t i = bh_regions_find(mm, start);

	for (; i < mm->region_count && mm->regions[i].start < end; i++) {
		const struct bh_region *region = &mm->regions[i];

		if (region->file && region->file->data)
			bh_code_sites_change(mm, region->start, region->end - region->start,
					     region->prot, region->file, region->file->data,
					     region->file->size, region->offset);
	}
}

long bh_memory_mprotect(struct bh_task *task, const struct pt_regs *regs)
{
	uint64_t start = regs->di, length = bh_page_up(regs->si), end = start + length;
	int prot = (int)regs->dx & PROT_ALL, ret;

	if (start & (BH_PAGE_SIZE - 1))
		return -EINVAL;
	if (!length)
		return 0;
	if (check_range(task->mm, start, length) || !bh_regions_is_covered(task->mm, start, end))
		return -ENOMEM;
	if (mprotect((void *)start, length, prot))
		return -errno;
	ret = bh_regions_protect(task->mm, start, end, prot);
	if (!ret && prot & PROT_EXEC)
		patch_new_text(task->mm, start, end);
	return ret;
}

/* Answers the break that is in force; the asked one if that could be done. */
long bh_memory_brk(struct bh_task *task, const struct pt_regs *regs)
{
	struct bh_mm *mm = task->mm;
	uint64_t wanted = regs->di, old_end = bh_page_up(mm->brk), new_end = bh_page_up(wanted);

	if (wanted < mm->brk_start || wanted > bh_mm_base(mm) + BH_ARENA_MAP_TOP)
		return (long)mm->brk;
	if (new_end > old_end) {
		if (!bh_regions_is_free(mm, old_end, new_end) ||
		    bh_mm_map_anonymous(mm, old_end, new_end - old_end, PROT_READ | PROT_WRITE))
			return (long)mm->brk;
	} else if (new_end < old_end && bh_mm_unmap(mm, new_end, old_end)) {
		return (long)mm->brk;
	}
	mm->brk = wanted;
	return (long)wanted;
}

/* Moves or grows [old, old + old_length), which lies in one region. */
static long remap(struct bh_mm *mm, uint64_t old, uint64_t old_length, uint64_t to,
		  uint64_t new_length)
{
	struct bh_region region = *bh_regions_at(mm, old);
	int ret;

	if (region.file)
		region.offset += old - region.start;
	if (mremap((void *)old, old_length, new_length, MREMAP_MAYMOVE | MREMAP_FIXED,
		   (void *)to) == MAP_FAILED)
		return -errno;
	ret = bh_regions_remove(mm, old, old + old_length);
	if (!ret)
		ret = remember(mm, to, new_length, region.prot, region.file, region.offset);
	return ret ? ret : (long)to;
}

long bh_memory_mremap(struct bh_task *task, const struct pt_regs *regs)
{
	struct bh_mm *mm = task->mm;
	uint64_t old = regs->di, old_length = bh_page_up(regs->si), to = regs->r8;
	uint64_t new_length = bh_page_up(regs->dx);
	int flags = (int)regs->r10;
	const struct bh_region *region = bh_regions_at(mm, old);

	if (old & (BH_PAGE_SIZE - 1) || !new_length || !old_length ||
	    flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED) ||
	    (flags & MREMAP_FIXED && !(flags & MREMAP_MAYMOVE)))
		return -EINVAL;
	if (!region || region->end < old + old_length)
		return -EFAULT;
	if (flags & MREMAP_FIXED) {
		if (to & (BH_PAGE_SIZE - 1) || (to < old + old_length && old < to + new_length))
			return -EINVAL;
		if (!bh_mm_is_in_reach(mm, to, to + new_length))
			return -ENOMEM;
		claim(mm, to);
		return remap(mm, old, old_length, to, new_length);
	}
	if (new_length <= old_length) {
		int ret = 0;

		if (new_length < old_length)
			ret = bh_mm_unmap(mm, old + new_length, old + old_length);
		return ret ? ret : (long)old;
	}
	if (region->end == old + old_length && !region->file &&
	    bh_mm_is_in_reach(mm, old, old + new_length) &&
	    bh_regions_is_free(mm, region->end, old + new_length)) {
		int ret =
			bh_mm_map_anonymous(mm, region->end, new_length - old_length, region->prot);

		return ret ? ret : (long)old;
	}
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	to = bh_regions_gap(mm, new_length, bh_mm_base(mm) + BH_ARENA_PROGRAM,
			    bh_mm_base(mm) + BH_ARENA_MAP_TOP);
	return to ? remap(mm, old, old_length, to, new_length) : -ENOMEM;
}

long bh_memory_madvise(struct bh_task *task, const struct pt_regs *regs)
{
	uint64_t start = regs->di, length = bh_page_up(regs->si);
	int advice = (int)regs->dx;

	if (start & (BH_PAGE_SIZE - 1))
		return -EINVAL;
	if (!length)
		return 0;
	if (check_range(task->mm, start, length) ||
	    !bh_regions_is_covered(task->mm, start, start + length))
		return -ENOMEM;
	/* With MADV_FREE the host would decide when pages go: here they go at once. */
	if (advice == MADV_DONTNEED || advice == MADV_FREE)
		return madvise((void *)start, length, MADV_DONTNEED) ? -errno : 0;
	return 0;
}
