/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate and its trap: see gate.h. Written by simulator/sim_event.c, read by replayer/. */
#include "simulator/gate.h"

struct bh_gate bh_gate = {.node = UINT32_MAX};

/*
 * In assembly, so that the tracer finds nothing but these two instructions here. What was compared
 * with stop_event is left in no register, nor in the flags: it differs with where the tracer comes
 * from, and a position has one state.
 */
__asm__(".text\n"
	".globl bh_gate_stop\n"
	".type bh_gate_stop, @function\n"
	"bh_gate_stop:\n"
	"	.cfi_startproc\n"
	"	xorl %ecx, %ecx\n"
	"	xorl %edx, %edx\n"
	"	xorl %esi, %esi\n"
	"	xorl %edi, %edi\n"
	"	xorl %r8d, %r8d\n"
	"	xorl %r9d, %r9d\n"
	"	xorl %r10d, %r10d\n"
	"	xorl %r11d, %r11d\n"
	"	xorl %eax, %eax\n"
	"	jmp bh_gate_trap\n"
	"	.cfi_endproc\n"
	".size bh_gate_stop, . - bh_gate_stop\n"
	".globl bh_gate_trap\n"
	".type bh_gate_trap, @function\n"
	"bh_gate_trap:\n"
	"	.cfi_startproc\n"
	"	int3\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size bh_gate_trap, . - bh_gate_trap\n");
