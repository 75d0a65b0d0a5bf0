/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backhop run`: runs a scenario without recording it. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/kernel_path.h"
#include "cli/progress.h"
#include "cli/scenario_file.h"
#include "cli/summary.h"
#include "common/host_time.h"
#include "posix/inputs.h"
#include "simulator/output.h"
#include "simulator/sim.h"

struct run {
	struct bh_scenario_file file;
	struct bh_inputs *inputs;
	struct bh_output *output;
	struct bh_sim *sim;
	struct bh_progress progress;
	struct bh_error *error; /* of writing output, between events */
};

static void observe_output(void *arg, uint32_t node, const char *path, const void *data,
			   size_t length)
{
	struct run *run = arg;

	bh_output_append(run->output, node, path, data, length);
}

static int observe_between(void *arg)
{
	struct run *run = arg;

	if (!run->error)
		run->error = bh_output_flush(run->output, 0);
	return run->error || bh_progress_update(&run->progress);
}

static struct bh_error *run_scenario(struct run *run, const char *folder, int is_quiet,
				     const struct bh_sim_result **result_ret)
{
	struct bh_sim_config config = {
		.scenario = run->file.scenario,
		.find_kernel = bh_find_kernel,
		.observer = {.arg = run, .output = observe_output, .between = observe_between},
	};

	BH_TRY(bh_inputs_create_live(&run->inputs));
	config.inputs = run->inputs;
	BH_TRY(bh_sim_create(&config, &run->sim));
	BH_TRY(bh_output_create(folder, run->file.scenario, &run->output));
	bh_progress_begin(&run->progress, run->file.scenario->stop_ns, is_quiet);
	struct bh_error *error = bh_sim_run(run->sim, result_ret);

	bh_progress_end(&run->progress);
	if (!error) {
		error = run->error;
		run->error = NULL;
	}
	return error ? error : bh_output_flush(run->output, 1);
}

static int print_result(const struct bh_summary *summary, int is_json, int is_quiet)
{
	if (is_json) {
		char *text = bh_summary_json(summary);

		if (!text)
			return bh_cli_fail(bh_error_new(BH_ERR_NOMEM, "out of memory"));
		puts(text);
		free(text);
	} else if (!is_quiet) {
		bh_summary_print(summary, stdout);
	}
	return bh_cli_finish(bh_summary_exit_status(summary));
}

static int cmd_run(int argc, char **argv)
{
	int is_json = 0, is_quiet = 0;
	const char *folder = ".", *seed = NULL;
	const struct bh_option options[] = {
		{"json", &is_json, NULL},
		{"quiet", &is_quiet, NULL},
		{"files", NULL, &folder},
		{"seed", NULL, &seed},
	};
	uint64_t begin_ns = bh_host_time_ns();
	struct run run = {0};
	const struct bh_sim_result *result = NULL;
	int status = bh_cli_parse(&bh_command_run, options, sizeof(options) / sizeof(options[0]),
				  &argc, argv);

	if (status >= 0)
		return status;
	if (argc != 2)
		return bh_cli_usage(&bh_command_run,
				    argc < 2 ? "name a scenario file"
					     : "name one scenario file, not %d",
				    argc - 1);
	struct bh_error *error = bh_scenario_file_open(argv[1], seed, &run.file);

	if (!error)
		error = run_scenario(&run, folder, is_quiet, &result);
	if (error) {
		status = bh_cli_fail(error);
	} else {
		const struct bh_summary summary = {
			.scenario = run.file.scenario,
			.result = result,
			.wall_s = (double)(bh_host_time_ns() - begin_ns) / 1e9,
		};
		status = print_result(&summary, is_json, is_quiet);
	}
	bh_error_free(run.error);
	bh_sim_destroy(run.sim);
	bh_output_destroy(run.output);
	bh_inputs_destroy(run.inputs);
	bh_scenario_file_close(&run.file);
	return status;
}

const struct bh_command bh_command_run = {
	.name = "run",
	.synopsis = "[--json] [--quiet] [--files FOLDER] [--seed N] SCENARIO",
	.summary = "run a scenario without recording it",
	.help = "  --json          print the result as one JSON object\n"
		"  --quiet         print nothing but errors; the exit status says the result\n"
		"  --files FOLDER  write files-NODE/ there (default: the current folder): kernel\n"
		"                  logs, and output, command line and status of each program\n"
		"  --seed N        use this seed instead of the scenario's\n\n"
		"Exit status: 0 the run passed, 1 it failed, 2 bad input, 4 the machine lacks\n"
		"something.",
	.run = cmd_run,
};
