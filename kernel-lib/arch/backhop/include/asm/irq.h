/* SPDX-License-Identifier: GPL-2.0 */
/* There are no interrupt lines: the host raises bits of bh_boot.pending (kernel/irq.c). */
#ifndef _ASM_BACKHOP_IRQ_H
#define _ASM_BACKHOP_IRQ_H

#define NR_IRQS 1
#include <asm-generic/irq.h>

#endif
