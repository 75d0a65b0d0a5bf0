/* SPDX-License-Identifier: GPL-2.0 */
/* What generic code wants to know of executables; loading them is posix/'s own format. */
#ifndef _ASM_BACKHOP_ELF_H
#define _ASM_BACKHOP_ELF_H

#include <linux/types.h>
#include <asm/ptrace.h>

typedef unsigned long elf_greg_t;
#define ELF_NGREG (sizeof(struct pt_regs) / sizeof(elf_greg_t) + 6)
typedef elf_greg_t elf_gregset_t[ELF_NGREG];
typedef struct {
	u8 bytes[512];
} elf_fpregset_t;

#define ELF_CLASS	  ELFCLASS64
#define ELF_DATA	  ELFDATA2LSB
#define ELF_ARCH	  EM_X86_64
#define ELF_EXEC_PAGESIZE 4096
#define ELF_ET_DYN_BASE	  0x555555554000ul
#define ELF_PLATFORM	  "x86_64"
#define ELF_HWCAP	  0
#define ELF_CORE_COPY_REGS(dest, regs)

#define elf_check_arch(x) ((x)->e_machine == EM_X86_64)

#endif
