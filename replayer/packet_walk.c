/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way of a packet, hop by hop: see packet_walk.h. */
#include "replayer/packet_walk.h"

#include <inttypes.h>
#include <stdio.h>

/* Tunnels in tunnels, fragments of fragments; what is deeper than this is no network. */
#define DEPTH_MAX 16u

int bh_packet_carries_parent(const struct bh_packet *child)
{
	return child->parent && child->relation != BH_PACKET_REPLY &&
	       child->relation != BH_PACKET_CAUSED && child->relation != BH_PACKET_RETRANSMISSION;
}

/* NULL if it has none that the table knows. */
static const struct bh_packet *parent_of(const struct bh_packets *packets,
					 const struct bh_packet *packet)
{
	const struct bh_packet *parent = NULL;

	if (!packet->parent)
		return NULL;
	struct bh_error *error = bh_packets_find(packets, packet->parent, &parent);

	bh_error_free(error);
	return parent;
}

static const char *node_name(const struct bh_packets *packets, uint32_t node)
{
	const struct bh_trace *trace = bh_packets_trace(packets);

	return node < bh_trace_node_count(trace) ? bh_trace_node_name(trace, node)
						 : "the simulator";
}

/* --- where it is --- */

/* The last hop up to an event, of one node or (BH_NO_NODE) of any. */
static const struct bh_packet_hop *last_hop(const struct bh_packet *packet, uint64_t event,
					    uint32_t node)
{
	const struct bh_packet_hop *last = NULL;

	for (size_t i = 0; i < packet->hop_count && packet->hops[i].event <= event; i++)
		if (node == BH_NO_NODE || packet->hops[i].node == node)
			last = &packet->hops[i];
	return last;
}

struct bh_error *bh_packet_place_find(const struct bh_packets *packets,
				      const struct bh_packet *selected, uint64_t event,
				      uint32_t node, struct bh_packet_place *place_ret)
{
	const struct bh_packet_hop *hop = NULL;
	const struct bh_packet *packet;
	struct bh_event newest;

	BH_TRY(bh_trace_event(bh_packets_trace(packets), event, &newest));
	if (node == BH_NO_NODE)
		node = newest.node;
	if (selected && node != BH_NO_NODE)
		hop = last_hop(selected, event, node);
	if (hop && hop->vtime_ns == newest.vtime_ns) {
		*place_ret = (struct bh_packet_place){selected, hop};
		return NULL;
	}
	packet = bh_packets_of_event(packets, event, &hop);
	if (packet) {
		*place_ret = (struct bh_packet_place){packet, hop};
		return NULL;
	}
	if (!selected)
		return bh_error_new(BH_ERR_USAGE,
				    "event %" PRIu64 " is no packet's; select one with `packet "
				    "ID`, `info packets` lists them",
				    event);
	hop = last_hop(selected, event, node);
	*place_ret = (struct bh_packet_place){selected,
					      hop ? hop : last_hop(selected, event, BH_NO_NODE)};
	return NULL;
}

/* --- forward --- */

/* A packet leaves the node that it has arrived at, and before it arrives there again. */
static const struct bh_packet_hop *departure_of(const struct bh_packet *packet, uint32_t node,
						uint64_t after)
{
	for (size_t i = 0; i < packet->hop_count; i++) {
		const struct bh_packet_hop *hop = &packet->hops[i];

		if (hop->node == node && hop->event > after)
			return hop->is_tx ? hop : NULL;
	}
	return NULL;
}

/* How what has arrived goes on from that node: as itself, as something made of it there, or as what
 * it carried. packet becomes that. NULL: it doesn't. */
static const struct bh_packet_hop *find_departure(const struct bh_packets *packets,
						  const struct bh_packet **packet,
						  const struct bh_packet_hop *arrival)
{
	const struct bh_packet_hop *hop = departure_of(*packet, arrival->node, arrival->event);
	const struct bh_packet *other;
	size_t index = 0;

	if (hop)
		return hop;
	while ((other = bh_packets_next_child(packets, *packet, &index))) {
		if (!bh_packet_carries_parent(other) || other->from != arrival->node)
			continue;
		hop = departure_of(other, arrival->node, arrival->event);
		if (hop) {
			*packet = other;
			return hop;
		}
	}
	other = *packet;
	for (unsigned int depth = 0; depth < DEPTH_MAX && bh_packet_carries_parent(other);
	     depth++) {
		other = parent_of(packets, other);
		if (!other)
			return NULL;
		hop = departure_of(other, arrival->node, arrival->event);
		if (hop) {
			*packet = other;
			return hop;
		}
	}
	return NULL;
}

static struct bh_error *has_ended(const struct bh_packets *packets, const struct bh_packet *packet,
				  const struct bh_packet_end *end)
{
	char reader[64] = "";

	if (end->pid)
		snprintf(reader, sizeof(reader), ", to %s-%" PRId64,
			 end->program ? end->program : "process", end->pid);
	return bh_error_new(BH_ERR_USAGE,
			    "packet %" PRIu64 " goes no further: it was %s on %s%s%s%s at event "
			    "%" PRIu64,
			    packet->id, bh_packet_end_name(end->kind),
			    node_name(packets, end->node), reader, end->reason ? ", " : "",
			    end->reason ? end->reason : "", end->event);
}

/* What became of it on a node: the first end after an event, or the last one. */
static struct bh_error *to_end(const struct bh_packets *packets, const struct bh_packet *packet,
			       uint32_t node, uint64_t event, struct bh_packet_step *step_ret)
{
	const struct bh_packet_end *next = NULL, *last = &packet->ends[0];

	for (size_t i = 0; i < packet->end_count; i++) {
		const struct bh_packet_end *end = &packet->ends[i];

		if (node != BH_NO_NODE && end->node != node)
			continue;
		last = end;
		if (end->event > event && (!next || end->event < next->event))
			next = end;
	}
	if (!next)
		return has_ended(packets, packet, last);
	step_ret->packet = packet;
	step_ret->end = next;
	step_ret->sent = 0;
	step_ret->arrived = next->event;
	return NULL;
}

static struct bh_error *over_link(const struct bh_packets *packets, const struct bh_packet *packet,
				  const struct bh_packet_hop *sent, struct bh_packet_step *step_ret)
{
	const struct bh_trace *trace = bh_packets_trace(packets);
	struct bh_event event;

	step_ret->packet = packet;
	step_ret->end = NULL;
	step_ret->sent = sent->event;
	for (size_t i = 0; i < packet->hop_count; i++) {
		if (packet->hops[i].is_tx || packet->hops[i].event < sent->event)
			continue;
		BH_TRY(bh_trace_event(trace, packet->hops[i].event, &event));
		if (event.cause != sent->event)
			continue;
		step_ret->arrived = event.event;
		return NULL;
	}
	for (size_t i = 0; i < packet->end_count; i++) {
		if (packet->ends[i].kind != BH_PACKET_LOST)
			continue;
		BH_TRY(bh_trace_event(trace, packet->ends[i].event, &event));
		if (event.cause != sent->event)
			continue;
		step_ret->arrived = event.event;
		return NULL;
	}
	return bh_error_new(BH_ERR_USAGE,
			    "packet %" PRIu64 ", sent by %s at event %" PRIu64
			    ", was still on its way when the run ended",
			    packet->id, node_name(packets, sent->node), sent->event);
}

struct bh_error *bh_packet_walk_forward(const struct bh_packets *packets,
					const struct bh_packet_place *place, uint64_t event,
					struct bh_packet_step *step_ret)
{
	const struct bh_packet *packet = place->packet;
	const struct bh_packet_hop *sent = place->hop;

	*step_ret = (struct bh_packet_step){0};
	if (!sent && packet->hop_count)
		sent = &packet->hops[0];
	else if (sent && !sent->is_tx)
		sent = find_departure(packets, &packet, sent);
	if (packet != place->packet)
		step_ret->former = place->packet;
	if (!sent)
		return to_end(packets, packet, place->hop ? place->hop->node : BH_NO_NODE, event,
			      step_ret);
	return over_link(packets, packet, sent, step_ret);
}

/* --- backward --- */

/* Where a packet came to a node before an event: itself or, if it never did, in what carried it
 * there. */
static void find_arrival(const struct bh_packets *packets, const struct bh_packet *packet,
			 uint32_t node, uint64_t before, unsigned int depth,
			 struct bh_packet_place *best)
{
	const struct bh_packet *child;
	size_t index = 0;

	for (size_t i = 0; i < packet->hop_count; i++) {
		const struct bh_packet_hop *hop = &packet->hops[i];

		if (!hop->is_tx && hop->node == node && hop->event < before &&
		    (!best->hop || hop->event > best->hop->event))
			*best = (struct bh_packet_place){packet, hop};
	}
	if (best->packet == packet)
		return;
	while (depth < DEPTH_MAX && (child = bh_packets_next_child(packets, packet, &index))) {
		if (child->id >= before)
			return; /* children are in the order of their ids */
		if (bh_packet_carries_parent(child))
			find_arrival(packets, child, node, before, depth + 1, best);
	}
}

static int is_made_by_program(const struct bh_packet *packet)
{
	return packet->origin.kind == BH_ORIGIN_SYSCALL || packet->origin.kind == BH_ORIGIN_TASK;
}

/* The kernel made it because of what arrived. */
static int is_answer(const struct bh_packet *packet)
{
	return (packet->relation == BH_PACKET_REPLY || packet->relation == BH_PACKET_CAUSED) &&
	       !is_made_by_program(packet);
}

static struct bh_error *made_here(const struct bh_packets *packets, const struct bh_packet *packet)
{
	const struct bh_packet_origin *origin = &packet->origin;
	char by[128] = "";

	if (is_made_by_program(packet))
		snprintf(by, sizeof(by), " by %s-%" PRId64 "%s%s",
			 origin->program ? origin->program : "process", origin->pid,
			 origin->call ? ", in " : "", origin->call ? origin->call : "");
	return bh_error_new(BH_ERR_USAGE,
			    "packet %" PRIu64 " was made on %s%s: no frame brought it; `packet "
			    "origin` goes to where",
			    packet->id, node_name(packets, packet->from), by);
}

/* How what was sent had come to the node: as itself, as what it was made of, or in answer to what.
 */
static struct bh_error *came_from(const struct bh_packets *packets, const struct bh_packet *packet,
				  const struct bh_packet_hop *sent,
				  struct bh_packet_place *arrival_ret)
{
	const struct bh_packet *first = packet;

	*arrival_ret = (struct bh_packet_place){0};
	for (unsigned int depth = 0; packet && depth < DEPTH_MAX; depth++) {
		find_arrival(packets, packet, sent->node, sent->event, 0, arrival_ret);
		if (arrival_ret->hop)
			return NULL;
		if (!bh_packet_carries_parent(packet) && !is_answer(packet))
			break;
		first = packet;
		packet = parent_of(packets, packet);
	}
	return made_here(packets, packet ? packet : first);
}

struct bh_error *bh_packet_walk_back(const struct bh_packets *packets,
				     const struct bh_packet_place *place,
				     struct bh_packet_step *step_ret)
{
	struct bh_packet_place arrival = *place;
	struct bh_event event;

	*step_ret = (struct bh_packet_step){0};
	if (!place->hop && place->packet->hop_count)
		return bh_error_new(BH_ERR_USAGE,
				    "packet %" PRIu64 " begins later, at event %" PRIu64
				    "; `goto %" PRIu64 ".0` leads there",
				    place->packet->id, place->packet->hops[0].event,
				    place->packet->id);
	if (!place->hop)
		return made_here(packets, place->packet);
	if (place->hop->is_tx)
		BH_TRY(came_from(packets, place->packet, place->hop, &arrival));
	BH_TRY(bh_trace_event(bh_packets_trace(packets), arrival.hop->event, &event));
	step_ret->packet = arrival.packet;
	step_ret->former = arrival.packet != place->packet ? place->packet : NULL;
	step_ret->arrived = event.event;
	step_ret->sent = event.cause;
	return NULL;
}

/* --- reaching --- */

static int reaches(const struct bh_packets *packets, const struct bh_packet *packet, uint32_t node,
		   unsigned int depth)
{
	const struct bh_packet *child;
	size_t index = 0;

	for (size_t i = 0; i < packet->hop_count; i++)
		if (!packet->hops[i].is_tx && packet->hops[i].node == node)
			return 1;
	while (depth < DEPTH_MAX && (child = bh_packets_next_child(packets, packet, &index)))
		if (bh_packet_carries_parent(child) && reaches(packets, child, node, depth + 1))
			return 1;
	return 0;
}

int bh_packet_reaches(const struct bh_packets *packets, const struct bh_packet *packet,
		      uint32_t node)
{
	return reaches(packets, packet, node, 0);
}
