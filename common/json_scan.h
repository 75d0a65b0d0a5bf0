/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds values in JSON text without building a tree: enough to show a few members of a summary that
 * a trace carries. Safe on hostile text: whatever is malformed is simply not found.
 */
#ifndef BH_COMMON_JSON_SCAN_H
#define BH_COMMON_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* A value as it stands in the text; text NULL: not there. */
struct bh_json_span {
	const char *text;
	size_t length;
};

/* The value that the text (white space around it allowed) consists of. */
struct bh_json_span bh_json_value(const char *text, size_t length);
/* Of an object. The key is compared as it stands: keys with escapes are never found. */
struct bh_json_span bh_json_member(struct bh_json_span object, const char *key);
/* Of an array, from 0. */
struct bh_json_span bh_json_element(struct bh_json_span array, size_t index);

/* A string without its quotes and escapes, which the caller frees; characters that can't be told
 * safely to a terminal become '?'. NULL if it is no string, or out of memory. */
char *bh_json_text(struct bh_json_span value);
/* 1 if value is a number without sign, fraction and exponent that fits. */
int bh_json_number(struct bh_json_span value, uint64_t *number_ret);

#endif
