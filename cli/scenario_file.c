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
	*file_ret = file;
	return NULL;
}

void bh_scenario_file_close(struct bh_scenario_file *file)
{
	bh_scenario_destroy(file->scenario);
	free(file->text);
	memset(file, 0, sizeof(*file));
}
