/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Probes: breakpoints in kernel images that are decided inside the replayed process, so that a hit
 * whose condition is false costs no stop (less than a microsecond instead of dozens of
 * microseconds).
 *
 * While a copy runs freely, a jump to a stub of its own stands in the place of the entry's NOP or,
 * inside a function, of one or more instructions. The stub saves all registers on a stack of ours
 * (nothing of the node's memory changes), and bh_probe_visit() evaluates the breakpoint's
 * condition, in gdb's bytecode. False: it executes a copy of what was replaced and goes on behind
 * it. True: an int3, which the tracer takes for one at the breakpoint. Or, for a search that wants
 * the last hit of a stretch, it notes the hit and goes on.
 *
 * probe.c runs in the tracee; probe_set.c is the tracer's side. Used by copy_run.c and search.c.
 */
#ifndef BH_REPLAYER_PROBE_H
#define BH_REPLAYER_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct bh_copy;
struct bh_space;

/* One agent expression; see agent.h. */
struct bh_probe_code {
	const uint8_t *bytes;
	size_t length;
};

/* Where the value of a register in bytecode comes from: a general register by its place in struct
 * bh_probe_frame, or one of the others. */
enum bh_probe_register {
	BH_PROBE_UNKNOWN, /* the tracer must be asked */
	BH_PROBE_GENERAL, /* + index: rax rbx rcx rdx rsi rdi rbp r8 … r15 */
	BH_PROBE_RSP = 1 + 15,
	BH_PROBE_RIP,
	BH_PROBE_FLAGS,
	BH_PROBE_NODE,
	BH_PROBE_EVENT,
	BH_PROBE_VTIME,
	BH_PROBE_PACKET,
	BH_PROBE_TASK, /* the pid in its node; not while the kernel switches tasks */
};

/* What decides about a breakpoint: one of these expressions holds, or there is none. */
struct bh_probe_condition {
	const struct bh_probe_code *codes;
	size_t count;
	const uint8_t *registers; /* enum bh_probe_register, by the bytecode's number */
	size_t register_count;
	uint32_t node; /* value of BH_PROBE_NODE */
	uint64_t boot; /* address of the node's struct bh_boot, for BH_PROBE_TASK; or 0 */
};

/* --- the tracer's side --- */

struct bh_probe_set;

struct bh_error *bh_probe_set_create(struct bh_probe_set **set_ret);
void bh_probe_set_destroy(struct bh_probe_set *set);
/*
 * The probes of a search: one for each address (ascending) with a condition, conditions[i] being
 * NULL for those about which the tracer must be asked. Those for which there is no probe (nothing
 * can be replaced there, too many) keep their int3. wants_last: note hits instead of stopping.
 */
struct bh_error *bh_probe_set_fill(struct bh_probe_set *set, const struct bh_space *space,
				   const uint64_t *addresses,
				   const struct bh_probe_condition *const *conditions, size_t count,
				   int wants_last);
/* There are none. */
int bh_probe_set_is_empty(const struct bh_probe_set *set);
/* Makes the copy ready to run with these probes, all counts at 0. */
struct bh_error *bh_probe_set_install(struct bh_probe_set *set, struct bh_copy *copy);
/* The jumps are in the text from arm to disarm. */
struct bh_error *bh_probe_set_arm(const struct bh_probe_set *set, struct bh_copy *copy);
void bh_probe_set_disarm(const struct bh_probe_set *set, struct bh_copy *copy);
/* Bytes that were read from there: puts what was in the text in the places of jumps. */
void bh_probe_set_hide(const struct bh_probe_set *set, uint64_t address, uint8_t *bytes,
		       size_t length);
/* No jump is in the text of this copy from now on, armed or not, until it gets other probes. */
void bh_probe_set_lift(const struct bh_probe_set *set, struct bh_copy *copy);
/* Where a copy of the instruction at pc is that goes on behind it, if pc lies in what a jump
 * replaces or, is_over, what is planted there is to be passed; 0: that isn't so, or there is none.
 */
uint64_t bh_probe_set_displaced(const struct bh_probe_set *set, uint64_t pc, int is_over);
/* The instruction of which a copy is at pc, where a signal came up; 0: there is none. pushed_ret:
 * what the stack pointer is too low. */
uint64_t bh_probe_set_origin(const struct bh_probe_set *set, uint64_t pc, uint64_t *pushed_ret);
/* The breakpoint whose probe stopped with this program counter; 0: none did. */
uint64_t bh_probe_set_stopped_at(const struct bh_probe_set *set, uint64_t pc);
/* Does the copy itself count what comes to address? */
int bh_probe_set_counts(const struct bh_probe_set *set, const struct bh_copy *copy,
			uint64_t address);
/* Stopped at address: which visit in the current event this is; 0: there is no probe. Asked once a
 * stop, unless the copy counts. */
uint64_t bh_probe_set_visits(const struct bh_probe_set *set, struct bh_copy *copy,
			     uint64_t address);
/* The last hit noted since this was last asked. Returns 0 if there was none. */
int bh_probe_set_take_last(const struct bh_probe_set *set, struct bh_copy *copy,
			   uint64_t *address_ret, uint64_t *event_ret, uint64_t *visits_ret);

/* --- in the tracee; the tracer writes and reads it --- */

#define BH_PROBES_MAX	   256
#define BH_PROBE_CODES_MAX 512
#define BH_PROBE_BYTES_MAX 16384
#define BH_PROBE_REGISTERS 96

struct bh_probe {
	uint64_t address;
	uint64_t event, visits; /* in this event */
	uint32_t first_code, code_count;
	uint32_t node, has_condition;
	uint64_t boot;
};

struct bh_probe_piece {
	uint32_t offset, length;
};

struct bh_probe_table {
	uint64_t wants_last;
	uint64_t last_number, last_event, last_visits; /* number from 1; 0: none */
	struct bh_probe probes[BH_PROBES_MAX];
	struct bh_probe_piece codes[BH_PROBE_CODES_MAX];
	uint8_t registers[BH_PROBE_REGISTERS];
	uint8_t bytes[BH_PROBE_BYTES_MAX];
};
extern struct bh_probe_table bh_probe_table;

/* What bh_probe_gate() leaves on the stack. */
struct bh_probe_frame {
	uint64_t general[15], flags;
	uint64_t return_address, number;
};

#define BH_PROBE_STACK 16384
extern uint8_t bh_probe_stack[BH_PROBE_STACK];
/* Called by stubs with the probe's number pushed. Returns there, or BH_PROBE_STOP behind that. */
void bh_probe_gate(void);
#define BH_PROBE_STOP 12
/* A fault at the first goes on at the second: the memory can't be read. */
extern const char bh_probe_load_access[], bh_probe_load_failed[];

#endif
