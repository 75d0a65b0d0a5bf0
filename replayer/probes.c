/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calling functions of ours at the entries of kernel functions: see probes.h. */
#include "replayer/probes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel-lib/node.h"
#include "posix/posix.h"
#include "replayer/ticks.h"
#include "simulator/gate.h"

#define PAGE 4096ull
/* Stubs lie this far below their node, in the unused end of the span before it, where those of
 * ticks.c lie in another process. */
#define STUB_DISTANCE (16ull << 20)
#define COMMON_BYTES  128u
#define COUNT_BYTES   15u /* of a stub that counts, */
#define CALL_BYTES    5u  /* that calls a handler, … */
#define STUB_BYTES    32u

struct bh_probes {
	int fd; /* the text with its jumps, then the stubs */
	uint64_t text_size, code_size;
	uint32_t *numbers; /* of the probe, by stub */
	uint64_t counted;  /* 0, or COUNT_BYTES */
	bh_probe_handler handler;
	void *arg;
};

struct emitter {
	uint8_t *at;
};

static void emit(struct emitter *emitter, const char *bytes, size_t count)
{
	memcpy(emitter->at, bytes, count);
	emitter->at += count;
}

static void emit_word(struct emitter *emitter, uint64_t word)
{
	emit(emitter, (const char *)&word, sizeof(word));
}

/* An instruction of five bytes at address (relative to the image) that leads to target. */
static void emit_branch(uint8_t *at, uint8_t opcode, int64_t address, int64_t target)
{
	int32_t distance = (int32_t)(target - (address + 5));

	at[0] = opcode;
	memcpy(at + 1, &distance, sizeof(distance));
}

/*
 * Entered from the code that all stubs share, which has saved what a function may change. common:
 * its address in this node. The registers lie on the stack.
 */
static __attribute__((target("general-regs-only"))) void
enter(const struct bh_probe_registers *registers, struct bh_probes *probes, uint64_t common)
{
	uint64_t base = common + STUB_DISTANCE;
	/* Behind the call in the stub. */
	uint64_t stub = (registers->stub_return - common - COMMON_BYTES) / STUB_BYTES;

	bh_fp_save();
	probes->handler(probes->arg, (uint32_t)((base - BH_NODE_BASE) / BH_NODE_SPAN),
			probes->numbers[stub], registers);
}

/* At a function's entry neither flags nor the bytes below the stack pointer mean anything. */
static void emit_common(struct emitter *emitter, struct bh_probes *probes)
{
	const uint8_t *begin = emitter->at;

	emit(emitter, "\x50\x51\x52\x56\x57", 5);	      /* push rax, rcx, rdx, rsi, rdi */
	emit(emitter, "\x41\x50\x41\x51\x41\x52\x41\x53", 8); /* push r8, r9, r10, r11 */
	emit(emitter, "\x48\x89\xe7", 3);		      /* mov %rsp, %rdi */
	emit(emitter, "\x48\x83\xec\x08", 4);		      /* sub $8, %rsp */
	emit(emitter, "\x48\xbe", 2);			      /* movabs probes, %rsi */
	emit_word(emitter, (uintptr_t)probes);
	emit(emitter, "\x48\x8d\x15", 3); /* lea begin(%rip), %rdx */
	int32_t distance = (int32_t)(begin - (emitter->at + 4));

	emit(emitter, (const char *)&distance, sizeof(distance));
	emit(emitter, "\x48\xb8", 2); /* movabs enter, %rax */
	emit_word(emitter, (uintptr_t)enter);
	emit(emitter, "\xff\xd0", 2);			      /* call *%rax */
	emit(emitter, "\x48\x83\xc4\x08", 4);		      /* add $8, %rsp */
	emit(emitter, "\x41\x5b\x41\x5a\x41\x59\x41\x58", 8); /* pop r11, r10, r9, r8 */
	emit(emitter, "\x5f\x5e\x5a\x59\x58", 5);	      /* pop rdi, rsi, rdx, rcx, rax */
	emit(emitter, "\xc3", 1);			      /* ret */
}

uint64_t bh_probe_argument(const struct bh_probe_registers *registers, unsigned int number)
{
	const uint64_t arguments[] = {registers->rdi, registers->rsi, registers->rdx,
				      registers->rcx, registers->r8,  registers->r9};

	return number < 6 ? arguments[number] : 0;
}

/* What to do at one function's entry. code: where its stub is written, stub: where it will be. */
static void emit_stub(const struct bh_probes *probes, uint8_t *code, int64_t stub, int64_t entry,
		      int is_probed)
{
	struct emitter emitter = {code};
	uint64_t at = probes->counted;

	if (probes->counted) {
		emit(&emitter, "\x50\x48\xb8", 3); /* push %rax; movabs tick, %rax */
		emit_word(&emitter, (uintptr_t)&bh_gate.tick);
		emit(&emitter, "\x48\xff\x00\x58", 4); /* incq (%rax); pop %rax */
	}
	if (is_probed) {
		emit_branch(code + at, 0xe8, stub + (int64_t)at, -(int64_t)STUB_DISTANCE);
		at += CALL_BYTES;
	}
	emit_branch(code + at, 0xe9, stub + (int64_t)at, entry + BH_ENTRY_BYTES);
}

/* file: text_size bytes of text, then the code. patched: the entries that get a stub, of which
 * those in `entries` are probed; both ascend. */
static struct bh_error *patch(struct bh_probes *probes, const struct bh_image *image, uint8_t *file,
			      const uint32_t *patched, size_t patched_count,
			      const uint32_t *entries, size_t count)
{
	struct emitter emitter = {file + probes->text_size};
	size_t probe = 0;

	emit_common(&emitter, probes);
	for (size_t i = 0; i < patched_count; i++) {
		uint64_t offset = COMMON_BYTES + i * STUB_BYTES;
		int64_t stub = (int64_t)offset - (int64_t)STUB_DISTANCE;
		int is_probed = probe < count && entries[probe] == patched[i];

		if (patched[i] + BH_ENTRY_BYTES > probes->text_size ||
		    memcmp(file + patched[i], bh_entry_nop, BH_ENTRY_BYTES))
			return bh_error_new(
				BH_ERR_INPUT,
				"%s: no function begins at offset %#x, where its tables "
				"say; build the image again",
				bh_image_path(image), patched[i]);
		emit_branch(file + patched[i], 0xe9, patched[i], stub);
		emit_stub(probes, file + probes->text_size + offset, stub, patched[i], is_probed);
		probes->numbers[i] = (uint32_t)probe;
		probe += is_probed;
	}
	assert(probe == count);
	return NULL;
}

/* The text of the image's file, which is what nodes have mapped. */
static struct bh_error *fill(struct bh_probes *probes, const struct bh_image *image,
			     const uint32_t *patched, size_t patched_count, const uint32_t *entries,
			     size_t count)
{
	uint64_t size = probes->text_size + probes->code_size;

	probes->fd = memfd_create("backhop-probed-text", MFD_CLOEXEC);
	if (probes->fd < 0 || ftruncate(probes->fd, (off_t)size))
		return bh_error_new(BH_ERR_MACHINE,
				    "cannot create a memory file of %llu bytes (%s)",
				    (unsigned long long)size, strerror(errno));
	uint8_t *file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, probes->fd, 0);

	if (file == MAP_FAILED)
		return bh_error_new(BH_ERR_NOMEM, "cannot map a memory file (%s)", strerror(errno));
	struct bh_error *error = bh_image_read_text(image, file, probes->text_size);

	if (!error)
		error = patch(probes, image, file, patched, patched_count, entries, count);
	munmap(file, size);
	return error;
}

struct bh_error *bh_probes_create(const struct bh_image *image, const uint32_t *entries,
				  size_t count, int counts, bh_probe_handler handler, void *arg,
				  struct bh_probes **probes_ret)
{
	struct bh_probes *probes = calloc(1, sizeof(*probes));
	size_t patched_count = count;
	const uint32_t *patched =
		counts ? bh_image_patchable_entries(image, &patched_count) : entries;

	if (!probes)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	probes->handler = handler;
	probes->arg = arg;
	probes->counted = counts ? COUNT_BYTES : 0;
	probes->text_size = (bh_image_text_size(image) + PAGE - 1) & ~(PAGE - 1);
	probes->code_size = (COMMON_BYTES + patched_count * STUB_BYTES + PAGE - 1) & ~(PAGE - 1);
	probes->fd = -1;
	probes->numbers = calloc(patched_count + 1, sizeof(*probes->numbers));
	struct bh_error *error = NULL;

	if (!probes->numbers)
		error = bh_error_new(BH_ERR_NOMEM, "out of memory");
	else if (probes->code_size > STUB_DISTANCE / 2)
		error = bh_error_new(BH_ERR_INPUT, "%s: too many functions (%zu)",
				     bh_image_path(image), patched_count);
	else
		error = fill(probes, image, patched, patched_count, entries, count);
	if (error) {
		bh_probes_destroy(probes);
		return error;
	}
	*probes_ret = probes;
	return NULL;
}

void bh_probes_destroy(struct bh_probes *probes)
{
	if (!probes)
		return;
	if (probes->fd >= 0)
		close(probes->fd);
	free(probes->numbers);
	free(probes);
}

struct bh_error *bh_probes_plant(struct bh_probes *probes, struct bh_node *node)
{
	char *base = (char *)bh_node_base(node);
	int flags = MAP_PRIVATE | MAP_FIXED, protection = PROT_READ | PROT_EXEC;

	if (mmap(base - STUB_DISTANCE, probes->code_size, protection, flags, probes->fd,
		 (off_t)probes->text_size) == MAP_FAILED ||
	    mmap(base, probes->text_size, protection, flags, probes->fd, 0) == MAP_FAILED)
		return bh_error_new(BH_ERR_NOMEM, "cannot map a memory file (%s)", strerror(errno));
	return NULL;
}
