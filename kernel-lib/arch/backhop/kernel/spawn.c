// SPDX-License-Identifier: GPL-2.0
/*
 * Process 1 of a node: it is never a program, waits for the host's wish to start one, and makes a
 * child for each. Loading the program is posix/'s part (bh_spawn_program, binfmt.c).
 *
 * Generic start-up ends in executing /init. So a late initcall makes such a file, and a binary
 * format of our own takes it, after which process 1 is an ordinary process that returns to "user
 * mode"; there it enters the loop below.
 */
#include <linux/binfmts.h>
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/task_work.h>
#include <linux/wait.h>
#include <asm/setup.h>

static const char init_magic[] = "\177backhop process 1\n";

static DECLARE_WAIT_QUEUE_HEAD(spawn_wait);
static bool spawn_wanted;

struct spawn_request {
	struct bh_spawn spawn;
	struct completion done;
};

__weak int bh_spawn_program(const struct bh_spawn *spawn)
{
	return -ENOEXEC;
}

/* Runs once in process 1 before the first program: mounts and the like. posix/ has it. */
__weak int bh_user_init(void)
{
	return 0;
}

void bh_spawn_interrupt(void)
{
	spawn_wanted = true;
	wake_up(&spawn_wait);
}

static int spawn_child(void *data)
{
	struct spawn_request *request = data;
	const struct bh_host_ops *ops = bh_boot->host_ops;
	int ret;

	/* Process 1 ignores SIGCHLD; programs must not inherit that. */
	flush_signal_handlers(current, 1);
	ret = bh_spawn_program(&request->spawn);
	ops->spawn_result(bh_boot->host, request->spawn.id, ret ? ret : task_pid_nr(current));
	complete(&request->done);
	if (ret)
		do_exit(127 << 8);
	return 0;
}

static void signal_all_programs(int signal)
{
	struct task_struct *task;

	rcu_read_lock();
	for_each_process(task) if (!is_global_init(task) && !(task->flags & PF_KTHREAD))
		send_sig(signal, task, 1);
	rcu_read_unlock();
}

/* To all that belongs to the program: each leads a session and a process group. */
static void send_signal(const struct bh_spawn *spawn)
{
	struct pid *pid;

	if (spawn->pid == 0) {
		signal_all_programs(spawn->signal);
		return;
	}
	pid = find_get_pid(spawn->pid);
	if (pid && kill_pgrp(pid, spawn->signal, 1) == -ESRCH)
		kill_pid(pid, spawn->signal, 1);
	put_pid(pid);
}

static void spawn_one(const struct bh_spawn *spawn)
{
	struct spawn_request request = {.spawn = *spawn};
	pid_t pid;

	init_completion(&request.done);
	pid = user_mode_thread(spawn_child, &request, CLONE_FS | SIGCHLD);
	if (pid < 0) {
		bh_boot->host_ops->spawn_result(bh_boot->host, spawn->id, pid);
		return;
	}
	wait_for_completion(&request.done);
}

static void __noreturn spawner_run(void)
{
	struct bh_spawn spawn;
	int ret;

	/* Nobody waits for the programs: their ends are reported by posix/, not by wait(). */
	kernel_sigaction(SIGCHLD, SIG_IGN);
	/* Programs sleep exactly as long as they ask. */
	current->timer_slack_ns = 1;
	current->default_timer_slack_ns = 1;
	bh_netdev_up();
	ret = bh_user_init();
	if (ret)
		panic("The node's file system could not be set up: error %d.", ret);
	for (;;) {
		wait_event_idle(spawn_wait, spawn_wanted);
		spawn_wanted = false;
		while (bh_boot->host_ops->spawn_next &&
		       bh_boot->host_ops->spawn_next(bh_boot->host, &spawn)) {
			if (spawn.signal)
				send_signal(&spawn);
			else
				spawn_one(&spawn);
		}
	}
}

/* Called by switch.S when a task's kernel function has returned, or a forked task first runs. */
__visible void __noreturn bh_task_enter_user(struct pt_regs *regs)
{
	if (is_global_init(current))
		spawner_run();
	bh_user_enter(regs);
}

static int load_init(struct linux_binprm *bprm)
{
	int ret;

	if (memcmp(bprm->buf, init_magic, sizeof(init_magic) - 1))
		return -ENOEXEC;
	ret = begin_new_exec(bprm);
	if (ret)
		return ret;
	setup_new_exec(bprm);
	finalize_exec(bprm);
	return 0;
}

static struct linux_binfmt init_format = {
	.load_binary = load_init,
};

static int __init create_init(void)
{
	struct file *file;
	loff_t position = 0;
	ssize_t written;

	register_binfmt(&init_format);
	file = filp_open("/init", O_WRONLY | O_CREAT | O_EXCL, 0700);
	if (IS_ERR(file))
		return PTR_ERR(file);
	written = kernel_write(file, init_magic, sizeof(init_magic) - 1, &position);
	fput(file);
	/* Process 1 isn't a kernel thread, so the file is closed by its task work, and as long as
	 * it is open for writing it can't be executed. */
	task_work_run();
	return written < 0 ? written : 0;
}
late_initcall_sync(create_init);
