/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * x86-64's signal numbers and flags are the generic ones, with one addition: a C library passes
 * the address of its return trampoline in sa_restorer.
 */
#ifndef _UAPI_ASM_BACKHOP_SIGNAL_H
#define _UAPI_ASM_BACKHOP_SIGNAL_H

#define SA_RESTORER 0x04000000

#include <asm-generic/signal.h>

#endif
