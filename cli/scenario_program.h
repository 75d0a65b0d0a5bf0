/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that are scenarios (include/backhop/scenario.h): they contain all commands of `backhop`
 * and run them on what they describe. A trace of one can be run again only by the same executable,
 * so a command that runs a trace hands over to it. Used by cmd_verify.c and cmd_replay.c.
 */
#ifndef BH_CLI_SCENARIO_PROGRAM_H
#define BH_CLI_SCENARIO_PROGRAM_H

#include "common/error.h"
#include "traces/trace.h"

/*
 * If the trace is of a program other than this one, executes that one with this command's line, and
 * doesn't return. An error: it is gone, has changed, or is no scenario's program.
 */
struct bh_error *bh_trace_hand_over(const struct bh_trace *trace);

#endif
