/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builds the tree from libyaml's events: see yaml_tree.h. */
#include "simulator/yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "simulator/name_table.h"

struct builder {
	const char *filename;
	yaml_parser_t parser;
	struct bh_yaml_tree tree;
	size_t node_count;
	struct bh_yaml_node *open[BH_YAML_DEPTH_MAX]; /* collections that haven't ended */
	char *open_anchor[BH_YAML_DEPTH_MAX];
	unsigned int depth;
	struct bh_name_table anchors; /* of nodes that are complete */
	struct bh_yaml_node **anchored;
	char **anchor_names;
	size_t anchor_count;
};

static void format_sentence(char *sentence, size_t size, const char *format, va_list args)
{
	vsnprintf(sentence, size, format, args);
	for (char *at = sentence; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
}

struct bh_error *bh_yaml_error(const char *filename, size_t line, size_t column, const char *format,
			       ...)
{
	char sentence[512];
	va_list args;

	va_start(args, format);
	format_sentence(sentence, sizeof(sentence), format, args);
	va_end(args);
	return bh_error_new(BH_ERR_INPUT, "%s:%zu:%zu: %s", filename, line, column, sentence);
}

__attribute__((format(printf, 3, 4))) static struct bh_error *
error_at(const struct builder *builder, yaml_mark_t mark, const char *format, ...)
{
	char sentence[512];
	va_list args;

	va_start(args, format);
	format_sentence(sentence, sizeof(sentence), format, args);
	va_end(args);
	return bh_yaml_error(builder->filename, mark.line + 1, mark.column + 1, "%s", sentence);
}

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory while reading YAML");
}

/* Line and column of a byte, for errors that libyaml reports by offset only. */
static yaml_mark_t mark_of_offset(const char *text, size_t length, size_t offset)
{
	yaml_mark_t mark = {offset, 0, 0};

	for (size_t i = 0; i < offset && i < length; i++) {
		mark.column++;
		if (text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

static struct bh_error *parser_error(const struct builder *builder, const char *text, size_t length)
{
	const yaml_parser_t *parser = &builder->parser;
	const char *problem = parser->problem ? parser->problem : "this isn't YAML";

	if (parser->error == YAML_MEMORY_ERROR)
		return out_of_memory();
	if (parser->error == YAML_READER_ERROR)
		return error_at(builder, mark_of_offset(text, length, parser->problem_offset),
				"not YAML: %s", problem);
	return error_at(builder, parser->problem_mark, "not YAML: %s%s%s", problem,
			parser->context ? " " : "", parser->context ? parser->context : "");
}

static struct bh_yaml_node *node_create(struct builder *builder, enum bh_yaml_kind kind,
					yaml_mark_t mark)
{
	struct bh_yaml_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->kind = kind;
	node->line = (unsigned int)mark.line + 1;
	node->column = (unsigned int)mark.column + 1;
	node->allocated = builder->tree.allocated;
	builder->tree.allocated = node;
	return node;
}

const struct bh_yaml_node *bh_yaml_find(const struct bh_yaml_node *node, const char *key)
{
	for (size_t i = 0; node && node->kind == BH_YAML_MAPPING && i < node->child_count; i += 2)
		if (strcmp(node->children[i]->text, key) == 0)
			return node->children[i + 1];
	return NULL;
}

void bh_yaml_tree_destroy(struct bh_yaml_tree *tree)
{
	while (tree->allocated) {
		struct bh_yaml_node *node = tree->allocated;

		tree->allocated = node->allocated;
		free(node->text);
		free(node->children);
		free(node);
	}
	tree->root = NULL;
}

static int is_null_text(const char *text)
{
	return !*text || !strcmp(text, "~") || !strcmp(text, "null") || !strcmp(text, "Null") ||
	       !strcmp(text, "NULL");
}

static struct bh_error *add_anchor(struct builder *builder, const char *name,
				   struct bh_yaml_node *node, yaml_mark_t mark)
{
	if (bh_name_table_find(&builder->anchors, name) != BH_NAME_ABSENT)
		return error_at(builder, mark, "anchor \"%.40s\" is defined twice", name);
	size_t count = builder->anchor_count;
	struct bh_yaml_node **anchored =
		realloc(builder->anchored, (count + 1) * sizeof(*anchored));

	if (anchored)
		builder->anchored = anchored;
	char **names = realloc(builder->anchor_names, (count + 1) * sizeof(*names));

	if (names)
		builder->anchor_names = names;
	char *copy = anchored && names ? strdup(name) : NULL;

	if (!copy)
		return out_of_memory();
	builder->anchored[count] = node;
	builder->anchor_names[count] = copy;
	builder->anchor_count++;
	return bh_name_table_add(&builder->anchors, copy, count) < 0 ? out_of_memory() : NULL;
}

/* Puts a node where the document has it: the root, or the innermost open collection. */
static struct bh_error *attach(struct builder *builder, struct bh_yaml_node *node, yaml_mark_t mark)
{
	if (builder->depth == 0) {
		builder->tree.root = node;
		return NULL;
	}
	struct bh_yaml_node *parent = builder->open[builder->depth - 1];

	if (parent->kind == BH_YAML_MAPPING && parent->child_count % 2 == 0 &&
	    node->kind != BH_YAML_SCALAR)
		return error_at(builder, mark, "a key must be a word");
	/* Aliases count too, so that sharing can't multiply what the tree's reader has to do. */
	if (++builder->node_count > BH_YAML_NODES_MAX)
		return error_at(builder, mark, "the document has more than %u values",
				BH_YAML_NODES_MAX);
	if (parent->child_count == parent->child_capacity) {
		size_t capacity = parent->child_capacity ? parent->child_capacity * 2 : 8;
		struct bh_yaml_node **children =
			realloc(parent->children, capacity * sizeof(*children));

		if (!children)
			return out_of_memory();
		parent->children = children;
		parent->child_capacity = capacity;
	}
	parent->children[parent->child_count++] = node;
	return NULL;
}

static struct bh_error *add_scalar(struct builder *builder, const yaml_event_t *event)
{
	struct bh_yaml_node *node = node_create(builder, BH_YAML_SCALAR, event->start_mark);
	const char *value = (const char *)event->data.scalar.value;

	if (!node)
		return out_of_memory();
	if (event->data.scalar.tag)
		return error_at(builder, event->start_mark,
				"tags such as \"%.40s\" aren't supported",
				(const char *)event->data.scalar.tag);
	if (strlen(value) != event->data.scalar.length)
		return error_at(builder, event->start_mark, "a value can't hold a zero byte");
	node->text = strdup(value);
	if (!node->text)
		return out_of_memory();
	node->is_null = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_null_text(value);
	BH_TRY(attach(builder, node, event->start_mark));
	if (event->data.scalar.anchor)
		return add_anchor(builder, (const char *)event->data.scalar.anchor, node,
				  event->start_mark);
	return NULL;
}

static struct bh_error *begin_collection(struct builder *builder, const yaml_event_t *event,
					 enum bh_yaml_kind kind)
{
	int is_mapping = kind == BH_YAML_MAPPING;
	const yaml_char_t *anchor =
		is_mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	const yaml_char_t *tag =
		is_mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
	struct bh_yaml_node *node = node_create(builder, kind, event->start_mark);

	if (!node)
		return out_of_memory();
	if (tag)
		return error_at(builder, event->start_mark,
				"tags such as \"%.40s\" aren't supported", (const char *)tag);
	if (builder->depth == BH_YAML_DEPTH_MAX)
		return error_at(builder, event->start_mark,
				"lists and mappings are nested more than %u deep",
				BH_YAML_DEPTH_MAX);
	BH_TRY(attach(builder, node, event->start_mark));
	builder->open_anchor[builder->depth] = anchor ? strdup((const char *)anchor) : NULL;
	if (anchor && !builder->open_anchor[builder->depth])
		return out_of_memory();
	builder->open[builder->depth++] = node;
	return NULL;
}

static struct bh_error *check_keys(const struct builder *builder, const struct bh_yaml_node *node)
{
	struct bh_name_table seen = {0};
	struct bh_error *error = NULL;

	for (size_t i = 0; !error && i < node->child_count; i += 2) {
		const struct bh_yaml_node *key = node->children[i];
		size_t before = bh_name_table_find(&seen, key->text);

		if (before != BH_NAME_ABSENT)
			error = bh_yaml_error(builder->filename, key->line, key->column,
					      "key \"%.40s\" is given twice; the first is on line "
					      "%u",
					      key->text, node->children[before]->line);
		else if (bh_name_table_add(&seen, key->text, i) < 0)
			error = out_of_memory();
	}
	bh_name_table_destroy(&seen);
	return error;
}

static struct bh_error *end_collection(struct builder *builder, const yaml_event_t *event)
{
	struct bh_yaml_node *node = builder->open[--builder->depth];
	char *anchor = builder->open_anchor[builder->depth];
	struct bh_error *error = NULL;

	builder->open_anchor[builder->depth] = NULL;
	if (node->kind == BH_YAML_MAPPING)
		error = check_keys(builder, node);
	if (!error && anchor)
		error = add_anchor(builder, anchor, node, event->start_mark);
	free(anchor);
	return error;
}

static struct bh_error *add_alias(struct builder *builder, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	size_t number = bh_name_table_find(&builder->anchors, name);

	if (number == BH_NAME_ABSENT)
		return error_at(builder, event->start_mark,
				"no anchor \"%.40s\" ends before this line", name);
	return attach(builder, builder->anchored[number], event->start_mark);
}

static struct bh_error *take_event(struct builder *builder, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (builder->tree.root)
			return error_at(builder, event->start_mark,
					"a scenario is one document; a second one begins here");
		return NULL;
	case YAML_SCALAR_EVENT:
		return add_scalar(builder, event);
	case YAML_SEQUENCE_START_EVENT:
		return begin_collection(builder, event, BH_YAML_SEQUENCE);
	case YAML_MAPPING_START_EVENT:
		return begin_collection(builder, event, BH_YAML_MAPPING);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return end_collection(builder, event);
	case YAML_ALIAS_EVENT:
		return add_alias(builder, event);
	default:
		return NULL;
	}
}

static struct bh_error *build(struct builder *builder, const char *text, size_t length)
{
	for (int is_end = 0; !is_end;) {
		yaml_event_t event;

		if (!yaml_parser_parse(&builder->parser, &event))
			return parser_error(builder, text, length);
		struct bh_error *error = take_event(builder, &event);

		is_end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
		if (error)
			return error;
	}
	if (!builder->tree.root || builder->tree.root->is_null)
		return bh_error_new(BH_ERR_INPUT, "%s:1:1: the document is empty",
				    builder->filename);
	return NULL;
}

static void builder_clear(struct builder *builder)
{
	for (unsigned int i = 0; i < BH_YAML_DEPTH_MAX; i++)
		free(builder->open_anchor[i]);
	for (size_t i = 0; i < builder->anchor_count; i++)
		free(builder->anchor_names[i]);
	free(builder->anchor_names);
	free(builder->anchored);
	bh_name_table_destroy(&builder->anchors);
	yaml_parser_delete(&builder->parser);
}

struct bh_error *bh_yaml_tree_parse(const char *text, size_t length, const char *filename,
				    struct bh_yaml_tree *tree_ret)
{
	struct builder builder = {.filename = filename};

	if (length > BH_YAML_LENGTH_MAX)
		return bh_error_new(BH_ERR_INPUT, "%s:1:1: the document is longer than %u MiB",
				    filename, BH_YAML_LENGTH_MAX >> 20);
	if (!yaml_parser_initialize(&builder.parser))
		return out_of_memory();
	yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, length);

	struct bh_error *error = build(&builder, text, length);

	builder_clear(&builder);
	if (error) {
		bh_yaml_tree_destroy(&builder.tree);
		return error;
	}
	*tree_ret = builder.tree;
	return NULL;
}
