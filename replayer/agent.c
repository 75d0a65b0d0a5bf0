/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gdb's agent expressions, see agent.h. Used by replayer/gdb_server_breakpoint.c, and by probe.c in
 * the middle of a replayed kernel: so it uses no vector registers and calls nobody. */
#include "replayer/agent.h"

/* Numbers from the gdb manual, "Bytecode Descriptions". Floating point, tracing, trace state
 * variables and printf have opcodes too, but gdb doesn't put them into conditions. */
enum opcode {
	OP_ADD = 0x02,
	OP_SUB = 0x03,
	OP_MUL = 0x04,
	OP_DIV_SIGNED = 0x05,
	OP_DIV_UNSIGNED = 0x06,
	OP_REM_SIGNED = 0x07,
	OP_REM_UNSIGNED = 0x08,
	OP_LSH = 0x09,
	OP_RSH_SIGNED = 0x0a,
	OP_RSH_UNSIGNED = 0x0b,
	OP_LOG_NOT = 0x0e,
	OP_BIT_AND = 0x0f,
	OP_BIT_OR = 0x10,
	OP_BIT_XOR = 0x11,
	OP_BIT_NOT = 0x12,
	OP_EQUAL = 0x13,
	OP_LESS_SIGNED = 0x14,
	OP_LESS_UNSIGNED = 0x15,
	OP_EXT = 0x16,
	OP_REF8 = 0x17,
	OP_REF16 = 0x18,
	OP_REF32 = 0x19,
	OP_REF64 = 0x1a,
	OP_IF_GOTO = 0x20,
	OP_GOTO = 0x21,
	OP_CONST8 = 0x22,
	OP_CONST16 = 0x23,
	OP_CONST32 = 0x24,
	OP_CONST64 = 0x25,
	OP_REG = 0x26,
	OP_END = 0x27,
	OP_DUP = 0x28,
	OP_POP = 0x29,
	OP_ZERO_EXT = 0x2a,
	OP_SWAP = 0x2b,
	OP_PICK = 0x32,
	OP_ROT = 0x33,
};

struct machine {
	const uint8_t *code;
	size_t length, pc;
	const struct bh_agent_source *source;
	uint64_t stack[BH_AGENT_MAX_STACK];
	size_t depth;
	enum bh_agent_status status;
};

/* The first failure stays. */
static void fail(struct machine *machine, enum bh_agent_status status)
{
	if (!machine->status)
		machine->status = status;
}

static void push(struct machine *machine, uint64_t value)
{
	if (machine->depth >= BH_AGENT_MAX_STACK)
		fail(machine, BH_AGENT_STACK);
	else
		machine->stack[machine->depth++] = value;
}

static uint64_t pop(struct machine *machine)
{
	if (machine->depth == 0) {
		fail(machine, BH_AGENT_STACK);
		return 0;
	}
	return machine->stack[--machine->depth];
}

/* An operand of the instruction, big-endian. */
static uint64_t operand(struct machine *machine, size_t size)
{
	uint64_t value = 0;

	if (machine->length - machine->pc < size) {
		fail(machine, BH_AGENT_TRUNCATED);
		return 0;
	}
	while (size--)
		value = value << 8 | machine->code[machine->pc++];
	return value;
}

static uint64_t extend(uint64_t value, unsigned int bits, int is_signed)
{
	unsigned int shift;

	/* gdb encodes a width that doesn't fit as 0 (PR 18617): nothing to cut off either way. */
	if (bits == 0 || bits >= 64)
		return value;
	shift = 64 - bits;
	value <<= shift;
	return is_signed ? (uint64_t)((int64_t)value >> shift) : value >> shift;
}

static uint64_t divide(struct machine *machine, unsigned int opcode, uint64_t a, uint64_t b)
{
	if (b == 0) {
		fail(machine, BH_AGENT_DIVISION);
		return 0;
	}
	switch (opcode) {
	case OP_DIV_UNSIGNED:
		return a / b;
	case OP_REM_UNSIGNED:
		return a % b;
	case OP_DIV_SIGNED: /* by -1 apart: the most negative number would trap */
		return (int64_t)b == -1 ? 0 - a : (uint64_t)((int64_t)a / (int64_t)b);
	default:
		return (int64_t)b == -1 ? 0 : (uint64_t)((int64_t)a % (int64_t)b);
	}
}

static uint64_t shift(unsigned int opcode, uint64_t a, uint64_t b)
{
	if (b >= 64)
		return opcode == OP_RSH_SIGNED && (int64_t)a < 0 ? UINT64_MAX : 0;
	if (opcode == OP_LSH)
		return a << b;
	return opcode == OP_RSH_SIGNED ? (uint64_t)((int64_t)a >> b) : a >> b;
}

static void binary(struct machine *machine, unsigned int opcode)
{
	uint64_t b = pop(machine), a = pop(machine), value = 0;

	switch (opcode) {
	case OP_ADD:
		value = a + b;
		break;
	case OP_SUB:
		value = a - b;
		break;
	case OP_MUL:
		value = a * b;
		break;
	case OP_BIT_AND:
		value = a & b;
		break;
	case OP_BIT_OR:
		value = a | b;
		break;
	case OP_BIT_XOR:
		value = a ^ b;
		break;
	case OP_EQUAL:
		value = a == b;
		break;
	case OP_LESS_SIGNED:
		value = (int64_t)a < (int64_t)b;
		break;
	case OP_LESS_UNSIGNED:
		value = a < b;
		break;
	case OP_LSH:
	case OP_RSH_SIGNED:
	case OP_RSH_UNSIGNED:
		value = shift(opcode, a, b);
		break;
	default:
		value = divide(machine, opcode, a, b);
	}
	push(machine, value);
}

static void read_memory(struct machine *machine, size_t size)
{
	uint64_t address = pop(machine), value = 0;
	uint8_t bytes[8];

	if (machine->status)
		return;
	if (machine->source->read_memory(machine->source->arg, address, bytes, size)) {
		fail(machine, BH_AGENT_MEMORY);
		return;
	}
	while (size--)
		value = value << 8 | bytes[size];
	push(machine, value);
}

static void read_register(struct machine *machine)
{
	unsigned int number = (unsigned int)operand(machine, 2);
	uint64_t value = 0;

	if (machine->status)
		return;
	if (machine->source->read_register(machine->source->arg, number, &value))
		fail(machine, BH_AGENT_REGISTER);
	else
		push(machine, value);
}

static void jump(struct machine *machine, int is_taken)
{
	size_t target = operand(machine, 2);

	if (!is_taken || machine->status)
		return;
	if (target >= machine->length)
		fail(machine, BH_AGENT_TRUNCATED);
	else
		machine->pc = target;
}

static void arrange_stack(struct machine *machine, unsigned int opcode)
{
	uint64_t a, b, c;
	size_t index;

	switch (opcode) {
	case OP_SWAP:
		b = pop(machine), a = pop(machine);
		push(machine, b), push(machine, a);
		break;
	case OP_ROT: /* a b c -> c a b */
		c = pop(machine), b = pop(machine), a = pop(machine);
		push(machine, c), push(machine, a), push(machine, b);
		break;
	default: /* OP_DUP is OP_PICK 0 */
		index = opcode == OP_PICK ? operand(machine, 1) : 0;
		if (index >= machine->depth)
			fail(machine, BH_AGENT_STACK);
		else
			push(machine, machine->stack[machine->depth - 1 - index]);
	}
}

static void run(struct machine *machine, unsigned int opcode)
{
	switch (opcode) {
	case OP_LOG_NOT:
		push(machine, !pop(machine));
		break;
	case OP_BIT_NOT:
		push(machine, ~pop(machine));
		break;
	case OP_EXT:
	case OP_ZERO_EXT:
		push(machine,
		     extend(pop(machine), (unsigned int)operand(machine, 1), opcode == OP_EXT));
		break;
	case OP_REF8:
	case OP_REF16:
	case OP_REF32:
	case OP_REF64:
		read_memory(machine, (size_t)1 << (opcode - OP_REF8));
		break;
	case OP_IF_GOTO:
		jump(machine, pop(machine) != 0);
		break;
	case OP_GOTO:
		jump(machine, 1);
		break;
	case OP_CONST8:
	case OP_CONST16:
	case OP_CONST32:
	case OP_CONST64:
		push(machine, operand(machine, (size_t)1 << (opcode - OP_CONST8)));
		break;
	case OP_REG:
		read_register(machine);
		break;
	case OP_POP:
		pop(machine);
		break;
	case OP_DUP:
	case OP_SWAP:
	case OP_PICK:
	case OP_ROT:
		arrange_stack(machine, opcode);
		break;
	default:
		if ((opcode >= OP_ADD && opcode <= OP_RSH_UNSIGNED) ||
		    (opcode >= OP_BIT_AND && opcode <= OP_LESS_UNSIGNED && opcode != OP_BIT_NOT))
			binary(machine, opcode);
		else
			fail(machine, BH_AGENT_BAD_OPCODE);
	}
}

enum bh_agent_status bh_agent_evaluate(const uint8_t *code, size_t length,
				       const struct bh_agent_source *source, uint64_t *value_ret)
{
	struct machine machine;

	/* Field by field: the stack need not be cleared, which would need the C library. */
	machine.code = code;
	machine.length = length;
	machine.pc = 0;
	machine.source = source;
	machine.depth = 0;
	machine.status = BH_AGENT_OK;

	for (unsigned int steps = 0; !machine.status; steps++) {
		unsigned int opcode = (unsigned int)operand(&machine, 1);

		if (machine.status)
			break;
		if (steps >= BH_AGENT_MAX_STEPS) {
			fail(&machine, BH_AGENT_ENDLESS);
		} else if (opcode == OP_END) {
			uint64_t value = pop(&machine);

			if (!machine.status)
				*value_ret = value;
			return machine.status;
		} else {
			run(&machine, opcode);
		}
	}
	return machine.status;
}
