/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one door to zstd: see compress.h. Called by traces/. */
#include "common/compress.h"

#include <stdlib.h>
#include <zstd.h>

/* What a recording pays least for; the columns of a trace gain little by more. */
#define PACK_LEVEL -1
/* Columns repeat themselves so much that a small table finds it, and leaves the processor's cache
 * to the run. */
#define PACK_HASH_LOG 10

struct bh_packer {
	ZSTD_CCtx *context;
};

struct bh_unpacker {
	ZSTD_DCtx *context;
};

struct bh_packer *bh_packer_create(void)
{
	struct bh_packer *packer = calloc(1, sizeof(*packer));

	if (packer)
		packer->context = ZSTD_createCCtx();
	if (packer && !packer->context) {
		free(packer);
		return NULL;
	}
	if (packer) {
		ZSTD_CCtx_setParameter(packer->context, ZSTD_c_compressionLevel, PACK_LEVEL);
		ZSTD_CCtx_setParameter(packer->context, ZSTD_c_hashLog, PACK_HASH_LOG);
	}
	return packer;
}

void bh_packer_destroy(struct bh_packer *packer)
{
	if (!packer)
		return;
	ZSTD_freeCCtx(packer->context);
	free(packer);
}

size_t bh_packer_bound(size_t length)
{
	return ZSTD_compressBound(length);
}

size_t bh_packer_pack(struct bh_packer *packer, void *to, size_t room, const void *from,
		      size_t length)
{
	size_t size = ZSTD_compress2(packer->context, to, room, from, length);

	return ZSTD_isError(size) ? 0 : size;
}

struct bh_unpacker *bh_unpacker_create(void)
{
	struct bh_unpacker *unpacker = calloc(1, sizeof(*unpacker));

	if (unpacker)
		unpacker->context = ZSTD_createDCtx();
	if (unpacker && !unpacker->context) {
		free(unpacker);
		return NULL;
	}
	return unpacker;
}

void bh_unpacker_destroy(struct bh_unpacker *unpacker)
{
	if (!unpacker)
		return;
	ZSTD_freeDCtx(unpacker->context);
	free(unpacker);
}

int bh_unpacker_unpack(struct bh_unpacker *unpacker, void *to, size_t length, const void *from,
		       size_t from_length)
{
	size_t frame = ZSTD_findFrameCompressedSize(from, from_length);

	if (ZSTD_isError(frame) || frame != from_length)
		return 0;
	size_t size = ZSTD_decompressDCtx(unpacker->context, to, length, from, from_length);
	return !ZSTD_isError(size) && size == length;
}
