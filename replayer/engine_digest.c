/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state digest: a hash of the registers and of all memory of nodes and programs, equal at equal
 * positions of a replay, however they were reached. Part of the engine, see engine_internal.h.
 *
 * A page of zeroes counts like one that was never touched, because reading makes the difference.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "kernel-lib/node.h"
#include "posix/posix.h"
#include "replayer/engine_internal.h"

#define PAGE	    4096ull
#define CHUNK_PAGES 256ull
#define PRESENT	    (3ull << 62) /* in memory or swapped out */

struct digest {
	struct bh_replay *replay;
	int pagemap;
	uint64_t hash;
	uint8_t *bytes; /* CHUNK_PAGES pages */
};

static void mix(struct digest *digest, const void *bytes, size_t length)
{
	uint64_t pair[2] = {digest->hash, bh_hash64(bytes, length)};

	digest->hash = bh_hash64(pair, sizeof(pair));
}

static int is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

static void mix_pages(struct digest *digest, uint64_t address, uint64_t count, int is_anonymous)
{
	uint64_t map[CHUNK_PAGES];
	ssize_t wanted = (ssize_t)(count * sizeof(*map));

	if (pread(digest->pagemap, map, (size_t)wanted, (off_t)(address / PAGE * 8)) != wanted)
		memset(map, 0xff, sizeof(map));
	for (uint64_t i = 0; i < count; i++) {
		uint64_t run = 0;
		if (is_anonymous && !(map[i] & PRESENT))
			continue;
		while (i + run < count && (!is_anonymous || map[i + run] & PRESENT))
			run++;
		size_t length = bh_engine_read(digest->replay, address + i * PAGE, digest->bytes,
					       run * PAGE);
		for (uint64_t page = 0; page < length / PAGE; page++) {
			uint64_t at = address + (i + page) * PAGE;
			if (is_zero(digest->bytes + page * PAGE))
				continue;
			mix(digest, &at, sizeof(at));
			mix(digest, digest->bytes + page * PAGE, PAGE);
		}
		i += run;
	}
}

static int is_ours(const struct bh_replay *replay, uint64_t address)
{
	for (size_t i = 0; i < replay->node_count; i++) {
		uint64_t start, size;
		if (!replay->nodes[i].kernel)
			continue;
		bh_engine_stub_range(&replay->nodes[i], &start, &size);
		if (address >= start && address < start + size)
			return 0;
	}
	return (address >= BH_NODE_BASE && address < BH_ARENA_BASE) ||
	       bh_posix_is_program_address(address);
}

/* One line of /proc/PID/maps. */
static void mix_mapping(struct digest *digest, const char *line)
{
	unsigned long start, end, inode, offset;
	char access[5];

	if (sscanf(line, "%lx-%lx %4s %lx %*s %lu", &start, &end, access, &offset, &inode) != 5 ||
	    !is_ours(digest->replay, start) || access[0] != 'r')
		return;
	/* The simulator's own, which may lie among the programs' addresses. */
	if (strstr(line, "[heap]"))
		return;
	/* Text and constants that can't be written are what their files are. */
	if (inode && access[1] != 'w')
		return;
	for (uint64_t at = start; at < end; at += CHUNK_PAGES * PAGE) {
		uint64_t left = (end - at) / PAGE;
		mix_pages(digest, at, left < CHUNK_PAGES ? left : CHUNK_PAGES, !inode);
	}
}

static struct bh_error *mix_registers(struct digest *digest)
{
	struct bh_copy *copy = bh_engine_copy(digest->replay);
	struct user_regs_struct registers = *bh_copy_registers(copy);
	struct user_fpregs_struct fp;

	registers.orig_rax = 0;
	mix(digest, &registers, sizeof(registers));
	BH_TRY(bh_tracee_fp_registers(copy->tracee, &fp));
	mix(digest, &fp.mxcsr, sizeof(fp.mxcsr));
	mix(digest, fp.st_space, sizeof(fp.st_space));
	mix(digest, fp.xmm_space, sizeof(fp.xmm_space));
	return NULL;
}

static struct bh_error *mix_memory(struct digest *digest)
{
	int pid = (int)bh_tracee_pid(bh_engine_copy(digest->replay)->tracee);
	char path[64], line[4400];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	digest->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "r");
	digest->bytes = malloc(CHUNK_PAGES * PAGE);
	struct bh_error *error = NULL;
	if (!maps || digest->pagemap < 0 || !digest->bytes)
		error = bh_error_new(BH_ERR_MACHINE, "cannot read %s (%s)", path, strerror(errno));
	while (!error && fgets(line, sizeof(line), maps))
		mix_mapping(digest, line);
	if (maps)
		fclose(maps);
	if (digest->pagemap >= 0)
		close(digest->pagemap);
	free(digest->bytes);
	return error;
}

struct bh_error *bh_replay_state_digest(struct bh_replay *replay, uint64_t *digest_ret)
{
	struct digest digest = {.replay = replay, .pagemap = -1};

	BH_TRY(bh_copy_plant(bh_engine_copy(replay), NULL, 0, NULL));
	BH_TRY(mix_registers(&digest));
	BH_TRY(mix_memory(&digest));
	*digest_ret = digest.hash;
	return NULL;
}
