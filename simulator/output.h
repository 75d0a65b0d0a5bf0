/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes what nodes put out below DIRECTORY/files-<node>/: kernel logs, the output of programs, and
 * at the end what programs changed in the node's files. `run` and `record` plug it into
 * bh_sim_observer: output appends to memory only (it is called on stacks inside a node), flush is
 * called between events and at the end.
 */
#ifndef BH_SIMULATOR_OUTPUT_H
#define BH_SIMULATOR_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "simulator/scenario.h"

struct bh_inputs;
struct bh_output;
struct bh_posix_node;

/* Removes files-<node>/var/log of an earlier run for every node of the scenario, and the files that
 * it copied out. directory must exist. */
struct bh_error *bh_output_create(const char *directory, const struct bh_scenario *scenario,
				  struct bh_output **output_ret);
/* Keeps files-<node>/ below directory from the nodes of a run that will write them. */
struct bh_error *bh_output_hide(const char *directory, const struct bh_scenario *scenario,
				struct bh_inputs *inputs);
/* For bh_sim_observer.output, with the struct bh_output as arg. path is relative to the node's
 * folder and can't leave it. Errors are kept for the next flush. */
void bh_output_append(void *output, uint32_t node, const char *path, const void *data,
		      size_t length);
/* Copies what programs changed in the node's files to files-<node>/, and a list of it to
 * files-<node>/var/log/layer, by which the next run finds what to remove. */
struct bh_error *bh_output_files(struct bh_output *output, uint32_t node,
				 struct bh_posix_node *posix);
/* Writes out if much is waiting, or all if is_last. */
struct bh_error *bh_output_flush(struct bh_output *output, int is_last);
/* Takes NULL; what isn't flushed is lost. */
void bh_output_destroy(struct bh_output *output);

#endif
