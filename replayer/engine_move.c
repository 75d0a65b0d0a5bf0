/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moving through the replay as engine.h promises: seeks, steps of a thread, searches with
 * conditions and watchpoints. Part of the engine, see engine_internal.h.
 */
#include <stdlib.h>
#include <string.h>

#include "posix/posix.h"
#include "replayer/engine_internal.h"

/* From saving a stack pointer to popping the registers of the other stack, at most. */
#define SWITCH_STEPS_MAX 16

/* --- outcomes --- */

static void finish(struct bh_replay *replay, enum bh_stop_reason reason, struct bh_stop *stop_ret)
{
	bh_engine_moved(replay);
	if (reason == BH_STOP_END && bh_timeline_is_diverged(replay->timeline))
		reason = BH_STOP_DIVERGED;
	stop_ret->reason = reason;
	stop_ret->thread = bh_engine_running_thread(replay);
	if (reason == BH_STOP_SIGNAL)
		stop_ret->signal = bh_timeline_signal(replay->timeline);
}

/* arrived: what to say when the movement did what it should. */
static void finish_arrival(struct bh_replay *replay, enum bh_arrival arrival,
			   enum bh_stop_reason arrived, enum bh_stop_reason earlier,
			   struct bh_stop *stop_ret)
{
	switch (arrival) {
	case BH_ARRIVED:
		finish(replay, arrived, stop_ret);
		break;
	case BH_ARRIVED_EARLIER:
		finish(replay, earlier, stop_ret);
		break;
	case BH_ARRIVED_INTERRUPT:
		finish(replay, BH_STOP_INTERRUPT, stop_ret);
		break;
	case BH_ARRIVED_DIVERGED:
		finish(replay, BH_STOP_DIVERGED, stop_ret);
		break;
	case BH_ARRIVED_EXITING:
		finish(replay, BH_STOP_SIGNAL, stop_ret);
		break;
	}
}

/* A seek that goes wrong is told; single steps are never interrupted. */
static int poll_user(void *arg)
{
	struct bh_replay *replay = arg;

	return replay->poll(replay->poll_arg);
}

void bh_engine_allow_poll(struct bh_replay *replay, int is_allowed)
{
	bh_timeline_set_poll(replay->timeline, is_allowed && replay->poll ? poll_user : NULL,
			     replay);
}

struct bh_error *bh_replay_seek(struct bh_replay *replay, struct bh_position position,
				struct bh_stop *stop_ret)
{
	enum bh_arrival arrival;

	memset(stop_ret, 0, sizeof(*stop_ret));
	bh_replay_branch_leave(replay);
	bh_engine_allow_poll(replay, 1);
	BH_TRY(bh_timeline_seek(replay->timeline, position, &arrival));
	finish_arrival(replay, arrival, BH_STOP_GOTO, BH_STOP_GOTO, stop_ret);
	return NULL;
}

/* --- breakpoints and watchpoints --- */

static size_t breakpoint_place(const struct bh_replay *replay, uint64_t address)
{
	size_t at = 0;

	while (at < replay->breakpoint_count && replay->breakpoints[at].address < address)
		at++;
	return at;
}

static int is_breakpoint(const struct bh_replay *replay, size_t at, uint64_t address)
{
	return at < replay->breakpoint_count && replay->breakpoints[at].address == address;
}

const struct bh_breakpoint *bh_engine_breakpoint(const struct bh_replay *replay, uint64_t address)
{
	size_t at = breakpoint_place(replay, address);

	return is_breakpoint(replay, at, address) ? &replay->breakpoints[at] : NULL;
}

struct bh_error *bh_replay_breakpoint_insert(struct bh_replay *replay, uint64_t address,
					     bh_replay_condition condition, void *arg)
{
	size_t at = breakpoint_place(replay, address);

	if (!is_breakpoint(replay, at, address)) {
		struct bh_breakpoint *grown =
			realloc(replay->breakpoints,
				(replay->breakpoint_count + 1) * sizeof(*replay->breakpoints));
		if (!grown)
			return bh_error_new(BH_ERR_NOMEM, "out of memory");
		replay->breakpoints = grown;
		memmove(grown + at + 1, grown + at,
			(replay->breakpoint_count - at) * sizeof(*grown));
		replay->breakpoint_count++;
	}
	struct bh_breakpoint *breakpoint = &replay->breakpoints[at];
	*breakpoint =
		(struct bh_breakpoint){.address = address, .condition = condition, .arg = arg};
	breakpoint->has_text =
		bh_posix_is_program_address(address) &&
		bh_engine_read(replay, address, breakpoint->text, BH_SEARCH_TEXT) == BH_SEARCH_TEXT;
	return NULL;
}

void bh_replay_breakpoint_explain(struct bh_replay *replay, uint64_t address,
				  const struct bh_probe_condition *condition)
{
	size_t at = breakpoint_place(replay, address);

	if (is_breakpoint(replay, at, address))
		replay->breakpoints[at].bytecode = condition;
}

void bh_replay_breakpoints_ask(struct bh_replay *replay, int is_always)
{
	replay->asks_always = is_always;
}

void bh_replay_breakpoint_remove(struct bh_replay *replay, uint64_t address)
{
	size_t at = breakpoint_place(replay, address);

	if (!is_breakpoint(replay, at, address))
		return;
	replay->breakpoint_count--;
	memmove(replay->breakpoints + at, replay->breakpoints + at + 1,
		(replay->breakpoint_count - at) * sizeof(*replay->breakpoints));
}

/* Debug registers in use: which watch (by index) each belongs to. */
struct watch_plan {
	uint64_t addresses[BH_DEBUG_REGISTERS];
	uint64_t dr7;
	unsigned int count;
	int owner[BH_DEBUG_REGISTERS]; /* index of the watch, or OWNER_SWITCH */
};
#define OWNER_SWITCH (-1)

/* One aligned piece of 1, 2, 4 or 8 bytes. Returns 0 when no register is free. */
static int plan_piece(struct watch_plan *plan, uint64_t address, unsigned int size, int is_write,
		      int owner)
{
	static const uint8_t length_codes[9] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
	unsigned int number = plan->count;

	if (number == BH_DEBUG_REGISTERS)
		return 0;
	plan->addresses[number] = address;
	plan->owner[number] = owner;
	plan->dr7 |= 1ull << (2 * number);
	plan->dr7 |= (is_write ? 1ull : 3ull) << (16 + 4 * number);
	plan->dr7 |= (uint64_t)length_codes[size] << (18 + 4 * number);
	plan->count++;
	return 1;
}

static int plan_watch(struct watch_plan *plan, const struct bh_watch *watch, int owner)
{
	uint64_t address = watch->address, end = watch->address + watch->length;

	while (address < end) {
		unsigned int size = 8;
		while (address % size || address + size > end)
			size /= 2;
		if (!plan_piece(plan, address, size, watch->kind == BH_WATCH_WRITE, owner))
			return 0;
		address += size;
	}
	return 1;
}

static int plan_watches(const struct bh_replay *replay, struct watch_plan *plan)
{
	for (size_t i = 0; i < replay->watch_count; i++) {
		if (!plan_watch(plan, &replay->watches[i], (int)i))
			return 0;
	}
	return 1;
}

struct bh_error *bh_replay_watch_insert(struct bh_replay *replay, uint64_t address, size_t length,
					enum bh_watch_kind kind)
{
	struct watch_plan plan = {0};

	if (!length || length > sizeof(replay->watches[0].former) ||
	    replay->watch_count == BH_WATCHES_MAX)
		return bh_error_new(BH_ERR_INPUT,
				    "%zu bytes can't be watched: there are four debug registers of "
				    "at most eight bytes each",
				    length);
	replay->watches[replay->watch_count] = (struct bh_watch){address, length, kind, {0}};
	replay->watch_count++;
	if (plan_watches(replay, &plan))
		return NULL;
	replay->watch_count--;
	return bh_error_new(BH_ERR_INPUT,
			    "all four debug registers of the processor are taken: delete another "
			    "watchpoint first, or watch fewer bytes");
}

void bh_replay_watch_remove(struct bh_replay *replay, uint64_t address, size_t length,
			    enum bh_watch_kind kind)
{
	for (size_t i = 0; i < replay->watch_count; i++) {
		const struct bh_watch *watch = &replay->watches[i];
		if (watch->address != address || watch->length != length || watch->kind != kind)
			continue;
		replay->watch_count--;
		memmove(replay->watches + i, replay->watches + i + 1,
			(replay->watch_count - i) * sizeof(*replay->watches));
		return;
	}
}

/* --- searching --- */

/* A search of the user's, or for a change of the thread that has the CPU. */
struct quest {
	struct bh_replay *replay;
	struct watch_plan plan;
	enum bh_direction direction;
	/* A thread that is to have the CPU: forwards it goes on at resume_pc with resume_sp,
	 * backwards it saves its stack pointer in a watched word. 0: no thread. */
	uint64_t thread, resume_pc, resume_sp;
	uint64_t limit_event; /* not beyond its beginning; 0: as far as there is history */
	int is_switch;	      /* the last accepted hit is the thread's */
};

static void begin_quest(void *arg)
{
	struct quest *quest = arg;
	struct bh_replay *replay = quest->replay;

	bh_engine_moved(replay);
	for (size_t i = 0; i < replay->watch_count; i++)
		bh_engine_read(replay, replay->watches[i].address, replay->watches[i].former,
			       replay->watches[i].length);
}

/* For a read watchpoint: the processor also stops at writes. */
static int was_read(struct bh_replay *replay, struct bh_watch *watch)
{
	uint8_t now[sizeof(watch->former)];

	if (watch->kind != BH_WATCH_READ ||
	    bh_engine_read(replay, watch->address, now, watch->length) != watch->length)
		return 1;
	if (!memcmp(now, watch->former, watch->length))
		return 1;
	memcpy(watch->former, now, watch->length);
	return 0;
}

static int accept_address(struct quest *quest)
{
	struct bh_replay *replay = quest->replay;
	struct bh_copy *copy = bh_timeline_copy(replay->timeline);
	uint64_t pc = bh_copy_pc(copy);
	size_t at = breakpoint_place(replay, pc);

	if (is_breakpoint(replay, at, pc)) {
		const struct bh_breakpoint *breakpoint = &replay->breakpoints[at];
		if (!breakpoint->condition || breakpoint->condition(breakpoint->arg, replay)) {
			quest->is_switch = 0;
			return 1;
		}
	}
	if (quest->thread && pc == quest->resume_pc &&
	    bh_copy_registers(copy)->rsp == quest->resume_sp) {
		quest->is_switch = 1;
		return 1;
	}
	return 0;
}

static int accept_hit(void *arg, unsigned int watch_hits)
{
	struct quest *quest = arg;
	struct bh_replay *replay = quest->replay;
	int is_accepted = 0;

	bh_engine_moved(replay);
	if (!watch_hits)
		return accept_address(quest);
	for (unsigned int i = 0; i < quest->plan.count; i++) {
		int owner = quest->plan.owner[i];
		if (!(watch_hits >> i & 1))
			continue;
		if (owner >= 0 && was_read(replay, &replay->watches[owner])) {
			is_accepted = 1;
			quest->is_switch = 0;
		} else if (owner == OWNER_SWITCH && !is_accepted &&
			   bh_engine_running_thread(replay) == quest->thread) {
			is_accepted = 1;
			quest->is_switch = 1;
		}
	}
	return is_accepted;
}

/* All breakpoints and, if there is one, the place where the thread goes on; ascending. */
static uint64_t *quest_addresses(const struct quest *quest, size_t *count_ret)
{
	const struct bh_replay *replay = quest->replay;
	uint64_t *addresses = calloc(replay->breakpoint_count + 1, sizeof(*addresses));
	uint64_t extra = quest->resume_pc;
	size_t count = 0;

	for (size_t i = 0; addresses && i < replay->breakpoint_count; i++) {
		uint64_t address = replay->breakpoints[i].address;
		if (extra && extra < address)
			addresses[count++] = extra;
		if (extra && extra <= address)
			extra = 0;
		addresses[count++] = address;
	}
	if (addresses && extra)
		addresses[count++] = extra;
	*count_ret = count;
	return addresses;
}

/* The bytecode of each of these addresses, as far as there is one. */
static const struct bh_probe_condition **quest_conditions(const struct quest *quest,
							  const uint64_t *addresses, size_t count)
{
	const struct bh_probe_condition **conditions = calloc(count + 1, sizeof(*conditions));

	for (size_t i = 0; conditions && i < count; i++) {
		const struct bh_breakpoint *breakpoint =
			bh_engine_breakpoint(quest->replay, addresses[i]);
		if (breakpoint && !quest->replay->asks_always)
			conditions[i] = breakpoint->bytecode;
	}
	return conditions;
}

/* What must be there, as far as that is known. */
static const uint8_t **quest_texts(const struct quest *quest, const uint64_t *addresses,
				   size_t count)
{
	const uint8_t **texts = calloc(count + 1, sizeof(*texts));

	for (size_t i = 0; texts && i < count; i++) {
		const struct bh_breakpoint *breakpoint =
			bh_engine_breakpoint(quest->replay, addresses[i]);
		if (breakpoint && breakpoint->has_text)
			texts[i] = breakpoint->text;
	}
	return texts;
}

/* Programs come and go: what is planted in their text must be looked after when they do. */
static uint64_t remap_address(const struct bh_replay *replay)
{
	for (size_t i = 0; i < replay->breakpoint_count; i++)
		if (bh_posix_is_program_address(replay->breakpoints[i].address))
			return (uintptr_t)bh_posix_images_change;
	return 0;
}

static struct bh_error *run_quest(struct quest *quest, struct bh_find *find_ret)
{
	struct bh_replay *replay = quest->replay;
	struct bh_search search = {
		.accept = accept_hit,
		.begin = begin_quest,
		.accept_arg = quest,
		.limit_event = quest->limit_event,
	};
	uint64_t words[2];
	uint64_t *addresses = quest_addresses(quest, &search.address_count);
	const struct bh_probe_condition **conditions =
		addresses ? quest_conditions(quest, addresses, search.address_count) : NULL;

	const uint8_t **texts =
		conditions ? quest_texts(quest, addresses, search.address_count) : NULL;

	if (!texts) {
		free(conditions);
		free(addresses);
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	search.addresses = addresses;
	search.conditions = conditions;
	search.texts = texts;
	/* The thread's words first: a step must come back. */
	if (quest->thread && quest->direction == BH_BACKWARD) {
		unsigned int count = bh_engine_stack_words(replay, quest->thread, words);
		for (unsigned int i = 0; i < count; i++)
			plan_piece(&quest->plan, words[i], 8, 1, OWNER_SWITCH);
	}
	plan_watches(replay, &quest->plan);
	memcpy(search.watch_addresses, quest->plan.addresses, sizeof(search.watch_addresses));
	search.watch_dr7 = quest->plan.dr7;
	search.remap_address = remap_address(replay);
	bh_engine_allow_poll(replay, 1);
	struct bh_error *error =
		bh_timeline_search(replay->timeline, &search, quest->direction, find_ret);
	free(texts);
	free(conditions);
	free(addresses);
	return error;
}

static void finish_watch(struct quest *quest, const struct bh_find *find, struct bh_stop *stop_ret)
{
	struct bh_replay *replay = quest->replay;

	for (unsigned int i = 0; i < quest->plan.count; i++) {
		if (find->watch_hits >> i & 1 && quest->plan.owner[i] >= 0)
			stop_ret->address = replay->watches[quest->plan.owner[i]].address;
	}
	finish(replay, BH_STOP_WATCHPOINT, stop_ret);
}

static void finish_find(struct quest *quest, const struct bh_find *find, struct bh_stop *stop_ret)
{
	struct bh_replay *replay = quest->replay;

	switch (find->found) {
	case BH_FOUND_NOTHING:
		finish(replay, quest->direction == BH_FORWARD ? BH_STOP_END : BH_STOP_BEGIN,
		       stop_ret);
		break;
	case BH_FOUND_LIMIT:
		finish(replay, BH_STOP_GOTO, stop_ret);
		break;
	case BH_FOUND_BREAKPOINT:
		stop_ret->address = find->address;
		finish(replay, BH_STOP_BREAKPOINT, stop_ret);
		break;
	case BH_FOUND_WATCH:
		finish_watch(quest, find, stop_ret);
		break;
	case BH_FOUND_INTERRUPT:
		finish(replay, BH_STOP_INTERRUPT, stop_ret);
		break;
	case BH_FOUND_DIVERGED:
		finish(replay, BH_STOP_DIVERGED, stop_ret);
		break;
	case BH_FOUND_EXITING:
		finish(replay, BH_STOP_SIGNAL, stop_ret);
		break;
	}
}

struct bh_error *bh_replay_continue_to(struct bh_replay *replay, enum bh_direction direction,
				       uint64_t event, struct bh_stop *stop_ret)
{
	struct quest quest = {.replay = replay, .direction = direction, .limit_event = event};
	struct bh_find find;

	memset(stop_ret, 0, sizeof(*stop_ret));
	bh_replay_branch_leave(replay);
	BH_TRY(run_quest(&quest, &find));
	finish_find(&quest, &find, stop_ret);
	return NULL;
}

struct bh_error *bh_replay_continue(struct bh_replay *replay, enum bh_direction direction,
				    struct bh_stop *stop_ret)
{
	return bh_replay_continue_to(replay, direction, 0, stop_ret);
}

/* --- steps --- */

static struct bh_error *step_once(struct bh_replay *replay, enum bh_direction direction,
				  struct bh_stop *stop_ret)
{
	enum bh_arrival arrival;

	bh_engine_allow_poll(replay, 0);
	BH_TRY(bh_timeline_step(replay->timeline, direction, &arrival));
	finish_arrival(replay, arrival, BH_STOP_STEP,
		       direction == BH_FORWARD ? BH_STOP_END : BH_STOP_BEGIN, stop_ret);
	return NULL;
}

static enum bh_direction opposite(enum bh_direction direction)
{
	return direction == BH_FORWARD ? BH_BACKWARD : BH_FORWARD;
}

static struct bh_error *step_while(struct bh_replay *replay, uint64_t thread, int has_cpu,
				   enum bh_direction direction, struct bh_stop *stop_ret)
{
	for (unsigned int i = 0; i < SWITCH_STEPS_MAX; i++) {
		if ((stop_ret->thread == thread) != has_cpu)
			break;
		BH_TRY(step_once(replay, direction, stop_ret));
		if (stop_ret->reason != BH_STOP_STEP)
			break;
	}
	return NULL;
}

/* The thread has given up the CPU (backwards: has just got it): to where it has it. */
static struct bh_error *step_to_thread(struct bh_replay *replay, uint64_t thread, int had_cpu,
				       enum bh_direction direction, struct bh_stop *stop_ret)
{
	struct quest quest = {.replay = replay, .direction = direction, .thread = thread};
	struct bh_find find;

	if (direction == BH_FORWARD) {
		BH_TRY(bh_engine_saved_stack(replay, thread, &quest.resume_sp));
		quest.resume_sp += BH_SAVED_BYTES;
		quest.resume_pc = bh_engine_u64(replay, quest.resume_sp - 8);
	}
	BH_TRY(run_quest(&quest, &find));
	if ((find.found != BH_FOUND_WATCH && find.found != BH_FOUND_BREAKPOINT) ||
	    !quest.is_switch) {
		finish_find(&quest, &find, stop_ret);
		return NULL;
	}
	finish(replay, BH_STOP_STEP, stop_ret);
	/* One that was only looked at goes on where it was shown. */
	if (direction == BH_FORWARD && !had_cpu)
		return NULL;
	/* Its stack pointer is about to be saved, or it has popped its registers: the last (first)
	 * position is a few instructions from here. */
	BH_TRY(step_while(replay, thread, 1, opposite(direction), stop_ret));
	return step_while(replay, thread, 0, direction, stop_ret);
}

struct bh_error *bh_replay_step(struct bh_replay *replay, uint64_t thread,
				enum bh_direction direction, struct bh_stop *stop_ret)
{
	bh_replay_branch_leave(replay);

	uint64_t running = bh_engine_running_thread(replay);

	memset(stop_ret, 0, sizeof(*stop_ret));
	if (!thread)
		thread = running;
	BH_TRY(step_once(replay, direction, stop_ret));
	if (stop_ret->reason != BH_STOP_STEP || stop_ret->thread == thread)
		return NULL;
	return step_to_thread(replay, thread, thread == running, direction, stop_ret);
}
