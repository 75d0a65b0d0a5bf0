/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gates: the tracer (ptrace.c) points the instruction pointer of a stopped tracee here, on a
 * scratch stack, waits for the int3 and puts the registers back. Nothing here touches the
 * simulated world: that is what makes a checkpoint invisible.
 */
#include <sys/syscall.h>

	/* CLONE_PARENT | SIGCHLD: all copies are children of the tracer, so that none needs
	 * another to be reaped. */
#define FORK_FLAGS (0x8000 | 17)

	.text
	.globl bh_fork_gate, bh_call_gate, bh_gates_end
	.type bh_fork_gate, @function
bh_fork_gate:
	.cfi_startproc
	.cfi_undefined rip
	movl	$SYS_clone, %eax
	movl	$FORK_FLAGS, %edi
	xorl	%esi, %esi
	xorl	%edx, %edx
	xorl	%r10d, %r10d
	xorl	%r8d, %r8d
	syscall
	testq	%rax, %rax
	jnz	1f
	testq	%rbx, %rbx
	jz	1f
	call	*%rbx
	xorl	%eax, %eax
1:	int3
	.cfi_endproc
	.size bh_fork_gate, . - bh_fork_gate

	.type bh_call_gate, @function
bh_call_gate:
	.cfi_startproc
	.cfi_undefined rip
	call	*%rbx
	int3
	.cfi_endproc
	.size bh_call_gate, . - bh_call_gate
bh_gates_end:

	.section .note.GNU-stack, "", @progbits
