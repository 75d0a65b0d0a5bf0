/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The glue layer: unmodified Linux programs as processes of a node. Their memory is posix/'s, their
 * system calls are caught and handed to their node's kernel, the files they see are the host's as
 * posix/inputs.h remembers them.
 *
 * simulator/ creates one struct bh_posix for a run and one struct bh_posix_node for each node,
 * before the node boots. The replayer uses the second half of this file: what a debugger needs to
 * know of programs, readable from another process too.
 */
#ifndef BH_POSIX_POSIX_H
#define BH_POSIX_POSIX_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "posix/inputs.h"

struct bh_boot;
struct bh_posix;
struct bh_posix_node;

/*
 * Once per process, before the first node boots, on the thread that runs the simulation: installs
 * the handlers of SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP on one alternate stack,
 * makes rdtsc fault outside the simulator and switches Syscall User Dispatch on, with the
 * simulator's own text as the one range that may call the host. BH_ERR_MACHINE when the host's
 * kernel or CPU lacks what is needed; the message names it. Calling it again does nothing.
 *
 * Handlers of other host signals (SIGINT, …) must be installed with SA_ONSTACK and may only set a
 * volatile flag: they can run while a program has the CPU, with the program's thread pointer.
 */
struct bh_error *bh_posix_process_setup(void);

/*
 * After fork() the child has no Syscall User Dispatch: this switches on again all that belongs to
 * the thread. Makes only raw system calls, touches no thread-local data: may be called at any
 * moment, on any stack of 1 KiB, also by a tracer that injects the call. Does nothing before
 * bh_posix_process_setup().
 */
void bh_posix_after_fork(void);

/*
 * Of a process whose memory goes to a snapshot, to become another process's: the first call comes
 * before the snapshot and gathers what is only in descriptors (BH_ERR_NOMEM at most), the second
 * one in the other process, which has none of them, no handlers and no filter.
 */
struct bh_error *bh_posix_before_snapshot(void);
struct bh_error *bh_posix_after_restore(void);

/*
 * Watches that the run gets on: when *progress hasn't changed for limit_s seconds of the host and a
 * kernel or program has the CPU, its node ends as by halt(), with BH_HALT_SPIN; before that the
 * callback spin() says where it was. 0 seconds: no longer. Only for live runs: a replay ends
 * before.
 */
struct bh_error *bh_posix_watch(unsigned int limit_s, const volatile uint64_t *progress);

/* Where a task is, innermost first. */
struct bh_posix_stack {
	const char *program;	/* a line for each place in the program, as "main+0x1 in /bin/x" */
	const uint64_t *kernel; /* in its kernel: offsets in the image */
	size_t kernel_count;
};

/* What a node's programs do. They run on a kernel task's stack: shallow, no file output. Any may
 * be NULL. arg is the one given to bh_posix_node_create(). */
struct bh_posix_callbacks {
	/* pid wrote to standard output (fd 1) or error (fd 2); data is valid during the call. */
	void (*output)(void *arg, int pid, int fd, const void *data, size_t length);
	/* pid runs another program from now on. argv: the arguments, each ending in NUL. */
	void (*exec)(void *arg, int pid, const char *path, const char *argv, size_t argv_size);
	/* The process (all its threads) ended; wait_status is what wait() gives its parent. */
	void (*exit)(void *arg, int pid, int wait_status);
	/* pid is about to end by a signal that tells of a fault of its own (SIGSEGV, SIGABRT, ...).
	 * text says where, in lines without a newline at the end; the kernel's part of the stack is
	 * its delivery. */
	void (*crash)(void *arg, int pid, int signal, const char *text,
		      const struct bh_posix_stack *stack);
	/* A program is started from outside: are its system calls to be told of, and those of the
	 * processes that it makes? */
	int (*is_traced)(void *arg);
	/* A system call, as a line of text that ends in a newline. */
	void (*call)(void *arg, int pid, const char *line, size_t length);
	/* The node is about to end because it never gave the CPU back: text says what was running.
	 */
	void (*spin)(void *arg, const char *text, const struct bh_posix_stack *stack);
	/* One line without newline for the log of pid: refused system calls and the like. */
	void (*log)(void *arg, int pid, const char *text);
	/* The node is about to get the addresses from this one on, because others have those
	 * before. Returns where it gets them. */
	uint64_t (*place)(void *arg, uint64_t address);
};

/* inputs must outlive the result. */
struct bh_error *bh_posix_create(struct bh_inputs *inputs, struct bh_posix **posix_ret);
/* Also destroys the nodes; their kernels must not run again. Takes NULL. */
void bh_posix_destroy(struct bh_posix *posix);

/*
 * Fills boot->user_host and boot->user_ops; call it before the node is entered. boot->ram_base and
 * ram_size must be valid by then, or set before the first program starts. boot, callbacks and
 * hostname's bytes are kept: boot by reference, the others copied.
 */
struct bh_error *bh_posix_node_create(struct bh_posix *posix, uint32_t node_id,
				      const char *hostname, struct bh_boot *boot,
				      const struct bh_posix_callbacks *callbacks, void *arg,
				      struct bh_posix_node **node_ret);
/* The node's kernel has ended: its programs are gone, and their memory is given back. A kernel that
 * is booted in its place can start others. */
void bh_posix_node_reset(struct bh_posix_node *node);
/* Gives the memory of the node's programs back; the node must not run again. Takes NULL. */
void bh_posix_node_destroy(struct bh_posix_node *node);

/* What the CPU costs programs, in virtual ns; a process sleeps off what it owes, at its next call,
 * as soon as that is slice_ns. */
struct bh_posix_costs {
	/* 0: only calls that follow one another at one instant cost anything, so that a program
	 * that waits by asking sees time pass. */
	int is_model;
	int is_detailed;      /* one of the three behind the next isn't 0 */
	uint64_t syscall_ns;  /* not 0 */
	uint64_t kilobyte_ns; /* 1024 bytes read or written */
	uint64_t fork_ns, exec_ns;
	uint64_t slice_ns;
};

/* Without it: no model, 1 us, 64 us. */
void bh_posix_node_set_costs(struct bh_posix_node *node, const struct bh_posix_costs *costs);

/* A file that the node shows instead of the host's (contents copied), or a directory when data is
 * NULL. path is absolute, mode the permission bits. Directories above it are shown too, even if the
 * host lacks them. Only before the node boots. */
struct bh_error *bh_posix_node_add_file(struct bh_posix_node *node, const char *path,
					unsigned int mode, const void *data, size_t size);

/* The same for a file whose contents stay where they are, valid as long as the node. */
struct bh_error *bh_posix_node_add_constant(struct bh_posix_node *node, const char *path,
					    const void *data, size_t size);

/*
 * Shows the host's file or directory host_path at node_path, in place of what would be there. Both
 * are absolute and have neither dots nor double slashes. What programs change there stays in the
 * node, or is refused with EROFS if is_read_only. Only before the node boots.
 */
struct bh_error *bh_posix_node_add_bind(struct bh_posix_node *node, const char *host_path,
					const char *node_path, int is_read_only);

struct bh_layer_entry; /* user_abi.h */

/*
 * Tells found() of everything that programs made, changed or deleted in the node's root, a
 * directory before what is in it. Between two turns of the node, also when it is dead: nothing is
 * changed. Does nothing if the node never came to have files.
 */
void bh_posix_node_layer_walk(struct bh_posix_node *node,
			      void (*found)(void *arg, const struct bh_layer_entry *entry),
			      void *arg);
/* While found() runs: the first page of the file at or behind *offset that isn't a hole, and its
 * offset; NULL: there is none. */
const void *bh_posix_node_layer_page(struct bh_posix_node *node, const struct bh_layer_entry *entry,
				     uint64_t *offset);

/* The folder above path, or path itself, that every node has for itself ("/tmp", "/proc", ...), so
 * that the host's files below it can't be seen there; NULL if there is none. path is absolute and
 * has no dots. The result is static. */
const char *bh_posix_own_folder(const char *path);

#define BH_NEEDS_MAX 64

/* What an executable needs besides itself. */
struct bh_program_needs {
	int is_script;			     /* interpreter is what its first line names */
	char interpreter[256];		     /* else the dynamic linker, "" if it needs none */
	int has_search_path;		     /* it says itself where its libraries are */
	size_t library_count;		     /* up to BH_NEEDS_MAX */
	const char *libraries[BH_NEEDS_MAX]; /* "libc.so.6"; they point into the file's bytes */
};

/* 0, or -ENOEXEC when it can't run on a node; *why_ret is then a constant: "it isn't for x86-64".
 * Safe on any bytes. */
int bh_posix_program_needs(const void *data, uint64_t size, struct bh_program_needs *needs_ret,
			   const char **why_ret);

/* --- addresses of programs --- */

/* Up to the arenas lies the memory of the nodes' kernels (kernel-lib/node.h). */
#define BH_NODES_BASE 0x10000000000ull
/* Every process has an arena of 4 GiB; nodes get them in the order in which they need them. */
#define BH_ARENA_BASE 0x100000000000ull /* 16 TiB */
#define BH_ARENA_SIZE 0x100000000ull
#define BH_ARENA_END  0x555000000000ull /* below the heap of the simulator itself */
/* What processes share lies here: see posix/shared.c. */
#define BH_SHARED_START 0x600000000000ull
#define BH_SHARED_LIMIT 0x680000000000ull
/* Programs that aren't position-independent run here, one at a time; the others' are put aside. */
#define BH_FIXED_BASE 0x10000ull
#define BH_FIXED_END  0x3fff0000ull

static inline int bh_posix_is_program_address(uint64_t address)
{
	return (address >= BH_ARENA_BASE && address < BH_ARENA_END) ||
	       (address >= BH_SHARED_START && address < BH_SHARED_LIMIT) ||
	       (address >= BH_FIXED_BASE && address < BH_FIXED_END);
}

/* --- what a debugger reads --- */

/*
 * A task's record in the host: the image keeps a pointer to one per task that runs a program
 * (bh_task_layout.thread_host; NULL for kernel threads). It begins with this view.
 */
struct bh_task_view {
	/* The program's registers while it is in the kernel: BH_USER_REGS_WORDS words in the order
	 * of struct user_regs_struct from r15 to ss, at the top of the task's kernel stack. */
	uint64_t *regs;
	uint64_t fs_base, gs_base; /* the program's, while it is in the kernel */
	void *xsave;		   /* the program's FP state, standard XSAVE format */
	uint64_t is_in_program;	   /* 1: the program has the CPU (regs, … are then out of date) */
	uint64_t node;		   /* node id */
};
#define BH_USER_REGS_WORDS 21
/* Of these words the number of the system call, while the program is in one. */
#define BH_USER_REGS_CALL 15

/* "sendto"; NULL for a number that is no system call's. */
const char *bh_posix_call_name(uint64_t number);

/* For functions of the host that kernel code enters by another way than through its tables, before
 * anything that may use FP registers: puts those of a program aside. */
void bh_fp_save(void);

/* A mapped program or library. Fixed size, so that it can be read from another process. */
struct bh_posix_image {
	uint32_t node;
	int32_t pid;	  /* process (thread group) */
	uint64_t base;	  /* address of the file's first byte: the load bias of a PIE */
	uint64_t size;	  /* up to the end of its last segment */
	uint64_t bias;	  /* to add to the addresses in the file; 0 for a fixed one */
	uint64_t dynamic; /* address of its dynamic section (l_ld), 0 if static */
	char path[232];	  /* in the node's root; NUL-terminated, cut if longer */
};

/*
 * All images of all nodes: the one thing of posix/ that a tracer finds by address. It has the same
 * address in the tracee as in a tracer that forked it. images points to count records.
 */
struct bh_posix_image_table {
	volatile uint64_t count;
	struct bh_posix_image *volatile images;
	volatile uint64_t generation; /* changes with every change of the list */
};
extern struct bh_posix_image_table bh_posix_images;

/* Does nothing: a tracer can stop at its first instruction. Called when images have been added and
 * their text is in place, and when some are about to be removed. */
void bh_posix_images_change(void);

/* Copies length bytes at address; 0 or -1. */
typedef int (*bh_posix_read_fn)(void *arg, uint64_t address, void *bytes_ret, size_t length);

/*
 * Lists the images through read (of a tracee), or of this process when read is NULL: sorted by
 * node, pid, base. The caller frees the array.
 */
struct bh_error *bh_posix_image_list(bh_posix_read_fn read, void *arg,
				     struct bh_posix_image **images_ret, size_t *count_ret);

#endif
