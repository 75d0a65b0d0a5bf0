/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "Did you mean": the nearest of a few known words. Used by the scenario parser for keys and names
 * and by cli/ for commands and options.
 */
#ifndef BH_COMMON_SUGGEST_H
#define BH_COMMON_SUGGEST_H

#include <stddef.h>

/* Number of insertions, deletions, replacements and swaps of neighbours that turn a into b; words
 * of more than 63 bytes are as far as can be (64). */
unsigned int bh_edit_distance(const char *a, const char *b);

/* The candidate nearest to word, the first of equals; NULL if none is near enough to be meant.
 * Candidates may be NULL pointers; they are skipped. */
const char *bh_suggest(const char *word, const char *const *candidates, size_t count);

#endif
