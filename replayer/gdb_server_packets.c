/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of the run, for the plugin's `info packets`, `packet`, `hop` and `packet break`: answers
 * from the table of packets (packets.h), which is made when it is first asked for. The requests are
 * specified in docs/remote-protocol.md. Called by gdb_server_private.c; gdb_server_resume.c and
 * gdb_server_breakpoint.c ask for the places of packet breaks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "replayer/gdb_server_state.h"
#include "replayer/packet_walk.h"
#include "simulator/gate.h"

/* Of one reply; the plugin asks for more. */
#define PACKETS_LISTED_MAX 1000u

static struct bh_packets_source packets_source(struct bh_gdb_server *server)
{
	return (struct bh_packets_source){
		.trace = bh_replay_trace(server->replay),
		.find_kernel = bh_replay_find_kernel,
		.find_kernel_arg = server->replay,
	};
}

static struct bh_error *need_packets(struct bh_gdb_server *server)
{
	const struct bh_packets_source source = packets_source(server);

	return server->packets ? NULL : bh_packets_create(&source, &server->packets);
}

void bh_gdb_packets_free(struct bh_gdb_server *server)
{
	for (size_t i = 0; i < BH_GDB_MAX_PACKET_BREAKS; i++)
		free(server->packet_breaks[i].events);
	bh_packets_destroy(server->packets);
}

/* An object that bh_packet_json() makes. */
static void add_packet(struct bh_gdb_server *server, struct bh_json *json,
		       const struct bh_packet *packet)
{
	char *text = bh_packet_json(server->packets, packet);

	if (text)
		bh_json_raw(json, text);
	else
		bh_json_null(json);
	free(text);
}

/* --- info packets --- */

/* Each packet from index on that the filter matches; what is next then. */
static size_t add_matching(struct bh_gdb_server *server, struct bh_json *json,
			   const struct bh_packet_filter *filter, size_t index, uint64_t count)
{
	const struct bh_packets *packets = server->packets;

	for (; index < bh_packets_count(packets) && count; index++) {
		const struct bh_packet *packet = bh_packets_at(packets, index);

		if (!bh_packet_filter_matches(filter, packets, packet))
			continue;
		add_packet(server, json, packet);
		count--;
	}
	return index;
}

static void reply_packets(struct bh_gdb_server *server, const struct bh_packet_filter *filter,
			  uint64_t index, uint64_t count)
{
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_add_u64(json, "count", bh_packets_count(server->packets));
	bh_json_add_string(json, "missing", bh_packets_missing(server->packets));
	bh_json_key(json, "packets");
	bh_json_array_begin(json);
	index = add_matching(server, json, filter, index, count);
	bh_json_array_end(json);
	if (index < bh_packets_count(server->packets))
		bh_json_add_u64(json, "next", index);
	else
		bh_json_add_null(json, "next");
	bh_json_object_end(json);
	bh_gdb_reply_json(server, json);
}

/* The rest of a request: text in hexadecimal. Refuses if it isn't; else the caller frees it. */
static char *scan_text(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	size_t length;
	uint8_t *text = bh_rsp_scan_bytes(scan, &length);

	if (!text)
		bh_gdb_refuse(server, "a filter is sent in hexadecimal");
	return (char *)text;
}

/* index ":" count ":" filter */
void bh_gdb_packets_list(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t index = bh_rsp_scan_decimal(scan), count;
	struct bh_packet_filter *filter = NULL;

	bh_rsp_scan_expect(scan, ":");
	count = bh_rsp_scan_decimal(scan);
	bh_rsp_scan_expect(scan, ":");
	if (scan->failed || !count || count > PACKETS_LISTED_MAX) {
		bh_gdb_refuse(server, "packets are asked for by an index and up to %u at a time",
			      PACKETS_LISTED_MAX);
		return;
	}
	char *text = scan_text(server, scan);

	if (!text)
		return;
	/* Before the table is made: that may take a while. */
	struct bh_error *error =
		bh_packet_filter_create(bh_replay_trace(server->replay), text, &filter);

	free(text);
	if (!error)
		error = need_packets(server);
	if (error)
		bh_gdb_refuse_error(server, error);
	else
		reply_packets(server, filter, index, count);
	bh_packet_filter_destroy(filter);
}

/* --- packet ID --- */

static void add_children(struct bh_gdb_server *server, struct bh_json *json,
			 const struct bh_packet *packet)
{
	const struct bh_packet *child;
	size_t index = 0;

	bh_json_key(json, "children");
	bh_json_array_begin(json);
	while (index < PACKETS_LISTED_MAX &&
	       (child = bh_packets_next_child(server->packets, packet, &index)))
		add_packet(server, json, child);
	bh_json_array_end(json);
}

void bh_gdb_packet_show(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t id = bh_rsp_scan_decimal(scan);
	const struct bh_packet *packet;

	if (scan->failed || bh_rsp_scan_left(scan)) {
		bh_gdb_refuse(server, "a packet is asked for by its number");
		return;
	}
	struct bh_error *error = need_packets(server);

	if (!error)
		error = bh_packets_find(server->packets, id, &packet);
	if (error) {
		bh_gdb_refuse_error(server, error);
		return;
	}
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_key(json, "packet");
	add_packet(server, json, packet);
	add_children(server, json, packet);
	bh_json_add_string(json, "missing", bh_packets_missing(server->packets));
	bh_json_object_end(json);
	bh_gdb_reply_json(server, json);
}

struct bh_error *bh_gdb_packet_position(struct bh_gdb_server *server, const char *text,
					struct bh_error *error, struct bh_position *position_ret)
{
	const struct bh_packet *packet = NULL;
	uint64_t id, hop;
	char rest;

	if (sscanf(text, "%20" SCNu64 ".%20" SCNu64 "%c", &id, &hop, &rest) != 2)
		return error;
	struct bh_error *other = need_packets(server);

	if (!other)
		other = bh_packets_find(server->packets, id, &packet);
	bh_error_free(other);
	for (size_t i = 0; packet && packet->id == id && i < packet->hop_count; i++) {
		if (packet->hops[i].hop != hop)
			continue;
		bh_error_free(error);
		*position_ret = (struct bh_position){.event = packet->hops[i].event};
		return NULL;
	}
	return error;
}

/* --- hop --- */

static void add_event_of(struct bh_gdb_server *server, struct bh_json *json, const char *key,
			 uint64_t number)
{
	struct bh_event event;
	struct bh_error *error =
		number ? bh_trace_event(bh_replay_trace(server->replay), number, &event) : NULL;

	bh_json_key(json, key);
	if (number && !error)
		bh_gdb_add_event(server, json, &event);
	else
		bh_json_null(json);
	bh_error_free(error);
}

static void reply_step(struct bh_gdb_server *server, const struct bh_packet_step *step)
{
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_key(json, "packet");
	add_packet(server, json, step->packet);
	bh_json_key(json, "former");
	if (step->former)
		add_packet(server, json, step->former);
	else
		bh_json_null(json);
	add_event_of(server, json, "sent", step->sent);
	add_event_of(server, json, "arrived", step->arrived);
	bh_json_object_end(json);
	bh_gdb_reply_json(server, json);
}

/* ("forward" | "back") ":" packet ":" event ":" node; packet 0: that of the event; node -1: none */
void bh_gdb_packet_hop(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	int is_forward = bh_rsp_scan_accept(scan, "forward:");
	const struct bh_packet *selected = NULL;
	struct bh_packet_place place;
	struct bh_packet_step step;
	uint64_t id, event, node = BH_NO_NODE;

	if (!is_forward)
		bh_rsp_scan_expect(scan, "back:");
	id = bh_rsp_scan_decimal(scan);
	bh_rsp_scan_expect(scan, ":");
	event = bh_rsp_scan_decimal(scan);
	bh_rsp_scan_expect(scan, ":");
	if (!bh_rsp_scan_accept(scan, "-1"))
		node = bh_rsp_scan_decimal(scan);
	if (scan->failed || bh_rsp_scan_left(scan) || !event ||
	    event > bh_trace_event_count(bh_replay_trace(server->replay))) {
		bh_gdb_refuse(server, "a hop starts from a packet, an event of the run and a node");
		return;
	}
	struct bh_error *error = need_packets(server);

	if (!error && id)
		error = bh_packets_find(server->packets, id, &selected);
	if (!error)
		error = bh_packet_place_find(server->packets, selected, event, (uint32_t)node,
					     &place);
	if (!error && is_forward)
		error = bh_packet_walk_forward(server->packets, &place, event, &step);
	else if (!error)
		error = bh_packet_walk_back(server->packets, &place, &step);
	if (error)
		bh_gdb_refuse_error(server, error);
	else
		reply_step(server, &step);
}

/* --- packet trace --- */

static struct bh_error *trace_packet(struct bh_gdb_server *server, uint64_t id, const char *node,
				     struct bh_packet_trace **trace_ret)
{
	const struct bh_packets_source source = packets_source(server);
	const struct bh_packet *packet;
	uint32_t number = BH_NO_NODE;

	if (*node)
		BH_TRY(bh_packet_node_parse(source.trace, node, &number));
	BH_TRY(need_packets(server));
	BH_TRY(bh_packets_find(server->packets, id, &packet));
	return bh_packet_trace_create(&source, packet, number, trace_ret);
}

/* packet ":" node, a name or a number in hexadecimal; empty: all */
void bh_gdb_packet_trace(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct bh_trace *trace = bh_replay_trace(server->replay);
	uint64_t id = bh_rsp_scan_decimal(scan);
	struct bh_packet_trace *functions;
	size_t count = 0;

	bh_rsp_scan_expect(scan, ":");
	char *node = scan->failed ? NULL : scan_text(server, scan);

	if (!node) {
		bh_gdb_refuse(server,
			      "a packet's functions are asked for by its number and a node");
		return;
	}
	struct bh_error *error = trace_packet(server, id, node, &functions);

	free(node);
	if (error) {
		bh_gdb_refuse_error(server, error);
		return;
	}
	const struct bh_packet_entry *entries = bh_packet_trace_entries(functions, &count);
	struct bh_json *json = bh_json_create();

	bh_json_array_begin(json);
	for (size_t i = 0; i < count; i++) {
		char *text = bh_packet_entry_json(trace, &entries[i]);

		if (text)
			bh_json_raw(json, text);
		free(text);
	}
	bh_json_array_end(json);
	bh_packet_trace_destroy(functions);
	bh_gdb_reply_json(server, json);
}

/* --- packet break --- */

static int compare_events(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static int is_place(const struct bh_packet_end *end)
{
	return end->kind == BH_PACKET_DROPPED || end->kind == BH_PACKET_LOST;
}

/* Where a packet is received, sent, dropped or lost; with events NULL, how many places there are.
 */
static size_t list_places(const struct bh_packet_filter *filter, const struct bh_packet *packet,
			  uint64_t *events)
{
	size_t count = 0;

	for (size_t i = 0; i < packet->hop_count; i++) {
		if (!bh_packet_filter_admits(filter, packet->hops[i].node))
			continue;
		if (events)
			events[count] = packet->hops[i].event;
		count++;
	}
	for (size_t i = 0; i < packet->end_count; i++) {
		const struct bh_packet_end *end = &packet->ends[i];

		if (!is_place(end) || !bh_packet_filter_admits(filter, end->node))
			continue;
		if (events)
			events[count] = end->event;
		count++;
	}
	return count;
}

/* events_ret is the caller's to free. */
static struct bh_error *find_places(const struct bh_packets *packets,
				    const struct bh_packet_filter *filter, uint64_t **events_ret,
				    size_t *count_ret, size_t *packets_ret)
{
	size_t count = 0, room = 0;
	uint64_t *events = NULL;

	*packets_ret = 0;
	for (size_t i = 0; i < bh_packets_count(packets); i++) {
		const struct bh_packet *packet = bh_packets_at(packets, i);

		if (!bh_packet_filter_matches(filter, packets, packet))
			continue;
		size_t more = list_places(filter, packet, NULL);

		if (count + more > room) {
			room = 2 * (count + more);
			uint64_t *grown = realloc(events, room * sizeof(*events));

			if (!grown) {
				free(events);
				return bh_error_new(BH_ERR_NOMEM, "out of memory");
			}
			events = grown;
		}
		count += list_places(filter, packet, events ? events + count : NULL);
		*packets_ret += more != 0;
	}
	if (count)
		qsort(events, count, sizeof(*events), compare_events);
	*events_ret = events;
	*count_ret = count;
	return NULL;
}

static void reply_break(struct bh_gdb_server *server, size_t number, size_t packets)
{
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_add_u64(json, "number", number);
	bh_json_add_u64(json, "address", (uintptr_t)bh_gate_trap + 1);
	bh_json_add_u64(json, "packets", packets);
	bh_json_add_u64(json, "places", server->packet_breaks[number].count);
	bh_json_object_end(json);
	bh_gdb_reply_json(server, json);
}

void bh_gdb_packet_break(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct bh_packet_filter *filter = NULL;
	size_t number = 0, packets = 0;

	while (number < BH_GDB_MAX_PACKET_BREAKS && server->packet_breaks[number].events)
		number++;
	if (number == BH_GDB_MAX_PACKET_BREAKS) {
		bh_gdb_refuse(server,
			      "there are %d packet breaks, the most there can be: delete one",
			      BH_GDB_MAX_PACKET_BREAKS);
		return;
	}
	char *text = scan_text(server, scan);

	if (!text)
		return;
	struct bh_gdb_packet_break *entry = &server->packet_breaks[number];
	struct bh_error *error =
		bh_packet_filter_create(bh_replay_trace(server->replay), text, &filter);

	if (!error)
		error = need_packets(server);
	if (!error)
		error = find_places(server->packets, filter, &entry->events, &entry->count,
				    &packets);
	if (!error && !entry->count)
		error = bh_error_new(BH_ERR_USAGE,
				     "no packet of this run matches '%.200s', so it would never "
				     "stop; `info packets` lists what there is",
				     text);
	free(text);
	bh_packet_filter_destroy(filter);
	if (error)
		bh_gdb_refuse_error(server, error);
	else
		reply_break(server, number, packets);
}

void bh_gdb_packet_unbreak(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t number = bh_rsp_scan_decimal(scan);

	if (scan->failed || number >= BH_GDB_MAX_PACKET_BREAKS) {
		bh_gdb_refuse(server, "packet breaks have the numbers 0 to %d",
			      BH_GDB_MAX_PACKET_BREAKS - 1);
		return;
	}
	free(server->packet_breaks[number].events);
	server->packet_breaks[number] = (struct bh_gdb_packet_break){0};
	struct bh_json *json = bh_json_create();

	bh_json_null(json);
	bh_gdb_reply_json(server, json);
}

/* How many of its events come before one. */
static size_t count_before(const struct bh_gdb_packet_break *entry, uint64_t event)
{
	size_t low = 0, high = entry->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry->events[middle] < event)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t bh_gdb_packet_breaks(const struct bh_gdb_server *server, uint64_t event)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < BH_GDB_MAX_PACKET_BREAKS; i++) {
		const struct bh_gdb_packet_break *entry = &server->packet_breaks[i];
		size_t at = count_before(entry, event);

		if (at < entry->count && entry->events[at] == event)
			bits |= 1ull << i;
	}
	return bits;
}

/* The first one from there on, or the last one before, that begins in the replay; 0: there is none.
 */
static uint64_t event_here(const struct bh_gdb_server *server,
			   const struct bh_gdb_packet_break *entry, size_t at,
			   enum bh_direction direction)
{
	while (direction == BH_FORWARD ? at < entry->count : at > 0) {
		uint64_t event = entry->events[direction == BH_FORWARD ? at : at - 1];

		if (bh_replay_has_event(server->replay, event))
			return event;
		at = direction == BH_FORWARD ? at + 1 : at - 1;
	}
	return 0;
}

uint64_t bh_gdb_packet_break_next(const struct bh_gdb_server *server, struct bh_position from,
				  enum bh_direction direction)
{
	/* Going back, the beginning of the event that we are inside of comes first. */
	uint64_t end = from.event + (from.tick || from.instruction), next = 0;

	for (size_t i = 0; i < BH_GDB_MAX_PACKET_BREAKS; i++) {
		const struct bh_gdb_packet_break *entry = &server->packet_breaks[i];
		size_t at = count_before(entry, direction == BH_FORWARD ? from.event + 1 : end);
		uint64_t event = event_here(server, entry, at, direction);

		if (event && (!next || (direction == BH_FORWARD ? event < next : event > next)))
			next = event;
	}
	return next;
}
