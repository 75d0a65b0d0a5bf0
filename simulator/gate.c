/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate and its trap: see gate.h. Written by simulator/sim_event.c, read by replayer/. */
#include "simulator/gate.h"

struct bh_gate bh_gate = {.node = UINT32_MAX};

/* In assembly, so that the tracer finds nothing but these two instructions here. */
__asm__(".text\n"
	".globl bh_gate_trap\n"
	".type bh_gate_trap, @function\n"
	"bh_gate_trap:\n"
	"	.cfi_startproc\n"
	"	int3\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size bh_gate_trap, . - bh_gate_trap\n");
