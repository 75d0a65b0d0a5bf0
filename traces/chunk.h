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
#include "traces/trace.h"

#define BH_TRACE_VERSION		2u
#define BH_TRACE_MAGIC_SIZE		8u
#define BH_TRACE_FILE_HEADER_SIZE	24u
#define BH_TRACE_CHUNK_HEADER_SIZE	40u
#define BH_TRACE_CHUNK_MAX_SIZE		(64u << 20)
#define BH_TRACE_INPUTS_MAX_SIZE	(1ull << 30)
#define BH_TRACE_MAX_NODES		65536u
#define BH_TRACE_MAX_DEVICES		64u
#define BH_TRACE_MAX_SECTIONS		16u
#define BH_TRACE_EVENT_COLUMNS		8u
#define BH_TRACE_EVENT_COLUMNS_VERSION1 11u

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
/* bytes: BH_TRACE_CHUNK_HEADER_SIZE of them; version: the file's. NULL, or a phrase that says what
 * is wrong. */
const char *bh_chunk_header_parse(const uint8_t *bytes, unsigned int version,
				  struct bh_chunk_header *header_ret);

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

/* Events that a writer gathers into a chunk. Less than the format allows: a reader unpacks whole
 * chunks. */
#define BH_EVENT_COLUMNS_ROOM 16384u
/* FORMAT.md, section 6: how far back an event is predicted from the event that caused it. */
#define BH_EVENT_WINDOW 256u

/* Events of one chunk, encoded as they come: an event is a few bytes at the ends of the columns, so
 * that a recording leaves the processor's caches to the run. */
struct bh_event_columns {
	struct bh_event_columns *next; /* for the owner's lists */
	uint64_t first;		       /* number of the first event */
	uint32_t count;
	uint8_t *start[BH_TRACE_EVENT_COLUMNS], *end[BH_TRACE_EVENT_COLUMNS];
	uint8_t bytes[];
};

/* What events of a kind have in common, as two words that compare fast; see shape_pack(). */
struct bh_event_shape {
	uint64_t node_hop, device_kind_flags;
};

/* An event without its number, in one line of the processor's cache. Here the fields are in the
 * same places as in struct bh_event behind that. */
struct bh_event_kept {
	uint64_t vtime_ns, cause, packet, value, hash;
	uint32_t node, device, hop, length;
	uint8_t kind;
} __attribute__((aligned(64)));

/* Shapes that a chunk numbers; an event with this number has one of its own. */
#define BH_EVENT_SHAPES_MAX	 255u
#define BH_EVENT_SHAPE_HASH_BITS 8
/* Events that aren't encoded yet, at most a window of them, and those that they are predicted from.
 */
#define BH_EVENT_RING (2 * BH_EVENT_WINDOW)

struct bh_event_window {
	struct bh_event_kept ring[BH_EVENT_RING]; /* by the number of the event, modulo its size */
	uint64_t vtime_ns;			  /* of the last event that is encoded */
	uint64_t packet; /* of the last event with an entry in the column of packets */
	uint32_t shape_count;
	uint8_t shape_slots[1 << BH_EVENT_SHAPE_HASH_BITS]; /* numbers, by a hash of the shape */
	struct bh_event_shape shapes[BH_EVENT_SHAPES_MAX];  /* by number */
};

/* Empty, with room for BH_EVENT_COLUMNS_ROOM events; to be freed by the function below. NULL: out
 * of memory. */
struct bh_event_columns *bh_event_columns_create(void);
void bh_event_columns_destroy(struct bh_event_columns *columns);
void bh_event_columns_clear(struct bh_event_columns *columns);
/* Appends count events of the window's ring, from this number on; there must be room. window is the
 * same one for all events of a trace. Returns how many, up to the first that a reader would refuse.
 */
size_t bh_event_columns_append(struct bh_event_columns *columns, struct bh_event_window *window,
			       uint64_t number, size_t count, size_t node_count);
/* Appends the sections of a chunk to payload. Non-zero: out of memory. */
int bh_event_columns_pack(const struct bh_event_columns *columns, struct bh_buffer *payload,
			  struct bh_packer *packer);
/* The inverse; checks what FORMAT.md asks of an event, except vtime against an earlier chunk. NULL,
 * or a phrase that says what is wrong. */
const char *bh_events_decode(const struct bh_section *sections, unsigned int section_count,
			     unsigned int version, uint64_t first, size_t count, size_t node_count,
			     struct bh_event *events_ret);

/* The same of format version 1. */
const char *bh_events_decode_version1(const struct bh_section *sections, unsigned int section_count,
				      uint64_t first, size_t count, size_t node_count,
				      struct bh_event *events_ret);
/* A varint, or a zigzag difference, of 32 bits; a wider one is malformed. */
uint32_t bh_cursor_varint32(struct bh_cursor *cursor);
uint32_t bh_cursor_difference32(struct bh_cursor *cursor);

/* Says what is wrong with an event that isn't good. */
const char *bh_event_fault(const struct bh_event *event, uint64_t vtime_before_ns);

/* What FORMAT.md asks of every event, given the virtual time of the one before. Here, because a
 * recording pays for it with every event. */
static inline int bh_event_is_good(const struct bh_event *event, uint64_t vtime_before_ns,
				   size_t node_count)
{
	_Static_assert(BH_NO_NODE + 1 == 0 && BH_NO_DEVICE + 1 == 0, "none is before the first");
	return event->kind && event->kind < BH_EVENT_KIND_COUNT && event->cause < event->event &&
	       event->packet <= event->event && event->vtime_ns >= vtime_before_ns &&
	       event->node + 1 <= node_count && event->device + 1 <= BH_TRACE_MAX_DEVICES;
}

/* NULL, or what is wrong with the event. */
static inline const char *bh_event_check(const struct bh_event *event, uint64_t vtime_before_ns,
					 size_t node_count)
{
	if (bh_event_is_good(event, vtime_before_ns, node_count))
		return NULL;
	return bh_event_fault(event, vtime_before_ns);
}

static inline struct bh_event bh_event_restore(const struct bh_event_kept *kept, uint64_t number)
{
	return (struct bh_event){.event = number,
				 .vtime_ns = kept->vtime_ns,
				 .cause = kept->cause,
				 .packet = kept->packet,
				 .value = kept->value,
				 .hash = kept->hash,
				 .node = kept->node,
				 .device = kept->device,
				 .hop = kept->hop,
				 .length = kept->length,
				 .kind = kept->kind};
}

/* --- the key of a run, see bh_trace_key() --- */

/* With each chunk of events, in their order, from 0. */
uint64_t bh_events_hash_add(uint64_t hash, const struct bh_chunk_header *header);
/* With each input, in their order. */
void bh_key_add_input(struct bh_buffer *inputs, const struct bh_trace_input *input);
void bh_key_make(uint64_t events_hash, uint64_t event_count, const struct bh_buffer *inputs,
		 uint8_t key_ret[16]);

#endif
