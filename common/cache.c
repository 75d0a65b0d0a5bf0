/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Folders of files that can be made again: see cache.h. */
#include "common/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

char *bh_cache_folder_at(const char *path)
{
	char *folder = strdup(path);

	if (folder && *folder && !make_folder(folder))
		return folder;
	free(folder);
	return NULL;
}

char *bh_cache_folder(const char *name)
{
	const char *cache = getenv("BACKHOP_CACHE"), *home = getenv("HOME");
	char *path = NULL, *folder;

	if (cache && *cache
		    ? asprintf(&path, "%s/%s", cache, name) < 0
		    : !home || !*home || asprintf(&path, "%s/.cache/backhop/%s", home, name) < 0)
		return NULL;
	folder = bh_cache_folder_at(path);
	free(path);
	return folder;
}

char *bh_cache_path(const char *folder, const uint8_t key[16], const char *suffix)
{
	char name[33], *path = NULL;

	for (int i = 0; i < 16; i++)
		snprintf(name + 2 * i, 3, "%02x", key[i]);
	return asprintf(&path, "%s/%s%s", folder, name, suffix) < 0 ? NULL : path;
}

void bh_cache_touch(const char *path)
{
	utimensat(AT_FDCWD, path, NULL, 0);
}

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

/* At most max files. */
static size_t list_files(const char *folder, const char *suffix, struct kept *kept_ret, size_t max)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	size_t count = 0, tail = strlen(suffix);

	while (directory && count < max && (entry = readdir(directory))) {
		size_t length = strlen(entry->d_name);
		struct stat status;
		char *path = NULL;

		if (length <= tail || strcmp(entry->d_name + length - tail, suffix))
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

void bh_cache_bound(const char *folder, const char *suffix, uint64_t max_bytes, size_t max_files)
{
	struct kept *kept = calloc(2 * max_files, sizeof(*kept));
	size_t count = kept ? list_files(folder, suffix, kept, 2 * max_files) : 0;
	uint64_t bytes = 0;

	if (count)
		qsort(kept, count, sizeof(*kept), compare_age);
	for (size_t i = 0; i < count; i++) {
		bytes += kept[i].size;
		if (i && (i >= max_files || bytes > max_bytes))
			unlink(kept[i].path);
		free(kept[i].path);
	}
	free(kept);
}
