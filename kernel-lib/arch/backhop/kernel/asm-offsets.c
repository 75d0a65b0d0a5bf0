// SPDX-License-Identifier: GPL-2.0
/* Constants for assembly, taken from the headers by Kbuild. */
#include <linux/kbuild.h>
#include <linux/sched.h>
#include <asm/ptrace.h>
#include <asm/thread_info.h>

int main(void)
{
	DEFINE(BH_PT_REGS_SIZE, sizeof(struct pt_regs));
	DEFINE(BH_THREAD_SIZE, THREAD_SIZE);
	return 0;
}
