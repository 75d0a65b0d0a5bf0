/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options and messages of all commands: see cli.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/suggest.h"
#include "simulator/build.h"

#define OPTIONS_MAX 24u

static char *const *arguments;

void bh_cli_arguments_keep(int argc, char **argv)
{
	char **kept = calloc((size_t)argc + 1, sizeof(*kept));

	for (int i = 0; kept && i < argc; i++)
		kept[i] = argv[i];
	arguments = kept;
}

char *const *bh_cli_arguments(void)
{
	return arguments;
}

const char *bh_cli_program_name(void)
{
	const char *name = arguments && bh_build_registered() ? arguments[0] : "backhop";
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

void bh_cli_note(const char *format, ...)
{
	va_list args;

	fputs("backhop: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int bh_cli_fail(struct bh_error *error)
{
	int status = bh_error_exit_status(error);

	bh_cli_note("%s", error->message);
	bh_error_free(error);
	return status;
}

int bh_cli_usage(const struct bh_command *command, const char *format, ...)
{
	va_list args;

	fputs("backhop: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (see: %s %s --help)\n", bh_cli_program_name(), command->name);
	return BH_EXIT_USAGE;
}

int bh_cli_finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	bh_cli_note("can't write to standard output");
	return BH_EXIT_MACHINE;
}

int bh_cli_parse_u64(const char *text, uint64_t *value_ret)
{
	uint64_t value = 0;

	if (!*text)
		return 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return 0;
	}
	*value_ret = value;
	return 1;
}

static int print_help(const struct bh_command *command)
{
	const char *file = strstr(command->synopsis, " SCENARIO");

	/* A program that is a scenario needs no file. */
	if (file && bh_build_registered())
		printf("usage: %s %s %.*s [-- ARGUMENT…]\n\n%s\n", bh_cli_program_name(),
		       command->name, (int)(file - command->synopsis), command->synopsis,
		       command->summary);
	else
		printf("usage: %s %s %s\n\n%s\n", bh_cli_program_name(), command->name,
		       command->synopsis, command->summary);
	if (command->help)
		printf("\n%s\n", command->help);
	return bh_cli_finish(BH_EXIT_PASS);
}

static int unknown_option(const struct bh_command *command, const struct bh_option *options,
			  size_t option_count, const char *name)
{
	const char *names[OPTIONS_MAX + 1] = {"help"};

	for (size_t i = 0; i < option_count && i < OPTIONS_MAX; i++)
		names[i + 1] = options[i].name;
	const char *nearest = bh_suggest(name, names, option_count + 1);

	if (nearest)
		return bh_cli_usage(command, "unknown option --%s; did you mean --%s?", name,
				    nearest);
	return bh_cli_usage(command, "unknown option --%s", name);
}

/* Takes one option; *index is moved over its value. Returns -1 to go on. */
static int take_option(const struct bh_command *command, const struct bh_option *options,
		       size_t option_count, int argc, char **argv, int *index)
{
	char name[64];
	const char *word = argv[*index] + 2;
	const char *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : strlen(word);

	snprintf(name, sizeof(name), "%.*s", (int)length, word);
	for (size_t i = 0; i < option_count; i++) {
		const struct bh_option *option = &options[i];

		if (strcmp(option->name, name) != 0)
			continue;
		if (option->flag && equals)
			return bh_cli_usage(command, "--%s takes no value", name);
		if (option->flag) {
			*option->flag = 1;
			return -1;
		}
		if (!equals && *index + 1 >= argc)
			return bh_cli_usage(command, "--%s wants a value", name);
		*option->value = equals ? equals + 1 : argv[++*index];
		return -1;
	}
	return unknown_option(command, options, option_count, name);
}

int bh_cli_parse(const struct bh_command *command, const struct bh_option *options,
		 size_t option_count, int *argc, char **argv)
{
	int kept = 1, is_ended = 0;

	for (int i = 1; i < *argc; i++) {
		int status = -1;

		if (is_ended || argv[i][0] != '-' || !argv[i][1]) {
			argv[kept++] = argv[i];
		} else if (strcmp(argv[i], "--") == 0) {
			is_ended = 1;
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			return print_help(command);
		} else if (argv[i][1] != '-') {
			return bh_cli_usage(command, "unknown option %s", argv[i]);
		} else {
			status = take_option(command, options, option_count, *argc, argv, &i);
		}
		if (status >= 0)
			return status;
	}
	argv[kept] = NULL;
	*argc = kept;
	return -1;
}

void bh_cli_output_option(int argc, char **argv)
{
	static char output[] = "--output";

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-o") == 0)
			argv[i++] = output;
}
