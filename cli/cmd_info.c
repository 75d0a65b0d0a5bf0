/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backhop info`: what a trace holds and how its run ended. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/safe_text.h"
#include "common/json.h"
#include "common/json_scan.h"
#include "traces/trace.h"

static struct bh_json_span first_failure(const struct bh_trace *trace)
{
	const char *text = bh_trace_summary_json(trace);
	struct bh_json_span summary = bh_json_value(text ? text : "", text ? strlen(text) : 0);

	return bh_json_element(bh_json_member(summary, "failures"), 0);
}

static void hash_format(const uint8_t hash[16], char text_ret[33])
{
	for (int i = 0; i < 16; i++)
		snprintf(text_ret + 2 * i, 3, "%02x", hash[i]);
}

static void add_inputs(struct bh_json *json, const struct bh_trace *trace)
{
	static const char *const kinds[] = {"absent", "file", "directory", "symlink", "special"};
	char hash[33];

	bh_json_key(json, "inputs");
	bh_json_array_begin(json);
	for (size_t i = 0; i < bh_trace_input_count(trace); i++) {
		const struct bh_trace_input *input = bh_trace_input(trace, i);

		bh_json_object_begin(json);
		bh_json_add_string(json, "role", bh_trace_input_role_name(input->role));
		bh_json_add_string(json, "name", input->name);
		bh_json_add_string(json, "kind", kinds[input->kind]);
		bh_json_add_u64(json, "size", input->size);
		hash_format(input->hash, hash);
		bh_json_add_string(json, "hash", input->was_read ? hash : NULL);
		if (input->build_id)
			bh_json_add_string(json, "build_id", input->build_id);
		bh_json_object_end(json);
	}
	bh_json_array_end(json);
}

/* A member whose value is JSON text, or null. It is the trace's, so it is copied only if it is in
 * one piece. */
static void add_span(struct bh_json *json, const char *key, struct bh_json_span span)
{
	char *text = span.text ? strndup(span.text, span.length) : NULL;

	bh_json_key(json, key);
	if (text)
		bh_json_raw(json, text);
	else
		bh_json_null(json);
	free(text);
}

static char *info_json(const struct bh_trace *trace)
{
	const char *summary = bh_trace_summary_json(trace);
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_add_u64(json, "version", bh_trace_version(trace));
	bh_json_add_bool(json, "complete", bh_trace_is_complete(trace));
	bh_json_add_bool(json, "truncated", !bh_trace_is_complete(trace));
	bh_json_add_string(json, "scenario", bh_trace_scenario_name(trace));
	bh_json_add_u64(json, "seed", bh_trace_seed(trace));
	bh_json_key(json, "nodes");
	bh_json_array_begin(json);
	for (size_t i = 0; i < bh_trace_node_count(trace); i++)
		bh_json_string(json, bh_trace_node_name(trace, i));
	bh_json_array_end(json);
	bh_json_add_u64(json, "events", bh_trace_event_count(trace));
	bh_json_add_hex64(json, "digest", bh_trace_digest(trace));
	add_inputs(json, trace);
	add_span(json, "summary",
		 bh_json_value(summary ? summary : "", summary ? strlen(summary) : 0));
	add_span(json, "failure", first_failure(trace));
	bh_json_object_end(json);
	return bh_json_finish(json);
}

static void print_seconds(uint64_t ns)
{
	printf("%" PRIu64 ".%09" PRIu64 " s", ns / 1000000000, ns % 1000000000);
}

static void print_nodes(const struct bh_trace *trace)
{
	size_t count = bh_trace_node_count(trace);

	printf("nodes      %zu:", count);
	for (size_t i = 0; i < count && i < 12; i++) {
		fputc(' ', stdout);
		bh_print_safe(stdout, bh_trace_node_name(trace, i));
	}
	printf("%s\n", count > 12 ? " …" : "");
}

static void print_inputs(const struct bh_trace *trace)
{
	size_t read = 0, looked_at = 0;

	for (size_t i = 0; i < bh_trace_input_count(trace); i++) {
		const struct bh_trace_input *input = bh_trace_input(trace, i);

		if (input->role == BH_TRACE_KERNEL) {
			printf("kernel     ");
			bh_print_safe(stdout, input->name);
			printf(", build-id %s\n", input->build_id ? input->build_id : "unknown");
		} else if (input->role == BH_TRACE_PROGRAM) {
			printf("program    ");
			bh_print_safe(stdout, input->name);
			fputc('\n', stdout);
		} else if (input->role == BH_TRACE_TERMINAL) {
			printf("terminal   on ");
			bh_print_safe(stdout, input->name);
			fputc('\n', stdout);
		} else if (input->role == BH_TRACE_FILE) {
			read += input->kind == 1 && input->was_read;
			looked_at++;
		}
	}
	printf("inputs     %zu files read, %zu paths looked at (--json lists them)\n", read,
	       looked_at);
}

static void print_failure(const struct bh_trace *trace)
{
	struct bh_json_span failure = first_failure(trace);
	char *what = bh_json_text(bh_json_member(failure, "what"));
	char *node = bh_json_text(bh_json_member(failure, "node"));
	char *detail = bh_json_text(bh_json_member(failure, "detail"));
	uint64_t event, vtime_ns;

	if (what && detail && bh_json_number(bh_json_member(failure, "event"), &event) &&
	    bh_json_number(bh_json_member(failure, "vtime_ns"), &vtime_ns)) {
		printf("failure    ");
		bh_print_safe(stdout, what);
		if (node) {
			printf(" on ");
			bh_print_safe(stdout, node);
		}
		printf(" at ");
		print_seconds(vtime_ns);
		printf(", event %" PRIu64 ": ", event);
		bh_print_safe(stdout, detail);
		fputc('\n', stdout);
	}
	free(what);
	free(node);
	free(detail);
}

static struct bh_error *print_info(const struct bh_trace *trace)
{
	const char *summary = bh_trace_summary_json(trace);
	struct bh_json_span whole =
		bh_json_value(summary ? summary : "", summary ? strlen(summary) : 0);
	char *result = bh_json_text(bh_json_member(whole, "result"));
	uint64_t count = bh_trace_event_count(trace);
	struct bh_event last = {0};

	if (count)
		BH_TRY(bh_trace_event(trace, count, &last));
	printf("trace      format version %u, %s\n", bh_trace_version(trace),
	       bh_trace_is_complete(trace)
		       ? "complete"
		       : "truncated: the recording was killed, or gave up a node that "
			 "spins, and this is what it had written");
	printf("scenario   ");
	bh_print_safe(stdout, bh_trace_scenario_name(trace));
	printf(", seed %" PRIu64 "\n", bh_trace_seed(trace));
	print_nodes(trace);
	printf("events     %" PRIu64 ", up to ", count);
	print_seconds(last.vtime_ns);
	printf(", digest %016" PRIx64 "\n", bh_trace_digest(trace));
	print_inputs(trace);
	printf("result     ");
	bh_print_safe(stdout, result ? result : "unknown");
	fputc('\n', stdout);
	print_failure(trace);
	free(result);
	return NULL;
}

static int cmd_info(int argc, char **argv)
{
	int is_json = 0;
	const struct bh_option options[] = {{"json", &is_json, NULL}};
	struct bh_trace *trace;
	int status = bh_cli_parse(&bh_command_info, options, 1, &argc, argv);

	if (status >= 0)
		return status;
	if (argc != 2)
		return bh_cli_usage(&bh_command_info,
				    argc < 2 ? "name a trace" : "name one trace, not %d", argc - 1);
	struct bh_error *error = bh_trace_open(argv[1], &trace);
	if (error)
		return bh_cli_fail(error);
	if (is_json) {
		char *text = info_json(trace);

		if (text)
			puts(text);
		else
			error = bh_error_new(BH_ERR_NOMEM, "out of memory");
		free(text);
	} else {
		error = print_info(trace);
	}
	bh_trace_close(trace);
	return error ? bh_cli_fail(error) : bh_cli_finish(BH_EXIT_PASS);
}

const struct bh_command bh_command_info = {
	.name = "info",
	.synopsis = "[--json] FILE",
	.summary = "show what a trace holds and how its run ended",
	.help = "  --json  print one JSON object: version, complete or truncated, inputs with\n"
		"          hashes and build-ids, the run's summary, and its first failure",
	.run = cmd_info,
};
