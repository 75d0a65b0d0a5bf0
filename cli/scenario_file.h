/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a scenario from a file for `run` and `record`. */
#ifndef BH_CLI_SCENARIO_FILE_H
#define BH_CLI_SCENARIO_FILE_H

#include "simulator/scenario.h"

struct bh_scenario_file {
	char *text; /* the bytes of the file: an input of the run */
	size_t length;
	struct bh_scenario *scenario;
};

/* seed replaces the scenario's; NULL keeps it. On success the caller closes the file. */
struct bh_error *bh_scenario_file_open(const char *path, const char *seed,
				       struct bh_scenario_file *file_ret);
void bh_scenario_file_close(struct bh_scenario_file *file);

#endif
