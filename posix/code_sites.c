/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places in a program's text that are changed when it is mapped.
 *
 * cpuid: programs ask the processor what it can and choose their functions by the answer, so a run
 * would differ between machines. Few processors let cpuid fault. So its two bytes become
 * "int $0x43", which faults, and traps.c answers. The two bytes also occur inside other
 * instructions: they are taken for cpuid only if a linear sweep from the function's start, as the
 * unwind table names it, meets an instruction there; without a table (static programs) the sweep
 * starts where the segment does.
 *
 * "mov $number, %eax; syscall": a trap for each system call costs a signal, and a stop when a
 * debugger watches. So the mov becomes a jump to a stub of the process, which loads the number and
 * the address behind the call, as the instruction would, and enters the host (bh_user_call in
 * entry.S). The "syscall" itself stays: a call that is restarted after a signal goes back to it, as
 * do other ways to it, and it traps as before. So nothing that the program can see moves. Where
 * something else comes before it, code_windows.c says how many instructions make room for the jump;
 * the stub has copies of them.
 *
 * Called by memory.c for each mapping of executable pages.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "posix/code_windows.h"

enum site_kind {
	SITE_CPUID,
	SITE_CALL, /* offset is that of the first instruction before it that the stub has */
};

struct site {
	uint64_t offset;
	enum site_kind kind;
	unsigned int length;	  /* SITE_CALL: bytes up to the syscall */
	struct bh_window *window; /* what they are; NULL: mov $number, %eax */
};

/* What was found in a file, in ascending order; kept for the run. */
struct bh_code_sites {
	struct bh_code_sites *next;
	const void *data; /* the file's bytes: the key */
	size_t count, capacity, calls;
	struct site *sites;
};

/* --- finding --- */

static int32_t read_i32(const uint8_t *bytes)
{
	int32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static int add_site(struct bh_code_sites *found, const struct site *site)
{
	if (found->count == found->capacity) {
		size_t capacity = found->capacity ? found->capacity * 2 : 64;
		struct site *sites = realloc(found->sites, capacity * sizeof(*sites));

		if (!sites)
			return 0;
		found->sites = sites;
		found->capacity = capacity;
	}
	found->sites[found->count++] = *site;
	found->calls += site->kind == SITE_CALL;
	return 1;
}

#define MOV_EAX	     0xb8
#define MOV_LENGTH   5
#define CALL_LENGTH  2
#define HIGHEST_CALL 0x1ff

/* Do the bytes before the syscall at offset load a plausible number into eax? Seven bytes that must
 * be right leave no room for chance; a prefix would make the first of them another instruction. */
static int is_call(const uint8_t *file, uint64_t offset, uint64_t low)
{
	const uint8_t *mov = file + offset - MOV_LENGTH;

	if (offset < low + MOV_LENGTH + 1 || mov[0] != MOV_EAX)
		return 0;
	if (read_i32(mov + 1) < 0 || read_i32(mov + 1) > HIGHEST_CALL)
		return 0;
	return (mov[-1] & 0xf0) != 0x40 && mov[-1] != 0x66;
}

static void add_window(struct bh_code_sites *found, const struct bh_window *window)
{
	struct bh_window *copy = malloc(sizeof(*copy));
	const struct site site = {window->start, SITE_CALL,
				  (unsigned int)(window->call - window->start), copy};

	if (!copy)
		return;
	*copy = *window;
	if (!add_site(found, &site))
		free(copy);
}

static void find_in_segment(struct bh_code_sites *found, const struct bh_elf *elf,
			    const struct bh_elf_segment *segment, const uint8_t *file)
{
	const uint8_t *at = file + segment->offset, *end = at + segment->file_size;
	struct bh_sweep *sweep = NULL;

	for (; at + 1 < end; at++) {
		uint64_t offset;

		at = memchr(at, 0x0f, (size_t)(end - at - 1));
		if (!at)
			break;
		offset = (uint64_t)(at - file);
		if (at[1] == 0x05 && is_call(file, offset, segment->offset)) {
			add_site(found,
				 &(struct site){offset - MOV_LENGTH, SITE_CALL, MOV_LENGTH, NULL});
			continue;
		}
		if (at[1] != 0x05 && at[1] != 0xa2)
			continue;
		if (!sweep)
			sweep = bh_sweep_create(elf, segment, file);
		if (!sweep)
			break;
		if (at[1] == 0x05)
			bh_sweep_add_call(sweep, offset);
		else if (bh_sweep_is_instruction(sweep, offset))
			add_site(found, &(struct site){offset, SITE_CPUID, 0, NULL});
	}
	for (size_t i = 0; sweep && i < bh_sweep_choose_windows(sweep); i++)
		add_window(found, bh_sweep_window(sweep, i));
	bh_sweep_destroy(sweep);
}

static int compare_sites(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void find_sites(struct bh_code_sites *found, const void *data, uint64_t size)
{
	struct bh_elf elf;
	const char *why;

	if (bh_elf_parse(data, size, &elf, &why))
		return;
	for (size_t i = 0; i < elf.segment_count; i++)
		if (elf.segments[i].prot & PROT_EXEC)
			find_in_segment(found, &elf, &elf.segments[i], data);
	if (found->count)
		qsort(found->sites, found->count, sizeof(*found->sites), compare_sites);
}

/* The sites of a file of the host, from the cache; NULL when there is no memory. */
static const struct bh_code_sites *cached_sites(struct bh_posix *posix, const void *data,
						uint64_t size)
{
	struct bh_code_sites *found;

	for (found = posix->code_sites; found; found = found->next)
		if (found->data == data)
			return found;
	found = calloc(1, sizeof(*found));
	if (!found)
		return NULL;
	found->data = data;
	find_sites(found, data, size);
	found->next = posix->code_sites;
	posix->code_sites = found;
	return found;
}

static void free_sites(struct bh_code_sites *found)
{
	for (size_t i = 0; i < found->count; i++)
		free(found->sites[i].window);
	free(found->sites);
}

void bh_code_sites_destroy(struct bh_posix *posix)
{
	while (posix->code_sites) {
		struct bh_code_sites *found = posix->code_sites;

		posix->code_sites = found->next;
		free_sites(found);
		free(found);
	}
}

static size_t count_calls(const struct bh_elf *elf, const struct bh_elf_segment *segment,
			  const uint8_t *file)
{
	struct bh_sweep *sweep = bh_sweep_create(elf, segment, file);
	size_t count = 0;

	for (uint64_t at = 0; sweep && at + 1 < segment->file_size; at++)
		if (file[segment->offset + at] == 0x0f && file[segment->offset + at + 1] == 0x05)
			count += bh_sweep_is_instruction(sweep, segment->offset + at) != 0;
	bh_sweep_destroy(sweep);
	return count;
}

void bh_code_sites_survey(const void *data, uint64_t size, size_t *calls_ret, size_t *changed_ret)
{
	struct bh_code_sites found = {0};
	struct bh_elf elf;
	const char *why;

	*calls_ret = 0;
	find_sites(&found, data, size);
	*changed_ret = found.calls;
	free_sites(&found);
	if (bh_elf_parse(data, size, &elf, &why))
		return;
	for (size_t i = 0; i < elf.segment_count; i++)
		if (elf.segments[i].prot & PROT_EXEC)
			*calls_ret += count_calls(&elf, &elf.segments[i], data);
}

/* --- changing --- */

#define STUB_SIZE 64

static void write_u32(uint8_t *to, uint64_t value)
{
	uint32_t low = (uint32_t)value;

	memcpy(to, &low, sizeof(low));
}

/* The instructions of the window; lea <behind the call>(%rip), %rcx; jmp *gate. */
static void write_stub(uint8_t *stub, const uint8_t *code, const struct site *site)
{
	uint64_t behind = (uint64_t)code + site->length + CALL_LENGTH;

	if (site->window)
		stub += bh_window_copy(stub, code, site->window);
	else
		stub = (uint8_t *)memcpy(stub, code, MOV_LENGTH) + MOV_LENGTH;
	stub[0] = 0x48;
	stub[1] = 0x8d;
	stub[2] = 0x0d;
	write_u32(stub + 3, behind - (uint64_t)(stub + 7));
	stub[7] = 0xff;
	stub[8] = 0x24;
	stub[9] = 0x25;
	write_u32(stub + 10, BH_GATE_ADDRESS);
}

/* What remains of the window is never executed. */
static void write_jump(uint8_t *window, const uint8_t *stub)
{
	window[0] = 0xe9;
	write_u32(window + 1, (uint64_t)stub - (uint64_t)(window + MOV_LENGTH));
}

/* Where so many bytes of stubs are within a jump's reach of address: *next_ret is the mark to move
 * when they are taken. 0 when there is no room. */
static uint64_t choose_stubs(struct bh_mm *mm, uint64_t address, uint64_t length,
			     uint64_t **next_ret)
{
	uint64_t *next = &mm->stubs, limit = bh_mm_base(mm) + BH_ARENA_PROGRAM;

	if (address < BH_FIXED_END) {
		next = &mm->fixed_stubs;
		limit = BH_FIXED_STUBS_END;
	} else if (address - bh_mm_base(mm) >= BH_ARENA_HIGH_TEXT) {
		next = &mm->high_stubs;
		limit = bh_mm_base(mm) + BH_ARENA_STACK;
	}
	*next_ret = next;
	if (*next + length > limit || !bh_regions_is_free(mm, *next, *next + length))
		return 0;
	return *next;
}

/* They are writable. */
static uint64_t take_stubs(struct bh_mm *mm, uint64_t address, uint64_t length)
{
	uint64_t *next, start = choose_stubs(mm, address, length, &next);

	if (!start || bh_mm_map_anonymous(mm, start, length, PROT_READ | PROT_WRITE))
		return 0;
	*next = start + length;
	return start;
}

struct change {
	struct bh_code code;
	const struct bh_code_sites *found;
	size_t first, end;   /* of the sites */
	uint64_t stub_bytes; /* whole pages */
};

/* Changed bytes are no longer the file's: they are left alone. */
static void change_site(const struct change *change, const struct site *site, uint8_t **stub)
{
	uint8_t *code = (uint8_t *)(change->code.start + (site->offset - change->code.offset));
	const uint8_t *original = (const uint8_t *)change->code.data + site->offset;

	if (site->kind == SITE_CPUID && !memcmp(code, original, 2)) {
		code[0] = BH_CPUID_TRAP_0;
		code[1] = BH_CPUID_TRAP_1;
	} else if (site->kind == SITE_CALL && *stub &&
		   !memcmp(code, original, site->length + CALL_LENGTH)) {
		write_stub(*stub, code, site);
		write_jump(code, *stub);
		*stub += STUB_SIZE;
	}
}

/* The stubs are as they will stay, and so is the text, which was fresh. */
static void keep_text(struct bh_mm *mm, const struct change *change, uint64_t stubs)
{
	const struct bh_code *code = &change->code;
	struct bh_posix *posix = mm->node->posix;
	struct bh_text *text = bh_text_find(posix, code->data, code->offset, code->length,
					    stubs ? stubs - code->start : 0);

	if (!text || bh_regions_set_text(mm, code->start, code->start + code->length, text, 0, 0) ||
	    bh_regions_set_text(mm, stubs, stubs + (stubs ? change->stub_bytes : 0), text,
				code->length, 0))
		return;
	bh_text_keep(posix, text, code->start, stubs, stubs ? change->stub_bytes : 0);
}

static void change_text(struct bh_mm *mm, const struct change *change)
{
	const struct bh_code *code = &change->code;
	uint64_t stubs = 0;
	uint8_t *stub;

	if (change->stub_bytes)
		stubs = take_stubs(mm, code->start, change->stub_bytes);
	stub = (uint8_t *)stubs;
	if (mprotect((void *)code->start, code->length, PROT_READ | PROT_WRITE)) {
		bh_posix_node_log(mm->node, "a program's text could not be changed");
		return;
	}
	for (size_t i = change->first; i < change->end; i++)
		change_site(change, &change->found->sites[i], &stub);
	mprotect((void *)code->start, code->length, code->prot);
	if (stubs) {
		uint64_t end = stubs + change->stub_bytes;

		mprotect((void *)stubs, end - stubs, PROT_READ | PROT_EXEC);
		bh_regions_protect(mm, stubs, end, PROT_READ | PROT_EXEC);
	}
	if (code->is_fresh)
		keep_text(mm, change, stubs);
}

/* Which of the sites lie in the code. A site that goes on behind it is left alone. */
static void choose_sites(struct change *change, const struct bh_code *code,
			 const struct bh_code_sites *found)
{
	size_t calls = 0;

	change->code = *code;
	change->found = found;
	while (found && change->first < found->count &&
	       found->sites[change->first].offset < code->offset)
		change->first++;
	for (change->end = change->first;
	     found && change->end < found->count &&
	     found->sites[change->end].offset + found->sites[change->end].length + CALL_LENGTH <=
		     code->offset + code->length;
	     change->end++)
		calls += found->sites[change->end].kind == SITE_CALL;
	change->stub_bytes = bh_page_up(calls * STUB_SIZE);
}

void bh_code_sites_change(struct bh_mm *mm, const struct bh_code *code)
{
	struct bh_code_sites own = {0};
	struct change change = {0};

	if (code->file) {
		choose_sites(&change, code, cached_sites(mm->node->posix, code->data, code->size));
	} else {
		find_sites(&own, code->data, code->size);
		choose_sites(&change, code, &own);
	}
	if (change.end > change.first)
		change_text(mm, &change);
	free_sites(&own);
}

int bh_code_sites_map(struct bh_mm *mm, const struct bh_code *code)
{
	struct bh_posix *posix = mm->node->posix;
	struct change change = {0};
	uint64_t stubs = 0, *next, end;
	struct bh_text *text;

	choose_sites(&change, code, cached_sites(posix, code->data, code->size));
	if (change.end == change.first)
		return 0;
	if (change.stub_bytes)
		stubs = choose_stubs(mm, code->start, change.stub_bytes, &next);
	text = bh_text_find(posix, code->data, code->offset, code->length,
			    stubs ? stubs - code->start : 0);
	if (!text || !text->is_kept)
		return 0;
	end = stubs + change.stub_bytes;
	if (bh_text_map(posix, text, code->start, code->length, code->prot, 0) ||
	    (stubs && bh_text_map(posix, text, stubs, change.stub_bytes, PROT_READ | PROT_EXEC,
				  code->length)))
		return 0;
	if (stubs) {
		const struct bh_region region = {
			.start = stubs, .end = end, .prot = PROT_READ | PROT_EXEC};

		if (bh_regions_insert(mm, &region) ||
		    bh_regions_set_text(mm, stubs, end, text, code->length, 1))
			return 0;
		*next = end;
	}
	return !bh_regions_set_text(mm, code->start, code->start + code->length, text, 0, 1);
}
