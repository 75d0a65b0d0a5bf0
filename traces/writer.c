/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes traces as FORMAT.md specifies: see trace.h. Called by recorder/. Events are encoded
 * into memory (a run calls from inside nodes) and go to the file a chunk at a time; a chunk that
 * isn't full may be written as well, and is replaced when it has grown.
 */
#include "traces/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/raw_call.h"
#include "common/unsaved.h"
#include "traces/chunk.h"

/* Events that are encoded at once: one at a time would fetch the encoder and what it works on into
 * the processor's cache again for every event. */
#define BATCH_EVENTS BH_EVENT_WINDOW
/* Raw bytes of input records that are gathered before they become a chunk. */
#define INPUTS_FULL (256u << 10)
/* Headers of the record and its section, on top of an input's strings. */
#define INPUT_ROOM 256u
/* Bytes of inputs that can still be saved when the process dies. */
#define LAST_INPUTS_ROOM (1u << 20)

/* What a checkpoint puts back when it is done. */
struct kept {
	uint64_t size, inputs_written, inputs_size;
	uint32_t input_count;
	size_t key_length; /* of key_inputs */
	struct bh_buffer inputs;
};

struct bh_trace_writer {
	/* What every event needs is in one line of the processor's cache, and another of the ring.
	 */
	uint64_t coming;     /* number of the event that comes next */
	uint64_t next_event; /* number of the next one to be encoded */
	int fd;
	char *path;
	int is_regular;	 /* can be cut and positioned; a device like /dev/null can't */
	uint64_t size;	 /* bytes of the file that stay */
	int has_partial; /* a chunk that will be replaced lies behind them */
	size_t node_count;

	struct bh_event_columns *columns;    /* of the chunk that grows */
	struct bh_event_columns *full_first; /* full ones that wait for a flush, in order */
	struct bh_event_columns **full_end;
	struct bh_event_columns *spare;
	uint32_t partial_count; /* events of `columns` that are in the partial chunk */
	const char *fault;	/* of the event next_event, if that came and is refused */
	int no_memory;

	struct bh_buffer inputs; /* encoded, not yet in a chunk */
	uint32_t input_count;	 /* records in it */
	uint64_t inputs_written; /* records in chunks */
	uint64_t inputs_size;	 /* raw bytes of all */

	uint64_t events_hash; /* of chunks that stay, for the key, as … */
	struct bh_buffer key_inputs;

	struct kept kept;
	struct bh_buffer payload, chunk;
	struct bh_buffer last_inputs; /* for last words */
	uint32_t last_input_count;
	/* The buffers are in use: a signal handler must leave them alone. */
	volatile int is_busy;
	struct bh_packer *packer;
	struct bh_event_window window; /* its ring has the events that aren't yet encoded, too */
};

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory while writing the trace");
}

static struct bh_error *write_all(struct bh_trace_writer *writer, const struct bh_buffer *buffer)
{
	size_t done = 0;

	if (buffer->failed)
		return out_of_memory();
	while (done < buffer->length) {
		ssize_t size = write(writer->fd, buffer->bytes + done, buffer->length - done);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return bh_error_new(BH_ERR_MACHINE, "%s: cannot write the trace: %s",
					    writer->path, strerror(size ? errno : ENOSPC));
		done += (size_t)size;
	}
	return NULL;
}

/* Takes the partial chunk off the file again. */
static struct bh_error *partial_remove(struct bh_trace_writer *writer)
{
	if (!writer->has_partial)
		return NULL;
	if (ftruncate(writer->fd, (off_t)writer->size) ||
	    lseek(writer->fd, (off_t)writer->size, SEEK_SET) < 0)
		return bh_error_new(BH_ERR_MACHINE, "%s: cannot write the trace: %s", writer->path,
				    strerror(errno));
	writer->has_partial = 0;
	writer->partial_count = 0;
	return NULL;
}

/* Writes payload as a chunk at the end of what stays. */
static struct bh_error *chunk_write(struct bh_trace_writer *writer, struct bh_chunk_header *header,
				    int is_partial)
{
	BH_TRY(partial_remove(writer));
	if (writer->payload.failed)
		return out_of_memory();
	if (writer->payload.length > BH_TRACE_CHUNK_MAX_SIZE)
		return bh_error_new(BH_ERR_INPUT,
				    "%s: cannot write the trace: an input of the run is larger "
				    "than the %u MiB that a trace can hold in one piece",
				    writer->path, BH_TRACE_CHUNK_MAX_SIZE >> 20);
	writer->chunk.length = 0;
	bh_chunk_append(&writer->chunk, header, writer->payload.bytes, writer->payload.length);
	BH_TRY(write_all(writer, &writer->chunk));
	if (is_partial)
		writer->has_partial = 1;
	else
		writer->size += writer->chunk.length;
	return NULL;
}

/* Writes contents as a chunk of one section. */
static struct bh_error *section_write(struct bh_trace_writer *writer, struct bh_chunk_header header,
				      const struct bh_buffer *contents)
{
	header.sections = 1;
	writer->payload.length = 0;
	if (contents->failed || bh_section_append(&writer->payload, 0, contents, writer->packer))
		return out_of_memory();
	return chunk_write(writer, &header, 0);
}

static struct bh_error *events_write(struct bh_trace_writer *writer,
				     const struct bh_event_columns *columns, int is_partial)
{
	struct bh_chunk_header header = {
		.kind = BH_CHUNK_EVENTS,
		.sections = BH_TRACE_EVENT_COLUMNS,
		.count = columns->count,
		.first = columns->first,
	};

	writer->payload.length = 0;
	if (bh_event_columns_pack(columns, &writer->payload, writer->packer))
		return out_of_memory();
	BH_TRY(chunk_write(writer, &header, is_partial));
	if (is_partial)
		writer->partial_count = columns->count;
	else
		writer->events_hash = bh_events_hash_add(writer->events_hash, &header);
	return NULL;
}

static struct bh_error *inputs_write(struct bh_trace_writer *writer)
{
	struct bh_chunk_header header = {
		.kind = BH_CHUNK_INPUTS,
		.count = writer->input_count,
		.first = writer->inputs_written,
	};

	if (!writer->input_count)
		return NULL;
	BH_TRY(section_write(writer, header, &writer->inputs));
	writer->inputs_written += writer->input_count;
	writer->inputs.length = 0;
	writer->input_count = 0;
	return NULL;
}

/* Puts the columns aside for the next flush. Full ones pile up only if a single event of the
 * simulator contains many: then memory is allocated. */
static void columns_turn(struct bh_trace_writer *writer)
{
	struct bh_event_columns *columns =
		writer->spare ? writer->spare : bh_event_columns_create();

	if (!columns) {
		writer->no_memory = 1;
		return;
	}
	writer->spare = NULL;
	bh_event_columns_clear(columns);
	*writer->full_end = writer->columns;
	writer->full_end = &writer->columns->next;
	writer->columns = columns;
	writer->partial_count = 0;
}

/* Encodes what has come. What a reader would refuse must not get into the file: it is forgotten,
 * and so is all that comes behind it. */
static void batch_encode(struct bh_trace_writer *writer)
{
	struct bh_event_window *window = &writer->window;

	writer->is_busy++;
	while (writer->next_event < writer->coming && !writer->fault && !writer->no_memory) {
		size_t count = writer->coming - writer->next_event;
		size_t room = BH_EVENT_COLUMNS_ROOM - writer->columns->count;
		size_t part = count < room ? count : room;
		size_t done = bh_event_columns_append(writer->columns, window, writer->next_event,
						      part, writer->node_count);

		writer->next_event += done;
		if (done < part) {
			struct bh_event event =
				bh_event_restore(&window->ring[writer->next_event % BH_EVENT_RING],
						 writer->next_event);
			writer->fault = bh_event_fault(&event, window->vtime_ns);
		} else if (writer->columns->count == BH_EVENT_COLUMNS_ROOM) {
			columns_turn(writer);
		}
	}
	writer->coming = writer->next_event;
	writer->is_busy--;
}

static struct bh_error *events_check(struct bh_trace_writer *writer)
{
	if (writer->no_memory)
		return out_of_memory();
	if (!writer->fault)
		return NULL;
	return bh_error_new(BH_ERR_INTERNAL, "%s: cannot write event %llu to the trace: %s",
			    writer->path, (unsigned long long)writer->next_event, writer->fault);
}

static struct bh_error *full_chunks_write(struct bh_trace_writer *writer)
{
	BH_TRY(events_check(writer));
	BH_TRY(inputs_write(writer));
	while (writer->full_first) {
		struct bh_event_columns *columns = writer->full_first;

		BH_TRY(events_write(writer, columns, 0));
		writer->full_first = columns->next;
		if (!writer->full_first)
			writer->full_end = &writer->full_first;
		bh_event_columns_destroy(writer->spare);
		writer->spare = columns;
	}
	return NULL;
}

struct bh_error *bh_trace_writer_flush(struct bh_trace_writer *writer)
{
	if (!bh_trace_writer_is_full(writer))
		return NULL;
	writer->is_busy++;
	struct bh_error *error = full_chunks_write(writer);
	writer->is_busy--;
	return error;
}

struct bh_error *bh_trace_writer_flush_inputs(struct bh_trace_writer *writer)
{
	writer->is_busy++;
	struct bh_error *error = inputs_write(writer);
	writer->is_busy--;
	return error;
}

int bh_trace_writer_is_full(const struct bh_trace_writer *writer)
{
	return writer->full_first || writer->fault || writer->no_memory;
}

int bh_trace_writer_checkpoint_begin(struct bh_trace_writer *writer)
{
	batch_encode(writer);
	if (!writer->is_regular || writer->full_first ||
	    writer->columns->count == writer->partial_count)
		return 0;
	writer->is_busy++;
	writer->kept = (struct kept){
		.size = writer->size,
		.input_count = writer->input_count,
		.inputs_written = writer->inputs_written,
		.inputs_size = writer->inputs_size,
		.key_length = writer->key_inputs.length,
		.inputs = writer->kept.inputs,
	};
	writer->kept.inputs.length = 0;
	bh_buffer_bytes(&writer->kept.inputs, writer->inputs.bytes, writer->inputs.length);
	if (!writer->kept.inputs.failed)
		return 1;
	writer->is_busy--;
	return 0;
}

/*
 * Inputs come before the events that used them, in chunks that are cut off again with the events:
 * where the chunks of a complete trace lie must not depend on the host's clock.
 */
struct bh_error *bh_trace_writer_checkpoint_end(struct bh_trace_writer *writer)
{
	struct kept *kept = &writer->kept;
	struct bh_error *error = events_check(writer);

	if (!error)
		error = inputs_write(writer);
	if (!error)
		error = events_write(writer, writer->columns, 1);
	writer->has_partial = 1;
	writer->size = kept->size;
	writer->input_count = kept->input_count;
	writer->inputs_written = kept->inputs_written;
	writer->inputs_size = kept->inputs_size;
	writer->key_inputs.length = kept->key_length;
	writer->inputs.length = 0;
	bh_buffer_bytes(&writer->inputs, kept->inputs.bytes, kept->inputs.length);
	writer->is_busy--;
	return error;
}

/* An event doesn't have the number that comes next, or an earlier one was refused. */
static void event_is_missing(struct bh_trace_writer *writer)
{
	batch_encode(writer);
	if (!writer->fault && !writer->no_memory)
		writer->fault = "the numbers of the events have a gap";
}

/* Field by field: they were stored a moment ago, and a wider load than those stores would have to
 * wait until they have left the processor. */
#define KEEP(to, event, field)                                                                     \
	(*(volatile __typeof__((to)->field) *)&(to)->field =                                       \
		 *(const volatile __typeof__((to)->field) *)&(event)->field)

void bh_trace_write_event(struct bh_trace_writer *writer, const struct bh_event *event)
{
	struct bh_event_kept *ring = writer->window.ring;
	uint64_t number = writer->coming;
	struct bh_event_kept *to = &ring[number % BH_EVENT_RING];

	if (event->event != number) {
		event_is_missing(writer);
		return;
	}
	KEEP(to, event, vtime_ns);
	KEEP(to, event, cause);
	KEEP(to, event, packet);
	KEEP(to, event, value);
	KEEP(to, event, hash);
	KEEP(to, event, node);
	KEEP(to, event, device);
	KEEP(to, event, hop);
	KEEP(to, event, length);
	KEEP(to, event, kind);
	number++;
	/* So that the next one finds its place in the cache. */
	__builtin_prefetch(&ring[number % BH_EVENT_RING], 1);
	writer->coming = number;
	if (number - writer->next_event == BATCH_EVENTS)
		batch_encode(writer);
}

static void input_encode(struct bh_buffer *to, const struct bh_trace_input *input)
{
	uint8_t flags = 0;

	flags |= input->was_read ? BH_INPUT_FLAG_WAS_READ : 0;
	flags |= input->text ? BH_INPUT_FLAG_TEXT : 0;
	flags |= input->build_id ? BH_INPUT_FLAG_BUILD_ID : 0;
	bh_buffer_u8(to, input->role);
	bh_buffer_u8(to, input->kind);
	bh_buffer_u8(to, flags);
	bh_buffer_varint(to, input->mode);
	bh_buffer_varint(to, input->size);
	bh_buffer_u64(to, input->number);
	bh_buffer_bytes(to, input->hash, sizeof(input->hash));
	bh_buffer_string(to, input->name);
	if (input->build_id)
		bh_buffer_string(to, input->build_id);
	if (input->text)
		bh_buffer_sized(to, input->text, input->text_size);
}

struct bh_error *bh_trace_write_input(struct bh_trace_writer *writer,
				      const struct bh_trace_input *input)
{
	size_t size = INPUT_ROOM + strlen(input->name) + input->text_size;
	struct bh_error *error = NULL;

	writer->is_busy++;
	if (writer->inputs.length + size > BH_TRACE_CHUNK_MAX_SIZE)
		error = inputs_write(writer);
	writer->inputs_size += size;
	if (!error &&
	    (size > BH_TRACE_CHUNK_MAX_SIZE || writer->inputs_size > BH_TRACE_INPUTS_MAX_SIZE))
		error = bh_error_new(BH_ERR_INPUT, "%s: too large to be stored in a trace",
				     input->name);
	if (!error) {
		input_encode(&writer->inputs, input);
		bh_key_add_input(&writer->key_inputs, input);
		writer->input_count++;
	}
	if (!error && writer->inputs.failed)
		error = out_of_memory();
	if (!error && writer->inputs.length >= INPUTS_FULL)
		error = inputs_write(writer);
	writer->is_busy--;
	return error;
}

struct bh_error *bh_trace_writer_finish(struct bh_trace_writer *writer, const char *summary_json,
					uint64_t digest, const uint64_t *node_digests)
{
	struct bh_buffer end = {0};
	struct bh_chunk_header header = {.kind = BH_CHUNK_END};

	batch_encode(writer);
	writer->is_busy++; /* for good: nothing is left to save */
	BH_TRY(full_chunks_write(writer));
	if (writer->columns->count)
		BH_TRY(events_write(writer, writer->columns, 0));
	bh_buffer_varint(&end, writer->next_event - 1);
	bh_buffer_u64(&end, digest);
	for (size_t i = 0; i < writer->node_count; i++)
		bh_buffer_u64(&end, node_digests[i]);
	bh_buffer_string(&end, summary_json);
	struct bh_error *error = section_write(writer, header, &end);
	bh_buffer_free(&end);
	return error;
}

void bh_trace_writer_key(const struct bh_trace_writer *writer, uint8_t key_ret[16])
{
	bh_key_make(writer->events_hash, writer->next_event - 1, &writer->key_inputs, key_ret);
}

/* --- last words --- */

static void raw_write(struct bh_trace_writer *writer, const struct bh_buffer *buffer)
{
	size_t done = 0;

	while (done < buffer->length) {
		long size = bh_raw_call(SYS_write, writer->fd, (long)(buffer->bytes + done),
					(long)(buffer->length - done));
		if (size <= 0 && size != -EINTR)
			return;
		done += size > 0 ? (size_t)size : 0;
	}
}

static void raw_chunk_write(struct bh_trace_writer *writer, struct bh_chunk_header header)
{
	writer->chunk.length = 0;
	bh_chunk_append(&writer->chunk, &header, writer->payload.bytes, writer->payload.length);
	if (!writer->payload.failed && !writer->chunk.failed)
		raw_write(writer, &writer->chunk);
	writer->payload.failed = 0;
	writer->payload.length = 0;
	writer->chunk.failed = 0;
}

static void raw_inputs_write(struct bh_trace_writer *writer, const struct bh_buffer *inputs,
			     uint32_t count, uint64_t first)
{
	const struct bh_chunk_header header = {
		.kind = BH_CHUNK_INPUTS, .sections = 1, .count = count, .first = first};

	if (count && !inputs->failed && !bh_section_append(&writer->payload, 0, inputs, NULL))
		raw_chunk_write(writer, header);
}

static void raw_events_write(struct bh_trace_writer *writer, const struct bh_event_columns *columns)
{
	struct bh_chunk_header header = {
		.kind = BH_CHUNK_EVENTS,
		.sections = BH_TRACE_EVENT_COLUMNS,
		.count = columns->count,
		.first = columns->first,
	};

	if (columns->count && !bh_event_columns_pack(columns, &writer->payload, NULL))
		raw_chunk_write(writer, header);
}

int bh_trace_last_words_input(struct bh_trace_writer *writer, const struct bh_trace_input *input)
{
	struct bh_buffer *to = &writer->last_inputs;
	size_t length = to->length;

	if (writer->is_busy)
		return -1;
	input_encode(to, input);
	if (to->failed) {
		to->failed = 0;
		to->length = length;
		return -1;
	}
	writer->last_input_count++;
	return 0;
}

void bh_trace_last_words(struct bh_trace_writer *writer)
{
	if (writer->is_busy++)
		return;
	batch_encode(writer);
	writer->payload.is_fixed = 1;
	writer->chunk.is_fixed = 1;
	if (writer->has_partial) {
		bh_raw_call(SYS_ftruncate, writer->fd, (long)writer->size, 0);
		bh_raw_call(SYS_lseek, writer->fd, (long)writer->size, SEEK_SET);
	}
	writer->payload.length = 0;
	raw_inputs_write(writer, &writer->inputs, writer->input_count, writer->inputs_written);
	raw_inputs_write(writer, &writer->last_inputs, writer->last_input_count,
			 writer->inputs_written + writer->input_count);
	for (const struct bh_event_columns *full = writer->full_first; full; full = full->next)
		raw_events_write(writer, full);
	raw_events_write(writer, writer->columns);
}

/* What last words write into must be there when they are said. */
static int last_words_prepare(struct bh_trace_writer *writer)
{
	const size_t room = BH_EVENT_COLUMNS_ROOM * BH_VARINT_MAX_BYTES * BH_TRACE_EVENT_COLUMNS;
	int has_room = bh_buffer_reserve(&writer->payload, room) &&
		       bh_buffer_reserve(&writer->chunk, room) &&
		       bh_buffer_reserve(&writer->last_inputs, LAST_INPUTS_ROOM);

	writer->last_inputs.is_fixed = 1;
	return has_room;
}

/* --- creation --- */

/* Opens path for writing, unless something is there that a slip would destroy. */
static struct bh_error *file_create(struct bh_trace_writer *writer)
{
	uint8_t magic[BH_TRACE_MAGIC_SIZE];
	struct stat status;

	writer->fd = open(writer->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	if (writer->fd < 0 && errno == EISDIR)
		return bh_error_new(BH_ERR_INPUT, "%s: is a folder, give a file for the trace",
				    writer->path);
	if (writer->fd < 0 || fstat(writer->fd, &status))
		return bh_error_new(BH_ERR_INPUT, "%s: cannot create the trace: %s", writer->path,
				    strerror(errno));
	writer->is_regular = S_ISREG(status.st_mode);
	if (!writer->is_regular)
		return NULL;
	ssize_t size = pread(writer->fd, magic, sizeof(magic), 0);
	if (size && (size != sizeof(magic) || memcmp(magic, bh_trace_magic, sizeof(magic))))
		return bh_error_new(BH_ERR_INPUT,
				    "%s: exists and is not a trace, so it is left alone: remove it "
				    "or choose another file with -o",
				    writer->path);
	if (ftruncate(writer->fd, 0))
		return bh_error_new(BH_ERR_INPUT, "%s: cannot replace the trace: %s", writer->path,
				    strerror(errno));
	return NULL;
}

static struct bh_error *start_write(struct bh_trace_writer *writer,
				    const struct bh_trace_start *start)
{
	struct bh_chunk_header header = {.kind = BH_CHUNK_START};
	struct bh_buffer contents = {0};

	bh_buffer_bytes(&contents, bh_trace_magic, sizeof(bh_trace_magic));
	bh_buffer_u32(&contents, BH_TRACE_VERSION);
	bh_buffer_u32(&contents, 0);
	if (!contents.failed)
		bh_buffer_u64(&contents, bh_hash64(contents.bytes, contents.length));
	struct bh_error *error = write_all(writer, &contents);
	writer->size = contents.length;
	contents.length = 0;
	bh_buffer_string(&contents, start->scenario_name);
	bh_buffer_varint(&contents, start->seed);
	bh_buffer_varint(&contents, start->node_count);
	for (size_t i = 0; i < start->node_count; i++)
		bh_buffer_string(&contents, start->node_names[i]);
	if (!error)
		error = section_write(writer, header, &contents);
	bh_buffer_free(&contents);
	return error;
}

struct bh_error *bh_trace_writer_create(const char *path, const struct bh_trace_start *start,
					struct bh_trace_writer **writer_ret)
{
	if (start->node_count > BH_TRACE_MAX_NODES)
		return bh_error_new(BH_ERR_INPUT, "a trace holds at most %u nodes",
				    BH_TRACE_MAX_NODES);
	/* Zeros, and only of the pages that are used. */
	struct bh_trace_writer *writer = bh_unsaved_alloc(sizeof(*writer));
	if (!writer)
		return out_of_memory();
	writer->fd = -1;
	writer->next_event = writer->coming = 1;
	writer->node_count = start->node_count;
	writer->full_end = &writer->full_first;
	writer->path = strdup(path);
	writer->columns = bh_event_columns_create();
	writer->spare = bh_event_columns_create();
	writer->packer = bh_packer_create();
	struct bh_error *error = NULL;
	if (!writer->path || !writer->columns || !writer->spare || !writer->packer ||
	    !last_words_prepare(writer))
		error = out_of_memory();
	if (!error)
		error = file_create(writer);
	if (!error)
		error = start_write(writer, start);
	if (error) {
		bh_trace_writer_destroy(writer);
		return error;
	}
	*writer_ret = writer;
	return NULL;
}

void bh_trace_writer_destroy(struct bh_trace_writer *writer)
{
	if (!writer)
		return;
	if (writer->fd >= 0)
		close(writer->fd);
	while (writer->full_first) {
		struct bh_event_columns *next = writer->full_first->next;

		bh_event_columns_destroy(writer->full_first);
		writer->full_first = next;
	}
	bh_packer_destroy(writer->packer);
	bh_event_columns_destroy(writer->columns);
	bh_event_columns_destroy(writer->spare);
	bh_buffer_free(&writer->inputs);
	bh_buffer_free(&writer->key_inputs);
	bh_buffer_free(&writer->kept.inputs);
	bh_buffer_free(&writer->last_inputs);
	bh_buffer_free(&writer->payload);
	bh_buffer_free(&writer->chunk);
	free(writer->path);
	bh_unsaved_free(writer);
}
