/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing and reading a feed: see feed.h. Called by sim_alone.c, replayer/ and tests. */
#include "simulator/feed.h"

#include <stdlib.h>

#include "simulator/link.h"

enum record { RECORD_VALUE = 1, RECORD_FRAME, RECORD_EVENT };

struct bh_feed {
	struct bh_cursor cursor; /* behind the next event */
	struct bh_cursor values; /* the records before it that haven't been taken */
	struct bh_fed_event now, next;
	int has_now, has_next;
	uint64_t event, vtime_ns; /* of the last event that was read */
	uint32_t node;
	uint64_t *numbers;
	size_t count, room;
};

/* --- writing --- */

void bh_feed_write_value(struct bh_feed_writer *writer, uint64_t value)
{
	bh_buffer_u8(writer->buffer, RECORD_VALUE);
	bh_buffer_varint(writer->buffer, value);
}

void bh_feed_write_frame(struct bh_feed_writer *writer, const void *data, size_t length)
{
	bh_buffer_u8(writer->buffer, RECORD_FRAME);
	bh_buffer_sized(writer->buffer, data, length);
}

void bh_feed_write_event(struct bh_feed_writer *writer, const struct bh_event *event)
{
	struct bh_buffer *buffer = writer->buffer;

	bh_buffer_u8(buffer, RECORD_EVENT);
	bh_buffer_u8(buffer, event->kind);
	bh_buffer_varint(buffer, event->event - writer->event);
	bh_buffer_varint(buffer, event->vtime_ns - writer->vtime_ns);
	bh_buffer_varint(buffer, event->cause);
	bh_buffer_varint(buffer, event->packet);
	bh_buffer_varint(buffer, event->value);
	bh_buffer_varint(buffer, event->hash);
	bh_buffer_varint(buffer, (uint32_t)(event->node + 1));
	bh_buffer_varint(buffer, (uint32_t)(event->device + 1));
	bh_buffer_varint(buffer, event->hop);
	bh_buffer_varint(buffer, event->length);
	writer->event = event->event;
	writer->vtime_ns = event->vtime_ns;
}

/* --- reading --- */

static uint32_t read_u32(struct bh_cursor *cursor)
{
	uint64_t value = bh_cursor_varint(cursor);

	cursor->failed |= value > UINT32_MAX;
	return (uint32_t)value;
}

static void read_event(struct bh_feed *feed, struct bh_event *event)
{
	struct bh_cursor *cursor = &feed->cursor;

	event->kind = bh_cursor_u8(cursor);
	event->event = feed->event + bh_cursor_varint(cursor);
	event->vtime_ns = feed->vtime_ns + bh_cursor_varint(cursor);
	event->cause = bh_cursor_varint(cursor);
	event->packet = bh_cursor_varint(cursor);
	event->value = bh_cursor_varint(cursor);
	event->hash = bh_cursor_varint(cursor);
	event->node = read_u32(cursor) - 1;
	event->device = read_u32(cursor) - 1;
	event->hop = read_u32(cursor);
	event->length = read_u32(cursor);
	/* Numbers only grow, and time doesn't go back. */
	cursor->failed |= event->event <= feed->event || event->vtime_ns < feed->vtime_ns ||
			  !bh_event_kind_name(event->kind);
	feed->event = event->event;
	feed->vtime_ns = event->vtime_ns;
}

static const uint8_t *read_frame(struct bh_cursor *cursor, uint64_t *length_ret)
{
	*length_ret = bh_cursor_varint(cursor);
	cursor->failed |= *length_ret > BH_FRAME_LENGTH_MAX;
	return cursor->failed ? NULL : bh_cursor_bytes(cursor, *length_ret);
}

/* Reads on, up to behind the next event. */
static void read_next(struct bh_feed *feed)
{
	struct bh_cursor *cursor = &feed->cursor;
	uint64_t length = 0;

	feed->values = *cursor;
	feed->next = (struct bh_fed_event){0};
	feed->has_next = 0;
	while (bh_cursor_left(cursor) && !cursor->failed && !feed->has_next) {
		switch (bh_cursor_u8(cursor)) {
		case RECORD_VALUE:
			bh_cursor_varint(cursor);
			break;
		case RECORD_FRAME:
			feed->next.frame = read_frame(cursor, &length);
			break;
		case RECORD_EVENT:
			read_event(feed, &feed->next.event);
			feed->has_next = 1;
			break;
		default:
			cursor->failed = 1;
		}
	}
	feed->next.is_last = !bh_cursor_left(cursor);
	if (feed->next.frame &&
	    (feed->next.event.kind != BH_EVENT_RX || feed->next.event.length != length))
		cursor->failed = 1;
	feed->has_next &= !cursor->failed;
}

static void rewind_feed(struct bh_feed *feed)
{
	bh_cursor_init(&feed->cursor, feed->cursor.bytes, feed->cursor.length);
	feed->event = feed->vtime_ns = 0;
	feed->has_now = 0;
	read_next(feed);
}

static int add_number(struct bh_feed *feed, uint64_t number)
{
	if (feed->count == feed->room) {
		size_t room = feed->room ? 2 * feed->room : 1024;
		uint64_t *grown = realloc(feed->numbers, room * sizeof(*grown));

		if (!grown)
			return -1;
		feed->numbers = grown;
		feed->room = room;
	}
	feed->numbers[feed->count++] = number;
	return 0;
}

static struct bh_error *check(struct bh_feed *feed)
{
	for (rewind_feed(feed); feed->has_next; bh_feed_advance(feed)) {
		const struct bh_fed_event *fed = &feed->next;

		if (add_number(feed, fed->event.event))
			return bh_error_new(BH_ERR_NOMEM, "out of memory");
		if (fed->event.node != feed->node && !fed->is_last)
			feed->cursor.failed = 1;
	}
	if (feed->cursor.failed || bh_cursor_left(&feed->cursor) || !feed->count)
		return bh_error_new(BH_ERR_INPUT, "what the node got from outside can't be read");
	rewind_feed(feed);
	return NULL;
}

struct bh_error *bh_feed_open(const void *bytes, size_t length, uint32_t node,
			      struct bh_feed **feed_ret)
{
	struct bh_feed *feed = calloc(1, sizeof(*feed));

	if (!feed)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	feed->node = node;
	bh_cursor_init(&feed->cursor, bytes, length);
	struct bh_error *error = check(feed);

	if (error) {
		bh_feed_close(feed);
		return error;
	}
	*feed_ret = feed;
	return NULL;
}

void bh_feed_close(struct bh_feed *feed)
{
	if (!feed)
		return;
	free(feed->numbers);
	free(feed);
}

uint32_t bh_feed_node(const struct bh_feed *feed)
{
	return feed->node;
}

const struct bh_fed_event *bh_feed_next(const struct bh_feed *feed)
{
	return feed->has_next ? &feed->next : NULL;
}

const struct bh_fed_event *bh_feed_now(const struct bh_feed *feed)
{
	return feed->has_now ? &feed->now : NULL;
}

void bh_feed_advance(struct bh_feed *feed)
{
	feed->now = feed->next;
	feed->has_now = feed->has_next;
	if (feed->has_next)
		read_next(feed);
}

uint64_t bh_feed_value(struct bh_feed *feed, uint64_t otherwise)
{
	struct bh_cursor *values = &feed->values;
	uint64_t length;

	while (bh_cursor_left(values)) {
		struct bh_cursor before = *values;
		uint8_t type = bh_cursor_u8(values);

		if (type == RECORD_VALUE)
			return bh_cursor_varint(values);
		if (type == RECORD_FRAME) {
			read_frame(values, &length);
			continue;
		}
		*values = before;
		break;
	}
	return otherwise;
}

const uint64_t *bh_feed_numbers(const struct bh_feed *feed, size_t *count_ret)
{
	*count_ret = feed->count;
	return feed->numbers;
}
