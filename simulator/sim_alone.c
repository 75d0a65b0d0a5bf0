/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One node of a run alone, fed with what it got from the others (feed.h): the main loop of such a
 * run, called by sim.c, and what in it differs for sim_event.c, sim_link.c and posix/.
 *
 * Only that node exists. What it does by itself is simulated as ever: its timers, its programs, the
 * timeline, and the wires that it sends on, whose queues tell its devices when to wait. But nothing
 * comes out of these wires; the frames that it receives, the carrier that its neighbours make and
 * the losses on the way to it are the feed's. The feed also says which of two things at the same
 * time comes first, and when the run is over.
 *
 * Numbers of events are those of the whole run, so that packets, causes and positions are.
 */
#include "simulator/feed.h"
#include "simulator/sim_internal.h"

uint64_t bh_sim_outside(struct bh_sim_node *node, uint64_t value)
{
	const struct bh_sim *sim = node->sim;

	if (sim->config.feed)
		return bh_feed_value(sim->config.feed, value);
	if (sim->config.observer.outside)
		sim->config.observer.outside(sim->config.observer.arg, node->id, value);
	return value;
}

uint64_t bh_sim_alone_next_event(const struct bh_sim *sim)
{
	const struct bh_fed_event *next = bh_feed_next(sim->config.feed);

	return next ? next->event.event : sim->result.events + 1;
}

uint64_t bh_sim_alone_next_cause(const struct bh_sim *sim)
{
	const struct bh_fed_event *next = bh_feed_next(sim->config.feed);

	return next ? next->event.cause : 0;
}

/* --- what comes from outside --- */

static int is_waiting(const struct bh_sim_wire *wire, uint64_t cause)
{
	const struct bh_frame *frame = wire->direction.waiting.first;

	while (frame && frame->cause != cause)
		frame = frame->next;
	return frame != NULL;
}

/* Not a loss in a queue of the node's own. */
static int is_lost_outside(const struct bh_sim_node *node, const struct bh_event *event)
{
	return event->kind == BH_EVENT_LOST && event->device < node->device_count &&
	       node->wires[event->device]->segment &&
	       !is_waiting(node->wires[event->device], event->cause);
}

static int is_from_outside(const struct bh_sim_node *node, const struct bh_event *event)
{
	return event->kind == BH_EVENT_RX || event->kind == BH_EVENT_CARRIER ||
	       is_lost_outside(node, event);
}

void bh_sim_alone_lost(struct bh_sim_node *node)
{
	const struct bh_fed_event *next;

	while ((next = bh_feed_next(node->sim->config.feed)) && !next->is_last &&
	       next->event.vtime_ns == node->sim->now_ns && is_lost_outside(node, &next->event)) {
		struct bh_event event = next->event;

		bh_sim_event_begin(node->sim, &event);
	}
}

static void receive(struct bh_sim_node *node, const struct bh_fed_event *fed)
{
	struct bh_sim *sim = node->sim;
	uint32_t device = fed->event.device;
	struct bh_frame *frame = NULL;

	/* Without its bytes it is the last event, behind which nothing is known. */
	if (device < node->device_count && fed->frame)
		frame = bh_frame_create(&sim->frames, fed->frame, fed->event.length);
	if (!frame) {
		struct bh_event event = fed->event;

		bh_sim_event_begin(sim, &event);
		return;
	}
	frame->cause = fed->event.cause;
	frame->packet = fed->event.packet;
	frame->hop = fed->event.hop;
	frame->is_damaged = fed->event.hash != 0;
	bh_sim_deliver(node, device, frame);
}

static void happen(struct bh_sim_node *node, const struct bh_fed_event *fed)
{
	const struct bh_event *event = &fed->event;

	if (event->kind == BH_EVENT_RX)
		receive(node, fed);
	else if (event->kind == BH_EVENT_CARRIER && event->device < node->device_count)
		bh_sim_carrier(node, event->device, (int)event->value, event->cause);
	else
		bh_sim_alone_lost(node);
}

/* --- the main loop --- */

/* The recording ended with another's event, or with none but the end of the run. */
static int end(struct bh_sim *sim, const struct bh_fed_event *last)
{
	struct bh_event event = last->event;

	sim->now_ns = event.vtime_ns;
	if (event.kind != BH_EVENT_STOP)
		bh_sim_event_begin(sim, &event);
	return 0;
}

/* Returns 0 at the end of the run. */
static int step(struct bh_sim *sim)
{
	struct bh_sim_node *node = &sim->nodes[bh_feed_node(sim->config.feed)];
	const struct bh_fed_event *next = bh_feed_next(sim->config.feed);
	uint64_t time_ns = UINT64_MAX;
	size_t slot = bh_event_queue_first(sim->queue, &time_ns);

	if (!next)
		return 0;
	int is_end = next->event.node != node->id;
	int is_waited_for =
		is_end || next->event.kind == BH_EVENT_INPUT || is_from_outside(node, &next->event);

	/* What comes before has no event, such as a frame that leaves a wire. */
	if (is_waited_for && (slot == BH_NO_SLOT || time_ns >= next->event.vtime_ns)) {
		struct bh_fed_event fed = *next;

		if (is_end)
			return end(sim, &fed);
		if (fed.event.kind == BH_EVENT_INPUT)
			return bh_sim_terminal_due(sim, slot == BH_NO_SLOT ? UINT64_MAX : time_ns);
		sim->now_ns = fed.event.vtime_ns;
		happen(node, &fed);
		return 1;
	}
	if (slot == BH_NO_SLOT)
		return 0;
	sim->now_ns = time_ns;
	bh_sim_handle(sim, slot);
	return 1;
}

void bh_sim_alone_run(struct bh_sim *sim)
{
	const struct bh_sim_observer *observer = &sim->config.observer;

	while (!sim->error && step(sim)) {
		if (observer->between && observer->between(observer->arg)) {
			sim->result.is_interrupted = 1;
			return;
		}
	}
}
