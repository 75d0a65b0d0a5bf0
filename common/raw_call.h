/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A system call of the host without errno: for signal handlers that may run with a program's thread
 * pointer. The call is in our own text, so Syscall User Dispatch lets it through.
 */
#ifndef BH_COMMON_RAW_CALL_H
#define BH_COMMON_RAW_CALL_H

#include <sys/syscall.h>

/* The result, or -errno. */
static inline long bh_raw_call4(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

static inline long bh_raw_call(long number, long a, long b, long c)
{
	return bh_raw_call4(number, a, b, c, 0);
}

#endif
