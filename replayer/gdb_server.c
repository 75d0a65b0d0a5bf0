/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gdb server: reads packets, finds who handles them, sends the replies. Called by
 * cli/cmd_replay.c. The other gdb_server_*.c hold the handlers, by subject; the wire format is in
 * rsp.c, what moves the replay is behind engine.h.
 */
#include "replayer/gdb_server.h"

#include <errno.h>
#include <poll.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/host_time.h"
#include "replayer/gdb_server_state.h"

/* A move that takes longer tells this often how far it is. */
#define PROGRESS_NS 2000000000ull

void bh_gdb_refuse(struct bh_gdb_server *server, const char *format, ...)
{
	va_list arguments;
	char text[1024];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	/* The sentence goes out unescaped: these four characters have a meaning on the wire. */
	for (char *at = text; (at = strpbrk(at, "#$*}")); at++)
		*at = '?';
	server->reply.length = 0;
	bh_rsp_text(&server->reply, "E.%s", text);
}

void bh_gdb_refuse_error(struct bh_gdb_server *server, struct bh_error *error)
{
	bh_gdb_refuse(server, "%s", error->message);
	bh_error_free(error);
}

uint64_t bh_gdb_general_thread(const struct bh_gdb_server *server)
{
	return server->general_thread > 0 ? (uint64_t)server->general_thread : server->stop.thread;
}

static size_t shown_place(const struct bh_gdb_server *server, uint64_t thread)
{
	size_t low = 0, high = server->shown_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (server->shown[middle] < thread)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int is_shown(const struct bh_gdb_server *server, uint64_t thread)
{
	size_t at = shown_place(server, thread);

	return at < server->shown_count && server->shown[at] == thread;
}

void bh_gdb_show_thread(struct bh_gdb_server *server, uint64_t thread)
{
	size_t at = shown_place(server, thread);

	if (is_shown(server, thread))
		return;
	if (server->shown_count == server->shown_capacity) {
		size_t capacity = server->shown_capacity ? 2 * server->shown_capacity : 64;
		uint64_t *grown = realloc(server->shown, capacity * sizeof(*grown));

		if (!grown)
			return; /* it is only listed less often */
		server->shown = grown;
		server->shown_capacity = capacity;
	}
	memmove(server->shown + at + 1, server->shown + at,
		(server->shown_count - at) * sizeof(*server->shown));
	server->shown[at] = thread;
	server->shown_count++;
}

int bh_gdb_is_listed(const struct bh_gdb_server *server, const struct bh_replay_thread *thread,
		     size_t count)
{
	return count <= BH_GDB_LIST_ALL || thread->is_active || thread->is_running ||
	       is_shown(server, thread->id);
}

const struct bh_replay_thread *bh_gdb_find_thread(struct bh_gdb_server *server, uint64_t thread)
{
	const struct bh_replay_thread *threads;
	struct bh_error *error;
	size_t count;

	error = bh_replay_threads(server->replay, &threads, &count);
	if (error) {
		bh_error_free(error);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		if (threads[i].id == thread)
			return &threads[i];
	return NULL;
}

/* --- the connection --- */

static void send_bytes(struct bh_gdb_server *server, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length && !server->is_lost) {
		ssize_t count = send(server->socket, at, length, MSG_NOSIGNAL);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0) {
			server->is_lost = 1;
			return;
		}
		at += count;
		length -= (size_t)count;
	}
}

static void send_payload(struct bh_gdb_server *server, const void *payload, size_t length)
{
	server->sent.length = 0;
	bh_rsp_frame(&server->sent, payload, length);
	if (server->sent.failed)
		server->is_lost = 1;
	else
		send_bytes(server, server->sent.bytes, server->sent.length);
}

void bh_gdb_print(struct bh_gdb_server *server, const char *text)
{
	struct bh_buffer payload = {0};

	bh_rsp_text(&payload, "O");
	bh_rsp_hex(&payload, text, strlen(text));
	if (!payload.failed)
		send_payload(server, payload.bytes, payload.length);
	bh_buffer_free(&payload);
}

/* Takes what has arrived, waiting for it unless flags say MSG_DONTWAIT. */
static void receive(struct bh_gdb_server *server, int flags)
{
	char bytes[16384];
	ssize_t count;

	do {
		count = recv(server->socket, bytes, sizeof(bytes), flags);
	} while (count < 0 && errno == EINTR && !flags);
	if (count > 0) {
		if (bh_rsp_reader_feed(&server->reader, bytes, (size_t)count))
			server->is_lost = 1;
	} else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
		server->is_lost = 1;
	}
}

void bh_gdb_progress(struct bh_gdb_server *server, int is_moving)
{
	server->progress_ns = is_moving ? bh_host_time_ns() + PROGRESS_NS : 0;
}

static void tell_progress(struct bh_gdb_server *server)
{
	char text[128];

	if (!server->progress_ns || bh_host_time_ns() < server->progress_ns)
		return;
	bh_gdb_progress(server, 1);
	snprintf(text, sizeof(text), "at event %lu of %lu; Ctrl-C stops here\n",
		 bh_replay_position(server->replay).event,
		 bh_trace_event_count(bh_replay_trace(server->replay)));
	bh_gdb_print(server, text);
}

int bh_gdb_poll(void *arg)
{
	struct bh_gdb_server *server = arg;
	enum bh_rsp_item item;
	const char *packet;
	size_t length;

	receive(server, MSG_DONTWAIT);
	tell_progress(server);
	/* gdb sends nothing but the interrupt while it waits for a stop. */
	do {
		item = bh_rsp_reader_next(&server->reader, &packet, &length);
		if (item == BH_RSP_INTERRUPT)
			return 1;
	} while (item != BH_RSP_NOTHING);
	return server->is_lost;
}

/* --- small packets --- */

static void ok(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	bh_rsp_text(&server->reply, "OK");
}

static void turn_acks_off(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	server->is_ack_off = 1;
	ok(server, scan);
}

static void select_thread(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	int is_general = bh_rsp_scan_accept(scan, "g");
	int64_t thread;

	if (!is_general)
		bh_rsp_scan_expect(scan, "c");
	thread = bh_rsp_scan_thread(scan);
	if (scan->failed || (thread > 0 && !bh_gdb_find_thread(server, (uint64_t)thread))) {
		bh_gdb_refuse(server, "there is no such thread at this point of the replay");
		return;
	}
	if (thread > 0)
		bh_gdb_show_thread(server, (uint64_t)thread);
	if (is_general)
		server->general_thread = thread;
	else
		server->resume_thread = thread;
	ok(server, scan);
}

static void current_thread(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	bh_rsp_text(&server->reply, "QCp1.%lx", bh_gdb_general_thread(server));
}

static void attached(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	/* So that gdb detaches when it quits, which ends the replay without a question. */
	bh_rsp_text(&server->reply, "1");
}

static void vcont_actions(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	bh_rsp_text(&server->reply, "vCont;c;C;s;S;r");
}

static void last_of_list(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	bh_rsp_text(&server->reply, "l");
}

static void detach(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	ok(server, scan);
	server->is_done = 1;
}

static void kill_now(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	server->is_done = 1;
	server->has_no_reply = 1;
}

static const struct {
	const char *prefix;
	bh_gdb_handler *handler;
} handlers[] = {
	/* The first one that fits is taken, so long prefixes stand before their beginnings. */
	{"qSupported", bh_gdb_supported},
	{"QStartNoAckMode", turn_acks_off},
	{"QPassSignals:", bh_gdb_pass_signals},
	{"qXfer:", bh_gdb_xfer},
	{"qBackhop:", bh_gdb_private},
	{"QBackhop:", bh_gdb_private},
	{"qfThreadInfo", bh_gdb_thread_list},
	{"qsThreadInfo", last_of_list},
	{"qThreadExtraInfo,", bh_gdb_thread_extra},
	{"qAttached", attached},
	{"qSearch:memory:", bh_gdb_memory_search},
	{"qRcmd,", bh_gdb_monitor},
	{"vCont?", vcont_actions},
	{"vCont;", bh_gdb_vcont},
	{"vFile:", bh_gdb_file},
	{"vRun", bh_gdb_restart},
	{"vKill", detach},
	{"bc", bh_gdb_reverse},
	{"bs", bh_gdb_reverse},
};

static const struct {
	char letter;
	bh_gdb_handler *handler;
} letters[] = {
	{'?', bh_gdb_why},
	{'!', ok},
	{'c', bh_gdb_continue},
	{'C', bh_gdb_continue},
	{'s', bh_gdb_step},
	{'S', bh_gdb_step},
	{'g', bh_gdb_registers_read},
	{'p', bh_gdb_register_read},
	{'G', bh_gdb_registers_write},
	{'P', bh_gdb_register_write},
	{'m', bh_gdb_memory_read},
	{'x', bh_gdb_memory_binary},
	{'M', bh_gdb_memory_write},
	{'X', bh_gdb_memory_write_binary},
	{'Z', bh_gdb_point_insert},
	{'z', bh_gdb_point_remove},
	{'H', select_thread},
	{'T', bh_gdb_thread_alive},
	{'D', detach},
	{'k', kill_now},
};

static void dispatch(struct bh_gdb_server *server, const char *packet, size_t length)
{
	struct bh_rsp_scan scan;

	bh_rsp_scan_init(&scan, packet, length);
	server->reply.length = 0;
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		size_t prefix = strlen(handlers[i].prefix);

		if (length >= prefix && !memcmp(packet, handlers[i].prefix, prefix)) {
			/* bc and bs differ in what they do, so their handler sees the whole. */
			if (packet[0] != 'b')
				scan.at += prefix;
			handlers[i].handler(server, &scan);
			return;
		}
	}
	if (length == 2 && !memcmp(packet, "qC", 2)) {
		current_thread(server, &scan);
		return;
	}
	for (size_t i = 0; length && i < sizeof(letters) / sizeof(letters[0]); i++) {
		if (packet[0] == letters[i].letter) {
			scan.at++;
			letters[i].handler(server, &scan);
			return;
		}
	}
}

/* Handles one item of what has arrived; 0 when more has to arrive first. */
static int serve_item(struct bh_gdb_server *server)
{
	const char *packet;
	size_t length;

	switch (bh_rsp_reader_next(&server->reader, &packet, &length)) {
	case BH_RSP_NOTHING:
		return 0;
	case BH_RSP_DAMAGED:
		if (!server->is_ack_off)
			send_bytes(server, "-", 1);
		return 1;
	case BH_RSP_NACK:
		send_bytes(server, server->sent.bytes, server->sent.length);
		return 1;
	case BH_RSP_ACK:
	case BH_RSP_INTERRUPT: /* it crossed the stop that it was meant to cause */
		return 1;
	case BH_RSP_PACKET:
		break;
	}
	if (!server->is_ack_off)
		send_bytes(server, "+", 1);
	dispatch(server, packet, length);
	if (server->reply.failed)
		server->is_lost = 1;
	else if (!server->has_no_reply)
		send_payload(server, server->reply.bytes, server->reply.length);
	return 1;
}

static void finish(struct bh_gdb_server *server)
{
	bh_replay_set_poll(server->replay, NULL, NULL);
	bh_gdb_signals_free(server);
	bh_gdb_points_free(server);
	bh_gdb_files_close(server);
	bh_gdb_packets_free(server);
	bh_rsp_reader_free(&server->reader);
	bh_buffer_free(&server->reply);
	bh_buffer_free(&server->sent);
	free(server->shown);
}

/* So long nothing comes before the replay begins to work ahead. */
#define IDLE_MS 300

/* Non-zero: something came, or the connection is lost, within the time. */
static int has_input(const struct bh_gdb_server *server, int timeout_ms)
{
	struct pollfd input = {.fd = server->socket, .events = POLLIN};

	return poll(&input, 1, timeout_ms) != 0;
}

static int is_wanted(void *arg)
{
	return has_input(arg, 0);
}

/* The user thinks: the replay makes use of the time. */
static void work_ahead(struct bh_gdb_server *server)
{
	if (has_input(server, IDLE_MS))
		return;
	while (!is_wanted(server) && bh_replay_work_ahead(server->replay, is_wanted, server))
		;
}

struct bh_error *bh_gdb_server_run(struct bh_replay *replay, int socket, const char *executable)
{
	struct bh_gdb_server server = {
		.replay = replay,
		.socket = socket,
		.executable = executable,
		.stop = {.reason = BH_STOP_BEGIN, .thread = bh_replay_thread(replay)},
	};

	for (size_t i = 0; i < BH_GDB_MAX_FILES; i++)
		server.files[i] = -1;
	bh_replay_set_poll(replay, bh_gdb_poll, &server);
	while (!server.is_done && !server.is_lost) {
		if (serve_item(&server))
			continue;
		work_ahead(&server);
		receive(&server, 0);
	}
	finish(&server);
	return server.error;
}
