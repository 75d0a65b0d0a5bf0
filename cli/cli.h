/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the commands of `backhop` share: the table of commands, options, messages. Every command is
 * one file cmd_<name>.c that defines one struct bh_command; cli/ is the only code that prints.
 * Results go to stdout, everything else to stderr; exit statuses are those of DESIGN.md section 7.
 */
#ifndef BH_CLI_CLI_H
#define BH_CLI_CLI_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define BH_VERSION "0.1.0"

enum bh_exit {
	BH_EXIT_PASS = 0,
	BH_EXIT_FAIL = 1,
	BH_EXIT_USAGE = 2,
	BH_EXIT_DIVERGED = 3,
	BH_EXIT_MACHINE = 4,
};

struct bh_command {
	const char *name;
	const char *synopsis; /* "[--json] [--seed N] SCENARIO" */
	const char *summary;  /* one line, for `backhop --help` */
	const char *help;     /* what --help prints after the synopsis: options, examples */
	/* argv[0] is the command's name. Returns the exit status. */
	int (*run)(int argc, char **argv);
};

extern const struct bh_command bh_command_run, bh_command_record, bh_command_verify,
	bh_command_info, bh_command_events, bh_command_packets, bh_command_replay,
	bh_command_doctor, bh_command_yaml, bh_command_import;

/* What `backhop`'s main() does. */
int bh_cli_main(int argc, char **argv);
/* "backhop", or the file name of the scenario's program. */
const char *bh_cli_program_name(void);

/* The command line as it was typed: bh_cli_parse() changes the one that commands get. */
void bh_cli_arguments_keep(int argc, char **argv);
char *const *bh_cli_arguments(void);

/* An option without a value sets *flag to 1, one with a value stores it in *value. */
struct bh_option {
	const char *name; /* "seed" for --seed N and --seed=N */
	int *flag;
	const char **value;
};

/*
 * Takes the options out of argv, so that argv[1] to argv[*argc - 1] are what is left; "--" ends
 * the options and stays out too. Answers --help. Returns -1 to go on, else the exit status: the
 * message has been printed.
 */
int bh_cli_parse(const struct bh_command *command, const struct bh_option *options,
		 size_t option_count, int *argc, char **argv);

/* -o is what people type; options are read by their long names: changes it to --output. */
void bh_cli_output_option(int argc, char **argv);

/* Prints "backhop: message", frees the error, returns the exit status that belongs to it. */
int bh_cli_fail(struct bh_error *error);
/* The same for a fault in the command line. */
int bh_cli_usage(const struct bh_command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A line on stderr, "backhop: …". */
void bh_cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Decimal, the whole text, no sign: the command line's numbers. Non-zero if it was one. */
int bh_cli_parse_u64(const char *text, uint64_t *value_ret);

/* Flushes stdout and says so if what was printed could not be written (a full disk). */
int bh_cli_finish(int status);

#endif
