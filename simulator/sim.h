/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A run: nodes, links and the event queue under one virtual clock. Driven by recorder/, replayer/
 * and `backhop run`; they differ only in the observer and the inputs they hand in.
 */
#ifndef BH_SIMULATOR_SIM_H
#define BH_SIMULATOR_SIM_H

#include "common/error.h"
#include "common/event.h"
#include "simulator/gate.h"
#include "simulator/scenario.h"
#include "simulator/terminal.h"

struct bh_sim;
struct bh_inputs;
struct bh_posix_node;
struct bh_build;
struct bh_feed;

/* Hears of everything that happens; callbacks may be NULL. They may run on a kernel task's stack
 * inside a node: shallow, no blocking, no file output except in `between`. */
struct bh_sim_observer {
	void *arg;
	/* An event begins; the digest in bh_gate already includes it. */
	void (*event)(void *arg, const struct bh_event *event);
	/* The frame of a TX event, before it goes on the wire (valid during the call). The observer
	 * of a test may change bytes (a planted fault); then the hash in the event is of the
	 * result. */
	void (*frame)(void *arg, const struct bh_event *event, void *data, size_t length);
	/* The same moment, after `frame`, with the lineage as the node's kernel gave it (see
	 * simulator/lineage.h); of a frame that came over no link its packet is a mark that whoever
	 * observes the run may have put on the buffer, else 0. */
	void (*sent)(void *arg, const struct bh_event *event, const void *data, size_t length,
		     uint64_t lineage);
	/* The frame of an RX event, which is about to begin. */
	void (*arrived)(void *arg, uint32_t node, const void *data, size_t length);
	/* The node gets a number that depends on other nodes, before its next event: for a feed. */
	void (*outside)(void *arg, uint32_t node, uint64_t value);
	/* The buffer of a DROP event, which is about to begin, has this lineage. */
	void (*dropped)(void *arg, const struct bh_event *event, uint64_t lineage);
	/* Bytes for files-<node>/<path>, appended ("var/log/kern.log", "var/log/3/stdout"). */
	void (*output)(void *arg, uint32_t node, const char *path, const void *data, size_t length);
	/* The run is over, or the node's memory is about to be given back: what programs changed in
	 * its files can be had from posix, see bh_posix_node_layer_walk(). On the simulator's own
	 * stack. */
	void (*files)(void *arg, uint32_t node, struct bh_posix_node *posix);
	/* Called on the simulator's own stack between two events: the place to flush. Returning
	 * non-zero ends the run (interrupted). */
	int (*between)(void *arg);
};

struct bh_sim_config {
	const struct bh_scenario *scenario;
	/* The functions of a scenario that is a C program (simulator/build.h); NULL: a file. */
	const struct bh_build *build;
	/* A program with a terminal besides those of the scenario; NULL: none. */
	const struct bh_terminal *terminal;
	struct bh_inputs *inputs;
	/* Not NULL: only this node exists and runs, at the numbers of the events of the run that
	 * the feed (simulator/feed.h) is of. Not for scenarios that are programs. */
	struct bh_feed *feed;
	/* Path of the kernel image for a version ("6.1" -> ".../image"); the result is copied. */
	struct bh_error *(*find_kernel)(void *arg, const char *version, char **path_ret);
	void *find_kernel_arg;
	/* Looks up functions and lines of kernel traces of failures, when the run is over. */
	int describes_failures;
	/* Host seconds without an event after which a node that has the CPU is given up and the run
	 * ends as failed; 0: never. For live runs. */
	unsigned int spin_limit_s;
	struct bh_sim_observer observer;
};

struct bh_process_result {
	uint32_t node;
	int pid;       /* 0: never started */
	char *path;    /* argv[0] */
	char *command; /* argv joined by blanks */
	int ended;
	int exit_status; /* valid if ended and signal == 0 */
	int signal;	 /* 0: not killed by one */
	uint64_t start_ns, end_ns;
};

struct bh_failure {
	char *what;    /* "exit", "setup", "panic", "bug", "expectation", "scenario", … */
	uint32_t node; /* or BH_NO_NODE */
	uint64_t vtime_ns;
	uint64_t event; /* the event to go to */
	char *detail;	/* one sentence */
	/* What a kernel was doing that fails, or whose program does, innermost first: offsets in
	 * its image, then lines for the program. And both as text, NULL-terminated; NULL: no trace
	 * ("nf_hook_slow+0x31 (net/netfilter/core.c:614)", "main+0x12 (x.c:3) in /usr/bin/x"). */
	uint64_t *trace;
	size_t trace_count;
	char *program_trace; /* each line ends in a newline */
	char **backtrace;
};

struct bh_sim_result {
	uint64_t events, frames, virtual_ns, digest;
	uint64_t *node_digests; /* one per node: the events of that node only */
	int is_interrupted;	/* observer.between ended the run */
	int is_abandoned;	/* a node never gave the CPU back: there is no STOP event */
	double boot_s;		/* host seconds until all nodes idled once; for print only */
	struct bh_process_result *processes;
	size_t process_count;
	struct bh_failure *failures; /* none: the run passed */
	size_t failure_count;
};

struct bh_error *bh_sim_create(const struct bh_sim_config *config, struct bh_sim **sim_ret);
/* Runs to the end. The result is valid until bh_sim_destroy(). */
struct bh_error *bh_sim_run(struct bh_sim *sim, const struct bh_sim_result **result_ret);
/*
 * In a process made of a snapshot of one that ran sim, taken in its observer's between(): another
 * observer hears of what follows, then the run goes on.
 */
struct bh_error *bh_sim_take_over(struct bh_sim *sim, const struct bh_sim_observer *observer);
struct bh_error *bh_sim_go_on(struct bh_sim *sim, const struct bh_sim_result **result_ret);
void bh_sim_destroy(struct bh_sim *sim);

/* All frames of the run. */
struct bh_frame_pool;
struct bh_frame_pool *bh_sim_frames(struct bh_sim *sim);

size_t bh_sim_node_count(const struct bh_sim *sim);
const char *bh_sim_node_name(const struct bh_sim *sim, uint32_t node);
/* The node of kernel-lib/node.h, for the replayer: image, task layout, addresses. */
struct bh_node *bh_sim_node(const struct bh_sim *sim, uint32_t node);
const struct bh_scenario *bh_sim_scenario(const struct bh_sim *sim);

#endif
