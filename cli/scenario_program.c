/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What scenarios that are C programs describe, and handing over to them: see scenario_program.h. */
#include "cli/scenario_program.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/kernel_path.h"
#include "cli/scenario_file.h"
#include "common/file.h"
#include "common/hash.h"
#include "replayer/rerun.h"

#define PROGRAM_MAX (1ul << 30)

/* --- the scenario --- */

static struct bh_error *keep_arguments(struct bh_scenario_file *file, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		size_t length = strlen(argv[i]) + 1;
		char *larger = realloc(file->arguments, file->arguments_size + length);

		if (!larger)
			return bh_error_new(BH_ERR_NOMEM, "out of memory");
		file->arguments = larger;
		memcpy(larger + file->arguments_size, argv[i], length);
		file->arguments_size += length;
	}
	if (!file->arguments)
		file->arguments = calloc(1, 1);
	return file->arguments ? NULL : bh_error_new(BH_ERR_NOMEM, "out of memory");
}

static struct bh_error *fill(struct bh_scenario_file *file, int argc, char **argv)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length <= 0)
		return bh_error_new(BH_ERR_MACHINE, "/proc/self/exe can't be read: %s",
				    strerror(errno));
	path[length] = '\0';
	file->program = strdup(path);
	if (!file->program || asprintf(&file->name, "%s.yaml", bh_cli_program_name()) < 0)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	BH_TRY(keep_arguments(file, argc, argv));
	/* The same name as in a replay: what is built must not depend on how it was called. */
	argv[0] = (char *)bh_program_name(file->program);
	BH_TRY(bh_build_create(bh_build_registered(), argc, argv, &file->build));
	BH_TRY(bh_build_yaml(file->build, &file->text, &file->length));
	return bh_scenario_parse_yaml(file->text, file->length, file->name, &file->scenario);
}

struct bh_error *bh_scenario_program_open(int argc, char **argv, const char *seed,
					  struct bh_scenario_file *file_ret)
{
	struct bh_scenario_file file = {0};
	uint64_t seed_value = 0;

	if (seed && !bh_cli_parse_u64(seed, &seed_value))
		return bh_error_new(BH_ERR_USAGE, "--seed wants a whole number, not \"%s\"", seed);
	struct bh_error *error = fill(&file, argc, argv);

	if (error) {
		bh_scenario_file_close(&file);
		return error;
	}
	if (seed)
		file.scenario->seed = seed_value;
	*file_ret = file;
	return NULL;
}

/* --- handing over --- */

/* This program's own copy of the text stands between other bytes. */
static int has_mark(const uint8_t *bytes, size_t length)
{
	static const char mark[] = BH_SCENARIO_PROGRAM_MARK;
	const size_t size = sizeof(mark) - 1;
	const uint8_t *at = bytes, *end = bytes + length;

	while ((at = memmem(at, (size_t)(end - at), mark, size))) {
		if (at > bytes && at[-1] == '\n' && at + size < end && at[size] == '\n')
			return 1;
		at++;
	}
	return 0;
}

static struct bh_error *check_program(const struct bh_trace_input *input)
{
	uint8_t hash[16], *bytes;
	size_t length;

	if (access(input->name, X_OK))
		return bh_error_new(BH_ERR_INPUT,
				    "the trace was recorded from the program %s, which is gone "
				    "(%s): put it back, or record the run again",
				    input->name, strerror(errno));
	BH_TRY(bh_file_read(input->name, "the scenario's program", PROGRAM_MAX, &bytes, &length));
	bh_hash128(bytes, length, hash);
	int is_scenario = has_mark(bytes, length);

	free(bytes);
	if (memcmp(hash, input->hash, sizeof(hash)))
		return bh_error_new(BH_ERR_INPUT,
				    "%s: not the program that the trace was recorded from: it has "
				    "changed since; put that one there, or record the run again",
				    input->name);
	if (is_scenario)
		return NULL;
	return bh_error_new(BH_ERR_INPUT,
			    "the trace says that it was recorded from %s, which is no scenario's "
			    "program: do not trust it",
			    input->name);
}

struct bh_error *bh_trace_hand_over(const struct bh_trace *trace)
{
	const struct bh_trace_input *input = bh_trace_program(trace);

	if (!input || bh_rerun_program_is_mine(input))
		return NULL;
	BH_TRY(check_program(input));
	execv(input->name, bh_cli_arguments());
	return bh_error_new(BH_ERR_INPUT, "%s: can't be executed: %s", input->name,
			    strerror(errno));
}

/* --- the command --- */

static int cmd_yaml(int argc, char **argv)
{
	struct bh_scenario_file file;
	int status = bh_cli_parse(&bh_command_yaml, NULL, 0, &argc, argv);

	if (status >= 0)
		return status;
	struct bh_error *error = bh_scenario_program_open(argc, argv, NULL, &file);

	if (error)
		return bh_cli_fail(error);
	fwrite(file.text, 1, file.length, stdout);
	bh_scenario_file_close(&file);
	return bh_cli_finish(BH_EXIT_PASS);
}

const struct bh_command bh_command_yaml = {
	.name = "yaml",
	.synopsis = "[-- ARGUMENT…]",
	.summary = "print the scenario of this program as YAML, without its functions",
	.run = cmd_yaml,
};
