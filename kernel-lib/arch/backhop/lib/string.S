/* SPDX-License-Identifier: GPL-2.0 */
/*
 * memcpy, memmove, memset without vector registers. Short lengths are done with overlapping
 * accesses, long ones with 8-byte string instructions: these are fast in the machine, and one step
 * of a debugger moves 8 bytes.
 */
#include <linux/linkage.h>

	.cfi_sections .debug_frame
	.section .text.bh_string, "ax", @progbits

#define REP_MIN 256
/* From here on, clearing leaves pages alone that are zero already. */
#define SPARSE_MIN 8192
#define PAGE_BYTES 4096

/* void *memmove(void *to, const void *from, size_t len): the loads of a step precede its stores. */
SYM_FUNC_START(memmove)
	.cfi_startproc
	mov %rdi, %rax
	mov %rdi, %rcx
	sub %rsi, %rcx
	cmp %rdx, %rcx
	jae .Lcopy			/* to isn't inside from .. from + len */
	cmp $16, %rdx
	jbe .Lcopy			/* the short copies load everything first */
	/* Backwards, 8 bytes a step; the first 8 bytes are loaded ahead and stored last. */
	mov (%rsi), %r8
1:
	mov -8(%rsi,%rdx), %r9
	mov %r9, -8(%rdi,%rdx)
	sub $8, %rdx
	cmp $8, %rdx
	ja 1b
	mov %r8, (%rdi)
	ret
	.cfi_endproc
SYM_FUNC_END(memmove)

/* void *memcpy(void *to, const void *from, size_t len) */
SYM_FUNC_START(memcpy)
	.cfi_startproc
	mov %rdi, %rax
.Lcopy:
	cmp $16, %rdx
	jbe .Lcopy_short
	cmp $REP_MIN, %rdx
	jae .Lcopy_long
	/* 17 to 255 bytes: 16 a step, and the last 16 once more, overlapping; loaded ahead, because
	 * memmove may come here with from above to. */
	mov -16(%rsi,%rdx), %r10
	mov -8(%rsi,%rdx), %r11
	lea -16(%rdi,%rdx), %rcx
1:
	mov (%rsi), %r8
	mov 8(%rsi), %r9
	mov %r8, (%rdi)
	mov %r9, 8(%rdi)
	add $16, %rsi
	add $16, %rdi
	cmp %rcx, %rdi
	jb 1b
	mov %r10, (%rcx)
	mov %r11, 8(%rcx)
	ret
.Lcopy_long:
	mov -8(%rsi,%rdx), %r10
	lea -8(%rdi,%rdx), %r11
	mov %rdx, %rcx
	shr $3, %rcx
	rep movsq
	mov %r10, (%r11)
	ret
.Lcopy_short:
	cmp $8, %edx
	jb 2f
	mov (%rsi), %r8
	mov -8(%rsi,%rdx), %r9
	mov %r8, (%rdi)
	mov %r9, -8(%rdi,%rdx)
	ret
2:
	cmp $4, %edx
	jb 3f
	mov (%rsi), %r8d
	mov -4(%rsi,%rdx), %r9d
	mov %r8d, (%rdi)
	mov %r9d, -4(%rdi,%rdx)
	ret
3:
	test %edx, %edx
	jz 4f
	/* 1 to 3 bytes: the first, the middle and the last, which may be the same. */
	movzbl (%rsi), %r8d
	movzbl -1(%rsi,%rdx), %r9d
	mov %edx, %ecx
	shr $1, %ecx
	movzbl (%rsi,%rcx), %r10d
	mov %r8b, (%rdi)
	mov %r10b, (%rdi,%rcx)
	mov %r9b, -1(%rdi,%rdx)
4:
	ret
	.cfi_endproc
SYM_FUNC_END(memcpy)

/* void *memset(void *to, int byte, size_t len) */
SYM_FUNC_START(memset)
	.cfi_startproc
	mov %rdi, %r8
	movzbl %sil, %eax
	mov $0x0101010101010101, %rcx
	imul %rcx, %rax
	cmp $8, %rdx
	jb 3f
	cmp $SPARSE_MIN, %rdx
	jae 6f
0:
	mov %rax, -8(%rdi,%rdx)
	cmp $REP_MIN, %rdx
	jae 2f
	lea -8(%rdi,%rdx), %rcx
1:
	mov %rax, (%rdi)
	add $8, %rdi
	cmp %rcx, %rdi
	jb 1b
	mov %r8, %rax
	ret
2:
	mov %rdx, %rcx
	shr $3, %rcx
	rep stosq
	mov %r8, %rax
	ret
3:
	test %edx, %edx
	jz 5f
4:
	mov %al, -1(%rdi,%rdx)
	dec %edx
	jnz 4b
5:
	mov %r8, %rax
	ret
6:
	test %rax, %rax
	jnz 0b
	/*
	 * Clearing of much memory, as when a hash table is made: a page that was never written is
	 * zero, and only as long as nobody writes to it does it cost the host nothing.
	 */
	lea (%rdi,%rdx), %rsi
7:
	lea PAGE_BYTES(%rdi), %rdx
	and $-PAGE_BYTES, %rdx
	cmp %rsi, %rdx
	cmova %rsi, %rdx
	mov %rdx, %rcx
	sub %rdi, %rcx
	cmp $PAGE_BYTES, %rcx
	jne 9f
	mov %rdi, %r9
8:
	mov (%r9), %rcx
	or 8(%r9), %rcx
	or 16(%r9), %rcx
	or 24(%r9), %rcx
	or 32(%r9), %rcx
	or 40(%r9), %rcx
	or 48(%r9), %rcx
	or 56(%r9), %rcx
	jnz 9f
	add $64, %r9
	cmp %rdx, %r9
	jb 8b
	mov %rdx, %rdi
9:
	mov %rdx, %rcx
	sub %rdi, %rcx
	rep stosb
	cmp %rsi, %rdi
	jb 7b
	mov %r8, %rax
	ret
	.cfi_endproc
SYM_FUNC_END(memset)

/* void bh_clear_page(void *page) */
SYM_FUNC_START(bh_clear_page)
	.cfi_startproc
	xor %eax, %eax
	mov $512, %ecx
	rep stosq
	ret
	.cfi_endproc
SYM_FUNC_END(bh_clear_page)

/* void bh_copy_page(void *to, const void *from) */
SYM_FUNC_START(bh_copy_page)
	.cfi_startproc
	mov $512, %ecx
	rep movsq
	ret
	.cfi_endproc
SYM_FUNC_END(bh_copy_page)

	.section .note.GNU-stack, "", @progbits
