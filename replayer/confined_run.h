/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a whole trace again in a confined child, which compares every event and may tell its parent
 * more of what it sees: for verify.c, which wants the first difference only, and packet_pass.c.
 */
#ifndef BH_REPLAYER_CONFINED_RUN_H
#define BH_REPLAYER_CONFINED_RUN_H

#include "common/cursor.h"
#include "common/error.h"
#include "replayer/rerun.h"

/* What a child may tell. */
#define BH_CONFINED_STREAM_MAX (16ull << 30)

struct bh_confined_run {
	/* Created with bh_confined_run_over() as its `over`, not yet prepared. */
	struct bh_rerun *rerun;
	/* In the child, when the nodes are mapped and nothing has run; may be NULL. */
	struct bh_error *(*prepared)(void *arg, struct bh_rerun *rerun);
	void *arg;
	/* In the child: what it wants to tell, appended to by the rerun's listener. In the parent,
	 * afterwards: all that was told; bytes from a process that may have run a stranger's trace.
	 * Zeroes at the start; the caller frees it. */
	struct bh_buffer stream;
};

/* *found_ret: not 0 if the rerun diverged, and then where. */
struct bh_error *bh_confined_run(struct bh_confined_run *run, size_t node_count, int *found_ret,
				 struct bh_divergence *divergence_ret);
/* In the child, between two events: sends the stream on if it has at least so many bytes. Non-zero:
 * it failed, the rerun should end. */
int bh_confined_run_flush(struct bh_confined_run *run, size_t least);
/* Ends the child with what has been found: for bh_rerun_config. */
void bh_confined_run_over(void *arg);

#endif
