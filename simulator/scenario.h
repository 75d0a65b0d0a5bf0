/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scenario as data: what a YAML file (simulator/scenario_yaml.c) or a C program describes, and
 * simulator/sim.c runs. Plain structures, owned by the scenario, freed by bh_scenario_destroy().
 */
#ifndef BH_SIMULATOR_SCENARIO_H
#define BH_SIMULATOR_SCENARIO_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/event.h"

struct bh_sysctl {
	char *key;   /* "net.ipv4.ip_forward" */
	char *value; /* "1" */
};

/* A program on a node; `exec:` lines become one each, started at time 0 one after the other. */
struct bh_process {
	char **argv;	    /* NULL-terminated; argv[0] is a path or a name found in PATH */
	char **environment; /* NULL-terminated "NAME=value"; added to the fixed default one */
	uint64_t start_ns;  /* virtual time */
	int is_setup;	    /* an exec: line: runs before any process, must exit with 0 */
	int has_expected_exit;
	int expected_exit;	  /* exit status 0..255 */
	int has_expected_running; /* expected_final_state: running */
	int expected_running;
	int expected_signal; /* the signal that must end it, 0: none is expected */
	char *stdin_text;    /* what standard input has; NULL: it is /dev/null */
	unsigned int uid, gid;
	uint64_t stop_ns;  /* virtual time at which it gets stop_signal; 0: never */
	int stop_signal;   /* default SIGTERM; to the process group */
	int is_traced;	   /* its system calls, and those of its children, are written down */
	unsigned int line; /* of the scenario file, for messages */
};

/* What the CPU of a node costs its programs, in virtual ns. A process sleeps off what it owes as
 * soon as that reaches the slice. */
struct bh_scenario_cpu {
	int is_model;	      /* what is owed stays owed, whatever else takes time */
	uint64_t syscall_ns;  /* a system call; default 1000 */
	uint64_t kilobyte_ns; /* 1024 bytes read or written */
	uint64_t fork_ns, exec_ns;
	uint64_t slice_ns; /* default 64000 */
};

/* A file or folder of this machine that a node shows in another place. */
struct bh_scenario_bind {
	char *host_path; /* as written: relative to the scenario's folder, or absolute */
	char *node_path; /* absolute, without dots, double or final slashes */
	int is_read_only;
	unsigned int line;
};

struct bh_scenario_node {
	char *name;
	char *kernel;	    /* "6.1" */
	uint64_t start_ns;  /* virtual time at which it boots */
	uint64_t ram_bytes; /* 0: default */
	char *command_line; /* extra kernel command line, or NULL */
	struct bh_scenario_cpu cpu;
	struct bh_sysctl *sysctls;
	size_t sysctl_count;
	struct bh_scenario_bind *binds;
	size_t bind_count;
	struct bh_process *processes; /* setup lines first, in the file's order */
	size_t process_count;
	unsigned int line;
};

/* What a queue does when it grows. */
enum bh_queue_discipline {
	BH_QUEUE_DROP_TAIL, /* a frame that finds it full is lost */
	BH_QUEUE_DROP_HEAD, /* the frame that has waited longest makes room */
	BH_QUEUE_CODEL,	    /* RFC 8289: frames are lost from the head when all wait too long */
};

/* What a link does to frames that go in one direction. Shares are parts in 10^9. */
struct bh_link_properties {
	uint64_t delay_ns;  /* propagation */
	uint64_t jitter_ns; /* the delay is uniform in delay_ns ± jitter_ns; at most delay_ns */
	uint64_t rate_bps;  /* bits per second; 0: infinitely fast */
	uint64_t loss_ppb;
	uint64_t duplicate_ppb;
	uint64_t reorder_ppb;  /* these frames skip the delay and so overtake others */
	uint64_t corrupt_ppb;  /* one bit of these frames is inverted */
	uint64_t queue_frames; /* may wait for the wire when there is a rate */
	uint64_t queue_bytes;  /* of frames that may wait; UINT64_MAX: any number */
	uint64_t codel_target_ns, codel_interval_ns;
	uint8_t discipline;	   /* enum bh_queue_discipline */
	uint8_t is_jitter_ordered; /* jitter doesn't let frames overtake each other */
	uint8_t is_queue_held;	   /* a full queue stops the sending device: nothing is lost */
};

/* The default: a wire that does nothing but carry frames, with a queue of 1000 frames for the case
 * that it gets a rate. */
struct bh_link_properties bh_link_properties_default(void);

struct bh_scenario_link_end {
	uint32_t node;
	char device[16];
	uint8_t has_mac;
	unsigned char mac[6];
	struct bh_link_properties sends;    /* what befalls frames that the device sends, … */
	struct bh_link_properties receives; /* … and, on a segment, those sent to it */
	unsigned int line, column;
};

/* Point to point. */
struct bh_scenario_link {
	struct bh_scenario_link_end end[2]; /* `receives` isn't used: it's what the other sends */
	uint32_t mtu;			    /* bytes; default 1500 */
	unsigned int line;
};

enum bh_segment_kind {
	BH_SEGMENT_SWITCH, /* learns addresses */
	BH_SEGMENT_HUB,	   /* repeats every frame at every other end */
};

/* Shared by any number of devices, each with a cable of its own to the switch or hub. */
struct bh_scenario_segment {
	char *name;
	enum bh_segment_kind kind;
	struct bh_scenario_link_end *ends;
	size_t end_count;
	uint64_t ageing_ns; /* a switch forgets an address that was silent so long */
	uint32_t mtu;
	unsigned int line;
};

enum bh_action_kind {
	BH_ACTION_LINK_STATE,  /* the link at `end` goes up or down */
	BH_ACTION_LINK_CHANGE, /* it gets other properties */
	BH_ACTION_NODE,	       /* `node` starts or ends */
};

enum bh_power {
	BH_POWER_BOOT,
	BH_POWER_HALT,	  /* its programs get SIGTERM, and a second later it is off */
	BH_POWER_RESTART, /* the same, and then it starts again */
	BH_POWER_CRASH,	  /* off at once */
};

/* Something that happens at a time, as the scenario says under events:. */
struct bh_scenario_action {
	uint64_t at_ns;
	enum bh_action_kind kind;
	/* LINK_…: which end of a link or segment, as bh_scenario_end() counts. */
	size_t end;
	uint32_t node; /* NODE: which, and what it does */
	enum bh_power power;
	int is_up;				   /* LINK_STATE */
	int has_sends, has_receives;		   /* LINK_CHANGE: which direction, seen from it, */
	struct bh_link_properties sends, receives; /* … and all of its properties from then on */
	unsigned int line;
};

/* What a kernel's log tells of, and what fails a run unless it is allowed. */
enum bh_fault {
	BH_FAULT_BUG,
	BH_FAULT_WARNING,
	BH_FAULT_OOPS,
	BH_FAULT_PANIC,
	BH_FAULT_OOM, /* the kernel ran out of memory */
	BH_FAULT_COUNT,
};
/* "bug", "warning", … */
const char *bh_fault_name(enum bh_fault fault);

enum bh_expectation_kind {
	BH_EXPECT_DROP,	 /* packets that a kernel drops */
	BH_EXPECT_FRAME, /* frames at a device */
	BH_EXPECT_ALLOW, /* faults that don't fail the run */
};

enum bh_frame_direction { BH_FRAME_ANY, BH_FRAME_RX, BH_FRAME_TX };

/* An entry of expect:. */
struct bh_expectation {
	enum bh_expectation_kind kind;
	int is_never;	 /* DROP, FRAME: it must not happen; else it must, at_least times */
	uint32_t node;	 /* BH_NO_NODE: any */
	char device[16]; /* FRAME: "": any of the node's */
	enum bh_frame_direction direction; /* FRAME: arriving at the device or leaving it */
	char *filter;			   /* FRAME: pcap-filter(7), or NULL: all */
	char *reason;			   /* DROP: "NETFILTER_DROP", or NULL: any */
	uint64_t after_ns, before_ns;	   /* it counts from after_ns on, up to before_ns */
	uint64_t at_least;		   /* 1 or more */
	unsigned int allowed_faults;	   /* ALLOW: bit mask of enum bh_fault */
	unsigned int line, column;	   /* of the entry; of the reason if there is one */
};

/* A run that doesn't say when it ends is given up then. */
#define BH_OPEN_STOP_NS 3600000000000ull

struct bh_scenario {
	char *name;
	char *filename;	  /* as given to the parser, for messages; NULL if made otherwise */
	uint64_t seed;	  /* default 1 */
	uint64_t stop_ns; /* virtual time at which the run ends, at the latest */
	int is_open;	  /* stop_ns wasn't given: all programs are to end before */
	struct bh_scenario_node *nodes; /* node ids count from 0 in this order */
	size_t node_count;
	struct bh_scenario_link *links;
	size_t link_count;
	struct bh_scenario_segment *segments;
	size_t segment_count;
	struct bh_scenario_action *actions; /* in the order in which they happen */
	size_t action_count;
	struct bh_expectation *expectations;
	size_t expectation_count;
};

/* The ends of links and segments, counted from 0: two for each link, then those of the segments. */
size_t bh_scenario_end_count(const struct bh_scenario *scenario);
const struct bh_scenario_link_end *bh_scenario_end(const struct bh_scenario *scenario,
						   size_t number);

/* Parses text (length bytes; need not end in NUL). filename is only for messages, which have the
 * form "file:line:column: sentence". Never reads anything else; safe on hostile input. */
struct bh_error *bh_scenario_parse_yaml(const char *text, size_t length, const char *filename,
					struct bh_scenario **scenario_ret);
void bh_scenario_destroy(struct bh_scenario *scenario);

/* One process alone, as an entry of `processes:`; stop_ns: the end of the run. The caller releases
 * it. */
struct bh_error *bh_scenario_parse_process(const char *text, size_t length, const char *filename,
					   uint64_t stop_ns, struct bh_process *process_ret);
void bh_process_release(struct bh_process *process);

#endif
