/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evaluates gdb's agent expressions: the bytecode into which gdb compiles the condition of a
 * breakpoint, so that it is checked here at each hit instead of over there (gdb manual, "The GDB
 * Agent Expression Mechanism"). Bytecode comes over a socket and is hostile until proven otherwise:
 * every access is checked, and a loop ends. Used by replayer/gdb_server_breakpoint.c and probe.c.
 */
#ifndef BH_REPLAYER_AGENT_H
#define BH_REPLAYER_AGENT_H

#include <stddef.h>
#include <stdint.h>

enum bh_agent_status {
	BH_AGENT_OK = 0,
	BH_AGENT_BAD_OPCODE, /* not an opcode, or one that makes no sense in a condition */
	BH_AGENT_TRUNCATED,  /* an operand or a jump leaves the code, or there is no `end` */
	BH_AGENT_STACK,	     /* more popped than pushed, or more pushed than there is room */
	BH_AGENT_ENDLESS,    /* more than BH_AGENT_MAX_STEPS operations */
	BH_AGENT_DIVISION,   /* by zero */
	BH_AGENT_REGISTER,   /* the register doesn't exist or has no value now */
	BH_AGENT_MEMORY,     /* the memory can't be read */
};

#define BH_AGENT_MAX_STEPS 10000
#define BH_AGENT_MAX_STACK 100

/* Where values come from; both return 0 on success. */
struct bh_agent_source {
	void *arg;
	int (*read_register)(void *arg, unsigned int number, uint64_t *value_ret);
	int (*read_memory)(void *arg, uint64_t address, void *bytes_ret, size_t length);
};

/* The value left on top of the stack is put into *value_ret (untouched on failure). */
enum bh_agent_status bh_agent_evaluate(const uint8_t *code, size_t length,
				       const struct bh_agent_source *source, uint64_t *value_ret);

#endif
