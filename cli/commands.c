/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the command that the first word names and runs it: called by main.c and, in a scenario that
 * is a C program, by scenario_program.c. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/suggest.h"
#include "simulator/build.h"

static const struct bh_command *const commands[] = {
	&bh_command_run,    &bh_command_record, &bh_command_replay,  &bh_command_verify,
	&bh_command_info,   &bh_command_events, &bh_command_packets, &bh_command_doctor,
	&bh_command_import, &bh_command_yaml,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

/* The last one is of use only in a program that has a scenario. */
static size_t command_count(void)
{
	return bh_build_registered() ? COMMAND_COUNT : COMMAND_COUNT - 1;
}

static int print_help(void)
{
	printf("usage: %s COMMAND [OPTION…] [ARGUMENT…]\n\n"
	       "Records a run of a deterministic network of real Linux kernels and replays it\n"
	       "under gdb, forwards and backwards.\n\n",
	       bh_cli_program_name());
	if (bh_build_registered())
		printf("This program is a scenario: run (which is what it does without a command)\n"
		       "and record need no file, what follows -- are the scenario's "
		       "arguments.\n\n");
	for (size_t i = 0; i < command_count(); i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n%s COMMAND --help says more. Exit status: 0 passed, 1 failed, 2 wrong "
	       "usage\n"
	       "or bad input, 3 a replay diverged, 4 the machine lacks something.\n",
	       bh_cli_program_name());
	return bh_cli_finish(BH_EXIT_PASS);
}

static int unknown_command(const char *name)
{
	const char *names[COMMAND_COUNT];

	for (size_t i = 0; i < COMMAND_COUNT; i++)
		names[i] = commands[i]->name;
	const char *nearest = bh_suggest(name, names, command_count());

	if (nearest)
		bh_cli_note("unknown command \"%s\"; did you mean \"%s\"?", name, nearest);
	else
		bh_cli_note("unknown command \"%s\"; see: backhop --help", name);
	return BH_EXIT_USAGE;
}

int bh_cli_main(int argc, char **argv)
{
	bh_cli_arguments_keep(argc, argv);
	/* Whoever started us may ignore it; then a replay's processes could not be waited for. */
	signal(SIGCHLD, SIG_DFL);
	if (argc < 2) {
		bh_cli_note("no command given; see: backhop --help");
		return BH_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return print_help();
	if (strcmp(argv[1], "--version") == 0) {
		printf("backhop %s\n", BH_VERSION);
		return bh_cli_finish(BH_EXIT_PASS);
	}
	for (size_t i = 0; i < command_count(); i++)
		if (strcmp(argv[1], commands[i]->name) == 0)
			return commands[i]->run(argc - 1, argv + 1);
	return unknown_command(argv[1]);
}
