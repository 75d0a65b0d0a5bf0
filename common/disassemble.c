/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The only file that includes capstone: see disassemble.h. */
#include "common/disassemble.h"

#include <capstone/capstone.h>
#include <stdlib.h>
#include <string.h>

struct bh_disassembler {
	csh handle;
	cs_insn *instruction;
	/* A second one, which says more and takes longer. */
	csh detail_handle;
	cs_insn *detail;
};

static int open_handle(csh *handle_ret, cs_insn **instruction_ret, int with_detail)
{
	if (cs_open(CS_ARCH_X86, CS_MODE_64, handle_ret))
		return 0;
	if (with_detail)
		cs_option(*handle_ret, CS_OPT_DETAIL, CS_OPT_ON);
	*instruction_ret = cs_malloc(*handle_ret);
	if (!*instruction_ret)
		cs_close(handle_ret);
	return *instruction_ret != NULL;
}

struct bh_disassembler *bh_disassembler_create(void)
{
	struct bh_disassembler *disassembler = calloc(1, sizeof(*disassembler));

	if (!disassembler)
		return NULL;
	if (!open_handle(&disassembler->handle, &disassembler->instruction, 0)) {
		free(disassembler);
		return NULL;
	}
	return disassembler;
}

void bh_disassembler_destroy(struct bh_disassembler *disassembler)
{
	if (!disassembler)
		return;
	cs_free(disassembler->instruction, 1);
	cs_close(&disassembler->handle);
	if (disassembler->detail) {
		cs_free(disassembler->detail, 1);
		cs_close(&disassembler->detail_handle);
	}
	free(disassembler);
}

size_t bh_disassembler_length(struct bh_disassembler *disassembler, const uint8_t *code,
			      size_t available)
{
	uint64_t address = 0;

	if (!cs_disasm_iter(disassembler->handle, &code, &available, &address,
			    disassembler->instruction))
		return 0;
	return disassembler->instruction->size;
}

static int is_in_group(const cs_insn *instruction, unsigned int group)
{
	for (unsigned int i = 0; i < instruction->detail->groups_count; i++)
		if (instruction->detail->groups[i] == group)
			return 1;
	return 0;
}

/* 70..7f and 0f 80..8f; no others depend on flags alone. */
static void describe_jump(const cs_insn *instruction, struct bh_instruction *to)
{
	const uint8_t *bytes = instruction->bytes;
	int32_t distance;

	if (instruction->size == 2 && (bytes[0] & 0xf0) == 0x70) {
		to->condition = bytes[0] & 0xf;
		to->distance = (int8_t)bytes[1];
	} else if (instruction->size == 6 && bytes[0] == 0x0f && (bytes[1] & 0xf0) == 0x80) {
		memcpy(&distance, bytes + 2, sizeof(distance));
		to->condition = bytes[1] & 0xf;
		to->distance = distance;
	} else {
		return;
	}
	to->is_jump = to->is_movable = 1;
}

static void describe(const cs_insn *instruction, struct bh_instruction *to)
{
	const cs_x86 *x86 = &instruction->detail->x86;

	if (is_in_group(instruction, CS_GRP_JUMP)) {
		to->is_indirect = !is_in_group(instruction, CS_GRP_BRANCH_RELATIVE);
		describe_jump(instruction, to);
		return;
	}
	if (is_in_group(instruction, CS_GRP_CALL) || is_in_group(instruction, CS_GRP_RET) ||
	    is_in_group(instruction, CS_GRP_INT) || is_in_group(instruction, CS_GRP_IRET) ||
	    is_in_group(instruction, CS_GRP_PRIVILEGE) ||
	    is_in_group(instruction, CS_GRP_BRANCH_RELATIVE))
		return;
	for (unsigned int i = 0; i < x86->op_count; i++)
		if (x86->operands[i].type == X86_OP_MEM &&
		    x86->operands[i].mem.base == X86_REG_RIP) {
			to->displacement = x86->encoding.disp_offset;
			if (!to->displacement || x86->encoding.disp_size != 4)
				return;
		}
	to->is_movable = 1;
}

int bh_disassembler_decode(struct bh_disassembler *disassembler, const uint8_t *code,
			   size_t available, struct bh_instruction *instruction_ret)
{
	uint64_t address = 0;

	*instruction_ret = (struct bh_instruction){0};
	if (!disassembler->detail &&
	    !open_handle(&disassembler->detail_handle, &disassembler->detail, 1))
		return 0;
	if (!cs_disasm_iter(disassembler->detail_handle, &code, &available, &address,
			    disassembler->detail))
		return 0;
	instruction_ret->length = disassembler->detail->size;
	describe(disassembler->detail, instruction_ret);
	return 1;
}

/* --- what an instruction takes and gives --- */

/* Capstone's names of the general registers and of their parts. */
static const x86_reg general[16][5] = {
	{X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH},
	{X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH},
	{X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH},
	{X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH},
	{X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL, X86_REG_RSP},
	{X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL, X86_REG_RBP},
	{X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL, X86_REG_RSI},
	{X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL, X86_REG_RDI},
	{X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B, X86_REG_R8},
	{X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B, X86_REG_R9},
	{X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B, X86_REG_R10},
	{X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B, X86_REG_R11},
	{X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B, X86_REG_R12},
	{X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B, X86_REG_R13},
	{X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B, X86_REG_R14},
	{X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B, X86_REG_R15},
};

static uint8_t register_number(unsigned int name)
{
	for (uint8_t i = 0; i < 16; i++)
		for (unsigned int j = 0; j < 5; j++)
			if ((unsigned int)general[i][j] == name)
				return i;
	return name == X86_REG_EFLAGS ? BH_REGISTER_FLAGS : BH_REGISTER_NONE;
}

static uint32_t register_bit(unsigned int name)
{
	uint8_t number = register_number(name);

	return number == BH_REGISTER_NONE ? 0 : 1u << number;
}

static void take_memory(const cs_insn *instruction, const cs_x86_op *operand, uint64_t address,
			struct bh_operation *to)
{
	to->base = register_number(operand->mem.base);
	to->index = register_number(operand->mem.index);
	to->scale = (uint8_t)operand->mem.scale;
	to->displacement = operand->mem.disp;
	if (operand->mem.base == X86_REG_RIP)
		to->displacement += (int64_t)(address + instruction->size);
	if (instruction->id == X86_INS_LEA || instruction->id == X86_INS_NOP) {
		/* Its address is its value. */
		to->reads |=
			instruction->id == X86_INS_LEA
				? register_bit(operand->mem.base) | register_bit(operand->mem.index)
				: 0;
		return;
	}
	to->has_memory = 1;
	to->memory_size = operand->size;
	to->is_memory_read = (operand->access & CS_AC_READ) != 0 ||
			     instruction->id == X86_INS_CMP || instruction->id == X86_INS_TEST;
	to->is_memory_written = (operand->access & CS_AC_WRITE) != 0 &&
				instruction->id != X86_INS_CMP && instruction->id != X86_INS_TEST;
}

static void take_operands(const cs_insn *instruction, uint64_t address, struct bh_operation *to)
{
	const cs_detail *detail = instruction->detail;
	const cs_x86 *x86 = &detail->x86;
	int is_compare = instruction->id == X86_INS_CMP || instruction->id == X86_INS_TEST;

	for (unsigned int i = 0; i < detail->regs_read_count; i++)
		to->reads |= register_bit(detail->regs_read[i]);
	for (unsigned int i = 0; i < detail->regs_write_count; i++)
		to->writes |= register_bit(detail->regs_write[i]);
	for (unsigned int i = 0; i < x86->op_count; i++) {
		const cs_x86_op *operand = &x86->operands[i];
		if (operand->type == X86_OP_REG) {
			if (operand->access & CS_AC_READ || is_compare)
				to->reads |= register_bit(operand->reg);
			if (operand->access & CS_AC_WRITE && !is_compare)
				to->writes |= register_bit(operand->reg);
		} else if (operand->type == X86_OP_MEM) {
			take_memory(instruction, operand, address, to);
		} else if (operand->type == X86_OP_IMM) {
			to->has_immediate = 1;
			to->immediate = operand->imm;
		}
	}
	/* Cleared, whatever it was. */
	if ((instruction->id == X86_INS_XOR || instruction->id == X86_INS_SUB) &&
	    x86->op_count == 2 && x86->operands[0].type == X86_OP_REG &&
	    x86->operands[1].type == X86_OP_REG && x86->operands[0].reg == x86->operands[1].reg)
		to->reads = 0;
}

static enum bh_operation_kind operation_kind(const cs_insn *instruction)
{
	if (instruction->id == X86_INS_JMP)
		return BH_OPERATION_JUMP;
	if (is_in_group(instruction, CS_GRP_JUMP))
		return BH_OPERATION_BRANCH;
	if (is_in_group(instruction, CS_GRP_CALL))
		return BH_OPERATION_CALL;
	if (is_in_group(instruction, CS_GRP_RET))
		return BH_OPERATION_RETURN;
	if (instruction->id == X86_INS_UD2 || instruction->id == X86_INS_INT3)
		return BH_OPERATION_TRAP;
	return BH_OPERATION_OTHER;
}

int bh_disassembler_operation(struct bh_disassembler *disassembler, const uint8_t *code,
			      size_t available, uint64_t address,
			      struct bh_operation *operation_ret)
{
	struct bh_operation *to = operation_ret;

	*to = (struct bh_operation){.base = BH_REGISTER_NONE, .index = BH_REGISTER_NONE};
	if (!disassembler->detail &&
	    !open_handle(&disassembler->detail_handle, &disassembler->detail, 1))
		return 0;
	if (!cs_disasm_iter(disassembler->detail_handle, &code, &available, &address,
			    disassembler->detail))
		return 0;
	const cs_insn *instruction = disassembler->detail;
	const cs_x86 *x86 = &instruction->detail->x86;
	to->length = instruction->size;
	to->kind = operation_kind(instruction);
	take_operands(instruction, instruction->address, to);
	if (to->kind != BH_OPERATION_OTHER && to->kind != BH_OPERATION_TRAP && x86->op_count == 1 &&
	    x86->operands[0].type == X86_OP_IMM) {
		to->is_direct = 1;
		to->target = (uint64_t)x86->operands[0].imm;
	}
	return 1;
}
