/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Results of a run as JSON and as text: see summary.h. */
#include "cli/summary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/json.h"

static int is_pass(const struct bh_sim_result *result)
{
	return result->failure_count == 0 && !result->is_interrupted;
}

int bh_summary_exit_status(const struct bh_summary *summary)
{
	return is_pass(summary->result) ? BH_EXIT_PASS : BH_EXIT_FAIL;
}

static const char *node_name(const struct bh_scenario *scenario, uint32_t node)
{
	return node < scenario->node_count ? scenario->nodes[node].name : NULL;
}

/* Each version once, in the order of first use. */
static void add_kernels(struct bh_json *json, const struct bh_scenario *scenario)
{
	bh_json_key(json, "kernels");
	bh_json_array_begin(json);
	for (size_t i = 0; i < scenario->node_count; i++) {
		size_t first = 0;

		while (strcmp(scenario->nodes[first].kernel, scenario->nodes[i].kernel) != 0)
			first++;
		if (first == i)
			bh_json_string(json, scenario->nodes[i].kernel);
	}
	bh_json_array_end(json);
}

static void add_backtrace(struct bh_json *json, const struct bh_failure *failure)
{
	if (!failure->backtrace)
		return;
	bh_json_key(json, "backtrace");
	bh_json_array_begin(json);
	for (char **line = failure->backtrace; *line; line++)
		bh_json_string(json, *line);
	bh_json_array_end(json);
}

static void add_failures(struct bh_json *json, const struct bh_summary *summary)
{
	const struct bh_sim_result *result = summary->result;

	bh_json_key(json, "failures");
	bh_json_array_begin(json);
	for (size_t i = 0; i < result->failure_count; i++) {
		const struct bh_failure *failure = &result->failures[i];

		bh_json_object_begin(json);
		bh_json_add_string(json, "what", failure->what);
		bh_json_add_string(json, "node", node_name(summary->scenario, failure->node));
		bh_json_add_u64(json, "vtime_ns", failure->vtime_ns);
		bh_json_add_u64(json, "event", failure->event);
		bh_json_add_string(json, "detail", failure->detail);
		add_backtrace(json, failure);
		bh_json_object_end(json);
	}
	bh_json_array_end(json);
}

/* What didn't happen is null: the exit status of a killed program, the signal of one that exited,
 * pid and times of one that never started. */
static void add_process(struct bh_json *json, const struct bh_summary *summary,
			const struct bh_process_result *process)
{
	int is_exited = process->ended && process->signal == 0;

	bh_json_object_begin(json);
	bh_json_add_string(json, "node", node_name(summary->scenario, process->node));
	bh_json_key(json, "pid");
	process->pid > 0 ? bh_json_i64(json, process->pid) : bh_json_null(json);
	bh_json_add_string(json, "path", process->path);
	bh_json_add_string(json, "command", process->command);
	bh_json_key(json, "exit");
	is_exited ? bh_json_i64(json, process->exit_status) : bh_json_null(json);
	bh_json_key(json, "signal");
	process->signal ? bh_json_i64(json, process->signal) : bh_json_null(json);
	bh_json_key(json, "start_ns");
	process->pid > 0 ? bh_json_u64(json, process->start_ns) : bh_json_null(json);
	bh_json_key(json, "end_ns");
	process->ended ? bh_json_u64(json, process->end_ns) : bh_json_null(json);
	bh_json_object_end(json);
}

char *bh_summary_json(const struct bh_summary *summary)
{
	const struct bh_scenario *scenario = summary->scenario;
	const struct bh_sim_result *result = summary->result;
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_add_string(json, "result", is_pass(result) ? "pass" : "fail");
	bh_json_add_bool(json, "interrupted", result->is_interrupted);
	bh_json_add_string(json, "scenario", scenario->name);
	bh_json_add_u64(json, "seed", scenario->seed);
	add_kernels(json, scenario);
	bh_json_add_u64(json, "nodes", scenario->node_count);
	bh_json_add_u64(json, "events", result->events);
	bh_json_add_u64(json, "frames", result->frames);
	bh_json_add_u64(json, "virtual_ns", result->virtual_ns);
	bh_json_add_hex64(json, "digest", result->digest);
	if (!summary->is_reproducible) {
		bh_json_add_double(json, "boot_s", result->boot_s);
		bh_json_add_double(json, "wall_s", summary->wall_s);
		bh_json_add_string(json, "trace", summary->trace);
	}
	add_failures(json, summary);
	bh_json_key(json, "processes");
	bh_json_array_begin(json);
	for (size_t i = 0; i < result->process_count; i++)
		add_process(json, summary, &result->processes[i]);
	bh_json_array_end(json);
	bh_json_object_end(json);
	return bh_json_finish(json);
}

/* 1.500000 s, without a double: virtual times are exact. */
static void print_seconds(FILE *stream, uint64_t ns)
{
	fprintf(stream, "%" PRIu64 ".%06" PRIu64 " s", ns / 1000000000, ns / 1000 % 1000000);
}

/* Names and command lines are a stranger's text: no control characters on the terminal. */
static void print_text(FILE *stream, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text, stream);
}

static void print_failure(FILE *stream, const struct bh_summary *summary,
			  const struct bh_failure *failure)
{
	const char *node = node_name(summary->scenario, failure->node);

	fprintf(stream, "  %s", failure->what);
	if (node)
		fprintf(stream, " on %s", node);
	fprintf(stream, " at ");
	print_seconds(stream, failure->vtime_ns);
	fprintf(stream, ", event %" PRIu64 ": ", failure->event);
	print_text(stream, failure->detail);
	fputc('\n', stream);
	for (char **line = failure->backtrace; line && *line; line++) {
		fputs("    ", stream);
		print_text(stream, *line);
		fputc('\n', stream);
	}
}

void bh_summary_print(const struct bh_summary *summary, FILE *stream)
{
	const struct bh_scenario *scenario = summary->scenario;
	const struct bh_sim_result *result = summary->result;

	print_text(stream, scenario->name);
	fprintf(stream, ": %s, %zu node%s, ", is_pass(result) ? "passed" : "FAILED",
		scenario->node_count, scenario->node_count == 1 ? "" : "s");
	print_seconds(stream, result->virtual_ns);
	fprintf(stream, " in %.2f s (boot %.2f s)\n", summary->wall_s, result->boot_s);
	fprintf(stream,
		"  %" PRIu64 " events, %" PRIu64 " frames, seed %" PRIu64 ", digest %016" PRIx64
		"\n",
		result->events, result->frames, scenario->seed, result->digest);
	if (result->is_interrupted)
		fprintf(stream, "  interrupted before its end\n");
	for (size_t i = 0; i < result->failure_count; i++)
		print_failure(stream, summary, &result->failures[i]);
}

struct bh_error *bh_summary_show(const struct bh_summary *summary, int is_json, int is_quiet)
{
	if (is_json) {
		char *text = bh_summary_json(summary);

		if (!text)
			return bh_error_new(BH_ERR_NOMEM, "out of memory");
		puts(text);
		free(text);
	} else if (!is_quiet) {
		bh_summary_print(summary, stdout);
	}
	return NULL;
}
