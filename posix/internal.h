/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of posix/ share. A task is a thread of a program, an mm its memory (shared by the
 * threads of a process and by a vfork child), a node the programs of one kernel.
 *
 *   entry.S      into the host from a program's trap, and back
 *   traps.c      signal handlers: which trap is whose
 *   vsyscall.c   the page that answers without a system call
 *   syscalls.c   which system call is whose
 *   strace.c     system calls as lines of text
 *   fp.c         FP registers, which stay in place as long as nobody needs them
 *   memory.c     mmap and its kin; regions.c: the list of what is mapped
 *   shared.c     memory that processes share
 *   residence.c  who of several processes with the same addresses has them now
 *   exec.c       loading a program; elf.c reads its headers
 *   cpu_model.c  the processor that programs see
 *   texts.c      changed text, kept for the next process
 *   code_sites.c what is changed in a program's text when it is mapped; code_windows.c where
 *   tasks.c      tasks: made, copied, released
 *   crash.c      the report of a program that ends by a fault
 *   files.c      the node's view of files
 *   proc.c       what /proc/PID shows of memory
 *   needs.c      what an executable needs besides itself
 *   images.c     the list of programs and libraries for a debugger
 *   node.c       the life of nodes, and the table of operations for the image
 */
#ifndef BH_POSIX_INTERNAL_H
#define BH_POSIX_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "kernel-lib/arch/backhop/include/asm/host_abi.h"
#include "kernel-lib/arch/backhop/include/asm/user_abi.h"
#include "posix/posix.h"

#define BH_PAGE_SIZE 4096ull

static inline uint64_t bh_page_down(uint64_t value)
{
	return value & ~(BH_PAGE_SIZE - 1);
}

static inline uint64_t bh_page_up(uint64_t value)
{
	return bh_page_down(value + BH_PAGE_SIZE - 1);
}

/* A function that the image calls: kernel code promises nothing about the stack's alignment. */
#define BH_OP __attribute__((force_align_arg_pointer))

/* The registers of a program, as the kernel's struct pt_regs. */
struct pt_regs {
	uint64_t r15, r14, r13, r12, bp, bx;
	uint64_t r11, r10, r9, r8, ax, cx, dx, si, di;
	uint64_t orig_ax;
	uint64_t ip, cs, flags, sp, ss;
};
_Static_assert(sizeof(struct pt_regs) == BH_USER_REGS_WORDS * 8, "x86-64's layout");

#define BH_USER_CS 0x33
#define BH_USER_SS 0x2b

/* --- memory of a process --- */

/* Offsets in an arena. */
#define BH_ARENA_STUBS	    0x00010000ull /* code of ours for the program: code_sites.c */
#define BH_ARENA_PROGRAM    0x00400000ull /* a position-independent program */
#define BH_ARENA_MAP_TOP    0xbf000000ull /* mmap() goes down from here */
#define BH_ARENA_HIGH_STUBS 0xbf000000ull /* for text from BH_ARENA_HIGH_TEXT on */
#define BH_ARENA_HIGH_TEXT  0x60000000ull
#define BH_ARENA_STACK	    0xbf7f0000ull /* lowest address of the main stack */
#define BH_ARENA_STACK_TOP  0xbfff0000ull
#define BH_ARENA_ASIDE	    0xc0000000ull /* where a fixed program is put while another runs */

/* A range with one protection and one source. */
struct bh_region {
	uint64_t start, end;	     /* as the program sees them */
	int prot;		     /* PROT_* */
	const struct bh_input *file; /* NULL: anonymous or copied */
	struct bh_shared *shared;    /* not NULL: at the same place for all processes */
	uint64_t offset;	     /* of start in the file */
	const struct bh_text *text;  /* changed text or its stubs: see texts.c */
	uint64_t text_offset;	     /* of start in what the text would be kept as */
	int is_kept_text;	     /* it is mapped from there */
};

#define BH_NO_SLOT (~0u)
/* Arenas are given to nodes by fours: a node with few processes takes few addresses. */
#define BH_ARENAS_AT_ONCE 4u
#define BH_PROCESSES_MAX  1024u /* of a node: arenas, of which a forked child needs two */

/* The same for fixed programs, which seldom begin below. */
#define BH_FIXED_STUBS_END 0x00400000ull
/* A page at the same address in every run: its first word is the address of bh_user_call. */
#define BH_GATE_ADDRESS 0x3fff0000ull

struct bh_mm {
	unsigned int references;
	struct bh_posix_node *node;
	unsigned int window; /* the arena that its program sees; a forked child's is its parent's */
	unsigned int aside;  /* the arena where it lies while a relative has the window */
	int uses_fixed;	     /* has regions below BH_FIXED_END */
	struct bh_region *regions; /* sorted, disjoint */
	size_t region_count, region_capacity;
	uint64_t brk_start, brk;
	uint64_t interpreter_bias;		 /* 0: none */
	uint64_t stubs, high_stubs, fixed_stubs; /* where the next stubs go */
};

uint64_t bh_arena_address(const struct bh_posix_node *node, unsigned int slot);

/* regions.c */
/* First region that ends above address, or region_count. */
size_t bh_regions_find(const struct bh_mm *mm, uint64_t address);
const struct bh_region *bh_regions_at(const struct bh_mm *mm, uint64_t address);
int bh_regions_is_free(const struct bh_mm *mm, uint64_t start, uint64_t end);
int bh_regions_is_covered(const struct bh_mm *mm, uint64_t start, uint64_t end);
/* The list only; 0 or -ENOMEM. remove: cuts what is in the range out. Each region has a reference
 * to its shared memory. */
int bh_regions_insert(struct bh_mm *mm, const struct bh_region *region);
int bh_regions_remove(struct bh_mm *mm, uint64_t start, uint64_t end);
int bh_regions_protect(struct bh_mm *mm, uint64_t start, uint64_t end, int prot);
/* What is in [start, end), from text_offset on, is text. */
int bh_regions_set_text(struct bh_mm *mm, uint64_t start, uint64_t end, const struct bh_text *text,
			uint64_t text_offset, int is_kept);
/* Highest free range of length bytes in [low, high): its start, or 0. */
uint64_t bh_regions_gap(const struct bh_mm *mm, uint64_t length, uint64_t low, uint64_t high);
void bh_regions_destroy(struct bh_mm *mm);

/* shared.c: an address, or -errno. */
long bh_shared_map_anonymous(struct bh_mm *mm, uint64_t length, int prot);
long bh_shared_map_file(struct bh_mm *mm, int fd, uint64_t length, uint64_t offset, int prot);
/* References; both take NULL. The memory goes with the last. */
void bh_shared_keep(struct bh_shared *shared);
void bh_shared_release(struct bh_shared *shared);

/* memory.c: -errno on failure. Ranges are whole pages in the program's reach. */
int bh_mm_create(struct bh_posix_node *node, struct bh_mm **mm_ret);
void bh_mm_release(struct bh_mm *mm);
/* Lowest free arena of the node, or BH_NO_SLOT. */
unsigned int bh_mm_slot_take(struct bh_posix_node *node);
uint64_t bh_mm_base(const struct bh_mm *mm);
int bh_mm_is_in_reach(const struct bh_mm *mm, uint64_t start, uint64_t end);
int bh_mm_map_anonymous(struct bh_mm *mm, uint64_t start, uint64_t length, int prot);
/* file through a private mapping, or a copy of what data has from offset on, the rest zero. */
int bh_mm_map_file(struct bh_mm *mm, uint64_t start, uint64_t length, int prot,
		   const struct bh_input *file, uint64_t offset);
int bh_mm_map_copy(struct bh_mm *mm, uint64_t start, uint64_t length, int prot, const void *data,
		   uint64_t size, uint64_t offset);
int bh_mm_unmap(struct bh_mm *mm, uint64_t start, uint64_t end);

struct bh_task;
/* How many of length bytes at address the program, and so the host, can read. */
size_t bh_memory_readable(const struct bh_task *task, uint64_t address, size_t length);
long bh_memory_mmap(struct bh_task *task, const struct pt_regs *regs);
long bh_memory_munmap(struct bh_task *task, const struct pt_regs *regs);
long bh_memory_mprotect(struct bh_task *task, const struct pt_regs *regs);
long bh_memory_brk(struct bh_task *task, const struct pt_regs *regs);
/* Moves pages to where nothing is; 0, or -errno. What is one mapping for a program may be several
 * for the host, which joins them or not as it likes (after mprotect, after a fork), and moves one
 * at a time. */
int bh_memory_move(uint64_t old, uint64_t length, uint64_t to);
long bh_memory_mremap(struct bh_task *task, const struct pt_regs *regs);
long bh_memory_madvise(struct bh_task *task, const struct pt_regs *regs);
long bh_memory_mincore(struct bh_task *task, const struct pt_regs *regs);
long bh_memory_shmat(struct bh_task *task, const struct pt_regs *regs); /* shared.c */
long bh_memory_shmdt(struct bh_task *task, const struct pt_regs *regs);

/* residence.c */
/* Where the bytes at address lie now. */
uint64_t bh_residence_place(const struct bh_mm *mm, uint64_t address);
/* Makes mm's memory lie where its program sees it. Aborts when the host refuses. */
void bh_residence_enter(struct bh_mm *mm);
/* mm's memory is gone. */
void bh_residence_leave(struct bh_mm *mm);
/* A copy of parent's memory, lying aside; 0 or -errno. child is new and empty. */
int bh_residence_copy(struct bh_mm *parent, struct bh_mm *child);

/* --- tasks --- */

struct bh_task {
	struct bh_task_view view; /* first: see posix.h; entry.S knows its layout */
	struct bh_posix_node *node;
	struct bh_mm *mm;
	uint64_t instant_ns;	      /* virtual time of the last system call */
	uint64_t debt_ns;	      /* what calls cost, and wasn't slept off yet */
	int is_traced;		      /* its calls are told of, and those of its children */
	int pid;		      /* process; 0 until it is known */
	int is_new;		      /* copied, and not yet in its program */
	struct bh_task *next, **link; /* all tasks of the node */
};

/* entry.S */
typedef void (*bh_trap_fn)(struct bh_task *task, struct pt_regs *regs);
/* From a handler, with the program's state saved: leaves the signal stack for the task's kernel
 * stack, calls trap and goes back to the program. */
void bh_user_trap(struct bh_task *task, struct pt_regs *regs, bh_trap_fn trap)
	__attribute__((noreturn));
/* Back to (or first into) the program. */
void bh_user_enter(struct bh_task *task) __attribute__((noreturn));
/* Where a changed system call of a program enters the host: not a function. */
extern const char bh_user_call[];
/* The instruction that leaves for the program: a fault there is the program's. */
extern const char bh_user_iret[];

/* entry.S and fp.c: FP registers of the program that trapped last may still be in place. What runs
 * then is marked with BH_NO_FP, or calls this first. */
#define BH_NO_FP __attribute__((target("general-regs-only")))
extern char bh_fp_is_live;
void bh_fp_wrap_user_ops(const struct bh_user_ops *ops, struct bh_user_ops *wrapped_ret);
void bh_fp_wrap_host_ops(const struct bh_host_ops *ops, struct bh_host_ops *wrapped_ret);

/* traps.c */
extern uint64_t bh_xsave_mask; /* read by entry.S */
extern uint64_t bh_xsave_size, bh_host_fs_base;
extern struct bh_task *bh_trap_task; /* the task whose program has or last had the CPU */
void bh_traps_set_posix(struct bh_posix *posix);

/* vsyscall.c: calls of the vsyscall page raise SIGSYS from now on; before the process is confined.
 * Doing it again does nothing. */
struct bh_error *bh_vsyscall_trap(int is_restored);

/* syscalls.c: the one place through which all system calls of programs go, trapped or (later) from
 * rewritten call sites. regs->orig_ax is the number. */
void bh_syscall_dispatch(struct bh_task *task, struct pt_regs *regs);

/* strace.c: tells of the call in regs, which is about to happen or (has_ended) has happened. */
void bh_strace_call(struct bh_task *task, const struct pt_regs *regs, int has_ended);

/* cpu_model.c */
uint64_t bh_cpu_model_hwcap(void);
void bh_cpu_model_cpuid(struct pt_regs *regs);
/* texts.c: text that was mapped once, from offset on, with its stubs at a distance. */
struct bh_text {
	struct bh_text *next;
	const void *data; /* the file's bytes, with the three below: the key */
	uint64_t offset, length, distance;
	unsigned int uses;
	int is_kept;
	uint64_t place; /* where it is kept, its stubs behind it */
};

/* NULL when there is no memory. */
struct bh_text *bh_text_find(struct bh_posix *posix, const void *data, uint64_t offset,
			     uint64_t length, uint64_t distance);
/* What was changed at start, with its stubs, is as any other process will have it. */
void bh_text_keep(struct bh_posix *posix, struct bh_text *text, uint64_t start, uint64_t stubs,
		  uint64_t stub_bytes);
/* Maps length bytes of a kept text, or of the stubs behind it. 0 or -1 with errno. */
int bh_text_map(const struct bh_posix *posix, const struct bh_text *text, uint64_t start,
		uint64_t length, int prot, uint64_t text_offset);
void bh_texts_after_fork(struct bh_posix *posix);
/* See bh_posix_before_snapshot(). */
struct bh_error *bh_texts_before_snapshot(struct bh_posix *posix);
struct bh_error *bh_texts_after_restore(struct bh_posix *posix);
void bh_texts_destroy(struct bh_posix *posix);

/* code_sites.c: executable pages of file (NULL: not the host's), from offset on, at start. data is
 * the whole file; prot what the mapping has, before and after a change. */
struct bh_code {
	uint64_t start, length, offset;
	int prot;
	int is_fresh; /* nobody can have written to it yet */
	const struct bh_input *file;
	const void *data;
	uint64_t size;
};

#define BH_CPUID_TRAP_0 0xcd /* int $0x43: faults, and no program has it */
#define BH_CPUID_TRAP_1 0x43
/* Changes what was mapped. */
void bh_code_sites_change(struct bh_mm *mm, const struct bh_code *code);
/* Maps the changed code, which is in mm's list already, if it was kept: 1 if it was. */
int bh_code_sites_map(struct bh_mm *mm, const struct bh_code *code);
void bh_code_sites_destroy(struct bh_posix *posix);
/* How many system calls a file's text has, as far as one can tell, and how many would be changed.
 */
void bh_code_sites_survey(const void *data, uint64_t size, size_t *calls_ret, size_t *changed_ret);

/* tasks.c */
struct bh_task *bh_task_create(struct bh_posix_node *node, struct pt_regs *regs);
void bh_task_reset(struct bh_task *task);
BH_OP void *bh_task_op_fork(void *user_host, void *parent, struct pt_regs *regs, int share_memory,
			    unsigned long fs_base);
BH_OP void bh_task_op_release(void *user_host, void *task);
BH_OP void bh_task_op_switch(void *user_host, void *task);
BH_OP void bh_task_op_enter(void *user_host, void *task) __attribute__((noreturn));
BH_OP void *bh_task_op_fp(void *user_host, void *task);
BH_OP void bh_task_op_fp_changed(void *user_host, void *task, int reset);

/* exec.c */
#define BH_AUXV_WORDS 40
BH_OP void *bh_exec_op_buffer(void *user_host, unsigned long size);
BH_OP int bh_exec_op_check(void *user_host, struct bh_exec *exec);
BH_OP int bh_exec_op_map(void *user_host, void **task, struct bh_exec *exec, struct pt_regs *regs);
BH_OP int bh_exec_op_start(void *user_host, void *task, struct bh_exec *exec, struct pt_regs *regs);
BH_OP void bh_exec_op_end(void *user_host, struct bh_exec *exec);

/* elf.c */
struct bh_elf_segment {
	uint64_t address, file_size, memory_size, offset;
	int prot;
};

#define BH_ELF_MAX_SEGMENTS 16

struct bh_elf {
	int is_fixed;	      /* ET_EXEC */
	uint64_t entry, phdr; /* addresses in the file; phdr 0 if not mapped */
	unsigned int phdr_count;
	uint64_t low, high; /* first and end of the mapped addresses, whole pages */
	uint64_t alignment;
	uint64_t dynamic;     /* address of the dynamic section, 0 if none */
	uint64_t frame_table; /* offset in the file of .eh_frame_hdr, 0 if none */
	uint64_t frame_table_address, frame_table_size;
	struct bh_elf_segment segments[BH_ELF_MAX_SEGMENTS];
	size_t segment_count;
	char interpreter[256];
};
/* 0 or -ENOEXEC; *why_ret is then a short reason. Safe on any bytes. */
int bh_elf_parse(const void *data, uint64_t size, struct bh_elf *elf_ret, const char **why_ret);
/* The bytes of its build-id, in data; 0 if it has none, or isn't an ELF file. Safe on any bytes. */
size_t bh_elf_build_id(const void *data, uint64_t size, const uint8_t **id_ret);

/* entry.S: calls function(arg) on another stack, for what needs more than a kernel task has. */
void bh_on_stack(void (*function)(void *), void *arg, void *stack_top);

/* crash.c */
/* "/usr/bin/x+0x1234", or the address alone. */
void bh_crash_place(const struct bh_task *task, uint64_t address, char *text, size_t size);
/* The kernel's calls from a place with this frame pointer and stack outwards, as offsets in the
 * image, at most max; returns how many. */
#define BH_KERNEL_TRACE_MAX 48u
size_t bh_crash_kernel_walk(const struct bh_posix_node *node, uint64_t ip, uint64_t bp, uint64_t sp,
			    uint64_t *trace_ret);
/* Where the program of the current task is, in lines, for the caller to free; NULL without memory.
 */
char *bh_crash_program_stack(struct bh_task *task);
BH_OP void bh_crash_op(void *user_host, void *task, int signal, int code, unsigned long address);

/* --- nodes --- */

/* A file that the node shows in place of the host's. */
struct bh_override {
	struct bh_input input; /* path, kind, mode, size, number, text or data */
	int is_merged;	       /* a directory: the host's names and those of overrides in it */
	int is_bound;	       /* a bind has taken its place */
	int is_borrowed;       /* input.data isn't ours */
	struct bh_override *next;
};

/* A file or directory of the host that the node shows in another place. */
struct bh_bind {
	char *host_path, *node_path;
	int is_read_only;
	struct bh_bind *next;
};

struct bh_buffer {
	struct bh_buffer *next;
	uint64_t size;
	uint8_t bytes[];
};

struct bh_posix_node {
	struct bh_posix *posix;
	uint32_t id;
	char *hostname;
	struct bh_boot *boot;
	struct bh_posix_callbacks callbacks;
	void *arg;
	struct bh_override *overrides;
	struct bh_bind *binds; /* in the scenario's order */
	struct bh_posix_costs costs;
	struct bh_host_ops host_ops; /* the image's tables: see fp.c */
	struct bh_user_ops user_ops;
	struct bh_buffer *buffers; /* of the exec that is going on */
	struct bh_task *tasks;
	int is_ending; /* its kernel must not run again */
	struct bh_arena {
		unsigned int users;
		struct bh_mm *resident; /* whose memory lies in it */
	} * arenas;
	unsigned int arena_count;
	uint64_t arena_blocks[BH_PROCESSES_MAX / BH_ARENAS_AT_ONCE]; /* addresses */
	struct bh_posix_node *next;
};

struct bh_posix {
	struct bh_inputs *inputs;
	struct bh_posix_node *nodes;
	struct bh_mm *fixed_resident; /* whose memory lies at the fixed addresses */
	uint64_t next_arenas;	      /* the lowest address that no node has */
	struct bh_shared *shared;     /* anonymous, by address */
	struct bh_code_sites *code_sites;
	struct bh_text *texts;
	int text_descriptor; /* -1: none yet, -2: none to be had */
	uint8_t *text_copy;  /* what it held at the last snapshot; or NULL */
	uint64_t text_copy_bytes;
	uint64_t text_bytes; /* in it */
};

/* node.c: one line for the log of the current process. */
void bh_posix_node_log(struct bh_posix_node *node, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* node.c: where addresses that are given out to all nodes, the lowest first, are given to this one.
 */
uint64_t bh_posix_node_place(struct bh_posix_node *node, uint64_t address);
BH_NO_FP static inline uint64_t bh_posix_node_clock_ns(const struct bh_posix_node *node)
{
	return node->boot->host_ops->clock_ns(node->boot->host);
}

BH_NO_FP static inline const struct bh_user_image_ops *
bh_posix_node_image(const struct bh_posix_node *node)
{
	return node->boot->user_image_ops;
}

/* files.c */
struct bh_error *bh_files_set_defaults(struct bh_posix_node *node);
void bh_files_destroy(struct bh_posix_node *node);
BH_OP int bh_files_op_lookup(void *user_host, const char *path, struct bh_user_stat *stat_ret);
BH_OP int bh_files_op_content(void *user_host, const void *handle, const void **data_ret,
			      unsigned long *size_ret);
BH_OP unsigned long bh_files_op_number(void *user_host, const void *handle, const char *name);
BH_OP const char *bh_files_op_read_only_path(void *user_host, unsigned int index);
/* Inode number, as the node sees it. */
uint64_t bh_files_number(const struct bh_posix_node *node, const struct bh_input *input);
/* A descriptor of the host for mapping, or -errno: -ENODEV if the file is no file of the host. */
int bh_files_descriptor(struct bh_posix_node *node, const struct bh_input *file);

/* proc.c: memory of any task of the node, also of one that isn't resident. */
BH_OP int bh_proc_op_region(void *user_host, void *task, unsigned long index,
			    struct bh_user_region *region_ret);
BH_OP unsigned long bh_proc_op_access(void *user_host, void *task, unsigned long address,
				      void *buffer, unsigned long length, int is_write);

/* images.c */
void bh_images_add(struct bh_posix_node *node, int pid, const struct bh_elf *elf, uint64_t bias,
		   const char *path);
/* The text of the images that were added is in place: debuggers hear of them. */
void bh_images_settle(const struct bh_posix_node *node);
/* Forgets the images of a process whose base lies in the range. */
void bh_images_remove(struct bh_posix_node *node, int pid, uint64_t start, uint64_t end);
void bh_images_remove_node(const struct bh_posix_node *node);
void bh_images_copy(struct bh_posix_node *node, int from_pid, int to_pid);

#endif
