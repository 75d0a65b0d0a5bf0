/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What output.c (logs, output of programs) and output_files.c (changed files) share. */
#ifndef BH_SIMULATOR_OUTPUT_INTERNAL_H
#define BH_SIMULATOR_OUTPUT_INTERNAL_H

#include "simulator/name_table.h"
#include "simulator/output.h"

struct output_file {
	char *path; /* relative to the output folder: "files-r1/var/log/kern.log" */
	char *bytes;
	size_t length, capacity;
	int is_begun; /* something of this run is in the file */
};

struct bh_output {
	int folder_fd;
	const struct bh_scenario *scenario;
	struct output_file *files;
	size_t file_count;
	struct bh_name_table by_path;
	size_t waiting_bytes;
	struct bh_error *error;
};

/* output.c */
/* Only names below a folder: no empty part, no "." or "..". */
int bh_output_path_is_safe(const char *path);
/* Opens the folder of path step by step, so that no link on the way leads out of the output
 * folder; makes what is missing. Returns a descriptor or -1 with errno. path is used up; name_ret:
 * its last part. */
int bh_output_parent_open(int folder_fd, char *path, const char **name_ret);
/* 0 or -1 with errno. */
int bh_output_write_all(int fd, const char *bytes, size_t length);

/* output_files.c: what an earlier run left, while its list is there. */
void bh_output_files_remove(const struct bh_output *output, size_t node);

#endif
