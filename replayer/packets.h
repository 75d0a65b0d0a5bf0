/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packets of a recorded run: what one packet is, whose child it is, where it went, what became
 * of it. docs/packets.md says precisely what the words mean. Used by cli/cmd_packets.c and the gdb
 * server.
 *
 * The table is made by running the trace again, confined and compared as `verify` does, with an
 * observer that keeps the first bytes of the frames (packet_pass.c); packet_build.c makes the table
 * of that and of the recorded events, and packet_cache.c keeps it, so that it is made once.
 */
#ifndef BH_REPLAYER_PACKETS_H
#define BH_REPLAYER_PACKETS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/frame_layers.h"
#include "traces/trace.h"

struct bh_packets;

/* Values are part of the cache's format, see packet_file.c. */
enum bh_packet_relation {
	BH_PACKET_ALONE = 0,	/* no parent */
	BH_PACKET_FRAGMENT,	/* a part of the parent, or of the datagram that it began */
	BH_PACKET_SEGMENT,	/* cut from the same large buffer as the parent */
	BH_PACKET_ENCAPSULATED, /* has the parent in it */
	BH_PACKET_DECAPSULATED, /* was in the parent */
	BH_PACKET_COPY,		/* the parent, sent once more by the same node */
	BH_PACKET_REPLY,  /* made because of the parent's arrival, and sent back to its sender */
	BH_PACKET_CAUSED, /* made because of the parent's arrival */
	BH_PACKET_RETRANSMISSION, /* has the same part of the same flow as the parent */
	BH_PACKET_RELATION_COUNT,
};
/* "fragment", …; NULL for ALONE and for no relation. */
const char *bh_packet_relation_name(unsigned int relation);

enum bh_packet_end_kind {
	BH_PACKET_DELIVERED = 0, /* to a program or, without a pid, to a node's kernel */
	BH_PACKET_DROPPED,
	BH_PACKET_LOST,	  /* on a link */
	BH_PACKET_QUEUED, /* is still somewhere when the run ends */
	BH_PACKET_END_COUNT,
};
const char *bh_packet_end_name(unsigned int kind);

struct bh_packet_end {
	uint8_t kind;
	uint32_t node;
	uint64_t event, vtime_ns;
	int64_t pid;	      /* of the program that read it; 0: none */
	const char *program;  /* its name; NULL */
	const char *reason;   /* the kernel's or the link's; NULL if there is none */
	const char *function; /* that dropped it; NULL if it isn't known */
};

/* What made a packet's first buffer. */
enum bh_packet_origin_kind {
	BH_ORIGIN_UNKNOWN = 0,
	BH_ORIGIN_SYSCALL, /* a program's system call */
	BH_ORIGIN_TASK,	   /* a thread of the kernel */
	BH_ORIGIN_RECEIVE, /* the kernel, while it handled a received frame */
	BH_ORIGIN_TIMER,   /* the kernel, when a timer fired */
	BH_ORIGIN_OTHER,   /* the kernel, in another event */
	BH_ORIGIN_COUNT,
};
const char *bh_packet_origin_name(unsigned int kind);

struct bh_packet_origin {
	uint8_t kind;
	uint8_t is_guess;
	uint64_t event, vtime_ns; /* in which it happened: not after born_event */
	int64_t pid;		  /* of SYSCALL and TASK */
	const char *program;	  /* NULL if there is none */
	const char *call;	  /* "sendto"; NULL if it isn't a system call */
};

struct bh_packet_hop {
	uint64_t event, vtime_ns;
	uint32_t node, device;
	uint32_t hop; /* as in PACKET.HOP: links crossed */
	uint8_t is_tx;
	uint32_t length;   /* of the frame */
	uint32_t captured; /* bytes kept of it */
	const uint8_t *frame;
};

struct bh_packet {
	uint64_t id;	  /* its first event: a TX, or the DROP of one that was never sent */
	uint64_t parent;  /* id, or 0 */
	uint64_t lineage; /* what the trace's events call it: the id of the packet it began as */
	uint8_t relation; /* enum bh_packet_relation */
	uint8_t is_guess; /* of the relation */
	uint64_t born_event, born_ns;
	uint32_t from; /* node */
	uint32_t to;   /* where it ended; BH_NO_NODE if it reached none */
	struct bh_packet_origin origin;
	const struct bh_packet_hop *hops;
	size_t hop_count;
	/* What became of it; of several, the one that counts most comes first. Never empty. */
	const struct bh_packet_end *ends;
	size_t end_count;
	/* The frame it began as: of the first hop or, if it was never sent, of the buffer. */
	const uint8_t *frame;
	uint32_t captured, length;
};

struct bh_packets_source {
	const struct bh_trace *trace; /* must outlive the table */
	/* As in simulator/sim.h. */
	struct bh_error *(*find_kernel)(void *arg, const char *version, char **path_ret);
	void *find_kernel_arg;
	/* Where tables are kept; NULL: ${BACKHOP_CACHE:-~/.cache/backhop}/packets. "" : nowhere. */
	const char *cache_folder;
};

/* From the cache, or by running the trace again; BH_ERR_DIVERGED if that differs from the trace. */
struct bh_error *bh_packets_create(const struct bh_packets_source *source,
				   struct bh_packets **packets_ret);
/* Takes NULL. */
void bh_packets_destroy(struct bh_packets *packets);

/* The path of a kernel image whose debug information this machine lacks, so that origins and
 * readers of packets aren't known there; NULL if all is there. */
const char *bh_packets_missing(const struct bh_packets *packets);

/* In the order of their ids. */
size_t bh_packets_count(const struct bh_packets *packets);
const struct bh_packet *bh_packets_at(const struct bh_packets *packets, size_t index);
/* BH_ERR_USAGE with the valid range if there is none. An event of a packet (TX, RX, LOST, DROP)
 * finds it, too. */
struct bh_error *bh_packets_find(const struct bh_packets *packets, uint64_t id,
				 const struct bh_packet **packet_ret);
/* The packet that a TX or RX event is of, and which of its hops; NULL if it is of none. hop_ret may
 * be NULL. */
const struct bh_packet *bh_packets_of_event(const struct bh_packets *packets, uint64_t event,
					    const struct bh_packet_hop **hop_ret);
/* The children of a packet, from index on (begin with 0): NULL when there are no more. */
const struct bh_packet *bh_packets_next_child(const struct bh_packets *packets,
					      const struct bh_packet *parent, size_t *index);
/* "eth0"; NULL if there is no such device. */
const char *bh_packets_device(const struct bh_packets *packets, uint32_t node, uint32_t device);
const struct bh_trace *bh_packets_trace(const struct bh_packets *packets);

/* One line about its first frame. */
void bh_packet_summary(const struct bh_packet *packet, char *text_ret, size_t size);
/* The object that `packets --json` prints, on one line without a newline; NULL when out of memory.
 * The caller frees it. */
char *bh_packet_json(const struct bh_packets *packets, const struct bh_packet *packet);

/* --- the functions that handled a packet: packet_trace.c --- */

/* A function of a kernel was entered with one of the packet's buffers as an argument. The place to
 * go to in gdb is EVENT:TICK:0. */
struct bh_packet_entry {
	uint64_t event, tick, vtime_ns;
	uint32_t node;
	uint32_t hop; /* links crossed */
	const char *function;
};

struct bh_packet_trace;

/*
 * Runs the trace again, up to where the packet ends. All functions that take socket buffers are
 * watched, by the kernel's debug information, which must be there; nothing is lost. node: only
 * there, or BH_NO_NODE. The packet is of a table of this source.
 */
struct bh_error *bh_packet_trace_create(const struct bh_packets_source *source,
					const struct bh_packet *packet, uint32_t node,
					struct bh_packet_trace **trace_ret);
/* Takes NULL. */
void bh_packet_trace_destroy(struct bh_packet_trace *trace);
/* In the order in which they were entered. */
const struct bh_packet_entry *bh_packet_trace_entries(const struct bh_packet_trace *trace,
						      size_t *count_ret);
/* One object on a line; NULL when out of memory. The caller frees it. */
char *bh_packet_entry_json(const struct bh_trace *trace, const struct bh_packet_entry *step);

/* --- filters: packet_filter.c --- */

/*
 * Terms joined by `and`: dropped, lost, delivered, queued; at NODE, from NODE, to NODE, reaching
 * NODE (it or what was made of it was received there); each perhaps after `not`; and one filter in
 * the syntax of pcap-filter(7), which must hold for one of the frames of the packet. NODE is a name
 * or a number.
 */
struct bh_packet_filter;

/* Errors are BH_ERR_USAGE, with libpcap's words and the column. NULL or "" matches all. */
struct bh_error *bh_packet_filter_create(const struct bh_trace *trace, const char *text,
					 struct bh_packet_filter **filter_ret);
/* A node by its name or number; BH_ERR_USAGE with the nearest name if there is none. */
struct bh_error *bh_packet_node_parse(const struct bh_trace *trace, const char *text,
				      uint32_t *node_ret);
/* Takes NULL. */
void bh_packet_filter_destroy(struct bh_packet_filter *filter);
int bh_packet_filter_matches(const struct bh_packet_filter *filter,
			     const struct bh_packets *packets, const struct bh_packet *packet);
/* Of several places of a packet, those on this node are meant: there is no `at NODE`, or one is of
 * this node. */
int bh_packet_filter_admits(const struct bh_packet_filter *filter, uint32_t node);

#endif
