/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inputs read from a trace: see input_table.h. Called by reader.c. */
#include "traces/input_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "traces/chunk.h"

#define MODE_MAX 07777u

/* As in FORMAT.md; enum bh_input_kind of posix/inputs.h has the same numbers. */
#define KIND_DIRECTORY 2
#define KIND_SYMLINK   3
#define FILE_KIND_MAX  4u

const char *bh_trace_input_role_name(unsigned int role)
{
	static const char *const names[] = {NULL,      "scenario", "kernel", "file",
					    "program", "terminal", "typed"};

	return role < sizeof(names) / sizeof(names[0]) ? names[role] : NULL;
}

/* One allocation holds the strings of an input; name points to its start. */
static void input_free(struct bh_trace_input *input)
{
	free((char *)input->name);
}

void bh_input_table_free(struct bh_input_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		input_free(&table->inputs[i]);
	free(table->inputs);
	free(table->slots);
	memset(table, 0, sizeof(*table));
}

static size_t slot_find(const struct bh_input_table *table, const struct bh_trace_input *input)
{
	size_t slot = bh_hash64(input->name, strlen(input->name)) + input->role;

	for (;; slot++) {
		slot &= table->slot_count - 1;
		if (!table->slots[slot])
			return slot;
		const struct bh_trace_input *other = &table->inputs[table->slots[slot] - 1];
		if (other->role == input->role && !strcmp(other->name, input->name))
			return slot;
	}
}

static int table_grow(struct bh_input_table *table)
{
	size_t room = table->room ? 2 * table->room : 64;
	struct bh_trace_input *inputs = realloc(table->inputs, room * sizeof(*inputs));

	if (!inputs)
		return -1;
	table->inputs = inputs;
	table->room = room;
	free(table->slots);
	table->slot_count = 2 * room;
	table->slots = calloc(table->slot_count, sizeof(*table->slots));
	if (!table->slots)
		return -1;
	for (size_t i = 0; i < table->count; i++)
		table->slots[slot_find(table, &inputs[i])] = (uint32_t)i + 1;
	return 0;
}

/* Takes over input's strings. */
static void input_put(struct bh_input_table *table, struct bh_trace_input *input)
{
	if (table->no_memory || (table->count == table->room && table_grow(table))) {
		table->no_memory = 1;
		input_free(input);
		return;
	}
	size_t slot = slot_find(table, input);
	if (table->slots[slot]) {
		struct bh_trace_input *old = &table->inputs[table->slots[slot] - 1];

		input_free(old);
		*old = *input;
		return;
	}
	table->inputs[table->count++] = *input;
	table->slots[slot] = (uint32_t)table->count;
}

/* Part of a record that isn't terminated. */
struct span {
	const char *bytes;
	size_t length;
};

static struct span span_read(struct bh_cursor *cursor)
{
	size_t length = bh_cursor_varint(cursor);
	struct span span = {bh_cursor_bytes(cursor, length), length};

	return span;
}

/* Names in ascending order, each followed by 0, its kind's digit, 0. */
static int listing_is_valid(struct span text)
{
	const char *at = text.bytes, *end = text.bytes + text.length, *before = NULL;

	while (at < end) {
		const char *zero = memchr(at, 0, (size_t)(end - at));

		if (!zero || zero == at || end - zero < 3 || zero[1] < '0' ||
		    zero[1] > '0' + (int)FILE_KIND_MAX || zero[2] || memchr(at, '/', zero - at) ||
		    !strcmp(at, ".") || !strcmp(at, "..") || (before && strcmp(before, at) >= 0))
			return 0;
		before = at;
		at = zero + 3;
	}
	return 1;
}

/* Environment, an empty word, arguments; each with a zero behind it. There is a first argument. */
static int words_are_valid(struct span text)
{
	const char *at = text.bytes, *end = text.bytes + text.length;

	if (!text.length || end[-1])
		return 0;
	while (at < end && *at)
		at += strlen(at) + 1;
	return at + 1 < end && at[1];
}

static const char *text_check(const struct bh_trace_input *input, struct span text)
{
	if (input->role == BH_TRACE_PROGRAM &&
	    (!text.bytes || (text.length && text.bytes[text.length - 1])))
		return "the arguments of the scenario's program are malformed";
	if (input->role == BH_TRACE_TERMINAL && !words_are_valid(text))
		return "the program at the terminal is malformed";
	if (input->role == BH_TRACE_TYPED && !text.bytes)
		return "what was typed is missing";
	if (input->role != BH_TRACE_FILE || !text.bytes)
		return NULL;
	if (input->kind == KIND_DIRECTORY && !listing_is_valid(text))
		return "the listing of a directory is malformed";
	if (input->kind == KIND_SYMLINK && (!text.length || memchr(text.bytes, 0, text.length)))
		return "the target of a link is malformed";
	return NULL;
}

static const char *input_check(const struct bh_trace_input *input, uint8_t flags, uint64_t mode,
			       struct span name, struct span build_id)
{
	if (!bh_trace_input_role_name(input->role))
		return "an input has an unknown role";
	if (input->role == BH_TRACE_FILE ? input->kind > FILE_KIND_MAX : input->kind != 1)
		return "an input is of an unknown kind";
	if (flags & ~BH_INPUT_FLAGS || mode > MODE_MAX)
		return "an input has a flag or mode that is reserved";
	if (!name.length || memchr(name.bytes, 0, name.length) ||
	    ((input->role == BH_TRACE_FILE || input->role == BH_TRACE_PROGRAM) &&
	     name.bytes[0] != '/'))
		return "the name of an input is malformed";
	for (size_t i = 0; i < build_id.length; i++)
		if (!memchr("0123456789abcdef", build_id.bytes[i], 16))
			return "a build-id is malformed";
	if (input->role == BH_TRACE_SCENARIO && !(flags & BH_INPUT_FLAG_TEXT))
		return "the scenario's text is missing";
	return NULL;
}

/* The copies that the input keeps: name, build-id and text, each with a zero behind it. */
static int strings_keep(struct bh_trace_input *input, uint8_t flags, struct span name,
			struct span build_id, struct span text)
{
	char *copy = malloc(name.length + build_id.length + text.length + 3);

	if (!copy)
		return -1;
	input->name = copy;
	copy = mempcpy(copy, name.bytes, name.length);
	*copy++ = 0;
	input->build_id = flags & BH_INPUT_FLAG_BUILD_ID ? copy : NULL;
	copy = build_id.length ? mempcpy(copy, build_id.bytes, build_id.length) : copy;
	*copy++ = 0;
	input->text = flags & BH_INPUT_FLAG_TEXT ? copy : NULL;
	input->text_size = text.length;
	copy = text.length ? mempcpy(copy, text.bytes, text.length) : copy;
	*copy = 0;
	return 0;
}

const char *bh_input_table_read(struct bh_input_table *table, struct bh_cursor *cursor)
{
	struct bh_trace_input input = {0};
	struct span build_id = {NULL, 0}, text = {NULL, 0};

	input.role = bh_cursor_u8(cursor);
	input.kind = bh_cursor_u8(cursor);
	uint8_t flags = bh_cursor_u8(cursor);
	uint64_t mode = bh_cursor_varint(cursor);
	input.size = bh_cursor_varint(cursor);
	input.number = bh_cursor_u64(cursor);
	const void *hash = bh_cursor_bytes(cursor, sizeof(input.hash));
	struct span name = span_read(cursor);
	if (flags & BH_INPUT_FLAG_BUILD_ID)
		build_id = span_read(cursor);
	if (flags & BH_INPUT_FLAG_TEXT)
		text = span_read(cursor);
	if (cursor->failed)
		return "an input record is cut off";
	const char *fault = input_check(&input, flags, mode, name, build_id);
	if (!fault)
		fault = text_check(&input, text);
	if (!fault && input.role == BH_TRACE_SCENARIO && table->has_scenario)
		fault = "there is a second scenario";
	if (fault)
		return fault;
	input.was_read = flags & BH_INPUT_FLAG_WAS_READ;
	input.mode = (uint16_t)mode;
	memcpy(input.hash, hash, sizeof(input.hash));
	if (strings_keep(&input, flags, name, build_id, text)) {
		table->no_memory = 1;
		return NULL;
	}
	if (input.role == BH_TRACE_SCENARIO)
		table->has_scenario = 1;
	input_put(table, &input);
	return NULL;
}
