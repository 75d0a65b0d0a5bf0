/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The key of a run in the caches: see trace.h. Called by recorder/ and replayer/. */
#include "common/cursor.h"
#include "common/hash.h"
#include "traces/trace.h"

void bh_trace_key(const struct bh_trace *trace, uint8_t key_ret[16])
{
	struct bh_buffer buffer = {0};

	bh_buffer_u64(&buffer, bh_trace_events_hash(trace));
	bh_buffer_u64(&buffer, bh_trace_event_count(trace));
	for (size_t i = 0; i < bh_trace_input_count(trace); i++) {
		const struct bh_trace_input *input = bh_trace_input(trace, i);

		if (input->role == BH_TRACE_SCENARIO || input->role == BH_TRACE_KERNEL)
			bh_buffer_bytes(&buffer, input->hash, sizeof(input->hash));
	}
	bh_hash128(buffer.bytes, buffer.length, key_ret);
	bh_buffer_free(&buffer);
}
