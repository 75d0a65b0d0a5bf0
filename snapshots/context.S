/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registers of a snapshot: see internal.h. The offsets are those of struct
 * bh_snapshot_context. */

	.text
	.globl bh_snapshot_context_save, bh_snapshot_context_load
	.type bh_snapshot_context_save, @function
bh_snapshot_context_save:
	.cfi_startproc
	movq	%rbx, 0(%rdi)
	movq	%rbp, 8(%rdi)
	movq	%r12, 16(%rdi)
	movq	%r13, 24(%rdi)
	movq	%r14, 32(%rdi)
	movq	%r15, 40(%rdi)
	leaq	8(%rsp), %rax
	movq	%rax, 48(%rdi)
	movq	(%rsp), %rax
	movq	%rax, 56(%rdi)
	rdfsbase %rax
	movq	%rax, 64(%rdi)
	stmxcsr	72(%rdi)
	fnstcw	76(%rdi)
	xorl	%eax, %eax
	ret
	.cfi_endproc
	.size bh_snapshot_context_save, . - bh_snapshot_context_save

	.type bh_snapshot_context_load, @function
bh_snapshot_context_load:
	.cfi_startproc
	.cfi_undefined rip
	movq	64(%rdi), %rax
	wrfsbase %rax
	ldmxcsr	72(%rdi)
	fldcw	76(%rdi)
	movq	0(%rdi), %rbx
	movq	8(%rdi), %rbp
	movq	16(%rdi), %r12
	movq	24(%rdi), %r13
	movq	32(%rdi), %r14
	movq	40(%rdi), %r15
	movq	48(%rdi), %rsp
	movl	$1, %eax
	jmpq	*56(%rdi)
	.cfi_endproc
	.size bh_snapshot_context_load, . - bh_snapshot_context_load

	.section .note.GNU-stack, "", @progbits
