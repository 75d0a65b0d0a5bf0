/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes JSON (RFC 8259) piece by piece into memory. Used by cli/ for --json and by exports. A
 * writer of our own, because libraries in use for it have no unsigned 64-bit numbers (seeds) and
 * refuse strings that aren't UTF-8 (names and paths needn't be): such bytes become U+FFFD here.
 *
 * Commas and colons come by themselves. A failed allocation is remembered and told by finish().
 */
#ifndef BH_COMMON_JSON_H
#define BH_COMMON_JSON_H

#include <stddef.h>
#include <stdint.h>

struct bh_json;

/* NULL when out of memory; the other functions take NULL, finish() then returns NULL. */
struct bh_json *bh_json_create(void);
/* Takes NULL. */
void bh_json_destroy(struct bh_json *json);
/* Destroys the writer and returns the text, NUL-terminated, without a newline; NULL when out of
 * memory. The caller frees it. */
char *bh_json_finish(struct bh_json *json);

void bh_json_object_begin(struct bh_json *json);
void bh_json_object_end(struct bh_json *json);
void bh_json_array_begin(struct bh_json *json);
void bh_json_array_end(struct bh_json *json);
void bh_json_key(struct bh_json *json, const char *key);

/* NULL text is null. */
void bh_json_string(struct bh_json *json, const char *text);
void bh_json_u64(struct bh_json *json, uint64_t value);
void bh_json_i64(struct bh_json *json, int64_t value);
/* Seconds and the like, with six decimals. */
void bh_json_double(struct bh_json *json, double value);
void bh_json_bool(struct bh_json *json, int value);
void bh_json_null(struct bh_json *json);
/* 16 hexadecimal digits as a string: digests don't fit the numbers of most readers. */
void bh_json_hex64(struct bh_json *json, uint64_t value);
/* A value that is JSON already. */
void bh_json_raw(struct bh_json *json, const char *text);

/* Key and value in one call. */
void bh_json_add_string(struct bh_json *json, const char *key, const char *text);
void bh_json_add_u64(struct bh_json *json, const char *key, uint64_t value);
void bh_json_add_i64(struct bh_json *json, const char *key, int64_t value);
void bh_json_add_double(struct bh_json *json, const char *key, double value);
void bh_json_add_bool(struct bh_json *json, const char *key, int value);
void bh_json_add_null(struct bh_json *json, const char *key);
void bh_json_add_hex64(struct bh_json *json, const char *key, uint64_t value);

#endif
