/* SPDX-License-Identifier: GPL-2.0 */
/* One CPU and no devices: every barrier is a barrier for the compiler only. */
#ifndef _ASM_BACKHOP_BARRIER_H
#define _ASM_BACKHOP_BARRIER_H

#define mb()  barrier()
#define rmb() barrier()
#define wmb() barrier()

#include <asm-generic/barrier.h>

#endif
