/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recording and replaying with rr: see rr.h. */
#include "cli/rr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/kernel_path.h"
#include "cli/machine.h"

/* What `backhop doctor` finds of rr. */
static struct bh_error *check(const char *what)
{
	struct bh_checks checks = {0};

	bh_checks_rr(&checks);
	if (checks.count && checks.list[0].state == BH_CHECK_OK)
		return NULL;
	return bh_error_new(BH_ERR_MACHINE, "rr can't %s here, it is %s; %s", what,
			    checks.count ? checks.list[0].detail : "not known",
			    strcmp(what, "record") == 0
				    ? "record without --rr, which needs neither rr nor counters"
				    : "replay it where rr runs");
}

/* "--rr" is taken out, and so is the output with its value, which is the folder. */
static int is_for_run(char *const *arguments, size_t i)
{
	static const char *const valued[] = {"-o", "--output"};

	if (strcmp(arguments[i], "--rr") == 0 || strncmp(arguments[i], "--output=", 9) == 0)
		return 0;
	for (size_t k = 0; k < sizeof(valued) / sizeof(valued[0]); k++)
		if (!strcmp(arguments[i], valued[k]) || !strcmp(arguments[i - 1], valued[k]))
			return 0;
	return 1;
}

/* arguments begins with the program's name and "record". */
struct bh_error *bh_rr_record(char *const *arguments, const char *folder)
{
	size_t count = 0, given = 0;
	char executable[4096];
	const char **words;
	ssize_t length;

	BH_TRY(check("record"));
	while (arguments[given])
		given++;
	length = readlink("/proc/self/exe", executable, sizeof(executable) - 1);
	words = calloc(given + 8, sizeof(*words));
	if (!words || length < 0) {
		free(words);
		return bh_error_new(BH_ERR_MACHINE,
				    "rr can't be told what to record: no memory or no /proc");
	}
	executable[length] = '\0';
	words[count++] = "rr";
	words[count++] = "record";
	if (folder) {
		words[count++] = "--output-trace-dir";
		words[count++] = folder;
	}
	words[count++] = executable;
	words[count++] = "run";
	for (size_t i = 2; i < given; i++)
		if (is_for_run(arguments, i))
			words[count++] = arguments[i];
	execvp("rr", (char *const *)words);
	free(words);
	return bh_error_new(BH_ERR_MACHINE,
			    "rr can't be started: %s; install it with: apt-get install rr",
			    strerror(errno));
}

int bh_rr_is_recording(const char *path)
{
	char version[4096];
	struct stat stat_buffer;

	/* Every recording of rr 5 is a folder with these files. */
	return snprintf(version, sizeof(version), "%s/version", path) < (int)sizeof(version) &&
	       stat(path, &stat_buffer) == 0 && S_ISDIR(stat_buffer.st_mode) &&
	       access(version, R_OK) == 0;
}

struct bh_error *bh_rr_replay(const char *path, char *const *arguments)
{
	size_t count = 0, more = 0;
	const char **words;
	char *plugin;

	BH_TRY(check("replay"));
	plugin = bh_find_installed("gdb-plugin/load.py");
	while (arguments && arguments[more])
		more++;
	words = calloc(more + 8, sizeof(*words));
	if (!words || !plugin) {
		free(words);
		free(plugin);
		return bh_error_new(BH_ERR_MACHINE,
				    "the gdb plugin isn't beside the program nor in "
				    "../lib/backhop; install it with: make install");
	}
	words[count++] = "rr";
	words[count++] = "replay";
	words[count++] = path;
	words[count++] = "--";
	words[count++] = "-x";
	words[count++] = plugin;
	for (size_t i = 0; i < more; i++)
		words[count++] = arguments[i];
	execvp("rr", (char *const *)words);
	free(words);
	free(plugin);
	return bh_error_new(BH_ERR_MACHINE,
			    "rr can't be started: %s; install it with: apt-get install rr",
			    strerror(errno));
}
