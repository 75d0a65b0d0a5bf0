/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Edit distance for error messages: see suggest.h. */
#include "common/suggest.h"

#include <string.h>
#include <strings.h>

#define WORD_MAX 64u

static unsigned int min_of(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int bh_edit_distance(const char *a, const char *b)
{
	unsigned int rows[3][WORD_MAX + 1];
	size_t a_length = strlen(a), b_length = strlen(b);

	if (a_length >= WORD_MAX || b_length >= WORD_MAX)
		return strcmp(a, b) ? WORD_MAX : 0;
	for (unsigned int j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (unsigned int i = 1; i <= a_length; i++) {
		unsigned int *row = rows[i % 3], *above = rows[(i + 2) % 3],
			     *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned int j = 1; j <= b_length; j++) {
			row[j] = min_of(above[j] + 1, row[j - 1] + 1);
			row[j] = min_of(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min_of(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_length % 3][b_length];
}

const char *bh_suggest(const char *word, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	/* A third of the word may be wrong: "stoptime" for "stop_time", but not "foo" for "ram". */
	unsigned int best_distance = (unsigned int)(strlen(word) / 3 + 1) + 1;

	for (size_t i = 0; i < count; i++) {
		if (!candidates[i])
			continue;
		/* Only the case is wrong: nothing can be nearer. */
		if (strcasecmp(word, candidates[i]) == 0)
			return candidates[i];
		unsigned int distance = bh_edit_distance(word, candidates[i]);

		if (distance < best_distance && distance < strlen(candidates[i])) {
			best = candidates[i];
			best_distance = distance;
		}
	}
	return best;
}
