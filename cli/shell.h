/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A shell on a node, on the terminal from which backhop was started: `run --shell` and
 * `record --shell`. See simulator/terminal.h for how a run takes its input.
 */
#ifndef BH_CLI_SHELL_H
#define BH_CLI_SHELL_H

#include "simulator/scenario.h"
#include "simulator/terminal.h"

struct bh_shell;

struct bh_shell_options {
	const char *node;    /* NULL: no shell */
	const char *time;    /* "still" or "wall"; NULL: wall on a terminal, else still */
	const char *start;   /* "12s"; NULL: 0 */
	const char *program; /* NULL: /bin/bash, or /bin/sh */
};

/* *shell_ret is NULL if there is to be none. */
struct bh_error *bh_shell_create(const struct bh_shell_options *options,
				 const struct bh_scenario *scenario, struct bh_shell **shell_ret);
/* For bh_sim_config and bh_recorder_config; takes NULL. */
const struct bh_terminal *bh_shell_terminal(struct bh_shell *shell);
/* Gives the terminal back as it was; takes NULL. */
void bh_shell_destroy(struct bh_shell *shell);

#endif
