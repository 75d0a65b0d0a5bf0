/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an executable needs besides itself, for simulator/program_check.c, which looks for it before
 * a run. The bytes are a program's own claim, so every offset is bounded before use.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "posix/internal.h"

/* The kernel's own bound, BINPRM_BUF_SIZE of include/uapi/linux/binfmts.h. */
#define SCRIPT_LINE_MAX 256u

static int read_script(const char *text, uint64_t size, struct bh_program_needs *needs,
		       const char **why_ret)
{
	size_t end = size < SCRIPT_LINE_MAX ? size : SCRIPT_LINE_MAX, start = 2, length = 0;

	while (start < end && (text[start] == ' ' || text[start] == '\t'))
		start++;
	while (start + length < end && !strchr(" \t\n", text[start + length]))
		length++;
	if (!length || length >= sizeof(needs->interpreter)) {
		*why_ret = "its first line names no interpreter";
		return -ENOEXEC;
	}
	memcpy(needs->interpreter, text + start, length);
	needs->is_script = 1;
	return 0;
}

/* The bytes of the file from where address is mapped on, and how many there are. */
static const char *bytes_at(const struct bh_elf *elf, const char *data, uint64_t address,
			    uint64_t *size_ret)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct bh_elf_segment *segment = &elf->segments[i];

		if (address >= segment->address &&
		    address - segment->address < segment->file_size) {
			*size_ret = segment->file_size - (address - segment->address);
			return data + segment->offset + (address - segment->address);
		}
	}
	return NULL;
}

static void add_library(struct bh_program_needs *needs, const char *names, uint64_t names_size,
			uint64_t offset)
{
	if (offset < names_size && needs->library_count < BH_NEEDS_MAX &&
	    memchr(names + offset, '\0', names_size - offset))
		needs->libraries[needs->library_count++] = names + offset;
}

static void read_dynamic(const struct bh_elf *elf, const char *data, struct bh_program_needs *needs)
{
	uint64_t size = 0, names_size = 0;
	const char *dynamic = elf->dynamic ? bytes_at(elf, data, elf->dynamic, &size) : NULL;
	const char *names = NULL;
	Elf64_Dyn entry;

	for (uint64_t at = 0; dynamic && at + sizeof(entry) <= size; at += sizeof(entry)) {
		memcpy(&entry, dynamic + at, sizeof(entry));
		if (entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_STRTAB)
			names = bytes_at(elf, data, entry.d_un.d_ptr, &names_size);
		if (entry.d_tag == DT_RPATH || entry.d_tag == DT_RUNPATH)
			needs->has_search_path = 1;
	}
	for (uint64_t at = 0; names && at + sizeof(entry) <= size; at += sizeof(entry)) {
		memcpy(&entry, dynamic + at, sizeof(entry));
		if (entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_NEEDED)
			add_library(needs, names, names_size, entry.d_un.d_val);
	}
}

int bh_posix_program_needs(const void *data, uint64_t size, struct bh_program_needs *needs_ret,
			   const char **why_ret)
{
	struct bh_elf elf;
	int ret;

	memset(needs_ret, 0, sizeof(*needs_ret));
	if (size > 2 && !memcmp(data, "#!", 2))
		return read_script(data, size, needs_ret, why_ret);
	if (size < SELFMAG || memcmp(data, ELFMAG, SELFMAG)) {
		*why_ret = "it is neither an ELF file nor does it begin with #!";
		return -ENOEXEC;
	}
	ret = bh_elf_parse(data, size, &elf, why_ret);
	if (ret)
		return ret;
	memcpy(needs_ret->interpreter, elf.interpreter, sizeof(needs_ret->interpreter));
	/* A static one has a dynamic section at most for itself. */
	if (elf.interpreter[0])
		read_dynamic(&elf, data, needs_ret);
	return 0;
}
