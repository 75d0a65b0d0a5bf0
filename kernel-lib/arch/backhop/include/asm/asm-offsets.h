/* SPDX-License-Identifier: GPL-2.0 */
/* Offsets that assembly needs: generated from kernel/asm-offsets.c. */
#include <generated/asm-offsets.h>
