/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bounds-checked decoding and growing encoding: see cursor.h. */
#include "common/cursor.h"

#include <stdlib.h>
#include <string.h>

void bh_cursor_init(struct bh_cursor *cursor, const void *bytes, size_t length)
{
	cursor->bytes = bytes;
	cursor->length = length;
	cursor->offset = 0;
	cursor->failed = 0;
}

size_t bh_cursor_left(const struct bh_cursor *cursor)
{
	return cursor->length - cursor->offset;
}

int bh_cursor_is_done(const struct bh_cursor *cursor)
{
	return !cursor->failed && cursor->offset == cursor->length;
}

const void *bh_cursor_bytes(struct bh_cursor *cursor, size_t length)
{
	static const uint8_t nothing;

	if (cursor->failed || length > bh_cursor_left(cursor)) {
		cursor->failed = 1;
		return NULL;
	}
	if (!length)
		return &nothing;
	const void *bytes = cursor->bytes + cursor->offset;
	cursor->offset += length;
	return bytes;
}

static uint64_t cursor_fixed(struct bh_cursor *cursor, size_t size)
{
	const uint8_t *bytes = bh_cursor_bytes(cursor, size);
	uint64_t value = 0;

	for (size_t i = 0; bytes && i < size; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

uint8_t bh_cursor_u8(struct bh_cursor *cursor)
{
	return (uint8_t)cursor_fixed(cursor, 1);
}

uint16_t bh_cursor_u16(struct bh_cursor *cursor)
{
	return (uint16_t)cursor_fixed(cursor, 2);
}

uint32_t bh_cursor_u32(struct bh_cursor *cursor)
{
	return (uint32_t)cursor_fixed(cursor, 4);
}

uint64_t bh_cursor_u64(struct bh_cursor *cursor)
{
	return cursor_fixed(cursor, 8);
}

uint64_t bh_cursor_varint(struct bh_cursor *cursor)
{
	uint64_t value = 0;
	size_t offset = cursor->offset;

	for (unsigned int shift = 0; !cursor->failed && shift < 70 && offset < cursor->length;
	     shift += 7) {
		uint8_t byte = cursor->bytes[offset++];

		/* The tenth byte holds one bit only; a last byte of 0 would be a longer form. */
		if ((shift == 63 && byte > 1) || (shift && !byte))
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			cursor->offset = offset;
			return value;
		}
	}
	cursor->failed = 1;
	return 0;
}

void bh_buffer_free(struct bh_buffer *buffer)
{
	free(buffer->bytes);
	memset(buffer, 0, sizeof(*buffer));
}

uint8_t *bh_buffer_reserve(struct bh_buffer *buffer, size_t extra)
{
	if (buffer->failed)
		return NULL;
	if (extra > buffer->capacity - buffer->length) {
		size_t capacity = buffer->capacity ? buffer->capacity : 256;

		while (capacity - buffer->length < extra && capacity <= SIZE_MAX / 2)
			capacity *= 2;
		uint8_t *bytes = NULL;
		if (!buffer->is_fixed && capacity - buffer->length >= extra)
			bytes = realloc(buffer->bytes, capacity);
		if (!bytes) {
			buffer->failed = 1;
			return NULL;
		}
		buffer->bytes = bytes;
		buffer->capacity = capacity;
	}
	return buffer->bytes + buffer->length;
}

void bh_buffer_bytes(struct bh_buffer *buffer, const void *bytes, size_t length)
{
	uint8_t *to = bh_buffer_reserve(buffer, length);

	if (!to || !length)
		return;
	memcpy(to, bytes, length);
	buffer->length += length;
}

static void buffer_fixed(struct bh_buffer *buffer, uint64_t value, size_t size)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	bh_buffer_bytes(buffer, bytes, size);
}

void bh_buffer_u8(struct bh_buffer *buffer, uint8_t value)
{
	buffer_fixed(buffer, value, 1);
}

void bh_buffer_u16(struct bh_buffer *buffer, uint16_t value)
{
	buffer_fixed(buffer, value, 2);
}

void bh_buffer_u32(struct bh_buffer *buffer, uint32_t value)
{
	buffer_fixed(buffer, value, 4);
}

void bh_buffer_u64(struct bh_buffer *buffer, uint64_t value)
{
	buffer_fixed(buffer, value, 8);
}

void bh_buffer_varint(struct bh_buffer *buffer, uint64_t value)
{
	uint8_t *to = bh_buffer_reserve(buffer, BH_VARINT_MAX_BYTES);

	if (to)
		buffer->length = (size_t)(bh_varint_store(to, value) - buffer->bytes);
}

void bh_buffer_sized(struct bh_buffer *buffer, const void *bytes, size_t length)
{
	bh_buffer_varint(buffer, length);
	bh_buffer_bytes(buffer, bytes, length);
}

void bh_buffer_string(struct bh_buffer *buffer, const char *text)
{
	bh_buffer_sized(buffer, text, strlen(text));
}
