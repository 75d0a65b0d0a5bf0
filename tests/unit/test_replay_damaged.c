/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replay of a trace that was damaged on purpose, with all its checksums right: a replay opens
 * it, because it looks at events only when it comes to them, and then must stop there and say so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replayer/engine.h"
#include "tests/fuzz/trace_bytes.h"
#include "traces/trace.h"
#include "tests/unit/recorded_run.h"

#define TRACE_MAX   (4u << 20)
#define KIND_EVENTS 3
#define FOLDER	    "damaged-run"

static const char scenario[] =
	"name: pings\n"
	"general: {stop_time: 20s}\n"
	"topology:\n"
	"  nodes:\n"
	"    a:\n"
	"      exec: [ip addr add 10.0.0.1/24 dev eth0]\n"
	"      processes: [{path: ping, args: -q -i 0.001 -c 9000 10.0.0.2}]\n"
	"    b: {exec: [ip addr add 10.0.0.2/24 dev eth0]}\n"
	"  links: [{endpoints: [\"a:eth0\", \"b:eth0\"], delay: 10us}]\n";

static size_t record(uint8_t *bytes_ret)
{
	mkdir(FOLDER, 0777);
	FILE *file = fopen(FOLDER "/pings.yaml", "w");
	if (!file || fputs(scenario, file) < 0 || fclose(file))
		must(bh_error_new(BH_ERR_MACHINE, "the scenario can't be written"));
	record_scenario(FOLDER, FOLDER "/pings.yaml");
	file = fopen(FOLDER "/trace.bht", "rb");
	size_t length = file ? fread(bytes_ret, 1, TRACE_MAX, file) : 0;
	if (file)
		fclose(file);
	return length;
}

/* The offset of the payload of a chunk of events, counted from 0; its first event in *first_ret. */
static size_t chunk_find(const uint8_t *bytes, size_t length, int wanted, uint32_t *first_ret)
{
	size_t offset = TRACE_HEADER_BYTES;

	while (offset + CHUNK_HEADER_BYTES < length) {
		if (bytes[offset + 4] == KIND_EVENTS && !wanted--) {
			*first_ret = u32_load(bytes + offset + 16);
			return offset + CHUNK_HEADER_BYTES;
		}
		offset += CHUNK_HEADER_BYTES + u32_load(bytes + offset + 8);
	}
	return 0;
}

/* Replays to the end. */
static void replay_once(const uint8_t *bytes, size_t length, struct bh_stop *stop_ret,
			uint64_t *event_ret, char *sentence_ret, size_t size)
{
	struct bh_replay *replay;
	struct bh_trace *trace;

	must(bh_trace_open_memory_for_replay(bytes, length, &trace));
	must(bh_replay_create(trace, find_kernel, NULL, &replay));
	must(bh_replay_continue(replay, BH_FORWARD, stop_ret));
	*event_ret = bh_replay_position(replay).event;
	const char *divergence = bh_replay_divergence(replay);
	snprintf(sentence_ret, size, "%s", divergence ? divergence : "");
	bh_replay_destroy(replay);
	bh_trace_close(trace);
}

static int is_refused(const uint8_t *bytes, size_t length)
{
	struct bh_trace *trace;
	struct bh_error *error = bh_trace_open_memory(bytes, length, &trace);

	if (!error) {
		bh_trace_close(trace);
		return 0;
	}
	int is_input = error->code == BH_ERR_INPUT;
	bh_error_free(error);
	return is_input;
}

int main(void)
{
	static uint8_t bytes[TRACE_MAX];
	size_t length = record(bytes);
	struct bh_stop stop;
	char sentence[256];
	uint64_t event;
	uint32_t first, next;

	size_t at = chunk_find(bytes, length, 1, &first);
	size_t end = chunk_find(bytes, length, 2, &next);
	if (!at || !end)
		must(bh_error_new(BH_ERR_INTERNAL, "the trace has too few chunks"));
	replay_once(bytes, length, &stop, &event, sentence, sizeof(sentence));
	check(stop.reason == BH_STOP_END && event > next && !sentence[0],
	      "a trace that isn't damaged is replayed to its end");

	/* The id of the first section, and the last byte of the last: of a hash. */
	bytes[at] ^= 0x55;
	checksums_repair(bytes, length);
	check(is_refused(bytes, length), "what reads all events refuses a damaged chunk");
	replay_once(bytes, length, &stop, &event, sentence, sizeof(sentence));
	printf("# %s\n", sentence);
	check(stop.reason == BH_STOP_DIVERGED && event < first && event + 16384 > first &&
		      strstr(sentence, "the trace is damaged behind event"),
	      "a replay stops before it, and says so");

	bytes[at] ^= 0x55;
	bytes[end - CHUNK_HEADER_BYTES - 1] ^= 0x55;
	checksums_repair(bytes, length);
	check(is_refused(bytes, length), "what reads all events refuses a changed one");
	replay_once(bytes, length, &stop, &event, sentence, sizeof(sentence));
	printf("# %s\n", sentence);
	check(stop.reason == BH_STOP_DIVERGED && event >= first && event < next &&
		      strstr(sentence, "hash was"),
	      "a replay stops at it, and says what differs");
	check(waitpid(-1, NULL, __WALL) == -1, "no process is left");
	printf("1..%d\n", test_number);
	return failures != 0;
}
