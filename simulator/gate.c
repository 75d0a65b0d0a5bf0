/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate and its trap: see gate.h. Written by simulator/sim_event.c, read by replayer/. */
#include "simulator/gate.h"

#include <stddef.h>

struct bh_gate bh_gate = {.node = UINT32_MAX};

_Static_assert(offsetof(struct bh_gate, event) == 0 && offsetof(struct bh_gate, stop_event) == 40,
	       "what bh_gate_pass() compares");

/*
 * In assembly, so that the tracer finds nothing but these two instructions at the trap, and so that
 * both ways leave the same in each register and in the flags: it would show later where the tracer
 * had stopped before, in what a function saves on the stack, and a position has one state.
 *
 * stop_event - 1 is below event when the trap is to be taken; without a stop_event it never is.
 */
__asm__(".text\n"
	".macro bh_gate_forget\n"
	"	xorl %ecx, %ecx\n"
	"	xorl %edx, %edx\n"
	"	xorl %esi, %esi\n"
	"	xorl %edi, %edi\n"
	"	xorl %r8d, %r8d\n"
	"	xorl %r9d, %r9d\n"
	"	xorl %r10d, %r10d\n"
	"	xorl %r11d, %r11d\n"
	"	xorl %eax, %eax\n"
	".endm\n"
	".globl bh_gate_pass\n"
	".type bh_gate_pass, @function\n"
	"bh_gate_pass:\n"
	"	.cfi_startproc\n"
	"	movq bh_gate+40(%rip), %rax\n"
	"	subq $1, %rax\n"
	"	cmpq bh_gate(%rip), %rax\n"
	"	jb 1f\n"
	"	bh_gate_forget\n"
	"	ret\n"
	"1:	bh_gate_forget\n"
	"	jmp bh_gate_trap\n"
	"	.cfi_endproc\n"
	".size bh_gate_pass, . - bh_gate_pass\n"
	".globl bh_gate_trap\n"
	".type bh_gate_trap, @function\n"
	"bh_gate_trap:\n"
	"	.cfi_startproc\n"
	"	int3\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size bh_gate_trap, . - bh_gate_trap\n");
