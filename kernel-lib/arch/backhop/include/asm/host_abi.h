/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The seam between a node's kernel image and the process that hosts it. Included by both sides,
 * so it uses only types that the two have in common (unsigned long is 64 bits on both).
 *
 * Every node has one struct bh_boot, owned by the host, valid for the life of the node. The image
 * has one visible symbol, its ELF entry point, of type bh_image_entry_fn. Everything the node asks
 * of the host goes through boot->host_ops, and every callback gets boot->host as its instance;
 * everything the host asks of the node goes through boot->image_ops, which the image fills before
 * its first idle(). Neither side calls the other except through these tables, on one host thread.
 *
 * Stacks: the host enters a node by switching to the stack on which it called host_ops->idle();
 * the node gives the CPU back by calling idle() again. Host callbacks run on the stack of the
 * kernel task that made them (BH_KERNEL_STACK_SIZE bytes): they must be shallow, must not block
 * and must not flush files.
 */
#ifndef BH_HOST_ABI_H
#define BH_HOST_ABI_H

#define BH_HOST_ABI_VERSION 5u

#define BH_KERNEL_STACK_SIZE 32768ul
#define BH_NO_DEADLINE	     (~0ul)

/* Bits of bh_boot.pending: interrupts that the host raises before it resumes a node from idle(). */
#define BH_IRQ_TIMER	1ul	/* the deadline given to timer_set() is reached */
#define BH_IRQ_NET	2ul	/* frame_receive() has frames */
#define BH_IRQ_SPAWN	4ul	/* spawn_next() has a program to start */
#define BH_IRQ_LINK	8ul	/* the host changed a device's record */
#define BH_IRQ_TERMINAL 0x100ul /* terminal_next() has input */

#define BH_MAX_DEVICES 64

/* How a node ends, for halt(). */
#define BH_HALT_OFF	0 /* halted or powered off */
#define BH_HALT_PANIC	1
#define BH_HALT_RESTART 2 /* wants to boot again */

/* The image's section .backhop.reasons is an array of these: what its drop reasons are called. */
struct bh_drop_reason {
	unsigned int number;
	char name[44]; /* "NETFILTER_DROP"; NUL-terminated */
};

/* One network device of a node, configured before boot. */
struct bh_netdev {
	char name[16];		     /* "eth0" */
	unsigned char mac[6];	     /* locally administered */
	unsigned char carrier;	     /* 1: link up; the host may change it and raise BH_IRQ_LINK */
	unsigned char transmit_full; /* 1: the link's queue has no room; the host sets it during
				      * frame_transmit(), clears it and raises BH_IRQ_LINK */
	unsigned int mtu;	     /* bytes, without the Ethernet header */
	unsigned int speed_mbps;     /* what the device says its speed is; the host may change it */
};

/* A received frame; data is the host's and valid until the next frame_receive() of the node. */
struct bh_rx_frame {
	const void *data;     /* from the Ethernet destination address on */
	unsigned int len;     /* bytes, without frame check sequence */
	unsigned int device;  /* index into bh_boot.devices */
	unsigned long packet; /* lineage: the packet id, stamped on the socket buffer */
};

struct pt_regs; /* x86-64's layout, as struct user_regs_struct of <sys/user.h> up to ss */

/* A program to start, or a signal to send to one, answered by spawn_next(). Strings are the host's,
 * valid until spawn_result() with the same id has been called; a signal has no result. */
struct bh_spawn {
	unsigned long id;	 /* the host's number for this start, echoed in spawn_result() */
	const char *path;	 /* absolute path in the node's root, or a name looked up in PATH */
	const char *const *argv; /* NULL-terminated */
	const char *const *envp; /* NULL-terminated */
	const char *cwd;
	unsigned int uid, gid;
	/* Not 0: its stdin, stdout and stderr are a terminal, the host's to feed and to show. A
	 * node has one at a time. */
	unsigned int has_terminal;
	const void *stdin_data; /* what standard input has; NULL: it is /dev/null */
	unsigned long stdin_size;
	/* Not 0: no start, but this signal, to the process group that the program of pid leads, or
	 * for pid 0 to all programs. */
	int signal, pid;
};

/* What happens at the host's side of a terminal. */
struct bh_terminal_input {
	const void *data;	      /* typed; valid until the next terminal_next() */
	unsigned int len;	      /* bytes */
	unsigned short rows, columns; /* not 0: the window has this size from now on */
};

/* What the node may ask of the host. The first argument is always bh_boot.host. */
struct bh_host_ops {
	/* --- time and CPU --- */
	/* Virtual time in ns since the start of the run. Called with the FP registers of a program
	 * in place, so it may not touch them; all other operations may. */
	unsigned long (*clock_ns)(void *host);
	/* Next time at which BH_IRQ_TIMER is wanted, absolute in ns, or BH_NO_DEADLINE. Replaces
	 * the deadline given before. One that is already past means: at once. */
	void (*timer_set)(void *host, unsigned long deadline_ns);
	/* Gives the CPU back until the host has set bits in bh_boot.pending. */
	void (*idle)(void *host);
	/* The node has ended (how: BH_HALT_*); does not return. */
	void (*halt)(void *host, int how, const char *reason) __attribute__((noreturn));
	/* Kernel log text as it is printed. */
	void (*console)(void *host, const char *text, unsigned long len);
	/* Seeded random bytes for the kernel's generator. */
	void (*entropy)(void *host, void *bytes_ret, unsigned long len);

	/* --- network --- */
	/* Where the node writes the next Ethernet frame that it sends, of len bytes; valid until
	 * frame_transmit(). NULL: no frame is so long. */
	void *(*frame_prepare)(void *host, unsigned int len);
	/* Puts the frame that was written there on device's link. packet is the lineage read off
	 * the socket buffer, 0 if unknown. */
	void (*frame_transmit)(void *host, unsigned int device, unsigned int len,
			       unsigned long packet);
	/* The node switched a device on or off; at boot all are on. */
	void (*device_state)(void *host, unsigned int device, int is_on);
	/* Takes the next received frame; returns 0 when there is none. */
	int (*frame_receive)(void *host, struct bh_rx_frame *frame_ret);
	/* The kernel dropped a packet. packet: lineage of the buffer, 0 if unknown. location:
	 * address in the image of the code that dropped it. reason: the kernel's number for it, see
	 * struct bh_drop_reason. len: bytes that the buffer still had (headers may be gone). May be
	 * NULL: nobody listens. */
	void (*packet_drop)(void *host, unsigned long packet, unsigned long location,
			    unsigned int reason, unsigned int len);

	/* --- programs (posix/) --- */
	/* Takes the next program to start; returns 0 when there is none. */
	int (*spawn_next)(void *host, struct bh_spawn *spawn_ret);
	/* The program of a start request got this pid (> 0), or failed with this -errno. */
	void (*spawn_result)(void *host, unsigned long id, int pid_or_errno);
	/* Takes the next input of the terminal; returns 0 when there is none. May be NULL if no
	 * program is started with a terminal. */
	int (*terminal_next)(void *host, struct bh_terminal_input *input_ret);
	/* The terminal of the program that spawn_next() gave this id shows these bytes. */
	void (*terminal_output)(void *host, unsigned long id, const void *data, unsigned long len);
};

/* What the host may ask of the node. Valid from the first idle() on. */
struct bh_image_ops {
	/* Address to resume at for a fault at pc, or 0 if pc has no __ex_table entry. */
	unsigned long (*fault_fixup)(unsigned long pc);
	/* Whether a program waits for input from the node's terminal. Only while the node idles. */
	int (*terminal_is_read)(void);
	/* Kernel code faulted and there is no fix-up: reports it in the kernel log and ends the
	 * task or the node. Called on the stack on which it happened; doesn't return. has_address:
	 * the fault was an access to address. */
	void (*oops)(struct pt_regs *regs, int signal, int has_address, unsigned long address);
	/* Where a debugger finds the tasks. */
	const struct bh_task_layout *task_layout;
};

/*
 * Where the host finds a task's identity, so that a debugger can list tasks from outside: offsets
 * in bytes into struct task_struct, and the addresses of the anchors. Filled by the image from the
 * kernel's own headers (offsetof), so that it is right for any kernel version.
 */
struct bh_task_layout {
	unsigned long current_task; /* address of the variable holding the running task_struct * */
	unsigned long init_task;    /* address of init_task (pid 0) */
	unsigned int tasks;	    /* struct list_head tasks: all processes */
	unsigned int signal;	    /* struct signal_struct *, shared by a process's threads */
	unsigned int signal_thread_head; /* in struct signal_struct: list_head of its threads ... */
	unsigned int thread_node;	 /* ... linked through this list_head of task_struct */
	unsigned int pid, tgid;		 /* int */
	unsigned int comm;		 /* char[16] */
	unsigned int stack;		 /* void *: lowest address of the kernel stack */
	unsigned int state;		 /* unsigned int: 0 running or runnable */
	unsigned int mm;		 /* struct mm_struct *: NULL for kernel threads */
	unsigned int kcov_handle;	 /* u64: lineage that the task's own packets get */
	unsigned int thread_sp;	  /* saved kernel stack pointer of a task that isn't running */
	unsigned int thread_host; /* the host's per-task pointer (posix/) */
	/* At a saved thread_sp lie, upwards: the callee-saved registers in the order r15, r14, r13,
	 * r12, rbx, rbp, then the resume address. */
};

struct bh_user_ops;
struct bh_user_image_ops;

struct bh_boot {
	unsigned int abi_version; /* BH_HOST_ABI_VERSION; the image refuses another */
	unsigned int node_id;
	void *host; /* instance argument of every host operation */
	const struct bh_host_ops *host_ops;
	struct bh_image_ops image_ops; /* filled by the image */
	unsigned long ram_base;	       /* address at which the image is mapped; RAM starts here */
	unsigned long ram_size;	       /* bytes, image included */
	unsigned long image_size;      /* bytes of RAM that the mapped image covers, page-aligned */
	const char *command_line;
	const char *hostname;
	volatile unsigned long pending; /* BH_IRQ_*; set by the host, cleared by the image */
	/* The host's own stack pointer, saved when it entered the node (node.c); at it lie the same
	 * seven words as at a thread_sp. Every kernel stack's first frame leads an unwinder to it.
	 */
	unsigned long host_sp;
	unsigned long epoch_ns; /* wall-clock time (ns since 1970) of virtual time 0 */
	/* Programs, see user_abi.h: the first two by the host before boot, the last by the image.
	 */
	void *user_host;
	const struct bh_user_ops *user_ops;
	const struct bh_user_image_ops *user_image_ops;
	unsigned int device_count;
	struct bh_netdev devices[BH_MAX_DEVICES];
};

/* Called once in the top page of the node's boot stack, which has BH_KERNEL_STACK_SIZE bytes; never
 * returns (the boot context becomes the idle task). */
typedef void (*bh_image_entry_fn)(struct bh_boot *boot);

#endif
