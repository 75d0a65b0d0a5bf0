/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of a cache: see cache_file.h. */
#include "common/cache_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cache.h"
#include "common/hash.h"

/* --- the header --- */

void bh_cache_file_begin(const struct bh_cache_format *format, const uint8_t key[16],
			 struct bh_buffer *buffer)
{
	bh_buffer_bytes(buffer, format->magic, 8);
	bh_buffer_u32(buffer, format->version);
	bh_buffer_bytes(buffer, key, 16);
	bh_buffer_u64(buffer, 0);
}

static uint64_t hash_of(const uint8_t *bytes, size_t length)
{
	return bh_hash64(bytes + BH_CACHE_HEADER_BYTES, length - BH_CACHE_HEADER_BYTES);
}

void bh_cache_file_end(struct bh_buffer *buffer)
{
	if (buffer->failed)
		return;
	uint64_t hash = hash_of(buffer->bytes, buffer->length);

	memcpy(buffer->bytes + BH_CACHE_HEADER_BYTES - 8, &hash, 8);
}

int bh_cache_file_is(const struct bh_cache_format *format, const uint8_t key[16], const void *bytes,
		     size_t length)
{
	struct bh_cursor cursor;

	bh_cursor_init(&cursor, bytes, length);
	const void *magic = bh_cursor_bytes(&cursor, 8);
	uint32_t version = bh_cursor_u32(&cursor);
	const void *is_key = bh_cursor_bytes(&cursor, 16);
	uint64_t hash = bh_cursor_u64(&cursor);

	return !cursor.failed && !memcmp(magic, format->magic, 8) && version == format->version &&
	       !memcmp(is_key, key, 16) && hash_of(bytes, length) == hash;
}

/* --- reading and writing --- */

struct bh_cache_file bh_cache_file_map(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct bh_cache_file file = {0};
	void *bytes = MAP_FAILED;
	struct stat status;

	if (fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_size > 0 &&
	    (uint64_t)status.st_size <= BH_CACHE_FILE_MAX) {
		file.length = (size_t)status.st_size;
		bytes = mmap(NULL, file.length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	}
	if (fd >= 0)
		close(fd);
	if (bytes == MAP_FAILED)
		return (struct bh_cache_file){0};
	file.bytes = bytes;
	return file;
}

void bh_cache_file_unmap(struct bh_cache_file *file)
{
	if (file->bytes)
		munmap((void *)(uintptr_t)file->bytes, file->length);
	*file = (struct bh_cache_file){0};
}

void bh_cache_file_save(const struct bh_cache_format *format, const char *folder, const char *path,
			const struct bh_buffer *buffer)
{
	char *temporary = NULL;
	int fd = -1;

	if (!buffer->failed && buffer->length <= BH_CACHE_FILE_MAX &&
	    asprintf(&temporary, "%s.XXXXXX", path) > 0)
		fd = mkstemp(temporary);
	if (fd >= 0) {
		FILE *file = fdopen(fd, "wb");
		int is_whole =
			file && fwrite(buffer->bytes, 1, buffer->length, file) == buffer->length;

		if (file)
			is_whole &= fclose(file) == 0;
		if (!is_whole || rename(temporary, path))
			unlink(temporary);
		else
			bh_cache_bound(folder, format->suffix, format->max_bytes,
				       format->max_files);
	}
	free(temporary);
}
