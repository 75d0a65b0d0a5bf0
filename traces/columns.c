/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The columns of a chunk of events (FORMAT.md, section 6), both ways: see chunk.h. A frame is sent
 * and received with the same packet, length and hash, so most fields are predicted from the event
 * that caused this one, and what is left are columns of small, repeating numbers.
 */
#include "traces/chunk.h"

#include <endian.h>
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

const char *bh_event_fault(const struct bh_event *event, uint64_t vtime_before_ns)
{
	if (!bh_event_kind_name(event->kind))
		return "an event has an unknown kind";
	if (event->cause >= event->event)
		return "an event is caused by a later one";
	if (event->packet > event->event)
		return "an event is of a later packet";
	if (event->vtime_ns < vtime_before_ns)
		return "virtual time goes backwards";
	if (event->device >= BH_TRACE_MAX_DEVICES && event->device != BH_NO_DEVICE)
		return "an event is on a device that does not exist";
	return "an event is on a node that does not exist";
}

/* The event that the fields of events[i] are predicted from; imaginary is filled if needed. */
static const struct bh_event *cause_of(const struct bh_event *events, size_t i, uint64_t cause,
				       struct bh_event *imaginary)
{
	if (cause >= events[0].event)
		return &events[cause - events[0].event];
	imaginary->vtime_ns = i ? events[i - 1].vtime_ns : 0;
	return imaginary;
}

void bh_event_columns_free(struct bh_event_columns *columns)
{
	for (size_t i = 0; i < BH_TRACE_EVENT_COLUMNS; i++)
		bh_buffer_free(&columns->column[i]);
}

static inline uint64_t difference32(uint32_t value, uint32_t from)
{
	return bh_zigzag((int32_t)(value - from));
}

static uint8_t *u64_store(uint8_t *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

static void event_encode(const struct bh_event *event, const struct bh_event *cause, uint8_t **to)
{
	uint8_t flags = HASH_EXPLICIT;

	if (!event->hash)
		flags = HASH_ZERO;
	else if (event->hash == cause->hash)
		flags = HASH_OF_CAUSE;
	else
		to[COLUMN_HASH] = u64_store(to[COLUMN_HASH], event->hash);
	if (event->packet != cause->packet) {
		flags |= FLAG_PACKET;
		to[COLUMN_PACKET] =
			bh_varint_store(to[COLUMN_PACKET], event->event - event->packet);
	}
	if (event->length != cause->length) {
		flags |= FLAG_LENGTH;
		to[COLUMN_LENGTH] = bh_varint_store(to[COLUMN_LENGTH], event->length);
	}
	if (event->value) {
		flags |= FLAG_VALUE;
		to[COLUMN_VALUE] = bh_varint_store(to[COLUMN_VALUE], event->value);
	}
	*to[COLUMN_KIND]++ = event->kind;
	*to[COLUMN_FLAGS]++ = flags;
	to[COLUMN_CAUSE] =
		bh_varint_store(to[COLUMN_CAUSE], event->cause ? event->event - event->cause : 0);
	to[COLUMN_VTIME] = bh_varint_store(to[COLUMN_VTIME], event->vtime_ns - cause->vtime_ns);
	to[COLUMN_NODE] = bh_varint_store(to[COLUMN_NODE], difference32(event->node, cause->node));
	to[COLUMN_DEVICE] = bh_varint_store(to[COLUMN_DEVICE], (uint32_t)(event->device + 1));
	to[COLUMN_HOP] = bh_varint_store(to[COLUMN_HOP], difference32(event->hop, cause->hop));
}

int bh_events_encode(struct bh_event_columns *columns, const struct bh_event *events, size_t count,
		     struct bh_buffer *payload, struct bh_packer *packer)
{
	struct bh_event imaginary = {0};
	uint8_t *to[BH_TRACE_EVENT_COLUMNS];

	for (size_t i = 0; i < BH_TRACE_EVENT_COLUMNS; i++) {
		columns->column[i].length = 0;
		to[i] = bh_buffer_reserve(&columns->column[i], count * BH_VARINT_MAX_BYTES);
		if (!to[i])
			return -1;
	}
	for (size_t i = 0; i < count; i++)
		event_encode(&events[i], cause_of(events, i, events[i].cause, &imaginary), to);
	for (uint8_t i = 0; i < BH_TRACE_EVENT_COLUMNS; i++) {
		struct bh_buffer *column = &columns->column[i];

		column->length = (size_t)(to[i] - column->bytes);
		/* Hashes do not pack: don't spend the time. */
		struct bh_packer *column_packer = i == COLUMN_HASH ? NULL : packer;
		if (bh_section_append(payload, i, column, column_packer))
			return -1;
	}
	return 0;
}

/* The column's value as 32 bits; a wider one is malformed. */
static uint32_t cursor_difference32(struct bh_cursor *cursor)
{
	int64_t difference = bh_unzigzag(bh_cursor_varint(cursor));

	if (difference < INT32_MIN || difference > INT32_MAX)
		cursor->failed = 1;
	return (uint32_t)difference;
}

static uint32_t cursor_varint32(struct bh_cursor *cursor)
{
	uint64_t value = bh_cursor_varint(cursor);

	if (value > UINT32_MAX)
		cursor->failed = 1;
	return (uint32_t)value;
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
	event->node = cause->node + cursor_difference32(&from[COLUMN_NODE]);
	event->device = cursor_varint32(&from[COLUMN_DEVICE]) - 1;
	event->hop = cause->hop + cursor_difference32(&from[COLUMN_HOP]);
	event->packet = cause->packet;
	if (flags & FLAG_PACKET)
		event->packet = event->event - bh_cursor_varint(&from[COLUMN_PACKET]);
	event->length = cause->length;
	if (flags & FLAG_LENGTH)
		event->length = cursor_varint32(&from[COLUMN_LENGTH]);
	event->value = flags & FLAG_VALUE ? bh_cursor_varint(&from[COLUMN_VALUE]) : 0;
	event->hash = 0;
	if ((flags & FLAG_HASH_MODE) == HASH_OF_CAUSE)
		event->hash = cause->hash;
	else if ((flags & FLAG_HASH_MODE) == HASH_EXPLICIT)
		event->hash = bh_cursor_u64(&from[COLUMN_HASH]);
	return NULL;
}

const char *bh_events_decode(const struct bh_section *sections, unsigned int section_count,
			     uint64_t first, size_t count, size_t node_count,
			     struct bh_event *events_ret)
{
	struct bh_cursor from[BH_TRACE_EVENT_COLUMNS];
	uint64_t vtime_ns = 0;

	if (section_count != BH_TRACE_EVENT_COLUMNS)
		return "columns are missing";
	for (unsigned int i = 0; i < BH_TRACE_EVENT_COLUMNS; i++) {
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
	for (unsigned int i = 0; i < BH_TRACE_EVENT_COLUMNS; i++)
		if (!bh_cursor_is_done(&from[i]))
			return "a column does not end where it should";
	return NULL;
}
