/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots: the state of a running process in a file, at several moments of it, and how a fork of
 * another process of the same executable becomes that process. `backhop record` takes them, so that
 * a replay needn't begin at the beginning (replayer/timeline.c).
 *
 * A snapshot has the memory, and the registers at one call; descriptors, signal handlers and
 * whatever else the host keeps of a process are the business of who restores it. It is good for
 * this machine only, for this executable, and as long as the files that were mapped are as they
 * were; it is a file of a cache, and its form is nobody else's business.
 *
 * Both processes must have their executable, heap and stack at the same addresses:
 * bh_snapshots_fix_addresses().
 */
#ifndef BH_SNAPSHOTS_SNAPSHOT_H
#define BH_SNAPSHOTS_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/*
 * Switches the randomisation of this process's addresses off, which starts the program again with
 * the same arguments and then returns. Where the host forbids it, it returns as well: then there
 * will be no snapshots.
 */
void bh_snapshots_fix_addresses(char *const *argv);

/* Of bh_cache_folder(), for the recorder's. */
#define BH_SNAPSHOT_FOLDER "snapshots"

/* --- taking --- */

struct bh_snapshots;

struct bh_snapshots_config {
	const char *folder; /* of the cache */
	/* Memory in which no page is larger than the smallest: whether one was written since the
	 * last snapshot is asked of the host. All other memory is compared by its hash. Files that
	 * are mapped there to be executed must never have been written to. */
	uint64_t tracked_start, tracked_end;
	uint64_t max_bytes; /* of the file; then no more snapshots are taken */
};

enum bh_snapshot_answer {
	BH_SNAPSHOT_TAKEN,
	BH_SNAPSHOT_RESTORED, /* this is the restored process */
	BH_SNAPSHOT_NONE,     /* none can be taken from now on, for whatever reason */
};

/* NULL, without an error, where no snapshots can be taken. */
struct bh_snapshots *bh_snapshots_create(const struct bh_snapshots_config *config);

/* Memory that the caller keeps as it is for a while, and that is written meanwhile. */
struct bh_snapshot_range {
	uint64_t start, end; /* whole pages */
};

struct bh_snapshot_frozen {
	/* Whole mappings, of which nothing is saved but … */
	const struct bh_snapshot_range *memory;
	size_t memory_count;
	/* … these parts, which don't change until bh_snapshots_are_written(); in each mapping
	 * ascending. */
	const struct bh_snapshot_range *parts;
	size_t part_count;
};

struct bh_snapshot_moment {
	uint64_t label;	  /* the caller's name for it, ascending */
	uint64_t cost_ns; /* what it takes to come here otherwise */
};

/*
 * Once, some time before the first snapshot, so that this one has little left to do: begins to
 * write what there is, while the caller goes on. parts of frozen are here what will be used for the
 * first time when that snapshot is taken: the host is made to give it pages meanwhile.
 */
void bh_snapshots_prepare(struct bh_snapshots *snapshots, const struct bh_snapshot_frozen *frozen);
/* Is all of it in the file? Then: the CPU time of writing the last piece, in another process. */
int bh_snapshots_are_written(struct bh_snapshots *snapshots, uint64_t *cost_ns_ret);
/* While nothing is being written. Returns like setjmp(): at once, and again in each process that is
 * made of this snapshot. */
enum bh_snapshot_answer bh_snapshots_take(struct bh_snapshots *snapshots,
					  const struct bh_snapshot_moment *moment,
					  const struct bh_snapshot_frozen *frozen);
/* Gives the file its name. Without it nothing is left. */
void bh_snapshots_finish(struct bh_snapshots *snapshots, const uint8_t key[16]);
void bh_snapshots_destroy(struct bh_snapshots *snapshots);

/* --- restoring --- */

struct bh_snapshot_file;

/* What bh_snapshots_finish() called so; NULL if there is none or it is of no use here and now. */
struct bh_snapshot_file *bh_snapshot_file_open(const char *folder, const uint8_t key[16]);
void bh_snapshot_file_close(struct bh_snapshot_file *file);
size_t bh_snapshot_count(const struct bh_snapshot_file *file);
uint64_t bh_snapshot_label(const struct bh_snapshot_file *file, size_t number);
uint64_t bh_snapshot_cost_ns(const struct bh_snapshot_file *file, size_t number);

#define BH_SNAPSHOT_MESSAGE 4096
/* In the restored process: what was handed to bh_snapshot_restore(). */
extern char bh_snapshot_message[BH_SNAPSHOT_MESSAGE];

/* In a process that nobody will miss, such as a fork: it becomes the one of the snapshot. Returns
 * only if that fails, before anything has changed. */
void bh_snapshot_restore(const struct bh_snapshot_file *file, size_t number, const char *message);

#endif
