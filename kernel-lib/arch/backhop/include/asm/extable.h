/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Exception table entries are relative, so they need no relocation; 12 bytes each, as
 * scripts/sorttable.c expects of x86-64 objects (the third word is unused here).
 */
#ifndef _ASM_BACKHOP_EXTABLE_H
#define _ASM_BACKHOP_EXTABLE_H

#ifdef __ASSEMBLY__

/* clang-format off */
.macro EXTABLE from, to
	.pushsection __ex_table, "a"
	.balign 4
	.long (\from) - .
	.long (\to) - .
	.long 0
	.popsection
.endm
/* clang-format on */

#else

struct exception_table_entry {
	int insn, fixup, data;
};

#define ARCH_HAS_RELATIVE_EXTABLE

#define swap_ex_entry_fixup(a, b, tmp, delta)                                                      \
	do {                                                                                       \
		(a)->fixup = (b)->fixup + (delta);                                                 \
		(b)->fixup = (tmp).fixup - (delta);                                                \
		(a)->data = (b)->data;                                                             \
		(b)->data = (tmp).data;                                                            \
	} while (0)

#define _ASM_EXTABLE(from, to)                                                                     \
	".pushsection __ex_table,\"a\"\n"                                                          \
	".balign 4\n"                                                                              \
	".long (" #from ") - .\n"                                                                  \
	".long (" #to ") - .\n"                                                                    \
	".long 0\n"                                                                                \
	".popsection\n"

struct pt_regs;
int fixup_exception(struct pt_regs *regs);

#endif
#endif
