/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Becoming the process of a snapshot: see snapshot.h. Called by replayer/ in a fork of its own.
 *
 * While memory is exchanged nothing of it can be used: no C library, no thread pointer, no table of
 * addresses. So all that is to be done is written down first, as a list of system calls, in memory
 * at a place that neither process has, and a loop that needs nothing else performs it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "snapshots/internal.h"

#define PAGE BH_SNAPSHOT_PAGE
/* Where the plan may lie; tried from here on downwards. */
#define PLAN_AT	    0x7e0000000000ull
#define PLAN_STEP   0x010000000000ull
#define PLAN_TRIES  16
#define STACK_BYTES 65536ul
#define VECTORS_MAX 256u /* of one preadv() */
#define FILES_MAX   400u /* that are mapped */

struct call {
	long number, arguments[6];
	long least; /* a result below this is a failure */
};

struct plan {
	struct call *calls;
	size_t call_count, call_room;
	struct iovec *vectors;
	size_t vector_count, vector_room;
	struct {
		const char *path;
		int fd;
	} files[FILES_MAX];
	size_t file_count;
	char message[BH_SNAPSHOT_MESSAGE];
	uint8_t *memory; /* that all this lies in */
	size_t size;
	int is_full;
};

/* --- performing it --- */

static inline __attribute__((always_inline)) long perform(const struct call *call)
{
	register long r10 __asm__("r10") = call->arguments[3];
	register long r8 __asm__("r8") = call->arguments[4];
	register long r9 __asm__("r9") = call->arguments[5];
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(call->number), "D"(call->arguments[0]), "S"(call->arguments[1]),
			   "d"(call->arguments[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static __attribute__((noreturn, noinline, used, no_stack_protector)) void
become(const struct plan *plan)
{
	static const struct call failed = {SYS_exit_group, {125}, 0};
	volatile char *message = bh_snapshot_message;
	struct bh_snapshot_context *context = &bh_snapshot_context;

	for (size_t i = 0; i < plan->call_count; i++)
		if (perform(&plan->calls[i]) < plan->calls[i].least)
			perform(&failed);
	for (size_t i = 0; i < sizeof(plan->message); i++)
		message[i] = plan->message[i];
	bh_snapshot_context_load(context);
}

/* --- writing it down --- */

static void add(struct plan *plan, long number, long a, long b, long c, long d, long e, long least)
{
	if (plan->call_count == plan->call_room) {
		plan->is_full = 1;
		return;
	}
	plan->calls[plan->call_count++] = (struct call){number, {a, b, c, d, e, 0}, least};
}

static void add_mmap(struct plan *plan, uint64_t start, uint64_t end, unsigned int protection,
		     int fd, uint64_t offset)
{
	const long flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0);

	add(plan, SYS_mmap, (long)start, (long)(end - start), (long)protection, flags, fd, 0);
	if (plan->call_count)
		plan->calls[plan->call_count - 1].arguments[5] = (long)offset;
}

static void add_protection(struct plan *plan, const struct bh_snapshot_map *map,
			   unsigned int protection)
{
	add(plan, SYS_mprotect, (long)map->start, (long)(map->end - map->start), (long)protection,
	    0, 0, 0);
}

/* What there is now and won't be any more. */
static int plan_leaving(struct plan *plan)
{
	struct bh_snapshot_maps now = {0};
	int status = bh_snapshot_maps_read(&now);

	for (size_t i = 0; !status && i < now.count; i++) {
		const struct bh_snapshot_map *map = &now.maps[i];
		long start = (long)map->start, size = (long)(map->end - map->start);

		if (map->kind == BH_MAP_HOST || start == (long)plan->memory)
			continue;
		/* Of what stays, the pages of this process's own go. */
		if (map->kind >= BH_MAP_EXECUTABLE)
			add(plan, SYS_madvise, start, size, MADV_DONTNEED, 0, 0, 0);
		else
			add(plan, SYS_munmap, start, size, 0, 0, 0, 0);
	}
	bh_snapshot_maps_free(&now);
	return status;
}

/* A descriptor that the plan closes at its end, or -1. */
static int open_mapped(struct plan *plan, const struct bh_snapshot_map *map, const char *path)
{
	for (size_t i = plan->file_count; i-- > 0;)
		if (!strcmp(plan->files[i].path, path))
			return plan->files[i].fd;
	if (plan->file_count == FILES_MAX || !bh_snapshot_map_is_same(map, path))
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0) {
		plan->files[plan->file_count].path = path;
		plan->files[plan->file_count++].fd = fd;
	}
	return fd;
}

static void close_mapped(const struct plan *plan)
{
	for (size_t i = 0; i < plan->file_count; i++)
		close(plan->files[i].fd);
}

/* Whether any run lies in the map; runs ascend, and *run_io is the first that may. */
static int has_pages(const struct bh_snapshot_run *runs, size_t count, size_t *run_io,
		     const struct bh_snapshot_map *map)
{
	while (*run_io < count && runs[*run_io].address + runs[*run_io].count * PAGE <= map->start)
		++*run_io;
	return *run_io < count && runs[*run_io].address < map->end;
}

/* Maps it, writable as long as there is something to be read into it. */
static int plan_map(struct plan *plan, const struct bh_snapshot_map *map, const char *text,
		    int is_written)
{
	int fd;
	unsigned int protection =
		is_written ? (unsigned int)(PROT_READ | PROT_WRITE) : map->protection;

	switch (map->kind) {
	case BH_MAP_FILE:
		fd = open_mapped(plan, map, text + map->path);
		if (fd < 0)
			return -1;
		add_mmap(plan, map->start, map->end, protection, fd, map->offset);
		return 0;
	case BH_MAP_MEMORY:
		add_mmap(plan, map->start, map->end, protection, -1, 0);
		if (map->is_tracked)
			add(plan, SYS_madvise, (long)map->start, (long)(map->end - map->start),
			    MADV_NOHUGEPAGE, 0, 0, -4095);
		return 0;
	case BH_MAP_HEAP:
		add(plan, SYS_brk, (long)map->end, 0, 0, 0, 0, (long)map->end);
		return 0;
	case BH_MAP_EXECUTABLE:
		if (is_written)
			add_protection(plan, map, protection);
		return 0;
	default:
		return 0;
	}
}

/* Where the stack must reach and doesn't yet. */
static void plan_stack(struct plan *plan, const struct bh_snapshot_map *map)
{
	struct bh_snapshot_maps now = {0};

	if (!bh_snapshot_maps_read(&now))
		for (size_t i = 0; i < now.count; i++)
			if (now.maps[i].kind == BH_MAP_STACK && now.maps[i].start > map->start)
				add_mmap(plan, map->start, now.maps[i].start,
					 PROT_READ | PROT_WRITE, -1, 0);
	bh_snapshot_maps_free(&now);
}

static void plan_read(struct plan *plan, int fd, const struct bh_snapshot_run *run)
{
	struct call *last = plan->call_count ? &plan->calls[plan->call_count - 1] : NULL;
	long size = (long)(run->count * PAGE);

	if (plan->vector_count == plan->vector_room) {
		plan->is_full = 1;
		return;
	}
	struct iovec *vector = &plan->vectors[plan->vector_count++];

	*vector = (struct iovec){(void *)run->address, (size_t)size};
	/* Next to the former one in the file: one call for both. */
	if (last && last->number == SYS_preadv && last->arguments[2] < (long)VECTORS_MAX &&
	    last->arguments[3] + last->least == (long)run->at) {
		last->arguments[2]++;
		last->least += size;
		return;
	}
	add(plan, SYS_preadv, fd, (long)vector, 1, (long)run->at, 0, size);
}

/* The pages. Memory of no file is zero already. */
static void plan_pages(struct plan *plan, const struct bh_snapshot_file *file,
		       const struct bh_snapshot_entry *entry)
{
	const struct bh_snapshot_map *maps = (const void *)(file->index + entry->maps);
	const struct bh_snapshot_run *runs = (const void *)(file->index + entry->runs);
	size_t map = 0;

	for (size_t i = 0; i < entry->run_count; i++) {
		const struct bh_snapshot_run *run = &runs[i];
		uint64_t end = run->address + run->count * PAGE;

		if (run->at) {
			plan_read(plan, file->fd, run);
			continue;
		}
		for (; map < entry->map_count && maps[map].start < end; map++) {
			if (maps[map].end <= run->address)
				continue;
			uint64_t from =
				maps[map].start > run->address ? maps[map].start : run->address;
			uint64_t to = maps[map].end < end ? maps[map].end : end;

			if (maps[map].kind == BH_MAP_FILE || maps[map].kind == BH_MAP_EXECUTABLE)
				add_mmap(plan, from, to, PROT_READ | PROT_WRITE, -1, 0);
			if (maps[map].end > end)
				break;
		}
	}
}

static int plan_maps(struct plan *plan, const struct bh_snapshot_file *file,
		     const struct bh_snapshot_entry *entry)
{
	const struct bh_snapshot_index *head = (const void *)file->index;
	const struct bh_snapshot_map *maps = (const void *)(file->index + entry->maps);
	const struct bh_snapshot_run *runs = (const void *)(file->index + entry->runs);
	const char *text = (const char *)file->index + head->text;
	size_t run = 0;

	for (size_t i = 0; i < entry->map_count; i++) {
		int is_written = has_pages(runs, entry->run_count, &run, &maps[i]);

		if (maps[i].kind == BH_MAP_STACK)
			plan_stack(plan, &maps[i]);
		if (plan_map(plan, &maps[i], text, is_written))
			return -1;
	}
	plan_pages(plan, file, entry);
	run = 0;
	for (size_t i = 0; i < entry->map_count; i++) {
		int is_written = has_pages(runs, entry->run_count, &run, &maps[i]);

		if (is_written && maps[i].protection != (PROT_READ | PROT_WRITE))
			add_protection(plan, &maps[i], maps[i].protection);
	}
	for (size_t i = 0; i < plan->file_count; i++)
		add(plan, SYS_close, plan->files[i].fd, 0, 0, 0, 0, 0);
	return 0;
}

/* --- memory for it --- */

static int is_free_of(const struct bh_snapshot_file *file, const struct bh_snapshot_entry *entry,
		      uint64_t start, uint64_t size)
{
	const struct bh_snapshot_map *maps = (const void *)(file->index + entry->maps);

	for (size_t i = 0; i < entry->map_count; i++)
		if (maps[i].start < start + size && maps[i].end > start)
			return 0;
	return 1;
}

static struct plan *create_plan(const struct bh_snapshot_file *file,
				const struct bh_snapshot_entry *entry)
{
	struct bh_snapshot_maps now = {0};
	size_t calls = 64 + FILES_MAX, vectors = entry->run_count + 1;

	if (bh_snapshot_maps_read(&now))
		return NULL;
	calls += now.count + 5 * entry->map_count + 2 * entry->run_count;
	bh_snapshot_maps_free(&now);
	size_t size = sizeof(struct plan) + calls * sizeof(struct call) +
		      vectors * sizeof(struct iovec) + STACK_BYTES + PAGE;

	size = (size + PAGE - 1) & ~(PAGE - 1);
	for (int i = 0; i < PLAN_TRIES; i++) {
		uint64_t at = PLAN_AT - (uint64_t)i * PLAN_STEP;

		if (!is_free_of(file, entry, at, size))
			continue;
		struct plan *plan = mmap((void *)at, size, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (plan == MAP_FAILED)
			continue;
		plan->memory = (uint8_t *)plan;
		plan->size = size;
		plan->calls = (struct call *)(plan + 1);
		plan->call_room = calls;
		plan->vectors = (struct iovec *)(plan->calls + calls);
		plan->vector_room = vectors;
		return plan;
	}
	return NULL;
}

void bh_snapshot_restore(const struct bh_snapshot_file *file, size_t number, const char *message)
{
	const struct bh_snapshot_entry *entry = &file->entries[number];
	struct plan *plan = create_plan(file, entry);

	if (!plan)
		return;
	strncpy(plan->message, message, sizeof(plan->message) - 1);
	if (plan_leaving(plan) || plan_maps(plan, file, entry) || plan->is_full) {
		close_mapped(plan);
		munmap(plan->memory, plan->size);
		return;
	}
	uint8_t *stack = plan->memory + plan->size - 64;

	__asm__ volatile("movq %0, %%rsp\n\t"
			 "movq %1, %%rdi\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "call *%2"
			 :
			 : "r"(stack), "r"(plan), "r"(become)
			 : "rdi", "memory");
	__builtin_unreachable();
}
