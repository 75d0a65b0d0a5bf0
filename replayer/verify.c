/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bh_verify() of engine.h: runs a whole trace again in a confined child and reports the first
 * event that differs. Called by `backhop verify`.
 */
#include "replayer/confined_run.h"
#include "replayer/engine.h"

struct bh_error *bh_verify(const struct bh_trace *trace,
			   struct bh_error *(*find_kernel)(void *arg, const char *version,
							   char **path_ret),
			   void *find_kernel_arg, uint64_t plant_event, int *found_ret,
			   struct bh_divergence *divergence_ret)
{
	const struct bh_rerun_config config = {
		.trace = trace,
		.find_kernel = find_kernel,
		.find_kernel_arg = find_kernel_arg,
		.plant_event = plant_event,
		.over = bh_confined_run_over,
	};
	struct bh_confined_run run = {0};

	BH_TRY(bh_rerun_create(&config, &run.rerun));
	struct bh_error *error =
		bh_confined_run(&run, bh_trace_node_count(trace), found_ret, divergence_ret);
	bh_buffer_free(&run.stream);
	bh_rerun_destroy(run.rerun);
	return error;
}
