/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions about the past that don't move the replay for whoever asks: which way one call of a
 * function took, who wrote a place in memory last, when a function was last entered. The engine
 * goes there and comes back. Part of the engine, see engine_internal.h; asked by gdb_server_why.c.
 */
#include <stdlib.h>
#include <string.h>

#include "common/disassemble.h"
#include "replayer/engine_internal.h"

/* More instructions than this, those of what the function calls included, aren't followed. */
#define PATH_INSTRUCTIONS_MAX 2000000u
#define PATH_STEPS_MAX	      20000u
#define INSTRUCTION_MAX	      15
/* A call inside the function is stepped through so far; the rest of it is run. */
#define CALL_STEPS_MAX 2000u

/* --- where a call began --- */

struct entry_hunt {
	struct bh_replay *replay;
	uint64_t sp; /* the stack pointer there; 0: any */
};

static int is_entry(void *arg, unsigned int watch_hits)
{
	struct entry_hunt *hunt = arg;
	struct bh_copy *copy = bh_timeline_copy(hunt->replay->timeline);

	(void)watch_hits;
	bh_engine_moved(hunt->replay);
	return !hunt->sp || bh_copy_registers(copy)->rsp == hunt->sp;
}

/* since: going back, no further than the beginning of this event; 0: to that of the run */
static struct bh_error *search_entry(struct bh_replay *replay, uint64_t address, uint64_t sp,
				     uint64_t since, enum bh_direction direction, int *found_ret)
{
	struct entry_hunt hunt = {replay, sp};
	struct bh_search search = {
		.addresses = &address,
		.address_count = 1,
		.accept = is_entry,
		.accept_arg = &hunt,
		.limit_event = since,
	};
	struct bh_find find;

	bh_engine_allow_poll(replay, 1);
	BH_TRY(bh_timeline_search(replay->timeline, &search, direction, &find));
	*found_ret = find.found == BH_FOUND_BREAKPOINT;
	return NULL;
}

/* --- the way through a function --- */

struct path {
	struct bh_replay *replay;
	const struct bh_path_query *query;
	struct bh_disassembler *disassembler;
	uint64_t entry_sp; /* 0: the function hasn't been entered */
	struct bh_path_step *steps;
	size_t count, capacity;
	int is_left;		       /* it returned */
	uint64_t return_pc, return_sp; /* of the call that the last step was; 0: it was none */
};

static uint64_t register_value(const struct user_regs_struct *registers, uint8_t number)
{
	const unsigned long long values[16] = {
		registers->rax, registers->rcx, registers->rdx, registers->rbx,
		registers->rsp, registers->rbp, registers->rsi, registers->rdi,
		registers->r8,	registers->r9,	registers->r10, registers->r11,
		registers->r12, registers->r13, registers->r14, registers->r15,
	};

	return number < 16 ? values[number] : 0;
}

static void look_at_memory(struct bh_copy *copy, const struct user_regs_struct *registers,
			   const struct bh_operation *operation, struct bh_path_step *step)
{
	uint64_t value = 0;
	size_t size = operation->memory_size;

	if (!operation->has_memory)
		return;
	step->address = register_value(registers, operation->base) +
			register_value(registers, operation->index) * operation->scale +
			(uint64_t)operation->displacement;
	if (size && size <= sizeof(value) &&
	    bh_copy_read(copy, step->address, &value, size) == size)
		step->value = value;
}

static struct bh_path_step *add_step(struct path *path)
{
	if (path->count == path->capacity) {
		size_t capacity = path->capacity ? 2 * path->capacity : 256;
		struct bh_path_step *steps = realloc(path->steps, capacity * sizeof(*steps));
		if (!steps)
			return NULL;
		path->steps = steps;
		path->capacity = capacity;
	}
	return &path->steps[path->count++];
}

/* Is this the call that is followed, and not one of the same function inside it? */
static int is_same_call(const struct path *path, const struct user_regs_struct *registers)
{
	return registers->rsp == path->entry_sp || registers->rsp == path->entry_sp - 8 ||
	       registers->rbp == path->entry_sp - 8;
}

static struct bh_error *note_step(struct path *path, struct bh_copy *copy,
				  const struct user_regs_struct *registers)
{
	uint8_t code[INSTRUCTION_MAX];
	struct bh_operation operation;
	size_t size = bh_copy_read(copy, registers->rip, code, sizeof(code));
	struct bh_path_step *step;

	if (!path->entry_sp)
		path->entry_sp = registers->rsp;
	if (!is_same_call(path, registers))
		return NULL;
	step = add_step(path);
	if (!step)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	*step = (struct bh_path_step){
		.position = bh_timeline_position(path->replay->timeline),
		.pc = registers->rip,
		.sp = registers->rsp,
		.rax = registers->rax,
	};
	if (!bh_disassembler_operation(path->disassembler, code, size, registers->rip, &operation))
		return NULL;
	look_at_memory(copy, registers, &operation, step);
	path->return_pc =
		operation.kind == BH_OPERATION_CALL ? registers->rip + operation.length : 0;
	path->return_sp = registers->rsp;
	path->is_left = operation.kind == BH_OPERATION_RETURN && registers->rsp == path->entry_sp;
	return NULL;
}

static int is_inside(const struct bh_path_query *query, uint64_t pc)
{
	return (pc >= query->low && pc < query->high) ||
	       (pc >= query->cold_low && pc < query->cold_high);
}

static int is_behind(struct path *path)
{
	return bh_position_compare(bh_timeline_position(path->replay->timeline),
				   path->query->until) >= 0;
}

/* To the end of a call inside the function, in a run: it may do much. If it never ends, that is
 * behind the position at which the path does. */
static struct bh_error *skip_call(struct path *path)
{
	int found;

	BH_TRY(search_entry(path->replay, path->return_pc, path->return_sp, 0, BH_FORWARD, &found));
	if (!found)
		path->is_left = 1;
	bh_engine_allow_poll(path->replay, 0);
	path->return_pc = 0;
	return NULL;
}

/* One instruction further. was_noted: it follows one that was noted. */
static struct bh_error *look_at_step(struct path *path, int *was_noted)
{
	struct bh_copy *copy = bh_timeline_copy(path->replay->timeline);
	const struct user_regs_struct *registers = bh_copy_registers(copy);
	size_t count = path->count;

	if (*was_noted)
		path->steps[count - 1].next = registers->rip;
	if (is_inside(path->query, registers->rip))
		BH_TRY(note_step(path, copy, registers));
	*was_noted = path->count > count;
	return NULL;
}

static struct bh_error *follow(struct path *path, int *is_complete_ret)
{
	unsigned int outside = 0;
	enum bh_arrival arrival;
	int was_noted = 0;

	*is_complete_ret = 0;
	bh_engine_allow_poll(path->replay, 0);
	for (unsigned int i = 0; i < PATH_INSTRUCTIONS_MAX; i++) {
		if (path->is_left || is_behind(path)) {
			*is_complete_ret = 1;
			return NULL;
		}
		BH_TRY(look_at_step(path, &was_noted));
		outside = was_noted ? 0 : outside + 1;
		if (outside > CALL_STEPS_MAX && path->return_pc) {
			BH_TRY(skip_call(path));
			continue;
		}
		if (path->count == PATH_STEPS_MAX)
			return NULL;
		BH_TRY(bh_timeline_step(path->replay->timeline, BH_FORWARD, &arrival));
		if (arrival != BH_ARRIVED)
			return NULL;
	}
	return NULL;
}

static struct bh_error *find_start(struct bh_replay *replay, const struct bh_path_query *query)
{
	enum bh_arrival arrival;
	int found;

	if (!query->entry_sp)
		return bh_timeline_seek(replay->timeline, query->from, &arrival);
	BH_TRY(bh_timeline_seek(replay->timeline, query->until, &arrival));
	BH_TRY(search_entry(replay, query->low, query->entry_sp, 0, BH_BACKWARD, &found));
	if (found)
		return NULL;
	return bh_error_new(BH_ERR_USAGE, "the beginning of that function's call wasn't found");
}

/* Comes back to where the replay was, whatever happened. */
static struct bh_error *come_back(struct bh_replay *replay, struct bh_position position,
				  struct bh_error *error)
{
	enum bh_arrival arrival;
	struct bh_error *other;

	bh_engine_allow_poll(replay, 0);
	other = bh_timeline_seek(replay->timeline, position, &arrival);
	bh_engine_moved(replay);
	if (!error)
		return other;
	bh_error_free(other);
	return error;
}

struct bh_error *bh_replay_path(struct bh_replay *replay, const struct bh_path_query *query,
				struct bh_path_step **steps_ret, size_t *count_ret,
				int *is_complete_ret)
{
	struct bh_position origin = bh_timeline_position(replay->timeline);
	struct path path = {.replay = replay, .query = query};
	struct bh_error *error;

	bh_replay_branch_leave(replay);
	path.disassembler = bh_disassembler_create();
	if (!path.disassembler)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	error = find_start(replay, query);
	if (!error)
		error = follow(&path, is_complete_ret);
	bh_disassembler_destroy(path.disassembler);
	error = come_back(replay, origin, error);
	if (error) {
		free(path.steps);
		return error;
	}
	*steps_ret = path.steps;
	*count_ret = path.count;
	return NULL;
}

/* --- the last time that something happened --- */

/* What the stack says, by the chain of frame pointers. */
static void look_around(struct bh_replay *replay, struct bh_moment *moment_ret)
{
	struct bh_copy *copy = bh_timeline_copy(replay->timeline);
	const struct user_regs_struct *registers = bh_copy_registers(copy);
	const struct bh_replay_thread *threads;
	uint64_t frame = registers->rbp, next;
	size_t count;

	bh_engine_moved(replay);
	*moment_ret = (struct bh_moment){
		.position = bh_timeline_position(replay->timeline),
		.vtime_ns = bh_replay_vtime_ns(replay),
		.node = bh_replay_node(replay),
		.thread = bh_replay_thread(replay),
		.frame = frame,
	};
	for (unsigned int i = 0; i < 6; i++)
		moment_ret->arguments[i] =
			register_value(registers, (const uint8_t[]){7, 6, 2, 1, 8, 9}[i]);
	moment_ret->pcs[moment_ret->pc_count++] = registers->rip;
	for (; moment_ret->pc_count < BH_MOMENT_PCS_MAX; frame = next) {
		uint64_t pc = bh_copy_read_u64(copy, frame + 8);
		next = bh_copy_read_u64(copy, frame);
		if (!pc)
			break;
		moment_ret->pcs[moment_ret->pc_count++] = pc;
		if (next <= frame)
			break;
	}
	struct bh_error *error = bh_replay_threads(replay, &threads, &count);
	for (size_t i = 0; !error && i < count; i++)
		if (threads[i].id == moment_ret->thread)
			memcpy(moment_ret->task, threads[i].name, sizeof(moment_ret->task));
	bh_error_free(error);
}

static int remember(void *arg, unsigned int watch_hits)
{
	(void)watch_hits;
	bh_engine_moved(arg);
	return 1;
}

static struct bh_error *search_write(struct bh_replay *replay, uint64_t address, size_t length,
				     int *found_ret)
{
	static const uint8_t codes[9] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
	struct bh_search search = {
		.accept = remember,
		.accept_arg = replay,
		.watch_dr7 = 1u | 1u << 16 | (uint64_t)codes[length] << 18,
		.watch_addresses = {address},
	};
	struct bh_find find;

	bh_engine_allow_poll(replay, 1);
	BH_TRY(bh_timeline_search(replay->timeline, &search, BH_BACKWARD, &find));
	*found_ret = find.found == BH_FOUND_WATCH;
	return NULL;
}

struct bh_error *bh_replay_last_write(struct bh_replay *replay, uint64_t address, size_t length,
				      struct bh_position before, int *found_ret,
				      struct bh_moment *moment_ret)
{
	struct bh_position origin = bh_timeline_position(replay->timeline);
	enum bh_arrival arrival;
	struct bh_error *error;

	if ((length != 1 && length != 2 && length != 4 && length != 8) || address % length)
		return bh_error_new(BH_ERR_USAGE,
				    "what is looked for lies in 1, 2, 4 or 8 aligned bytes");
	bh_replay_branch_leave(replay);
	error = bh_timeline_seek(replay->timeline, before, &arrival);
	if (!error)
		error = search_write(replay, address, length, found_ret);
	if (!error)
		look_around(replay, moment_ret);
	return come_back(replay, origin, error);
}

struct bh_error *bh_replay_last_call(struct bh_replay *replay, uint64_t address,
				     struct bh_position before, uint64_t since, int *found_ret,
				     struct bh_moment *moment_ret)
{
	struct bh_position origin = bh_timeline_position(replay->timeline);
	enum bh_arrival arrival;
	struct bh_error *error;

	bh_replay_branch_leave(replay);
	error = bh_timeline_seek(replay->timeline, before, &arrival);
	if (!error)
		error = search_entry(replay, address, 0, since, BH_BACKWARD, found_ret);
	if (!error && *found_ret)
		look_around(replay, moment_ret);
	return come_back(replay, origin, error);
}
