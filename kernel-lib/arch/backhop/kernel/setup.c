// SPDX-License-Identifier: GPL-2.0
/*
 * Boot of a node: the entry point which the host calls, memory, and the ways in which a node ends.
 * Everything else that a start-up does is generic code.
 */
#include <linux/delay.h>
#include <linux/extable.h>
#include <linux/init.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/reboot.h>
#include <linux/sched/debug.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/start_kernel.h>
#include <linux/utsname.h>
#include <asm/sections.h>
#include <asm/setup.h>

struct bh_boot *bh_boot __section(".data");
struct task_struct *bh_current_task __section(".data") = &init_task;
unsigned long bh_irqs_disabled __section(".data");

char empty_zero_page[PAGE_SIZE] __page_aligned_bss;
static char boot_command_line_copy[COMMAND_LINE_SIZE];

/*
 * Without these, generic code would create devices of its own before the first real one, so that
 * eth0 would not get interface index 2. The host's command line comes after and can override it.
 */
static const char default_command_line[] __initconst =
	"dummy.numdummies=0 bonding.max_bonds=0 ifb.numifbs=0 fb_tunnels=none ";

static const struct bh_task_layout task_layout = {
	.current_task = (unsigned long)&bh_current_task,
	.init_task = (unsigned long)&init_task,
	.tasks = offsetof(struct task_struct, tasks),
	.signal = offsetof(struct task_struct, signal),
	.signal_thread_head = offsetof(struct signal_struct, thread_head),
	.thread_node = offsetof(struct task_struct, thread_node),
	.pid = offsetof(struct task_struct, pid),
	.tgid = offsetof(struct task_struct, tgid),
	.comm = offsetof(struct task_struct, comm),
	.stack = offsetof(struct task_struct, stack),
	.state = offsetof(struct task_struct, __state),
	.mm = offsetof(struct task_struct, mm),
#ifdef CONFIG_KCOV
	.kcov_handle = offsetof(struct task_struct, kcov_handle),
#endif
	.thread_sp = offsetof(struct task_struct, thread.sp),
	.thread_host = offsetof(struct task_struct, thread.host),
};

static unsigned long fault_fixup(unsigned long pc)
{
	const struct exception_table_entry *entry = search_exception_tables(pc);

	return entry ? (unsigned long)&entry->fixup + entry->fixup : 0;
}

/* The image's ELF entry point. The boot stack is the host's and becomes the idle task's. */
__visible __attribute__((visibility("default"), noreturn)) void __init
bh_image_entry(struct bh_boot *boot)
{
	unsigned long here = (unsigned long)__builtin_frame_address(0);

	BUILD_BUG_ON(THREAD_SIZE != BH_KERNEL_STACK_SIZE);
	if (boot->abi_version != BH_HOST_ABI_VERSION)
		boot->host_ops->halt(boot->host, BH_HALT_PANIC,
				     "host and image differ in their interface version");
	bh_boot = boot;
	boot->image_ops.fault_fixup = fault_fixup;
	boot->image_ops.terminal_is_read = bh_terminal_is_read;
	boot->image_ops.task_layout = &task_layout;
	boot->image_ops.oops = bh_oops;
	init_task.stack = (void *)(PAGE_ALIGN(here) - THREAD_SIZE);
	start_kernel();
	unreachable();
}

static int panic_halt(struct notifier_block *block, unsigned long event, void *message)
{
	/* An oops has printed the trace that matters. */
	if (!test_taint(TAINT_DIE))
		show_stack(NULL, NULL, KERN_EMERG);
	bh_boot->host_ops->halt(bh_boot->host, BH_HALT_PANIC, message);
	return NOTIFY_DONE;
}

static struct notifier_block panic_block = {
	.notifier_call = panic_halt,
	.priority = INT_MIN,
};

void __init setup_arch(char **cmdline_ret)
{
	/* Tables are sized by the RAM that is there already; this one limits what a node can do. */
	snprintf(boot_command_line, COMMAND_LINE_SIZE, "%sthash_entries=%lu ", default_command_line,
		 roundup_pow_of_two(bh_boot->ram_size >> 17));
	if (bh_boot->command_line)
		strlcat(boot_command_line, bh_boot->command_line, COMMAND_LINE_SIZE);
	strscpy(boot_command_line_copy, boot_command_line, COMMAND_LINE_SIZE);
	*cmdline_ret = boot_command_line_copy;
	parse_early_param();

	setup_initial_init_mm(_stext, _etext, _edata, _end);
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);

	bh_memory_setup();
}

/* The name is set before pid 1 is made, so every namespace copies it. */
static int __init set_hostname(void)
{
	if (bh_boot->hostname)
		strscpy(init_uts_ns.name.nodename, bh_boot->hostname,
			sizeof(init_uts_ns.name.nodename));
	return 0;
}
early_initcall(set_hostname);

void calibrate_delay(void)
{
	/* Busy waiting can't let virtual time pass; the number only has to be plausible. */
	loops_per_jiffy = 1000000000ul / HZ;
}

void __delay(unsigned long loops)
{
}

void __udelay(unsigned long usecs)
{
}

void __ndelay(unsigned long nsecs)
{
}

void __const_udelay(unsigned long xloops)
{
}

void (*pm_power_off)(void);
EXPORT_SYMBOL(pm_power_off);

void machine_restart(char *command)
{
	bh_boot->host_ops->halt(bh_boot->host, BH_HALT_RESTART, "restart");
}

void machine_halt(void)
{
	bh_boot->host_ops->halt(bh_boot->host, BH_HALT_OFF, "halt");
}

void machine_power_off(void)
{
	bh_boot->host_ops->halt(bh_boot->host, BH_HALT_OFF, "power off");
}

void bh_entropy(void *bytes, size_t len)
{
	bh_boot->host_ops->entropy(bh_boot->host, bytes, len);
}

static int cpuinfo_show(struct seq_file *seq, void *value)
{
	seq_puts(seq, "processor\t: 0\nvendor_id\t: Backhop\nmodel name\t: Backhop virtual CPU\n"
		      "cpu MHz\t\t: 1000.000\ncpu cores\t: 1\n\n");
	return 0;
}

static void *cpuinfo_start(struct seq_file *seq, loff_t *position)
{
	return *position == 0 ? (void *)1 : NULL;
}

static void *cpuinfo_next(struct seq_file *seq, void *value, loff_t *position)
{
	++*position;
	return NULL;
}

static void cpuinfo_stop(struct seq_file *seq, void *value)
{
}

const struct seq_operations cpuinfo_op = {
	.start = cpuinfo_start,
	.next = cpuinfo_next,
	.stop = cpuinfo_stop,
	.show = cpuinfo_show,
};
