/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What take.c, file.c and restore.c share; nobody else's business. */
#ifndef BH_SNAPSHOTS_INTERNAL_H
#define BH_SNAPSHOTS_INTERNAL_H

#include "snapshots/snapshot.h"

#define BH_SNAPSHOT_PAGE 4096ul

/* In the cache. */
#define BH_SNAPSHOT_SUFFIX	".snapshots"
#define BH_SNAPSHOT_CACHE_MAX	(2ull << 30)
#define BH_SNAPSHOT_CACHE_FILES 50u

/* --- the file: a page with the header, pages, the index --- */

#define BH_SNAPSHOT_MAGIC "bhsnap1"

struct bh_snapshot_header {
	char magic[8];
	uint8_t place[16]; /* bh_snapshot_place() */
	uint64_t index_at, index_size;
	uint8_t index_hash[16];
};

/* The index begins with this; offsets are from its beginning. */
struct bh_snapshot_index {
	uint64_t entries, entry_count;
	uint64_t text, text_size; /* paths, each with its NUL; the last byte is one */
};

struct bh_snapshot_entry {
	uint64_t label, cost_ns;
	uint64_t maps, map_count, runs, run_count;
};

enum bh_snapshot_map_kind {
	BH_MAP_MEMORY,	   /* of no file, or of one that can't be opened again */
	BH_MAP_FILE,	   /* a private mapping of a file */
	BH_MAP_EXECUTABLE, /* of this executable: is there already */
	BH_MAP_HEAP,	   /* what brk() gave */
	BH_MAP_STACK,
	BH_MAP_HOST, /* vdso and its like: is there already */
};

struct bh_snapshot_map {
	uint64_t start, end;
	uint64_t offset; /* in the file */
	uint64_t device, inode, size, mtime_ns;
	uint32_t kind, protection; /* enum bh_snapshot_map_kind; PROT_… */
	uint32_t path;		   /* offset in the text */
	uint8_t is_whole;	   /* all its pages are in the snapshot, not only changed ones */
	uint8_t is_tracked;	   /* see struct bh_snapshots_config */
	uint8_t reserved[2];
};

/* Pages that follow each other in memory and in the file; at 0 in the file: zeros. */
struct bh_snapshot_run {
	uint64_t address, at, count;
};

struct bh_snapshot_file {
	int fd;
	uint8_t *index;
	size_t index_size;
	const struct bh_snapshot_entry *entries;
	size_t entry_count;
};

/* --- what both processes must have in common --- */

/* A hash of the executable, of where it and its heap, stack and thread pointer are, and of what the
 * C library chose for this processor; and whether it could be made. */
int bh_snapshot_place(uint8_t place_ret[16]);

/* --- the memory map of this process --- */

struct bh_snapshot_maps {
	struct bh_snapshot_map *maps; /* ascending */
	size_t count, room;
	char *text; /* paths */
	size_t text_size, text_room;
};

/* Shared mappings are left out. Non-zero if it can't be read. */
int bh_snapshot_maps_read(struct bh_snapshot_maps *maps);
void bh_snapshot_maps_free(struct bh_snapshot_maps *maps);
/* Is the file at path the one that was mapped? */
int bh_snapshot_map_is_same(const struct bh_snapshot_map *map, const char *path);

/* --- registers --- */

/* What a function must leave as it was. */
struct bh_snapshot_context {
	uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip, fs_base;
	uint32_t mxcsr, x87;
};

extern struct bh_snapshot_context bh_snapshot_context;

/* 0; in the restored process 1. */
int bh_snapshot_context_save(struct bh_snapshot_context *context)
	__attribute__((returns_twice, noinline));
void bh_snapshot_context_load(const struct bh_snapshot_context *context) __attribute__((noreturn));

#endif
