/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The throw-away branch: a fork of the replayed process in which the user may change registers and
 * memory and call functions, while the replay itself stands still. Part of the engine, see
 * engine.h and engine_internal.h; used by gdb_server_registers.c, gdb_server_query.c (writes) and
 * gdb_server_resume.c (calls).
 */
#include <stdlib.h>
#include <string.h>

#include "replayer/engine_internal.h"

int bh_replay_is_branched(const struct bh_replay *replay)
{
	return replay->branch != NULL;
}

int bh_replay_branch_is_away(struct bh_replay *replay)
{
	const struct user_regs_struct *trunk, *branch;

	if (!replay->branch)
		return 0;
	trunk = bh_copy_registers(bh_timeline_copy(replay->timeline));
	branch = bh_copy_registers(replay->branch);
	return trunk->rip != branch->rip || trunk->rsp != branch->rsp;
}

void bh_replay_branch_leave(struct bh_replay *replay)
{
	if (!replay->branch)
		return;
	bh_copy_destroy(replay->branch);
	replay->branch = NULL;
	bh_engine_moved(replay);
}

/* The branch is an ordinary process: nothing is planted in it and nothing counts while it stands.
 */
static struct bh_error *enter(struct bh_replay *replay)
{
	struct bh_copy *current = bh_timeline_copy(replay->timeline);
	struct bh_copy *branch;

	if (replay->branch)
		return NULL;
	if (!current->is_exact || current->is_over)
		return bh_error_new(BH_ERR_INPUT,
				    "nothing can be changed here, where the replayed process is "
				    "about to end: go back first, with reverse-stepi for example");
	BH_TRY(bh_copy_fork(current, &branch));
	struct bh_error *error = bh_copy_plant(branch, NULL, 0, NULL);
	if (!error)
		error = bh_copy_count(branch, 0);
	if (error) {
		bh_copy_destroy(branch);
		return error;
	}
	replay->branch = branch;
	bh_engine_moved(replay);
	return NULL;
}

struct bh_error *bh_replay_write(struct bh_replay *replay, uint64_t address, const void *bytes,
				 size_t length)
{
	const uint8_t *from = bytes;

	BH_TRY(enter(replay));
	struct bh_tracee *tracee = replay->branch->tracee;
	/* Text, which a program itself couldn't write, byte by byte. */
	if (length && bh_tracee_write(tracee, address, bytes, length)) {
		for (size_t i = 0; i < length; i++)
			if (bh_tracee_poke(tracee, address + i, from[i]))
				return bh_error_new(BH_ERR_INPUT,
						    "there is no memory that can be written at "
						    "%#lx",
						    address + i);
	}
	bh_engine_moved(replay);
	return NULL;
}

struct bh_error *bh_replay_set_registers(struct bh_replay *replay,
					 const struct user_regs_struct *registers)
{
	BH_TRY(enter(replay));
	*bh_copy_registers(replay->branch) = *registers;
	bh_tracee_registers_changed(replay->branch->tracee);
	bh_engine_moved(replay);
	return NULL;
}

struct bh_error *bh_replay_set_fp_registers(struct bh_replay *replay,
					    const struct user_fpregs_struct *registers)
{
	BH_TRY(enter(replay));
	return bh_tracee_set_fp_registers(replay->branch->tracee, registers);
}

/* --- running --- */

static struct bh_error *plant(struct bh_replay *replay)
{
	uint64_t *addresses = calloc(replay->breakpoint_count + 1, sizeof(*addresses));

	if (!addresses)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < replay->breakpoint_count; i++)
		addresses[i] = replay->breakpoints[i].address;
	struct bh_error *error =
		bh_copy_plant(replay->branch, addresses, replay->breakpoint_count, NULL);
	free(addresses);
	return error;
}

static int stops_here(struct bh_replay *replay)
{
	const struct bh_breakpoint *breakpoint =
		bh_engine_breakpoint(replay, bh_copy_pc(replay->branch));

	bh_engine_moved(replay);
	return breakpoint &&
	       (!breakpoint->condition || breakpoint->condition(breakpoint->arg, replay));
}

/* What happens in a branch is in no trace, so events and divergence stop nothing. */
static struct bh_error *run(struct bh_replay *replay, struct bh_end *end_ret)
{
	struct bh_limits limits = {.skip_planted = 1};

	BH_TRY(plant(replay));
	do {
		BH_TRY(bh_copy_run(replay->branch, &limits, end_ret));
		limits.skip_planted = end_ret->kind == BH_END_PLANTED;
	} while (!end_ret->is_interrupted &&
		 (end_ret->kind == BH_END_EVENT || end_ret->kind == BH_END_GATE ||
		  (end_ret->kind == BH_END_PLANTED && !stops_here(replay))));
	return bh_copy_plant(replay->branch, NULL, 0, NULL);
}

static enum bh_stop_reason reason_of(const struct bh_end *end)
{
	if (end->is_interrupted)
		return BH_STOP_INTERRUPT;
	return end->kind == BH_END_PLANTED ? BH_STOP_BREAKPOINT : BH_STOP_STEP;
}

struct bh_error *bh_replay_branch_run(struct bh_replay *replay, int is_step,
				      struct bh_stop *stop_ret)
{
	struct bh_end end = {0};

	memset(stop_ret, 0, sizeof(*stop_ret));
	BH_TRY(enter(replay));
	bh_engine_allow_poll(replay, 1);
	BH_TRY(is_step ? bh_copy_step(replay->branch, NULL, &end) : run(replay, &end));
	bh_engine_moved(replay);
	if (end.kind == BH_END_EXITING) {
		bh_replay_branch_leave(replay);
		stop_ret->reason = BH_STOP_BRANCH_END;
	} else {
		stop_ret->reason = reason_of(&end);
		stop_ret->address = bh_copy_pc(replay->branch);
	}
	stop_ret->thread = bh_engine_running_thread(replay);
	return NULL;
}
