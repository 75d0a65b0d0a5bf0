/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vsyscall page of x86-64: at its fixed address in every process, the host answers time(),
 * gettimeofday() and getcpu() of old programs by itself, without a system call, so that Syscall
 * User Dispatch doesn't see them. It does ask seccomp (emulate_vsyscall() of
 * arch/x86/entry/vsyscall/vsyscall_64.c): a filter that looks only at the place of the call makes
 * each a SIGSYS, which traps.c takes for an ordinary system call.
 *
 * Called by traps.c once, before a replay confines itself.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "posix/internal.h"

/* 0xffffffffff600000, in halves. */
#define PAGE_HIGH 0xffffffffu
#define PAGE_LOW  0xff600000u
#define PAGE_MASK 0xfffff000u

/* The simulator's own calls are the ones that the filter lets through. */
struct bh_error *bh_vsyscall_trap(int is_restored)
{
	static int is_installed;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PAGE_HIGH, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer)),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PAGE_MASK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PAGE_LOW, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	/* A restored process has the memory of one that has the filter, but not the filter. */
	if (is_installed && !is_restored)
		return NULL;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program))
		return bh_error_new(
			BH_ERR_MACHINE,
			"programs can't be kept from the host's vsyscall page: %s; this "
			"machine's kernel must allow seccomp filters",
			strerror(errno));
	is_installed = 1;
	return NULL;
}
