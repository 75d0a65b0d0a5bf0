/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bh_packets_create() of packets.h: takes the table of a run's packets from the cache, or makes it
 * and puts it there. The cache is a folder of files named by what they are of; it is bounded, the
 * oldest go first. A cache that can't be written, or holds something else, is no error.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "replayer/packet_pass.h"
#include "replayer/packet_table.h"

#define FILE_MAX_BYTES	(4ull << 30)
#define CACHE_MAX_BYTES (2ull << 30)
#define CACHE_MAX_FILES 200u
#define SUFFIX		".packets"

/* A run is told by its events as they are stored, which replay, unlike digests, needn't unpack to
 * know; names of nodes and devices come from its scenario, those of
 * functions from its kernel images. */
static void make_key(const struct bh_trace *trace, uint8_t key_ret[16])
{
	struct bh_buffer buffer = {0};

	bh_buffer_u64(&buffer, bh_trace_events_hash(trace));
	bh_buffer_u64(&buffer, bh_trace_event_count(trace));
	for (size_t i = 0; i < bh_trace_input_count(trace); i++) {
		const struct bh_trace_input *input = bh_trace_input(trace, i);

		if (input->role == BH_TRACE_SCENARIO || input->role == BH_TRACE_KERNEL)
			bh_buffer_bytes(&buffer, input->hash, sizeof(input->hash));
	}
	bh_hash128(buffer.bytes, buffer.length, key_ret);
	bh_buffer_free(&buffer);
}

/* ${BACKHOP_CACHE:-~/.cache/backhop}/packets; NULL if there is no place. The caller frees it. */
static char *default_folder(void)
{
	const char *cache = getenv("BACKHOP_CACHE"), *home = getenv("HOME");
	char *folder = NULL;

	if (cache && *cache
		    ? asprintf(&folder, "%s/packets", cache) < 0
		    : !home || !*home || asprintf(&folder, "%s/.cache/backhop/packets", home) < 0)
		return NULL;
	return folder;
}

/* With the folders above it. */
static int make_folder(char *folder)
{
	for (char *at = folder + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		int status = mkdir(folder, 0777);

		*at = '/';
		if (status && errno != EEXIST)
			return -1;
	}
	return mkdir(folder, 0777) && errno != EEXIST ? -1 : 0;
}

char *bh_packet_cache_folder(const struct bh_packets_source *source)
{
	char *folder = source->cache_folder ? strdup(source->cache_folder) : default_folder();

	if (folder && *folder && !make_folder(folder))
		return folder;
	free(folder);
	return NULL;
}

static char *file_path(const char *folder, const uint8_t key[16])
{
	char name[33], *path = NULL;

	for (int i = 0; i < 16; i++)
		snprintf(name + 2 * i, 3, "%02x", key[i]);
	return asprintf(&path, "%s/%s" SUFFIX, folder, name) < 0 ? NULL : path;
}

/* --- keeping it bounded --- */

struct kept {
	char *path;
	struct timespec used;
	uint64_t size;
};

static int compare_age(const void *left, const void *right)
{
	const struct kept *a = left, *b = right;

	if (a->used.tv_sec != b->used.tv_sec)
		return a->used.tv_sec > b->used.tv_sec ? -1 : 1;
	return a->used.tv_nsec > b->used.tv_nsec ? -1 : 1;
}

static size_t list_files(const char *folder, struct kept *kept_ret, size_t max)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	size_t count = 0;

	while (directory && count < max && (entry = readdir(directory))) {
		size_t length = strlen(entry->d_name);
		struct stat status;
		char *path = NULL;

		if (length < sizeof(SUFFIX) ||
		    strcmp(entry->d_name + length - (sizeof(SUFFIX) - 1), SUFFIX))
			continue;
		if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
			continue;
		if (stat(path, &status)) {
			free(path);
			continue;
		}
		kept_ret[count++] = (struct kept){path, status.st_mtim, (uint64_t)status.st_size};
	}
	if (directory)
		closedir(directory);
	return count;
}

static void remove_oldest(const char *folder)
{
	struct kept kept[CACHE_MAX_FILES * 2];
	size_t count = list_files(folder, kept, CACHE_MAX_FILES * 2);
	uint64_t bytes = 0;

	qsort(kept, count, sizeof(*kept), compare_age);
	for (size_t i = 0; i < count; i++) {
		bytes += kept[i].size;
		if (i && (i >= CACHE_MAX_FILES || bytes > CACHE_MAX_BYTES))
			unlink(kept[i].path);
		free(kept[i].path);
	}
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
	/* It is in use. */
	utimensat(AT_FDCWD, path, NULL, 0);
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
			remove_oldest(folder);
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

	make_key(source->trace, key);
	char *path = folder ? file_path(folder, key) : NULL;
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
