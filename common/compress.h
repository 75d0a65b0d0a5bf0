/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one door to zstd. A context is kept by whoever packs or unpacks often (traces/), so that no
 * memory is allocated a call. Single frames, no dictionary.
 */
#ifndef BH_COMMON_COMPRESS_H
#define BH_COMMON_COMPRESS_H

#include <stddef.h>

struct bh_packer;
struct bh_unpacker;

/* NULL when out of memory. */
struct bh_packer *bh_packer_create(void);
void bh_packer_destroy(struct bh_packer *packer);
/* Room that the packed form of length bytes needs at most. */
size_t bh_packer_bound(size_t length);
/* Returns the packed size, 0 if it failed (room too small). */
size_t bh_packer_pack(struct bh_packer *packer, void *to, size_t room, const void *from,
		      size_t length);

/* NULL when out of memory. */
struct bh_unpacker *bh_unpacker_create(void);
void bh_unpacker_destroy(struct bh_unpacker *unpacker);
/* 1 if from holds one frame, nothing else, that unpacked to exactly length bytes; else 0. Safe on
 * hostile bytes. */
int bh_unpacker_unpack(struct bh_unpacker *unpacker, void *to, size_t length, const void *from,
		       size_t from_length);

#endif
