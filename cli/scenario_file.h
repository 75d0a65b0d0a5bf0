/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scenario of `run` and `record`: from a file, or what this program describes. */
#ifndef BH_CLI_SCENARIO_FILE_H
#define BH_CLI_SCENARIO_FILE_H

#include "cli/cli.h"
#include "simulator/build.h"
#include "simulator/scenario.h"

struct bh_scenario_file {
	char *text; /* the bytes of the file: an input of the run */
	size_t length;
	struct bh_scenario *scenario;
	char *name; /* of the file */
	/* Only if it is this program's: */
	struct bh_build *build;
	char *program;	 /* path of the executable */
	char *arguments; /* each ending in NUL */
	size_t arguments_size;
};

/* seed replaces the scenario's; NULL keeps it. On success the caller closes the file. */
struct bh_error *bh_scenario_file_open(const char *path, const char *seed,
				       struct bh_scenario_file *file_ret);
/* The same for what a command line without its options names: argv[1] is the file; or, if this
 * program is a scenario, argv[1] and so on are its arguments. Prints what is wrong with the number
 * of arguments and returns the exit status, or -1. */
int bh_scenario_arguments_check(const struct bh_command *command, int argc);
struct bh_error *bh_scenario_arguments_open(int argc, char **argv, const char *seed,
					    struct bh_scenario_file *file_ret);
/* scenario_program.c */
struct bh_error *bh_scenario_program_open(int argc, char **argv, const char *seed,
					  struct bh_scenario_file *file_ret);
void bh_scenario_file_close(struct bh_scenario_file *file);

#endif
