/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions that need care when stepped: see instruction.h. */
#include "replayer/instruction.h"

static int is_string_operation(uint8_t opcode)
{
	return (opcode >= 0x6c && opcode <= 0x6f) || /* ins, outs */
	       (opcode >= 0xa4 && opcode <= 0xa7) || /* movs, cmps */
	       (opcode >= 0xaa && opcode <= 0xaf);   /* stos, lods, scas */
}

static int is_legacy_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return 1;
	default:
		return 0;
	}
}

enum bh_instruction_kind bh_instruction_classify(const uint8_t *bytes, size_t count,
						 size_t *length_ret)
{
	size_t at = 0;
	int has_rep = 0;

	while (at < count && is_legacy_prefix(bytes[at])) {
		has_rep |= bytes[at] == 0xf2 || bytes[at] == 0xf3;
		at++;
	}
	if (at < count && (bytes[at] & 0xf0) == 0x40) /* REX */
		at++;
	if (at >= count)
		return BH_INSTRUCTION_PLAIN;
	if (bytes[at] == 0x0f && at + 1 < count && bytes[at + 1] == 0x05)
		return BH_INSTRUCTION_SYSCALL;
	if (bytes[at] == 0x9c)
		return BH_INSTRUCTION_PUSHF;
	if (bytes[at] == 0x9d) {
		*length_ret = at + 1;
		return BH_INSTRUCTION_POPF;
	}
	if (bytes[at] == 0xcf)
		return BH_INSTRUCTION_IRET;
	if (has_rep && is_string_operation(bytes[at])) {
		*length_ret = at + 1;
		return BH_INSTRUCTION_REP_STRING;
	}
	return BH_INSTRUCTION_PLAIN;
}
