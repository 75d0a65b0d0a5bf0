/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a run shows and leaves behind while it goes on, recorded or not: files-NODE/ and the
 * progress line. Called by cmd_run.c and cmd_record.c.
 */
#ifndef BH_CLI_LIVE_RUN_H
#define BH_CLI_LIVE_RUN_H

#include "cli/memory_limit.h"
#include "cli/progress.h"
#include "simulator/output.h"
#include "simulator/sim.h"

struct bh_live_run {
	struct bh_output *output;
	struct bh_progress progress;
	struct bh_error *error; /* of writing output or of memory, between events */
	struct bh_memory_limit limit;
	uint64_t calls; /* between events */
};

/* An observer that writes output and shows progress; live must stay where it is. */
struct bh_sim_observer bh_live_run_observer(struct bh_live_run *live);

/* What --spin-limit says; NULL: it wasn't given. */
struct bh_error *bh_live_run_spin_limit(const char *text, unsigned int *limit_s_ret);

/* Before the run: folder is where files-NODE/ go. */
struct bh_error *bh_live_run_begin(struct bh_live_run *live, const struct bh_scenario *scenario,
				   const char *folder, int is_quiet);
/* After the run, which ended with run_error or NULL (taken): writes the rest. */
struct bh_error *bh_live_run_end(struct bh_live_run *live, struct bh_error *run_error);
/* Frees what live holds; a zeroed one holds nothing. */
void bh_live_run_release(struct bh_live_run *live);

#endif
