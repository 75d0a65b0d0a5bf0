/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's record of a program's task: made when a task executes its first program or is copied,
 * gone when the task has left its memory. The functions named _op_ are what the image calls
 * (user_abi.h), on the stack of a kernel task.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "posix/internal.h"

/* entry.S has these numbers. */
_Static_assert(offsetof(struct bh_task, view) == 0, "the view comes first");
_Static_assert(offsetof(struct bh_task_view, regs) == 0, "VIEW_REGS");
_Static_assert(offsetof(struct bh_task_view, fs_base) == 8, "VIEW_FS_BASE");
_Static_assert(offsetof(struct bh_task_view, gs_base) == 16, "VIEW_GS_BASE");
_Static_assert(offsetof(struct bh_task_view, xsave) == 24, "VIEW_XSAVE");
_Static_assert(offsetof(struct bh_task_view, is_in_program) == 32, "VIEW_IN_PROGRAM");

/* In the FXSAVE area. */
#define FCW_OFFSET   0
#define MXCSR_OFFSET 24
#define XSAVE_HEADER 512

/* As on Linux at the start of a program: nothing in use, exceptions masked. */
static void reset_fp(struct bh_task *task)
{
	const uint16_t fcw = 0x37f;
	const uint32_t mxcsr = 0x1f80;
	char *area = task->view.xsave;

	memset(area, 0, bh_xsave_size);
	memcpy(area + FCW_OFFSET, &fcw, sizeof(fcw));
	memcpy(area + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
}

void bh_task_reset(struct bh_task *task)
{
	task->view.fs_base = 0;
	task->view.gs_base = 0;
	reset_fp(task);
}

struct bh_task *bh_task_create(struct bh_posix_node *node, struct pt_regs *regs)
{
	struct bh_task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->view.xsave = aligned_alloc(64, (bh_xsave_size + 63) & ~63ull);
	if (!task->view.xsave) {
		free(task);
		return NULL;
	}
	task->view.regs = (uint64_t *)regs;
	task->view.node = node->id;
	task->node = node;
	bh_task_reset(task);
	task->next = node->tasks;
	task->link = &node->tasks;
	if (task->next)
		task->next->link = &task->next;
	node->tasks = task;
	return task;
}

void bh_task_op_release(void *user_host, void *argument)
{
	struct bh_task *task = argument;

	bh_mm_release(task->mm);
	*task->link = task->next;
	if (task->next)
		task->next->link = task->link;
	if (bh_trap_task == task) {
		bh_trap_task = NULL;
		bh_fp_is_live = 0;
	}
	free(task->view.xsave);
	free(task);
}

/* A copy of the memory for a forked child; the parent is the current task, so it is resident. */
static struct bh_mm *copy_memory(struct bh_mm *parent)
{
	struct bh_posix_node *node = parent->node;
	struct bh_mm *child = calloc(1, sizeof(*child));
	int ret = 0;

	if (!child)
		return NULL;
	/* Both need a place aside while the other has the addresses. */
	if (parent->aside == BH_NO_SLOT)
		parent->aside = bh_mm_slot_take(node);
	child->references = 1;
	child->node = node;
	child->window = parent->window;
	child->uses_fixed = parent->uses_fixed;
	child->brk_start = parent->brk_start;
	child->brk = parent->brk;
	child->stubs = parent->stubs;
	child->high_stubs = parent->high_stubs;
	child->fixed_stubs = parent->fixed_stubs;
	node->arenas[child->window].users++;
	child->aside = parent->aside == BH_NO_SLOT ? BH_NO_SLOT : bh_mm_slot_take(node);
	if (child->aside == BH_NO_SLOT)
		ret = -EAGAIN;
	if (!ret)
		ret = bh_residence_copy(parent, child);
	if (ret) {
		bh_posix_node_log(node, "fork failed: %s", strerror(-ret));
		bh_mm_release(child);
		return NULL;
	}
	return child;
}

void *bh_task_op_fork(void *user_host, void *argument, struct pt_regs *regs, int share_memory,
		      unsigned long fs_base)
{
	struct bh_task *parent = argument, *task = bh_task_create(user_host, regs);

	if (!task)
		return NULL;
	memcpy(task->view.xsave, parent->view.xsave, bh_xsave_size);
	task->view.fs_base = fs_base ? fs_base : parent->view.fs_base;
	task->view.gs_base = parent->view.gs_base;
	task->pid = parent->pid;
	task->is_new = 1;
	task->is_traced = parent->is_traced;
	if (share_memory) {
		task->mm = parent->mm;
		task->mm->references++;
		return task;
	}
	task->mm = copy_memory(parent->mm);
	if (task->mm)
		return task;
	bh_task_op_release(user_host, task);
	return NULL;
}

void bh_task_op_switch(void *user_host, void *argument)
{
	struct bh_task *task = argument;

	if (task->mm)
		bh_residence_enter(task->mm);
}

/* The first way into the program of a task; from then on traps lead out and back. */
void bh_task_op_enter(void *user_host, void *argument)
{
	struct bh_task *task = argument;
	int pid = bh_posix_node_image(task->node)->pid();

	if (task->is_new && pid != task->pid)
		bh_images_copy(task->node, task->pid, pid);
	task->is_new = 0;
	task->pid = pid;
	bh_user_enter(task);
}

void *bh_task_op_fp(void *user_host, void *argument)
{
	struct bh_task *task = argument;
	uint64_t *header = (uint64_t *)((char *)task->view.xsave + XSAVE_HEADER);
	const uint32_t mxcsr_mask = 0xffff;

	/* Parts in their initial state may hold anything in the area: fill them in. */
	if ((*header & 3) != 3) {
		char *area = task->view.xsave;
		const uint16_t fcw = 0x37f;

		if (!(*header & 1)) {
			memset(area, 0, 24);
			memcpy(area + FCW_OFFSET, &fcw, sizeof(fcw));
			memset(area + 32, 0, 128);
		}
		if (!(*header & 2))
			memset(area + 160, 0, 256);
		*header |= 3;
	}
	/* What differs between processors: the last x87 instruction's place, the mask of valid
	 * MXCSR bits; and the unused end, where the host's note about the area lies. */
	memset((char *)task->view.xsave + 6, 0, 18);
	memcpy((char *)task->view.xsave + 28, &mxcsr_mask, sizeof(mxcsr_mask));
	memset((char *)task->view.xsave + 416, 0, 96);
	return task->view.xsave;
}

void bh_task_op_fp_changed(void *user_host, void *argument, int reset)
{
	struct bh_task *task = argument;
	uint64_t *header = (uint64_t *)((char *)task->view.xsave + XSAVE_HEADER);
	uint32_t mxcsr;

	if (reset) {
		reset_fp(task);
		return;
	}
	*header = 3;
	/* Reserved bits would make the host's xrstor fault. */
	memcpy(&mxcsr, (char *)task->view.xsave + MXCSR_OFFSET, sizeof(mxcsr));
	mxcsr &= 0xffff;
	memcpy((char *)task->view.xsave + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
}
