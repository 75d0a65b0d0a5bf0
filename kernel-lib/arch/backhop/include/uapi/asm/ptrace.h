/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* The requests are x86-64's; struct pt_regs is in the kernel's asm/ptrace.h. */
#include <asm/ptrace-abi.h>
