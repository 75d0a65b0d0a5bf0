/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event: the unit in which a run is numbered, recorded, compared and sought. Events are
 * numbered from 1 in the order in which they happen; the order is the same in every run with equal
 * inputs. Written by simulator/, stored by traces/, shown by cli/ and the gdb plugin.
 */
#ifndef BH_COMMON_EVENT_H
#define BH_COMMON_EVENT_H

#include <stddef.h>
#include <stdint.h>

/* Values are part of the trace format (traces/FORMAT.md): append only. */
enum bh_event_kind {
	BH_EVENT_BOOT = 1, /* a node's kernel is entered; again after a HALT */
	BH_EVENT_TIMER,	   /* a node's clock event device fires */
	BH_EVENT_RX,	/* a frame arrives at a device; cause: the TX, whose hash is the frame's */
	BH_EVENT_TX,	/* a node puts a frame on a link; happens inside the event that caused it */
	BH_EVENT_LOST,	/* the frame of the TX or RX `cause` is gone; value: bh_loss_reason */
	BH_EVENT_SPAWN, /* a program is started; value: its number in the scenario's order; with
			 * BH_SPAWN_STOPS added it gets its stop signal */
	BH_EVENT_EXEC,	/* a task executed a program; value: pid, hash: of the path and argv */
	BH_EVENT_EXIT,	/* a process ended; value: pid << 32 | wait status */
	BH_EVENT_OUTPUT,  /* a process wrote to fd 1 or 2; value: pid << 32 | fd, hash: bytes */
	BH_EVENT_CONSOLE, /* the kernel printed; hash: of the text */
	BH_EVENT_HALT,	  /* a node ended; value: enum bh_halt */
	BH_EVENT_STOP,	  /* the run ends: always the last event */
	/* A kernel threw a packet away; packet, hop: its lineage, length: its bytes, value: where
	 * and why: offset of the code in the kernel image << 16 | the kernel's enum
	 * skb_drop_reason. */
	BH_EVENT_DROP,
	/* The scenario acts on a device's link or on a node; value: number in its timeline. Where
	 * the kernels of two nodes hear of it, the second one's is caused by the first one's. */
	BH_EVENT_ACTION,
	BH_EVENT_WAKE,	/* a device's link has room again; cause: the TX that filled its queue */
	BH_EVENT_INPUT, /* somebody types at a terminal; hash: bytes, value: rows << 16 | columns */
	/* A device's carrier changed because the one at the other end was switched on or off;
	 * value: 1 up, 0 down; cause: the event in which that happened. */
	BH_EVENT_CARRIER,
	BH_EVENT_KIND_COUNT,
};

/* Why a link lost a frame: the value of LOST events. Part of the trace format: append only. */
enum bh_loss_reason {
	BH_LOSS_NONE = 0,
	BH_LOSS_RANDOM = 1,    /* the link's loss */
	BH_LOSS_QUEUE = 2,     /* its queue of frames that wait for the wire was full */
	BH_LOSS_NODE_DOWN = 3, /* the receiver has halted */
	BH_LOSS_TOO_LONG = 4,  /* longer than any frame can be */
	BH_LOSS_LINK_DOWN = 5, /* the link went down, or was */
	BH_LOSS_CODEL = 6,     /* its queue is kept short: frames waited too long in it */
	BH_LOSS_SCENARIO = 7,  /* a function of the scenario's program took it */
};

#define BH_SPAWN_STOPS (1ull << 32)

/* How a node ended: the value of HALT events. Part of the trace format: append only. */
enum bh_halt {
	BH_HALTED_OFF = 0,     /* halted or powered off */
	BH_HALTED_PANIC = 1,   /* its kernel panicked */
	BH_HALTED_RESTART = 2, /* it starts again */
	BH_HALTED_CRASH = 3,   /* the scenario took its power away */
	BH_HALTED_COUNT,
};

#define BH_NO_NODE   UINT32_MAX
#define BH_NO_DEVICE UINT32_MAX

struct bh_event {
	uint64_t event;	   /* sequence number, from 1 */
	uint64_t vtime_ns; /* virtual time since the start of the run */
	uint64_t cause;	   /* the event that scheduled or contained this one; 0: the scenario */
	uint64_t packet;   /* packet id: the number of the packet's first TX event; 0: no packet */
	uint64_t value;	   /* by kind, see above; else 0 */
	uint64_t hash;	   /* bh_event_hash() of the frame, output or text; else 0. Of an RX only
			    * if the link changed the frame on its way: else it is the TX's */
	uint32_t node;	   /* node id, or BH_NO_NODE */
	uint32_t device;   /* device index on the node for RX, TX, LOST; else BH_NO_DEVICE */
	uint32_t hop;	   /* how many links the packet has crossed: 0 for its first TX */
	uint32_t length;   /* bytes of the frame, output or text; else 0 */
	uint8_t kind;	   /* enum bh_event_kind */
};

/* "loss", "queue", …; NULL for a number that is no reason. */
const char *bh_loss_reason_name(uint64_t reason);

/* "halt", "panic", …; NULL for a number that is no way to end. */
const char *bh_halt_name(uint64_t how);

/* "rx", "tx", …; NULL for a number that is no kind. */
const char *bh_event_kind_name(unsigned int kind);

/* What an event says of the bytes of a frame or text: the low 32 bits of XXH3-64. Half the trace
 * would be hashes if they were longer, and what they tell apart is two runs of the same scenario.
 */
uint64_t bh_event_hash(const void *bytes, size_t length);

/* The rolling digest: state to hash one more event into. Starts at 0. */
uint64_t bh_event_digest(uint64_t digest, const struct bh_event *event);

/* How many of these numbers, which ascend, come before that of the event. */
size_t bh_event_numbers_before(const uint64_t *numbers, size_t count, uint64_t event);

#endif
