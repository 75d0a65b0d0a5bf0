/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Breakpoints and watchpoints that gdb plants, and the conditions that it sends with them. Called
 * by gdb_server.c; the engine calls back for each hit, in either direction.
 */
#include <stdlib.h>
#include <string.h>

#include "posix/posix.h"
#include "replayer/agent.h"
#include "replayer/gdb_server_state.h"
#include "simulator/gate.h"

/* --- conditions --- */

/* The registers are read once for all that is asked at one hit. Who has the CPU takes longer to
 * find out than the rest of a hit, so that is asked only for what depends on it. */
struct hit {
	struct bh_gdb_server *server;
	int has_snapshot;
	struct bh_gdb_snapshot snapshot;
};

static int hit_register(void *arg, unsigned int number, uint64_t *value_ret)
{
	struct hit *hit = arg;
	uint8_t bytes[16];
	uint64_t value = 0;
	size_t size;

	if (!bh_gdb_register_here(hit->server, number, value_ret))
		return 0;
	if (!hit->has_snapshot &&
	    bh_gdb_snapshot_take(hit->server, bh_replay_thread(hit->server->replay), 0,
				 &hit->snapshot))
		return -1;
	hit->has_snapshot = 1;
	size = bh_gdb_register_value(&hit->snapshot, number, bytes);
	if (size == 0 || size > sizeof(value))
		return -1;
	while (size--)
		value = value << 8 | bytes[size];
	*value_ret = value;
	return 0;
}

static int hit_memory(void *arg, uint64_t address, void *bytes_ret, size_t length)
{
	struct hit *hit = arg;

	return bh_replay_read(hit->server->replay, address, bytes_ret, length) == length ? 0 : -1;
}

int bh_gdb_breakpoint_holds(struct bh_gdb_breakpoint *breakpoint)
{
	struct bh_gdb_server *server = breakpoint->server;
	struct hit hit = {.server = server};
	struct bh_agent_source source = {&hit, hit_register, hit_memory};

	if (server->only_thread &&
	    (uint64_t)server->only_thread != bh_replay_thread(server->replay))
		return 0;
	for (size_t i = 0; i < breakpoint->condition_count; i++) {
		const struct bh_gdb_condition *condition = &breakpoint->conditions[i];
		uint64_t value = 0;

		/* A condition that can't be evaluated stops: gdb then says why. */
		if (bh_agent_evaluate(condition->code, condition->length, &source, &value) || value)
			return 1;
	}
	return breakpoint->condition_count == 0;
}

static int engine_condition(void *arg, struct bh_replay *replay)
{
	return bh_gdb_breakpoint_holds(arg);
}

/* Where the replayed process itself finds what a condition asks for. About others, such
 * as the segment registers, it stops, and engine_condition() decides. */
static const uint8_t probe_registers[BH_GDB_REGISTER_COUNT] = {
	[BH_GDB_RAX] = BH_PROBE_GENERAL + 0,  [BH_GDB_RBX] = BH_PROBE_GENERAL + 1,
	[BH_GDB_RCX] = BH_PROBE_GENERAL + 2,  [BH_GDB_RDX] = BH_PROBE_GENERAL + 3,
	[BH_GDB_RSI] = BH_PROBE_GENERAL + 4,  [BH_GDB_RDI] = BH_PROBE_GENERAL + 5,
	[BH_GDB_RBP] = BH_PROBE_GENERAL + 6,  [BH_GDB_R8] = BH_PROBE_GENERAL + 7,
	[BH_GDB_R9] = BH_PROBE_GENERAL + 8,   [BH_GDB_R10] = BH_PROBE_GENERAL + 9,
	[BH_GDB_R11] = BH_PROBE_GENERAL + 10, [BH_GDB_R12] = BH_PROBE_GENERAL + 11,
	[BH_GDB_R13] = BH_PROBE_GENERAL + 12, [BH_GDB_R14] = BH_PROBE_GENERAL + 13,
	[BH_GDB_R15] = BH_PROBE_GENERAL + 14, [BH_GDB_RSP] = BH_PROBE_RSP,
	[BH_GDB_RIP] = BH_PROBE_RIP,	      [BH_GDB_EFLAGS] = BH_PROBE_FLAGS,
	[BH_GDB_NODE] = BH_PROBE_NODE,	      [BH_GDB_EVENT] = BH_PROBE_EVENT,
	[BH_GDB_VTIME] = BH_PROBE_VTIME,      [BH_GDB_PACKET] = BH_PROBE_PACKET,
	[BH_GDB_TASK] = BH_PROBE_TASK,
};

static void free_conditions(struct bh_gdb_breakpoint *breakpoint)
{
	for (size_t i = 0; i < breakpoint->condition_count; i++)
		free(breakpoint->conditions[i].code);
	free(breakpoint->conditions);
	free(breakpoint->codes);
	breakpoint->codes = NULL;
	breakpoint->conditions = NULL;
	breakpoint->condition_count = 0;
}

/* "X" length "," code, for each expression. */
static int scan_condition(struct bh_gdb_breakpoint *breakpoint, struct bh_rsp_scan *scan)
{
	struct bh_gdb_condition condition, *grown;
	uint64_t length = bh_rsp_scan_hex(scan);

	bh_rsp_scan_expect(scan, ",");
	condition.code = bh_rsp_scan_bytes(scan, &condition.length);
	if (!condition.code)
		return -1;
	grown = realloc(breakpoint->conditions,
			(breakpoint->condition_count + 1) * sizeof(condition));
	if (!grown || condition.length != length) {
		if (grown)
			breakpoint->conditions = grown;
		free(condition.code);
		return -1;
	}
	breakpoint->conditions = grown;
	breakpoint->conditions[breakpoint->condition_count++] = condition;
	return 0;
}

static int scan_conditions(struct bh_gdb_breakpoint *breakpoint, struct bh_rsp_scan *scan)
{
	while (bh_rsp_scan_accept(scan, ";")) {
		if (bh_rsp_scan_accept(scan, "cmds:"))
			return -1; /* not offered in qSupported */
		while (bh_rsp_scan_accept(scan, "X"))
			if (scan_condition(breakpoint, scan))
				return -1;
	}
	return scan->failed || bh_rsp_scan_left(scan) ? -1 : 0;
}

/* --- breakpoints --- */

struct bh_gdb_breakpoint *bh_gdb_breakpoint_find(struct bh_gdb_server *server, uint64_t address)
{
	for (size_t i = 0; i < server->breakpoint_count; i++)
		if (server->breakpoints[i]->address == address)
			return server->breakpoints[i];
	return NULL;
}

static struct bh_gdb_breakpoint *add_breakpoint(struct bh_gdb_server *server, uint64_t address)
{
	struct bh_gdb_breakpoint **grown, *breakpoint;

	grown = realloc(server->breakpoints, (server->breakpoint_count + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	server->breakpoints = grown;
	breakpoint = calloc(1, sizeof(*breakpoint));
	if (!breakpoint)
		return NULL;
	breakpoint->server = server;
	breakpoint->address = address;
	server->breakpoints[server->breakpoint_count++] = breakpoint;
	return breakpoint;
}

static void drop_breakpoint(struct bh_gdb_server *server, struct bh_gdb_breakpoint *breakpoint)
{
	for (size_t i = 0; i < server->breakpoint_count; i++) {
		if (server->breakpoints[i] != breakpoint)
			continue;
		server->breakpoints[i] = server->breakpoints[--server->breakpoint_count];
		break;
	}
	free_conditions(breakpoint);
	free(breakpoint);
}

/* Knows nothing but the node: for finding out whether a condition depends on more. */
static int constant_register(void *arg, unsigned int number, uint64_t *value_ret)
{
	if (number != BH_GDB_NODE)
		return -1;
	*value_ret = *(const uint32_t *)arg;
	return 0;
}

static int constant_memory(void *arg, uint64_t address, void *bytes_ret, size_t length)
{
	return -1;
}

/* The node in whose kernel image address lies; BH_NO_NODE if it doesn't. */
static uint32_t node_of_address(struct bh_gdb_server *server, uint64_t address)
{
	const struct bh_replay_image *images;
	struct bh_error *error;
	size_t count;

	error = bh_replay_images(server->replay, &images, &count);
	if (error) {
		bh_error_free(error);
		return BH_NO_NODE;
	}
	for (size_t i = 0; i < count; i++)
		if (images[i].is_kernel && address - images[i].base < images[i].size)
			return images[i].node;
	return BH_NO_NODE;
}

/*
 * `break f if $node == 2` comes for the image of every node. A node's kernel runs only on its node,
 * so in all images but one the condition is false whatever else it asks: there the breakpoint need
 * not be, and the other nodes don't pay for it.
 */
static int can_hold(struct bh_gdb_breakpoint *breakpoint)
{
	uint32_t node = node_of_address(breakpoint->server, breakpoint->address);
	struct bh_agent_source source = {&node, constant_register, constant_memory};

	if (node == BH_NO_NODE)
		return 1;
	for (size_t i = 0; i < breakpoint->condition_count; i++) {
		const struct bh_gdb_condition *condition = &breakpoint->conditions[i];
		uint64_t value = 0;

		if (bh_agent_evaluate(condition->code, condition->length, &source, &value) || value)
			return 1;
	}
	return breakpoint->condition_count == 0;
}

/* Where the replay is when an event begins. */
static uint64_t event_address(void)
{
	return (uintptr_t)bh_gate_trap + 1;
}

/* $packet_break, as it would be; what else a condition asks for isn't known yet. */
static int packet_register(void *arg, unsigned int number, uint64_t *value_ret)
{
	if (number != BH_GDB_PACKET_BREAK)
		return -1;
	*value_ret = *(const uint64_t *)arg;
	return 0;
}

static int can_hold_for(const struct bh_gdb_breakpoint *breakpoint, uint64_t packet_breaks)
{
	struct bh_agent_source source = {&packet_breaks, packet_register, constant_memory};

	for (size_t i = 0; i < breakpoint->condition_count; i++) {
		const struct bh_gdb_condition *condition = &breakpoint->conditions[i];
		uint64_t value = 0;

		if (bh_agent_evaluate(condition->code, condition->length, &source, &value) || value)
			return 1;
	}
	return breakpoint->condition_count == 0;
}

/* That of `packet break`: which events it stops at is known beforehand, so that the replay goes
 * from one to the next and nothing is planted. */
static int is_packet_break(const struct bh_gdb_breakpoint *breakpoint)
{
	return breakpoint->address == event_address() && !can_hold_for(breakpoint, 0);
}

struct bh_gdb_breakpoint *bh_gdb_packet_breakpoint(struct bh_gdb_server *server)
{
	struct bh_gdb_breakpoint *breakpoint = bh_gdb_breakpoint_find(server, event_address());

	return breakpoint && is_packet_break(breakpoint) ? breakpoint : NULL;
}

uint64_t bh_gdb_packet_breakpoint_next(struct bh_gdb_server *server, struct bh_position from,
				       enum bh_direction direction)
{
	const struct bh_gdb_breakpoint *breakpoint = bh_gdb_packet_breakpoint(server);
	uint64_t event;

	if (!breakpoint)
		return 0;
	do {
		event = bh_gdb_packet_break_next(server, from, direction);
		from = (struct bh_position){event, 0, 0};
	} while (event && !can_hold_for(breakpoint, bh_gdb_packet_breaks(server, event)));
	return event;
}

/*
 * gdb keeps breakpoints of its own in libraries of programs that have ended or, going back, don't
 * run yet, and gives up when it can't plant them. So one where there is no memory is remembered,
 * and planted when the memory is there.
 */
static void explain(struct bh_gdb_breakpoint *breakpoint)
{
	uint32_t node = node_of_address(breakpoint->server, breakpoint->address);

	if (node == BH_NO_NODE)
		return;
	free(breakpoint->codes);
	breakpoint->codes = calloc(breakpoint->condition_count + 1, sizeof(*breakpoint->codes));
	if (!breakpoint->codes)
		return; /* then it is asked for */
	for (size_t i = 0; i < breakpoint->condition_count; i++)
		breakpoint->codes[i] = (struct bh_probe_code){breakpoint->conditions[i].code,
							      breakpoint->conditions[i].length};
	breakpoint->bytecode = (struct bh_probe_condition){
		.codes = breakpoint->codes,
		.count = breakpoint->condition_count,
		.registers = probe_registers,
		.register_count = sizeof(probe_registers),
		.node = node,
		.boot = bh_replay_node_boot(breakpoint->server->replay, node),
	};
	bh_replay_breakpoint_explain(breakpoint->server->replay, breakpoint->address,
				     &breakpoint->bytecode);
}

static struct bh_error *plant(struct bh_gdb_breakpoint *breakpoint)
{
	struct bh_replay *replay = breakpoint->server->replay;
	int was_planted = breakpoint->is_planted;
	uint8_t byte;

	breakpoint->is_planted = bh_replay_read(replay, breakpoint->address, &byte, 1) == 1 &&
				 can_hold(breakpoint) && !is_packet_break(breakpoint);
	if (!breakpoint->is_planted) {
		if (was_planted)
			bh_replay_breakpoint_remove(replay, breakpoint->address);
		return NULL;
	}
	BH_TRY(bh_replay_breakpoint_insert(replay, breakpoint->address, engine_condition,
					   breakpoint));
	explain(breakpoint);
	return NULL;
}

void bh_gdb_breakpoints_replant(struct bh_gdb_server *server)
{
	for (size_t i = 0; i < server->breakpoint_count; i++)
		if (!server->breakpoints[i]->is_planted)
			bh_error_free(plant(server->breakpoints[i]));
}

static void insert_breakpoint(struct bh_gdb_server *server, unsigned int kind, uint64_t address,
			      struct bh_rsp_scan *scan)
{
	struct bh_gdb_breakpoint *breakpoint = bh_gdb_breakpoint_find(server, address);
	struct bh_error *error;

	if (!breakpoint)
		breakpoint = add_breakpoint(server, address);
	if (!breakpoint) {
		bh_gdb_refuse(server, "out of memory");
		return;
	}
	free_conditions(breakpoint);
	if (scan_conditions(breakpoint, scan)) {
		/* Without its condition it stops at each hit, and gdb checks it over there. */
		free_conditions(breakpoint);
	}
	breakpoint->kinds |= kind;
	error = plant(breakpoint);
	if (error) {
		drop_breakpoint(server, breakpoint);
		bh_gdb_refuse_error(server, error);
	} else {
		bh_rsp_text(&server->reply, "OK");
	}
}

static void remove_breakpoint(struct bh_gdb_server *server, unsigned int kind, uint64_t address)
{
	struct bh_gdb_breakpoint *breakpoint = bh_gdb_breakpoint_find(server, address);
	struct bh_error *error = NULL;

	if (breakpoint) {
		breakpoint->kinds &= ~kind;
		if (!breakpoint->kinds) {
			if (breakpoint->is_planted)
				bh_replay_breakpoint_remove(server->replay, address);
			drop_breakpoint(server, breakpoint);
			error = bh_gdb_signal_place_restore(server, address);
		}
	}
	if (error)
		bh_gdb_refuse_error(server, error);
	else
		bh_rsp_text(&server->reply, "OK");
}

/* --- watchpoints --- */

const struct bh_gdb_watchpoint *bh_gdb_watchpoint_find(const struct bh_gdb_server *server,
						       uint64_t address)
{
	for (size_t i = 0; i < server->watchpoint_count; i++) {
		const struct bh_gdb_watchpoint *watchpoint = &server->watchpoints[i];

		if (address - watchpoint->address < watchpoint->length)
			return watchpoint;
	}
	return NULL;
}

static void insert_watchpoint(struct bh_gdb_server *server,
			      const struct bh_gdb_watchpoint *watchpoint)
{
	struct bh_gdb_watchpoint *grown;
	struct bh_error *error;

	grown = realloc(server->watchpoints, (server->watchpoint_count + 1) * sizeof(*grown));
	if (!grown) {
		bh_gdb_refuse(server, "out of memory");
		return;
	}
	server->watchpoints = grown;
	error = bh_replay_watch_insert(server->replay, watchpoint->address, watchpoint->length,
				       watchpoint->kind);
	if (error) {
		bh_gdb_refuse_error(server, error);
		return;
	}
	server->watchpoints[server->watchpoint_count++] = *watchpoint;
	bh_rsp_text(&server->reply, "OK");
}

static void remove_watchpoint(struct bh_gdb_server *server,
			      const struct bh_gdb_watchpoint *watchpoint)
{
	for (size_t i = 0; i < server->watchpoint_count; i++) {
		struct bh_gdb_watchpoint *entry = &server->watchpoints[i];

		if (entry->address != watchpoint->address || entry->kind != watchpoint->kind ||
		    entry->length != watchpoint->length)
			continue;
		bh_replay_watch_remove(server->replay, entry->address, entry->length, entry->kind);
		*entry = server->watchpoints[--server->watchpoint_count];
		break;
	}
	bh_rsp_text(&server->reply, "OK");
}

/* --- packets --- */

/* Z type "," address "," kind [";" conditions] */
static void handle_point(struct bh_gdb_server *server, struct bh_rsp_scan *scan, int is_insert)
{
	uint64_t type = bh_rsp_scan_hex(scan), address, kind;

	bh_rsp_scan_expect(scan, ",");
	address = bh_rsp_scan_hex(scan);
	bh_rsp_scan_expect(scan, ",");
	kind = bh_rsp_scan_hex(scan);
	if (scan->failed) {
		bh_gdb_refuse(server, "a Z packet is Ztype,address,kind");
		return;
	}
	if (type <= 1) {
		unsigned int bit = type == 0 ? BH_GDB_SOFTWARE : BH_GDB_HARDWARE;

		if (is_insert)
			insert_breakpoint(server, bit, address, scan);
		else
			remove_breakpoint(server, bit, address);
	} else if (type <= 4) {
		struct bh_gdb_watchpoint watchpoint = {
			.address = address,
			.length = kind,
			.kind = type == 2   ? BH_WATCH_WRITE
				: type == 3 ? BH_WATCH_READ
					    : BH_WATCH_ACCESS,
		};

		if (is_insert)
			insert_watchpoint(server, &watchpoint);
		else
			remove_watchpoint(server, &watchpoint);
	}
}

void bh_gdb_point_insert(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	handle_point(server, scan, 1);
}

void bh_gdb_point_remove(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	handle_point(server, scan, 0);
}

/* --- images that come and go --- */

static int images_differ(void *arg, struct bh_replay *replay)
{
	struct bh_gdb_server *server = arg;

	return server->library_digest && bh_gdb_library_digest(server) != server->library_digest;
}

struct bh_error *bh_gdb_stop_at_images(struct bh_gdb_server *server, int is_wanted)
{
	/* The replayed process is a fork of this one: the function is where it is here. */
	uint64_t address = (uint64_t)bh_posix_images_change;

	if (is_wanted == server->stops_at_images)
		return NULL;
	if (is_wanted)
		BH_TRY(bh_replay_breakpoint_insert(server->replay, address, images_differ, server));
	else
		bh_replay_breakpoint_remove(server->replay, address);
	server->stops_at_images = is_wanted;
	return NULL;
}

void bh_gdb_points_free(struct bh_gdb_server *server)
{
	bh_error_free(bh_gdb_stop_at_images(server, 0));
	while (server->breakpoint_count) {
		if (server->breakpoints[0]->is_planted)
			bh_replay_breakpoint_remove(server->replay,
						    server->breakpoints[0]->address);
		drop_breakpoint(server, server->breakpoints[0]);
	}
	while (server->watchpoint_count) {
		const struct bh_gdb_watchpoint *last =
			&server->watchpoints[--server->watchpoint_count];

		bh_replay_watch_remove(server->replay, last->address, last->length, last->kind);
	}
	free(server->breakpoints);
	free(server->watchpoints);
	server->breakpoints = NULL;
	server->watchpoints = NULL;
}
