// SPDX-License-Identifier: GPL-2.0
/*
 * execve() of ELF programs. The kernel's own part of it (credentials, closing, signals, other
 * threads, scripts) is generic code; mapping the program is the host's (posix/exec.c). Called by
 * generic code for every file that is executed.
 */
#include <linux/binfmts.h>
#include <linux/cred.h>
#include <linux/elf.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/user_namespace.h>

#include "user.h"

/* Programs larger than this, in a file system of the node, are refused. */
#define BH_EXEC_MAX (256ul << 20)

static int load_program(struct linux_binprm *bprm);

static struct linux_binfmt program_format = {
	.load_binary = load_program,
};

/* Half a page for the path of the program, half for that of its interpreter. */
#define BH_PATH_ROOM (PAGE_SIZE / 2)

/* A file that isn't the host's is read as a whole into memory of the host. */
static int describe_file(struct file *file, char *path_room, struct bh_exec_file *file_ret)
{
	loff_t position = 0;
	void *buffer;

	file_ret->path = d_path(&file->f_path, path_room, BH_PATH_ROOM);
	if (IS_ERR(file_ret->path))
		return PTR_ERR(file_ret->path);
	file_ret->handle = bh_file_handle(file);
	file_ret->size = i_size_read(file_inode(file));
	if (file_ret->handle)
		return 0;
	if (file_ret->size > BH_EXEC_MAX)
		return -ENOMEM;
	buffer = bh_user_call(buffer, file_ret->size);
	if (!buffer)
		return -ENOMEM;
	file_ret->data = buffer;
	while (position < file_ret->size) {
		ssize_t done =
			kernel_read(file, buffer + position, file_ret->size - position, &position);

		if (done <= 0)
			return done ?: -EIO;
	}
	return 0;
}

/* Ends with the program and its interpreter known to the host, and 0, or with -errno. */
static int check_program(struct linux_binprm *bprm, char *paths, struct bh_exec *exec)
{
	struct file *interpreter;
	int ret = describe_file(bprm->file, paths, &exec->program);

	if (!ret)
		ret = bh_user_call(exec_check, exec);
	if (ret || !exec->interpreter_path[0])
		return ret;
	interpreter = open_exec(exec->interpreter_path);
	if (IS_ERR(interpreter))
		return PTR_ERR(interpreter);
	would_dump(bprm, interpreter);
	ret = describe_file(interpreter, paths + BH_PATH_ROOM, &exec->interpreter);
	/* Most kernels, but not 6.11, keep a file from being written while it is executed. */
	if (atomic_read(&file_inode(interpreter)->i_writecount) < 0)
		allow_write_access(interpreter);
	fput(interpreter);
	return ret ?: bh_user_call(exec_check, exec);
}

static int map_program(struct linux_binprm *bprm, struct bh_exec *exec)
{
	const struct cred *cred = current_cred();
	struct pt_regs *regs = current_pt_regs();
	struct mm_struct *mm = current->mm;
	unsigned long strings;
	int ret;

	exec->pid = task_tgid_nr(current);
	exec->argc = bprm->argc;
	exec->envc = bprm->envc;
	exec->uid = from_kuid_munged(cred->user_ns, cred->uid);
	exec->euid = from_kuid_munged(cred->user_ns, cred->euid);
	exec->gid = from_kgid_munged(cred->user_ns, cred->gid);
	exec->egid = from_kgid_munged(cred->user_ns, cred->egid);
	get_random_bytes(exec->random, sizeof(exec->random));

	ret = bh_user_call(exec_map, &current->thread.host, exec, regs);
	if (ret)
		return ret;
	strings = exec->stack_top;
	ret = transfer_args_to_stack(bprm, &strings);
	if (ret)
		return ret;
	exec->strings = strings;
	exec->name = bprm->exec;
	ret = bh_user_call(exec_start, current->thread.host, exec, regs);
	if (ret)
		return ret;
	mm->start_code = exec->start_code;
	mm->end_code = exec->end_code;
	mm->start_data = exec->start_data;
	mm->end_data = exec->end_data;
	mm->start_brk = mm->brk = exec->start_brk;
	mm->start_stack = exec->start_stack;
	mm->arg_start = exec->strings;
	mm->arg_end = mm->env_start = exec->end_arguments;
	mm->env_end = exec->end_environment;
	/* What /proc/PID/auxv shows. The rest was cleared with the mm. */
	memcpy(mm->saved_auxv, (const void *)exec->auxv,
	       min_t(size_t, exec->auxv_size, sizeof(mm->saved_auxv)));
	return 0;
}

/* bprm_stack_limits() and copy_strings() of fs/exec.c (6.1) check these only with an MMU. */
static int check_strings(const struct linux_binprm *bprm)
{
	const unsigned long end = PAGE_SIZE * MAX_ARG_PAGES - sizeof(void *);
	unsigned long limit = min(_STK_LIM / 4 * 3, bprm->rlim_stack.rlim_cur / 4);
	unsigned long pointers = (max(bprm->argc, 1) + bprm->envc) * sizeof(void *);
	unsigned long at, length = 0;

	limit = max_t(unsigned long, limit, ARG_MAX);
	if (end - bprm->p + pointers > limit)
		return -E2BIG;
	for (at = bprm->p; at < end; at++) {
		const char *page = page_address(bprm->page[at >> PAGE_SHIFT]);

		if (++length > MAX_ARG_STRLEN)
			return -E2BIG;
		if (!page[at & ~PAGE_MASK])
			length = 0;
	}
	return 0;
}

static int load_program(struct linux_binprm *bprm)
{
	struct bh_exec *exec;
	char *paths;
	int ret;

	if (memcmp(bprm->buf, ELFMAG, SELFMAG))
		return -ENOEXEC;
	exec = kzalloc(sizeof(*exec), GFP_KERNEL);
	paths = (char *)__get_free_page(GFP_KERNEL);
	ret = exec && paths ? check_strings(bprm) : -ENOMEM;
	if (!ret)
		ret = check_program(bprm, paths, exec);
	if (!ret)
		ret = begin_new_exec(bprm);
	if (ret)
		goto out;
	setup_new_exec(bprm);
	set_binfmt(&program_format);
	ret = map_program(bprm, exec);
	if (!ret)
		finalize_exec(bprm);
out:
	if (exec)
		bh_user_call(exec_end, exec);
	free_page((unsigned long)paths);
	kfree(exec);
	return ret;
}

int bh_binfmt_register(void)
{
	register_binfmt(&program_format);
	return 0;
}
