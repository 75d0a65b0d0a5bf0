/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program: finds the command that the first word names and runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/suggest.h"

static const struct bh_command *const commands[] = {
	&bh_command_run,  &bh_command_record, &bh_command_replay, &bh_command_verify,
	&bh_command_info, &bh_command_events, &bh_command_doctor,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int print_help(void)
{
	printf("usage: backhop COMMAND [OPTION…] [ARGUMENT…]\n\n"
	       "Records a run of a deterministic network of real Linux kernels and replays it\n"
	       "under gdb, forwards and backwards.\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	printf("\nbackhop COMMAND --help says more. Exit status: 0 passed, 1 failed, 2 wrong "
	       "usage\n"
	       "or bad input, 3 a replay diverged, 4 the machine lacks something.\n");
	return bh_cli_finish(BH_EXIT_PASS);
}

static int unknown_command(const char *name)
{
	const char *names[COMMAND_COUNT];

	for (size_t i = 0; i < COMMAND_COUNT; i++)
		names[i] = commands[i]->name;
	const char *nearest = bh_suggest(name, names, COMMAND_COUNT);

	if (nearest)
		bh_cli_note("unknown command \"%s\"; did you mean \"%s\"?", name, nearest);
	else
		bh_cli_note("unknown command \"%s\"; see: backhop --help", name);
	return BH_EXIT_USAGE;
}

int main(int argc, char **argv)
{
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
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(argv[1], commands[i]->name) == 0)
			return commands[i]->run(argc - 1, argv + 1);
	return unknown_command(argv[1]);
}
