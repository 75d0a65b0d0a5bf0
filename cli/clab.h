/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Topologies of containerlab (*.clab.yml) as scenarios: used by cmd_import.c. What has a
 * counterpart is translated, for everything else there is a note.
 */
#ifndef BH_CLI_CLAB_H
#define BH_CLI_CLAB_H

#include <stddef.h>

#include "common/error.h"

struct bh_clab_options {
	const char *stop_time; /* of the scenario; containerlab has none */
	/* Put in front of relative paths of this machine, such as "../lab/"; or "". */
	const char *path_prefix;
	/* Hears of each thing that has no counterpart, in one sentence with its place. */
	void (*note)(void *arg, const char *sentence);
	void *arg;
};

/*
 * text: the file's bytes, filename: for messages. The result is the YAML of a scenario, which has
 * been parsed; the caller frees it.
 */
struct bh_error *bh_clab_import(const char *text, size_t length, const char *filename,
				const struct bh_clab_options *options, char **yaml_ret);

#endif
