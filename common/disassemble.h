/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door to capstone: where the instructions of x86-64 code begin, and what they do. Used by
 * posix/ to find the instructions that it replaces, by replayer/ to tell what a function decided.
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

enum bh_operation_kind {
	BH_OPERATION_OTHER,
	BH_OPERATION_CALL,
	BH_OPERATION_RETURN,
	BH_OPERATION_JUMP,   /* always taken */
	BH_OPERATION_BRANCH, /* depends on the flags, or on rcx */
	BH_OPERATION_TRAP,   /* execution doesn't go on behind it: ud2, int3 */
};

#define BH_REGISTER_FLAGS 16 /* 0 to 15: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15 */
#define BH_REGISTER_NONE  255

/* What an instruction takes and what it gives: for following values through code. Parts of a
 * register count as the register. */
struct bh_operation {
	size_t length;
	enum bh_operation_kind kind;
	int is_direct;	 /* CALL, JUMP, BRANCH: target is known */
	uint64_t target; /* address */
	uint32_t reads;	 /* bits of registers whose values it takes; addresses' parts don't count */
	uint32_t writes;
	int has_memory; /* it accesses memory through an operand, of memory_size bytes, at: */
	uint8_t base, index, scale; /* registers, or BH_REGISTER_NONE */
	int64_t displacement;	    /* with what is relative to the instruction's end added up */
	uint8_t memory_size;
	int is_memory_read, is_memory_written;
	int has_immediate;
	int64_t immediate;
};

/* The instruction at code, which runs at address. Returns 0 if there is none. */
int bh_disassembler_operation(struct bh_disassembler *disassembler, const uint8_t *code,
			      size_t available, uint64_t address,
			      struct bh_operation *operation_ret);

/* Bytes of the instruction that begins at code, of which available can be read; 0 if there is none.
 */
size_t bh_disassembler_length(struct bh_disassembler *disassembler, const uint8_t *code,
			      size_t available);

#endif
