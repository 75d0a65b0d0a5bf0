/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What copy.c (life, memory, planting), copy_run.c and copy_block.c (movement) share; nobody else's
 * business. */
#ifndef BH_REPLAYER_COPY_INTERNAL_H
#define BH_REPLAYER_COPY_INTERNAL_H

#include "replayer/copy.h"

#define BH_INT3 0xcc

struct bh_planted {
	uint64_t address;
	uint8_t original;
};

/* NULL if nothing is planted there. */
struct bh_planted *bh_copy_find_planted(const struct bh_copy *copy, uint64_t address);
/* What a stop costs, about. */
#define BH_STOP_NS 5000
/* Before a step: the next event is to stop it, and the watchpoints. */
struct bh_error *bh_copy_prepare_step(struct bh_copy *copy, const struct bh_limits *limits);
/* Delivers the signals in which a step ended, and stops at the handler; with none it does nothing.
 * is_alive_ret: else the process ends, which end tells. */
struct bh_error *bh_copy_deliver(struct bh_copy *copy, struct bh_wait *wait, struct bh_end *end,
				 int *is_alive_ret);
/* Where a copy of a program's instruction at pc is that goes on behind it; 0: there is none. */
uint64_t bh_copy_over(struct bh_copy *copy, uint64_t pc);
/* What is planted has changed, perhaps because other programs came: the text is looked at again. */
void bh_copy_over_doubt(struct bh_copy *copy);
/* The instruction of which that is a copy, where a signal came up; 0: it isn't one. pushed_ret:
 * what the stack pointer is too low. */
uint64_t bh_copy_over_origin(const struct bh_copy *copy, uint64_t pc, uint64_t *pushed_ret);
int bh_blocks_is_program(const struct bh_blocks *blocks, uint64_t address);
/* Sets the program counter. */
void bh_copy_set_pc(struct bh_copy *copy, uint64_t pc);

#endif
