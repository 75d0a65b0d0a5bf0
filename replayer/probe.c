/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of a probe runs in the replayed process: see probe.h. Compiled without vector registers,
 * which are the program's while its kernel runs, and calling nobody: neither the C library nor a
 * thread's own memory can be relied on in the middle of a kernel.
 */
#include "replayer/probe.h"

#include "kernel-lib/node.h"
#include "replayer/agent.h"
#include "simulator/gate.h"

struct bh_probe_table bh_probe_table;
uint8_t bh_probe_stack[BH_PROBE_STACK] __attribute__((aligned(64)));

int bh_probe_load(const void *from, void *to, size_t size);

__asm__(".text\n"
	".globl bh_probe_gate\n"
	".type bh_probe_gate, @function\n"
	"bh_probe_gate:\n"
	"	pushfq\n"
	"	push %r15; push %r14; push %r13; push %r12; push %r11; push %r10; push %r9\n"
	"	push %r8; push %rbp; push %rdi; push %rsi; push %rdx; push %rcx; push %rbx\n"
	"	push %rax\n"
	"	cld\n"
	"	mov %rsp, %rdi\n"
	"	xor %ebp, %ebp\n"
	"	call bh_probe_visit\n"
	"	pop %rax; pop %rbx; pop %rcx; pop %rdx; pop %rsi; pop %rdi; pop %rbp; pop %r8\n"
	"	pop %r9; pop %r10; pop %r11; pop %r12; pop %r13; pop %r14; pop %r15\n"
	"	popfq\n"
	"	ret $8\n"
	".size bh_probe_gate, . - bh_probe_gate\n"
	".globl bh_probe_load\n"
	".type bh_probe_load, @function\n"
	"bh_probe_load:\n"
	"	xchg %rdi, %rsi\n"
	"	mov %rdx, %rcx\n"
	".globl bh_probe_load_access\n"
	"bh_probe_load_access:\n"
	"	rep movsb\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	".globl bh_probe_load_failed\n"
	"bh_probe_load_failed:\n"
	"	mov $-1, %eax\n"
	"	ret\n"
	".size bh_probe_load, . - bh_probe_load\n");

void bh_probe_visit(struct bh_probe_frame *frame);

/* At the beginning of the page with the stubs (probe_set.c). */
static uint64_t saved_rsp(const struct bh_probe_frame *frame)
{
	return *(const uint64_t *)(frame->return_address & ~4095ull);
}

/* As bh_engine_running_thread() finds it in the usual case. In others the tracer looks. */
static int read_task(const struct bh_probe_frame *frame, uint64_t *value_ret)
{
	const struct bh_probe *probe = &bh_probe_table.probes[frame->number];
	const struct bh_boot *boot = (const void *)probe->boot;
	const struct bh_task_layout *layout = boot ? boot->image_ops.task_layout : NULL;

	if (!layout || bh_gate.node != probe->node)
		return -1;
	uint64_t task = *(const uint64_t *)layout->current_task;
	uint64_t stack = *(const uint64_t *)(task + layout->stack);
	uint64_t sp = saved_rsp(frame);
	if (sp <= stack || sp > stack + BH_KERNEL_STACK_SIZE)
		return -1;
	*value_ret = *(const uint32_t *)(task + layout->pid);
	return 0;
}

static int read_register(void *arg, unsigned int number, uint64_t *value_ret)
{
	const struct bh_probe_frame *frame = arg;
	const struct bh_probe *probe = &bh_probe_table.probes[frame->number];
	uint8_t where =
		number < BH_PROBE_REGISTERS ? bh_probe_table.registers[number] : BH_PROBE_UNKNOWN;

	if (where >= BH_PROBE_GENERAL && where < BH_PROBE_RSP)
		*value_ret = frame->general[where - BH_PROBE_GENERAL];
	else if (where == BH_PROBE_RSP)
		*value_ret = saved_rsp(frame);
	else if (where == BH_PROBE_RIP)
		*value_ret = probe->address;
	else if (where == BH_PROBE_FLAGS)
		*value_ret = frame->flags;
	else if (where == BH_PROBE_NODE)
		*value_ret = probe->node;
	else if (where == BH_PROBE_EVENT)
		*value_ret = bh_gate.event;
	else if (where == BH_PROBE_VTIME)
		*value_ret = bh_gate.vtime_ns;
	else if (where == BH_PROBE_PACKET)
		*value_ret = bh_gate.packet;
	else if (where == BH_PROBE_TASK)
		return read_task(frame, value_ret);
	else
		return -1;
	return 0;
}

static int read_memory(void *arg, uint64_t address, void *bytes_ret, size_t length)
{
	return bh_probe_load((const void *)address, bytes_ret, length);
}

enum verdict { PASS, HIT, ASK };

static enum verdict decide(struct bh_probe_frame *frame, const struct bh_probe *probe)
{
	const struct bh_agent_source source = {frame, read_register, read_memory};

	if (!probe->has_condition)
		return ASK;
	for (uint32_t i = 0; i < probe->code_count; i++) {
		const struct bh_probe_piece *code = &bh_probe_table.codes[probe->first_code + i];
		uint64_t value = 0;

		if (bh_agent_evaluate(bh_probe_table.bytes + code->offset, code->length, &source,
				      &value))
			return ASK;
		if (value)
			return HIT;
	}
	return probe->code_count ? PASS : HIT;
}

void bh_probe_visit(struct bh_probe_frame *frame)
{
	struct bh_probe *probe = &bh_probe_table.probes[frame->number];

	if (probe->event != bh_gate.event) {
		probe->event = bh_gate.event;
		probe->visits = 0;
	}
	probe->visits++;
	enum verdict verdict = decide(frame, probe);
	if (verdict == HIT && bh_probe_table.wants_last) {
		bh_probe_table.last_number = frame->number + 1;
		bh_probe_table.last_event = probe->event;
		bh_probe_table.last_visits = probe->visits;
	} else if (verdict != PASS) {
		frame->return_address += BH_PROBE_STOP;
	}
}
