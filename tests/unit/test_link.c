/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wires: delay, rate to the nanosecond, queues, every fault, order, going down, changes, and frames
 * that come back to the pool. */
#include "simulator/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_count, failure_count;
static const unsigned char zeros[BH_FRAME_LENGTH_MAX];

static void check(int is_ok, const char *text)
{
	printf("%s %d - %s\n", is_ok ? "ok" : "not ok", ++test_count, text);
	failure_count += !is_ok;
}

static struct bh_frame *make(struct bh_frame_pool *pool, size_t length)
{
	struct bh_frame *frame = bh_frame_create(pool, zeros, length);

	if (!frame)
		exit(1);
	return frame;
}

static struct bh_link_direction make_link(uint64_t rate_bps, uint64_t delay_ns)
{
	struct bh_link_direction link = {.properties = bh_link_properties_default()};

	link.properties.rate_bps = rate_bps;
	link.properties.delay_ns = delay_ns;
	bh_link_init(&link, 1, "test");
	return link;
}

/* Sends a frame; why one was lost because of that. */
static enum bh_loss_reason send(struct bh_link_direction *link, struct bh_frame_pool *pool,
				size_t length, uint64_t now_ns)
{
	enum bh_loss_reason reason = BH_LOSS_NONE;
	struct bh_frame *frame = make(pool, length), *lost;
	static uint64_t sequence;

	frame->sequence = sequence++;
	bh_link_send(link, pool, frame, now_ns);
	while ((lost = bh_frame_list_take(&link->lost))) {
		reason = (enum bh_loss_reason)lost->loss;
		bh_frame_release(pool, lost);
	}
	return reason;
}

static unsigned int codel_losses;

/* Waits for the next frame, as the event queue would: its time of arrival, 0 if none comes. */
static struct bh_frame *wait_frame(struct bh_link_direction *link, struct bh_frame_pool *pool)
{
	uint64_t time_ns, sequence;

	while (bh_link_next(link, &time_ns, &sequence)) {
		struct bh_frame *frame = bh_link_receive(link, pool, time_ns), *lost;

		while ((lost = bh_frame_list_take(&link->lost))) {
			codel_losses += lost->loss == BH_LOSS_CODEL;
			bh_frame_release(pool, lost);
		}
		if (frame)
			return frame;
	}
	return NULL;
}

static uint64_t receive(struct bh_link_direction *link, struct bh_frame_pool *pool)
{
	struct bh_frame *frame = wait_frame(link, pool);
	uint64_t arrival_ns = frame ? frame->arrival_ns : 0;

	if (frame)
		bh_frame_release(pool, frame);
	return arrival_ns;
}

static int is_empty(const struct bh_link_direction *link)
{
	uint64_t time_ns, sequence;

	return !bh_link_next(link, &time_ns, &sequence) && link->waiting_count == 0 &&
	       link->waiting_bytes == 0;
}

static void test_delay(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = make_link(0, 5000);

	link.properties.queue_frames = 0;
	send(&link, &pool, 100, 10);
	send(&link, &pool, 1500, 10);
	check(receive(&link, &pool) == 5010 && receive(&link, &pool) == 5010 && is_empty(&link),
	      "a link without rate has its delay only, and no queue");
	bh_frame_pool_destroy(&pool);
}

static void test_rate(void)
{
	struct bh_frame_pool pool = {0};
	/* 3 bits a second short of 1 ns a bit: nothing comes out even. */
	struct bh_link_direction link = make_link(999999997, 7);
	uint64_t last = 0;

	for (int i = 0; i < 1000; i++)
		send(&link, &pool, 125, 0);
	for (int i = 0; i < 1000; i++)
		last = receive(&link, &pool);
	/* 10^6 bits take 10^6 * 10^9 / 999999997 = 1000000.003… ns: rounded up once, at the end. */
	check(last == 1000001 + 7, "1000 frames take as long as their bits, not 1000 roundings");
	send(&link, &pool, 125, 5000000);
	check(receive(&link, &pool) == 5000000 + 1001 + 7, "an idle wire begins at once");
	bh_frame_pool_destroy(&pool);
}

static void test_queue(void)
{
	struct bh_frame_pool pool = {0};
	/* 1 byte a microsecond. */
	struct bh_link_direction link = make_link(8000000, 0);

	link.properties.queue_frames = 2;
	check(send(&link, &pool, 100, 0) == BH_LOSS_NONE &&
		      send(&link, &pool, 100, 0) == BH_LOSS_NONE &&
		      send(&link, &pool, 100, 0) == BH_LOSS_NONE,
	      "one frame on the wire, two wait for it");
	check(send(&link, &pool, 100, 99999) == BH_LOSS_QUEUE, "a third that would wait is lost");
	check(send(&link, &pool, 100, 100000) == BH_LOSS_NONE,
	      "there is room when the first of them begins");
	check(receive(&link, &pool) == 100000 && receive(&link, &pool) == 200000 &&
		      receive(&link, &pool) == 300000 && receive(&link, &pool) == 400000 &&
		      is_empty(&link),
	      "the frames arrive one after the other");
	link.properties.queue_frames = 0;
	check(send(&link, &pool, 100, 500000) == BH_LOSS_NONE &&
		      send(&link, &pool, 100, 500000) == BH_LOSS_QUEUE &&
		      send(&link, &pool, 100, 600000) == BH_LOSS_NONE,
	      "without a queue a frame needs a free wire");
	receive(&link, &pool);
	link.properties.queue_frames = 100;
	link.properties.queue_bytes = 250;
	send(&link, &pool, 100, 900000);
	check(send(&link, &pool, 100, 900000) == BH_LOSS_NONE &&
		      send(&link, &pool, 151, 900000) == BH_LOSS_QUEUE &&
		      send(&link, &pool, 150, 900000) == BH_LOSS_NONE &&
		      send(&link, &pool, 1, 900000) == BH_LOSS_QUEUE,
	      "a queue can be bounded in bytes");
	bh_frame_pool_destroy(&pool);
}

static void test_drop_head(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = make_link(8000000, 0);

	link.properties.queue_frames = 2;
	link.properties.discipline = BH_QUEUE_DROP_HEAD;
	send(&link, &pool, 100, 0);
	send(&link, &pool, 200, 0);
	send(&link, &pool, 300, 0);
	check(send(&link, &pool, 400, 0) == BH_LOSS_QUEUE && receive(&link, &pool) == 100000 &&
		      receive(&link, &pool) == 400000 && receive(&link, &pool) == 800000 &&
		      is_empty(&link),
	      "drop-head loses the frame that has waited longest");
	bh_frame_pool_destroy(&pool);
}

/* 12 Mbit/s, 1500-byte frames: 1 ms each; a tenth more are sent. */
static unsigned int run_codel(struct bh_frame_pool *pool, uint64_t *longest_ns)
{
	struct bh_link_direction link = make_link(12000000, 0);
	unsigned int arrived = 0;

	link.properties.discipline = BH_QUEUE_CODEL;
	codel_losses = 0;
	*longest_ns = 0;
	for (uint64_t i = 0; i < 15000; i++) {
		uint64_t now_ns = i * 909091, time_ns, sequence;

		while (bh_link_next(&link, &time_ns, &sequence) && time_ns < now_ns) {
			struct bh_frame *frame = wait_frame(&link, pool);

			if (!frame)
				break;
			arrived++;
			if (now_ns > 5000000000 &&
			    frame->arrival_ns - frame->queued_ns > *longest_ns)
				*longest_ns = frame->arrival_ns - frame->queued_ns;
			bh_frame_release(pool, frame);
		}
		send(&link, pool, 1500, now_ns);
	}
	while (receive(&link, pool))
		arrived++;
	return arrived;
}

static void test_codel(void)
{
	struct bh_frame_pool pool = {0};
	uint64_t longest_ns, again_ns;
	unsigned int arrived = run_codel(&pool, &longest_ns);
	unsigned int lost = codel_losses;

	printf("# %u arrived, %u lost, longest wait %lu us\n", arrived, lost, longest_ns / 1000);
	/* Drop-tail with its 1000 frames would keep everybody waiting for a second. */
	check(lost > 900 && longest_ns < 50000000, "CoDel keeps an overloaded queue shorter");
	check(run_codel(&pool, &again_ns) == arrived && codel_losses == lost &&
		      again_ns == longest_ns,
	      "and does the same every time");
	bh_frame_pool_destroy(&pool);
}

static void test_hold(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = make_link(8000000, 0);
	uint64_t time_ns = 0, sequence = 0;

	link.properties.queue_frames = 1;
	link.properties.is_queue_held = 1;
	check(!bh_link_is_full(&link, 0), "a free wire is never full");
	send(&link, &pool, 100, 0);
	check(!bh_link_is_full(&link, 0), "there is room for one that waits");
	send(&link, &pool, 100, 0);
	check(bh_link_is_full(&link, 0), "then there is none");
	check(send(&link, &pool, 100, 0) == BH_LOSS_NONE, "a frame that comes all the same waits");
	receive(&link, &pool);
	check(bh_link_is_full(&link, 100000), "it is still full when one of two has begun");
	receive(&link, &pool);
	check(!bh_link_is_full(&link, 200000), "and no more when none waits");
	receive(&link, &pool);
	link.properties.queue_frames = 0;
	send(&link, &pool, 100, 400000);
	link.is_held = 1;
	link.held_sequence = 77;
	receive(&link, &pool);
	link.properties.delay_ns = 1000000;
	send(&link, &pool, 100, 600000);
	check(bh_link_next(&link, &time_ns, &sequence) && time_ns == 700000 && sequence == 77,
	      "who is held back hears when the wire is free, not when the frame arrives");
	bh_frame_pool_destroy(&pool);
}

static void test_loss(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = make_link(0, 1000);
	unsigned int lost = 0, arrived = 0;

	link.properties.loss_ppb = 100000000;
	for (uint64_t now_ns = 0; now_ns < 100000; now_ns++)
		lost += send(&link, &pool, 60, now_ns) == BH_LOSS_RANDOM;
	while (receive(&link, &pool))
		arrived++;
	check(lost > 9600 && lost < 10400, "a loss of 10% loses about 10000 of 100000");
	check(lost + arrived == 100000, "every other frame arrives");
	link.properties.loss_ppb = 1000000000;
	check(send(&link, &pool, 60, 200000) == BH_LOSS_RANDOM && is_empty(&link),
	      "a loss of 100% loses all");
	bh_frame_pool_destroy(&pool);
}

/* A lost frame has still taken its time on the wire. */
static void test_loss_uses_wire(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = make_link(8000000, 0);

	link.properties.loss_ppb = 1000000000;
	check(send(&link, &pool, 100, 0) == BH_LOSS_RANDOM, "a frame is lost on the wire");
	link.properties.loss_ppb = 0;
	check(send(&link, &pool, 100, 0) == BH_LOSS_NONE && receive(&link, &pool) == 200000,
	      "the next one arrives behind it");
	check(is_empty(&link), "nothing is left on the link");
	bh_frame_pool_destroy(&pool);
}

/* Sends 10000 numbered frames, 1 us apart; how many arrived out of order, and the shortest and
 * longest time they took. */
static unsigned int run_jitter(struct bh_link_direction *link, uint64_t *shortest_ns,
			       uint64_t *longest_ns)
{
	struct bh_frame_pool pool = {0};
	struct bh_frame *frame;
	uint64_t newest = 0;
	unsigned int late = 0;

	for (uint64_t i = 0; i < 10000; i++) {
		frame = make(&pool, 60);
		frame->packet = i;
		bh_link_send(link, &pool, frame, i * 1000);
	}
	*shortest_ns = UINT64_MAX;
	*longest_ns = 0;
	while ((frame = wait_frame(link, &pool))) {
		uint64_t took_ns = frame->arrival_ns - frame->queued_ns;

		*shortest_ns = took_ns < *shortest_ns ? took_ns : *shortest_ns;
		*longest_ns = took_ns > *longest_ns ? took_ns : *longest_ns;
		late += frame->packet < newest;
		newest = frame->packet > newest ? frame->packet : newest;
		bh_frame_release(&pool, frame);
	}
	bh_frame_pool_destroy(&pool);
	return late;
}

static void test_jitter(void)
{
	struct bh_link_direction link = make_link(0, 50000);
	uint64_t shortest_ns, longest_ns;

	link.properties.jitter_ns = 10000;
	check(run_jitter(&link, &shortest_ns, &longest_ns) == 0 && longest_ns <= 60000 &&
		      longest_ns > 59000,
	      "jitter keeps the order unless asked otherwise");
	link = make_link(0, 50000);
	link.properties.jitter_ns = 10000;
	link.properties.is_jitter_ordered = 0;
	check(run_jitter(&link, &shortest_ns, &longest_ns) > 1000 && shortest_ns < 40100 &&
		      shortest_ns >= 40000 && longest_ns <= 60000 && longest_ns > 59900,
	      "jitter that may reorder does, and fills its whole range");
	link = make_link(0, 50000);
	link.properties.reorder_ppb = 10000000;
	unsigned int late = run_jitter(&link, &shortest_ns, &longest_ns);

	/* Each of about 100 frames overtakes 49 others. */
	check(late > 3000 && late < 6500 && shortest_ns == 0 && longest_ns == 50000,
	      "frames that are reordered skip the delay");
}

static void test_duplicate_corrupt(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = make_link(0, 1000);
	unsigned int arrived = 0, damaged = 0, single_bits = 0;
	struct bh_frame *frame;

	link.properties.duplicate_ppb = 50000000;
	link.properties.corrupt_ppb = 20000000;
	for (uint64_t now_ns = 0; now_ns < 10000; now_ns++)
		send(&link, &pool, 60, now_ns);
	while ((frame = wait_frame(&link, &pool))) {
		unsigned int bits = 0;

		for (size_t i = 0; i < frame->length; i++)
			bits += (unsigned int)__builtin_popcount(frame->data[i]);
		arrived++;
		damaged += frame->is_damaged;
		single_bits += bits == 1;
		bh_frame_release(&pool, frame);
	}
	check(arrived > 10400 && arrived < 10600, "5% of the frames arrive twice");
	check(damaged > 150 && damaged < 250 && damaged == single_bits,
	      "2% arrive with one bit inverted");
	bh_frame_pool_destroy(&pool);
}

static void test_down(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = make_link(8000000, 1000000);
	unsigned int lost = 0;
	struct bh_frame *frame;

	for (int i = 0; i < 5; i++)
		send(&link, &pool, 100, 0);
	receive(&link, &pool);
	bh_link_set_state(&link, 0);
	while ((frame = bh_frame_list_take(&link.lost))) {
		lost += frame->loss == BH_LOSS_LINK_DOWN;
		bh_frame_release(&pool, frame);
	}
	check(lost == 4 && is_empty(&link), "what waits or is under way is lost when it goes down");
	check(send(&link, &pool, 100, 2000000) == BH_LOSS_LINK_DOWN, "and so is what is sent then");
	bh_link_set_state(&link, 1);
	check(send(&link, &pool, 100, 3000000) == BH_LOSS_NONE && receive(&link, &pool) == 4100000,
	      "a link that is up again carries frames");
	bh_frame_pool_destroy(&pool);
}

static void test_change(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = make_link(8000000, 0);
	struct bh_link_properties faster = link.properties;

	for (int i = 0; i < 3; i++)
		send(&link, &pool, 100, 0);
	faster.rate_bps *= 10;
	bh_link_change(&link, &faster, 50000);
	check(receive(&link, &pool) == 100000 && receive(&link, &pool) == 110000 &&
		      receive(&link, &pool) == 120000,
	      "a new rate is for the frames that still wait");
	faster.rate_bps = 0;
	send(&link, &pool, 100, 200000);
	send(&link, &pool, 100, 200000);
	bh_link_change(&link, &faster, 200000);
	check(receive(&link, &pool) == 210000 && receive(&link, &pool) == 210000 && is_empty(&link),
	      "a link can become infinitely fast with frames in its queue");
	bh_frame_pool_destroy(&pool);
}

/* One fault more doesn't shift the numbers of another. */
static void test_generators(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction plain = make_link(0, 1000), busy = make_link(0, 1000);
	int same = 1;

	plain.properties.loss_ppb = busy.properties.loss_ppb = 100000000;
	busy.properties.jitter_ns = 500;
	busy.properties.duplicate_ppb = busy.properties.corrupt_ppb = 300000000;
	for (uint64_t now_ns = 0; now_ns < 10000; now_ns++)
		same &= send(&plain, &pool, 60, now_ns) == send(&busy, &pool, 60, now_ns);
	check(same, "the same frames are lost with other faults and without");
	bh_frame_pool_destroy(&pool);
}

static void test_pool(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = make_link(0, 1);
	static const size_t lengths[] = {0, 60, 192, 193, 1514, 2048, 2049, BH_FRAME_LENGTH_MAX};
	uint32_t slabs;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		send(&link, &pool, lengths[i], 0);
	slabs = pool.slab_count;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		receive(&link, &pool);
	for (uint64_t now_ns = 10; now_ns < 100000; now_ns++) {
		send(&link, &pool, lengths[now_ns % 8], now_ns);
		receive(&link, &pool);
	}
	check(pool.slab_count == slabs,
	      "frames come back to the pool: nothing is allocated on the way");
	bh_frame_pool_destroy(&pool);
	check(!pool.slabs && !pool.areas && !pool.free[0][0], "a destroyed pool is empty");
}

#define FROZEN 300

static unsigned int part_bytes(const struct bh_frame_pool *pool, const struct bh_frame *frame)
{
	struct bh_frame_memory part;
	uint32_t slab = 0;

	while ((part = bh_frame_pool_part(pool, &slab)).size)
		if (frame->data >= part.start &&
		    frame->data + frame->length <= part.start + part.size)
			return (unsigned int)part.size;
	return 0;
}

static int is_filled(const struct bh_frame *frame, unsigned char byte)
{
	for (size_t i = 0; i < frame->length; i++)
		if (frame->data[i] != byte)
			return 0;
	return 1;
}

/* Nothing of what frames had when the pool froze is written over, whatever happens to them. */
static void test_frozen(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_frame *frames[FROZEN];
	const struct bh_frame *kept[FROZEN];
	int covered = 1, same = 1, reused = 0;

	for (int i = 0; i < FROZEN; i++) {
		frames[i] = make(&pool, i % 3 ? 1400 : 100);
		memset(frames[i]->data, 'a' + i % 20, frames[i]->length);
		kept[i] = frames[i];
	}
	bh_frame_release(&pool, make(&pool, BH_FRAME_LENGTH_MAX));
	bh_frame_pool_freeze(&pool);
	for (int i = 0; i < FROZEN; i++)
		covered &= part_bytes(&pool, frames[i]) >= 4096;
	check(covered, "the parts of a frozen pool have all frames in them");
	check(!part_bytes(&pool, pool.free[0][2]), "and not what no frame uses");
	for (int i = 0; i < FROZEN; i++) {
		frames[i] = bh_frame_make_writable(&pool, frames[i]);
		if (!frames[i] || frames[i] == kept[i])
			exit(1);
		same &= is_filled(frames[i], (unsigned char)('a' + i % 20));
		frames[i]->data[0] ^= 1;
		bh_frame_release(&pool, frames[i]);
		frames[i] = make(&pool, 100);
	}
	for (int i = 0; i < FROZEN; i++)
		same &= is_filled(kept[i], (unsigned char)('a' + i % 20));
	check(same, "frames of a frozen pool are copied before they change");
	for (int i = 0; i < FROZEN; i++)
		bh_frame_release(&pool, frames[i]);
	bh_frame_pool_thaw(&pool);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < FROZEN; i++) {
			frames[i] = make(&pool, 1400);
			for (int j = 0; j < FROZEN; j++)
				reused += frames[i] == kept[j];
		}
		check(round ? reused >= FROZEN / 2 : !reused,
		      round ? "the next time that it freezes, it uses the released frames again"
			    : "a pool that thaws stays on its side");
		bh_frame_pool_freeze(&pool);
		bh_frame_pool_thaw(&pool);
	}
	check(bh_frame_make_writable(&pool, frames[0]) == frames[0],
	      "frames of a pool that isn't frozen are writable");
	bh_frame_pool_destroy(&pool);
}

int main(void)
{
	test_delay();
	test_rate();
	test_queue();
	test_drop_head();
	test_codel();
	test_hold();
	test_loss();
	test_loss_uses_wire();
	test_jitter();
	test_duplicate_corrupt();
	test_down();
	test_change();
	test_generators();
	test_pool();
	test_frozen();
	printf("1..%d\n", test_count);
	return failure_count > 0;
}
