/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenario files from disk: see scenario_file.h. */
#include "cli/scenario_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

#define FILE_BYTES_MAX (16u << 20)

static struct bh_error *read_whole(const char *path, FILE *stream, char **text_ret,
				   size_t *length_ret)
{
	size_t length = 0, capacity = 65536;
	char *text = malloc(capacity + 1);

	while (text && length <= FILE_BYTES_MAX) {
		size_t part = fread(text + length, 1, capacity - length, stream);

		length += part;
		if (part == 0)
			break;
		if (length == capacity) {
			char *larger = realloc(text, capacity * 2 + 1);

			if (!larger)
				free(text);
			text = larger;
			capacity *= 2;
		}
	}
	if (!text)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	if (ferror(stream) || length > FILE_BYTES_MAX) {
		free(text);
		return bh_error_new(BH_ERR_INPUT, "%s: %s", path,
				    ferror(stream) ? "can't be read"
						   : "is longer than 16 MiB: no scenario is");
	}
	text[length] = '\0';
	*text_ret = text;
	*length_ret = length;
	return NULL;
}

static struct bh_error *read_file(const char *path, char **text_ret, size_t *length_ret)
{
	struct stat status;
	FILE *stream = fopen(path, "re");

	if (!stream)
		return bh_error_new(BH_ERR_INPUT, "can't open the scenario %s: %s", path,
				    strerror(errno));
	if (fstat(fileno(stream), &status) == 0 && S_ISDIR(status.st_mode)) {
		fclose(stream);
		return bh_error_new(BH_ERR_INPUT, "%s is a folder; name a scenario file", path);
	}
	struct bh_error *error = read_whole(path, stream, text_ret, length_ret);

	fclose(stream);
	return error;
}

struct bh_error *bh_scenario_file_open(const char *path, const char *seed,
				       struct bh_scenario_file *file_ret)
{
	struct bh_scenario_file file = {0};
	uint64_t seed_value = 0;

	if (seed && !bh_cli_parse_u64(seed, &seed_value))
		return bh_error_new(BH_ERR_USAGE, "--seed wants a whole number, not \"%s\"", seed);
	BH_TRY(read_file(path, &file.text, &file.length));
	struct bh_error *error =
		bh_scenario_parse_yaml(file.text, file.length, path, &file.scenario);

	if (error) {
		free(file.text);
		return error;
	}
	if (seed)
		file.scenario->seed = seed_value;
	file.name = strdup(path);
	if (!file.name) {
		bh_scenario_file_close(&file);
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	*file_ret = file;
	return NULL;
}

int bh_scenario_arguments_check(const struct bh_command *command, int argc)
{
	if (bh_build_registered() || argc == 2)
		return -1;
	return bh_cli_usage(command,
			    argc < 2 ? "name a scenario file" : "name one scenario file, not %d",
			    argc - 1);
}

struct bh_error *bh_scenario_arguments_open(int argc, char **argv, const char *seed,
					    struct bh_scenario_file *file_ret)
{
	if (bh_build_registered())
		return bh_scenario_program_open(argc, argv, seed, file_ret);
	return bh_scenario_file_open(argv[1], seed, file_ret);
}

void bh_scenario_file_close(struct bh_scenario_file *file)
{
	bh_scenario_destroy(file->scenario);
	bh_build_destroy(file->build);
	free(file->text);
	free(file->name);
	free(file->program);
	free(file->arguments);
	memset(file, 0, sizeof(*file));
}
