/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where instructions of a program's text begin, and which of them can make room for a jump before a
 * system call. Called by code_sites.c.
 *
 * A window is the instructions right before a "syscall", as few as have room for a jump of five
 * bytes. They move to the stub, so nothing may jump into their middle. Every place that could be a
 * direct jump is looked at, whether it is an instruction or not; in a function that jumps through
 * registers, where a table might lead anywhere, a window has one instruction, which has no middle.
 */
#include <stdlib.h>
#include <string.h>

#include "common/disassemble.h"
#include "posix/code_windows.h"

#define JUMP_LENGTH   5u
#define REMEMBERED    8u  /* instructions before the one that the sweep has come to */
#define COPY_MAX      50u /* of a stub */
#define CONDITION_MAX 6u  /* a conditional jump with a distance of 4 bytes */

struct bh_sweep {
	const struct bh_elf *elf;
	const struct bh_elf_segment *segment;
	const uint8_t *file;
	struct bh_disassembler *disassembler;
	uint64_t at;		     /* how far it has come, an offset in the file */
	uint64_t starts[REMEMBERED]; /* of the last instructions; a ring */
	unsigned int count;	     /* since the function's start */
	struct bh_window *windows;
	size_t window_count, window_capacity;
	int is_chosen;
};

struct bh_sweep *bh_sweep_create(const struct bh_elf *elf, const struct bh_elf_segment *segment,
				 const uint8_t *file)
{
	struct bh_sweep *sweep = calloc(1, sizeof(*sweep));

	if (!sweep)
		return NULL;
	sweep->disassembler = bh_disassembler_create();
	if (!sweep->disassembler) {
		free(sweep);
		return NULL;
	}
	sweep->elf = elf;
	sweep->segment = segment;
	sweep->file = file;
	return sweep;
}

void bh_sweep_destroy(struct bh_sweep *sweep)
{
	if (!sweep)
		return;
	bh_disassembler_destroy(sweep->disassembler);
	free(sweep->windows);
	free(sweep);
}

/* --- where instructions begin --- */

static int32_t read_i32(const uint8_t *bytes)
{
	int32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* .eh_frame_hdr: version 1, then the encodings of the frame pointer, the count and the table; with
 * these, which all linkers use, the table is pairs of 32-bit offsets, sorted by function. */
#define EH_VERSION	 1
#define EH_POINTER_PCREL 0x1b
#define EH_COUNT_UDATA4	 0x03
#define EH_TABLE_DATAREL 0x3b
#define EH_TABLE_OFFSET	 12

/* Address of the function that holds address, by the unwind table; 0 if it isn't known. */
static uint64_t function_start(const struct bh_elf *elf, const uint8_t *file, uint64_t address)
{
	const uint8_t *table = file + elf->frame_table;
	uint64_t low = 0, high;

	if (elf->frame_table_size < EH_TABLE_OFFSET || table[0] != EH_VERSION ||
	    table[1] != EH_POINTER_PCREL || table[2] != EH_COUNT_UDATA4 ||
	    table[3] != EH_TABLE_DATAREL)
		return 0;
	high = (uint32_t)read_i32(table + 8);
	if (high > (elf->frame_table_size - EH_TABLE_OFFSET) / 8)
		return 0;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int64_t start = read_i32(table + EH_TABLE_OFFSET + middle * 8);

		if (elf->frame_table_address + (uint64_t)start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return 0;
	return elf->frame_table_address +
	       (uint64_t)(int64_t)read_i32(table + EH_TABLE_OFFSET + (low - 1) * 8);
}

/* Compilers with unwind tables of another make (Go's) and none for these fill what is left before
 * the next function with int3. */
#define INT3	     0xcc
#define FUNCTION_PAD 3u
#define FUNCTION_SPAN                                                                              \
	65536u /* the table's answer for a place farther off is for another function */

static uint64_t start_by_padding(const struct bh_elf_segment *segment, const uint8_t *file,
				 uint64_t offset)
{
	uint64_t at = offset & ~15ull;

	for (; at >= segment->offset + FUNCTION_PAD; at -= 16)
		if (file[at - 1] == INT3 && file[at - 2] == INT3 && file[at - 3] == INT3)
			return at;
	return segment->offset;
}

/* Where a sweep that is to meet offset begins: an offset in the file. */
static uint64_t sweep_start(const struct bh_elf *elf, const struct bh_elf_segment *segment,
			    const uint8_t *file, uint64_t offset)
{
	uint64_t address = segment->address + (offset - segment->offset);
	uint64_t start = function_start(elf, file, address);

	if (start < segment->address || start > address || address - start > FUNCTION_SPAN)
		return start_by_padding(segment, file, offset);
	return segment->offset + (start - segment->address);
}

int bh_sweep_is_instruction(struct bh_sweep *sweep, uint64_t offset)
{
	uint64_t start = sweep_start(sweep->elf, sweep->segment, sweep->file, offset);
	uint64_t end = sweep->segment->offset + sweep->segment->file_size;

	if (sweep->at < start || sweep->at > offset) {
		sweep->at = start;
		sweep->count = 0;
	}
	while (sweep->at < offset) {
		size_t length = bh_disassembler_length(sweep->disassembler, sweep->file + sweep->at,
						       end - sweep->at);

		/* Bytes that are no instruction are data between functions. */
		sweep->starts[sweep->count++ % REMEMBERED] = sweep->at;
		sweep->at += length ? length : 1;
	}
	return sweep->at == offset;
}

/* --- windows --- */

/* Is there an indirect jump through a register in the function around call? (ff /4, mod 3) */
static int has_table(const struct bh_sweep *sweep, uint64_t call)
{
	const struct bh_elf_segment *segment = sweep->segment;
	uint64_t start = sweep_start(sweep->elf, segment, sweep->file, call);
	uint64_t end = segment->offset + segment->file_size;

	for (uint64_t at = start; at + 1 < end; at++) {
		/* The next function, as the unwind table says, or far enough. */
		if ((at > call && !(at & 15) &&
		     sweep_start(sweep->elf, segment, sweep->file, at) != start) ||
		    at > call + 65536)
			break;
		if (sweep->file[at] == 0xff && (sweep->file[at + 1] & 0xf8) == 0xe0)
			return 1;
	}
	return 0;
}

/* Do the window's instructions have copies that do the same elsewhere? */
static int decode(struct bh_sweep *sweep, struct bh_window *window)
{
	size_t copy = 0;

	for (uint64_t at = window->start; at < window->call;) {
		struct bh_instruction *instruction = &window->instructions[window->count];

		if (window->count == BH_WINDOW_MAX ||
		    !bh_disassembler_decode(sweep->disassembler, sweep->file + at,
					    window->call - at, instruction) ||
		    !instruction->is_movable)
			return 0;
		window->count++;
		at += instruction->length;
		copy += instruction->is_jump ? CONDITION_MAX : instruction->length;
	}
	return copy <= COPY_MAX;
}

/*
 * mov $15, %rax; syscall: the end of a handler, which debuggers and unwinders know by its bytes.
 * And what the unwind table calls its start isn't one.
 */
static int is_restorer(const struct bh_sweep *sweep, uint64_t call)
{
	static const uint8_t bytes[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0};

	return call - sweep->segment->offset >= sizeof(bytes) &&
	       !memcmp(sweep->file + call - sizeof(bytes), bytes, sizeof(bytes));
}

static int add_window(struct bh_sweep *sweep, const struct bh_window *window)
{
	if (sweep->window_count == sweep->window_capacity) {
		size_t capacity = sweep->window_capacity ? sweep->window_capacity * 2 : 64;
		struct bh_window *windows = realloc(sweep->windows, capacity * sizeof(*windows));

		if (!windows)
			return 0;
		sweep->windows = windows;
		sweep->window_capacity = capacity;
	}
	sweep->windows[sweep->window_count++] = *window;
	return 1;
}

void bh_sweep_add_call(struct bh_sweep *sweep, uint64_t call)
{
	struct bh_window window = {.call = call};
	unsigned int back = 0;

	if (is_restorer(sweep, call) || !bh_sweep_is_instruction(sweep, call))
		return;
	do {
		if (++back > REMEMBERED || back > sweep->count)
			return;
		window.start = sweep->starts[(sweep->count - back) % REMEMBERED];
	} while (call - window.start < JUMP_LENGTH);
	if (back > 1 && has_table(sweep, call))
		return;
	if (decode(sweep, &window))
		add_window(sweep, &window);
}

/* --- jumps into windows --- */

static struct bh_window *window_around(struct bh_sweep *sweep, uint64_t target)
{
	size_t low = 0, high = sweep->window_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sweep->windows[middle].call <= target)
			low = middle + 1;
		else
			high = middle;
	}
	return low < sweep->window_count && target > sweep->windows[low].start
		       ? &sweep->windows[low]
		       : NULL;
}

/* What seems to lead elsewhere is no jump. */
static int is_boundary(const struct bh_window *window, uint64_t target)
{
	uint64_t at = window->start;

	for (unsigned int i = 0; i < window->count && at < target; i++)
		at += window->instructions[i].length;
	return at == target;
}

static void drop_if_hit(struct bh_sweep *sweep, uint64_t target)
{
	struct bh_window *window;

	if (target <= sweep->windows[0].start ||
	    target >= sweep->windows[sweep->window_count - 1].call)
		return;
	window = window_around(sweep, target);
	if (window && is_boundary(window, target))
		window->is_jumped_into = 1;
}

static void look_at_far_jumps(struct bh_sweep *sweep)
{
	uint64_t end = sweep->segment->offset + sweep->segment->file_size;

	for (uint64_t at = sweep->segment->offset; at + 5 <= end; at++) {
		const uint8_t *code = sweep->file + at;
		int32_t distance;

		/* e8 and e9, and what ends a 0f 80..8f. */
		if ((code[0] & 0xfe) != 0xe8 && (code[0] & 0xf0) != 0x80)
			continue;
		memcpy(&distance, code + 1, sizeof(distance));
		drop_if_hit(sweep, at + 5 + (uint64_t)(int64_t)distance);
	}
}

/* 70..7f, eb, e0..e3, near enough to reach it. */
static void look_at_near_jumps(struct bh_sweep *sweep, const struct bh_window *window)
{
	uint64_t end = sweep->segment->offset + sweep->segment->file_size;
	uint64_t at = window->start - sweep->segment->offset > 130 ? window->start - 130
								   : sweep->segment->offset;

	for (; at < window->call + 130 && at + 2 <= end; at++) {
		uint8_t code = sweep->file[at];

		if ((code & 0xf0) == 0x70 || code == 0xeb || (code & 0xfc) == 0xe0)
			drop_if_hit(sweep, at + 2 + (uint64_t)(int64_t)(int8_t)sweep->file[at + 1]);
	}
}

size_t bh_sweep_choose_windows(struct bh_sweep *sweep)
{
	size_t kept = 0;

	if (sweep->is_chosen || !sweep->window_count)
		return sweep->window_count;
	look_at_far_jumps(sweep);
	for (size_t i = 0; i < sweep->window_count; i++)
		look_at_near_jumps(sweep, &sweep->windows[i]);
	for (size_t i = 0; i < sweep->window_count; i++) {
		const struct bh_window *window = &sweep->windows[i];

		/* Two calls close together could share what comes before. */
		if (!window->is_jumped_into &&
		    (i == 0 || sweep->windows[i - 1].call + 2 <= window->start))
			sweep->windows[kept++] = *window;
	}
	sweep->window_count = kept;
	sweep->is_chosen = 1;
	return kept;
}

const struct bh_window *bh_sweep_window(const struct bh_sweep *sweep, size_t index)
{
	return &sweep->windows[index];
}

/* --- copies --- */

static void write_distance(uint8_t *to, int64_t distance)
{
	int32_t value = (int32_t)distance;

	memcpy(to, &value, sizeof(value));
}

size_t bh_window_copy(uint8_t *to, const uint8_t *from, const struct bh_window *window)
{
	uint8_t *start = to;

	for (unsigned int i = 0; i < window->count; i++) {
		const struct bh_instruction *instruction = &window->instructions[i];
		size_t length = instruction->length, place = instruction->displacement;
		int32_t displacement;

		if (instruction->is_jump) {
			to[0] = 0x0f;
			to[1] = 0x80 | instruction->condition;
			write_distance(to + 2, from + length + instruction->distance -
						       (to + CONDITION_MAX));
			to += CONDITION_MAX;
		} else {
			memcpy(to, from, length);
			memcpy(&displacement, from + place, sizeof(displacement));
			if (place)
				write_distance(to + place, displacement + (from - to));
			to += length;
		}
		from += length;
	}
	return (size_t)(to - start);
}
