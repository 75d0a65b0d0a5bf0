/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Access to the memory of programs, which lies in the same address space. A bad pointer faults;
 * the host's handler asks the node for the place to go on (bh_image_ops.fault_fixup), and the
 * call returns a real -EFAULT.
 */
#ifndef _ASM_BACKHOP_UACCESS_H
#define _ASM_BACKHOP_UACCESS_H

#include <linux/string.h>
#include <asm/extable.h>

/* Both return the number of bytes that were not done: lib/usercopy.S. */
unsigned long bh_copy_user(void *to, const void *from, unsigned long len);
unsigned long bh_clear_user(void __user *to, unsigned long len);

#define BH_GET_USER(value, ptr, err, insn, reg)                                                    \
	asm volatile("1:	" insn " %[from],%" reg "[to]\n"                                   \
		     "2:\n"                                                                        \
		     ".subsection 1\n"                                                             \
		     "3:	mov %[efault],%[error]\n"                                                 \
		     "	xor %k[to],%k[to]\n"                                                        \
		     "	jmp 2b\n"                                                                   \
		     ".previous\n" _ASM_EXTABLE(1b, 3b)                                            \
		     : [to] "=r"(value), [error] "+r"(err)                                         \
		     : [from] "m"(*(ptr)), [efault] "i"(-EFAULT))

#define BH_PUT_USER(value, ptr, err, insn, reg)                                                    \
	asm volatile("1:	" insn " %" reg "[from],%[to]\n"                                   \
		     "2:\n"                                                                        \
		     ".subsection 1\n"                                                             \
		     "3:	mov %[efault],%[error]\n"                                                 \
		     "	jmp 2b\n"                                                                   \
		     ".previous\n" _ASM_EXTABLE(1b, 3b)                                            \
		     : [error] "+r"(err), [to] "=m"(*(ptr))                                        \
		     : [from] "r"(value), [efault] "i"(-EFAULT))

static __always_inline int __get_user_fn(size_t size, const void __user *from, void *to)
{
	unsigned long value;
	int err = 0;

	switch (size) {
	case 1:
		BH_GET_USER(value, (__force const u8 *)from, err, "movzbl", "k");
		*(u8 *)to = value;
		break;
	case 2:
		BH_GET_USER(value, (__force const u16 *)from, err, "movzwl", "k");
		*(u16 *)to = value;
		break;
	case 4:
		BH_GET_USER(value, (__force const u32 *)from, err, "movl", "k");
		*(u32 *)to = value;
		break;
	case 8:
		BH_GET_USER(value, (__force const u64 *)from, err, "movq", "q");
		*(u64 *)to = value;
		break;
	}
	return err;
}
#define __get_user_fn(size, from, to) __get_user_fn(size, from, to)

static __always_inline int __put_user_fn(size_t size, void __user *to, const void *from)
{
	int err = 0;

	switch (size) {
	case 1:
		BH_PUT_USER(*(const u8 *)from, (__force u8 *)to, err, "movb", "b");
		break;
	case 2:
		BH_PUT_USER(*(const u16 *)from, (__force u16 *)to, err, "movw", "w");
		break;
	case 4:
		BH_PUT_USER(*(const u32 *)from, (__force u32 *)to, err, "movl", "k");
		break;
	case 8:
		BH_PUT_USER(*(const u64 *)from, (__force u64 *)to, err, "movq", "q");
		break;
	}
	return err;
}
#define __put_user_fn(size, to, from) __put_user_fn(size, to, from)

#define __get_kernel_nofault(dst, src, type, label)                                                \
	do {                                                                                       \
		if (__get_user_fn(sizeof(type), (__force const void __user *)(src), (dst)))        \
			goto label;                                                                \
	} while (0)

#define __put_kernel_nofault(dst, src, type, label)                                                \
	do {                                                                                       \
		if (__put_user_fn(sizeof(type), (__force void __user *)(dst), (src)))              \
			goto label;                                                                \
	} while (0)

static __always_inline __must_check unsigned long
raw_copy_from_user(void *to, const void __user *from, unsigned long len)
{
	return bh_copy_user(to, (__force const void *)from, len);
}

static __always_inline __must_check unsigned long
raw_copy_to_user(void __user *to, const void *from, unsigned long len)
{
	return bh_copy_user((__force void *)to, from, len);
}

#define INLINE_COPY_FROM_USER
#define INLINE_COPY_TO_USER

#define __clear_user(to, len) bh_clear_user(to, len)

#include <asm-generic/uaccess.h>

#endif
