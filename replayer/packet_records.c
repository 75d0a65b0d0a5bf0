/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads what a pass over the trace saw (packet_pass.h) into the table that is being made: see
 * packet_builder.h. The stream comes from a process that may have run a stranger's trace. */
#include "common/hash.h"
#include "posix/posix.h"
#include "replayer/packet_builder.h"

#define NAME_MAX_BYTES 64u

static struct bh_error *bad_stream(void)
{
	return bh_error_new(BH_ERR_INTERNAL, "the replay told something malformed");
}

static uint64_t get(struct builder *builder)
{
	return bh_cursor_varint(&builder->stream);
}

static uint32_t get_node(struct builder *builder)
{
	uint64_t node = get(builder);

	if (node < bh_trace_node_count(builder->trace))
		return (uint32_t)node;
	builder->stream.failed = 1;
	return 0;
}

/* Kept in the table. */
static const char *get_name(struct builder *builder)
{
	uint64_t length = get(builder);
	const char *name =
		length < NAME_MAX_BYTES ? bh_cursor_bytes(&builder->stream, length) : NULL;

	if (name)
		return bh_packets_keep(builder->table, name, length);
	builder->stream.failed = 1;
	return NULL;
}

void bh_builder_next_record(struct builder *builder)
{
	builder->has_record = bh_cursor_left(&builder->stream) > 0 && !builder->stream.failed;
	if (!builder->has_record)
		return;
	builder->type = bh_cursor_u8(&builder->stream);
	builder->record_event = get(builder);
}

/* --- before an event --- */

static struct bh_error *read_device(struct builder *builder)
{
	struct bh_packets *table = builder->table;
	uint32_t node = get_node(builder);
	uint64_t device = get(builder);
	const char *name = get_name(builder);

	if (builder->stream.failed || device > 1000)
		return bad_stream();
	struct bh_packet_device *devices =
		realloc(table->devices, (table->device_count + 1) * sizeof(*devices));

	if (!devices)
		return bh_builder_no_memory();
	table->devices = devices;
	devices[table->device_count++] = (struct bh_packet_device){node, (uint32_t)device, name};
	return NULL;
}

static struct bh_error *read_missing(struct builder *builder)
{
	uint64_t length = get(builder);
	const char *path = bh_cursor_bytes(&builder->stream, length);

	if (!path)
		return bad_stream();
	builder->is_blind = 1;
	if (!builder->table->missing)
		builder->table->missing = bh_packets_keep(builder->table, path, length);
	return NULL;
}

static struct bh_error *read_frame(struct builder *builder)
{
	builder->mark = get(builder);
	builder->length = builder->type == BH_PASS_UNSENT ? get(builder) : 0;
	uint64_t length = get(builder);

	builder->frame =
		length <= BH_PACKET_SNAP ? bh_cursor_bytes(&builder->stream, length) : NULL;
	builder->captured = (uint32_t)length;
	return builder->frame ? NULL : bad_stream();
}

static uint64_t mark_key(uint64_t mark)
{
	const uint64_t words[] = {mark, 3};
	uint64_t hash = bh_hash64(words, sizeof(words));

	return hash ? hash : 1;
}

struct build_mark *bh_builder_mark(struct builder *builder, uint64_t mark)
{
	uint32_t number = mark ? bh_builder_key_find(builder, mark_key(mark)) : NONE;

	return number == NONE ? NULL : &builder->marks[number];
}

static struct bh_error *read_mark(struct builder *builder)
{
	uint64_t mark = get(builder), kind = get(builder);
	struct build_mark is = {.packet = NONE};

	is.origin.event = get(builder);
	is.origin.vtime_ns = get(builder);
	is.node = get_node(builder);
	is.origin.pid = (int32_t)get(builder);
	uint64_t call = get(builder);

	is.part_of = get(builder);
	is.origin.program = get_name(builder);
	if (builder->stream.failed || kind >= BH_ORIGIN_COUNT ||
	    is.origin.event > builder->event_count)
		return bad_stream();
	is.origin.kind = (uint8_t)kind;
	if (call)
		is.origin.call = bh_builder_keep(builder, bh_posix_call_name(call - 1));
	if (!bh_builder_room((void **)&builder->marks, builder->mark_count, &builder->mark_room,
			     sizeof(*builder->marks)))
		return bh_builder_no_memory();
	builder->marks[builder->mark_count] = is;
	bh_builder_key_set(builder, mark_key(mark), (uint32_t)builder->mark_count++);
	return NULL;
}

struct bh_error *bh_builder_records_before(struct builder *builder, uint64_t event)
{
	builder->frame = NULL;
	builder->captured = 0;
	builder->mark = builder->length = 0;
	while (builder->has_record && builder->record_event <= event) {
		if (builder->type == BH_PASS_DEVICE)
			BH_TRY(read_device(builder));
		else if (builder->type == BH_PASS_MISSING)
			BH_TRY(read_missing(builder));
		else if (builder->type == BH_PASS_MARK)
			BH_TRY(read_mark(builder));
		else if ((builder->type == BH_PASS_FRAME || builder->type == BH_PASS_UNSENT) &&
			 builder->record_event == event)
			BH_TRY(read_frame(builder));
		else
			break;
		bh_builder_next_record(builder);
	}
	return builder->stream.failed ? bad_stream() : NULL;
}

/* --- during an event --- */

static void set_reader(struct builder *builder, struct build_hop *hop, enum reader reader,
		       const struct bh_packet_end *end)
{
	if (hop->reader >= reader)
		return;
	hop->reader = (uint8_t)reader;
	if (reader == READER_PROGRAM)
		hop->end = bh_builder_end_create(builder, end);
}

/* The fragments that a router made of a packet arrive with one lineage, and are read as one. */
static void see_read(struct builder *builder, const struct bh_event *event)
{
	uint64_t lineage = get(builder);
	uint32_t node = get_node(builder);
	struct bh_packet_end end = {
		.kind = BH_PACKET_DELIVERED,
		.node = node,
		.event = event->event,
		.vtime_ns = event->vtime_ns,
		.pid = (int32_t)get(builder),
		.program = get_name(builder),
	};
	int is_copy = bh_cursor_u8(&builder->stream);
	uint32_t hop = bh_builder_arrival(builder, lineage, node);
	int is_first = 1;

	for (; hop != NONE; hop = builder->hops[hop].previous) {
		struct build_hop *arrival = &builder->hops[hop];
		unsigned int relation = builder->packets[arrival->packet].packet.relation;

		if (arrival->hop.node == node && (is_first || relation == BH_PACKET_FRAGMENT))
			set_reader(builder, arrival, is_copy ? READER_CAPTURE : READER_PROGRAM,
				   &end);
		is_first = 0;
	}
}

static void see_merged(struct builder *builder)
{
	uint64_t from = get(builder), to = get(builder);
	uint32_t node = get_node(builder);
	uint32_t arrival = bh_builder_arrival(builder, from, node);

	if (arrival != NONE)
		builder->hops[arrival].merged = bh_builder_arrival(builder, to, node);
}

static void see_freed(struct builder *builder)
{
	uint64_t lineage = get(builder);
	uint32_t node = get_node(builder);
	uint32_t hop = bh_builder_arrival(builder, lineage, node);

	for (; hop != NONE; hop = builder->hops[hop].previous)
		if (builder->hops[hop].hop.node == node)
			builder->hops[hop].freed = 1;
}

/* The last of its frames that the node received and that isn't known to be ignored. */
static void see_ignored(struct builder *builder, uint64_t number)
{
	uint64_t lineage = get(builder);
	uint32_t node = get_node(builder);
	uint32_t hop = bh_builder_arrival(builder, lineage, node);

	for (; hop != NONE; hop = builder->hops[hop].previous)
		if (builder->hops[hop].hop.node == node && builder->hops[hop].hop.event <= number)
			break;
	if (hop != NONE)
		builder->hops[hop].ignored = 1;
}

struct bh_error *bh_builder_records_during(struct builder *builder, const struct bh_event *event)
{
	while (builder->has_record && builder->record_event <= event->event) {
		if (builder->type == BH_PASS_READ)
			see_read(builder, event);
		else if (builder->type == BH_PASS_MERGED)
			see_merged(builder);
		else if (builder->type == BH_PASS_FREED)
			see_freed(builder);
		else if (builder->type == BH_PASS_IGNORED)
			see_ignored(builder, builder->record_event);
		else
			return bad_stream();
		bh_builder_next_record(builder);
	}
	return builder->stream.failed ? bad_stream() : NULL;
}
