/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of a run, shared by sim.c (life and main loop), sim_event.c (events and failures),
 * sim_node.c (what a kernel asks of the simulator), sim_link.c (its network), sim_timeline.c (what
 * the scenario does at given times), sim_process.c (programs) and sim_alone.c (one node without the
 * others). Private to them.
 */
#ifndef BH_SIMULATOR_SIM_INTERNAL_H
#define BH_SIMULATOR_SIM_INTERNAL_H

#include "common/frame_filter.h"
#include "kernel-lib/node.h"
#include "posix/posix.h"
#include "simulator/build.h"
#include "simulator/event_queue.h"
#include "simulator/link.h"
#include "simulator/mac_table.h"
#include "simulator/sim.h"

/* One direction of a link, or of a device's cable to a segment: one of `from` and `to` is NULL
 * where the segment is. */
struct bh_sim_wire {
	struct bh_link_direction direction;
	struct bh_sim_node *from, *to;
	uint32_t from_device, to_device;
	struct bh_sim_segment *segment;
	uint32_t port; /* of the segment */
	size_t slot;   /* of the event queue, … */
	/* … and what it is set to. */
	uint64_t next_ns, next_sequence;
	int is_scheduled;
	/* Of a link: the other direction. NULL: it leads to or from a segment. */
	struct bh_sim_wire *back;
	int is_off; /* `from` is switched off by its node, */
	/* … which `to` hears of in an event of its own. */
	int is_state_news;
	uint64_t state_sequence, state_cause;
	uint64_t held_cause; /* the TX event that filled a queue that holds its device */
};

struct bh_sim_segment {
	const struct bh_scenario_segment *scenario;
	struct bh_sim_wire **ports; /* the wires that leave it, in the order of its ends */
	struct bh_mac_table addresses;
};

enum bh_sim_process_state {
	BH_SIM_PROCESS_WAITING,
	BH_SIM_PROCESS_STARTING, /* spawned, the kernel hasn't answered yet */
	BH_SIM_PROCESS_RUNNING,
	BH_SIM_PROCESS_ENDED, /* also: could not be started */
	BH_SIM_PROCESS_LOST,  /* its node ended before */
};

struct bh_sim_process {
	const struct bh_process *scenario;
	struct bh_process_result *result;
	size_t number; /* in the scenario's order over all nodes, then those added: of SPAWN */
	size_t index;  /* in sim->processes */
	enum bh_sim_process_state state;
	int has_stop;	    /* its signal is yet to be sent */
	int has_crashed;    /* which was told of */
	char **environment; /* the default one and the scenario's; NULL-terminated */
	uint64_t spawn_event;
	uint64_t cause;		    /* of its start, if it was added */
	struct bh_sim_watch *watch; /* of sim_calls.c, or NULL */
	struct bh_sim_process *next_ended;
};

#define BH_LOG_LINE_MAX 200u

#define BH_TRACE_MAX 48u

/* What came of an entry of expect:. */
struct bh_sim_expectation {
	const struct bh_expectation *scenario;
	struct bh_frame_filter *filter;
	uint64_t count;
};

/* What a node's power slot is set for. */
enum bh_sim_power {
	BH_SIM_POWER_KEEP,
	BH_SIM_POWER_ON,
	BH_SIM_POWER_OFF,
	BH_SIM_POWER_RESTART,
};

struct bh_sim_node {
	struct bh_sim *sim;
	uint32_t id;
	const struct bh_scenario_node *scenario;
	struct bh_node *kernel;
	struct bh_link_map *link_map; /* NULL: no debugger is told of it */
	struct bh_posix_node *posix;
	struct bh_rng entropy;
	uint64_t digest;
	int is_dead, is_panicked;
	int is_absent; /* another node runs alone: this one has no kernel, and is dead */

	struct bh_sim_wire *wires[BH_MAX_DEVICES]; /* by device */
	unsigned int device_count;
	struct bh_frame_list received;	   /* for frame_receive() */
	struct bh_frame *received_current; /* the one it gave last */
	struct bh_frame *prepared;	   /* the kernel is writing it */

	size_t timer_slot;
	uint64_t timer_ns, timer_sequence, timer_cause;
	int timer_is_changed; /* since the node was entered */

	size_t power_slot;
	enum bh_sim_power power;
	uint64_t power_cause;
	uint64_t boot_ns; /* of the last boot */
	unsigned int boots_in_a_row;
	unsigned int boots;  /* how often it was booted */
	int is_stopping_all; /* for spawn_next(): SIGTERM for all programs */

	size_t program_slot;
	struct bh_sim_process *processes; /* setup lines first */
	size_t process_count, setup_count, setup_done;
	size_t process_room;		 /* process_count may grow to it */
	struct bh_sim_process *spawning; /* for spawn_next() */
	struct bh_sim_process *stopping; /* the same, for its signal */
	struct bh_sim_process *started;	 /* the last that spawn_next() gave */
	uint64_t program_cause;		 /* of the start that is scheduled */

	char log_line[BH_LOG_LINE_MAX + 1]; /* of the kernel log, not ended yet */
	unsigned int log_length;
	unsigned int log_failures;
	uint64_t trace[BH_TRACE_MAX]; /* the last one in the log */
	size_t trace_count;
	char *program_trace;   /* of the program that never gave the CPU back */
	size_t traced_failure; /* number (from 1) of the failure that it belongs to, or 0 */
};

struct bh_sim {
	struct bh_sim_config config;
	struct bh_sim_result result;
	struct bh_event_queue *queue;
	struct bh_frame_pool frames;
	struct bh_posix *posix;
	struct bh_sim_node *nodes;
	size_t node_count;
	uint64_t *runs;			 /* a node each: see bh_gate.runs */
	struct bh_sim_wire *wires;	 /* of links, then of segments: see sim_link.c */
	struct bh_sim_segment *segments; /* as in the scenario */
	size_t timeline_slot;
	size_t actions_done; /* of the scenario's timeline */
	struct bh_sim_process *processes;
	size_t process_slots;		  /* of processes */
	size_t program_count;		  /* set-up lines too; those added are counted */
	struct bh_sim_terminal *terminal; /* of sim_terminal.c; NULL: there is none */
	struct bh_run *run;		  /* of sim_calls.c; NULL: the scenario is no program */
	struct bh_sim_expectation *expectations; /* as in the scenario */
	int expects_frames;
	struct bh_image **images;
	char **image_versions;
	size_t image_count;

	uint64_t now_ns;
	uint64_t sequence;     /* of scheduling */
	uint64_t handling;     /* the event of the queue that is being handled */
	uint64_t still_events; /* handled since the clock last moved */
	size_t unfinished; /* programs (no setup lines) that haven't ended, calls that may act */
	int has_programs;  /* there was one: the end of the last one ends the run */
	int is_over;	   /* nothing more to wait for */
	int is_all_ended;  /* that is why */
	int is_stopped;	   /* a call, or the person at the terminal, ended the run */
	uint64_t stop_ns;  /* of the scenario; with a terminal: never */
	struct bh_error *error; /* the run can't go on */
};

/* --- sim.c --- */

/* What is in a slot of the event queue happens. */
void bh_sim_handle(struct bh_sim *sim, size_t slot);

/* --- sim_alone.c --- */

/* A number that depends on other nodes than the one that gets it, value. The observer hears of it,
 * and where the node runs alone it is what the whole run gave it. Shallow. */
uint64_t bh_sim_outside(struct bh_sim_node *node, uint64_t value);
/* The rest only where a node runs alone. The next event's number, and its cause: */
uint64_t bh_sim_alone_next_event(const struct bh_sim *sim);
uint64_t bh_sim_alone_next_cause(const struct bh_sim *sim);
/* What others sent to the node and is lost on the way now. */
void bh_sim_alone_lost(struct bh_sim_node *node);
/* From the boot on to the end. */
void bh_sim_alone_run(struct bh_sim *sim);

/* --- sim_event.c --- */

/* Numbers the event, sets its time, brings the digests and the gate up to date, tells the observer:
 * the one place where an event begins. */
void bh_sim_event_begin(struct bh_sim *sim, struct bh_event *event);
/* The number that the next event will have. */
uint64_t bh_sim_next_event(const struct bh_sim *sim);
/* Remembers a failure; event is the one to go to. */
void bh_sim_fail(struct bh_sim *sim, const char *what, uint32_t node, uint64_t event,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Remembers that the run can't go on, if nothing was remembered yet. */
void bh_sim_abort(struct bh_sim *sim, struct bh_error *error);
void bh_sim_output(struct bh_sim *sim, uint32_t node, const char *path, const void *data,
		   size_t length);
/* The same for a file below var/log: "kern.log". */
void bh_sim_node_output(struct bh_sim_node *node, const char *name, const void *data,
			size_t length);

/* The value of the first ACTION event that isn't the timeline's. */
uint64_t bh_sim_first_free_action(const struct bh_sim *sim);
/* One of the unfinished has finished: the run is over if it was the last one. */
void bh_sim_one_finished(struct bh_sim *sim);
/* One more has to finish. */
void bh_sim_one_more(struct bh_sim *sim);

/* --- sim_calls.c: all do nothing if the scenario is no program --- */

struct bh_error *bh_sim_calls_create(struct bh_sim *sim);
void bh_sim_calls_destroy(struct bh_sim *sim);
/* Makes one call that is due before the next event, which comes at next_ns (UINT64_MAX: there is
 * none). Returns 0 if there was none. */
int bh_sim_calls_due(struct bh_sim *sim, uint64_t next_ns);
/* Tells of the programs that have ended; between events. */
void bh_sim_calls_ended(struct bh_sim *sim);
/* The run is over. */
void bh_sim_calls_end(struct bh_sim *sim);
/* Shows the frame of an RX or TX event, which has begun; not 0: it is to be lost. */
int bh_sim_calls_frame(struct bh_sim *sim, const struct bh_event *event, const void *data,
		       size_t length);
/* From within a node: what a program wrote to stdout, and that one has ended. */
void bh_sim_calls_output(struct bh_sim_node *node, int pid, const void *data, size_t length);
void bh_sim_calls_process_ended(struct bh_sim *sim, struct bh_sim_process *process);

/* --- sim_terminal.c: all do nothing if there is no terminal --- */

struct bh_error *bh_sim_terminal_create(struct bh_sim *sim);
void bh_sim_terminal_destroy(struct bh_sim *sim);
/* Asks for input before the next event, which comes at next_ns (UINT64_MAX: there is none). Returns
 * 0 if there is none: that event may happen. */
int bh_sim_terminal_due(struct bh_sim *sim, uint64_t next_ns);
/* Whether this is the terminal's program. */
int bh_sim_terminal_is(const struct bh_sim *sim, const struct bh_sim_process *process);
/* Of the host's table. */
int bh_sim_terminal_next(void *host, struct bh_terminal_input *input_ret);
void bh_sim_terminal_output(void *host, unsigned long id, const void *data, unsigned long length);

/* --- sim_node.c --- */

/* Tells the observer of the node's files; before its memory is given back, and at the end. */
void bh_sim_node_files_show(struct bh_sim_node *node);

extern const struct bh_host_ops bh_sim_host_ops;

/* Let the kernel run until it idles, and see to what it left behind. */
void bh_sim_node_boot(struct bh_sim_node *node, uint64_t cause);
void bh_sim_node_resume(struct bh_sim_node *node, unsigned long interrupts);
/* The slots of the event queue. */
void bh_sim_node_timer(struct bh_sim_node *node);

/* --- sim_power.c --- */

/* After the programs are known. */
void bh_sim_power_create(struct bh_sim *sim);
/* The node's kernel has ended by itself. */
void bh_sim_node_died(struct bh_sim_node *node);
void bh_sim_power_schedule(struct bh_sim_node *node, enum bh_sim_power power, uint64_t time_ns,
			   uint64_t cause);
/* The slot of the event queue. */
void bh_sim_power_change(struct bh_sim_node *node);
/* Of the timeline. */
void bh_sim_power_action(struct bh_sim *sim, const struct bh_scenario_action *action, size_t index);

/* --- sim_link.c --- */

struct bh_error *bh_sim_links_create(struct bh_sim *sim);
void bh_sim_links_destroy(struct bh_sim *sim);
size_t bh_sim_wire_count(const struct bh_scenario *scenario);
/* Fills the node's devices (BH_MAX_DEVICES at devices) and connects it to its wires. A node that
 * starts again gets them with the carrier that they have now. */
void bh_sim_devices_create(struct bh_sim_node *node, struct bh_netdev *devices);
/* A frame arrives at a device, or the other end of its link was switched on or off. */
void bh_sim_deliver(struct bh_sim_node *node, uint32_t device, struct bh_frame *frame);
void bh_sim_carrier(struct bh_sim_node *node, uint32_t device, int is_there, uint64_t cause);
/* The slot of the event queue. */
void bh_sim_wire_arrival(struct bh_sim *sim, struct bh_sim_wire *wire);
/* Of the host's table. */
void *bh_sim_frame_prepare(void *host, unsigned int length);
void bh_sim_frame_transmit(void *host, unsigned int device, unsigned int length,
			   unsigned long lineage);
void bh_sim_device_state(void *host, unsigned int device, int is_on);
int bh_sim_frame_receive(void *host, struct bh_rx_frame *frame_ret);
/* Of the timeline. */
void bh_sim_link_state(struct bh_sim *sim, const struct bh_scenario_action *action, size_t index);
void bh_sim_link_change(struct bh_sim *sim, const struct bh_scenario_action *action, size_t index);

/* --- sim_timeline.c --- */

/* Schedules the next action of the scenario, if there is one. */
void bh_sim_timeline_schedule(struct bh_sim *sim);
/* The slot of the event queue. */
void bh_sim_timeline_action(struct bh_sim *sim);

/* --- sim_log.c --- */

/* Of the host's table. */
void bh_sim_console(void *host, const char *text, unsigned long len);
/* Of the callbacks of posix/: where a node was that is given up. */
void bh_sim_spin(void *arg, const char *text, const struct bh_posix_stack *stack);
/* The failure of this number (from 1) gets a call trace: offsets in the node's image. */
void bh_sim_failure_trace(struct bh_sim *sim, size_t number, const uint64_t *offsets, size_t count);
/* Looks up what the traces of failures are; when the run is over. */
void bh_sim_failures_describe(struct bh_sim *sim);

/* --- sim_expect.c --- */

/* After the nodes' images are known. */
struct bh_error *bh_sim_expect_create(struct bh_sim *sim);
void bh_sim_expect_destroy(struct bh_sim *sim);
int bh_sim_expect_allows(const struct bh_sim *sim, uint32_t node, enum bh_fault fault);
/* An RX or TX event and its frame. */
void bh_sim_expect_frame(struct bh_sim *sim, const struct bh_event *event, const void *data);
/* A DROP event; reason may be NULL. */
void bh_sim_expect_drop(struct bh_sim *sim, const struct bh_event *event, const char *reason);
/* The run is over: what should have happened and hasn't? */
void bh_sim_expect_check(struct bh_sim *sim, uint64_t stop_event);

/* --- sim_process.c --- */

struct bh_error *bh_sim_processes_create(struct bh_sim *sim);
void bh_sim_processes_destroy(struct bh_sim *sim);
extern const struct bh_posix_callbacks bh_sim_posix_callbacks;
/* So many programs can be added to a node while it runs. */
#define BH_SIM_PROGRAMS_ADDED_MAX 256u
/* Adds and schedules a program, which must live as long as the run; cause: the event that does so.
 * NULL: there is no room for more, or no memory. */
struct bh_sim_process *bh_sim_program_add(struct bh_sim_node *node,
					  const struct bh_process *scenario, uint64_t cause);
/* Schedules the next program of the node, if one is due. */
void bh_sim_program_schedule(struct bh_sim_node *node);
/* The slot of the event queue. */
void bh_sim_program_start(struct bh_sim_node *node);
int bh_sim_spawn_next(void *host, struct bh_spawn *spawn_ret);
void bh_sim_spawn_result(void *host, unsigned long id, int pid_or_errno);
/* What the terminal of a program shows is its output. */
void bh_sim_process_output(struct bh_sim_node *node, int pid, const void *data, size_t length);
/* The node boots again: its set-up lines and the scenario's programs are yet to run. */
void bh_sim_programs_restart(struct bh_sim_node *node);
/* The node died: its programs won't end any more. */
void bh_sim_programs_lost(struct bh_sim_node *node);
/* The run is over: what should have happened and hasn't? */
/* Takes room for programs that were never added out of the result. */
void bh_sim_results_pack(struct bh_sim *sim);
void bh_sim_processes_check(struct bh_sim *sim, uint64_t stop_event);

#endif
