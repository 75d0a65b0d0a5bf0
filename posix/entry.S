/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a program's trap into the host and back. A handler of traps.c (later also the stub behind a
 * rewritten system call) has saved the program's registers at the top of the task's kernel stack
 * and its FP state in the task's record; bh_user_trap() goes on from there on the kernel stack.
 * There is one way back, which restores everything and needs no call of the host.
 *
 * The unwind information of bh_user_trap says where the program's registers lie, so a debugger's
 * backtrace runs from the kernel through here into the program.
 */

/* struct bh_task_view of posix.h; tasks.c asserts these. */
#define VIEW_REGS       0
#define VIEW_FS_BASE    8
#define VIEW_GS_BASE    16
#define VIEW_XSAVE      24
#define VIEW_IN_PROGRAM 32

/* Where a program's registers lie below a CFA that is the end of its struct pt_regs. */
.macro SAVED_REGISTERS
	.cfi_offset r15, -168
	.cfi_offset r14, -160
	.cfi_offset r13, -152
	.cfi_offset r12, -144
	.cfi_offset rbp, -136
	.cfi_offset rbx, -128
	.cfi_offset r11, -120
	.cfi_offset r10, -112
	.cfi_offset r9, -104
	.cfi_offset r8, -96
	.cfi_offset rax, -88
	.cfi_offset rcx, -80
	.cfi_offset rdx, -72
	.cfi_offset rsi, -64
	.cfi_offset rdi, -56
	.cfi_offset rip, -40
	.cfi_offset rsp, -16
.endm

	.text

/*
 * void bh_user_trap(struct bh_task *task, struct pt_regs *regs, bh_trap_fn trap)
 *
 * regs are aligned to 16 bytes, as the stack must be at a call.
 */
	.globl bh_user_trap
	.hidden bh_user_trap
	.type bh_user_trap, @function
	.balign 16
bh_user_trap:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa rsi, 168
	SAVED_REGISTERS
	mov %rsi, %rsp
	.cfi_def_cfa_register rsp
	cld
	mov %rdi, %rbx
	call *%rdx
	mov %rbx, %rdi
	jmp bh_user_enter
	.cfi_endproc
	.size bh_user_trap, . - bh_user_trap

/*
 * From the stub of a changed system call (code_sites.c), with the program's registers as the
 * "syscall" instruction would leave them, but for r11: rcx is the address behind it. Saves what the
 * host saves for a handler, where a handler puts it.
 */
	.globl bh_user_call
	.hidden bh_user_call
	.type bh_user_call, @function
	.balign 16
bh_user_call:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa rsp, 0
	.cfi_register rip, rcx
	.cfi_val_offset rsp, 0
	mov bh_trap_task(%rip), %r11
	mov VIEW_REGS(%r11), %r11
	mov %rsp, 152(%r11)
	lea 152(%r11), %rsp
	.cfi_def_cfa r11, 168
	.cfi_offset rsp, -16
	pushfq
	mov %r15, (%r11)
	mov %r14, 8(%r11)
	mov %r13, 16(%r11)
	mov %r12, 24(%r11)
	mov %rbp, 32(%r11)
	mov %rbx, 40(%r11)
	mov %r10, 56(%r11)
	mov %r9, 64(%r11)
	mov %r8, 72(%r11)
	movq $-38, 80(%r11) /* -ENOSYS */
	mov %rcx, 88(%r11)
	mov %rdx, 96(%r11)
	mov %rsi, 104(%r11)
	mov %rdi, 112(%r11)
	mov %rax, 120(%r11)
	mov %rcx, 128(%r11)
	movq $0x33, 136(%r11)
	movq $0x2b, 160(%r11)
	mov 144(%r11), %rax
	and $~0x10100, %rax /* a debugger's trap flag, resume flag */
	mov %rax, 144(%r11)
	mov %rax, 48(%r11)
	mov %r11, %rsi
	.cfi_def_cfa_register rsi
	SAVED_REGISTERS
	mov %rsi, %rsp
	.cfi_def_cfa_register rsp
	cld
	mov bh_trap_task(%rip), %rbx
	movq $0, VIEW_IN_PROGRAM(%rbx)
	rdfsbase %rax
	mov %rax, VIEW_FS_BASE(%rbx)
	rdgsbase %rax
	mov %rax, VIEW_GS_BASE(%rbx)
	mov bh_host_fs_base(%rip), %rax
	wrfsbase %rax
	/* Neither the kernel nor the dispatcher touches FP registers: whatever does saves them. */
	movb $1, bh_fp_is_live(%rip)
	mov %rbx, %rdi
	call bh_syscall_dispatch
	mov %rbx, %rdi
	jmp bh_user_enter
	.cfi_endproc
	.size bh_user_call, . - bh_user_call

/* void bh_user_enter(struct bh_task *task) */
	.globl bh_user_enter
	.hidden bh_user_enter
	.type bh_user_enter, @function
	.balign 16
bh_user_enter:
	.cfi_startproc
	cmpb $0, bh_fp_is_live(%rip)
	movb $0, bh_fp_is_live(%rip)
	je 1f
	cmp %rdi, bh_trap_task(%rip)
	je 2f
1:
	mov %rdi, bh_trap_task(%rip)
	mov VIEW_XSAVE(%rdi), %rcx
	mov bh_xsave_mask(%rip), %rax
	mov %rax, %rdx
	shr $32, %rdx
	xrstor64 (%rcx)
2:
	mov VIEW_REGS(%rdi), %rsp
	/* After an ordinary call rcx and r11 are as the instruction leaves them: then there is a
	 * faster way than iretq, which is for all others. */
	mov 128(%rsp), %rax
	mov 144(%rsp), %rcx
	cmp %rax, 88(%rsp)
	jne 3f
	cmp %rcx, 48(%rsp)
	jne 3f
	shr $47, %rax
	jnz 3f
	mov VIEW_FS_BASE(%rdi), %rax
	mov VIEW_GS_BASE(%rdi), %rdx
	movq $1, VIEW_IN_PROGRAM(%rdi)
	/* From here on a handler takes what happens for the program's. */
	wrgsbase %rdx
	wrfsbase %rax
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	add $24, %rsp
	popfq
	pop %rsp
	jmp *%rcx
3:
	mov VIEW_FS_BASE(%rdi), %rax
	mov VIEW_GS_BASE(%rdi), %rdx
	movq $1, VIEW_IN_PROGRAM(%rdi)
	wrgsbase %rdx
	wrfsbase %rax
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	add $8, %rsp
	.globl bh_user_iret
	.hidden bh_user_iret
bh_user_iret:
	iretq
	.cfi_endproc
	.size bh_user_enter, . - bh_user_enter

/* void bh_on_stack(void (*function)(void *), void *arg, void *stack_top) */
	.globl bh_on_stack
	.hidden bh_on_stack
	.type bh_on_stack, @function
	.balign 16
bh_on_stack:
	.cfi_startproc
	push %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	mov %rsp, %rbp
	.cfi_def_cfa_register rbp
	mov %rdx, %rsp
	mov %rdi, %rax
	mov %rsi, %rdi
	call *%rax
	mov %rbp, %rsp
	.cfi_def_cfa_register rsp
	pop %rbp
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size bh_on_stack, . - bh_on_stack

/*
 * void bh_fp_save(void): puts the FP registers of the program whose task has trapped into its
 * record, if they are still in place. Keeps all registers but rax.
 */
	.globl bh_fp_save
	.hidden bh_fp_save
	.type bh_fp_save, @function
	.balign 16
bh_fp_save:
	.cfi_startproc
	cmpb $0, bh_fp_is_live(%rip)
	je 1f
	push %rcx
	.cfi_adjust_cfa_offset 8
	push %rdx
	.cfi_adjust_cfa_offset 8
	mov bh_trap_task(%rip), %rcx
	mov VIEW_XSAVE(%rcx), %rcx
	mov bh_xsave_mask(%rip), %rax
	mov %rax, %rdx
	shr $32, %rdx
	xsave64 (%rcx)
	movb $0, bh_fp_is_live(%rip)
	pop %rdx
	.cfi_adjust_cfa_offset -8
	pop %rcx
	.cfi_adjust_cfa_offset -8
1:
	ret
	.cfi_endproc
	.size bh_fp_save, . - bh_fp_save

/*
 * What the image calls instead of the host's functions (fp.c): BH_FP_THUNKS pieces of code, each of
 * BH_FP_THUNK_SIZE bytes, that save the FP registers and go on to the function of the same number.
 */
#define BH_FP_THUNKS     64
#define BH_FP_THUNK_SIZE 32
	.globl bh_fp_thunks
	.hidden bh_fp_thunks
	.type bh_fp_thunks, @function
	.balign BH_FP_THUNK_SIZE
bh_fp_thunks:
	.cfi_startproc
	.set number, 0
	.rept BH_FP_THUNKS
	.balign BH_FP_THUNK_SIZE
	lea bh_fp_targets + 8 * number(%rip), %r11
	cmpb $0, bh_fp_is_live(%rip)
	je 1f
	call bh_fp_save
1:
	jmp *(%r11)
	.set number, number + 1
	.endr
	.cfi_endproc
	.size bh_fp_thunks, . - bh_fp_thunks

	.section .note.GNU-stack, "", @progbits
