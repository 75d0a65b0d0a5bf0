/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of a packet through the table of packets (packets.h), one hop at a time and in both
 * directions: over fragments, tunnels and copies, which are packets of their own there. Used by the
 * gdb server for `hop`, `reverse-hop` and `packet break`, and by filters.
 */
#ifndef BH_REPLAYER_PACKET_WALK_H
#define BH_REPLAYER_PACKET_WALK_H

#include "replayer/packets.h"

/* Where a walk is: a packet, and its hop that was the last one. */
struct bh_packet_place {
	const struct bh_packet *packet;
	const struct bh_packet_hop *hop; /* NULL: before its first one */
};

/*
 * What is being handled on node when event is the newest one: the selected packet, if it is on that
 * node at this moment; else the one that the event is about; else the selected one as far as it has
 * got. selected may be NULL. BH_ERR_USAGE if there is none.
 */
struct bh_error *bh_packet_place_find(const struct bh_packets *packets,
				      const struct bh_packet *selected, uint64_t event,
				      uint32_t node, struct bh_packet_place *place_ret);

/* One step. Either over a link: sent and arrived are TX and RX (or LOST) events; or forward to the
 * packet's end, without a link: sent is 0, arrived the event of end. */
struct bh_packet_step {
	const struct bh_packet *packet;	 /* that is followed from here on */
	const struct bh_packet *former;	 /* that was until now, if it is another one; else NULL */
	const struct bh_packet_end *end; /* NULL: over a link */
	uint64_t sent, arrived;
};

/* Forward: to the next arrival, or to the end. BH_ERR_USAGE, one sentence, if it has ended. */
struct bh_error *bh_packet_walk_forward(const struct bh_packets *packets,
					const struct bh_packet_place *place, uint64_t event,
					struct bh_packet_step *step_ret);
/* Backward: to the transmission of what arrived. BH_ERR_USAGE if it was made on this node. */
struct bh_error *bh_packet_walk_back(const struct bh_packets *packets,
				     const struct bh_packet_place *place,
				     struct bh_packet_step *step_ret);

/* Whether it, or what was made of it (fragments, tunnels, copies), was received by a node. */
int bh_packet_reaches(const struct bh_packets *packets, const struct bh_packet *packet,
		      uint32_t node);
/* Whether the child carries its parent on: it isn't a reply or a retransmission. */
int bh_packet_carries_parent(const struct bh_packet *child);

#endif
