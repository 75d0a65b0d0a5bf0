/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking snapshots: see snapshot.h. Called by recorder/, between two events.
 *
 * The first one writes all pages that are the process's own, each later one those that were written
 * since. Which these are the host tells of tracked memory: after each snapshot a forked process,
 * the witness, does nothing but share all pages, and those that only one process has by the next
 * time (bit 56 of /proc/PID/pagemap, Documentation/admin-guide/mm/pagemap.rst) were written.
 * Elsewhere, where pages may be huge and the host answers for a whole one, hashes are compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cache.h"
#include "common/cursor.h"
#include "common/hash.h"
#include "common/raw_call.h"
#include "common/unsaved.h"
#include "snapshots/internal.h"

#define PAGE	      BH_SNAPSHOT_PAGE
#define PAGEMAP_COUNT 65536u /* entries that are read at once */
#define BATCH	      256u   /* pages that are written at once */
#define LARGE_BYTES   (256u << 10)

#define PAGE_IS_PRESENT	  (1ull << 63)
#define PAGE_IS_SWAPPED	  (1ull << 62)
#define PAGE_IS_OF_FILE	  (1ull << 61) /* or shared */
#define PAGE_IS_EXCLUSIVE (1ull << 56)

/* A page of the process's own. */
struct page {
	uint64_t address; /* with the flags below */
	uint64_t hash;	  /* 0: unknown */
	uint64_t at;	  /* in the file; 0: zeros */
};

#define MAY_BE_SAME 1u /* tracked, and not written since the last snapshot */
#define UNREADABLE  2u /* for the process itself */
#define FLAGS	    (PAGE - 1)

struct pages {
	struct page *pages; /* ascending */
	size_t count, room;
};

/* What was taken so far, for the index. */
struct taken {
	uint64_t label, cost_ns;
	struct bh_snapshot_maps maps;
	struct bh_snapshot_run *runs;
	size_t run_count;
};

struct bh_snapshots {
	struct bh_snapshots_config config;
	char *folder;
	int fd, pagemap, memory;
	uint64_t size; /* of the file */
	uint64_t *entries;
	struct pages now, former;
	struct bh_snapshot_run *runs; /* as many as now has pages */
	size_t run_room;
	struct iovec batch[BATCH];
	unsigned int batch_count;
	uint8_t *bounce; /* BATCH pages: of unreadable ones */
	pid_t witness;
	int is_over; /* no more can be taken */
	struct taken *taken;
	size_t taken_count;
};

/* --- life --- */

struct bh_snapshots *bh_snapshots_create(const struct bh_snapshots_config *config)
{
	struct bh_snapshots *snapshots = calloc(1, sizeof(*snapshots));
	uint8_t place[16];

	if (!snapshots)
		return NULL;
	snapshots->config = *config;
	snapshots->folder = strdup(config->folder);
	snapshots->fd = open(config->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	snapshots->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	snapshots->memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	snapshots->size = PAGE;
	snapshots->entries = bh_unsaved_alloc(PAGEMAP_COUNT * sizeof(*snapshots->entries));
	snapshots->bounce = bh_unsaved_alloc(BATCH * PAGE);
	if (snapshots->folder && snapshots->fd >= 0 && snapshots->pagemap >= 0 &&
	    snapshots->memory >= 0 && snapshots->entries && snapshots->bounce &&
	    !bh_snapshot_place(place))
		return snapshots;
	bh_snapshots_destroy(snapshots);
	return NULL;
}

static void dismiss_witness(pid_t witness)
{
	if (witness <= 0)
		return;
	kill(witness, SIGKILL);
	while (waitpid(witness, NULL, 0) < 0 && errno == EINTR)
		;
}

void bh_snapshots_destroy(struct bh_snapshots *snapshots)
{
	if (!snapshots)
		return;
	dismiss_witness(snapshots->witness);
	const int descriptors[] = {snapshots->fd, snapshots->pagemap, snapshots->memory};

	for (size_t i = 0; i < 3; i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	bh_unsaved_free(snapshots->entries);
	bh_unsaved_free(snapshots->bounce);
	bh_unsaved_free(snapshots->now.pages);
	bh_unsaved_free(snapshots->former.pages);
	bh_unsaved_free(snapshots->runs);
	for (size_t i = 0; i < snapshots->taken_count; i++) {
		bh_snapshot_maps_free(&snapshots->taken[i].maps);
		free(snapshots->taken[i].runs);
	}
	free(snapshots->taken);
	free(snapshots->folder);
	free(snapshots);
}

/* --- which pages --- */

/* Whole mappings: what is left out of a fork is mapped apart from everything else. */
static int is_unsaved(const struct bh_snapshot_map *map)
{
	size_t size;

	for (size_t i = 0;; i++) {
		const void *block = bh_unsaved_block(i, &size);

		if (!block)
			return 0;
		if (map->start >= (uintptr_t)block && map->start < (uintptr_t)block + size)
			return 1;
	}
}

static int add_page(struct pages *pages, uint64_t address)
{
	if (pages->count == pages->room) {
		size_t room = 2 * pages->room + 16384;
		struct page *grown = bh_unsaved_alloc(room * sizeof(*grown));

		if (!grown)
			return -1;
		if (pages->count)
			memcpy(grown, pages->pages, pages->count * sizeof(*grown));
		bh_unsaved_free(pages->pages);
		pages->pages = grown;
		pages->room = room;
	}
	pages->pages[pages->count++] = (struct page){.address = address};
	return 0;
}

static int collect_page(struct bh_snapshots *snapshots, const struct bh_snapshot_map *map,
			uint64_t address, uint64_t entry)
{
	int is_own = entry & (PAGE_IS_PRESENT | PAGE_IS_SWAPPED) && !(entry & PAGE_IS_OF_FILE);
	/* Behind the end of a file there is nothing, which reading through the host tells. */
	uint64_t flags = map->protection & PROT_READ && !map->is_whole ? 0 : UNREADABLE;

	if (!is_own && !map->is_whole)
		return 0;
	if (map->is_tracked && entry & PAGE_IS_PRESENT && !(entry & PAGE_IS_EXCLUSIVE) &&
	    !map->is_whole)
		flags |= MAY_BE_SAME;
	return add_page(&snapshots->now, address | flags);
}

static int collect_map(struct bh_snapshots *snapshots, const struct bh_snapshot_map *map)
{
	uint64_t address = map->start;

	while (address < map->end) {
		size_t count = (map->end - address) / PAGE;

		if (count > PAGEMAP_COUNT)
			count = PAGEMAP_COUNT;
		if (pread(snapshots->pagemap, snapshots->entries, count * 8,
			  (off_t)(address / PAGE * 8)) != (ssize_t)(count * 8))
			return -1;
		for (size_t i = 0; i < count; i++, address += PAGE)
			if (collect_page(snapshots, map, address, snapshots->entries[i]))
				return -1;
	}
	return 0;
}

/* Fills `now` and makes room for its runs. */
static int collect(struct bh_snapshots *snapshots, struct bh_snapshot_maps *maps)
{
	snapshots->now.count = 0;
	for (size_t i = 0; i < maps->count; i++) {
		struct bh_snapshot_map *map = &maps->maps[i];

		map->is_tracked = map->start >= snapshots->config.tracked_start &&
				  map->end <= snapshots->config.tracked_end;
		if (map->kind == BH_MAP_HOST || is_unsaved(map))
			continue;
		if (collect_map(snapshots, map))
			return -1;
	}
	if (snapshots->run_room < snapshots->now.count) {
		bh_unsaved_free(snapshots->runs);
		snapshots->run_room = snapshots->now.room;
		snapshots->runs = bh_unsaved_alloc(snapshots->run_room * sizeof(*snapshots->runs));
	}
	return snapshots->runs ? 0 : -1;
}

/* --- their contents: from here on nothing of what is saved may change, but for this part's own
 * memory and the stack below its caller's --- */

static int flush(struct bh_snapshots *snapshots)
{
	uint64_t length = snapshots->batch_count * PAGE;

	snapshots->batch_count = 0;
	if (!length)
		return 0;
	ssize_t written = pwritev(snapshots->fd, snapshots->batch, (int)(length / PAGE),
				  (off_t)(snapshots->size - length));
	return written == (ssize_t)length ? 0 : -1;
}

static int is_zero(const uint8_t *bytes)
{
	for (size_t i = 0; i < PAGE; i += 8) {
		uint64_t word;

		memcpy(&word, bytes + i, sizeof(word));
		if (word)
			return 0;
	}
	return 1;
}

/* Decides whether the page is as in the former snapshot (former: the page there, or NULL). */
static int save_page(struct bh_snapshots *snapshots, struct page *page, const struct page *former)
{
	uint64_t address = page->address & ~FLAGS;
	uint8_t *bytes = (uint8_t *)address;

	if (page->address & UNREADABLE) {
		bytes = snapshots->bounce + snapshots->batch_count * PAGE;
		if (pread(snapshots->memory, bytes, PAGE, (off_t)address) != (ssize_t)PAGE)
			return -1;
	}
	/* The zero page isn't this process's alone, either. */
	int may_be_zero = !former || former->at || !(page->address & MAY_BE_SAME);

	page->at = page->hash = 0;
	if (may_be_zero && is_zero(bytes))
		return 0;
	if (former && page->address & MAY_BE_SAME) {
		page->at = former->at;
		return 0;
	}
	if (address < snapshots->config.tracked_start || address >= snapshots->config.tracked_end)
		page->hash = bh_hash64(bytes, PAGE);
	if (former && page->hash && former->hash == page->hash) {
		page->at = former->at;
		return 0;
	}
	page->at = snapshots->size;
	snapshots->size += PAGE;
	snapshots->batch[snapshots->batch_count++] = (struct iovec){bytes, PAGE};
	return snapshots->batch_count == BATCH ? flush(snapshots) : 0;
}

static int save(struct bh_snapshots *snapshots)
{
	const struct pages *before = &snapshots->former;
	size_t former = 0;

	for (size_t i = 0; i < snapshots->now.count; i++) {
		struct page *page = &snapshots->now.pages[i];
		uint64_t address = page->address & ~FLAGS;

		while (former < before->count && (before->pages[former].address & ~FLAGS) < address)
			former++;
		int was_there = former < before->count &&
				(before->pages[former].address & ~FLAGS) == address;
		if (save_page(snapshots, page, was_there ? &before->pages[former] : NULL))
			return -1;
	}
	return flush(snapshots);
}

/* --- after that --- */

/* Large memory that isn't tracked: sharing it would only cost a copy of each page that is written.
 * The witness needs a stack. */
static void advise_large(const struct bh_snapshots *snapshots, const struct bh_snapshot_maps *maps,
			 int advice)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct bh_snapshot_map *map = &maps->maps[i];
		uint64_t size = map->end - map->start;

		if (map->kind == BH_MAP_MEMORY && size >= LARGE_BYTES && !is_unsaved(map) &&
		    !map->is_tracked)
			madvise((void *)map->start, size, advice);
	}
}

/* Returns in the parent only. */
static pid_t call_witness(void)
{
	sigset_t all, former;
	pid_t parent = getpid();

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &former);
	long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!child) {
		bh_raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
		if (bh_raw_call(SYS_getppid, 0, 0, 0) != parent)
			bh_raw_call(SYS_exit_group, 0, 0, 0);
		for (;;)
			bh_raw_call(SYS_pause, 0, 0, 0);
	}
	sigprocmask(SIG_SETMASK, &former, NULL);
	return child > 0 ? (pid_t)child : -1;
}

static size_t join_runs(const struct pages *pages, struct bh_snapshot_run *runs)
{
	size_t count = 0;

	for (size_t i = 0; i < pages->count; i++) {
		uint64_t address = pages->pages[i].address & ~FLAGS, at = pages->pages[i].at;
		struct bh_snapshot_run *last = count ? &runs[count - 1] : NULL;

		if (last && last->address + last->count * PAGE == address &&
		    (at ? last->at && last->at + last->count * PAGE == at : !last->at))
			last->count++;
		else
			runs[count++] = (struct bh_snapshot_run){address, at, 1};
	}
	return count;
}

static int remember(struct bh_snapshots *snapshots, struct taken *taken)
{
	size_t count = join_runs(&snapshots->now, snapshots->runs);
	struct taken *grown =
		realloc(snapshots->taken, (snapshots->taken_count + 1) * sizeof(*grown));

	if (!grown)
		return -1;
	snapshots->taken = grown;
	taken->runs = malloc((count + 1) * sizeof(*taken->runs));
	if (!taken->runs)
		return -1;
	memcpy(taken->runs, snapshots->runs, count * sizeof(*taken->runs));
	taken->run_count = count;
	grown[snapshots->taken_count++] = *taken;
	struct pages former = snapshots->former;
	snapshots->former = snapshots->now;
	snapshots->now = former;
	return 0;
}

static void give_up(struct bh_snapshots *snapshots, struct taken *taken)
{
	bh_snapshot_maps_free(&taken->maps);
	dismiss_witness(snapshots->witness);
	snapshots->witness = 0;
	snapshots->is_over = 1;
}

enum bh_snapshot_answer bh_snapshots_take(struct bh_snapshots *snapshots, uint64_t label,
					  uint64_t cost_ns)
{
	struct taken taken = {.label = label, .cost_ns = cost_ns};

	if (snapshots->is_over)
		return BH_SNAPSHOT_NONE;
	/* So that its page is there. */
	bh_snapshot_context.rip = 1;
	/* Twice: the first time may have made the heap larger. */
	if (bh_snapshot_maps_read(&taken.maps) || bh_snapshot_maps_read(&taken.maps) ||
	    collect(snapshots, &taken.maps) ||
	    snapshots->size + snapshots->now.count * PAGE > snapshots->config.max_bytes) {
		give_up(snapshots, &taken);
		return BH_SNAPSHOT_NONE;
	}
	if (bh_snapshot_context_save(&bh_snapshot_context))
		return BH_SNAPSHOT_RESTORED;
	if (save(snapshots) || remember(snapshots, &taken)) {
		give_up(snapshots, &taken);
		return BH_SNAPSHOT_NONE;
	}
	pid_t former = snapshots->witness;

	const struct bh_snapshot_maps *maps = &snapshots->taken[snapshots->taken_count - 1].maps;

	advise_large(snapshots, maps, MADV_DONTFORK);
	snapshots->witness = call_witness();
	advise_large(snapshots, maps, MADV_DOFORK);
	dismiss_witness(former);
	if (snapshots->witness < 0)
		snapshots->is_over = 1;
	return BH_SNAPSHOT_TAKEN;
}

/* --- the end --- */

/* Appends, at a multiple of eight; its offset. */
static uint64_t append(struct bh_buffer *index, const void *bytes, size_t size)
{
	while (index->length % 8)
		bh_buffer_u8(index, 0);
	uint64_t offset = index->length;

	bh_buffer_bytes(index, bytes, size);
	return offset;
}

static void append_taken(struct bh_buffer *index, const struct taken *taken, struct bh_buffer *text,
			 struct bh_snapshot_entry *entry)
{
	struct bh_snapshot_map *maps = taken->maps.maps;

	for (size_t i = 0; i < taken->maps.count; i++)
		maps[i].path += (uint32_t)text->length;
	bh_buffer_bytes(text, taken->maps.text, taken->maps.text_size);
	*entry = (struct bh_snapshot_entry){
		.label = taken->label,
		.cost_ns = taken->cost_ns,
		.maps = append(index, maps, taken->maps.count * sizeof(*maps)),
		.map_count = taken->maps.count,
		.runs = append(index, taken->runs, taken->run_count * sizeof(*taken->runs)),
		.run_count = taken->run_count,
	};
}

static int write_index(const struct bh_snapshots *snapshots)
{
	struct bh_buffer index = {0}, text = {0};
	struct bh_snapshot_index head = {.entry_count = snapshots->taken_count};
	struct bh_snapshot_header header = {.magic = BH_SNAPSHOT_MAGIC,
					    .index_at = snapshots->size};
	struct bh_snapshot_entry *entries = calloc(snapshots->taken_count, sizeof(*entries));

	append(&index, &head, sizeof(head));
	for (size_t i = 0; entries && i < snapshots->taken_count; i++)
		append_taken(&index, &snapshots->taken[i], &text, &entries[i]);
	int is_bad = !entries || bh_snapshot_place(header.place);
	if (!is_bad) {
		head.entries = append(&index, entries, head.entry_count * sizeof(*entries));
		head.text = append(&index, text.bytes, text.length);
		head.text_size = text.length;
		is_bad = index.failed || text.failed;
	}
	if (!is_bad) {
		memcpy(index.bytes, &head, sizeof(head));
		header.index_size = index.length;
		bh_hash128(index.bytes, index.length, header.index_hash);
		is_bad = pwrite(snapshots->fd, index.bytes, index.length, (off_t)snapshots->size) !=
				 (ssize_t)index.length ||
			 pwrite(snapshots->fd, &header, sizeof(header), 0) !=
				 (ssize_t)sizeof(header);
	}
	free(entries);
	bh_buffer_free(&index);
	bh_buffer_free(&text);
	return is_bad;
}

void bh_snapshots_finish(struct bh_snapshots *snapshots, const uint8_t key[16])
{
	char own[64], *path = NULL;

	if (!snapshots->taken_count || write_index(snapshots))
		return;
	path = bh_cache_path(snapshots->folder, key, BH_SNAPSHOT_SUFFIX);
	snprintf(own, sizeof(own), "/proc/self/fd/%d", snapshots->fd);
	if (path) {
		unlink(path);
		/* Where it can't be linked, it is gone. */
		if (!linkat(AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
			bh_cache_bound(snapshots->folder, BH_SNAPSHOT_SUFFIX, BH_SNAPSHOT_CACHE_MAX,
				       BH_SNAPSHOT_CACHE_FILES);
	}
	free(path);
}
