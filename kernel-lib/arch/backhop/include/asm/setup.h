/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of this port share: the host's tables and the parts that boot them. */
#ifndef _ASM_BACKHOP_SETUP_H
#define _ASM_BACKHOP_SETUP_H

#include <uapi/asm/setup.h>

#ifndef __ASSEMBLY__

#include <asm/host_abi.h>

/* The host's record of this node: set by the entry point before anything else runs. */
extern struct bh_boot *bh_boot;

struct pt_regs;

/* memory.c: RAM, and more of it for the page allocator if little is free. */
void bh_memory_setup(void);
void bh_memory_check(void);

void bh_netdev_interrupt(void);
void bh_link_interrupt(void);
void bh_netdev_up(void);
void bh_spawn_interrupt(void);
void bh_terminal_interrupt(void);
int bh_terminal_is_read(void);
void bh_timer_interrupt(void);
/* image_ops.oops of host_abi.h. */
void bh_oops(struct pt_regs *regs, int signal, int has_address, unsigned long address);
/* The calls that led to regs, in the kernel log. */
void bh_show_trace(struct pt_regs *regs, const char *level);

/* Starts a program in the current task, which has just been created; returns 0 when the task is
 * to enter user mode by task_pt_regs(current), or -errno. posix/ has the strong one (user.c). */
int bh_spawn_program(const struct bh_spawn *spawn);
/* First and every later return of a task to user mode; does not return. posix/ has it. */
void bh_user_enter(struct pt_regs *regs) __attribute__((noreturn));
/* The CPU goes from one task to another and at least one of them has a host record. posix/. */
struct task_struct;
void bh_user_switch(struct task_struct *from, struct task_struct *to);
/* A task was copied from current (to->thread.host is already NULL); 0 or -errno. posix/. */
struct kernel_clone_args;
int bh_user_fork(struct task_struct *to, const struct kernel_clone_args *args);
/* A task's memory is about to be freed; posix/ drops thread.host. */
void bh_user_release(struct task_struct *task);

#endif
#endif
