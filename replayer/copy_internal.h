/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What copy.c (life, memory, planting) and copy_run.c (movement) share; nobody else's business. */
#ifndef BH_REPLAYER_COPY_INTERNAL_H
#define BH_REPLAYER_COPY_INTERNAL_H

#include "replayer/copy.h"

#define BH_INT3 0xcc

struct bh_planted {
	uint64_t address;
	uint8_t original;
};

/* The region whose exchanged text holds address, or NULL. */
const struct bh_tick_region *bh_copy_region(const struct bh_copy *copy, uint64_t address);
/* NULL if nothing is planted there. */
struct bh_planted *bh_copy_find_planted(const struct bh_copy *copy, uint64_t address);
/* Sets the program counter. */
void bh_copy_set_pc(struct bh_copy *copy, uint64_t pc);

#endif
