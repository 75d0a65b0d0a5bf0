/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which system calls of this machine's C library and dynamic linker become jumps: nearly all; and
 * the copies of windows, byte by byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/code_windows.h"
#include "posix/internal.h"

static int count, failures;

static void ok(int passed, const char *text)
{
	failures += !passed;
	printf("%sok %d - %s\n", passed ? "" : "not ", ++count, text);
}

static void survey(const char *path, size_t percent)
{
	FILE *file = fopen(path, "r");
	size_t size, calls, changed, room = 64u << 20;
	char *data = malloc(room), text[200];

	if (!file || !data) {
		printf("# no %s\n", path);
		free(data);
		return;
	}
	size = fread(data, 1, room, file);
	fclose(file);
	bh_code_sites_survey(data, size, &calls, &changed);
	snprintf(text, sizeof(text), "%zu of %zu system calls of %s become jumps", changed, calls,
		 path);
	ok(calls > 0 && changed <= calls && changed * 100 >= calls * percent, text);
	free(data);
}

/* cmpb $0, 0x100(%rip); je +0x10; xor %eax, %eax: as before read()'s system call. */
static void test_copy(void)
{
	static const uint8_t code[] = {0x80, 0x3d, 0, 1, 0, 0, 0, 0x74, 0x10, 0x31, 0xc0};
	/* The copy is 0x40 bytes further: what is relative to it is 0x40 less; the jump has grown
	 * by 4, so that its end is 0x44 further. */
	static const uint8_t moved[] = {0x80, 0x3d, 0xc0, 0,	0,    0,    0,	 0x0f,
					0x84, 0xcc, 0xff, 0xff, 0xff, 0x31, 0xc0};
	struct bh_disassembler *disassembler = bh_disassembler_create();
	struct bh_window window = {0};
	uint8_t room[256] = {0};

	memcpy(room, code, sizeof(code));
	for (size_t at = 0; at < sizeof(code); at += window.instructions[window.count++].length)
		if (!bh_disassembler_decode(disassembler, code + at, sizeof(code) - at,
					    &window.instructions[window.count]))
			break;
	ok(window.count == 3, "three instructions");
	ok(bh_window_copy(room + 0x40, room, &window) == sizeof(moved) &&
		   !memcmp(room + 0x40, moved, sizeof(moved)),
	   "a copy reads the same byte and jumps to the same place");
	bh_disassembler_destroy(disassembler);
}

static void test_immovable(void)
{
	static const uint8_t code[][6] = {
		{0xe8, 1, 0, 0, 0}, {0xc3},    {0x0f, 0x05}, {0xff, 0xe0},
		{0xeb, 1},	    {0xe2, 1}, {0xcc},
	};
	struct bh_disassembler *disassembler = bh_disassembler_create();
	struct bh_instruction instruction;
	int movable = 0;

	for (size_t i = 0; i < sizeof(code) / sizeof(*code); i++)
		movable += bh_disassembler_decode(disassembler, code[i], sizeof(code[i]),
						  &instruction) &&
			   instruction.is_movable;
	ok(movable == 0, "calls, returns, jumps without a condition and traps stay");
	bh_disassembler_destroy(disassembler);
}

/* Without an unwind table (Go's programs): what lies before the int3s between two functions, here
 * half of a mov, doesn't hide the cpuid that the next function begins with. */
static void test_no_table(void)
{
	uint8_t file[32] = {0};
	struct bh_elf elf = {0};
	struct bh_elf_segment segment = {.address = 0x400000, .file_size = sizeof(file)};
	struct bh_sweep *sweep = bh_sweep_create(&elf, &segment, file);

	memset(file, 0x90, sizeof(file));
	memcpy(file + 11, "\x48\xb8\xcc\xcc\xcc\x0f\xa2", 7);
	ok(bh_sweep_is_instruction(sweep, 16), "a function begins behind int3s");
	ok(!bh_sweep_is_instruction(sweep, 17), "and not within its instruction");
	bh_sweep_destroy(sweep);
	file[14] = 0x90;
	sweep = bh_sweep_create(&elf, &segment, file);
	ok(!bh_sweep_is_instruction(sweep, 16), "and not where there are none");
	bh_sweep_destroy(sweep);
}

int main(void)
{
	survey("/lib/x86_64-linux-gnu/libc.so.6", 96);
	survey("/lib64/ld-linux-x86-64.so.2", 85);
	test_copy();
	test_immovable();
	test_no_table();
	printf("1..%d\n", count);
	return failures != 0;
}
