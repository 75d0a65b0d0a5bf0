/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals of the host that mean something here: a program's system call (SIGSYS, by Syscall User
 * Dispatch) and faults. A fault is, in this order: an instruction of a program that we emulate
 * (cpuid, rdtsc), a program's own fault, which its kernel turns into a signal as on Linux, a bad
 * pointer that a program gave to its kernel (-EFAULT), or a fault of ours, which ends everything.
 *
 * All handlers run on one alternate stack, which is free again as soon as they have copied what the
 * host saved there. Handlers have no argument of ours, hence the file's own variables.
 */
#include <cpuid.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/last_words.h"
#include "kernel-lib/node.h"
#include "posix/internal.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON	     1
#endif
#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE 2
#endif

#define ALTERNATE_STACK_SIZE (128ul << 10)
/* x87, SSE, AVX and AVX-512: what may be in use without asking the host for more. */
#define XSAVE_MASK  0xe7ull
#define FLAG_TRAP   0x100ull
#define FLAG_RESUME 0x10000ull
/* In a saved FP state: the host's description of it (struct _fpx_sw_bytes). */
#define SW_RESERVED_OFFSET 464
#define SW_RESERVED_MAGIC  0x46505853u

extern const char __executable_start[], etext[];

uint64_t bh_xsave_mask, bh_xsave_size, bh_host_fs_base;
struct bh_task *bh_trap_task;

static struct bh_posix *posix;
static void *alternate_stack;
static int is_set_up;

/* --- raw calls of the host: no errno, no thread-local data --- */

static inline long host_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;
	register long r9 asm("r9") = f;
	long ret;

	asm volatile("syscall"
		     : "=a"(ret)
		     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return ret;
}

static inline uint64_t read_fs_base(void)
{
	uint64_t base;

	asm volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static inline void write_fs_base(uint64_t base)
{
	asm volatile("wrfsbase %0" : : "r"(base) : "memory");
}

static inline uint64_t read_gs_base(void)
{
	uint64_t base;

	asm volatile("rdgsbase %0" : "=r"(base));
	return base;
}

static long thread_set_up(void)
{
	stack_t stack = {.ss_sp = alternate_stack, .ss_size = ALTERNATE_STACK_SIZE};
	long ret;

	ret = host_call(SYS_sigaltstack, (long)&stack, 0, 0, 0, 0, 0);
	if (!ret)
		ret = host_call(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0, 0);
	if (!ret)
		ret = host_call(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON,
				(long)__executable_start, etext - __executable_start, 0, 0);
	return ret;
}

void bh_posix_after_fork(void)
{
	if (posix)
		bh_texts_after_fork(posix);
	if (is_set_up)
		thread_set_up();
}

/* --- what a handler does with the host's frame --- */

static void load_registers(struct pt_regs *regs, const ucontext_t *context)
{
	const greg_t *from = context->uc_mcontext.gregs;

	regs->r15 = (uint64_t)from[REG_R15];
	regs->r14 = (uint64_t)from[REG_R14];
	regs->r13 = (uint64_t)from[REG_R13];
	regs->r12 = (uint64_t)from[REG_R12];
	regs->bp = (uint64_t)from[REG_RBP];
	regs->bx = (uint64_t)from[REG_RBX];
	regs->r11 = (uint64_t)from[REG_R11];
	regs->r10 = (uint64_t)from[REG_R10];
	regs->r9 = (uint64_t)from[REG_R9];
	regs->r8 = (uint64_t)from[REG_R8];
	regs->ax = (uint64_t)from[REG_RAX];
	regs->cx = (uint64_t)from[REG_RCX];
	regs->dx = (uint64_t)from[REG_RDX];
	regs->si = (uint64_t)from[REG_RSI];
	regs->di = (uint64_t)from[REG_RDI];
	regs->orig_ax = ~0ull;
	regs->ip = (uint64_t)from[REG_RIP];
	/* Whether a debugger steps (trap flag) or a fault was retried (resume flag) must not show.
	 */
	regs->flags = (uint64_t)from[REG_EFL] & ~(FLAG_TRAP | FLAG_RESUME);
	regs->sp = (uint64_t)from[REG_RSP];
	regs->cs = BH_USER_CS;
	regs->ss = BH_USER_SS;
}

/* The FP state that the host saved goes to the task's area; both are in the standard format. */
static void save_fp(struct bh_task *task, const ucontext_t *context)
{
	const char *from = (const char *)context->uc_mcontext.fpregs;
	uint64_t size = 512, header[8] = {3};
	uint32_t magic, saved_size;

	memcpy(&magic, from + SW_RESERVED_OFFSET, sizeof(magic));
	if (magic == SW_RESERVED_MAGIC) {
		memcpy(&saved_size, from + SW_RESERVED_OFFSET + 16, sizeof(saved_size));
		size = saved_size < bh_xsave_size ? saved_size : bh_xsave_size;
	} else {
		memcpy((char *)task->view.xsave + 512, header, sizeof(header));
	}
	memcpy(task->view.xsave, from, size);
}

/*
 * The program that has the CPU has trapped: from here on this is its kernel's time. The handler's
 * frame is copied, so the signal stack is free once we are off it.
 */
static void __attribute__((noreturn)) leave_program(struct bh_task *task, const ucontext_t *context,
						    struct pt_regs *regs, bh_trap_fn trap)
{
	save_fp(task, context);
	bh_user_trap(task, regs, trap);
}

static struct pt_regs *take_over(struct bh_task *task, const ucontext_t *context, uint64_t fs_base)
{
	struct pt_regs *regs = (struct pt_regs *)task->view.regs;

	task->view.is_in_program = 0;
	task->view.fs_base = fs_base;
	task->view.gs_base = read_gs_base();
	load_registers(regs, context);
	return regs;
}

/* Code of the host outside our own text, that is the vDSO, calls the host. */
static void do_host_call(ucontext_t *context)
{
	greg_t *regs = context->uc_mcontext.gregs;

	regs[REG_RAX] = host_call(regs[REG_RAX], regs[REG_RDI], regs[REG_RSI], regs[REG_RDX],
				  regs[REG_R10], regs[REG_R8], regs[REG_R9]);
}

static void refuse_foreign_call(struct bh_task *task, struct pt_regs *regs)
{
	bh_posix_node_log(task->node, "a 32-bit system call (number %lld) refused: ENOSYS",
			  (long long)regs->ax);
	regs->ax = (uint64_t)-ENOSYS;
	bh_posix_node_image(task->node)->leave(regs);
}

static void on_system_call(int signal, siginfo_t *info, void *argument)
{
	uint64_t fs_base = read_fs_base();
	struct bh_task *task = bh_trap_task;
	ucontext_t *context = argument;
	struct pt_regs *regs;

	write_fs_base(bh_host_fs_base);
	if (!task || !task->view.is_in_program) {
		do_host_call(context);
		return;
	}
	regs = take_over(task, context, fs_base);
	if (info->si_arch != AUDIT_ARCH_X86_64)
		leave_program(task, context, regs, refuse_foreign_call);
	/* The instruction leaves the flags in r11, a debugger's trap flag among them. */
	regs->r11 = regs->flags;
	regs->orig_ax = regs->ax;
	regs->ax = (uint64_t)-ENOSYS;
	leave_program(task, context, regs, bh_syscall_dispatch);
}

/* --- faults --- */

/* The fault that is being turned into a signal: one at a time, by the task that has the CPU. */
static struct {
	int signal, code;
	uint64_t address;
} fault;

static void deliver_fault(struct bh_task *task, struct pt_regs *regs)
{
	bh_posix_node_image(task->node)->fault(regs, fault.signal, fault.code, fault.address);
}

/* The bytes of the instruction at address, if they are the program's and executable. */
static int fetch(const struct bh_task *task, uint64_t address, uint8_t *bytes, size_t length)
{
	const struct bh_region *region = bh_regions_at(task->mm, address);

	if (!region || !(region->prot & PROT_EXEC) || region->end < address + length)
		return 0;
	memcpy(bytes, (const void *)address, length);
	return 1;
}

/* rdtsc, rdtscp and what stands for cpuid. The time-stamp counter counts nanoseconds. */
static int emulate(struct bh_task *task, struct pt_regs *regs)
{
	uint8_t bytes[3] = {0};
	uint64_t now;

	if (!fetch(task, regs->ip, bytes, 2))
		return 0;
	if (bytes[0] == BH_CPUID_TRAP_0 && bytes[1] == BH_CPUID_TRAP_1) {
		bh_cpu_model_cpuid(regs);
		regs->ip += 2;
		return 1;
	}
	if (bytes[0] != 0x0f)
		return 0;
	if (bytes[1] == 0x31) {
		regs->ip += 2;
	} else if (bytes[1] == 0x01 && fetch(task, regs->ip, bytes, 3) && bytes[2] == 0xf9) {
		regs->ip += 3;
		regs->cx = 0;
	} else {
		return 0;
	}
	now = bh_posix_node_clock_ns(task->node);
	regs->ax = (uint32_t)now;
	regs->dx = now >> 32;
	return 1;
}

static void store_emulated(ucontext_t *context, const struct pt_regs *regs)
{
	greg_t *to = context->uc_mcontext.gregs;

	to[REG_RAX] = (greg_t)regs->ax;
	to[REG_RBX] = (greg_t)regs->bx;
	to[REG_RCX] = (greg_t)regs->cx;
	to[REG_RDX] = (greg_t)regs->dx;
	to[REG_RIP] = (greg_t)regs->ip;
}

/* The simulator itself may read the time-stamp counter (the vDSO does). */
static int read_host_counter(ucontext_t *context)
{
	greg_t *regs = context->uc_mcontext.gregs;
	const uint8_t *code = (const uint8_t *)regs[REG_RIP];
	uint32_t low, high, aux = 0;
	int is_rdtscp = code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xf9;

	if (!is_rdtscp && (code[0] != 0x0f || code[1] != 0x31))
		return 0;
	host_call(SYS_prctl, PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0, 0);
	if (is_rdtscp) {
		asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
		regs[REG_RCX] = aux;
	} else {
		asm volatile("rdtsc" : "=a"(low), "=d"(high));
	}
	host_call(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0, 0);
	regs[REG_RAX] = low;
	regs[REG_RDX] = high;
	regs[REG_RIP] += is_rdtscp ? 3 : 2;
	return 1;
}

/* The node whose image or memory holds address. */
static struct bh_posix_node *node_at(uint64_t address)
{
	struct bh_posix_node *node = posix ? posix->nodes : NULL;

	for (; node; node = node->next)
		if (address - node->boot->ram_base < node->boot->ram_size)
			return node;
	return NULL;
}

/* The node on one of whose stacks sp is. */
static struct bh_posix_node *kernel_stack_at(uint64_t sp)
{
	struct bh_posix_node *node = posix ? posix->nodes : NULL;

	for (; node; node = node->next)
		if (sp - node->boot->ram_base < (uint64_t)node->boot - node->boot->ram_base)
			return node;
	return NULL;
}

/* The node whose kernel faulted: by the instruction, or after a jump to nowhere by the stack. */
static struct bh_posix_node *kernel_of_fault(const ucontext_t *context)
{
	uint64_t ip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	uint64_t sp = (uint64_t)context->uc_mcontext.gregs[REG_RSP];
	struct bh_posix_node *node = node_at(ip);

	if (node || (ip >= (uint64_t)__executable_start && ip < (uint64_t)etext))
		return node;
	return kernel_stack_at(sp);
}

/* What report_crash() found out, for the node whose kernel ends the task, or itself, by it. */
static char crash_text[320];
static struct {
	struct bh_posix_node *node;
	struct pt_regs regs;
	int signal, has_address;
	uint64_t address;
} crash;

static void __attribute__((noreturn)) report_to_kernel(void)
{
	const struct bh_boot *boot = crash.node->boot;
	struct pt_regs regs = crash.regs;

	/* A kernel that isn't up yet can only end. */
	if (boot->image_ops.oops)
		boot->image_ops.oops(&regs, crash.signal, crash.has_address, crash.address);
	boot->host_ops->halt(boot->host, BH_HALT_PANIC, crash_text);
	abort();
}

/*
 * Neither a program's fault nor one that the kernel expected. In a kernel's own code it is an oops
 * of that node, on the stack that it happened on; anywhere else it ends everything.
 */
static void report_crash(int signal, const siginfo_t *info, ucontext_t *context)
{
	greg_t *regs = context->uc_mcontext.gregs;
	uint64_t ip = (uint64_t)regs[REG_RIP];

	crash.node = kernel_of_fault(context);
	if (crash.node) {
		snprintf(crash_text, sizeof(crash_text),
			 "%s in the kernel of node %u at image offset 0x%llx, for address %p",
			 strsignal(signal), crash.node->id,
			 (unsigned long long)(ip - crash.node->boot->ram_base), info->si_addr);
		load_registers(&crash.regs, context);
		crash.regs.cs = 0; /* not a program's */
		crash.signal = signal;
		crash.has_address = info->si_code != SI_KERNEL;
		crash.address = (uint64_t)info->si_addr;
		regs[REG_RSP] = ((regs[REG_RSP] - 128) & ~15ll) - 8;
		regs[REG_RIP] = (greg_t)report_to_kernel;
		return;
	}
	snprintf(crash_text, sizeof(crash_text),
		 "backhop: %s in the simulator itself at 0x%llx (0x%llx in its file), for address "
		 "%p; this is a fault of backhop: please report it\n",
		 strsignal(signal), (unsigned long long)ip,
		 (unsigned long long)(ip - (uint64_t)__executable_start), info->si_addr);
	if (write(STDERR_FILENO, crash_text, strlen(crash_text)) < 0)
		_exit(4);
	bh_last_words_say();
	/* It happens again at the same place, without a handler: for a debugger or a core file. */
	struct sigaction fatal = {.sa_handler = SIG_DFL};

	sigaction(signal, &fatal, NULL);
}

static void on_program_fault(struct bh_task *task, int signal, const siginfo_t *info,
			     ucontext_t *context, uint64_t fs_base)
{
	struct pt_regs *regs = (struct pt_regs *)task->view.regs, copy;

	if (context->uc_mcontext.gregs[REG_RIP] == (greg_t)bh_user_iret) {
		/* The registers to go to the program with are still where they were loaded from. */
		task->view.is_in_program = 0;
	} else {
		load_registers(&copy, context);
		if (signal == SIGSEGV && emulate(task, &copy)) {
			store_emulated(context, &copy);
			write_fs_base(fs_base);
			return;
		}
		regs = take_over(task, context, fs_base);
	}
	fault.signal = signal;
	fault.code = info->si_code;
	fault.address = (uint64_t)info->si_addr;
	leave_program(task, context, regs, deliver_fault);
}

static void on_fault(int signal, siginfo_t *info, void *argument)
{
	uint64_t fs_base = read_fs_base(), fixup;
	struct bh_task *task = bh_trap_task;
	ucontext_t *context = argument;
	struct bh_posix_node *node;
	uint64_t ip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];

	write_fs_base(bh_host_fs_base);
	if (task && task->view.is_in_program) {
		on_program_fault(task, signal, info, context, fs_base);
		return;
	}
	node = node_at(ip);
	fixup = node ? node->boot->image_ops.fault_fixup(ip) : 0;
	if (fixup) {
		context->uc_mcontext.gregs[REG_RIP] = (greg_t)fixup;
		return;
	}
	if (!node && signal == SIGSEGV && info->si_code == SI_KERNEL && read_host_counter(context))
		return;
	report_crash(signal, info, context);
}

/* --- nodes that never give the CPU back --- */

/* So often is looked again when the moment was no good. */
#define SPIN_RETRY_US 10000

static struct {
	const volatile uint64_t *progress;
	uint64_t seen;
	unsigned int limit_s, quiet_s;
	struct bh_posix_node *node;
	struct pt_regs regs;
} watch;

static void __attribute__((noreturn))
end_spinning(struct bh_posix_node *node, const char *what, const struct bh_posix_stack *stack)
{
	const struct bh_boot *boot = node->boot;
	const struct bh_task_layout *layout = boot->image_ops.task_layout;
	char text[512], comm[17] = "";
	int pid = 0;

	if (layout) {
		const char *task = *(const char *const *)layout->current_task;

		memcpy(comm, task + layout->comm, 16);
		memcpy(&pid, task + layout->pid, sizeof(pid));
	}
	snprintf(text, sizeof(text), "%s (pid %d) %s for %u s of the host's time", comm, pid, what,
		 watch.limit_s);
	if (node->callbacks.spin)
		node->callbacks.spin(node->arg, text, stack);
	boot->host_ops->halt(boot->host, BH_HALT_SPIN, text);
	abort();
}

static void __attribute__((noreturn)) end_spinning_kernel(void)
{
	uint64_t trace[BH_KERNEL_TRACE_MAX];
	const struct bh_posix_stack stack = {
		.program = "",
		.kernel = trace,
		.kernel_count = bh_crash_kernel_walk(watch.node, watch.regs.ip, watch.regs.bp,
						     watch.regs.sp, trace),
	};

	end_spinning(watch.node, "runs in the kernel and didn't give the CPU back", &stack);
}

static void end_spinning_program(struct bh_task *task, struct pt_regs *regs)
{
	char place[280], what[360], *program = bh_crash_program_stack(task);
	const struct bh_posix_stack stack = {.program = program ? program : ""};

	bh_crash_place(task, regs->ip, place, sizeof(place));
	snprintf(what, sizeof(what), "computed without a system call, at %s,", place);
	end_spinning(task->node, what, &stack);
}

static void start_timer(unsigned int us)
{
	const struct itimerval timer = {.it_interval = {.tv_sec = 1},
					.it_value = {us / 1000000, us % 1000000}};

	host_call(SYS_setitimer, ITIMER_REAL, (long)&timer, 0, 0, 0, 0);
}

/* Each second. Where the simulator itself has the CPU, for a call of the node's, it looks again a
 * little later. */
static void on_alarm(int signal, siginfo_t *info, void *argument)
{
	uint64_t fs_base = read_fs_base();
	ucontext_t *context = argument;
	greg_t *regs = context->uc_mcontext.gregs;
	struct bh_task *task = bh_trap_task;
	uint64_t ip = (uint64_t)regs[REG_RIP];

	write_fs_base(bh_host_fs_base);
	if (*watch.progress != watch.seen) {
		watch.seen = *watch.progress;
		watch.quiet_s = 0;
	} else if (++watch.quiet_s >= watch.limit_s) {
		watch.node = node_at(ip);
		if (watch.node) {
			load_registers(&watch.regs, context);
			regs[REG_RSP] = ((regs[REG_RSP] - 128) & ~15ll) - 8;
			regs[REG_RIP] = (greg_t)end_spinning_kernel;
		} else if (task && task->view.is_in_program && bh_regions_at(task->mm, ip)) {
			leave_program(task, context, take_over(task, context, fs_base),
				      end_spinning_program);
		} else if (kernel_stack_at((uint64_t)regs[REG_RSP])) {
			start_timer(SPIN_RETRY_US);
		}
	}
	write_fs_base(fs_base);
}

struct bh_error *bh_posix_watch(unsigned int limit_s, const volatile uint64_t *progress)
{
	const struct itimerval off = {0};
	struct sigaction action = {.sa_sigaction = on_alarm,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};

	if (!limit_s) {
		setitimer(ITIMER_REAL, &off, NULL);
		signal(SIGALRM, SIG_IGN);
		return NULL;
	}
	watch.progress = progress;
	watch.seen = *progress;
	watch.limit_s = limit_s;
	watch.quiet_s = 0;
	if (sigaction(SIGALRM, &action, NULL))
		return bh_error_new(BH_ERR_INTERNAL, "no handler for SIGALRM: %s", strerror(errno));
	start_timer(1000000);
	return NULL;
}

/* --- set-up --- */

void bh_traps_set_posix(struct bh_posix *current)
{
	posix = current;
	bh_trap_task = NULL;
}

static void find_xsave(void)
{
	unsigned int size, b, c, d, low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	bh_xsave_mask = (low | (uint64_t)high << 32) & XSAVE_MASK;
	/* ebx: bytes of an area for all that the host has enabled. */
	__cpuid_count(0xd, 0, b, size, c, d);
	(void)b;
	bh_xsave_size = size;
}

static struct bh_error *check_machine(void)
{
	unsigned int a, b, c = 0, d;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE))
		return bh_error_new(BH_ERR_MACHINE,
				    "programs need the instructions rdfsbase and wrfsbase, which "
				    "this processor or kernel doesn't offer: a processor from 2013 "
				    "or later and Linux 5.9 or later have them");
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return bh_error_new(BH_ERR_MACHINE, "programs need a processor with XSAVE");
	return NULL;
}

/* Changed system calls of programs find the way in by a fixed address. */
static struct bh_error *open_gate(void)
{
	uint64_t *gate = mmap((void *)BH_GATE_ADDRESS, BH_PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (gate != (void *)BH_GATE_ADDRESS)
		return bh_error_new(BH_ERR_MACHINE, "the address 0x%llx is not free",
				    BH_GATE_ADDRESS);
	*gate = (uint64_t)bh_user_call;
	if (mprotect(gate, BH_PAGE_SIZE, PROT_READ))
		return bh_error_new(BH_ERR_INTERNAL, "mprotect: %s", strerror(errno));
	return NULL;
}

static struct bh_error *install(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

	if (sigaction(signal, &action, NULL))
		return bh_error_new(BH_ERR_INTERNAL, "no handler for signal %d: %s", signal,
				    strerror(errno));
	return NULL;
}

/* Whoever started us may have blocked them; the host kills a process that gets one then. */
static void unblock_traps(void)
{
	static const int traps[] = {SIGSYS, SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(traps) / sizeof(*traps); i++)
		sigaddset(&set, traps[i]);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* What belongs to the process and its thread, not to memory. */
static struct bh_error *set_up(int is_restored)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	long ret;

	BH_TRY(bh_vsyscall_trap(is_restored));
	BH_TRY(install(SIGSYS, on_system_call));
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		BH_TRY(install(faults[i], on_fault));
	unblock_traps();
	ret = thread_set_up();
	if (ret)
		return bh_error_new(BH_ERR_MACHINE,
				    "this kernel has no Syscall User Dispatch (%s): Linux 5.11 or "
				    "later has it, if the sandbox in use lets prctl() through",
				    strerror((int)-ret));
	return NULL;
}

struct bh_error *bh_posix_process_setup(void)
{
	if (is_set_up)
		return NULL;
	BH_TRY(check_machine());
	find_xsave();
	bh_host_fs_base = read_fs_base();
	alternate_stack = mmap(NULL, ALTERNATE_STACK_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (alternate_stack == MAP_FAILED)
		return bh_error_new(BH_ERR_NOMEM, "no memory for the signal stack");
	BH_TRY(open_gate());
	BH_TRY(set_up(0));
	is_set_up = 1;
	return NULL;
}

struct bh_error *bh_posix_before_snapshot(void)
{
	return posix ? bh_texts_before_snapshot(posix) : NULL;
}

struct bh_error *bh_posix_after_restore(void)
{
	BH_TRY(bh_posix_watch(0, NULL));
	if (posix)
		BH_TRY(bh_texts_after_restore(posix));
	return set_up(1);
}
