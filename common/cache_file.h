/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of a cache (cache.h) that hold what was made of a run: what they are is in a header, a hash
 * finds damage. Who reads one still trusts nothing in it. Used by replayer/ for packets and feeds.
 *
 *	magic (8 bytes), version (u32), key (16 bytes), XXH3-64 of all that follows (u64)
 */
#ifndef BH_COMMON_CACHE_FILE_H
#define BH_COMMON_CACHE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/cursor.h"

#define BH_CACHE_HEADER_BYTES 36u
/* A larger file isn't written, or read. */
#define BH_CACHE_FILE_MAX (4ull << 30)

struct bh_cache_format {
	const char *magic; /* 8 bytes */
	uint32_t version;
	const char *suffix; /* of the files' names */
	/* How much there may be of them. */
	uint64_t max_bytes;
	size_t max_files;
};

/* A whole file, mapped: a large one is there sooner. It is replaced as a whole, never written to.
 */
struct bh_cache_file {
	const uint8_t *bytes; /* NULL: there is none */
	size_t length;
};

/* Begins the file: what it is to hold is appended, then comes end. */
void bh_cache_file_begin(const struct bh_cache_format *format, const uint8_t key[16],
			 struct bh_buffer *buffer);
void bh_cache_file_end(struct bh_buffer *buffer);
/* Whether bytes are a file of this format and key, undamaged. */
int bh_cache_file_is(const struct bh_cache_format *format, const uint8_t key[16], const void *bytes,
		     size_t length);

struct bh_cache_file bh_cache_file_map(const char *path);
void bh_cache_file_unmap(struct bh_cache_file *file);
/* Whoever reads meanwhile sees a whole file or none. One that can't be written is no error. The
 * oldest in the folder go if there are too many. */
void bh_cache_file_save(const struct bh_cache_format *format, const char *folder, const char *path,
			const struct bh_buffer *buffer);

#endif
