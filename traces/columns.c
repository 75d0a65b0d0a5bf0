/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The columns of a chunk of events (FORMAT.md, section 6), both ways: see chunk.h. Most of an event
 * is its shape, what it shares with many others: a node forwards frame after frame in the same way.
 * The rest is columns of small, repeating numbers, mostly predicted from the event that caused this
 * one.
 */
#include "traces/chunk.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "common/unsaved.h"
#include "traces/trace.h"

enum column {
	COLUMN_SHAPE,
	COLUMN_SHAPES,
	COLUMN_CAUSE,
	COLUMN_VTIME,
	COLUMN_PACKET,
	COLUMN_LENGTH,
	COLUMN_VALUE,
	COLUMN_HASH,
};

#define FLAG_HASH_MODE 0x03u
#define FLAG_PACKET    0x04u
#define FLAG_LENGTH    0x08u
#define FLAG_VALUE     0x10u
#define FLAG_RESERVED  0xe0u

enum hash_mode { HASH_ZERO, HASH_OF_CAUSE, HASH_32, HASH_64 };

/* Most bytes of an entry in each column. */
static const uint8_t entry_max[BH_TRACE_EVENT_COLUMNS] = {
	[COLUMN_SHAPE] = 1,   [COLUMN_SHAPES] = 17, [COLUMN_CAUSE] = 10, [COLUMN_VTIME] = 10,
	[COLUMN_PACKET] = 10, [COLUMN_LENGTH] = 5,  [COLUMN_VALUE] = 10, [COLUMN_HASH] = 8,
};

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

/* --- encoding --- */

struct bh_event_columns *bh_event_columns_create(void)
{
	size_t size = 0;

	for (size_t i = 0; i < BH_TRACE_EVENT_COLUMNS; i++)
		size += (size_t)entry_max[i] * BH_EVENT_COLUMNS_ROOM;
	/* Most of it is never touched: entries are short. */
	struct bh_event_columns *columns = bh_unsaved_alloc(sizeof(*columns) + size);

	if (!columns)
		return NULL;
	uint8_t *start = columns->bytes;

	for (size_t i = 0; i < BH_TRACE_EVENT_COLUMNS; i++) {
		columns->start[i] = start;
		start += (size_t)entry_max[i] * BH_EVENT_COLUMNS_ROOM;
	}
	bh_event_columns_clear(columns);
	return columns;
}

void bh_event_columns_destroy(struct bh_event_columns *columns)
{
	bh_unsaved_free(columns);
}

void bh_event_columns_clear(struct bh_event_columns *columns)
{
	memcpy(columns->end, columns->start, sizeof(columns->end));
	columns->count = 0;
	columns->next = NULL;
}

static inline uint32_t difference32(uint32_t value, uint32_t from)
{
	int32_t difference = (int32_t)(value - from);

	return ((uint32_t)difference << 1) ^ (uint32_t)(difference >> 31);
}

/* Most values are of one byte or two. Returns the end of the column. */
static inline uint8_t *value_store(uint8_t *end, uint64_t value)
{
	if (value < 0x80) {
		*end = (uint8_t)value;
		return end + 1;
	}
	if (value < 0x4000) {
		end[0] = (uint8_t)value | 0x80;
		end[1] = (uint8_t)(value >> 7);
		return end + 2;
	}
	return bh_varint_store(end, value);
}

/* Returns the hash mode. */
static inline uint8_t hash_encode(const struct bh_event *event, const struct bh_event_kept *cause,
				  uint8_t **end)
{
	uint32_t low = htole32((uint32_t)event->hash);
	uint64_t whole = htole64(event->hash);

	if (!event->hash)
		return HASH_ZERO;
	if (event->hash == cause->hash)
		return HASH_OF_CAUSE;
	if (event->hash <= UINT32_MAX) {
		memcpy(*end, &low, sizeof(low));
		*end += sizeof(low);
		return HASH_32;
	}
	memcpy(*end, &whole, sizeof(whole));
	*end += sizeof(whole);
	return HASH_64;
}

/* The fields that are stored only if they aren't as predicted. Returns their flags. packet: of the
 * last event that has one in the columns. */
static inline uint8_t rest_encode(const struct bh_event *event, const struct bh_event_kept *cause,
				  uint64_t *packet, uint8_t **end)
{
	uint8_t flags = hash_encode(event, cause, &end[COLUMN_HASH]);

	if (event->packet != cause->packet) {
		flags |= FLAG_PACKET;
		end[COLUMN_PACKET] = value_store(end[COLUMN_PACKET],
						 bh_zigzag((int64_t)(event->packet - *packet)));
		*packet = event->packet;
	}
	if (event->length != cause->length) {
		flags |= FLAG_LENGTH;
		end[COLUMN_LENGTH] = value_store(end[COLUMN_LENGTH], event->length);
	}
	if (event->value) {
		flags |= FLAG_VALUE;
		end[COLUMN_VALUE] = value_store(end[COLUMN_VALUE], event->value);
	}
	return flags;
}

/* What a shape's record is made of. Never 0, for no kind is 0. */
static inline struct bh_event_shape shape_pack(const struct bh_event *event,
					       const struct bh_event_kept *cause, uint8_t flags)
{
	uint64_t node = difference32(event->node, cause->node);
	uint64_t hop = difference32(event->hop, cause->hop);

	return (struct bh_event_shape){
		.node_hop = node | hop << 32,
		.device_kind_flags = (uint64_t)(event->device + 1) | (uint64_t)event->kind << 32 |
				     (uint64_t)flags << 40,
	};
}

/* An event whose shape isn't found: its record. Returns the end of the column. Seldom, and
 * apart, so that what is done for each event has its pointers in registers. */
__attribute__((noinline)) static uint8_t *shape_new(struct bh_event_window *window, size_t slot,
						    struct bh_event_shape shape, uint8_t *end,
						    uint8_t *number_ret)
{
	*number_ret = BH_EVENT_SHAPES_MAX;
	if (window->shape_count < BH_EVENT_SHAPES_MAX) {
		*number_ret = (uint8_t)window->shape_count++;
		window->shapes[*number_ret] = shape;
		window->shape_slots[slot] = *number_ret;
	}
	*end++ = (uint8_t)(shape.device_kind_flags >> 32);
	*end++ = (uint8_t)(shape.device_kind_flags >> 40);
	end = bh_varint_store(end, (uint32_t)shape.node_hop);
	end = bh_varint_store(end, (uint32_t)shape.device_kind_flags);
	return bh_varint_store(end, shape.node_hop >> 32);
}

static inline uint8_t shape_encode(struct bh_event_window *window, struct bh_event_shape shape,
				   uint8_t **end)
{
	uint64_t mixed = shape.node_hop * 0x9e3779b97f4a7c15u +
			 shape.device_kind_flags * 0xd6e8feb86659fd93u;
	size_t slot = mixed >> (64 - BH_EVENT_SHAPE_HASH_BITS);
	uint8_t number = window->shape_slots[slot];
	const struct bh_event_shape *known = &window->shapes[number];

	if (known->node_hop == shape.node_hop &&
	    known->device_kind_flags == shape.device_kind_flags)
		return number;
	*end = shape_new(window, slot, shape, *end, &number);
	return number;
}

static void chunk_begin(struct bh_event_columns *columns, struct bh_event_window *window,
			uint64_t first)
{
	columns->first = first;
	window->packet = 0;
	window->shape_count = 0;
	memset(window->shape_slots, 0, sizeof(window->shape_slots));
	/* No event has this one, and slots without a shape have its number. */
	window->shapes[0] = (struct bh_event_shape){0};
}

size_t bh_event_columns_append(struct bh_event_columns *columns, struct bh_event_window *window,
			       uint64_t number, size_t count, size_t node_count)
{
	struct bh_event_kept imaginary = {0};
	uint64_t vtime_ns = window->vtime_ns, packet;
	uint8_t *end[BH_TRACE_EVENT_COLUMNS];
	size_t i;

	if (!columns->count && count)
		chunk_begin(columns, window, number);
	imaginary.vtime_ns = columns->count ? vtime_ns : 0;
	packet = window->packet;
	memcpy(end, columns->end, sizeof(end));
	for (i = 0; i < count; i++, number++) {
		const struct bh_event event =
			bh_event_restore(&window->ring[number % BH_EVENT_RING], number);
		const struct bh_event_kept *cause = &imaginary;
		uint64_t back = number - event.cause;

		if (!bh_event_is_good(&event, vtime_ns, node_count))
			break;
		if (event.cause >= columns->first && back <= BH_EVENT_WINDOW)
			cause = &window->ring[event.cause % BH_EVENT_RING];
		uint8_t flags = rest_encode(&event, cause, &packet, end);
		*end[COLUMN_SHAPE]++ =
			shape_encode(window, shape_pack(&event, cause, flags), &end[COLUMN_SHAPES]);
		end[COLUMN_CAUSE] = value_store(end[COLUMN_CAUSE], event.cause ? back : 0);
		end[COLUMN_VTIME] =
			value_store(end[COLUMN_VTIME], event.vtime_ns - cause->vtime_ns);
		imaginary.vtime_ns = vtime_ns = event.vtime_ns;
	}
	window->vtime_ns = vtime_ns;
	window->packet = packet;
	memcpy(columns->end, end, sizeof(end));
	columns->count += (uint32_t)i;
	return i;
}

int bh_event_columns_pack(const struct bh_event_columns *columns, struct bh_buffer *payload,
			  struct bh_packer *packer)
{
	for (uint8_t i = 0; i < BH_TRACE_EVENT_COLUMNS; i++) {
		const struct bh_buffer column = {
			.bytes = columns->start[i],
			.length = (size_t)(columns->end[i] - columns->start[i]),
		};
		/* Hashes do not pack: don't spend the time. */
		struct bh_packer *column_packer = i == COLUMN_HASH ? NULL : packer;

		if (bh_section_append(payload, i, &column, column_packer))
			return -1;
	}
	return 0;
}

/* --- decoding --- */

/* The column's value as 32 bits; a wider one is malformed. */
uint32_t bh_cursor_difference32(struct bh_cursor *cursor)
{
	int64_t difference = bh_unzigzag(bh_cursor_varint(cursor));

	if (difference < INT32_MIN || difference > INT32_MAX)
		cursor->failed = 1;
	return (uint32_t)difference;
}

uint32_t bh_cursor_varint32(struct bh_cursor *cursor)
{
	uint64_t value = bh_cursor_varint(cursor);

	if (value > UINT32_MAX)
		cursor->failed = 1;
	return (uint32_t)value;
}

struct shape {
	uint8_t kind, flags;
	uint32_t node, device, hop; /* node, hop: differences */
};

struct decoder {
	struct bh_cursor from[BH_TRACE_EVENT_COLUMNS];
	struct shape shapes[BH_EVENT_SHAPES_MAX + 1];
	unsigned int shape_count;
	uint64_t packet; /* of the last event that had one in the columns */
};

/* NULL: there is none of this number. */
static const struct shape *shape_decode(struct decoder *decoder)
{
	struct bh_cursor *from = &decoder->from[COLUMN_SHAPES];
	uint8_t number = bh_cursor_u8(&decoder->from[COLUMN_SHAPE]);
	struct shape *shape = &decoder->shapes[number];

	if (number < decoder->shape_count)
		return shape;
	if (number != BH_EVENT_SHAPES_MAX && number != decoder->shape_count++)
		return NULL;
	shape->kind = bh_cursor_u8(from);
	shape->flags = bh_cursor_u8(from);
	shape->node = bh_cursor_difference32(from);
	shape->device = bh_cursor_varint32(from) - 1;
	shape->hop = bh_cursor_difference32(from);
	return shape;
}

/* The event that the fields of events[i] are predicted from; imaginary is filled if needed. */
static const struct bh_event *cause_of(const struct bh_event *events, size_t i, uint64_t cause,
				       struct bh_event *imaginary)
{
	if (cause >= events[0].event && events[i].event - cause <= BH_EVENT_WINDOW)
		return &events[cause - events[0].event];
	imaginary->vtime_ns = i ? events[i - 1].vtime_ns : 0;
	return imaginary;
}

static uint64_t hash_decode(struct bh_cursor *from, uint8_t flags, uint64_t of_cause)
{
	switch (flags & FLAG_HASH_MODE) {
	case HASH_OF_CAUSE:
		return of_cause;
	case HASH_32:
		return bh_cursor_u32(from);
	case HASH_64:
		return bh_cursor_u64(from);
	default:
		return 0;
	}
}

/* Decodes one event whose number is set already. Failures stay in the cursors, except these. */
static const char *event_decode(struct decoder *decoder, const struct bh_event *events, size_t i,
				struct bh_event *event)
{
	struct bh_cursor *from = decoder->from;
	struct bh_event imaginary = {0};
	const struct shape *shape = shape_decode(decoder);
	uint64_t back = bh_cursor_varint(&from[COLUMN_CAUSE]);

	if (!shape)
		return "an event has a shape that the chunk does not have";
	if (shape->flags & FLAG_RESERVED)
		return "an event has a flag that is reserved";
	if (back > event->event)
		return "an event is caused by one before the first";
	event->kind = shape->kind;
	event->cause = back ? event->event - back : 0;
	const struct bh_event *cause = cause_of(events, i, event->cause, &imaginary);
	event->vtime_ns = cause->vtime_ns + bh_cursor_varint(&from[COLUMN_VTIME]);
	event->node = cause->node + shape->node;
	event->device = shape->device;
	event->hop = cause->hop + shape->hop;
	event->packet = cause->packet;
	if (shape->flags & FLAG_PACKET) {
		decoder->packet += (uint64_t)bh_unzigzag(bh_cursor_varint(&from[COLUMN_PACKET]));
		event->packet = decoder->packet;
	}
	event->length = cause->length;
	if (shape->flags & FLAG_LENGTH)
		event->length = bh_cursor_varint32(&from[COLUMN_LENGTH]);
	event->value = shape->flags & FLAG_VALUE ? bh_cursor_varint(&from[COLUMN_VALUE]) : 0;
	event->hash = hash_decode(&from[COLUMN_HASH], shape->flags, cause->hash);
	return NULL;
}

const char *bh_events_decode(const struct bh_section *sections, unsigned int section_count,
			     unsigned int version, uint64_t first, size_t count, size_t node_count,
			     struct bh_event *events_ret)
{
	struct decoder decoder = {0};
	uint64_t vtime_ns = 0;

	if (version == 1)
		return bh_events_decode_version1(sections, section_count, first, count, node_count,
						 events_ret);
	if (section_count != BH_TRACE_EVENT_COLUMNS)
		return "columns are missing";
	for (unsigned int i = 0; i < BH_TRACE_EVENT_COLUMNS; i++) {
		if (sections[i].id != i)
			return "the chunk has an unknown column";
		bh_cursor_init(&decoder.from[i], sections[i].bytes, sections[i].length);
	}
	/* Also bounds the work: a column of shapes can't be shorter than the count. */
	if (sections[COLUMN_SHAPE].length != count)
		return "the number of events is wrong";
	for (size_t i = 0; i < count; i++) {
		struct bh_event *event = &events_ret[i];

		memset(event, 0, sizeof(*event));
		event->event = first + i;
		const char *fault = event_decode(&decoder, events_ret, i, event);
		if (!fault)
			fault = bh_event_check(event, vtime_ns, node_count);
		if (fault)
			return fault;
		vtime_ns = event->vtime_ns;
	}
	for (unsigned int i = 0; i < BH_TRACE_EVENT_COLUMNS; i++)
		if (!bh_cursor_is_done(&decoder.from[i]))
			return "a column does not end where it should";
	return NULL;
}
