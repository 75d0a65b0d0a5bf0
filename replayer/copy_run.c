/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moving a copy forward, by one instruction or until something stops it. See copy.h. */
#include <signal.h>
#include <string.h>

#include "replayer/copy.h"
#include "replayer/copy_internal.h"
#include "replayer/instruction.h"
#include "replayer/probe.h"
#include "simulator/gate.h"

#define TRAP_FLAG 0x100ull
#define POLL_MS	  100
/* What a single step costs, about. */
#define STEP_NS 20000
/* How long an interrupted run may take to reach its next event before it is held anyway. */
#define PATIENCE_MS 3000

static struct bh_error *write_word(struct bh_copy *copy, const volatile void *address,
				   uint64_t value)
{
	if (bh_tracee_write(copy->tracee, (uintptr_t)address, &value, sizeof(value)))
		return bh_error_new(BH_ERR_INTERNAL, "cannot write to the replayed process %d",
				    (int)bh_tracee_pid(copy->tracee));
	return NULL;
}

static uint64_t read_word(struct bh_copy *copy, const volatile void *address)
{
	uint64_t value = 0;

	bh_tracee_read(copy->tracee, (uintptr_t)address, &value, sizeof(value));
	return value;
}

static struct bh_error *set_stop_event(struct bh_copy *copy, uint64_t event)
{
	if (copy->written_stop_event == event)
		return NULL;
	copy->written_stop_event = event;
	return write_word(copy, &bh_gate.stop_event, event);
}

/* At a stop right behind bh_gate_trap()'s int3. */
static void end_at_gate(struct bh_copy *copy, struct bh_end *end)
{
	uint64_t event = read_word(copy, &bh_gate.event);

	/*
	 * A copy that knows to be in this event already is held for another reason. One that was in
	 * the last instructions before the gate may have compared with an older stop_event, so the
	 * next event is always good.
	 */
	if ((event < copy->written_stop_event && event != copy->position.event + 1 &&
	     !copy->space->is_sparse) ||
	    (copy->is_exact && event == copy->position.event)) {
		end->kind = BH_END_GATE;
		copy->is_exact = 0;
		copy->position.event = event;
		return;
	}
	end->kind = BH_END_EVENT;
	copy->position = (struct bh_position){event, 0, 0};
	copy->is_exact = 1;
}

static void end_exiting(struct bh_copy *copy, const struct bh_wait *wait, struct bh_end *end)
{
	end->kind = BH_END_EXITING;
	end->signal = wait->signal;
	copy->is_exact = 0;
	copy->is_over = 1;
}

/*
 * After a step ended in a signal: delivers it and stops at the handler. Returns 1 if that worked, 0
 * if the process ends (end_ret is set then).
 */
struct bh_error *bh_copy_deliver(struct bh_copy *copy, struct bh_wait *wait, struct bh_end *end,
				 int *is_alive_ret)
{
	*is_alive_ret = 1;
	while (wait->kind == BH_WAIT_SIGNAL) {
		/* The host left it there with the trap flag of this step. */
		if (wait->signal == SIGSYS) {
			bh_tracee_registers(copy->tracee)->r11 &= ~TRAP_FLAG;
			bh_tracee_registers_changed(copy->tracee);
		}
		BH_TRY(bh_tracee_resume(copy->tracee, 1, wait->signal));
		BH_TRY(bh_tracee_wait(copy->tracee, -1, wait));
	}
	if (wait->kind == BH_WAIT_EXITING || wait->kind == BH_WAIT_GONE) {
		end_exiting(copy, wait, end);
		*is_alive_ret = 0;
	}
	return NULL;
}

/* The flags went somewhere visible with our trap flag in them. */
static void hide_trap_flag(struct bh_copy *copy, enum bh_instruction_kind kind)
{
	struct user_regs_struct *registers = bh_tracee_registers(copy->tracee);
	uint8_t byte;

	if (kind == BH_INSTRUCTION_SYSCALL && registers->r11 & TRAP_FLAG) {
		unsigned long long orig_rax = registers->orig_rax;
		registers->r11 &= ~TRAP_FLAG;
		bh_tracee_registers_changed(copy->tracee);
		registers->orig_rax = orig_rax;
	} else if (kind == BH_INSTRUCTION_PUSHF) {
		if (bh_tracee_read(copy->tracee, registers->rsp + 1, &byte, 1) == 1 && byte & 1) {
			byte &= (uint8_t)~1;
			bh_tracee_write(copy->tracee, registers->rsp + 1, &byte, 1);
		}
	}
}

/* Runs freely from pc to next, where the one instruction at pc leads. */
static struct bh_error *run_to(struct bh_copy *copy, uint64_t pc, uint64_t next,
			       struct bh_wait *wait, struct bh_end *end)
{
	int is_mine = !bh_copy_find_planted(copy, next);
	uint8_t original = 0;
	struct bh_error *error = NULL;

	if (is_mine && (bh_tracee_read(copy->tracee, next, &original, 1) != 1 ||
			bh_tracee_poke(copy->tracee, next, BH_INT3)))
		return bh_error_new(BH_ERR_INTERNAL, "cannot step the instruction at %#llx",
				    (unsigned long long)pc);
	do {
		error = bh_tracee_resume(copy->tracee, 0, 0);
		if (!error)
			error = bh_tracee_wait(copy->tracee, -1, wait);
		if (error || wait->kind != BH_WAIT_TRAP)
			break;
		end->watch_hits |= bh_tracee_watch_hits(copy->tracee);
	} while (bh_copy_pc(copy) == pc);
	if (is_mine && !error && wait->kind != BH_WAIT_GONE)
		bh_tracee_poke(copy->tracee, next, original);
	if (!error && wait->kind == BH_WAIT_TRAP && bh_copy_pc(copy) == next + 1)
		bh_copy_set_pc(copy, next);
	return error;
}

/* One instruction under the trap flag. */
static struct bh_error *trap_step(struct bh_copy *copy, struct bh_wait *wait, struct bh_end *end)
{
	BH_TRY(bh_tracee_resume(copy->tracee, 1, 0));
	BH_TRY(bh_tracee_wait(copy->tracee, -1, wait));
	if (wait->kind == BH_WAIT_TRAP)
		end->watch_hits |= bh_tracee_watch_hits(copy->tracee);
	return NULL;
}

static struct bh_error *execute(struct bh_copy *copy, struct bh_end *end)
{
	uint64_t pc = bh_copy_pc(copy);
	uint8_t bytes[16];
	size_t length = 0;
	struct bh_wait wait;
	int is_alive;

	size_t count = bh_copy_read(copy, pc, bytes, sizeof(bytes));
	enum bh_instruction_kind kind = bh_instruction_classify(bytes, count, &length);
	uint64_t next = 0;
	if (kind == BH_INSTRUCTION_POPF)
		next = pc + length;
	else if (kind == BH_INSTRUCTION_IRET)
		next = bh_copy_read_u64(copy, bh_tracee_registers(copy->tracee)->rsp);
	/* A program may be sent to where nothing is. */
	if (next && bh_copy_read(copy, next, bytes, 1) == 1)
		BH_TRY(run_to(copy, pc, next, &wait, end));
	else
		BH_TRY(trap_step(copy, &wait, end));
	if (wait.kind == BH_WAIT_TRAP) {
		if (kind == BH_INSTRUCTION_REP_STRING && bh_copy_pc(copy) == pc)
			BH_TRY(run_to(copy, pc, pc + length, &wait, end));
		else if (kind == BH_INSTRUCTION_SYSCALL || kind == BH_INSTRUCTION_PUSHF)
			hide_trap_flag(copy, kind);
	}
	BH_TRY(bh_copy_deliver(copy, &wait, end, &is_alive));
	if (is_alive)
		end->kind = BH_END_STEP;
	return NULL;
}

/* One instruction, whatever is planted at it. TICK means that an entry's NOP was executed. */
static struct bh_error *raw_step(struct bh_copy *copy, struct bh_end *end)
{
	uint64_t pc = bh_copy_pc(copy);

	if (bh_copy_is_at_entry(copy)) {
		bh_copy_set_pc(copy, pc + BH_ENTRY_BYTES);
		end->kind = BH_END_TICK;
		return NULL;
	}
	if (bh_copy_is_at_gate(copy)) {
		bh_copy_set_pc(copy, pc + 1);
		end_at_gate(copy, end);
		return NULL;
	}
	const struct bh_planted *planted = bh_copy_find_planted(copy, pc);
	if (!planted)
		return execute(copy, end);
	if (bh_tracee_poke(copy->tracee, pc, planted->original))
		return bh_error_new(BH_ERR_INTERNAL, "cannot lift the breakpoint at %#llx",
				    (unsigned long long)pc);
	BH_TRY(execute(copy, end));
	if (end->kind != BH_END_EXITING)
		bh_tracee_poke(copy->tracee, pc, BH_INT3);
	return NULL;
}

struct bh_error *bh_copy_prepare_step(struct bh_copy *copy, const struct bh_limits *limits)
{
	bh_copy_disarm(copy);
	BH_TRY(set_stop_event(copy, copy->position.event + 1));
	return bh_tracee_watch(copy->tracee, limits ? limits->watch_addresses : NULL,
			       limits ? limits->watch_dr7 : 0);
}

struct bh_error *bh_copy_step(struct bh_copy *copy, const struct bh_limits *limits,
			      struct bh_end *end_ret)
{
	struct bh_end end = {0};

	BH_TRY(bh_copy_prepare_step(copy, limits));
	end.ticks = copy->position.tick;
	BH_TRY(raw_step(copy, &end));
	if (end.kind == BH_END_STEP) {
		copy->position.instruction++;
	} else if (end.kind == BH_END_TICK) {
		copy->position.tick++;
		copy->position.instruction = 0;
	}
	copy->cost_ns += STEP_NS;
	*end_ret = end;
	return NULL;
}

/* Which of our traps is this stop? Returns 0 if none: then it is the program's own. */
static int classify_trap(struct bh_copy *copy, struct bh_end *end)
{
	uint64_t pc = bh_copy_pc(copy);

	end->watch_hits = bh_tracee_watch_hits(copy->tracee);
	if (end->watch_hits) {
		end->kind = BH_END_WATCH;
		return 1;
	}
	uint64_t probed = copy->armed ? bh_probe_set_stopped_at(copy->armed, pc) : 0;
	if (probed || bh_copy_find_planted(copy, pc - 1)) {
		bh_copy_set_pc(copy, probed ? probed : pc - 1);
		end->kind = BH_END_PLANTED;
		return 1;
	}
	if (pc == (uintptr_t)bh_gate_trap + 1) {
		if (copy->is_counting)
			end->ticks = read_word(copy, &bh_tick_state.count);
		end_at_gate(copy, end);
		return 1;
	}
	for (size_t i = 0; copy->is_counting && i < copy->space->region_count; i++) {
		const struct bh_tick_region *region = &copy->space->regions[i];
		if (pc != region->base + bh_tick_text_trap(region->text))
			continue;
		uint64_t slot = region->base + bh_tick_text_return_slot(region->text);
		uint64_t next = 0;
		bh_tracee_read(copy->tracee, slot, &next, sizeof(next));
		bh_copy_set_pc(copy, next);
		end->kind = BH_END_TICK;
		return 1;
	}
	return 0;
}

/* Called while the tracee runs: asks poll, and if it wants to stop, makes the next event stop. */
static struct bh_error *poll_running(struct bh_copy *copy, struct bh_end *end,
				     unsigned int *waited_ms)
{
	const struct bh_space *space = copy->space;

	if (!end->is_interrupted) {
		if (!space->poll || !space->poll(space->poll_arg))
			return NULL;
		end->is_interrupted = 1;
		*waited_ms = 0;
	} else {
		*waited_ms += POLL_MS;
	}
	uint64_t event = read_word(copy, &bh_gate.event);
	BH_TRY(set_stop_event(copy, event + 1));
	if (*waited_ms >= PATIENCE_MS)
		bh_tracee_interrupt(copy->tracee);
	return NULL;
}

/* A condition that a probe evaluates reads where nothing is. Returns non-zero if that is so. */
static int fail_probe_load(struct bh_copy *copy)
{
	if (bh_copy_pc(copy) != (uintptr_t)bh_probe_load_access)
		return 0;
	bh_copy_set_pc(copy, (uintptr_t)bh_probe_load_failed);
	return 1;
}

/*
 * A signal comes up in displaced code: it is that of the original instruction, for which the
 * handler looks. The handler may go on behind it or try it again, in the original text, perhaps in
 * the middle of what a jump replaces. So the jumps are gone from then on; the int3s in their places
 * do it.
 */
static void take_back(struct bh_copy *copy)
{
	uint64_t pushed;
	uint64_t pc = bh_copy_pc(copy);
	uint64_t origin = copy->armed ? bh_probe_set_origin(copy->armed, pc, &pushed) : 0;

	if (origin)
		bh_probe_set_lift(copy->armed, copy);
	else
		origin = bh_copy_over_origin(copy, pc, &pushed);
	if (!origin)
		return;
	bh_tracee_registers(copy->tracee)->rsp += pushed;
	bh_copy_set_pc(copy, origin);
}

static struct bh_error *wait_for_end(struct bh_copy *copy, struct bh_end *end)
{
	unsigned int waited_ms = 0;
	struct bh_wait wait;

	for (;;) {
		BH_TRY(bh_tracee_wait(copy->tracee, POLL_MS, &wait));
		switch (wait.kind) {
		case BH_WAIT_TIMEOUT:
			BH_TRY(poll_running(copy, end, &waited_ms));
			continue;
		case BH_WAIT_TRAP:
			if (classify_trap(copy, end))
				return NULL;
			BH_TRY(bh_tracee_resume(copy->tracee, 0, SIGTRAP));
			continue;
		case BH_WAIT_SIGNAL:
			/* gdb plants on the stack for the return of a function that it calls; from
			 * where nothing may be executed, the int3 isn't even fetched. */
			if (wait.signal == SIGSEGV &&
			    bh_copy_find_planted(copy, bh_copy_pc(copy))) {
				end->kind = BH_END_PLANTED;
				return NULL;
			}
			take_back(copy);
			BH_TRY(bh_tracee_resume(copy->tracee, 0,
						fail_probe_load(copy) ? 0 : wait.signal));
			continue;
		case BH_WAIT_HELD:
			if (end->is_interrupted) {
				end->kind = BH_END_POLL;
				copy->is_exact = 0;
				return NULL;
			}
			BH_TRY(bh_tracee_resume(copy->tracee, 0, 0));
			continue;
		default:
			end_exiting(copy, &wait, end);
			return NULL;
		}
	}
}

/* Where the copy is after a run that ended in kind. */
static void settle(struct bh_copy *copy, const struct bh_limits *limits, const struct bh_end *end)
{
	const struct bh_gate *gate;

	switch (end->kind) {
	case BH_END_TICK:
		copy->position.tick = limits->stop_tick;
		copy->position.instruction = 0;
		copy->is_exact = 1;
		break;
	case BH_END_PLANTED:
	case BH_END_WATCH:
	case BH_END_EXITING:
		gate = bh_copy_gate(copy);
		copy->position.event = gate ? gate->event : 0;
		copy->position.tick = copy->is_counting ? read_word(copy, &bh_tick_state.count) : 0;
		copy->position.instruction = 0;
		copy->is_exact = 0;
		break;
	default:
		break;
	}
}

int bh_copy_uses_probes(const struct bh_copy *copy, const struct bh_limits *limits)
{
	return limits->probes && !bh_probe_set_is_empty(limits->probes) && !copy->is_counting &&
	       !limits->watch_dr7;
}

/* What executes the instruction here and goes on, so that no step is needed; 0: there is nothing.
 */
static uint64_t find_displaced(struct bh_copy *copy, const struct bh_limits *limits)
{
	uint64_t pc = bh_copy_pc(copy);

	if (!limits->probes || copy->is_counting || limits->watch_dr7)
		return 0;
	uint64_t displaced = bh_probe_set_displaced(limits->probes, pc, 1);
	return displaced ? displaced : bh_copy_over(copy, pc);
}

/* Executes the instruction at the start of a run, which may be planted. Returns is_done: the run
 * ends with it. */
static struct bh_error *leave_start(struct bh_copy *copy, const struct bh_limits *limits,
				    struct bh_end *end, int *is_done_ret)
{
	uint64_t displaced = find_displaced(copy, limits);
	*is_done_ret = 0;
	if (displaced) {
		bh_copy_set_pc(copy, displaced);
		return NULL;
	}
	*is_done_ret = 1;
	bh_copy_disarm(copy);
	BH_TRY(raw_step(copy, end));
	if (end->kind == BH_END_TICK) {
		uint64_t count = read_word(copy, &bh_tick_state.count) + 1;
		if (!copy->is_counting) {
			*is_done_ret = 0;
			return NULL;
		}
		BH_TRY(write_word(copy, &bh_tick_state.count, count));
		*is_done_ret = count == limits->stop_tick;
	} else if (end->kind == BH_END_STEP) {
		*is_done_ret = end->watch_hits != 0;
		if (end->watch_hits)
			end->kind = BH_END_WATCH;
	}
	return NULL;
}

/* Lets it run freely, with the probes in its text. */
static struct bh_error *set_off(struct bh_copy *copy, const struct bh_limits *limits)
{
	const struct bh_probe_set *wanted =
		bh_copy_uses_probes(copy, limits) ? limits->probes : NULL;
	uint64_t displaced = wanted ? bh_probe_set_displaced(wanted, bh_copy_pc(copy), 0) : 0;

	if (displaced)
		bh_copy_set_pc(copy, displaced);
	if (copy->armed != wanted) {
		bh_copy_disarm(copy);
		copy->armed = wanted;
		if (wanted)
			BH_TRY(bh_probe_set_arm(wanted, copy));
	}
	return bh_tracee_resume(copy->tracee, 0, 0);
}

static struct bh_error *await(struct bh_copy *copy, struct bh_end *end)
{
	struct bh_error *error = wait_for_end(copy, end);

	/* Who is stopped at a breakpoint may run on from there. */
	if (error || end->kind != BH_END_PLANTED)
		bh_copy_disarm(copy);
	return error;
}

/* Where and when it stopped. */
static void note_end(struct bh_copy *copy, const struct bh_limits *limits, const struct bh_end *end)
{
	settle(copy, limits, end);
	uint64_t end_ns = bh_tracee_cpu_ns(copy->tracee);
	copy->cost_ns +=
		BH_STOP_NS + (end_ns > copy->run_start_ns ? end_ns - copy->run_start_ns : 0);
}

struct bh_error *bh_copy_run_begin(struct bh_copy *copy, const struct bh_limits *limits)
{
	copy->run_start_ns = bh_tracee_cpu_ns(copy->tracee);
	BH_TRY(set_stop_event(copy, limits->stop_event));
	BH_TRY(bh_tracee_watch(copy->tracee, NULL, 0));
	return set_off(copy, limits);
}

struct bh_error *bh_copy_run_end(struct bh_copy *copy, const struct bh_limits *limits,
				 struct bh_end *end_ret)
{
	struct bh_end end = {0};

	BH_TRY(await(copy, &end));
	note_end(copy, limits, &end);
	*end_ret = end;
	return NULL;
}

struct bh_error *bh_copy_run(struct bh_copy *copy, const struct bh_limits *limits,
			     struct bh_end *end_ret)
{
	struct bh_end end = {0};
	int is_done = 0;

	/* The next instruction begins an event that nobody may have asked for: stop there anyway.
	 */
	if (copy->is_exact && bh_copy_is_at_gate(copy))
		return bh_copy_step(copy, limits, end_ret);
	copy->run_start_ns = bh_tracee_cpu_ns(copy->tracee);
	BH_TRY(set_stop_event(copy, limits->stop_event));
	if (copy->is_counting) {
		struct bh_tick_state state = {copy->position.tick, limits->stop_tick};
		if (!copy->is_exact)
			state.count = read_word(copy, &bh_tick_state.count);
		if (bh_tracee_write(copy->tracee, (uintptr_t)&bh_tick_state, &state, sizeof(state)))
			return bh_error_new(BH_ERR_INTERNAL,
					    "cannot write to the replayed process");
	}
	BH_TRY(bh_tracee_watch(copy->tracee, limits->watch_addresses, limits->watch_dr7));
	if (limits->skip_planted)
		BH_TRY(leave_start(copy, limits, &end, &is_done));
	/* Where that had to map memory in the process, it was switched off. */
	BH_TRY(bh_tracee_watch(copy->tracee, limits->watch_addresses, limits->watch_dr7));
	if (!is_done) {
		BH_TRY(set_off(copy, limits));
		BH_TRY(await(copy, &end));
	}
	note_end(copy, limits, &end);
	*end_ret = end;
	return NULL;
}
