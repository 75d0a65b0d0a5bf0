/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traces: what is written is read back, every truncation and every damaged byte of a small trace
 * is noticed, and a forwarding run stays small. With two arguments, writes the traces of
 * tests/golden there: a forwarding run, and events with all kinds of values.
 */
#include "traces/trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"

static int test_count, failure_count;

static void check(int is_ok, const char *text)
{
	printf("%s %d - %s\n", is_ok ? "ok" : "not ok", ++test_count, text);
	failure_count += !is_ok;
}

static void must(struct bh_error *error)
{
	if (!error)
		return;
	printf("Bail out! %s\n", error->message);
	exit(1);
}

static uint64_t random_state;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

struct run {
	struct bh_event *events;
	size_t count;
	uint64_t digest, node_digests[16];
	size_t node_count;
};

static const char *const names[16] = {"h1", "r1", "r2", "h2", "n4", "n5", "n6", "n7",
				      "n8", "n9", "na", "nb", "nc", "nd", "ne", "a node"};

static void run_digest(struct run *run)
{
	run->digest = 0;
	memset(run->node_digests, 0, sizeof(run->node_digests));
	for (size_t i = 0; i < run->count; i++) {
		struct bh_event *event = &run->events[i];

		run->digest = bh_event_digest(run->digest, event);
		if (event->node != BH_NO_NODE)
			run->node_digests[event->node] =
				bh_event_digest(run->node_digests[event->node], event);
	}
}

static struct bh_event *run_add(struct run *run, uint8_t kind, uint32_t node, uint64_t cause,
				uint64_t vtime_ns)
{
	struct bh_event *event = &run->events[run->count++];

	memset(event, 0, sizeof(*event));
	event->event = run->count;
	event->kind = kind;
	event->node = node;
	event->cause = cause;
	event->vtime_ns = vtime_ns;
	event->device = BH_NO_DEVICE;
	return event;
}

static struct bh_event *run_frame(struct run *run, uint8_t kind, uint32_t node, uint32_t device,
				  uint64_t cause, uint64_t vtime_ns)
{
	struct bh_event *event = run_add(run, kind, node, cause, vtime_ns);
	const struct bh_event *from = cause ? &run->events[cause - 1] : NULL;

	event->device = device;
	event->packet = from && from->packet ? from->packet : event->event;
	event->hop = from && from->packet ? from->hop + (kind == BH_EVENT_RX) : 0;
	event->length = from && from->length ? from->length : 142;
	event->hash = kind == BH_EVENT_RX ? 0 : bh_event_hash(&event->event, 8);
	return event;
}

/* Packets that leave node 0 every 97 us and are forwarded to the last node, 5 ms a link: many are
 * under way at once, as in the chain of bench/. */
static void run_forward(struct run *run, size_t packets, uint32_t node_count)
{
	const uint64_t gap_ns = 97000, delay_ns = 5000000;
	size_t hops = node_count - 1;
	uint64_t *last = calloc(packets, sizeof(*last));
	size_t *done = calloc(packets, sizeof(*done));

	run->events = calloc(packets * (2 * hops + 1) + 1, sizeof(*run->events));
	run->count = 0;
	run->node_count = node_count;
	for (size_t oldest = 0; oldest < packets;) {
		size_t next = 0;
		uint64_t best = UINT64_MAX;

		for (size_t i = oldest; i < packets; i++) {
			uint64_t at = i * gap_ns + done[i] * delay_ns;

			if (done[i] <= hops && at < best) {
				best = at;
				next = i;
			}
			if (!done[i])
				break;
		}
		uint32_t node = (uint32_t)done[next];
		uint64_t cause;
		if (!done[next])
			cause = run_add(run, BH_EVENT_TIMER, 0, 0, best)->event;
		else
			cause = run_frame(run, BH_EVENT_RX, node, 0, last[next], best)->event;
		if (done[next]++ < hops)
			last[next] =
				run_frame(run, BH_EVENT_TX, node, node != 0, cause, best)->event;
		while (oldest < packets && done[oldest] > hops)
			oldest++;
	}
	run_add(run, BH_EVENT_STOP, BH_NO_NODE, 0, run->events[run->count - 1].vtime_ns);
	free(last);
	free(done);
	run_digest(run);
}

/* Events with any values that a trace can hold. */
static void run_random(struct run *run, size_t count, uint64_t seed)
{
	uint64_t vtime_ns = 0;

	random_state = seed;
	run->events = calloc(count, sizeof(*run->events));
	run->count = 0;
	run->node_count = 16;
	for (size_t i = 1; i <= count; i++) {
		uint64_t bits = random_next();

		vtime_ns += bits & 1 ? 0 : random_next() >> (20 + bits % 40);
		struct bh_event *event = run_add(run, 1 + (bits >> 8) % (BH_EVENT_KIND_COUNT - 1),
						 bits & 2 ? BH_NO_NODE : random_next() % 16,
						 bits & 4 ? 0 : random_next() % i, vtime_ns);
		event->packet = random_next() % (i + 1);
		event->value = bits & 8 ? random_next() : 0;
		event->hash = bits & 16 ? random_next() >> (bits & 1024 ? 32 : 0) : 0;
		event->device = bits & 32 ? BH_NO_DEVICE : random_next() % 64;
		event->hop = bits & 64 ? (uint32_t)random_next() : 0;
		event->length = bits & 128 ? (uint32_t)random_next() : 0;
	}
	run_digest(run);
}

static const char scenario_text[] = "name: small\n";
static const char listing[] = "a\0001\0b\0003";
static char file_path[] = "/tmp/backhop-test-trace-XXXXXX";

static void inputs_write(struct bh_trace_writer *writer, size_t skip)
{
	const struct bh_trace_input inputs[] = {
		{.role = BH_TRACE_SCENARIO,
		 .kind = 1,
		 .was_read = 1,
		 .mode = 0644,
		 .size = 12,
		 .name = "small.yaml",
		 .text = scenario_text,
		 .text_size = 12},
		{.role = BH_TRACE_KERNEL,
		 .kind = 1,
		 .was_read = 1,
		 .size = 8000000,
		 .name = "6.1",
		 .hash = {1, 2, 3},
		 .build_id = "0123456789abcdef"},
		{.role = BH_TRACE_FILE,
		 .kind = 1,
		 .mode = 0755,
		 .size = 76888,
		 .number = 12,
		 .name = "/usr/bin/ping"},
		{.role = BH_TRACE_FILE, .kind = 0, .name = "/etc/ld.so.preload"},
		{.role = BH_TRACE_FILE,
		 .kind = 2,
		 .was_read = 1,
		 .mode = 0755,
		 .number = 13,
		 .name = "/etc",
		 .text = listing,
		 .text_size = sizeof(listing)},
		{.role = BH_TRACE_FILE,
		 .kind = 3,
		 .was_read = 1,
		 .mode = 0777,
		 .number = 14,
		 .name = "/bin",
		 .text = "usr/bin",
		 .text_size = 7},
		{.role = BH_TRACE_FILE,
		 .kind = 1,
		 .was_read = 1,
		 .mode = 0755,
		 .size = 76888,
		 .number = 12,
		 .hash = {9},
		 .name = "/usr/bin/ping"},
	};

	for (size_t i = skip; i < sizeof(inputs) / sizeof(inputs[0]); i++)
		must(bh_trace_write_input(writer, &inputs[i]));
}

static uint8_t finished_key[16]; /* of the last trace that was FINISHED */

enum ending { FINISHED, KILLED, KILLED_AFTER_CHECKPOINT, KILLED_WITH_LAST_WORDS };

/* Its inputs must not get into the trace twice. */
static void checkpoint(struct bh_trace_writer *writer)
{
	if (!bh_trace_writer_checkpoint_begin(writer))
		return;
	inputs_write(writer, 1);
	must(bh_trace_writer_checkpoint_end(writer));
}

static void run_write(const struct run *run, const char *path, enum ending ending,
		      size_t checkpoint_every, size_t flush_every)
{
	struct bh_trace_start start = {"small", 7, names, run->node_count};
	struct bh_trace_writer *writer;

	must(bh_trace_writer_create(path, &start, &writer));
	inputs_write(writer, 0);
	for (size_t i = 0; i < run->count; i++) {
		bh_trace_write_event(writer, &run->events[i]);
		if (!((i + 1) % flush_every))
			must(bh_trace_writer_flush(writer));
		if (checkpoint_every && !(i % checkpoint_every))
			checkpoint(writer);
	}
	if (ending == KILLED_AFTER_CHECKPOINT)
		checkpoint(writer);
	if (ending == KILLED_WITH_LAST_WORDS) {
		const struct bh_trace_input last = {.role = BH_TRACE_FILE, .name = "/last"};

		if (bh_trace_last_words_input(writer, &last))
			exit(1);
		bh_trace_last_words(writer);
	}
	if (ending == FINISHED) {
		must(bh_trace_writer_finish(writer, "{\"result\":\"fail\"}", run->digest,
					    run->node_digests));
		bh_trace_writer_key(writer, finished_key);
	}
	bh_trace_writer_destroy(writer);
}

static uint8_t *file_load(const char *path, size_t *length_ret)
{
	struct stat status;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fstat(fd, &status))
		exit(1);
	uint8_t *bytes = malloc((size_t)status.st_size + 1);
	*length_ret = (size_t)read(fd, bytes, (size_t)status.st_size);
	close(fd);
	return bytes;
}

/* A field-wise compare: the structure has padding. */
static int events_are_equal(const struct bh_event *a, const struct bh_event *b)
{
	return bh_event_digest(0, a) == bh_event_digest(0, b);
}

static int is_read_back(const struct run *run, const struct bh_trace *trace)
{
	struct bh_event event;

	if (bh_trace_event_count(trace) != run->count || bh_trace_digest(trace) != run->digest)
		return 0;
	for (size_t i = 1; i <= run->count; i++) {
		must(bh_trace_event(trace, i, &event));
		if (!events_are_equal(&event, &run->events[i - 1]))
			return 0;
	}
	random_state = 5;
	for (size_t i = 0; i < 200; i++) {
		uint64_t number = 1 + random_next() % run->count;

		must(bh_trace_event(trace, number, &event));
		if (!events_are_equal(&event, &run->events[number - 1]))
			return 0;
	}
	for (size_t i = 0; i < run->node_count; i++)
		if (bh_trace_node_digest(trace, i) != run->node_digests[i])
			return 0;
	return 1;
}

static int header_is_read_back(const struct run *run, const struct bh_trace *trace)
{
	if (strcmp(bh_trace_scenario_name(trace), "small") || bh_trace_seed(trace) != 7 ||
	    bh_trace_version(trace) != 2 || bh_trace_node_count(trace) != run->node_count)
		return 0;
	for (size_t i = 0; i < run->node_count; i++)
		if (strcmp(bh_trace_node_name(trace, i), names[i]))
			return 0;
	return 1;
}

static int inputs_are_read_back(const struct bh_trace *trace)
{
	if (bh_trace_input_count(trace) != 6)
		return 0;
	const struct bh_trace_input *scenario = bh_trace_input(trace, 0);
	const struct bh_trace_input *kernel = bh_trace_input(trace, 1);
	const struct bh_trace_input *ping = bh_trace_input(trace, 2);
	const struct bh_trace_input *etc = bh_trace_input(trace, 4);

	return !strcmp(scenario->name, "small.yaml") && scenario->text_size == 12 &&
	       !strcmp(scenario->text, scenario_text) &&
	       !strcmp(kernel->build_id, "0123456789abcdef") && kernel->hash[2] == 3 &&
	       ping->was_read && ping->hash[0] == 9 && ping->mode == 0755 &&
	       !strcmp(ping->name, "/usr/bin/ping") && !ping->text && !ping->build_id &&
	       etc->text_size == sizeof(listing) && !memcmp(etc->text, listing, sizeof(listing)) &&
	       !strcmp(bh_trace_input(trace, 5)->text, "usr/bin");
}

static void test_round_trip(struct run *run, const char *what)
{
	struct bh_trace *trace;
	char text[128];

	run_write(run, file_path, FINISHED, 0, 1);
	must(bh_trace_open_for_replay(file_path, &trace));
	snprintf(text, sizeof(text), "%s: events come back to a replay", what);
	check(bh_trace_is_complete(trace) && is_read_back(run, trace), text);
	uint64_t events_hash = bh_trace_events_hash(trace);
	bh_trace_close(trace);
	must(bh_trace_open(file_path, &trace));
	uint8_t key[16];
	bh_trace_key(trace, key);
	snprintf(text, sizeof(text), "%s: the writer knows the key", what);
	check(!memcmp(key, finished_key, sizeof(key)), text);
	run_write(run, file_path, FINISHED, 997, 50000);
	check(!memcmp(key, finished_key, sizeof(key)), "and checkpoints don't change it");
	snprintf(text, sizeof(text), "%s: events and digests come back", what);
	check(is_read_back(run, trace) && bh_trace_events_hash(trace) == events_hash, text);
	snprintf(text, sizeof(text), "%s: header, inputs and summary come back", what);
	check(bh_trace_is_complete(trace) && header_is_read_back(run, trace) &&
		      inputs_are_read_back(trace) &&
		      !strcmp(bh_trace_summary_json(trace), "{\"result\":\"fail\"}"),
	      text);
	bh_trace_close(trace);
}

/* Where the bytes lie must not depend on when a checkpoint was made. */
static void test_checkpoints(const struct run *run)
{
	size_t plain_length, length;
	struct bh_trace *trace;

	run_write(run, file_path, FINISHED, 0, 1);
	uint8_t *plain = file_load(file_path, &plain_length);
	run_write(run, file_path, FINISHED, 9973, 1);
	uint8_t *bytes = file_load(file_path, &length);
	check(length == plain_length && !memcmp(bytes, plain, length),
	      "checkpoints leave no mark in a complete trace");
	free(bytes);
	run_write(run, file_path, FINISHED, 9973, 50000);
	bytes = file_load(file_path, &length);
	check(length == plain_length && !memcmp(bytes, plain, length),
	      "chunks that had to wait for a flush are as if they hadn't");
	free(bytes);
	free(plain);

	run_write(run, file_path, KILLED_AFTER_CHECKPOINT, 0, 1);
	must(bh_trace_open(file_path, &trace));
	check(!bh_trace_is_complete(trace) && is_read_back(run, trace) &&
		      inputs_are_read_back(trace) && !bh_trace_summary_json(trace),
	      "a recording killed after a checkpoint is readable to its last event");
	bh_trace_close(trace);

	run_write(run, file_path, KILLED_WITH_LAST_WORDS, 9973, 1);
	must(bh_trace_open(file_path, &trace));
	check(!bh_trace_is_complete(trace) && is_read_back(run, trace) &&
		      bh_trace_input_count(trace) == 7 &&
		      !strcmp(bh_trace_input(trace, 6)->name, "/last"),
	      "last words save everything");
	bh_trace_close(trace);

	run_write(run, file_path, KILLED_WITH_LAST_WORDS, 0, 50000);
	must(bh_trace_open(file_path, &trace));
	check(!bh_trace_is_complete(trace) && is_read_back(run, trace),
	      "last words save chunks that wait, too");
	bh_trace_close(trace);

	run_write(run, file_path, KILLED, 0, 1);
	must(bh_trace_open(file_path, &trace));
	uint64_t count = bh_trace_event_count(trace);
	check(!bh_trace_is_complete(trace) && count && count < run->count && !(count % 16384),
	      "a killed recording is readable to its last whole chunk");
	bh_trace_close(trace);
}

/* 1: refused or noticed as truncated; what is left of it must still be readable. */
static int error_is_noticed(struct bh_error *error)
{
	int is_input = error->code == BH_ERR_INPUT && strlen(error->message) > 10;

	bh_error_free(error);
	return is_input;
}

static int damage_is_noticed_in(struct bh_trace *trace, uint64_t event_count)
{
	struct bh_event event;
	int is_truncated = !bh_trace_is_complete(trace);
	uint64_t count = bh_trace_event_count(trace);

	for (uint64_t i = 1; i <= count; i++)
		must(bh_trace_event(trace, i, &event));
	bh_trace_close(trace);
	return is_truncated && count <= event_count;
}

/* However it is opened: the checksums are looked at in any case. */
static int damage_is_noticed(const uint8_t *bytes, size_t length, uint64_t event_count)
{
	struct bh_trace *trace;
	struct bh_error *error = bh_trace_open_memory(bytes, length, &trace);
	int is_noticed = error ? error_is_noticed(error) : damage_is_noticed_in(trace, event_count);

	error = bh_trace_open_memory_for_replay(bytes, length, &trace);
	return is_noticed &&
	       (error ? error_is_noticed(error) : damage_is_noticed_in(trace, event_count));
}

static void test_damage(const struct run *run)
{
	size_t length, unnoticed = 0;

	run_write(run, file_path, FINISHED, 0, 1);
	uint8_t *bytes = file_load(file_path, &length);
	for (size_t i = 0; i < length; i++)
		unnoticed += !damage_is_noticed(bytes, i, run->count);
	printf("# a trace of %zu bytes, %zu events\n", length, run->count);
	check(!unnoticed, "truncation at every byte is noticed");

	unnoticed = 0;
	for (size_t i = 0; i < length; i++) {
		uint8_t byte = bytes[i];

		for (unsigned int change = 1; change < 256; change = change * 5 + 3) {
			bytes[i] = byte ^ (uint8_t)change;
			unnoticed += !damage_is_noticed(bytes, length, run->count);
		}
		bytes[i] = byte;
	}
	check(!unnoticed, "every damaged byte is noticed");

	unnoticed = 0;
	for (size_t i = 24; i < length; i++) {
		uint8_t *lost = calloc(1, length);

		memcpy(lost, bytes, i);
		unnoticed += !damage_is_noticed(lost, length, run->count);
		free(lost);
	}
	check(!unnoticed, "a tail of zeroes from any byte is noticed");

	uint8_t *longer = realloc(bytes, length + 1);
	longer[length] = 0;
	check(damage_is_noticed(longer, length + 1, run->count), "a byte too many is noticed");
	free(longer);
}

static int message_has(struct bh_error *error, const char *part)
{
	int has = error && error->code == BH_ERR_INPUT && strstr(error->message, part);

	if (error && !has)
		printf("# %s\n", error->message);
	if (error)
		bh_error_free(error);
	return has;
}

static void test_messages(const struct run *run)
{
	struct bh_trace *trace;
	struct bh_trace_writer *writer;
	struct bh_trace_start start = {"small", 7, names, 4};
	size_t length;

	run_write(run, file_path, FINISHED, 0, 1);
	uint8_t *bytes = file_load(file_path, &length);
	bytes[8] = 77;
	check(message_has(bh_trace_open_memory(bytes, length, &trace), "version 77"),
	      "an unknown version is refused by its number");
	bytes[8] = 2;
	bytes[length - 20] ^= 1;
	check(message_has(bh_trace_open_memory(bytes, length, &trace), "at offset"),
	      "damage is reported with its offset");
	free(bytes);
	check(message_has(bh_trace_open_memory("name: x\n", 8, &trace), "not a Backhop trace"),
	      "a text is refused");
	check(message_has(bh_trace_open_memory("", 0, &trace), "not a Backhop trace"),
	      "an empty file is refused");
	check(message_has(bh_trace_open("/", &trace), "is a folder"), "a folder is refused");
	check(message_has(bh_trace_open("/nonexistent/x", &trace), "No such file"),
	      "a missing file is refused");
	check(message_has(bh_trace_writer_create("/", &start, &writer), "is a folder"),
	      "a folder is not written to");
	int fd = open(file_path, O_WRONLY | O_TRUNC);
	if (write(fd, scenario_text, 12) != 12)
		exit(1);
	close(fd);
	check(message_has(bh_trace_writer_create(file_path, &start, &writer), "is not a trace"),
	      "a file that is not a trace is not overwritten");
	must(bh_trace_writer_create("/dev/null", &start, &writer));
	bh_trace_write_event(writer, &run->events[1]);
	struct bh_error *error = bh_trace_writer_finish(writer, "{}", 0, run->node_digests);
	check(error && error->code == BH_ERR_INTERNAL, "events with a gap are not written");
	bh_error_free(error);
	bh_trace_writer_destroy(writer);
	if (truncate(file_path, 0))
		exit(1);
}

/* A trace with a scenario and this input. */
static struct bh_error *one_input_read(uint8_t role, const char *name, const char *text,
				       size_t text_size, struct bh_trace **trace_ret)
{
	const struct bh_trace_start start = {"small", 7, names, 4};
	const struct bh_trace_input scenario = {.role = BH_TRACE_SCENARIO,
						.kind = 1,
						.name = "x.yaml",
						.text = scenario_text,
						.text_size = strlen(scenario_text)};
	const struct bh_trace_input input = {.role = role,
					     .kind = 1,
					     .number = 5,
					     .name = name,
					     .text = text,
					     .text_size = text_size};
	struct bh_trace_writer *writer;

	if (truncate(file_path, 0))
		exit(1);
	must(bh_trace_writer_create(file_path, &start, &writer));
	must(bh_trace_write_input(writer, &scenario));
	must(bh_trace_write_input(writer, &input));
	must(bh_trace_writer_flush_inputs(writer));
	bh_trace_writer_destroy(writer);
	return bh_trace_open(file_path, trace_ret);
}

/* Programs that are scenarios, terminals and what is typed there. */
static void test_roles(void)
{
	static const struct {
		const char *what, *name, *text;
		size_t size;
		const char *fault; /* NULL: it is read */
		uint8_t role;
	} inputs[] = {
		{"a program", "/p", "a\0b", 4, NULL, BH_TRACE_PROGRAM},
		{"a program without arguments", "/p", "", 0, NULL, BH_TRACE_PROGRAM},
		{"a program by a relative path", "p", "", 0, "name", BH_TRACE_PROGRAM},
		{"arguments without an end", "/p", "ab", 2, "arguments", BH_TRACE_PROGRAM},
		{"no arguments at all", "/p", NULL, 0, "arguments", BH_TRACE_PROGRAM},
		{"a terminal", "r1", "A=b\0\0/bin/sh", 13, NULL, BH_TRACE_TERMINAL},
		{"a terminal without environment", "r1", "\0sh", 4, NULL, BH_TRACE_TERMINAL},
		{"a terminal without program", "r1", "A=b\0", 5, "terminal", BH_TRACE_TERMINAL},
		{"a terminal with nothing", "r1", "", 1, "terminal", BH_TRACE_TERMINAL},
		{"a terminal whose words don't end", "r1", "A=b", 3, "terminal", BH_TRACE_TERMINAL},
		{"what was typed", "5", "ls\r", 3, NULL, BH_TRACE_TYPED},
		{"what wasn't typed", "5", NULL, 0, "typed", BH_TRACE_TYPED},
	};

	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct bh_trace *trace = NULL;
		struct bh_error *error = one_input_read(inputs[i].role, inputs[i].name,
							inputs[i].text, inputs[i].size, &trace);

		if (inputs[i].fault) {
			check(message_has(error, inputs[i].fault), inputs[i].what);
			continue;
		}
		must(error);
		const struct bh_trace_input *input = bh_trace_input(trace, 1);
		check(bh_trace_input_count(trace) == 2 && input->role == inputs[i].role &&
			      !strcmp(input->name, inputs[i].name) && input->number == 5 &&
			      input->text_size == inputs[i].size &&
			      !memcmp(input->text, inputs[i].text, inputs[i].size),
		      inputs[i].what);
		bh_trace_close(trace);
	}
	if (truncate(file_path, 0))
		exit(1);
}

static void test_size(const struct run *run)
{
	struct stat status;

	run_write(run, file_path, FINISHED, 0, 1);
	stat(file_path, &status);
	double size = (double)status.st_size / (double)run->count;
	printf("# %.2f bytes an event, %zu events\n", size, run->count);
	check(size <= 3.0, "a forwarding run takes at most 3 bytes an event");
}

int main(int argc, char **argv)
{
	struct run small, forward, random;

	run_forward(&small, 6, 4);
	if (argc > 2) {
		run_random(&random, 200, 3);
		run_write(&small, argv[1], FINISHED, 0, 1);
		run_write(&random, argv[2], FINISHED, 0, 1);
		return 0;
	}
	close(mkstemp(file_path));
	run_forward(&forward, 6000, 16);
	run_random(&random, 70000, 1);
	test_round_trip(&small, "a small run");
	test_round_trip(&forward, "a forwarding run");
	test_round_trip(&random, "random events");
	test_checkpoints(&forward);
	test_damage(&small);
	test_messages(&small);
	test_roles();
	test_size(&forward);
	free(small.events);
	free(forward.events);
	free(random.events);
	unlink(file_path);
	printf("1..%d\n", test_count);
	return failure_count != 0;
}
