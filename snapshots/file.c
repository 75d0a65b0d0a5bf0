/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of snapshots, opened to restore some: see snapshot.h. It comes from our own cache, but
 * what is in it becomes a process, so it must belong to the user and be whole. Called by replayer/.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cache.h"
#include "common/hash.h"
#include "snapshots/internal.h"

#define INDEX_MAX (256ull << 20)

/* Does an array of count elements lie in the index? */
static int is_within(const struct bh_snapshot_file *file, uint64_t at, uint64_t count, size_t size)
{
	return at % 8 == 0 && at <= file->index_size && count <= (file->index_size - at) / size;
}

static int is_map_good(const struct bh_snapshot_map *map, uint64_t text_size)
{
	return map->start < map->end && map->start % BH_SNAPSHOT_PAGE == 0 &&
	       map->end % BH_SNAPSHOT_PAGE == 0 && map->path < text_size &&
	       map->kind <= BH_MAP_HOST;
}

static int is_entry_good(const struct bh_snapshot_file *file, const struct bh_snapshot_entry *entry,
			 uint64_t text_size)
{
	const struct bh_snapshot_map *maps = (const void *)(file->index + entry->maps);

	if (!is_within(file, entry->maps, entry->map_count, sizeof(*maps)) ||
	    !is_within(file, entry->runs, entry->run_count, sizeof(struct bh_snapshot_run)))
		return 0;
	for (uint64_t i = 0; i < entry->map_count; i++)
		if (!is_map_good(&maps[i], text_size) || (i && maps[i].start < maps[i - 1].end))
			return 0;
	return 1;
}

static int is_index_good(struct bh_snapshot_file *file)
{
	const struct bh_snapshot_index *head = (const void *)file->index;

	if (file->index_size < sizeof(*head) ||
	    !is_within(file, head->entries, head->entry_count, sizeof(*file->entries)) ||
	    head->text > file->index_size || !head->text_size ||
	    head->text_size > file->index_size - head->text ||
	    file->index[head->text + head->text_size - 1])
		return 0;
	file->entries = (const void *)(file->index + head->entries);
	file->entry_count = head->entry_count;
	for (size_t i = 0; i < file->entry_count; i++)
		if (!is_entry_good(file, &file->entries[i], head->text_size))
			return 0;
	return 1;
}

static int read_index(struct bh_snapshot_file *file)
{
	struct bh_snapshot_header header;
	struct stat status;
	uint8_t place[16], hash[16];

	if (fstat(file->fd, &status) || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
	    status.st_mode & (S_IWGRP | S_IWOTH) ||
	    pread(file->fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    memcmp(header.magic, BH_SNAPSHOT_MAGIC, sizeof(header.magic)) ||
	    header.index_size > INDEX_MAX || header.index_at > (uint64_t)status.st_size ||
	    header.index_size > (uint64_t)status.st_size - header.index_at ||
	    bh_snapshot_place(place) || memcmp(place, header.place, sizeof(place)))
		return -1;
	file->index = malloc(header.index_size + 1);
	file->index_size = header.index_size;
	if (!file->index || pread(file->fd, file->index, header.index_size,
				  (off_t)header.index_at) != (ssize_t)header.index_size)
		return -1;
	bh_hash128(file->index, file->index_size, hash);
	return memcmp(hash, header.index_hash, sizeof(hash)) || !is_index_good(file) ? -1 : 0;
}

struct bh_snapshot_file *bh_snapshot_file_open(const char *folder, const uint8_t key[16])
{
	struct bh_snapshot_file *file = calloc(1, sizeof(*file));
	char *path = bh_cache_path(folder, key, BH_SNAPSHOT_SUFFIX);

	if (file)
		file->fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
	if (file && (file->fd < 0 || read_index(file))) {
		bh_snapshot_file_close(file);
		file = NULL;
	}
	if (file)
		bh_cache_touch(path);
	free(path);
	return file;
}

void bh_snapshot_file_close(struct bh_snapshot_file *file)
{
	if (!file)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free(file->index);
	free(file);
}

size_t bh_snapshot_count(const struct bh_snapshot_file *file)
{
	return file->entry_count;
}

uint64_t bh_snapshot_label(const struct bh_snapshot_file *file, size_t number)
{
	return file->entries[number].label;
}

uint64_t bh_snapshot_cost_ns(const struct bh_snapshot_file *file, size_t number)
{
	return file->entries[number].cost_ns;
}
