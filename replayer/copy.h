/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A copy: one process of the replay, stopped, and the position at which it is. All copies are forks
 * of one another; checkpoints are copies that nobody moves, the timeline's current one is a copy
 * that runs. A copy can only go forward. Called by checkpoint.c, timeline.c and search.c.
 *
 * How instructions are counted: one executed under the trap flag is one, with these rules, so that
 * the count is the same however a position is reached:
 *  - the NOP at a function entry of a kernel image begins the next tick: instruction 0 is behind
 * it;
 *  - a string instruction with a rep prefix is one instruction, all its turns together;
 *  - an instruction that raises a signal (a system call of a program, a fault with a fix-up, rdtsc)
 *    is one, and ends at the first instruction of the handler; sigreturn is one, and ends where the
 *    program goes on;
 *  - the int3 of bh_gate_trap(), which is always taken while instructions are counted, begins the
 *    next event: instruction 0 is behind it.
 */
#ifndef BH_REPLAYER_COPY_H
#define BH_REPLAYER_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "common/error.h"
#include "replayer/engine.h"
#include "replayer/ptrace.h"
#include "replayer/ticks.h"
#include "simulator/gate.h"

/* A kernel image in the tracee whose function entries are ticks. */
struct bh_tick_region {
	uint64_t base;
	const struct bh_tick_text *text;
	struct bh_code_map *code; /* the same text, for probes inside functions; or NULL */
};

struct bh_copy;
struct bh_blocks;
struct bh_code_map;
struct bh_probe_set;

/* What all copies have in common; must outlive them. */
struct bh_space {
	void (*after_fork)(void);	/* run in each new copy; may be NULL */
	struct bh_tick_region *regions; /* ascending by base; fixed before counting begins */
	size_t region_count;
	struct bh_blocks *blocks; /* of the programs, for strides; NULL: none is taken */
	int (*poll)(void *arg);	  /* asked during long runs; non-zero: stop. May be NULL */
	void *poll_arg;
	int is_sparse; /* numbers of events needn't follow one another */
	/* See struct bh_timeline_config. */
	struct bh_error *(*explain_exit)(void *arg, struct bh_copy *copy);
	void *explain_arg;
};

enum bh_end_kind {
	BH_END_STEP,	/* one instruction was executed */
	BH_END_EVENT,	/* the event in limits began: exact */
	BH_END_TICK,	/* the tick in limits began: exact */
	BH_END_PLANTED, /* at a planted address, not yet executed */
	BH_END_WATCH,	/* a debug register fired; the instruction is done */
	BH_END_GATE,	/* bh_gate_trap() called for another reason (the rerun diverged) */
	BH_END_EXITING, /* the process is about to end; it can be looked at, not moved */
	BH_END_POLL,	/* poll asked to stop and no event began for seconds: position unknown */
};

struct bh_end {
	enum bh_end_kind kind;
	unsigned int watch_hits; /* bits of the debug registers that fired */
	int signal;		 /* EXITING: the fatal one, or 0 */
	int is_interrupted; /* poll asked to stop; with EVENT: at an earlier one than asked for */
	uint64_t ticks;	    /* EVENT, while counting: ticks of the event before */
};

struct bh_limits {
	uint64_t stop_event; /* 0: none */
	uint64_t stop_tick;  /* 0: none; needs counting */
	int skip_planted;    /* start by executing the instruction here, planted or not */
	const uint64_t *watch_addresses; /* four; may be NULL when watch_dr7 is 0 */
	uint64_t watch_dr7;
	/* Installed breakpoints that the process decides about itself; not while ticks are counted
	 * or anything is watched. May be NULL. */
	const struct bh_probe_set *probes;
};

struct bh_copy {
	const struct bh_space *space;
	struct bh_tracee *tracee;
	struct bh_position position;
	int is_exact;	 /* position.instruction is known */
	int is_counting; /* ticks are counted */
	/* What it takes to come here from the beginning, in CPU time and stops: only to choose
	 * checkpoints. Not the time by the clock, in which other work may have had the CPU. */
	uint64_t cost_ns;
	uint64_t run_start_ns;	    /* its CPU time when it began to run last */
	uint64_t pages;		    /* a checkpoint's own ones, about */
	struct bh_gate gate;	    /* as it was after so many resumes; see bh_copy_gate() */
	uint64_t gate_resumes;	    /* 0: it wasn't read */
	struct bh_over *over;	    /* see copy_over.c; or NULL */
	struct bh_planted *planted; /* ascending by address */
	size_t planted_count;
	uint64_t written_stop_event;	  /* what bh_gate.stop_event holds */
	uint64_t probe_serial;		  /* of the probe set whose stubs it has */
	int are_probes_lifted;		  /* they are, but no jump may lead to them */
	const struct bh_probe_set *armed; /* whose jumps are in its text now */
	int is_over;			  /* EXITING was reported */
};

/* Forks the first copy, which calls run(arg), and brings it to the beginning of this event, the
 * first that begins in it. */
struct bh_error *bh_copy_start_at(const struct bh_space *space, void (*run)(void *arg), void *arg,
				  uint64_t event, struct bh_copy **copy_ret);
struct bh_error *bh_copy_fork(struct bh_copy *copy, struct bh_copy **copy_ret);
void bh_copy_destroy(struct bh_copy *copy);

/* Switches the counting of ticks; on only at an exact position with tick 0. */
struct bh_error *bh_copy_count(struct bh_copy *copy, int is_counting);
/* Plants int3 at these addresses (ascending) and nowhere else; those that aren't mapped are left
 * out. missing_ret, if not NULL, is their number. */
struct bh_error *bh_copy_plant(struct bh_copy *copy, const uint64_t *addresses, size_t count,
			       size_t *missing_ret);
/* Would it run with these probes? */
int bh_copy_uses_probes(const struct bh_copy *copy, const struct bh_limits *limits);
/* Where the jumps of probes are, there is the text again: before the set is filled anew. Whatever
 * isn't a run with the same probes does it by itself. */
void bh_copy_disarm(struct bh_copy *copy);
/* Maps memory in the process. */
struct bh_error *bh_copy_map(struct bh_copy *copy, const struct bh_map_request *requests,
			     size_t count);
/* The region whose exchanged text holds address, or NULL. */
const struct bh_tick_region *bh_space_region(const struct bh_space *space, uint64_t address);
int bh_copy_is_planted(const struct bh_copy *copy, uint64_t address);

/* Runs until something in limits, or something planted; from the last position of an event only to
 * the beginning of the next one. */
struct bh_error *bh_copy_run(struct bh_copy *copy, const struct bh_limits *limits,
			     struct bh_end *end_ret);
/* The same in two parts, from the beginning of an event, not counting: meanwhile others may be
 * moved, and nothing else be done with this one than to destroy it. */
struct bh_error *bh_copy_run_begin(struct bh_copy *copy, const struct bh_limits *limits);
struct bh_error *bh_copy_run_end(struct bh_copy *copy, const struct bh_limits *limits,
				 struct bh_end *end_ret);
/* One instruction from an exact position, counting; ignores what is planted. */
struct bh_error *bh_copy_step(struct bh_copy *copy, const struct bh_limits *limits,
			      struct bh_end *end_ret);

/* One or more instructions, at most budget, and not beyond address (0: none): faster by far where a
 * program computes. The same positions as single steps lead to. */
struct bh_error *bh_copy_stride(struct bh_copy *copy, const struct bh_limits *limits,
				uint64_t budget, uint64_t address, struct bh_end *end_ret);
/* is_program says whether there is a program's text at an address: no entries and no gate. */
struct bh_error *bh_blocks_create(int (*is_program)(uint64_t address),
				  struct bh_blocks **blocks_ret);
void bh_blocks_destroy(struct bh_blocks *blocks);

/* Memory as the program sees it. Returns the number of bytes read from the start of the range. */
size_t bh_copy_read(struct bh_copy *copy, uint64_t address, void *bytes_ret, size_t length);
/* The simulation's gate, read once a stop; NULL if it can't be. */
const struct bh_gate *bh_copy_gate(struct bh_copy *copy);
/* For PEEKing at one word; 0 if it can't be read. */
uint64_t bh_copy_read_u64(struct bh_copy *copy, uint64_t address);
struct user_regs_struct *bh_copy_registers(struct bh_copy *copy);
uint64_t bh_copy_pc(struct bh_copy *copy);
/* Is the next instruction a function entry, or the one that begins the next event? */
int bh_copy_is_at_entry(struct bh_copy *copy);
int bh_copy_is_at_gate(struct bh_copy *copy);

int bh_position_compare(struct bh_position left, struct bh_position right);

#endif
