/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where jumps lead in a kernel image: see code_map.h. */
#include "replayer/code_map.h"

#include <stdlib.h>
#include <string.h>

#include "replayer/displace.h"

/* What is known of a byte of a function. */
#define IS_START  1 /* of an instruction that is executed */
#define IS_INSIDE 2 /* of one, but not its first */
#define IS_TARGET 4 /* of a jump in the function */

#define FUNCTION_BYTES_MAX (1u << 18)
/* Instructions of a function that lie outside it, in what the compiler takes for cold. */
#define OUTSIDE_MAX	  8192
#define OUTSIDE_SLOTS	  (2 * OUTSIDE_MAX)
#define TABLE_ENTRIES_MAX 4096
#define LONGEST		  15

/* From its entry to that of the next. */
struct function {
	uint32_t start, end;
	int is_known; /* all jumps in it are */
	uint8_t *marks;
};

struct bh_code_map {
	struct bh_code_layout layout;
	struct bh_disassembler *disassembler;
	/* A bit a byte; NULL until they are needed. What may be a target, and what is told to be.
	 */
	uint8_t *targets, *told;
	struct function *functions;
	size_t function_count;
};

struct bh_error *bh_code_map_create(const struct bh_code_layout *layout,
				    struct bh_code_map **map_ret)
{
	struct bh_code_map *map = calloc(1, sizeof(*map));

	if (map)
		map->disassembler = bh_disassembler_create();
	if (!map || !map->disassembler) {
		free(map);
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	map->layout = *layout;
	*map_ret = map;
	return NULL;
}

void bh_code_map_destroy(struct bh_code_map *map)
{
	if (!map)
		return;
	for (size_t i = 0; i < map->function_count; i++)
		free(map->functions[i].marks);
	free(map->functions);
	free(map->targets);
	free(map->told);
	bh_disassembler_destroy(map->disassembler);
	free(map);
}

struct bh_disassembler *bh_code_map_disassembler(const struct bh_code_map *map)
{
	return map->disassembler;
}

static void add_bit(const struct bh_code_map *map, uint8_t *bits, uint64_t offset)
{
	if (offset < map->layout.size)
		bits[offset / 8] |= (uint8_t)(1u << offset % 8);
}

static int has_bit(const uint8_t *bits, uint64_t offset)
{
	return bits[offset / 8] >> offset % 8 & 1;
}

void bh_code_map_add_target(struct bh_code_map *map, uint64_t offset)
{
	add_bit(map, map->targets, offset);
	add_bit(map, map->told, offset);
}

static int32_t read_distance(const uint8_t *bytes)
{
	int32_t distance;

	memcpy(&distance, bytes, sizeof(distance));
	return distance;
}

/* Opcode bytes of a near call or jump, or of a lea that forms an address relative to its end: how
 * many come before the distance; 0: it is none. A prefix comes before them. */
static unsigned int opcode_length(const uint8_t *code)
{
	if ((code[0] & 0xfe) == 0xe8)
		return 1;
	if ((code[0] == 0x0f && (code[1] & 0xf0) == 0x80) ||
	    (code[0] == 0x8d && (code[1] & 0xc7) == 0x05))
		return 2;
	return 0;
}

/* Wherever there might be one. */
static void scan_text(struct bh_code_map *map)
{
	const uint8_t *text = map->layout.text;

	for (uint64_t at = 0; at + 6 <= map->layout.size; at++) {
		unsigned int length = opcode_length(text + at);
		if (length)
			add_bit(map, map->targets,
				at + length + 4 + (uint64_t)read_distance(text + at + length));
	}
}

static int find_targets(struct bh_code_map *map)
{
	if (map->targets && map->told)
		return 1;
	free(map->targets);
	map->targets = calloc(1, map->layout.size / 8 + 1);
	map->told = calloc(1, map->layout.size / 8 + 1);
	if (!map->targets || !map->told)
		return 0;
	scan_text(map);
	if (map->layout.tell_targets)
		map->layout.tell_targets(map->layout.arg, map);
	return 1;
}

/* Number of the first entry above offset. */
static size_t next_entry(const struct bh_code_map *map, uint64_t offset)
{
	size_t low = 0, high = map->layout.entry_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (map->layout.entries[middle] <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int is_entry(const struct bh_code_map *map, uint64_t offset)
{
	size_t next = next_entry(map, offset);

	return next && map->layout.entries[next - 1] == offset;
}

/* --- following a function --- */

struct walk {
	struct bh_code_map *map;
	struct function *function;
	uint32_t *todo;
	size_t todo_count, todo_capacity;
	uint32_t outside[OUTSIDE_SLOTS]; /* a hash table; 0 is free */
	size_t outside_count;
	int failed;
};

static int is_within(const struct walk *walk, uint64_t offset)
{
	return offset >= walk->function->start && offset < walk->function->end;
}

/* Notes that an instruction outside the function is one of its own. Returns 0 if it was known. */
static int visit_outside(struct walk *walk, uint32_t offset)
{
	size_t slot = offset * 2654435761u % OUTSIDE_SLOTS;

	while (walk->outside[slot] && walk->outside[slot] != offset)
		slot = (slot + 1) % OUTSIDE_SLOTS;
	if (walk->outside[slot])
		return 0;
	if (walk->outside_count == OUTSIDE_MAX) {
		walk->failed = 1;
		return 0;
	}
	walk->outside[slot] = offset;
	walk->outside_count++;
	return 1;
}

/* The same of one in the function, with its length. */
static int visit_inside(struct walk *walk, uint64_t offset, size_t length)
{
	uint8_t *marks = walk->function->marks + (offset - walk->function->start);

	if (marks[0] & IS_START)
		return 0;
	if (offset + length > walk->function->end) {
		walk->failed = 1;
		return 0;
	}
	/* One instruction in another: then it isn't what it seems. */
	for (size_t i = 0; i < length; i++)
		walk->failed |= (marks[i] & (i ? IS_START : IS_INSIDE)) != 0;
	marks[0] |= IS_START;
	for (size_t i = 1; i < length; i++)
		marks[i] |= IS_INSIDE;
	return 1;
}

static void add_branch(struct walk *walk, uint64_t target)
{
	if (target >= walk->map->layout.size) {
		walk->failed = 1;
		return;
	}
	if (is_within(walk, target))
		walk->function->marks[target - walk->function->start] |= IS_TARGET;
	else if (is_entry(walk->map, target))
		return;
	if (walk->todo_count == walk->todo_capacity) {
		size_t capacity = 2 * walk->todo_capacity + 64;
		uint32_t *grown = realloc(walk->todo, capacity * sizeof(*grown));
		if (!grown) {
			walk->failed = 1;
			return;
		}
		walk->todo = grown;
		walk->todo_capacity = capacity;
	}
	walk->todo[walk->todo_count++] = (uint32_t)target;
}

static int is_code(const struct bh_code_map *map, uint64_t offset)
{
	return offset >= map->layout.entries[0] && offset < map->layout.size;
}

/* An address that the code forms: of code, or of what may be a table of distances to code. */
static void add_address(struct walk *walk, uint64_t address)
{
	const struct bh_code_layout *layout = &walk->map->layout;

	if (is_code(walk->map, address)) {
		if (!is_entry(walk->map, address))
			add_branch(walk, address);
		return;
	}
	for (unsigned int i = 0; i < TABLE_ENTRIES_MAX; i++) {
		uint64_t at = address + 4ull * i;
		if (at + 4 > layout->size)
			return;
		uint64_t target = address + (uint64_t)read_distance(layout->text + at);
		if (!is_code(walk->map, target))
			return;
		add_branch(walk, target);
	}
}

/* lea distance(%rip) */
static int is_lea(const uint8_t *code, size_t length)
{
	size_t at = (code[0] & 0xf0) == 0x40;

	return length == at + 6 && code[at] == 0x8d && (code[at + 1] & 0xc7) == 0x05;
}

/* Returns non-zero if execution goes on behind the instruction. */
static int take_operation(struct walk *walk, const struct bh_operation *operation,
			  const uint8_t *code, uint64_t end)
{
	switch (operation->kind) {
	case BH_OPERATION_RETURN:
	case BH_OPERATION_TRAP:
		return 0;
	case BH_OPERATION_JUMP:
		if (operation->is_direct)
			add_branch(walk, operation->target);
		return 0;
	case BH_OPERATION_BRANCH:
		if (!operation->is_direct)
			walk->failed = 1;
		add_branch(walk, operation->target);
		return 1;
	case BH_OPERATION_CALL:
		return 1;
	default:
		if (is_lea(code, operation->length))
			add_address(walk,
				    end + (uint64_t)read_distance(code + operation->length - 4));
		return 1;
	}
}

/* From an instruction to where execution doesn't go on, or has been seen. */
static void follow(struct walk *walk, uint64_t offset)
{
	const struct bh_code_layout *layout = &walk->map->layout;
	struct bh_operation operation;

	while (!walk->failed) {
		/* Into the next function only where a call doesn't return. */
		if (offset != walk->function->start && is_entry(walk->map, offset))
			return;
		if (offset + LONGEST > layout->size ||
		    !bh_disassembler_operation(walk->map->disassembler, layout->text + offset,
					       LONGEST, offset, &operation)) {
			walk->failed = 1;
			return;
		}
		if (is_within(walk, offset) ? !visit_inside(walk, offset, operation.length)
					    : !visit_outside(walk, (uint32_t)offset))
			return;
		if (!take_operation(walk, &operation, layout->text + offset,
				    offset + operation.length))
			return;
		offset += operation.length;
	}
}

/* Where the function goes on after a fault, and what else nothing in it leads to. */
static void add_told(struct walk *walk)
{
	for (uint32_t at = walk->function->start; at < walk->function->end; at++)
		if (has_bit(walk->map->told, at))
			add_branch(walk, at);
}

static int examine(struct bh_code_map *map, struct function *function)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	function->marks = calloc(1, function->end - function->start);
	if (!walk || !function->marks) {
		free(walk);
		return 0;
	}
	walk->map = map;
	walk->function = function;
	add_told(walk);
	follow(walk, function->start);
	while (walk->todo_count && !walk->failed)
		follow(walk, walk->todo[--walk->todo_count]);
	function->is_known = !walk->failed;
	free(walk->todo);
	free(walk);
	return 1;
}

/* NULL if offset isn't in one, or there is no memory. */
static const struct function *find_function(struct bh_code_map *map, uint64_t offset)
{
	size_t next = next_entry(map, offset);
	struct function function = {0};

	if (!next || next == map->layout.entry_count)
		return NULL;
	function.start = map->layout.entries[next - 1];
	function.end = map->layout.entries[next];
	for (size_t i = 0; i < map->function_count; i++)
		if (map->functions[i].start == function.start)
			return &map->functions[i];
	struct function *grown =
		realloc(map->functions, (map->function_count + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	map->functions = grown;
	if (function.end - function.start > FUNCTION_BYTES_MAX || !examine(map, &function)) {
		free(function.marks);
		return NULL;
	}
	grown[map->function_count] = function;
	return &grown[map->function_count++];
}

/* --- windows --- */

static int ends_flow(enum bh_operation_kind kind)
{
	return kind == BH_OPERATION_JUMP || kind == BH_OPERATION_RETURN;
}

/* May the instruction at offset be overwritten by a jump that begins before it? */
static int may_follow(const struct bh_code_map *map, const struct function *function,
		      uint64_t offset, int has_ended)
{
	uint8_t marks = function->marks[offset - function->start];

	if (!function->is_known || marks & IS_TARGET || has_bit(map->targets, offset))
		return 0;
	/* What isn't executed may be another function, entered by an address or not at all. */
	return has_ended ? bh_is_filler(map->layout.text + offset, LONGEST)
			 : (marks & IS_START) != 0;
}

size_t bh_code_map_window(struct bh_code_map *map, uint64_t offset)
{
	const struct function *function = find_targets(map) ? find_function(map, offset) : NULL;
	struct bh_operation operation;
	int has_ended = 0;
	size_t size = 0;

	if (!function || !(function->marks[offset - function->start] & IS_START) ||
	    offset == function->start)
		return 0;
	while (size < BH_JUMP_BYTES) {
		uint64_t at = offset + size;
		if (at >= function->end || (size && !may_follow(map, function, at, has_ended)))
			return 0;
		if (!bh_disassembler_operation(map->disassembler, map->layout.text + at, LONGEST,
					       at, &operation))
			return 0;
		size += operation.length;
		has_ended |= ends_flow(operation.kind);
		/* A call returns behind itself. */
		if (operation.kind == BH_OPERATION_CALL && size < BH_JUMP_BYTES)
			return 0;
	}
	return offset + size <= function->end ? size : 0;
}

const uint8_t *bh_code_map_bytes(const struct bh_code_map *map, uint64_t offset,
				 size_t *available_ret)
{
	if (!map->layout.entry_count || offset + LONGEST > map->layout.size)
		return NULL;
	*available_ret = map->layout.size - offset;
	return map->layout.text + offset;
}
