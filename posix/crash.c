/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report of a program that ends by a fault of its own: what Linux would have put into a core
 * file, in a few lines. Called by the image when it delivers such a signal, before the process
 * ends.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/symbols.h"
#include "posix/internal.h"

#define IMAGES_MAX 256u
#define FRAMES_MAX 40u
#define REPORT_MAX 8192u
#define STACK_SIZE (512ul << 10)

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

/* A report in the making, by the task that crashed. */
struct report {
	struct bh_task *task;
	uint64_t counters[FRAMES_MAX];
	size_t count;
	char text[REPORT_MAX];
	size_t length;
};

static void add(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void add(struct report *report, const char *format, ...)
{
	size_t room = sizeof(report->text) - report->length;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(report->text + report->length, room, format, args);
	va_end(args);
	if (length > 0)
		report->length += (size_t)length < room ? (size_t)length : room - 1;
}

static const struct bh_posix_image *image_at(const struct bh_task *task, uint64_t address)
{
	for (uint64_t i = 0; i < bh_posix_images.count; i++) {
		const struct bh_posix_image *image = &bh_posix_images.images[i];

		if (image->node == task->node->id && image->pid == task->pid &&
		    address - image->base < image->size)
			return image;
	}
	return NULL;
}

void bh_crash_place(const struct bh_task *task, uint64_t address, char *text, size_t size)
{
	const struct bh_posix_image *image = image_at(task, address);

	if (image)
		snprintf(text, size, "%s+0x%llx", image->path,
			 (unsigned long long)(address - image->bias));
	else
		snprintf(text, size, "0x%llx", (unsigned long long)address);
}

/* --- the stack --- */

static int read_word(void *arg, uint64_t address, uint64_t *word_ret)
{
	const struct report *report = arg;

	if (bh_memory_readable(report->task, address, sizeof(*word_ret)) < sizeof(*word_ret))
		return 0;
	memcpy(word_ret, (const void *)address, sizeof(*word_ret));
	return 1;
}

static void walk(struct report *report)
{
	const struct pt_regs *regs = (const struct pt_regs *)report->task->view.regs;
	struct bh_stack_image images[IMAGES_MAX];
	struct bh_stack stack = {
		.registers = {regs->ax, regs->dx, regs->cx, regs->bx, regs->si, regs->di, regs->bp,
			      regs->sp, regs->r8, regs->r9, regs->r10, regs->r11, regs->r12,
			      regs->r13, regs->r14, regs->r15, regs->ip},
		.images = images,
		.arg = report,
		.read = read_word,
	};

	for (uint64_t i = 0; i < bh_posix_images.count && stack.image_count < IMAGES_MAX; i++) {
		const struct bh_posix_image *image = &bh_posix_images.images[i];

		/* What a node has for itself may have the name of a file of the host. */
		if (image->node == report->task->node->id && image->pid == report->task->pid &&
		    !bh_posix_own_folder(image->path))
			images[stack.image_count++] =
				(struct bh_stack_image){image->path, image->bias};
	}
	report->count = bh_stack_walk(&stack, report->counters, FRAMES_MAX);
	/* Without a table not even the first is told. */
	if (!report->count)
		report->counters[report->count++] = regs->ip;
}

/* --- the text --- */

/* "main+0x12 (a.c:3) in /usr/bin/x", "/usr/bin/x+0x1234", or the address alone. is_caller: what is
 * looked up is the call before the address. */
static void add_place(struct report *report, uint64_t address, int is_caller)
{
	const struct bh_posix_image *image = image_at(report->task, address);
	struct bh_symbols *symbols = NULL;
	char text[256];

	if (!image) {
		add(report, "0x%llx", (unsigned long long)address);
		return;
	}
	if (!bh_posix_own_folder(image->path))
		symbols = bh_symbols_open(image->path);
	if (bh_symbols_describe(symbols, address - image->bias - (uint64_t)is_caller, text,
				sizeof(text)))
		add(report, "%s in %s", text, image->path);
	else
		add(report, "%s+0x%llx", image->path, (unsigned long long)(address - image->bias));
	bh_symbols_close(symbols);
}

static void describe_stack(void *arg)
{
	struct report *report = arg;

	walk(report);
	for (size_t i = 0; i < report->count; i++) {
		add_place(report, report->counters[i], i > 0);
		add(report, "\n");
	}
}

/* Far too much for the task's kernel stack. NULL when there is no memory. */
static struct report *report_create(struct bh_task *task)
{
	struct report *report = calloc(1, sizeof(*report));
	char *stack = malloc(STACK_SIZE);

	if (report && stack) {
		report->task = task;
		bh_on_stack(describe_stack, report,
			    (void *)(((uint64_t)stack + STACK_SIZE) & ~15ull));
	} else {
		free(report);
		report = NULL;
	}
	free(stack);
	return report;
}

char *bh_crash_program_stack(struct bh_task *task)
{
	struct report *report = report_create(task);
	char *text = report ? strdup(report->text) : NULL;

	free(report);
	return text;
}

size_t bh_crash_kernel_walk(const struct bh_posix_node *node, uint64_t ip, uint64_t bp, uint64_t sp,
			    uint64_t *trace_ret)
{
	uint64_t base = node->boot->ram_base, low = sp;
	size_t count = 0;

	trace_ret[count++] = ip - base;
	while (count < BH_KERNEL_TRACE_MAX && bp >= low && bp - low < BH_KERNEL_STACK_SIZE &&
	       !(bp & 7)) {
		const uint64_t *frame = (const uint64_t *)bp;

		if (frame[1] - base >= node->boot->image_size)
			break;
		trace_ret[count++] = frame[1] - base;
		low = bp + 16;
		bp = frame[0];
	}
	return count;
}

/* --- the report --- */

struct crash {
	int signal, code;
	uint64_t address;
};

/* The places as a sentence and those that they were called from. */
static void write_report(struct report *text, const struct crash *crash, const char *places)
{
	size_t length = strcspn(places, "\n");

	add(text, "SIG%s at %.*s", sigabbrev_np(crash->signal), (int)length, places);
	/* Sent by a program, the signal has no address. */
	if (crash->code > 0 && crash->signal != SIGABRT && crash->signal != SIGTRAP)
		add(text, ", for address 0x%llx", (unsigned long long)crash->address);
	while (places[length] && places[length + 1]) {
		places += length + 1;
		length = strcspn(places, "\n");
		add(text, "\n  called from %.*s", (int)length, places);
	}
}

void bh_crash_op(void *user_host, void *argument, int signal, int code, unsigned long address)
{
	/* Of this function, which the image called: its own frame is where the pointer leads. */
	const uint64_t *frame = __builtin_frame_address(0);
	const struct crash crash = {.signal = signal, .code = code, .address = address};
	struct bh_posix_node *node = user_host;
	uint64_t trace[BH_KERNEL_TRACE_MAX];
	struct bh_posix_stack stack = {.kernel = trace};
	struct bh_task *task = argument;
	struct report *report, *text;

	if (!is_crash(signal) || !node->callbacks.crash)
		return;
	report = report_create(task);
	text = calloc(1, sizeof(*text));
	if (report && text) {
		stack.program = report->text;
		stack.kernel_count =
			bh_crash_kernel_walk(node, frame[1], frame[0], (uint64_t)frame, trace);
		write_report(text, &crash, report->text);
		node->callbacks.crash(node->arg, task->pid, signal, text->text, &stack);
	}
	free(text);
	free(report);
}
