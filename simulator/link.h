/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Point-to-point links: frames from pools, and one direction of a link with its rate, queue,
 * propagation delay and seeded loss. Knows nothing of nodes or events. Used by simulator/sim.c.
 */
#ifndef BH_SIMULATOR_LINK_H
#define BH_SIMULATOR_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "common/event.h"
#include "simulator/rng.h"

/* The largest frame: 65535 bytes of payload, an Ethernet header, stacked VLAN tags. */
#define BH_FRAME_LENGTH_MAX  65600u
#define BH_FRAME_CLASS_COUNT 3u

struct bh_frame {
	struct bh_frame *next; /* behind it on the same direction, or in the pool */
	uint64_t start_ns;     /* its first bit goes on the wire */
	uint64_t arrival_ns;   /* its last bit arrives */
	uint64_t sequence;     /* of scheduling, for the event queue */
	uint64_t cause;	       /* its TX event */
	uint64_t packet;       /* packet id */
	uint64_t hash;	       /* of data if the link changed it, else 0 */
	uint32_t hop;	       /* links crossed when it arrives */
	uint32_t length;       /* bytes */
	uint8_t size_class;
	uint8_t is_lost; /* keeps the wire busy, but never arrives */
	unsigned char data[];
};

/* Zero-filled is an empty pool. Frames come in slabs that are freed with the pool only. */
struct bh_frame_pool {
	struct bh_frame *free[BH_FRAME_CLASS_COUNT];
	struct bh_frame_slab *slabs;
};

void bh_frame_pool_destroy(struct bh_frame_pool *pool);
/* A frame with a copy of data; NULL when out of memory. length <= BH_FRAME_LENGTH_MAX. */
struct bh_frame *bh_frame_create(struct bh_frame_pool *pool, const void *data, size_t length);
void bh_frame_release(struct bh_frame_pool *pool, struct bh_frame *frame);

/* One direction. Set the first group, zero the rest, call bh_rng_init(). */
struct bh_link_direction {
	uint64_t delay_ns;
	uint64_t rate_bps; /* 0: infinitely fast */
	uint64_t loss_ppb;
	uint64_t queue_frames;
	struct bh_rng rng;

	struct bh_frame *first, *last; /* on the wire or waiting for it, in order */
	struct bh_frame *first_alive;  /* the first of them that will arrive */
	struct bh_frame *waiting;      /* the first that hadn't begun when last looked at */
	uint64_t waiting_count;
	uint64_t busy_until_ns;	 /* the wire is taken until then, … */
	uint64_t busy_remainder; /* … plus this / rate_bps ns */
};

/*
 * Sends frame at time now_ns, which never goes back. The direction owns the frame from then on;
 * only on BH_LOSS_NONE may the caller still touch it: its times are set, and it will arrive.
 */
enum bh_loss_reason bh_link_send(struct bh_link_direction *direction, struct bh_frame_pool *pool,
				 struct bh_frame *frame, uint64_t now_ns);
/* The frame that arrives next, NULL if none is on its way. */
struct bh_frame *bh_link_first(const struct bh_link_direction *direction);
/* Takes that frame off at its arrival; there must be one. The caller owns it. */
struct bh_frame *bh_link_receive(struct bh_link_direction *direction, struct bh_frame_pool *pool);
/* Releases every frame. */
void bh_link_clear(struct bh_link_direction *direction, struct bh_frame_pool *pool);

#endif
