/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The key of a run in the caches: see trace.h. Called by recorder/ and replayer/, and what is here
 * for both by the writer and the reader.
 */
#include "common/cursor.h"
#include "common/hash.h"
#include "traces/chunk.h"
#include "traces/trace.h"

uint64_t bh_events_hash_add(uint64_t hash, const struct bh_chunk_header *header)
{
	const uint64_t hashes[] = {hash, header->first, header->checksum};

	return bh_hash64(hashes, sizeof(hashes));
}

void bh_key_add_input(struct bh_buffer *inputs, const struct bh_trace_input *input)
{
	if (input->role == BH_TRACE_SCENARIO || input->role == BH_TRACE_KERNEL)
		bh_buffer_bytes(inputs, input->hash, sizeof(input->hash));
}

void bh_key_make(uint64_t events_hash, uint64_t event_count, const struct bh_buffer *inputs,
		 uint8_t key_ret[16])
{
	struct bh_buffer buffer = {0};

	bh_buffer_u64(&buffer, events_hash);
	bh_buffer_u64(&buffer, event_count);
	bh_buffer_bytes(&buffer, inputs->bytes, inputs->length);
	bh_hash128(buffer.bytes, buffer.length, key_ret);
	bh_buffer_free(&buffer);
}

void bh_trace_key(const struct bh_trace *trace, uint8_t key_ret[16])
{
	struct bh_buffer inputs = {0};

	for (size_t i = 0; i < bh_trace_input_count(trace); i++)
		bh_key_add_input(&inputs, bh_trace_input(trace, i));
	bh_key_make(bh_trace_events_hash(trace), bh_trace_event_count(trace), &inputs, key_ret);
	bh_buffer_free(&inputs);
}
