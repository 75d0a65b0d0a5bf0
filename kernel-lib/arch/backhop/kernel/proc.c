// SPDX-License-Identifier: GPL-2.0
/*
 * What /proc/PID shows of a program's memory. Generic code asks its own list of mappings, which is
 * empty: memory is the host's (posix/memory.c). So the linker gives generic code these functions
 * in place of those of mm/nommu.c and fs/proc/task_nommu.c (--wrap in the architecture's Makefile),
 * and no line of generic code is changed.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>

#include "../../../fs/proc/internal.h"
#include "user.h"

int __wrap_access_remote_vm(struct mm_struct *mm, unsigned long address, void *buffer, int length,
			    unsigned int flags);
int __wrap_access_process_vm(struct task_struct *task, unsigned long address, void *buffer,
			     int length, unsigned int flags);
void __wrap_task_mem(struct seq_file *seq, struct mm_struct *mm);
unsigned long __wrap_task_vsize(struct mm_struct *mm);
unsigned long __wrap_task_statm(struct mm_struct *mm, unsigned long *shared, unsigned long *text,
				unsigned long *data, unsigned long *resident);
extern const struct file_operations __wrap_proc_pid_maps_operations;

/* The host's record of a task that has this memory, or NULL. */
static void *host_of(struct mm_struct *mm)
{
	struct task_struct *process, *thread;
	void *host = NULL;

	rcu_read_lock();
	for_each_process_thread(process, thread)
	{
		if (thread->mm == mm && thread->thread.host) {
			host = thread->thread.host;
			goto out;
		}
	}
out:
	rcu_read_unlock();
	return host;
}

int __wrap_access_remote_vm(struct mm_struct *mm, unsigned long address, void *buffer, int length,
			    unsigned int flags)
{
	void *host = host_of(mm);

	if (!host || length <= 0)
		return 0;
	return bh_user_call(task_access, host, address, buffer, length, (flags & FOLL_WRITE) != 0);
}

int __wrap_access_process_vm(struct task_struct *task, unsigned long address, void *buffer,
			     int length, unsigned int flags)
{
	struct mm_struct *mm = get_task_mm(task);
	int done;

	if (!mm)
		return 0;
	done = __wrap_access_remote_vm(mm, address, buffer, length, flags);
	mmput(mm);
	return done;
}

/* --- sizes --- */

struct sizes {
	unsigned long total, data, stack, text, files; /* bytes */
};

static void measure(struct mm_struct *mm, struct sizes *sizes_ret)
{
	void *host = host_of(mm);
	struct bh_user_region region;
	unsigned long index;

	memset(sizes_ret, 0, sizeof(*sizes_ret));
	for (index = 0; host && !bh_user_call(task_region, host, index, &region); index++) {
		unsigned long size = region.end - region.start;

		sizes_ret->total += size;
		if (region.name[0] == '/')
			sizes_ret->files += size;
		if (!strcmp(region.name, "[stack]"))
			sizes_ret->stack += size;
		else if (region.prot & 4)
			sizes_ret->text += size;
		else if (region.prot & 2)
			sizes_ret->data += size;
	}
}

/* The lines that generic code has with an MMU. Which pages the host really keeps would differ from
 * run to run: all count as resident. */
void __wrap_task_mem(struct seq_file *seq, struct mm_struct *mm)
{
	struct sizes sizes;

	measure(mm, &sizes);
	seq_printf(seq,
		   "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmPin:\t%8lu kB\n"
		   "VmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\nVmData:\t%8lu kB\nVmStk:\t%8lu kB\n"
		   "VmExe:\t%8lu kB\nVmLib:\t%8lu kB\nVmPTE:\t%8lu kB\nVmSwap:\t%8lu kB\n",
		   sizes.total >> 10, sizes.total >> 10, 0ul, 0ul, sizes.total >> 10,
		   sizes.total >> 10, sizes.data >> 10, sizes.stack >> 10, sizes.text >> 10,
		   sizes.files >> 10, 0ul, 0ul);
}

unsigned long __wrap_task_vsize(struct mm_struct *mm)
{
	struct sizes sizes;

	measure(mm, &sizes);
	return sizes.total;
}

unsigned long __wrap_task_statm(struct mm_struct *mm, unsigned long *shared, unsigned long *text,
				unsigned long *data, unsigned long *resident)
{
	struct sizes sizes;

	measure(mm, &sizes);
	*shared = sizes.files >> PAGE_SHIFT;
	*text = sizes.text >> PAGE_SHIFT;
	*data = (sizes.data + sizes.stack) >> PAGE_SHIFT;
	*resident = sizes.total >> PAGE_SHIFT;
	return sizes.total >> PAGE_SHIFT;
}

/* --- maps --- */

static int maps_show(struct seq_file *seq, void *value)
{
	struct mm_struct *mm = seq->private;
	void *host = mm ? host_of(mm) : NULL;
	struct bh_user_region region;
	unsigned long index;

	for (index = 0; host && !bh_user_call(task_region, host, index, &region); index++) {
		seq_setwidth(seq, 25 + sizeof(void *) * 6 - 1);
		seq_printf(seq, "%08lx-%08lx %c%c%c%c %08lx 00:00 %lu ", region.start, region.end,
			   region.prot & 1 ? 'r' : '-', region.prot & 2 ? 'w' : '-',
			   region.prot & 4 ? 'x' : '-', region.is_shared ? 's' : 'p', region.offset,
			   region.number);
		if (region.name[0]) {
			seq_pad(seq, ' ');
			seq_puts(seq, region.name);
		}
		seq_putc(seq, '\n');
	}
	return 0;
}

static int maps_open(struct inode *inode, struct file *file)
{
	struct mm_struct *mm = proc_mem_open(inode, PTRACE_MODE_READ);
	int ret;

	if (IS_ERR(mm))
		return PTR_ERR(mm);
	ret = single_open(file, maps_show, mm);
	if (ret && mm)
		mmdrop(mm);
	return ret;
}

static int maps_release(struct inode *inode, struct file *file)
{
	struct seq_file *seq = file->private_data;

	if (seq->private)
		mmdrop(seq->private);
	return single_release(inode, file);
}

const struct file_operations __wrap_proc_pid_maps_operations = {
	.open = maps_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = maps_release,
};
