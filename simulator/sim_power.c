/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes that start, end and start again while a run goes on: by the scenario's timeline, at their
 * start_time, or because a program or the kernel itself ends or restarts the machine. A restarted
 * node is a fresh kernel at the same addresses with the same devices, and its programs run again.
 * Everything here happens on the simulator's own stack, while no node runs.
 */
#include <signal.h>
#include <string.h>

#include "simulator/sim_internal.h"

/* How long programs have between SIGTERM and the end of an orderly halt. */
#define GRACE_NS 1000000000ull
/* A node that boots so often, each time so soon after the last, does nothing else. */
#define BOOTS_IN_A_ROW_MAX 8u
#define IN_A_ROW_NS	   1000000000ull

/* --- the end --- */

static void report_panic(struct bh_sim_node *node, uint64_t event, const char *reason)
{
	struct bh_sim *sim = node->sim;
	size_t before = sim->result.failure_count;

	if (bh_sim_expect_allows(sim, node->id, BH_FAULT_PANIC))
		return;
	bh_sim_fail(sim, "panic", node->id, event, "the kernel panicked: %s", reason);
	if (sim->result.failure_count > before && node->trace_count > 0)
		bh_sim_failure_trace(sim, before + 1, node->trace, node->trace_count);
}

/* Frames that waited for a poll of the kernel are gone with it. */
static void forget_frames(struct bh_sim_node *node)
{
	struct bh_frame_pool *pool = &node->sim->frames;
	struct bh_frame *frame;

	while ((frame = bh_frame_list_take(&node->received)))
		bh_frame_release(pool, frame);
	if (node->received_current)
		bh_frame_release(pool, node->received_current);
	node->received_current = NULL;
}

/* The memory of a node that panicked stays, so that a debugger can look at it. */
static void node_ended(struct bh_sim_node *node, enum bh_halt how, uint64_t cause,
		       const char *reason)
{
	struct bh_sim *sim = node->sim;
	struct bh_event event = {
		.kind = BH_EVENT_HALT,
		.cause = cause,
		.value = how,
		.node = node->id,
		.device = BH_NO_DEVICE,
	};

	int is_awaited = node->power == BH_SIM_POWER_RESTART;

	node->is_dead = 1;
	node->is_panicked = how == BH_HALTED_PANIC;
	node->power = BH_SIM_POWER_KEEP;
	bh_event_queue_clear(sim->queue, node->timer_slot);
	bh_event_queue_clear(sim->queue, node->program_slot);
	bh_event_queue_clear(sim->queue, node->power_slot);
	bh_sim_event_begin(sim, &event);
	if (node->is_panicked)
		report_panic(node, event.event, reason);
	bh_sim_programs_lost(node);
	/* A restart that doesn't come any more. */
	if (is_awaited)
		bh_sim_one_finished(sim);
	forget_frames(node);
	if (node->is_panicked)
		return;
	bh_posix_node_reset(node->posix);
	bh_node_release(node->kernel);
}

/* --- the start --- */

static int restarts_forever(struct bh_sim_node *node)
{
	struct bh_sim *sim = node->sim;

	if (sim->now_ns - node->boot_ns >= IN_A_ROW_NS)
		node->boots_in_a_row = 0;
	node->boot_ns = sim->now_ns;
	if (++node->boots_in_a_row <= BOOTS_IN_A_ROW_MAX)
		return 0;
	bh_sim_fail(sim, "restart", node->id, sim->result.events,
		    "the node booted %u times, each time less than a second after the last, and "
		    "stays off now: look for a program that restarts it as soon as it starts",
		    BOOTS_IN_A_ROW_MAX);
	return 1;
}

static void node_start(struct bh_sim_node *node, uint64_t cause)
{
	if (restarts_forever(node))
		return;
	if (node->boots) {
		bh_posix_node_reset(node->posix);
		bh_node_reset(node->kernel);
		bh_sim_devices_create(node, bh_node_boot_record(node->kernel)->devices);
		node->log_length = 0;
		node->trace_count = node->traced_failure = 0;
		bh_sim_programs_restart(node);
	}
	node->is_dead = node->is_panicked = 0;
	node->timer_is_changed = 0;
	bh_sim_node_boot(node, cause);
	bh_sim_program_schedule(node);
}

void bh_sim_node_died(struct bh_sim_node *node)
{
	int how = BH_HALT_OFF;
	const char *reason = bh_node_death(node->kernel, &how);

	if (how == BH_HALT_SPIN) {
		struct bh_sim *sim = node->sim;

		/* No event: the host's clock decided, and a replay can't get further than here. */
		node->is_dead = node->is_panicked = 1;
		bh_sim_fail(sim, "spin", node->id, sim->result.events, "%s", reason);
		if (sim->result.failure_count > 0) {
			bh_sim_failure_trace(sim, sim->result.failure_count, node->trace,
					     node->trace_count);
			sim->result.failures[sim->result.failure_count - 1].program_trace =
				node->program_trace;
			node->program_trace = NULL;
		}
		sim->result.is_abandoned = sim->is_over = sim->is_stopped = 1;
		return;
	}
	node_ended(node,
		   how == BH_HALT_PANIC	    ? BH_HALTED_PANIC
		   : how == BH_HALT_RESTART ? BH_HALTED_RESTART
					    : BH_HALTED_OFF,
		   node->sim->handling, reason);
	if (how == BH_HALT_RESTART)
		node_start(node, node->sim->result.events);
}

/* --- when --- */

void bh_sim_power_schedule(struct bh_sim_node *node, enum bh_sim_power power, uint64_t time_ns,
			   uint64_t cause)
{
	struct bh_sim *sim = node->sim;

	node->power = power;
	node->power_cause = cause;
	bh_event_queue_set(sim->queue, node->power_slot, time_ns, sim->sequence++);
}

void bh_sim_power_change(struct bh_sim_node *node)
{
	enum bh_sim_power power = node->power;
	uint64_t cause = node->power_cause;

	bh_event_queue_clear(node->sim->queue, node->power_slot);
	node->power = BH_SIM_POWER_KEEP;
	if (power == BH_SIM_POWER_OFF)
		node_ended(node, BH_HALTED_OFF, cause, "");
	else if (power == BH_SIM_POWER_RESTART)
		node_ended(node, BH_HALTED_RESTART, cause, "");
	if (power == BH_SIM_POWER_RESTART)
		cause = node->sim->result.events;
	if (power != BH_SIM_POWER_OFF)
		node_start(node, cause);
	if (power == BH_SIM_POWER_RESTART)
		bh_sim_one_finished(node->sim);
}

/* As a power button: programs are asked to end, and some time later the machine is off. */
static void shut_down(struct bh_sim_node *node, enum bh_sim_power power, uint64_t event)
{
	bh_sim_power_schedule(node, power, node->sim->now_ns + GRACE_NS, event);
	node->is_stopping_all = 1;
	bh_sim_node_resume(node, BH_IRQ_SPAWN);
}

void bh_sim_power_action(struct bh_sim *sim, const struct bh_scenario_action *action, size_t index)
{
	struct bh_sim_node *node = &sim->nodes[action->node];
	struct bh_event event = {
		.kind = BH_EVENT_ACTION,
		.value = index,
		.node = node->id,
		.device = BH_NO_DEVICE,
	};
	int is_off = node->is_dead;

	if (node->is_absent)
		return;
	bh_sim_event_begin(sim, &event);
	sim->handling = event.event;
	switch (action->power) {
	case BH_POWER_BOOT:
		break;
	case BH_POWER_HALT:
		if (!is_off)
			shut_down(node, BH_SIM_POWER_OFF, event.event);
		break;
	case BH_POWER_CRASH:
		if (!is_off)
			node_ended(node, BH_HALTED_CRASH, event.event, "");
		break;
	case BH_POWER_RESTART:
		if (!is_off)
			shut_down(node, BH_SIM_POWER_RESTART, event.event);
		break;
	}
	/* A node that hasn't had its start_time yet starts now. */
	if (is_off && (action->power == BH_POWER_BOOT || action->power == BH_POWER_RESTART)) {
		bh_event_queue_clear(sim->queue, node->power_slot);
		node_start(node, event.event);
	}
	if (action->power == BH_POWER_BOOT || (action->power == BH_POWER_RESTART && is_off))
		bh_sim_one_finished(sim);
}

void bh_sim_power_create(struct bh_sim *sim)
{
	const struct bh_scenario *scenario = sim->config.scenario;

	/* What starts programs again is yet to come, so the run isn't over before. */
	for (size_t i = 0; i < scenario->action_count; i++)
		if (scenario->actions[i].kind == BH_ACTION_NODE &&
		    (scenario->actions[i].power == BH_POWER_BOOT ||
		     scenario->actions[i].power == BH_POWER_RESTART))
			bh_sim_one_more(sim);
}
