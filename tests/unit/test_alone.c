/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One node of a recorded run without the others: fed with what it got from them, it does what it
 * did, to the end of the run, and is in the same state at the same places.
 *
 * test_alone [TRACE...]; without a trace it records examples with $BACKHOP, and is skipped if there
 * is no such program. Kernel images are kernel-VERSION in $BACKHOP_KERNEL_DIR or $BUILD.
 */
#include <stdlib.h>
#include <string.h>

#include "replayer/confined_run.h"
#include "replayer/node_feed.h"
#include "tests/unit/recorded_run.h"

static char cache[4200];

static const struct bh_replay_options *options_for(const char *node)
{
	static struct bh_replay_options options;

	options = (struct bh_replay_options){
		.find_kernel = find_kernel, .node = node, .cache_folder = cache};
	return &options;
}

/* --- whole runs --- */

/* Every event of the node is compared, so its digest is the recorded one. */
static void run_alone(const struct bh_trace *trace, uint32_t node)
{
	const char *name = bh_trace_node_name(trace, node);
	struct bh_divergence divergence = {0};
	struct bh_confined_run run = {0};
	struct bh_node_feed *feed = NULL;
	size_t count = 0;
	int found = 0;

	must(bh_node_feed_create(trace, node, options_for(name), &feed));
	const struct bh_rerun_config config = {
		.trace = trace,
		.find_kernel = find_kernel,
		.over = bh_confined_run_over,
		.feed = bh_node_feed_get(feed),
	};

	bh_feed_numbers(config.feed, &count);
	must(bh_rerun_create(&config, &run.rerun));
	must(bh_confined_run(&run, bh_trace_node_count(trace), &found, &divergence));
	if (found)
		printf("# %s diverges at event %lu: %s was %s, is %s\n", name, divergence.event,
		       divergence.field, divergence.recorded, divergence.replayed);
	char what[256];

	snprintf(what, sizeof(what), "%s of %s alone does what it did: %zu events", name,
		 bh_trace_scenario_name(trace), count);
	check(!found, what);
	bh_rerun_destroy(run.rerun);
	bh_node_feed_destroy(feed);
}

static void run_each_alone(const char *path)
{
	struct bh_trace *trace;

	must(bh_trace_open(path, &trace));
	for (uint32_t node = 0; node < bh_trace_node_count(trace); node++)
		run_alone(trace, node);
	bh_trace_close(trace);
}

int main(int argc, char **argv)
{
	const char *folder = getenv("TMPDIR");

	snprintf(cache, sizeof(cache), "%s/alone-feeds", folder ? folder : ".");
	if (argc < 2)
		run_each_alone(record_example("alone", "blackhole.yaml"));
	for (int i = 1; i < argc; i++)
		run_each_alone(argv[i]);
	printf("1..%d\n", test_number);
	return failures != 0;
}
