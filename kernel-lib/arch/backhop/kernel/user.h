/* SPDX-License-Identifier: GPL-2.0 */
/* What the user half of the port shares: user.c, root.c, layer.c, proc.c, binfmt.c,
 * signal.c, bhfs.c; what the layer of files asks memory.c. */
#ifndef BH_KERNEL_USER_H
#define BH_KERNEL_USER_H

#include <linux/fs.h>
#include <linux/ptrace.h>
#include <asm/setup.h>
#include <asm/user_abi.h>

#define bh_user_call(op, ...) (bh_boot->user_ops->op(bh_boot->user_host, ##__VA_ARGS__))

/* signal.c: delivers a signal or restarts a call that one interrupted. */
void bh_signal_deliver(struct pt_regs *regs);

/* shared.c: a new file in memory, with these bytes, at its beginning. */
struct file *bh_shared_file(const void *data, unsigned long size);
/* shared.c: see bh_user_image_ops. */
long bh_shared_map(int fd, unsigned long len, unsigned long offset, void **file_ret);
void bh_shared_release(void *file);
long bh_shared_attach(int id, int flags, unsigned long *len_ret, void **file_ret);

/* bhfs.c: the host's name for a file of bhfs, NULL for any other. */
const void *bh_file_handle(struct file *file);
/* bhfs.c: opens a file whose writes go to the host as output of fd. */
struct file *bh_output_open(int fd);

struct socket;
/* packet_ring.c: the address of a packet socket's rings, or -errno. */
long bh_packet_ring_map(struct socket *socket, unsigned long size);

/* tunnels.c: makes the device that an ioctl about tunnels looked for, if it is a driver's own. */
bool bh_tunnel_driver_device(unsigned int command, unsigned long argument);

/* terminal.c: a new terminal, opened for the current task, which leads a session. */
struct file *bh_terminal_open(const struct bh_spawn *spawn);

/* user.c: a system call as a program makes it, of the current task. */
long bh_user_system_call(unsigned int nr, unsigned long a, unsigned long b, unsigned long c,
			 unsigned long d, unsigned long e);

/* root.c: the mounts that every node has, in process 1. */
long bh_root_init(void);

/* memory.c: how many pages files can still have. */
unsigned long bh_memory_left(void);
/* memory.c: the allocator keeps no more for itself than it must. */
void bh_memory_settle(void);

/* layer.c */
int bh_layer_register(void);
/* What the walk shows: all below the directory of this path. */
int bh_layer_remember(const char *upper);
/* For the host, see user_abi.h. */
void bh_layer_walk(void (*found)(void *arg, const struct bh_layer_entry *entry), void *arg);
const void *bh_layer_page(const void *handle, unsigned long *offset);

/* binfmt.c */
int bh_binfmt_register(void);
/* bhfs.c */
int bh_files_register(void);

#endif
