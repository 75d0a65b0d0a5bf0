/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lineage that a node's kernel carries along with a packet (the `packet` of host_abi.h, kept in
 * the socket buffer's kcov_handle): the packet id in the low 48 bits, above it how many links the
 * packet has crossed. The kernel doesn't look into it, so it gives both back, however long the
 * packet waits inside the node. A lineage without a crossed link is none: a frame that came over
 * no link was made by this node.
 */
#ifndef BH_SIMULATOR_LINEAGE_H
#define BH_SIMULATOR_LINEAGE_H

#include <stdint.h>

#define BH_LINEAGE_PACKET_BITS 48
#define BH_LINEAGE_HOP_MAX     0xffffu

static inline uint64_t bh_lineage_pack(uint64_t packet, uint32_t hop)
{
	uint64_t bounded = hop < BH_LINEAGE_HOP_MAX ? hop : BH_LINEAGE_HOP_MAX;

	return bounded << BH_LINEAGE_PACKET_BITS | packet;
}

static inline uint32_t bh_lineage_hop(uint64_t lineage)
{
	return (uint32_t)(lineage >> BH_LINEAGE_PACKET_BITS);
}

static inline uint64_t bh_lineage_packet(uint64_t lineage)
{
	return lineage & ((1ull << BH_LINEAGE_PACKET_BITS) - 1);
}

#endif
