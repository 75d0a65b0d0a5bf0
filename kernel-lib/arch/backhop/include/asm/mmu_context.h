/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_BACKHOP_MMU_CONTEXT_H
#define _ASM_BACKHOP_MMU_CONTEXT_H

#include <asm-generic/nommu_context.h>

/* Kernel stacks (process.c). Here, because kernel/fork.c includes this and hardly anyone else. */
struct task_struct;
unsigned long *arch_alloc_thread_stack_node(struct task_struct *task, int node);
void arch_free_thread_stack(struct task_struct *task);

#endif
