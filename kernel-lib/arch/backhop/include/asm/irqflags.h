/* SPDX-License-Identifier: GPL-2.0 */
/* Interrupts arrive only in the idle task, so whether they are enabled is only bookkeeping. */
#ifndef _ASM_BACKHOP_IRQFLAGS_H
#define _ASM_BACKHOP_IRQFLAGS_H

#define ARCH_IRQ_DISABLED 1
#define ARCH_IRQ_ENABLED  0

#ifndef __ASSEMBLY__

#include <linux/compiler.h>

extern unsigned long bh_irqs_disabled;

static __always_inline unsigned long arch_local_save_flags(void)
{
	return READ_ONCE(bh_irqs_disabled);
}

static __always_inline void arch_local_irq_restore(unsigned long flags)
{
	barrier();
	WRITE_ONCE(bh_irqs_disabled, flags);
}

static __always_inline void arch_local_irq_disable(void)
{
	WRITE_ONCE(bh_irqs_disabled, ARCH_IRQ_DISABLED);
	barrier();
}

static __always_inline void arch_local_irq_enable(void)
{
	barrier();
	WRITE_ONCE(bh_irqs_disabled, ARCH_IRQ_ENABLED);
}

static __always_inline unsigned long arch_local_irq_save(void)
{
	unsigned long flags = arch_local_save_flags();

	arch_local_irq_disable();
	return flags;
}

static __always_inline int arch_irqs_disabled_flags(unsigned long flags)
{
	return flags != ARCH_IRQ_ENABLED;
}

static __always_inline int arch_irqs_disabled(void)
{
	return arch_irqs_disabled_flags(arch_local_save_flags());
}

#endif
#endif
