/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Damage to traces that gets past the checksums and behind the compression, for fuzz_trace.c and
 * tests/unit/test_opening.c. The offsets are those of traces/FORMAT.md, sections 2 and 3.
 */
#ifndef BH_TESTS_TRACE_BYTES_H
#define BH_TESTS_TRACE_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/compress.h"
#include "common/cursor.h"
#include "common/hash.h"

#define TRACE_HEADER_BYTES 24
#define CHUNK_HEADER_BYTES 40

static inline void u32_store(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static inline void u64_store(uint8_t *to, uint64_t value)
{
	u32_store(to, (uint32_t)value);
	u32_store(to + 4, (uint32_t)(value >> 32));
}

static inline uint32_t u32_load(const uint8_t *from)
{
	return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

/* Makes all checksums those of what is there now. */
static inline void checksums_repair(uint8_t *bytes, size_t length)
{
	size_t offset = TRACE_HEADER_BYTES;

	if (length < offset)
		return;
	u64_store(bytes + 16, bh_hash64(bytes, 16));
	while (length - offset >= CHUNK_HEADER_BYTES) {
		uint8_t *header = bytes + offset;
		uint32_t stored = u32_load(header + 8);

		offset += CHUNK_HEADER_BYTES;
		if (stored <= length - offset)
			u64_store(header + 24, bh_hash64(header + CHUNK_HEADER_BYTES, stored));
		u32_store(header + 36, (uint32_t)bh_hash64(header, 36));
		if (stored > length - offset)
			return;
		offset += stored;
	}
}

/* One section, its contents not compressed any more. */
static inline void section_unpack(struct bh_cursor *from, struct bh_buffer *to,
				  struct bh_unpacker *unpacker)
{
	uint8_t id = bh_cursor_u8(from), packing = bh_cursor_u8(from);
	uint64_t raw_size = bh_cursor_varint(from), stored_size = bh_cursor_varint(from);
	const uint8_t *data = bh_cursor_bytes(from, stored_size);

	bh_buffer_u8(to, id);
	bh_buffer_u8(to, 0);
	bh_buffer_varint(to, raw_size);
	bh_buffer_varint(to, raw_size);
	if (!data || !packing) {
		bh_buffer_bytes(to, data, data ? stored_size : 0);
		return;
	}
	uint8_t *contents = bh_buffer_reserve(to, raw_size);

	if (!contents || !bh_unpacker_unpack(unpacker, contents, raw_size, data, stored_size))
		abort();
	to->length += raw_size;
}

/* The same whole trace with nothing compressed, so that each byte of it means something. */
static inline void trace_unpack(const uint8_t *bytes, size_t length, struct bh_buffer *to)
{
	struct bh_unpacker *unpacker = bh_unpacker_create();
	struct bh_cursor from;

	bh_cursor_init(&from, bytes, length);
	bh_buffer_bytes(to, bh_cursor_bytes(&from, TRACE_HEADER_BYTES), TRACE_HEADER_BYTES);
	while (bh_cursor_left(&from)) {
		const uint8_t *header = bh_cursor_bytes(&from, CHUNK_HEADER_BYTES);
		size_t start = to->length;

		if (!header || !unpacker)
			abort();
		bh_buffer_bytes(to, header, CHUNK_HEADER_BYTES);
		for (unsigned int sections = header[6] | header[7] << 8; sections; sections--)
			section_unpack(&from, to, unpacker);
		u32_store(to->bytes + start + 8,
			  (uint32_t)(to->length - start - CHUNK_HEADER_BYTES));
	}
	if (from.failed || to->failed)
		abort();
	bh_unpacker_destroy(unpacker);
	checksums_repair(to->bytes, to->length);
}

/* Calls use() with the trace cut at every length, then with every byte changed in several ways.
 * use() may change the bytes that it gets, and should repair the checksums. */
static inline unsigned long trace_damage(const uint8_t *bytes, size_t length,
					 void (*use)(void *arg, uint8_t *bytes, size_t length),
					 void *arg)
{
	static const uint8_t changes[] = {0x01, 0xff};
	uint8_t *copy = malloc(length + 1);
	unsigned long count = 0;

	for (size_t cut = 0; copy && cut < length; cut++, count++) {
		memcpy(copy, bytes, length);
		use(arg, copy, cut);
	}
	for (size_t at = 0; copy && at < length; at++) {
		for (size_t i = 0; i < sizeof(changes); i++, count++) {
			memcpy(copy, bytes, length);
			copy[at] ^= changes[i];
			use(arg, copy, length);
		}
	}
	free(copy);
	return count;
}

#endif
