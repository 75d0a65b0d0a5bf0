/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a run came to, for people and for programs: shared by `run` and `record`; `record` also
 * stores the JSON in the trace, where `info` finds it.
 */
#ifndef BH_CLI_SUMMARY_H
#define BH_CLI_SUMMARY_H

#include <stdio.h>

#include "simulator/sim.h"

struct bh_summary {
	const struct bh_scenario *scenario;
	const struct bh_sim_result *result;
	double wall_s;	     /* host seconds of the whole command so far */
	const char *trace;   /* path of the trace, or NULL */
	int is_reproducible; /* leave out what differs between recordings of the same run:
			      * wall_s, boot_s, trace (for the trace itself) */
};

/* The object of DESIGN.md section 8, without a newline; the caller frees it. NULL: out of memory.
 */
char *bh_summary_json(const struct bh_summary *summary);
/* The same for a person, a few lines; failures last. */
void bh_summary_print(const struct bh_summary *summary, FILE *stream);

/* 0 when the run passed, else 1 (also when it was interrupted). */
int bh_summary_exit_status(const struct bh_summary *summary);

/* Prints a result to stdout as a person or (is_json) a program asked for it; quiet: not at all. */
struct bh_error *bh_summary_show(const struct bh_summary *summary, int is_json, int is_quiet);

#endif
