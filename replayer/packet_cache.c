/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bh_packets_create() of packets.h: takes the table of a run's packets from the cache, or makes it
 * and puts it there. The cache is a folder of files named by what they are of; it is bounded, the
 * oldest go first. A cache that can't be written, or holds something else, is no error.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cache.h"
#include "replayer/packet_pass.h"
#include "replayer/packet_table.h"

#define FILE_MAX_BYTES	(4ull << 30)
#define CACHE_MAX_BYTES (2ull << 30)
#define CACHE_MAX_FILES 200u
#define SUFFIX		".packets"

char *bh_packet_cache_folder(const struct bh_packets_source *source)
{
	return source->cache_folder ? bh_cache_folder_at(source->cache_folder)
				    : bh_cache_folder("packets");
}

/* --- reading and writing --- */

/* Mapped, not read: a table of many packets is there sooner. A file is replaced as a whole, never
 * written to. */
static const uint8_t *map_file(const char *path, size_t *length_ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	void *bytes = MAP_FAILED;

	if (fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_size > 0 &&
	    (uint64_t)status.st_size <= FILE_MAX_BYTES) {
		*length_ret = (size_t)status.st_size;
		bytes = mmap(NULL, *length_ret, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	}
	if (fd >= 0)
		close(fd);
	return bytes == MAP_FAILED ? NULL : bytes;
}

static struct bh_packets *load(const struct bh_trace *trace, const char *path,
			       const uint8_t key[16])
{
	struct bh_packets *packets;
	size_t length = 0;
	const uint8_t *bytes = map_file(path, &length);

	if (!bytes)
		return NULL;
	struct bh_error *error = bh_packets_decode(trace, key, bytes, length, &packets);

	if (error) {
		bh_error_free(error);
		munmap((void *)(uintptr_t)bytes, length);
		return NULL;
	}
	packets->mapped = (void *)(uintptr_t)bytes;
	packets->mapped_bytes = length;
	bh_cache_touch(path);
	return packets;
}

/* Whoever reads meanwhile sees a whole file or none. */
static void save(const struct bh_packets *packets, const char *folder, const char *path,
		 const uint8_t key[16])
{
	struct bh_buffer buffer = {0};
	char *temporary = NULL;
	int fd = -1;

	bh_packets_encode(packets, key, &buffer);
	if (!buffer.failed && buffer.length <= FILE_MAX_BYTES &&
	    asprintf(&temporary, "%s.XXXXXX", path) > 0)
		fd = mkstemp(temporary);
	if (fd >= 0) {
		FILE *file = fdopen(fd, "wb");
		int is_whole =
			file && fwrite(buffer.bytes, 1, buffer.length, file) == buffer.length;

		if (file)
			is_whole &= fclose(file) == 0;
		if (!is_whole || rename(temporary, path))
			unlink(temporary);
		else
			bh_cache_bound(folder, SUFFIX, CACHE_MAX_BYTES, CACHE_MAX_FILES);
	}
	free(temporary);
	bh_buffer_free(&buffer);
}

static struct bh_error *make(const struct bh_packets_source *source,
			     struct bh_packets **packets_ret)
{
	struct bh_buffer stream = {0};

	BH_TRY(bh_packet_pass(source, &stream));
	struct bh_error *error = bh_packets_build(source, &stream, packets_ret);

	if (error) {
		bh_buffer_free(&stream);
		return error;
	}
	(*packets_ret)->frames = stream.bytes;
	return NULL;
}

struct bh_error *bh_packets_create(const struct bh_packets_source *source,
				   struct bh_packets **packets_ret)
{
	char *folder = bh_packet_cache_folder(source);
	uint8_t key[16];

	bh_trace_key(source->trace, key);
	char *path = folder ? bh_cache_path(folder, key, SUFFIX) : NULL;
	struct bh_packets *packets = path ? load(source->trace, path, key) : NULL;
	struct bh_error *error = NULL;

	if (!packets) {
		error = make(source, &packets);
		/* When the debug information is there, there is more to know. */
		if (!error && path && !packets->missing)
			save(packets, folder, path, key);
	}
	free(path);
	free(folder);
	if (!error)
		*packets_ret = packets;
	return error;
}
