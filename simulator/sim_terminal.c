/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program that has a terminal, and what is typed there: see terminal.h. Every input is an event
 * of its own, between two others. As long as the program runs the run goes on, whatever the
 * scenario says of its end. Called by sim.c, sim_node.c and sim_process.c.
 */
#include <stdlib.h>
#include <string.h>

#include "simulator/sim_internal.h"

/* Handed to the kernel in this order; it may take one much later, when the program reads. */
struct typed {
	struct typed *next;
	size_t length;
	uint16_t rows, columns;
	char data[];
};

struct bh_sim_terminal {
	struct bh_process program;
	struct bh_sim_process *process;
	struct bh_sim_node *node;
	struct typed *first, *last;
	struct typed *current; /* the one that the kernel has */
};

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory for the terminal");
}

struct bh_error *bh_sim_terminal_create(struct bh_sim *sim)
{
	const struct bh_terminal *config = sim->config.terminal;

	if (!config)
		return NULL;
	struct bh_sim_terminal *terminal = sim->terminal = calloc(1, sizeof(*terminal));

	if (!terminal)
		return out_of_memory();
	terminal->node = &sim->nodes[config->node];
	terminal->program = (struct bh_process){
		.argv = (char **)config->argv,
		.environment = (char **)config->environment,
		.start_ns = config->start_ns,
	};
	terminal->process = bh_sim_program_add(terminal->node, &terminal->program, 0);
	return terminal->process ? NULL : out_of_memory();
}

void bh_sim_terminal_destroy(struct bh_sim *sim)
{
	struct bh_sim_terminal *terminal = sim->terminal;

	if (!terminal)
		return;
	while (terminal->first) {
		struct typed *typed = terminal->first;

		terminal->first = typed->next;
		free(typed);
	}
	free(terminal->current);
	free(terminal);
	sim->terminal = NULL;
}

int bh_sim_terminal_is(const struct bh_sim *sim, const struct bh_sim_process *process)
{
	return sim->terminal && sim->terminal->process == process;
}

static int append(struct bh_sim *sim, const struct bh_terminal_typed *from)
{
	struct bh_sim_terminal *terminal = sim->terminal;
	struct typed *typed = malloc(sizeof(*typed) + from->length);

	if (!typed) {
		bh_sim_abort(sim, out_of_memory());
		return -1;
	}
	typed->next = NULL;
	typed->length = from->length;
	typed->rows = from->rows;
	typed->columns = from->columns;
	if (from->length)
		memcpy(typed->data, from->data, from->length);
	if (terminal->last)
		terminal->last->next = typed;
	else
		terminal->first = typed;
	terminal->last = typed;
	return 0;
}

int bh_sim_terminal_due(struct bh_sim *sim, uint64_t next_ns)
{
	struct bh_sim_terminal *terminal = sim->terminal;
	struct bh_terminal_typed typed = {0};

	if (!terminal || terminal->process->state != BH_SIM_PROCESS_RUNNING)
		return 0;
	const struct bh_boot *boot = bh_node_boot_record(terminal->node->kernel);
	const struct bh_terminal_moment moment = {
		.now_ns = sim->now_ns,
		.next_ns = next_ns,
		.next_event = bh_sim_next_event(sim),
		.is_read = boot->image_ops.terminal_is_read(),
	};
	enum bh_terminal_answer answer =
		sim->config.terminal->input(sim->config.terminal->arg, &moment, &typed);

	if (answer == BH_TERMINAL_NOTHING)
		return 0;
	if (answer == BH_TERMINAL_LEFT) {
		sim->is_over = sim->is_stopped = 1;
		return 1;
	}
	if (append(sim, &typed) < 0)
		return 1;
	if (typed.vtime_ns > sim->now_ns)
		sim->now_ns = typed.vtime_ns < next_ns ? typed.vtime_ns : next_ns;
	struct bh_event event = {
		.kind = BH_EVENT_INPUT,
		.value = (uint64_t)typed.rows << 16 | typed.columns,
		.hash = bh_event_hash(typed.data, typed.length),
		.node = terminal->node->id,
		.device = BH_NO_DEVICE,
		.length = (uint32_t)typed.length,
	};

	bh_sim_event_begin(sim, &event);
	sim->handling = event.event;
	bh_sim_node_resume(terminal->node, BH_IRQ_TERMINAL);
	return 1;
}

int bh_sim_terminal_next(void *host, struct bh_terminal_input *input_ret)
{
	struct bh_sim_node *node = host;
	struct bh_sim_terminal *terminal = node->sim->terminal;

	if (!terminal || terminal->node != node || !terminal->first)
		return 0;
	free(terminal->current);
	terminal->current = terminal->first;
	terminal->first = terminal->current->next;
	if (!terminal->first)
		terminal->last = NULL;
	*input_ret = (struct bh_terminal_input){
		.data = terminal->current->data,
		.len = (unsigned int)terminal->current->length,
		.rows = terminal->current->rows,
		.columns = terminal->current->columns,
	};
	return 1;
}

void bh_sim_terminal_output(void *host, unsigned long id, const void *data, unsigned long length)
{
	struct bh_sim_node *node = host;
	struct bh_sim *sim = node->sim;

	bh_sim_process_output(node, sim->processes[id].result->pid, data, length);
	if (sim->config.terminal->output)
		sim->config.terminal->output(sim->config.terminal->arg, data, length);
}
