/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON writer: see json.h. */
#include "common/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bh_json {
	char *text;
	size_t length, capacity;
	int needs_comma;
	int is_failed;
};

struct bh_json *bh_json_create(void)
{
	return calloc(1, sizeof(struct bh_json));
}

void bh_json_destroy(struct bh_json *json)
{
	if (!json)
		return;
	free(json->text);
	free(json);
}

static void append(struct bh_json *json, const char *bytes, size_t length)
{
	if (!json || json->is_failed)
		return;
	if (json->capacity - json->length <= length) {
		size_t capacity = (json->capacity + length + 64) * 2;
		char *text = realloc(json->text, capacity);

		if (!text) {
			json->is_failed = 1;
			return;
		}
		json->text = text;
		json->capacity = capacity;
	}
	memcpy(json->text + json->length, bytes, length);
	json->length += length;
	json->text[json->length] = '\0';
}

char *bh_json_finish(struct bh_json *json)
{
	char *text = NULL;

	append(json, "", 0);
	if (json && !json->is_failed) {
		text = json->text;
		json->text = NULL;
	}
	bh_json_destroy(json);
	return text;
}

static void value_begin(struct bh_json *json)
{
	if (json && json->needs_comma)
		append(json, ", ", 2);
	if (json)
		json->needs_comma = 1;
}

static void bracket(struct bh_json *json, const char *text, int is_end)
{
	if (!is_end)
		value_begin(json);
	append(json, text, 1);
	if (json)
		json->needs_comma = is_end;
}

void bh_json_object_begin(struct bh_json *json)
{
	bracket(json, "{", 0);
}

void bh_json_object_end(struct bh_json *json)
{
	bracket(json, "}", 1);
}

void bh_json_array_begin(struct bh_json *json)
{
	bracket(json, "[", 0);
}

void bh_json_array_end(struct bh_json *json)
{
	bracket(json, "]", 1);
}

/* Length of the UTF-8 sequence at text (RFC 3629), 0 if it is none. Stops at a NUL. */
static size_t utf8_length(const unsigned char *text)
{
	size_t length = text[0] < 0x80	 ? 1
			: text[0] < 0xc2 ? 0
			: text[0] < 0xe0 ? 2
			: text[0] < 0xf0 ? 3
			: text[0] < 0xf5 ? 4
					 : 0;

	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return length;
}

static void append_quoted(struct bh_json *json, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	append(json, "\"", 1);
	while (*at) {
		size_t length = utf8_length(at);
		char escape[8];

		if (length == 0) {
			append(json, "\xef\xbf\xbd", 3);
			length = 1;
		} else if (*at == '"' || *at == '\\') {
			escape[0] = '\\';
			escape[1] = (char)*at;
			append(json, escape, 2);
		} else if (*at == '\n') {
			append(json, "\\n", 2);
		} else if (*at == '\t') {
			append(json, "\\t", 2);
		} else if (*at < 0x20 || *at == 0x7f) {
			snprintf(escape, sizeof(escape), "\\u%04x", *at);
			append(json, escape, 6);
		} else {
			append(json, (const char *)at, length);
		}
		at += length;
	}
	append(json, "\"", 1);
}

void bh_json_key(struct bh_json *json, const char *key)
{
	value_begin(json);
	append_quoted(json, key);
	append(json, ": ", 2);
	if (json)
		json->needs_comma = 0;
}

void bh_json_string(struct bh_json *json, const char *text)
{
	value_begin(json);
	if (text)
		append_quoted(json, text);
	else
		append(json, "null", 4);
}

__attribute__((format(printf, 2, 3))) static void append_value(struct bh_json *json,
							       const char *format, ...)
{
	char text[64];
	va_list args;

	va_start(args, format);
	int length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	value_begin(json);
	if (length > 0 && (size_t)length < sizeof(text))
		append(json, text, (size_t)length);
	else
		append(json, "null", 4);
}

void bh_json_u64(struct bh_json *json, uint64_t value)
{
	append_value(json, "%" PRIu64, value);
}

void bh_json_i64(struct bh_json *json, int64_t value)
{
	append_value(json, "%" PRId64, value);
}

void bh_json_double(struct bh_json *json, double value)
{
	/* JSON has no number for these. */
	if (value != value || value - value != 0)
		bh_json_null(json);
	else
		append_value(json, "%.6f", value);
}

void bh_json_bool(struct bh_json *json, int value)
{
	append_value(json, "%s", value ? "true" : "false");
}

void bh_json_null(struct bh_json *json)
{
	append_value(json, "null");
}

void bh_json_hex64(struct bh_json *json, uint64_t value)
{
	append_value(json, "\"%016" PRIx64 "\"", value);
}

void bh_json_raw(struct bh_json *json, const char *text)
{
	value_begin(json);
	append(json, text, strlen(text));
}

void bh_json_add_string(struct bh_json *json, const char *key, const char *text)
{
	bh_json_key(json, key);
	bh_json_string(json, text);
}

void bh_json_add_u64(struct bh_json *json, const char *key, uint64_t value)
{
	bh_json_key(json, key);
	bh_json_u64(json, value);
}

void bh_json_add_i64(struct bh_json *json, const char *key, int64_t value)
{
	bh_json_key(json, key);
	bh_json_i64(json, value);
}

void bh_json_add_double(struct bh_json *json, const char *key, double value)
{
	bh_json_key(json, key);
	bh_json_double(json, value);
}

void bh_json_add_bool(struct bh_json *json, const char *key, int value)
{
	bh_json_key(json, key);
	bh_json_bool(json, value);
}

void bh_json_add_null(struct bh_json *json, const char *key)
{
	bh_json_key(json, key);
	bh_json_null(json);
}

void bh_json_add_hex64(struct bh_json *json, const char *key, uint64_t value)
{
	bh_json_key(json, key);
	bh_json_hex64(json, value);
}
