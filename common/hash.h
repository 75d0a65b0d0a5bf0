/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door to xxhash: the two hashes that traces and digests are made of (traces/FORMAT.md).
 * Used by every layer.
 */
#ifndef BH_COMMON_HASH_H
#define BH_COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 with seed 0. */
uint64_t bh_hash64(const void *bytes, size_t length);

/* XXH3-128 with seed 0 in canonical (big-endian) form. */
void bh_hash128(const void *bytes, size_t length, uint8_t hash_ret[16]);

#endif
