/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads traces as FORMAT.md specifies, from a file or from memory: see trace.h. Called by cli/ and
 * replayer/. Opening walks all chunks, checks everything, and keeps an index of them; events are
 * unpacked again a chunk at a time when they are asked for. Opening for a replay leaves the events
 * packed: unpacking millions would take longer than all else until gdb's prompt.
 */
#include "traces/trace.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"
#include "traces/chunk.h"
#include "traces/input_table.h"

/* Where the chunk of some events lies. */
struct event_chunk {
	size_t offset; /* of the payload */
	struct bh_chunk_header header;
};

/* What unpacking works with, and the chunk unpacked last. Changes while the trace stays as it is.
 */
struct decoder {
	struct bh_unpacker *unpacker;
	struct bh_buffer scratch;
	struct bh_event *events; /* BH_TRACE_CHUNK_EVENTS of them */
	uint64_t first;		 /* number of events[0]; 0: nothing unpacked yet */
	size_t count;
};

struct bh_trace {
	char *name; /* for messages */
	int is_file;
	uint8_t *bytes;
	size_t length;
	unsigned int version;
	int is_for_replay; /* the contents of EVENTS are checked only when they are unpacked */
	int has_start, is_complete;
	char *scenario_name;
	uint64_t seed;
	char **node_names;
	size_t node_count;
	struct bh_input_table inputs;
	uint64_t input_records, inputs_size;
	struct event_chunk *chunks;
	size_t chunk_count, chunk_room;
	uint64_t events_hash;		/* over the checksums of the chunks of events */
	uint64_t event_count, vtime_ns; /* vtime of the last event */
	uint64_t digest, *node_digests;
	char *summary_json;
	struct decoder *decoder;
};

static const char no_memory[] = "out of memory";

static struct bh_error *open_error(const struct bh_trace *trace, size_t offset, const char *fault)
{
	if (fault == no_memory)
		return bh_error_new(BH_ERR_NOMEM, "%s: out of memory", trace->name);
	return bh_error_new(BH_ERR_INPUT,
			    "%s: the trace is damaged at offset %zu: %s; get or record it again",
			    trace->name, offset, fault);
}

static const char *header_check(struct bh_trace *trace, struct bh_error **error_ret)
{
	struct bh_cursor cursor;

	bh_cursor_init(&cursor, trace->bytes, trace->length);
	const void *magic = bh_cursor_bytes(&cursor, BH_TRACE_MAGIC_SIZE);
	if (!magic || memcmp(magic, bh_trace_magic, BH_TRACE_MAGIC_SIZE)) {
		*error_ret = bh_error_new(BH_ERR_INPUT,
					  "%s: not a Backhop trace; give a file that `backhop "
					  "record` wrote",
					  trace->name);
		return NULL;
	}
	trace->version = bh_cursor_u32(&cursor);
	if (!cursor.failed && (!trace->version || trace->version > BH_TRACE_VERSION)) {
		*error_ret =
			bh_error_new(BH_ERR_INPUT,
				     "%s: a trace of format version %u, but this backhop reads "
				     "versions 1 to %u: use the backhop that recorded it",
				     trace->name, trace->version, BH_TRACE_VERSION);
		return NULL;
	}
	uint32_t reserved = bh_cursor_u32(&cursor);
	uint64_t checksum = bh_hash64(trace->bytes, cursor.offset);
	if (checksum != bh_cursor_u64(&cursor) && !cursor.failed)
		return "the checksum of the file's header does not match";
	if (cursor.failed)
		return "the file ends within its header";
	return reserved ? "a reserved field of the file's header is not 0" : NULL;
}

/* A string without zero bytes, copied and terminated. */
static const char *string_read(struct bh_cursor *cursor, char **text_ret)
{
	uint64_t length = bh_cursor_varint(cursor);
	const char *bytes = bh_cursor_bytes(cursor, length);

	if (!bytes || memchr(bytes, 0, length))
		return "a text is malformed";
	*text_ret = strndup(bytes, length);
	return *text_ret ? NULL : no_memory;
}

static const char *start_read(struct bh_trace *trace, struct bh_cursor *cursor)
{
	const char *fault = string_read(cursor, &trace->scenario_name);

	if (fault)
		return fault;
	trace->seed = bh_cursor_varint(cursor);
	uint64_t count = bh_cursor_varint(cursor);
	if (cursor->failed || count > BH_TRACE_MAX_NODES || count > bh_cursor_left(cursor))
		return "the number of nodes is impossible";
	trace->node_names = calloc(count + 1, sizeof(*trace->node_names));
	trace->node_digests = calloc(count + 1, sizeof(*trace->node_digests));
	if (!trace->node_names || !trace->node_digests)
		return no_memory;
	for (uint64_t i = 0; i < count && !fault; i++) {
		fault = string_read(cursor, &trace->node_names[i]);
		trace->node_count = i + !fault;
	}
	trace->has_start = 1;
	return fault;
}

static const char *inputs_read(struct bh_trace *trace, const struct bh_chunk_header *header,
			       struct bh_cursor *cursor)
{
	if (header->first != trace->input_records || !header->count)
		return "input records are missing";
	trace->inputs_size += cursor->length;
	if (trace->inputs_size > BH_TRACE_INPUTS_MAX_SIZE)
		return "the inputs are larger than allowed";
	for (uint32_t i = 0; i < header->count; i++) {
		const char *fault = bh_input_table_read(&trace->inputs, cursor);

		if (fault)
			return fault;
	}
	trace->input_records += header->count;
	return trace->inputs.no_memory ? no_memory : NULL;
}

/* A digest that must be that of the events, if these have been looked at. */
static int digest_read(const struct bh_trace *trace, struct bh_cursor *cursor, uint64_t *digest)
{
	uint64_t recorded = bh_cursor_u64(cursor);
	int is_right = trace->is_for_replay || recorded == *digest;

	*digest = recorded;
	return is_right;
}

static const char *end_read(struct bh_trace *trace, struct bh_cursor *cursor)
{
	if (bh_cursor_varint(cursor) != trace->event_count || cursor->failed)
		return "the number of events does not match";
	if (!digest_read(trace, cursor, &trace->digest))
		return "the digest does not match the events";
	for (size_t i = 0; i < trace->node_count; i++)
		if (!digest_read(trace, cursor, &trace->node_digests[i]))
			return "the digest of a node does not match its events";
	trace->is_complete = 1;
	return string_read(cursor, &trace->summary_json);
}

/* Unpacks a chunk of events; the header and the payload's place have been checked. */
static const char *events_unpack(const struct bh_trace *trace, const struct event_chunk *chunk,
				 struct bh_event *events_ret)
{
	struct bh_section sections[BH_TRACE_MAX_SECTIONS];
	const char *fault = bh_sections_parse(
		trace->bytes + chunk->offset, chunk->header.stored_size, chunk->header.sections,
		trace->decoder->unpacker, &trace->decoder->scratch, sections);

	if (fault)
		return fault;
	return bh_events_decode(sections, chunk->header.sections, trace->version,
				chunk->header.first, chunk->header.count, trace->node_count,
				events_ret);
}

/* Unpacks and checks the chunk that continues what was read so far. */
static const char *events_check(struct bh_trace *trace, const struct event_chunk *chunk)
{
	struct bh_event *events = trace->decoder->events;
	const char *fault = events_unpack(trace, chunk, events);

	if (fault)
		return fault;
	if (events[0].vtime_ns < trace->vtime_ns)
		return "virtual time goes backwards";
	for (uint32_t i = 0; i < chunk->header.count; i++) {
		trace->digest = bh_event_digest(trace->digest, &events[i]);
		if (events[i].node == BH_NO_NODE)
			continue;
		uint64_t *node_digest = &trace->node_digests[events[i].node];
		*node_digest = bh_event_digest(*node_digest, &events[i]);
	}
	trace->vtime_ns = events[chunk->header.count - 1].vtime_ns;
	trace->decoder->first = chunk->header.first;
	trace->decoder->count = chunk->header.count;
	return NULL;
}

static const char *events_read(struct bh_trace *trace, const struct bh_chunk_header *header,
			       size_t offset)
{
	struct event_chunk chunk = {offset, *header};

	if (header->first != trace->event_count + 1 || !header->count)
		return "events are missing";
	if (header->count > BH_TRACE_CHUNK_EVENTS)
		return "the chunk has more events than allowed";
	if (!trace->inputs.has_scenario)
		return "the scenario is missing before the first events";
	const char *fault = trace->is_for_replay ? NULL : events_check(trace, &chunk);
	if (fault)
		return fault;
	trace->events_hash = bh_events_hash_add(trace->events_hash, header);
	trace->event_count += header->count;
	if (trace->chunk_count == trace->chunk_room) {
		size_t room = trace->chunk_room ? 2 * trace->chunk_room : 16;
		struct event_chunk *chunks = realloc(trace->chunks, room * sizeof(*chunks));

		if (!chunks)
			return no_memory;
		trace->chunks = chunks;
		trace->chunk_room = room;
	}
	trace->chunks[trace->chunk_count++] = chunk;
	return NULL;
}

/* One chunk, all of which is there. */
static const char *chunk_read(struct bh_trace *trace, const struct bh_chunk_header *header,
			      size_t offset)
{
	struct decoder *decoder = trace->decoder;
	struct bh_section section[1];
	struct bh_cursor cursor;

	if (bh_hash64(trace->bytes + offset, header->stored_size) != header->checksum)
		return "the checksum of the chunk does not match";
	if ((header->kind == BH_CHUNK_START) != !trace->has_start)
		return "the chunk is out of place";
	if (header->kind == BH_CHUNK_EVENTS)
		return events_read(trace, header, offset);
	const char *fault = bh_sections_parse(trace->bytes + offset, header->stored_size, 1,
					      decoder->unpacker, &decoder->scratch, section);
	if (fault)
		return fault;
	if (section->id != 0)
		return "the chunk has an unknown section";
	if (header->kind != BH_CHUNK_INPUTS && (header->count || header->first))
		return "a field of the chunk's header is not 0";
	bh_cursor_init(&cursor, section->bytes, section->length);
	if (header->kind == BH_CHUNK_START)
		fault = start_read(trace, &cursor);
	else if (header->kind == BH_CHUNK_INPUTS)
		fault = inputs_read(trace, header, &cursor);
	else
		fault = end_read(trace, &cursor);
	if (!fault && !bh_cursor_is_done(&cursor))
		return "the contents of the chunk do not end where it ends";
	return fault;
}

static int is_zero(const uint8_t *bytes, size_t length)
{
	while (length && !*bytes)
		bytes++, length--;
	return !length;
}

static struct bh_error *chunks_walk(struct bh_trace *trace)
{
	size_t offset = BH_TRACE_FILE_HEADER_SIZE;

	while (offset < trace->length && !trace->is_complete) {
		const uint8_t *bytes = trace->bytes + offset;
		size_t left = trace->length - offset;
		struct bh_chunk_header header;

		if (left < BH_TRACE_CHUNK_HEADER_SIZE || is_zero(bytes, left))
			break;
		const char *fault = bh_chunk_header_parse(bytes, trace->version, &header);
		if (!fault && header.stored_size > left - BH_TRACE_CHUNK_HEADER_SIZE)
			break;
		if (!fault)
			fault = chunk_read(trace, &header, offset + BH_TRACE_CHUNK_HEADER_SIZE);
		if (fault)
			return open_error(trace, offset, fault);
		offset += BH_TRACE_CHUNK_HEADER_SIZE + header.stored_size;
	}
	if (trace->is_complete && offset != trace->length)
		return open_error(trace, offset, "bytes follow the end of the trace");
	if (!trace->has_start)
		return open_error(trace, offset, "the file ends before its first chunk does");
	return NULL;
}

/* Takes over bytes. */
static struct bh_error *trace_create(const char *name, uint8_t *bytes, size_t length,
				     int is_for_replay, struct bh_trace **trace_ret)
{
	struct bh_trace *trace = calloc(1, sizeof(*trace));
	struct decoder *decoder = calloc(1, sizeof(*decoder));

	if (!trace || !decoder) {
		free(decoder);
		free(trace);
		free(bytes);
		return bh_error_new(BH_ERR_NOMEM, "%s: out of memory", name);
	}
	trace->bytes = bytes;
	trace->length = length;
	trace->is_for_replay = is_for_replay;
	trace->decoder = decoder;
	trace->name = strdup(name);
	decoder->unpacker = bh_unpacker_create();
	decoder->events = malloc(BH_TRACE_CHUNK_EVENTS * sizeof(*decoder->events));
	struct bh_error *error = NULL;
	if (!trace->name || !decoder->unpacker || !decoder->events)
		error = bh_error_new(BH_ERR_NOMEM, "%s: out of memory", name);
	const char *fault = error ? NULL : header_check(trace, &error);
	if (fault)
		error = open_error(trace, 0, fault);
	if (!error)
		error = chunks_walk(trace);
	if (error) {
		bh_trace_close(trace);
		return error;
	}
	*trace_ret = trace;
	return NULL;
}

static struct bh_error *memory_open(const void *bytes, size_t length, int is_for_replay,
				    struct bh_trace **trace_ret)
{
	uint8_t *copy = malloc(length ? length : 1);

	if (!copy)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	if (length)
		memcpy(copy, bytes, length);
	return trace_create("trace in memory", copy, length, is_for_replay, trace_ret);
}

struct bh_error *bh_trace_open_memory(const void *bytes, size_t length, struct bh_trace **trace_ret)
{
	return memory_open(bytes, length, 0, trace_ret);
}

struct bh_error *bh_trace_open_memory_for_replay(const void *bytes, size_t length,
						 struct bh_trace **trace_ret)
{
	return memory_open(bytes, length, 1, trace_ret);
}

static struct bh_error *file_open(const char *path, int is_for_replay, struct bh_trace **trace_ret)
{
	uint8_t *bytes;
	size_t length;

	BH_TRY(bh_file_read(path, "a trace file", SIZE_MAX / 2, &bytes, &length));
	BH_TRY(trace_create(path, bytes, length, is_for_replay, trace_ret));
	(*trace_ret)->is_file = 1;
	return NULL;
}

struct bh_error *bh_trace_open(const char *path, struct bh_trace **trace_ret)
{
	return file_open(path, 0, trace_ret);
}

struct bh_error *bh_trace_open_for_replay(const char *path, struct bh_trace **trace_ret)
{
	return file_open(path, 1, trace_ret);
}

void bh_trace_close(struct bh_trace *trace)
{
	if (!trace)
		return;
	for (size_t i = 0; i < trace->node_count; i++)
		free(trace->node_names[i]);
	bh_unpacker_destroy(trace->decoder->unpacker);
	bh_buffer_free(&trace->decoder->scratch);
	free(trace->decoder->events);
	free(trace->decoder);
	bh_input_table_free(&trace->inputs);
	free(trace->node_names);
	free(trace->node_digests);
	free(trace->scenario_name);
	free(trace->summary_json);
	free(trace->chunks);
	free(trace->bytes);
	free(trace->name);
	free(trace);
}

unsigned int bh_trace_version(const struct bh_trace *trace)
{
	return trace->version;
}

int bh_trace_is_complete(const struct bh_trace *trace)
{
	return trace->is_complete;
}

const char *bh_trace_scenario_name(const struct bh_trace *trace)
{
	return trace->scenario_name;
}

uint64_t bh_trace_seed(const struct bh_trace *trace)
{
	return trace->seed;
}

size_t bh_trace_node_count(const struct bh_trace *trace)
{
	return trace->node_count;
}

const char *bh_trace_node_name(const struct bh_trace *trace, size_t node)
{
	return trace->node_names[node];
}

size_t bh_trace_input_count(const struct bh_trace *trace)
{
	return trace->inputs.count;
}

const struct bh_trace_input *bh_trace_input(const struct bh_trace *trace, size_t index)
{
	return &trace->inputs.inputs[index];
}

const char *bh_trace_summary_json(const struct bh_trace *trace)
{
	return trace->summary_json;
}

uint64_t bh_trace_digest(const struct bh_trace *trace)
{
	return trace->digest;
}

uint64_t bh_trace_events_hash(const struct bh_trace *trace)
{
	return trace->events_hash;
}

uint64_t bh_trace_node_digest(const struct bh_trace *trace, size_t node)
{
	return trace->node_digests[node];
}

uint64_t bh_trace_event_count(const struct bh_trace *trace)
{
	return trace->event_count;
}

/* The chunk of the event of this number, which exists. */
static const struct event_chunk *chunk_find(const struct bh_trace *trace, uint64_t number)
{
	size_t low = 0, high = trace->chunk_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (trace->chunks[middle].header.first <= number)
			low = middle;
		else
			high = middle;
	}
	return &trace->chunks[low];
}

static struct bh_error *number_check(const struct bh_trace *trace, uint64_t number)
{
	if (number && number <= trace->event_count)
		return NULL;
	return bh_error_new(BH_ERR_INPUT, "%s: there is no event %llu, events go from 1 to %llu",
			    trace->name, (unsigned long long)number,
			    (unsigned long long)trace->event_count);
}

struct bh_error *bh_trace_decode_chunk(const struct bh_trace *trace, uint64_t number,
				       struct bh_event *events_ret, size_t *count_ret)
{
	BH_TRY(number_check(trace, number));
	const struct event_chunk *chunk = chunk_find(trace, number);
	const char *fault = events_unpack(trace, chunk, events_ret);
	if (fault)
		return open_error(trace, chunk->offset, fault);
	*count_ret = chunk->header.count;
	return NULL;
}

struct bh_error *bh_trace_event(const struct bh_trace *trace, uint64_t number,
				struct bh_event *event_ret)
{
	struct decoder *decoder = trace->decoder;

	BH_TRY(number_check(trace, number));
	if (!decoder->first || number < decoder->first ||
	    number - decoder->first >= decoder->count) {
		decoder->first = 0;
		BH_TRY(bh_trace_decode_chunk(trace, number, decoder->events, &decoder->count));
		decoder->first = decoder->events[0].event;
	}
	*event_ret = decoder->events[number - decoder->first];
	return NULL;
}

const char *bh_trace_path(const struct bh_trace *trace)
{
	return trace->is_file ? trace->name : NULL;
}
