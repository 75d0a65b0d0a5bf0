/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* Programs of x86-64 run unmodified, so this is x86's own layout. */
#include <../arch/x86/include/uapi/asm/ptrace-abi.h>
