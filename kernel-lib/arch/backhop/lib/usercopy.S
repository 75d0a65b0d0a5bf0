/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copies between the kernel and programs. An access that faults continues at the place named by
 * its EXTABLE entry with all registers as they were; from there bytes are tried one by one, so the
 * number of bytes left is exact.
 */
#include <linux/linkage.h>
#include <asm/extable.h>

	.cfi_sections .debug_frame
	.section .text.bh_usercopy, "ax", @progbits

#define REP_MIN 256

/* unsigned long bh_copy_user(void *to, const void *from, unsigned long len): bytes not copied */
SYM_FUNC_START(bh_copy_user)
	.cfi_startproc
	cmp $REP_MIN, %rdx
	jae .Lcopy_long
	cmp $16, %rdx
	jb .Lcopy_8
.Lcopy_16:
1:	mov (%rsi), %r8
2:	mov 8(%rsi), %r9
3:	mov %r8, (%rdi)
4:	mov %r9, 8(%rdi)
	EXTABLE 1b, .Lcopy_bytes
	EXTABLE 2b, .Lcopy_bytes
	EXTABLE 3b, .Lcopy_bytes
	EXTABLE 4b, .Lcopy_bytes
	add $16, %rsi
	add $16, %rdi
	sub $16, %rdx
	cmp $16, %rdx
	jae .Lcopy_16
.Lcopy_8:
	cmp $8, %rdx
	jb .Lcopy_4
1:	mov (%rsi), %r8
2:	mov %r8, (%rdi)
	EXTABLE 1b, .Lcopy_bytes
	EXTABLE 2b, .Lcopy_bytes
	add $8, %rsi
	add $8, %rdi
	sub $8, %rdx
.Lcopy_4:
	cmp $4, %rdx
	jb .Lcopy_bytes
1:	mov (%rsi), %r8d
2:	mov %r8d, (%rdi)
	EXTABLE 1b, .Lcopy_bytes
	EXTABLE 2b, .Lcopy_bytes
	add $4, %rsi
	add $4, %rdi
	sub $4, %rdx
.Lcopy_bytes:
	test %rdx, %rdx
	jz .Lcopy_end
1:	movzbl (%rsi), %r8d
2:	mov %r8b, (%rdi)
	EXTABLE 1b, .Lcopy_end
	EXTABLE 2b, .Lcopy_end
	inc %rsi
	inc %rdi
	dec %rdx
	jmp .Lcopy_bytes
.Lcopy_end:
	mov %rdx, %rax
	ret
.Lcopy_long:
	mov %rdx, %rcx
	shr $3, %rcx
	and $7, %edx
1:	rep movsq
	EXTABLE 1b, .Lcopy_long_fault
	jmp .Lcopy_4
.Lcopy_long_fault:
	lea (%rdx,%rcx,8), %rdx
	jmp .Lcopy_bytes
	.cfi_endproc
SYM_FUNC_END(bh_copy_user)

/* unsigned long bh_clear_user(void *to, unsigned long len): bytes not cleared */
SYM_FUNC_START(bh_clear_user)
	.cfi_startproc
	mov %rsi, %rdx
	mov %rsi, %rcx
	shr $3, %rcx
	and $7, %edx
	xor %eax, %eax
1:	rep stosq
	EXTABLE 1b, .Lclear_fault
.Lclear_bytes:
	test %rdx, %rdx
	jz .Lclear_end
1:	movb $0, (%rdi)
	EXTABLE 1b, .Lclear_end
	inc %rdi
	dec %rdx
	jmp .Lclear_bytes
.Lclear_fault:
	lea (%rdx,%rcx,8), %rdx
	jmp .Lclear_bytes
.Lclear_end:
	mov %rdx, %rax
	ret
	.cfi_endproc
SYM_FUNC_END(bh_clear_user)

	.section .note.GNU-stack, "", @progbits
