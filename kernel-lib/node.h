/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node: one kernel in its own range of addresses, run by switching stacks. Used by simulator/,
 * posix/ and tests. Everything here happens on the one host thread.
 *
 * The life of a node: create, boot (until the kernel first idles), then any number of resumes, each
 * with the interrupts that have come; each returns when the kernel idles again, or is dead.
 */
#ifndef BH_KERNEL_LIB_NODE_H
#define BH_KERNEL_LIB_NODE_H

#include <stdint.h>

#include "common/error.h"
#include "kernel-lib/arch/backhop/include/asm/host_abi.h"
#include "kernel-lib/image.h"

/*
 * Where nodes lie: node n has BH_NODE_SPAN bytes from BH_NODE_BASE + n * BH_NODE_SPAN on, whatever
 * the host's address randomisation says. Near the start of the span, at bh_node_base(), lies the
 * image and right behind it the node's RAM; near its end the boot stack.
 */
#define BH_NODE_BASE	    (1ul << 40)
#define BH_NODE_SPAN	    (1ul << 32)
#define BH_NODE_MAX	    3840u /* up to 16 TiB, where the programs begin */
#define BH_NODE_RAM_DEFAULT (64ul << 20)

/* Beside the BH_HALT_* of host_abi.h: the host ended the node because it never idled. */
#define BH_HALT_SPIN 3

struct bh_node;

struct bh_node_options {
	const struct bh_image *image; /* must outlive the node */
	unsigned int id;	      /* 0 .. BH_NODE_MAX - 1, not in use by another node */
	unsigned long ram_bytes;      /* image included; 0: BH_NODE_RAM_DEFAULT */
	const char *command_line;     /* added to the image's default; may be NULL; copied */
	const char *hostname;	      /* may be NULL; copied */
	/* The table is copied; idle and halt in it are ignored, they are node.c's own. */
	const struct bh_host_ops *host_ops;
	void *host;			 /* instance for host_ops */
	const struct bh_netdev *devices; /* copied; then in bh_node_boot_record()->devices */
	unsigned int device_count;
	unsigned long epoch_ns; /* wall-clock time of virtual time 0 */
};

enum bh_node_state {
	BH_NODE_CREATED, /* boot has not run */
	BH_NODE_IDLE,	 /* waits for bh_node_resume() */
	BH_NODE_RUNNING, /* this is seen only from host operations */
	BH_NODE_DEAD,
};

struct bh_error *bh_node_create(const struct bh_node_options *options, struct bh_node **node_ret);
/* Takes NULL. Unmaps everything; not to be called from a host operation of the node. */
void bh_node_destroy(struct bh_node *node);

/* Runs the kernel from its entry until it idles. An error if it died instead. */
struct bh_error *bh_node_boot(struct bh_node *node);
/* Raises interrupts (BH_IRQ_*, may be 0: then the kernel only looks again) and runs the kernel
 * until it idles or dies: see bh_node_state(). The node must be idle. */
void bh_node_resume(struct bh_node *node, unsigned long interrupts);

enum bh_node_state bh_node_state(const struct bh_node *node);
/* Why a node died: "" while it lives. how_ret: BH_HALT_*; may be NULL. */
const char *bh_node_death(const struct bh_node *node, int *how_ret);
/*
 * Gives the node's memory back to the host; the node is dead then, if it wasn't before. Its
 * addresses stay its own. Not to be called from a host operation of the node.
 */
void bh_node_release(struct bh_node *node);
/* A fresh node in the place of this one, ready for bh_node_boot(): the same image, options and
 * addresses, what the host wrote into its boot record kept, nothing of what the kernel did. */
void bh_node_reset(struct bh_node *node);
unsigned int bh_node_id(const struct bh_node *node);
/* Where the image is mapped: always the same for an id, but not the start of its span. */
unsigned long bh_node_base(const struct bh_node *node);
const struct bh_image *bh_node_image(const struct bh_node *node);
/* The record shared with the kernel; devices' carrier and transmit_full may be written. */
struct bh_boot *bh_node_boot_record(struct bh_node *node);
/* Where the idle task's stack pointer is kept while the host runs (a saved one: see
 * bh_task_layout); for the replayer, which reads it from another process. */
const unsigned long *bh_node_saved_stack(const struct bh_node *node);
/* The node on one of whose stacks the caller runs; only for host operations. */
struct bh_node *bh_node_current(void);
/* Ends the node that runs, as host_ops->halt() does; for a fault that has no fix-up. Called on a
 * stack of the node (a signal handler on it may). */
void bh_node_halt(struct bh_node *node, int how, const char *reason) __attribute__((noreturn));
/* Where to go on after a fault at pc, or 0. */
unsigned long bh_node_fault_fixup(const struct bh_node *node, unsigned long pc);

#endif
