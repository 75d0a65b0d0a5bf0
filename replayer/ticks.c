/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counting function entries: see ticks.h. Called by copy.c. */
#include "replayer/ticks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	   4096ull
#define STUB_BYTES 24
/* The code that all stubs of an image share; the stubs follow it. */
#define COMMON_BYTES 128
/* Words in the first page of the stub area, the only writable one. */
#define SLOT_RCX    0
#define SLOT_RAX    8
#define SLOT_RETURN 16

const uint8_t bh_entry_nop[BH_ENTRY_BYTES] = {0x0f, 0x1f, 0x44, 0x00, 0x00};

struct bh_tick_state bh_tick_state;
struct bh_map_request bh_map_inbox[BH_MAP_INBOX];

/*
 * The memory file: counting text, then stub code, then the original text. In the tracee the stub
 * area is one page of slots and then the stub code.
 */
struct bh_tick_text {
	int fd;
	uint64_t text_offset, text_size, code_size;
	int64_t stub_offset;
	uint64_t trap; /* offset behind the int3 in the stub code */
	uint32_t *entries;
	size_t entry_count;
};

long bh_map_run(long count)
{
	for (long i = 0; i < count; i++) {
		const struct bh_map_request *request = &bh_map_inbox[i];
		/* Raw, because the C library's wrapper may not be entered at any moment. */
		register long r10 __asm__("r10") = request->flags;
		register long r8 __asm__("r8") = request->fd;
		register long r9 __asm__("r9") = (long)request->offset;
		long result;

		__asm__ volatile("syscall"
				 : "=a"(result)
				 : "a"(SYS_mmap), "D"(request->address), "S"(request->size),
				   "d"((long)request->protection), "r"(r10), "r"(r8), "r"(r9)
				 : "rcx", "r11", "memory");
		if (result < 0 && result > -4096)
			return result;
	}
	return 0;
}

struct emitter {
	uint8_t *at;
	int64_t address; /* of at, relative to the image's base */
};

static void emit(struct emitter *emitter, const char *bytes, size_t count)
{
	memcpy(emitter->at, bytes, count);
	emitter->at += count;
	emitter->address += (int64_t)count;
}

/* An opcode followed by a 32-bit distance to target. */
static void emit_relative(struct emitter *emitter, const char *opcode, size_t count, int64_t target)
{
	emit(emitter, opcode, count);
	int32_t distance = (int32_t)(target - (emitter->address + 4));
	emit(emitter, (const char *)&distance, 4);
}

static void emit_absolute(struct emitter *emitter, const char *opcode, size_t count,
			  const volatile void *target)
{
	uint64_t address = (uintptr_t)target;

	emit(emitter, opcode, count);
	emit(emitter, (const char *)&address, 8);
}

/*
 * Comes here from a stub with rcx saved and holding the way back. Only moves, lea, not, xchg and
 * jrcxz: none of them touches the flags.
 */
static int64_t emit_common(struct emitter *emitter, int64_t slots)
{
	emit_relative(emitter, "\x48\x89\x0d", 3, slots + SLOT_RETURN); /* mov %rcx, return */
	emit_relative(emitter, "\x48\x89\x05", 3, slots + SLOT_RAX);	/* mov %rax, rax */
	emit_absolute(emitter, "\x48\xa1", 2, &bh_tick_state.count);	/* movabs count, %rax */
	emit(emitter, "\x48\x8d\x40\x01", 4);				/* lea 1(%rax), %rax */
	emit_absolute(emitter, "\x48\xa3", 2, &bh_tick_state.count);	/* movabs %rax, count */
	emit(emitter, "\x48\x91", 2);					/* xchg %rax, %rcx */
	emit_absolute(emitter, "\x48\xa1", 2, &bh_tick_state.stop);	/* movabs stop, %rax */
	emit(emitter, "\x48\xf7\xd0", 3);				/* not %rax */
	/* rcx = count - stop - 1 + 1 */
	emit(emitter, "\x48\x8d\x4c\x01\x01", 5);		     /* lea 1(%rcx,%rax), %rcx */
	emit_relative(emitter, "\x48\x8b\x05", 3, slots + SLOT_RAX); /* mov rax, %rax */
	emit(emitter, "\xe3\x0d", 2);				     /* jrcxz 1f */
	emit_relative(emitter, "\x48\x8b\x0d", 3, slots + SLOT_RCX); /* mov rcx, %rcx */
	emit_relative(emitter, "\xff\x25", 2, slots + SLOT_RETURN);  /* jmp *return */
	emit_relative(emitter, "\x48\x8b\x0d", 3, slots + SLOT_RCX); /* 1: mov rcx, %rcx */
	emit(emitter, "\xcc", 1);				     /* int3 */
	int64_t trap = emitter->address;
	emit_relative(emitter, "\xff\x25", 2, slots + SLOT_RETURN); /* jmp *return */
	return trap;
}

static void emit_stub(struct emitter *emitter, int64_t slots, int64_t common, int64_t entry)
{
	emit_relative(emitter, "\x48\x89\x0d", 3, slots + SLOT_RCX);	   /* mov %rcx, rcx */
	emit_relative(emitter, "\x48\x8d\x0d", 3, entry + BH_ENTRY_BYTES); /* lea back, %rcx */
	emit_relative(emitter, "\xe9", 1, common);			   /* jmp common */
	emit(emitter, "\x0f\x1f\x44\x00\x00", 5);
}

static uint64_t code_size(size_t entry_count)
{
	return (COMMON_BYTES + entry_count * STUB_BYTES + PAGE - 1) & ~(PAGE - 1);
}

uint64_t bh_tick_text_stub_size(size_t entry_count)
{
	return PAGE + code_size(entry_count) + (BH_PROBE_PAGES + 1) * PAGE;
}

static struct bh_error *check_layout(const struct bh_tick_layout *layout)
{
	uint64_t previous_end = layout->text_offset;

	for (size_t i = 0; i < layout->entry_count; i++) {
		uint64_t entry = layout->entries[i];
		if (entry < previous_end ||
		    entry + BH_ENTRY_BYTES > layout->text_offset + layout->text_size)
			return bh_error_new(BH_ERR_INPUT,
					    "function entry %zu of the kernel image, at offset "
					    "%#llx, is out of order or outside its text; build the "
					    "image again",
					    i, (unsigned long long)entry);
		const uint8_t *nop = (const uint8_t *)layout->text + (entry - layout->text_offset);
		if (memcmp(nop, bh_entry_nop, BH_ENTRY_BYTES) != 0)
			return bh_error_new(
				BH_ERR_INPUT,
				"the kernel image has no five-byte NOP at offset %#llx, "
				"where its table of function entries says; build the "
				"image again",
				(unsigned long long)entry);
		previous_end = entry + BH_ENTRY_BYTES;
	}
	return NULL;
}

static void patch(const struct bh_tick_layout *layout, struct bh_tick_text *text, uint8_t *file)
{
	int64_t slots = text->stub_offset;
	int64_t common = slots + (int64_t)PAGE;
	struct emitter code = {file + text->text_size, common};

	text->trap = (uint64_t)emit_common(&code, slots);
	code.at = file + text->text_size + COMMON_BYTES;
	code.address = common + COMMON_BYTES;
	for (size_t i = 0; i < layout->entry_count; i++) {
		int64_t entry = layout->entries[i];
		struct emitter jump = {file + ((uint64_t)entry - text->text_offset), entry};
		emit_relative(&jump, "\xe9", 1, code.address);
		emit_stub(&code, slots, common, entry);
	}
}

static struct bh_error *fill_file(const struct bh_tick_layout *layout, struct bh_tick_text *text)
{
	uint64_t size = 2 * text->text_size + text->code_size;

	text->fd = memfd_create("backhop-counting-text", MFD_CLOEXEC);
	if (text->fd < 0 || ftruncate(text->fd, (off_t)size))
		return bh_error_new(BH_ERR_MACHINE,
				    "cannot create a memory file of %llu bytes (%s)",
				    (unsigned long long)size, strerror(errno));
	uint8_t *file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, text->fd, 0);
	if (file == MAP_FAILED)
		return bh_error_new(BH_ERR_NOMEM, "cannot map a memory file (%s)", strerror(errno));
	memcpy(file, layout->text, text->text_size);
	memcpy(file + text->text_size + text->code_size, layout->text, text->text_size);
	patch(layout, text, file);
	munmap(file, size);
	return NULL;
}

struct bh_error *bh_tick_text_create(const struct bh_tick_layout *layout,
				     struct bh_tick_text **text_ret)
{
	BH_TRY(check_layout(layout));
	struct bh_tick_text *text = calloc(1, sizeof(*text));
	if (!text)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	text->fd = -1;
	text->text_offset = layout->text_offset;
	text->text_size = layout->text_size;
	text->code_size = code_size(layout->entry_count);
	text->stub_offset = layout->stub_offset;
	text->entry_count = layout->entry_count;
	text->entries = calloc(layout->entry_count + 1, sizeof(*text->entries));
	struct bh_error *error = text->entries ? fill_file(layout, text)
					       : bh_error_new(BH_ERR_NOMEM, "out of memory");
	if (error) {
		bh_tick_text_destroy(text);
		return error;
	}
	memcpy(text->entries, layout->entries, layout->entry_count * sizeof(*text->entries));
	*text_ret = text;
	return NULL;
}

void bh_tick_text_destroy(struct bh_tick_text *text)
{
	if (!text)
		return;
	if (text->fd >= 0)
		close(text->fd);
	free(text->entries);
	free(text);
}

size_t bh_tick_text_requests(const struct bh_tick_text *text, uint64_t base, int is_counting,
			     struct bh_map_request requests_ret[BH_TICK_REQUESTS])
{
	uint64_t stubs = base + (uint64_t)text->stub_offset;
	int flags = MAP_PRIVATE | MAP_FIXED;

	requests_ret[0] = (struct bh_map_request){
		base + text->text_offset,
		text->text_size,
		PROT_READ | PROT_EXEC,
		flags,
		text->fd,
		is_counting ? 0 : text->text_size + text->code_size,
	};
	if (!is_counting)
		return 1;
	requests_ret[1] = (struct bh_map_request){
		stubs, PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0,
	};
	requests_ret[2] = (struct bh_map_request){
		stubs + PAGE, text->code_size, PROT_READ | PROT_EXEC,
		flags,	      text->fd,	       text->text_size,
	};
	return 3;
}

size_t bh_tick_text_find(const struct bh_tick_text *text, uint64_t offset)
{
	size_t low = 0, high = text->entry_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (text->entries[middle] < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int bh_tick_text_is_entry(const struct bh_tick_text *text, uint64_t offset)
{
	size_t number = bh_tick_text_find(text, offset);

	return number < text->entry_count && text->entries[number] == offset;
}

size_t bh_tick_text_entry_count(const struct bh_tick_text *text)
{
	return text->entry_count;
}

uint64_t bh_tick_text_entry(const struct bh_tick_text *text, size_t number)
{
	return text->entries[number];
}

int bh_tick_text_contains(const struct bh_tick_text *text, uint64_t offset)
{
	return offset >= text->text_offset && offset < text->text_offset + text->text_size;
}

uint64_t bh_tick_text_probe_pages(const struct bh_tick_text *text)
{
	return (uint64_t)text->stub_offset + PAGE + text->code_size;
}

uint64_t bh_tick_text_over_page(const struct bh_tick_text *text)
{
	return bh_tick_text_probe_pages(text) + BH_PROBE_PAGES * PAGE;
}

uint64_t bh_tick_text_trap(const struct bh_tick_text *text)
{
	return text->trap;
}

uint64_t bh_tick_text_return_slot(const struct bh_tick_text *text)
{
	return (uint64_t)text->stub_offset + SLOT_RETURN;
}
