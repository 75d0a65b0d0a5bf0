/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node will see of the host's files, asked before it exists: its binds, and the folders that
 * it has for itself. For program_check.c, and for sim.c, which gives the binds to posix/.
 */
#ifndef BH_SIMULATOR_NODE_VIEW_H
#define BH_SIMULATOR_NODE_VIEW_H

#include "posix/inputs.h"
#include "simulator/scenario.h"

#define BH_VIEW_PATH_MAX 4096u

struct bh_node_view {
	struct bh_inputs *inputs;
	const struct bh_scenario *scenario;
	const struct bh_scenario_node *node; /* NULL: the host itself */
};

/* Follows symbolic links, also those of folders on the way. path (BH_VIEW_PATH_MAX bytes) is
 * absolute and becomes the path without links. NULL if there is nothing. Asks the table of inputs
 * in an order that depends only on its answers. */
const struct bh_input *bh_node_view_find(const struct bh_node_view *view, char *path);

/* The host path of the view's bind, without links; refused with file and line when it isn't there.
 * path_ret has BH_VIEW_PATH_MAX bytes. */
struct bh_error *bh_node_view_bind(const struct bh_node_view *view,
				   const struct bh_scenario_bind *bind, char *path_ret);

#endif
