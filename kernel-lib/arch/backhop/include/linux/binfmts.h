/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Found before the generic header of this name, which it includes. Without an MMU, generic code
 * (fs/exec.c, 6.1 and 6.12) has room for 128 KiB of arguments and environment in a program's
 * description, where everywhere else it is a quarter of the stack: here it is that, 2 MiB.
 * binfmt.c checks the limits that generic code doesn't check then.
 *
 * The header has no place to say so. So it is read as if there were an MMU, with what it has for
 * memory maps then turned into the longer array that it has without.
 */
#ifndef _ASM_BACKHOP_LINUX_BINFMTS_H
#define _ASM_BACKHOP_LINUX_BINFMTS_H

#include <linux/sched.h>
#include <linux/unistd.h>
#include <asm/exec.h>
#include <uapi/linux/binfmts.h>

/* And one page for what isn't counted: the program's own name. */
#define MAX_ARG_PAGES 513

#define CONFIG_MMU 1
#define vma_pages                                                                                  \
	unused;                                                                                    \
	struct page *page[MAX_ARG_PAGES]
#include_next <linux/binfmts.h>
#undef vma_pages
#undef CONFIG_MMU

#endif
