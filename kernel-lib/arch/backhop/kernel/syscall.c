// SPDX-License-Identifier: GPL-2.0
/*
 * The table of system calls, with x86-64's numbers. Calls that only exist on x86, or whose work is
 * posix/'s, are weak and answer ENOSYS until its files define them.
 */
#include <linux/errno.h>
#include <linux/linkage.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#define BH_SYSCALL_ARGS                                                                            \
	unsigned long, unsigned long, unsigned long, unsigned long, unsigned long, unsigned long

asmlinkage long sys_ni_syscall(BH_SYSCALL_ARGS);

asmlinkage long bh_not_implemented(BH_SYSCALL_ARGS);
asmlinkage long bh_not_implemented(unsigned long a, unsigned long b, unsigned long c,
				   unsigned long d, unsigned long e, unsigned long f)
{
	return -ENOSYS;
}

#define BH_WEAK_SYSCALL(name)                                                                      \
	asmlinkage long __attribute__((weak, alias("bh_not_implemented"))) name(BH_SYSCALL_ARGS)

BH_WEAK_SYSCALL(sys_arch_prctl);
BH_WEAK_SYSCALL(sys_ioperm);
BH_WEAK_SYSCALL(sys_iopl);
BH_WEAK_SYSCALL(sys_mmap);
BH_WEAK_SYSCALL(sys_modify_ldt);
BH_WEAK_SYSCALL(sys_rt_sigreturn);

/* The table is read twice: <linux/syscalls.h> doesn't declare all of it, so this file does. */
#define __SYSCALL_NORETURN(nr, name) __SYSCALL(nr, name)
#define __SYSCALL(nr, name)	     asmlinkage long name(BH_SYSCALL_ARGS);
#include <asm/syscall_table_64.h>
#undef __SYSCALL

#define __SYSCALL(nr, name) [nr] = name,
const sys_call_ptr_t sys_call_table[] = {
#include <asm/syscall_table_64.h>
};
