/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Splits a command line into words as a shell does, with its quotes and backslashes, but without
 * its expansions, pipes and the like: what would need a shell is refused with the way to ask for
 * one. Used by the scenario parser.
 */
#ifndef BH_SIMULATOR_SHELL_WORDS_H
#define BH_SIMULATOR_SHELL_WORDS_H

#include <stddef.h>

#include "common/error.h"

/* The words are malloc'd, *words_ret ends in NULL; bh_words_free() frees all. No word at all is
 * not an error. The messages don't say where the text is. */
struct bh_error *bh_shell_split(const char *text, char ***words_ret, size_t *count_ret);
/* Takes NULL. */
void bh_words_free(char **words);
/* Appends a copy of length bytes; words grows by realloc, and stays valid on failure (-1). */
int bh_words_append(char ***words, size_t *count, const char *bytes, size_t length);

#endif
