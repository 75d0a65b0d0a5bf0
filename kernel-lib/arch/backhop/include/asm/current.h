/* SPDX-License-Identifier: GPL-2.0 */
/* The running task is one plain variable, so that the host and its debugger can read it. */
#ifndef _ASM_BACKHOP_CURRENT_H
#define _ASM_BACKHOP_CURRENT_H

#ifndef __ASSEMBLY__
struct task_struct;
extern struct task_struct *bh_current_task;
#define get_current() (bh_current_task)
#define current	      get_current()
#endif

#endif
