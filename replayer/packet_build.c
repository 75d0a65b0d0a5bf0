/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the table of packets of a trace's events and what a pass over it saw: see packets.h. Called
 * by packet_cache.c. Events and records are gone through side by side, both in the order in which
 * they happened. What the words mean is in docs/packets.md.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replayer/drop_names.h"
#include "replayer/packet_pass.h"
#include "replayer/packet_table.h"

#define NONE UINT32_MAX

/* What became of a frame that a node has received. */
enum branch { BRANCH_OPEN, BRANCH_WENT_ON, BRANCH_CHANGED, BRANCH_DROPPED, BRANCH_LOST };

struct build_hop {
	struct bh_packet_hop hop;
	uint32_t packet;
	uint32_t next;	   /* hop of the same packet */
	uint32_t previous; /* RX with the same lineage */
	uint8_t branch;
	uint8_t arrived;     /* of a TX: an RX or LOST tells of it */
	const char *changed; /* what it became, of BRANCH_CHANGED */
};

struct build_packet {
	struct bh_packet packet;
	uint32_t first_hop, last_hop, last_tx;
	uint32_t last_received; /* of the lineage that it began */
	uint32_t first_end, last_end;
};

struct build_end {
	struct bh_packet_end end;
	uint32_t next;
};

/* Newest packet with a key. */
struct keys {
	struct {
		uint64_t key;
		uint32_t packet;
	} * slots;
	size_t size, used;
};

struct builder {
	const struct bh_trace *trace;
	struct bh_packets *table;
	struct bh_drop_names *names;
	struct build_packet *packets;
	size_t packet_count, packet_room;
	struct build_hop *hops;
	size_t hop_count, hop_room;
	struct build_end *ends;
	size_t end_count, end_room;
	struct keys keys;
	uint32_t *hop_of_event;
	uint64_t event_count;
	/* The next record. */
	struct bh_cursor stream;
	uint8_t type;
	uint64_t record_event;
	int has_record, is_out_of_memory;
	/* What records said of the event that is next. */
	uint64_t mark;
	const uint8_t *frame;
	uint32_t captured;
};

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory for the packets of the run");
}

/* --- growing arrays --- */

static int make_room(void **array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return 1;
	size_t wanted = *room ? *room * 2 : 1024;
	void *grown = wanted < NONE ? realloc(*array, wanted * size) : NULL;

	if (!grown)
		return 0;
	*array = grown;
	*room = wanted;
	return 1;
}

static uint32_t add_packet(struct builder *builder)
{
	if (!make_room((void **)&builder->packets, builder->packet_count, &builder->packet_room,
		       sizeof(*builder->packets))) {
		builder->is_out_of_memory = 1;
		return NONE;
	}
	struct build_packet *packet = &builder->packets[builder->packet_count];

	memset(packet, 0, sizeof(*packet));
	packet->first_hop = packet->last_hop = packet->last_tx = NONE;
	packet->last_received = packet->first_end = packet->last_end = NONE;
	return (uint32_t)builder->packet_count++;
}

static uint32_t add_hop(struct builder *builder, uint32_t owner, const struct bh_event *event)
{
	if (owner == NONE || !make_room((void **)&builder->hops, builder->hop_count,
					&builder->hop_room, sizeof(*builder->hops))) {
		builder->is_out_of_memory |= owner != NONE;
		return NONE;
	}
	uint32_t number = (uint32_t)builder->hop_count++;
	struct build_packet *packet = &builder->packets[owner];

	builder->hops[number] = (struct build_hop){
		.hop = {.event = event->event,
			.vtime_ns = event->vtime_ns,
			.node = event->node,
			.device = event->device,
			.hop = event->hop,
			.is_tx = event->kind == BH_EVENT_TX,
			.length = event->length},
		.packet = owner,
		.next = NONE,
		.previous = NONE,
	};
	if (packet->last_hop == NONE)
		packet->first_hop = number;
	else
		builder->hops[packet->last_hop].next = number;
	packet->last_hop = number;
	if (event->kind == BH_EVENT_TX)
		packet->last_tx = number;
	builder->hop_of_event[event->event] = number;
	return number;
}

static void add_end(struct builder *builder, uint32_t owner, const struct bh_packet_end *end)
{
	struct build_packet *packet = &builder->packets[owner];

	if (!make_room((void **)&builder->ends, builder->end_count, &builder->end_room,
		       sizeof(*builder->ends))) {
		builder->is_out_of_memory = 1;
		return;
	}
	uint32_t number = (uint32_t)builder->end_count++;

	builder->ends[number] = (struct build_end){.end = *end, .next = NONE};
	if (packet->last_end == NONE)
		packet->first_end = number;
	else
		builder->ends[packet->last_end].next = number;
	packet->last_end = number;
}

/* --- keys --- */

static size_t key_slot(const struct keys *keys, uint64_t key)
{
	size_t slot = key & (keys->size - 1);

	while (keys->slots[slot].key && keys->slots[slot].key != key)
		slot = (slot + 1) & (keys->size - 1);
	return slot;
}

static uint32_t key_find(const struct keys *keys, uint64_t key)
{
	if (!key || !keys->size)
		return NONE;
	size_t slot = key_slot(keys, key);

	return keys->slots[slot].key ? keys->slots[slot].packet : NONE;
}

static int keys_grow(struct keys *keys)
{
	struct keys grown = {.size = keys->size ? keys->size * 2 : 1024};

	grown.slots = calloc(grown.size, sizeof(*grown.slots));
	if (!grown.slots)
		return 0;
	for (size_t i = 0; i < keys->size; i++) {
		if (!keys->slots[i].key)
			continue;
		grown.slots[key_slot(&grown, keys->slots[i].key)] = keys->slots[i];
		grown.used++;
	}
	free(keys->slots);
	*keys = grown;
	return 1;
}

static void key_set(struct builder *builder, uint64_t key, uint32_t packet)
{
	struct keys *keys = &builder->keys;

	if (!key)
		return;
	if (keys->used * 2 >= keys->size && !keys_grow(keys)) {
		builder->is_out_of_memory = 1;
		return;
	}
	size_t slot = key_slot(keys, key);

	keys->used += !keys->slots[slot].key;
	keys->slots[slot].key = key;
	keys->slots[slot].packet = packet;
}

/* --- records --- */

static struct bh_error *bad_stream(void)
{
	return bh_error_new(BH_ERR_INTERNAL, "the replay told something malformed");
}

static void next_record(struct builder *builder)
{
	builder->has_record = bh_cursor_left(&builder->stream) > 0 && !builder->stream.failed;
	if (!builder->has_record)
		return;
	builder->type = bh_cursor_u8(&builder->stream);
	builder->record_event = bh_cursor_varint(&builder->stream);
}

static struct bh_error *read_device(struct builder *builder)
{
	struct bh_packets *table = builder->table;
	uint64_t node = bh_cursor_varint(&builder->stream);
	uint64_t device = bh_cursor_varint(&builder->stream);
	uint64_t length = bh_cursor_varint(&builder->stream);
	const char *name = length < 64 ? bh_cursor_bytes(&builder->stream, length) : NULL;

	if (!name || node >= bh_trace_node_count(builder->trace) || device > 1000)
		return bad_stream();
	struct bh_packet_device *devices =
		realloc(table->devices, (table->device_count + 1) * sizeof(*devices));

	if (!devices)
		return out_of_memory();
	table->devices = devices;
	devices[table->device_count++] = (struct bh_packet_device){
		(uint32_t)node, (uint32_t)device, bh_packets_keep(table, name, length)};
	return NULL;
}

static struct bh_error *read_frame(struct builder *builder)
{
	builder->mark = bh_cursor_varint(&builder->stream);
	uint64_t length = bh_cursor_varint(&builder->stream);

	builder->frame =
		length <= BH_PACKET_SNAP ? bh_cursor_bytes(&builder->stream, length) : NULL;
	builder->captured = (uint32_t)length;
	return builder->frame ? NULL : bad_stream();
}

/* All records up to this event, included. */
static struct bh_error *read_records(struct builder *builder, uint64_t event)
{
	builder->frame = NULL;
	builder->captured = 0;
	builder->mark = 0;
	while (builder->has_record && builder->record_event <= event) {
		if (builder->type == BH_PASS_DEVICE)
			BH_TRY(read_device(builder));
		else if (builder->type == BH_PASS_FRAME && builder->record_event == event)
			BH_TRY(read_frame(builder));
		else
			return bad_stream();
		next_record(builder);
	}
	return builder->stream.failed ? bad_stream() : NULL;
}

/* --- frames --- */

static void layers_of(const struct build_hop *hop, struct bh_frame_layers *layers_ret)
{
	bh_frame_layers_read(hop->hop.frame, hop->hop.captured, hop->hop.length, layers_ret);
}

/* A hop whose frame differs only by what every hop changes needs no bytes of its own. */
static void set_frame(struct builder *builder, uint32_t number, uint32_t before)
{
	struct bh_packet_hop *hop = &builder->hops[number].hop;

	hop->frame = builder->frame;
	hop->captured = builder->captured;
	if (before == NONE || !hop->frame)
		return;
	const struct bh_packet_hop *last = &builder->hops[before].hop;

	if (last->length == hop->length && last->captured == hop->captured &&
	    bh_packet_is_unchanged(last->frame, hop->frame, hop->captured))
		hop->frame = last->frame;
}

/* --- packets --- */

static uint32_t begin_packet(struct builder *builder, const struct bh_event *event, uint32_t parent,
			     enum bh_packet_relation relation, int is_guess)
{
	uint32_t number = add_packet(builder);

	if (number == NONE)
		return NONE;
	struct bh_packet *packet = &builder->packets[number].packet;

	packet->id = packet->born_event = event->event;
	packet->born_ns = event->vtime_ns;
	packet->lineage = event->packet ? event->packet : event->event;
	packet->from = event->node;
	packet->to = BH_NO_NODE;
	if (parent != NONE) {
		packet->parent = builder->packets[parent].packet.id;
		packet->relation = (uint8_t)relation;
		packet->is_guess = (uint8_t)is_guess;
	}
	return number;
}

static uint32_t packet_number(const struct builder *builder, uint64_t id)
{
	return id ? builder->hops[builder->hop_of_event[id]].packet : NONE;
}

/* The packet of an event that was received, or NONE. */
static uint32_t packet_received(const struct builder *builder, uint64_t event)
{
	uint32_t hop = event ? builder->hop_of_event[event] : NONE;

	return hop == NONE || builder->hops[hop].hop.is_tx ? NONE : builder->hops[hop].packet;
}

/* The newest arrival of a lineage at a node. */
static uint32_t find_arrival(const struct builder *builder, uint64_t lineage, uint32_t node)
{
	uint32_t hop =
		lineage && lineage <= builder->event_count ? builder->hop_of_event[lineage] : NONE;

	if (hop == NONE)
		return NONE;
	hop = builder->packets[builder->hops[hop].packet].last_received;
	while (hop != NONE && builder->hops[hop].hop.node != node)
		hop = builder->hops[hop].previous;
	return hop;
}

/* A fragment that isn't the first belongs to the packet that the first one does. */
static uint32_t find_first_fragment(const struct builder *builder, uint64_t key)
{
	uint32_t first = key_find(&builder->keys, key);

	if (first == NONE || builder->packets[first].packet.relation != BH_PACKET_FRAGMENT)
		return first;
	return packet_number(builder, builder->packets[first].packet.parent);
}

static void describe_origin(struct builder *builder, struct bh_packet *packet,
			    const struct bh_event *event)
{
	struct bh_event cause;
	struct bh_packet_origin *origin = &packet->origin;

	origin->event = event->event;
	origin->vtime_ns = event->vtime_ns;
	if (!event->cause)
		return;
	struct bh_error *error = bh_trace_event(builder->trace, event->cause, &cause);

	if (error) {
		bh_error_free(error);
		return;
	}
	origin->kind = cause.kind == BH_EVENT_RX      ? BH_ORIGIN_RECEIVE
		       : cause.kind == BH_EVENT_TIMER ? BH_ORIGIN_TIMER
						      : BH_ORIGIN_OTHER;
	origin->event = cause.event;
	origin->vtime_ns = cause.vtime_ns;
}

/* A frame that came over no link. */
static struct bh_error *see_born(struct builder *builder, const struct bh_event *event)
{
	struct bh_frame_layers layers;
	int is_first = 0, is_guess = 0;
	uint32_t parent = NONE;
	enum bh_packet_relation relation = BH_PACKET_ALONE;

	bh_frame_layers_read(builder->frame, builder->captured, event->length, &layers);
	uint64_t datagram = bh_packet_datagram_key(&layers, event->node, &is_first);
	uint64_t segment = bh_packet_segment_key(&layers, event->node);

	if (datagram && !is_first) {
		parent = find_first_fragment(builder, datagram);
		relation = BH_PACKET_FRAGMENT;
	}
	if (parent == NONE) {
		parent = key_find(&builder->keys, segment);
		relation = BH_PACKET_RETRANSMISSION;
	}
	if (parent == NONE) {
		parent = packet_received(builder, event->cause);
		relation = BH_PACKET_REPLY;
		is_guess = 1;
	}
	uint32_t number = begin_packet(builder, event, parent, relation, is_guess);
	uint32_t hop = add_hop(builder, number, event);

	if (hop == NONE)
		return out_of_memory();
	set_frame(builder, hop, NONE);
	describe_origin(builder, &builder->packets[number].packet, event);
	if (is_first)
		key_set(builder, datagram, number);
	key_set(builder, segment, number);
	return NULL;
}

/* Which of the packet and those that it came from the frame is again: it has left a tunnel, or its
 * fragments were put together. NONE: none of them. */
static uint32_t find_again(const struct builder *builder, uint32_t packet,
			   const struct bh_frame_layers *sent)
{
	struct bh_frame_layers layers;

	while (packet != NONE) {
		const struct build_packet *candidate = &builder->packets[packet];
		unsigned int relation = candidate->packet.relation;

		if (relation != BH_PACKET_FRAGMENT && relation != BH_PACKET_ENCAPSULATED &&
		    relation != BH_PACKET_COPY)
			return NONE;
		packet = packet_number(builder, candidate->packet.parent);
		if (builder->packets[packet].last_tx == NONE)
			return NONE;
		layers_of(&builder->hops[builder->packets[packet].last_tx], &layers);
		if (relation != BH_PACKET_COPY && bh_packet_is_same(&layers, sent))
			return packet;
	}
	return NONE;
}

static void mark_changed(struct builder *builder, uint32_t arrival, const char *what)
{
	struct build_hop *hop = &builder->hops[arrival];

	if (hop->branch == BRANCH_OPEN || hop->branch == BRANCH_DROPPED) {
		hop->branch = BRANCH_CHANGED;
		hop->changed = what;
	}
}

/* A child that a node made of what arrived. */
static uint32_t begin_changed(struct builder *builder, const struct bh_event *event,
			      uint32_t arrival, enum bh_packet_relation relation, const char *what)
{
	uint32_t parent = builder->hops[arrival].packet;

	if (relation != BH_PACKET_COPY)
		mark_changed(builder, arrival, what);
	return begin_packet(builder, event, parent, relation, 0);
}

static uint32_t decide(struct builder *builder, const struct bh_event *event, uint32_t arrival,
		       const struct bh_frame_layers *sent, uint64_t datagram, int is_first)
{
	const struct build_hop *hop = &builder->hops[arrival];
	struct bh_frame_layers received;

	layers_of(hop, &received);
	enum bh_packet_change change = bh_packet_change(&received, sent);

	/* A later fragment of what went into a tunnel shows no tunnel any more. */
	if (datagram && !is_first &&
	    !(sent->ips[0].is_fragment && received.ip_count && received.ips[0].is_fragment &&
	      bh_packet_is_same(&received, sent))) {
		uint32_t first = find_first_fragment(builder, datagram);

		if (first != NONE)
			return begin_packet(builder, event, first, BH_PACKET_FRAGMENT, 0);
	}
	if (change != BH_CHANGE_NONE || !bh_packet_is_same(&received, sent) ||
	    (received.ip_count && received.ips[0].is_fragment && !sent->ips[0].is_fragment)) {
		uint32_t again = find_again(builder, hop->packet, sent);

		if (again != NONE) {
			mark_changed(builder, arrival,
				     change == BH_CHANGE_DECAPSULATED ? "decapsulated"
								      : "reassembled");
			return again;
		}
	}
	switch (change) {
	case BH_CHANGE_FRAGMENT:
		return begin_changed(builder, event, arrival, BH_PACKET_FRAGMENT, "fragmented");
	case BH_CHANGE_ENCAPSULATED:
		return begin_changed(builder, event, arrival, BH_PACKET_ENCAPSULATED,
				     "encapsulated");
	case BH_CHANGE_DECAPSULATED:
		return begin_changed(builder, event, arrival, BH_PACKET_DECAPSULATED,
				     "decapsulated");
	case BH_CHANGE_NONE:
		break;
	}
	if (hop->branch == BRANCH_WENT_ON || hop->branch == BRANCH_CHANGED)
		return begin_changed(builder, event, arrival, BH_PACKET_COPY, NULL);
	builder->hops[arrival].branch = BRANCH_WENT_ON;
	return hop->packet;
}

/* A frame of a packet that has crossed links. */
static struct bh_error *see_forwarded(struct builder *builder, const struct bh_event *event)
{
	struct bh_frame_layers layers;
	uint32_t arrival = find_arrival(builder, event->packet, event->node), number;
	int is_first = 0;

	bh_frame_layers_read(builder->frame, builder->captured, event->length, &layers);
	uint64_t datagram = bh_packet_datagram_key(&layers, event->node, &is_first);

	if (arrival == NONE) /* it should have come here; the trace is cut, or lies */
		number = begin_packet(builder, event, NONE, BH_PACKET_ALONE, 1);
	else
		number = decide(builder, event, arrival, &layers, datagram, is_first);
	uint32_t before = number == NONE ? NONE : builder->packets[number].last_tx;
	uint32_t hop = add_hop(builder, number, event);

	if (hop == NONE)
		return out_of_memory();
	set_frame(builder, hop, before);
	if (builder->packets[number].packet.id == event->event)
		describe_origin(builder, &builder->packets[number].packet, event);
	if (is_first)
		key_set(builder, datagram, number);
	return NULL;
}

static struct bh_error *see_received(struct builder *builder, const struct bh_event *event)
{
	uint32_t sent = builder->hop_of_event[event->cause];

	if (sent == NONE)
		return NULL;
	uint32_t hop = add_hop(builder, builder->hops[sent].packet, event);

	if (hop == NONE)
		return out_of_memory();
	struct build_hop *received = &builder->hops[hop];
	uint32_t root =
		event->packet <= builder->event_count ? builder->hop_of_event[event->packet] : NONE;

	received->hop.frame = builder->hops[sent].hop.frame;
	received->hop.captured = builder->hops[sent].hop.captured;
	builder->hops[sent].arrived = 1;
	if (root == NONE)
		return NULL;
	struct build_packet *lineage = &builder->packets[builder->hops[root].packet];

	received->previous = lineage->last_received;
	lineage->last_received = hop;
	return NULL;
}

static void see_lost(struct builder *builder, const struct bh_event *event)
{
	uint32_t hop = builder->hop_of_event[event->cause];
	const char *reason = bh_loss_reason_name(event->value);
	struct bh_packet_end end = {
		.kind = BH_PACKET_LOST,
		.node = event->node,
		.event = event->event,
		.vtime_ns = event->vtime_ns,
	};

	if (hop == NONE)
		return;
	end.reason = reason ? bh_packets_keep(builder->table, reason, strlen(reason)) : NULL;
	builder->hops[hop].arrived = 1;
	builder->hops[hop].branch = BRANCH_LOST;
	add_end(builder, builder->hops[hop].packet, &end);
}

static struct bh_error *see_dropped(struct builder *builder, const struct bh_event *event)
{
	uint32_t arrival = find_arrival(builder, event->packet, event->node), number;
	const char *reason = bh_drop_reason(builder->names, event);
	const char *function = bh_drop_function(builder->names, event);
	struct bh_packet_end end = {
		.kind = BH_PACKET_DROPPED,
		.node = event->node,
		.event = event->event,
		.vtime_ns = event->vtime_ns,
	};

	end.reason = reason ? bh_packets_keep(builder->table, reason, strlen(reason)) : NULL;
	end.function =
		function ? bh_packets_keep(builder->table, function, strlen(function)) : NULL;
	if (arrival != NONE) {
		number = builder->hops[arrival].packet;
		if (builder->hops[arrival].branch != BRANCH_OPEN)
			return NULL; /* a copy within the node; the packet itself went on */
		builder->hops[arrival].branch = BRANCH_DROPPED;
	} else {
		number = begin_packet(builder, event, packet_received(builder, event->cause),
				      BH_PACKET_REPLY, 1);
		if (number == NONE)
			return out_of_memory();
		struct bh_packet *packet = &builder->packets[number].packet;

		packet->frame = builder->frame;
		packet->captured = builder->captured;
		packet->length = event->length;
		describe_origin(builder, packet, event);
	}
	add_end(builder, number, &end);
	return NULL;
}

static struct bh_error *see_event(struct builder *builder, const struct bh_event *event)
{
	BH_TRY(read_records(builder, event->event));
	switch (event->kind) {
	case BH_EVENT_TX:
		if (!builder->frame)
			return bad_stream();
		return event->packet == event->event ? see_born(builder, event)
						     : see_forwarded(builder, event);
	case BH_EVENT_RX:
		return see_received(builder, event);
	case BH_EVENT_LOST:
		see_lost(builder, event);
		return NULL;
	case BH_EVENT_DROP:
		return see_dropped(builder, event);
	default:
		return NULL;
	}
}

static struct bh_error *see_events(struct builder *builder)
{
	struct bh_event *events = calloc(BH_TRACE_CHUNK_EVENTS, sizeof(*events));
	struct bh_error *error = events ? NULL : out_of_memory();

	for (uint64_t number = 1; !error && number <= builder->event_count;) {
		size_t count = 0;

		error = bh_trace_decode_chunk(builder->trace, number, events, &count);
		for (size_t i = 0; !error && i < count; i++)
			error = see_event(builder, &events[i]);
		number += count;
		if (!error && !count)
			error = bad_stream();
		if (!error && builder->is_out_of_memory)
			error = out_of_memory();
	}
	free(events);
	return error;
}

/* --- what became of them --- */

/* Arrivals and transmissions that nothing is known to have come of. */
static void end_hop(struct builder *builder, const struct build_hop *hop)
{
	struct bh_packet_end end = {
		.kind = BH_PACKET_DELIVERED,
		.node = hop->hop.node,
		.event = hop->hop.event,
		.vtime_ns = hop->hop.vtime_ns,
	};

	if (hop->hop.is_tx && hop->arrived)
		return;
	if (hop->hop.is_tx)
		end.kind = BH_PACKET_QUEUED;
	else if (hop->branch == BRANCH_CHANGED)
		end.reason = bh_packets_keep(builder->table, hop->changed, strlen(hop->changed));
	else if (hop->branch != BRANCH_OPEN)
		return;
	add_end(builder, hop->packet, &end);
}

static unsigned int rank(const struct bh_packet_end *end)
{
	if (end->kind == BH_PACKET_DELIVERED)
		return end->pid ? 0 : end->reason ? 2 : 1;
	return end->kind == BH_PACKET_DROPPED ? 3 : end->kind == BH_PACKET_LOST ? 4 : 5;
}

/* --- the table --- */

static void place_ends(struct builder *builder, const struct build_packet *from,
		       struct bh_packet *packet)
{
	struct bh_packet_end *ends = &builder->table->ends[builder->table->end_count];
	size_t count = 0, best = 0;

	for (uint32_t i = from->first_end; i != NONE; i = builder->ends[i].next) {
		ends[count] = builder->ends[i].end;
		if (rank(&ends[count]) < rank(&ends[best]))
			best = count;
		count++;
	}
	/* The others stay in their order. */
	struct bh_packet_end first = ends[best];

	memmove(ends + 1, ends, best * sizeof(*ends));
	ends[0] = first;
	packet->ends = ends;
	packet->end_count = count;
	packet->to = first.kind == BH_PACKET_DELIVERED || first.kind == BH_PACKET_DROPPED
			     ? first.node
			     : BH_NO_NODE;
	builder->table->end_count += count;
}

static void place_hops(struct builder *builder, const struct build_packet *from,
		       struct bh_packet *packet)
{
	struct bh_packets *table = builder->table;

	packet->hops = &table->hops[table->hop_count];
	for (uint32_t i = from->first_hop; i != NONE; i = builder->hops[i].next)
		table->hops[table->hop_count++] = builder->hops[i].hop;
	packet->hop_count = (size_t)(&table->hops[table->hop_count] - packet->hops);
	if (!packet->hop_count)
		return;
	packet->frame = packet->hops[0].frame;
	packet->captured = packet->hops[0].captured;
	packet->length = packet->hops[0].length;
}

static struct bh_error *place(struct builder *builder)
{
	struct bh_packets *table = builder->table;

	for (size_t i = 0; i < builder->hop_count; i++)
		end_hop(builder, &builder->hops[i]);
	table->packets = calloc(builder->packet_count + 1, sizeof(*table->packets));
	table->hops = calloc(builder->hop_count + 1, sizeof(*table->hops));
	table->ends = calloc(builder->end_count + 1, sizeof(*table->ends));
	if (!table->packets || !table->hops || !table->ends || builder->is_out_of_memory)
		return out_of_memory();
	for (size_t i = 0; i < builder->packet_count; i++) {
		const struct build_packet *from = &builder->packets[i];
		struct bh_packet *packet = &table->packets[table->count++];

		*packet = from->packet;
		/* Every TX has an RX, a LOST, or is under way; every RX is open or led to more. */
		if (from->first_end == NONE)
			return bh_error_new(BH_ERR_INPUT,
					    "packet %lu of the trace goes nowhere: its events "
					    "contradict each other",
					    from->packet.id);
		place_hops(builder, from, packet);
		place_ends(builder, from, packet);
	}
	return NULL;
}

static struct bh_error *builder_open(struct builder *builder,
				     const struct bh_packets_source *source,
				     const struct bh_buffer *stream)
{
	builder->trace = source->trace;
	builder->event_count = bh_trace_event_count(source->trace);
	builder->table = calloc(1, sizeof(*builder->table));
	builder->names =
		bh_drop_names_create(source->trace, source->find_kernel, source->find_kernel_arg);
	builder->hop_of_event = malloc((builder->event_count + 1) * sizeof(*builder->hop_of_event));
	if (!builder->table || !builder->names || !builder->hop_of_event)
		return out_of_memory();
	memset(builder->hop_of_event, 0xff,
	       (builder->event_count + 1) * sizeof(*builder->hop_of_event));
	builder->table->trace = source->trace;
	bh_cursor_init(&builder->stream, stream->bytes, stream->length);
	next_record(builder);
	return NULL;
}

struct bh_error *bh_packets_build(const struct bh_packets_source *source,
				  const struct bh_buffer *stream, struct bh_packets **packets_ret)
{
	struct builder builder = {0};
	struct bh_error *error = builder_open(&builder, source, stream);

	if (!error)
		error = see_events(&builder);
	if (!error)
		error = place(&builder);
	free(builder.packets);
	free(builder.hops);
	free(builder.ends);
	free(builder.keys.slots);
	free(builder.hop_of_event);
	bh_drop_names_destroy(builder.names);
	if (error) {
		bh_packets_destroy(builder.table);
		return error;
	}
	*packets_ret = builder.table;
	return NULL;
}
