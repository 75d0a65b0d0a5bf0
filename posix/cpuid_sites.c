/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs ask the processor what it can (cpuid) and choose their functions by the answer, so a run
 * would differ between machines. Few processors let cpuid fault. So when a program's text is
 * mapped, the two bytes of each cpuid become "int $0x43", which faults, and traps.c answers.
 *
 * The two bytes also occur inside other instructions. An instruction is taken for cpuid only if a
 * linear sweep from its function's start, as the unwind table names it, meets it there; without a
 * table (static programs) the sweep starts where the segment does.
 * Called by memory.c for each mapping of executable pages.
 */
#include <string.h>
#include <sys/mman.h>

#include "common/disassemble.h"
#include "posix/internal.h"

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

static const struct bh_elf_segment *segment_at(const struct bh_elf *elf, uint64_t offset)
{
	for (size_t i = 0; i < elf->segment_count; i++)
		if (offset - elf->segments[i].offset < elf->segments[i].file_size)
			return &elf->segments[i];
	return NULL;
}

/* Where a sweep that is to meet offset begins: an offset in the file. */
static uint64_t sweep_start(const struct bh_elf *elf, const struct bh_elf_segment *segment,
			    const uint8_t *file, uint64_t offset)
{
	uint64_t start = function_start(elf, file, segment->address + (offset - segment->offset));

	if (start < segment->address || start - segment->address > offset - segment->offset)
		return segment->offset;
	return segment->offset + (start - segment->address);
}

/* Is there an instruction of its own at offset of the file? *at is how far the sweep has come;
 * offsets come in ascending order. */
static int is_instruction(struct bh_disassembler *disassembler, const struct bh_elf *elf,
			  const uint8_t *file, uint64_t offset, uint64_t *at)
{
	const struct bh_elf_segment *segment = segment_at(elf, offset);
	uint64_t start, end;

	if (!segment)
		return 0;
	start = sweep_start(elf, segment, file, offset);
	if (*at < start || *at > offset)
		*at = start;
	end = segment->offset + segment->file_size;
	while (*at < offset) {
		size_t length = bh_disassembler_length(disassembler, file + *at, end - *at);

		/* Bytes that are no instruction are data between functions. */
		*at += length ? length : 1;
	}
	return *at == offset;
}

static int replace(uint64_t address, int prot)
{
	uint64_t page = bh_page_down(address);
	uint64_t length = bh_page_up(address + 2) - page;
	uint8_t *code = (uint8_t *)address;

	if (!(prot & PROT_WRITE) && mprotect((void *)page, length, PROT_READ | PROT_WRITE))
		return 0;
	code[0] = BH_CPUID_TRAP_0;
	code[1] = BH_CPUID_TRAP_1;
	if (!(prot & PROT_WRITE))
		mprotect((void *)page, length, prot);
	return 1;
}

void bh_cpuid_sites_patch(struct bh_mm *mm, uint64_t start, uint64_t length, int prot,
			  const void *data, uint64_t size, uint64_t offset)
{
	struct bh_disassembler *disassembler = NULL;
	const uint8_t *file = data, *at, *end;
	uint64_t swept = 0;
	struct bh_elf elf;
	const char *why;

	if (offset >= size || bh_elf_parse(data, size, &elf, &why))
		return;
	end = file + (size - offset < length ? size : offset + length);
	for (at = file + offset; at && at + 1 < end; at++) {
		at = memchr(at, 0x0f, (size_t)(end - at - 1));
		if (!at)
			break;
		if (at[1] != 0xa2)
			continue;
		if (!disassembler)
			disassembler = bh_disassembler_create();
		if (disassembler &&
		    is_instruction(disassembler, &elf, file, (uint64_t)(at - file), &swept) &&
		    !replace(start + ((uint64_t)(at - file) - offset), prot))
			bh_posix_node_log(mm->node, "a cpuid instruction could not be replaced");
	}
	bh_disassembler_destroy(disassembler);
}
