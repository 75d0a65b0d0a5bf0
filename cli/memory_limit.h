/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much memory the control group allows that this process is in, as containers and service
 * managers set it. Beyond it the host's kernel kills a process without a word, so `backhop doctor`
 * (machine.c) tells of it, and a run (live_run.c) ends before that with a sentence.
 */
#ifndef BH_CLI_MEMORY_LIMIT_H
#define BH_CLI_MEMORY_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct bh_memory_limit {
	uint64_t bytes; /* the lowest one, or UINT64_MAX: there is none */
	char path[512]; /* the file that says so */
	int is_near;	/* half of it was used at the last look */
};

void bh_memory_limit_read(struct bh_memory_limit *limit_ret);

/* Whether so many nodes can begin at all: BH_ERR_MACHINE. */
struct bh_error *bh_memory_limit_check(const struct bh_memory_limit *limit, size_t node_count);
/* Whether this process has almost reached the limit: BH_ERR_MACHINE. */
struct bh_error *bh_memory_limit_watch(struct bh_memory_limit *limit);

#endif
