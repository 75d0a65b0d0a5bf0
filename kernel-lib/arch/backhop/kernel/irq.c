// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts and the idle task. A node runs until its idle task gives the CPU back to the host;
 * the host sets bits in bh_boot.pending and resumes it, and the bits are handled here as
 * interrupts. So no kernel code is ever interrupted in the middle.
 */
#include <linux/cpu.h>
#include <linux/hardirq.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/sched.h>
#include <asm/irq_regs.h>
#include <asm/setup.h>

/* What the tick reads as "the interrupted registers": the kernel's. */
static struct pt_regs idle_regs;

void __init init_IRQ(void)
{
	set_irq_regs(&idle_regs);
}

void arch_cpu_idle(void)
{
	struct bh_boot *boot = bh_boot;
	unsigned long pending = boot->pending;

	if (!pending) {
		boot->host_ops->idle(boot->host);
		pending = boot->pending;
	}
	boot->pending = 0;
	irq_enter();
	if (pending & BH_IRQ_TIMER)
		bh_timer_interrupt();
	if (pending & BH_IRQ_NET)
		bh_netdev_interrupt();
	if (pending & BH_IRQ_SPAWN)
		bh_spawn_interrupt();
	irq_exit();
	/* Return after every interrupt: the idle loop looks anew for the next timer. */
	raw_local_irq_enable();
}
