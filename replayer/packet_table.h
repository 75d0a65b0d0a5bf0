/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the table of packets (packets.h), shared by packet_build.c (makes it),
 * packet_file.c (bytes for the cache), packet_cache.c and packet_table.c (answers). Private to
 * them.
 */
#ifndef BH_REPLAYER_PACKET_TABLE_H
#define BH_REPLAYER_PACKET_TABLE_H

#include "common/cache_file.h"
#include "common/cursor.h"
#include "replayer/packets.h"

struct bh_packet_device {
	uint32_t node, device;
	const char *name;
};

struct bh_packets {
	const struct bh_trace *trace;
	struct bh_packet *packets; /* by id */
	size_t count;
	struct bh_packet_hop *hops; /* packet by packet */
	size_t hop_count;
	struct bh_packet_end *ends; /* the same */
	size_t end_count;
	char **strings;
	size_t string_count;
	struct bh_packet_device *devices;
	size_t device_count;
	/* What frame pointers point into: one of the two. */
	uint8_t *frames;
	struct bh_cache_file file;
	const char *missing; /* one of the strings, or NULL */
	/* Made when somebody asks: numbers of hops by event, of packets by parent. */
	uint32_t *hops_by_event, *packets_by_parent;
};

/* The string, kept once; the pointer is valid as long as the table. NULL for NULL, or when out of
 * memory. */
const char *bh_packets_keep(struct bh_packets *packets, const char *text, size_t length);

/* From a pass's stream and the trace. */
struct bh_error *bh_packets_build(const struct bh_packets_source *source,
				  const struct bh_buffer *stream, struct bh_packets **packets_ret);

extern const struct bh_cache_format bh_packet_format;

/* key tells apart whose table it is: its bytes are for this run only. */
void bh_packets_encode(const struct bh_packets *packets, const uint8_t key[16],
		       struct bh_buffer *buffer_ret);
/* The table points into bytes. Trusts nothing in them. */
struct bh_error *bh_packets_decode(const struct bh_trace *trace, const uint8_t key[16],
				   const uint8_t *bytes, size_t length,
				   struct bh_packets **packets_ret);

/* ${BACKHOP_CACHE:-~/.cache/backhop}/packets, made if need be, or the source's; NULL if there is no
 * place. The caller frees it. */
char *bh_packet_cache_folder(const struct bh_packets_source *source);

/* --- relations: packet_relation.c --- */

enum bh_packet_change {
	BH_CHANGE_NONE,		/* the same packet, perhaps with other addresses */
	BH_CHANGE_FRAGMENT,	/* a part of it */
	BH_CHANGE_ENCAPSULATED, /* it is in there */
	BH_CHANGE_DECAPSULATED, /* what was in it */
};

/* What a node did to a frame of which it is known that it made the other of it. */
enum bh_packet_change bh_packet_change(const struct bh_frame_layers *received,
				       const struct bh_frame_layers *sent);
/* Whether both are at the same depth of tunnels and between the same addresses. */
int bh_packet_is_same(const struct bh_frame_layers *a, const struct bh_frame_layers *b);
/* Whether the second goes back to where the first came from. */
int bh_packet_is_answer(const struct bh_frame_layers *question,
			const struct bh_frame_layers *answer);
/* Keys to find related frames of a node by; 0: there is none. Of the datagram that a fragment
 * belongs to; is_first_ret: it is its first. */
uint64_t bh_packet_datagram_key(const struct bh_frame_layers *layers, uint32_t node,
				int *is_first_ret);
/* Of the part of a TCP flow that a segment carries. */
uint64_t bh_packet_segment_key(const struct bh_frame_layers *layers, uint32_t node);
/* The same frame but for what every hop changes: link addresses, time to live, checksum. */
int bh_packet_is_unchanged(const uint8_t *a, const uint8_t *b, size_t captured);

#endif
