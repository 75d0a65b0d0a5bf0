/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backhop events`: lists the events of a trace. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/kernel_path.h"
#include "cli/safe_text.h"
#include "common/json.h"
#include "common/suggest.h"
#include "replayer/drop_names.h"
#include "traces/trace.h"

/* What is listed. */
struct filter {
	int has_node, has_kind;
	uint32_t node;
	unsigned int kind;
	uint64_t from, to;
};

static struct bh_error *node_parse(const struct bh_trace *trace, const char *text,
				   uint32_t *node_ret)
{
	size_t count = bh_trace_node_count(trace);
	uint64_t number;

	for (size_t i = 0; i < count; i++) {
		if (!strcmp(bh_trace_node_name(trace, i), text)) {
			*node_ret = (uint32_t)i;
			return NULL;
		}
	}
	if (bh_cli_parse_u64(text, &number) && number < count) {
		*node_ret = (uint32_t)number;
		return NULL;
	}
	const char **names = calloc(count + 1, sizeof(*names));
	for (size_t i = 0; names && i < count; i++)
		names[i] = bh_trace_node_name(trace, i);
	const char *nearest = names ? bh_suggest(text, names, count) : NULL;
	struct bh_error *error =
		nearest ? bh_error_new(BH_ERR_USAGE, "no node \"%s\"; did you mean \"%s\"?", text,
				       nearest)
			: bh_error_new(BH_ERR_USAGE,
				       "no node \"%s\"; `backhop info` lists the nodes", text);
	free(names);
	return error;
}

static struct bh_error *kind_parse(const char *text, unsigned int *kind_ret)
{
	char valid[256] = "";

	for (unsigned int kind = 1; kind < BH_EVENT_KIND_COUNT; kind++) {
		const char *name = bh_event_kind_name(kind);

		if (!strcmp(name, text)) {
			*kind_ret = kind;
			return NULL;
		}
		strncat(valid, kind > 1 ? ", " : "", sizeof(valid) - strlen(valid) - 1);
		strncat(valid, name, sizeof(valid) - strlen(valid) - 1);
	}
	return bh_error_new(BH_ERR_USAGE, "no kind \"%s\"; the kinds are %s", text, valid);
}

static struct bh_error *number_parse(const char *option, const char *text, uint64_t *number_ret)
{
	if (bh_cli_parse_u64(text, number_ret))
		return NULL;
	return bh_error_new(BH_ERR_USAGE, "--%s wants the number of an event, not \"%s\"", option,
			    text);
}

/* The detail of a DROP as JSON members: its reason and place, or null. */
static void add_drop(struct bh_json *json, struct bh_drop_names *names,
		     const struct bh_event *event)
{
	bh_json_add_string(json, "reason", bh_drop_reason(names, event));
	bh_json_add_string(json, "function", bh_drop_function(names, event));
}

static void print_json(const struct bh_trace *trace, struct bh_drop_names *names,
		       const struct bh_event *event)
{
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_add_u64(json, "event", event->event);
	bh_json_add_u64(json, "vtime_ns", event->vtime_ns);
	bh_json_add_string(json, "node",
			   event->node == BH_NO_NODE ? NULL
						     : bh_trace_node_name(trace, event->node));
	bh_json_add_string(json, "kind", bh_event_kind_name(event->kind));
	bh_json_add_u64(json, "cause", event->cause);
	bh_json_add_u64(json, "packet", event->packet);
	bh_json_add_u64(json, "hop", event->hop);
	bh_json_key(json, "device");
	event->device == BH_NO_DEVICE ? bh_json_null(json) : bh_json_u64(json, event->device);
	bh_json_add_u64(json, "length", event->length);
	bh_json_add_u64(json, "value", event->value);
	bh_json_add_hex64(json, "hash", event->hash);
	if (event->kind == BH_EVENT_DROP)
		add_drop(json, names, event);
	bh_json_object_end(json);
	char *text = bh_json_finish(json);
	if (text)
		puts(text);
	free(text);
}

/* What the value of an event means. */
static void print_drop(struct bh_drop_names *names, const struct bh_event *event)
{
	const char *reason = bh_drop_reason(names, event);
	const char *function = bh_drop_function(names, event);

	fputs("  ", stdout);
	if (reason)
		bh_print_safe(stdout, reason);
	else
		printf("reason %u", (unsigned int)event->value & 0xffff);
	if (function)
		printf(" at %s", function);
	else
		printf(" at image+0x%" PRIx64, event->value >> 16);
}

static void print_detail(struct bh_drop_names *names, const struct bh_event *event)
{
	unsigned int status = (unsigned int)event->value & 0x7f;

	switch (event->kind) {
	case BH_EVENT_RX:
	case BH_EVENT_TX:
	case BH_EVENT_WAKE:
		printf("  dev %" PRIu32, event->device);
		break;
	case BH_EVENT_LOST:
		printf("  %s", bh_loss_reason_name(event->value) ? bh_loss_reason_name(event->value)
								 : "unknown reason");
		break;
	case BH_EVENT_SPAWN:
		printf("  program %" PRIu64, event->value);
		break;
	case BH_EVENT_EXEC:
		printf("  pid %" PRIu64, event->value);
		break;
	case BH_EVENT_EXIT:
		printf("  pid %" PRIu64 " %s %u", event->value >> 32, status ? "signal" : "status",
		       status ? status : (unsigned int)(event->value >> 8) & 0xff);
		break;
	case BH_EVENT_OUTPUT:
		printf("  pid %" PRIu64 " %s", event->value >> 32,
		       (uint32_t)event->value == 2 ? "stderr" : "stdout");
		break;
	case BH_EVENT_CARRIER:
		printf("  dev %" PRIu32 " %s", event->device, event->value ? "up" : "down");
		break;
	case BH_EVENT_ACTION:
		printf("  number %" PRIu64 " of the timeline", event->value);
		break;
	case BH_EVENT_HALT:
		if (bh_halt_name(event->value))
			printf("  %s", bh_halt_name(event->value));
		break;
	case BH_EVENT_DROP:
		print_drop(names, event);
		break;
	}
}

static void print_columns(const struct bh_trace *trace, struct bh_drop_names *names,
			  const struct bh_event *event, int node_width)
{
	const char *node = event->node == BH_NO_NODE ? "-" : bh_trace_node_name(trace, event->node);
	char packet[48] = "-";

	if (event->packet)
		snprintf(packet, sizeof(packet), "%" PRIu64 ".%" PRIu32, event->packet, event->hop);
	printf("%8" PRIu64 " %4" PRIu64 ".%09" PRIu64 "  ", event->event,
	       event->vtime_ns / 1000000000, event->vtime_ns % 1000000000);
	bh_print_safe(stdout, node);
	printf("%*s %-7s %8" PRIu64 " %10s %5" PRIu32,
	       node_width > (int)strlen(node) ? node_width - (int)strlen(node) : 0, "",
	       bh_event_kind_name(event->kind), event->cause, packet, event->length);
	print_detail(names, event);
	fputc('\n', stdout);
}

static struct bh_error *print_events(const struct bh_trace *trace, struct bh_drop_names *names,
				     const struct filter *filter, int is_json)
{
	uint64_t count = bh_trace_event_count(trace);
	int node_width = 4;

	for (size_t i = 0; i < bh_trace_node_count(trace); i++) {
		int length = (int)strlen(bh_trace_node_name(trace, i));

		if (length > node_width)
			node_width = length < 20 ? length : 20;
	}
	if (!is_json)
		printf("%8s %14s  %-*s %-7s %8s %10s %5s  %s\n", "event", "time", node_width,
		       "node", "kind", "cause", "packet.hop", "bytes", "detail");
	for (uint64_t i = filter->from ? filter->from : 1; i <= count && i <= filter->to; i++) {
		struct bh_event event;

		BH_TRY(bh_trace_event(trace, i, &event));
		if ((filter->has_node && event.node != filter->node) ||
		    (filter->has_kind && event.kind != filter->kind))
			continue;
		if (is_json)
			print_json(trace, names, &event);
		else
			print_columns(trace, names, &event, node_width);
		/* Whoever reads us has enough, as `head` does. */
		if (ferror(stdout))
			break;
	}
	return NULL;
}

static int cmd_events(int argc, char **argv)
{
	int is_json = 0;
	const char *node = NULL, *kind = NULL, *from = NULL, *to = NULL;
	struct filter filter = {.from = 1, .to = UINT64_MAX};
	const struct bh_option options[] = {
		{"json", &is_json, NULL}, {"node", NULL, &node}, {"kind", NULL, &kind},
		{"from", NULL, &from},	  {"to", NULL, &to},
	};
	struct bh_trace *trace = NULL;
	int status = bh_cli_parse(&bh_command_events, options, sizeof(options) / sizeof(options[0]),
				  &argc, argv);

	if (status >= 0)
		return status;
	if (argc != 2)
		return bh_cli_usage(&bh_command_events,
				    argc < 2 ? "name a trace" : "name one trace, not %d", argc - 1);
	filter.has_node = node != NULL;
	filter.has_kind = kind != NULL;
	struct bh_error *error = kind ? kind_parse(kind, &filter.kind) : NULL;
	if (!error && from)
		error = number_parse("from", from, &filter.from);
	if (!error && to)
		error = number_parse("to", to, &filter.to);
	if (!error)
		error = bh_trace_open(argv[1], &trace);
	if (!error && node)
		error = node_parse(trace, node, &filter.node);
	struct bh_drop_names *names =
		error ? NULL : bh_drop_names_create(trace, bh_find_kernel, NULL);

	if (!error)
		error = print_events(trace, names, &filter, is_json);
	bh_drop_names_destroy(names);
	bh_trace_close(trace);
	return error ? bh_cli_fail(error) : bh_cli_finish(BH_EXIT_PASS);
}

const struct bh_command bh_command_events = {
	.name = "events",
	.synopsis = "[--json] [--node NODE] [--kind KIND] [--from EVENT] [--to EVENT] FILE",
	.summary = "list the events of a trace",
	.help = "  --json        print one JSON object a line\n"
		"  --node NODE   only of this node, by name or number\n"
		"  --kind KIND   only boot, timer, rx, tx, lost, spawn, exec, exit, output,\n"
		"                console, halt, stop, drop or action\n"
		"  --from EVENT, --to EVENT\n"
		"                only events with these numbers, both included",
	.run = cmd_events,
};
