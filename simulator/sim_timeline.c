/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scenario's timeline: what happens to links and nodes at given times, in the order of
 * scenario->actions. One slot of the event queue holds the next action. Called by sim.c.
 */
#include "simulator/sim_internal.h"

/* What each kind of action does; it begins its own ACTION event, whose value is the action's index
 * in the timeline. Called on the simulator's own stack. */
static void (*const perform[])(struct bh_sim *sim, const struct bh_scenario_action *action,
			       size_t index) = {
	[BH_ACTION_LINK_STATE] = bh_sim_link_state,
	[BH_ACTION_LINK_CHANGE] = bh_sim_link_change,
	[BH_ACTION_NODE] = bh_sim_power_action,
};

void bh_sim_timeline_schedule(struct bh_sim *sim)
{
	const struct bh_scenario *scenario = sim->config.scenario;

	if (sim->actions_done < scenario->action_count)
		bh_event_queue_set(sim->queue, sim->timeline_slot,
				   scenario->actions[sim->actions_done].at_ns, sim->sequence++);
	else
		bh_event_queue_clear(sim->queue, sim->timeline_slot);
}

void bh_sim_timeline_action(struct bh_sim *sim)
{
	size_t index = sim->actions_done++;
	const struct bh_scenario_action *action = &sim->config.scenario->actions[index];

	bh_sim_timeline_schedule(sim);
	perform[action->kind](sim, action, index);
}
