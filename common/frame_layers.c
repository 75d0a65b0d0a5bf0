/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the headers of a frame: see frame_layers.h. */
#include "common/frame_layers.h"

#include <string.h>

#define ETHERTYPE_IP4	0x0800
#define ETHERTYPE_ARP	0x0806
#define ETHERTYPE_TEB	0x6558
#define ETHERTYPE_VLAN	0x8100
#define ETHERTYPE_IP6	0x86dd
#define ETHERTYPE_QINQ	0x88a8
#define ETHERTYPE_MPLS	0x8847
#define ETHERTYPE_MPLS2 0x8848
/* Below it the field is a length, and LLC follows. */
#define ETHERTYPE_FIRST 0x0600

enum {
	PROTOCOL_HOPOPTS = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_IGMP = 2,
	PROTOCOL_IPIP = 4,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_DCCP = 33,
	PROTOCOL_IP6 = 41,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_GRE = 47,
	PROTOCOL_ESP = 50,
	PROTOCOL_AH = 51,
	PROTOCOL_ICMP6 = 58,
	PROTOCOL_DSTOPTS = 60,
	PROTOCOL_L2TP = 115,
	PROTOCOL_SCTP = 132,
	PROTOCOL_MPLS = 137,
	PROTOCOL_ETHERNET = 143,
};

/* What comes next: the number space it is named in, and the number. */
enum space { SPACE_NONE, SPACE_ETHERNET, SPACE_ETHERTYPE, SPACE_PROTOCOL };

struct reader {
	struct bh_frame_layers *out;
	uint32_t at;  /* offset of the next header */
	uint32_t end; /* of what the headers so far say there is */
	enum space space;
	uint32_t number;
	uint8_t ip; /* the IP header we are in, + 1 */
};

static const uint8_t *header(const struct reader *reader, uint32_t size)
{
	const struct bh_frame_layers *out = reader->out;

	if (reader->at > out->captured || size > out->captured - reader->at)
		return NULL;
	return out->frame + reader->at;
}

static uint32_t big16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

static uint32_t big32(const uint8_t *bytes)
{
	return big16(bytes) << 16 | big16(bytes + 2);
}

static struct bh_layer *add(struct reader *reader, enum bh_layer_kind kind, uint32_t number)
{
	struct bh_frame_layers *out = reader->out;

	if (out->count == BH_LAYERS_MAX) {
		reader->space = SPACE_NONE;
		return NULL;
	}
	struct bh_layer *layer = &out->layers[out->count++];

	*layer = (struct bh_layer){.kind = (uint8_t)kind,
				   .ip = reader->ip,
				   .number = (uint16_t)number,
				   .offset = reader->at,
				   .end = reader->end};
	return layer;
}

static void stop(struct reader *reader)
{
	reader->space = SPACE_NONE;
}

static void go_on(struct reader *reader, uint32_t size, enum space space, uint32_t number)
{
	reader->at += size;
	reader->space = space;
	reader->number = number;
}

/* --- layer 2 --- */

static void read_ethernet(struct reader *reader)
{
	const uint8_t *bytes = header(reader, 14);

	if (!bytes || !add(reader, BH_LAYER_ETHERNET, 0)) {
		stop(reader);
		return;
	}
	reader->ip = 0;
	go_on(reader, 14, SPACE_ETHERTYPE, big16(bytes + 12));
}

static void read_vlan(struct reader *reader)
{
	const uint8_t *bytes = header(reader, 4);

	if (!bytes || !add(reader, BH_LAYER_VLAN, big16(bytes) & 0xfff))
		stop(reader);
	else
		go_on(reader, 4, SPACE_ETHERTYPE, big16(bytes + 2));
}

/* Below the last label lies, by its first four bits, an IP packet, or something else. */
static void read_mpls(struct reader *reader)
{
	const uint8_t *bytes = header(reader, 5);

	if (!bytes || !add(reader, BH_LAYER_MPLS, 0)) {
		stop(reader);
		return;
	}
	if (!(bytes[2] & 1))
		go_on(reader, 4, SPACE_ETHERTYPE, ETHERTYPE_MPLS);
	else if (bytes[4] >> 4 == 4 || bytes[4] >> 4 == 6)
		go_on(reader, 4, SPACE_ETHERTYPE,
		      bytes[4] >> 4 == 4 ? ETHERTYPE_IP4 : ETHERTYPE_IP6);
	else
		stop(reader);
}

/* --- IP --- */

static struct bh_ip_header *add_ip(struct reader *reader, unsigned int version)
{
	struct bh_frame_layers *out = reader->out;
	struct bh_layer *layer =
		out->ip_count == BH_LAYERS_IP_MAX ? NULL : add(reader, BH_LAYER_IP, version);

	if (!layer)
		return NULL;
	layer->ip = (uint8_t)out->ip_count;
	out->ips[out->ip_count] = (struct bh_ip_header){.version = (uint8_t)version};
	reader->ip = (uint8_t)++out->ip_count;
	return &out->ips[out->ip_count - 1];
}

static void covers(struct reader *reader, uint32_t length)
{
	uint32_t end = reader->at + length;

	if (end < reader->end)
		reader->end = end;
	reader->out->layers[reader->out->count - 1].end = reader->end;
}

static void read_ip4(struct reader *reader)
{
	const uint8_t *bytes = header(reader, 20);
	struct bh_ip_header *ip = bytes ? add_ip(reader, 4) : NULL;

	if (!ip) {
		stop(reader);
		return;
	}
	uint32_t size = (bytes[0] & 15u) * 4, total = big16(bytes + 2);
	uint32_t flags = big16(bytes + 6);

	ip->ttl = bytes[8];
	ip->protocol = bytes[9];
	ip->source = bytes + 12;
	ip->destination = bytes + 16;
	ip->fragment_id = big16(bytes + 4);
	ip->fragment_offset = (flags & 0x1fff) * 8;
	ip->more = !!(flags & 0x2000);
	ip->is_fragment = ip->more || ip->fragment_offset;
	ip->payload_length = total > size ? total - size : 0;
	if (size < 20) {
		stop(reader);
		return;
	}
	covers(reader, total);
	if (ip->fragment_offset)
		stop(reader);
	else
		go_on(reader, size, SPACE_PROTOCOL, ip->protocol);
}

/* The extension headers; *protocol_ret is what follows them. */
static int read_extensions(struct reader *reader, struct bh_ip_header *ip)
{
	for (;;) {
		const uint8_t *bytes = header(reader, 8);

		switch (ip->protocol) {
		case PROTOCOL_ROUTING:
			ip->has_routing = 1;
			/* fall through */
		case PROTOCOL_HOPOPTS:
		case PROTOCOL_DSTOPTS:
			if (!bytes)
				return 0;
			ip->protocol = bytes[0];
			reader->at += 8 + bytes[1] * 8u;
			break;
		case PROTOCOL_FRAGMENT:
			if (!bytes)
				return 0;
			ip->protocol = bytes[0];
			ip->fragment_offset = big16(bytes + 2) & 0xfff8;
			ip->more = bytes[3] & 1;
			ip->fragment_id = big32(bytes + 4);
			ip->is_fragment = 1;
			reader->at += 8;
			if (ip->fragment_offset)
				return 0;
			break;
		default:
			return 1;
		}
	}
}

static void read_ip6(struct reader *reader)
{
	const uint8_t *bytes = header(reader, 40);
	struct bh_ip_header *ip = bytes ? add_ip(reader, 6) : NULL;

	if (!ip) {
		stop(reader);
		return;
	}
	uint32_t end = reader->at + 40 + big16(bytes + 4);

	ip->protocol = bytes[6];
	ip->ttl = bytes[7];
	ip->source = bytes + 8;
	ip->destination = bytes + 24;
	covers(reader, 40 + big16(bytes + 4));
	reader->at += 40;
	int is_readable = read_extensions(reader, ip);

	ip->payload_length = end > reader->at ? end - reader->at : 0;
	if (is_readable)
		go_on(reader, 0, SPACE_PROTOCOL, ip->protocol);
	else
		stop(reader);
}

/* --- what is in IP --- */

static void read_udp(struct reader *reader)
{
	const uint8_t *bytes = header(reader, 8);
	uint32_t port = bytes ? big16(bytes + 2) : 0;

	if (!bytes || !add(reader, BH_LAYER_UDP, 0)) {
		stop(reader);
		return;
	}
	reader->at += 8;
	bytes = header(reader, 8);
	stop(reader);
	if (!bytes)
		return;
	/* 8472 is what Linux took before a number was given out, and still takes unless told. */
	if ((port == 4789 || port == 8472) && (bytes[0] & 8)) {
		if (add(reader, BH_LAYER_VXLAN, 0))
			go_on(reader, 8, SPACE_ETHERNET, 0);
	} else if (port == 6081 && !(bytes[0] & 0xc0)) {
		if (add(reader, BH_LAYER_GENEVE, 0))
			go_on(reader, 8 + (bytes[0] & 0x3fu) * 4,
			      big16(bytes + 2) == ETHERTYPE_TEB ? SPACE_ETHERNET : SPACE_ETHERTYPE,
			      big16(bytes + 2));
	}
}

static void read_gre(struct reader *reader)
{
	const uint8_t *bytes = header(reader, 4);

	if (!bytes || !add(reader, BH_LAYER_GRE, big16(bytes + 2))) {
		stop(reader);
		return;
	}
	uint32_t flags = big16(bytes), type = big16(bytes + 2), size = 4;

	size += flags & 0x8000 ? 4 : 0;
	size += flags & 0x2000 ? 4 : 0;
	size += flags & 0x1000 ? 4 : 0;
	if (flags & 7) /* version 1 is of PPTP, and ERSPAN has headers of its own */
		stop(reader);
	else
		go_on(reader, size, type == ETHERTYPE_TEB ? SPACE_ETHERNET : SPACE_ETHERTYPE, type);
}

static void read_ah(struct reader *reader)
{
	const uint8_t *bytes = header(reader, 12);

	if (!bytes || !add(reader, BH_LAYER_AH, 0))
		stop(reader);
	else
		go_on(reader, (bytes[1] + 2u) * 4, SPACE_PROTOCOL, bytes[0]);
}

static void read_last(struct reader *reader, enum bh_layer_kind kind, uint32_t least)
{
	if (header(reader, least))
		add(reader, kind, 0);
	stop(reader);
}

static void read_protocol(struct reader *reader)
{
	switch (reader->number) {
	case PROTOCOL_IPIP:
		read_ip4(reader);
		break;
	case PROTOCOL_IP6:
		read_ip6(reader);
		break;
	case PROTOCOL_MPLS:
		read_mpls(reader);
		break;
	case PROTOCOL_ETHERNET:
		read_ethernet(reader);
		break;
	case PROTOCOL_UDP:
		read_udp(reader);
		break;
	case PROTOCOL_GRE:
		read_gre(reader);
		break;
	case PROTOCOL_AH:
		read_ah(reader);
		break;
	case PROTOCOL_TCP:
		read_last(reader, BH_LAYER_TCP, 20);
		break;
	case PROTOCOL_ICMP:
		read_last(reader, BH_LAYER_ICMP, 8);
		break;
	case PROTOCOL_ICMP6:
		read_last(reader, BH_LAYER_ICMP6, 4);
		break;
	case PROTOCOL_IGMP:
		read_last(reader, BH_LAYER_IGMP, 8);
		break;
	case PROTOCOL_SCTP:
		read_last(reader, BH_LAYER_SCTP, 12);
		break;
	case PROTOCOL_DCCP:
		read_last(reader, BH_LAYER_DCCP, 12);
		break;
	case PROTOCOL_ESP:
		read_last(reader, BH_LAYER_ESP, 8);
		break;
	case PROTOCOL_L2TP:
		read_last(reader, BH_LAYER_L2TP, 4);
		break;
	default:
		add(reader, BH_LAYER_OTHER, reader->number);
		stop(reader);
	}
}

static void read_ethertype(struct reader *reader)
{
	switch (reader->number) {
	case ETHERTYPE_IP4:
		read_ip4(reader);
		break;
	case ETHERTYPE_IP6:
		read_ip6(reader);
		break;
	case ETHERTYPE_VLAN:
	case ETHERTYPE_QINQ:
		read_vlan(reader);
		break;
	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS2:
		read_mpls(reader);
		break;
	case ETHERTYPE_ARP:
		read_last(reader, BH_LAYER_ARP, 28);
		break;
	default:
		add(reader, BH_LAYER_OTHER, reader->number);
		stop(reader);
	}
}

void bh_frame_layers_read(const void *frame, size_t captured, size_t length,
			  struct bh_frame_layers *layers_ret)
{
	struct reader reader = {
		.out = layers_ret, .end = (uint32_t)length, .space = SPACE_ETHERNET};

	layers_ret->frame = frame;
	layers_ret->captured = (uint32_t)(captured < length ? captured : length);
	layers_ret->length = (uint32_t)length;
	layers_ret->count = layers_ret->ip_count = 0;
	/* Each step adds a layer or stops, and there is an end to layers. */
	while (reader.space != SPACE_NONE) {
		if (reader.space == SPACE_ETHERNET)
			read_ethernet(&reader);
		else if (reader.space == SPACE_ETHERTYPE)
			read_ethertype(&reader);
		else
			read_protocol(&reader);
	}
}

const struct bh_layer *bh_frame_layer_find(const struct bh_frame_layers *layers,
					   enum bh_layer_kind kind)
{
	for (unsigned int i = layers->count; i > 0; i--)
		if (layers->layers[i - 1].kind == kind)
			return &layers->layers[i - 1];
	return NULL;
}

int bh_frame_tcp(const struct bh_frame_layers *layers, const struct bh_layer *layer,
		 struct bh_tcp_header *header_ret)
{
	if (layer->kind != BH_LAYER_TCP || layer->offset + 20 > layers->captured)
		return 0;
	const uint8_t *bytes = layers->frame + layer->offset;
	uint32_t begin = layer->offset + (bytes[12] >> 4) * 4u;

	*header_ret = (struct bh_tcp_header){
		.source_port = (uint16_t)big16(bytes),
		.destination_port = (uint16_t)big16(bytes + 2),
		.sequence = big32(bytes + 4),
		.acknowledgement = big32(bytes + 8),
		.payload_length = layer->end > begin ? layer->end - begin : 0,
		.window = (uint16_t)big16(bytes + 14),
		.flags = bytes[13],
	};
	return 1;
}
