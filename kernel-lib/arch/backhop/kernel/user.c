// SPDX-License-Identifier: GPL-2.0
/*
 * Programs of a node, as the kernel sees them: how a task gets a record in the host (posix/), its
 * system calls and what happens on the way back, and how a program is started. Called by process.c
 * and spawn.c, and by posix/ through bh_user_image_ops.
 */
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs_struct.h>
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/namei.h>
#include <linux/net.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/syscalls.h>
#include <linux/binfmts.h>
#include <asm/syscall.h>
#include <asm/unistd.h>
#include <net/sock.h>
#include <trace/events/sched.h>
#include <trace/events/signal.h>

#include "user.h"

/* --- tasks --- */

void bh_user_enter(struct pt_regs *regs);
int bh_user_init(void);

static void user_leave(struct pt_regs *regs)
{
	unsigned long work;

	for (;;) {
		work = read_thread_flags() & (_TIF_NEED_RESCHED | _TIF_SIGPENDING |
					      _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME);
		if (!work)
			break;
		if (work & _TIF_NEED_RESCHED)
			schedule();
		if (work & (_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL))
			bh_signal_deliver(regs);
		if (work & _TIF_NOTIFY_RESUME)
			resume_user_mode_work(regs);
	}
	lockdep_sys_exit();
}

/* A task's first way into its program: after execve() by the spawner, or as a forked child. */
void bh_user_enter(struct pt_regs *regs)
{
	user_leave(regs);
	bh_user_call(task_enter, current->thread.host);
	unreachable();
}

void bh_user_switch(struct task_struct *from, struct task_struct *to)
{
	if (to->thread.host)
		bh_user_call(task_switch, to->thread.host);
}

int bh_user_fork(struct task_struct *to, const struct kernel_clone_args *args)
{
	unsigned long fs_base = args->flags & CLONE_SETTLS ? args->tls : 0;

	if (!current->thread.host)
		return 0;
	to->thread.host = bh_user_call(task_fork, current->thread.host, task_pt_regs(to),
				       (args->flags & CLONE_VM) != 0, fs_base);
	return to->thread.host ? 0 : -ENOSYS;
}

void bh_user_release(struct task_struct *task)
{
	bh_user_call(task_release, task->thread.host);
	task->thread.host = NULL;
}

/*
 * Tracepoint in do_exit() (kernel/exit.c, 6.1): the task has left its memory, its exit status is
 * known, and nobody has been told yet.
 */
static void user_exit(void *data, struct task_struct *task)
{
	struct signal_struct *signal = task->signal;
	int status = signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code : task->exit_code;

	if (!task->thread.host)
		return;
	bh_user_release(task);
	if (!atomic_read(&signal->live))
		bh_user_call(process_exit, task_tgid_nr(task), status);
}

/*
 * Tracepoint in get_signal() (kernel/signal.c, 6.1), for each signal that is delivered. Of those
 * that have no handler, these are about to end the process and tell of a fault.
 */
static void user_signal(void *data, int signal, struct kernel_siginfo *info,
			struct k_sigaction *action)
{
	if (!current->thread.host || action->sa.sa_handler != SIG_DFL ||
	    !sig_kernel_coredump(signal))
		return;
	bh_user_call(crash, current->thread.host, signal, info->si_code,
		     (unsigned long)info->si_addr);
}

/* --- system calls --- */

/* Without an MMU the generic fork() refuses; here the host can copy the memory. */
static long user_fork(void)
{
	struct kernel_clone_args args = {.exit_signal = SIGCHLD};

	return kernel_clone(&args);
}

static long call_table(const struct pt_regs *regs, unsigned long nr)
{
	return sys_call_table[nr](regs->di, regs->si, regs->dx, regs->r10, regs->r8, regs->r9);
}

static bool is_shared_address(unsigned long address)
{
	return (address >= BH_SHARED_BASE && address < BH_SHARED_END) ||
	       address - bh_boot->ram_base < bh_boot->ram_size;
}

/*
 * Without an MMU the generic futexes take a word for the private one of a process, so processes
 * that share it don't meet (FLAGS_SHARED in kernel/futex/futex.h, 6.1). For these words all
 * processes have the same key if they ask as the same mm.
 */
static long shared_futex(const struct pt_regs *regs)
{
	struct mm_struct *mm = current->mm;
	long ret;

	current->mm = &init_mm;
	ret = call_table(regs, __NR_futex);
	current->mm = mm;
	/* Going on with the rest of the time would be a call of its own, with the wrong mm. */
	return ret == -ERESTART_RESTARTBLOCK ? -ERESTARTSYS : ret;
}

/*
 * A file that begins by growing to its size gets its pages in one piece here, as far as such pieces
 * go (ramfs_nommu_expand_for_mapping(), 6.1). A larger one grows twice, and is as on Linux.
 */
static long truncate_large(const struct pt_regs *regs, unsigned long nr)
{
	struct pt_regs again = *regs;
	long ret;

	again.si = 1;
	ret = call_table(&again, nr);
	return ret ?: call_table(regs, nr);
}

static void user_call(struct pt_regs *regs)
{
	unsigned long nr = regs->orig_ax;

	if (nr >= NR_syscalls)
		regs->ax = -ENOSYS;
	else if (nr == __NR_fork)
		regs->ax = user_fork();
	else if (nr == __NR_futex && is_shared_address(regs->di))
		regs->ax = shared_futex(regs);
	else
		regs->ax = call_table(regs, nr);
	if (unlikely((long)regs->ax == -EFBIG) && (nr == __NR_ftruncate || nr == __NR_truncate))
		regs->ax = truncate_large(regs, nr);
	if (unlikely((long)regs->ax == -ENODEV) && nr == __NR_ioctl &&
	    bh_tunnel_driver_device(regs->si, regs->dx))
		regs->ax = call_table(regs, nr);
}

static void user_syscall(struct pt_regs *regs)
{
	user_call(regs);
	user_leave(regs);
}

static void user_fault(struct pt_regs *regs, int signal, int code, unsigned long address)
{
	regs->orig_ax = -1;
	force_sig_fault(signal, code, (void __user *)address);
	user_leave(regs);
}

static void user_sleep(unsigned long ns)
{
	ktime_t expires = ns;

	set_current_state(TASK_IDLE);
	schedule_hrtimeout(&expires, HRTIMER_MODE_REL);
}

static int user_fd_stat(int fd, struct bh_user_fd *fd_ret)
{
	struct file *file = fget(fd);
	char *path;

	memset(fd_ret, 0, sizeof(*fd_ret));
	if (!file)
		return -EBADF;
	fd_ret->handle = bh_file_handle(file);
	fd_ret->is_regular = S_ISREG(file_inode(file)->i_mode);
	fd_ret->size = i_size_read(file_inode(file));
	fd_ret->is_readable = (file->f_mode & FMODE_READ) != 0;
	fd_ret->is_writable = (file->f_mode & FMODE_WRITE) != 0;
	path = d_path(&file->f_path, fd_ret->path, sizeof(fd_ret->path));
	if (IS_ERR(path))
		fd_ret->path[0] = '\0';
	else
		memmove(fd_ret->path, path, strlen(path) + 1);
	fput(file);
	return 0;
}

static long user_fd_read(int fd, void *to, unsigned long len, unsigned long offset)
{
	struct file *file = fget(fd);
	loff_t position = offset;
	unsigned long done = 0;
	ssize_t ret = 0;

	if (!file)
		return -EBADF;
	while (done < len) {
		ret = kernel_read(file, to + done, len - done, &position);
		if (ret <= 0)
			break;
		done += ret;
	}
	fput(file);
	return ret < 0 && !done ? ret : done;
}

static long user_fd_map(int fd, unsigned long size, unsigned long offset)
{
	struct file *file = fget(fd);
	struct socket *socket;
	long ret = -ENODEV;

	if (!file)
		return -EBADF;
	socket = sock_from_file(file);
	if (socket && socket->sk && socket->sk->sk_family == PF_PACKET)
		ret = offset ? -EINVAL : bh_packet_ring_map(socket, size);
	fput(file);
	return ret;
}

static int user_pid(void)
{
	return task_tgid_nr(current);
}

static const struct bh_user_image_ops user_image_ops = {
	.syscall = user_syscall,
	.call = user_call,
	.leave = user_leave,
	.fault = user_fault,
	.sleep = user_sleep,
	.fd_stat = user_fd_stat,
	.fd_read = user_fd_read,
	.fd_map = user_fd_map,
	.shared_map = bh_shared_map,
	.shared_attach = bh_shared_attach,
	.shared_release = bh_shared_release,
	.pid = user_pid,
	.layer_walk = bh_layer_walk,
	.layer_page = bh_layer_page,
};

/* --- starting a program --- */

/* Kernel and programs share one address space, so the kernel may call as a program does. */
long bh_user_system_call(unsigned int nr, unsigned long a, unsigned long b, unsigned long c,
			 unsigned long d, unsigned long e)
{
	return sys_call_table[nr](a, b, c, d, e, 0);
}

static const char default_path[] =
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static int install_file(struct file *file)
{
	int fd;

	if (IS_ERR(file))
		return PTR_ERR(file);
	fd = get_unused_fd_flags(0);
	if (fd < 0) {
		fput(file);
		return fd;
	}
	fd_install(fd, file);
	return 0;
}

static int set_directory(const char *directory)
{
	struct path path;
	int ret = unshare_fs_struct();

	if (ret)
		return ret;
	ret = kern_path(directory ?: "/", LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);
	if (ret)
		return ret;
	set_fs_pwd(current->fs, &path);
	path_put(&path);
	return 0;
}

static int set_credentials(unsigned int uid, unsigned int gid)
{
	long ret;

	if (!uid && !gid)
		return 0;
	/* In this order: without root's rights the group can't be set any more. */
	ret = bh_user_system_call(__NR_setresgid, gid, gid, gid, 0, 0);
	return ret ?: bh_user_system_call(__NR_setresuid, uid, uid, uid, 0, 0);
}

/* execvp(): a name without a slash is looked for in the PATH that the program will have. */
static int execute(const struct bh_spawn *spawn)
{
	const char *path = default_path;
	const char *const *variable;
	char *candidate;
	int ret = -ENOENT, denied = 0;

	if (strchr(spawn->path, '/'))
		return kernel_execve(spawn->path, spawn->argv, spawn->envp);
	for (variable = spawn->envp; variable && *variable; variable++)
		if (!strncmp(*variable, "PATH=", 5))
			path = *variable;
	path += 5;
	candidate = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!candidate)
		return -ENOMEM;
	while (ret) {
		size_t len = strcspn(path, ":");

		if (snprintf(candidate, PATH_MAX, "%.*s/%s", (int)len, path, spawn->path) <
		    PATH_MAX)
			ret = kernel_execve(candidate, spawn->argv, spawn->envp);
		if (ret == -EACCES)
			denied = 1;
		else if (ret && ret != -ENOENT && ret != -ENOTDIR)
			break;
		if (!path[len])
			break;
		path += len + 1;
	}
	kfree(candidate);
	return ret == -ENOENT && denied ? -EACCES : ret;
}

static int install_terminal(const struct bh_spawn *spawn)
{
	struct file *file = bh_terminal_open(spawn);
	int ret = install_file(file);

	if (!ret)
		ret = install_file(get_file(file));
	return ret ?: install_file(get_file(file));
}

static int install_streams(const struct bh_spawn *spawn)
{
	int ret = install_file(spawn->stdin_data
				       ? bh_shared_file(spawn->stdin_data, spawn->stdin_size)
				       : filp_open("/dev/null", O_RDWR, 0));

	if (!ret)
		ret = install_file(bh_output_open(1));
	return ret ?: install_file(bh_output_open(2));
}

int bh_spawn_program(const struct bh_spawn *spawn)
{
	int ret;

	if (!bh_boot->user_ops)
		return -ENOEXEC;
	ksys_setsid();
	ret = spawn->has_terminal ? install_terminal(spawn) : install_streams(spawn);
	if (!ret)
		ret = set_directory(spawn->cwd);
	if (!ret)
		ret = set_credentials(spawn->uid, spawn->gid);
	/* Closing files is task work here; what is still open for writing can't be executed. */
	task_work_run();
	return ret ?: execute(spawn);
}

/* In process 1, before the first program. */
int bh_user_init(void)
{
	long ret;

	if (!bh_boot->user_ops)
		return 0;
	bh_boot->user_image_ops = &user_image_ops;
	ret = register_trace_sched_process_exit(user_exit, NULL);
	if (!ret)
		ret = register_trace_signal_deliver(user_signal, NULL);
	return ret ?: bh_files_register() ?: bh_layer_register() ?: bh_binfmt_register() ?:
	       bh_root_init();
}
