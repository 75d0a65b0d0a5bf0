/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The seam between the user half of a node's image (kernel/user.h) and posix/ in the host. Included
 * by both sides; see host_abi.h for the rules that hold here too: every call in one direction goes
 * through boot->user_ops with boot->user_host as its instance, every call in the other through
 * boot->user_image_ops.
 *
 * A program's task has one record in the host, `task` below, kept by the image in thread.host. Its
 * memory is the host's: programs lie in the same address space, so a user pointer is a pointer.
 */
#ifndef BH_USER_ABI_H
#define BH_USER_ABI_H

struct pt_regs; /* x86-64's layout, as struct user_regs_struct of <sys/user.h> up to ss */

/*
 * Memory that programs of a node share lies here, or in the node's own memory, at one address for
 * all of them: a word there is the same word for futex(), whoever asks.
 */
#define BH_SHARED_BASE 0x600000000000ul
#define BH_SHARED_END  0x680000000000ul

/* --- files of the node's root (bhfs) --- */

enum bh_user_file_kind {
	BH_USER_ABSENT = 0, /* in the layer: what the host has here was deleted */
	BH_USER_FILE = 1,
	BH_USER_DIRECTORY = 2,
	BH_USER_SYMLINK = 3,
	BH_USER_SPECIAL = 4, /* exists, cannot be opened */
};

struct bh_user_stat {
	const void *handle;   /* the host's name for the file, valid for the life of the node */
	unsigned long size;   /* bytes of a file or link target */
	unsigned long number; /* inode number */
	unsigned int kind;    /* enum bh_user_file_kind */
	unsigned int mode;    /* permission bits */
};

/* --- execution of a program --- */

/* The bytes of an executable: in a file of bhfs, or read by the image into user_ops.buffer(). */
struct bh_exec_file {
	const void *handle;
	const void *data; /* ignored when there is a handle */
	unsigned long size;
	const char *path; /* in the node's root, for messages and the debugger */
};

struct bh_exec {
	/* From the image. */
	struct bh_exec_file program, interpreter;
	int pid;
	unsigned int argc, envc;
	unsigned long strings; /* address of argv[0]'s bytes on the new stack; envp's follow */
	unsigned long name;    /* address of the path given to execve, on the new stack */
	unsigned int uid, euid, gid, egid;
	unsigned char random[16]; /* AT_RANDOM */
	/* To the image. */
	char interpreter_path[256]; /* by exec_check(): "" if the program needs none */
	unsigned long stack_top;    /* by exec_map(): where the strings go, downwards */
	unsigned long start_code, end_code, start_data, end_data, start_brk, start_stack;
	unsigned long end_arguments, end_environment; /* behind argv's and envp's strings */
	unsigned long auxv, auxv_size;		      /* of the auxiliary vector on the stack */
};

/* --- memory of a process, as /proc shows it --- */

struct bh_user_region {
	unsigned long start, end;
	unsigned int prot; /* PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4 */
	unsigned int is_shared;
	unsigned long offset, number; /* of a mapped file: where it begins there, inode number */
	const char *name; /* a file's path in the node's root, "[heap]", "[stack]" or "" */
};

/* --- the writable layer --- */

/* Something that programs made, changed or deleted. */
struct bh_layer_entry {
	const char *path;	/* below the node's root, without a leading slash */
	const void *handle;	/* for layer_page() */
	const char *target;	/* of a symbolic link */
	unsigned long size;	/* bytes of a file */
	unsigned int kind;	/* enum bh_user_file_kind */
	unsigned int mode;	/* permission bits */
	unsigned int is_opaque; /* a directory that hides what the host has in it */
};

/* --- what the node asks of posix/ --- */

struct bh_user_ops {
	/* --- tasks --- */
	/* A task is copied: its record, or NULL when the host can't (the log says why). regs are
	 * the new task's, at the top of its kernel stack. share_memory as CLONE_VM says. */
	void *(*task_fork)(void *user_host, void *parent, struct pt_regs *regs, int share_memory,
			   unsigned long fs_base);
	/* A task with a record has left its memory for good. */
	void (*task_release)(void *user_host, void *task);
	/* A task with a record is about to get the CPU inside the kernel. */
	void (*task_switch)(void *user_host, void *task);
	/* A task returns to its program. */
	void (*task_enter)(void *user_host, void *task) __attribute__((noreturn));
	/* The 512 bytes of the task's legacy FP state (FXSAVE layout), for signal frames. */
	void *(*task_fp)(void *user_host, void *task);
	/* The state at task_fp() was written; reset: set it to the initial state instead. */
	void (*task_fp_changed)(void *user_host, void *task, int reset);

	/* --- exec --- */
	/* Memory of the host for an executable that is no bhfs file; freed by exec_end(). */
	void *(*buffer)(void *user_host, unsigned long size);
	/* Is this a program that can run here? 0 and interpreter_path, or -errno. */
	int (*exec_check)(void *user_host, struct bh_exec *exec);
	/* Gives task (*task is NULL for a task's first program) new memory with the program, its
	 * interpreter and a stack. From then on the old memory is gone. */
	int (*exec_map)(void *user_host, void **task, struct bh_exec *exec, struct pt_regs *regs);
	/* The strings are in place: builds the rest of the stack, sets regs. */
	int (*exec_start)(void *user_host, void *task, struct bh_exec *exec, struct pt_regs *regs);
	/* Always called at the end of an exec that came to exec_check(). */
	void (*exec_end)(void *user_host, struct bh_exec *exec);

	/* --- files --- */
	/* path is absolute, without links or dots. 0, or -ENOENT. */
	int (*file_lookup)(void *user_host, const char *path, struct bh_user_stat *stat_ret);
	/* The bytes of a file, a link's target, or a directory's listing: for each name, in order,
	 * the name, NUL, the digit of its kind, NUL. Valid for the life of the node. */
	int (*file_content)(void *user_host, const void *handle, const void **data_ret,
			    unsigned long *size_ret);
	/* Inode number of an entry of the directory of this handle. */
	unsigned long (*file_number)(void *user_host, const void *handle, const char *name);

	/* The index-th directory or file that programs may not change; NULL behind the last. */
	const char *(*read_only_path)(void *user_host, unsigned int index);

	/* --- memory of any task of the node --- */
	/* Its index-th region, in order; 0, or -ENOENT behind the last. */
	int (*task_region)(void *user_host, void *task, unsigned long index,
			   struct bh_user_region *region_ret);
	/* Copies between buffer and the task's memory at address: bytes copied, up to the end of
	 * what is mapped there and allows it. */
	unsigned long (*task_access)(void *user_host, void *task, unsigned long address,
				     void *buffer, unsigned long length, int is_write);

	/* --- what programs did --- */
	void (*output)(void *user_host, int pid, int fd, const void *data, unsigned long len);
	void (*process_exit)(void *user_host, int pid, int wait_status);
	/* The current task's program gets a signal that tells of a fault of the program and that it
	 * hasn't asked for: the process is about to end by it. regs are the task's. */
	void (*crash)(void *user_host, void *task, int signal, int code, unsigned long address);
};

/* --- what posix/ asks of the image; all run as the current task --- */

struct bh_user_fd {
	const void *handle; /* of a regular bhfs file, else NULL */
	unsigned long size; /* bytes of a regular file */
	unsigned int is_regular;
	unsigned int is_readable, is_writable;
	char path[256]; /* as the node sees it */
};

struct bh_user_image_ops {
	/* The system call in regs (number in orig_ax), then all that happens on the way back to
	 * the program: rescheduling, signals, task work. regs are ready for the program. */
	void (*syscall)(struct pt_regs *regs);
	/* Only the system call: its result is in regs->ax. leave() must follow. */
	void (*call)(struct pt_regs *regs);
	/* Only the way back; regs->ax has a result already if orig_ax is a call's number, which
	 * matters for the restart after a signal. */
	void (*leave)(struct pt_regs *regs);
	/* The program did something that Linux answers with a signal; then the way back. */
	void (*fault)(struct pt_regs *regs, int signal, int code, unsigned long address);
	/* Lets virtual time pass: sleeps in the kernel. */
	void (*sleep)(unsigned long ns);
	/* 0 or -EBADF. */
	int (*fd_stat)(int fd, struct bh_user_fd *fd_ret);
	/* Bytes read from fd at offset to memory of the program, or -errno. */
	long (*fd_read)(int fd, void *to, unsigned long len, unsigned long offset);
	/* The address of the whole of what can be mapped of fd, memory of the node that is size
	 * bytes long, or -errno; -ENODEV when it is a file that can't show its own memory. */
	long (*fd_map)(int fd, unsigned long size, unsigned long offset);
	/*
	 * The address where the bytes of fd from offset on lie in the node's own memory, for
	 * sharing them: what is written there is in the file. -ENODEV if they don't lie in one
	 * piece. *file_ret keeps them there until shared_release().
	 */
	long (*shared_map)(int fd, unsigned long len, unsigned long offset, void **file_ret);
	/* The same for the whole segment of System V's shared memory that has this id. */
	long (*shared_attach)(int id, int flags, unsigned long *len_ret, void **file_ret);
	void (*shared_release)(void *file);
	/* Process id (thread group). */
	int (*pid)(void);

	/* These two also when the node is dead; they run on the host's stack and change nothing. */
	/* Tells of all that the writable layer holds, a directory before what is in it. */
	void (*layer_walk)(void (*found)(void *arg, const struct bh_layer_entry *entry), void *arg);
	/* The first page of a file at or behind *offset that isn't a hole, and its offset; NULL:
	 * there is none. */
	const void *(*layer_page)(const void *handle, unsigned long *offset);
};

#endif
