/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate: what a tracer sees of a running simulation from outside, and where it can hold it.
 * The replayer's tracer and tracee are the same executable, one forked from the other, so the gate
 * has the same address in both; it is the one mutable global of the simulator.
 *
 * A position in a run is (event, tick, instruction): gate.event is the number of the newest event,
 * gate.tick the number of kernel function entries since then (counted only while the patchable
 * entries of a node are switched on, see replayer/ticks.h).
 */
#ifndef BH_SIMULATOR_GATE_H
#define BH_SIMULATOR_GATE_H

#include <stdint.h>

struct bh_gate {
	volatile uint64_t event;    /* number of the newest event */
	volatile uint64_t tick;	    /* function entries since it; set to 0 by each event */
	volatile uint64_t vtime_ns; /* virtual time now */
	volatile uint64_t packet;   /* packet of the newest event, 0 if none */
	volatile uint64_t node;	    /* id of the node that has the CPU, BH_NO_NODE: the simulator */
	volatile uint64_t stop_event; /* trap when this event, or a later one, begins; 0: never */
	volatile uint64_t stop_tick;  /* trap when tick reaches this; 0: never */
	volatile uint64_t digest;     /* rolling digest after the newest event */
	/* Address of a number for each node that is odd while the node runs, and otherwise twice
	 * how often it ran: as long as it is the same even one, nothing that the node's kernel
	 * knows has changed. */
	volatile uint64_t runs;
};

extern struct bh_gate bh_gate;

/* Executes int3 (then ret); the tracer knows its address. */
void bh_gate_trap(void);
/* gate.event has begun: traps if it is stop_event or a later one. What follows can't tell whether
 * it did. */
void bh_gate_pass(void);

#endif
