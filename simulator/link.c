/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wires: see link.h. The frames themselves are in frame.c. */
#include "simulator/link.h"

#include <assert.h>
#include <string.h>

#define NS_PER_S     1000000000u
#define PREFETCH_MAX 1536u /* bytes */

void bh_link_init(struct bh_link_direction *direction, uint64_t seed, const char *name)
{
	bh_rng_init(&direction->loss_rng, seed, "loss", name);
	bh_rng_init(&direction->jitter_rng, seed, "jitter", name);
	bh_rng_init(&direction->duplicate_rng, seed, "duplicate", name);
	bh_rng_init(&direction->reorder_rng, seed, "reorder", name);
	bh_rng_init(&direction->corrupt_rng, seed, "corrupt", name);
}

static int happens(struct bh_rng *rng, uint64_t share_ppb)
{
	return share_ppb > 0 && bh_rng_below(rng, NS_PER_S) < share_ppb;
}

static void lose(struct bh_link_direction *direction, struct bh_frame *frame,
		 enum bh_loss_reason reason)
{
	frame->loss = (uint8_t)reason;
	bh_frame_list_append(&direction->lost, frame);
}

/* --- under way --- */

/* Behind all that arrive at the same time or before. */
static void insert_under_way(struct bh_frame_list *list, struct bh_frame *frame)
{
	struct bh_frame *before = list->last;

	while (before && before->arrival_ns > frame->arrival_ns)
		before = before->previous;
	frame->previous = before;
	frame->next = before ? before->next : list->first;
	if (before)
		before->next = frame;
	else
		list->first = frame;
	if (frame->next)
		frame->next->previous = frame;
	else
		list->last = frame;
}

/* The last bit is on the wire at sent_ns. */
static void depart(struct bh_link_direction *direction, struct bh_frame *frame, uint64_t sent_ns)
{
	const struct bh_link_properties *properties = &direction->properties;
	uint64_t delay_ns = properties->delay_ns;

	if (properties->jitter_ns > 0)
		delay_ns += bh_rng_below(&direction->jitter_rng, 2 * properties->jitter_ns + 1) -
			    properties->jitter_ns;
	if (happens(&direction->reorder_rng, properties->reorder_ppb)) {
		frame->arrival_ns = sent_ns;
	} else {
		frame->arrival_ns = sent_ns + delay_ns;
		if (properties->is_jitter_ordered) {
			if (frame->arrival_ns < direction->last_arrival_ns)
				frame->arrival_ns = direction->last_arrival_ns;
			direction->last_arrival_ns = frame->arrival_ns;
		}
	}
	insert_under_way(&direction->under_way, frame);
}

/* Returns the frame, or another in its place. */
static struct bh_frame *corrupt(struct bh_link_direction *direction, struct bh_frame_pool *pool,
				struct bh_frame *whole)
{
	uint64_t bit = bh_rng_below(&direction->corrupt_rng, (uint64_t)whole->length * 8);
	struct bh_frame *frame = bh_frame_make_writable(pool, whole);

	direction->is_out_of_memory |= !frame;
	if (!frame)
		return whole;
	frame->data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	frame->is_damaged = 1;
	return frame;
}

/* --- the wire --- */

/*
 * Takes the wire for the frame and says when its last bit is on it. Bits are counted exactly: the
 * part of a nanosecond by which a frame ends later than busy_until_ns is carried to the next one in
 * busy_remainder.
 */
static uint64_t occupy_wire(struct bh_link_direction *direction, uint32_t length, uint64_t now_ns)
{
	uint64_t rate_bps = direction->properties.rate_bps;

	if (rate_bps == 0)
		return now_ns;
	if (direction->busy_until_ns < now_ns) {
		direction->busy_until_ns = now_ns;
		direction->busy_remainder = 0;
	}
	/* At most 65600 * 8 * 10^9 and a remainder below 10^15: far from 2^64. */
	uint64_t bits_by_ns = (uint64_t)length * 8 * NS_PER_S + direction->busy_remainder;

	direction->busy_until_ns += bits_by_ns / rate_bps;
	direction->busy_remainder = bits_by_ns % rate_bps;
	return direction->busy_until_ns + (direction->busy_remainder > 0);
}

static void begin(struct bh_link_direction *direction, struct bh_frame_pool *pool,
		  struct bh_frame *frame, uint64_t now_ns)
{
	const struct bh_link_properties *properties = &direction->properties;
	uint64_t sent_ns = occupy_wire(direction, frame->length, now_ns);
	struct bh_frame *twin = NULL;

	if (happens(&direction->loss_rng, properties->loss_ppb)) {
		lose(direction, frame, BH_LOSS_RANDOM);
		return;
	}
	if (happens(&direction->duplicate_rng, properties->duplicate_ppb)) {
		twin = bh_frame_copy(pool, frame);
		direction->is_out_of_memory |= !twin;
	}
	if (happens(&direction->corrupt_rng, properties->corrupt_ppb) && frame->length > 0)
		frame = corrupt(direction, pool, frame);
	depart(direction, frame, sent_ns);
	if (twin)
		depart(direction, twin, sent_ns);
}

/* --- the queue --- */

static struct bh_frame *take_waiting(struct bh_link_direction *direction)
{
	struct bh_frame *frame = bh_frame_list_take(&direction->waiting);

	if (frame) {
		direction->waiting_count--;
		direction->waiting_bytes -= frame->length;
	}
	return frame;
}

static int is_full_for(const struct bh_link_direction *direction, uint64_t length)
{
	const struct bh_link_properties *properties = &direction->properties;

	return direction->waiting_count >= properties->queue_frames ||
	       (properties->queue_bytes != UINT64_MAX &&
		direction->waiting_bytes + length > properties->queue_bytes);
}

static void enqueue(struct bh_link_direction *direction, struct bh_frame *frame)
{
	const struct bh_link_properties *properties = &direction->properties;
	int is_tail_lost = properties->discipline != BH_QUEUE_DROP_HEAD;

	/* A queue that is held is full at most once: its device then waits. */
	while (!properties->is_queue_held && is_full_for(direction, frame->length)) {
		if (is_tail_lost || direction->waiting_count == 0) {
			lose(direction, frame, BH_LOSS_QUEUE);
			return;
		}
		lose(direction, take_waiting(direction), BH_LOSS_QUEUE);
	}
	bh_frame_list_append(&direction->waiting, frame);
	direction->waiting_count++;
	direction->waiting_bytes += frame->length;
}

/* floor(sqrt(value)) */
static uint64_t square_root(uint64_t value)
{
	uint64_t root = 0;

	for (uint64_t bit = 1ull << 31; bit; bit >>= 1)
		if ((root + bit) * (root + bit) <= value)
			root += bit;
	return root;
}

/* interval / sqrt(count) in whole numbers, so that it is the same everywhere. */
static uint64_t codel_next(const struct bh_link_direction *direction, uint64_t from_ns)
{
	uint64_t root = square_root((uint64_t)direction->codel.count << 32); /* sqrt * 2^16 */
	unsigned __int128 wide = (unsigned __int128)direction->properties.codel_interval_ns << 16;

	return from_ns + (uint64_t)(wide / root);
}

/* The first frame, if the queue isn't empty, and whether frames have waited too long for too
 * long. */
static struct bh_frame *codel_take(struct bh_link_direction *direction, uint64_t now_ns,
				   int *is_bad_ret)
{
	struct bh_codel *codel = &direction->codel;
	struct bh_frame *frame = take_waiting(direction);

	*is_bad_ret = 0;
	/* A queue of less than one full frame is never too long. */
	if (!frame || now_ns - frame->queued_ns < direction->properties.codel_target_ns ||
	    direction->waiting_bytes < 1514)
		codel->first_above_ns = 0;
	else if (codel->first_above_ns == 0)
		codel->first_above_ns = now_ns + direction->properties.codel_interval_ns;
	else
		*is_bad_ret = now_ns >= codel->first_above_ns;
	return frame;
}

/* RFC 8289, section 5.5. */
static struct bh_frame *codel_dequeue(struct bh_link_direction *direction, uint64_t now_ns)
{
	struct bh_codel *codel = &direction->codel;
	uint64_t interval_ns = direction->properties.codel_interval_ns;
	int is_bad;
	struct bh_frame *frame = codel_take(direction, now_ns, &is_bad);

	if (codel->is_dropping) {
		codel->is_dropping = (uint8_t)is_bad;
		while (codel->is_dropping && now_ns >= codel->drop_next_ns) {
			lose(direction, frame, BH_LOSS_CODEL);
			codel->count++;
			frame = codel_take(direction, now_ns, &is_bad);
			codel->is_dropping = (uint8_t)is_bad;
			if (is_bad)
				codel->drop_next_ns = codel_next(direction, codel->drop_next_ns);
		}
	} else if (is_bad) {
		uint32_t delta = codel->count - codel->last_count;
		int is_recent = now_ns < codel->drop_next_ns + 16 * interval_ns;

		lose(direction, frame, BH_LOSS_CODEL);
		frame = codel_take(direction, now_ns, &is_bad);
		codel->is_dropping = 1;
		codel->count = delta > 1 && is_recent ? delta : 1;
		codel->last_count = codel->count;
		codel->drop_next_ns = codel_next(direction, now_ns);
	}
	return frame;
}

static void begin_waiting(struct bh_link_direction *direction, struct bh_frame_pool *pool,
			  uint64_t now_ns)
{
	while (direction->waiting.first && direction->busy_until_ns <= now_ns) {
		struct bh_frame *frame = direction->properties.discipline == BH_QUEUE_CODEL
						 ? codel_dequeue(direction, now_ns)
						 : take_waiting(direction);
		if (frame)
			begin(direction, pool, frame, now_ns);
	}
}

/* --- what the simulator calls --- */

void bh_link_send(struct bh_link_direction *direction, struct bh_frame_pool *pool,
		  struct bh_frame *frame, uint64_t now_ns)
{
	frame->queued_ns = now_ns;
	if (direction->is_down) {
		lose(direction, frame, BH_LOSS_LINK_DOWN);
		return;
	}
	begin_waiting(direction, pool, now_ns);
	if (direction->waiting.first || direction->busy_until_ns > now_ns)
		enqueue(direction, frame);
	else
		begin(direction, pool, frame, now_ns);
}

/* Many frames under way don't fit in a cache: the next one comes to it while this one is handled.
 */
static void prefetch(const struct bh_frame *frame)
{
	uint32_t length = frame->length < PREFETCH_MAX ? frame->length : PREFETCH_MAX;

	if (frame->next) {
		__builtin_prefetch(frame->next);
		__builtin_prefetch((const char *)(frame->next + 1) - 1);
	}
	for (uint32_t at = 0; at < length; at += 64)
		__builtin_prefetch(frame->data + at);
}

struct bh_frame *bh_link_receive(struct bh_link_direction *direction, struct bh_frame_pool *pool,
				 uint64_t now_ns)
{
	struct bh_frame_list *list = &direction->under_way;

	begin_waiting(direction, pool, now_ns);
	if (!list->first || list->first->arrival_ns > now_ns)
		return NULL;
	struct bh_frame *frame = bh_frame_list_take(list);

	if (list->first) {
		list->first->previous = NULL;
		prefetch(list->first);
	}
	return frame;
}

void bh_link_change(struct bh_link_direction *direction,
		    const struct bh_link_properties *properties, uint64_t now_ns)
{
	/* The remainder counts in parts of the old rate: round it up. */
	if (direction->busy_remainder > 0 && direction->busy_until_ns > now_ns)
		direction->busy_until_ns++;
	direction->busy_remainder = 0;
	direction->properties = *properties;
}

static void lose_all(struct bh_link_direction *direction, struct bh_frame_list *list)
{
	struct bh_frame *frame;

	while ((frame = bh_frame_list_take(list)))
		lose(direction, frame, BH_LOSS_LINK_DOWN);
}

void bh_link_set_state(struct bh_link_direction *direction, int is_up)
{
	direction->is_down = !is_up;
	if (is_up)
		return;
	/* Those that began first are lost first. */
	lose_all(direction, &direction->under_way);
	lose_all(direction, &direction->waiting);
	direction->waiting_count = direction->waiting_bytes = 0;
	direction->busy_until_ns = direction->busy_remainder = 0;
	direction->last_arrival_ns = 0;
	memset(&direction->codel, 0, sizeof(direction->codel));
}

int bh_link_next(const struct bh_link_direction *direction, uint64_t *time_ns_ret,
		 uint64_t *sequence_ret)
{
	const struct bh_frame *arriving = direction->under_way.first;
	const struct bh_frame *waiting = direction->waiting.first;
	int is_wire_awaited = waiting || direction->is_held;

	if (arriving && (!is_wire_awaited || arriving->arrival_ns <= direction->busy_until_ns)) {
		*time_ns_ret = arriving->arrival_ns;
		*sequence_ret = arriving->sequence;
		return 1;
	}
	if (!is_wire_awaited)
		return 0;
	*time_ns_ret = direction->busy_until_ns;
	*sequence_ret = waiting ? waiting->sequence : direction->held_sequence;
	return 1;
}

int bh_link_is_full(const struct bh_link_direction *direction, uint64_t now_ns)
{
	int is_wire_free = !direction->waiting.first && direction->busy_until_ns <= now_ns;

	return !is_wire_free && is_full_for(direction, 1);
}
