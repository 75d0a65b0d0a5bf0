/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backhop verify`: runs a trace again and names the first event that differs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/kernel_path.h"
#include "cli/safe_text.h"
#include "cli/scenario_program.h"
#include "common/host_time.h"
#include "common/json.h"
#include "replayer/engine.h"
#include "traces/trace.h"

struct verdict {
	int is_diverged;
	struct bh_divergence divergence;
	double wall_s;
};

static const char *node_name(const struct bh_trace *trace, uint32_t node)
{
	return node < bh_trace_node_count(trace) ? bh_trace_node_name(trace, node) : NULL;
}

static char *verdict_json(const struct bh_trace *trace, const struct verdict *verdict)
{
	const struct bh_divergence *divergence = &verdict->divergence;
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_add_string(json, "result", verdict->is_diverged ? "diverged" : "same");
	bh_json_add_hex64(json, "digest", bh_trace_digest(trace));
	bh_json_add_u64(json, "events", bh_trace_event_count(trace));
	bh_json_add_double(json, "wall_s", verdict->wall_s);
	if (verdict->is_diverged) {
		bh_json_key(json, "first_difference");
		bh_json_object_begin(json);
		bh_json_add_u64(json, "event", divergence->event);
		bh_json_add_string(json, "node", node_name(trace, divergence->node));
		bh_json_add_string(json, "field", divergence->field);
		bh_json_add_string(json, "recorded", divergence->recorded);
		bh_json_add_string(json, "replayed", divergence->replayed);
		bh_json_object_end(json);
	}
	bh_json_object_end(json);
	return bh_json_finish(json);
}

static void print_verdict(const struct bh_trace *trace, const struct verdict *verdict)
{
	const struct bh_divergence *divergence = &verdict->divergence;
	const char *node = node_name(trace, divergence->node);

	if (!verdict->is_diverged) {
		printf("same: %" PRIu64 " events, digest %016" PRIx64 ", %.2f s\n",
		       bh_trace_event_count(trace), bh_trace_digest(trace), verdict->wall_s);
		return;
	}
	printf("diverged at event %" PRIu64 ", ", divergence->event);
	if (node) {
		printf("node ");
		bh_print_safe(stdout, node);
		printf(", ");
	}
	printf("field %s: recorded ", divergence->field);
	bh_print_safe(stdout, divergence->recorded);
	printf(", replayed ");
	bh_print_safe(stdout, divergence->replayed);
	fputc('\n', stdout);
}

static int verdict_show(const struct bh_trace *trace, const struct verdict *verdict, int is_json)
{
	if (is_json) {
		char *text = verdict_json(trace, verdict);

		if (!text)
			return bh_cli_fail(bh_error_new(BH_ERR_NOMEM, "out of memory"));
		puts(text);
		free(text);
	} else {
		print_verdict(trace, verdict);
	}
	return bh_cli_finish(verdict->is_diverged ? BH_EXIT_DIVERGED : BH_EXIT_PASS);
}

static int cmd_verify(int argc, char **argv)
{
	int is_json = 0;
	const char *plant = NULL;
	const struct bh_option options[] = {{"json", &is_json, NULL},
					    {"plant-fault", NULL, &plant}};
	uint64_t begin_ns = bh_host_time_ns(), plant_event = 0;
	struct verdict verdict = {0};
	struct bh_trace *trace;
	int status = bh_cli_parse(&bh_command_verify, options, 2, &argc, argv);

	if (status >= 0)
		return status;
	if (argc != 2)
		return bh_cli_usage(&bh_command_verify,
				    argc < 2 ? "name a trace" : "name one trace, not %d", argc - 1);
	if (plant && (!bh_cli_parse_u64(plant, &plant_event) || !plant_event))
		return bh_cli_usage(&bh_command_verify,
				    "--plant-fault wants the number of a tx event, not \"%s\"",
				    plant);
	struct bh_error *error = bh_trace_open(argv[1], &trace);
	if (error)
		return bh_cli_fail(error);
	error = bh_trace_hand_over(trace);
	if (!error)
		error = bh_verify(trace, bh_find_kernel, NULL, plant_event, &verdict.is_diverged,
				  &verdict.divergence);
	verdict.wall_s = (double)(bh_host_time_ns() - begin_ns) / 1e9;
	status = error ? bh_cli_fail(error) : verdict_show(trace, &verdict, is_json);
	bh_trace_close(trace);
	return status;
}

const struct bh_command bh_command_verify = {
	.name = "verify",
	.synopsis = "[--json] [--plant-fault EVENT] FILE",
	.summary = "run a trace again and compare every event",
	.help = "  --json               print the result as one JSON object\n"
		"  --plant-fault EVENT  change a byte of the frame of this tx event, to see that\n"
		"                       the difference is found\n\n"
		"Exit status: 0 the same, 3 it diverged, 2 bad input (a recorded file has "
		"changed,\n"
		"say), 4 the machine lacks something.",
	.run = cmd_verify,
};
