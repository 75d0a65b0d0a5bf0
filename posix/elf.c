/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The headers of an executable or library, checked: what exec.c needs to map it and images.c to
 * tell a debugger. The bytes are a program's own claim, so every offset is bounded before use.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "posix/internal.h"

#define MAX_ADDRESS (1ull << 47)

static int refuse(const char *why, const char **why_ret)
{
	*why_ret = why;
	return -ENOEXEC;
}

static int is_inside(uint64_t offset, uint64_t length, uint64_t size)
{
	return offset <= size && length <= size - offset;
}

static int check_header(const Elf64_Ehdr *header, uint64_t size, const char **why_ret)
{
	if (memcmp(header->e_ident, ELFMAG, SELFMAG))
		return refuse("it isn't an ELF file", why_ret);
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 ||
	    header->e_ident[EI_DATA] != ELFDATA2LSB)
		return refuse("it isn't for x86-64", why_ret);
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return refuse("it is neither an executable nor a shared object", why_ret);
	if (header->e_phentsize != sizeof(Elf64_Phdr) ||
	    !is_inside(header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr), size))
		return refuse("its program headers lie outside the file", why_ret);
	return 0;
}

static int prot_of(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

static int add_segment(struct bh_elf *elf, const Elf64_Phdr *phdr, uint64_t size,
		       const char **why_ret)
{
	struct bh_elf_segment *segment = &elf->segments[elf->segment_count];

	if (!phdr->p_memsz)
		return 0;
	if (elf->segment_count == BH_ELF_MAX_SEGMENTS)
		return refuse("it has too many segments", why_ret);
	if (!is_inside(phdr->p_offset, phdr->p_filesz, size) || phdr->p_filesz > phdr->p_memsz ||
	    phdr->p_vaddr > MAX_ADDRESS || phdr->p_memsz > MAX_ADDRESS ||
	    (phdr->p_vaddr - phdr->p_offset) % BH_PAGE_SIZE)
		return refuse("it has a bad segment", why_ret);
	if (elf->segment_count && bh_page_down(phdr->p_vaddr) < elf->high)
		return refuse("its segments overlap or are out of order", why_ret);
	if (!elf->segment_count)
		elf->low = bh_page_down(phdr->p_vaddr);
	elf->high = bh_page_up(phdr->p_vaddr + phdr->p_memsz);
	if (phdr->p_align > elf->alignment)
		elf->alignment = phdr->p_align;
	segment->address = phdr->p_vaddr;
	segment->file_size = phdr->p_filesz;
	segment->memory_size = phdr->p_memsz;
	segment->offset = phdr->p_offset;
	segment->prot = prot_of(phdr->p_flags);
	elf->segment_count++;
	return 0;
}

static int take_interpreter(struct bh_elf *elf, const char *bytes, const Elf64_Phdr *phdr,
			    uint64_t size, const char **why_ret)
{
	if (!is_inside(phdr->p_offset, phdr->p_filesz, size) || phdr->p_filesz < 2 ||
	    phdr->p_filesz > sizeof(elf->interpreter) || bytes[phdr->p_offset + phdr->p_filesz - 1])
		return refuse("the name of its interpreter is bad", why_ret);
	memcpy(elf->interpreter, bytes + phdr->p_offset, phdr->p_filesz);
	return 0;
}

static int take_header(struct bh_elf *elf, const char *bytes, const Elf64_Phdr *phdr, uint64_t size,
		       const char **why_ret)
{
	switch (phdr->p_type) {
	case PT_LOAD:
		return add_segment(elf, phdr, size, why_ret);
	case PT_INTERP:
		return take_interpreter(elf, bytes, phdr, size, why_ret);
	case PT_DYNAMIC:
		elf->dynamic = phdr->p_vaddr;
		return 0;
	case PT_GNU_EH_FRAME:
		if (is_inside(phdr->p_offset, phdr->p_filesz, size)) {
			elf->frame_table = phdr->p_offset;
			elf->frame_table_address = phdr->p_vaddr;
			elf->frame_table_size = phdr->p_filesz;
		}
		return 0;
	default:
		return 0;
	}
}

/* The address of the program headers: of the segment that holds them. */
static void find_headers(struct bh_elf *elf, const Elf64_Ehdr *header)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct bh_elf_segment *segment = &elf->segments[i];

		if (header->e_phoff >= segment->offset &&
		    header->e_phoff - segment->offset < segment->file_size) {
			elf->phdr = segment->address + (header->e_phoff - segment->offset);
			return;
		}
	}
}

int bh_elf_parse(const void *data, uint64_t size, struct bh_elf *elf_ret, const char **why_ret)
{
	const char *bytes = data;
	struct bh_elf elf = {.alignment = BH_PAGE_SIZE};
	Elf64_Ehdr header;
	int ret;

	if (size < sizeof(header))
		return refuse("it is too short for an ELF file", why_ret);
	memcpy(&header, bytes, sizeof(header));
	ret = check_header(&header, size, why_ret);
	for (unsigned int i = 0; i < header.e_phnum && !ret; i++) {
		Elf64_Phdr phdr;

		memcpy(&phdr, bytes + header.e_phoff + i * sizeof(phdr), sizeof(phdr));
		ret = take_header(&elf, bytes, &phdr, size, why_ret);
	}
	if (ret)
		return ret;
	if (!elf.segment_count)
		return refuse("it has nothing to load", why_ret);
	if (elf.alignment & (elf.alignment - 1) || elf.alignment > (1ull << 30))
		return refuse("it has a bad alignment", why_ret);
	elf.is_fixed = header.e_type == ET_EXEC;
	elf.entry = header.e_entry;
	elf.phdr_count = header.e_phnum;
	find_headers(&elf, &header);
	*elf_ret = elf;
	return 0;
}

/* --- notes --- */

static uint64_t aligned(uint64_t size)
{
	return (size + 3) & ~3ull;
}

static size_t find_build_id(const uint8_t *notes, uint64_t size, const uint8_t **id_ret)
{
	static const char owner[4] = "GNU";
	Elf64_Nhdr note;

	while (size >= sizeof(note)) {
		memcpy(&note, notes, sizeof(note));
		notes += sizeof(note);
		size -= sizeof(note);
		uint64_t name = aligned(note.n_namesz), whole = name + aligned(note.n_descsz);

		if (whole > size)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(owner) &&
		    !memcmp(notes, owner, sizeof(owner))) {
			*id_ret = notes + name;
			return note.n_descsz;
		}
		notes += whole;
		size -= whole;
	}
	return 0;
}

size_t bh_elf_build_id(const void *data, uint64_t size, const uint8_t **id_ret)
{
	const uint8_t *bytes = data;
	const char *why;
	Elf64_Ehdr header;
	Elf64_Phdr phdr;
	size_t length = 0;

	if (size < sizeof(header))
		return 0;
	memcpy(&header, bytes, sizeof(header));
	if (check_header(&header, size, &why))
		return 0;
	for (unsigned int i = 0; !length && i < header.e_phnum; i++) {
		memcpy(&phdr, bytes + header.e_phoff + i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type == PT_NOTE && is_inside(phdr.p_offset, phdr.p_filesz, size))
			length = find_build_id(bytes + phdr.p_offset, phdr.p_filesz, id_ret);
	}
	return length;
}
