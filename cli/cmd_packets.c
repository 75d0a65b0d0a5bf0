/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backhop packets`: lists the packets of a trace, where each went and what became of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/kernel_path.h"
#include "cli/safe_text.h"
#include "cli/scenario_program.h"
#include "replayer/packets.h"
#include "traces/trace.h"

static const char *node_name(const struct bh_packets *packets, uint32_t node)
{
	const struct bh_trace *trace = bh_packets_trace(packets);

	return node < bh_trace_node_count(trace) ? bh_trace_node_name(trace, node) : "-";
}

static void print_end(const struct bh_packets *packets, const struct bh_packet_end *end)
{
	printf("%s ", bh_packet_end_name(end->kind));
	bh_print_safe(stdout, node_name(packets, end->node));
	if (end->pid) {
		printf(" ");
		bh_print_safe(stdout, end->program ? end->program : "pid");
		printf("-%" PRId64, end->pid);
	}
	if (end->reason) {
		printf(" ");
		bh_print_safe(stdout, end->reason);
	}
	if (end->function) {
		printf(" in ");
		bh_print_safe(stdout, end->function);
	}
}

static void print_packet(const struct bh_packets *packets, const struct bh_packet *packet)
{
	char summary[512];

	bh_packet_summary(packet, summary, sizeof(summary));
	printf("%8" PRIu64 " %4" PRIu64 ".%09" PRIu64 "  ", packet->id,
	       packet->born_ns / 1000000000, packet->born_ns % 1000000000);
	bh_print_safe(stdout, node_name(packets, packet->from));
	printf("  ");
	bh_print_safe(stdout, summary);
	printf("; %zu hops; ", packet->hop_count);
	print_end(packets, &packet->ends[0]);
	if (packet->parent)
		printf("; %s %s %" PRIu64 "%s", bh_packet_relation_name(packet->relation),
		       packet->relation == BH_PACKET_CAUSED ? "by" : "of", packet->parent,
		       packet->is_guess ? " (guess)" : "");
	fputc('\n', stdout);
}

static struct bh_error *print_packets(const struct bh_packets *packets,
				      const struct bh_packet_filter *filter, int is_json)
{
	if (!is_json)
		printf("%8s %14s  %s\n", "packet", "time", "from  what; hops; end");
	for (size_t i = 0; i < bh_packets_count(packets); i++) {
		const struct bh_packet *packet = bh_packets_at(packets, i);

		if (!bh_packet_filter_matches(filter, packets, packet))
			continue;
		if (is_json) {
			char *text = bh_packet_json(packets, packet);

			if (!text)
				return bh_error_new(BH_ERR_NOMEM, "out of memory");
			puts(text);
			free(text);
		} else {
			print_packet(packets, packet);
		}
		/* Whoever reads us has enough, as `head` does. */
		if (ferror(stdout))
			break;
	}
	return NULL;
}

/* The words of a filter, as a shell has cut them, in one text. The caller frees it. */
static char *join(int count, char **words)
{
	size_t length = 1;

	for (int i = 0; i < count; i++)
		length += strlen(words[i]) + 1;
	char *text = calloc(1, length);

	for (int i = 0; text && i < count; i++) {
		strcat(text, words[i]);
		if (i + 1 < count)
			strcat(text, " ");
	}
	return text;
}

/* --- functions --- */

static void print_step(const struct bh_trace *trace, const struct bh_packet_entry *step)
{
	char place[64];

	snprintf(place, sizeof(place), "%" PRIu64 ":%" PRIu64 ":0", step->event, step->tick);
	printf("%-16s %4" PRIu64 ".%09" PRIu64 "  ", place, step->vtime_ns / 1000000000,
	       step->vtime_ns % 1000000000);
	bh_print_safe(stdout, bh_trace_node_name(trace, step->node));
	printf("  %s\n", step->function);
}

static struct bh_error *print_trace(const struct bh_trace *trace,
				    const struct bh_packet_trace *functions, int is_json)
{
	size_t count;
	const struct bh_packet_entry *steps = bh_packet_trace_entries(functions, &count);

	if (!is_json)
		printf("%-16s %14s  %s\n", "place", "time", "node  function");
	for (size_t i = 0; i < count && !ferror(stdout); i++) {
		char *text = is_json ? bh_packet_entry_json(trace, &steps[i]) : NULL;

		if (is_json && !text)
			return bh_error_new(BH_ERR_NOMEM, "out of memory");
		if (is_json)
			puts(text);
		else
			print_step(trace, &steps[i]);
		free(text);
	}
	return NULL;
}

static struct bh_error *trace_packet(const struct bh_trace *trace, uint64_t id, const char *node,
				     int is_json)
{
	const struct bh_packets_source source = {.trace = trace, .find_kernel = bh_find_kernel};
	struct bh_packet_trace *functions = NULL;
	struct bh_packets *packets = NULL;
	const struct bh_packet *packet = NULL;
	uint32_t number = BH_NO_NODE;
	struct bh_error *error = node ? bh_packet_node_parse(trace, node, &number) : NULL;

	if (!error)
		error = bh_trace_hand_over(trace);
	if (!error)
		error = bh_packets_create(&source, &packets);
	if (!error)
		error = bh_packets_find(packets, id, &packet);
	if (!error)
		error = bh_packet_trace_create(&source, packet, number, &functions);
	if (!error)
		error = print_trace(trace, functions, is_json);
	bh_packet_trace_destroy(functions);
	bh_packets_destroy(packets);
	return error;
}

/* --- packets --- */

static struct bh_error *list(const struct bh_trace *trace, const char *filter_text, int is_json)
{
	const struct bh_packets_source source = {.trace = trace, .find_kernel = bh_find_kernel};
	struct bh_packet_filter *filter = NULL;
	struct bh_packets *packets = NULL;
	/* Before the table is made: that may take a while. */
	struct bh_error *error = bh_packet_filter_create(trace, filter_text, &filter);

	if (!error)
		error = bh_trace_hand_over(trace);
	if (!error)
		error = bh_packets_create(&source, &packets);
	if (!error && bh_packets_missing(packets))
		bh_cli_note("%s.debug is missing: what made packets and who read them isn't known",
			    bh_packets_missing(packets));
	if (!error)
		error = print_packets(packets, filter, is_json);
	bh_packets_destroy(packets);
	bh_packet_filter_destroy(filter);
	return error;
}

static int cmd_packets(int argc, char **argv)
{
	int is_json = 0;
	const char *traced = NULL, *node = NULL;
	uint64_t id = 0;
	const struct bh_option options[] = {
		{"json", &is_json, NULL}, {"trace", NULL, &traced}, {"node", NULL, &node}};
	struct bh_trace *trace = NULL;
	int status = bh_cli_parse(&bh_command_packets, options, 3, &argc, argv);

	if (status >= 0)
		return status;
	if (argc < 2)
		return bh_cli_usage(&bh_command_packets, "name a trace");
	if (traced && (!bh_cli_parse_u64(traced, &id) || !id))
		return bh_cli_usage(&bh_command_packets, "--trace wants a packet's id, not \"%s\"",
				    traced);
	if (traced && argc > 2)
		return bh_cli_usage(&bh_command_packets, "--trace is of one packet: no filter");
	if (node && !traced)
		return bh_cli_usage(&bh_command_packets,
				    "--node belongs to --trace; a filter has `at NODE`");
	char *filter = join(argc - 2, argv + 2);
	struct bh_error *error = filter ? bh_trace_open(argv[1], &trace)
					: bh_error_new(BH_ERR_NOMEM, "out of memory");

	if (!error)
		error = traced ? trace_packet(trace, id, node, is_json)
			       : list(trace, filter, is_json);
	free(filter);
	bh_trace_close(trace);
	return error ? bh_cli_fail(error) : bh_cli_finish(BH_EXIT_PASS);
}

const struct bh_command bh_command_packets = {
	.name = "packets",
	.synopsis = "[--json] [--trace ID [--node NODE]] FILE [FILTER…]",
	.summary = "list the packets of a trace, their ways and ends",
	.help = "  --json        print one JSON object a line\n"
		"  --trace ID    list the kernel functions that handled this packet, from a "
		"rerun:\n"
		"                the place for gdb's `goto`, the virtual time, the node\n"
		"  --node NODE   only those of this node\n\n"
		"FILTER is in the syntax of pcap-filter(7), and knows some words more, joined to\n"
		"the rest by `and`: dropped, lost, delivered, queued, at NODE, from NODE, to "
		"NODE,\n"
		"reaching NODE, each perhaps after `not`:\n\n"
		"  backhop packets run.bht icmp and dropped and at r1\n\n"
		"The first time, the trace is run again; what was found is kept (in\n"
		"${BACKHOP_CACHE:-~/.cache/backhop}/packets), so later it is there at once.",
	.run = cmd_packets,
};
