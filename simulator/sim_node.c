/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node's kernel asks of the simulator: time, log, entropy; its network is in sim_link.c. The
 * functions of bh_sim_host_ops run on a stack of the node, see host_abi.h.
 */
#include <stdio.h>
#include <string.h>

#include "simulator/lineage.h"
#include "simulator/sim_internal.h"

/* --- running --- */

static void before_run(struct bh_sim_node *node)
{
	bh_gate.node = node->id;
	node->sim->runs[node->id]++;
}

static void deal_with_outcome(struct bh_sim_node *node)
{
	if (bh_node_state(node->kernel) == BH_NODE_DEAD) {
		bh_sim_node_died(node);
		return;
	}
	if (!node->timer_is_changed)
		return;
	node->timer_is_changed = 0;
	if (node->timer_ns == BH_NO_DEADLINE)
		bh_event_queue_clear(node->sim->queue, node->timer_slot);
	else
		bh_event_queue_set(node->sim->queue, node->timer_slot, node->timer_ns,
				   node->timer_sequence);
}

static void after_run(struct bh_sim_node *node)
{
	bh_gate.node = BH_NO_NODE;
	deal_with_outcome(node);
	node->sim->runs[node->id]++;
}

void bh_sim_node_boot(struct bh_sim_node *node, uint64_t cause)
{
	struct bh_event event = {
		.kind = BH_EVENT_BOOT, .cause = cause, .node = node->id, .device = BH_NO_DEVICE};

	node->boots++;
	bh_sim_event_begin(node->sim, &event);
	node->sim->handling = event.event;
	before_run(node);
	struct bh_error *error = bh_node_boot(node->kernel);

	/* A kernel that dies while it boots is a result of the run, anything else is not. */
	if (error && bh_node_state(node->kernel) != BH_NODE_DEAD)
		bh_sim_abort(node->sim, error);
	else
		bh_error_free(error);
	after_run(node);
}

void bh_sim_node_resume(struct bh_sim_node *node, unsigned long interrupts)
{
	before_run(node);
	bh_node_resume(node->kernel, interrupts);
	after_run(node);
}

void bh_sim_node_timer(struct bh_sim_node *node)
{
	struct bh_event event = {
		.kind = BH_EVENT_TIMER,
		.cause = node->timer_cause,
		.node = node->id,
		.device = BH_NO_DEVICE,
	};

	bh_event_queue_clear(node->sim->queue, node->timer_slot);
	bh_sim_event_begin(node->sim, &event);
	node->sim->handling = event.event;
	bh_sim_node_resume(node, BH_IRQ_TIMER);
}

void bh_sim_node_files_show(struct bh_sim_node *node)
{
	const struct bh_sim_observer *observer = &node->sim->config.observer;

	if (observer->files && node->posix)
		observer->files(observer->arg, node->id, node->posix);
}

/* --- time and entropy --- */

/* See host_abi.h: the FP registers are a program's. */
static __attribute__((target("general-regs-only"))) unsigned long host_clock_ns(void *host)
{
	struct bh_sim_node *node = host;

	return node->sim->now_ns;
}

/* The event queue learns of it when the node idles: kernels move their deadline several times in
 * one event. */
static void host_timer_set(void *host, unsigned long deadline_ns)
{
	struct bh_sim_node *node = host;
	struct bh_sim *sim = node->sim;

	node->timer_ns = deadline_ns < sim->now_ns ? sim->now_ns : deadline_ns;
	node->timer_sequence = sim->sequence++;
	node->timer_cause = sim->handling;
	node->timer_is_changed = 1;
}

static void host_entropy(void *host, void *bytes_ret, unsigned long len)
{
	struct bh_sim_node *node = host;

	bh_rng_fill(&node->entropy, bytes_ret, len);
}

/* --- drops --- */

static void host_packet_drop(void *host, unsigned long lineage, unsigned long location,
			     unsigned int reason, unsigned int len)
{
	struct bh_sim_node *node = host;
	const struct bh_image *image = bh_node_image(node->kernel);
	struct bh_event event = {
		.kind = BH_EVENT_DROP,
		.cause = node->sim->handling,
		.value = (location - bh_node_base(node->kernel)) << 16 |
			 (reason <= 0xffff ? reason : 0xffff),
		.node = node->id,
		.device = BH_NO_DEVICE,
		.length = len,
	};

	/* As for a frame that is sent: a buffer whose lineage says nothing was made in this event.
	 */
	event.hop = bh_lineage_hop(lineage);
	event.packet = event.hop ? bh_lineage_packet(lineage) : 0;
	if (node->sim->config.observer.dropped) {
		event.event = bh_sim_next_event(node->sim);
		node->sim->config.observer.dropped(node->sim->config.observer.arg, &event, lineage);
	}
	bh_sim_event_begin(node->sim, &event);
	bh_sim_expect_drop(node->sim, &event, bh_image_drop_reason(image, reason));
}

/* idle and halt are node.c's own. */
const struct bh_host_ops bh_sim_host_ops = {
	.clock_ns = host_clock_ns,
	.timer_set = host_timer_set,
	.console = bh_sim_console,
	.entropy = host_entropy,
	.device_state = bh_sim_device_state,
	.frame_prepare = bh_sim_frame_prepare,
	.frame_transmit = bh_sim_frame_transmit,
	.frame_receive = bh_sim_frame_receive,
	.packet_drop = host_packet_drop,
	.spawn_next = bh_sim_spawn_next,
	.spawn_result = bh_sim_spawn_result,
	.terminal_next = bh_sim_terminal_next,
	.terminal_output = bh_sim_terminal_output,
};
