/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes from files and sockets are decoded through a cursor that can't leave its range, and
 * encoded into a buffer that grows. Both remember a failure instead of reporting each step: check
 * once at the end. Integers are little-endian; varint is LEB128 as traces/FORMAT.md defines it.
 * Used by traces/ and whoever parses bytes.
 */
#ifndef BH_COMMON_CURSOR_H
#define BH_COMMON_CURSOR_H

#include <stddef.h>
#include <stdint.h>

/* Longest varint of 64 bits. */
#define BH_VARINT_MAX_BYTES 10

struct bh_cursor {
	const uint8_t *bytes;
	size_t length;
	size_t offset; /* of the next byte; at most length */
	int failed;    /* something went past the end or was malformed; all later reads give 0 */
};

void bh_cursor_init(struct bh_cursor *cursor, const void *bytes, size_t length);
uint8_t bh_cursor_u8(struct bh_cursor *cursor);
uint16_t bh_cursor_u16(struct bh_cursor *cursor);
uint32_t bh_cursor_u32(struct bh_cursor *cursor);
uint64_t bh_cursor_u64(struct bh_cursor *cursor);
uint64_t bh_cursor_varint(struct bh_cursor *cursor);
/* A pointer into the range, valid as long as it; NULL on failure (never for length 0). */
const void *bh_cursor_bytes(struct bh_cursor *cursor, size_t length);
/* Bytes left. */
size_t bh_cursor_left(const struct bh_cursor *cursor);
/* Not failed, and nothing left. */
int bh_cursor_is_done(const struct bh_cursor *cursor);

static inline uint64_t bh_zigzag(int64_t difference)
{
	return ((uint64_t)difference << 1) ^ (uint64_t)(difference >> 63);
}

static inline int64_t bh_unzigzag(uint64_t code)
{
	return (int64_t)(code >> 1) ^ -(int64_t)(code & 1);
}

/* Writes at most BH_VARINT_MAX_BYTES; returns the end. */
static inline uint8_t *bh_varint_store(uint8_t *to, uint64_t value)
{
	while (value >= 0x80) {
		*to++ = (uint8_t)value | 0x80;
		value >>= 7;
	}
	*to++ = (uint8_t)value;
	return to;
}

struct bh_buffer {
	uint8_t *bytes;
	size_t length;
	size_t capacity;
	int failed;   /* out of memory; the contents are not whole */
	int is_fixed; /* doesn't grow: for signal handlers */
};

/* Zeroes are an empty buffer. */
void bh_buffer_free(struct bh_buffer *buffer);
/* Makes room for extra bytes; returns where they go, or NULL. */
uint8_t *bh_buffer_reserve(struct bh_buffer *buffer, size_t extra);
void bh_buffer_bytes(struct bh_buffer *buffer, const void *bytes, size_t length);
void bh_buffer_u8(struct bh_buffer *buffer, uint8_t value);
void bh_buffer_u16(struct bh_buffer *buffer, uint16_t value);
void bh_buffer_u32(struct bh_buffer *buffer, uint32_t value);
void bh_buffer_u64(struct bh_buffer *buffer, uint64_t value);
void bh_buffer_varint(struct bh_buffer *buffer, uint64_t value);
/* Length as a varint, then the bytes. */
void bh_buffer_string(struct bh_buffer *buffer, const char *text);
void bh_buffer_sized(struct bh_buffer *buffer, const void *bytes, size_t length);

#endif
