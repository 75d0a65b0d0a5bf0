// SPDX-License-Identifier: GPL-2.0
/* ptrace() inside a node: memory and registers can't be had; a debugger comes from outside. */
#include <linux/ptrace.h>

void ptrace_disable(struct task_struct *child)
{
}

long arch_ptrace(struct task_struct *child, long request, unsigned long addr, unsigned long data)
{
	return ptrace_request(child, request, addr, data);
}
