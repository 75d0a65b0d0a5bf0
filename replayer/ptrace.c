/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One traced process: see ptrace.h. The door to ptrace. */
#include "replayer/ptrace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <elf.h>

#include "common/host_time.h"
#include "replayer/gates.h"

#define SCRATCH_BYTES 65536
/* TF and RF: debugging, not part of the program's state. */
#define DEBUG_FLAGS 0x10100ull

/* At most this many killed processes are left to end in their own time. */
#define DYING_MAX 16

/* What a tracee and all forks of it share: the processes that were killed. They give back their
 * memory on whatever CPU is free, while the replay goes on. */
struct family {
	size_t members;
	pid_t dying[DYING_MAX];
	size_t dying_count;
};

struct bh_tracee {
	struct family *family;
	pid_t pid;
	int is_gone;
	int is_stepping; /* how it was resumed last */
	int has_registers, registers_changed;
	struct user_regs_struct registers;
	struct user_regs_struct as_stopped; /* what the host has, if has_as_stopped */
	int has_as_stopped;
	uint64_t resumes;
	uint64_t watch_addresses[BH_DEBUG_REGISTERS];
	uint64_t dr7;
	int has_clock;
	clockid_t clock;      /* of its CPU time */
	uint64_t cpu_ns;      /* while it is stopped; 0: not asked yet */
	int memory_fd;	      /* /proc/PID/mem, which writes to text, too; 0: not opened */
	int has_no_memory_fd; /* it can't be opened, or not be used so */
};

/* In-process calls run on this stack, in the tracee's copy of it; the tracer never touches its
 * own. Not part of the simulated world. */
static unsigned char scratch_stack[SCRATCH_BYTES] __attribute__((aligned(64)));

static struct bh_error *ptrace_error(const struct bh_tracee *tracee, const char *what)
{
	return bh_error_new(BH_ERR_MACHINE,
			    "cannot %s the replayed process %d (%s); it may have been killed, or "
			    "this machine forbids ptrace: see `backhop doctor`",
			    what, (int)tracee->pid, strerror(errno));
}

/* The CPUs that the tracer gave up when it was pinned to one. */
static cpu_set_t other_cpus;

/* The thread pointer of the simulator, equal in tracer and tracee. */
static uint64_t own_fs_base(void)
{
	uint64_t base;

	__asm__("movq %%fs:0, %0" : "=r"(base));
	return base;
}

struct bh_error *bh_tracee_pin(void *former_ret, size_t size)
{
	cpu_set_t one;
	int cpu = sched_getcpu();

	if (cpu < 0 || sched_getaffinity(0, size, former_ret))
		return bh_error_new(BH_ERR_MACHINE, "cannot read the CPU affinity (%s)",
				    strerror(errno));
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		return bh_error_new(BH_ERR_MACHINE, "cannot pin the replay to CPU %d (%s)", cpu,
				    strerror(errno));
	CPU_ZERO(&other_cpus);
	memcpy(&other_cpus, former_ret, size < sizeof(other_cpus) ? size : sizeof(other_cpus));
	CPU_CLR(cpu, &other_cpus);
	return NULL;
}

int bh_tracee_send_away(struct bh_tracee *tracee)
{
	return CPU_COUNT(&other_cpus) > 0 &&
	       !sched_setaffinity(tracee->pid, sizeof(other_cpus), &other_cpus);
}

void bh_tracee_call_back(struct bh_tracee *tracee)
{
	cpu_set_t mine;

	if (!sched_getaffinity(0, sizeof(mine), &mine))
		sched_setaffinity(tracee->pid, sizeof(mine), &mine);
}

/* Where the host refuses it, stops just take longer. */
void bh_tracee_forgo_counter(int is_forgone)
{
	prctl(PR_SET_TSC, is_forgone ? PR_TSC_SIGSEGV : PR_TSC_ENABLE);
}

static void __attribute__((noreturn))
child_main(const int *pipe_ends, void (*run)(void *arg), void *arg)
{
	sigset_t none;
	char byte;

	close(pipe_ends[1]);
	/* Nothing comes, and the end of the pipe too soon, when the tracer died before it held us.
	 */
	if (read(pipe_ends[0], &byte, 1) != 1)
		_exit(127);
	close(pipe_ends[0]);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	run(arg);
	_exit(0);
}

struct bh_error *bh_tracee_start(void (*run)(void *arg), void *arg, struct bh_tracee **tracee_ret)
{
	struct bh_tracee *tracee = calloc(1, sizeof(*tracee));
	struct family *family = calloc(1, sizeof(*family));
	int pipe_ends[2];

	if (!tracee || !family) {
		free(tracee);
		free(family);
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	tracee->family = family;
	family->members = 1;
	if (pipe(pipe_ends)) {
		free(tracee);
		free(family);
		return bh_error_new(BH_ERR_MACHINE, "cannot create a pipe (%s)", strerror(errno));
	}
	tracee->pid = fork();
	if (tracee->pid == 0)
		child_main(pipe_ends, run, arg);
	close(pipe_ends[0]);
	struct bh_error *error = NULL;
	if (tracee->pid < 0) {
		error = bh_error_new(BH_ERR_MACHINE, "cannot fork the replayed process (%s)",
				     strerror(errno));
		tracee->is_gone = 1;
	} else if (ptrace(PTRACE_SEIZE, tracee->pid, 0,
			  PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE |
				  PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXIT)) {
		error = ptrace_error(tracee, "trace");
	} else if (write(pipe_ends[1], "", 1) != 1) {
		error = ptrace_error(tracee, "start");
	}
	close(pipe_ends[1]);
	if (error) {
		bh_tracee_destroy(tracee);
		return error;
	}
	*tracee_ret = tracee;
	return NULL;
}

/* Non-zero when the killed process has ended. */
static int reap(pid_t pid, int flags)
{
	int status;

	for (;;) {
		pid_t waited = waitpid(pid, &status, __WALL | flags);
		if (waited < 0 && errno == EINTR)
			continue;
		if (waited != pid)
			return waited < 0;
		if (!WIFSTOPPED(status))
			return 1;
		ptrace(PTRACE_CONT, pid, 0, 0);
	}
}

/* Forgets those that have ended; waits until there is room, or for all. */
static void reap_dying(struct family *family, int wait_for_all)
{
	size_t kept = 0;

	for (size_t i = 0; i < family->dying_count; i++) {
		int must_wait = wait_for_all || family->dying_count - i + kept >= DYING_MAX;
		if (!reap(family->dying[i], must_wait ? 0 : WNOHANG))
			family->dying[kept++] = family->dying[i];
	}
	family->dying_count = kept;
}

static void let_die(struct bh_tracee *tracee)
{
	struct family *family = tracee->family;
	cpu_set_t any;

	memset(&any, 0xff, sizeof(any));
	sched_setaffinity(tracee->pid, sizeof(any), &any);
	kill(tracee->pid, SIGKILL);
	/* One that is held at its exit doesn't hear a signal any more. */
	ptrace(PTRACE_CONT, tracee->pid, 0, 0);
	family->dying[family->dying_count++] = tracee->pid;
	reap_dying(family, 0);
}

void bh_tracee_destroy(struct bh_tracee *tracee)
{
	if (!tracee)
		return;
	if (tracee->memory_fd)
		close(tracee->memory_fd);
	if (!tracee->is_gone)
		let_die(tracee);
	if (!--tracee->family->members) {
		reap_dying(tracee->family, 1);
		free(tracee->family);
	}
	free(tracee);
}

static struct bh_error *write_registers(struct bh_tracee *tracee)
{
	/* What goes on from a probe goes on where it is. */
	int is_changed = tracee->registers_changed &&
			 (!tracee->has_as_stopped || memcmp(&tracee->registers, &tracee->as_stopped,
							    sizeof(tracee->registers)) != 0);

	if (is_changed && ptrace(PTRACE_SETREGS, tracee->pid, 0, &tracee->registers))
		return ptrace_error(tracee, "set the registers of");
	tracee->registers_changed = 0;
	tracee->has_as_stopped = 0;
	return NULL;
}

struct bh_error *bh_tracee_resume(struct bh_tracee *tracee, int is_step, int signal)
{
	BH_TRY(write_registers(tracee));
	tracee->has_registers = 0;
	tracee->resumes++;
	tracee->cpu_ns = 0;
	tracee->is_stepping = is_step;
	if (ptrace(is_step ? PTRACE_SINGLESTEP : PTRACE_CONT, tracee->pid, 0, (long)signal))
		return ptrace_error(tracee, "continue");
	return NULL;
}

/* waitpid() with a time-out: SIGCHLD is blocked so that it can't be missed between the two looks.
 */
static pid_t wait_some_time(pid_t pid, int *status_ret, int timeout_ms)
{
	sigset_t child, former;
	pid_t waited;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	/* It shares the CPU: if it stops soon again, it has stopped when this comes back. */
	sched_yield();
	waited = waitpid(pid, status_ret, __WALL | WNOHANG);
	if (waited)
		return waited;
	pthread_sigmask(SIG_BLOCK, &child, &former);
	uint64_t end_ns = bh_host_time_ns() + (uint64_t)timeout_ms * 1000000;
	for (;;) {
		waited = waitpid(pid, status_ret, __WALL | WNOHANG);
		if (waited)
			break;
		uint64_t now_ns = bh_host_time_ns();
		if (now_ns >= end_ns)
			break;
		const struct timespec left = {(time_t)((end_ns - now_ns) / 1000000000),
					      (long)((end_ns - now_ns) % 1000000000)};
		sigtimedwait(&child, NULL, &left);
	}
	pthread_sigmask(SIG_SETMASK, &former, NULL);
	return waited;
}

/* Signals that the tracee brings about itself. Others come from outside, perhaps from a terminal to
 * all processes that run in it: they were not in the recorded run, so the replay must not see them.
 */
static int is_own_signal(int signal)
{
	switch (signal) {
	case SIGSYS:
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGABRT:
		return 1;
	default:
		return 0;
	}
}

/* What a status means; returns 0 when the stop is of no interest and the tracee was continued. */
static int classify(struct bh_tracee *tracee, int status, struct bh_wait *wait_ret)
{
	unsigned long message = 0;

	wait_ret->signal = 0;
	if (!WIFSTOPPED(status)) {
		tracee->is_gone = 1;
		wait_ret->kind = BH_WAIT_GONE;
		wait_ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		return 1;
	}
	switch (status >> 16) {
	case 0:
		wait_ret->kind = WSTOPSIG(status) == SIGTRAP ? BH_WAIT_TRAP : BH_WAIT_SIGNAL;
		wait_ret->signal = WSTOPSIG(status);
		if (wait_ret->kind == BH_WAIT_TRAP || is_own_signal(wait_ret->signal))
			return 1;
		ptrace(tracee->is_stepping ? PTRACE_SINGLESTEP : PTRACE_CONT, tracee->pid, 0, 0);
		return 0;
	case PTRACE_EVENT_EXIT:
		ptrace(PTRACE_GETEVENTMSG, tracee->pid, 0, &message);
		wait_ret->kind = BH_WAIT_EXITING;
		wait_ret->signal = (int)(message & 0x7f);
		return 1;
	case PTRACE_EVENT_STOP:
		wait_ret->kind = BH_WAIT_HELD;
		return 1;
	default:
		ptrace(PTRACE_CONT, tracee->pid, 0, 0);
		return 0;
	}
}

struct bh_error *bh_tracee_wait(struct bh_tracee *tracee, int timeout_ms, struct bh_wait *wait_ret)
{
	int status = 0;

	do {
		pid_t waited;
		do {
			waited = timeout_ms < 0 ? waitpid(tracee->pid, &status, __WALL)
						: wait_some_time(tracee->pid, &status, timeout_ms);
		} while (waited < 0 && errno == EINTR);
		if (waited < 0) {
			tracee->is_gone = 1;
			return ptrace_error(tracee, "wait for");
		}
		if (waited == 0) {
			*wait_ret = (struct bh_wait){BH_WAIT_TIMEOUT, 0};
			return NULL;
		}
	} while (!classify(tracee, status, wait_ret));
	return NULL;
}

void bh_tracee_interrupt(struct bh_tracee *tracee)
{
	ptrace(PTRACE_INTERRUPT, tracee->pid, 0, 0);
}

struct user_regs_struct *bh_tracee_registers(struct bh_tracee *tracee)
{
	if (!tracee->has_registers) {
		if (tracee->is_gone || ptrace(PTRACE_GETREGS, tracee->pid, 0, &tracee->registers))
			memset(&tracee->registers, 0, sizeof(tracee->registers));
		tracee->as_stopped = tracee->registers;
		tracee->has_as_stopped = 1;
		/* Left over when a step ends in a signal. */
		tracee->registers.eflags &= ~DEBUG_FLAGS;
		tracee->has_registers = 1;
	}
	return &tracee->registers;
}

void bh_tracee_registers_changed(struct bh_tracee *tracee)
{
	/* Else the host might take the new place for the end of an interrupted system call. */
	tracee->registers.orig_rax = (unsigned long long)-1;
	tracee->registers_changed = 1;
}

struct bh_error *bh_tracee_fp_registers(struct bh_tracee *tracee,
					struct user_fpregs_struct *registers_ret)
{
	if (ptrace(PTRACE_GETFPREGS, tracee->pid, 0, registers_ret))
		return ptrace_error(tracee, "read the floating-point registers of");
	return NULL;
}

struct bh_error *bh_tracee_set_fp_registers(struct bh_tracee *tracee,
					    const struct user_fpregs_struct *registers)
{
	if (ptrace(PTRACE_SETFPREGS, tracee->pid, 0, registers))
		return ptrace_error(tracee, "set the floating-point registers of");
	return NULL;
}

struct bh_error *bh_tracee_xstate(struct bh_tracee *tracee, void *bytes_ret, size_t capacity,
				  size_t *size_ret)
{
	struct iovec vector = {bytes_ret, capacity};

	if (ptrace(PTRACE_GETREGSET, tracee->pid, (long)NT_X86_XSTATE, &vector))
		return ptrace_error(tracee, "read the vector registers of");
	*size_ret = vector.iov_len;
	return NULL;
}

static struct bh_error *set_xstate(struct bh_tracee *tracee, void *bytes, size_t size)
{
	struct iovec vector = {bytes, size};

	if (ptrace(PTRACE_SETREGSET, tracee->pid, (long)NT_X86_XSTATE, &vector))
		return ptrace_error(tracee, "set the vector registers of");
	return NULL;
}

size_t bh_tracee_read(struct bh_tracee *tracee, uint64_t address, void *bytes_ret, size_t length)
{
	struct iovec local = {bytes_ret, length};
	struct iovec remote = {(void *)(uintptr_t)address, length};

	if (tracee->is_gone || !length)
		return 0;
	ssize_t done = process_vm_readv(tracee->pid, &local, 1, &remote, 1, 0);
	return done < 0 ? 0 : (size_t)done;
}

int bh_tracee_write(struct bh_tracee *tracee, uint64_t address, const void *bytes, size_t length)
{
	struct iovec local = {(void *)(uintptr_t)bytes, length};
	struct iovec remote = {(void *)(uintptr_t)address, length};

	if (tracee->is_gone)
		return -1;
	return process_vm_writev(tracee->pid, &local, 1, &remote, 1, 0) == (ssize_t)length ? 0 : -1;
}

/* By words, as any debugger can. */
static int poke_words(struct bh_tracee *tracee, uint64_t address, const uint8_t *bytes,
		      size_t length)
{
	uint64_t end = address + length;

	for (uint64_t at = address & ~7ull; at < end; at += 8) {
		uint8_t word[8];
		errno = 0;
		long value = ptrace(PTRACE_PEEKDATA, tracee->pid, (long)at, 0);
		if (errno)
			return -1;
		memcpy(word, &value, sizeof(word));
		for (unsigned int i = 0; i < 8; i++)
			if (at + i >= address && at + i < end)
				word[i] = bytes[at + i - address];
		memcpy(&value, word, sizeof(word));
		if (ptrace(PTRACE_POKEDATA, tracee->pid, (long)at, value))
			return -1;
	}
	return 0;
}

/* One call instead of two or four, but hosts can be set up to refuse it (proc_mem.force_override
 * since Linux 6.12). */
int bh_tracee_poke_bytes(struct bh_tracee *tracee, uint64_t address, const uint8_t *bytes,
			 size_t length)
{
	char path[32];

	if (!tracee->memory_fd && !tracee->has_no_memory_fd) {
		snprintf(path, sizeof(path), "/proc/%d/mem", (int)tracee->pid);
		int fd = open(path, O_RDWR | O_CLOEXEC);
		tracee->has_no_memory_fd = fd <= 0;
		tracee->memory_fd = fd > 0 ? fd : 0;
	}
	if (tracee->memory_fd &&
	    pwrite(tracee->memory_fd, bytes, length, (off_t)address) == (ssize_t)length)
		return 0;
	return poke_words(tracee, address, bytes, length);
}

int bh_tracee_poke(struct bh_tracee *tracee, uint64_t address, uint8_t byte)
{
	return bh_tracee_poke_bytes(tracee, address, &byte, 1);
}

static int poke_debug(struct bh_tracee *tracee, unsigned int number, uint64_t value)
{
	return ptrace(PTRACE_POKEUSER, tracee->pid, (long)offsetof(struct user, u_debugreg[number]),
		      (long)value)
		       ? -1
		       : 0;
}

struct bh_error *bh_tracee_watch(struct bh_tracee *tracee, const uint64_t *addresses, uint64_t dr7)
{
	if (dr7 == tracee->dr7 &&
	    (!dr7 || !memcmp(addresses, tracee->watch_addresses, sizeof(tracee->watch_addresses))))
		return NULL;
	/* The host checks address and length together, so all are off while addresses change. */
	if (tracee->dr7 && poke_debug(tracee, 7, 0))
		return ptrace_error(tracee, "clear the watchpoints of");
	tracee->dr7 = 0;
	if (!dr7)
		return NULL;
	for (unsigned int number = 0; number < BH_DEBUG_REGISTERS; number++) {
		if (dr7 >> (2 * number) & 3 && poke_debug(tracee, number, addresses[number]))
			return ptrace_error(tracee, "set a watchpoint in");
		tracee->watch_addresses[number] = addresses[number];
	}
	if (poke_debug(tracee, 7, dr7))
		return ptrace_error(tracee, "set the watchpoints of");
	tracee->dr7 = dr7;
	return NULL;
}

unsigned int bh_tracee_watch_hits(struct bh_tracee *tracee)
{
	long offset = (long)offsetof(struct user, u_debugreg[6]);

	if (!tracee->dr7)
		return 0;
	errno = 0;
	long status = ptrace(PTRACE_PEEKUSER, tracee->pid, offset, 0);
	if (errno)
		return 0;
	unsigned int hits = (unsigned int)status & 15;
	if (hits)
		ptrace(PTRACE_POKEUSER, tracee->pid, offset, status & ~15L);
	return hits;
}

/* Sends the stopped tracee to a gate; its registers are the caller's to save. */
static struct bh_error *enter_gate(struct bh_tracee *tracee, const char *gate, uint64_t rbx,
				   uint64_t rdi)
{
	struct user_regs_struct registers = *bh_tracee_registers(tracee);

	registers.rip = (uintptr_t)gate;
	registers.rsp = (uintptr_t)scratch_stack + SCRATCH_BYTES - 64;
	registers.rbp = 0;
	registers.rbx = rbx;
	registers.rdi = rdi;
	registers.eflags = 0x202;
	registers.fs_base = own_fs_base();
	tracee->registers = registers;
	bh_tracee_registers_changed(tracee);
	return bh_tracee_resume(tracee, 0, 0);
}

static void restore_registers(struct bh_tracee *tracee, const struct user_regs_struct *registers)
{
	tracee->registers = *registers;
	tracee->has_registers = 1;
	bh_tracee_registers_changed(tracee);
}

static struct bh_error *wait_for_gate(struct bh_tracee *tracee, const char *what)
{
	struct bh_wait wait;

	BH_TRY(bh_tracee_wait(tracee, -1, &wait));
	uint64_t rip = bh_tracee_registers(tracee)->rip;
	if (wait.kind != BH_WAIT_TRAP || rip < (uintptr_t)bh_fork_gate ||
	    rip > (uintptr_t)bh_gates_end)
		return bh_error_new(BH_ERR_INTERNAL,
				    "the replayed process %d did not %s (stop %d, signal %d, pc "
				    "%#llx)",
				    (int)tracee->pid, what, (int)wait.kind, wait.signal,
				    (unsigned long long)rip);
	return NULL;
}

struct bh_error *bh_tracee_call(struct bh_tracee *tracee, long (*function)(long argument),
				long argument, long *result_ret)
{
	struct user_regs_struct saved = *bh_tracee_registers(tracee);
	unsigned char xstate[BH_XSTATE_MAX];
	size_t xstate_size = 0;

	BH_TRY(bh_tracee_watch(tracee, NULL, 0));
	BH_TRY(bh_tracee_xstate(tracee, xstate, sizeof(xstate), &xstate_size));
	BH_TRY(enter_gate(tracee, bh_call_gate, (uintptr_t)function, (uint64_t)argument));
	BH_TRY(wait_for_gate(tracee, "come back from a call"));
	*result_ret = (long)bh_tracee_registers(tracee)->rax;
	restore_registers(tracee, &saved);
	return set_xstate(tracee, xstate, xstate_size);
}

/* The parent's side of a fork: up to the event that names the child. */
static struct bh_error *wait_for_child(struct bh_tracee *tracee, pid_t *pid_ret)
{
	unsigned long message = 0;
	int status;

	for (;;) {
		if (waitpid(tracee->pid, &status, __WALL) != tracee->pid)
			return ptrace_error(tracee, "wait for");
		if (!WIFSTOPPED(status) || status >> 16 || WSTOPSIG(status) == SIGTRAP ||
		    is_own_signal(WSTOPSIG(status)))
			break;
		ptrace(PTRACE_CONT, tracee->pid, 0, 0);
	}
	if (!WIFSTOPPED(status) ||
	    (status >> 16 != PTRACE_EVENT_FORK && status >> 16 != PTRACE_EVENT_CLONE)) {
		int host_errno = (int)-(long)bh_tracee_registers(tracee)->rax;
		return bh_error_new(BH_ERR_MACHINE,
				    "cannot fork a checkpoint of the replay (%s); free some memory "
				    "or raise the limit on processes",
				    WIFSTOPPED(status) && host_errno > 0 && host_errno < 4096
					    ? strerror(host_errno)
					    : "the process ended");
	}
	if (ptrace(PTRACE_GETEVENTMSG, tracee->pid, 0, &message))
		return ptrace_error(tracee, "learn the child of");
	*pid_ret = (pid_t)message;
	return NULL;
}

struct bh_error *bh_tracee_fork(struct bh_tracee *tracee, void (*after_fork)(void),
				struct bh_tracee **copy_ret)
{
	struct user_regs_struct saved = *bh_tracee_registers(tracee);
	struct bh_tracee *copy = calloc(1, sizeof(*copy));
	unsigned char xstate[BH_XSTATE_MAX];
	size_t xstate_size = 0;
	int status;

	if (!copy)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	copy->is_gone = 1;
	struct bh_error *error = bh_tracee_watch(tracee, NULL, 0);
	if (!error && after_fork)
		error = bh_tracee_xstate(tracee, xstate, sizeof(xstate), &xstate_size);
	if (!error)
		error = enter_gate(tracee, bh_fork_gate, (uintptr_t)after_fork, 0);
	if (!error)
		error = wait_for_child(tracee, &copy->pid);
	if (error) {
		free(copy);
		return error;
	}
	copy->family = tracee->family;
	copy->family->members++;
	copy->is_gone = 0;
	/* The child's first stop comes before its first instruction. */
	if (waitpid(copy->pid, &status, __WALL) != copy->pid || !WIFSTOPPED(status))
		error = ptrace_error(copy, "hold");
	if (!error)
		error = bh_tracee_resume(tracee, 0, 0);
	if (!error)
		error = wait_for_gate(tracee, "fork");
	if (!error) {
		restore_registers(tracee, &saved);
		error = bh_tracee_resume(copy, 0, 0);
	}
	if (!error)
		error = wait_for_gate(copy, "become a checkpoint");
	if (!error) {
		restore_registers(copy, &saved);
		if (after_fork)
			error = set_xstate(copy, xstate, xstate_size);
	}
	if (error) {
		bh_tracee_destroy(copy);
		return error;
	}
	*copy_ret = copy;
	return NULL;
}

uint64_t bh_tracee_cpu_ns(struct bh_tracee *tracee)
{
	struct timespec used;

	if (tracee->cpu_ns)
		return tracee->cpu_ns;
	if (tracee->is_gone ||
	    (!tracee->has_clock && clock_getcpuclockid(tracee->pid, &tracee->clock)))
		return 0;
	tracee->has_clock = 1;
	if (clock_gettime(tracee->clock, &used))
		return 0;
	tracee->cpu_ns = (uint64_t)used.tv_sec * 1000000000ull + (uint64_t)used.tv_nsec;
	return tracee->cpu_ns;
}

uint64_t bh_tracee_resumes(const struct bh_tracee *tracee)
{
	return tracee->resumes;
}

uint64_t bh_tracee_page_faults(const struct bh_tracee *tracee)
{
	char path[32], text[512];
	unsigned long faults = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tracee->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[count > 0 ? count : 0] = 0;
	/* Behind the name, which may hold anything: state, six numbers, then this one. */
	const char *name_end = strrchr(text, ')');
	if (!name_end || sscanf(name_end, ") %*c %*d %*d %*d %*d %*d %*u %lu", &faults) != 1)
		return 0;
	return faults;
}

pid_t bh_tracee_pid(const struct bh_tracee *tracee)
{
	return tracee->pid;
}
