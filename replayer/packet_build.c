/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the table of packets of a trace's events and what a pass over it saw: see packets.h. Called
 * by packet_cache.c. Events and records are gone through side by side, both in the order in which
 * they happened. What the words mean is in docs/packets.md.
 */
#include "replayer/packet_builder.h"

struct bh_error *bh_builder_no_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory for the packets of the run");
}

/* --- growing arrays --- */

int bh_builder_room(void **array, size_t count, size_t *room, size_t size)
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
	if (!bh_builder_room((void **)&builder->packets, builder->packet_count,
			     &builder->packet_room, sizeof(*builder->packets))) {
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
	if (owner == NONE || !bh_builder_room((void **)&builder->hops, builder->hop_count,
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
		.end = NONE,
		.merged = NONE,
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

/* --- keys --- */

static size_t key_slot(const struct keys *keys, uint64_t key)
{
	size_t slot = key & (keys->size - 1);

	while (keys->slots[slot].key && keys->slots[slot].key != key)
		slot = (slot + 1) & (keys->size - 1);
	return slot;
}

uint32_t bh_builder_key_find(const struct builder *builder, uint64_t key)
{
	const struct keys *keys = &builder->keys;

	if (!key || !keys->size)
		return NONE;
	size_t slot = key_slot(keys, key);

	return keys->slots[slot].key ? keys->slots[slot].number : NONE;
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

void bh_builder_key_set(struct builder *builder, uint64_t key, uint32_t number)
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
	keys->slots[slot].number = number;
}

/* The newest arrival of a lineage at a node. */
uint32_t bh_builder_arrival(const struct builder *builder, uint64_t lineage, uint32_t node)
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

const char *bh_builder_keep(struct builder *builder, const char *text)
{
	return text ? bh_packets_keep(builder->table, text, strlen(text)) : NULL;
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

/* What related frames are found by. */
struct born_keys {
	uint64_t datagram, segment;
	int is_first; /* fragment of the datagram */
};

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

/* The hop of an event in which a frame was received, or NONE. */
static uint32_t hop_received(const struct builder *builder, uint64_t event)
{
	uint32_t hop = event ? builder->hop_of_event[event] : NONE;

	return hop == NONE || builder->hops[hop].hop.is_tx ? NONE : hop;
}

/* A fragment that isn't the first belongs to the packet that the first one does. */
static uint32_t find_first_fragment(const struct builder *builder, uint64_t key)
{
	uint32_t first = bh_builder_key_find(builder, key);

	if (first == NONE || builder->packets[first].packet.relation != BH_PACKET_FRAGMENT)
		return first;
	return packet_number(builder, builder->packets[first].packet.parent);
}

/* The event that a node was handling when this one happened within it, or the event itself. */
static struct bh_event handled_event(const struct builder *builder, uint64_t number)
{
	struct bh_event event = {0};

	while (number) {
		struct bh_error *error = bh_trace_event(builder->trace, number, &event);

		if (error) {
			bh_error_free(error);
			return (struct bh_event){0};
		}
		if (event.kind != BH_EVENT_TX && event.kind != BH_EVENT_LOST &&
		    event.kind != BH_EVENT_DROP && event.kind != BH_EVENT_CONSOLE &&
		    event.kind != BH_EVENT_OUTPUT && event.kind != BH_EVENT_EXEC &&
		    event.kind != BH_EVENT_EXIT)
			break;
		/* Causes lie before their events. */
		number = event.cause;
	}
	return event;
}

/* What made it, by the mark on its buffer or, if it has none, by the event in which it was sent. */
static void describe_origin(struct builder *builder, struct bh_packet *packet,
			    const struct bh_event *event)
{
	const struct build_mark *mark = bh_builder_mark(builder, builder->mark);
	struct bh_packet_origin *origin = &packet->origin;

	if (mark && mark->origin.kind != BH_ORIGIN_UNKNOWN && mark->origin.event <= event->event) {
		*origin = mark->origin;
		return;
	}
	struct bh_event cause = handled_event(builder, mark ? mark->origin.event : event->cause);

	origin->event = event->event;
	origin->vtime_ns = event->vtime_ns;
	if (!cause.event || cause.event > event->event)
		return;
	origin->kind = cause.kind == BH_EVENT_RX      ? BH_ORIGIN_RECEIVE
		       : cause.kind == BH_EVENT_TIMER ? BH_ORIGIN_TIMER
						      : BH_ORIGIN_OTHER;
	origin->event = cause.event;
	origin->vtime_ns = cause.vtime_ns;
	origin->is_guess = (uint8_t)builder->is_blind;
}

/* The arrival that made the node make this packet, or NONE. A program, or a thread of the kernel,
 * may have done so by chance in the same event. */
static uint32_t find_reason(struct builder *builder, const struct bh_event *event,
			    int *is_guess_ret)
{
	const struct build_mark *mark = bh_builder_mark(builder, builder->mark);
	struct bh_event cause = handled_event(builder, mark ? mark->origin.event : event->cause);

	*is_guess_ret = (mark && mark->origin.kind != BH_ORIGIN_UNKNOWN) || builder->is_blind;
	return hop_received(builder, cause.event);
}

/* Of a buffer of which a part was sent before: cut from it, or the same once more. */
static uint32_t find_sibling(struct builder *builder, const struct bh_event *event,
			     enum bh_packet_relation *relation_ret)
{
	const struct build_mark *mark = bh_builder_mark(builder, builder->mark);

	if (!mark || mark->packet == NONE || mark->node != event->node)
		return NONE;
	const struct build_packet *first = &builder->packets[mark->packet];
	const struct bh_packet_hop *hop = &builder->hops[first->first_hop].hop;

	*relation_ret = hop->length == event->length && hop->captured == builder->captured &&
					bh_packet_is_unchanged(hop->frame, builder->frame,
							       builder->captured)
				? BH_PACKET_COPY
				: BH_PACKET_SEGMENT;
	return mark->packet;
}

/* What made the node send this: sets relation_ret, which stays as it is if nothing did. */
static uint32_t find_cause(struct builder *builder, const struct bh_event *event,
			   const struct bh_frame_layers *layers,
			   enum bh_packet_relation *relation_ret, int *is_guess_ret)
{
	struct bh_frame_layers question;
	uint32_t arrival = find_reason(builder, event, is_guess_ret);

	if (arrival == NONE)
		return NONE;
	struct build_hop *hop = &builder->hops[arrival];

	layers_of(hop, &question);
	*relation_ret = BH_PACKET_CAUSED;
	if (bh_packet_is_answer(&question, layers)) {
		*relation_ret = BH_PACKET_REPLY;
		hop->answered |= !*is_guess_ret;
	}
	return hop->packet;
}

static void mark_changed(struct builder *builder, uint32_t arrival, const char *what)
{
	struct build_hop *hop = &builder->hops[arrival];

	if (hop->branch == BRANCH_OPEN || hop->branch == BRANCH_DROPPED) {
		hop->branch = BRANCH_CHANGED;
		hop->changed = what;
	}
}

/* The kernel copied it out of one that had arrived. */
static uint32_t find_cut(struct builder *builder, const struct bh_event *event)
{
	const struct build_mark *mark = bh_builder_mark(builder, builder->mark);
	uint32_t arrival = mark ? bh_builder_arrival(builder, mark->part_of, event->node) : NONE;

	if (arrival == NONE)
		return NONE;
	mark_changed(builder, arrival, "fragmented");
	return builder->hops[arrival].packet;
}

static uint32_t find_parent(struct builder *builder, const struct bh_event *event,
			    const struct bh_frame_layers *layers, const struct born_keys *keys,
			    enum bh_packet_relation *relation_ret, int *is_guess_ret)
{
	uint32_t parent = find_cut(builder, event);

	*relation_ret = BH_PACKET_FRAGMENT;
	if (parent == NONE && keys->datagram && !keys->is_first)
		parent = find_first_fragment(builder, keys->datagram);
	if (parent != NONE)
		return parent;
	*relation_ret = BH_PACKET_RETRANSMISSION;
	parent = bh_builder_key_find(builder, keys->segment);
	if (parent == NONE)
		parent = find_sibling(builder, event, relation_ret);
	if (parent == NONE)
		parent = find_cause(builder, event, layers, relation_ret, is_guess_ret);
	return parent;
}

/* A frame that came over no link. */
static struct bh_error *see_born(struct builder *builder, const struct bh_event *event)
{
	struct bh_frame_layers layers;
	enum bh_packet_relation relation = BH_PACKET_ALONE;
	struct born_keys keys = {0};
	int is_guess = 0;

	bh_frame_layers_read(builder->frame, builder->captured, event->length, &layers);
	keys.datagram = bh_packet_datagram_key(&layers, event->node, &keys.is_first);
	keys.segment = bh_packet_segment_key(&layers, event->node);
	uint32_t parent = find_parent(builder, event, &layers, &keys, &relation, &is_guess);
	uint32_t number = begin_packet(builder, event, parent, relation, is_guess);
	uint32_t hop = add_hop(builder, number, event);

	if (hop == NONE)
		return bh_builder_no_memory();
	set_frame(builder, hop, NONE);
	describe_origin(builder, &builder->packets[number].packet, event);

	struct build_mark *mark = bh_builder_mark(builder, builder->mark);

	if (mark && mark->packet == NONE)
		mark->packet = number;
	if (keys.is_first)
		bh_builder_key_set(builder, keys.datagram, number);
	bh_builder_key_set(builder, keys.segment, number);
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
	uint32_t arrival = bh_builder_arrival(builder, event->packet, event->node), number;
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
		return bh_builder_no_memory();
	set_frame(builder, hop, before);
	if (builder->packets[number].packet.id == event->event)
		describe_origin(builder, &builder->packets[number].packet, event);
	if (is_first)
		bh_builder_key_set(builder, datagram, number);
	return NULL;
}

static struct bh_error *see_received(struct builder *builder, const struct bh_event *event)
{
	uint32_t sent = builder->hop_of_event[event->cause];

	if (sent == NONE)
		return NULL;
	uint32_t hop = add_hop(builder, builder->hops[sent].packet, event);

	if (hop == NONE)
		return bh_builder_no_memory();
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
	end.reason = bh_builder_keep(builder, reason);
	builder->hops[hop].arrived = 1;
	builder->hops[hop].branch = BRANCH_LOST;
	bh_builder_end_add(builder, builder->hops[hop].packet,
			   bh_builder_end_create(builder, &end));
}

/* A kernel threw away what had never been on a link. */
static struct bh_error *see_unsent(struct builder *builder, const struct bh_event *event,
				   const struct bh_packet_end *end)
{
	struct bh_frame_layers layers;
	enum bh_packet_relation relation = BH_PACKET_ALONE;
	int is_guess = 0;

	bh_frame_layers_read(builder->frame, builder->captured, builder->captured, &layers);
	uint32_t parent = find_cause(builder, event, &layers, &relation, &is_guess);
	uint32_t number = begin_packet(builder, event, parent, relation, is_guess);

	if (number == NONE)
		return bh_builder_no_memory();
	struct bh_packet *packet = &builder->packets[number].packet;

	packet->frame = builder->frame;
	packet->captured = builder->captured;
	packet->length = builder->length ? (uint32_t)builder->length : event->length;
	describe_origin(builder, packet, event);
	bh_builder_end_add(builder, number, bh_builder_end_create(builder, end));
	return NULL;
}

static int is_fragment(const struct build_hop *hop)
{
	struct bh_frame_layers layers;

	layers_of(hop, &layers);
	return layers.ip_count && layers.ips[0].is_fragment;
}

static struct bh_error *see_dropped(struct builder *builder, const struct bh_event *event)
{
	uint32_t arrival = bh_builder_arrival(builder, event->packet, event->node);
	const char *reason = bh_drop_reason(builder->names, event);
	const char *function = bh_drop_function(builder->names, event);
	struct bh_packet_end end = {
		.kind = BH_PACKET_DROPPED,
		.node = event->node,
		.event = event->event,
		.vtime_ns = event->vtime_ns,
	};

	end.reason = bh_builder_keep(builder, reason);
	end.function = bh_builder_keep(builder, function);
	if (arrival != NONE) {
		struct build_hop *hop = &builder->hops[arrival];

		/* Freed with the buffer that took it in. */
		if (function && !strcmp(function, "skb_release_data") && is_fragment(hop))
			mark_changed(builder, arrival, "reassembled");
		/* Else a copy within the node: the packet itself went on. */
		else if (hop->branch == BRANCH_OPEN && hop->reader != READER_PROGRAM) {
			hop->branch = BRANCH_DROPPED;
			hop->end = bh_builder_end_create(builder, &end);
		}
		return NULL;
	}
	return see_unsent(builder, event, &end);
}

static struct bh_error *see_event(struct builder *builder, const struct bh_event *event)
{
	switch (event->kind) {
	case BH_EVENT_TX:
		if (!builder->frame)
			return bh_error_new(BH_ERR_INTERNAL, "the replay told nothing of frame %lu",
					    event->event);
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
	struct bh_error *error = events ? NULL : bh_builder_no_memory();

	for (uint64_t number = 1; !error && number <= builder->event_count;) {
		size_t count = 0;

		error = bh_trace_decode_chunk(builder->trace, number, events, &count);
		for (size_t i = 0; !error && i < count; i++) {
			error = bh_builder_records_before(builder, events[i].event);
			if (!error)
				error = see_event(builder, &events[i]);
			if (!error)
				error = bh_builder_records_during(builder, &events[i]);
		}
		number += count;
		if (!error && builder->is_out_of_memory)
			error = bh_builder_no_memory();
	}
	free(events);
	return error;
}

/* --- the table --- */

static void place_ends(struct builder *builder, const struct build_packet *from,
		       struct bh_packet *packet)
{
	struct bh_packet_end *ends = &builder->table->ends[builder->table->end_count];
	size_t count = 0, best = 0;

	for (uint32_t i = from->first_end; i != NONE; i = builder->ends[i].next) {
		ends[count] = builder->ends[i].end;
		if (bh_builder_end_rank(&ends[count]) < bh_builder_end_rank(&ends[best]))
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

	bh_builder_ends_finish(builder);
	table->packets = calloc(builder->packet_count + 1, sizeof(*table->packets));
	table->hops = calloc(builder->hop_count + 1, sizeof(*table->hops));
	table->ends = calloc(builder->end_count + 1, sizeof(*table->ends));
	if (!table->packets || !table->hops || !table->ends || builder->is_out_of_memory)
		return bh_builder_no_memory();
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
		return bh_builder_no_memory();
	memset(builder->hop_of_event, 0xff,
	       (builder->event_count + 1) * sizeof(*builder->hop_of_event));
	builder->table->trace = source->trace;
	bh_cursor_init(&builder->stream, stream->bytes, stream->length);
	bh_builder_next_record(builder);
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
	free(builder.marks);
	free(builder.hop_of_event);
	bh_drop_names_destroy(builder.names);
	if (error) {
		bh_packets_destroy(builder.table);
		return error;
	}
	*packets_ret = builder.table;
	return NULL;
}
