/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of posix/'s part of a run and of its nodes, and the table of what a node's image may
 * ask. Called by simulator/.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/internal.h"

static BH_OP void op_output(void *user_host, int pid, int fd, const void *data,
			    unsigned long length)
{
	struct bh_posix_node *node = user_host;

	if (node->callbacks.output)
		node->callbacks.output(node->arg, pid, fd, data, length);
}

static BH_OP void op_process_exit(void *user_host, int pid, int wait_status)
{
	struct bh_posix_node *node = user_host;

	bh_images_remove(node, pid, 0, UINT64_MAX);
	if (node->callbacks.exit)
		node->callbacks.exit(node->arg, pid, wait_status);
}

static const struct bh_user_ops user_ops = {
	.task_fork = bh_task_op_fork,
	.task_release = bh_task_op_release,
	.task_switch = bh_task_op_switch,
	.task_enter = bh_task_op_enter,
	.task_fp = bh_task_op_fp,
	.task_fp_changed = bh_task_op_fp_changed,
	.buffer = bh_exec_op_buffer,
	.exec_check = bh_exec_op_check,
	.exec_map = bh_exec_op_map,
	.exec_start = bh_exec_op_start,
	.exec_end = bh_exec_op_end,
	.file_lookup = bh_files_op_lookup,
	.file_content = bh_files_op_content,
	.file_number = bh_files_op_number,
	.read_only_path = bh_files_op_read_only_path,
	.task_region = bh_proc_op_region,
	.task_access = bh_proc_op_access,
	.output = op_output,
	.process_exit = op_process_exit,
	.crash = bh_crash_op,
};

struct bh_error *bh_posix_create(struct bh_inputs *inputs, struct bh_posix **posix_ret)
{
	struct bh_posix *posix = calloc(1, sizeof(*posix));

	if (!posix)
		return bh_error_new(BH_ERR_NOMEM, "no memory for the programs of a run");
	posix->inputs = inputs;
	posix->next_arenas = BH_ARENA_BASE;
	posix->text_descriptor = -1;
	bh_traps_set_posix(posix);
	*posix_ret = posix;
	return NULL;
}

void bh_posix_destroy(struct bh_posix *posix)
{
	if (!posix)
		return;
	while (posix->nodes)
		bh_posix_node_destroy(posix->nodes);
	bh_traps_set_posix(NULL);
	bh_code_sites_destroy(posix);
	bh_texts_destroy(posix);
	free(posix);
}

struct bh_error *bh_posix_node_create(struct bh_posix *posix, uint32_t node_id,
				      const char *hostname, struct bh_boot *boot,
				      const struct bh_posix_callbacks *callbacks, void *arg,
				      struct bh_posix_node **node_ret)
{
	struct bh_posix_node *node;
	struct bh_error *error;

	node = calloc(1, sizeof(*node));
	if (!node)
		return bh_error_new(BH_ERR_NOMEM, "no memory for the programs of node %u", node_id);
	node->posix = posix;
	node->id = node_id;
	node->boot = boot;
	node->callbacks = *callbacks;
	node->arg = arg;
	node->costs = (struct bh_posix_costs){.syscall_ns = 1000, .slice_ns = 64000};
	node->next = posix->nodes;
	posix->nodes = node;
	node->hostname = strdup(hostname);
	error = node->hostname ? bh_files_set_defaults(node)
			       : bh_error_new(BH_ERR_NOMEM, "no memory for the name of a node");
	if (error) {
		bh_posix_node_destroy(node);
		return error;
	}
	boot->user_host = node;
	bh_fp_wrap_user_ops(&user_ops, &node->user_ops);
	boot->user_ops = &node->user_ops;
	bh_fp_wrap_host_ops(boot->host_ops, &node->host_ops);
	boot->host_ops = &node->host_ops;
	*node_ret = node;
	return NULL;
}

void bh_posix_node_reset(struct bh_posix_node *node)
{
	node->is_ending = 1;
	while (node->tasks)
		bh_task_op_release(node, node->tasks);
	while (node->buffers) {
		struct bh_buffer *buffer = node->buffers;

		node->buffers = buffer->next;
		free(buffer);
	}
	bh_images_remove_node(node);
	node->is_ending = 0;
}

void bh_posix_node_destroy(struct bh_posix_node *node)
{
	struct bh_posix_node **link;

	if (!node)
		return;
	bh_posix_node_reset(node);
	bh_files_destroy(node);
	for (link = &node->posix->nodes; *link != node; link = &(*link)->next)
		;
	*link = node->next;
	free(node->hostname);
	free(node->arenas);
	free(node);
}

void bh_posix_node_log(struct bh_posix_node *node, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!node->callbacks.log)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	node->callbacks.log(node->arg, bh_posix_node_image(node)->pid(), text);
}

uint64_t bh_posix_node_place(struct bh_posix_node *node, uint64_t address)
{
	return node->callbacks.place ? node->callbacks.place(node->arg, address) : address;
}

void bh_posix_node_set_costs(struct bh_posix_node *node, const struct bh_posix_costs *costs)
{
	node->costs = *costs;
}
