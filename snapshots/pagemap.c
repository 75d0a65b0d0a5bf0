/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The door to /proc/self/pagemap and userfaultfd: see pagemap.h. Called by take.c. */
#include "snapshots/pagemap.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/unsaved.h"
#include "snapshots/internal.h"

#define PAGE BH_SNAPSHOT_PAGE
#define ROOM 16384u /* regions, or entries, that are read at once */

/* Of Linux 6.7 and later (include/uapi/linux/fs.h, userfaultfd.h); headers may be older. */
struct region {
	uint64_t start, end, categories;
};

struct scan {
	uint64_t size, flags, start, end, walk_end, vector, vector_room, page_max;
	uint64_t inverted, mask, any_of, return_mask;
};

#define SCAN		    _IOWR('f', 16, struct scan)
#define SCAN_PROTECT	    (1u << 0)
#define SCAN_IF_TRACKED	    (1u << 1)
#define CATEGORY_WRITTEN    (1u << 1)
#define CATEGORY_OF_FILE    (1u << 2) /* or shared */
#define CATEGORY_PRESENT    (1u << 3)
#define CATEGORY_SWAPPED    (1u << 4)
#define FEATURE_UNPOPULATED (1u << 13)
#define FEATURE_ASYNC	    (1u << 15)

/* An entry of /proc/PID/pagemap. */
#define PAGE_IS_PRESENT (1ull << 63)
#define PAGE_IS_SWAPPED (1ull << 62)
#define PAGE_IS_OF_FILE (1ull << 61)

struct bh_pagemap {
	uint64_t tracked_start, tracked_end;
	int fd, tracker; /* -1: nothing is tracked */
	int has_scan, is_tracking;
	union {
		struct region regions[ROOM];
		uint64_t entries[ROOM];
	} room;
};

/* --- life --- */

static int open_tracker(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | FEATURE_UNPOPULATED | FEATURE_ASYNC,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Asking whether a page is of a file takes long, so only where it may be. */
static int scan(const struct bh_pagemap *pagemap, int is_of_file, struct scan *scan)
{
	scan->size = sizeof(*scan);
	scan->vector = (uintptr_t)pagemap->room.regions;
	scan->vector_room = ROOM;
	scan->inverted = scan->mask = is_of_file ? CATEGORY_OF_FILE : 0;
	scan->any_of = CATEGORY_PRESENT | CATEGORY_SWAPPED;
	scan->return_mask = CATEGORY_WRITTEN;
	return ioctl(pagemap->fd, SCAN, scan);
}

struct bh_pagemap *bh_pagemap_open(uint64_t tracked_start, uint64_t tracked_end)
{
	struct bh_pagemap *pagemap = bh_unsaved_alloc(sizeof(*pagemap));
	uint64_t here = (uintptr_t)pagemap & ~(PAGE - 1);
	struct scan attempt = {.start = here, .end = here + PAGE};

	if (!pagemap)
		return NULL;
	pagemap->tracked_start = tracked_start;
	pagemap->tracked_end = tracked_end;
	pagemap->fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	pagemap->has_scan = pagemap->fd >= 0 && scan(pagemap, 1, &attempt) >= 0;
	pagemap->tracker = pagemap->has_scan ? open_tracker() : -1;
	if (pagemap->fd >= 0)
		return pagemap;
	bh_pagemap_close(pagemap);
	return NULL;
}

void bh_pagemap_close(struct bh_pagemap *pagemap)
{
	if (!pagemap)
		return;
	if (pagemap->fd >= 0)
		close(pagemap->fd);
	if (pagemap->tracker >= 0)
		close(pagemap->tracker);
	bh_unsaved_free(pagemap);
}

/* --- tracking --- */

int bh_pagemap_is_tracking(const struct bh_pagemap *pagemap, uint64_t start, uint64_t end)
{
	return pagemap->is_tracking && start >= pagemap->tracked_start &&
	       end <= pagemap->tracked_end;
}

void bh_pagemap_track(struct bh_pagemap *pagemap)
{
	struct uffdio_register all = {
		.range = {.start = pagemap->tracked_start,
			  .len = pagemap->tracked_end - pagemap->tracked_start},
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	pagemap->is_tracking =
		pagemap->tracker >= 0 && !ioctl(pagemap->tracker, UFFDIO_REGISTER, &all);
}

/* --- reading --- */

static int read_regions(struct bh_pagemap *pagemap, const struct bh_pagemap_range *range,
			bh_pagemap_found *found, void *arg)
{
	uint64_t start = range->start, end = range->end;
	int is_tracked = bh_pagemap_is_tracking(pagemap, start, end);

	while (start < end) {
		struct scan part = {
			.flags = is_tracked ? SCAN_PROTECT | SCAN_IF_TRACKED : 0,
			.start = start,
			.end = end,
		};
		int count = scan(pagemap, range->is_of_file, &part);

		if (count < 0 || part.walk_end <= start)
			return -1;
		for (int i = 0; i < count; i++) {
			const struct region *region = &pagemap->room.regions[i];
			int is_written = !is_tracked || region->categories & CATEGORY_WRITTEN;
			int status = found(arg, region->start, region->end, is_written);

			if (status)
				return status;
		}
		start = part.walk_end;
	}
	return 0;
}

static int read_entries(struct bh_pagemap *pagemap, const struct bh_pagemap_range *range,
			bh_pagemap_found *found, void *arg)
{
	uint64_t start = range->start, end = range->end;

	while (start < end) {
		size_t count = (end - start) / PAGE < ROOM ? (end - start) / PAGE : ROOM;
		size_t size = count * sizeof(uint64_t);

		if (pread(pagemap->fd, pagemap->room.entries, size,
			  (off_t)(start / PAGE * sizeof(uint64_t))) != (ssize_t)size)
			return -1;
		for (size_t i = 0; i < count; i++, start += PAGE) {
			uint64_t entry = pagemap->room.entries[i];

			if (!(entry & (PAGE_IS_PRESENT | PAGE_IS_SWAPPED)) ||
			    entry & PAGE_IS_OF_FILE)
				continue;
			int status = found(arg, start, start + PAGE, 1);

			if (status)
				return status;
		}
	}
	return 0;
}

int bh_pagemap_read(struct bh_pagemap *pagemap, const struct bh_pagemap_range *range,
		    bh_pagemap_found *found, void *arg)
{
	return pagemap->has_scan ? read_regions(pagemap, range, found, arg)
				 : read_entries(pagemap, range, found, arg);
}
