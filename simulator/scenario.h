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
	unsigned int line; /* of the scenario file, for messages */
};

struct bh_scenario_node {
	char *name;
	char *kernel;	    /* "6.1" */
	uint64_t ram_bytes; /* 0: default */
	char *command_line; /* extra kernel command line, or NULL */
	struct bh_sysctl *sysctls;
	size_t sysctl_count;
	struct bh_process *processes; /* setup lines first, in the file's order */
	size_t process_count;
	unsigned int line;
};

struct bh_scenario_link_end {
	uint32_t node;
	char device[16];
};

struct bh_scenario_link {
	struct bh_scenario_link_end end[2];
	uint64_t delay_ns; /* propagation */
	uint64_t rate_bps; /* bits per second; 0: infinitely fast */
	uint64_t loss_ppb; /* parts in 10^9 */
	uint64_t
		queue_frames; /* frames that may wait for the wire when rate is set; default 1000 */
	uint32_t mtu;	      /* bytes; default 1500 */
	unsigned int line;
};

struct bh_scenario {
	char *name;
	char *filename;	  /* as given to the parser, for messages; NULL if made otherwise */
	uint64_t seed;	  /* default 1 */
	uint64_t stop_ns; /* virtual time at which the run ends */
	struct bh_scenario_node *nodes; /* node ids count from 0 in this order */
	size_t node_count;
	struct bh_scenario_link *links;
	size_t link_count;
};

/* Parses text (length bytes; need not end in NUL). filename is only for messages, which have the
 * form "file:line:column: sentence". Never reads anything else; safe on hostile input. */
struct bh_error *bh_scenario_parse_yaml(const char *text, size_t length, const char *filename,
					struct bh_scenario **scenario_ret);
void bh_scenario_destroy(struct bh_scenario *scenario);

#endif
