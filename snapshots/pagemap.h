/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages of this process are its own, and which of them were written since one last asked. The
 * host tells of tracked memory since Linux 6.7: userfaultfd marks pages as write-protected without
 * telling anybody, and PAGEMAP_SCAN reads and sets the marks
 * (Documentation/admin-guide/mm/pagemap.rst there). Elsewhere all pages count as written. For
 * take.c only.
 */
#ifndef BH_SNAPSHOTS_PAGEMAP_H
#define BH_SNAPSHOTS_PAGEMAP_H

#include <stdint.h>

struct bh_pagemap;

/* Pages in tracked memory must not be larger than the smallest. NULL if nothing can be told. */
struct bh_pagemap *bh_pagemap_open(uint64_t tracked_start, uint64_t tracked_end);
/* Takes NULL. Nothing is tracked any more. */
void bh_pagemap_close(struct bh_pagemap *pagemap);

/* Is it tracked by now what is written to this mapping? */
int bh_pagemap_is_tracking(const struct bh_pagemap *pagemap, uint64_t start, uint64_t end);
/* Before mappings are read, which may be new: is tracked from here on. */
void bh_pagemap_track(struct bh_pagemap *pagemap);

struct bh_pagemap_range {
	uint64_t start, end; /* of one mapping */
	int is_of_file;
};

/* Called for pages of the process's own, in the order of their addresses. Non-zero: ends it. */
typedef int bh_pagemap_found(void *arg, uint64_t start, uint64_t end, int is_written);
/* The pages of a mapping; those that are found count as not written afterwards, if it is
 * tracked. Non-zero if it can't be told, or what found() returned. */
int bh_pagemap_read(struct bh_pagemap *pagemap, const struct bh_pagemap_range *range,
		    bh_pagemap_found *found, void *arg);

#endif
