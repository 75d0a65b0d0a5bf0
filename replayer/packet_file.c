/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of packets as bytes, for the cache: see packet_table.h. Called by packet_cache.c. The
 * bytes may have been damaged, or put there by somebody else; a hash finds the former, and the
 * decoder trusts nothing.
 *
 *	the header of cache_file.h
 *	strings: count, each sized; number 0 means none, the first is 1
 *	the string that bh_packets_missing() gives
 *	devices: count, each node, device, string
 *	counts of packets, hops, ends
 *	packets, each followed by its hops and its ends
 *	frames: of packets that were never sent, and of hops that are marked as "new"
 *
 * Numbers are varints (FORMAT.md), differences are zigzag-coded.
 */
#include <stdlib.h>
#include <string.h>

#include "replayer/packet_pass.h"
#include "replayer/packet_table.h"

const struct bh_cache_format bh_packet_format = {
	.magic = "bhpacket",
	.version = 4,
	.suffix = ".packets",
	.max_bytes = 2ull << 30,
	.max_files = 200,
};

enum frame_mark { FRAME_NONE, FRAME_NEW, FRAME_BEFORE };

/* --- encoding --- */

static void put(struct bh_buffer *buffer, uint64_t value)
{
	bh_buffer_varint(buffer, value);
}

static void put_difference(struct bh_buffer *buffer, uint64_t value, uint64_t from)
{
	bh_buffer_varint(buffer, bh_zigzag((int64_t)(value - from)));
}

/* Strings of a table are kept once, so the pointer says which it is. */
static void put_string(struct bh_buffer *buffer, const struct bh_packets *packets, const char *text)
{
	uint64_t number = 0;

	for (size_t i = 0; text && !number && i < packets->string_count; i++)
		if (packets->strings[i] == text)
			number = i + 1;
	put(buffer, number);
}

static void put_hop(struct bh_buffer *buffer, const struct bh_packet *packet,
		    const struct bh_packet_hop *hop, const struct bh_packet_hop *before)
{
	int is_before = before && before->frame == hop->frame && before->captured == hop->captured;

	put_difference(buffer, hop->event, before ? before->event : packet->born_event);
	put_difference(buffer, hop->vtime_ns, before ? before->vtime_ns : packet->born_ns);
	put(buffer, hop->node);
	put(buffer, hop->device);
	put(buffer, (uint64_t)hop->hop << 1 | hop->is_tx);
	put(buffer, hop->length);
	put(buffer, is_before ? FRAME_BEFORE : FRAME_NEW);
	if (!is_before)
		put(buffer, hop->captured);
}

static void put_end(struct bh_buffer *buffer, const struct bh_packets *packets,
		    const struct bh_packet *packet, const struct bh_packet_end *end)
{
	put(buffer, end->kind);
	put(buffer, end->node);
	put_difference(buffer, end->event, packet->born_event);
	put_difference(buffer, end->vtime_ns, packet->born_ns);
	put(buffer, bh_zigzag(end->pid));
	put_string(buffer, packets, end->program);
	put_string(buffer, packets, end->reason);
	put_string(buffer, packets, end->function);
}

static void put_packet(struct bh_buffer *buffer, const struct bh_packets *packets,
		       const struct bh_packet *packet, const struct bh_packet *before)
{
	const struct bh_packet_origin *origin = &packet->origin;

	put(buffer, packet->id - (before ? before->id : 0));
	put(buffer, packet->parent ? packet->id - packet->parent : 0);
	put(buffer, packet->id - packet->lineage);
	put(buffer, (uint64_t)packet->relation << 1 | packet->is_guess);
	put_difference(buffer, packet->born_ns, before ? before->born_ns : 0);
	put(buffer, packet->from);
	put(buffer, packet->to == BH_NO_NODE ? 0 : packet->to + 1ull);
	put(buffer, (uint64_t)origin->kind << 1 | origin->is_guess);
	put_difference(buffer, origin->event, packet->born_event);
	put_difference(buffer, origin->vtime_ns, packet->born_ns);
	put(buffer, bh_zigzag(origin->pid));
	put_string(buffer, packets, origin->program);
	put_string(buffer, packets, origin->call);
	put(buffer, packet->hop_count);
	put(buffer, packet->end_count);
	if (!packet->hop_count) {
		put(buffer, packet->length);
		put(buffer, packet->captured);
	}
	for (size_t i = 0; i < packet->hop_count; i++)
		put_hop(buffer, packet, &packet->hops[i], i ? &packet->hops[i - 1] : NULL);
	for (size_t i = 0; i < packet->end_count; i++)
		put_end(buffer, packets, packet, &packet->ends[i]);
}

static void put_frames(struct bh_buffer *buffer, const struct bh_packet *packet)
{
	if (!packet->hop_count)
		bh_buffer_bytes(buffer, packet->frame, packet->captured);
	for (size_t i = 0; i < packet->hop_count; i++) {
		const struct bh_packet_hop *hop = &packet->hops[i], *before = hop - 1;

		if (!i || before->frame != hop->frame || before->captured != hop->captured)
			bh_buffer_bytes(buffer, hop->frame, hop->captured);
	}
}

void bh_packets_encode(const struct bh_packets *packets, const uint8_t key[16],
		       struct bh_buffer *buffer_ret)
{
	bh_cache_file_begin(&bh_packet_format, key, buffer_ret);
	put(buffer_ret, packets->string_count);
	for (size_t i = 0; i < packets->string_count; i++)
		bh_buffer_string(buffer_ret, packets->strings[i]);
	put_string(buffer_ret, packets, packets->missing);
	put(buffer_ret, packets->device_count);
	for (size_t i = 0; i < packets->device_count; i++) {
		put(buffer_ret, packets->devices[i].node);
		put(buffer_ret, packets->devices[i].device);
		put_string(buffer_ret, packets, packets->devices[i].name);
	}
	put(buffer_ret, packets->count);
	put(buffer_ret, packets->hop_count);
	put(buffer_ret, packets->end_count);
	for (size_t i = 0; i < packets->count; i++)
		put_packet(buffer_ret, packets, &packets->packets[i],
			   i ? &packets->packets[i - 1] : NULL);
	for (size_t i = 0; i < packets->count; i++)
		put_frames(buffer_ret, &packets->packets[i]);
	bh_cache_file_end(buffer_ret);
}

/* --- decoding --- */

struct decoder {
	struct bh_cursor cursor;
	struct bh_packets *packets;
	uint64_t node_count, event_count;
	size_t hop_room, end_room;
	/* How many bytes of frames each hop has to come, in captured; NULL frames are filled in
	 * when the place of the frames is known. */
};

static uint64_t get(struct decoder *decoder)
{
	return bh_cursor_varint(&decoder->cursor);
}

/* At most limit; more is a failure. */
static uint64_t get_bounded(struct decoder *decoder, uint64_t limit)
{
	uint64_t value = get(decoder);

	if (value <= limit)
		return value;
	decoder->cursor.failed = 1;
	return 0;
}

static uint64_t get_difference(struct decoder *decoder, uint64_t from)
{
	return from + (uint64_t)bh_unzigzag(get(decoder));
}

static uint64_t get_event(struct decoder *decoder, uint64_t from)
{
	uint64_t event = get_difference(decoder, from);

	if (event <= decoder->event_count)
		return event;
	decoder->cursor.failed = 1;
	return 0;
}

static uint32_t get_node(struct decoder *decoder)
{
	return decoder->node_count ? (uint32_t)get_bounded(decoder, decoder->node_count - 1) : 0;
}

static const char *get_string(struct decoder *decoder)
{
	uint64_t number = get_bounded(decoder, decoder->packets->string_count);

	return number ? decoder->packets->strings[number - 1] : NULL;
}

/* How many there are of something that takes at least so many bytes each. */
static size_t get_count(struct decoder *decoder, size_t least)
{
	return (size_t)get_bounded(decoder, bh_cursor_left(&decoder->cursor) / least);
}

static void get_strings(struct decoder *decoder)
{
	struct bh_packets *packets = decoder->packets;
	size_t count = get_count(decoder, 1);

	packets->strings = calloc(count + 1, sizeof(*packets->strings));
	if (!packets->strings) {
		decoder->cursor.failed = 1;
		return;
	}
	for (size_t i = 0; i < count && !decoder->cursor.failed; i++) {
		size_t length = get_count(decoder, 1);
		const char *text = bh_cursor_bytes(&decoder->cursor, length);

		if (!text || !(packets->strings[i] = strndup(text, length)))
			decoder->cursor.failed = 1;
		else
			packets->string_count++;
	}
}

static void get_devices(struct decoder *decoder)
{
	struct bh_packets *packets = decoder->packets;
	size_t count = get_count(decoder, 3);

	packets->devices = calloc(count + 1, sizeof(*packets->devices));
	if (!packets->devices) {
		decoder->cursor.failed = 1;
		return;
	}
	for (size_t i = 0; i < count && !decoder->cursor.failed; i++) {
		struct bh_packet_device *device = &packets->devices[packets->device_count++];

		device->node = get_node(decoder);
		device->device = (uint32_t)get_bounded(decoder, UINT32_MAX);
		device->name = get_string(decoder);
	}
}

static void get_hop(struct decoder *decoder, const struct bh_packet *packet,
		    const struct bh_packet_hop *before)
{
	struct bh_packet_hop *hop = &decoder->packets->hops[decoder->packets->hop_count++];
	uint64_t number;

	hop->event = get_event(decoder, before ? before->event : packet->born_event);
	hop->vtime_ns = get_difference(decoder, before ? before->vtime_ns : packet->born_ns);
	hop->node = get_node(decoder);
	hop->device = (uint32_t)get_bounded(decoder, UINT32_MAX);
	number = get_bounded(decoder, UINT32_MAX);
	hop->hop = (uint32_t)(number >> 1);
	hop->is_tx = number & 1;
	hop->length = (uint32_t)get_bounded(decoder, UINT32_MAX);
	number = get_bounded(decoder, FRAME_BEFORE);
	if (number == FRAME_NEW)
		hop->captured = (uint32_t)get_bounded(decoder, BH_PACKET_SNAP);
	else if (number == FRAME_BEFORE && before)
		hop->captured = UINT32_MAX; /* replaced by get_frames() */
	else
		decoder->cursor.failed = 1;
}

static void get_end(struct decoder *decoder, const struct bh_packet *packet)
{
	struct bh_packet_end *end = &decoder->packets->ends[decoder->packets->end_count++];

	end->kind = (uint8_t)get_bounded(decoder, BH_PACKET_END_COUNT - 1);
	end->node = get_node(decoder);
	end->event = get_event(decoder, packet->born_event);
	end->vtime_ns = get_difference(decoder, packet->born_ns);
	end->pid = bh_unzigzag(get(decoder));
	end->program = get_string(decoder);
	end->reason = get_string(decoder);
	end->function = get_string(decoder);
}

static void get_origin(struct decoder *decoder, struct bh_packet *packet)
{
	struct bh_packet_origin *origin = &packet->origin;
	uint64_t number = get_bounded(decoder, BH_ORIGIN_COUNT * 2 - 1);

	origin->kind = (uint8_t)(number >> 1);
	origin->is_guess = number & 1;
	origin->event = get_event(decoder, packet->born_event);
	origin->vtime_ns = get_difference(decoder, packet->born_ns);
	origin->pid = bh_unzigzag(get(decoder));
	origin->program = get_string(decoder);
	origin->call = get_string(decoder);
}

static void get_packet(struct decoder *decoder, const struct bh_packet *before)
{
	struct bh_packets *packets = decoder->packets;
	struct bh_packet *packet = &packets->packets[packets->count++];
	uint64_t last = before ? before->id : 0, number;

	/* Ids are event numbers and go up. */
	number = get_bounded(decoder, decoder->event_count - last);
	if (!number)
		decoder->cursor.failed = 1;
	packet->id = packet->born_event = last + number;
	number = get_bounded(decoder, packet->id - 1);
	packet->parent = number ? packet->id - number : 0;
	packet->lineage = packet->id - get_bounded(decoder, packet->id);
	number = get_bounded(decoder, BH_PACKET_RELATION_COUNT * 2 - 1);
	packet->relation = (uint8_t)(number >> 1);
	packet->is_guess = number & 1;
	packet->born_ns = get_difference(decoder, before ? before->born_ns : 0);
	packet->from = get_node(decoder);
	number = get_bounded(decoder, decoder->node_count);
	packet->to = number ? (uint32_t)number - 1 : BH_NO_NODE;
	get_origin(decoder, packet);
	packet->hops = &packets->hops[packets->hop_count];
	packet->ends = &packets->ends[packets->end_count];
	packet->hop_count = get_bounded(decoder, decoder->hop_room - packets->hop_count);
	packet->end_count = get_bounded(decoder, decoder->end_room - packets->end_count);
	if (!packet->end_count)
		decoder->cursor.failed = 1;
	if (!packet->hop_count) {
		packet->length = (uint32_t)get_bounded(decoder, UINT32_MAX);
		packet->captured = (uint32_t)get_bounded(decoder, BH_PACKET_SNAP);
	}
	for (size_t i = 0; i < packet->hop_count && !decoder->cursor.failed; i++)
		get_hop(decoder, packet, i ? &packet->hops[i - 1] : NULL);
	for (size_t i = 0; i < packet->end_count && !decoder->cursor.failed; i++)
		get_end(decoder, packet);
}

static void get_frames(struct decoder *decoder, struct bh_packet *packet)
{
	struct bh_packet_hop *hops =
		decoder->packets->hops + (packet->hops - decoder->packets->hops);

	if (!packet->hop_count)
		packet->frame = bh_cursor_bytes(&decoder->cursor, packet->captured);
	for (size_t i = 0; i < packet->hop_count && !decoder->cursor.failed; i++) {
		if (hops[i].captured != UINT32_MAX) {
			hops[i].frame = bh_cursor_bytes(&decoder->cursor, hops[i].captured);
			continue;
		}
		hops[i].frame = hops[i - 1].frame;
		hops[i].captured = hops[i - 1].captured;
	}
	if (!packet->hop_count)
		return;
	packet->frame = hops[0].frame;
	packet->captured = hops[0].captured;
	packet->length = hops[0].length;
}

static void get_table(struct decoder *decoder)
{
	struct bh_packets *packets = decoder->packets;

	get_strings(decoder);
	if (decoder->cursor.failed)
		return;
	decoder->packets->missing = get_string(decoder);
	get_devices(decoder);
	size_t count = get_count(decoder, 14);

	decoder->hop_room = get_count(decoder, 7);
	decoder->end_room = get_count(decoder, 8);
	if (decoder->cursor.failed)
		return;
	packets->packets = calloc(count + 1, sizeof(*packets->packets));
	packets->hops = calloc(decoder->hop_room + 1, sizeof(*packets->hops));
	packets->ends = calloc(decoder->end_room + 1, sizeof(*packets->ends));
	if (!packets->packets || !packets->hops || !packets->ends) {
		decoder->cursor.failed = 1;
		return;
	}
	for (size_t i = 0; i < count && !decoder->cursor.failed; i++)
		get_packet(decoder, i ? &packets->packets[i - 1] : NULL);
	for (size_t i = 0; i < count && !decoder->cursor.failed; i++)
		get_frames(decoder, &packets->packets[i]);
}

struct bh_error *bh_packets_decode(const struct bh_trace *trace, const uint8_t key[16],
				   const uint8_t *bytes, size_t length,
				   struct bh_packets **packets_ret)
{
	struct decoder decoder = {
		.packets = calloc(1, sizeof(*decoder.packets)),
		.node_count = bh_trace_node_count(trace),
		.event_count = bh_trace_event_count(trace),
	};

	if (!decoder.packets)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	decoder.packets->trace = trace;
	bh_cursor_init(&decoder.cursor, bytes, length);
	bh_cursor_bytes(&decoder.cursor, BH_CACHE_HEADER_BYTES);
	if (!bh_cache_file_is(&bh_packet_format, key, bytes, length))
		decoder.cursor.failed = 1;
	else
		get_table(&decoder);
	if (!bh_cursor_is_done(&decoder.cursor)) {
		bh_packets_destroy(decoder.packets);
		return bh_error_new(BH_ERR_INPUT, "the table of packets is damaged");
	}
	*packets_ret = decoder.packets;
	return NULL;
}
