/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output files and progress of a run: see live_run.h. */
#include "cli/live_run.h"

#include "cli/cli.h"

#define SPIN_LIMIT_S 60u
/* Between events: looking at the memory costs some microseconds, so it is done more often only when
 * much of what is allowed is used. */
#define CALLS_PER_LOOK	    64u
#define CALLS_PER_NEAR_LOOK 4u

static void observe_output(void *arg, uint32_t node, const char *path, const void *data,
			   size_t length)
{
	struct bh_live_run *live = arg;

	bh_output_append(live->output, node, path, data, length);
}

static void observe_files(void *arg, uint32_t node, struct bh_posix_node *posix)
{
	struct bh_live_run *live = arg;

	if (!live->error)
		live->error = bh_output_files(live->output, node, posix);
}

static int observe_between(void *arg)
{
	struct bh_live_run *live = arg;

	if (!live->error)
		live->error = bh_output_flush(live->output, 0);
	if (!live->error &&
	    ++live->calls % (live->limit.is_near ? CALLS_PER_NEAR_LOOK : CALLS_PER_LOOK) == 0)
		live->error = bh_memory_limit_watch(&live->limit);
	return live->error || bh_progress_update(&live->progress);
}

struct bh_sim_observer bh_live_run_observer(struct bh_live_run *live)
{
	return (struct bh_sim_observer){.arg = live,
					.output = observe_output,
					.files = observe_files,
					.between = observe_between};
}

struct bh_error *bh_live_run_spin_limit(const char *text, unsigned int *limit_s_ret)
{
	uint64_t limit_s = SPIN_LIMIT_S;

	if (text && (!bh_cli_parse_u64(text, &limit_s) || limit_s > 86400))
		return bh_error_new(BH_ERR_USAGE,
				    "--spin-limit wants a whole number of seconds up to 86400, not "
				    "\"%s\"",
				    text);
	*limit_s_ret = (unsigned int)limit_s;
	return NULL;
}

struct bh_error *bh_live_run_begin(struct bh_live_run *live, const struct bh_scenario *scenario,
				   const char *folder, int is_quiet)
{
	bh_memory_limit_read(&live->limit);
	BH_TRY(bh_memory_limit_check(&live->limit, scenario->node_count));
	BH_TRY(bh_output_create(folder, scenario, &live->output));
	bh_progress_begin(&live->progress, scenario->is_open ? 0 : scenario->stop_ns,
			  scenario->node_count, is_quiet);
	return NULL;
}

struct bh_error *bh_live_run_end(struct bh_live_run *live, struct bh_error *run_error)
{
	bh_progress_end(&live->progress);
	if (run_error)
		return run_error;
	struct bh_error *error = live->error;

	live->error = NULL;
	return error ? error : bh_output_flush(live->output, 1);
}

void bh_live_run_release(struct bh_live_run *live)
{
	bh_error_free(live->error);
	bh_output_destroy(live->output);
}
