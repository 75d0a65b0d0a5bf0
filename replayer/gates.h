/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places in our own text through which the tracer runs code in a stopped tracee. See gates.S.
 */
#ifndef BH_REPLAYER_GATES_H
#define BH_REPLAYER_GATES_H

/* Makes the raw fork, then int3: in the parent at once, in the child after calling the function
 * whose address is in rbx, unless that is 0. */
extern const char bh_fork_gate[];
/* Calls rbx with rdi, then int3. */
extern const char bh_call_gate[];
/* First address past the gates. */
extern const char bh_gates_end[];

#endif
