/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scenarios that are C programs. Such a program describes its network as a YAML scenario does
 * (docs/scenario.md), and besides has functions of its own called while the run goes on: at virtual
 * times, when frames arrive or leave, when programs on nodes end. docs/c-interface.md explains how
 * to build and use one; examples/ has one.
 *
 *	static void build(struct bh_build *b, int argc, char **argv) { ... }
 *
 *	int main(int argc, char **argv)
 *	{
 *		return bh_scenario_main(argc, argv, build);
 *	}
 *
 * The program must be linked with the flags that `pkg-config --static --cflags --libs backhop`
 * gives: into one static executable, because exactly one range of code may call the host.
 *
 * Conventions
 * - Times are virtual nanoseconds since the start of the run; BH_MS() and the like make them.
 * - Nodes are numbered from 0 in the order in which they are made.
 * - Strings and structures given to a function are copied before it returns; pointers given to a
 *   callback are valid during the call only. `arg` is handed on as it is, and stays the caller's.
 * - A fault in the description (an unknown node, a bad quantity) is remembered: the first one is
 *   printed when build() has returned, nothing is run, and the exit status is 2. So the functions
 *   need no checks of their own. A fault at run time (starting a program on a node that isn't
 *   there) makes the run fail.
 * - A run is a function of its description and seed. So callbacks may only use what the run gives
 *   them: no clock, no random numbers, no environment of the host. bh_run_now_ns() and
 *   bh_run_random() are there instead. What doesn't keep to this shows as a divergence in
 *   `backhop verify`. In a replay, what callbacks print to stdout goes nowhere, what they
 *   print to stderr shows whenever the replay comes by.
 * - Callbacks that only look change nothing: the run's digest is the same without them. Functions
 *   that act are marked so: each makes an event of the kind "action".
 */
#ifndef BACKHOP_SCENARIO_H
#define BACKHOP_SCENARIO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BH_NS(n) ((uint64_t)(n))
#define BH_US(n) ((uint64_t)(n)*1000u)
#define BH_MS(n) ((uint64_t)(n)*1000000u)
#define BH_S(n)	 ((uint64_t)(n)*1000000000u)

/* No node: for failures that belong to none. */
#define BH_NODE_NONE UINT32_MAX

/* The description of a run, while build() makes it. */
struct bh_build;
/* The run, while it goes on; given to callbacks. */
struct bh_run;

/* --- the program --- */

/*
 * Describes the run. argv[0] is the program's name, the others are its own arguments. It is called
 * once for every run or replay and must describe the same for the same arguments: the arguments are
 * stored in a trace, nothing else is.
 */
typedef void bh_build_fn(struct bh_build *build, int argc, char **argv);

/*
 * The program's main: its command line is that of backhop(1), with the scenario built in.
 *
 *	PROGRAM [run] [OPTION...] [-- ARGUMENT...]
 *	PROGRAM record [-o FILE] [OPTION...] [-- ARGUMENT...]
 *	PROGRAM replay | verify | info | events ... FILE
 *	PROGRAM yaml [-- ARGUMENT...]        prints the description as a YAML scenario
 *
 * Returns the exit status of that command. Kernel images and gdb plugin are looked for where
 * backhop(1) says, then where the library was installed.
 */
int bh_scenario_main(int argc, char **argv, bh_build_fn *build);

/* --- describing: called from build() only --- */

/* The name shown in summaries and traces. Default: the program's name. */
void bh_build_name(struct bh_build *build, const char *name);
/* When the run ends; must be given. It ends earlier when all programs on nodes have ended and all
 * calls of bh_build_schedule() have been made. */
void bh_build_stop_time(struct bh_build *build, uint64_t stop_ns);
/* The seed of everything random. Default: 1. The option --seed wins. */
void bh_build_seed(struct bh_build *build, uint64_t seed);
/* Any key of `topology: defaults`, with its value in YAML: ("kernel", "\"6.12\""). */
void bh_build_default(struct bh_build *build, const char *key, const char *yaml);

/* A node; the result is its number. */
uint32_t bh_build_node(struct bh_build *build, const char *name);
/* Any key of a node that has no function of its own here, with its value in YAML: ("ram", "64MiB").
 */
void bh_build_node_set(struct bh_build *build, uint32_t node, const char *key, const char *yaml);
/* A sysctl ("net.ipv4.ip_forward", "1"), written before anything runs on the node. */
void bh_build_sysctl(struct bh_build *build, uint32_t node, const char *key, const char *value);
/* Shows a file or folder of this machine in another place: "HOST-PATH:NODE-PATH", with ":ro" behind
 * it if programs may not write there. A relative HOST-PATH begins in the folder of this program. */
void bh_build_bind(struct bh_build *build, uint32_t node, const char *bind);
/* A set-up line, split into words as a shell splits: run at time 0, one after the other; each must
 * exit with 0. */
void bh_build_exec(struct bh_build *build, uint32_t node, const char *command_line);

/* What a link does to frames. Zeroes are a perfect link. */
struct bh_link_options {
	uint64_t delay_ns;     /* propagation */
	uint64_t rate_bps;     /* bits a second; 0: infinitely fast */
	uint64_t loss_ppb;     /* frames lost, in 10^9 */
	uint32_t queue_frames; /* that may wait for the wire; 0: the default, 1000 */
	uint32_t mtu;	       /* bytes without the Ethernet header; 0: the default, 1500 */
	const char *more;      /* other keys of a link in YAML: "jitter: 2ms, duplicate: 1%" */
};

/* A link between two of "NODE:DEVICE". options may be NULL. */
void bh_build_link(struct bh_build *build, const char *end, const char *other_end,
		   const struct bh_link_options *options);
/* One entry of the top-level list `section` of a scenario ("events", "expect"), in YAML:
 * "at: 12s, link: \"r1:eth1\", state: down". */
void bh_build_entry(struct bh_build *build, const char *section, const char *yaml);

/* Says that the arguments are wrong: one sentence, shown after the program's name. The exit status
 * is 2. */
void bh_build_fail(struct bh_build *build, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* --- programs on nodes --- */

/* How a program ended; valid during the callback. */
struct bh_program_end {
	uint32_t node;
	int pid;	 /* in the node; 0: the program could not be started */
	int exit_status; /* 0 to 255; -1: it was killed by a signal, or could not be started */
	int signal;	 /* that killed it, else 0 */
	/* What it wrote to stdout itself (not its children), up to 1 MiB, with a zero behind it. */
	const char *output;
	size_t output_size; /* bytes */
};

typedef void bh_finished_fn(struct bh_run *run, const struct bh_program_end *end, void *arg);

/* A program to start. Zeroes stand for the defaults; path must be given. */
struct bh_program {
	const char *path;	 /* absolute, or a name that is found in PATH */
	const char *args;	 /* arguments in a line, split as a shell splits; or NULL */
	const char *const *argv; /* or a NULL-terminated list, taken as it is */
	uint64_t start_ns;	 /* from a callback: not earlier than now */
	const char *const
		*environment;	/* NULL-terminated "NAME=value", added to a small fixed one */
	const char *stdin_text; /* what it reads from stdin; NULL: nothing */
	uint32_t uid, gid;	/* default: root */
	int expected_exit;	/* the run fails if it exits with another status (0 to 255) */
	int must_end;		/* 1: the run fails if it hasn't ended at the end of the run */
	int must_be_running;	/* 1: the run fails if it has */
	const char *more;	/* other keys of a process in YAML */
	/* Called on the way from the program's end to the next event; or NULL. */
	bh_finished_fn *finished;
	void *arg;
};

/* Starts a program at its time. */
void bh_build_program(struct bh_build *build, uint32_t node, const struct bh_program *program);
/* `ip ARGUMENTS` at a time ("addr add 10.0.0.1/24 dev eth0"); the run fails if that exits with
 * another status than 0. */
void bh_build_ip(struct bh_build *build, uint32_t node, uint64_t at_ns, const char *arguments);
/* Writes a sysctl at a time; likewise. */
void bh_build_sysctl_at(struct bh_build *build, uint32_t node, uint64_t at_ns, const char *key,
			const char *value);

/* --- being called during the run --- */

typedef void bh_call_fn(struct bh_run *run, void *arg);

/* Calls `call` at a time, before whatever else happens then. The run goes on until then (if
 * stop_time lets it), even if all programs have ended. `call` may look and act. */
void bh_build_schedule(struct bh_build *build, uint64_t at_ns, bh_call_fn *call, void *arg);
/* The same for a call that only looks: it doesn't keep the run going, and isn't made if the run
 * ends before. Functions that act make the run fail when they are called from it. */
void bh_build_look(struct bh_build *build, uint64_t at_ns, bh_call_fn *call, void *arg);
/* Calls `call` at the end of the run, to decide whether it passed; it may only look and fail. */
void bh_build_at_end(struct bh_build *build, bh_call_fn *call, void *arg);

/* A frame at a device; valid during the callback. */
struct bh_frame_info {
	uint32_t node;
	const char *device;  /* "eth0" */
	int is_received;     /* 1: it arrives at the device, 0: the device sends it */
	uint64_t event;	     /* number of its event, for `goto` */
	uint64_t packet;     /* packet id: what it carries may cross many links */
	uint32_t hop;	     /* links that the packet has crossed */
	const uint8_t *data; /* from the Ethernet destination address on */
	size_t length;	     /* bytes, without frame check sequence */
};

/* Returns 0 to let the frame pass. Not 0 loses it (which acts: the event is of the kind "lost"): a
 * received one doesn't reach the node, a sent one not the link. It may look and fail, but call no
 * other function that acts. */
typedef int bh_frame_fn(struct bh_run *run, const struct bh_frame_info *frame, void *arg);

/* Calls `inspect` for each frame that "NODE:DEVICE" sends or receives. Several for one device are
 * called in the order in which they were given, until one loses the frame. */
void bh_build_inspect(struct bh_build *build, const char *device, bh_frame_fn *inspect, void *arg);

/* --- looking: called from callbacks only --- */

/* Virtual time. */
uint64_t bh_run_now_ns(const struct bh_run *run);
/* Number of the newest event, for `goto`. */
uint64_t bh_run_event(const struct bh_run *run);
uint32_t bh_run_node_count(const struct bh_run *run);
/* Valid as long as the run; NULL if there is no such node. */
const char *bh_run_node_name(const struct bh_run *run, uint32_t node);
/* Drawn from the run's seed, from a sequence of its own. */
uint64_t bh_run_random(struct bh_run *run);
/* Makes the run fail, with one sentence for the summary; node: the one concerned, or BH_NODE_NONE.
 * It goes on. */
void bh_run_fail(struct bh_run *run, uint32_t node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- acting: called from bh_call_fn of bh_build_schedule() and from bh_finished_fn --- */

/* Ends the run now. Programs that haven't ended are judged as at stop_time. */
void bh_run_stop(struct bh_run *run);
/* Schedules another call, not earlier than now. (This alone makes no event.) */
void bh_run_schedule(struct bh_run *run, uint64_t at_ns, bh_call_fn *call, void *arg);
/* Starts a program; at most 256 on each node may be started so. */
void bh_run_program(struct bh_run *run, uint32_t node, const struct bh_program *program);
/* As their counterparts above, now. */
void bh_run_ip(struct bh_run *run, uint32_t node, const char *arguments);
void bh_run_sysctl_set(struct bh_run *run, uint32_t node, const char *key, const char *value);

/* value: without the newline; NULL if the sysctl couldn't be read (which makes the run fail). */
typedef void bh_sysctl_fn(struct bh_run *run, uint32_t node, const char *value, void *arg);

/* Reads a sysctl now and calls `got` with its value, a little later in virtual time. */
void bh_run_sysctl_get(struct bh_run *run, uint32_t node, const char *key, bh_sysctl_fn *got,
		       void *arg);

#ifdef __cplusplus
}
#endif

#endif
