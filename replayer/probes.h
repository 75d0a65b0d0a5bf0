/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Probes: functions of ours that are called at the entries of kernel functions, in the process that
 * runs the nodes. They see the arguments; they may look at the node's memory, and must not change
 * anything that the run depends on.
 *
 * As for counting ticks (ticks.h), the 5-byte NOP at the entry becomes a jump, in a copy of the
 * image's text that replaces the text pages of a node; the copy is made once for an image. Only the
 * nodes of a process that plants them have probes: a recording and a replay under gdb have none.
 *
 * Called by packet_pass.c and packet_trace.c.
 */
#ifndef BH_REPLAYER_PROBES_H
#define BH_REPLAYER_PROBES_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct bh_node;
struct bh_image;

/* The registers at the entry: the first six arguments are in rdi, rsi, rdx, rcx, r8 and r9. */
struct bh_probe_registers {
	uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	uint64_t stub_return;	 /* for probes.c */
	uint64_t return_address; /* of the probed function */
};

/* Of an argument, from 0 to 5. */
uint64_t bh_probe_argument(const struct bh_probe_registers *registers, unsigned int number);

/*
 * node: its id. probe: index into the entries. Runs on the stack of a kernel task, or of the node's
 * idle task: shallow. FP registers have been put aside.
 */
typedef void (*bh_probe_handler)(void *arg, uint32_t node, uint32_t probe,
				 const struct bh_probe_registers *registers);

struct bh_probes;

/*
 * entries: ascending offsets in the image, each of them one of bh_image_patchable_entries(). Must
 * be created in the process that runs the nodes, or before it is forked. counts: bh_gate.tick
 * counts the entries of all functions, so that a handler sees which tick of the event the one at
 * hand is.
 */
struct bh_error *bh_probes_create(const struct bh_image *image, const uint32_t *entries,
				  size_t count, int counts, bh_probe_handler handler, void *arg,
				  struct bh_probes **probes_ret);
/* Takes NULL. The nodes that have them must not run again. */
void bh_probes_destroy(struct bh_probes *probes);
/* Into a node of this image, which is mapped and doesn't run just now. */
struct bh_error *bh_probes_plant(struct bh_probes *probes, struct bh_node *node);

#endif
