/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moving: the packets that resume the replay in either direction, and the stop replies that answer
 * them. Called by gdb_server.c.
 *
 * gdb has no reverse action in vCont: backwards it sends Hc and then bs or bc. When a stepping
 * command runs (scheduler-locking step), Hc or vCont names its thread, and then breakpoints of
 * other threads are passed: stepping one isn't disturbed by another.
 */
#include <stdio.h>

#include "posix/posix.h"
#include "replayer/gdb_server_state.h"

/* How often the loop of a range step looks for an interrupt. */
#define RANGE_POLL_STEPS 64

enum move {
	MOVE_CONTINUE,
	MOVE_STEP,
	MOVE_RANGE, /* forward, while the program counter stays within range_start to range_end */
};

struct request {
	enum move move;
	enum bh_direction direction;
	int64_t thread; /* the one that moves; not positive: any */
	int is_alone;	/* breakpoints in others are passed */
	uint64_t range_start, range_end;
	uint64_t signal; /* gdb's number of one that it sends; 0: none */
};

/* --- stop replies --- */

/* rip, rsp, rbp and the position spare gdb a request for all registers at most stops. */
static void add_expedited(struct bh_gdb_server *server)
{
	static const unsigned int numbers[] = {
		BH_GDB_RBP,   BH_GDB_RSP,   BH_GDB_RIP,	   BH_GDB_NODE,
		BH_GDB_EVENT, BH_GDB_VTIME, BH_GDB_PACKET, BH_GDB_TASK,
	};
	struct bh_gdb_snapshot snapshot;
	uint8_t bytes[16];

	if (bh_gdb_snapshot_take(server, server->stop.thread, 0, &snapshot))
		return;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		size_t size = bh_gdb_register_value(&snapshot, numbers[i], bytes);

		if (!size)
			continue;
		bh_rsp_text(&server->reply, "%02x:", numbers[i]);
		bh_rsp_hex(&server->reply, bytes, size);
		bh_rsp_text(&server->reply, ";");
	}
}

static void add_stop(struct bh_gdb_server *server, unsigned int signal, const char *what)
{
	server->reply.length = 0;
	bh_gdb_show_thread(server, server->stop.thread);
	bh_rsp_text(&server->reply, "T%02xthread:p1.%lx;%s", signal, server->stop.thread, what);
	add_expedited(server);
}

static void add_watch_stop(struct bh_gdb_server *server)
{
	static const char *const names[] = {
		[BH_WATCH_WRITE] = "watch",
		[BH_WATCH_READ] = "rwatch",
		[BH_WATCH_ACCESS] = "awatch",
	};
	const struct bh_gdb_watchpoint *watchpoint =
		bh_gdb_watchpoint_find(server, server->stop.address);
	char what[64];

	snprintf(what, sizeof(what), "%s:%lx;", names[watchpoint ? watchpoint->kind : 0],
		 server->stop.address);
	add_stop(server, 5, what);
}

static void add_breakpoint_stop(struct bh_gdb_server *server)
{
	const struct bh_gdb_breakpoint *breakpoint =
		bh_gdb_breakpoint_find(server, server->stop.address);
	int is_hardware = breakpoint && !(breakpoint->kinds & BH_GDB_SOFTWARE);

	add_stop(server, 5, is_hardware ? "hwbreak:;" : "swbreak:;");
}

static void add_divergence(struct bh_gdb_server *server)
{
	const char *sentence = bh_replay_divergence(server->replay);

	bh_gdb_print(server, "The replay has left its recording: ");
	bh_gdb_print(server, sentence ? sentence : "the reason is not known");
	bh_gdb_print(server, "\n");
	add_stop(server, 5, "replaylog:end;");
}

static void add_last_stop(struct bh_gdb_server *server)
{
	switch (server->stop.reason) {
	case BH_STOP_STEP:
		add_stop(server, 5, "");
		break;
	case BH_STOP_BREAKPOINT:
		add_breakpoint_stop(server);
		break;
	case BH_STOP_WATCHPOINT:
		add_watch_stop(server);
		break;
	case BH_STOP_GOTO: /* signal 0: gdb shows where it is and no signal */
		add_stop(server, 0, "");
		break;
	case BH_STOP_BEGIN:
		add_stop(server, 5, "replaylog:begin;");
		break;
	case BH_STOP_END:
		add_stop(server, 5, "replaylog:end;");
		break;
	case BH_STOP_SIGNAL:
		add_stop(server, bh_gdb_signal(server->stop.signal), "");
		break;
	case BH_STOP_INTERRUPT:
		add_stop(server, 2, "");
		break;
	case BH_STOP_DIVERGED:
		add_divergence(server);
		break;
	case BH_STOP_BRANCH_END:
		bh_gdb_print(server,
			     "What was called ended the copy that it ran in; functions of a "
			     "program, malloc for a string too, can be called where that "
			     "program runs. The replay is where it was.\n");
		add_stop(server, 0, "");
		break;
	}
}

void bh_gdb_why(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	server->general_thread = (int64_t)server->stop.thread;
	add_stop(server, 5, "");
}

/* --- moving --- */

/* The replay failed. If it can't be looked at any more either, this is the end of it. */
static void add_fault(struct bh_gdb_server *server, struct bh_error *error)
{
	struct bh_gdb_snapshot snapshot;

	bh_gdb_print(server, error->message);
	bh_gdb_print(server, "\n");
	if (!bh_gdb_snapshot_take(server, server->stop.thread, 0, &snapshot)) {
		bh_error_free(error);
		add_stop(server, 0, "");
		return;
	}
	server->error = error;
	server->is_done = 1;
	server->reply.length = 0;
	bh_rsp_text(&server->reply, "X06;process:1");
}

static struct bh_error *step_range(struct bh_gdb_server *server, const struct request *request)
{
	uint64_t thread = request->thread > 0 ? (uint64_t)request->thread : server->stop.thread;
	struct user_regs_struct registers;
	struct bh_gdb_breakpoint *breakpoint;

	for (unsigned int steps = 1;; steps++) {
		BH_TRY(bh_replay_step(server->replay, thread, BH_FORWARD, &server->stop));
		if (server->stop.reason != BH_STOP_STEP || server->stop.thread != thread)
			return NULL;
		BH_TRY(bh_replay_registers(server->replay, thread, &registers));
		if (registers.rip < request->range_start || registers.rip >= request->range_end)
			return NULL;
		breakpoint = bh_gdb_breakpoint_find(server, registers.rip);
		if (breakpoint && bh_gdb_breakpoint_holds(breakpoint))
			return NULL; /* gdb sees by itself that there is one */
		if (steps % RANGE_POLL_STEPS == 0 && bh_gdb_poll(server)) {
			server->stop.reason = BH_STOP_INTERRUPT;
			return NULL;
		}
	}
}

/* To the next stop, which may be a packet's: the beginning of an event. Stepping commands (that of
 * one thread) pass those, as they pass the breakpoints of other threads. */
static struct bh_error *go_on(struct bh_gdb_server *server, enum bh_direction direction)
{
	for (;;) {
		struct bh_position from = bh_replay_position(server->replay);
		uint64_t event = server->only_thread
					 ? 0
					 : bh_gdb_packet_breakpoint_next(server, from, direction);

		if (!event)
			return bh_replay_continue(server->replay, direction, &server->stop);
		BH_TRY(bh_replay_continue_to(server->replay, direction, event, &server->stop));
		if (server->stop.reason != BH_STOP_GOTO)
			return NULL;
		struct bh_gdb_breakpoint *breakpoint = bh_gdb_packet_breakpoint(server);

		if (breakpoint && bh_gdb_breakpoint_holds(breakpoint)) {
			server->stop.reason = BH_STOP_BREAKPOINT;
			server->stop.address = breakpoint->address;
			return NULL;
		}
		if (bh_gdb_poll(server)) {
			server->stop.reason = BH_STOP_INTERRUPT;
			return NULL;
		}
	}
}

static struct bh_error *move(struct bh_gdb_server *server, const struct request *request)
{
	uint64_t thread = request->thread > 0 ? (uint64_t)request->thread : 0;
	struct bh_error *error;

	if (server->has_target) {
		server->has_target = 0;
		return bh_replay_seek(server->replay, server->target, &server->stop);
	}
	server->only_thread = request->is_alone && thread ? request->thread : 0;
	/* Which thread it is, a condition in bytecode doesn't say. */
	bh_replay_breakpoints_ask(server->replay, server->only_thread != 0);
	switch (request->move) {
	case MOVE_RANGE:
		error = step_range(server, request);
		break;
	case MOVE_STEP:
		error = bh_replay_step(server->replay, thread, request->direction, &server->stop);
		break;
	default:
		error = go_on(server, request->direction);
	}
	server->only_thread = 0;
	return error;
}

const char bh_gdb_branch_note[] =
	"Changes and calls happen in a copy of this moment; the next move throws it away and goes "
	"on as recorded.\n";

static void tell_branch(struct bh_gdb_server *server)
{
	if (!server->has_told_branch && bh_replay_is_branched(server->replay))
		bh_gdb_print(server, bh_gdb_branch_note);
	server->has_told_branch |= bh_replay_is_branched(server->replay);
}

/* A function that gdb calls, or what the user does on the way through it. */
static struct bh_error *move_branch(struct bh_gdb_server *server, const struct request *request)
{
	struct user_regs_struct registers;

	do {
		BH_TRY(bh_replay_branch_run(server->replay, request->move != MOVE_CONTINUE,
					    &server->stop));
		if (request->move != MOVE_RANGE || server->stop.reason != BH_STOP_STEP)
			return NULL;
		BH_TRY(bh_replay_registers(server->replay, 0, &registers));
	} while (registers.rip >= request->range_start && registers.rip < request->range_end &&
		 !bh_gdb_poll(server));
	return NULL;
}

static void resume_branch(struct bh_gdb_server *server, const struct request *request)
{
	struct bh_error *error = move_branch(server, request);

	if (error) {
		add_fault(server, error);
		return;
	}
	server->general_thread = (int64_t)server->stop.thread;
	bh_gdb_signal_met(server);
	add_last_stop(server);
}

/*
 * When programs were loaded or ended on the way, gdb is told of that first. It reads the list,
 * sets its breakpoints and resumes at once; that resume is answered with the stop it should have
 * had, without moving. A step isn't worth that: its list is told at the next longer move.
 */
static int announces_libraries(struct bh_gdb_server *server, const struct request *request)
{
	uint64_t digest;

	if (request->move != MOVE_CONTINUE || !server->library_digest)
		return 0;
	digest = bh_gdb_library_digest(server);
	if (digest == server->library_digest)
		return 0;
	server->library_digest = digest;
	server->has_pending_stop = 1;
	add_stop(server, 5, "library:;");
	return 1;
}

/* Programs were loaded, or (going back) had not ended yet: gdb reads the list, plants what it has
 * for them and resumes, and that does move. */
static int has_met_images(const struct bh_gdb_server *server)
{
	return server->stops_at_images && server->stop.reason == BH_STOP_BREAKPOINT &&
	       server->stop.address == (uint64_t)bh_posix_images_change;
}

static void resume_somehow(struct bh_gdb_server *server, const struct request *request)
{
	struct bh_error *error;

	if (server->has_target)
		server->has_pending_stop = 0;
	if (server->has_pending_stop) {
		server->has_pending_stop = 0;
		add_last_stop(server);
		return;
	}
	tell_branch(server);
	bh_gdb_progress(server, 1);
	if (!server->has_target && request->direction == BH_FORWARD &&
	    bh_replay_branch_is_away(server->replay)) {
		resume_branch(server, request);
		return;
	}
	error = move(server, request);
	if (error) {
		add_fault(server, error);
		return;
	}
	server->general_thread = (int64_t)server->stop.thread;
	bh_gdb_breakpoints_replant(server);
	bh_gdb_signal_met(server);
	if (has_met_images(server))
		add_stop(server, 5, "library:;");
	else if (!announces_libraries(server, request))
		add_last_stop(server);
}

static void resume(struct bh_gdb_server *server, const struct request *request)
{
	bh_gdb_signal_sent(server, request->signal);
	resume_somehow(server, request);
	bh_gdb_progress(server, 0);
}

void bh_gdb_arm(struct bh_gdb_server *server, struct bh_position position)
{
	server->target = position;
	server->has_target = 1;
}

/* --- packets --- */

/* One action of vCont, without its thread; non-zero if it is one. */
static int scan_action(struct bh_rsp_scan *scan, struct request *request_ret)
{
	if (bh_rsp_scan_accept(scan, "r")) {
		request_ret->move = MOVE_RANGE;
		request_ret->range_start = bh_rsp_scan_hex(scan);
		bh_rsp_scan_expect(scan, ",");
		request_ret->range_end = bh_rsp_scan_hex(scan);
	} else if (bh_rsp_scan_accept(scan, "s")) {
		request_ret->move = MOVE_STEP;
	} else if (bh_rsp_scan_accept(scan, "c")) {
		request_ret->move = MOVE_CONTINUE;
	} else if (bh_rsp_scan_accept(scan, "S")) {
		request_ret->move = MOVE_STEP;
		request_ret->signal = bh_rsp_scan_hex(scan);
	} else if (bh_rsp_scan_accept(scan, "C")) {
		request_ret->move = MOVE_CONTINUE;
		request_ret->signal = bh_rsp_scan_hex(scan);
	} else {
		scan->failed = 1;
	}
	return !scan->failed;
}

/* gdb sends at most a thread that steps and what the others do, in this order. */
void bh_gdb_vcont(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct request request = {.direction = BH_FORWARD}, other = {.direction = BH_FORWARD};

	if (scan_action(scan, &request) && bh_rsp_scan_accept(scan, ":"))
		request.thread = bh_rsp_scan_thread(scan);
	request.is_alone = request.thread > 0;
	if (bh_rsp_scan_accept(scan, ";")) {
		if (scan_action(scan, &other) && bh_rsp_scan_accept(scan, ":"))
			bh_rsp_scan_thread(scan);
		request.is_alone = 0;
	}
	if (scan->failed || bh_rsp_scan_left(scan))
		bh_gdb_refuse(server, "a vCont packet has actions that a replay doesn't know");
	else
		resume(server, &request);
}

void bh_gdb_continue(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	resume(server, &(struct request){.move = MOVE_CONTINUE, .direction = BH_FORWARD});
}

static int64_t stepping_thread(const struct bh_gdb_server *server)
{
	return server->resume_thread > 0 ? server->resume_thread : (int64_t)server->stop.thread;
}

void bh_gdb_step(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	resume(server, &(struct request){.move = MOVE_STEP,
					 .direction = BH_FORWARD,
					 .thread = stepping_thread(server),
					 .is_alone = server->resume_thread > 0});
}

void bh_gdb_reverse(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct request request = {
		.direction = BH_BACKWARD,
		.thread = server->resume_thread,
		.is_alone = server->resume_thread > 0,
	};

	if (bh_rsp_scan_accept(scan, "bs")) {
		request.move = MOVE_STEP;
		request.thread = stepping_thread(server);
	} else {
		bh_rsp_scan_expect(scan, "bc");
		request.move = MOVE_CONTINUE;
	}
	if (scan->failed || bh_rsp_scan_left(scan))
		bh_gdb_refuse(server, "a reverse packet is bs or bc");
	else
		resume(server, &request);
}

/* `run` of an extended-remote gdb: the same run again, from its start. */
void bh_gdb_restart(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	bh_gdb_arm(server, (struct bh_position){.event = 1});
	resume(server, &(struct request){.move = MOVE_CONTINUE, .direction = BH_BACKWARD});
}
