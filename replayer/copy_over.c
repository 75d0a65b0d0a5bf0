/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Going on from a breakpoint in a program that turned out to be none. Lifting the int3, stepping
 * and planting it again costs several times what the stop did; so a copy of the instruction is
 * executed elsewhere, which jumps back behind it. Called by copy_run.c. Breakpoints in kernels have
 * stubs for that (probe_set.c).
 *
 * The copies lie in a page beside the first node, far from programs, whose memory shows nothing of
 * it. They are made when they are needed, from what is in the text then: another program may lie
 * there than last time. A signal that comes up in one is that of the original
 * (bh_copy_over_origin()); nothing else stops there, and a program gives up the CPU only in system
 * calls, which are not displaced.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "replayer/code_map.h"
#include "replayer/copy.h"
#include "replayer/copy_internal.h"
#include "replayer/displace.h"

#define PAGE	   4096u
#define SLOT_CALL  0u /* the word that displaced calls use */
#define PLACES_AT  64u
#define PLACE_SIZE 96u
#define PLACES	   42u /* such that they fill the page */
#define LONGEST	   15u

struct place {
	uint8_t bytes[LONGEST]; /* what it is a copy of */
	int is_refused;		/* these can't be displaced */
	int is_checked;		/* that they are still there, since something was planted */
	struct bh_displaced moved;
};

struct bh_over {
	uint64_t page;
	struct place places[PLACES];
};

/* A fork of a copy maps it anew: what is in it then is nobody's. */
static struct bh_over *map_page(struct bh_copy *copy)
{
	const struct bh_tick_region *region = &copy->space->regions[0];
	struct bh_over *over = calloc(1, sizeof(*over));

	if (!over)
		return NULL;
	over->page = region->base + bh_tick_text_over_page(region->text);
	const struct bh_map_request request = {
		.address = over->page,
		.size = PAGE,
		.protection = PROT_READ | PROT_WRITE | PROT_EXEC,
		.flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS,
		.fd = -1,
	};
	struct bh_error *error = bh_copy_map(copy, &request, 1);
	if (error) {
		bh_error_free(error);
		free(over);
		return NULL;
	}
	copy->over = over;
	return over;
}

static void fill(struct bh_copy *copy, struct place *place, uint64_t pc, const uint8_t *bytes)
{
	struct bh_disassembler *disassembler =
		bh_code_map_disassembler(copy->space->regions[0].code);
	uint64_t number = (uint64_t)(place - copy->over->places);
	uint8_t code[2 * LONGEST] = {0}, room[PLACE_SIZE];
	struct bh_displace_request request = {
		.code = code,
		.from = pc,
		.to = copy->over->page + PLACES_AT + number * PLACE_SIZE,
		.slot = copy->over->page + SLOT_CALL,
		.room = room,
		.capacity = sizeof(room),
		.is_far = 1,
	};

	memcpy(code, bytes, LONGEST);
	memcpy(place->bytes, bytes, LONGEST);
	request.window = bh_disassembler_length(disassembler, code, LONGEST);
	place->is_refused = !request.window ||
			    !bh_displace(disassembler, &request, &place->moved) ||
			    bh_tracee_write(copy->tracee, request.to, room, place->moved.size);
	place->moved.from = pc;
}

uint64_t bh_copy_over(struct bh_copy *copy, uint64_t pc)
{
	const struct bh_space *space = copy->space;
	struct place *place = copy->over ? &copy->over->places[pc % PLACES] : NULL;
	uint8_t bytes[LONGEST];

	if (place && place->moved.from == pc && place->is_checked)
		return place->is_refused ? 0 : place->moved.to;
	if (!bh_copy_find_planted(copy, pc) || !bh_blocks_is_program(space->blocks, pc) ||
	    !space->region_count || !space->regions[0].code ||
	    bh_copy_read(copy, pc, bytes, sizeof(bytes)) != sizeof(bytes) ||
	    (!copy->over && !map_page(copy)))
		return 0;
	place = &copy->over->places[pc % PLACES];
	if (place->moved.from != pc || memcmp(place->bytes, bytes, sizeof(bytes)) != 0)
		fill(copy, place, pc, bytes);
	place->is_checked = 1;
	return place->is_refused ? 0 : place->moved.to;
}

void bh_copy_over_doubt(struct bh_copy *copy)
{
	for (size_t i = 0; copy->over && i < PLACES; i++)
		copy->over->places[i].is_checked = 0;
}

uint64_t bh_copy_over_origin(const struct bh_copy *copy, uint64_t pc, uint64_t *pushed_ret)
{
	uint64_t origin = 0;

	for (size_t i = 0; copy->over && i < PLACES && !origin; i++)
		if (!copy->over->places[i].is_refused)
			origin = bh_displaced_origin(&copy->over->places[i].moved, pc, pushed_ret);
	return origin;
}
