/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the engine, shared by engine.c (life, positions), engine_move.c (steps, searches,
 * breakpoints), engine_branch.c, engine_threads.c, engine_images.c and engine_digest.c. Private to
 * them.
 */
#ifndef BH_REPLAYER_ENGINE_INTERNAL_H
#define BH_REPLAYER_ENGINE_INTERNAL_H

#include "kernel-lib/image.h"
#include "kernel-lib/arch/backhop/include/asm/host_abi.h"
#include "replayer/code_map.h"
#include "replayer/engine.h"
#include "replayer/node_feed.h"
#include "replayer/rerun.h"
#include "replayer/timeline.h"
#include "simulator/gate.h"

/* A kernel image of the trace, by path. */
struct bh_replay_kernel {
	char *path;
	char *build_id; /* hex, or NULL */
	struct bh_image *image;
	struct bh_tick_text *text;
	struct bh_code_map *code;
};

/* What the tracee tells of a node at its first stop (engine.c); addresses in the tracee. */
struct bh_node_facts {
	uint64_t base;
	uint64_t boot;	      /* struct bh_boot */
	uint64_t saved_stack; /* the word that holds the idle task's stack pointer */
	uint64_t image_path;
};

struct bh_replay_node {
	struct bh_node_facts facts;
	const struct bh_replay_kernel *kernel;
	const char *name;
	struct bh_task_layout layout; /* once has_layout; the kernel fills it while it boots */
	int has_layout;
	uint64_t layout_move;	       /* when has_layout was last looked for */
	size_t list_start, list_count; /* the node's threads in the list … */
	uint64_t list_runs;	       /* … as they were when bh_gate.runs said this */
};

struct bh_breakpoint {
	uint64_t address;
	bh_replay_condition condition;
	void *arg;
	const struct bh_probe_condition *bytecode; /* the same; or NULL */
	/* Of the program that it is set in: others may lie at the same address at other times. */
	uint8_t text[BH_SEARCH_TEXT];
	int has_text;
};

struct bh_watch {
	uint64_t address;
	size_t length;
	enum bh_watch_kind kind;
	uint8_t former[32]; /* for READ: to tell a read from a write */
};

#define BH_WATCHES_MAX 4

struct bh_thread_list {
	struct bh_replay_thread *threads;
	uint64_t *tasks; /* their task_structs; 0 for thread 1 */
	size_t count, capacity;
	size_t node_start; /* while it is filled: the first of the node's */
	uint64_t move;	   /* valid for this one */
};

/* Odd, as while a node runs: what was read then is not kept. */
#define BH_NOT_KEPT 1u

struct bh_replay {
	const struct bh_trace *trace;
	struct bh_rerun *rerun;
	struct bh_timeline *timeline;
	struct bh_copy *branch; /* a fork of the timeline's copy that the user changes; or NULL */
	struct bh_error *(*find_kernel)(void *arg, const char *version, char **path_ret);
	void *find_kernel_arg;
	struct bh_replay_kernel *kernels;
	size_t kernel_count;
	struct bh_replay_node *nodes;
	size_t node_count;
	uint32_t only_node;		/* the one that runs alone; BH_NO_NODE: all do */
	struct bh_node_feed *feed;	/* it is fed with; or NULL */
	uint64_t stack_low, stack_high; /* the simulator's own stack */
	uint8_t former_cpus[128];
	int is_pinned;

	uint64_t move; /* changes with every movement; what is cached is valid for one */
	struct bh_gate gate;
	uint64_t gate_move;
	uint64_t running; /* the thread that has the CPU */
	uint64_t running_move;
	struct bh_thread_list list, former_list;
	uint64_t *runs;			    /* as bh_gate.runs says, read */
	struct bh_snapshot_file *snapshots; /* of the recorded process; NULL: none */
	struct bh_replay_image *images;
	char (*image_paths)[232];
	size_t image_count;
	char *divergence;
	int (*poll)(void *arg);
	void *poll_arg;

	struct bh_breakpoint *breakpoints; /* ascending by address */
	size_t breakpoint_count;
	int asks_always; /* no bytecode is used */
	struct bh_watch watches[BH_WATCHES_MAX];
	size_t watch_count;
};

/* --- reading the tracee --- */

/* What the user sees: the branch, else the timeline's current copy. */
struct bh_copy *bh_engine_copy(struct bh_replay *replay);
size_t bh_engine_read(struct bh_replay *replay, uint64_t address, void *bytes_ret, size_t length);
uint64_t bh_engine_u64(struct bh_replay *replay, uint64_t address);
uint32_t bh_engine_u32(struct bh_replay *replay, uint64_t address);
const struct bh_gate *bh_engine_gate(struct bh_replay *replay);
/* Everything cached is out of date. */
void bh_engine_moved(struct bh_replay *replay);
/* NULL for BH_NO_NODE and numbers that are no node. */
struct bh_replay_node *bh_engine_node(struct bh_replay *replay, uint64_t node);

/* --- engine_move.c --- */

/* Whether the caller's poll function is asked in what follows. */
void bh_engine_allow_poll(struct bh_replay *replay, int is_allowed);
/* The breakpoint at address, or NULL. */
const struct bh_breakpoint *bh_engine_breakpoint(const struct bh_replay *replay, uint64_t address);

/* --- engine_images.c --- */

struct bh_error *bh_engine_open_kernels(struct bh_replay *replay);
void bh_engine_close_kernels(struct bh_replay *replay);
/* Matches nodes and kernels once the facts are known, and tells the timeline of them. */
struct bh_error *bh_engine_place_kernels(struct bh_replay *replay);
/* Address beside node's memory at which its tick stubs lie, and how many bytes; for the digest. */
void bh_engine_stub_range(const struct bh_replay_node *node, uint64_t *start_ret,
			  uint64_t *size_ret);

/* --- engine_threads.c --- */

/* The node's layout, or NULL if its kernel hasn't got that far. */
const struct bh_task_layout *bh_engine_layout(struct bh_replay *replay,
					      struct bh_replay_node *node);
uint64_t bh_engine_running_thread(struct bh_replay *replay);
/* A thread's task_struct, or 0. */
uint64_t bh_engine_task(struct bh_replay *replay, uint64_t thread);
/* Where a thread that hasn't the CPU left its registers: the saved stack pointer, and the address
 * at which it goes on. */
struct bh_error *bh_engine_saved_stack(struct bh_replay *replay, uint64_t thread, uint64_t *sp_ret);
#define BH_SAVED_BYTES 56 /* seven words: see struct bh_task_layout */
/* The words that a thread's stack pointer is written to when it gives up the CPU, at most two. */
unsigned int bh_engine_stack_words(struct bh_replay *replay, uint64_t thread,
				   uint64_t words_ret[2]);

#endif
