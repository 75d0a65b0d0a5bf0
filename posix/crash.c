/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report of a program that ends by a fault of its own: what Linux would have put into a core
 * file, in a few lines. Called by the image when it delivers such a signal, before the process
 * ends.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "posix/internal.h"

static int is_crash(int signal)
{
	switch (signal) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
	case SIGABRT:
	case SIGSYS:
		return 1;
	default:
		return 0; /* SIGQUIT and limits: somebody wanted it */
	}
}

/* "/usr/bin/x+0x1234", or the address alone. */
static void describe_place(const struct bh_task *task, uint64_t address, char *text, size_t size)
{
	for (uint64_t i = 0; i < bh_posix_images.count; i++) {
		const struct bh_posix_image *image = &bh_posix_images.images[i];

		if (image->node == task->node->id && image->pid == task->pid &&
		    address - image->base < image->size) {
			snprintf(text, size, "%s+0x%llx", image->path,
				 (unsigned long long)(address - image->bias));
			return;
		}
	}
	snprintf(text, size, "0x%llx", (unsigned long long)address);
}

void bh_crash_op(void *user_host, void *argument, int signal, int code, unsigned long address)
{
	struct bh_posix_node *node = user_host;
	const struct bh_task *task = argument;
	const struct pt_regs *regs = (const struct pt_regs *)task->view.regs;
	char text[400], place[280];
	int length;

	if (!is_crash(signal) || !node->callbacks.crash)
		return;
	describe_place(task, regs->ip, place, sizeof(place));
	length = snprintf(text, sizeof(text), "SIG%s at %s", sigabbrev_np(signal), place);
	/* Sent by a program, the signal has no address. */
	if (code > 0 && signal != SIGABRT && signal != SIGTRAP && length < (int)sizeof(text))
		snprintf(text + length, sizeof(text) - (size_t)length, ", for address 0x%lx",
			 address);
	node->callbacks.crash(node->arg, task->pid, signal, text);
}
