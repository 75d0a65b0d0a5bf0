/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers from the table of packets: see packets.h. */
#include "replayer/packet_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

static const char *const relation_names[BH_PACKET_RELATION_COUNT] = {
	[BH_PACKET_FRAGMENT] = "fragment",
	[BH_PACKET_SEGMENT] = "segment",
	[BH_PACKET_ENCAPSULATED] = "encapsulation",
	[BH_PACKET_DECAPSULATED] = "decapsulation",
	[BH_PACKET_COPY] = "copy",
	[BH_PACKET_REPLY] = "reply",
	[BH_PACKET_CAUSED] = "caused",
	[BH_PACKET_RETRANSMISSION] = "retransmission",
};

static const char *const end_names[BH_PACKET_END_COUNT] = {
	[BH_PACKET_DELIVERED] = "delivered",
	[BH_PACKET_DROPPED] = "dropped",
	[BH_PACKET_LOST] = "lost",
	[BH_PACKET_QUEUED] = "queued",
};

static const char *const origin_names[BH_ORIGIN_COUNT] = {
	[BH_ORIGIN_UNKNOWN] = "unknown", [BH_ORIGIN_SYSCALL] = "syscall",
	[BH_ORIGIN_TASK] = "task",	 [BH_ORIGIN_RECEIVE] = "receive",
	[BH_ORIGIN_TIMER] = "timer",	 [BH_ORIGIN_OTHER] = "other",
};

const char *bh_packet_relation_name(unsigned int relation)
{
	return relation < BH_PACKET_RELATION_COUNT ? relation_names[relation] : NULL;
}

const char *bh_packet_end_name(unsigned int kind)
{
	return kind < BH_PACKET_END_COUNT ? end_names[kind] : NULL;
}

const char *bh_packet_origin_name(unsigned int kind)
{
	return kind < BH_ORIGIN_COUNT ? origin_names[kind] : NULL;
}

void bh_packets_destroy(struct bh_packets *packets)
{
	if (!packets)
		return;
	for (size_t i = 0; i < packets->string_count; i++)
		free(packets->strings[i]);
	free(packets->strings);
	free(packets->packets);
	free(packets->hops);
	free(packets->ends);
	free(packets->devices);
	free(packets->frames);
	bh_cache_file_unmap(&packets->file);
	free(packets->hops_by_event);
	free(packets->packets_by_parent);
	free(packets);
}

/* There are few: names of devices, programs, reasons and functions. */
const char *bh_packets_keep(struct bh_packets *packets, const char *text, size_t length)
{
	if (!text)
		return NULL;
	for (size_t i = 0; i < packets->string_count; i++)
		if (!strncmp(packets->strings[i], text, length) && !packets->strings[i][length])
			return packets->strings[i];
	char **strings =
		realloc(packets->strings, (packets->string_count + 1) * sizeof(*packets->strings));

	if (!strings)
		return NULL;
	packets->strings = strings;
	strings[packets->string_count] = strndup(text, length);
	if (!strings[packets->string_count])
		return NULL;
	return strings[packets->string_count++];
}

size_t bh_packets_count(const struct bh_packets *packets)
{
	return packets->count;
}

const struct bh_packet *bh_packets_at(const struct bh_packets *packets, size_t index)
{
	return &packets->packets[index];
}

const char *bh_packets_missing(const struct bh_packets *packets)
{
	return packets->missing;
}

const struct bh_trace *bh_packets_trace(const struct bh_packets *packets)
{
	return packets->trace;
}

const char *bh_packets_device(const struct bh_packets *packets, uint32_t node, uint32_t device)
{
	for (size_t i = 0; i < packets->device_count; i++)
		if (packets->devices[i].node == node && packets->devices[i].device == device)
			return packets->devices[i].name;
	return NULL;
}

/* --- finding --- */

static const struct bh_packet *find_id(const struct bh_packets *packets, uint64_t id)
{
	size_t low = 0, high = packets->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (packets->packets[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < packets->count && packets->packets[low].id == id ? &packets->packets[low]
								      : NULL;
}

static int compare_parents(const void *left, const void *right, void *arg)
{
	const struct bh_packets *packets = arg;
	const struct bh_packet *a = &packets->packets[*(const uint32_t *)left];
	const struct bh_packet *b = &packets->packets[*(const uint32_t *)right];

	if (a->parent != b->parent)
		return a->parent < b->parent ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

static uint32_t *make_order(const struct bh_packets *packets, size_t count,
			    int (*compare)(const void *, const void *, void *))
{
	uint32_t *order = malloc((count + 1) * sizeof(*order));

	for (size_t i = 0; order && i < count; i++)
		order[i] = (uint32_t)i;
	if (order)
		qsort_r(order, count, sizeof(*order), compare, (void *)(uintptr_t)packets);
	return order;
}

/* Orders are a cache, not part of the table's state. */
static struct bh_packets *unconst(const struct bh_packets *packets)
{
	return (struct bh_packets *)(uintptr_t)packets;
}

/* Hops lie packet by packet, so the packet is found by halving, too. */
static const struct bh_packet *owner(const struct bh_packets *packets,
				     const struct bh_packet_hop *hop)
{
	size_t low = 0, high = packets->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (packets->packets[middle].hops <= hop)
			low = middle;
		else
			high = middle;
	}
	/* Packets without hops share the place of the next one. */
	while (low > 0 && !packets->packets[low].hop_count)
		low--;
	return &packets->packets[low];
}

/* An event is of one hop at most. */
static uint32_t *index_hops(const struct bh_packets *packets)
{
	uint64_t count = bh_trace_event_count(packets->trace);
	uint32_t *index = malloc((count + 1) * sizeof(*index));

	if (!index)
		return NULL;
	memset(index, 0xff, (count + 1) * sizeof(*index));
	for (size_t i = 0; i < packets->hop_count; i++)
		if (packets->hops[i].event <= count)
			index[packets->hops[i].event] = (uint32_t)i;
	return index;
}

const struct bh_packet *bh_packets_of_event(const struct bh_packets *packets, uint64_t event,
					    const struct bh_packet_hop **hop_ret)
{
	if (!packets->hops_by_event)
		unconst(packets)->hops_by_event = index_hops(packets);
	if (!packets->hops_by_event || event > bh_trace_event_count(packets->trace))
		return NULL;
	uint32_t number = packets->hops_by_event[event];

	if (number >= packets->hop_count)
		return NULL;
	if (hop_ret)
		*hop_ret = &packets->hops[number];
	return owner(packets, &packets->hops[number]);
}

struct bh_error *bh_packets_find(const struct bh_packets *packets, uint64_t id,
				 const struct bh_packet **packet_ret)
{
	const struct bh_packet *packet = find_id(packets, id);

	if (!packet)
		packet = bh_packets_of_event(packets, id, NULL);
	for (size_t i = 0; !packet && i < packets->count; i++)
		for (size_t end = 0; !packet && end < packets->packets[i].end_count; end++)
			if (packets->packets[i].ends[end].event == id)
				packet = &packets->packets[i];
	if (packet) {
		*packet_ret = packet;
		return NULL;
	}
	if (!packets->count)
		return bh_error_new(
			BH_ERR_USAGE,
			"there is no packet %" PRIu64 ": no packet was sent in this run", id);
	return bh_error_new(BH_ERR_USAGE,
			    "there is no packet %" PRIu64 ": this run's %zu packets have ids "
			    "between %" PRIu64 " and %" PRIu64 "; `backhop packets` lists them",
			    id, packets->count, packets->packets[0].id,
			    packets->packets[packets->count - 1].id);
}

const struct bh_packet *bh_packets_next_child(const struct bh_packets *packets,
					      const struct bh_packet *parent, size_t *index)
{
	size_t low = 0, high = packets->count;

	if (!packets->packets_by_parent)
		unconst(packets)->packets_by_parent =
			make_order(packets, packets->count, compare_parents);
	if (!packets->packets_by_parent)
		return NULL;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (packets->packets[packets->packets_by_parent[middle]].parent < parent->id)
			low = middle + 1;
		else
			high = middle;
	}
	if (*index >= packets->count - low)
		return NULL;
	const struct bh_packet *child = &packets->packets[packets->packets_by_parent[low + *index]];

	if (child->parent != parent->id)
		return NULL;
	(*index)++;
	return child;
}

/* --- showing --- */

void bh_packet_summary(const struct bh_packet *packet, char *text_ret, size_t size)
{
	struct bh_frame_layers layers;

	bh_frame_layers_read(packet->frame, packet->captured, packet->length, &layers);
	bh_frame_summary(&layers, text_ret, size);
}

static const char *node_name(const struct bh_packets *packets, uint32_t node)
{
	return node < bh_trace_node_count(packets->trace) ? bh_trace_node_name(packets->trace, node)
							  : NULL;
}

static void add_origin(struct bh_json *json, const struct bh_packet_origin *origin)
{
	bh_json_key(json, "origin");
	bh_json_object_begin(json);
	bh_json_add_string(json, "kind", bh_packet_origin_name(origin->kind));
	bh_json_add_u64(json, "event", origin->event);
	bh_json_add_u64(json, "vtime_ns", origin->vtime_ns);
	bh_json_key(json, "pid");
	origin->pid ? bh_json_i64(json, origin->pid) : bh_json_null(json);
	bh_json_add_string(json, "program", origin->program);
	bh_json_add_string(json, "call", origin->call);
	bh_json_add_bool(json, "guess", origin->is_guess);
	bh_json_object_end(json);
}

static void add_end(struct bh_json *json, const struct bh_packets *packets,
		    const struct bh_packet_end *end)
{
	bh_json_object_begin(json);
	bh_json_add_string(json, "kind", bh_packet_end_name(end->kind));
	bh_json_add_string(json, "node", node_name(packets, end->node));
	bh_json_add_string(json, "reason", end->reason);
	bh_json_add_string(json, "function", end->function);
	bh_json_key(json, "pid");
	end->pid ? bh_json_i64(json, end->pid) : bh_json_null(json);
	bh_json_add_string(json, "program", end->program);
	bh_json_add_u64(json, "event", end->event);
	bh_json_add_u64(json, "vtime_ns", end->vtime_ns);
	bh_json_object_end(json);
}

static void add_hops(struct bh_json *json, const struct bh_packets *packets,
		     const struct bh_packet *packet)
{
	bh_json_key(json, "hops");
	bh_json_array_begin(json);
	for (size_t i = 0; i < packet->hop_count; i++) {
		const struct bh_packet_hop *hop = &packet->hops[i];

		bh_json_object_begin(json);
		bh_json_add_string(json, "node", node_name(packets, hop->node));
		bh_json_add_string(json, "dev", bh_packets_device(packets, hop->node, hop->device));
		bh_json_add_string(json, "dir", hop->is_tx ? "tx" : "rx");
		bh_json_add_u64(json, "event", hop->event);
		bh_json_add_u64(json, "vtime_ns", hop->vtime_ns);
		bh_json_add_u64(json, "hop", hop->hop);
		bh_json_add_u64(json, "length", hop->length);
		bh_json_object_end(json);
	}
	bh_json_array_end(json);
}

char *bh_packet_json(const struct bh_packets *packets, const struct bh_packet *packet)
{
	struct bh_json *json = bh_json_create();
	char summary[512];

	bh_packet_summary(packet, summary, sizeof(summary));
	bh_json_object_begin(json);
	bh_json_add_u64(json, "id", packet->id);
	bh_json_key(json, "parent");
	packet->parent ? bh_json_u64(json, packet->parent) : bh_json_null(json);
	bh_json_add_string(json, "relation", bh_packet_relation_name(packet->relation));
	bh_json_add_bool(json, "guess", packet->is_guess);
	bh_json_add_u64(json, "lineage", packet->lineage);
	bh_json_add_u64(json, "born_event", packet->born_event);
	bh_json_add_u64(json, "born_ns", packet->born_ns);
	add_origin(json, &packet->origin);
	bh_json_add_string(json, "from", node_name(packets, packet->from));
	bh_json_add_string(json, "to", node_name(packets, packet->to));
	bh_json_add_u64(json, "length", packet->length);
	bh_json_add_string(json, "summary", summary);
	add_hops(json, packets, packet);
	bh_json_key(json, "end");
	add_end(json, packets, &packet->ends[0]);
	if (packet->end_count > 1) {
		bh_json_key(json, "ends");
		bh_json_array_begin(json);
		for (size_t i = 0; i < packet->end_count; i++)
			add_end(json, packets, &packet->ends[i]);
		bh_json_array_end(json);
	}
	bh_json_object_end(json);
	return bh_json_finish(json);
}
