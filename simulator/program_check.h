/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks for a scenario's programs before the run starts, so that a misspelt name is bad input and
 * not a failed run. Called by simulator/sim.c.
 */
#ifndef BH_SIMULATOR_PROGRAM_CHECK_H
#define BH_SIMULATOR_PROGRAM_CHECK_H

#include "posix/inputs.h"
#include "simulator/scenario.h"

/* PATH of every program, unless its environment sets another. */
#define BH_PROGRAM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Refuses the first program that can't be there when it starts, with node, file and line. Asks
 * inputs in an order that depends on the scenario only. */
struct bh_error *bh_programs_check(const struct bh_scenario *scenario, struct bh_inputs *inputs);

#endif
