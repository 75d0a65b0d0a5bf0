/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records a run: drives a bh_sim with an observer that writes its events and inputs to a trace.
 * Used by `backhop record`, tests and benchmarks.
 *
 *   bh_recorder_create()   the simulation; a scenario that can't run leaves no file behind
 *   bh_recorder_run()      the trace is created and filled, from the first event to the last
 *   bh_recorder_finish()   makes the trace complete
 */
#ifndef BH_RECORDER_RECORDER_H
#define BH_RECORDER_RECORDER_H

#include <stddef.h>

#include "common/error.h"
#include "simulator/sim.h"

struct bh_recorder;

struct bh_recorder_config {
	const char *trace_path;
	const char *output_folder; /* where the observer writes files-NODE/; NULL: nowhere */
	const char *scenario_path; /* for its name only: the folder isn't stored */
	const void *scenario_text; /* the file's bytes, which scenario was parsed from */
	size_t scenario_size;
	/* If the scenario is a C program: what it built, the path of the executable (which runs
	 * now) and its arguments, each ending in NUL. */
	const struct bh_build *build;
	const char *program_path, *program_arguments;
	size_t program_arguments_size;
	const struct bh_terminal *terminal; /* as in sim.h; or NULL */
	const struct bh_scenario *scenario; /* seed included, if the command line changed it */
	/* As in sim.h. */
	struct bh_error *(*find_kernel)(void *arg, const char *version, char **path_ret);
	void *find_kernel_arg;
	/* Who else wants to know: output, event, frame and between are passed on. */
	struct bh_sim_observer observer;
	unsigned int spin_limit_s; /* see bh_sim_config */
	/*
	 * Not NULL: snapshots of this process go to the cache, from which a replay on this machine
	 * starts where it would else have to run to. Each process that is made of one begins with
	 * this call, which must not return: sim has just had an event.
	 */
	void (*restored)(void *arg, struct bh_sim *sim, struct bh_inputs *inputs);
	void *restored_arg;
	uint64_t snapshot_ns; /* CPU time between two; 0: what a recording can afford */
};

/* What config points to must outlive the recorder. */
struct bh_error *bh_recorder_create(const struct bh_recorder_config *config,
				    struct bh_recorder **recorder_ret);
/* The result is valid until bh_recorder_destroy(). A run that failed is no error. */
struct bh_error *bh_recorder_run(struct bh_recorder *recorder,
				 const struct bh_sim_result **result_ret);
/* summary_json: see FORMAT.md, section 7. The trace of a run that was abandoned stays without an
 * end, so that a replay ends where it hung. */
struct bh_error *bh_recorder_finish(struct bh_recorder *recorder, const char *summary_json);
/* Takes NULL. A trace that isn't finished is left as it is: readable, and marked as truncated. */
void bh_recorder_destroy(struct bh_recorder *recorder);

#endif
