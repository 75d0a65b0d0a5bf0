/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The exchange of two kernel stacks, and the first frame of every task. The unwind information is
 * for debuggers only, so it goes to .debug_frame.
 */
#include <linux/linkage.h>
#include <asm/asm-offsets.h>

	.cfi_sections .debug_frame
	.section .text.bh_switch, "ax", @progbits

/*
 * struct task_struct *bh_switch_stacks(unsigned long *sp_ret, unsigned long sp,
 *					struct task_struct *prev)
 */
SYM_FUNC_START(bh_switch_stacks)
	.cfi_startproc
	push %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	push %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	push %r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	push %r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r13, 0
	push %r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r14, 0
	push %r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r15, 0
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	mov %rdx, %rax
	pop %r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore r15
	pop %r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore r14
	pop %r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore r13
	pop %r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	pop %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	pop %rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	ret
	.cfi_endproc
SYM_FUNC_END(bh_switch_stacks)

/*
 * Where a new task starts: rax is the task that ran before, rbx and r12 are a kernel function and
 * its argument, and rsp points at the task's pt_regs. Its caller, for an unwinder, is the host:
 * behind pt_regs lies the address of bh_boot.host_sp, and at the stack pointer stored there lie
 * the host's callee-saved registers and the address at which it goes on.
 */
SYM_FUNC_START(bh_ret_from_fork)
	.cfi_startproc
	.cfi_signal_frame
	/* CFA = **(rsp + 168) + 56: DW_CFA_def_cfa_expression, breg7 168, deref, deref, plus 56 */
	.cfi_escape 0x0f, 7, 0x77, 0xa8, 0x01, 0x06, 0x06, 0x23, 56
	.cfi_offset rip, -8
	.cfi_offset rbp, -16
	.cfi_offset rbx, -24
	.cfi_offset r12, -32
	.cfi_offset r13, -40
	.cfi_offset r14, -48
	.cfi_offset r15, -56
	.if BH_PT_REGS_SIZE != 168
	.error "the CFA expression above has the size of struct pt_regs in it"
	.endif
	mov %rax, %rdi
	call schedule_tail
	test %rbx, %rbx
	jz 1f
	mov %r12, %rdi
	call *%rbx
1:
	mov %rsp, %rdi
	call bh_task_enter_user
	ud2
	.cfi_endproc
SYM_FUNC_END(bh_ret_from_fork)

	.section .note.GNU-stack, "", @progbits
