/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Folders of files that can be made again, below ${BACKHOP_CACHE:-~/.cache/backhop}: each file is
 * named by a key, and the oldest go when there are too many. Used by replayer/ for the packets of
 * runs and by snapshots/.
 */
#ifndef BH_COMMON_CACHE_H
#define BH_COMMON_CACHE_H

#include <stddef.h>
#include <stdint.h>

/* Makes the folder of this name, and those above it. The caller frees the path; NULL if there is no
 * place for it. */
char *bh_cache_folder(const char *name);
/* The same for a folder anywhere. */
char *bh_cache_folder_at(const char *path);

/* The path of a file; the caller frees it. NULL without memory. */
char *bh_cache_path(const char *folder, const uint8_t key[16], const char *suffix);
/* Marks it as just used. */
void bh_cache_touch(const char *path);
/* Removes the files with this suffix that were used longest ago, but for the last one, until they
 * are few and small enough. */
void bh_cache_bound(const char *folder, const char *suffix, uint64_t max_bytes, size_t max_files);

#endif
