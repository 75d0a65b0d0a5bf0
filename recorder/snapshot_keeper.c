/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of the recording process: see snapshot_keeper.h. Called by recorder.c.
 *
 * What lies in frames changes all the time and is most of what a busy network has, so it isn't
 * written here: the pool of frames is frozen until another process has written it.
 */
#include "recorder/snapshot_keeper.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/cache.h"
#include "kernel-lib/node.h"
#include "posix/posix.h"
#include "simulator/gate.h"
#include "simulator/link.h"
#include "snapshots/snapshot.h"

/*
 * A snapshot this often, in CPU time, or so much less often that they take this share of it. What
 * is left to another process costs, too: it takes the common caches, and frames that would be used
 * again at once aren't. Before the first one all pages are looked at, and written if there is no
 * other CPU for that.
 */
#define SPACING_NS	    600000000ull
#define SHARE		    150u
#define FROZEN_PAGE_NS	    1000u
#define FIRST_NS	    4000000u
#define PAGE_NS		    400u
#define PAGE_ALONE_NS	    2000u
#define PAGE		    4096u
#define FIRST_TO_NEXT	    2u
#define FIRST_LOOK_NS	    100000000ull /* from one question whether it is time to the next */
#define SNAPSHOTS_MAX_BYTES (1ull << 30)

struct bh_snapshot_keeper {
	struct bh_snapshots *snapshots;
	uint64_t spacing_ns; /* as wanted, or 0 */
	uint64_t next_ns;    /* CPU time of the next one */
	uint64_t look_ns; /* host time before which it isn't time for it: asked for more cheaply */
	uint32_t count;
	int is_alone; /* on the one CPU */
	int is_prepared, is_writing;
	struct bh_snapshot_range *ranges;
	size_t range_room;
};

static uint64_t cpu_time_ns(void)
{
	struct timespec now = {0, 0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct bh_snapshot_keeper *bh_snapshot_keeper_create(uint64_t spacing_ns)
{
	struct bh_snapshot_keeper *keeper = calloc(1, sizeof(*keeper));
	char *folder = bh_cache_folder(BH_SNAPSHOT_FOLDER);
	const struct bh_snapshots_config config = {
		.folder = folder,
		.tracked_start = BH_NODE_BASE,
		.tracked_end = BH_NODE_BASE + BH_NODE_MAX * BH_NODE_SPAN,
		.max_bytes = SNAPSHOTS_MAX_BYTES,
	};
	cpu_set_t cpus;

	if (keeper && folder)
		keeper->snapshots = bh_snapshots_create(&config);
	free(folder);
	if (!keeper || !keeper->snapshots) {
		free(keeper);
		return NULL;
	}
	keeper->spacing_ns = spacing_ns;
	keeper->next_ns = cpu_time_ns();
	keeper->is_alone = sched_getaffinity(0, sizeof(cpus), &cpus) || CPU_COUNT(&cpus) < 2;
	return keeper;
}

void bh_snapshot_keeper_destroy(struct bh_snapshot_keeper *keeper)
{
	if (!keeper)
		return;
	bh_snapshots_destroy(keeper->snapshots);
	free(keeper->ranges);
	free(keeper);
}

/* --- when --- */

/* An estimate of what comes before the first one. */
static uint64_t first_cost_ns(const struct bh_snapshot_keeper *keeper)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long resident = 0, of_files = 0;

	if (file && fscanf(file, "%*u %lu %lu", &resident, &of_files) != 2)
		resident = of_files;
	if (file)
		fclose(file);
	return FIRST_NS +
	       (uint64_t)(resident - of_files) * (keeper->is_alone ? PAGE_ALONE_NS : PAGE_NS);
}

static uint64_t spacing_of(const struct bh_snapshot_keeper *keeper, uint64_t cost_ns)
{
	if (keeper->spacing_ns)
		return keeper->spacing_ns;
	return SHARE * cost_ns > SPACING_NS ? SHARE * cost_ns : SPACING_NS;
}

/* --- frames --- */

static int add_range(struct bh_snapshot_keeper *keeper, size_t *count_io,
		     const struct bh_frame_memory *memory)
{
	if (*count_io == keeper->range_room) {
		size_t room = 2 * keeper->range_room + 64;
		struct bh_snapshot_range *grown = realloc(keeper->ranges, room * sizeof(*grown));

		if (!grown)
			return -1;
		keeper->ranges = grown;
		keeper->range_room = room;
	}
	keeper->ranges[(*count_io)++] = (struct bh_snapshot_range){
		(uintptr_t)memory->start,
		(uintptr_t)memory->start + memory->size,
	};
	return 0;
}

static int add_areas(struct bh_snapshot_keeper *keeper, const struct bh_frame_pool *pool,
		     size_t *count_io)
{
	struct bh_frame_memory memory;

	while ((memory = bh_frame_pool_area(pool, *count_io)).size)
		if (add_range(keeper, count_io, &memory))
			return -1;
	return 0;
}

/* The keeper's ranges: areas, then their parts. */
static void tell_frozen(const struct bh_snapshot_keeper *keeper, size_t areas, size_t count,
			struct bh_snapshot_frozen *frozen_ret)
{
	*frozen_ret = (struct bh_snapshot_frozen){
		.memory = keeper->ranges,
		.memory_count = areas,
		.parts = keeper->ranges + areas,
		.part_count = count - areas,
	};
}

/* What frames have. */
static int frames_frozen(struct bh_snapshot_keeper *keeper, const struct bh_frame_pool *pool,
			 struct bh_snapshot_frozen *frozen_ret)
{
	struct bh_frame_memory memory;
	size_t count = 0, areas;
	uint32_t slab = 0;

	if (add_areas(keeper, pool, &count))
		return -1;
	areas = count;
	while ((memory = bh_frame_pool_part(pool, &slab)).size)
		if (add_range(keeper, &count, &memory))
			return -1;
	tell_frozen(keeper, areas, count, frozen_ret);
	return 0;
}

/* Room for as many frames as there are, which are to be used by the time that these are frozen. */
static int frames_to_come(struct bh_snapshot_keeper *keeper, struct bh_frame_pool *pool,
			  struct bh_snapshot_frozen *frozen_ret)
{
	struct bh_frame_memory memory;
	size_t count = 0, areas, left = 0;
	uint32_t slab = 0;

	while (!keeper->is_alone && (memory = bh_frame_pool_part(pool, &slab)).size)
		left += memory.size;
	size_t wanted = left;

	for (size_t i = 0; left; i++, left -= memory.size) {
		memory = bh_frame_pool_unused(pool, i, left);
		if (!memory.start)
			return -1;
	}
	if (add_areas(keeper, pool, &count))
		return -1;
	areas = count;
	for (size_t i = 0; wanted; i++, wanted -= memory.size) {
		memory = bh_frame_pool_unused(pool, i, wanted);
		if (memory.size && add_range(keeper, &count, &memory))
			return -1;
	}
	tell_frozen(keeper, areas, count, frozen_ret);
	return 0;
}

/* --- taking --- */

static struct bh_error *take(struct bh_snapshot_keeper *keeper, struct bh_sim *sim, uint64_t now_ns,
			     int *is_restored_ret)
{
	const struct bh_snapshot_moment moment = {bh_gate.event, now_ns};
	struct bh_frame_pool *pool = bh_sim_frames(sim);
	struct bh_snapshot_frozen frozen;

	BH_TRY(bh_posix_before_snapshot());
	bh_frame_pool_freeze(pool);
	if (frames_frozen(keeper, pool, &frozen))
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	switch (bh_snapshots_take(keeper->snapshots, &moment, &frozen)) {
	case BH_SNAPSHOT_RESTORED:
		*is_restored_ret = 1;
		return NULL;
	case BH_SNAPSHOT_NONE:
		keeper->next_ns = UINT64_MAX;
		bh_frame_pool_thaw(pool);
		return NULL;
	case BH_SNAPSHOT_TAKEN:
		break;
	}
	uint64_t end_ns = cpu_time_ns(), cost_ns = end_ns - now_ns;

	/* The next one will be cheaper. */
	if (!keeper->count++)
		cost_ns /= FIRST_TO_NEXT;
	for (size_t i = 0; i < frozen.part_count; i++)
		cost_ns += (frozen.parts[i].end - frozen.parts[i].start) / PAGE * FROZEN_PAGE_NS;
	keeper->is_writing = 1;
	keeper->next_ns = end_ns + spacing_of(keeper, cost_ns);
	return NULL;
}

static struct bh_error *prepare(struct bh_snapshot_keeper *keeper, struct bh_sim *sim,
				uint64_t now_ns)
{
	struct bh_snapshot_frozen frozen;

	if (now_ns < spacing_of(keeper, first_cost_ns(keeper))) {
		keeper->next_ns = now_ns + FIRST_LOOK_NS;
		return NULL;
	}
	BH_TRY(bh_posix_before_snapshot());
	if (frames_to_come(keeper, bh_sim_frames(sim), &frozen)) {
		keeper->next_ns = UINT64_MAX;
		return NULL;
	}
	bh_snapshots_prepare(keeper->snapshots, &frozen);
	keeper->is_prepared = keeper->is_writing = 1;
	return NULL;
}

struct bh_error *bh_snapshot_keeper_look(struct bh_snapshot_keeper *keeper, struct bh_sim *sim,
					 uint64_t host_ns, int *is_restored_ret)
{
	uint64_t now_ns, cost_ns;

	*is_restored_ret = 0;
	if (keeper->is_writing) {
		if (!bh_snapshots_are_written(keeper->snapshots, &cost_ns))
			return NULL;
		keeper->is_writing = 0;
		bh_frame_pool_thaw(bh_sim_frames(sim));
		if (keeper->is_alone && keeper->count && !keeper->spacing_ns)
			keeper->next_ns += SHARE * cost_ns;
	}
	if (keeper->next_ns == UINT64_MAX || host_ns < keeper->look_ns)
		return NULL;
	now_ns = cpu_time_ns();
	if (now_ns < keeper->next_ns) {
		keeper->look_ns = host_ns + (keeper->next_ns - now_ns);
		return NULL;
	}
	return keeper->is_prepared ? take(keeper, sim, now_ns, is_restored_ret)
				   : prepare(keeper, sim, now_ns);
}

void bh_snapshot_keeper_finish(struct bh_snapshot_keeper *keeper, const uint8_t key[16])
{
	if (keeper->count)
		bh_snapshots_finish(keeper->snapshots, key);
}
