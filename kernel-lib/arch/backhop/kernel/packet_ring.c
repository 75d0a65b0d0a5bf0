// SPDX-License-Identifier: GPL-2.0
/*
 * mmap() of a packet socket's rings (tcpdump, and whatever else uses libpcap). Kernel and programs
 * share one address space, so a mapping is the address of the ring itself; but the program expects
 * one piece, and generic code (alloc_pg_vec() in net/packet/af_packet.c, 6.1) allocates block by
 * block. So the blocks are moved into one piece before the program learns where they are. Called by
 * user.c.
 */
#include <linux/gfp.h>
#include <linux/if_packet.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/string.h>
#include <net/sock.h>

#include "../../../mm/internal.h"
#include "../../../net/packet/internal.h"
#include "user.h"

static unsigned long ring_size(const struct packet_ring_buffer *ring)
{
	return ring->pg_vec ? (unsigned long)ring->pg_vec_len * ring->pg_vec_pages << PAGE_SHIFT
			    : 0;
}

/* Do the ring's blocks lie one behind the other from here on? */
static bool lies_at(const struct packet_ring_buffer *ring, const char *place)
{
	unsigned int i;

	for (i = 0; ring->pg_vec && i < ring->pg_vec_len; i++)
		if (ring->pg_vec[i].buffer !=
		    place + ((unsigned long)i * ring->pg_vec_pages << PAGE_SHIFT))
			return false;
	return true;
}

/* What TPACKET_V3 remembers about the block that it is filling. */
static void follow_block(struct tpacket_kbdq_core *core, const char *from, unsigned long size,
			 char *to)
{
	if (core->pkblk_start != from)
		return;
	core->pkblk_start = to;
	core->pkblk_end = to + size;
	core->prev = to + (core->prev - from);
	core->nxt_offset = to + (core->nxt_offset - from);
}

/* free_pg_vec() frees a block as what alloc_one_pg_vec_page() made: a compound page. */
static void make_block(char *place, unsigned int order)
{
	struct page *page = virt_to_page(place);
	unsigned int i;

	if (!order)
		return;
	for (i = 1; i < 1u << order; i++)
		set_page_count(page + i, 0);
	prep_compound_page(page, order);
}

static void move_ring(struct packet_sock *po, struct packet_ring_buffer *ring, char *place)
{
	unsigned long size = (unsigned long)ring->pg_vec_pages << PAGE_SHIFT;
	unsigned int i;

	for (i = 0; ring->pg_vec && i < ring->pg_vec_len; i++, place += size) {
		char *from = ring->pg_vec[i].buffer;

		make_block(place, ring->pg_vec_order);
		memcpy(place, from, size);
		if (ring == &po->rx_ring && po->tp_version == TPACKET_V3)
			follow_block(&ring->prb_bdqc, from, size, place);
		ring->pg_vec[i].buffer = place;
		free_pages((unsigned long)from, ring->pg_vec_order);
	}
}

/* Where the rings of this socket are, or -errno. Nothing can arrive in between: interrupts are only
 * taken when the node idles, and after the allocation nothing here waits. */
long bh_packet_ring_map(struct socket *socket, unsigned long size)
{
	struct packet_sock *po = pkt_sk(socket->sk);
	unsigned long rx_size, total;
	char *place;
	long ret = -EINVAL;

	mutex_lock(&po->pg_vec_lock);
	rx_size = ring_size(&po->rx_ring);
	total = rx_size + ring_size(&po->tx_ring);
	if (!total || size != total)
		goto out;
	place = po->rx_ring.pg_vec ? po->rx_ring.pg_vec[0].buffer : po->tx_ring.pg_vec[0].buffer;
	if (!lies_at(&po->rx_ring, place) || !lies_at(&po->tx_ring, place + rx_size)) {
		ret = -ENOMEM;
		place = alloc_pages_exact(total, GFP_KERNEL | __GFP_NOWARN);
		if (!place)
			goto out;
		move_ring(po, &po->rx_ring, place);
		move_ring(po, &po->tx_ring, place + rx_size);
	}
	ret = (long)place;
out:
	mutex_unlock(&po->pg_vec_lock);
	return ret;
}
