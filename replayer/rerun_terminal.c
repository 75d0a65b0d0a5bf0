/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal of a recorded run: its program is started again, and what was typed is typed again,
 * each time just before the event that had the number which is the input's. See rerun.h.
 */
#include <stdlib.h>
#include <string.h>

#include "replayer/rerun.h"

struct bh_rerun_terminal {
	struct bh_terminal terminal;
	char **environment, **argv; /* the words lie in the trace */
	const struct bh_trace_input **typed;
	size_t typed_count, next;
	const struct bh_event *(*find_event)(void *arg, uint64_t number);
	void *arg;
};

static enum bh_terminal_answer input(void *arg, const struct bh_terminal_moment *moment,
				     struct bh_terminal_typed *typed_ret)
{
	struct bh_rerun_terminal *terminal = arg;
	const struct bh_trace_input *typed;
	const struct bh_event *event;

	while (terminal->next < terminal->typed_count &&
	       terminal->typed[terminal->next]->number < moment->next_event)
		terminal->next++;
	if (terminal->next == terminal->typed_count)
		return BH_TERMINAL_NOTHING;
	typed = terminal->typed[terminal->next];
	if (typed->number != moment->next_event)
		return BH_TERMINAL_NOTHING;
	event = terminal->find_event(terminal->arg, typed->number);
	if (!event)
		return BH_TERMINAL_NOTHING;
	terminal->next++;
	*typed_ret = (struct bh_terminal_typed){
		.vtime_ns = event->vtime_ns,
		.data = typed->text,
		.length = typed->text_size,
		.rows = (uint16_t)(event->value >> 16),
		.columns = (uint16_t)event->value,
	};
	return BH_TERMINAL_TYPED;
}

static int compare_numbers(const void *a, const void *b)
{
	const struct bh_trace_input *const *left = a, *const *right = b;

	return (*left)->number < (*right)->number ? -1 : (*left)->number > (*right)->number;
}

/* The reader has checked that the words end where the text does, and that there are arguments. */
static struct bh_error *words_split(struct bh_rerun_terminal *terminal,
				    const struct bh_trace_input *program)
{
	const char *at = program->text, *end = at + program->text_size;
	size_t count = 0;

	terminal->environment = calloc(program->text_size + 1, sizeof(*terminal->environment));
	terminal->argv = calloc(program->text_size + 1, sizeof(*terminal->argv));
	if (!terminal->environment || !terminal->argv)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (; *at; at += strlen(at) + 1)
		terminal->environment[count++] = (char *)at;
	count = 0;
	for (at++; at < end; at += strlen(at) + 1)
		terminal->argv[count++] = (char *)at;
	return NULL;
}

static struct bh_error *node_find(const struct bh_trace *trace, const char *name,
				  uint32_t *node_ret)
{
	for (size_t i = 0; i < bh_trace_node_count(trace); i++) {
		if (strcmp(bh_trace_node_name(trace, i), name) == 0) {
			*node_ret = (uint32_t)i;
			return NULL;
		}
	}
	return bh_error_new(BH_ERR_INPUT, "the trace has a terminal on a node that it hasn't got");
}

static struct bh_error *fill(struct bh_rerun_terminal *terminal, const struct bh_trace *trace,
			     const struct bh_trace_input *program)
{
	BH_TRY(node_find(trace, program->name, &terminal->terminal.node));
	BH_TRY(words_split(terminal, program));
	terminal->typed = calloc(bh_trace_input_count(trace), sizeof(*terminal->typed));
	if (!terminal->typed)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < bh_trace_input_count(trace); i++)
		if (bh_trace_input(trace, i)->role == BH_TRACE_TYPED)
			terminal->typed[terminal->typed_count++] = bh_trace_input(trace, i);
	qsort(terminal->typed, terminal->typed_count, sizeof(*terminal->typed), compare_numbers);
	terminal->terminal.argv = terminal->argv;
	terminal->terminal.environment = terminal->environment;
	terminal->terminal.start_ns = program->number;
	terminal->terminal.input = input;
	terminal->terminal.arg = terminal;
	return NULL;
}

struct bh_error *bh_rerun_terminal_create(const struct bh_trace *trace,
					  const struct bh_event *(*find_event)(void *arg,
									       uint64_t number),
					  void *arg, struct bh_rerun_terminal **terminal_ret)
{
	const struct bh_trace_input *program = NULL;

	*terminal_ret = NULL;
	for (size_t i = 0; i < bh_trace_input_count(trace); i++)
		if (bh_trace_input(trace, i)->role == BH_TRACE_TERMINAL)
			program = bh_trace_input(trace, i);
	if (!program)
		return NULL;
	struct bh_rerun_terminal *terminal = calloc(1, sizeof(*terminal));

	if (!terminal)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	terminal->find_event = find_event;
	terminal->arg = arg;
	struct bh_error *error = fill(terminal, trace, program);

	if (error) {
		bh_rerun_terminal_destroy(terminal);
		return error;
	}
	*terminal_ret = terminal;
	return NULL;
}

const struct bh_terminal *bh_rerun_terminal_get(const struct bh_rerun_terminal *terminal)
{
	return terminal ? &terminal->terminal : NULL;
}

void bh_rerun_terminal_destroy(struct bh_rerun_terminal *terminal)
{
	if (!terminal)
		return;
	free(terminal->environment);
	free(terminal->argv);
	free(terminal->typed);
	free(terminal);
}
