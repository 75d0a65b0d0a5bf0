/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's monotonic clock, for progress lines and printed durations only: nothing in a run may
 * depend on it. Always the system call, never the vDSO, because rdtsc faults while programs run
 * (PR_SET_TSC), and the call is in our own text, which Syscall User Dispatch lets through.
 */
#ifndef BH_COMMON_HOST_TIME_H
#define BH_COMMON_HOST_TIME_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

static inline uint64_t bh_host_time_ns(void)
{
	struct timespec now = {0, 0};
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(SYS_clock_gettime), "D"(CLOCK_MONOTONIC), "S"(&now)
			 : "rcx", "r11", "memory");
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
