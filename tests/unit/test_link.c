/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links: delay, rate to the nanosecond, queue, loss, order, and frames that come back to the pool.
 */
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

static enum bh_loss_reason send(struct bh_link_direction *direction, struct bh_frame_pool *pool,
				size_t length, uint64_t now_ns)
{
	return bh_link_send(direction, pool, make(pool, length), now_ns);
}

/* Takes the next frame off: its time of arrival. */
static uint64_t receive(struct bh_link_direction *direction, struct bh_frame_pool *pool)
{
	if (!bh_link_first(direction))
		return 0;
	struct bh_frame *frame = bh_link_receive(direction, pool);
	uint64_t arrival_ns = frame->arrival_ns;

	bh_frame_release(pool, frame);
	return arrival_ns;
}

static void test_delay(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = {.delay_ns = 5000, .queue_frames = 0};

	send(&link, &pool, 100, 10);
	send(&link, &pool, 1500, 10);
	check(receive(&link, &pool) == 5010 && receive(&link, &pool) == 5010 &&
		      !bh_link_first(&link),
	      "a link without rate has its delay only, and no queue");
	bh_frame_pool_destroy(&pool);
}

static void test_rate(void)
{
	struct bh_frame_pool pool = {0};
	/* 3 bits a second short of 1 ns a bit: nothing comes out even. */
	struct bh_link_direction link = {
		.rate_bps = 999999997, .delay_ns = 7, .queue_frames = 1000};
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
	struct bh_link_direction link = {.rate_bps = 8000000, .queue_frames = 2};

	check(send(&link, &pool, 100, 0) == BH_LOSS_NONE &&
		      send(&link, &pool, 100, 0) == BH_LOSS_NONE &&
		      send(&link, &pool, 100, 0) == BH_LOSS_NONE,
	      "one frame on the wire, two wait for it");
	check(send(&link, &pool, 100, 99999) == BH_LOSS_QUEUE, "a third that would wait is lost");
	check(send(&link, &pool, 100, 100000) == BH_LOSS_NONE,
	      "there is room when the first of them begins");
	check(receive(&link, &pool) == 100000 && receive(&link, &pool) == 200000 &&
		      receive(&link, &pool) == 300000 && receive(&link, &pool) == 400000 &&
		      !bh_link_first(&link),
	      "the frames arrive one after the other");
	link.queue_frames = 0;
	check(send(&link, &pool, 100, 500000) == BH_LOSS_NONE &&
		      send(&link, &pool, 100, 500000) == BH_LOSS_QUEUE &&
		      send(&link, &pool, 100, 600000) == BH_LOSS_NONE,
	      "without a queue a frame needs a free wire");
	bh_link_clear(&link, &pool);
	bh_frame_pool_destroy(&pool);
}

static void test_loss(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = {.loss_ppb = 100000000, .delay_ns = 1000};
	unsigned int lost = 0, arrived = 0;

	bh_rng_init(&link.rng, 1, "loss", "test");
	for (uint64_t now_ns = 0; now_ns < 100000; now_ns++) {
		lost += send(&link, &pool, 60, now_ns) == BH_LOSS_RANDOM;
		while (bh_link_first(&link) && bh_link_first(&link)->arrival_ns <= now_ns)
			arrived += receive(&link, &pool) > 0;
	}
	while (bh_link_first(&link))
		arrived += receive(&link, &pool) > 0;
	check(lost > 9600 && lost < 10400, "a loss of 10% loses about 10000 of 100000");
	check(lost + arrived == 100000, "every other frame arrives");
	link.loss_ppb = 1000000000;
	check(send(&link, &pool, 60, 200000) == BH_LOSS_RANDOM && !bh_link_first(&link),
	      "a loss of 100% loses all");
	bh_link_clear(&link, &pool);
	bh_frame_pool_destroy(&pool);
}

/* A lost frame has still taken its time on the wire and its place in the queue. */
static void test_loss_uses_wire(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = {
		.rate_bps = 8000000, .queue_frames = 1, .loss_ppb = 1000000000};

	bh_rng_init(&link.rng, 1, "loss", "test");
	send(&link, &pool, 100, 0);
	check(send(&link, &pool, 100, 0) == BH_LOSS_RANDOM, "a lost frame waits like another");
	check(send(&link, &pool, 100, 0) == BH_LOSS_QUEUE, "and fills the queue");
	link.loss_ppb = 0;
	check(send(&link, &pool, 100, 100000) == BH_LOSS_NONE && receive(&link, &pool) == 300000,
	      "the next one arrives behind both");
	check(!link.first && !link.last && link.waiting_count == 0, "nothing is left on the link");
	bh_frame_pool_destroy(&pool);
}

static void test_pool(void)
{
	struct bh_frame_pool pool = {0};
	struct bh_link_direction link = {.delay_ns = 1};
	static const size_t lengths[] = {0, 60, 192, 193, 1514, 2048, 2049, BH_FRAME_LENGTH_MAX};
	struct bh_frame_slab *slabs;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		send(&link, &pool, lengths[i], 0);
	slabs = pool.slabs;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		receive(&link, &pool);
	for (uint64_t now_ns = 10; now_ns < 100000; now_ns++) {
		send(&link, &pool, lengths[now_ns % 8], now_ns);
		receive(&link, &pool);
	}
	check(pool.slabs == slabs, "frames come back to the pool: nothing is allocated on the way");
	bh_frame_pool_destroy(&pool);
	check(!pool.slabs && !pool.free[0], "a destroyed pool is empty");
}

int main(void)
{
	test_delay();
	test_rate();
	test_queue();
	test_loss();
	test_loss_uses_wire();
	test_pool();
	printf("1..%d\n", test_count);
	return failure_count > 0;
}
