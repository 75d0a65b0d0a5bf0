/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_ASM_BACKHOP_SETUP_H
#define _UAPI_ASM_BACKHOP_SETUP_H

/* Sysctls of a scenario go on the command line. */
#define COMMAND_LINE_SIZE 65536

#endif
