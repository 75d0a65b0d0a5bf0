/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool of checkpoints: see checkpoint.h. Called by timeline.c. */
#include "replayer/checkpoint.h"

#include <string.h>
#include <unistd.h>

/* Number of checkpoints at or before position. */
static size_t count_up_to(const struct bh_checkpoints *checkpoints, struct bh_position position)
{
	size_t count = checkpoints->count;

	while (count && bh_position_compare(checkpoints->copies[count - 1]->position, position) > 0)
		count--;
	return count;
}

struct bh_copy *bh_checkpoints_find(const struct bh_checkpoints *checkpoints,
				    struct bh_position position, int is_strict)
{
	size_t count = count_up_to(checkpoints, position);

	if (is_strict && count &&
	    !bh_position_compare(checkpoints->copies[count - 1]->position, position))
		count--;
	return count ? checkpoints->copies[count - 1] : NULL;
}

static uint64_t distance(uint64_t left, uint64_t right)
{
	return left > right ? left - right : right - left;
}

/* Half of the checkpoints lie so close to the user, the other half so evenly over the run. */
#define NEAR_SHARE 0.3
#define EVEN_SHARE (2.0 / BH_CHECKPOINTS_MAX)
#define NEAREST_NS 1e6
/* So many are kept whatever memory they take. */
#define BH_CHECKPOINTS_MIN 8

/*
 * Losing a checkpoint lengthens the way to what follows it by the gap before it. That matters as
 * much as the gap is large: against the distance from the user, for who goes back step by step; or
 * against the whole run, for who goes anywhere.
 */
static size_t least_useful(const struct bh_checkpoints *checkpoints, size_t newest,
			   uint64_t user_ns)
{
	double whole_ns = (double)checkpoints->copies[checkpoints->count - 1]->cost_ns + 1;
	double least = 0;
	size_t found = 0;

	for (size_t i = 1; i < checkpoints->count; i++) {
		if (i == newest)
			continue;
		uint64_t own_ns = checkpoints->copies[i]->cost_ns;
		uint64_t gap_ns = distance(own_ns, checkpoints->copies[i - 1]->cost_ns);
		double near_ns = NEAR_SHARE * ((double)distance(own_ns, user_ns) + NEAREST_NS);
		double even_ns = EVEN_SHARE * whole_ns;
		double use = (double)(gap_ns + 1) / (near_ns < even_ns ? near_ns : even_ns);
		if (!found || use < least) {
			least = use;
			found = i;
		}
	}
	return found;
}

static int has_too_many(struct bh_checkpoints *checkpoints)
{
	uint64_t pages = 0;

	if (!checkpoints->pages_max)
		checkpoints->pages_max = (uint64_t)sysconf(_SC_PHYS_PAGES) / 4;
	for (size_t i = 0; i < checkpoints->count; i++)
		pages += checkpoints->copies[i]->pages;
	return checkpoints->count > BH_CHECKPOINTS_MAX ||
	       (pages > checkpoints->pages_max && checkpoints->count > BH_CHECKPOINTS_MIN);
}

struct bh_error *bh_checkpoints_add(struct bh_checkpoints *checkpoints, struct bh_copy *copy,
				    uint64_t user_ns)
{
	size_t at = count_up_to(checkpoints, copy->position);
	struct bh_copy *added;

	if (at && !bh_position_compare(checkpoints->copies[at - 1]->position, copy->position)) {
		struct bh_copy **same = &checkpoints->copies[at - 1];
		/* One that counts is ready for moves inside the event. */
		if ((*same)->is_counting || !copy->is_counting)
			return NULL;
		BH_TRY(bh_copy_fork(copy, &added));
		bh_copy_destroy(*same);
		*same = added;
		return NULL;
	}
	BH_TRY(bh_copy_fork(copy, &added));
	memmove(checkpoints->copies + at + 1, checkpoints->copies + at,
		(checkpoints->count - at) * sizeof(*checkpoints->copies));
	checkpoints->copies[at] = added;
	checkpoints->count++;
	while (has_too_many(checkpoints)) {
		size_t gone = least_useful(checkpoints, at, user_ns);
		bh_copy_destroy(checkpoints->copies[gone]);
		checkpoints->count--;
		memmove(checkpoints->copies + gone, checkpoints->copies + gone + 1,
			(checkpoints->count - gone) * sizeof(*checkpoints->copies));
		at -= gone < at;
	}
	return NULL;
}

void bh_checkpoints_clear(struct bh_checkpoints *checkpoints)
{
	for (size_t i = 0; i < checkpoints->count; i++)
		bh_copy_destroy(checkpoints->copies[i]);
	checkpoints->count = 0;
}
