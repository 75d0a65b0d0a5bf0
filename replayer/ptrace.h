/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One traced process: the only file that calls ptrace. The process is a fork of the tracer (same
 * executable, same addresses), or a fork of such a fork. Used by copy.c, which gives it a position.
 *
 * Tracer and tracees share one CPU: a stop then costs a fifth of what it costs across two.
 */
#ifndef BH_REPLAYER_PTRACE_H
#define BH_REPLAYER_PTRACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "common/error.h"

struct bh_tracee;

enum bh_wait_kind {
	BH_WAIT_TRAP,	 /* SIGTRAP: a step, an int3 or a debug register */
	BH_WAIT_SIGNAL,	 /* another signal is about to be delivered: wait.signal */
	BH_WAIT_EXITING, /* the process is about to end: memory and registers still readable */
	BH_WAIT_GONE,	 /* it has ended */
	BH_WAIT_TIMEOUT, /* still running */
	BH_WAIT_HELD,	 /* stopped by bh_tracee_interrupt() */
};

struct bh_wait {
	enum bh_wait_kind kind;
	int signal; /* for EXITING: the fatal signal, or 0 */
};

/* What a fork keeps of a process that isn't in its memory. */
#define BH_XSTATE_MAX	   16384
#define BH_DEBUG_REGISTERS 4

/* Pins the calling process to the CPU it runs on; the former mask goes to *former_ret. */
struct bh_error *bh_tracee_pin(void *former_ret, size_t size);

/* Lets the tracee run on the other CPUs that the calling process had before bh_tracee_pin(), beside
 * the tracer and what it runs with. Returns 0, and does nothing, if there were none. */
int bh_tracee_send_away(struct bh_tracee *tracee);
/* To the tracer's CPU again. */
void bh_tracee_call_back(struct bh_tracee *tracee);

/*
 * Programs must not read the processor's counter of time (posix/traps.c), and at each switch
 * between two processes of which only one must not, the host changes that, which can take longer
 * than the rest of a stop. So the tracer does without the counter, too, while it moves tracees:
 * then it may ask the host for the time by common/host_time.h only.
 */
void bh_tracee_forgo_counter(int is_forgone);

/*
 * Forks; the child is traced and calls run(arg), which must not return. The child's signal mask is
 * empty. The child is running when this returns.
 */
struct bh_error *bh_tracee_start(void (*run)(void *arg), void *arg, struct bh_tracee **tracee_ret);

/*
 * Makes the tracee, which must be stopped and not about to get a signal, fork; both are stopped at
 * the same place afterwards. after_fork is called in the new one (bh_posix_after_fork), on a
 * scratch stack; it may be NULL.
 */
struct bh_error *bh_tracee_fork(struct bh_tracee *tracee, void (*after_fork)(void),
				struct bh_tracee **copy_ret);

/* Kills it. Takes NULL. */
void bh_tracee_destroy(struct bh_tracee *tracee);

/* Continues with a signal (0: none), by one instruction if is_step. */
struct bh_error *bh_tracee_resume(struct bh_tracee *tracee, int is_step, int signal);
/* timeout_ms < 0: for ever. */
struct bh_error *bh_tracee_wait(struct bh_tracee *tracee, int timeout_ms, struct bh_wait *wait_ret);
/* Asks a running tracee to stop; wait for BH_WAIT_HELD (or another stop that came first). */
void bh_tracee_interrupt(struct bh_tracee *tracee);

/* The registers of the stopped tracee. They are written back before it runs if
 * bh_tracee_registers_changed() was called. Never NULL; zeroes if the process is gone. */
struct user_regs_struct *bh_tracee_registers(struct bh_tracee *tracee);
void bh_tracee_registers_changed(struct bh_tracee *tracee);
struct bh_error *bh_tracee_fp_registers(struct bh_tracee *tracee,
					struct user_fpregs_struct *registers_ret);
struct bh_error *bh_tracee_set_fp_registers(struct bh_tracee *tracee,
					    const struct user_fpregs_struct *registers);
/* The whole XSAVE area as the host gives it; size_ret is its length. */
struct bh_error *bh_tracee_xstate(struct bh_tracee *tracee, void *bytes_ret, size_t capacity,
				  size_t *size_ret);

/* Returns the number of bytes read from the start of the range. */
size_t bh_tracee_read(struct bh_tracee *tracee, uint64_t address, void *bytes_ret, size_t length);
/* Ordinary writable memory of a running or stopped tracee. Returns 0 on success. */
int bh_tracee_write(struct bh_tracee *tracee, uint64_t address, const void *bytes, size_t length);
/* One byte of any private mapping, text too. Returns 0 on success. */
int bh_tracee_poke(struct bh_tracee *tracee, uint64_t address, uint8_t byte);
/* The same of some bytes. */
int bh_tracee_poke_bytes(struct bh_tracee *tracee, uint64_t address, const uint8_t *bytes,
			 size_t length);

/* Debug registers: addresses[0..3], and DR7 as the CPU wants it (0: all off). */
struct bh_error *bh_tracee_watch(struct bh_tracee *tracee, const uint64_t *addresses, uint64_t dr7);
/* Which debug registers fired since the last call (bits 0..3). */
unsigned int bh_tracee_watch_hits(struct bh_tracee *tracee);

/* Calls function(argument) in the stopped tracee on the scratch stack. */
struct bh_error *bh_tracee_call(struct bh_tracee *tracee, long (*function)(long argument),
				long argument, long *result_ret);

/* How often it was resumed so far: what was read of it is good as long as this is the same. */
uint64_t bh_tracee_resumes(const struct bh_tracee *tracee);
/* CPU time that it has used; 0 if that isn't known. */
uint64_t bh_tracee_cpu_ns(struct bh_tracee *tracee);
/* Pages that it got or had copied so far; 0 if that isn't known. */
uint64_t bh_tracee_page_faults(const struct bh_tracee *tracee);

pid_t bh_tracee_pid(const struct bh_tracee *tracee);

#endif
