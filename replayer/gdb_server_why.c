/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The private packets behind the plugin's `why`: the code of a function taken apart, the way that
 * one call of it took, who wrote a place in memory last, and a packet's events. Specified in
 * docs/remote-protocol.md; called by gdb_server_private.c.
 */
#include <stdlib.h>
#include <string.h>

#include "common/disassemble.h"
#include "common/event.h"
#include "common/json.h"
#include "replayer/gdb_server_why.h"
#include "simulator/scenario.h"

/* A function is at most so long; the longest of a kernel's has about 64 KiB. */
#define CODE_BYTES_MAX	  (1u << 18)
#define EVENTS_LISTED_MAX 1024u

/* ":" and a number */
static uint64_t scan_next(struct bh_rsp_scan *scan, uint64_t (*number)(struct bh_rsp_scan *scan))
{
	bh_rsp_scan_expect(scan, ":");
	return number(scan);
}

static struct bh_position scan_position(struct bh_rsp_scan *scan)
{
	struct bh_position position;

	position.event = scan_next(scan, bh_rsp_scan_decimal);
	position.tick = scan_next(scan, bh_rsp_scan_decimal);
	position.instruction = scan_next(scan, bh_rsp_scan_decimal);
	return position;
}

/* --- code --- */

static void add_instruction(struct bh_json *json, uint64_t address,
			    const struct bh_operation *operation)
{
	static const char *const kinds[] = {"other", "call", "return", "jump", "branch", "trap"};

	bh_json_object_begin(json);
	bh_json_add_u64(json, "pc", address);
	bh_json_add_u64(json, "length", operation->length);
	bh_json_add_string(json, "kind", kinds[operation->kind]);
	if (operation->is_direct)
		bh_json_add_u64(json, "target", operation->target);
	bh_json_add_u64(json, "reads", operation->reads);
	bh_json_add_u64(json, "writes", operation->writes);
	if (operation->has_memory) {
		bh_json_add_u64(json, "size", operation->memory_size);
		bh_json_add_bool(json, "is_read", operation->is_memory_read);
		bh_json_add_bool(json, "is_written", operation->is_memory_written);
		bh_json_add_u64(json, "base", operation->base);
		bh_json_add_u64(json, "index", operation->index);
	}
	if (operation->has_immediate)
		bh_json_add_i64(json, "immediate", operation->immediate);
	bh_json_object_end(json);
}

static struct bh_json *describe_code(struct bh_disassembler *disassembler, uint64_t low,
				     const uint8_t *code, size_t size)
{
	struct bh_json *json = bh_json_create();

	bh_json_array_begin(json);
	for (size_t at = 0; at < size;) {
		struct bh_operation operation;
		if (!bh_disassembler_operation(disassembler, code + at, size - at, low + at,
					       &operation))
			break;
		add_instruction(json, low + at, &operation);
		at += operation.length;
	}
	bh_json_array_end(json);
	return json;
}

/* LOW ":" HIGH */
void bh_gdb_why_code(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t low = bh_rsp_scan_hex(scan), high = scan_next(scan, bh_rsp_scan_hex);
	struct bh_disassembler *disassembler = NULL;
	uint8_t *code = NULL;

	if (scan->failed || low >= high || high - low > CODE_BYTES_MAX) {
		bh_gdb_refuse(server, "a function's code lies between two addresses");
		return;
	}
	disassembler = bh_disassembler_create();
	code = malloc(high - low);
	if (disassembler && code) {
		size_t size = bh_replay_read(server->replay, low, code, high - low);
		bh_gdb_reply_json(server, describe_code(disassembler, low, code, size));
	} else {
		bh_gdb_refuse(server, "out of memory");
	}
	free(code);
	bh_disassembler_destroy(disassembler);
}

/* --- the past --- */

static void add_position(struct bh_json *json, const char *key, struct bh_position position)
{
	bh_json_key(json, key);
	bh_json_array_begin(json);
	bh_json_u64(json, position.event);
	bh_json_u64(json, position.tick);
	bh_json_u64(json, position.instruction);
	bh_json_array_end(json);
}

/* LOW ":" HIGH ":" COLD-LOW ":" COLD-HIGH ":" SP ":" FROM ":" UNTIL, the last two being positions
 */
void bh_gdb_why_path(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct bh_path_query query = {.low = bh_rsp_scan_hex(scan)};
	struct bh_path_step *steps = NULL;
	struct bh_error *error;
	struct bh_json *json;
	size_t count = 0;
	int is_complete = 0;

	query.high = scan_next(scan, bh_rsp_scan_hex);
	query.cold_low = scan_next(scan, bh_rsp_scan_hex);
	query.cold_high = scan_next(scan, bh_rsp_scan_hex);
	query.entry_sp = scan_next(scan, bh_rsp_scan_hex);
	query.from = scan_position(scan);
	query.until = scan_position(scan);
	if (scan->failed) {
		bh_gdb_refuse(server, "a way goes through a function, from a position to another");
		return;
	}
	error = bh_replay_check_event(server->replay, query.from.event);
	if (!error)
		error = bh_replay_path(server->replay, &query, &steps, &count, &is_complete);
	if (error) {
		bh_gdb_refuse_error(server, error);
		return;
	}
	json = bh_json_create();
	bh_json_object_begin(json);
	bh_json_add_bool(json, "is_complete", is_complete);
	bh_json_key(json, "steps");
	bh_json_array_begin(json);
	for (size_t i = 0; i < count; i++) {
		bh_json_array_begin(json);
		bh_json_u64(json, steps[i].position.event);
		bh_json_u64(json, steps[i].position.tick);
		bh_json_u64(json, steps[i].position.instruction);
		bh_json_u64(json, steps[i].pc);
		bh_json_u64(json, steps[i].next);
		bh_json_u64(json, steps[i].rax);
		bh_json_u64(json, steps[i].address);
		bh_json_u64(json, steps[i].value);
		bh_json_u64(json, steps[i].sp);
		bh_json_array_end(json);
	}
	bh_json_array_end(json);
	bh_json_object_end(json);
	free(steps);
	bh_gdb_reply_json(server, json);
}

static void reply_moment(struct bh_gdb_server *server, int found, const struct bh_moment *moment)
{
	struct bh_json *json = bh_json_create();

	if (!found) {
		bh_json_null(json);
		bh_gdb_reply_json(server, json);
		return;
	}
	bh_json_object_begin(json);
	add_position(json, "position", moment->position);
	bh_json_add_u64(json, "vtime_ns", moment->vtime_ns);
	bh_gdb_add_node(server, json, moment->node);
	bh_json_add_u64(json, "thread", moment->thread);
	bh_json_add_u64(json, "frame", moment->frame);
	bh_json_add_string(json, "task", moment->task);
	bh_json_key(json, "arguments");
	bh_json_array_begin(json);
	for (size_t i = 0; i < 6; i++)
		bh_json_u64(json, moment->arguments[i]);
	bh_json_array_end(json);
	bh_json_key(json, "pcs");
	bh_json_array_begin(json);
	for (size_t i = 0; i < moment->pc_count; i++)
		bh_json_u64(json, moment->pcs[i]);
	bh_json_array_end(json);
	bh_json_object_end(json);
	bh_gdb_reply_json(server, json);
}

/* ADDRESS ":" LENGTH ":" BEFORE */
void bh_gdb_why_last_write(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t address = bh_rsp_scan_hex(scan), length = scan_next(scan, bh_rsp_scan_decimal);
	struct bh_position before = scan_position(scan);
	struct bh_moment moment;
	struct bh_error *error;
	int found = 0;

	if (scan->failed) {
		bh_gdb_refuse(server, "say which bytes were written, and before which position");
		return;
	}
	error = bh_replay_check_event(server->replay, before.event);
	if (!error)
		error = bh_replay_last_write(server->replay, address, length, before, &found,
					     &moment);
	if (error)
		bh_gdb_refuse_error(server, error);
	else
		reply_moment(server, found, &moment);
}

/* ADDRESS ":" BEFORE [":" SINCE] */
void bh_gdb_why_last_call(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t address = bh_rsp_scan_hex(scan), since = 0;
	struct bh_position before = scan_position(scan);
	struct bh_moment moment;
	struct bh_error *error;
	int found = 0;

	if (!scan->failed && bh_rsp_scan_left(scan))
		since = scan_next(scan, bh_rsp_scan_decimal);
	if (scan->failed) {
		bh_gdb_refuse(server, "say which function was called, and before which position");
		return;
	}
	error = bh_replay_check_event(server->replay, before.event);
	if (!error)
		error = bh_replay_last_call(server->replay, address, before, since, &found,
					    &moment);
	if (error)
		bh_gdb_refuse_error(server, error);
	else
		reply_moment(server, found, &moment);
}

/* --- events --- */

/* PACKET: all events of the packet, in order */
void bh_gdb_why_packet(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct bh_trace *trace = bh_replay_trace(server->replay);
	uint64_t packet = bh_rsp_scan_decimal(scan), count = bh_trace_event_count(trace);
	struct bh_json *json;
	struct bh_event event;
	unsigned int listed = 0;

	if (scan->failed || bh_rsp_scan_left(scan) || !packet) {
		bh_gdb_refuse(server, "a packet has the number of its first transmission");
		return;
	}
	json = bh_json_create();
	bh_json_array_begin(json);
	for (uint64_t i = packet; i <= count && listed < EVENTS_LISTED_MAX; i++) {
		struct bh_error *error = bh_trace_event(trace, i, &event);
		if (error) {
			bh_json_destroy(json);
			bh_gdb_refuse_error(server, error);
			return;
		}
		if (event.packet != packet)
			continue;
		bh_gdb_add_event(server, json, &event);
		listed++;
	}
	bh_json_array_end(json);
	bh_gdb_reply_json(server, json);
}

/* EVENT ":" COUNT: the last drops and losses not after the event, newest first */
void bh_gdb_why_drops(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct bh_trace *trace = bh_replay_trace(server->replay);
	uint64_t number = bh_rsp_scan_decimal(scan), wanted = scan_next(scan, bh_rsp_scan_decimal);
	struct bh_json *json;
	struct bh_event event;

	if (scan->failed || bh_rsp_scan_left(scan) || number > bh_trace_event_count(trace)) {
		bh_gdb_refuse(server, "events have the numbers 1 to %lu",
			      bh_trace_event_count(trace));
		return;
	}
	json = bh_json_create();
	bh_json_array_begin(json);
	for (; number && wanted; number--) {
		struct bh_error *error = bh_trace_event(trace, number, &event);
		if (error) {
			bh_json_destroy(json);
			bh_gdb_refuse_error(server, error);
			return;
		}
		if (event.kind != BH_EVENT_DROP && event.kind != BH_EVENT_LOST)
			continue;
		bh_gdb_add_event(server, json, &event);
		wanted--;
	}
	bh_json_array_end(json);
	bh_gdb_reply_json(server, json);
}

/* --- links --- */

/* An end as it is at a time. */
struct end_then {
	const struct bh_scenario_link_end *end;
	struct bh_link_properties sends, receives;
	unsigned int line; /* of the scenario: that says so */
};

static struct end_then end_at(const struct bh_scenario *scenario, size_t number, uint64_t vtime_ns)
{
	const struct bh_scenario_link_end *end = bh_scenario_end(scenario, number);
	struct end_then then = {end, end->sends, end->receives, end->line};

	for (size_t i = 0; i < scenario->action_count; i++) {
		const struct bh_scenario_action *action = &scenario->actions[i];
		size_t other = number < 2 * scenario->link_count ? number ^ 1 : number;

		if (action->kind != BH_ACTION_LINK_CHANGE || action->at_ns > vtime_ns)
			continue;
		/* What one end of a link receives is what the other one sends. */
		if (action->end == number && action->has_sends)
			then.sends = action->sends;
		else if (other != number && action->end == other && action->has_receives)
			then.sends = action->receives;
		else if (other == number && action->end == number && action->has_receives)
			then.receives = action->receives;
		else
			continue;
		then.line = action->line;
	}
	return then;
}

static void add_end(struct bh_json *json, const struct end_then *then, int is_on_segment)
{
	static const char *const disciplines[] = {"drop-tail", "drop-head", "codel"};
	const struct bh_link_properties *sends = &then->sends;

	bh_json_object_begin(json);
	bh_json_add_string(json, "device", then->end->device);
	bh_json_add_u64(json, "line", then->line);
	bh_json_add_u64(json, "delay_ns", sends->delay_ns);
	bh_json_add_u64(json, "jitter_ns", sends->jitter_ns);
	bh_json_add_u64(json, "reorder_ppb", sends->reorder_ppb);
	bh_json_add_u64(json, "rate_bps", sends->rate_bps);
	bh_json_add_u64(json, "loss_ppb", sends->loss_ppb);
	bh_json_add_u64(json, "corrupt_ppb", sends->corrupt_ppb);
	bh_json_add_u64(json, "queue_frames", sends->queue_frames);
	bh_json_key(json, "queue_bytes");
	if (sends->queue_bytes == UINT64_MAX)
		bh_json_null(json);
	else
		bh_json_u64(json, sends->queue_bytes);
	bh_json_add_string(json, "discipline", disciplines[sends->discipline]);
	bh_json_add_bool(json, "is_on_segment", is_on_segment);
	bh_json_add_u64(json, "receives_delay_ns", is_on_segment ? then->receives.delay_ns : 0);
	bh_json_add_u64(json, "receives_rate_bps", is_on_segment ? then->receives.rate_bps : 0);
	bh_json_object_end(json);
}

/* NODE [":" EVENT]: the ends of links at it, in the scenario's order, with what they begin with, or
 * what they have when an event has happened */
void bh_gdb_why_links(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct bh_trace *trace = bh_replay_trace(server->replay);
	const struct bh_scenario *scenario = bh_replay_scenario(server->replay);
	uint64_t node = bh_rsp_scan_decimal(scan), number = 0;
	struct bh_event event = {0};
	struct bh_error *error = NULL;
	struct bh_json *json;

	if (!scan->failed && bh_rsp_scan_left(scan))
		number = scan_next(scan, bh_rsp_scan_decimal);
	if (scan->failed || bh_rsp_scan_left(scan)) {
		bh_gdb_refuse(server, "links end at a node, which is said by its number");
		return;
	}
	if (number && (error = bh_trace_event(trace, number, &event))) {
		bh_gdb_refuse_error(server, error);
		return;
	}
	json = bh_json_create();
	bh_json_array_begin(json);
	for (size_t i = 0; i < bh_scenario_end_count(scenario); i++) {
		struct end_then then = end_at(scenario, i, event.vtime_ns);
		if (then.end->node == node)
			add_end(json, &then, i >= 2 * scenario->link_count);
	}
	bh_json_array_end(json);
	bh_gdb_reply_json(server, json);
}
