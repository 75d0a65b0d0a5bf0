/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets between our gdb plugin and this server, specified in docs/remote-protocol.md: questions
 * about nodes, events and the way of packets, answered with JSON in hexadecimal, and the arming of
 * a goto. Called by gdb_server.c.
 */
#include <stdlib.h>
#include <string.h>

#include "common/event.h"
#include "common/json.h"
#include "replayer/gdb_server_state.h"
#include "replayer/gdb_server_why.h"
#include "replayer/lineage.h"

static const char *node_name(struct bh_gdb_server *server, uint32_t node)
{
	const struct bh_trace *trace = bh_replay_trace(server->replay);

	return node < bh_trace_node_count(trace) ? bh_trace_node_name(trace, node) : NULL;
}

void bh_gdb_reply_json(struct bh_gdb_server *server, struct bh_json *json)
{
	char *text = bh_json_finish(json);

	if (text)
		bh_rsp_hex(&server->reply, text, strlen(text));
	else
		bh_gdb_refuse(server, "out of memory");
	free(text);
}

void bh_gdb_add_node(struct bh_gdb_server *server, struct bh_json *json, uint32_t node)
{
	if (node == BH_NO_NODE)
		bh_json_add_null(json, "node");
	else
		bh_json_add_u64(json, "node", node);
	bh_json_add_string(json, "node_name", node_name(server, node));
}

void bh_gdb_add_event(struct bh_gdb_server *server, struct bh_json *json,
		      const struct bh_event *event)
{
	bh_json_object_begin(json);
	bh_json_add_u64(json, "event", event->event);
	bh_json_add_u64(json, "vtime_ns", event->vtime_ns);
	bh_gdb_add_node(server, json, event->node);
	bh_json_add_string(json, "kind", bh_event_kind_name(event->kind));
	bh_json_add_u64(json, "cause", event->cause);
	bh_json_add_u64(json, "packet", event->packet);
	bh_json_add_u64(json, "hop", event->hop);
	bh_json_add_u64(json, "length", event->length);
	bh_json_add_u64(json, "value", event->value);
	if (event->device == BH_NO_DEVICE)
		bh_json_add_null(json, "device");
	else
		bh_json_add_u64(json, "device", event->device);
	bh_json_add_u64(json, "hash", event->hash);
	bh_json_object_end(json);
}

/* --- questions --- */

static void query_run(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct bh_trace *trace = bh_replay_trace(server->replay);
	const char *summary = bh_trace_summary_json(trace);
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_add_string(json, "scenario", bh_trace_scenario_name(trace));
	bh_json_add_u64(json, "seed", bh_trace_seed(trace));
	bh_json_add_u64(json, "events", bh_trace_event_count(trace));
	bh_json_add_bool(json, "is_complete", bh_trace_is_complete(trace));
	bh_json_add_string(json, "alone", node_name(server, bh_replay_only_node(server->replay)));
	bh_json_key(json, "summary");
	if (summary)
		bh_json_raw(json, summary);
	else
		bh_json_null(json);
	bh_json_object_end(json);
	bh_gdb_reply_json(server, json);
}

/* Is there a throw-away branch of which the user hasn't been told? The asker tells. */
static void query_branch(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	int is_branched = bh_replay_is_branched(server->replay);
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_add_bool(json, "is_branched", is_branched);
	bh_json_add_string(json, "note",
			   is_branched && !server->has_told_branch ? bh_gdb_branch_note : NULL);
	bh_json_object_end(json);
	server->has_told_branch |= is_branched;
	bh_gdb_reply_json(server, json);
}

static void query_position(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct bh_position position = bh_replay_position(server->replay);
	struct bh_json *json;

	json = bh_json_create();
	bh_json_object_begin(json);
	bh_json_add_u64(json, "event", position.event);
	bh_json_add_u64(json, "tick", position.tick);
	bh_json_add_u64(json, "instruction", position.instruction);
	bh_json_add_u64(json, "vtime_ns", bh_replay_vtime_ns(server->replay));
	bh_json_add_u64(json, "packet", bh_replay_packet(server->replay));
	bh_json_add_u64(json, "thread", bh_replay_thread(server->replay));
	bh_gdb_add_node(server, json, bh_replay_node(server->replay));
	bh_json_add_string(json, "divergence", bh_replay_divergence(server->replay));
	bh_json_object_end(json);
	bh_gdb_reply_json(server, json);
}

/* The kernel image of each node, with the threads that it has now. */
static void add_nodes(struct bh_gdb_server *server, struct bh_json *json,
		      const struct bh_replay_image *images, size_t image_count,
		      const struct bh_replay_thread *threads, size_t thread_count)
{
	for (size_t i = 0; i < image_count; i++) {
		uint64_t count = 0;

		if (!images[i].is_kernel)
			continue;
		for (size_t j = 0; j < thread_count; j++)
			count += threads[j].node == images[i].node;
		bh_json_object_begin(json);
		bh_gdb_add_node(server, json, images[i].node);
		bh_json_add_string(json, "image", images[i].path);
		bh_json_add_string(json, "build_id", images[i].build_id);
		bh_json_add_u64(json, "base", images[i].base);
		bh_json_add_u64(json, "size", images[i].size);
		bh_json_add_u64(json, "threads", count);
		bh_json_add_bool(json, "is_running",
				 images[i].node == bh_replay_node(server->replay));
		bh_json_object_end(json);
	}
}

static void query_nodes(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	size_t image_count = 0, thread_count = 0;
	const struct bh_replay_image *images;
	const struct bh_replay_thread *threads;
	struct bh_error *error;
	struct bh_json *json;

	error = bh_replay_images(server->replay, &images, &image_count);
	if (!error)
		error = bh_replay_threads(server->replay, &threads, &thread_count);
	if (error) {
		bh_gdb_refuse_error(server, error);
		return;
	}
	json = bh_json_create();
	bh_json_array_begin(json);
	add_nodes(server, json, images, image_count, threads, thread_count);
	bh_json_array_end(json);
	bh_gdb_reply_json(server, json);
}

static void query_event(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct bh_trace *trace = bh_replay_trace(server->replay);
	uint64_t number = bh_rsp_scan_decimal(scan);
	struct bh_event event;
	struct bh_error *error;
	struct bh_json *json;

	if (scan->failed || bh_rsp_scan_left(scan) || number == 0 ||
	    number > bh_trace_event_count(trace)) {
		bh_gdb_refuse(server, "events have the numbers 1 to %lu",
			      bh_trace_event_count(trace));
		return;
	}
	error = bh_trace_event(trace, number, &event);
	if (error) {
		bh_gdb_refuse_error(server, error);
		return;
	}
	json = bh_json_create();
	bh_gdb_add_event(server, json, &event);
	bh_gdb_reply_json(server, json);
}

static void reply_hop(struct bh_gdb_server *server, struct bh_error *error,
		      const struct bh_event *sent, const struct bh_event *arrived)
{
	struct bh_json *json;

	if (error) {
		bh_gdb_refuse_error(server, error);
		return;
	}
	json = bh_json_create();
	bh_json_object_begin(json);
	bh_json_key(json, "sent");
	bh_gdb_add_event(server, json, sent);
	bh_json_key(json, "arrived");
	bh_gdb_add_event(server, json, arrived);
	bh_json_object_end(json);
	bh_gdb_reply_json(server, json);
}

/* event ":" node */
static void query_hop_back(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct bh_trace *trace = bh_replay_trace(server->replay);
	uint64_t number = bh_rsp_scan_decimal(scan), node;
	struct bh_event received, sent;
	struct bh_error *error;

	bh_rsp_scan_expect(scan, ":");
	node = bh_rsp_scan_decimal(scan);
	if (scan->failed || number > bh_trace_event_count(trace)) {
		bh_gdb_refuse(server, "a hop starts from an event of the run and a node");
		return;
	}
	error = bh_hop_back(trace, number, (uint32_t)node, &received, &sent);
	reply_hop(server, error, &sent, &received);
}

static void query_hop_forward(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct bh_trace *trace = bh_replay_trace(server->replay);
	uint64_t number = bh_rsp_scan_decimal(scan);
	struct bh_event sent, arrived;
	struct bh_error *error;

	if (scan->failed || number == 0 || number > bh_trace_event_count(trace)) {
		bh_gdb_refuse(server, "a hop starts from an event of the run");
		return;
	}
	error = bh_hop_forward(trace, number, &sent, &arrived);
	reply_hop(server, error, &sent, &arrived);
}

/* At most so many events in one answer. */
#define EVENTS_MAX 4096

/* event ":" count */
static void query_events(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct bh_trace *trace = bh_replay_trace(server->replay);
	uint64_t number = bh_rsp_scan_decimal(scan), count;
	struct bh_error *error = NULL;
	struct bh_event event;
	struct bh_json *json;

	bh_rsp_scan_expect(scan, ":");
	count = bh_rsp_scan_decimal(scan);
	if (scan->failed || number == 0 || count > EVENTS_MAX) {
		bh_gdb_refuse(server, "events are asked for from one on, at most %u", EVENTS_MAX);
		return;
	}
	json = bh_json_create();
	bh_json_array_begin(json);
	for (; count && number <= bh_trace_event_count(trace) && !error; count--, number++) {
		error = bh_trace_event(trace, number, &event);
		if (!error)
			bh_gdb_add_event(server, json, &event);
	}
	bh_json_array_end(json);
	if (error) {
		free(bh_json_finish(json));
		bh_gdb_refuse_error(server, error);
		return;
	}
	bh_gdb_reply_json(server, json);
}

/* --- goto --- */

/* Reads a place and answers where it is, as one to go to or of the trace; 0 if it is refused. */
static int find_place(struct bh_gdb_server *server, struct bh_rsp_scan *scan, int is_goal,
		      struct bh_position *position_ret)
{
	struct bh_error *error;
	struct bh_json *json;
	size_t length;
	uint8_t *text = bh_rsp_scan_bytes(scan, &length);

	if (!text) {
		bh_gdb_refuse(server, "a place is sent in hexadecimal");
		return 0;
	}
	error = bh_position_parse(bh_replay_trace(server->replay), (const char *)text,
				  position_ret);
	if (error)
		error = bh_gdb_packet_position(server, (const char *)text, error, position_ret);
	if (!error && is_goal)
		error = bh_replay_place(server->replay, (const char *)text, position_ret);
	free(text);
	if (error) {
		bh_gdb_refuse_error(server, error);
		return 0;
	}
	json = bh_json_create();
	bh_json_object_begin(json);
	bh_json_add_u64(json, "event", position_ret->event);
	bh_json_add_u64(json, "tick", position_ret->tick);
	bh_json_add_u64(json, "instruction", position_ret->instruction);
	bh_json_object_end(json);
	bh_gdb_reply_json(server, json);
	return 1;
}

static void query_place(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct bh_position position;

	find_place(server, scan, 0, &position);
}

static void arm_goto(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct bh_position position;

	if (find_place(server, scan, 1, &position))
		bh_gdb_arm(server, position);
}

/* "1" or "0" */
static void stop_at_images(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t is_wanted = bh_rsp_scan_decimal(scan);
	struct bh_error *error;
	struct bh_json *json;

	if (scan->failed || bh_rsp_scan_left(scan) || is_wanted > 1) {
		bh_gdb_refuse(server, "stop-at-images is switched on with 1, off with 0");
		return;
	}
	error = bh_gdb_stop_at_images(server, (int)is_wanted);
	if (error) {
		bh_gdb_refuse_error(server, error);
		return;
	}
	json = bh_json_create();
	bh_json_object_begin(json);
	bh_json_add_bool(json, "stops_at_images", server->stops_at_images);
	bh_json_object_end(json);
	bh_gdb_reply_json(server, json);
}

void bh_gdb_private(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	static const struct {
		const char *prefix;
		bh_gdb_handler *handler;
	} queries[] = {
		{"run", query_run},
		{"branch", query_branch},
		{"position", query_position},
		{"nodes", query_nodes},
		{"event:", query_event},
		{"events:", query_events},
		{"place:", query_place},
		{"hop-back:", query_hop_back},
		{"hop-forward:", query_hop_forward},
		{"goto:", arm_goto},
		{"code:", bh_gdb_why_code},
		{"path:", bh_gdb_why_path},
		{"last-write:", bh_gdb_why_last_write},
		{"last-call:", bh_gdb_why_last_call},
		{"packet-events:", bh_gdb_why_packet},
		{"drops:", bh_gdb_why_drops},
		{"links:", bh_gdb_why_links},
		{"packets:", bh_gdb_packets_list},
		{"packet:", bh_gdb_packet_show},
		{"packet-hop:", bh_gdb_packet_hop},
		{"packet-trace:", bh_gdb_packet_trace},
		{"packet-break:", bh_gdb_packet_break},
		{"packet-unbreak:", bh_gdb_packet_unbreak},
		{"stop-at-images:", stop_at_images},
	};

	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		if (bh_rsp_scan_accept(scan, queries[i].prefix)) {
			queries[i].handler(server, scan);
			return;
		}
	}
}
