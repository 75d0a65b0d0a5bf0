/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few kinds of x86-64 instructions that can't simply be executed under the trap flag. Pure
 * function over bytes; called by copy.c for every single step.
 */
#ifndef BH_REPLAYER_INSTRUCTION_H
#define BH_REPLAYER_INSTRUCTION_H

#include <stddef.h>
#include <stdint.h>

enum bh_instruction_kind {
	BH_INSTRUCTION_PLAIN,
	BH_INSTRUCTION_SYSCALL, /* leaves the flags, with the trap flag, in r11 */
	BH_INSTRUCTION_PUSHF,	/* leaves them on the stack */
	/* These two load the flags. Linux (arch/x86/kernel/step.c, 6.1) takes a trap flag that was
	 * set again behind them for the program's own, and then it shows in signal frames. */
	BH_INSTRUCTION_POPF,
	BH_INSTRUCTION_IRET,	   /* goes on at the address on the stack */
	BH_INSTRUCTION_REP_STRING, /* traps after every turn */
};

/* bytes: at the program counter, at least count readable (15 are always enough). length_ret is set
 * for POPF and REP_STRING only. */
enum bh_instruction_kind bh_instruction_classify(const uint8_t *bytes, size_t count,
						 size_t *length_ret);

#endif
