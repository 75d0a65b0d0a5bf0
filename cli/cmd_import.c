/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backhop import`: makes a scenario of a containerlab topology. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/clab.h"
#include "cli/cli.h"
#include "cli/scenario_file.h"
#include "common/file.h"
#include "simulator/units.h"

#define FILE_BYTES_MAX	  (16u << 20)
#define STOP_TIME_DEFAULT "60s"

static void print_note(void *arg, const char *sentence)
{
	bh_cli_note("%s", sentence);
}

static struct bh_error *write_result(const char *path, const char *yaml)
{
	FILE *stream = path ? fopen(path, "we") : stdout;

	if (!stream)
		return bh_error_new(BH_ERR_INPUT, "can't write %s: %s", path, strerror(errno));
	fputs(yaml, stream);
	if (path && fclose(stream))
		return bh_error_new(BH_ERR_MACHINE, "can't write %s: %s", path, strerror(errno));
	return NULL;
}

/* The folder of path, with a slash at its end, as an absolute path; NULL if it isn't there. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = NULL, *absolute, *result = NULL;

	if (asprintf(&folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".") < 0)
		return NULL;
	absolute = realpath(folder, NULL);
	free(folder);
	if (absolute && asprintf(&result, "%s/", absolute) < 0)
		result = NULL;
	free(absolute);
	return result;
}

/* Relative paths begin in the folder of the file that has them: in the scenario they stay as they
 * are if it lies in the same one. */
static struct bh_error *choose_prefix(const char *from, const char *to, char **prefix_ret)
{
	char *from_folder = folder_of(from), *to_folder = folder_of(to ? to : "./");

	if (from_folder && to_folder && strcmp(from_folder, to_folder) == 0)
		from_folder[0] = '\0';
	free(to_folder);
	*prefix_ret = from_folder ? from_folder : strdup("");
	return *prefix_ret ? NULL : bh_error_new(BH_ERR_NOMEM, "out of memory");
}

static struct bh_error *import(const char *from, const char *to, const char *stop_time)
{
	struct bh_clab_options options = {.stop_time = stop_time, .note = print_note};
	char *prefix;
	uint64_t stop_ns;
	uint8_t *bytes;
	size_t length;
	char *yaml;
	struct bh_error *error = bh_parse_duration(stop_time, &stop_ns);

	if (error || stop_ns == 0) {
		struct bh_error *named = bh_error_new(BH_ERR_USAGE, "--stop-time: %s",
						      error ? error->message : "must not be 0");

		bh_error_free(error);
		return named;
	}
	BH_TRY(choose_prefix(from, to, &prefix));
	options.path_prefix = prefix;
	error = bh_file_read(from, "a topology of containerlab", FILE_BYTES_MAX, &bytes, &length);
	if (!error) {
		error = bh_clab_import((const char *)bytes, length, from, &options, &yaml);
		free(bytes);
	}
	free(prefix);
	BH_TRY(error);
	error = write_result(to, yaml);
	free(yaml);
	return error;
}

static int cmd_import(int argc, char **argv)
{
	const char *output = NULL, *stop_time = STOP_TIME_DEFAULT;
	const struct bh_option options[] = {{"output", NULL, &output},
					    {"stop-time", NULL, &stop_time}};

	bh_cli_output_option(argc, argv);
	int status = bh_cli_parse(&bh_command_import, options, 2, &argc, argv);

	if (status >= 0)
		return status;
	if (argc != 2)
		return bh_cli_usage(&bh_command_import,
				    argc < 2 ? "name a file of containerlab"
					     : "name one file, not %d",
				    argc - 1);
	struct bh_error *error = import(argv[1], output, stop_time);

	return error ? bh_cli_fail(error) : bh_cli_finish(BH_EXIT_PASS);
}

const struct bh_command bh_command_import = {
	.name = "import",
	.synopsis = "[-o FILE] [--stop-time TIME] FILE.clab.yml",
	.summary = "make a scenario of a containerlab topology",
	.help = "  -o, --output FILE  write the scenario there (default: standard output)\n"
		"  --stop-time TIME   when its run ends; containerlab has no such thing\n"
		"                     (default: 60s)\n\n"
		"For each thing that has no counterpart there is one sentence on standard "
		"error.\n\n"
		"Exit status: 0 the scenario was written, 2 bad input.",
	.run = cmd_import,
};
