/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a frame's lineage costs at one hop, for bench/run's lineage: the same operations on memory
 * as a node and the simulator do for it, many times. Prints the nanoseconds of one hop.
 *
 * At a hop a buffer is allocated (generic code asks for the task's handle: a call, two loads and a
 * test) and stored to, the driver stamps it with the packed lineage of the frame, reads it off the
 * buffer that leaves, and the simulator unpacks it. An allocation more is counted, for a buffer
 * that is cloned or copied on its way.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "simulator/lineage.h"

#define HOPS 200000000l

struct task {
	uint64_t flags, count, kcov_handle;
};

static struct task init;
static struct task *volatile current_task = &init;

static __attribute__((noinline)) uint64_t common_handle(void)
{
	const struct task *task = current_task;

	return task->count & 0xff0100 ? 0 : task->kcov_handle;
}

int main(void)
{
	static volatile uint64_t buffers[64];
	struct timespec begin, end;
	uint64_t packet = 0, hop = 0;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (long i = 0; i < HOPS; i++) {
		volatile uint64_t *buffer = &buffers[i % 64], *clone = &buffers[(i + 7) % 64];

		*buffer = common_handle();
		*buffer = bh_lineage_pack(packet, (uint32_t)hop);
		*clone = common_handle();
		*clone = *buffer;
		hop = (bh_lineage_hop(*clone) + 1) & 0xff;
		packet = hop ? bh_lineage_packet(*clone) : (uint64_t)i;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	double ns =
		(double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);

	printf("{\"ns\": %.3f}\n", ns / (double)HOPS);
	return 0;
}
