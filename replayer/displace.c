/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions at another place: see displace.h. Called by probe_set.c. */
#include "replayer/displace.h"

#include <string.h>

#include "replayer/instruction.h"

#define INSTRUCTION_MAX 15

struct emitter {
	uint8_t *room;
	size_t at, capacity;
	uint64_t address; /* of room[0] */
	int is_far;
	int failed;
};

static void emit(struct emitter *emitter, const void *bytes, size_t count)
{
	if (count > emitter->capacity - emitter->at) {
		emitter->failed = 1;
		return;
	}
	memcpy(emitter->room + emitter->at, bytes, count);
	emitter->at += count;
}

static void emit_u32(struct emitter *emitter, uint32_t value)
{
	emit(emitter, &value, sizeof(value));
}

/* What leads from an address to another in 32 bits. */
static void emit_distance(struct emitter *emitter, uint64_t from, uint64_t to)
{
	int64_t distance = (int64_t)(to - from);

	if (distance != (int32_t)distance)
		emitter->failed = 1;
	emit_u32(emitter, (uint32_t)distance);
}

/* An opcode followed by the 32-bit distance to target. */
static void emit_relative(struct emitter *emitter, const char *opcode, size_t count,
			  uint64_t target)
{
	emit(emitter, opcode, count);
	emit_distance(emitter, emitter->address + emitter->at + 4, target);
}

static void emit_jump(struct emitter *emitter, uint64_t target)
{
	if (!emitter->is_far) {
		emit_relative(emitter, "\xe9", 1, target);
		return;
	}
	emit(emitter, "\xff\x25\0\0\0\0", 6); /* jmp *0(%rip) */
	emit(emitter, &target, sizeof(target));
}

#define FAR_JUMP_BYTES 14

static void emit_conditional_jump(struct emitter *emitter, unsigned int condition, uint64_t target)
{
	const uint8_t near[] = {0x0f, (uint8_t)(0x80 | condition)};
	/* Over the far jump, on the opposite condition. */
	const uint8_t far[] = {(uint8_t)(0x70 | (condition ^ 1)), FAR_JUMP_BYTES};

	if (emitter->is_far) {
		emit(emitter, far, sizeof(far));
		emit_jump(emitter, target);
	} else {
		emit_relative(emitter, (const char *)near, sizeof(near), target);
	}
}

/* As it is, but what is relative to its end (4 bytes at displacement; 0: nothing). */
static void emit_copy(struct emitter *emitter, const uint8_t *code, size_t length,
		      size_t displacement, uint64_t from)
{
	uint64_t end = emitter->address + emitter->at + length;
	int32_t distance;

	if (!displacement) {
		emit(emitter, code, length);
		return;
	}
	memcpy(&distance, code + displacement, sizeof(distance));
	emit(emitter, code, displacement);
	emit_distance(emitter, end, from + length + (uint64_t)(int64_t)distance);
	emit(emitter, code + displacement + 4, length - displacement - 4);
}

/* What a call pushes. Neither instruction changes a register or a flag. */
static void emit_push(struct emitter *emitter, uint64_t value)
{
	emit(emitter, "\x68", 1); /* push $low, sign-extended */
	emit_u32(emitter, (uint32_t)value);
	emit(emitter, "\xc7\x44\x24\x04", 4); /* movl $high, 4(%rsp) */
	emit_u32(emitter, (uint32_t)(value >> 32));
}

/* ff /2 and ff /4, an indirect call or jump. */
struct indirect {
	size_t modrm; /* offset */
	int is_register, is_relative;
};

static int parse_indirect(const uint8_t *code, size_t length, struct indirect *indirect_ret)
{
	size_t at = (code[0] & 0xf0) == 0x40;

	if (at + 2 > length || code[at] != 0xff)
		return 0;
	indirect_ret->modrm = at + 1;
	indirect_ret->is_register = code[at + 1] >= 0xc0;
	indirect_ret->is_relative = (code[at + 1] & 0xc7) == 0x05;
	/* The stack pointer has changed by the time that it would be called. */
	return !indirect_ret->is_register || at || (code[at + 1] & 7) != 4;
}

/* Another instruction of those with the opcode ff. */
static void set_operation(uint8_t *modrm, unsigned int operation)
{
	*modrm = (uint8_t)((*modrm & 0xc7) | operation << 3);
}

static int displace_call(struct emitter *emitter, const uint8_t *code, uint64_t from,
			 const struct bh_operation *operation, uint64_t slot)
{
	uint8_t other[INSTRUCTION_MAX];
	struct indirect indirect;

	if (operation->is_direct && code[0] == 0xe8) {
		emit_push(emitter, from + operation->length);
		emit_jump(emitter, operation->target);
		return 1;
	}
	if (operation->is_direct || !parse_indirect(code, operation->length, &indirect))
		return 0;
	memcpy(other, code, operation->length);
	if (indirect.is_register) {
		set_operation(&other[indirect.modrm], 4); /* jmp */
		emit_push(emitter, from + operation->length);
		emit(emitter, other, operation->length);
		return 1;
	}
	/*
	 * The target is read first, as the call does: if that faults, nothing has changed yet. For
	 * a moment it lies where the return address will.
	 */
	set_operation(&other[indirect.modrm], 6); /* push */
	emit_copy(emitter, other, operation->length, indirect.is_relative ? indirect.modrm + 1 : 0,
		  from);
	emit_relative(emitter, "\x8f\x05", 2, slot); /* pop slot */
	emit_push(emitter, from + operation->length);
	emit_relative(emitter, "\xff\x25", 2, slot); /* jmp *slot */
	return 1;
}

static int displace_jump(struct emitter *emitter, const uint8_t *code, uint64_t from,
			 const struct bh_operation *operation)
{
	struct indirect indirect;

	if (operation->is_direct) {
		emit_jump(emitter, operation->target);
		return 1;
	}
	if (!parse_indirect(code, operation->length, &indirect))
		return 0;
	emit_copy(emitter, code, operation->length, indirect.is_relative ? indirect.modrm + 1 : 0,
		  from);
	return 1;
}

static int has_address_size_prefix(const uint8_t *code, size_t length)
{
	for (size_t i = 0; i + 1 < length; i++) {
		if (code[i] == 0x67)
			return 1;
		if (code[i] != 0x66 && code[i] != 0xf0 && code[i] != 0xf2 && code[i] != 0xf3)
			break;
	}
	return 0;
}

static int displace_other(struct emitter *emitter, struct bh_disassembler *disassembler,
			  const uint8_t *code, uint64_t from, size_t length)
{
	struct bh_instruction instruction;
	size_t unused;

	if (!bh_disassembler_decode(disassembler, code, length, &instruction) ||
	    !instruction.is_movable || has_address_size_prefix(code, length) ||
	    bh_instruction_classify(code, length, &unused) != BH_INSTRUCTION_PLAIN)
		return 0;
	if (instruction.is_jump) {
		emit_conditional_jump(emitter, instruction.condition,
				      from + length + (uint64_t)instruction.distance);
	} else {
		emit_copy(emitter, code, length, instruction.displacement, from);
	}
	return 1;
}

static int displace_one(struct emitter *emitter, struct bh_disassembler *disassembler,
			const uint8_t *code, uint64_t from, const struct bh_operation *operation,
			uint64_t slot)
{
	switch (operation->kind) {
	case BH_OPERATION_TRAP:
		return 0;
	case BH_OPERATION_RETURN:
		if (code[0] != 0xc3 && code[0] != 0xc2)
			return 0;
		emit(emitter, code, operation->length);
		return 1;
	case BH_OPERATION_CALL:
		return displace_call(emitter, code, from, operation, slot);
	case BH_OPERATION_JUMP:
		return displace_jump(emitter, code, from, operation);
	default:
		return displace_other(emitter, disassembler, code, from, operation->length);
	}
}

int bh_displace(struct bh_disassembler *disassembler, const struct bh_displace_request *request,
		struct bh_displaced *displaced_ret)
{
	struct emitter emitter = {request->room,   0, request->capacity, request->to,
				  request->is_far, 0};
	struct bh_displaced displaced = {
		.from = request->from, .to = request->to, .window = (uint8_t)request->window};
	struct bh_operation operation;
	int has_ended = 0;

	for (size_t at = 0; at < request->window && !has_ended; at += operation.length) {
		const uint8_t *code = request->code + at;
		uint64_t from = request->from + at;
		if (displaced.count == BH_DISPLACED_MAX ||
		    !bh_disassembler_operation(disassembler, code, INSTRUCTION_MAX, from,
					       &operation))
			return 0;
		displaced.original[displaced.count] = (uint8_t)at;
		displaced.moved[displaced.count++] = (uint8_t)emitter.at;
		if (!displace_one(&emitter, disassembler, code, from, &operation, request->slot))
			return 0;
		has_ended = operation.kind == BH_OPERATION_CALL ||
			    operation.kind == BH_OPERATION_JUMP ||
			    operation.kind == BH_OPERATION_RETURN;
		/* Behind a call the window ends: the callee returns to what isn't overwritten. */
		if (operation.kind == BH_OPERATION_CALL && at + operation.length < request->window)
			return 0;
	}
	if (!has_ended)
		emit_jump(&emitter, request->from + request->window);
	displaced.size = (uint8_t)emitter.at;
	if (emitter.failed)
		return 0;
	*displaced_ret = displaced;
	return 1;
}

uint64_t bh_displaced_address(const struct bh_displaced *displaced, uint64_t address)
{
	for (unsigned int i = 0; i < displaced->count; i++)
		if (address == displaced->from + displaced->original[i])
			return displaced->to + displaced->moved[i];
	return 0;
}

uint64_t bh_displaced_origin(const struct bh_displaced *displaced, uint64_t address,
			     uint64_t *pushed_ret)
{
	uint64_t offset = address - displaced->to;
	unsigned int last = displaced->count;

	if (offset >= displaced->size)
		return 0;
	while (last && displaced->moved[last - 1] > offset)
		last--;
	if (!last)
		return 0;
	/* Of what has more than one instruction now, only a call can still fail in a later one: the
	 * last, if no code can be at its target. */
	*pushed_ret = displaced->moved[last - 1] == offset ? 0 : 8;
	return displaced->from + displaced->original[last - 1];
}

int bh_is_filler(const uint8_t *code, size_t length)
{
	size_t at = 0;

	while (at + 1 < length && (code[at] == 0x66 || code[at] == 0x2e))
		at++;
	return code[at] == 0x90 || code[at] == 0xcc ||
	       (at + 1 < length && code[at] == 0x0f && code[at + 1] == 0x1f);
}
