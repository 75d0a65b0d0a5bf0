/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calling functions of ours at the entries of kernel functions: see probes.h. */
#include "replayer/probes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel-lib/node.h"
#include "posix/posix.h"
#include "replayer/ticks.h"

#define PAGE 4096ull
/* Stubs lie this far below their node, in the unused end of the span before it, where those of
 * ticks.c lie in another process. */
#define STUB_DISTANCE (16ull << 20)
#define COMMON_BYTES  128u
#define STUB_BYTES    12u

struct bh_probes {
	int fd; /* the text with its jumps, then the stubs */
	uint64_t text_size, code_size;
	uint64_t code_bytes; /* of code_size, in use */
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
	uint64_t probe = (registers->reserved - common - COMMON_BYTES) / STUB_BYTES;

	bh_fp_save();
	probes->handler(probes->arg, (uint32_t)((base - BH_NODE_BASE) / BH_NODE_SPAN),
			(uint32_t)probe, registers);
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

/* file: text_size bytes of text, then the code. */
static struct bh_error *patch(struct bh_probes *probes, const struct bh_image *image, uint8_t *file,
			      const uint32_t *entries, size_t count)
{
	struct emitter emitter = {file + probes->text_size};
	int64_t stubs = -(int64_t)STUB_DISTANCE + COMMON_BYTES;

	emit_common(&emitter, probes);
	for (size_t i = 0; i < count; i++) {
		int64_t stub = stubs + (int64_t)(i * STUB_BYTES);
		uint8_t *code = file + probes->text_size + COMMON_BYTES + i * STUB_BYTES;

		if (entries[i] + BH_ENTRY_BYTES > probes->text_size ||
		    memcmp(file + entries[i], bh_entry_nop, BH_ENTRY_BYTES))
			return bh_error_new(BH_ERR_INPUT,
					    "%s: no function begins at offset %#x, where its debug "
					    "information says; build the image again",
					    bh_image_path(image), entries[i]);
		emit_branch(file + entries[i], 0xe9, entries[i], stub);		    /* jmp */
		emit_branch(code, 0xe8, stub, -(int64_t)STUB_DISTANCE);		    /* call */
		emit_branch(code + 5, 0xe9, stub + 5, entries[i] + BH_ENTRY_BYTES); /* jmp */
	}
	return NULL;
}

/* The text of the image's file, which is what nodes have mapped. */
static struct bh_error *fill(struct bh_probes *probes, const struct bh_image *image,
			     const uint32_t *entries, size_t count)
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
		error = patch(probes, image, file, entries, count);
	munmap(file, size);
	return error;
}

struct bh_error *bh_probes_create(const struct bh_image *image, const uint32_t *entries,
				  size_t count, bh_probe_handler handler, void *arg,
				  struct bh_probes **probes_ret)
{
	struct bh_probes *probes = calloc(1, sizeof(*probes));

	if (!probes)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	probes->handler = handler;
	probes->arg = arg;
	probes->text_size = (bh_image_text_size(image) + PAGE - 1) & ~(PAGE - 1);
	probes->code_bytes = COMMON_BYTES + count * STUB_BYTES;
	probes->code_size = (probes->code_bytes + PAGE - 1) & ~(PAGE - 1);
	probes->fd = -1;
	struct bh_error *error =
		probes->code_size <= STUB_DISTANCE / 2
			? fill(probes, image, entries, count)
			: bh_error_new(BH_ERR_INPUT, "%s: too many functions (%zu)",
				       bh_image_path(image), count);

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
