/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backhop record`: runs a scenario and writes its trace. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/kernel_path.h"
#include "cli/live_run.h"
#include "cli/rr.h"
#include "cli/scenario_file.h"
#include "cli/shell.h"
#include "cli/summary.h"
#include "common/host_time.h"
#include "common/link_maps.h"
#include "recorder/recorder.h"
#include "replayer/engine.h"
#include "snapshots/snapshot.h"

/* CPU time from one to the next: so far a replay has to run. */
#define SNAPSHOT_OFTEN_NS 500000000ull

struct record {
	struct bh_scenario_file file;
	const char *trace;
	char *default_trace;
	struct bh_recorder *recorder;
	struct bh_live_run live;
	struct bh_shell *shell;
	int takes_snapshots;
	uint64_t snapshot_ns; /* see struct bh_recorder_config */
};

/* NAME.bht in the current folder, whatever the name has in it. */
static struct bh_error *trace_choose(struct record *record)
{
	const char *name = record->file.scenario->name;

	if (record->trace)
		return NULL;
	if (asprintf(&record->default_trace, "%s%s.bht", *name == '.' || *name == '-' ? "_" : "",
		     name) < 0) {
		record->default_trace = NULL;
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	for (char *at = record->default_trace; *at; at++)
		if (*at == '/' || (unsigned char)*at <= ' ' || *at == 0x7f)
			*at = '_';
	record->trace = record->default_trace;
	return NULL;
}

static struct bh_error *summary_store(struct record *record, const struct bh_sim_result *result)
{
	const struct bh_summary summary = {
		.scenario = record->file.scenario, .result = result, .is_reproducible = 1};
	char *text = bh_summary_json(&summary);

	if (!text)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	struct bh_error *error = bh_recorder_finish(record->recorder, text);
	free(text);
	return error;
}

static struct bh_error *record_scenario(struct record *record, const char *folder,
					const struct bh_shell_options *shell,
					unsigned int spin_limit_s, int is_quiet,
					const struct bh_sim_result **result_ret)
{
	BH_TRY(bh_shell_create(shell, record->file.scenario, &record->shell));
	const struct bh_recorder_config config = {
		.terminal = bh_shell_terminal(record->shell),
		.trace_path = record->trace,
		.output_folder = folder,
		.scenario_path = record->file.name,
		.scenario_text = record->file.text,
		.scenario_size = record->file.length,
		.scenario = record->file.scenario,
		.build = record->file.build,
		.program_path = record->file.program,
		.program_arguments = record->file.arguments,
		.program_arguments_size = record->file.arguments_size,
		.find_kernel = bh_find_kernel,
		.spin_limit_s = shell->node ? 0 : spin_limit_s,
		.restored = record->takes_snapshots ? bh_replay_restored : NULL,
		.snapshot_ns = record->snapshot_ns,
		.observer = bh_live_run_observer(&record->live),
	};

	bh_link_maps_begin();
	BH_TRY(bh_recorder_create(&config, &record->recorder));
	BH_TRY(bh_live_run_begin(&record->live, record->file.scenario, folder,
				 is_quiet || record->shell));
	BH_TRY(bh_live_run_end(&record->live, bh_recorder_run(record->recorder, result_ret)));
	return summary_store(record, *result_ret);
}

/* A path as one word of a shell command. */
static void print_word(FILE *stream, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./+,:@%=-";

	if (*text && text[strspn(text, plain)] == 0) {
		fputs(text, stream);
		return;
	}
	fputc('\'', stream);
	for (; *text; text++)
		fputs(*text == '\'' ? "'\\''" : (char[]){*text, 0}, stream);
	fputc('\'', stream);
}

static int print_result(const struct bh_summary *summary, int is_json, int is_quiet)
{
	int status = bh_summary_exit_status(summary);
	struct bh_error *error = bh_summary_show(summary, is_json, is_quiet);

	if (error)
		return bh_cli_fail(error);
	if (status && !is_quiet) {
		FILE *stream = is_json ? stderr : stdout;

		fprintf(stream, "replay: %s replay ",
			bh_build_registered() ? bh_cli_arguments()[0] : "backhop");
		print_word(stream, summary->trace);
		fputc('\n', stream);
	}
	return bh_cli_finish(status);
}

/* -1, or an exit status. */
static int choose_snapshots(const char *when, const struct bh_shell_options *shell,
			    struct record *record)
{
	int is_often = !strcmp(when, "often");

	if (!is_often && strcmp(when, "cheap") && strcmp(when, "no"))
		return bh_cli_usage(&bh_command_record,
				    "--snapshots is cheap, often or no, not \"%s\"", when);
	if (!strcmp(when, "no") || shell->node || bh_build_registered())
		return -1;
	record->takes_snapshots = 1;
	record->snapshot_ns = is_often ? SNAPSHOT_OFTEN_NS : 0;
	bh_snapshots_fix_addresses(bh_cli_arguments());
	return -1;
}

static int cmd_record(int argc, char **argv)
{
	int is_json = 0, is_quiet = 0, is_for_rr = 0;
	const char *folder = ".", *seed = NULL, *spin_limit = NULL, *snapshots = "cheap";
	unsigned int spin_limit_s = 0;
	struct bh_shell_options shell = {0};
	struct record record = {0};
	const struct bh_option options[] = {
		{"json", &is_json, NULL},
		{"quiet", &is_quiet, NULL},
		{"rr", &is_for_rr, NULL},
		{"snapshots", NULL, &snapshots},
		{"files", NULL, &folder},
		{"seed", NULL, &seed},
		{"spin-limit", NULL, &spin_limit},
		{"output", NULL, &record.trace},
		{"shell", NULL, &shell.node},
		{"shell-time", NULL, &shell.time},
		{"shell-start", NULL, &shell.start},
		{"shell-program", NULL, &shell.program},
	};
	uint64_t begin_ns = bh_host_time_ns();
	const struct bh_sim_result *result = NULL;

	bh_cli_output_option(argc, argv);
	int status = bh_cli_parse(&bh_command_record, options, sizeof(options) / sizeof(options[0]),
				  &argc, argv);
	if (status >= 0)
		return status;
	status = bh_scenario_arguments_check(&bh_command_record, argc);
	if (status >= 0)
		return status;
	if (is_for_rr)
		return bh_cli_fail(bh_rr_record(bh_cli_arguments(), record.trace));
	status = choose_snapshots(snapshots, &shell, &record);
	if (status >= 0)
		return status;
	struct bh_error *error = bh_live_run_spin_limit(spin_limit, &spin_limit_s);
	if (!error)
		error = bh_scenario_arguments_open(argc, argv, seed, &record.file);
	if (!error)
		error = trace_choose(&record);
	if (!error)
		error = record_scenario(&record, folder, &shell, spin_limit_s, is_quiet, &result);
	bh_shell_destroy(record.shell);
	if (error) {
		status = bh_cli_fail(error);
	} else {
		const struct bh_summary summary = {
			.scenario = record.file.scenario,
			.result = result,
			.wall_s = (double)(bh_host_time_ns() - begin_ns) / 1e9,
			.trace = record.trace,
		};
		status = print_result(&summary, is_json, is_quiet);
	}
	bh_recorder_destroy(record.recorder);
	bh_live_run_release(&record.live);
	bh_scenario_file_close(&record.file);
	free(record.default_trace);
	return status;
}

const struct bh_command bh_command_record = {
	.name = "record",
	.synopsis = "[-o FILE] [--json] [--quiet] [--files FOLDER] [--seed N] [--rr] [--shell "
		    "NODE] SCENARIO",
	.summary = "run a scenario and record it in a trace",
	.help = "  -o, --output FILE  write the trace there (default: NAME.bht in the current\n"
		"                     folder, with the scenario's name)\n"
		"  --json             print the result as one JSON object\n"
		"  --quiet            print nothing but errors; the exit status says the result\n"
		"  --files FOLDER     write files-NODE/ there (default: the current folder)\n"
		"  --rr               record the whole process with rr instead, where rr can; "
		"FILE is a\n"
		"                     folder then\n"
		"  --seed N           use this seed instead of the scenario's\n"
		"  --spin-limit S     give up a node that has the CPU for so many seconds without\n"
		"                     an event (default: 60; 0: never)\n"
		"  --snapshots WHEN   of this process, at which a replay on this machine can "
		"begin: "
		"cheap\n"
		"                     (default: at most a hundredth of the time is for them), "
		"often\n"
		"                     (two a second: what is far is always near), or no\n"
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
		"Exit status: 0 the run passed, 1 it failed (and the line that replays it is\n"
		"printed), 2 bad input, 4 the machine lacks something.",
	.run = cmd_record,
};
