// SPDX-License-Identifier: GPL-2.0-or-later
/* A node's memory and its turns on the host's one thread. See node.h. */
#include "kernel-lib/node.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096ul

/*
 * A span, upwards: image and RAM, then unmapped, then the boot stack and struct control, each with
 * unmapped pages around it. All of them begin some pages later in each node: the processor's
 * translation buffer chooses its sets by the low bits of the page number, and if all nodes had the
 * same page at the same place in their spans, these would push each other out (measured: a factor
 * of five with 16 nodes).
 */
#define STAGGER_PAGES	  128ul
#define STAGGER_STEP	  37ul
#define BOOT_STACK_OFFSET (BH_NODE_SPAN - (4ul << 20))
#define CONTROL_OFFSET	  (BH_NODE_SPAN - (2ul << 20))
#define RAM_BYTES_MAX	  (BH_NODE_SPAN - (8ul << 20))

struct bh_node {
	const struct bh_image *image;
	unsigned int id;
	unsigned long base;
	unsigned long *sp; /* of the idle task while the host runs; in control */
	enum bh_node_state state;
	int how; /* it died: BH_HALT_* */
	unsigned long ram_bytes;
	char death[200];
	char *command_line, *hostname;
	struct bh_host_ops host_ops;
	struct bh_boot *boot; /* in control */
};

/* In the span itself, so that what the kernel keeps of its address is the same in every run. */
struct control {
	struct bh_node *node;
	struct bh_boot boot;
	unsigned long sp;
};
_Static_assert(sizeof(struct control) <= PAGE_BYTES, "the control page is too small");

/* switch.S */
void bh_stack_switch(unsigned long *sp_ret, unsigned long sp);
extern char bh_boot_stack_start[];

static unsigned long node_base(unsigned long id)
{
	return BH_NODE_BASE + id * BH_NODE_SPAN + id * STAGGER_STEP % STAGGER_PAGES * PAGE_BYTES;
}

struct bh_node *bh_node_current(void)
{
	unsigned long here = (unsigned long)__builtin_frame_address(0);
	unsigned long id = (here - BH_NODE_BASE) / BH_NODE_SPAN;

	assert(here >= BH_NODE_BASE && id < BH_NODE_MAX);
	return ((struct control *)(node_base(id) + CONTROL_OFFSET))->node;
}

static void node_idle(void *host)
{
	struct bh_node *node = bh_node_current();

	node->state = BH_NODE_IDLE;
	bh_stack_switch(node->sp, node->boot->host_sp);
	node->state = BH_NODE_RUNNING;
}

void bh_node_halt(struct bh_node *node, int how, const char *reason)
{
	node->state = BH_NODE_DEAD;
	node->how = how;
	snprintf(node->death, sizeof(node->death), "%s", reason);
	for (;;)
		bh_stack_switch(node->sp, node->boot->host_sp);
}

static void __attribute__((noreturn)) node_halt(void *host, int how, const char *reason)
{
	bh_node_halt(bh_node_current(), how, reason);
}

static unsigned long ram_bytes(const struct bh_node_options *options)
{
	return options->ram_bytes ? options->ram_bytes : BH_NODE_RAM_DEFAULT;
}

/* What the first switch to the boot stack finds: see switch.S. */
static void prepare_boot_stack(struct bh_node *node)
{
	unsigned long top = node->base + BOOT_STACK_OFFSET + BH_KERNEL_STACK_SIZE;
	unsigned long *frame = (unsigned long *)(top - 16) - 7;

	*(unsigned long *)(top - 16) = (unsigned long)&node->boot->host_sp;
	frame[3] = (unsigned long)node->boot;		     /* r12 */
	frame[4] = node->base + bh_image_entry(node->image); /* rbx */
	frame[6] = (unsigned long)bh_boot_stack_start;
	*node->sp = (unsigned long)frame;
}

static struct bh_error *map_range(const struct bh_node *node, unsigned long offset,
				  unsigned long size)
{
	void *address = (void *)(node->base + offset);
	void *mapped =
		mmap(address, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (mapped != address)
		return bh_error_new(BH_ERR_MACHINE,
				    "Memory for node %u can't be mapped at %p: %s; is the address "
				    "space limited (ulimit -v)?",
				    node->id, address,
				    mapped == MAP_FAILED ? strerror(errno) : "the place is taken");
	/* A node writes few of its pages here and there: huge pages would only waste memory. */
	madvise(address, size, MADV_NOHUGEPAGE);
	return NULL;
}

static struct bh_error *map_node(struct bh_node *node, unsigned long ram_bytes)
{
	struct control *control = (struct control *)(node->base + CONTROL_OFFSET);

	BH_TRY(map_range(node, 0, ram_bytes));
	BH_TRY(map_range(node, BOOT_STACK_OFFSET, BH_KERNEL_STACK_SIZE));
	BH_TRY(map_range(node, CONTROL_OFFSET, PAGE_BYTES));
	control->node = node;
	node->boot = &control->boot;
	node->sp = &control->sp;
	return bh_image_map(node->image, node->base);
}

static void fill_boot_record(struct bh_node *node, const struct bh_node_options *options)
{
	*node->boot = (struct bh_boot){
		.abi_version = BH_HOST_ABI_VERSION,
		.node_id = options->id,
		.host = options->host,
		.host_ops = &node->host_ops,
		.ram_base = node->base,
		.ram_size = ram_bytes(options),
		.image_size = bh_image_size(options->image),
		.command_line = node->command_line,
		.hostname = node->hostname,
		.epoch_ns = options->epoch_ns,
		.device_count = options->device_count,
	};
	if (options->device_count)
		memcpy(node->boot->devices, options->devices,
		       options->device_count * sizeof(*options->devices));
}

static struct bh_error *check_options(const struct bh_node_options *options)
{
	unsigned long ram = ram_bytes(options);

	if (options->id >= BH_NODE_MAX)
		return bh_error_new(BH_ERR_INPUT,
				    "Node number %u is too high: at most %u nodes fit.",
				    options->id, BH_NODE_MAX);
	if (options->device_count > BH_MAX_DEVICES)
		return bh_error_new(BH_ERR_INPUT,
				    "Node %u has %u devices; at most %d are possible.", options->id,
				    options->device_count, BH_MAX_DEVICES);
	if (ram % PAGE_BYTES || ram > RAM_BYTES_MAX ||
	    ram < bh_image_size(options->image) + (16ul << 20))
		return bh_error_new(
			BH_ERR_INPUT,
			"Node %u can't have %lu bytes of memory: give a multiple of 4096 "
			"of at least %lu.",
			options->id, ram,
			(unsigned long)bh_image_size(options->image) + (16ul << 20));
	return NULL;
}

struct bh_error *bh_node_create(const struct bh_node_options *options, struct bh_node **node_ret)
{
	struct bh_error *error;
	struct bh_node *node;

	BH_TRY(check_options(options));
	node = calloc(1, sizeof(*node));
	if (!node)
		return bh_error_new(BH_ERR_NOMEM, "Out of memory for node %u.", options->id);
	node->image = options->image;
	node->id = options->id;
	node->base = node_base(options->id);
	node->command_line = strdup(options->command_line ? options->command_line : "");
	node->hostname = strdup(options->hostname ? options->hostname : "");
	node->host_ops = *options->host_ops;
	node->ram_bytes = ram_bytes(options);
	node->host_ops.idle = node_idle;
	node->host_ops.halt = node_halt;
	if (!node->command_line || !node->hostname)
		error = bh_error_new(BH_ERR_NOMEM, "Out of memory for node %u.", options->id);
	else
		error = map_node(node, ram_bytes(options));
	if (error) {
		bh_node_destroy(node);
		return error;
	}
	fill_boot_record(node, options);
	prepare_boot_stack(node);
	*node_ret = node;
	return NULL;
}

void bh_node_destroy(struct bh_node *node)
{
	if (!node)
		return;
	/* The whole span: nothing else is ever mapped there. */
	munmap((void *)(BH_NODE_BASE + node->id * BH_NODE_SPAN), BH_NODE_SPAN);
	free(node->command_line);
	free(node->hostname);
	free(node);
}

void bh_node_release(struct bh_node *node)
{
	unsigned long image_bytes = bh_image_size(node->image);

	assert(node->state != BH_NODE_RUNNING);
	node->state = BH_NODE_DEAD;
	bh_image_release(node->image, node->base);
	madvise((void *)(node->base + image_bytes), node->ram_bytes - image_bytes, MADV_DONTNEED);
	madvise((void *)(node->base + BOOT_STACK_OFFSET), BH_KERNEL_STACK_SIZE, MADV_DONTNEED);
	/* What the image wrote: whoever looks finds no tasks. */
	memset(&node->boot->image_ops, 0, sizeof(node->boot->image_ops));
	node->boot->user_image_ops = NULL;
	node->boot->host_sp = 0;
}

void bh_node_reset(struct bh_node *node)
{
	struct bh_boot *boot = node->boot;

	bh_node_release(node);
	bh_image_reset(node->image, node->base);
	boot->pending = 0;
	prepare_boot_stack(node);
	node->state = BH_NODE_CREATED;
	node->death[0] = '\0';
}

static void node_run(struct bh_node *node)
{
	node->state = BH_NODE_RUNNING;
	bh_stack_switch(&node->boot->host_sp, *node->sp);
}

struct bh_error *bh_node_boot(struct bh_node *node)
{
	assert(node->state == BH_NODE_CREATED);
	node_run(node);
	if (node->state == BH_NODE_DEAD)
		return bh_error_new(BH_ERR_INTERNAL,
				    "The kernel of node %u died while booting: %s.", node->id,
				    node->death);
	return NULL;
}

void bh_node_resume(struct bh_node *node, unsigned long interrupts)
{
	assert(node->state == BH_NODE_IDLE);
	node->boot->pending |= interrupts;
	node_run(node);
}

enum bh_node_state bh_node_state(const struct bh_node *node)
{
	return node->state;
}

const char *bh_node_death(const struct bh_node *node, int *how_ret)
{
	if (how_ret)
		*how_ret = node->how;
	return node->death;
}

unsigned int bh_node_id(const struct bh_node *node)
{
	return node->id;
}

unsigned long bh_node_base(const struct bh_node *node)
{
	return node->base;
}

const struct bh_image *bh_node_image(const struct bh_node *node)
{
	return node->image;
}

struct bh_boot *bh_node_boot_record(struct bh_node *node)
{
	return node->boot;
}

const unsigned long *bh_node_saved_stack(const struct bh_node *node)
{
	return node->sp;
}

unsigned long bh_node_fault_fixup(const struct bh_node *node, unsigned long pc)
{
	if (!node->boot->image_ops.fault_fixup)
		return 0;
	return node->boot->image_ops.fault_fixup(pc);
}
