/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What became of packets, when everything that happened to them has been seen: see
 * packet_builder.h. */
#include "replayer/packet_builder.h"

/* A buffer that took others in was itself taken in by another one; so many at most. */
#define MERGES_MAX 10000u

uint32_t bh_builder_end_create(struct builder *builder, const struct bh_packet_end *end)
{
	if (!bh_builder_room((void **)&builder->ends, builder->end_count, &builder->end_room,
			     sizeof(*builder->ends))) {
		builder->is_out_of_memory = 1;
		return NONE;
	}
	builder->ends[builder->end_count] = (struct build_end){.end = *end, .next = NONE};
	return (uint32_t)builder->end_count++;
}

void bh_builder_end_add(struct builder *builder, uint32_t owner, uint32_t number)
{
	struct build_packet *packet = &builder->packets[owner];

	if (number == NONE)
		return;
	if (packet->last_end == NONE)
		packet->first_end = number;
	else
		builder->ends[packet->last_end].next = number;
	packet->last_end = number;
}

unsigned int bh_builder_end_rank(const struct bh_packet_end *end)
{
	if (end->kind == BH_PACKET_DELIVERED)
		return end->pid ? 0 : end->reason ? 2 : 1;
	return end->kind == BH_PACKET_DROPPED ? 3 : end->kind == BH_PACKET_LOST ? 4 : 5;
}

/* The end of the arrival whose buffer took this one's in, if a program read that; or NONE. */
static uint32_t end_of_merged(const struct builder *builder, const struct build_hop *hop)
{
	for (unsigned int i = 0; i < MERGES_MAX && hop->merged != NONE; i++) {
		hop = &builder->hops[hop->merged];
		if (hop->reader == READER_PROGRAM)
			return hop->end;
	}
	return NONE;
}

/* A fragment is read with the datagram, which the first one stands for. */
static uint32_t end_of_datagram(const struct builder *builder, const struct build_hop *hop)
{
	const struct bh_packet *packet = &builder->packets[hop->packet].packet;
	uint32_t parent = packet->relation == BH_PACKET_FRAGMENT
				  ? builder->hop_of_event[packet->parent]
				  : NONE;

	if (parent == NONE)
		return NONE;
	parent = builder->packets[builder->hops[parent].packet].first_hop;
	for (; parent != NONE; parent = builder->hops[parent].next)
		if (builder->hops[parent].hop.node == hop->hop.node &&
		    builder->hops[parent].reader == READER_PROGRAM)
			return builder->hops[parent].end;
	return NONE;
}

/* The packet left a tunnel further on, or was put together there. */
static int went_on(const struct builder *builder, const struct build_hop *hop)
{
	uint32_t last = builder->packets[hop->packet].last_tx;

	return last != NONE && builder->hops[last].hop.event > hop->hop.event &&
	       builder->hops[last].hop.node != hop->hop.node;
}

/* icmpv6_rcv() of 6.1 (net/ipv6/icmp.c) frees what it has answered as dropped, for want of a better
 * reason. The answer may have left later. */
static int is_handled(const struct builder *builder, const struct build_hop *hop)
{
	const struct bh_packet_end *end = hop->end == NONE ? NULL : &builder->ends[hop->end].end;

	return hop->answered && end && end->reason && !strcmp(end->reason, "NOT_SPECIFIED") &&
	       end->function && !strcmp(end->function, "icmpv6_rcv");
}

static uint32_t end_of_arrival(struct builder *builder, const struct build_hop *hop)
{
	struct bh_packet_end end = {
		.kind = BH_PACKET_DELIVERED,
		.node = hop->hop.node,
		.event = hop->hop.event,
		.vtime_ns = hop->hop.vtime_ns,
	};
	uint32_t read;

	if (hop->reader == READER_PROGRAM)
		return hop->end;
	if (hop->branch == BRANCH_WENT_ON || hop->branch == BRANCH_LOST)
		return NONE;
	if (hop->branch == BRANCH_CHANGED && went_on(builder, hop))
		return NONE;
	if (hop->branch == BRANCH_CHANGED) {
		end.reason = bh_builder_keep(builder, hop->changed);
		return bh_builder_end_create(builder, &end);
	}
	read = end_of_merged(builder, hop);
	if (read == NONE)
		read = end_of_datagram(builder, hop);
	if (read != NONE) {
		end = builder->ends[read].end;
		return bh_builder_end_create(builder, &end);
	}
	if (hop->branch == BRANCH_DROPPED && !is_handled(builder, hop))
		return hop->end;
	if (!hop->freed && !builder->is_blind)
		end.kind = BH_PACKET_QUEUED;
	return bh_builder_end_create(builder, &end);
}

/* That a device let a frame pass that was for another one is the end only of what nobody took. */
static void finish_ignored(struct builder *builder)
{
	for (size_t i = 0; i < builder->hop_count; i++) {
		const struct build_hop *hop = &builder->hops[i];
		struct bh_packet_end end = {
			.kind = BH_PACKET_LOST,
			.node = hop->hop.node,
			.event = hop->hop.event,
			.vtime_ns = hop->hop.vtime_ns,
		};

		if (!hop->ignored || builder->packets[hop->packet].first_end != NONE)
			continue;
		end.reason = bh_builder_keep(builder, "ignored");
		bh_builder_end_add(builder, hop->packet, bh_builder_end_create(builder, &end));
	}
}

void bh_builder_ends_finish(struct builder *builder)
{
	for (size_t i = 0; i < builder->hop_count; i++) {
		const struct build_hop *hop = &builder->hops[i];
		struct bh_packet_end end = {
			.kind = BH_PACKET_QUEUED,
			.node = hop->hop.node,
			.event = hop->hop.event,
			.vtime_ns = hop->hop.vtime_ns,
		};

		if (hop->ignored)
			continue;
		if (!hop->hop.is_tx)
			bh_builder_end_add(builder, hop->packet, end_of_arrival(builder, hop));
		else if (!hop->arrived)
			bh_builder_end_add(builder, hop->packet,
					   bh_builder_end_create(builder, &end));
	}
	finish_ignored(builder);
}
