/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replay engine: runs a trace again in a confined child under ptrace and moves through it in
 * both directions. It knows nothing of gdb; replayer/gdb_server.c speaks the remote protocol on
 * top of it, tests drive it directly.
 *
 * A position is (event, tick, instruction): the newest event, function entries in kernel images
 * since it (the one-NOP entries of -fpatchable-function-entry, counted when the NOP is executed),
 * instructions executed since the last of these. Positions are totally ordered and the same in
 * every replay of the trace.
 *
 * A thread is a context of the simulated world: thread 1 is the simulator itself ("backhop"), and
 * every kernel task of a node (idle task, kernel thread, program thread) is one, named
 * "node/comm". Going back past a task's creation makes its thread vanish.
 */
#ifndef BH_REPLAYER_ENGINE_H
#define BH_REPLAYER_ENGINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "common/error.h"
#include "traces/trace.h"

struct bh_inputs;
struct bh_replay;
struct bh_sim;
struct bh_probe_condition; /* probe.h */
struct bh_scenario;

struct bh_position {
	uint64_t event, tick, instruction;
};

enum bh_direction { BH_FORWARD, BH_BACKWARD };

enum bh_stop_reason {
	BH_STOP_STEP,	    /* one instruction done */
	BH_STOP_BREAKPOINT, /* at a breakpoint whose condition holds; pc is its address */
	BH_STOP_WATCHPOINT, /* address is in stop.address; backwards: before the write */
	BH_STOP_GOTO,	    /* a seek arrived */
	BH_STOP_BEGIN,	    /* start of the recorded history */
	BH_STOP_END,	    /* end of the recorded history */
	BH_STOP_SIGNAL,	    /* the replayed process got a fatal signal: stop.signal */
	BH_STOP_INTERRUPT,  /* the caller's poll function asked to stop */
	BH_STOP_DIVERGED,   /* the replay differs from the trace: bh_replay_divergence() */
	BH_STOP_BRANCH_END, /* the process of the branch ended: back in the replay */
};

struct bh_stop {
	enum bh_stop_reason reason;
	uint64_t thread;  /* thread that has the CPU */
	uint64_t address; /* breakpoint or watched address */
	int signal;
};

struct bh_replay_thread {
	uint64_t id;   /* 1, or (node + 1) << 24 | pid + 1: stable over the whole trace */
	uint32_t node; /* BH_NO_NODE for thread 1 */
	int pid;
	char name[64];	/* "r1/ping-3" style: node name, slash, comm, '-', pid */
	int is_running; /* has the CPU now */
	int is_active;	/* could run, or is a program's: not a kernel thread that waits */
};

struct bh_replay_image {
	uint32_t node;
	uint64_t base, size;  /* mapped addresses */
	uint64_t dynamic;     /* l_ld for the library list */
	const char *path;     /* kernel image, or program/library file */
	const char *build_id; /* hex, or NULL */
	int is_kernel;
};

/* Starts the replay, stopped at event 1 (BH_STOP_BEGIN position). find_kernel as in sim.h. */
struct bh_error *bh_replay_create(const struct bh_trace *trace,
				  struct bh_error *(*find_kernel)(void *arg, const char *version,
								  char **path_ret),
				  void *find_kernel_arg, struct bh_replay **replay_ret);
struct bh_replay_options {
	/* As in simulator/sim.h. */
	struct bh_error *(*find_kernel)(void *arg, const char *version, char **path_ret);
	void *find_kernel_arg;
	const char *node;
	/* Where is kept what nodes got from the others; NULL:
	 * ${BACKHOP_CACHE:-~/.cache/backhop}/feeds.
	 */
	const char *cache_folder;
	/* The whole run is about to be run again (1), has been (0); may be NULL. */
	void (*passing)(int is_on);
};
/*
 * The same with one node alone, by its name: the others don't exist. What they gave it is in a
 * cache or, the first time, found by running all of them. Events and ticks are those of the whole
 * run; the history has only this node's events and the last one. Instructions of the simulator's
 * own, which count too, may be others than in the whole run.
 */
struct bh_error *bh_replay_create_alone(const struct bh_trace *trace,
					const struct bh_replay_options *options,
					struct bh_replay **replay_ret);
/* The node that is replayed alone; BH_NO_NODE: all are. */
uint32_t bh_replay_only_node(const struct bh_replay *replay);
/* Whether the event begins here: always, if all nodes are replayed. */
int bh_replay_has_event(const struct bh_replay *replay, uint64_t event);
/* The same as an error that names the nearest events; NULL if it does. */
struct bh_error *bh_replay_check_event(const struct bh_replay *replay, uint64_t event);
/* A place of the trace (bh_position_parse()) as one of the replay: where a node alone has nothing
 * at a time, its next event; where a place is another node's, that is an error. */
struct bh_error *bh_replay_place(const struct bh_replay *replay, const char *text,
				 struct bh_position *position);
/* Kills the tracee and every checkpoint. */
/*
 * Never returns: in a process that was made of a snapshot of a recorder (snapshots/snapshot.h), the
 * run goes on as a replay that the tracer holds. arg isn't used. See recorder.h.
 */
void bh_replay_restored(void *arg, struct bh_sim *sim, struct bh_inputs *inputs)
	__attribute__((noreturn));
void bh_replay_destroy(struct bh_replay *replay);

/* Called from time to time during long searches; non-zero means stop (BH_STOP_INTERRUPT). */
void bh_replay_set_poll(struct bh_replay *replay, int (*poll)(void *arg), void *arg);

/*
 * While nobody moves: runs ahead of the user through the trace, and leaves checkpoints, so that
 * what is far is near later. Returns after some ten milliseconds, or soon after is_wanted() says
 * that something else is to be done. Returns 0 when there is nothing left to do.
 */
int bh_replay_work_ahead(struct bh_replay *replay, int (*is_wanted)(void *arg), void *arg);

struct bh_position bh_replay_position(const struct bh_replay *replay);
uint64_t bh_replay_vtime_ns(const struct bh_replay *replay);
uint32_t bh_replay_node(const struct bh_replay *replay); /* node that has the CPU */
/* Where in the replayed process a node's struct bh_boot is. */
uint64_t bh_replay_node_boot(const struct bh_replay *replay, uint32_t node);
uint64_t bh_replay_packet(const struct bh_replay *replay);
uint64_t bh_replay_thread(const struct bh_replay *replay); /* thread that has the CPU */
/* Address of a thread's task_struct; 0: there is no such thread, or it is the simulator's. */
uint64_t bh_replay_task(struct bh_replay *replay, uint64_t thread);
/* Snapshots of the recorder that it can begin at. */
size_t bh_replay_snapshot_count(const struct bh_replay *replay);
/* Hash of the registers and all node and program memory: equal at equal positions. */
struct bh_error *bh_replay_state_digest(struct bh_replay *replay, uint64_t *digest_ret);

struct bh_error *bh_replay_seek(struct bh_replay *replay, struct bh_position position,
				struct bh_stop *stop_ret);
/* One instruction of thread (0: the one that has the CPU), in either direction. If the thread gives
 * up the CPU in it, the step ends when the thread has the CPU again; other threads' breakpoints
 * met meanwhile do stop it. */
struct bh_error *bh_replay_step(struct bh_replay *replay, uint64_t thread,
				enum bh_direction direction, struct bh_stop *stop_ret);
/* To the next stop in either direction. Never reports the position it starts from. */
struct bh_error *bh_replay_continue(struct bh_replay *replay, enum bh_direction direction,
				    struct bh_stop *stop_ret);
/* The same, but not beyond the beginning of an event, which must lie in that direction: without a
 * stop before it, this arrives there (BH_STOP_GOTO). */
struct bh_error *bh_replay_continue_to(struct bh_replay *replay, enum bh_direction direction,
				       uint64_t event, struct bh_stop *stop_ret);

/* A condition is asked at each hit; non-zero: stop. It may read registers and memory. */
typedef int (*bh_replay_condition)(void *arg, struct bh_replay *replay);
/* Planted at address only, so only in that node's image. Same address twice: replaces the
 * condition. */
struct bh_error *bh_replay_breakpoint_insert(struct bh_replay *replay, uint64_t address,
					     bh_replay_condition condition, void *arg);
/* The same condition in bytecode, which the replayed process can evaluate itself; NULL: none. At a
 * function's entry that is about as fast as no breakpoint. Must stay valid until the breakpoint is
 * removed or inserted again; inserting forgets it. */
void bh_replay_breakpoint_explain(struct bh_replay *replay, uint64_t address,
				  const struct bh_probe_condition *condition);
/* Until told otherwise, conditions are asked at each hit, explained or not. */
void bh_replay_breakpoints_ask(struct bh_replay *replay, int is_always);
void bh_replay_breakpoint_remove(struct bh_replay *replay, uint64_t address);
enum bh_watch_kind { BH_WATCH_WRITE, BH_WATCH_READ, BH_WATCH_ACCESS };
struct bh_error *bh_replay_watch_insert(struct bh_replay *replay, uint64_t address, size_t length,
					enum bh_watch_kind kind);
void bh_replay_watch_remove(struct bh_replay *replay, uint64_t address, size_t length,
			    enum bh_watch_kind kind);

/* Memory as the program sees it: planted breakpoints and patched entries are hidden. Returns the
 * number of bytes read from the start of the range. */
size_t bh_replay_read(struct bh_replay *replay, uint64_t address, void *bytes_ret, size_t length);
/* Registers of a thread; for one without the CPU those saved at its switch (callee-saved, rsp, rip;
 * the rest 0). */
struct bh_error *bh_replay_registers(struct bh_replay *replay, uint64_t thread,
				     struct user_regs_struct *registers_ret);
/* xmm0-15, mxcsr and x87 of the thread that has the CPU. */
struct bh_error *bh_replay_fp_registers(struct bh_replay *replay,
					struct user_fpregs_struct *registers_ret);

/* --- a throw-away branch --- */

/*
 * What the user changes or calls happens in a copy of the replayed process, a branch, which begins
 * with the first write. While there is one, everything that is read is read there; the position
 * stays that of the replay. Every move of the replay itself leaves it.
 */
int bh_replay_is_branched(const struct bh_replay *replay);
/* The branch goes on somewhere else than where it began: a function is being called. */
int bh_replay_branch_is_away(struct bh_replay *replay);
struct bh_error *bh_replay_write(struct bh_replay *replay, uint64_t address, const void *bytes,
				 size_t length);
/* Of the thread that has the CPU. */
struct bh_error *bh_replay_set_registers(struct bh_replay *replay,
					 const struct user_regs_struct *registers);
struct bh_error *bh_replay_set_fp_registers(struct bh_replay *replay,
					    const struct user_fpregs_struct *registers);
/* Lets the branch run, by one instruction or to a breakpoint; watchpoints are not looked after. */
struct bh_error *bh_replay_branch_run(struct bh_replay *replay, int is_step,
				      struct bh_stop *stop_ret);
/* Throws the branch away, if there is one. */
void bh_replay_branch_leave(struct bh_replay *replay);

/* --- questions about the past --- */

/* They go there, look and come back: for the caller nothing moves. */

/* One call of the function that lies in [low, high), up to a position. */
struct bh_path_query {
	uint64_t low, high;
	uint64_t cold_low, cold_high; /* the part of it that the compiler put elsewhere; or 0 */
	uint64_t entry_sp;	  /* the stack pointer at its entry, which is looked for; or 0: */
	struct bh_position from;  /* the function is entered at or soon after this */
	struct bh_position until; /* or its return, if that comes first */
};

/* An instruction of the function itself, before it is executed. */
struct bh_path_step {
	struct bh_position position;
	uint64_t pc, sp, rax;
	uint64_t next;		 /* pc of the next instruction, whosever it is; 0: unknown */
	uint64_t address, value; /* of its memory operand; 0 if it has none */
};

/* steps_ret is the caller's to free. is_complete_ret: 0 if there were too many instructions. */
struct bh_error *bh_replay_path(struct bh_replay *replay, const struct bh_path_query *query,
				struct bh_path_step **steps_ret, size_t *count_ret,
				int *is_complete_ret);

#define BH_MOMENT_PCS_MAX 32

/* What there was at a position. */
struct bh_moment {
	struct bh_position position;
	uint64_t vtime_ns;
	uint32_t node;
	uint64_t thread, frame;		 /* frame: rbp */
	char task[64];			 /* as in struct bh_replay_thread; empty: the simulator */
	uint64_t arguments[6];		 /* registers in which a function gets its arguments */
	uint64_t pcs[BH_MOMENT_PCS_MAX]; /* the stack, newest first */
	size_t pc_count;
};

/* The last write to these 1, 2, 4 or 8 aligned bytes before a position, also if it wrote what was
 * there; found_ret is 0 if there was none since the run began. The moment is that before the write.
 */
struct bh_error *bh_replay_last_write(struct bh_replay *replay, uint64_t address, size_t length,
				      struct bh_position before, int *found_ret,
				      struct bh_moment *moment_ret);
/* The last time before a position that the function at address was entered; not before the event
 * `since`, if that isn't 0. */
struct bh_error *bh_replay_last_call(struct bh_replay *replay, uint64_t address,
				     struct bh_position before, uint64_t since, int *found_ret,
				     struct bh_moment *moment_ret);

/* Arrays valid until the next move or call of the same function. */
struct bh_error *bh_replay_threads(struct bh_replay *replay,
				   const struct bh_replay_thread **threads_ret, size_t *count_ret);
struct bh_error *bh_replay_images(struct bh_replay *replay,
				  const struct bh_replay_image **images_ret, size_t *count_ret);

const struct bh_trace *bh_replay_trace(const struct bh_replay *replay);
/* What is replayed. */
const struct bh_scenario *bh_replay_scenario(const struct bh_replay *replay);
/* What create() was given. */
struct bh_error *bh_replay_find_kernel(void *replay, const char *version, char **path_ret);
/* One sentence with event, node and field; NULL while the replay agrees with the trace. */
const char *bh_replay_divergence(const struct bh_replay *replay);

/* --- without a debugger --- */

struct bh_divergence {
	uint64_t event;
	uint32_t node;
	const char *field; /* a field of struct bh_event, or "input" */
	char recorded[128], replayed[128];
};

/* Runs the whole trace again (confined, not traced) and compares every event. found_ret is 0 when
 * they are the same. plant_event != 0 plants a fault for tests: flips a byte of that TX's frame. */
struct bh_error *bh_verify(const struct bh_trace *trace,
			   struct bh_error *(*find_kernel)(void *arg, const char *version,
							   char **path_ret),
			   void *find_kernel_arg, uint64_t plant_event, int *found_ret,
			   struct bh_divergence *divergence_ret);

#endif
