/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory that a control group allows: see memory_limit.h. */
#include "cli/memory_limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulator/gate.h"

#define MIB	   (UINT64_C(1) << 20)
#define PAGE_BYTES UINT64_C(4096)
/* What a node takes before a program runs on it, and what a run takes without any. */
#define NODE_BYTES (4 * MIB)
#define BASE_BYTES (24 * MIB)
/* A run ends when so little is left: between two looks at it, it may take some more. */
#define SPARE_BYTES(limit) ((limit) / 16 + 4 * MIB)

static uint64_t read_limit(const char *path)
{
	FILE *stream = fopen(path, "re");
	char text[64] = "", *end = text;
	uint64_t bytes = UINT64_MAX;

	if (!stream)
		return bytes;
	if (fgets(text, sizeof(text), stream))
		bytes = strtoull(text, &end, 10);
	fclose(stream);
	/* "max", or version 1's number for none. */
	return end == text || bytes > 1ull << 62 ? UINT64_MAX : bytes;
}

/* The limits of a group, and of those that it is in, hold all together. */
static void read_group(struct bh_memory_limit *limit, const char *root, const char *group,
		       const char *file)
{
	char path[512];
	int length = snprintf(path, sizeof(path), "%s", group);

	while (length >= 0 && (size_t)length < sizeof(path)) {
		char name[1100];

		snprintf(name, sizeof(name), "%s%s/%s", root, strcmp(path, "/") ? path : "", file);
		uint64_t bytes = read_limit(name);

		if (bytes < limit->bytes && strlen(name) < sizeof(limit->path)) {
			limit->bytes = bytes;
			memcpy(limit->path, name, strlen(name) + 1);
		}
		char *slash = strrchr(path, '/');

		if (!slash || !*path)
			break;
		*slash = '\0';
		length = (int)(slash - path);
	}
}

void bh_memory_limit_read(struct bh_memory_limit *limit_ret)
{
	FILE *stream = fopen("/proc/self/cgroup", "re");
	char line[512];

	*limit_ret = (struct bh_memory_limit){.bytes = UINT64_MAX};
	while (stream && fgets(line, sizeof(line), stream)) {
		char *list = strchr(line, ':');
		char *group = list ? strchr(list + 1, ':') : NULL;

		if (!group)
			continue;
		*list++ = *group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		if (!*list)
			read_group(limit_ret, "/sys/fs/cgroup", group, "memory.max");
		else if (!strcmp(list, "memory"))
			read_group(limit_ret, "/sys/fs/cgroup/memory", group,
				   "memory.limit_in_bytes");
	}
	if (stream)
		fclose(stream);
}

struct bh_error *bh_memory_limit_check(const struct bh_memory_limit *limit, size_t node_count)
{
	uint64_t bytes = BASE_BYTES + node_count * NODE_BYTES;

	if (bytes <= limit->bytes)
		return NULL;
	return bh_error_new(BH_ERR_MACHINE,
			    "%zu node%s about %" PRIu64 " MiB of memory, but %s allows %" PRIu64
			    " MiB: raise that limit, or run fewer nodes",
			    node_count, node_count == 1 ? " takes" : "s take", bytes / MIB,
			    limit->path, limit->bytes / MIB);
}

struct bh_error *bh_memory_limit_watch(struct bh_memory_limit *limit)
{
	unsigned long long resident = 0, shared = 0;
	FILE *stream = limit->bytes == UINT64_MAX ? NULL : fopen("/proc/self/statm", "re");

	if (!stream)
		return NULL;
	if (fscanf(stream, "%*u %llu %llu", &resident, &shared) != 2)
		resident = shared;
	fclose(stream);
	uint64_t used = (resident - shared) * PAGE_BYTES;

	limit->is_near = used > limit->bytes / 2;
	if (used + SPARE_BYTES(limit->bytes) <= limit->bytes)
		return NULL;
	return bh_error_new(BH_ERR_MACHINE,
			    "at %" PRIu64 ".%06" PRIu64 " s, event %" PRIu64
			    ", the run has %" PRIu64 " MiB of memory, nearly the %" PRIu64
			    " MiB that %s allows: raise that limit, or run fewer nodes or programs",
			    bh_gate.vtime_ns / 1000000000, bh_gate.vtime_ns / 1000 % 1000000,
			    bh_gate.event, used / MIB, limit->bytes / MIB, limit->path);
}
