/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backhop run`: runs a scenario without recording it. */
#include "cli/cli.h"
#include "cli/kernel_path.h"
#include "cli/live_run.h"
#include "cli/scenario_file.h"
#include "cli/shell.h"
#include "cli/summary.h"
#include "common/host_time.h"
#include "common/link_maps.h"
#include "posix/inputs.h"
#include "simulator/sim.h"

struct run {
	struct bh_scenario_file file;
	struct bh_inputs *inputs;
	struct bh_sim *sim;
	struct bh_live_run live;
	struct bh_shell *shell;
};

static struct bh_error *run_scenario(struct run *run, const char *folder,
				     const struct bh_shell_options *shell,
				     unsigned int spin_limit_s, int is_quiet,
				     const struct bh_sim_result **result_ret)
{
	struct bh_sim_config config = {
		.scenario = run->file.scenario,
		.build = run->file.build,
		.find_kernel = bh_find_kernel,
		.describes_failures = 1,
		/* Whoever types may take their time. */
		.spin_limit_s = shell->node ? 0 : spin_limit_s,
		.observer = bh_live_run_observer(&run->live),
	};

	BH_TRY(bh_inputs_create_live(&run->inputs));
	bh_inputs_set_scenario(run->inputs, run->file.program ? run->file.program : run->file.name);
	BH_TRY(bh_output_hide(folder, run->file.scenario, run->inputs));
	config.inputs = run->inputs;
	BH_TRY(bh_shell_create(shell, run->file.scenario, &run->shell));
	config.terminal = bh_shell_terminal(run->shell);
	bh_link_maps_begin();
	BH_TRY(bh_sim_create(&config, &run->sim));
	BH_TRY(bh_live_run_begin(&run->live, run->file.scenario, folder, is_quiet || run->shell));
	return bh_live_run_end(&run->live, bh_sim_run(run->sim, result_ret));
}

static int cmd_run(int argc, char **argv)
{
	int is_json = 0, is_quiet = 0;
	const char *folder = ".", *seed = NULL, *spin_limit = NULL;
	unsigned int spin_limit_s = 0;
	struct bh_shell_options shell = {0};
	const struct bh_option options[] = {
		{"json", &is_json, NULL},
		{"quiet", &is_quiet, NULL},
		{"files", NULL, &folder},
		{"seed", NULL, &seed},
		{"spin-limit", NULL, &spin_limit},
		{"shell", NULL, &shell.node},
		{"shell-time", NULL, &shell.time},
		{"shell-start", NULL, &shell.start},
		{"shell-program", NULL, &shell.program},
	};
	uint64_t begin_ns = bh_host_time_ns();
	struct run run = {0};
	const struct bh_sim_result *result = NULL;
	int status = bh_cli_parse(&bh_command_run, options, sizeof(options) / sizeof(options[0]),
				  &argc, argv);

	if (status >= 0)
		return status;
	status = bh_scenario_arguments_check(&bh_command_run, argc);
	if (status >= 0)
		return status;
	struct bh_error *error = bh_live_run_spin_limit(spin_limit, &spin_limit_s);

	if (!error)
		error = bh_scenario_arguments_open(argc, argv, seed, &run.file);
	if (!error)
		error = run_scenario(&run, folder, &shell, spin_limit_s, is_quiet, &result);
	bh_shell_destroy(run.shell);
	if (error) {
		status = bh_cli_fail(error);
	} else {
		const struct bh_summary summary = {
			.scenario = run.file.scenario,
			.result = result,
			.wall_s = (double)(bh_host_time_ns() - begin_ns) / 1e9,
		};
		error = bh_summary_show(&summary, is_json, is_quiet);
		status = error ? bh_cli_fail(error)
			       : bh_cli_finish(bh_summary_exit_status(&summary));
	}
	bh_sim_destroy(run.sim);
	bh_live_run_release(&run.live);
	bh_inputs_destroy(run.inputs);
	bh_scenario_file_close(&run.file);
	return status;
}

const struct bh_command bh_command_run = {
	.name = "run",
	.synopsis = "[--json] [--quiet] [--files FOLDER] [--seed N] [--spin-limit S] [--shell "
		    "NODE] SCENARIO",
	.summary = "run a scenario without recording it",
	.help = "  --json          print the result as one JSON object\n"
		"  --quiet         print nothing but errors; the exit status says the result\n"
		"  --files FOLDER  write files-NODE/ there (default: the current folder): kernel\n"
		"                  logs, and output, command line and status of each program\n"
		"  --seed N        use this seed instead of the scenario's\n"
		"  --spin-limit S  give up a node that has the CPU for so many seconds without an\n"
		"                  event (default: 60; 0: never)\n"
		"  --shell NODE    a shell on this node, on this terminal; the run goes on until "
		"it ends.\n"
		"                  Ctrl-] leaves it. Lines from a file or pipe are typed one by "
		"one\n"
		"  --shell-time still|wall  virtual time stands still while the shell waits for "
		"input, "
		"else\n"
		"                  runs as fast as it can; or follows the wall clock (default on "
		"a\n"
		"                  terminal)\n"
		"  --shell-start TIME  the virtual time at which it starts (default: 0)\n"
		"  --shell-program PATH  instead of /bin/bash\n\n"
		"Exit status: 0 the run passed, 1 it failed, 2 bad input, 4 the machine lacks\n"
		"something.",
	.run = cmd_run,
};
