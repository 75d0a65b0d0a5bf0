/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: the simulator's own context and every kernel task of every node, read from outside with
 * the offsets that the image gives (struct bh_task_layout). Part of the engine, see
 * engine_internal.h.
 *
 * Which of them has the CPU is told by the stack pointer where it can be: the words that name the
 * node and its current task change some instructions before or after the stacks are exchanged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel-lib/node.h"
#include "posix/posix.h"
#include "replayer/engine_internal.h"

#define TASKS_PER_NODE_MAX 65536u
#define SIMULATOR_THREAD   1ull
/* At a saved stack pointer: r15, r14, r13, r12, rbx, rbp, resume address. */
#define SAVED_WORDS (BH_SAVED_BYTES / 8)

static uint64_t thread_id(uint64_t node, int pid)
{
	return (node + 1) << 24 | ((uint64_t)pid + 1);
}

const struct bh_task_layout *bh_engine_layout(struct bh_replay *replay, struct bh_replay_node *node)
{
	uint64_t pointer;

	if (node->has_layout && node->layout_move == replay->move)
		return &node->layout;
	/* A move may have led to before the kernel filled it in. */
	pointer = bh_engine_u64(replay,
				node->facts.boot + offsetof(struct bh_boot, image_ops.task_layout));
	node->has_layout = pointer && bh_engine_read(replay, pointer, &node->layout,
						     sizeof(node->layout)) == sizeof(node->layout);
	node->layout_move = replay->move;
	return node->has_layout ? &node->layout : NULL;
}

static int is_in_node(const struct bh_replay_node *node, uint64_t address)
{
	return address >= node->facts.base && address < node->facts.base + BH_NODE_SPAN;
}

static int has_stack_pointer(struct bh_replay *replay, const struct bh_task_layout *layout,
			     uint64_t task, uint64_t sp)
{
	uint64_t stack = bh_engine_u64(replay, task + layout->stack);

	return sp > stack && sp <= stack + BH_KERNEL_STACK_SIZE;
}

/* --- the list --- */

static struct bh_error *add_thread(struct bh_thread_list *list,
				   const struct bh_replay_thread *thread, uint64_t task)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 64;
		void *threads = realloc(list->threads, capacity * sizeof(*list->threads));
		if (threads)
			list->threads = threads;
		void *tasks = realloc(list->tasks, capacity * sizeof(*list->tasks));
		if (tasks)
			list->tasks = tasks;
		if (!threads || !tasks)
			return bh_error_new(BH_ERR_NOMEM, "out of memory");
		list->capacity = capacity;
	}
	list->threads[list->count] = *thread;
	list->tasks[list->count++] = task;
	return NULL;
}

/* What is read of a task_struct at once: all fields of interest lie below this. */
#define TASK_BYTES_MAX 16384u

struct task {
	uint64_t address;
	uint8_t bytes[TASK_BYTES_MAX];
};

static uint64_t task_u64(const struct task *task, unsigned int offset)
{
	uint64_t value;

	memcpy(&value, task->bytes + offset, sizeof(value));
	return value;
}

static uint32_t task_u32(const struct task *task, unsigned int offset)
{
	uint32_t value;

	memcpy(&value, task->bytes + offset, sizeof(value));
	return value;
}

/* One call for a task, because of many nodes there are thousands. Returns 0 if it can't be read. */
static int read_task(struct bh_replay *replay, const struct bh_task_layout *layout,
		     uint64_t address, struct task *task_ret)
{
	const unsigned int offsets[] = {layout->tasks, layout->signal, layout->thread_node,
					layout->pid,   layout->comm,   layout->state,
					layout->mm};
	unsigned int length = 0;

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		if (offsets[i] + 16 > length)
			length = offsets[i] + 16;
	}
	task_ret->address = address;
	return length <= TASK_BYTES_MAX &&
	       bh_engine_read(replay, address, task_ret->bytes, length) == length;
}

static struct bh_error *add_task(struct bh_replay *replay, uint32_t number, const struct task *task)
{
	const struct bh_replay_node *node = &replay->nodes[number];
	const struct bh_task_layout *layout = &node->layout;
	struct bh_replay_thread thread = {.node = number};

	thread.pid = (int)task_u32(task, layout->pid);
	thread.id = thread_id(number, thread.pid);
	thread.is_active = !task_u32(task, layout->state) || task_u64(task, layout->mm);
	/* Between fork and the end of exit a task may be half in the lists. */
	for (size_t i = replay->list.node_start; i < replay->list.count; i++) {
		if (replay->list.threads[i].id == thread.id)
			return NULL;
	}
	snprintf(thread.name, sizeof(thread.name), "%.40s/%.15s-%d", node->name,
		 (const char *)task->bytes + layout->comm, thread.pid);
	return add_thread(&replay->list, &thread, task->address);
}

/* All threads of the process that leader leads. The lists may be in the middle of a change, so
 * nothing in them is trusted. */
static struct bh_error *add_process(struct bh_replay *replay, uint32_t number,
				    const struct task *leader)
{
	const struct bh_replay_node *node = &replay->nodes[number];
	const struct bh_task_layout *layout = &node->layout;
	uint64_t signal = task_u64(leader, layout->signal);
	uint64_t head = signal + layout->signal_thread_head;
	struct task task;

	BH_TRY(add_task(replay, number, leader));
	if (!is_in_node(node, signal))
		return NULL;
	uint64_t link = bh_engine_u64(replay, head);
	for (unsigned int i = 0; i < TASKS_PER_NODE_MAX && link != head; i++) {
		if (!is_in_node(node, link))
			return NULL;
		if (link - layout->thread_node == leader->address) {
			link = task_u64(leader, layout->thread_node);
			continue;
		}
		if (!read_task(replay, layout, link - layout->thread_node, &task))
			return NULL;
		BH_TRY(add_task(replay, number, &task));
		link = task_u64(&task, layout->thread_node);
	}
	return NULL;
}

static struct bh_error *add_node(struct bh_replay *replay, uint32_t number)
{
	struct bh_replay_node *node = &replay->nodes[number];
	const struct bh_task_layout *layout = bh_engine_layout(replay, node);
	struct task task;

	if (!layout || !read_task(replay, layout, layout->init_task, &task))
		return NULL;
	replay->list.node_start = replay->list.count;
	BH_TRY(add_task(replay, number, &task));
	uint64_t head = layout->init_task + layout->tasks;
	uint64_t link = task_u64(&task, layout->tasks);
	for (unsigned int i = 0; i < TASKS_PER_NODE_MAX && link != head; i++) {
		if (!is_in_node(node, link) ||
		    !read_task(replay, layout, link - layout->tasks, &task))
			return NULL;
		link = task_u64(&task, layout->tasks);
		BH_TRY(add_process(replay, number, &task));
	}
	return NULL;
}

/* In a branch, what a node knows can change without its running. */
static void read_runs(struct bh_replay *replay)
{
	size_t size = replay->node_count * sizeof(*replay->runs);

	if (!replay->branch &&
	    bh_engine_read(replay, bh_engine_gate(replay)->runs, replay->runs, size) == size)
		return;
	for (size_t i = 0; i < replay->node_count; i++)
		replay->runs[i] = BH_NOT_KEPT;
}

/* From the former list if the node hasn't run since: of many nodes a step moves only one. */
static struct bh_error *add_or_keep_node(struct bh_replay *replay, uint32_t number)
{
	struct bh_replay_node *node = &replay->nodes[number];
	struct bh_thread_list *list = &replay->list;
	const struct bh_thread_list *former = &replay->former_list;
	size_t start = list->count;
	uint64_t runs = replay->runs[number];

	if (runs % 2 || runs != node->list_runs) {
		node->list_runs = BH_NOT_KEPT;
		BH_TRY(add_node(replay, number));
	} else {
		for (size_t i = 0; i < node->list_count; i++)
			BH_TRY(add_thread(list, &former->threads[node->list_start + i],
					  former->tasks[node->list_start + i]));
	}
	node->list_start = start;
	node->list_count = list->count - start;
	node->list_runs = runs;
	return NULL;
}

static int is_listed(struct bh_replay *replay, uint32_t node)
{
	return replay->only_node == BH_NO_NODE || replay->only_node == node ||
	       bh_engine_gate(replay)->node == node;
}

static struct bh_error *fill_from_former(struct bh_replay *replay)
{
	struct bh_replay_thread simulator = {
		.id = SIMULATOR_THREAD, .node = BH_NO_NODE, .is_active = 1};

	strcpy(simulator.name, "backhop");
	BH_TRY(add_thread(&replay->list, &simulator, 0));
	for (uint32_t node = 0; node < replay->node_count; node++) {
		if (is_listed(replay, node))
			BH_TRY(add_or_keep_node(replay, node));
		else
			replay->nodes[node].list_runs = BH_NOT_KEPT;
	}
	return NULL;
}

static struct bh_error *fill_list(struct bh_replay *replay)
{
	struct bh_thread_list former = replay->list;
	struct bh_error *error;

	if (replay->list.move == replay->move)
		return NULL;
	replay->list = replay->former_list;
	replay->list.count = 0;
	replay->former_list = former;
	read_runs(replay);
	error = fill_from_former(replay);
	/* Half a list is none. */
	for (size_t i = 0; error && i < replay->node_count; i++)
		replay->nodes[i].list_runs = BH_NOT_KEPT;
	replay->list.move = error ? 0 : replay->move;
	return error;
}

struct bh_error *bh_replay_threads(struct bh_replay *replay,
				   const struct bh_replay_thread **threads_ret, size_t *count_ret)
{
	struct bh_thread_list *list = &replay->list;

	BH_TRY(fill_list(replay));
	uint64_t running = bh_engine_running_thread(replay);
	for (size_t i = 0; i < list->count; i++)
		list->threads[i].is_running = list->threads[i].id == running;
	*threads_ret = list->threads;
	*count_ret = list->count;
	return NULL;
}

uint64_t bh_engine_task(struct bh_replay *replay, uint64_t thread)
{
	struct bh_error *error = fill_list(replay);

	if (error) {
		bh_error_free(error);
		return 0;
	}
	for (size_t i = 0; i < replay->list.count; i++) {
		if (replay->list.threads[i].id == thread)
			return replay->list.tasks[i];
	}
	return 0;
}

uint64_t bh_replay_task(struct bh_replay *replay, uint64_t thread)
{
	return bh_engine_task(replay, thread);
}

/* --- who has the CPU --- */

/* The task of a node on whose kernel stack the CPU is, when that isn't the current one's. */
static uint64_t thread_of_stack(struct bh_replay *replay, uint64_t number,
				const struct bh_task_layout *layout, uint64_t sp)
{
	struct bh_error *error = fill_list(replay);

	for (size_t i = 0; !error && i < replay->list.count; i++) {
		if (replay->list.threads[i].node == number &&
		    has_stack_pointer(replay, layout, replay->list.tasks[i], sp))
			return replay->list.threads[i].id;
	}
	bh_error_free(error);
	return 0;
}

static uint64_t find_running_thread(struct bh_replay *replay)
{
	uint64_t sp = bh_copy_registers(bh_engine_copy(replay))->rsp;
	uint64_t number = bh_engine_gate(replay)->node;
	struct bh_replay_node *node = bh_engine_node(replay, number);

	if (sp >= replay->stack_low && sp < replay->stack_high)
		return SIMULATOR_THREAD;
	if (!node && sp >= BH_NODE_BASE && sp < BH_NODE_BASE + BH_NODE_MAX * BH_NODE_SPAN) {
		number = (sp - BH_NODE_BASE) / BH_NODE_SPAN;
		node = bh_engine_node(replay, number);
	}
	if (!node)
		return SIMULATOR_THREAD;
	const struct bh_task_layout *layout = bh_engine_layout(replay, node);
	if (!layout)
		return thread_id(number, 0);
	uint64_t task = bh_engine_u64(replay, layout->current_task);
	if (is_in_node(node, sp) && !has_stack_pointer(replay, layout, task, sp)) {
		uint64_t other = thread_of_stack(replay, number, layout, sp);
		if (other)
			return other;
	}
	return thread_id(number, (int)bh_engine_u32(replay, task + layout->pid));
}

uint64_t bh_engine_running_thread(struct bh_replay *replay)
{
	if (replay->running_move != replay->move) {
		replay->running = find_running_thread(replay);
		replay->running_move = replay->move;
	}
	return replay->running;
}

/* --- registers --- */

/* What a stack exchange saved. */
static struct bh_error *saved_registers(struct bh_replay *replay, uint64_t sp,
					struct user_regs_struct *registers_ret)
{
	const struct user_regs_struct *live = bh_copy_registers(bh_engine_copy(replay));
	uint64_t words[SAVED_WORDS];

	if (bh_engine_read(replay, sp, words, sizeof(words)) != sizeof(words))
		return bh_error_new(BH_ERR_INTERNAL, "a saved stack at %#llx can't be read",
				    (unsigned long long)sp);
	*registers_ret = (struct user_regs_struct){
		.r15 = words[0],
		.r14 = words[1],
		.r13 = words[2],
		.r12 = words[3],
		.rbx = words[4],
		.rbp = words[5],
		.rip = words[6],
		.rsp = sp + sizeof(words),
		.eflags = 0x202,
		.cs = live->cs,
		.ss = live->ss,
		.orig_rax = (unsigned long long)-1,
	};
	return NULL;
}

struct bh_error *bh_engine_saved_stack(struct bh_replay *replay, uint64_t thread, uint64_t *sp_ret)
{
	uint64_t running = bh_engine_running_thread(replay);
	uint64_t task = bh_engine_task(replay, thread);
	struct bh_replay_node *node =
		bh_engine_node(replay, ((thread == SIMULATOR_THREAD ? running : thread) >> 24) - 1);

	if (!node || (thread != SIMULATOR_THREAD && !task))
		return bh_error_new(BH_ERR_INPUT, "there is no thread %llx here",
				    (unsigned long long)thread);
	const struct bh_task_layout *layout = bh_engine_layout(replay, node);
	if (thread == SIMULATOR_THREAD)
		*sp_ret =
			bh_engine_u64(replay, node->facts.boot + offsetof(struct bh_boot, host_sp));
	/* The task with which the node left off idles in the host. */
	else if (running >> 24 != thread >> 24 &&
		 bh_engine_u64(replay, layout->current_task) == task)
		*sp_ret = bh_engine_u64(replay, node->facts.saved_stack);
	else
		*sp_ret = bh_engine_u64(replay, task + layout->thread_sp);
	return NULL;
}

unsigned int bh_engine_stack_words(struct bh_replay *replay, uint64_t thread, uint64_t words_ret[2])
{
	uint64_t running = bh_engine_running_thread(replay);
	uint64_t task = bh_engine_task(replay, thread);
	struct bh_replay_node *node =
		bh_engine_node(replay, ((thread == SIMULATOR_THREAD ? running : thread) >> 24) - 1);

	if (!node)
		return 0;
	if (thread == SIMULATOR_THREAD) {
		words_ret[0] = node->facts.boot + offsetof(struct bh_boot, host_sp);
		return 1;
	}
	words_ret[0] = node->facts.saved_stack;
	if (!task)
		return 1;
	words_ret[1] = task + node->layout.thread_sp;
	return 2;
}

struct bh_error *bh_replay_registers(struct bh_replay *replay, uint64_t thread,
				     struct user_regs_struct *registers_ret)
{
	uint64_t sp = 0;

	if (!thread || thread == bh_engine_running_thread(replay)) {
		*registers_ret = *bh_copy_registers(bh_engine_copy(replay));
		return NULL;
	}
	BH_TRY(bh_engine_saved_stack(replay, thread, &sp));
	return saved_registers(replay, sp, registers_ret);
}
