/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The columns of a chunk of events as format version 1 had them, for reading old traces: see
 * FORMAT.md, section 8, and columns.c, which calls this.
 */
#include "traces/chunk.h"

#include <string.h>

#include "traces/trace.h"

enum column {
	COLUMN_KIND,
	COLUMN_FLAGS,
	COLUMN_CAUSE,
	COLUMN_VTIME,
	COLUMN_NODE,
	COLUMN_DEVICE,
	COLUMN_PACKET,
	COLUMN_HOP,
	COLUMN_LENGTH,
	COLUMN_VALUE,
	COLUMN_HASH,
};

#define FLAG_HASH_MODE 0x03u
#define FLAG_PACKET    0x04u
#define FLAG_LENGTH    0x08u
#define FLAG_VALUE     0x10u
#define FLAG_RESERVED  0xe0u

enum hash_mode { HASH_ZERO, HASH_OF_CAUSE, HASH_EXPLICIT, HASH_RESERVED };

/* The event that the fields of events[i] are predicted from; imaginary is filled if needed. */
static const struct bh_event *cause_of(const struct bh_event *events, size_t i, uint64_t cause,
				       struct bh_event *imaginary)
{
	if (cause >= events[0].event)
		return &events[cause - events[0].event];
	imaginary->vtime_ns = i ? events[i - 1].vtime_ns : 0;
	return imaginary;
}

/* Decodes one event whose number is set already. Failures stay in the cursors, except these. */
static const char *event_decode(struct bh_cursor *from, const struct bh_event *events, size_t i,
				struct bh_event *event)
{
	struct bh_event imaginary = {0};
	uint8_t flags = bh_cursor_u8(&from[COLUMN_FLAGS]);
	uint64_t back = bh_cursor_varint(&from[COLUMN_CAUSE]);

	if (flags & FLAG_RESERVED || (flags & FLAG_HASH_MODE) == HASH_RESERVED)
		return "an event has a flag that is reserved";
	if (back > event->event)
		return "an event is caused by one before the first";
	event->kind = bh_cursor_u8(&from[COLUMN_KIND]);
	event->cause = back ? event->event - back : 0;
	const struct bh_event *cause = cause_of(events, i, event->cause, &imaginary);
	event->vtime_ns = cause->vtime_ns + bh_cursor_varint(&from[COLUMN_VTIME]);
	event->node = cause->node + bh_cursor_difference32(&from[COLUMN_NODE]);
	event->device = bh_cursor_varint32(&from[COLUMN_DEVICE]) - 1;
	event->hop = cause->hop + bh_cursor_difference32(&from[COLUMN_HOP]);
	event->packet = cause->packet;
	if (flags & FLAG_PACKET)
		event->packet = event->event - bh_cursor_varint(&from[COLUMN_PACKET]);
	event->length = cause->length;
	if (flags & FLAG_LENGTH)
		event->length = bh_cursor_varint32(&from[COLUMN_LENGTH]);
	event->value = flags & FLAG_VALUE ? bh_cursor_varint(&from[COLUMN_VALUE]) : 0;
	event->hash = 0;
	if ((flags & FLAG_HASH_MODE) == HASH_OF_CAUSE)
		event->hash = cause->hash;
	else if ((flags & FLAG_HASH_MODE) == HASH_EXPLICIT)
		event->hash = bh_cursor_u64(&from[COLUMN_HASH]);
	return NULL;
}

const char *bh_events_decode_version1(const struct bh_section *sections, unsigned int section_count,
				      uint64_t first, size_t count, size_t node_count,
				      struct bh_event *events_ret)
{
	struct bh_cursor from[BH_TRACE_EVENT_COLUMNS_VERSION1];
	uint64_t vtime_ns = 0;

	if (section_count != BH_TRACE_EVENT_COLUMNS_VERSION1)
		return "columns are missing";
	for (unsigned int i = 0; i < BH_TRACE_EVENT_COLUMNS_VERSION1; i++) {
		if (sections[i].id != i)
			return "the chunk has an unknown column";
		bh_cursor_init(&from[i], sections[i].bytes, sections[i].length);
	}
	/* Also bounds the work: a column of kinds can't be shorter than the count. */
	if (sections[COLUMN_KIND].length != count)
		return "the number of events is wrong";
	for (size_t i = 0; i < count; i++) {
		struct bh_event *event = &events_ret[i];

		memset(event, 0, sizeof(*event));
		event->event = first + i;
		const char *fault = event_decode(from, events_ret, i, event);
		if (!fault)
			fault = bh_event_check(event, vtime_ns, node_count);
		if (fault)
			return fault;
		vtime_ns = event->vtime_ns;
	}
	for (unsigned int i = 0; i < BH_TRACE_EVENT_COLUMNS_VERSION1; i++)
		if (!bh_cursor_is_done(&from[i]))
			return "a column does not end where it should";
	return NULL;
}
