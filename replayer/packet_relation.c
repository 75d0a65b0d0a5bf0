/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares frames to tell how one came from another: see packet_table.h. Called by packet_build.c.
 */
#include <string.h>

#include "common/hash.h"
#include "replayer/packet_table.h"

/* How many times a packet is in another: tunnels add IP headers, ESP hides them. */
static unsigned int depth_of(const struct bh_frame_layers *layers)
{
	unsigned int depth = layers->ip_count;

	for (unsigned int i = 0; i < layers->count; i++)
		depth += layers->layers[i].kind == BH_LAYER_ESP;
	return depth;
}

static const struct bh_ip_header *outer(const struct bh_frame_layers *layers)
{
	return layers->ip_count ? &layers->ips[0] : NULL;
}

static const struct bh_ip_header *inner(const struct bh_frame_layers *layers)
{
	return layers->ip_count ? &layers->ips[layers->ip_count - 1] : NULL;
}

static size_t address_size(const struct bh_ip_header *ip)
{
	return ip->version == 4 ? 4 : 16;
}

static int same_addresses(const struct bh_ip_header *a, const struct bh_ip_header *b)
{
	return a->version == b->version && !memcmp(a->source, b->source, address_size(a)) &&
	       !memcmp(a->destination, b->destination, address_size(a));
}

int bh_packet_is_same(const struct bh_frame_layers *a, const struct bh_frame_layers *b)
{
	if (depth_of(a) != depth_of(b))
		return 0;
	if (!a->ip_count || !b->ip_count)
		return a->ip_count == b->ip_count;
	return same_addresses(inner(a), inner(b)) && inner(a)->protocol == inner(b)->protocol;
}

enum bh_packet_change bh_packet_change(const struct bh_frame_layers *received,
				       const struct bh_frame_layers *sent)
{
	unsigned int before = depth_of(received), after = depth_of(sent);
	const struct bh_ip_header *was = outer(received), *is = outer(sent);

	if (after != before)
		return after > before ? BH_CHANGE_ENCAPSULATED : BH_CHANGE_DECAPSULATED;
	if (was && is && is->is_fragment &&
	    (!was->is_fragment || is->payload_length < was->payload_length))
		return BH_CHANGE_FRAGMENT;
	return BH_CHANGE_NONE;
}

/* ARP's addresses are in the packet itself (RFC 826); a question asks for others than it answers.
 */
static int is_arp_answer(const struct bh_frame_layers *question,
			 const struct bh_frame_layers *answer)
{
	const struct bh_layer *was = bh_frame_layer_find(question, BH_LAYER_ARP);
	const struct bh_layer *is = bh_frame_layer_find(answer, BH_LAYER_ARP);

	return was && is && answer->frame[is->offset + 7] == 2 &&
	       !memcmp(question->frame + was->offset + 14, answer->frame + is->offset + 24, 4);
}

int bh_packet_is_answer(const struct bh_frame_layers *question,
			const struct bh_frame_layers *answer)
{
	const struct bh_ip_header *was = inner(question), *is = inner(answer);

	if (!was || !is)
		return is_arp_answer(question, answer);
	return was->version == is->version &&
	       !memcmp(was->source, is->destination, address_size(was));
}

/* What a key is made of: fixed places, so that equal things have equal bytes. */
struct key {
	uint8_t source[16], destination[16];
	uint32_t node, kind, number, length;
	uint16_t source_port, destination_port, protocol, flags;
};

static void fill_addresses(struct key *key, const struct bh_ip_header *ip)
{
	memset(key, 0, sizeof(*key));
	memcpy(key->source, ip->source, address_size(ip));
	memcpy(key->destination, ip->destination, address_size(ip));
}

static uint64_t finish(const struct key *key)
{
	uint64_t hash = bh_hash64(key, sizeof(*key));

	return hash ? hash : 1;
}

uint64_t bh_packet_datagram_key(const struct bh_frame_layers *layers, uint32_t node,
				int *is_first_ret)
{
	const struct bh_ip_header *ip = outer(layers);
	struct key key;

	if (!ip || !ip->is_fragment)
		return 0;
	fill_addresses(&key, ip);
	key.node = node;
	key.kind = 1;
	key.number = ip->fragment_id;
	/* IPv6 names the protocol in the first fragment's header, too, but it isn't part of what
	 * identifies a datagram there. */
	key.protocol = ip->version == 4 ? ip->protocol : 0;
	*is_first_ret = !ip->fragment_offset;
	return finish(&key);
}

uint64_t bh_packet_segment_key(const struct bh_frame_layers *layers, uint32_t node)
{
	const struct bh_layer *layer = bh_frame_layer_find(layers, BH_LAYER_TCP);
	struct bh_tcp_header tcp;
	struct key key;

	if (!layer || !layer->ip || !bh_frame_tcp(layers, layer, &tcp))
		return 0;
	/* Pure acknowledgements are sent again and again, and are none. */
	if (!tcp.payload_length && !(tcp.flags & (BH_TCP_SYN | BH_TCP_FIN)))
		return 0;
	fill_addresses(&key, &layers->ips[layer->ip - 1]);
	key.node = node;
	key.kind = 2;
	key.number = tcp.sequence;
	key.source_port = tcp.source_port;
	key.destination_port = tcp.destination_port;
	key.flags = tcp.flags & BH_TCP_SYN;
	return finish(&key);
}

int bh_packet_is_unchanged(const uint8_t *a, const uint8_t *b, size_t captured)
{
	struct bh_frame_layers layers;
	uint8_t copy[2][BH_LAYERS_IP_MAX * 64];

	if (captured < 14 || captured > sizeof(copy[0]) || memcmp(a + 12, b + 12, 2))
		return 0;
	memcpy(copy[0], a, captured);
	memcpy(copy[1], b, captured);
	bh_frame_layers_read(a, captured, captured, &layers);
	const struct bh_layer *ip = layers.count > 1 ? &layers.layers[1] : NULL;

	for (int i = 0; i < 2; i++) {
		memset(copy[i], 0, 12);
		if (ip && ip->kind == BH_LAYER_IP && ip->number == 4) {
			copy[i][ip->offset + 8] = 0;
			memset(copy[i] + ip->offset + 10, 0, 2);
		} else if (ip && ip->kind == BH_LAYER_IP) {
			copy[i][ip->offset + 7] = 0;
		}
	}
	return !memcmp(copy[0], copy[1], captured);
}
