/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node's kernel asks of the simulator: time, log, entropy; its network is in sim_link.c. The
 * functions of bh_sim_host_ops run on a stack of the node, see host_abi.h.
 */
#include <stdio.h>
#include <string.h>

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
	.frame_transmit = bh_sim_frame_transmit,
	.frame_receive = bh_sim_frame_receive,
	.spawn_next = bh_sim_spawn_next,
	.spawn_result = bh_sim_spawn_result,
};
