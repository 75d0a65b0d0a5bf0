// SPDX-License-Identifier: GPL-2.0
/*
 * A program's terminal: a pty of the node's kernel, the program on its slave side, the host on its
 * master side. So line editing, job control and window sizes are the kernel's own. What the person
 * types comes from host_ops->terminal_next() after BH_IRQ_TERMINAL, what the terminal shows goes to
 * host_ops->terminal_output(). Called by user.c, when a program with a terminal is started, and by
 * irq.c. A node has at most one such terminal at a time.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/slab.h>
#include <linux/tty.h>
#include <linux/wait.h>

#include "user.h"

#define OUTPUT_SIZE 4096

struct terminal {
	unsigned long id; /* of the spawn */
	struct file *master;
	char *output;
};

static struct terminal *terminal; /* the one that is open, or NULL */
static DECLARE_WAIT_QUEUE_HEAD(input_wait);
static bool input_wanted;

void bh_terminal_interrupt(void)
{
	input_wanted = true;
	wake_up(&input_wait);
}

/* Kernel and programs share one address space, so the argument may lie anywhere. */
static long master_ioctl(struct file *master, unsigned int command, void *argument)
{
	return master->f_op->unlocked_ioctl(master, command, (unsigned long)argument);
}

static void set_size(struct file *master, const struct bh_terminal_input *input)
{
	struct winsize size = {.ws_row = input->rows, .ws_col = input->columns};

	if (input->rows && input->columns)
		master_ioctl(master, TIOCSWINSZ, &size);
}

/* --- the host's side of the pty --- */

/* Writing waits when the program doesn't read, so it has a thread of its own. */
static int feed(void *unused)
{
	struct bh_terminal_input input;

	while (!kthread_should_stop()) {
		wait_event_idle(input_wait, input_wanted || kthread_should_stop());
		input_wanted = false;
		while (!kthread_should_stop() &&
		       bh_boot->host_ops->terminal_next(bh_boot->host, &input)) {
			set_size(terminal->master, &input);
			if (input.len)
				kernel_write(terminal->master, input.data, input.len, NULL);
		}
	}
	return 0;
}

/* Ends when nobody has the slave side open any more. */
static int show(void *feeder)
{
	const struct bh_host_ops *ops = bh_boot->host_ops;
	struct terminal *mine = terminal;
	ssize_t len;

	while ((len = kernel_read(mine->master, mine->output, OUTPUT_SIZE, NULL)) > 0)
		ops->terminal_output(bh_boot->host, mine->id, mine->output, len);
	kthread_stop(feeder);
	terminal = NULL;
	fput(mine->master);
	kfree(mine->output);
	kfree(mine);
	return 0;
}

static int start_threads(void)
{
	struct task_struct *feeder = kthread_create(feed, NULL, "terminal-feed");
	struct task_struct *shower;

	if (IS_ERR(feeder))
		return PTR_ERR(feeder);
	shower = kthread_create(show, feeder, "terminal-show");
	if (IS_ERR(shower)) {
		kthread_stop(feeder);
		return PTR_ERR(shower);
	}
	wake_up_process(feeder);
	wake_up_process(shower);
	return 0;
}

/* --- the program's side --- */

static struct file *open_slave(struct file *master)
{
	char path[32];
	int number = 0, locked = 0;
	long ret = master_ioctl(master, TIOCSPTLCK, &locked);

	if (!ret)
		ret = master_ioctl(master, TIOCGPTN, &number);
	if (ret)
		return ERR_PTR(ret);
	snprintf(path, sizeof(path), "/dev/pts/%d", number);
	/* By a session's leader without a terminal: it becomes that session's. */
	return filp_open(path, O_RDWR, 0);
}

static struct terminal *create(const struct bh_spawn *spawn)
{
	struct terminal *created = kzalloc(sizeof(*created), GFP_KERNEL);

	if (!created)
		return NULL;
	created->id = spawn->id;
	created->output = kmalloc(OUTPUT_SIZE, GFP_KERNEL);
	created->master = filp_open("/dev/ptmx", O_RDWR | O_NOCTTY, 0);
	if (created->output && !IS_ERR(created->master))
		return created;
	if (!IS_ERR(created->master))
		fput(created->master);
	kfree(created->output);
	kfree(created);
	return NULL;
}

struct file *bh_terminal_open(const struct bh_spawn *spawn)
{
	struct file *slave;
	int ret;

	if (terminal)
		return ERR_PTR(-EBUSY);
	terminal = create(spawn);
	if (!terminal)
		return ERR_PTR(-ENOMEM);
	slave = open_slave(terminal->master);
	ret = IS_ERR(slave) ? PTR_ERR(slave) : start_threads();
	if (!ret)
		return slave;
	if (!IS_ERR(slave))
		fput(slave);
	fput(terminal->master);
	kfree(terminal->output);
	kfree(terminal);
	terminal = NULL;
	return ERR_PTR(ret);
}

/* Called by the host while the node idles, so nothing may sleep or change here. A read() waits in
 * the same queue as a poll() (drivers/tty/n_tty.c, Linux 6.1). */
int bh_terminal_is_read(void)
{
	struct tty_file_private *private;
	struct tty_struct *slave;

	if (!terminal)
		return 0;
	private = terminal->master->private_data;
	slave = private->tty->link;
	return slave && waitqueue_active(&slave->read_wait);
}
