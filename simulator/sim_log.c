/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node's kernel log as the simulator reads it: lines that tell of a fault, and the call traces
 * behind them. host_console() runs on a stack of the node, see host_abi.h; names are looked up when
 * the run is over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/symbols.h"
#include "simulator/sim_internal.h"

/* Failures that one node's kernel log can add; a kernel that warns at each packet needs no more. */
#define LOG_FAILURES_MAX 10u

/* Words as in lib/bug.c, kernel/panic.c, mm/oom_kill.c, mm/slub.c, kernel/locking/lockdep.c and
 * fs/proc/proc_sysctl.c (Linux 6.1), and in oops.c of the image. The first that a line has counts.
 */
static const struct {
	const char *words;
	enum bh_fault fault;
} fault_words[] = {
	{"BUG: unable to handle ", BH_FAULT_OOPS},
	{"BUG: kernel NULL pointer", BH_FAULT_OOPS},
	{"BUG: general protection", BH_FAULT_OOPS},
	{"BUG: invalid opcode", BH_FAULT_OOPS},
	{"BUG: divide error", BH_FAULT_OOPS},
	{"BUG: unexpected trap", BH_FAULT_OOPS},
	{"kernel BUG at ", BH_FAULT_BUG},
	{"BUG: ", BH_FAULT_BUG},
	{"WARNING: ", BH_FAULT_WARNING},
	{"INFO: trying to register non-static key", BH_FAULT_WARNING},
	{"Out of memory", BH_FAULT_OOM},
};

/* --- lines --- */

/* Without its time, which the failure has: "[    5.000000] BUG: …". */
static const char *line_text(const struct bh_sim_node *node)
{
	const char *bracket = node->log_line[0] == '[' ? strstr(node->log_line, "] ") : NULL;

	return bracket ? bracket + 2 : node->log_line;
}

/* A line of a call trace: " [image+0x1234]". It belongs to the fault before it, and to a panic that
 * comes next. */
static int take_trace_line(struct bh_sim_node *node)
{
	static const char mark[] = "[image+0x";
	const char *offset = strstr(node->log_line, mark);

	if (strstr(node->log_line, "Call trace:")) {
		node->trace_count = 0;
		return 1;
	}
	if (!offset)
		return 0;
	uint64_t address = strtoull(offset + strlen(mark), NULL, 16);

	if (node->trace_count < BH_TRACE_MAX)
		node->trace[node->trace_count++] = address;
	if (node->traced_failure)
		bh_sim_failure_trace(node->sim, node->traced_failure, node->trace,
				     node->trace_count);
	return 1;
}

static void fault_found(struct bh_sim_node *node, enum bh_fault fault)
{
	struct bh_sim *sim = node->sim;

	node->trace_count = 0;
	node->traced_failure = 0;
	if (bh_sim_expect_allows(sim, node->id, fault) || node->log_failures++ >= LOG_FAILURES_MAX)
		return;
	size_t before = sim->result.failure_count;

	bh_sim_fail(sim, bh_fault_name(fault), node->id, sim->result.events,
		    "the kernel log says: %s", line_text(node));
	node->traced_failure = sim->result.failure_count > before ? before + 1 : 0;
}

static void line_complete(struct bh_sim_node *node)
{
	node->log_line[node->log_length] = '\0';
	node->log_length = 0;
	if (take_trace_line(node))
		return;
	for (size_t i = 0; i < sizeof(fault_words) / sizeof(fault_words[0]); i++) {
		if (strstr(node->log_line, fault_words[i].words)) {
			fault_found(node, fault_words[i].fault);
			return;
		}
	}
	/* "BUG kmalloc-64 (Not tainted): Poison overwritten": in 6.1, SLUB says no more than this.
	 */
	if (strncmp(line_text(node), "BUG ", 4) == 0)
		fault_found(node, BH_FAULT_BUG);
	if (strstr(node->log_line, "sysctl parameter '")) {
		bh_sim_fail(node->sim, "setup", node->id, node->sim->result.events,
			    "the kernel log says: %s", line_text(node));
		node->sim->is_over = 1;
	}
}

void bh_sim_console(void *host, const char *text, unsigned long len)
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
	bh_sim_node_output(node, "kern.log", text, len);
	for (unsigned long i = 0; i < len; i++) {
		if (text[i] == '\n')
			line_complete(node);
		else if (node->log_length < BH_LOG_LINE_MAX)
			node->log_line[node->log_length++] = text[i];
	}
}

/* --- backtraces --- */

void bh_sim_spin(void *arg, const char *text, const struct bh_posix_stack *stack)
{
	struct bh_sim_node *node = arg;
	size_t count = stack->kernel_count;

	node->trace_count = count < BH_TRACE_MAX ? count : BH_TRACE_MAX;
	if (count > 0)
		memcpy(node->trace, stack->kernel, node->trace_count * sizeof(*node->trace));
	free(node->program_trace);
	node->program_trace = strdup(stack->program);
}

void bh_sim_failure_trace(struct bh_sim *sim, size_t number, const uint64_t *offsets, size_t count)
{
	struct bh_failure *failure = &sim->result.failures[number - 1];
	uint64_t *copy = count ? realloc(failure->trace, count * sizeof(*copy)) : NULL;

	/* Without memory a failure has no trace. */
	if (!copy)
		return;
	memcpy(copy, offsets, count * sizeof(*copy));
	failure->trace = copy;
	failure->trace_count = count;
}

/* What prints a trace is on the stack, too, and says nothing. */
static int is_printing(const char *text)
{
	static const char *const functions[] = {"show_stack",
						"dump_stack_lvl",
						"dump_stack",
						"panic_halt",
						"atomic_notifier_call_chain",
						"__warn",
						"warn_slowpath_fmt"};
	size_t length = strcspn(text, "+");

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (strlen(functions[i]) == length && !strncmp(text, functions[i], length))
			return 1;
	return 0;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	while (text && (text = strchr(text, '\n'))) {
		count++;
		text++;
	}
	return count;
}

/* The kernel's part into lines; returns how many there are. */
static size_t describe_kernel(struct bh_sim *sim, const struct bh_failure *failure, char **lines)
{
	const char *image = bh_image_path(bh_node_image(sim->nodes[failure->node].kernel));
	struct bh_symbols *symbols = bh_symbols_open_image(image);
	size_t count = 0;

	for (size_t i = 0; i < failure->trace_count; i++) {
		uint64_t offset = failure->trace[i];
		char text[512];

		/* All but the first of an oops are addresses to return to. */
		if (!bh_symbols_describe(symbols, i > 0 && offset ? offset - 1 : offset, text,
					 sizeof(text)))
			snprintf(text, sizeof(text), "image+0x%llx", (unsigned long long)offset);
		if (count == 0 && is_printing(text))
			continue;
		lines[count] = strdup(text);
		if (!lines[count])
			break;
		count++;
	}
	bh_symbols_close(symbols);
	return count;
}

static void describe_trace(struct bh_sim *sim, struct bh_failure *failure)
{
	const char *line = failure->program_trace;
	size_t room = failure->trace_count + count_lines(line) + 1, count = 0;

	failure->backtrace = calloc(room, sizeof(*failure->backtrace));
	if (!failure->backtrace)
		return;
	if (failure->trace_count)
		count = describe_kernel(sim, failure, failure->backtrace);
	for (; line && *line; line += strcspn(line, "\n") + 1) {
		failure->backtrace[count] = strndup(line, strcspn(line, "\n"));
		if (!failure->backtrace[count++])
			break;
	}
}

void bh_sim_failures_describe(struct bh_sim *sim)
{
	for (size_t i = 0; i < sim->result.failure_count; i++)
		if (sim->result.failures[i].trace_count > 0 ||
		    sim->result.failures[i].program_trace)
			describe_trace(sim, &sim->result.failures[i]);
}
