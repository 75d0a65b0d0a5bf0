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

uint64_t bh_arena_address(const struct bh_posix_node *node, unsigned int slot)
{
	return node->arena_blocks[slot / BH_ARENAS_AT_ONCE] +
	       slot % BH_ARENAS_AT_ONCE * BH_ARENA_SIZE;
}

uint64_t bh_mm_base(const struct bh_mm *mm)
{
	return bh_arena_address(mm->node, mm->window);
}

/* Only by what programs did, on all nodes, in the run's own order: the same in every run. */
static int add_arenas(struct bh_posix_node *node)
{
	unsigned int count = node->arena_count + BH_ARENAS_AT_ONCE;
	struct bh_posix *posix = node->posix;
	struct bh_arena *arenas;

	if (count > BH_PROCESSES_MAX ||
	    BH_ARENA_END - posix->next_arenas < BH_ARENAS_AT_ONCE * BH_ARENA_SIZE)
		return -EAGAIN;
	arenas = realloc(node->arenas, count * sizeof(*arenas));
	if (!arenas)
		return -ENOMEM;
	memset(arenas + node->arena_count, 0, BH_ARENAS_AT_ONCE * sizeof(*arenas));
	node->arenas = arenas;
	node->arena_blocks[node->arena_count / BH_ARENAS_AT_ONCE] =
		bh_posix_node_place(node, posix->next_arenas);
	node->arena_count = count;
	posix->next_arenas += BH_ARENAS_AT_ONCE * BH_ARENA_SIZE;
	return 0;
}

unsigned int bh_mm_slot_take(struct bh_posix_node *node)
{
	unsigned int slot = 0;

	while (slot < node->arena_count && node->arenas[slot].users)
		slot++;
	if (slot == node->arena_count && add_arenas(node)) {
		bh_posix_node_log(node, "no addresses for one more process: there are %u", slot);
		return BH_NO_SLOT;
	}
	node->arenas[slot].users = 1;
	return slot;
}

int bh_mm_create(struct bh_posix_node *node, struct bh_mm **mm_ret)
{
	unsigned int slot = bh_mm_slot_take(node);
	struct bh_mm *mm;

	if (slot == BH_NO_SLOT)
		return -EAGAIN;
	mm = calloc(1, sizeof(*mm));
	if (!mm) {
		node->arenas[slot].users--;
		return -ENOMEM;
	}
	mm->references = 1;
	mm->node = node;
	mm->window = slot;
	mm->aside = BH_NO_SLOT;
	mm->stubs = bh_mm_base(mm) + BH_ARENA_STUBS;
	mm->high_stubs = bh_mm_base(mm) + BH_ARENA_HIGH_STUBS;
	mm->fixed_stubs = BH_FIXED_BASE;
	*mm_ret = mm;
	return 0;
}

void bh_mm_release(struct bh_mm *mm)
{
	if (!mm || --mm->references)
		return;
	/* Where it lies in an arena, it lies alone. */
	if (mm->region_count)
		munmap((void *)bh_residence_place(mm, bh_mm_base(mm)), BH_ARENA_ASIDE);
	for (size_t i = 0; i < mm->region_count && mm->regions[i].start < BH_FIXED_END; i++) {
		const struct bh_region *region = &mm->regions[i];

		munmap((void *)bh_residence_place(mm, region->start), region->end - region->start);
	}
	bh_residence_leave(mm);
	mm->node->arenas[mm->window].users--;
	if (mm->aside != BH_NO_SLOT)
		mm->node->arenas[mm->aside].users--;
	bh_regions_destroy(mm);
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
		bh_code_sites_change(mm, &(struct bh_code){.start = start,
							   .length = length,
							   .offset = offset,
							   .prot = PROT_READ | PROT_WRITE,
							   .data = data,
							   .size = size});
	if (mprotect((void *)start, length, prot))
		return -errno;
	return bh_regions_protect(mm, start, start + length, prot);
}

int bh_mm_map_file(struct bh_mm *mm, uint64_t start, uint64_t length, int prot,
		   const struct bh_input *file, uint64_t offset)
{
	struct bh_code code = {.start = start,
			       .length = length,
			       .offset = offset,
			       .prot = prot,
			       .is_fresh = 1,
			       .file = file};
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
	ret = remember(mm, start, length, prot, file, offset);
	if (ret)
		return ret;
	code.data = data;
	code.size = size;
	if (prot & PROT_EXEC && bh_code_sites_map(mm, &code))
		return 0;
	ret = map_host(start, length, prot, descriptor, offset);
	if (ret)
		bh_regions_remove(mm, start, start + length);
	else if (prot & PROT_EXEC)
		bh_code_sites_change(mm, &code);
	return ret;
}

int bh_mm_unmap(struct bh_mm *mm, uint64_t start, uint64_t end)
{
	if (munmap((void *)start, end - start))
		return -errno;
	return bh_regions_remove(mm, start, end);
}

/* How many of length bytes at address the program, and so we, can read. */
size_t bh_memory_readable(const struct bh_task *task, uint64_t address, size_t length)
{
	size_t done = 0;

	while (done < length) {
		const struct bh_region *region = bh_regions_at(task->mm, address + done);
		uint64_t end;

		if (!region || !(region->prot & PROT_READ))
			break;
		end = region->end;
		/* Behind the last page of a file there is nothing. */
		if (region->file &&
		    region->offset + (end - region->start) > bh_page_up(region->file->size))
			end = region->start + bh_page_up(region->file->size) - region->offset;
		if (address + done >= end)
			break;
		done = end - address < length ? end - address : length;
	}
	return done;
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

struct mapping {
	uint64_t hint, length, offset;
	int prot, flags, fd;
};

static int is_shared(const struct mapping *mapping)
{
	return (mapping->flags & MAP_TYPE) != MAP_PRIVATE;
}

static long map_anonymous(struct bh_task *task, const struct mapping *mapping)
{
	uint64_t start;
	int ret;

	if (is_shared(mapping) && !(mapping->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		return bh_shared_map_anonymous(task->mm, mapping->length, mapping->prot);
	if (is_shared(mapping)) {
		bh_posix_node_log(task->node, "mmap of shared memory at an address of the "
					      "program's choice refused: ENOMEM");
		return -ENOMEM;
	}
	ret = choose_place(task->mm, mapping->hint, mapping->length, mapping->flags, &start);
	if (!ret)
		ret = bh_mm_map_anonymous(task->mm, start, mapping->length, mapping->prot);
	return ret ? ret : (long)start;
}

static long map_host_file(struct bh_task *task, const struct mapping *mapping,
			  const struct bh_user_fd *stat)
{
	const struct bh_input *file = stat->handle;
	struct bh_elf elf;
	uint64_t start;
	const char *why;
	int ret;

	ret = choose_place(task->mm, mapping->hint, mapping->length, mapping->flags, &start);
	if (!ret)
		ret = bh_mm_map_file(task->mm, start, mapping->length, mapping->prot, file,
				     mapping->offset);
	/* The dynamic linker maps a library's whole extent first, at offset 0. */
	if (!ret && !mapping->offset && mapping->flags & MAP_DENYWRITE &&
	    !(mapping->flags & MAP_FIXED) && !bh_elf_parse(file->data, file->size, &elf, &why))
		bh_images_add(task->node, bh_posix_node_image(task->node)->pid(), &elf,
			      start - elf.low, stat->path);
	return ret ? ret : (long)start;
}

/* What is written to the file later isn't seen. */
static long map_snapshot(struct bh_task *task, const struct mapping *mapping)
{
	uint64_t start, length = mapping->length;
	long done;
	int ret;

	ret = choose_place(task->mm, mapping->hint, length, mapping->flags, &start);
	if (!ret)
		ret = bh_mm_map_anonymous(task->mm, start, length, PROT_READ | PROT_WRITE);
	if (ret)
		return ret;
	done = bh_posix_node_image(task->node)
		       ->fd_read(mapping->fd, (void *)start, length, mapping->offset);
	if (done < 0)
		return done;
	if (mprotect((void *)start, length, mapping->prot))
		return -errno;
	ret = bh_regions_protect(task->mm, start, start + length, mapping->prot);
	return ret ? ret : (long)start;
}

static long map_descriptor(struct bh_task *task, const struct mapping *mapping)
{
	int is_writing = is_shared(mapping) && mapping->prot & PROT_WRITE, ret;
	struct bh_user_fd stat;
	long address = -ENODEV;

	if (is_shared(mapping) && !(mapping->flags & MAP_FIXED))
		address = bh_posix_node_image(task->node)
				  ->fd_map(mapping->fd, mapping->length, mapping->offset);
	if (address != -ENODEV)
		return address;
	ret = bh_posix_node_image(task->node)->fd_stat(mapping->fd, &stat);
	if (ret)
		return ret;
	if (!stat.is_readable || (is_writing && !stat.is_writable))
		return -EACCES;
	if (is_shared(mapping) && stat.is_regular && !stat.handle &&
	    !(mapping->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		address = bh_shared_map_file(task->mm, mapping->fd, mapping->length,
					     mapping->offset, mapping->prot);
	if (address != -ENODEV)
		return address;
	if (!stat.is_regular || is_writing) {
		bh_posix_node_log(task->node, "mmap of %s%s refused: ENODEV", stat.path,
				  stat.is_regular ? " for shared writing" : "");
		return -ENODEV;
	}
	return stat.handle ? map_host_file(task, mapping, &stat) : map_snapshot(task, mapping);
}

long bh_memory_mmap(struct bh_task *task, const struct pt_regs *regs)
{
	const struct mapping mapping = {
		.hint = regs->di,
		.length = bh_page_up(regs->si),
		.offset = regs->r9,
		.prot = (int)regs->dx & PROT_ALL,
		.flags = (int)regs->r10,
		.fd = (int)regs->r8,
	};
	int type = mapping.flags & MAP_TYPE;

	if (!regs->si || mapping.offset & (BH_PAGE_SIZE - 1) ||
	    (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE))
		return -EINVAL;
	if (!mapping.length || mapping.length > BH_ARENA_SIZE)
		return -ENOMEM;
	if (mapping.flags & MAP_32BIT) {
		bh_posix_node_log(task->node, "mmap with MAP_32BIT refused: ENOMEM");
		return -ENOMEM;
	}
	return mapping.flags & MAP_ANONYMOUS ? map_anonymous(task, &mapping)
					     : map_descriptor(task, &mapping);
}

/* Is all of it memory that the process shares with others? Nothing is done to it then: protection,
 * contents and place are everybody's. */
static int is_shared_range(const struct bh_mm *mm, uint64_t start, uint64_t length)
{
	const struct bh_region *region = bh_regions_at(mm, start);

	return region && region->shared && start + length >= start &&
	       bh_regions_is_covered(mm, start, start + length) &&
	       bh_regions_at(mm, start + length - 1)->shared;
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

	if (!(start & (BH_PAGE_SIZE - 1)) && length && is_shared_range(task->mm, start, length))
		return bh_regions_remove(task->mm, start, start + length);
	/* Memory of the node's kernel that fd_map() gave: it goes when its file is closed. */
	if (start >= BH_NODES_BASE && start < BH_ARENA_BASE)
		return 0;
	if (check_range(task->mm, start, length))
		return -EINVAL;
	bh_images_settle(task->node);
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
			bh_code_sites_change(
				mm, &(struct bh_code){.start = region->start,
						      .length = region->end - region->start,
						      .offset = region->offset,
						      .prot = region->prot,
						      .file = region->file,
						      .data = region->file->data,
						      .size = region->file->size});
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
	if (is_shared_range(task->mm, start, length))
		return 0;
	if (check_range(task->mm, start, length) || !bh_regions_is_covered(task->mm, start, end))
		return -ENOMEM;
	if (mprotect((void *)start, length, prot))
		return -errno;
	ret = bh_regions_protect(task->mm, start, end, prot);
	if (!ret && prot & PROT_EXEC)
		patch_new_text(task->mm, start, end);
	/* The dynamic linker ends with what is to be read-only, when all is loaded. */
	bh_images_settle(task->node);
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

int bh_memory_move(uint64_t old, uint64_t length, uint64_t to)
{
	uint64_t done = 0;

	while (done < length) {
		uint64_t piece = length - done;

		while (mremap((void *)(old + done), piece, piece, MREMAP_MAYMOVE | MREMAP_FIXED,
			      (void *)(to + done)) == MAP_FAILED) {
			if (errno != EFAULT || piece == BH_PAGE_SIZE)
				return -errno;
			piece = bh_page_up(piece / 2);
		}
		done += piece;
	}
	return 0;
}

/* new_length isn't less than old_length. */
static int move(const struct bh_region *region, uint64_t old, uint64_t old_length, uint64_t to,
		uint64_t new_length)
{
	if (mremap((void *)old, old_length, new_length, MREMAP_MAYMOVE | MREMAP_FIXED,
		   (void *)to) != MAP_FAILED)
		return 0;
	if (errno != EFAULT || (region->file && new_length > old_length))
		return -errno;
	if (new_length > old_length &&
	    mmap((void *)(to + old_length), new_length - old_length, region->prot,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return -errno;
	return bh_memory_move(old, old_length, to);
}

/* Moves or grows [old, old + old_length), which lies in one region. */
static long remap(struct bh_mm *mm, uint64_t old, uint64_t old_length, uint64_t to,
		  uint64_t new_length)
{
	struct bh_region region = *bh_regions_at(mm, old);
	int ret;

	if (region.file)
		region.offset += old - region.start;
	if (region.text)
		region.text_offset += old - region.start;
	if (new_length < old_length) {
		ret = bh_mm_unmap(mm, old + new_length, old + old_length);
		if (ret)
			return ret;
		old_length = new_length;
	}
	ret = move(&region, old, old_length, to, new_length);
	if (ret)
		return ret;
	ret = bh_regions_remove(mm, old, old + old_length);
	if (!ret)
		ret = remember(mm, to, new_length, region.prot, region.file, region.offset);
	if (!ret && region.text)
		ret = bh_regions_set_text(mm, to, to + new_length, region.text, region.text_offset,
					  region.is_kept_text);
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
	if (region->shared) {
		bh_posix_node_log(task->node, "mremap of shared memory refused: ENOMEM");
		return -ENOMEM;
	}
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
	if (!length || is_shared_range(task->mm, start, length))
		return 0;
	if (check_range(task->mm, start, length) ||
	    !bh_regions_is_covered(task->mm, start, start + length))
		return -ENOMEM;
	/* With MADV_FREE the host would decide when pages go: here they go at once. */
	if (advice == MADV_DONTNEED || advice == MADV_FREE)
		return madvise((void *)start, length, MADV_DONTNEED) ? -errno : 0;
	return 0;
}

/* Pages are never swapped out, so all that is mapped counts as resident: when the host really gives
 * a page its memory must not show. */
long bh_memory_mincore(struct bh_task *task, const struct pt_regs *regs)
{
	uint64_t start = regs->di, length = bh_page_up(regs->si);
	uint64_t vector = regs->dx, pages = length / BH_PAGE_SIZE;
	const struct bh_region *region = bh_regions_at(task->mm, vector);

	if (start & (BH_PAGE_SIZE - 1))
		return -EINVAL;
	if (!length)
		return 0;
	if (!is_shared_range(task->mm, start, length) &&
	    (check_range(task->mm, start, length) ||
	     !bh_regions_is_covered(task->mm, start, start + length)))
		return -ENOMEM;
	if (!region || !(region->prot & PROT_WRITE) || region->end - vector < pages)
		return -EFAULT;
	memset((void *)vector, 1, pages);
	return 0;
}
