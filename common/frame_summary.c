/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line about a frame, much as tcpdump -n words it: see frame_layers.h. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/frame_layers.h"

struct line {
	char *text;
	size_t size, used;
	const struct bh_frame_layers *layers;
};

static void __attribute__((format(printf, 2, 3))) say(struct line *line, const char *format, ...)
{
	va_list args;

	if (line->used + 1 >= line->size)
		return;
	va_start(args, format);
	int written = vsnprintf(line->text + line->used, line->size - line->used, format, args);

	va_end(args);
	if (written > 0)
		line->used += (size_t)written < line->size - line->used
				      ? (size_t)written
				      : line->size - line->used - 1;
}

static uint32_t big16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

static uint32_t big32(const uint8_t *bytes)
{
	return big16(bytes) << 16 | big16(bytes + 2);
}

/* The header of a layer, if so many of its bytes were kept. */
static const uint8_t *header(const struct line *line, const struct bh_layer *layer, uint32_t size)
{
	if (layer->offset + size > line->layers->captured)
		return NULL;
	return line->layers->frame + layer->offset;
}

static void say_address(struct line *line, unsigned int version, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN];

	say(line, "%s", inet_ntop(version == 4 ? AF_INET : AF_INET6, address, text, sizeof(text)));
}

static void say_mac(struct line *line, const uint8_t *mac)
{
	say(line, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void say_ends(struct line *line, const struct bh_ip_header *ip, const uint8_t *ports)
{
	say(line, "%s ", ip->version == 4 ? "IP" : "IP6");
	say_address(line, ip->version, ip->source);
	if (ports)
		say(line, ".%" PRIu32, big16(ports));
	say(line, " > ");
	say_address(line, ip->version, ip->destination);
	if (ports)
		say(line, ".%" PRIu32, big16(ports + 2));
	say(line, ": ");
}

static int has_ports(unsigned int kind)
{
	return kind == BH_LAYER_UDP || kind == BH_LAYER_TCP || kind == BH_LAYER_SCTP ||
	       kind == BH_LAYER_DCCP;
}

static void say_ip(struct line *line, const struct bh_layer *layer, const struct bh_layer *next)
{
	const struct bh_ip_header *ip = &line->layers->ips[layer->ip];
	const uint8_t *ports = next && has_ports(next->kind) ? header(line, next, 4) : NULL;

	say_ends(line, ip, ports);
	if (!ip->is_fragment)
		return;
	say(line, "frag %" PRIu32 ":%" PRIu32 "@%" PRIu32 "%s%s", ip->fragment_id,
	    ip->payload_length, ip->fragment_offset, ip->more ? "+" : "", next ? ", " : "");
}

static const char *icmp_name(unsigned int type)
{
	static const char *const names[] = {
		[0] = "echo reply",	[3] = "unreachable",	      [5] = "redirect",
		[8] = "echo request",	[9] = "router advertisement", [10] = "router solicitation",
		[11] = "time exceeded", [12] = "parameter problem",
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;
}

static const char *icmp6_name(unsigned int type)
{
	switch (type) {
	case 1:
		return "unreachable";
	case 2:
		return "packet too big";
	case 3:
		return "time exceeded";
	case 4:
		return "parameter problem";
	case 128:
		return "echo request";
	case 129:
		return "echo reply";
	case 130:
		return "multicast listener query";
	case 131:
		return "multicast listener report";
	case 133:
		return "router solicitation";
	case 134:
		return "router advertisement";
	case 135:
		return "neighbor solicitation";
	case 136:
		return "neighbor advertisement";
	case 137:
		return "redirect";
	case 143:
		return "multicast listener report v2";
	default:
		return NULL;
	}
}

static void say_icmp(struct line *line, const struct bh_layer *layer)
{
	int is_6 = layer->kind == BH_LAYER_ICMP6;
	const uint8_t *bytes = header(line, layer, 8);

	if (!bytes) {
		say(line, "%s", is_6 ? "ICMP6" : "ICMP");
		return;
	}
	const char *name = is_6 ? icmp6_name(bytes[0]) : icmp_name(bytes[0]);
	int is_echo = is_6 ? bytes[0] == 128 || bytes[0] == 129 : bytes[0] == 0 || bytes[0] == 8;

	say(line, "%s ", is_6 ? "ICMP6," : "ICMP");
	if (name)
		say(line, "%s", name);
	else
		say(line, "type %u", bytes[0]);
	if (is_echo)
		say(line, ", id %" PRIu32 ", seq %" PRIu32, big16(bytes + 4), big16(bytes + 6));
	else if (bytes[1])
		say(line, ", code %u", bytes[1]);
	if (is_6 && (bytes[0] == 135 || bytes[0] == 136) && header(line, layer, 24)) {
		say(line, bytes[0] == 135 ? ", who has " : ", tgt is ");
		say_address(line, 6, bytes + 8);
	}
	say(line, ", length %" PRIu32, layer->end - layer->offset);
}

static void say_tcp(struct line *line, const struct bh_layer *layer)
{
	static const char letters[] = "FSRP.U";
	struct bh_tcp_header tcp;
	char flags[8] = "";
	size_t count = 0;

	if (!bh_frame_tcp(line->layers, layer, &tcp)) {
		say(line, "TCP");
		return;
	}
	/* The ACK's dot comes last. */
	for (unsigned int i = 0; i < 6; i++)
		if (i != 4 && (tcp.flags >> i & 1))
			flags[count++] = letters[i];
	if (tcp.flags & BH_TCP_ACK)
		flags[count++] = '.';
	say(line, "Flags [%s], seq %" PRIu32, count ? flags : "none", tcp.sequence);
	if (tcp.payload_length)
		say(line, ":%" PRIu32, tcp.sequence + tcp.payload_length);
	if (tcp.flags & BH_TCP_ACK)
		say(line, ", ack %" PRIu32, tcp.acknowledgement);
	say(line, ", win %u, length %" PRIu32, tcp.window, tcp.payload_length);
}

static void say_arp(struct line *line, const struct bh_layer *layer)
{
	const uint8_t *bytes = header(line, layer, 28);

	if (!bytes || big16(bytes + 2) != 0x0800) {
		say(line, "ARP");
		return;
	}
	if (big16(bytes + 6) == 1) {
		say(line, "ARP, request who-has ");
		say_address(line, 4, bytes + 24);
		say(line, " tell ");
		say_address(line, 4, bytes + 14);
	} else {
		say(line, "ARP, reply ");
		say_address(line, 4, bytes + 14);
		say(line, " is-at ");
		say_mac(line, bytes + 8);
	}
}

static void say_sctp(struct line *line, const struct bh_layer *layer)
{
	static const char *const names[] = {"DATA",	    "INIT",   "INIT ACK",    "SACK",
					    "HEARTBEAT",    "HB ACK", "ABORT",	     "SHUTDOWN",
					    "SHUTDOWN ACK", "ERROR",  "COOKIE ECHO", "COOKIE ACK"};
	const uint8_t *bytes = header(line, layer, 13);

	say(line, "SCTP");
	if (bytes && bytes[12] < sizeof(names) / sizeof(names[0]))
		say(line, " [%s]", names[bytes[12]]);
	say(line, ", length %" PRIu32, layer->end - layer->offset);
}

static void say_other(struct line *line, const struct bh_layer *layer)
{
	const uint8_t *bytes = line->layers->frame;

	if (layer->ip) {
		say(line,
		    layer->number < 0x600 ? "protocol %u, length %" PRIu32
					  : "ethertype 0x%04x, length %" PRIu32,
		    layer->number, layer->end - layer->offset);
		return;
	}
	say_mac(line, bytes + 6);
	say(line, " > ");
	say_mac(line, bytes);
	if (layer->number < 0x600)
		say(line, ", 802.3, length %u", layer->number);
	else
		say(line, ", ethertype 0x%04x, length %" PRIu32, layer->number,
		    line->layers->length);
}

/* What leads to another header. */
static int say_wrapping(struct line *line, const struct bh_layer *layer)
{
	const uint8_t *bytes = header(line, layer, 8);

	switch (layer->kind) {
	case BH_LAYER_VLAN:
		say(line, "vlan %u, ", layer->number);
		return 1;
	case BH_LAYER_MPLS:
		bytes = header(line, layer, 4);
		say(line, "MPLS label %" PRIu32 ", ", bytes ? big32(bytes) >> 12 : 0);
		return 1;
	case BH_LAYER_GRE:
		say(line, "GRE, ");
		return 1;
	case BH_LAYER_VXLAN:
		say(line, "VXLAN, vni %" PRIu32 ", ", bytes ? big32(bytes + 4) >> 8 : 0);
		return 1;
	case BH_LAYER_GENEVE:
		say(line, "Geneve, vni %" PRIu32 ", ", bytes ? big32(bytes + 4) >> 8 : 0);
		return 1;
	case BH_LAYER_AH:
		say(line, "AH, ");
		return 1;
	default:
		return 0;
	}
}

static void say_last(struct line *line, const struct bh_layer *layer)
{
	const uint8_t *bytes = header(line, layer, 8);

	switch (layer->kind) {
	case BH_LAYER_ARP:
		say_arp(line, layer);
		break;
	case BH_LAYER_ICMP:
	case BH_LAYER_ICMP6:
		say_icmp(line, layer);
		break;
	case BH_LAYER_TCP:
		say_tcp(line, layer);
		break;
	case BH_LAYER_UDP:
		say(line, "UDP, length %" PRIu32,
		    bytes && big16(bytes + 4) >= 8 ? big16(bytes + 4) - 8 : 0);
		break;
	case BH_LAYER_SCTP:
		say_sctp(line, layer);
		break;
	case BH_LAYER_DCCP:
		say(line, "DCCP, length %" PRIu32, layer->end - layer->offset);
		break;
	case BH_LAYER_IGMP:
		say(line, "IGMP type 0x%02x", bytes ? bytes[0] : 0);
		break;
	case BH_LAYER_ESP:
		say(line, "ESP(spi=0x%08" PRIx32 ",seq=0x%" PRIx32 "), length %" PRIu32,
		    bytes ? big32(bytes) : 0, bytes ? big32(bytes + 4) : 0,
		    layer->end - layer->offset);
		break;
	case BH_LAYER_L2TP:
		say(line, "L2TP, length %" PRIu32, layer->end - layer->offset);
		break;
	default:
		say_other(line, layer);
	}
}

void bh_frame_summary(const struct bh_frame_layers *layers, char *text_ret, size_t size)
{
	struct line line = {.text = text_ret, .size = size, .layers = layers};

	if (size)
		text_ret[0] = 0;
	for (unsigned int i = 0; i < layers->count; i++) {
		const struct bh_layer *layer = &layers->layers[i];
		const struct bh_layer *next = i + 1 < layers->count ? layer + 1 : NULL;

		if (layer->kind == BH_LAYER_ETHERNET)
			continue;
		if (layer->kind == BH_LAYER_IP)
			say_ip(&line, layer, next);
		else if (!say_wrapping(&line, layer) && !(layer->kind == BH_LAYER_UDP && next))
			say_last(&line, layer);
	}
	if (!line.used)
		say(&line, "frame of %" PRIu32 " bytes", layers->length);
	/* What wraps nothing that could be read. */
	while (line.used > 1 && (text_ret[line.used - 1] == ' ' || text_ret[line.used - 1] == ',' ||
				 text_ret[line.used - 1] == ':'))
		text_ret[--line.used] = 0;
}
