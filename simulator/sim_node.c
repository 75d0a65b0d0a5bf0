/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node's kernel asks of the simulator: time, network, log, entropy. The functions of
 * bh_sim_host_ops run on a stack of the node, see host_abi.h.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "simulator/lineage.h"
#include "simulator/sim_internal.h"

/* Failures that one node's kernel log can add; a kernel that warns at each packet needs no more. */
#define LOG_FAILURES_MAX 10u

/* --- running --- */

static void node_died(struct bh_sim_node *node)
{
	int is_panic = 0;
	const char *reason = bh_node_death(node->kernel, &is_panic);
	struct bh_event event = {
		.kind = BH_EVENT_HALT,
		.cause = node->sim->handling,
		.value = is_panic != 0,
		.node = node->id,
		.device = BH_NO_DEVICE,
	};

	node->is_dead = 1;
	bh_event_queue_clear(node->sim->queue, node->timer_slot);
	bh_event_queue_clear(node->sim->queue, node->program_slot);
	bh_sim_event_begin(node->sim, &event);
	bh_sim_fail(node->sim, is_panic ? "panic" : "halt", node->id, event.event,
		    is_panic ? "the kernel panicked: %s" : "the kernel halted: %s", reason);
	bh_sim_programs_lost(node);
}

static void after_run(struct bh_sim_node *node)
{
	bh_gate.node = BH_NO_NODE;
	if (bh_node_state(node->kernel) == BH_NODE_DEAD) {
		node_died(node);
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

void bh_sim_node_boot(struct bh_sim_node *node)
{
	struct bh_event event = {.kind = BH_EVENT_BOOT, .node = node->id, .device = BH_NO_DEVICE};

	bh_sim_event_begin(node->sim, &event);
	node->sim->handling = event.event;
	bh_gate.node = node->id;
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
	bh_gate.node = node->id;
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

/* --- time and entropy --- */

static unsigned long host_clock_ns(void *host)
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

/* --- network --- */

static void lose(struct bh_sim *sim, const struct bh_event *of, enum bh_loss_reason reason)
{
	struct bh_event event = *of;

	event.kind = BH_EVENT_LOST;
	event.cause = of->event;
	event.value = reason;
	bh_sim_event_begin(sim, &event);
}

static void schedule_arrival(struct bh_sim *sim, struct bh_sim_wire *wire)
{
	const struct bh_frame *frame = bh_link_first(&wire->direction);

	if (frame)
		bh_event_queue_set(sim->queue, wire->slot, frame->arrival_ns, frame->sequence);
	else
		bh_event_queue_clear(sim->queue, wire->slot);
}

static void send(struct bh_sim *sim, struct bh_sim_wire *wire, struct bh_frame *frame,
		 const struct bh_event *event)
{
	frame->sequence = sim->sequence++;
	frame->cause = event->event;
	frame->packet = event->packet;
	frame->hash = 0;
	frame->hop = event->hop + 1;
	enum bh_loss_reason reason =
		bh_link_send(&wire->direction, &sim->frames, frame, sim->now_ns);

	if (reason != BH_LOSS_NONE)
		lose(sim, event, reason);
	else if (bh_link_first(&wire->direction) == frame)
		schedule_arrival(sim, wire);
}

static void host_frame_transmit(void *host, unsigned int device, const void *data, unsigned int len,
				unsigned long lineage)
{
	struct bh_sim_node *node = host;
	struct bh_sim *sim = node->sim;
	struct bh_event event = {
		.event = bh_sim_next_event(sim),
		.vtime_ns = sim->now_ns,
		.kind = BH_EVENT_TX,
		.cause = sim->handling,
		.node = node->id,
		.device = device,
		.length = len,
	};
	struct bh_frame *frame = NULL;

	assert(device < node->device_count);
	event.hop = bh_lineage_hop(lineage);
	event.packet = event.hop ? bh_lineage_packet(lineage) : event.event;
	sim->result.frames++;
	if (len <= BH_FRAME_LENGTH_MAX) {
		frame = bh_frame_create(&sim->frames, data, len);
		if (!frame) {
			bh_sim_abort(sim, bh_error_new(BH_ERR_NOMEM, "out of memory for frames"));
			return;
		}
		data = frame->data;
		if (sim->config.observer.frame)
			sim->config.observer.frame(sim->config.observer.arg, &event, frame->data,
						   len);
	}
	event.hash = bh_event_hash(data, len);
	bh_sim_event_begin(sim, &event);
	if (frame)
		send(sim, node->wires[device], frame, &event);
	else
		lose(sim, &event, BH_LOSS_TOO_LONG);
}

void bh_sim_wire_arrival(struct bh_sim *sim, struct bh_sim_wire *wire)
{
	struct bh_sim_node *node = &sim->nodes[wire->to_node];
	struct bh_frame *frame = bh_link_receive(&wire->direction, &sim->frames);
	struct bh_event event = {
		.kind = BH_EVENT_RX,
		.cause = frame->cause,
		.packet = frame->packet,
		.hash = frame->hash,
		.node = node->id,
		.device = wire->to_device,
		.hop = frame->hop,
		.length = frame->length,
	};

	schedule_arrival(sim, wire);
	bh_sim_event_begin(sim, &event);
	sim->handling = event.event;
	if (node->is_dead) {
		bh_frame_release(&sim->frames, frame);
		lose(sim, &event, BH_LOSS_NODE_DOWN);
		return;
	}
	/* What the kernel is told about it: see host_frame_receive(). */
	frame->cause = wire->to_device;
	if (node->received_last)
		node->received_last->next = frame;
	else
		node->received_first = frame;
	node->received_last = frame;
	bh_sim_node_resume(node, BH_IRQ_NET);
}

static int host_frame_receive(void *host, struct bh_rx_frame *frame_ret)
{
	struct bh_sim_node *node = host;
	struct bh_frame *frame = node->received_first;

	if (node->received_current)
		bh_frame_release(&node->sim->frames, node->received_current);
	node->received_current = frame;
	if (!frame)
		return 0;
	node->received_first = frame->next;
	if (!node->received_first)
		node->received_last = NULL;
	*frame_ret = (struct bh_rx_frame){
		.data = frame->data,
		.len = frame->length,
		.device = (unsigned int)frame->cause,
		.packet = bh_lineage_pack(frame->packet, frame->hop),
	};
	return 1;
}

/* --- log --- */

static void log_failure(struct bh_sim_node *node, const char *what)
{
	/* Without its time, which the failure has: "[    5.000000] BUG: …". */
	const char *bracket = node->log_line[0] == '[' ? strstr(node->log_line, "] ") : NULL;

	if (node->log_failures++ < LOG_FAILURES_MAX)
		bh_sim_fail(node->sim, what, node->id, node->sim->result.events,
			    "the kernel log says: %s", bracket ? bracket + 2 : node->log_line);
}

/* A line of the kernel log is complete: does it tell of a fault? Words as in lib/bug.c,
 * kernel/panic.c and fs/proc/proc_sysctl.c (Linux 6.1). */
static void check_log_line(struct bh_sim_node *node)
{
	static const struct {
		const char *words, *what;
	} faults[] = {
		{"kernel BUG at ", "bug"},	 {"BUG: ", "bug"},
		{"WARNING: ", "warning"},	 {"Oops", "oops"},
		{"sysctl parameter '", "setup"},
	};

	node->log_line[node->log_length] = '\0';
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (!strstr(node->log_line, faults[i].words))
			continue;
		log_failure(node, faults[i].what);
		if (strcmp(faults[i].what, "setup") == 0)
			node->sim->is_over = 1;
		break;
	}
	node->log_length = 0;
}

static void host_console(void *host, const char *text, unsigned long len)
{
	struct bh_sim_node *node = host;
	struct bh_event event = {
		.kind = BH_EVENT_CONSOLE,
		.cause = node->sim->handling,
		.hash = bh_event_hash(text, len),
		.node = node->id,
		.device = BH_NO_DEVICE,
		.length = (uint32_t)len,
	};

	bh_sim_event_begin(node->sim, &event);
	bh_sim_output(node->sim, node->id, "var/log/kern.log", text, len);
	for (unsigned long i = 0; i < len; i++) {
		if (text[i] == '\n')
			check_log_line(node);
		else if (node->log_length < BH_LOG_LINE_MAX)
			node->log_line[node->log_length++] = text[i];
	}
}

/* idle and halt are node.c's own. Drops are not listened to. */
const struct bh_host_ops bh_sim_host_ops = {
	.clock_ns = host_clock_ns,
	.timer_set = host_timer_set,
	.console = host_console,
	.entropy = host_entropy,
	.frame_transmit = host_frame_transmit,
	.frame_receive = host_frame_receive,
	.spawn_next = bh_sim_spawn_next,
	.spawn_result = bh_sim_spawn_result,
};
