/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many instructions of a program at once, counted all the same. Between two ticks a program may
 * compute for millions of instructions; stepping each costs 20 microseconds. What lies between two
 * jumps is a block whose instructions are known from its bytes: it runs freely to an int3 at its
 * end, and the conditional jump there is worked out here. Called by seek.c and search.c by way of
 * bh_timeline_step_while().
 */
#include <stdlib.h>
#include <string.h>

#include "common/disassemble.h"
#include "replayer/copy.h"
#include "replayer/copy_internal.h"
#include "replayer/instruction.h"

#define BLOCK_BYTES	   160
#define BLOCK_INSTRUCTIONS 40
#define BLOCKS		   1024 /* remembered; a power of two */
/* A run costs less than two single steps. */
#define WORTH_RUNNING 2

struct block {
	uint64_t address;
	uint8_t bytes[BLOCK_BYTES];
	size_t size;			    /* of what the instructions and the jump take */
	unsigned int count;		    /* plain instructions */
	uint8_t at[BLOCK_INSTRUCTIONS + 1]; /* where they are, and what is behind them */
	int ends_in_jump;		    /* a conditional one */
	struct bh_instruction jump;
};

struct bh_blocks {
	struct bh_disassembler *disassembler;
	int (*is_program)(uint64_t address);
	struct block blocks[BLOCKS];
};

struct bh_error *bh_blocks_create(int (*is_program)(uint64_t address),
				  struct bh_blocks **blocks_ret)
{
	struct bh_blocks *blocks = calloc(1, sizeof(*blocks));

	if (blocks)
		blocks->disassembler = bh_disassembler_create();
	if (!blocks || !blocks->disassembler) {
		free(blocks);
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	blocks->is_program = is_program;
	*blocks_ret = blocks;
	return NULL;
}

void bh_blocks_destroy(struct bh_blocks *blocks)
{
	if (!blocks)
		return;
	bh_disassembler_destroy(blocks->disassembler);
	free(blocks);
}

int bh_blocks_is_program(const struct bh_blocks *blocks, uint64_t address)
{
	return blocks && blocks->is_program && blocks->is_program(address);
}

static void decode(struct bh_blocks *blocks, struct block *block, size_t available)
{
	struct bh_instruction instruction;
	size_t offset = 0, length;

	block->count = 0;
	block->ends_in_jump = 0;
	/* The int3 needs a byte behind the last instruction. */
	while (block->count < BLOCK_INSTRUCTIONS && offset < available) {
		const uint8_t *bytes = block->bytes + offset;
		if (!bh_disassembler_decode(blocks->disassembler, bytes, available - offset,
					    &instruction) ||
		    bh_instruction_classify(bytes, available - offset, &length) !=
			    BH_INSTRUCTION_PLAIN)
			break;
		if (instruction.is_jump) {
			block->ends_in_jump = 1;
			block->jump = instruction;
			break;
		}
		if (!instruction.is_movable || offset + instruction.length >= available)
			break;
		block->at[block->count++] = (uint8_t)offset;
		offset += instruction.length;
	}
	block->at[block->count] = (uint8_t)offset;
	block->size = offset + 1;
	if (block->ends_in_jump)
		block->size = offset + block->jump.length;
}

/* The block at address, as its bytes are now; NULL if it can't be read. */
static const struct block *find(struct bh_blocks *blocks, struct bh_copy *copy, uint64_t address)
{
	struct block *block = &blocks->blocks[(address ^ address >> 10) % BLOCKS];
	uint8_t bytes[BLOCK_BYTES];
	size_t available = bh_tracee_read(copy->tracee, address, bytes, sizeof(bytes));

	if (block->address == address && block->size && block->size <= available &&
	    !memcmp(block->bytes, bytes, block->size))
		return block;
	if (!available)
		return NULL;
	memcpy(block->bytes, bytes, available);
	block->address = address;
	decode(blocks, block, available);
	return block;
}

static int is_taken(uint64_t flags, unsigned int condition)
{
	int carry = flags & 1, parity = flags >> 2 & 1, zero = flags >> 6 & 1;
	int sign = flags >> 7 & 1, overflow = flags >> 11 & 1, is_true = 0;

	switch (condition >> 1) {
	case 0:
		is_true = overflow;
		break;
	case 1:
		is_true = carry;
		break;
	case 2:
		is_true = zero;
		break;
	case 3:
		is_true = carry || zero;
		break;
	case 4:
		is_true = sign;
		break;
	case 5:
		is_true = parity;
		break;
	case 6:
		is_true = sign != overflow;
		break;
	case 7:
		is_true = zero || sign != overflow;
		break;
	}
	return is_true != (int)(condition & 1);
}

static void jump(struct bh_copy *copy, const struct block *block)
{
	uint64_t next = block->address + block->at[block->count] + block->jump.length;

	if (is_taken(bh_copy_registers(copy)->eflags, block->jump.condition))
		next += (uint64_t)block->jump.distance;
	bh_copy_set_pc(copy, next);
	copy->position.instruction++;
}

/* How many of the block's instructions are behind the stopped copy. */
static unsigned int count_done(const struct block *block, uint64_t pc)
{
	unsigned int done = 0;

	while (done < block->count && block->address + block->at[done] != pc)
		done++;
	return done;
}

/* Runs the first instructions of the block, at most wanted: a fault or a watchpoint ends it. */
static struct bh_error *run(struct bh_copy *copy, const struct block *block, unsigned int wanted,
			    struct bh_end *end)
{
	uint64_t stop = block->address + block->at[wanted];
	struct bh_wait wait;
	int is_alive = 1;

	if (bh_tracee_poke(copy->tracee, stop, BH_INT3))
		return bh_error_new(BH_ERR_INTERNAL, "cannot stop the program at %#lx", stop);
	struct bh_error *error = bh_tracee_resume(copy->tracee, 0, 0);
	if (!error)
		error = bh_tracee_wait(copy->tracee, -1, &wait);
	if (error)
		return error;
	if (wait.kind != BH_WAIT_GONE)
		bh_tracee_poke(copy->tracee, stop, block->bytes[block->at[wanted]]);
	end->kind = BH_END_STEP;
	if (wait.kind == BH_WAIT_TRAP) {
		end->watch_hits = bh_tracee_watch_hits(copy->tracee);
		if (bh_copy_pc(copy) == stop + 1)
			bh_copy_set_pc(copy, stop);
		copy->position.instruction += count_done(block, bh_copy_pc(copy));
		return NULL;
	}
	/* The instruction that raised the signal is one too, as bh_copy_step() has it. */
	if (wait.kind == BH_WAIT_SIGNAL)
		copy->position.instruction += count_done(block, bh_copy_pc(copy)) + 1;
	return bh_copy_deliver(copy, &wait, end, &is_alive);
}

struct bh_error *bh_copy_stride(struct bh_copy *copy, const struct bh_limits *limits,
				uint64_t budget, uint64_t address, struct bh_end *end_ret)
{
	struct bh_blocks *blocks = copy->space->blocks;
	uint64_t pc = bh_copy_pc(copy);
	const struct block *block = NULL;
	struct bh_end end = {.kind = BH_END_STEP, .ticks = copy->position.tick};
	unsigned int wanted;

	if (blocks && !copy->planted_count && blocks->is_program(pc))
		block = find(blocks, copy, pc);
	if (!block)
		return bh_copy_step(copy, limits, end_ret);
	wanted = block->count < budget ? block->count : (unsigned int)budget;
	for (unsigned int i = 1; i < wanted; i++) {
		if (pc + block->at[i] == address)
			wanted = i;
	}
	if (wanted < WORTH_RUNNING && (wanted || !block->ends_in_jump))
		return bh_copy_step(copy, limits, end_ret);
	uint64_t start = copy->position.instruction;
	BH_TRY(bh_copy_prepare_step(copy, limits));
	if (wanted)
		BH_TRY(run(copy, block, wanted, &end));
	uint64_t done = copy->position.instruction - start;
	if (end.kind == BH_END_STEP && !end.watch_hits && done == block->count &&
	    block->ends_in_jump && done < budget &&
	    bh_copy_pc(copy) == pc + block->at[block->count] &&
	    (!done || bh_copy_pc(copy) != address))
		jump(copy, block);
	copy->cost_ns += BH_STOP_NS;
	*end_ret = end;
	return NULL;
}
