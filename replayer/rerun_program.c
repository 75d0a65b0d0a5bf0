/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traces of scenarios that are C programs: the same executable describes the same scenario again,
 * and its functions are called again. See rerun.h; called by rerun.c and cli/.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "replayer/rerun.h"

#define PROGRAM_MAX   (1ul << 30)
#define ARGUMENTS_MAX 65536

const struct bh_trace_input *bh_trace_program(const struct bh_trace *trace)
{
	for (size_t i = 0; i < bh_trace_input_count(trace); i++)
		if (bh_trace_input(trace, i)->role == BH_TRACE_PROGRAM)
			return bh_trace_input(trace, i);
	return NULL;
}

const char *bh_program_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int bh_rerun_program_is_mine(const struct bh_trace_input *input)
{
	uint8_t hash[16], *bytes;
	size_t length;

	if (!bh_build_registered())
		return 0;
	struct bh_error *error = bh_file_read("/proc/self/exe", "the scenario's program",
					      PROGRAM_MAX, &bytes, &length);

	if (error) {
		bh_error_free(error);
		return 0;
	}
	bh_hash128(bytes, length, hash);
	free(bytes);
	return memcmp(hash, input->hash, sizeof(hash)) == 0;
}

/* argv, whose strings lie in the trace, except for its first one. */
static char **arguments_split(const struct bh_trace_input *input, int *count_ret)
{
	char **arguments = calloc(input->text_size + 2, sizeof(*arguments));
	const char *at = input->text, *end = at + input->text_size;
	int count = 1;

	if (!arguments)
		return NULL;
	arguments[0] = (char *)bh_program_name(input->name);
	for (; at < end; at += strlen(at) + 1)
		arguments[count++] = (char *)at;
	*count_ret = count;
	return arguments;
}

struct bh_error *bh_rerun_program_build(const struct bh_trace_input *program,
					const struct bh_trace_input *scenario,
					struct bh_build **build_ret)
{
	size_t length = 0;
	char *text = NULL;
	int count;

	if (!bh_rerun_program_is_mine(program))
		return bh_error_new(BH_ERR_INPUT,
				    "the trace was recorded from the program %s: only that one can "
				    "run it again",
				    program->name);
	if (program->text_size > ARGUMENTS_MAX)
		return bh_error_new(BH_ERR_INPUT, "the arguments of %s are too long",
				    program->name);
	char **arguments = arguments_split(program, &count);

	if (!arguments)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	struct bh_error *error =
		bh_build_create(bh_build_registered(), count, arguments, build_ret);

	free(arguments);
	BH_TRY(error);
	error = bh_build_yaml(*build_ret, &text, &length);
	if (!error && (length != scenario->text_size || memcmp(text, scenario->text, length) != 0))
		error = bh_error_new(BH_ERR_INPUT,
				     "%s describes another scenario than when the trace was "
				     "recorded, with the same arguments: its build function must "
				     "depend on nothing else",
				     program->name);
	free(text);
	if (error) {
		bh_build_destroy(*build_ret);
		*build_ret = NULL;
	}
	return error;
}
