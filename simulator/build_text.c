/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts in YAML for scenarios that are C programs: see build.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulator/build.h"

void bh_text_free(struct bh_text *text)
{
	free(text->bytes);
	memset(text, 0, sizeof(*text));
}

static int reserve(struct bh_text *text, size_t more)
{
	size_t capacity = text->capacity ? text->capacity : 256;

	while (capacity - text->length <= more)
		capacity *= 2;
	if (capacity == text->capacity)
		return 0;
	char *bytes = realloc(text->bytes, capacity);

	if (!bytes) {
		text->no_memory = 1;
		return -1;
	}
	text->bytes = bytes;
	text->capacity = capacity;
	return 0;
}

void bh_text_add(struct bh_text *text, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);

	if (length >= 0 && reserve(text, (size_t)length) == 0)
		text->length += (size_t)vsnprintf(text->bytes + text->length, (size_t)length + 1,
						  format, again);
	va_end(again);
	va_end(args);
}

void bh_text_add_quoted(struct bh_text *text, const char *value)
{
	bh_text_add(text, "\"");
	for (const unsigned char *at = (const unsigned char *)value; *at; at++) {
		if (*at == '"' || *at == '\\')
			bh_text_add(text, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			bh_text_add(text, "\\x%02x", *at);
		else
			bh_text_add(text, "%c", *at);
	}
	bh_text_add(text, "\"");
}

static void add_key(struct bh_text *text, const char *key, const char *value)
{
	bh_text_add(text, ", %s: ", key);
	bh_text_add_quoted(text, value);
}

static void add_arguments(struct bh_text *text, const struct bh_program *program)
{
	if (program->args) {
		add_key(text, "args", program->args);
	} else if (program->argv) {
		bh_text_add(text, ", args: [");
		for (size_t i = 0; program->argv[i]; i++) {
			if (i > 0)
				bh_text_add(text, ", ");
			bh_text_add_quoted(text, program->argv[i]);
		}
		bh_text_add(text, "]");
	}
}

static void add_environment(struct bh_text *text, const char *const *environment)
{
	bh_text_add(text, ", environment: [");
	for (size_t i = 0; environment[i]; i++) {
		if (i > 0)
			bh_text_add(text, ", ");
		bh_text_add_quoted(text, environment[i]);
	}
	bh_text_add(text, "]");
}

const char *bh_program_fault(const struct bh_program *program)
{
	if (!program->path)
		return "the program has no path";
	if (program->args && program->argv)
		return "the program has args and argv; give one of them";
	if (program->more && strpbrk(program->more, "\n\r"))
		return "`more` has several lines; write it as YAML in one";
	return NULL;
}

void bh_text_add_program(struct bh_text *text, const struct bh_program *program, uint64_t from_ns)
{
	uint64_t start_ns = program->start_ns > from_ns ? program->start_ns : from_ns;

	bh_text_add(text, "{path: ");
	bh_text_add_quoted(text, program->path);
	add_arguments(text, program);
	if (start_ns)
		bh_text_add(text, ", start_time: %" PRIu64 "ns", start_ns);
	if (program->environment)
		add_environment(text, program->environment);
	if (program->stdin_text)
		add_key(text, "stdin", program->stdin_text);
	if (program->uid)
		bh_text_add(text, ", uid: %" PRIu32, program->uid);
	if (program->gid)
		bh_text_add(text, ", gid: %" PRIu32, program->gid);
	if (program->must_end || program->expected_exit > 0)
		bh_text_add(text, ", expected_exit: %d", program->expected_exit);
	if (program->must_be_running)
		bh_text_add(text, ", expected_final_state: running");
	if (program->more)
		bh_text_add(text, ", %s", program->more);
	bh_text_add(text, "}");
}
