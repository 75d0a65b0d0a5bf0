/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a trace again: builds the scenario and the recorded inputs from it, refuses if a file or a
 * kernel image is no longer what was recorded, and drives a bh_sim whose observer compares every
 * event with the recorded one. Used by verify.c (in a confined child) and by the engine's tracee.
 *
 * The host forgets Syscall User Dispatch in a forked child (Linux, Documentation/admin-guide/
 * syscall-user-dispatch.rst), so call bh_rerun_prepare() in the process that runs, or switch it on
 * again there; bh_rerun_create() only reads, so it can be called before the fork, and then its
 * errors reach the user before anything has run.
 */
#ifndef BH_REPLAYER_RERUN_H
#define BH_REPLAYER_RERUN_H

#include "common/error.h"
#include "replayer/engine.h"
#include "simulator/build.h"
#include "simulator/sim.h"
#include "traces/trace.h"

struct bh_rerun;

struct bh_rerun_config {
	const struct bh_trace *trace; /* must outlive the rerun */
	/* As in sim.h. */
	struct bh_error *(*find_kernel)(void *arg, const char *version, char **path_ret);
	void *find_kernel_arg;
	/* Not 0: flips a byte of the frame of this TX event, to test that it is noticed. */
	uint64_t plant_event;
	/* Called once, when bh_rerun_report.diverged has just been set; it may be on a kernel
	 * task's stack inside a node. NULL: the run just ends before the next event of the queue.
	 * The engine's tracee passes bh_gate_trap(), and its tracer then reads the report. */
	void (*diverged)(void);
	/* Called once, when nothing more will be compared: at a divergence (after `diverged`) or
	 * after the last recorded event. It may be inside a node, and needn't return. NULL: the run
	 * goes on to its end or, in these cases, to the next place between two events of the queue,
	 * which never comes if a program runs without end. */
	void (*over)(void *arg);
	void *over_arg;
	/* Not NULL: its node runs alone, see struct bh_sim_config, and is compared with it. */
	struct bh_feed *feed;
	/* Hears the same as bh_sim_observer's functions of these names, after what was compared;
	 * each may be NULL. */
	const struct bh_rerun_listener *listener;
};

struct bh_rerun_listener {
	void *arg;
	void (*event)(void *arg, const struct bh_event *event);
	void (*sent)(void *arg, const struct bh_event *event, const void *data, size_t length,
		     uint64_t lineage);
	void (*arrived)(void *arg, uint32_t node, const void *data, size_t length);
	void (*outside)(void *arg, uint32_t node, uint64_t value);
	void (*dropped)(void *arg, const struct bh_event *event, uint64_t lineage);
	/* Not 0: the rerun ends here. */
	int (*between)(void *arg);
};

/*
 * Where a tracer reads how far the rerun got: like bh_gate, at the same address in the tracer and
 * in every process forked from it, and so are the strings that divergence.field points to.
 */
struct bh_rerun_report {
	volatile uint32_t diverged; /* not 0: divergence is valid */
	volatile uint32_t finished; /* not 0: the run is over, with or without a divergence */
	volatile uint64_t events;   /* events seen so far */
	volatile uint64_t compared; /* events found equal to the recorded ones so far */
	struct bh_divergence divergence;
};

extern struct bh_rerun_report bh_rerun_report;
/* divergence.field where it isn't the run that differs: the recorded events can't be unpacked. */
extern const char bh_rerun_unreadable[];

/* Reads scenario and inputs, checks every recorded file and kernel image against its hash. */
struct bh_error *bh_rerun_create(const struct bh_rerun_config *config, struct bh_rerun **rerun_ret);
/* A simulation that another process ran, up to an event: see bh_sim_take_over(). */
struct bh_rerun_origin {
	struct bh_sim *sim;
	struct bh_inputs *inputs; /* its live table */
	uint64_t event;		  /* the last one */
};

/* The same with that simulation, which goes on from there. Nothing is checked that was read by
 * then. Only for scenarios that are files, without a terminal. */
struct bh_error *bh_rerun_create_from(const struct bh_rerun_config *config,
				      const struct bh_rerun_origin *origin,
				      struct bh_rerun **rerun_ret);
/* Creates the simulation (nodes are mapped, none has run). */
struct bh_error *bh_rerun_prepare(struct bh_rerun *rerun);
/* Prepares if that is still to be done, and runs to the end, to the first divergence or, if the
 * trace is truncated, to its last event. A divergence is no error: it is in bh_rerun_report. */
struct bh_error *bh_rerun_run(struct bh_rerun *rerun);
void bh_rerun_destroy(struct bh_rerun *rerun);

/* --- traces of scenarios that are C programs: rerun_program.c --- */

/* On a line of its own in every such program, for bh_trace_hand_over() of cli/. */
#define BH_SCENARIO_PROGRAM_MARK "[backhop scenario program, version 1]"

/* What the trace says of the program; NULL: its scenario is a file. */
const struct bh_trace_input *bh_trace_program(const struct bh_trace *trace);
/* Whether this process runs that very program. */
int bh_rerun_program_is_mine(const struct bh_trace_input *input);
/* The last part of a path: what such a program gets as argv[0], however it was called. */
const char *bh_program_name(const char *path);
/* Describes the run again and compares it with the scenario in the trace. */
struct bh_error *bh_rerun_program_build(const struct bh_trace_input *program,
					const struct bh_trace_input *scenario,
					struct bh_build **build_ret);

/* --- traces with a terminal: rerun_terminal.c --- */

struct bh_rerun_terminal;

/* The recorded program and what was typed there, to be typed again at the recorded events; *ret is
 * NULL if the trace has none. find_event gives the recorded event of a number, or NULL. */
struct bh_error *bh_rerun_terminal_create(const struct bh_trace *trace,
					  const struct bh_event *(*find_event)(void *arg,
									       uint64_t number),
					  void *arg, struct bh_rerun_terminal **terminal_ret);
/* For bh_sim_config; takes NULL. */
const struct bh_terminal *bh_rerun_terminal_get(const struct bh_rerun_terminal *terminal);
/* Takes NULL. */
void bh_rerun_terminal_destroy(struct bh_rerun_terminal *terminal);

const struct bh_scenario *bh_rerun_scenario(const struct bh_rerun *rerun);
/* NULL before bh_rerun_prepare(). */
struct bh_sim *bh_rerun_sim(const struct bh_rerun *rerun);

#endif
