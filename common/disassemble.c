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
