// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ELF mapper for kernel images. dlopen() would not do: an image must lie at a given address,
 * once for each node, with RAM right behind it (arch/backhop/include/asm/page.h).
 */
#include "kernel-lib/image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cursor.h"

#define PAGE_BYTES   4096ul
#define SEGMENTS_MAX 4
/* No real image comes near; it keeps all sums of offsets far from overflow. */
#define IMAGE_BYTES_MAX (1ul << 30)

struct segment {
	uint64_t offset, address, file_size, memory_size;
	int writable;
};

struct bh_image {
	char *path;
	int fd;
	const uint8_t *bytes; /* the whole file, read-only */
	size_t length;
	struct segment segments[SEGMENTS_MAX];
	size_t segment_count;
	uint64_t entry;
	size_t size;
	uint64_t dynamic_address, dynamic_size;
	uint64_t relr_address, relr_size; /* link-time addresses within the first segment */
	uint64_t rela_address, rela_size;
	uint64_t exceptions_address, exceptions_size;
	const uint8_t *build_id;
	size_t build_id_length;
	uint32_t *entries;
	struct bh_drop_reason *reasons;
	size_t reason_count;
	size_t entry_count;
	struct bh_image_file *files;
	size_t file_count;
};

static uint64_t page_up(uint64_t value)
{
	return (value + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

static struct bh_error *bad_image(const struct bh_image *image, const char *what)
{
	return bh_error_new(BH_ERR_INPUT, "%s is not a usable kernel image: %s.", image->path,
			    what);
}

/* A range of the file, or NULL if it isn't all there. */
static const uint8_t *file_range(const struct bh_image *image, uint64_t offset, uint64_t size)
{
	if (offset > image->length || size > image->length - offset)
		return NULL;
	return image->bytes + offset;
}

/* The file's bytes behind a range of link-time addresses, or NULL. */
static const uint8_t *address_range(const struct bh_image *image, uint64_t address, uint64_t size)
{
	size_t i;

	for (i = 0; i < image->segment_count; i++) {
		const struct segment *segment = &image->segments[i];

		if (address >= segment->address && size <= segment->file_size &&
		    address - segment->address <= segment->file_size - size)
			return file_range(image, segment->offset + (address - segment->address),
					  size);
	}
	return NULL;
}

static void find_build_id(struct bh_image *image, uint64_t offset, uint64_t size)
{
	const uint8_t *bytes = file_range(image, offset, size);
	struct bh_cursor cursor;

	if (!bytes)
		return;
	bh_cursor_init(&cursor, bytes, size);
	while (bh_cursor_left(&cursor) >= sizeof(Elf64_Nhdr)) {
		uint32_t name_size = bh_cursor_u32(&cursor);
		uint32_t data_size = bh_cursor_u32(&cursor);
		uint32_t type = bh_cursor_u32(&cursor);
		const uint8_t *name = bh_cursor_bytes(&cursor, (name_size + 3ul) & ~3ul);
		const uint8_t *data = bh_cursor_bytes(&cursor, (data_size + 3ul) & ~3ul);

		if (cursor.failed)
			return;
		if (type == NT_GNU_BUILD_ID && name_size == 4 && !memcmp(name, "GNU", 4)) {
			image->build_id = data;
			image->build_id_length = data_size;
			return;
		}
	}
}

static struct bh_error *add_segment(struct bh_image *image, const struct segment *segment)
{
	uint64_t end = 0;

	if (image->segment_count == SEGMENTS_MAX)
		return bad_image(image, "it has too many loadable segments");
	if (image->segment_count > 0) {
		const struct segment *last = &image->segments[image->segment_count - 1];

		end = last->address + last->memory_size;
	}
	if (segment->address > IMAGE_BYTES_MAX || segment->memory_size > IMAGE_BYTES_MAX ||
	    segment->file_size > segment->memory_size || segment->address < end ||
	    segment->offset % PAGE_BYTES != segment->address % PAGE_BYTES ||
	    (image->segment_count > 0 && segment->address % PAGE_BYTES != 0) ||
	    !file_range(image, segment->offset, segment->file_size))
		return bad_image(image, "a loadable segment is out of range");
	if (image->segment_count == 0 && (segment->address != 0 || segment->writable))
		return bad_image(image, "its first segment isn't code at address 0");
	image->segments[image->segment_count++] = *segment;
	image->size = page_up(segment->address + segment->memory_size);
	return NULL;
}

static struct bh_error *read_program_header(struct bh_image *image, struct bh_cursor *cursor)
{
	uint32_t type = bh_cursor_u32(cursor);
	uint32_t flags = bh_cursor_u32(cursor);
	struct segment segment = {.writable = !!(flags & PF_W)};

	segment.offset = bh_cursor_u64(cursor);
	segment.address = bh_cursor_u64(cursor);
	bh_cursor_u64(cursor); /* physical address */
	segment.file_size = bh_cursor_u64(cursor);
	segment.memory_size = bh_cursor_u64(cursor);
	bh_cursor_u64(cursor); /* alignment */
	if (cursor->failed)
		return bad_image(image, "its program headers end early");
	if (type == PT_LOAD)
		return add_segment(image, &segment);
	if (type == PT_DYNAMIC) {
		image->dynamic_address = segment.address;
		image->dynamic_size = segment.file_size;
	} else if (type == PT_NOTE && !image->build_id) {
		find_build_id(image, segment.offset, segment.file_size);
	}
	return NULL;
}

struct section_table {
	uint64_t offset;
	unsigned int count, names;
};

static struct bh_error *read_header(struct bh_image *image, struct section_table *sections_ret)
{
	static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
	const uint8_t *header = file_range(image, 0, sizeof(Elf64_Ehdr));
	struct bh_cursor cursor;
	uint64_t programs;
	unsigned int count, i;
	uint16_t type, machine;

	if (!header || memcmp(header, ident, sizeof(ident)) != 0)
		return bad_image(image, "it is no 64-bit little-endian ELF file");
	bh_cursor_init(&cursor, header + EI_NIDENT, sizeof(Elf64_Ehdr) - EI_NIDENT);
	type = bh_cursor_u16(&cursor);
	machine = bh_cursor_u16(&cursor);
	bh_cursor_u32(&cursor); /* version */
	image->entry = bh_cursor_u64(&cursor);
	programs = bh_cursor_u64(&cursor);
	sections_ret->offset = bh_cursor_u64(&cursor);
	bh_cursor_u32(&cursor); /* flags */
	bh_cursor_u16(&cursor); /* header size */
	if (type != ET_DYN || machine != EM_X86_64 || bh_cursor_u16(&cursor) != sizeof(Elf64_Phdr))
		return bad_image(image, "it is no shared object for x86-64");
	count = bh_cursor_u16(&cursor);
	bh_cursor_u16(&cursor); /* size of a section header, tested with the table */
	sections_ret->count = bh_cursor_u16(&cursor);
	sections_ret->names = bh_cursor_u16(&cursor);
	header = file_range(image, programs, count * sizeof(Elf64_Phdr));
	if (!header)
		return bad_image(image, "its program headers lie outside the file");
	bh_cursor_init(&cursor, header, count * sizeof(Elf64_Phdr));
	for (i = 0; i < count; i++)
		BH_TRY(read_program_header(image, &cursor));
	if (image->segment_count < 2 || !image->segments[1].writable)
		return bad_image(image, "it lacks a code or a data segment");
	if (image->entry == 0 || image->entry >= image->segments[0].memory_size)
		return bad_image(image, "its entry point isn't in its code");
	return NULL;
}

static struct bh_error *read_dynamic(struct bh_image *image)
{
	const uint8_t *bytes = address_range(image, image->dynamic_address, image->dynamic_size);
	struct bh_cursor cursor;

	if (!image->dynamic_size || !bytes)
		return bad_image(image, "it has no dynamic section");
	bh_cursor_init(&cursor, bytes, image->dynamic_size);
	while (bh_cursor_left(&cursor) >= sizeof(Elf64_Dyn)) {
		uint64_t tag = bh_cursor_u64(&cursor);
		uint64_t value = bh_cursor_u64(&cursor);

		switch (tag) {
		case DT_NULL:
			return NULL;
		case DT_NEEDED:
			return bad_image(image, "it needs other shared objects");
		case DT_TEXTREL:
		case DT_JMPREL:
		case DT_REL:
			return bad_image(image, "it has relocations other than relative ones");
		case 36: /* DT_RELR, not yet in every <elf.h> */
			image->relr_address = value;
			break;
		case 35: /* DT_RELRSZ */
			image->relr_size = value;
			break;
		case DT_RELA:
			image->rela_address = value;
			break;
		case DT_RELASZ:
			image->rela_size = value;
			break;
		}
	}
	return NULL;
}

/* A relocated word must lie whole in one writable segment's bytes of the file. */
static int is_relocatable(const struct bh_image *image, uint64_t address)
{
	size_t i;

	for (i = 0; i < image->segment_count; i++) {
		const struct segment *segment = &image->segments[i];

		if (segment->writable && address >= segment->address &&
		    address + 8 <= segment->address + segment->file_size)
			return 1;
	}
	return 0;
}

typedef void (*relocate_fn)(void *arg, uint64_t address);

/* Calls fn for each address in the packed table; stops with 0 at a word outside the data. */
static int for_each_relr(const struct bh_image *image, relocate_fn fn, void *arg)
{
	const uint8_t *bytes = address_range(image, image->relr_address, image->relr_size);
	struct bh_cursor cursor;
	uint64_t next = 0;

	if (!bytes)
		return 0;
	bh_cursor_init(&cursor, bytes, image->relr_size);
	while (bh_cursor_left(&cursor) >= 8) {
		uint64_t word = bh_cursor_u64(&cursor);
		uint64_t address;

		if (!(word & 1)) {
			if (word > IMAGE_BYTES_MAX || !is_relocatable(image, word))
				return 0;
			fn(arg, word);
			next = word + 8;
			continue;
		}
		for (address = next, word >>= 1; word; word >>= 1, address += 8) {
			if (!(word & 1))
				continue;
			if (!is_relocatable(image, address))
				return 0;
			fn(arg, address);
		}
		next += 63 * 8;
		if (next > IMAGE_BYTES_MAX)
			return 0;
	}
	return 1;
}

static void relocate_nothing(void *arg, uint64_t address)
{
}

static struct bh_error *check_relocations(struct bh_image *image)
{
	const uint8_t *bytes;
	struct bh_cursor cursor;

	if (image->relr_size && !for_each_relr(image, relocate_nothing, NULL))
		return bad_image(image, "a packed relocation lies outside its data");
	if (!image->rela_size)
		return NULL;
	bytes = address_range(image, image->rela_address, image->rela_size);
	if (!bytes)
		return bad_image(image, "its relocations lie outside the file");
	bh_cursor_init(&cursor, bytes, image->rela_size);
	while (bh_cursor_left(&cursor) >= sizeof(Elf64_Rela)) {
		uint64_t address = bh_cursor_u64(&cursor);
		uint64_t info = bh_cursor_u64(&cursor);

		bh_cursor_u64(&cursor);
		if (info == R_X86_64_NONE)
			continue;
		if (info != R_X86_64_RELATIVE || address > IMAGE_BYTES_MAX ||
		    !is_relocatable(image, address))
			return bad_image(image, "it has relocations other than relative ones");
	}
	return NULL;
}

static struct bh_error *read_entries(struct bh_image *image, const uint8_t *bytes, uint64_t size)
{
	struct bh_cursor cursor;
	size_t i, count = size / 4;

	image->entries = calloc(count ? count : 1, sizeof(*image->entries));
	if (!image->entries)
		return bh_error_new(BH_ERR_NOMEM, "Out of memory while reading %s.", image->path);
	bh_cursor_init(&cursor, bytes, size);
	for (i = 0; i < count; i++) {
		image->entries[i] = bh_cursor_u32(&cursor);
		if ((i > 0 && image->entries[i] <= image->entries[i - 1]) ||
		    image->entries[i] + 5ul > image->segments[0].file_size)
			return bad_image(image, "its list of patchable entries is damaged");
	}
	image->entry_count = count;
	return NULL;
}

static struct bh_error *read_reasons(struct bh_image *image, const uint8_t *bytes, uint64_t size)
{
	size_t count = size / sizeof(*image->reasons);

	image->reasons = calloc(count + 1, sizeof(*image->reasons));
	if (!image->reasons)
		return bh_error_new(BH_ERR_NOMEM, "Out of memory for a kernel image.");
	for (size_t i = 0; i < count; i++) {
		struct bh_drop_reason *reason = &image->reasons[i];
		struct bh_cursor cursor;

		bh_cursor_init(&cursor, bytes + i * sizeof(*reason), sizeof(*reason));
		reason->number = bh_cursor_u32(&cursor);
		memcpy(reason->name, bh_cursor_bytes(&cursor, sizeof(reason->name)),
		       sizeof(reason->name) - 1);
	}
	image->reason_count = count;
	return NULL;
}

/* Up to the end of the line; NULL if it has none. */
static char *copy_line(struct bh_cursor *cursor)
{
	const char *line = (const char *)cursor->bytes + cursor->offset;
	const char *end = memchr(line, '\n', bh_cursor_left(cursor));

	if (!end)
		return NULL;
	bh_cursor_bytes(cursor, end - line + 1);
	return strndup(line, end - line);
}

/* As build.sh writes them: a line with the path, one with the size in bytes, and the bytes. */
static struct bh_error *read_files(struct bh_image *image, const uint8_t *bytes, uint64_t size)
{
	struct bh_cursor cursor;

	bh_cursor_init(&cursor, bytes, size);
	while (bh_cursor_left(&cursor) > 0) {
		struct bh_image_file *files =
			realloc(image->files, (image->file_count + 1) * sizeof(*image->files));

		if (!files)
			return bh_error_new(BH_ERR_NOMEM, "Out of memory for a kernel image.");
		image->files = files;
		struct bh_image_file *file = &files[image->file_count++];

		*file = (struct bh_image_file){.path = copy_line(&cursor)};
		char *length = copy_line(&cursor), *end = length;

		if (length)
			file->size = strtoul(length, &end, 10);
		int is_number = length && end > length && !*end;

		free(length);
		if (is_number)
			file->data = bh_cursor_bytes(&cursor, file->size);
		if (!file->path || file->path[0] != '/' || !is_number || !file->data)
			return bad_image(image, "the files in it are damaged");
	}
	return NULL;
}

/* The sections that are ours, by name. */
static struct bh_error *read_section(struct bh_image *image, const char *name, uint64_t offset,
				     uint64_t size)
{
	int is_entries = !strcmp(name, ".backhop.entries");
	int is_files = !strcmp(name, ".backhop.files");
	const uint8_t *bytes;

	if (!is_entries && !is_files && strcmp(name, ".backhop.reasons") != 0)
		return NULL;
	bytes = file_range(image, offset, size);
	if (!bytes)
		return bad_image(image, "a section of it lies outside the file");
	if (is_entries)
		return image->entries ? bad_image(image, "it has two lists of patchable entries")
				      : read_entries(image, bytes, size);
	if (is_files)
		return image->files ? bad_image(image, "it has two lists of files")
				    : read_files(image, bytes, size);
	return image->reasons ? bad_image(image, "it has two lists of drop reasons")
			      : read_reasons(image, bytes, size);
}

static struct bh_error *read_sections(struct bh_image *image, const struct section_table *sections)
{
	const uint8_t *table, *names;
	uint64_t names_offset, names_size;
	struct bh_cursor cursor;
	unsigned int i;

	table = file_range(image, sections->offset, sections->count * sizeof(Elf64_Shdr));
	if (!table || sections->names >= sections->count)
		return bad_image(image, "its section headers lie outside the file");
	bh_cursor_init(&cursor, table + sections->names * sizeof(Elf64_Shdr) + 24, 16);
	names_offset = bh_cursor_u64(&cursor);
	names_size = bh_cursor_u64(&cursor);
	names = file_range(image, names_offset, names_size);
	if (!names)
		return bad_image(image, "its section names lie outside the file");
	for (i = 0; i < sections->count; i++) {
		uint32_t name;
		uint64_t address, offset, size;

		bh_cursor_init(&cursor, table + i * sizeof(Elf64_Shdr), sizeof(Elf64_Shdr));
		name = bh_cursor_u32(&cursor);
		bh_cursor_bytes(&cursor, 12); /* type, flags */
		address = bh_cursor_u64(&cursor);
		offset = bh_cursor_u64(&cursor);
		size = bh_cursor_u64(&cursor);
		if (name >= names_size || !memchr(names + name, 0, names_size - name))
			continue;
		if (!strcmp((const char *)names + name, "__ex_table")) {
			image->exceptions_address = address;
			image->exceptions_size = size;
		} else {
			BH_TRY(read_section(image, (const char *)names + name, offset, size));
		}
	}
	return NULL;
}

static struct bh_error *image_load(struct bh_image *image)
{
	struct section_table sections = {0};
	struct stat stat;
	void *bytes;

	image->fd = open(image->path, O_RDONLY | O_CLOEXEC);
	if (image->fd < 0 || fstat(image->fd, &stat) < 0)
		return bh_error_new(BH_ERR_INPUT, "The kernel image %s can't be opened: %s.",
				    image->path, strerror(errno));
	if (!S_ISREG(stat.st_mode) || stat.st_size < (off_t)sizeof(Elf64_Ehdr))
		return bad_image(image, "it is too short or no regular file");
	image->length = stat.st_size;
	bytes = mmap(NULL, image->length, PROT_READ, MAP_PRIVATE, image->fd, 0);
	if (bytes == MAP_FAILED)
		return bh_error_new(BH_ERR_MACHINE, "The kernel image %s can't be mapped: %s.",
				    image->path, strerror(errno));
	image->bytes = bytes;
	BH_TRY(read_header(image, &sections));
	BH_TRY(read_dynamic(image));
	BH_TRY(check_relocations(image));
	return read_sections(image, &sections);
}

struct bh_error *bh_image_open(const char *path, struct bh_image **image_ret)
{
	struct bh_image *image = calloc(1, sizeof(*image));
	struct bh_error *error;

	if (image)
		image->fd = -1;
	if (!image || !(image->path = strdup(path))) {
		free(image);
		return bh_error_new(BH_ERR_NOMEM, "Out of memory while opening %s.", path);
	}
	error = image_load(image);
	if (error) {
		bh_image_close(image);
		return error;
	}
	*image_ret = image;
	return NULL;
}

struct bh_error *bh_image_reopen(struct bh_image *image)
{
	image->fd = open(image->path, O_RDONLY | O_CLOEXEC);
	return image->fd >= 0
		       ? NULL
		       : bh_error_new(BH_ERR_INPUT, "The kernel image %s can't be opened: %s.",
				      image->path, strerror(errno));
}

void bh_image_close(struct bh_image *image)
{
	if (!image)
		return;
	if (image->bytes)
		munmap((void *)image->bytes, image->length);
	if (image->fd >= 0)
		close(image->fd);
	free(image->entries);
	free(image->reasons);
	for (size_t i = 0; i < image->file_count; i++)
		free(image->files[i].path);
	free(image->files);
	free(image->path);
	free(image);
}

const char *bh_image_path(const struct bh_image *image)
{
	return image->path;
}

size_t bh_image_size(const struct bh_image *image)
{
	return image->size;
}

uint64_t bh_image_entry(const struct bh_image *image)
{
	return image->entry;
}

uint64_t bh_image_dynamic(const struct bh_image *image)
{
	return image->dynamic_address;
}

size_t bh_image_text_size(const struct bh_image *image)
{
	return page_up(image->segments[0].memory_size);
}

struct bh_error *bh_image_read_text(const struct bh_image *image, void *text_ret, size_t size)
{
	const uint8_t *bytes = file_range(image, image->segments[0].offset, size);

	if (!bytes)
		return bad_image(image, "its code ends early");
	memcpy(text_ret, bytes, size);
	return NULL;
}

const uint8_t *bh_image_text(const struct bh_image *image, size_t *size_ret)
{
	*size_ret = image->segments[0].file_size;
	return file_range(image, image->segments[0].offset, *size_ret);
}

struct pointer_search {
	const struct bh_image *image;
	void (*found)(void *arg, uint64_t address);
	void *arg;
};

static void find_pointer(void *arg, uint64_t address)
{
	const struct pointer_search *search = arg;
	const uint8_t *word = address_range(search->image, address, 8);
	struct bh_cursor cursor;

	if (!word)
		return;
	bh_cursor_init(&cursor, word, 8);
	search->found(search->arg, bh_cursor_u64(&cursor));
}

/* struct exception_table_entry: distances from themselves to an instruction and to where it goes
 * on if it faults, and a number. */
static void find_fixups(const struct pointer_search *search)
{
	const struct bh_image *image = search->image;
	const uint8_t *bytes =
		address_range(image, image->exceptions_address, image->exceptions_size);
	uint64_t at = image->exceptions_address + 4;
	struct bh_cursor cursor;

	if (!bytes)
		return;
	bh_cursor_init(&cursor, bytes, image->exceptions_size);
	for (; bh_cursor_left(&cursor) >= 12; at += 12) {
		bh_cursor_u32(&cursor);
		search->found(search->arg, at + (uint64_t)(int64_t)(int32_t)bh_cursor_u32(&cursor));
		bh_cursor_u32(&cursor);
	}
}

void bh_image_pointers(const struct bh_image *image, void (*found)(void *arg, uint64_t address),
		       void *arg)
{
	struct pointer_search search = {image, found, arg};
	struct bh_cursor cursor;

	if (image->relr_size)
		for_each_relr(image, find_pointer, &search);
	if (image->rela_size) {
		bh_cursor_init(&cursor, address_range(image, image->rela_address, image->rela_size),
			       image->rela_size);
		while (bh_cursor_left(&cursor) >= sizeof(Elf64_Rela)) {
			bh_cursor_bytes(&cursor, 16); /* where, and what kind */
			found(arg, bh_cursor_u64(&cursor));
		}
	}
	find_fixups(&search);
}

const uint8_t *bh_image_build_id(const struct bh_image *image, size_t *length_ret)
{
	*length_ret = image->build_id_length;
	return image->build_id;
}

const uint32_t *bh_image_patchable_entries(const struct bh_image *image, size_t *count_ret)
{
	*count_ret = image->entry_count;
	return image->entries;
}

const struct bh_image_file *bh_image_files(const struct bh_image *image, size_t *count_ret)
{
	*count_ret = image->file_count;
	return image->files;
}

const struct bh_drop_reason *bh_image_drop_reasons(const struct bh_image *image, size_t *count_ret)
{
	*count_ret = image->reason_count;
	return image->reasons;
}

const char *bh_image_drop_reason(const struct bh_image *image, unsigned int number)
{
	for (size_t i = 0; i < image->reason_count; i++)
		if (image->reasons[i].number == number)
			return image->reasons[i].name;
	return NULL;
}

static struct bh_error *map_segment(const struct bh_image *image, const struct segment *segment,
				    uint64_t base)
{
	uint64_t start = segment->address & ~(PAGE_BYTES - 1);
	uint64_t file_end = page_up(segment->address + segment->file_size);
	uint64_t memory_end = page_up(segment->address + segment->memory_size);
	int protection = PROT_READ | (segment->writable ? PROT_WRITE : PROT_EXEC);

	if (file_end > start &&
	    mmap((void *)(base + start), file_end - start, protection, MAP_PRIVATE | MAP_FIXED,
		 image->fd, segment->offset & ~(PAGE_BYTES - 1)) == MAP_FAILED)
		goto failed;
	if (memory_end > file_end &&
	    mmap((void *)(base + file_end), memory_end - file_end, protection,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		goto failed;
	return NULL;
failed:
	return bh_error_new(BH_ERR_MACHINE, "The kernel image %s can't be mapped at 0x%lx: %s.",
			    image->path, base + start, strerror(errno));
}

static void relocate_word(void *arg, uint64_t address)
{
	uint64_t base = *(const uint64_t *)arg;
	uint64_t *word = (uint64_t *)(base + address);

	*word += base;
}

static void relocate_rela(const struct bh_image *image, uint64_t base)
{
	struct bh_cursor cursor;

	bh_cursor_init(&cursor, address_range(image, image->rela_address, image->rela_size),
		       image->rela_size);
	while (bh_cursor_left(&cursor) >= sizeof(Elf64_Rela)) {
		uint64_t address = bh_cursor_u64(&cursor);
		uint64_t info = bh_cursor_u64(&cursor);
		uint64_t value = base + bh_cursor_u64(&cursor);

		if (info == R_X86_64_RELATIVE)
			memcpy((void *)(base + address), &value, sizeof(value));
	}
}

/* The data as it is before the first instruction runs, from the file's. */
static void prepare_data(const struct bh_image *image, uint64_t base)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct segment *segment = &image->segments[i];
		uint64_t tail = segment->address + segment->file_size;

		if (segment->writable)
			memset((void *)(base + tail), 0, page_up(tail) - tail);
	}
	if (image->relr_size)
		for_each_relr(image, relocate_word, &base);
	if (image->rela_size)
		relocate_rela(image, base);
}

struct bh_error *bh_image_map(const struct bh_image *image, uint64_t address)
{
	for (size_t i = 0; i < image->segment_count; i++)
		BH_TRY(map_segment(image, &image->segments[i], address));
	prepare_data(image, address);
	return NULL;
}

void bh_image_release(const struct bh_image *image, uint64_t address)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct segment *segment = &image->segments[i];
		uint64_t start = segment->address & ~(PAGE_BYTES - 1);

		if (segment->writable)
			madvise((void *)(address + start),
				page_up(segment->address + segment->memory_size) - start,
				MADV_DONTNEED);
	}
}

void bh_image_reset(const struct bh_image *image, uint64_t address)
{
	bh_image_release(image, address);
	prepare_data(image, address);
}
