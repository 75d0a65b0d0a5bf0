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

/* What there is to know of an instruction that is to run somewhere else. */
struct bh_instruction {
	size_t length;
	int is_movable;	     /* it does the same elsewhere, once what follows is adjusted */
	int is_jump;	     /* a conditional jump, relative to its end */
	int is_indirect;     /* an indirect jump */
	uint8_t condition;   /* of the jump: the low half of its opcode */
	int64_t distance;    /* of the jump */
	size_t displacement; /* offset of 4 bytes that are relative to its end; 0: none */
};

/* Decodes the instruction at code; 0 if there is none. */
int bh_disassembler_decode(struct bh_disassembler *disassembler, const uint8_t *code,
			   size_t available, struct bh_instruction *instruction_ret);

/* Bytes of the instruction that begins at code, of which available can be read; 0 if there is none.
 */
size_t bh_disassembler_length(struct bh_disassembler *disassembler, const uint8_t *code,
			      size_t available);

#endif
