// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The step between linking a kernel image and stripping it; run by build.sh, not part of backhop.
 *
 *	postlink VMLINUX ENTRIES
 *
 * Reads the section .backhop.patchable (the link-time addresses of all functions' five bytes of
 * NOP), makes one 5-byte instruction of each five in VMLINUX, and writes their offsets, ascending,
 * as little-endian 32-bit numbers to ENTRIES. Since the image begins at address 0 and its code
 * lies in the file as in memory, address, offset in memory and offset in the file are one number.
 *
 * That section is not loaded, but the linker (binutils 2.40) makes relative relocations for it all
 * the same, as if it lay at address 0. So the packed relocations are written anew without those.
 */
#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_BYTES 5

static void fail(const char *what)
{
	fprintf(stderr, "postlink: %s\n", what);
	exit(1);
}

static uint8_t *read_file(const char *path, size_t *length_ret)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long length = -1;

	if (!file || fseek(file, 0, SEEK_END) != 0 || (length = ftell(file)) < 0)
		fail("the image can't be read");
	rewind(file);
	bytes = malloc(length ? length : 1);
	if (!bytes || fread(bytes, 1, length, file) != (size_t)length)
		fail("the image can't be read");
	fclose(file);
	*length_ret = length;
	return bytes;
}

static void write_file(const char *path, const void *bytes, size_t length)
{
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
		fail("a file can't be written");
}

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static uint64_t get64(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static void put64(uint8_t *bytes, uint64_t value)
{
	memcpy(bytes, &value, sizeof(value));
}

static Elf64_Shdr find_section(const uint8_t *bytes, size_t length, const char *name,
			       size_t *header_ret)
{
	Elf64_Ehdr header;
	Elf64_Shdr names, section;
	unsigned int i;

	if (length < sizeof(header))
		fail("the image is too short");
	memcpy(&header, bytes, sizeof(header));
	if (header.e_shoff > length || header.e_shstrndx >= header.e_shnum ||
	    header.e_shnum * sizeof(section) > length - header.e_shoff)
		fail("the image's section headers are damaged");
	memcpy(&names, bytes + header.e_shoff + header.e_shstrndx * sizeof(names), sizeof(names));
	for (i = 0; i < header.e_shnum; i++) {
		memcpy(&section, bytes + header.e_shoff + i * sizeof(section), sizeof(section));
		if (names.sh_offset + section.sh_name + strlen(name) < length &&
		    strcmp((const char *)bytes + names.sh_offset + section.sh_name, name) == 0) {
			if (section.sh_offset > length ||
			    section.sh_size > length - section.sh_offset)
				fail("a section lies outside the image");
			*header_ret = header.e_shoff + i * sizeof(section);
			return section;
		}
	}
	fprintf(stderr, "postlink: the image has no section %s\n", name);
	exit(1);
}

/* Address of the first writable segment: below it nothing can be relocated. */
static uint64_t data_start(const uint8_t *bytes, size_t length)
{
	Elf64_Ehdr header;
	unsigned int i;

	memcpy(&header, bytes, sizeof(header));
	for (i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr segment;

		if (header.e_phoff + (i + 1) * sizeof(segment) > length)
			break;
		memcpy(&segment, bytes + header.e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W))
			return segment.p_vaddr;
	}
	fail("the image has no writable segment");
	return 0;
}

/* The addresses of a packed table, which are ascending, from lowest on. */
static uint64_t *relr_decode(const uint8_t *table, size_t words, uint64_t lowest, size_t *count_ret)
{
	uint64_t *addresses = calloc(words * 63 + 1, sizeof(*addresses));
	uint64_t next = 0;
	size_t count = 0, i;
	int bit;

	if (!addresses)
		fail("out of memory");
	for (i = 0; i < words; i++) {
		uint64_t word = get64(table + i * 8);

		if (!(word & 1)) {
			if (word >= lowest)
				addresses[count++] = word;
			next = word + 8;
			continue;
		}
		for (bit = 0; bit < 63; bit++)
			if ((word >> (bit + 1) & 1) && next + bit * 8 >= lowest)
				addresses[count++] = next + bit * 8;
		next += 63 * 8;
	}
	*count_ret = count;
	return addresses;
}

/* Writes the packed table of ascending addresses; returns its words. Never more than were read. */
static size_t relr_encode(uint8_t *table, const uint64_t *addresses, size_t count)
{
	size_t words = 0, i = 0;

	while (i < count) {
		uint64_t next = addresses[i] + 8;

		put64(table + words++ * 8, addresses[i++]);
		for (;; next += 63 * 8) {
			uint64_t bits = 0;

			while (i < count && addresses[i] - next < 63 * 8 &&
			       (addresses[i] - next) % 8 == 0) {
				bits |= 1ul << ((addresses[i] - next) / 8);
				i++;
			}
			if (!bits)
				break;
			put64(table + words++ * 8, bits << 1 | 1);
		}
	}
	return words;
}

static void clean_relocations(uint8_t *bytes, size_t length)
{
	size_t section_header, ignored, count, words, i;
	Elf64_Shdr section = find_section(bytes, length, ".relr.dyn", &section_header);
	Elf64_Shdr dynamic = find_section(bytes, length, ".dynamic", &ignored);
	uint64_t *addresses = relr_decode(bytes + section.sh_offset, section.sh_size / 8,
					  data_start(bytes, length), &count);

	words = relr_encode(bytes + section.sh_offset, addresses, count);
	memset(bytes + section.sh_offset + words * 8, 0, section.sh_size - words * 8);
	put64(bytes + section_header + offsetof(Elf64_Shdr, sh_size), words * 8);
	for (i = 0; i + sizeof(Elf64_Dyn) <= dynamic.sh_size; i += sizeof(Elf64_Dyn))
		if (get64(bytes + dynamic.sh_offset + i) == 35) /* DT_RELRSZ */
			put64(bytes + dynamic.sh_offset + i + 8, words * 8);
	free(addresses);
}

int main(int argc, char **argv)
{
	static const uint8_t nops[ENTRY_BYTES] = {0x90, 0x90, 0x90, 0x90, 0x90};
	static const uint8_t one_nop[ENTRY_BYTES] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	size_t length, count, i, ignored;
	Elf64_Shdr section;
	uint32_t *offsets;
	uint8_t *bytes;

	if (argc != 3)
		fail("usage: postlink VMLINUX ENTRIES");
	bytes = read_file(argv[1], &length);
	section = find_section(bytes, length, ".backhop.patchable", &ignored);
	count = section.sh_size / 8;
	offsets = calloc(count ? count : 1, sizeof(*offsets));
	if (!offsets)
		fail("out of memory");
	for (i = 0; i < count; i++) {
		uint64_t address;

		memcpy(&address, bytes + section.sh_offset + i * 8, sizeof(address));
		if (address > length - ENTRY_BYTES || address > UINT32_MAX)
			fail("a patchable entry lies outside the image");
		offsets[i] = address;
		if (memcmp(bytes + address, one_nop, ENTRY_BYTES) == 0)
			continue;
		if (memcmp(bytes + address, nops, ENTRY_BYTES) != 0)
			fail("a patchable entry isn't five bytes of NOP");
		memcpy(bytes + address, one_nop, ENTRY_BYTES);
	}
	clean_relocations(bytes, length);
	qsort(offsets, count, sizeof(*offsets), compare);
	write_file(argv[1], bytes, length);
	write_file(argv[2], offsets, count * sizeof(*offsets));
	return 0;
}
