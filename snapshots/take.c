/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking snapshots: see snapshot.h. Called by recorder/, between two events.
 *
 * The first one writes all pages that are the process's own, each later one those that were written
 * since: pagemap.c knows which these are, and where it doesn't, hashes are compared. Most of what
 * the first one has can be written beforehand, while the process goes on: only what changes
 * meanwhile is then written again. So can at any time what the caller keeps as it is (scribe.c).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/cache.h"
#include "common/cursor.h"
#include "common/hash.h"
#include "common/unsaved.h"
#include "snapshots/internal.h"
#include "snapshots/pagemap.h"
#include "snapshots/scribe.h"

#define PAGE  BH_SNAPSHOT_PAGE
#define BATCH 256u /* pieces, or pages, that are written at once */

/* A page of the process's own. */
struct page {
	uint64_t address; /* with the flags below */
	uint64_t hash;	  /* 0: unknown */
	uint64_t at;	  /* in the file; 0: zeros */
};

#define MAY_BE_SAME 1u /* tracked, and not written since the last snapshot */
#define UNREADABLE  2u /* for the process itself */
#define FROZEN	    4u /* written by the scribe */
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
	int fd, memory;
	uint64_t size; /* of the file */
	struct bh_pagemap *pagemap;
	struct bh_scribe scribe;
	struct pages now, former;
	struct bh_snapshot_run *runs; /* as many as now has pages */
	size_t run_room;
	struct iovec batch[BATCH];
	unsigned int batch_count, batch_pages;
	uint64_t batch_at;
	uint8_t *bounce; /* BATCH pages: of unreadable ones */
	int is_over;	 /* no more can be taken */
	int is_bad;	 /* the scribe failed: what was taken is of no use */
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
	bh_scribe_init(&snapshots->scribe);
	snapshots->folder = strdup(config->folder);
	snapshots->fd = open(config->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	snapshots->memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	snapshots->size = PAGE;
	snapshots->pagemap = bh_pagemap_open(config->tracked_start, config->tracked_end);
	snapshots->bounce = bh_unsaved_alloc(BATCH * PAGE);
	if (snapshots->folder && snapshots->fd >= 0 && snapshots->memory >= 0 &&
	    snapshots->pagemap && snapshots->bounce && !bh_snapshot_place(place))
		return snapshots;
	bh_snapshots_destroy(snapshots);
	return NULL;
}

void bh_snapshots_destroy(struct bh_snapshots *snapshots)
{
	if (!snapshots)
		return;
	bh_scribe_free(&snapshots->scribe);
	bh_pagemap_close(snapshots->pagemap);
	if (snapshots->fd >= 0)
		close(snapshots->fd);
	if (snapshots->memory >= 0)
		close(snapshots->memory);
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

/* Tracked memory that is as in its file, by what the caller says. */
static int is_text(const struct bh_snapshot_map *map)
{
	return map->is_tracked && map->kind == BH_MAP_FILE && map->protection & PROT_EXEC &&
	       !(map->protection & PROT_WRITE);
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

/* One mapping, while its pages are read. */
struct collecting {
	struct pages *pages;
	uint64_t flags; /* of all its pages */
	int is_tracked;
};

static int collect_found(void *arg, uint64_t start, uint64_t end, int is_written)
{
	const struct collecting *collecting = arg;
	uint64_t flags = collecting->flags;

	if (collecting->is_tracked && !is_written)
		flags |= MAY_BE_SAME;
	for (uint64_t address = start; address < end; address += PAGE)
		if (add_page(collecting->pages, address | flags))
			return -1;
	return 0;
}

/* Non-zero: the mapping is frozen memory, and its parts were added. */
static int collect_frozen(struct bh_snapshots *snapshots, const struct bh_snapshot_map *map,
			  const struct bh_snapshot_frozen *frozen, int *status_ret)
{
	struct collecting collecting = {&snapshots->now, FROZEN, 0};
	int is_frozen = 0;

	for (size_t i = 0; i < frozen->memory_count; i++)
		is_frozen |= frozen->memory[i].start == map->start;
	for (size_t i = 0; is_frozen && !*status_ret && i < frozen->part_count; i++)
		if (frozen->parts[i].start >= map->start && frozen->parts[i].end <= map->end)
			*status_ret = collect_found(&collecting, frozen->parts[i].start,
						    frozen->parts[i].end, 1);
	return is_frozen;
}

static int collect_map(struct bh_snapshots *snapshots, const struct bh_snapshot_map *map)
{
	struct collecting collecting = {
		.pages = &snapshots->now,
		/* Behind the end of a file there is nothing, which reading through the host
		 * tells. */
		.flags = map->protection & PROT_READ && !map->is_whole ? 0 : UNREADABLE,
		.is_tracked = bh_pagemap_is_tracking(snapshots->pagemap, map->start, map->end),
	};

	if (map->is_whole)
		return collect_found(&collecting, map->start, map->end, 1);
	const struct bh_pagemap_range range = {
		.start = map->start,
		.end = map->end,
		.is_of_file = map->kind == BH_MAP_FILE || map->kind == BH_MAP_EXECUTABLE,
	};

	return bh_pagemap_read(snapshots->pagemap, &range, collect_found, &collecting);
}

/* Fills `now` and makes room for its runs. */
static int collect(struct bh_snapshots *snapshots, struct bh_snapshot_maps *maps,
		   const struct bh_snapshot_frozen *frozen)
{
	snapshots->now.count = 0;
	bh_pagemap_track(snapshots->pagemap);
	for (size_t i = 0; i < maps->count; i++) {
		struct bh_snapshot_map *map = &maps->maps[i];
		int status = 0;

		map->is_tracked = map->start >= snapshots->config.tracked_start &&
				  map->end <= snapshots->config.tracked_end;
		if (map->kind == BH_MAP_HOST || is_unsaved(map) || is_text(map))
			continue;
		if (!collect_frozen(snapshots, map, frozen, &status))
			status = collect_map(snapshots, map);
		if (status)
			return -1;
	}
	if (snapshots->run_room < snapshots->now.count) {
		bh_unsaved_free(snapshots->runs);
		snapshots->run_room = snapshots->now.room;
		snapshots->runs = bh_unsaved_alloc(snapshots->run_room * sizeof(*snapshots->runs));
	}
	return snapshots->runs || !snapshots->now.count ? 0 : -1;
}

/* --- their contents: from here on nothing of what is saved may change, but for this part's own
 * memory and the stack below its caller's --- */

static int flush(struct bh_snapshots *snapshots)
{
	uint64_t length = snapshots->batch_pages * PAGE;
	unsigned int count = snapshots->batch_count;

	snapshots->batch_count = snapshots->batch_pages = 0;
	if (!length)
		return 0;
	ssize_t written =
		pwritev(snapshots->fd, snapshots->batch, (int)count, (off_t)snapshots->batch_at);
	return written == (ssize_t)length ? 0 : -1;
}

/* Writes the page at the file's end, with others. */
static int append_page(struct bh_snapshots *snapshots, uint8_t *bytes)
{
	struct iovec *last = &snapshots->batch[snapshots->batch_count] - 1;

	if (!snapshots->batch_count)
		snapshots->batch_at = snapshots->size;
	snapshots->size += PAGE;
	snapshots->batch_pages++;
	if (snapshots->batch_count && (uint8_t *)last->iov_base + last->iov_len == bytes)
		last->iov_len += PAGE;
	else
		snapshots->batch[snapshots->batch_count++] = (struct iovec){bytes, PAGE};
	return snapshots->batch_pages == BATCH ? flush(snapshots) : 0;
}

/* Leaves it to the scribe. */
static int append_frozen(struct bh_snapshots *snapshots, struct page *page)
{
	if (flush(snapshots))
		return -1;
	page->at = snapshots->size;
	snapshots->size += PAGE;
	return bh_scribe_add(&snapshots->scribe, (void *)(page->address & ~FLAGS), PAGE, page->at);
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

	if (page->address & FROZEN)
		return append_frozen(snapshots, page);
	if (page->address & UNREADABLE) {
		bytes = snapshots->bounce + snapshots->batch_pages * PAGE;
		if (pread(snapshots->memory, bytes, PAGE, (off_t)address) != (ssize_t)PAGE)
			return -1;
	}
	if (former && page->address & MAY_BE_SAME) {
		page->at = former->at;
		return 0;
	}
	page->at = page->hash = 0;
	if (is_zero(bytes))
		return 0;
	if (!bh_pagemap_is_tracking(snapshots->pagemap, address, address + PAGE))
		page->hash = bh_hash64(bytes, PAGE);
	if (former && page->hash && former->hash == page->hash) {
		page->at = former->at;
		return 0;
	}
	page->at = snapshots->size;
	return append_page(snapshots, bytes);
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

static void now_is_former(struct bh_snapshots *snapshots)
{
	struct pages former = snapshots->former;

	snapshots->former = snapshots->now;
	snapshots->now = former;
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
	now_is_former(snapshots);
	return 0;
}

static enum bh_snapshot_answer give_up(struct bh_snapshots *snapshots,
				       struct bh_snapshot_maps *maps)
{
	bh_snapshot_maps_free(maps);
	snapshots->is_bad |= bh_scribe_look(&snapshots->scribe, 1) == BH_SCRIBE_FAILED;
	bh_pagemap_close(snapshots->pagemap);
	snapshots->pagemap = NULL;
	snapshots->is_over = 1;
	return BH_SNAPSHOT_NONE;
}

/* The memory map, and the pages. */
static int survey(struct bh_snapshots *snapshots, struct bh_snapshot_maps *maps,
		  const struct bh_snapshot_frozen *frozen)
{
	return bh_snapshot_maps_read(maps) || collect(snapshots, maps, frozen) ||
	       snapshots->size + snapshots->now.count * PAGE > snapshots->config.max_bytes;
}

int bh_snapshots_are_written(struct bh_snapshots *snapshots, uint64_t *cost_ns_ret)
{
	switch (bh_scribe_look(&snapshots->scribe, 0)) {
	case BH_SCRIBE_WRITING:
		return 0;
	case BH_SCRIBE_FAILED:
		snapshots->is_over = snapshots->is_bad = 1;
		break;
	case BH_SCRIBE_IDLE:
		break;
	}
	*cost_ns_ret = snapshots->scribe.cost_ns;
	return 1;
}

/* Tracked pages that can be read go to the scribe, and are as if a snapshot had been taken. */
static int write_beforehand(struct bh_snapshots *snapshots)
{
	struct pages *now = &snapshots->now;
	size_t count = 0;

	for (size_t i = 0; i < now->count; i++) {
		struct page page = now->pages[i];
		uint64_t address = page.address & ~FLAGS;

		if (page.address & (UNREADABLE | FROZEN) ||
		    !bh_pagemap_is_tracking(snapshots->pagemap, address, address + PAGE))
			continue;
		page.at = snapshots->size;
		snapshots->size += PAGE;
		if (bh_scribe_add(&snapshots->scribe, (void *)address, PAGE, page.at))
			return -1;
		now->pages[count++] = page;
	}
	now->count = count;
	now_is_former(snapshots);
	return 0;
}

void bh_snapshots_prepare(struct bh_snapshots *snapshots, const struct bh_snapshot_frozen *frozen)
{
	const struct bh_snapshot_frozen nothing = {frozen->memory, frozen->memory_count, NULL, 0};
	struct bh_snapshot_maps maps = {0};

	if (snapshots->is_over || snapshots->taken_count)
		return;
	int is_bad = survey(snapshots, &maps, &nothing) || write_beforehand(snapshots);

	for (size_t i = 0; !is_bad && i < frozen->part_count; i++)
		is_bad = bh_scribe_add_touch(&snapshots->scribe, (void *)frozen->parts[i].start,
					     frozen->parts[i].end - frozen->parts[i].start);
	if (is_bad || bh_scribe_start(&snapshots->scribe, snapshots->fd))
		give_up(snapshots, &maps);
	else
		bh_snapshot_maps_free(&maps);
}

enum bh_snapshot_answer bh_snapshots_take(struct bh_snapshots *snapshots,
					  const struct bh_snapshot_moment *moment,
					  const struct bh_snapshot_frozen *frozen)
{
	struct taken taken = {.label = moment->label, .cost_ns = moment->cost_ns};

	if (bh_scribe_look(&snapshots->scribe, 1) == BH_SCRIBE_FAILED)
		snapshots->is_over = snapshots->is_bad = 1;
	if (snapshots->is_over)
		return BH_SNAPSHOT_NONE;
	/* So that its page is there. */
	bh_snapshot_context.rip = 1;
	if (survey(snapshots, &taken.maps, frozen))
		return give_up(snapshots, &taken.maps);
	if (bh_snapshot_context_save(&bh_snapshot_context))
		return BH_SNAPSHOT_RESTORED;
	if (save(snapshots) || remember(snapshots, &taken))
		return give_up(snapshots, &taken.maps);
	if (frozen->part_count && bh_scribe_start(&snapshots->scribe, snapshots->fd)) {
		snapshots->is_over = snapshots->is_bad = 1;
		return BH_SNAPSHOT_NONE;
	}
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

	if (bh_scribe_look(&snapshots->scribe, 1) == BH_SCRIBE_FAILED || snapshots->is_bad ||
	    !snapshots->taken_count || write_index(snapshots))
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
