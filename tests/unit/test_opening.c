/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a damaged trace, or one made on purpose, meets behind its checksums and its compression: a
 * small trace with every kind of input in it is cut at every length and damaged in every byte, and
 * each is opened, read, asked for places and prepared for a replay, as info, events, verify and
 * replay do, the last of which looks at events late. Each either works or is refused in one
 * sentence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "replayer/drop_names.h"
#include "replayer/lineage.h"
#include "replayer/rerun.h"
#include "tests/fuzz/trace_bytes.h"
#include "traces/trace.h"

#define TRACE_MAX (1u << 20)

static int test_number, failures;

static void check(int is_ok, const char *name)
{
	printf("%sok %d - %s\n", is_ok ? "" : "not ", ++test_number, name);
	failures += !is_ok;
}

static void must(struct bh_error *error)
{
	if (!error)
		return;
	printf("Bail out! %s\n", error->message);
	exit(1);
}

/* --- the trace --- */

static const char scenario[] = "name: small\n"
			       "general: {seed: 7, stop_time: 1s}\n"
			       "topology:\n"
			       "  nodes: {a: {exec: [\"ip link\"]}, b: {}}\n"
			       "  links: [{endpoints: [\"a:eth0\", \"b:eth0\"], delay: 1ms}]\n"
			       "expect: [{never: drop, node: b}]\n";
static const char reasons[] = "2 NOT_SPECIFIED\n6 NETFILTER_DROP\n";
static const char words[] = "TERM=xterm\0\0/bin/sh\0-i";
static const char summary[] =
	"{\"result\": \"fail\", \"failures\": [{\"what\": \"drop\", \"node\": "
	"\"b\", \"vtime_ns\": 1000000, \"event\": 6, \"detail\": \"x\"}]}";

#define TEXT(string) .text = (string), .text_size = sizeof(string) - 1

static const struct bh_trace_input inputs[] = {
	{.role = BH_TRACE_SCENARIO, .kind = 1, .was_read = 1, .name = "small.yaml", TEXT(scenario)},
	{.role = BH_TRACE_TERMINAL,
	 .kind = 1,
	 .number = 5,
	 .name = "a",
	 .text = words,
	 .text_size = sizeof(words)},
	{.role = BH_TRACE_FILE, .kind = 0, .name = "/no/such/file"},
	{.role = BH_TRACE_FILE,
	 .kind = 2,
	 .was_read = 1,
	 .mode = 0755,
	 .number = 13,
	 .name = "/etc",
	 .text = "hosts\0001",
	 .text_size = 8},
	{.role = BH_TRACE_FILE, .kind = 3, .was_read = 1, .name = "/bin", TEXT("usr/bin")},
	{.role = BH_TRACE_KERNEL,
	 .kind = 1,
	 .was_read = 1,
	 .size = 99,
	 .hash = {3},
	 .name = "6.1",
	 .build_id = "00ff",
	 TEXT(reasons)},
	{.role = BH_TRACE_TYPED, .kind = 1, .number = 4, .name = "4", TEXT("ls\n")},
};

static const struct bh_event events[] = {
	{.kind = BH_EVENT_BOOT, .node = 0, .device = BH_NO_DEVICE},
	{.kind = BH_EVENT_BOOT, .node = 1, .device = BH_NO_DEVICE},
	{.kind = BH_EVENT_TX, .node = 0, .cause = 1, .packet = 3, .length = 98, .hash = 5},
	{.kind = BH_EVENT_INPUT, .node = 0, .device = BH_NO_DEVICE, .value = 24 << 16 | 80},
	{.kind = BH_EVENT_RX, .node = 1, .cause = 3, .packet = 3, .hop = 1, .length = 98},
	{.kind = BH_EVENT_DROP, .node = 1, .cause = 5, .packet = 3, .hop = 1, .value = 6},
	{.kind = BH_EVENT_STOP, .node = BH_NO_NODE, .device = BH_NO_DEVICE},
};

static size_t make_trace(uint8_t *bytes_ret)
{
	static const char *const names[] = {"a", "b"};
	struct bh_trace_start start = {"small", 7, names, 2};
	struct bh_trace_writer *writer;
	uint64_t digest = 0, node_digests[2] = {0};

	must(bh_trace_writer_create("opening.bht", &start, &writer));
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
		must(bh_trace_write_input(writer, &inputs[i]));
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct bh_event event = events[i];

		event.event = i + 1;
		event.vtime_ns = i < 4 ? 0 : 1000000;
		digest = bh_event_digest(digest, &event);
		if (event.node != BH_NO_NODE)
			node_digests[event.node] =
				bh_event_digest(node_digests[event.node], &event);
		bh_trace_write_event(writer, &event);
	}
	must(bh_trace_writer_finish(writer, summary, digest, node_digests));
	bh_trace_writer_destroy(writer);
	FILE *file = fopen("opening.bht", "rb");
	size_t length = file ? fread(bytes_ret, 1, TRACE_MAX, file) : 0;
	if (file)
		fclose(file);
	return length;
}

/* --- using it --- */

struct tally {
	unsigned long refused, opened, prepared, unreadable, bad;
	int has_shown;
};

static struct bh_error *no_kernel(void *arg, const char *version, char **path_ret)
{
	(void)arg;
	(void)path_ret;
	return bh_error_new(BH_ERR_INPUT, "there is no kernel \"%s\" here", version);
}

/* One sentence of a code that is the input's fault; frees it. */
static void judge(struct tally *tally, struct bh_error *error)
{
	int is_good = (error->code == BH_ERR_INPUT || error->code == BH_ERR_USAGE) &&
		      strlen(error->message) > 10;

	if (!is_good && !tally->has_shown) {
		printf("# code %d: %s\n", (int)error->code, error->message);
		tally->has_shown = 1;
	}
	tally->bad += !is_good;
	bh_error_free(error);
}

static void ask_places(struct tally *tally, const struct bh_trace *trace)
{
	static const char *const places[] = {"start", "end",   "failure", "1ms",
					     "3.1",   "3:1:2", "7",	  "99999999999999999999"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct bh_position position;
		struct bh_error *error = bh_position_parse(trace, places[i], &position);

		if (error)
			judge(tally, error);
	}
}

static void read_events(struct tally *tally, const struct bh_trace *trace)
{
	struct bh_drop_names *names = bh_drop_names_create(trace, no_kernel, NULL);
	struct bh_event event;

	for (uint64_t i = 1; i <= bh_trace_event_count(trace); i++) {
		struct bh_error *error = bh_trace_event(trace, i, &event);

		if (error) {
			tally->unreadable++;
			judge(tally, error);
			continue;
		}
		if (event.kind == BH_EVENT_DROP) {
			bh_drop_reason(names, &event);
			bh_drop_function(names, &event);
		}
	}
	bh_drop_names_destroy(names);
}

static void prepare(struct tally *tally, const struct bh_trace *trace)
{
	const struct bh_rerun_config config = {.trace = trace, .find_kernel = no_kernel};
	struct bh_rerun *rerun = NULL;
	struct bh_error *error = bh_rerun_create(&config, &rerun);

	if (error)
		judge(tally, error);
	else
		tally->prepared++;
	bh_rerun_destroy(rerun);
}

static void use_once(struct tally *tally, const uint8_t *bytes, size_t length, int is_for_replay)
{
	struct bh_trace *trace;
	struct bh_error *error = is_for_replay
					 ? bh_trace_open_memory_for_replay(bytes, length, &trace)
					 : bh_trace_open_memory(bytes, length, &trace);

	if (error) {
		tally->refused++;
		judge(tally, error);
		return;
	}
	tally->opened++;
	read_events(tally, trace);
	ask_places(tally, trace);
	prepare(tally, trace);
	bh_trace_close(trace);
}

struct tallies {
	struct tally checked, for_replay;
};

static void use(void *arg, uint8_t *bytes, size_t length)
{
	struct tallies *tallies = arg;

	use_once(&tallies->checked, bytes, length, 0);
	checksums_repair(bytes, length);
	use_once(&tallies->checked, bytes, length, 0);
	use_once(&tallies->for_replay, bytes, length, 1);
}

int main(void)
{
	static uint8_t bytes[TRACE_MAX];
	size_t length = make_trace(bytes);
	struct bh_buffer unpacked = {0};
	struct tallies whole = {0}, tallies = {0};
	const struct tally *checked = &tallies.checked, *late = &tallies.for_replay;

	trace_unpack(bytes, length, &unpacked);
	use(&whole, unpacked.bytes, unpacked.length);
	check(whole.checked.opened == 2 && whole.for_replay.opened == 1 && !whole.checked.bad &&
		      !whole.for_replay.bad,
	      "the trace is good before it is damaged");
	unsigned long count = trace_damage(unpacked.bytes, unpacked.length, use, &tallies);
	printf("# %lu damaged traces of %zu bytes: %lu refused, %lu opened, %lu prepared\n", count,
	       unpacked.length, checked->refused, checked->opened, checked->prepared);
	printf("# for a replay, checksums right: %lu refused, %lu opened, %lu prepared, %lu events "
	       "unreadable\n",
	       late->refused, late->opened, late->prepared, late->unreadable);
	check(checked->refused > count / 2 && checked->opened > count / 10,
	      "most damage is seen, and some gets past the checksums");
	check(!checked->bad, "what is refused is refused in a sentence, as bad input");
	check(late->opened > checked->opened / 2 && late->unreadable > 100,
	      "opened for a replay, damage to events is seen when they are read");
	check(!late->bad, "what is refused then is refused in a sentence, too");
	bh_buffer_free(&unpacked);
	printf("1..%d\n", test_number);
	return failures != 0;
}
