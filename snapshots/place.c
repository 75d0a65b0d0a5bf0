/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where this process lies in its address space: its memory map, and whether another process's
 * memory would fit in. See internal.h; called by take.c, file.c and restore.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/hash.h"
#include "snapshots/internal.h"

/* The C library takes larger blocks from elsewhere (M_MMAP_THRESHOLD of mallopt(3), at least). */
#define HEAP_BLOCK_MAX 131072u

struct bh_snapshot_context bh_snapshot_context;
char bh_snapshot_message[BH_SNAPSHOT_MESSAGE];

void bh_snapshots_fix_addresses(char *const *argv)
{
	int now = personality(0xffffffff);
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (now == -1 || now & ADDR_NO_RANDOMIZE || length <= 0)
		return;
	path[length] = '\0';
	if (personality((unsigned long)now | ADDR_NO_RANDOMIZE) == -1 ||
	    !(personality(0xffffffff) & ADDR_NO_RANDOMIZE))
		return;
	execv(path, argv);
	personality((unsigned long)now);
}

/* --- the memory map --- */

void bh_snapshot_maps_free(struct bh_snapshot_maps *maps)
{
	free(maps->maps);
	free(maps->text);
	memset(maps, 0, sizeof(*maps));
}

/* Its offset in the text; the first path is the empty one. */
static int add_text(struct bh_snapshot_maps *maps, const char *path, uint32_t *offset_ret)
{
	size_t size = strlen(path) + 1;

	if (maps->text_size + size > maps->text_room) {
		size_t room = 2 * maps->text_room + size + 4096;
		char *text = realloc(maps->text, room);

		if (!text)
			return -1;
		maps->text = text;
		maps->text_room = room;
	}
	memcpy(maps->text + maps->text_size, path, size);
	*offset_ret = (uint32_t)maps->text_size;
	maps->text_size += size;
	return 0;
}

static struct bh_snapshot_map *add_map(struct bh_snapshot_maps *maps)
{
	if (maps->count == maps->room) {
		size_t room = 2 * maps->room + 256;
		struct bh_snapshot_map *grown = realloc(maps->maps, room * sizeof(*grown));

		if (!grown)
			return NULL;
		maps->maps = grown;
		maps->room = room;
	}
	memset(&maps->maps[maps->count], 0, sizeof(*maps->maps));
	return &maps->maps[maps->count++];
}

static uint64_t mtime_of(const struct stat *stat)
{
	return (uint64_t)stat->st_mtim.tv_sec * 1000000000ull + (uint64_t)stat->st_mtim.tv_nsec;
}

int bh_snapshot_map_is_same(const struct bh_snapshot_map *map, const char *path)
{
	struct stat is;

	return !stat(path, &is) && is.st_dev == map->device && is.st_ino == map->inode &&
	       (uint64_t)is.st_size == map->size && mtime_of(&is) == map->mtime_ns;
}

static void classify_file(struct bh_snapshot_map *map, const char *path, uint64_t inode)
{
	struct stat is;

	map->is_whole = 1;
	if (stat(path, &is) || is.st_ino != inode || !S_ISREG(is.st_mode))
		return; /* gone, or another by now */
	map->kind = BH_MAP_FILE;
	map->is_whole = 0;
	map->device = is.st_dev;
	map->inode = is.st_ino;
	map->size = (uint64_t)is.st_size;
	map->mtime_ns = mtime_of(&is);
}

/* One line of /proc/self/maps. */
static int read_line(struct bh_snapshot_maps *maps, char *line, const char *executable)
{
	unsigned long start, end, offset, inode;
	char flags[5];
	int path_at = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%lx-%lx %4s %lx %*s %lu %n", &start, &end, flags, &offset, &inode,
		   &path_at) != 5 ||
	    !path_at)
		return -1;
	const char *path = line + path_at;

	if (flags[3] == 's')
		return 0;
	struct bh_snapshot_map *map = add_map(maps);

	if (!map)
		return -1;
	map->start = start;
	map->end = end;
	map->offset = offset;
	map->protection = (flags[0] == 'r' ? PROT_READ : 0u) | (flags[1] == 'w' ? PROT_WRITE : 0u) |
			  (flags[2] == 'x' ? PROT_EXEC : 0u);
	if (!strcmp(path, "[heap]"))
		map->kind = BH_MAP_HEAP;
	else if (!strcmp(path, "[stack]"))
		map->kind = BH_MAP_STACK;
	else if (!strncmp(path, "[v", 2))
		map->kind = BH_MAP_HOST;
	else if (!strcmp(path, executable))
		map->kind = BH_MAP_EXECUTABLE;
	else if (*path == '/')
		classify_file(map, path, inode);
	return map->kind == BH_MAP_FILE ? add_text(maps, path, &map->path) : 0;
}

static int read_maps(struct bh_snapshot_maps *maps)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char *line = NULL, executable[4096];
	ssize_t length = readlink("/proc/self/exe", executable, sizeof(executable) - 1);
	size_t room = 0;
	uint32_t none;
	int status = file && length > 0 ? 0 : -1;

	executable[length > 0 ? length : 0] = '\0';
	maps->count = maps->text_size = 0;
	if (!status)
		status = add_text(maps, "", &none);
	while (!status && getline(&line, &room, file) > 0)
		status = read_line(maps, line, executable);
	free(line);
	if (file)
		fclose(file);
	return status;
}

int bh_snapshot_maps_read(struct bh_snapshot_maps *maps)
{
	const void *heap_end;
	size_t room;

	/* Again, if that has itself changed the map: made the heap larger, or taken a mapping. */
	do {
		heap_end = sbrk(0);
		room = maps->room * sizeof(*maps->maps) + maps->text_room;
		if (read_maps(maps))
			return -1;
	} while (sbrk(0) != heap_end ||
		 (maps->room * sizeof(*maps->maps) + maps->text_room != room &&
		  maps->room * sizeof(*maps->maps) + maps->text_room > HEAP_BLOCK_MAX));
	return 0;
}

/* --- the place --- */

static int hash_place(const struct bh_snapshot_maps *maps, uint8_t place_ret[16])
{
	struct {
		struct utsname host;
		struct stat file;
		uint64_t executable, heap, stack, thread, vdso, capabilities[2];
	} is;

	memset(&is, 0, sizeof(is));
	for (size_t i = maps->count; i-- > 0;) {
		const struct bh_snapshot_map *map = &maps->maps[i];

		if (map->kind == BH_MAP_EXECUTABLE)
			is.executable = map->start;
		else if (map->kind == BH_MAP_HEAP)
			is.heap = map->start;
		else if (map->kind == BH_MAP_STACK)
			is.stack = map->end;
	}
	if (uname(&is.host) || stat("/proc/self/exe", &is.file) || !is.executable || !is.heap ||
	    !is.stack)
		return -1;
	/* Reading it changes it. */
	memset(&is.file.st_atim, 0, sizeof(is.file.st_atim));
	__asm__("rdfsbase %0" : "=r"(is.thread));
	is.vdso = getauxval(AT_SYSINFO_EHDR);
	is.capabilities[0] = getauxval(AT_HWCAP);
	is.capabilities[1] = getauxval(AT_HWCAP2);
	bh_hash128(&is, sizeof(is), place_ret);
	return 0;
}

int bh_snapshot_place(uint8_t place_ret[16])
{
	struct bh_snapshot_maps maps = {0};
	/* Of a processor that lacks it the host says so here; there no program runs, either. */
	int status = getauxval(AT_HWCAP2) & 2 ? bh_snapshot_maps_read(&maps) : -1;

	if (!status)
		status = hash_place(&maps, place_ret);
	bh_snapshot_maps_free(&maps);
	return status;
}
