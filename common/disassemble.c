/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The only file that includes capstone: see disassemble.h. */
#include "common/disassemble.h"

#include <capstone/capstone.h>
#include <stdlib.h>

struct bh_disassembler {
	csh handle;
	cs_insn *instruction;
};

struct bh_disassembler *bh_disassembler_create(void)
{
	struct bh_disassembler *disassembler = calloc(1, sizeof(*disassembler));

	if (!disassembler)
		return NULL;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &disassembler->handle)) {
		free(disassembler);
		return NULL;
	}
	disassembler->instruction = cs_malloc(disassembler->handle);
	if (!disassembler->instruction) {
		cs_close(&disassembler->handle);
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
