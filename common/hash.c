/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XXH3 behind two functions: see hash.h. */
#include "common/hash.h"

#include <string.h>
#include <xxhash.h>

uint64_t bh_hash64(const void *bytes, size_t length)
{
	return XXH3_64bits(bytes, length);
}

void bh_hash128(const void *bytes, size_t length, uint8_t hash_ret[16])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, length));
	memcpy(hash_ret, canonical.digest, sizeof(canonical.digest));
}
