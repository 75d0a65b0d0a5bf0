/* SPDX-License-Identifier: GPL-2.0 */
/* The registers of a program, in x86-64's order (struct user_regs_struct up to ss). */
#ifndef _ASM_BACKHOP_PTRACE_H
#define _ASM_BACKHOP_PTRACE_H

#include <uapi/asm/ptrace.h>

#ifndef __ASSEMBLY__

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax;
	unsigned long ip, cs, flags, sp, ss;
};

/* Programs and kernel run at the same privilege; frames of programs are marked by a code segment.
 */
#define BH_USER_CS 0x33
#define BH_USER_DS 0x2b

#define user_mode(regs)		   ((regs)->cs == BH_USER_CS)
#define instruction_pointer(regs)  ((regs)->ip)
#define user_stack_pointer(regs)   ((regs)->sp)
#define kernel_stack_pointer(regs) ((regs)->sp)
#define frame_pointer(regs)	   ((regs)->bp)
#define profile_pc(regs)	   instruction_pointer(regs)

static inline unsigned long regs_return_value(struct pt_regs *regs)
{
	return regs->ax;
}

static inline void regs_set_return_value(struct pt_regs *regs, unsigned long value)
{
	regs->ax = value;
}

static inline void instruction_pointer_set(struct pt_regs *regs, unsigned long value)
{
	regs->ip = value;
}

#endif
#endif
