/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in an Ethernet frame: its headers, from the outermost inwards through tunnels, and one
 * line of text about it. Frames may be cut off (only their first bytes kept) and may be anything:
 * what can't be read isn't there. Used by replayer/ to follow packets, and by whoever shows them.
 */
#ifndef BH_COMMON_FRAME_LAYERS_H
#define BH_COMMON_FRAME_LAYERS_H

#include <stddef.h>
#include <stdint.h>

enum bh_layer_kind {
	BH_LAYER_ETHERNET,
	BH_LAYER_VLAN,
	BH_LAYER_MPLS,
	BH_LAYER_ARP,
	BH_LAYER_IP, /* either version */
	BH_LAYER_ICMP,
	BH_LAYER_ICMP6,
	BH_LAYER_IGMP,
	BH_LAYER_UDP,
	BH_LAYER_TCP,
	BH_LAYER_SCTP,
	BH_LAYER_DCCP,
	BH_LAYER_GRE,
	BH_LAYER_VXLAN,
	BH_LAYER_GENEVE,
	BH_LAYER_ESP,
	BH_LAYER_AH,
	BH_LAYER_L2TP,
	BH_LAYER_OTHER, /* not looked into: number is the protocol or EtherType */
};

/* Where an IP header says the packet goes, and which fragment it is. */
struct bh_ip_header {
	uint8_t version;  /* 4 or 6 */
	uint8_t protocol; /* of what follows the IPv6 extension headers, too */
	uint8_t ttl;
	uint8_t is_fragment;	  /* a part of a datagram, or the whole in one part (IPv6) */
	uint8_t more;		  /* fragments follow */
	uint8_t has_routing;	  /* IPv6: a routing header */
	uint32_t fragment_id;	  /* IPv4: of every packet */
	uint32_t fragment_offset; /* bytes */
	uint32_t payload_length;  /* bytes behind all IP headers, as the header says */
	const uint8_t *source, *destination; /* 4 or 16 bytes of the frame */
};

#define BH_LAYERS_MAX	 24
#define BH_LAYERS_IP_MAX 6

struct bh_layer {
	uint8_t kind;
	uint8_t ip;	 /* of IP: index into ips; of others the header they are in, + 1, or 0 */
	uint16_t number; /* by kind: VLAN id, protocol number */
	uint32_t offset; /* of the header in the frame */
	uint32_t end;	 /* of what it covers, by its own length; may be beyond the kept bytes */
};

struct bh_frame_layers {
	const uint8_t *frame;
	uint32_t captured, length; /* bytes kept, bytes on the wire */
	unsigned int count, ip_count;
	struct bh_layer layers[BH_LAYERS_MAX];
	struct bh_ip_header ips[BH_LAYERS_IP_MAX];
};

/* frame is pointed into. */
void bh_frame_layers_read(const void *frame, size_t captured, size_t length,
			  struct bh_frame_layers *layers_ret);
/* The innermost layer of a kind, or NULL. */
const struct bh_layer *bh_frame_layer_find(const struct bh_frame_layers *layers,
					   enum bh_layer_kind kind);

struct bh_tcp_header {
	uint16_t source_port, destination_port;
	uint32_t sequence, acknowledgement;
	uint32_t payload_length;
	uint16_t window;
	uint8_t flags;
};
#define BH_TCP_FIN 1
#define BH_TCP_SYN 2
#define BH_TCP_RST 4
#define BH_TCP_PSH 8
#define BH_TCP_ACK 16
#define BH_TCP_URG 32
/* Non-zero if the header is whole in the kept bytes. */
int bh_frame_tcp(const struct bh_frame_layers *layers, const struct bh_layer *layer,
		 struct bh_tcp_header *header_ret);

/* "IP 10.0.1.2 > 10.0.2.2: ICMP echo request, id 1, seq 1, length 64", cut to size. */
void bh_frame_summary(const struct bh_frame_layers *layers, char *text_ret, size_t size);

#endif
