/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chunk headers and sections, both ways: see chunk.h. Called by writer.c and reader.c. */
#include "traces/chunk.h"

#include <string.h>

#include "common/hash.h"

const uint8_t bh_trace_magic[BH_TRACE_MAGIC_SIZE] = {0x89, 'B', 'H', 'T', '\r', '\n', 0x1a, '\n'};

/* "BHCK" as it stands in the file. */
#define CHUNK_MAGIC 0x4b434842u

/* Smaller sections don't pay for a frame's header and the call. */
#define SMALLEST_PACKED 32

enum packing { STORED = 0, ZSTD = 1 };

void bh_chunk_append(struct bh_buffer *file, struct bh_chunk_header *header, const void *payload,
		     size_t payload_size)
{
	size_t start = file->length;

	header->stored_size = (uint32_t)payload_size;
	header->checksum = bh_hash64(payload, payload_size);
	bh_buffer_u32(file, CHUNK_MAGIC);
	bh_buffer_u8(file, header->kind);
	bh_buffer_u8(file, 0);
	bh_buffer_u16(file, header->sections);
	bh_buffer_u32(file, header->stored_size);
	bh_buffer_u32(file, header->count);
	bh_buffer_u64(file, header->first);
	bh_buffer_u64(file, header->checksum);
	bh_buffer_u32(file, 0);
	if (file->failed)
		return;
	bh_buffer_u32(file, (uint32_t)bh_hash64(file->bytes + start, file->length - start));
	bh_buffer_bytes(file, payload, payload_size);
}

const char *bh_chunk_header_parse(const uint8_t *bytes, unsigned int version,
				  struct bh_chunk_header *header_ret)
{
	struct bh_cursor cursor;
	struct bh_chunk_header header;

	bh_cursor_init(&cursor, bytes, BH_TRACE_CHUNK_HEADER_SIZE);
	uint32_t magic = bh_cursor_u32(&cursor);
	header.kind = bh_cursor_u8(&cursor);
	uint32_t reserved = bh_cursor_u8(&cursor);
	header.sections = bh_cursor_u16(&cursor);
	header.stored_size = bh_cursor_u32(&cursor);
	header.count = bh_cursor_u32(&cursor);
	header.first = bh_cursor_u64(&cursor);
	header.checksum = bh_cursor_u64(&cursor);
	reserved |= bh_cursor_u32(&cursor);
	uint32_t checksum = (uint32_t)bh_hash64(bytes, cursor.offset);

	if (magic != CHUNK_MAGIC)
		return "no chunk begins here";
	if (bh_cursor_u32(&cursor) != checksum)
		return "the checksum of the chunk's header does not match";
	if (reserved)
		return "a reserved field of the chunk's header is not 0";
	if (header.kind < BH_CHUNK_START || header.kind > BH_CHUNK_END)
		return "the chunk has an unknown kind";
	if (header.stored_size > BH_TRACE_CHUNK_MAX_SIZE)
		return "the chunk is larger than allowed";
	unsigned int sections = 1;
	if (header.kind == BH_CHUNK_EVENTS)
		sections = version == 1 ? BH_TRACE_EVENT_COLUMNS_VERSION1 : BH_TRACE_EVENT_COLUMNS;
	if (header.sections != sections)
		return "the chunk has the wrong number of sections";
	*header_ret = header;
	return NULL;
}

int bh_section_append(struct bh_buffer *payload, uint8_t id, const struct bh_buffer *contents,
		      struct bh_packer *packer)
{
	size_t length = contents->length, packed = 0;
	/* The sizes are known only afterwards: pack behind the longest possible section header. */
	size_t head_max = 2 + 2 * BH_VARINT_MAX_BYTES;
	size_t room = packer ? bh_packer_bound(length) : length;
	uint8_t *to = bh_buffer_reserve(payload, head_max + room);

	if (!to || contents->failed)
		return -1;
	if (packer && length >= SMALLEST_PACKED)
		packed = bh_packer_pack(packer, to + head_max, room, contents->bytes, length);
	int is_packed = packed && packed < length;
	size_t stored = is_packed ? packed : length;
	uint8_t *at = to;
	*at++ = id;
	*at++ = is_packed ? ZSTD : STORED;
	at = bh_varint_store(at, length);
	at = bh_varint_store(at, stored);
	if (stored)
		memmove(at, is_packed ? to + head_max : contents->bytes, stored);
	payload->length += (size_t)(at - to) + stored;
	return 0;
}

/* One section's header; its data is left in *data_ret. */
static const char *section_parse(struct bh_cursor *cursor, struct bh_section *section,
				 uint8_t *packing_ret, const uint8_t **data_ret, size_t *stored_ret)
{
	section->id = bh_cursor_u8(cursor);
	*packing_ret = bh_cursor_u8(cursor);
	uint64_t raw = bh_cursor_varint(cursor), stored = bh_cursor_varint(cursor);

	if (cursor->failed || stored > bh_cursor_left(cursor))
		return "a section goes past the end of its chunk";
	if (*packing_ret > ZSTD)
		return "a section is packed in an unknown way";
	if (raw > BH_TRACE_CHUNK_MAX_SIZE || (*packing_ret == STORED && raw != stored))
		return "a section has an impossible size";
	section->length = raw;
	*stored_ret = stored;
	*data_ret = bh_cursor_bytes(cursor, stored);
	return NULL;
}

const char *bh_sections_parse(const uint8_t *payload, size_t payload_size, unsigned int count,
			      struct bh_unpacker *unpacker, struct bh_buffer *scratch,
			      struct bh_section *sections_ret)
{
	struct {
		uint8_t packing;
		const uint8_t *data;
		size_t stored;
	} part[BH_TRACE_MAX_SECTIONS];
	struct bh_cursor cursor;
	size_t total = 0;

	bh_cursor_init(&cursor, payload, payload_size);
	for (unsigned int i = 0; i < count; i++) {
		struct bh_section *section = &sections_ret[i];
		const char *fault = section_parse(&cursor, section, &part[i].packing, &part[i].data,
						  &part[i].stored);

		if (fault)
			return fault;
		if (i && section->id <= sections_ret[i - 1].id)
			return "the sections of the chunk are out of order";
		total += section->length;
	}
	if (!bh_cursor_is_done(&cursor))
		return "bytes are left over at the end of the chunk";
	if (total > BH_TRACE_CHUNK_MAX_SIZE)
		return "the chunk unpacks to more than allowed";

	scratch->length = 0;
	uint8_t *to = bh_buffer_reserve(scratch, total);
	if (!to)
		return "out of memory";
	for (unsigned int i = 0; i < count; i++) {
		sections_ret[i].bytes = part[i].data;
		if (part[i].packing == STORED)
			continue;
		if (!bh_unpacker_unpack(unpacker, to, sections_ret[i].length, part[i].data,
					part[i].stored))
			return "a section does not unpack";
		sections_ret[i].bytes = to;
		to += sections_ret[i].length;
	}
	return NULL;
}
