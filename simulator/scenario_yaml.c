/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scenario from YAML: the document and its general part; the rest is in scenario_*_yaml.c. Called
 * through bh_scenario_parse_yaml() by cli/ and replayer/.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "simulator/scenario_reader.h"
#include "simulator/units.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* --- helpers of both halves --- */

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory while reading the scenario");
}

struct bh_error *bh_scenario_error(const struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *node, const char *format, ...)
{
	char sentence[512];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	return bh_yaml_error(reader->filename, node->line, node->column, "%s", sentence);
}

struct bh_error *bh_scenario_error_at(const struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *node, struct bh_error *error)
{
	if (!error || error->code == BH_ERR_NOMEM)
		return error;
	struct bh_error *placed = bh_scenario_error(reader, node, "%s", error->message);

	bh_error_free(error);
	return placed;
}

static const char *kind_name(const struct bh_yaml_node *node)
{
	if (node->kind == BH_YAML_SCALAR)
		return node->is_null ? "nothing" : "a single value";
	return node->kind == BH_YAML_SEQUENCE ? "a list" : "a mapping";
}

struct bh_error *bh_scenario_expect_scalar(const struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *node, const char *what)
{
	if (node->kind == BH_YAML_SCALAR && !node->is_null)
		return NULL;
	return bh_scenario_error(reader, node, "%s wants a single value, not %s", what,
				 kind_name(node));
}

struct bh_error *bh_scenario_expect_sequence(const struct bh_scenario_reader *reader,
					     const struct bh_yaml_node *node, const char *what)
{
	if (node->kind == BH_YAML_SEQUENCE)
		return NULL;
	return bh_scenario_error(reader, node, "%s wants a list, not %s", what, kind_name(node));
}

const struct bh_yaml_node *bh_scenario_find_key(const struct bh_yaml_node *node, const char *key)
{
	return bh_yaml_find(node, key);
}

static struct bh_error *unknown_key(const struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *key, const char *what,
				    const struct bh_scenario_field *fields, size_t field_count)
{
	const char *names[32] = {0};
	char known[400] = "";
	size_t length = 0;

	assert(field_count <= COUNT_OF(names));
	for (size_t i = 0; i < field_count; i++) {
		names[i] = fields[i].read ? fields[i].key : NULL;
		if (names[i])
			length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s",
						   length ? ", " : "", names[i]);
	}
	const char *nearest = bh_suggest(key->text, names, field_count);

	if (nearest)
		return bh_scenario_error(reader, key,
					 "unknown key \"%.40s\" in %s; did you mean \"%s\"?",
					 key->text, what, nearest);
	return bh_scenario_error(reader, key, "unknown key \"%.40s\" in %s; it knows: %s",
				 key->text, what, known);
}

struct bh_error *bh_scenario_read_mapping(struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *node, const char *what,
					  const struct bh_scenario_field *fields,
					  size_t field_count, void *target)
{
	if (node->kind != BH_YAML_MAPPING)
		return bh_scenario_error(reader, node, "%s wants a mapping, not %s", what,
					 kind_name(node));
	for (size_t i = 0; i < node->child_count; i += 2) {
		const struct bh_yaml_node *key = node->children[i];
		const struct bh_scenario_field *field = NULL;

		for (size_t j = 0; j < field_count; j++)
			if (strcmp(fields[j].key, key->text) == 0)
				field = &fields[j];
		if (!field)
			return unknown_key(reader, key, what, fields, field_count);
		if (!field->read)
			return bh_scenario_error(
				reader, key, "\"%s\" isn't supported yet; remove it", key->text);
		BH_TRY(field->read(reader, node->children[i + 1], target));
	}
	return NULL;
}

struct bh_error *bh_scenario_charge(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *node, size_t bytes)
{
	reader->copied_bytes += bytes;
	if (reader->copied_bytes <= BH_SCENARIO_BYTES_MAX)
		return NULL;
	return bh_scenario_error(
		reader, node, "the scenario is too large: over %u MiB with its aliases filled in",
		BH_SCENARIO_BYTES_MAX >> 20);
}

void *bh_scenario_grow(void **array, size_t *count, size_t size)
{
	/* The capacity is the next power of two, so it needs no field of its own. */
	if ((*count & (*count - 1)) == 0 || *count == 0) {
		void *larger = realloc(*array, (*count ? *count * 2 : 1) * size);

		if (!larger)
			return NULL;
		*array = larger;
	}
	void *element = (char *)*array + *count * size;

	memset(element, 0, size);
	++*count;
	return element;
}

struct bh_error *bh_scenario_read_text(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *node, const char *what,
				       char **text_ret)
{
	BH_TRY(bh_scenario_expect_scalar(reader, node, what));
	BH_TRY(bh_scenario_charge(reader, node, strlen(node->text) + sizeof(void *)));
	char *copy = strdup(node->text);

	if (!copy)
		return out_of_memory();
	free(*text_ret);
	*text_ret = copy;
	return NULL;
}

struct bh_error *bh_scenario_read_integer(const struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *node, const char *what,
					  uint64_t minimum, uint64_t maximum, uint64_t *value_ret)
{
	BH_TRY(bh_scenario_expect_scalar(reader, node, what));
	struct bh_error *error = bh_parse_integer(node->text, minimum, maximum, value_ret);

	if (!error)
		return NULL;
	struct bh_error *named = bh_scenario_error(reader, node, "%s: %s", what, error->message);

	bh_error_free(error);
	return named;
}

/* --- general --- */

static struct bh_error *read_seed(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	return bh_scenario_read_integer(reader, value, "seed", 0, UINT64_MAX,
					&reader->scenario->seed);
}

static struct bh_error *read_stop_time(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value, void *target)
{
	uint64_t *stop_ns = &reader->scenario->stop_ns;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "stop_time"));
	BH_TRY(bh_scenario_error_at(reader, value, bh_parse_duration(value->text, stop_ns)));
	if (*stop_ns == 0)
		return bh_scenario_error(
			reader, value,
			"a run that stops at 0 does nothing; give a later stop_time");
	return NULL;
}

static struct bh_error *read_general(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value)
{
	static const struct bh_scenario_field fields[] = {
		{"seed", read_seed},
		{"stop_time", read_stop_time},
	};

	return bh_scenario_read_mapping(reader, value, "general", fields, COUNT_OF(fields), NULL);
}

/* --- the document --- */

static struct bh_error *read_nothing(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, void *target)
{
	return NULL;
}

/* Nodes come before links and defaults before nodes, wherever they stand in the document. */
static struct bh_error *read_topology(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value)
{
	static const struct bh_scenario_field fields[] = {{"defaults", read_nothing},
							  {"nodes", read_nothing},
							  {"links", read_nothing},
							  {"segments", read_nothing}};
	const struct bh_yaml_node *part;

	BH_TRY(bh_scenario_read_mapping(reader, value, "topology", fields, COUNT_OF(fields), NULL));
	part = bh_scenario_find_key(value, "defaults");
	if (part)
		BH_TRY(bh_scenario_read_defaults(reader, part));
	part = bh_scenario_find_key(value, "nodes");
	if (!part)
		return bh_scenario_error(reader, value,
					 "topology has no nodes; add nodes: {h1: {}}");
	BH_TRY(bh_scenario_read_nodes(reader, part));
	part = bh_scenario_find_key(value, "links");
	if (part)
		BH_TRY(bh_scenario_read_links(reader, part));
	part = bh_scenario_find_key(value, "segments");
	if (part)
		BH_TRY(bh_scenario_read_segments(reader, part));
	return bh_scenario_check_devices(reader);
}

static struct bh_error *read_name(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	BH_TRY(bh_scenario_read_text(reader, value, "name", &reader->scenario->name));
	size_t length = strlen(value->text);

	if (length == 0 || length > 200)
		return bh_scenario_error(reader, value, "a name has 1 to 200 bytes, not %zu",
					 length);
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)value->text[i] < 0x20 || value->text[i] == 0x7f)
			return bh_scenario_error(reader, value,
						 "a name can't hold control characters");
	return NULL;
}

/* Without a stop_time, the run ends when all its programs have. */
static struct bh_error *check_open(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *root)
{
	const struct bh_scenario *scenario = reader->scenario;
	size_t count = 0;

	for (size_t i = 0; i < scenario->node_count; i++) {
		for (size_t j = 0; j < scenario->nodes[i].process_count; j++) {
			const struct bh_process *process = &scenario->nodes[i].processes[j];

			if (process->has_expected_running && process->expected_running)
				return bh_scenario_error(
					reader, root,
					"the scenario doesn't say when it ends, but a program on "
					"%s is to be running then; add general: {stop_time: 30s}",
					scenario->nodes[i].name);
			count += !process->is_setup;
		}
	}
	if (count)
		return NULL;
	return bh_scenario_error(reader, root,
				 "the scenario doesn't say when it ends, and has no programs whose "
				 "end could be its end; add general: {stop_time: 30s}");
}

/* The general part first: programs are checked against stop_time. */
static struct bh_error *read_document(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *root)
{
	static const struct bh_scenario_field fields[] = {
		{"name", read_name},	  {"general", read_nothing}, {"topology", read_nothing},
		{"events", read_nothing}, {"expect", read_nothing},
	};
	struct bh_scenario *scenario = reader->scenario;
	const struct bh_yaml_node *part;

	BH_TRY(bh_scenario_read_mapping(reader, root, "a scenario", fields, COUNT_OF(fields),
					NULL));
	part = bh_scenario_find_key(root, "general");
	if (part)
		BH_TRY(read_general(reader, part));
	scenario->is_open = scenario->stop_ns == 0;
	if (scenario->is_open)
		scenario->stop_ns = BH_OPEN_STOP_NS;
	part = bh_scenario_find_key(root, "topology");
	if (part)
		BH_TRY(read_topology(reader, part));
	if (scenario->node_count == 0)
		return bh_scenario_error(reader, root,
					 "the scenario has no topology; add topology: {nodes: {h1: "
					 "{}}}");
	part = bh_scenario_find_key(root, "expect");
	if (part)
		BH_TRY(bh_scenario_read_expectations(reader, part));
	if (scenario->is_open)
		BH_TRY(check_open(reader, root));
	part = bh_scenario_find_key(root, "events");
	if (part)
		BH_TRY(bh_scenario_read_events(reader, part));
	if (!scenario->name)
		scenario->name = strdup("scenario");
	scenario->filename = strdup(reader->filename);
	return scenario->name && scenario->filename ? NULL : out_of_memory();
}

struct bh_error *bh_scenario_parse_yaml(const char *text, size_t length, const char *filename,
					struct bh_scenario **scenario_ret)
{
	struct bh_scenario_reader reader = {.filename = filename};
	struct bh_yaml_tree tree = {0};

	BH_TRY(bh_yaml_tree_parse(text, length, filename, &tree));
	struct bh_error *error = NULL;

	reader.scenario = calloc(1, sizeof(*reader.scenario));
	if (reader.scenario) {
		reader.scenario->seed = 1;
		error = read_document(&reader, tree.root);
	} else {
		error = out_of_memory();
	}
	bh_name_table_destroy(&reader.nodes);
	bh_name_table_destroy(&reader.endpoints);
	for (size_t i = 0; i < reader.end_name_count; i++)
		free(reader.end_names[i]);
	free(reader.end_names);
	free(reader.end_lines);
	free(reader.ends);
	bh_yaml_tree_destroy(&tree);
	if (error) {
		bh_scenario_destroy(reader.scenario);
		return error;
	}
	*scenario_ret = reader.scenario;
	return NULL;
}

struct bh_error *bh_scenario_parse_process(const char *text, size_t length, const char *filename,
					   uint64_t stop_ns, struct bh_process *process_ret)
{
	struct bh_scenario scenario = {.stop_ns = stop_ns};
	struct bh_scenario_reader reader = {.filename = filename, .scenario = &scenario};
	struct bh_yaml_tree tree = {0};

	BH_TRY(bh_yaml_tree_parse(text, length, filename, &tree));
	struct bh_error *error = bh_scenario_read_process(&reader, tree.root, process_ret);

	bh_yaml_tree_destroy(&tree);
	return error;
}
