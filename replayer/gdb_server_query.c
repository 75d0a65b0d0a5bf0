/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions that don't move the replay: what the server can do, threads, memory, and `monitor`.
 * Called by gdb_server.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replayer/gdb_server_state.h"
#include "replayer/lineage.h"

/* Bytes that are searched at a time. */
#define SEARCH_CHUNK 65536

void bh_gdb_supported(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	bh_rsp_text(&server->reply,
		    "PacketSize=%x;QStartNoAckMode+;QPassSignals+;vContSupported+;multiprocess+;"
		    "swbreak+;hwbreak+;ReverseStep+;ReverseContinue+;ConditionalBreakpoints+;"
		    "binary-upload+;qXfer:features:read+;qXfer:auxv:read+;qXfer:exec-file:read+;"
		    "qXfer:siginfo:read+;qXfer:threads:read+;qXfer:libraries-svr4:read+",
		    BH_RSP_PACKET_MAX);
}

/* --- threads --- */

void bh_gdb_thread_list(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct bh_replay_thread *threads;
	struct bh_error *error;
	size_t count;

	error = bh_replay_threads(server->replay, &threads, &count);
	if (error) {
		bh_gdb_refuse_error(server, error);
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (bh_gdb_is_listed(server, &threads[i], count))
			bh_rsp_text(&server->reply, "%sp1.%lx", server->reply.length ? "," : "m",
				    threads[i].id);
	if (!count)
		bh_rsp_text(&server->reply, "l");
}

void bh_gdb_thread_extra(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	int64_t thread = bh_rsp_scan_thread(scan);
	const struct bh_replay_thread *entry = NULL;

	if (!scan->failed)
		entry = bh_gdb_find_thread(server, (uint64_t)thread);
	if (entry)
		bh_rsp_hex(&server->reply, entry->name, strlen(entry->name));
}

void bh_gdb_thread_alive(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	int64_t thread = bh_rsp_scan_thread(scan);

	if (!scan->failed && bh_gdb_find_thread(server, (uint64_t)thread))
		bh_rsp_text(&server->reply, "OK");
	else
		bh_gdb_refuse(server, "there is no such thread at this point of the replay");
}

/* --- memory --- */

/* Reads the "address,length" at scan's front; the bytes have to be freed. A part that can't be read
 * shortens the result, all of it is a refusal and NULL. */
static uint8_t *read_range(struct bh_gdb_server *server, struct bh_rsp_scan *scan,
			   size_t *length_ret)
{
	uint64_t address = bh_rsp_scan_hex(scan), length;
	uint8_t *bytes;

	bh_rsp_scan_expect(scan, ",");
	length = bh_rsp_scan_hex(scan);
	if (scan->failed) {
		bh_gdb_refuse(server, "a memory packet is maddress,length");
		return NULL;
	}
	if (length > BH_RSP_PACKET_MAX / 2 - 8)
		length = BH_RSP_PACKET_MAX / 2 - 8;
	bytes = malloc(length + 1);
	if (!bytes) {
		bh_gdb_refuse(server, "out of memory");
		return NULL;
	}
	*length_ret = bh_replay_read(server->replay, address, bytes, length);
	if (*length_ret == 0 && length) {
		free(bytes);
		bh_rsp_text(&server->reply, "E01"); /* gdb 13 takes no sentence here */
		return NULL;
	}
	return bytes;
}

void bh_gdb_memory_read(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	size_t length;
	uint8_t *bytes = read_range(server, scan, &length);

	if (!bytes)
		return;
	bh_rsp_hex(&server->reply, bytes, length);
	free(bytes);
}

void bh_gdb_memory_binary(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	size_t length;
	uint8_t *bytes = read_range(server, scan, &length);

	if (!bytes)
		return;
	bh_rsp_text(&server->reply, "b");
	bh_rsp_binary(&server->reply, bytes, length);
	free(bytes);
}

/* It is the throw-away branch that changes. */
static void write_memory(struct bh_gdb_server *server, uint64_t address, const uint8_t *bytes,
			 size_t length)
{
	/* gdb asks with no bytes at all whether X is known. */
	struct bh_error *error =
		length ? bh_replay_write(server->replay, address, bytes, length) : NULL;

	if (error)
		bh_gdb_refuse_error(server, error);
	else
		bh_rsp_text(&server->reply, "OK");
}

/* address "," length ":" */
static int scan_write(struct bh_gdb_server *server, struct bh_rsp_scan *scan, uint64_t *address_ret,
		      uint64_t *length_ret)
{
	*address_ret = bh_rsp_scan_hex(scan);
	bh_rsp_scan_expect(scan, ",");
	*length_ret = bh_rsp_scan_hex(scan);
	bh_rsp_scan_expect(scan, ":");
	if (!scan->failed)
		return 0;
	bh_gdb_refuse(server, "a memory packet is Maddress,length:bytes");
	return -1;
}

void bh_gdb_memory_write(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t address, length;
	size_t count = 0;
	uint8_t *bytes;

	if (scan_write(server, scan, &address, &length))
		return;
	bytes = bh_rsp_scan_bytes(scan, &count);
	if (bytes && count == length)
		write_memory(server, address, bytes, count);
	else
		bh_gdb_refuse(server, "the bytes to write are not as many as was said");
	free(bytes);
}

void bh_gdb_memory_write_binary(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t address, length;
	size_t count = 0;
	uint8_t *bytes;

	if (scan_write(server, scan, &address, &length))
		return;
	bytes = malloc(bh_rsp_scan_left(scan) + 1);
	if (bytes)
		count = bh_rsp_unescape(scan->at, bh_rsp_scan_left(scan), bytes);
	if (bytes && count == length)
		write_memory(server, address, bytes, count);
	else
		bh_gdb_refuse(server, "the bytes to write are not as many as was said");
	free(bytes);
}

/* Chunks overlap by the pattern's length less one, so that no match falls between two. */
static int search(struct bh_gdb_server *server, uint64_t address, uint64_t length,
		  const uint8_t *pattern, size_t pattern_length, uint64_t *found_ret)
{
	size_t step = SEARCH_CHUNK > pattern_length ? SEARCH_CHUNK : pattern_length;
	uint8_t *bytes = malloc(step + pattern_length);
	int is_found = 0;

	while (bytes && length >= pattern_length && !is_found) {
		size_t want = step + pattern_length - 1;
		size_t count;
		const uint8_t *match;

		if (want > length)
			want = length;
		count = bh_replay_read(server->replay, address, bytes, want);
		match = memmem(bytes, count, pattern, pattern_length);
		if (match) {
			*found_ret = address + (uint64_t)(match - bytes);
			is_found = 1;
		}
		if (count < want || length <= step || bh_gdb_poll(server))
			break;
		address += step;
		length -= step;
	}
	free(bytes);
	return is_found;
}

/* address ";" length ";" pattern, in binary */
void bh_gdb_memory_search(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t address = bh_rsp_scan_hex(scan), length, found = 0;
	size_t pattern_length;
	uint8_t *pattern;

	bh_rsp_scan_expect(scan, ";");
	length = bh_rsp_scan_hex(scan);
	bh_rsp_scan_expect(scan, ";");
	pattern = malloc(bh_rsp_scan_left(scan) + 1);
	if (scan->failed || !pattern || !bh_rsp_scan_left(scan)) {
		bh_gdb_refuse(server, "a search is for at least one byte");
		free(pattern);
		return;
	}
	pattern_length = bh_rsp_unescape(scan->at, bh_rsp_scan_left(scan), pattern);
	if (search(server, address, length, pattern, pattern_length, &found))
		bh_rsp_text(&server->reply, "1,%lx", found);
	else
		bh_rsp_text(&server->reply, "0");
	free(pattern);
}

/* --- monitor --- */

static const char monitor_help[] =
	"monitor help       this list\n"
	"monitor position   event, tick and instruction of where the replay is\n"
	"monitor digest     a hash of all registers and memory: equal at equal positions\n"
	"monitor goto TEXT  makes the next reverse-continue go to TEXT; `goto TEXT` does both\n";

static void monitor_text(struct bh_gdb_server *server, const char *command, char *text_ret,
			 size_t size)
{
	struct bh_position position = bh_replay_position(server->replay);
	struct bh_error *error = NULL;
	uint64_t digest;

	if (!strcmp(command, "position")) {
		snprintf(text_ret, size, "%lu:%lu:%lu\n", position.event, position.tick,
			 position.instruction);
	} else if (!strcmp(command, "digest")) {
		error = bh_replay_state_digest(server->replay, &digest);
		if (!error)
			snprintf(text_ret, size, "%016lx\n", digest);
	} else if (!strncmp(command, "goto ", 5)) {
		error = bh_position_parse(bh_replay_trace(server->replay), command + 5, &position);
		if (!error) {
			bh_gdb_arm(server, position);
			snprintf(text_ret, size, "now reverse-continue\n");
		}
	} else {
		snprintf(text_ret, size, "%s%s",
			 strcmp(command, "help") ? "The commands are:\n" : "", monitor_help);
	}
	if (error)
		snprintf(text_ret, size, "%s\n", error->message);
	bh_error_free(error);
}

void bh_gdb_monitor(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	char text[1024] = "";
	size_t length;
	uint8_t *command = bh_rsp_scan_bytes(scan, &length);

	if (!command) {
		bh_gdb_refuse(server, "a monitor command is sent in hexadecimal");
		return;
	}
	monitor_text(server, (const char *)command, text, sizeof(text));
	bh_rsp_hex(&server->reply, text, strlen(text));
	free(command);
}
