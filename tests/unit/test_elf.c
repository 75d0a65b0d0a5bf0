/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of ELF headers (posix/elf.c): good files, cut files, and files with changed bytes,
 * none of which may lead to an access outside the file or to a nonsensical answer.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/internal.h"

#define MUTATIONS 200000

static int count, failures;

static void check(int condition, const char *text)
{
	printf("%sok %d - ", condition ? "" : "not ", ++count);
	puts(text);
	failures += !condition;
}

static uint8_t *read_file(const char *path, size_t *size_ret)
{
	FILE *file = fopen(path, "r");
	uint8_t *bytes = malloc(1 << 20);

	if (!file || !bytes)
		return NULL;
	*size_ret = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	return bytes;
}

static int is_sound(const struct bh_elf *elf, uint64_t size)
{
	if (!elf->segment_count || elf->low >= elf->high || elf->alignment & (elf->alignment - 1))
		return 0;
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct bh_elf_segment *segment = &elf->segments[i];

		if (segment->offset > size || segment->file_size > size - segment->offset ||
		    segment->file_size > segment->memory_size || segment->address < elf->low ||
		    segment->address + segment->memory_size > elf->high)
			return 0;
	}
	return elf->frame_table <= size && elf->frame_table_size <= size - elf->frame_table &&
	       memchr(elf->interpreter, 0, sizeof(elf->interpreter));
}

/* Only the headers are read, so a copy of exactly their part shows accesses behind it (ASan). */
static void test_damaged(const uint8_t *good, size_t size)
{
	uint8_t *bytes = malloc(size);
	uint64_t random = 1;
	int sound = 1;
	struct bh_elf elf;
	const char *why;

	for (int i = 0; i < MUTATIONS; i++) {
		memcpy(bytes, good, 1024);
		for (int change = 0; change < 1 + i % 4; change++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			bytes[(random >> 40) % 1024] = (uint8_t)(random >> 32);
		}
		why = NULL;
		if (bh_elf_parse(bytes, size, &elf, &why))
			sound &= why != NULL;
		else
			sound &= is_sound(&elf, size);
	}
	check(sound, "200000 files with changed headers: refused with a reason, or sound");
	free(bytes);
}

static void test_cut(const uint8_t *good, size_t size)
{
	struct bh_elf elf;
	const char *why;
	int sound = 1;

	for (size_t length = 0; length < 2048 && length < size; length++) {
		uint8_t *bytes = malloc(length + 1);

		memcpy(bytes, good, length);
		sound &= bh_elf_parse(bytes, length, &elf, &why) != 0;
		free(bytes);
	}
	check(sound, "cut files are refused");
}

int main(void)
{
	size_t size = 0;
	uint8_t *bytes = read_file("/bin/true", &size);
	struct bh_elf elf;
	const char *why = "";

	if (!bytes || size < 4096) {
		printf("1..0 # SKIP /bin/true can't be read\n");
		return 0;
	}
	check(!bh_elf_parse(bytes, size, &elf, &why) && is_sound(&elf, size), "/bin/true is sound");
	check(strstr(elf.interpreter, "ld-linux") && elf.entry && elf.phdr && elf.dynamic,
	      "and has an interpreter, an entry, headers and a dynamic section");
	check(bh_elf_parse("#!/bin/sh\n", 10, &elf, &why) && why, "a script is refused");
	test_cut(bytes, size);
	test_damaged(bytes, size);
	free(bytes);
	printf("1..%d\n", count);
	return failures != 0;
}
