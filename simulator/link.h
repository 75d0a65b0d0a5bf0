/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wires: frames from pools, and one direction of a link with its queue, rate, propagation delay and
 * seeded faults. Knows nothing of nodes or events. Used by simulator/sim_link.c.
 *
 * A frame first waits in the queue (only if there is a rate), then begins: then it is decided
 * whether it is lost, damaged or doubled and when it arrives, and it is under way. Both a beginning
 * and an arrival happen at a time of their own: bh_link_next() says when to call again.
 */
#ifndef BH_SIMULATOR_LINK_H
#define BH_SIMULATOR_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "common/event.h"
#include "simulator/rng.h"
#include "simulator/scenario.h"

/* The largest frame: 65535 bytes of payload, an Ethernet header, stacked VLAN tags. */
#define BH_FRAME_LENGTH_MAX  65600u
#define BH_FRAME_CLASS_COUNT 3u

struct bh_frame {
	struct bh_frame *next;	   /* behind it in its list, or in the pool */
	struct bh_frame *previous; /* before it, while it is under way */
	uint64_t arrival_ns;	   /* its last bit arrives */
	uint64_t sequence;	   /* of scheduling, for the event queue; a double shares it */
	uint64_t cause;		   /* its TX event */
	uint64_t packet;	   /* packet id */
	uint64_t hash;		   /* of data */
	unsigned char *data;
	uint64_t queued_ns;  /* when it came to the link */
	uint32_t hop;	     /* links crossed when it arrives */
	uint32_t length;     /* bytes */
	uint32_t slab;	     /* its number in the pool */
	uint32_t generation; /* of the pool, when the frame was reserved */
	uint8_t size_class;
	uint8_t is_damaged; /* data isn't what was sent any more */
	uint8_t loss;	    /* enum bh_loss_reason, when it is in the list of the lost */
};

struct bh_frame_list {
	struct bh_frame *first, *last;
};

/*
 * Zero-filled is an empty pool. Frames come in slabs that are freed with the pool only. What is in
 * frames lies in areas of the pool's own, apart from what is known about them: while the pool is
 * frozen, the contents of all frames that there were at its beginning stay as they are, released or
 * not, so that somebody else can read them meanwhile.
 */
struct bh_frame_pool {
	/* Frames come from one of two sides, the other one after each freeze: so what is frozen
	 * next is about what frames use, and not spread over all that they ever used. */
	struct bh_frame *free[2][BH_FRAME_CLASS_COUNT];
	unsigned int side;
	struct bh_frame_slab *slabs;
	uint32_t slab_count, slab_room;
	struct bh_frame_area *areas; /* in the order in which they are used up */
	uint32_t generation;	     /* times it was frozen */
	uint32_t is_frozen;
	struct bh_frame_list released; /* while it is frozen, of those that it began with */
};

void bh_frame_pool_destroy(struct bh_frame_pool *pool);
/* A frame whose data is left for the caller to fill; NULL when out of memory. */
struct bh_frame *bh_frame_reserve(struct bh_frame_pool *pool, size_t length);
/* A frame with a copy of data; NULL when out of memory. length <= BH_FRAME_LENGTH_MAX. */
struct bh_frame *bh_frame_create(struct bh_frame_pool *pool, const void *data, size_t length);
/* The same frame once more, in no list; NULL when out of memory. */
struct bh_frame *bh_frame_copy(struct bh_frame_pool *pool, const struct bh_frame *frame);
void bh_frame_release(struct bh_frame_pool *pool, struct bh_frame *frame);
/* Before data is changed: the frame, in no list, or another instead of it; NULL, and the frame is
 * still the caller's, when out of memory. */
struct bh_frame *bh_frame_make_writable(struct bh_frame_pool *pool, struct bh_frame *frame);

/* A part of an area, in whole pages. */
struct bh_frame_memory {
	const unsigned char *start;
	size_t size; /* bytes */
};

/* What isn't used yet of the area of this number, which is made if it is one more than there are;
 * at most size bytes. start is NULL without memory. */
struct bh_frame_memory bh_frame_pool_unused(struct bh_frame_pool *pool, size_t number, size_t size);
void bh_frame_pool_freeze(struct bh_frame_pool *pool);
void bh_frame_pool_thaw(struct bh_frame_pool *pool);
/* The area of this number, from 0 on, a mapping of its own; size 0: there are fewer. */
struct bh_frame_memory bh_frame_pool_area(const struct bh_frame_pool *pool, size_t number);
/* Just after freezing: the first part of an area, in the order of slabs from *slab_io on, with
 * contents of frames; size 0: there is none left. */
struct bh_frame_memory bh_frame_pool_part(const struct bh_frame_pool *pool, uint32_t *slab_io);

void bh_frame_list_append(struct bh_frame_list *list, struct bh_frame *frame);
/* Takes the first one off; NULL if there is none. */
struct bh_frame *bh_frame_list_take(struct bh_frame_list *list);

/* CoDel's state, with the names of RFC 8289. */
struct bh_codel {
	uint64_t first_above_ns, drop_next_ns;
	uint32_t count, last_count;
	uint8_t is_dropping;
};

/* One direction. Zero-filled but for `properties`, then bh_link_init(). */
struct bh_link_direction {
	struct bh_link_properties properties; /* change them with bh_link_change() */
	/* One generator a purpose, so that turning on one fault doesn't shift another. */
	struct bh_rng loss_rng, jitter_rng, duplicate_rng, reorder_rng, corrupt_rng;
	uint8_t is_down;
	/* Somebody waits until there is room in a queue that holds its device. */
	uint8_t is_held;
	uint64_t held_sequence;	  /* its place in the order of scheduling */
	uint8_t is_out_of_memory; /* a frame couldn't be doubled */

	struct bh_frame_list waiting;
	uint64_t waiting_count, waiting_bytes;
	struct bh_codel codel;
	struct bh_frame_list under_way; /* in the order of arrival */
	/* Gone, each with its reason; whoever called takes and releases them. */
	struct bh_frame_list lost;

	uint64_t busy_until_ns;	  /* the wire is taken until then, … */
	uint64_t busy_remainder;  /* … plus this / rate_bps ns */
	uint64_t last_arrival_ns; /* of the frames that keep their order */
};

/* name: of the wire, for its random numbers. */
void bh_link_init(struct bh_link_direction *direction, uint64_t seed, const char *name);

/* All of these are at time now_ns, which never goes back. After each, frames may be in `lost`. */

/* Gives the frame to the direction. */
void bh_link_send(struct bh_link_direction *direction, struct bh_frame_pool *pool,
		  struct bh_frame *frame, uint64_t now_ns);
/* Lets frames begin whose turn it is, then takes off one that has arrived, if any has; the caller
 * owns it. */
struct bh_frame *bh_link_receive(struct bh_link_direction *direction, struct bh_frame_pool *pool,
				 uint64_t now_ns);
/* The frames that still wait obey the new properties, those that have begun the old ones. */
void bh_link_change(struct bh_link_direction *direction,
		    const struct bh_link_properties *properties, uint64_t now_ns);
/* Down: what waits or is under way is lost, and so is all that is sent until it is up again. */
void bh_link_set_state(struct bh_link_direction *direction, int is_up);

/* When bh_link_receive() is wanted next, and the place of that in the order of scheduling; 0 if
 * nothing waits or is under way. */
int bh_link_next(const struct bh_link_direction *direction, uint64_t *time_ns_ret,
		 uint64_t *sequence_ret);
/* Whether a frame that comes now would be lost to a full queue, or wait in spite of one. */
int bh_link_is_full(const struct bh_link_direction *direction, uint64_t now_ns);

#endif
