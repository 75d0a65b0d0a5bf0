/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of packets while it is being made, shared by packet_build.c (the trace's events),
 * packet_records.c (what the pass saw) and packet_ends.c (what became of the packets). Private to
 * them. Things are named by their numbers, because arrays grow.
 */
#ifndef BH_REPLAYER_PACKET_BUILDER_H
#define BH_REPLAYER_PACKET_BUILDER_H

#include <stdlib.h>
#include <string.h>

#include "replayer/drop_names.h"
#include "replayer/packet_pass.h"
#include "replayer/packet_table.h"

#define NONE UINT32_MAX

/* What became of a frame that a node has received. */
enum branch { BRANCH_OPEN, BRANCH_WENT_ON, BRANCH_CHANGED, BRANCH_DROPPED, BRANCH_LOST };

/* Who read it: something that watches, or the one it was for. */
enum reader { READER_NONE, READER_CAPTURE, READER_PROGRAM };

struct build_hop {
	struct bh_packet_hop hop;
	uint32_t packet;
	uint32_t next;	   /* hop of the same packet */
	uint32_t previous; /* RX with the same lineage */
	uint8_t branch;
	uint8_t arrived;     /* of a TX: an RX or LOST tells of it */
	uint8_t reader;	     /* enum reader */
	uint8_t freed;	     /* one of its buffers was */
	uint8_t ignored;     /* by the device: it was for another one */
	uint8_t answered;    /* by an echo reply or the like, made by the kernel */
	uint32_t end;	     /* how a program read it, or a kernel dropped it */
	uint32_t merged;     /* the arrival whose buffer took this one's in */
	const char *changed; /* what it became, of BRANCH_CHANGED */
};

struct build_packet {
	struct bh_packet packet;
	uint32_t first_hop, last_hop, last_tx;
	uint32_t last_received; /* of the lineage that it began */
	uint32_t first_end, last_end;
};

struct build_end {
	struct bh_packet_end end;
	uint32_t next;
};

/* What a mark on a buffer says (packet_probes.h), and the first packet with it. */
struct build_mark {
	struct bh_packet_origin origin;
	uint64_t part_of; /* the lineage of what it is a fragment of; 0 */
	uint32_t node, packet;
};

/* A number by its key, the newest. */
struct keys {
	struct {
		uint64_t key;
		uint32_t number;
	} * slots;
	size_t size, used;
};

struct builder {
	const struct bh_trace *trace;
	struct bh_packets *table;
	struct bh_drop_names *names;
	struct build_packet *packets;
	size_t packet_count, packet_room;
	struct build_hop *hops;
	size_t hop_count, hop_room;
	struct build_end *ends;
	size_t end_count, end_room;
	struct keys keys;
	struct build_mark *marks;
	size_t mark_count, mark_room;
	int is_blind; /* some kernel was without debug information */
	uint32_t *hop_of_event;
	uint64_t event_count;
	/* The next record. */
	struct bh_cursor stream;
	uint8_t type;
	uint64_t record_event;
	int has_record, is_out_of_memory;
	/* What records said of the event that is next. length: of what was never sent. */
	uint64_t mark, length;
	const uint8_t *frame;
	uint32_t captured;
};

struct bh_error *bh_builder_no_memory(void);
/* Room for one more; 0 when out of memory. */
int bh_builder_room(void **array, size_t count, size_t *room, size_t size);
uint32_t bh_builder_key_find(const struct builder *builder, uint64_t key);
void bh_builder_key_set(struct builder *builder, uint64_t key, uint32_t number);
/* The newest arrival of a lineage at a node, or NONE. */
uint32_t bh_builder_arrival(const struct builder *builder, uint64_t lineage, uint32_t node);
const char *bh_builder_keep(struct builder *builder, const char *text);

/* --- packet_records.c --- */

/* The first one; call it once. */
void bh_builder_next_record(struct builder *builder);
/* What was told of the event before it happened, or while it did. */
struct bh_error *bh_builder_records_before(struct builder *builder, uint64_t event);
struct bh_error *bh_builder_records_during(struct builder *builder, const struct bh_event *event);
/* NULL if it isn't known. Valid until the next record. */
struct build_mark *bh_builder_mark(struct builder *builder, uint64_t mark);

/* --- packet_ends.c --- */

/* A number for hop.end, or NONE. */
uint32_t bh_builder_end_create(struct builder *builder, const struct bh_packet_end *end);
void bh_builder_end_add(struct builder *builder, uint32_t packet, uint32_t end);
/* When all events have been seen. */
void bh_builder_ends_finish(struct builder *builder);
/* Lower counts more. */
unsigned int bh_builder_end_rank(const struct bh_packet_end *end);

#endif
