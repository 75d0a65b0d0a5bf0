/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading of a program, the part of execve() that isn't the node kernel's: its segments, its
 * interpreter and its first stack, at addresses that depend on nothing but the process's slot.
 * Called by the image (kernel/binfmt.c).
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "posix/internal.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

void *bh_exec_op_buffer(void *user_host, unsigned long size)
{
	struct bh_posix_node *node = user_host;
	struct bh_buffer *buffer = malloc(sizeof(*buffer) + size);

	if (!buffer)
		return NULL;
	buffer->size = size;
	buffer->next = node->buffers;
	node->buffers = buffer;
	return buffer->bytes;
}

void bh_exec_op_end(void *user_host, struct bh_exec *exec)
{
	const struct bh_exec_file *files[] = {&exec->program, &exec->interpreter};
	struct bh_posix_node *node = user_host;

	/* Another task may be in an exec of its own: only this one's buffers go. */
	for (size_t i = 0; i < 2; i++)
		for (struct bh_buffer **link = &node->buffers; *link; link = &(*link)->next)
			if ((*link)->bytes == files[i]->data) {
				struct bh_buffer *buffer = *link;

				*link = buffer->next;
				free(buffer);
				break;
			}
}

static int parse(struct bh_posix_node *node, struct bh_exec_file *file, struct bh_elf *elf_ret)
{
	const char *why;
	int ret = 0;

	if (file->handle)
		ret = bh_files_op_content(node, file->handle, &file->data, &file->size);
	if (ret)
		return ret;
	ret = bh_elf_parse(file->data, file->size, elf_ret, &why);
	if (ret)
		bh_posix_node_log(node, "%s can't be executed: %s", file->path, why);
	return ret;
}

static int check_program(struct bh_posix_node *node, struct bh_exec *exec)
{
	struct bh_elf elf;
	int ret = parse(node, &exec->program, &elf);

	if (ret)
		return ret;
	if (elf.is_fixed && (elf.low < BH_FIXED_BASE || elf.high > BH_FIXED_END)) {
		bh_posix_node_log(
			node,
			"%s can't be executed: it wants the addresses from 0x%llx on, only "
			"those below 0x%llx can be given to programs that aren't "
			"position-independent",
			exec->program.path, (unsigned long long)elf.low, BH_FIXED_END);
		return -ENOEXEC;
	}
	memcpy(exec->interpreter_path, elf.interpreter, sizeof(exec->interpreter_path));
	return 0;
}

int bh_exec_op_check(void *user_host, struct bh_exec *exec)
{
	struct bh_elf elf;
	int ret;

	if (!exec->interpreter_path[0])
		return check_program(user_host, exec);
	ret = parse(user_host, &exec->interpreter, &elf);
	if (!ret && elf.is_fixed)
		ret = -ELIBBAD;
	return ret;
}

/* --- mapping --- */

static int map_range(struct bh_mm *mm, const struct bh_exec_file *file, uint64_t start,
		     uint64_t length, int prot, uint64_t offset)
{
	if (file->handle)
		return bh_mm_map_file(mm, start, length, prot, file->handle, offset);
	return bh_mm_map_copy(mm, start, length, prot, file->data, file->size, offset);
}

/* The file's part, whose last page goes on with zeros, then whole pages of zeros. */
static int map_segment(struct bh_mm *mm, const struct bh_exec_file *file,
		       const struct bh_elf_segment *segment, uint64_t bias)
{
	uint64_t start = bh_page_down(segment->address) + bias;
	uint64_t file_end = segment->address + segment->file_size + bias;
	uint64_t end = bh_page_up(segment->address + segment->memory_size) + bias;
	uint64_t middle = segment->file_size ? bh_page_up(file_end) : start;
	uint64_t in_page = segment->address - bh_page_down(segment->address);
	int ret = 0;

	if (middle > start)
		ret = map_range(mm, file, start, middle - start, segment->prot,
				segment->offset - in_page);
	if (!ret && end > middle)
		ret = bh_mm_map_anonymous(mm, middle, end - middle, segment->prot);
	if (!ret && segment->memory_size > segment->file_size && middle > file_end &&
	    segment->file_size) {
		if (!(segment->prot & PROT_WRITE) &&
		    mprotect((void *)(middle - BH_PAGE_SIZE), BH_PAGE_SIZE, PROT_READ | PROT_WRITE))
			return -errno;
		memset((void *)file_end, 0, middle - file_end);
		if (!(segment->prot & PROT_WRITE) &&
		    mprotect((void *)(middle - BH_PAGE_SIZE), BH_PAGE_SIZE, segment->prot))
			return -errno;
	}
	return ret;
}

static int map_elf(struct bh_mm *mm, const struct bh_exec_file *file, const struct bh_elf *elf,
		   uint64_t bias)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		int ret = map_segment(mm, file, &elf->segments[i], bias);

		if (ret)
			return ret;
	}
	return 0;
}

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

/* Where the program goes: its bias. */
static uint64_t choose_bias(const struct bh_mm *mm, const struct bh_elf *elf)
{
	if (elf->is_fixed)
		return 0;
	return align_up(bh_mm_base(mm) + BH_ARENA_PROGRAM, elf->alignment) - elf->low;
}

static void describe_program(struct bh_exec *exec, const struct bh_elf *elf, uint64_t bias)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct bh_elf_segment *segment = &elf->segments[i];
		uint64_t start = segment->address + bias, end = start + segment->file_size;

		if (segment->prot & PROT_EXEC && !exec->start_code) {
			exec->start_code = start;
			exec->end_code = end;
		}
		exec->start_data = start;
		exec->end_data = end;
	}
}

/* Is there room for it in an arena, beside a stack and a heap? */
static int is_too_large(const struct bh_elf *elf)
{
	return elf->high - elf->low + elf->alignment > (BH_ARENA_MAP_TOP - BH_ARENA_PROGRAM) / 2;
}

static int load(struct bh_task *task, struct bh_exec *exec)
{
	struct bh_mm *mm = task->mm;
	uint64_t base = bh_mm_base(mm), bias;
	struct bh_elf elf, interpreter;
	int ret = parse(task->node, &exec->program, &elf);

	if (ret)
		return ret;
	if (is_too_large(&elf))
		return -ENOMEM;
	/* No stubs where later segments of the program will lie. */
	if (elf.is_fixed && elf.low < BH_FIXED_STUBS_END)
		mm->fixed_stubs = BH_FIXED_STUBS_END;
	bias = choose_bias(mm, &elf);
	ret = map_elf(mm, &exec->program, &elf, bias);
	if (ret)
		return ret;
	describe_program(exec, &elf, bias);
	/* The heap of a fixed program is in its arena, not behind it, so that it needn't move. */
	mm->brk_start = elf.is_fixed ? base + BH_ARENA_PROGRAM : elf.high + bias;
	mm->brk = exec->start_brk = mm->brk_start;
	bh_images_add(task->node, exec->pid, &elf, bias, exec->program.path);
	if (exec->interpreter_path[0]) {
		ret = parse(task->node, &exec->interpreter, &interpreter);
		if (ret)
			return ret;
		if (is_too_large(&interpreter))
			return -ENOMEM;
		bias = bh_regions_gap(mm,
				      interpreter.high - interpreter.low + interpreter.alignment,
				      base + BH_ARENA_PROGRAM, base + BH_ARENA_MAP_TOP);
		if (!bias)
			return -ENOMEM;
		bias = align_up(bias, interpreter.alignment) - interpreter.low;
		ret = map_elf(mm, &exec->interpreter, &interpreter, bias);
		if (ret)
			return ret;
		mm->interpreter_bias = bias;
		bh_images_add(task->node, exec->pid, &interpreter, bias, exec->interpreter.path);
	}
	return bh_mm_map_anonymous(mm, base + BH_ARENA_STACK, BH_ARENA_STACK_TOP - BH_ARENA_STACK,
				   PROT_READ | PROT_WRITE);
}

int bh_exec_op_map(void *user_host, void **task_pointer, struct bh_exec *exec, struct pt_regs *regs)
{
	struct bh_posix_node *node = user_host;
	struct bh_task *task = *task_pointer;
	int ret;

	if (!task) {
		task = bh_task_create(node, regs);
		if (!task)
			return -ENOMEM;
		*task_pointer = task;
		task->is_traced = node->callbacks.is_traced && node->callbacks.is_traced(node->arg);
	} else {
		bh_images_remove(node, exec->pid, 0, UINT64_MAX);
		bh_mm_release(task->mm);
		task->mm = NULL;
		bh_task_reset(task);
	}
	task->pid = exec->pid;
	task->is_new = 0;
	ret = bh_mm_create(node, &task->mm);
	if (ret)
		return ret;
	bh_residence_enter(task->mm);
	ret = load(task, exec);
	if (ret)
		bh_posix_node_log(node, "%s could not be mapped: %s", exec->program.path,
				  strerror(-ret));
	bh_images_settle(node);
	exec->stack_top = bh_mm_base(task->mm) + BH_ARENA_STACK_TOP;
	return ret;
}

/* --- the first stack --- */

static uint64_t push(uint64_t *sp, const void *bytes, size_t length)
{
	*sp -= length;
	memcpy((void *)*sp, bytes, length);
	return *sp;
}

/* Writes the addresses of count strings, which lie one after the other at *strings, and NULL. */
static int write_vector(uint64_t **to, uint64_t *strings, unsigned int count, uint64_t end)
{
	for (unsigned int i = 0; i < count; i++) {
		size_t length = strnlen((const char *)*strings, end - *strings);

		if (*strings + length >= end)
			return -EFAULT;
		*(*to)++ = *strings;
		*strings += length + 1;
	}
	*(*to)++ = 0;
	return 0;
}

static void write_auxiliary(uint64_t *to, const struct bh_task *task, const struct bh_exec *exec,
			    const struct bh_elf *elf, uint64_t bias, const uint64_t strings[2])
{
	const uint64_t vector[][2] = {
		{AT_HWCAP, bh_cpu_model_hwcap()},
		{AT_PAGESZ, BH_PAGE_SIZE},
		{AT_CLKTCK, 100},
		{AT_PHDR, elf->phdr ? elf->phdr + bias : 0},
		{AT_PHENT, sizeof(Elf64_Phdr)},
		{AT_PHNUM, elf->phdr_count},
		{AT_BASE, task->mm->interpreter_bias},
		{AT_FLAGS, 0},
		{AT_ENTRY, elf->entry + bias},
		{AT_UID, exec->uid},
		{AT_EUID, exec->euid},
		{AT_GID, exec->gid},
		{AT_EGID, exec->egid},
		{AT_SECURE, exec->uid != exec->euid || exec->gid != exec->egid},
		{AT_RANDOM, strings[0]},
		{AT_HWCAP2, 0},
		{AT_EXECFN, exec->name},
		{AT_PLATFORM, strings[1]},
		{AT_MINSIGSTKSZ, 2048},
		{AT_NULL, 0},
	};

	_Static_assert(sizeof(vector) == BH_AUXV_WORDS * 8, "room on the stack");
	memcpy(to, vector, sizeof(vector));
}

static int build_stack(struct bh_task *task, struct bh_exec *exec, const struct bh_elf *elf,
		       uint64_t bias)
{
	static const char platform[] = "x86_64";
	uint64_t top = bh_mm_base(task->mm) + BH_ARENA_STACK_TOP, next = exec->strings;
	uint64_t sp = exec->strings & ~15ull, strings[2], words, *to;

	strings[0] = push(&sp, exec->random, sizeof(exec->random));
	strings[1] = push(&sp, platform, sizeof(platform));
	words = 1 + exec->argc + 1 + exec->envc + 1 + BH_AUXV_WORDS;
	sp = (sp - words * 8) & ~15ull;
	if (sp < bh_mm_base(task->mm) + BH_ARENA_STACK + (1 << 20))
		return -E2BIG;
	to = (uint64_t *)sp;
	*to++ = exec->argc;
	if (write_vector(&to, &next, exec->argc, top))
		return -EFAULT;
	exec->end_arguments = next;
	if (write_vector(&to, &next, exec->envc, top))
		return -EFAULT;
	exec->end_environment = next;
	write_auxiliary(to, task, exec, elf, bias, strings);
	exec->auxv = (uint64_t)to;
	exec->auxv_size = BH_AUXV_WORDS * 8;
	exec->start_stack = sp;
	return 0;
}

int bh_exec_op_start(void *user_host, void *argument, struct bh_exec *exec, struct pt_regs *regs)
{
	struct bh_posix_node *node = user_host;
	struct bh_task *task = argument;
	struct bh_elf elf, interpreter;
	uint64_t bias;
	int ret = parse(node, &exec->program, &elf);

	if (ret)
		return ret;
	bias = choose_bias(task->mm, &elf);
	ret = build_stack(task, exec, &elf, bias);
	if (ret)
		return ret;
	memset(regs, 0, sizeof(*regs));
	regs->ip = elf.entry + bias;
	if (exec->interpreter_path[0]) {
		ret = parse(node, &exec->interpreter, &interpreter);
		if (ret)
			return ret;
		regs->ip = interpreter.entry + task->mm->interpreter_bias;
	}
	regs->sp = exec->start_stack;
	regs->cs = BH_USER_CS;
	regs->ss = BH_USER_SS;
	regs->flags = 0x202;
	if (node->callbacks.exec)
		node->callbacks.exec(node->arg, exec->pid, exec->program.path,
				     (const char *)exec->strings,
				     exec->end_arguments - exec->strings);
	return 0;
}
