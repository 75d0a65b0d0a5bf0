/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds values in JSON text: see json_scan.h. Called by cli/. */
#include "common/json_scan.h"

#include <stdlib.h>
#include <string.h>

static const struct bh_json_span nothing;

static const char *blank_skip(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* at points behind the opening quote; returns behind the closing one, NULL if there is none. */
static const char *string_skip(const char *at, const char *end)
{
	for (; at < end; at++) {
		if (*at == '"')
			return at + 1;
		if (*at == '\\' && ++at == end)
			break;
	}
	return NULL;
}

/* Brackets are counted, not matched: nesting needs no stack that a hostile text could exhaust. */
static const char *value_skip(const char *at, const char *end)
{
	size_t depth = 0;

	while (at && at < end) {
		char c = *at++;

		if (c == '"') {
			at = string_skip(at, end);
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (!depth)
				return at - 1;
			depth--;
		} else if (c == ',' && !depth) {
			return at - 1;
		} else if (depth || !strchr("}], \t\r\n", at < end ? *at : ',')) {
			continue;
		}
		if (!depth)
			return at;
	}
	return depth ? NULL : at;
}

static struct bh_json_span span_at(const char *at, const char *end, const char **next_ret)
{
	const char *next = value_skip(at, end);

	if (!next || next == at)
		return nothing;
	*next_ret = blank_skip(next, end);
	return (struct bh_json_span){at, (size_t)(next - at)};
}

struct bh_json_span bh_json_value(const char *text, size_t length)
{
	const char *end = text + length, *next;
	struct bh_json_span span = span_at(blank_skip(text, end), end, &next);

	return span.text && next == end ? span : nothing;
}

struct bh_json_span bh_json_member(struct bh_json_span object, const char *key)
{
	const char *end = object.text + object.length, *at = object.text;
	size_t key_length = strlen(key);

	if (!at || *at != '{')
		return nothing;
	do {
		const char *name = blank_skip(at + 1, end);

		if (name == end || *name != '"')
			return nothing;
		const char *name_end = string_skip(++name, end);
		at = name_end ? blank_skip(name_end, end) : NULL;
		if (!at || at == end || *at != ':')
			return nothing;
		struct bh_json_span value = span_at(blank_skip(at + 1, end), end, &at);
		if (!value.text)
			return nothing;
		if ((size_t)(name_end - 1 - name) == key_length && !memcmp(name, key, key_length))
			return value;
	} while (at < end && *at == ',');
	return nothing;
}

struct bh_json_span bh_json_element(struct bh_json_span array, size_t index)
{
	const char *end = array.text + array.length, *at = array.text;

	if (!at || *at != '[')
		return nothing;
	do {
		struct bh_json_span value = span_at(blank_skip(at + 1, end), end, &at);

		if (!value.text || !index--)
			return value;
	} while (at < end && *at == ',');
	return nothing;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes the escape behind a backslash; escapes of characters beyond ASCII become '?'. */
static const char *escape_decode(const char *at, const char *end, char *c_ret)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *name = at < end ? strchr(names, *at) : NULL;
	int code = 0;

	*c_ret = '?';
	if (at < end && *at == 'u' && end - at >= 5) {
		for (int i = 1; i <= 4; i++)
			code = hex_digit(at[i]) < 0 || code < 0 ? -1 : code * 16 + hex_digit(at[i]);
		if (code > 0 && code < 0x80)
			*c_ret = (char)code;
		return at + 5;
	}
	if (name && *name)
		*c_ret = values[name - names];
	return at + 1;
}

char *bh_json_text(struct bh_json_span value)
{
	if (!value.text || value.length < 2 || *value.text != '"')
		return NULL;
	const char *at = value.text + 1, *end = value.text + value.length - 1;
	char *text = malloc(value.length), *to = text;
	if (!text)
		return NULL;
	while (at < end) {
		char c = *at++;

		if (c == '\\')
			at = escape_decode(at, end, &c);
		if (((unsigned char)c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			c = '?';
		*to++ = c;
	}
	*to = 0;
	return text;
}

int bh_json_number(struct bh_json_span value, uint64_t *number_ret)
{
	uint64_t number = 0;

	for (size_t i = 0; i < value.length; i++) {
		unsigned int digit = (unsigned int)(value.text[i] - '0');

		if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, digit, &number))
			return 0;
	}
	if (!value.length)
		return 0;
	*number_ret = number;
	return 1;
}
