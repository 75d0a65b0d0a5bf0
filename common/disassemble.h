/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door to capstone: where the instructions of x86-64 code begin. Used by posix/ to find the
 * instructions that it replaces.
 */
#ifndef BH_COMMON_DISASSEMBLE_H
#define BH_COMMON_DISASSEMBLE_H

#include <stddef.h>
#include <stdint.h>

struct bh_disassembler;

/* NULL when there is no memory. */
struct bh_disassembler *bh_disassembler_create(void);
/* Takes NULL. */
void bh_disassembler_destroy(struct bh_disassembler *disassembler);

/* Bytes of the instruction that begins at code, of which available can be read; 0 if there is none.
 */
size_t bh_disassembler_length(struct bh_disassembler *disassembler, const uint8_t *code,
			      size_t available);

#endif
