/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What writer.c and reader.c share: the numbers of FORMAT.md, chunk headers, sections, and the
 * columns that events are stored in. Private to traces/.
 */
#ifndef BH_TRACES_CHUNK_H
#define BH_TRACES_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "common/compress.h"
#include "common/cursor.h"
#include "common/error.h"
#include "common/event.h"

#define BH_TRACE_VERSION	   1u
#define BH_TRACE_MAGIC_SIZE	   8u
#define BH_TRACE_FILE_HEADER_SIZE  24u
#define BH_TRACE_CHUNK_HEADER_SIZE 40u
#define BH_TRACE_CHUNK_MAX_SIZE	   (64u << 20)
#define BH_TRACE_INPUTS_MAX_SIZE   (1ull << 30)
#define BH_TRACE_MAX_NODES	   65536u
#define BH_TRACE_MAX_DEVICES	   64u
#define BH_TRACE_MAX_SECTIONS	   16u
#define BH_TRACE_EVENT_COLUMNS	   11u

extern const uint8_t bh_trace_magic[BH_TRACE_MAGIC_SIZE];

enum bh_chunk_kind {
	BH_CHUNK_START = 1,
	BH_CHUNK_INPUTS,
	BH_CHUNK_EVENTS,
	BH_CHUNK_END,
};

/* The flags byte of an input record. */
#define BH_INPUT_FLAG_WAS_READ 1u
#define BH_INPUT_FLAG_TEXT     2u
#define BH_INPUT_FLAG_BUILD_ID 4u
#define BH_INPUT_FLAGS	       7u

struct bh_chunk_header {
	uint8_t kind;
	uint16_t sections;
	uint32_t stored_size; /* bytes of payload */
	uint32_t count;
	uint64_t first;
	uint64_t checksum;
};

/* Fills in stored_size and checksum from the payload and appends header and payload. */
void bh_chunk_append(struct bh_buffer *file, struct bh_chunk_header *header, const void *payload,
		     size_t payload_size);
/* bytes: BH_TRACE_CHUNK_HEADER_SIZE of them. NULL, or a phrase that says what is wrong. */
const char *bh_chunk_header_parse(const uint8_t *bytes, struct bh_chunk_header *header_ret);

/* Appends one section, packed if packer isn't NULL and it gets smaller. Non-zero: out of memory. */
int bh_section_append(struct bh_buffer *payload, uint8_t id, const struct bh_buffer *contents,
		      struct bh_packer *packer);

/* An unpacked section points into the payload or into scratch. */
struct bh_section {
	uint8_t id;
	const uint8_t *bytes;
	size_t length;
};

/* Takes a payload apart. scratch is cleared and holds what was packed; sections_ret has room for
 * count. NULL, or a phrase that says what is wrong ("out of memory" included). */
const char *bh_sections_parse(const uint8_t *payload, size_t payload_size, unsigned int count,
			      struct bh_unpacker *unpacker, struct bh_buffer *scratch,
			      struct bh_section *sections_ret);

/* Columns of events being encoded; kept from chunk to chunk, so that they need no allocation. */
struct bh_event_columns {
	struct bh_buffer column[BH_TRACE_EVENT_COLUMNS];
};

void bh_event_columns_free(struct bh_event_columns *columns);
/* Encodes events with consecutive numbers into sections appended to payload. Non-zero: out of
 * memory. */
int bh_events_encode(struct bh_event_columns *columns, const struct bh_event *events, size_t count,
		     struct bh_buffer *payload, struct bh_packer *packer);
/* The inverse; checks what FORMAT.md asks of an event, except vtime against an earlier chunk. NULL,
 * or a phrase that says what is wrong. */
const char *bh_events_decode(const struct bh_section *sections, unsigned int section_count,
			     uint64_t first, size_t count, size_t node_count,
			     struct bh_event *events_ret);

/* Says what is wrong with an event that bh_event_check() found faulty. */
const char *bh_event_fault(const struct bh_event *event, uint64_t vtime_before_ns);

/* What FORMAT.md asks of every event, given the virtual time of the one before. NULL, or what is
 * wrong. Here, because a recording pays for it with every event. */
static inline const char *bh_event_check(const struct bh_event *event, uint64_t vtime_before_ns,
					 size_t node_count)
{
	if (event->kind && event->kind < BH_EVENT_KIND_COUNT && event->cause < event->event &&
	    event->packet <= event->event && event->vtime_ns >= vtime_before_ns &&
	    (event->node < node_count || event->node == BH_NO_NODE) &&
	    (event->device < BH_TRACE_MAX_DEVICES || event->device == BH_NO_DEVICE))
		return NULL;
	return bh_event_fault(event, vtime_before_ns);
}

#endif
