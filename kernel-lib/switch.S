/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exchange of the host's stack and a node's, for node.c. What lies at a saved stack pointer is
 * the same on both sides and in the kernel (struct bh_task_layout).
 */
	.text

/* void bh_stack_switch(unsigned long *sp_ret, unsigned long sp) */
	.globl bh_stack_switch
	.type bh_stack_switch, @function
bh_stack_switch:
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
	.size bh_stack_switch, . - bh_stack_switch

/*
 * The first frame of a boot stack: rbx is the image's entry, r12 its argument, and the word at rsp
 * is the address of bh_boot.host_sp. Its caller, for an unwinder, is whoever resumed the node last.
 */
	.globl bh_boot_stack_start
	.type bh_boot_stack_start, @function
bh_boot_stack_start:
	.cfi_startproc
	.cfi_signal_frame
	/* CFA = **rsp + 56: DW_CFA_def_cfa_expression, breg7 0, deref, deref, plus 56 */
	.cfi_escape 0x0f, 6, 0x77, 0x00, 0x06, 0x06, 0x23, 56
	.cfi_offset rip, -8
	.cfi_offset rbp, -16
	.cfi_offset rbx, -24
	.cfi_offset r12, -32
	.cfi_offset r13, -40
	.cfi_offset r14, -48
	.cfi_offset r15, -56
	xor %ebp, %ebp
	mov %r12, %rdi
	call *%rbx
	ud2
	.cfi_endproc
	.size bh_boot_stack_start, . - bh_boot_stack_start

	.section .note.GNU-stack, "", @progbits
